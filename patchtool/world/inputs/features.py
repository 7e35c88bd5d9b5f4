# SPDX-License-Identifier: GPL-2.0-only
"""Whether a feature of the host may be another one later.

In: what is asked of the host's CPU.  Out: whether the feature is named behind module load in what
is no question, no comparison, and is told no guest: by its own name, by one that stands for
it, or where it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from patchtool.c import brackets, library
from patchtool.c.asked import asked as asked_of
from patchtool.c.asked import only_compares, reached
from patchtool.c.lower import Trouble
from patchtool.c.scan import Definition, before, places, strip_comments
from patchtool.model import Place
from patchtool.world.closure import in_directive, macros_naming
from patchtool.world.entries import Tree
from patchtool.world.inputs.loading import only_at_load

_DEFINED = re.compile(rb"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.M)
_ALONE = re.compile(rb"[\s(]*(\w+)[\s)]*")
_COMPARED = re.compile(rb"\s*[=!]=")
_COMPARED_WITH = re.compile(rb"(?:[=!]=|\bcase)\Z")


def may_change(tree: Tree, asked: str) -> bool:
    """Tell whether a feature that is asked for may be set or cleared behind module load."""
    return any(_uses(tree, asked))


def unclear_use(tree: Tree, asked: str) -> Trouble | None:
    """Return where a feature is kept that is asked for, and may be changed from, if nowhere else.

    None where it is given to what is not known to ask for it.
    """
    uses = [*_uses(tree, asked)]
    return uses[0].trouble if uses and not any(one.is_given for one in uses) else None


class _Use(NamedTuple):
    """A place behind module load where more is done with a feature than to ask for it.

    There it is given to a function, or it is kept.
    """

    trouble: Trouble
    is_given: bool


def _uses(tree: Tree, asked: str) -> Iterator[_Use]:
    for feature in re.findall(tree.index.target.registers.tables.feature, asked):
        for name in _names_of(tree, feature):
            yield from _uses_of(tree, name, feature)


def _names_of(tree: Tree, feature: str) -> Iterator[str]:
    """Yield a feature, and the macros that stand for it and for nothing else."""
    found, todo = {feature}, [feature]
    while todo:
        name = todo.pop()
        yield name
        more = {one.name for one in _macros(tree, name) if _stands_for(one, name)} - found
        found |= more
        todo += sorted(more)


def _macros(tree: Tree, name: str) -> Iterator[Definition]:
    return macros_naming(tree.index, frozenset({name.encode()}))


def _stands_for(macro: Definition, name: str) -> bool:
    alone = _ALONE.fullmatch(strip_comments(macro.text))
    return macro.parameters is None and alone is not None and alone[1] == name.encode()


def _uses_of(tree: Tree, name: str, feature: str) -> Iterator[_Use]:
    users = [user for _, user in tree.index.users(name)]
    macros = [one for one in _macros(tree, name) if not _stands_for(one, name)]
    for one in (*users, *macros):
        given = _given(tree, one, name, feature)
        is_late = not only_at_load(tree, one) if one.kind != "macro" else _is_used_late(tree, one)
        for line, is_given in given if is_late else ():
            place = Place(one.file, line, 1, one.name)
            yield _Use(Trouble(place, f"{name} is kept here", False), is_given)
    yield from _kept(tree, name)


def _is_used_late(tree: Tree, macro: Definition) -> bool:
    """Tell whether a macro may be used by what runs behind module load."""
    users = [user for _, user in tree.index.users(macro.name)]
    return not users or not all(only_at_load(tree, one) for one in users)


def _kept(tree: Tree, name: str) -> Iterator[_Use]:
    """Yield the places in which a feature is named outside of functions and macros."""
    for file in tree.index.files_with(name.encode()):
        for at in places(file.data, name.encode()):
            is_outside = file.function_at(at) is None and not in_directive(file.data, at)
            if is_outside and not file.is_blank(at):
                place = Place(file.path, file.line(at), 1)
                yield _Use(Trouble(place, f"{name} is kept here", False), False)


def _given(tree: Tree, user: Definition, name: str, feature: str) -> list[tuple[int, bool]]:
    """Return the lines where more is done with a feature, and whether a function is given it."""
    plain = strip_comments(user.text)
    found: list[tuple[int, bool]] = []
    for at in places(plain, name.encode()):
        opened, _ = brackets.argument_at(plain, at)
        callee = ((brackets.callee(plain, opened) if opened >= 0 else None) or b"").decode()
        if not _is_asked(tree, user, plain, at, callee, (name, feature)):
            found.append((user.line + plain.count(b"\n", 0, at), bool(callee)))
    return found


def _is_asked(
    tree: Tree, user: Definition, plain: bytes, at: int, callee: str, names: tuple[str, str]
) -> bool:
    """Tell whether a feature is asked for, or compared, or told of one guest, at a place.

    NAMES are what it is called there, and its own.
    """
    name, feature = names
    if user.kind == "macro" and callee in (user.parameters or ()):
        return True  # what that is given is looked at by its own name
    if only_compares(tree.index, callee, plain, at, len(name)) or _is_compared(plain, at, name):
        return True
    return bool(callee) and (
        asked_of(tree.index, callee, user.file, ("", feature)) is not None
        or _is_of_one(tree, callee, user)
    )


def _is_compared(plain: bytes, at: int, name: str) -> bool:
    is_left = _COMPARED.match(plain, at + len(name)) is not None
    return is_left or _COMPARED_WITH.search(before(plain, at)) is not None


def _is_of_one(tree: Tree, name: str, user: Definition) -> bool:
    """Tell whether a function of the text is about one guest: it is given what that is known by.

    That is what holds its contexts, or what it is told of one leaf.  All that it calls is
    found, or known: else that may be told a feature, and change it for all.
    """
    index = tree.index
    called = index.functions(name, user.file)
    known = (index.target.handle, index.target.registers.tables.record)
    given = re.compile(rb"\bstruct\s+(?:%b)\s*\*" % b"|".join(one.encode() for one in known if one))

    def is_known(inner: str, caller: Definition) -> bool:
        if inner.encode() in _DEFINED.findall(caller.text):
            return True  # what that stands for is in the text of the caller
        return not index.functions(inner, caller.file) and (
            inner in library.BIT_OPERATIONS
            or library.answers_by_arguments(inner, index.target)
            or bool(index.macros(inner, caller.file))
        )

    return any(given.search(one.text.partition(b"{")[0]) for one in called) and all(
        one is not None for one in reached(index, called, is_known)
    )
