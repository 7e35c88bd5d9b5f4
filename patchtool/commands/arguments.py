# SPDX-License-Identifier: GPL-2.0-only
"""Arguments that mean the same for every command."""

from __future__ import annotations

import argparse

from patchtool.errors import UsageError
from patchtool.rules.table import STALE_MMU_ROLE

FIELDS = STALE_MMU_ROLE.fields
"""The fields to decide where nobody asks for others."""


def add_fields(parser: argparse.ArgumentParser) -> None:
    """Add the fields to decide."""
    parser.add_argument(
        "--fields",
        metavar="NAME[,NAME...]",
        help=f"the fields to decide, or all (default: {','.join(FIELDS)})",
    )


def wanted_fields(given: str | None) -> tuple[str, ...]:
    """Return the fields that were asked for."""
    if given is None:
        return FIELDS
    names = tuple(name.strip() for name in given.split(","))
    holder = STALE_MMU_ROLE.holder
    for name in names:
        if not (name.isascii() and name.isidentifier()):
            raise UsageError(f"--fields: {name!r} is not the name of a member of {holder}")
    return names
