# SPDX-License-Identifier: GPL-2.0-only
"""The command ``history``: which commits opened and closed a gap."""

from __future__ import annotations

import argparse
import json
import sys

from patchtool.errors import UsageError
from patchtool.history.flips import (
    DEFAULT_FIELDS,
    Flip,
    History,
    Settings,
    first_tag,
    history,
    stable_note,
)
from patchtool.report.words import safe, sentence

ABOUT = """\
Walk the history of a repository and name every commit at which an input goes
missing from a role, is covered again, or can no longer be decided."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add("tree", nargs="?", default=".", metavar="TREE", help="a git repository with a kernel")
    add("range", nargs="?", metavar="RANGE", help="A..B, or one revision (default: HEAD)")
    add("--fields", metavar="NAME[,NAME...]", help="the fields to decide (default: root_level)")
    add("--format", choices=("text", "json"), default="text", help="the form of the answer")
    add("--jobs", type=_number, default=1, metavar="N", help="decide in N processes (default: 1)")
    add("--no-cache", action="store_true", help="neither use nor keep what was found out")
    add("--paranoid", action="store_true", help="decide every commit and compare: slow")
    add("-v", "--verbose", action="store_true", help="say on standard error what it cost")
    parser.set_defaults(run=run)


def _number(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 256:
        raise ValueError(text)
    return number


def chosen_fields(given: str | None) -> tuple[str, ...]:
    """Return the fields that were asked for."""
    names = tuple(name.strip() for name in given.split(",")) if given else DEFAULT_FIELDS
    for name in names:
        if not (name.isascii() and name.isidentifier()):
            raise UsageError(f"--fields: {name!r} is not the name of a member of struct kvm_mmu")
    return names


def run(arguments: argparse.Namespace) -> int:
    """Walk, print, and return the exit status."""
    from patchtool.outside.git import Repository

    progress = _Progress() if sys.stderr.isatty() else None
    settings = Settings(
        jobs=arguments.jobs,
        cache=not arguments.no_cache,
        paranoid=arguments.paranoid,
        progress=progress,
    )
    with Repository.open(arguments.tree) as repository:
        try:
            found = history(repository, arguments.range, chosen_fields(arguments.fields), settings)
        except KeyboardInterrupt:
            if settings.cache:
                sys.stderr.write("\npatchtool: stopped; what was found so far is kept, run again\n")
            raise
        finally:
            if progress is not None:
                progress.clear()
        tag = None
        if found.introduced is not None and found.complete:
            tag = first_tag(repository, found.introduced.commit)
    if arguments.verbose:
        sys.stderr.write(_cost(found))
    write = _document if arguments.format == "json" else _text
    sys.stdout.write(write(found, tag))
    return 0


class _Progress:
    """One line on a terminal that says how far it is."""

    def __call__(self, done: int, total: int) -> None:
        width = 30
        full = width * done // max(total, 1)
        bar = "#" * full + "." * (width - full)
        sys.stderr.write(f"\r[{bar}] {done}/{total} commits")
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _cost(found: History) -> str:
    counts = found.counts
    return (
        f"patchtool: {counts.commits} commits, {counts.read} versions read, "
        f"{counts.distinct} distinct, {counts.parsed} pieces parsed, {counts.decided} decided\n"
    )


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


def _document(found: History, tag: str | None) -> str:
    start = found.introduced
    introduced = None
    if start is not None:
        introduced = {**flip_document(start), "fixes": start.fixes, "tag": tag}
    body = {
        "version": 1,
        "verdict": found.verdict,
        "flips": [flip_document(flip) for flip in found.flips],
        "introduced": introduced,
        "complete": found.complete,
        "notes": [sentence(note) for note in found.notes],
    }
    return json.dumps(body, indent=2) + "\n"


def _text(found: History, tag: str | None) -> str:
    rows = [
        (f.commit[:12], f.date[:10], f.kind, safe(f.path), _change(f), safe(f.subject))
        for f in found.flips
    ]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(5)]
    lines = [
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row[:5], widths, strict=True)), row[5]]
        )
        for row in rows
    ]
    lines += ["", *_verdict(found, tag)] if lines else _verdict(found, tag)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _change(flip: Flip) -> str:
    names = ", ".join(safe(name) for name in flip.missing)
    return f"{names}: {flip.before} -> {flip.after}" if names else f"{flip.before} -> {flip.after}"


def _verdict(found: History, tag: str | None) -> list[str]:
    words = "history is complete" if found.complete else "history is incomplete"
    lines = [f"verdict at the newest commit: {found.verdict}; {words}"]
    lines += [f"note: {sentence(note)}" for note in found.notes]
    start = found.introduced
    if start is not None:
        lines.append(safe(start.fixes))
        if tag is not None:
            lines.append(f"Cc: stable@vger.kernel.org {stable_note(safe(tag))}")
    elif found.verdict == "gap":
        lines.append("no Fixes: line, because no commit can be proved to have introduced the gap")
    return lines
