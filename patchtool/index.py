# SPDX-License-Identifier: GPL-2.0-only
"""Find definitions by name in a kernel tree, reading no more than is asked for.

In: a source.  Out: definitions (functions, macros, records, initialised objects) as
text with file, line and the ``#if`` conditions that are not decided.  A linear scan
finds the outermost braces of a file in about a millisecond; only what is asked for is
handed to the parser, so that an unreadable function elsewhere does no harm.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from posixpath import dirname, join, normpath
from typing import Protocol

from . import syntax

KVM_DIR = "arch/x86/kvm"
KVM_HOST = "arch/x86/include/asm/kvm_host.h"
_INCLUDE_ROOTS = (
    "arch/x86/include",
    "arch/x86/include/uapi",
    "include",
    "include/uapi",
)

_TOKEN = re.compile(
    rb"/\*.*?(?:\*/|\Z)"
    rb"|//(?:[^\n\\]|\\.)*"
    rb'|"(?:[^"\\\n]+|\\.)*"'
    rb"|'(?:[^'\\\n]+|\\.)*'"
    rb"|\{|\}"
    rb"|\#(?:[^\n\\/]+|\\.|/\*.*?\*/|/)*",
    re.S,
)
_DIRECTIVE = re.compile(rb"#[ \t]*(\w+)[ \t]*(.*)", re.S)
_DEFINE = re.compile(rb"(\w+)(\([^)]*\))?(?:[ \t]|\\\n|$)*(.*)", re.S)
_COMMENT = re.compile(rb'/\*.*?(?:\*/|\Z)|//(?:[^\n\\]|\\.)*|("(?:[^"\\\n]+|\\.)*")', re.S)
_BLANK = bytes(10 if i == 10 else 32 for i in range(256))
_RECORD = re.compile(
    rb"\b(struct|union|enum)\s+(?:__attribute__\s*\(\(.*?\)\)\s*|__\w+\s+)*(\w+)(?:\s+__\w+(?:\([^)]*\))?)*\s*$"
)
_OBJECT = re.compile(rb"\b(\w+)\s*(?:\[[^\]]*\]\s*)*(?:__\w+(?:\([^)]*\))?\s*)*=\s*$")
_HEAD = re.compile(rb"\b([A-Za-z_]\w*)\s*\(")
_ATTRIBUTE = re.compile(rb"\b(?:__attribute__|__printf|__scanf|__section|__aligned|__no_kcsan)\s*$")
_KEYWORDS = frozenset({"if", "for", "while", "switch", "return", "sizeof", "defined", "typeof"})
_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', re.M)
_OURS = (
    KVM_DIR,
    "arch/x86/include/asm/kvm",
    "arch/x86/include/uapi/asm/kvm",
    "include/linux/kvm",
    "include/uapi/linux/kvm",
)
_FOLLOWED = (
    *_OURS,
    "arch/x86/include/",
    "include/linux/const.h",
    "include/linux/bits.h",
    "include/vdso/",
    "include/uapi/linux/const.h",
)
_NEAR = (*_OURS, "arch/x86/include/")
_LIKELY = {
    "function": (b"%s(",),
    "macro": (b"define %s", b"define\t%s"),
    "record": (b"%s {", b"%s\n{"),
    "object": (b"%s = {", b"%s[", b"%s ="),
    "enumerator": (b"enum",),
}
"""What a text that defines a name of some kind holds, as most are written."""
_RARELY = {
    "function": rb"%s\s+\(",
    "macro": rb"define[ \t]{2,}%s|define\s*\\\n",
    "record": rb"%s\b[^;(){}]*\{",
    "object": rb"%s\b[^;(){}]*=",
    "enumerator": rb"enum",
}
"""The same, for texts that are written in another way."""
_CALL = re.compile(rb"\b([A-Za-z_]\w*)\s*\(")

# Build options that a 64-bit x86 kernel with KVM has, or never has.  All others stay
# open: they are constants of one build, and both values are looked at.
_DEFINED = frozenset(
    {"CONFIG_X86", "CONFIG_X86_64", "CONFIG_64BIT", "CONFIG_KVM", "CONFIG_MMU", "__KERNEL__"}
    | {"CONFIG_KVM_INTEL", "CONFIG_KVM_AMD", "__x86_64__", "CONFIG_SMP"}
)
_UNDEFINED = frozenset(
    {"CONFIG_X86_32", "__ASSEMBLY__", "__ASSEMBLER__", "__i386__", "__CHECKER__"}
)


class Readable(Protocol):
    """What is needed of a source."""

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file, None where there is none."""

    def walk(self, folder: str) -> tuple[str, ...]:
        """Return the files below a folder."""


