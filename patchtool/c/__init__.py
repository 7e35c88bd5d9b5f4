# SPDX-License-Identifier: GPL-2.0-only
"""C, from text to terms: scan, parse, find, lay out and run it; knows no subsystem."""
