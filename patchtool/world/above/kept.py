# SPDX-License-Identifier: GPL-2.0-only
"""What functions keep, and who looks at it off the way to a set-up.

What a function stores to that may outlive it is found by its text: members, objects, what is
counted, filled, or handed by its name or address to what may store there.  Whether it is a note
of the last set-up depends on who else looks at it; that is for ``notes`` and ``near`` to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping, Set
from functools import cached_property
from typing import NamedTuple

from patchtool.c import brackets, library, syntax
from patchtool.c.index import is_static
from patchtool.c.layout import PointerType, RecordType, settled
from patchtool.c.scan import Definition, FileIndex, before, callee_before, places
from patchtool.c.syntax import text
from patchtool.world.entries import Tree
from patchtool.world.pasted import opening

GIVEN = re.compile(
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
_FILLS = (b"_bit(", b"bitmap_", b"mem", b"copy_")
_CONSTANT = re.compile(
    rb"\s*static\s+const\s+(?:(?:unsigned|signed|char|short|int|long|bool|[us](?:8|16|32|64))\s+)+"
)
"""What a constant number, or an array of such, is declared with: that keeps nothing."""
_STATIC = re.compile(rb"[;{}]\s*(?=static\b)")
_MARKS = re.compile(rb"[][(){},;]")
_DECLARATOR = re.compile(rb"\(\s*\*\s*(?:const\s+)?(\w+)|(\w+)\s*(?:\[[^\]]*\]\s*)*\Z")
_MACRO = re.compile(rb"[A-Z]\(|store_mb\(|cpu_write\(|swap\(|get_user\(")
CONSTANT = re.compile(rb"[\s~|()-]*+(?:(?:[A-Z][A-Z0-9_]*|\d\w*|true|false)\b[\s~|()]*)+")
LOOKED_AT = re.compile(rb"\b([A-Za-z_]\w*)\b(?!\s*(?:\[[^\];]*\]\s*)*=(?!=)|\s*\()")
MEMBERS = re.compile(rb"(?:->|\.)\s*+([A-Za-z_]\w*+)(?!\s*+(?:\[[^\];]*\]\s*+)*=(?!=)|\s*\()")
"""The members that are more than stored to."""
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


class Kept:
    """What the functions of one tree keep."""

    def __init__(self, way: Way) -> None:
        self._tree, self._executed, self._above = way.tree, way.executed, way.above
        self._by: dict[Key, Mapping[str, list[bytes]]] = {}
        self._changed: dict[Key, Mapping[str, list[bytes]]] = {}
        self._called: dict[Key, list[Definition]] = {}
        self._printing: dict[str, bool] = {}
        self._files_of: dict[str, list[str]] = {}

    def defined(self, name: str) -> Iterator[Definition]:
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

    def helpers(self, function: Definition) -> list[Definition]:
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

    def changing(self, function: Definition) -> Mapping[str, list[bytes]]:
        """Return what a function stores to that may outlive it, with what is no number."""
        known = self._changed.get(function.key)
        if known is None:
            kept = self.by(function).items()
            found = {n: [v for v in some if not CONSTANT.fullmatch(v)] for n, some in kept}
            known = self._changed[function.key] = {n: some for n, some in found.items() if some}
        return known

    def by(self, function: Definition) -> Mapping[str, list[bytes]]:
        """Return what a function stores to that may outlive it, with the values of members.

        What is counted has an empty one, and so has what is no member: a flag that is raised
        once and never lowered is as good as a key.
        """
        known = self._by.get(function.key)
        if known is None:
            body, head = body_of(function), b""
            if function.kind == "function":
                head = function.text.partition(b"{")[0]
            bare: dict[bytes, bool] = {}
            found: dict[bytes, list[bytes]] = {}
            storing = b";".join([one for one in body.split(b";") if _may_store(one)])
            stores = [(lead, name, value) for lead, name, value, _ in GIVEN.findall(storing)]
            if any(sign in body for sign in _FILLS):
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
            self._by[function.key] = known
        return known

    def is_constant(self, value: bytes, here: str) -> bool:
        """Tell whether a value is the same each time: a number, a name for one, a function."""
        name = value.strip().decode("utf-8", "replace")
        return CONSTANT.fullmatch(value) is not None or (
            name.isidentifier() and bool(self._tree.index.functions(name, here))
        )

    def stays(self, function: Definition, name: str) -> bool:
        """Tell whether something stays in a function from one call to the next."""
        return name.encode() in statics(function.text)

    @cached_property
    def on_the_way(self) -> Mapping[str, list[tuple[bytes, str]]]:
        """What is stored on the way to a set-up, by functions of it or by those that they call.

        Each with the values that are no numbers, and where those are given.
        """
        found: dict[str, list[tuple[bytes, str]]] = {}
        for one, _ in self._above.values():
            for each in (one, *self.helpers(one)):
                for name, values in self.changing(each).items():
                    found.setdefault(name, []).extend((value, each.file) for value in values)
        return found

    def is_read_there(self, name: str) -> bool:
        """Tell whether a run of a set-up goes through a function that speaks of something."""
        word = name.encode()
        for file in self._tree.index.files_with(word):
            for inside in {file.function_at(at) for at in places(file.data, word)}:
                if any(one in self._executed for one in file.functions.get(inside or "", ())):
                    return True
        return False

    def is_told(self, function: Definition, name: str) -> bool:
        """Tell whether a member is shared with user space, with a guest or with the hardware.

        What user space is shown is a note as well, where more than a number is kept there on
        the way to a set-up: user space need not change it.
        """
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
            if not isinstance(record, RecordType) or not self._is_laid_out(record, name):
                return False
        return bool(held)

    def _is_laid_out(self, record: RecordType, name: str) -> bool:
        """Tell whether a record is laid out for others than the kernel."""
        if "/uapi/" in record.file:
            return name not in self.on_the_way
        found = self._tree.index.record(f"{record.kind} {record.tag}", record.file)
        return any(b"packed" in one.text for one in found)

    # -- who looks at it ---------------------------------------------------------------------

    def paths(self, word: bytes) -> Iterator[str]:
        """Yield the files of the target, and those built into it, that hold a word."""
        yield from self._tree.index.own_with(word)
        for path in self._shared:
            if word in self._tree.index.words_in(path):
                yield path

    def off_the_way(self, name: str) -> Iterator[Definition]:
        """Yield the functions off the way that speak of something."""
        word = name.encode()
        for path in self.paths(word):
            file, seen = self._tree.index.file(path), set[str]()
            for at in places(file.data, word) if file is not None else ():
                assert file is not None
                inside = file.function_at(at)
                if inside is None or inside in seen or self.is_on_the_way(path, inside):
                    continue
                seen.add(inside)
                for user in file.functions.get(inside, ()):
                    if user not in self._executed:
                        yield user

    def namers(self, function: Definition) -> Iterator[tuple[FileIndex, str | None, int]]:
        """Yield who names a function, and where.

        That is a file and a function, or None where an object is initialised.
        """
        index, word = self._tree.index, function.name.encode()
        near = index.target.built_from
        alone = is_static(function) and function.file.endswith(".c")
        for path in (function.file,) if alone else self._tree.objects.files:
            if not path.startswith(near) or word not in index.words_in(path):
                continue
            file = index.file(path)
            for at in places(file.data, word) if file is not None else ():
                assert file is not None
                inside = file.function_at(at)
                if inside is not None:
                    if inside != function.name:
                        yield file, inside, at
                elif file.data[at + len(word) :][:1] != b"(":
                    if before(file.data, at)[-1:] in b"=,&{":
                        yield file, None, at

    def is_on_the_way(self, path: str, name: str) -> bool:
        """Tell whether a function of a file is one of those that lead to a set-up."""
        return (path, name) in self._named

    @cached_property
    def _shared(self) -> tuple[str, ...]:
        """The files that are built into the target and lie elsewhere."""
        near = tuple(f"{folder}/" for folder in self._tree.index.target.generic)
        return tuple(path for path in self._tree.objects.files if path.startswith(near))

    @cached_property
    def _named(self) -> frozenset[tuple[str, str]]:
        """The files and names of the functions on the way."""
        return frozenset(key[:2] for key in self._above)

    def is_printed(self, body: bytes, at: int) -> bool:
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


def statics(text: bytes) -> frozenset[bytes]:
    """Return what stays from one call of a function to the next, and belongs to it alone."""
    found: set[bytes] = set()
    for one in _STATIC.finditer(text) if b"static" in text else ():
        declarators, is_whole = _declarators(text, one.end())
        if not is_whole or len(declarators) > 1 or _CONSTANT.match(declarators[0]) is None:
            for declared in declarators:
                name = _DECLARATOR.search(declared.partition(b"=")[0])
                found.update({name[1] or name[2]} if name is not None else ())
    return frozenset(found)


def _declarators(text: bytes, start: int) -> tuple[list[bytes], bool]:
    """Return the parts of a declaration between its commas, and whether those are all.

    The type stands with the first one.
    """
    parts: list[bytes] = []
    depth, last = 0, min(len(text), start + 8 * brackets.LONGEST)
    for mark in _MARKS.finditer(text, start, last):
        if mark[0] in b"([{":
            depth += 1
        elif mark[0] in b")]}":
            depth -= 1
        elif depth == 0:
            parts.append(text[start : mark.start()])
            start = mark.end()
            if mark[0] == b";":
                return parts, True
    return [*parts, text[start:last]], False


def body_of(function: Definition) -> bytes:
    """Return what a function does, or what a macro stands for."""
    return function.text if function.kind == "macro" else function.text.partition(b"{")[2]


def _may_store(statement: bytes) -> bool:
    """Tell whether a statement has a sign that stores."""
    return b"=" in statement or b"++" in statement or b"--" in statement


def _is_declared(head: bytes, body: bytes, name: bytes) -> bool:
    """Tell whether the first mention of a name in a function declares it, and it keeps nothing."""
    if any(True for _ in places(head, name)):
        return True
    lead = body[: next(places(body, name), 0)].rstrip()
    if lead[-1:] not in (b"*", b",") and not lead[-1:].isalnum():
        return False
    lead = lead[max(lead.rfind(mark) for mark in (b";", b"{", b"}")) + 1 :]
    return b"static" not in lead or _CONSTANT.fullmatch(lead + b" ") is not None


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