@dataclass(frozen=True, slots=True)
class Definition:
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
    conditions: tuple[tuple[str, bool], ...] = ()
    parameters: tuple[str, ...] | None = None
    generated: bool = False

    @property
    def key(self) -> tuple[str, str, int]:
        """A name that tells this definition from all others of the tree."""
        return (self.file, self.name, self.start)


@dataclass(slots=True)
class FileIndex:
    """The outermost items of one file, by name."""

    path: str
    data: bytes
    functions: dict[str, list[Definition]] = field(default_factory=dict)
    records: dict[str, list[Definition]] = field(default_factory=dict)
    objects: dict[str, list[Definition]] = field(default_factory=dict)
    macros: dict[str, list[Definition]] = field(default_factory=dict)
    enums: list[Definition] = field(default_factory=list)
    spans: list[tuple[int, int, str]] = field(default_factory=list)
    bodies: list[tuple[int, int]] = field(default_factory=list)
    balanced: bool = True

    def function_at(self, offset: int) -> str | None:
        """Return the name of the function around a byte, None at file scope."""
        for start, end, name in self.spans:
            if start <= offset < end:
                return name
        return None


def strip_comments(text: bytes) -> bytes:
    """Replace comments by blanks of the same length, keeping line breaks."""

    def blank(match: re.Match[bytes]) -> bytes:
        return match.group() if match.group(1) is not None else match.group().translate(_BLANK)

    if b"/*" not in text and b"//" not in text:
        return text
    return _COMMENT.sub(blank, text)


def evaluate_condition(directive: str, text: str) -> bool | None:
    """Tell whether an ``#if``, ``#ifdef`` or ``#ifndef`` holds; None where it is open."""
    words = text.split("/*")[0].split("//")[0].strip()
    if directive in ("ifdef", "ifndef"):
        name = words.split()[0] if words else ""
        known = True if name in _DEFINED else False if name in _UNDEFINED else None
        return known if directive == "ifdef" or known is None else not known
    plain = re.sub(
        r"(?:defined|IS_ENABLED|IS_BUILTIN|IS_REACHABLE)\s*\(?\s*(\w+)\s*\)?", r"\1", words
    )
    plain = plain.replace("\\\n", " ")
    if re.fullmatch(r"[\w\s!&|()]+", plain) is None:
        return None
    values: list[bool | None] = []
    for clause in plain.split("||"):
        terms: list[bool | None] = []
        for term in clause.split("&&"):
            match = re.fullmatch(r"\s*\(?\s*(!?)\s*(\w+)\s*\)?\s*", term)
            if match is None:
                return None
            name = match.group(2)
            value: bool | None
            if name.isdigit():
                value = name != "0"
            else:
                value = True if name in _DEFINED else False if name in _UNDEFINED else None
            terms.append(value if not match.group(1) or value is None else not value)
        values.append(False if False in terms else None if None in terms else True)
    return True if True in values else None if None in values else False


@dataclass(slots=True)
class _Branch:
    """One open ``#if`` during a scan."""

    depth: int
    text: str
    value: bool | None
    taken: bool
    """Whether an earlier branch of the same chain is known to be compiled."""
    negated: bool = False

    @property
    def active(self) -> bool:
        return self.value is not False


def _function_name(header: bytes) -> bytes | None:
    for match in _HEAD.finditer(header):
        if match.group(1) not in (b"__attribute__", b"__printf", b"__scanf", b"__section"):
            return match.group(1)
    return None


