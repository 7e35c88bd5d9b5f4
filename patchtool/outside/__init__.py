# SPDX-License-Identifier: GPL-2.0-only
"""Bytes from outside, all hostile: git, patches, mails and the files of a tree.

Paths are relative to the top of a tree, text is bytes, lines count from 1.  Whatever cannot be
read, applied or written is an InputError or PatchError in one sentence.
"""
