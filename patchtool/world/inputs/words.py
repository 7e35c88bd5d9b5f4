# SPDX-License-Identifier: GPL-2.0-only
"""The words that stand for a record by which a guest is told of its CPU, or for a way to one.

In: a tree.  Out: members and objects that hold such a record or point to one, functions that
return a pointer, the macros that mention any of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from patchtool.c.index import split_arguments
from patchtool.c.scan import FileIndex, first_of_line, places
from patchtool.world.entries import Tree

_MEMBER = (
    rb"\bstruct\s+%s\b(?:\s*const)?((?:[\s*,]|\w+|\[[^\]]*\])+);"
    rb"|\bstruct\s+%s\s*,\s*(\w+)\s*\)"
)
_PROTOTYPE = rb"\bstruct\s+%s\s*\*\s*(\w+)\s*\(([^;{}]*)\)[^;{}()]*;"
_DECLARED = re.compile(rb"(\**)\s*(?:const\s+)?\b([A-Za-z_]\w*)\s*(\[[^\]]*\])?")
_DEFINE = re.compile(rb"[ \t]*#[ \t]*define[ \t]+(\w+)")


class Words:
    """The words that stand for a record of a kind, for a pointer to one, or for a part of one.

    ``members`` gives the tags of what holds a member of some name, which is one of the
    ``pointers`` to a record, or of ``arrays`` of them, or else a record itself; ``holding`` is
    what is declared as one of what holds such a member, or as a pointer to one.  ``getters``
    return a pointer to a record, ``registers`` the address of one of the members given.
    """

    def __init__(self, tree: Tree) -> None:
        registers = tree.index.target.registers
        self._tree, self._index, self._tables = tree, tree.index, registers.tables
        self.tag, self.parameter = self._tables.record, self._tables.parameter
        self.kept = frozenset(tree.told_in)
        self.stored = frozenset((*self._tables.registers, *self._tables.keys))
        self.members: dict[str, set[str]] = {}
        self.pointers, self.arrays, self.holding = set[str](), set[str](), set[str]()
        self.globals, self.getters = set[str](), set[str]()
        self.declared: dict[str, list[str]] = {}
        """The names of the parameters of those that are declared."""
        self.registers: dict[str, frozenset[str] | None] = {}
        self.macros = set[str]()
        self.strange = set[str]()
        """What is more than can be followed, as other names of the type are."""
        self._reading: dict[bytes, bool] = {}
        self._spoken: dict[bytes, frozenset[bytes]] = {}
        self._find()

    @property
    def all(self) -> set[str]:
        """All of them."""
        return {
            self.tag, *self.members, *self.globals, *self.getters, *self.registers, *self.macros,
            *self.strange,
        }  # fmt: skip

    def _find(self) -> None:
        tag = self.tag.encode()
        for file in self._files_with(tag):
            outside = [at for at in places(file.data, tag) if file.function_at(at) is None]
            if outside:
                self._declare(file, outside)
        for _, function in self._index.users(self.tag):
            head = function.text.partition(b"{")[0]
            if re.search(rb"\b%s\b[^(]*\*[^(]*\(" % tag, head) is not None:
                self.getters.add(function.name)
        for holder in {one for tags in self.members.values() for one in tags}:
            typed = re.compile(rb"\bstruct\s+%s\b[\s*]*(?:__\w+[\s*]*)*(\w+)" % holder.encode())
            for file in self._files_with(holder.encode()) if holder else ():
                self.holding.update(one.decode() for one in typed.findall(file.data))
        self.add_macros(set())

    def _files_with(self, word: bytes) -> Iterator[FileIndex]:
        for path in self._near:
            if word in self._index.words_in(path):
                file = self._index.file(path)
                if file is not None:
                    yield file

    def _declare(self, file: FileIndex, outside: list[int]) -> None:
        """Note what is declared where the tag of the record stands outside of functions."""
        tag, data = self.tag.encode(), file.data
        inside: list[tuple[int, int]] = []
        members = re.compile(_MEMBER % (tag, tag))
        for records in file.records.values():
            for one in records:
                if one.name == self.tag or one.name.split()[-1:] == [self.tag]:
                    inside.append((one.start, data.find(b"{", one.start) + 1))
                for each in members.finditer(one.text) if tag in one.text else ():
                    listed = each[1] if each[1] is not None else each[2] + b"[]"
                    owner = re.search(r"\w+$", one.name)
                    for stars, name, array in _DECLARED.findall(listed):
                        member = name.decode()
                        self.members.setdefault(member, set()).add(owner[0] if owner else "")
                        if stars:
                            self.pointers.add(member)
                        elif array:
                            self.arrays.add(member)
                    inside.append((one.start + each.start(), one.start + each.end()))
        for found in re.finditer(_PROTOTYPE % tag, data):
            if file.function_at(found.start()) is None:
                name, given = found[1].decode(), found[2].decode("utf-8", "replace")
                self.getters.add(name)
                names = [re.findall(r"\w+", one)[-1:] for one in split_arguments(given)]
                self.declared[name] = ["".join(one) for one in names]
        for at in outside:
            is_inside = any(start <= at < end for start, end in inside)
            if is_inside or _DEFINE.match(data, first_of_line(data, at)) is not None:
                continue
            start = max(data.rfind(one, 0, at) for one in (b";", b"{", b"}", b"\n#")) + 1
            end = data.find(b";", at)
            rest = data[at + len(tag) : end]
            if b"(" in rest.partition(b"=")[0] or b"(" in data[start:at] or not rest.strip():
                continue  # a prototype, a pointer to a function, a declaration of the tag
            if data[start:at].lstrip().startswith(b"typedef"):
                self.strange.update(re.findall(r"\w+", rest.decode("utf-8", "replace"))[-1:])
            else:
                for _, name, _ in _DECLARED.findall(rest.partition(b"=")[0]):
                    self.globals.add(name.decode())

    @cached_property
    def _near(self) -> tuple[str, ...]:
        """The files of its own."""
        built = self._index.target.built_from
        return tuple(path for path in self._tree.objects.files if path.startswith(built))

    def add_macros(self, done: set[str]) -> None:
        """Add the macros that mention a word, themselves or through others."""
        while new := self.all - done:
            done |= new
            for word in sorted(new):
                for path in self._near:
                    if word.encode() not in self._index.words_in(path):
                        continue
                    data = self._index.text(path) or b""
                    for at in places(data, word.encode()):
                        name = _DEFINE.match(data, first_of_line(data, at))
                        if name is not None and name.end() < at:
                            self.macros.add(name[1].decode())

    def inner(self, word: bytes) -> frozenset[bytes]:
        """Return the words that a macro stands for, itself or through others."""
        known = self._spoken.get(word)
        if known is None:
            self._spoken[word] = frozenset()
            inner = self._index.macro_words(word, self._near) or frozenset()
            more = self._index.macros_among(inner - {word}, self._near)
            known = inner.union(*map(self.inner, more)) if more else inner
            self._spoken[word] = known
        return known

    def among(self, words: frozenset[bytes]) -> frozenset[bytes]:
        """Return which of some words are macros."""
        return self._index.macros_among(words, self._near)

    def is_reading(self, word: bytes) -> bool:
        """Tell whether a macro names a member of such a record, itself or through others."""
        known = self._reading.get(word)
        if known is None:
            inner = self.inner(word)
            known = not self._stored.isdisjoint(inner) and any(
                self._names_member(one.decode())
                for one in self._index.macros_among(inner | {word}, self._near)
            )
            self._reading[word] = known
        return known

    @cached_property
    def _stored(self) -> frozenset[bytes]:
        return frozenset(one.encode() for one in self.stored)

    def _names_member(self, macro: str) -> bool:
        member = re.compile(rb"(?:->|\.)\s*(?:%s)\b" % b"|".join(sorted(self._stored)))
        return any(
            member.search(one.text) is not None
            for file in self._files_with(macro.encode())
            for one in file.macros(macro)
        )
