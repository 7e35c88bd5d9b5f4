# SPDX-License-Identifier: GPL-2.0-only
"""What is filled beyond the end of a member of a record, and so changes those behind it.

In: a tree, and a member of a record.  Out: whether a copy that begins in front of the member, in
the same record, may reach it: memcpy() of two members at once, or of more bytes than one has.
A count of elements of an array is taken to be one that is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchtool.c import brackets, library
from patchtool.c.layout import RecordType
from patchtool.c.scan import places
from patchtool.world.accounts.holders import Front
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.accounts.overruns import BEYOND, Overruns, Site
from patchtool.world.entries import Tree

_MEMBER = re.compile(rb"(?:->|\.)\s*(\w+)")
_VARIABLE = re.compile(rb"\s*(?:\([^()]*\)\s*)?(\w+)\s*\Z")


def spills(tree: Tree, tag: str, member: str) -> bool:
    """Tell whether a copy into a member in front of one may go on into that one."""
    if tag not in tree.spilt:
        tree.spilt[tag] = _found(tree, tag)
    names, begun = tree.spilt[tag]
    return member in names and not begun.isdisjoint(names[: names.index(member)])


def _found(tree: Tree, tag: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the members of a record in order, and those at which such a copy begins."""
    index, word = tree.index, tag.encode()
    for path, _ in index.texts_with(word):
        record = tree.types.record(f"struct {tag}", path)
        if isinstance(record, RecordType):
            break
    else:
        return (), frozenset()
    known = frozenset(record.by_name) - tree.held()
    front = Front(tag, path, known)
    overruns = Overruns(tree, Mentions(index, tree.types, {}), [front], alone=True)
    return tuple(record.by_name), frozenset(
        one.member
        for one in _filled(tree, known)
        if any(why.endswith(BEYOND) for _, why in overruns.found([one], lambda _: False))
    )


def _filled(tree: Tree, members: frozenset[str]) -> Iterator[Site]:
    """Yield where members are named of what is filled, or of what a variable is that is."""
    filling = {**library.FILLING, **tree.index.target.filling}
    for name, (number, _) in filling.items():
        word = name.encode()
        for path, data in tree.index.texts_with(word):
            for at in places(data, word):
                for start, end in _spans(tree, path, data, at, at + len(word), number):
                    for found in _MEMBER.finditer(data, start, end):
                        if found[1].decode() in members:
                            yield Site(path, found.start(1), found[1].decode(), "")


def _spans(
    tree: Tree, path: str, data: bytes, at: int, behind: int, number: int
) -> Iterator[tuple[int, int]]:
    """Yield where an argument of a call is, or what a variable is set to that is one."""
    opened = brackets.first_from(data, behind)
    closed = brackets.end_of(data, behind)
    if closed is None:
        return
    cuts = [opened, *brackets.commas(data, opened + 1, closed - 1), closed - 1]
    if number + 1 >= len(cuts):
        return
    yield cuts[number] + 1, cuts[number + 1]
    variable = _VARIABLE.fullmatch(data, cuts[number] + 1, cuts[number + 1])
    file = tree.index.file(path) if variable is not None else None
    if variable is None or file is None:
        return
    value = re.compile(rb"\b%s\s*=(?!=)([^;]*);" % re.escape(variable[1]))
    for one in file.functions_around(at):
        for found in value.finditer(one.text):
            yield one.start + found.start(1), one.start + found.end(1)
