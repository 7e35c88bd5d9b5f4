# SPDX-License-Identifier: GPL-2.0-only
"""The SARIF 2.1.0 log, with what code scanning on GitHub shows and matches by.

In: a report.  Out: one run.  Paths are relative to the top of the tree; a fingerprint
survives shifted lines; the witness is a code flow; what is undecided is a notification
of the tool, and the run then counts as not successful.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from patchtool import __version__
from patchtool.model import Finding, Place, Report, Suppressed, Witness, listed
from patchtool.report import status
from patchtool.report.words import (
    counted,
    located,
    origin_of,
    safe,
    said,
    sentence,
    stated,
    valued,
    way,
)
from patchtool.rules.table import RULES, USUAL

if TYPE_CHECKING:
    from patchtool.report.options import Options

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

Node = Mapping[str, object]

_LEVELS = {"new": "error", "existing": "note", "closed": "note"}
_NOTIFICATIONS = ("undecided", "suppression", "set-up-call")
_BASELINES = {"new": "new", "existing": "unchanged", "closed": "absent"}


def write(report: Report, options: Options) -> str:
    """Write a report as a SARIF log."""
    rules = sorted(RULES)
    run: dict[str, object] = {
        "tool": {
            "driver": {
                "name": "patchtool",
                "semanticVersion": __version__,
                "rules": [_rule(name) for name in rules],
                "notifications": [
                    {"id": "undecided", "shortDescription": {"text": "C that was not understood."}},
                    {
                        "id": "suppression",
                        "shortDescription": {"text": "A comment that accepts no finding."},
                    },
                    {
                        "id": "set-up-call",
                        "shortDescription": {"text": "A set-up that is asked for less often."},
                    },
                ],
            }
        },
        "automationDetails": {"id": f"patchtool/{USUAL.series}/"},
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The top of the tree."}}},
        "columnKind": "utf16CodeUnits",
        "invocations": [_invocation(report, options)],
        "results": [
            *(_result(report, one, rules, options) for one in report.findings),
            *(
                {
                    **_result(report, one.finding, rules, options),
                    "suppressions": [_suppression(one)],
                }
                for one in report.suppressed
            ),
        ],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2) + "\n"


def fingerprint(finding: Finding) -> str:
    """Return what identifies a finding however the lines around it move."""
    parts = (
        finding.rule,
        finding.place.file,
        finding.place.function,
        finding.context.context,
        finding.field,
        *finding.entry,
        *finding.missing,
        *([finding.kind] if finding.kind in ("accumulates", "unlike") else []),
    )
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return f"{hashlib.sha256(text).hexdigest()[:16]}:1"


def _rule(name: str) -> Node:
    rule = RULES[name]
    found = f"**What it finds.** {rule.description}"
    return {
        "id": name,
        "name": rule.title,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.description},
        "help": {
            "text": f"{rule.description}\n\n{rule.advice}",
            "markdown": f"{found}\n\n**How to fix it.** {rule.advice}",
        },
        "defaultConfiguration": {"level": "error"},
        "properties": {
            "precision": "very-high",
            "problem.severity": "error",
            "tags": sorted(("correctness", "linux", *rule.tags)),
        },
    }


def _invocation(report: Report, options: Options) -> Node:
    call: dict[str, object] = {
        "executionSuccessful": not report.undecided,
        "exitCode": status(report),
        "toolExecutionNotifications": list(_notifications(report)),
    }
    if options.directory is not None:
        uri = "file://" + quote(options.directory.rstrip("/").encode("utf-8", "surrogateescape"))
        call["workingDirectory"] = {"uri": f"{uri}/"}
    return call


def _notifications(report: Report) -> Iterator[Node]:
    for one in report.undecided:
        yield {
            "descriptor": {"id": "undecided", "index": 0},
            "level": "error",
            "message": {"text": said(one.place, one.reason)},
            "locations": [_location(one.place)],
        }

    for remark in report.remarks:
        yield {
            "descriptor": {"id": remark.about, "index": _NOTIFICATIONS.index(remark.about)},
            "level": "warning",
            "message": {"text": sentence(remark.problem)},
            "locations": [_location(remark.place)],
        }


def _suppression(one: Suppressed) -> Node:
    return {
        "kind": "inSource",
        "status": "accepted",
        "justification": sentence(one.reason),
        "location": _location(one.place),
    }


def _result(report: Report, finding: Finding, rules: list[str], options: Options) -> Node:
    state = options.state(finding)
    changed = options.changed(finding)
    related = list(enumerate(_related(report, finding, changed is not None), 1))
    message = f"{said(finding.place, finding.message)}."
    around = located(finding)
    if around:
        message += f" Affected: {around}."
    if related:
        links = [f"[{_linkable(text)}]({number})" for number, (text, _) in related]
        message += f" See {listed(links)}."
    result: dict[str, object] = {
        "ruleId": finding.rule,
        "ruleIndex": rules.index(finding.rule),
        "level": _LEVELS[state],
        "kind": "fail",
        "message": {"text": message},
        "locations": [
            _location(finding.place)
            if changed is None
            else _location(changed.place, origin_of(changed), changed.end)
        ],
        "partialFingerprints": {"primaryLocationLineHash": fingerprint(finding)},
    }
    if options.states:
        result["baselineState"] = _BASELINES[state]
    if related:
        result["relatedLocations"] = [
            {"id": number, **_location(place, text)} for number, (text, place) in related
        ]
    if finding.witness is not None:
        result["codeFlows"] = [_flow(report, finding, finding.witness)]
    return result


def _related(report: Report, finding: Finding, guard: bool) -> list[tuple[str, Place]]:
    """Return the functions on the way and the role unions, as far as they were read.

    GUARD asks for the guard in front, where the result itself lies elsewhere.
    """
    functions = _functions(report)
    near = [
        (f"{name}()", functions[name]) for name in dict.fromkeys(finding.entry) if name in functions
    ]
    near += [
        (one.name, Place(one.file, one.line))
        for one in report.ledger
        if one.kind == "type" and one.name.startswith("union ") and "role" in one.name
    ]
    if guard:
        near.insert(0, (f"the guard in {finding.place.function}()", finding.place))
    return [(safe(text), place) for text, place in near]


def _functions(report: Report) -> dict[str, Place]:
    found_: dict[str, Place] = {}
    for one in report.ledger:
        if one.kind == "function":
            found_.setdefault(one.name, Place(one.file, one.line, 1, one.name))
    return found_


def _flow(report: Report, finding: Finding, witness: Witness) -> Node:
    """Tell a witness as a code flow."""
    guard = finding.context.place
    return {
        "message": {"text": f"{counted(len(witness.differs), 'input')} changed"},
        "threadFlows": [
            {
                "locations": [
                    {
                        "location": _location(place, text),
                        "importance": "essential" if place == guard else "important",
                    }
                    for place, text in _steps(report, finding, witness)
                ]
            }
        ],
    }


def _steps(report: Report, finding: Finding, witness: Witness) -> Iterator[tuple[Place, str]]:
    """Yield the steps of a witness: the set-up for A, then the one for B that is skipped.

    Of a set-up that stores the field where it is skipped, too: the one for A, twice.
    Of an accumulation: the one for C that follows A, and the one that follows B.
    """
    guard, entry = finding.context.place, finding.context.entry
    functions = _functions(report)
    member = valued(finding.result, witness)
    one, other = witness.said

    def state(label: str, number: int) -> Iterator[tuple[Place, str]]:
        told = f"State {label}: {stated(witness, number)}"
        yield functions.get(entry[0], guard) if entry else guard, told
        for name in entry[1:]:
            if name in functions:
                yield functions[name], f"{way([name])} is called"

    if finding.kind == "accumulates":
        for number, (label, value) in enumerate((("A", one), ("B", other))):
            yield from state(label, number)
            yield guard, "The set-up is not skipped"
            yield from state("C", 2)
            yield guard, f"The set-up is not skipped, and {member} is {value} behind it"
        return
    role = ", ".join(f"{safe(name)}={value:#x}" for name, value in witness.role)
    skipped = f"{role} again, so the set-up is skipped"
    yield from state("A", 0)
    if finding.kind == "unlike":
        yield guard, f"The full set-up stores {member}={other} and {role}"
        yield from state("A", 0)
        yield guard, f"{skipped}: {member} is {one} behind it and should be {other}"
        return
    yield guard, f"The full set-up stores {member}={one} and {role}"
    yield from state("B", 1)
    yield guard, f"{skipped}: {member} stays {one} and should be {other}"


def _location(place: Place, text: str = "", end: int = 0) -> Node:
    region = {"startLine": max(place.line, 1), "startColumn": max(place.column, 1)}
    if end:
        region |= {"endLine": max(place.line, 1), "endColumn": end}
    where: dict[str, object] = {
        "physicalLocation": {
            "artifactLocation": {
                "uri": quote(place.file.encode("utf-8", "surrogateescape")),
                "uriBaseId": "%SRCROOT%",
            },
            "region": region,
        }
    }
    if place.function:
        where["logicalLocations"] = [{"name": safe(place.function), "kind": "function"}]
    if text:
        where["message"] = {"text": sentence(text)}
    return where


def _linkable(text: str) -> str:
    r"""Return a text that can stand in a link; "\" and brackets are escaped."""
    return "".join(f"\\{c}" if c in "\\[]" else c for c in text)
