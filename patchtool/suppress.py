# SPDX-License-Identifier: GPL-2.0-only
"""Findings that somebody looked at and accepted, with a reason, in the source itself.

In: the bytes of files.  Out: the comments that accept a finding of the next line of
code, and whether each still has one to accept.  Without a reason nothing is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from patchtool.model import Finding
from patchtool.scan import strip_comments

_COMMENT = re.compile(
    rb"(?:/\*|//|^[ \t]*\*)[ \t]*patchtool:[ \t]*ignore\b[ \t]*([\w-]*)[ \t]*(?::[ \t]*(.*?))?"
    rb"[ \t]*(?:\*/|$)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, order=True)
class Suppression:
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


def find(file: str, data: bytes) -> tuple[Suppression, ...]:
    """Return the suppressions of a file."""
    if b"patchtool:" not in data:
        return ()
    code = [line.strip() for line in strip_comments(data).split(b"\n")]
    found = []
    for match in _COMMENT.finditer(data):
        line = data.count(b"\n", 0, match.start()) + 1
        target = next((n for n in range(line, len(code) + 1) if code[n - 1]), line)
        rule, reason = ((part or b"").decode("utf-8", "replace") for part in match.groups())
        found.append(Suppression(file, line, target, rule, reason))
    return tuple(found)


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
            wrong = "a reason is missing, so nothing is suppressed"
        elif not any(one.accepts(finding) for finding in given):
            wrong = "no longer suppresses anything; remove it"
        else:
            wrong = ""
        result.append((one, wrong))
    return tuple(result)
