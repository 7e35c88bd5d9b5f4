# SPDX-License-Identifier: GPL-2.0-only
"""Branches that compare roles.

A comparison that a query recognises gets a symbol; a branch on such symbols becomes a
free boolean, a guard, and so does a branch on role bits that a captured expression has
taken further.  A branch on a stored role in any other way is a trouble.
"""

from __future__ import annotations

from collections.abc import Iterable

from patchtool.c import syntax
from patchtool.c.lower.arithmetic import ordered
from patchtool.c.lower.records import BY_MORE, Comparison, Guard, Trouble, Unsupported
from patchtool.c.lower.storage import Storage
from patchtool.c.memory import Int, Loc, Opaque, Pointer, State, Value
from patchtool.c.syntax import Node
from patchtool.proof import bits
from patchtool.proof.bits import Cond, Term, Word


class Guards(Storage):
    """Tells guards from other branches."""

    def _branch(self, node: Node, state: State) -> Cond:
        """Return the condition of a branch; a guard becomes a free boolean."""
        return self._guarded(self._truth(self._value(node, state), node), node, state)

    def _guarded(self, condition: Cond, node: Node, state: State) -> Cond:
        """Return a condition that is branched on, as a free boolean where it compares roles."""
        if isinstance(condition, bool):
            return condition
        condition = self._past_guards(condition)
        if isinstance(condition, bool):
            return condition
        symbols = bits.symbols([condition])
        compared = sorted(n for n in symbols if n in self._comparisons)
        read = sorted({n.word for n in symbols} & self._role_words.keys())
        if not compared and (not read or not self._recognised.issuperset(read)):
            self._suspect(condition, node, state)
            return condition
        used = tuple(self._comparisons[n] for n in compared) or tuple(map(self._whole_role, read))
        meaning = self.expand_comparisons(condition)
        inverted = condition.op == "not"
        positive = condition.args[0] if inverted else condition
        if inverted:
            meaning = bits.negate(meaning)
        symbol = self._guards_by_term.get(positive)
        if symbol is None:
            symbol = Word(f"guard!{len(self.out.guards)}").bit()
            self._guards_by_term[positive] = symbol
            calls = tuple(frame.function.name for frame in self._frames)
            path, place = self._absolute(state), self.place(node)
            differing = bits.substitute(positive, dict.fromkeys(compared, False))
            skips = None if isinstance(differing, Term) else not differing
            entered = self._frames[-1].entered
            self.out.guards.append(
                Guard(symbol, meaning, used[0].context, used, path, place, calls, entered, skips)
            )
        return bits.negate(symbol) if inverted else symbol

    def _past_guards(self, condition: Cond) -> Cond:
        """Read a role that is kept behind a guard as the new one, to which it is equal there."""
        for guard in self.out.guards if self._role_words else ():
            if isinstance(condition, bool) or guard.symbol not in condition.symbols:
                continue
            same: dict[Term, Cond] = {}
            decides = next(t for t, one in self._guards_by_term.items() if one is guard.symbol)
            for one in guard.comparisons:
                if one.symbol is None or guard.skips is None:
                    continue
                if bits.substitute(decides, {one.symbol: False}) is not (not guard.skips):
                    continue
                held = self.out.word(one.context.member(one.member))
                for i, new in enumerate(one.new.conditions()):
                    same[held.bit(one.low + i)] = new
            beyond = bits.substitute(condition, {guard.symbol: not guard.skips})
            if same and bits.symbols([beyond]).isdisjoint(same):
                condition = bits.substitute(condition, same)
        return condition

    def _whole_role(self, word: Word) -> Comparison:
        """Stand in for the comparison where a branch is decided by the bits of a role."""
        cell = self._role_cells[word]
        context = Loc(cell.root, cell.path[:-1])
        return Comparison(None, True, context, cell.path[-1], bits.constant(0, 0), 0)

    def _settle_guards(self) -> None:
        """Find out on which side the guards skip of which the comparison does not tell.

        A guard skips on the side on which its roles are stored on fewer paths.  A branch
        that decides nothing about them is no guard.
        """
        stores: dict[Loc, Cond] = {}
        for store in self.out.stores:
            stores[store.context] = bits.either(stores.get(store.context, False), store.path)
        settled: list[Guard] = []
        for guard in self.out.guards:
            if guard.comparisons[0].symbol is None:
                guard = self._narrowed(guard, stores)
            if guard.skips is None:
                stored = bits.every(stores.get(c.context, False) for c in guard.comparisons)
                facts = bits.facts(guard.path)
                no, yes = (
                    bits.substitute(stored, {**facts, guard.symbol: side}) for side in (False, True)
                )
                fewer = bits.both(yes, bits.negate(no)) is False
                if fewer != (bits.both(no, bits.negate(yes)) is False):
                    guard = guard._replace(skips=fewer)
                elif guard.comparisons[0].symbol is None:
                    reason = BY_MORE.format(guard.context)
                    self.out.troubles.append(Trouble(guard.place, reason, guard.path))
            used = tuple(self._filled(c) for c in guard.comparisons)
            settled.append(guard._replace(comparisons=used))
        self.out.guards[:] = settled
        alike: dict[tuple[Loc, tuple[str, ...]], list[Guard]] = {}
        for guard in settled:
            if guard.skips is not None and guard.comparisons[0].symbol is not None:
                alike.setdefault((guard.context, guard.calls), []).append(guard)
        for some in alike.values():
            if len(some) > 1:
                self._fuse(some)
        self._look_behind()

    def _look_behind(self) -> None:
        """Tell of each guard which contexts it sets up without a look at their own roles."""
        compared = {one.context for guard in self.out.guards for one in guard.comparisons}
        computed = [one for one in self.out.stores if not one.is_constant]
        others = [one for one in computed if one.context not in compared]
        for number, guard in enumerate(self.out.guards):
            behind = {
                one.context: one.member
                for one in others
                if guard.symbol in bits.symbols([one.path])
            }
            if behind:
                self.out.guards[number] = guard._replace(behind=tuple(behind.items()))

    def _fuse(self, guards: list[Guard]) -> None:
        """Make one guard of several, where a run skips if all of them do, and only then.

        That is, where it is the same whichever of them is the first that does not.
        """
        sides: dict[Term, Cond] = {one.symbol: bool(one.skips) for one in guards}
        first = guards[0]
        around = list(sides.items())
        differing = [
            bits.Substitution({**dict(around[:i]), symbol: not side})
            for i, (symbol, side) in enumerate(around)
        ]

        def is_alike(condition: Cond) -> bool:
            if isinstance(condition, bool) or condition.symbols.isdisjoint(sides):
                return True
            left, *others = (change(condition) for change in differing)
            if not isinstance(left, bool) and not left.symbols.isdisjoint(sides):
                return False
            return all(bits.same(left, one) is True for one in others)

        out = self.out
        compared = bits.symbols(
            one for guard in out.guards for c in guard.comparisons for one in c.new.conditions()
        )
        if not compared.isdisjoint(sides):
            return  # a role that is computed behind one of them
        rest = [one for one in out.guards if one.symbol not in sides]
        read: list[Cond] = [c for one in rest for c in (one.path, one.condition, one.entered)]
        read += [c for one in out.stores for c in (one.path, one.entered)]
        read += [one.path for one in out.troubles]
        cells = {loc: one for loc, one in out.memory.items() if isinstance(one, Int)}
        held = {loc: one.bits for loc, one in cells.items()}
        read += [c for one in held.values() for c in one.conditions()]
        if not all(map(is_alike, read)):
            return
        fused = bits.Substitution(dict(around[1:]))
        for loc, value in held.items():
            if (changed := fused.vector(value)) is not value:
                out.memory[loc] = Int(changed, cells[loc].signed)
        out.stores[:] = [
            one._replace(path=fused(one.path), entered=fused(one.entered)) for one in out.stores
        ]
        out.troubles[:] = [one._replace(path=fused(one.path)) for one in out.troubles]
        equal = bits.every(
            one.condition if one.skips else bits.negate(one.condition) for one in guards
        )
        equal = bits.substitute(equal, sides)
        whole = first._replace(
            condition=equal if first.skips else bits.negate(equal),
            comparisons=tuple(dict.fromkeys(c for one in guards for c in one.comparisons)),
        )
        out.guards[:] = [
            whole
            if one.symbol is first.symbol
            else one._replace(
                path=fused(one.path), condition=fused(one.condition), entered=fused(one.entered)
            )
            for one in out.guards
            if one.symbol is first.symbol or one.symbol not in sides
        ]

    def _narrowed(self, guard: Guard, stores: dict[Loc, Cond]) -> Guard:
        """Leave out the roles that a branch reads and does not decide whether to store."""
        decided = [
            one
            for one in guard.comparisons
            if guard.symbol in bits.symbols([stores.get(one.context, False)])
        ]
        if not decided:
            return guard
        return guard._replace(context=decided[0].context, comparisons=tuple(decided))

    def _filled(self, comparison: Comparison) -> Comparison:
        """Give the stand-in for a comparison the role that a full run stores."""
        if comparison.symbol is not None:
            return comparison
        value = self.out.memory.get(comparison.context.member(comparison.member))
        return comparison._replace(new=value.bits) if isinstance(value, Int) else comparison

    def expand_comparisons(self, condition: Cond) -> Cond:
        """Replace the symbols of comparisons by what they stand for."""
        known: dict[Term, Cond] = {symbol: c.meaning for symbol, c in self._comparisons.items()}
        return bits.substitute(condition, known)

    def _suspect(self, condition: Cond, node: Node, state: State) -> None:
        """A branch on a stored role that no query knows spoils its paths."""
        if isinstance(condition, bool) or not self._role_words:
            return
        for symbol in sorted(condition.symbols):
            known = self._role_words.get(symbol.word)
            if known is not None:
                reason = f"a branch depends on {known} by a comparison that no query recognises"
                self._spoil(Unsupported(node, reason), state)
                return

    def _taint(self, result: Opaque, arguments: Iterable[Value]) -> Opaque:
        """Remember that an unknown value was computed from a stored role."""
        for value in arguments:
            if isinstance(value, Pointer) and self._leads_to_role(value):
                self._role_words[result.word] = str(value.target)
            elif isinstance(value, Int):
                for symbol in sorted(value.bits.symbols):
                    known = self._role_words.get(symbol.word)
                    if known is not None:
                        self._role_words[result.word] = known
            elif isinstance(value, Opaque) and value.word in self._role_words:
                self._role_words[result.word] = self._role_words[value.word]
        return result

    def _roles_in(self, *values: Value) -> set[Word]:
        """Return the stored roles that values are made of."""
        if not self._role_words:
            return set()
        found: set[Word] = set()
        for value in values:
            if isinstance(value, Int):
                found |= {n.word for n in value.bits.symbols}
        return found & self._role_cells.keys()

    def _is_site(self, node: Node) -> bool:
        """Tell whether the query for guards captures an expression."""
        return any(
            (one.start_byte, one.end_byte, one.type) == (node.start_byte, node.end_byte, node.type)
            for match in syntax.matches("role_guard", node)
            for one in match.get("guard.comparison", ())
        )

    def _recognise(self, node: Node, *values: Value) -> None:
        """Remember the stored roles that an expression reads, if it may decide a guard."""
        roles = self._roles_in(*values) - self._recognised
        if roles and self._is_site(node):
            self._recognised |= roles

    def _compared(self, node: Node, equal: Cond, a: Value, b: Value, state: State) -> Cond:
        """Give a recognised comparison of a stored role a symbol of its own."""
        if equal is True:
            self._never_differs(node, state)
        roles = self._roles_in(a, b)
        if isinstance(equal, bool) or not roles or not self._is_site(node):
            return equal
        self._recognised |= roles
        for held, fresh in ((a, b), (b, a)):
            part = self._part_of_role(held)
            if part is None or self._roles_in(fresh) & {self.out.word(part[0])}:
                continue
            cell, low = part
            calls = tuple(frame.function.key for frame in self._frames)
            for known, one in self._comparisons.items():
                same = one.meaning is equal and one.context.member(one.member) == cell
                if same and self._compared_in[known] == calls:
                    return known
            symbol = Word(f"eq!{len(self._comparisons)}").bit()
            self._compared_in[symbol] = calls
            new = self._as_int(fresh, node).bits
            context = Loc(cell.root, cell.path[:-1])
            self._comparisons[symbol] = Comparison(symbol, equal, context, cell.path[-1], new, low)
            return symbol
        return equal

    def _in_order(self, node: Node, operator: str, a: Int, b: Int, state: State) -> Cond:
        """Tell which of two values is larger; of a stored role, whether it is equal as well."""
        if a.bits.identical(b.bits):
            self._never_differs(node, state)
        equal = bits.equal(a.bits, b.bits) if self._roles_in(a, b) else False
        same = self._compared(node, equal, a, b, state)
        if same is equal:
            return ordered(operator, a, b)
        if self._part_of_role(a) is None:
            a, b, operator = b, a, {"<": ">", ">": "<", "<=": ">=", ">=": "<="}[operator]
        less = ordered("<", a, b)
        beyond = less if operator in ("<", "<=") else bits.negate(less)
        if operator in ("<=", ">="):
            return bits.either(same, beyond)
        return bits.both(bits.negate(same), beyond)

    def _never_differs(self, node: Node, state: State) -> None:
        """Doubt a comparison with a stored role that always finds it equal: it always skips."""
        if not self._is_site(node):
            return
        for part in syntax.descendants(node):
            field = part.child_by_field_name("field")
            if part.type != "field_expression" or field is None:
                continue
            if not self._is_role((syntax.text(field),)):
                continue
            try:
                loc = self._lvalue(part, state.fork(True)).loc
            except Unsupported:
                continue
            if loc.root.kind != "local" and self._is_role(loc.path):
                reason = f"{loc} is compared with what it holds already, and never differs"
                self._spoil(Unsupported(node, reason), state)
                return

    def _part_of_role(self, value: Value) -> tuple[Loc, int] | None:
        """Return the cell of a stored role, and from where, whose bits alone make a value."""
        if not isinstance(value, Int):
            return None
        found: set[tuple[Word, int]] = set()
        at = 0
        for width, atom in value.bits.pieces:
            if isinstance(atom, tuple):
                found.add((atom[0], atom[1] - at))
            elif not isinstance(atom, int):
                return None
            at += width
        if len(found) != 1:
            return None
        ((word, low),) = found
        if low < 0 or word not in self._role_cells:
            return None
        return self._role_cells[word], low
