# SPDX-License-Identifier: GPL-2.0-only
"""What one symbolic run is made of and what it yields.

Out: the guards met on the way, the stores of roles, and everything that was not
understood, with its place.  Plain records; the run itself is in the other rooms.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..bits import Bits, Cond
from ..layout import (
    CType,
    VoidType,
)
from ..memory import Loc, LValue, State, Value
from ..model import Consulted, Place
from ..scan import Definition
from ..syntax import Node


@dataclass(frozen=True, slots=True)
class RoleShape:
    """Which records are contexts, and which of their members hold a role."""

    contexts: dict[str, tuple[str, ...]]
    """Role members by tag of the context struct."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of a stored role: its symbol, its meaning, whose role it is."""

    symbol: str
    meaning: Cond
    context: Loc
    member: str
    new: Bits
    low: int


@dataclass(frozen=True, slots=True)
class Guard:
    """A branch decided by comparing roles.

    ``condition`` is the branch over the inputs, ``symbol`` the free boolean that stands
    for it in the terms, ``path`` when it is reached, ``calls`` how.
    """

    symbol: str
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


@dataclass(frozen=True, slots=True)
class RoleStore:
    """A store to a role of a context: where, on which paths, and when its function runs."""

    context: Loc
    place: Place
    path: Cond
    entered: Cond


@dataclass(frozen=True, slots=True)
class Trouble:
    """A construct that was not understood, and the paths that it spoils."""

    place: Place
    reason: str
    path: Cond


@dataclass(slots=True)
class Lowered:
    """What one run of an entry function amounts to."""

    start: Definition
    memory: dict[Loc, Value]
    guards: list[Guard]
    stores: list[RoleStore]
    troubles: list[Trouble]
    opaque: dict[str, tuple[Place, str, bool]]
    """Place, reason, and whether a definition is missing, by symbol."""
    reads: dict[str, tuple[Place, int]]
    """Where a symbol of the surroundings was first read, and its width."""
    globals: dict[str, Place]
    """Objects of file scope that were read, by symbol."""
    aliases: dict[str, str]
    """How a root is spelt in the source, by its own name."""
    consulted: set[Consulted]
    functions: dict[int, str]
    types: dict[str, CType] = field(default_factory=dict)

    def visits(self, function: Definition) -> bool:
        """Tell whether the run came by a function, followed or not."""
        return any(
            one.name == function.name and one.file == function.file for one in self.consulted
        )


class Unsupported(Exception):
    """Raised inside lowering where a construct is not understood."""

    def __init__(self, node: Node | None, reason: str, missing: bool = False) -> None:
        super().__init__(reason)
        self.node = node
        self.reason = reason
        self.missing = missing


@dataclass(slots=True)
class Frame:
    """One call in progress."""

    function: Definition
    variables: dict[str, LValue]
    number: int
    entered: Cond = True
    returns: list[tuple[State, Value | None]] = field(default_factory=list)
    result: CType = field(default_factory=VoidType)
    breaks: list[list[State]] = field(default_factory=list)
    continues: list[list[State]] = field(default_factory=list)
    jumps: dict[str, list[State]] = field(default_factory=dict)

    @property
    def exits(self) -> int:
        """How many paths have left the straight way so far: where none did, none is lost."""
        inner = sum(map(len, self.breaks)) + sum(map(len, self.continues))
        return len(self.returns) + inner + sum(map(len, self.jumps.values()))


@dataclass(frozen=True, slots=True)
class Unit:
    """The file and line that positions of the nodes at hand count from."""

    file: str
    line: int
    fixed: bool = False
