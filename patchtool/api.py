# SPDX-License-Identifier: GPL-2.0-only
"""What scripts may rely on: check a tree, and read what was found out.

Everything that ``__all__`` names stays as it is within a major version; the rest of the
package may change at any time.  Records are immutable and can be compared, hashed and sent
to other processes.  Nothing is printed, and what goes wrong is an exception.

    from patchtool import api

    report = api.check("linux", rev="v5.14")
    for finding in report.findings:
        print(finding.place.file, finding.place.line, finding.missing)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from patchtool.errors import InputError, PatchError, PatchtoolError, UsageError
from patchtool.model import (
    Context,
    FieldResult,
    Finding,
    Input,
    Place,
    Reason,
    Report,
    Suppressed,
    Unknown,
    Verdict,
    Witness,
)
from patchtool.rules.table import USUAL, named

__all__ = [
    "FIELDS",
    "Context",
    "FieldResult",
    "Finding",
    "Input",
    "InputError",
    "PatchError",
    "PatchtoolError",
    "Place",
    "Reason",
    "Report",
    "Suppressed",
    "Unknown",
    "UsageError",
    "Verdict",
    "Witness",
    "check",
    "document",
    "schema",
    "status",
]

FIELDS = USUAL.usual
"""The fields that are decided where nobody asks for others."""


def check(
    tree: str,
    rev: str | None = None,
    fields: Sequence[str] = (),
    patch: str | None = None,
    rule: str = USUAL.name,
) -> Report:
    """Decide whether the role of each guarded set-up determines some fields.

    TREE is the top folder of a kernel tree, or of any repository where REV names a commit.
    FIELDS are members of the MMU context, or "all", which is what nothing means.  PATCH is
    the path of a patch that is applied first, in memory.  RULE is the name of a rule, one of
    those that ``patchtool rules`` lists.  Raises UsageError where the request makes no sense,
    and InputError where a tree, a revision or a patch cannot be read.
    """
    from patchtool.c.index import Index
    from patchtool.lint.suppress import checked
    from patchtool.outside.source import open_source

    if isinstance(fields, str):
        raise UsageError(f"fields is the string {fields!r}; give a list of names")
    asked = named(rule)
    source = open_source(tree, rev)
    if patch is not None:
        from patchtool.outside import reach, top
        from patchtool.outside.source import read_patch

        source, _ = reach.over(source, *read_patch(patch), top.prefix(tree))
    try:
        return checked(source, asked, tuple(fields) or asked.usual, Index)[0]
    finally:
        source.close()


def status(report: Report) -> int:
    """Return the exit status that the command line gives a report: 0, 1 or 3."""
    from patchtool.report import status as of

    return of(report)


def document(report: Report) -> dict[str, Any]:
    """Return a report as the document that ``--format json`` prints."""
    import json

    from patchtool.report import render
    from patchtool.report.options import Options

    found: dict[str, Any] = json.loads(render(report, "json", Options()))
    return found


def schema(name: Literal["check", "history", "matrix", "rules"]) -> dict[str, Any]:
    """Return the JSON schema of the document that a command prints; lint prints check's."""
    import json
    from pathlib import Path

    path = Path(__file__).parent / "schema" / f"{name}.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except OSError as error:
        there = ", ".join(sorted(one.stem for one in path.parent.glob("*.json")))
        raise UsageError(f"there is no schema {name!r}; there are {there}") from error
    return found
