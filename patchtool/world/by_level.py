# SPDX-License-Identifier: GPL-2.0-only
"""Which tables are read by the level that a walk of page tables has come to.

In: the name of a member.  Out: whether all of the target's text reads it so: a row for entries
that map a large page, a column for each level.  An element is then read only where a walk leads
to its level.
"""

from __future__ import annotations

import re

from patchtool.c import syntax
from patchtool.c.index import Index
from patchtool.c.scan import Definition, places, strip_comments

_NUMBERED = re.compile(rb"\s*\[\s*\d+\s*\]\s*\[\s*\d+\s*\]")
_STORED = re.compile(
    rb"\s*(?:\[(?:[^\[\]]|\[[^\[\]]*\])*\]\s*)*+(?:(?:[-+|&^*/%]|<<|>>)?=(?!=)|\+\+|--)"
)


def is_read_by_level(index: Index, member: str) -> bool:
    """Tell whether a member is a table that is read by level, or at a place that is a number.

    A function that stores to it sets it up, and is not looked at.
    """
    word, found = member.encode(), False
    for _, function in index.users(member):
        plain = strip_comments(function.text)
        ends = [at + len(word) for at in places(plain, word)]
        if any(_STORED.match(plain, end) for end in ends):
            continue
        others = sum(_NUMBERED.match(plain, end) is None for end in ends)
        if others != _reads_by_level(index, function, member):
            return False
        found = found or others > 0
    return found and not _is_named_by_macro(index, word)


def _is_named_by_macro(index: Index, word: bytes) -> bool:
    return any(
        True
        for file in index.files_with(word)
        for _ in file.macros_around(list(places(file.data, word)))
    )


def _reads_by_level(index: Index, function: Definition, member: str) -> int:
    """Return how often a function reads a member by level."""
    body = syntax.function(index.node(function))
    return sum(
        syntax.text(match["table.member"][0]) == member
        and _tells_large(index, function, match["table.row"][0])
        for match in (syntax.matches("level_reader", body) if body is not None else ())
    )


def _tells_large(
    index: Index, function: Definition, row: syntax.Node, is_bool: bool = False, depth: int = 0
) -> bool:
    """Tell whether a row of a table is the second one for an entry that maps a large page.

    IS_BOOL says that any value but 0 is made 1.
    """
    if row.type == "identifier":
        given = _given(index, function, syntax.text(row))
        if given is None:
            return False
        row, is_bool = given
    while row.type == "parenthesized_expression":
        row = syntax.inner(row)[0]
    kinds = ("large", "large.truth") if is_bool else ("large",)
    for match in syntax.matches("large_page", row):
        if any(row in match.get(kind, ()) for kind in kinds):
            return True
    called = row.child_by_field_name("function") if row.type == "call_expression" else None
    helpers = index.functions(syntax.text(called), function.file) if called is not None else ()
    return bool(helpers) and depth < 1 and all(_yields_large(index, one) for one in helpers)


def _yields_large(index: Index, function: Definition) -> bool:
    """Tell whether a function does nothing but to yield that row."""
    body = syntax.function(index.node(function))
    block = syntax.inner(body.child_by_field_name("body")) if body is not None else []
    if body is None or len(block) != 1 or block[0].type != "return_statement":
        return False
    value = next(iter(syntax.inner(block[0])), None)
    return value is not None and _tells_large(index, function, value, _is_bool(body), 1)


def _given(index: Index, function: Definition, name: str) -> tuple[syntax.Node, bool] | None:
    """Return the one value that a variable is given, and whether it is a bool; None for several."""
    root = index.node(function)
    values = [
        (right, _is_bool(one.parent))
        for one in syntax.descendants(root)
        if one.type in _GIVING
        for left, right in (map(one.child_by_field_name, _GIVING[one.type]),)
        if left is not None and right is not None and syntax.text(left) == name
    ]
    return values[0] if len(values) == 1 else None


def _is_bool(node: syntax.Node | None) -> bool:
    declared = node.child_by_field_name("type") if node is not None else None
    return declared is not None and syntax.text(declared) in ("bool", "_Bool")


_GIVING = {"init_declarator": ("declarator", "value"), "assignment_expression": ("left", "right")}
"""What gives a variable a value, and which parts of it are the variable and the value."""
