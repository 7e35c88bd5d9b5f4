# SPDX-License-Identifier: GPL-2.0-only
"""Whether a call can change members, proved from all that it may run.

In: a function and the names of members.  Out: no, where all that the function reaches is
followed and reads them at most; else yes.  A member is changed by text that names it, itself
or by a macro, so what a name is done with is looked at wherever it stands.  What a call runs
is its definition, or nothing of the target; a call of which that is not known may run anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from patchtool.c import library
from patchtool.c.brackets import PARENTHESES, around, closing, opening
from patchtool.c.index import Index, calls, expand
from patchtool.c.scan import WORDS, Definition, before, first_of_line, places, strip_comments
from patchtool.c.syntax import names_of

MAX_FOLLOWED = 400
"""Functions that are followed; what reaches more may run anything."""

_USED = re.compile(
    rb"[\s)]*+(?:->|[,;?:<>|^%*/]|[-+](?![-+=])|[=!<>]=|&(?!=)|&&|\|\||\Z)(?!\s*=(?!=)|[|&<>]=)"
    rb"|\s*\)[\s)]*+(?![=.\[]|\+\+|--|[-+*/%&|^]=|<<=|>>=)"
)
"""What follows a member that is read: an operator that stores nothing."""
_COUNTED = re.compile(rb"(?:\+\+|--)[\s(]*(?:\w+(?:->|\.|\[[^\]]*\])\s*)*\Z")
_ADDRESS = re.compile(rb"(?<!&)&[\s(]*(?:\w+(?:->|\.|\[[^\]]*\])\s*)*\Z")
"""What stands before a member that is counted, or of which the address is taken."""
_BITS_OF = re.compile(rb"(?<!\breturn)[\w)\]]\s+&\s+[\w>.\s\[\]()-]*\Z")
_CAST = re.compile(rb"\([\s\w]*\**\s*\)\s*&[\w>.\s\[\]()-]*\Z")
"""An ampersand behind a number takes bits, unless what looks like one is a type."""
_COMPARED = re.compile(rb"[=!]=\s*&[\w>.-]*\Z")
_KEPT = re.compile(
    rb"(?:(?:\w\s+\*|[;{}])\s*(\w+)\s*=|=|\{|[(,]|\breturn)[\s(]*(?:\([\w\s]+\**\s*\)[\s(]*)?"
    rb"&[\s(]*(?:[\w.\[\]]|->|\)(?=->|\.|\)))*\s*\Z"
)
"""What stands before a member of which the address is kept."""
_SET = re.compile(rb"\s*=\s*&")
_ROOT = re.compile(rb"&[\s(]*(\w+)\s*\.\s*\Z")
"""An object that is named, of which a member follows."""
_HOLDER = re.compile(rb"&[\s(]*(\w+)\s*->\s*\Z")
"""A variable that is followed to a member of what it points to."""
_NAMED = bytes(i for i in range(256) if re.match(rb"[\w\s.>-]", bytes((i,))))
_STRING = re.compile(rb'"(?:[^"\\\n]|\\.)*"')
_LONGEST_LEAD = 80
_DEFINE = re.compile(rb"[ \t]*#[ \t]*define\b")
_CALLED = re.compile(rb"(\w+)\s*\Z")
_INDIRECT = re.compile(rb"([)\]])\s*\(")
_PART = re.compile(rb"(?:\s*\.\s*\w+|\s*\[[^\[\]]*\])++")
"""A part of a member, which may be an array: then its value is an address."""
_MEASURED = re.compile(rb"\b(?:sizeof|ARRAY_SIZE)\s*\(\s*(?:\w+(?:->|\.))*\s*\Z")
"""What stands before a member of which no more than its size is asked."""
_COMPARES = re.compile(rb"\s*(?:[=!<>]=|[<>](?![<>])|&&|\|\||\?)")
"""What follows a number that is compared."""
_KEYWORDS = frozenset(
    {b"if", b"while", b"for", b"switch", b"return", b"sizeof", b"typeof", b"__typeof__", b"else",
     b"case", b"do", b"__attribute__"}
)  # fmt: skip
_TYPE = re.compile(rb"\s*(?:\w+\s+)*\w+[\s*]*")
_CLASS = re.compile(rb"\b(?:__free|guard|scoped_guard|scoped_cond_guard|CLASS)\s*\(\s*(\w+)")
_GIVEN = re.compile(rb"[(,]\s*&?\s*(\w+)\s*(?=[,)])")
_DECLARED = re.compile(rb"\s*[=;,)\[]")
_POINTER = re.compile(rb"\s*\)\s*\(")
_UP_TO = b"..."
"""What stands between the ends of a range of cases."""
_STARRED = re.compile(rb"\(\s*\*\s*(?:const\s+)?\Z")
_SPACES = b" \t\n*"
_JUMP = re.compile(rb"\bgoto\Z")
"""What stands before a label, and is no type."""
_DISPATCHED = re.compile(r"(\w+)\s*\(\s*(\w+)\s*\)")
_ENDS_OF_TYPES = frozenset(bytes((i,)) for i in range(256) if re.match(rb"\w", bytes((i,))))
_WITHIN = (b" ", b"\t", b"\n", b"}", b"#")
"""What a line begins with that declares nothing by itself."""
_NOTHING = frozenset({"defined", "offsetof", "__builtin_offsetof", "va_start", "va_end"})
_OBJECT_MACRO = re.compile(rb"(?ms)^[ \t]*#[ \t]*define[ \t]+(\w++)(?!\()((?:[^\n\\]|\\.)*+)")
"""A macro without parameters: its name, and what it stands for."""


class Named(NamedTuple):
    """Names of members, and which of them, or of what stands for them, are arrays."""

    words: frozenset[bytes]
    arrays: frozenset[bytes]


def _named(members: Iterable[str]) -> Named:
    """Return the names of members, as C has them."""
    words = {one.removesuffix("[]").encode(): one.endswith("[]") for one in members}
    return Named(frozenset(words), frozenset(one for one, is_array in words.items() if is_array))


class Call(NamedTuple):
    """What a text runs: names, and whether something else as well."""

    names: frozenset[str]
    is_dark: bool


def is_variable(name: bytes, function: bytes) -> bool:
    """Tell whether a function declares a variable of a name."""
    for at in places(function, name):
        if _DECLARED.match(function, at + len(name)) is not None:
            lead = function[max(0, at - _LONGEST_LEAD) : at]
            typed = lead.rstrip(_SPACES)
            is_typed = lead[-1:] in _SPACES and typed[-1:] in _ENDS_OF_TYPES
            if is_typed and _JUMP.search(typed) is None:
                return True
        if _POINTER.match(function, at + len(name)) is not None:
            if _STARRED.search(function, max(0, at - _LONGEST_LEAD), at) is not None:
                return True
    return False


class Closure:
    """What the functions of one tree may run, and change."""

    def __init__(
        self, index: Index, operations: Callable[[str], tuple[tuple[str, Definition], ...]]
    ) -> None:
        self._index, self._operations = index, operations
        self._known: dict[tuple[object, ...], bool] = {}
        self._bodies: dict[tuple[str, str, int], bytes] = {}
        self._calls: dict[tuple[tuple[str, str, int], str], Call] = {}
        self._callees: dict[tuple[str, str], tuple[Definition, ...]] = {}
        self._standing: dict[Named, dict[bytes, tuple[bool, bool]]] = {}
        self._declared: dict[str, bool] = {}
        self._parked: dict[bytes, bool] = {}
        self._reading: dict[tuple[str, str, int], bool] = {}

    def may_store(
        self, definition: Definition, members: frozenset[str], hook: str | None = None
    ) -> bool:
        """Tell whether a function, or what it runs, may store to members of some names.

        HOOK is the member of a table through which it is called, if it is.  Behind the name
        of a member that is an array stands ``[]``.
        """
        key = (definition.key, members, hook)
        if key not in self._known:
            self._known[key] = self._may_store(definition, _named(members), self._filled_by(hook))
        return self._known[key]

    def _may_store(self, definition: Definition, named: Named, filled: frozenset[bytes]) -> bool:
        seen = {(definition.key, filled)}
        todo = [(definition, definition.file, filled)]
        while todo:
            here, unit, filled = todo.pop()
            unit = here.file if here.file.endswith(".c") else unit
            body = self._body(here)
            if self._stores_itself(self._but_fills(body, named.words & filled), named, here):
                return True
            run = self._run_by(here, unit, body)
            if run.is_dark:
                return True
            for name in sorted(run.names):
                more = filled | self._filled_by(name)
                for one in self._callees_of(name, unit) or self._callees_of(name, here.file):
                    if (one.key, more) not in seen:
                        seen.add((one.key, more))
                        todo.append((one, unit, more))
            if len(seen) > MAX_FOLLOWED:
                return True
        return False

    def stored_in(self, definition: Definition, members: frozenset[str]) -> frozenset[str]:
        """Return the members among some that a function itself names otherwise than to read."""
        return frozenset(one for one in members if self.names_to_store(definition, one))

    def may_run(self, definition: Definition, names: frozenset[str]) -> bool:
        """Tell whether a function may run one of some names, as far down as it takes.

        So does what is called through a variable; of what macros call that are given it, it is
        not asked.
        """
        key = definition.key, names, "run"
        if key not in self._known:
            self._known[key] = self._may_run(definition, names)
        return self._known[key]

    def may_run_within(self, function: Definition, part: bytes, names: frozenset[str]) -> bool:
        """Tell whether a part of a function, without comments, may run one of some names."""
        run = self._run_in(function, function.file, part)
        words = {one.decode() for one in part.translate(WORDS).split()}
        macros = {one for one in words if self._index.macros(one, function.file)}
        callees = (
            one for name in run.names | macros for one in self._callees_of(name, function.file)
        )
        return (
            run.is_dark
            or not names.isdisjoint(run.names | macros)
            or any(self.may_run(one, names) for one in callees)
        )

    def reached(self, definition: Definition) -> tuple[Definition, ...] | None:
        """Return all that a call of a function may run, itself included, None if not known."""
        found: list[Definition] = []
        for here, run, is_too_much in self._walk(definition):
            if run.is_dark or is_too_much:
                return None
            found.append(here)
        return tuple(found)

    def _may_run(self, definition: Definition, names: frozenset[str]) -> bool:
        return any(
            here.name in names
            or (run.is_dark and here.kind != "macro")
            or is_too_much
            or not names.isdisjoint(run.names)
            for here, run, is_too_much in self._walk(definition)
        )

    def _walk(self, definition: Definition) -> Iterator[tuple[Definition, Call, bool]]:
        """Yield all that a call may run, what each runs, and whether too much was found."""
        seen, todo = {definition.key}, [(definition, definition.file)]
        while todo:
            here, unit = todo.pop()
            unit = here.file if here.file.endswith(".c") else unit
            run = self._run_by(here, unit, self._body(here))
            yield here, run, len(seen) > MAX_FOLLOWED
            for name in sorted(run.names):
                for one in self._callees_of(name, unit) or self._callees_of(name, here.file):
                    if one.key not in seen:
                        seen.add(one.key)
                        todo.append((one, unit))

    def _filled_by(self, hook: str | None) -> frozenset[bytes]:
        """Return the members that a hook may fill with the register of the guest."""
        filled = self._index.target.registers.fills.get(hook or "", ())
        return frozenset(name.encode() for name in filled)

    def _but_fills(self, body: bytes, filled: frozenset[bytes]) -> bytes:
        """Leave out of a text the statements that fill members with the register they cache."""
        for member in filled:
            body = self._fill_of(member).sub(b" ", body)
        return body

    def _fill_of(self, member: bytes) -> re.Pattern[bytes]:
        """Return what fills a member, as a statement; where nothing is said of it, any name.

        A register whose bits have names is filled with those that the guest changes by itself:
        what the CPU keeps of the others may be another value than the guest's.
        """
        registers = self._index.target.registers
        held = registers.held.get(member.decode(), "").encode()
        if not held:
            return re.compile(rb"\b%b\b" % member)
        filled = rb"=\s*%b" % held
        if member.decode() in registers.members:
            owned = registers.owned.encode()
            filled = rb"(?:\|=\s*%b\s*&\s*|&=\s*~\s*)(?:%b)" % (held, owned)
        return re.compile(rb"(?<=[;{}:\s])[\w.>-]+(?:->|\.)%b\s*%b\s*;" % (member, filled))

    def names_to_store(self, definition: Definition, member: str) -> bool:
        """Tell whether a function itself names a member otherwise than to read it."""
        return self._stores_itself(self._body(definition), _named((member,)), definition)

    # -- what is run -------------------------------------------------------------------------

    def _body(self, one: Definition) -> bytes:
        """Return what a definition runs, without comments and strings."""
        if one.key not in self._bodies:
            text = _STRING.sub(b'""', strip_comments(one.text))
            self._bodies[one.key] = text if one.kind == "macro" else text.partition(b"{")[2]
        return self._bodies[one.key]

    def _run_by(self, here: Definition, unit: str, body: bytes) -> Call:
        key = here.key, unit
        if key not in self._calls:
            self._calls[key] = self._run_in(here, unit, body)
        return self._calls[key]

    def _run_in(self, here: Definition, unit: str, body: bytes) -> Call:
        names: set[str] = set()
        # A table may lead from one C file into a header that another one includes.
        dark = [
            one
            for one in self._called_in(here, unit, body)
            if self._adds(one, names) and self._adds((one[0], here.file, one[2]), names)
        ]
        return Call(frozenset(names), bool(dark))

    def _called_in(
        self, here: Definition, unit: str, body: bytes
    ) -> Iterator[tuple[str, str, str]]:
        """Yield what a text calls, in a file, and how: by "name", "member" or "value"."""
        if here.kind == "macro":  # its words may be called where they stand for a name
            given = here.parameters or ()
            for word in set(body.translate(WORDS).split()):
                if word.decode() not in given:
                    yield word.decode(), unit, "value"
        for word in self._calling & set(body.translate(WORDS).split()):
            yield word.decode(), unit, "macro"
        for name in calls(body):
            if here.kind == "macro" and name in (here.parameters or ()):
                yield "", unit, "what is given is called"
                continue
            by_member = by_name = False
            for at in places(body, name.encode()):
                if body[at + len(name) :].lstrip()[:1] == b"(":
                    lead = before(body, at)
                    member = lead.endswith((b".", b"->")) and not lead.endswith(_UP_TO)
                    by_member, by_name = by_member or member, by_name or not member
            if by_member:
                yield name, unit, "member"
            if by_name and is_variable(name.encode(), here.text):
                yield "", unit, "a variable is called"
            elif by_name:
                yield name, unit, "name"
        for found in _GIVEN.finditer(body):
            if not is_variable(found[1], here.text):
                yield found[1].decode(), unit, "value"
        for found in _INDIRECT.finditer(body):
            yield from self._indirect(body, found, here, unit)
        for found in _CLASS.finditer(body):
            if self._is_declared(found[1].decode()):
                yield "", unit, "a variable has an end of its own"
        if b"cleanup" in body.translate(WORDS).split():
            yield "", unit, "a variable has an end of its own"

    @cached_property
    def _calling(self) -> frozenset[bytes]:
        """The macros without parameters that call something, themselves or through others."""
        todo: list[bytes] = []
        standing: dict[bytes, list[bytes]] = {}
        for path in (self._index.target.header, *self._index.own_files):
            for name, stands_for in _OBJECT_MACRO.findall(self._index.text(path) or b""):
                todo += [name] if calls(stands_for) else []
                for word in set(stands_for.translate(WORDS).split()):
                    standing.setdefault(word, []).append(name)
        found = set(todo)
        while todo:
            more = set(standing.get(todo.pop(), ())) - found
            found |= more
            todo += more
        return frozenset(found)

    def _indirect(
        self, body: bytes, found: re.Match[bytes], here: Definition, unit: str
    ) -> Iterator[tuple[str, str, str]]:
        """Yield what is called by ``(...)(...)`` or ``...[...](...)``, if it is a call."""
        if found[1] == b"]":
            yield "", unit, "an element is called"
            return
        opened = opening(body, found.start(), PARENTHESES)
        start = -1 if opened is None else opened
        inside = body[start + 1 : found.start()].strip()
        leading = _CALLED.search(before(body, start))
        lead = leading[1] if leading is not None else b""
        if lead in _KEYWORDS:
            return
        name, given = lead.decode(), inside.decode("utf-8", "replace")
        operation = self._dispatched(name, given, here.file)
        if operation is not None:
            is_key = name in library.KEYED and operation == given
            yield operation, unit, "key" if is_key else "member"
        elif lead in (b"guard", b"CC_OUT"):
            return  # a class, which is looked at by its name; an operand of an assembler text
        elif inside.endswith(b"*") or inside.startswith((b"typeof", b"__typeof")):
            return  # a cast
        elif lead or _TYPE.fullmatch(inside) is None:
            yield "", unit, "what a call returns is called"
        elif is_variable(inside, here.text):
            yield "", unit, "a variable is called"
        else:
            yield inside.decode(), unit, "value"  # a type, or a function in parentheses

    def _dispatched(self, name: str, given: str, here: str) -> str | None:
        """Return the operation that is called by a name which is given one, or makes one of that.

        None where it is no name that calls operations.
        """
        target = self._index.target
        if name not in library.dispatchers(target):
            macros = self._index.macros(name, here) if name else ()
            words = expand(macros[0], [given]) if len(macros) == 1 else None
            found = _DISPATCHED.fullmatch((words or "").strip())
            if found is None or found[1] not in library.dispatchers(target):
                return None
            given = found[2]
        return given.removeprefix(target.prefix)

    def _adds(self, called: tuple[str, str, str], names: set[str]) -> bool:
        """Add what is called to names; tell whether it may be anything."""
        name, here, how = called
        if how == "member":
            names.add(name)
            return not name.isidentifier() or not self._operations(name)
        if how == "key":  # of outside, if nothing is kept for it and nothing here names it
            names.add(name)
            return not self._operations(name) and bool(self._index.own_with(name.encode()))
        if how == "value":
            if name.isidentifier() and self._index.functions(name, here):
                names.add(name)
            return False
        if how == "macro":
            names.add(name)
            return False
        if how != "name":
            return True
        is_known = library.is_builtin(name, self._index.target) or name in _NOTHING
        if is_known and not self._index.defines(name, here):
            return False
        names.add(name)
        return not self._callees_of(name, here) and self._is_declared(name)

    def _callees_of(self, name: str, here: str) -> tuple[Definition, ...]:
        """Return what a call of some name may run."""
        memo = (name, here)
        if memo not in self._callees:
            found = (*self._index.functions(name, here), *self._index.macros(name, here))
            if not found:
                found = tuple(one for _, one in self._operations(name))
            self._callees[memo] = found
        return self._callees[memo]

    def _is_declared(self, name: str) -> bool:
        """Tell whether the text names something at file scope: then it is not of outside."""
        if name not in self._declared:
            self._declared[name] = any(self._begin_lines(name.encode()))
        return self._declared[name]

    def _begin_lines(self, word: bytes) -> Iterator[bool]:
        """Yield for each mention of a word whether its line begins at the left edge."""
        for path in self._holding(word):
            data = self._index.text(path) or b""
            for at in places(data, word):
                start = data.rfind(b"\n", 0, at) + 1
                yield data[start : start + 1] not in _WITHIN

    def _holding(self, word: bytes) -> tuple[str, ...]:
        """Return the files that hold a word: the header of the target, and its own."""
        header = self._index.target.header
        near = (header,) if word in self._index.words_in(header) else ()
        return (*near, *self._index.own_with(word))

    # -- what is changed ---------------------------------------------------------------------

    def is_parked(self, member: str) -> bool:
        """Tell whether the address of a member is kept: who holds it need not name the member.

        The member is no record, and a record of its name is another one.
        """
        word = member.encode()
        if word not in self._parked:
            self._parked[word] = any(self._kept(word))
        return self._parked[word]

    def _kept(self, word: bytes) -> Iterator[bool]:
        for path in self._holding(word):
            data = self._index.text(path) or b""
            for at in places(data, word):
                if b"&" not in data[max(0, at - _LONGEST_LEAD) : at]:
                    continue
                found = _KEPT.search(before(data, at))
                if found is None or _behind_member(data, at + len(word)):
                    continue
                root = _ROOT.search(found.group())
                if root is not None and root[1].decode() in self._index.target.registers.fixed:
                    continue  # of an object that is no part of what is asked about
                file = self._index.file(path)
                is_member = before(data, at).endswith((b".", b"->"))
                holder = _HOLDER.search(found.group())
                yield not any(
                    _is_followed_only(found[1], one.text)
                    or (not is_member and is_variable(word, one.text))
                    or (holder is not None and self._is_record(holder[1], word, one))
                    for one in (file.functions_around(at) if file is not None else ())
                )

    def _is_record(self, holder: bytes, member: bytes, function: Definition) -> bool:
        """Tell whether a member of what a variable points to is a record.

        Whoever is given its address stores to parts of it by their own names.
        """
        tags = re.findall(rb"\bstruct\s+(\w+)\s*\*\s*%b\s*[;=,)]" % holder, function.text)
        if len(tags) != 1:
            return False
        records = self._index.record(f"struct {tags[0].decode()}", function.file)
        is_held = re.compile(rb"\bstruct\s+\w+\s+%b\s*;" % member)
        return bool(records) and all(is_held.search(one.text) for one in records)

    def _stand_for(self, named: Named) -> dict[bytes, tuple[bool, bool]]:
        """Return the macros that name a member: whether each does more than read it, and arrays."""
        if named not in self._standing:
            found: dict[bytes, tuple[bool, bool]] = {}
            fresh = named.words
            while fresh:
                more: dict[bytes, tuple[bool, bool]] = {}
                for macro in macros_naming(self._index, fresh):
                    name = macro.name.encode()
                    if name not in found and name not in named.words:
                        more[name] = self._stands_for(macro, named, found)
                found |= more
                fresh = frozenset(more)
            self._standing[named] = found
        return self._standing[named]

    def _stands_for(
        self, macro: Definition, named: Named, found: dict[bytes, tuple[bool, bool]]
    ) -> tuple[bool, bool]:
        arrays = named.arrays | {one for one, (_, is_array) in found.items() if is_array}
        known = Named(named.words | found.keys(), arrays)
        is_array = not arrays.isdisjoint(macro.text.translate(WORDS).split())
        return self._stores_by(macro.text, known, macro, named.words), is_array

    def _stores_itself(self, body: bytes, named: Named, where: Definition) -> bool:
        """Tell whether a text names a member otherwise than to read it, itself or by a macro."""
        held = frozenset(body.translate(WORDS).split())
        macros = self._stand_for(named)
        if any(macros[name][0] for name in held & macros.keys()):
            return True
        arrays = named.arrays | {name for name in held & macros.keys() if macros[name][1]}
        known = Named((named.words | macros.keys()) & held, arrays)
        return self._stores_by(body, known, where, named.words)

    def _stores_by(
        self, body: bytes, named: Named, where: Definition, bare: frozenset[bytes]
    ) -> bool:
        """Tell whether words are used otherwise than to be read; BARE may be variables."""
        for word in named.words:
            for at in places(body, word):
                lead = before(body, at)
                is_bare = word in bare and not lead.endswith((b".", b"->"))
                if is_bare and is_variable(word, where.text):
                    continue
                if where.kind == "macro" and word.decode() in (where.parameters or ()):
                    continue
                end = at + len(word)
                if not self._is_read(body, at, end, where.file, word in named.arrays):
                    return True
        return False

    def _is_read(self, body: bytes, at: int, end: int, here: str, is_array: bool = False) -> bool:
        """Tell whether a member between two bytes is read, and so is what it is given to.

        The value of an array is its address.
        """
        behind = _behind(body, end)
        if _is_given(before(body, at)):
            return False
        part = _PART.match(body, behind)
        if part is None and not is_array:
            return _USED.match(body, behind) is not None and self._is_valued(body, at, here)
        if part is None and _MEASURED.search(before(body, at)) is not None:
            return True
        return self._is_compared(body, at, behind if part is None else part.end(), here)

    def _is_compared(self, body: bytes, at: int, end: int, here: str) -> bool:
        """Tell whether what stands between two bytes is compared, if need be by a macro."""
        if _COMPARES.match(body, end) is not None:
            return self._is_valued(body, at, here)
        opened = around(body, at, PARENTHESES)
        called = _CALLED.search(body, max(0, opened - 80), opened) if opened >= 0 else None
        is_alone = not body[opened + 1 : at].strip(_NAMED) and body[end:].lstrip()[:1] == b")"
        if called is None or not is_alone:
            return False
        macros = self._index.macros(called[1].decode(), here)
        return bool(macros) and all(map(_compares_alone, macros))

    def _is_valued(self, body: bytes, at: int, here: str) -> bool:
        """Tell whether what stands at a place is given to functions by its value, if to any."""
        start = max(body.rfind(mark, 0, at) for mark in (b";", b"{", b"}"))
        opened = around(body, at, PARENTHESES, start + 1)
        while opened >= 0:
            called = _CALLED.search(body, max(0, opened - 80), opened)
            if called is not None and not self._takes_values(called[1].decode(), here):
                return False
            opened = around(body, opened, PARENTHESES, start + 1)
        return True

    def _takes_values(self, name: str, here: str) -> bool:
        if name.encode() in _KEYWORDS or name in library.dispatchers(self._index.target):
            return True
        is_known = name in names_of("reading_macro") or library.is_check(name, self._index.target)
        if is_known and not self._index.defines(name, here):
            return True
        macros = self._index.macros(name, here)
        if not macros:
            return bool(self._index.functions(name, here))
        return all(_compares_alone(one) or self._reads_alone(one) for one in macros)

    def _reads_alone(self, macro: Definition) -> bool:
        """Tell whether a macro reads all that it is given, itself and by what it hands that to.

        One that leads back to itself does not.
        """
        if macro.key not in self._reading:
            self._reading[macro.key] = False
            self._reading[macro.key] = _takes_whole(macro) and all(
                self._is_read(macro.text, at, at + len(one), macro.file)
                for one in macro.parameters or ()
                for at in places(macro.text, one.encode())
            )
        return self._reading[macro.key]


def _compares_alone(macro: Definition) -> bool:
    """Tell whether a macro compares what it is given, and does no more with it."""
    text = macro.text
    return _takes_whole(macro) and all(
        re.search(rb"(?:\A|[^\w\])&+-])\s*\(\s*\Z", text[:at]) is not None
        and re.match(rb"\s*\)", text[at + len(one) :]) is not None
        and _COMPARES.match(text, text.index(b")", at) + 1) is not None
        for one in macro.parameters or ()
        for at in places(text, one.encode())
    )


def _takes_whole(macro: Definition) -> bool:
    """Tell whether each parameter of a macro, of which it has some, is one argument as it is."""
    given = macro.parameters or ()
    return bool(given) and all(map(str.isidentifier, given)) and b"#" not in macro.text


def _behind(body: bytes, at: int) -> int:
    """Return where the arguments of a macro end that begin at a place, if any do."""
    rest = len(body) - len(body[at:].lstrip())
    if body[rest : rest + 1] != b"(":
        return at
    return closing(body, rest, PARENTHESES) or len(body)


def _is_given(lead: bytes) -> bool:
    """Tell whether a member that stands behind some text is counted, or its address is taken."""
    if _COUNTED.search(lead) is not None:
        return True
    if _ADDRESS.search(lead) is None or _COMPARED.search(lead) is not None:
        return False
    return _BITS_OF.search(lead) is None or _CAST.search(lead) is not None


def _behind_member(data: bytes, at: int) -> bool:
    """Tell whether a part of a member is meant, whose name stands behind it."""
    return data[at : at + 40].lstrip().startswith((b".", b"->"))


def _is_followed_only(name: bytes | None, function: bytes) -> bool:
    """Tell whether a variable of a function is declared, set, and then followed, and no more."""
    uses = [] if name is None else list(places(function, name))[1:]
    return (
        name is not None
        and is_variable(name, function)
        and all(
            before(function, at).endswith(b"*")
            or _behind_member(function, at + len(name))
            or _SET.match(function, at + len(name)) is not None
            for at in uses
        )
    )


def macros_naming(index: Index, words: frozenset[bytes]) -> Iterator[Definition]:
    """Yield the macros of the target that hold one of some words."""
    return macros_with(index, (index.target.header, *index.own_files), words)


def macros_with(
    index: Index, paths: Iterable[str], words: frozenset[bytes]
) -> Iterator[Definition]:
    """Yield the macros of some files that hold one of some words."""
    for path in paths:
        held = index.words_in(path) & words
        if not held:
            continue
        data = index.text(path) or b""
        near = sorted(at for word in held for at in places(data, word) if in_directive(data, at))
        file = index.file(path) if near else None
        yield from file.macros_around(near) if file is not None else ()


def in_directive(data: bytes, at: int) -> bool:
    """Tell whether a place lies in a directive that defines something."""
    return _DEFINE.match(data, first_of_line(data, at)) is not None
