# SPDX-License-Identifier: GPL-2.0-only
"""Many fields at a glance: paths by fields, what leaves which of them open, who owes what.

In: the paths of a report.  Out: rows of cells, and lists of names; paths have numbers,
the first one 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from patchtool.model import Context, FieldResult, Unknown
from patchtool.report.layout import GAP
from patchtool.report.words import safe

Open = tuple[tuple[int, ...], tuple[str, ...]]
"""The paths on which something leaves fields open, and these fields."""

ABSENT = "-"
"""Stands where no set-up of a path that is skipped stores a field."""


def tables(
    contexts: Sequence[Context], names: Sequence[str], room: int
) -> list[list[tuple[str, ...]]]:
    """Return the verdicts, a field in a row and a path in a column.

    Where there is no room for all paths side by side, more tables follow.
    """
    verdicts = [{one.name: one.verdict for one in context.fields} for context in contexts]
    heads = [str(number) for number in range(1, len(contexts) + 1)]
    columns = [
        [head, *(found.get(name, ABSENT) for name in names)]
        for head, found in zip(heads, verdicts, strict=True)
    ]
    labels = ["field", *map(safe, names)]
    spare = room - max(map(len, labels))
    result, at = [], 0
    while at < len(columns):
        count, wide = 0, 0
        for column in columns[at:]:
            wide += GAP + max(map(len, column))
            if count and wide > spare:
                break
            count += 1
        result.append(list(zip(labels, *columns[at : at + count], strict=True)))
        at += count
    return result


def left_open(unknown: Unknown, contexts: Sequence[Context]) -> Iterator[Open]:
    """Yield the paths and the fields that something leaves open, paths with the same together."""
    found: dict[tuple[str, ...], list[int]] = {}
    for number, context in enumerate(contexts, 1):
        names = tuple(one.name for one in context.fields if _opens(unknown, context, one))
        if names:
            found.setdefault(names, []).append(number)
    yield from ((tuple(numbers), names) for names, numbers in found.items())


def _opens(unknown: Unknown, context: Context, one: FieldResult) -> bool:
    if one.verdict != "unknown":
        return False
    here = unknown.place[:2]
    for reason in one.reasons:
        if reason.place is not None and reason.place[:2] == here:
            return True
        if reason.place is None and context.place[:2] == here:
            if unknown.reason in (f"{one.name}: {reason}", str(reason)):
                return True
    return False


def obligations(contexts: Sequence[Context]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the states in which fields are not stored, each with those fields."""
    found: dict[str, dict[str, None]] = {}
    for context in contexts:
        for one in context.fields:
            for state in one.unstored:
                found.setdefault(state, {})[one.member] = None
    return [(state, tuple(sorted(names))) for state, names in sorted(found.items())]
