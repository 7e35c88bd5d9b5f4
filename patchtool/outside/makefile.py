# SPDX-License-Identifier: GPL-2.0-only
"""The statements of a makefile, as make reads them, none left out.

In: the text of a makefile.  Out: each of its statements, by what it does, with its line.
Nothing is expanded, and what is none of the kinds is told as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_CONDITION = re.compile(r"(?:else\b\s*)?(?:ifn?eq\b|ifn?def\b).*|else|endif")
_INCLUDE = re.compile(r"(?:-|s)?include\s+(.*)")
_DEFINE = re.compile(r"define\s+([\w-]+)\s*=?")
_UNDEFINE = re.compile(r"undefine\s+([\w-]+)")
_SETS = r"([^\s:=#+?!]+)\s*(?:::?:?|[+?!])?="
_ASSIGNMENT = re.compile(_SETS + r"\s*(.*)")
_FOR_TARGETS = re.compile(r"([^=]+?)\s*::?\s*" + _SETS + r"\s*(.*)")
_RULE = re.compile(r"([^=;]+?)\s*::?(?:\s+([^=;]*))?")
_CALL = re.compile(r"\$\((\w+)\s((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)")
_COMMENT = re.compile(r"(?<!\\)#.*")


class Statement(NamedTuple):
    """One statement of a makefile.

    ``kind`` is "condition", "include", "undefine", "assignment", "rule", "recipe", "call" of a
    function of make's own, or "other".  ``name`` is that of what is assigned or called, ``targets``
    are those of a rule, or of an assignment for some alone; ``words`` are the rest.  What stands
    in a variable of several lines has the ``variable``.
    """

    line: int
    kind: str
    name: str = ""
    targets: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    variable: str = ""


def statements(text: str) -> Iterator[Statement]:
    """Yield the statements of a makefile, in their order."""
    variable, is_rule = "", False
    for number, line in _lines(text):
        bare = _COMMENT.sub("", line).strip()
        if line.startswith("\t") and is_rule:
            yield Statement(number, "recipe", words=tuple(line.split()))
        elif not bare:
            continue
        elif variable and bare == "endef":
            variable = ""
        elif not variable and (found := _DEFINE.fullmatch(bare)) is not None:
            variable = found[1]
            yield Statement(number, "assignment", variable)
        else:
            said = _statement(number, bare.replace("$$", "$") if variable else bare)
            is_rule = said.kind == "rule" or (is_rule and said.kind == "condition")
            yield said._replace(variable=variable)


def _statement(number: int, bare: str) -> Statement:
    """Return what a line says that is no recipe, and no part of a definition."""
    if _CONDITION.fullmatch(bare) is not None:
        return Statement(number, "condition", words=_words(bare))
    if (found := _CALL.fullmatch(bare)) is not None and len(_words(bare)) == 1:
        return Statement(number, "call", found[1], words=_words(found[2]))
    if (found := _INCLUDE.fullmatch(bare)) is not None:
        return Statement(number, "include", words=_words(found[1]))
    if (found := _UNDEFINE.fullmatch(bare)) is not None:
        return Statement(number, "undefine", found[1])
    if (found := _ASSIGNMENT.fullmatch(bare)) is not None:
        return Statement(number, "assignment", found[1], words=_words(found[2]))
    if (found := _FOR_TARGETS.fullmatch(bare)) is not None:
        return Statement(number, "assignment", found[2], _words(found[1]), _words(found[3]))
    if (found := _RULE.fullmatch(bare)) is not None:
        return Statement(number, "rule", targets=_words(found[1]), words=_words(found[2] or ""))
    return Statement(number, "other", words=_words(bare))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines as make reads them: one that ends in a backslash goes on."""
    number, begun, parts = 1, 1, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        begun = begun if parts else number
        if line.endswith("\\"):
            parts.append(line[:-1])
            continue
        yield begun, " ".join([*parts, line])
        parts = []
    if parts:
        yield begun, " ".join(parts)


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a text; what stands in brackets behind a dollar is of one word."""
    found, begun, depth = list[str](), None, 0
    for at, sign in enumerate(f"{text} "):
        depth += (sign in "({") - (sign in ")}")
        if not sign.isspace():
            begun = at if begun is None else begun
        elif begun is not None and depth <= 0:
            found.append(text[begun:at])
            begun = None
    return tuple(found) if begun is None else (*found, text[begun:])
