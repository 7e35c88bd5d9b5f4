# SPDX-License-Identifier: GPL-2.0-only
"""Who changes what a guest is told of its CPU: a member, one feature, a leaf that answers.

In: members, and what a guest is asked with.  Out: functions, each with where its stores end.
A feature is looked for by its name, its word and its leaf; what cannot be told from another
one counts as a change of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from patchtool.c import brackets, library, syntax
from patchtool.c.asked import asked as asked_of
from patchtool.c.asked import only_answers, only_compares
from patchtool.c.index import (
    Index,
    expand,
    is_static,
    parameter_names,
    parameters,
    split_arguments,
)
from patchtool.c.layout import ArrayType, IntType, RecordType, literal
from patchtool.c.scan import Definition, places
from patchtool.c.syntax import text
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.accounts.sites import Mention
from patchtool.world.entries import Tree
from patchtool.world.inputs.births import Births, parameter_of
from patchtool.world.inputs.invalidation import MAX_CALLS
from patchtool.world.inputs.leaves import Leaves
from patchtool.world.inputs.newborn import is_alone
from patchtool.world.inputs.spills import spills
from patchtool.world.inputs.steady import is_set

_PLACE = re.compile(r"[\s(]*(\w+)[\s)]*\*\s*32\s*\+[\s(]*(\w+)[\s)]*")
_CALLED = re.compile(rb"\b([A-Za-z_]\w*)\s*\(")
_MOST_NAMES = 8
"""How many macros one feature may be another name of."""
_MOST_CALLED = 32
"""How many functions are looked into that one calls to answer."""
_NUMBER = re.compile(rb"\b(?:0[xX][0-9a-fA-F]+|\d+)\b")
_THROUGH_WORD = re.compile(rb"[;{})]\s*\*\s*\w+\s*(?:[-+|&^]|<<|>>)?=(?!=)")
"""A store to what a variable points to."""

Change = tuple[Definition, list[int]]
"""A function, and where its stores end."""


def tellers(index: Index, members: Iterable[str]) -> Iterator[Change]:
    """Yield the functions that store to some members, each with where its stores end.

    One that stores to two of the members comes twice.
    """
    for member in dict.fromkeys(members):
        stored = re.compile(
            rb"(?:->|\.)\s*%s\s*(?:[-+|&^]|<<|>>)?=(?!=)|\bswap\s*\([^;]*\b%s\b"
            rb"|\bmem\w+\s*\(\s*&?[\w>.-]*(?:->|\.)\s*%s\b" % ((member.encode(),) * 3)
        )
        for _, writer in index.users(member):
            stores = [match.end() for match in stored.finditer(writer.text)]
            if stores:
                yield writer, stores


def _features(index: Index, asked: str) -> list[str]:
    """Return the features that a guest is asked for."""
    return re.findall(index.target.registers.tables.feature, asked)


class _Place(NamedTuple):
    """The word of 32 bits in which a feature is, and its bit; None where that is not known."""

    word: int | None = None
    bit: int | None = None


def _place(index: Index, feature: str) -> _Place:
    """Return where a feature is, whatever macros that is made of."""
    asking = [index.target.header, *index.own_with(feature.encode())]
    for _ in range(_MOST_NAMES):
        found = next((one for here in asking if (one := index.macros(feature, here))), ())
        spelt = found[0].text.decode("utf-8", "replace").strip() if len(found) == 1 else ""
        call = re.fullmatch(r"(\w+)\s*\((.*)\)", spelt, re.DOTALL)
        made = call and next((one for here in asking if (one := index.macros(call[1], here))), ())
        if call is not None and made:
            spelt = expand(made[0], split_arguments(call[2])) or ""
        place = _PLACE.fullmatch(spelt)
        if place is not None:
            return _Place(literal(place[1]), literal(place[2]))
        if re.fullmatch(r"\(*\s*[A-Za-z_]\w*\s*\)*", spelt) is None:
            break
        feature = spelt.strip("() ")
    return _Place()


def _looked_up(index: Index, function: Definition) -> list[bytes]:
    """Return which leaves a function looks up, as text; all that it hands on where not known."""
    tables = index.target.registers.tables
    finder = re.compile(rb"\b(%s)\(([^;{}]*)" % tables.finders.encode())
    found: list[bytes] = []
    for call in finder.finditer(function.text.partition(b"{")[2]):
        given = call[2].partition(b")")[0].split(b",")
        for one in index.functions(call[1].decode(), function.file):
            names = parameter_names(one)
            at = names.index(tables.keys[0]) if tables.keys and tables.keys[0] in names else -1
            given = given[at : at + 1] if 0 <= at < len(given) else given
            break
        found.append(b",".join(given))
    return found


def _read(registers: tuple[str, ...]) -> re.Pattern[bytes]:
    """Return what finds the members of a record that are read."""
    return re.compile(rb"(?:->|\.)\s*(%s)\b" % "|".join(registers).encode())


def _numbers(body: bytes) -> frozenset[int]:
    """Return the numbers that stand in a text."""
    found = (literal(one.decode()) for one in _NUMBER.findall(body))
    return frozenset(one for one in found if one is not None)


class _NotSeen(Exception):
    """A member is changed where no function is."""


class Tellers:
    """What changes what the guests of one tree are told."""

    def __init__(self, tree: Tree, births: Births) -> None:
        self._tree, self._births = tree, births

    @cached_property
    def _leaves(self) -> Leaves:
        return Leaves(self._tree, self._births)

    def of(
        self, members: Iterable[str], asked: str, owner: str | None, by: str
    ) -> list[Change] | None:
        """Return what changes some members, None where something else than that may.

        ASKED is what a guest is asked with, BY which function, and OWNER the record of the
        members, where something else than to store to one by its name may change it.
        """
        members = list(members)
        if any(spills(self._tree, self._tree.index.target.host, one) for one in members):
            return None
        found = list(filter(None, map(self._late, tellers(self._tree.index, members))))
        if owner is not None and not self._are_all(members, owner, found):
            return None
        if asked:
            key = self._births.setups, asked, by, *members
            if key not in self._tree.told:
                self._tree.told[key] = self._found(members, asked, by)
            more = self._tree.told[key]
            return None if more is None else found + more
        return found

    def _late(self, change: Change) -> Change | None:
        """Return what is changed behind the making of a holder; None where nothing is."""
        function, ends = change
        late = [at for at in ends if not self._births.is_birth(function, at)]
        return (function, late) if late else None

    def _found(self, members: list[str], asked: str, by: str) -> list[Change] | None:
        """Return what changes some members beside plain stores; None where it is no function."""
        try:
            return [
                *self._changing(asked),
                *self._answering(asked, by),
                *self._filling(members, asked),
                *filter(self._has_handle, self._by_register(asked)),
            ]
        except _NotSeen:
            return None

    def _changing(self, asked: str) -> Iterator[Change]:
        """Yield the functions that change one feature that a guest is told of, by name or place.

        ASKED is what it was asked with.
        """
        index, registers = self._tree.index, self._tree.index.target.registers
        tables = registers.tables
        harmless = re.compile(tables.host)
        for feature in _features(index, asked):
            word = feature.encode()
            for _, user in index.users(feature):
                found: list[int] = []
                for at in places(user.text, word):
                    opened, _ = brackets.argument_at(user.text, at)
                    callee = brackets.callee(user.text, opened) if opened >= 0 else None
                    name = (callee or b"").decode()
                    if callee is None or harmless.fullmatch(name) is not None:
                        continue
                    if only_compares(index, name, user.text, at, len(word)):
                        continue
                    if asked_of(index, name, user.file, ("", feature)) is not None:
                        continue
                    if only_answers(index, name, user.file) or self._is_of_leaf(name, user.file):
                        continue
                    if not self._is_of_host(name, user.file):
                        found.append(brackets.end_of(user.text, opened) or at)
                if (late := self._late((user, found))) is not None:
                    yield late
            told = self._told_in(feature)
            for register in tables.registers if told is None else (told[1],):
                yield from self._storing(told and told[0], register, asked)

    def _is_of_leaf(self, name: str, here: str) -> bool:
        """Tell whether a function is given a leaf, and no guest: what it stores to is followed."""
        found = self._tree.index.functions(name, here)
        record = f"struct {self._tree.index.target.registers.tables.record} *"
        return bool(found) and all(
            any(record in each for each in parameters(one)) and not self._has_handle((one, []))
            for one in found
        )

    def _is_of_host(self, name: str, here: str) -> bool:
        """Tell whether a function is given numbers alone, and names nothing of a guest itself."""
        found = self._tree.index.functions(name, here)
        return bool(found) and not any(
            self._has_handle((one, [])) or any("*" in each for each in parameters(one))
            for one in found
        )

    def _answering(self, asked: str, name: str) -> Iterator[Change]:
        """Yield what changes a leaf that a function looks up to answer, itself or by others.

        Which one it is where that is no number is told by the feature that is asked for.
        """
        index, tables = self._tree.index, self._tree.index.target.registers.tables
        todo = [one for _, one in index.users(name) if one.name == name]
        seen = {one.key for one in todo}
        for one in todo:
            given, called = _looked_up(index, one), _CALLED.findall(one.text.partition(b"{")[2])
            leaves = {self._leaf(each, one.file) for each in given}
            if _features(index, asked):
                leaves.discard(None)
            elif len(todo) > _MOST_CALLED:
                leaves.add(None)
            read = set(_read(tables.registers).findall(one.text)) if leaves else set()
            registers = {each.decode() for each in read} or set(tables.registers)
            for leaf in sorted(leaves, key=lambda each: -1 if each is None else each):
                for register in sorted(registers):
                    yield from self._storing(leaf, register, asked)
            for each in dict.fromkeys(called):
                callee = each.decode()
                if re.fullmatch(tables.finders, callee) or len(todo) > _MOST_CALLED:
                    continue
                for more in index.functions(callee, one.file):
                    is_told = index.target.handle.encode() in more.text
                    if more.key not in seen and is_told and index.target.owns(more.file):
                        seen.add(more.key)
                        todo.append(more)

    def _leaf(self, given: bytes, here: str) -> int | None:
        """Return which leaf is looked up by some words, None where that is not known."""
        numbers = _numbers(given)
        if numbers:
            return min(numbers) if len(numbers) == 1 else None
        return self._tree.types.number(given.decode("utf-8", "replace"), here)

    def _storing(self, leaf: int | None, register: str, asked: str) -> Iterator[Change]:
        """Yield what may store to a member of a leaf, and to no feature beside what is asked."""
        return self._leaves.storing(
            leaf, register, lambda word: self._is_other(word, asked, register), self._told_in
        )

    def _told_in(self, feature: str) -> tuple[int, str] | None:
        """Return the leaf and the member in which a feature is told, None where not known."""
        word = _place(self._tree.index, feature).word
        return None if word is None else self._tree.index.target.registers.tables.words.get(word)

    def _filling(self, members: list[str], asked: str) -> Iterator[Change]:
        """Yield the functions that do more with a member, or a word of it, than to read it.

        One that is told which feature to change is looked at by its callers.  What is stored
        behind a pointer, or to a record that a member holds, is that of a leaf.
        """
        index = self._tree.index
        host = self._tree.types.record(f"struct {index.target.host}", index.target.header)
        known = host.by_name if isinstance(host, RecordType) else {}
        parameter = index.target.registers.tables.parameter
        owners = frozenset((index.target.host, index.target.handle))
        for member in members:
            ctype = known[member][1] if member in known else None
            has_words = isinstance(ctype, ArrayType) and isinstance(ctype.element, IntType)
            mentions = Mentions(index, self._tree.types, {member: owners})
            for mention in mentions.of(member):
                is_aside = bool(mention.below) and not has_words
                if is_aside or mention.is_idle or self._is_given_to_reader(mention):
                    continue
                user = mention.function
                if user is None or user.kind != "function":
                    raise _NotSeen
                if parameter and parameter in parameter_names(user):
                    number = parameter_of(user, parameter)
                    yield from self._told_which(user, number, asked, frozenset())
                elif not self._births.is_birth(user, at := self._offset(mention) - user.start):
                    yield user, [at]

    def _offset(self, mention: Mention) -> int:
        file = self._tree.index.file(mention.place.file)
        assert file is not None
        return file.offset(mention.place.line, mention.place.column)

    def _is_given_to_reader(self, mention: Mention) -> bool:
        """Tell whether a member is given to what only reads behind it, or gives it back."""
        user = mention.function
        if user is None or mention.kind != "open":
            return False
        opened, number = brackets.argument_at(user.text, self._offset(mention) - user.start)
        callee = (brackets.callee(user.text, opened) or b"").decode() if opened >= 0 else ""
        return callee in library.GIVING_BACK or number in library.READING.get(callee, ())

    def _has_handle(self, change: Change) -> bool:
        """Tell whether a change may be one of what a guest is told, and not of a table apart."""
        return self._tree.index.target.handle.encode() in change[0].text

    def _by_register(self, asked: str) -> Iterator[Change]:
        """Yield what changes a register of a leaf that is come by through one of its features.

        The register is got by a function that is told a feature, and stored to there, or by who
        has got it: then all features of one word are alike.
        """
        index, tables = self._tree.index, self._tree.index.target.registers.tables
        for _, user in index.users(tables.parameter) if tables.parameter else ():
            head, _, body = user.text.partition(b"{")
            if tables.parameter.encode() not in head:
                continue
            number = parameter_of(user, tables.parameter)
            if _THROUGH_WORD.search(body) is not None:
                yield from self._told_which(user, number, asked, frozenset())
            calls = self._births.calls(user) if b"*" in head.partition(b"(")[0] else ()
            for caller, call in calls or ():
                if tables.parameter.encode() in caller.text.partition(b"{")[0]:
                    continue
                given = syntax.arguments(call)
                word = text(given[number]) if number is not None and number < len(given) else ""
                words = {None, *(_place(index, one).word for one in _features(index, asked))}
                ends = [one.end() for one in _THROUGH_WORD.finditer(caller.text, call.end_byte)]
                late = self._late((caller, ends))
                if late is not None and _place(index, word).word in words:
                    yield late

    def _told_which(
        self,
        function: Definition,
        number: int | None,
        asked: str,
        above: frozenset[tuple[str, str, int]],
        is_of_one: bool = True,
    ) -> Iterator[Change]:
        """Yield the calls by which a function may change a feature that it is told by a number.

        IS_OF_ONE tells whether what is called below has to do with one holder alone.
        """
        calls = self._births.calls(function)
        if calls == () and is_static(function):
            return
        if not calls or number is None or function.key in above or len(above) > MAX_CALLS:
            yield function, [len(function.text) - 1]
            return
        is_of_one = is_of_one and is_alone(self._tree, function)
        for caller, call in calls:
            given = syntax.arguments(call)
            word = text(given[number]) if number < len(given) else ""
            is_first = is_of_one and self._births.is_birth(caller, call.end_byte)
            passed = parameter_of(caller, word)
            if passed is not None and not is_set(self._tree, caller, word):
                keys = above | {function.key}
                yield from self._told_which(caller, passed, asked, keys, is_of_one)
            elif not is_first and not self._is_other(word, asked):
                yield caller, [call.end_byte]

    def _is_other(self, word: str, asked: str, register: str = "") -> bool:
        """Tell whether a word is the name of a feature, and of another one than is asked for.

        In a REGISTER it is told by that and its bit alone: the leaf is that of a pointer.
        """
        features = _features(self._tree.index, asked)
        spelt = self._tree.index.target.registers.tables.feature
        if re.fullmatch(spelt, word) is None or word in features:
            return False
        if features:
            return all(self._are_apart(word, one, bool(register)) for one in features)
        told = self._told_in(word) if register else None
        return not register or (told is not None and told[1] != register)

    def _are_apart(self, one: str, other: str, in_register: bool) -> bool:
        """Tell whether two features are known to be two bits, whatever they are called."""
        here, there = _place(self._tree.index, one), _place(self._tree.index, other)
        if None not in (here.bit, there.bit) and here.bit != there.bit:
            return True
        words: tuple[object, object] = here.word, there.word
        if in_register:
            told = self._told_in(one), self._told_in(other)
            words = told[0] and told[0][1], told[1] and told[1][1]
        return None not in words and words[0] != words[1]

    def _are_all(self, members: list[str], owner: str, found: list[Change]) -> bool:
        """Tell whether nothing but some functions may store to some members."""
        known = {writer.key for writer, _ in found}
        owners = dict.fromkeys(members, frozenset((owner,)))
        mentions = Mentions(self._tree.index, self._tree.types, owners)
        return all(
            one.is_idle
            or (
                one.kind == "store"
                and one.function is not None
                and (
                    one.function.key in known
                    or self._births.is_birth(one.function, self._offset(one) - one.function.start)
                )
            )
            for member in members
            for one in mentions.of(member)
        )