def scan(path: str, data: bytes) -> FileIndex:
    """List the outermost items of a file in one pass."""
    found = FileIndex(path, data)
    stack: list[_Branch] = []
    blanks: list[tuple[int, int]] = []
    dead_from: int | None = None
    depth = 0
    header_start = 0
    body_start = 0
    guard = ""
    line = 1
    line_at = 0

    def line_of(offset: int) -> int:
        nonlocal line, line_at
        if offset < line_at:
            return data.count(b"\n", 0, offset) + 1
        line += data.count(b"\n", line_at, offset)
        line_at = offset
        return line

    def open_conditions() -> tuple[tuple[str, bool], ...]:
        return tuple((b.text, not b.negated) for b in stack if b.value is None and b.text)

    def cut(start: int, end: int) -> bytes:
        """The text of an item with the branches that are not compiled blanked out."""
        piece = data[start:end]
        for low, high in blanks:
            if low >= end or high <= start:
                continue
            low, high = max(low, start) - start, min(high, end) - start
            piece = piece[:low] + re.sub(rb"[^\n]", b" ", piece[low:high]) + piece[high:]
        return piece

    def dead() -> bool:
        return any(not branch.active for branch in stack)

    def switch_off(offset: int) -> None:
        nonlocal dead_from
        if dead() and dead_from is None:
            dead_from = offset

    def switch_on(offset: int) -> None:
        nonlocal dead_from
        if dead_from is not None and not dead():
            blanks.append((dead_from, offset))
            dead_from = None

    def add(end: int) -> None:
        header = data[header_start:body_start]
        if b"/" in header:
            header = strip_comments(header)
        for low, high in blanks:
            if low < body_start and high > header_start:
                a, b = max(low, header_start) - header_start, min(high, body_start) - header_start
                header = header[:a] + b" " * (b - a) + header[b:]
        lead = header.rfind(b";") + 1
        lead += len(header[lead:]) - len(header[lead:].lstrip())
        start = header_start + lead
        head = header[lead:].rstrip()
        if not head:
            return
        record = _RECORD.search(head)
        if record is not None:
            kind, name = record.group(1).decode(), record.group(2).decode()
            semicolon = data.find(b";", end)
            stop = semicolon + 1 if 0 <= semicolon < end + 200 else end
            item = Definition(
                kind, name, path, line_of(start), start, cut(start, stop), open_conditions()
            )
            found.records.setdefault(f"{kind} {name}", []).append(item)
            if kind == "enum":
                found.enums.append(item)
            return
        if re.search(rb"\benum\s*$", head):
            found.enums.append(
                Definition(
                    "enum", "", path, line_of(start), start, cut(start, end), open_conditions()
                )
            )
            return
        named = _OBJECT.search(head)
        if named is not None:
            semicolon = data.find(b";", end)
            stop = semicolon + 1 if 0 <= semicolon < end + 200 else end
            name = named.group(1).decode()
            item = Definition(
                "object", name, path, line_of(start), start, cut(start, stop), open_conditions()
            )
            found.objects.setdefault(name, []).append(item)
            return
        function = _function_name(head)
        if function is not None:
            name = function.decode()
            item = Definition(
                "function", name, path, line_of(start), start, cut(start, end), open_conditions()
            )
            found.functions.setdefault(name, []).append(item)
            found.spans.append((start, end, name))
            found.bodies.append((body_start, end))

    for token in _TOKEN.finditer(data):
        first = data[token.start()]
        if first == 0x7B:  # {
            if not dead():
                if depth == 0:
                    body_start = token.start()
                depth += 1
        elif first == 0x7D:  # }
            if dead():
                continue
            depth -= 1
            if depth == 0:
                add(token.end())
                header_start = token.end()
            elif depth < 0:
                depth = 0
                found.balanced = False
                header_start = token.end()
        elif first == 0x23:  # a directive, if it is the first word of its line
            begin = token.start()
            newline = data.rfind(b"\n", 0, begin)
            if data[newline + 1 : begin].strip():
                continue
            match = _DIRECTIVE.match(token.group())
            if match is None:
                continue
            word, rest = match.group(1), match.group(2)
            if word in (b"if", b"ifdef", b"ifndef"):
                text = strip_comments(rest).decode("utf-8", "replace").strip()
                value = evaluate_condition(word.decode(), text)
                if word == b"ifndef" and not guard and not found.macros and depth == 0:
                    guard = text
                    value = True
                label = f"!{text}" if word == b"ifndef" else text
                switch = _Branch(depth, label, value, value is True)
                stack.append(switch)
                switch_off(token.end())
                if value is not None:
                    blanks.append((begin, token.end()))
            elif word in (b"elif", b"else") and stack:
                top = stack[-1]
                depth = top.depth if not dead() or top.active else depth
                known = top.value is not None
                if word == b"else":
                    if top.taken:
                        top.value = False
                    elif top.value is False:
                        top.value = True
                    else:
                        top.value = None
                    top.negated = not top.negated
                else:
                    text = strip_comments(rest).decode("utf-8", "replace").strip()
                    value = evaluate_condition("if", text)
                    top.value = False if top.taken else value
                    top.taken = top.taken or value is True
                    top.text, top.negated = text, False
                depth = top.depth
                if known:
                    blanks.append((begin, token.end()))
                switch_on(begin)
                switch_off(token.end())
            elif word == b"endif" and stack:
                top = stack.pop()
                if top.value is not None:
                    blanks.append((begin, token.end()))
                switch_on(begin)
            elif word == b"define" and not dead():
                macro = _DEFINE.match(rest)
                if macro is not None:
                    name = macro.group(1).decode()
                    listed = macro.group(2)
                    parameters = None
                    if listed is not None:
                        inner = listed[1:-1].replace(b"\\\n", b" ").decode("utf-8", "replace")
                        parameters = tuple(p.strip() for p in inner.split(",") if p.strip())
                    body = strip_comments(macro.group(3)).replace(b"\\\n", b" \n").rstrip()
                    found.macros.setdefault(name, []).append(
                        Definition(
                            "macro", name, path, line_of(begin), begin, body,
                            open_conditions(), parameters,
                        )
                    )  # fmt: skip
            if depth == 0:
                header_start = token.end()
    if depth != 0 or stack or _unfinished(data[header_start:]):
        found.balanced = False
    return found


