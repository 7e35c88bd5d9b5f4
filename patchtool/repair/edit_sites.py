# SPDX-License-Identifier: GPL-2.0-only
"""Where a bit of the extended role could be declared and assigned.

In: an index and a report on its tree.  Out: candidates, each a few insertions that
add one member to the union that only steers configuration and assign it where its
siblings are assigned, smallest first.  Nothing here tells whether a candidate helps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from patchtool.c import syntax
from patchtool.c.brackets import BRACES, around
from patchtool.c.index import Index
from patchtool.c.layout import IntType, RecordType, Types
from patchtool.c.scan import WORDS, Definition, strip_comments
from patchtool.model import Report
from patchtool.repair.input_access import Value
from patchtool.repair.register_access import Bit, spellings
from patchtool.world.roles import Roles, find_roles

_BITFIELD = re.compile(
    rb"^[ \t]*((?:unsigned(?:[ \t]+int)?|u32|u64|__u32|bool))(?:[ \t]+(\w+))?[ \t]*:[ \t]*"
    rb"(\d+)[ \t]*;",
    re.M,
)
_COMMENT = re.compile(rb"/\*.*?(?:\*/|\Z)|//[^\n]*", re.S)
_SIBLING = re.compile(r"(?:cr\d|efer)_\w+")
_COLUMNS = 80
"""How long a line may be before it is broken."""
_TAKEN = rb"\b%s\s*=(?!=)((?:[^;,{}()]|\((?:[^()]|\([^()]*\))*\))*)"
"""What a member that is called after a register is given."""
_MOST_SITES = 3
"""How many places in one function are tried."""
_MOST = 12
"""How many candidates are tried for one input."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes to put in the place of ``length`` bytes at ``start``."""

    path: str
    start: int
    length: int
    text: bytes


NO_MASKS: Mapping[str, Edit] = {}
Kind = Literal["member", "handed", "invalidation", "clearing"]
"""A member of the role, which is read, or handed to the set-up; a store that invalidates stored
roles; one that clears a field first."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to close a gap."""

    kind: Kind
    title: str
    """What it is for: an input, or a field."""
    member: str
    """The member that carries the input, or that is stored."""
    union: str
    label: str
    """The member as coverage names it, ``ext.efer_lma``."""
    statements: tuple[str, ...]
    functions: tuple[str, ...]
    declares: bool
    edits: tuple[Edit, ...]
    width: int = 1
    contexts: tuple[str, ...] = ()
    """Whose roles are invalidated."""
    masks: tuple[str, ...] = ()
    """The macros that let a bit through to where the role is calculated."""

    @property
    def size(self) -> int:
        """How many lines it touches."""
        return len(self.edits)


