# SPDX-License-Identifier: GPL-2.0-only
"""Which changes of an input make the stored role one behind which nothing skips.

In: a tree, a context, and who tells whether a store to its role leaves nothing to skip.
Out: the function through which every change of a member invalidates the stored role; such
a member needs no bit of the role, for no run skips after it has changed.  A change is every
mention of the member that does not leave it as it is; one that is no plain store, and so
has no place behind which to look, leaves the member uncovered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from patchtool.c import syntax
from patchtool.c.scan import Definition
from patchtool.c.syntax import Node
from patchtool.world.entries import Tree
from patchtool.world.mentions import Mention, Mentions

MAX_CALLS = 8
"""How many calls may lie between a change and the invalidation."""

_LEAVES = ("return_statement", "goto_statement")
_LOOPS = ("for_statement", "while_statement", "do_statement")
_LEFT_BY = {"continue_statement": _LOOPS, "break_statement": (*_LOOPS, "switch_statement")}
"""What leaves no more than the nearest statement of some kinds around it."""
_BRANCHES = (
    "if_statement",
    "while_statement",
    "for_statement",
    "switch_statement",
    "conditional_expression",
)
_STORING = (
    "field_expression",
    "subscript_expression",
    "pointer_expression",
    "cast_expression",
    "parenthesized_expression",
    "assignment_expression",
    "update_expression",
    "argument_list",
    "call_expression",
)
"""What of an expression around a member is evaluated before that is stored to, or is the store."""
_EVALUATED = frozenset({
    "function_definition", "compound_statement", "expression_statement", "labeled_statement",
    "return_statement", "declaration", "init_declarator", "parenthesized_expression",
    "assignment_expression", "comma_expression", "binary_expression", "unary_expression",
    "cast_expression", *_BRANCHES,
})  # fmt: skip
"""What evaluates all of what stands in it, branches aside: no argument of what may be a macro."""
_HEAD = ("condition", "initializer")
"""What of a branch or loop is evaluated on every way."""


class Invalidations:
    """The stores that invalidate the roles of one context, and who comes by one."""

    def __init__(
        self,
        tree: Tree,
        context: str,
        roles: frozenset[str],
        never_skips: Callable[[str, str, int], bool],
    ) -> None:
        """Take the name of a context and the members of it that are compared.

        NEVER_SKIPS tells of a role, a member below it and a number, whether nothing skips
        where the number stands there.
        """
        self._tree, self._context, self._roles = tree, context, roles
        self._never_skips = never_skips

    def after(self, member: str, owner: str) -> str | None:
        """Return the function that invalidates the role after every change of a member.

        OWNER is the tag of the record that the member belongs to.
        """
        mentions = Mentions(self._tree.index, self._tree.types, {member: frozenset((owner,))})
        name: str | None = None
        for mention in mentions.of(member):
            if mention.is_idle:
                continue
            name = self._behind(mention) if mention.kind == "store" else None
            if name is None:
                return None
        return name

    def _behind(self, mention: Mention) -> str | None:
        """Return what invalidates the role on every way behind a store."""
        function = mention.function
        holder = re.match(r"\(*\s*(\w+)\s*(?:->|\.)", mention.what)
        file = self._tree.index.file(mention.place.file)
        if function is None or function.kind != "function" or holder is None or file is None:
            return None
        at = file.offset(mention.place.line, mention.place.column) - function.start
        root = self._tree.index.node(function)
        here = root.descendant_for_byte_range(at, at + 1)
        if here is None:
            return None
        while here.parent is not None and here.parent.type in _STORING:
            here = here.parent
        return self._on_every_way(function, here.end_byte, holder[1], frozenset())

    def _on_every_way(
        self,
        function: Definition,
        start: int,
        through: str,
        above: frozenset[tuple[str, str, int]],
    ) -> str | None:
        """Return what invalidates a role on every way from a byte on, THROUGH a variable."""
        root = self._tree.index.node(function)
        body = syntax.function(root)
        if body is None or root.has_error or function.key in above or len(above) > MAX_CALLS:
            return None
        if _is_set(body, through):
            return None
        for match in syntax.matches("role_invalidation", body):
            target, value = match["role.target"][0], match["role.value"][0]
            if target.start_byte >= start and self._invalidates(target, value, through):
                if self._certain(target, body, start):
                    return function.name
        for match in syntax.matches("call_site", body):
            call = match["call.function"][0]
            name = syntax.text(call)
            if call.start_byte < start or not name.startswith(self._tree.index.target.notices):
                continue
            # Behind an unknown macro a call looks like a declaration.
            while call.parent is not None and call.parent.type == "parenthesized_expression":
                call = call.parent
            outer = call.parent
            if (
                outer is None
                or outer.type != "call_expression"
                or not self._certain(outer, body, start)
            ):
                continue
            inside: list[str | None] = []
            for one in self._tree.index.functions(name, function.file):
                given = _handed(outer, through, one)
                if given is not None:
                    inside.append(self._on_every_way(one, 0, given, above | {function.key}))
            if inside and None not in inside:
                return inside[0]
            number = self._given(outer, through)
            helpers = self._tree.index.functions(name, function.file)
            if number is not None and helpers:
                if all(self._leaves_invalid(one, number) for one in helpers):
                    return function.name
        return None

    def _given(self, call: Node, through: str) -> int | None:
        """Return which argument of a call is the address of the context, come by THROUGH it."""
        listed = call.child_by_field_name("arguments")
        for number, one in enumerate(listed.named_children if listed is not None else ()):
            spelt = syntax.text(one)
            words = re.findall(r"\w+", spelt)
            if spelt.startswith("&") and words[:1] == [through] and words[-1] == self._context:
                return number
        return None

    def _leaves_invalid(self, function: Definition, number: int) -> bool:
        """Tell whether a function that is given a context leaves its role invalid, on every way."""
        names: list[str] = re.findall(r"(\w+)\s*(?:,|\)\s*$)", _parameters(function))
        root = self._tree.index.node(function)
        body = syntax.function(root)
        if body is None or root.has_error or number >= len(names) or _is_set(body, names[number]):
            return False
        for match in syntax.matches("role_invalidation", body):
            target, value = match["role.target"][0], match["role.value"][0]
            holder, *words = re.findall(r"\w+", syntax.text(target))
            if holder == names[number] and words and words[0] in self._roles:
                role, below = words[0], ".".join(words[1:])
                if self._never_skips(role, below, int(syntax.text(value), 0)):
                    if is_certain(target, body):
                        return True
        return False

    def _certain(self, node: Node, body: Node, start: int) -> bool:
        """Tell whether every way from a byte on comes by a node."""
        return is_certain(node, body)

    def _invalidates(self, target: Node, value: Node, through: str) -> bool:
        """Tell whether a store THROUGH a variable leaves a role behind which nothing skips."""
        words = re.findall(r"\w+", syntax.text(target))
        held = [at for at, one in enumerate(words) if one in self._roles and at]
        if not held or words[0] != through or words[held[0] - 1] != self._context:
            return False
        below = ".".join(words[held[0] + 1 :])
        return self._never_skips(words[held[0]], below, int(syntax.text(value), 0))


def _handed(call: Node, variable: str, function: Definition) -> str | None:
    """Return the parameter of a function that a call hands a variable to."""
    listed = call.child_by_field_name("arguments")
    given = [syntax.text(n) for n in listed.named_children] if listed is not None else []
    names: list[str] = re.findall(r"(\w+)\s*(?:,|\)\s*$)", _parameters(function))
    if variable not in given or given.index(variable) >= len(names):
        return None
    return names[given.index(variable)]


def _parameters(function: Definition) -> str:
    """Return the parameters of a function as they stand, the last parenthesis included."""
    head = function.text.partition(b"{")[0].decode("utf-8", "replace")
    return head[head.find(function.name) :].partition("(")[2].rstrip()


def _is_set(body: Node, name: str) -> bool:
    """Tell whether a variable of a function is made to hold something else."""
    for one in _of_types(body, ("assignment_expression", "update_expression")):
        target = one.child_by_field_name("left") or one.child_by_field_name("argument")
        if target is not None and syntax.text(target) == name:
            return True
    return False


def is_certain(node: Node, body: Node, leaving: bool = False) -> bool:
    """Tell whether every way through a function comes by a node, those that LEAVE it aside."""
    if not leaving and any(_passes_by(one, node) for one in syntax.descendants(body)):
        return False
    here = node
    while here != body and here.parent is not None:
        outer = here.parent
        if outer.type in _BRANCHES and all(outer.child_by_field_name(n) != here for n in _HEAD):
            return False
        if outer.type == "call_expression":
            if here != outer.child_by_field_name("function"):
                return False
        elif outer.type not in _EVALUATED:
            return False
        if outer.type == "binary_expression" and here == outer.child_by_field_name("right"):
            if syntax.text(outer.children[1]) in ("&&", "||"):
                return False
        here = outer
    return True


def _passes_by(jump: Node, node: Node) -> bool:
    """Tell whether a statement in front of a node may lead past it."""
    if jump.end_byte > node.start_byte:
        return False
    if jump.type not in _LEFT_BY:
        return jump.type in _LEAVES
    outer = jump.parent
    while outer is not None and outer.type not in _LEFT_BY[jump.type]:
        outer = outer.parent
    return outer is None or outer.end_byte > node.start_byte


def _of_types(node: Node, types: tuple[str, ...]) -> Iterator[Node]:
    return (one for one in syntax.descendants(node) if one.type in types)
