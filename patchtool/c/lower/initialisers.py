# SPDX-License-Identifier: GPL-2.0-only
"""What objects begin as: initialisers, run like assignments behind a store of zeros.

C11 6.7.9 says which member a value is for.  A list that relies on more of it than is followed
here is not understood: braces that are left out, values behind a member of a member, a union
that is given two of its members, of which only the last one stays.
"""

from __future__ import annotations

from collections.abc import Iterator

from patchtool.c.layout import ArrayType, CType, IntType, PointerType, RecordType, UnknownType
from patchtool.c.lower.guards import Guards
from patchtool.c.lower.records import Unsupported
from patchtool.c.memory import Int, Loc, LValue, State
from patchtool.c.syntax import Node, text
from patchtool.proof import bits

MAX_ELEMENTS = 256

_RECORDS = ("initializer_list", "compound_literal_expression")
"""What has braces of its own."""

_Union = tuple[Loc, tuple[int, ...]]
"""A union: the object it is in, and which members without names lead to it."""


class Initialisers(Guards):
    """Runs initialisers."""

    def _initialise(self, target: LValue, node: Node, state: State) -> None:
        """Store what an initialiser tells to an object, all of it."""
        if node.type == "compound_literal_expression":
            inner = node.child_by_field_name("value")
            if inner is not None:
                self._initialise(target, inner, state)
                return
        if node.type != "initializer_list":
            self._store(target, self._value_for(target.type, node, state), state, node)
            return
        self._zero(target, state, node)
        views = _Views()
        position: int | None = 0
        for child in node.named_children:
            if child.type == "comment":
                continue
            if child.type == "initializer_pair":
                position = self._designated(target, child, views, state)
                continue
            if position is None:
                raise Unsupported(child, "what a value behind a member of a member is for")
            inner_target = self._positioned(target, position, child)
            self._require_record(inner_target, child, state)
            self._initialise(inner_target, child, state)
            position += 1
        if isinstance(target.type, ArrayType) and target.type.length is None:
            self._fill(target, state, node)

    def _designated(self, target: LValue, pair: Node, views: _Views, state: State) -> int | None:
        """Store to what is named, and return the position of what comes next, None if unknown."""
        here, ranged = target, range(0)
        designators = pair.children_by_field_name("designator")
        position: int | None = None
        for designator in designators:
            before = here
            if designator.type == "field_designator":
                name = text(designator).lstrip(".").strip()
                here = self._member(before, name, designator)
                assert isinstance(before.type, RecordType)
                views.choose(before, name, designator)
                position = list(before.type.by_name).index(name) + 1
            else:
                numbers = [
                    self._constant(self._value(n, state), n) for n in designator.named_children
                ]
                if len(numbers) == 2:
                    ranged = range(*numbers)
                here = self._element(before, numbers[-1], designator)
                position = numbers[-1] + 1
        if ranged and (len(designators) > 1 or len(ranged) > MAX_ELEMENTS):
            raise Unsupported(pair, "a range of elements is not understood here")
        value = pair.child_by_field_name("value")
        if value is not None:
            self._require_record(here, value, state)
            for number in ranged:
                self._initialise(self._element(target, number, pair), value, state)
            self._initialise(here, value, state)
            views.wholes.append(here.loc)
        return position if len(designators) == 1 else None

    def _positioned(self, target: LValue, position: int, node: Node) -> LValue:
        """Return what the value at a position of a list is for."""
        ctype = target.type
        if isinstance(ctype, ArrayType):
            if ctype.length is not None and position >= ctype.length:
                raise Unsupported(node, "more values than elements")
            return self._element(target, position, node)
        if not isinstance(ctype, RecordType):
            if position:
                raise Unsupported(node, "more values than members")
            return target
        unnamed = [one.type for one in ctype.members if one.name is None]
        if any(isinstance(one, UnknownType) for one in unnamed):
            raise Unsupported(node, "which member comes next depends on a build option")
        named = list(ctype.by_name)
        if position >= (1 if ctype.kind == "union" else len(named)):
            raise Unsupported(node, "more values than members")
        if any(isinstance(one, RecordType) for one in unnamed):
            if position or node.type == "initializer_list":
                raise Unsupported(node, "which member comes next, where some have no name")
        return self._member(target, named[position], node)

    def _require_record(self, target: LValue, value: Node, state: State) -> None:
        """Refuse what may be a number for a record: it is for the first of its members alone.

        What follows would be for the next ones, and not for what comes behind the record.
        """
        ctype = target.type
        if not isinstance(ctype, RecordType) or target.cell is None:
            return  # a record that is no word is not stored from a number
        first = ctype.members[0].type if ctype.kind == "union" and ctype.members else None
        if isinstance(first, IntType) or value.type in _RECORDS:
            return
        if not isinstance(self._lvalue(value, state.fork(True)).type, RecordType):
            raise Unsupported(value, "a record is initialised by a number")

    def _fill(self, target: LValue, state: State, node: Node) -> None:
        """Zero the elements before the last of an array without a length."""
        at = len(target.loc.path)
        inside = [loc for loc in state.memory if loc.within(target.loc)]
        steps = {loc.path[at] for loc in inside if len(loc.path) > at}
        last = max((int(step.strip("[]")) for step in steps), default=-1)
        for number in range(min(last, MAX_ELEMENTS)):
            if f"[{number}]" not in steps:
                self._zero(self._element(target, number, node), state, node)

    def _zero(self, target: LValue, state: State, node: Node) -> None:
        if target.cell is not None:
            if isinstance(target.type, RecordType):
                self._store(target, Int(bits.constant(target.width, 0)), state, node)
            elif target.cell == target.loc:  # a bit-field apart from any word
                state.memory[target.cell] = Int(bits.constant(target.cell_width, 0))
            else:
                self._store(target, Int(bits.constant(target.width or 32, 0)), state, node)
        elif isinstance(target.type, RecordType):
            for name in target.type.by_name:
                inner = self._member(target, name, node)
                if inner.cell is not None or _elements(inner.type) <= MAX_ELEMENTS:
                    self._zero(inner, state, node)
        elif isinstance(target.type, ArrayType):
            for number in range(min(target.type.length or 0, MAX_ELEMENTS)):
                self._step(node)
                self._zero(self._element(target, number, node), state, node)
        elif isinstance(target.type, (IntType, PointerType)):
            width = target.type.width if isinstance(target.type, IntType) else 64
            state.memory[target.loc] = Int(bits.constant(width, 0))

    def _element(self, base: LValue, number: int, node: Node) -> LValue:
        if not isinstance(base.type, ArrayType):
            raise Unsupported(node, "something that is no array is indexed")
        if number < 0:
            raise Unsupported(node, "an array is indexed in front of its first element")
        loc = base.loc.member(f"[{number}]")
        return self._whole(loc, base.type.element)


