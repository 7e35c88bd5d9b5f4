# SPDX-License-Identifier: GPL-2.0-only
"""``patchtool matrix``: one row for each revision.

In: parsed arguments.  Out: a table or JSON, patches in a folder where they are asked for, and
the exit status: that of the worst row.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from patchtool.commands.arguments import add_form, add_question, asked
from patchtool.commands.history import add_work, legend
from patchtool.history.flips import Settings, outcomes
from patchtool.history.verdicts import WRONG, Cell, Outcome
from patchtool.model import SEVERITY, worst
from patchtool.outside.git import Repository
from patchtool.report import STATUS
from patchtool.report.layout import columns, fits, show, table, wrapped
from patchtool.report.words import safe
from patchtool.target.paths import ordered, path_of

if TYPE_CHECKING:
    from patchtool.history.walker import Counts
    from patchtool.model import Report
    from patchtool.repair.fix import Key
    from patchtool.rules.upstream import Closing

_ABOUT = """\
Check some revisions of a repository, and print for each which inputs the role
misses on each path."""

_STATUSES = """\
example:
  patchtool matrix linux v5.14 v5.15 v5.16

exit status:
  0  no revision has a gap, and everything was decided
  1  at least one revision has a gap
  2  the request or the input is at fault; standard error says how
  3  no gap, but something could not be decided"""

_FIELDS = 2
"""Of how many fields the cells of a table can tell; what is wrong with more is listed."""
_NO_PATH = "-"
"""Stands where a revision does not have a path."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one input of a revision for which a patch was wanted."""

    input: str
    result: Literal["applies as it is", "adjusted", "own patch", "not repairable"]
    words: tuple[str, ...] = ()
    """What was adjusted, or why there is no patch."""
    file: str = ""
    paths: tuple[str, ...] = ()
    """On which paths the input was missing that the patch closes, or that stay open."""


