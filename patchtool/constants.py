# SPDX-License-Identifier: GPL-2.0-only
"""Objects of the host that are alike for all vCPUs and at all times, and why."""

from __future__ import annotations

import re

from .effects import object_stores
from .entries import Tree
from .roles import callers
from .scan import Definition


def host_constant(tree: Tree, symbol: str) -> str | None:
    """Say why an object is alike for all vCPUs and all times; None where it may change."""
    if " is " in symbol:
        return f"the vendor module is the same for all vCPUs ({symbol.split(' is ')[0]})"
    name = re.match(r"\w+", symbol)
    if symbol.startswith("CONFIG_") or symbol.endswith("?"):
        return f"{symbol} is a build option"
    if name is None:
        return None
    declared = tree.index.declaration(name.group(), tree.roles.here)
    where = f"{declared[0]}:{declared[1]}" if declared is not None else tree.roles.here
    word = re.search(r"__read_mostly|__ro_after_init|\bconst\b", declared[2]) if declared else None
    if word is not None:
        return f"{symbol} is set at module load ({word.group()}, {where})"
    spelt = name.group().encode()
    writers = [
        d
        for _, d in tree.index.users(name.group())
        if any(object_stores(d.text.partition(b"{")[2], spelt))
    ]
    for writer in writers:
        if not _only_at_load(tree, writer, 4):
            return None
    if not writers:
        return f"{symbol} is never assigned to in KVM ({where})"
    names = ", ".join(sorted({f"{writer.name}()" for writer in writers}))
    return f"{symbol} is set at module load ({names}, {where})"


def _only_at_load(tree: Tree, definition: Definition, depth: int) -> bool:
    """Tell whether a function runs during module initialisation alone."""
    head = definition.text.split(b"{", 1)[0]
    if re.search(rb"\b__init\b|\b__exit\b", head):
        return True
    if depth == 0:
        return False
    above = callers(tree.index, definition.name)
    return bool(above) and all(_only_at_load(tree, c, depth - 1) for c in above)
