# SPDX-License-Identifier: GPL-2.0-only
"""Objects of the host that are alike for all vCPUs and at all times, and why."""

from __future__ import annotations

import re

from patchtool.c.memory import Fact, Loc
from patchtool.c.scan import WORDS, Definition
from patchtool.proof.bits import Word
from patchtool.world.effects import object_stores
from patchtool.world.entries import Tree
from patchtool.world.roles import callers

_PARAMETER = re.compile(rb"module_param\w*\s*\(([^;]*)\)\s*;")


def host_constant(tree: Tree, word: Word) -> str | None:
    """Say why a word that all share is alike at all times; None where it may change."""
    if isinstance(word.about, Fact) and word.about.kind == "operation":
        return f"the vendor module is the same for all vCPUs ({word.about.name})"
    fixed = tree.index.target.registers.fixed
    if isinstance(word.about, Fact) and word.about.kind == "host":
        return f"the CPU of the host does not change ({word.name})"
    if isinstance(word.about, Loc) and word.about.root.name in fixed:
        return f"the CPU of the host does not change ({word.name})"
    symbol = word.name
    name = re.match(r"\w+", symbol)
    if symbol.startswith("CONFIG_") or (
        isinstance(word.about, Fact) and word.about.kind in ("option", "variant")
    ):
        return f"{symbol} is a build option"
    if name is None:
        return None
    declared = tree.index.declaration(name.group(), tree.roles.here)
    where = f"{declared[0]}:{declared[1]}" if declared is not None else tree.roles.here
    mark = re.search(r"__read_mostly|__ro_after_init|\bconst\b", declared[2]) if declared else None
    spelt = name.group().encode()
    writers = [
        d
        for _, d in tree.index.users(name.group())
        if any(object_stores(d.text.partition(b"{")[2], spelt))
    ]
    orphans = mark is not None
    if not all(_only_at_load(tree, writer, orphans, 4) for writer in writers):
        return None
    if _is_writable_parameter(tree, spelt):
        return None
    if mark is not None:
        return f"{symbol} is set at module load ({mark.group()}, {where})"
    if not writers:
        return f"{symbol} is never assigned to in KVM ({where})"
    names = ", ".join(sorted({f"{writer.name}()" for writer in writers}))
    return f"{symbol} is set at module load ({names}, {where})"


def _is_writable_parameter(tree: Tree, name: bytes) -> bool:
    """Tell whether an object is a parameter of a module that may be written at any time."""
    for file in tree.index.files_with(name):
        for found in _PARAMETER.finditer(file.data):
            *what, mode = found[1].split(b",")
            octal = re.fullmatch(rb"\s*(0[0-7]*)\s*", mode)
            readable = int(octal[1], 8) & 0o222 == 0 if octal else b"W" not in mode
            if not readable and any(name in one.translate(WORDS).split() for one in what):
                return True
    return False


def _only_at_load(tree: Tree, definition: Definition, orphans: bool, depth: int) -> bool:
    """Tell whether a function runs during module initialisation alone.

    orphans: take the word of the object's declaration for a function that nothing in KVM calls and
    that is handed no structure; what serves a guest or a user is handed its VM, vCPU or file.
    """
    head = definition.text.split(b"{", 1)[0]
    if re.search(rb"\b__init\b|\b__exit\b", head):
        return True
    if depth == 0:
        return False
    above = callers(tree.index, definition.name)
    if not above:
        return orphans and b"struct " not in head
    return all(_only_at_load(tree, c, orphans, depth - 1) for c in above)