def _declared_with_record(file: FileIndex, name: str) -> tuple[str, int, str] | None:
    """Return the declaration of an object that ends the definition of its own type."""
    ends = re.compile(rb"\}\s*(?:__\w+\s*)*" + name.encode() + rb"\s*;\s*$")
    for definitions in file.records.values():
        for one in definitions:
            if ends.search(one.text) is not None:
                return file.path, one.line, f"{one.kind} {one.name} {name}"
    return None


def _unfinished(tail: bytes) -> bool:
    """Tell whether what follows the last item of a file begins another one."""
    rest = strip_comments(tail).strip()
    if not rest or rest.endswith(b";"):
        return False
    words = rest.rpartition(b";")[2].partition(b"(")[0].split()
    return not rest.endswith(b")") or len(words) > 1


class _Library:
    """Some texts in one piece, so that a word is looked for once."""

    def __init__(self, texts: list[tuple[str, bytes]]) -> None:
        self._paths = [path for path, _ in texts]
        self._starts: list[int] = []
        at = 0
        for _, text in texts:
            self._starts.append(at)
            at += len(text) + 1
        self._all = b"\0".join(text for _, text in texts)
        self._known: dict[bytes, tuple[str, ...]] = {}

    def holding(self, word: bytes) -> Iterator[str]:
        """Yield the paths whose text holds a word, in order."""
        known = self._known.get(word)
        if known is None:
            found: list[str] = []
            at = self._all.find(word) if self._paths else -1
            while at >= 0:
                number = bisect_right(self._starts, at) - 1
                found.append(self._paths[number])
                more = number + 1 < len(self._starts)
                at = self._all.find(word, self._starts[number + 1]) if more else -1
            known = self._known[word] = tuple(found)
        yield from known


