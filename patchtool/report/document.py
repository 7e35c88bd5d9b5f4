# SPDX-License-Identifier: GPL-2.0-only
"""The JSON document: one object and a line end; its keys are a contract.

In: a report.  Out: everything that it holds, in its order, with printable names.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from patchtool import __version__
from patchtool.model import (
    Context,
    FieldResult,
    Finding,
    Place,
    Report,
    Suppressed,
    Witness,
    number,
)
from patchtool.report.words import rows, safe, sentence

if TYPE_CHECKING:
    from patchtool.report.options import Options


def write(report: Report, options: Options) -> str:
    """Write a report as one JSON document."""
    body: dict[str, object] = {
        "version": 1,
        "tool": {"name": "patchtool", "version": __version__},
        "tree": safe(report.tree),
        "rev": report.rev,
        "verdict": report.verdict,
        "contexts": [_context(context) for context in report.contexts],
        "findings": [_finding(finding, options) for finding in report.findings],
        "unknowns": [
            {**_place(unknown.place), "reason": sentence(unknown.reason)}
            for unknown in report.unknowns
        ],
        "suppressed": [_suppressed(one, options) for one in report.suppressed],
        "remarks": [
            {"file": safe(one.place.file), "line": one.place.line, "text": sentence(one.problem)}
            for one in report.remarks
        ],
    }
    if options.passed is not None:
        body["passed_over"] = [
            {"where": safe(one.place).rstrip(": "), "what": safe(one.what), "reason": one.reason}
            for one in options.passed
        ]
    return json.dumps(body, indent=2) + "\n"


def _place(place: Place) -> dict[str, object]:
    return {
        "file": safe(place.file),
        "line": place.line,
        "column": place.column,
        "function": safe(place.function),
    }


def _context(context: Context) -> dict[str, object]:
    return {
        "initialiser": safe(context.initialiser),
        "context": safe(context.context),
        "entry": [safe(name) for name in context.entry],
        "file": safe(context.place.file),
        "line": context.place.line,
        "column": context.place.column,
        "verdict": context.verdict,
        "fields": [_field(result) for result in context.fields],
    }


def _field(result: FieldResult) -> dict[str, object]:
    return {
        "name": safe(result.name),
        "member": safe(result.member),
        "verdict": result.verdict,
        "inputs": [
            {
                "name": safe(one.name),
                "c": safe(one.source),
                "source": safe(one.source),
                "bits": None if one.span is None else list(one.span),
                "covered_by": [safe(name) for name in one.covered_by],
            }
            for one in result.inputs
        ],
        "missing": [safe(name) for name in result.missing],
        "witness": None if result.witness is None else _witness(result.witness),
        "witnesses": [_witness(one) for one in (result.witness, *result.others) if one is not None],
        "accumulated": None if result.accumulated is None else _three_states(result.accumulated),
        "assumptions": [sentence(text) for text in result.assumptions],
        "obligations": [
            {"state": sentence(state), "text": sentence(result.obligation)}
            for state in result.unstored
        ],
        "reasons": [sentence(str(reason)) for reason in result.reasons],
        "note": "",  # what readers of version 1 may ask for
    }


def _three_states(witness: Witness) -> dict[str, object]:
    """Return states A, B and C: what a full set-up with C leaves after A, and after B."""
    known = _witness(witness)
    keys = ("a", "b", "values", "hex", "element", "bits", "sources", "inputs", "host", "constants")
    last = {safe(one.name): one.values[2] for one in rows(witness)}
    return {**{key: known[key] for key in keys}, "c": last}


def _witness(witness: Witness) -> dict[str, object]:
    table = rows(witness)
    return {
        "a": {safe(one.name): one.values[0] for one in table},
        "b": {safe(one.name): one.values[1] for one in table},
        "element": safe(witness.element),
        "bits": None if witness.span is None else list(witness.span),
        "role": key(witness),
        "values": list(witness.values),
        # Many readers of JSON keep no more than 53 bits of a number.
        "hex": list(map(hex, witness.values)),
        "differs": [safe(name) for name in witness.differs],
        "compared": [{"member": safe(name), "value": hex(value)} for name, value in witness.role],
        "sources": {safe(one.name): safe(one.source) for one in table},
        "inputs": [
            {
                "name": safe(one.name),
                "c": safe(one.source),
                "bits": list(one.span),
                "values": list(one.values),
                "words": [safe(word) for word in one.words],
            }
            for one in table
        ],
        "host": {safe(name): value for name, value in witness.host},
        "constants": [
            {
                "name": safe(name),
                "c": safe(one.source),
                "value": value,
                "words": safe(one.words or number(value)),
            }
            for (name, value), one in zip(witness.host, witness.constants, strict=True)
        ],
        "needs": [safe(name) for name in witness.needs],
    }


def key(witness: Witness) -> str:
    """Return the compared role; several words are put side by side, the first in front."""
    values = [value for _, value in witness.role]
    return hex(values[0]) if len(values) == 1 else "0x" + "".join(f"{v:016x}" for v in values)


def _suppressed(one: Suppressed, options: Options) -> dict[str, object]:
    """Return a finding that the source accepts, with the comment that does."""
    by = {
        "file": safe(one.place.file),
        "line": one.place.line,
        "reason": sentence(one.reason),
    }
    return {**_finding(one.finding, options), "suppressed_by": by}


def _finding(finding: Finding, options: Options) -> dict[str, object]:
    changed = options.anchors.get(finding)
    return {
        "rule": finding.rule,
        **_place(finding.place),
        "field": safe(finding.field),
        "kind": finding.kind,
        "element": "" if finding.witness is None else safe(finding.witness.element),
        "bits": list(finding.witness.span) if finding.witness and finding.witness.span else None,
        "missing": [safe(name) for name in finding.missing],
        "message": sentence(finding.message),
        "entry": [safe(name) for name in finding.entry],
        "state": options.state(finding),
        "changed": None if changed is None else _place(changed.place),
        "upstream": [
            {
                "input": safe(one.input),
                "commit": one.closing.commit,
                "subject": one.closing.subject,
                "release": one.closing.release,
                "stable": list(one.closing.stable),
            }
            for one in options.known.get((finding.field, finding.entry), ())
        ],
    }
