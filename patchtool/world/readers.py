# SPDX-License-Identifier: GPL-2.0-only
"""Which contexts a pointer may select, and so whose fields are read.

In: a tree and an expression that names a context.  Out: the members of the host that it may
be: one by its name, those that a pointer beside them is made to point to, and what callers
hand to a parameter.  What is not followed may be any of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from patchtool.c.index import split_arguments
from patchtool.c.scan import Definition, FileIndex, before, places, strip_comments
from patchtool.c.syntax import Node, text
from patchtool.model import Place
from patchtool.world.entries import Tree
from patchtool.world.mentions import Mention, Mentions

MAX_CALLS = 6
"""How many calls a parameter is followed up."""

_ADDRESS = re.compile(r"&\s*\(?\s*[\w>.()-]*?(?:->|\.)\s*(\w+)\s*\)?")
_MEMBER = re.compile(r"[\w>.()\s-]*?(?:->|\.)\s*(\w+)")
_ONCE = re.compile(r"(?:READ_ONCE)?\((.*)\)")
"""What only stands around an expression."""
_ASSIGNED = re.compile(rb"\s*=(?!=)\s*([^;]*);")
_CALL = re.compile(rb"\s*\(((?:[^();]|\((?:[^()]|\([^()]*\))*\))*)\)")


class Selection:
    """What the contexts of one tree are reached by."""

    def __init__(self, tree: Tree, mentions: Mentions) -> None:
        self._tree, self._mentions = tree, mentions
        self.embedded = tree.held()
        """The members of the host that are contexts."""
        self._selected = {name: frozenset(self._bound(name.encode())) for name in tree.held(rb"\*")}
        self._given: dict[tuple[tuple[str, str, int], int], frozenset[str]] = {}
        self.taken: dict[str, str] = {}
        """What was taken for true of contexts, to leave them out where they are not in use."""

    def _bound(self, pointer: bytes) -> Iterator[str]:
        """Yield the contexts that a pointer beside them is made to point to."""
        for path in self._mentions.files:
            if pointer not in (self._tree.index.raw(path) or b""):
                continue
            data = self._tree.index.text(path) or b""
            for at in places(data, pointer):
                stored = _ASSIGNED.match(data, at + len(pointer))
                if stored is None or not before(data, at).endswith((b">", b".")):
                    continue
                address = _ADDRESS.fullmatch(_dense(stored[1].decode("utf-8", "replace")))
                if address is None or address[1] not in self.embedded:
                    yield from self.embedded
                else:
                    yield address[1]

    def contexts(
        self, expression: str, function: Definition | None, depth: int = 0
    ) -> frozenset[str]:
        """Return the contexts that an expression of a function may be, or point to."""
        words = _dense(expression)
        while (once := _ONCE.fullmatch(words)) is not None:
            words = once[1]
        address = _ADDRESS.fullmatch(words)
        if address is not None and address[1] in self.embedded:
            return frozenset((address[1],))
        member = _MEMBER.fullmatch(words)
        if member is not None:
            if member[1] in self.embedded:
                return frozenset((member[1],))
            return self._selected.get(member[1], self.embedded)
        if function is None or not words.isidentifier() or depth > MAX_CALLS:
            return self.embedded
        return self._variable(words, function, depth)

    def _variable(self, name: str, function: Definition, depth: int) -> frozenset[str]:
        head, _, body = strip_comments(function.text).partition(b"{")
        spelt = re.escape(name.encode())
        stored = re.findall(rb"(?<![\w.>])" + spelt + rb"\s*=(?!=)\s*([^;,]*)[;,]", body)
        if stored:
            values = [one.decode("utf-8", "replace") for one in stored]
            found = (self.contexts(one, function, depth + 1) for one in values)
            return frozenset().union(*found)
        parameters: Iterable[str] = function.parameters or ()
        if function.kind == "function":
            listed = head[head.find(function.name.encode()) :].partition(b"(")[2]
            parameters = split_arguments(listed.decode("utf-8", "replace").rpartition(")")[0])
        for number, one in enumerate(parameters):
            if re.search(rf"\b{re.escape(name)}\s*$", one):
                return self._handed(function, number, depth)
        return self.embedded

    def _handed(self, function: Definition, number: int, depth: int) -> frozenset[str]:
        """Return the contexts that callers hand to a parameter."""
        key = (function.key, number)
        if key in self._given:
            return self._given[key]
        self._given[key] = frozenset()  # what it hands to itself adds nothing
        found: set[str] = set()
        word = function.name.encode()
        for path in self._mentions.files:
            if word not in (self._tree.index.raw(path) or b""):
                continue
            file = self._tree.index.file(path)
            for at in places(file.data, word) if file is not None else ():
                assert file is not None
                for one in _around(file, at):
                    call = _CALL.match(file.data, at + len(word))
                    given = split_arguments(call[1].decode(errors="replace")) if call else []
                    if number < len(given):
                        some = self.contexts(given[number], one, depth + 1)
                        found |= self._in_use(some, one, at - one.start)
                    else:
                        found |= self.embedded
        self._given[key] = frozenset(found)
        return self._given[key]

    def _in_use(self, contexts: frozenset[str], function: Definition, at: int) -> frozenset[str]:
        """Leave out the contexts that are not in use where a byte of a function is run."""
        denied: set[str] = set()
        here = self._tree.index.node(function).descendant_for_byte_range(at, at)
        while here is not None and here.parent is not None:
            outer = here.parent
            condition = outer.child_by_field_name("condition")
            if outer.type == "if_statement" and condition is not None:
                if outer.child_by_field_name("consequence") == here:
                    denied.update(_conjuncts(condition))
            here = outer
        left = contexts
        for use in self._tree.index.target.uses:
            if use.context in left and f"!{use.host}" in denied:
                self.taken[use.context] = use.text
                left -= {use.context}
        return left

    def readers(
        self, name: str, below: tuple[str, ...]
    ) -> Iterator[tuple[Mention, frozenset[str]]]:
        """Yield the reads of a member, and the contexts of which they may read it."""
        for mention in self._mentions.of(name):
            if mention.kind == "read" and _is_part(mention.below, below):
                base = re.match(r"\(?\s*(.*?)\s*\)?\s*(?:->|\.)\s*" + name + r"\b", mention.what)
                if base is not None:
                    yield mention, self.contexts(base[1], mention.function)

    def read_of(self, name: str, below: tuple[str, ...], context: str) -> Place | None:
        """Return where a member of a context may be read."""
        for mention, contexts in self.readers(name, below):
            if context in contexts:
                return mention.place
        return None


def _conjuncts(condition: Node) -> Iterator[str]:
    """Yield what has to be true for a condition to be."""
    if condition.type == "parenthesized_expression" and condition.named_child_count == 1:
        yield from _conjuncts(condition.named_children[0])
    elif condition.type == "binary_expression" and text(condition.children[1]) == "&&":
        for side in condition.named_children:
            yield from _conjuncts(side)
    else:
        yield _dense(text(condition))


def _dense(expression: str) -> str:
    """Return an expression without its blanks."""
    return "".join(expression.split())


def _around(file: FileIndex, at: int) -> list[Definition]:
    """Return the function in whose body, or the macro in whose definition, a place is."""
    functions = [
        one
        for one in file.functions.get(file.function_at(at) or "", ())
        if one.start + one.text.find(b"{") < at < one.start + len(one.text)
    ]
    return functions or list(file.macros_around([at]))


def _is_part(read: tuple[str, ...], below: tuple[str, ...]) -> bool:
    """Tell whether what is read of a member may be a part of it."""
    shorter = min(len(read), len(below))
    return read[:shorter] == below[:shorter]
