# SPDX-License-Identifier: GPL-2.0-only
"""Tell from texts alone whether a verdict can have changed.

In: what the engine asked of one tree (a lens) and the bytes of files.  Out: a digest
per file over whatever that lens can see.  Trees with equal digests have one verdict: the
engine is a function of its answers, and every answer is made of text that is kept here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar, cast

from patchtool.c.index import Index, calls
from patchtool.c.layout import GRANTED, Types
from patchtool.c.scan import (
    Definition,
    FileIndex,
    foreign,
    scan,
    strip_comments,
    unfinished,
)
from patchtool.c.syntax import Node
from patchtool.c.texts import Readable
from patchtool.model import Report
from patchtool.target.record import Target
from patchtool.world.effects import Effects, callers_of
from patchtool.world.linked import renamed
from patchtool.world.roles import find_roles, make_effects

EMPTY = b""
"""The digest of a file that holds nothing a lens can see."""

_ODD = b"?"
"""Stands for a piece that cannot be looked at by itself."""

_WORD = re.compile(rb"[A-Za-z_]\w*")
_DIRECTIVE = re.compile(rb"^[ \t]*\#[ \t]*(\w*)(?:[^\n\\]|\\.)*", re.M | re.S)
_CONDITIONAL = re.compile(rb"^([ \t]*\#[ \t]*)(if\w*|el\w+|endif)", re.M)
_DEFINE = re.compile(rb"\#[ \t]*define\b")
_DEFINED = re.compile(rb"[ \t]*\#[ \t]*define[ \t]+(\w+)")
_STATEMENT = re.compile(rb"[;{}]")
_STORING = re.compile(rb"(?<![=!])=(?!=)|&|\+\+|--|\b(?:WRITE_ONCE|swap|xchg|mem\w+)\b")
_OPEN_COMMENT = re.compile(rb'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/|(/\*|\*/)', re.S)
_BRACE = re.compile(
    rb"/\*.*?(?:\*/|\Z)|//[^\n]*|\"(?:[^\"\\\n]++|\\.)*+\"|'(?:[^'\\\n]++|\\.)*+'"
    rb"|^[ \t]*\#(?:[^\n\\]|\\.)*|([{}])",
    re.S | re.M,
)


Made = TypeVar("Made")


class Lens(NamedTuple):
    """The names by which the engine asked, and the paths that it asked for.

    A lens with more names sees more, so that a union of lenses serves each of them.
    """

    paths: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    macros: frozenset[str] = frozenset()
    records: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()
    enumerators: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()
    typedefs: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()
    """Words of which every mention counts."""
    stored: frozenset[str] = frozenset()
    """Words of which every statement that may store counts."""
    members: frozenset[str] = frozenset()
    """Roles and cached fields: which functions store to one of them counts."""
    roles: frozenset[str] = frozenset()
    contexts: frozenset[str] = frozenset()
    reaching: frozenset[str] = frozenset()
    """Functions through which a store to a member can be reached: who calls them counts."""

    def union(self, other: Lens) -> Lens:
        """Return the lens that sees what either sees."""
        both = {n: getattr(self, n) | getattr(other, n) for n in Lens._fields}
        return self if all(both[n] == getattr(self, n) for n in both) else Lens(**both)

    def words(self) -> dict[str, list[str]]:
        """Return the names by kind, sorted."""
        return {name: sorted(names) for name, names in self._asdict().items()}


class Recorder(Index):
    """An index that notes by which names it was asked.

    Whoever adds a question to the index adds it here: a test compares the two.
    """

    def __init__(self, source: Readable, target: Target, twin: Recorder | None = None) -> None:
        """Open a tree; what it has in common with TWIN is not worked out again."""
        super().__init__(source, target)
        self._twin = twin
        if twin is not None:
            self._nodes = twin._nodes
        self._asked: dict[str, set[str]] = {name: set() for name in Lens._fields}
        self._inner = 0

    def part(self) -> None:
        """Let go of the twin once the work is done."""
        self._twin = None

    def notes(self) -> object:
        """Return what this index was asked."""
        return self.asked, self._asked

    def take(self, notes: object) -> None:
        """Take over what another index was asked."""
        paths, asked = cast(tuple[tuple[str, ...], dict[str, set[str]]], notes)
        super().take(paths)
        for kind, names in asked.items():
            self._asked[kind] |= names

    def raw(self, path: str) -> bytes | None:
        """Return the text of a file with its comments; take over what the twin made of it."""
        if path in self._raw:
            return self._raw[path]
        data, twin = super().raw(path), self._twin
        if twin is not None and path in twin._raw and twin._raw[path] == data:
            _take_over(path, twin._words, self._words)
            _take_over(path, twin._texts, self._texts)
            _take_over(path, twin._files, self._files)
            _take_over(path, twin._called, self._called)
            _take_over(path, twin._generated, self._generated)
        return data

    def words_in(self, path: str) -> frozenset[bytes]:
        """Return the words of a file."""
        self.raw(path)
        return super().words_in(path)

    def calls_in(self, path: str) -> Mapping[str, frozenset[str]]:
        """Return what each function of a file calls."""
        self.raw(path)
        return super().calls_in(path)

    def text(self, path: str) -> bytes | None:
        """Return the text of a file."""
        self.raw(path)
        return super().text(path)

    def file(self, path: str) -> FileIndex | None:
        """Return the items of a file."""
        self.raw(path)
        return super().file(path)

    def functions(self, name: str, here: str) -> tuple[Definition, ...]:
        """Note a function; that all files are searched for it needs no note."""
        self._asked["functions"].add(name)
        self._inner += 1
        try:
            return super().functions(name, here)
        finally:
            self._inner -= 1

    def visible(self, name: str, here: str) -> tuple[Definition, ...]:
        """Note a function."""
        self._asked["functions"].add(name)
        return super().visible(name, here)

    def macros(self, name: str, here: str) -> tuple[Definition, ...]:
        """Note a macro."""
        self._asked["macros"].add(name)
        return super().macros(name, here)

    def macro_words(self, name: bytes, paths: tuple[str, ...]) -> frozenset[bytes] | None:
        """Note a name that may be that of a macro."""
        self._asked["macros"].add(name.decode("utf-8", "replace"))
        return super().macro_words(name, paths)

    def macros_among(self, words: frozenset[bytes], paths: tuple[str, ...]) -> frozenset[bytes]:
        """Return which of some words are names of macros in some files."""
        self._asked["macros"].update(one.decode() for one in words)
        return super().macros_among(words, paths)

    def taken_into_bodies(self, path: str) -> Iterator[tuple[int, str]]:
        """Return what functions of a file take in; such a function counts anyway."""
        self.raw(path)
        return super().taken_into_bodies(path)

    def varies(self, name: str) -> bool:
        """Note a word of which every mention counts."""
        self.watch(name)
        return super().varies(name)

    def is_renamed(self, name: str, here: str) -> bool:
        """Note a macro; those with small letters and without parameters count anyway."""
        if name.isupper():
            self._asked["macros"].add(name)
        return super().is_renamed(name, here)

    def is_hidden(self, name: str, paths: Iterable[str]) -> bool:
        """Note a macro."""
        self._asked["macros"].add(name)
        return super().is_hidden(name, paths)

    def record(self, tag: str, here: str) -> tuple[Definition, ...]:
        """Note a record with its keyword."""
        self._asked["records"].add(tag)
        return super().record(tag, here)

    def objects(self, name: str, here: str) -> tuple[Definition, ...]:
        """Note an initialised object."""
        self._asked["objects"].add(name)
        return super().objects(name, here)

    def enumerators(self, name: str, here: str) -> tuple[Definition, ...]:
        """Note an enumerator."""
        self._asked["enumerators"].add(name)
        return super().enumerators(name, here)

    def defines(self, name: str, here: str) -> bool:
        """Note what may be a function or a macro."""
        self._asked["functions"].add(name)
        self._asked["macros"].add(name)
        return super().defines(name, here)

    def declaration(self, name: str, here: str) -> tuple[str, int, str] | None:
        """Note a declared object."""
        self._asked["declared"].add(name)
        return super().declaration(name, here)

    def typedef(self, name: str, here: str) -> str | None:
        """Note a typedef."""
        self._asked["typedefs"].add(name)
        return super().typedef(name, here)

    def is_function_pointer(self, name: str, here: str) -> bool:
        """Note a typedef of pointers to functions."""
        self._asked["typedefs"].add(name)
        return super().is_function_pointer(name, here)

    def is_generic(self, name: str) -> bool:
        """Note a function that may be built into every architecture."""
        self._asked["functions"].add(name)
        return super().is_generic(name)

    def is_function_in(self, path: str, name: str) -> bool:
        """Note a function that a file may define."""
        self._asked["functions"].add(name)
        return super().is_function_in(path, name)

    def traces(self, name: str) -> bool:
        """Note a word of which every mention counts: an event that is traced."""
        self.watch(name.removeprefix("trace_"))
        return super().traces(name)

    def watch(self, name: str) -> None:
        """Note a word of which every mention counts."""
        self._asked["used"].add(name)

    def users(self, name: str, only: str | None = None) -> Iterator[tuple[FileIndex, Definition]]:
        """Note a word of which every mention counts."""
        self.watch(name)
        return super().users(name, only)

    def own_with(self, word: bytes) -> Sequence[str]:
        """Note a word of which every store counts: that is what files are searched for."""
        if not self._inner:
            self._asked["stored"].add(word.decode("utf-8", "replace"))
        return super().own_with(word)

    def is_seen(self, name: str) -> bool:
        """Note a function that must be defined somewhere."""
        self._asked["stored"].add(name)
        return super().is_seen(name)

    def node(self, definition: Definition) -> Node:
        """Note what is parsed, by whatever name it was found."""
        kind = definition.kind
        if kind in ("function", "macro", "object"):
            self._asked[f"{kind}s"].add(definition.name)
        elif definition.name:
            self._asked["records"].add(f"{kind} {definition.name}")
        return super().node(definition)

    def lens(self, report: Report, wanted: tuple[str, ...]) -> Lens:
        """Return what the check that made a report has seen."""
        asked = {kind: frozenset(names) for kind, names in self._asked.items()}
        roles = find_roles(self, Types(self))
        held = frozenset(name for names in roles.shape.contexts.values() for name in names)
        members = held | {*wanted}
        writers = make_effects(self, roles, members).writers
        paths = {*report.files, *self.asked}
        return Lens(**asked)._replace(
            paths=frozenset(paths),
            used=asked["used"] | _builders(self),
            stored=asked["stored"] - members - roles.contexts.keys(),
            members=members,
            roles=held,
            contexts=frozenset(roles.contexts),
            reaching=_reaching(self, frozenset(writers)),
        )


def _take_over(path: str, theirs: Mapping[str, Made], ours: dict[str, Made]) -> None:
    """Take over what was made of a file that both have."""
    if path in theirs:
        ours[path] = theirs[path]


def _builders(index: Index) -> frozenset[str]:
    """Return the macros that may define functions by pasting names."""
    found: set[str] = set()
    for path in index.asked:
        data = (index.text(path) or b"") if path.startswith(index.target.folder) else b""
        for match in _DIRECTIVE.finditer(data) if b"##" in data else ():
            name = _DEFINED.match(match.group())
            if name is not None and b"##" in match.group():
                found.add(name.group(1).decode())
    return frozenset(found)


def _reaching(index: Index, writers: frozenset[str]) -> frozenset[str]:
    """Return the functions from which a writer is reached; more than one file sees."""
    paths = [path for path in index.asked if path == index.target.header or index.target.owns(path)]
    return writers | callers_of(index, paths, writers)


# -- pieces of a file ----------------------------------------------------------------------


class _Item(NamedTuple):
    """One outermost item of a piece, or a statement between items."""

    kind: str
    name: str
    raw: bytes
    words: frozenset[bytes]


class _Piece:
    """What lies between two closing braces at the start of a line."""

    __slots__ = ("items", "net", "raw", "seen", "value", "wild")

    def __init__(self, raw: bytes, first: bool, last: bool) -> None:
        self.raw = raw
        self.seen: object = None
        self.value = EMPTY
        tail, _, body = (b"", b"", raw) if first else raw.partition(b"\n")
        end = b"" if last else b"\n}"
        text = body + end
        braces = [m.group(1) for m in _BRACE.finditer(raw + end) if m.group(1)]
        self.net = braces.count(b"{") - braces.count(b"}")
        self.wild = (
            tail.endswith(b"\\")
            or any(match.group(1) for match in _OPEN_COMMENT.finditer(raw + end))
            or foreign(plain := strip_comments(raw)) is not None
            or any(True for _ in renamed(plain))
            or (last and unfinished(_DIRECTIVE.sub(b"", body)))
        )
        self.items: tuple[_Item, ...] = ()
        if not (self.wild or self.net):
            self.items = tuple(_items(tail, text))


def _items(tail: bytes, text: bytes) -> Iterator[_Item]:
    """Yield the items of a piece in order; together they hold all of its text."""
    if tail.strip(b" \t\r;"):
        yield _Item("tail", "", tail, frozenset())
    file = scan("", _CONDITIONAL.sub(lambda m: m.group(1) + b"x" * len(m.group(2)), text))
    found: list[tuple[int, int, str, str]] = []
    for table in (file.functions, file.records, file.objects):
        for definitions in table.values():
            for one in definitions:
                found.append((one.start, one.start + len(one.text), one.kind, one.name))
    for one in file.enums:
        if not one.name:
            found.append((one.start, one.start + len(one.text), "enum", ""))
    if not file.balanced:
        found = [(0, len(text), "raw", "")]
    for match in _DIRECTIVE.finditer(text):
        name = _DEFINED.match(match.group())
        kind = "macro" if name is not None else "directive"
        label = name.group(1).decode() if name is not None else ""
        found.append((match.start(), match.end(), kind, label))
    at = 0
    for start, end, kind, label in sorted(found):
        if start > at:
            yield from _statements(text[at:start])
        raw = text[start:end]
        yield _Item(kind, label, raw, frozenset(_WORD.findall(raw)))
        at = max(at, end)
    if at < len(text):
        yield from _statements(text[at:])


def _statements(text: bytes) -> Iterator[_Item]:
    for one in text.split(b";"):
        words = frozenset(_WORD.findall(one))
        if words:
            yield _Item("statement", "", one.strip(), words)


class _Nothing:
    """An index of an empty tree."""

    own_files = ()

    def __init__(self, target: Target) -> None:
        self.target = target

    def files_with(self, _word: bytes) -> tuple[()]:
        """Find nothing."""
        return ()

    def texts_with(self, _word: bytes) -> tuple[()]:
        """Find nothing."""
        return ()

    def scope(self, _path: str) -> tuple[()]:
        """Find nothing."""
        return ()

    def words_in(self, _path: str) -> frozenset[bytes]:
        """Find nothing."""
        return frozenset()

    def text(self, _path: str) -> None:
        """Find nothing."""

    def file(self, _path: str) -> None:
        """Find nothing."""


class _View:
    """A lens made ready to look through."""

    def __init__(self, lens: Lens, target: Target, host: bool) -> None:
        self._lens = lens
        self._host = host
        self._used, self._stored = _bytes(lens.used), _bytes(lens.stored)
        self._members, self._contexts = _bytes(lens.members), _bytes(lens.contexts)
        self._roles, self._reaching = _bytes(lens.roles), _bytes(lens.reaching)
        self._enumerators, self._typedefs = _bytes(lens.enumerators), _bytes(lens.typedefs)
        self._declared = _bytes(lens.declared | lens.used | lens.stored)
        nothing = cast(Index, _Nothing(target))
        none: frozenset[str] = frozenset()
        self._effects = {
            name.encode(): Effects(nothing, frozenset({name}), none) for name in lens.members
        } | {name.encode(): Effects(nothing, none, frozenset({name})) for name in lens.contexts}

    def piece(self, piece: _Piece) -> bytes:
        """Return the digest of what is seen of a piece, EMPTY where that is nothing."""
        if piece.seen is not self:
            seen = [part for item in piece.items if (part := self._item(item))]
            piece.value = _digest(seen) if seen else EMPTY
            piece.seen = self
        return piece.value

    def _item(self, item: _Item) -> bytes:
        if item.kind == "function":
            return self._function(item)
        if item.kind == "statement":
            return item.raw if self._statement(item) else b""
        if item.kind == "macro":
            seen = (
                item.name in self._lens.macros
                or item.name in GRANTED
                or b"##" in item.raw
                or _renames(item)
                or not item.words.isdisjoint(self._members)
            )
            return item.raw if seen or self._mentioned(item) else b""
        if item.kind == "object":
            seen = item.name in self._lens.objects
            return item.raw if seen or self._mentioned(item) else b""
        if item.kind in ("struct", "union", "enum"):
            return item.raw if self._record(item) else b""
        return item.raw

    def _mentioned(self, item: _Item) -> bool:
        return not (item.words.isdisjoint(self._used) and item.words.isdisjoint(self._stored))

    def _statement(self, item: _Item) -> bool:
        if not item.words.isdisjoint(self._declared):
            return True
        return b"typedef" in item.words and not item.words.isdisjoint(self._typedefs)

    def _record(self, item: _Item) -> bool:
        if f"{item.kind} {item.name}" in self._lens.records or self._mentioned(item):
            return True
        if item.kind == "enum" and not item.words.isdisjoint(self._enumerators):
            return True
        return self._host and (item.kind == "union" or not item.words.isdisjoint(self._contexts))

    def _function(self, item: _Item) -> bytes:
        words = item.words
        if item.name in self._lens.functions or not words.isdisjoint(self._used):
            return item.raw
        if b"include" in words:
            return item.raw
        name = item.name.encode()
        parts: list[bytes] = []
        near = words & (self._members | self._contexts)
        if near:
            whole = Definition("function", item.name, "", 1, 0, item.raw)
            near = frozenset(n for n in near if self._effects[n].touches(item.raw, whole))
            if not near.isdisjoint(self._roles):
                return item.raw
            parts += sorted(near)
        if not words.isdisjoint(self._reaching):
            called = calls(item.raw.partition(b"{")[2]) & self._lens.reaching
            parts += [b"calls", *sorted(one.encode() for one in called)] if called else []
        if not words.isdisjoint(self._stored):
            for one in _STATEMENT.split(item.raw):
                if _STORING.search(one) and not self._stored.isdisjoint(_WORD.findall(one)):
                    parts.append(one.strip())
        return b"\0".join((name, *parts)) if parts else b""


def _renames(macro: _Item) -> bool:
    """Tell whether a macro may have the name of a member or a variable."""
    return not macro.name.isupper() and re.search(rb"define\W+\w++(?!\()", macro.raw) is not None


def _bytes(names: frozenset[str]) -> frozenset[bytes]:
    return frozenset(name.encode() for name in names)


def _digest(parts: list[bytes]) -> bytes:
    from hashlib import blake2b

    state = blake2b(digest_size=16)
    for part in parts:
        state.update(b"%d:" % len(part))
        state.update(part)
    return state.digest()


# -- files -----------------------------------------------------------------------------------


class Slice(NamedTuple):
    """What a lens sees of one file, and how often it speaks of roles."""

    digest: bytes
    weight: int


_MOST = 48 << 20
"""How many bytes of distinct text are kept in memory."""


class Slicer:
    """Slices texts; a piece of text that was met before is not looked at again."""

    def __init__(self, lens: Lens, target: Target) -> None:
        self._target = target
        self.parsed = 0
        self._pieces: dict[tuple[bytes, bool, bool], _Piece] = {}
        self._held = 0
        self.look_through(lens)

    def look_through(self, lens: Lens) -> None:
        """Take another lens."""
        self.lens = lens
        self._views = {host: _View(lens, self._target, host) for host in (False, True)}
        self._known: dict[bool, dict[bytes, bytes]] = {False: {}, True: {}}
        self._roles = tuple(sorted(_bytes(lens.roles)))

    def slice(self, path: str, data: bytes) -> Slice:
        """Return what the lens sees of a file."""
        host = path == self._target.header
        texts = data.split(b"\n}")
        known = self._known[host]
        # Nearly all text was met before: this is the loop that a long history runs.
        values = list(map(known.get, texts[1:-1]))
        first = self._piece(texts[0], True, len(texts) == 1, host)
        last = self._piece(texts[-1], False, True, host) if len(texts) > 1 else EMPTY
        if None in values:
            for number, value in enumerate(values):
                if value is None:
                    values[number] = self._piece(texts[number + 1], False, False, host)
        seen = [value for value in (first, *values, last) if value]
        if _ODD in seen:
            seen = list(_roughly(self._split(texts), self._views[host]))
        before = _before_first_define(data)
        weight = 0
        if path.endswith(".c") and self._target.owns(path):
            weight = sum(data.count(word) for word in self._roles)
        if before:
            seen.append(b"%d" % before)
        return Slice(_digest(seen) if seen else EMPTY, weight)

    def _piece(self, text: bytes, first: bool, last: bool, host: bool) -> bytes:
        """Return what is seen of a piece, _ODD where its braces do not pair off."""
        piece = self._pieces.get((text, first, last)) or self._parse((text, first, last))
        odd = piece.net or piece.wild
        value = _ODD if odd else self._views[host].piece(piece)
        if not (first or last):
            self._known[host][text] = value
        return value

    def _split(self, texts: list[bytes]) -> list[_Piece]:
        last = len(texts) - 1
        keys = [(text, i == 0, i == last) for i, text in enumerate(texts)]
        return [self._pieces.get(key) or self._parse(key) for key in keys]

    def _parse(self, key: tuple[bytes, bool, bool]) -> _Piece:
        self._held += len(key[0])
        if self._held > _MOST:
            self._pieces.clear()
            self._known = {False: {}, True: {}}
            self._held = len(key[0])
        self.parsed += 1
        piece = self._pieces[key] = _Piece(*key)
        return piece


def _roughly(pieces: list[_Piece], view: _View) -> Iterator[bytes]:
    """Yield what is seen of a file with braces that do not pair off, or odd comments.

    From such a place on all text counts until the braces are even again.
    """
    depth = 0
    wild = False
    for number, piece in enumerate(pieces):
        wild = wild or piece.wild
        odd = bool(wild or depth or piece.net)
        # The brace behind the last piece is not there.
        depth += piece.net
        value = _digest([piece.raw]) if odd else view.piece(piece)
        if value:
            yield b"%d" % number + value if odd else value


def _before_first_define(data: bytes) -> int:
    """Count the conditions before the first definition: the first may be the file's guard."""
    first = _DEFINE.search(data)
    return len(_CONDITIONAL.findall(data, 0, len(data) if first is None else first.start()))
