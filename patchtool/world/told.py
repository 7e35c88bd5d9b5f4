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

from patchtool.c.index import Index
from patchtool.c.scan import Definition
from patchtool.c.syntax import Node
from patchtool.world.invalidation import MAX_CALLS, Invalidations, is_certain

_LABEL = re.compile(rb"\n\w+:[ \t]*\n")


def tellers(index: Index, members: Iterable[str]) -> Iterator[tuple[Definition, list[int]]]:
    """Yield the functions that store to some members, each with where its stores end.

    Those that run before any set-up are left out; one that stores to two of the members comes
    twice.
    """
    births = index.target.registers.births
    for member in dict.fromkeys(members):
        stored = re.compile(
            rb"(?:->|\.)\s*%s\s*(?:[-+|&^]|<<|>>)?=(?!=)|\bswap\s*\([^;]*\b%s\b"
            rb"|\bmem\w+\s*\(\s*&?[\w>.-]*(?:->|\.)\s*%s\b" % ((member.encode(),) * 3)
        )
        for _, writer in index.users(member):
            stores = [match.end() for match in stored.finditer(writer.text)]
            if stores and not re.fullmatch(births, writer.name):
                yield writer, stores


class Told(Invalidations):
    """The stores that invalidate the roles of one context behind changes of what is told."""

    def after_all(self, members: Iterable[str]) -> str | None:
        """Return the function that invalidates the role after every store to some members.

        A member that no function stores to is none of this tree.
        """
        names = [
            self._somewhere_behind(writer, stores, 0)
            for writer, stores in tellers(self._tree.index, members)
        ]
        return names[0] if names and None not in names else None

    @cached_property
    def _handle(self) -> re.Pattern[str]:
        """A pointer to what a context is reached through, and its name."""
        tag = re.escape(self._tree.index.target.handle)
        return re.compile(rf"struct\s+{tag}\s*\*\s*(?:const\s+)?(\w+)")

    def _certain(self, node: Node, body: Node) -> bool:
        return is_certain(node, body, leaving=True)

    def _somewhere_behind(self, writer: Definition, stores: list[int], depth: int) -> str | None:
        """Return what invalidates the role behind a store: in its function, or in who calls it."""
        handed = self._handle.search(writer.text.decode("utf-8", "replace"))
        for start in reversed(stores) if handed is not None else ():
            assert handed is not None
            if _LABEL.search(writer.text, 0, start):
                start = 0  # what is put back after a refusal
            found = self._on_every_way(writer, start, handed[1], frozenset())
            if found is not None:
                return found
        if depth == MAX_CALLS:
            return None
        names = [self._somewhere_behind(one, [at], depth + 1) for one, at in self._calls_of(writer)]
        return names[0] if names and None not in names else None

    def _calls_of(self, function: Definition) -> Iterator[tuple[Definition, int]]:
        """Yield who calls a function, also as an operation of a table, and behind which byte."""
        index = self._tree.index
        spelt = function.name.encode()
        called = {function.name}
        table = re.compile(rb"(?:\.|->)\s*(\w+)\s*=\s*&?\s*" + spelt + rb"\b")
        for file in index.files_with(spelt):
            called.update(found[1].decode() for found in table.finditer(file.data))
        called |= {index.target.prefix + name for name in called}
        for name in sorted(called):
            call = re.compile(rb"\b" + name.encode() + rb"\b\)*\s*\(")
            for _, user in index.users(name):
                body = user.text.find(b"{")
                found = [m.end() for m in call.finditer(user.text) if m.start() > body]
                if found and user.key != function.key:
                    yield user, found[-1]
