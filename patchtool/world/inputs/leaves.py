# SPDX-License-Identifier: GPL-2.0-only
"""Who may store to a word of a leaf that a guest is told of its CPU.

In: the leaf, and the member of its record.  Out: functions, each with where its stores end.
Every way to a record is accounted for: members and objects that hold one or point to one, the
functions that return such a pointer, macros.  A store through it is none of ours where each
value of the pointer is an object of one function, memory that no guest is told of yet, or
what was found by the number of another leaf.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

from patchtool.c import syntax
from patchtool.c.conditions import last_given
from patchtool.c.index import expand, is_static, parameter_names
from patchtool.c.scan import Definition
from patchtool.c.syntax import Node, text
from patchtool.world.entries import Tree
from patchtool.world.inputs.births import Births, parameter_of
from patchtool.world.inputs.invalidation import MAX_CALLS
from patchtool.world.inputs.newborn import is_alone
from patchtool.world.inputs.steady import is_set
from patchtool.world.inputs.uses import YIELDS, Uses
from patchtool.world.inputs.words import Words

_ALLOCATES = re.compile(r"\w*alloc\w*|\w*memdup\w*")
_NOTHING = re.compile(r"NULL|0|ERR_PTR\(.*\)|ERR_CAST\(.*\)", re.S)
MAX_VALUES = 64
"""How many values of a variable are told apart by where they are assigned."""
HERE = -1
"""Why a store counts: what is in its own function, where it is none of its parameters."""

Change = tuple[Definition, list[int]]
Key = tuple[str, str, int]


class _Asked(NamedTuple):
    """A leaf and a member of its record; whether a store may make it another leaf.

    What is a feature beside the one that is asked for is told by its name.
    """

    leaf: int | None
    register: str
    is_other: Callable[[str], bool]
    place_of: Callable[[str], tuple[int, str] | None]
    is_any: bool = False


class _Way(NamedTuple):
    """How a pointer is come by: in a function, for a store AT some place, READ at another one.

    It may point to a neighbour of what it was given if it IS_MOVED; SEEN are the variables,
    members and functions by which it was followed.
    """

    uses: Uses
    asked: _Asked
    at: int = -1
    is_moved: bool = False
    seen: frozenset[object] = frozenset()
    read: int = -1

    def by(self, mark: object) -> _Way:
        """Return the way that goes by one more variable, member or function."""
        return self._replace(seen=self.seen | {mark})


class Leaves:
    """The stores to what the guests of one tree are told."""

    def __init__(self, tree: Tree, births: Births) -> None:
        self._tree, self._births, self._index = tree, births, tree.index
        self._tables = tree.index.target.registers.tables
        self._uses: dict[Key, Uses] = {}
        self._known: dict[object, set[int]] = {}
        """Why variables may lead to a leaf."""

    def storing(
        self,
        leaf: int | None,
        register: str,
        is_other: Callable[[str], bool],
        place_of: Callable[[str], tuple[int, str] | None],
    ) -> Iterator[Change]:
        """Yield the functions that may store to a member of the record of a leaf.

        IS_OTHER tells whether the name of a feature in it is that of another one, PLACE_OF in
        which member of which leaf a feature is.
        """
        asked = _Asked(leaf, register, is_other, place_of)
        found: dict[tuple[Key, int], Definition] = {}
        for uses in self._all:
            for causes, told, is_any, ends in self._stores(uses, asked):
                more = asked._replace(is_any=is_any)
                for function, at in self._changes(
                    uses.function, ends, causes, told, more, frozenset()
                ):
                    found[function.key, at] = function
        changes: dict[Key, Change] = {}
        for (key, at), function in found.items():
            changes.setdefault(key, (function, []))[1].append(at)
        for function, some in changes.values():
            yield function, sorted(some)

    def _stores(
        self, uses: Uses, asked: _Asked
    ) -> Iterator[tuple[frozenset[int], int | None, bool, list[int]]]:
        """Yield why stores of a function may be to the leaf, and where those end.

        With the parameter that says which feature is changed, and whether one may be to any
        member, or to what says which leaf it is.
        """
        keys = set(self._tables.keys)
        found: dict[tuple[frozenset[int], int | None, bool], list[int]] = {}
        for store in uses.stores:
            if store.members is not None and not store.members & {asked.register, *keys}:
                continue
            is_any = store.members is None or bool(store.members & keys)
            causes = {HERE}
            if store.through is not None:
                more = asked._replace(is_any=is_any)
                causes = self._causes(_Way(uses, more, store.at), store.through)
            if causes:
                key = frozenset(causes), store.told, is_any
                found.setdefault(key, []).append(uses.place(store.at))
        for (some, told, is_any), ends in found.items():
            yield some, told, is_any, ends

    @cached_property
    def _words(self) -> Words:
        return Words(self._tree)

    # -- functions -----------------------------------------------------------------------

    @cached_property
    def _all(self) -> list[Uses]:
        """The functions that have to do with such records."""
        words, done = self._words, set[str]()
        found: dict[Key, Uses] = {}
        while new := words.all - done:
            looked = done | new
            for word in sorted(new):
                self._index.watch(word)
                for _, function in self._index.users(word):
                    if function.key in found and not done:
                        continue
                    if self._births.is_birth(function, len(function.text)):
                        continue
                    self._uses.pop(function.key, None)
                    uses = found[function.key] = self._of(function)
                    if uses.is_getter and function.name not in words.registers:
                        words.registers[function.name] = uses.addresses
            words.add_macros(set(looked))
            done = looked
        return [*found.values()]

    def _of(self, function: Definition) -> Uses:
        if function.key not in self._uses:
            self._uses[function.key] = Uses(self._index, self._words, function)
        return self._uses[function.key]

    # -- where a pointer is from ---------------------------------------------------------

    def _changes(
        self,
        function: Definition,
        ends: list[int],
        causes: frozenset[int],
        told: int | None,
        asked: _Asked,
        above: frozenset[Key],
        is_of_one: bool = True,
    ) -> Iterator[tuple[Definition, int]]:
        """Yield what changes the leaf where a function stores at some places for some reasons.

        TOLD is the parameter that says which feature is changed, and IS_OF_ONE tells whether what
        is called below has to do with one holder alone.
        """
        if is_of_one:
            ends = [at for at in ends if not self._births.is_birth(function, at)]
        if not causes or not ends:
            return
        calls = None if HERE in causes and told is None else self._births.calls(function)
        if calls == () and is_static(function):
            return
        if not calls or function.key in above or len(above) > MAX_CALLS:
            yield from ((function, at) for at in ends)
            return
        found: dict[tuple[Key, frozenset[int], int | None], tuple[Definition, list[int]]] = {}
        for caller, call in calls:
            given, passed = syntax.arguments(call), None
            if told is not None:
                word = text(given[told]) if told < len(given) else ""
                if asked.is_other(word) or self._is_of_another(asked, word, function):
                    continue
                passed = parameter_of(caller, word)
                if passed is not None and is_set(self._tree, caller, word):
                    passed = None
            more = self._causes_above(self._of(caller), call, causes, asked)
            key = caller.key, more, passed
            found.setdefault(key, (caller, []))[1].append(call.end_byte)
        above |= {function.key}
        is_of_one = is_of_one and is_alone(self._tree, function)
        for (_, more, passed), (caller, some) in found.items():
            yield from self._changes(caller, some, more, passed, asked, above, is_of_one)

    def _is_of_another(self, asked: _Asked, word: str, function: Definition) -> bool:
        """Tell whether a function that is told a feature stores to another leaf than is asked for.

        It looks that up by the feature alone.
        """
        place = asked.place_of(word)
        is_apart = place is not None and asked.leaf is not None and place[0] != asked.leaf
        return is_apart and self._goes_by_feature(function, frozenset())

    def _goes_by_feature(self, function: Definition, above: frozenset[Key]) -> bool:
        """Tell whether a function finds what it stores to by the feature that it is told alone."""
        told, key = self._tables.parameter, self._tables.keys[0]
        head, _, body = function.text.decode("utf-8", "replace").partition("{")
        if function.key in above or f"struct {self._tables.record} *" in head.partition("(")[2]:
            return False
        ways = 0
        for found in re.finditer(rf"\b({self._tables.finders})\(([^;]*?)\)\s*;", body):
            by = [re.fullmatch(rf"\s*(\w+)\.{key}\s*", one) for one in found[2].split(",")]
            names = [one[1] for one in by if one is not None]
            made = rf"\b{names[0]}\s*=\s*\w+\(\s*{told}\s*\)\s*;" if len(names) == 1 else "(?!)"
            if re.search(made, body) is None:
                return False
            ways += 1
        for name in re.findall(rf"=\s*(\w+)\([^;()]*\b{told}\s*\)\s*;", body):
            for one in self._index.functions(name, function.file):
                if "*" not in one.text.decode("utf-8", "replace").partition("(")[0]:
                    continue
                if not self._goes_by_feature(one, above | {function.key}):
                    return False
                ways += 1
        return ways > 0

    def _causes_above(
        self, uses: Uses, call: Node, causes: frozenset[int], asked: _Asked
    ) -> frozenset[int]:
        """Return why what a function is given by a call may be the leaf."""
        here = uses.call_at(call)
        given, found = syntax.arguments(here) if here is not None else [], set[int]()
        for number in causes:
            if number == HERE or number >= len(given) or here is None:
                found.add(HERE)
            else:
                found |= self._causes(_Way(uses, asked, here.start_byte), given[number])
        return frozenset(found)

    def _causes(self, way: _Way, node: Node) -> set[int]:
        """Return why what a pointer leads to may be the leaf: parameters, or ``HERE``."""

        def of(one: Node | None, moved: bool = way.is_moved) -> set[int]:
            return {HERE} if one is None else self._causes(way._replace(is_moved=moved), one)

        kind = node.type
        if _NOTHING.fullmatch(text(node)) is not None or kind == "compound_literal_expression":
            return set()
        if kind == "identifier":
            if way.seen:
                return self._of_variable(way, text(node))
            uses, asked = way.uses, way.asked
            is_one = not uses.has_handle and len(uses.values(text(node))[0]) < 2
            place = -1 if is_one else way.at
            key = uses.function.key, text(node), *asked[:2], asked.is_any, place, way.is_moved
            if key not in self._known:
                self._known[key] = self._of_variable(way, text(node))
            return self._known[key]
        if kind in ("parenthesized_expression", "comma_expression"):
            return of(syntax.inner(node)[-1] if syntax.inner(node) else None)
        if kind == "cast_expression":
            return of(node.child_by_field_name("value"))
        if kind == "conditional_expression":
            first = node.child_by_field_name("consequence") or node.child_by_field_name("condition")
            return of(first) | of(node.child_by_field_name("alternative"))
        if kind == "assignment_expression":
            is_plain = text(node.children[1]) == "="
            return of(node.child_by_field_name("right" if is_plain else "left"), not is_plain)
        if kind == "update_expression":
            return of(node.child_by_field_name("argument"), True)
        if kind == "pointer_expression":
            return of(node.child_by_field_name("argument"))
        if kind == "subscript_expression":
            index = node.child_by_field_name("index")
            is_first = index is not None and text(index) == "0"
            return of(node.child_by_field_name("argument"), way.is_moved or not is_first)
        if kind == "binary_expression" and text(node.children[1]) in ("+", "-"):
            some = [one for one in syntax.inner(node) if way.uses.leads(one)]
            return set[int]().union(*(of(one, True) for one in some)) if some else {HERE}
        if kind == "field_expression":
            return self._of_member(way, node)
        if kind == "call_expression":
            return self._of_call(way, node)
        return {HERE}

    def _of_variable(self, way: _Way, name: str) -> set[int]:
        uses = way.uses
        declared = uses.declared(name)
        if name in uses.users:
            return set()
        if declared is None:
            return {HERE}
        stars, is_array, is_parameter = declared
        if not is_parameter and (is_array or not stars):
            return set() if stars == 0 else {HERE}
        is_foreign = name not in uses.pointers and name not in uses.registers
        if is_foreign and uses.has_handle and not is_parameter and not uses.is_plain(name):
            return {HERE}
        mark = (uses.function.key, name, way.is_moved)
        if mark in way.seen:
            return set()
        values, moved, is_used = uses.values(name)
        place = way.at if way.read < 0 else way.read
        is_asked = 1 - is_parameter < len(values) <= MAX_VALUES
        if place >= 0 and is_asked and not moved and not is_used:
            last = last_given(uses.root, uses.labels, values, place)
            given = (*mark, last.start_byte) if last is not None else ()
            if last is not None and given not in way.seen:
                return self._causes(way.by(given)._replace(read=last.start_byte), last)
        found = {HERE} if stars > 1 or is_used else set[int]()
        if is_parameter:
            number = parameter_of(uses.function, name)
            found.add(HERE if number is None else number)
        further = way.by(mark)._replace(is_moved=way.is_moved or moved)
        return found.union(
            *(self._causes(further._replace(read=value.start_byte), value) for value in values)
        )

    def _of_member(self, way: _Way, node: Node) -> set[int]:
        """Return why what a member holds, or the object that it is, may be the leaf."""
        uses = way.uses
        words, base = self._words, node.child_by_field_name("argument")
        named = node.child_by_field_name("field")
        name = text(named) if named is not None else ""
        root = base
        while root is not None and root.type in ("field_expression", "subscript_expression"):
            root = root.child_by_field_name("argument")
        if root is not None and text(root) in uses.users:
            return set()
        if name in words.kept or base is None:
            return {HERE}
        found = set[int]()
        is_loaded = name in words.pointers
        if is_loaded:
            mark = (name, way.is_moved)
            if mark in way.seen:
                return set()
            for other, value in self._assigned.get(name, ()):
                causes = {HERE}
                if value is not None:
                    causes = self._causes(way.by(mark)._replace(uses=other, at=-1, read=-1), value)
                found |= {HERE} if self._is_harmful(other, causes, way.asked) else set()
            if name not in words.arrays:
                return found
        while base.type == "field_expression" and "->" not in text(node)[len(text(base)) :][:3]:
            node, inner = base, base.child_by_field_name("argument")
            if inner is None:
                return {HERE}
            base = inner
        if base.type == "field_expression" and not uses.leads(base):
            return found | {HERE}
        return found | self._causes(way, base)

    def _is_harmful(self, uses: Uses, causes: set[int], asked: _Asked) -> bool:
        """Tell whether a reason in another function stands, or one in a caller of it."""
        return any(
            True
            for _ in self._changes(uses.function, [0], frozenset(causes), None, asked, frozenset())
        )

    @cached_property
    def _assigned(self) -> dict[str, list[tuple[Uses, Node | None]]]:
        """What is assigned to members, by their names."""
        found: dict[str, list[tuple[Uses, Node | None]]] = {}
        for uses in self._all:
            for name, value in uses.assigned:
                found.setdefault(name, []).append((uses, value))
        return found

    def _of_call(self, way: _Way, call: Node) -> set[int]:
        """Return why what a call yields may be the leaf."""
        uses, asked = way.uses, way.asked
        called = call.child_by_field_name("function")
        name = text(called) if called is not None and called.type == "identifier" else ""
        given = syntax.arguments(call)
        index, here = self._index, uses.function.file
        functions = index.functions(name, here) if name else ()
        if not uses.is_own(name):
            if _ALLOCATES.fullmatch(name) is not None:
                return {HERE} if self._is_kept(uses, call, way.at) else set()
            if name in YIELDS and given:
                return self._causes(way, given[0])
            found_by = self._words.declared.get(name, [])
            is_found = self._is_found(uses, name, found_by, given, asked)
            return set() if is_found and not way.is_moved else {HERE}
        found = set[int]() if functions and not index.macros(name, here) else {HERE}
        for one in functions:
            names = parameter_names(one)
            if not way.is_moved and self._is_found(uses, name, names, given, asked):
                continue
            if self._tables.parameter in names:
                number = names.index(self._tables.parameter)
                word = text(given[number]) if number < len(given) else ""
                is_given = self._tables.record.encode() in one.text.partition(b"{")[0]
                if not asked.is_any and self._is_elsewhere(word, asked, is_given):
                    continue
            mark = (one.key, way.is_moved)
            if mark in way.seen:
                continue
            inner = self._of(one)
            if not inner.returned:
                found.add(HERE)
            for value in inner.returned:
                for cause in self._causes(way.by(mark)._replace(uses=inner, at=-1, read=-1), value):
                    if cause == HERE or cause >= len(given):
                        found.add(HERE)
                    else:
                        found |= self._causes(way, given[cause])
        return found

    def _is_found(
        self, uses: Uses, name: str, names: list[str], given: list[Node], asked: _Asked
    ) -> bool:
        """Tell whether a function finds what it is asked for, by the number of another leaf."""
        if re.fullmatch(self._tables.finders, name) is None or asked.is_any:
            return False
        key = names.index(self._tables.keys[0]) if self._tables.keys[0] in names else -1
        return 0 <= key < len(given) and self._is_another(uses, given[key], asked.leaf)

    def _is_elsewhere(self, word: str, asked: _Asked, is_given: bool) -> bool:
        """Tell whether a feature is in another word than the one that is asked for.

        Where the pointer to a leaf IS_GIVEN, it need not be that of the feature.
        """
        place = asked.place_of(word) if re.fullmatch(self._tables.feature, word) else None
        if place is None or asked.leaf is None or is_given:
            return place is not None and place[1] != asked.register
        return place != (asked.leaf, asked.register)

    def _is_another(self, uses: Uses, node: Node, leaf: int | None) -> bool:
        """Tell whether an expression cannot be the number of a leaf."""
        if leaf is None:
            return False
        if node.type == "parenthesized_expression" and node.named_children:
            return self._is_another(uses, node.named_children[0], leaf)
        if node.type == "identifier" and (declared := uses.declared(text(node))) is not None:
            values, is_moved, is_used = uses.values(text(node))
            is_known = declared == (0, False, False) and not is_moved and not is_used
            is_other = (
                one.type != "identifier" and self._is_another(uses, one, leaf) for one in values
            )
            return is_known and bool(values) and all(is_other)
        here = uses.function.file
        if node.type == "binary_expression" and text(node.children[1]) == "|":
            numbers = (self._number(one, here, 0) for one in syntax.inner(node))
            return any(one is not None and one & ~leaf for one in numbers)
        number = self._number(node, here, 0)
        return number is not None and number != leaf

    def _number(self, node: Node, here: str, depth: int) -> int | None:
        """Return the value of a constant, None where it is not known."""
        if node.type == "parenthesized_expression" and node.named_children:
            return self._number(node.named_children[0], here, depth)
        if node.type == "binary_expression" and text(node.children[1]) == "+":
            numbers = [self._number(one, here, depth) for one in syntax.inner(node)]
            known = [one for one in numbers if one is not None]
            return sum(known) if len(known) == len(numbers) else None
        called = node.child_by_field_name("function") if node.type == "call_expression" else None
        macros = self._index.macros(text(called), here) if called is not None else ()
        if len(macros) == 1 and macros[0].parameters is not None and depth < MAX_CALLS:
            words = expand(macros[0], [text(one) for one in syntax.arguments(node)])
            spelt = syntax.expression(words) if words is not None else None
            return self._number(spelt, here, depth + 1) if spelt is not None else None
        return self._tree.types.number(text(node), here)

    def _is_kept(self, uses: Uses, call: Node, at: int) -> bool:
        """Tell whether memory that a function allocates may be that of a guest at some place."""
        if not uses.has_handle:
            return False
        return any(
            kept < at or (at >= 0 and _share_loop(uses.root, kept - 1, at - 1))
            for kept in self._kept_at(uses)
        )

    def _kept_at(self, uses: Uses) -> Iterator[int]:
        """Yield where a function may have a pointer kept."""
        for at, _ in uses.escapes:
            yield at
        for call, name, number, _ in uses.handed:
            if any(
                self._keeps(one, number, frozenset())
                for one in self._index.functions(name, uses.function.file)
            ):
                yield call.end_byte

    def _keeps(self, function: Definition, number: int, above: frozenset[Key]) -> bool:
        """Tell whether a function keeps a pointer that it is given, or has it kept."""
        if function.key in above:
            return False
        uses = self._of(function)
        above |= {function.key}
        way = _Way(uses, _Asked(-1, "", lambda _: False, lambda _: None, True))

        def is_it(node: Node) -> bool:
            return not {HERE, number}.isdisjoint(self._causes(way, node))

        return any(is_it(node) for _, node in uses.escapes) or any(
            is_it(node)
            and any(self._keeps(o, k, above) for o in self._index.functions(name, function.file))
            for _, name, k, node in uses.handed
        )


def _share_loop(root: Node, first: int, second: int) -> bool:
    """Tell whether two places are in one loop."""
    here = root.descendant_for_byte_range(min(first, second), max(first, second))
    while here is not None:
        if here.type in ("while_statement", "for_statement", "do_statement"):
            return True
        here = here.parent
    return False
