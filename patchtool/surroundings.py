# SPDX-License-Identifier: GPL-2.0-only
"""What surrounds the process: nothing that lies in a tree may run instead of it.

A hook is started in the tree that is to be judged, and a hostile tree may hold an
``argparse.py`` or a ``git``.  So before anything else is imported the folder of the
moment leaves the ways to modules and programs, and of git's variables only those stay
that say where things are.
"""

from __future__ import annotations

import os
import sys

_KEPT = frozenset(
    (
        "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX",
        "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH",
        "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_DEFAULT_HASH",
        "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_PARAMETERS",
        "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE",
        "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE",
        "GIT_ALLOW_PROTOCOL", "GIT_TERMINAL_PROMPT",
    )
)  # fmt: skip
"""What git may be told by its surroundings; all the rest names programs or bends answers."""


_SYSTEM = frozenset(
    f"{top}/{name}" for top in ("", "/usr", "/usr/local") for name in ("bin", "sbin")
)
"""Where the system's programs lie, which are no part of a tree in whatever folder one stands."""


def clean() -> None:
    """Make the surroundings of this process safe."""
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:
        here = ""
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # The package itself is found by its own path, wherever it was started.
    sys.path[:] = [
        entry
        for entry in sys.path
        if os.path.isabs(entry) and (os.path.realpath(entry) != here or entry == own)
    ]
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        if name not in _KEPT and not name.startswith("GIT_CONFIG_"):
            del os.environ[name]
    if here:
        keep_out(_around(here))


def keep_out(tree: str) -> None:
    """Take a tree, and every folder that is not named in full, off the way to programs."""
    if "\0" in tree:
        return
    root = os.path.realpath(tree).rstrip("/") + "/"
    kept = [
        entry
        for entry in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if os.path.isabs(entry)
        and (entry in _SYSTEM or not f"{os.path.realpath(entry)}/".startswith(root))
    ]
    os.environ["PATH"] = os.pathsep.join(kept)


def _around(folder: str) -> str:
    """Return the top of the repository around a folder, or the folder."""
    at = folder
    while not os.path.lexists(os.path.join(at, ".git")):
        if at == os.path.dirname(at):
            return folder
        at = os.path.dirname(at)
    return at
