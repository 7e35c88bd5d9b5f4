# SPDX-License-Identifier: GPL-2.0-only
"""stale-mmu-role: a role that does not determine what it is the key of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .. import bits
from ..architecture import IMPLICATIONS, MEMBERS, RANGES, bit_name
from ..bits import Bits, Cond, Term
from ..coverage import Answer, Carrier, Decision, Question, Solver, Unit
from ..effects import Effects
from ..errors import UsageError
from ..index import Definition, Index, is_static
from ..layout import IntType, RecordType, Types
from ..lower import Guard, Lowered, Lowering, Trouble
from ..memory import Function, Int, Loc, Opaque, Pointer, Root
from ..model import (
    Consulted,
    Context,
    FieldResult,
    Finding,
    Input,
    Place,
    Report,
    Unknown,
    Verdict,
    Witness,
    worst,
)
from ..roles import (
    Roles,
    callers,
    compares_roles,
    find_roles,
    initialisers,
    make_effects,
    missing_functions,
    require_kvm,
    undefined_set_ups,
)

RULE = "stale-mmu-role"

DEFAULT_FIELDS = ("root_level", "shadow_root_level")

NESTED = "L2's control block changes only while L1 runs, which sets root_mmu up with guest_mode=0"

SUCCESSORS: dict[str, tuple[str, ...]] = {
    "root_level": ("cpu_role", "base", "level"),
    "shadow_root_level": ("root_role", "level"),
}
"""Members that took a field's place in v5.19, as the upstream change names them."""


@dataclass(slots=True)
class _Path:
    """One guard as one entry reaches it."""

    lowered: Lowered
    guard: Guard
    entry: tuple[str, ...]
    assumptions: tuple[str, ...] = ()


@dataclass(slots=True)
class _Tree:
    """What is known of the tree under check."""

    index: Index
    types: Types
    roles: Roles
    effects: Effects
    lowering: Lowering
    runs: dict[tuple[object, ...], Lowered] = field(default_factory=dict)
    constants: dict[str, str | None] = field(default_factory=dict)

    def run(self, definition: Definition, bind: dict[Loc, Pointer] | None = None) -> Lowered:
        key = (
            definition.key,
            tuple(sorted((str(k), str(v.target)) for k, v in (bind or {}).items())),
        )
        if key not in self.runs:
            self.runs[key] = self.lowering.run(definition, dict(bind or {}))
        return self.runs[key]


def check(
    index: Index, fields: Sequence[str] = DEFAULT_FIELDS, label: str = "", rev: str | None = None
) -> Report:
    """Check every guarded initialiser of a tree.

    FIELDS are members of the context, or "all".  Raises InputError where the tree is no
    kernel with KVM for x86.
    """
    if "all" in fields:
        return _everything(index, label, rev)
    require_kvm(index, label or "this folder")
    types = Types(index)
    roles = find_roles(index, types)
    if not roles.contexts:
        return _without_roles(index, roles, label, rev)
    wanted = tuple(dict.fromkeys(fields))
    effects = make_effects(index, roles, frozenset(wanted))
    tree = _Tree(index, types, roles, effects, Lowering(index, types, roles.shape, effects))
    starts = initialisers(index, roles)
    garbled = _garbled(tree, starts)
    if garbled:
        return Report(label, rev, unknowns=garbled, files=index.asked, verdict="unknown")
    if starts and not compares_roles(index, roles, starts):
        return Report(label, rev, files=index.asked, verdict="not-guarded")
    paths, runs = _paths(tree, starts)
    troubles = [trouble for lowered in runs for trouble in lowered.troubles]
    troubles += _unguarded(runs, starts)
    troubles += _incomplete(tree, runs, starts)
    decided = [_decide(tree, path, wanted) for path in paths]
    contexts = [context for context in decided if context.fields]
    if decided and not contexts:
        names = ", ".join(wanted)
        if not set(wanted) & set(DEFAULT_FIELDS):
            raise UsageError(f"--fields {names}: no guarded set-up of this tree stores it")
        reason = f"no guarded set-up stores {names}"
        troubles.append(Trouble(decided[0].place, reason, False))
    return _report(tree, contexts, troubles, starts, label, rev)


def _everything(index: Index, label: str, rev: str | None) -> Report:
    """Check the default fields, and then what else a set-up stores.

    Apart, because to know all that a call may store, far more has to be followed, and
    what is not understood on the way must not touch the first answer.
    """
    first = check(index, DEFAULT_FIELDS, label, rev)
    if not first.contexts:
        return first
    roles = find_roles(index, Types(index))
    held = {name for names in roles.shape.contexts.values() for name in names}
    rest = [
        name
        for record in roles.contexts.values()
        for name in record.by_name
        if name not in held and name not in DEFAULT_FIELDS
    ]
    second = check(index, list(dict.fromkeys(rest)), label, rev)
    more = {(c.initialiser, c.context, c.entry): c.fields for c in second.contexts}
    contexts = tuple(
        replace(c, fields=c.fields + more.get((c.initialiser, c.context, c.entry), ()))
        for c in first.contexts
    )
    return replace(
        first,
        contexts=contexts,
        findings=tuple(sorted({*first.findings, *second.findings})),
        unknowns=tuple(sorted({*first.unknowns, *second.unknowns})),
        ledger=tuple(sorted({*first.ledger, *second.ledger})),
        files=tuple(sorted({*first.files, *second.files})),
        legality=tuple(sorted({*first.legality, *second.legality})),
        verdict=worst((first.verdict, second.verdict)),
    )


