# SPDX-License-Identifier: GPL-2.0-only
"""Members that a macro names by pasting tokens, so that no word of the text is their name.

In: an index, the files that make up the text, some members.  Out: the uses of such macros
that amount to one of the members.  What is done with it is not looked into.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from patchtool.c.index import Index, expand, split_arguments
from patchtool.c.scan import Definition, places, strip_comments
from patchtool.model import Place
from patchtool.world.closure import in_directive

_PASTING = re.compile(rb"^[ \t]*#[ \t]*define[ \t]+(\w+)\((?:[^\n\\]|\\.)*##", re.M | re.S)
_PASTED = re.compile(r"\w+(?:\s*##\s*\w+)+")
MAX_EXPANSIONS = 6
"""How often what a macro stands for is expanded again."""
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
        listed = {one.key: spelt for one, spelt in self._macros}
        fresh = frozenset(macros)
        while fresh:
            around = [one for one in self._around(fresh) if one.name not in macros]
            for one in around:
                macros.setdefault(one.name, []).append(one)
            fresh = frozenset(one.name for one in around)
        words = frozenset(name.encode() for name in macros)
        for path in self._index.own_files if words else ():
            for word in sorted(self._index.words_in(path) & words):
                data = self._index.text(path) or b""
                for at in places(data, word):
                    if not in_directive(data, at):
                        place = Place(path, data.count(b"\n", 0, at) + 1)
                        for macro in macros[word.decode()]:
                            found = _made(macro, data, at, macros) & wanted
                            if macro.key in listed and not _is_called(data, at, macro):
                                spelt = listed[macro.key]
                                found = {name for name in wanted if spelt.fullmatch(name)}
                            yield from ((place, name, macro.name) for name in sorted(found))

    def parts(self, names: Iterable[str]) -> Iterator[tuple[Place, str, str]]:
        """Yield words that make one of some names together: a place, the name, the words.

        Any macro, of whatever file, may paste them.
        """
        split = {name: tuple(_splits(name.encode())) for name in names}
        wanted = frozenset(part for splits in split.values() for one in splits for part in one)
        held: dict[bytes, str] = {}
        for path in (self._index.target.header, *self._index.own_files):
            held.update(dict.fromkeys(wanted & self._index.words_in(path), path))
        for name, splits in split.items():
            for one in splits:
                if held.keys() >= set(one):
                    rarest = max(one, key=len)
                    data = self._index.text(held[rarest]) or b""
                    line = data.count(b"\n", 0, next(places(data, rarest), 0)) + 1
                    words = " and ".join(part.decode() for part in one)
                    yield Place(held[rarest], line), name, words

    def _around(self, names: frozenset[str]) -> Iterator[Definition]:
        """Yield the macros that name one of some others in what they stand for."""
        words = frozenset(name.encode() for name in names)
        for path in (self._index.target.header, *self._index.own_files):
            data = self._index.text(path) or b""
            near = [
                at
                for word in self._index.words_in(path) & words
                for at in places(data, word)
                if in_directive(data, at)
            ]
            file = self._index.file(path) if near else None
            yield from file.macros_around(sorted(near)) if file is not None else ()

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


def _splits(name: bytes) -> Iterator[tuple[bytes, ...]]:
    """Yield the ways to make a name of two words, or of three."""
    for first in range(1, len(name)):
        yield name[:first], name[first:]
        for second in range(first + 1, len(name)):
            if name[first:second] != b"_":  # which stands between two words in many a macro
                yield name[:first], name[first:second], name[second:]


def _made(
    macro: Definition, data: bytes, at: int, others: Mapping[str, list[Definition]]
) -> set[str]:
    """Return the words of what a use of a macro stands for that are none of the text.

    A name that stands there as a word is a mention like any other.
    """
    use = _use(data[at : at + _LONGEST_USE].decode("utf-8", "replace"), macro)
    if use is None:
        return set()
    texts = [use]
    amounts_to = use
    for _ in range(MAX_EXPANSIONS):
        for name in re.findall(r"[A-Za-z_]\w*", amounts_to):
            for one in others.get(name, ()):
                found = re.search(rf"\b{name}\b", amounts_to)
                inner = None if found is None else _use(amounts_to[found.start() :], one)
                if found is not None and inner is not None:
                    given = inner[len(name) :].strip()[1:-1] if one.parameters is not None else ""
                    made = expand(one, split_arguments(given) if one.parameters is not None else [])
                    texts.append(one.text.decode("utf-8", "replace"))
                    start = found.start()
                    amounts_to = (
                        amounts_to[:start] + (made or "") + amounts_to[start + len(inner) :]
                    )
    return set(re.findall(r"\w+", amounts_to)) - set(re.findall(r"\w+", " ".join(texts)))


def _is_called(data: bytes, at: int, macro: Definition) -> bool:
    """Tell whether a macro is used, and not handed to another one by its name."""
    behind = data[at + len(macro.name) : at + len(macro.name) + 80].lstrip()
    return macro.parameters is None or behind.startswith(b"(")


def _use(text: str, macro: Definition) -> str | None:
    """Return the use of a macro with which a text begins, its arguments included."""
    end = len(macro.name)
    if macro.parameters is None:
        return text[:end]
    end += len(text[end:]) - len(text[end:].lstrip())
    depth = 0
    for position in range(end, len(text)):
        depth += (text[position] == "(") - (text[position] == ")")
        if depth == 0:
            return (
                strip_comments(text[: position + 1].encode()).decode() if position > end else None
            )
    return None
