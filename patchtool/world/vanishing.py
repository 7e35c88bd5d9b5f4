# SPDX-License-Identifier: GPL-2.0-only
"""Contexts and fields that are there by their types and in no set-up.

A field that is stored on no way to a context, or a context that nothing sets up, is no
proof that nothing goes stale: a brace is lost, a store dropped, a member renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from patchtool.c.lower import Lowered, Trouble
from patchtool.c.scan import places
from patchtool.model import Place
from patchtool.world.entries import Tree, context_name
from patchtool.world.readers import Selection


class Seen(NamedTuple):
    """A field that one way to a guard stores to its context, or does not."""

    context: str
    field: str
    member: tuple[str, ...]
    place: Place
    is_stored: bool


def vanished(
    tree: Tree, runs: Iterable[Lowered], selection: Selection, seen: Iterable[Seen]
) -> Iterator[Trouble]:
    """Yield the contexts that nothing sets up, and the fields that a set-up leaves out."""
    contexts: set[str] = set()
    for lowered in runs:
        if lowered.given_up:
            return  # the run says that for itself, and not what it would have set up
        contexts.update(context_name(one.context) for one in lowered.stores)
        for guard in lowered.guards:
            contexts.update(context_name(one.context) for one in guard.comparisons)
    if contexts <= selection.embedded:  # else one stands for whatever a pointer selects
        for name in sorted(selection.embedded - contexts):
            yield Trouble(_declared(tree, name), f"nothing was found that sets {name} up", False)
    for (context, field), ones in _grouped(seen).items():
        missing = [one for one in ones if not one.is_stored]
        if len(missing) == len(ones):
            member = ones[0].member
            read = selection.read_of(member[0], member[1:], context)
            if read is None:
                continue  # what nobody reads may stay as it is
            reason = f"{field} of {context} is stored by no set-up and read"
            reason += f" in {read.function}() ({read.file}:{read.line})"
        else:
            reason = f"{field} of {context} is not stored here, and is by another set-up"
        yield from (Trouble(place, reason, False) for place in {one.place for one in missing})


def _grouped(seen: Iterable[Seen]) -> dict[tuple[str, str], list[Seen]]:
    found: dict[tuple[str, str], list[Seen]] = {}
    for one in seen:
        found.setdefault((one.context, one.field), []).append(one)
    return found


def _declared(tree: Tree, name: str) -> Place:
    """Return where a member of a vCPU is declared."""
    for one in tree.holders:
        for at in places(one.text, name.encode()):
            return Place(one.file, one.line + one.text.count(b"\n", 0, at))
    return Place(tree.index.target.header, 1)