# -- fields --------------------------------------------------------------------------------


def _member(record: RecordType, name: str, roles: Roles, tag: str) -> tuple[str, ...] | None:
    """Return the C path of a field in a context, or of the member that took its place."""
    known = record.by_name.get(name)
    if known is not None:
        return known[0]
    successor = SUCCESSORS.get(name)
    if successor is None or successor[0] not in roles.shape.contexts[tag]:
        return None
    inner = record.by_name[successor[0]][1]
    if isinstance(inner, RecordType) and ".".join(successor[1:]) in inner.slots:
        return successor
    return None


# -- paths ---------------------------------------------------------------------------------


def _garbled(tree: _Tree, starts: list[Definition]) -> tuple[Unknown, ...]:
    """Return the functions that store a role or a cached field and cannot be parsed."""
    found: set[Unknown] = set()
    candidates = {start.key: start for start in starts}
    for name in tree.effects.writers:
        for _, definition in tree.index.users(name, tree.roles.here):
            if definition.name == name:
                candidates[definition.key] = definition
    for definition in candidates.values():
        if tree.index.node(definition).has_error:
            place = Place(definition.file, definition.line, 1, definition.name)
            found.add(Unknown(place, f"{definition.name}() cannot be parsed"))
    return tuple(sorted(found))


def _unguarded(runs: list[Lowered], starts: list[Definition]) -> list[Trouble]:
    """Return the ways around the comparison of a role.

    A set-up that always stores its role skips nothing, which is fine; one that does so
    under a condition that is no guard may skip by a key that was not recognised, and so
    may one that is left before its roles are compared.  An initialiser that no run comes
    by is a trouble as well.
    """
    found: list[Trouble] = []
    met = {start.name for lowered in runs for start in starts if lowered.visits(start)}
    for lowered in runs:
        differing = bits.Substitution(
            {bits.variable(g.symbol): not g.skips for g in lowered.guards if g.skips is not None}
        )
        stored: dict[Loc, Cond] = {}
        for store in lowered.stores:
            known = stored.get(store.context, False)
            stored[store.context] = bits.either(known, differing(store.path))
        ways: list[Trouble] = []
        for store in lowered.stores:
            if _may_miss(differing(store.entered), stored[store.context]):
                reason = "a role is stored under a condition that is no comparison of roles"
                ways.append(Trouble(store.place, reason, store.entered))
        for guard in lowered.guards:
            near = differing(guard.path)
            for comparison in guard.comparisons:
                near = bits.either(near, stored.get(comparison.context, False))
            if _may_miss(differing(guard.entered), near):
                reason = "a set-up may be left before its roles are compared"
                ways.append(Trouble(guard.place, reason, guard.entered))
        reached: Cond = False
        for way in (*stored.values(), *(differing(g.path) for g in lowered.guards)):
            reached = bits.either(reached, way)
        if lowered.guards and _may_miss(True, reached):
            start = lowered.start
            place = Place(start.file, start.line, 1, start.name)
            ways.append(Trouble(place, "some ways through it come by no set-up of a context", True))
        lowered.troubles.extend(ways)
        found += ways
    for start in starts:
        if start.name not in met:
            place = Place(start.file, start.line, 1, start.name)
            found.append(Trouble(place, f"no way to {start.name}() was found", False))
    return found


def _may_miss(entered: Cond, reached: Cond) -> bool:
    """Tell whether a function may be entered and something in it not be reached."""
    both = bits.both(entered, bits.negate(reached))
    return both if isinstance(both, bool) else Solver([both]).check() is not False


def _incomplete(tree: _Tree, runs: list[Lowered], starts: list[Definition]) -> list[Trouble]:
    """Return what is missing in the files that the runs pass through.

    A file that ends in the middle, a static initialiser that nothing calls, and a
    declared function that is called and defined nowhere may each hide another way.
    """
    found: list[Trouble] = []
    files = {c.file for lowered in runs for c in lowered.consulted if c.kind == "function"}
    files |= {start.file for start in starts}
    files |= {definition.file for definition in tree.types.used.values()}
    for path in sorted(files):
        file = tree.index.file(path)
        if file is not None and not file.balanced:
            last = file.data.count(b"\n") or 1
            found.append(
                Trouble(Place(path, last), "the file ends in the middle of something", False)
            )
    for start in starts:
        named = tree.index.text(start.file) or b""
        if is_static(start) and len(re.findall(rb"\b" + start.name.encode() + rb"\b", named)) < 2:
            place = Place(start.file, start.line, 1, start.name)
            found.append(Trouble(place, f"nothing calls {start.name}(), which is static", False))
    entries = {c.name for lowered in runs for c in lowered.consulted if c.kind == "function"}
    missing = missing_functions(tree.index, entries)
    for name, place in dict([*undefined_set_ups(tree.index, tree.roles), *missing]).items():
        found.append(Trouble(place, f"the definition of {name}() was not found", False))
    return found


