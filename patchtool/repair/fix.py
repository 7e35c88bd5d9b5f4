# SPDX-License-Identifier: GPL-2.0-only
"""Search for changes that close the gaps of a tree, and keep what is proved.

In: a source and the fields to decide.  Out: repairs in the order of a series, each
with the report before and after it, and every gap that stays open with the reason.
A candidate counts only once a check of the tree with it has said what it closes.

An input gets a member of the role, as wide as it is, or as what a set-up is handed of it;
where that cannot be, or where user space tells a guest of its CPU, the stored roles are made
invalid behind a change of it.  A field that keeps old bits is cleared first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from patchtool.c.index import Index
from patchtool.model import SEVERITY, Context, FieldResult, Report, Unknown
from patchtool.outside.source import Overlay, Source
from patchtool.repair import clearing, edit_sites, handed, invalidating
from patchtool.repair.edit_sites import Candidate, Proposal
from patchtool.repair.input_access import value_of
from patchtool.repair.register_access import parse_bit
from patchtool.rules.table import USUAL, Rule

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
    """The input that it is for; of a field that is cleared first, the field."""
    candidate: Candidate
    before: Report
    after: Report
    closed: tuple[Key, ...]
    files: tuple[FileChange, ...]
    inputs: tuple[str, ...] = ()
    """All inputs that no path misses after it, and some did before."""
    is_more: bool = False
    """Whether an earlier one is for that input too, on paths that read it elsewhere."""


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
    fields: Sequence[str] = (),
    left: Callable[[Report], Mapping[str, str]] | None = None,
    rule: Rule = USUAL,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Find a series of role bits that closes what bits can close.

    FIELDS are those to decide, or the rule's usual ones.  LEFT tells, of the first report,
    which inputs to leave alone, and why.  PROGRESS is told how many checks are done, of how
    many is not known: 0.
    """
    return _Search(source, rule, fields, progress).run(left)


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


class _Task(NamedTuple):
    """What to close: an input that roles miss, or a field that keeps old bits."""

    name: str
    is_field: bool = False
    is_handed: bool = False
    """Whether set-ups are handed it, where roles follow the vCPU's own."""


