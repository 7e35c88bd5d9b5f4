# SPDX-License-Identifier: GPL-2.0-only
"""Which contexts a pointer may select, and so whose fields are read.

In: a tree and an expression that names a context.  Out: the members of the host that it may
be: one by its name, those that a pointer beside them is made to point to, and what callers
hand to a parameter.  What is not followed may be any of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import or_

from patchtool.c.conditions import dense, holding, is_own
from patchtool.c.index import parameter_names, split_arguments
from patchtool.c.scan import Definition, FileIndex, before, callee_before, places, strip_comments
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.accounts.sites import MEASURED, Mention
from patchtool.world.circular import Circular
from patchtool.world.entries import Tree
from patchtool.world.pasted import opening

MAX_CALLS = 6
"""How many calls a parameter is followed up."""

_ADDRESS = re.compile(r"&\s*\(?\s*[\w>.()-]*?(?:->|\.)\s*(\w+)\s*\)?")
_MEMBER = re.compile(r"[\w>.()\s-]*?(?:->|\.)\s*(\w+)")
_ONCE = re.compile(r"(?:READ_ONCE)?\((.*)\)")
"""What only stands around an expression."""
_AROUND = re.compile(r"\((?:[^()]|\([^()]*\))*\)")
_CALLED = re.compile(r"(\w+)\([\w>.&-]*\)")
_RETURN = re.compile(rb"\breturn\b\s*([^;]*);")
_ASSIGNED = re.compile(rb"\s*=(?!=)\s*([^;]*);")
_EXPORTED = re.compile(rb"\bEXPORT_\w+\s*\(\s*\Z")
_MOVED = (
    rb"(?<!&)&\s*NAME\b(?!\s*(?:->|\.|\[))|\(\s*NAME\s*\)\s*[-+]?=(?!=)"
    rb"|(?<![\w.>])NAME\s*(?:[-+]?=(?!=)|\+\+|--)|(?:\+\+|--)\s*NAME\b"
)
_ARGUMENT = re.compile(rb"[(,]\s*[\w.>()-]*\Z")
_READING = frozenset(
    {b"if", b"while", b"switch", b"return", b"sizeof", b"READ_ONCE", b"container_of"}
)
_LEAD = 200
_ADDRESS_OF = re.compile(rb"&\s*\(?\s*(?:[\w\])(]|->|\.(?!\.))*\Z")
_CALL = re.compile(rb"\s*\(((?:[^();]|\((?:[^()]|\([^()]*\))*\))*)\)")


class Selection:
    """What the contexts of one tree are reached by."""

    def __init__(self, tree: Tree, mentions: Mentions) -> None:
        self._tree, self._mentions = tree, mentions
        self.embedded = tree.held()
        """The members of the host that are contexts."""
        self._by_tag = {tag: tree.held(tags=(tag,)) for tag in tree.roles.contexts}
        """And those that are of one type."""
        self._selected: dict[str, frozenset[str]] = {}
        self._given = Circular[tuple[tuple[str, str, int], int], frozenset[str]](frozenset(), or_)
        # What is followed meanwhile takes those pointers for anything.
        self._selected = {
            name: frozenset(self._bound(name.encode())) or self.embedded
            for name in tree.held(rb"\*")
        }
        self._given = Circular[tuple[tuple[str, str, int], int], frozenset[str]](frozenset(), or_)
        self.taken: dict[str, str] = {}
        """What was taken for true of contexts, to leave them out where they are not in use."""

    def _bound(self, pointer: bytes) -> Iterator[str]:
        """Yield the contexts that a pointer beside them is made to point to."""
        for path in self._mentions.files:
            if pointer not in (self._tree.index.raw(path) or b""):
                continue
            data = self._tree.index.text(path) or b""
            for at in places(data, pointer):
                if not before(data, at).endswith((b">", b".")):
                    continue
                stored = _ASSIGNED.match(data, at + len(pointer))
                if stored is None:
                    if self._is_given_away(data, at, at + len(pointer), path):
                        yield from self.embedded
                    continue
                value = stored[1].decode("utf-8", "replace")
                file = self._tree.index.file(path)
                around = _around(file, at) if file is not None and file.data == data else []
                for one in around:
                    if one.kind == "function":
                        yield from self.contexts(value, one)
                if not around or any(one.kind != "function" for one in around):
                    yield from self.embedded

    def _is_given_away(self, data: bytes, at: int, end: int, path: str) -> bool:
        """Tell whether a pointer of the host goes where it may be changed: by address, or a macro.

        A function takes it by its value.
        """
        lead, behind = data[max(0, at - _LEAD) : at], data[end : end + _LEAD].lstrip()
        if behind.startswith((b"->", b"[")):
            return False
        if _ADDRESS_OF.search(lead) is not None:
            return True
        is_argument = behind.startswith((b",", b")")) and _ARGUMENT.search(lead) is not None
        opened = opening(data, at) if is_argument else None
        callee = callee_before(data, opened, opened - _LEAD) if opened else None
        if callee is None or callee[1] in _READING:
            return False
        name = callee[1].decode()
        macros = self._tree.index.macros(name, path)
        if not macros:
            return not self._tree.index.functions(name, path)
        before = data[opened + 1 : at].decode(errors="replace") if opened is not None else ""
        number = len(split_arguments(before)) - 1 if before else 0
        return not all(_follows(one, number) for one in macros)

    def contexts(
        self, expression: str, function: Definition | None, depth: int = 0
    ) -> frozenset[str]:
        """Return the contexts that an expression of a function may be, or point to."""
        words = dense(expression)
        while (once := _ONCE.fullmatch(words)) is not None:
            words = once[1]
        found = self._named(words, function, depth)
        typed = self._of_type(words, function) if len(self._by_tag) > 1 else found
        return found & typed or typed

    def _of_type(self, words: str, function: Definition | None) -> frozenset[str]:
        """Return the contexts of the type by which a variable, or a pointer, is declared."""
        member = _MEMBER.fullmatch(words)
        if member is not None and member[1] not in self.embedded:
            texts = [one.text for one in self._tree.holders]
            texts += [
                one.text
                for tag in self._by_tag
                for one in self._tree.index.record(f"struct {tag}", self._tree.roles.here)
            ]
            word = member[1]
        elif function is not None and words.isidentifier():
            texts, word = [function.text], words
        else:
            return self.embedded
        declared = re.compile(rb"\bstruct\s+(\w+)\s*\*\s*(?:const\s+)?%b\b" % word.encode())
        tags = {one.decode() for text in texts for one in declared.findall(strip_comments(text))}
        (tag,) = tags if len(tags) == 1 else ("",)
        return self._by_tag.get(tag, self.embedded)

    def _named(self, words: str, function: Definition | None, depth: int) -> frozenset[str]:
        """Return the contexts that an expression without blanks may be, by what is in it."""
        address = _ADDRESS.fullmatch(words)
        if address is not None and address[1] in self.embedded:
            return frozenset((address[1],))
        member = _MEMBER.fullmatch(words)
        if member is not None:
            if member[1] in self.embedded:
                return frozenset((member[1],))
            return self._selected.get(member[1], self.embedded)
        called = _CALLED.fullmatch(words)
        if function is not None and called is not None and depth <= MAX_CALLS:
            return self._returned(called[1], function.file, depth)
        if function is None or not words.isidentifier() or depth > MAX_CALLS:
            return self.embedded
        return self._variable(words, function, depth)

    def _returned(self, name: str, here: str, depth: int) -> frozenset[str]:
        """Return the contexts that a call of a function from a file may yield the address of."""
        index = self._tree.index
        found: set[str] = set()
        macros = index.macros(name, here)
        for one in macros:
            body = dense(one.text.decode("utf-8", "replace"))
            while _AROUND.fullmatch(body) is not None:
                body = body[1:-1]
            found |= self.contexts(body, None, depth + 1)
        if macros:
            return frozenset(found)
        functions = index.functions(name, here)
        for one in functions:
            values = _RETURN.findall(strip_comments(one.text))
            if one.kind != "function" or not values:
                return self.embedded
            for value in values:
                found |= self.contexts(value.decode("utf-8", "replace"), one, depth + 1)
        return frozenset(found) if functions else self.embedded

    def _variable(self, name: str, function: Definition, depth: int) -> frozenset[str]:
        body = strip_comments(function.text).partition(b"{")[2]
        spelt = re.escape(name.encode())
        stored = re.findall(rb"(?<![\w.>])" + spelt + rb"\s*=(?!=)\s*([^;,]*)[;,]", body)
        given = self._parameter(name, function, depth)
        if self._is_moved(name, function, re.sub(rb"\b%s\s*=(?!=)" % spelt, b"", body)):
            return self.embedded
        if not stored:
            return self.embedded if given is None else given
        values = [one.decode("utf-8", "replace") for one in stored]
        found = [self.contexts(one, function, depth + 1) for one in values]
        return frozenset().union(*found, given or ())

    def _is_moved(self, name: str, function: Definition, body: bytes) -> bool:
        """Tell whether a variable may be made to point elsewhere in the body of a function.

        By a store, an operator, whoever has its address, or a macro that it is given.
        """
        spelt = re.escape(name.encode())
        if re.search(_MOVED.replace(b"NAME", spelt), body):
            return True
        for found in re.finditer(rb"[(,]\s*%s\s*(?=[,)])" % spelt, body):
            opened = found.start() if found[0][:1] == b"(" else opening(body, found.start())
            callee = callee_before(body, opened, opened - _LEAD) if opened is not None else None
            if callee is None:
                if opened is None or body[:opened].rstrip().endswith(b'"'):
                    return True  # an operand of inline assembler
            elif callee[1] not in _READING and not callee[1].startswith(b"trace_"):
                spoken = callee[1].decode()
                macros = self._tree.index.macros(spoken, function.file)
                known = macros or self._tree.index.functions(spoken, function.file)
                lead = body[: callee.start()].rstrip()
                if not known and not lead.endswith((b"->", b".")):
                    return True
                before = body[opened + 1 : found.start()] if opened is not None else b""
                number = len(split_arguments(before.decode(errors="replace"))) if before else 0
                if not all(_follows(one, number) for one in macros):
                    return True
        return False

    def _parameter(self, name: str, function: Definition, depth: int) -> frozenset[str] | None:
        """Return the contexts that callers hand to a parameter; None where a name is none."""
        for number, one in enumerate(parameter_names(function)):
            if one == name:
                return self._handed(function, number, depth)
        return None

    def _handed(self, function: Definition, number: int, depth: int) -> frozenset[str]:
        """Return the contexts that callers hand to a parameter."""
        key = (function.key, number)
        return self._given.of(key, lambda: self._handed_by(function, number, depth))

    def _handed_by(self, function: Definition, number: int, depth: int) -> frozenset[str]:
        found: set[str] = set()
        is_called = False
        word = function.name.encode()
        for path in self._mentions.files:
            if word not in (self._tree.index.raw(path) or b""):
                continue
            file = self._tree.index.file(path)
            for at in places(file.data, word) if file is not None else ():
                assert file is not None
                around = _around(file, at)
                if not around and not _is_declared(file, at, len(word)):
                    found |= self.embedded  # in a table of functions
                for one in around:
                    is_called = is_called or one.key != function.key
                    call = _CALL.match(file.data, at + len(word))
                    given = split_arguments(call[1].decode(errors="replace")) if call else []
                    if number < len(given):
                        some = self.contexts(given[number], one, depth + 1)
                        found |= self._in_use(some, one, at - one.start, dense(given[number]))
                    else:
                        found |= self.embedded
        return frozenset(found) if is_called else self.embedded

    def _in_use(
        self, contexts: frozenset[str], function: Definition, at: int, given: str
    ) -> frozenset[str]:
        """Leave out the contexts that are not in use, or not GIVEN, where a byte is run."""
        if not contexts:
            return contexts
        root = self._tree.index.node(function)
        known = holding(root, at)
        left = contexts
        for use in self._tree.index.target.uses:
            if use.context in left and f"!{use.host}" in known and not is_own(root, use.host):
                self.taken[use.context] = use.text
                left -= {use.context}
        spelt = re.escape(given)
        body = strip_comments(function.text).partition(b"{")[2]
        if given.isidentifier() and not self._is_moved(given, function, body):
            for one in known:
                other = re.fullmatch(rf"{spelt}!=&[\w>.()-]*?(?:->|\.)(\w+)", one)
                if other is not None:
                    left -= {other[1]}
        return left

    def readers(
        self, name: str, below: tuple[str, ...]
    ) -> Iterator[tuple[Mention, frozenset[str]]]:
        """Yield the reads of a member, and the contexts of which they may read it."""
        for mention in self._mentions.of(name):
            if mention.kind != "read" or not _is_part(mention.below, below):
                continue
            if mention.reason == MEASURED or self._mentions.is_printed(mention):
                continue
            base = base_of(mention)
            if base is not None:
                yield mention, self.contexts(base, mention.function)

    def reads_of(self, name: str, below: tuple[str, ...], context: str) -> Iterator[Mention]:
        """Yield where a member of a context may be read."""
        for mention, contexts in self.readers(name, below):
            if context in contexts and not self._mentions.is_of_another(mention):
                yield mention


def _around(file: FileIndex, at: int) -> list[Definition]:
    """Return the function in whose body, or the macro in whose definition, a place is."""
    functions = [
        one
        for one in file.functions.get(file.function_at(at) or "", ())
        if one.start + one.text.find(b"{") < at < one.start + len(one.text)
    ]
    return functions or list(file.macros_around([at]))


def _follows(macro: Definition, number: int) -> bool:
    """Tell whether a macro does no more with one of its arguments than to take members by it."""
    given = macro.parameters or ()
    if number >= len(given) or given[number].endswith("..."):
        return False
    one = re.escape(given[number])
    left = re.sub(rf"\(?\s*\b{one}\s*\)?\s*->", "", macro.text.decode("utf-8", "replace"))
    return re.search(rf"\b{one}\b", left) is None


def _is_declared(file: FileIndex, at: int, length: int) -> bool:
    """Tell whether a name at file scope is declared, defined or exported there."""
    if file.is_blank(at) or file.data[at + length :][:80].lstrip().startswith(b"("):
        return True
    return _EXPORTED.search(file.data, max(0, at - 80), at) is not None


def base_of(mention: Mention) -> str | None:
    """Return the object whose member is mentioned, or the pointer to it, as it is spelt."""
    found = re.match(rf"(.*?)\s*(?:->|\.)\s*{re.escape(mention.name)}\b", mention.what)
    if found is None:
        return None
    base = found[1].strip()
    while base.startswith("(") and base.count("(") > base.count(")"):
        base = base[1:].strip()  # closed behind the member
    return base


def _is_part(read: tuple[str, ...], below: tuple[str, ...]) -> bool:
    """Tell whether what is read of a member may be a part of it."""
    shorter = min(len(read), len(below))
    return read[:shorter] == below[:shorter]
