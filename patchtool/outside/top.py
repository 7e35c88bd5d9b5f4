# SPDX-License-Identifier: GPL-2.0-only
"""The top of a kernel tree: found from any folder below it, as git finds a repository.

In: a folder.  Out: the folder at the top, and the way to it from the top of the
repository.  Only names are looked at; no process is started.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from patchtool.errors import InputError
from patchtool.target.where import HEADER

if TYPE_CHECKING:
    from patchtool.target.record import Target

_FILES = ("Makefile", "Kconfig", "MAINTAINERS")


def top(folder: str) -> str:
    """Return the top of the kernel tree around a folder; the folder itself if there is none.

    The search ends at the top of a repository.
    """
    if not os.path.isdir(folder) or _is_kernel(folder) or _is_bare(folder):
        return folder
    at = os.path.realpath(folder)
    while not os.path.lexists(os.path.join(at, ".git")) and at != os.path.dirname(at):
        at = os.path.dirname(at)
        if _is_kernel(at):
            return at if os.path.isabs(folder) else os.path.relpath(at)
    return folder


def prefix(folder: str) -> str:
    """Return the way to a folder from the top of its repository; "" at the top or without."""
    at = start = os.path.realpath(folder)
    while not os.path.lexists(os.path.join(at, ".git")):
        if at == os.path.dirname(at):
            return ""
        at = os.path.dirname(at)
    return "" if at == start else os.path.relpath(start, at)


def require(read: Callable[[str], bytes | None], label: str, target: Target) -> None:
    """Refuse what is no kernel tree with what is to be checked; READ reads a file of it.

    Raises InputError; LABEL is how a person calls the tree.
    """
    if read(target.header) is not None:
        return
    makefile, *others = (read(name) is not None for name in _FILES)
    if not makefile or not any(others):
        raise InputError(
            f"{label} is not a kernel tree: it has no {target.header}; "
            f"give the top folder of a Linux tree"
        )
    raise InputError(f"{label} is a kernel tree without {target.name}: no {target.header}")


def _is_kernel(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, HEADER)) or all(
        os.path.isfile(os.path.join(folder, name)) for name in _FILES
    )


def _is_bare(folder: str) -> bool:
    return all(os.path.exists(os.path.join(folder, name)) for name in ("HEAD", "objects", "refs"))
