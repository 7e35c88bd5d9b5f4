# SPDX-License-Identifier: GPL-2.0-only
"""What the target's Makefile says: which files make up each module, and how they are compiled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from posixpath import normpath
from typing import NamedTuple

from patchtool.c.layout import GRANTED
from patchtool.c.lower import Trouble
from patchtool.model import Place
from patchtool.outside.makefile import Statement, statements
from patchtool.world.entries import Tree

_MODULE = re.compile(
    rb"^([\w-]+?)-(?:y|m|objs|\$\(\w+\))\s*[+:]?=\s*((?:[^\n\\]|\\.)*)", re.M | re.S
)
_OBJECT = re.compile(rb"(?<![\w/.$)-])[\w/.-]+\.o\b")
_LISTS = re.compile(r"[\w-]+-(?:y|m|objs|\$\(\w+\))")
_VARIABLE = re.compile(r"\$\(\w+\)")
_LISTED = re.compile(r"(?:\$\(\w+\)/)?[\w/.-]+\.o")
_FLAGS = re.compile(
    r"(?:subdir-)?(?:cc|as)flags-(?:y|m|\$\(\w+\))|(?:C|A|CPP)FLAGS_(?:REMOVE_)?[\w/.-]+"
)
"""What holds flags for the compiler or the assembler."""
_HARMLESS_FLAG = re.compile(
    r"-W(?![pal],).*|-O[0-3sg]?|-g(?:\d|gdb\d?|dwarf-\d)?|-save-temps|-pg"
    r"|-f(?:no-)?(?:stack-protector(?:-\w+)?|omit-frame-pointer)|\$\(CC_FLAGS_\w+\)"
    r"|\$\(call\s+cc-disable-warning,[^(),$]*\)"
)
"""What is warned of, how well it is made, what a debugger or a tracer is told."""
_HARMLESS_NAME = re.compile(
    r"targets|clean-files|OBJECT_FILES_NON_STANDARD\w*|OBJECT_FILES_NON_STANDARD_[\w/.-]+"
    r"|(?:KASAN|KCSAN|KMSAN|UBSAN|KCOV|GCOV)_[\w/.-]+"
)
"""What says what is cleaned, and checked while it runs: not what the text means."""
_OPTION = re.compile(r"\$\(call\s+cc-option,\s*([^,()$]*)(?:,([^,()$]*))?\)")
"""A flag where the compiler knows it, and another where it does not."""
_MADE = re.compile(r"\$\(obj\)/[\w/-]+\.[hs]")
"""A header that is made, or what it is made of."""
_FUNCTIONS = frozenset({"error", "warning", "info"})
"""Functions of make that say something, no more."""
_CALLED = re.compile(r"\$\(call\s+([\w-]+),[\w,]*\)")
_PLAIN = re.compile(
    r"(?!SHELL|VPATH|GPATH|SUFFIXES|CURDIR|\w*(?:MAKE|FLAGS|flags)|(?:quiet_)?cmd_|rule_|filechk_)[A-Za-z]\w+"
)
"""A variable that make does not read itself, and whose name nothing composes."""
_KBUILD = ("Makefile", "scripts/Kbuild.include", "scripts/Makefile.build", "scripts/Makefile.lib")
_KBUILD_TOO = (
    "scripts/Makefile.compiler",
    "scripts/Makefile.extrawarn",
    "scripts/Makefile.modfinal",
)
"""What a makefile of a folder is read by, and with; and what later releases have beside that."""
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


def _makefile(tree: Tree) -> str:
    """Return the path of what says how the target is made: a Kbuild goes before a Makefile."""
    folder = tree.index.target.folder
    kbuild = f"{folder}/Kbuild"
    return kbuild if tree.index.source.read(kbuild) is not None else f"{folder}/Makefile"


def _objects(tree: Tree) -> list[_Object]:
    data = tree.index.source.read(_makefile(tree)) or b""
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
    if tree.index.source.read(_makefile(tree)) is None:
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
    """Yield where makefiles may tell the compiler more than how well it is to work.

    Of the target's own each statement is looked at, of the others what they define.
    """
    todo, seen = [_makefile(tree)], set[str]()
    for path in todo:
        if path not in seen:
            seen.add(path)
            makefile = _Makefile(tree, path)
            yield from makefile.troubles()
            todo += makefile.includes
    for path in tree.index.target.makefiles:
        data = tree.index.original(path).decode("utf-8", "replace").replace("\\\n", "  ")
        for one in _DEFINED.finditer(_FOR_OTHERS.sub(lambda found: " " * len(found[0]), data)):
            is_meant = one[1] in GRANTED or bool(tree.index.own_with(one[1].encode()))
            if one[1] not in _EVERYWHERE and is_meant:
                place = Place(path, data.count("\n", 0, one.start()) + 1)
                yield Trouble(place, f"the compiler is told {one[0]} here", False)


class _Makefile:
    """One makefile of the target's own."""

    def __init__(self, tree: Tree, path: str) -> None:
        self._tree, self._path = tree, path
        text = tree.index.original(path).decode("utf-8", "replace")
        self._statements = list(statements(text))
        self._values: dict[str, list[str]] = {}
        for one in self._statements:
            if one.kind == "assignment":
                self._values.setdefault(one.name, []).extend(one.words)
        self.includes: list[str] = []
        """The other makefiles that are read with it."""

    def troubles(self) -> Iterator[Trouble]:
        """Yield each statement that may say what the text means."""
        rule = Statement(0, "other")
        for one in self._statements:
            rule = one if one.kind == "rule" else rule
            for told in self._told(one, rule):
                yield Trouble(Place(self._path, one.line), told, False)

    def _told(self, one: Statement, rule: Statement) -> Iterator[str]:
        """Yield what a statement tells that is not understood."""
        is_evaluated = one.kind != "call" and any("eval" in word for word in one.words)
        match "other" if is_evaluated else one.kind:
            case "condition":
                return
            case "undefine":
                is_fine = self._is_private(one.name)
            case "rule":
                is_fine = True
            case "recipe":
                is_fine = all(map(_MADE.fullmatch, rule.targets))
            case "include":
                lost = (word for word in one.words if not self._follows(word))
                yield from (f"{word} is taken in here, and is not found" for word in lost)
                return
            case "call":
                is_fine = self._is_call_understood(one)
            case "assignment" if _FLAGS.fullmatch(one.name):
                flags = self._flags(one.words, frozenset())
                yield from (f"the compiler is told {flag} here" for flag in flags)
                return
            case "assignment":
                is_fine = not one.targets and self._is_assignment_understood(one)
            case _:
                is_fine = False
        if not is_fine:
            yield "what the makefile says here is not understood"

    def _follows(self, word: str) -> bool:
        """Tell whether a makefile that is included is there, and keep its path."""
        folder = self._tree.index.target.folder
        path = normpath(word.replace("$(srctree)/", "").replace("$(src)/", f"{folder}/"))
        if "$" in path or path.startswith(("/", "../")):
            return False
        self.includes.append(path)
        return self._tree.index.source.read(path) is not None

    def _is_call_understood(self, one: Statement) -> bool:
        """Tell whether a call of one of make's functions says something, or runs what is here."""
        text = " ".join(one.words)
        if one.name == "eval":
            called = _CALLED.fullmatch(text)
            return called is not None and called[1] in self._values
        is_search = one.name == "shell" and text.startswith("grep ") and bool(one.variable)
        return is_search or one.name in _FUNCTIONS

    def _is_assignment_understood(self, one: Statement) -> bool:
        """Tell whether a variable lists what is made, or is one that nothing else reads."""
        if _HARMLESS_NAME.fullmatch(one.name) is not None:
            return True
        if _LISTS.fullmatch(one.name) is not None:
            return all(
                _LISTED.fullmatch(word) is not None
                or (_VARIABLE.fullmatch(word) is not None and word[2:-1] in self._values)
                for word in one.words
            )
        return self._is_private(one.name)

    def _is_private(self, name: str) -> bool:
        """Tell whether a variable is known to this makefile alone."""
        index = self._tree.index
        if name in index.target.private:
            return True
        others = (one for one in index.target.makefiles if one != self._path)
        texts = {path: index.source.read(path) for path in (*_KBUILD, *_KBUILD_TOO, *others)}
        word = re.compile(rb"(?<![\w-])" + re.escape(name.encode()) + rb"(?![\w-])")
        return (
            _PLAIN.fullmatch(name) is not None
            and all(texts[path] is not None for path in _KBUILD)
            and not any(text is not None and word.search(text) for text in texts.values())
        )

    def _flags(self, words: Sequence[str], above: frozenset[str]) -> Iterator[str]:
        """Yield the flags among some words that may say what the text means.

        ABOVE are the variables that they are the values of.
        """
        rest = iter(words)
        for word in rest:
            if word in ("-I", "-iquote"):
                word += next(rest, "")
            option = _OPTION.fullmatch(word)
            if option is not None:
                yield from self._flags([one for one in option.groups() if one], above)
            elif (name := word[2:-1]) in self._values and _VARIABLE.fullmatch(word) is not None:
                is_new = name not in above
                yield from self._flags(self._values[name], above | {name}) if is_new else (word,)
            elif not (_HARMLESS_FLAG.fullmatch(word) or self._is_own_place(word)):
                yield word

    def _is_own_place(self, word: str) -> bool:
        """Tell whether a flag says that headers are in folders where they are looked for anyway."""
        if not word.startswith(("-I", "-iquote")):
            return False
        path = word.removeprefix("-iquote").removeprefix("-I").removeprefix("$(srctree)/")
        target = self._tree.index.target
        own = (".", "$(src)", "$(obj)", target.folder, *target.generic)
        return path.rstrip("/") in {one.rstrip("/") for one in own}
