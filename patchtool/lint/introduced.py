# SPDX-License-Identifier: GPL-2.0-only
"""What a change brings in: the verdicts before and after, and the difference.

In: a base, and the trees after each change on top of it.  Out: one report that holds
what is new, what was closed and what was there, with the state of each finding.  A tree
is decided only where the change before it touched something that the verdict rests on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from patchtool.errors import NoMember
from patchtool.model import (
    Anchor,
    Consulted,
    Context,
    FieldResult,
    Finding,
    Kind,
    Place,
    Remark,
    Report,
    Suppressed,
    Unknown,
    Verdict,
)

if TYPE_CHECKING:
    from patchtool.history.lens import Lens, Recorder
    from patchtool.lint.anchor import Change, Mover
    from patchtool.lint.suppress import Suppression
    from patchtool.outside.source import Source
    from patchtool.rules.table import Rule
    from patchtool.world.entries import Ways

State = Literal["new", "existing", "closed"]
"""What a change has to do with a finding."""

AS_BEFORE = "(as before the change)"
"""What ends the reason of a place that nobody understood before either."""
_NOT_DECIDED = "whether that is new is not known, as it was not decided before"
_CLEAN: tuple[Verdict, ...] = ("covered", "not-guarded")

_Move = Callable[[Place], Place]

_Key = tuple[tuple[str, ...], str, str]
"""The way to a guard, the context and the field: what a verdict is about."""

_Wrong = tuple[_Key, Kind]
"""One thing that is wrong with a field: a skip may leave it stale that keeps old bits as well."""


class Step(NamedTuple):
    """One change: what to call it, the tree after it, and the files that it touches.

    ``before`` opens the tree before it, which is the one after the step before; ``besides`` open
    what it was merged with, where that is known and so brings in nothing.
    """

    label: str
    before: Callable[[], Source | None]
    after: Callable[[], Source]
    paths: frozenset[str]
    besides: tuple[Callable[[], Source], ...] = ()


class News(NamedTuple):
    """The answer of a lint: a report to print and what became of each finding in it."""

    report: Report
    states: Mapping[Finding, State]
    anchors: Mapping[Finding | Unknown, Anchor]
    """The line of the change that each new finding and undecided place comes from."""


class _Decided:
    """The verdict on one tree, with what is needed to tell whether it still holds."""

    def __init__(
        self,
        report: Report,
        source: Source,
        index: Recorder,
        rule: Rule,
        fields: tuple[str, ...],
    ) -> None:
        self.report, self.source, self.index = report, source, index
        self._names = (*rule.fields, *fields)
        self.seen: Lens | None = None

    @property
    def functions(self) -> frozenset[str]:
        """The functions that the verdict rests on."""
        return frozenset(one.name for one in self.report.ledger if one.kind == "function")

    def lens(self) -> Lens:
        """Return what the verdict was made from."""
        if self.seen is None:
            self.seen = self.index.lens(self.report, self._names)
        return self.seen


class _Collected:
    """What was found out so far."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.states: dict[Finding, State] = {}
        self._known: set[tuple[object, ...]] = set()
        self.anchors: dict[Finding | Unknown, Anchor] = {}
        self.contexts: dict[tuple[Place, tuple[str, ...], str], Context] = {}
        self.unknowns: list[Unknown] = []
        self.open: set[tuple[str, str, str]] = set()
        """File, function and reason of each of them, as the tree has it that it is of."""
        self.suppressed: list[Suppressed] = []
        self.remarks: list[Remark] = []

    def add(
        self,
        finding: Finding,
        state: State,
        report: Report,
        suffix: str,
        move: _Move,
        of: Finding | None = None,
    ) -> Finding | None:
        """Take over a finding with the verdict that it stands for; None if it is known.

        OF is the one of the report that it is, where it was changed.
        """
        place = move(finding.place)
        told = finding._replace(
            message=finding.message + suffix,
            place=place,
            context=finding.context._replace(place=place),
        )
        if told.identity in self._known:
            return None
        self._known.add(told.identity)
        self.states[told] = state
        by = next((one for one in report.suppressed if one.finding == (of or finding)), None)
        if by is None:
            self.findings.append(told)
        else:
            self.suppressed.append(by._replace(finding=told, place=move(by.place)))
        where = place, told.entry, told.context.context
        held = self.contexts.get(where)
        before = held.fields if held is not None else ()
        more = () if told.result in before else (told.result,)
        self.contexts[where] = told.context._replace(fields=(*before, *more))
        return told

    def close(self, wrong: _Wrong, label: str) -> None:
        """Say of what is new that a later step closes it: it is wrong in between alone."""
        for number, one in enumerate(self.findings):
            if self.states[one] == "new" and not one.closed_by and _wrong(one) == wrong:
                told = one._replace(message=f"{one.message}; closed by {label}", closed_by=label)
                self.findings[number] = told
                self.states[told] = self.states.pop(one)
                if one in self.anchors:
                    self.anchors[told] = self.anchors.pop(one)


