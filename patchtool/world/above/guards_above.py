# SPDX-License-Identifier: GPL-2.0-only
"""Set-ups that are left out above their entry, by what a context holds.

A run begins at an entry; that its callers call it is taken for granted.  A caller that looks
at a role or at a field of a context first may skip the whole set-up by it, and what the set-up
itself compares then says nothing.  So may one that looks at a note of the last set-up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

from patchtool.c import library, syntax
from patchtool.c.index import calls, is_static, parameter_names
from patchtool.c.lower import Lowered, Trouble
from patchtool.c.lower.storage import member_names
from patchtool.c.scan import WORDS, Definition, before, callee_before, places
from patchtool.model import Place
from patchtool.world.above.deciding import Deciding, answering
from patchtool.world.above.kept import Kept, Way, is_looked_at
from patchtool.world.above.near import Near
from patchtool.world.above.notes import Notes
from patchtool.world.above.written import written_out
from patchtool.world.accounts.counts import is_count
from patchtool.world.accounts.ledger import Executed
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.accounts.sites import MEASURED
from patchtool.world.closure import is_variable, macros_with
from patchtool.world.ended import ended
from patchtool.world.entries import Tree, tables_of
from patchtool.world.rivals import accounting

_STORED = re.compile(
    rb"(?:->|\.)\s*(\w+)\s*(?:\[[^\]]*\]\s*)?(?:[-+|&^]|<<|>>)?=(?!=)"
    rb"|(?:->|\.)\s*(\w+)\s*(?:\+\+|--)"
)
_KEPT_IN = re.compile(
    rb"(?:\b(\w+)\s*(?:\[[^\];]*\]\s*)*|\(\s*\*\s*(?:const\s+)?(\w+)\s*\)\s*\([^;{}]*\)\s*)=\s*&?\s*\Z"
)
"""The member, or the object, to which a function is stored whose name follows."""
_VOID = re.compile(rb"\bvoid\s+\w+\s*\Z")
_Leading = dict[tuple[str, str, int], tuple[Definition, dict[str, None]]]
"""The functions that lead to an entry, each with all that it calls on the way."""
MAX_ABOVE = 2_000
"""How many functions above the entries are looked at; kernels have 100."""


class Above:
    """What leads to the entries of some runs, and what it may leave them out by."""

    def __init__(self, tree: Tree, runs: list[Lowered], names: frozenset[str]) -> None:
        """NAMES are the roles and the fields that are accounted for."""
        self.tree, self.names = tree, names
        self.executed = Executed(accounting(runs))
        self.starts = {run.start.key: run.start for run in runs if run.guards}
        self.leading: _Leading = {}
        self.unwritten: list[Trouble] = []
        """Macros that may decide, and cannot be written out."""
        for key, (one, callees) in _leading(tree, self.starts).items():
            place = Place(one.file, one.line, 1, one.name)
            for callee in callees:
                macros = tree.index.macros(callee, one.file)
                if any(macro.text.strip() != callee.encode() for macro in macros):
                    reason = f"{callee}() is a macro as well, which may decide whether it is called"
                    self.unwritten.append(Trouble(place, reason, False))
            if one not in self.executed:
                one, unspelt = written_out(tree.index, one, callees.keys())
                if unspelt:
                    reason = f"{unspelt}(), which is not understood, may decide"
                    reason += f" whether {next(iter(callees))}() is called"
                    self.unwritten.append(Trouble(place, reason, False))
            self.leading[key] = one, callees
        self.deciders = _Deciders(tree)
        left = _left_behind(tree, runs) - names
        self.keys = _Keys(tree, self.executed, self.leading, left, self.deciders)


def notes_above(above: Above) -> Iterator[Trouble]:
    """Yield where what leads to an entry looks at a note of the last set-up, and may skip by it."""
    way = Way(above.tree, above.executed, above.leading, above.deciders.of)
    kept = Kept(way)
    notes, near = Notes(way, kept), Near(way, kept, above.starts.values())
    yield from above.unwritten
    yield from above.keys.deciding(kept)
    for caller, callees in above.leading.values():
        if caller not in above.executed:
            close = near.among(callees.keys())
            if close:
                yield from near.deciding(caller, close)
            if close != callees.keys():
                yield from notes.deciding(caller, callees.keys() - close)


def guards_above(here: Above, mentions: Mentions) -> Iterator[Trouble]:
    """Yield where what leads to an entry reads a role or a field, and may skip by it."""
    tree, executed, above, names = here.tree, here.executed, here.leading, here.names
    if len(above) > MAX_ABOVE:
        start = next(iter(here.starts.values()))
        place = Place(start.file, start.line, 1, start.name)
        yield Trouble(place, f"more than {MAX_ABOVE} functions lead to {start.name}()", False)
    reading: set[str] = set()
    for name in sorted(names):
        for mention in mentions.of(name):
            function = mention.function
            if mention.kind != "read" or mention.reason == MEASURED or function is None:
                continue
            reading.update(_accessors(tree, function, name))
            if (
                function.key in above
                and function not in executed
                and not mentions.is_printed(mention)
            ):
                callee = next(iter(above[function.key][1]))
                reason = f"{mention.what} is read where {callee}() is called, or is not"
                yield Trouble(mention.place, reason, False)
    left = frozenset(filter(here.keys.is_own, here.keys.left))
    for name in sorted(left):
        for _, user in tree.index.users(name):
            reading.update(_accessors(tree, user, name))
    yield from _disguised(tree, executed, above, reading)
    for start in here.starts.values():
        tables = tables_of(tree.index, start)
        for holder in _holders(tree, start.name, is_outside=True):
            if holder.decode() in tables:
                continue
            place = Place(start.file, start.line, 1, start.name)
            reason = f"{start.name}() is kept in {holder.decode()}, whose callers are not followed"
            yield Trouble(place, reason, False)
    tellers = _tellers(tree, reading) if above else frozenset()
    told = _Told(tree, tellers, names | left)
    for caller, callees in above.values():
        called = calls(caller.text.partition(b"{")[2]) & tellers - {caller.name}
        if not called or caller in executed:
            continue
        for callee, ones in here.deciders.of(caller, callees.keys(), tellers).items():
            for one in sorted(ones - {caller.name}):
                if told.by(one, caller.file):
                    place = Place(caller.file, caller.line, 1, caller.name)
                    reason = f"{one}() reads a role or a cached field where {callee}()"
                    yield Trouble(place, f"{reason} is called, or is not", False)


def _disguised(
    tree: Tree, executed: Executed, above: _Leading, reading: Set[str]
) -> Iterator[Trouble]:
    """Yield where what reads a role is used on the way by no name of its own.

    By a name that a macro pastes, or through a pointer of file scope that it is kept in.
    """
    callers = [(one, callees) for one, callees in above.values() if one not in executed]
    for place, name, macro in tree.pasting.uses(reading):
        said = f"{macro}() pastes the name of {name}(), which reads a role, where"
        for caller, callees in callers:
            last = caller.line + caller.text.count(b"\n")
            if place.file == caller.file and caller.line <= place.line <= last:
                reason = f"{said} {next(iter(callees))}() is called"
                yield Trouble(place._replace(function=caller.name), reason, False)
    held = dict.fromkeys((name, one) for name in sorted(reading) for one in _holders(tree, name))
    for name, holder in held:
        called = re.compile(rb"\b%s\s*(?:\[[^\];]*\]\s*)?\)?\s*\(" % re.escape(holder))
        for caller, callees in callers:
            if holder in caller.text and called.search(caller.text) is not None:
                place = Place(caller.file, caller.line, 1, caller.name)
                reason = f"{holder.decode()} leads to {name}(), which reads a role, where"
                yield Trouble(place, f"{reason} {next(iter(callees))}() is called", False)


def _holders(tree: Tree, name: str, is_outside: bool = False) -> Iterator[bytes]:
    """Yield the members and objects in which a function is kept, or those IS_OUTSIDE of any."""
    word = name.encode()
    for path in tree.index.own_with(word):
        file = tree.index.file(path)
        for at in places(file.data, word) if file is not None else ():
            assert file is not None
            lead = file.data[max(0, at - 160) : at]
            kept = _KEPT_IN.search(lead) if lead.rstrip(b" \t\n&").endswith(b"=") else None
            if is_outside and file.function_at(at) is not None:
                continue
            if kept is not None:
                yield kept[1] or kept[2]
            if kept is not None or file.function_at(at) is not None:
                continue
            yield from (one.name.encode() for one in file.objects_around(at))


def _left_behind(tree: Tree, runs: list[Lowered]) -> frozenset[str]:
    """Return the members that set-ups store beside contexts, those that select one left out."""
    found = {
        member_names(loc)[-1].removesuffix("[]")
        for run in runs
        for loc in run.memory
        if loc.root.kind != "local" and member_names(loc) and not is_count(tree, run, loc)
    }
    return frozenset(found) - tree.held(rb"\*")


class _Keys:
    """What says that a set-up was done before, so that it may be left out.

    It is a member that a set-up leaves behind, LEFT, and that nobody else stores; or one that
    whoever asks for it stores, and that is spoken of nowhere but on the way to a set-up.
    """

    def __init__(
        self,
        tree: Tree,
        executed: Executed,
        above: _Leading,
        left: frozenset[str],
        deciders: _Deciders,
    ) -> None:
        self._tree, self._executed, self._above, self.left = tree, executed, above, left
        self._deciders = deciders
        self._known: dict[str, bool] = {}

    def is_own(self, name: str) -> bool:
        """Tell whether a member is kept for set-ups alone."""
        if name not in self._known:
            self._known[name] = all(
                user.key in self._above
                or user in self._executed
                or (name in self.left and name not in _stored_in(user))
                for _, user in self._tree.index.users(name)
            )
        return self._known[name]

    def deciding(self, kept: Kept) -> Iterator[Trouble]:
        """Yield where such a member decides whether a set-up is called."""
        declared = self._tree.index.words_in(self._tree.index.target.header)
        for caller, callees in self._above.values():
            if caller in self._executed:
                continue
            words = caller.text.translate(WORDS).decode("utf-8", "replace").split()
            keys = frozenset(
                one
                for one in kept.by(caller)
                if one.encode() in declared and is_looked_at(caller, one)
            )
            asked = frozenset(filter(self.is_own, keys | self.left.intersection(words)))
            if not asked:
                continue
            by = self._deciders.of(caller, callees.keys(), asked)
            for callee, ones in by.items():
                for one in sorted(ones):
                    place = Place(caller.file, caller.line, 1, caller.name)
                    reason = f"{one}, which is kept for set-ups alone, decides whether {callee}()"
                    yield Trouble(place, f"{reason} is called", False)


def _stored_in(function: Definition) -> frozenset[str]:
    """Return the members that a function or a macro stores to."""
    found = _STORED.findall(function.text)
    return frozenset(one.decode() for some in found for one in some if one)


class _Deciders:
    """What decides whether callers call others: each caller is looked through once for those."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: dict[tuple[tuple[str, str, int], frozenset[str]], Deciding] = {}

    def of(
        self, caller: Definition, callees: Set[str], tellers: frozenset[str]
    ) -> dict[str, frozenset[str]]:
        """Return which functions that can tell may decide whether a caller calls each of others."""
        index = self._tree.index
        key = caller.key, frozenset(callees)
        known = self._known.get(key)
        if known is None:
            node = index.node(caller)
            if caller.kind == "macro" or syntax.errors(node):
                words = calls(caller.text) & tellers
                return {callee: words - {callee} for callee in callees}
            known = Deciding(
                node,
                callees,
                library.dispatchers(index.target),
                lambda one: ended(index, one, caller) in parameter_names(caller),
            )
            self._known[key] = known
        return known.by(tellers)