def _paths(tree: _Tree, starts: list[Definition]) -> tuple[list[_Path], list[Lowered]]:
    """Return every way to every guard, and the runs that found them.

    A way begins at the nearest function that other files can call and on whose callers
    nothing depends: neither an argument nor which context a pointer of the vCPU selects.
    """
    done: list[tuple[Lowered, tuple[str, ...]]] = []
    unresolved: list[Lowered] = []
    taken: set[str] = set()
    seen: set[tuple[str, str, int]] = set()
    pending = list(starts)
    files = {start.file for start in starts}
    while pending:
        here = pending.pop(0)
        if here.key in seen:
            continue
        seen.add(here.key)
        inside = callers(tree.index, here.name, here.file)
        if is_static(here) and inside and here.file in files:
            pending.extend(inside)
            continue
        above = callers(tree.index, here.name) if _has_plain_arguments(here) else []
        if above and not inside:
            pending.extend(above)
            continue
        lowered = tree.run(here)
        pointers = _pointers(lowered)
        if pointers:
            above = callers(tree.index, here.name)
            binding = [c for c in above if _binds(c, pointers)]
            pending.extend(binding)
            taken.update(t for c in binding for t in _targets(c.text, pointers))
            rest = [c for c in above if c not in binding]
            if above and all(is_static(c) and c.file == here.file for c in rest):
                pending.extend(rest)
            else:
                unresolved.append(lowered)
        elif _open_arguments(lowered, here) and above:
            pending.extend(above)
        else:
            done.append((lowered, ()))
    for lowered in unresolved:
        bound, assumptions = _bound(tree, lowered, taken)
        done.append((tree.run(lowered.start, bound) if bound else lowered, assumptions))
    paths = [
        _Path(lowered, guard, guard.calls, assumptions)
        for lowered, assumptions in done
        for guard in lowered.guards
    ]
    return paths, [lowered for lowered, _ in done]


def _has_plain_arguments(definition: Definition) -> bool:
    """Tell whether a function takes anything but pointers."""
    head = definition.text.split(b"{", 1)[0].partition(b"(")[2]
    return any(b"*" not in one and one.strip(b" \t\n)") != b"void" for one in head.split(b","))


def _open_arguments(lowered: Lowered, entry: Definition) -> bool:
    """Tell whether a guard or what it decides depends on the entry's own arguments."""
    prefix = f"{entry.name}("
    for guard in lowered.guards:
        names = set(bits.symbols([guard.condition, guard.path]))
        for loc, value in lowered.memory.items():
            if loc.within(guard.context) and isinstance(value, Int):
                names |= value.bits.symbols
        if any(name.startswith(prefix) for name in names):
            return True
    return False


def _pointers(lowered: Lowered) -> set[str]:
    """Return the pointers of the surroundings through which contexts are reached."""
    found = set()
    for guard in lowered.guards:
        root = guard.context.root
        if root.kind == "pointee" and not guard.context.path and "->" in root.name:
            found.add(root.name)
    return found


def _assignment(pointer: str) -> re.Pattern[bytes]:
    member = re.split(r"->|\.", pointer)[-1]
    return re.compile(rb"(?:->|\.)\s*" + member.encode() + rb"\s*=\s*&\s*[\w>.\s-]*?(\w+)\s*;")


def _binds(caller: Definition, pointers: set[str]) -> bool:
    return any(_assignment(p).search(caller.text) for p in pointers)


def _targets(source: bytes, pointers: set[str]) -> set[str]:
    return {m.group(1).decode() for p in pointers for m in _assignment(p).finditer(source)}


def _bound(
    tree: _Tree, lowered: Lowered, taken: set[str]
) -> tuple[dict[Loc, Pointer], tuple[str, ...]]:
    """Bind a context pointer to the one context that no other entry binds it to."""
    bound: dict[Loc, Pointer] = {}
    words: list[str] = []
    for pointer in sorted(_pointers(lowered)):
        targets: dict[str, str] = {}
        for file in tree.index.files_with(re.split(r"->|\.", pointer)[-1].encode()):
            for match in _assignment(pointer).finditer(file.data):
                name = match.group(1).decode()
                if name not in taken:
                    line = file.data.count(b"\n", 0, match.start()) + 1
                    targets.setdefault(name, f"{file.path}:{line}")
        if len(targets) != 1:
            continue
        ((target, where),) = targets.items()
        head, _, tail = pointer.partition("->")
        path = tuple(tail.split("."))
        for record in tree.roles.contexts.values():
            loc = Loc(Root(head, "pointee"), (*path[:-1], target))
            bound[Loc(Root(head, "pointee"), path)] = Pointer(loc, record)
            words.append(f"{pointer} points to {target} here ({where})")
            break
    return bound, tuple(words)


# -- one context -----------------------------------------------------------------------------


