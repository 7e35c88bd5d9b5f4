# SPDX-License-Identifier: GPL-2.0-only
"""Arguments that mean the same for every command.

In: a parser, or what it has parsed.  Out: the arguments in it, or what they ask for.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from patchtool.errors import UsageError

if TYPE_CHECKING:
    from patchtool.rules.table import Rule


class _Usual:
    """Spells what is usual in a help text; the rules are imported for that alone."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __str__(self) -> str:
        from patchtool.rules.table import USUAL

        return USUAL.name if self._what == "rule" else ",".join(USUAL.usual)


def add_question(parser: argparse.ArgumentParser) -> None:
    """Add which rule to ask, and of which fields."""
    for what, value, text in (
        ("rule", "NAME", "the rule to ask; 'patchtool rules' lists them (default: %(usual)s)"),
        ("fields", "NAME[,NAME...]", "the fields to decide (default: %(usual)s)"),
    ):
        action = parser.add_argument(f"--{what}", metavar=value, help=text)
        action.usual = _Usual(what)  # type: ignore[attr-defined]


def add_form(parser: argparse.ArgumentParser, what: str) -> None:
    """Add how to print WHAT a command prints, where text and JSON are all that there is."""
    forms = ("text", "json")
    words = f"the form of the {what}: {' or '.join(forms)} (default: text)"
    parser.add_argument("--format", choices=forms, default="text", metavar="FORMAT", help=words)


def asked(arguments: argparse.Namespace) -> tuple[Rule, tuple[str, ...]]:
    """Return the rule to ask and the fields to decide; UsageError where there are none such."""
    from patchtool.rules.table import USUAL, named

    rule = USUAL if arguments.rule is None else named(arguments.rule)
    if arguments.fields is None:
        return rule, rule.usual
    names = tuple(name.strip() for name in arguments.fields.split(","))
    for name in names:
        if not (name.isascii() and name.isidentifier()):
            raise UsageError(f"--fields: {name!r} is not the name of a member of {rule.holder}")
    return rule, names
