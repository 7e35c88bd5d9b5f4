# SPDX-License-Identifier: GPL-2.0-only
"""Which calls of a set-up a change takes away, or binds to a condition more.

In: the trees before and after a change, its paths, and the entries of the set-ups.  Out: a
remark on each such call.  That a set-up is asked for after every change of its inputs is what
every proof takes on trust; a change of that is for people to look at, and no verdict rests
on it.  A call that was moved, or whose conditions grew fewer, is none to remark on.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from patchtool.c import syntax
from patchtool.c.conditions import dense, known
from patchtool.c.index import Index, calls, parameters
from patchtool.c.scan import Definition
from patchtool.c.syntax import Node, text
from patchtool.model import Place, Remark

_MOST = 20_000
"""Jumps in front of calls that are followed in a function; one with more is compared as a whole."""
_REFUSAL = re.compile(r"-\s*\w+|0*[1-9]\w*|[A-Z][A-Z0-9_]*")
"""What a function returns that has refused a change: a number but 0, or a constant."""
_OPERATOR = re.compile(r"[-+*/%&|^<>=]")
_VOID = re.compile(rb"\bvoid\s+\w+\s*\(")
_SWITCHES = ("switch_statement", "case_statement")
_LOOPS = ("while_statement", "do_statement", "for_statement")
_LEAVING = {"break_statement": ("switch_statement", *_LOOPS), "continue_statement": _LOOPS}
"""What a jump leaves, or goes on with; others leave all that is around them."""


class _Call(NamedTuple):
    """A call of a set-up: who calls, and what has to be true that he comes to it."""

    callee: str
    caller: str
    way: frozenset[str]
    place: Place


def asked_less(
    before: Index, after: Index, paths: Iterable[str], names: frozenset[str]
) -> list[tuple[Remark, str]]:
    """Return a remark for each call of some set-ups that a change makes rarer, with its callee."""
    old: list[_Call] = []
    new: list[_Call] = []
    present: dict[str, Place] = {}
    for path in sorted(paths):
        if not path.endswith((".c", ".h")):
            continue
        was, now = _functions(before, path), _functions(after, path)
        for name, one in now.items():
            present[name] = Place(path, one.line, 1, name)
        for name in was.keys() | now.keys():
            if name not in was or name not in now or was[name].text != now[name].text:
                old += _calls(before, was.get(name), names)
                new += _calls(after, now.get(name), names)
    lost, fresh = _unmatched(old, new)
    return sorted({(_remark(one, fresh, present), one.callee) for one in lost})


def asked(index: Index, entries: Iterable[str]) -> frozenset[str]:
    """Return the entries, and who is asked for one: a function that is told no more than whose."""
    names = frozenset(entries)
    return names | {
        user.name
        for name in sorted(names)
        for _, user in index.users(name)
        if user.kind == "function"
        and len(parameters(user)) < 2
        and _VOID.search(user.text.partition(b"{")[0]) is not None
        and name in calls(user.text.partition(b"{")[2])
    }


def _functions(index: Index, path: str) -> dict[str, Definition]:
    """Return the functions of a file by name, those that options choose from left out."""
    file = index.file(path)
    found = file.functions if file is not None else {}
    return {name: ones[0] for name, ones in found.items() if len(ones) == 1}


def _calls(index: Index, function: Definition | None, names: frozenset[str]) -> Iterator[_Call]:
    if function is None or names.isdisjoint(calls(function.text.partition(b"{")[2])):
        return
    root = index.node(function)
    every = [*syntax.descendants(root)]
    jumps = [one for one in every if one.type in syntax.JUMPS]
    found = [
        (one, text(called))
        for one in every
        if one.type == "call_expression"
        and (called := one.child_by_field_name("function")) is not None
        and text(called) in names
    ]
    whole = frozenset({dense(text(root))}) if len(jumps) * len(found) > _MOST else None
    if whole is None:
        ends, stores = _ends(root), _Stores(root.text or b"")
        jumps = [one for one in jumps if not _is_refusing(one, ends, stores)]
    for call, name in found:
        place = Place(function.file, function.line + call.start_point[0], 1, function.name)
        way = frozenset(_way(call, jumps)) if whole is None else whole
        yield _Call(name, function.name, way, place)


def _way(call: Node, jumps: Iterable[Node]) -> Iterator[str]:
    """Yield what has to be true that a call is come to, as the text spells it."""
    outside = set()
    here = call
    while here.parent is not None:
        outer = here.parent
        outside.add(outer.id)
        condition = outer.child_by_field_name("condition")
        if outer.type in ("if_statement", "conditional_expression") and condition is not None:
            if outer.child_by_field_name("consequence") == here:
                yield from _known(condition, True)
            elif outer.child_by_field_name("alternative") == here:
                yield from _known(condition, False)
        elif outer.type == "binary_expression" and outer.children[-1] == here:
            left, operator, _ = outer.children
            if text(operator) in ("&&", "||"):
                yield from _known(left, text(operator) == "&&")
        elif outer.type in (*_SWITCHES, *_LOOPS):
            yield _headed(outer, outer.child_by_field_name("value") or condition)
        here = outer
    for jump in jumps:
        if jump.end_byte <= call.start_byte:
            yield from _not_jumped(jump, outside)


def _not_jumped(jump: Node, outside: set[int]) -> Iterator[str]:
    """Yield what is true where a jump in front of a place has not led away from it."""
    conditions: list[str] = []
    alone: list[str] = []
    here, left = jump, _LEAVING.get(jump.type)
    while here.parent is not None and here.parent.id not in outside:
        outer = here.parent
        if left is not None and outer.type in left:
            return  # it leads on to the place
        condition = outer.child_by_field_name("condition")
        if outer.type == "if_statement" and condition is not None:
            taken = outer.child_by_field_name("consequence") == here
            alone = [*_known(condition, not taken)]
            conditions += sorted(_known(condition, taken)) or [dense(text(condition))]
        elif outer.type in (*_SWITCHES, *_LOOPS):
            conditions.append(_headed(outer, condition))
            alone = []
        here = outer
    if len(conditions) == 1 and alone:
        yield from alone
    elif conditions:
        yield f"!({'&&'.join(conditions[::-1])})"


def _known(condition: Node, holds: bool) -> Iterator[str]:
    """Yield what holds with a condition, or without it, for people to read."""
    for one in known(condition, holds):
        is_long = _OPERATOR.search(one[1:].partition("(")[0].replace("->", ".")) is not None
        yield f"!({one[1:]})" if one[0] == "!" and is_long else one


def _ends(root: Node) -> dict[str, Node]:
    """Return the return statement that each label of a function leads to."""
    found: dict[str, Node] = {}
    labels: list[str] = []
    for one in sorted(syntax.descendants(root), key=lambda one: one.start_byte):
        if one.type == "labeled_statement":
            labels.append(text(one.named_children[0]))
        elif one.type == "return_statement":
            found.update((name, one) for name in labels if name not in found)
            labels = []
    return found


class _Stores:
    """What a function stores to its variables, as the text has it."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._found: dict[str, tuple[list[int], list[bytes]]] = {}

    def last(self, name: str, at: int) -> str:
        """Return what was stored last to a variable in front of a place, "" for nothing."""
        if name not in self._found:
            store = re.compile(rb"\b%s\s*=(?!=)\s*([^;,]*)" % name.encode())
            found = [*store.finditer(self._body)]
            self._found[name] = [one.start() for one in found], [one[1] for one in found]
        starts, values = self._found[name]
        number = bisect_left(starts, at)
        return values[number - 1].decode("utf-8", "replace") if number else ""


