# SPDX-License-Identifier: GPL-2.0-only
"""Tables of operations: which functions they keep under a name, and which leave it out.

In: an index and the name of an operation.  Out: what is kept for it, by whatever way, and the
first table that keeps no function for it: that leaves it out, in some configuration, or that
sets it to NULL or to a value that is not known to be a function.  A static call that is aimed
at nothing runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from patchtool.c.index import Index, expand, split_arguments
from patchtool.c.lower.records import LeftOut
from patchtool.c.scan import Definition, FileIndex, before, places
from patchtool.model import Place

_ASSIGNED = re.compile(rb"\s*=(?!=)\s*((?:[^(),;{}]|\((?:[^()]|\([^()]*\))*\))*)")
_UPDATED = re.compile(rb"static_call_update\s*\(\s*(\w+)\s*,\s*&?\s*(\w+)")
_FUNCTION = re.compile(r"\s*(?:\(\s*void\s*\*\s*\)\s*)?&?\s*(\w+)\s*")
"""A value that is a function, by its name alone."""
_NULL = re.compile(r"[\s(]*(?:\(\s*void\s*\*\s*\)\s*)?(?:NULL|0)[\s)]*")
_TAG = re.compile(rb"\bstruct\s+(\w+)\b[^={]*=\s*\{")
"""The head of a table: the tag of its record."""
_BRANCH = re.compile(rb"^[ \t]*#[ \t]*(if|el|endif)(se)?", re.MULTILINE)
_NOTHING = b"__static_call_return0"
_DEFINED = re.compile(
    rb"^[ \t]*#[ \t]*define[ \t]+(\w+)((?:[^\n\\]|\\.)*)", re.MULTILINE | re.DOTALL
)


class Tables:
    """The tables of functions of one tree."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._left_out: dict[str, LeftOut | None] = {}

    def kept_for(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield the names that are kept for an operation, and in which file."""
        for file, _, value in self._given(name):
            for target in self._names(value, file.path):
                yield target, file.path
        for target, place in self._updated.get(self._index.target.prefix + name, ()):
            yield target, place.file

    def left_out(self, name: str) -> LeftOut | None:
        """Return a table that keeps no function for an operation, None if all keep one."""
        if name not in self._left_out:
            found = [*self._without(name)]
            is_zero = bool(found) and all(one for _, one in found) and self._is_zero(name)
            self._left_out[name] = LeftOut(found[0][0], is_zero) if found else None
        return self._left_out[name]

    def _given(self, name: str) -> Iterator[tuple[FileIndex, int, str]]:
        """Yield where a member of a name is given a value, and the value."""
        word = name.encode()
        for path, data in self._index.texts_with(word):
            file = self._index.file(path)
            for at in places(data, word) if file is not None else ():
                match = _ASSIGNED.match(data, at + len(word))
                if match is not None and before(data, at).endswith((b".", b"->")):
                    assert file is not None
                    yield file, at, match.group(1).decode("utf-8", "replace")

    @cached_property
    def _updated(self) -> Mapping[str, list[tuple[str, Place]]]:
        """What static calls are aimed at while the kernel runs, and where."""
        found: dict[str, list[tuple[str, Place]]] = {}
        for file in self._index.files_with(b"static_call_update"):
            for one in _UPDATED.finditer(file.data):
                place = Place(file.path, file.line(one.start()))
                found.setdefault(one[1].decode(), []).append((one[2].decode(), place))
        return found

    def _readings(self, value: str, path: str) -> Iterator[str]:
        """Yield a value as it stands, or else what each macro that it calls makes of it."""
        call = re.fullmatch(r"\s*(\w+)\s*\(([^()]*)\)\s*", value)
        macros = self._index.macros(call[1], path) if call is not None else ()
        for macro in macros:
            assert call is not None
            yield expand(macro, split_arguments(call[2])) or ""
        if not macros:
            yield value

    def _names(self, value: str, path: str) -> frozenset[str]:
        """Return the names in what a member is set to, those that macros make of it included."""
        names = set(re.findall(r"[A-Za-z_]\w*", value))
        for made in self._readings(value, path):
            names.update(re.findall(r"[A-Za-z_]\w*", made))
        return frozenset(names)

    def _is_function(self, value: str, path: str) -> bool:
        """Tell whether a value is a function, however its macros are defined."""
        return all(
            (named := _FUNCTION.fullmatch(one)) is not None
            and bool(self._index.functions(named[1], path))
            for one in self._readings(value, path)
        )

    def _without(self, name: str) -> Iterator[tuple[Place, bool]]:
        """Yield the tables that keep no function for an operation, and whether for sure."""
        index, tags, tables, filled = self._index, set[bytes](), set[tuple[str, str, int]](), []
        for file, at, value in self._given(name):
            if not self._is_function(value, file.path):
                is_null = all(map(_NULL.fullmatch, self._readings(value, file.path)))
                yield Place(file.path, file.line(at)), is_null
            for table in file.objects_around(at):
                head = _TAG.search(table.text)
                tags |= {head[1]} if head is not None else set()
                if self._is_always(table, name):
                    tables.add(table.key)
                    filled.append(file.path)
        for target, place in self._updated.get(index.target.prefix + name, ()):
            if not index.functions(target, place.file):
                yield place, target == _NOTHING.decode()
        for tag in sorted(tags):
            for file in index.files_with(tag):
                for group in file.objects.values():
                    for one in group:
                        if one.key in tables:
                            continue
                        head = _TAG.search(one.text)
                        if head is not None and head[1] == tag:
                            yield Place(one.file, one.line), True
        for vendor in index.target.vendors:
            own = next((one for one in index.own_files if one.startswith(vendor)), None)
            if filled and own is not None and not any(one.startswith(vendor) for one in filled):
                yield Place(own, 1), True

    def _is_always(self, table: Definition, name: str) -> bool:
        """Tell whether a table gives a member a value in every configuration."""
        text = table.text
        spots = {at: before(text, at).endswith(b".") for at in places(text, name.encode())}
        branches = {one.start(): one for one in _BRANCH.finditer(text)}
        given, stack = False, list[tuple[bool, bool, bool]]()
        every, is_whole = True, False
        for at in sorted((*spots, *branches)):
            one = branches.get(at)
            if one is None:
                given = given or spots[at]
            elif one[1] == b"if":
                stack.append((given, every, is_whole))
                given, every, is_whole = False, True, False
            elif one[1] == b"el":
                every, given, is_whole = every and given, False, one[2] is not None
            elif stack:
                is_given = every and given and is_whole
                given, every, is_whole = stack.pop()
                given = given or is_given
        return given

    def _is_zero(self, name: str) -> bool:
        """Tell whether a static call that is aimed at nothing returns 0, whoever lists it."""
        called = re.compile(rb"\b(\w+)\s*\(\s*" + name.encode() + rb"\s*\)")
        aimed = {one[1] for text in self._listing for one in called.finditer(text)}
        return bool(aimed) and aimed <= self._aimed_at_zero

    @cached_property
    def _listing(self) -> tuple[bytes, ...]:
        """The headers that are included where static calls are aimed, to list the operations."""
        index = self._index
        aiming = [path for path, _ in index.texts_with(b"static_call_update")]
        paths = dict.fromkeys(one for each in aiming for _, one in index.taken_into_bodies(each))
        return tuple(index.text(path) or b"" for path in paths)

    @cached_property
    def _aimed_at_zero(self) -> frozenset[bytes]:
        """The macros that aim a static call at what returns 0 where a table keeps nothing."""
        found: dict[bytes, bool] = {}
        for _, data in self._index.texts_with(b"static_call_update"):
            for one in _DEFINED.finditer(data):
                if b"static_call_update" in one[2]:
                    found[one[1]] = found.get(one[1], True) and _NOTHING in one[2]
        return frozenset(name for name, is_zero in found.items() if is_zero)
