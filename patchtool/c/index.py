# SPDX-License-Identifier: GPL-2.0-only
"""Find definitions by name in a kernel tree, reading no more than is asked for.

In: a source.  Out: definitions (functions, macros, records, initialised objects) as
text.  A scan of a file finds them; only what is asked for is handed to the parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from itertools import islice

from patchtool.c import library, switches, syntax
from patchtool.c.brackets import commas
from patchtool.c.scan import (
    WORDS,
    Conditions,
    Definition,
    FileIndex,
    inside_word,
    may_define,
    opens_line,
    places,
    scan,
    scan_defines,
    spaced_calls,
    strip_comments,
)
from patchtool.c.texts import MAX_WAYS, Readable, Texts, joined
from patchtool.target.record import Target

RESERVED = frozenset(
    {"auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else",
     "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long", "register",
     "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch", "typedef",
     "typeof", "union", "unsigned", "void", "volatile", "while"}
)  # fmt: skip
"""Words that name no function."""
_KEYWORDS = RESERVED | {"defined", "__volatile__"}
_LIKELY = {
    "record": (b"%s {", b"%s\n{"),
    "object": (b"%s = {", b"%s[", b"%s ="),
    "enumerator": (b"enum",),
}
"""What a text that defines a name of some kind holds, as most are written."""
_BEHIND = {
    "record": re.compile(rb"[^;(){}]*\{"),
    "object": re.compile(rb"[^;(){}]*="),
}
"""What stands behind the name in texts that are written in another way."""
_TAGGED = re.compile(rb"\b(?:struct|union|enum)\b")
_DEFINED = re.compile(
    rb"#(?:[ \t]|\\\n)*+(?:define(?:[ \t]|\\\n)++(\w++)|(?:define(?:[ \t]|\\\n)*+)?/\*)"
)
_GIVEN = re.compile(rb"\s*\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)")
_PASTE = re.compile(rb"##")
_BUILDS = re.compile(rb"\)[^;{}]*\{")
"""What a macro has that defines a function: a body behind its parameters."""
_LINE = re.compile(rb"^", re.M)
_LEAD = bytes(i for i in range(256) if re.match(rb"[\w\s*]", bytes((i,))))
_LONGEST_LEAD = 400
_TYPE_WORDS = re.compile(rb"[ \t]*((?:\w+\s+)+\**\s*)")
_DECLARED = re.compile(rb"(?:\s*\[[^\]]*\])*[^;(){}=]*(?:=\s*[^;{}]+)?;")
_RECORD_END = re.compile(rb"\}\s*(?:__\w+\s+)*(\w+)\s*;\s*$")
_CALL_BACKWARDS = re.compile(rb"\(\s*(?:\)\s*)?(\w*[A-Za-z_])(?!\w)")
"""A call read from its end: to look for one fixed byte is four times as fast."""


def _under(
    ways: Iterable[Conditions], found: tuple[Definition, ...]
) -> Iterator[tuple[Definition, ...]]:
    """Yield definitions of a file that is taken in by some ways, once for each of them."""
    for way in ways:
        yield tuple(one._replace(conditions=joined(way, one.conditions)) for one in found)


def _declared_with_record(file: FileIndex, word: bytes) -> tuple[str, int, str] | None:
    """Return the declaration of an object that ends the definition of its own type."""
    for definitions in file.records.values():
        for one in definitions:
            ends = _RECORD_END.search(one.text) if word in one.text else None
            if ends is not None and ends[1] == word:
                return file.path, one.line, f"{one.kind} {one.name} {word.decode()}"
    return None


class Index(Texts):
    """Definitions of one tree, found on demand and remembered."""

    def __init__(self, source: Readable, target: Target) -> None:
        super().__init__(source, target)
        self._units: dict[str, None] = {}
        self._spoken: dict[str, tuple[tuple[str, frozenset[bytes]], ...]] = {}
        self._held: dict[tuple[str, bytes], tuple[str, ...]] = {}
        self._varying: dict[str, bool] = {}
        self._defining: dict[tuple[str, ...], dict[bytes, list[str]]] = {}
        self._named: dict[str, frozenset[bytes]] = {}
        self._listed: dict[str, FileIndex | None] = {}
        self._spaced: dict[str, frozenset[bytes]] = {}
        self._pasting: dict[str, bool] = {}
        self._pastes: dict[str, dict[str, list[Definition]]] = {}
        self._declarations: dict[tuple[str, str], tuple[str, int, str] | None] = {}
        self._generated: dict[str, dict[str, list[Definition]]] = {}
        self._called: dict[str, Mapping[str, frozenset[str]]] = {}
        self._nodes: dict[bytes, syntax.Node] = {}
        self._memo: dict[tuple[str, str, str], tuple[Definition, ...]] = {}
        self._generic: dict[str, bool] = {}
        self._defined: dict[tuple[str, str], bool] = {}

    def calls_in(self, path: str) -> Mapping[str, frozenset[str]]:
        """Return what each function of a file calls."""
        known = self._called.get(path)
        if known is None:
            file = self.file(path)
            known = self._called[path] = {
                name: calls(b"\n".join(one.text.partition(b"{")[2] for one in definitions))
                for name, definitions in (file.functions.items() if file is not None else ())
            }
        return known

    def _search(
        self, kind: str, name: str, here: str, pick: Callable[[FileIndex], list[Definition]]
    ) -> tuple[Definition, ...]:
        memo = (kind, name, here)
        if memo in self._memo:
            return self._memo[memo]
        found: list[Definition] = []
        for more in self._hits(kind, name.split()[-1].encode(), here, pick):
            found += more
            if more and is_decided(found):
                break
        result = self._memo[memo] = tuple(found)
        return result

    def _hits(
        self, kind: str, word: bytes, here: str, pick: Callable[[FileIndex], list[Definition]]
    ) -> Iterator[tuple[Definition, ...]]:
        """Yield what files that one sees define by a name, the nearest first."""
        is_unit = here.endswith(".c")
        if is_unit:  # if that says all, its headers need not be listed
            yield self._picked(here, pick)
        far: list[str] = []
        chosen: list[str] = []
        under = self._taken_under(self._unit_scope(here))
        for path in self._holding(here, word):
            if not path.startswith(self._ours):
                if kind != "function" or path.startswith(self._followed):
                    (chosen if path in under else far).append(path)
            elif path != here or not is_unit:
                found = self._picked(path, pick)
                yield from _under(under[path], found) if path in under else (found,)
        yield from self._searched(kind, word, far, pick)
        for path in chosen:
            for found in self._searched(kind, word, [path], pick):
                yield from _under(under[path], found)

    def _picked(
        self, path: str, pick: Callable[[FileIndex], list[Definition]]
    ) -> tuple[Definition, ...]:
        found = self.file(path)
        return tuple(pick(found)) if found is not None else ()

    def _macro_names(self, path: str) -> frozenset[bytes]:
        """Return the names that a file defines as macros; some may stand in comments."""
        known = self._named.get(path)
        if known is None:
            text = self.text(path) or b""
            known = frozenset(_DEFINED.findall(text))
            if b"" in known:  # a comment stands within a directive
                known = frozenset(_DEFINED.findall(strip_comments(text)))
            self._named[path] = known
        return known

    def _macros_in(self, path: str) -> FileIndex | None:
        """Return the macros of a file; of one that is not the target's no more is listed."""
        if path in self._files or path.startswith(self._ours):
            return self.file(path)
        if path not in self._listed:
            data, options = self.text(path), self.target.options
            listed = None if data is None else scan_defines(path, strip_comments(data), options)
            self._listed[path] = listed
        return self._listed[path]

    def _searched(
        self,
        kind: str,
        word: bytes,
        paths: list[str],
        pick: Callable[[FileIndex], list[Definition]],
    ) -> Iterator[tuple[Definition, ...]]:
        """Look into files where most of what holds a word only uses it, the likely ones first."""
        if kind == "function":
            for path in paths:
                if path in self._files or self._may(path, word):
                    yield self._picked(path, pick)
        elif kind == "macro":
            for path in paths:
                if word in self._macro_names(path):
                    listed = self._macros_in(path)
                    yield tuple(pick(listed)) if listed is not None else ()
        else:
            shapes = tuple(shape % word if b"%" in shape else shape for shape in _LIKELY[kind])
            unlikely: list[str] = []
            for path in paths:
                text = self.text(path) or b""
                if any(shape in text for shape in shapes):
                    yield self._picked(path, pick)
                else:
                    unlikely.append(path)
            for path in unlikely:
                if path in self._files or _rarely(kind, word, self.text(path) or b""):
                    yield self._picked(path, pick)

    def _may(self, path: str, word: bytes) -> bool:
        """Tell whether a file may define a function, without a scan of it."""
        text = self.text(path) or b""
        spaced = self._spaced.get(path)
        if spaced is None:
            spaced = self._spaced[path] = spaced_calls(text)
        return may_define(text, word, word in spaced)

    def _holding(self, here: str, word: bytes) -> tuple[str, ...]:
        """Return the files of a scope that hold a word, the target's first."""
        scope = self._unit_scope(here)
        unit = scope[0]
        if unit not in self._spoken:
            self._spoken[unit] = tuple((path, self.words_in(path)) for path in scope)
        known = self._held.get((unit, word))
        if known is None:
            known = tuple([path for path, words in self._spoken[unit] if word in words])
            self._held[unit, word] = known
        return known

    def _unit_scope(self, here: str) -> tuple[str, ...]:
        """Return the scope of a file; of what one includes that of a unit that was asked before.

        Where none was that of the first one that takes it in: it may speak of what that defines.
        """
        here = self.compiled_by.get(here, (here,))[0]
        if not here.endswith(".c"):
            for known in self._units:
                if here in self._scopes[known]:
                    return self._scopes[known]
            if here.startswith(self.target.folder):
                here = self.taken_in_by(here) or here
        self._units[here] = None
        return self.scope(here)

    def _pasted(self, here: str) -> dict[str, list[Definition]]:
        """Return the functions that macros in a scope define by pasting names."""
        if here not in self._pastes:
            found: dict[str, list[Definition]] = {}
            for path in self._unit_scope(here):
                file = self.file(path) if self._pastes_names(path) else None
                for name, definitions in self.generated(file).items() if file is not None else ():
                    found.setdefault(name, definitions)
            self._pastes[here] = found
        return self._pastes[here]

    def _pastes_names(self, path: str) -> bool:
        known = self._pasting.get(path)
        if known is None:
            known = path.startswith(self.target.folder) and b"##" in (self.raw(path) or b"")
            self._pasting[path] = known
        return known

    # -- what a name means ------------------------------------------------------------

    def functions(self, name: str, here: str) -> tuple[Definition, ...]:
        """Return the definitions of a function as seen from a file.

        More than one where build options choose, or the linker.  Looked for in the file, in
        what it includes, then in all files of the target.
        """
        if name in RESERVED:
            return ()
        found = self.visible(name, here)
        if found and is_decided(found) and not any(map(is_weak, found)):
            return found
        return (*(one for one in self._external(name) if one not in found), *found)

    def _external(self, name: str) -> tuple[Definition, ...]:
        """Return the definitions of a function with external linkage, in all of the target."""
        memo = ("extern", name, "")
        if memo not in self._memo:
            word = name.encode()
            hits: list[Definition] = []
            for path in self._own.get(word, ()):
                if path not in self._files and not self._may(path, word):
                    continue
                file = self.file(path)
                assert file is not None
                hits += [d for d in file.functions.get(name, ()) if not is_static(d)]
            self._memo[memo] = tuple(hits)
        return self._memo[memo]

    def is_seen(self, name: str) -> bool:
        """Tell whether a file that was looked into before defines a function or macro."""
        return any(
            name in file.functions or name in file.defines
            for path in self.own_files
            if (file := self._files.get(path)) is not None
        )

    def visible(self, name: str, here: str) -> tuple[Definition, ...]:
        """Return the definitions of a function that a file itself sees."""
        found = self._search("function", name, here, lambda f: f.functions.get(name, []))
        return found or tuple(self._pasted(here).get(name, ()))

    def macros(self, name: str, here: str) -> tuple[Definition, ...]:
        """Return the definitions of a macro as seen from a file."""
        return self._search("macro", name, here, lambda f: f.macros(name))

    def macro_words(self, name: bytes, paths: tuple[str, ...]) -> frozenset[bytes] | None:
        """Return the words of all definitions of a macro in some files; None where it is none."""
        defining = self._defined_in(paths)
        words: set[bytes] = set()
        for path in defining.get(name, ()):
            data = self.text(path) or b""
            for at in places(data, name):
                head = _DEFINED.match(data, data.rfind(b"#", 0, at))
                if head is not None and head.start(1) == at:
                    end = data.find(b"\n", at)
                    while end > 0 and data[end - 1 : end] == b"\\":
                        end = data.find(b"\n", end + 1)
                    words.update(data[at : end if end > 0 else None].translate(WORDS).split())
        return frozenset(words) if name in defining else None

    def macros_among(self, words: frozenset[bytes], paths: tuple[str, ...]) -> frozenset[bytes]:
        """Return which of some words are names of macros in some files."""
        return words & self._defined_in(paths).keys()

    def _defined_in(self, paths: tuple[str, ...]) -> Mapping[bytes, list[str]]:
        """Return which of some files define each macro."""
        if paths not in self._defining:
            found: dict[bytes, list[str]] = {}
            self._defining[paths] = found
            for path in paths:
                for one in self._macro_names(path):
                    found.setdefault(one, []).append(path)
        return self._defining[paths]

    def varies(self, name: str) -> bool:
        """Tell whether a word that the preprocessor is asked for may differ between places."""
        if name not in self._varying:
            self._varying[name] = switches.varies(self, name)
        return self._varying[name]

    def is_renamed(self, name: str, here: str) -> bool:
        """Tell whether a name is a macro without parameters: the compiler reads another one."""
        return any(one.parameters is None for one in Index.macros(self, name, here))

    def is_hidden(self, name: str, paths: Iterable[str]) -> bool:
        """Tell whether one of some files has a macro with parameters of the name of a function."""
        files = (self.file(path) for path in paths)
        return any(
            one.parameters is not None for f in files if f is not None for one in f.macros(name)
        )

    def record(self, tag: str, here: str) -> tuple[Definition, ...]:
        """Return the definitions of ``struct x``, ``union x`` or ``enum x``."""
        return self._search("record", tag, here, lambda f: f.records.get(tag, []))

    def objects(self, name: str, here: str) -> tuple[Definition, ...]:
        """Return the definitions of an initialised object of file scope."""
        return self._search("object", name, here, lambda f: f.objects.get(name, []))

    def enumerators(self, name: str, here: str) -> tuple[Definition, ...]:
        """Return the enumerations that hold an enumerator."""
        word = name.encode()
        return self._search("enumerator", name, here, lambda f: f.enumerators(word))

    def is_generic(self, name: str) -> bool:
        """Tell whether some text of the target looks like the definition of a function.

        That is what is built into it on every architecture as well, and what a macro in front
        hides, which no semicolon ends.
        """
        known = self._generic.get(name)
        if known is None:
            ours = (p for one in self.target.generic for p in self.source.walk(one))
            paths = [path for path in ours if path.endswith((".c", ".h"))]
            paths += self.own_with(name.encode())
            known = any(self.is_function_in(path, name) for path in paths)
            self._generic[name] = known
        return known

    def is_function_in(self, path: str, name: str) -> bool:
        """Tell whether a file looks as if it defined a function."""
        data, word = self.text(path) or b"", name.encode()
        found = rb"^(?:[a-z_][\w \t*]*[ \t*])?%s\([^;{}()]*\)\s*\{" % word
        return word in data and re.search(found, data, re.M) is not None

    def traces(self, name: str) -> bool:
        """Tell whether a trace event stores to more than its entry, and so is not only heard."""
        event = name.removeprefix("trace_").encode()
        if event == name.encode():
            return False
        classed = re.compile(rb"\bDEFINE_EVENT\w*\s*\(\s*(\w+)\s*,\s*%s\b" % event)
        texts = [data for _, data in self.texts_with(event)]
        names = {event, *(found[1] for data in texts for found in classed.finditer(data))}
        for one in names:
            self.watch(one.decode())
        named = re.compile(
            rb"\b(?:TRACE_EVENT\w*|DECLARE_EVENT_CLASS)\s*\(\s*(?:%s)\b" % b"|".join(sorted(names))
        )
        for data in (data for name in sorted(names) for _, data in self.texts_with(name)):
            for found in named.finditer(data):
                end = data.find(b"TP_printk", found.end())
                start = data.find(b"TP_fast_assign", found.end(), max(end, 0))
                body = data[start:end].partition(b"(")[2] if 0 <= start < end else b""
                if any(
                    not one.lstrip(b"(").startswith(b"__entry") for one in _ASSIGNED.findall(body)
                ):
                    return True
        return False

    def defines(self, name: str, here: str) -> bool:
        """Tell whether the target itself defines a function or a macro that a file sees."""
        memo = (name, here)
        if memo not in self._defined:
            word = name.encode()
            self._defined[memo] = any(
                self._defines(path, word)
                for path in self._holding(here, word)
                if path.startswith(self._ours)
            )
        return self._defined[memo]

    def _defines(self, path: str, word: bytes) -> bool:
        if path not in self._files:
            if not self._may(path, word) and word not in self._macro_names(path):
                return False
        file, name = self.file(path), word.decode()
        return file is not None and (name in file.functions or name in file.defines)

    def declaration(self, name: str, here: str) -> tuple[str, int, str] | None:
        """Return file, line and text of the declaration of an object without a brace."""
        if (name, here) not in self._declarations:
            self._declarations[name, here] = self._declaration(name, here)
        return self._declarations[name, here]

    def _declaration(self, name: str, here: str) -> tuple[str, int, str] | None:
        word = name.encode()
        best: tuple[str, int, str] | None = None
        for path in self._holding(here, word):
            found = self.file(path)
            if found is None:
                continue
            for start, end in _declarations(found.data, word):
                text = found.data[start:end]
                first = text.split(maxsplit=1)[0]
                if (
                    first in (b"return", b"goto", b"typedef")
                    or found.function_at(start) is not None
                    or any(one.holds(start) for some in found.records.values() for one in some)
                ):
                    continue
                line = found.line(start)
                here_is = (path, line, text.decode("utf-8", "replace"))
                if first != b"extern":
                    return here_is
                best = best or here_is
            best = best or _declared_with_record(found, word)
        return best

    def typedef(self, name: str, here: str) -> str | None:
        """Return the type that a typedef names, as C text; None where files have two.

        Of a file that is not the target's the first one counts.
        """
        pattern = re.compile(rb"typedef\s+([^;{}()]+?)\b" + re.escape(name.encode()) + rb"\s*;")
        found: set[str] = set()
        for path in self._holding(here, name.encode()):
            file = self.file(path) if path.startswith(self._ours) else None
            data = file.data if file is not None else self.text(path) or b""
            named = (
                " ".join(one[1].decode("utf-8", "replace").split())
                for one in pattern.finditer(data)
                if not inside_word(data, one.start())
            )
            found.update(islice(named, 1 if file is None else None))
        return found.pop() if len(found) == 1 else None

    def is_function_pointer(self, name: str, here: str) -> bool:
        """Tell whether a typedef names pointers to functions of some type."""
        spelt = rb"\btypedef\b[^;{}()]*\(\s*\*\s*" + re.escape(name.encode()) + rb"\s*\)\s*\("
        pattern = re.compile(spelt)
        found = (self.text(path) or b"" for path in self._holding(here, name.encode()))
        return any(pattern.search(data) is not None for data in found)

    def generated(self, file: FileIndex) -> dict[str, list[Definition]]:
        """Return the functions that macros of a file define by pasting names."""
        known = self._generated.get(file.path)
        if known is not None:
            return known
        result: dict[str, list[Definition]] = {}
        self._generated[file.path] = result
        pastes = [found.start() for found in _PASTE.finditer(file.data)]
        for macro in file.macros_around(pastes) if pastes else ():
            if macro.parameters and _BUILDS.search(macro.text) is not None:
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
        for at in places(file.data, macro.name.encode()):
            given = _GIVEN.match(file.data, at + len(macro.name))
            if given is None or not opens_line(file.data, at) or file.in_body(at):
                continue
            arguments = split_arguments(given[1].decode("utf-8", "replace"))
            body = expand(macro, arguments)
            if body is None:
                continue
            inner = scan(file.path, body.encode(), self.target.options)
            line = file.line(at)
            for name, definitions in inner.functions.items():
                for one in definitions:
                    result.setdefault(name, []).append(
                        Definition(
                            "function", name, file.path, line, at, one.text,
                            (), None, generated=True,
                        )
                    )  # fmt: skip

    def node(self, definition: Definition) -> syntax.Node:
        """Parse a definition and return the node of its one item."""
        known = self._nodes.get(definition.text)
        if known is None:
            known = self._nodes[definition.text] = syntax.parse(_marked(definition.text))
        return known

    # -- who uses a name -----------------------------------------------------------------

    def watch(self, name: str) -> None:
        """Hear that every mention of a word counts; only an index that records makes use of it."""

    def users(self, name: str, only: str | None = None) -> Iterator[tuple[FileIndex, Definition]]:
        """Yield the functions of the target whose text holds a name, with their files.

        ONLY names the one file to look at.
        """
        word = name.encode()
        for path in self._own.get(word, ()) if only is None else (only,):
            file = self.file(path) if word in self.words_in(path) else None
            if file is None:
                continue
            for inside in dict.fromkeys(map(file.function_at, places(file.data, word))):
                for definition in file.functions.get(inside or "", ()):
                    if word in definition.text:
                        yield file, definition


