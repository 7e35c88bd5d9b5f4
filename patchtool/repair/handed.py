# SPDX-License-Identifier: GPL-2.0-only
"""How a role could carry what a set-up is handed, or works out, before it compares roles.

In: an index, a report on its tree, an input.  Out: candidates, each a member of the
extended role that takes the value of a parameter or a local variable: in the function that
calculates the role where that is handed it too, else in front of the comparison.  A set-up
for another mode of the guest knows registers and capabilities by its arguments alone.
Nothing here tells whether a candidate helps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from patchtool.c import syntax
from patchtool.c.index import Index, parameter_names, split_arguments
from patchtool.c.layout import RecordType, Types
from patchtool.c.scan import Definition, strip_comments
from patchtool.model import Context, Report
from patchtool.repair.edit_sites import (
    Candidate,
    Edit,
    ExtendedRole,
    Proposal,
    after_line,
    anchors,
    declaration_of,
    find_extended,
    stores_in,
)
from patchtool.repair.input_access import Value
from patchtool.repair.register_access import Bit
from patchtool.world.roles import Roles, find_roles

_NUMBER = re.compile(r"\b(bool|int|unsigned int|u8|u16|u32)\s+(\w+)\s*(?=[,)=;])")
"""A declaration of a number that may be small enough for a role, and its name."""
_CALL = re.compile(r"\b(\w+)\s*(\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))")


@dataclass(frozen=True, slots=True)
class _Held:
    """A number that a set-up has: its name, its type, the C that it is set from, and where."""

    name: str
    type: str
    origin: str
    file: str


@dataclass(frozen=True, slots=True)
class _Site:
    """A function that compares the roles: its text in front of the guard and from there on."""

    function: Definition
    guard: int
    """Where the guard begins in the function."""
    before: str
    behind: str


def propose(index: Index, report: Report, name: str, c: str) -> Proposal:
    """Return the candidates that let a role carry an input by what a set-up is handed.

    NAME is what people call the input, C the text that reads it.
    """
    roles = find_roles(index, Types(index))
    extended = find_extended(index, roles)
    if extended is None:
        return Proposal(())
    found: dict[tuple[Edit, ...], Candidate] = {}
    reasons: list[str] = []
    for context in report.contexts:
        site = _site(index, context)
        if site is None or not any(name in one.missing for one in context.fields):
            continue
        held = list(_held(index, context, site))
        word = re.findall(r"\w+", re.sub(r" & \w+$", "", c))[-1]
        for one in [each for each in held if re.search(rf"\b{word}\b", each.origin)] or held:
            width = 1 if one.type == "bool" else (_most(index, one) or 0).bit_length()
            if not width:
                what = f"{one.name} of {site.function.name}()"
                reasons.append(f"how many bits {what} takes is not known")
                continue
            value = Value(name, c, one.name, width, one.name)
            for candidate in _candidates(index, roles, extended, site, value):
                found[candidate.edits] = candidate
    return Proposal(tuple(found.values()), "; ".join(dict.fromkeys(reasons)))


def propose_bit(index: Index, report: Report, bit: Bit) -> Proposal:
    """Return the candidates that let a role carry a bit of a register that a set-up is handed.

    The member for that bit may hold the one of the vCPU's own registers: it takes the other
    value where a set-up uses that, or gets one beside it.
    """
    roles = find_roles(index, Types(index))
    extended = find_extended(index, roles)
    if extended is None:
        return Proposal(())
    found: dict[tuple[Edit, ...], Candidate] = {}
    for context in report.contexts:
        site = _site(index, context)
        if site is None or not any(bit.title in one.missing for one in context.fields):
            continue
        register = bit.register.lower()
        if re.search(rf"\b(?:u32|u64|unsigned long|ulong)\s+{register}\s*[,)=;]", site.before):
            for member in (bit.member, f"{context.context}_{bit.member}"):
                value = Value(bit.title, f"!!({register} & {bit.flag})", member, 1, register)
                for candidate in _candidates(index, roles, extended, site, value):
                    found[candidate.edits] = candidate
    return Proposal(tuple(found.values()))


def _candidates(
    index: Index, roles: Roles, extended: ExtendedRole, site: _Site, value: Value
) -> Iterator[Candidate]:
    """Yield the ways to let a member of the extended role take the value of a variable."""
    slot = extended.record.slots.get(value.member)
    if slot is not None and slot[1] < value.width:
        return
    declared = declaration_of(index, extended, value) if slot is None else ()
    if slot is None and not declared:
        return
    for where, statement, edit in _lines(index, roles, extended, site, value):
        yield Candidate(
            "handed", value.title, value.member, extended.record.tag,
            f"{extended.name}.{value.member}", (statement,), (where,), slot is None,
            (*declared, edit), value.width,
        )  # fmt: skip


def _site(index: Index, context: Context) -> _Site | None:
    """Return the function with the guard of a context, where that is an outermost statement."""
    file = index.file(context.place.file)
    for function in file.functions.get(context.place.function, ()) if file is not None else ():
        assert file is not None
        body = syntax.function(index.node(function))
        block = body.child_by_field_name("body") if body is not None else None
        at = file.offset(context.place.line, context.place.column) - function.start
        for one in block.named_children if block is not None else ():
            if one.start_byte <= at < one.end_byte and one.type == "if_statement":
                plain = strip_comments(function.text)
                parts = (plain[: one.start_byte], plain[one.start_byte :])
                before, behind = (part.decode("utf-8", "replace") for part in parts)
                return _Site(function, one.start_byte, before, behind)
    return None


# -- what a set-up holds ------------------------------------------------------------------


def _held(index: Index, context: Context, site: _Site) -> Iterator[_Held]:
    """Yield the numbers that a set-up has in front of its guard and uses from there on."""
    given = _arguments(index, context, site.function)
    for match in _NUMBER.finditer(site.before):
        type_, name = match.groups()
        if re.search(rf"\b{name}\b", site.behind) is None:
            continue
        value = re.match(r"\s*=([^;]*)", site.before[match.end() :])
        if value is not None:
            yield _Held(name, type_, value[1].strip(), site.function.file)
        elif name in given:
            yield _Held(name, type_, *given[name])


def _arguments(
    index: Index, context: Context, function: Definition
) -> Mapping[str, tuple[str, str]]:
    """Return what a function is called with on a path: by parameter the C text, and its file."""
    at = context.entry.index(function.name) if function.name in context.entry else 0
    for _, caller in index.users(function.name) if at else ():
        if caller.name != context.entry[at - 1]:
            continue
        plain = strip_comments(caller.text).decode("utf-8", "replace")
        for call in _CALL.finditer(plain):
            if call[1] == function.name:
                texts = map(_unfolded, split_arguments(call[2][1:-1]))
                sources = ((_value_of(plain[: call.start()], one), caller.file) for one in texts)
                return dict(zip(parameter_names(function), sources, strict=False))
    return {}


def _unfolded(text: str) -> str:
    return " ".join(text.split())


def _value_of(before: str, name: str) -> str:
    """Return what a variable is set to in some text, once; the name itself where it is not."""
    found = re.findall(rf"\b{re.escape(name)}\s*=(?!=)([^;]*);", before)
    return found[0].strip() if len(found) == 1 else name


def _most(index: Index, held: _Held) -> int | None:
    """Return the greatest number that a variable is set to, where a call returns constants."""
    call = re.match(r"(\w+)\s*\(", held.origin)
    most: list[int] = []
    for one in index.functions(call[1], held.file) if call is not None else ():
        plain = strip_comments(one.text).decode("utf-8", "replace")
        for returned in re.findall(r"\breturn\b([^;]*);", plain):
            for text in re.split(r"[?:]", returned)[returned.count("?") > 0 :]:
                number = Types(index).number(text, one.file)
                number = _enumerated(index, text.strip(), one.file) if number is None else number
                if number is None:
                    return None
                most.append(number)
    return max(most, default=None)


def _enumerated(index: Index, name: str, here: str) -> int | None:
    """Return the value of an enumerator."""
    for one in index.enumerators(name, here) if re.fullmatch(r"[A-Za-z_]\w*", name) else ():
        plain = strip_comments(one.text).decode("utf-8", "replace")
        value: int | None = -1
        for each in plain.partition("{")[2].partition("}")[0].split(","):
            word, _, number = (part.strip() for part in each.partition("="))
            if number:
                value = Types(index).number(number, one.file)
            elif value is not None:
                value += 1
            if word == name:
                return value
    return None


# -- where the role is told ---------------------------------------------------------------


def _lines(
    index: Index, roles: Roles, extended: ExtendedRole, site: _Site, value: Value
) -> Iterator[tuple[str, str, Edit]]:
    """Yield where a member can take a value: function, statement, insertion.

    That is the value of the variable of its own name, or the C of one.
    """
    name, is_bit = value.member, value.member != value.holder
    for call in _CALL.finditer(site.before):
        given = [_unfolded(one) for one in split_arguments(call[2][1:-1])]
        handed = name in given and not is_bit
        for callee in index.functions(call[1], site.function.file) if handed else ():
            stores = list(stores_in(index, callee, extended))
            named = dict(zip(given, parameter_names(callee), strict=False))
            data = index.original(callee.file)
            for store in anchors(callee, stores):
                statement = f"{store.prefix}{name} = {named[name]};"
                start = data.rfind(b"\n", 0, store.start) + 1
                text = data[start : store.start] + statement.encode() + b"\n"
                # What tells that a role is valid stays last.
                at = after_line(data, store.end) if store.member != "valid" else start
                yield callee.name, statement, Edit(callee.file, at, 0, text)
    data = index.original(site.function.file)
    start = data.rfind(b"\n", 0, site.function.start + site.guard) + 1
    indent = data[start : site.function.start + site.guard]
    for role in _compared(roles, extended, site) if not indent.strip() else ():
        statement = f"{role}.{extended.name}.{name} = {value.c if is_bit else name};"
        text = indent + statement.encode() + b"\n"
        # It joins assignments to the role that stand there.
        lines = data[:start].split(b"\n")[-3:]
        beside = len(lines) == 3 and not any(lines[1:]) and lines[0].strip().startswith(
            f"{role}.".encode()
        )  # fmt: skip
        at, text = (start - 1, text) if beside else (start, text + b"\n")
        yield site.function.name, statement, Edit(site.function.file, at, 0, text)


def _compared(roles: Roles, extended: ExtendedRole, site: _Site) -> Iterator[str]:
    """Yield the roles that a guard compares and that its function has as variables."""
    for tag in {
        inner.tag
        for owner, names in roles.shape.contexts.items()
        for one in names
        if isinstance(inner := roles.contexts[owner].by_name[one][1], RecordType)
        and extended.name in inner.by_name
    }:
        for name in re.findall(rf"\bunion\s+{tag}\s+(\w+)\s*[=,;)]", site.before):
            if re.search(rf"\b{name}\s*\.", site.behind.partition("{")[0].partition(";")[0]):
                yield name
