# SPDX-License-Identifier: GPL-2.0-only
"""Which functions tell what the CPU of one guest, or of the host, has.

Some are known by name.  Any other function of the target is one as well if it is given what a
guest is known by and a feature, answers by a number, and stores to nothing but variables of its
own, nor does what it calls there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from patchtool.c.index import Index
from patchtool.c.scan import Definition

_MOST = 64
"""How many functions are looked into for a store, to answer for one."""
_LONGEST = 200
"""Bytes that are looked back at, for the beginning of a statement."""
_STORE = re.compile(rb"([\w\])]?)\s*(?:(?<![=!<>])(?:[-+|&^*/%]|<<|>>)?=(?!=)|\+\+|--)")
_LOCAL = re.compile(rb"[;{}(]\s*(?:[A-Za-z_]\w*[\s*]+)*[A-Za-z_]\w*\s*\Z")
"""What stands in front of a store to a variable: a statement that begins with it."""
_CALLED = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
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
    found = index.functions(name, here)
    is_query = bool(found) and all(
        index.target.owns(one.file)
        and handle in (head := one.text.partition(b"{")[0])
        and _VALUED.search(head) is not None
        and _stores_nothing(index, one)
        for one in found
    )
    return "guest" if is_query else None


def _stores_nothing(index: Index, function: Definition) -> bool:
    """Tell whether a function, and what it calls, stores to its own variables alone."""
    todo, seen = [function], {function.key}
    while todo:
        one = todo.pop()
        body = one.text[one.text.find(b"{") :]
        for store in _STORE.finditer(body):
            begin = max(0, store.end(1) - _LONGEST)
            if not store[1] or _LOCAL.search(body, begin, store.end(1)) is None:
                return False
        for name in set(_CALLED.findall(body.decode("utf-8", "replace"))):
            called = [each for each in index.functions(name, one.file) if each.key not in seen]
            seen.update(each.key for each in called)
            todo += (each for each in called if index.target.owns(each.file))
        if len(seen) > _MOST:
            return False
    return True
