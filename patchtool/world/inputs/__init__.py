# SPDX-License-Identifier: GPL-2.0-only
"""What keeps an input the same from one set-up to the next, or makes the role invalid.

``constants`` and ``hosts`` tell what never changes once anything runs, ``changes`` and
``births`` where an input changes and what is run before any set-up, ``invalidation`` and
``told`` whether every change makes the stored role invalid.
"""