def _is_refusing(jump: Node, ends: Mapping[str, Node], stores: _Stores) -> bool:
    """Tell whether a jump leaves a function that has refused: there is no change to follow."""
    left: Node | None = jump
    if jump.type == "goto_statement":
        left = ends.get(text(jump.named_children[0])) if jump.named_children else None
    if left is None or left.type != "return_statement" or not left.named_children:
        return False
    value = text(left.named_children[0])
    if not value.isidentifier() or value.isupper():
        return _is_refusal(value)
    around = jump.parent
    while around is not None and around.type != "if_statement":
        around = around.parent
    condition = around.child_by_field_name("condition") if around is not None else None
    if condition is not None and re.search(rf"\b{value}\b", text(condition)) is not None:
        return True
    return _is_refusal(stores.last(value, jump.start_byte))


def _is_refusal(value: str) -> bool:
    return _REFUSAL.fullmatch(value.strip()) is not None


def _headed(statement: Node, about: Node | None) -> str:
    """Return how a switch, a case of it, or a loop begins."""
    return " ".join([statement.type.partition("_")[0], *([text(about)] if about else [])])


def _unmatched(old: Iterable[_Call], new: Iterable[_Call]) -> tuple[list[_Call], list[_Call]]:
    """Return the calls that are made no longer, nor others in their place as often; and the new."""
    left = Counter(one[:3] for one in new)
    gone = {}
    for one in old:
        if left[one[:3]]:
            left[one[:3]] -= 1
        else:
            gone[one[:3]] = one
    fresh = list({one[:3]: one for one in new if left[one[:3]]}.values())
    ways = {(one.callee, one.way) for one in fresh}
    lost = [
        one
        for one in gone.values()
        if not any(callee == one.callee and way <= one.way for callee, way in ways)
    ]
    return lost, fresh


def _remark(one: _Call, fresh: Iterable[_Call], present: Mapping[str, Place]) -> Remark:
    now = next((n for n in fresh if (n.callee, n.caller) == (one.callee, one.caller)), None)
    if now is None:
        place = present.get(one.caller, one.place)
        what = f"this change takes a call of {one.callee}() out of {one.caller}()"
    else:
        place = now.place
        more = sorted(now.way - one.way)
        under = "one more condition" if len(more) == 1 else "more conditions"
        what = f"with this change {one.caller}() calls {one.callee}() under {under}"
        what += f" ({'; '.join(more)})"
    trust = "that a set-up is asked for after every change of its inputs is taken on trust"
    return Remark(place, f"{what}; {trust}", "set-up-call")
