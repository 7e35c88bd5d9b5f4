# SPDX-License-Identifier: GPL-2.0-only
"""List the outermost items of a C file in one pass over its text.

In: the bytes of a file.  Out: its functions, macros, records and initialised objects as
text with line and the ``#if`` conditions that are not decided.  Nothing is parsed: only
braces, strings, comments and directives count, so that an unreadable function elsewhere
does no harm.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import itemgetter
from typing import NamedTuple

from patchtool.target.record import NO_OPTIONS, Options

_TOKEN = re.compile(
    rb"/\*.*?(?:\*/|\Z)"
    rb"|//(?:[^\n\\]|\\.)*"
    rb'|"(?:[^"\\\n]++|\\.)*+"'
    rb"|'(?:[^'\\\n]++|\\.)*+'"
    rb"|\{|\}"
    rb"|\#(?:[^\n\\/]+|\\.|/\*.*?\*/|/)*",
    re.S,
)
_PLAIN_FUNCTION = re.compile(
    rb"(?:[^;{}#\"'/]*+;)*+\s*+"  # what ends in front of it, as a declaration
    rb"((?:\w++[\s*]++)++([A-Za-z_]\w*+)\([^;{}#\"'/()]*+\))\s*+\{"
)
_DIRECTIVE = re.compile(rb"#(?:[ \t]|\\\n)*+(\w+)[ \t]*(.*)", re.S)
_LINE_OF_CPP = re.compile(rb"\#(?:[^\n\\]+|\\.)*", re.S)
_TAKING_IN = (b"include", b"include_next", b"import")
_DEFINE = re.compile(rb"#(?:[ \t]|\\\n)*+define(?:[ \t]|\\\n)++(\w+)")
_DEFINED_NEXT = re.compile(rb"\s*+" + _DEFINE.pattern)
_MACRO = re.compile(rb"(\([^)]*\))?(?:[ \t]|\\\n|$)*(.*)", re.S)
_COMMENT = re.compile(rb"/(?:\*[^*]*(?:\*(?!/)[^*]*)*(?:\*/|\Z)|/(?:[^\n\\]|\\.)*)", re.S)
_STRING_OR_COMMENT = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"|' + _COMMENT.pattern, re.S)
_CONFIGURED = re.compile(r"(?:defined|(IS_ENABLED))\s*\(?\s*(\w+)\s*\)?")
_QUOTED_COMMENT = re.compile(rb'"(?:[^"\\\n/]|\\[^/]|\\(?=/)|/(?![/*]))*/[/*]', re.S)
"""What may be the mark of a comment inside a string."""
WORDS = bytes(i if re.match(rb"\w", bytes((i,))) else 0x20 for i in range(256))
"""A table for ``translate`` that leaves the words of a text, apart from one another."""
_WORD_BYTES = frozenset(bytes((i,)) for i in WORDS if i != 0x20)
_ARGUMENTS_AND_BODY = re.compile(rb"\s*+\([^;{})]*+\)[^;{}]*+\{")
_SPACED_BACKWARDS = re.compile(rb"\(\s+(\w+)")
_BEFORE_OPERANDS = frozenset(bytes((one,)) for one in b"(!&|,=<>+-?:~^%[")
_CALLEE = re.compile(rb"(\w+)\s*\Z")
_LONGEST_BLANK = 200
_BLOCK = 4_096
"""Bytes of which the lines are counted at once."""
LONGEST_CHAIN = 64
"""Branches of one ``#if`` of which later ones remember that they do not hold."""
_SPLICE = b"\\\n"
_CONTINUED = re.compile(rb"(?:[^\n]*\\\n)+[^\n]*")
"""A line that goes on in the next ones."""
_SPLIT = re.compile(rb"((?<!\s)(?:\\\n[^\s\\]+)+)")
"""Tokens that go on in the next line."""
_SPLITS = re.compile(rb"\\\n(?<!\s\\\n)[^\s\\]")
"""Where one does; begins with what is looked for at once."""
_OUTSIDE = re.compile(rb'//.*|"(?:[^"\\]|\\.)*"|(?:\\\n[^\s\\"]*)+', re.S)
_BLANK = bytes(10 if i == 10 else 32 for i in range(256))
_RECORD = re.compile(
    rb"\b(struct|union|enum)\s+(?:__attribute__\s*\(\(.*?\)\)\s*|__\w+\s+)*(\w+)"
    rb"(?:\s+__\w+(?![\w(])|\s+__(?:aligned|attribute__|section)\s*\((?:[^()]|\([^()]*\))*\))*\s*$"
)
_OBJECT = re.compile(rb"\b(\w+)\s*(?:\[[^\]]*\]\s*)*(?:__\w+(?:\([^)]*\))?\s*)*=\s*$")
_POINTERS = re.compile(
    rb"\(\s*\*\s*(?:const\s+)?(\w+)\s*(?:\[[^\]]*\]\s*)*\)\s*\((?:[^()]|\([^()]*\))*\)\s*=\s*$"
)
"""The same for a pointer to functions, or an array of such."""
_ENUM = re.compile(rb"\benum\s*$")
_MAKER = re.compile(
    rb"DEFINE_\w+\((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*\)\s*\n\s*"
    rb"(?=\w++[\s*]++\w|DEFINE_\w+\()"
)
"""What defines something, and ends on its line, in front of a function or of another."""
_HEAD = re.compile(rb"\b([A-Za-z_]\w*)\s*\(")


