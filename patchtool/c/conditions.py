# SPDX-License-Identifier: GPL-2.0-only
"""What is known to be true where a statement is run, as the text spells it.

In: the grammar's tree of a function, and a place in it.  Out: conditions that hold there: of
the branches around it, and of the early returns in front of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from patchtool.c import library, syntax
from patchtool.c.syntax import Node, text

_BLOCKS = ("compound_statement", "case_statement")
_LABELS = ("labeled_statement", "case_statement")
_BRANCHING = ("if_statement", "else_clause", "switch_statement")
_COMPARED = {"==": "!=", "!=": "=="}


def holding(root: Node, at: int) -> frozenset[str]:
    """Return what is true where a byte of a function is run, each without blanks.

    Whoever asks has to see to it that nothing changes what a condition reads.
    """
    found: set[str] = set()
    labels = labels_in(root)
    here = root.descendant_for_byte_range(at, at)
    while here is not None and here.parent is not None:
        outer = here.parent
        condition = outer.child_by_field_name("condition")
        is_branch = outer.type in ("if_statement", "conditional_expression")
        if is_branch and condition is not None and not _is_led_past(condition, at, labels):
            if outer.child_by_field_name("consequence") == here:
                found.update(known(condition, True))
            elif outer.child_by_field_name("alternative") == here:
                found.update(known(condition, False))
        if outer.type in _BLOCKS:
            for one in outer.named_children:
                if one.start_byte >= here.start_byte:
                    break
                if not _is_led_past(one, at, labels):
                    found.update(_passed(one))
        here = outer
    return frozenset(found)


def taken(node: Node, above: Iterable[Node]) -> Iterator[Node]:
    """Yield the conditions of the branches around a node that are run only where they hold.

    ABOVE is what the node lies in, the nearest first.  Into a branch with a label a jump may lead.
    """
    here = node
    for outer in above:
        condition = outer.child_by_field_name("condition")
        if outer.type == "if_statement" and outer.child_by_field_name("consequence") == here:
            if condition is not None and not labels_in(here):
                yield condition
        here = outer


def _is_led_past(condition: Node, at: int, labels: list[Node]) -> bool:
    """Tell whether a jump from elsewhere may lead to a place, and not by a condition."""
    for one in labels:
        if condition.start_byte <= one.start_byte <= at:
            switch: Node | None = one
            while switch is not None and one.type == "case_statement":
                if switch.type == "switch_statement":
                    break
                switch = switch.parent
            if one.type == "labeled_statement" or switch is None:
                return True
            if switch.start_byte < condition.start_byte:
                return True
    return False


def labels_in(root: Node) -> list[Node]:
    """Return what jumps lead to: labels, and the cases of switches."""
    return [one for one in syntax.descendants(root) if one.type in _LABELS]


def last_given(root: Node, labels: list[Node], values: Sequence[Node], at: int) -> Node | None:
    """Return the one of some values that a variable has where a byte of a function is run.

    VALUES are all that it is ever given, LABELS those of the function.  None where more than
    one of the values may be meant.
    """
    here = root.descendant_for_byte_range(at, at)
    while here is not None and here.parent is not None:
        outer = here.parent
        if outer.type in _BLOCKS:
            passed = [one for one in outer.named_children if one.start_byte < here.start_byte]
            for one in reversed(passed):
                inside = [value for value in values if _is_within(value, one)]
                if inside:
                    is_it = len(inside) == 1 and _gives(one, inside[0])
                    return inside[0] if is_it and not _is_led_past(one, at, labels) else None
        elif outer.type == "function_definition":
            return None
        else:
            asked = outer.child_by_field_name("condition")
            part = asked if outer.type in _BRANCHING and asked is not None else outer
            if any(_is_within(one, part) and not _is_within(one, here) for one in values):
                return None
            if outer.type not in _BRANCHING and any(_is_within(one, outer) for one in values):
                return None
        here = outer
    return None


def _is_within(node: Node, around: Node) -> bool:
    return around.start_byte <= node.start_byte and node.end_byte <= around.end_byte


def _gives(statement: Node, value: Node) -> bool:
    """Tell whether a statement does nothing but to give a variable a value, or declares it so."""
    here = value.parent
    while here is not None and here.type in ("parenthesized_expression", "assignment_expression"):
        here = here.parent
    if here is not None and here.type == "init_declarator":
        here = here.parent
    return here == statement and statement.type in ("expression_statement", "declaration")


def holds_lock(branch: Node) -> bool:
    """Tell whether an ``if`` stands for a scope for which a lock is always taken."""
    return library.GUARDS.fullmatch(syntax.guard_of(branch) or "") is not None


def is_own(root: Node, name: str) -> bool:
    """Tell whether a function declares a name itself, so that it means nothing else there."""
    for node in syntax.descendants(root):
        if node.type in ("parameter_declaration", "declaration"):
            declared = node.children_by_field_name("declarator")
            if any(re.search(rf"\b{name}\b", text(one).partition("=")[0]) for one in declared):
                return True
    return False


def dense(expression: str) -> str:
    """Return an expression without its blanks."""
    return "".join(expression.split())


def _passed(statement: Node) -> Iterator[str]:
    """Yield what is true behind a statement: that it has not led elsewhere.

    A jump that comes back has to come by the condition again.
    """
    condition = statement.child_by_field_name("condition")
    if statement.type != "if_statement" or condition is None:
        return
    taken = statement.child_by_field_name("consequence")
    if taken is not None and taken.type == "compound_statement" and taken.named_children:
        taken = taken.named_children[-1]
    if taken is not None and taken.type in syntax.JUMPS:
        if statement.child_by_field_name("alternative") is None:
            yield from known(condition, False)


def known(condition: Node, holds: bool) -> Iterator[str]:
    """Yield what has to be true for a condition to be true, or to be false."""
    operator = text(condition.children[1]) if condition.type == "binary_expression" else ""
    if condition.type == "parenthesized_expression" and condition.named_child_count == 1:
        yield from known(condition.named_children[0], holds)
    elif operator == ("&&" if holds else "||"):
        for side in condition.named_children:
            yield from known(side, holds)
    elif condition.type == "unary_expression" and text(condition.children[0]) == "!":
        yield from known(condition.children[1], not holds)
    elif holds:
        yield dense(text(condition))
    elif operator in _COMPARED:
        left, _, right = map(text, condition.children[:3])
        yield dense(f"{left}{_COMPARED[operator]}{right}")
    else:
        yield f"!{dense(text(condition))}"
