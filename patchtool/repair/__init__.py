# SPDX-License-Identifier: GPL-2.0-only
"""Candidate repairs, and the mails that carry one."""