Conditions = tuple[tuple[str, bool], ...]
"""What the lines around a place ask for, each with the truth under which that is compiled."""


class Definition(NamedTuple):
    """One definition as it stands in a file.

    ``text`` begins at byte ``start`` and has inactive ``#if`` branches blanked out, so
    that lines and columns stay true; ``conditions`` are those that remain open, each
    with the truth under which this definition is the one compiled.
    """

    kind: str
    name: str
    file: str
    line: int
    start: int
    text: bytes
    conditions: Conditions = ()
    parameters: tuple[str, ...] | None = None
    generated: bool = False

    @property
    def key(self) -> tuple[str, str, int]:
        """A name that tells this definition from all others of the tree."""
        return (self.file, self.name, self.start)

    def holds(self, offset: int) -> bool:
        """Tell whether a byte of its file is one of its own."""
        return self.start <= offset < self.start + len(self.text)


class Define(NamedTuple):
    """One ``#define``: where it begins, where what follows the name does, and the end."""

    start: int
    body: int
    end: int
    conditions: Conditions


class FileIndex:
    """The outermost items of one file, by name."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path, self.data = path, data
        self.functions: dict[str, list[Definition]] = {}
        self.records: dict[str, list[Definition]] = {}
        self.objects: dict[str, list[Definition]] = {}
        self.enums: list[Definition] = []
        self.spans: list[tuple[int, int, str]] = []
        self.bodies: list[tuple[int, int]] = []
        self.defines: dict[str, list[Define]] = {}
        self.includes: dict[int, Conditions | None] = {}
        """Where a file is taken in under conditions that remain open, and which; None: never."""
        self.blanks: list[tuple[int, int]] = []
        """What no build compiles, sorted by where it begins."""
        self.balanced = True
        self._macros: dict[str, list[Definition]] = {}
        self._enumerators: dict[bytes, list[Definition]] | None = None
        self._lines = [1]
        """The number of the line in which each block begins, as far as was asked for."""

    def macros(self, name: str) -> list[Definition]:
        """Return the definitions of a macro; most of a header's are never asked for."""
        known = self._macros.get(name)
        if known is None:
            known = [self._macro(name, one) for one in self.defines.get(name, ())]
            self._macros[name] = known
        return known

    def _macro(self, name: str, define: Define) -> Definition:
        found = _MACRO.fullmatch(self.data[define.body : define.end])
        assert found is not None
        parameters = None
        if found[1] is not None:
            inner = found[1][1:-1].replace(b"\\\n", b" ").decode("utf-8", "replace")
            parameters = tuple(p.strip() for p in inner.split(",") if p.strip())
        text = strip_comments(found[2]).replace(b"\\\n", b" \n").rstrip()
        line = self.line(define.start)
        return Definition(
            "macro", name, self.path, line, define.start, text, define.conditions, parameters
        )

    def macros_around(self, offsets: list[int]) -> Iterator[Definition]:
        """Yield the macros around some places of the file, which are sorted."""
        for name, defines in self.defines.items():
            for number, define in enumerate(defines):
                at = bisect_left(offsets, define.body)
                if at < len(offsets) and offsets[at] < define.end:
                    yield self.macros(name)[number]

    def enumerators(self, name: bytes) -> list[Definition]:
        """Return the enumerations that mention a name."""
        if self._enumerators is None:
            self._enumerators = {}
            for one in self.enums:
                for word in set(strip_comments(one.text).translate(WORDS).split()):
                    self._enumerators.setdefault(word, []).append(one)
        return self._enumerators.get(name, [])

    def line(self, offset: int) -> int:
        """Return the number of the line around a byte."""
        known, block = self._lines, offset // _BLOCK
        while len(known) <= block:
            start = (len(known) - 1) * _BLOCK
            known.append(known[-1] + self.data.count(b"\n", start, start + _BLOCK))
        return known[block] + self.data.count(b"\n", block * _BLOCK, offset)

    def offset(self, line: int, column: int) -> int:
        """Return the byte at a column of a line; both are counted from 1."""
        start = 0
        for _ in range(line - 1):
            start = self.data.find(b"\n", start) + 1
        return start + column - 1

    def is_blank(self, offset: int) -> bool:
        """Tell whether a byte is never compiled."""
        at = bisect_right(self.blanks, (offset, len(self.data))) - 1
        return at >= 0 and offset < self.blanks[at][1]

    def in_body(self, offset: int) -> bool:
        """Tell whether a byte lies between the braces of a function."""
        at = bisect_right(self.bodies, (offset,)) - 1
        return at >= 0 and offset < self.bodies[at][1]

    def file_scope(self) -> Iterator[bytes]:
        """Yield what stands between functions."""
        at = 0
        for start, end, _ in self.spans:
            yield self.data[at:start]
            at = end
        yield self.data[at:]

    def function_at(self, offset: int) -> str | None:
        """Return the name of the function around a byte, None at file scope."""
        at = bisect_right(self.spans, offset, key=itemgetter(0)) - 1
        if at < 0 or offset >= self.spans[at][1]:
            return None
        return self.spans[at][2]

    def functions_around(self, offset: int) -> list[Definition]:
        """Return the functions around a byte; build options may make it more than one."""
        named = self.functions.get(self.function_at(offset) or "", ())
        return [one for one in named if one.holds(offset)]

    def objects_around(self, offset: int) -> Iterator[Definition]:
        """Yield the objects of file scope in whose definition a byte lies."""
        return (one for group in self.objects.values() for one in group if one.holds(offset))


