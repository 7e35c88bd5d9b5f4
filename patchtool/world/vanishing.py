# SPDX-License-Identifier: GPL-2.0-only
"""Contexts and fields that are there by their types and in no set-up.

A field that is stored on no way to a context, or a context that nothing sets up, is no
proof that nothing goes stale: a brace is lost, a store dropped, a member renamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from patchtool.c.lower import Lowered, Trouble
from patchtool.c.memory import Function, Int, Loc
from patchtool.c.scan import Definition, places
from patchtool.model import Place
from patchtool.proof import bits
from patchtool.proof.bits import Bits, Cond, Term
from patchtool.proof.solver import can_hold
from patchtool.world.accounts.ledger import Ledger
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.accounts.sites import Mention
from patchtool.world.entries import Tree, context_name

_MADE = re.compile(rb"\b\w+\s*\(\s*(\w+)\s*\)\s*\(")
_PREFIX = re.compile(rb"(\w+)\s*##\s*\w+")


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
    tree: Tree, runs: Sequence[Lowered], ledger: Ledger, seen: Iterable[Seen]
) -> Iterator[Trouble]:
    """Yield the contexts that nothing sets up, and the fields that a set-up leaves out."""
    contexts: set[str] = set()
    selection = ledger.selection
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
        member = ones[0].member
        if len(missing) == len(ones):
            reads = selection.reads_of(member[0], member[1:], context)
            where = (one for one in reads if not _is_for_others(tree, runs, one, context))
            read = next((one.place for one in where), None)
            if read is None or ledger.is_made_first(context, member):
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
    mentions = Mentions(tree.index, tree.types, {one.member[0]: owners})
    found = [each for each in mentions.of(one.member[0]) if not mentions.is_printed(each)]
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


def _is_for_others(tree: Tree, runs: Sequence[Lowered], mention: Mention, context: str) -> bool:
    """Tell whether a macro that reads is of a template whose functions no context holds.

    Under the condition under which it is defined, the template makes names of one kind; what
    has such a name is handed to other contexts alone, by the set-ups.
    """
    macro = mention.function
    if macro is None or not macro.conditions or not _is_template(tree, macro):
        return False
    made = _made_with(tree, macro)
    if not made:
        return False
    if not all(_is_handed_by(tree, runs, name.encode(), made) for name in made):
        return False
    for lowered in runs:
        held = {one.name for one in lowered.memory.values() if isinstance(one, Function)}
        if not made.isdisjoint(held | set(lowered.functions.values())):
            names = tree.effects.names
            if any(context in loc.path or names(loc.path[:1]) for loc in lowered.memory):
                return False
    return True


def _is_handed_by(tree: Tree, runs: Sequence[Lowered], name: bytes, made: frozenset[str]) -> bool:
    """Tell whether runs and functions of its template alone name a function."""
    for file in tree.index.files_with(name):
        for at in places(file.data, name):
            inside = file.function_at(at)
            users = file.functions.get(inside or "", ())
            if inside in made:
                continue
            if not users and file.data[at + len(name) :].lstrip().startswith(b"("):
                continue
            if not users or not all(any(run.visits(one) for run in runs) for one in users):
                return False
    return True


def _made_with(tree: Tree, macro: Definition) -> frozenset[str]:
    """Return the functions of a template that are compiled where one of its macros has a text."""
    file = tree.index.file(macro.file)
    found: set[str] = set()
    for name, functions in file.functions.items() if file is not None else ():
        assert file is not None
        inner = [_MADE.search(one.text.partition(b"{")[0]) for one in functions]
        for one in file.macros(name):
            pasted = _PREFIX.fullmatch(one.text.strip())
            if one.conditions == macro.conditions and pasted is not None:
                found.update((pasted[1] + made[1]).decode() for made in inner if made is not None)
    return frozenset(found)


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