class Index:
    """Definitions of one tree, found on demand and remembered."""

    def __init__(self, source: Readable) -> None:
        self.source = source
        self._texts: dict[str, bytes | None] = {}
        self._files: dict[str, FileIndex | None] = {}
        self._scopes: dict[str, tuple[str, ...]] = {}
        self._nearby: dict[str, int] = {}
        self._libraries: dict[str, tuple[_Library, _Library]] = {}
        self._pastes: dict[str, dict[str, list[Definition]]] = {}
        self._declarations: dict[tuple[str, str], tuple[str, int, str] | None] = {}
        self._includes: dict[str, tuple[str, ...]] = {}
        self._generated: dict[str, dict[str, list[Definition]]] = {}
        self._nodes: dict[tuple[str, str, int], syntax.Node] = {}
        self._memo: dict[tuple[str, str, str], tuple[Definition, ...]] = {}

    @property
    def asked(self) -> tuple[str, ...]:
        """Every path that was asked for, sorted."""
        return tuple(sorted(self._texts))

    def text(self, path: str) -> bytes | None:
        """Return the text of a file, None where there is no such file.

        Lines end in LF; in files of KVM and of the architecture comments are blanks.
        """
        if path not in self._texts:
            data = self.source.read(path)
            if data is not None and b"\r\n" in data:
                data = data.replace(b"\r\n", b"\n")
            if data is not None and path.startswith(_FOLLOWED):
                data = strip_comments(data)
            self._texts[path] = data
        return self._texts[path]

    def original(self, path: str) -> bytes:
        """Return the text of a file with its comments; offsets are those of ``text``."""
        return (self.source.read(path) or b"").replace(b"\r\n", b"\n")

    def file(self, path: str) -> FileIndex | None:
        """Return the items of a file, None where there is no such file."""
        if path not in self._files:
            data = self.text(path)
            self._files[path] = None if data is None else scan(path, data)
        return self._files[path]

    @cached_property
    def kvm_files(self) -> tuple[str, ...]:
        """All C files of KVM x86, headers included, sorted."""
        return tuple(p for p in self.source.walk(KVM_DIR) if p.endswith((".c", ".h")))

    @cached_property
    def _kvm(self) -> _Library:
        return _Library([(path, self.text(path) or b"") for path in self.kvm_files])

    def files_with(self, word: bytes) -> Iterator[FileIndex]:
        """Yield the KVM files whose text holds a word."""
        for path in self._kvm.holding(word):
            found = self.file(path)
            if found is not None:
                yield found

    # -- where a name may come from -----------------------------------------------

    def _resolve(self, name: str, quoted: bool, here: str) -> str | None:
        if quoted:
            near = normpath(join(dirname(here), name))
            if not near.startswith("../") and self.text(near) is not None:
                return near
            top = normpath(join(KVM_DIR, name))
            if (
                here.startswith(KVM_DIR)
                and not top.startswith("../")
                and self.text(top) is not None
            ):
                return top
        clean = normpath(name)
        if clean.startswith(("../", "/")):
            return None
        ours = clean.startswith(("asm/", "uapi/asm/"))
        for root in _INCLUDE_ROOTS:
            if root.startswith("arch") != ours:
                continue
            path = join(root, clean)
            if self.text(path) is not None:
                return path
        return None

    def scope(self, path: str) -> tuple[str, ...]:
        """Return a file and the headers that it includes, nearest first.

        Followed are the headers of KVM; of the architecture's, what they take from the
        user-space interface; of all others none, because what decides a role lives in
        a header that KVM names itself.
        """
        known = self._scopes.get(path)
        if known is None:
            order = {path: None}
            todo = [path]
            for here in todo:
                for target in self._included(here):
                    if target not in order:
                        order[target] = None
                        todo.append(target)
            near = [p for p in order if p.startswith(_NEAR)]
            far = [p for p in order if not p.startswith(_NEAR)]
            known = self._scopes[path] = (*near, *far)
            self._nearby[path] = len(near)
        return known

    def _included(self, path: str) -> tuple[str, ...]:
        """Return the headers that a file includes, where they are followed at all."""
        known = self._includes.get(path)
        if known is None:
            targets: list[str] = []
            if path.startswith(_FOLLOWED):
                for match in _INCLUDE.finditer(self.text(path) or b""):
                    name = match.group(2).decode("utf-8", "replace")
                    target = self._resolve(name, match.group(1) == b'"', path)
                    if target is not None and (path.startswith(_OURS) or _is_constants(target)):
                        targets.append(target)
            known = self._includes[path] = tuple(targets)
        return known

    def _search(
        self, kind: str, name: str, here: str, pick: Callable[[FileIndex], list[Definition]]
    ) -> tuple[Definition, ...]:
        memo = (kind, name, here)
        if memo in self._memo:
            return self._memo[memo]
        word = name.split()[-1].encode()
        shapes = tuple(shape % word if b"%" in shape else shape for shape in _LIKELY[kind])
        result: tuple[Definition, ...] = ()
        for sure in (True, False):
            for path in self._holding(here, word):
                if kind == "function" and not path.startswith(_FOLLOWED):
                    continue
                text = self.text(path) or b""
                if sure != any(shape in text for shape in shapes):
                    continue
                found = (
                    self.file(path)
                    if sure or path in self._files or _rarely(kind, word, text)
                    else None
                )
                hits = pick(found) if found is not None else []
                if hits:
                    result = tuple(hits)
                    break
            if result:
                break
        self._memo[memo] = result
        return result

    def _holding(self, here: str, word: bytes) -> Iterator[str]:
        """Yield the files of a scope whose text holds a word, KVM's first."""
        for library in self._shelves(here):
            yield from library.holding(word)

    def _shelves(self, here: str) -> tuple[_Library, _Library]:
        """Return the texts of a whole scope, for searching: the near ones, and the rest."""
        if here.endswith(".h"):
            for unit, known in self._libraries.items():
                if here in self._scopes[unit]:
                    return known
        if here not in self._libraries:
            paths = self.scope(here)
            texts = [(path, self.text(path) or b"") for path in paths]
            near = self._nearby[here]
            self._libraries[here] = (_Library(texts[:near]), _Library(texts[near:]))
        return self._libraries[here]

    def _pasted(self, here: str) -> dict[str, list[Definition]]:
        """Return the functions that macros in a scope define by pasting names."""
        if here not in self._pastes:
            found: dict[str, list[Definition]] = {}
            for path in self._shelves(here)[0].holding(b"##"):
                file = self.file(path) if path.startswith(KVM_DIR) else None
                for name, definitions in self.generated(file).items() if file is not None else ():
                    found.setdefault(name, definitions)
            self._pastes[here] = found
        return self._pastes[here]

    # -- what a name means ------------------------------------------------------------

    def functions(self, name: str, here: str) -> tuple[Definition, ...]:
        """Return the definitions of a function as seen from a file.

        More than one where build options choose.  Looked for in the file, in what it
        includes, then in all of KVM.
        """
        found = self.visible(name, here)
        if found:
            return found
        memo = ("extern", name, "")
        if memo not in self._memo:
            word = name.encode()
            hits: list[Definition] = []
            for file in self.files_with(word):
                hits = [d for d in file.functions.get(name, ()) if not is_static(d)]
                if hits:
                    break
            self._memo[memo] = tuple(hits)
        return self._memo[memo]

    def visible(self, name: str, here: str) -> tuple[Definition, ...]:
        """Return the definitions of a function that a file itself sees."""
        found = self._search("function", name, here, lambda f: f.functions.get(name, []))
        return found or tuple(self._pasted(here).get(name, ()))

    def macros(self, name: str, here: str) -> tuple[Definition, ...]:
        """Return the definitions of a macro as seen from a file."""
        return self._search("macro", name, here, lambda f: f.macros.get(name, []))

    def record(self, tag: str, here: str) -> tuple[Definition, ...]:
        """Return the definitions of ``struct x``, ``union x`` or ``enum x``."""
        return self._search("record", tag, here, lambda f: f.records.get(tag, []))

    def objects(self, name: str, here: str) -> tuple[Definition, ...]:
        """Return the definitions of an initialised object of file scope."""
        return self._search("object", name, here, lambda f: f.objects.get(name, []))

    def enumerator(self, name: str, here: str) -> Definition | None:
        """Return the enumeration that holds an enumerator."""
        pattern = re.compile(rb"\b" + name.encode() + rb"\b")

        def pick(file: FileIndex) -> list[Definition]:
            return [d for d in file.enums if pattern.search(strip_comments(d.text))]

        found = self._search("enumerator", name, here, pick)
        return found[0] if found else None

    def declaration(self, name: str, here: str) -> tuple[str, int, str] | None:
        """Return file, line and text of the declaration of an object without a brace."""
        if (name, here) not in self._declarations:
            self._declarations[name, here] = self._declaration(name, here)
        return self._declarations[name, here]

    def _declaration(self, name: str, here: str) -> tuple[str, int, str] | None:
        pattern = re.compile(
            rb"^[ \t]*((?:\w+\s+)+"
            rb"\**\s*" + name.encode() + rb"\b(?:\s*\[[^\]]*\])*[^;(){}=]*(?:=\s*[^;{}]+)?);",
            re.M,
        )
        best: tuple[str, int, str] | None = None
        for path in self._holding(here, name.encode()):
            found = self.file(path)
            if found is None:
                continue
            for match in pattern.finditer(found.data):
                if found.function_at(match.start(1)) is not None:
                    continue
                words = match.group(1).split()
                if words[0] in (b"return", b"goto", b"typedef"):
                    continue
                line = found.data.count(b"\n", 0, match.start(1)) + 1
                here_is = (path, line, match.group(1).decode("utf-8", "replace"))
                if words[0] != b"extern":
                    return here_is
                best = best or here_is
            best = best or _declared_with_record(found, name)
        return best

    def typedef(self, name: str, here: str) -> str | None:
        """Return the type that a typedef names, as C text."""
        pattern = re.compile(rb"\btypedef\s+([^;{}()]+?)\b" + name.encode() + rb"\s*;")
        for path in self._holding(here, name.encode()):
            data = self.text(path)
            if data is not None:
                match = pattern.search(data)
                if match is not None:
                    return match.group(1).decode("utf-8", "replace").strip()
        return None

    def generated(self, file: FileIndex) -> dict[str, list[Definition]]:
        """Return the functions that macros of a file define by pasting names."""
        known = self._generated.get(file.path)
        if known is not None:
            return known
        result: dict[str, list[Definition]] = {}
        self._generated[file.path] = result
        if b"##" not in file.data:
            return result
        for macros in list(file.macros.values()):
            for macro in macros:
                if macro.parameters and b"##" in macro.text and b"{" in macro.text:
                    self._generate(file, macro, result)
        return result

    def _generate(
        self, file: FileIndex, macro: Definition, result: dict[str, list[Definition]]
    ) -> None:
        builders = syntax.parse(
            f"#define {macro.name}({', '.join(macro.parameters or ())}) ".encode()
            + macro.text.replace(b"\n", b" ")
            + b"\n"
        )
        if not syntax.captures("accessor_macro", builders):
            return
        inside = rb"\s*\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)"
        use = re.compile(rb"^[ \t]*" + macro.name.encode() + inside, re.M)
        for match in use.finditer(file.data):
            if any(low < match.start() < high for low, high in file.bodies):
                continue
            arguments = split_arguments(match.group(1).decode("utf-8", "replace"))
            body = expand(macro, arguments)
            if body is None:
                continue
            inner = scan(file.path, body.encode())
            line = file.data.count(b"\n", 0, match.start()) + 1
            for name, definitions in inner.functions.items():
                for one in definitions:
                    result.setdefault(name, []).append(
                        Definition(
                            "function", name, file.path, line, match.start(), one.text,
                            (), None, generated=True,
                        )
                    )  # fmt: skip

    def node(self, definition: Definition) -> syntax.Node:
        """Parse a definition and return the node of its one item."""
        key = (*definition.key, hash(definition.text)) if definition.generated else definition.key
        if key not in self._nodes:
            root = syntax.parse(_plain(definition))
            self._nodes[key] = root  # type: ignore[index]
        return self._nodes[key]  # type: ignore[index]

    # -- who uses a name -----------------------------------------------------------------

    def users(self, name: str, only: str | None = None) -> Iterator[tuple[FileIndex, Definition]]:
        """Yield the KVM functions whose text holds a name, with their files.

        ONLY names the one file to look at.
        """
        pattern = re.compile(name.encode() + rb"\b")
        for path in self._kvm.holding(name.encode()) if only is None else (only,):
            data = self.text(path) or b""
            hits = [m.start() for m in pattern.finditer(data) if not _inside_word(data, m.start())]
            file = self.file(path) if hits else None
            if file is None:
                continue
            for inside in dict.fromkeys(file.function_at(hit) for hit in hits):
                for definition in file.functions.get(inside or "", ()):
                    if name.encode() in strip_comments(definition.text):
                        yield file, definition


