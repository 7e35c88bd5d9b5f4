# SPDX-License-Identifier: GPL-2.0-only
"""Stores to fields outside of the set-ups: of which contexts they may be, and on which hosts.

In: a store that the ledger found, in no set-up that was decided.  Out: the contexts that it may
be of, by the pointers that select one, or by a run of the function around it; and what is true
of the host where it is done, by the branches around it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from patchtool.c.conditions import holding, is_own
from patchtool.c.lower import BY_MORE, Lowered
from patchtool.c.memory import Loc
from patchtool.c.scan import Definition
from patchtool.model import Place
from patchtool.world.accounts.readers import Selection, base_of
from patchtool.world.accounts.sites import Mention
from patchtool.world.entries import Tree
from patchtool.world.inputs.hosts import mirrored

SHARE = 5
"""Which part of the work of a set-up a function around a store may take."""
_LITERAL = re.compile(r"(!?)(\w+)")


class Stray(NamedTuple):
    """A mention of a field outside of the set-ups that may store to it."""

    place: Place
    reason: str
    mention: Mention
    by: tuple[Definition, ...] = ()
    """All functions outside that come to it; none where they are not known."""


class Strays:
    """What is known of such stores in one tree."""

    def __init__(self, tree: Tree, selection: Selection) -> None:
        self._tree, self._selection = tree, selection
        self._among: dict[Stray, frozenset[str]] = {}
        self._known: dict[Place, frozenset[str]] = {}
        self._mirrored: dict[tuple[str, str], dict[str, Place]] = {}
        self._ran: set[Stray] = set()

    def may_be_of(self, stray: Stray, context: str) -> bool:
        """Tell whether a mention may be one of a context."""
        known = self._among.get(stray)
        if known is None:
            known = self._named(stray.mention) if self._is_direct(stray) else None
            known = self._selection.embedded if known is None else known
            self._among[stray] = known
        if context not in known:
            return False
        if stray.by and stray not in self._ran:
            self._ran.add(stray)
            found = self._stored_by(stray)
            if found is not None:
                self._among[stray] = known & found
        return context in self._among[stray]

    def _is_direct(self, stray: Stray) -> bool:
        """Tell whether a mention is in the one function that comes to it."""
        function = stray.mention.function
        return function is not None and stray.by in ((), (function,))

    def _named(self, mention: Mention) -> frozenset[str] | None:
        """Return the contexts that the expression of a mention may be of, None if not known."""
        if mention.function is None or mention.function.kind != "function":
            return None
        base = base_of(mention)
        return None if base is None else self._selection.contexts(base, mention.function)

    def _stored_by(self, stray: Stray) -> frozenset[str] | None:
        """Return the contexts to which the functions around store the field, None if unknown."""
        found: set[str] = set()
        for one in stray.by:
            ran = run(self._tree, one)
            bases = bases_of(ran, stray.mention.name) if ran is not None else ()
            if ran is None or not bases:
                return None
            for base in bases:
                found |= self._contexts(base, one, ran)
        return frozenset(found)

    def _contexts(self, base: Loc, function: Definition, ran: Lowered) -> frozenset[str]:
        """Return the contexts that a place in the memory of a run may be."""
        embedded = self._selection.embedded
        if base.path:
            return frozenset((base.path[-1],)) if base.path[-1] in embedded else embedded
        spelt = ran.aliases.get(base.root.name, base.root.name)
        return self._selection.contexts(spelt, function)

    # -- on which hosts ----------------------------------------------------------------------

    def excluded(
        self, stray: Stray, context: str, hosts: Mapping[str, bool]
    ) -> tuple[str, ...] | None:
        """Say why a mention is never run on the hosts of a path; None where it may be.

        HOSTS tells which objects of the host are set on all hosts that take the path, and
        which are set on none.
        """
        needed = dict.fromkeys((name for name, is_set in hosts.items() if is_set), "")
        for use in self._tree.index.target.uses:
            if use.context == context:
                needed.setdefault(use.host, use.text)
        for literal in sorted(self._holding(stray.mention)):
            found = _LITERAL.fullmatch(literal)
            if found is None:
                continue
            name, is_set = found[2], not found[1]
            if is_set:
                if hosts.get(name) is False:
                    return ()
                continue
            for host, text in needed.items():
                texts = (text,) if text else ()
                if host == name:
                    return texts
                where = self._mirrors(host, stray.place.file).get(name)
                if where is not None:
                    spelt = f"{host} is set only where {name} is ({where.function}(), "
                    return (*texts, f"{spelt}{where.file}:{where.line})")
        return None

    def _mirrors(self, host: str, file: str) -> dict[str, Place]:
        vendor = next((v for v in self._tree.index.target.vendors if file.startswith(v)), None)
        if vendor is None:
            return {}
        key = host, vendor
        if key not in self._mirrored:
            self._mirrored[key] = mirrored(self._tree, host, vendor)
        return self._mirrored[key]

    def _holding(self, mention: Mention) -> frozenset[str]:
        """Return what is true where a mention is run."""
        function, place = mention.function, mention.place
        file = self._tree.index.file(place.file)
        if function is None or function.kind != "function" or file is None:
            return frozenset()
        if place not in self._known:
            at = file.offset(place.line, place.column) - function.start
            root = self._tree.index.node(function)
            self._known[place] = frozenset(
                one
                for one in holding(root, at)
                if not is_own(root, one.lstrip("!"))
                and not self._tree.index.macros(one.lstrip("!"), function.file)
            )
        return self._known[place]


def run(tree: Tree, function: Definition, share: int = SHARE) -> Lowered | None:
    """Run a function by itself; None where something in it is not understood."""
    ran = tree.run(function, share=share)
    branches = {(one.place, BY_MORE.format(one.context)) for one in ran.guards}
    troubles = [one for one in ran.troubles if (one.place, one.reason) not in branches]
    if ran.given_up or any(one.path is not False for one in troubles):
        return None
    return ran


def bases_of(ran: Lowered, name: str) -> tuple[Loc, ...]:
    """Return the objects a member of which a run stores to."""
    found: dict[Loc, None] = {}
    for loc in ran.memory:
        if name in loc.path:
            found.setdefault(Loc(loc.root, loc.path[: loc.path.index(name)]))
    return tuple(found)