def opens_line(data: bytes, at: int) -> bool:
    """Tell whether nothing but blanks stands before a place in its line."""
    return not data[data.rfind(b"\n", 0, at) + 1 : at].strip()


def first_of_line(data: bytes, at: int) -> int:
    """Return where the line around a place begins, back over the lines that it continues."""
    start = data.rfind(b"\n", 0, at) + 1
    while start > 1 and data[start - 2 : start - 1] == b"\\":
        start = data.rfind(b"\n", 0, start - 1) + 1
    return start


def callee_before(text: bytes, at: int, start: int = 0) -> re.Match[bytes] | None:
    """Find the word in front of a place, as of what is called where a parenthesis opens."""
    return _CALLEE.search(text, max(0, start), at)


def inside_word(text: bytes, at: int) -> bool:
    """Tell whether a match begins in the middle of a word."""
    return at > 0 and text[at - 1 : at] in _WORD_BYTES


def places(text: bytes, word: bytes) -> Iterator[int]:
    """Yield where a text holds a word, whole."""
    find, length, inside = text.find, len(word), _WORD_BYTES
    at = find(word)
    while at >= 0:
        end = at + length
        if text[end : end + 1] not in inside and (not at or text[at - 1 : at] not in inside):
            yield at
        at = find(word, end)


