# SPDX-License-Identifier: GPL-2.0-only
"""Objects of the host that are alike for all vCPUs and at all times, and why."""

from __future__ import annotations

import re

from patchtool.c.memory import Fact, Loc
from patchtool.c.scan import WORDS, Definition
from patchtool.proof.bits import Word
from patchtool.world.entries import Tree
from patchtool.world.mentions import Mention, Mentions
from patchtool.world.roles import callers

_TOLD_OF = re.compile(
    rb"(?:EXPORT_\w+|(?:core_|late_)?module_param\w*|MODULE_PARM_DESC)\s*\([^;]*\Z"
)
_PARAMETER = re.compile(rb"module_param\w*\s*\(([^;]*)\)\s*;")


def host_constant(tree: Tree, word: Word) -> str | None:
    """Say why a word that all share is alike at all times; None where it may change."""
    if isinstance(word.about, Fact) and word.about.kind == "operation":
        return f"the vendor module is the same for all vCPUs ({word.about.name})"
    fixed = tree.index.target.registers.fixed
    if isinstance(word.about, Fact) and word.about.kind == "host":
        return f"the CPU of the host does not change ({word.name})"
    if isinstance(word.about, Loc) and word.about.root.name in fixed:
        return f"the host and its modules do not change ({word.name})"
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
    writers: dict[tuple[str, str, int], Definition] = {}
    for mention in Mentions(tree.index, tree.types, {name.group(): frozenset()}).of(name.group()):
        function = mention.function
        if mention.kind not in ("store", "open"):
            continue
        if function is None:
            if not _is_told_of(tree, mention):
                return None
        elif function.kind == "macro":
            for _, user in tree.index.users(function.name):
                writers[user.key] = user
        else:
            writers[function.key] = function
    if not all(_only_at_load(tree, writer, 4) for writer in writers.values()):
        return None
    if _is_writable_parameter(tree, name.group().encode()):
        return None
    if mark is not None:
        return f"{symbol} is set at module load ({mark.group()}, {where})"
    if not writers:
        return f"{symbol} is never assigned to in KVM ({where})"
    names = ", ".join(sorted({f"{writer.name}()" for writer in writers.values()}))
    return f"{symbol} is set at module load ({names}, {where})"


def _is_told_of(tree: Tree, mention: Mention) -> bool:
    """Tell whether an object is exported, or is a parameter, where it is named at file scope."""
    data = tree.index.text(mention.place.file) or b""
    start = 0
    for _ in range(mention.place.line - 1):
        start = data.find(b"\n", start) + 1
    lead = data[: start + mention.place.column - 1]
    begin = max(lead.rfind(b";"), lead.rfind(b"}")) + 1
    return _TOLD_OF.match(lead[begin:].lstrip()) is not None


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


def _only_at_load(tree: Tree, definition: Definition, depth: int) -> bool:
    """Tell whether a function runs during module initialisation alone.

    One that nothing in KVM names may be called by anybody.
    """
    head = definition.text.split(b"{", 1)[0]
    if re.search(rb"\b__init\b|\b__exit\b", head):
        return True
    above = callers(tree.index, definition.name) if depth else []
    return bool(above) and all(_only_at_load(tree, c, depth - 1) for c in above)
