# SPDX-License-Identifier: GPL-2.0-only
"""Recorded facts about the upstream kernel, for trees that have no history to ask.

In: the name of an input and the release of a tree.  Out: the commit to blame, how the
states are reached, and the commit that closed the gap, as ``data/upstream.toml`` has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from patchtool.c.texts import Readable
from patchtool.model import Context, FieldResult, Report
from patchtool.target.paths import path_of

Release = tuple[int, int, int, int]
"""Version, patch level, sublevel, and candidate; a release is behind all its candidates."""

_FINAL = 1 << 30


@dataclass(frozen=True, slots=True)
class Closing:
    """The commit that closed a gap upstream, and what it changed."""

    commit: str
    subject: str
    release: str
    stable: tuple[str, ...]
    """The updates of stable series that have it."""
    paths: Mapping[str, str]
    """The paths that it is the answer for, and from which release on it is."""
    member: str
    """The bit that it adds to the role, "" where it makes stored roles invalid."""
    file: str
    function: str
    reader: str
    """The function with which it reads the register, or "" for none."""

    @property
    def named(self) -> str:
        """The commit with its subject and the first release, as people cite it."""
        release = self.release.partition("-rc")[0]
        return f'{self.commit[:12]} ("{self.subject}"), v{release}'

    def since(self, release: Release) -> str:
        """The update of a tree's own series that has it, "" where none is on record."""
        own = (one for one in self.stable if parsed(one)[:2] == release[:2])
        return next(own, "")


@dataclass(frozen=True, slots=True)
class Fact:
    """What is on record about one input."""

    input: str
    commit: str
    subject: str
    release: str
    contexts: tuple[str, ...]
    reach: str
    closed: Closing | None = None


@cache
def _facts() -> dict[str, Fact]:
    import tomllib

    path = Path(__file__).parent.parent / "data" / "upstream.toml"
    with path.open("rb") as file:
        return {one["input"]: _fact(one) for one in tomllib.load(file)["gap"]}


def _fact(one: dict[str, Any]) -> Fact:
    closed = one.pop("closed", None)
    if closed is not None:
        closed = Closing(**{**closed, "stable": tuple(closed["stable"])})
    return Fact(**{**one, "contexts": tuple(one["contexts"]), "closed": closed})


def recorded(name: str, source: Readable) -> Fact | None:
    """Return what is on record about an input, if it can be about this tree.

    A tree older than the commit, or of no known release, has its gap from elsewhere.
    """
    fact = _facts().get(name)
    release = kernel_release(source)
    if fact is None or release is None or release < parsed(fact.release)[:2]:
        return None
    return fact


def blamed(name: str, source: Readable) -> Fact | None:
    """Return what is on record about an input, if its commit is to blame for a gap of this tree.

    A tree that is new enough to have what closed it has lost that again, by another commit.
    """
    fact, release = recorded(name, source), full_release(source)
    if fact is None or release is None:
        return None
    return None if fact.closed is not None and _has(fact.closed, release) else fact


def _has(closed: Closing, release: Release) -> bool:
    """Tell whether a release is new enough to have a commit."""
    own = closed.since(release)
    return release >= parsed(closed.release) or bool(own and release >= parsed(own))


def closing(name: str, path: str, source: Readable) -> Closing | None:
    """Return the commit that closed a gap upstream which a tree still has on a path.

    A tree that is new enough to have it has lost it again, so its gap is another one.
    """
    fact = recorded(name, source)
    release = full_release(source)
    if fact is None or fact.closed is None or release is None:
        return None
    closed = fact.closed
    begun = closed.paths.get(path)
    if begun is None or release[:2] < parsed(begun)[:2] or _has(closed, release):
        return None
    return closed


def known(report: Report, source: Readable) -> dict[tuple[str, tuple[str, ...]], list[Known]]:
    """Return what is on record for each gap of a report, by field and way to the guard."""
    found: dict[tuple[str, tuple[str, ...]], list[Known]] = {}
    for context in report.contexts:
        for one in context.fields:
            some = _closings(context, one, source) if one.verdict == "gap" else []
            if some:
                found.setdefault((one.name, context.entry), some)
    return found


@dataclass(frozen=True, slots=True)
class Known:
    """One input of a gap that a commit closed upstream; ``since`` is for the own series."""

    input: str
    closing: Closing
    since: str


def _closings(context: Context, one: FieldResult, source: Readable) -> list[Known]:
    release = full_release(source) or (0, 0, 0, 0)
    path = path_of(context)
    found = ((name, closing(name, path, source)) for name in one.missing)
    return [Known(name, by, by.since(release)) for name, by in found if by is not None]


def by_commit(commit: str) -> Fact | None:
    """Return the fact that blames a commit, given by at least 12 digits of its id."""
    for fact in _facts().values():
        if commit.startswith(fact.commit):
            return fact
    return None


def closings(report: Report, source: Readable) -> dict[str, Closing]:
    """Return by input which commit closed upstream what a report shows to be open."""
    some = (one for found in known(report, source).values() for one in found)
    return {one.input: one.closing for one in some}


def series(source: Readable) -> str:
    """Return the stable series of a tree, as ``5.10.y``; "" where its Makefile tells none."""
    release = kernel_release(source)
    return f"{release[0]}.{release[1]}.y" if release is not None else ""


def kernel_release(source: Readable) -> tuple[int, int] | None:
    """Return version and patch level of a tree from its Makefile."""
    said = _makefile(source)
    version, level = said["VERSION"], said["PATCHLEVEL"]
    return (int(version), int(level)) if version.isdigit() and level.isdigit() else None


def full_release(source: Readable) -> Release | None:
    """Return the whole release of a tree, None where its Makefile does not tell."""
    said = _makefile(source)
    numbers = [said[name] for name in ("VERSION", "PATCHLEVEL")]
    if not all(number.isdigit() for number in numbers):
        return None
    level = said["SUBLEVEL"] if said["SUBLEVEL"].isdigit() else "0"
    candidate = re.match(r"-rc(\d+)", said["EXTRAVERSION"])
    last = int(candidate.group(1)) if candidate else _FINAL
    return int(numbers[0]), int(numbers[1]), int(level), last


def kernel_version(source: Readable) -> str:
    """Return the full version of a tree from its Makefile, "" where it has none."""
    said = _makefile(source)
    numbers = [said[name] for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL") if said[name]]
    return ".".join(numbers) + said["EXTRAVERSION"] if numbers else ""


def _makefile(source: Readable) -> dict[str, str]:
    text = (source.read("Makefile") or b"").decode("utf-8", "replace")
    names = ("VERSION", "PATCHLEVEL", "SUBLEVEL", "EXTRAVERSION")
    found = {name: re.search(rf"^{name}[ \t]*=[ \t]*([\w.+-]*)", text, re.M) for name in names}
    return {name: match.group(1) if match else "" for name, match in found.items()}


def parsed(release: str) -> Release:
    """Return a release that is written as ``5.16-rc2`` or ``5.10.48``."""
    numbers, _, candidate = release.partition("-rc")
    parts = [*map(int, numbers.split(".")), 0][:3]
    return parts[0], parts[1], parts[2], int(candidate) if candidate else _FINAL
