# SPDX-License-Identifier: GPL-2.0-only
"""Terms, decision diagrams and the two-run property; knows no C."""