def _leading(tree: Tree, starts: dict[tuple[str, str, int], Definition]) -> _Leading:
    """Return the functions that lead to an entry, by whatever calls, with all that each calls."""
    found: _Leading = {}
    todo = list(starts.values())

    def leads(one: Definition, callee: str) -> None:
        if one.key in starts or one.name == callee:
            return
        if one.key not in found:
            found[one.key] = one, {}
            todo.append(one)
        found[one.key][1].setdefault(callee)

    header = tree.index.target.header
    while todo and len(found) <= MAX_ABOVE:
        callee = todo.pop().name
        word = callee.encode()
        near = dict.fromkeys((header, *tree.index.own_with(word)))
        for macro in macros_with(tree.index, near, frozenset((word,))):
            leads(macro, callee)
        for _, user in tree.index.users(callee):
            if user.key in starts or user.name == callee:
                continue
            body = user.text.partition(b"{")[2]
            for at in places(body, word):
                if _is_operation(tree, body, at):
                    continue
                leads(user, callee)
                if body[at + len(word) :].lstrip()[:1] != b"(":  # who is given it may call it
                    start = max(body.rfind(mark, 0, at) for mark in (b";", b"{", b"}"))
                    for name in sorted(calls(body[start + 1 : at])):
                        for one in tree.index.functions(name, user.file):
                            leads(one, callee)
    return found


