# SPDX-License-Identifier: GPL-2.0-only
"""Decide whether skipping is a no-op, by two runs side by side.

In: what an initialiser leaves in a context when it does and when it does not skip, and
under which condition it skips.  Out: covered, gap with the smallest legal witness, or
unknown, per field; and which role members carry each input.  Knows no C.

The property: for all legal inputs I1 and I2, if a full run with I1 leaves a context on
which the run with I2 skips, then what a full run with I2 would store in the field is what
the field holds after skipping; and what a full run stores the inputs alone decide.  A bit
that a full run leaves alone in some state is not stored there, and nothing of it is stale;
an element of which a full run stores some bits and keeps others accumulates.
"""

from __future__ import annotations

from collections import Counter
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
from patchtool.proof.runs import FIRST, THIRD, Runs
from patchtool.proof.solver import Asked, NoSolver, Result, asked

MAX_SETS = 32
AT_ONCE = 64
"""How many bits of a field are put to the same diagrams."""
APART = 16
"""And how many where those outgrow their limit: most of them are small."""
MAX_BITS = 1_000


class GaveUp(Exception):
    """A part of a question is not decided."""


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


class Row(NamedTuple):
    """One bit of a field, or some that are alike in all of this.

    A full run stores it when ``stored`` holds, as ``fresh``; a run before has left ``left``,
    or, where None, a run that skips leaves ``kept``.
    """

    stored: Cond
    fresh: Cond
    left: Cond | None
    kept: Cond


class Witnessed(NamedTuple):
    """A pair of states, as values of units."""

    units: tuple[Unit, ...]
    a: tuple[int, ...]
    b: tuple[int, ...]
    differs: tuple[str, ...]
    role: tuple[tuple[str, int], ...]
    values: tuple[int, int]
    host: tuple[tuple[Unit, int], ...] = ()
    needs: tuple[Unit, ...] = ()
    """What of the host has to be so: with another of its usual values there is no gap."""
    c: tuple[int, ...] = ()
    """The state of the run that accumulates, after A and after B; empty for a pair."""


class Answer(NamedTuple):
    """The decision on one question.

    ``leaning`` are the symbols, not understood, on which it would rest, ``problem`` what
    else stopped it, in words.
    """

    verdict: str
    inputs: tuple[tuple[Unit, tuple[str, ...]], ...] = ()
    missing: tuple[str, ...] = ()
    missing_units: tuple[Unit, ...] = ()
    witness: Witnessed | None = None
    more: tuple[Witnessed, ...] = ()
    """Others, until each missing input differs in one."""
    leaning: tuple[Symbol, ...] = ()
    problem: str = ""
    history: bool = False
    support: frozenset[Symbol] = frozenset()
    accumulated: Witnessed | None = None
    """Three states, where the field keeps bits of an earlier set-up through a full one."""
    unstored: tuple[str, ...] | None = ()
    """The bits of inputs, as words, with which the field is not stored at all; None where
    that takes more words."""


