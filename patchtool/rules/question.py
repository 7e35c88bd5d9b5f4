# SPDX-License-Identifier: GPL-2.0-only
"""Put one path into the words of coverage, and its answer into those of a report."""

from __future__ import annotations

import re
import weakref
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from patchtool.c.layout import ArrayType, CType, IntType, RecordType
from patchtool.c.lower import Trouble
from patchtool.c.memory import Fact, Function, Int, Loc, Opaque, Unclear, is_shared, member_of
from patchtool.model import Constant, FieldResult, Input, Place, Reason, Verdict, Witness, listed
from patchtool.proof import bits
from patchtool.proof.bdd import Effort
from patchtool.proof.bits import Bits, Cond, Symbol, Term, Under, Word
from patchtool.proof.compared import Carrier, Question, Unit
from patchtool.proof.coverage import Answer, Decision
from patchtool.proof.runs import Runs
from patchtool.proof.solver import can_hold
from patchtool.proof.witness import Witnessed
from patchtool.rules.naming import Names, register_of
from patchtool.world.by_level import is_read_by_level
from patchtool.world.entries import Path, Tree, context_name
from patchtool.world.inputs import hosts
from patchtool.world.inputs.constants import host_constant, unclear_change

if TYPE_CHECKING:
    from patchtool.target.record import Selected
    from patchtool.world.accounts.ledger import Ledger, Patch
    from patchtool.world.accounts.strays import Stray
    from patchtool.world.inputs.changes import Link
    from patchtool.world.inputs.invalidation import Doubt, Invalidations
    from patchtool.world.inputs.told import Told

_Kind = TypeVar("_Kind", bound="Invalidations")


class Invalidated(NamedTuple):
    """The function by which a change of an input invalidates the role, and the input's bits.

    Where an input IS_MADE it does not change any more behind that function.
    """

    by: str
    bits: tuple[Symbol, ...]
    is_made: bool = False

    def carrier(self) -> str:
        """Say in place of a member of a role what keeps an input in step with it."""
        return f"fixed by {self.by}()" if self.is_made else f"invalidation by {self.by}()"

    def assumption(self, name: str) -> str:
        """Say what a proof rests on."""
        if self.is_made:
            return f"{name} stays as {self.by}() has set it"
        return f"a change of {name} invalidates the role ({self.by}())"


MAX_MET = 6
"""Troubles on one path behind which it is not asked whether others lie on it as well."""
_Patched = dict[tuple[Loc, int], list[tuple[Symbol, bool | None]]]
"""By bit of a role: whether other code has stored to it, and what, None for anything."""


class Element(NamedTuple):
    """One number that a field consists of: its name below the field, and its value at the end."""

    name: str
    loc: Loc
    low: int
    value: Bits


