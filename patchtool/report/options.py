# SPDX-License-Identifier: GPL-2.0-only
"""How to print a report: colour, how much, where the run took place, what a change did.

In: the wishes of the command line, and what a lint found out beside the report.  Out: one
record that every form of a report is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from patchtool.model import Anchor, Finding, Unknown

if TYPE_CHECKING:
    from patchtool.lint.introduced import State
    from patchtool.outside.mail import Passed
    from patchtool.rules.upstream import Known


class Options(NamedTuple):
    """The wishes of whoever asked for a report."""

    colour: bool = False
    quiet: bool = False
    verbose: bool = False
    directory: str | None = None
    """The folder in which the run took place, absolute; None keeps it out."""
    change: bool = False
    """Whether the report is about a change, and not about a tree."""
    anchors: Mapping[Finding | Unknown, Anchor] = MappingProxyType({})
    """The line of the change that a finding or an undecided place comes from."""
    states: Mapping[Finding, State] = MappingProxyType({})
    """What the change under check did to each finding; empty without a change."""
    width: int = 80
    """How many columns a line may have."""
    terminal: bool = False
    """Whether a person looks at it, and no program: then the first lines may be broken, too."""
    read: Callable[[str], bytes | None] | None = None
    """Gives the files that places are in, to quote them; None where there are none."""
    known: Mapping[tuple[str, tuple[str, ...]], Sequence[Known]] = MappingProxyType({})
    """What closed a gap upstream, by field and way to the guard."""
    passed: Sequence[Passed] | None = None
    """What of the patches was passed over; None where there were none to read."""

    def changed(self, one: Finding | Unknown) -> Anchor | None:
        """Return the changed line that something comes from, unless it stands there itself."""
        anchor = self.anchors.get(one)
        there = (one.place.file, one.place.line)
        return anchor if anchor and (anchor.place.file, anchor.place.line) != there else None

    def state(self, finding: Finding) -> State:
        """Return what the change did to a finding; without a change every one is new."""
        return self.states.get(finding, "new")
