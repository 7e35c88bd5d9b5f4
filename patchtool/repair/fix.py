# SPDX-License-Identifier: GPL-2.0-only
"""Search for role bits that close the gaps of a tree, and keep what is proved.

In: a source and the fields to decide.  Out: repairs in the order of a series, each
with the report before and after it, and every gap that stays open with the reason.
A candidate counts only once a check of the tree with it has said what it closes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from patchtool.c.index import Index
from patchtool.model import SEVERITY, Context, FieldResult, Report
from patchtool.outside.source import Overlay, Source
from patchtool.repair import edit_sites
from patchtool.repair.edit_sites import Candidate
from patchtool.repair.register_access import parse_bit
from patchtool.rules import stale_mmu_role as rule

Key = tuple[str, str, tuple[str, ...], str]
"""A field on a path: initialiser, context, entry, field.  Lines move, these do not."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file before and after."""

    path: str
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Repair:
    """One logical change and the proof of what it does."""

    input: str
    candidate: Candidate
    before: Report
    after: Report
    closed: tuple[Key, ...]
    files: tuple[FileChange, ...]


@dataclass(frozen=True, slots=True)
class OpenGap:
    """An input that no verified change covers on one path."""

    key: Key
    input: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that one search found; ``checks`` counts how often a tree was decided."""

    first: Report
    last: Report
    repairs: tuple[Repair, ...]
    open: tuple[OpenGap, ...]
    checks: int


def search(
    source: Source,
    fields: Sequence[str] = rule.DEFAULT_FIELDS,
    left: Callable[[Report], Mapping[str, str]] | None = None,
) -> Outcome:
    """Find a series of role bits that closes what bits can close.

    LEFT tells, of the first report, which inputs to leave alone, and why.
    """
    return _Search(source, fields).run(left)


def results(report: Report) -> dict[Key, tuple[Context, FieldResult]]:
    """Return the verdicts of a report by path and field."""
    return {
        (context.initialiser, context.context, context.entry, one.name): (context, one)
        for context in report.contexts
        for one in context.fields
    }


def gaps(report: Report) -> dict[Key, FieldResult]:
    """Return the gaps of a report by path and field."""
    return {key: one for key, (_, one) in results(report).items() if one.verdict == "gap"}


class _Search:
    """One search: the tree as it is so far, and what was tried."""

    def __init__(self, source: Source, fields: Sequence[str]) -> None:
        self._source = source
        self._fields = fields
        self._edits: dict[str, bytes | None] = {}
        self._checks = 0
        self._failed: dict[str, str] = {}
        self._repairs: list[Repair] = []

    def run(self, left: Callable[[Report], Mapping[str, str]] | None = None) -> Outcome:
        """Add one bit after the other until none helps."""
        index = Index(self._source, rule.TARGET)
        first = report = self._check(index)
        self._failed.update(left(first) if left is not None else {})
        while (name := self._next(report)) is not None:
            repair = self._repair(index, report, name)
            if repair is None:
                continue
            self._repairs.append(repair)
            self._failed.setdefault(name, "")
            self._edits.update({one.path: one.after for one in repair.files})
            index = Index(Overlay(self._source, self._edits), rule.TARGET)
            report = repair.after
        return Outcome(first, report, tuple(self._repairs), tuple(self._open(report)), self._checks)

    def _check(self, index: Index) -> Report:
        self._checks += 1
        return rule.check(index, self._fields, self._source.label, self._source.rev)

    def _next(self, report: Report) -> str | None:
        """Return the input to close next: one that a witness shows alone comes first."""
        open_ = gaps(report)
        names = {n for one in open_.values() for n in one.missing if n not in self._failed}
        alone = {
            one.witness.differs[0]
            for one in open_.values()
            if one.witness is not None and len(one.witness.differs) == 1
        }
        return min(names, key=lambda name: (name not in alone, name), default=None)

    def _repair(self, index: Index, report: Report, name: str) -> Repair | None:
        """Try the candidates for one input; None, and the reason kept, if none helps."""
        bit = parse_bit(name)
        if bit is None:
            self._failed[name] = f"{name} is no bit of a register, so one bit cannot carry it"
            return None
        proposal = edit_sites.propose(index, report, bit)
        best: Repair | None = None
        for candidate in proposal.candidates:
            repair = self._try(index, report, name, candidate)
            if repair is None:
                continue
            if best is None or len(repair.closed) > len(best.closed):
                best = repair
            if self._is_complete(repair):
                break
        if best is None:
            tried = len(proposal.candidates)
            self._failed[name] = proposal.reason or f"none of {tried} candidates closes it"
        return best

    def _try(self, index: Index, before: Report, name: str, candidate: Candidate) -> Repair | None:
        """Check the tree with a candidate; None unless it closes something and harms nothing."""
        changed = edit_sites.edited(index, candidate.edits)
        overlay = Overlay(self._source, {**self._edits, **changed})
        after = self._check(Index(overlay, rule.TARGET))
        if _is_worse(before, after):
            return None
        still = gaps(after)
        closed = tuple(
            key
            for key, one in gaps(before).items()
            if name in one.missing and (key not in still or name not in still[key].missing)
        )
        files = tuple(
            FileChange(path, index.source.read(path) or b"", data)
            for path, data in sorted(changed.items())
        )
        return Repair(name, candidate, before, after, closed, files) if closed else None

    def _is_complete(self, repair: Repair) -> bool:
        """Tell whether no other bit for this input could close more.

        A path stays open for good where the field follows the input from a place that
        the closed paths do not read it from.
        """
        before = gaps(repair.before)
        read = {s for key in repair.closed for s in _uncovered(before[key], repair.input)}
        return all(
            set(_uncovered(one, repair.input)) - read
            for one in gaps(repair.after).values()
            if repair.input in one.missing
        )

    def _open(self, report: Report) -> Iterator[OpenGap]:
        for key, one in sorted(gaps(report).items(), key=lambda item: item[0]):
            for name in one.missing or ("",):
                yield OpenGap(key, name, self._why(report, one, name))

    def _why(self, report: Report, one: FieldResult, name: str) -> str:
        """Say why an input stays open on one path."""
        if not name:
            told = "; ".join(map(str, one.reasons))
            return told or "a full set-up does not store it on every path"
        bit = parse_bit(name)
        here = tuple(_uncovered(one, name))
        elsewhere = _carried(report, f".{bit.member}", name) if bit is not None else ()
        foreign = [source for source in here if source not in elsewhere]
        if bit is not None and elsewhere and foreign:
            return (
                f"{one.member} follows {foreign[0]} here, and the role bit {bit.member} "
                f"follows {elsewhere[0]}; no further bit changes that, the role must be "
                f"calculated from what the set-up uses"
            )
        return self._failed.get(name) or "the bit that closes other paths does not reach this one"


def _uncovered(one: FieldResult, name: str) -> Iterator[str]:
    """Yield where an input is read that no role bit carries."""
    for given in one.inputs:
        if given.name == name and not given.covered_by:
            yield given.source


def _carried(report: Report, suffix: str, name: str) -> tuple[str, ...]:
    """Return where the input is read that a role bit carries, on any path."""
    found = {
        given.source: None
        for _, one in results(report).values()
        for given in one.inputs
        if given.name == name and any(label.endswith(suffix) for label in given.covered_by)
    }
    return tuple(found)


def _is_worse(before: Report, after: Report) -> bool:
    """Tell whether a change did harm anywhere."""
    old, new = results(before), results(after)
    if len(after.unknowns) > len(before.unknowns) or old.keys() != new.keys():
        return True
    for key, (_, one) in new.items():
        was = old[key][1]
        if SEVERITY[one.verdict] > SEVERITY[was.verdict] or set(one.missing) - set(was.missing):
            return True
    return False
