# SPDX-License-Identifier: GPL-2.0-only
"""What a set-up stores behind its guard that the list of cached fields does not have.

In: runs, made to follow what may store to a list of members that text tells.  Out: the other
members that a run stores where its guard does not skip, or that a call passed over there may
store: a callback that is handed over, a vendor's operation.  What is stored where a register
is read and cached is state of its own, whoever reads it.  What a run stores there to anything
else, be it beside the contexts or what one only points to, is told: it is as stale after a skip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from patchtool.c import library
from patchtool.c.layout import RecordType
from patchtool.c.lower import Guard, Lowered, Trouble
from patchtool.c.memory import Function, Int, Loc, Pointer, Root, Value
from patchtool.c.scan import Definition
from patchtool.proof import bits
from patchtool.proof.bits import Symbol
from patchtool.world.accounts.counts import is_count
from patchtool.world.entries import Tree
from patchtool.world.inputs.births import is_born


def unlisted(tree: Tree, run: Lowered, listed: frozenset[str]) -> frozenset[str]:
    """Return the members of contexts that a run stores behind a guard, or may, and LISTED lacks.

    Roles are no such members.  A call that may run anything may store every member.
    """
    members = frozenset(name for one in tree.roles.contexts.values() for name in one.by_name)
    roles = {name for held in tree.roles.shape.contexts.values() for name in held}
    others = members - roles - listed
    return frozenset(_behind_guards(tree, run, others))


def beside_contexts(tree: Tree, runs: Iterable[Lowered]) -> Iterator[Trouble]:
    """Yield what runs store behind a guard to objects that are no member of a context.

    No field is asked for, and a skip leaves them as they are.  What does not depend on the
    surroundings is no trouble, nor what depends on what it was before alone, as a count does;
    nor is a count that nobody reads, whatever it depends on.
    """
    held = tree.held()
    for run in runs:
        contexts = _contexts_of(tree, run)
        for guard in run.guards:
            for loc, value in run.memory.items():
                if (
                    loc.root.kind != "local"
                    and not (loc.root.kind == "global" and loc.root.name in run.tables)
                    and held.isdisjoint(loc.path)
                    and not any(loc.within(one) for one in contexts)
                    and _depends(value, frozenset((guard.symbol,)))
                    and not _is_same_each_time(run, guard, loc, value)
                    and not _filled(tree, frozenset(loc.path[-1:]))
                    and not is_count(tree, run, loc)
                ):
                    reason = f"{loc} is stored behind the guard, and is no member of its context"
                    yield Trouble(guard.place, reason, False)
        yield from _passed_beside(tree, run)


def _is_same_each_time(run: Lowered, guard: Guard, loc: Loc, value: Value) -> bool:
    """Tell whether a full run makes the same of what is there, whatever the surroundings are."""
    if not isinstance(value, Int):
        return isinstance(value, Pointer | Function)
    if guard.skips is None:
        return False
    known = {**bits.facts(guard.path), guard.symbol: not guard.skips}
    own = run.words.get(loc)
    return all(one.word is own for one in bits.Substitution(known).vector(value.bits).symbols)


def _passed_beside(tree: Tree, run: Lowered) -> Iterator[Trouble]:
    """Yield the calls passed over behind a guard that may keep something beside the contexts.

    What is stored elsewhere as well has another use than to be kept with a context.  What the
    target does not define keeps what it is given in its own ways, if it is not known to read.
    """
    index, guards = tree.index, frozenset(one.symbol for one in run.guards)
    host = tree.types.record(f"struct {index.target.host}", index.target.header)
    members = frozenset(host.by_name if isinstance(host, RecordType) else ()) - {*tree.held()}
    for call in run.passed:
        if guards.isdisjoint(bits.symbols([call.path])):
            continue
        if (
            not call.definitions
            and call.hook is None
            and not library.ONLY_READS.fullmatch(call.name)
        ):
            reason = f"{call.name}() is called behind the guard, and may keep what it is given"
            yield Trouble(call.place, reason, False)
        for one in call.definitions:
            for name in sorted(_stored(tree, one, members, call.hook) - _filled(tree, members)):
                if not any(
                    not tree.effects.may_run(one, frozenset((setter.name,)))
                    and not is_born(index, setter)
                    for setter in tree.effects.setters(name)
                ):
                    reason = f"{call.name}() is called behind the guard, and may store {name}"
                    yield Trouble(call.place, reason, False)


def _contexts_of(tree: Tree, run: Lowered) -> frozenset[Loc]:
    """Return the contexts that a run knows: those that are compared, and by their types."""
    return frozenset(one.context for guard in run.guards for one in guard.comparisons) | {
        Loc(Root(name, "pointee"))
        for name, ctype in run.pointees.items()
        if isinstance(ctype, RecordType) and ctype.tag in tree.roles.contexts
    }


def _behind_guards(tree: Tree, run: Lowered, others: frozenset[str]) -> Iterable[str]:
    guards = frozenset(one.symbol for one in run.guards)
    contexts = _contexts_of(tree, run)
    for loc, value in run.memory.items():
        name = next((loc.path[len(one.path)] for one in contexts if _is_part(loc, one)), None)
        if name in others and _depends(value, guards):
            yield name
    for call in run.passed:
        if guards.isdisjoint(bits.symbols([call.path])):
            continue
        for one in call.definitions:
            if tree.effects.may_store(one, others, call.hook):
                yield from _stored(tree, one, others, call.hook) - _filled(tree, others)


def _stored(
    tree: Tree, function: Definition, members: frozenset[str], hook: str | None = None
) -> frozenset[str]:
    return frozenset(
        name for name in members if tree.effects.may_store(function, frozenset((name,)), hook)
    )


def _filled(tree: Tree, members: frozenset[str]) -> frozenset[str]:
    """Return the members that are stored where a register is read, by whomever."""
    fillers = (
        one
        for hook in tree.index.target.registers.fills
        for _, one in tree.effects.operations(hook)
    )
    return frozenset(name for one in fillers for name in _stored(tree, one, members))


def _is_part(loc: Loc, context: Loc) -> bool:
    return loc.within(context) and loc != context


def _depends(value: Value, guards: frozenset[Symbol]) -> bool:
    """Tell whether a value is another where a guard skips; what is no number may be."""
    return not isinstance(value, Int) or not guards.isdisjoint(value.bits.symbols)
