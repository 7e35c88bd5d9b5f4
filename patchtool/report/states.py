# SPDX-License-Identifier: GPL-2.0-only
"""Legal states as tables: the pairs that share a role, and the three of an accumulation.

In: a verdict and the witnesses of it.  Out: rows of cells for a given room, without those
inputs that are alike in all states, which are told in a line of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from patchtool.model import FieldResult, Witness
from patchtool.report.words import of_host, origin, rows, safe, valued

GAP = 3
"""The blanks between two columns."""

_HEAD, _DIFFERS = "2", "1"
_UNLIKE = "!="
"""What stands between two values that differ."""


class Row(NamedTuple):
    """A row of a table, and what colours it."""

    cells: tuple[str, ...]
    colour: str = ""


Rows = list[Row]
Key = tuple[str, str]
"""An input: its name, and where it is read."""


class Shown(NamedTuple):
    """Tables of states, and in words which inputs are alike in all of them."""

    tables: tuple[Rows, ...]
    alike: str


def pairs(result: FieldResult, witnesses: Sequence[Witness], room: int) -> Shown:
    """Return pairs of states: the inputs, and the value that each state needs.

    All of it is one table where the pairs fit side by side and are about the whole field.
    Else the inputs have one, or several of as many pairs as there is room for, and the
    values a table of their own, with the element and the bits that differ.
    """
    first = witnesses[0]
    deciding = {(one.name, one.source) for one in result.inputs}
    names = _names(witnesses)
    if len(witnesses) == 1:
        kept = [key for key in names if key in deciding or not _is_alike(key, witnesses)]
    else:
        kept = list(names)
    whole = _table(names, kept, witnesses, valued(result, first))
    plain = len(witnesses) == 1 or not any(one.element for one in witnesses)
    if plain and _wide(whole) <= room:
        return Shown((whole,), _alike(names, kept, first))
    kept = [key for key in names if not _is_alike(key, witnesses)]
    tables = _in_room(names, kept, witnesses, room)
    return Shown((*tables, _values(result, witnesses)), _alike(names, kept, first))


def history(witness: Witness) -> Shown:
    """Return the three states of an accumulation."""
    names, known = _names((witness,)), _of(witness)
    kept = [key for key in names if len(set(known[key])) > 1]
    shown = [Row(("history", "A", "B", "C"), _HEAD)]
    shown += [Row((names[key], *known[key])) for key in kept]
    return Shown((shown,), _alike(names, kept, witness))


def single(witness: Witness) -> Shown:
    """Return the one state that a set-up for which is skipped, and is not."""
    names, known = _names((witness,)), _of(witness)
    shown = [Row(("witness", "A"), _HEAD), *(Row((names[key], known[key][0])) for key in names)]
    return Shown((shown,), "")


def apart(result: FieldResult, witness: Witness) -> str:
    """Say what a set-up leaves that is skipped, and one that is not."""
    one, other = witness.said
    roles = " and ".join(f"{safe(word)}={value:#x}" for word, value in witness.role)
    return (
        f"A set-up for A that is skipped, behind another one with {roles}, leaves "
        f"{valued(result, witness)} at {one}, and one that is not skipped at {other}."
    )


def kept(result: FieldResult, witness: Witness) -> str:
    """Say what a full set-up keeps of the one before it."""
    one, other = witness.said
    return (
        f"A set-up for C is not skipped. Behind A it leaves {valued(result, witness)} at {one}, "
        f"behind B at {other}: it only adds to {safe(result.member)} and never clears it."
    )


def skipped(result: FieldResult, witnesses: Sequence[Witness]) -> str:
    """Say which role the states share, and what follows from it."""
    many = len(witnesses) > 1
    name = safe(result.member) if many else valued(result, witnesses[0])
    roles = "; ".join(
        dict.fromkeys(
            " and ".join(f"{safe(word)}={value:#x}" for word, value in witness.role)
            for witness in witnesses
        )
    )
    plural = len(witnesses[0].role) > 1
    stays = "keeps the value of A" if many else f"stays {witnesses[0].said[0]}"
    return (
        f"{'In each pair the' if many else 'The'} {'roles are' if plural else 'role is'} equal "
        f"({roles}), so the set-up is skipped when A is followed by B, and {name} {stays}."
    )


def of_hosts(witnesses: Sequence[Witness]) -> Iterator[str]:
    """Yield what the host has to be for the states, and for the gap."""
    for needed, words in ((False, "on a host with"), (True, "the gap needs a host with")):
        told = {
            ", ".join(of_host(witness, needed=needed)): None
            for witness in witnesses
            if (witness.needs if needed else witness.host)
        }
        for host in told:
            yield f"{words} {host}"


# -- inputs --------------------------------------------------------------------------------


def _names(witnesses: Sequence[Witness]) -> dict[Key, str]:
    """Return the inputs of some witnesses, with where they are read if a name is not enough."""
    names: dict[Key, str] = {}
    for witness in witnesses:
        plain = [name for name, _ in witness.a]
        for name, source in zip(plain, witness.sources, strict=True):
            read = origin(name, source) if plain.count(name) > 1 else ""
            names.setdefault((name, source), f"{safe(name)}{f' in {read}' if read else ''}")
    return names


def _of(witness: Witness) -> dict[Key, tuple[str, ...]]:
    """Return the values of each input in the states, as a person reads them."""
    plain = (name for name, _ in witness.a)
    given = zip(plain, rows(witness), strict=True)
    return {(name, one.source): tuple(map(safe, one.words)) for name, one in given}


def _is_alike(key: Key, witnesses: Sequence[Witness]) -> bool:
    """Tell whether an input has one value in all states."""
    found = [_of(witness).get(key) for witness in witnesses]
    return len({value for pair in found for value in (pair or (None,))}) == 1


def _alike(names: dict[Key, str], kept: Sequence[Key], witness: Witness) -> str:
    """Say which values the inputs have that no table shows."""
    known = _of(witness)
    return ", ".join(
        f"{name}={known[key][0]}" for key, name in names.items() if key not in kept and key in known
    )


# -- tables --------------------------------------------------------------------------------


def _table(
    names: dict[Key, str], kept: Sequence[Key], witnesses: Sequence[Witness], label: str = ""
) -> Rows:
    """Return one table of inputs, pair beside pair, the values of the field last if it has a LABEL.

    A sign between two values tells that they differ.
    """
    columns = []
    for witness in witnesses:
        known = _of(witness)
        told = [known.get(key) for key in kept]
        columns.append(_column([*told, *([witness.said] if label else [])]))
    labels = ["witness", *(names[key] for key in kept), *([label] if label else [])]
    found = []
    for at, row in enumerate(zip(labels, *columns, strict=True)):
        colour = _HEAD if not at else _DIFFERS if any(_UNLIKE in cell for cell in row[1:]) else ""
        found.append(Row(row, colour))
    return found


def _column(spelt: Sequence[tuple[str, ...] | None], sign: str = _UNLIKE) -> list[str]:
    blank = " " * len(sign)
    shown = [("A", blank, "B")]
    for one in spelt:
        a, b = one or ("", "")
        shown.append((a, sign if a != b else blank, b))
    left, right = (max(len(row[i]) for row in shown) for i in (0, 2))
    return [f"{a:>{left}} {mark} {b:<{right}}".rstrip() for a, mark, b in shown]


def _wide(shown: Rows) -> int:
    columns = list(zip(*(row.cells for row in shown), strict=True))
    return sum(max(map(len, column)) for column in columns) + GAP * (len(columns) - 1)


def _in_room(
    names: dict[Key, str], kept: Sequence[Key], witnesses: Sequence[Witness], room: int
) -> Iterator[Rows]:
    """Yield tables of the inputs, each of as many pairs as there is room for."""
    at = 0
    while at < len(witnesses):
        most = len(witnesses)
        while most > at + 1 and _wide(_table(names, kept, witnesses[at:most])) > room:
            most -= 1
        head, *below = _table(names, kept, witnesses[at:most])
        if len(witnesses) > 1:
            numbers = (str(n) for n in range(at + 1, most + 1))
            yield [Row((head.cells[0], *numbers), _HEAD), Row(("", *head.cells[1:]), _HEAD), *below]
        else:
            yield [head, *below]
        at = most


def _values(result: FieldResult, witnesses: Sequence[Witness]) -> Rows:
    """Return what each state needs, a pair in a row, with the part of the field that differs."""
    head, *column = _column([one.said for one in witnesses], " ")  # all of them differ
    shown = [Row((safe(result.member), head), _HEAD)]
    for at, (one, told) in enumerate(zip(witnesses, column, strict=True), 1):
        words = [str(at) if len(witnesses) > 1 else "", safe(one.part(result.member))]
        shown.append(Row((" ".join(filter(None, words)), told), _DIFFERS))
    return shown
