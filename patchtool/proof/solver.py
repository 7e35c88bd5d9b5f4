# SPDX-License-Identifier: GPL-2.0-only
"""What claims about runs are put to: diagrams, and a solver where those outgrow their limit.

In: claims, and switches that force more of them.  Out: whether they can hold at once, and a
model.  Effort is counted in steps of the solver; what is spent on a path is kept with its
diagrams, and a path that has had its share is left open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from patchtool.proof import bits
from patchtool.proof.bdd import Diagrams, Effort, Manager, TooLarge
from patchtool.proof.bits import Claim, Cond, Symbol, Term

if TYPE_CHECKING:
    import z3

Result = TypeVar("Result")

MAX_EFFORT = 2_000_000
"""Steps of the solver for one question, about a second; then it gives up."""
MAX_FIELD_EFFORT = 3_000_000
"""Such steps for all questions about one field of a path."""
MAX_PATH_EFFORT = 6_000_000
"""And about all of its fields; those of a kernel take up to 4,300,000."""
MAX_PATH_STEPS = 4_000_000
"""What may be computed with diagrams for one path; those of kernels take up to 2,700,000."""
PATHS = 6
"""How many paths get as much as that; of more, each gets less.  Kernels have five."""
EFFORT_OF_A_LINE = 15
"""What it takes to read a term, in such steps."""
MAX_OUTGROWN = 2
"""Questions about one field that outgrow diagrams before those are tried no longer afresh."""
MAX_PATH_OUTGROWN = 24
"""Such questions about one path before diagrams are tried no longer; those of kernels have 6."""


class NoSolver(Exception):
    """A question is too large for diagrams, and the solver is not installed."""


def asked(
    claims: Sequence[Claim],
    switches: Mapping[Symbol, Claim],
    use: Callable[[Asked], Result],
    shared: Manager | None = None,
    solve: bool = True,
) -> Result:
    """Put claims to diagrams, or to a solver where those outgrow their limit.

    Diagrams that are SHARED with other questions may be full while the question is small.
    Unless to SOLVE it is worth its price, what outgrows diagrams raises TooLarge.
    """
    about = Manager() if shared is None else shared
    try:
        return drawn(claims, switches, use, about, shared is not None)
    except TooLarge:
        if not solve:
            raise
    about.outgrown += 1
    about.effort.outgrown += 1
    if _left(about) <= 0:
        return use(Helpless())
    return use(Solver(claims, switches, about))


def drawn(
    claims: Sequence[Claim],
    switches: Mapping[Symbol, Claim],
    use: Callable[[Diagrams], Result],
    about: Manager,
    afresh: bool = True,
) -> Result:
    """Put claims to diagrams: those of others, then AFRESH; raises TooLarge where neither do."""
    effort = about.effort
    managers: list[Manager] = []
    steps, outgrown = _share(MAX_PATH_STEPS, effort), _share(MAX_PATH_OUTGROWN, effort)
    if effort.steps < steps and effort.outgrown < outgrown:
        managers += [] if about.is_full else [about]
        afresh = afresh and not about.is_empty and about.outgrown < MAX_OUTGROWN
        managers += [about.afresh()] if afresh else []
    for manager in managers:
        before = manager.steps
        try:
            result = use(Diagrams(claims, switches, manager))
        except TooLarge:
            continue
        finally:
            effort.steps += manager.steps - before
        if manager is not about:
            about.newer = manager
        return result
    raise TooLarge


def _share(most: int, effort: Effort) -> int:
    """Return how much of something a path may take, where there are many."""
    return max(1, most * PATHS // max(PATHS, effort.paths))


def _left(about: Manager) -> int:
    """Return what a solver may still spend."""
    most = _share(MAX_PATH_EFFORT, about.effort)
    return min(MAX_FIELD_EFFORT - about.spent, most - about.effort.spent)


def can_hold(claims: Sequence[Claim], shared: Manager | None = None) -> bool | None:
    """Tell whether some claims can hold at once, None where no solver can tell."""
    try:
        return asked(claims, {}, lambda one: one.possible(), shared)
    except NoSolver:
        return None


class Solver:
    """A z3 solver over conditions.

    What it starts with goes to z3 as one SMT-LIB text, which is a tenth of the price of
    building the same terms one by one; ``switches`` are symbols that force a condition
    when they are assumed.
    """

    def __init__(
        self,
        claims: Iterable[Claim],
        switches: Mapping[Symbol, Claim] | None = None,
        about: Manager | None = None,
    ) -> None:
        try:
            import z3
        except ImportError as error:
            raise NoSolver from error
        self._z3 = z3
        self._solver = z3.SimpleSolver()
        self._about = Manager() if about is None else about
        self._names: dict[Term, str] = {}
        self._literals: dict[Term, z3.BoolRef] = {}
        self._model: z3.ModelRef | None = None
        wanted = [bits.write_out(one) for one in claims]
        forced = [(flag, bits.write_out(c)) for flag, c in (switches or {}).items()]
        text = self._text(wanted, forced)
        self._pay(EFFORT_OF_A_LINE * text.count("\n"))
        self._solver.from_string(text)

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
        left = _left(self._about)
        if left <= 0:
            return None
        self._solver.set("rlimit", min(left, MAX_EFFORT))
        before = self._spent()
        result = self._solver.check([self.term(a) for a in assumed])
        self._pay(self._spent() - before + 1)
        return None if result == self._z3.unknown else bool(result == self._z3.sat)

    def _pay(self, steps: int) -> None:
        self._about.spent += steps
        self._about.effort.spent += steps

    def _spent(self) -> int:
        """Return the work done so far, as z3 counts it."""
        counts = self._solver.statistics()
        names = counts.keys()
        return int(counts.get_key_value("rlimit count")) if "rlimit count" in names else 0

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


class Helpless:
    """Stands for a solver where nothing more may be spent: every question is left open."""

    def add(self, *conditions: Cond) -> None:
        """Require nothing."""

    def push(self) -> None:
        """Begin nothing."""

    def pop(self) -> None:
        """End nothing."""

    def possible(self, assumed: Iterable[Cond] = ()) -> bool | None:
        """Give up."""
        return None

    def check(self, assumed: Iterable[Cond] = ()) -> bool | None:
        """Give up."""
        return None

    def holds(self, condition: Cond) -> bool:
        """Nothing is known to hold."""
        return False

    def true(self, symbol: Symbol) -> bool:
        """Nothing is known to be set."""
        return False

    def smallest(self, symbols: Sequence[Symbol]) -> dict[Symbol, bool]:
        """No values are known."""
        return {}


Asked = Diagrams | Solver | Helpless
"""What claims are put to."""
