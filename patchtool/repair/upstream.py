# SPDX-License-Identifier: GPL-2.0-only
"""Recorded facts about the upstream kernel, for trees that have no history to ask.

In: the name of an input and the release of a tree.  Out: the commit to blame and how
the states are reached, as ``data/upstream.toml`` has them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from patchtool.c.index import Readable


@dataclass(frozen=True, slots=True)
class Fact:
    """What is on record about one input."""

    input: str
    commit: str
    subject: str
    release: str
    contexts: tuple[str, ...]
    reach: str


@cache
def _facts() -> dict[str, Fact]:
    import tomllib

    path = Path(__file__).parent.parent / "data" / "upstream.toml"
    with path.open("rb") as file:
        return {
            one["input"]: Fact(**{**one, "contexts": tuple(one["contexts"])})
            for one in tomllib.load(file)["gap"]
        }


def recorded(name: str, source: Readable) -> Fact | None:
    """Return what is on record about an input, if it can be about this tree.

    A tree older than the commit, or of no known release, has its gap from elsewhere.
    """
    fact = _facts().get(name)
    release = kernel_release(source)
    if fact is None or release is None or release < _numbers(fact.release):
        return None
    return fact


def by_commit(commit: str) -> Fact | None:
    """Return the fact that blames a commit, given by at least 12 digits of its id."""
    for fact in _facts().values():
        if commit.startswith(fact.commit):
            return fact
    return None


def kernel_release(source: Readable) -> tuple[int, int] | None:
    """Return version and patch level of a tree from its Makefile."""
    said = _makefile(source)
    version, level = said["VERSION"], said["PATCHLEVEL"]
    return (int(version), int(level)) if version.isdigit() and level.isdigit() else None


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


def _numbers(release: str) -> tuple[int, int]:
    version, level = release.split(".")
    return int(version), int(level)