def _is_operation(tree: Tree, body: bytes, at: int) -> bool:
    """Tell whether a word is given to what calls the operation of that name, and no function."""
    found = callee_before(body, at - 1, at - 80) if body[at - 1 : at] == b"(" else None
    known = library.dispatchers(tree.index.target)
    return found is not None and found[1].decode() in known


def _accessors(tree: Tree, function: Definition, name: str) -> Iterator[str]:
    """Yield who can tell of what a function reads: it, and the functions that come of it."""
    if function.kind == "macro" or _can_tell(tree, function):
        yield function.name
    file = tree.index.file(function.file) if function.kind == "macro" else None
    for made in tree.index.generated(file).values() if file is not None else ():
        yield from (one.name for one in made if name.encode() in one.text)


def _tellers(tree: Tree, reading: Set[str]) -> frozenset[str]:
    """Return what can tell of a role or a field: by itself, or by what it calls."""
    found, fresh = set(reading), set(reading)
    while fresh:
        words = {name.encode() for name in fresh}
        more: set[str] = set()
        for path in tree.index.own_files:
            if tree.index.words_in(path).isdisjoint(words):
                continue
            file = tree.index.file(path)
            for name, inner in tree.index.calls_in(path).items():
                if name in found or inner.isdisjoint(fresh) or file is None:
                    continue
                if any(_can_tell(tree, one) for one in file.functions[name]):
                    more.add(name)
        fresh = more
        found |= more
    return frozenset(found)