def before(text: bytes, at: int) -> bytes:
    """Return the end of what stands before a place, blanks in between aside."""
    return text[max(0, at - _LONGEST_BLANK) : at].rstrip()


def spaced_calls(text: bytes) -> frozenset[bytes]:
    """Return the words that stand in front of blanks and a parenthesis."""
    return frozenset(word[::-1] for word in _SPACED_BACKWARDS.findall(text[::-1]))


def may_define(text: bytes, name: bytes, is_spaced: bool = True) -> bool:
    """Tell whether a text may hold the body of a function, rather than calls alone.

    So may what has a brace behind its parentheses and is no part of an expression.  A name
    that is SPACED may be apart from its parentheses somewhere.
    """
    found = places(text, name) if is_spaced else _heads(text, name)
    return any(
        _ARGUMENTS_AND_BODY.match(text, at + len(name)) is not None
        and before(text, at)[-1:] not in _BEFORE_OPERANDS
        for at in found
    )


def _heads(text: bytes, name: bytes) -> Iterator[int]:
    """Yield where a text holds a name right in front of a parenthesis."""
    head = name + b"("
    at = text.find(head)
    while at >= 0:
        if not inside_word(text, at):
            yield at
        at = text.find(head, at + len(head))


def unspliced(data: bytes) -> bytes:
    """Return a text in which no word or operator goes on behind a line that ends in a backslash.

    What goes on is moved in front of the end of the line, so that lengths and the number of
    lines stay.  Outside of directives, comments and strings the backslash becomes a blank.
    """
    found: list[bytes] = []
    done, at = 0, data.find(_SPLICE)
    while at >= 0:
        line = _CONTINUED.match(data, data.rfind(b"\n", 0, at) + 1)
        assert line is not None
        text, at = line[0], data.find(_SPLICE, line.end())
        if not text.lstrip().startswith(b"#"):
            text = _OUTSIDE.sub(_unspliced, text)
        elif _SPLITS.search(text) is not None:
            text = _SPLIT.sub(lambda split: split[1].replace(_SPLICE, b"") + _ends(split[1]), text)
        else:
            continue
        found += data[done : line.start()], text
        done = line.end()
    return b"".join((*found, data[done:])) if done else data


def _unspliced(found: re.Match[bytes]) -> bytes:
    """Move the ends of lines behind what they split; a comment or a string stays as it is."""
    if found[0].startswith((b"//", b'"')):
        return found[0]
    return found[0].replace(_SPLICE, b"") + _ends(found[0]).replace(_SPLICE, b" \n")


def _ends(text: bytes) -> bytes:
    return _SPLICE * text.count(_SPLICE)


def strip_comments(text: bytes) -> bytes:
    """Replace comments by blanks of the same length, keeping line breaks."""
    if b"/*" not in text and b"//" not in text:
        return text
    if _QUOTED_COMMENT.search(text) is None:
        return _COMMENT.sub(_blanked, text)
    return _STRING_OR_COMMENT.sub(_blanked, text)


def cut_comments(text: bytes) -> bytes:
    """Take comments out of a text, or leave it as it is where a string may look like one."""
    return _COMMENT.sub(b" ", text) if _QUOTED_COMMENT.search(text) is None else text


def _blanked(found: re.Match[bytes]) -> bytes:
    return found[0] if found[0].startswith(b'"') else found[0].translate(_BLANK)


def evaluate_condition(directive: str, text: str, options: Options) -> bool | None:
    """Tell whether an ``#if``, ``#ifdef`` or ``#ifndef`` holds; None where it is open."""
    words = text.split("/*")[0].split("//")[0].strip()
    if directive in ("ifdef", "ifndef"):
        name = words.split()[0] if words else ""
        known = options.value(name)
        return known if directive == "ifdef" or known is None else not known
    plain = _CONFIGURED.sub(
        lambda found: " 1 " if found[1] and found[2] in options.built else f" {found[2]} ", words
    )
    tokens = re.findall(r"\w+|&&|\|\||[!()]", plain.replace("\\\n", " "))
    if "".join(tokens) != "".join(plain.replace("\\\n", " ").split()):
        return None
    try:
        value, rest = _disjunction(tokens, options)
    except (IndexError, RecursionError):
        return None
    return None if rest else value


