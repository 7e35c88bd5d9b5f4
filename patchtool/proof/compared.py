# SPDX-License-Identifier: GPL-2.0-only
"""One field as two runs of a path compute it, side by side, and what can be claimed of that.

In: what an initialiser leaves in a context when it does and when it does not skip, and under
which condition it skips.  Out: the bits of the field that skipping matters to, the inputs as
a person names them, and claims about both runs.  Knows no C.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from patchtool.proof import bits
from patchtool.proof.bdd import RUNS, TooLarge
from patchtool.proof.bits import (
    Alike,
    Bits,
    Claim,
    Cond,
    Denied,
    Environment,
    Stale,
    Symbol,
    Term,
    Under,
    Word,
)
from patchtool.proof.runs import Runs
from patchtool.proof.solver import Asked, Result, asked

AT_ONCE = 64
"""How many bits of a field are put to the same diagrams."""
APART = 16
"""And how many where those outgrow their limit: most of them are small."""


class Unit(NamedTuple):
    """One input as a person names it: a register bit, or a whole object.

    ``bits`` are the symbol bits that it consists of, least significant first.
    """

    name: str
    source: str
    bits: tuple[Symbol, ...]


class Carrier(NamedTuple):
    """One member of a compared role and what a run computes for it."""

    name: str
    value: Bits


class Question(NamedTuple):
    """One field of one context on one path."""

    runs: Runs
    path: Cond
    skips: Cond
    full: Bits
    kept: Bits
    legal: Callable[[frozenset[Symbol]], list[Cond]]
    unit_of: Callable[[Symbol], Unit]
    carriers: tuple[Carrier, ...]
    roles: tuple[tuple[str, Bits], ...]
    left_alone: Cond = True
    """When other code that may run in front of a skip leaves the context as it is."""
    covered_elsewhere: frozenset[Symbol] = frozenset()
    """Inputs that no two runs can differ in without the role being invalidated."""
    hosts: Callable[[frozenset[Symbol]], Sequence[Sequence[Cond]]] = lambda _: ()
    """Kinds of hosts, the first choice first: what holds there of what is alike in all runs."""
    usual: Callable[[frozenset[Symbol]], Sequence[Cond]] = lambda _: ()
    """What is usual for inputs.  A proof rests on neither; a witness is picked by both."""
    old: tuple[Symbol, ...] = ()
    """What each bit of the field was before the run; empty where the field is always stored."""
    elements: tuple[int, ...] = ()
    """How many bits each element of the field has, the first one first; empty for just one."""
    names: tuple[str, ...] = ()
    reached: Mapping[str, tuple[Cond, ...]] = {}
    """The elements that a full run may leave alone where nobody comes to them: by name, when
    one does.  There are as many ways to tell as conditions; one has to hold for all."""


class Row(NamedTuple):
    """One bit of a field, or some that are alike in all of this.

    A full run stores it when ``stored`` holds, as ``fresh``; a run before has left ``left``,
    or, where None, a run that skips leaves ``kept``.
    """

    stored: Cond
    fresh: Cond
    left: Cond | None
    kept: Cond


class Compared:
    """What a full run and one that skips make of one field."""

    def __init__(self, question: Question, like: Compared | None = None) -> None:
        """Take a question; LIKE has one about the same runs that differs in what is covered."""
        self.q = question
        self._like = like
        self._unit_of: dict[Symbol, Unit] = {}
        q = question
        read = q.full.symbols | q.kept.symbols | bits.symbols([q.path, q.skips, q.left_alone])
        self._bits: list[Row | None] = self._told_apart() if like is None else like._bits
        self._at_once: int = AT_ONCE if like is None else like._at_once
        self._wrong: list[Row] = []
        """Bits that may be stale, among them one for each set of inputs that makes them so."""
        runs = q.runs
        self._context_read = sorted(n for n in read if runs.is_context(n))
        self._held: dict[Symbol, Cond] = {}
        for one in self._context_read:
            stored = runs.stored(one)
            if stored is not None:
                self._held[one] = stored
        self._all = read.union(
            bits.symbols(self._held.values()), *(c.value.symbols for c in q.carriers)
        )
        free = frozenset(n for n in self._all if runs.is_input(n))
        open_ = frozenset(n for n in self._all if not runs.is_context(n))
        self._rules = q.legal(open_)
        met = open_ | bits.symbols(self._rules)
        if met != open_:
            self._rules = q.legal(met)
        self.inputs = free | frozenset(n for n in met if runs.is_input(n))

    # -- the bits of the field -----------------------------------------------------------------

    @property
    def _rows(self) -> tuple[Row, ...]:
        """The bits of the field that a full run stores in some state, each kind once."""
        return tuple(dict.fromkeys(row for row in self._bits if row is not None))

    @property
    def told_apart(self) -> tuple[Row | None, ...]:
        """The bits of the field; None for one that skipping does not matter to."""
        return tuple(self._bits)

    def _told_apart(self) -> list[Row | None]:
        """Return the bits of the field; None for one that skipping does not matter to."""
        full, kept = self.q.full.conditions(), self.q.kept.conditions()
        own, older = bits.Among(self.q.old), self._older
        # Bits that are stored alike differ in what was there before, and not once that is one.
        replaced = bits.Substitution(dict.fromkeys(self.q.old, older))
        cleared, known = bits.Substitution({older: False}), dict[Term, Cond]()
        found: list[Row | None] = []
        for value, held, before in zip(full, kept, self.q.old or [None] * len(full), strict=True):
            if value is held:
                found.append(None)
                continue
            stored: Cond = True
            fresh = left = value
            read = own.read_by(value)
            if before is not None and before in read:
                left = (
                    replaced(value) if len(read) == 1 else bits.substitute(value, {before: older})
                )
                stored, fresh = bits.negate(bits.dependence(left, older, known)), cleared(left)
            if stored is False:
                found.append(None)
            elif before is not None and held is before:
                found.append(Row(stored, fresh, left, False))
            else:
                found.append(Row(stored, fresh, None, held))
        return found

    @cached_property
    def _older(self) -> Symbol:
        """What a bit holds that no run has stored."""
        return self._like._older if self._like is not None else Word("an older value").bit()

    def _kinds(self, rows: Iterable[Row]) -> list[Row]:
        """Return one bit of each kind: those that depend on the same inputs are much alike.

        Of numbers each bit of the field may read another bit.
        """
        found: dict[frozenset[tuple[str, str]], Row] = {}
        for row in rows:
            read = (c.symbols for c in (row.stored, row.fresh) if isinstance(c, Term))
            units = map(self.unit, frozenset[Symbol]().union(*read) & self.inputs)
            found.setdefault(frozenset((one.name, one.source) for one in units), row)
        return list(found.values())

    # -- claims --------------------------------------------------------------------------------

    @cached_property
    def _legal(self) -> list[Claim]:
        runs = self.q.runs
        found: list[Claim] = [
            Under(rule, run) for run in (runs.first, runs.other) for rule in self._rules
        ]
        for one in sorted(self.q.covered_elsewhere & self.inputs):
            found.append(self._same((one,)))
        return found

    def _skipping(self, guard: Environment | None = None) -> list[Claim]:
        """Two runs, the second of which skips; GUARD reads its guard."""
        q, runs = self.q, self.q.runs
        return [
            *self._legal,
            Under(q.path, runs.first),
            Under(q.path, runs.second),
            Under(q.skips, guard or runs.second),
            Under(q.left_alone, guard or runs.second),
        ]

    def _stale_in(
        self,
        rows: Iterable[Row],
        first: Environment | None = None,
        second: Environment | None = None,
    ) -> Claim:
        """One of some bits of the field, after skipping, is not what a full run would store.

        FIRST and SECOND read the two runs.
        """
        first, second = first or self.q.runs.first, second or self.q.runs.second
        mine = list(rows)
        plain = [(r.stored, r.fresh, r.left) for r in mine if r.left is not None]
        other = [(r.stored, r.fresh, r.kept) for r in mine if r.left is None]
        one = Stale(tuple(plain), second, first)
        two = Stale(tuple(other), second, second)
        return (
            Denied((Denied((one,)), Denied((two,)))) if other and plain else two if other else one
        )

    @property
    def _differs(self) -> Claim:
        """The field after skipping is not what a full run would have stored."""
        return self._stale_in(self._wrong or self._rows)

    def _roughly(self, rows: Iterable[Row]) -> dict[Row, Claim]:
        """Return when bits are stale, at most: constants that must fit together need not."""
        cut = self.q.runs.without_constants
        rough: dict[Row, Row] = {}
        for row in rows:
            left = None if row.left is None else cut(row.left)
            rough[row] = Row(cut(row.stored), cut(row.fresh), left, cut(row.kept))
        claims = {one: self._stale_in([one]) for one in dict.fromkeys(rough.values())}
        return {row: claims[one] for row, one in rough.items()}

    def _possibly(self, claims: Sequence[Claim], rows: Iterable[Row]) -> list[Row] | None:
        """Return the bits that may be stale, where some claims hold; None where none can tell.

        Roughly: where that clears less than half of a few of them, the others are not asked about.
        """
        mine = list(rows)
        few = mine[:: max(1, len(mine) // APART)]
        told = self._which(claims, self._roughly(few))
        if told is None or len(few) == len(mine):
            return told
        if len(told) > len(few) // 2:
            return mine
        return self._which(claims, self._roughly(mine))

    def _same(self, inputs: tuple[Symbol, ...]) -> Claim:
        """Some inputs have one value in both runs."""
        return Alike(inputs, self.q.runs.first, self.q.runs.other)

    @cached_property
    def _flags(self) -> list[Symbol]:
        """The switches by which each unit has one value in both runs."""
        return [Word(f"same!{i}").bit() for i in range(len(self.all_units))]

    def _switches(self) -> dict[Symbol, Claim]:
        """For each input, that it has one value in both runs."""
        pairs = zip(self._flags, self.all_units, strict=True)
        return {flag: self._same(unit.bits) for flag, unit in pairs}

    @staticmethod
    def _fixed(states: Sequence[Mapping[Symbol, bool]]) -> list[Claim]:
        """Give inputs a value in each of the runs, the first one first."""
        return [
            one.copy(run) if on else bits.negate(one.copy(run))
            for run, state in zip(RUNS, states, strict=False)
            for one, on in sorted(state.items())
        ]

    # -- what they are put to ------------------------------------------------------------------

    def _asked(
        self,
        claims: Sequence[Claim],
        switches: Mapping[Symbol, Claim],
        use: Callable[[Asked], Result],
        solve: bool = True,
    ) -> Result:
        return asked(claims, switches, use, self.q.runs.room(), solve)

    def _can_hold(self, claims: Sequence[Claim]) -> bool | None:
        return self._asked(claims, {}, lambda one: one.possible())

    def _which(self, claims: Sequence[Claim], rows: Mapping[Row, Claim]) -> list[Row] | None:
        """Return the bits for which a claim can hold beside others, None where none can tell."""
        named = {id(claim): claim for claim in rows.values()}
        told: dict[int, bool | None] = {}
        keys = list(named)
        todo = [keys]
        while todo:
            some = todo.pop()
            if len(some) > self._at_once:
                todo += (some[at : at + self._at_once] for at in range(0, len(some), self._at_once))
                continue
            switches = {one: Word(f"row!{one}").bit() for one in some}

            def those(
                solver: Asked, switches: dict[int, Symbol] = switches
            ) -> dict[int, bool | None]:
                return {one: solver.possible([switch]) for one, switch in switches.items()}

            about = {switch: named[one] for one, switch in switches.items()}
            try:
                told |= self._asked(claims, about, those, solve=len(some) <= APART)
            except TooLarge:
                self._at_once = APART
                todo.append(some)
        if None in told.values():
            return None
        return [row for row, claim in rows.items() if told[id(claim)]]

    # -- units ---------------------------------------------------------------------------------

    def unit(self, symbol: Symbol) -> Unit:
        """Return the unit that a symbol belongs to."""
        if symbol not in self._unit_of:
            self._unit_of[symbol] = self.q.unit_of(symbol)
        return self._unit_of[symbol]

    def units(self, symbols: Iterable[Symbol]) -> tuple[Unit, ...]:
        """Return inputs as a person names them: units, of the bits that occur."""
        grouped: dict[tuple[str, str], list[Symbol]] = {}
        for one in symbols:
            unit = self.unit(one)
            grouped.setdefault((unit.name, unit.source), []).append(one)
        return tuple(
            Unit(name, source, tuple(sorted(found, key=_position)))
            for (name, source), found in sorted(grouped.items())
        )

    @cached_property
    def all_units(self) -> tuple[Unit, ...]:
        """All inputs of both runs."""
        return self.units(self.inputs)

    @cached_property
    def field_units(self) -> tuple[Unit, ...]:
        """The inputs that the field may depend on."""
        read = self._reaching(self.q.full.symbols | self.q.kept.symbols)
        return self.units(n for n in read if n in self.inputs and not n.word.opaque)

    @cached_property
    def _wanted(self) -> frozenset[Symbol]:
        return frozenset(n for unit in self.field_units for n in unit.bits)

    def _reaching(self, read: frozenset[Symbol]) -> frozenset[Symbol]:
        """Add what a full run leaves in the bits of the context among some symbols."""
        return read | bits.symbols(held for one, held in self._held.items() if one in read)

    @cached_property
    def host(self) -> list[Symbol]:
        """What is alike in both runs."""
        return sorted(n for n in self._all - self.inputs if not self.q.runs.is_context(n))


def _position(symbol: Symbol) -> tuple[str, int]:
    return symbol.word.name, symbol.position
