# SPDX-License-Identifier: GPL-2.0-only
"""What a word is in the definition of a trace event.

In: a text, and where a word stands in it.  Out: whether it is of the event itself, a parameter
or a member of its own record; else the C that it is part of.  What an event is made of becomes
the text of functions that have its parameters.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from patchtool.c.brackets import UNQUOTED, closing
from patchtool.c.scan import before

_HEAD = re.compile(rb"^(?:TRACE_EVENT\w*|DECLARE_EVENT_CLASS)\s*\(", re.MULTILINE)
_PART = re.compile(rb"\b(TP_\w+)\s*\(")
_DECLARED = re.compile(rb"\b__\w+\s*\([^,()]*,\s*\Z")
"""What stands before the name of a member of the record, its type included."""
_FUNCTION = b"void f(void) { "


class Part(NamedTuple):
    """Where a word of an event stands; SOURCE is empty where it is of the event itself."""

    source: bytes
    at: int


OWN = Part(b"", 0)


def part_of_event(data: bytes, at: int, word: bytes) -> Part | None:
    """Return what a word is a part of, None where it stands in no event, or is not understood."""
    heads = list(_HEAD.finditer(data, 0, at))
    begin = heads[-1].end() if heads else 0
    end = closing(data, begin - 1, UNQUOTED) if heads else None
    if end is None or end <= at:
        return None
    lead = before(data, at)
    is_member = lead.endswith((b"->", b"."))
    if lead.endswith(b"__entry->") or (not is_member and _is_given(data[begin:end], word)):
        return OWN
    for part in _PART.finditer(data, begin, at):
        close = closing(data, part.end() - 1, UNQUOTED)
        if close is None or not part.end() <= at < close:
            continue
        if part[1] == b"TP_STRUCT__entry" and _DECLARED.search(data, part.end(), at) is not None:
            return OWN
        if part[1] == b"TP_fast_assign":
            source = _FUNCTION + data[part.end() : close - 1] + b" }"
            return Part(source, len(_FUNCTION) + at - part.end())
        if part[1] == b"TP_printk":
            source = _FUNCTION + data[part.start() : close] + b"; }"
            return Part(source, len(_FUNCTION) + at - part.start())
    return None


def _is_given(event: bytes, word: bytes) -> bool:
    """Tell whether a word is a parameter of an event."""
    start = event.find(b"TP_PROTO(")
    end = closing(event, start + len(b"TP_PROTO"), UNQUOTED) if start >= 0 else None
    listed = event[start:end] if end is not None else b""
    return any(
        re.search(rb"\b%s\s*(?:\[[^\]]*\]\s*)?\Z" % re.escape(word), one) is not None
        for one in listed.rpartition(b")")[0].split(b",")
    )
