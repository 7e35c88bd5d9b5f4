# SPDX-License-Identifier: GPL-2.0-only
"""The command ``matrix``: one row for each revision."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass

from patchtool.commands.history import chosen_fields
from patchtool.history.verdicts import Outcome, outcome_of
from patchtool.model import SEVERITY, worst
from patchtool.outside.git import Repository
from patchtool.report import STATUS
from patchtool.report.words import safe

ABOUT = """\
Check some revisions of a repository, and print for each which inputs the role
misses on each path."""

_PATHS = ("tdp", "soft", "npt", "ept", "nested")


@dataclass(frozen=True, slots=True)
class Row:
    """One revision as it was named, the commit, and what was found."""

    rev: str
    commit: str
    outcome: Outcome


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add("tree", metavar="TREE", help="a git repository with a kernel")
    add("revs", nargs="+", metavar="REV", help="commits, tags or branches")
    add("--fields", metavar="NAME[,NAME...]", help="the fields to decide (default: root_level)")
    add("--format", choices=("text", "json"), default="text", help="the form of the table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check every revision, print the table and return the exit status."""
    with Repository.open(arguments.tree) as repository:
        rows = matrix(repository, arguments.revs, chosen_fields(arguments.fields))
    write = _document if arguments.format == "json" else _text
    sys.stdout.write(write(rows))
    # An unreadable or absent tree raises, so that every row has a verdict.
    verdicts = tuple(v for row in rows if (v := row.outcome.verdict) in SEVERITY)
    return STATUS[worst(verdicts)]  # type: ignore[arg-type]


def matrix(repository: Repository, revs: list[str], fields: tuple[str, ...]) -> list[Row]:
    """Check some revisions; equal commits are checked once."""
    from patchtool.c.index import Index
    from patchtool.outside.source import Revision
    from patchtool.rules import stale_mmu_role as rule

    commits = [repository.resolve(rev) for rev in revs]
    found: dict[str, Outcome] = {}
    for commit in commits:
        if commit not in found:
            source = Revision(repository, commit)
            found[commit] = outcome_of(rule.check(Index(source), fields, source.label, commit))
            repository.forget()
    return [Row(rev, commit, found[commit]) for rev, commit in zip(revs, commits, strict=True)]


def _cells(outcome: Outcome) -> dict[str, str]:
    """Return what to say of each path."""
    told: dict[str, list[str]] = {}
    for cell in outcome.cells:
        words = ", ".join(cell.missing) if cell.missing else cell.verdict
        told.setdefault(cell.path, []).append(words)
    return {path: "; ".join(dict.fromkeys(words)) for path, words in told.items()}


def _text(rows: list[Row]) -> str:
    told = [_cells(row.outcome) for row in rows]
    others = sorted({path for one in told for path in one if path not in _PATHS})
    paths = [path for path in (*_PATHS, *others) if any(path in one for one in told)]
    table = [("revision", "commit", "verdict", *paths)]
    for row, one in zip(rows, told, strict=True):
        cells = (one.get(path, "-") for path in paths)
        table.append((row.rev, row.commit[:12], row.outcome.verdict, *cells))
    widths = [max(len(safe(line[i])) for line in table) for i in range(len(table[0]))]
    return "".join(
        "  ".join(safe(c).ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in table
    )


def _document(rows: list[Row]) -> str:
    body = {
        "version": 1,
        "rows": [
            {
                "rev": safe(row.rev),
                "commit": row.commit,
                "verdict": row.outcome.verdict,
                "paths": [
                    {
                        "path": cell.path,
                        "field": cell.field,
                        "verdict": cell.verdict,
                        "missing": list(cell.missing),
                    }
                    for cell in row.outcome.cells
                ],
            }
            for row in rows
        ],
    }
    return json.dumps(body, indent=2) + "\n"
