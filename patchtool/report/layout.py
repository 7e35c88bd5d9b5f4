# SPDX-License-Identifier: GPL-2.0-only
"""Lines and tables for a given number of columns, and the way they take to the person.

In: texts and cells.  Out: lines; words are never split.  What has no room in the width goes on
a line of its own, and only a single word that is wider than all of it sticks out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from patchtool.errors import InputError, cause

WIDTH = 80
"""How wide to write where nobody says how much room there is."""

_LEAST = 40
GAP = 2
"""The blanks between two columns of a table."""

Paint = Callable[[str], str]
Cell = str | tuple[str, Paint]
"""A text, or a text and what colours it when it is in its place."""


def columns(descriptor: int = 1) -> int:
    """Return how wide to write: as COLUMNS says, as wide as the terminal is, or WIDTH."""
    try:
        width = int(os.environ.get("COLUMNS") or os.get_terminal_size(descriptor).columns)
    except (OSError, ValueError):
        return WIDTH
    return max(width, _LEAST) if width > 0 else WIDTH


def wrapped(text: str, first: str = "", rest: str = "", width: int = WIDTH) -> Iterator[str]:
    """Yield a text in lines of at most WIDTH columns, broken at blanks only."""
    line, empty = first, True
    for word in text.split(" "):
        if not empty and len(line) + 1 + len(word) > width:
            yield line
            line, empty = rest, True
        line += word if empty else f" {word}"
        empty = False
    yield line


def show(text: str, exact: bool = False) -> None:
    """Write a text to standard output, whole; EXACT: with those bytes that were no UTF-8.

    Raises InputError where it cannot be written; who reads from a broken pipe is told by
    BrokenPipeError.
    """
    try:
        binary = getattr(sys.stdout, "buffer", None) if exact else None
        if binary is None:
            sys.stdout.write(text)
        else:
            sys.stdout.flush()
            binary.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard()
        raise InputError(f"standard output cannot be written: {cause(error)}") from error


def discard() -> None:
    """Let standard output lead nowhere: what could not be written is not tried again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(text: str) -> None:
    """Write a line to standard error; on a terminal it is broken at blanks where it is long.

    Terminals break inside of words.  Who reads it from a file wants one line.
    """
    lines = wrapped(text, rest="    ", width=columns(2)) if sys.stderr.isatty() else (text,)
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def table(
    rows: Sequence[Sequence[Cell]], indent: str = "", width: int = WIDTH, gap: int = GAP
) -> Iterator[str]:
    """Yield rows of cells with aligned columns, a row on one line.

    Where the lines would be too wide, the widest cells break at blanks, into several lines.
    """
    for lines in laid_out(rows, indent, width, gap):
        yield from lines


def laid_out(
    rows: Sequence[Sequence[Cell]], indent: str = "", width: int = WIDTH, gap: int = GAP
) -> Iterator[list[str]]:
    """Yield the lines of each row of a table."""
    cells = [[_parts(cell) for cell in row] for row in rows]
    widths = _widths([[text for text, _ in row] for row in cells], width - len(indent), gap)
    for row in cells:
        broken = [
            list(wrapped(text, width=wide)) for (text, _), wide in zip(row, widths, strict=True)
        ]
        height = max(map(len, broken), default=0)
        yield [_line(row, broken, number, widths, indent, gap) for number in range(height)]


def _line(
    row: Sequence[tuple[str, Paint]],
    broken: Sequence[Sequence[str]],
    number: int,
    widths: Sequence[int],
    indent: str,
    gap: int,
) -> str:
    line, blank = indent, ""
    for part, (_, paint), wide in zip(broken, row, widths, strict=True):
        text = part[number] if number < len(part) else ""
        if text:
            line += blank + paint(text)
            blank = ""
        blank += " " * (wide - len(text) + gap)
    return line.rstrip()


def fits(rows: Sequence[Sequence[str]], width: int = WIDTH, gap: int = GAP) -> bool:
    """Tell whether a table has room in a width, its cells broken at blanks."""
    least = [max(len(word) for text in column for word in text.split(" ")) for column in
             zip(*rows, strict=True)]  # fmt: skip
    return sum(least) + gap * (len(least) - 1) <= width


def _parts(cell: Cell) -> tuple[str, Paint]:
    return (cell, str) if isinstance(cell, str) else cell


def _widths(rows: Iterable[Sequence[str]], room: int, gap: int) -> list[int]:
    """Return how wide each column is, within the room if that can be."""
    texts = [list(column) for column in zip(*rows, strict=True)]
    widest = [max(map(len, column)) for column in texts]
    least = [max(len(word) for text in column for word in text.split(" ")) for column in texts]
    spare = room - gap * (len(texts) - 1)
    while sum(widest) > spare and widest != least:
        # Of those that can give way, the widest does.
        at = max((i for i in range(len(widest)) if widest[i] > least[i]), key=widest.__getitem__)
        others = sum(widest) - widest[at]
        widest[at] = max(least[at], spare - others, _next(texts[at], widest[at]))
    return widest


def _next(texts: Iterable[str], width: int) -> int:
    """Return the widest that a column gets when it has to be narrower than it is."""
    return max(max(map(len, wrapped(text, width=width - 1))) for text in texts)
