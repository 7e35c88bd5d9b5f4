# SPDX-License-Identifier: GPL-2.0-only
"""The form of a target: what a check is told of the code that it looks at, in one record.

Facts are data here.  None of them has a value in this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Options(NamedTuple):
    """Build options and compiler macros that are ``on`` in every build, or ``off`` in all.

    All others stay open: they are constants of one build, and both values are looked at.
    Those that are ``built`` are on, or defined by another name in a build of modules.  They are
    ``declared`` in the Kconfig of the target's folder, and in those of these.
    """

    on: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()
    built: frozenset[str] = frozenset()
    declared: tuple[str, ...] = ()

    def value(self, name: str) -> bool | None:
        """Tell whether an option is on, None where that is open."""
        return True if name in self.on else False if name in self.off else None


NO_OPTIONS = Options()


class Implication(NamedTuple):
    """A bit of a register file that is set needs another one, each by register and bit."""

    when: tuple[str, str]
    then: tuple[str, str]
    text: str


class Part(NamedTuple):
    """Bits ``low`` to ``high`` of a word that have a name of their own.

    ``macro`` is how C spells them; ``values`` says in words what numbers there stand for.
    """

    name: str
    low: int
    high: int
    macro: str
    values: Mapping[int, str] = {}


class Named(NamedTuple):
    """What people call a word that is no register; ``values`` and ``parts`` as of a part.

    ``{}`` in the name stands for what the pattern that led here has captured.
    """

    name: str
    values: Mapping[int, str] = {}
    parts: tuple[Part, ...] = ()


class Query(NamedTuple):
    """What people call an answer about a CPU, by regular expressions for the question.

    ``function`` matches the name of the function or macro, ``argument`` what it is asked
    with, behind the CPU; the first group of either is what ``{}`` stands for in the name.
    """

    function: str
    argument: str
    named: Named


class Tables(NamedTuple):
    """How user space tells a guest of its CPU: records that are looked up, bits of registers.

    An element has the tag ``record``, and functions whose names match ``finders`` yield one;
    the members ``keys`` say which one it is, and ``registers`` hold what is told.
    A feature is asked for by a macro that matches ``feature``, of which the value is a word of
    32 bits and a bit; ``words`` gives the leaf and the member that each word is.  What matches
    ``host`` changes what the host has, which the second of ``capabilities`` holds, a member of
    the object that is the first; what matches ``reading`` only looks at one that it is given.
    Functions that are told which feature to change have a parameter that is called
    ``parameter``; what matches ``values`` makes a number of a word that it is given.
    """

    record: str = ""
    finders: str = "(?!)"
    keys: tuple[str, ...] = ()
    registers: tuple[str, ...] = ()
    feature: str = "(?!)"
    words: Mapping[int, tuple[int, str]] = {}
    host: str = "(?!)"
    capabilities: tuple[str, str] = ("", "")
    reading: str = "(?!)"
    parameter: str = ""
    values: str = "(?!)"


NO_TABLES = Tables()


class Registers(NamedTuple):
    """Registers of the hardware, and what is true of their bits.

    ``bits`` names the bits of a register by position, ``members`` the registers by the
    members of structures that hold one whole, ``macros`` how C spells a bit (``{}`` is its
    name) by register; ``implications`` hold within one of the records that have the tags
    ``files``, and among arguments.  ``ranges`` bounds numbers by what holds them, ``tag.member``
    or an object of file scope, in words too; ``usual`` bounds them by what hardware has, on
    which no proof rests.  ``fills`` names,
    by operation, the members that it only fills with the register that they cache: they are
    read once that is done.  ``held`` matches what holds the register of such a member, and
    ``owned`` the mask of its bits that the guest changes by itself, which are all that may be
    filled of one of ``members``; a member without an entry says no more than what is filled.

    ``guest_queries`` and ``host_queries`` are regular expressions for the names of functions
    and macros that look up what a guest was told of its CPU, and what the CPU of the host
    can do: a truth, or one of ``numbers`` of eight bits.  What a guest was told is kept in
    members that are tables of that record, and in those ``told``; what is ``computed`` from that
    in members as well; functions whose names match ``births`` run before any set-up, and those
    that match ``origins`` before there is anything to set up.  While the first member ``counted``
    of what all share is 0 nothing holds a context, and the second is the lock that it takes to
    change that.  ``fixed`` are objects that hold what the host's CPU is.

    ``names`` says what people call a word that is no register: ``tag.member`` is a member of
    ``struct tag``, ``tag.*`` any other one, and a name alone an object of file scope.
    ``answers`` says it of what the queries return.  Names are for people: no verdict rests on
    one, and where there is none a word is called by its C text.
    """

    bits: Mapping[str, Mapping[int, str]] = {}
    members: Mapping[str, str] = {}
    macros: Mapping[str, str] = {}
    implications: tuple[Implication, ...] = ()
    files: frozenset[str] = frozenset()
    ranges: Mapping[str, tuple[int, int, str]] = {}
    usual: Mapping[str, tuple[int, int]] = {}
    fills: Mapping[str, frozenset[str]] = {}
    held: Mapping[str, str] = {}
    owned: str = "(?!)"
    guest_queries: str = "(?!)"
    host_queries: str = "(?!)"
    numbers: str = "(?!)"
    told: tuple[str, ...] = ()
    tables: Tables = NO_TABLES
    computed: frozenset[str] = frozenset()
    births: str = "(?!)"
    origins: str = "(?!)"
    counted: tuple[str, str] | None = None
    fixed: frozenset[str] = frozenset()
    names: Mapping[str, Named] = {}
    answers: tuple[Query, ...] = ()

    def name(self, register: str, position: int) -> str:
        """Return ``REGISTER.BIT``, with the number where the bit has no name here."""
        return f"{register}.{self.bits[register].get(position, position)}"

    def macro(self, register: str, position: int) -> str:
        """Return how C spells a bit of a register."""
        return self.macros[register].format(self.name(register, position).split(".")[1])

    def is_bit_member(self, member: str) -> bool:
        """Tell whether a member is called after a bit of a register, as ``cr4_la57``."""
        register, line, _ = member.partition("_")
        return bool(line) and register.upper() in self.bits

    def is_bit(self, name: str) -> bool:
        """Tell whether a name is that of a bit of a register."""
        register, dot, _ = name.partition(".")
        return bool(dot) and register in self.bits


NO_REGISTERS = Registers()


class Use(NamedTuple):
    """A context that is in use only where an object of the host is set; ``text`` says why."""

    context: str
    host: str
    text: str


class Selected(NamedTuple):
    """A pointer of the host leads to a context while all of some bits are set.

    Each of ``bits`` is a member, by the tag of its record, and C for a mask of bits in it;
    ``text`` says it in words.
    """

    pointer: str
    context: str
    bits: tuple[tuple[str, str], ...]
    text: str


class Ended(NamedTuple):
    """What marks what all holders share as given up: members of that.

    While such a mark stands the function ``asked`` refuses what user space asks of a holder.
    """

    marks: frozenset[str] = frozenset()
    asked: str = ""


class Target(NamedTuple):
    """One body of C in a kernel tree: where it lies and what cannot be read from it.

    ``name`` is what people call it, ``short`` within a sentence, ``each`` one of the objects
    that it serves, each with a host of its own; ``module`` is what of it is built in where no
    Makefile says more.  ``folder`` holds its C files; in them is looked for whoever uses a
    name, and ``main`` is the one where nothing better is known.  The folders ``generic`` hold
    C that is built into it and knows nothing of it; ``makefiles`` beside its own say how all is
    compiled, and ``private`` are variables that its own keep for themselves.  Changes of files
    that end in one of ``unwatched`` are looked at in these folders alone.  ``header``
    declares what it keeps, ``host`` is the tag of the structure there in which its cached state
    lies, by value; functions come by that through a pointer to ``struct handle``, and all of
    those that belong together share a ``struct shared``.  ``role`` is the member that holds the
    one role of a context: what is below it is called by its own name.

    ``watched`` are headers on which most verdicts rest: a history looks at their changes before
    it has seen any tree.

    ``headers`` are its files beside the folder: paths, and beginnings of paths, as all
    that follow.  Comments are cut, and definitions looked for, in those and in what is
    ``followed``; first in those and in what is ``near``.  ``roots`` are the folders in which
    an ``#include`` in angles is looked for; ``constants`` are the beginnings and the ends
    of the paths of headers of plain numbers, which are followed from anywhere; ``others``
    are headers of such that are come by through headers that are not followed.

    ``silent`` and ``checking`` are regular expressions for the names of macros: those that
    do nothing of interest, and those that yield their first argument; ``asked`` is one for
    functions outside of the target that answer by nothing that it keeps.  A macro in
    ``dispatchers`` calls the operation that its argument names, as ``static_call`` does;
    ``prefix`` may stand before the names of operations there.  ``vendors`` are the
    beginnings of the paths of modules of which a host loads one.  ``calls`` are beginnings
    of the names of its functions.  ``uses``, ``selected`` and ``trusted`` are what no text can
    show: every proof takes the last of them for granted, and says so.  In the states ``unread``,
    each one bit as witnesses have it, nobody reads what is kept, but for functions that are called
    and the fields that a rule asks first; elements of a table that is read by level and match one
    of ``reached`` are read only where one of the ``depths``, members of a context or bits of a
    word in one, which is ``deep`` at least and at most, is more than the number in their names
    and the one beside the pattern.

    ``ended`` says how what all holders share is given up.

    ``within`` names, for members of what holds a context, the functions that are given the
    address of one and go no further than the member, though no text shows it; pointers to
    records in ``counted`` are moved to the next one only where a count says that there is one,
    and what is kept in one is gone through as far as it says.  ``filling`` names the functions
    that fill as many bytes behind one argument as another one says, by their numbers.
    """

    name: str
    folder: str
    header: str
    host: str
    main: str
    short: str = "the target"
    each: str = "object"
    handle: str = ""
    shared: str = ""
    role: str = ""
    module: str = ""
    generic: tuple[str, ...] = ()
    makefiles: tuple[str, ...] = ()
    unwatched: tuple[str, ...] = ()
    private: frozenset[str] = frozenset()
    watched: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    followed: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    constants: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    others: tuple[str, ...] = ()
    options: Options = NO_OPTIONS
    silent: str = "(?!)"
    checking: str = "(?!)"
    asked: str = "(?!)"
    dispatchers: frozenset[str] = frozenset()
    prefix: str = ""
    vendors: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    registers: Registers = NO_REGISTERS
    ended: Ended = Ended()
    trusted: tuple[str, ...] = ()
    uses: tuple[Use, ...] = ()
    selected: tuple[Selected, ...] = ()
    unread: tuple[str, ...] = ()
    reached: tuple[tuple[str, int], ...] = ()
    depths: frozenset[str] = frozenset()
    deep: tuple[int, int] = (0, 0)
    within: Mapping[str, frozenset[str]] = {}
    counted: frozenset[str] = frozenset()
    filling: Mapping[str, tuple[int, int]] = {}

    @property
    def ours(self) -> tuple[str, ...]:
        """The beginnings of the paths of all files of the target."""
        return (self.folder, *self.headers)

    @property
    def built_from(self) -> tuple[str, ...]:
        """The beginnings of the paths of all text that it consists of."""
        return (*self.ours, *self.generic)

    def owns(self, path: str) -> bool:
        """Tell whether a file is one of the target's C files."""
        return path.startswith(f"{self.folder}/") and path.endswith((".c", ".h"))
