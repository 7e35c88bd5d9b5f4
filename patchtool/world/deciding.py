# SPDX-License-Identifier: GPL-2.0-only
"""Which calls may decide whether a function makes another one.

In: the grammar's tree of a function, whom it calls, and who may tell something.  Out: those of
the latter on whose answer it may depend that the call is made: by a branch around it, or by
a jump in front of it, directly or through a variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

from patchtool.c import syntax
from patchtool.c.syntax import Node, text
from patchtool.world.conditions import dense

_JUMPS = ("return_statement", "goto_statement", "break_statement", "continue_statement")
_GIVE = ("assignment_expression", "init_declarator", "update_expression", "argument_list")
_LOOPS = ("while_statement", "for_statement", "do_statement")
_WORD = re.compile(r"[A-Za-z_]\w*")
_THROUGH = re.compile(r"(?:->|\.)\s*\w+\s*\(")
"""A call through a pointer: what it points to answers."""
_ARRAY = re.compile(r"\**(\w+)\s*\[")


def deciding(
    root: Node, callee: str, tellers: Set[str], dispatchers: Set[str] = frozenset()
) -> frozenset[str]:
    """Return which of some functions may decide whether a function calls another one.

    What a macro of DISPATCHERS is given is the name of an operation, and of no function.
    Where it is not called by its name in plain sight, every condition may decide.
    """
    nodes = list(syntax.descendants(root))
    sites = [
        one
        for one in nodes
        if one.type == "identifier" and text(one) == callee and not _is_given(one, dispatchers)
    ]
    members = [one for one in nodes if one.type == "field_identifier" and text(one) == callee]
    if members and not sites:
        return frozenset()  # a member of that name, which may lead anywhere
    if not sites or not all(map(_is_called, sites)):
        conditions = {one.id: one for any_ in nodes for one in _around(any_)}
        return _by(conditions, nodes, tellers) - {callee}
    last = max(one.end_byte for one in sites)
    loops = [one for at in sites for one in _above(at) if one.type in _LOOPS]
    if any(one.type == "labeled_statement" and one.start_byte < last for one in nodes):
        last = root.end_byte  # a jump may lead back
    near = [
        one
        for one in nodes
        if (one.start_byte < last or any(_holds(loop, one) for loop in loops))
        and (one.type not in (*_JUMPS, *_GIVE) or not all(_apart(one, at) for at in sites))
    ]
    jumps = [one for one in near if one.type in _JUMPS]
    conditions = {one.id: one for at in (*sites, *jumps) for one in _around(at)}
    return _by(conditions, near, tellers) - {callee}


def answering(root: Node, tellers: Set[str]) -> frozenset[str]:
    """Return on which of some words it may depend what a function returns, or leaves behind."""
    nodes = list(syntax.descendants(root))
    jumps = [one for one in nodes if one.type in _JUMPS]
    found = {one.id: one for jump in jumps for one in (jump, *_around(jump))}
    told = _told(nodes, tellers)
    given = {
        word
        for one in nodes
        if one.type == "parameter_declaration"
        for word in _WORD.findall(text(one))[-1:]
    }
    left = (
        by for name, by in told.items() if _WORD.match(name) and _WORD.findall(name)[0] in given
    )
    return frozenset[str]().union(*left, *(_sources(one, tellers, told) for one in found.values()))


def _by(conditions: dict[int, Node], nodes: list[Node], tellers: Set[str]) -> frozenset[str]:
    told = _told(nodes, tellers)
    return frozenset[str]().union(*(_sources(one, tellers, told) for one in conditions.values()))


def _holds(outer: Node, inner: Node) -> bool:
    return outer.start_byte <= inner.start_byte and inner.end_byte <= outer.end_byte


def _apart(one: Node, site: Node) -> bool:
    """Tell whether what runs one of two places does not come to the other one behind it."""
    below = {here.id: here for here in (site, *_above(site))}
    branch = one
    for outer in _above(one):
        if outer.id in below:
            other = next(n for n in outer.children if _holds(n, site))
            if outer.type == "if_statement":
                alternative = outer.child_by_field_name("alternative")
                return alternative == other and outer.child_by_field_name("consequence") == branch
            if branch.type == "case_statement" and other.type == "case_statement":
                return branch != other and _leaves(branch)
            return False
        branch = outer
    return False


def _leaves(branch: Node) -> bool:
    """Tell whether a statement, or a list of some, ends with a jump."""
    while branch.type in ("case_statement", "compound_statement") and branch.named_children:
        branch = branch.named_children[-1]
    return branch.type in _JUMPS


def _told(nodes: list[Node], tellers: Set[str]) -> dict[str, frozenset[str]]:
    """Return which variables and members may hold what is told, and by whom."""
    given: list[tuple[str, list[Node]]] = []
    arrays = {
        found[1]
        for one in nodes
        if one.type == "array_declarator" and (found := _ARRAY.match(text(one))) is not None
    }
    pointing: set[str] = set()
    for one in nodes:
        if one.type == "assignment_expression":
            left, value = one.child_by_field_name("left"), one.child_by_field_name("right")
        elif one.type == "init_declarator":
            left, value = one.child_by_field_name("declarator"), one.child_by_field_name("value")
        elif one.type == "update_expression":
            left = value = one.child_by_field_name("argument")
        else:
            continue
        if left is None or value is None:
            continue
        name = re.sub(r"\[.*|[*() ]", "", dense(text(left)))
        given.append((name, [value, *_around(one)]))
        taken = re.match(r"&(\w+)$", dense(text(value)))
        if taken is not None:
            pointing.add(name)
            given.append((taken[1], [left]))
    for one in nodes:
        if one.type == "argument_list" and one.parent is not None:
            for argument in one.named_children:
                words = dense(text(argument))
                taken = re.match(r"(?:\(.*\))?&(\w+)", words)
                if (taken is not None and "->" not in words) or words in arrays | pointing:
                    given.append((taken[1] if taken else words, [one.parent]))
    told: dict[str, frozenset[str]] = {}
    while True:
        before = dict(told)
        for name, values in given:
            by = (_sources(value, tellers, told) for value in values)
            told[name] = told.get(name, frozenset()).union(*by)
        if told == before:
            return {name: by for name, by in told.items() if by}


def _sources(node: Node, tellers: Set[str], told: dict[str, frozenset[str]]) -> frozenset[str]:
    """Return by whom what an expression reads was told."""
    plain = dense(text(node))
    words = set(_WORD.findall(_THROUGH.sub("(", text(node))))
    found = frozenset(words & tellers)
    for name, by in told.items():
        if by and (name in words or (not name.isidentifier() and name in plain)):
            found |= by
    return found


def _is_given(site: Node, dispatchers: Set[str]) -> bool:
    """Tell whether a word is the operation that a macro calls."""
    call = site.parent.parent if site.parent is not None else None
    callee = call.child_by_field_name("function") if call is not None else None
    return callee is not None and callee != site and text(callee) in dispatchers


def _is_called(site: Node) -> bool:
    call = site.parent
    return (
        call is not None
        and call.type == "call_expression"
        and call.child_by_field_name("function") == site
    )


def _above(node: Node) -> Iterator[Node]:
    """Yield what a node lies in, the nearest first."""
    here = node.parent
    while here is not None:
        yield here
        here = here.parent


def _around(node: Node) -> Iterator[Node]:
    """Yield the conditions on which it depends that a node is run."""
    here = node
    for outer in _above(node):
        condition = outer.child_by_field_name("condition")
        if condition is not None and condition != here:
            yield condition
        if outer.type == "binary_expression" and text(outer.children[1]) in ("&&", "||"):
            left = outer.child_by_field_name("left")
            if left is not None and left != here:
                yield left
        here = outer
