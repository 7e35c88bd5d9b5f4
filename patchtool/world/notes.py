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
from collections.abc import Callable, Container, Iterator, Mapping, Set
from functools import cached_property
from typing import NamedTuple

from patchtool.c import library, syntax
from patchtool.c.index import is_static
from patchtool.c.layout import PointerType, RecordType, settled
from patchtool.c.lower import Trouble
from patchtool.c.scan import WORDS, Definition, before, callee_before, places
from patchtool.c.syntax import text
from patchtool.model import Place
from patchtool.world.entries import Tree
from patchtool.world.pasted import opening

_GIVEN = re.compile(
    rb"(->|\.)?\b([A-Za-z_]\w*+)\s*+(?:\[[^\];]*\]\s*+)*+\)?\s*+"
    rb"(?:(?:[-+|&^]|<<|>>)?=(?!=)\s*+([^;]*)|(\+\+|--))"
)
"""What is stored to, and the value."""
_HANDED = re.compile(
    rb"\b(?:[A-Z_]*[A-Z]\w*|smp_store_mb|(?:__|raw_)?this_cpu_write|swap|\w*get_user)"
    rb"\(\s*[\s\w>.\[\]()-]*?(->|\.|\b)([A-Za-z_]\w*)\s*(?:\[[^\];]*\]\s*)*,"
)
"""What macros are given by its name, in front of something else: those may store to it."""
_ADDRESSED = re.compile(
    rb"(?<!&)&\(?(?!&)[A-Za-z_][\w>.\[\]()-]*?(?:->|\.)(\w++)(?!\s*+(?:->|\.|\())"
)
"""A member of which the address is taken."""
_ADDRESS = re.compile(rb"[(,]\s*&([A-Za-z_]\w*+)\b(?!\s*(?:->|\.|\())")
"""What a call is given the address of, which is no member."""
_FILLED = re.compile(rb"\b(?:\w*_bit|bitmap_\w+|mem\w+|copy_\w+)\([^;()]*(?:->|\.)(\w+)\s*[,)]")
"""A member that is filled as bytes or bits, by its name: an array."""
_FILLING = (b"_bit(", b"bitmap_", b"mem", b"copy_")
STATIC = re.compile(rb"[;{}]\s*static\b[^;{}()=]*?\b(\w+)\s*(?:\[[^\];]*\]\s*)*[=;]")
"""What stays from one call of a function to the next, and belongs to it alone."""
_MACRO = re.compile(rb"[A-Z]\(|store_mb\(|cpu_write\(|swap\(|get_user\(")
CONSTANT = re.compile(rb"[\s~|()-]*+(?:(?:[A-Z][A-Z0-9_]*|\d\w*|true|false)\b[\s~|()]*)+")
LOOKED_AT = re.compile(rb"\b([A-Za-z_]\w*)\b(?!\s*(?:\[[^\];]*\]\s*)*=(?!=)|\s*\()")
MEMBERS = re.compile(rb"(?:->|\.)\s*+([A-Za-z_]\w*+)(?!\s*+(?:\[[^\];]*\]\s*+)*=(?!=)|\s*\()")
"""The members that are more than stored to."""
_VALUED = re.compile(rb"(?:[(!=&|?:]\s*|\breturn\s+)([a-z_]\w*)\(")
"""What is called for its value."""
_WORD = re.compile(r"[A-Za-z_]\w*")
_MEMBER = re.compile(rb"(?:->|\.)\s*\Z")
_NEAR = 80
"""Bytes in front of a name in which the sign is looked for that makes it a member."""
_TO_MEMBER = re.compile(rb"(?:->|\.)\w+\s*=\s*\Z")
VOID = re.compile(rb"\bvoid\s+\w+\s*\(")
Key = tuple[str, str, int]
Deciders = Callable[[Definition, Set[str], frozenset[str]], Mapping[str, frozenset[str]]]


