# SPDX-License-Identifier: GPL-2.0-only
"""Records that hold contexts, handed on or stored to as a whole.

Who names neither a context nor a member of one can still change it, with all that is around: by
memset() or a copy over what holds it, or through a pointer of another type.  So every use of a
pointer to such a record, or of such a record within another, is followed by a member, is
compared, kept in a pointer of its type, copied from, or handed to a function that takes such a
pointer; anything else may change it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from patchtool.c.index import split_arguments
from patchtool.c.lower.calls import is_builtin
from patchtool.c.scan import Definition, places
from patchtool.c.syntax import names_of
from patchtool.model import Place
from patchtool.world.closure import in_directive
from patchtool.world.entries import Tree
from patchtool.world.mentions import Mentions

MAX_MACROS = 4
"""How deep macros are followed that are given such a pointer."""

_HEAD = re.compile(rb"\bstruct\s+(\w+)\s*\{")
_EXPRESSION = re.compile(rb"(?:\w+(?:\[[^\[\]]*\]|\([\w\s,&]*\))*\)*(?:->|\.))+\Z")
_CALLEE = re.compile(rb"(\w+)[\s(&]*\Z")
_TYPE = re.compile(rb"\((?:[\w\s]+)\**\s*\)\Z")
_COMPARED = (b"==", b"!=", b"!", b"?", b":", b"&&", b"||", b"<", b">", b";", b"{", b"}", b"else")
_TESTED = frozenset({b"if", b"while", b"for", b"switch", b"return", b"sizeof", b"typeof"})
_LONGEST = 400
_NEAR = 80
"""Bytes that are looked back at, for a call and for an expression."""


class Declared(NamedTuple):
    """What one text declares of such a record: pointers, functions, pointers to pointers."""

    variables: set[bytes]
    functions: set[bytes]
    twice: set[bytes]


class Holders:
    """The uses of whole records that hold contexts, in one tree."""

    def __init__(self, tree: Tree, mentions: Mentions) -> None:
        self._tree, self._index = tree, tree.index
        ours = self._index.target.ours
        self._files = [path for path in mentions.files if path.startswith(ours)]
        self._texts = {path: self._index.text(path) or b"" for path in self._files}
        self._callees: dict[bytes, str | None] = {}
        self._patterns: dict[bytes, re.Pattern[bytes]] = {}
        self._parameters: frozenset[bytes] = frozenset()
        """Those of the macro at hand: what it calls by one is what it is given."""

    def changes(self) -> Iterator[tuple[Place, Definition, str, str]]:
        """Yield where a record may be changed as a whole: place, function, context, reason."""
        tags, members = self._records
        if not tags:
            return
        named = {path: self._declared_in(data) for path, data in self._texts.items()}
        yielding = sorted(frozenset().union(*(one.functions for one in named.values())))
        for path, data in self._texts.items():
            for at, reason in self._reached(data, path, yielding, named[path].twice):
                yield from self._placed(path, data, at, reason)
            for name in sorted(named[path].variables | members):
                if name not in data:
                    continue
                found = [*self._judged(data, name, name in members, path)]
                found += self._given(data, name, path)
                for at, reason in found:
                    is_part = name in members and data[at - 1 : at] in (b".", b">")
                    if (
                        is_part
                        or self._is_variable(data, at, name)
                        or self._is_free(path, at, name)
                    ):
                        yield from self._placed(path, data, at, reason)

    def _declared_in(self, data: bytes) -> Declared:
        """Return what a text declares as pointers to such records, and how."""
        found = Declared(set(), set(), set())
        tags = b"|".join(sorted(self._records[0]))
        pattern = rb"struct\s+(?:%s)\s*\*\s*(?:const\s+)?(\*?)\s*(\w+)(?=\s*([,;=)(]))" % tags
        for star, name, mark in self._compiled(pattern).findall(data):
            kind = found.twice if star else found.functions if mark == b"(" else found.variables
            kind.add(name)
        return found

    def _reached(
        self, data: bytes, path: str, functions: list[bytes], twice: set[bytes]
    ) -> Iterator[tuple[int, str]]:
        """Yield where a call, or what a pointer TWICE leads to, stands in for a variable."""
        for name in functions:
            for at in places(data, name) if name in data else ():
                end = _closing(data, at + len(name))
                reason = self._why(data, at, end, False, path, 0) if end is not None else None
                if reason is not None:
                    yield at, reason
        for name in sorted(twice):
            for at in places(data, name):
                star = data.rfind(b"*", max(0, at - _NEAR), at)
                if star < 0 or data[star + 1 : at].strip():
                    continue
                reason = self._why(data, star, at + len(name), False, path, 0)
                if reason is not None:
                    yield at, reason

    def _is_free(self, path: str, at: int, name: bytes) -> bool:
        """Tell whether a macro names a variable of those who use it."""
        file = self._index.file(path) if in_directive(self._texts[path], at) else None
        around = list(file.macros_around([at])) if file is not None else []
        return bool(around) and all(name.decode() not in (m.parameters or ()) for m in around)

    def _placed(
        self, path: str, data: bytes, at: int, reason: str
    ) -> Iterator[tuple[Place, Definition, str, str]]:
        file = self._index.file(path)
        name = file.function_at(at) if file is not None else None
        for one in file.functions.get(name or "", ()) if file is not None else ():
            if one.start <= at < one.start + len(one.text):
                line = data.count(b"\n", 0, at) + 1
                yield Place(path, line, 1, one.name), one, "", reason
        if file is not None and name is None:
            line = data.count(b"\n", 0, at) + 1
            for one in file.macros_around([at]):
                yield Place(path, line, 1, one.name), one, "", reason

    @cached_property
    def _records(self) -> tuple[frozenset[bytes], frozenset[bytes]]:
        """Return the tags of the records that hold contexts, and their names within others."""
        tags = {self._index.target.host.encode()}
        members: set[bytes] = set()
        todo = list(tags)
        while todo:
            tag = todo.pop()
            held = re.compile(rb"struct %s\s+(\w+)\s*;" % re.escape(tag))
            for data in self._texts.values():
                for found in held.finditer(data) if b"struct " + tag in data else ():
                    start = data.rfind(b"\n}", 0, found.start())
                    heads = [m[1] for m in _HEAD.finditer(data, max(0, start), found.start())]
                    if heads:
                        members.add(found[1])
                        if heads[0] not in tags:
                            tags.add(heads[0])
                            todo.append(heads[0])
        return frozenset(tags), frozenset(members)

    @cached_property
    def _taking(self) -> frozenset[bytes]:
        """The functions, and members of tables, that take a pointer to such a record."""
        found: set[bytes] = set()
        for tag in self._records[0]:
            spelt = b"struct %s *" % tag
            first = re.compile(re.escape(spelt[::-1]) + rb"(?:tsnoc )?\(\s*\)?(\w+)")
            later = self._compiled(re.escape(spelt) + rb"(?<!\(%s)" % re.escape(spelt))
            for data in self._texts.values():
                if spelt not in data:
                    continue
                found.update(name[::-1] for name in first.findall(data[::-1]))
                for one in later.finditer(data):
                    opened = data.rfind(b"(", max(0, one.start() - _LONGEST), one.start())
                    callee = _CALLEE.search(data, max(0, opened - 80), opened + 1)
                    if opened >= 0 and callee is None:  # (*member)(...)
                        callee = _CALLEE.search(data[max(0, opened - 80) : opened].rstrip(b") \n"))
                    if callee is not None:
                        found.add(callee[1])
        return frozenset(found)

    def _compiled(self, pattern: bytes) -> re.Pattern[bytes]:
        found = self._patterns.get(pattern)
        if found is None:
            found = self._patterns[pattern] = re.compile(pattern)
        return found

    def _given(self, data: bytes, name: bytes, path: str) -> Iterator[tuple[int, str]]:
        """Yield where a pointer alone is given to what may change what it is to."""
        turned = re.escape(name[::-1])
        first = self._compiled(turned + rb"(?<=[,)]%s)\(\s*(\w+)" % turned)
        for callee in {one[::-1] for one in first.findall(data[::-1])}:
            reason = self._change(callee, 0, path)
            if reason is not None:
                call = re.compile(rb"\b" + re.escape(callee) + rb"\s*\(%s\s*[,)]" % re.escape(name))
                for one in call.finditer(data):
                    if not self._is_called_variable(data, one.start(), callee):
                        yield one.end() - 1, f"{name.decode()} {reason}"
        later = self._compiled(re.escape(name) + rb"(?<=, %s)\s*[,)]" % re.escape(name))
        for one in later.finditer(data):
            lead = data[max(0, one.start() - _LONGEST) : one.start()].rstrip()
            reason = self._handed(data, lead, one.start(), name.decode(), path, 0)
            if reason is not None:
                yield one.start(), reason

    def _is_variable(self, data: bytes, at: int, name: bytes) -> bool:
        """Tell whether a name is declared as such a pointer in the function around a place."""
        start = max(data.rfind(b"\n}", 0, at), 0)
        struct = rb"struct\s+(?:%s)\s*\*\s*(?:const\s+)?%s\b"
        tags = b"|".join(sorted(self._records[0]))
        return re.search(struct % (tags, re.escape(name)), data[start:at]) is not None

    def _is_called_variable(self, data: bytes, at: int, name: bytes) -> bool:
        """Tell whether what is called is a variable: it is declared with its types."""
        start = max(data.rfind(b"\n}", 0, at), 0)
        return len(list(places(data[start : at + len(name)], name))) > 1 and (
            re.search(rb"[\w*]\s*\b%s\s*[,);=]" % re.escape(name), data[start:at]) is not None
        )

    # -- what is done with one ---------------------------------------------------------------

    def _judged(
        self, data: bytes, name: bytes, is_member: bool, path: str, depth: int = 0
    ) -> Iterator[tuple[int, str]]:
        """Yield where a text may change what a name is, or is a pointer to, and how."""
        word = re.escape(name)
        behind = rb"\s*(?:->|\.)" if is_member else rb"\s*->"
        decl = b"".join(rb"(?<!struct %s \*%s)" % (tag, word) for tag in self._records[0])
        alone = rb"" if depth else rb"(?:(?<!\w\(%s)(?<!, %s)|(?!\s*[,)]))" % (word, word)
        site = self._compiled(word + rb"(?<![\w#]%s)(?!\w|%s)" % (word, behind) + decl + alone)
        for found in site.finditer(data):
            reason = self._why(data, found.start(), found.end(), is_member, path, depth)
            if reason is not None:
                yield found.start(), reason

    def _why(
        self, data: bytes, at: int, end: int, is_member: bool, path: str, depth: int
    ) -> str | None:
        """Say how a use of a record, or of a pointer to one, may change it; None if not."""
        lead = data[max(0, at - _LONGEST) : at].rstrip()
        what = data[at:end].decode("utf-8", "replace")
        is_part = lead.endswith((b"->", b"."))
        if is_part and not is_member:
            return None  # a pointer that a record holds is not followed
        if is_part:
            expression = _EXPRESSION.search(lead, max(0, len(lead) - _NEAR))
            lead = lead[: expression.start()].rstrip() if expression is not None else lead
            if self._is_other(data, at, expression[0] if expression is not None else b""):
                return None
        rest = data[end : end + 40].lstrip()
        if data.count(b'"', data.rfind(b"\n", 0, at) + 1, at) % 2:
            return None  # in a string
        while lead.endswith(b"(") and rest.startswith(b")") and not _is_call(lead):
            lead, rest = lead[:-1].rstrip(), rest[1:].lstrip()
        if rest.startswith(b"->"):
            return None
        return self._use(data, at, lead, rest, what, is_part, path, depth)

    def _use(
        self,
        data: bytes,
        at: int,
        lead: bytes,
        rest: bytes,
        what: str,
        is_part: bool,
        path: str,
        depth: int,
    ) -> str | None:
        is_stored = rest.startswith(b"=") and not rest.startswith(b"==")
        is_address = lead.endswith(b"&") and not lead.endswith(b"&&")
        if is_address:
            lead = lead[:-1].rstrip()
        near = lead[-_NEAR:]
        if rest.startswith(b"[") and (is_address or not is_part):
            return f"{what} is indexed"
        if lead.endswith(b"*") and not is_address:
            if re.search(rb"(?:\bstruct\s+\w+|const|\*)\s*\*\Z", near) is not None:
                return None  # a declaration
            inner = near[:-1].rstrip()
            if is_stored:
                return f"what {what} points to is stored to"
            if inner.endswith(b"="):
                return None  # copied from
            callee = _CALLEE.search(inner)
            if inner.endswith(b"(") and callee is not None and callee[1] in _TESTED:
                return None
            return f"what {what} points to is used as a whole"
        if is_stored and is_part and not is_address and not self._is_pointer(what, data):
            return f"{what} is stored to as a whole"
        if is_stored:
            return None
        if lead.endswith((b"(", b",")):
            is_whole = is_part and not is_address and not self._is_pointer(what, data)
            return self._handed(data, lead, at, what, path, depth, is_whole)
        if lead.endswith(b"{") and is_address:
            return f"the address of {what} is kept in a record"
        if lead.endswith(b"=") and not lead.endswith((b"==", b"!=")):
            return None if self._is_kept(near) else f"{what} is kept in another type"
        if lead.endswith(b")") and _TYPE.search(near) is not None:
            cast = _TYPE.search(near)
            assert cast is not None
            return None if self._is_ours(cast[0]) else f"{what} is taken for another type"
        if rest[:1] in (b"+", b"-") and not is_part:
            return f"{what} is moved"
        return None

    def _is_other(self, data: bytes, at: int, base: bytes) -> bool:
        """Tell whether a member is one of a record that holds no context."""
        name = re.match(rb"\(*(\w+)", base)
        if name is None:
            return False
        start = max(data.rfind(b"\n}", 0, at), 0)
        declared = re.findall(
            rb"struct\s+(\w+)\s*\**\s*(?:const\s+)?%s\b" % name[1], data[start:at]
        )
        steps = re.findall(rb"(?:->|\.)(\w+)", base)
        return bool(declared) and not steps and not self._records[0].intersection(declared)

    def _is_pointer(self, member: str, data: bytes) -> bool:
        """Tell whether a member of a name is declared as a pointer somewhere."""
        word = member.encode()
        return any(
            re.search(rb"struct\s+\w+\s*\*+\s*%s\s*;" % word, text) is not None
            for text in self._texts.values()
            if word in text
        )

    def _is_ours(self, text: bytes) -> bool:
        return any(re.search(rb"\bstruct\s+%s\b" % tag, text) for tag in self._records[0])

    def _is_kept(self, lead: bytes) -> bool:
        """Tell whether what a pointer is kept in is one to a record."""
        declared = re.search(rb"([\w\s]+?)(\**)\s*\b(\w+)\s*=\Z", lead)
        if declared is not None and declared[1].split():
            return bool(re.search(rb"\bstruct\s+\w+\s*\Z", declared[1].rstrip())) and bool(
                declared[2]
            )
        if re.search(rb"\)\s*\*+\s*\w+\s*=\Z", lead) is not None:
            return False  # of a type that typeof() gives
        return re.search(rb"[\w)\]]\s*=\Z", lead) is not None

    def _handed(
        self,
        data: bytes,
        lead: bytes,
        at: int,
        what: str,
        path: str,
        depth: int,
        is_whole: bool = False,
    ) -> str | None:
        """Say whether a call may take a pointer, or a WHOLE record, for something else."""
        opened, number = _opening(lead)
        callee = _CALLEE.search(lead, max(0, opened - 80), opened + 1) if opened >= 0 else None
        if callee is None:
            return None  # what is called is no name, and declared with its types
        if is_whole and callee[1] not in _TESTED:
            return f"{what} is given to {callee[1].decode()}() as a whole"
        reason = self._change(callee[1], number, path, depth)
        if reason is None or self._is_called_variable(data, at, callee[1]):
            return None
        return f"{what} {reason}"

    def _change(self, name: bytes, number: int, path: str, depth: int = 0) -> str | None:
        """Say how a call of some name may change what an argument points to."""
        if name in self._taking or name in _TESTED or name in self._parameters:
            return None
        key = name + b"/%d" % number
        if key not in self._callees:
            self._callees[key] = None
            self._callees[key] = self._taken(name.decode(), number, path, depth)
        return self._callees[key]

    def _taken(self, name: str, number: int, path: str, depth: int) -> str | None:
        target = self._index.target
        if name in names_of("pointer_keeper") | names_of("reading_macro") or name.startswith(
            "trace_"
        ):
            return None
        macros = self._index.macros(name, path)
        for macro in macros if depth < MAX_MACROS else ():
            given = macro.parameters or ()
            if number < len(given):
                outer, self._parameters = self._parameters, frozenset(n.encode() for n in given)
                used = self._judged(macro.text, given[number].encode(), False, path, depth + 1)
                reason = next(used, None)
                self._parameters = outer
                if reason is not None:
                    return f"is given to the macro {name}(), where {reason[1]}"
        if macros or name.isupper():
            return None
        if is_builtin(name, target) and name not in ("memset", "memcpy", "swap", "xchg"):
            return None
        for head in self._heads(name, path):
            listed = split_arguments(head.partition("(")[2].rpartition(")")[0])
            if number >= len(listed) or ("*" in listed[number] and "struct" not in listed[number]):
                return f"is given to {name}(), which takes no such pointer"
            return None
        if self._is_member(name) or name.startswith(target.calls):
            return None
        return f"is given to {name}(), of which no definition was found"

    def _heads(self, name: str, path: str) -> Iterator[str]:
        """Yield a function from its name on to its parameters, as it is defined or declared."""
        for one in self._index.functions(name, path):
            head = one.text.partition(b"{")[0].decode("utf-8", "replace")
            yield head[head.find(name) :]
            return
        word = name.encode()
        declared = re.compile(re.escape(word) + rb"\(([^;{}]*)\)")
        for text in self._texts.values() if name.startswith(self._index.target.calls) else ():
            for found in declared.finditer(text) if word in text else ():
                start = text.rfind(b"\n", 0, found.start()) + 1
                if text[start : start + 1].isalpha():
                    yield found[0].decode("utf-8", "replace")
                    return

    def _is_member(self, name: str) -> bool:
        """Tell whether a name is declared as a pointer to a function."""
        spelt = (b"(*%s)(" % name.encode(), b"(* %s)(" % name.encode())
        return any(one in text for text in self._texts.values() for one in spelt)


def _is_call(lead: bytes) -> bool:
    """Tell whether a parenthesis at the end of a text opens arguments."""
    before = lead[:-1].rstrip()
    return before.endswith((b")", b"]")) or before[-1:].isalnum() or before.endswith(b"_")


def _closing(data: bytes, at: int) -> int | None:
    """Return where the arguments of a call end that begin at a place, None where none do."""
    if data[at : at + 1] != b"(":
        return None
    depth = 0
    for end in range(at, min(len(data), at + _LONGEST)):
        depth += {40: 1, 41: -1}.get(data[end], 0)
        if depth == 0:
            return end + 1
    return None


def _opening(lead: bytes) -> tuple[int, int]:
    """Return where the call opens within which a text ends, and the number of the argument."""
    depth = number = 0
    for position in range(len(lead) - 1, -1, -1):
        mark = lead[position : position + 1]
        if mark in (b"(", b"{", b"["):
            if depth == 0:
                return (position, number) if mark == b"(" else (-1, 0)
            depth -= 1
        elif mark in (b")", b"}", b"]"):
            depth += 1
        elif mark == b"," and depth == 0:
            number += 1
        elif mark == b";" and depth == 0:
            return -1, 0
    return -1, 0
