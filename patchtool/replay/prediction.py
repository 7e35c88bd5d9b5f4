# SPDX-License-Identifier: GPL-2.0-only
"""What a check says about states that a program can load.

In: the questions behind the verdicts of one tree.  Out: for two states, whether the second
one finds a stale root_level; and the tests that show each gap, or why there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations

from patchtool.c.index import Index
from patchtool.model import Context, FieldResult, Report
from patchtool.proof import bits
from patchtool.proof.bits import Symbol
from patchtool.proof.coverage import Decision
from patchtool.proof.solver import can_hold
from patchtool.replay.states import (
    ALWAYS,
    HOST_LEVELS,
    OFF,
    SVME,
    Bit,
    Expected,
    Kind,
    Refusal,
    State,
    Test,
    closed,
    modes_of,
    named,
)
from patchtool.rules.stale_mmu_role import Asked
from patchtool.target.kvm import KVM, REGISTER_BITS

FIELD = "root_level"
_DEPTH = "shadow_root_level"
_SVM, _EPT = KVM.vendors
_FORMAT = b"KVM_STATE_NESTED_FORMAT_SVM"


class Prediction:
    """The verdict on root_level in one context, asked about particular states.

    The host is one that an emulator has: with SVM, and with page tables of LEVELS levels.
    """

    def __init__(self, asked: Asked, context: str, kind: Kind, levels: int = 4) -> None:
        self._asked, self.context, self.kind, self.levels = asked, context, kind, levels
        self._decision = Decision(asked.question)
        self._host = asked.terms.on_host(frozenset(self._decision.host), _SVM, frozenset({levels}))
        self._stale: dict[tuple[State, State], bool | None] = {}
        self._levels: dict[State, int | None] = {}

    def stale(self, first: State, then: State) -> bool | None:
        """Tell whether root_level is stale once THEN was loaded after FIRST; None: it depends."""
        key = first, then
        if key not in self._stale:
            states = self._inputs(first), self._inputs(then)
            self._stale[key] = self._decision.repeats(*states, self._host)
        return self._stale[key]

    def level(self, state: State) -> int | None:
        """Return the root_level that a set-up with a state stores; None: it depends."""
        if state not in self._levels:
            self._levels[state] = self._decision.stored(self._inputs(state), self._host)
        return self._levels[state]

    def expected(self, state: State) -> Expected | None:
        """Return a state with its root_level, None where that is not known."""
        level = self.level(state)
        return None if level is None else Expected(state, level)

    def start(self, *states: State) -> State | None:
        """Return a mode from which each of some states is set up anew.

        A vCPU starts without paging, and one of KVM's selftests with 4 levels.
        """
        first, *_, four, _ = modes_of("root_mmu")
        for mode in modes_of("root_mmu"):
            before = [(one, mode) for one in (first, four) if one != mode]
            after = [(mode, one) for one in states if one != mode]
            if all(self.stale(*pair) is False for pair in before + after):
                return mode
        return None

    def _inputs(self, state: State) -> Mapping[Symbol, bool]:
        """Return the value of every register bit that the verdict is about."""
        found = {}
        for (register, bit), own, symbol in self._registers:
            if self.kind == "root_mmu":
                held = state.bits | ALWAYS
            else:
                # The vCPU's own registers are those of L2, which is the same each time.
                held = ALWAYS | {SVME} | (frozenset() if own else state.bits)
            found[symbol] = (register, bit) in held
        return found

    @cached_property
    def _registers(self) -> tuple[tuple[Bit, bool, Symbol], ...]:
        """Register bits: which one, whether it is the vCPU's own, and its symbol."""
        found = []
        for unit in self._decision.all_units:
            register, _, bit = unit.name.partition(".")
            own = is_own(unit.source)
            if register in REGISTER_BITS and bit and (own or self.kind == "guest_mmu"):
                found += [((register, bit), own, symbol) for symbol in unit.bits]
        return tuple(found)


def is_own(source: str) -> bool:
    """Tell whether a register is read from the vCPU rather than from what L1 has saved."""
    return re.match(r"\w+->arch\.\w+(?: &|$)", source) is not None


def predictions(
    index: Index, report: Report, asked: Sequence[Asked], levels: int = 4
) -> dict[Kind, tuple[Context, Prediction]]:
    """Return what can be replayed of a tree: root_mmu under TDP, guest_mmu under nested NPT."""
    found: dict[Kind, tuple[Context, Prediction]] = {}
    for context in report.contexts:
        kind, _ = _kind(index, context, report, asked)
        question = _question(context, asked)
        if kind is not None and question is not None:
            found.setdefault(kind, (context, Prediction(question, context.context, kind, levels)))
    return found


def tests(index: Index, report: Report, asked: Sequence[Asked]) -> tuple[list[Test], list[Refusal]]:
    """Return the tests that show the gaps of a tree, and the gaps that none shows."""
    by_levels = [predictions(index, report, asked, levels).values() for levels in HOST_LEVELS]
    known = {context: [one] for context, one in by_levels[0]}
    for context, one in by_levels[1]:
        known[context].append(one)
    found: list[Test] = []
    refused: list[Refusal] = []
    for context in report.contexts:
        for field in context.fields:
            if field.verdict != "gap":
                continue
            reason = "" if field.name == FIELD else "KVM_TRANSLATE shows root_level and no other"
            if not reason and context not in known:
                reason = _kind(index, context, report, asked)[1] or "its states are not known"
            if not reason:
                shown = list(_shown(context, field, known[context]))
                found += shown
                left = sorted(set(field.missing) - {name for t in shown for name in t.inputs})
                if left or not shown:
                    what = " and ".join(left or field.missing) or "the gap"
                    reason = f"no two states that userspace can load show {what} alone"
            if reason:
                refused.append(Refusal(context.context, context.entry, field.name, reason))
    return found, refused


