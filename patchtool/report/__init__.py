# SPDX-License-Identifier: GPL-2.0-only
"""The reporter: what was found out, in the form that somebody wants to read.

In: a report and options.  Out: the whole text in one of the forms, ending in a line
end unless it is empty.  Each form is a module or a function of its own, imported when
asked for; the same report gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patchtool.model import Report, Verdict
    from patchtool.report.options import Options

FORMATS = ("text", "terse", "json", "sarif", "github", "b4-json", "patchwork")
"""The forms, the one for people first."""

STATUS: Mapping[Verdict, int] = {"covered": 0, "not-guarded": 0, "gap": 1, "unknown": 3}
"""The exit status that tells a verdict."""


def status(report: Report) -> int:
    """Return the exit status that a report leads to; what the source accepts is no error."""
    if report.verdict != "gap" or report.findings or not report.suppressed:
        return STATUS[report.verdict]
    return STATUS["unknown"] if report.undecided else 0


def render(report: Report, form: str, options: Options) -> str:
    """Return a report in one of FORMATS."""
    return _writer(form)(report, options)


def _writer(form: str) -> Callable[[Report, Options], str]:
    if form == "text":
        from patchtool.report import text

        return text.write
    if form == "sarif":
        from patchtool.report import sarif

        return sarif.write
    if form == "json":
        from patchtool.report import document

        return document.write
    from patchtool.report import lines

    return {
        "terse": lines.terse,
        "github": lines.github,
        "b4-json": lines.b4_json,
        "patchwork": lines.patchwork,
    }[form]
