# SPDX-License-Identifier: GPL-2.0-only
"""Contexts that are handed on, or stored to, as a whole.

Who names no member of a context can still change all of them: by memset() or a copy over the
object, or through a pointer of another type.  So every expression that is a context, or a
pointer to one, is compared, copied from, handed to a function that takes such a pointer, or
kept in one; anything else may change the context.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchtool.c.index import split_arguments
from patchtool.c.scan import Definition, FileIndex, before, places
from patchtool.c.syntax import Node, text
from patchtool.model import Place
from patchtool.world.entries import Tree
from patchtool.world.mentions import Mentions

_BLANKS = b" \t\n"
_POINTER = re.compile(rb"\s*\*\s*(?:const\s+)?(\w+)")


class Wholes:
    """The uses of whole contexts in one tree."""

    def __init__(self, tree: Tree, mentions: Mentions) -> None:
        self._tree, self._mentions = tree, mentions
        self._objects, self._pointers = tree.held(), tree.held(rb"\*")
        self._names = sorted(tag.encode() for tag in tree.roles.contexts)
        tags = b"|".join(map(re.escape, self._names)) or b"(?!)"
        self._tags = re.compile(rb"\bstruct\s+(?:" + tags + rb")\b")

    def changes(self) -> Iterator[tuple[Place, Definition, str, str]]:
        """Yield where a context may be changed as a whole: place, function, context, reason."""
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
    ) -> Iterator[tuple[Place, Definition, str, str]]:
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
            name = word if word in self._objects and is_member else ""
            yield Place(file.path, line, 1, function.name), function, name, reason

    def _why(self, here: Node, function: Definition, is_object: bool) -> str | None:
        """Say how a context may be changed by a use of it; None where it may not."""
        what = text(here)
        while True:
            outer = here.parent
            if outer is None:
                return None
            kind = outer.type
            if kind in ("parenthesized_expression", "comma_expression"):
                here = outer
                continue
            if kind == "conditional_expression" and outer.children[0] != here:
                here = outer
                continue
            if kind == "pointer_expression":
                is_object = outer.children[0].type == "*"
                here = outer
                continue
            if kind == "field_expression":
                return None  # a member, which is a mention of its own
            if kind == "assignment_expression" and outer.children[0] == here:
                return f"{what} is stored to as a whole" if is_object else None
            if is_object and kind == "argument_list" and outer.parent is not None:
                callee = outer.parent.child_by_field_name("function")
                name = text(callee) if callee is not None else ""
                if self._tree.index.functions(name, function.file):
                    return None  # by its value
                return f"{what} is given to {name}() as a whole"
            if is_object:
                return None  # copied from, or compared
            if kind in ("init_declarator", "assignment_expression"):
                return None if self._keeps(outer, function) else f"{what} is kept in another type"
            if kind == "argument_list" and outer.parent is not None:
                return self._handed(outer.parent, outer, here, what, function)
            if kind in ("cast_expression", "subscript_expression", "gnu_asm_input_operand"):
                return f"{what} is taken for another type"
            return None

    def _keeps(self, holder: Node, function: Definition) -> bool:
        """Tell whether what a pointer is kept in is a pointer to a context."""
        if holder.type == "init_declarator":
            declared = holder.parent.child_by_field_name("type") if holder.parent else None
            return declared is not None and self._tags.search(declared.text or b"") is not None
        left = holder.child_by_field_name("left")
        name = re.findall(r"\w+", text(left))[-1:] if left is not None else []
        variables = [one.decode() for _, one in self._variables(function.text)]
        return bool(name) and (name[0] in self._pointers or name[0] in variables)

    def _handed(
        self, call: Node, arguments: Node, given: Node, what: str, function: Definition
    ) -> str | None:
        """Say whether the callee may take a pointer for something else than a context."""
        callee = call.child_by_field_name("function")
        if callee is None or callee.type != "identifier":
            return None  # a hook of one of the tables, declared with its types
        name = text(callee)
        number = [n for n in arguments.named_children if n.type != "comment"].index(given)
        if self._tree.index.macros(name, function.file):
            return None  # what it amounts to is text that is looked at
        found = self._tree.index.functions(name, function.file)
        for one in found:
            head = one.text.partition(b"{")[0].decode("utf-8", "replace")
            listed = split_arguments(head[head.find(one.name) :].partition("(")[2])
            if number >= len(listed) or not self._tags.search(listed[number].encode()):
                return f"{what} is given to {name}(), which takes no such pointer"
        if not found and not name.isupper() and not name.startswith("trace_"):
            return f"{what} is given to {name}(), of which no definition was found"
        return None


def _next(data: bytes, at: int, count: int = 1) -> bytes:
    """Return what stands behind a place, blanks aside."""
    while data[at : at + 1] and data[at : at + 1] in _BLANKS:
        at += 1
    return data[at : at + count]
