# SPDX-License-Identifier: GPL-2.0-only
"""``patchtool hook``: put a lint into git's own hooks, and take it out again.

In: parsed arguments.  Out: one executable file in the folder that git runs hooks from,
or its removal.  A hook that somebody else wrote is never touched.
"""

from __future__ import annotations

import argparse
import os
import sys

from patchtool.errors import InputError, UsageError, cause
from patchtool.outside import files
from patchtool.report.layout import show

KINDS = ("pre-commit", "pre-push", "sendemail-validate")

_ABOUT = """\
Run 'patchtool lint' before a commit is made, before commits are pushed, or before
patches are mailed.  A hook of your own is never overwritten."""

_MARK = "# Installed by 'patchtool hook install'; 'patchtool hook uninstall' removes it."

_HEAD = f"""\
#!/bin/sh
{_MARK}
"""

_BODIES = {
    "pre-commit": """\
exec {command} lint --staged
""",
    "pre-push": """\
exec {command} lint --push="$1"
""",
    "sendemail-validate": """\
exec {command} lint --format terse --series "$1"
""",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = _ABOUT
    add = parser.add_argument
    add("action", choices=("install", "uninstall"), metavar="ACTION", help="install or uninstall")
    add(
        "kinds",
        nargs="*",
        default=[],
        metavar="HOOK",
        help=f"which hooks: {', '.join(KINDS)} (default: pre-commit)",
    )
    add("--tree", default=".", metavar="TREE", help="the repository (default: this folder)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Install or remove, and return the exit status."""
    kinds = tuple(dict.fromkeys(arguments.kinds)) or KINDS[:1]
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(f"there is no hook {kind!r}; choose from {', '.join(KINDS)}")
    folder = _folder(arguments.tree)
    for kind in kinds:
        _check(os.path.join(folder, kind), arguments.action)
    for kind in kinds:
        path = os.path.join(folder, kind)
        told = _install(path, kind) if arguments.action == "install" else _uninstall(path)
        show(f"{told}\n")
    return 0


def _folder(tree: str) -> str:
    """Return the folder that git runs hooks from, core.hooksPath obeyed."""
    from patchtool.outside.git import NoRepository, Repository

    try:
        with Repository.open(tree) as repository:
            folder = repository.hooks
    except NoRepository as error:
        raise InputError(
            f"{tree} is not in a git repository, so there is no place for a hook"
        ) from error
    return folder if os.path.isabs(tree) else os.path.relpath(folder)


def _ours(path: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return _MARK in file.read(4096)
    except OSError:
        return False


def _check(path: str, action: str) -> None:
    """Refuse to touch what somebody else wrote."""
    if os.path.lexists(path) and not _ours(path):
        if action == "install":
            how = f"add the line `{_command()} lint ...` to it yourself"
            raise UsageError(f"{path} exists already and is not patchtool's; {how}")
        raise UsageError(f"{path} is not patchtool's, so it is left alone")


def _install(path: str, kind: str) -> str:
    text = _HEAD + _BODIES[kind].replace("{command}", _command())
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    except OSError as error:
        raise files.refusal(path, error) from error
    files.write(path, text.encode(), 0o755)
    return f"installed {path}"


def _uninstall(path: str) -> str:
    if not os.path.lexists(path):
        return f"there is no {path}"
    try:
        os.unlink(path)
    except OSError as error:
        raise InputError(f"{path} cannot be removed: {cause(error)}") from error
    return f"removed {path}"


def _command() -> str:
    """Return how to run this very program from a hook, whatever PATH is there.

    -I keeps the interpreter from looking into the tree, or into PYTHONPATH, for modules.
    """
    import shlex
    import subprocess

    for flags in ("-I", "-EP"):
        command = [sys.executable, flags, "-c", "import patchtool"]
        if subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0:
            return f"{shlex.quote(sys.executable)} {flags} -m patchtool"
    raise InputError(
        f"{sys.executable} finds patchtool only by way of this folder or of PYTHONPATH, which a "
        f"hook must not obey; install it, for example with `pip install --user .`"
    )
