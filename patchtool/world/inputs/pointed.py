# SPDX-License-Identifier: GPL-2.0-only
"""What else a function spells one context by: a pointer of its own, or each turn of a loop.

In: the grammar's tree of a function's body, and who tells the address of the context.  Out:
expressions that are a pointer to it.  A loop counts that comes by all elements of an array of
pointers, each once, and is not left before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from patchtool.c import syntax
from patchtool.c.conditions import dense
from patchtool.c.syntax import JUMPS, Node, text

IsSet = Callable[[Node, str], bool]

_ENDS = re.compile(r"(\w+)<(?:ARRAY_SIZE\((\w+)\)|(\d+))")


class Pointer(NamedTuple):
    """An expression, without blanks, that points to a context within a part of a function."""

    spelt: str
    region: Node
    loop: Node | None
    """The loop in one turn of which it does so."""


def pointers(body: Node, is_address: Callable[[Node], bool], is_set: IsSet) -> Iterator[Pointer]:
    """Yield what points to a context of which some expressions are the address.

    IS_SET tells whether a variable may be set in a part of the function.
    """
    arrays: dict[str, int] = {}
    for name, value, is_array in _declared(body):
        if not is_array:
            if is_address(value) and _is_kept(body, name, is_set):
                yield Pointer(name, body, None)
        elif value.type == "initializer_list":
            listed = syntax.inner(value)
            if any(map(is_address, listed)) and _is_only_read(body, name, is_set):
                arrays[name] = len(listed)
    for loop in syntax.descendants(body) if arrays else ():
        turn = _turn(loop, arrays, is_set) if loop.type == "for_statement" else None
        inside = loop.child_by_field_name("body")
        if turn is None or inside is None:
            continue
        yield Pointer(turn, inside, loop)
        for name, value, is_array in _declared(inside):
            if not is_array and dense(text(value)) == turn and _is_kept(body, name, is_set):
                yield Pointer(name, inside, loop)


def _declared(body: Node) -> Iterator[tuple[str, Node, bool]]:
    """Yield the pointers, and arrays of some, that are declared: name, value, which of both."""
    for one in syntax.descendants(body):
        inner, value = one.child_by_field_name("declarator"), one.child_by_field_name("value")
        if one.type != "init_declarator" or inner is None or value is None:
            continue
        steps = []
        while inner is not None and inner.type in ("pointer_declarator", "array_declarator"):
            steps.append(inner.type)
            inner = inner.child_by_field_name("declarator")
        if inner is None or inner.type != "identifier" or not steps:
            continue
        if steps in (["pointer_declarator"], ["pointer_declarator", "array_declarator"]):
            yield text(inner), value, len(steps) == 2


def _is_kept(body: Node, name: str, is_set: IsSet) -> bool:
    """Tell whether a variable is declared once in a function, and keeps what it is set to."""
    named = [one for one in syntax.descendants(body) if one.type == "identifier"]
    declared = [
        one
        for one in named
        if text(one) == name
        and one.parent is not None
        and one.parent.type.endswith("declarator")
        and one.parent.child_by_field_name("value") != one
    ]
    return len(declared) == 1 and not is_set(body, name)


def _is_only_read(body: Node, name: str, is_set: IsSet) -> bool:
    """Tell whether the elements of an array are read, and it goes nowhere as a whole."""
    if not _is_kept(body, name, is_set):
        return False
    for one in syntax.descendants(body):
        if one.type != "identifier" or text(one) != name or one.parent is None:
            continue
        outer = one.parent
        if outer.type == "argument_list" and outer.parent is not None:
            callee = outer.parent.child_by_field_name("function")
            if callee is None or text(callee) != "ARRAY_SIZE":
                return False
        elif outer.type == "subscript_expression" and outer.parent is not None:
            user = outer.parent
            if user.type in ("pointer_expression", "update_expression"):
                return False
            if user.type == "assignment_expression" and user.children[0] == outer:
                return False
        elif not outer.type.endswith("declarator"):
            return False
    return True


def _turn(loop: Node, arrays: dict[str, int], is_set: IsSet) -> str | None:
    """Return the element of one of some arrays that a turn of a loop is for: all have one."""
    first, last, step, inside = (
        loop.child_by_field_name(one) for one in ("initializer", "condition", "update", "body")
    )
    if first is None or last is None or step is None or inside is None:
        return None
    ends = _ENDS.fullmatch(dense(text(last)))
    if ends is None:
        return None
    number, array = ends[1], ends[2]
    if array is None:
        some = {one for one, length in arrays.items() if str(length) == ends[3]}
        used = {one for one in some if f"{one}[{number}]" in dense(text(inside))}
        array = used.pop() if len(used) == 1 else ""
    if array not in arrays:
        return None
    if (
        re.fullmatch(
            rf"(?:int|unsigned|unsignedint|size_t|u8|u32)?{number}=0;?", dense(text(first))
        )
        is None
    ):
        return None
    if dense(text(step)) not in (f"{number}++", f"++{number}", f"{number}+=1"):
        return None
    if is_set(inside, number) or any(one.type in JUMPS for one in syntax.descendants(inside)):
        return None
    return f"{array}[{number}]"
