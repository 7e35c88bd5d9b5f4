# SPDX-License-Identifier: GPL-2.0-only
"""What may make a stored role invalid behind a change, in a way that is not understood.

In: a tree, the compared members of a context, and who tells whether a store to one leaves
nothing to skip.  Out: a call or a store that may be run behind a change.  A gap rests on a
change behind which no role is made invalid: where one may be that is not told from others, or
is where a parameter says so, there is none to show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from patchtool.c import syntax
from patchtool.c.index import parameter_names
from patchtool.c.layout import literal
from patchtool.c.scan import Definition
from patchtool.c.syntax import Node, descendants, text
from patchtool.model import Place
from patchtool.world.effects import callers_of
from patchtool.world.entries import Tree
from patchtool.world.inputs.births import Births, is_newborn

MAX_CALLS = 4
"""How many calls may lie between a change and what is looked at behind it."""

_LEFT = ("for_statement", "while_statement", "do_statement", "switch_statement")
"""What is left by a break."""
_ASKING = ("if_statement", "conditional_expression", "switch_statement", "while_statement")


class Perhaps:
    """What of one tree may make the roles of one context invalid."""

    def __init__(
        self,
        tree: Tree,
        births: Births,
        roles: frozenset[str],
        beside: frozenset[str],
        never_skips: Callable[[str, str, int], bool],
        names_context: Callable[[Definition, list[str]], bool],
    ) -> None:
        """ROLES are the members of the context that are compared, and NEVER_SKIPS tells of one,
        a member below it and a number, whether nothing skips where the number stands there.
        BESIDE are members that the guard looks at too: who else stores them is not accounted
        for as it is of a role, so that to clear one is never known to invalidate.
        NAMES_CONTEXT tells of the words of an expression whether they lead to a known context.
        """
        self._names_context = names_context
        self._tree, self._births = tree, births
        self._roles, self._beside, self._never_skips = roles | beside, beside, never_skips
        self._known: dict[tuple[tuple[str, str, int], int, int], Place | None] = {}

    def behind(self, function: Definition, end: int, depth: int = 0) -> Place | None:
        """Return where a role may be made invalid behind a byte, whoever has called the function.

        None where one of those who call it does nothing of that kind, once there is a holder.
        """
        key = function.key, end, depth
        if key not in self._known:
            self._known[key] = self._found_behind(function, end, depth)
        return self._known[key]

    def _found_behind(self, function: Definition, end: int, depth: int) -> Place | None:
        found = self._within(function, end) if self._reaching else None
        if found is not None or depth == MAX_CALLS:
            return found
        for caller, call in self._births.calls(function) or ():
            if is_newborn(self._tree, caller):
                continue
            above = self.behind(caller, call.end_byte, depth + 1)
            if above is None:
                return None
            found = found or above
        return found

    @property
    def is_none(self) -> bool:
        """Tell whether nothing of the tree makes one of the roles invalid."""
        return not self._reaching

    def _within(self, function: Definition, at: int) -> Place | None:
        """Return where a role may be made invalid in a function, behind a byte."""
        root = self._tree.index.node(function)
        for node in self._telling(function, at):
            if not _excludes(root, at, node):
                line = function.line + function.text.count(b"\n", 0, node.start_byte)
                return Place(function.file, line, 1, function.name)
        return None

    def _telling(self, function: Definition, at: int) -> Iterator[Node]:
        """Yield the stores behind a byte that may make the role invalid, and calls that may."""
        yield from self._stores(function, at)
        for node in descendants(self._tree.index.node(function)):
            if node.type == "call_expression" and node.start_byte >= at:
                callee = node.child_by_field_name("function")
                if callee is not None and text(callee) in self._reaching:
                    yield node

    def _stores(self, function: Definition, at: int = 0) -> Iterator[Node]:
        """Yield the stores behind a byte that make a role invalid, and are not understood.

        They are of a context that is not known, or where a parameter says so.
        """
        root, names = self._tree.index.node(function), parameter_names(function)
        for match in syntax.matches("role_invalidation", root):
            target, value = match["role.target"][0], match["role.value"][0]
            words = re.findall(r"\w+", text(target))
            held = next((n for n, one in enumerate(words) if n and one in self._roles), None)
            number = number_stored(value)
            if held is None or number is None or target.start_byte < at:
                continue
            if self._never_skips(words[held], ".".join(words[held + 1 :]), number):
                is_known = self._names_context(function, words[:held])
                is_known = is_known and words[held] not in self._beside
                if not is_known or _is_told(root, at, target, {*names} - {words[0]}):
                    yield target

    @cached_property
    def _reaching(self) -> frozenset[str]:
        """The functions that make a role invalid, and all that call one of them."""
        index = self._tree.index
        known = frozenset(
            user.name
            for role in sorted(self._roles)
            for _, user in index.users(role)
            if any(True for _ in self._stores(user))
        )
        return known | callers_of(index, index.own_files, known) if known else known


def number_stored(value: Node) -> int | None:
    """Return the number that an assignment of a value stores, None where it is none."""
    spelt = syntax.stored(value)
    return int(spelt == "true") if spelt in ("true", "false") else literal(spelt)


def _is_told(root: Node, at: int, target: Node, names: set[str]) -> bool:
    """Tell whether some parameters are asked for between a byte and a store."""
    for one in descendants(root):
        condition = one.child_by_field_name("condition") if one.type in _ASKING else None
        if condition is not None and at <= condition.start_byte < target.start_byte:
            if not names.isdisjoint(re.findall(r"\w+", text(condition))):
                return True
    return False


def _excludes(root: Node, at: int, node: Node) -> bool:
    """Tell whether no way leads on from a byte to a node behind it."""
    around = {one.id: one for one in _outwards(node)}
    here = root.descendant_for_byte_range(max(0, at - 1), max(0, at - 1))
    while here is not None and here.id not in around:
        if here.type in ("compound_statement", "case_statement") and _is_left(here, around):
            return True
        outer = here.parent
        if outer is not None and outer.type == "if_statement" and outer.id in around:
            if outer.child_by_field_name("consequence") == here:
                return True
        here = outer
    return False


def _is_left(block: Node, around: Mapping[int, Node]) -> bool:
    """Tell whether a block ends in what leads out of all that is AROUND a node."""
    last = next(reversed(syntax.inner(block)), None)
    if last is None or last.type != "break_statement":
        return last is not None and last.type == "return_statement"
    left = next((one for one in _outwards(last) if one.type in _LEFT), None)
    return left is not None and left.id in around


def _outwards(node: Node) -> Iterator[Node]:
    """Yield a node and all that it stands in."""
    here: Node | None = node
    while here is not None:
        yield here
        here = here.parent
