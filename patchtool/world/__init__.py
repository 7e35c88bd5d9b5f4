# SPDX-License-Identifier: GPL-2.0-only
"""Which keys there are, which ways lead to them, and what else touches them."""