class Terms:
    """The terms of one path, put into the words of coverage."""

    def __init__(
        self,
        tree: Tree,
        path: Path,
        troubles: Sequence[Trouble],
        ledger: Ledger | None = None,
        paths: int = 1,
    ) -> None:
        """Take one of some paths, what may hide a skip on the ways of its run, and all accounts."""
        self.tree = tree
        self.path = path
        self.ledger = ledger
        self._troubles = troubles
        self._registers = tree.index.target.registers
        self.out = path.lowered
        self._names = Names(tree, path.lowered)
        self.guard = path.guard
        self._compared = path.guard.comparisons[0].context
        compared = {c.context: None for c in path.guard.comparisons}
        self.contexts = tuple(compared | {path.guard.context: None})
        self._full = not self.guard.skips
        self._prefixes = tuple(f"{c}." if c.path else f"{c.root.name}->" for c in self.contexts)
        self._effort = Effort(paths)
        self._runs = self._made_runs({})
        self._others = [g for g in self.out.guards if g.symbol != self.guard.symbol]
        self._passed_by: frozenset[Symbol] = frozenset()
        """What troubles that no run meets are read off."""
        self._answered_by: dict[str, str | None] = {}
        self._left_in: dict[tuple[Loc, bool], list[Cond]] = {}
        self._cells = {
            loc: value
            for loc, value in self.out.memory.items()
            if any(loc.within(c) for c in self.contexts)
        }
        conditions: dict[Term, Cond] = {g.symbol: g.condition for g in self._others}
        self._others_closed = bits.Substitution(conditions)
        facts = bits.facts(self.guard.path)
        known = {**{v: self._others_closed(c) for v, c in conditions.items()}, **facts}
        self._closed = bits.Substitution(known)
        full: dict[Term, Cond] = {**known}
        for other in self._others:
            # To skip by the role of another context is judged for that one alone.
            held = {one.context for one in other.comparisons}
            if other.skips is not None and held.issuperset(self.contexts):
                full[other.symbol] = not other.skips
        full.update(facts)
        guard = self.guard.symbol
        skips = bool(self.guard.skips)
        self._sides = {
            skips: bits.Substitution({**known, guard: skips}),
            not skips: bits.Substitution({**full, guard: not skips}),
        }

    def _made_runs(self, patched: _Patched) -> Runs:
        me, prefixes = weakref.proxy(self), self._prefixes  # or the two would hold each other
        return Runs(
            lambda symbol: me._left(symbol, patched),
            lambda symbol: me.is_constant(symbol.word),
            lambda symbol: symbol.word.name.startswith(prefixes),
            self._effort,
        )

    def begin(self) -> None:
        """Begin with another field: there is room for it, and its share of the path's effort."""
        self._runs.renew()

    # -- what other code stores to a role -----------------------------------------------------

    @cached_property
    def patches(self) -> tuple[Patch, ...]:
        """What other code stores to parts of the roles that are compared, but to stop a skip."""
        parts: dict[tuple[str, tuple[str, ...]], list[Patch]] = {}
        for patch in self._all_patches:
            parts.setdefault((patch.role, patch.below), []).append(patch)
        return tuple(
            patch for part in parts.values() if not all(map(self._stops, part)) for patch in part
        )

    @cached_property
    def marks(self) -> tuple[Patch, ...]:
        """What other code stores to the roles to stop a skip."""
        return tuple(filter(self._stops, self._all_patches))

    @cached_property
    def _all_patches(self) -> tuple[Patch, ...]:
        if self.ledger is None:
            return ()
        found: dict[Patch, None] = {}
        for one in self.guard.comparisons:
            held = self.ledger.patched(context_name(one.context), one.member)
            found.update(dict.fromkeys(held))
        return tuple(found)

    def _stops(self, patch: Patch) -> bool:
        """Tell whether nothing skips behind a store to a role."""
        value = patch.value
        return value is not None and self._never_skips(patch.role, ".".join(patch.below), value)

    def _patched(self, patches: Iterable[Patch]) -> _Patched:
        """Return which bits of the roles may be other ones since a full run, and what they are."""
        found: _Patched = {}
        for patch in patches:
            since = Word(f"{self._prefixes[0]}since {patch.place.file}:{patch.place.line}").bit()
            value = patch.value
            low = min((at for _, at in self.touched(patch)), default=0)
            for member, at in self.touched(patch):
                on = None if value is None else bool(value >> (at - low) & 1)
                for one in self.guard.comparisons:
                    if one.member == member:
                        found.setdefault((one.context.member(member), at), []).append((since, on))
        return found

    def touched(self, patch: Patch) -> frozenset[tuple[str, int]]:
        """Return the bits of compared roles that other code stores to, by member and position."""
        record = self.tree.roles.type_of(patch.role)
        if record is None or all(one.member != patch.role for one in self.guard.comparisons):
            return frozenset()
        slot = record.slots.get(".".join(patch.below))
        low, width = (slot[0], slot[1]) if slot is not None else (0, record.size or 64)
        return frozenset((patch.role, low + at) for at in range(width))

    # -- terms -----------------------------------------------------------------------------

    def _bits_under(self, value: Bits, guard: bool) -> Bits:
        """Return a vector on this path, with the guard decided."""
        return self._sides[guard].vector(value)

    def _leaves(self, loc: Loc, value: Int, guard: bool) -> list[Cond]:
        """Return bit by bit what is left in a cell of the context, with the guard decided."""
        key = loc, guard
        if key not in self._left_in:
            self._left_in[key] = self._bits_under(value.bits, guard).conditions()
        return self._left_in[key]

    def _cell(self, loc: Loc, width: int) -> Bits | None:
        value = self.out.memory.get(loc)
        if value is None:
            return bits.low_bits(width, self.out.word(loc))
        if isinstance(value, Int):
            return value.bits
        if isinstance(value, Opaque):
            return bits.low_bits(width, value.word)
        if isinstance(value, Function):
            return bits.constant(64, self.out.address(value.name))
        return None

    def elements(
        self, context: Loc, record: RecordType, member: tuple[str, ...]
    ) -> list[Element] | None:
        """Return what a field consists of after the call; None where one of it is no number.

        Only what a run stores, or skips storing, is of interest: the guard is left free.
        What an array has not is none of its elements: no subscript is beyond its end.
        """
        cell, low, width, size = cell_of(context, record, member)
        ctype = record.by_name[member[0]][1]
        here = [
            loc
            for loc in self._cells
            if loc.within(cell) and not _is_beyond(ctype, loc.path[len(cell.path) :])
        ]
        if here in ([], [cell]):
            value = self._cell(cell, size)
            return None if value is None else [Element("", cell, low, bits.cut(value, low, width))]
        found: list[Element] = []
        for loc in sorted(here, key=_in_order):
            value = self._cell(loc, _size(self._cells[loc]))
            if value is None:
                return None
            found.append(Element(_below(loc, cell), loc, 0, value))
        return found

    def stores(self, context: Loc, record: RecordType, member: tuple[str, ...]) -> bool:
        """Tell whether a full run on this path stores a field, or may."""
        elements = self.elements(context, record, member)
        if elements is None or self.guard.skips is None:
            return True
        final = self._bits_under(bits.join(one.value for one in elements), self._full)
        pairs = list(zip(final.conditions(), self._old(elements), strict=True))
        kept = [new is old for new, old in pairs]
        # Bits that no way sets may be known to be clear where the others are as they were.
        return not any(kept) or any(
            not same and new is not False for same, (new, _) in zip(kept, pairs, strict=True)
        )

    def _old(self, elements: Iterable[Element]) -> tuple[Symbol, ...]:
        """Return the bits of elements as they are before the call."""
        words = [(one, self.out.word(one.loc)) for one in elements]
        return tuple(word.bit(one.low + i) for one, word in words for i in range(one.value.width))

    # -- the question ------------------------------------------------------------------------

    def question(
        self,
        elements: list[Element],
        skipping: bool,
        patches: Sequence[Patch] = (),
        reached: Mapping[str, tuple[Cond, ...]] | None = None,
    ) -> Question:
        """Put one field to coverage.

        PATCHES are stores to the roles that may have happened since the full run, or not;
        REACHED tells when elements are read that are where something leads to them.
        """
        final = bits.join(one.value for one in elements)
        condition = self._closed(self.guard.condition)
        return Question(
            runs=self._made_runs(self._patched(patches)) if patches else self._runs,
            path=self._others_closed(self.guard.path),
            skips=condition if skipping else bits.negate(condition),
            full=self._bits_under(final, not skipping),
            kept=self._bits_under(final, skipping),
            legal=self._legal,
            unit_of=self._unit,
            carriers=self._carriers,
            roles=self._roles,
            hosts=self._hosts,
            usual=self._usual,
            old=self._old(elements),
            elements=tuple(one.value.width for one in elements),
            names=tuple(one.name for one in elements),
            reached=reached or {},
        )

    def come_to(
        self, elements: Iterable[Element], context: Loc, record: RecordType
    ) -> dict[str, tuple[Cond, ...]]:
        """Return when elements are read that are where something leads to them, by name.

        There is one condition for each member of the context that may tell how far it leads.
        """
        levels = {
            one.name: (match[1], int(match[2]) + beyond)
            for pattern, beyond in self.tree.index.target.reached
            for one in elements
            if (match := re.fullmatch(rf"(?:.*\.)?(\w+){pattern}", one.name)) is not None
        }
        by_level = {
            table: is_read_by_level(self.tree.index, table)
            for table in dict.fromkeys(table for table, _ in levels.values())
        }
        known = {name: level for name, (table, level) in levels.items() if by_level[table]}
        if not known:
            return {}
        depths: list[Bits] = []
        for member in _named(record, self.tree.index.target.depths):
            parts = self.elements(context, record, member) or ()
            depths += [self._bits_under(one.value, self._full) for one in parts]
        least, most = self.tree.index.target.deep

        def is_between(low: int, depth: Bits, high: int) -> Cond:
            low_enough, high_enough = (bits.constant(depth.width, one) for one in (low, high + 1))
            return bits.both(
                bits.negate(bits.below(depth, low_enough)), bits.below(depth, high_enough)
            )

        return {
            name: tuple(is_between(max(number + 1, least), one, most) for one in depths)
            for name, number in known.items()
        }

    def _left(self, symbol: Symbol, patched: _Patched) -> Cond | None:
        """Return what one bit of the context is when a later run begins."""
        left, about = self._stored(symbol), symbol.word.about
        if isinstance(about, Loc):
            for happened, value in patched.get((about, symbol.position), ()):
                if value is None or left is None:
                    return None
                left = bits.choose_cond(happened, value, left)
        return left

    def _stored(self, symbol: Symbol) -> Cond | None:
        """Return what a full run leaves in one bit of the context."""
        loc, position = symbol.word.about, symbol.position
        value = self._cells.get(loc) if isinstance(loc, Loc) else None
        if isinstance(value, Int):
            assert isinstance(loc, Loc)
            left_in = self._leaves(loc, value, self._full)
            return position < len(left_in) and left_in[position]
        if isinstance(value, Opaque):
            return value.word.bit(position)
        if isinstance(value, Function):
            return bool(self.out.address(value.name) >> position & 1)
        return None

    @cached_property
    def _roles(self) -> tuple[tuple[str, Bits], ...]:
        """What a full run computes for each role that is compared."""
        return tuple(
            (one.member, self._bits_under(one.new, self._full)) for one in self.guard.comparisons
        )

    @cached_property
    def _carriers(self) -> tuple[Carrier, ...]:
        """What a full run computes for each member of the roles, and what else is compared."""
        found: list[Carrier] = []
        single = len({c.member for c in self.guard.comparisons}) == 1
        for i, comparison in enumerate(self.guard.comparisons):
            record = self.tree.roles.type_of(comparison.member)
            _, new = self._roles[i]
            if record is None:
                continue
            for name, (low, width, ctype) in record.slots.items():
                if isinstance(ctype, RecordType) or low < comparison.low:
                    continue
                if _is_overlay(record, name):
                    continue
                at = low - comparison.low
                if at + width > new.width:
                    continue
                plain = single and comparison.member == self.tree.index.target.role
                label = name if plain else f"{comparison.member}.{name}"
                found.append(Carrier(label, bits.cut(new, at, width)))
        extra = self._closed(self.guard.condition)
        compared = {c.context.member(c.member) for c in self.guard.comparisons}
        for word in sorted({n.word for n in bits.symbols([extra])}):
            loc = word.about
            value = self._cells.get(loc) if isinstance(loc, Loc) else None
            if isinstance(loc, Loc) and loc not in compared and isinstance(value, Int):
                stored = self._bits_under(value.bits, self._full)
                found.append(Carrier(f"{loc.path[-1]} (compared too)", stored))
        return tuple(found)

    def compares(self, context: Loc, record: RecordType, member: tuple[str, ...]) -> bool:
        """Tell whether a field is part of a role that is compared: equal for that alone."""
        _, low, width, _ = cell_of(context, record, member)
        return any(
            (c.context, c.member) == (context, member[0])
            and c.low <= low
            and low + width <= c.low + c.new.width
            for c in self.guard.comparisons
        )

    # -- symbols -------------------------------------------------------------------------------

    def is_constant(self, word: Word) -> bool:
        """Tell whether a word is alike in all runs."""
        return self._constant_reason(word) is not None

    def _constant_reason(self, word: Word) -> str | None:
        """Say why a word is alike in all runs; None if it is not."""
        about = word.about
        if not is_shared(word) and not (
            isinstance(about, Loc) and about.root.name in self._registers.fixed
        ):
            return None
        return host_constant(self.tree, word)

    def _unit(self, symbol: Symbol) -> Unit:
        name = self._names.of(symbol)
        return Unit(name.text, name.c, (symbol,))

    def _legal(self, inputs: frozenset[Symbol]) -> list[Cond]:
        """Return what no run can have otherwise, of some symbols."""
        facts = (*self._facts(inputs), *self._uses(inputs), *self._selected(inputs))
        return [condition for condition, _ in facts]

    def _facts(self, inputs: frozenset[Symbol]) -> Iterator[tuple[Cond, str]]:
        """Yield the architectural facts about the registers among some symbols, in words too."""
        files: dict[object, dict[tuple[str, str], Symbol]] = {}
        ranged: set[Word] = set()
        for symbol in sorted(inputs):
            register = register_of(self._registers, self.out, symbol.word)
            if register is not None:
                name, bit = self._registers.name(register, symbol.position).split(".")
                files.setdefault(_holder(symbol.word), {})[name, bit] = symbol
            elif self.out.place_of(symbol.word) in self._registers.ranges:
                ranged.add(symbol.word)
        for found in files.values():
            for rule in self._registers.implications:
                if rule.when in found and rule.then in found:
                    when, then = found[rule.when], found[rule.then]
                    yield bits.either(bits.negate(when), then), rule.text
        for word in sorted(ranged):
            low, high, words = self._registers.ranges[self.out.place_of(word)]
            yield _between(word, self._width(word), low, high), words

    def _uses(self, symbols: Iterable[Symbol]) -> Iterator[tuple[Cond, str]]:
        """Yield what holds of the hosts on which the context is in use, of some symbols."""
        context = context_name(self.guard.context)
        uses = [use for use in self.tree.index.target.uses if use.context == context]
        for one in sorted({one.word for one in symbols if is_shared(one.word)}) if uses else ():
            for use in uses:
                if one.name == use.host and self._is_truth(one):
                    yield one.bit(), use.text

    def _selected(self, symbols: Iterable[Symbol]) -> Iterator[tuple[Cond, str]]:
        """Yield what cannot be, because the way here has ruled out where a pointer would lead."""
        for rule in self.tree.index.target.selected:
            of = self._bits_of(rule, symbols)
            if of and self._is_ruled_out(rule):
                yield bits.negate(bits.every(of)), rule.text

    def _is_ruled_out(self, rule: Selected) -> bool:
        """Tell whether the guard is only come to where a pointer does not lead to a context."""
        path = self.guard.path
        for symbol in bits.symbols([path]):
            about = symbol.word.about
            if isinstance(about, Fact) and about.kind == "same":
                ends = {_last(about.name), _last(about.other)}
                if ends == {rule.pointer, rule.context}:
                    return can_hold([path, symbol]) is False
        return False

    def _bits_of(self, rule: Selected, symbols: Iterable[Symbol]) -> list[Cond]:
        """Return the bits that a rule goes by; none where some are not among symbols."""
        given = {(self.out.place_of(s.word), s.position): s for s in symbols}
        found: list[Cond] = []
        for member, mask in rule.bits:
            number = self.tree.types.number(mask, self.tree.index.target.header) or 0
            positions = [at for at in range(number.bit_length()) if number >> at & 1]
            if not positions or any((member, at) not in given for at in positions):
                return []
            found += [given[member, at] for at in positions]
        return found

    def _is_truth(self, word: Word) -> bool:
        """Tell whether an object of the host is declared to be true or false, no number."""
        declared = self.tree.index.declaration(word.name, self.out.start.file)
        return declared is not None and re.search(r"\bbool\b", declared[2]) is not None

    def _width(self, word: Word, default: int = 32) -> int:
        """Return how many bits of a word of the surroundings are read."""
        return self.out.reads.get(word, (None, default))[1]

    def _hosts(self, symbols: frozenset[Symbol]) -> list[list[Cond]]:
        """Return what holds of constants on hosts that can take this path, by vendor."""
        every, start = self.tree.index.target.vendors, self.out.start.file
        vendors = [one for one in every if start.startswith(one)]
        words = {one.word for one in symbols}
        for vendor in () if vendors else every:
            # A tree may have one vendor's module alone.
            others = [one for one in every if one != vendor]
            if all(
                hosts.usual(self.tree, word, vendor)
                or not any(hosts.usual(self.tree, word, one) for one in others)
                for word in words
            ):
                vendors.append(vendor)
        return [self.on_host(symbols, vendor) for vendor in vendors]

    def on_host(
        self, symbols: frozenset[Symbol], vendor: str, among: frozenset[int] = frozenset()
    ) -> list[Cond]:
        """Return what holds of constants on hosts of a vendor, AMONG some values if it can."""
        found: list[Cond] = []
        for word in sorted({one.word for one in symbols}):
            values = set(hosts.usual(self.tree, word, vendor))
            chosen = values & among or values
            if isinstance(word.about, Fact) and word.about.kind == "operation":
                mine = sorted(one for one in symbols if one.word is word)
                found += [one if values == {1} else bits.negate(one) for one in mine]
            elif chosen:
                width = self._width(word, 1)
                value = bits.low_bits(width, word)
                equal = (bits.equal(value, bits.constant(width, n)) for n in sorted(chosen))
                found.append(bits.negate(bits.every(map(bits.negate, equal))))
        return found

    def _is_known(self, word: Word) -> bool:
        """Tell whether the value that a constant has in a witness is one that hosts have."""
        vendors = self.tree.index.target.vendors
        if self._width(word, 1) == 1 or self._names.parameter(word) is not None:
            return True
        return any(hosts.usual(self.tree, word, one) for one in vendors)

    def _usual(self, inputs: frozenset[Symbol]) -> list[Cond]:
        """Return what is usual for inputs that the kernel keeps in members of some names."""
        found = []
        for word in sorted({one.word for one in inputs}):
            bounds = self._registers.usual.get(self.out.place_of(word))
            if bounds is not None and isinstance(word.about, Loc):
                found.append(_between(word, self._width(word), *bounds))
        return found

    def absent(self, question: Question) -> tuple[Reason, ...]:
        """Return the missing definitions that a question would rest on."""
        symbols = question.full.symbols | question.kept.symbols
        symbols |= bits.symbols([question.path, question.skips])
        unclear = [why for why in _unclear(symbols) if why.missing]
        return tuple(dict.fromkeys(Reason(why.reason, why.place) for why in unclear))

    # -- what is not understood ------------------------------------------------------------------

    def spoilt(self, context: Loc, member: tuple[str, ...]) -> tuple[Reason, ...]:
        """Return the troubles that lie on this path, and the doubts about a field."""
        found = set(self.met)
        if self.ledger is not None:
            found.update(self.ledger.doubts_about(context_name(context), member))
        return tuple(Reason(text, place) for place, text in sorted(found))

    def strays(
        self, context: Loc, member: tuple[str, ...]
    ) -> tuple[tuple[Stray, ...], tuple[str, ...]]:
        """Return what may store to a field outside of the set-ups on hosts of this path.

        Also return what is true of the host that leaves others out.
        """
        if self.ledger is None:
            return (), ()
        name = context_name(context)
        left: list[Stray] = []
        facts: set[str] = set()
        for one in self.ledger.strays(name, member):
            texts = self.ledger.outside.excluded(one, name, self._needed)
            if texts is None:
                left.append(one)
            else:
                facts.update(texts)
        return tuple(left), tuple(sorted(facts))

    @cached_property
    def _needed(self) -> dict[str, bool]:
        """Return the objects of the host that have to be set on this path, or may not be."""
        path = self._others_closed(self.guard.path)
        found: dict[str, bool] = {}
        for word in sorted({one.word for one in bits.symbols([path])}):
            if is_shared(word) and word.name.isidentifier() and self.is_constant(word):
                width = self._width(word, 1)
                clear = bits.equal(bits.low_bits(width, word), bits.constant(width, 0))
                if can_hold([path, clear]) is False:
                    found[word.name] = True
                elif can_hold([path, bits.negate(clear)]) is False:
                    found[word.name] = False
        return found

    @cached_property
    def met(self) -> frozenset[tuple[Place, str]]:
        """The troubles that lie on this path."""
        return self._sorted_out[0]

    @cached_property
    def avoided(self) -> frozenset[tuple[Place, str]]:
        """Those that the text lets lie on it, and that no two runs meet."""
        return self._sorted_out[1]

    @cached_property
    def _sorted_out(self) -> tuple[frozenset[tuple[Place, str]], ...]:
        """The troubles that lie on this path, and those that do not.

        Of a path that has many it is told that it has all: nothing is proved of it anyway.
        """
        met: set[tuple[Place, str]] = set()
        avoided: set[tuple[Place, str]] = set()
        for one in self._troubles:
            if len(met) >= MAX_MET:
                met.add((one.place, one.reason))
            elif (one.path is True and self.guard.path is True) or (
                can_hold([self.guard.path, one.path], self._runs.beside) is not False
            ):
                (met if self._is_met(one) else avoided).add((one.place, one.reason))
        return frozenset(met), frozenset(avoided - met)

    def _is_met(self, trouble: Trouble) -> bool:
        """Tell whether a full run, or one that skips behind it, comes to a trouble.

        What a run that skips finds in the context is what a full one leaves there: a loop
        over a level that is stored has few turns.
        """
        runs, guard = self._runs, self.guard
        if guard.skips is None or isinstance(trouble.path, bool):
            return trouble.path is not False
        path, condition = self._others_closed(guard.path), self._closed(guard.condition)
        met = self._others_closed(trouble.path)
        full, kept = (
            bits.substitute(met, {guard.symbol: side}) for side in (not guard.skips, guard.skips)
        )
        again = bits.both(path, condition if guard.skips else bits.negate(condition))
        read = bits.symbols([full, kept, again])
        held = (runs.stored(one) for one in read if runs.is_context(one))
        read |= bits.symbols(one for one in held if one is not None)
        around = [
            *(Under(one, run) for one in self._legal(read) for run in (runs.first, runs.other)),
            Under(path, runs.first),
        ]
        second = (Under(again, runs.second), Under(kept, runs.second))
        if can_hold([*around, Under(full, runs.first)], runs.manager) is not False:
            return True
        if can_hold([*around, *second], runs.manager) is not False:
            return True
        self._passed_by |= bits.symbols([kept])
        return False

    def restless(self, question: Question) -> tuple[Reason, ...]:
        """Say what a skip changes of what the next run reads in the context.

        A proof compares a skip with the full run before it.  It holds for a skip behind a
        skip, whatever the inputs of the two, if the first left alone what the second reads,
        or left there what a full run leaves.
        """
        terms = [question.skips, question.path]
        read = bits.symbols(terms) | question.full.symbols | question.kept.symbols
        read |= self._passed_by
        changed: dict[Loc, Cond] = {}
        unlike: Cond = False
        for symbol in sorted(one for one in read if one.word.about in self._cells):
            loc = symbol.word.about
            if not question.runs.is_context(symbol):
                continue
            assert isinstance(loc, Loc)
            value = self._cells[loc]
            if not isinstance(value, Int) or symbol.position >= value.bits.width:
                changed[loc] = unlike = True
                continue
            skipped, full = (
                self._leaves(loc, value, side)[symbol.position]
                for side in (not self._full, self._full)
            )
            if skipped is not symbol:
                other = bits.negate(bits.same(skipped, symbol))
                changed[loc] = bits.either(changed.get(loc, False), other)
            unlike = bits.either(unlike, bits.negate(bits.same(skipped, full)))
        words = "a skip may leave another {} than it has found, and the next one reads it"
        runs = question.runs
        return tuple(
            Reason(words.format(loc), self.guard.place)
            for loc, differs in changed.items()
            if differs is not False
            and can_hold(
                [
                    Under(question.path, runs.first),
                    *(
                        Under(one, runs.second)
                        for one in (question.path, question.skips, differs, unlike)
                    ),
                ],
                runs.manager,
            )
            is not False
        )

    # -- invalidation --------------------------------------------------------------------------

    def invalidated(self, units: Iterable[Unit]) -> dict[Unit, Invalidated]:
        """Return the inputs whose every change makes the stored role invalid, or that stay."""
        found: dict[Unit, Invalidated] = {}
        for unit in units:
            if self._registers.is_bit(unit.name):
                continue
            word = unit.bits[0].word
            by, links = None, self._links(word)
            if isinstance(word.about, Fact) and word.about.kind == "guest":
                by = self._told_all.after_all(
                    self.tree.told_in, word.about.other, by=word.about.name
                )
                by = None if self._beside(word.about) else by
            elif links and member_of(word) in self._registers.computed:
                by = self._told_all.after_all((member_of(word),), owner=links[-1][0])
            if by is None and links:
                by = self._invalidations.after(links)
            is_made = by is None
            if is_made:
                by = self._invalidations.made_by(links)
            if by is not None:
                whole = tuple(map(word.bit, range(self._width(word, 64))))
                found[unit] = Invalidated(by, whole, is_made)
        return found

    def unclear(self, units: Iterable[Unit]) -> dict[Unit, Reason]:
        """Return the inputs among some of which it is unclear whether they change, and why.

        No gap may rest on a change of one.
        """
        found: dict[Unit, Reason] = {}
        for unit in units:
            word = unit.bits[0].word
            mention = unclear_change(self.tree, word) if is_shared(word) else None
            if mention is not None:
                found[unit] = Reason(f"{mention.reason}, so {unit.name} may change", mention.place)
            elif isinstance(word.about, Fact) and word.about.kind == "guest":
                reason = self._beside(word.about)
                if reason is not None and self._told_all.after_all(self.tree.told_in):
                    found[unit] = Reason(reason, self.out.reads[word][0])
            if unit not in found and (doubt := self._doubt(unit, word)) is not None:
                found[unit] = doubt
        return found

    def _doubt(self, unit: Unit, word: Word) -> Reason | None:
        """Say why it is not known whether an input changes and leaves the role valid."""
        links = self._links(word)
        if self._registers.is_bit(unit.name):
            return None
        doubt: Doubt | None = None
        if isinstance(word.about, Fact) and word.about.kind == "guest":
            doubt = self._told_all.doubt_of_all(
                self.tree.told_in, word.about.other, by=word.about.name
            )
        elif links and member_of(word) in self._registers.computed:
            doubt = self._told_all.doubt_of_all((member_of(word),), owner=links[-1][0])
        elif links:
            doubt = self._invalidations.doubt(links)
        if doubt is None:
            return None
        if doubt.place is None:
            words = f"it is not known what changes {unit.name}, and whether the role is left valid"
            return Reason(words, self.out.reads[word][0])
        if doubt.invalidates:
            words = f"whether this makes the role invalid behind each change of {unit.name}"
            return Reason(f"{words} is not known", doubt.place)
        words = f"whether this changes {unit.name}, and leaves the role valid, is not known"
        return Reason(words, doubt.place)

    def _beside(self, asked: Fact) -> str | None:
        """Say by what else than what the guest is told of its CPU a question is answered."""
        if asked.name not in self._answered_by:
            self._answered_by[asked.name] = self._told_all.beside(
                asked.name, self.out.start.file, self.tree.told_in
            )
        return self._answered_by[asked.name]

    def bits_of(self, unit: Unit) -> frozenset[Symbol]:
        """Return all bits of the word that an input is."""
        word = unit.bits[0].word
        return frozenset(map(word.bit, range(self._width(word, 64))))

    def _links(self, word: Word) -> tuple[Link, ...]:
        """Return the records and members that lead to an input, none where it is no member."""
        loc = word.about
        if not isinstance(loc, Loc) or not loc.path or not loc.path[-1].isidentifier():
            return ()
        here = self.out.pointees.get(loc.root.name)
        links: list[Link] = []
        for member in loc.path:
            if not isinstance(here, RecordType) or member not in here.by_name:
                return ()  # what a pointer leads to may have other names
            links.append((here.tag, member))
            here = here.by_name[member][1]
        return tuple(links)

    @cached_property
    def _invalidations(self) -> Invalidations:
        from patchtool.world.inputs.invalidation import Invalidations

        return self._of_role(Invalidations)

    @cached_property
    def _told_all(self) -> Told:
        from patchtool.world.inputs.told import Told

        return self._of_role(Told)

    def _of_role(self, kind: type[_Kind]) -> _Kind:
        """Return what tells what invalidates the role that the guard compares."""
        roles = frozenset(one.member for one in self.guard.comparisons)
        context = self._compared
        setups = frozenset(self.guard.calls)
        computed = self.ledger.computed if self.ledger is not None else frozenset()
        me = weakref.proxy(self)  # or the two would hold each other
        return kind(
            self.tree,
            context.path or (context_name(context),),
            roles,
            lambda role, below, value: me._never_skips(role, below, value),
            setups,
            computed,
            frozenset(loc.path[-1] for loc in self._looked_at),
        )

    @cached_property
    def _looked_at(self) -> frozenset[Loc]:
        """The members of the context that the guard looks at beside the roles."""
        compared = {one.context.member(one.member) for one in self.guard.comparisons}
        read = {one.word.about for one in bits.symbols([self._closed(self.guard.condition)])}
        path = self._compared.path
        return frozenset(
            loc
            for loc in read
            if isinstance(loc, Loc) and loc.within(self._compared) and loc not in compared
            if len(loc.path) == len(path) + 1
        )

    def _never_skips(self, role: str, below: str, value: int) -> bool:
        """Tell whether nothing skips where a number stands in a part of a stored role."""
        beside = self._compared.member(role)
        record = self.tree.roles.type_of(role)
        slot = record.slots.get(below) if record is not None and below else None
        if record is None and not below and beside in self._looked_at:
            low, width, cells = 0, self._width(self.out.word(beside), 64), [beside]
        elif record is None or record.size is None or (below and slot is None):
            return False
        else:
            low, width = (slot[0], slot[1]) if slot is not None else (0, record.size)
            cells = [c.context.member(role) for c in self.guard.comparisons if c.member == role]
        known: dict[Term, Cond] = {}
        for one in cells:
            cell = self.out.word(one)
            known.update({cell.bit(low + i): bool(value >> i & 1) for i in range(width)})
        closed = self._closed(self.guard.condition)
        skips = bits.substitute(closed if self.guard.skips else bits.negate(closed), known)
        path = bits.substitute(self._others_closed(self.guard.path), known)
        runs = self._runs
        return can_hold([Under(skips, runs.second), Under(path, runs.second)]) is False

    def _assumptions(
        self, decision: Decision, invalidated: Mapping[Unit, Invalidated]
    ) -> tuple[str, ...]:
        """Return in words what a decision rests on beyond the code itself."""
        found = {*self.path.assumptions}
        if self.ledger is not None:
            found.update(self.tree.index.target.trusted)
        found.update(self._constant_reason(one.word) or "" for one in decision.host)
        for _, text in (*self._facts(decision.inputs), *self._selected(decision.inputs)):
            found.add(text)
        found.update(text for _, text in self._uses(decision.host))
        for unit, one in invalidated.items():
            found.add(one.assumption(unit.name))
        return tuple(sorted(found))

    # -- words -----------------------------------------------------------------------------------

    def result(
        self,
        name: str,
        member: str,
        decision: Decision,
        answer: Answer,
        spoilt: tuple[Reason, ...],
        invalidated: Mapping[Unit, Invalidated],
        unread: Container[str] = (),
    ) -> FieldResult:
        """Return an answer in the words of a report; SPOILT makes it unknown.

        UNREAD are the states in which the field may be left alone, because nobody reads it.
        """
        reasons: list[Reason] = []
        verdict: Verdict = answer.verdict  # type: ignore[assignment]
        if verdict == "unknown":
            reasons += [Reason(answer.problem)] if answer.problem else []
            reasons += [Reason(why.reason, why.place) for why in _unclear(answer.leaning)]
        for why in _unclear(answer.support):
            if why.missing and verdict == "covered":
                verdict = "unknown"
            if why.missing:
                reasons.append(Reason(why.reason, why.place))
        if spoilt:
            verdict = "unknown"
            reasons.extend(spoilt)
        # Of an input that is missed more bits may differ than the field reads.
        missed = {(unit.name, unit.source) for unit in answer.missing_units}
        told = {unit: by for unit, by in answer.inputs if (unit.name, unit.source) not in missed}
        told |= dict.fromkeys(answer.missing_units, ())
        inputs = tuple(
            Input(
                unit.name,
                unit.source,
                _carried(unit, told[unit], invalidated),
                self._names.span(unit),
            )
            for unit in sorted(told, key=lambda one: (one.name, one.source))
            if unit.bits[0].word.about is not None  # else a comparison with what was there before
        )
        shown: list[Witness] = []
        assumptions = self._assumptions(decision, invalidated)
        if verdict == "gap" and answer.witness is not None:
            shown = [self._told(one, decision.q) for one in (answer.witness, *answer.more)]
        accumulated = None
        if verdict == "gap" and answer.accumulated is not None:
            accumulated = self._told(answer.accumulated, decision.q)
        unstored: tuple[str, ...] = ()
        if verdict in ("gap", "covered") and answer.unstored != ():
            unstored = answer.unstored or ("some states",)
        if verdict == "covered" and unstored and not any(one in unread for one in unstored):
            verdict = "unknown"
            where = f"with {' and '.join(answer.unstored)}" if answer.unstored else "in some states"
            text = f"a full set-up does not store {member} {where}"
            reasons.append(Reason(f"{text}, and it may be read then", self.path.guard.place))
            unstored = ()
        if verdict == "covered" and answer.partial:
            verdict = "unknown"
            part = answer.partial[0]
            whole = member + part if part.startswith("[") else f"{member}.{part}"
            text = f"a full set-up does not always store {whole}"
            text += " where it stores others, and it may be read then"
            reasons.append(Reason(text, self.path.guard.place))
        elif verdict == "covered" and answer.is_cut:
            text = f"elements of {member} that a set-up does not store are not read"
            assumptions = (*assumptions, text)
        before = self._spelt(answer.before) if verdict == "gap" else ()
        if before:
            text = f"a full set-up stores {member} by what {listed(before)} held before it"
            reasons.append(Reason(text))
        elif answer.history and verdict == "gap":
            text = f"a full set-up does not store {member} on every path"
            reasons.append(Reason(f"{text}, so an older value survives"))
        result = FieldResult(
            name, member, verdict, inputs,
            answer.missing if verdict == "gap" else (), next(iter(shown), None),
            assumptions,
            tuple({str(reason): reason for reason in reversed(reasons)}.values())[::-1],
            tuple(shown[1:]), accumulated, unstored, before,
        )  # fmt: skip
        if unstored:
            result = result._replace(assumptions=(*assumptions, result.obligation))
        return result

    def _spelt(self, read: Iterable[Symbol]) -> tuple[str, ...]:
        """Return the members of contexts that are read."""
        paths = {one.word.about.path for one in read if isinstance(one.word.about, Loc)}
        held = self.tree.held()
        return tuple(sorted({".".join(_within(path, held)) for path in paths}))

    def _element(
        self, w: Witnessed, question: Question
    ) -> tuple[str, tuple[int, int] | None, tuple[int, int]]:
        """Return the first element that differs, which bits of it do, and the values of it."""
        at = 0
        for name, width in zip(question.names, question.elements, strict=True):
            one, other = (value >> at & ((1 << width) - 1) for value in w.values)
            at += width
            if one != other and name:
                differ = one ^ other
                low = (differ & -differ).bit_length() - 1
                return name, (differ.bit_length() - 1, low), (one, other)
        return "", None, w.values

    def _told(self, w: Witnessed, question: Question) -> Witness:
        """Return a witness in the words of a report, its inputs by name."""
        element, span, values = self._element(w, question)
        named = [self.out.functions.get(value) for value in values]
        spelt = None
        if any(named):
            one, other = (
                name or ("NULL" if not v else f"{v:#x}")
                for name, v in zip(named, values, strict=True)
            )
            spelt = (one, other)
        order = sorted(range(len(w.units)), key=lambda i: (w.units[i].name, w.units[i].source))
        units = tuple(w.units[i] for i in order)
        numbers = [
            tuple(self._names.value(u, state[i]) for u, i in zip(units, order, strict=True))
            for state in (w.a, w.b, *([w.c] if w.c else []))
        ]
        a, b, *c = (
            tuple((u.name, value) for u, value in zip(units, state, strict=True))
            for state in numbers
        )
        told = [(u, value) for u, value in w.host if self._is_known(u.bits[0].word)]
        host = [(self._called(u, w), self._names.value(u, value)) for u, value in told]
        return Witness(
            a, b, tuple(u.source for u in units), w.differs, w.role, values,
            host=tuple(host),
            needs=tuple(self._called(unit, w) for unit in w.needs),
            element=element, span=span, spelt=spelt,
            c=next(iter(c), ()),
            words=tuple(
                tuple(self._names.words(u, state[i]) for state in numbers)
                for i, u in enumerate(units)
            ),
            spans=tuple(map(self._names.span, units)),
            constants=tuple(
                Constant(u.source, self._names.words(u, value))
                for (u, _), (_, value) in zip(told, host, strict=True)
            ),
        )  # fmt: skip

    def _called(self, unit: Unit, w: Witnessed) -> str:
        """Return the name of a constant of the host, or its C text where two share a name."""
        alike = sum(one.name == unit.name for one, _ in w.host)
        return unit.name if alike < 2 else unit.source


