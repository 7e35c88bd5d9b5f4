# SPDX-License-Identifier: GPL-2.0-only
"""Decide small questions over boolean terms by reduced ordered decision diagrams.

In: claims (see ``bits``), and switches, symbols for claims that a question may assume.  Out:
whether all can hold at once, and values with which they do.  The roles of a kernel
depend on a few dozen bits, each of which occurs in two runs; with the two copies side by
side in the order, their diagrams stay small, and the answer is there before a solver would
have been loaded.  A diagram that grows too large raises TooLarge: then a solver is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from patchtool.proof import bits
from patchtool.proof.bits import Alike, Claim, Cond, Denied, Environment, Stale, Symbol, Term, Under

RUNS = ("1", "2")
"""The two runs whose copies of a symbol lie side by side."""

BESIDE = (*RUNS, "3")
"""And a third one, which few questions have."""

MAX_NODES = 40_000
MAX_LEVELS = 600
"""How large a question may become before it is given up; levels bound the recursion."""

_CONSTANTS = ((1 << 30, 0, 0), (1 << 30, 1, 1))
"""The diagrams of false and true, below all variables."""


class TooLarge(Exception):
    """The diagrams of a question outgrow their limit."""


class Effort:
    """What all questions about one path have taken, whatever diagrams they were put to."""

    __slots__ = ("outgrown", "paths", "spent", "steps")

    def __init__(self, paths: int = 1) -> None:
        self.paths = paths
        """How many paths there are to decide, with this one."""
        self.outgrown = 0
        """Questions for which the diagrams became too large."""
        self.steps = 0
        """What was computed with diagrams."""
        self.spent = 0
        """What a solver has spent, as it counts its steps."""


class Manager:
    """The diagrams of some questions, which share what they have in common.

    A function is a number: 0 is false, 1 is true, any other one tests a variable and leads
    to a function for false and a function for true.  Equal functions are equal numbers.  A
    function is made together with its complement, so that ``f ^ 1`` is the negation of f.
    """

    def __init__(self, effort: Effort | None = None) -> None:
        self.effort = Effort() if effort is None else effort
        self.outgrown = 0
        """Questions for which the diagrams became too large."""
        self.spent = 0
        """What a solver has spent on those."""
        self.newer: Manager | None = None
        """What took a question that did not fit in."""
        self._levels: dict[Symbol, int] = {}
        self._symbols: list[Symbol] = []
        self._nodes: list[tuple[int, int, int]] = [*_CONSTANTS]
        self._unique: dict[tuple[int, int, int], int] = {}
        self._computed: dict[tuple[int, ...], int] = {}
        self._plain = Environment(lambda symbol: symbol)
        self._known: dict[Environment, dict[Term, int]] = {}

    def afresh(self) -> Manager:
        """Return empty diagrams for more questions of the kind."""
        fresh = Manager(self.effort)
        fresh.outgrown, fresh.spent = self.outgrown, self.spent
        return fresh

    @property
    def steps(self) -> int:
        """How much was computed."""
        return len(self._computed)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in yet."""
        return len(self._nodes) == len(_CONSTANTS)

    @property
    def is_full(self) -> bool:
        """Whether no more fits in."""
        return len(self._nodes) > 2 * MAX_NODES

    def function(self, claim: Claim) -> int:
        """Return the function that a claim is."""
        if isinstance(claim, Under):
            return self._under(claim.condition, claim.environment)
        if isinstance(claim, Alike):
            pairs = [
                (self._under(c, claim.one), self._under(c, claim.other)) for c in claim.conditions
            ]
            agree = self.conjunction([self._choose(f, g, g ^ 1) for f, g in pairs])
            return agree if claim.alike else agree ^ 1
        if isinstance(claim, Stale):
            return self._stale(claim)
        if isinstance(claim, Denied):
            return self.conjunction([self.function(one) for one in claim.claims]) ^ 1
        return self._under(claim, self._plain)

    def _stale(self, claim: Stale) -> int:
        fine: list[int] = []
        for stored, value, held in claim.rows:
            f, g = self._under(value, claim.now), self._under(held, claim.before)
            if f != g:
                differ = self._choose(f, g ^ 1, g)
                fine.append(self._both(self._under(stored, claim.now), differ) ^ 1)
        return self.conjunction(dict.fromkeys(fine)) ^ 1

    def conjunction(self, functions: Iterable[int]) -> int:
        """Return the conjunction of some functions."""
        # The deepest first: what is added then lies above the result so far and uses it as
        # it is.  Any other order copies the result each time.
        nodes = self._nodes
        result = 1
        for one in sorted(functions, key=lambda f: nodes[f][0], reverse=True):
            result = self._both(result, one)
        return result

    def values(self, function: int) -> dict[Symbol, bool]:
        """Return values with which a function is true; it must not be false."""
        found: dict[Symbol, bool] = {}
        while function > 1:
            level, low, high = self._nodes[function]
            found[self._symbols[level]] = low == 0
            function = low or high
        return found

    def fixed(self, function: int) -> dict[Symbol, bool]:
        """Return the symbols with one value wherever a function is true; it must not be false."""
        known: dict[int, dict[int, bool]] = {1: {}}
        todo = [function]
        while todo:
            here = todo[-1]
            level, low, high = self._nodes[here]
            waiting = [one for one in (low, high) if one and one not in known]
            if waiting:
                todo += waiting
                continue
            todo.pop()
            if here in known:
                continue
            if low and high:
                other = known[high]
                known[here] = {at: on for at, on in known[low].items() if other.get(at) is on}
            else:
                known[here] = {**known[low or high], level: not low}
        return {self._symbols[level]: on for level, on in known[function].items()}

    def holds(self, function: int, values: Mapping[Symbol, bool]) -> bool:
        """Evaluate a function; a symbol without a value is false."""
        while function > 1:
            level, low, high = self._nodes[function]
            function = high if values.get(self._symbols[level], False) else low
        return function == 1

    def _under(self, condition: Cond, environment: Environment) -> int:
        """Return the function that a condition is in an environment."""
        if isinstance(condition, bool):
            return int(condition)
        known = self._known.setdefault(environment, {})
        todo = [condition]
        while todo:
            here = todo[-1]
            if here in known:
                todo.pop()
                continue
            args = bits.conjuncts(here) if here.op == "and" else here.args
            waiting = [a for a in args if a not in known]
            if waiting:
                todo.extend(reversed(waiting))
                continue
            todo.pop()
            parts = [known[a] for a in args]
            if isinstance(here, Symbol):
                meaning = environment.meaning(here)
                if isinstance(meaning, Symbol):
                    known[here] = self._make(self._level(meaning), 0, 1)
                else:
                    known[here] = self.function(meaning)
            elif here.op == "not":
                known[here] = parts[0] ^ 1
            elif here.op == "and":
                known[here] = self.conjunction(parts)
            else:
                known[here] = self._choose(*parts)
        return known[condition]

    def _level(self, symbol: Symbol) -> int:
        """Return the place of a symbol in the order: as it is met, both runs side by side."""
        levels = self._levels
        if symbol not in levels:
            beside = [symbol.original.copy(run) for run in BESIDE] if symbol.run else []
            for one in (*beside, symbol):
                if one not in levels:
                    if len(levels) >= MAX_LEVELS:
                        raise TooLarge
                    levels[one] = len(levels)
                    self._symbols.append(one)
        return levels[symbol]

    def _make(self, level: int, low: int, high: int) -> int:
        """Return the function that is LOW where a variable is false, and HIGH where true."""
        if low == high:
            return low
        flip = low & 1
        key = (level, low ^ flip, high ^ flip)
        number = self._unique.get(key)
        if number is None:
            nodes = self._nodes
            number = len(nodes)
            if number > 2 * MAX_NODES:
                raise TooLarge
            self._unique[key] = number
            nodes.append(key)
            nodes.append((level, key[1] ^ 1, key[2] ^ 1))
        return number ^ flip

    def _both(self, f: int, g: int) -> int:
        """Return the function ``f and g``."""
        if f > g:
            f, g = g, f
        if f < 2:
            return g if f else 0
        if f ^ g < 2:
            return f if f == g else 0
        key = (f, g)
        known = self._computed.get(key)
        if known is not None:
            return known
        level, f_low, f_high = self._nodes[f]
        g_level, g_low, g_high = self._nodes[g]
        if level < g_level:
            g_low = g_high = g
        elif g_level < level:
            level, f_low, f_high = g_level, f, f
        result = self._make(level, self._both(f_low, g_low), self._both(f_high, g_high))
        self._computed[key] = result
        return result

    def _choose(self, f: int, g: int, h: int) -> int:
        """Return the function ``f ? g : h``."""
        if g == h:
            return g
        if f < 2:
            return g if f else h
        if g < 2:
            return self._both(f ^ 1, h ^ 1) ^ 1 if g else self._both(f ^ 1, h)
        if h < 2:
            return self._both(f, g ^ 1) ^ 1 if h else self._both(f, g)
        if f & 1:
            f, g, h = f ^ 1, h, g
        flip = g & 1
        key = (f, g ^ flip, h ^ flip)
        known = self._computed.get(key)
        if known is not None:
            return known ^ flip
        (a, f_low, f_high), (b, g_low, g_high), (c, h_low, h_high) = (self._nodes[n] for n in key)
        level = min(a, b, c)
        if a != level:
            f_low = f_high = key[0]
        if b != level:
            g_low = g_high = key[1]
        if c != level:
            h_low = h_high = key[2]
        low, high = self._choose(f_low, g_low, h_low), self._choose(f_high, g_high, h_high)
        result = self._computed[key] = self._make(level, low, high)
        return result ^ flip


