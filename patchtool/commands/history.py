# SPDX-License-Identifier: GPL-2.0-only
"""``patchtool history``: which commits opened and closed a gap.

In: parsed arguments.  Out: for each field and input what happened to it, as text or JSON, and
the exit status: that of the newest commit.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from patchtool.commands.arguments import add_form, add_question, asked
from patchtool.history.flips import (
    Flip,
    History,
    Open,
    Settings,
    first_tag,
    history,
    stable_note,
)
from patchtool.history.verdicts import WRONG, State
from patchtool.model import listed
from patchtool.outside.git import Repository
from patchtool.report.layout import columns, show, table, wrapped
from patchtool.report.words import safe, sentence
from patchtool.target.paths import PATHS, ordered

_ABOUT = """\
Walk the history of a repository and tell for each input of a field which commits
opened a gap, because the role no longer determines it, and which closed it."""

_STATUSES = """\
examples:
  patchtool history linux v5.13..v5.17   a range
  patchtool history v5.13..              the same up to HEAD, in this folder

exit status:
  0  the newest commit has no gap
  1  the newest commit has a gap
  2  the request or the input is at fault; standard error says how
  3  the newest commit could not be decided"""

_EVENTS = {
    "introduced": "opened",
    "reintroduced": "reopened",
    "closed": "closed",
    "undecided": "undecided",
}

_STATUS: Mapping[State, int] = {
    "covered": 0, "not-guarded": 0, "absent": 0, "gap": 1, "unknown": 3, "unreadable": 3,
}  # fmt: skip
"""Without KVM there is no gap; what this clone does not hold is not decided."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description, parser.epilog = _ABOUT, _STATUSES
    add = parser.add_argument
    add(
        "tree",
        nargs="?",
        default=".",
        metavar="TREE",
        help="a git repository with a kernel (default: this folder)",
    )
    add("range", nargs="?", metavar="RANGE", help="A..B, or all up to one revision (default: HEAD)")
    add_question(parser)
    add_form(parser, "answer")
    add_work(parser)
    add("--paranoid", action="store_true", help="decide every commit and compare: slow")
    add("-v", "--verbose", action="store_true", help="say on standard error what it cost")
    parser.set_defaults(run=run)


def add_work(parser: argparse.ArgumentParser) -> None:
    """Add what says how to work on many commits."""
    add = parser.add_argument
    add("--jobs", type=_number, default=1, metavar="N", help="decide in N processes (default: 1)")
    add("--no-cache", action="store_true", help="neither use nor keep what was found out")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 256):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 256")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Walk, print, and return the exit status."""
    from patchtool.report.progress import Progress

    rule, fields = asked(arguments)
    where, given = _places(arguments.tree, arguments.range)
    cache = not arguments.no_cache
    with Repository.open(where) as repository, Progress("commits") as progress:
        settings = Settings(
            rule=rule,
            jobs=arguments.jobs,
            cache=cache,
            paranoid=arguments.paranoid,
            progress=progress,
        )
        try:
            found = history(repository, given, fields, settings)
        except KeyboardInterrupt:
            if cache:
                sys.stderr.write("\npatchtool: stopped; what was found so far is kept, run again\n")
            raise
        releases = _releases(repository, found)
    if arguments.verbose:
        sys.stderr.write(_cost(found))
    if arguments.format == "json":
        show(_document(found, releases))
    else:
        show("".join(f"{line}\n" for line in _text(found, releases, columns())))
    return _STATUS[found.verdict]


def _places(tree: str, given: str | None) -> tuple[str, str | None]:
    """Return folder and range; a range alone is one of this folder."""
    if given is None and re.search(r"[^./]\.\.|\.\.[^./]", tree) and not os.path.exists(tree):
        return ".", tree
    return tree, given


def _releases(repository: Repository, found: History) -> dict[str, str]:
    """Return the first release with each commit that is named; in part of a history, none."""
    if not found.complete:
        return {}
    named = {flip.commit for flip in found.flips}
    if found.introduced is not None:
        named.add(found.introduced.commit)
    tags = {commit: first_tag(repository, commit) for commit in sorted(named)}
    return {commit: tag for commit, tag in tags.items() if tag is not None}


def _cost(found: History) -> str:
    counts = found.counts
    return (
        f"patchtool: {counts.commits} commits, {counts.read} versions read, "
        f"{counts.distinct} distinct, {counts.parsed} pieces parsed, {counts.decided} decided\n"
    )


# -- what happened to each input ---------------------------------------------------------------


class _Event(NamedTuple):
    """What one commit does to an input, on some paths."""

    word: str
    commit: str
    date: str
    subject: str
    paths: tuple[str, ...]


def _events(found: History) -> dict[tuple[str, str], list[_Event]]:
    """Return for each field and input what happened to it, oldest first."""
    told: dict[tuple[str, str], dict[tuple[str, str], tuple[Flip, list[str]]]] = {}
    for flip in found.flips:
        word = _EVENTS.get(flip.kind) or (
            "open again" if flip.after == "gap" else f"decided: {flip.after}"
        )
        for name in flip.missing or ("",):
            # On another path it may be the first time.
            events = told.setdefault((flip.field, name), {})
            events.setdefault((flip.commit, word), (flip, []))[1].append(flip.path)
    return {
        key: [
            _Event(word, flip.commit, flip.date, flip.subject, tuple(dict.fromkeys(paths)))
            for (_, word), (flip, paths) in events.items()
        ]
        for key, events in sorted(told.items(), key=lambda item: (item[0][1] == "", item[0]))
    }


