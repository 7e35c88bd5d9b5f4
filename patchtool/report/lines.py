# SPDX-License-Identifier: GPL-2.0-only
"""The short forms: one line or one record per finding, for hooks and bots.

In: a report.  Out: its text in one of these forms.

terse       as checkpatch prints it, silent when there is nothing to say
github      workflow commands that become annotations
b4-json     the rows of b4's check protocol, ``[]`` when there is nothing to say
patchwork   one check record for a patch
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from patchtool.model import Anchor, Finding, Place, Report, Suppressed
from patchtool.report.words import (
    SUFFIXES,
    acceptance,
    counted,
    identifier,
    located,
    origin,
    origin_of,
    safe,
    said,
    sentence,
    stated,
    valued,
    way,
    where,
)

if TYPE_CHECKING:
    from patchtool.report.options import Options

_KINDS = {"new": "ERROR", "existing": "CHECK", "closed": "CHECK"}
_COMMANDS = {"new": "error", "existing": "notice", "closed": "notice"}
_STATUSES = {"new": "fail", "existing": "pass", "closed": "pass"}


def terse(report: Report, options: Options) -> str:
    """Write one line per finding and per undecided place."""
    lines = [
        f"{where(one.place)}: {_KINDS[options.state(one)]}:{identifier(one.rule)}: "
        f"{_message(one, options)}"
        for one in report.findings
    ]
    lines += [
        f"{where(one.place)}: WARNING:UNDECIDED: {said(one.place, one.reason)}"
        for one in report.undecided
    ]
    if options.verbose:
        lines += [
            f"{where(one.finding.place)}: CHECK:{identifier(one.finding.rule)}: "
            f"{_accepted(one, options)}"
            for one in report.suppressed
        ]
    lines += [
        f"{where(one.place)}: WARNING:{identifier(one.about)}: {sentence(one.problem)}"
        for one in report.remarks
    ]
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))


def github(report: Report, options: Options) -> str:
    """Write workflow commands; a runner turns them into annotations."""
    commands = [
        _command(
            _COMMANDS[options.state(one)],
            _spot(f"patchtool ({one.rule})", one.place, options.changed(one)),
            "\n".join(
                [
                    _message(one, options),
                    *([f"the guard is {where(one.place)}"] if options.changed(one) else []),
                    *_details(one),
                ]
            ),
        )
        for one in report.findings
    ]
    commands += [
        _command(
            "warning",
            _spot("patchtool (undecided)", one.place, options.changed(one)),
            said(one.place, one.reason)
            + (f" ({where(one.place)})" if options.changed(one) else ""),
        )
        for one in report.undecided
    ]
    commands += [
        _command(
            "notice",
            _spot(f"patchtool ({one.finding.rule}, suppressed)", one.finding.place),
            _accepted(one, options),
        )
        for one in report.suppressed
    ]
    commands += [
        _command("warning", _spot(f"patchtool ({one.about})", one.place), sentence(one.problem))
        for one in report.remarks
    ]
    return "".join(f"{command}\n" for command in commands)


def _spot(title: str, place: Place, changed: Anchor | None = None) -> dict[str, str]:
    """Return the properties of an annotation; a pull request shows it on changed lines only."""
    end = {}
    if changed is not None:
        place, end = changed.place, {"endColumn": str(changed.end)}
    return {
        "title": title,
        "file": safe(place.file),
        "line": str(place.line),
        "col": str(place.column),
        "endLine": str(place.line),
        **end,
    }


def b4_json(report: Report, options: Options) -> str:
    """Write the rows that b4 shows for a patch; what is undecided never passes."""
    import json

    records = [
        _row(
            _STATUSES[options.state(one)],
            one.place,
            _message(one, options),
            [*_comes(one, options), *_details(one)],
        )
        for one in report.findings
    ]
    records += [
        _row("warn", one.place, f"undecided: {said(one.place, one.reason)}")
        for one in report.undecided
    ]
    records += [
        _row(
            "pass",
            one.finding.place,
            _accepted(one, options),
            _details(one.finding),
        )
        for one in report.suppressed
    ]
    records += [_row("warn", one.place, sentence(one.problem)) for one in report.remarks]
    return json.dumps(records, indent=2) + "\n"


def _row(status: str, place: Place, words: str, details: Iterable[str] = ()) -> dict[str, str]:
    return {
        "tool": "patchtool",
        "status": status,
        "summary": f"{where(place)}: {words}",
        "url": "",
        "details": "\n".join(details),
    }


def patchwork(report: Report, options: Options) -> str:
    """Write a check record as patchwork's API takes it; posting it is left to the bot."""
    import json

    new = [one for one in report.findings if options.state(one) == "new"]
    if new:
        first = _message(new[0], options)
        state, more = "fail", f" (and {len(new) - 1} more)" if len(new) > 1 else ""
        words = first + more
    elif places := report.undecided:
        state, words = "warning", f"undecided: {counted(len(places), 'place')} not understood"
    elif report.remarks:
        remark = report.remarks[0]
        state, words = "warning", f"{where(remark.place)}: {sentence(remark.problem)}"
    elif report.suppressed:
        state = "success"
        words = f"{counted(len(report.suppressed), 'finding')} suppressed in the source, no other"
    else:
        state, words = "success", "no finding, everything decided"
    record = {"state": state, "context": "patchtool", "target_url": "", "description": words}
    return json.dumps(record, indent=2) + "\n"


def _message(one: Finding, options: Options) -> str:
    around = located(one)
    suffix = f" ({around})" if around else ""
    return f"{said(one.place, one.message)}{suffix}{SUFFIXES[options.state(one)]}"


def _accepted(one: Suppressed, options: Options) -> str:
    return f"{_message(one.finding, options)}; {acceptance(one)}"


def _comes(one: Finding, options: Options) -> Iterator[str]:
    changed = options.changed(one)
    if changed is not None:
        yield f"{where(changed.place)}: {origin_of(changed, options.state(one) == 'closed')}"


def _details(one: Finding) -> Iterator[str]:
    """Yield the way to the guard, what carries each input, and the witness."""
    yield f"reached by {way(one.entry)}"
    result, witness = one.result, one.witness
    if one.kind == "accumulates":
        if witness is not None:
            for number, (label, value) in enumerate(zip("AB", witness.said, strict=True)):
                state = stated(witness, number)
                yield f"state {label}: {state}: {valued(result, witness)}={value} behind C"
            yield f"state C: {stated(witness, 2)}: a full set-up, which adds to what it finds"
        return
    if one.kind == "unlike" and witness is not None:
        yield f"state A: {stated(witness, 0)}"
        for label, value in zip(("is", "is not"), witness.said, strict=True):
            yield f"{valued(result, witness)}={value} where the set-up {label} skipped"
        return
    for given in result.inputs:
        read = origin(given.name, given.source)
        carriers = ", ".join(map(safe, given.covered_by)) or "nothing"
        yield f"{safe(given.name)}{f' ({read})' if read else ''}: carried by {carriers}"
    if witness is not None:
        for number, (label, value) in enumerate(zip("AB", witness.said, strict=True)):
            yield f"state {label}: {stated(witness, number)}: {valued(result, witness)}={value}"
        yield "role: " + ", ".join(f"{safe(n)}={v:#x}" for n, v in witness.role) + " in both"
    for reason in result.reasons:
        yield sentence(str(reason))


def _command(name: str, properties: dict[str, str], message: str) -> str:
    given = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in properties.items())
    return f"::{name} {given}::{_escaped(message)}"


def _escaped(text: str, more: str = "") -> str:
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text
