# SPDX-License-Identifier: GPL-2.0-only
"""What one symbolic run is made of and what it yields.

Out: the guards met on the way, the stores of roles, and everything that was not
understood, with its place.  Plain records; the run itself is in the other rooms.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from patchtool.c.layout import CType, holder_of
from patchtool.c.memory import Fact, Loc, LValue, State, Unclear, Value
from patchtool.c.scan import Definition
from patchtool.c.syntax import Node
from patchtool.model import Consulted, Place
from patchtool.proof.bdd import Manager
from patchtool.proof.bits import Bits, Cond, Symbol, Word
from patchtool.proof.solver import can_hold

Point = tuple[int, int]
"""A line and a column of a file, both from 1."""
FUNCTION_BASE = 0xFFFF_8000_0000_0000


class LeftOut(NamedTuple):
    """A table that keeps no function for an operation; a static call of that may return 0."""

    place: Place
    is_zero: bool


class Effects(Protocol):
    """What a run asks of those who know what else in the tree may write."""

    def touches(self, source: bytes, function: Definition) -> bool:
        """Tell whether a piece of a function may store to a member that matters."""

    def reaches(self, name: str, definition: Definition) -> bool:
        """Tell whether a function, or one that it calls, may store to a member that matters."""

    def names(self, path: tuple[str, ...]) -> bool:
        """Tell whether an access path goes by a member that matters."""

    def may_store(
        self, definition: Definition, members: frozenset[str], hook: str | None = None
    ) -> bool:
        """Tell whether a function, or one that it calls, may store to members of some names.

        HOOK is the member of a table through which it is called, if it is.  Behind the name
        of a member that is an array stands ``[]``.
        """

    def spares(self, name: str) -> bool:
        """Tell whether a function that the target shares is known, and stores to no member."""

    def is_parked(self, member: str) -> bool:
        """Tell whether the address of a member is kept: then nobody need name it to store to it."""

    def operations(self, name: str) -> tuple[tuple[str, Definition], ...]:
        """Return the functions that tables assign to a member, by their names."""

    def left_out(self, name: str) -> LeftOut | None:
        """Return a table that keeps no function for an operation, None if all keep one."""

    def writes_global(self, name: str) -> bool:
        """Tell whether any function assigns to an object of file scope."""


class RoleShape(NamedTuple):
    """Which records are contexts, and which of their members hold a role."""

    contexts: dict[str, tuple[str, ...]]
    """Role members by tag of the context struct."""


class Comparison(NamedTuple):
    """A comparison of a stored role: its symbol, its meaning, whose role it is."""

    symbol: Symbol | None
    """None where it only stands in for a comparison."""
    meaning: Cond
    context: Loc
    member: str
    new: Bits
    low: int


class Guard(NamedTuple):
    """A branch decided by comparing roles.

    ``condition`` is the branch over the inputs, ``symbol`` the free boolean that stands
    for it in the terms, ``path`` when it is reached, ``calls`` how.
    """

    symbol: Symbol
    condition: Cond
    context: Loc
    comparisons: tuple[Comparison, ...]
    path: Cond
    place: Place
    calls: tuple[str, ...]
    entered: Cond
    """When the function that branches is entered."""
    skips: bool | None
    """The value of the symbol with which equal roles skip; None where it depends on more."""
    behind: tuple[tuple[Loc, str], ...] = ()
    """Contexts that are set up by this alone, and by none of their own, each with a role of it."""


class RoleStore(NamedTuple):
    """A store to a role of a context: where, on which paths, and when its function runs."""

    context: Loc
    member: str
    place: Place
    path: Cond
    entered: Cond
    is_constant: bool = False
    """Whether what is stored is one number: no role is computed for it."""


class Trouble(NamedTuple):
    """A construct that was not understood, and the paths that it spoils."""

    place: Place
    reason: str
    path: Cond


BY_MORE = "a branch depends on {} by more than a comparison"
"""The reason of a trouble with a branch that may be a guard; as a branch it is understood."""

MAX_OUTGROWN = 8
"""Questions about one run that outgrow diagrams before no more are asked; kernels have none."""


class Lowered:
    """What one run of an entry function amounts to.

    ADDRESSES are shared by the runs of one tree, so that values of two can be compared.
    """

    def __init__(self, start: Definition, addresses: dict[str, int]) -> None:
        self.start = start
        self._addresses = addresses
        self.given_up = False
        """Whether the run took more work than it may, so that it says nothing."""
        self.memory: dict[Loc, Value] = {}
        self.guards: list[Guard] = []
        self.stores: list[RoleStore] = []
        self.troubles: list[Trouble] = []
        self.passed: list[Passed] = []
        self.operations: dict[str, Trouble] = {}
        """Operations that have one function, and what it would mean that one is given another."""
        self.tables: set[str] = set()
        """Objects of file scope of which what they are made with was read: nobody stores there."""
        self.words: dict[Loc | Fact, Word] = {}
        """What stands for the surroundings, and what it is about."""
        self.opaque: list[Word] = []
        """What stands for values that were not understood."""
        self.reads: dict[Word, tuple[Place, int]] = {}
        """Where a word of the surroundings was first read, and its width."""
        self.aliases: dict[str, str] = {}
        """How a root is spelt in the source, by its own name."""
        self.pointees: dict[str, CType] = {}
        """What a pointer of the surroundings points to, by the name of the root."""
        self.consulted: set[Consulted] = set()
        self.functions: dict[int, str] = {}
        """The functions whose addresses were met, by what stands for those."""
        self.types: dict[Loc, CType] = {}
        self.branches: dict[tuple[str, Point, Point], bool] = {}
        """The branches of if statements, each from its start to its end in a file, and whether
        it was ever gone through."""
        self._asked = Manager()

    def allows(self, condition: Cond) -> bool:
        """Tell whether a condition may hold; where that takes too much to tell, it may."""
        if isinstance(condition, bool):
            return condition
        if self._asked.outgrown >= MAX_OUTGROWN:
            return True
        return can_hold([condition], self._asked) is not False

    def address(self, function: str) -> int:
        """Return the number that stands for the address of a function, one for each name."""
        number = FUNCTION_BASE + 16 * (len(self._addresses) + 1)
        known = self._addresses.setdefault(function, number)
        self.functions[known] = function
        return known

    def word(self, about: Loc | Fact) -> Word:
        """Return the word that stands for something of the surroundings, always the same."""
        found = self.words.get(about)
        if found is None:
            found = self.words[about] = Word(str(about), about)
        return found

    def place_of(self, word: Word) -> str:
        """Return the tag and the member of what a word holds, or the object of file scope."""
        about = word.about
        if not isinstance(about, Loc):
            return ""
        if about.root.kind == "global":
            return ".".join((about.root.name, *about.path))
        record = holder_of(self.pointees.get(about.root.name), about.path)
        return "" if record is None else f"{record.tag}.{about.path[-1]}"

    def unclear(self, why: Unclear) -> Word:
        """Return a new word that stands for a value that was not understood."""
        self.opaque.append(Word(f"?{len(self.opaque)}", why, opaque=True))
        return self.opaque[-1]

    def visits(self, function: Definition) -> bool:
        """Tell whether the run came by a function, followed or not."""
        return any(
            one.name == function.name and one.file == function.file for one in self.consulted
        )


class Unsupported(Exception):
    """Raised inside lowering where a construct is not understood.

    A place stands for a node of a text that is left on the way to whoever catches it.
    """

    def __init__(self, node: Node | Place | None, reason: str, missing: bool = False) -> None:
        super().__init__(reason)
        self.node = node
        self.reason = reason
        self.missing = missing


class Exhausted(Exception):
    """Raised where a run has taken too many steps; ends it, wherever it is."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.place = place


class Passed(NamedTuple):
    """A call that was not executed."""

    place: Place
    name: str
    definitions: tuple[Definition, ...]
    hook: str | None
    """The member of a table through which it is called, if it is."""
    path: Cond


class Frame:
    """One call in progress."""

    def __init__(
        self, function: Definition, unit: str | None, number: int, result: CType, entered: Cond
    ) -> None:
        self.function = function
        self.unit = unit
        """The nearest C file on the way, None where all were headers."""
        self.number = number
        self.result = result
        self.entered = entered
        self.variables: dict[str, LValue] = {}
        self.returns: list[tuple[State, Value | None]] = []
        self.breaks: list[list[State]] = []
        self.continues: list[list[State]] = []
        self.jumps: dict[str, list[State]] = {}

    @property
    def exits(self) -> int:
        """How many paths have left the straight way so far: where none did, none is lost."""
        inner = sum(map(len, self.breaks)) + sum(map(len, self.continues))
        return len(self.returns) + inner + sum(map(len, self.jumps.values()))


class Unit(NamedTuple):
    """The file and line that positions of the nodes at hand count from."""

    file: str
    line: int
    fixed: bool = False
