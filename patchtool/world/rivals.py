# SPDX-License-Identifier: GPL-2.0-only
"""Runs that set up, or store to, the context of another run.

Each way to a guard is compared with itself alone.  What another entry leaves in the same
context is seen by no such comparison, so it is a trouble, unless the two never run in one
kernel: each vendor's code is a module of its own, and only one of them is ever in use.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from patchtool.c.lower import Guard, Lowered, Trouble
from patchtool.c.memory import Function, Int, Loc
from patchtool.c.scan import Definition
from patchtool.model import Place
from patchtool.proof import bits
from patchtool.proof.bits import Cond
from patchtool.world.built import modules
from patchtool.world.completeness import may_change
from patchtool.world.entries import Tree, context_name
from patchtool.world.roles import callers

MAX_CALLERS = 6


def rival_entries(tree: Tree, runs: list[Lowered]) -> dict[Lowered, list[Trouble]]:
    """Return, by run, where another one, or another path, stores to the context of a guard."""
    found: dict[Lowered, list[Trouble]] = {}
    for one, other, name, place in _overlaps(tree, runs):
        if other.guards:
            reason = f"{name} is set up by {other.start.name}() as well, another entry"
            found.setdefault(one, []).append(Trouble(place, reason, _paths(one, name)))
    for lowered in runs:
        for name, place in _strays(tree, lowered):
            reason = f"{name} is stored to where another context is set up"
            judged = [
                other
                for other in runs
                if any(name in _set_up(guard) for guard in other.guards)
                and (other is lowered or not _never_both(tree, lowered.start, other.start))
            ]
            for other in judged or (lowered,):
                found.setdefault(other, []).append(Trouble(place, reason, _paths(other, name)))
    return found


def _set_up(guard: Guard) -> tuple[str, ...]:
    """Return the contexts that a guard decides to set up, by their names."""
    return tuple(map(context_name, (guard.context, *dict(guard.behind))))


def accounting(runs: list[Lowered]) -> list[Lowered]:
    """Return the runs that account for what they store: those that reach a guard.

    What skips nothing and stores to a role or a field is no set-up that was decided.
    """
    return [lowered for lowered in runs if lowered.guards]


def _overlaps(tree: Tree, runs: list[Lowered]) -> Iterator[tuple[Lowered, Lowered, str, Place]]:
    """Yield a run with a guard, another that stores to the same context, which one, and where."""
    touched = [dict(_touched(tree, lowered)) for lowered in runs]
    for (one, mine), (other, theirs) in permutations(list(zip(runs, touched, strict=True)), 2):
        if not one.guards or one.start.key == other.start.key or _is_alike(one, other):
            continue
        for name, place in theirs.items():
            if name in mine and not _never_both(tree, one.start, other.start):
                yield one, other, name, place


def _touched(tree: Tree, lowered: Lowered) -> Iterator[tuple[str, Place]]:
    """Yield the contexts that a run sets up or stores to, and where."""
    for guard in lowered.guards:
        yield context_name(guard.context), guard.place
    for store in lowered.stores:
        yield context_name(store.context), store.place
    start = lowered.start
    place = Place(start.file, start.line, 1, start.name)
    for loc, value in lowered.memory.items():
        context = _context_of(tree, loc)
        if context is not None and may_change(lowered, loc, value, True):
            yield context_name(context), place


def _context_of(tree: Tree, loc: Loc) -> Loc | None:
    """Return the context that a cell belongs to: what holds a role or a field."""
    for position, step in enumerate(loc.path):
        if tree.effects.names((step,)) and loc.root.kind == "pointee":
            return Loc(loc.root, loc.path[:position])
    return None


def _strays(tree: Tree, lowered: Lowered) -> Iterator[tuple[str, Place]]:
    """Yield the contexts that a run stores to where it does not set up that very context."""
    guards = {guard.symbol for guard in lowered.guards}
    for loc, value in lowered.memory.items():
        context = _context_of(tree, loc)
        if context is None:
            continue
        own = [
            one for one in lowered.guards if one.context == context or context in dict(one.behind)
        ]
        skipping = bits.Substitution({g.symbol: g.skips for g in own if g.skips is not None})
        left = Int(skipping.vector(value.bits), value.signed) if isinstance(value, Int) else value
        is_one = isinstance(left, Function) or (
            isinstance(left, Int) and guards.isdisjoint(left.bits.symbols)
        )
        if own and is_one:
            continue  # the same whatever else is skipped: the own guard tells of it
        for guard in lowered.guards:
            if guard not in own and may_change(lowered, loc, left, guard.path):
                yield context_name(context), guard.place
                break


def _paths(lowered: Lowered, name: str) -> Cond:
    """Return when a run comes by a guard of a context."""
    found: Cond = False
    for guard in lowered.guards:
        if name in _set_up(guard):
            found = bits.either(found, guard.path)
    return found


def _is_alike(one: Lowered, other: Lowered) -> bool:
    """Tell whether two runs do the same to the same contexts, by the same guards."""
    if not one.guards or len(one.guards) != len(other.guards):
        return False
    for a, b in zip(one.guards, other.guards, strict=True):
        if (a.place, a.context, a.condition, a.path) != (b.place, b.context, b.condition, b.path):
            return False
    contexts = {guard.context for guard in one.guards}
    first, second = (
        {k: v for k, v in run.memory.items() if any(k.within(c) for c in contexts)}
        for run in (one, other)
    )
    return first == second


# -- vendors ---------------------------------------------------------------------------------


def _never_both(tree: Tree, one: Definition, other: Definition) -> bool:
    """Tell whether two functions belong to modules of two vendors."""
    a, b = (_vendors(tree, here, MAX_CALLERS) for here in (one, other))
    common = tree.index.target.module
    return bool(a) and bool(b) and common not in a | b and a.isdisjoint(b)


def _vendors(tree: Tree, function: Definition, depth: int) -> frozenset[str]:
    """Return the modules from which a function is called, its own where that is a vendor's."""
    common = tree.index.target.module
    own = modules(tree).get(function.file, common)
    if own != common or depth == 0:
        return frozenset((own,))
    above = callers(tree.index, function.name)
    found = [_vendors(tree, one, depth - 1) for one in above if one.key != function.key]
    return frozenset().union(*found) or frozenset((common,))
