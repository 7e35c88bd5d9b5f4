# SPDX-License-Identifier: GPL-2.0-only
"""Contexts that are handed to what is called by no name of a function.

A variable may lead to any function of its type.  That what it is given is a pointer to a
context says what the function takes, and not what it does: the run that follows it sees it,
if there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchtool.c import library
from patchtool.c.scan import Definition, FileIndex, before, places
from patchtool.c.syntax import Node, text
from patchtool.model import Place
from patchtool.world.accounts.holders import Change
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.entries import Tree

_BLANKS = b" \t\n"
_POINTER = re.compile(rb"\s*\*\s*(?:const\s+)?(\w+)")


class Wholes:
    """The uses of whole contexts in one tree."""

    def __init__(self, tree: Tree, mentions: Mentions) -> None:
        self._tree, self._mentions = tree, mentions
        self._objects, self._pointers = tree.held(), tree.held(rb"\*")
        self._names = sorted(tag.encode() for tag in tree.roles.contexts)

    def changes(self) -> Iterator[Change]:
        """Yield where a context may be changed as a whole."""
        words = [name.encode() for name in (*self._objects, *self._pointers)] + self._names
        for path in self._mentions.files:
            if self._tree.index.words_in(path).isdisjoint(words):
                continue
            file = self._tree.index.file(path)
            for at, word in self._sites(file) if file is not None else ():
                assert file is not None
                for function in file.functions.get(file.function_at(at) or "", ()):
                    if function.start <= at < function.start + len(function.text):
                        yield from self._judged(file, function, at, word)

    def _sites(self, file: FileIndex) -> Iterator[tuple[int, str]]:
        """Yield where a context or a pointer to one stands, and no member of it is taken."""
        data = file.data
        for name in self._objects:
            for at in places(data, name.encode()):
                behind = _next(data, at + len(name))
                is_declared = behind == b";" and data[at - 1 : at] not in (b">", b".")
                if behind != b"." and not is_declared:
                    yield at, name
        for name in self._pointers:
            for at in places(data, name.encode()):
                if data[at - 1 : at] in (b">", b".") and _next(data, at + len(name), 2) != b"->":
                    yield at, name
        seen: set[tuple[str, bytes]] = set()
        for begin, variable in self._variables(data):
            inside = file.function_at(begin)
            if inside is None or (inside, variable) in seen:
                continue
            seen.add((inside, variable))
            for function in file.functions.get(inside, ()):
                for at in places(function.text, variable):
                    end = function.start + at + len(variable)
                    if function.text[at - 1 : at] not in (b">", b".") and (
                        _next(data, end, 2) != b"->"
                    ):
                        yield function.start + at, variable.decode()

    def _variables(self, text: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the variables of a text that point to a context, and where their tags stand."""
        for tag in self._names:
            for at in places(text, tag):
                found = _POINTER.match(text, at + len(tag))
                if found is not None and before(text, at).endswith(b"struct"):
                    yield at, found[1]

    def _judged(
        self, file: FileIndex, function: Definition, at: int, word: str
    ) -> Iterator[Change]:
        root = self._tree.index.node(function)
        start = at - function.start
        leaf = root.descendant_for_byte_range(start, start + len(word))
        if leaf is None or text(leaf) != word or leaf.parent is None:
            return
        is_member = leaf.type == "field_identifier" and leaf.parent.type == "field_expression"
        if leaf.type != "identifier" and not is_member:
            return
        here = leaf.parent if is_member else leaf
        reason = self._why(here, function, word in self._objects and is_member)
        if reason is not None:
            line = file.line(at)
            yield Change(Place(file.path, line, 1, function.name), function, reason)

    def _why(self, here: Node, function: Definition, is_object: bool) -> str | None:
        """Say how a context may be changed by what it is given to; None where it may not."""
        what = text(here)
        while (outer := here.parent) is not None:
            kind = outer.type
            if kind == "argument_list" and outer.parent is not None:
                return None if is_object else self._handed(outer.parent, what, function)
            if kind == "pointer_expression":
                is_object = outer.children[0].type == "*"
            elif (kind == "conditional_expression" and outer.children[0] == here) or kind not in (
                "parenthesized_expression",
                "comma_expression",
                "conditional_expression",
            ):
                return None
            here = outer
        return None

    def _handed(self, call: Node, what: str, function: Definition) -> str | None:
        """Say that a callee is no function that is found, nor a macro, nor a member."""
        callee = call.child_by_field_name("function")
        name = text(callee) if callee is not None and callee.type == "identifier" else ""
        if not name or library.is_builtin(name, self._tree.index.target):
            return None
        found = self._tree.index.functions(name, function.file)
        macros = self._tree.index.macros(name, function.file)
        if found or macros or name.isupper() or name.startswith("trace_"):
            return None
        return f"{what} is given to {name}(), of which no definition was found"


def _next(data: bytes, at: int, count: int = 1) -> bytes:
    """Return what stands behind a place, blanks aside."""
    while data[at : at + 1] and data[at : at + 1] in _BLANKS:
        at += 1
    return data[at : at + count]
