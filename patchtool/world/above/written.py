# SPDX-License-Identifier: GPL-2.0-only
"""Functions above the entries, with the macros written out that may decide whether one is called.

In: a function, and which of those it calls that lead to an entry.  Out: the function as it reads
where a macro that jumps, that heads a statement, or that is given what is called, stands for what
it is; and the macros with which that cannot be done.
"""

from __future__ import annotations

import re
from collections.abc import Set

from patchtool.c import brackets, library
from patchtool.c.index import Index, calls
from patchtool.c.scan import Definition, places
from patchtool.world.inputs.spelt import Spelt

_JUMP = re.compile(rb"\b(?:return|goto|break|continue)\b")
_HEADS = (b"if", b"for", b"while", b"switch")
_KEYWORDS = frozenset(one.decode() for one in brackets.TESTED)
_LAST = re.compile(rb"\bdo\b.*\bwhile\s*\(\s*(?:0|false)\s*\)\s*;?\s*\Z", re.DOTALL)
"""What makes one statement of what stands in a loop that turns once."""
_NESTED = 8
"""How often a macro may stand for others."""


def written_out(index: Index, caller: Definition, callees: Set[str]) -> tuple[Definition, str]:
    """Return a function with such macros written out, and the first one that cannot be."""
    if caller.kind != "function":
        return caller, ""
    failed, file = "", index.file(caller.file)
    functions = file.functions.keys() if file is not None else ()
    for _ in range(_NESTED):
        called = calls(caller.text.partition(b"{")[2]).difference(functions)
        wanted = {name for name in called if _jumps(index, name, caller.file)}
        macros, others = _given(index, caller, callees)
        wanted.update(macros)
        failed = failed or min(others, default="")
        wanted.discard(failed)
        if not wanted:
            break
        spelt = Spelt(index, caller, wanted)
        unspelt = sorted(one.decode() for one in spelt.unspelt if b"for_each" not in one)
        failed = failed or next(iter(unspelt), "")  # the parser reads a loop that is called so
        if spelt.text == caller.text:
            break
        caller = caller._replace(text=spelt.text)
    return caller, failed


def _jumps(index: Index, name: str, here: str) -> bool:
    """Tell whether a macro may leave what is around it, or decides whether the next one is run.

    It, or one that it stands for.
    """
    todo, seen = [name], {name}
    while todo:
        for one in index.macros(todo.pop(), here):
            if _JUMP.search(one.text) is not None or _is_head(one.text):
                return True
            more = calls(one.text) - seen
            seen |= more
            todo += more
    return False


def _is_head(words: bytes) -> bool:
    """Tell whether a macro ends where a statement has to follow."""
    if _LAST.search(words) is not None:
        return False
    bare = words.rstrip()
    if bare.endswith((b"else", b"do")):
        return True
    if not bare.endswith(b")"):
        return False
    opened = brackets.start_of(bare, len(bare) - 1)
    return opened is not None and brackets.callee(bare, opened) in _HEADS


def _given(index: Index, caller: Definition, callees: Set[str]) -> tuple[set[str], set[str]]:
    """Return the macros that are given what is called, or a call of it, and what else is.

    That is no function of the target, which is followed, and not known for calling it.
    """
    macros, others = set[str](), set[str]()
    known = _KEYWORDS | library.dispatchers(index.target) | library.YIELDING
    for callee in callees:
        for at in places(caller.text, callee.encode()):
            opened = at
            while (opened := brackets.argument_at(caller.text, opened)[0]) >= 0:
                name = (brackets.callee(caller.text, opened) or b"").decode()
                if not name or name in known:
                    continue
                if index.macros(name, caller.file):
                    macros.add(name)
                elif not any(index.target.owns(o.file) for o in index.functions(name, caller.file)):
                    others.add(name)
    return macros, others
