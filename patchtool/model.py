# SPDX-License-Identifier: GPL-2.0-only
"""The records that travel between the stages.

Everything here is immutable, sorted by its producer and free of syntax nodes and
solver terms, so that a record can be printed, compared, cached and sent to another
process.  Lines and columns are 1-based; paths are relative to the top of the tree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

Verdict = Literal["covered", "gap", "unknown", "not-guarded"]
"""What was decided: proved, refuted, undecided, or nothing there to skip."""

Kind = Literal["stale", "unlike", "accumulates", "earlier", "partial"]
"""How a field goes wrong: a skip leaves it stale; one stores it otherwise than a full set-up, in
one state; a full set-up keeps bits of an earlier one; goes by what the context held before; or
does not store it on every path."""

SEVERITY: Mapping[Verdict, int] = {"gap": 3, "unknown": 2, "covered": 1, "not-guarded": 0}
"""Which verdict stands for a group: the worst one."""


def listed(parts: Sequence[str], last: str = "and") -> str:
    """Join names as a sentence does: a, b and c."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def worst(verdicts: tuple[Verdict, ...]) -> Verdict:
    """Return the verdict that stands for a group, ``unknown`` for an empty one."""
    return max(verdicts, key=SEVERITY.__getitem__, default="unknown")


class Place(NamedTuple):
    """A position in the tree and the function around it ("" at file scope)."""

    file: str
    line: int
    column: int = 1
    function: str = ""


class Input(NamedTuple):
    """One input of a field: what it is, where it is read, what carries it.

    ``name`` is ``REGISTER.BIT`` for an architectural bit, what people call it where
    there is such a name, as ``MAXPHYADDR``, and its C text otherwise.  ``source`` is
    the C text that reads it, ``covered_by`` the role members that tell its values apart
    (empty when none does), as ``ext.efer_lma``.
    """

    name: str
    source: str
    covered_by: tuple[str, ...]
    span: tuple[int, int] | None = None
    """The highest and the lowest bit that are read of the word that holds it."""


_MASK = re.compile(r" & (\w+)$")


def read_from(name: str, source: str) -> str:
    """Return where an input is read: its C text without what the name says; "" for nothing more."""
    if name == source:
        return ""
    mask, bit = _MASK.search(source), name.rpartition(".")[2]
    return source[: mask.start()] if mask is not None and bit in mask[1] else source


def number(value: int) -> str:
    """Return a number as a person reads it, where no words are known for it."""
    return str(value) if value < 4096 else hex(value)


class Given(NamedTuple):
    """An input of a witness: a name of its own, its C text, its values in the states A, B, C.

    ``words`` are the values as a person reads them; ``span`` is the highest and the lowest
    bit that are read of the word that holds it.
    """

    name: str
    source: str
    values: tuple[int, ...]
    words: tuple[str, ...]
    span: tuple[int, int]


class Constant(NamedTuple):
    """How a constant of the host is read, and its value in words, "" where there are none."""

    source: str
    words: str = ""


