# SPDX-License-Identifier: GPL-2.0-only
"""``patchtool rules``: every rule, for people and for programs.

In: the table of rules.  Out: a line for each, or one JSON document.
"""

from __future__ import annotations

import argparse
import json

from patchtool.commands.arguments import add_form
from patchtool.report.layout import show
from patchtool.report.words import identifier
from patchtool.rules.documentation import HEADINGS
from patchtool.rules.table import RULES

_ABOUT = "List the rules; 'patchtool explain RULE' prints the page of one."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = _ABOUT
    add_form(parser, "list")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the list and return the exit status."""
    if arguments.format == "json":
        show(_document())
    else:
        show("".join(f"{name}: {rule.page.title}\n" for name, rule in RULES.items()))
    return 0


def _document() -> str:
    body = {
        "version": 1,
        "rules": [
            {
                "rule": name,
                "type": identifier(name),
                "title": rule.page.title,
                "fields": list(rule.fields),
                "page": [
                    {"heading": heading, "text": rule.page.sections[heading]}
                    for heading in HEADINGS
                ],
            }
            for name, rule in RULES.items()
        ],
    }
    return json.dumps(body, indent=2) + "\n"
