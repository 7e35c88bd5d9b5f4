# SPDX-License-Identifier: GPL-2.0-only
"""What a change brings in, and what the source accepts."""