def _disjunction(tokens: list[str], options: Options) -> tuple[bool | None, list[str]]:
    """Evaluate ``a || b``; return what follows it as well."""
    value, rest = _conjunction(tokens, options)
    while rest and rest[0] == "||":
        other, rest = _conjunction(rest[1:], options)
        value = True if True in (value, other) else None if None in (value, other) else False
    return value, rest


def _conjunction(tokens: list[str], options: Options) -> tuple[bool | None, list[str]]:
    value, rest = _negation(tokens, options)
    while rest and rest[0] == "&&":
        other, rest = _negation(rest[1:], options)
        value = False if False in (value, other) else None if None in (value, other) else True
    return value, rest


def _negation(tokens: list[str], options: Options) -> tuple[bool | None, list[str]]:
    first, rest = tokens[0], tokens[1:]
    if first == "!":
        value, rest = _negation(rest, options)
        return None if value is None else not value, rest
    if first == "(":
        value, rest = _disjunction(rest, options)
        if rest[0] != ")":
            raise IndexError
        return value, rest[1:]
    if first.isdigit():
        return first.strip("0") != "", rest
    return options.value(first), rest


class _Branch:
    """One open ``#if`` during a scan."""

    def __init__(self, depth: int, text: str, value: bool | None) -> None:
        self.depth, self.text, self.value = depth, text, value
        self.taken = value is True
        """Whether an earlier branch of the same chain is known to be compiled."""
        self.negated = False
        self.conditions: Conditions | None = None
        """What is open up to here; None while nobody has asked."""
        self.before: list[str] = []
        """The conditions of earlier branches of the same chain, which do not hold here."""

    @property
    def own(self) -> Conditions:
        """What has to hold for this branch to be compiled."""
        found = tuple((words, False) for words in self.before)
        return (*found, (self.text, not self.negated)) if self.text else found

    @property
    def active(self) -> bool:
        return self.value is not False


def _function_name(header: bytes) -> bytes | None:
    for match in _HEAD.finditer(header):
        if match.group(1) not in (b"__attribute__", b"__printf", b"__scanf", b"__section"):
            return match.group(1)
    return None


def _behind_makers(header: bytes) -> int:
    """Return where the head of a function begins, behind macros that define something else.

    ``DEFINE_GUARD()`` and its like take no semicolon.
    """
    past = 0
    while (maker := _MAKER.match(header, past)) is not None:
        past = maker.end()
    return past


_MARGIN = re.compile(rb"(?:(?<!\\)\n|\n(?=([<=>|])\1{6}))([^\w\s#{}()*\";,&\\/])")
"""What begins a line that goes on from none, or is a mark of a merge."""
_TEXT = bytes(i for i in range(256) if (i >= 0x20 and i != 0x7F) or i in b"\t\n\v\f\r")


def foreign(data: bytes) -> tuple[int, str] | None:
    """Return where a text with blanks for comments is none of C, and why, as far as bytes tell.

    Half of a merge, a quoted mail and a file in UTF-16 have names in them as well, and
    definitions behind those would not be found.
    """
    if data.translate(None, _TEXT):
        at = next(at for at, one in enumerate(data) if one not in _TEXT)
        return at, f"no text of C has the byte 0x{data[at]:02x}"
    first = _MARGIN.match(b"\n" + data[:1])
    found = first or _MARGIN.search(data)
    if found is None:
        return None
    at = 0 if first else found.start(2)
    return at, f"no line of C begins with {found[2].decode('ascii', 'replace')}"


def has_open_comment(data: bytes) -> bool:
    """Tell whether a comment goes on to the end of a text."""
    if data.rfind(b"/*") <= data.rfind(b"*/"):
        return False
    last = b""
    for found in _STRING_OR_COMMENT.finditer(data):
        last = found.group()
    return last.startswith(b"/*") and (len(last) < 4 or not last.endswith(b"*/"))


