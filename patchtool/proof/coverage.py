# SPDX-License-Identifier: GPL-2.0-only
"""Decide whether skipping is a no-op, by two runs side by side.

In: what an initialiser leaves in a context when it does and when it does not skip, and
under which condition it skips.  Out: covered, gap with the smallest legal witness, or
unknown, per field; and which role members carry each input.  Knows no C.

The property: for all legal inputs I1 and I2, if a full run with I1 leaves a context on
which the run with I2 skips, then the field after skipping is the field after a full
run with I2; and a full run stores what the inputs alone decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from patchtool.proof import bits
from patchtool.proof.bdd import RUNS, Diagrams, Manager, TooLarge
from patchtool.proof.bits import Alike, Bits, Claim, Cond, Environment, Symbol, Term, Under, Word

if TYPE_CHECKING:
    import z3

Result = TypeVar("Result")

FIRST, SECOND = RUNS
OTHER = "other"

MAX_SETS = 32
MAX_BITS = 1_000
TIMEOUT_MS = 20_000


class NoSolver(Exception):
    """A question is too large for diagrams, and the solver is not installed."""


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


class Runs:
    """The two runs of one path, which its questions compare.

    ``first`` and ``other`` have inputs of their own and start on one context, of which
    nothing is known.  ``second`` has the inputs of ``other``, and a context that the first
    run left; ``elsewhere`` has those of the first, and a context of its own.

    STORED gives, per bit of the context, what a full run leaves there.  IS_CONSTANT tells
    which symbols are alike in both runs, IS_CONTEXT which belong to the context.
    """

    def __init__(
        self,
        stored: Callable[[Symbol], Cond | None],
        is_constant: Callable[[Symbol], bool],
        is_context: Callable[[Symbol], bool],
    ) -> None:
        self.stored, self.is_constant, self.is_context = stored, is_constant, is_context
        self.manager = Manager()
        self.first, self.other = self._inputs(FIRST), self._inputs(SECOND)
        self.second = self._after(self.first, self.other)
        self.elsewhere = self._inputs(FIRST, OTHER)

    def is_input(self, symbol: Symbol) -> bool:
        """Tell whether a symbol may differ between the runs."""
        return not self.is_constant(symbol) and not self.is_context(symbol)

    def apart(self, inputs: frozenset[Symbol]) -> Environment:
        """Like ``second``, but some inputs have a value of their own, in each of the runs."""
        first, other = (self._inputs(run, apart=inputs) for run in RUNS)
        return self._after(first, other)

    # What an environment calls must not lead back to the runs: a check goes without a
    # garbage collector, and in a circle the diagrams of every path would stay.

    def _inputs(
        self, run: str, context: str = "", apart: frozenset[Symbol] = frozenset()
    ) -> Environment:
        """A run on a context of which nothing is known."""
        is_constant, is_context = self.is_constant, self.is_context

        def meaning(symbol: Symbol) -> Symbol:
            if symbol in apart:
                return symbol.copy(f"{run}'")
            if is_context(symbol):
                return symbol.copy(context) if context else symbol
            return symbol if is_constant(symbol) else symbol.copy(run)

        return Environment(meaning)

    def _after(self, before: Environment, inputs: Environment) -> Environment:
        """A run on the context that a run before it has left."""
        stored, is_context = self.stored, self.is_context

        def meaning(symbol: Symbol) -> Claim:
            held = stored(symbol) if is_context(symbol) else None
            return inputs.meaning(symbol) if held is None else Under(held, before)

        return Environment(meaning)


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
    covered_elsewhere: frozenset[Symbol] = frozenset()
    """Inputs that no two runs can differ in without the role being invalidated."""
    hosts: Callable[[frozenset[Symbol]], Sequence[Sequence[Cond]]] = lambda _: ()
    """Kinds of hosts, the first choice first: what holds there of what is alike in all runs."""
    usual: Callable[[frozenset[Symbol]], Sequence[Cond]] = lambda _: ()
    """What is usual for inputs.  A proof rests on neither; a witness is picked by both."""


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


class Decision:
    """Answers one question."""

    def __init__(self, question: Question) -> None:
        self.q = question
        self._unit_of: dict[Symbol, Unit] = {}
        q = question
        read = q.full.symbols | q.kept.symbols | bits.symbols([q.path, q.skips])
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
        self._rules = q.legal(free)
        self.inputs = free | bits.symbols(self._rules)
        if self.inputs != free:
            self._rules = q.legal(self.inputs)

    def _violation(self, guard: Environment | None = None) -> list[Claim]:
        """Two runs, the second of which skips and should not have; GUARD reads its guard."""
        q, runs = self.q, self.q.runs
        return [
            *self._legal,
            Under(q.path, runs.first),
            Under(q.path, runs.second),
            Under(q.skips, guard or runs.second),
            Under(self._differs, runs.second),
        ]

    @cached_property
    def _differs(self) -> Cond:
        """The field after skipping is not what a full run would have stored."""
        return bits.negate(bits.equal(self.q.kept, self.q.full))

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
    ) -> Result:
        return asked(claims, switches, use, self.q.runs.manager)

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
        if len(self._all) > MAX_BITS:
            return Answer("unknown", problem="too many input bits to decide", support=support)
        history = self._history()
        if history is not None:
            return history._replace(support=support)
        result = self._can_hold(self._violation())
        if result is None:
            return Answer("unknown", problem="the solver gave up", support=support)
        if not result:
            table = self._table(frozenset()) if carriers else ()
            return Answer("covered", table, support=support)
        return self._asked(
            self._violation(), self._switches(), lambda one: self._refuted(one, support)
        )

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
            held = self._can_hold(self._violation(apart)) is False
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
        stale = bits.both(self.q.skips, self._differs)
        can = self._can_hold([*around, Under(stale, runs.second)])
        cannot = self._can_hold([*around, Under(bits.negate(stale), runs.second)])
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
        read = self.q.full.symbols
        if read.isdisjoint(self._context_read):
            return None
        runs = self.q.runs
        full = tuple(self.q.full.conditions())
        differs = Alike(full, runs.first, runs.elsewhere, alike=False)
        if self._can_hold([*self._legal, Under(self.q.path, runs.first), differs]) is False:
            return None
        opaque = sorted(n for n in read if n.word.opaque)
        if opaque:
            return Answer("unknown", leaning=tuple(opaque))
        return Answer("gap", self._table(frozenset()), history=True)

    def _refuted(self, solver: Asked, support: frozenset[Symbol]) -> Answer:
        sets = self._minimal_sets(solver)
        if sets is None:
            return Answer("unknown", problem="the solver gave up", support=support)
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
        while len(found) < MAX_SETS and solver.check():
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
            if self._can_hold([*self._violation(), *self._fixed(states), *another]) is False:
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
        kept, full = self.q.kept.evaluate(second), self.q.full.evaluate(second)
        legal = all(bits.evaluate(rule, run) for rule in self._rules for run in runs)
        reached = bits.evaluate(self.q.path, runs[0]) and bits.evaluate(self.q.path, second)
        if not (legal and reached and bits.evaluate(self.q.skips, second)) or kept == full:
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

    def _leans(self, witness: Witnessed) -> bool:
        """Tell whether a refutation needs particular values of what was not understood."""
        right = Under(bits.negate(bits.both(self.q.skips, self._differs)), self.q.runs.second)
        if not any(n.run and n.word.opaque for n in bits.symbols([bits.write_out(right)])):
            return False
        fixed: list[Claim] = []
        keys = {(u.name, u.source) for u in witness.units}
        for unit, a, b in zip(witness.units, witness.a, witness.b, strict=True):
            for i, one in enumerate(unit.bits):
                for number, run in zip((a, b), RUNS, strict=True):
                    literal = one.copy(run)
                    on = number >> (i if len(unit.bits) > 1 else 0) & 1
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
        full = tuple(q.full.conditions())
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
                if not solver.possible(alone):
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


def asked(
    claims: Sequence[Claim],
    switches: Mapping[Symbol, Claim],
    use: Callable[[Asked], Result],
    shared: Manager | None = None,
) -> Result:
    """Put claims to diagrams, or to a solver where those outgrow their limit.

    Diagrams that are SHARED with other questions may be full while the question is small.
    """
    for manager in (Manager(),) if shared is None else (shared, Manager()):
        try:
            return use(Diagrams(claims, switches, manager))
        except TooLarge:
            continue
    return use(Solver(claims, switches))


def can_hold(claims: Sequence[Claim], shared: Manager | None = None) -> bool | None:
    """Tell whether some claims can hold at once, None where no solver can tell."""
    try:
        return asked(claims, {}, lambda one: one.possible(), shared)
    except NoSolver:
        return None


def _position(symbol: Symbol) -> tuple[str, int]:
    return symbol.word.name, symbol.position


def _value(unit: Unit, values: Mapping[Symbol, bool]) -> int:
    """Return the number that a unit has, its lowest bit first."""
    if len(unit.bits) == 1:
        return int(values.get(unit.bits[0], False))
    return sum(1 << n.position for n in unit.bits if values.get(n, False))


class Solver:
    """A z3 solver over conditions.

    What it starts with goes to z3 as one SMT-LIB text, which is a tenth of the price of
    building the same terms one by one; ``switches`` are symbols that force a condition
    when they are assumed.
    """

    def __init__(
        self, claims: Iterable[Claim], switches: Mapping[Symbol, Claim] | None = None
    ) -> None:
        try:
            import z3
        except ImportError as error:
            raise NoSolver from error
        self._z3 = z3
        self._solver = z3.SimpleSolver()
        self._solver.set("timeout", TIMEOUT_MS)
        self._names: dict[Term, str] = {}
        self._literals: dict[Term, z3.BoolRef] = {}
        self._model: z3.ModelRef | None = None
        wanted = [bits.write_out(one) for one in claims]
        forced = [(flag, bits.write_out(c)) for flag, c in (switches or {}).items()]
        self._solver.from_string(self._text(wanted, forced))

    def _text(self, wanted: list[Cond], forced: list[tuple[Symbol, Cond]]) -> str:
        lines: list[str] = []
        for flag, condition in forced:
            lines.append(
                f"(assert (=> {self._write(flag, lines)} {self._write(condition, lines)}))"
            )
        for condition in wanted:
            lines.append(f"(assert {self._write(condition, lines)})")
        return "\n".join(lines)

    def _write(self, condition: Cond, lines: list[str]) -> str:
        """Define a condition and all below it; return its name."""
        if isinstance(condition, bool):
            return "true" if condition else "false"
        names = self._names
        todo = [condition]
        while todo:
            here = todo[-1]
            if here in names:
                todo.pop()
                continue
            waiting = [a for a in here.args if a not in names]
            if waiting:
                todo.extend(waiting)
                continue
            todo.pop()
            if isinstance(here, Symbol):
                name = names[here] = f"v{len(names)}"
                lines.append(f"(declare-const {name} Bool)")
            else:
                parts = " ".join(names[a] for a in here.args)
                name = names[here] = f"t{len(names)}"
                lines.append(f"(define-fun {name} () Bool ({here.op} {parts}))")
        return names[condition]

    def term(self, condition: Cond) -> z3.BoolRef:
        """Return a condition as a term of z3."""
        z3 = self._z3
        if isinstance(condition, bool):
            return z3.BoolVal(condition)
        if isinstance(condition, Symbol):
            known = self._literals.get(condition)
            if known is None:
                name = self._names.setdefault(condition, f"v{len(self._names)}")
                known = self._literals[condition] = z3.Bool(name)
            return known
        parts = [self.term(a) for a in condition.args]
        if condition.op == "not":
            return z3.Not(parts[0])
        return z3.And(*parts) if condition.op == "and" else z3.If(*parts)

    def add(self, *conditions: Cond) -> None:
        """Require some more conditions, small ones."""
        self._solver.add(*map(self.term, conditions))

    def push(self) -> None:
        """Begin a scope."""
        self._solver.push()

    def pop(self) -> None:
        """Forget what was required since the scope began."""
        self._solver.pop()

    def possible(self, assumed: Iterable[Cond] = ()) -> bool | None:
        """Return whether everything can hold at once, None where the solver gives up."""
        result = self._solver.check([self.term(a) for a in assumed])
        return None if result == self._z3.unknown else bool(result == self._z3.sat)

    def check(self, assumed: Iterable[Cond] = ()) -> bool | None:
        """Return the same, and keep the model for what is asked next."""
        result = self.possible(assumed)
        if result:
            self._model = self._solver.model()
        return result

    def holds(self, condition: Cond) -> bool:
        """Evaluate a condition in the last model."""
        assert self._model is not None
        value = self._model.eval(self.term(condition), model_completion=True)
        return bool(self._z3.is_true(value))

    def true(self, symbol: Symbol) -> bool:
        """Tell whether a symbol is true in the last model."""
        return self.holds(symbol)

    def smallest(self, symbols: Iterable[Symbol]) -> dict[Symbol, bool]:
        """Fix symbols one by one, false where possible, and return their values."""
        values: dict[Symbol, bool] = {}
        for one in symbols:
            if self._model is not None and not self.true(one):
                values[one] = False
            else:
                values[one] = not self.check([bits.negate(one)])
            self.add(one if values[one] else bits.negate(one))
            if values[one]:
                self.check()
        return values


Asked = Diagrams | Solver
"""What claims are put to."""
