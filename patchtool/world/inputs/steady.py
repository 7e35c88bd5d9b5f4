# SPDX-License-Identifier: GPL-2.0-only
"""How long a variable of a function holds what it does.

In: a tree, a function, a name, and a byte.  Out: up to where nothing but plain reads are done
to the variable.  What is no read of a known form ends it: a store, an address, an argument of
what may be a macro; and nothing is known of a name that is declared twice, or not there.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from patchtool.c import library, syntax
from patchtool.c.index import expand
from patchtool.c.scan import Definition
from patchtool.c.syntax import Node, text
from patchtool.world.entries import Tree
from patchtool.world.inputs.spelt import GIVES_BACK

_READING = (
    "binary_expression", "unary_expression", "conditional_expression", "cast_expression",
    "comma_expression", "sizeof_expression", "return_statement", "expression_statement",
    "if_statement", "while_statement", "do_statement", "for_statement", "switch_statement",
    "case_statement", "field_expression", "subscript_expression", "initializer_list",
    "initializer_pair", "array_declarator",
)  # fmt: skip
"""What evaluates what stands in it, and stores nothing there."""
_VALUE = {"assignment_expression": "right", "init_declarator": "value"}
"""What does so with one of its parts."""
_KEEPING = ("static", "extern", "typedef")
"""What says of a declaration that others may store to what it declares."""
_TAKING = {
    "container_of", "container_of_const", *library.FILLING, *library.READING, *library.YIELDING,
    *library.SAME, *library.LIKELY, *library.EXTREMA, *library.BIT_OPERATIONS,
} - {"xchg"}  # fmt: skip
"""What takes the value of what it is given, and stores to nothing of that name."""
_TYPE_GIVEN = re.compile(r"\b(?:struct|union)\s+(\w+)(?=\s*[,)])")
"""A type that is an argument, which the grammar does not know."""
_MAX_MACROS = 6
"""How many macros may stand for one another."""
_MOST_WRITTEN = 64
"""And how many calls of them are written out for one mention."""


class Truth(NamedTuple):
    """A variable that is 0 up to a byte of a function, or that HOLDS another value."""

    name: str = ""
    until: int = -1
    holds: bool = False

    def at(self, byte: int) -> Truth:
        """Return what is known at a byte of a function."""
        return self if byte <= self.until else Truth()

    def tells(self, condition: Node | None) -> bool | None:
        """Return whether a condition in parentheses holds, None where that is not known."""
        spelt = "".join(text(condition).split()) if condition is not None and self.name else ""
        if spelt in (f"({self.name})", f"({self.name}!=0)"):
            return self.holds
        if spelt in (f"(!{self.name})", f"({self.name}==0)"):
            return not self.holds
        return False if spelt == f"({self.name}<0)" and not self.holds else None


def steady_until(tree: Tree, function: Definition, name: str, start: int) -> int:
    """Return up to which byte a variable holds what it does at START; -1 where nothing is known."""
    root = tree.index.node(function)
    if root.has_error or tree.objects.is_named_by_macro(function, name):
        return -1
    end, declared = len(function.text), 0
    for leaf in syntax.descendants(root):
        if leaf.type != "identifier" or text(leaf) != name:
            continue
        holder = _declaration(leaf)
        if holder is not None:
            declared += 1
            kept = [text(one) for one in holder.children if one.type.endswith("_specifier")]
            if leaf.start_byte >= start or any(one in _KEEPING for one in kept):
                return -1
        elif not is_read(tree, function.file, leaf):
            if leaf.start_byte >= start:
                end = min(end, leaf.start_byte)
            elif not _is_stored(leaf):
                return -1
    return end if declared == 1 else -1


def _declaration(leaf: Node) -> Node | None:
    """Return the declaration that makes a name one of a variable; None where it is a use."""
    here = leaf
    while here.parent is not None:
        outer = here.parent
        if outer.type in ("declaration", "parameter_declaration"):
            return outer
        is_declarator = outer.type.endswith("declarator")
        if not is_declarator or outer.child_by_field_name("declarator") != here:
            return None
        here = outer
    return None


def _outermost(leaf: Node) -> Node:
    """Return what is a variable, in its parentheses."""
    while leaf.parent is not None and leaf.parent.type == "parenthesized_expression":
        leaf = leaf.parent
    return leaf


def is_read(tree: Tree, here: str, leaf: Node) -> bool:
    """Tell whether a mention of a variable takes its value alone, in the text of a file."""
    return _Reading(tree, here, text(leaf)).is_read(leaf, 0)


class _Reading:
    """What is done to a variable in the text of a file, and by the macros that it is given to."""

    def __init__(self, tree: Tree, here: str, name: str) -> None:
        self._tree, self._here, self._name = tree, here, name
        self._written = 0

    def is_read(self, leaf: Node, depth: int) -> bool:
        """Tell whether a mention takes the value alone; macros may be DEPTH deep."""
        node = _outermost(leaf)
        outer = node.parent
        if outer is None or _is_of_turn(leaf):
            return False
        if outer.type in _VALUE:
            return outer.child_by_field_name(_VALUE[outer.type]) == node
        if outer.type == "pointer_expression":
            return text(outer).startswith("*")
        if outer.type == "argument_list":
            return self._is_taken(node, depth)
        return outer.type in _READING

    def _is_taken(self, node: Node, depth: int) -> bool:
        """Tell whether what is given an argument, the variable, takes the value of it."""
        call = node.parent.parent if node.parent is not None else None
        callee = call.child_by_field_name("function") if call is not None else None
        if call is None or callee is None or callee.type != "identifier":
            return callee is not None  # a pointer to a function is what it is called by
        called, index, here = text(callee), self._tree.index, self._here
        if (macros := index.macros(called, here)) and not library.is_builtin(called, index.target):
            given = syntax.arguments(call)
            return all(self.is_kept(_written(one, given), depth + 1) for one in macros)
        return bool(
            called in _TAKING
            or library.KEEPING.get(called) == syntax.arguments(call).index(node)
            or GIVES_BACK.fullmatch(called) is not None
            or library.is_silent(called, index.target)
            or library.is_check(called, index.target)
            or library.answers_by_arguments(called, index.target)
            or (not macros and (index.functions(called, here) or _is_declared(self._tree, called)))
        )

    def is_kept(self, words: str | None, depth: int) -> bool:
        """Tell whether the variable holds the same behind what a macro stands for."""
        self._written += 1
        if words is None or depth > _MAX_MACROS or self._written > _MOST_WRITTEN:
            return False
        words = _TYPE_GIVEN.sub(r"\1", words.replace("\\\n", " "))
        root = syntax.expression(words) or syntax.block(words)
        return root is not None and not any(
            leaf.type == "identifier" and text(leaf) == self._name and not self.is_read(leaf, depth)
            for leaf in syntax.descendants(root)
        )


def _is_declared(tree: Tree, name: str) -> bool:
    """Tell whether the text declares a function of a name, wherever that is defined."""
    word = name.encode()
    declared = re.compile(rb"^[A-Za-z_][\w \t\n*]*[ \t\n*]%s\s*\([^;{}]*\)[^;{}()]*;" % word, re.M)
    return any(
        word in tree.index.words_in(path) and declared.search(tree.index.text(path) or b"")
        for path in tree.objects.files
        if path.endswith(".h")
    )


def _written(macro: Definition, given: list[Node]) -> str | None:
    """Return what a macro with some arguments behind it stands for."""
    values = [text(one) for one in given]
    if macro.parameters is None:
        return f"{macro.text.decode('utf-8', 'replace')}({', '.join(values)})"
    return expand(macro, values)


def is_set(
    tree: Tree, function: Definition, name: str, region: Node | None = None, turns: bool = True
) -> bool:
    """Tell whether a variable of a function may be made to hold something else, or is one of two.

    That is so where anything is done to it, within a REGION of the function, than to take its
    value.  That macros which head loops may set it is left aside without TURNS.
    """
    root = tree.index.node(function)
    declared = 0
    for leaf in syntax.descendants(root):
        if leaf.type != "identifier" or text(leaf) != name:
            continue
        if _declaration(leaf) is not None:
            declared += 1
        elif region is None or region.start_byte <= leaf.start_byte < region.end_byte:
            if not is_read(tree, function.file, leaf) and (turns or not _is_of_turn(leaf)):
                return True
    return declared > 1 or any(
        not _Reading(tree, one.file, name).is_kept(one.text.decode("utf-8", "replace"), 0)
        for one in tree.objects.macros_naming(function, name)
    )


def _is_of_turn(leaf: Node) -> bool:
    """Tell whether a variable is given to a macro that heads a loop."""
    node = _outermost(leaf)
    while node.parent is not None and node.parent.type in (
        "comma_expression", "parenthesized_expression"
    ):  # fmt: skip
        node = node.parent
    return node.parent is not None and bool(syntax.loop_macro(node.parent))


def _is_stored(leaf: Node) -> bool:
    """Tell whether a mention of a variable is a plain store to it, and nothing else."""
    outer = leaf.parent
    if outer is not None and outer.type == "assignment_expression":
        return outer.child_by_field_name("left") == leaf
    return outer is not None and outer.type == "update_expression"
