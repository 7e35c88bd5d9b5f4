# SPDX-License-Identifier: GPL-2.0-only
"""Which calls may decide whether a function makes another one.

In: the grammar's tree of a function, whom it calls, and who may tell something.  Out: those of
the latter on whose answer it may depend that the call is made: by a branch around it, or by
a jump in front of it, directly or through a variable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set

from patchtool.c import syntax
from patchtool.c.conditions import dense, holds_lock, taken
from patchtool.c.syntax import JUMPS, Node, text

_GIVE = ("assignment_expression", "init_declarator", "update_expression", "argument_list")
_LOOPS = ("while_statement", "for_statement", "do_statement")
_SPEAKING = frozenset(
    (
        *JUMPS,
        *_GIVE,
        "array_declarator",
        "labeled_statement",
        "identifier",
        "field_identifier",
    )
)
"""What is looked at of a function, beside conditions."""
_WORD = re.compile(r"[A-Za-z_]\w*")
_THROUGH = re.compile(r"(?:->|\.)\s*(\w+)\s*\(")
"""A call through a pointer: what it points to answers, and is told by POINTED and the name."""
POINTED = "->"
_Words = tuple[frozenset[str], str]
"""The words of an expression, and all of it without blanks."""
_Given = list[tuple[str, list[_Words]]]
_ARRAY = re.compile(r"\**(\w+)\s*\[")


class _Body:
    """The nodes of a function, each in front of what it holds, and what each lies in.

    The grammar's own way to what a node lies in begins at the root each time.
    """

    def __init__(self, root: Node) -> None:
        self.nodes = list(syntax.descendants(root))
        self._outer = {inner.id: one for one in self.nodes for inner in one.named_children}

    def above(self, node: Node) -> Iterator[Node]:
        """Yield what a node lies in, the nearest first."""
        here = self._outer.get(node.id)
        while here is not None:
            yield here
            here = self._outer.get(here.id)

    def chain(self, node: Node) -> dict[int, Node]:
        """Return, for each node that one lies in, the child of it on the way down."""
        found = {}
        for outer in self.above(node):
            found[outer.id] = node
            node = outer
        return found

    def around(self, node: Node) -> Iterator[Node]:
        """Yield the conditions on which it depends that a node is run."""
        here = node
        for outer in self.above(node):
            condition = outer.child_by_field_name("condition")
            if condition not in (None, here) and not holds_lock(outer):
                yield condition
            if outer.type == "binary_expression" and text(outer.children[1]) in ("&&", "||"):
                left = outer.child_by_field_name("left")
                if left is not None and left != here:
                    yield left
            here = outer


class Deciding:
    """What decides whether a function, ROOT, calls each of some others.

    What one of some DISPATCHERS is given is the name of an operation, and of no function.
    Where one is not called by its name in plain sight, every condition may decide.  Where one
    holds that IS_END, nothing is left to decide for.
    """

    def __init__(
        self,
        root: Node,
        callees: Set[str],
        dispatchers: Set[str] = frozenset(),
        is_end: Callable[[Node], bool] = lambda _: False,
    ) -> None:
        body = _Body(root)
        nodes = [one for one in body.nodes if one.type in _SPEAKING]
        sites: dict[str, list[Node]] = {}
        members: set[str] = set()
        for one in nodes:
            if one.type in ("identifier", "field_identifier") and (name := text(one)) in callees:
                if one.type == "field_identifier":
                    members.add(name)
                elif not _is_given(one, dispatchers):
                    sites.setdefault(name, []).append(one)
        nodes = [one for one in nodes if not one.type.endswith("identifier")]
        self._deciding = {
            callee: _deciding(body, nodes, sites.get(callee, []), is_end)
            for callee in callees
            if callee in sites or callee not in members  # else a member, which may lead anywhere
        }

    def by(self, tellers: Set[str]) -> dict[str, frozenset[str]]:
        """Return which of some functions, or members, may decide of each of the others."""
        return {callee: one.by(tellers) - {callee} for callee, one in self._deciding.items()}


class _Spoken:
    """What some conditions speak of, and what variables hold that was given in front of them."""

    def __init__(self, body: _Body, conditions: Iterable[Node], nodes: list[Node]) -> None:
        self._conditions = [_spoken(one) for one in conditions]
        self._given = _given(body, nodes)

    def by(self, tellers: Set[str]) -> frozenset[str]:
        """Return who of some may decide of the conditions."""
        told = _told(self._given, tellers)
        return frozenset[str]().union(*(_sources(one, tellers, told) for one in self._conditions))


def _deciding(
    body: _Body, nodes: list[Node], sites: list[Node], is_end: Callable[[Node], bool]
) -> _Spoken:
    """Return what decides whether the calls at some sites are made."""
    if not sites or not all(map(_is_called, sites)):
        every = {one.id: one for any_ in body.nodes for one in body.around(any_)}
        return _Spoken(body, every.values(), nodes)
    last = max(one.end_byte for one in sites)
    loops = [one for at in sites for one in body.above(at) if one.type in _LOOPS]
    if any(one.type == "labeled_statement" and one.start_byte < last for one in nodes):
        last = body.nodes[0].end_byte  # a jump may lead back
    chains = [body.chain(at) for at in sites]
    near = [
        one
        for one in nodes
        if (one.start_byte < last or any(_holds(loop, one) for loop in loops))
        and not (one.type in (*JUMPS, *_GIVE) and all(_apart(body, one, chain) for chain in chains))
    ]
    jumps = [
        one
        for one in near
        if one.type in JUMPS and not any(map(is_end, taken(one, body.above(one))))
    ]
    around = {one.id: one for at in (*sites, *jumps) for one in body.around(at)}
    return _Spoken(body, around.values(), near)


def answering(root: Node, tellers: Set[str]) -> frozenset[str]:
    """Return on which of some words it may depend what a function returns, or leaves behind."""
    body = _Body(root)
    jumps = [one for one in body.nodes if one.type in JUMPS]
    found = {one.id: one for jump in jumps for one in (jump, *body.around(jump))}
    told = _told(_given(body, body.nodes), tellers)
    given = {
        word
        for one in body.nodes
        if one.type == "parameter_declaration"
        for word in _WORD.findall(text(one))[-1:]
    }
    left = (
        by for name, by in told.items() if _WORD.match(name) and _WORD.findall(name)[0] in given
    )
    return frozenset[str]().union(
        *left, *(_sources(_spoken(one), tellers, told) for one in found.values())
    )


def _holds(outer: Node, inner: Node) -> bool:
    return outer.start_byte <= inner.start_byte and inner.end_byte <= outer.end_byte


def _apart(body: _Body, one: Node, chain: Mapping[int, Node]) -> bool:
    """Tell whether what runs one of two places does not come to the other one behind it.

    CHAIN is that of the other one.
    """
    branch = one
    for outer in body.above(one):
        other = chain.get(outer.id)
        if other is not None:
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
    return branch.type in JUMPS


def _given(body: _Body, nodes: list[Node]) -> _Given:
    """Return which variables and members are given something, each with what decides of it."""
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
        given.append((name, [value, *body.around(one)]))
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
    return [(name, [_spoken(value) for value in values]) for name, values in given]


def _told(given: _Given, tellers: Set[str]) -> dict[str, frozenset[str]]:
    """Return which variables and members may hold what is told, and by whom."""
    told: dict[str, frozenset[str]] = {}
    while True:
        before = dict(told)
        for name, values in given:
            by = (_sources(value, tellers, told) for value in values)
            told[name] = told.get(name, frozenset()).union(*by)
        if told == before:
            return {name: by for name, by in told.items() if by}


def _spoken(node: Node) -> _Words:
    """Return the words of an expression, and all of it without blanks."""
    words = text(node)
    pointed = (POINTED + name for name in _THROUGH.findall(words))
    return frozenset((*_WORD.findall(_THROUGH.sub("(", words)), *pointed)), dense(words)


def _sources(spoken: _Words, tellers: Set[str], told: dict[str, frozenset[str]]) -> frozenset[str]:
    """Return by whom what an expression reads was told."""
    words, plain = spoken
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


def answers(root: Node, note: str) -> bool:
    """Tell whether a function answers by a note: not where it leaves before it would store it."""
    nodes = list(syntax.descendants(root))
    told = {note}
    while True:
        more = {
            text(left).lstrip("* ")
            for one in nodes
            if one.type in ("init_declarator", "assignment_expression")
            and (left := one.child_by_field_name("declarator") or one.child_by_field_name("left"))
            and (value := one.child_by_field_name("value") or one.child_by_field_name("right"))
            and not told.isdisjoint(_WORD.findall(text(value)))
        } - told
        if not more:
            break
        told |= more
    stores = [
        one.start_byte
        for one in nodes
        if one.type == "assignment_expression"
        and (left := one.child_by_field_name("left"))
        and note in _WORD.findall(text(left))
    ]
    for one in nodes:
        if one.type not in ("return_statement", "goto_statement", "break_statement"):
            continue
        if not told.isdisjoint(_WORD.findall(text(one))):
            return True
        here = one.parent
        while here is not None:
            condition = here.child_by_field_name("condition")
            if condition is not None and not told.isdisjoint(_WORD.findall(text(condition))):
                if not any(one.start_byte < at < here.end_byte for at in stores):
                    if not _is_alike(nodes, one, stores):
                        return True
            here = here.parent
    return False


def _is_alike(nodes: list[Node], jump: Node, stores: list[int]) -> bool:
    """Tell whether a function answers the same where it jumps as where it comes by some stores.

    It returns a variable at its end, which is given a number where it is declared; whatever
    gives it another value in front of a store leaves at once, or where that is below zero,
    and nothing does so behind one.  What is not below zero says alike that all went well.
    """
    returns = [one for one in nodes if one.type == "return_statement"]
    words = _WORD.findall(text(returns[-1])) if jump.type == "goto_statement" and returns else []
    if len(returns) != 1 or len(words) != 2 or not stores:
        return False
    (_, name), is_given = words, False
    for one in nodes:
        if one.type == "init_declarator" and text(one.children[0]) == name:
            is_given = one.children[-1].type == "number_literal"
        elif one.type == "pointer_expression" and text(one) == f"&{name}":
            return False
        elif one.type in ("assignment_expression", "update_expression"):
            if name not in _WORD.findall(text(one.children[0])) or one.parent is None:
                continue
            behind = one.parent.next_named_sibling
            if one.start_byte < jump.start_byte or one.start_byte > max(stores):
                return False
            if behind is not None and behind.type == "if_statement":
                failed = behind.child_by_field_name("condition")
                if failed is None or dense(text(failed)) not in (f"({name}<0)", f"({name})"):
                    return False
                behind = behind.child_by_field_name("consequence")
            if behind is None or behind.type != "goto_statement":
                return False
    return is_given
