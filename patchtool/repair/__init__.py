# SPDX-License-Identifier: GPL-2.0-only
"""Candidate repairs, and the mails that carry one.

``fix.search`` tries edits on overlays and keeps those whose check is covered; ``patch.series``
writes them as mails.  Nothing is kept that was not decided.
"""