def _decide(tree: _Tree, path: _Path, wanted: Sequence[str]) -> Context:
    guard = path.guard
    results = []
    for name in wanted:
        for context, record, record_tag in _holders(tree.roles, guard):
            member = _member(record, name, tree.roles, record_tag)
            if member is None:
                continue
            result = _decide_field(tree, path, name, context, record, member)
            if result is not None:
                results.append(result)
            break
    return Context(
        guard.place.function, _context_name(guard.context), path.entry, guard.place, tuple(results)
    )


def _holders(roles: Roles, guard: Guard) -> list[tuple[Loc, RecordType, str]]:
    """Return the objects whose roles are compared, with their types."""
    found: dict[Loc, tuple[Loc, RecordType, str]] = {}
    for comparison in guard.comparisons:
        for name, members in roles.shape.contexts.items():
            if comparison.member in members:
                found.setdefault(
                    comparison.context, (comparison.context, roles.contexts[name], name)
                )
    return list(found.values())


def _context_name(loc: Loc) -> str:
    return loc.path[-1] if loc.path else re.split(r"->|\.", loc.root.name)[-1]


def _decide_field(
    tree: _Tree, path: _Path, name: str, context: Loc, record: RecordType, member: tuple[str, ...]
) -> FieldResult | None:
    """Decide one field; None where no run of this path stores it."""
    terms = _Terms(tree, path)
    written = ".".join(member)
    final = terms.final(context, record, member)
    if final is None:
        return FieldResult(
            name, written, "unknown", reasons=(f"the value of {written} is no number",)
        )
    if path.guard.symbol not in final.symbols:
        return None
    polarity = path.guard.skips
    if polarity is None:
        return FieldResult(
            name, written, "unknown",
            reasons=("which side of the comparison skips depends on more than the roles",),
        )  # fmt: skip
    spoilt = terms.spoilt()
    question = terms.question(final, polarity)
    start = terms.initial(context, record, member)
    if question.full.identical(start) and question.kept.identical(start) and not spoilt:
        return None
    absent = terms.absent(question)
    if absent:
        return FieldResult(name, written, "unknown", reasons=absent)
    decision = Decision(question)
    answer = decision.decide()
    if answer.verdict == "covered" and not terms.compares(context, record, member):
        unclear = decision.unclear
        if unclear:
            answer = replace(answer, verdict="unknown", leaning=unclear)
    if answer.verdict == "gap" and not answer.history:
        invalidated = terms.invalidated(answer)
        if invalidated:
            question.covered_elsewhere = frozenset(invalidated)
            answer = Decision(question).decide()
            terms.note_invalidated(invalidated)
    return terms.result(name, written, answer, spoilt)


