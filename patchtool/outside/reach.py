# SPDX-License-Identifier: GPL-2.0-only
"""Which files of a patch a verdict can rest on, and where those lie in a tree.

In: the sections of a patch, a way to ask a tree for a file.  Out: the sections to judge,
and a reason for each that is passed over.  What is neither is refused: a path that only
looks as if it did not matter is how a patch would go unread.  A header counts where a file
of the target includes it; which ones those are, the tree is asked for where it matters.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

from patchtool.errors import PatchError
from patchtool.outside.mail import Letter, Passed, read, relevant
from patchtool.outside.outline import DIFFERENT, Section
from patchtool.target.where import BASES, FOLDER, GENERIC, HEADER, HEADERS, ROOTS, TOPS, UNINCLUDED

if TYPE_CHECKING:
    from patchtool.outside.source import Source

_INCLUDE = rb"(?m)^[ \t]*#[ \t]*include[ \t]*([\"<])([^\">\n]+)[\">]"

Present = Callable[[str], bool]
"""Tells whether a tree has a file; paths count from the top of its repository."""


class Included:
    """Tells whether a file of the target includes a file, in any of the trees shown.

    The trees that it is made with are read when the first question comes for which their
    answer matters; most patches ask none.
    """

    def __init__(
        self, *trees: Callable[[], Source], letters: Iterable[Letter] = (), prefix: str = ""
    ) -> None:
        self._ahead = list(trees)
        self._sections = [_below(one, prefix) for letter in letters for one in letter.sections]
        self._paths: set[str] = set()

    def show(self, tree: Callable[[], Source]) -> None:
        """Take one more tree into account."""
        self._ahead.append(tree)

    def __call__(self, path: str) -> bool:
        """Tell it of a path below the top of the tree."""
        if not includable(path):
            return False
        for tree in self._ahead:
            self._read(tree())
        self._ahead.clear()
        for section in self._sections:
            if relevant(section.path):
                self._written(section)
        self._sections = []
        return path in self._paths

    def _read(self, source: Source) -> None:
        todo = [HEADER]
        todo += (p for f in (FOLDER, *GENERIC) for p in source.walk(f) if p.endswith((".c", ".h")))
        seen = set(todo)
        for path in todo:
            for place in self._named(source.read(path) or b"", path):
                ours = place.startswith((*HEADERS, f"{FOLDER}/", *GENERIC))
                if ours and place not in seen:
                    seen.add(place)
                    todo.append(place)

    def _written(self, section: Section) -> None:
        """Take into account what a patch makes a file of the target include."""
        added = [line[1:] for line in section.content() if line.startswith(b"+")]
        for _ in self._named(b"\n".join(added), section.path):
            pass

    def _named(self, data: bytes, here: str) -> Iterator[str]:
        """Yield where the headers may lie that a text names, and note these places."""
        for found in re.finditer(_INCLUDE, data):
            name = os.fsdecode(found.group(2))
            places = [join(root, name) for root in ROOTS]
            if found.group(1) == b'"':
                places += [join(dirname(here), name), join(FOLDER, name)]
            for place in map(normpath, places):
                self._paths.add(place)
                yield place


def includable(path: str) -> bool:
    """Tell whether a file may be one that others include, from its path alone."""
    return not path.endswith(UNINCLUDED) and not path.startswith("tools/")


def sort(
    letters: Iterable[Letter], present: Present, included: Included, prefix: str = ""
) -> tuple[list[tuple[Section, ...]], list[Passed]]:
    """Return for each patch the sections to judge, and what is passed over.

    PREFIX is the folder of the kernel in its repository; the sections lose it.
    """
    judged: list[tuple[Section, ...]] = []
    passed: list[Passed] = []
    made: set[str] = set()
    for letter in letters:
        kept = []
        for section in letter.sections:
            one = _stripped(_below(section, prefix), present, included, prefix)
            paths = tuple(_paths(one))
            if one.old is None:
                _check_new(one, present, prefix)
            matters = [path for path in paths if relevant(path) or _is_odd(path) or included(path)]
            if matters == [one.other]:
                _refuse(one, f"the lines of this header {DIFFERENT}")
            if matters:
                if one.special:
                    _refuse(
                        one,
                        f"{one.path} is a symbolic link or a submodule, so its text is not in the "
                        f"patch; make the change to the files themselves",
                    )
                kept.append(one)
                continue
            reason = _reason(one, present, included, prefix, made)
            passed.append(Passed(section.text.place(section.start), section.path, reason))
            made.update(_paths(section))
        judged.append(tuple(kept))
    return judged, passed


def present_in(source: Source, prefix: str) -> Present:
    """Return what tells whether the repository around a tree has a file, without reading it."""
    from patchtool.outside.source import Revision

    if isinstance(source, Revision):
        return source.holds
    above = os.path.join(source.label, *[os.pardir] * len(prefix.split("/") if prefix else ()))
    top = os.path.realpath(above)

    def is_there(path: str) -> bool:
        """A path through a symbolic link is none to git."""
        full = os.path.join(top, path)
        return "\0" not in path and os.path.lexists(full) and (
            os.path.realpath(dirname(full)) == normpath(dirname(full))
        )  # fmt: skip

    return is_there


def misfit(error: PatchError, letters: Sequence[Letter]) -> PatchError:
    """Return an error about patches that do not fit, with what their mails say about that."""
    first, hint = letters[0], ""
    if first.number > 1:
        others = "one" if first.number == 2 else f"{first.number - 1}"
        hint = (
            f"; this is patch {first.number} of {first.total}: give the {others} before it as well"
        )
    elif first.base:
        hint = f"; the mail says that it was made for commit {first.base[:12]} (base-commit)"
    return PatchError(f"{error}{hint}")


def over(source: Source, data: bytes, name: str, prefix: str) -> tuple[Source, list[Passed]]:
    """Return a source as patches leave it, and what of them was passed over."""
    from patchtool.outside import diff
    from patchtool.outside.source import Overlay

    post = read(data, name)
    included = Included(lambda: source, letters=post.letters, prefix=prefix)
    judged, passed = sort(post.letters, present_in(source, prefix), included, prefix)
    try:
        edits = diff.apply(diff.files(one for part in judged for one in part), source.read)
    except PatchError as error:
        raise misfit(error, post.letters) from error
    return Overlay(source, edits), [*post.passed, *passed]


def _paths(section: Section) -> Iterator[str]:
    paths = section.old, section.new, section.other
    yield from (path for path in paths if path is not None)


def _is_odd(path: str) -> bool:
    """Tell whether a path has a part that git takes for none: what it leads to is unclear."""
    return any(part in ("", ".", "..") for part in path.split("/"))


def _below(section: Section, prefix: str) -> Section:
    """Return a section with paths below the kernel, where it has them from above."""
    start = f"{prefix}/"
    if not prefix or not all(path.startswith(start) for path in _paths(section)):
        return section
    old, new, other = (
        path.removeprefix(start) if path is not None else None
        for path in (section.old, section.new, section.other)
    )
    return section._replace(old=old, new=new, other=other)


def _check_new(section: Section, present: Present, prefix: str) -> None:
    """Refuse a new file of KVM whose path does not count from the top of the tree.

    One that is changed would be missed; a new one would lie where nothing reads it.
    """
    path = section.new or ""
    here = f"{prefix}/" if prefix else ""
    found = re.search(rf"/(?={TOPS})", path) if relevant(path) else None
    front = path[: found.start()] if found is not None and not re.match(TOPS, path) else ""
    if front and not (present(here + front) or present(front)):
        _refuse(
            section,
            f"{path} would be new in {front}, a folder that is not in this tree; paths in a patch "
            f"count from the top of the tree",
        )
    folder = dirname(path)
    if re.match(TOPS, path) or (folder and present(here + folder)):
        return
    for base in BASES:
        full = f"{base}/{path}"
        if relevant(full) and path.endswith((".c", ".h")) and present(here + dirname(full)):
            _refuse(
                section,
                f"{path} would be new in a folder that is not in this tree, but {dirname(full)} "
                f"is; paths in a patch count from the top of the tree",
            )


def _stripped(section: Section, present: Present, included: Included, prefix: str) -> Section:
    """Return a section of a plain diff without the folder that git would take away.

    Two equal folders in front may be the top of another tree, or belong to the path.
    """
    path = section.old or ""
    _, _, rest = path.partition("/")
    here = f"{prefix}/" if prefix else ""
    if path.startswith("/") and section.old == section.new:
        # The absolute path of a file leads through the top of some tree.
        for found in re.finditer(f"/(?={TOPS})", path):
            if present(here + path[found.end() :]):
                rest = path[found.end() :]
                return section._replace(old=rest, new=rest)
        return section
    plain = not section.git and section.old == section.new and (relevant(rest) or included(rest))
    if plain and not present(here + path) and present(here + rest):
        return section._replace(old=rest, new=rest)
    return section


def _reason(
    section: Section, present: Present, included: Included, prefix: str, made: set[str]
) -> str:
    """Return why a file need not be judged, or refuse a patch of which that is not known."""
    here = f"{prefix}/" if prefix else ""
    for path in _paths(section):
        if relevant(path.lower().replace("\\", "/")):
            how = "slashes" if "\\" in path else "letters, large and small,"
            _refuse(section, f"{path} is spelt with other {how} than the file that it may mean; "
                    f"git takes them for different files")  # fmt: skip
    path = section.old or section.new or ""
    rest = path.removeprefix("tools/")
    if rest != path:
        if relevant(rest) and not present(here + path) and present(here + rest):
            _refuse(
                section,
                f"{path} is not in this tree, but {rest} is; make the patch without a prefix",
            )
        return "is below tools/, a copy that no verdict rests on"
    if present(here + path) or (prefix and present(path)):
        return "is no file that a verdict can rest on"
    for base in BASES:
        full = f"{base}/{path}"
        if present(here + full) and (relevant(full) or included(full)):
            _refuse(
                section,
                f"{path} is not in this tree, but {base}/{path} is: the patch counts its paths "
                f"from {base}; make it without --relative",
            )
    if section.old is None:
        return "is new, and no file that a verdict can rest on"
    if path in made:
        return "was passed over before"
    odd = re.search(r"[^!-~]", path)
    if odd is not None:
        # A mailer or an editor put the letter there.
        _refuse(
            section,
            f"{path} is not in this tree, and no file of a kernel has the character "
            f"U+{ord(odd.group()):04X} in its name; get the patch anew",
        )
    # The first folder may be one that git would take away.
    rest = path.partition("/")[2]
    unclear = not re.match(TOPS, path) and (not re.match(TOPS, rest) or included(rest))
    if "/" in path and unclear:
        _refuse(
            section,
            f"{path} is not in this tree; paths in a patch count from the top of the tree",
        )
    return "is not in this tree, and no file that a verdict can rest on"


def _refuse(section: Section, reason: str) -> None:
    raise PatchError(section.text.place(section.start) + reason)