_NO_MARK = bytes(i for i in range(256) if i not in b"{}#/\\\"'")
_NO_BRACE = bytes(i for i in range(256) if i not in b"{}")
_QUOTED_BRACE = re.compile(rb"[\"'][^\n]*[{}]")


def scan(path: str, data: bytes, options: Options = NO_OPTIONS) -> FileIndex:
    """List the outermost items of a file; OPTIONS tell which branches of an ``#if`` are dead."""
    return _Scan(path, data, options).run()


def scan_defines(path: str, data: bytes, options: Options = NO_OPTIONS) -> FileIndex:
    """List the macros of a file alone, of which the comments are blanks."""
    return _Scan(path, data, options).run_defines()


class _Scan:
    """One pass over a file."""

    def __init__(self, path: str, data: bytes, options: Options) -> None:
        self._data = data
        self._options = options
        self._found = FileIndex(path, data)
        self._stack: list[_Branch] = []
        self._off = 0
        """How many of the open branches are not compiled."""
        self._blanks: list[tuple[int, int]] = []
        self._blanked_to = 0
        self._dead_from: int | None = None
        self._depth = 0
        self._header = 0
        """Where the text before the next opening brace begins."""
        self._body = 0
        """Where the outermost brace that is open stands."""
        self._guarded = False
        """Whether the condition around a whole header was met."""
        self._line = 1
        self._line_at = 0

    def run(self) -> FileIndex:
        """Look at every brace and every directive, whole bodies at once where that is sure."""
        data = self._data
        at: int | None = 0
        while at is not None:
            at = self._until_skip(self._plain_functions(at))
        found = self._found
        found.blanks = sorted(self._blanks)
        if self._depth != 0 or self._stack or unfinished(data[self._header :]):
            found.balanced = False
        return found

    def run_defines(self) -> FileIndex:
        """Look at directives alone, each of which begins a line."""
        for found in _LINE_OF_CPP.finditer(self._data):
            self._directive(found)
        return self._found

    def _plain_functions(self, start: int) -> int:
        """Take functions without anything unusual in or before them; return where they end."""
        data = self._data
        while self._depth == 0 and self._dead_from is None and self._blanked_to <= start:
            found = _PLAIN_FUNCTION.match(data, start)
            if found is None or b"__a" in found[1] or b"__section" in found[1]:
                break
            self._body = found.end() - 1
            end = self._whole_body(self._body)
            if end is None:
                break
            self._function(found[2].decode(), found.start(1), end)
            start = self._header = end
        return start

    def _until_skip(self, start: int) -> int | None:
        """Go through the tokens; return where to go on behind a body that was skipped."""
        for token in _TOKEN.finditer(self._data, start):
            first = self._data[token.start()]
            if first == 0x7B:  # {
                if self._dead_from is None:
                    if self._depth == 0:
                        self._body = token.start()
                        end = self._whole_body(token.start())
                        if end is not None:
                            self._close(end)
                            return end
                    self._depth += 1
            elif first == 0x7D:  # }
                if self._dead_from is not None:
                    continue
                self._depth -= 1
                if self._depth == 0:
                    self._close(token.end())
                elif self._depth < 0:
                    self._depth = 0
                    self._found.balanced = False
                    self._header = token.end()
            elif first == 0x23:  # a directive, if it is the first word of its line
                self._directive(token)
        return None

    def _whole_body(self, start: int) -> int | None:
        """Return the end of a body that closes at the start of a line; None if in doubt.

        Sure is a body without directives, comments and quoted braces whose braces,
        the outer pair aside, cancel out: then no other brace can close it.
        """
        data = self._data
        end = data.find(b"\n}", start) + 2
        if end < 2:
            return None
        body = data[start:end]
        marks = body.translate(None, _NO_MARK)
        if marks == b"{}":
            return end
        if (
            b"#" in marks
            or (b"/" in marks and (b"/*" in body or b"//" in body))
            or (b"\\" in marks and b"\\\n" in body)
            or ((b'"' in marks or b"'" in marks) and _QUOTED_BRACE.search(body))
        ):
            return None
        inner = marks.translate(None, _NO_BRACE)[1:-1]
        while b"{}" in inner:
            inner = inner.replace(b"{}", b"")
        return None if inner else end

    def _close(self, end: int) -> None:
        """Take an outermost item that ends here."""
        self._add(end)
        self._header = end

    def _line_of(self, offset: int) -> int:
        if offset < self._line_at:
            return self._data.count(b"\n", 0, offset) + 1
        self._line += self._data.count(b"\n", self._line_at, offset)
        self._line_at = offset
        return self._line

    # -- what is not compiled ------------------------------------------------------------

    def _blank(self, low: int, high: int) -> None:
        self._blanks.append((low, high))
        self._blanked_to = max(self._blanked_to, high)

    def _cut(self, start: int, end: int) -> bytes:
        """The text of an item with the branches that are not compiled blanked out."""
        piece = self._data[start:end]
        if self._blanked_to <= start:
            return piece
        for low, high in self._blanks_from(start):
            if low >= end:
                continue
            low, high = max(low, start) - start, min(high, end) - start
            piece = piece[:low] + piece[low:high].translate(_BLANK) + piece[high:]
        return piece

    def _blanks_from(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield what is blanked behind a place, the last first: their ends only grow."""
        for low, high in reversed(self._blanks):
            if high <= start:
                return
            yield low, high

    def _switch_off(self, offset: int) -> None:
        if self._dead_from is None and self._off:
            self._dead_from = offset

    def _switch_on(self, offset: int) -> None:
        if self._dead_from is not None and not self._off:
            self._blank(self._dead_from, offset)
            self._dead_from = None

    # -- items -----------------------------------------------------------------------------

    def _add(self, end: int) -> None:
        """Tell what the item is whose outermost braces have just been closed."""
        header = self._data[self._header : self._body]
        if b"/" in header:
            header = strip_comments(header)
        if self._blanked_to > self._header:
            for low, high in self._blanks_from(self._header):
                if low < self._body:
                    a = max(low, self._header) - self._header
                    b = min(high, self._body) - self._header
                    header = header[:a] + b" " * (b - a) + header[b:]
        lead = header.rfind(b";") + 1
        lead += len(header[lead:]) - len(header[lead:].lstrip())
        start = self._header + lead
        head = header[lead:].rstrip()
        if not head:
            return
        found = self._found
        plain = head.endswith(b")") and b"__a" not in head and b"__section" not in head
        record = None if plain else _RECORD.search(head)
        if record is not None:
            kind, name = record.group(1).decode(), record.group(2).decode()
            item = self._item(kind, name, start, self._statement_end(end))
            found.records.setdefault(f"{kind} {name}", []).append(item)
            if kind == "enum":
                found.enums.append(item)
            return
        if not plain and _ENUM.search(head):
            found.enums.append(self._item("enum", "", start, end))
            return
        stored = head.endswith(b"=")
        named = (_OBJECT.search(head) or _POINTERS.search(head)) if stored else None
        if named is not None:
            name = named.group(1).decode()
            item = self._item("object", name, start, self._statement_end(end))
            found.objects.setdefault(name, []).append(item)
            return
        past = _behind_makers(head)
        function = _function_name(head[past:])
        if function is not None:
            self._function(function.decode(), start + past, end)

    def _function(self, name: str, start: int, end: int) -> None:
        found = self._found
        found.functions.setdefault(name, []).append(self._item("function", name, start, end))
        found.spans.append((start, end, name))
        found.bodies.append((self._body, end))

    def _statement_end(self, end: int) -> int:
        semicolon = self._data.find(b";", end, end + 200)
        return semicolon + 1 if semicolon >= 0 else end

    @property
    def _conditions(self) -> Conditions:
        """The conditions around this place; what is nested shares the work of what is around."""
        unknown: list[_Branch] = []
        known: Conditions = ()
        for branch in reversed(self._stack):
            if branch.conditions is not None:
                known = branch.conditions
                break
            unknown.append(branch)
        for branch in reversed(unknown):
            if branch.value is None:
                known = (*known, *branch.own)
            branch.conditions = known
        return known

    def _item(self, kind: str, name: str, start: int, end: int) -> Definition:
        line = self._line_of(start)
        text = self._cut(start, end)
        return Definition(kind, name, self._found.path, line, start, text, self._conditions)

    # -- directives --------------------------------------------------------------------------

    def _directive(self, token: re.Match[bytes]) -> None:
        begin, end = token.span()
        data = self._data
        if begin and data[begin - 1] != 0x0A and not opens_line(data, begin):
            return
        define = _DEFINE.match(data, begin)
        if define is not None:
            if self._dead_from is None:
                name = define[1].decode()
                one = Define(begin, define.end(), end, self._conditions)
                self._found.defines.setdefault(name, []).append(one)
            if self._depth == 0:
                self._header = end
            return
        match = _DIRECTIVE.match(token.group())
        if match is None:
            return
        word, rest = match.group(1), match.group(2)
        if word in _TAKING_IN and self._stack:
            around = self._conditions if self._dead_from is None else None
            if around != ():
                self._found.includes[begin] = around
        if word in (b"if", b"ifdef", b"ifndef"):
            self._open(word, rest, begin, end)
        elif word in (b"elif", b"else", b"elifdef", b"elifndef") and self._stack:
            self._turn(word, rest, begin, end)
        elif word in (b"elif", b"else", b"elifdef", b"elifndef", b"endif") and not self._stack:
            self._found.balanced = False
        elif word == b"endif":
            branch = self._stack.pop()
            self._off -= not branch.active
            if branch.value is not None:
                self._blank(begin, end)
            self._switch_on(begin)
        if self._depth == 0:
            self._header = end

    def _open(self, word: bytes, rest: bytes, begin: int, end: int) -> None:
        """Begin a conditional part of the file."""
        text = strip_comments(rest).decode("utf-8", "replace").strip()
        value = evaluate_condition(word.decode(), text, self._options)
        is_first = not self._guarded and not self._found.defines and self._depth == 0
        if word == b"ifndef" and is_first and self._is_guard(text, end):
            self._guarded = value = True
        label = f"!{text}" if word == b"ifndef" else text
        self._stack.append(_Branch(self._depth, label, value))
        self._off += value is False
        self._switch_off(end)
        if value is not None:
            self._blank(begin, end)

    def _is_guard(self, name: str, end: int) -> bool:
        """Tell whether what is asked for is defined at once: what is around all of a header."""
        found = _DEFINED_NEXT.match(self._data, end)
        return found is not None and found[1].decode() == name

    def _turn(self, word: bytes, rest: bytes, begin: int, end: int) -> None:
        """Go over to the next branch of a conditional part."""
        top = self._stack[-1]
        known = top.value is not None
        self._off -= not top.active
        if word == b"else":
            sure = top.value is False and not top.before
            top.value = False if top.taken else True if sure else None
            top.negated = not top.negated
        else:
            text = strip_comments(rest).decode("utf-8", "replace").strip()
            if word != b"elif":
                text = f"{'!' if word == b'elifndef' else ''}defined({text})"
            value = evaluate_condition("if", text, self._options)
            if top.text and not known and len(top.before) < LONGEST_CHAIN:
                top.before.append(f"!{top.text}" if top.negated else top.text)
            top.value = False if top.taken else value
            top.taken = top.taken or value is True
            if top.before and top.value:  # only where none of the earlier ones holds
                top.value, text = None, "1"
            top.text, top.negated = text, False
        self._off += not top.active
        top.conditions = None
        self._depth = top.depth
        if known:
            self._blank(begin, end)
        self._switch_on(begin)
        self._switch_off(end)


def unfinished(tail: bytes) -> bool:
    """Tell whether what follows the last item of a file begins another one."""
    rest = strip_comments(tail).strip()
    if not rest or rest.endswith(b";"):
        return False
    words = rest.rpartition(b";")[2].partition(b"(")[0].split()
    return not rest.endswith(b")") or len(words) > 1
