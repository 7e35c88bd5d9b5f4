# SPDX-License-Identifier: GPL-2.0-only
"""Findings that somebody looked at and accepted, with a reason, in the source itself.

In: a report and the files that it was made from.  Out: the report with accepted findings
set apart, each with the comment that accepts it, and remarks on comments that accept
nothing.  A verdict stays what it is: accepted is not proved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from patchtool.aside import Aside, later
from patchtool.c.index import Index
from patchtool.c.scan import strip_comments
from patchtool.c.texts import Readable
from patchtool.model import Finding, Place, Remark, Report, Suppressed

if TYPE_CHECKING:
    from patchtool.outside.source import Source
    from patchtool.rules.table import Rule
    from patchtool.target.record import Target
    from patchtool.world.entries import Ways

Kind = TypeVar("Kind", bound=Index)

_MARK = b"patchtool:"
_COMMENT = re.compile(
    rb"(?:/\*|//|^[ \t]*\*)[ \t]*patchtool:[ \t]*ignore\b[ \t]*([\w-]*)[ \t]*(?::[ \t]*(.*?))?"
    rb"[ \t]*(?:\*/|$)",
    re.MULTILINE,
)


class Suppression(NamedTuple):
    """One comment: where it stands, the line of code that it is about, rule and reason."""

    file: str
    line: int
    target: int
    rule: str
    reason: str

    def accepts(self, finding: Finding) -> bool:
        """Tell whether this is about a finding; without a reason it never is."""
        here = (finding.place.file, finding.place.line, finding.rule)
        return bool(self.reason) and here == (self.file, self.target, self.rule)


class Attentive:
    """Another source; notes which files speak to us, so that none is read for it again."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._read: set[str] = set()
        self._speaking: dict[str, bytes] = {}

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file, None when it is not there."""
        data = self._source.read(path)
        self._read.add(path)
        if data is not None and _MARK in data:
            self._speaking[path] = data
        return data

    def walk(self, folder: str) -> tuple[str, ...]:
        """List all files below a folder, sorted; empty when it is not there."""
        return self._source.walk(folder)

    def suppressions(self, paths: Iterable[str]) -> tuple[Suppression, ...]:
        """Return the suppressions of some files and of all that were read."""
        for path in paths:
            if path not in self._read:
                self.read(path)
        return tuple(one for path in sorted(self._speaking) for one in self._of(path))

    def _of(self, path: str) -> tuple[Suppression, ...]:
        return find(path, self._speaking[path])


def find(file: str, data: bytes) -> tuple[Suppression, ...]:
    """Return the suppressions of a file."""
    if _MARK not in data:
        return ()
    data = data.replace(b"\r\n", b"\n")
    code = [line.strip() for line in strip_comments(data).split(b"\n")]
    found = []
    for match in _COMMENT.finditer(data):
        line = data.count(b"\n", 0, match.start()) + 1
        target = next((n for n in range(line, len(code) + 1) if code[n - 1]), line)
        rule, reason = ((part or b"").decode("utf-8", "replace") for part in match.groups())
        found.append(Suppression(file, line, target, rule, reason))
    return tuple(found)


def checked(
    source: Source,
    rule: Rule,
    fields: tuple[str, ...],
    make: Callable[[Readable, Target], Kind],
    ways: Ways | None = None,
    aside: Aside = later,
) -> tuple[Report, Kind]:
    """Check a tree by a rule and set apart what it accepts; MAKE makes the index that is asked."""
    from patchtool.rules.table import RULES

    listening = Attentive(source)
    index = make(listening, rule.target)
    report = rule.check(index, fields, source.label, source.rev, ways, aside)
    return weigh(report, listening.suppressions(index.own_files), RULES), index


def weigh(report: Report, suppressions: Iterable[Suppression], rules: Iterable[str]) -> Report:
    """Set apart what the source accepts, and remark on what accepts nothing."""
    judged_ = judged(suppressions, report.findings, rules)
    accepted = tuple(
        Suppressed(finding, Place(one.file, one.line), one.reason)
        for finding in report.findings
        for one in [next((s for s, _ in judged_ if s.accepts(finding)), None)]
        if one is not None
    )
    told = {one.finding for one in accepted}
    return report._replace(
        findings=tuple(one for one in report.findings if one not in told),
        suppressed=accepted,
        remarks=tuple(Remark(Place(s.file, s.line), wrong) for s, wrong in judged_ if wrong),
    )


def judged(
    suppressions: Iterable[Suppression], findings: Iterable[Finding], rules: Iterable[str]
) -> tuple[tuple[Suppression, str], ...]:
    """Pair each suppression with what is wrong with it, "" where it does its work."""
    known, given = set(rules), tuple(findings)
    result = []
    for one in suppressions:
        if one.rule not in known:
            wrong = f"there is no rule {one.rule!r}; the rules are {', '.join(sorted(known))}"
        elif not one.reason:
            wrong = "this suppression gives no reason, so nothing is suppressed"
        elif not any(one.accepts(finding) for finding in given):
            wrong = "this suppression no longer suppresses anything; remove it"
        else:
            wrong = ""
        result.append((one, wrong))
    return tuple(result)
