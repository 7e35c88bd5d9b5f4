# SPDX-License-Identifier: GPL-2.0-only
"""Contexts and fields that are there by their types and in no set-up.

A field that is stored on no way to a context, or a context that nothing sets up, is no
proof that nothing goes stale: a brace is lost, a store dropped, a member renamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from patchtool.c.lower import Lowered, Trouble
from patchtool.c.memory import Int, Loc
from patchtool.c.scan import Definition, places
from patchtool.model import Place
from patchtool.proof import bits
from patchtool.proof.bits import Bits, Cond, Term
from patchtool.proof.coverage import can_hold
from patchtool.world.entries import Tree, context_name
from patchtool.world.mentions import Mentions
from patchtool.world.readers import Selection


class Seen(NamedTuple):
    """A field that one way to a guard stores to its context, or does not."""

    context: str
    field: str
    member: tuple[str, ...]
    place: Place
    is_stored: bool
    start: str = ""
    """The file in which the way begins."""


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
            others = [one for one in ones if one.is_stored]
            missing = [
                one
                for one in missing
                if any(_share_a_host(tree, one, other) for other in others)
                or not _is_stored_beside(tree, one, others)
            ]
            reason = f"{field} of {context} is not stored here, and is by another set-up"
        yield from (Trouble(place, reason, False) for place in {one.place for one in missing})


def left_alone(
    lowered: Lowered, context: Loc, cell: Loc, low: int, width: int
) -> Iterator[Trouble]:
    """Yield the stores of a role that nothing skips, and behind which a field may stay.

    The field is WIDTH bits of a cell, from LOW on.
    """
    guards = {guard.symbol: guard for guard in lowered.guards}
    full: dict[Term, Cond] = {
        symbol: not one.skips for symbol, one in guards.items() if one.skips is not None
    }
    differing = bits.Substitution(full)
    value = lowered.memory.get(cell)
    old = bits.low_bits(low + width, lowered.word(cell))
    for store in lowered.stores:
        if store.context != context or store.is_constant:
            continue
        if not bits.symbols([store.path]).isdisjoint(guards):
            continue
        path = differing(store.path)
        kept: Cond = value is None
        if isinstance(value, Int):
            here = bits.Substitution({**full, **bits.facts(path)})
            kept = _depends(here.vector(bits.cut(value.bits, low, width)), old)
        if kept is not False and can_hold([path, kept]) is not False:
            reason = f"{store.member} is stored without a comparison, and {cell} may stay as it is"
            yield Trouble(store.place, reason, False)


def _depends(value: Bits, old: Bits) -> Cond:
    """Tell when a number is made of what stood in its place."""
    sides: list[dict[Term, Cond]] = [{}, {}]
    for symbol in old.symbols:
        sides[0][symbol], sides[1][symbol] = False, True
    low, high = (bits.Substitution(known).vector(value).conditions() for known in sides)
    differs = (bits.negate(bits.same(a, b)) for a, b in zip(low, high, strict=True))
    return bits.negate(bits.every(map(bits.negate, differs)))


def _vendor(tree: Tree, file: str) -> str | None:
    return next((one for one in tree.index.target.vendors if file.startswith(one)), None)


def _share_a_host(tree: Tree, one: Seen, other: Seen) -> bool:
    """Tell whether two ways may be gone on one host, which loads the module of one vendor."""
    vendors = _vendor(tree, one.start), _vendor(tree, other.start)
    return None in vendors or vendors[0] == vendors[1]


def _is_stored_beside(tree: Tree, one: Seen, others: list[Seen]) -> bool:
    """Tell whether a host on which no set-up stores a field has other code that does, or no need.

    It has none where all that reads the field is one of several texts of a macro: a template
    that is compiled for what the set-ups of the other vendor select.
    """
    rivals = {_vendor(tree, other.start) for other in others}
    owners = frozenset(tree.roles.contexts)
    found = Mentions(tree.index, tree.types, {one.member[0]: owners}).of(one.member[0])
    templates = {
        mention.function.name
        for mention in found
        if mention.function is not None and _is_template(tree, mention.function)
    }
    for mention in found:
        vendor = _vendor(tree, mention.place.file)
        if mention.kind == "store" and vendor is not None and vendor not in rivals:
            return True
    return all(
        mention.kind not in ("read", "open")
        or _vendor(tree, mention.place.file) in rivals
        or (mention.function is not None and mention.function.name in templates)
        or not templates.isdisjoint(re.findall(r"\w+", mention.what))
        for mention in found
    )


def _is_template(tree: Tree, function: Definition) -> bool:
    return function.kind == "macro" and len(tree.index.macros(function.name, function.file)) > 1


def _grouped(seen: Iterable[Seen]) -> dict[tuple[str, str], list[Seen]]:
    found: dict[tuple[str, str], list[Seen]] = {}
    for one in seen:
        found.setdefault((one.context, one.field), []).append(one)
    return found


def _declared(tree: Tree, name: str) -> Place:
    """Return where a member of the host is declared."""
    for one in tree.holders:
        for at in places(one.text, name.encode()):
            return Place(one.file, one.line + one.text.count(b"\n", 0, at))
    return Place(tree.index.target.header, 1)