# -- forms -----------------------------------------------------------------------------------


def flip_document(flip: Flip) -> dict[str, object]:
    """Return a flip as it stands in the JSON document."""
    return {
        "commit": flip.commit,
        "subject": safe(flip.subject),
        "date": flip.date,
        "from": flip.before,
        "to": flip.after,
        "missing": list(flip.missing),
        "kind": flip.kind,
        "path": flip.path,
        "field": flip.field,
    }


def _document(found: History, releases: Mapping[str, str]) -> str:
    start = found.introduced
    introduced = None
    if start is not None:
        fixes = start.fixes if found.open else None
        introduced = {**flip_document(start), "fixes": fixes, "tag": releases.get(start.commit)}
    events = _events(found)
    open_ = {(one.field, one.input): one for one in found.open}
    body = {
        "version": 1,
        "verdict": found.verdict,
        "flips": [flip_document(flip) for flip in found.flips],
        "inputs": [
            _input_document(field, name, events.get((field, name), ()), open_, releases)
            for field, name in dict.fromkeys((*events, *open_))
            if name
        ],
        "introduced": introduced,
        "complete": found.complete,
        "notes": [sentence(note) for note in found.notes],
    }
    return json.dumps(body, indent=2) + "\n"


def _input_document(
    field: str,
    name: str,
    events: Sequence[_Event],
    open_: Mapping[tuple[str, str], Open],
    releases: Mapping[str, str],
) -> dict[str, object]:
    now = open_.get((field, name))
    since = now.since if now is not None else None
    return {
        "field": field,
        "input": safe(name),
        "events": [
            {
                "event": one.word,
                "commit": one.commit,
                "date": one.date,
                "subject": safe(one.subject),
                "tag": releases.get(one.commit),
                "paths": list(one.paths),
            }
            for one in events
        ],
        "open": list(now.paths) if now is not None else [],
        "since": since.commit if since is not None else None,
        "fixes": since.fixes if since is not None else None,
    }


def _text(found: History, releases: Mapping[str, str], width: int) -> Iterator[str]:
    events = _events(found)
    open_ = {(one.field, one.input): one for one in found.open}
    fields = {field for field, name in (*events, *open_) if name}
    blocks: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for field, name in dict.fromkeys((*events, *open_)):
        body = [*_rows(events.get((field, name), ()), releases, width)]
        if (field, name) in open_:
            body += wrapped(_now(open_[field, name]), "  ", "      ", width)
        blocks.setdefault((name, tuple(body)), []).append(field)
    for (name, lines), some in blocks.items():
        yield from wrapped(_title(some, name, len(fields) > 1), "", "    ", width)
        yield from lines
        yield ""
    yield f"verdict at the newest commit: {found.verdict}; {_complete(found)}"
    for note in found.notes:
        yield from wrapped(f"note: {sentence(note)}", "", "    ", width)
    yield from _trailers(found, releases)
    named = {path for some in events.values() for one in some for path in one.paths}
    yield from legend((*named, *(path for one in found.open for path in one.paths)), width)


def _title(fields: Sequence[str], name: str, several: bool) -> str:
    """Return what happened to what: an input, and the fields to which it happened alike."""
    if not name:
        return "as a whole"
    told = ", ".join(map(safe, fields))
    if name in WRONG.values():
        return f"{told}: {name.strip('()')}"
    return f"{safe(name)} ({told})" if several else safe(name)


def _rows(events: Sequence[_Event], releases: Mapping[str, str], width: int) -> Iterator[str]:
    rows = [
        (one.word, one.date[:10], one.commit[:12], releases.get(one.commit, ""), _on(one.paths))
        for one in events
    ]
    # Each on lines of its own, the subject below; the columns are those of all.
    lines = table(rows, "  ", sys.maxsize) if rows else ()
    for number, (line, one) in enumerate(zip(lines, events, strict=True), 1):
        yield line
        if number == len(events) or events[number].commit != one.commit:
            yield from wrapped(safe(one.subject), "      ", "      ", width)


def _on(paths: Sequence[str]) -> str:
    return ", ".join(safe(path) for path in ordered(paths) if path)


def _now(one: Open) -> str:
    word = "open" if one.state == "gap" else "not closed, but undecided"
    return f"{word} on {listed([safe(path) for path in ordered(one.paths)])} at the newest commit"


def _complete(found: History) -> str:
    return "history is complete" if found.complete else "history is incomplete"


def legend(names: Sequence[str], width: int) -> Iterator[str]:
    """Yield what short names of paths stand for, a blank line first; nothing for none."""
    rows = [(name, words) for name, words in PATHS.items() if name in names]
    if rows:
        yield ""
        yield "paths:"
        yield from table(rows, "  ", width)


def _trailers(found: History, releases: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines for a patch that closes what is open, for each commit to blame."""
    blamed: dict[str, tuple[Flip, list[str]]] = {}
    for one in found.open:
        if one.since is not None:
            blamed.setdefault(one.since.commit, (one.since, []))[1].append(one.input)
    for flip, inputs in blamed.values():
        yield ""
        if len(blamed) > 1:
            yield f"For {listed([safe(name) for name in dict.fromkeys(inputs)])}:"
        yield safe(flip.fixes)
        tag = releases.get(flip.commit)
        if tag is not None:
            yield f"Cc: stable@vger.kernel.org {stable_note(safe(tag))}"
    if found.open and not blamed:
        yield ""
        yield "no Fixes: line, because no commit can be proved to have introduced the gap"
