# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts over many revisions: ``flips.history`` finds where they change.

A commit is decided only where it touches what the verdict before it has seen; the ``lens``
says what that was.
"""
