# SPDX-License-Identifier: GPL-2.0-only
"""Branches that compare roles.

A comparison that a query recognises gets a symbol; a branch on such symbols becomes a
free boolean, a guard.  A branch on a stored role in any other way is a trouble.
"""

from __future__ import annotations

from collections.abc import Iterable

from .. import bits, syntax
from ..bits import Bits, Cond, Term
from ..memory import Int, Loc, LValue, Opaque, Pointer, State, Value
from ..syntax import Node
from .records import (
    Comparison,
    Guard,
    Unsupported,
)
from .storage import Storage


class Guards(Storage):
    """Tells guards from other branches."""

    def _branch(self, node: Node, state: State) -> Cond:
        """Return the condition of a branch; a guard becomes a free boolean."""
        return self._guarded(self._truth(self._value(node, state), node), node, state)

    def _guarded(self, condition: Cond, node: Node, state: State) -> Cond:
        """Return a condition that is branched on, as a free boolean where it compares roles."""
        if isinstance(condition, bool):
            return condition
        names = bits.symbols([condition])
        compared = sorted(n for n in names if n in self._comparisons)
        if not compared:
            self._suspect(condition, node, state)
            return condition
        used = tuple(self._comparisons[n] for n in compared)
        meaning = self.expand_comparisons(condition)
        inverted = condition.op == "not"
        positive = condition.args[0] if inverted else condition
        if inverted:
            meaning = bits.negate(meaning)
        symbol = self._guards_by_term.get(positive)
        if symbol is None:
            symbol = self._guards_by_term[positive] = f"guard!{len(self.out.guards)}"
            calls = tuple(frame.function.name for frame in self._frames)
            path, place = self._absolute(state), self.place(node)
            differing = bits.substitute(positive, {bits.variable(n): False for n in compared})
            skips = None if isinstance(differing, Term) else not differing
            entered = self._frames[-1].entered
            self.out.guards.append(
                Guard(symbol, meaning, used[0].context, used, path, place, calls, entered, skips)
            )
        guard = bits.variable(symbol)
        return bits.negate(guard) if inverted else guard

    def expand_comparisons(self, condition: Cond) -> Cond:
        """Replace the symbols of comparisons by what they stand for."""
        known = {bits.variable(n): c.meaning for n, c in self._comparisons.items()}
        return bits.substitute(condition, known)

    def _suspect(self, condition: Cond, node: Node, state: State) -> None:
        """A branch on a stored role that no query knows spoils its paths."""
        if isinstance(condition, bool) or not self._role_symbols:
            return
        for name in sorted(condition.symbols):
            holder = name.rpartition("#")[0]
            known = self._role_symbols.get(holder)
            if known is not None:
                reason = f"a branch depends on {known} by a comparison that no query recognises"
                self._spoil(Unsupported(node, reason), state)
                return

    def _taint(self, result: Opaque, arguments: Iterable[Value]) -> Opaque:
        """Remember that an unknown value was computed from a stored role."""
        for value in arguments:
            if isinstance(value, Pointer) and self._leads_to_role(value):
                self._role_symbols[result.name] = str(value.target)
            elif isinstance(value, Int):
                for name in sorted(value.bits.symbols):
                    known = self._role_symbols.get(name.rpartition("#")[0])
                    if known is not None:
                        self._role_symbols[result.name] = known
            elif isinstance(value, Opaque) and value.name in self._role_symbols:
                self._role_symbols[result.name] = self._role_symbols[value.name]
        return result

    def _compared_role(self, node: Node, operands: Iterable[Node], state: State) -> LValue | None:
        """Return the stored role that a recognised comparison reads, if it is one."""
        if node.start_byte not in self._sites_here():
            return None
        for operand in operands:
            if operand.type != "field_expression":
                continue
            lvalue = self._lvalue(operand, state)
            path = lvalue.loc.path if lvalue.cell is None else lvalue.cell.path
            if path and any(path[-1] in roles for roles in self.shape.contexts.values()):
                return lvalue
        return None

    def _sites_here(self) -> frozenset[int]:
        function = self._frames[-1].function
        if self._units[-1].file != function.file:
            return frozenset()
        key = function.key
        if key not in self._sites:
            root = self.index.node(function)
            found: set[int] = set()
            for match in syntax.matches("role_guard", root):
                found.update(n.start_byte for n in match.get("guard.comparison", ()))
            self._sites[key] = frozenset(found)
        return self._sites[key]

    def _compared(
        self, node: Node, equal: Cond, role: LValue, left: Node, a: Value, b: Value
    ) -> Cond:
        """Give a recognised comparison of a stored role a symbol of its own."""
        cell = role.cell or role.loc
        if str(cell) not in self._role_symbols:
            return equal
        names = bits.symbols([equal])
        if not any(n.rpartition("#")[0] == str(cell) for n in names):
            return equal
        symbol = f"eq!{len(self._comparisons)}"
        first = (
            left.type == "field_expression"
            and isinstance(a, Int)
            and self._reads(a.bits, str(cell))
        )
        fresh = b if first else a
        new = self._as_int(fresh, node).bits
        context = Loc(cell.root, cell.path[:-1])
        self._comparisons[symbol] = Comparison(symbol, equal, context, cell.path[-1], new, role.low)
        return bits.variable(symbol)

    def _reads(self, value: Bits, holder: str) -> bool:
        """Tell whether a value is made of the bits of a stored role alone."""
        return all(
            (isinstance(atom, tuple) and atom[0] == holder) or isinstance(atom, int)
            for _, atom in value.pieces
        )
