# SPDX-License-Identifier: GPL-2.0-only
"""Members that a macro names by pasting tokens, so that no word of the text is their name.

In: an index, the files that make up the text, some members.  Out: the uses of such macros
that amount to one of the members.  What is done with it is not looked into.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from patchtool.c.index import Index, expand, split_arguments
from patchtool.c.scan import Definition, places, strip_comments
from patchtool.model import Place

_PASTED_MEMBER = re.compile(rb"(?:->|\.)\s*\w+\s*##")
_LONGEST_USE = 4_000
"""Bytes of a use that are looked at; a longer one counts as not understood."""


def pasted(
    index: Index, files: Iterable[str], names: Iterable[str]
) -> Iterator[tuple[Place, str, str]]:
    """Yield where a macro pastes the name of a member: the place, the member, the macro."""
    listed = list(files)
    spelt = "|".join(map(re.escape, sorted(set(names))))
    wanted = re.compile(rf"(?:->|\.)\s*({spelt})\b")
    for macro in _pasting(index, listed):
        # A name that stands there as a word is a mention like any other.
        words = set(re.findall(r"\w+", macro.text.decode("latin-1")))
        for path in listed:
            data = index.raw(path) or b""
            if macro.name.encode() not in data:
                continue
            plain = index.text(path) or b""
            for at in places(plain, macro.name.encode()):
                if _is_defined(plain, at):
                    continue
                place = Place(path, plain.count(b"\n", 0, at) + 1)
                found = set(wanted.findall(_amounts_to(macro, plain, at)))
                yield from ((place, name, macro.name) for name in sorted(found - words))


def _pasting(index: Index, files: list[str]) -> Iterator[Definition]:
    """Yield the macros that paste the name of a member."""
    for path in files:
        if b"##" not in (index.raw(path) or b""):
            continue
        near = [m.start() for m in _PASTED_MEMBER.finditer(index.text(path) or b"")]
        file = index.file(path) if near else None
        if file is not None:
            yield from (one for one in file.macros_around(near) if one.parameters)


def _is_defined(data: bytes, at: int) -> bool:
    """Tell whether a name stands behind ``#define``."""
    lead = data[data.rfind(b"\n", 0, at) + 1 : at]
    return re.fullmatch(rb"[ \t]*#[ \t]*define[ \t]+", lead) is not None


def _amounts_to(macro: Definition, data: bytes, at: int) -> str:
    """Return what a use of a macro stands for, empty where it is no call of it."""
    rest = data[at + len(macro.name) : at + _LONGEST_USE].lstrip()
    if not rest.startswith(b"("):
        return ""
    depth = 0
    for end, byte in enumerate(rest):
        depth += (byte == ord("(")) - (byte == ord(")"))
        if depth == 0:
            inside = strip_comments(rest[1:end]).decode("utf-8", "replace")
            return expand(macro, split_arguments(inside)) or ""
    return ""
