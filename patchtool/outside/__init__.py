# SPDX-License-Identifier: GPL-2.0-only
"""Bytes from outside: git, patches, mails and the files of a tree."""
