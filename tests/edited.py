# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures held in memory, edited, and checked."""

from pathlib import Path

import miniatures

from patchtool.c.index import Index
from patchtool.rules import stale_mmu_role as rule
from patchtool.target.kvm import KVM


class Files:
    """A tree that is a dictionary from path to bytes."""

    def __init__(self, files):
        self.files = files

    def read(self, path):
        """Return the bytes of a file, None where there is none."""
        return self.files.get(path)

    def walk(self, folder):
        """Return the files below a folder."""
        return tuple(sorted(p for p in self.files if p.startswith(f"{folder}/")))


def load(folder, parts=("",)):
    """Read a folder, or some parts of it, into a dictionary."""
    found = {}
    for part in parts:
        for path in sorted((Path(folder) / part).rglob("*")):
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def fixture(name):
    """Return the files of a fixture."""
    kept = ("arch/", "include/")
    return {path: data for path, data in miniatures.files(name).items() if path.startswith(kept)}


def check(files, fields=rule.LEVELS):
    """Check a tree that lies in memory."""
    return check_tree(Files(files), fields)


def check_tree(tree, fields=rule.LEVELS):
    """Check what files can be read from."""
    return rule.check(Index(tree, KVM), fields, "tree")


def verdicts(report):
    """Return the verdict and what is missing, per call path and field."""
    return {
        (context.entry, context.context, one.name): (one.verdict, one.missing)
        for context in report.contexts
        for one in context.fields
    }
