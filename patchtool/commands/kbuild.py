# SPDX-License-Identifier: GPL-2.0-only
"""``patchtool kbuild``: the checker of ``make C=2 CHECK="patchtool kbuild"``.

In: what the kernel build gives a checker, compiler options and one file.  Out: a line
per gap of that file in the compiler's form.  A build is not stopped unless asked to.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patchtool.model import Report, Verdict

_ABOUT = """\
Check as part of a kernel build: make C=2 CHECK="patchtool kbuild" FOLDER-OR-OBJECT.
The compiler's options are accepted and passed over."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command; all others are the compiler's."""
    parser.description = _ABOUT
    parser.add_argument("--error", action="store_true", help="exit 1 for a gap, 3 if undecided")
    words = parser.add_argument("words", nargs="*", metavar="WORD")
    words.help = "what the build gives a checker: the compiler's options and a file"
    # From here on nothing begins like an option, so that all words arrive.
    parser.prefix_chars = "+"
    parser.set_defaults(run=run, usage=parser.print_help)


def run(arguments: argparse.Namespace) -> int:
    """Check the tree around the file, and tell what lies in that file."""
    words: list[str] = arguments.words
    if words in (["--help"], ["-h"]):
        arguments.usage()
        return 0
    files = [word for word in words if word.endswith(".c") and not word.startswith("-")]
    top, name = _placed(files[-1]) if files else (".", "")
    from patchtool.target.where import FOLDER

    if not name.startswith(f"{FOLDER}/"):
        return 0
    report = _checked(top, name)
    from patchtool.report import render, status
    from patchtool.report.options import Options

    sys.stdout.write(render(report, "text", Options(quiet=True)))
    return status(report) if "--error" in words else 0


def _checked(top: str, name: str) -> Report:
    """Return what a check of a tree has to say about one file."""
    from patchtool.c.index import Index
    from patchtool.lint.suppress import checked
    from patchtool.outside.source import open_source
    from patchtool.rules.table import USUAL

    report, _ = checked(open_source(top), USUAL, USUAL.usual, Index)
    findings = tuple(one for one in report.findings if one.place.file == name)
    unknowns = tuple(one for one in report.unknowns if one.place.file == name)
    suppressed = tuple(one for one in report.suppressed if one.finding.place.file == name)
    verdict: Verdict = "gap" if findings or suppressed else "unknown" if unknowns else "covered"
    return report._replace(
        contexts=(),
        findings=findings,
        unknowns=unknowns,
        suppressed=suppressed,
        remarks=tuple(one for one in report.remarks if one.place.file == name),
        verdict=verdict,
    )


def _placed(file: str) -> tuple[str, str]:
    """Return the top of the tree around a file, and its path below."""
    path = os.path.abspath(file)
    from patchtool.target.where import FOLDER

    base = FOLDER.rpartition("/")[0]
    top, found, rest = path.rpartition(f"/{base}/")
    if not found:
        return ".", file
    return os.path.relpath(top), f"{base}/{rest}"