class _Told:
    """Who tells of some members by what he returns, or leaves where he was told to."""

    def __init__(self, tree: Tree, tellers: frozenset[str], names: frozenset[str]) -> None:
        self._tree, self._names, self._words = tree, names, tellers | names
        self._known: dict[tuple[str, str, int], frozenset[str]] = {}

    def by(self, name: str, here: str) -> bool:
        """Tell whether what a call from a file answers may depend on a member."""
        todo, seen = [(name, here)], {(name, here)}
        while todo:
            name, here = todo.pop()
            for one in self._called(name, here):
                on = self._on(one)
                if not on.isdisjoint(self._names):
                    return True
                more = {(other, one.file) for other in on} - seen
                seen |= more
                todo += sorted(more)
        return False

    def _called(self, name: str, here: str) -> tuple[Definition, ...]:
        """Return what a call from a file may lead to."""
        index = self._tree.index
        found = (*index.functions(name, here), *index.macros(name, here))
        if found:
            return found
        others = (one for _, one in index.users(name) if one.name == name)
        return tuple(one for one in others if not is_static(one))

    def _on(self, function: Definition) -> frozenset[str]:
        """Return on which words an answer depends; where that is not clear, on all in there."""
        known = self._known.get(function.key)
        if known is None:
            node = self._tree.index.node(function) if function.kind == "function" else None
            held = function.text.partition(b"{")[2] if node is not None else function.text
            known = frozenset(held.translate(WORDS).decode("utf-8", "replace").split())
            known &= self._words
            known -= {one for one in known & self._names if _is_variable(one, function)}
            if known and node is not None and not syntax.errors(node):
                known = answering(node, known)
            self._known[function.key] = known
        return known


def _is_variable(name: str, function: Definition) -> bool:
    """Tell whether a name in a function is that of a variable, and of no member, anywhere."""
    word, text = name.encode(), function.text
    return is_variable(word, text) and not any(
        before(text, at).endswith((b".", b"->")) for at in places(text, word)
    )


def _can_tell(tree: Tree, function: Definition) -> bool:
    """Tell whether a function returns anything, or is given where to leave it.

    What it stores to the structure that holds the contexts is looked at as that.
    """
    head, _, given = function.text.partition(b"{")[0].partition(b"(")
    if _VOID.search(head) is None:
        return True
    known = {tree.index.target.host, *tree.roles.contexts}
    return any(
        b"*" in one
        and not any(
            re.search(rb"\bstruct\s+%s\s*\*\s*\w+\W*\Z" % tag.encode(), one) for tag in known
        )
        for one in given.split(b",")
    )
