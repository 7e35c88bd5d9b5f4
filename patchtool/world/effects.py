# SPDX-License-Identifier: GPL-2.0-only
"""Which functions can write what a verdict rests on, told from their text.

In: an index and the names of the members that matter (roles and cached fields).  Out:
whether a piece of C, or a function with all that it calls, may store to one of them.
A member can only be written by code that names it, itself or through a macro, or that is
given its address, so a call that reaches no such code need not be followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from patchtool.c.index import Index, calls, parameter_names
from patchtool.c.layout import Types
from patchtool.c.library import FILLERS, dispatchers
from patchtool.c.lower.records import LeftOut
from patchtool.c.scan import WORDS, Definition, before, places, strip_comments
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.closure import Closure, is_variable
from patchtool.world.tables import Tables


def given_addresses(members: Iterable[bytes]) -> bytes:
    """Return a pattern for members that are given, or kept: the value of each is an address."""
    names = b"|".join(map(re.escape, members)) or b"(?!)"
    return (
        _HANDING + rb"[\w.>\[\]-]*(?:\.|->)\s*(" + names + rb")\b" + PATH + rb"\s*[,);:?+-]"
    )  # fmt: skip


def _stores_to(
    members: Iterable[bytes], lvalues: Iterable[bytes], addresses: Iterable[bytes]
) -> re.Pattern[bytes]:
    """Return what a store to a member looks like.

    LVALUES are macros that may yield one, ADDRESSES are members whose value is one.
    """
    names = b"|".join(map(re.escape, members)) or b"(?!)"
    macros = b"|".join(map(re.escape, lvalues)) or b"(?!)"
    operator = rb"(?:(?:[-+|&^*/%]|<<|>>)?=(?!=)|\+\+|--)"
    return re.compile(
        rb"(?:\.|->)\s*(?:" + names + rb")\b" + PATH + rb"\s*" + operator
        + rb"|(?:\+\+|--)[\w.>\s-]*\b(?:" + names + rb")\b"
        rb"|(?:" + _HANDING + rb"|\*\s*+)&[\s(]*+[\w.>()\[\]-]*(?:\.|->)\s*(?:" + names + rb")\b"
        rb"|" + given_addresses(addresses)
        + rb"|\b(?:" + FILLERS + rb")\s*\([\s\w>.-]*(?:\.|->)\s*(?:" + names + rb")\s*,"
        rb"|\basm\b[^;]*\b(?:" + names + rb")\b"
        rb"|\b(?:WRITE_ONCE|swap|xchg)\s*\([^;]*\b(?:" + names + rb")\b"
        rb"|\b(?:" + macros + rb")\s*\((?:[^()]|\([^()]*\))*\)\s*(?:(?:\.|->)\s*\w+\s*)*" + operator
    )  # fmt: skip


_HANDING = rb"(?:[(,=?:;{}]|\breturn\b)\s*+(?:[\w\s*]*+\)[\s(]*+){0,16}"
"""What stands before a value that is given, or kept, or stored behind, casts included."""
PATH = rb"(?:\s*(?:\.|->)\s*\w+|\s*\[(?:[^\[\]]|\[[^\]]*\])*+\])*"
"""What leads on from a member to a part of it."""
_WHOLE_STORE = re.compile(rb"[;{}]\s*\*\s*(\w+)\s*=(?!=)")
_COPY = re.compile(rb"mem(?:set|cpy|move)\s*\(\s*(\w+)\s*,")
_PASTED_STORE = re.compile(
    rb"##\s*\w+(?:\s*(?:\.|->|##)\s*\w+|\s*\[[^\]]*\])*\s*(?:[-+|&^]|<<|>>)?=(?!=)"
)
_PASTED_MEMBER = re.compile(rb"(?:\.|->)\s*\w*\s*\Z")
_HOLDER = re.compile(rb"[^\w\s.>)\]]\s*(\w+)\s*->\Z")
_OBJECT_STORE = re.compile(rb"(?:\.\w+|\[[^\]]*\])*\s*(?:(?:[-+|&^*/%]|<<|>>)?=(?!=)|\+\+|--)")


_PASTED_UPDATE = re.compile(
    rb"\bstatic_call_update\s*\(\s*(\w*)\s*##\s*(\w+)\s*,((?:[^();]|\([^()]*\))*)\)"
)
_OF_TABLE = (
    rb"(?:\(void \*\))?[\w.>\s-]*(?:->|\.)\s*%s"
    rb"(?:\s*\?\s*:\s*\(void \*\)\s*__static_call_return0)?"
)
"""A member of a table, or what returns 0 where that is empty."""
_LONGEST_OPERATOR = 40
_BITS_OF = re.compile(rb"[\w)\]]\s+&\s+\Z")
"""What stands before a name of which bits are taken, and not the address."""


def object_stores(text: bytes, name: bytes) -> Iterator[int]:
    """Yield where a text stores to an object of file scope, or takes its address."""
    for at in places(text, name):
        lead = before(text, at)
        given = lead.endswith((b"++", b"--", b"&")) and not lead.endswith(b"&&")
        given = given and _BITS_OF.search(text, max(0, at - _LONGEST_OPERATOR), at) is None
        stored = _OBJECT_STORE.match(text, at + len(name)) and not lead.endswith((b".", b"->"))
        if given or stored:
            yield at


def _statements(text: bytes, words: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the statements that hold one of some words, semicolons included."""
    for word in words:
        at = text.find(word)
        while at >= 0:
            end = text.find(b";", at)
            end = len(text) if end < 0 else end + 1
            yield text[text.rfind(b";", 0, at) + 1 : end]
            at = text.find(word, end)


