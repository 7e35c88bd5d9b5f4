# SPDX-License-Identifier: GPL-2.0-only
"""Work that is done aside, in a copy of this process, while this one goes on.

Half of a check only reads text and half of it only runs what was read, so a second processor
saves a third of the time.  Where there is none, or the copy fails, this process does the work
when its outcome is asked for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol, TypeVar

Found = TypeVar("Found")

_DESCRIPTORS = 4_096
"""Files that a process may have open; no more are looked for."""
_NUMBERS = 256
"""How many pieces of work are shared out at most: a number is a byte."""
_WHOLE = b"whole"
"""What ends that which a copy has found; without it the copy was ended before."""


class Aside(Protocol):
    """A way to have some work done."""

    def __call__(self, work: Callable[[], Found], /) -> Callable[[], Found]:
        """Begin WORK, or put it off; return what yields its outcome, once."""


_shared: set[int] = set()
"""The descriptors that a copy keeps open: those of what is shared out."""


class Shares:
    """Numbers that this process and its copies share out: each goes to who asks first.

    Who asks again and again is given what is left, so that none waits for a long piece of
    work while others lie there.  What a copy took that was ended before its end, nobody does.
    """

    def __init__(self, count: int) -> None:
        self._left: list[int] = []
        self._reading: int | None = None
        numbers = range(min(count, _NUMBERS))
        try:
            self._reading, writing = os.pipe()
        except OSError:
            self._left = list(numbers)[::-1]
            return
        os.write(writing, bytes(numbers))
        os.close(writing)
        _shared.add(self._reading)

    def __iter__(self) -> Iterator[int]:
        while self._reading is not None and (taken := os.read(self._reading, 1)):
            yield taken[0]
        while self._left:
            yield self._left.pop()

    def close(self) -> None:
        """Give up what is left."""
        if self._reading is not None:
            _shared.discard(self._reading)
            os.close(self._reading)
            self._reading = None


def later(work: Callable[[], Found], /) -> Callable[[], Found]:
    """Put work off until its outcome is asked for."""
    return work


def in_a_copy(begin: Callable[[], None]) -> Aside:
    """Return the way to have work done in a copy of this process; BEGIN runs in front of it there.

    That is, where there is a second processor and this process has one thread, as a command
    has.  What the work finds is pickled; what it changes is lost.
    """

    def aside(work: Callable[[], Found], /) -> Callable[[], Found]:
        if _is_threaded() or _processors() < 2:
            return work
        try:
            reading, writing = os.pipe()
        except OSError:
            return work
        try:
            child = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            return work
        if child == 0:
            _work(begin, work, writing)
        os.close(writing)
        return lambda: _outcome(work, child, reading)

    return aside


def _outcome(work: Callable[[], Found], child: int, reading: int) -> Found:
    """Wait for what a copy has found, or find it here."""
    import pickle

    with open(reading, "rb") as pipe:
        data = pipe.read()
    with suppress(ChildProcessError):  # who ignores the ends of its children has none to wait for
        os.waitpid(child, 0)
    if not data.endswith(_WHOLE):
        return work()
    found: Found = pickle.loads(data[: -len(_WHOLE)])
    return found


def _processors() -> int:
    """Return how many processors this process may use; one where nobody can tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _is_threaded() -> bool:
    """Tell whether a lock may be held by a thread that a copy of this process would not have."""
    threading = sys.modules.get("threading")
    return threading is not None and threading.active_count() > 1


def _work(begin: Callable[[], None], work: Callable[[], object], writing: int) -> None:
    """Do some work and end this process without a word, whatever happens."""
    try:
        import pickle

        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):  # who reads what is printed waits for all that may print
            os.dup2(nowhere, standard)
        # Nor do pipes of others stay open, or the one to read from, where nobody reads.
        first = 3
        for kept in sorted({writing, *_shared}):
            os.closerange(first, kept)
            first = kept + 1
        os.closerange(first, _DESCRIPTORS)
        begin()
        data = pickle.dumps(work(), pickle.HIGHEST_PROTOCOL)
        with open(writing, "wb") as pipe:
            pipe.write(data + _WHOLE)
    finally:
        os._exit(0)