class _Terms:
    """The terms of one path, put into the words of coverage."""

    def __init__(self, tree: _Tree, path: _Path) -> None:
        self.tree = tree
        self.path = path
        self.out = path.lowered
        self.guard = path.guard
        self.contexts = tuple({c.context: None for c in path.guard.comparisons})
        self._assumed: dict[str, str] = {}
        self._others = [g for g in self.out.guards if g.symbol != self.guard.symbol]
        self._cells = {
            str(loc): value
            for loc, value in self.out.memory.items()
            if any(loc.within(c) for c in self.contexts)
        }
        conditions = {bits.variable(g.symbol): g.condition for g in self._others}
        self._others_closed = bits.Substitution(conditions)
        facts = bits.facts(self.guard.path)
        known = {**{v: self._others_closed(c) for v, c in conditions.items()}, **facts}
        self._closed = bits.Substitution(known)
        full: dict[Term, Cond] = {**known}
        for other in self._others:
            if other.skips is not None:
                full[bits.variable(other.symbol)] = not other.skips
        full.update(facts)
        guard = bits.variable(self.guard.symbol)
        skips = bool(self.guard.skips)
        self._sides = {
            skips: bits.Substitution({**known, guard: skips}),
            not skips: bits.Substitution({**full, guard: not skips}),
        }

    # -- terms -----------------------------------------------------------------------------

    def _bits_under(self, value: Bits, guard: bool) -> Bits:
        """Return a vector on this path, with the guard decided."""
        return self._sides[guard].vector(value)

    def _cell(self, loc: Loc, width: int) -> Bits | None:
        value = self.out.memory.get(loc)
        if value is None:
            return bits.symbol(width, str(loc))
        if isinstance(value, Int):
            return value.bits
        if isinstance(value, Opaque):
            return bits.symbol(width, value.name)
        if isinstance(value, Function):
            return bits.constant(
                64,
                next(n for n, f in self.out.functions.items() if f == value.name)
                if value.name in self.out.functions.values()
                else hash(value.name) & 0xFFFF,
            )
        return None

    def final(self, context: Loc, record: RecordType, member: tuple[str, ...]) -> Bits | None:
        """Return a field after the call, the guard left free."""
        cell, low, width, size = _cell_of(context, record, member)
        value = self._cell(cell, size)
        return None if value is None else bits.cut(value, low, width)

    def initial(self, context: Loc, record: RecordType, member: tuple[str, ...]) -> Bits:
        """Return a field before the call."""
        cell, low, width, size = _cell_of(context, record, member)
        return bits.cut(bits.symbol(size, str(cell)), low, width)

    # -- the question ------------------------------------------------------------------------

    def question(self, final: Bits, skipping: bool) -> Question:
        """Put one field to coverage."""
        condition = self._closed(self.guard.condition)
        skips: Cond = condition if skipping else bits.negate(condition)
        path = self._others_closed(self.guard.path)

        def stored(name: str) -> Cond | None:
            symbol, _, position = name.rpartition("#")
            value = self._cells.get(symbol)
            if value is None:
                return None
            number = int(position)
            if isinstance(value, Int):
                one = bits.cut(value.bits, number, 1)
                return _cond(self._bits_under(one, not skipping))
            if isinstance(value, Opaque):
                return bits.bit(value.name, number)
            return None

        return Question(
            path=path,
            skips=skips,
            full=self._bits_under(final, not skipping),
            kept=self._bits_under(final, skipping),
            stored=stored,
            legal=self._legal,
            is_constant=self._is_constant,
            is_context=self._is_context,
            is_opaque=lambda name: name.startswith("?"),
            unit_of=self._unit,
            carriers=tuple(self._carriers(not skipping)),
            roles=tuple(self._roles(not skipping)),
        )

    def _new(self, comparison_index: int, full: bool) -> Bits:
        return self._bits_under(self.guard.comparisons[comparison_index].new, full)

    def _roles(self, full: bool) -> list[tuple[str, Bits]]:
        return [(c.member, self._new(i, full)) for i, c in enumerate(self.guard.comparisons)]

    def _carriers(self, full: bool) -> list[Carrier]:
        found: list[Carrier] = []
        single = len({c.member for c in self.guard.comparisons}) == 1
        for i, comparison in enumerate(self.guard.comparisons):
            record = self._role_type(comparison.member)
            new = self._new(i, full)
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
                label = (
                    name
                    if single and comparison.member == "mmu_role"
                    else f"{comparison.member}.{name}"
                )
                found.append(Carrier(label, bits.cut(new, at, width)))
        extra = self._closed(self.guard.condition)
        compared = {c.context.member(c.member) for c in self.guard.comparisons}
        for name in sorted({n.rpartition("#")[0] for n in bits.symbols([extra])}):
            for loc, value in self.out.memory.items():
                if (
                    str(loc) == name
                    and loc not in compared
                    and any(loc.within(c) for c in self.contexts)
                ):
                    if isinstance(value, Int):
                        found.append(
                            Carrier(
                                f"{loc.path[-1]} (compared too)", self._bits_under(value.bits, full)
                            )
                        )
        return found

    def _role_type(self, member: str) -> RecordType | None:
        for record in self.tree.roles.contexts.values():
            known = record.by_name.get(member)
            if known is not None and isinstance(known[1], RecordType):
                return known[1]
        return None

    def compares(self, context: Loc, record: RecordType, member: tuple[str, ...]) -> bool:
        """Tell whether a field is part of a role that is compared: equal for that alone."""
        _, low, width, _ = _cell_of(context, record, member)
        return any(
            (c.context, c.member) == (context, member[0])
            and c.low <= low
            and low + width <= c.low + c.new.width
            for c in self.guard.comparisons
        )

    # -- symbols -------------------------------------------------------------------------------

    def _is_context(self, name: str) -> bool:
        symbol = name.rpartition("#")[0]
        for context in self.contexts:
            head = str(context) if context.path else context.root.name
            glue = "." if context.path else "->"
            if symbol.startswith(head + glue):
                return True
        return False

    def _is_constant(self, name: str) -> bool:
        symbol = name.rpartition("#")[0]
        if symbol not in self.out.globals:
            return False
        reason = self._constant_reason(symbol)
        if reason is None:
            return False
        self._assumed[symbol] = reason
        return True

    def _constant_reason(self, symbol: str) -> str | None:
        """Say why an object of file scope is alike in all runs; None if it is not."""
        known = self.tree.constants
        if symbol not in known:
            known[symbol] = _host_constant(self.tree, symbol)
        return known[symbol]

    def _spelt(self, symbol: str) -> str:
        for root, name in self.out.aliases.items():
            symbol = symbol.replace(root, name)
        return symbol

    def _unit(self, name: str) -> Unit:
        symbol, _, position = name.rpartition("#")
        member = re.split(r"->|\.|\(", symbol)[-1].rstrip(")")
        register = MEMBERS.get(member)
        spelt = self._spelt(symbol)
        if register is not None:
            full = bit_name(register, int(position))
            macro = (
                f"EFER_{full.split('.')[1]}"
                if register == "EFER"
                else f"X86_{full.replace('.', '_')}"
            )
            return Unit(full, f"{spelt} & {macro}", (name,))
        return Unit(spelt, spelt, (name,))

    def _legal(self, names: frozenset[str]) -> list[Cond]:
        """Return the architectural facts about the registers among some symbols."""
        files: dict[str, dict[tuple[str, str], str]] = {}
        rules: list[Cond] = []
        ranged: set[str] = set()
        for name in sorted(names):
            symbol, _, position = name.rpartition("#")
            member = re.split(r"->|\.|\(", symbol)[-1].rstrip(")")
            register = MEMBERS.get(member)
            if register is not None:
                register_name, bit = bit_name(register, int(position)).split(".")
                holder = symbol.rstrip(")")[: -len(member)]
                files.setdefault(holder, {})[register_name, bit] = name
            elif member in RANGES:
                ranged.add(symbol)
        for found in files.values():
            for rule in IMPLICATIONS:
                if rule.when in found and rule.then in found:
                    when, then = (bits.variable(found[key]) for key in (rule.when, rule.then))
                    rules.append(bits.either(bits.negate(when), then))
                    self._assumed[rule.text] = rule.text
        for symbol in sorted(ranged):
            member = re.split(r"->|\.", symbol)[-1]
            low, high, words = RANGES[member]
            place = self.out.reads.get(symbol)
            width = place[1] if place is not None else 32
            value = bits.symbol(width, symbol)
            rules.append(bits.negate(bits.below(value, bits.constant(width, low))))
            rules.append(bits.negate(bits.below(bits.constant(width, high), value)))
            self._assumed[words] = words
        return rules

    def absent(self, question: Question) -> tuple[str, ...]:
        """Return the missing definitions that a question would rest on."""
        names = question.full.symbols | question.kept.symbols
        names |= bits.symbols([question.path, question.skips])
        found: dict[str, None] = {}
        for symbol in sorted({n.rpartition("#")[0] for n in names if n.startswith("?")}):
            place, reason, missing = self.out.opaque[symbol]
            if missing:
                found[f"{place.file}:{place.line}: {reason}"] = None
        return tuple(found)

    # -- what is not understood ------------------------------------------------------------------

    def spoilt(self) -> tuple[tuple[Place, str], ...]:
        """Return the troubles that lie on this path."""
        found: dict[tuple[Place, str], None] = {}
        for trouble in self.out.troubles:
            if trouble.path is True and self.guard.path is True:
                found[trouble.place, trouble.reason] = None
                continue
            if Solver([self.guard.path, trouble.path]).check() is not False:
                found[trouble.place, trouble.reason] = None
        return tuple(sorted(found))

    # -- invalidation --------------------------------------------------------------------------

    def invalidated(self, answer: Answer) -> list[str]:
        """Return the missing symbol bits whose every writer makes the stored role invalid."""
        found: list[str] = []
        self._invalidators: dict[str, str] = {}
        for unit in answer.missing_units:
            if "." in unit.name and unit.name.split(".")[0] in ("CR0", "CR4", "EFER"):
                continue
            symbol = unit.bits[0].rpartition("#")[0]
            if self._fixed_while_nested(symbol):
                self._assumed[NESTED] = NESTED
                self._invalidators[unit.name] = ""
                found.extend(f"{symbol}#{i}" for i in range(64))
                continue
            by = self._invalidated_by(symbol)
            if by is not None:
                self._invalidators[unit.name] = by
                found.extend(
                    f"{symbol}#{i}" for i in range(self.out.reads.get(symbol, (None, 64))[1])
                )
        return found

    def _fixed_while_nested(self, symbol: str) -> bool:
        """Tell whether an input belongs to L2's control block and the context to L1."""
        return (
            re.search(r"(?:->|\.)nested(?:->|\.)", symbol) is not None
            and _context_name(self.guard.context) == "root_mmu"
            and any(c.name.endswith("guest_mode") for c in self._carriers(True))
        )

    def _invalidated_by(self, symbol: str) -> str | None:
        """Return the function through which every writer of a member invalidates the role."""
        member = re.split(r"->|\.", symbol)[-1]
        if not re.fullmatch(r"\w+", member):
            return None
        stored = re.compile(rb"(?:->|\.)\s*" + member.encode() + rb"\s*(?:[-+|&^]|<<|>>)?=(?!=)")
        writers = [d for _, d in self.tree.index.users(member) if stored.search(d.text)]
        if not writers:
            return None
        name = None
        for writer in writers:
            by = self._reaches_invalidator(writer)
            if by is None:
                return None
            name = by
        return name

    def _reaches_invalidator(self, writer: Definition) -> str | None:
        from ..index import calls

        seen = {writer.key}
        todo = [writer]
        context = _context_name(self.guard.context)
        while todo and len(seen) < 64:
            here = todo.pop(0)
            if self._invalidates(here, context):
                return here.name
            for name in sorted(calls(here.text.split(b"{", 1)[-1])):
                if not name.startswith("kvm_"):
                    continue
                for one in self.tree.index.functions(name, here.file):
                    if one.key not in seen:
                        seen.add(one.key)
                        todo.append(one)
        return None

    def _invalidates(self, definition: Definition, context: str) -> bool:
        """Tell whether a function stores into the role what no full run computes."""
        from .. import syntax

        names = {c.member: i for i, c in enumerate(self.guard.comparisons)}
        if not any(name.encode() in definition.text for name in names):
            return False
        for match in syntax.matches("role_invalidation", self.tree.index.node(definition)):
            words = re.findall(r"\w+", syntax.text(match["role.target"][0]))
            value = syntax.text(match["role.value"][0])
            for name, i in names.items():
                if name not in words:
                    continue
                at = words.index(name)
                holder = words[at - 1] if at else ""
                if holder != context and context in words[:at]:
                    continue
                if holder != context and _is_named_context(self.tree, holder):
                    continue
                record = self._role_type(name)
                inner = ".".join(words[at + 1 :])
                if record is None or inner not in record.slots:
                    continue
                low, width, _ = record.slots[inner]
                new = self._new(i, True)
                computed = bits.cut(new, low, width).value
                if computed is not None and computed != int(value, 0):
                    return True
        return False

    def note_invalidated(self, found: list[str]) -> None:
        for unit, by in self._invalidators.items():
            if by:
                self._assumed[unit] = f"a change of {unit} invalidates the role ({by}())"

    # -- words -----------------------------------------------------------------------------------

    def result(
        self, name: str, member: str, answer: Answer, spoilt: tuple[tuple[Place, str], ...]
    ) -> FieldResult:
        reasons: list[str] = []
        verdict: Verdict = answer.verdict  # type: ignore[assignment]
        if verdict == "unknown":
            for symbol in answer.leaning:
                known = self.out.opaque.get(symbol.rpartition("#")[0])
                reasons.append(f"{known[0].file}:{known[0].line}: {known[1]}" if known else symbol)
        missing = sorted({n.rpartition("#")[0] for n in answer.support if n.startswith("?")})
        for symbol in missing:
            place, reason, absent = self.out.opaque[symbol]
            if absent and verdict == "covered":
                verdict = "unknown"
            if absent:
                reasons.append(f"{place.file}:{place.line}: {reason}")
        if spoilt:
            verdict = "unknown"
            reasons.extend(f"{place.file}:{place.line}: {reason}" for place, reason in spoilt)
        inputs = tuple(
            Input(unit.name, unit.source, self._carried(unit, names))
            for unit, names in answer.inputs
        )
        witness = None
        if verdict == "gap" and answer.witness is not None:
            w = answer.witness
            order = sorted(range(len(w.units)), key=lambda i: (w.units[i].name, w.units[i].source))
            witness = Witness(
                tuple((w.units[i].name, w.a[i]) for i in order),
                tuple((w.units[i].name, w.b[i]) for i in order),
                tuple(w.units[i].source for i in order),
                w.differs,
                w.role,
                w.values,
            )
        assumptions = tuple(sorted({*self._assumed.values(), *self.path.assumptions}))
        if answer.history and verdict == "gap":
            reasons.append(
                f"a full set-up does not store {member} on every path, so an older value survives"
            )
        return FieldResult(
            name, member, verdict, inputs,
            answer.missing if verdict == "gap" else (), witness, assumptions,
            tuple(dict.fromkeys(reasons)),
        )  # fmt: skip

    def _carried(self, unit: Unit, names: tuple[str, ...]) -> tuple[str, ...]:
        by = getattr(self, "_invalidators", {}).get(unit.name)
        if by is None or names:
            return names
        return (f"invalidation by {by}()",) if by else ("base.guest_mode",)