def _is_elsewhere(function: bytes, at: int, name: bytes) -> bool:
    """Tell whether a name is a variable, or a member of what a variable points to."""
    lead = before(function, at)
    if not lead.endswith((b"->", b".")):
        return is_variable(name, function)
    holder = _HOLDER.search(lead)
    return holder is not None and (
        re.search(rb"\bstruct\s+\w+\s*\*\s*(?:const\s+)?%s\b" % holder[1], function) is not None
    )


def callers_of(index: Index, paths: Iterable[str], known: frozenset[str]) -> frozenset[str]:
    """Return the functions of some files that reach a known name, or define one."""
    found: set[str] = set()
    callers: dict[str, list[str]] = {}
    closed = list(paths)
    fresh = set(known)
    wanted = set(known)
    while fresh:
        words = {name.encode() for name in fresh}
        opened = [path for path in closed if not index.words_in(path).isdisjoint(words)]
        closed = [path for path in closed if path not in opened]
        more = {name for one in fresh for name in callers.get(one, ())}
        for path in opened:
            for name, inner in index.calls_in(path).items():
                if name in wanted or not inner.isdisjoint(wanted):
                    more.add(name)
                for one in inner:
                    callers.setdefault(one, []).append(name)
        found |= more
        fresh = more - wanted
        wanted |= fresh
    return frozenset(found)


