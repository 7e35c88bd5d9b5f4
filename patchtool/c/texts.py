# SPDX-License-Identifier: GPL-2.0-only
"""The texts of a tree, each read once, and which of them take in which others.

In: a source and a target.  Out: texts without comments, their outermost items and words; what
a translation unit consists of, and under which conditions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from posixpath import dirname, join, normpath
from typing import Protocol, cast

from patchtool.c.scan import (
    WORDS,
    Conditions,
    FileIndex,
    cut_comments,
    opens_line,
    scan,
    strip_comments,
    unspliced,
)
from patchtool.target.record import Target

_INCLUDE = re.compile(
    rb'#[ \t]*+(?:include(?:_next)?|import|embed)\b[ \t]*+(?:(["<])([^">\n]+)[">])?'
)
"""What takes in another file; its name is missing where a macro gives it."""
_BRANCHES = re.compile(
    rb"^[ \t]*+#[ \t]*+(if|ifdef|ifndef|elif|elifdef|elifndef|else|endif)\b", re.M
)
"""What conditions around a place are made of; a header has one around all of it."""
_MADE = ".mod.c"
"""How modpost names what it makes for each module, anew in each build."""
_BODY = re.compile(rb"\)[^;{}()=]*\{")
_TAKES_IN = re.compile(rb'\.c[">]')
MAX_WAYS = 12
"""How many definitions of a name, or ways to a file, are held against one another."""


class Readable(Protocol):
    """What is needed of a source."""

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file, None where there is none."""

    def walk(self, folder: str) -> tuple[str, ...]:
        """Return the files below a folder."""


def joined(around: Conditions, inner: Conditions) -> Conditions:
    """Return what has to hold for a place within another one."""
    return tuple(dict.fromkeys((*around, *inner)))