def _cell_of(
    context: Loc, record: RecordType, member: tuple[str, ...]
) -> tuple[Loc, int, int, int]:
    """Return the cell of memory that holds a field, its position there, and the cell's size."""
    path, inner = record.by_name[member[0]]
    if isinstance(inner, RecordType) and inner.is_word and inner.size is not None:
        if len(member) == 1:
            return context.member(*path), 0, inner.size, inner.size
        low, width, _ = inner.slots[".".join(member[1:])]
        return context.member(*path), low, width, inner.size
    width = inner.width if isinstance(inner, IntType) else 64
    return context.member(*member), 0, width, width


def _cond(value: Bits) -> Cond:
    return bits.nonzero(value)


def _is_overlay(record: RecordType, name: str) -> bool:
    """Tell whether a member is the word over the bit-fields rather than one of them."""
    low, width, _ = record.slots[name]
    inside = [
        other
        for other, (at, count, _) in record.slots.items()
        if other != name and low <= at and at + count <= low + width and (at, count) != (low, width)
    ]
    return bool(inside)


def _is_named_context(tree: _Tree, word: str) -> bool:
    """Tell whether a word names a context inside the vCPU."""
    for tag in tree.roles.contexts:
        pattern = re.compile(rb"\bstruct\s+" + tag.encode() + rb"\s+" + word.encode() + rb"\s*;")
        if pattern.search(tree.index.text("arch/x86/include/asm/kvm_host.h") or b""):
            return True
    return False


