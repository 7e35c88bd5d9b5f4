# SPDX-License-Identifier: GPL-2.0-only
"""What is run in the making of what holds contexts, in front of any set-up there.

In: a tree, who calls its functions, and the names of those that lead to a set-up.  Out: whether
a statement is run only then, and on a part of the holder that is being made.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from patchtool.c import syntax
from patchtool.c.conditions import dense
from patchtool.c.scan import Definition
from patchtool.c.syntax import Node, text
from patchtool.world.entries import Tree
from patchtool.world.inputs.births import Births, Given, is_born, parameter_of
from patchtool.world.inputs.steady import is_set

MAX_CALLS = 8
"""How many calls may lie between the making of a holder and what is run in it."""

_LOOPS = ("for_statement", "while_statement", "do_statement")
_PART = re.compile(r"&\(?(\w+)->\w+(?:\.\w+)*\)?|(\w+)")
"""A variable that is a pointer, or the address of a part of what it points to."""


class Firsts:
    """The statements of one tree that are run in front of all set-ups of what they change."""

    def __init__(
        self,
        tree: Tree,
        births: Births,
        leading: frozenset[str],
        held_by: Callable[[Definition, str], str | None] = lambda *_: None,
    ) -> None:
        """LEADING are the functions that lead to a set-up.

        HELD_BY tells by which variable of a function an expression is a holder, if it does.
        """
        self._tree, self._births, self._leading = tree, births, leading
        self._held_by = held_by
        self._known: dict[tuple[tuple[str, str, int], int, str, int, Given | None], bool] = {}
        """Whether a statement is such, by all that is asked but its start."""

    def is_first(
        self,
        function: Definition,
        start: int,
        end: int,
        holder: str,
        depth: int = 0,
        given: Given | None = None,
    ) -> bool:
        """Tell whether a statement is run in the making of what it changes, before any set-up.

        That is what HOLDER is, or points to.  START is where what it evaluates last begins,
        END the byte behind it.  GIVEN tells which calls of the function matter.
        """
        key = function.key, end, holder, depth, given
        if key not in self._known:
            self._known[key] = self._found_first(function, start, end, holder, depth, given)
        return self._known[key]

    def _found_first(
        self,
        function: Definition,
        start: int,
        end: int,
        holder: str,
        depth: int,
        given: Given | None,
    ) -> bool:
        through = self._held_by(function, holder) or self._part_of(function, holder)
        number = parameter_of(function, through) if through is not None else None
        calls = self._births.calls_within(function)
        if number is None or calls is None or depth == MAX_CALLS:
            return False
        if not self._is_run_first(function, start, end):
            return False
        wanted = given or self._births.depends(function, start)
        for caller, call in calls:
            matters, passed = self._births.told_by(caller, call, wanted)
            listed = syntax.arguments(call)
            handed = text(listed[number]) if number < len(listed) else ""
            if matters and not self.is_first(
                caller, call.start_byte, call.end_byte, handed, depth + 1, passed
            ):
                return False
        return bool(calls) or self._is_born_first(function)

    def _part_of(self, function: Definition, expression: str) -> str | None:
        """Return the parameter of a function that an expression is, or points into."""
        found = _PART.fullmatch(dense(expression))
        name = found and (found[1] or found[2])
        if not name or parameter_of(function, name) is None:
            return None
        return None if is_set(self._tree, function, name) else name

    def _is_born_first(self, function: Definition) -> bool:
        """Tell whether a function makes a holder, and no other that does sets one up.

        In which order those are called is not looked at.
        """
        index = self._tree.index
        births = re.compile(index.target.registers.births.encode())
        return is_born(index, function) and not any(
            one.name != function.name and self._tree.effects.may_run(one, self._leading)
            for path in index.own_files
            for word in index.words_in(path)
            if births.fullmatch(word) is not None
            for one in index.functions(word.decode(), path)
            if not self._births.calls_within(one)
        )

    def _is_run_first(self, function: Definition, start: int, end: int) -> bool:
        """Tell whether nothing is set up in a function before a statement is run."""
        root = self._tree.index.node(function)
        here: Node | None = root.descendant_for_byte_range(end - 1, end - 1)
        while here is not None and here.type not in _LOOPS:
            here = here.parent
        if root.has_error or here is not None or _is_labelled(root, start):
            return False
        return not self._tree.effects.may_run(_until(function, start, end), self._leading)


def _is_labelled(root: Node, end: int) -> bool:
    """Tell whether a label lies in front of a byte, by which a jump may lead back."""
    kinds = ("labeled_statement", "case_statement")
    return any(one.type in kinds and one.start_byte <= end for one in syntax.descendants(root))


def _until(function: Definition, start: int, end: int) -> Definition:
    """Return a function as far as it is run in front of a call, arguments and all.

    What is no call ends where it starts.
    """
    given = function.text[start:end].partition(b"(")[2]
    return function._replace(
        name=f"{function.name} until {start}", text=function.text[:start] + b";" + given
    )
