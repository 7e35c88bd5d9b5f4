# SPDX-License-Identifier: GPL-2.0-only
"""Compile the MMU of a changed tree with the tree's own Kbuild, out of the tree.

In: the folder of a whole kernel, the files that differ.  Out: one sentence about what
was built.  The tree itself is never written to: links to its files stand beside the
changed ones in a temporary folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from patchtool.errors import InputError, cause

_OPTIONS = ("VIRTUALIZATION", "KVM", "KVM_INTEL", "KVM_AMD", "KVM_WERROR")
_OUTER = frozenset(("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"))
"""What a make around this program has set for those below it; they warn of it."""
_NEEDED = ("Kbuild", "Kconfig", "init", "kernel", "scripts/config", "arch/x86/Makefile")


def compile_object(tree: str, files: Mapping[str, bytes], target: str) -> str:
    """Compile TARGET of a tree with some files replaced and say what was done."""
    from tempfile import TemporaryDirectory

    missing = [name for name in _NEEDED if not os.path.exists(os.path.join(tree, name))]
    if missing:
        raise InputError(f"{tree} is no whole kernel tree (no {missing[0]}), so it cannot be built")
    with TemporaryDirectory(prefix="patchtool-build-") as folder:
        source, objects = os.path.join(folder, "source"), os.path.join(folder, "objects")
        _link(os.path.abspath(tree), source)
        for path, data in files.items():
            full = os.path.join(source, path)
            os.unlink(full)
            with open(full, "wb") as file:
                file.write(data)
        os.mkdir(objects)
        make = ("make", "-s", f"-j{os.cpu_count() or 1}", f"O={objects}", "ARCH=x86")
        _run((*make, "x86_64_defconfig"), source)
        config = os.path.join(objects, ".config")
        enable = [word for option in _OPTIONS for word in ("-e", option)]
        _run((os.path.join(source, "scripts", "config"), "--file", config, *enable), source)
        _run((*make, "olddefconfig"), source)
        warned = _run((*make, target), source)
    return (
        f"Built {target} (x86_64_defconfig with KVM, KVM_INTEL, KVM_AMD and KVM_WERROR): "
        f"{'the compiler warned.' if 'warning:' in warned else 'no warnings.'}"
    )


def _link(tree: str, folder: str) -> None:
    """Make a copy of a tree whose files are links."""
    os.mkdir(folder)
    for entry in os.scandir(tree):
        if entry.name == ".git":
            continue
        there = os.path.join(folder, entry.name)
        if entry.is_dir(follow_symlinks=False):
            _link(entry.path, there)
        elif entry.is_symlink():
            os.symlink(os.readlink(entry.path), there)
        else:
            os.symlink(entry.path, there)


def _run(command: Sequence[str], folder: str) -> str:
    """Run one step of a build and return what it complained about."""
    import subprocess

    around = {name: value for name, value in os.environ.items() if name not in _OUTER}
    around["LC_ALL"] = "C"
    try:
        done = subprocess.run(
            command, cwd=folder, env=around, capture_output=True, check=False, text=True
        )
    except OSError as error:
        raise InputError(f"{command[0]} cannot be run: {cause(error)}") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        reason = (lines or done.stderr.splitlines() or ["no message"])[0]
        raise InputError(f"the build failed at '{command[-1]}': {reason}")
    return done.stderr
