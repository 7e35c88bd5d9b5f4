# SPDX-License-Identifier: GPL-2.0-only
"""The ledger: what each mention of what a proof rests on amounts to.

In: the mentions of the roles and fields of a tree, and its runs.  Out: an account of each
mention, and doubts.  A mention was executed in a run that was decided, or it declares, names
something else, reads, or stores to a part of a role, which then carries nothing.  Whatever
else it is, it puts in doubt what it may touch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from patchtool.c import syntax
from patchtool.c.index import is_static
from patchtool.c.layout import literal
from patchtool.c.lower import Lowered
from patchtool.c.lower.records import Point
from patchtool.c.scan import Definition, FileIndex, places, strip_comments
from patchtool.c.syntax import Node
from patchtool.model import Account, Place
from patchtool.proof import bits
from patchtool.world.accounts.backwards import backwards
from patchtool.world.accounts.holders import Change, Front, Holders
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.accounts.overruns import Overruns, Site
from patchtool.world.accounts.readers import Selection, base_of
from patchtool.world.accounts.sites import Mention
from patchtool.world.accounts.strays import Stray, Strays
from patchtool.world.entries import Tree, callers_by_table
from patchtool.world.inputs.births import Births
from patchtool.world.inputs.firsts import Firsts
from patchtool.world.users import users

_NOTHING = re.compile(r"(?:\(\s*(?:union|struct)\s+\w+\s*\)\s*)?\{\s*(?:0\s*,?\s*)?\}")


class Doubt(NamedTuple):
    """One mention that is not accounted for, and what it may touch."""

    place: Place
    reason: str
    name: str
    context: str
    """The member of the host that it may touch; any where it is empty."""


class Patch(NamedTuple):
    """A part of a stored role that is stored to outside of the set-ups."""

    place: Place
    role: str
    below: tuple[str, ...]
    context: str
    value: int | None
    """What is stored, where that is a number."""
    function: Definition | None
    """The function, or the macro, around it."""


_FIRST = "made in front of all set-ups"
_CLEARED = re.compile(rb"memset\((\w+), *0, *sizeof\(\*\1\)\);")


class Told(NamedTuple):
    """What the text says of some members by itself, before anything is run."""

    mentions: dict[str, tuple[Mention, ...]]
    wholes: tuple[Change, ...]
    """Where a context may be changed as a whole."""
    fronts: tuple[Front, ...]
    """What lies in front of the contexts in what is around them."""
    addresses: tuple[Site, ...]
    """Where the address of a member of a context, or of one in front of it, is taken."""
    pasted: tuple[tuple[Place, str, str], ...]
    parts: tuple[tuple[Place, str, str], ...]
    """Names that macros paste, and words that would make one: place, name, macro or words."""
    spelt: tuple[Place, ...]
    """Where a sign is spelt in a way that is read nowhere: ``%:`` for ``#``."""
    notes: object
    """What was read and consulted for it."""


def prepare(tree: Tree) -> None:
    """Make what telling and running both need, so that neither of two processes makes it twice."""
    for path in tree.index.scope(tree.roles.here):
        tree.index.words_in(path)
    syntax.prepare("mention_use", "reading_macro")


def tell(tree: Tree, names: Iterable[str]) -> Told:
    """Return what the text of a tree says of some members."""
    mentions = book_of(tree, names)
    holders = Holders(tree, mentions)
    changes, fronts = tuple(holders.changes()), tuple(holders.fronts())
    return Told(
        {name: mentions.of(name) for name in sorted(names)},
        (*changes, *backwards(tree.index, holders.texts, fronts)),
        fronts,
        tuple(Overruns(tree, mentions, fronts).sites(holders.reaching(), holders.texts)),
        tuple(tree.pasting.uses({*names, *tree.held(), *tree.held(rb"\*")})),
        tuple(tree.pasting.parts(names)),
        tuple(_spelt(tree, mentions)),
        tree.notes(),
    )


def _spelt(tree: Tree, mentions: Mentions) -> Iterator[Place]:
    """Yield where a number sign is spelt in two other signs, once for each file."""
    near = tree.index.target.built_from
    for path in (path for path in mentions.files if path.startswith(near)):
        data = tree.index.text(path) or b""
        at = data.find(b"%:")
        if at >= 0 and data.count(b'"', data.rfind(b"\n", 0, at) + 1, at) % 2 == 0:
            yield Place(path, data.count(b"\n", 0, at) + 1)


def book_of(tree: Tree, names: Iterable[str]) -> Mentions:
    """Return the mentions of some members of the contexts of a tree."""
    owners = frozenset(tree.roles.contexts)
    return Mentions(tree.index, tree.types, dict.fromkeys(names, owners))


