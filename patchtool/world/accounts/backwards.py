# SPDX-License-Identifier: GPL-2.0-only
"""Who goes back from a member that lies behind a context, in the record that holds both.

What lies behind a context may be filled to its end and beyond, and the context stays as it is.
To come to the context one has to go back: by a number that is taken from an address, by an
index on the address of what is no array, or through a pointer that is moved back.  Whoever is
given the address goes forward; the functions of the same file are looked into.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from patchtool.c import brackets
from patchtool.c.index import Index
from patchtool.c.scan import FileIndex, places, strip_comments
from patchtool.world.accounts.holders import Change, Front, placed

_TAKEN = re.compile(rb"&(?!&)\s*\(?\s*[A-Za-z_]\w*(?:\([^()]*\))?(?:(?:->|\.)\w+)*(?:->|\.)(\w+)")
"""The address of a member: the member is the last name."""
_KEPT = re.compile(rb"\b(\w+)\s*=\s*(?:\([^()]*\*\s*\)\s*)?\Z")
_OPERAND = re.compile(rb"[\w\]](?<!return)\Z|&\Z")
"""What stands in front of a sign that takes no address, but is one of two operands."""
_LEAD = 80


def backwards(
    index: Index, texts: Mapping[str, bytes], fronts: Iterable[Front]
) -> Iterator[Change]:
    """Yield where one may go back to a context."""
    behind = {name.encode() for one in fronts for name in one.behind}
    for path, data in texts.items():
        for one in _TAKEN.finditer(data):
            lead = data[max(0, one.start() - _LEAD) : one.start()].rstrip()
            if one[1] not in behind or _OPERAND.search(lead) is not None:
                continue
            rest = data[one.end() : one.end() + _LEAD].lstrip()
            reason = _moved(rest)
            if reason is None and rest[:1] in b";,)" and (file := index.file(path)) is not None:
                reason = _through(file, data, one.start(), lead)
            if reason is not None:
                told = f"{reason} from {one[1].decode()}"
                yield from placed(index, path, data, one.start(), told)


def _moved(rest: bytes) -> str | None:
    """Say how an address is gone back from by what follows it."""
    if rest[:1] == b")":
        inner = rest[1:].lstrip()
        if inner[:1] == b"[" and inner[:3] != b"[0]":
            return "an index may go back"
        rest = inner
    if rest[:1] == b"-" and rest[1:2] not in b">-=":
        return "a number is gone back"
    return None


def _through(file: FileIndex, data: bytes, at: int, lead: bytes) -> str | None:
    """Say how a pointer that is given an address is moved back."""
    kept = _KEPT.search(lead)
    if kept is not None:
        end = data.find(b"\n}", at)
        return _goes_back(data[at:end], kept[1])
    opened, number = brackets.argument_at(data, at)
    callee = brackets.callee(data, opened) if opened >= 0 else None
    for one in file.functions.get((callee or b"").decode("utf-8", "replace"), ()):
        head, _, body = strip_comments(one.text).partition(b"{")
        given = head.partition(b"(")[2].split(b",")
        names = re.findall(rb"\w+", given[number]) if number < len(given) else []
        if names and (reason := _goes_back(body, names[-1])) is not None:
            return reason
    return None


def _goes_back(body: bytes, name: bytes) -> str | None:
    """Say how a variable is moved back in a piece of C."""
    for at in places(body, name):
        behind = body[at + len(name) : at + len(name) + _LEAD].lstrip()
        before = body[max(0, at - _LEAD) : at].rstrip()
        is_value = before[-1:] == b"*" and behind[:2] != b"--"
        is_back = behind[:1] == b"-" and behind[:2] != b"->" and not is_value
        is_negative = behind[:1] == b"[" and b"-" in behind[: behind.find(b"]")].replace(b"->", b"")
        is_lowered = before[-2:] == b"--" and behind[:1] not in b".[" and behind[:2] != b"->"
        if is_back or is_negative or is_lowered:
            return f"{name.decode()} is moved back"
    return None
