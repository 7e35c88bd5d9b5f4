# SPDX-License-Identifier: GPL-2.0-only
"""Words that the preprocessor is asked for, and that the text defines itself.

In: a tree and a word.  Out: whether all that ask for it get the same answer.  A word that
nothing in the text defines comes from the configuration, which is one for the whole build.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from patchtool.c.scan import places, strip_comments
from patchtool.c.texts import Texts

_DIRECTIVE = re.compile(rb"^[ \t]*#[ \t]*(\w+)", re.MULTILINE)
_ASKING = frozenset((b"if", b"ifdef", b"ifndef", b"elif"))
_DEFAULT = rb"^[ \t]*#[ \t]*ifndef[ \t]+%b[ \t]*\n[ \t]*#[ \t]*define[ \t]+%b\b"
"""What is defined only where nothing else defines it; what is around a header is of this form."""


class _Uses(NamedTuple):
    """Where one file defines a word, or takes its definition away, and where it asks for it."""

    path: str
    defined: list[int]
    asked: list[int]
    forms: set[bool]
    """Whether it asks for the value, and not for a definition alone."""


def varies(texts: Texts, word: str) -> bool:
    """Tell whether a word may be defined at one ``#if`` of the target's text and not at another.

    It does not where it is defined before it is asked for, in one file that all others that
    ask for it include.  To ask whether it is defined is not to ask for its value.
    """
    paths = dict.fromkeys((texts.target.header, *texts.own_with(word.encode())))
    found = [_uses(texts, path, word.encode()) for path in paths]
    defining = [one for one in found if one.defined]
    if not defining:
        return False
    (first, *more) = defining
    if more or (first.asked and first.defined[-1] > first.asked[0]):
        return True
    if len({how for one in found for how in one.forms}) > 1:
        return True
    return any(
        one.asked and one is not first and first.path not in texts.scope(one.path) for one in found
    )


def _uses(texts: Texts, path: str, word: bytes) -> _Uses:
    data = strip_comments(texts.text(path) or b"").replace(b"\\\n", b"  ")
    name = re.escape(word)
    defaults = [one.span() for one in re.finditer(_DEFAULT % (name, name), data, re.MULTILINE)]
    uses = _Uses(path, [], [], set())
    for at in places(data, word):
        if any(low <= at < high for low, high in defaults):
            continue
        directive = _DIRECTIVE.match(data, data.rfind(b"\n", 0, at) + 1)
        if directive is None:
            continue
        if directive[1] in _ASKING:
            uses.asked.append(at)
            lead = data[directive.end() : at].rstrip(b" \t(")
            uses.forms.add(not directive[1].endswith(b"def") and not lead.endswith(b"defined"))
        elif directive[1] in (b"define", b"undef") and data[directive.end() : at].isspace():
            uses.defined.append(at)
    return uses
