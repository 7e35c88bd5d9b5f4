# SPDX-License-Identifier: GPL-2.0-only
"""What names a function or a macro: other functions and macros, or text at file scope.

In: an index, the files to look in, a definition.  Out: each place, and the definition around it;
none where it stands at file scope.  What only declares or exports it there is left out, and
so is the definition itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from patchtool.c import syntax
from patchtool.c.index import Index, is_static
from patchtool.c.scan import Definition, FileIndex, before, opens_line, places, strip_comments
from patchtool.c.syntax import Node, text
from patchtool.model import Place

_PROTOTYPE = re.compile(rb"\s*\([^;{}=]*\)[^;{}=()]*(?:__\w+\s*(?:\([^()]*\)\s*)?)*;")
_EXPORTED = re.compile(rb"\b(?:EXPORT_\w+|STACK_FRAME_NON_STANDARD\w*|BTF_ID\w*)\s*\([\w\s,]*\Z")
_OTHER = re.compile(rb"(?:\b(?:struct|union|enum)|\.|->)\Z")
"""What stands before a tag or a member, which may have the name of a function."""
_SAID = re.compile(rb"\b[A-Za-z_]\w*")
_NO_WARNING = frozenset((b"__maybe_unused", b"__always_unused", b"__always_inline", b"__inline"))
_LEAD = 80


def users(
    index: Index, files: Iterable[str], function: Definition
) -> Iterator[tuple[Place, Definition | None]]:
    """Yield what names a function or macro in some files: others, or None for no function."""
    index.watch(function.name)
    word = function.name.encode()
    alone = is_static(function) and function.file.endswith(".c")
    if alone:  # what is compiled with it may call it, and nothing else
        together = index.compiled_with(function.file)
        others = (path for path in files if path in together and path != function.file)
        files = (function.file, *others)
    for path in files:
        if word not in index.words_in(path):
            continue
        file = index.file(path)
        for at in places(file.data, word) if file is not None else ():
            assert file is not None
            place = Place(path, file.line(at))
            if file.function_at(at) is not None:
                for one in file.functions_around(at):
                    is_itself = one.key == function.key or (
                        one.name == function.name and file.data.find(b"{", one.start) > at
                    )
                    if not is_itself and word in strip_comments(one.text):
                        yield place, one
                continue
            if path != function.file and _OTHER.search(before(file.data, at)) is not None:
                continue
            macros = list(file.macros_around([at]))
            if macros:
                named = (one for one in macros if function.name not in (one.parameters or ()))
                yield from ((place, one) for one in named if one.name != function.name)
            elif not _is_harmless(file, at, len(word)):
                yield place, None


def is_idle(index: Index, files: Iterable[str], function: Definition) -> bool:
    """Tell whether nothing can run a function: it is one of its file alone, and nothing names it.

    Not even to declare it; and nothing is said of it but that the compiler need not warn.
    """
    index.watch(function.name)
    head, word = function.text.partition(b"{")[0], function.name.encode()
    # A header outside of the target's folder may be taken in by others than the text.
    is_ours = function.file.endswith(".c") or index.target.owns(function.file)
    if function.kind != "function" or not is_static(function) or not is_ours:
        return False
    said = {*_SAID.findall(strip_comments(head))} - _NO_WARNING - {word}
    if b"#" in head or any(one[:2] == b"__" or _is_macro(index, one, function) for one in said):
        return False
    here = index.text(function.file) or b""
    if any(not function.holds(at) for at in places(here, word)):
        return False  # most are called there, and no other file has to be read
    return not any(word in index.words_in(path) for path in files if path != function.file)


def _is_macro(index: Index, word: bytes, function: Definition) -> bool:
    return bool(index.macros(word.decode(), function.file))


def _is_harmless(file: FileIndex, at: int, length: int) -> bool:
    """Tell whether a name at file scope is declared or exported there, and no more."""
    data = file.data
    if _EXPORTED.search(data, max(0, at - _LEAD), at) is not None:
        return True
    if _PROTOTYPE.match(data, at + length) is None:
        return False
    start = max(data.rfind(mark, 0, at) for mark in (b";", b"}", b"\n\n"))
    lead = data[start + 1 : at]
    return opens_line(data, at) or re.search(rb"[\w*]\s*\Z", lead) is not None


def calls_of(root: Node, name: str) -> list[Node] | None:
    """Return the calls of a name in a function; None where it stands for something else."""
    found: list[Node] = []
    for leaf in syntax.descendants(root):
        if leaf.named_children or text(leaf) != name or _is_its_own(leaf, root):
            continue
        here: Node | None = leaf
        while here is not None and here.parent is not None:
            outer = here.parent
            if outer.type == "call_expression" and outer.child_by_field_name("function") == here:
                found.append(outer)
                break
            if outer.type not in (
                "argument_list", "call_expression", "parenthesized_expression", "field_expression"
            ):  # fmt: skip
                return None
            here = outer
    return found


def _is_its_own(leaf: Node, root: Node) -> bool:
    """Tell whether a name is that of the function itself: of another one, under other options."""
    here = leaf
    while here.parent is not None and here.parent.type.endswith("declarator"):
        if here.parent.child_by_field_name("declarator") != here:
            return False
        here = here.parent
    return here != leaf and here.parent == syntax.function(root)
