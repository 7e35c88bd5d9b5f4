# SPDX-License-Identifier: GPL-2.0-only
"""Records that hold contexts, handed on or stored to as a whole.

Who names neither a context nor a member of one can still change it, with all that is around: by
memset() or a copy over what holds it, or through a pointer of another type.  So every
expression that is such a record, or a pointer to one, is followed outwards to its use: a
member is taken, it is compared, kept in a pointer of its type, copied from, or handed to a
function that takes such a pointer.  Anything else may change it.

An expression begins at a name that is declared with the type, at a call of what yields one, at
a cast or at ``container_of()``, and at a macro that amounts to any of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Literal, NamedTuple

from patchtool.c import brackets, library, syntax
from patchtool.c.index import Index
from patchtool.c.layout import ArrayType, RecordType
from patchtool.c.scan import Definition, before, first_of_line, places, strip_comments
from patchtool.c.syntax import names_of
from patchtool.model import Place
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.accounts.signatures import Signatures, takes
from patchtool.world.accounts.sites import SHARED
from patchtool.world.circular import Circular
from patchtool.world.closure import in_directive
from patchtool.world.entries import Tree

MAX_MACROS = 4
"""How deep macros are followed that are given such a pointer."""
MAX_STEPS = 40
"""How many operators are gone through from a record outwards to its use."""

_PLAIN = re.compile(rb"(?:struct|union) \w+ \*(?:const )?\w+ \Z")
_LEFT = re.compile(rb"(?:(->|\.)\s*)?\b(\w+)\s*(?:\[[^\]]*\]\s*)*\Z")
_MACRO = re.compile(rb"[ \t]*#[ \t]*define[ \t]+(\w+)(?:\(([\w\s,.]*)\))?")
_LONGEST_TAG = 40
_GUARD = re.compile(rb"\bguard\s*\(\s*(\w+)\s*\)\Z")
_COMPARING = (b"==", b"!=", b"<=", b">=")
_JOINING = (b"&&", b"||")
_BEGINNING, _ENDING = (b"(", b",", b"=", b";", b"{", b"}"), (b")", b",", b";", b"?", b":")
"""What stands around a whole operand of a comparison."""
_NO_TAKER = "which takes no such pointer"
Kind = Literal["record", "pointer", "twice", "binding"]
"""A binding is a pointer that says which context is in use; what it is given to may set it."""
_POINTED: dict[Kind, Kind] = {"pointer": "record", "twice": "pointer", "binding": "record"}
_POINTING: dict[Kind, Kind] = {"record": "pointer", "pointer": "twice"}


class Declared(NamedTuple):
    """What one text declares of such a record: pointers, functions, pointers to pointers."""

    variables: set[bytes]
    functions: set[bytes]
    twice: set[bytes]


class Front(NamedTuple):
    """What lies in front of the contexts in a record that holds some."""

    tag: str
    file: str
    """The file that declares it."""
    names: frozenset[str]
    behind: frozenset[str] = frozenset()
    """The members behind the first one of these."""


class Change(NamedTuple):
    """Where a context may be changed by who does not name it."""

    place: Place
    function: Definition | None
    """The function, or the macro, around it."""
    reason: str


class Use(NamedTuple):
    """What becomes of an expression: a reason to doubt it, or all of a text is of a kind."""

    reason: str = ""
    value: Kind | None = None


def placed(index: Index, path: str, data: bytes, at: int, reason: str) -> Iterator[Change]:
    """Yield a reason with its place, and the functions or macros around that, or None for none."""
    file = index.file(path)
    if file is None or file.is_blank(at):
        return
    line = data.count(b"\n", 0, at) + 1
    is_outside = file.function_at(at) is None
    around = [*(file.macros_around([at]) if is_outside else file.functions_around(at))]
    for one in around:
        yield Change(Place(path, line, 1, one.name), one, reason)
    if not around:
        yield Change(Place(path, line, 1), None, reason)


class Holders:
    """The uses of whole records that hold contexts, in one tree."""

    def __init__(self, tree: Tree, mentions: Mentions) -> None:
        self._tree, self._index, self._has_own = tree, tree.index, mentions.has_own
        target = self._index.target
        shared = {path for path in mentions.files if path.rpartition("/")[0] in target.generic}
        self._files = [p for p in mentions.files if p.startswith(target.ours) or p in shared]
        self.texts = {path: self._index.text(path) or b"" for path in self._files}
        for path in shared:
            self.texts[path] = strip_comments(self.texts[path])
        self._signatures = Signatures(self._index, self.texts)
        self._named = {path: Declared(set(), set(), set()) for path in self._files}
        self._shared = Declared(set(), set(), set())
        """Those of file scope, and the members of other records, that are pointers."""
        self._pointing: dict[bytes, set[bytes]] = {}
        """The members that are pointers to such a record, and the tags they are in."""
        self._callees = Circular[tuple[bytes, int, Kind], Use | None](None)
        self._patterns: dict[bytes, re.Pattern[bytes]] = {}
        self._parameters: frozenset[bytes] = frozenset()
        """Those of the macro at hand: what it calls by one is what it is given."""
        self._held_in: dict[tuple[str, str], set[bytes]] = {}
        self._opaque: set[bytes] = set()
        """The members of other types in which such a pointer is kept."""
        self._members_of: dict[bytes, str] = {}
        """What members of a name are, in which such a pointer is kept."""
        self._arrays: set[bytes] = set()
        """The members that are arrays in which such pointers are kept."""
        self._shared_places: list[tuple[str, int, str]] = []
        """Where such a record, or a pointer, is declared in a union: path, place, reason."""
        self._amounting: dict[str, Kind] = {}
        """The macros that amount to such a record or pointer."""

    def changes(self) -> Iterator[Change]:
        """Yield where a record may be changed as a whole."""
        tags, embedded = self._records
        if not tags:
            return
        for path, data in self.texts.items():
            self._declare(path, data)
        for name, outer in self._pointing.items():
            for data in self.texts.values():
                at = data.find(b"void *%s;" % name)
                if at >= 0 and (tag := brackets.record_around(data, at)) is not None:
                    outer.add(tag)
        for path, at, reason in self._shared_places:
            yield from placed(self._index, path, self.texts[path], at, reason)
        members = {*embedded, *self._pointing}
        calls = sorted(frozenset().union(*(one.functions for one in self._named.values())))
        for path, data in self.texts.items():
            found = [*self._typed(data, path), *self._reached(data, path, calls)]
            for name in sorted(self._named[path].variables | members | self._shared.variables):
                if name in data:
                    found += self._sites(data, name, path)
            for at, reason in found:
                yield from placed(self._index, path, data, at, reason)
        yield from self._by_macros()
        for name in sorted(self._arrays):
            for path, data in self.texts.items():
                for at in places(data, name) if name in data else ():
                    for where, reason in self._loaded(data, at, path):
                        yield from placed(self._index, path, data, where, reason)
        for name in sorted(self._opaque):
            self._pointing.setdefault(name, set())
            for path, data in self.texts.items():
                for at in places(data, name) if name in data else ():
                    for where, reason in self._site(data, at, name, path):
                        yield from placed(self._index, path, data, where, reason)

    def _by_macros(self) -> Iterator[Change]:
        """Yield what is done with the macros that amount to a record, or to a pointer."""
        done: set[str] = set()
        while len(done) < len(self._amounting):
            for name, kind in sorted(self._amounting.items()):
                if name in done:
                    continue
                done.add(name)
                for path, data in self.texts.items():
                    for at in places(data, name.encode()) if name.encode() in data else ():
                        if before(data, at).endswith(b"define"):
                            continue
                        end = brackets.end_of(data, at + len(name)) or at + len(name)
                        for where, reason in self._judged(data, at, end, kind, path):
                            yield from placed(self._index, path, data, where, reason)

    # -- what is such a record, or a pointer to one ------------------------------------------

    def reaching(self) -> frozenset[bytes]:
        """Return the members that are such a record, or point to one."""
        inner = {name.encode() for name in (*self._tree.held(), *self._tree.held(rb"\*"))}
        return frozenset({*inner, *self._records[1], *self._pointing})

    def fronts(self) -> Iterator[Front]:
        """Yield the members in front of the last one that is a context, or holds one."""
        if not self._records[0]:
            return
        for (tag, path), held in sorted(self._held_in.items()):
            record = self._tree.types.record(f"struct {tag}", path)
            for one in self._index.record(f"struct {tag}", path)[:1]:
                data = strip_comments(one.text)
                end = max(at for name in held for at in places(data, name))
                known = record.by_name if isinstance(record, RecordType) else ()
                others = {
                    name: next(places(data, name.encode()), 0)
                    for name in known
                    if name.encode() not in held
                }
                start = min(at for name in held for at in places(data, name))
                yield Front(
                    tag,
                    path,
                    frozenset(name for name, at in others.items() if at < end),
                    frozenset(name for name, at in others.items() if at > start),
                )

    @cached_property
    def _records(self) -> tuple[frozenset[bytes], dict[bytes, set[bytes]]]:
        """Return the tags of the records that hold contexts, and the members that are one."""
        tags = {self._index.target.host.encode(), *map(str.encode, self._tree.roles.contexts)}
        members: dict[bytes, set[bytes]] = {}
        todo = list(tags)
        while todo:
            tag = todo.pop()
            held = re.compile(
                rb"struct %s\s+(\w+)\s*(?:\[[^\]]*\]\s*)*(?:__\w+\s*(?:\([^()]*\)\s*)*)*;"
                % re.escape(tag)
            )
            for path, data in self.texts.items():
                for found in held.finditer(data) if b"struct " + tag in data else ():
                    outer = brackets.record_around(data, found.start())
                    if outer is not None:
                        self._note_union(path, data, found.start(1), found[1])
                        members.setdefault(found[1], set()).add(outer)
                        held_in = self._held_in.setdefault((outer.decode(), path), set())
                        held_in.add(found[1])
                        if outer not in tags:
                            tags.add(outer)
                            todo.append(outer)
        return frozenset(tags), members

    def _note_union(self, path: str, data: bytes, at: int, name: bytes) -> None:
        if brackets.is_in_union(data, at):
            self._shared_places.append((path, at, f"{name.decode()} {SHARED}"))

    @cached_property
    def _tags(self) -> bytes:
        return b"|".join(sorted(self._records[0]))

    def _declare(self, path: str, data: bytes) -> None:
        """Note what a text declares as pointers to such records, and how."""
        found = self._named[path]
        if not any(tag in data for tag in self._records[0]):
            return
        pattern = (
            rb"struct\s+(?:%s)\s*\*(?:[\s*]|const\b|__percpu\b|__rcu\b)*(\w+)\s*"
            rb"((?:,\s*\*+\s*\w+\s*)*)([;,=)(\[{]|\Z|__)" % self._tags
        )
        for one in self._compiled(pattern).finditer(data):
            stars = data.count(b"*", one.start(), one.start(1))
            kind = found.variables
            if one[3] == b"(":
                kind = found.functions
            elif stars > 1 or one[3] == b"[":
                kind = found.twice
            names = {one[1], *re.findall(rb"\w+", one[2])}
            kind |= names
            if one[3] not in (b";", b"=", b"["):
                continue
            start = data.rfind(b"\n", 0, one.start()) + 1
            if data[start : start + 1] not in b" \t":
                shared = self._shared.twice if kind is found.twice else self._shared.variables
                shared |= names
            elif (
                one[3] != b"=" and (outer := brackets.record_around(data, one.start())) is not None
            ):
                if kind is found.twice:
                    self._shared.twice.update(names)
                    continue
                for name in names:
                    self._pointing.setdefault(name, set()).add(outer)
                    self._note_union(path, data, one.start(1), name)
        called = rb"struct\s+(?:%s)\s*\*[\s*]*\(\s*\*\s*(?:const\s+)?(\w+)" % self._tags
        found.functions.update(self._compiled(called).findall(data))
        per_cpu = rb"\(\s*struct\s+(?:%s)\s*\*\s*,\s*(\w+)\s*\)" % self._tags
        for name in self._compiled(per_cpu).findall(data):
            self._shared.variables.add(name)

    def _typed(self, data: bytes, path: str) -> Iterator[tuple[int, str]]:
        """Yield what is done with what a text takes for such a record by its type alone."""
        pattern = self._compiled(rb"struct\s+(?:%s)\s*(\**)\s*([),])" % self._tags)
        for one in pattern.finditer(data):
            opened, number = brackets.argument_at(data, one.start())
            if opened < 0:
                continue
            callee = brackets.callee(data, opened)
            if callee is None and one[2] == b")" and one[1] and number == 0:
                if not data[opened + 1 : one.start()].replace(b"const", b"").strip():
                    end = brackets.end_of_operand(data, one.end())
                    kind: Kind = "twice" if len(one[1]) > 1 else "pointer"
                    if end is not None:
                        yield from self._judged(data, opened, end, kind, path)
            elif callee is not None and number and callee not in library.OF_TYPES:
                end = brackets.end_of(data, opened)
                if end is not None and not brackets.is_declaring(data, opened - len(callee)):
                    start = data.rfind(callee, 0, opened)
                    yield from self._judged(data, start, end, "pointer", path)
        alias = self._compiled(rb"typedef\s+struct\s+(?:%s)\b" % self._tags)
        for one in alias.finditer(data):
            yield one.start(), "a record that holds contexts has another name by a typedef"

    def _reached(self, data: bytes, path: str, functions: list[bytes]) -> Iterator[tuple[int, str]]:
        """Yield where a call, or what a pointer TWICE leads to, stands in for a variable."""
        for name in functions:
            for at in places(data, name) if name in data else ():
                end = brackets.end_of(data, at + len(name))
                if end is not None:
                    start = at
                    if data[at - 1 : at] in (b">", b"."):
                        start = brackets.start_of_member(data, at)
                    yield from self._judged(data, start, end, "pointer", path)
        for name in sorted(self._named[path].twice | self._shared.twice):
            for at in places(data, name) if name in data else ():
                start = (
                    brackets.start_of_member(data, at) if data[at - 1 : at] in (b">", b".") else at
                )
                if self._is_variable(data, at, name, "twice"):
                    yield from self._judged(data, start, at + len(name), "twice", path)

    def _sites(self, data: bytes, name: bytes, path: str) -> Iterator[tuple[int, str]]:
        """Yield what is done with a variable or a member of a name."""
        is_member = name in self._records[1] or name in self._pointing
        for at in places(data, name):
            behind = data[at + len(name) : at + len(name) + 2]
            if behind == b"->" or (is_member and behind[:1] == b"."):
                continue  # a member, which is looked at by its name
            if behind[:1] in (b",", b")") and self._is_left_alone(data, at, path):
                continue
            yield from self._site(data, at, name, path)

    def _is_left_alone(self, data: bytes, at: int, path: str) -> bool:
        """Tell whether a name is declared here, or is given to what changes nothing by it."""
        lead = data[at - 2 : at]
        if lead == b" *":
            return data.rfind(b"struct ", max(0, at - _LONGEST_TAG), at) >= 0
        if lead == b", ":
            opened, number = brackets.argument_at(data, at)
            called = brackets.callee(data, opened) if opened >= 0 else None
            return called is not None and number in self._taking.get(called, ())
        callee = brackets.word_before(data, at - 2) if lead[1:] == b"(" else b""
        if not callee or callee in brackets.BEFORE:
            return False
        if 0 in self._taking.get(callee, ()) or callee in brackets.TESTED:
            return True
        return self._given_to(callee, 0, "pointer", path, 0) is None

    def _loaded(self, data: bytes, at: int, path: str) -> Iterator[tuple[int, str]]:
        """Yield what is done with what a call yields that is given an array of pointers."""
        opened, _ = brackets.argument_at(data, at)
        callee = brackets.callee(data, opened) if opened >= 0 else None
        end = brackets.end_of(data, opened) if callee is not None else None
        if callee is None or end is None:
            return
        if callee.decode() not in library.FILLING_ARRAY and b"for_each" not in callee:
            start = data.rfind(callee, 0, opened)
            yield from self._judged(data, start, end, "pointer", path)

    def _site(self, data: bytes, at: int, name: bytes, path: str) -> Iterator[tuple[int, str]]:
        end = at + len(name)
        if data[at - 1 : at] not in (b">", b"."):
            if name in self._named[path].variables or name in self._shared.variables:
                # First of all: another variable of the name tells nothing of where it is kept.
                if self._is_variable(data, at, name, "pointer") or self._is_free(path, at, name):
                    yield from self._judged(data, at, end, "pointer", path)
            return
        if name not in self._pointing and name not in self._records[1]:
            return
        start = brackets.start_of_member(data, at)
        if start == at:  # a designator: what it is set to is looked at
            return
        first: Kind = "record" if name in self._records[1] else "pointer"
        found = [*self._judged(data, start, end, first, path)]
        if found and self._is_another(data, start, end, path):
            return
        kind = self._kind(data, start, at, name) if found else None
        if kind is not None:
            yield from found if kind == first else self._judged(data, start, end, kind, path)

    def _is_another(self, data: bytes, start: int, end: int, path: str) -> bool:
        """Tell whether all members of a function that are spelt so are known for other records."""
        file = self._index.file(path)
        spelt = b"".join(data[start:end].split())
        seen = False
        for function in file.functions_around(start) if file is not None else ():
            root = self._index.node(function)
            for node in syntax.descendants(root):
                if node.type != "field_expression":
                    continue
                if b"".join((node.text or b"").split()) != spelt:
                    continue
                ctype = self._tree.objects.type_of(node, root, path)
                while isinstance(ctype, ArrayType):
                    ctype = ctype.element
                tag = ctype.tag.encode() if isinstance(ctype, RecordType) else b""
                if not tag or tag in self._records[0]:
                    return False
                seen = True
        return seen

    def _kind(self, data: bytes, start: int, at: int, name: bytes) -> Kind | None:
        """Return what a member is; None where it is one of another record."""
        holders, pointers = self._records[1].get(name, set()), self._pointing.get(name, set())
        if name in self._opaque:
            return "pointer"
        root = re.match(rb"(\w+)\s*(?:->|\.)\s*\Z", data[start:at])
        if root is not None:
            function = max(data.rfind(b"\n}", 0, at), 0)
            declared = set(
                re.findall(
                    rb"struct\s+(\w+)(?:\s|\*)(?:(?!struct)[^;(){}=])*?(?<!\w)%s\b" % root[1],
                    data[function:at],
                )
            )
            if declared and declared.isdisjoint(holders | pointers):
                return None
            if declared:
                return "pointer" if declared.isdisjoint(holders) else "record"
        if not holders or data[start:at].startswith(b"__entry"):
            return "pointer"
        step = re.search(rb"(\w+)\s*(?:\[[^\]]*\]\s*)*(?:->|\.)\s*\Z", data[start:at])
        if pointers and step is not None:  # which of the two, by what it is a member of
            outer = self._compiled(rb"struct\s+(\w+)(?:\s*\*[\s*]*|\s+)%s\s*[;\[]" % step[1])
            texts = (text for text in self.texts.values() if step[1] in text)
            tags = {tag for text in texts for tag in outer.findall(text)}
            if tags and tags.isdisjoint(holders):
                return "pointer" if tags & pointers else None
        return "record"

    def _is_variable(self, data: bytes, at: int, name: bytes, kind: Kind) -> bool:
        """Tell whether a name is declared as such a pointer in the function around a place."""
        start = max(data.rfind(b"\n}", 0, at), 0)
        struct = rb"struct\s+(?:%s)\s*(?:\*[\s*]*(?:const\s+|__\w+\s+)*)?" % self._tags
        listed = rb"(?:\w+\s*(?:=[^;,]*)?,\s*\*+\s*)*"
        pattern = struct + listed + rb"\b%s\b\s*(\[?)" % re.escape(name)
        declared = [*self._compiled(pattern).finditer(data, start, at + len(name) + 1)]
        if not declared:
            shared = self._shared.twice if kind == "twice" else self._shared.variables
            return name in shared
        nearest = declared[-1]
        return (nearest[0].count(b"*") > 1 or nearest[1] == b"[") == (kind == "twice")

    def _is_free(self, path: str, at: int, name: bytes) -> bool:
        """Tell whether a macro names a variable of those who use it."""
        file = self._index.file(path) if in_directive(self.texts[path], at) else None
        around = list(file.macros_around([at])) if file is not None else []
        return bool(around) and all(name.decode() not in (m.parameters or ()) for m in around)

    @cached_property
    def _taking(self) -> dict[bytes, set[int]]:
        """The functions, and members of tables, that take such a pointer, and where."""
        found: dict[bytes, set[int]] = {}
        pattern = self._compiled(rb"struct (?:%s) \*" % self._tags)
        for data in self.texts.values():
            for one in pattern.finditer(data):
                start = one.start()
                if data[start - 6 : start] == b"const ":
                    start -= 6
                opened, number = start - 1, 0
                if data[opened:start] != b"(":
                    opened = data.rfind(b"(", max(0, start - brackets.LONGEST), start)
                    between = data[opened:start]
                    if opened < 0 or b";" in between or b"{" in between or b"}" in between:
                        continue  # a variable
                    number = between.count(b",")
                lead = data[max(0, opened - brackets.NEAR) : opened].rstrip()
                callee = brackets.word_before(lead, len(lead) - 1)
                if not callee:
                    lead = lead.rstrip(b") \n")
                    callee = brackets.word_before(lead, len(lead) - 1)
                if callee:
                    found.setdefault(callee, set()).add(number)
        return found

    def _compiled(self, pattern: bytes) -> re.Pattern[bytes]:
        found = self._patterns.get(pattern)
        if found is None:
            found = self._patterns[pattern] = re.compile(pattern)
        return found

    # -- what is done with one ---------------------------------------------------------------

    def _judged(
        self, data: bytes, start: int, end: int, kind: Kind, path: str
    ) -> Iterator[tuple[int, str]]:
        """Yield the place of an expression and why it may be changed, if it may."""
        line = data.rfind(b"\n", 0, start) + 1
        if data.count(b'"', line, start) % 2:
            return  # in a string
        in_macro = data[line : line + 1] == b"#" or data[line - 2 : line - 1] == b"\\"
        if not in_macro and data.find(b"\\\n", end, data.find(b"\n", end) + 1) >= 0:
            in_macro = True
        if in_macro and in_directive(data, start):
            yield from self._in_macro(data, start, end, kind, path)
            return
        use = self._use(data, start, end, kind, path, 0)
        if use is not None and use.reason:
            yield start, use.reason

    def _in_macro(
        self, data: bytes, start: int, end: int, kind: Kind, path: str
    ) -> Iterator[tuple[int, str]]:
        """Judge a use in the body of a macro, which may amount to the record itself."""
        head = _MACRO.match(data, first_of_line(data, start))
        if head is None or start < head.end():
            return
        last = data.find(b"\n", end)
        while last > 0 and data[last - 1 : last] == b"\\":
            last = data.find(b"\n", last + 1)
        body = data[head.end() : last if last >= 0 else len(data)].replace(b"\\\n", b"  ")
        outer, self._parameters = self._parameters, _listed(head[2])
        use = self._use(body, start - head.end(), end - head.end(), kind, path, 1)
        self._parameters = outer
        if use is not None and use.value is not None:
            self._amounting[head[1].decode()] = use.value
        elif use is not None:
            yield start, use.reason

    def _use(
        self, text: bytes, start: int, end: int, kind: Kind, path: str, depth: int
    ) -> Use | None:
        """Follow a record, or a pointer, outwards to its use: why it may change, None if not."""
        what = " ".join(text[start:end].decode("utf-8", "replace").split())
        for _ in range(MAX_STEPS):
            left, right = brackets.last_before(text, start), brackets.first_from(text, end)
            lead, mark, two = (
                text[left : left + 1] if left >= 0 else b"",
                text[right : right + 1],
                text[right : right + 2],
            )
            if brackets.word_before(text, left) in (b"struct", b"union", b"enum"):
                return None  # a tag of the same name
            if depth and not lead and not mark:
                return Use(value=kind)
            # What stands behind binds first.
            if two == b"->" or (mark == b"." and text[right : right + 3] != b"..."):
                return None  # a member, which is looked at by its name
            if mark == b"[":
                closing = brackets.end_of(text, right)
                if closing is None:
                    return Use(f"{what} is indexed")
                kind, end = _POINTED.get(kind, kind), closing
                continue
            if mark == b"(" and text[start:end][-1:] != b")":
                return Use(f"{what} is called")
            if two in (b"++", b"--") or text[left - 1 : left + 1] in (b"++", b"--"):
                return Use(f"{what} is moved")
            # Then what stands in front.
            if lead == b"&" and text[left - 1 : left] != b"&":
                if brackets.is_binary(text, left) or kind == "twice":
                    return Use(f"{what} is used in arithmetic")
                if kind == "binding" or (kind == "pointer" and self._binds(text, start, end)):
                    return Use(f"the address of {what}, which binds a context, is used")
                kind, start = _POINTING[kind], left
                continue
            if lead == b"*":
                if brackets.is_declaring(text, start):
                    return None
                if brackets.is_binary(text, left):
                    return Use(f"{what} is used in arithmetic")
                if kind == "record":
                    return Use(f"{what} is used as a pointer")
                kind, start = _POINTED[kind], left
                continue
            if lead == b"!":
                return None
            if lead == b"[":
                is_named = mark == b"]" and brackets.operator_behind(text, right + 1) == b'"'
                return None if is_named else Use(f"{what} is used in arithmetic")
            if lead == b"(" and mark == b")" and brackets.callee(text, left) is None:
                if (
                    text[left - 1 : left] == b'"'
                    or text[brackets.last_before(text, left) :][:1] == b'"'
                ):
                    return self._operand_of(text, left, what)
                outer = brackets.last_before(text, left)
                if text[outer : outer + 1] in (b")", b"]") and not brackets.is_cast(text, outer):
                    if brackets.operator_behind(text, right + 1) not in (b"->", b".", b"="):
                        if brackets.is_call(text, outer):
                            return self._by_expression(text, outer, 0, kind, path, what)
                        return self._statement(text, right + 1)
                start, end = left, right + 1
                continue
            if lead == b")" and brackets.is_cast(text, left):
                cast = brackets.CAST.search(text, max(0, left - 2 * brackets.NEAR), left + 1)
                assert cast is not None
                spelt = cast[0]
                if spelt.strip(b"() \t\n") == b"void":
                    return None
                if not self._is_ours(spelt):
                    if _by_table(text, end) and path.startswith(self._index.target.generic):
                        return None  # the statistics, whose members a table lists
                    if self._is_only_read(text, cast.start(), end, path):
                        return None
                    return Use(f"{what} is taken for another type")
                kind = "twice" if spelt.count(b"*") > 1 else "pointer"
                start = cast.start()
                continue
            # Then operators with two sides.
            if two in (*_COMPARING, *_JOINING) or mark in (b"<", b">"):
                return None
            pair = text[left - 1 : left + 1]
            if pair in (*_COMPARING, *_JOINING) or lead in (b"<", b">"):
                return None
            if mark == b"?" and brackets.operator_behind(text, right + 1) != b":":
                return None
            if mark in (b"+", b"-", b"*", b"/", b"%", b"^", b"|", b"&") or (
                lead in (b"+", b"-", b"/", b"%", b"^", b"|", b"~")
            ):
                return Use(f"{what} is moved")
            if mark == b"=":
                if kind == "binding":
                    return Use(f"{what} is bound to another context")
                return Use(f"{what} is stored to as a whole") if kind == "record" else None
            if lead in (b"?", b":") or mark in (b"?", b":"):
                span = brackets.conditional_around(text, start, end)
                if span is not None:
                    start, end = span
                    continue
                if mark == b":":
                    return Use(f"{what} is used in a form that is not understood")
                lead = b";"  # behind a label
            if lead == b"=":
                if pair[:1] in b"+-*/%&|^<>" and pair[:1]:
                    return Use(f"{what} is used in arithmetic")
                return None if kind == "record" else self._kept(text, left, what, kind, path, depth)
            if mark in (b",", b")") or lead in (b"(", b","):
                opened, number = brackets.argument_at(text, start)
                if opened < 0:
                    if (
                        text[left : left + 1] == b"{"
                        or brackets.bracket_around(text, start) == b"{"
                    ):
                        is_kept = kind != "record" and not self._is_listed(text, start)
                        return Use(f"{what} is kept in a record") if is_kept else None
                    return None  # one of several declarations or statements
                callee = brackets.callee(text, opened)
                if callee is None:
                    outer = brackets.last_before(text, opened)
                    if text[outer : outer + 1] == b'"':
                        return self._operand_of(text, opened, what)
                    if text[outer : outer + 1] in (b")", b"]"):
                        return self._by_expression(text, outer, number, kind, path, what)
                    if mark != b")":
                        return None  # dropped by a comma
                    start, end = opened, right + 1
                    continue
                if mark not in (b",", b")"):
                    return Use(f"{what} is used in a form that is not understood")
                if kind == "pointer" and self._binds(text, start, end):
                    kind = "binding"
                use = self._handed(text, opened, callee, number, kind, path, depth)
                if use is None or use.value is None:
                    return None if use is None else Use(f"{what} {use.reason}")
                closing = brackets.end_of(text, opened)
                if closing is None:
                    return Use(f"{what} is given to {callee.decode()}()")
                start, end, kind = text.rfind(callee, 0, opened), closing, use.value
                continue
            word = brackets.word_before(text, left)
            if word == b"return":
                return (
                    None
                    if kind == "record" or (not depth and brackets.returns_pointer(text, start))
                    else Use(f"{what} is returned as another type")
                )
            if mark == b";" and text[brackets.first_from(text, right + 1) :][:1] == b"}":
                closing = brackets.first_from(text, right + 1)
                if text[brackets.first_from(text, closing + 1) :][:1] == b")":
                    group = brackets.start_of(text, closing)
                    outer = brackets.last_before(text, group) if group is not None else -1
                    if group is not None and text[outer : outer + 1] == b"(":
                        start, end = outer, brackets.first_from(text, closing + 1) + 1
                        continue
            if mark == b"}":
                is_kept = kind != "record" and not self._is_listed(text, start)
                return Use(f"{what} is kept in a record") if is_kept else None
            if mark in (b";", b"") or word or lead in (b"{", b"}", b";", b")", b""):
                return None  # a statement, or a declaration of another type
            return Use(f"{what} is used in a form that is not understood")
        return Use(f"{what} is used in a form that is not understood")

    def _is_listed(self, text: bytes, at: int) -> bool:
        """Tell whether an expression is an element of a local array of pointers to records."""
        opened = text.rfind(b"{", 0, at)
        pattern = rb"struct (?:%s) \*\s*(?:const\s+)?\w+\s*\[[^][;]*\]\s*=\s*\Z"
        begin = max(0, opened - brackets.NEAR)
        listed = self._compiled(pattern % self._tags).search(text, begin, opened)
        if listed is None or re.search(rb"[;{}]", text[opened + 1 : at]) is not None:
            return False
        lead = brackets.last_before(text, listed.start())
        return text[lead : lead + 1] in (b";", b"{", b"}")

    def _binds(self, text: bytes, start: int, end: int) -> bool:
        """Tell whether an expression is the member that says which context is in use."""
        word = brackets.word_before(text, end - 1)
        ahead = before(text, end - len(word))
        return word in self._bindings and start < end - len(word) and ahead.endswith((b"->", b"."))

    @cached_property
    def _bindings(self) -> frozenset[bytes]:
        return frozenset(name.encode() for name in self._tree.held(rb"\*"))

    def _statement(self, text: bytes, end: int) -> Use | None:
        """Judge a parenthesis that begins a statement."""
        return None if brackets.operator_behind(text, end) != b"[" else Use("a record is indexed")

    def _is_only_read(self, text: bytes, start: int, end: int, path: str) -> bool:
        """Tell whether a value, of whatever type, is compared or printed where it stands."""
        left, right = brackets.last_before(text, start), brackets.first_from(text, end)
        while (
            text[left : left + 1] == b"("
            and text[right : right + 1] == b")"
            and brackets.callee(text, left) is None
        ):
            left, right = brackets.last_before(text, left), brackets.first_from(text, right + 1)
        begins = text[left : left + 1] in _BEGINNING or text[left - 1 : left + 1] in _JOINING
        ends = text[right : right + 1] in _ENDING or text[right : right + 2] in _JOINING
        if (begins and text[right : right + 2] in _COMPARING) or (
            ends and text[left - 1 : left + 1] in _COMPARING
        ):
            return True
        if text[left : left + 1] not in (b"(", b",") or text[right : right + 1] not in (b",", b")"):
            return False
        opened, _ = brackets.argument_at(text, left + 1)
        callee = brackets.callee(text, opened) if opened >= 0 else None
        name = callee.decode() if callee is not None else ""
        is_own = self._has_own(name, path) or bool(self._index.functions(name, path))
        return library.HEARD.fullmatch(name) is not None and not is_own

    def _operand_of(self, text: bytes, opened: int, what: str) -> Use | None:
        """Judge an operand of assembler text: it may be used by the offsets of members."""
        start = text.rfind(b";", 0, opened) + 1
        end = text.find(b";", opened)
        around = text[start : end if end >= 0 else len(text)]
        contexts = {*self._tree.held(), *self._tree.held(rb"\*")}
        if b"offsetof" in around and not contexts & set(
            re.findall(r"\w+", around.decode("utf-8", "replace"))
        ):
            return None
        return Use(f"{what} is an operand of assembler text")

    def _is_ours(self, text: bytes) -> bool:
        return self._compiled(rb"\bstruct\s+(?:%s)\b" % self._tags).search(text) is not None

    def _alike(
        self, text: bytes, at: int, name: bytes, kind: Kind, path: str, depth: int
    ) -> Use | None:
        """Judge the uses of a variable of the type of what it is set to, up to the end."""
        end = text.find(b"\n}", at)
        for one in places(text[: end if end >= 0 else len(text)], name):
            use = self._use(text, one, one + len(name), kind, path, depth + 1) if one > at else None
            if use is not None and depth < MAX_MACROS:
                return use
        return None

    def _kept(
        self, text: bytes, equals: int, what: str, kind: Kind, path: str, depth: int
    ) -> Use | None:
        """Judge what a pointer is kept in: is it one to such a record, or to some other?"""
        lead = text[max(0, equals - brackets.NEAR) : equals]
        if _PLAIN.search(lead) is not None:
            return None  # a variable that is declared as a pointer to a record
        found = _LEFT.search(text, equals - len(lead), equals)
        if found is None:
            last = brackets.last_before(text, equals)
            opened = brackets.start_of(text, last) if text[last : last + 1] == b")" else None
            callee = brackets.callee(text, opened) if opened is not None else None
            if opened is not None and callee is not None and callee.decode() in library.YIELDING:
                first = text[opened + 1 : last].partition(b",")[0].strip(b"& \t\n")
                lead = text[: opened + 1] + first + b" "
                return self._kept(lead + b"=", len(lead), what, kind, path, depth)
            return Use(f"{what} is kept in what is not understood")
        name, ahead = found[2], before(text, found.start())
        refused = Use(f"{what} is kept in another type")
        if found[1]:
            if name not in self._members_of:
                self._members_of[name] = self._declares(name)
            if self._members_of[name] == "other":
                self._opaque.add(name)
            return None if self._members_of[name] != "shared" else refused
        declared = self._compiled(brackets.DECLARED.pattern).search(ahead[-2 * brackets.NEAR :])
        if declared is not None and declared[0].split()[0] not in (b"return", b"else"):
            if b"typeof" in declared[0].partition(b"(")[0] or b"auto_type" in declared[0]:
                return self._alike(text, equals, name, kind, path, depth)
            is_ours = declared[0].startswith((b"struct", b"union")) and b"*" in declared[0]
            return None if is_ours else refused
        if ahead.endswith(b"*"):  # through a pointer to a pointer
            known = name in self._named[path].twice or name in self._parameters
            return None if known else refused
        if name in self._parameters:
            return None
        start = max(text.rfind(b"\n}", 0, equals), 0)
        kinds = re.compile(
            rb"(?:\b(struct|union)\s+\w+|[\w)])\s*[*](?:[\s*]|const\b)*%s\s*(?=[;,=)\[])"
            rb"|\b(struct|union)\s+\w+[^;(){}]*,\s*\*\s*%s\s*(?=[;,=])" % (name, name)
        ).findall(text[start:equals])
        if kinds:
            return None if all(any(one) for one in kinds) else refused
        return None if name in self._shared.variables | self._shared.twice else refused

    def _declares(self, member: bytes) -> Literal["pointer", "shared", "other"]:
        """Tell whether members of a name are pointers to records, or share their bytes."""
        if member in self._shared.twice:
            return "pointer"
        pattern = self._compiled(rb"struct\s+\w+\s*\*+\s*%s\s*[;\[]" % re.escape(member))
        found = [
            brackets.is_in_union(text, one.start())
            for text in self.texts.values()
            if member in text
            for one in pattern.finditer(text)
        ]
        return "shared" if any(found) else "pointer" if found else "other"

    def _handed(
        self,
        text: bytes,
        opened: int,
        callee: bytes,
        number: int,
        kind: Kind,
        path: str,
        depth: int,
    ) -> Use | None:
        """Say what a call may do with a record, or a pointer: with its value, or as another."""
        if callee in brackets.TESTED or callee in library.OF_TYPES:
            return None
        if kind != "record" and number in self._taking.get(callee, ()):
            return None
        name = callee.decode()
        if name in library.FILLING_ARRAY and number and not self._index.functions(name, path):
            held = re.search(rb"(\w+)\s*,", text[opened:])
            self._arrays.update({held[1]} if held is not None else ())
            return None
        if library.KEEPING.get(name) == number and not self._has_own(name, path):
            first = text[opened + 1 : text.find(b",", opened)].strip()
            lead = text[: opened + 1] + first + b" "
            return self._kept(lead + b"=", len(lead), first.decode(), kind, path, depth)
        led_to = self._signatures.of_variable(text, opened, callee)
        if led_to is not None:
            return None if takes(led_to, number) else Use(f"is given to {name}(), {_NO_TAKER}")
        return self._given_to(callee, number, kind, path, depth)

    def _by_expression(
        self, text: bytes, closing: int, number: int, kind: Kind, path: str, what: str
    ) -> Use | None:
        """Say what may become of an argument of what is called by no name."""
        guard = _GUARD.search(text, max(0, closing - brackets.NEAR), closing + 1)
        if guard is not None and self._is_guard(guard[1], path):
            return None
        if kind == "record" or self._signatures.expression_takes(text, closing, number, path):
            return None
        return Use(f"{what} is given to what is not known")

    def _is_guard(self, name: bytes, path: str) -> bool:
        """Tell whether a guard is of such a pointer, and does with it what changes no record."""
        defined = self._compiled(rb"DEFINE_GUARD\(\s*%s\s*,([^,()]*)," % re.escape(name))
        found = [(text, one) for text in self.texts.values() for one in defined.finditer(text)]
        for text, one in found:
            end = brackets.end_of(text, text.find(b"(", one.start()))
            body = text[one.end() : end]
            uses = (self._use(body, at, at + 2, "pointer", path, 1) for at in places(body, b"_T"))
            if not self._is_ours(one[1]) or any(use is not None for use in uses):
                return False
        return bool(found)

    def _given_to(self, name: bytes, number: int, kind: Kind, path: str, depth: int) -> Use | None:
        """Say what a call of some name may do with what is given to it."""
        if name in self._parameters:
            return None
        return self._callees.of(
            (name, number, kind), lambda: self._taken(name.decode(), number, kind, path, depth)
        )

    def _taken(self, name: str, number: int, kind: Kind, path: str, depth: int) -> Use | None:
        target = self._index.target
        macros = self._index.macros(name, path)
        is_own = self._has_own(name, path)
        if kind == "binding" and not is_own and number == 0 and name in library.KEEPING:
            return Use(f"is bound to another context by {name}()")
        if name in library.YIELDING and not is_own:
            return Use(value=kind) if number == 0 else None
        if (
            name in names_of("pointer_keeper") | names_of("reading_macro")
            or name in library.KEEPING
        ):
            return None
        if name.startswith("trace_"):
            return None
        values: Use | None = None
        for macro in macros if depth < MAX_MACROS else ():
            given = macro.parameters or ()
            if number < len(given):
                use = self._worst(macro, given[number].encode(), kind, path, depth + 1)
                if use is not None and use.reason:
                    return Use(f"is given to the macro {name}(), where {use.reason}")
                values = values or use
        if macros or name.isupper():
            return values
        if kind == "record":
            if self._index.functions(name, path):
                return None  # by its value
            return Use(f"is given to {name}() as a whole")
        if library.is_builtin(name, target) and name not in ("memset", "memcpy", "swap", "xchg"):
            return None
        listed = self._signatures.of(name, path)
        if not listed:
            return Use(f"is given to {name}(), of which nothing is known")
        return None if takes(listed, number) else Use(f"is given to {name}(), {_NO_TAKER}")

    def _worst(
        self, macro: Definition, name: bytes, kind: Kind, path: str, depth: int
    ) -> Use | None:
        """Judge what a macro does with what it is given by a name."""
        outer = self._parameters
        self._parameters = frozenset(one.encode() for one in macro.parameters or ())
        body = macro.text.replace(b"\\\n", b"  ")
        values: Use | None = None
        try:
            for at in places(body, name):
                if b"#" in (
                    body[at - 1 : at],
                    body[brackets.first_from(body, at + len(name)) :][:1],
                ):
                    continue
                if brackets.is_in_string(body, at):
                    continue
                use = self._use(body, at, at + len(name), kind, path, depth)
                if use is not None and use.reason:
                    return use
                values = values or use
        finally:
            self._parameters = outer
        return values


def _by_table(text: bytes, at: int) -> bool:
    """Tell whether an offset is added that some entry of a table holds."""
    right = brackets.first_from(text, at)
    return re.compile(rb"\+\s*(?:\w+->)?offset\)").match(text, right) is not None


def _listed(parameters: bytes | None) -> frozenset[bytes]:
    return frozenset(re.findall(rb"\w+", parameters or b""))
