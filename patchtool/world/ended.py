# SPDX-License-Identifier: GPL-2.0-only
"""Where what all holders share is given up: it is marked so, and nothing of it runs again.

In: a condition.  Out: the holder of which it tells that, if it does.  The mark counts where the
text refuses what user space asks of a holder while it stands, and a check that yields its first
argument where the text stores the mark if that holds.
"""

from __future__ import annotations

import re

from patchtool.c import library
from patchtool.c.conditions import dense
from patchtool.c.index import Index
from patchtool.c.scan import Definition, strip_comments
from patchtool.c.syntax import Node, arguments, inner, text

_OF_HOLDER = re.compile(r"(\w+)->(\w+)")
_MAX_CALLS = 3


def ended(index: Index, condition: Node | None, function: Definition) -> str | None:
    """Return the variable of a function whose holder runs no more where a condition holds."""
    here = condition
    while here is not None:
        kind, within = here.type, inner(here)
        if kind in ("parenthesized_expression", "condition_clause") and len(within) == 1:
            here = within[0]
        elif kind == "call_expression" and _called(here) in library.LIKELY:
            here = next(iter(arguments(here)), None)
        else:
            break
    if here is None:
        return None
    if here.type == "binary_expression" and text(here.children[1]) == "&&":
        sides = (here.child_by_field_name(one) for one in ("left", "right"))
        return next((by for one in sides if (by := ended(index, one, function))), None)
    if here.type == "call_expression":
        given = arguments(here)
        is_check = re.fullmatch(index.target.checking, _called(here)) and len(given) > 1
        is_mark = is_check and _marks(index, _called(here), function.file)
        return _holder(index, text(given[1]), function) if is_mark else None
    if here.type == "field_expression":
        field, base = (here.child_by_field_name(one) for one in ("field", "argument"))
        if field is not None and base is not None and _is_refused(index, text(field)):
            return _holder(index, text(base), function)
    return None


def _called(call: Node) -> str:
    callee = call.child_by_field_name("function")
    return text(callee) if callee is not None else ""


def _holder(index: Index, shared: str, function: Definition) -> str | None:
    """Return the variable whose holder has what an expression is, as what all of them share."""
    spelt = dense(shared)
    if spelt.isidentifier():
        body = strip_comments(function.text)
        given = re.findall(rb"(?<![\w.>])%b\s*=(?!=)([^;,]*)" % spelt.encode(), body)
        spelt = dense(given[0].decode("utf-8", "replace")) if len(given) == 1 else ""
    found = _OF_HOLDER.fullmatch(spelt)
    if found is None or _shared_by(index) != {found[2]}:
        return None
    return found[1]


def _shared_by(index: Index) -> set[str]:
    """Return the members of a holder that point to what all of them share, of such a type."""
    target = index.target
    pointer = re.compile(rb"\bstruct\s+%b\s*\*\s*(\w+)\s*;" % target.shared.encode())
    records = index.record(f"struct {target.handle}", target.main)
    texts = (strip_comments(one.text) for one in records)
    return {name.decode() for one in texts for name in pointer.findall(one)}


def _is_refused(index: Index, mark: str) -> bool:
    """Tell whether user space is refused what it asks of a holder while a mark stands."""
    facts = index.target.ended
    if mark not in facts.marks:
        return False
    refused = re.compile(rb"\bif\s*\([^;{}]*->\s*%b\s*\)\s*return\s+-\w+;" % mark.encode())
    found = [
        one
        for folder in index.target.generic
        for path in index.source.walk(folder)
        if path.endswith(".c") and facts.asked.encode() in index.words_in(path)
        for one in index.functions(facts.asked, path)
    ]
    return bool(found) and all(refused.search(strip_comments(one.text)) for one in found)


def _marks(index: Index, name: str, here: str, depth: int = 0) -> bool:
    """Tell whether what is called by a name stores a mark that counts, if by another call."""
    some = (*index.functions(name, here), *index.macros(name, here))
    return depth < _MAX_CALLS and bool(some) and all(_stores(index, one, depth) for one in some)


def _stores(index: Index, one: Definition, depth: int) -> bool:
    plain = strip_comments(one.text)
    stored = re.findall(rb"->\s*(\w+)\s*=\s*true\s*;", plain)
    return any(_is_refused(index, mark.decode()) for mark in stored) or any(
        _marks(index, called.decode(), one.file, depth + 1)
        for called in re.findall(rb"[;{})\\]\s*(\w+)\s*\(\s*\w+\s*\)\s*;", plain)
    )
