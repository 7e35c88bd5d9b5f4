# SPDX-License-Identifier: GPL-2.0-only
"""What takes a pointer to a record, by how it is declared.

A record that is handed to a parameter of its type stays what it is; which record that is, the
compiler has checked.  Handed to a void pointer, a number or a type by another name it may be
taken for anything.  What is called is a function, or what a pointer of some declared type leads
to: a variable, a member, an element of an array, an operation that a macro is given by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from patchtool.c import brackets, library
from patchtool.c.index import Index, parameters, split_arguments
from patchtool.c.scan import places

_CALLED = re.compile(rb"[\s(*&]*((?:\w+\s*(?:->|\.)\s*)*)(\w+)\s*(?:\[[^\]]*\]\s*)?[\s)]*")
"""What is called by an expression: what it is a member of, and its name."""
_TO_FUNCTION = re.compile(rb"\(\s*\*\s*(?:const\s+)?(\w+)\s*(?:\[[^\]]*\]\s*)*\)\s*\(")

_MAKER = re.compile(
    rb"^[ \t]*#[ \t]*define[ \t]+(\w+)\([ \t]*(\w+)[ \t]*\)[ \t]+((?:\w+[ \t]*##[ \t]*)+)\2[ \t]*$",
    re.M,
)
"""A macro that puts words in front of the one that it is given."""


class Signatures:
    """The parameters of what some texts declare."""

    def __init__(self, index: Index, texts: Mapping[str, bytes]) -> None:
        self._index, self._texts = index, texts
        self._operations: dict[tuple[str, int], bool] = {}

    def of(self, name: str, path: str) -> list[list[str]]:
        """Return the parameters of what a name may call in a file; none of what is not known.

        Of a function as it is defined, or else declared; and of the pointers of that name.
        """
        functions = self._index.functions(name, path)
        found = [*map(parameters, functions), *self._pointers.get(name.encode(), ())]
        return found or [*self._declared(name.encode())] or [*self._made(name.encode())]

    def of_variable(self, text: bytes, at: int, name: bytes) -> list[list[str]] | None:
        """Return the parameters of what a variable may lead to that is declared with a typedef.

        None where none of the name is declared in front of a place.
        """
        start = max(text.rfind(b"\n}", 0, at), 0)
        declared = re.compile(rb"(?<!\.)(?<!->)\b([A-Za-z_]\w*)\s+%s\s*[,);=]" % re.escape(name))
        kinds = {*declared.findall(text, start, at)} - brackets.BEFORE
        return [one for kind in kinds for one in self._pointers.get(kind, [[]])] or None

    def expression_takes(self, text: bytes, closing: int, number: int, path: str) -> bool:
        """Tell whether all that an expression may call takes a pointer to a record.

        The expression ends with a parenthesis, or with an index.
        """
        opened = brackets.start_of(text, closing)
        if opened is None:
            return False
        inner = text[opened + 1 : closing]
        left = brackets.last_before(text, opened)
        word = brackets.word_before(text, left)
        if text[closing : closing + 1] == b"]":
            lead = brackets.start_of_member(text, left + 1 - len(word))
            return self._arm_takes(text[lead : left + 1], number, path)
        if not word:
            arms = re.split(rb"[?:]", inner)[1 if b"?" in inner else 0 :]
            return all(self._arm_takes(one, number, path) for one in arms)
        if self._is_dispatcher(word.decode(), path):
            return self._operation_takes(inner.strip().decode("utf-8", "replace"), number)
        made = text[left + 1 - len(word) : closing + 1]  # by a macro that makes the name
        return takes(self._declared(made), number)

    def _arm_takes(self, arm: bytes, number: int, path: str) -> bool:
        called = _CALLED.fullmatch(arm)
        if called is None:
            return False
        if called[1]:
            return takes(self._pointers.get(called[2], ()), number)
        return takes(self.of(called[2].decode(), path), number)

    def _operation_takes(self, name: str, number: int) -> bool:
        """Tell whether operations of a name take such a pointer, of one of several tables."""
        name = name.removeprefix(self._index.target.prefix)
        key = (name, number)
        if key not in self._operations:
            while name and name.encode() not in self._pointers:
                name = name.partition("_")[2]
            self._operations[key] = takes(self._pointers.get(name.encode(), ()), number)
        return self._operations[key]

    def _is_dispatcher(self, name: str, path: str) -> bool:
        """Tell whether a macro amounts to the operation that it is given by name."""
        known = library.dispatchers(self._index.target)
        return name in known or any(
            re.search(rb"\b%s\(" % one.encode(), macro.text)
            for macro in self._index.macros(name, path)
            for one in known
        )

    def _declared(self, spelt: bytes) -> Iterator[list[str]]:
        """Yield the parameters of functions of a name, or of what a macro makes of some words."""
        for text in self._texts.values():
            for at in places(text, spelt) if spelt in text else ():
                start = text.rfind(b"\n", 0, at) + 1
                opened = brackets.first_from(text, at + len(spelt))
                end = brackets.end_of(text, opened) if text[opened : opened + 1] == b"(" else None
                if end is not None and text[start : start + 1].isalpha():
                    yield split_arguments(text[opened + 1 : end - 1].decode("utf-8", "replace"))

    def _made(self, name: bytes) -> Iterator[list[str]]:
        """Yield the parameters of functions whose name a macro makes of its argument."""
        for lead, macro in self._makers:
            if name.startswith(lead):
                yield from self._declared(b"%s(%s)" % (macro, name[len(lead) :]))

    @cached_property
    def _makers(self) -> list[tuple[bytes, bytes]]:
        """What macros put in front of the name that they are given, and the names of these."""
        return [
            (b"".join(re.findall(rb"\w+", one[3])), one[1])
            for text in self._texts.values()
            if b"##" in text
            for one in _MAKER.finditer(text)
        ]

    @cached_property
    def _pointers(self) -> Mapping[bytes, list[list[str]]]:
        """The parameters of what is declared as a pointer to a function, or as many of them."""
        found: dict[bytes, list[list[str]]] = {}
        for text in self._texts.values():
            for one in _TO_FUNCTION.finditer(text):
                end = brackets.end_of(text, one.end() - 1)
                left = brackets.last_before(text, one.start())
                lead = brackets.word_before(text, left)
                is_call = not lead and text[left : left + 1] != b"*"
                if end is not None and not is_call and lead not in brackets.BEFORE:
                    listed = text[one.end() : end - 1].decode("utf-8", "replace")
                    found.setdefault(one[1], []).append(split_arguments(listed))
        return found


def takes(lists: Iterable[list[str]], number: int) -> bool:
    """Tell whether all of some lists of parameters have a pointer to a record at a place.

    What is declared with fewer parameters, or with none, is something else of that name.
    """
    found = [one for one in lists if not _is_shorter(one, number)]
    return bool(found) and all(
        number < len(one) and "*" in one[number] and "struct" in one[number] for one in found
    )


def _is_shorter(listed: list[str], number: int) -> bool:
    """Tell whether a list of parameters, which is known, ends in front of a place."""
    if [one.strip() for one in listed] == ["void"]:
        return True
    return 0 < len(listed) <= number and all(one.strip(" .\t\n") for one in listed)
