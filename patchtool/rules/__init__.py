# SPDX-License-Identifier: GPL-2.0-only
"""The rules: ``table`` lists them, and each has one file with its ``check``.

A check takes an ``Index`` and returns a ``Report``; it raises InputError where the tree is
not the rule's target, and UsageError for a field that nothing stores.
"""
