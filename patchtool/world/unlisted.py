# SPDX-License-Identifier: GPL-2.0-only
"""What a set-up stores behind its guard that the list of cached fields does not have.

In: runs, made to follow what may store to a list of members that text tells.  Out: the other
members that a run stores where its guard does not skip, or that a call passed over there may
store: a callback that is handed over, a vendor's operation.  What is stored where a register
is read and cached is state of its own, whoever reads it.  What a run stores there to anything
else, be it beside the contexts or what one only points to, is told: it is as stale after a skip.
"""

from __future__ import annotations

from collections.abc import Iterable

from patchtool.c.layout import RecordType
from patchtool.c.lower import Lowered
from patchtool.c.memory import Int, Loc, Root, Value
from patchtool.c.scan import Definition
from patchtool.proof import bits
from patchtool.proof.bits import Symbol
from patchtool.world.entries import Tree


def unlisted(tree: Tree, run: Lowered, listed: frozenset[str]) -> frozenset[str]:
    """Return the members of contexts that a run stores behind a guard, or may, and LISTED lacks.

    Roles are no such members.  A call that may run anything may store every member.
    """
    members = frozenset(name for one in tree.roles.contexts.values() for name in one.by_name)
    roles = {name for held in tree.roles.shape.contexts.values() for name in held}
    others = members - roles - listed
    return frozenset(_behind_guards(tree, run, others))


def contexts_of(tree: Tree, run: Lowered) -> frozenset[Loc]:
    """Return the contexts that a run knows: those that are compared, and by their types."""
    return frozenset(one.context for guard in run.guards for one in guard.comparisons) | {
        Loc(Root(name, "pointee"))
        for name, ctype in run.pointees.items()
        if isinstance(ctype, RecordType) and ctype.tag in tree.roles.contexts
    }


def _behind_guards(tree: Tree, run: Lowered, others: frozenset[str]) -> Iterable[str]:
    guards = frozenset(one.symbol for one in run.guards)
    contexts = contexts_of(tree, run)
    for loc, value in run.memory.items():
        name = next((loc.path[len(one.path)] for one in contexts if _is_part(loc, one)), None)
        if name in others and depends(value, guards):
            yield name
    for call in run.passed:
        if guards.isdisjoint(bits.symbols([call.path])):
            continue
        for one in call.definitions:
            if tree.effects.may_store(one, others, call.hook):
                yield from _stored(tree, one, others, call.hook) - filled(tree, others)


def _stored(
    tree: Tree, function: Definition, members: frozenset[str], hook: str | None = None
) -> frozenset[str]:
    return frozenset(
        name for name in members if tree.effects.may_store(function, frozenset((name,)), hook)
    )


def filled(tree: Tree, members: frozenset[str]) -> frozenset[str]:
    """Return the members that are stored where a register is read, by whomever."""
    fillers = (
        one
        for hook in tree.index.target.registers.fills
        for _, one in tree.effects.operations(hook)
    )
    return frozenset(name for one in fillers for name in _stored(tree, one, members))


def _is_part(loc: Loc, context: Loc) -> bool:
    return loc.within(context) and loc != context


def depends(value: Value, guards: frozenset[Symbol]) -> bool:
    """Tell whether a value is another where a guard skips; what is no number may be."""
    return not isinstance(value, Int) or not guards.isdisjoint(value.bits.symbols)