class Effects:
    """What functions of one tree may write.

    INITIALISERS are the functions that set a context up, and TYPES those that have been looked
    up, where they are known.  ADDRESSES are the members whose value is an address: who is given
    it may store behind it.
    """

    def __init__(
        self,
        index: Index,
        members: frozenset[str],
        contexts: frozenset[str],
        initialisers: frozenset[str] = frozenset(),
        types: Types | None = None,
        addresses: frozenset[str] = frozenset(),
    ) -> None:
        self._index = index
        self._types = types
        self._initialisers = initialisers
        self._strangers: set[str] = set()
        self._reaches: dict[str, frozenset[str]] = {}
        self._operations: dict[str, tuple[tuple[str, Definition], ...]] = {}
        self._globals: dict[str, bool] = {}
        self._choosing: dict[tuple[str, str, int], bool] = {}
        self._closure = Closure(index, self._called_by)
        self._tables = Tables(index)
        self._places: dict[tuple[str, bytes], tuple[int, ...]] = {}
        tags = b"|".join(re.escape(c.encode()) for c in sorted(contexts)) or b"(?!)"
        self._words = tuple(sorted(m.encode() for m in members))
        self._addresses = tuple(sorted(one.encode() for one in addresses))
        self._plain_store = _stores_to(self._words, (), self._addresses)
        self._context = re.compile(rb"struct\s+(?:" + tags + rb")\b")
        self._holder = re.compile(rb"\b(?:struct\s+)(?:" + tags + rb")\s*\*\s*(?:const\s+)?(\w+)")
        self._context_words = tuple(sorted(c.encode() for c in contexts))

    def touches(self, source: bytes, function: Definition) -> bool:
        """Tell whether a piece of a function stores to a member, or calls what does."""
        plain = strip_comments(source)
        if self._stores(plain, function.text):
            return True
        return any(self.leads(name, function.file) for name in calls(plain))

    def _stores(self, plain: bytes, whole: bytes) -> bool:
        for statement in _statements(plain, self._named):
            if self._store.search(statement) or self._gives_name(statement, whole):
                return True
        if not any(word in whole for word in self._context_words):
            return False
        stored = {*_WHOLE_STORE.findall(plain), *_COPY.findall(plain)}
        return bool(stored) and not stored.isdisjoint(self._holder.findall(whole))

    def _gives_name(self, statement: bytes, whole: bytes) -> bool:
        """Tell whether a member is given by its name alone: to a macro, which may store to it."""
        return any(not is_variable(found[1], whole) for found in self._bare.finditer(statement))

    def names(self, path: tuple[str, ...]) -> bool:
        """Tell whether an access path goes by a member that matters."""
        return any(step.encode() in self._words for step in path)

    def leads(self, name: str, here: str) -> bool:
        """Tell whether what a file sees by a name may store to a member, or call what does."""
        return name in self._core or name in self._reaching(here)

    @cached_property
    def _macros(self) -> Mapping[str, bool]:
        """The macros that name a member, and whether each stores to it."""
        found = {macro.name: True for macro in self._pasting()}
        words: Iterable[bytes] = (*self._words, *(name.encode() for name in found))
        while words := frozenset(words):
            more: dict[str, bool] = {}
            stored = {name.encode() for name, stores in found.items() if stores}
            for path in self._files:
                near = self._near(path, words)
                file = self._index.file(path) if near else None
                for macro in file.macros_around(near) if file is not None else ():
                    given = {one.encode() for one in parameter_names(macro)}
                    held = frozenset(macro.text.translate(WORDS).split()) - given
                    if macro.name not in found and not held.isdisjoint(words):
                        more[macro.name] = self._plain_store.search(
                            macro.text
                        ) is not None or not stored.isdisjoint(held)
            found |= more
            words = [name.encode() for name in more]
        return found

    def _pasting(self) -> Iterator[Definition]:
        """Yield the macros that store to a member of which they paste the name."""
        for path in self._files:
            data = self._index.text(path) or b""
            near = [
                found.start()
                for found in _PASTED_STORE.finditer(data)
                if _PASTED_MEMBER.search(before(data, found.start()))
            ]
            file = self._index.file(path) if near else None
            yield from file.macros_around(near) if file is not None else ()

    def _near(self, path: str, words: Iterable[bytes]) -> list[int]:
        """Return where a file holds some words, sorted."""
        found: list[int] = []
        for word in self._index.words_in(path).intersection(words):
            key = (path, word)
            if key not in self._places:
                self._places[key] = tuple(places(self._index.text(path) or b"", word))
            found += self._places[key]
        return sorted(found)

    @cached_property
    def _named(self) -> tuple[bytes, ...]:
        """The members, and the macros that stand for one."""
        return (*self._words, *sorted(name.encode() for name in self._macros))

    @cached_property
    def _store(self) -> re.Pattern[bytes]:
        macros = [name.encode() for name in self._macros]
        return _stores_to(self._named, macros, self._addresses)

    @cached_property
    def _bare(self) -> re.Pattern[bytes]:
        return re.compile(rb"[(,]\s*(" + b"|".join(map(re.escape, self._named)) + rb")\s*[,)]")

    @property
    def _files(self) -> tuple[str, ...]:
        return (self._index.target.header, *self._index.own_files)

    @cached_property
    def writers(self) -> frozenset[str]:
        """Every function of the target, and every macro, that stores to a member itself."""
        found = {name for name, stores in self._macros.items() if stores}
        for path in self._files:
            near = self._near(path, self._named)
            if not self._index.words_in(path).isdisjoint(self._context_words):
                # Who stores to a whole context holds a pointer to one.
                data = self._index.text(path) or b""
                near = sorted([*near, *(m.start() for m in self._context.finditer(data))])
            file = self._index.file(path) if near else None
            if file is None:
                continue
            for name in dict.fromkeys(map(file.function_at, near)):
                for one in file.functions.get(name or "", ()):
                    if self._stores(strip_comments(one.text), one.text):
                        found.add(one.name)
                        if self._is_stranger(one.text):
                            self._strangers.add(one.name)
        return frozenset(found)

    def _is_stranger(self, text: bytes) -> bool:
        """Tell whether a function names these members in other structs alone."""
        if any(word in text for word in self._context_words):
            return False
        return all(
            _is_elsewhere(text, at, word) for word in self._named for at in places(text, word)
        )

    def reaches(self, name: str, definition: Definition) -> bool:
        """Tell whether a function, or one that it calls, may store to a member.

        Followed are the functions that the file sees; of those in other files only
        the name is compared with the writers.
        """
        return self.leads(name, definition.file) or self._chooses(definition)

    def _chooses(self, function: Definition) -> bool:
        """Tell whether a function calls a variable of its own, and names what may store there."""
        known = self._choosing.get(function.key)
        if known is None:
            body = strip_comments(function.text.partition(b"{")[2])
            known = self._choosing[function.key] = any(
                is_variable(one.encode(), body) for one in calls(body)
            ) and any(
                self.leads(one.decode(), function.file) for one in body.translate(WORDS).split()
            )
        return known

    def _reaching(self, path: str) -> frozenset[str]:
        """Return the functions that a file sees and that reach a writer."""
        known = self._reaches.get(path)
        if known is None:
            known = callers_of(self._index, [path], self.writers | self._inline | self._core)
            self._reaches[path] = known = known | self._inline
        return known

    @cached_property
    def _core(self) -> frozenset[str]:
        """The writers, and what reaches them in the files that define them.

        Beyond these files those are not asked for that set a context up, which a set-up
        does not call, and those that store to a member of another struct.
        """
        sources = [path for path in self._index.own_files if path.endswith(".c")]
        near = [path for path in sources if self._defines_writer(path)]
        known = self.writers | callers_of(self._index, near, self.writers)
        return known | callers_of(self._index, sources, self._far_writers)

    def _defines_writer(self, path: str) -> bool:
        if self._index.words_in(path).isdisjoint(name.encode() for name in self.writers):
            return False
        file = self._index.file(path)
        return file is not None and not self.writers.isdisjoint(file.functions)

    @property
    def _far_writers(self) -> frozenset[str]:
        return self.writers - self._initialisers - self._strangers

    @cached_property
    def _inline(self) -> frozenset[str]:
        """The functions in the headers of the target that reach a writer."""
        headers = [p for p in self._index.own_files if not p.endswith(".c")]
        return callers_of(self._index, [self._index.target.header, *headers], self.writers)

    def may_store(
        self, definition: Definition, members: frozenset[str], hook: str | None = None
    ) -> bool:
        """Tell whether a function, or what it runs, may store to members of some names.

        HOOK is the member of a table through which it is called, if it is.
        """
        return self._closure.may_store(definition, members, hook)

    def may_run(self, definition: Definition, names: frozenset[str]) -> bool:
        """Tell whether a function may run one of some names, as far down as it takes."""
        return self._closure.may_run(definition, names)

    def reached(self, definition: Definition) -> tuple[Definition, ...] | None:
        """Return all that a call of a function may run, itself included, None if not known."""
        return self._closure.reached(definition)

    def stored_in(self, definition: Definition, members: frozenset[str]) -> frozenset[str]:
        """Return the members among some that a function itself names otherwise than to read."""
        return self._closure.stored_in(definition, members)

    def may_run_within(self, function: Definition, part: bytes, names: frozenset[str]) -> bool:
        """Tell whether a part of a function, without comments, may run one of some names."""
        return self._closure.may_run_within(function, part, names)

    def spares(self, name: str) -> bool:
        """Tell whether a function that all of the target shares is known, and stores to no member.

        It is one of the folders that know nothing of what is looked at here.
        """
        word, index = name.encode(), self._index
        members = frozenset(one.decode() for one in self._words)
        found = [
            one
            for folder in index.target.generic
            for path in index.source.walk(folder)
            if path.endswith(".c") and word in index.words_in(path)
            for one in index.functions(name, path)
        ]
        return bool(found) and not any(self.may_store(one, members) for one in found)

    def is_parked(self, member: str) -> bool:
        """Tell whether the address of a member is kept somewhere."""
        return self._closure.is_parked(member)

    def operations(self, name: str) -> tuple[tuple[str, Definition], ...]:
        """Return the functions that are kept for an operation, each definition of them."""
        if name not in self._operations:
            found: dict[tuple[str, tuple[str, str, int]], Definition] = {}
            for target, path in self._tables.kept_for(name):
                for definition in self._index.functions(target, path):
                    found.setdefault((target, definition.key), definition)
            self._operations[name] = tuple((key[0], found[key]) for key in sorted(found))
        return self._operations[name]

    def left_out(self, name: str) -> LeftOut | None:
        """Return a table that keeps no function for an operation, None if all keep one."""
        return self._tables.left_out(name)

    def _called_by(self, name: str) -> tuple[tuple[str, Definition], ...]:
        """Return the functions that a call of an operation may run.

        Of a static call that macros give the members of a table, by their names, those are the
        functions that are kept for such a member.
        """
        found, called = dict.fromkeys(self.operations(name)), self._index.target.prefix + name
        for lead, is_of_table in self._pasted:
            if called.startswith(lead) and called != lead:
                if not is_of_table:
                    return self.operations(name)
                found |= dict.fromkeys(self.operations(called[len(lead) :]))
        return tuple(found)

    @cached_property
    def _pasted(self) -> list[tuple[str, bool]]:
        """What the names of static calls begin with that macros aim, at a member of that name?"""
        found: list[tuple[str, bool]] = []
        for _, data in self._index.texts_with(b"static_call_update"):
            for lead, parameter, value in _PASTED_UPDATE.findall(data.replace(b"\\\n", b"")):
                is_of_table = re.fullmatch(_OF_TABLE % parameter, value.strip()) is not None
                found += [(lead.decode(), is_of_table)] if lead else []
        return found

    def setters(self, name: str) -> Iterator[Definition]:
        """Yield the functions that do more with an operation than to call it and to ask for it."""
        called = self._index.target.prefix + name
        for word in dict.fromkeys((name, called)):
            for path, data in self._index.texts_with(word.encode()):
                file = self._index.file(path)
                for at in places(data, word.encode()) if file is not None else ():
                    assert file is not None
                    for one in file.functions_around(at):
                        if (
                            self._closure.names_to_store(one, name)
                            if word == name
                            else self._calling.search(before(data, at)) is None
                        ):
                            yield one

    @cached_property
    def _calling(self) -> re.Pattern[bytes]:
        """What stands before the name of an operation that is called."""
        known = "|".join(sorted(dispatchers(self._index.target)))
        return re.compile(rf"\b(?:{known})\s*\(\s*\Z".encode())

    def writes_global(self, name: str) -> bool:
        """Tell whether a function of the target stores to an object of file scope, or may."""
        if name not in self._globals:
            self._globals[name] = any(
                one.kind in ("store", "open") and one.function is not None
                for one in self.objects.of(name)
            )
        return self._globals[name]

    @cached_property
    def objects(self) -> Mentions:
        """The mentions of objects of file scope."""
        return Mentions(self._index, self._types or Types(self._index), {})