class Executed:
    """The functions and macros that some runs went through."""

    def __init__(self, runs: Iterable[Lowered]) -> None:
        self._keys = frozenset(
            (one.file, one.name, one.line)
            for lowered in runs
            for one in lowered.consulted
            if one.kind in ("function", "macro")
        )

    def __contains__(self, one: object) -> bool:
        return isinstance(one, Definition) and (one.file, one.name, one.line) in self._keys


class Ledger:
    """The accounts of one tree."""

    def __init__(
        self, tree: Tree, told: Told, runs: Iterable[Lowered], names: Iterable[str]
    ) -> None:
        """Account for every mention of some members: roles, and fields of contexts.

        TOLD is what the text says of them; RUNS are those that account for what they store.
        """
        self._tree = tree
        self.mentions = book_of(tree, names)
        self.mentions.know(told.mentions)
        tree.take(told.notes)
        self._runs = list(runs)
        self._executed = Executed(self._runs)
        self._embedded = tree.held()
        self._starts = {lowered.start.key for lowered in self._runs}
        self._callers: dict[tuple[str, str, int], tuple[str, Place] | None] = {}
        self.accounts: list[Account] = []
        self.doubts: list[Doubt] = []
        self.patches: list[Patch] = []
        self._strays: list[Stray] = []
        roles = {n for held in tree.roles.shape.contexts.values() for n in held}
        self.names = frozenset(names)
        """The members that are accounted for."""
        for name in sorted(self.names):
            for mention in told.mentions[name]:
                self._account(mention, name in roles)
        for place, function, reason in told.wholes:
            if function is None or not self.is_executed(function):
                if function is not None and self._is_cleared_first(function, place):
                    self.accounts.append(Account(place, "", "a context", _FIRST))
                else:
                    self._doubt_whole(place, reason)
        overruns = Overruns(tree, self.mentions, told.fronts)
        for place, reason in overruns.found(told.addresses, self.is_executed):
            self._doubt_whole(place, reason)
        for place, name, macro in told.pasted:
            reason = f"{macro}() pastes the name of {name}"
            if name not in self.names:  # a context as a whole, or what says which is in use
                self._doubt_whole(place, reason)
                continue
            self.doubts.append(Doubt(place, reason, name, ""))
            self.accounts.append(Account(place, name, macro, f"open: {reason}"))
        for place, name, words in told.parts:
            reason = f"{words} stand in the text, which make {name} where a macro pastes them"
            self.doubts.append(Doubt(place, reason, name, ""))
            self.accounts.append(Account(place, name, words, f"open: {reason}"))
        self.spelt = told.spelt
        called = self._set_up_by(told)
        for place, name, macro in tree.pasting.uses(called):
            self._doubt_whole(place, f"{macro}() pastes the name of {name}()")
        for place, name, words in tree.pasting.parts(called):
            reason = f"{words} stand in the text, which make {name}() where a macro pastes them"
            self._doubt_whole(place, reason)
        self.accounts.sort()

    @cached_property
    def computed(self) -> frozenset[Place]:
        """The places where set-ups that are decided store a role, behind a guard."""
        found: set[Place] = set()
        for ran in self._runs:
            keys = bits.Among(one.symbol for one in ran.guards)
            found.update(one.place for one in ran.stores if keys.read_by(one.path))
        return frozenset(found)

    def _set_up_by(self, told: Told) -> frozenset[str]:
        """Return the functions that lead to a set-up, and those in there that store."""
        leading = {name for run in self._runs for guard in run.guards for name in guard.calls}
        stores = (one for some in told.mentions.values() for one in some if one.kind == "store")
        storing = {
            one.function.name
            for one in stores
            if one.function is not None
            and one.function.kind == "function"
            and not one.function.generated
            and self.is_executed(one.function)
        }
        return frozenset(leading | storing)

    # -- what it amounts to ------------------------------------------------------------------

    def _account(self, mention: Mention, is_role: bool) -> None:
        how = {
            "declaration": "declared",
            "variable": "something else of that name",
            "read": "read",
        }.get(mention.kind)
        if how is None:
            outside = self._outside(mention)
            if outside is None:
                how = "executed"
            elif not is_role and mention.kind == "store" and self._is_made_first(mention):
                how = _FIRST
            elif not is_role and mention.function is not None:
                how = self._stray(mention, outside)
            elif (
                is_role
                and mention.kind == "store"
                and (mention.below or _number(mention.value) is not None)
            ):
                how = "stored elsewhere, and carries nothing"
                value = _number(mention.value)
                self.patches.append(
                    Patch(
                        mention.place, mention.name, mention.below, mention.context, value,
                        mention.function,
                    )
                )  # fmt: skip
            else:
                how = self._doubt(mention, outside)
        self.accounts.append(Account(mention.place, mention.name, mention.what, how))

    def _stray(self, mention: Mention, outside: str) -> str:
        """Note a mention of a field outside of the set-ups, which may store to it."""
        reason = f"{mention.reason or f'{mention.what} is stored'}{outside}"
        function = mention.function
        assert function is not None
        by: tuple[Definition, ...] = ()
        if function.kind == "macro" or self.is_executed(function):
            by = self._outsiders(function)
        elif mention.kind == "store":
            by = (function,)
        self._strays.append(Stray(mention.place, reason, mention, by))
        return f"open: {reason}"

    def _doubt_whole(self, place: Place, reason: str) -> None:
        roles = sorted(n for held in self._tree.roles.shape.contexts.values() for n in held)
        self.doubts.append(Doubt(place, reason, roles[0], ""))
        self.accounts.append(Account(place, "", "a context", f"open: {reason}"))

    def _doubt(self, mention: Mention, outside: str) -> str:
        reason = mention.reason or f"{mention.what} is stored"
        reason = f"{reason}{outside}"
        self.doubts.append(Doubt(mention.place, reason, mention.name, mention.context))
        return f"open: {reason}"

    # -- what is made in front of all set-ups --------------------------------------------------

    @cached_property
    def _firsts(self) -> Firsts:
        leading = {name for run in self._runs for guard in run.guards for name in guard.calls}
        leading.update(run.start.name for run in self._runs)
        return Firsts(self._tree, Births(self._tree, frozenset(leading)), frozenset(leading))

    def is_made_first(self, context: str, member: tuple[str, ...]) -> bool:
        """Tell whether a field of a context is stored in its making, and outside of it nowhere."""
        made = {one.place for one in self.accounts if one.how == _FIRST}
        return not any(self.strays(context, member)) and any(
            one.place in made
            and (base := base_of(one)) is not None
            and context in self.selection.contexts(base, one.function)
            for one in self.mentions.of(member[0])
        )

    def _is_made_first(self, mention: Mention) -> bool:
        """Tell whether a store to a field is one in the making of its context."""
        function, base = mention.function, base_of(mention)
        if function is None or function.kind != "function" or function.generated or not base:
            return False
        statement = self._statement(function, mention.place)
        if statement is None or statement.type != "expression_statement":
            return False
        if mention.what.count("->") != 1:
            return False
        end = statement.end_byte
        return self._firsts.is_first(function, end, end, f"&{base}" if "->" in base else base)

    def _is_cleared_first(self, function: Definition, place: Place) -> bool:
        """Tell whether a context is made zeros of in its making, as it is allocated."""
        if function.kind != "function" or function.generated:
            return False
        file = self._tree.index.file(function.file)
        is_own = self.mentions.has_own("memset", function.file)
        if file is None or is_own or place.file != function.file:
            return False
        start = file.offset(place.line, 1)
        line = file.data[start:].partition(b"\n")[0]
        found = _CLEARED.fullmatch(line.strip())
        if found is None:
            return False
        end = start + len(line.rstrip()) - function.start
        return self._firsts.is_first(function, end, end, found[1].decode())

    def _statement(self, function: Definition, place: Place) -> Node | None:
        """Return the statement of a function at a place."""
        file = self._tree.index.file(place.file)
        if file is None or place.file != function.file:
            return None
        at = file.offset(place.line, place.column) - function.start
        root = self._tree.index.node(function)
        here: Node | None = root.descendant_for_byte_range(at, at)
        while here is not None and not here.type.endswith("statement"):
            here = here.parent
        return here

    # -- what was executed -------------------------------------------------------------------

    def is_executed(self, one: Definition) -> bool:
        """Tell whether a run that accounts for what it stores went through a function."""
        return one in self._executed

    def _outside(self, mention: Mention) -> str | None:
        """Say how a mention is come by outside of the runs; None where it is not."""
        function = mention.function
        if function is None:
            return ", outside of any function"
        if function.kind == "macro" or self.is_executed(function):
            known = self._called_outside(function)
            if known is None:
                return None
            name, place = known
            return f", and {name}() uses it outside of the set-ups ({place.file}:{place.line})"
        if self._is_never_called(function):
            return None
        return f" in {function.name}(), which is no part of a set-up that was decided"

    def _is_never_called(self, function: Definition) -> bool:
        """Tell whether a function is named only in branches that no run of a set-up takes."""
        if not is_static(function) or not function.file.endswith(".c"):
            return False
        callers = dict.fromkeys(user for _, user in self._users(function))
        pasting = self._tree.pasting
        names = frozenset((function.name,))
        return bool(callers) and not (
            any(user is None or not self._never_calls(user, function) for user in callers)
            or any(pasting.uses(names))
            or any(pasting.parts(names))
        )

    def _never_calls(self, user: Definition, function: Definition) -> bool:
        """Tell whether runs went through a function and took none of its branches with a name."""
        file = self._tree.index.file(user.file)
        return (
            file is not None
            and user.kind == "function"
            and self.is_executed(user)
            and self._called_outside(user) is None
            and all(
                self._is_never_run(file, user.start + at)
                for at in places(strip_comments(user.text), function.name.encode())
            )
        )

    def _is_never_run(self, file: FileIndex, at: int) -> bool:
        """Tell whether text stands in a branch that runs came to and did not take."""
        here = file.line(at), at - file.data.rfind(b"\n", 0, at)
        return any(
            path == file.path and start <= here < end and not is_run
            for (path, start, end), is_run in self._branches.items()
        )

    @cached_property
    def _branches(self) -> dict[tuple[str, Point, Point], bool]:
        """The branches that runs came to, and whether one of them took it."""
        found: dict[tuple[str, Point, Point], bool] = {}
        for lowered in self._runs:
            for where, is_run in lowered.branches.items():
                found[where] = found.get(where, False) or is_run
        return found

    def _outsiders(self, function: Definition) -> tuple[Definition, ...]:
        """Return all functions outside of the runs that come to one, none if not known."""
        found: dict[tuple[str, str, int], Definition] = {}
        for _, user in self._reaching(function):
            if user is None:
                return ()
            found[user.key] = user
        return tuple(found.values())

    def _called_outside(self, function: Definition) -> tuple[str, Place] | None:
        """Return who reaches a function that a run went through, and is in none itself."""
        if function.key not in self._callers:
            found = next(self._reaching(function), None)
            if found is None:
                self._callers[function.key] = None
            else:
                place, user = found
                name = "what is given its address" if user is None else user.name
                self._callers[function.key] = name, place
        return self._callers[function.key]

    def _reaching(self, function: Definition) -> Iterator[tuple[Place, Definition | None]]:
        """Yield who outside of the runs reaches a function; None for what may be anybody."""
        todo, seen = [function], {function.key}
        while todo:
            here = todo.pop()
            for place, user in self._users(here) if here.key not in self._starts else ():
                if user is None or (user.kind != "macro" and not self.is_executed(user)):
                    yield place, user
                elif user.key not in seen:
                    seen.add(user.key)
                    todo.append(user)

    def _users(self, function: Definition) -> Iterator[tuple[Place, Definition | None]]:
        """Yield what names a function or macro: other functions and macros, or no function."""
        index = self._tree.index
        for place, user in users(index, self.mentions.files, function):
            through = None
            if user is None and place.file == function.file:
                through = callers_by_table(index, function, place.line)
            if through is None:
                yield place, user
            for one in through or ():
                yield place, one

    # -- what a field rests on ---------------------------------------------------------------

    @cached_property
    def selection(self) -> Selection:
        """Which contexts the pointers of the tree may select."""
        return Selection(self._tree, self.mentions)

    @cached_property
    def outside(self) -> Strays:
        """What is known of the stores to fields outside of the set-ups."""
        return Strays(self._tree, self.selection)

    def strays(self, context: str, member: tuple[str, ...]) -> tuple[Stray, ...]:
        """Return what may store to a field of a context outside of the set-ups."""
        return tuple(
            one
            for one in self._strays
            if one.mention.name == member[0]
            and self._may_be(one.mention.context, context)
            and self.outside.may_be_of(one, context)
        )

    def _may_be(self, named: str, context: str) -> bool:
        """Tell whether a mention may be one of a context of a guard."""
        known = named in self._embedded and context in self._embedded
        return not known or named == context

    def doubts_about(self, context: str, member: tuple[str, ...]) -> tuple[tuple[Place, str], ...]:
        """Return the doubts about a field of a context: of its own, and about the roles."""
        roles = {n for held in self._tree.roles.shape.contexts.values() for n in held}
        return tuple(
            (one.place, one.reason)
            for one in self.doubts
            if (one.name in roles or one.name == member[0]) and self._may_be(one.context, context)
        )

    def patched(self, context: str, role: str) -> tuple[Patch, ...]:
        """Return what other code stores to parts of a role of a context."""
        return tuple(
            one for one in self.patches if one.role == role and self._may_be(one.context, context)
        )


def _number(value: str) -> int | None:
    """Return what a literal stores, of a whole record only zero; None where it is not known."""
    if value == "false" or _NOTHING.fullmatch(value):
        return 0
    return 1 if value == "true" else literal(value)