@dataclass(frozen=True, slots=True)
class Row:
    """One revision as it was named, the commit, and what was found."""

    rev: str
    commit: str
    outcome: Outcome
    known: tuple[tuple[Cell, str, Closing], ...] = ()
    """What closed an input of a path upstream."""
    written: tuple[Written, ...] = ()


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description, parser.epilog = _ABOUT, _STATUSES
    add = parser.add_argument
    add("tree", metavar="TREE", help="a git repository with a kernel")
    add("revs", nargs="+", metavar="REV", help="commits, tags or branches")
    add_question(parser)
    add_form(parser, "table")
    add(
        "--write-patches",
        metavar="DIR",
        help="for each revision with a gap, write patches to a folder below this one: the commits "
        "that closed it upstream as stable takes them, else patches of its own",
    )
    add_work(parser)
    add("-v", "--verbose", action="store_true", help="say on standard error what it cost")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check every revision, print the table and return the exit status."""
    from patchtool.report.progress import Progress

    rule, fields = asked(arguments)
    with Repository.open(arguments.tree) as repository, Progress("revisions") as progress:
        settings = Settings(
            fields,
            rule,
            arguments.jobs,
            cache=not arguments.no_cache,
            progress=progress,
        )
        rows, counts = matrix(repository, arguments.revs, settings)
        if arguments.write_patches is not None:
            rows = _written(repository, rows, settings, arguments.write_patches)
    if arguments.verbose:
        some = f"{len(rows)} revisions, {counts.decided} decided"
        sys.stderr.write(f"patchtool: {some}, the others known\n")
    if arguments.format == "json":
        show(_document(rows))
    else:
        show("".join(f"{line}\n" for line in _text(rows, columns())))
    # An unreadable or absent tree raises, so that every row has a verdict.
    verdicts = tuple(v for row in rows if (v := row.outcome.verdict) in SEVERITY)
    return STATUS[worst(verdicts)]  # type: ignore[arg-type]


def matrix(
    repository: Repository, revs: Sequence[str], settings: Settings
) -> tuple[list[Row], Counts]:
    """Check some revisions, equal commits once; tell what that cost, too."""
    commits = [repository.resolve(rev) for rev in revs]
    found, counts = outcomes(repository, list(dict.fromkeys(commits)), settings)
    rows = [
        Row(rev, commit, found[commit], _known(repository, commit, found[commit]))
        for rev, commit in zip(revs, commits, strict=True)
    ]
    return rows, counts


def _known(
    repository: Repository, commit: str, outcome: Outcome
) -> tuple[tuple[Cell, str, Closing], ...]:
    """Return which commits closed upstream what a revision misses."""
    from patchtool.outside.source import Revision
    from patchtool.rules import upstream

    if not outcome.gaps:
        return ()
    source = Revision(repository, commit)
    found = (
        (cell, name, upstream.closing(name, cell.path, source))
        for cell in outcome.cells
        for name in cell.missing
    )
    return tuple((cell, name, by) for cell, name, by in found if by is not None)


# -- patches ---------------------------------------------------------------------------------


def _written(
    repository: Repository, rows: Sequence[Row], settings: Settings, folder: str
) -> list[Row]:
    """Write the patches of each revision with a gap; equal commits have them once."""
    todo = [row for row in rows if row.outcome.gaps]
    done: dict[str, tuple[Written, ...]] = {}
    for number, row in enumerate(todo):
        if settings.progress is not None:
            settings.progress(number, len(todo))
        if row.commit not in done:
            done[row.commit] = tuple(_patches(repository, row, settings, folder))
    return [replace(row, written=done.get(row.commit, ())) for row in rows]


def _patches(
    repository: Repository, row: Row, settings: Settings, folder: str
) -> Iterator[Written]:
    from patchtool.commands import fix as command
    from patchtool.outside.source import Revision
    from patchtool.repair import fix, patch
    from patchtool.rules import upstream

    source = Revision(repository, row.commit)
    outcome = fix.search(source, settings.fields, rule=settings.rule)
    known = upstream.closings(outcome.first, source)
    files: Sequence[str] = ()
    back = command.backports(known, outcome)
    if outcome.repairs:
        where = os.path.join(folder, re.sub(r"[^\w.+-]", "-", row.rev).lstrip(".-") or row.commit)
        mails = patch.series(outcome, command.plain_settings(repository, source, outcome, back))
        files = command.write(where, mails)
    for one, file in zip(outcome.repairs, files, strict=True):
        paths = _paths_of(one.before, one.closed)
        if one.is_more or one.input not in back:
            yield Written(one.input, "own patch", (), file, paths)
        elif back[one.input].adjusted:
            yield Written(one.input, "adjusted", back[one.input].adjusted, file, paths)
        else:
            yield Written(one.input, "applies as it is", (), file, paths)
    told: dict[tuple[str, str], list[fix.Key]] = {}
    for gap in outcome.open:
        told.setdefault((gap.input, gap.reason), []).append(gap.key)
    for (name, reason), keys in told.items():
        paths = _paths_of(outcome.last, keys)
        yield Written(name, "not repairable", (reason,), paths=paths)


def _paths_of(report: Report, keys: Iterable[Key]) -> tuple[str, ...]:
    """Return the short names of the paths of some fields."""
    from patchtool.repair.fix import results

    found = results(report)
    return tuple(ordered({path_of(found[key][0]) for key in keys if key in found}))


def _cells(outcome: Outcome) -> dict[str, str]:
    """Return what to say of each path, all fields together."""
    told: dict[str, list[Cell]] = {}
    for cell in outcome.cells:
        told.setdefault(cell.path, []).append(cell)
    return {path: _said(cells) for path, cells in told.items()}


def _said(cells: Sequence[Cell]) -> str:
    missing = dict.fromkeys(name.strip("()") for cell in cells for name in cell.missing)
    states = [cell.verdict for cell in cells]
    if not missing:
        return worst(tuple(states))  # type: ignore[arg-type]
    return ", ".join([*missing, *(["unknown"] if "unknown" in states else [])])


def _text(rows: Sequence[Row], width: int) -> Iterator[str]:
    fields = {cell.field for row in rows for cell in row.outcome.cells}
    several = len(fields) > _FIELDS
    told = [_verdicts(row.outcome) if several else _cells(row.outcome) for row in rows]
    there = {path for one in told for path in one}
    paths = ordered(there)
    lines: list[tuple[str, ...]] = [("revision", "commit", "verdict", *paths)]
    for row, one in zip(rows, told, strict=True):
        cells = (safe(one.get(path, _NO_PATH)) for path in paths)
        lines.append((safe(row.rev), row.commit[:12], row.outcome.verdict, *cells))
    # What a revision is called is known; which commit it is, the document tells.
    short = [(line[0], *line[2:]) for line in lines]
    ways = [(some, gap) for some in (lines, short) for gap in (2, 1)]
    some, gap = next((way for way in ways if fits(way[0], width, way[1])), (lines, 2))
    yield from table(some, width=width, gap=gap)
    if several:
        yield from _listed(rows, width)
    yield from _closings(rows, width)
    yield from _results(rows, width)
    yield from legend(paths, width)
    if any(_NO_PATH in line[3:] for line in lines):
        yield f"  {_NO_PATH:6}  no such path in that revision"


def _verdicts(outcome: Outcome) -> dict[str, str]:
    """Return the worst verdict of each path."""
    found: dict[str, list[str]] = {}
    for cell in outcome.cells:
        found.setdefault(cell.path, []).append(cell.verdict)
    return {path: worst(tuple(states)) for path, states in found.items()}  # type: ignore[arg-type]


def _listed(rows: Sequence[Row], width: int) -> Iterator[str]:
    """Yield what is wrong or open in each revision: on which paths, and for which fields."""
    for row in rows:
        found: dict[str, dict[str, list[str]]] = {}
        for cell in row.outcome.cells:
            names = [*cell.missing, *(["(undecided)"] if cell.verdict == "unknown" else [])]
            for name in names:
                found.setdefault(name, {}).setdefault(cell.field, []).append(cell.path)
        if not found:
            continue
        yield ""
        yield f"{safe(row.rev)}:"
        for name in sorted(found, key=lambda one: (one.startswith("("), one)):
            grouped: dict[str, list[str]] = {}
            for field, some in found[name].items():
                grouped.setdefault(", ".join(ordered(some)), []).append(field)
            yield f"  {safe(name.strip('()'))}"
            for places, fields in grouped.items():
                words = f"{safe(places)}: {', '.join(map(safe, sorted(fields)))}"
                yield from wrapped(words, "    ", "        ", width)


def _closings(rows: Sequence[Row], width: int) -> Iterator[str]:
    """Yield which commits closed upstream what is open, and where."""
    told: dict[str, dict[str, dict[str, None]]] = {}
    others: dict[str, dict[str, dict[str, None]]] = {}
    for row in rows:
        known = {(cell, name): by for cell, name, by in row.known}
        for cell in row.outcome.cells:
            for name in cell.missing:
                if name in WRONG.values():
                    continue
                by = known.get((cell, name))
                words = f"{safe(name)} by {by.named if by else 'no commit on record'}"
                some = (told if by else others).setdefault(words, {})
                some.setdefault(safe(row.rev), {})[safe(cell.path)] = None
    if told:
        yield ""
        yield "closed upstream:"
    for words, revs in (told | others).items() if told else ():
        places = [f"{rev} ({', '.join(ordered(paths))})" for rev, paths in revs.items()]
        yield from wrapped(f"{words}: {', '.join(places)}", "  ", "      ", width)


def _results(rows: Sequence[Row], width: int) -> Iterator[str]:
    """Yield what became of the patches that were wanted."""
    if any(row.written for row in rows):
        yield ""
        yield "patches:"
    for row in rows:
        for one in row.written:
            where = f" ({', '.join(one.paths)})" if one.paths else ""
            what = f"{safe(one.input)}{where}: {one.result}" if one.input else one.result
            more = f" ({safe('; '.join(one.words))})" if one.words else ""
            at = f", {safe(one.file)}" if one.file else ""
            yield from wrapped(f"{safe(row.rev)}: {what}{more}{at}", "  ", "      ", width)


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
                "upstream": [
                    {
                        "path": cell.path,
                        "field": cell.field,
                        "input": safe(name),
                        "commit": by.commit,
                        "subject": by.subject,
                        "release": by.release,
                        "stable": list(by.stable),
                    }
                    for cell, name, by in row.known
                ],
                "patches": [
                    {
                        "input": safe(one.input),
                        "paths": [safe(path) for path in one.paths],
                        "result": one.result,
                        "details": [safe(words) for words in one.words],
                        "file": safe(one.file) or None,
                    }
                    for one in row.written
                ],
            }
            for row in rows
        ],
    }
    return json.dumps(body, indent=2) + "\n"
