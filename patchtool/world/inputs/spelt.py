# SPDX-License-Identifier: GPL-2.0-only
"""A function with some of its macros written out, and what its variables are.

In: a function, the macros.  Out: nodes by name, declarations, what is assigned to a variable;
places, as they are in the function itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from functools import cached_property

from patchtool.c import brackets, syntax
from patchtool.c.conditions import labels_in
from patchtool.c.index import Index, expand, split_arguments
from patchtool.c.scan import Definition
from patchtool.c.syntax import Node, text

_DEFINES = re.compile(rb"#[ \t]*(?:define|undef|ifn?def)[ \t]+\Z")
_EXPANDED = 64
"""How many uses of macros are written out in one function."""
GIVES_BACK = re.compile(r"k[vz]?free(?:_\w+)?|kvfree(?:_\w+)?|vfree|IS_ERR\w*|PTR_ERR\w*")
_READS = ("field_expression", "unary_expression", "pointer_expression")
_COPIES = re.compile(r"_*copy_(?:from|to)_user|mem(?:cpy|set)")
VALUES = (
    "expression_statement", "if_statement", "while_statement", "do_statement", "for_statement",
    "switch_statement", "case_statement", "sizeof_expression", "offsetof_expression",
)  # fmt: skip
DECLARATORS = ("pointer_declarator", "array_declarator", "parenthesized_declarator")


def _unwrapped(node: Node) -> tuple[Node, Node | None]:
    """Return a node with all parentheses around it, and what is around those."""
    here, outer = node, node.parent
    while outer is not None and outer.type == "parenthesized_expression":
        here, outer = outer, outer.parent
    return here, outer


class Spelt:
    """One function, as far as its macros are written out."""

    def __init__(self, index: Index, function: Definition, macros: Set[str]) -> None:
        self.index, self.function = index, function
        self.unspelt: set[bytes] = set()
        """Macros that could not be written out."""
        self._declarations: dict[str, tuple[int, bool, bool] | None] = {}
        self._values: dict[str, tuple[list[Node], bool, bool]] = {}
        self.text, self._spans = self._spelt_out(macros)
        is_same = not self._spans
        self.root = index.node(function if is_same else function._replace(text=self.text))

    @cached_property
    def labels(self) -> list[Node]:
        """What jumps in the function lead to."""
        return labels_in(self.root)

    def place(self, at: int) -> int:
        """Return the place in the function of a place in what its macros stand for."""
        for start, old, new in reversed(self._spans):
            at = at - new + old if at >= start + new else min(at, start + old)
        return at

    def call_at(self, call: Node) -> Node | None:
        """Return the call in what was looked at that a call in the function itself is."""
        at = call.start_byte
        for start, old, new in self._spans:
            if start < at + 1 < start + old + 1:
                return None
            at += new - old if at >= start else 0
        called = call.child_by_field_name("function")
        here = self.root.descendant_for_byte_range(at, at)
        while here is not None and here.type != "call_expression":
            here = here.parent
        inner = here.child_by_field_name("function") if here is not None else None
        is_it = called is not None and inner is not None and text(called) == text(inner)
        return here if here is not None and is_it and here.start_byte == at else None

    def _spelt_out(self, macros: Set[str]) -> tuple[bytes, list[tuple[int, int, int]]]:
        """Return the text with some macros written out, and where: place, length, new length."""
        data, spans = self.function.text, list[tuple[int, int, int]]()
        if not macros:
            return data, spans
        named = re.compile(rb"\b(?:%s)\b" % b"|".join(sorted(one.encode() for one in macros)))
        at = 0
        while found := named.search(data, at):
            end, given = found.end(), [""]
            defined = self.index.macros(found[0].decode(), self.function.file)
            if _DEFINES.search(data, max(0, found.start() - 40), found.start()) is not None:
                at = data.find(b"\n", end)
                continue
            if len(spans) == _EXPANDED or len(defined) != 1:
                self.unspelt.add(found[0])
                at = end
                continue
            if defined[0].parameters is not None:
                opened = brackets.first_from(data, end)
                closed = brackets.end_of(data, end)
                if data[opened : opened + 1] != b"(" or closed is None:
                    at = end
                    continue
                inner = data[opened + 1 : closed - 1].decode("utf-8", "replace")
                given, end = split_arguments(inner), closed
            words = expand(defined[0], given if defined[0].parameters is not None else [""])
            new = (words if words is not None else "").replace("\n", " ").encode()
            if words is None or found[0] in new.split():
                self.unspelt.add(found[0])
                at = end
                continue
            spans.append((found.start(), end - found.start(), len(new)))
            data = data[: found.start()] + new + data[end:]
            at = found.start()
        return data, spans

    def at(self, names: Set[str], types: tuple[str, ...]) -> Iterator[Node]:
        """Yield the nodes that are one of some names."""
        if not names:
            return
        named = re.compile(rb"\b(?:%s)\b" % b"|".join(sorted(one.encode() for one in names)))
        for found in named.finditer(self.text):
            node = self.root.descendant_for_byte_range(found.start(), found.end())
            if node is None or (node.start_byte, node.end_byte) != found.span():
                if node is not None and node.type == "ERROR":
                    self.unspelt.add(found[0])
            elif node.type in types:
                yield node

    @staticmethod
    def is_declarator(node: Node) -> bool:
        """Tell whether a name is declared where it stands."""
        here, outer = node, node.parent
        while outer is not None and outer.type in DECLARATORS:
            if outer.child_by_field_name("size") == here:
                return False
            here, outer = outer, outer.parent
        if outer is None:
            return False
        if outer.type == "init_declarator":
            return outer.child_by_field_name("declarator") == here
        return outer.type in ("declaration", "parameter_declaration", "function_declarator")

    def call(self, node: Node, listed: Node) -> tuple[Node, str, int] | None:
        """Return the call to which an argument belongs, the name, and the argument's number."""
        call = listed.parent
        called = call.child_by_field_name("function") if call is not None else None
        given = syntax.inner(listed)
        if call is None or called is None or call.type != "call_expression" or node not in given:
            return None
        return call, text(called) if called.type == "identifier" else "", given.index(node)

    def declared(self, name: str) -> tuple[int, bool, bool] | None:
        """Return how a name is declared in the function, None if it is not.

        That is by how many stars, whether as an array, and whether as a parameter.
        """
        if name not in self._declarations:
            self._declarations[name] = self._declaration(name)
        return self._declarations[name]

    def _declaration(self, name: str) -> tuple[int, bool, bool] | None:
        for node in self.at({name}, ("identifier",)):
            if not self.is_declarator(node):
                continue
            stars, is_array, here = 0, False, node.parent
            while here is not None and here.type in DECLARATORS:
                stars += here.type == "pointer_declarator"
                is_array = is_array or here.type == "array_declarator"
                here = here.parent
            is_parameter = here is not None and here.type == "parameter_declaration"
            return stars, is_array and not is_parameter, is_parameter
        return None

    def values(self, name: str) -> tuple[list[Node], bool, bool]:
        """Return what is assigned to a variable, and whether it is moved, or its address used."""
        if name not in self._values:
            self._values[name] = self._found_values(name)
        return self._values[name]

    def _found_values(self, name: str) -> tuple[list[Node], bool, bool]:
        found, is_moved, is_used = list[Node](), False, False
        for node in self.at({name}, ("identifier",)):
            here, outer = _unwrapped(node)
            if self.is_declarator(node):
                outer = node.parent
                while outer is not None and outer.type in DECLARATORS:
                    outer = outer.parent
                value = outer.child_by_field_name("value") if outer is not None else None
                found += [value] if value is not None else []
            elif outer is not None and outer.type == "assignment_expression":
                if outer.child_by_field_name("left") == here:
                    value = outer.child_by_field_name("right")
                    is_moved = is_moved or text(outer.children[1]) != "="
                    is_plain = text(outer.children[1]) == "="
                    found += [value] if value is not None and is_plain else []
            elif outer is not None and outer.type == "update_expression":
                is_moved = True
            elif outer is not None and outer.type == "pointer_expression":
                is_used = is_used or text(outer).startswith("&")
            elif outer is not None and outer.type == "argument_list":
                call = self.call(here, outer)
                if call is not None and call[1] == "swap":
                    found += [one for one in syntax.arguments(call[0]) if one != here]
        return found, is_moved, is_used

    def is_own(self, name: str) -> bool:
        """Tell whether the target defines a function or macro, or the kernel does."""
        here, ours = self.function.file, self.index.target.built_from
        return bool(name) and (
            self.index.defines(name, here)
            or any(one.file.startswith(ours) for one in self.index.functions(name, here))
        )

    def is_plain(self, name: str) -> bool:
        """Tell whether nobody else may keep a variable that points to what holds records."""
        for node in self.at({name}, ("identifier",)):
            here, outer = _unwrapped(node)
            if outer is None or self.is_declarator(node):
                continue
            if outer.type == "argument_list":
                call = self.call(here, outer)
                callee = call[1] if call is not None else ""
                is_known = GIVES_BACK.fullmatch(callee) or _COPIES.fullmatch(callee)
                if is_known is None or self.is_own(callee):
                    return False
            elif outer.type == "assignment_expression":
                if outer.child_by_field_name("left") != here:
                    return False
            elif outer.type not in (*_READS, *VALUES):
                return False
        return True
