# SPDX-License-Identifier: GPL-2.0-only
"""What the target's Makefile says: which files make up each module, and how they are compiled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from patchtool.c.lower import Trouble
from patchtool.model import Place
from patchtool.world.entries import Tree

_MODULE = re.compile(
    rb"^([\w-]+?)-(?:y|m|objs|\$\(\w+\))\s*[+:]?=\s*((?:[^\n\\]|\\.)*)", re.M | re.S
)
_OBJECT = re.compile(rb"(?<![\w/.$)-])[\w/.-]+\.o\b")
_FLAGS = re.compile(
    r"^[ \t]*+((?:(?:subdir-)?ccflags|CFLAGS|CPPFLAGS|KBUILD_CFLAGS)\S*)[ \t]*[:+?]?=(.*)$", re.M
)
_HARMLESS_FLAG = re.compile(
    r"-I.*|-W(?![pal],).*|-iquote|-O[0-3sg]?|-g(?:\d|gdb\d?|dwarf-\d)?|-save-temps|\$\(\w+\)\S*|[\w./]+"
)
"""Where headers are, what is warned of, how well it is made, and what a debugger is told."""
_DEFINED = re.compile(r"(?<![\w-])-[DU]\s*(\w+)")
_FOR_OTHERS = re.compile(r"^[ \t]*(?:export )?(?:CHECKFLAGS|\w*HOST\w*)\b.*$", re.M)
"""Flags of the checker, and of what runs on the machine that builds."""
_EVERYWHERE = frozenset({"__KERNEL__", "MODULE", "__ASSEMBLY__", "__ASSEMBLER__"})
"""What the kernel's Makefiles define for all that they compile."""
_SOURCES = (".c", ".S")
"""What an object is made of."""


class _Object(NamedTuple):
    """What a module is made of, the kernel itself being one ("obj").

    ``stem`` is the path of its file below the target's folder, without the end.
    """

    module: str
    stem: str


def _objects(tree: Tree) -> list[_Object]:
    data = tree.index.source.read(f"{tree.index.target.folder}/Makefile") or b""
    return [
        _Object(line[1].decode(), one.decode()[:-2])
        for line in _MODULE.finditer(data)
        for one in _OBJECT.findall(line[2].partition(b"#")[0])
    ]


def modules(tree: Tree) -> dict[str, str]:
    """Return the module that each file is built into, as its Makefile says.

    Where there is none, a folder is taken for a module, and so is a file beside them.
    """
    top = tree.index.target.folder
    found = {f"{top}/{o.stem}.c": o.module for o in _objects(tree) if o.module != "obj"}
    if tree.index.source.read(f"{top}/Makefile") is None:
        home = tree.roles.here.rpartition("/")[0]
        for path in tree.index.own_files:
            folder, _, file = path.rpartition("/")
            if path != tree.roles.here and (folder != home or home == top):
                found[path] = file if folder == top else folder
    return found


def not_there(tree: Tree) -> tuple[str, ...]:
    """Return the objects that the Makefile lists without a file to make them of, sorted."""
    folder = tree.index.target.folder
    objects = _objects(tree)
    composed = {one.module for one in objects}
    there = {one[:-2] for one in tree.index.source.walk(folder) if one.endswith(_SOURCES)}
    stems = {one.stem for one in objects if one.stem not in composed}
    return tuple(f"{stem}.o" for stem in sorted(stems) if f"{folder}/{stem}" not in there)


def told_to_compiler(tree: Tree) -> Iterator[Trouble]:
    """Yield where the target's Makefile tells the compiler more than where headers are."""
    for name in ("Makefile", "Kbuild"):
        path = f"{tree.index.target.folder}/{name}"
        data = tree.index.original(path).decode("utf-8", "replace")
        for one in _FLAGS.finditer(data.replace("\\\n", "  ")):
            for flag in one[2].partition("#")[0].split():
                if _HARMLESS_FLAG.fullmatch(flag) is None:
                    place = Place(path, data.count("\n", 0, one.start()) + 1)
                    yield Trouble(place, f"the compiler is told {flag} here", False)
    for path in tree.index.target.makefiles:
        data = tree.index.original(path).decode("utf-8", "replace").replace("\\\n", "  ")
        for one in _DEFINED.finditer(_FOR_OTHERS.sub(lambda found: " " * len(found[0]), data)):
            if one[1] not in _EVERYWHERE and tree.index.own_with(one[1].encode()):
                place = Place(path, data.count("\n", 0, one.start()) + 1)
                yield Trouble(place, f"the compiler is told {one[0]} here", False)
