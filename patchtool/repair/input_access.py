# SPDX-License-Identifier: GPL-2.0-only
"""How a function of the tree at hand would read an input that is no register bit.

In: the name of an input, and the C text that reads it.  Out: the member of a role that
would hold it, how many bits it takes, and expressions, an accessor of the tree first.  What
is no state of a vCPU, or has no known width, is refused with a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from patchtool.c import syntax
from patchtool.c.index import Index
from patchtool.c.layout import IntType, PointerType, RecordType, Types, settled
from patchtool.c.scan import Definition, FileIndex, strip_comments
from patchtool.repair.register_access import parameters, returned

_PATH = re.compile(r"(\w+)((?:(?:->|\.)\w+)+)")
_CALL = re.compile(r"(\w+)\((\w+)((?:, *\w+)*)\)")
_FEATURE = re.compile(r"X86_FEATURE_(\w+)")


@dataclass(frozen=True, slots=True)
class Value:
    """One input: its name and C text, the role member that would hold it, how many bits."""

    title: str
    c: str
    member: str
    width: int
    holder: str
    """The variable through which it is read: ``vcpu``."""

    def spellings(self, index: Index, function: Definition) -> tuple[str, ...]:
        """Return the ways to read it inside a function, the best first."""
        if self.holder not in {one.name for one in parameters(function)}:
            return ()
        call = _CALL.fullmatch(self.c)
        if call is not None:
            return (self.c,) if index.visible(call[1], function.file) else ()
        return (*self._accessors(index, function), self.c)

    def _accessors(self, index: Index, function: Definition) -> Iterator[str]:
        """Yield calls of functions that return nothing but this input."""
        own = {one.name: one.type for one in parameters(function)}
        word = re.split(r"->|\.", self.c)[-1].encode()
        for path in index.scope(function.file):
            text = index.text(path) or b""
            file = index.file(path) if word in text else None
            for one in _defined(file) if path.startswith(index.target.folder) and file else ():
                given = parameters(one)
                if [p.type for p in given] != [own[self.holder]] or word not in one.text:
                    continue
                if path == function.file and one.start > function.start:
                    continue
                mine = self.c.replace(self.holder, given[0].name, 1)
                if [re.sub(r"\s", "", syntax.text(n)) for n in returned(index, one)] == [mine]:
                    yield f"{one.name}({self.holder})"


def value_of(index: Index, name: str, c: str, here: str) -> Value | str:
    """Return an input that a role can hold, as seen from a file, or why none can."""
    call = _CALL.fullmatch(c)
    if call is not None:
        found = index.functions(call[1], here)
        if not found or not all(_is_truth(one) for one in found):
            return f"{call[1]}() returns no bool, so how many bits it takes is not known"
        feature = _FEATURE.search(call[3])
        stem = call[1].removeprefix("guest_")
        member = f"{stem}_{feature[1].lower()}" if feature is not None else stem
        return Value(name, c, member, 1, call[2])
    path = _PATH.fullmatch(c)
    if path is None and re.fullmatch(r"\w+", c):
        return f"{c} is a variable of the host, so no role of a vCPU can hold it"
    if path is None:
        return f"how a function that calculates the role would read {c} is not known"
    steps = re.split(r"->|\.", path[2])[1:]
    width = _width(index, steps)
    if width is None:
        return f"how many bits {name} takes is not known"
    return Value(name, c, steps[-1], width, path[1])


def _width(index: Index, steps: list[str]) -> int | None:
    """Return how many bits an input takes: those of its greatest value, or of its type."""
    target = index.target
    own = steps[0] == "arch"  # of the host, by the name that it has in its handle
    tag, where = (target.host, target.header) if own else (target.handle, target.main)
    if not index.record(f"struct {tag}", where):
        return None
    here: object = Types(index).record(f"struct {tag}", where)
    place = ""
    for step in steps[own:]:
        if isinstance(here, PointerType):
            here = settled(here.target)
        if not isinstance(here, RecordType) or step not in here.by_name:
            return None
        place, here = f"{here.tag}.{step}", settled(here.by_name[step][1])
    known = index.target.registers.ranges.get(place)
    if known is not None:
        return int(known[1]).bit_length()
    if not isinstance(here, IntType):
        return None
    return 1 if here.boolean else here.width


def _defined(file: FileIndex) -> Iterator[Definition]:
    for definitions in file.functions.values():
        yield from definitions


def _is_truth(function: Definition) -> bool:
    head = strip_comments(function.text.partition(b"(")[0])
    return re.search(rb"\bbool\b", head) is not None
