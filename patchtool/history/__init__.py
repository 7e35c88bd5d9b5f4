# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts over many revisions."""
