# SPDX-License-Identifier: GPL-2.0-only
"""Lower the C of one entry function to bit-vector terms, calls inlined.

In: an index and the name of a function.  Out: a ``Lowered`` run: memory after the call,
the guards met on the way, and everything that was not understood, with its place.
Ordered, total and timid: an expression that is not understood is an opaque symbol, a
statement whose effect is not understood spoils the paths through it.
"""

from __future__ import annotations

import sys

from patchtool.c.lower.records import (
    Comparison,
    Exhausted,
    Guard,
    Lowered,
    RoleShape,
    RoleStore,
    Trouble,
    Unsupported,
)
from patchtool.c.lower.statements import Statements
from patchtool.c.memory import Loc, State, Value
from patchtool.c.scan import Definition

RECURSION = 8_000


class Lowering(Statements):
    """Runs functions of one tree symbolically."""

    def run(self, entry: Definition, bind: dict[Loc, Value] | None = None) -> Lowered:
        """Lower one call of ENTRY with arguments and surroundings left open."""
        self._begin(entry)
        state = State(dict(bind or {}))
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(limit, RECURSION))
        try:
            self._enter(entry, None, state, None)
        except Unsupported as problem:
            self._spoil(problem, State({}), entry)
        except Exhausted as problem:
            return self._given_up(problem)
        except RecursionError:
            self._spoil(Unsupported(None, "nesting is too deep"), State({}), entry)
        finally:
            sys.setrecursionlimit(limit)
        self.out.memory = state.memory
        self._settle_guards()
        return self.out

    def _given_up(self, problem: Exhausted) -> Lowered:
        """Return a run of which nothing is decided, so that nobody looks at what it built."""
        entry = self.out.start
        out = Lowered(entry)
        out.consulted = self.out.consulted
        reason = f"{entry.name}() calls too much to be followed to its end"
        out.troubles.append(Trouble(problem.place, reason, True))
        return out


__all__ = ["Comparison", "Guard", "Lowered", "Lowering", "RoleShape", "RoleStore", "Trouble"]
