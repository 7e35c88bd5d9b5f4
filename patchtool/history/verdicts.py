# SPDX-License-Identifier: GPL-2.0-only
"""What a commit is found to be: one verdict for each field of each path.

In: the report of a check.  Out: an outcome that can be compared with that of another
commit, whatever functions and lines are called there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from patchtool.model import SEVERITY, Kind, Report, Verdict
from patchtool.target.paths import path_of

State = Literal["covered", "gap", "unknown", "not-guarded", "absent", "unreadable"]
"""A verdict, or why a commit has none: the code is not there, or objects are not in this clone."""

WRONG: Mapping[Kind, str] = {
    "stale": "(a stale value kept)",
    "unlike": "(left otherwise by a skip)",
    "accumulates": "(old bits kept)",
    "earlier": "(stored by what was there before)",
    "partial": "(not stored on every path)",
}
"""What stands in place of an input where none is missing, by the kind of gap."""


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """The verdict on one field of one path, which has a name of the target's.

    ``missing`` are inputs, and what else is wrong.
    """

    path: str
    field: str
    verdict: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check of one commit amounts to."""

    verdict: State
    cells: tuple[Cell, ...] = ()

    @property
    def gaps(self) -> frozenset[Gap]:
        """Every input that some path misses."""
        return frozenset(
            Gap(cell.path, cell.field, name) for cell in self.cells for name in cell.missing
        )

    def state(self, gap: Gap) -> State:
        """Return how this commit stands to one gap."""
        if self.verdict in ("absent", "unreadable", "not-guarded"):
            return self.verdict
        for cell in self.cells:
            if (cell.path, cell.field) == (gap.path, gap.field):
                if gap.input in cell.missing:
                    return "gap"
                return "unknown" if cell.verdict == "unknown" else "covered"
        return "unknown" if self.verdict == "unknown" else "absent"


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """One input that the role misses, for one field of one path."""

    path: str
    field: str
    input: str


ABSENT = Outcome("absent")
UNREADABLE = Outcome("unreadable")


def outcome_of(report: Report) -> Outcome:
    """Return what a report amounts to, one cell for each field of a path."""
    found: dict[tuple[str, str], Cell] = {}
    for context in report.contexts:
        label = path_of(context)
        for one in context.fields:
            told = {WRONG[kind] for kind in one.kinds if kind != "stale" or not one.missing}
            missing = {*one.missing, *told}
            other = found.get((label, one.name))
            verdict: Verdict = one.verdict
            if other is not None:
                missing |= set(other.missing)
                verdict = max(verdict, cast(Verdict, other.verdict), key=SEVERITY.__getitem__)
            names = tuple(sorted(missing))
            found[label, one.name] = Cell(label, one.name, verdict, names)
    return Outcome(report.verdict, tuple(sorted(found.values())))
