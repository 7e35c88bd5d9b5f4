# SPDX-License-Identifier: GPL-2.0-only
"""States that show a field going stale, the smallest ones, replayed before they are believed.

In: one field in two runs that collide.  Out: the smallest sets of inputs that have to differ,
and for each a pair of states; or three, where a field keeps bits of an earlier set-up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

from patchtool.proof import bits
from patchtool.proof.bdd import RUNS, TooLarge
from patchtool.proof.bits import Alike, Claim, Cond, Denied, Symbol, Under, Word
from patchtool.proof.carriers import Carried
from patchtool.proof.compared import Row, Unit
from patchtool.proof.runs import FIRST, THIRD
from patchtool.proof.solver import Asked, drawn

MAX_SETS = 32
"""How many sets of inputs are looked for that make a field stale when they differ."""


class GaveUp(Exception):
    """A part of a question is not decided."""


class Element(NamedTuple):
    """The bits of one element of a field, and when a full run stores some, and others not.

    ``added`` tells that no run stores all of them, so that what was there is added to.
    """

    rows: tuple[Row, ...]
    partly: Cond
    added: bool


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


class Witnesses(Carried):
    """Looks for states that collide."""

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
        for unit in self.units(self.host):
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
        # An input may differ in more bits than the field reads.
        by_name = {(u.name, u.source): u for u in (*self.field_units, *differing)}
        shown = list(by_name.values())
        numbers = [tuple(_value(u, run) for u in shown) for run in runs]
        names = tuple(sorted({u.name for u in differing}))
        host = tuple((unit, _value(unit, rest)) for unit in self.units(self.host))
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

    # -- three states -------------------------------------------------------------------------

    def _keeping(self, elements: Sequence[Element]) -> list[Element]:
        """Return the elements of which a full run may keep what ones before it have stored.

        What outgrows diagrams is put to one solver, as its text is most of the price.  Raises
        GaveUp where that is not decided.
        """
        third, room = self.q.runs.third, self.q.runs.room()
        claims: dict[Element, tuple[Claim, ...]] = {
            one: (Under(one.partly, third), self._keeps_some(one), *self._changes_some(one))
            for one in elements
        }
        found: dict[Element, bool | None] = {}
        for one, mine in claims.items():
            with suppress(TooLarge):
                found[one] = drawn([*self._thrice, *mine], {}, lambda s: s.possible(), room)
        left = [one for one in elements if one not in found]
        if left:
            flags = {one: Word(f"keeps!{number}").bit() for number, one in enumerate(left)}
            found |= self._asked(
                self._thrice,
                {flags[one]: Denied((Denied(claims[one]),)) for one in left},
                lambda solver: {one: solver.possible([flag]) for one, flag in flags.items()},
            )
        if None in found.values():
            raise GaveUp
        return [one for one in elements if found[one]]

    @cached_property
    def _thrice(self) -> list[Claim]:
        """A full run after each of two other full runs, on what those have left.

        What makes a role invalid may differ in them: none of them is skipped.
        """
        q, runs = self.q, self.q.runs
        every = (runs.first, runs.other, runs.third)
        return [
            *(Under(rule, one) for rule in self._rules for one in every),
            Under(q.path, runs.first), Under(q.path, runs.other), Under(q.path, runs.third),
            self._same((self._older,)),
            *(Under(bits.negate(q.skips), one) for one in runs.thirds()),
        ]  # fmt: skip

    def _kept(self, row: Row, added: bool) -> Claim:
        """The third run keeps a bit that is different after the two before it.

        Of what is ADDED to, one that does not store it leaves what a holder is made with: 0.
        """
        runs = self.q.runs
        before: tuple[Claim, ...] = (
            (Denied((self._older.copy(FIRST),)),)
            if added
            else (Under(row.stored, runs.first), Under(row.stored, runs.other))
        )
        left = bits.both(row.stored, row.fresh) if added else row.fresh
        return Denied((Denied((
            Denied((Under(row.stored, runs.third),)), *before,
            Alike((left,), runs.first, runs.other, alike=False))),))  # fmt: skip

    def _keeps_some(self, one: Element) -> Claim:
        """The third run keeps some bit of an element so."""
        return Denied(tuple(Denied((self._kept(row, one.added),)) for row in one.rows))

    def _changes_some(self, one: Element) -> tuple[Claim, ...]:
        """The third run changes some bit: one that clears what all runs clear stores nothing.

        Where none stores the whole element, what all store alike is a part of it nevertheless.
        """
        runs = self.q.runs
        if one.added:
            return ()
        return (Denied(tuple(
            Denied((
                Under(row.stored, runs.third),
                Denied((Under(row.stored, runs.first),
                        Alike((row.fresh,), runs.third, runs.first)))))
            for row in one.rows
        )),)  # fmt: skip

    def _kept_through(self, one: Element) -> Witnessed | None:
        """Return states A, B and C: after A and after B a full run with C leaves two values.

        The last one stores what the first has not stored so.  Raises GaveUp where that is
        not decided.
        """
        q, runs = self.q, self.q.runs
        kept = {row: self._kept(row, one.added) for row in one.rows}
        partly = Under(one.partly, runs.third)
        claims: list[Claim] = [*self._thrice, partly, *self._changes_some(one)]
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


def _value(unit: Unit, values: Mapping[Symbol, bool]) -> int:
    """Return the number that a unit has, its lowest bit first."""
    if len(unit.bits) == 1:
        return int(values.get(unit.bits[0], False))
    return sum(1 << n.position for n in unit.bits if values.get(n, False))
