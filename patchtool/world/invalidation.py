# SPDX-License-Identifier: GPL-2.0-only
"""Which changes of an input make the stored role one that no full run computes.

In: a tree, a context and the role that a full run computes for it.  Out: the function
through which every change of a member invalidates the stored role; such a member needs
no bit of the role, for no run skips after it has changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from patchtool.c import syntax
from patchtool.c.layout import RecordType
from patchtool.c.scan import Definition
from patchtool.c.syntax import Node
from patchtool.proof import bits
from patchtool.proof.bits import Bits
from patchtool.world.entries import Tree

MAX_CALLS = 8
"""How many calls may lie between a change and the invalidation."""

_LEAVES = ("return_statement", "goto_statement", "break_statement", "continue_statement")
_BRANCHES = (
    "if_statement",
    "while_statement",
    "for_statement",
    "switch_statement",
    "conditional_expression",
)
_HEAD = ("condition", "initializer")
"""What of a branch or loop is evaluated on every way."""


class Invalidations:
    """The stores that invalidate the roles of one context, and who comes by one."""

    def __init__(
        self, tree: Tree, context: str, computed: Mapping[str, tuple[RecordType, Bits]]
    ) -> None:
        """Take the name of a context, and for each compared member its type and new value."""
        self._tree, self._context, self._computed = tree, context, computed

    def after(self, member: str) -> str | None:
        """Return the function that invalidates the role after every store to a member."""
        stored = re.compile(rb"(?:->|\.)\s*" + member.encode() + rb"\s*(?:[-+|&^]|<<|>>)?=(?!=)")
        name: str | None = None
        for _, writer in self._tree.index.users(member):
            stores = [match.end() for match in stored.finditer(writer.text)]
            if stores:
                name = self._on_every_way(writer, stores[-1], frozenset())
                if name is None:
                    return None
        return name

    def _on_every_way(
        self, function: Definition, start: int, above: frozenset[tuple[str, str, int]]
    ) -> str | None:
        """Return what invalidates the role on every way through a function from a byte on."""
        root = self._tree.index.node(function)
        body = syntax.function(root)
        if body is None or root.has_error or function.key in above or len(above) > MAX_CALLS:
            return None
        for match in syntax.matches("role_invalidation", body):
            target, value = match["role.target"][0], match["role.value"][0]
            if target.start_byte >= start and self._invalidates(target, value):
                if _is_certain(target, body):
                    return function.name
        notices = self._tree.index.target.notices
        for match in syntax.matches("call_site", body):
            call = match["call.function"][0]
            name = syntax.text(call)
            if call.start_byte < start or not name.startswith(notices):
                continue
            # Behind an unknown macro a call looks like a declaration.
            declared = call.parent is not None and call.parent.type == "function_declarator"
            if declared or not _is_certain(call, body):
                continue
            inside = [
                self._on_every_way(one, 0, above | {function.key})
                for one in self._tree.index.functions(name, function.file)
            ]
            if inside and None not in inside:
                return inside[0]
        return None

    def _invalidates(self, target: Node, value: Node) -> bool:
        """Tell whether a store leaves what no full run computes."""
        words = re.findall(r"\w+", syntax.text(target))
        for name, (record, computed) in self._computed.items():
            if name not in words:
                continue
            at = words.index(name)
            if words[max(at - 1, 0)] != self._context:
                continue
            inner = ".".join(words[at + 1 :])
            if inner not in record.slots:
                continue
            low, width, _ = record.slots[inner]
            found = bits.cut(computed, low, width).value
            if found is not None and found != int(syntax.text(value), 0):
                return True
        return False


def _is_certain(node: Node, body: Node) -> bool:
    """Tell whether every way through a function comes by a node."""
    if any(one.end_byte <= node.start_byte for one in _of_types(body, _LEAVES)):
        return False
    here = node
    while here != body and here.parent is not None:
        outer = here.parent
        if outer.type in _BRANCHES and all(outer.child_by_field_name(n) != here for n in _HEAD):
            return False
        if outer.type.startswith("preproc_"):
            return False
        if outer.type == "binary_expression" and here == outer.child_by_field_name("right"):
            if syntax.text(outer.children[1]) in ("&&", "||"):
                return False
        here = outer
    return True


def _of_types(node: Node, types: tuple[str, ...]) -> Iterator[Node]:
    todo = [node]
    while todo:
        here = todo.pop()
        if here.type in types:
            yield here
        todo.extend(here.named_children)
