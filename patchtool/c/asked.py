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

from patchtool.c import library
from patchtool.c.index import Index, calls
from patchtool.c.scan import Definition

_MOST = 64
"""How many functions are looked into for a store, to answer for one."""
_LONGEST = 200
"""Bytes that are looked back at, for the beginning of a statement."""
_STORE = re.compile(rb"([\w\])]?)\s*(?:(?<![=!<>])(?:[-+|&^*/%]|<<|>>)?=(?!=)|\+\+|--)")
_LOCAL = re.compile(rb"[;{}(]\s*(?:[A-Za-z_]\w*[\s*]+)*[A-Za-z_]\w*\s*\Z")
"""What stands in front of a store to a variable: a statement that begins with it."""
_STORELESS = re.compile(f"{library.PURE.pattern}|{library.AT_BUILD.pattern}")
"""What is known for storing nothing, where the target itself does not define it."""
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
    """Tell whether a function, and all that it calls, stores to its own variables alone.

    What is called has to be found, or be known for storing nothing.
    """
    todo, seen = [function], {function.key}
    while todo and len(seen) <= _MOST:
        one = todo.pop()
        body = one.text[one.text.find(b"{") :] if one.kind == "function" else one.text
        for store in _STORE.finditer(body):
            begin = max(0, store.end(1) - _LONGEST)
            is_local = one.kind == "function" and store[1]
            if not is_local or _LOCAL.search(body, begin, store.end(1)) is None:
                return False
        for name in calls(body):
            found = (*index.functions(name, one.file), *index.macros(name, one.file))
            if not any(index.target.owns(each.file) for each in found):
                if _STORELESS.fullmatch(name) or name in library.READING:
                    continue
            if not found:
                return False
            todo += (each for each in found if each.key not in seen)
            seen.update(each.key for each in found)
    return not todo
