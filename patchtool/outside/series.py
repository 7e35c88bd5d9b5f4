# SPDX-License-Identifier: GPL-2.0-only
"""The other mails of a series, found beside the one that is about to be sent.

In: the file of one mail.  Out: the patches before it and after it.  git hands its hook
one mail at a time, and only from 2.41 on says how many there are; the mails themselves
lie in one folder, numbered in their subjects, so nothing has to be kept between calls.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from patchtool.errors import PatchError
from patchtool.outside.mail import Letter, mark, read

_MOST_FILES = 4096
_MOST_BYTES = 8 << 20
_HEAD = 16384


def companions(path: str) -> tuple[list[Letter], list[Letter]]:
    """Return the patches before and after the mail in a file, as far as they are there."""
    # A pipe cannot be read a second time.
    own_mark = _mark(path) if os.path.isfile(path) else None
    if own_mark is None or own_mark[1] < 2:
        return [], []
    series, total, number = own_mark
    found: dict[int, tuple[int, str]] = {}
    own = os.stat(path).st_mtime_ns
    for other, changed in _beside(path):
        theirs = _mark(other)
        if theirs is None or theirs[0] != series or theirs[2] == number:
            continue
        # Two series of one kind in one folder: the files of one were written together.
        rival = abs(changed - own), other
        if 0 < theirs[2] <= total:
            found[theirs[2]] = min(found.get(theirs[2], rival), rival)
    before = [found[n][1] for n in range(1, number) if n in found]
    after = [found[n][1] for n in range(number + 1, total + 1) if n in found]
    return _letters(before), _letters(after)


def _letters(paths: list[str]) -> list[Letter]:
    letters: list[Letter] = []
    for path in paths:
        # It may be gone by now.
        with suppress(OSError, PatchError), open(path, "rb") as file:
            letters += read(file.read(_MOST_BYTES), path).letters
    return letters


def _beside(path: str) -> Iterator[tuple[str, int]]:
    """Yield the files of the same kind in the folder of a file, with their times."""
    folder, name = os.path.split(os.path.abspath(path))
    suffix = os.path.splitext(name)[1]
    try:
        found = os.scandir(folder)
    except OSError:
        return  # one may read a file in a folder that one may not list
    with found as entries:
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


def _mark(path: str) -> tuple[str, int, int] | None:
    """Return series, total and number of a mail, None without."""
    try:
        with open(path, "rb") as file:
            return mark(file.read(_HEAD))
    except OSError:
        return None
