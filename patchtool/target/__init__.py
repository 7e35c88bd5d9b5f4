# SPDX-License-Identifier: GPL-2.0-only
"""Facts about what is checked, as data: its paths, options, registers."""