class Texts:
    """The texts of one tree, read on demand and remembered."""

    def __init__(self, source: Readable, target: Target) -> None:
        self.source = source
        self.target = target
        self._ours = target.ours
        self._followed = (*target.ours, *target.followed)
        self._raw: dict[str, bytes | None] = {}
        self._texts: dict[str, bytes | None] = {}
        self._files: dict[str, FileIndex | None] = {}
        self._scopes: dict[str, tuple[str, ...]] = {}
        self._conditions: dict[str, Mapping[int, Conditions | None]] = {}
        self._under: dict[str, Mapping[str, Sequence[Conditions]]] = {}
        self._words: dict[str, frozenset[bytes]] = {}
        self._taken: dict[str, list[tuple[int, str]]] = {}
        self._unfound: dict[str, list[tuple[int, str]]] = {}
        self._includes: dict[str, tuple[str, ...]] = {}
        self._takers: dict[str, tuple[str, ...]] = {}
        self._together: dict[str, frozenset[str]] = {}

    @property
    def asked(self) -> tuple[str, ...]:
        """Every path that was asked for, sorted."""
        return tuple(sorted(self._raw))

    def notes(self) -> object:
        """Return what an index of the same tree has to be told of what this one was asked."""
        return self.asked

    def take(self, notes: object) -> None:
        """Take over what another index of the same tree was asked, as its notes tell."""
        for path in cast(tuple[str, ...], notes):
            self.raw(path)

    def raw(self, path: str) -> bytes | None:
        """Return the text of a file with its comments, None where there is no such file.

        Lines end in LF, and no word does.  What is not in here is not in ``text`` either.
        """
        if path not in self._raw:
            data = self.source.read(path)
            # One byte is looked for fifty times as fast as two.
            if data is not None and b"\r" in data:
                data = data.replace(b"\r\n", b"\n")
            if data is not None and b"\\" in data and path.startswith(self._followed):
                data = unspliced(data)
            self._raw[path] = data
        return self._raw[path]

    def text(self, path: str) -> bytes | None:
        """Return the text of a file, None where there is no such file.

        In the target's files, and in others that are followed, comments are blanks.
        """
        if path not in self._texts:
            data = self.raw(path)
            if data is not None and path.startswith(self._followed):
                data = strip_comments(data)
            self._texts[path] = data
        return self._texts[path]

    def original(self, path: str) -> bytes:
        """Return the text of a file with its comments; offsets are those of ``text``."""
        return (self.source.read(path) or b"").replace(b"\r\n", b"\n")

    def file(self, path: str) -> FileIndex | None:
        """Return the items of a file, None where there is no such file."""
        if path not in self._files:
            data = self.text(path)
            self._files[path] = (
                None if data is None else scan(path, strip_comments(data), self.target.options)
            )
        return self._files[path]

    @cached_property
    def own_files(self) -> tuple[str, ...]:
        """All C files in the target's folder, sorted: headers, and all that such files include.

        What a build of modules leaves there is none of them.
        """
        walked = self.source.walk(self.target.folder)
        found = [p for p in walked if p.endswith((".c", ".h")) and not self._is_made(p)]
        known = set(found)
        for path in found:
            for one in self.included(path):
                if one.startswith(f"{self.target.folder}/") and one not in known:
                    known.add(one)
                    found.append(one)
        return tuple(sorted(found))

    def _is_made(self, path: str) -> bool:
        """Tell whether modpost has made a file, which tells the loader of a module's symbols."""
        data = self.raw(path) or b"" if path.endswith(_MADE) else b""
        return b"__this_module" in data and _BODY.search(data) is None

    def words_in(self, path: str) -> frozenset[bytes]:
        """Return the words of a file, none if it is not there.

        Of the target's files most are looked into, so that their text is there.
        """
        known = self._words.get(path)
        if known is None:
            ours = path.startswith(self.target.folder)
            data = self.text(path) if ours else cut_comments(self.raw(path) or b"")
            known = self._words[path] = frozenset((data or b"").translate(WORDS).split())
        return known

    @cached_property
    def _own(self) -> dict[bytes, list[str]]:
        """The files of the target that hold each word."""
        found: dict[bytes, list[str]] = {}
        for path in self.own_files:
            for word in self.words_in(path):
                found.setdefault(word, []).append(path)
        return found

    def own_with(self, word: bytes) -> Sequence[str]:
        """Return the paths of the target's files that hold a word, sorted."""
        return self._own.get(word, ())

    def texts_with(self, word: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield the paths and the texts of the target's files that hold a word."""
        for path in self.own_with(word):
            yield path, self.text(path) or b""

    def files_with(self, word: bytes) -> Iterator[FileIndex]:
        """Yield the files of the target that hold a word."""
        for path, _ in self.texts_with(word):
            found = self.file(path)
            assert found is not None
            yield found

    # -- where a name may come from -----------------------------------------------

    def _resolve(self, name: str, quoted: bool, here: str) -> str | None:
        is_ours = here.startswith((self.target.folder, *self.target.generic))
        if quoted:
            near = normpath(join(dirname(here), name))
            if not near.startswith("../") and self.raw(near) is not None:
                return near
            # A name in quotes may lead out of a folder; the target's own is the last of them.
            for root in (*self.target.roots, *((self.target.folder,) if is_ours else ())):
                path = normpath(join(root, name))
                if not path.startswith("../") and self.raw(path) is not None:
                    return path
        clean = normpath(name)
        if clean.startswith(("../", "/")):
            return None
        ours = clean.startswith(("asm/", "uapi/asm/"))
        for root in self.target.roots:
            if root.startswith("arch") != ours:
                continue
            path = join(root, clean)
            if self.raw(path) is not None:
                return path
        # Its Makefile may name the target's folder as a place of headers.
        path = join(self.target.folder, clean)
        return path if is_ours and self.raw(path) is not None else None

    def scope(self, path: str) -> tuple[str, ...]:
        """Return a file and the headers that it includes, nearest first.

        Followed are the headers of the target, and from anywhere those of plain numbers;
        of all others none, because what decides a role lives in a header that the target
        names itself.
        """
        known = self._scopes.get(path)
        if known is None:
            order = {path: None}
            todo = [path]
            for here in todo:
                for target in self.included(here):
                    if target not in order:
                        order[target] = None
                        todo.append(target)
            if self.target.header in order:
                order |= {p: None for p in self.target.others if self.raw(p) is not None}
            near_ones = (*self._ours, *self.target.near)
            near = [p for p in order if p.startswith(near_ones)]
            far = [p for p in order if not p.startswith(near_ones)]
            known = self._scopes[path] = (*near, *far)
        return known

    def _above(self, path: str) -> tuple[str, ...]:
        """Return a file and those that take it in, the nearest first."""
        if path not in self._takers:
            order = {path: None}
            todo = [path]
            for here in todo:
                above = [p for p in self.own_files if p not in order and here in self.included(p)]
                order |= dict.fromkeys(above)
                todo += above
            self._takers[path] = tuple(order)
        return self._takers[path]

    def compiled_with(self, path: str) -> frozenset[str]:
        """Return the files that are compiled together with one: what includes it, and all in it."""
        known = self._together.get(path)
        if known is None:
            known = frozenset(one for top in self._above(path) for one in self.scope(top))
            self._together[path] = known
        return known

    def taken_in_by(self, path: str) -> str | None:
        """Return a C file that takes in a header, itself or by another one; None if none does."""
        return next((one for one in self._above(path) if one.endswith(".c")), None)

    @cached_property
    def compiled_by(self) -> Mapping[str, Sequence[str]]:
        """The C files that others include, by whose macros they are read, and which do."""
        found: dict[str, list[str]] = {}
        for path in sorted(self.own_files):
            if _TAKES_IN.search(self.raw(path) or b"") is not None:
                for target in self.included(path):
                    if target.endswith(".c") and path.endswith(".c"):
                        found.setdefault(target, []).append(path)
        return found

    def included(self, path: str) -> tuple[str, ...]:
        """Return the headers that a file includes, where they are followed at all."""
        known = self._includes.get(path)
        if known is None:
            targets: list[str] = []
            generic = self.target.generic
            is_generic = path.startswith(generic)
            if is_generic or path.startswith(self._followed):
                data = self.raw(path) or b""
                for match in _INCLUDE.finditer(data):
                    if not opens_line(data, match.start()):
                        continue
                    name = (match[2] or b"").decode("utf-8", "replace")
                    target = self._resolve(name, match[1] == b'"', path) if name else None
                    if target is None:
                        if match[1] != b"<":
                            self._unfound.setdefault(path, []).append((match.start(), name))
                        continue
                    if is_generic:
                        is_followed = target.startswith((*generic, *self._ours))
                    else:
                        is_followed = path.startswith(self._ours) or self._is_constants(target)
                    if is_followed:
                        targets.append(target)
                        self._taken.setdefault(path, []).append((match.start(), target))
            known = self._includes[path] = tuple(targets)
        return known

    def _taken_under(self, scope: tuple[str, ...]) -> Mapping[str, Sequence[Conditions]]:
        """Return under which conditions a unit takes in some files, one list for each way.

        Left out is what it takes in anyway; what no build takes in has no way.
        """
        known = self._under.get(scope[0])
        if known is None:
            ways: dict[str, set[Conditions]] = {scope[0]: {()}}
            todo = [scope[0]]
            while todo:
                here = todo.pop()
                edges = self._conditional(here)
                for at, target in self._taken_in(here):
                    edge, old = edges.get(at, ()), ways.get(target)
                    if old is not None and () in old:
                        continue
                    more = {joined(way, edge) for way in ways[here]} if edge is not None else set()
                    # Of very many ways some are left out, so that they decide nothing.
                    new: set[Conditions] = set(sorted((old or set()) | more)[:MAX_WAYS])
                    new = {()} if () in more else new
                    if new != old:
                        ways[target] = new
                        todo.append(target)
            known = {one: sorted(some) for one, some in ways.items() if () not in some}
            self._under[scope[0]] = known
        return known

    def _taken_in(self, path: str) -> Sequence[tuple[int, str]]:
        """Return which files one takes in, and where."""
        self.included(path)
        return self._taken.get(path, ())

    def _conditional(self, path: str) -> Mapping[int, Conditions | None]:
        """Return the conditions around what a file takes in, by where that stands."""
        known = self._conditions.get(path)
        if known is None:
            taken = self._taken_in(path)
            front = (self.raw(path) or b"")[: taken[-1][0]] if taken else b""
            branches = _BRANCHES.findall(front)
            is_plain = not branches or (branches == [b"ifndef"] and path.endswith(".h"))
            file = None if is_plain else self.file(path)
            known = self._conditions[path] = file.includes if file is not None else {}
        return known

    def unfound(self, path: str) -> Sequence[tuple[int, str]]:
        """Return what a file includes by a name in quotes that is not there, or by a macro ("")."""
        self.included(path)
        return self._unfound.get(path, ())

    def taken_into_bodies(self, path: str) -> Iterator[tuple[int, str]]:
        """Yield where a function of a file takes in another file, and which."""
        self.included(path)
        first = (self.raw(path) or b"").find(b"{")
        for at, target in self._taken.get(path, ()):
            if at > first and (file := self.file(path)) is not None and file.in_body(at):
                yield at, target

    def _is_constants(self, path: str) -> bool:
        """Tell whether a header is one of plain numbers, as those of registers are."""
        beginnings, ends = self.target.constants
        return path.startswith(beginnings) or path.endswith(ends)