def _host_constant(tree: _Tree, symbol: str) -> str | None:
    """Say why an object is alike for all vCPUs and all times; None where it may change."""
    if " is " in symbol:
        return f"the vendor module is the same for all vCPUs ({symbol.split(' is ')[0]})"
    name = re.match(r"\w+", symbol)
    if symbol.startswith("CONFIG_") or symbol.endswith("?"):
        return f"{symbol} is a build option"
    if name is None:
        return None
    declared = tree.index.declaration(name.group(), tree.roles.here)
    where = f"{declared[0]}:{declared[1]}" if declared is not None else tree.roles.here
    if declared is not None and re.search(r"__read_mostly|__ro_after_init|\bconst\b", declared[2]):
        word = re.search(r"__read_mostly|__ro_after_init|\bconst\b", declared[2])
        assert word is not None
        return f"{symbol} is set at module load ({word.group()}, {where})"
    spelt = name.group().encode()
    pattern = re.compile(
        rb"(?<![\w.>])" + spelt + rb"\b(?:\.\w+)*\s*(?:(?:[-+|&^*/%]|<<|>>)?=(?!=)|\+\+|--)"
        rb"|(?:\+\+|--)\s*" + spelt + rb"\b|(?<!&)&\s*" + spelt + rb"\b(?!\s*\.)"
    )
    writers = [
        d for _, d in tree.index.users(name.group()) if pattern.search(d.text.split(b"{", 1)[-1])
    ]
    for writer in writers:
        if not _only_at_load(tree, writer, 4):
            return None
    if not writers:
        return f"{symbol} is never assigned to in KVM ({where})"
    names = ", ".join(sorted({f"{writer.name}()" for writer in writers}))
    return f"{symbol} is set at module load ({names}, {where})"


