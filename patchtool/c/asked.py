# SPDX-License-Identifier: GPL-2.0-only
"""Which functions tell what the CPU of one guest, or of the host, has.

Some are known by name.  Any other function of the target is one as well if it is given what a
guest is known by and a feature, answers by a number, and stores to nothing but variables of its
own, nor does what it calls there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from patchtool.c import library
from patchtool.c.index import Index, calls
from patchtool.c.scan import Definition, before

_MOST = 64
"""How many functions are looked into for a store, to answer for one."""
_LONGEST = 200
"""Bytes that are looked back at, for the beginning of a statement."""
_STORE = re.compile(rb"([\w\])]?)\s*(?:(?<![=!<>])(?:[-+|&^*/%]|<<|>>)?=(?!=)|\+\+|--)")
_LOCAL = re.compile(rb"[;{}(]\s*(?:[A-Za-z_]\w*[\s*]+)*[A-Za-z_]\w*\s*\Z")
"""What stands in front of a store to a variable: a statement that begins with it."""
_STORELESS = re.compile(f"{library.PURE.pattern}|{library.AT_BUILD.pattern}")
"""What is known for storing nothing, where the target itself does not define it."""
_COMPARED = re.compile(rb"\s*(?:[=!]=|&&|\|\||\))")
_COMPARED_WITH = re.compile(rb"[=!]=\Z")
_VALUED = re.compile(rb"(?<![\w*])(?:bool|int|unsigned|long|u8|u16|u32|u64)\s+\w+\s*\(")


def asked(
    index: Index, name: str, here: str, given: Sequence[str]
) -> Literal["guest", "host"] | None:
    """Tell of whose CPU a function tells something that is called with some arguments."""
    registers = index.target.registers
    if re.fullmatch(registers.guest_queries, name):
        return "guest"
    if re.fullmatch(registers.host_queries, name):
        return "host"
    if len(given) != 2 or re.fullmatch(registers.tables.feature, given[1]) is None:
        return None
    handle = b"struct %s *" % index.target.handle.encode()
    is_told = all(handle in _head(one) for one in index.functions(name, here))
    return "guest" if is_told and only_answers(index, name, here) else None


def only_answers(index: Index, name: str, here: str) -> bool:
    """Tell whether a function of the target answers by a number, and stores to nothing."""
    found = index.functions(name, here)
    return bool(found) and all(
        index.target.owns(one.file)
        and _VALUED.search(_head(one)) is not None
        and _stores_nothing(index, one)
        for one in found
    )


def only_compares(index: Index, callee: str, text: bytes, at: int, length: int) -> bool:
    """Tell whether a word is one side of a comparison that is a condition, or checked.

    CALLEE is what stands in front of the parenthesis around it.
    """
    is_asked = callee in ("if", "while") or library.is_check(callee, index.target)
    if not is_asked and library.AT_BUILD.fullmatch(callee) is None:
        return False
    behind = _COMPARED.match(text, at + length)
    return behind is not None or _COMPARED_WITH.search(before(text, at)) is not None


def _head(one: Definition) -> bytes:
    return one.text.partition(b"{")[0]


def reached(
    index: Index, starts: Iterable[Definition], is_known: Callable[[str, Definition], bool]
) -> Iterator[Definition | None]:
    """Yield some functions and all that they call, macros too; None where that is not all.

    IS_KNOWN tells of a name that the target does not define, and of who calls it, whether
    nobody has to look into what is called; else that has to be found.
    """
    todo = list(starts)
    seen = {one.key for one in todo}
    while todo:
        if len(seen) > _MOST:
            yield None
            return
        one = todo.pop()
        yield one
        for name in sorted(calls(_body(one))):
            found = (*index.functions(name, one.file), *index.macros(name, one.file))
            if not any(index.target.owns(each.file) for each in found) and is_known(name, one):
                continue
            if not found:
                yield None
            todo += (each for each in found if each.key not in seen)
            seen.update(each.key for each in found)


def _body(one: Definition) -> bytes:
    return one.text[one.text.find(b"{") :] if one.kind == "function" else one.text


def _stores_nothing(index: Index, function: Definition) -> bool:
    """Tell whether a function, and all that it calls, stores to its own variables alone."""

    def is_known(name: str, _: Definition) -> bool:
        return (
            _STORELESS.fullmatch(name) is not None
            or name in library.READING
            or library.is_check(name, index.target)
        )

    return all(one is not None and not _stores(one) for one in reached(index, [function], is_known))


def _stores(one: Definition) -> bool:
    """Tell whether a function, or a macro, stores to more than variables of its own."""
    body = _body(one)
    for store in _STORE.finditer(body):
        is_local = one.kind == "function" and store[1]
        begin = max(0, store.end(1) - _LONGEST)
        if not is_local or _LOCAL.search(body, begin, store.end(1)) is None:
            return True
    return False