def _elements(ctype: CType) -> int:
    """Return how many numbers and pointers an object consists of, at most."""
    if isinstance(ctype, ArrayType):
        return (MAX_ELEMENTS + 1 if ctype.length is None else ctype.length) * _elements(
            ctype.element
        )
    if isinstance(ctype, RecordType):
        return sum(_elements(ctype.by_name[name][1]) for name in ctype.by_name)
    return 1


class _Views:
    """Which members of unions a list has named, and what it has stored to as a whole."""

    def __init__(self) -> None:
        self.wholes: list[Loc] = []
        self._chosen: dict[_Union, int] = {}

    def choose(self, target: LValue, name: str, node: Node) -> None:
        """Name a member of a record; raises Unsupported where another view of it was named."""
        assert isinstance(target.type, RecordType)
        for union, number in _through(target.type, name, (target.loc, ())):
            if self._chosen.setdefault(union, number) != number or any(
                target.loc.within(one) for one in self.wholes
            ):
                raise Unsupported(node, "a union is initialised by two of its members")


def _through(record: RecordType, name: str, at: _Union) -> Iterator[tuple[_Union, int]]:
    """Yield the unions on the way to a member of a record, with the number of what leads on."""
    for number, member in enumerate(record.members):
        inner = member.type if member.name is None else None
        if member.name != name and not (isinstance(inner, RecordType) and name in inner.by_name):
            continue
        if record.kind == "union":
            yield at, number
        if isinstance(inner, RecordType):
            yield from _through(inner, name, (at[0], (*at[1], number)))
        return
