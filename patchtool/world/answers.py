# SPDX-License-Identifier: GPL-2.0-only
"""By what a function answers that tells of the CPU of a guest.

In: its name.  Out: the members of its handle that it reads, itself or through whom it hands that.
"""

from __future__ import annotations

import re

from patchtool.c import syntax
from patchtool.c.scan import Definition
from patchtool.world.entries import Tree


def read_by(tree: Tree, name: str, here: str) -> frozenset[str] | None:
    """Return the members of the handle by which a function answers what a guest was told.

    None where no function has the name, where one hands it on to what is not in the text, or
    uses it in another way.
    """
    found: set[str] = set()
    seen: set[tuple[str, str, int]] = set()
    todo = list(tree.index.functions(name, here))
    if not todo or tree.index.macros(name, here):
        return None
    while todo:
        function = todo.pop()
        if function.key in seen:
            continue
        seen.add(function.key)
        reads = _reads(tree, function)
        if reads is None:
            return None
        found |= reads[0]
        todo += reads[1]
    return frozenset(found)


def _reads(tree: Tree, function: Definition) -> tuple[set[str], list[Definition]] | None:
    """Return which members of its handle a function uses, and whom it hands that."""
    head, _, text = function.text.decode("utf-8", "replace").partition("{")
    handed = handle(tree).search(head)
    if handed is None:
        return set(), []
    name = re.escape(handed[1])
    members = re.findall(rf"\b{name}\s*->\s*(?:arch\s*\.\s*)?(\w+)", text)
    count, on = len(members), list[Definition]()
    body = syntax.function(tree.index.node(function))
    for match in syntax.matches("call_site", body) if body is not None else ():
        call = match["call.function"][0]
        listed = call.parent.child_by_field_name("arguments") if call.parent is not None else None
        given = [syntax.text(one) for one in listed.named_children] if listed is not None else []
        if handed[1] in given:
            callees = tree.index.functions(syntax.text(call), function.file)
            if not callees:
                return None
            count += given.count(handed[1])
            on += callees
    return (set(members), on) if count == len(re.findall(rf"\b{name}\b", text)) else None


def handle(tree: Tree) -> re.Pattern[str]:
    """Return what finds a pointer to what a context is reached through, and its name."""
    tag = re.escape(tree.index.target.handle)
    return re.compile(rf"struct\s+{tag}\s*\*\s*(?:const\s+)?(\w+)")
