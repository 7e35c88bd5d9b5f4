# SPDX-License-Identifier: GPL-2.0-only
"""Whether a name is, for the linker, that of what the text defines by it.

In: a text.  Out: where it says of a declaration what may make it stand for
something else: a label in assembler, an attribute or a pragma that is none of those which leave
it as it is.
And the names that assembler text knows, in which anything may be done with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchtool.c import brackets, library
from patchtool.c.index import Index
from patchtool.c.scan import WORDS, before
from patchtool.model import Place

_ASSEMBLER = re.compile(rb"\b(?:asm|__asm|__asm__)\s*(?=\()")
_JOINED = re.compile(rb'"\s*"')
_INSTRUCTIONS = re.compile(rb'"(?:[^"\\]|\\.)*[\s\\:;](?:[^"\\]|\\.)*"', re.S)
"""Text for the assembler that is no name."""
_STATEMENT = re.compile(rb"\b(?:asm|__asm|__asm__)(?:\s++\w++){0,4}\s*+(?=\()")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.S)
_ATTRIBUTE = re.compile(rb"\b(?:__attribute__|__attribute)\s*(?=\()")
_GIVEN = rb"\s*\((?:[^()]|\([^()]*\))*\)"
_ANNOTATIONS = (
    re.compile(rb"\)\s*(?:__\w+\s+)*(__\w+)%s(?:\s+__\w+)*\s*[;{=]" % _GIVEN),
    re.compile(rb"^(?:\w+[ \t]+)*?(__\w+)%s[ \t]+[A-Za-z_]" % _GIVEN, re.M),
)
"""What is given something, behind a declaration, or in front of one."""
_KNOWN = frozenset(
    b"__acquires __aligned __attribute__ __attribute __cond_acquires __counted_by __free"
    b" __must_hold __no_sanitize __printf __releases __scanf __section".split()
)
"""Annotations that are given something, and do no more."""

_PRAGMA = re.compile(rb"^[ \t]*#[ \t]*pragma\b[ \t]*([^\n]*)|\b_Pragma\s*\(\s*\"?([^\")]*)", re.M)
_HARMLESS_PRAGMA = re.compile(
    rb"once|message\b.*|pack\s*\(.*|(?:GCC|clang) (?:diagnostic|visibility|poison|unroll)\b.*"
)
"""What is warned of and exported, and how records are laid out, which is looked at elsewhere."""


def renamed(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield where a text may make a name that of something else, and how, functions included."""
    for found in _ASSEMBLER.finditer(data) if b"asm" in data else ():
        is_statement = before(data, found.start()).endswith((b";", b"{", b"}"))
        if not is_statement and _is_label(data, found.end()):
            yield found.start(), "a name is given another symbol here, by assembler text"
    for found in _ATTRIBUTE.finditer(data) if b"__attribute" in data else ():
        end = brackets.end_of(data, found.end())
        for name in library.attributes(data[found.end() : end]):
            if name not in library.ATTRIBUTES:
                yield found.start(), f"what the attribute {name.decode()} does is not looked up"
    for found in _PRAGMA.finditer(data) if b"ragma" in data else ():
        said = (found[1] or found[2] or b"").strip()
        if _HARMLESS_PRAGMA.fullmatch(said) is None:
            yield found.start(), f"#pragma {said.decode('utf-8', 'replace')} is not understood"
    for form in _ANNOTATIONS:
        for found in form.finditer(data):
            if found[1] not in _KNOWN:
                yield found.start(1), f"what {found[1].decode()}() says of a name is not looked up"


def assembled(index: Index) -> dict[bytes, Place]:
    """Return the words of all assembler text of the target, with the first place of each."""
    found: dict[bytes, Place] = {}
    for path in index.own_files:
        data = index.text(path) or b""
        for one in _STATEMENT.finditer(data) if b"asm" in data else ():
            inside = data[one.end() : brackets.end_of(data, one.end())]
            place = Place(path, data.count(b"\n", 0, one.start()) + 1)
            for word in b" ".join(_STRING.findall(inside)).translate(WORDS).split():
                found.setdefault(word, place)
    for path in index.source.walk(index.target.folder):
        if path.endswith((".S", ".s")):
            for number, line in enumerate(index.original(path).split(b"\n"), 1):
                for word in line.translate(WORDS).split():
                    found.setdefault(word, Place(path, number))
    return found


def _is_label(data: bytes, opened: int) -> bool:
    """Tell whether what assembler is given may be a name."""
    end = brackets.end_of(data, opened)
    words = _JOINED.sub(b"", data[opened:end])
    return _INSTRUCTIONS.search(words) is None
