# SPDX-License-Identifier: GPL-2.0-only
"""What a set-up keeps behind its guard anywhere but in its contexts.

In: runs.  Out: what they store there to objects that are no member of a context, and the calls
passed over there that may: it is as stale after a skip as a field.  What others call as well has
another use than to keep something with a context, and so has what others store; what is called
there alone must be known to store nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from patchtool.c import library
from patchtool.c.conditions import dense
from patchtool.c.index import calls
from patchtool.c.layout import RecordType
from patchtool.c.lower import Guard, Lowered, Trouble
from patchtool.c.lower.records import Passed
from patchtool.c.memory import Function, Int, Loc, Pointer, Value
from patchtool.c.scan import WORDS, Definition, strip_comments
from patchtool.c.syntax import Node, descendants, text
from patchtool.proof import bits
from patchtool.world.accounts.counts import is_count
from patchtool.world.closure import is_variable, macros_naming
from patchtool.world.entries import Tree
from patchtool.world.inputs.births import is_born, kept_in, users_anywhere
from patchtool.world.unlisted import contexts_of, depends, filled

_MEMBER = re.compile(rb"(?:->|\.)\s*(\w+)")
_ADDRESS = re.compile(r"(?:\([\w*]+\))?(&?)\(?(\w+)(?:\.\w+|\[[^\[\]]*\])*\)?")
"""An object by its name, or a part of it: whether its address is taken, and the name."""
_STORES = re.compile(rb"(?<![=!<>])=(?!=)|<<=|>>=|\+\+|--|\basm\b|\b__asm__\b")
"""What a macro may store by."""


def beside_contexts(tree: Tree, runs: Iterable[Lowered]) -> Iterator[Trouble]:
    """Yield what runs store behind a guard to objects that are no member of a context.

    No field is asked for, and a skip leaves them as they are.  What does not depend on the
    surroundings is no trouble, nor what depends on what it was before alone, as a count does;
    nor is a count that nobody reads, whatever it depends on.
    """
    held = tree.held()
    for run in runs:
        contexts = contexts_of(tree, run)
        for guard in run.guards:
            for loc, value in run.memory.items():
                if (
                    loc.root.kind != "local"
                    and not (loc.root.kind == "global" and loc.root.name in run.tables)
                    and held.isdisjoint(loc.path)
                    and not any(loc.within(one) for one in contexts)
                    and depends(value, frozenset((guard.symbol,)))
                    and not _is_same_each_time(run, guard, loc, value)
                    and not filled(tree, frozenset(loc.path[-1:]))
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
    """Yield the calls passed over behind a guard that may keep something beside the contexts."""
    guards = frozenset(one.symbol for one in run.guards)
    behind = [one for one in run.passed if not guards.isdisjoint(bits.symbols([one.path]))]
    if not behind:
        return
    ran = {one.key: tree.effects.reached(one) for call in behind for one in call.definitions}
    starts = frozenset(call.place.function for call in behind)
    own = _called_there_alone(tree, starts, [one for some in ran.values() for one in some or ()])
    for call in behind:
        keeping = _keeping(tree, call, own, ran)
        if keeping is not None:
            reason = f"{call.name}() is called behind the guard, and {keeping}"
            yield Trouble(call.place, reason, False)


def _called_there_alone(
    tree: Tree, starts: frozenset[str], reached: Iterable[Definition]
) -> frozenset[str]:
    """Return the names among those reached of what nothing calls but STARTS, and each other."""
    users = {name: _users(tree, name) for name in {one.name for one in reached}}
    own = frozenset(users)
    while True:
        fewer = frozenset(name for name in own if users[name] and users[name] <= own | starts)
        if fewer == own:
            return own
        own = fewer


def _users(tree: Tree, name: str) -> frozenset[str]:
    """Return who names a function, or the operation that it is kept for; not for new holders."""
    index = tree.index
    kept = kept_in(index, name)
    called = (name, *kept, *(index.target.prefix + one for one in kept))
    users = [user for one in called for _, user in users_anywhere(index, one)]
    users += macros_naming(index, frozenset({name.encode()}))
    return frozenset(user.name for user in users if not is_born(index, user)) - {name}


def _keeping(
    tree: Tree,
    call: Passed,
    own: frozenset[str],
    ran: dict[tuple[str, str, int], tuple[Definition, ...] | None],
) -> str | None:
    """Return how a call may keep something, None where it is known not to."""
    if not call.definitions:
        is_known = call.hook is not None or library.stores_nothing(call.name, tree.index.target)
        return None if is_known else "may keep what it is given"
    for one in call.definitions:
        reached = ran[one.key]
        if reached is None:
            return "what it runs is not known"
        for inner in reached:
            kept = _kept_by(tree, inner, reached)
            if kept is None and inner.name in own:
                alone = _kept_by_macro if inner.kind == "macro" else _kept_there
                kept = alone(tree, inner)
            if kept is not None:
                return kept
    return None


def _kept_by(tree: Tree, inner: Definition, reached: tuple[Definition, ...]) -> str | None:
    """Return the member that a function stores, and that nobody beside what is reached does."""
    plain = strip_comments(inner.text)
    named = frozenset(name.decode() for name in _MEMBER.findall(plain))
    # A macro may be given a member by its bare name.
    host = tree.types.record(f"struct {tree.index.target.host}", tree.index.target.header)
    members = frozenset(host.by_name if isinstance(host, RecordType) else ()) - {*tree.held()}
    named |= members.intersection(one.decode() for one in plain.translate(WORDS).split())
    names = tree.effects.stored_in(inner, named)
    for name in sorted(names - filled(tree, names)):
        if all(one in reached or is_born(tree.index, one) for one in tree.effects.setters(name)):
            return f"may store {name}"
    return None


def _kept_there(tree: Tree, inner: Definition) -> str | None:
    """Return what a function that is called behind guards alone stores, or may."""
    root = tree.index.node(inner)
    if root.has_error:
        return f"what {inner.name}() does is not understood"
    for here in descendants(root):
        if here.type in ("assignment_expression", "update_expression"):
            stored = here.child_by_field_name("left") or here.child_by_field_name("argument")
            if stored is None or not (_is_local(stored, inner) or _is_filled(tree, stored)):
                return f"may store {dense(text(stored or here))}"
        elif here.type == "gnu_asm_expression":
            return "may run assembler"
        elif _is_handed_on(tree, here, inner):
            return f"may store to {dense(text(here))}"
        elif here.type == "call_expression":
            called = here.child_by_field_name("function")
            if called is not None and called.type == "identifier":
                name = text(called)
                if not _is_known(tree, name, inner):
                    return f"may run {name}(), which may keep what it is given"
    return None


def _is_handed_on(tree: Tree, node: Node, function: Definition) -> bool:
    """Tell whether the address of an object that stays is given to what may store to it.

    That is one of file scope, or a static variable; the value of an array is its address.
    """
    call = node.parent.parent if node.parent is not None else None
    if call is None or node.parent is None or node.parent.type != "argument_list":
        return False
    called = call.child_by_field_name("function")
    if called is not None and library.stores_nothing(text(called), tree.index.target):
        return False
    spelt = dense(text(node))
    found = _ADDRESS.fullmatch(spelt)
    if found is None:
        return False
    name = found[2].encode()
    if is_variable(name, function.text):
        return bool(found[1]) and _is_static(name, function)
    declared = tree.index.declaration(found[2], function.file)
    is_array = declared is not None and re.search(rf"\b{found[2]}\s*\[", declared[2])
    return declared is not None and bool(found[1] or is_array)


def _kept_by_macro(tree: Tree, macro: Definition) -> str | None:
    plain = strip_comments(macro.text)
    unknown = sorted(one for one in calls(plain) if not _is_known(tree, one, macro))
    if unknown:
        return f"may run {unknown[0]}(), which may keep what it is given"
    return f"may store by {macro.name}()" if _STORES.search(plain) is not None else None


def _is_known(tree: Tree, name: str, where: Definition) -> bool:
    """Tell whether a call is looked at by itself, or known to keep nothing."""
    index = tree.index
    return (
        name in (where.parameters or ())
        or library.stores_nothing(name, index.target)
        or name in library.dispatchers(index.target)
        or bool(index.functions(name, where.file))
        or bool(index.macros(name, where.file))
    )


def _is_local(stored: Node, function: Definition) -> bool:
    """Tell whether what is stored to is a variable of a function, or a part of one."""
    here: Node | None = stored
    while here is not None and here.type in ("parenthesized_expression", "field_expression"):
        operator = here.child_by_field_name("operator")
        if operator is not None and operator.type != ".":
            return False
        here = here.named_children[0] if here.named_children else None
    if here is None or here.type != "identifier":
        return False
    name = text(here).encode()
    return is_variable(name, function.text) and not _is_static(name, function)


def _is_static(name: bytes, function: Definition) -> bool:
    """Tell whether a variable of a function keeps what it holds from call to call."""
    declared = re.compile(rb"\bstatic\b[^;{}]*\b%b\b" % name)
    return declared.search(function.text.partition(b"{")[2]) is not None


def _is_filled(tree: Tree, stored: Node) -> bool:
    member = stored.child_by_field_name("field") if stored.type == "field_expression" else None
    return member is not None and bool(filled(tree, frozenset((text(member),))))
