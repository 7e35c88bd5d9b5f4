# SPDX-License-Identifier: GPL-2.0-only
"""Lower the C of one entry function to bit-vector terms, calls inlined.

In: an index and the name of a function.  Out: a ``Lowered`` run: memory after the call,
the guards met on the way, and everything that was not understood, with its place.
Ordered, total and timid: an expression that is not understood is an opaque symbol, a
statement whose effect is not understood spoils the paths through it.
"""

from __future__ import annotations

import sys
from collections.abc import Container

from patchtool.c.layout import PointerType, RecordType, holder_of, settled
from patchtool.c.lower.records import (
    BY_MORE,
    Comparison,
    Exhausted,
    Guard,
    Lowered,
    Passed,
    RoleShape,
    RoleStore,
    Trouble,
    Unsupported,
)
from patchtool.c.lower.statements import Statements
from patchtool.c.lower.storage import MAX_STEPS, member_names
from patchtool.c.memory import Int, Loc, Opaque, State, Value
from patchtool.c.scan import Definition
from patchtool.model import Place
from patchtool.proof import bits
from patchtool.proof.bits import Cond, Word

RECURSION = 8_000
MAX_RUNS = 6
MAX_TERMS = 100_000
"""Terms of one run, and of what is decided about one field; kernels take up to 63,000."""


class Lowering(Statements):
    """Runs functions of one tree symbolically."""

    def run(
        self,
        entry: Definition,
        bind: dict[Loc, Value] | None = None,
        share: int = 1,
        fixed: Container[Loc] = (),
    ) -> Lowered:
        """Lower one call of ENTRY with arguments and surroundings left open.

        Calls that store to nothing that matters are passed over.  Where one of them may set
        what the run uses on both sides of it, the run is repeated with that unknown behind
        the call, and where something then depends on it, with the call executed; at once
        where it may make a pointer that the run follows select another context.  SHARE
        divides the work that the run may take.  No call stores to what is FIXED.
        """
        self._most_steps = MAX_STEPS // share
        self._suspected.clear()
        self._watched.clear()
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(limit, RECURSION))
        try:
            for _ in range(MAX_RUNS):
                bits.allow(MAX_TERMS // share)
                state = State(dict(bind or {}))
                self._run_once(entry, state)
                if not self._learns(state, fixed):
                    break
            else:
                reason = "what the calls may set that are not followed has no end"
                self._spoil(Unsupported(None, reason), State({}), entry)
            self.out.memory = state.memory
            self._settle_guards()
        except Exhausted as problem:
            return self._given_up(problem.place, "calls too much to be followed to its end")
        except bits.Outgrown:
            bits.allow(MAX_TERMS)
            place = Place(entry.file, entry.line, 1, entry.name)
            return self._given_up(place, "computes too much to be followed to its end")
        finally:
            sys.setrecursionlimit(limit)
            if share > 1:
                bits.allow(MAX_TERMS)  # whoever asked for it goes on
        return self.out

    def _learns(self, state: State, fixed: Container[Loc]) -> bool:
        """Tell whether the run has shown what it should have looked at."""
        decides = self._deciding(state)
        watched = {self._doubtful[word] for word in decides if word in self._doubtful}
        roots = {word.about.root.name for word in decides if isinstance(word.about, Loc)}
        suspected: set[tuple[str, ...]] = set()
        for loc, (first, last) in self._touched.items():
            names = member_names(loc)
            if loc in fixed:
                continue
            if self._selects(loc) and self._may_be_set_in(self.out.passed[:last], names):
                watched.add(names)
            if first == last or self.effects.names(loc.path):
                continue
            is_number = loc in self.out.types or isinstance(state.memory.get(loc), Int)
            if names in self._suspected or not (is_number or str(loc) in roots):
                continue
            if self._may_be_set_in(self.out.passed[first:last], names):
                suspected.add(names)
        if watched <= self._watched and suspected <= self._suspected:
            return False
        self._watched |= watched
        self._suspected |= suspected
        return True

    def _selects(self, loc: Loc) -> bool:
        """Tell whether an object of the surroundings is a pointer to a context."""
        holder = holder_of(self.out.pointees.get(loc.root.name), loc.path)
        ctype = holder.by_name[loc.path[-1]][1] if holder is not None else None
        target = settled(ctype.target) if isinstance(ctype, PointerType) else None
        return isinstance(target, RecordType) and target.tag in self.shape.contexts

    def _may_be_set_in(self, passed: list[Passed], names: tuple[str, ...]) -> bool:
        """Tell whether one of some calls that were passed over may store to a member."""
        return any(self._may_store(call.definitions, names, call.hook) for call in passed)

    def _deciding(self, state: State) -> set[Word]:
        """Return the words that what matters is made of, or depends on."""
        conditions: list[Cond] = []
        for guard in self.out.guards:
            conditions += [guard.condition, guard.path]
        conditions += [store.path for store in self.out.stores]
        conditions += [trouble.path for trouble in self.out.troubles]
        words = {symbol.word for symbol in bits.symbols(conditions)}
        for loc, value in state.memory.items():
            if self.effects.names(loc.path):
                if isinstance(value, Int):
                    words |= {symbol.word for symbol in value.bits.symbols}
                elif isinstance(value, Opaque):
                    words.add(value.word)
        return words

    def _run_once(self, entry: Definition, state: State) -> None:
        self._begin(entry)
        try:
            self._enter(entry, None, state, None)
        except Unsupported as problem:
            self._spoil(problem, State({}), entry)
        except RecursionError:
            self._spoil(Unsupported(None, "nesting is too deep"), State({}), entry)

    @property
    def work(self) -> int:
        """The nodes of C that all runs have taken."""
        return self._worked + self._steps

    def refuse(self, entry: Definition) -> Lowered:
        """Return what a run of ENTRY amounts to that is not made: there are too many."""
        self._begin(entry)
        place = Place(entry.file, entry.line, 1, entry.name)
        return self._given_up(place, "is one way of more than can be followed")

    def _given_up(self, place: Place, what: str) -> Lowered:
        """Return a run of which nothing is decided, so that nobody looks at what it built."""
        entry = self.out.start
        out = Lowered(entry, self._function_numbers)
        out.given_up = True
        out.consulted = self.out.consulted
        out.troubles.append(Trouble(place, f"{entry.name}() {what}", True))
        return out


__all__ = [
    "BY_MORE", "MAX_TERMS", "Comparison", "Guard", "Lowered", "Lowering", "RoleShape", "RoleStore",
    "Trouble",
]  # fmt: skip