class Witness(NamedTuple):
    """Two legal states that share a role and differ in the field, or one in both places.

    ``a`` and ``b`` hold the values of the same inputs in the same order; ``role`` is
    the value of every compared role word, in the order of the comparison, and
    ``values`` are the field after a full run with ``a`` and with ``b``.
    ``sources`` tells, per input, where it is read: two register files may both
    have an EFER.LMA.
    """

    a: tuple[tuple[str, int], ...]
    b: tuple[tuple[str, int], ...]
    sources: tuple[str, ...]
    differs: tuple[str, ...]
    role: tuple[tuple[str, int], ...]
    values: tuple[int, int]
    host: tuple[tuple[str, int], ...] = ()
    """What the host is taken to be: constants that are alike for all vCPUs."""
    needs: tuple[str, ...] = ()
    """Which of them have to be so: with another value that hosts have there is no gap."""
    element: str = ""
    """Which part of the field the values are of, as C spells it; "" for all of it."""
    span: tuple[int, int] | None = None
    """The highest and the lowest bit of an element that differ."""
    spelt: tuple[str, str] | None = None
    """The values as C spells them, where they are no plain numbers."""
    c: tuple[tuple[str, int], ...] = ()
    """A third state, which runs in full after A and after B and leaves the two values."""
    words: tuple[tuple[str, ...], ...] = ()
    """Per input, its values in the states in words, "" where the numbers say as much."""
    spans: tuple[tuple[int, int], ...] = ()
    """Per input, the highest and the lowest bit that are read of the word that holds it."""
    constants: tuple[Constant, ...] = ()
    """What else is known of what the host is taken to be, in the same order."""

    @property
    def inputs(self) -> tuple[Given, ...]:
        """The inputs, one after the other.

        Two register files may both have an EFER.LMA: the first that differs keeps the
        plain name, the others are told apart by where they are read.
        """
        states = [state for state in (self.a, self.b, self.c) if state]
        table = []
        for i, source in enumerate(self.sources):
            values = tuple(state[i][1] for state in states)
            told = self.words[i] if self.words else ("",) * len(values)
            words = tuple(one or number(value) for one, value in zip(told, values, strict=True))
            span = self.spans[i] if self.spans else (0, 0)
            table.append(Given(self.a[i][0], source, values, words, span))
        plain: dict[str, str] = {}
        for one in sorted(table, key=lambda row: row.values[0] == row.values[1]):
            plain.setdefault(one.name, one.source)
        return tuple(
            one
            if plain[one.name] == one.source
            else one._replace(name=f"{one.name} ({read_from(one.name, one.source)})")
            for one in table
        )

    def of_host(self, needed: bool = False) -> list[str]:
        """Return in words what the host is taken to be; NEEDED: what it has to be."""
        found = []
        for (name, value), one in zip(self.host, self.constants, strict=True):
            if needed and name not in self.needs:
                continue
            if " == " in name:
                found.append(name if value else name.replace(" == ", " != "))
            else:
                told = one.words or (str(value) if value < 10 else hex(value))
                found.append(f"{name}={told}")
        return found

    @property
    def said(self) -> tuple[str, str]:
        """The values as a person reads them."""
        if self.spelt is not None:
            return self.spelt
        plain = max(self.values) < (10 if self.element else 256)
        one, other = (str(v) if plain or not v else f"{v:#x}" for v in self.values)
        return one, other

    @property
    def differing(self) -> str:
        """Which bits of an element differ, in words; "" where that is not said."""
        if self.span is None:
            return ""
        high, low = self.span
        return f"bits {high}:{low}" if high != low else f"bit {low}"

    def part(self, member: str) -> str:
        """Return the part of a field that differs, in words; "" for all of it."""
        array = member if self.element.startswith("[") else ""
        return ", ".join(filter(None, (f"{array}{self.element}", self.differing)))

    def example(self, member: str) -> str:
        """Return what a message adds of a field of which it shows a part; "" of the whole."""
        return f" (for example {self.part(member)})" if self.element else ""


class Reason(NamedTuple):
    """Why something is as it is said to be, and the place that shows it, if there is one."""

    text: str
    place: Place | None = None

    def __str__(self) -> str:
        return f"{self.place.file}:{self.place.line}: {self.text}" if self.place else self.text


class FieldResult(NamedTuple):
    """The verdict on one cached field of one context, with all that it rests on.

    ``member`` is the C member that holds the field in this tree; it differs from
    ``name`` where another member has taken its place.
    """

    name: str
    member: str
    verdict: Verdict
    inputs: tuple[Input, ...] = ()
    missing: tuple[str, ...] = ()
    witness: Witness | None = None
    assumptions: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    others: tuple[Witness, ...] = ()
    """One more witness for each input that is missing, where there is one."""
    accumulated: Witness | None = None
    """Three states, where a full set-up keeps bits of an earlier one, a gap of its own kind."""
    unstored: tuple[str, ...] = ()
    """The states, in words, in which no set-up stores it, so that no reader may use it then."""
    before: tuple[str, ...] = ()
    """The members of the context by which a full set-up goes as they were before it."""

    @property
    def pairs(self) -> tuple[Witness, ...]:
        """The witnesses in which two states differ."""
        found = (self.witness, *self.others)
        return tuple(one for one in found if one is not None and one.differs)

    @property
    def unlike(self) -> Witness | None:
        """One state, in which a skip alone leaves another value than a full set-up."""
        found = (self.witness, *self.others)
        return next((one for one in found if one is not None and not one.differs), None)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of gap that it has."""
        if self.verdict != "gap":
            return ()
        stale = bool(self.missing) or bool(self.pairs)
        unlike, adds = self.unlike is not None, self.accumulated is not None
        kinds: tuple[tuple[Kind, bool], ...] = (
            ("stale", stale), ("unlike", unlike), ("accumulates", adds),
            ("earlier", bool(self.before)),
            ("partial", not stale and not unlike and not adds and not self.before),
        )  # fmt: skip
        return tuple(kind for kind, is_so in kinds if is_so)

    @property
    def undecided(self) -> str:
        """That it is not decided, and why, as a sentence."""
        return "; ".join((f"{self.name} is not decided", *map(str, self.reasons)))

    @property
    def obligation(self) -> str:
        """What its readers have to heed, as a sentence; "" where it is always stored."""
        if not self.unstored:
            return ""
        states = " and ".join(self.unstored)
        return f"{self.member} is not stored with {states}, taken not to be read then"


class Context(NamedTuple):
    """One way through an initialiser: who calls it, for which context, and the verdicts.

    ``initialiser`` is the function that holds the guard, ``place`` the guard itself,
    ``entry`` the call path that binds the arguments, outermost first.
    """

    initialiser: str
    context: str
    entry: tuple[str, ...]
    place: Place
    fields: tuple[FieldResult, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the fields."""
        return worst(tuple(result.verdict for result in self.fields))