def _inside_word(data: bytes, at: int) -> bool:
    """Tell whether a match begins in the middle of a word."""
    return at > 0 and (data[at - 1 : at].isalnum() or data[at - 1] == 0x5F)


_QUALIFIER = re.compile(
    rb"\b__attribute__\s*\(\([^()]*(?:\([^()]*\))?[^()]*\)\)|\b(?:__rcu|__user|__iomem|__percpu|__force|__bitwise|__always_unused|__maybe_unused"
    rb"|__always_inline|noinline\w*|__init|__exit|__ref|__cold|__pure|__must_check|__weak"
    rb"|asmlinkage|__visible|notrace|noinstr|__read_mostly|__ro_after_init|__hot|__inline"
    rb"|__no_\w+|__flatten|____cacheline_aligned\w*|__cacheline_aligned\w*|__randomize_layout"
    rb"|__packed|__sched|__used|__deprecated|__private)\b"
)


_TAG_ARGUMENT = re.compile(rb"(,\s*)((?:struct|union)\s)(?=\s*\w+\s*[,)])")


def _plain(definition: Definition) -> bytes:
    """Return a definition's text without what the grammar does not know, lengths kept.

    These are annotations, and the word struct before a tag that is a macro's argument.
    """
    source = _QUALIFIER.sub(lambda match: b" " * len(match.group()), definition.text)
    return _TAG_ARGUMENT.sub(lambda match: match.group(1) + b" " * len(match.group(2)), source)