class Way(NamedTuple):
    """The way to the set-ups of a tree."""

    tree: Tree
    executed: Container[Definition]
    """What the runs of the set-ups went through."""
    above: Mapping[Key, tuple[Definition, Mapping[str, None]]]
    """The functions on the way, each with what it calls there."""
    by: Deciders
    """What decides whether they call that."""


class Notes:
    """The notes of one tree."""

    def __init__(self, way: Way) -> None:
        self._tree, self._executed, self._above, self._by = way
        self._kept: dict[Key, Mapping[str, list[bytes]]] = {}
        self._reader: dict[str, Definition | None] = {}
        """The first function off the way that reads something."""
        self._in_vain: dict[str, bool] = {}
        self._alive: dict[Key, bool] = {}
        self._printing: dict[str, bool] = {}
        self._changed: dict[Key, Mapping[str, list[bytes]]] = {}
        self._called: dict[Key, list[Definition]] = {}
        self._answering: dict[str, bool] = {}
        self._files_of: dict[str, list[str]] = {}

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
                elif caller.kind == "function" and self._is_told(caller, one):
                    continue
                place = Place(caller.file, caller.line, 1, caller.name)
                yield Trouble(place, f"{note} decides whether {callee}() is called", False)

    def _defined(self, name: str) -> Iterator[Definition]:
        """Yield the functions of a name in the files of the target."""
        index = self._tree.index
        if not self._files_of:
            for path in index.own_files:
                file = index.file(path)
                for one in file.functions if file is not None else ():
                    self._files_of.setdefault(one, []).append(path)
        for path in self._files_of.get(name, ()):
            file = index.file(path)
            yield from file.functions.get(name, ()) if file is not None else ()

    def _may_answer(self, name: str) -> bool:
        """Tell whether a function off the way returns something, and keeps a note."""
        if name not in self._answering:
            self._answering[name] = any(
                one.key not in self._above
                and one not in self._executed
                and VOID.search(one.text.partition(b"{")[0]) is None
                and any(
                    is_looked_at(one, name) and self._is_note(one, name)
                    for name in self._changing(one)
                )
                for one in self._defined(name)
            )
        return self._answering[name]

    def _answers_by(self, name: str) -> frozenset[str]:
        """Return the notes by which a function answers that keeps them."""
        return frozenset(
            note
            for one in self._defined(name)
            for note in self._notes(one)
            if answers(self._tree.index.node(one), note)
        )

    def _helpers(self, function: Definition) -> list[Definition]:
        """Return the functions of its file that a function calls and that no run went through."""
        known = self._called.get(function.key)
        if known is None:
            file = self._tree.index.file(function.file)
            named = self._tree.index.calls_in(function.file).get(function.name, frozenset())
            known = self._called[function.key] = [
                one
                for name in (named & file.functions.keys() if file is not None else ())
                for one in (file.functions[name] if file is not None else ())
                if one not in self._executed
            ]
        return known

    @cached_property
    def _on_the_way(self) -> Mapping[str, list[tuple[bytes, str]]]:
        """What is stored on the way to a set-up, by functions of it or by those that they call.

        Each with the values that are no numbers, and where those are given.
        """
        found: dict[str, list[tuple[bytes, str]]] = {}
        for one, _ in self._above.values():
            for each in (one, *self._helpers(one)):
                for name, values in self._changing(each).items():
                    found.setdefault(name, []).extend((value, each.file) for value in values)
        return found

    @cached_property
    def _bare(self) -> frozenset[str]:
        """What is stored on the way that is named by no record: objects of files, and of calls."""
        ones = (each for one, _ in self._above.values() for each in (one, *self._helpers(one)))
        kept = (pair for one in ones for pair in self.keeps(one).items())
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
        flags = {name for one in (function, *self._helpers(function)) for name in self.keeps(one)}
        own = {
            name
            for name in (self._on_the_way.keys() | flags) & words
            if self._is_note(function, name)
            and (name in members or is_looked_at(function, name))
            and (
                name in flags - self._on_the_way.keys()
                or not all(self._is_constant(*value) for value in self._on_the_way[name])
            )
            and (name in flags or not self._is_read_there(name))
        }
        if not own or function.kind != "function":
            return frozenset(own)
        return frozenset(own - local(self._tree.index.node(function)))

    def _is_read_there(self, name: str) -> bool:
        """Tell whether a run of a set-up goes through a function that speaks of something."""
        word = name.encode()
        for file in self._tree.index.files_with(word):
            for inside in {file.function_at(at) for at in places(file.data, word)}:
                if any(one in self._executed for one in file.functions.get(inside or "", ())):
                    return True
        return False

    def _is_told(self, function: Definition, name: str) -> bool:
        """Tell whether a member is shared with user space, with a guest or with the hardware."""
        root, types = self._tree.index.node(function), self._tree.objects
        held = [
            argument
            for one in syntax.descendants(root)
            if one.type == "field_expression"
            and (argument := one.child_by_field_name("argument"))
            and (field := one.child_by_field_name("field"))
            and text(field) == name
        ]
        for one in held:
            record = types.type_of(one, root, function.file)
            if isinstance(record, PointerType):
                record = settled(record.target)
            if not isinstance(record, RecordType) or not self._is_laid_out(record):
                return False
        return bool(held)

    def _is_laid_out(self, record: RecordType) -> bool:
        """Tell whether a record is laid out for others than the kernel."""
        if "/uapi/" in record.file:
            return True
        found = self._tree.index.record(f"{record.kind} {record.tag}", record.file)
        return any(b"packed" in one.text for one in found)

    def _changing(self, function: Definition) -> Mapping[str, list[bytes]]:
        """Return what a function stores to that may outlive it, with what is no number."""
        known = self._changed.get(function.key)
        if known is None:
            kept = self.keeps(function).items()
            found = {n: [v for v in some if not CONSTANT.fullmatch(v)] for n, some in kept}
            known = self._changed[function.key] = {n: some for n, some in found.items() if some}
        return known

    def keeps(self, function: Definition) -> Mapping[str, list[bytes]]:
        """Return what a function stores to that may outlive it, with the values of members.

        What is counted has an empty one, and so has what is no member: a flag that is raised
        once and never lowered is as good as a key.
        """
        known = self._kept.get(function.key)
        if known is None:
            body, head = body_of(function), b""
            if function.kind == "function":
                head = function.text.partition(b"{")[0]
            bare: dict[bytes, bool] = {}
            found: dict[bytes, list[bytes]] = {}
            storing = b";".join([one for one in body.split(b";") if _may_store(one)])
            stores = [(lead, name, value) for lead, name, value, _ in _GIVEN.findall(storing)]
            if any(sign in body for sign in _FILLING):
                stores += [(b".", name, b"") for name in _FILLED.findall(body)]
            if _MACRO.search(body) is not None:
                stores += [(lead, name, b"") for lead, name in _HANDED.findall(body)]
            if b"&" in body:
                stores += [(b".", name, b"") for name in _ADDRESSED.findall(body)]
                stores += [(b"", name, b"") for name in _ADDRESS.findall(body)]
            for lead, name, value in stores:
                if not lead and name not in bare:
                    bare[name] = _is_declared(head, body, name)
                if lead or not bare[name]:
                    found.setdefault(name, []).append(value if lead else b"")
            known = {name.decode(): values for name, values in found.items() if not name.isupper()}
            self._kept[function.key] = known
        return known

    def _is_constant(self, value: bytes, here: str) -> bool:
        """Tell whether a value is the same each time: a number, a name for one, a function."""
        name = value.strip().decode("utf-8", "replace")
        return name.isidentifier() and bool(self._tree.index.functions(name, here))

    def _is_note(self, function: Definition, name: str) -> bool:
        """Tell whether what a function keeps is looked at by nobody off the way."""
        stays = b"static" in function.text and name.encode() in STATIC.findall(function.text)
        if stays or self._is_own(name):
            return True
        return name in self._changing(function) and self._is_read_in_vain(name)

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
            near, word = self._tree.index.target.built_from, function.name.encode()
            alone = is_static(function) and function.file.endswith(".c")
            files = (function.file,) if alone else self._tree.objects.files
            known = self._alive[function.key] = any(
                self._is_named(path, word, function)
                for path in files
                if path.startswith(near) and word in self._tree.index.words_in(path)
            )
        return known

    def _is_named(self, path: str, word: bytes, function: Definition) -> bool:
        """Tell whether a file names a function other than to declare, to define or to export it."""
        file = self._tree.index.file(path)
        for at in places(file.data, word) if file is not None else ():
            assert file is not None
            inside = file.function_at(at)
            if inside is not None and inside != function.name:
                return True
            behind = file.data[at + len(word) :][:1]
            if inside is None and behind != b"(" and before(file.data, at)[-1:] in b"=,&{":
                return True
        return False

    def _is_own(self, name: str) -> bool:
        """Tell whether what is kept is read nowhere off the way, but to print it."""
        if name not in self._reader:
            self._reader[name] = next(self._read_elsewhere(name), None)
        return self._reader[name] is None

    def _read_elsewhere(self, name: str) -> Iterator[Definition]:
        """Yield the functions off the way that do more with what has a name."""
        word, seen = name.encode(), set[tuple[str, str]]()
        for path in (*self._tree.index.own_with(word), *self._shared):
            if word not in self._tree.index.words_in(path):
                continue
            file = self._tree.index.file(path)
            for at in places(file.data, word) if file is not None else ():
                inside = file.function_at(at) if file is not None else None
                if inside is None or (path, inside) in seen or (path, inside) in self._named:
                    continue
                seen.add((path, inside))
                assert file is not None
                for user in file.functions.get(inside, ()):
                    if user not in self._executed and not self._is_kept_or_printed(user, name):
                        yield user

    @cached_property
    def _shared(self) -> tuple[str, ...]:
        """The files that are built into the target and lie elsewhere."""
        near = tuple(f"{folder}/" for folder in self._tree.index.target.generic)
        return tuple(path for path in self._tree.objects.files if path.startswith(near))

    @cached_property
    def _named(self) -> frozenset[tuple[str, str]]:
        """The files and names of the functions on the way."""
        return frozenset(key[:2] for key in self._above)

    def _is_kept_or_printed(self, user: Definition, name: str) -> bool:
        """Tell whether a function clears or prints what has a name, or makes it a note itself."""
        body = user.text.partition(b"{")[2]
        sites = list(places(body, name.encode()))
        stores = (_GIVEN.match(body, at) for at in sites)
        is_set = any(one and CONSTANT.fullmatch(one[3] or b"") is None for one in stores)
        looks = (at for at in sites if LOOKED_AT.match(body, at) is not None)
        if is_set and any(True for _ in looks):
            return True
        if is_set:
            return self._is_called_on_the_way(user)
        return all(self._is_printed(body, at) for at in looks)

    def _is_called_on_the_way(self, function: Definition) -> bool:
        """Tell whether a function on the way to a set-up calls one."""
        return any(
            function.name in self._tree.index.calls_in(one.file).get(one.name, ())
            for one, _ in self._above.values()
        )

    def _is_printed(self, body: bytes, at: int) -> bool:
        """Tell whether a place lies in what a macro is given that does nothing of interest."""
        start = opening(body, at)
        while start is not None:
            callee = callee_before(body, start, start - _NEAR)
            name = callee[1].decode() if callee is not None else ""
            if name not in self._printing:
                self._printing[name] = library.is_printing(name, self._tree.index.target)
            if self._printing[name]:
                return True
            start = opening(body, start)
        return False


