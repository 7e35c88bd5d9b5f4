# SPDX-License-Identifier: GPL-2.0-only
"""Commands that are large enough for a file of their own."""