def _question(context: Context, asked: Sequence[Asked]) -> Asked | None:
    """Return the question behind the verdict on root_level in a context."""
    for one in asked:
        path = one.terms.path
        if one.field == FIELD and (path.entry, path.guard.place) == (context.entry, context.place):
            return one
    return None


def _kind(
    index: Index, context: Context, report: Report, asked: Sequence[Asked]
) -> tuple[Kind | None, str]:
    """Return how a context can be replayed; if it cannot, why.

    What tells is where the path starts and what it needs, not what the context is called.
    """
    question = _question(context, asked)
    if question is None or not context.context.isidentifier():
        return None, "its states are not known"
    start = question.terms.path.lowered.start.file
    if start.startswith(_SVM):
        if not _loads_nested_state(index):
            return None, "SVM of this tree has no KVM_SET_NESTED_STATE, so L1 would have to run"
        return "guest_mmu", ""
    if start.startswith(_EPT):
        return None, "nested EPT is not replayed: an emulator has SVM only"
    if _walks_for_l2(question):
        return None, f"{context.context} would need page tables of L2's own"
    others = [_question(other, asked) for other in report.contexts]
    if _is_shadow(context) or any(_excludes(question, other) for other in others):
        return None, "shadow paging (TDP off) is not replayed"
    return "root_mmu", ""


def _walks_for_l2(question: Asked) -> bool:
    """Tell whether a path needs a pointer of the vCPU to select what L2 is walked with."""
    path = question.question.path
    selections = [one for one in bits.symbols([path]) if " == &" in one.name]
    return any(can_hold([path, bits.negate(one)]) is False for one in selections)


def _is_shadow(context: Context) -> bool:
    """Tell whether the guest's registers decide how deep KVM's own page tables are."""
    names = [i.name for one in context.fields if one.name == _DEPTH for i in one.inputs]
    return any(map(is_register, names))


def _excludes(question: Asked | None, other: Asked | None) -> bool:
    """Tell whether a path needs a flag to be off that another path needs on."""
    if question is None or other is None or _walks_for_l2(other):
        return False
    path, rival = question.question.path, other.question.path
    flags = bits.symbols([path]) & bits.symbols([rival])
    return any(
        can_hold([path, flag]) is False and can_hold([rival, bits.negate(flag)]) is False
        for flag in sorted(flags)
    )


def is_register(name: str) -> bool:
    """Tell whether an input is a bit of CR0, CR4 or EFER."""
    return name.partition(".")[0] in REGISTER_BITS


def _loads_nested_state(index: Index) -> bool:
    """Tell whether SVM knows the format of KVM_SET_NESTED_STATE, by its name in the ABI."""
    return any(file.path.startswith(_SVM) for file in index.files_with(_FORMAT))


def _shown(
    context: Context, field: FieldResult, predictions: Sequence[Prediction]
) -> Iterator[Test]:
    """Yield the tests that show each missing input, by as few differences as can be."""
    kind = predictions[0].kind
    pairs = list(_pairs(field, kind))
    left = set(_loadable(field, kind))
    while left:
        best: tuple[int, int, Test] | None = None
        for number, (a, b) in enumerate(pairs):
            names = {f"{register}.{bit}" for register, bit in a.bits ^ b.bits}
            if not names & left:
                continue
            test = _test(context, predictions, a, b, tuple(sorted(names & left)))
            if test is not None and (best is None or (len(names), number) < best[:2]):
                best = len(names), number, test
        if best is None:
            return
        left -= set(best[2].inputs)
        yield best[2]


def _loadable(field: FieldResult, kind: Kind) -> Iterator[str]:
    """Yield the missing inputs that lie in the registers a program loads."""
    for given in field.inputs:
        if given.name in field.missing and not given.covered_by:
            if is_own(given.source) == (kind == "root_mmu"):
                yield given.name


def _pairs(field: FieldResult, kind: Kind) -> Iterator[tuple[State, State]]:
    """Yield the pairs that may show a gap: the witness, then the paging modes."""
    for witness in field.pairs[:1]:
        a, b = (_loaded(kind, side, witness.sources) for side in (witness.a, witness.b))
        if a is not None and b is not None and a != b:
            yield named(a, "state A"), named(b, "state B")
    yield from combinations(modes_of(kind), 2)


def _loaded(
    kind: Kind, values: tuple[tuple[str, int], ...], sources: tuple[str, ...]
) -> frozenset[Bit] | None:
    """Return the bits that a program loads for one side of a witness, None if it cannot."""
    held: set[Bit] = set()
    for (name, value), source in zip(values, sources, strict=True):
        register, _, bit = name.partition(".")
        if register not in REGISTER_BITS:
            continue
        if is_own(source) == (kind == "root_mmu"):
            if value:
                held.add((register, bit))
        elif value:
            return None
    if kind == "guest_mmu":
        held.add(("CR0", "PG"))
    return closed(frozenset(held)) - ALWAYS


def _test(
    context: Context,
    predictions: Sequence[Prediction],
    a: State,
    b: State,
    inputs: tuple[str, ...],
) -> Test | None:
    """Return the test of two states; None where the check does not say that it shows a gap."""
    able = [one for one in predictions if one.stale(a, b) and one.stale(b, a)]
    if not able:
        return None
    first = able[0]
    levels = None if len(able) == len(predictions) else first.levels
    sides = first.expected(a), first.expected(b)
    start = first.start(a, b) if first.kind == "root_mmu" else OFF
    if sides[0] is None or sides[1] is None or start is None:
        return None
    return Test(
        first.kind, context.context, context.initialiser, start, sides[0], sides[1], inputs, levels
    )
