# SPDX-License-Identifier: GPL-2.0-only
"""``patchtool explain``: what a rule finds, why it matters, and what it cannot see.

In: the name of a rule.  Out: its page; without a name, the list of rules.
"""

from __future__ import annotations

import argparse

from patchtool.report.layout import columns, show
from patchtool.rules.documentation import as_text
from patchtool.rules.table import RULES, named

_ABOUT = "Print the page of a rule; without one, list the rules."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = _ABOUT
    parser.add_argument("rule", nargs="?", metavar="RULE", help="the name in the report")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a page or the list and return the exit status."""
    if arguments.rule is None:
        show("".join(f"{name}: {rule.page.title}\n" for name, rule in RULES.items()))
        return 0
    page = named(arguments.rule).page
    show(as_text(page, min(columns(), 88)))
    return 0
