# SPDX-License-Identifier: GPL-2.0-only
"""What people call that which a field may depend on, and how they say its values.

In: a bit that a run has read of its surroundings.  Out: the name of what it is part of: the
bit of a register, what a member of a record holds (told by the record's type), an answer about
a CPU, the parameter of a module (told by its declaration).  All else is called by the C text
that reads it.  Names are faces: what is one input, and what a verdict says, rests on C alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from patchtool.c.layout import CType, RecordType, holder_of
from patchtool.c.lower import Lowered
from patchtool.c.memory import Fact, Loc, member_of
from patchtool.proof.bits import Symbol, Word
from patchtool.proof.compared import Unit
from patchtool.target.record import Named, Registers
from patchtool.world.entries import Tree
from patchtool.world.inputs.hosts import parameter_of


class Name(NamedTuple):
    """What one bit is part of: its name, its C text, and where it begins in its word.

    ``values`` says in words what numbers mean.
    """

    text: str
    c: str
    low: int = 0
    values: Mapping[int, str] = {}


def register_of(registers: Registers, lowered: Lowered, word: Word) -> str | None:
    """Return the register that a word holds: by its name in a file of registers, or as argument."""
    register = registers.members.get(member_of(word))
    tag = lowered.place_of(word).rpartition(".")[0]
    return register if isinstance(word.about, Fact) or tag in registers.files else None


class Names:
    """The names of what one run reads of its surroundings."""

    def __init__(self, tree: Tree, lowered: Lowered) -> None:
        self._tree, self._out = tree, lowered
        self._registers = tree.index.target.registers
        self._words: dict[Word, tuple[str, Named]] = {}
        self._parameters: dict[Word, str | None] = {}

    def of(self, symbol: Symbol) -> Name:
        """Return the name of what a bit is part of."""
        word, position = symbol.word, symbol.position
        register = register_of(self._registers, self._out, word)
        if register is not None:
            macro = self._registers.macro(register, position)
            c = f"{self._spelt(word)} & {macro}"
            return Name(self._registers.name(register, position), c, position)
        c, named = self._word(word)
        part = next((one for one in named.parts if one.low <= position <= one.high), None)
        if part is not None:
            return Name(f"{named.name}.{part.name}", f"{c} & {part.macro}", part.low, part.values)
        return Name(named.name, c, 0, named.values)

    def value(self, unit: Unit, number: int) -> int:
        """Return what C reads where a unit has a number, which has its bits at their places."""
        first = unit.bits[0]
        if not isinstance(first.word.about, Loc):
            return number
        placed = number << first.position if len(unit.bits) == 1 else number
        return placed >> self.of(first).low

    def span(self, unit: Unit) -> tuple[int, int]:
        """Return the highest and the lowest bit of its word that a unit consists of."""
        positions = [bit.position for bit in unit.bits]
        return max(positions), min(positions)

    def words(self, unit: Unit, value: int) -> str:
        """Return the value of a unit in words, "" where a number says as much."""
        return self.of(unit.bits[0]).values.get(value, "")

    def parameter(self, word: Word) -> str | None:
        """Return the parameter of a module that a word holds, None where it holds none."""
        loc = word.about
        if not isinstance(loc, Loc) or loc.root.kind != "global" or loc.path:
            return None
        if word not in self._parameters:
            self._parameters[word] = parameter_of(self._tree, loc.root.name)
        return self._parameters[word]

    def _spelt(self, word: Word) -> str:
        text = word.name
        for root, name in self._out.aliases.items():
            text = text.replace(root, name)
        return text

    def _word(self, word: Word) -> tuple[str, Named]:
        """Return the C text of a word, and what people call it."""
        if word not in self._words:
            c = self._spelt(word)
            self._words[word] = c, self._named(word) or Named(c)
        return self._words[word]

    def _named(self, word: Word) -> Named | None:
        about = word.about
        if isinstance(about, Fact):
            return self._answer(about) if about.kind in ("guest", "host") else None
        if not isinstance(about, Loc):
            return None
        names = self._registers.names
        if not about.path:
            name = about.root.name
            found = names.get(name) if about.root.kind == "global" else None
            parameter = None if found is not None else self.parameter(word)
            return Named(parameter) if parameter is not None else found
        record = self._holder(about)
        if record is None:
            return None
        member = about.path[-1]
        found = names.get(f"{record.tag}.{member}") or names.get(f"{record.tag}.*")
        return None if found is None else found._replace(name=found.name.format(member))

    def _answer(self, fact: Fact) -> Named | None:
        """Return what the answer of a function about a CPU is called."""
        asked = fact.other.partition(", ")[2] if fact.kind == "guest" else fact.other
        for one in self._registers.answers:
            function = re.fullmatch(one.function, fact.name)
            argument = re.fullmatch(one.argument, asked)
            if function is not None and argument is not None:
                captured = next(iter((*function.groups(), *argument.groups())), "")
                return one.named._replace(name=one.named.name.format(captured))
        return None

    def _holder(self, loc: Loc) -> RecordType | None:
        """Return the record that a location is a member of, None where that is not known."""
        here: CType | None = self._out.pointees.get(loc.root.name)
        if loc.root.kind == "global":
            types = self._tree.objects.of_file_scope(loc.root.name, self._tree.roles.here)
            here = types[0] if len(types) == 1 else None
        return holder_of(here, loc.path)
