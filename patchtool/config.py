# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the person and of the tree, where kernel people keep them.

In: the environment, .patchtool.toml in this folder or above, git's configuration.  Out:
a default for each argument that the command line leaves out.  The first of these that
speaks wins: command line, PATCHTOOL_*, .patchtool.toml, git config, built-in default.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from patchtool.errors import InputError, UsageError

FILE = ".patchtool.toml"

SETTINGS: Mapping[str, str] = {
    "tree": "the kernel tree, where a command is not given one",
    "format": "the form of reports",
    "fields": "the fields to decide, or all",
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


def settings(folder: str = ".") -> dict[str, Setting]:
    """Return what is set for runs in a folder."""
    found: dict[str, Setting] = {}
    for source in (_environment(), _file(folder), _git(folder)):
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


def _file(folder: str) -> Iterator[tuple[str, Setting]]:
    path = _above(folder, FILE)
    if path is None:
        return
    import tomllib

    try:
        with open(path, "rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {str(error.strerror).lower()}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no valid TOML: {error}") from error
    for key, value in values.items():
        name = _known(key, path)
        if isinstance(value, list):
            value = ",".join(map(str, value))
        if not isinstance(value, str | bool):
            raise UsageError(f"{path}: {key} must be a string")
        setting = _checked(name, value, f"{path}: {key}")
        if name == "tree" and isinstance(setting.value, str):
            # Counts from the file, wherever the run takes place.
            tree = os.path.join(os.path.dirname(path), setting.value)
            setting = setting._replace(value=os.path.relpath(tree))
        yield name, setting


def _above(folder: str, name: str) -> str | None:
    """Return the nearest file or folder of a name, here or above."""
    at = os.path.abspath(folder)
    while True:
        path = os.path.join(at, name)
        if os.path.exists(path):
            return path
        if at == os.path.dirname(at):
            return None
        at = os.path.dirname(at)


# -- git config ----------------------------------------------------------------------------


def _git(folder: str) -> Iterator[tuple[str, Setting]]:
    if not _may_speak(folder):
        return
    import subprocess

    command = ["git", "-C", folder, "config", "--null", "--get-regexp", r"^patchtool\."]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        return
    last: dict[str, Setting] = {}
    for record in os.fsdecode(done.stdout).split("\0"):
        key, _, value = record.partition("\n")
        if key:
            name = _known(key.removeprefix("patchtool."), "git config", key)
            last[name] = _checked(name, value or "true", f"git config {key}")
    yield from last.items()


def _may_speak(folder: str) -> bool:
    """Tell whether git's configuration may name us; asking git itself takes longer."""
    if any(name.startswith("GIT_CONFIG") for name in os.environ if name != "GIT_CONFIG_NOSYSTEM"):
        return True
    home = os.path.expanduser("~")
    places = [
        "/etc/gitconfig",
        os.path.join(home, ".gitconfig"),
        os.path.join(os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config", "git", "config"),
    ]
    around = os.environ.get("GIT_DIR") or _above(folder, ".git")
    for place in _repository(around) if around is not None else ():
        places += [os.path.join(place, name) for name in ("config", "config.worktree")]
    for place in places:
        try:
            with open(place, "rb") as file:
                text = file.read().lower()
        except OSError:
            continue
        if b"patchtool" in text or b"include" in text:
            return True
    return False


def _repository(around: str) -> Iterator[str]:
    """Yield where a repository keeps its configuration.

    ``.git`` of a linked work tree or a submodule is a file that says where the rest is.
    """
    if os.path.isfile(around):
        around = os.path.join(os.path.dirname(around), _line(around).removeprefix("gitdir: "))
    yield around
    common = _line(os.path.join(around, "commondir"))
    if common:
        yield os.path.join(around, common)


def _line(path: str) -> str:
    """Return the only line of a small file, "" where there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(4096).rstrip("\n")
    except OSError:
        return ""


# -- names and values ----------------------------------------------------------------------


def _known(key: str, origin: str, shown: str = "") -> str:
    """Return the name of a setting; git does not keep capitals."""
    name = key.lower()
    if name in SETTINGS:
        return name
    from difflib import get_close_matches

    close = get_close_matches(name, SETTINGS, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(SETTINGS)}"
    raise UsageError(f"{origin}: there is no setting {shown or key!r}; {hint}")


def _checked(name: str, value: str | bool, origin: str) -> Setting:
    if name == "signoff":
        flag = value if isinstance(value, bool) else _FLAGS.get(value.lower())
        if flag is None:
            raise UsageError(f"{origin}: {value!r} is neither true nor false")
        return Setting(flag, origin)
    if isinstance(value, bool):
        raise UsageError(f"{origin} must be a string")
    return Setting(value, origin)
