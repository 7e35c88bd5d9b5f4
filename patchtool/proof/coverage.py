# SPDX-License-Identifier: GPL-2.0-only
"""Decide whether skipping is a no-op, by two runs side by side.

In: what an initialiser leaves in a context when it does and when it does not skip, and
under which condition it skips.  Out: covered, gap with the smallest legal witness, or
unknown, per field; and which role members carry each input.  Knows no C.

The property: for all legal inputs I1 and I2, if a full run with I1 leaves a context on
which the run with I2 skips, then what a full run with I2 would store in the field is what
the field holds after skipping; and what a full run stores the inputs alone decide.  Where a
run that skips stores the field as well, I1 and I2 may even be the same.  A bit
that a full run leaves alone in some state is not stored there, and nothing of it is stale;
an element of which a full run stores some bits and keeps others accumulates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from patchtool.proof import bits
from patchtool.proof.bdd import Manager, TooLarge
from patchtool.proof.bits import Claim, Cond, Denied, Stale, Symbol, Under
from patchtool.proof.compared import Row, Unit
from patchtool.proof.runs import FIRST
from patchtool.proof.solver import Asked, NoSolver, drawn
from patchtool.proof.witness import MAX_SETS, Element, GaveUp, Witnessed, Witnesses

MAX_BITS = 1_000
"""How many bits of inputs a question may have before it is left open."""


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
    before: frozenset[Symbol] = frozenset()
    """What the context held before, by which a full set-up stores the field on every path."""
    support: frozenset[Symbol] = frozenset()
    accumulated: Witnessed | None = None
    """Three states, where the field keeps bits of an earlier set-up through a full one."""
    unstored: tuple[str, ...] | None = ()
    """The bits of inputs, as words, with which the field is not stored at all; None where
    that takes more words."""
    partial: tuple[str, ...] = ()
    """The elements that are not stored in some states in which others of the field are, and
    they may be read."""
    is_cut: bool = False
    """Whether there are some that nobody comes to in such states."""


class Decision(Witnesses):
    """Answers one question."""

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
            return _undecided("a full set-up keeps bits of an earlier one", support)
        if accumulated is not None:
            answer = answer._replace(verdict="gap", accumulated=accumulated)
            if not answer.inputs:
                answer = answer._replace(inputs=self._table(frozenset()))
        if answer.verdict == "covered" and self._is_stored_by_what_was():
            problem = "what it holds decides whether it is stored"
            return Answer("unknown", problem=problem, support=support)
        partial, is_cut = self._partial()
        return answer._replace(unstored=self._unstored(), partial=partial, is_cut=is_cut)

    def _stale(self, carriers: bool, support: frozenset[Symbol]) -> Answer:
        if self._follows_roles():
            table = self._table(frozenset()) if carriers else ()
            return Answer("covered", table, support=support)
        unlike = self._unlike()
        if unlike is None:
            return _undecided("a skip leaves it stale", support)
        if not unlike:
            return self._stale_of(self._rows, carriers, support)
        self._wrong = list(unlike)
        alone = self._asked(
            [*self._in_one_state(), self._differs],
            self._switches(),
            lambda one: self._witness(one, ()),
        )
        opaque = sorted(n for n in self.inputs if n.word.opaque)
        if alone is None or (opaque and self._leans(alone)):
            return Answer("unknown", leaning=tuple(opaque), support=support)
        self._wrong = []
        rest = tuple(row for row in self._rows if row not in unlike)
        answer = self._stale_of(rest, True, support)
        if answer.verdict == "unknown":
            return answer
        if answer.witness is None:
            return answer._replace(verdict="gap", witness=alone)
        return answer._replace(more=(*answer.more, alone))

    def _unlike(self) -> tuple[Row, ...] | None:
        """Return the bits that a skip alone leaves otherwise, in one and the same state.

        A run that skips has to store them itself for that.  None where it is not decided.
        """
        rows = [row for row in self._rows if row.left is None]
        if not rows:
            return ()
        found = self._which(self._in_one_state(), {row: self._stale_in([row]) for row in rows})
        return None if found is None else tuple(found)

    def _in_one_state(self) -> list[Claim]:
        """Two runs in one and the same state, the second of which skips."""
        return [*self._skipping(), *(self._same(unit.bits) for unit in self.all_units)]

    def _stale_of(
        self, rows: tuple[Row, ...], carriers: bool, support: frozenset[Symbol]
    ) -> Answer:
        """Decide which inputs make some bits of the field stale."""
        claims = self._skipping()
        solid, wrong = self._truly(claims, self._possibly(claims, rows))
        if wrong is None or solid is None:
            return _undecided("a skip leaves it stale", support)
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
                return _undecided("a skip leaves it stale", support)
            found = sets
            # A bit that is stale though no such set differs shows that there are more.
            explained = [Denied(tuple(self._same(u.bits) for u in one)) for one in sets]
            others = [*self._skipping(), *(Denied((one,)) for one in explained)]
            rest = (row for row in wrong if row not in self._wrong)
            more, wrong = self._truly(others, self._possibly(others, rest))
            if more is None or wrong is None:
                return _undecided("a skip leaves it stale", support)
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
        found = self._which([*self._legal, Under(self.q.path, runs.first)], rows)
        if found == []:
            return None
        opaque = sorted(n for n in read if n.word.opaque)
        if opaque:
            return Answer("unknown", leaning=tuple(opaque))
        if found is None:
            return _undecided("a full set-up goes by what was there before", frozenset())
        before: frozenset[Symbol] = frozenset()
        if all(row.stored is True for row in found):
            before = bits.symbols(row.fresh for row in found).intersection(self._context_read)
        return Answer("gap", self._table(frozenset()), history=True, before=before)

    def _is_stored_by_what_was(self) -> bool:
        """Tell whether a full run may store or leave a bit by what the context held before."""
        runs = self.q.runs
        reach = [*self._legal, Under(self.q.path, runs.first)]
        return any(
            not bits.symbols([stored]).isdisjoint(self._context_read)
            and self._can_hold(
                [*reach, Under(stored, runs.first), Under(bits.negate(stored), runs.elsewhere)]
            )
            is not False
            for stored in dict.fromkeys(row.stored for row in self._rows)
        )

    def _accumulated(self) -> Witnessed | None:
        """Return three states with the last of which a full run keeps bits of the one before.

        The two others have stored them, each in its own way.
        """
        runs, q = self.q.runs, self.q
        elements: list[Element] = []
        at = 0
        for width in q.elements or (len(self._bits),):
            mine = self._bits[at : at + width]
            rows = self._unmasked(mine)
            at += width
            if len({row.stored for row in rows}) < 2:
                continue
            some = bits.negate(bits.every(bits.negate(row.stored) for row in rows))
            others = bits.negate(bits.every(row.stored for row in rows))
            partly = bits.both(some, others)
            if partly is False or any(row.left is None for row in rows):
                continue
            reach = [*self._legal, Under(q.path, runs.first)]
            if self._can_hold([*reach, Under(partly, runs.first)]) is not False:
                whole = [*reach, Under(bits.negate(others), runs.first)]
                added = None in mine or self._can_hold(whole) is False
                elements.append(Element(rows, partly, added))
        for one in self._keeping(elements) if elements else ():
            found = self._kept_through(one)
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
        try:
            return self._unstored_in(reach, never)
        except TooLarge:
            runs.manager.effort.outgrown += 1
            return None

    def _partial(self) -> tuple[tuple[str, ...], bool]:
        """Return the elements that some states do not store that store others of the field.

        With them, whether there are some that nobody comes to in those states: no such one is
        returned.  What outgrows diagrams counts as one that is.
        """
        q, runs = self.q, self.q.runs
        ever = bits.negate(bits.every(bits.negate(row.stored) for row in self._rows))
        reach = [*self._legal, Under(q.path, runs.first), Under(ever, runs.first)]
        known: dict[Cond, bool] = {True: False}
        found: list[str] = []
        cut: dict[str, tuple[Cond, ...]] = {}
        at = 0
        for name, width in zip(q.names, q.elements, strict=bool(q.names)):
            mine = dict.fromkeys(
                row.stored for row in self._bits[at : at + width] if row is not None
            )
            at += width
            stored = bits.negate(bits.every(map(bits.negate, mine)))
            if name in q.reached:
                if stored is not True:
                    cut[name] = tuple(mine)
                continue
            if name and stored not in known:
                left = [*reach, Under(bits.negate(stored), runs.first)]
                known[stored] = _may_hold(left, runs.beside)
            if name and known[stored]:
                found.append(name)
        return (*found, *self._come_to(cut, reach)), bool(cut)

    def _come_to(
        self, cut: Mapping[str, Sequence[Cond]], reach: Sequence[Claim]
    ) -> tuple[str, ...]:
        """Return one of some elements that may be read where it is not stored, by when they are.

        Of each it is known when its bits are stored: what tells most simply is asked first, and
        what speaks of the same as that.
        """
        runs, reached = self.q.runs, self.q.reached
        found = next(iter(cut), None)
        if found is None:
            return ()
        about = bits.symbols(cut[found])
        near = [len(about & bits.symbols([one])) for one in reached[found]]
        for number in sorted(range(len(near)), key=lambda one: -near[one]):
            for name, stored in cut.items():
                when = reached[name][number]
                simple = min(stored, key=lambda one: len(bits.symbols([one])), default=False)
                unread = bits.both(when, bits.negate(simple))
                never = bits.every((when, *map(bits.negate, stored)))
                if _may_hold([Under(unread, runs.first)], runs.beside) and _may_hold(
                    [*reach, Under(never, runs.first)], runs.beside
                ):
                    found = name
                    break
            else:
                return ()
        return (found,)

    def _unstored_in(self, reach: Sequence[Claim], never: Under) -> tuple[str, ...] | None:
        """Return the bits of inputs without which a condition holds NEVER where others do.

        Raises TooLarge where that outgrows diagrams: no verdict rests on it.
        """
        about = self.q.runs.manager
        fixed = drawn(
            [*reach, never], {}, lambda one: one.fixed() if one.possible() else None, about
        )
        if fixed is None:
            return ()
        single = {unit.bits[0] for unit in self.all_units if len(unit.bits) == 1}
        found: dict[Cond, str] = {}
        for one in sorted(bits.symbols([never.condition]) & single):
            here = one.copy(FIRST)
            if here in fixed:
                literal = here if fixed[here] else bits.negate(here)
                found[literal] = f"{self.unit(one).name}={int(fixed[here])}"
                if self._suffice(reach, never, literal):
                    return (found[literal],)
        if not found:
            return None
        states = tuple(found.values())
        return states if self._suffice(reach, never, *found) else (*states, "more")

    def _suffice(self, reach: Sequence[Claim], never: Under, *literals: Cond) -> bool:
        """Tell whether a condition holds wherever some literals do."""
        claims = [*reach, Denied((never,)), *literals]
        return not drawn(claims, {}, lambda one: one.possible(), self.q.runs.manager)

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


def _undecided(what: str, support: frozenset[Symbol]) -> Answer:
    """Leave a question open that outgrew what may be spent on it."""
    problem = f"whether {what} is not decided within the steps that the solver may take"
    return Answer("unknown", problem=problem, support=support)


def _may_hold(claims: Sequence[Claim], about: Manager) -> bool:
    """Tell whether claims can hold at once, or outgrow diagrams."""
    try:
        return drawn(claims, {}, lambda one: one.possible(), about)
    except TooLarge:
        return True