def _is_constants(path: str) -> bool:
    """Tell whether a header is one of plain constants, as those of registers are."""
    return path.startswith("arch/x86/include/uapi/") or path.endswith(
        ("/const.h", "/bits.h", "/processor-flags.h", "/msr-index.h", "features.h")
    )


def _rarely(kind: str, word: bytes, text: bytes) -> bool:
    """Tell whether a text may define a name in an unusual spelling."""
    return re.search(_RARELY[kind].replace(b"%s", re.escape(word)), text) is not None


def is_static(definition: Definition) -> bool:
    """Tell whether a function has internal linkage."""
    head = definition.text.split(b"{", 1)[0]
    return re.search(rb"\bstatic\b", head) is not None


def calls(text: bytes) -> frozenset[str]:
    """Return the names that are called, or look called, in a piece of C."""
    names = {m.group(1).decode() for m in _CALL.finditer(strip_comments(text))}
    return frozenset(names - _KEYWORDS)


def split_arguments(source: str) -> list[str]:
    """Split macro arguments at the commas outside parentheses."""
    found, depth = [""], 0
    for character in source:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [one.strip() for one in found]


def expand(macro: Definition, arguments: list[str]) -> str | None:
    """Replace the parameters of a function-like macro, pasting and quoting included."""
    parameters = macro.parameters or ()
    if parameters and parameters[-1].endswith("..."):
        name = parameters[-1][:-3] or "__VA_ARGS__"
        fixed = len(parameters) - 1
        arguments = [*arguments[:fixed], ", ".join(arguments[fixed:])]
        parameters = (*parameters[:-1], name)
    if len(arguments) != len(parameters):
        if not (len(parameters) == 0 and arguments == [""]):
            return None
    values = dict(zip(parameters, arguments, strict=False))
    body = macro.text.decode("utf-8", "replace")
    body = re.sub(r"\s*##\s*", "\x00", body)
    body = re.sub(
        r"(?<![\x00#])#\s*(\w+)",
        lambda m: (
            '"' + values[m.group(1)].replace('"', "'") + '"' if m.group(1) in values else m.group()
        ),
        body,
    )
    body = re.sub(r"[A-Za-z_]\w*", lambda m: values.get(m.group(), m.group()), body)
    return body.replace("\x00", "")
