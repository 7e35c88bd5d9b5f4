# SPDX-License-Identifier: GPL-2.0-only
"""Set-ups that are left out above their entry, by what a context holds.

A run begins at an entry; that its callers call it is taken for granted.  A caller that looks
at a role or at a field of a context first may skip the whole set-up by it, and what the set-up
itself compares then says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchtool.c.index import calls
from patchtool.c.lower import Lowered, Trouble
from patchtool.c.scan import Definition, places, strip_comments
from patchtool.model import Place
from patchtool.world.closure import in_directive
from patchtool.world.entries import Tree
from patchtool.world.ledger import Ledger

_TELLS = re.compile(rb"\b(?:bool|union\s+\w+|u8|u16|u32|u64|unsigned)\s+\w+\s*\(")
MAX_ABOVE = 2_000
"""How many functions above the entries are looked at; kernels have 100."""


def guards_above(
    tree: Tree, ledger: Ledger, runs: list[Lowered], names: frozenset[str]
) -> Iterator[Trouble]:
    """Yield where what leads to an entry reads a role or a field, NAMES, and may skip by it."""
    above = _leading(tree, {run.start.key: run.start for run in runs if run.guards})
    if len(above) > MAX_ABOVE:
        start = next(run.start for run in runs if run.guards)
        place = Place(start.file, start.line, 1, start.name)
        yield Trouble(place, f"more than {MAX_ABOVE} functions lead to {start.name}()", False)
    accessors: set[str] = set()
    for name in sorted(names):
        for mention in ledger.mentions.of(name):
            function = mention.function
            if mention.kind != "read" or function is None:
                continue
            accessors.update(_accessors(tree, function, name))
            if function.key in above and not ledger.is_executed(function):
                callee = above[function.key][1]
                reason = f"{mention.what} is read where {callee}() is called, or is not"
                yield Trouble(mention.place, reason, False)
    for caller, callee in above.values():
        if not ledger.is_executed(caller):
            for one in sorted(calls(caller.text.partition(b"{")[2]) & accessors):
                place = Place(caller.file, caller.line, 1, caller.name)
                reason = f"{one}() reads a role where {callee}() is called, or is not"
                yield Trouble(place, reason, False)


def _leading(
    tree: Tree, starts: dict[tuple[str, str, int], Definition]
) -> dict[tuple[str, str, int], tuple[Definition, str]]:
    """Return the functions that lead to an entry, by whatever calls, with what each calls."""
    found: dict[tuple[str, str, int], tuple[Definition, str]] = {}
    todo = list(starts.values())
    while todo and len(found) <= MAX_ABOVE:
        callee = todo.pop()
        word = callee.name.encode()
        for macro in _naming(tree, word):
            if macro.key not in found and macro.name != callee.name:
                found[macro.key] = macro, callee.name
                todo.append(macro)
        for _, user in tree.index.users(callee.name):
            if user.key in found or user.key in starts or user.name == callee.name:
                continue
            body = strip_comments(user.text.partition(b"{")[2])
            for at in places(body, word):
                if user.key not in found:
                    found[user.key] = user, callee.name
                    todo.append(user)
                if body[at + len(word) :].lstrip()[:1] != b"(":  # who is given it may call it
                    start = max(body.rfind(mark, 0, at) for mark in (b";", b"{", b"}"))
                    for name in sorted(calls(body[start + 1 : at])):
                        for one in tree.index.functions(name, user.file):
                            if one.key not in found and one.key not in starts:
                                found[one.key] = one, callee.name
                                todo.append(one)
    return found


def _naming(tree: Tree, word: bytes) -> Iterator[Definition]:
    """Yield the macros that stand for what names a word."""
    index = tree.index
    for path in (index.target.header, *index.own_files):
        data = (index.text(path) or b"") if word in index.words_in(path) else b""
        near = [at for at in places(data, word) if in_directive(data, at)]
        file = index.file(path) if near else None
        yield from file.macros_around(near) if file is not None else ()


def _accessors(tree: Tree, function: Definition, name: str) -> Iterator[str]:
    """Yield the functions that return a truth or a role, and are or come of this one."""
    if function.kind == "function" and _TELLS.search(function.text.partition(b"{")[0]):
        yield function.name
    file = tree.index.file(function.file) if function.kind == "macro" else None
    for made in tree.index.generated(file).values() if file is not None else ():
        yield from (one.name for one in made if name.encode() in one.text)
