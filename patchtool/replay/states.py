# SPDX-License-Identifier: GPL-2.0-only
"""Register states that userspace can load, and the tests made of them.

In: nothing but architecture.  Out: the paging modes of x86 as values of CR0, CR4 and EFER,
and the records that travel from a verdict to a program.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from patchtool.target.kvm import REGISTER_BITS, REGISTERS

Bit = tuple[str, str]
"""A bit of a register: ``("CR4", "PAE")``."""

Kind = Literal["root_mmu", "guest_mmu"]
"""What can be replayed: root_mmu under TDP, and guest_mmu under nested NPT."""

KINDS: tuple[Kind, ...] = ("root_mmu", "guest_mmu")

ALWAYS: frozenset[Bit] = frozenset({("CR0", "PE"), ("CR0", "ET"), ("CR0", "NE")})
"""What every state has that a program loads."""

SVME: Bit = ("EFER", "SVME")
"""What L1 and L2 have besides."""


class State(NamedTuple):
    """A register state: the bits that are set, besides those that are always set."""

    name: str
    bits: frozenset[Bit]

    def register(self, name: str) -> list[str]:
        """Return the bits that are set in one register, lowest first."""
        order = REGISTER_BITS[name].items()
        return [bit for _, bit in sorted(order) if (name, bit) in self.bits]

    def has(self, bit: Bit) -> bool:
        """Tell whether a bit is set."""
        return bit in self.bits


class Expected(NamedTuple):
    """A state, and the root_level that KVM has to use in it; 0 is no paging."""

    state: State
    level: int


HOST_LEVELS = (4, 5)
"""How many levels the page tables of a host with NPT may have."""


class Test(NamedTuple):
    """Two states to load one after the other, in both orders.

    ``context`` is the member of the vCPU that is set up, ``kind`` how that is brought about.
    ``start`` is loaded first, in root_mmu alone: a state from which either of them is set
    up anew.  ``inputs`` are the inputs that the pair shows to be missing in the role.
    """

    kind: Kind
    context: str
    initialiser: str
    start: State
    a: Expected
    b: Expected
    inputs: tuple[str, ...]
    levels: int | None = None
    """How many levels the host's page tables need to have to show it; None: no matter."""


class Refusal(NamedTuple):
    """A gap that is not replayed: which, and why."""

    context: str
    entry: tuple[str, ...]
    field: str
    reason: str


def closed(bits: frozenset[Bit]) -> frozenset[Bit]:
    """Add the bits that some bits need."""
    found = set(bits)
    while more := {r.then for r in REGISTERS.implications if r.when in found} - found:
        found |= more
    return frozenset(found)


def _mode(name: str, *bits: str) -> State:
    split = (one.split(".") for one in bits)
    return State(name, closed(frozenset((register, bit) for register, bit in split)) - ALWAYS)


OFF = _mode("no paging")
TWO = _mode("2-level paging", "CR0.PG")
PAE = _mode("PAE paging", "CR0.PG", "CR4.PAE")
FOUR = _mode("4-level paging", "EFER.LMA")
FIVE = _mode("5-level paging", "EFER.LMA", "CR4.LA57")

MODES: tuple[State, ...] = (OFF, TWO, PAE, FOUR, FIVE)


def modes_of(kind: Kind) -> tuple[State, ...]:
    """Return the modes that a context can be loaded with; nested paging needs CR0.PG in L1."""
    return MODES if kind == "root_mmu" else MODES[1:]


def named(bits: frozenset[Bit], otherwise: str) -> State:
    """Return a state under the name of its paging mode, where it is one of them."""
    for mode in MODES:
        if mode.bits == bits:
            return mode
    return State(otherwise, bits)
