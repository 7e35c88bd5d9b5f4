# SPDX-License-Identifier: GPL-2.0-only
"""Where stored roles could be made invalid when an input of theirs changes.

In: an index, a report on its tree, inputs.  Out: candidates, each a few stores to the member
that every calculated role has set, in a function that runs behind each change: beside stores
of that kind if there are any, else in front of the call that sets the contexts up again.
Nothing here tells whether a candidate helps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from patchtool.c import syntax
from patchtool.c.asked import asked
from patchtool.c.brackets import BRACES, around
from patchtool.c.index import Index
from patchtool.c.layout import RecordType, Types
from patchtool.c.scan import Definition, strip_comments
from patchtool.model import Report
from patchtool.repair.edit_sites import (
    Candidate,
    Edit,
    Proposal,
    after_line,
    calculators,
    find_extended,
)
from patchtool.repair.register_access import parameters
from patchtool.world.entries import told_members
from patchtool.world.inputs.births import is_born
from patchtool.world.inputs.invalidation import is_certain
from patchtool.world.inputs.tellers import tellers
from patchtool.world.roles import Roles, find_roles

_DEPTH = 3
"""How many calls may lie between a change and what runs behind it."""


def propose(index: Index, report: Report, name: str, texts: Sequence[str]) -> Proposal:
    """Return the candidates that invalidate the roles behind a change of some inputs.

    They are given by the C TEXTS that read them; NAME is what people call the first.
    """
    roles = find_roles(index, Types(index))
    below = _always_set(index, report, roles)
    if below is None:
        return Proposal((), "no member tells a role that is valid from one that is not")
    members = [member for text in texts for member in _held_in(index, text)]
    writers = list(_writers(index, members))
    if not writers:
        stored = " or ".join(dict.fromkeys(members)) or texts[0]
        return Proposal((), f"no plain store to {stored} was found, behind which to invalidate")
    contexts = _contexts(index, report)
    found = []
    handle = f"struct {index.target.handle}"
    for function in _behind(index, writers):
        for vcpu in (one.name for one in parameters(function) if one.type == handle):
            lines = [
                f"{vcpu}->arch.{context}.{role}.{below} = 0;"
                for context in contexts
                for role in _roles_of(roles, below)
            ]
            edit = _edit(index, report, function, vcpu, lines)
            if edit is not None:
                statements = tuple(line for line in lines if line.encode() in edit.text)
                found.append(
                    Candidate(
                        "invalidation", name, below, "", below, statements,
                        (function.name,), False, (edit,),
                        contexts=tuple(c for c in contexts if f".{c}." in "".join(statements)),
                    )
                )  # fmt: skip
    if found:
        return Proposal(tuple(found))
    told = " or ".join(dict.fromkeys(f"{one.name}()" for one in writers))
    return Proposal((), f"no function behind {told} sets the contexts up again")


def advice(index: Index, report: Report, name: str, text: str) -> str:
    """Say what to do where no candidate helps against the change of an input, that TEXT reads."""
    below = _always_set(index, report, find_roles(index, Types(index)))
    changing = list(_writers(index, _held_in(index, text)))
    # What sets up a template that vCPUs are born with has none at hand.
    near = [one for one in changing if _has_handle(index, one)] or changing
    writers = [f"{one.name}()" for one in near]
    missing = {c.context for c in report.contexts for one in c.fields if name in one.missing}
    contexts = [context for context in _contexts(index, report) if context in missing]
    where = f"in {' and '.join(writers)}" if writers else "wherever it changes"
    role = "role" if len(contexts) == 1 else "roles"
    what = f"store 0 to {below} of the {role}" if below is not None else f"invalidate the {role}"
    return f"{what} of {' and '.join(contexts) or 'that context'} {where}"


def is_told(index: Index, text: str) -> bool:
    """Tell whether C reads what user space tells a guest of its CPU."""
    called = re.match(r"(\w+)\((.*)\)", text)
    queried = called is not None and (
        asked(index, called[1], index.target.main, re.split(r",\s*", called[2])) == "guest"
    )
    return queried or re.split(r"->|\.", text)[-1] in index.target.registers.computed


def _held_in(index: Index, text: str) -> tuple[str, ...]:
    """Return the members that an input is kept in, or looked up in, by the C that reads it."""
    if is_told(index, text) and "(" in text:
        return told_members(index)
    path = re.fullmatch(r".*(?:->|\.)(\w+)(?: & \w+)?", text, re.DOTALL)
    return (path[1],) if path is not None else ()


def _contexts(index: Index, report: Report) -> list[str]:
    """Return the contexts of a report that a vCPU holds by their name."""
    host = Types(index).record(f"struct {index.target.host}", index.target.header)
    held = host.by_name if isinstance(host, RecordType) else {}
    return [name for name in dict.fromkeys(c.context for c in report.contexts) if name in held]


def _always_set(index: Index, report: Report, roles: Roles) -> str | None:
    """Return the member below a role that each calculated role has set, as ``ext.valid``."""
    extended = find_extended(index, roles)
    if extended is None:
        return None
    for function, stores in calculators(index, report, extended):
        for one in stores:
            plain = strip_comments(function.text)
            outermost = around(plain, one.start - function.start, BRACES) == plain.find(b"{")
            is_bit = extended.record.slots[one.member][1] == 1
            if outermost and is_bit and one.value in ("1", "true"):
                return f"{extended.name}.{one.member}"
    return None


def _roles_of(roles: Roles, below: str) -> Iterator[str]:
    """Yield the members of a context whose role has a member."""
    for tag, names in roles.shape.contexts.items():
        for name in sorted(names):
            inner = roles.contexts[tag].by_name[name][1]
            if isinstance(inner, RecordType) and below in inner.slots:
                yield name


def _writers(index: Index, members: Sequence[str]) -> Iterator[Definition]:
    """Yield the functions that store some members, those that bring a vCPU up aside."""
    some = {one.key: one for one, _ in tellers(index, members)}
    yield from (one for one in some.values() if not is_born(index, one))


def _has_handle(index: Index, function: Definition) -> bool:
    """Tell whether a function is given a vCPU, or what a vCPU is part of."""
    handle = f"struct {index.target.handle}"
    held = re.compile(rb"\b%s\s+\w+\s*;" % handle.encode())
    return any(
        one.type == handle
        or any(held.search(record.text) for record in index.record(one.type, function.file))
        for one in parameters(function)
    )


def _behind(index: Index, writers: Sequence[Definition]) -> Iterator[Definition]:
    """Yield the functions that run behind a change: where it is made, and what is called there."""
    todo = [(one, 0) for one in writers]
    seen = {one.key for one in writers}
    while todo:
        function, depth = todo.pop(0)
        yield function
        for match in syntax.matches("call_site", index.node(function)) if depth < _DEPTH else ():
            for one in index.functions(syntax.text(match["call.function"][0]), function.file):
                if one.key not in seen:
                    seen.add(one.key)
                    todo.append((one, depth + 1))


def _edit(
    index: Index, report: Report, function: Definition, vcpu: str, lines: Sequence[str]
) -> Edit | None:
    """Return the insertion of those lines that a function does not have; None for no place."""
    plain = strip_comments(function.text)
    absent = [line for line in lines if line.encode() not in plain]
    data = index.original(function.file)
    spot = _beside(function, lines) if len(absent) < len(lines) else None
    if spot is not None:
        at = after_line(data, spot)
    else:
        found = _set_up_again(index, report, function, vcpu)
        if found is None:
            return None
        at = data.rfind(b"\n", 0, found) + 1
    if not absent:
        return None
    text = "".join(f"\t{line}\n" for line in absent).encode()
    return Edit(function.file, at, 0, text)


def _beside(function: Definition, lines: Sequence[str]) -> int | None:
    """Return where the last store of that kind ends."""
    ends = [
        function.start + found.end()
        for line in lines
        for found in re.finditer(re.escape(line.encode()), strip_comments(function.text))
    ]
    return max(ends, default=None)


def _set_up_again(index: Index, report: Report, function: Definition, vcpu: str) -> int | None:
    """Return where a statement of a function begins that sets the contexts of a vCPU up again.

    It is one of the outermost, and every way through the function comes by it.
    """
    names = _resets(index, report)
    if function.name in names:
        return None  # then no set-up would ever be skipped
    root = index.node(function)
    body = syntax.function(root)
    block = body.child_by_field_name("body") if body is not None else None
    if body is None or block is None:
        return None
    for statement in block.named_children:
        called = re.fullmatch(rf"(\w+)\(\s*{vcpu}\b[^;]*\);", syntax.text(statement), re.DOTALL)
        if called is not None and called[1] in names:
            return function.start + statement.start_byte if is_certain(statement, body) else None
    return None


def _resets(index: Index, report: Report) -> set[str]:
    """Return the entries to the set-ups, and the functions that call one."""
    entries = {context.entry[0] for context in report.contexts if context.entry}
    callers = {
        one.name
        for entry in entries
        for _, one in index.users(entry)
        if re.search(rb"\b%s\s*\(" % entry.encode(), one.text[one.text.find(b"{") :])
    }
    return entries | callers