def body_of(function: Definition) -> bytes:
    """Return what a function does, or what a macro stands for."""
    return function.text if function.kind == "macro" else function.text.partition(b"{")[2]


def _may_store(statement: bytes) -> bool:
    """Tell whether a statement has a sign that stores."""
    return b"=" in statement or b"++" in statement or b"--" in statement


def _is_declared(head: bytes, body: bytes, name: bytes) -> bool:
    """Tell whether the first mention of a name in a function declares it, and it does not stay."""
    if any(True for _ in places(head, name)):
        return True
    lead = body[: next(places(body, name), 0)].rstrip()
    if lead[-1:] not in (b"*", b",") and not lead[-1:].isalnum():
        return False
    return b"static" not in lead[max(lead.rfind(mark) for mark in (b";", b"{", b"}")) + 1 :]


def is_looked_at(function: Definition, name: str) -> bool:
    """Tell whether a function does more with a member or an object than to store to it.

    What the function declares itself may have the name of a member, and is another thing.
    """
    word = name.encode()
    body = function.text.partition(b"{")[2]
    looks = [at for at in places(body, word) if LOOKED_AT.match(body, at) is not None]
    if any(_MEMBER.search(body, max(0, at - _NEAR), at) is not None for at in looks):
        return True
    return bool(looks) and not _is_declared(function.text.partition(b"{")[0], body, word)


