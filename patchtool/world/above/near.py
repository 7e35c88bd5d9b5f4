# SPDX-License-Identifier: GPL-2.0-only
"""What decides right above an entry whether it is come to.

Who calls an entry, and who calls him, sets a context up because something has changed.
There it is not enough to look for what is stored on the way: whatever decides has to be
known for state of something else.  That is a member, or an object, that is read off the way
as well and not renewed where it is looked at, or that nobody keeps but a user or a guest; and
a call that answers by such, or by what it is given.  A function that only the way to a set-up
calls is a part of the way.  One that is asked for a set-up, and told nothing of what has changed,
has nothing to decide by but what holds as long as the host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Set
from functools import cached_property

from patchtool.c import library, syntax
from patchtool.c.index import calls, parameters
from patchtool.c.layout import PointerType, RecordType, settled
from patchtool.c.lower import Trouble
from patchtool.c.scan import WORDS, Definition, places
from patchtool.c.syntax import Node
from patchtool.model import Place
from patchtool.world.above.deciding import POINTED, answering, answers
from patchtool.world.above.kept import (
    LOOKED_AT,
    MEMBERS,
    VOID,
    Kept,
    Key,
    Way,
    body_of,
    is_only_kept,
    local,
    statics,
)
from patchtool.world.above.operations import Operations
from patchtool.world.circular import Circular
from patchtool.world.inputs.constants import is_fixed
from patchtool.world.users import calls_of

_TASK = "current"
_RENEWING = re.compile(rb"\s*=(?!=)\s*([^;]*)")
_OF_TASK = re.compile(rb"\bcurrent\b(?!\s*[,)])")
"""What runs, of which more is asked than what it is given to knows."""
FAR = 2
"""How many calls above an entry all that decides has to be known."""
_OBJECTS = re.compile(
    rb"^(?:[a-z_][\w \t*]*?[ \t*](\w+)(?:\[[^\]\n]*\])*[ \t]*(?:=[^\n]*|;)"
    rb"|(?:static[ \t]+)?[A-Z][A-Z_]*\(([^;{}\n]*)\);)",
    re.MULTILINE,
)
"""What a line declares at file scope, by its name or by a macro that is given it."""


class Near:
    """What decides in the functions right above the entries of one tree."""

    def __init__(self, way: Way, kept: Kept, starts: Iterable[Definition]) -> None:
        """STARTS are the entries that the way leads to."""
        self._tree, self._executed, self._above, self._by = way
        self._index, self._kept = way.tree.index, kept
        self._levels = {one.name: 0 for one in starts}
        """How many calls above an entry a function is."""
        fresh = list(self._levels)
        for level in range(1, FAR + 1):
            near = [
                one for one, called in way.above.values() if not called.keys().isdisjoint(fresh)
            ]
            fresh = [one.name for one in near if one.name not in self._levels]
            self._levels.update(dict.fromkeys(fresh, level))
        self._alone: dict[str, bool] = {}
        """Whether what has a name is read by nobody off the way."""
        self._come_by = Circular[Key, bool](False)
        self._called = Circular[Key, bool](False)
        self._operations = Operations(way.tree)
        self._elsewhere: dict[str, bool] = {}
        """Whether others than those on the way call an operation."""
        self._said = Circular[str, str | None](None)
        self._owned = Circular[Key, str | None](None)
        self._stored: dict[str, list[tuple[Definition, bytes]]] = {}

    def among(self, callees: Set[str]) -> frozenset[str]:
        """Return the functions among some of whose calls all that decides has to be known."""
        return frozenset(one for one in callees if self._levels.get(one, FAR) < FAR)

    def deciding(self, caller: Definition, callees: Set[str]) -> Iterator[Trouble]:
        """Yield where it is not known for harmless what decides whether a set-up is come to.

        CALLEES are near an entry.
        """
        read, called = self._read(caller), calls(body_of(caller)) - {caller.name}
        operations = self._operations.called(body_of(caller))
        is_asked = self._is_only_asked(caller)
        if _OF_TASK.search(body_of(caller)) is not None:
            read |= {_TASK}
        for callee, ones in self._by(caller, callees, read | called | operations.keys()).items():
            is_far = self._levels[callee] + 1 == FAR
            for one in sorted(ones) if not is_only_kept(caller, callee) else ():
                said: str | None = None
                if one in operations:
                    said = self._said_by_operation(operations[one])
                elif one == _TASK:
                    said = f"{_TASK}, which is none of {self._index.target.short},"
                if said is None and one in read and self._is_of_context(caller, one):
                    said = f"{one}, which is what a context holds,"
                if said is None and one in read:
                    is_kept = self._stays(caller, one) or self._is_renewed(caller, one)
                    said = self._note(caller, one) if is_kept else None
                if said is None and one in called and not (is_far and self._is_checking(one)):
                    said = self._said_by(one, body_of(caller), caller.file)
                if said is None and one in called and not is_far:
                    said = self._said_by_renewed(one)
                if said is None and is_asked and not is_far and self._is_state(caller, one, ones):
                    spelt = f"{one}()" if one in called else one
                    said = f"{spelt}, which tells nothing of what has changed,"
                if said is not None:
                    place = Place(caller.file, caller.line, 1, caller.name)
                    yield Trouble(place, f"{said} decides whether {callee}() is called", False)

    def _is_only_asked(self, function: Definition) -> bool:
        """Tell whether a function is asked for a set-up, and neither told why nor to refuse it.

        It is given what holds the contexts and nothing else, and answers nothing, or nobody.
        """
        given, target = parameters(function), self._index.target
        known = {target.handle, target.host, *self._tree.roles.contexts, "void"}
        head = function.text.partition(b"{")[0]
        return (
            function.kind == "function"
            and len(given) < 2
            and all(not known.isdisjoint(re.findall(r"\w+", one)) for one in given)
            and (VOID.search(head) is not None or self._is_answered_in_vain(function))
        )

    def _is_answered_in_vain(self, function: Definition) -> bool:
        """Tell whether a function is called, and no call looks at what it answers."""
        users = [user for _, user in self._index.users(function.name) if user.key != function.key]
        found = [calls_of(self._index.node(user), function.name) for user in users]
        return bool(found) and all(
            bool(some) and all(map(_is_statement, some or ())) for some in found
        )

    def _is_state(self, function: Definition, name: str, others: Set[str]) -> bool:
        """Tell whether what a function reads or calls may change while the host runs.

        A record that it reads a member of is none beside OTHERS, of which that is one.
        """
        if name.encode() in self._objects:
            return is_fixed(self._tree, name) is None
        if len(others) > 1 and self._is_led_through(function, name):
            return False
        return not library.answers_by_what_it_is_given(name, self._index.target)

    def _is_led_through(self, function: Definition, name: str) -> bool:
        """Tell whether a function names a member only to come to members of it."""
        named = [*self._named(function, name)]
        return bool(named) and all(
            one.parent is not None
            and one.parent.type == "field_expression"
            and one.parent.child_by_field_name("argument") == one
            for one in named
        )

    # -- what a function reads ---------------------------------------------------------------

    def _read(self, function: Definition) -> frozenset[str]:
        """Return the members and objects of which a function reads more than a constant."""
        body = body_of(function)
        found = {*MEMBERS.findall(body), *self._objects.intersection(body.translate(WORDS).split())}
        found |= statics(function.text)
        return frozenset(one for one in (name.decode() for name in found) if not one.isupper())

    def _kept_alone(self, function: Definition) -> frozenset[str]:
        """Return the members and objects that a function reads and nobody off the way does."""
        return frozenset(one for one in self._read(function) if self._stays(function, one))

    def _stays(self, function: Definition, name: str) -> bool:
        """Tell whether nobody reads off the way what a function reads, as what stays in it."""
        return self._kept.stays(function, name) or self._is_alone(name)

    def _is_renewed(self, function: Definition, name: str) -> bool:
        """Tell whether a function looks at something, and stores no constant to it behind.

        That is a note, whoever else reads it.
        """
        if function.kind != "function":
            return False
        body = body_of(function)
        spelt = re.compile(rb"(?:[\w.]|->)*\b%s\b(?:\s*\[[^\]]*\])*" % name.encode())
        read: set[bytes] = set()
        for found in spelt.finditer(body):
            place = b"".join(found[0].split())
            value = _RENEWING.match(body, found.end())
            if value is None:
                read.add(place)
            elif place in read and not self._kept.is_constant(value[1], function.file):
                return True
        return False

    def _said_by_renewed(self, name: str) -> str | None:
        """Say by what a call answers that it renews itself, whoever else reads that."""
        for function in self._kept.defined(name):
            if function.key in self._above or function in self._executed:
                continue
            for one in sorted(self._read(function) & self._kept.by(function).keys()):
                if self._is_renewed(function, one) and answers(self._index.node(function), one):
                    return f"{function.name}(), which keeps {one} and looks at it,"
        return None

    def _told(self, function: Definition) -> dict[str, str]:
        """Return what a function calls that answers by a note, or by what is not known."""
        body = body_of(function)
        said = {name: self._said_by(name, body, function.file) for name in calls(body)}
        for word, operation in self._operations.called(body).items():
            said[word] = self._said_by_operation(operation)
        return {name: one for name, one in said.items() if one is not None}

    def _is_checking(self, name: str) -> bool:
        """Tell whether functions of a name keep nothing: what they look at may be refused."""
        found = [*self._kept.defined(name)]
        return bool(found) and not any(
            self._is_alone(note)
            for one in found
            for each in (one, *self._kept.helpers(one))
            for note in self._kept.by(each)
        )

    def _said_by(self, name: str, body: bytes, here: str) -> str | None:
        """Say by which note a call answers, or that it is not known by what."""
        return self._said.of(name, lambda: self._of_call(name, body, here))

    def _said_by_operation(self, operation: str) -> str | None:
        """Say by which note what is called through a pointer answers, or that it is not known."""
        return self._said.of(POINTED + operation, lambda: self._of_operation(operation))

    def _of_operation(self, operation: str) -> str | None:
        """Say by what an operation answers, whichever function is kept there."""
        functions = self._operations.run_by(operation)
        if not functions:
            return f"{operation}(), of which it is not known what it runs,"
        for one in functions:
            if one.key in self._above or one in self._executed:
                continue
            if self._is_called_elsewhere(operation) or self._is_called_by_others(one):
                said = self._of_own(one)
            else:
                said = self._of_answer(one)
            if said is not None:
                return said
        return None

    def _is_called_elsewhere(self, operation: str) -> bool:
        """Tell whether others call an operation than those on the way to a set-up."""
        if operation not in self._elsewhere:
            self._elsewhere[operation] = any(
                not self._kept.is_on_the_way(path, name)
                for path, name in self._operations.calling(operation)
            )
        return self._elsewhere[operation]

    def _of_own(self, function: Definition) -> str | None:
        """Say by which note a function answers that it alone keeps and looks at, whoever asks."""
        return self._owned.of(function.key, lambda: self._find_own(function))

    def _find_own(self, function: Definition) -> str | None:
        kept = self._kept.by(function)
        for one in sorted(self._read(function) & kept.keys()):
            if not self._kept.stays(function, one) and (
                any(user.key != function.key for user in self._reading(one))
                or any(user.key != function.key for user, _ in self._keepers(one))
            ):
                continue
            if answers(self._index.node(function), one) and self._note(function, one) is not None:
                return f"{function.name}(), which keeps {one} and looks at it,"
        told = {}
        for name in calls(body_of(function)) - {function.name}:
            for callee in self._kept.defined(name):
                if callee.key not in self._above and callee not in self._executed:
                    if (said := self._of_own(callee)) is not None:
                        told[name] = said
        for name in sorted(told):
            if answers(self._index.node(function), name):
                return told[name]
        return None

    def _of_call(self, name: str, body: bytes, here: str) -> str | None:
        """Say by what a call answers; one on the way, or that others come by, is state."""
        functions = [*self._kept.defined(name)]
        for one in functions:
            if one.key in self._above or one in self._executed:
                continue
            said = self._of_own(one) if self._is_come_by(one) else self._of_answer(one)
            if said is not None:
                return said
        macros = () if functions else self._index.macros(name, here)
        target = self._index.target
        ours = target.built_from
        for one in macros:
            if one.file.startswith(ours):
                for note in sorted(self._kept_alone(one)):
                    if (said := self._note(one, note)) is not None:
                        return said
        if (
            functions
            or library.answers_by_what_it_is_given(name, target)
            or not re.search(rb"(?<![>.\w])(?<![>.] )%s\s*\(" % name.encode(), body)
            or any(one.file.startswith(ours) for one in macros)
        ):
            return None  # an operation is asked about by itself
        found = self._index.functions(name, here)
        if any(one.file.startswith(ours) for one in found):
            return None
        return f"{name}(), of which it is not known by what it answers,"

    def _of_answer(self, function: Definition) -> str | None:
        """Say by which note a function answers that only the way to a set-up calls."""
        is_void = VOID.search(function.text.partition(b"{")[0]) is not None
        leaves = self._leaves(function)
        if is_void and not leaves:
            return None
        kept, told = self._kept_alone(function), self._told(function)
        if not kept and not told:
            return None
        node, by = self._index.node(function), kept | told.keys()
        if not leaves:
            by = frozenset(
                one for one in by if any(answers(node, w) for w in (one, *_given(function, one)))
            )
        elif not syntax.errors(node):
            by = answering(node, by)
        for one in sorted(by):
            if one in told:
                return told[one]
            if self._note(function, one) is not None:
                return f"{function.name}(), which keeps {one} and looks at it,"
        return None

    def _leaves(self, function: Definition) -> bool:
        """Tell whether a function is given where to leave an answer."""
        given = function.text.partition(b"{")[0].partition(b"(")[2]
        return any(
            b"*" in one and self._holding.isdisjoint(one.translate(WORDS).split())
            for one in given.split(b",")
        )

    @cached_property
    def _holding(self) -> frozenset[bytes]:
        """The words by which a pointer is to no answer: to what holds contexts, say."""
        target = self._index.target
        tags = ("const", target.host, target.handle, target.module, *self._tree.roles.contexts)
        return frozenset(tag.encode() for tag in tags)

    @cached_property
    def _objects(self) -> frozenset[bytes]:
        """The names by which lines at file scope may declare objects."""
        found: set[bytes] = set()
        for path in self._index.own_files:
            file = self._index.file(path)
            outer = b"\n".join(file.file_scope()) if file is not None else b""
            for name, given in _OBJECTS.findall(outer):
                found.update((name,) if name else given.translate(WORDS).split())
        return frozenset(found)

    # -- who reads something -----------------------------------------------------------------

    def _is_alone(self, name: str) -> bool:
        """Tell whether what has a name is read nowhere off the way, but to print it.

        What is kept in an operation that the way alone calls, and looked at nowhere on the way
        itself, is no more than that either.
        """
        if name not in self._alone:
            is_read = any(map(self._is_come_by, self._reading(name)))
            self._alone[name] = not is_read or self._is_of_operations(name)
        return self._alone[name]

    def _is_of_operations(self, name: str) -> bool:
        """Tell whether what has a name is spoken of in operations that the way alone calls."""
        others = self._is_called_by_others
        return not (
            name in self._read_above
            or any(map(others, self._reading(name)))
            or all(one.key in self._above or others(one) for one, _ in self._keepers(name))
        )

    @cached_property
    def _read_above(self) -> frozenset[str]:
        """The members and objects that functions on the way read."""
        return frozenset[str]().union(*(self._read(one) for one, _ in self._above.values()))

    def _reading(self, name: str) -> Iterator[Definition]:
        """Yield the functions off the way that do more with what has a name than to store it."""
        for user in self._kept.off_the_way(name):
            if self._is_used(user, name.encode()):
                yield user

    def _is_used(self, user: Definition, word: bytes) -> bool:
        """Tell whether a function does more with what has a name than to store or print it."""
        body = user.text.partition(b"{")[2]
        looks = (at for at in places(body, word) if LOOKED_AT.match(body, at) is not None)
        return not all(self._kept.is_printed(body, at) for at in looks)

    def _is_come_by(self, function: Definition) -> bool:
        """Tell whether others come by a function than those on the way, or a table holds it."""
        return self._come_by.of(function.key, lambda: self._is_named(function, self._is_come_by))

    def _is_called_by_others(self, function: Definition) -> bool:
        """Tell the same where a table counts if others than the way call what it is held for."""
        others = self._is_called_by_others
        return self._called.of(function.key, lambda: self._is_named(function, others, True))

    def _is_named(
        self, function: Definition, come_by: Callable[[Definition], bool], is_exact: bool = False
    ) -> bool:
        if b"__init" in function.text.partition(b"(")[0].translate(WORDS).split():
            return True  # what is run as a module is loaded is on no way
        for file, name, at in self._kept.namers(function):
            if name is None:
                operation = self._operations.holder(file, at) if is_exact else None
                if operation is None or self._is_called_elsewhere(operation):
                    return True
            elif not self._kept.is_on_the_way(file.path, name):
                users = file.functions.get(name, ())
                if any(one in self._executed or come_by(one) for one in users):
                    return True
        return any(
            not is_exact or self._is_called_elsewhere(operation)
            for operation in self._operations.pasted(function)
        )

    # -- whether it is a note ----------------------------------------------------------------

    def _note(self, function: Definition, name: str) -> str | None:
        """Say that what a function reads is a note; None for what is not kept, or not by a set-up.

        Nobody keeps what is a user's, nor what a function has of its own.  What an event sets
        that nobody calls, to a number, is none; nor what a set-up reads itself, unless it is
        kept here.
        """
        kept = self._keepers(name)
        if not kept:
            return None
        if function.kind == "function":
            root = self._index.node(function)
            if name in local(root) or self._kept.is_told(function, name):
                return None
            if self._is_record(function, name):
                return None  # the members of it are kept
            if _is_copied(function, name) or _is_fresh(body_of(function), name.encode()):
                return None
        here = (function, *self._kept.helpers(function))
        if not any(name in self._kept.by(one) for one in here):
            if self._kept.is_read_there(name) or all(
                self._kept.is_constant(value, one.file) and not self._is_called(one)
                for one, value in kept
            ):
                return None
        return f"{name}, which is kept and read for set-ups alone,"

    def _is_record(self, function: Definition, name: str) -> bool:
        """Tell whether a member is a record that the target declares."""
        root, types = self._index.node(function), self._tree.objects
        held = [types.type_of(one, root, function.file) for one in self._named(function, name)]
        ours = self._index.target.built_from
        return bool(held) and all(
            isinstance(one, RecordType) and one.file.startswith(ours) for one in held
        )

    def _is_of_context(self, function: Definition, name: str) -> bool:
        """Tell whether a function reads a member of a context by some name."""
        root, types = self._index.node(function), self._tree.objects
        for one in self._named(function, name):
            held = types.type_of(syntax.inner(one)[0], root, function.file)
            if isinstance(held, PointerType):
                held = settled(held.target)
            if isinstance(held, RecordType) and held.tag in self._tree.roles.contexts:
                return True
        return False

    def _named(self, function: Definition, name: str) -> Iterator[Node]:
        """Yield the expressions of a function that name a member."""
        for one in syntax.descendants(self._index.node(function)):
            field = one.child_by_field_name("field") if one.type == "field_expression" else None
            if field is not None and syntax.text(field) == name:
                yield one

    def _keepers(self, name: str) -> list[tuple[Definition, bytes]]:
        """Return who may store to what has a name, and which values."""
        if name not in self._stored:
            found = self._stored[name] = []
            word = name.encode()
            for path in self._kept.paths(word):
                file = self._index.file(path)
                sites = list(places(file.data, word)) if file is not None else []
                if file is None or not sites:
                    continue
                users = [*file.macros_around(sites)]
                for inside in {file.function_at(at) for at in sites}:
                    users += file.functions.get(inside or "", ())
                for user in users:
                    found += ((user, value) for value in self._kept.by(user).get(name, ()))
        return self._stored[name]

    def _is_called(self, function: Definition) -> bool:
        """Tell whether a function is called by its name, and not by an event alone."""
        call = re.compile(rb"(?<![>.\w])%s\s*\(" % function.name.encode())
        return any(
            user.key != function.key and call.search(body_of(user)) is not None
            for _, user in self._index.users(function.name)
        )


def _is_statement(call: Node) -> bool:
    """Tell whether a call stands by itself, or its value is cast away."""
    outer = call.parent
    if outer is not None and outer.type == "cast_expression":
        outer = outer.parent
    return outer is not None and outer.type == "expression_statement"


def _is_copied(function: Definition, name: str) -> bool:
    """Tell whether a function takes a member of what it is given, and stores to that of another."""
    head, _, body = function.text.partition(b"{")
    given = frozenset(head.partition(b"(")[2].translate(WORDS).split())
    at = re.compile(rb"\b(\w+)\s*->\s*%s\b(\s*=(?!=))?" % name.encode())
    found = at.findall(body)
    stored = {base for base, sign in found if sign}
    read = {base for base, sign in found if not sign}
    whole = len(found) == sum(1 for _ in places(body, name.encode()))
    return whole and bool(stored) and stored.isdisjoint(read) and given >= stored | read


def _is_fresh(body: bytes, name: bytes) -> bool:
    """Tell whether a function stores to something, whatever happens, before it looks at it."""
    sites = list(places(body, name))
    if not sites or re.match(rb"\s*=(?!=)", body[sites[0] + len(name) :]) is None:
        return False
    if len(sites) > 1 and sites[1] < body.find(b";", sites[0]):
        return False  # what it is given is made of what it was
    start = max(body.rfind(mark, 0, sites[0]) for mark in (b";", b"{", b"}"))
    if re.fullmatch(rb"\s*[\w\s>.*-]*", body[start + 1 : sites[0]]) is None:
        return False
    if {b"else", b"do", b"static"} & set(body[start + 1 : sites[0]].split()):
        return False
    depth = 0
    for byte in body[sites[0] : sites[-1]]:
        depth += (byte == ord("{")) - (byte == ord("}"))
        if depth < 0:
            return False
    return b":" not in body[: sites[0]]


def _given(function: Definition, name: str) -> set[str]:
    """Return the variables that a function gives a macro of some name, which may store to them."""
    given = re.findall(rb"\b%s\(([^;{}()]*)\)" % name.encode(), body_of(function))
    words = {word.strip().decode("utf-8", "replace") for one in given for word in one.split(b",")}
    return {word for word in words if word.isidentifier() and not word.isupper()}