class Finding(NamedTuple):
    """One thing that is wrong, at one place; the context and the result that it stands for."""

    rule: str
    place: Place
    field: str
    missing: tuple[str, ...]
    message: str
    entry: tuple[str, ...]
    context: Context
    result: FieldResult
    kind: Kind = "stale"
    closed_by: str = ""
    """The later change that closes it again, where changes are looked at one by one."""

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells it from any other finding: all but what it stands for."""
        return (*self[:6], self.context.context, self.kind)

    @property
    def witness(self) -> Witness | None:
        """The states that show it."""
        if self.kind == "accumulates":
            return self.result.accumulated
        if self.kind == "unlike":
            return self.result.unlike
        return next(iter(self.result.pairs), None)


class Unknown(NamedTuple):
    """One thing that stopped the analysis: where, and which construct."""

    place: Place
    reason: str


class Anchor(NamedTuple):
    """A line that a change touched; ``end`` is the column behind its last character.

    Where a change only takes lines away, the line in front of them stands for them.
    """

    place: Place
    end: int
    gone: bool = False
    removed: tuple[str, ...] = ()
    """The lines that were taken away there and have to do with the finding."""


class Suppressed(NamedTuple):
    """A finding that a comment in the source accepts: where the comment is, and why."""

    finding: Finding
    place: Place
    reason: str


class Remark(NamedTuple):
    """What somebody should look at, and no verdict rests on.

    ``about`` is ``suppression`` for a comment that was meant to accept a finding and does not,
    and ``set-up-call`` for a call of a set-up that a change takes away or binds to a condition.
    """

    place: Place
    problem: str
    about: str = "suppression"


class Consulted(NamedTuple):
    """One definition that a verdict rests on.  ``kind`` is function, macro, type, ...

    ``unparsed`` is the number of spans in it that the grammar could not parse.
    """

    file: str
    line: int
    kind: str
    name: str
    unparsed: int = 0


class Account(NamedTuple):
    """One mention of a member that a verdict rests on, and what it amounts to.

    ``how`` begins with ``open`` where it is not accounted for.
    """

    place: Place
    name: str
    what: str
    how: str

    @property
    def is_open(self) -> bool:
        """Whether nothing accounts for the mention."""
        return self.how.startswith("open")


class Report(NamedTuple):
    """All that one check found out about one tree."""

    tree: str
    rev: str | None
    contexts: tuple[Context, ...] = ()
    findings: tuple[Finding, ...] = ()
    unknowns: tuple[Unknown, ...] = ()
    ledger: tuple[Consulted, ...] = ()
    files: tuple[str, ...] = ()
    """Every path that was asked for, found or not: what the verdict depends on."""
    verdict: Verdict = "unknown"
    suppressed: tuple[Suppressed, ...] = ()
    """What the source accepts.  It is no part of ``findings`` and still a gap."""
    remarks: tuple[Remark, ...] = ()
    mentions: tuple[Account, ...] = ()
    """Every mention of what the verdicts rest on; empty where they were not looked at."""

    @property
    def undecided(self) -> tuple[Unknown, ...]:
        """What was not decided, and where: never nothing for a verdict of ``unknown``."""
        if self.unknowns:
            return self.unknowns
        fields = tuple(
            Unknown(context.place, one.undecided)
            for context in self.contexts
            for one in context.fields
            if one.verdict == "unknown"
        )
        nowhere = Unknown(Place(".", 1), "nothing was decided")
        return fields or (nowhere,) * (self.verdict == "unknown")
