# SPDX-License-Identifier: GPL-2.0-only
"""How long a variable of a function holds what it does.

In: a tree, a function, a name, and a byte.  Out: up to where nothing but plain reads are done
to the variable.  What is no read of a known form ends it: a store, an address, an argument of
what may be a macro; and nothing is known of a name that is declared twice, or not there.
"""

from __future__ import annotations

from typing import NamedTuple

from patchtool.c import syntax
from patchtool.c.scan import Definition
from patchtool.c.syntax import Node, text
from patchtool.world.entries import Tree

_READING = (
    "binary_expression", "unary_expression", "conditional_expression", "cast_expression",
    "comma_expression", "sizeof_expression", "return_statement", "expression_statement",
    "if_statement", "while_statement", "do_statement", "for_statement", "switch_statement",
)  # fmt: skip
"""What evaluates what stands in it, and stores nothing there."""
_VALUE = {"assignment_expression": "right", "init_declarator": "value"}
"""What does so with one of its parts."""
_KEEPING = ("static", "extern", "typedef")
"""What says of a declaration that others may store to what it declares."""


class Zero(NamedTuple):
    """A variable that is 0, up to a byte of a function."""

    name: str = ""
    until: int = -1

    def at(self, byte: int) -> str:
        """Return the variable where it is 0 at a byte, and nothing where that is not known."""
        return self.name if byte <= self.until else ""


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
        elif not _is_read(tree, function, leaf):
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


def _is_read(tree: Tree, function: Definition, leaf: Node) -> bool:
    """Tell whether a mention of a variable takes its value alone."""
    here = _outermost(leaf)
    outer = here.parent
    if outer is None or _is_given_to_macro(tree, function, leaf):
        return False
    if outer.type in _VALUE:
        return outer.child_by_field_name(_VALUE[outer.type]) == here
    if outer.type == "subscript_expression":
        return outer.child_by_field_name("index") == here
    return outer.type in _READING or outer.type == "argument_list"


def _is_given_to_macro(tree: Tree, function: Definition, leaf: Node) -> bool:
    """Tell whether a mention stands in an argument of what may be no function."""
    here: Node | None = leaf
    while here is not None and here.type not in ("compound_statement", "function_definition"):
        outer = here.parent
        if here.type == "parenthesized_expression" and outer is not None:
            if syntax.loop_macro(outer) and outer.child_by_field_name("condition") == here:
                return True
        if here.type == "argument_list" and outer is not None:
            callee = outer.child_by_field_name("function")
            name = text(callee) if callee is not None else ""
            if tree.index.macros(name, function.file):
                return True
            if not tree.index.functions(name, function.file):
                return True
        here = outer
    return False


def _is_stored(leaf: Node) -> bool:
    """Tell whether a mention of a variable is a plain store to it, and nothing else."""
    outer = leaf.parent
    if outer is not None and outer.type == "assignment_expression":
        return outer.child_by_field_name("left") == leaf
    return outer is not None and outer.type == "update_expression"