class Diagrams:
    """The conjunction of some claims as one diagram."""

    def __init__(
        self,
        claims: Iterable[Claim],
        switches: Mapping[Symbol, Claim] | None = None,
        manager: Manager | None = None,
    ) -> None:
        self._manager = manager or Manager()
        named = switches or {}
        self._switched = Environment(lambda symbol: named.get(symbol, symbol))
        self._values: dict[Symbol, bool] | None = None
        self._scopes: list[int] = []
        # Measured on kernels: symbols in the order of the last claims, which say in what
        # the runs differ, make half as many nodes as any other order that was tried.
        functions = [self._manager.function(one) for one in reversed(list(claims))]
        self._all = self._manager.conjunction(functions)

    def possible(self, assumed: Iterable[Cond] = ()) -> bool:
        """Tell whether everything can hold at once, with some switches and terms assumed."""
        return self._with(assumed) != 0

    def check(self, assumed: Iterable[Cond] = ()) -> bool:
        """Tell the same, and keep values for what is asked next."""
        here = self._with(assumed)
        if here != 0:
            self._values = self._manager.values(here)
        return here != 0

    def holds(self, condition: Cond) -> bool:
        """Evaluate a condition with the values of the last check."""
        assert self._values is not None
        return self._manager.holds(self._function(condition), self._values)

    def true(self, symbol: Symbol) -> bool:
        """Tell whether a symbol is true in the last check."""
        assert self._values is not None
        return self._values.get(symbol, False)

    def add(self, *conditions: Cond) -> None:
        """Require some more conditions."""
        self._all = self._with(conditions)

    def push(self) -> None:
        """Begin a scope."""
        self._scopes.append(self._all)

    def pop(self) -> None:
        """Forget what was required since the scope began."""
        self._all = self._scopes.pop()

    def smallest(self, symbols: Iterable[Symbol]) -> dict[Symbol, bool]:
        """Fix symbols one by one, false where possible, and return their values."""
        model = self._manager.values(self._all)
        fixed: dict[Symbol, Cond] = {}
        for one in symbols:
            if model.get(one, False):
                without = self._with([*fixed.values(), bits.negate(one)])
                model = self._manager.values(without) if without else model
            fixed[one] = one if model.get(one, False) else bits.negate(one)
        self.add(*fixed.values())
        return {one: model.get(one, False) for one in fixed}

    def fixed(self) -> dict[Symbol, bool]:
        """Return the symbols of one value wherever everything holds, which must be possible."""
        return self._manager.fixed(self._all)

    def _function(self, condition: Cond) -> int:
        return self._manager.function(Under(condition, self._switched))

    def _with(self, conditions: Iterable[Cond]) -> int:
        """Return the diagram of everything required and of some conditions."""
        return self._manager.conjunction([self._all, *map(self._function, conditions)])
