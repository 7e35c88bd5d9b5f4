# SPDX-License-Identifier: GPL-2.0-only
"""Members that a macro names by pasting tokens, so that no word of the text is their name.

In: an index, the files that make up the text, some members.  Out: the uses of such macros
that amount to one of the members.  What is done with it is not looked into.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from patchtool.c.index import Index, expand, split_arguments
from patchtool.c.scan import Definition, places, strip_comments
from patchtool.model import Place

_PASTING = re.compile(rb"^[ \t]*#[ \t]*define[ \t]+(\w+)\((?:[^\n\\]|\\.)*##", re.M | re.S)
_PASTED = re.compile(r"\w+(?:\s*##\s*\w+)+")
_LONGEST_USE = 4_000
"""Bytes of a use that are looked at; a longer one counts as not understood."""


class Pasting:
    """The macros of one tree that paste tokens, and what their uses amount to."""

    def __init__(self, index: Index, files: Iterable[str]) -> None:
        self._index, self._files = index, files

    def uses(self, names: Iterable[str]) -> Iterator[tuple[Place, str, str]]:
        """Yield where a macro pastes one of some names: the place, the name, the macro."""
        wanted = set(names)
        macros: dict[str, list[Definition]] = {}
        for one, spelt in self._macros:
            if any(spelt.fullmatch(name) for name in wanted):
                macros.setdefault(one.name, []).append(one)
        words = frozenset(name.encode() for name in macros)
        for path in self._index.own_files if words else ():
            for word in sorted(self._index.words_in(path) & words):
                data = self._index.text(path) or b""
                for at in places(data, word):
                    if not _is_defined(data, at):
                        place = Place(path, data.count(b"\n", 0, at) + 1)
                        for macro in macros[word.decode()]:
                            found = _made(macro, data, at) & wanted
                            yield from ((place, name, macro.name) for name in sorted(found))

    @cached_property
    def _macros(self) -> tuple[tuple[Definition, re.Pattern[str]], ...]:
        """The macros that paste, and what the names may be that they make."""
        found: list[tuple[Definition, re.Pattern[str]]] = []
        for path in self._files:
            if b"##" not in (self._index.raw(path) or b""):
                continue
            names = {m[1].decode() for m in _PASTING.finditer(self._index.text(path) or b"")}
            file = self._index.file(path) if names else None
            for name in sorted(names) if file is not None else ():
                assert file is not None
                found.extend((one, _made_by(one)) for one in file.macros(name))
        return tuple(found)


def _made_by(macro: Definition) -> re.Pattern[str]:
    """Return a pattern of the names that a macro may paste, whatever it is given."""
    given = macro.parameters or ()
    made: set[str] = set()
    for found in _PASTED.finditer(macro.text.decode("utf-8", "replace")):
        parts = re.split(r"\s*##\s*", found[0])
        made.add("".join(r"\w*" if part in given else re.escape(part) for part in parts))
    return re.compile("|".join(sorted(made)) or "(?!)")


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