class Decision:
    """Answers one question."""

    def __init__(self, question: Question, like: Decision | None = None) -> None:
        """Take a question; LIKE answers one about the same runs that differs in what is covered."""
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

    @property
    def _rows(self) -> tuple[Row, ...]:
        """The bits of the field that a full run stores in some state, each kind once."""
        return tuple(dict.fromkeys(row for row in self._bits if row is not None))

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
            rough[row] = Row(cut(row.stored), cut(row.fresh), left, row.kept)
        claims = {one: self._stale_in([one]) for one in dict.fromkeys(rough.values())}
        return {row: claims[one] for row, one in rough.items()}

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

    @cached_property
    def _legal(self) -> list[Claim]:
        runs = self.q.runs
        found: list[Claim] = [
            Under(rule, run) for run in (runs.first, runs.other) for rule in self._rules
        ]
        for one in sorted(self.q.covered_elsewhere & self.inputs):
            found.append(self._same((one,)))
        return found

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

    def _asked(
        self,
        claims: Sequence[Claim],
        switches: Mapping[Symbol, Claim],
        use: Callable[[Asked], Result],
        solve: bool = True,
    ) -> Result:
        return asked(claims, switches, use, self.q.runs.manager, solve)

    def _can_hold(self, claims: Sequence[Claim]) -> bool | None:
        return self._asked(claims, {}, lambda one: one.possible())

    # -- units -----------------------------------------------------------------------------

    def unit(self, symbol: Symbol) -> Unit:
        """Return the unit that a symbol belongs to."""
        if symbol not in self._unit_of:
            self._unit_of[symbol] = self.q.unit_of(symbol)
        return self._unit_of[symbol]

    def _units(self, symbols: Iterable[Symbol]) -> tuple[Unit, ...]:
        """Group symbols into units, keeping the bits that occur."""
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
        return self._units(self.inputs)

    @cached_property
    def field_units(self) -> tuple[Unit, ...]:
        """The inputs that the field may depend on."""
        read = self._reaching(self.q.full.symbols | self.q.kept.symbols)
        return self._units(n for n in read if n in self.inputs and not n.word.opaque)

    @cached_property
    def _wanted(self) -> frozenset[Symbol]:
        return frozenset(n for unit in self.field_units for n in unit.bits)

    def _reaching(self, read: frozenset[Symbol]) -> frozenset[Symbol]:
        """Add what a full run leaves in the bits of the context among some symbols."""
        return read | bits.symbols(held for one, held in self._held.items() if one in read)

    # -- the decision ------------------------------------------------------------------------

    def decide(self, carriers: bool = True) -> Answer:
        """Decide the question; without CARRIERS a proof does not say what carries which input."""
        try:
            return self._decided(carriers)
        except NoSolver:
            needed = "this needs the solver z3, which is not installed: pip install z3-solver"
            return Answer("unknown", problem=needed)

    def _decided(self, carriers: bool) -> Answer:
        q = self.q
        support = self._reaching(q.full.symbols | q.kept.symbols | bits.symbols([q.skips, q.path]))
        if len(self.inputs) > MAX_BITS:
            return Answer("unknown", problem="too many input bits to decide", support=support)
        history = self._history()
        if history is not None:
            return history._replace(support=support)
        answer = self._stale(carriers, support)
        if answer.verdict == "unknown":
            return answer
        try:
            accumulated = self._accumulated()
        except GaveUp:
            return Answer("unknown", problem="the solver gave up", support=support)
        if accumulated is not None:
            answer = answer._replace(verdict="gap", accumulated=accumulated)
            if not answer.inputs:
                answer = answer._replace(inputs=self._table(frozenset()))
        return answer._replace(unstored=self._unstored())

    def _stale(self, carriers: bool, support: frozenset[Symbol]) -> Answer:
        if self._follows_roles():
            table = self._table(frozenset()) if carriers else ()
            return Answer("covered", table, support=support)
        claims = self._skipping()
        solid, wrong = self._truly(claims, self._which(claims, self._roughly(self._rows)))
        if wrong is None or solid is None:
            return Answer("unknown", problem="the solver gave up", support=support)
        if not solid:
            table = self._table(frozenset()) if carriers else ()
            return Answer("covered", table, support=support)
        self._wrong = self._kinds(solid)
        sturdy = self._sturdy
        firm = self._asked(sturdy, self._switches(), self._minimal_sets) if sturdy else None
        if firm:
            answer = self._asked(
                sturdy, self._switches(), lambda one: self._refuted(one, firm, support)
            )
            if answer.verdict == "gap":
                return answer
        found: list[tuple[Unit, ...]] = []
        for _ in range(MAX_SETS):
            claims = [*self._skipping(), self._differs]
            sets = self._asked(claims, self._switches(), self._minimal_sets)
            if sets is None:
                return Answer("unknown", problem="the solver gave up", support=support)
            found = sets
            # A bit that is stale though no such set differs shows that there are more.
            explained = [Denied(tuple(self._same(u.bits) for u in one)) for one in sets]
            others = [*self._skipping(), *(Denied((one,)) for one in explained)]
            rest = (row for row in wrong if row not in self._wrong)
            more, wrong = self._truly(others, self._which(others, self._roughly(rest)))
            if more is None or wrong is None:
                return Answer("unknown", problem="the solver gave up", support=support)
            if not more:
                break
            self._wrong.append(more[0])
        return self._asked(
            [*self._skipping(), self._differs],
            self._switches(),
            lambda one: self._refuted(one, found, support),
        )

    def _truly(
        self, claims: Sequence[Claim], rows: list[Row] | None
    ) -> tuple[list[Row] | None, list[Row] | None]:
        """Return some bits that are stale, of those that may be, and those that still may.

        None are returned only where none is stale, None where nobody can tell.
        """
        if not rows:
            return rows, rows
        kinds = self._kinds(rows)
        found = self._which(claims, {row: self._stale_in([row]) for row in kinds})
        if found:
            cleared = set(kinds).difference(found)
            return found, [row for row in rows if row not in cleared]
        if found is not None and len(kinds) < len(rows):
            found = self._which(claims, {row: self._stale_in([row]) for row in rows})
        return found, found

    @property
    def _sturdy(self) -> list[Claim]:
        """A violation in which what was not understood takes no part, nothing if all does.

        It stands whether all those bits are set or none, in each of the runs.
        """
        opaque = frozenset(n for n in self.inputs if n.word.opaque)
        if not opaque:
            return []
        found = list(self._legal)
        for values in ((False, False), (True, True), (False, True), (True, False)):
            first, second = self.q.runs.settled(opaque, values)
            found += [
                Under(self.q.path, first),
                Under(bits.every((self.q.path, self.q.skips, self.q.left_alone)), second),
                self._stale_in(self._wrong or self._rows, first, second),
            ]
        return found

    @property
    def unclear(self) -> tuple[Symbol, ...]:
        """What was not understood and must not carry the field, in a role that it is part of.

        The role and the field may hold the same unknown value; a proof that needs them to
        be the same is none.
        """
        field = self._reaching(self.q.full.symbols | self.q.kept.symbols)
        opaque = sorted(n for n in field & self.inputs if n.word.opaque)
        if not opaque:
            return ()
        apart = self.q.runs.apart(frozenset(opaque))
        try:
            rows = {row: self._stale_in([row]) for row in self._rows}
            held = self._which(self._skipping(apart), rows) == []
        except NoSolver:
            held = False
        return () if held else tuple(opaque)

    def repeats(
        self, first: Mapping[Symbol, bool], then: Mapping[Symbol, bool], host: Iterable[Cond] = ()
    ) -> bool | None:
        """Tell whether THEN, run after FIRST, skips and leaves the field stale.

        They are values of inputs; HOST holds of what is alike in both runs.  What they
        do not name has one value, which may be any.  None where that decides.
        """
        runs = self.q.runs
        fixed = self._fixed((first, then))
        rest = tuple(n for n in sorted(self.inputs) if n not in first and n not in then)
        around: list[Claim] = [
            *self._legal,
            *host,
            *fixed,
            self._same(rest),
            Under(self.q.path, runs.first),
            Under(self.q.path, runs.second),
        ]
        stale = (Under(self.q.skips, runs.second), self._differs)
        can = self._can_hold([*around, *stale])
        cannot = self._can_hold([*around, Denied(stale)])
        return None if can is None or can == cannot else can

    def stored(self, inputs: Mapping[Symbol, bool], host: Iterable[Cond] = ()) -> int | None:
        """Return what a full run stores; None where the named bits do not decide it."""
        runs = self.q.runs
        around = [
            *self._legal,
            *host,
            *self._fixed((inputs,)),
            Under(self.q.path, runs.first),
        ]
        value = 0
        for i, condition in enumerate(self.q.full.conditions()):
            on = self._can_hold([*around, Under(condition, runs.first)])
            off = self._can_hold([*around, Under(bits.negate(condition), runs.first)])
            if on is None or on == off:
                return None
            value |= on << i
        return value

    @staticmethod
    def _fixed(states: Sequence[Mapping[Symbol, bool]]) -> list[Claim]:
        """Give inputs a value in each of the runs, the first one first."""
        return [
            one.copy(run) if on else bits.negate(one.copy(run))
            for run, state in zip(RUNS, states, strict=False)
            for one, on in sorted(state.items())
        ]

    def _history(self) -> Answer | None:
        """A full run whose result depends on what the context held before."""
        read = bits.symbols(c for row in self._rows for c in (row.stored, row.fresh))
        if read.isdisjoint(self._context_read):
            return None
        runs = self.q.runs
        rows = {
            row: Stale(((row.stored, row.fresh, row.fresh),), runs.first, runs.elsewhere)
            for row in self._rows
            if not bits.symbols([row.stored, row.fresh]).isdisjoint(self._context_read)
        }
        if self._which([*self._legal, Under(self.q.path, runs.first)], rows) == []:
            return None
        opaque = sorted(n for n in read if n.word.opaque)
        if opaque:
            return Answer("unknown", leaning=tuple(opaque))
        return Answer("gap", self._table(frozenset()), history=True)

    # -- what a role decides ------------------------------------------------------------------

    def _follows_roles(self) -> bool:
        """Tell whether the field is made of bits of the roles and of constants alone.

        Then it is covered where equal roles are what a run skips by, and none of its terms
        need be looked into.  That it is not tells nothing.
        """
        return self.loose <= self.q.covered_elsewhere and self._is_determined()

    @cached_property
    def loose(self) -> frozenset[Symbol]:
        """The inputs that the field depends on beside the bits of the roles."""
        if any(row.left is None for row in self._rows):
            return self.inputs
        return self._leaves[0]

    @property
    def is_mostly_role(self) -> bool:
        """Tell whether the field depends on bits of the roles, and on more."""
        return bool(self.loose) and bool(self._leaves[1])

    @property
    def role_bits(self) -> frozenset[Term]:
        """The bits of the roles, or their opposites, that the field is made of."""
        return self._leaves[1]

    @property
    def told_apart(self) -> tuple[Row | None, ...]:
        """The bits of the field; None for one that skipping does not matter to."""
        return tuple(self._bits)

    def units(self, symbols: Iterable[Symbol]) -> tuple[Unit, ...]:
        """Return inputs as a person names them."""
        return self._units(symbols)

    @cached_property
    def _leaves(self) -> tuple[frozenset[Symbol], frozenset[Term]]:
        """What the field is made of: inputs, and bits that a full run stores in the roles."""
        role: set[Cond] = {c for _, value in self.q.roles for c in value.conditions()}
        role |= {bits.negate(c) for c in role}
        todo = [c for r in self._rows for c in (r.stored, r.fresh) if isinstance(c, Term)]
        seen = set(todo)
        inputs: set[Symbol] = set()
        used: set[Term] = set()
        while todo:
            here = todo.pop()
            if here in role:
                used.add(here)
            elif isinstance(here, Symbol):
                if not self.q.runs.is_constant(here):
                    inputs.add(here)
            else:
                more = [one for one in here.args if one not in seen]
                seen.update(more)
                todo.extend(more)
        return frozenset(inputs), frozenset(used)

    def _is_determined(self) -> bool:
        """Tell whether a run that skips has the role bits in question of the run before."""
        q, runs = self.q, self.q.runs
        claims = [
            Under(q.path, runs.first), Under(q.path, runs.second), Under(q.skips, runs.second),
        ]  # fmt: skip
        plain = {new for cell, new in runs.demanded(q.skips).items() if runs.stored(cell) is new}
        runs.determined.update(dict.fromkeys((c for c in plain if isinstance(c, Term)), True))
        for one in sorted(self._leaves[1], key=lambda term: term.number):
            if one not in runs.determined and runs.determined.get(_opposite(one)):
                runs.determined[one] = True
            if one not in runs.determined:
                apart = Alike((one,), runs.first, runs.other, alike=False)
                runs.determined[one] = self._can_hold([*claims, apart]) is False
            if not runs.determined[one]:
                return False
        return True

    # -- states in which not all is stored ------------------------------------------------------

    def _accumulated(self) -> Witnessed | None:
        """Return three states with the last of which a full run keeps bits of the one before.

        The two others have stored them, each in its own way.
        """
        runs, q = self.q.runs, self.q
        at = 0
        for width in q.elements or (len(self._bits),):
            rows = self._unmasked(self._bits[at : at + width])
            at += width
            if len({row.stored for row in rows}) < 2:
                continue
            some = bits.negate(bits.every(bits.negate(row.stored) for row in rows))
            others = bits.negate(bits.every(row.stored for row in rows))
            partly = bits.both(some, others)
            if partly is False or any(row.left is None for row in rows):
                continue
            reach = [*self._legal, Under(q.path, runs.first), Under(partly, runs.first)]
            if self._can_hold(reach) is False:
                continue
            found = self._kept_through(rows, partly)
            if found is not None:
                return found
        return None

    def _unmasked(self, element: Sequence[Row | None]) -> tuple[Row, ...]:
        """Return the bits of an element with no constant that masks one of them alone.

        What is masked by what is alike in all runs is not what a state stores.
        """
        mine = [row for row in element if row is not None]
        conditions = Counter(row.stored for row in mine)
        if len(conditions) < 2:
            return tuple(dict.fromkeys(mine))
        masks = Counter[Symbol]()
        for stored, count in conditions.items():
            for one in bits.symbols([stored]):
                masks[one] += count
        alone = bits.Substitution(
            {
                one: False
                for one, count in masks.items()
                if count == 1 and self.q.runs.is_constant(one)
            }
        )
        return tuple(dict.fromkeys(row._replace(stored=alone(row.stored)) for row in mine))

    def _kept_through(self, rows: tuple[Row, ...], partly: Cond) -> Witnessed | None:
        """Return states A, B and C: after A and after B a full run with C leaves two values.

        The last one stores what the first has not stored so.  Raises GaveUp where that is
        not decided.
        """
        q, runs = self.q, self.q.runs
        after = runs.thirds()
        lasts = [Under(rule, runs.third) for rule in self._rules]
        # What the third run keeps must be different after the two before it.
        kept: dict[Row, Claim] = {
            row: Denied((Denied((
                Denied((Under(row.stored, runs.third),)),
                Under(row.stored, runs.first), Under(row.stored, runs.other),
                Alike((row.fresh,), runs.first, runs.other, alike=False))),))
            for row in rows
        }  # fmt: skip
        claims: list[Claim] = [
            *self._legal, *lasts,
            Under(q.path, runs.first), Under(q.path, runs.other), Under(q.path, runs.third),
            self._same((self._older,)), Under(partly, runs.third),
            *(Under(bits.negate(q.skips), one) for one in after),
        ]  # fmt: skip
        # And it must change something: one that clears what all runs clear stores nothing.
        claims.append(Denied(tuple(
            Denied((
                Under(row.stored, runs.third),
                Denied((Under(row.stored, runs.first),
                        Alike((row.fresh,), runs.third, runs.first)))))
            for row in rows
        )))  # fmt: skip
        which = self._which(claims, kept)
        if which is None:
            raise GaveUp
        if not which:
            return None
        claims.append(kept[which[0]])

        def states(solver: Asked) -> dict[Symbol, bool]:
            if not solver.check():
                raise GaveUp
            order = [n.copy(run) for n in sorted(self.inputs) for run in (THIRD, *RUNS)]
            order += sorted(n for n in self._all - self.inputs if not runs.is_context(n))
            return solver.smallest([*order, self._older.copy(FIRST)])

        values = self._asked(claims, {}, states)
        rest = values | dict.fromkeys(q.old, values.get(self._older.copy(FIRST), False))
        runs_of = [
            {**rest, **{n: values.get(n.copy(run), False) for n in self.inputs}}
            for run in (*RUNS, THIRD)
        ]
        results: list[int] = []
        for run in (0, 1):
            left = bits.evaluate_all([*self._held.values()], runs_of[run])
            last = {**runs_of[2], **dict(zip(self._held, left, strict=True))}
            results.append(q.full.evaluate(last))
        if results[0] == results[1]:
            raise GaveUp
        shown = self.field_units
        numbers = [tuple(_value(u, run) for u in shown) for run in runs_of]
        role = tuple((name, value.evaluate(runs_of[2])) for name, value in q.roles)
        differs = tuple(sorted({u.name for u, a, b in zip(shown, *numbers[:2], strict=True)
                                if a != b}))  # fmt: skip
        return Witnessed(
            shown, numbers[0], numbers[1], differs, role, (results[0], results[1]), c=numbers[2]
        )

    def _unstored(self) -> tuple[str, ...] | None:
        """Return the bits of inputs without which no bit of the field is stored; None if none.

        They hold at once.  Where that is not all that it takes, "more" is behind them.
        """
        rows = self._rows
        if any(row.stored is True for row in rows) or not rows:
            return ()
        runs = self.q.runs
        never = Under(bits.every(bits.negate(row.stored) for row in rows), runs.first)
        reach = [*self._legal, Under(self.q.path, runs.first)]
        if self._can_hold([*reach, never]) is False:
            return ()
        single = {unit.bits[0] for unit in self.all_units if len(unit.bits) == 1}
        found: dict[Cond, str] = {}
        for one in sorted(bits.symbols([never.condition]) & single):
            here = one.copy(FIRST)
            for literal in (here, bits.negate(here)):
                if self._can_hold([*reach, never, bits.negate(literal)]) is False:
                    found[literal] = f"{self.unit(one).name}={int(literal is here)}"
                    if self._can_hold([*reach, Denied((never,)), literal]) is False:
                        return (found[literal],)
        if not found:
            return None
        states = tuple(found.values())
        is_all = self._can_hold([*reach, Denied((never,)), *found]) is False
        return states if is_all else (*states, "more")

    def _refuted(
        self, solver: Asked, sets: list[tuple[Unit, ...]], support: frozenset[Symbol]
    ) -> Answer:
        opaque = sorted(n for n in self.inputs if n.word.opaque)
        shown: list[Witnessed] = []
        solid: list[tuple[Unit, ...]] = []
        for one in sets:
            if any(n.word.opaque for unit in one for n in unit.bits):
                continue
            witness = self._witness(solver, one)
            if witness is None:
                continue
            if opaque and self._leans(witness):
                continue
            solid.append(one)
            if not {name for w in shown for name in w.differs}.issuperset(witness.differs):
                shown.append(witness)
        if not shown:
            return Answer("unknown", leaning=tuple(opaque), support=support)
        units = {unit for one in solid for unit in one}
        names = tuple(sorted({unit.name for unit in units}))
        return Answer(
            "gap", self._table(frozenset((u.name, u.source) for u in units)), names,
            tuple(sorted(units, key=lambda u: (u.name, u.source))), shown[0], support=support,
            more=tuple(shown[1:]),
        )  # fmt: skip

    def _minimal_sets(self, solver: Asked) -> list[tuple[Unit, ...]] | None:
        """Return the smallest sets of inputs that need to differ, smallest first."""
        found: list[tuple[Unit, ...]] = []
        units = self.all_units
        candidates = {(u.name, u.source) for u in self.field_units}
        everything = frozenset(range(len(units)))
        alike = self._flags

        def possible(free: frozenset[int]) -> bool | None:
            return solver.possible([alike[j] for j in sorted(everything - free)])

        singles: set[int] = set()
        for i, unit in enumerate(units):
            if (unit.name, unit.source) not in candidates:
                continue
            result = possible(frozenset((i,)))
            if result is None:
                return None
            if result:
                found.append((unit,))
                singles.add(i)
        solver.push()
        solver.add(*(alike[i] for i in sorted(singles)))
        while len(found) < MAX_SETS:
            more = solver.check()
            if more is None and not found:
                return None
            if not more:
                break
            free = frozenset(i for i in everything - singles if not solver.holds(alike[i]))
            for j in sorted(free):
                if possible(free - {j}):
                    free -= {j}
            if not free:
                break
            found.append(tuple(units[j] for j in sorted(free)))
            solver.add(bits.negate(bits.every(bits.negate(alike[j]) for j in sorted(free))))
        solver.pop()
        return sorted(found, key=lambda one: (len(one), [u.name for u in one]))

    def _witness(self, solver: Asked, differing: tuple[Unit, ...]) -> Witnessed | None:
        """Return the smallest pair that differs in the given units only."""
        chosen = {(u.name, u.source) for u in differing}
        solver.push()
        pairs = zip(self._flags, self.all_units, strict=True)
        solver.add(*(flag for flag, unit in pairs if (unit.name, unit.source) not in chosen))
        values: dict[Symbol, bool] = {}
        if solver.check():
            self._settle(solver)
            inputs = dict.fromkeys(n for unit in (*differing, *self.all_units) for n in unit.bits)
            values = solver.smallest([n.copy(run) for n in inputs for run in RUNS])
            solver.check()
            rest = solver.smallest(self.host)
            solver.check()
            rest |= {n: solver.true(n) for n in self._all if self.q.runs.is_context(n)}
            rest |= dict.fromkeys(self.q.old, solver.true(self._older.copy(FIRST)))
        solver.pop()
        return self._replayed(differing, values, rest) if values else None

    @cached_property
    def host(self) -> list[Symbol]:
        """What is alike in both runs."""
        return sorted(n for n in self._all - self.inputs if not self.q.runs.is_context(n))

    def _settle(self, solver: Asked) -> None:
        """Require what is usual, as far as that can be."""
        for condition in self.q.usual(self.inputs):
            for run in (self.q.runs.first, self.q.runs.other):
                here = bits.write_out(Under(condition, run))
                if solver.possible([here]):
                    solver.add(here)
        kinds = self.q.hosts(frozenset(self.host))
        chosen = next((kind for kind in kinds if solver.possible(kind)), [*kinds, ()][0])
        for condition in chosen:
            if solver.possible([condition]):
                solver.add(condition)
        solver.check()

    def _needs(self, values: dict[Symbol, bool], rest: dict[Symbol, bool]) -> tuple[Unit, ...]:
        """Return what of the host cannot have another of its usual values."""
        states = [{n: values.get(n.copy(run), False) for n in self.inputs} for run in RUNS]
        found = []
        for unit in self._units(self.host):
            usual = self.q.hosts(frozenset(unit.bits))
            some = bits.negate(bits.every(bits.negate(bits.every(kind)) for kind in usual))
            given = (n if rest[n] else bits.negate(n) for n in unit.bits)
            another: list[Claim] = [some, bits.negate(bits.every(given))]
            reached = [*self._legal, Under(self.q.path, self.q.runs.first), *another]
            if not any(usual) or not self._can_hold(reached):
                continue
            if (
                self._can_hold([*self._skipping(), self._differs, *self._fixed(states), *another])
                is False
            ):
                found.append(unit)
        return tuple(found)

    def _replayed(
        self, differing: tuple[Unit, ...], values: dict[Symbol, bool], rest: dict[Symbol, bool]
    ) -> Witnessed | None:
        """Evaluate both states concretely; None unless they collide as claimed."""
        runs = [
            {**rest, **{n: values.get(n.copy(run), False) for n in self.inputs}} for run in RUNS
        ]
        left = bits.evaluate_all([*self._held.values()], runs[0])
        second = {**runs[1], **dict(zip(self._held, left, strict=True))}
        kept, full = self._compared(second)
        legal = all(bits.evaluate(rule, run) for rule in self._rules for run in runs)
        reached = bits.evaluate(self.q.path, runs[0]) and bits.evaluate(self.q.path, second)
        skips = bits.evaluate(bits.both(self.q.skips, self.q.left_alone), second)
        if not (legal and reached and skips) or kept == full:
            return None
        role = tuple((name, value.evaluate(second)) for name, value in self.q.roles)
        shown = list(self.field_units)
        shown += [u for u in differing if u not in shown]
        numbers = [tuple(_value(u, run) for u in shown) for run in runs]
        names = tuple(sorted({u.name for u in differing}))
        host = tuple((unit, _value(unit, rest)) for unit in self._units(self.host))
        return Witnessed(
            tuple(shown), numbers[0], numbers[1], names, role, (kept, full), host,
            self._needs(values, rest),
        )  # fmt: skip

    def _compared(self, second: dict[Symbol, bool]) -> tuple[int, int]:
        """Return the field after skipping and after a full run, bits that are not stored alike."""
        at = [i for i, row in enumerate(self._bits) if row is not None]
        rows = [row for row in self._bits if row is not None]
        stored = bits.evaluate_all([row.stored for row in rows], second)
        fresh = bits.evaluate_all([row.fresh for row in rows], second)
        kept = self.q.kept.evaluate(second)
        full = kept
        for position, is_stored, value in zip(at, stored, fresh, strict=True):
            if is_stored and value != bool(kept >> position & 1):
                full ^= 1 << position
        return kept, full

    def _leans(self, witness: Witnessed) -> bool:
        """Tell whether a refutation needs particular values of what was not understood."""
        right = Denied((Under(self.q.skips, self.q.runs.second), self._differs))
        fixed: list[Claim] = []
        keys = {(u.name, u.source) for u in witness.units}
        for unit, a, b in zip(witness.units, witness.a, witness.b, strict=True):
            for one in unit.bits:
                for number, run in zip((a, b), RUNS, strict=True):
                    literal = one.copy(run)
                    on = number >> (one.position if len(unit.bits) > 1 else 0) & 1
                    fixed.append(literal if on else bits.negate(literal))
        for unit in self.all_units:
            if (unit.name, unit.source) not in keys and not any(n.word.opaque for n in unit.bits):
                fixed.append(self._same(unit.bits))
        return self._can_hold([*fixed, right]) is not False

    # -- what carries an input ---------------------------------------------------------------

    def _table(
        self, missing: frozenset[tuple[str, str]]
    ) -> tuple[tuple[Unit, tuple[str, ...]], ...]:
        """Return each input of the field with the role members that tell it apart."""
        q, runs = self.q, self.q.runs
        looked_at = self._rows
        kinds = looked_at if len(looked_at) <= AT_ONCE else self._kinds(looked_at)
        full = tuple(dict.fromkeys(c for row in kinds for c in (row.stored, row.fresh)))
        claims = [
            *self._legal,
            Under(q.path, runs.first),
            Under(q.path, runs.other),
            Alike(full, runs.first, runs.other, alike=False),
        ]
        units = self.all_units
        switches = self._switches()
        same = self._flags
        carriers: list[tuple[Carrier, Cond, frozenset[Symbol]]] = []
        for carrier in q.carriers:
            read = carrier.value.symbols & self.inputs
            if read & self._wanted:
                value = tuple(carrier.value.conditions())
                alike = Word(f"alike!{carrier.name}").bit()
                switches[alike] = Alike(value, runs.first, runs.other)
                carriers.append((carrier, alike, read))
        keys = {(u.name, u.source): i for i, u in enumerate(units)}

        def rows(solver: Asked) -> tuple[tuple[Unit, tuple[str, ...]], ...]:
            found: list[tuple[Unit, tuple[str, ...]]] = []
            for unit in self.field_units:
                mine = keys[unit.name, unit.source]
                alone = [same[j] for j in range(len(units)) if j != mine]
                alone_tells = solver.possible(alone)
                if alone_tells is None:
                    return ()  # too much to say what carries what
                if not alone_tells:
                    continue
                if (unit.name, unit.source) in missing:
                    found.append((unit, ()))
                    continue
                near = [c for c in carriers if c[2] & set(unit.bits)]
                always = [c for c in near if solver.possible([*alone, c[1]]) is False]
                if not always and near:
                    always = self._together(solver, alone, near)
                found.append((unit, tuple(c[0].name for c in always)))
            return tuple(found)

        return self._asked(claims, switches, rows)

    def _together(
        self,
        solver: Asked,
        alone: Sequence[Cond],
        near: list[tuple[Carrier, Cond, frozenset[Symbol]]],
    ) -> list[tuple[Carrier, Cond, frozenset[Symbol]]]:
        """Return a smallest group of members that tells an input apart only together."""
        group = list(near)
        if solver.possible([*alone, *(c[1] for c in group)]) is not False:
            return []
        for one in near:
            trial = [c for c in group if c is not one]
            if solver.possible([*alone, *(c[1] for c in trial)]) is False:
                group = trial
        return group


def _opposite(term: Term) -> Term:
    found = bits.negate(term)
    assert isinstance(found, Term)
    return found


def _position(symbol: Symbol) -> tuple[str, int]:
    return symbol.word.name, symbol.position


def _value(unit: Unit, values: Mapping[Symbol, bool]) -> int:
    """Return the number that a unit has, its lowest bit first."""
    if len(unit.bits) == 1:
        return int(values.get(unit.bits[0], False))
    return sum(1 << n.position for n in unit.bits if values.get(n, False))
