# SPDX-License-Identifier: GPL-2.0-only
"""Which function invalidates a role after every change of what a guest is told of its CPU.

What a guest is told is looked up in tables that user space hands over whole, and in members
that are computed from them.  A function that stores one and then leaves has to put back what
was there, or to have found it the same; one that vendors' modules fill in is called by the
function that goes on to tell everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from patchtool.c import brackets, library, syntax
from patchtool.c.index import Index, is_static, parameter_names
from patchtool.c.layout import ArrayType, RecordType, literal
from patchtool.c.scan import Definition, places
from patchtool.c.syntax import Node, descendants, text
from patchtool.world.accounts.mentions import Mention, Mentions
from patchtool.world.inputs.answers import handle, read_by
from patchtool.world.inputs.births import is_set, parameter_of
from patchtool.world.inputs.invalidation import MAX_CALLS, Invalidations, is_certain, passes_by

_LABEL = re.compile(rb"\n(\w+):[ \t]*\n")
_COPY = re.compile(rb"memcpy\(([^,]*),([^,]*),.*\)")
_WORD_OF = re.compile(r"\(?\s*(\d+)\s*\*\s*32\s*\+\s*\d+\s*\)?")
_STORE = rb"\s*(?:(?:[-+|&^]|<<|>>)?=(?!=)|\+\+|--)"
_ELEMENT = re.compile(rb"\[[^\];]*\]" + _STORE)
_THROUGH_WORD = re.compile(rb"[;{})]\s*\*\s*\w+\s*(?:[-+|&^]|<<|>>)?=(?!=)")
"""A store to what a variable points to."""
_REFUSES = re.compile(rb"\b(\w+)\s*=\s*(\w+)\s*\([^;{}]*\);\s*if\s*\(\1\)\s*(?:return|goto)\b")
"""A call of which an answer other than 0 is a refusal."""
_COMPARES = re.compile(rb"\bmemcmp\s*\(|!=")
_NUMBER = re.compile(rb"\b(?:0[xX][0-9a-fA-F]+|\d+)\b")


def tellers(index: Index, members: Iterable[str]) -> Iterator[tuple[Definition, list[int]]]:
    """Yield the functions that store to some members, each with where its stores end.

    Those that run before any set-up are left out; one that stores to two of the members comes
    twice.
    """
    for member in dict.fromkeys(members):
        stored = re.compile(
            rb"(?:->|\.)\s*%s\s*(?:[-+|&^]|<<|>>)?=(?!=)|\bswap\s*\([^;]*\b%s\b"
            rb"|\bmem\w+\s*\(\s*&?[\w>.-]*(?:->|\.)\s*%s\b" % ((member.encode(),) * 3)
        )
        for _, writer in index.users(member):
            stores = [match.end() for match in stored.finditer(writer.text)]
            if stores and not _is_born(index, writer):
                yield writer, stores


def _is_born(index: Index, function: Definition) -> bool:
    """Tell whether a function runs before any set-up."""
    return re.fullmatch(index.target.registers.births, function.name) is not None


def _changing(index: Index, asked: str) -> Iterator[tuple[Definition, list[int]]]:
    """Yield the functions that change one feature that a guest is told of, by its name or place.

    ASKED is what it was asked with.
    """
    registers = index.target.registers
    tables = registers.tables
    harmless = re.compile(f"{registers.guest_queries}|{registers.host_queries}|{tables.host}")
    for feature in _features(index, asked):
        word = feature.encode()
        for _, user in index.users(feature):
            found: list[int] = []
            for at in places(user.text, word):
                opened, _ = brackets.argument_at(user.text, at)
                callee = brackets.callee(user.text, opened) if opened >= 0 else None
                name = (callee or b"").decode()
                if callee is not None and harmless.fullmatch(name) is None:
                    found.append(brackets.end_of(user.text, opened) or at)
            if found and not _is_born(index, user):
                yield user, found
        number = _word_of(index, feature)
        if number in tables.words:
            yield from _storing(index, *tables.words[number])


def _features(index: Index, asked: str) -> list[str]:
    """Return the features that a guest is asked for."""
    return re.findall(index.target.registers.tables.feature, asked)


def _spelt(index: Index, feature: str) -> str:
    """Return what the macro of a feature stands for, nothing where it is none of the text."""
    asking = [index.target.header, *index.own_with(feature.encode())]
    found = next((one for here in asking if (one := index.macros(feature, here))), ())
    return found[0].text.decode("utf-8", "replace") if found else ""


def _word_of(index: Index, feature: str) -> int:
    """Return the word of 32 bits in which a feature is, -1 where that is not known."""
    spelt = _WORD_OF.match(_spelt(index, feature).strip())
    return int(spelt[1]) if spelt is not None else -1


def _answering(index: Index, name: str) -> Iterator[tuple[Definition, list[int]]]:
    """Yield what changes a leaf that a function looks up by itself to answer."""
    tables = index.target.registers.tables
    for _, one in index.users(name):
        if one.name != name:
            continue
        leaves = frozenset[int]().union(*map(_numbers, _leaves(index, one)))
        read = re.findall(rb"->\s*(%s)\b" % "|".join(tables.registers).encode(), one.text)
        for leaf in sorted(leaves):
            for register in sorted(set(read)):
                yield from _storing(index, leaf, register.decode())


def _storing(index: Index, leaf: int, register: str) -> Iterator[tuple[Definition, list[int]]]:
    """Yield the functions that may store to a register of a leaf that a guest is told of.

    By a pointer, as a whole, or to what says which leaf it is; one that is found by the
    number of another leaf alone is another one.
    """
    tables, told = index.target.registers.tables, index.target.registers.told
    tag, member = tables.record.encode(), register.encode()
    keys = rb"(?:%s)" % b"|".join((member, *(one.encode() for one in tables.keys)))
    pointer = re.compile(rb"struct\s+%s\s*\*\s*(?:const\s+)?(\w+)" % tag)
    direct = re.compile(
        rb"(?:(?:->|\.)(?:%s)\s*\[[^;]*\]\s*\.|\)\s*->)\s*%s%s"
        % ("|".join(told).encode(), keys, _STORE)
    )
    users = {one.key: one for word in (register, tables.record) for _, one in index.users(word)}
    for user in users.values():
        head, _, body = user.text.partition(b"{")
        at = len(head) + 1
        found = [at + one.end() for one in direct.finditer(body)]
        names = set(pointer.findall(user.text))
        given = _leaves(index, user)
        is_given = any(name in head for name in names) and index.target.handle.encode() not in head
        yielded = (
            (is_given and b"static" in head and not _is_of_array(index, user))
            or bool(given)
            or any(one.encode() in body for one in told)
        )
        for name in sorted(names if yielded else ()):
            used = rb"\b%s\s*->\s*%s%s|&\s*%s\s*->\s*%s\b|[;{})]\s*\*\s*%s\s*=(?!=)" % (
                name, keys, _STORE, name, member, name,
            )  # fmt: skip
            filled = rb"\bmem(?:set|cpy|move)\s*\(\s*(?:&\s*)?%s\b" % name
            found += [at + one.end() for one in re.finditer(used + b"|" + filled, body)]
        numbers = frozenset[int]().union(*map(_numbers, given))
        is_other = bool(numbers) and leaf not in numbers and all(map(_is_plain, given))
        is_named = re.search(tables.named.encode(), body) is not None
        if found and not is_other and not (is_named and leaf not in numbers):
            yield user, found


def _leaves(index: Index, function: Definition) -> list[bytes]:
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


def _is_of_array(index: Index, function: Definition) -> bool:
    """Tell whether a function that is given an entry is called for what no guest is told yet."""
    handle = index.target.handle.encode()
    return not any(
        handle in user.text for _, user in index.users(function.name) if user.key != function.key
    )


def _is_plain(given: bytes) -> bool:
    """Tell whether a leaf is looked up by a number as it stands."""
    words = given.partition(b")")[0].split(b",")
    return any(one.strip().isalnum() and one.strip()[:1].isdigit() for one in words)


def _numbers(body: bytes) -> frozenset[int]:
    """Return the numbers that stand in a text."""
    found = (literal(one.decode()) for one in _NUMBER.findall(body))
    return frozenset(one for one in found if one is not None)


def _is_filled(body: bytes, at: int, name: bytes, is_array: bool) -> bool:
    """Tell whether an element of a member is stored to, or the address of an array is used."""
    end = at + len(name)
    if body[end : end + 1] == b"[":
        return _ELEMENT.match(body, end) is not None
    opened, number = brackets.argument_at(body, at)
    callee = brackets.callee(body, opened) if opened >= 0 else None
    read = library.READING.get((callee or b"").decode(), ())
    return is_array and callee not in (b"sizeof", b"ARRAY_SIZE") and number not in read


def _is_put_back(before: bytes, statement: bytes) -> bool:
    """Tell whether a statement undoes one in front of it: a swap, or a copy that was kept."""
    words = b"".join(statement.split())
    flat = b"".join(before.split())
    if words.startswith(b"swap("):
        return words in flat
    copied = _COPY.fullmatch(words)
    return copied is not None and b"memcpy(%s,%s," % (copied[2], copied[1]) in flat


def _statement(text: bytes, at: int) -> bytes:
    """Return the statement around a byte, up to its semicolon."""
    start = max(text.rfind(one, 0, at) for one in (b";", b"{", b"}", b":"))
    end = text.find(b";", at)
    return text[start + 1 : end if end >= 0 else len(text)].strip()


def _block(node: Node) -> Node:
    """Return the block around a node, or the whole where there is none."""
    while node.type != "compound_statement" and node.parent is not None:
        node = node.parent
    return node


class Told(Invalidations):
    """The stores that invalidate the roles of one context behind changes of what is told."""

    def after_all(
        self, members: Iterable[str], asked: str = "", owner: str | None = None, by: str = ""
    ) -> str | None:
        """Return the function that invalidates the role after every store to some members.

        A member that no function stores to is none of this tree.  ASKED is what a guest is
        asked with, BY which function, and OWNER the record of the members, where something
        else than to store to one by its name may change it.
        """
        members = list(members)
        found = [*tellers(self._tree.index, members)]
        if owner is not None and not self._are_all(members, owner, found):
            return None
        if asked:
            key = asked, by, *members
            if key not in self._tree.told:
                self._tree.told[key] = [
                    *_changing(self._tree.index, asked),
                    *_answering(self._tree.index, by),
                    *self._filling(members, asked),
                    *filter(self._has_handle, self._by_register(asked)),
                ]
            found += self._tree.told[key]
        changes = [
            (writer, [at for at in stores if not self._puts_back(writer, at)])
            for writer, stores in found
        ]
        names = [self._somewhere_behind(*change, 0) for change in changes if change[1]]
        return names[0] if names and None not in names else None

    def _filling(self, members: list[str], asked: str) -> Iterator[tuple[Definition, list[int]]]:
        """Yield the functions that store to elements of a member, or use the address of an array.

        One that is told which feature to change is looked at by its callers.
        """
        index = self._tree.index
        host = self._tree.types.record(f"struct {index.target.host}", index.target.header)
        known = host.by_name if isinstance(host, RecordType) else {}
        parameter = index.target.registers.tables.parameter.encode()
        for member in members:
            name = member.encode()
            is_array = member in known and isinstance(known[member][1], ArrayType)
            for _, user in index.users(member):
                head, _, body = user.text.partition(b"{")
                found = [
                    len(head) + 1 + at
                    for at in places(body, name)
                    if body[at - 1 : at] in (b">", b".") and _is_filled(body, at, name, is_array)
                ]
                if found and parameter and parameter in head:
                    number = parameter_of(user, parameter.decode())
                    yield from self._told_which(user, number, asked, frozenset())
                elif found and not _is_born(index, user):
                    yield user, found

    def _has_handle(self, change: tuple[Definition, list[int]]) -> bool:
        """Tell whether a change may be one of what a guest is told, and not of a table apart."""
        return self._tree.index.target.handle.encode() in change[0].text

    def _by_register(self, asked: str) -> Iterator[tuple[Definition, list[int]]]:
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
                words = {-1, *(_word_of(index, one) for one in _features(index, asked))}
                ends = [one.end() for one in _THROUGH_WORD.finditer(caller.text, call.end_byte)]
                if ends and _word_of(index, word) in words and not _is_born(index, caller):
                    yield caller, ends

    def _told_which(
        self,
        function: Definition,
        number: int | None,
        asked: str,
        above: frozenset[tuple[str, str, int]],
    ) -> Iterator[tuple[Definition, list[int]]]:
        """Yield the calls by which a function may change a feature that it is told by a number."""
        calls = self._births.calls(function)
        if calls == () and is_static(function):
            return
        if not calls or number is None or function.key in above or len(above) > MAX_CALLS:
            yield function, [len(function.text) - 1]
            return
        for caller, call in calls:
            given = syntax.arguments(call)
            word = text(given[number]) if number < len(given) else ""
            passed = parameter_of(caller, word)
            if passed is not None and not is_set(self._tree.index.node(caller), word):
                yield from self._told_which(caller, passed, asked, above | {function.key})
            elif not _is_born(self._tree.index, caller) and not self._is_other(word, asked):
                yield caller, [call.end_byte]

    def _is_other(self, word: str, asked: str) -> bool:
        """Tell whether a word is the name of a feature, and of another one than is asked for."""
        index, spelt = self._tree.index, self._tree.index.target.registers.tables.feature
        if re.fullmatch(spelt, word) is None or word in _features(index, asked):
            return False
        stands_for = _spelt(index, word)
        others = [_spelt(index, one) for one in _features(index, asked)]
        return re.search(spelt, stands_for) is None and (
            not stands_for or all(stands_for.split() != one.split() for one in others)
        )

    def _are_all(
        self, members: list[str], owner: str, found: list[tuple[Definition, list[int]]]
    ) -> bool:
        """Tell whether nothing but some functions may store to some members."""
        known = {writer.key for writer, _ in found}
        owners = dict.fromkeys(members, frozenset((owner,)))
        mentions = Mentions(self._tree.index, self._tree.types, owners)
        return all(
            one.is_idle
            or (
                one.kind == "store"
                and one.function is not None
                and (one.function.key in known or _is_born(self._tree.index, one.function))
            )
            for member in members
            for one in mentions.of(member)
        )

    def beside(self, name: str, here: str, members: Iterable[str]) -> str | None:
        """Say what a function answers by that is not told, nor computed from what is.

        MEMBERS are known to be told.  None where there is no more.
        """
        read = read_by(self._tree, name, here)
        if read is None:
            return f"by what {name}() answers is not understood"
        owners = frozenset((self._tree.index.target.host, self._tree.index.target.handle))
        for member in sorted(read.difference(members)):
            mentions = Mentions(self._tree.index, self._tree.types, {member: owners})
            if not all(map(self._is_told, mentions.of(member))):
                return f"{name}() answers by {member} as well, which may change at any time"
        return None

    def _is_told(self, mention: Mention) -> bool:
        """Tell whether a mention leaves a member alone, or the role is invalid behind it."""
        function = mention.function
        if function is None or mention.is_idle:
            return mention.is_idle
        file = self._tree.index.file(function.file)
        assert file is not None
        at = file.offset(mention.place.line, mention.place.column) - function.start
        return (
            _is_born(self._tree.index, function)
            or self._somewhere_behind(function, [at], 0) is not None
        )

    @cached_property
    def _behind_call(self) -> dict[tuple[str, str, int, int, int], str | None]:
        """What invalidates the role behind a call: by caller, place and depth."""
        return {}

    @cached_property
    def _handle(self) -> re.Pattern[str]:
        return handle(self._tree)

    def _certain(self, node: Node, body: Node, function: Definition, start: int, zero: str) -> bool:
        """Tell whether all come by a node who do not put back what was told, or leave it alone."""
        return (
            not self._is_late(function, start, node.start_byte)
            and is_certain(node, body, leaving=True, start=start)
            and all(
                self._is_undone(one, function)
                if one.type in ("return_statement", "goto_statement")
                else not passes_by(one, node)
                for one in descendants(body)
                if one.type in syntax.JUMPS
                and start <= one.start_byte
                and one.end_byte <= node.start_byte
            )
        )

    def _is_undone(self, jump: Node, function: Definition) -> bool:
        """Tell whether what is told is put back on the way out, or was compared and is the same."""
        data, start, end = function.text, -1, -1
        if jump.type == "goto_statement":
            label = jump.child_by_field_name("label")
            name = text(label).encode() if label is not None else b""
            start = data.find(b"\n%s:" % name, jump.end_byte)
            end = data.find(b"\n\treturn", start)
        told = "|".join(self._tree.index.target.registers.told).encode()
        around = _block(jump).start_byte
        for first, last in ((start, end), (around, jump.start_byte)):
            behind = data[first:last] if first >= 0 else b""
            for found in re.finditer(rb"(?:->|\.)(?:%s)\b" % told, behind):
                if _is_put_back(data[:first], _statement(data, first + found.start())):
                    return True
        return any(
            _COMPARES.search(one.text) is not None and re.search(told, one.text) is not None
            for found in _REFUSES.finditer(data, around, jump.start_byte)
            for one in self._tree.index.functions(found[2].decode(), function.file)
        )

    def _somewhere_behind(self, writer: Definition, stores: list[int], depth: int) -> str | None:
        """Return what invalidates the role behind a store: in its function, or in who calls it."""
        handed = self._handle.search(writer.text.decode("utf-8", "replace"))
        if handed is not None:
            found = [self._on_every_way(writer, at, handed[1], frozenset()) for at in stores]
            if None not in found:
                return found[0]
        if depth == MAX_CALLS or self._is_late(writer, min(stores), len(writer.text)):
            return None
        name: str | None = None
        calls = self._births.calls(writer)
        if not calls:
            return None
        for one, call in calls:
            if _is_born(self._tree.index, one):
                continue
            key = (*one.key, call.end_byte, depth)
            if key not in self._behind_call:
                behind = self._somewhere_behind(one, [call.end_byte], depth + 1)
                self._behind_call[key] = behind
            if self._behind_call[key] is None:
                return None  # one caller is enough, and there may be a tree of them
            name = name or self._behind_call[key]
        return name

    def _puts_back(self, writer: Definition, at: int) -> bool:
        """Tell whether a store undoes another one, on a way out of a function.

        That is in a block that leaves it, or behind a label that is only jumped to.
        """
        data, statement = writer.text, _statement(writer.text, at - 1)
        here = self._tree.index.node(writer).descendant_for_byte_range(at - 1, at)
        block = _block(here) if here is not None else None
        held = syntax.inner(block)
        if block is not None and held and held[-1].type in ("return_statement", "goto_statement"):
            if _is_put_back(data[: block.start_byte], statement):
                return True
        labels = [*_LABEL.finditer(data, 0, at)]
        if not labels:
            return False
        before = data[: labels[-1].start()]
        last = _statement(before, max(0, len(before.rstrip()) - 1))
        is_left = re.match(rb"(?:return|goto)\b", last) is not None
        again = re.search(rb"\bgoto\s+%s\b" % labels[-1][1], data[at:]) is not None
        return is_left and not again and _is_put_back(before, statement)
