# SPDX-License-Identifier: GPL-2.0-only
"""Notes of the last set-up, by which the next one may be left out.

What leads to a set-up may keep what it was called for, wherever that lies, and leave the set-up
out while that is the same: then what the set-up itself compares says nothing.  State that
is kept for something else is read where something else is done; so a note is what a function
both stores and looks at where it decides whether a set-up is called, and what is read nowhere
off the way but to print it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from functools import cached_property

from patchtool.c.lower import Trouble
from patchtool.c.scan import WORDS, Definition, places
from patchtool.model import Place
from patchtool.world.above.deciding import answers
from patchtool.world.above.kept import (
    CONSTANT,
    GIVEN,
    LOOKED_AT,
    MEMBERS,
    VOID,
    Kept,
    Key,
    Way,
    is_looked_at,
    is_only_kept,
    local,
)

_VALUED = re.compile(rb"(?:[(!=&|?:]\s*|\breturn\s+)([a-z_]\w*)\(")
"""What is called for its value."""


class Notes:
    """The notes of one tree."""

    def __init__(self, way: Way, kept: Kept) -> None:
        self._tree, self._executed, self._above, self._by = way
        self._kept = kept
        self._reader: dict[str, Definition | None] = {}
        """The first function off the way that reads something."""
        self._in_vain: dict[str, bool] = {}
        self._alive: dict[Key, bool] = {}
        self._answering: dict[str, bool] = {}

    def deciding(self, caller: Definition, callees: Set[str]) -> Iterator[Trouble]:
        """Yield where a note decides whether a caller calls what leads to a set-up."""
        asked = self._notes(caller)
        body = caller.text.partition(b"{")[2]
        helpers = {
            name
            for name in {one.decode() for one in _VALUED.findall(body)}
            if self._may_answer(name)
        }
        found = self._by(caller, callees, asked | helpers) if asked or helpers else {}
        for callee, ones in found.items():
            for one in sorted(ones) if not is_only_kept(caller, callee) else ():
                note = f"{one}, which is kept and read for set-ups alone,"
                if one in helpers:
                    kept = self._answers_by(one)
                    if not kept:
                        continue
                    note = f"{one}(), which keeps {min(kept)} and looks at it,"
                elif caller.kind == "function" and self._kept.is_told(caller, one):
                    continue
                place = Place(caller.file, caller.line, 1, caller.name)
                yield Trouble(place, f"{note} decides whether {callee}() is called", False)

    def _may_answer(self, name: str) -> bool:
        """Tell whether a function off the way returns something, and keeps a note."""
        if name not in self._answering:
            self._answering[name] = any(
                one.key not in self._above
                and one not in self._executed
                and VOID.search(one.text.partition(b"{")[0]) is None
                and any(
                    is_looked_at(one, name) and self._is_note(one, name)
                    for name in self._kept.changing(one)
                )
                for one in self._kept.defined(name)
            )
        return self._answering[name]

    def _answers_by(self, name: str) -> frozenset[str]:
        """Return the notes by which a function answers that keeps them."""
        return frozenset(
            note
            for one in self._kept.defined(name)
            for note in self._notes(one)
            if answers(self._tree.index.node(one), note)
        )

    @cached_property
    def _bare(self) -> frozenset[str]:
        """What is stored on the way that is named by no record: objects of files, and of calls."""
        ones = (each for one, _ in self._above.values() for each in (one, *self._kept.helpers(one)))
        kept = (pair for one in ones for pair in self._kept.by(one).items())
        return frozenset(name for name, values in kept if b"" in values)

    def _notes(self, function: Definition) -> frozenset[str]:
        """Return the notes that a function looks at, and that are stored on the way.

        What is only raised or lowered is one where this function, or one that it calls, does so.
        """
        words = {one.decode() for one in MEMBERS.findall(function.text)}
        members = frozenset(words)
        words.update(
            self._bare.intersection(
                function.text.translate(WORDS).decode("utf-8", "replace").split()
            )
        )
        flags = {
            name for one in (function, *self._kept.helpers(function)) for name in self._kept.by(one)
        }
        own = {
            name
            for name in (self._kept.on_the_way.keys() | flags) & words
            if self._is_note(function, name)
            and (name in members or is_looked_at(function, name))
            and (
                name in flags - self._kept.on_the_way.keys()
                or not all(self._kept.is_constant(*value) for value in self._kept.on_the_way[name])
            )
            and (name in flags or not self._kept.is_read_there(name))
        }
        if not own or function.kind != "function":
            return frozenset(own)
        return frozenset(own - local(self._tree.index.node(function)))

    def _is_note(self, function: Definition, name: str) -> bool:
        """Tell whether what a function keeps is looked at by nobody off the way."""
        if self._kept.stays(function, name) or self._is_own(name):
            return True
        return name in self._kept.changing(function) and self._is_read_in_vain(name)

    def _is_read_in_vain(self, name: str) -> bool:
        """Tell whether only functions that nobody comes to read something off the way."""
        if name not in self._in_vain:
            first = self._reader.get(name)
            self._in_vain[name] = not (
                (first is not None and self._is_alive(first))
                or any(map(self._is_alive, self._read_elsewhere(name)))
            )
        return self._in_vain[name]

    def _is_alive(self, function: Definition) -> bool:
        """Tell whether a function is named by another one, or where something is initialised."""
        known = self._alive.get(function.key)
        if known is None:
            known = self._alive[function.key] = any(True for _ in self._kept.namers(function))
        return known

    def _is_own(self, name: str) -> bool:
        """Tell whether what is kept is read nowhere off the way, but to print it."""
        if name not in self._reader:
            self._reader[name] = next(self._read_elsewhere(name), None)
        return self._reader[name] is None

    def _read_elsewhere(self, name: str) -> Iterator[Definition]:
        """Yield the functions off the way that do more with what has a name."""
        for user in self._kept.off_the_way(name):
            if not self._is_kept_or_printed(user, name):
                yield user

    def _is_kept_or_printed(self, user: Definition, name: str) -> bool:
        """Tell whether a function clears or prints what has a name, or makes it a note itself."""
        body = user.text.partition(b"{")[2]
        sites = list(places(body, name.encode()))
        stores = (GIVEN.match(body, at) for at in sites)
        is_set = any(one and CONSTANT.fullmatch(one[3] or b"") is None for one in stores)
        looks = (at for at in sites if LOOKED_AT.match(body, at) is not None)
        if is_set and any(True for _ in looks):
            return True
        if is_set:
            return self._is_called_on_the_way(user)
        return all(self._kept.is_printed(body, at) for at in looks)

    def _is_called_on_the_way(self, function: Definition) -> bool:
        """Tell whether a function on the way to a set-up calls one."""
        return any(
            function.name in self._tree.index.calls_in(one.file).get(one.name, ())
            for one, _ in self._above.values()
        )
