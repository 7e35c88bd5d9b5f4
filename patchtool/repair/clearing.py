# SPDX-License-Identifier: GPL-2.0-only
"""Where a field that a set-up only adds to could be cleared first.

In: an index, a report on its tree, a field.  Out: candidates, each one store of 0 in front of
the outermost statement that adds to the field.  Nothing here tells whether one helps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchtool.c import syntax
from patchtool.c.index import Index
from patchtool.c.layout import IntType, RecordType, Types, settled
from patchtool.c.scan import Definition, strip_comments
from patchtool.model import Report
from patchtool.repair.edit_sites import Candidate, Edit, Proposal
from patchtool.world.roles import find_roles


def propose(index: Index, report: Report, field: str) -> Proposal:
    """Return the candidates that clear a field of a context before bits are added to it."""
    roles = find_roles(index, Types(index))
    if not any(_is_number(record, field) for record in roles.contexts.values()):
        return Proposal((), f"{field} is no plain number; clear each element before it is added to")
    found = []
    for one in report.ledger:
        file = index.file(one.file) if one.kind == "function" else None
        for function in file.functions.get(one.name, ()) if file is not None else ():
            found += list(_candidates(index, function, field))
    if not found:
        return Proposal((), f"no statement that adds to {field} was found; clear it first")
    return Proposal(tuple(found))


def _is_number(record: RecordType, field: str) -> bool:
    known = record.by_name.get(field)
    return known is not None and isinstance(settled(known[1]), IntType)


def _candidates(index: Index, function: Definition, field: str) -> Iterator[Candidate]:
    """Yield stores in front of the first statement of a function that adds to a field."""
    plain = strip_comments(function.text)
    name = re.escape(field.encode())
    added = re.search(rb"(\w+(?:(?:->|\.)\w+)*(?:->|\.)%s)\s*[|+^]=" % name, plain)
    body = syntax.function(index.node(function))
    block = body.child_by_field_name("body") if body is not None else None
    if added is None or block is None:
        return
    outer = next(
        (n for n in block.named_children if n.start_byte <= added.start() < n.end_byte), None
    )
    if outer is None or outer.type == "declaration":
        return
    data = index.original(function.file)
    at = data.rfind(b"\n", 0, function.start + outer.start_byte) + 1
    indent = data[at : function.start + outer.start_byte]
    if indent.strip():
        return
    statement = f"{added[1].decode()} = 0;"
    edit = Edit(function.file, at, 0, indent + statement.encode() + b"\n")
    yield Candidate(
        "clearing", field, field, "", field, (statement,), (function.name,), False, (edit,)
    )  # fmt: skip