def lint(
    label: str, steps: Sequence[Step], rule: Rule, fields: tuple[str, ...], everything: bool
) -> News:
    """Decide as few trees as possible and collect what each step brings in.

    EVERYTHING asks for what is closed and what was there before, too.
    """
    series = _Series(label, rule, fields, everything, steps[-1].after)
    many = len(steps) > 1
    for step in steps:
        suffix = f"; brought in by {step.label}" if many and step.label else ""
        series.take(step, suffix)
    return series.news()


class _Series:
    """Walks along a series of changes."""

    def __init__(
        self,
        label: str,
        rule: Rule,
        fields: tuple[str, ...],
        everything: bool,
        final: Callable[[], Source],
    ) -> None:
        self._final = final
        self._mover: Mover | None = None
        self._label = label
        self._rule, self._fields = rule, fields
        self._everything = everything
        self._now: _Decided | None = None
        self._found = _Collected()
        self._index: Recorder | None = None
        self._latest: tuple[Step, Change] | None = None

    def take(self, step: Step, suffix: str) -> None:
        """Compare the trees before and after one step."""
        if not step.paths or not (self._everything or self._now or _changed(step) != []):
            return
        before, after = self._now, None
        if before is None:
            after = self._decide(step.after())
            self._remark(after, step, suffix)
            quiet = after.report.verdict in _CLEAN and not after.report.remarks
            if quiet and not self._everything:
                self._now = after
                return
            if not self._touches(after, step) and self._same(after, step):
                self._settle(after, after, suffix, None)
                return
            first = step.before()
            before = None if first is None else self._base_of_those(first, after)
        elif self._same(before, step):
            self._remark(before, step, suffix)
            return
        if after is None:
            after = self._decide(step.after())
            self._remark(after, step, suffix)
        self._settle(before, after, suffix, step)

    def _remark(self, decided: _Decided, step: Step, suffix: str) -> None:
        """Remark on calls of a set-up that a step makes rarer: a verdict takes them on trust."""
        from patchtool.c.index import Index
        from patchtool.lint.anchor import Change
        from patchtool.lint.calls import asked, asked_less

        first, last, target = step.before(), step.after(), self._rule.target
        entries = {one.entry[0] for one in decided.report.contexts}
        if first is None or not entries:
            return
        after = decided.index if last is decided.source else Index(last, target)
        names = asked(decided.index, entries)
        told = asked_less(Index(first, target), after, step.paths, names)
        for merged in step.besides:
            there = asked_less(Index(merged(), target), after, step.paths, names)
            told = [one for one in told if one in there]
        for one, callee in told:
            change = Change(first, last, step.paths)
            at = change.anchor(one.place, {one.place.function}, [callee], after)
            place = self._moved(one.place if at is None else at.place, last)
            self._found.remarks.append(one._replace(place=place, problem=one.problem + suffix))

    def _moved(self, place: Place, tree: Source) -> Place:
        """Return where a place is at the end of the series: that is what people look at."""
        if self._mover is None:
            from patchtool.lint.anchor import Mover

            self._mover = Mover(self._final())
        return self._mover.moved(place, tree)

    def _settle(
        self, before: _Decided | None, after: _Decided, suffix: str, step: Step | None
    ) -> None:
        """Collect what a step does; none stands for one that is beside the point."""
        self._now = after

        move = partial(self._moved, tree=after.source)
        change = self._change(after, step) if step is not None else None
        near = after.functions
        old = before.report if before is not None else Report(self._label, None)
        new, existing, closed, unsure = compare(old, after.report)
        others: list[Report] = []
        if step is not None and step.besides and (new or undecided([old], after.report)):
            others = [self._decide(merged()).report for merged in step.besides]
        for other in others:
            there = compare(other, after.report)
            here = {_wrong(one) for one in there.new}
            open_there = {_wrong(one) for one in there.unsure}
            unsure += [one for one in new if _wrong(one) in open_there]
            unsure = [one for one in unsure if _wrong(one) in here | open_there]
            new = [one for one in new if _wrong(one) in here]
        for one in unsure if step is not None else ():
            reason = f"{one.message}; {_NOT_DECIDED}"
            self._found.unknowns.append(Unknown(move(one.place), reason + suffix))
        for one in closed if step is not None else ():
            self._found.close(_wrong(one), step.label if step is not None else "")
        for one in new:
            told = self._found.add(one, "new", after.report, suffix, move)
            if told is not None and change is not None:
                names = [one.field, *_words(one)]
                self._anchor(
                    told, change.anchor(one.place, near, names, after.index), move, after.source
                )
        known = Counter(map(_remark, old.remarks))
        for remark in after.report.remarks if step is not None else ():
            if known[_remark(remark)]:
                known[_remark(remark)] -= 1
            else:
                problem = remark.problem + suffix
                self._found.remarks.append(Remark(move(remark.place), problem))
        for open_ in undecided([old, *others], after.report) if step is not None else ():
            is_old = open_.reason.endswith(AS_BEFORE)
            what = (
                open_.place.file,
                open_.place.function,
                open_.reason.removesuffix(f" {AS_BEFORE}"),
            )
            if is_old and what in self._found.open:
                continue  # it was said of the step that has brought it in
            self._found.open.add(what)
            unknown = Unknown(move(open_.place), open_.reason + (suffix if not is_old else ""))
            self._found.unknowns.append(unknown)
            if change is not None and not is_old:
                names = re.findall(r"\w+", open_.reason)
                self._anchor(
                    unknown,
                    change.anchor(open_.place, near, names, after.index),
                    move,
                    after.source,
                )
        if self._everything:
            for one in (*existing, *unsure):
                self._found.add(one, "existing", after.report, "", move)
            if before is not None:
                earlier = partial(self._moved, tree=before.source)
                words = suffix.replace("brought in", "closed")
                for one in closed:
                    past = one._replace(message=self._rule.was(one))
                    told = self._found.add(past, "closed", old, words, earlier, of=one)
                    if told is not None and change is not None:
                        names = [one.field, *_words(one)]
                        at = change.anchor(told.place, near, names, after.index)
                        self._anchor(told, at, move, after.source)

    def _anchor(
        self, told: Finding | Unknown, anchor: Anchor | None, move: _Move, tree: Source
    ) -> None:
        """Lead to a line of a change, as long as the last tree has it as it is after that."""
        if anchor is None:
            return
        place = move(anchor.place)
        if _line(self._final(), place) == _line(tree, anchor.place):
            self._found.anchors[told] = anchor._replace(place=place)

    def _base_of_those(self, source: Source, after: _Decided) -> _Decided | None:
        """Decide a tree, of the fields that are asked for those that it has; None for none."""
        asked = list(self._fields)
        while True:
            try:
                return (
                    self._base(source, after)
                    if len(asked) == len(self._fields)
                    else self._decide(source, fields=asked)
                )
            except NoMember as error:  # a member that the change adds
                asked.remove(error.name)
                if not asked:
                    return None

    def _base(self, source: Source, after: _Decided) -> _Decided:
        """Decide a tree to tell what is new after it, and no more of it than that takes.

        The ways and fields with a gap are those that matter, as long as they are there before,
        too; one that is not may have had another name.
        """
        report = after.report
        if self._everything or report.verdict != "gap" or report.undecided or report.remarks:
            return self._decide(source)
        from patchtool.world.entries import Ways

        wrong = {one.entry for one in report.contexts if one.verdict != "covered"}
        clean = {one.entry for one in report.contexts} - wrong
        gaps = {key for key, one in _results(report).items() if one.verdict == "gap"}
        open_ = {one.name for c in report.contexts for one in c.fields if one.verdict != "covered"}
        try:
            before = self._decide(source, Ways(frozenset(wrong), frozenset(clean)), sorted(open_))
        except NoMember:  # one with a gap that the change adds, or gives another name
            return self._decide(source)
        return before if gaps <= _results(before.report).keys() else self._decide(source)

    def _decide(
        self, source: Source, ways: Ways | None = None, fields: Sequence[str] = ()
    ) -> _Decided:
        from patchtool.aside import in_a_copy
        from patchtool.history.lens import Recorder
        from patchtool.lint.suppress import checked

        known, asked = self._index, tuple(fields) or self._fields
        report, index = checked(
            source,
            self._rule,
            asked,
            lambda one, target: Recorder(one, target, known),
            ways,
            in_a_copy(source.alone),
        )
        index.part()
        self._index = index
        # A commit is not to blame for what lies on top of it.
        edited = source.kind.endswith("with edits")
        report = report._replace(tree=self._label, rev=None if edited else report.rev)
        return _Decided(report, source, index, self._rule, asked)

    def _touches(self, after: _Decided, step: Step) -> bool:
        """Tell whether a step changes a function that the verdict after it rests on.

        That is told much sooner than that it leaves all of them alone.
        """
        change = self._change(after, step)
        return not after.functions.isdisjoint(change.functions(after.index))

    def _change(self, after: _Decided, step: Step) -> Change:
        """Return the lines that a step touches; one step is asked for at a time."""
        if self._latest is None or self._latest[0] is not step:
            from patchtool.lint.anchor import Change

            self._latest = step, Change(step.before(), after.source, step.paths)
        return self._latest[1]

    def _same(self, decided: _Decided, step: Step) -> bool:
        """Tell whether a step leaves alone all that a verdict rests on."""
        from patchtool.history.lens import Slicer

        changed = _changed(step)
        if not changed:
            return changed is not None
        lens = decided.lens()
        slicer = Slicer(lens, self._rule.target)
        return all(
            slicer.slice(path, old or b"") == slicer.slice(path, new or b"")
            and ((old is None) == (new is None) or path not in lens.paths)
            for path, old, new in changed
        )

    def _ledger(self, report: Report, tree: Source) -> tuple[Consulted, ...]:
        if tree is self._final():
            return report.ledger
        return tuple(
            one._replace(line=self._moved(Place(one.file, one.line), tree).line)
            for one in report.ledger
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
        base = Report(self._label, None)
        if self._now is not None:
            base, tree = self._now.report, self._now.source
            base = base._replace(ledger=self._ledger(base, tree) if found.states else ())
        report = base._replace(
            contexts=tuple(found.contexts.values()),
            findings=tuple(found.findings),
            unknowns=tuple(dict.fromkeys(found.unknowns)),
            suppressed=tuple(found.suppressed),
            remarks=tuple(found.remarks),
            verdict=verdict,
        )
        return News(report, found.states, found.anchors)


def _line(tree: Source, place: Place) -> bytes:
    """Return a line of a tree, nothing where it has none there."""
    lines = (tree.read(place.file) or b"").split(b"\n")
    return lines[place.line - 1].strip() if 0 < place.line <= len(lines) else b""


def _changed(step: Step) -> list[tuple[str, bytes | None, bytes | None]] | None:
    """Return the paths of a step with the code before and after it, where that differs.

    None where the tree before it is not there, or what the source accepts is another.
    """
    from patchtool.lint.suppress import find

    before, after = step.before(), step.after()
    if before is None:
        return None
    raw = [(path, before.read(path), after.read(path)) for path in sorted(step.paths)]
    if any(
        _accepting(find(path, old or b"")) != _accepting(find(path, new or b""))
        for path, old, new in raw
    ):
        return None
    is_c = {path for path, _, _ in raw if path.endswith((".c", ".h"))}
    texts = ((p, _code(old), _code(new)) if p in is_c else (p, old, new) for p, old, new in raw)
    return [one for one in texts if one[1] != one[2]]


def _code(data: bytes | None) -> bytes | None:
    """Return a file without comments and blank lines: no verdict rests on those."""
    if data is None:
        return None
    from patchtool.c.scan import strip_comments

    lines = (line.rstrip() for line in strip_comments(data).split(b"\n"))
    return b"\n".join(line for line in lines if line)


def _accepting(suppressions: Iterable[Suppression]) -> list[tuple[str, str]]:
    """Return what some suppressions say, wherever they stand."""
    return [(one.rule, one.reason) for one in suppressions]


def _words(finding: Finding) -> Iterator[str]:
    """Yield how C may speak of what is missing: by its last word, or by who is asked for it."""
    for name in finding.missing:
        yield re.split(r"\W+", name)[-1]
    for given in finding.result.inputs:
        asked = re.fullmatch(r"(\w+)\(.*\)", given.source)
        if asked is not None and given.name in finding.missing:
            yield asked[1]


def _remark(one: Remark) -> tuple[str, str]:
    """Return what tells a remark from another, however the lines move."""
    return one.place.file, one.problem


# -- the difference between two reports ----------------------------------------------------


class Difference(NamedTuple):
    """What is new in the second of two reports, what both have, and what was closed.

    ``unsure`` is what the second has where the first had not decided that.
    """

    new: list[Finding]
    existing: list[Finding]
    closed: list[Finding]
    unsure: list[Finding]


def _shown_by(finding: Finding, more: Set[str]) -> Finding:
    """Return a finding with the witness in front that shows one of some inputs."""
    pairs, member = finding.result.pairs, finding.result.member
    first = next((one for one in pairs if not more.isdisjoint(one.differs)), None)
    if first is None or first is pairs[0]:
        return finding
    said, says = (one.example(member) for one in (pairs[0], first))
    every = (finding.result.witness, *finding.result.others)
    rest = tuple(one for one in every if one is not None and one is not first)
    result = finding.result._replace(witness=first, others=rest)
    message = finding.message.replace(said, says) if said else finding.message
    return finding._replace(message=message, result=result)


def compare(before: Report, after: Report) -> Difference:
    """Compare two reports.

    A finding is not new where the same field had one of the same kind before, on the same
    way, and every input that the role misses now was missed then.
    """
    old, now = _findings(before), _findings(after)
    earlier, verdicts = _results(before), _results(after)
    gone = {at: one for at, one in old.items() if at[0] not in verdicts}
    matched: set[_Wrong] = set()
    new: list[Finding] = []
    existing: list[Finding] = []
    unsure: list[Finding] = []
    for (key, kind), finding in now.items():
        # A way that was not there before may be the same one under another name.
        at = (key, kind) if key in earlier else _renamed(key, kind, gone)
        match = old.get(at) if at is not None else None
        if at is not None and match is not None:
            matched.add(at)
        if match is None:
            is_open = _was_open(key, before, earlier, verdicts)
            (unsure if is_open else new).append(finding)
        elif more := _missed(finding) - _missed(match):
            shown = _shown_by(finding, more.keys())
            told = f"{shown.message} (new: {', '.join(sorted(more))})"
            new.append(shown._replace(message=told))
        elif _counts(finding, after) and not _counts(match, before):
            withdrawn = f"{finding.message}; it is no longer suppressed"
            new.append(finding._replace(message=withdrawn))
        else:
            existing.append(finding)
    closed = [
        one
        for (key, kind), one in old.items()
        if (key, kind) not in matched and _is_closed(verdicts.get(key), kind, after)
    ]
    return Difference(new, existing, closed, unsure)


def _was_open(
    key: _Key,
    before: Report,
    earlier: Mapping[_Key, FieldResult],
    verdicts: Mapping[_Key, FieldResult],
) -> bool:
    """Tell whether a field was not decided before, on the same way or on one of another name.

    A way that nobody found may have been there where something else was not understood.
    """
    if key in earlier:
        return earlier[key].verdict == "unknown"
    gone = [one for at, one in earlier.items() if at[1:] == key[1:] and at not in verdicts]
    is_known = not before.contexts or any(name == key[2] for _, _, name in earlier)
    return any(one.verdict == "unknown" for one in gone) or (bool(before.unknowns) and is_known)


def _missed(finding: Finding) -> Counter[str]:
    """Return the inputs that the role misses, one that is read from two places twice."""
    inputs = finding.result.inputs
    return Counter(
        {
            name: max(1, sum(one.name == name and not one.covered_by for one in inputs))
            for name in finding.missing
        }
    )


def _is_closed(now: FieldResult | None, kind: Kind, after: Report) -> bool:
    """Tell whether a field goes no longer wrong in a way that it did."""
    if now is None:
        return after.verdict != "unknown"
    return now.verdict == "covered" or (now.verdict == "gap" and kind not in now.kinds)


def undecided(before: Sequence[Report], after: Report) -> list[Unknown]:
    """Return what the last report leaves open, and says so where one before it did too.

    Whether a change makes worse what nobody could decide is not known either.
    """
    if after.verdict in _CLEAN:
        return []
    known = {
        (one.place.file, one.place.function, one.reason)
        for report in before
        for one in report.unknowns
    }
    return [
        one._replace(reason=f"{one.reason} {AS_BEFORE}")
        if (one.place.file, one.place.function, one.reason) in known
        else one
        for one in after.undecided
    ]


def _key(context: Context, name: str) -> _Key:
    return context.entry, context.context, name


def _results(report: Report) -> dict[_Key, FieldResult]:
    return {_key(c, one.name): one for c in report.contexts for one in c.fields}


def _wrong(finding: Finding) -> _Wrong:
    return _key(finding.context, finding.field), finding.kind


def _counts(finding: Finding, report: Report) -> bool:
    """Tell whether a report does not suppress one of its findings."""
    return all(one.finding != finding for one in report.suppressed)


def _findings(report: Report) -> dict[_Wrong, Finding]:
    """Return the findings by what they are about, suppressed ones too."""
    accepted = (one.finding for one in report.suppressed)
    return {_wrong(one): one for one in (*report.findings, *accepted)}


def _renamed(key: _Key, kind: Kind, gone: Mapping[_Wrong, Finding]) -> _Wrong | None:
    """Return a way with a gap that is gone, for the same context and field."""
    return next((at for at in gone if at[0][1:] == key[1:] and at[1] == kind), None)
