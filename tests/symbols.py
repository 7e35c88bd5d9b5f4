# SPDX-License-Identifier: GPL-2.0-only
"""Symbols by short names, the same one for the same name.

``efer#8`` is a bit of a word, ``x`` the lowest one, ``x@1`` its copy in a run; a word
whose name begins with a question mark was not understood.
"""

from functools import cache

from patchtool.proof.bits import Symbol, Word


@cache
def word(name: str) -> Word:
    """Return the word of a name."""
    return Word(name, opaque=name.startswith("?"))


def symbol(name: str) -> Symbol:
    """Return the symbol of a name."""
    stem, _, run = name.partition("@")
    stem, _, position = stem.partition("#")
    one = word(stem).bit(int(position or 0))
    return one.copy(run) if run else one
