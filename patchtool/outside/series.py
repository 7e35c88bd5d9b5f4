# SPDX-License-Identifier: GPL-2.0-only
"""The other mails of a series, found beside the one that is about to be sent.

In: the file of one mail.  Out: the patches before it and after it.  git hands its hook
one mail at a time, and only from 2.41 on says how many there are; the mails themselves
lie in one folder, numbered in their subjects, so nothing has to be kept between calls.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from patchtool.errors import PatchError
from patchtool.outside.mail import Letter, read, tags

_NUMBER = re.compile(r"(?<!\S)(\d{1,4})/(\d{1,4})(?!\S)")
_MOST_FILES = 4096
_MOST_BYTES = 8 << 20
_HEAD = 16384


class _Mark(NamedTuple):
    """What all subjects of a series share, and the number of one."""

    series: str
    total: int
    number: int


def companions(path: str) -> tuple[list[Letter], list[Letter]]:
    """Return the patches before and after the mail in a file, as far as they are there."""
    # A pipe cannot be read a second time.
    mark = _mark(path) if os.path.isfile(path) else None
    if mark is None or mark.total < 2:
        return [], []
    found: dict[int, tuple[int, str]] = {}
    own = os.stat(path).st_mtime_ns
    for other, changed in _beside(path):
        theirs = _mark(other)
        if theirs is None or theirs.series != mark.series or theirs.number == mark.number:
            continue
        # Two series of one kind in one folder: the files of one were written together.
        rival = abs(changed - own), other
        if 0 < theirs.number <= mark.total:
            found[theirs.number] = min(found.get(theirs.number, rival), rival)
    before = [found[n][1] for n in range(1, mark.number) if n in found]
    after = [found[n][1] for n in range(mark.number + 1, mark.total + 1) if n in found]
    return _letters(before), _letters(after)


def _letters(paths: list[str]) -> list[Letter]:
    letters: list[Letter] = []
    for path in paths:
        with open(path, "rb") as file, suppress(PatchError):
            letters += read(file.read(_MOST_BYTES), path)
    return letters


def _beside(path: str) -> Iterator[tuple[str, int]]:
    """Yield the files of the same kind in the folder of a file, with their times."""
    folder, name = os.path.split(os.path.abspath(path))
    suffix = os.path.splitext(name)[1]
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= _MOST_FILES:
                return
            if entry.name == name or os.path.splitext(entry.name)[1] != suffix:
                continue
            try:
                state = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(state.st_mode) and state.st_size <= _MOST_BYTES:
                yield entry.path, state.st_mtime_ns


def _mark(path: str) -> _Mark | None:
    """Return the number that the subject of a mail gives it, None without one."""
    try:
        with open(path, "rb") as file:
            text = tags(file.read(_HEAD))
    except OSError:
        return None
    found = _NUMBER.search(text)
    if found is None:
        return None
    number, total = map(int, found.groups())
    series = f"{text[: found.start()]}{total}{text[found.end() :]}"
    return _Mark(" ".join(series.split()), total, number)
