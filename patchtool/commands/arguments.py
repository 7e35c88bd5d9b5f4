# SPDX-License-Identifier: GPL-2.0-only
"""Arguments that mean the same for every command."""

from __future__ import annotations

import argparse

from patchtool.errors import UsageError


class _Usual:
    """Spells the usual fields of the rule in a help text; the rules are imported for that."""

    def __str__(self) -> str:
        return ",".join(usual_fields())


def usual_fields() -> tuple[str, ...]:
    """Return the fields to decide where nobody asks for others."""
    from patchtool.rules.table import STALE_MMU_ROLE

    return STALE_MMU_ROLE.fields


def add_fields(parser: argparse.ArgumentParser) -> None:
    """Add the fields to decide."""
    action = parser.add_argument(
        "--fields",
        metavar="NAME[,NAME...]",
        help="the fields to decide, or all (default: %(usual)s)",
    )
    action.usual = _Usual()  # type: ignore[attr-defined]


def wanted_fields(given: str | None) -> tuple[str, ...]:
    """Return the fields that were asked for."""
    if given is None:
        return usual_fields()
    from patchtool.rules.table import STALE_MMU_ROLE

    names = tuple(name.strip() for name in given.split(","))
    holder = STALE_MMU_ROLE.holder
    for name in names:
        if not (name.isascii() and name.isidentifier()):
            raise UsageError(f"--fields: {name!r} is not the name of a member of {holder}")
    return names
