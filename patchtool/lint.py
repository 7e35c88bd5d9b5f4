# SPDX-License-Identifier: GPL-2.0-only
"""What a change brings in: the verdicts before and after, and the difference.

In: a base, and the trees after each change on top of it.  Out: one report that holds
what is new, what was closed and what was there, with the state of each finding.  A tree
is decided only where the change before it touched something that the verdict rests on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from patchtool.model import (
    Context,
    FieldResult,
    Finding,
    Place,
    Remark,
    Report,
    Suppressed,
    Unknown,
    Verdict,
)

if TYPE_CHECKING:
    from patchtool.slices import Lens, Recorder
    from patchtool.source import Source
    from patchtool.suppress import Suppression

State = Literal["new", "existing", "closed"]

_CLEAN: tuple[Verdict, ...] = ("covered", "not-guarded")

_Key = tuple[tuple[str, ...], str, str]
"""The way to a guard, the context and the field: what a verdict is about."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change: what to call it, the tree after it, and the files that it touches.

    ``before`` opens the tree before it, which is the one after the step before.
    """

    label: str
    before: Callable[[], Source | None]
    after: Callable[[], Source]
    paths: frozenset[str]


@dataclass(frozen=True, slots=True)
class News:
    """The answer of a lint: a report to print and what became of each finding in it."""

    report: Report
    states: Mapping[Finding, State]
    decisions: int


@dataclass(slots=True)
class _Decided:
    """The verdict on one tree, with what is needed to tell whether it still holds."""

    report: Report
    index: Recorder
    fields: tuple[str, ...]
    seen: Lens | None = None

    def lens(self) -> Lens:
        """Return what the verdict was made from."""
        if self.seen is None:
            self.seen = self.index.lens(self.report, self.fields)
        return self.seen


@dataclass(slots=True)
class _Collected:
    """What was found out so far."""

    findings: list[Finding] = field(default_factory=list)
    states: dict[Finding, State] = field(default_factory=dict)
    contexts: dict[tuple[Place, tuple[str, ...]], Context] = field(default_factory=dict)
    unknowns: list[Unknown] = field(default_factory=list)
    suppressed: list[Suppressed] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def add(self, finding: Finding, state: State, report: Report, suffix: str) -> None:
        """Take over a finding with the verdict that it stands for."""
        told = replace(finding, message=finding.message + suffix)
        if told in self.states:
            return
        self.states[told] = state
        by = next((one for one in report.suppressed if one.finding == finding), None)
        if by is None:
            self.findings.append(told)
        else:
            self.suppressed.append(replace(by, finding=told))
        for context in report.contexts:
            if (context.place, context.entry) != (finding.place, finding.entry):
                continue
            results = tuple(one for one in context.fields if one.name == finding.field)
            key = (context.place, context.entry)
            held = self.contexts.get(key)
            before = held.fields if held is not None else ()
            more = tuple(one for one in results if one not in before)
            self.contexts[key] = replace(context, fields=(*before, *more))


def lint(label: str, steps: Sequence[Step], fields: tuple[str, ...], everything: bool) -> News:
    """Decide as few trees as possible and collect what each step brings in.

    EVERYTHING asks for what is closed and what was there before, too.
    """
    series = _Series(label, fields, everything)
    many = len(steps) > 1
    for number, step in enumerate(steps):
        suffix = f"; brought in by {step.label}" if many and step.label else ""
        series.take(step, suffix, number == len(steps) - 1)
    return series.news()


class _Series:
    """Walks along a series of changes."""

    def __init__(self, label: str, fields: tuple[str, ...], everything: bool) -> None:
        self._label = label
        self._fields = fields
        self._everything = everything
        self._now: _Decided | None = None
        self._last: Report | None = None
        self._found = _Collected()
        self._decisions = 0

    def take(self, step: Step, suffix: str, last: bool) -> None:
        """Compare the trees before and after one step."""
        if not step.paths:
            return
        before, after = self._now, None
        if before is None:
            after = self._decide(step.after())
            quiet = after.report.verdict in _CLEAN and not after.report.remarks
            if quiet and not self._everything:
                self._now = after
                return
            if self._same(after, step):
                self._settle(after, after, suffix, touched=False)
                return
            first = step.before()
            before = None if first is None else self._decide(first)
        elif self._same(before, step):
            return
        if after is None:
            after = self._decide(step.after())
        self._settle(before, after, suffix, touched=True)

    def _settle(self, before: _Decided | None, after: _Decided, suffix: str, touched: bool) -> None:
        self._now = after
        old = before.report if before is not None else Report(self._label, None)
        new, existing, closed = compare(old, after.report)
        for one in new:
            self._found.add(one, "new", after.report, suffix)
        known = Counter(map(_remark, old.remarks))
        for remark in after.report.remarks if touched else ():
            if known[_remark(remark)]:
                known[_remark(remark)] -= 1
            else:
                self._found.remarks.append(replace(remark, problem=remark.problem + suffix))
        if touched:
            self._found.unknowns += [
                replace(one, reason=one.reason + suffix) for one in undecided(old, after.report)
            ]
        if self._everything:
            for one in existing:
                self._found.add(one, "existing", after.report, "")
            for one in closed:
                self._found.add(one, "closed", old, suffix.replace("brought in", "closed"))

    def _decide(self, source: Source) -> _Decided:
        from patchtool.slices import Recorder
        from patchtool.suppress import checked

        self._decisions += 1
        report, index = checked(source, self._fields, Recorder)
        report = replace(report, tree=self._label)
        self._last = report
        return _Decided(report, index, self._fields)

    def _same(self, decided: _Decided, step: Step) -> bool:
        """Tell whether a step leaves alone all that a verdict rests on."""
        from patchtool.slices import Slicer
        from patchtool.suppress import find

        before, after = step.before(), step.after()
        if before is None:
            return False
        raw = [(path, before.read(path), after.read(path)) for path in sorted(step.paths)]
        if any(
            _accepting(find(p, old or b"")) != _accepting(find(p, new or b""))
            for p, old, new in raw
        ):
            return False
        texts = [(path, _code(old), _code(new)) for path, old, new in raw]
        changed = [one for one in texts if one[1] != one[2]]
        if not changed:
            return True
        lens = decided.lens()
        slicer = Slicer(lens)
        return all(
            slicer.slice(path, old or b"") == slicer.slice(path, new or b"")
            and ((old is None) == (new is None) or path not in lens.paths)
            for path, old, new in changed
        )

    def news(self) -> News:
        """Return the report on what was collected."""
        found = self._found
        verdict: Verdict = "covered"
        if "new" in found.states.values():
            # Suppressed or not: what is accepted is no proof.
            verdict = "gap"
        elif found.unknowns:
            verdict = "unknown"
        base = self._last or Report(self._label, None)
        report = replace(
            base,
            contexts=tuple(found.contexts.values()),
            findings=tuple(found.findings),
            unknowns=tuple(dict.fromkeys(found.unknowns)),
            suppressed=tuple(found.suppressed),
            remarks=tuple(found.remarks),
            verdict=verdict,
        )
        return News(report, found.states, self._decisions)


def _code(data: bytes | None) -> bytes | None:
    """Return a file without comments and blank lines: no verdict rests on those."""
    if data is None:
        return None
    from patchtool.scan import strip_comments

    lines = (line.rstrip() for line in strip_comments(data).split(b"\n"))
    return b"\n".join(line for line in lines if line)


def _accepting(suppressions: Iterable[Suppression]) -> list[tuple[str, str]]:
    """Return what some suppressions say, wherever they stand."""
    return [(one.rule, one.reason) for one in suppressions]


def _remark(one: Remark) -> tuple[str, str]:
    """Return what tells a remark from another, however the lines move."""
    return one.place.file, one.problem


# -- the difference between two reports ----------------------------------------------------


def compare(before: Report, after: Report) -> tuple[list[Finding], list[Finding], list[Finding]]:
    """Return what is new in the second report, what both have, and what was closed."""
    old, now = _findings(before), _findings(after)
    earlier, verdicts = _results(before), _results(after)
    gone = {key: one for key, one in old.items() if key not in verdicts}
    matched: set[_Key] = set()
    new: list[Finding] = []
    existing: list[Finding] = []
    for key, finding in now.items():
        # A way that was not there before may be the same one under another name.
        at = key if key in earlier else _renamed(key, gone)
        match = old.get(at) if at is not None else None
        if at is not None and match is not None:
            matched.add(at)
        if match is not None and set(finding.missing) <= set(match.missing):
            if _counts(finding, after) and not _counts(match, before):
                withdrawn = f"{finding.message}; it is no longer suppressed"
                new.append(replace(finding, message=withdrawn))
                continue
            existing.append(finding)
        else:
            new.append(finding)
    closed = [
        one
        for key, one in old.items()
        if key not in matched
        and (verdicts[key].verdict == "covered" if key in verdicts else after.verdict != "unknown")
    ]
    return new, existing, closed


def undecided(before: Report, after: Report) -> list[Unknown]:
    """Return what the second report leaves open, and says so where the first did too.

    Whether a change makes worse what nobody could decide is not known either.
    """
    if after.verdict in _CLEAN:
        return []
    known = {(one.place.file, one.place.function, one.reason) for one in before.unknowns}
    found = [
        replace(one, reason=f"{one.reason} (as before the change)")
        if (one.place.file, one.place.function, one.reason) in known
        else one
        for one in after.unknowns
    ]
    if found:
        return found
    return [
        Unknown(context.place, "; ".join((f"{one.name} is not decided", *one.reasons)))
        for context in after.contexts
        for one in context.fields
        if one.verdict == "unknown"
    ] or (
        [Unknown(Place("arch/x86/kvm", 1), "nothing was decided")]
        * (not (after.findings or after.suppressed))
    )


def _key(context: Context, name: str) -> _Key:
    return context.entry, context.context, name


def _results(report: Report) -> dict[_Key, FieldResult]:
    return {_key(c, one.name): one for c in report.contexts for one in c.fields}


def _counts(finding: Finding, report: Report) -> bool:
    """Tell whether a report does not suppress one of its findings."""
    return all(one.finding != finding for one in report.suppressed)


def _findings(report: Report) -> dict[_Key, Finding]:
    """Return the findings by what they are about, suppressed ones too."""
    contexts = {(c.place, c.entry): c for c in report.contexts}
    found: dict[_Key, Finding] = {}
    for one in (*report.findings, *(one.finding for one in report.suppressed)):
        context = contexts.get((one.place, one.entry))
        name = context.context if context is not None else ""
        found[(one.entry, name, one.field)] = one
    return found


def _renamed(key: _Key, gone: Mapping[_Key, Finding]) -> _Key | None:
    """Return a way with a gap that is gone, for the same context and field."""
    return next((old for old in gone if old[1:] == key[1:]), None)
