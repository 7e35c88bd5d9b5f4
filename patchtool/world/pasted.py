# SPDX-License-Identifier: GPL-2.0-only
"""Members that a macro names by pasting tokens, so that no word of the text is their name.

In: an index, the files that make up the text, some members.  Out: the uses of such macros
that amount to one of the members.  What is done with it is not looked into.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from patchtool.c.index import Index, expand, split_arguments
from patchtool.c.scan import Definition, places, strip_comments
from patchtool.model import Place

_PASTING = re.compile(rb"^[ \t]*#[ \t]*define[ \t]+(\w+)\((?:[^\n\\]|\\.)*##", re.M | re.S)
_PASTED = re.compile(r"\w+(?:\s*##\s*\w+)+")
_LONGEST_USE = 4_000
"""Bytes of a use that are looked at; a longer one counts as not understood."""


def pasted(
    index: Index, files: Iterable[str], names: Iterable[str]
) -> Iterator[tuple[Place, str, str]]:
    """Yield where a macro pastes the name of a member: the place, the member, the macro."""
    wanted = set(names)
    macros = _pasting(index, files, wanted)
    words = frozenset(name.encode() for name in macros)
    for path in index.own_files:
        for word in sorted(index.words_in(path) & words):
            data = index.text(path) or b""
            for at in places(data, word):
                if not _is_defined(data, at):
                    place = Place(path, data.count(b"\n", 0, at) + 1)
                    for macro in macros[word.decode()]:
                        found = _made(macro, data, at) & wanted
                        yield from ((place, name, macro.name) for name in sorted(found))


def _pasting(
    index: Index, files: Iterable[str], wanted: set[str]
) -> Mapping[str, list[Definition]]:
    """Return the macros that may paste one of some names, by their own."""
    found: dict[str, list[Definition]] = {}
    for path in files:
        if b"##" not in (index.raw(path) or b""):
            continue
        names = {m[1].decode() for m in _PASTING.finditer(index.text(path) or b"")}
        file = index.file(path) if names else None
        if file is None:
            continue
        for name in sorted(names):
            able = [one for one in file.macros(name) if _may_make(one, wanted)]
            if able:
                found.setdefault(name, []).extend(able)
    return found


def _may_make(macro: Definition, wanted: set[str]) -> bool:
    """Tell whether what a macro pastes, whatever it is given, may be one of some names."""
    given = macro.parameters or ()
    for found in _PASTED.finditer(macro.text.decode("utf-8", "replace")):
        parts = re.split(r"\s*##\s*", found[0])
        spelt = "".join(r"\w*" if part in given else re.escape(part) for part in parts)
        if any(re.fullmatch(spelt, name) for name in wanted):
            return True
    return False


def _is_defined(data: bytes, at: int) -> bool:
    """Tell whether a name stands behind ``#define``."""
    lead = data[data.rfind(b"\n", 0, at) + 1 : at]
    return re.fullmatch(rb"[ \t]*#[ \t]*define[ \t]+", lead) is not None


def _made(macro: Definition, data: bytes, at: int) -> set[str]:
    """Return the words of what a use of a macro stands for that are none of the text.

    A name that stands there as a word is a mention like any other.
    """
    rest = data[at + len(macro.name) : at + _LONGEST_USE].lstrip()
    depth = 0
    for end, byte in enumerate(rest):
        depth += (byte == ord("(")) - (byte == ord(")"))
        if depth == 0:
            if not end:
                break
            inside = strip_comments(rest[1:end]).decode("utf-8", "replace")
            spelt = f"{macro.text.decode('utf-8', 'replace')} {inside}"
            amounts_to = expand(macro, split_arguments(inside)) or ""
            return set(re.findall(r"\w+", amounts_to)) - set(re.findall(r"\w+", spelt))
    return set()
