# SPDX-License-Identifier: GPL-2.0-only
"""Members that a macro names by pasting tokens, so that no word of the text is their name.

In: an index, the files that make up the text, some members.  Out: the uses of such macros
that amount to one of the members.  What is done with it is not looked into.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property

from patchtool.c.brackets import PARENTHESES, around, closing
from patchtool.c.index import Index, expand, split_arguments
from patchtool.c.scan import Definition, callee_before, first_of_line, places, strip_comments
from patchtool.model import Place
from patchtool.world.closure import in_directive, macros_with

_DEFINE = re.compile(rb"\s*#\s*define\s+(\w+)(?:\(([^()]*)\))?")
_PASTED = re.compile(r"\w+(?:\s*##\s*\w+)+")
_JOIN = re.compile(r"\s*##\s*")
_ASKED_FOR = re.compile(rb"[ \t]*#[ \t]*(?:undef|ifn?def)\b")
_HEAD = re.compile(rb"[ \t]*#[ \t]*define[ \t]+\w+\(([^)]*)\)")
_STANDS = rb"^[ \t]*#[ \t]*define[ \t]+(\w+)(\([^()\n]*\))?[ \t]+%s[ \t]*$"
_PIECE = re.compile(rb"[(,]\s*(\w+)\s*(?=[,)])")
_KEYWORDS = frozenset({b"if", b"while", b"for", b"switch", b"return", b"sizeof"})
MAX_EXPANSIONS = 6
"""How often what a macro stands for is expanded again."""
_LONGEST_NAME = 80
_LONGEST_USE = 4_000
"""Bytes of a use that are looked at; a longer one counts as not understood."""

Chain = tuple[str | None, ...]
"""Words that are pasted together; None stands for what a macro is given."""


class Pasting:
    """The macros of one tree that paste tokens, and what their uses amount to."""

    def __init__(self, index: Index, files: Iterable[str]) -> None:
        self._index, self._files = index, tuple(files)
        self._near = [path for path in self._files if path.startswith(index.target.built_from)]
        self._calls: dict[bytes, list[tuple[list[bytes], frozenset[bytes]]]] = {}

    def uses(self, names: Iterable[str]) -> Iterator[tuple[Place, str, str]]:
        """Yield where a macro pastes one of some names: the place, the name, the macro."""
        wanted = set(names)
        macros: dict[str, list[Definition]] = {}
        listed: dict[tuple[str, str, int], tuple[Chain, ...]] = {}
        for path, name, shapes in self._shapes:
            if _make_one_of(shapes, wanted):
                file = self._index.file(path)
                for one in file.macros(name) if file is not None else ():
                    made = tuple(_made_by(one.text.decode("utf-8", "replace"), one.parameters))
                    if one.key not in listed and _make_one_of(made, wanted):
                        listed[one.key] = made
                        macros.setdefault(one.name, []).append(one)
        fresh = frozenset(macros)
        while fresh:
            around = [one for one in self._around(fresh) if one.name not in macros]
            for one in around:
                macros.setdefault(one.name, []).append(one)
            fresh = frozenset(one.name for one in around)
        words = frozenset(name.encode() for name in macros)
        for path in self._near if words else ():
            for word in sorted(self._index.words_in(path) & words):
                data = self._index.text(path) or b""
                for at in places(data, word):
                    if not in_directive(data, at) and not _is_asked_for(data, at):
                        place = Place(path, data.count(b"\n", 0, at) + 1)
                        for macro in macros[word.decode()]:
                            found = _made(macro, data, at, macros) & wanted
                            if macro.key in listed and not _is_called(data, at, macro):
                                made = listed[macro.key]
                                found = {name for name in wanted if _make_one_of(made, (name,))}
                            yield from ((place, name, macro.name) for name in sorted(found))

    def parts(self, names: Iterable[str]) -> Iterator[tuple[Place, str, str]]:
        """Yield words that make one of some names together: a place, the name, the words.

        Any macro, of whatever file, may paste them that is given them in their order, or that
        another macro gives what it is given itself.
        """
        ends = frozenset(
            part
            for name in map(str.encode, names)
            for at in range(1, len(name))
            for part in (name[:at], name[at:])
        )
        known = frozenset[bytes]().union(*(ends & self._index.words_in(p) for p in self._near))
        split = {name: tuple(_splits(name.encode(), known)) for name in names}
        wanted = frozenset(part for splits in split.values() for one in splits for part in one)
        held: dict[bytes, str] = {}
        for path in self._near:
            held.update(dict.fromkeys(wanted & self._index.words_in(path), path))
        for name, splits in split.items():
            for one in splits:
                if held.keys() >= set(one) and self._may_meet(one):
                    rarest = max(one, key=len)
                    data = self._index.text(held[rarest]) or b""
                    line = data.count(b"\n", 0, next(places(data, rarest), 0)) + 1
                    words = " and ".join(part.decode() for part in one)
                    yield Place(held[rarest], line), name, words

    def _may_meet(self, parts: tuple[bytes, ...]) -> bool:
        """Tell whether one call of a macro may be given some words, in their order."""
        given = {part: self._given(part) for part in sorted(set(parts), key=len, reverse=True)}
        aliases = {part: self._standing_for(part) for part in given}
        if not all(given[part] or len(aliases[part]) > 1 for part in given):
            return False
        if any(one.endswith(b"(") for some in aliases.values() for one in some):
            return True  # a call of a macro stands for a part
        used = [one for part in given for alias in aliases[part] for one in self._given(alias)]
        for pieces, free in used:
            left = list(parts)
            for piece in pieces:
                if left and (piece in free or piece in aliases[left[0]]):
                    del left[0]
            if not left:
                return True
        return False

    def _given(self, word: bytes) -> list[tuple[list[bytes], frozenset[bytes]]]:
        """Return the calls that may be macros' and are given a word as an argument by itself.

        Each is all the words that it is given so, in their order, and those among them that
        stand for what somebody else gives: parameters of the macro around.
        """
        known = self._calls.get(word)
        if known is not None:
            return known
        found = self._calls[word] = []
        for path in self._near:
            if word not in self._index.words_in(path):
                continue
            data = self._index.text(path) or b""
            for one in re.finditer(rb"[(,]\s*%s\s*(?=[,)])" % re.escape(word), data):
                outer = self._outermost(data, one.start() + (one[0][:1] == b","), path)
                if outer is not None:
                    start, end = outer
                    free: frozenset[bytes] = frozenset()
                    if in_directive(data, start):
                        free = frozenset(_parameters(data, start))
                    if word not in free:
                        found.append((_PIECE.findall(data, start, end), free))
        return found

    def _outermost(self, data: bytes, at: int, path: str) -> tuple[int, int] | None:
        """Return the arguments of the outermost call around a place; None where it is in none.

        What is given to a function is no word that a macro pastes.
        """
        found: tuple[int, int] | None = None
        start = at if data[at : at + 1] == b"(" else opening(data, at)
        while start is not None:
            callee = callee_before(data, start, start - _LONGEST_NAME)
            if callee is None or callee[1] in _KEYWORDS:
                break
            name = callee[1].decode()
            if self._index.functions(name, path) and not self._index.macros(name, path):
                break
            end = closing(data, start, PARENTHESES, _LONGEST_USE)
            if end is None:
                break
            found = start, end
            start = opening(data, callee.start())
        return found

    def _standing_for(self, word: bytes) -> set[bytes]:
        """Return a word, and the macros that stand for it; one that is called ends with "("."""
        found, todo = {word}, [word]
        while todo:
            here = todo.pop()
            pattern = re.compile(_STANDS % re.escape(here), re.M)
            for path in self._near:
                if here in self._index.words_in(path):
                    for one in pattern.finditer(self._index.text(path) or b""):
                        given = re.findall(rb"\w+", one[2] or b"")
                        name = one[1] + (b"(" if one[2] else b"")
                        if here not in given and name not in found:
                            found.add(name)
                            todo += [one[1]] if not one[2] else []
        return found

    def _around(self, names: frozenset[str]) -> Iterator[Definition]:
        """Yield the macros that name one of some others in what they stand for."""
        words = frozenset(name.encode() for name in names)
        return macros_with(self._index, self._near, words)

    @cached_property
    def _shapes(self) -> tuple[tuple[str, str, tuple[Chain, ...]], ...]:
        """The macros that paste: file, name, and what they may make, whatever they are given."""
        found: list[tuple[str, str, tuple[Chain, ...]]] = []
        for path in self._files:
            if b"##" not in (self._index.raw(path) or b""):
                continue
            data = self._index.text(path) or b""
            end = -1
            while (at := data.find(b"##", end + 1)) >= 0:
                start, end = _logical_line(data, at)
                line = strip_comments(data[start:end]).replace(b"\\\n", b" \n")
                head = _DEFINE.match(line)
                if head is not None:
                    given = [one.decode().strip() for one in (head[2] or b"").split(b",")]
                    made = tuple(_made_by(line[head.end() :].decode("utf-8", "replace"), given))
                    found.append((path, head[1].decode(), made))
        return tuple(found)


def _logical_line(data: bytes, at: int) -> tuple[int, int]:
    """Return where the line around a place begins and ends, with what it is continued by."""
    end = data.find(b"\n", at)
    while end > 0 and data[end - 1 : end] == b"\\":
        end = data.find(b"\n", end + 1)
    return first_of_line(data, at), len(data) if end < 0 else end


def _made_by(body: str, given: Sequence[str] | None) -> Iterator[Chain]:
    """Yield the chains of words that a text pastes; None stands for what a macro is given."""
    names = {"__VA_ARGS__", *(name.removesuffix("...") for name in given or ())}
    for found in _PASTED.finditer(body):
        chain: list[str | None] = []
        for part in _JOIN.split(found[0]):
            is_given = part in names
            if chain and None not in (chain[-1], part) and not is_given:
                chain[-1] = f"{chain[-1]}{part}"
            elif not is_given or chain[-1:] != [None]:
                chain.append(None if is_given else part)
        yield tuple(chain)


def _make_one_of(chains: Iterable[Chain], names: Iterable[str]) -> bool:
    """Tell whether one of some chains may amount to one of some names."""
    for chain in chains:
        first, last = chain[0] or "", chain[-1] or ""
        for name in names:
            if name.startswith(first) and name.endswith(last) and _makes(chain, name):
                return True
    return False


def _makes(chain: Chain, name: str) -> bool:
    """Tell whether a chain amounts to a name for some words in place of each None."""
    first, last = chain[0], chain[-1]
    if len(chain) == 1:
        return first is None or first == name
    if not name.startswith(first or "") or not name.endswith(last or ""):
        return False
    at, end = len(first or ""), len(name) - len(last or "")
    for part in chain[1:-1]:
        at = name.find(part, at, end) if part is not None else at
        if at < 0:
            return False
        at += len(part or "")
    return at <= end


def _is_asked_for(data: bytes, at: int) -> bool:
    """Tell whether a place lies in a directive that takes a macro back, or asks for it."""
    return _ASKED_FOR.match(data, data.rfind(b"\n", 0, at) + 1) is not None


def _parameters(data: bytes, at: int) -> list[bytes]:
    """Return the parameters of the macro in whose definition a place lies."""
    found = _HEAD.match(data, first_of_line(data, at))
    return re.findall(rb"\w+", found[1]) if found is not None else []


def opening(data: bytes, at: int) -> int | None:
    """Return where the parenthesis opens in which a place of a statement lies."""
    least = max(0, at - _LONGEST_USE + 1)
    begin = max(data.rfind(mark, least, at) for mark in (b";", b"{", b"}")) + 1
    found = around(data, at, PARENTHESES, max(least, begin))
    return found if found >= 0 else None


def _splits(name: bytes, known: Set[bytes]) -> Iterator[tuple[bytes, ...]]:
    """Yield the ways to make a name of two words, or of three, of which the ends are known."""
    for first in range(1, len(name)):
        if name[:first] not in known:
            continue
        if name[first:] in known:
            yield name[:first], name[first:]
        for second in range(first + 1, len(name)):
            if (
                name[second:] in known and name[first:second] != b"_"
            ):  # which stands between two words in many a macro
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
    if text[end : end + 1] != "(":
        return None
    # One byte for each letter, so that places in it are those in the text.
    behind = closing(text.encode("ascii", "replace"), end, PARENTHESES)
    return None if behind is None else strip_comments(text[:behind].encode()).decode()