def _carried(
    unit: Unit, names: tuple[str, ...], invalidated: Mapping[Unit, Invalidated]
) -> tuple[str, ...]:
    """Return what carries an input; where no member of a role does, what invalidates the role."""
    key = unit.name, unit.source
    one = next((one for other, one in invalidated.items() if other[:2] == key), None)
    if one is None or names:
        return names
    return (one.carrier(),)


def _within(path: tuple[str, ...], contexts: Container[str]) -> tuple[str, ...]:
    """Return what of a member follows the context that it is of."""
    at = [number for number, step in enumerate(path) if step in contexts]
    return path[at[-1] + 1 :] if at else path


def _unclear(symbols: Iterable[Symbol]) -> Iterator[Unclear]:
    """Yield why some symbols were not understood, those that are none aside."""
    for word in sorted({one.word for one in symbols if one.word.opaque}):
        if isinstance(word.about, Unclear):
            yield word.about


def _holder(word: Word) -> object:
    """Return the file of registers that a register belongs to."""
    about = word.about
    if isinstance(about, Loc):
        return Loc(about.root, about.path[:-1]) if about.path else None
    return about.name if isinstance(about, Fact) else None


def _between(word: Word, width: int, low: int, high: int) -> Cond:
    value = bits.low_bits(width, word)
    return bits.both(
        bits.negate(bits.below(value, bits.constant(width, low))),
        bits.negate(bits.below(bits.constant(width, high), value)),
    )


