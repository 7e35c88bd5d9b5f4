# SPDX-License-Identifier: GPL-2.0-only
"""All pairs of paging modes on a kernel, beside what a check predicts for a tree.

In: predictions, and the transcript of a run of all pairs.  Out: two tables side by side,
and every difference.  The two sides share nothing but the list of modes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from patchtool.replay.guest import Seen, Transcript
from patchtool.replay.prediction import Prediction
from patchtool.replay.states import (
    FIVE,
    FOUR,
    OFF,
    PAE,
    TWO,
    State,
    Test,
    modes_of,
)

_SHORT: Mapping[State, str] = {OFF: "off", TWO: "2", PAE: "PAE", FOUR: "4", FIVE: "5"}
_CELLS: Mapping[Seen | None, str] = {
    "followed": ".",
    "stale": "stale",
    "control failed": "fail",
    "not applicable": "n/a",
    None: "?",
}
_CELL = 6
_FIRST = 18

Pair = tuple[State, State]


class Swept(NamedTuple):
    """One context: what was seen and what was predicted for each ordered pair of modes."""

    context: str
    modes: tuple[State, ...]
    seen: Mapping[Pair, Seen | None]
    predicted: Mapping[Pair, Seen | None]

    @property
    def differences(self) -> list[Pair]:
        """The pairs on which both sides have a word, and not the same one."""
        return [
            pair
            for pair, seen in self.seen.items()
            if seen in ("followed", "stale") and self.predicted[pair] not in (seen, None)
        ]

    @property
    def compared(self) -> int:
        """On how many pairs both sides have a word."""
        return sum(
            seen in ("followed", "stale") and self.predicted[pair] is not None
            for pair, seen in self.seen.items()
        )


def tests(predictions: Sequence[Prediction]) -> list[Test]:
    """Return a test for each pair of modes in each context.

    Left out are pairs of whose states the check cannot say which root_level they have.
    """
    found = []
    for one in predictions:
        for a, b in combinations(modes_of(one.kind), 2):
            sides = one.expected(a), one.expected(b)
            if sides[0] is not None and sides[1] is not None:
                start = one.start(a, b) or OFF
                found.append(Test(one.kind, one.context, "", start, sides[0], sides[1], ()))
    return found


def compared(predictions: Sequence[Prediction], transcript: Transcript) -> list[Swept]:
    """Put what was seen beside what is predicted."""
    seen: dict[tuple[str, str], Seen] = {}
    for line in transcript.lines:
        seen[line.context, line.order] = line.seen
    found = []
    for one in predictions:
        modes = modes_of(one.kind)
        pairs = [(a, b) for a in modes for b in modes if a != b]
        found.append(
            Swept(
                one.context,
                modes,
                {pair: _seen(seen, one.context, *pair) for pair in pairs},
                {pair: _predicted(one, *pair) for pair in pairs},
            )
        )
    return found


def _seen(
    seen: Mapping[tuple[str, str], Seen], context: str, first: State, then: State
) -> Seen | None:
    """Return what a transcript says of a pair, or of what kept it from being tried."""
    a, b = first.name, then.name
    orders = (f"{a}, then {b}", f"{a} alone", f"{b} alone", f"{a} and {b}", f"{b} and {a}")
    found = (seen.get((context, order)) for order in orders)
    return next((one for one in found if one is not None), seen.get(("all", "")))


def _predicted(one: Prediction, first: State, then: State) -> Seen | None:
    stale = one.stale(first, then)
    return None if stale is None else "stale" if stale else "followed"


def status(swept: Sequence[Swept]) -> int:
    """Return the exit status: 0 as predicted, 1 for a difference, 3 if a context has no word."""
    if any(one.differences for one in swept):
        return 1
    failed = any("control failed" in one.seen.values() for one in swept)
    return 3 if failed or not swept or not all(one.compared for one in swept) else 0


def tables(swept: Sequence[Swept], kernel: str, tree: str) -> Iterator[str]:
    """Yield the lines of a report."""
    for one in swept:
        modes = one.modes
        wide = _CELL * len(modes)
        yield ""
        yield f"{one.context:{_FIRST}}{'seen: ' + kernel:{wide}}   predicted: {tree}".rstrip()
        heads = "".join(f"{_SHORT[mode]:{_CELL}}" for mode in modes)
        yield f"{'  first':{_FIRST}}{heads}   {heads}".rstrip()
        for a in modes:
            left, right = (
                "".join(f"{_cell(side, a, b):{_CELL}}" for b in modes)
                for side in (one.seen, one.predicted)
            )
            yield f"  {a.name:{_FIRST - 2}}{left}   {right}".rstrip()
    yield ""
    for one in swept:
        for a, b in one.differences:
            yield (
                f"{one.context}, {a.name}, then {b.name}: seen {one.seen[a, b]}, "
                f"predicted {one.predicted[a, b]}"
            )
        total, stale = len(one.seen), list(one.seen.values()).count("stale")
        same = one.compared - len(one.differences)
        yield f"{one.context}: {same} of {total} ordered pairs as predicted, {stale} stale"


def _cell(side: Mapping[Pair, Seen | None], a: State, b: State) -> str:
    return "" if a == b else _CELLS[side[a, b]]
