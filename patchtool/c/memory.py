# SPDX-License-Identifier: GPL-2.0-only
"""Values, locations and states of one symbolic run.

In: stores and loads of C.  Out: what memory holds, as terms.  A location is a named root and
an access path; unions of words and bit-fields are one cell of bits.  A location that was never
written holds a word that is about itself, so whatever a run reads from its surroundings shows
up under its C access path.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from patchtool.c.layout import CType
from patchtool.model import Place
from patchtool.proof import bits
from patchtool.proof.bits import Bits, Cond, Term, Word


class Root(NamedTuple):
    """The start of an access path.

    ``kind`` is "pointee" (what a pointer of the surroundings points to; ``name`` is the
    pointer), "local" (a variable of one call) or "global" (an object of file scope).
    """

    name: str
    kind: str


class Loc(NamedTuple):
    """A place in memory."""

    root: Root
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.path:
            return f"*{self.root.name}" if self.root.kind == "pointee" else self.root.name
        glue = "->" if self.root.kind == "pointee" else "."
        first = self.path[0]
        text = self.root.name + (first if first.startswith("[") else glue + first)
        for step in self.path[1:]:
            text += step if step.startswith("[") else "." + step
        return text

    def member(self, *names: str) -> Loc:
        """Return the location of a member."""
        return Loc(self.root, self.path + names)

    def within(self, other: Loc) -> bool:
        """Tell whether this location is, or is part of, another one."""
        return self.root == other.root and self.path[: len(other.path)] == other.path


class Fact(NamedTuple):
    """What a run asks of its surroundings that is in no memory; ``str`` gives its text.

    An "argument" of an entry (the function is ``name``, the argument ``other``), whether a
    pointer "is set", whether two pointers are the "same", the "address" of an object,
    a build "option", the "variant" of a function that was built, and an "operation":
    whether the member ``name`` of a table of functions is the function ``other``.  What the
    function ``name`` tells of the CPU of a "guest" or of the "host", asked with ``other``.
    """

    kind: Literal[
        "argument", "is set", "same", "address", "option", "variant", "operation", "guest", "host"
    ]
    name: str
    other: str = ""

    def __str__(self) -> str:
        return _SPELT[self.kind].format(self.name, self.other)


_SPELT = {
    "argument": "{}({})",
    "is set": "{} != NULL",
    "same": "{} == {}",
    "address": "&{}",
    "option": "{}",
    "variant": "{}?",
    "operation": "{} == {}",
    "guest": "{}({})",
    "host": "{}({})",
}


class Unclear(NamedTuple):
    """Why a value was not understood: where, and whether a definition is missing."""

    place: Place
    reason: str
    missing: bool


def member_of(word: Word) -> str:
    """Return the member, object or argument that a word holds the value of, "" if none."""
    about = word.about
    if isinstance(about, Loc):
        alone = about.root.name if about.root.kind == "global" else ""
        return about.path[-1] if about.path else alone
    return about.other if isinstance(about, Fact) and about.kind == "argument" else ""


def is_shared(word: Word) -> bool:
    """Tell whether a word is about what everyone shares: an object of file scope or a build."""
    about = word.about
    if isinstance(about, Fact):
        return about.kind in ("option", "operation", "variant", "host")
    return isinstance(about, Loc) and about.root.kind == "global"


class LValue(NamedTuple):
    """A designated object; inside a word record also its cell and position there."""

    loc: Loc
    type: CType
    cell: Loc | None = None
    cell_width: int = 0
    low: int = 0
    width: int = 0
    rivals: tuple[Loc, ...] = ()
    """Other members of a union that is no word: a store leaves nothing known of them."""


# Values of different classes are never equal, so none of them is a plain tuple.


class Int:
    """An integer of its type's width."""

    __slots__ = ("bits", "signed")

    def __init__(self, bits: Bits, signed: bool = False) -> None:
        self.bits = bits
        self.signed = signed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Int) and (self.bits, self.signed) == (other.bits, other.signed)

    @property
    def width(self) -> int:
        """The number of bits."""
        return self.bits.width

    def resized(self, width: int, signed: bool) -> Int:
        """Return the number truncated or extended, as one with a sign or without."""
        if self.width != width:
            return Int(bits.resize(self.bits, width, self.signed), signed)
        return self if self.signed == signed else Int(self.bits, signed)


class Choice(Int):
    """``condition ? a : b`` over integers of one width; its terms are made when asked for.

    Paths merge whole contexts, of which few members are read again.
    """

    __slots__ = ("_bits", "_parts", "_width")

    _bits: Bits

    def __init__(self, condition: Term, a: Int, b: Int, signed: bool) -> None:
        self._parts: tuple[Term, Int, Int] | None = (condition, a, b)
        self._width = a.width
        self.signed = signed

    @property
    def width(self) -> int:
        """The number of bits."""
        return self._width

    @property
    def bits(self) -> Bits:  # type: ignore[override]
        """The bits of the chosen one."""
        todo = [self]
        while todo:  # a loop of many turns is a choice nested as deep
            here = todo[-1]
            if here._parts is None:
                todo.pop()
                continue
            condition, a, b = here._parts
            waiting = [x for x in (a, b) if isinstance(x, Choice) and x._parts is not None]
            if waiting:
                todo.extend(waiting)
                continue
            here._bits = bits.choose(condition, a.bits, b.bits)
            here._parts = None
        return self._bits

    def __eq__(self, other: object) -> bool:
        return self is other


class Pointer:
    """The address of an object, or of nothing known (a type of void)."""

    __slots__ = ("lvalue", "target", "type")

    def __init__(self, target: Loc, ctype: CType, lvalue: LValue | None = None) -> None:
        self.target = target
        self.type = ctype
        self.lvalue = lvalue

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pointer) and (
            (self.target, self.type, self.lvalue) == (other.target, other.type, other.lvalue)
        )


class Function:
    """The address of a function."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and self.name == other.name


class Record:
    """The value of a record: its cells by path relative to it."""

    __slots__ = ("cells", "type")

    def __init__(self, ctype: CType, cells: tuple[tuple[tuple[str, ...], Value], ...]) -> None:
        self.type = ctype
        self.cells = cells

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and (self.type, self.cells) == (other.type, other.cells)


class Opaque:
    """A value that was not understood; its ``word`` is about an Unclear."""

    __slots__ = ("word",)

    def __init__(self, word: Word) -> None:
        self.word = word

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and self.word is other.word


Value = Int | Pointer | Function | Record | Opaque


class State:
    """Memory on one path and the condition under which the path is taken."""

    __slots__ = ("memory", "path")

    def __init__(self, memory: dict[Loc, Value], path: Cond = True) -> None:
        self.memory = memory
        self.path = path

    def fork(self, condition: Cond) -> State:
        """Return a copy that is taken under one more condition."""
        return State(dict(self.memory), bits.both(self.path, condition))

    def become(self, other: State) -> None:
        """Take over another state's memory and path."""
        self.memory = other.memory
        self.path = other.path
