# SPDX-License-Identifier: GPL-2.0-only
"""By whom a function is called, and what is run before anything is set up.

In: a tree.  Out: the calls of a function, operations of tables included, and whether all of
them belong to the making of what holds the contexts, in which nothing is set up yet.  A
function that is called at other times as well may belong to it where one of its arguments
tells the times apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from patchtool.c import syntax
from patchtool.c.conditions import holding
from patchtool.c.index import Index, parameter_names
from patchtool.c.scan import Definition, FileIndex, before, places
from patchtool.c.syntax import Node, text
from patchtool.world.circular import Circular
from patchtool.world.entries import Tree
from patchtool.world.inputs.newborn import is_alone
from patchtool.world.inputs.steady import is_set
from patchtool.world.users import calls_of, users

_OPERATION = re.compile(rb"\s*\.\s*(\w+)\s*=\s*&?\s*(?:\w+|\w+\(\w+\))\s*,?\s*")
_TYPED = re.compile(rb"\bstruct\s+(\w+)")
_ANSWERS = re.compile(rb"\A[^{(]*\*[^{(]*\(")
"""A function that returns a pointer."""
TRUTHS = {"0": False, "false": False, "1": True, "true": True}
"""What a truth is given as."""

Calls = tuple[tuple[Definition, Node], ...]


class Given(NamedTuple):
    """A parameter, and whether it is something else than 0."""

    number: int
    holds: bool


def is_born(index: Index, function: Definition) -> bool:
    """Tell whether a function makes a holder: by its name, and by who calls it."""
    return _makes(index, function.name, index.target.registers.births, frozenset())


def _makes(index: Index, name: str, makers: str, above: frozenset[str]) -> bool:
    """Tell whether a name is that of one of the MAKERS, and only such ones call it.

    They may do so through a table.  Outside of the target's folder it is called by who makes
    the object that it is given, too.
    """
    if re.fullmatch(makers, name) is None or _is_kept_unnamed(index, name):
        return False
    return all(
        user.name in (name, *above)
        or _makes(index, user.name, makers, above | {name})
        or (not file.path.startswith(index.target.folder) and _has_made(index, user, name, makers))
        for called in (name, *_operations_of(index, name))
        for file, user in users_anywhere(index, called)
    )


def users_anywhere(index: Index, name: str) -> Iterator[tuple[FileIndex, Definition]]:
    """Yield the functions that hold a name, of what is shared by all architectures as well."""
    yield from index.users(name)
    for path in generic_files(index):
        yield from index.users(name, path)


def generic_files(index: Index) -> Iterator[str]:
    """Yield the C files of what is shared by all architectures."""
    for folder in index.target.generic:
        for path in index.source.walk(folder):
            if path.endswith((".c", ".h")):
                yield path


def kept_in(index: Index, name: str) -> frozenset[str]:
    """Return the members of tables that a function is kept in."""
    kept = re.compile(rb"\.\s*(\w+)\s*=\s*&?\s*(?:\w+\s*\(\s*)?%b\b" % name.encode())
    texts = index.texts_with(name.encode())
    return frozenset(one.decode() for _, data in texts for one in kept.findall(data))


def _operations_of(index: Index, name: str) -> frozenset[str]:
    """Return the members of tables that a function is kept in, or may be by what its name ends in.

    A macro that fills the table may make the whole name of that.
    """
    found = kept_in(index, name) | {name.partition("_")[2]} - {""}
    return found | {index.target.prefix + one for one in found}


def _is_kept_unnamed(index: Index, name: str) -> bool:
    """Tell whether a function is named outside of others, and not as a member of a table."""
    kept = re.compile(rb"(?:\.\s*\w+\s*=\s*&?\s*(?:\w+\s*\(\s*)?|\bEXPORT_SYMBOL\w*\s*\(\s*)\Z")
    return any(
        not file.in_body(at)
        and not file.is_blank(at)
        and not file.data[at + len(name) :].lstrip().startswith(b"(")
        and kept.search(before(file.data, at)) is None
        for file in index.files_with(name.encode())
        for at in places(file.data, name.encode())
    )


def _has_made(index: Index, user: Definition, name: str, makers: str) -> bool:
    """Tell whether a function makes what it gives to another one, or is given it by who does."""
    calls = calls_of(index.node(user), name)
    if calls and any(_ANSWERS.search(one.text) for one in index.functions(name, user.file)):
        return re.search(rb"=\s*%b\s*\(" % name.encode(), user.text) is not None
    given = {text(one) for call in calls or () for one in syntax.arguments(call)[:1]}
    if len(given) != 1:
        return False
    (holder,) = given
    origin = rb"\b%b\s*=\s*(?:\w*alloc\w*|%b)\s*\(" % (holder.encode(), makers.encode())
    if re.search(origin, user.text) is not None:
        return True
    users = users_anywhere(index, user.name)
    callers = [one.name for _, one in users if one.name != user.name]
    return (
        holder in parameter_names(user)
        and bool(callers)
        and all(_makes(index, one, makers, frozenset({name, user.name})) for one in callers)
    )


def is_newborn(tree: Tree, function: Definition) -> bool:
    """Tell whether a function makes a holder, and what it changes is of that one alone."""
    return is_born(tree.index, function) and is_alone(tree, function)


class Births:
    """Who calls the functions of one tree, and which of them run before any set-up."""

    def __init__(self, tree: Tree, setups: frozenset[str] = frozenset()) -> None:
        """SETUPS are the names of functions that lead to a set-up."""
        self._tree, self.setups = tree, setups
        self._early = Circular[tuple[tuple[str, str, int], Given | None], bool](False)

    def is_birth(self, function: Definition, at: int) -> bool:
        """Tell whether a byte is one of what makes a holder, in front of any set-up there.

        What such a function changes behind one is no other than what others change.
        """
        return is_newborn(self._tree, function) and not any(
            True
            for name in self.setups
            for _ in places(function.text[function.text.find(b"{") : at], name.encode())
        )

    def is_origin(self, function: Definition) -> bool:
        """Tell whether a function makes what all holders share: by name, and by who calls it."""
        index = self._tree.index
        return _makes(index, function.name, index.target.registers.origins, frozenset())

    def is_early(self, function: Definition, at: int, given: Given | None = None) -> bool:
        """Tell whether a byte of a function is run in the making of a holder alone.

        GIVEN tells which calls matter: those in which a parameter is not 0, or is 0.
        """
        if self.is_birth(function, at):
            return True
        wanted = given or self.depends(function, at)

        def find() -> bool:
            calls = self.calls(function) or ()
            is_early = bool(calls) and all(self._is_early_call(*one, wanted) for one in calls)
            return is_early and is_alone(self._tree, function)

        return self._early.of((function.key, wanted), find)

    def _is_early_call(self, caller: Definition, call: Node, given: Given | None) -> bool:
        """Tell whether a call, if it matters, is one in the making of a holder."""
        matters, wanted = self.told_by(caller, call, given)
        return not matters or self.is_early(caller, call.start_byte, wanted)

    def told_by(
        self, caller: Definition, call: Node, given: Given | None
    ) -> tuple[bool, Given | None]:
        """Tell whether a call matters, and what a parameter of the caller has to be if it does."""
        if given is None:
            return True, None
        handed = syntax.arguments(call)
        value = text(handed[given.number]) if given.number < len(handed) else ""
        if TRUTHS.get(value, given.holds) != given.holds:
            return False, None
        number = parameter_of(caller, value)
        if number is None or is_set(self._tree, caller, value):
            return True, None
        return True, Given(number, given.holds)

    def depends(self, function: Definition, at: int) -> Given | None:
        """Return the parameter that decides whether a byte is run, and what it has to be."""
        root = self._tree.index.node(function)
        for one in sorted(holding(root, at)):
            name = one.removeprefix("!")
            number = parameter_of(function, name)
            if number is not None and not is_set(self._tree, function, name):
                return Given(number, name == one)
        return None

    def calls(self, function: Definition) -> Calls | None:
        """Return the calls of a function; None where it is used in another way as well."""
        if function.key not in self._tree.calls:
            self._tree.calls[function.key] = self._found(function)
        return self._tree.calls[function.key]

    def calls_within(self, function: Definition) -> Calls | None:
        """Return the calls of a function, of one that makes a holder those in the target's folder.

        Who calls that from elsewhere has made what it gives it.
        """
        found = self.calls(function)
        if found is None or not is_born(self._tree.index, function):
            return found
        folder = f"{self._tree.index.target.folder}/"
        return tuple(one for one in found if one[0].file.startswith(folder))

    def _found(self, function: Definition) -> Calls | None:
        index = self._tree.index
        files = self._tree.objects.files
        names, found = {function.name}, list[tuple[Definition, Node]]()
        named = list(users(index, files, function))
        if any(user is not None and user.kind != "function" for _, user in named):
            return None
        pasted = self._tree.pasting.uses((function.name,))
        for place in [
            *(place for place, user in named if user is None),
            *(place for place, _, _ in pasted),
        ]:
            file = index.file(place.file)
            lines = (file.data if file is not None else b"").split(b"\n")
            operation = _OPERATION.fullmatch(lines[place.line - 1])
            if operation is None or file is None or not self._is_own(file, place.line):
                return None
            name = operation[1].decode()
            names |= {name, index.target.prefix + name}
        for name in sorted(names):
            for _, user in users_anywhere(index, name):
                if user.key == function.key or self._tree.is_idle(user):
                    continue
                calls = calls_of(index.node(user), name)
                if calls is None:
                    return None
                found.extend((user, call) for call in calls)
        return tuple(found)

    def _is_own(self, file: FileIndex, line: int) -> bool:
        """Tell whether a line is one of an object of a type that the target itself declares."""
        index = self._tree.index
        one = next(file.objects_around(file.offset(line, 1)), None)
        tag = _TYPED.search(one.text.partition(b"=")[0]) if one is not None else None
        found = index.record(f"struct {tag[1].decode()}", file.path) if tag is not None else ()
        ours = index.target.built_from
        return bool(found) and all(record.file.startswith(ours) for record in found)


def parameter_of(function: Definition, name: str) -> int | None:
    """Return which parameter of a function has a name."""
    names = parameter_names(function)
    return names.index(name) if name in names else None
