# SPDX-License-Identifier: GPL-2.0-only
"""What is called through pointers: by a member, by an element, by a static call.

In: what a function does.  Out: the operations that it calls, each with what tells of its
answer, and the functions that the text keeps there.  Where none is found, or a value is kept
there that names no function, it is not known what an operation runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from patchtool.c import library
from patchtool.c.scan import Definition, FileIndex, before, places
from patchtool.world.above.deciding import POINTED
from patchtool.world.entries import Tree

_BY_MEMBER = re.compile(rb"(?:->|\.)\s*(\w+)\s*\(")
_BY_STAR = re.compile(rb"(\w*)\s*\(\s*\*?\s*\w[\w\s>.\[\]-]*(?:->|\.)\s*(\w+)\s*\)\s*\(")
_BY_ELEMENT = re.compile(rb"\b([A-Za-z_]\w*)\s*(?:\[[^\];]*\]\s*)+\)?\s*\(")
_BY_NAME = re.compile(rb"\b(\w+)\s*\(\s*(\w+)\s*\)\s*\(")
_BRANCHES = frozenset((b"if", b"while", b"for", b"switch", b"return", b"sizeof"))
_STATIC_CALL = re.compile(
    rb"\b(?:DEFINE_STATIC_CALL\w*|static_call_update)\(\s*(\w+)\s*,\s*&?\s*\Z"
)
_MADE = re.compile(rb"\n\t\.(\w+)\s*=\s*\w+\(\s*(\w+)\s*\)")
_TO_WHICH = re.compile(rb"\.\s*(\w+)\s*=\s*&?\Z")
"""What names the member of an object that is initialised."""


class Operations:
    """What the text of one tree calls through pointers."""

    def __init__(self, tree: Tree) -> None:
        self._tree, self._index = tree, tree.index
        target = tree.index.target
        self._dispatchers = frozenset(one.encode() for one in library.dispatchers(target))
        self._known: dict[str, tuple[Definition, ...]] = {}

    def called(self, body: bytes) -> Mapping[str, str]:
        """Return the operations that a piece of C calls, by the words that tell of the answer."""
        found: dict[str, str] = {}
        for name in _BY_MEMBER.findall(body):
            found[POINTED + name.decode()] = name.decode()
        for lead, name in _BY_STAR.findall(body):
            if lead not in _BRANCHES:
                found[name.decode()] = name.decode()
        for name in _BY_ELEMENT.findall(body):
            found[name.decode()] = name.decode()
        for lead, name in _BY_NAME.findall(body):
            if lead in self._dispatchers:
                found[name.decode()] = self._named(name.decode())
        return found

    def _named(self, name: str) -> str:
        return name.removeprefix(self._index.target.prefix)

    def run_by(self, operation: str) -> tuple[Definition, ...]:
        """Return the functions that are kept for an operation, each once; none if not all are."""
        if operation not in self._known:
            found = {one.key: one for _, one in self._tree.effects.operations(operation)}
            word = operation.encode()
            for path, data in self._index.texts_with(word):
                for at in places(data, word):
                    for name in self._kept_at(path, data, at, len(word)):
                        for one in self._index.functions(name, path):
                            found.setdefault(one.key, one)
            self._known[operation] = tuple(found.values())
        return self._known[operation]

    def _kept_at(self, path: str, data: bytes, at: int, length: int) -> Iterator[str]:
        """Yield what may be functions where an object, or a static call, of a name is defined."""
        rest = data[at + length : at + length + 200]
        lead = before(data, at)
        if lead.endswith(b"(") and _STATIC_CALL.search(lead + b"x,") is not None:
            yield from re.findall(r"\w+", rest.partition(b")")[0].decode("utf-8", "replace"))
        file = self._index.file(path)
        name = data[at : at + length].decode()
        for one in file.objects.get(name, ()) if file is not None else ():
            if one.holds(at):
                text = one.text.partition(b"=")[2].decode("utf-8", "replace")
                yield from re.findall(r"[A-Za-z_]\w*", text)

    def holder(self, file: FileIndex, at: int) -> str | None:
        """Return the operation for which the function is kept whose name stands at a place."""
        lead = before(file.data, at)
        found = _TO_WHICH.search(lead) or _STATIC_CALL.search(lead)
        if found is not None:
            return self._named(found[1].decode())
        return next((one.name for one in file.objects_around(at)), None)

    def pasted(self, function: Definition) -> Iterator[str]:
        """Yield the operations for which a macro may keep a function by a name that it pastes."""
        parts = function.name.split("_")
        for number in range(1, len(parts)):
            operation = "_".join(parts[number:])
            if operation in self._made:
                if any(one.key == function.key for one in self.run_by(operation)):
                    yield operation

    @cached_property
    def _made(self) -> frozenset[str]:
        """The members that are given what a macro of the same file makes of their names."""
        found: set[str] = set()
        for path in self._index.own_files:
            data = (self._index.text(path) or b"") if path.endswith(".c") else b""
            if b"##" in data:
                found.update(one.decode() for one, given in _MADE.findall(data) if one == given)
        return frozenset(found)

    def calling(self, operation: str) -> Iterator[tuple[str, str]]:
        """Yield who calls an operation: file and function."""
        for name in dict.fromkeys((operation, self._index.target.prefix + operation)):
            word = name.encode()
            for path, data in self._index.texts_with(word):
                file = self._index.file(path)
                for at in places(data, word) if file is not None else ():
                    assert file is not None
                    inside = file.function_at(at)
                    near = data[max(0, at - 80) : at + len(word) + 80]
                    if inside is not None and operation in self.called(near).values():
                        yield path, inside
