# SPDX-License-Identifier: GPL-2.0-only
"""Which function invalidates a role after every change of what a guest is told of its CPU.

What a guest is told is looked up in tables that user space hands over whole, and in members
that are computed from them.  A function that stores one and then leaves has to put back what
was there, or to have found it the same; one that vendors' modules fill in is called by the
function that goes on to tell everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from patchtool.c import syntax
from patchtool.c.scan import WORDS, Definition, strip_comments
from patchtool.c.syntax import Node, descendants, text
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.accounts.sites import Mention
from patchtool.world.inputs.answers import handle, read_by
from patchtool.world.inputs.invalidation import (
    MAX_CALLS,
    Doubt,
    Invalidations,
    fails,
    first_behind,
    is_certain,
    passes_by,
)
from patchtool.world.inputs.newborn import is_alone
from patchtool.world.inputs.steady import Truth
from patchtool.world.inputs.tellers import Tellers

_LABEL = re.compile(rb"\n(\w+):[ \t]*\n")
_COPY = re.compile(rb"memcpy\(([^,]*),([^,]*),.*\)")
_STORED = re.compile(rb"([\w>.-]+)=(\w+)")
_SWAPS = re.compile(rb"\s*(?:swap\([^;{}]*\);\s*)+\}\s*")
"""What is undone by doing it again."""
_REFUSES = re.compile(rb"\b(\w+)\s*=\s*(\w+)\s*\([^;{}]*\);\s*if\s*\(\1\)\s*(?:return|goto)\b")
"""A call of which an answer other than 0 is a refusal."""
_RETURNED = re.compile(rb"\breturn\b([^;]*);")
_REFUSAL = re.compile(
    rb"\s*(?:-\s*E[A-Z]+|memcmp\s*\([^;?]*\bsizeof\b[^;?]*\)\s*(?:\?\s*-\s*\w+\s*:\s*0)?)\s*"
)
"""What is returned where something was compared and is another, or nothing is."""
_WHOLE = re.compile(rb"\bmemcmp\s*\([^;]*\bsizeof\b")
_LEAVES = re.compile(rb"\b(?:goto|continue|break|offsetof)\b")
"""What may leave something out of a comparison."""


def _is_put_back(before: bytes, statement: bytes) -> bool:
    """Tell whether a statement undoes one in front of it: a swap, or a copy that was kept."""
    words = b"".join(statement.split())
    flat = b"".join(before.split())
    if words.startswith(b"swap("):
        return words in flat
    copied = _COPY.fullmatch(words)
    if copied is not None:
        return b"memcpy(%s,%s," % (copied[2], copied[1]) in flat
    stored = _STORED.fullmatch(words)
    return stored is not None and _is_kept_in(stored[2], stored[1], before)


def _is_kept_in(variable: bytes, member: bytes, before: bytes) -> bool:
    """Tell whether a variable holds what stood in a member before anything was stored there."""
    plain, name = strip_comments(before.partition(b"{")[2]), re.escape(variable)
    changed = rb"&\s*%s\b|\b%s\s*(?:\+\+|--|[^\s\w=!<>()]=|<<=|>>=)|(?:\+\+|--)\s*%s\b"
    kept = [*re.finditer(rb"(?<![\w>.])%s\s*=(?!=)\s*([^;,]*)[;,]" % name, plain)]
    return (
        len(kept) == 1
        and b"".join(kept[0][1].split()) == member
        and member not in b"".join(plain[: kept[0].start()].split())
        and re.search(changed % (name, name, name), plain) is None
    )


def _statement(text: bytes, at: int) -> bytes:
    """Return the statement around a byte, up to its semicolon."""
    start = max(text.rfind(one, 0, at) for one in (b";", b"{", b"}", b":"))
    end = text.find(b";", at)
    return text[start + 1 : end if end >= 0 else len(text)].strip()


def _block(node: Node) -> Node:
    """Return the block around a node, or the whole where there is none."""
    while node.type != "compound_statement" and node.parent is not None:
        node = node.parent
    return node


class Told(Invalidations):
    """The stores that invalidate the roles of one context behind changes of what is told."""

    def after_all(
        self, members: Iterable[str], asked: str = "", owner: str | None = None, by: str = ""
    ) -> str | None:
        """Return the function that invalidates the role after every store to some members.

        A member that no function stores to is none of this tree.  ASKED is what a guest is
        asked with, BY which function, and OWNER the record of the members, where something
        else than to store to one by its name may change it.
        """
        members = tuple(members)
        found = self._tellers.of(members, asked, owner, by)
        if found is None or any(self._tree.pasting.uses(members)):
            return None
        changes = [
            (writer, [at for at in stores if not self._puts_back(writer, at)])
            for writer, stores in found
        ]
        names = [self._somewhere_behind(*change, 0) for change in changes if change[1]]
        return names[0] if names and None not in names else None

    def doubt_of_all(
        self, members: Iterable[str], asked: str = "", owner: str | None = None, by: str = ""
    ) -> Doubt | None:
        """Return why it is not known that what is told changes and leaves the role valid."""
        members = tuple(members)
        changes = self._tellers.of(members, asked, owner, by)
        if changes is None or any(self._tree.pasting.uses(members)):
            return None if self.perhaps.is_none else Doubt(None, False)
        found: Doubt | None = None
        for writer, stores in changes:
            stores = [at for at in stores if not self._puts_back(writer, at)]
            if stores and self._somewhere_behind(writer, stores, 0) is None:
                places = [self.perhaps.behind(writer, at) for at in stores]
                if None in places:
                    return None
                found = Doubt(places[0], True)
        return found

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
            is_pasted = any(self._tree.pasting.uses((member,)))
            if is_pasted or not all(map(self._is_told, mentions.of(member))):
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
            self._births.is_birth(function, at)
            or self._somewhere_behind(function, [at], 0) is not None
        )

    @cached_property
    def _tellers(self) -> Tellers:
        return Tellers(self._tree, self._births)

    @cached_property
    def _behind_call(self) -> dict[tuple[str, str, int, int, int, bool], str | None]:
        """What invalidates the role behind a call: by caller, place, depth, and whose."""
        return {}

    @cached_property
    def _handle(self) -> re.Pattern[str]:
        return handle(self._tree)

    def _certain(
        self, node: Node, body: Node, function: Definition, start: int, known: Truth
    ) -> bool:
        """Tell whether all come by a node who do not put back what was told, or leave it alone."""
        first = first_behind(body, start, node)
        return (
            not self._is_late(function, first, node.start_byte)
            and is_certain(node, body, leaving=True, start=start, known=known)
            and all(
                self._is_undone(one, function, start)
                if one.type in ("return_statement", "goto_statement")
                else not passes_by(one, node)
                for one in descendants(body)
                if one.type in syntax.JUMPS
                and not fails(one, known.at(node.start_byte) if first == start else Truth())
                and first < one.end_byte
                and one.end_byte <= node.start_byte
            )
        )

    def _is_undone(self, jump: Node, function: Definition, change: int) -> bool:
        """Tell whether what is told is put back on the way out, or was compared and is the same.

        CHANGE is where the store to it ends: only what it stores to has been compared behind it.
        """
        data, start, end = function.text, -1, -1
        if jump.type == "goto_statement":
            label = jump.child_by_field_name("label")
            name = text(label).encode() if label is not None else b""
            start = data.find(b"\n%s:" % name, jump.end_byte)
            end = data.find(b"\n\treturn", start)
        members = "|".join(self._tree.told_in)
        told = re.compile(rb"(?:->|\.)(%s)\b" % members.encode())
        statement = _statement(data, change - 1)
        changed = set(told.findall(statement))
        around = _block(jump).start_byte
        ways = [one for one in ((start, end), (around, jump.start_byte)) if one[0] >= 0]
        swaps = self._swapping(statement, function.file)
        if swaps:
            changed = set(told.findall(b"".join(one.text for one in swaps)))
            words = b"".join(statement.split())
            if any(
                words in b"".join(data[max(first, change) : last].split()) for first, last in ways
            ):
                return not self._sets_up(function, change, jump.start_byte)
        # What puts back comes behind the change, and is not the change itself.
        back = {
            found[1]
            for first, last in ways
            for found in told.finditer(data, max(first, change), last)
            if _is_put_back(data[:first], _statement(data, found.start()))
        }
        # A call may change all that is told.
        if (changed or {one.encode() for one in self._tree.told_in}) <= back:
            return not self._sets_up(function, change, jump.start_byte)
        return bool(changed) and any(
            self._compares(one, changed)
            for found in _REFUSES.finditer(data, max(around, change), jump.start_byte)
            for one in self._tree.index.functions(found[2].decode(), function.file)
        )

    def _compares(self, function: Definition, members: set[bytes]) -> bool:
        """Tell whether a function answers 0 only where some members were found to be the same.

        As a whole, or by each word of the records that they hold.
        """
        body = strip_comments(function.text.partition(b"{")[2])
        *refusals, last = _RETURNED.findall(body) or [b""]
        if last.strip() != b"0":
            refusals.append(last)
        tables = self._tree.index.target.registers.tables
        is_whole = _WHOLE.search(body) is not None or all(
            re.search(rb"(?:->|\.)%s\s*!=" % one.encode(), body) is not None
            for one in (*tables.keys, *tables.registers)
        )
        return (
            is_whole
            and members <= set(body.translate(WORDS).split())
            and _LEAVES.search(body) is None
            and all(_REFUSAL.fullmatch(one) is not None for one in refusals)
        )

    def _swapping(self, statement: bytes, here: str) -> list[Definition]:
        """Return the functions that a statement calls, where they do nothing but to swap."""
        called = re.match(rb"(\w+)\s*\(", statement)
        found = self._tree.index.functions(called[1].decode(), here) if called is not None else ()
        bodies = [strip_comments(one.text).partition(b"{")[2] for one in found]
        return [*found] if all(_SWAPS.fullmatch(one) is not None for one in bodies) else []

    def _sets_up(self, function: Definition, start: int, end: int) -> bool:
        """Tell whether what is called between two bytes of a function may run a set-up."""
        if self._is_late(function, start, end):
            return True
        for match in syntax.matches("call_site", self._tree.index.node(function)):
            call = match["call.function"][0]
            if start <= call.start_byte < end:
                for one in self._tree.index.functions(text(call), function.file):
                    if self._tree.effects.may_run(one, self._leading):
                        return True
        return False

    def _somewhere_behind(
        self, writer: Definition, stores: list[int], depth: int, is_of_one: bool = True
    ) -> str | None:
        """Return what invalidates the role behind a store: in its function, or in who calls it.

        IS_OF_ONE tells whether what is called below has to do with one holder alone.
        """
        handed = {*self._handle.findall(writer.text.decode("utf-8", "replace"))}
        if len(handed) == 1:  # of two, the one that is changed need not be the one that is told
            (name,) = handed
            found = [self._on_every_way(writer, at, name) for at in stores]
            if None not in found:
                return found[0]
        if depth == MAX_CALLS or self._is_late(writer, min(stores), len(writer.text)):
            return None
        by: str | None = None
        calls = self._births.calls(writer)
        if not calls:
            return None
        is_of_one = is_of_one and is_alone(self._tree, writer)
        for one, call in calls:
            if is_of_one and self._births.is_birth(one, call.end_byte):
                continue
            if self._puts_back(one, call.end_byte):
                continue
            key = (*one.key, call.end_byte, depth, is_of_one)
            if key not in self._behind_call:
                behind = self._somewhere_behind(one, [call.end_byte], depth + 1, is_of_one)
                self._behind_call[key] = behind
            if self._behind_call[key] is None:
                return None  # one caller is enough, and there may be a tree of them
            by = by or self._behind_call[key]
        return by

    def _puts_back(self, writer: Definition, at: int) -> bool:
        """Tell whether a store undoes another one, on a way out of a function.

        That is in a block that leaves it, or behind a label that is only jumped to.
        """
        data, statement = writer.text, _statement(writer.text, at - 1)
        begin = data.find(b"{")
        here = self._tree.index.node(writer).descendant_for_byte_range(at - 1, at)
        block = _block(here) if here is not None else None
        held = syntax.inner(block)
        called = b"".join(statement.split()) if self._swapping(statement, writer.file) else b""

        def is_put_back(before: bytes) -> bool:
            if called:
                return called in b"".join(before.split())
            return _is_put_back(before, statement)

        if block is not None and held and held[-1].type in ("return_statement", "goto_statement"):
            if is_put_back(data[: block.start_byte]):
                return not self._sets_up(writer, begin, at)
        labels = [*_LABEL.finditer(data, 0, at)]
        if not labels:
            return False
        before = data[: labels[-1].start()]
        last = _statement(before, max(0, len(before.rstrip()) - 1))
        is_left = re.match(rb"(?:return|goto)\b", last) is not None
        jumps = [one.start() for one in re.finditer(rb"\bgoto\s+%s\b" % labels[-1][1], data)]
        return (
            is_left
            and is_put_back(before)
            and all(one < at and not self._sets_up(writer, begin, one) for one in jumps)
        )
