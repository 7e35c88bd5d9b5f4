# SPDX-License-Identifier: GPL-2.0-only
"""Pointers of a context to another one that are set while a holder is made, and never again.

In: a tree.  Out: for what an entry is given, each such pointer with the context that it leads
to.  What is stored elsewhere, or to two contexts, or in a way that is not understood, is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from patchtool.c.index import parameter_names
from patchtool.c.layout import PointerType, RecordType, settled
from patchtool.c.memory import Loc, Pointer, Root
from patchtool.c.scan import Definition
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.effects import callers_of
from patchtool.world.entries import Tree
from patchtool.world.inputs.births import Births
from patchtool.world.inputs.changes import Changes

_STORED = re.compile(r"(\w+)->((?:\w+\.)+\w+)=&\1->((?:\w+\.)*\w+)")
"""A pointer of a context of what a variable points to, and a context of the same."""


class Links:
    """The pointers between the contexts of one tree."""

    def __init__(self, tree: Tree, starts: Iterable[Definition]) -> None:
        """STARTS are the functions that hold a guard."""
        self._tree, self._starts = tree, frozenset(one.name for one in starts)

    @cached_property
    def _known(self) -> dict[tuple[str, ...], tuple[tuple[str, ...], RecordType]]:
        return dict(self._found())

    @property
    def members(self) -> frozenset[str]:
        """The pointers that are known, by the names that they have in a context."""
        return frozenset(path[-1] for path in self._known)

    def of(self, entry: Definition) -> dict[Loc, Pointer]:
        """Return where the pointers lead to that an entry finds through its arguments."""
        if not self._known:
            return {}
        handle = self._tree.index.target.handle.encode()
        given = re.compile(rb"\bstruct\s+%b\s*\*\s*(\w+)\s*[,)]" % handle)
        names = {one.decode() for one in given.findall(entry.text.partition(b"{")[0])}
        return {
            Loc(Root(name, "pointee"), path): Pointer(Loc(Root(name, "pointee"), target), record)
            for name in parameter_names(entry)
            if name in names
            for path, (target, record) in self._known.items()
        }

    def _found(self) -> Iterator[tuple[tuple[str, ...], tuple[tuple[str, ...], RecordType]]]:
        tree = self._tree
        contexts = tree.roles.contexts
        for tag, record in contexts.items():
            for member, (_, ctype) in record.by_name.items():
                target = settled(ctype.target) if isinstance(ctype, PointerType) else None
                if isinstance(target, RecordType) and target.tag in contexts:
                    yield from self._fixed(tag, member, target)

    def _fixed(
        self, tag: str, member: str, target: RecordType
    ) -> Iterator[tuple[tuple[str, ...], tuple[tuple[str, ...], RecordType]]]:
        """Yield where the pointers of a name lead to, if all are set while a holder is made."""
        tree, index = self._tree, self._tree.index
        sources = [path for path in index.own_files if path.endswith(".c")]
        births = Births(tree, self._starts | callers_of(index, sources, self._starts))
        changes = Changes(tree, births)
        around = (tag, index.target.host, index.target.handle)
        if any(tree.pasting.uses((member,))) or any(map(changes.as_a_whole, around)):
            return
        found: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for one in Mentions(index, tree.types, {member: frozenset((tag,))}).of(member):
            if one.is_idle or not one.place.file.startswith(index.target.built_from):
                continue
            stored = _STORED.fullmatch(f"{one.what}={one.value}")
            file = index.file(one.place.file)
            if stored is None or one.function is None or file is None:
                return
            at = file.offset(one.place.line, one.place.column) - one.function.start
            if not births.is_early(one.function, at):
                return
            path, to = (tuple(stored[n].split(".")) for n in (2, 3))
            found.setdefault(path, set()).add(to)
        if all(len(ends) == 1 for ends in found.values()):
            yield from ((path, (ends.pop(), target)) for path, ends in found.items())
