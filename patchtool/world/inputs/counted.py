# SPDX-License-Identifier: GPL-2.0-only
"""Whether what all holders share counts them: before one is made, and under a lock.

In: a tree, the name of the count and of the lock.  Out: whether each mention of the count, in
what is shared by all architectures as well, reads it, or is one of those by which the function
that makes a holder counts it; and since where a lock is held at a place of a function.
"""

from __future__ import annotations

import re

from patchtool.c import brackets
from patchtool.c.index import Index
from patchtool.c.scan import Definition, places, strip_comments
from patchtool.world.entries import Tree
from patchtool.world.inputs.births import generic_files, users_anywhere

MAX_LOCKS = 64
"""How many places in front of one take or release a lock that are looked at."""

_COMPARED = re.compile(rb"\s*(?:[=!<>]=|[<>](?![<>=])|&&|\|\|)")
_ENDED = re.compile(rb"\s*[);]")
_CHANGED = (b"&", b"++", b"--", b"*")
"""What stands before an object of which the address is taken, or that is counted."""
_ASKING = (b"if", b"while", b"return", b"")
_LOCKING = (
    rb"\bmutex_(?P<un>un)?lock\s*\(\s*&\s*%(lock)b\s*\)\s*;(?P<out>\s*(?:return|goto|break)\b)?"
    rb"|\bguard\s*\(\s*mutex\s*\)\s*\(\s*&\s*%(lock)b\s*\)\s*;"
    rb"|\bscoped_guard\s*\(\s*mutex\s*,\s*&\s*%(lock)b\s*\)\s*\{"
)
_RELEASED = re.compile(
    rb"\bmutex_unlock\b(?:\s*\(\s*&\s*(?:\w+\s*(?:->|\.)\s*)+(?P<member>\w+)\s*\))?"
)


def counts_before(tree: Tree, count: str, lock: str) -> bool:
    """Tell whether nothing holds a context while a count is 0 and a lock is held."""
    index, makers = tree.index, 0
    if any(tree.pasting.uses((count,))) or _is_named_elsewhere(index, count):
        return False
    for _, function in users_anywhere(index, count):
        plain = strip_comments(function.text)
        raised = [
            at for at in places(plain, count.encode()) if not _is_read(plain, at, at + len(count))
        ]
        if raised and not _counts(tree, function, plain, raised, len(count), lock):
            return False
        makers += bool(raised)
    return makers == 1


def _is_named_elsewhere(index: Index, count: str) -> bool:
    """Tell whether a macro names the count."""
    word = count.encode()
    return any(
        True
        for file in index.files_with(word)
        for _ in file.macros_around(list(places(file.data, word)))
    )


def _is_read(plain: bytes, at: int, end: int) -> bool:
    """Tell whether a mention is compared with something, or asked for alone."""
    lead = re.sub(rb"(?:\w+\s*(?:->|\.)\s*)+\Z", b"", plain[max(0, at - 80) : at]).rstrip()
    if lead.endswith(_CHANGED) and not lead.endswith(b"&&"):
        return False
    if _COMPARED.match(plain, end):
        return True
    opened, _ = brackets.argument_at(plain, at)
    callee = brackets.callee(plain, opened) if opened >= 0 else b""
    return _ENDED.match(plain, end) is not None and (callee or b"") in _ASKING


def _counts(
    tree: Tree, function: Definition, plain: bytes, raised: list[int], length: int, lock: str
) -> bool:
    """Tell whether a function counts a holder before it makes it, and down only where it fails."""
    births = re.compile(rb"\b(?:%b)\s*\(" % tree.index.target.registers.births.encode())
    made = births.search(plain, plain.find(b"{"))
    up = [at for at in raised if re.match(rb"\s*\+\+\s*;", plain[at + length :])]
    down = [at for at in raised if re.match(rb"\s*--\s*;", plain[at + length :])]
    if made is None or len(up) != 1 or sorted(up + down) != raised or up[0] > made.start():
        return False
    held = rb"(?:\w+\s*(?:->|\.)\s*)*%b" % re.escape(lock.encode())
    since = [locked_since(plain, at, held) for at in raised]
    return all(at > made.start() for at in down) and all(
        one is not None and is_kept(tree, function, plain[one:at], lock)
        for one, at in zip(since, raised, strict=True)
    )


def is_kept(tree: Tree, function: Definition, passed: bytes, lock: str) -> bool:
    """Tell whether nothing that a piece of a function calls releases a lock, a member."""
    if any(_is_of(one, lock) is None for one in _RELEASED.finditer(passed)):
        return False
    left = _RELEASED.sub(b"", passed)
    return not tree.effects.may_run_within(function, left, _releasing(tree.index, lock))


def _releasing(index: Index, lock: str) -> frozenset[str]:
    """Return the functions and the macros that may release a lock that is a member."""
    found: set[str] = set()
    for _, function in users_anywhere(index, "mutex_unlock"):
        plain = strip_comments(function.text)
        if any(_is_of(one, lock) is not False for one in _RELEASED.finditer(plain)):
            found.add(function.name)
    shared = (index.file(path) for path in generic_files(index))
    for file in (*index.files_with(b"mutex_unlock"), *filter(None, shared)):
        for macro in file.macros_around(list(places(file.data, b"mutex_unlock"))):
            found.add(macro.name)
    return frozenset(found)


def _is_of(released: re.Match[bytes], lock: str) -> bool | None:
    """Tell whether what is released is a lock that is a member; None where it is not known."""
    return None if released["member"] is None else released["member"] == lock.encode()


def locked_since(plain: bytes, at: int, lock: bytes) -> int | None:
    """Return the byte from which on a function without comments holds a lock up to another one.

    LOCK is a pattern for what it is called; None where it is not known to be held.
    """
    found = [*re.finditer(_LOCKING % {b"lock": lock}, plain[:at])]
    for here in found[: -MAX_LOCKS - 1 : -1]:
        is_left = _is_left(plain[here.end() : at])
        if here["un"]:
            if not here["out"] or not is_left:
                return None
            continue  # on a way out: it is still locked for whoever goes on
        if not plain[: here.start()].rstrip().endswith((b";", b"{", b"}", b":")):
            return None
        if not is_left:
            return here.end()
        if here[0].startswith(b"mutex"):
            return None
    return None


def _is_left(text: bytes) -> bool:
    """Tell whether a text leads out of the block in which it begins, or to another case of it."""
    depth = 0
    for one in re.findall(rb"[{}]|\bcase\b|\bdefault\s*:", text):
        depth += {b"{": 1, b"}": -1}.get(one, 0)
        if depth < 0 or (depth == 0 and one not in b"{}"):
            return True
    return False
