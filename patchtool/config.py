# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the person and of the tree, where kernel people keep them.

In: the environment, .patchtool.toml in this folder or above, git's configuration.  Out:
a default for each argument that the command line leaves out.  The first of these that
speaks wins: command line, PATCHTOOL_*, .patchtool.toml, git config, built-in default.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from patchtool.errors import InputError, UsageError, cause, meant

FILE = ".patchtool.toml"

_MOST = 64 << 10
"""How many bytes the file may have."""

SETTINGS: Mapping[str, str] = {
    "tree": "the kernel tree, where a command is not given one",
    "format": "the form of reports",
    "fields": "the fields to decide",
    "color": "auto, always or never",
    "signoff": "true: fix adds your Signed-off-by",
}
"""Every setting and what it is about."""

_FLAGS = {"true": True, "yes": True, "on": True, "1": True,
          "false": False, "no": False, "off": False, "0": False}  # fmt: skip


class Setting(NamedTuple):
    """A value and where it was found."""

    value: str | bool
    origin: str


def settings(asked: Asked | None = None) -> dict[str, Setting]:
    """Return what is set for runs in this folder; ASKED is a git that was asked before."""
    found: dict[str, Setting] = {}
    # git's answer is read in any case, so that nothing is left behind.
    said = list(_git(asked or ask()))
    for source in (_environment(), _file(), said):
        for name, setting in source:
            found.setdefault(name, setting)
    return found


def _environment() -> Iterator[tuple[str, Setting]]:
    for name in SETTINGS:
        variable = f"PATCHTOOL_{name.upper()}"
        value = os.environ.get(variable)
        if value:
            yield name, _checked(name, value, variable)


# -- .patchtool.toml -----------------------------------------------------------------------


def _file() -> Iterator[tuple[str, Setting]]:
    path = _above(FILE)
    if path is None:
        return
    import tomllib

    try:
        values = tomllib.loads(_text(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {cause(error)}") from error
    except (ValueError, RecursionError) as error:
        # A number of 5,000 digits is a ValueError, too.
        reason = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise UsageError(f"{path} is no valid TOML: {reason}") from error
    for key, value in values.items():
        name = _known(key, path)
        if isinstance(value, list):
            value = ",".join(map(str, value))
        if not isinstance(value, str | bool):
            raise UsageError(f"{path}: {key} must be a string")
        if isinstance(value, str) and not value.isprintable():
            raise UsageError(f"{path}: {key} holds what cannot be printed")
        setting = _checked(name, value, f"{path}: {key}")
        if name == "tree" and isinstance(setting.value, str):
            # Counts from the file, wherever the run takes place.
            tree = os.path.join(os.path.dirname(path), setting.value)
            setting = setting._replace(value=os.path.relpath(tree))
        yield name, setting


def _text(path: str) -> str:
    """Return the text of a file that may be anything; a named pipe would keep us waiting."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        state = os.fstat(file)
        if stat.S_ISDIR(state.st_mode) or not stat.S_ISREG(state.st_mode):
            raise InputError(f"{path} is no regular file")
        if state.st_size > _MOST:
            raise InputError(f"{path} is larger than {_MOST >> 10} KiB")
        return os.read(file, _MOST).decode("utf-8")
    finally:
        os.close(file)


def _above(name: str) -> str | None:
    """Return the nearest file of a name, here or above."""
    at = os.getcwd()
    while True:
        path = os.path.join(at, name)
        if os.path.exists(path):
            return path
        if at == os.path.dirname(at):
            return None
        at = os.path.dirname(at)


# -- git config ----------------------------------------------------------------------------


class Asked(NamedTuple):
    """A git that is about to answer: its process, and where its answer arrives."""

    process: int
    answer: int


def ask() -> Asked | None:
    """Ask git for what its configuration says about us, and do not wait for the answer.

    git takes a few milliseconds, in which a parser of arguments can be made.  Started by
    hand: the import of subprocess would take twice as long.  None where there is no git.
    """
    words = ["git", "config", "--null", "--get-regexp", r"^patchtool\."]
    arrives, leaves = os.pipe()
    try:
        process = os.posix_spawnp(
            words[0],
            words,
            os.environ,
            file_actions=(
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, leaves, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ),
        )
    except OSError:
        os.close(arrives)
        return None
    finally:
        os.close(leaves)
    return Asked(process, arrives)


def _git(asked: Asked | None) -> Iterator[tuple[str, Setting]]:
    if asked is None:
        return
    with open(asked.answer, "rb") as answer:
        text = answer.read()
    os.waitpid(asked.process, 0)
    last: dict[str, Setting] = {}
    for record in os.fsdecode(text).split("\0"):
        key, _, value = record.partition("\n")
        if key:
            name = _known(key.removeprefix("patchtool."), "git config", key)
            last[name] = _checked(name, value or "true", f"git config {key}")
    yield from last.items()


# -- names and values ----------------------------------------------------------------------


def _known(key: str, origin: str, shown: str = "") -> str:
    """Return the name of a setting; git does not keep capitals."""
    name = key.lower()
    if name in SETTINGS:
        return name
    hint = meant(name, SETTINGS) or f"; there are {', '.join(SETTINGS)}"
    raise UsageError(f"{origin}: there is no setting {shown or key!r}{hint}")


def _checked(name: str, value: str | bool, origin: str) -> Setting:
    if name == "signoff":
        flag = value if isinstance(value, bool) else _FLAGS.get(value.lower())
        if flag is None:
            raise UsageError(f"{origin}: {value!r} is neither true nor false")
        return Setting(flag, origin)
    if isinstance(value, bool):
        raise UsageError(f"{origin} must be a string")
    return Setting(value, origin)