class _Search:
    """One search: the tree as it is so far, and what was tried."""

    def __init__(
        self,
        source: Source,
        rule: Rule,
        fields: Sequence[str],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._source = source
        self._progress = progress
        self._rule = rule
        self._fields = fields
        self._edits: dict[str, bytes | None] = {}
        self._checks = 0
        self._failed: dict[str, str] = {}
        self._handed: dict[str, str] = {}
        self._doubts: list[str] = []
        """What stopped candidates that may have closed something."""
        self._repairs: list[Repair] = []

    def run(self, left: Callable[[Report], Mapping[str, str]] | None = None) -> Outcome:
        """Make one change after the other until none helps."""
        index = Index(self._source, self._rule.target)
        first = report = self._check(index)
        self._failed.update(left(first) if left is not None else {})
        if left is not None:  # what upstream did for an input it did not do so
            self._handed.update(dict.fromkeys(_missed(gaps(first)), ""))
        while (task := self._next(index, report)) is not None:
            if task.is_handed:
                self._handed[task.name] = ""
            repair = self._repair(index, report, task)
            if repair is None:
                continue
            is_more = any(one.input == repair.input for one in self._repairs)
            self._repairs.append(replace(repair, is_more=is_more))
            self._failed.setdefault(task.name, "")
            self._edits.update({one.path: one.after for one in repair.files})
            index = Index(Overlay(self._source, self._edits), self._rule.target)
            report = repair.after
        return Outcome(
            first, report, tuple(self._repairs), tuple(self._open(index, report)), self._checks
        )

    def _check(self, index: Index) -> Report:
        report = self._rule.check(index, self._fields, self._source.label, self._source.rev)
        self._checks += 1
        if self._progress is not None:
            self._progress(self._checks, 0)
        return report

    def _next(self, index: Index, report: Report) -> _Task | None:
        """Return what to close next.

        A register bit comes first, one that a witness shows alone before others, then what
        the vCPU keeps, then what is looked up where user space told it; then a field that
        keeps old bits, and bits that roles carry as they are elsewhere.
        """
        open_ = gaps(report)
        names = _missed(open_) - self._failed.keys()
        alone = {
            one.witness.differs[0]
            for one in open_.values()
            if one.witness is not None and len(one.witness.differs) == 1
        }

        def order(name: str) -> tuple[bool, bool, bool, str]:
            told = invalidating.is_told(index, c_text(report, name))
            return parse_bit(name) is None, told, name not in alone, name

        if names:
            return _Task(min(names, key=order))
        adding = {one.member for one in open_.values() if one.accumulated is not None}
        adding -= self._failed.keys()
        if adding:
            return _Task(min(adding), is_field=True)
        handed_ = {
            name
            for one in open_.values()
            for name in one.missing
            if self._foreign(report, one, name) is not None
        }
        handed_ -= self._handed.keys()
        return _Task(min(handed_), is_handed=True) if handed_ else None

    def _repair(self, index: Index, report: Report, task: _Task) -> Repair | None:
        """Try the candidates for one task; None, and the reason kept, if none helps."""
        reasons: list[str] = []
        tried = 0
        self._doubts = []
        for propose in self._ways(index, report, task):
            proposal = propose()
            best: Repair | None = None
            for candidate in proposal.candidates:
                repair = self._try(index, report, task, candidate)
                if repair is None:
                    continue
                if best is None or len(repair.closed) > len(best.closed):
                    best = repair
                if self._is_complete(repair):
                    break
            if best is not None:
                return best
            tried += len(proposal.candidates)
            reasons += [proposal.reason] if proposal.reason else []
        if tried:
            reasons.append(f"none of {tried} candidate{'s' * (tried != 1)} closes it")
            reasons += self._doubts[:1]
        failed = self._handed if task.is_handed else self._failed
        failed[task.name] = "; ".join(dict.fromkeys(reasons))
        return None

    def _ways(self, index: Index, report: Report, task: _Task) -> Iterator[Callable[[], Proposal]]:
        """Yield the kinds of change to try for a task, the one to be preferred first."""
        name = task.name
        if task.is_field:
            yield lambda: clearing.propose(index, report, name)
            return
        bit = parse_bit(name)
        if bit is not None and task.is_handed:
            yield lambda: handed.propose_bit(index, report, bit)
            return
        if bit is not None:
            yield lambda: edit_sites.propose(index, report, bit)
            return
        c = c_text(report, name)
        told = invalidating.is_told(index, c)
        texts = [c]
        if told:  # one change invalidates for all that is told
            more = sorted(_missed(gaps(report)) - self._failed.keys() - {name})
            others = (c_text(report, one) for one in more)
            texts += [one for one in others if invalidating.is_told(index, one)]
            yield lambda: invalidating.propose(index, report, name, texts)
        yield lambda: _member(index, report, name)
        yield lambda: handed.propose(index, report, name, c)
        if not told and re.search(r"->|\.", c):
            yield lambda: invalidating.propose(index, report, name, texts)

    def _try(
        self, index: Index, before: Report, task: _Task, candidate: Candidate
    ) -> Repair | None:
        """Check the tree with a candidate; None unless it closes something and harms nothing."""
        name = task.name
        changed = edit_sites.edited(index, candidate.edits)
        overlay = Overlay(self._source, {**self._edits, **changed})
        after = self._check(Index(overlay, self._rule.target))
        was = gaps(before)
        self._doubts += _doubts(before, after, task, candidate)
        if _is_worse(before, after):
            return None
        inputs: tuple[str, ...] = (name,)
        if candidate.kind in ("handed", "invalidation"):
            inputs = tuple(sorted(_found(was, results(after))))
            if name not in inputs:
                return None
        closed = tuple(
            key
            for key, one in was.items()
            if _is_closed(one, results(after)[key][1], () if task.is_field else inputs)
        )
        files = tuple(
            FileChange(path, index.source.read(path) or b"", data)
            for path, data in sorted(changed.items())
        )
        return Repair(name, candidate, before, after, closed, files, inputs) if closed else None

    def _is_complete(self, repair: Repair) -> bool:
        """Tell whether no other bit for this input could close more.

        A path stays open for good where the field follows the input from a place that
        the closed paths do not read it from.
        """
        if repair.candidate.kind != "member":
            return repair.input not in {
                n for one in gaps(repair.after).values() for n in one.missing
            }
        before = gaps(repair.before)
        read = {s for key in repair.closed for s in _uncovered(before[key], repair.input)}
        return all(
            set(_uncovered(one, repair.input)) - read
            for one in gaps(repair.after).values()
            if repair.input in one.missing
        )

    def _open(self, index: Index, report: Report) -> Iterator[OpenGap]:
        for key, one in sorted(gaps(report).items(), key=lambda item: item[0]):
            for name in one.missing:
                yield OpenGap(key, name, self._why(index, report, one, name))
            if one.accumulated is not None:
                why = self._failed.get(one.member) or "clearing it elsewhere does not reach here"
                yield OpenGap(key, "", f"a full set-up keeps bits of an earlier one; {why}")
            if one.unlike is not None:
                yield OpenGap(key, "", "a set-up that is skipped stores it as well, and otherwise; "
                              "store the same whether it is skipped or not")  # fmt: skip
            if one.before:
                told = "; ".join(map(str, one.reasons))
                yield OpenGap(key, "", f"{told}; store it behind what it goes by")
            if "partial" in one.kinds:
                told = "; ".join(map(str, one.reasons))
                words = told or "a full set-up does not store it on every path"
                yield OpenGap(key, "", f"{words}; store it on every path of the set-up")

    @staticmethod
    def _foreign(report: Report, one: FieldResult, name: str) -> tuple[str, str] | None:
        """Return where a field has a bit from, and where the role bit for it has its own."""
        bit = parse_bit(name)
        elsewhere = _carried(report, f".{bit.member}", name) if bit is not None else ()
        here = [source for source in _uncovered(one, name) if source not in elsewhere]
        return (here[0], elsewhere[0]) if elsewhere and here else None

    def _why(self, index: Index, report: Report, one: FieldResult, name: str) -> str:
        """Say why an input stays open on one path."""
        bit = parse_bit(name)
        foreign = self._foreign(report, one, name)
        if bit is not None and foreign is not None:
            tried = self._handed.get(name)
            return (
                f"what is stored follows {foreign[0]} here, and the role bit {bit.member} "
                f"follows {foreign[1]}; the role must be calculated from what the set-up uses"
                f"{f', but {tried}' if tried else ''}"
            )
        why = self._failed.get(name)
        c = c_text(report, name)
        if bit is None and why and re.search(r"->|\(", c):
            return f"{why}; {invalidating.advice(index, report, name, c)}"
        return why or "the change that closes other paths does not reach this one"


def _member(index: Index, report: Report, name: str) -> Proposal:
    """Return the candidates that let a member of the role carry an input, as wide as it is."""
    value = value_of(index, name, c_text(report, name), report.contexts[0].place.file)
    return (
        Proposal((), value) if isinstance(value, str) else edit_sites.propose(index, report, value)
    )


def c_text(report: Report, name: str) -> str:
    """Return the C text that reads an input, where no role carries it if there is such a place."""
    read = [
        (bool(given.covered_by), given.source)
        for _, one in results(report).values()
        for given in one.inputs
        if given.name == name
    ]
    return min(read, key=lambda one: one[0])[1] if read else name


def _missed(open_: Mapping[Key, FieldResult]) -> set[str]:
    """Return the inputs that roles miss."""
    return {name for one in open_.values() for name in one.missing}


def _doubts(before: Report, after: Report, task: _Task, candidate: Candidate) -> Iterator[str]:
    """Yield why a candidate does not close what it is for, or why nobody knows whether it does."""
    was, with_it = gaps(before), f"with `{' '.join(candidate.statements)}`"
    is_open = False
    for key, (_, one) in results(after).items():
        gap = was.get(key)
        if gap is None or task.name not in ((gap.member,) if task.is_field else gap.missing):
            continue
        is_open = is_open or task.name in one.missing
        if one.verdict == "unknown":
            why = "; ".join(map(str, one.reasons)) or "; ".join(map(_said, after.unknowns))
            yield f"{with_it} it is not decided: {why}"
    yield from (
        f"{with_it} this is not understood: {_said(one)}"
        for one in after.unknowns
        if one not in before.unknowns
    )
    if is_open:
        yield f"{with_it} it depends on {task.name} as before"


def _said(unknown: Unknown) -> str:
    return f"{unknown.place.file}:{unknown.place.line}: {unknown.reason}"


def _found(
    was: Mapping[Key, FieldResult], now: Mapping[Key, tuple[Context, FieldResult]]
) -> set[str]:
    """Return the inputs that roles miss no longer on a path where they did."""
    return {
        name
        for key, one in was.items()
        for name in one.missing
        if _is_closed(one, now[key][1], (name,))
    }


def _is_closed(was: FieldResult, now: FieldResult, inputs: Sequence[str]) -> bool:
    """Tell whether it is proved that a gap no longer misses one of some inputs.

    Without any: that it no longer keeps old bits.
    """
    if now.verdict not in ("covered", "gap"):
        return False
    if not inputs:
        return was.accumulated is not None and now.accumulated is None
    return bool(set(inputs) & (set(was.missing) - set(now.missing)))


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
        if one.verdict == was.verdict == "gap" and set(one.kinds) - set(was.kinds):
            return True
    return False