def cell_of(context: Loc, record: RecordType, member: tuple[str, ...]) -> tuple[Loc, int, int, int]:
    """Return the cell of memory that holds a field, its position there, and the cell's size."""
    path, inner = record.by_name[member[0]]
    if isinstance(inner, RecordType) and inner.is_word and inner.size is not None:
        if len(member) == 1:
            return context.member(*path), 0, inner.size, inner.size
        low, width, _ = inner.slots[".".join(member[1:])]
        return context.member(*path), low, width, inner.size
    width = inner.width if isinstance(inner, IntType) else 64
    return context.member(*member), 0, width, width


def _named(record: RecordType, names: frozenset[str]) -> Iterator[tuple[str, ...]]:
    """Yield the members of a record, or below members that are words, that have some names."""
    for name, (_, inner) in record.by_name.items():
        if isinstance(inner, IntType) and name in names:
            yield (name,)
        elif isinstance(inner, RecordType) and inner.is_word:
            for path in inner.slots:
                if path.rpartition(".")[2] in names:
                    yield (name, *path.split("."))


def _size(value: object) -> int:
    return value.width if isinstance(value, Int) else 64


def _below(loc: Loc, field: Loc) -> str:
    """Return the name of an element below its field, as C spells it."""
    text = ""
    for step in loc.path[len(field.path) :]:
        text += step if step.startswith("[") or not text else "." + step
    return text


