# SPDX-License-Identifier: GPL-2.0-only
"""Which function invalidates a role after every change of what a guest is told of its CPU.

What a guest is told is looked up in tables that user space hands over whole, and in members
that are computed from them.  A function that stores one and then leaves has refused the
tables and puts back what was there; one that vendors' modules fill in is called by the
function that goes on to tell everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from patchtool.c import brackets
from patchtool.c.index import Index
from patchtool.c.layout import ArrayType, RecordType, literal
from patchtool.c.scan import Definition, places
from patchtool.c.syntax import Node, descendants, text
from patchtool.world.accounts.mentions import Mention, Mentions
from patchtool.world.inputs.answers import handle, read_by
from patchtool.world.inputs.invalidation import MAX_CALLS, Invalidations, is_certain

_LABEL = re.compile(rb"\n(\w+):[ \t]*\n")
_COPY = re.compile(rb"memcpy\(([^,]*),([^,]*),.*\)")
_WORD_OF = re.compile(r"\(?\s*(\d+)\s*\*\s*32\s*\+\s*\d+\s*\)?")
_STORE = rb"\s*(?:(?:[-+|&^]|<<|>>)?=(?!=)|\+\+|--)"
_ELEMENT = re.compile(rb"\[[^\];]*\]" + _STORE)
_COMPARES = re.compile(rb"\bmemcmp\s*\(|!=")
_READING = (b"copy_to_user", 1)
_NUMBER = re.compile(rb"\b(?:0[xX][0-9a-fA-F]+|\d+)\b")


def tellers(index: Index, members: Iterable[str]) -> Iterator[tuple[Definition, list[int]]]:
    """Yield the functions that store to some members, each with where its stores end.

    Those that run before any set-up are left out; one that stores to two of the members comes
    twice.
    """
    for member in dict.fromkeys(members):
        stored = re.compile(
            rb"(?:->|\.)\s*%s\s*(?:[-+|&^]|<<|>>)?=(?!=)|\bswap\s*\([^;]*\b%s\b"
            rb"|\bmem\w+\s*\(\s*&?[\w>.-]*(?:->|\.)\s*%s\b" % ((member.encode(),) * 3)
        )
        for _, writer in index.users(member):
            stores = [match.end() for match in stored.finditer(writer.text)]
            if stores and not _is_born(index, writer):
                yield writer, stores


def _is_born(index: Index, function: Definition) -> bool:
    """Tell whether a function runs before any set-up."""
    return re.fullmatch(index.target.registers.births, function.name) is not None


def _changing(index: Index, asked: str) -> Iterator[tuple[Definition, list[int]]]:
    """Yield the functions that change one feature that a guest is told of, by its name or place.

    ASKED is what it was asked with.
    """
    registers = index.target.registers
    tables = registers.tables
    harmless = re.compile(f"{registers.guest_queries}|{registers.host_queries}|{tables.host}")
    for feature in re.findall(tables.feature, asked):
        word = feature.encode()
        for _, user in index.users(feature):
            found: list[int] = []
            for at in places(user.text, word):
                opened, _ = brackets.argument_at(user.text, at)
                callee = brackets.callee(user.text, opened) if opened >= 0 else None
                name = (callee or b"").decode()
                if callee is not None and harmless.fullmatch(name) is None:
                    found.append(brackets.end_of(user.text, opened) or at)
            if found and not _is_born(index, user):
                yield user, found
        asking = [index.target.header, *index.own_with(word)]
        values = next((one for here in asking if (one := index.macros(feature, here))), ())
        spelt = _WORD_OF.match(values[0].text.decode().strip()) if values else None
        if spelt is not None and int(spelt[1]) in tables.words:
            yield from _storing(index, *tables.words[int(spelt[1])])


def _storing(index: Index, leaf: int, register: str) -> Iterator[tuple[Definition, list[int]]]:
    """Yield the functions that may store to a register of a leaf that a guest is told of."""
    tables, told = index.target.registers.tables, index.target.registers.told
    tag, member = tables.record.encode(), register.encode()
    pointer = re.compile(rb"struct\s+%s\s*\*\s*(?:const\s+)?(\w+)" % tag)
    finder = re.compile(rb"\b(?:%s)\(([^;{}]*)" % tables.finders.encode())
    whole = re.compile(
        rb"(?:->|\.)(?:%s)\s*\[[^;]*\]\s*\.\s*%s%s" % ("|".join(told).encode(), member, _STORE)
    )
    for _, user in index.users(register):
        head, _, body = user.text.partition(b"{")
        if index.target.handle.encode() not in user.text:
            continue
        at = len(head) + 1
        found = [at + one.end() for one in whole.finditer(body)]
        names = set(pointer.findall(user.text))
        yielded = finder.search(body) is not None or any(one.encode() in body for one in told)
        for name in sorted(names if yielded else ()):
            used = rb"\b%s\s*->\s*%s%s|&\s*%s\s*->\s*%s\b" % (name, member, _STORE, name, member)
            found += [at + one.end() for one in re.finditer(used, body)]
        given = frozenset[int]().union(*map(_numbers, finder.findall(body)))
        is_other = bool(given) and leaf not in given
        is_named = re.search(tables.named.encode(), body) is not None
        if found and not is_other and not (is_named and leaf not in _numbers(body)):
            yield user, found


def _numbers(body: bytes) -> frozenset[int]:
    """Return the numbers that stand in a text."""
    found = (literal(one.decode()) for one in _NUMBER.findall(body))
    return frozenset(one for one in found if one is not None)


def _is_filled(body: bytes, at: int, name: bytes, is_array: bool) -> bool:
    """Tell whether an element of a member is stored to, or the address of an array is used."""
    end = at + len(name)
    if body[end : end + 1] == b"[":
        return _ELEMENT.match(body, end) is not None
    opened, number = brackets.argument_at(body, at)
    callee = brackets.callee(body, opened) if opened >= 0 else None
    return is_array and callee not in (b"sizeof", b"ARRAY_SIZE") and (callee, number) != _READING


def _is_put_back(before: bytes, statement: bytes) -> bool:
    """Tell whether a statement undoes one in front of it: a swap, or a copy that was kept."""
    words = b"".join(statement.split())
    flat = b"".join(before.split())
    if words.startswith(b"swap("):
        return words in flat
    copied = _COPY.fullmatch(words)
    return copied is not None and b"memcpy(%s,%s," % (copied[2], copied[1]) in flat


def _statement(text: bytes, at: int) -> bytes:
    """Return the statement around a byte, up to its semicolon."""
    start = max(text.rfind(one, 0, at) for one in (b";", b"{", b"}", b":"))
    end = text.find(b";", at)
    return text[start + 1 : end if end >= 0 else len(text)].strip()


class Told(Invalidations):
    """The stores that invalidate the roles of one context behind changes of what is told."""

    def after_all(
        self, members: Iterable[str], asked: str = "", owner: str | None = None
    ) -> str | None:
        """Return the function that invalidates the role after every store to some members.

        A member that no function stores to is none of this tree.  ASKED is what a guest is
        asked with, and OWNER the record of the members, where something else than to store to
        one by its name may change it.
        """
        members = list(members)
        found = [*tellers(self._tree.index, members)]
        if owner is not None and not self._are_all(members, owner, found):
            return None
        if asked:
            key = asked, *members
            if key not in self._tree.told:
                changing = _changing(self._tree.index, asked)
                self._tree.told[key] = [*changing, *self._filling(members)]
            found += self._tree.told[key]
        changes = [
            (writer, [at for at in stores if not self._puts_back(writer, at)])
            for writer, stores in found
        ]
        names = [self._somewhere_behind(*change, 0) for change in changes if change[1]]
        return names[0] if names and None not in names else None

    def _filling(self, members: list[str]) -> Iterator[tuple[Definition, list[int]]]:
        """Yield the functions that store to elements of a member, or use the address of an array.

        One that is told which feature to change is looked at by its callers.
        """
        index = self._tree.index
        host = self._tree.types.record(f"struct {index.target.host}", index.target.header)
        known = host.by_name if isinstance(host, RecordType) else {}
        parameter = index.target.registers.tables.parameter.encode()
        for member in members:
            name = member.encode()
            is_array = member in known and isinstance(known[member][1], ArrayType)
            for _, user in index.users(member):
                head, _, body = user.text.partition(b"{")
                found = [
                    len(head) + 1 + at
                    for at in places(body, name)
                    if body[at - 1 : at] in (b">", b".") and _is_filled(body, at, name, is_array)
                ]
                if found and not _is_born(index, user) and not (parameter and parameter in head):
                    yield user, found

    def _are_all(
        self, members: list[str], owner: str, found: list[tuple[Definition, list[int]]]
    ) -> bool:
        """Tell whether nothing but some functions may store to some members."""
        known = {writer.key for writer, _ in found}
        owners = dict.fromkeys(members, frozenset((owner,)))
        mentions = Mentions(self._tree.index, self._tree.types, owners)
        return all(
            one.is_idle
            or (
                one.kind == "store"
                and one.function is not None
                and (one.function.key in known or _is_born(self._tree.index, one.function))
            )
            for member in members
            for one in mentions.of(member)
        )

    def beside(self, name: str, here: str, members: Iterable[str]) -> str | None:
        """Say what a function answers by that is not told, nor computed from what is.

        MEMBERS are known to be told.  None where there is no more.
        """
        read = read_by(self._tree, name, here)
        if read is None:
            return f"by what {name}() answers is not understood"
        owners = frozenset((self._tree.index.target.host, self._tree.index.target.handle))
        for member in sorted(read.difference(members)):
            mentions = Mentions(self._tree.index, self._tree.types, {member: owners})
            if not all(map(self._is_told, mentions.of(member))):
                return f"{name}() answers by {member} as well, which may change at any time"
        return None

    def _is_told(self, mention: Mention) -> bool:
        """Tell whether a mention leaves a member alone, or the role is invalid behind it."""
        function = mention.function
        if function is None or mention.is_idle:
            return mention.is_idle
        file = self._tree.index.file(function.file)
        assert file is not None
        at = file.offset(mention.place.line, mention.place.column) - function.start
        return (
            _is_born(self._tree.index, function)
            or self._somewhere_behind(function, [at], 0) is not None
        )

    @cached_property
    def _behind_call(self) -> dict[tuple[str, str, int, int, int], str | None]:
        """What invalidates the role behind a call: by caller, place and depth."""
        return {}

    @cached_property
    def _handle(self) -> re.Pattern[str]:
        return handle(self._tree)

    def _certain(self, node: Node, body: Node, function: Definition, start: int, zero: str) -> bool:
        """Tell whether all come by a node who do not put back what was told, or leave it alone."""
        return (
            not self._is_late(function, start, node.start_byte)
            and is_certain(node, body, leaving=True)
            and all(
                self._is_undone(one, function)
                for one in descendants(body)
                if one.type in ("return_statement", "goto_statement")
                and start <= one.start_byte
                and one.end_byte <= node.start_byte
            )
        )

    def _is_undone(self, jump: Node, function: Definition) -> bool:
        """Tell whether what is told is put back on the way out, or was compared and is the same."""
        data, end = function.text, len(function.text)
        start = jump.start_byte
        if jump.type == "goto_statement":
            label = jump.child_by_field_name("label")
            name = text(label).encode() if label is not None else b""
            start = data.find(b"\n%s:" % name, jump.end_byte)
        else:
            start, end = self._block(jump), jump.start_byte
        behind = data[start:end] if start >= 0 else b""
        told = "|".join(self._tree.index.target.registers.told).encode()
        for found in re.finditer(rb"(?:->|\.)(?:%s)\b" % told, behind):
            if _is_put_back(data[:start], _statement(data, start + found.start())):
                return True
        block = data[self._block(jump) : jump.start_byte]
        return any(
            _COMPARES.search(one.text) is not None and re.search(told, one.text) is not None
            for name in re.findall(r"\b(\w+)\s*\(", block.decode("utf-8", "replace"))
            for one in self._tree.index.functions(name, function.file)
        )

    def _block(self, node: Node) -> int:
        """Return where the block around a node begins."""
        here: Node | None = node
        while here is not None and here.type != "compound_statement":
            here = here.parent
        return here.start_byte if here is not None else node.start_byte

    def _somewhere_behind(self, writer: Definition, stores: list[int], depth: int) -> str | None:
        """Return what invalidates the role behind a store: in its function, or in who calls it."""
        handed = self._handle.search(writer.text.decode("utf-8", "replace"))
        if handed is not None:
            found = [self._on_every_way(writer, at, handed[1], frozenset()) for at in stores]
            if None not in found:
                return found[0]
        if depth == MAX_CALLS or self._is_late(writer, min(stores), len(writer.text)):
            return None
        name: str | None = None
        calls = self._births.calls(writer)
        if not calls:
            return None
        for one, call in calls:
            if _is_born(self._tree.index, one):
                continue
            key = (*one.key, call.end_byte, depth)
            if key not in self._behind_call:
                behind = self._somewhere_behind(one, [call.end_byte], depth + 1)
                self._behind_call[key] = behind
            if self._behind_call[key] is None:
                return None  # one caller is enough, and there may be a tree of them
            name = name or self._behind_call[key]
        return name

    def _puts_back(self, writer: Definition, at: int) -> bool:
        """Tell whether a store undoes another one, behind a label that is only jumped to."""
        labels = [*_LABEL.finditer(writer.text, 0, at)]
        if not labels:
            return False
        before = writer.text[: labels[-1].start()]
        last = _statement(before, max(0, len(before.rstrip()) - 1))
        is_left = re.match(rb"(?:return|goto)\b", last) is not None
        again = re.search(rb"\bgoto\s+%s\b" % labels[-1][1], writer.text[at:]) is not None
        return is_left and not again and _is_put_back(before, _statement(writer.text, at - 1))