def is_only_kept(caller: Definition, callee: str) -> bool:
    """Tell whether a function is not called, but stored to a member: it is called by others."""
    body, word = caller.text.partition(b"{")[2], callee.encode()
    found = list(places(body, word))
    return bool(found) and all(
        _TO_MEMBER.search(body, max(0, at - 80), at) is not None
        and body[at + len(word) :].lstrip()[:1] == b";"
        for at in found
    )


def answers(root: syntax.Node, note: str) -> bool:
    """Tell whether a function answers by a note: not where it leaves before it would store it."""
    nodes = list(syntax.descendants(root))
    told = {note}
    while True:
        more = {
            text(left).lstrip("* ")
            for one in nodes
            if one.type in ("init_declarator", "assignment_expression")
            and (left := one.child_by_field_name("declarator") or one.child_by_field_name("left"))
            and (value := one.child_by_field_name("value") or one.child_by_field_name("right"))
            and not told.isdisjoint(_WORD.findall(text(value)))
        } - told
        if not more:
            break
        told |= more
    stores = [
        one.start_byte
        for one in nodes
        if one.type == "assignment_expression"
        and (left := one.child_by_field_name("left"))
        and note in _WORD.findall(text(left))
    ]
    for one in nodes:
        if one.type not in ("return_statement", "goto_statement", "break_statement"):
            continue
        if not told.isdisjoint(_WORD.findall(text(one))):
            return True
        here = one.parent
        while here is not None:
            condition = here.child_by_field_name("condition")
            if condition is not None and not told.isdisjoint(_WORD.findall(text(condition))):
                if not any(one.start_byte < at < here.end_byte for at in stores):
                    return True
            here = here.parent
    return False


def local(root: syntax.Node) -> frozenset[str]:
    """Return the names that a function declares, and the members of its own objects."""
    own: set[str] = set()
    pointers: set[str] = set()
    nodes = list(syntax.descendants(root))
    for node in nodes:
        if node.type not in ("declaration", "parameter_declaration"):
            continue
        if any(n.type == "storage_class_specifier" and text(n) == "static" for n in node.children):
            continue
        for here in node.children_by_field_name("declarator"):
            words = _WORD.findall(text(here).partition("=")[0])
            own.update(words[:1])
            pointers.update(words[:1] if here.type == "pointer_declarator" else ())
    members = {
        word
        for node in nodes
        if node.type == "field_expression" and "->" not in (path := text(node))
        for word in path.split(".")[1:]
        if path.partition(".")[0] in own - pointers
    }
    return frozenset(own | members)