def _is_beyond(ctype: CType, steps: Iterable[str]) -> bool:
    """Tell whether steps into an object lead beyond the end of an array."""
    for step in steps:
        if isinstance(ctype, ArrayType):
            if ctype.length is not None and _number(step) >= ctype.length:
                return True
            ctype = ctype.element
        elif isinstance(ctype, RecordType) and step in ctype.by_name:
            ctype = ctype.by_name[step][1]
        else:
            return False
    return False


def _number(step: str) -> int:
    """Return the number of an element of an array."""
    return int(step.strip("[]"))


def _in_order(loc: Loc) -> tuple[tuple[str, int], ...]:
    """Sort elements by name and number."""
    steps = ((s, 0) if not s.startswith("[") else ("[", _number(s)) for s in loc.path)
    return tuple(steps)


def _is_overlay(record: RecordType, name: str) -> bool:
    """Tell whether a member is the word over the bit-fields rather than one of them."""
    low, width, _ = record.slots[name]
    inside = [
        other
        for other, (at, count, _) in record.slots.items()
        if other != name and low <= at and at + count <= low + width and (at, count) != (low, width)
    ]
    return bool(inside)


def _last(spelt: str) -> str:
    """Return the last member of an object as C spells it."""
    return spelt.replace("->", ".").rpartition(".")[2]
