# SPDX-License-Identifier: GPL-2.0-only
"""Two ways of deciding the same property that share nothing with the tool."""
