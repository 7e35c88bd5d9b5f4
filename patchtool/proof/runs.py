# SPDX-License-Identifier: GPL-2.0-only
"""The runs of one path that a question compares, as meanings of the symbols of its terms.

In: what a full run leaves in the context, and which symbols are constants or of the context.
Out: environments, in which the same term means what each of the runs computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from patchtool.proof import bits
from patchtool.proof.bdd import RUNS, Effort, Manager
from patchtool.proof.bits import Claim, Cond, Environment, Symbol, Term, Under, Word

FIRST, SECOND = RUNS
OTHER = "other"
THIRD = "3"


class Runs:
    """The two runs of one path, which its questions compare.

    ``first`` and ``other`` have inputs of their own and start on one context, of which
    nothing is known.  ``second`` has the inputs of ``other``, and a context that the first
    run left; ``elsewhere`` has those of the first, and a context of its own.

    STORED gives, per bit of the context, what a full run leaves there.  IS_CONSTANT tells
    which symbols are alike in both runs, IS_CONTEXT which belong to the context.  EFFORT is
    what all runs of the path take.
    """

    def __init__(
        self,
        stored: Callable[[Symbol], Cond | None],
        is_constant: Callable[[Symbol], bool],
        is_context: Callable[[Symbol], bool],
        effort: Effort | None = None,
    ) -> None:
        cut: set[Word] = set()

        def alike(symbol: Symbol) -> bool:
            return symbol.word in cut or is_constant(symbol)

        self.stored, self.is_constant, self.is_context = stored, alike, is_context
        self._cut = cut
        self._replaced: set[Term] = set()
        self._fixed: dict[Term, bool] = {}
        self._without = bits.Substitution({})
        self.manager = Manager(effort)
        self.beside = Manager()
        """Diagrams of what is asked beside staleness, which leave its effort alone."""
        self.first, self.other = self._inputs(FIRST), self._inputs(SECOND)
        self.second = self._after(self.first, self.other)
        self.elsewhere = self._inputs(FIRST, OTHER)
        self.third = self._inputs(THIRD)
        self.determined: dict[Term, bool] = {}
        """Whether a run that skips has a bit of a role as the run before had it."""
        self._demanded: dict[Cond, dict[Symbol, Cond]] = {}

    def renew(self) -> None:
        """Begin with empty diagrams where those at hand are full, or were too small."""
        if self.manager.is_full or self.manager.outgrown:
            self.manager = Manager(self.manager.effort)

    def room(self) -> Manager:
        """Return diagrams for one more question about the field at hand, newer ones if need be."""
        if self.manager.newer is not None:
            self.manager = self.manager.newer
        return self.manager

    def demanded(self, skips: Cond) -> dict[Symbol, Cond]:
        """Return what a run that skips must find in bits of the context, read off its guard."""
        known = self._demanded.get(skips)
        if known is None:
            parts = bits.conjuncts(skips) if isinstance(skips, Term) else []
            pairs = (pair for part in parts for pair in _equal_sides(part))
            known = self._demanded[skips] = {one: is_ for one, is_ in pairs if self.is_context(one)}
        return known

    def without_constants(self, condition: Cond) -> Cond:
        """Return a condition with what is made of constants alone as symbols of their own.

        They are alike in all runs as well, and what does not go wrong whatever they are does
        not go wrong.  That it may proves nothing.
        """
        if isinstance(condition, bool):
            return condition
        todo = [condition]
        while todo:
            here = todo[-1]
            if here in self._fixed:
                todo.pop()
            elif isinstance(here, Symbol):
                self._fixed[here] = self.is_constant(here)
            elif waiting := [one for one in here.args if one not in self._fixed]:
                todo.extend(waiting)
            else:
                parts = [self._fixed[one] for one in here.args]
                self._fixed[here] = all(parts)
                if not all(parts):
                    self._cut_out(one for one, fixed in zip(here.args, parts, strict=True) if fixed)
        if self._fixed[condition]:
            self._cut_out([condition])
        return self._without(condition)

    def _cut_out(self, constants: Iterable[Term]) -> None:
        """Have terms that are made of constants replaced from now on."""
        for one in constants:
            if one.args and one not in self._replaced:
                word = Word(f"constant!{len(self._replaced)}")
                self._replaced.add(one)
                self._cut.add(word)
                self._without.learn(one, word.bit())

    def thirds(self) -> tuple[Environment, Environment]:
        """Return a third run on what the first, and on what the other one left."""
        return self._after(self.first, self.third), self._after(self.other, self.third)

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

    def settled(
        self, inputs: frozenset[Symbol], values: tuple[bool, bool]
    ) -> tuple[Environment, Environment]:
        """Like ``first`` and ``second``, but some inputs are all set, or not, in each run."""

        def fixed(run: Environment, value: bool) -> Environment:
            meaning = run.meaning
            return Environment(lambda symbol: value if symbol in inputs else meaning(symbol))

        first, other = fixed(self.first, values[0]), fixed(self.other, values[1])
        return first, self._after(first, other)

    def _after(self, before: Environment, inputs: Environment) -> Environment:
        """A run on the context that a run before it has left."""
        stored, is_context = self.stored, self.is_context

        def meaning(symbol: Symbol) -> Claim:
            held = stored(symbol) if is_context(symbol) else None
            return inputs.meaning(symbol) if held is None else Under(held, before)

        return Environment(meaning)


def _equal_sides(part: Term) -> Iterator[tuple[Symbol, Cond]]:
    """Yield the symbols that have a known value where a term holds, with the value."""
    if isinstance(part, Symbol):
        yield part, True
    elif part.op == "not" and isinstance(part.args[0], Symbol):
        yield part.args[0], False
    elif part.op == "ite" and bits.negate(part.args[1]) is part.args[2]:
        one, other = part.args[:2]
        for here, there in ((one, other), (other, one)):
            if isinstance(here, Symbol):
                yield here, there
            elif here.op == "not" and isinstance(here.args[0], Symbol):
                yield here.args[0], bits.negate(there)