def _only_at_load(tree: _Tree, definition: Definition, depth: int) -> bool:
    """Tell whether a function runs during module initialisation alone."""
    head = definition.text.split(b"{", 1)[0]
    if re.search(rb"\b__init\b|\b__exit\b", head):
        return True
    if depth == 0:
        return False
    above = callers(tree.index, definition.name)
    return bool(above) and all(_only_at_load(tree, c, depth - 1) for c in above)


# -- the report ------------------------------------------------------------------------------


def _without_roles(index: Index, roles: Roles, label: str, rev: str | None) -> Report:
    """A tree whose vCPU holds no role at all: older than any guard, or not understood."""
    place = Place("arch/x86/include/asm/kvm_host.h", 1)
    host = index.file(place.file)
    understood = host is not None and host.balanced and "struct kvm_vcpu_arch" in host.records
    for path in index.kvm_files if understood and not roles.unions else ():
        file = index.file(path) if b"root_level" in (index.text(path) or b"") else None
        for definitions in file.functions.values() if file is not None else ():
            for definition in definitions:
                if re.search(rb"(?:->|\.)\s*root_level\s*=(?!=)", definition.text):
                    return Report(label, rev, files=index.asked, verdict="not-guarded")
    reason = "no MMU context with a role was found in struct kvm_vcpu_arch, and no initialiser"
    return Report(
        label, rev, unknowns=(Unknown(place, reason),), files=index.asked, verdict="unknown"
    )


def _report(
    tree: _Tree,
    contexts: list[Context],
    troubles: list[Trouble],
    starts: list[Definition],
    label: str,
    rev: str | None,
) -> Report:
    unknowns: set[Unknown] = set()
    findings: set[Finding] = set()
    for trouble in troubles:
        unknowns.add(Unknown(trouble.place, trouble.reason))
    for context in contexts:
        for one in context.fields:
            if one.verdict == "unknown":
                for reason in one.reasons:
                    match = re.match(r"([^:\s]+):(\d+): (.*)", reason, re.S)
                    if match is not None:
                        place = Place(match.group(1), int(match.group(2)))
                        if not any(
                            u.place.file == place.file and u.place.line == place.line
                            for u in unknowns
                        ):
                            unknowns.add(Unknown(place, match.group(3)))
                    else:
                        unknowns.add(Unknown(context.place, f"{one.name}: {reason}"))
            elif one.verdict == "gap":
                findings.add(_finding(context, one))
    verdicts: list[Verdict] = [c.verdict for c in contexts]
    if unknowns:
        verdicts.append("unknown")
    if not starts:
        unknowns.add(
            Unknown(Place(tree.roles.here, 1), "no initialiser that stores a role was found")
        )
        verdicts = ["unknown"]
    elif not contexts and not unknowns:
        reason = "a stored role is compared, but no branch that skips a set-up was found"
        unknowns.add(Unknown(Place(starts[0].file, starts[0].line, 1, starts[0].name), reason))
        verdicts = ["unknown"]
    ledger: set[Consulted] = set()
    for lowered in tree.runs.values():
        ledger.update(lowered.consulted)
    for tag, definition in tree.types.used.items():
        ledger.add(Consulted(definition.file, definition.line, "type", tag))
    facts = sorted({a for c in contexts for f in c.fields for a in f.assumptions})
    ordered = sorted(contexts, key=lambda c: (c.place, c.entry))
    return Report(
        label, rev, tuple(ordered), tuple(sorted(findings)), tuple(sorted(unknowns)),
        tuple(sorted(ledger)), tree.index.asked, tuple(facts), worst(tuple(verdicts)),
    )  # fmt: skip


def _finding(context: Context, one: FieldResult) -> Finding:
    names = (
        " and ".join(one.missing)
        if len(one.missing) < 3
        else ", ".join(one.missing[:-1]) + " and " + one.missing[-1]
    )
    if one.missing:
        message = (
            f"{one.member} depends on {names}, which the compared role does not determine, "
            "so a stale value is kept"
        )
    else:
        message = (
            f"{one.member} is not stored on every path of a full set-up, so a stale value is kept"
        )
    return Finding(RULE, context.place, one.name, one.missing, message, context.entry)
