# SPDX-License-Identifier: GPL-2.0-only
"""Answers about functions that call one another.

What is asked again while it is being answered adds nothing, so a function that calls itself has
an answer.  But what was found on the way then rests on that: to keep it would make the answer
depend on which of the functions was asked about first.  So all are asked again, each with what
the others said, until nothing is added.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Circular(Generic[K, V]):
    """The least answers that agree with one another.

    An answer that rests on others may only grow where theirs do; a first one that is not
    NOTHING stays, unless JOIN says what becomes of two.
    """

    def __init__(self, nothing: V, join: Callable[[V, V], V] | None = None) -> None:
        self._nothing = nothing
        self._join = join or (lambda old, new: new if old == nothing else old)
        self._known: dict[K, V] = {}
        self._found: dict[K, V] = {}
        """What was found so far for those whose answers are not known yet."""
        self._asked: set[K] = set()
        """Those that were answered, or are being answered, since the outermost was asked."""
        self._pending: set[K] = set()
        self._is_open = False
        """Whether an answer rests on one that was not complete."""

    def of(self, key: K, find: Callable[[], V]) -> V:
        """Return an answer; FIND finds it, and may ask for others."""
        if key in self._known:
            return self._known[key]
        if key in self._asked:
            self._is_open |= key in self._pending
            return self._found[key]
        if self._pending:
            return self._find(key, find)
        try:
            self._settle(key, find)
            self._known.update((one, self._found[one]) for one in self._asked)
        finally:
            self._found, self._asked, self._pending = {}, set(), set()
        return self._known[key]

    def _settle(self, key: K, find: Callable[[], V]) -> None:
        """Ask for an answer, and for those that it rests on, until nothing is added."""
        while True:
            before = dict(self._found)
            self._asked.clear()
            self._is_open = False
            self._find(key, find)
            added = (n != before.get(one, self._nothing) for one, n in self._found.items())
            if not self._is_open or not any(added):
                return

    def _find(self, key: K, find: Callable[[], V]) -> V:
        old = self._found.setdefault(key, self._nothing)
        self._asked.add(key)
        self._pending.add(key)
        self._found[key] = self._join(old, find())
        self._pending.discard(key)
        return self._found[key]