_OF_A_TAG = re.compile(rb"\b(?:struct|union|enum)\s+\Z")


def _declarations(data: bytes, word: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and end of what looks like a declaration of a name, its semicolon aside.

    It begins on a line from which only words and stars lead to the name.
    """
    for at in places(data, word):
        rest = _DECLARED.match(data, at + len(word))
        lead = data[max(0, at - _LONGEST_LEAD) : at]
        if rest is None or _OF_A_TAG.search(lead) is not None:
            continue
        for line in _LINE.finditer(data, at - len(lead) + len(lead.rstrip(_LEAD)), at):
            words = _TYPE_WORDS.fullmatch(data, line.start(), at)
            if words is not None:
                yield words.start(1), rest.end() - 1


_QUALIFIER = re.compile(
    rb"\b__attribute__\s*\(\([^()]*(?:\([^()]*\))?[^()]*\)\)|\b(?:__rcu|__user|__iomem|__percpu|__force|__bitwise|__always_unused|__maybe_unused"
    rb"|__always_inline|noinline\w*|__init|__exit|__ref|__cold|__pure|__must_check|__weak"
    rb"|asmlinkage|__visible|notrace|noinstr|__read_mostly|__ro_after_init|__hot|__inline"
    rb"|__no_\w+|__flatten|____cacheline_aligned\w*|__cacheline_aligned\w*|__randomize_layout"
    rb"|__packed|__sched|__used|__deprecated|__private)\b"
    rb"|\b__aligned\s*\((?:[^()]|\([^()]*\))*\)"
    rb"|\b__free\(%s\)" % library.FREEING
)
_LAYS_NOTHING = re.compile(
    rb"__attribute__\s*\(\(\s*(?:__)?(?:unused|used|deprecated|bitwise|noderef)(?:__)?\s*\)\)"
    rb"|__(?:rcu|user|iomem|percpu|force|bitwise|always_unused|maybe_unused|must_check|private)"
    rb"|__(?:deprecated|used)"
)
"""What may be said of a record or of a member, and moves none of it."""
_LOCAL_RECORD = re.compile(rb"\b(?:struct|union|enum)\s*\w*\s*\{")
LAID = b"/*\x01"
"""How a comment begins that stands for an annotation which may move members."""


_ASSIGNED = re.compile(
    rb"([\w>.\[\]()*-]*(?:->|\.|\*)[\w>.\[\]()-]*)\s*(?:(?:[-+|&^]|<<|>>)?=(?!=)|\+\+|--)"
)
"""What is stored to that is no variable by itself."""
_TAG_ARGUMENT = re.compile(rb"(,\s*)((?:struct|union)\s)(?=\s*\w+\s*[,)])")


def plain(text: bytes) -> bytes:
    """Return a definition without what the grammar does not know, lengths kept.

    These are annotations, and the word struct before a tag that is a macro's argument.
    """
    source = _QUALIFIER.sub(_blanked, text)
    return _TAG_ARGUMENT.sub(lambda match: match.group(1) + b" " * len(match.group(2)), source)


def _blanked(match: re.Match[bytes]) -> bytes:
    """Blank out an annotation, unless it may say what the text means."""
    listed = match[0][match[0].find(b"(") :] if match[0].startswith(b"__attribute") else b""
    is_harmless = library.ATTRIBUTES.issuperset(library.attributes(listed))
    return b" " * len(match[0]) if is_harmless else match[0]


def said_of_layout(text: bytes) -> list[bytes]:
    """Return the annotations in some text of a record that may move members."""
    return [one[0] for one in _QUALIFIER.finditer(text) if _LAYS_NOTHING.fullmatch(one[0]) is None]


def _marked(text: bytes) -> bytes:
    """Return a definition without what the grammar does not know; in records, with marks of it.

    What may move members is left behind there as a comment of the same length.
    """
    if _LOCAL_RECORD.search(text) is None:
        return plain(text)

    def mark(match: re.Match[bytes]) -> bytes:
        if _LAYS_NOTHING.fullmatch(match[0]) is not None or b"cleanup" in match[0]:
            return match[0]
        return LAID + b" " * (len(match[0]) - len(LAID) - 2) + b"*/"

    return plain(_QUALIFIER.sub(mark, text))


def stands_for(index: Index, name: str, here: str, pattern: re.Pattern[bytes]) -> bool:
    """Tell whether a macro, or one that it names, holds what a pattern finds."""
    todo, seen = [name], {name}
    while todo:
        for macro in index.macros(todo.pop(), here):
            if pattern.search(macro.text) is not None:
                return True
            words = {one.decode() for one in re.findall(rb"[A-Za-z_]\w*", macro.text)}
            todo += words - seen
            seen |= words
    return False


def is_weak(definition: Definition) -> bool:
    """Tell whether the linker takes another definition of a function, where there is one."""
    return b"weak" in definition.text.partition(b"{")[0]


def is_decided(found: Iterable[Definition]) -> bool:
    """Tell whether one of some definitions is compiled, whatever the conditions around them.

    Where none may be, another one may lie elsewhere: what a C file falls back on is not what a
    header has defined.
    """
    return _is_exhausted({one.conditions for one in found})


def _is_exhausted(ways: Set[Conditions]) -> bool:
    """Tell whether one of some lists of conditions holds, whichever of them do."""
    if () in ways or not ways:
        return bool(ways)
    if len(ways) > MAX_WAYS:
        return False
    words = min(way[0][0] for way in ways)
    return all(
        _is_exhausted(
            {
                tuple(one for one in way if one != (words, truth))
                for way in ways
                if (words, not truth) not in way
            }
        )
        for truth in (False, True)
    )


def _rarely(kind: str, word: bytes, text: bytes) -> bool:
    """Tell whether a text may define a name in an unusual spelling."""
    if kind == "enumerator":
        return b"enum" in text
    for at in places(text, word):
        if _BEHIND[kind].match(text, at + len(word)) is None:
            continue
        start = max(text.rfind(mark, 0, at) for mark in (b";", b"{", b"}")) + 1
        if kind != "record" or _TAGGED.search(text, start, at) is not None:
            return True
    return False


def is_static(definition: Definition) -> bool:
    """Tell whether a function has internal linkage."""
    head = definition.text.split(b"{", 1)[0]
    return re.search(rb"\bstatic\b", head) is not None


def calls(text: bytes) -> frozenset[str]:
    """Return the names that are called, or look called, in a piece of C."""
    found = set(_CALL_BACKWARDS.findall(strip_comments(text)[::-1]))
    return frozenset(name[::-1].decode() for name in found) - _KEYWORDS


def split_arguments(source: str) -> list[str]:
    """Split macro arguments at the commas outside parentheses."""
    # One byte for each letter, so that places in it are those in the source.
    ends = [*commas(source.encode("ascii", "replace")), len(source)]
    starts = [0, *(end + 1 for end in ends)]
    return [source[start:end].strip() for start, end in zip(starts, ends, strict=False)]


def parameters(function: Definition) -> list[str]:
    """Return the parameters of a function as they are declared, or the names of a macro's."""
    if function.kind == "macro":
        return [*(function.parameters or ())]
    head = strip_comments(function.text.partition(b"{")[0]).decode("utf-8", "replace")
    return split_arguments(head[head.find(function.name) :].partition("(")[2].rpartition(")")[0])


def parameter_names(function: Definition) -> list[str]:
    """Return the names of the parameters of a function; an empty one where there is none."""
    return [(re.findall(r"\w+", one) or [""])[-1] for one in parameters(function)]


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
    if "#" in body:
        body = re.sub(r"\s*##\s*", "\x00", body)
        body = re.sub(
            r"(?<![\x00#])#\s*(\w+)",
            lambda m: '"' + values[m[1]].replace('"', "'") + '"' if m[1] in values else m.group(),
            body,
        )
    body = re.sub(r"[A-Za-z_]\w*", lambda m: values.get(m.group(), m.group()), body)
    return body.replace("\x00", "")
