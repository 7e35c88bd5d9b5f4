# SPDX-License-Identifier: GPL-2.0-only
"""``patchtool kbuild``: the checker of ``make C=2 CHECK="patchtool kbuild"``.

In: what the kernel build gives a checker, compiler options and one file.  Out: a line
per gap of that file in the compiler's form.  A build is not stopped unless asked to.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patchtool.model import Report, Verdict

_ABOUT = """\
Check as part of a kernel build, as the checker that make calls for each file.  A
build is not stopped by what is found, unless --error asks for it.

  make C=2 CHECK="patchtool kbuild" arch/x86/kvm/mmu/mmu.o"""

_STATUSES = """\
exit status:
  0  nothing wrong in the file, or --error is not given
  1  with --error: at least one gap
  2  the request or the input is at fault; standard error says how
  3  with --error: no gap, but something could not be decided"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command; all others are the compiler's."""
    parser.description, parser.epilog = _ABOUT, _STATUSES
    parser.add_argument(
        "--error", action="store_true", help="stop the build at a gap, or if undecided"
    )
    words = parser.add_argument("words", nargs="*", metavar="WORD")
    words.help = (
        "what make gives a checker: the compiler's options, which do not matter, and a file"
    )
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
    from patchtool.report.layout import show
    from patchtool.report.options import Options

    show(render(report, "text", Options(quiet=True)))
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
