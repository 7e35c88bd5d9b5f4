# SPDX-License-Identifier: GPL-2.0-only
"""The command ``matrix``: one row for each revision."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from patchtool.commands.history import add_work, chosen_fields, legend
from patchtool.history.flips import DEFAULT_FIELDS, Settings, outcomes
from patchtool.history.verdicts import Cell, Outcome
from patchtool.model import SEVERITY, worst
from patchtool.outside.git import Repository
from patchtool.report import STATUS
from patchtool.report.layout import columns, fits, table
from patchtool.report.words import safe
from patchtool.target.paths import ordered

ABOUT = """\
Check some revisions of a repository, and print for each which inputs the role
misses on each path."""


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
    add(
        "--fields",
        metavar="NAME[,NAME...]",
        help=f"the fields to decide, or all (default: {','.join(DEFAULT_FIELDS)})",
    )
    add("--format", choices=("text", "json"), default="text", help="the form of the table")
    add_work(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check every revision, print the table and return the exit status."""
    from patchtool.report.progress import Progress

    fields = chosen_fields(arguments.fields)
    with Repository.open(arguments.tree) as repository, Progress("revisions") as progress:
        settings = Settings(fields, arguments.jobs, cache=not arguments.no_cache, progress=progress)
        rows = matrix(repository, arguments.revs, settings)
    if arguments.format == "json":
        sys.stdout.write(_document(rows))
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _text(rows, columns())))
    # An unreadable or absent tree raises, so that every row has a verdict.
    verdicts = tuple(v for row in rows if (v := row.outcome.verdict) in SEVERITY)
    return STATUS[worst(verdicts)]  # type: ignore[arg-type]


def matrix(repository: Repository, revs: Sequence[str], settings: Settings) -> list[Row]:
    """Check some revisions; equal commits are checked once."""
    commits = [repository.resolve(rev) for rev in revs]
    found = outcomes(repository, list(dict.fromkeys(commits)), settings)
    return [Row(rev, commit, found[commit]) for rev, commit in zip(revs, commits, strict=True)]


def _cells(outcome: Outcome) -> dict[str, str]:
    """Return what to say of each path, all fields together."""
    told: dict[str, list[Cell]] = {}
    for cell in outcome.cells:
        told.setdefault(cell.path, []).append(cell)
    return {path: _said(cells) for path, cells in told.items()}


def _said(cells: Sequence[Cell]) -> str:
    missing = dict.fromkeys(name for cell in cells for name in cell.missing)
    states = [cell.verdict for cell in cells]
    if not missing:
        return worst(tuple(states))  # type: ignore[arg-type]
    return ", ".join([*missing, *(["unknown"] if "unknown" in states else [])])


def _text(rows: Sequence[Row], width: int) -> Iterator[str]:
    told = [_cells(row.outcome) for row in rows]
    there = {path for one in told for path in one}
    paths = ordered(there)
    lines: list[tuple[str, ...]] = [("revision", "commit", "verdict", *paths)]
    for row, one in zip(rows, told, strict=True):
        cells = (safe(one.get(path, "-")) for path in paths)
        lines.append((safe(row.rev), row.commit[:12], row.outcome.verdict, *cells))
    # What a revision is called is known; which commit it is, the document tells.
    short = [(line[0], *line[2:]) for line in lines]
    ways = [(some, gap) for some in (lines, short) for gap in (2, 1)]
    some, gap = next((way for way in ways if fits(way[0], width, way[1])), (lines, 2))
    yield from table(some, width=width, gap=gap)
    yield from legend(paths, width)


def _document(rows: Sequence[Row]) -> str:
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
