# SPDX-License-Identifier: GPL-2.0-only
"""The errors that a person can cause and mend.

PatchtoolError            one sentence: what, where, what to do; exit status 2
+-- UsageError            the command line or the configuration asks for something impossible
|   +-- NoMember          a field that the tree does not have
+-- InputError            a tree, a revision or a file cannot be read
    +-- PatchError        a patch does not parse, does not fit, or leaves the tree

C that is not understood is no error but a verdict; a bug in patchtool is a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable


class PatchtoolError(Exception):
    """Root of everything that the command line reports in one sentence."""


class UsageError(PatchtoolError):
    """The request itself cannot be carried out."""


class NoMember(UsageError):
    """A field is asked for that no context of the tree has; ``name`` is the field."""

    def __init__(self, name: str, told: str) -> None:
        super().__init__(told)
        self.name = name


class InputError(PatchtoolError):
    """A tree, a revision or a file cannot be read."""


class PatchError(InputError):
    """A patch does not parse, does not apply, or reaches outside the tree."""


def cause(error: Exception) -> str:
    """Return why the system refused something, to stand at the end of a sentence."""
    said = getattr(error, "strerror", None) or str(error) or "unknown reason"
    return str(said).lower()


def meant(given: str, known: Iterable[str]) -> str:
    """Return a question for what was probably meant, "" where nothing is near."""
    from difflib import get_close_matches

    close = get_close_matches(given, list(known), 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