@dataclass(frozen=True, slots=True)
class Proposal:
    """The candidates for one input, or the reason why there are none."""

    candidates: tuple[Candidate, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ExtendedRole:
    """The part of a compared role whose members only steer configuration."""

    name: str
    """How the role calls it: ``ext``."""
    record: RecordType
    definition: Definition


@dataclass(frozen=True, slots=True)
class Store:
    """One assignment to a member of the extended role."""

    prefix: str
    member: str
    value: str
    start: int
    end: int
    """Offsets in the file; ``end`` is behind the semicolon."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One line to insert into one function."""

    function: str
    statement: str
    edit: Edit


def propose(index: Index, report: Report, bit: Bit | Value) -> Proposal:
    """Return the candidates that could let the role carry an input."""
    roles = find_roles(index, Types(index))
    extended = find_extended(index, roles)
    if extended is None:
        return Proposal((), "the compared role has no part that only steers configuration")
    declared = bit.member in extended.record.slots
    declaration = () if declared else declaration_of(index, extended, bit)
    if not declared and not declaration:
        union = f"the word of union {extended.record.tag}"
        if bit.width == 1:
            return Proposal((), f"{union} has no bit left")
        return Proposal((), f"{bit.title} takes {bit.width} bits, which {union} has not left")
    fillers = list(calculators(index, report, extended))
    if not fillers:
        return Proposal((), f"no function that assigns members of {extended.record.tag} was found")
    if declared and any(s.member == bit.member for _, stores in fillers for s in stores):
        return Proposal((), f"{extended.name}.{bit.member} is there already and does not close it")
    lines = [list(_lines(index, function, stores, bit)) for function, stores in fillers]
    groups = [[line] for each in lines for line in each]
    first = [each[0] for each in lines if each]
    if len(first) > 1:
        groups.append(first)
    if not groups:
        return Proposal((), f"no way to read {bit.title} was found beside the other role bits")
    masks = dict(_masks(index, report, bit)) if isinstance(bit, Bit) else {}
    found = [_candidate(extended, bit, declaration, group, masks) for group in groups]
    found.sort(key=lambda one: one.size)
    if masks:  # what takes a bit from a snapshot without it closes nothing, elsewhere it may
        plain = [_candidate(extended, bit, declaration, group) for group in groups]
        found += sorted(plain, key=lambda one: one.size)
    return Proposal(tuple(found[:_MOST]))


def edited(index: Index, edits: tuple[Edit, ...]) -> dict[str, bytes]:
    """Return the files that some edits change, as they are afterwards.

    Edits speak of the text of an index, whose lines end in LF; a file keeps its own.
    """
    after: dict[str, bytes] = {}
    # From the end; what is replaced at a place goes before what is inserted there.
    for edit in sorted(edits, key=lambda e: (e.path, -e.start, -e.length)):
        data = after.get(edit.path, index.source.read(edit.path) or b"")
        start = _in_file(data, edit.start)
        end = _in_file(data, edit.start + edit.length)
        ends = b"\r\n" if data[:start].endswith(b"\r\n") else b"\n"
        after[edit.path] = data[:start] + edit.text.replace(b"\n", ends) + data[end:]
    return after


def _in_file(data: bytes, offset: int) -> int:
    """Return where a place in a text with LF line ends is in the file."""
    at = offset
    while (behind := offset + data.count(b"\r\n", 0, at)) != at:
        at = behind
    # Between the two bytes of a line end there is no place.
    return at + (data[at - 1 : at + 1] == b"\r\n")


def _candidate(
    extended: ExtendedRole,
    bit: Bit | Value,
    declaration: tuple[Edit, ...],
    lines: list[_Line],
    masks: Mapping[str, Edit] = NO_MASKS,
) -> Candidate:
    return Candidate(
        "member",
        bit.title,
        bit.member,
        extended.record.tag,
        f"{extended.name}.{bit.member}",
        tuple(line.statement for line in lines),
        tuple(line.function for line in lines),
        bool(declaration),
        (*declaration, *masks.values(), *(line.edit for line in lines)),
        bit.width,
        masks=tuple(masks),
    )


# -- the union -----------------------------------------------------------------------------


def find_extended(index: Index, roles: Roles) -> ExtendedRole | None:
    """Return the part of the compared role that no shadow page keeps."""
    pages = _page_roles(index, roles)
    whole = [
        inner
        for tag, names in roles.shape.contexts.items()
        for name in names
        if isinstance(inner := roles.contexts[tag].by_name[name][1], RecordType)
    ]
    # A part that a context also keeps alone, as root_role, is the role of a page.
    pages |= {one.tag for one in whole}
    parts = {
        part.tag: (name, part)
        for one in whole
        for name, part in _parts(one)
        if part.tag not in pages
    }
    steering = {tag: part for tag, part in parts.items() if "valid" in part[1].slots} or parts
    for tag, (name, record) in steering.items():
        for definition in index.record(f"union {tag}", index.target.header):
            return ExtendedRole(name, record, definition)
    return None


def _parts(record: RecordType) -> Iterator[tuple[str, RecordType]]:
    """Yield the unions inside a role, with their names."""
    for member in record.members:
        if isinstance(member.type, RecordType):
            if member.name is None:
                yield from _parts(member.type)
            elif member.type.kind == "union" and member.type.tag:
                yield member.name, member.type


def _page_roles(index: Index, roles: Roles) -> set[str]:
    """Return the unions that a shadow page keeps."""
    found: set[str] = set()
    for definition in index.record("struct kvm_mmu_page", roles.here):
        plain = strip_comments(definition.text)
        found.update(m.decode() for m in re.findall(rb"\bunion\s+(\w+)\s+\w+\s*;", plain))
    return found


def declaration_of(index: Index, extended: ExtendedRole, bit: Bit | Value) -> tuple[Edit, ...]:
    """Return the edits that declare a member; none where the word has no room for it."""
    definition = extended.definition
    plain = strip_comments(definition.text)
    fields = list(_BITFIELD.finditer(plain))
    named = [at for at, field in enumerate(fields) if field.group(2)]
    if not named:
        return ()
    padding = [
        at for at in range(len(fields)) if at not in named and int(fields[at].group(3)) >= bit.width
    ]
    # Before the padding, so that no member moves.
    before = [at for at in named if not padding or at < padding[-1]] or named
    last = fields[before[-1]]
    shrunk = fields[padding[-1]] if padding else None
    if shrunk is None and _used(extended.record) + bit.width > _word(extended.record):
        return ()
    data = index.original(definition.file)
    at = after_line(data, definition.start + last.end())
    indent = data[data.rfind(b"\n", 0, definition.start + last.start(1)) + 1 :]
    indent = indent[: len(indent) - len(indent.lstrip(b" \t"))]
    text = indent + last.group(1) + f" {bit.member}:{bit.width};\n".encode()
    edits = [Edit(definition.file, at, 0, text)]
    if shrunk is not None:
        edits.append(_narrowed(definition, data, shrunk, bit.width))
    return tuple(edits)


def _narrowed(definition: Definition, data: bytes, field: re.Match[bytes], count: int) -> Edit:
    """Return the edit that takes some bits from unnamed padding."""
    width = int(field.group(3))
    if width > count:
        at = definition.start + field.start(3)
        return Edit(definition.file, at, len(field.group(3)), b"%d" % (width - count))
    start = data.rfind(b"\n", 0, definition.start + field.start(1)) + 1
    end = after_line(data, definition.start + field.end())
    return Edit(definition.file, start, end - start, b"")


def _used(record: RecordType) -> int:
    """Return how many bits the members take."""
    return max(
        (low + width for name, (low, width, ctype) in record.slots.items()
         if not _is_word(record, name, ctype)),
        default=0,
    )  # fmt: skip


def _is_word(record: RecordType, name: str, ctype: object) -> bool:
    return isinstance(ctype, RecordType) or record.slots[name][:2] == (0, record.size)


def _word(record: RecordType) -> int:
    """Return the width of the word over the bit-fields, 32 at most."""
    words = [m.type.width for m in record.members if isinstance(m.type, IntType) and m.name]
    return min([32, *words])


# -- the assignments -----------------------------------------------------------------------


def calculators(
    index: Index, report: Report, extended: ExtendedRole
) -> Iterator[tuple[Definition, list[Store]]]:
    """Yield the functions that fill the extended role from registers.

    Where no sibling bit is left, these are all that assign any of its members.
    """
    found = []
    for definition in _executed(index, report):
        stores = list(stores_in(index, definition, extended))
        if stores:
            found.append((definition, stores))
    with_siblings = [f for f in found if any(_SIBLING.fullmatch(s.member) for s in f[1])]
    yield from with_siblings or found


def stores_in(index: Index, definition: Definition, extended: ExtendedRole) -> Iterator[Store]:
    """Yield the assignments of a function to members of the extended role."""
    plain = strip_comments(definition.text)
    for found in syntax.matches("role_calculator", index.node(definition)):
        holder, operator, member, value, statement = (
            found[f"calculator.{name}"][0]
            for name in ("holder", "operator", "member", "value", "statement")
        )
        prefix = re.sub(r"\s", "", syntax.text(holder) + syntax.text(operator))
        parts = re.split(r"\.|->", prefix)[:-1]
        if not all(re.fullmatch(r"\w+", part) for part in parts):
            continue
        variable = rb"\bunion\s+%s\s+\*?%s\b" % (extended.record.tag.encode(), parts[-1].encode())
        local = len(parts) == 1 and re.search(variable, plain)
        name = syntax.text(member)
        if name in extended.record.slots and (local or parts[-1] == extended.name):
            yield Store(
                prefix,
                name,
                syntax.text(value),
                definition.start + statement.start_byte,
                definition.start + statement.end_byte,
            )


def _lines(
    index: Index, function: Definition, stores: list[Store], bit: Bit | Value
) -> Iterator[_Line]:
    """Yield the lines that could assign a member in one function, the best first."""
    beside = [s for s in stores if _SIBLING.fullmatch(s.member)]
    data = index.original(function.file)
    if isinstance(bit, Bit):
        reads = spellings(index, function, [(s.member, s.value) for s in beside], bit)
    else:
        reads = bit.spellings(index, function)
    near = anchors(function, beside or stores)
    for read in reads:
        for store in (*near, *(one for one in _early(function, stores) if one not in near)):
            implied = isinstance(bit, Bit) and _implied(function, store, bit, read)
            value = "1" if implied else read
            statement = f"{store.prefix}{bit.member} = {value};"
            start = data.rfind(b"\n", 0, store.start) + 1
            # Without siblings the first member is as good; what it sets stays last.
            at = after_line(data, store.end) if store in beside else start
            indent = data[start : store.start]
            text = indent + statement.encode() + b"\n"
            yield _Line(function.name, statement, Edit(function.file, at, 0, text))


def anchors(function: Definition, stores: list[Store]) -> list[Store]:
    """Return the assignments to stand beside, the last of each block, the last block first."""
    plain = _without_directives(strip_comments(function.text))
    blocks: dict[int, Store] = {}
    for store in stores:
        at = store.start - function.start
        before = plain[:at].rstrip()
        # The only statement of an unbraced "if" has no room beside it.
        if (
            before.endswith((b";", b"{", b"}"))
            and plain[plain.rfind(b"\n", 0, at) + 1 : at].isspace()
        ):
            blocks[around(plain, at, BRACES)] = store
    return sorted(blocks.values(), key=lambda s: -s.start)[:_MOST_SITES]


def _early(function: Definition, stores: list[Store]) -> list[Store]:
    """Return the last assignment in front of all returns, if some come behind one."""
    plain = strip_comments(function.text)
    found = re.search(rb"\breturn\b", plain)
    first = function.start + (found.start() if found is not None else 0)
    before = [one for one in stores if one.start < first]
    return anchors(function, before)[:1] if any(one.start > first for one in stores) else []


def _without_directives(plain: bytes) -> bytes:
    return re.sub(rb"^[ \t]*#[^\n]*", lambda m: b" " * len(m.group()), plain, flags=re.M)


def _implied(function: Definition, store: Store, bit: Bit, read: str) -> bool:
    """Tell whether an assignment is reached only where the bit is 1."""
    plain = strip_comments(function.text)
    at = store.start - function.start
    words = re.escape(read.removeprefix("!!")).encode()
    opened = plain[: around(plain, at, BRACES)].rstrip()
    if re.search(rb"\bif\s*\(\s*" + words + rb"\s*\)\Z", opened):
        return True
    left = rb"\bif\s*\(\s*!\s*" + words + rb"\s*\)\s*(?:\{[^{}]*\breturn\b[^{}]*\}|return\b)"
    return bit.member == "cr0_pg" and re.search(left, plain[:at]) is not None


# -- the masks -----------------------------------------------------------------------------


def _masks(index: Index, report: Report, bit: Bit) -> Iterator[tuple[str, Edit]]:
    """Yield the masks through which set-ups take a snapshot of a register, where they lack a bit.

    A mask is a macro that stands for bits of that register and for nothing else; with each
    comes the edit that adds the bit.
    """
    flag = rf"X86_{bit.register}_\w+"
    bits = re.compile(rf"[\s(]*{flag}(?:\s*\|\s*{flag})+[\s)]*".encode())
    taken = re.compile(_TAKEN % bit.register.lower().encode())
    for function in dict.fromkeys(_executed(index, report)):
        values = taken.findall(strip_comments(function.text))
        for word in sorted({word for one in values for word in one.translate(WORDS).split()}):
            macros = index.macros(word.decode(), function.file)
            plain = [strip_comments(each.text) for each in macros]
            if len(macros) == 1 and bits.fullmatch(plain[0]) is not None:
                edit = _widened(index, macros[0], bit.flag)
                if edit and bit.flag.encode() not in plain[0].translate(WORDS).split():
                    yield word.decode(), edit


def _executed(index: Index, report: Report) -> Iterator[Definition]:
    """Yield the functions that were executed."""
    for one in report.ledger:
        file = index.file(one.file) if one.kind == "function" else None
        yield from file.functions.get(one.name, ()) if file is not None else ()


def _widened(index: Index, macro: Definition, flag: str) -> Edit | None:
    """Return the edit that adds a flag to a mask, on a line of its own where it is too long."""
    data = index.original(macro.file)
    begin = re.compile(rb"[ \t]*#[ \t]*define[ \t]+\w+\s+").match(data, macro.start)
    if begin is None:
        return None
    at = begin.end() + max(found.end() for found in re.finditer(rb"\w+", macro.text))
    first = data.rfind(b"\n", 0, at) + 1
    end = data.find(b"\n", at)
    line = data[first:end] + f" | {flag}".encode()
    if len(line.expandtabs()) <= _COLUMNS:
        return Edit(macro.file, at, 0, f" | {flag}".encode())
    indent = line[: len(line) - len(line.lstrip())] or b"\t\t"
    return Edit(macro.file, at, 0, b" | \\\n" + indent + flag.encode())


# -- lines ---------------------------------------------------------------------------------


def after_line(data: bytes, at: int) -> int:
    """Return where the next line begins, behind a comment that goes on."""
    end = data.find(b"\n", at)
    end = len(data) if end < 0 else end + 1
    for comment in _COMMENT.finditer(data, at):
        if comment.start() >= end:
            break
        if comment.end() > end:
            return after_line(data, comment.end())
    return end
