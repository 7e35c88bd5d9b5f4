# SPDX-License-Identifier: GPL-2.0-only
"""Where in a change a finding comes from, and where a line is after more changes.

In: two trees and the paths that differ, a finding.  Out: the changed line that has most
to do with it.  A guard mostly stands where nobody touched it; who reads a patch wants to
be led to a line of the patch.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from patchtool.c.scan import strip_comments
from patchtool.model import Anchor, Place
from patchtool.outside.diff import differing

if TYPE_CHECKING:
    from patchtool.c.index import Index
    from patchtool.outside.source import Source

_FEW = 3
"""How many lines that were taken away are shown where none has a name that matters."""
_WORD = re.compile(rb"\w+")


class _Line(NamedTuple):
    """A line that a change wrote, or the one in front of what it took away."""

    path: str
    line: int
    text: str
    code: bytes
    """What it wrote here, without comments; nothing where it only took away."""
    gone: bytes
    """What stood there before."""
    function: str


class Change:
    """The lines that a change touches."""

    def __init__(self, before: Source | None, after: Source, paths: Iterable[str]) -> None:
        self._trees = before, after
        self._paths = sorted(paths)
        self._known: list[_Line] | None = None

    def anchor(
        self, place: Place, functions: Collection[str], names: Iterable[str], index: Index
    ) -> Anchor | None:
        """Return the changed line that has most to do with a place.

        ``functions`` are those that the verdict rests on, ``names`` what it is about.
        """
        words = [name.lower().encode() for name in names if name]

        def relation(one: _Line) -> tuple[int, int, int, bool]:
            there = (one.path, one.line) == (place.file, place.line) and bool(one.code)
            near = (one.function in functions) + (one.function == place.function)
            said = 2 * _mentions(one.code, words) + _mentions(one.gone, words)
            return there, bool(near), near + said, one.path == place.file

        best = max(self._written(index), key=relation, default=None)
        if best is None:
            return None
        first = len(best.text) - len(best.text.lstrip()) + 1
        # Columns count the units of UTF-16, as SARIF says that they do.
        end = len(best.text.encode("utf-16-le")) // 2 + 1
        spot = Place(best.path, best.line, first, best.function)
        gone = [line for line in best.gone.split(b"\n") if _mentions(line, words)]
        if not gone and not best.code:
            # A guard has none of the names; so few lines can be shown as they are.
            gone = [line for line in best.gone.split(b"\n") if line.strip()]
            gone = gone if len(gone) <= _FEW else []
        removed = tuple(line.decode("utf-8", "replace") for line in gone)
        return Anchor(spot, max(end, first + 1), not best.code, removed)

    def functions(self, index: Index) -> frozenset[str]:
        """Return the functions in which code changes."""
        return frozenset(one.function for one in self._written(index) if one.function)

    def _written(self, index: Index) -> list[_Line]:
        if self._known is None:
            self._known = list(self._lines(index))
        return self._known

    def _lines(self, index: Index) -> Iterator[_Line]:
        before, after = self._trees
        for path in self._paths:
            old = (before.read(path) or b"") if before is not None else b""
            new = (after.read(path) or b"").replace(b"\r\n", b"\n")
            if new:
                yield from self._of(path, old.replace(b"\r\n", b"\n"), new, index)

    def _of(self, path: str, old: bytes, new: bytes, index: Index) -> Iterator[_Line]:
        earlier, code = strip_comments(old).split(b"\n"), strip_comments(new).split(b"\n")
        texts = new.split(b"\n")
        offsets = [0, *accumulate(len(text) + 1 for text in texts)]
        file = index.file(path)

        def line(at: int, written: bytes, gone: bytes) -> _Line:
            function = file.function_at(offsets[at]) if file is not None else None
            text = texts[at].decode("utf-8", "replace").rstrip()
            return _Line(path, at + 1, text, written, gone, function or "")

        for start, end, first, last in differing(earlier, code):
            gone = b"\n".join(earlier[start:end])
            written = [at for at in range(first, last) if _WORD.search(code[at])]
            for at in written:
                yield line(at, code[at], gone)
            if not written and _WORD.search(gone):
                at = max(first - 1, 0)
                while at > 0 and not texts[at].strip():
                    at -= 1
                yield line(at, b"", gone)


class Mover:
    """Tells where lines of one tree are in another."""

    def __init__(self, target: Source) -> None:
        self._target = target
        self._known: dict[tuple[int, str], list[tuple[int, int, int, int]]] = {}
        self._held: list[Source] = []

    def moved(self, place: Place, tree: Source) -> Place:
        """Return a place of a tree as a place of the target."""
        if tree is self._target:
            return place
        key = id(tree), place.file
        if key not in self._known:
            # The id stays taken while the tree is held.
            self._held.append(tree)
            old, new = tree.read(place.file), self._target.read(place.file)
            same = old is None or new is None or old == new
            self._known[key] = (
                []
                if same
                else list(differing((old or b"").split(b"\n"), (new or b"").split(b"\n")))
            )
        at, shift = place.line - 1, 0
        for start, end, first, last in self._known[key]:
            if at < start:
                break
            if at < end:
                return Place(place.file, min(first + at - start, max(last - 1, first)) + 1,
                             place.column, place.function)  # fmt: skip
            shift = last - end
        return Place(place.file, at + shift + 1, place.column, place.function)


def _mentions(text: bytes, words: Iterable[bytes]) -> bool:
    """Tell whether a text speaks of one of some names: of LMA as efer_lma, too."""
    found = [word.lower() for word in _WORD.findall(text)]
    return any(one == word or one.endswith(b"_" + word) for word in words for one in found)
