# SPDX-License-Identifier: GPL-2.0-only
"""Every mention of a member in the text of a target, and what is done with it there.

In: an index, the types, and for each member the records that it matters in.  Out: mentions,
found by word whatever the syntax around them.  A mention is a declaration, a variable of the
same name, a read, a store, or open: what is not recognised is open.  Two questions in
``queries/`` say what a read is; nothing says what a danger is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Literal, NamedTuple

from patchtool.c import brackets, library, syntax
from patchtool.c.brackets import UNQUOTED
from patchtool.c.index import Index, expand, plain
from patchtool.c.layout import (
    ArrayType,
    CType,
    PointerType,
    RecordType,
    Settled,
    Types,
    UnknownType,
    base_type,
    settled,
)
from patchtool.c.scan import WORDS, Definition, FileIndex, first_of_line, places
from patchtool.c.syntax import Node, text
from patchtool.model import Place
from patchtool.world.accounts.events import Part, part_of_event
from patchtool.world.circular import Circular

SHARED = "shares its place with other members, in a union"
ALONE = "is named, and is no variable here"
Kind = Literal["declaration", "variable", "read", "store", "open"]

_WHOLE = "it is all that a macro stands for"
"""Of a mention in what a macro amounts to: what matters is what is done with the call."""
_SIZED = ("pointer_expression", "parenthesized_expression", "subscript_expression")
"""What may stand around an object within ``sizeof``, which evaluates none of it."""
MEASURED = "its size is read, and nothing of it"
"""Of a mention that is not evaluated."""
MAX_EXPANSIONS = 6
"""How deep macros are followed that are given a mention."""
MAX_STEPS = 24
"""How many calls and members a type is followed through."""

_DEFINE = re.compile(rb"[ \t]*#[ \t]*define[ \t]+(\w+)")
_DIRECTIVE = re.compile(rb"^[ \t]*#.*$", re.M)
_INCLUDED = re.compile(rb'[ \t]*#[ \t]*include[ \t]*(?:"[^">]*|<[^">]*)')
_LINE_OF_BLANKS = re.compile(rb"\s*else\b")
_WRAPPINGS = (
    (b"void f(void) { (", b"); }"),
    (b"void f(void) { ", b"; }"),
    (b"", b";"),
    (b"struct s v = ", b";"),
    (b"struct s v = { ", b" };"),
)
"""Where what a macro stands for may be: an expression, statements, a definition, and values."""
_OFFSET = re.compile(rb"\boffsetof\s*\(\s*((?:struct|union)\s+\w+)\s*,\s*([\w.\[\]]+)\s*\)")
_TOLD_APART = re.compile(rb"[ \t]*#[ \t]*(?:undef|ifdef|ifndef)[ \t]+(\w+)")
_HOLDERS = ("field_expression", "subscript_expression")


class Mention(NamedTuple):
    """One mention of a member, or of a macro that stands for one."""

    place: Place
    name: str
    kind: Kind
    what: str
    """The expression as it stands: the object, and what of it."""
    below: tuple[str, ...] = ()
    """The members below the one that is named."""
    context: str = ""
    """The member of the host that holds it, where the expression names it."""
    value: str = ""
    """What is stored, where that is all that is stored."""
    function: Definition | None = None
    """The function, or the macro, around it."""
    reason: str = ""
    """What is not understood, of an open one; of a read one, what is peculiar to it."""

    @property
    def is_idle(self) -> bool:
        """Whether it leaves the member as it is."""
        return self.kind in ("read", "declaration", "variable")


class Mentions:
    """The mentions of the members of one tree, found when they are asked for."""

    def __init__(self, index: Index, types: Types, owners: Mapping[str, frozenset[str]]) -> None:
        """OWNERS gives, for each member, the tags of the records in which it matters.

        A name with no tag is that of an object of file scope.
        """
        self.index, self.types, self._owners = index, types, owners
        self._found: dict[str, tuple[Mention, ...]] = {}
        self._declared: dict[int, dict[str, list[tuple[Node, Node]]]] = {}
        self._roots: dict[int, Node] = {}
        self._macro_words: dict[bytes, frozenset[bytes] | None] = {}
        """The words of macros; none of what is no macro."""
        self._readers = Circular[tuple[tuple[str, str, int], int, str], bool](True)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The files that make up the text, and the headers that it includes, each once."""
        target, source = self.index.target, self.index.source
        generic = [path for folder in target.generic for path in source.walk(folder)]
        ours = (*self.index.own_files, *(p for p in generic if p.endswith((".c", ".h"))))
        found = dict.fromkeys((target.header, *ours))
        near = target.built_from
        todo = list(found)
        for path in todo:
            for one in self.index.included(path):
                if one not in found:
                    found[one] = None
                    if one.startswith(near):
                        todo.append(one)
        return tuple(found)

    @cached_property
    def _near(self) -> tuple[str, ...]:
        """The files of its own: the kernel's macros name no variable that they are not given."""
        return tuple(path for path in self.files if path.startswith(self.index.target.built_from))

    def of(self, name: str) -> tuple[Mention, ...]:
        """Return the mentions of one member, those of macros that stand for it included."""
        known = self._found.get(name)
        if known is None:
            known = self._found[name] = tuple(self._search(name))
        return known

    def know(self, found: Mapping[str, tuple[Mention, ...]]) -> None:
        """Take over mentions that were found before, in a text that is the same."""
        self._found.update(found)

    def owners(self, name: str) -> frozenset[str]:
        """Return the tags of the records in which a member matters."""
        return self._owners.get(name, frozenset())

    def _search(self, name: str) -> Iterator[Mention]:
        todo, seen = [name], {name}
        while todo:
            word = todo.pop()
            spelt = word.encode()
            for path in self.files:
                if spelt not in (self.index.raw(path) or b""):
                    continue
                file = self.index.file(path)
                for at in places(file.data, spelt) if file is not None else ():
                    assert file is not None
                    site = _Site(self, file, at, word, name)
                    yield site.mention()
                    if site.stands_for is not None and site.stands_for not in seen:
                        seen.add(site.stands_for)
                        todo.append(site.stands_for)

    def node_of(self, mention: Mention) -> Node | None:
        """Return the smallest node around a mention in a function; None where it is in none."""
        function, file = mention.function, self.index.file(mention.place.file)
        if function is None or function.kind != "function" or file is None:
            return None
        at = file.offset(mention.place.line, mention.place.column) - function.start
        return self.index.node(function).descendant_for_byte_range(at, at)

    def is_of_another(self, mention: Mention) -> bool:
        """Tell whether a mention in a function is known to be one of another record's member."""
        function, place = mention.function, mention.place
        file = self.index.file(place.file)
        if function is None or function.kind != "function" or file is None:
            return False
        at = file.offset(place.line, place.column)
        root = self.index.node(function)
        leaf = _leaf(root, at - function.start, len(mention.name))
        outer = leaf.parent
        if text(leaf) != mention.name or outer is None or outer.type != "field_expression":
            return False
        return _Site(self, file, at, mention.name, mention.name).is_elsewhere(outer, root)

    # -- types -------------------------------------------------------------------------------

    def is_array(self, name: str, below: tuple[str, ...], file: str) -> bool:
        """Tell whether what a name leads to is, or may be, an array: its name is an address.

        It is a member, or an object that is named in a file.
        """
        starts: list[tuple[CType, tuple[str, ...]]] = [
            (self.types.record(f"struct {tag}", self.index.target.header), (name, *below))
            for tag in self.owners(name)
        ]
        if not starts:
            starts = [(one, below) for one in self.of_file_scope(name, file)]
        for here, path in starts:
            for step in path:
                if step == "[]" and isinstance(here, ArrayType):
                    here = here.element
                elif isinstance(here, RecordType) and step in here.by_name:
                    here = here.by_name[step][1]
                else:
                    break
            else:
                if isinstance(here, ArrayType):
                    return True
        return False

    def variables(self, root: Node) -> dict[str, list[tuple[Node, Node]]]:
        """Return the declarations below a node by name: type and declarator of each."""
        known = self._declared.get(root.id)
        if known is None:
            known = self._declared[root.id] = _declarations(root)
            self._roots[root.id] = root
        return known

    def type_of(self, node: Node, root: Node, here: str, steps: int = 0) -> CType:
        """Return the type of an expression; an unknown type where that is not plain."""
        unknown = UnknownType("")
        if steps > MAX_STEPS:
            return unknown
        kind = node.type
        if kind == "parenthesized_expression" and len(node.named_children) == 1:
            return self.type_of(node.named_children[0], root, here, steps + 1)
        if kind == "identifier":
            found = self.variables(root).get(text(node), [])
            kinds = [self.declared_type(*one, here, root, steps + 1) for one in found]
            if not kinds and not root.has_error:
                kinds = [_decayed(one) for one in self.of_file_scope(text(node), here)]
            return kinds[0] if kinds and all(k == kinds[0] for k in kinds) else unknown
        if kind == "field_expression":
            base, field = (node.child_by_field_name(n) for n in ("argument", "field"))
            assert base is not None and field is not None
            held = self.type_of(base, root, here, steps + 1)
            if isinstance(held, PointerType):
                held = settled(held.target)
            if isinstance(held, RecordType) and text(field) in held.by_name:
                return held.by_name[text(field)][1]
            return unknown
        if kind == "subscript_expression":
            base = node.child_by_field_name("argument")
            held = unknown if base is None else self.type_of(base, root, here, steps + 1)
            if isinstance(held, ArrayType):
                return held.element
            return settled(held.target) if isinstance(held, PointerType) else unknown
        if kind == "pointer_expression":
            base, operator = (node.child_by_field_name(n) for n in ("argument", "operator"))
            assert base is not None and operator is not None
            held = self.type_of(base, root, here, steps + 1)
            if operator.type == "&":
                return PointerType(held)
            return settled(held.target) if isinstance(held, PointerType) else unknown
        if kind == "cast_expression":
            return self._described(node.child_by_field_name("type"), here)
        if kind == "call_expression":
            return self._returned(node, here)
        return unknown

    def of_file_scope(self, name: str, here: str) -> list[CType]:
        """Return the type of the object of file scope that a name means, none for a macro."""
        if self.index.macros(name, here):
            return []
        stored = self.index.objects(name, here)
        if stored:
            head = plain(stored[0].text.partition(b"=")[0])
            file, declared = stored[0].file, head.decode("utf-8", "replace")
        else:
            found = self.index.declaration(name, here)
            if found is None:
                return []
            file, _, declared = found
        return self.types.declared_in(declared, name, file)

    def declared_type(
        self, base: Node, declarator: Node, here: str, root: Node | None = None, steps: int = 0
    ) -> CType:
        """Return the type of a value of what a declaration declares, below a ROOT."""
        known: Settled | None = None
        expression = syntax.measured(base) if root is not None else None
        if expression is not None and root is not None:
            known = Settled(self.type_of(expression, root, here, steps))
        base_of = known or base_type(self.types, base, here)
        return _decayed(self.types.declared(declarator, base_of, here)[1])

    def is_taken_by_reader(self, given: Node, file: FileIndex, name: str) -> bool:
        """Tell whether an expression is an argument by which its callee only reads.

        NAME is the member whose address it is.
        """
        listed = given.parent
        call = listed.parent if listed is not None else None
        if listed is None or call is None or listed.type != "argument_list":
            return False
        callee = call.child_by_field_name("function")
        arguments = syntax.inner(listed)
        called = self.called(callee, file) if callee is not None else ()
        number = arguments.index(given)
        if callee is not None and not called and not self.has_own(text(callee), file.path):
            return number in library.READING.get(text(callee), ())
        return bool(called) and all(self._only_reads(one, number, name) for one in called)

    def is_shown(self, given: Node, here: str) -> bool:
        """Tell whether an address is given to what makes a file of it that nobody may write."""
        listed = given.parent
        call = listed.parent if listed is not None else None
        callee = call.child_by_field_name("function") if call is not None else None
        if listed is None or callee is None or listed.type != "argument_list":
            return False
        arguments = syntax.inner(listed)
        name, words = text(callee), [text(one) for one in arguments]
        return library.only_shows(name, arguments.index(given), words) and not (
            self.index.defines(name, here)
        )

    def has_own(self, name: str, here: str) -> bool:
        """Tell whether the files of the target define a macro of a name."""
        ours = self.index.target.ours
        return any(one.file.startswith(ours) for one in self.index.macros(name, here))

    def called(self, callee: Node, file: FileIndex) -> tuple[Definition, ...]:
        """Return the functions that a call may run; none where that is not known.

        One of a template is called by what a macro makes of its name: FNAME(walk)(...).
        """
        if callee.type == "identifier":
            name = text(callee)
            if self.index.macros(name, file.path):
                return ()
            return self.index.functions(name, file.path)
        inner = callee.child_by_field_name("function") if callee.type == "call_expression" else None
        if inner is None or inner.type != "identifier":
            return ()
        spelt = text(callee).replace(" ", "").encode()
        ones = file.functions.get(text(inner), ())
        heads = ((one, b"".join(one.text.partition(b"{")[0].split())) for one in ones)
        return tuple(one for one, head in heads if spelt + b"(" in head)

    def _only_reads(self, function: Definition, number: int, name: str) -> bool:
        """Tell whether a function only reads behind one of its parameters."""

        def find() -> bool:
            root = self.index.node(function)
            node = syntax.function(root)
            declared = _parameter(node, number) if node is not None else None
            variable = _declared_name(declared) if declared is not None else None
            return (
                declared is not None
                and variable is not None
                and _is_pointer(declared)
                and len(self.variables(root).get(variable, ())) == 1
                and self.reads_behind(function, root, variable, name)
            )

        return self._readers.of((function.key, number, name), find)

    def parameter(self, root: Node, number: int) -> str | None:
        """Return the name of one of the parameters of a function that is declared once."""
        node = syntax.function(root)
        declared = _parameter(node, number) if node is not None else None
        name = _declared_name(declared) if declared is not None else None
        return name if name is not None and len(self.variables(root).get(name, ())) == 1 else None

    def is_named_by_macro(self, function: Definition, variable: str) -> bool:
        """Tell whether a macro that a function uses names one of its variables by itself."""
        return any(True for _ in self.macros_naming(function, variable))

    def macros_naming(self, function: Definition, variable: str) -> Iterator[Definition]:
        """Yield the macros that a function uses and that name one of its variables."""
        word = variable.encode()
        todo, seen = set(function.text.translate(WORDS).split()), {word}
        while todo:
            one = todo.pop()
            seen.add(one)
            if one not in self._macro_words:
                self._macro_words[one] = self.index.macro_words(one, self._near)
            inner = self._macro_words[one]
            if inner is None:
                continue
            if word in inner:
                for macro in self.index.macros(one.decode(), function.file):
                    if variable not in (macro.parameters or ()):
                        yield macro
            todo |= inner - seen

    def reads_behind(self, function: Definition, root: Node, variable: str, name: str) -> bool:
        """Tell whether all that a function does with a pointer to a member is to read by it.

        It may hand the pointer on to one of which that is true as well.
        """
        file = self.index.file(function.file)
        if root.has_error or file is None or b"define" in function.text:
            return False
        if self.is_named_by_macro(function, variable):
            return False
        site = _Site(self, file, function.start, variable, name)
        for leaf in syntax.descendants(root):
            if leaf.named_children or text(leaf) != variable or leaf.type == "field_identifier":
                continue
            if _is_declared(leaf):
                continue
            outer = leaf.parent
            if outer is not None and outer.type == "assignment_expression":
                left = outer.child_by_field_name("left")
                if left == leaf and _stored(outer) and _is_statement(outer):
                    continue  # the pointer, and nothing behind it
            if outer is not None and outer.type == "argument_list":
                if self.is_taken_by_reader(leaf, file, name):
                    continue
            if leaf.type != "identifier" or outer is None or outer.type != "field_expression":
                return False
            if site.behind(leaf, root).kind != "read":
                return False
        return True

    def _described(self, node: Node | None, here: str) -> CType:
        base = node.child_by_field_name("type") if node is not None else None
        declarator = node.child_by_field_name("declarator") if node is not None else None
        if base is None:
            return UnknownType("")
        lazy = base_type(self.types, base, here)
        return lazy.type if declarator is None else self.types.declared(declarator, lazy, here)[1]

    def _returned(self, call: Node, here: str) -> CType:
        """Return the type of a call of a function that the target defines."""
        callee = call.child_by_field_name("function")
        name = text(callee) if callee is not None and callee.type == "identifier" else ""
        found = self.index.functions(name, here) if name else ()
        node = syntax.function(self.index.node(found[0])) if len(found) == 1 else None
        base = node.child_by_field_name("type") if node is not None else None
        declarator = node.child_by_field_name("declarator") if node is not None else None
        if base is None or declarator is None or self.index.macros(name, here):
            return UnknownType("")
        lazy = base_type(self.types, base, found[0].file)
        if declarator.type != "pointer_declarator":
            return lazy.type
        inner = declarator.child_by_field_name("declarator")
        if inner is None or inner.type == "pointer_declarator":
            return UnknownType("")
        return PointerType(lazy.pointee())


def _decayed(ctype: CType) -> CType:
    """Return the type that a value of some type has."""
    return PointerType(ctype.element) if isinstance(ctype, ArrayType) else ctype


def variable_type(types: Types, root: Node, name: str, here: str) -> CType:
    """Return the type of a variable that is declared once below a node."""
    found = [
        types.declared(declarator, base_type(types, base, here), here)[1]
        for base, declarator in _declarations(root).get(name, ())
    ]
    return found[0] if len(found) == 1 else UnknownType("")


def _declarations(root: Node) -> dict[str, list[tuple[Node, Node]]]:
    """Return the declarations below a node by name: type and declarator of each."""
    found: dict[str, list[tuple[Node, Node]]] = {}
    for node in syntax.descendants(root):
        if node.type not in ("parameter_declaration", "declaration"):
            continue
        base = node.child_by_field_name("type")
        for declarator in node.children_by_field_name("declarator"):
            name = _declared_name(declarator)
            if base is not None and name is not None:
                found.setdefault(name, []).append((base, declarator))
    return found


class _Site:
    """One place in one file where a word stands."""

    def __init__(self, book: Mentions, file: FileIndex, at: int, word: str, name: str) -> None:
        self._book, self._file, self._at = book, file, at
        self._word, self._name = word, name
        self._function: Definition | None = None
        self.stands_for: str | None = None
        """The macro around, where what it yields is the member itself."""

    def mention(self) -> Mention:
        """Tell what is done at this place."""
        file, at, data = self._file, self._at, self._file.data
        if file.is_blank(at):
            return self._made("variable", self._word)  # not compiled
        for one in file.functions_around(at):
            self._function = one
            return self._in_tree(self._book.index.node(one), at - one.start)
        define = self._define()
        if define is not None:
            return self._in_macro(define)
        if self._word != self._name and self._is_told_apart():
            return self._made("declaration", self._word)
        if any(one.holds(at) for group in file.records.values() for one in group):
            return self._in_record()
        for one in file.objects_around(at):
            return self._in_tree(self._book.index.node(one), at - one.start)
        if any(one.holds(at) for one in file.enums):
            return self._made("declaration", self._word)
        if _INCLUDED.fullmatch(data, data.rfind(b"\n", 0, at) + 1, at) is not None:
            return self._made("variable", self._word)  # of the name of a file
        start = max(data.rfind(b";", 0, at), data.rfind(b"}", 0, at)) + 1
        end = data.find(b";", at)
        piece = plain(data[start : end + 1 or len(data)])
        root = syntax.parse(_DIRECTIVE.sub(_blanks, piece) if b"#" in piece else piece)
        leaf = _leaf(root, at - start, len(self._word))
        if not root.has_error and _is_declared(leaf):
            return self._made("declaration", self._word)
        part = part_of_event(data, at, self._word.encode())
        if part is None or self._word != self._name or self._has_own("TP_PROTO"):
            return self._in_piece()
        return self._in_event(part)

    def is_elsewhere(self, mention: Node, root: Node) -> bool:
        """Tell whether a member is known to be one of another record."""
        return self._is_elsewhere(mention, root)()

    def behind(self, pointer: Node, root: Node) -> Mention:
        """Tell what is done behind a pointer to the member, which is the word of this site."""
        return self._followed(pointer, root, 1, lambda: False)

    def _in_event(self, part: Part) -> Mention:
        """Judge a mention in the definition of a trace event."""
        if not part.source:
            return self._made("variable", self._word)
        root = syntax.parse(plain(part.source))
        leaf = _leaf(root, part.at, len(self._word))
        is_broken = root.has_error and _is_broken_around(leaf)
        return self._in_piece() if is_broken else self._judged(leaf, root)

    def _made(
        self,
        kind: Kind,
        what: str,
        below: tuple[str, ...] = (),
        context: str = "",
        reason: str = "",
    ) -> Mention:
        data, at = self._file.data, self._at
        line = self._file.line(at)
        column = at - data.rfind(b"\n", 0, at)
        inside = self._function.name if self._function is not None else ""
        place = Place(self._file.path, line, column, inside)
        words = " ".join(what.split())
        return Mention(place, self._name, kind, words, below, context, "", self._function, reason)

    def _open(self, what: str, reason: str, context: str = "") -> Mention:
        return self._made("open", what, (), context, reason)

    # -- where the word stands ---------------------------------------------------------------

    def _in_record(self) -> Mention:
        """Judge a declaration: what lies in the place of the member may change it."""
        data, at = self._file.data, self._at
        if brackets.is_in_union(data, at):
            around = brackets.record_around(data, at)
            if around is not None and around.decode() in self._book.owners(self._name):
                return self._open(self._word, f"{self._word} {SHARED}")
        return self._made("declaration", self._word)

    def _define(self) -> Definition | None:
        """Return the macro in whose definition the word stands."""
        start = first_of_line(self._file.data, self._at)
        found = _DEFINE.match(self._file.data, start)
        if found is None:
            return None
        macros = self._file.macros(found[1].decode())
        return next((m for m in macros if start <= m.start <= self._at), None)

    def _is_told_apart(self) -> bool:
        """Tell whether a directive takes back the macro that is named, or asks for it."""
        start = self._file.data.rfind(b"\n", 0, self._at) + 1
        found = _TOLD_APART.match(self._file.data, start)
        return found is not None and found.start(1) == self._at

    def _in_macro(self, macro: Definition) -> Mention:
        """Judge a mention in the body of a macro, the pasting of names left out."""
        self._function = macro
        if self._word == macro.name:
            if self._word == self._name and macro.parameters is None:
                return self._open(self._word, f"{self._word} is a macro as well as a member")
            return self._made("declaration", self._word)
        if macro.name in library.PATHS:
            return self._made("variable", self._word)
        body = _spelt_out(plain(re.sub(rb"\s*##\s*", b"", macro.text).replace(b"\n", b" ")))
        for before, behind in _WRAPPINGS:
            source = before + body + behind
            root = syntax.parse(source)
            if root.has_error:
                continue
            found = self._made("variable", self._word)  # one of the parameters
            for at in places(source, self._word.encode()):
                one = self._judged(_leaf(root, at, len(self._word)), root)
                if _gravity(one) > _gravity(found):
                    found = one
            return found
        return self._open(macro.name, f"the macro {macro.name} is not understood")

    def _in_tree(self, root: Node, at: int) -> Mention:
        leaf = _leaf(root, at, len(self._word))
        if leaf.type == "preproc_arg":
            define = self._define()
            return self._in_macro(define) if define is not None else self._in_piece()
        if root.has_error and _is_broken_around(leaf):
            return self._in_piece()
        return self._judged(leaf, root)

    def _in_piece(self) -> Mention:
        """Judge a mention by the text between the nearest semicolons and braces."""
        data, at = self._file.data, self._at
        start = max(data.rfind(mark, 0, at) for mark in (b";", b"{", b"}")) + 1
        ends = [data.find(mark, at) for mark in (b";", b"{", b"}")]
        end = min((one for one in ends if one >= 0), default=len(data))
        lead = _LINE_OF_BLANKS.match(data, start, end)
        start = start if lead is None else lead.end()
        one, other = _element(data, start, at, end)
        tries = (
            (start, end, _WRAPPINGS[1]),
            (start, end, _WRAPPINGS[-1]),
            (one, other, _WRAPPINGS[-1]),
        )
        for start, end, (before, behind) in tries:
            source = before + plain(data[start:end]) + behind
            root = syntax.parse(source)
            if not root.has_error:
                within = at - start + len(before)
                return self._judged(_leaf(root, within, len(self._word)), root)
        return self._open(self._word, "the text around it cannot be parsed")

    # -- what is done with it ----------------------------------------------------------------

    def _judged(self, leaf: Node, root: Node, depth: int = 0) -> Mention:
        """Tell what an expression does with the member that one of its words names."""
        parent = leaf.parent
        if parent is None:
            return self._open(text(leaf), "the text around it cannot be parsed")
        if syntax.is_coded(leaf):
            return self._made("read", self._word)  # of which the type alone is taken
        if text(leaf) != self._word and (leaf.named_children or leaf.type.endswith("identifier")):
            return self._open(text(leaf), "the text around it cannot be parsed")
        if leaf.type in ("string_content", "string_literal", "statement_identifier", "comment"):
            return self._made("variable", self._word)
        if _is_declared(leaf):
            return self._made("declaration", self._word)
        is_object = not self._book.owners(self._name)
        if leaf.type == "field_identifier" and is_object:
            return self._made("variable", self._word)
        if leaf.type == "field_identifier" and parent.type == "field_expression":
            return self._followed(parent, root, depth, self._is_elsewhere(parent, root))
        if leaf.type == "field_identifier" and parent.type == "field_designator":
            return self._designated(parent)
        if self._is_part_of_a_name(leaf):
            return self._made("variable", self._word)
        if leaf.type != "identifier":
            return self._open(text(parent), f"{_spelt(parent)} is not understood")
        if self._word != self._name:  # a macro that stands for the member
            is_called = parent.type == "call_expression" and parent.children[0] == leaf
            return self._followed(parent if is_called else leaf, root, depth, lambda: False)
        if parent.type == "argument_list" and parent.parent is not None:
            is_left_alone = self._is_reading(parent.parent, leaf)
            given = None if is_left_alone else self._named_to_macro(parent.parent, depth)
            if given is not None and given.reason == _WHOLE:
                return self._followed(parent.parent, root, depth, lambda: False)
            if given is not None:
                return given
        if text(leaf) in self._book.variables(root) and self._function is not None:
            return self._made("variable", self._word)
        if self._function is not None and text(leaf) in (self._function.parameters or ()):
            return self._made("variable", self._word)
        if is_object:
            return self._followed(leaf, root, depth, lambda: False)
        if self._is_function(leaf, parent):
            return self._made("variable", self._word)
        return self._open(text(parent), f"{self._word} {ALONE}")

    def _is_part_of_a_name(self, leaf: Node) -> bool:
        """Tell whether a macro makes another name of a word, in a declaration: FNAME(word)(...)."""
        one = leaf.parent
        listed = one.parent if one is not None and one.type == "parameter_declaration" else None
        outer = listed.parent if listed is not None else None
        if one is None or listed is None or outer is None or outer.type != "function_declarator":
            return False
        callee = outer.child_by_field_name("declarator")
        if text(one) != self._word or callee is None or callee.type != "identifier":
            return False
        given = [text(n) for n in syntax.inner(listed)]
        return self._are_lost(self._macros(text(callee)), given)

    def _are_lost(self, macros: tuple[Definition, ...], given: list[str]) -> bool:
        """Tell whether there are macros, and none stands for text with the word in it."""
        made = [expand(one, given) if one.parameters is not None else None for one in macros]
        word = self._word.encode()
        return bool(made) and all(
            one is not None and not any(True for _ in places(one.encode(), word)) for one in made
        )

    def _is_function(self, leaf: Node, parent: Node) -> bool:
        """Tell whether a name is that of a function, which is named, called, or handed on.

        In a macro it may be what follows an arrow, and so it may where one takes it that is
        not known.
        """
        word, here = text(leaf), self._file.path
        if self._function is None or self._function.kind != "function" or self._macros(word):
            return False
        if not self._book.index.functions(word, here):
            return False
        if parent.type != "argument_list" or parent.parent is None:
            return True
        callee = parent.parent.child_by_field_name("function")
        if callee is None or callee.type != "identifier":
            return True
        name = text(callee)
        return bool(self._book.index.functions(name, here)) and not self._macros(name)

    def _followed(
        self, first: Node, root: Node, depth: int, is_elsewhere: Callable[[], bool]
    ) -> Mention:
        """Go from a mention outwards until its use is known."""
        below: list[str] = []
        here = first
        while here.parent is not None:
            outer = here.parent
            if outer.type == "parenthesized_expression" and outer.named_child_count == 1:
                here = outer
            elif outer.type in _HOLDERS and outer.child_by_field_name("argument") == here:
                field = outer.child_by_field_name("field")
                below.append(text(field) if field is not None else "[]")
                here = outer
            else:
                break
        what, path, context = text(here), tuple(below), self._context(first)
        outer_most, is_value = here.parent, False
        if outer_most is None:
            return self._open(what, "the text around it cannot be parsed")
        if outer_most.type == "assignment_expression" and outer_most.children[0] == here:
            one = self._made("store", what, path, context)
            # Behind a macro it may be a part of the member that is stored to.
            value = _stored(outer_most) if self._word == self._name else ""
            return self._unless(is_elsewhere, one._replace(value=value))
        if outer_most.type == "update_expression":
            return self._unless(is_elsewhere, self._made("store", what, path, context))
        if not depth and _is_sized(here):
            return self._made("read", what, path, context, MEASURED)
        if stored := self._once(here):
            one = self._made("store", what, path, context)
            return self._unless(is_elsewhere, one._replace(value=stored))
        if self._book.is_array(self._name, path, self._file.path) and not self._is_measured(here):
            one = self._open(what, f"{what} is an array, and its address is used", context)
            one = one._replace(below=path)
            return self._unless(is_elsewhere, one)
        in_macro = self._function is not None and self._function.kind == "macro"
        while True:
            if not is_value and _is_whole(here):
                if depth:
                    return self._made("read", what, path, context, _WHOLE)
                if in_macro:
                    assert self._function is not None
                    self.stands_for = self._function.name
                    return self._made("read", what, path, context)
            use, taker, callee = self._use(here)
            if use == "value" and taker is not None:
                here, is_value = taker, True
                continue
            if use == "read":
                return self._made("read", what, path, context)
            if use == "argument" and taker is not None and callee is not None:
                reason = self._given(taker, callee, depth)
                if reason is None:
                    return self._made("read", what, path, context)
                if reason == _WHOLE:
                    return self._followed(taker, root, depth, is_elsewhere)
                one = self._open(what, reason, context)._replace(below=path)
                return self._unless(is_elsewhere, one)
            if not depth and self._is_zeroed(here, root):
                one = self._made("store", what, path, context)
                return self._unless(is_elsewhere, one._replace(value="0"))
            if not path and not depth and self._is_only_read_through(here, root):
                return self._made("read", what, path, context)
            if self._is_given_to_reader(here, bool(path)):
                return self._made("read", what, path, context)
            one = self._open(what, _why(here, what), context)._replace(below=path)
            return self._unless(is_elsewhere, one)

    def _is_measured(self, here: Node) -> bool:
        """Tell whether only the size of an array is asked for: its elements, or its bytes."""
        outer = here.parent
        while outer is not None and outer.type == "parenthesized_expression":
            outer = outer.parent
        if outer is not None and outer.type == "sizeof_expression":
            return True
        call = outer.parent if outer is not None and outer.type == "argument_list" else None
        callee = call.child_by_field_name("function") if call is not None else None
        if callee is None or text(callee) != "ARRAY_SIZE":
            return False
        return not self._has_own("ARRAY_SIZE")

    def _is_zeroed(self, here: Node, root: Node) -> bool:
        """Tell whether a member is the object of ``memset(&member, 0, sizeof(member))``.

        The size may be that of its type as well.
        """
        address = here.parent
        listed = address.parent if address is not None else None
        call = listed.parent if listed is not None else None
        if call is None or call.type != "call_expression" or call.children[0].type != "identifier":
            return False
        assert address is not None and listed is not None
        name = text(call.children[0])
        given = syntax.inner(listed)
        if name not in ("memset", "__builtin_memset") or self._macros(name) or len(given) != 3:
            return False
        if given[0] != address or address.type != "pointer_expression" or text(given[1]) != "0":
            return False
        size = re.fullmatch(r"sizeof\s*\((.*)\)", text(given[2]), re.S)
        if size is not None and size[1].split() == text(here).split():
            return True
        named = given[2].child_by_field_name("type")
        ctype = self._book._described(named, self._file.path)
        return isinstance(ctype, RecordType) and (
            ctype == self._book.type_of(here, root, self._file.path)
        )

    def _once(self, here: Node) -> str:
        """Return what a statement ``WRITE_ONCE(member, value)`` stores, nothing for others."""
        call = here.parent.parent if here.parent is not None else None
        if call is None or call.type != "call_expression" or not _is_statement(call):
            return ""
        callee, given = text(call.children[0]), syntax.arguments(call)
        if callee != "WRITE_ONCE" or self._has_own(callee) or len(given) != 2 or given[0] != here:
            return ""
        return text(given[1]) if self._word == self._name else ""

    def _is_only_read_through(self, here: Node, root: Node) -> bool:
        """Tell whether a member's address is that of a local pointer behind which is only read.

        Every mention of the pointer has to lead on to a member that is read there.
        """
        address = here.parent
        holder = address.parent if address is not None else None
        if address is None or address.type != "pointer_expression" or address.children[0] == here:
            return False
        if holder is None or root.has_error or self._function is None:
            return False
        name = holder.child_by_field_name("left" if holder.type[0] == "a" else "declarator")
        if holder.type == "init_declarator" and name is not None:
            name = name.child_by_field_name("declarator")
        elif holder.type != "assignment_expression" or not (
            _stored(holder) and _is_statement(holder)
        ):
            return False
        if name is None or name.type != "identifier":
            return False
        declared = self._book.variables(root).get(text(name), ())
        if len(declared) != 1 or not _is_pointer(declared[0][1]):
            return False
        return self._book.reads_behind(self._function, root, text(name), self._name)

    def _is_given_to_reader(self, here: Node, is_part: bool) -> bool:
        """Tell whether the address of a member, or a part, goes to what only reads behind it."""
        address = here.parent
        if address is None or address.type != "pointer_expression" or address.children[0] == here:
            return False
        if address.children[0].type != "&":
            return False
        if self._book.is_shown(address, self._file.path):
            return True
        return not is_part and self._book.is_taken_by_reader(address, self._file, self._name)

    def _use(self, here: Node) -> tuple[str, Node | None, Node | None]:
        """Return what takes an expression: "read", "value" or "argument", and by which node."""
        outer = here.parent
        for _ in range(3):  # a pattern reaches no further: call, arguments, address
            if outer is None or (outer.type.endswith("_statement") and outer != here.parent):
                break
            for question in ("mention_use", "reading_macro"):
                for found in syntax.rooted(question, outer):
                    for use in ("read", "value", "argument"):
                        if here not in found.get(use, ()):
                            continue
                        callee = found.get("callee", [None])[0]
                        if question == "reading_macro" or (use == "read" and callee is not None):
                            if callee is None or self._has_own(text(callee)):
                                continue
                        elif use == "argument" and self._is_reading(outer, here):
                            return "read", outer, None
                        return use, outer, callee
            outer = outer.parent
        return "", None, None

    def _is_reading(self, call: Node, argument: Node) -> bool:
        """Tell whether a call is one of those that leave their arguments as they are."""
        callee = call.child_by_field_name("function")
        if callee is None or self._has_own(text(callee)):
            return False
        target = self._book.index.target
        if library.is_check(text(callee), target) or re.fullmatch(target.silent, text(callee)):
            return True
        return any(
            argument in found.get("read", ()) for found in syntax.rooted("reading_macro", call)
        )

    def _macros(self, name: str) -> tuple[Definition, ...]:
        """Return the macros of a name that the target and its headers define."""
        return self._book.index.macros(name, self._file.path)

    def _has_own(self, name: str) -> bool:
        """Tell whether the files of the target define a macro of a name."""
        return self._book.has_own(name, self._file.path)

    def _given(self, call: Node, callee: Node, depth: int) -> str | None:
        """Say why an argument of a call may be changed by it; None where it is not."""
        name = text(callee)
        macros = self._macros(name)
        if not macros:
            if self._book.index.functions(name, self._file.path):
                return None
            return f"it is given to {name}(), of which no definition was found"
        for macro in macros:
            one = self._expanded(macro, call, depth)
            if one is not None and one.kind != "read":
                return f"it is given to the macro {name}, which may store to it"
            if one is not None and one.reason == _WHOLE:
                return _WHOLE
        return None

    def _expanded(self, macro: Definition, call: Node, depth: int) -> Mention | None:
        """Judge what a macro does with a word among its arguments; None for nothing at all."""
        listed = call.child_by_field_name("arguments")
        given = listed.named_children if listed is not None else []
        arguments = [text(n) for n in given if n.type != "comment"]
        body = expand(macro, arguments) if macro.parameters is not None else None
        if body is None or depth >= MAX_EXPANSIONS:
            return self._open(macro.name, f"the macro {macro.name} is not understood")
        flat = _spelt_out(plain(body.replace("\n", " ").encode()))
        if not any(True for _ in places(flat, self._word.encode())):
            return None  # dropped, quoted, or part of another name
        for before, behind in _WRAPPINGS:
            source = before + flat + behind
            root = syntax.parse(source)
            if root.has_error:
                continue
            worst: Mention | None = None
            for at in places(source, self._word.encode()):
                one = self._judged(_leaf(root, at, len(self._word)), root, depth + 1)
                if worst is None or _gravity(one) > _gravity(worst):
                    worst = one
            return worst
        return self._open(macro.name, f"the macro {macro.name} is not understood")

    def _named_to_macro(self, call: Node, depth: int) -> Mention | None:
        """Judge a word that is an argument by itself: a macro may make a member of it."""
        callee = call.child_by_field_name("function")
        if callee is None or callee.type != "identifier":
            return None
        macros = self._macros(text(callee))
        for macro in macros:
            one = self._expanded(macro, call, depth)
            if one is not None and one.kind not in ("variable", "declaration"):
                return one
        return self._made("variable", self._word) if macros else None

    def _designated(self, designator: Node) -> Mention:
        """Judge ``.member = value`` in the initialiser of an object."""
        here: Node | None = designator.parent
        while here is not None and here.type in ("initializer_pair", "initializer_list"):
            here = here.parent
        ctype: CType = UnknownType("")
        path = self._file.path
        if here is not None and here.type == "compound_literal_expression":
            ctype = self._book._described(here.child_by_field_name("type"), path)
        elif here is not None and here.type == "init_declarator" and here.parent is not None:
            base = here.parent.child_by_field_name("type")
            if base is not None:
                ctype = self._book.declared_type(base, here, path)
        if isinstance(ctype, RecordType) and ctype.tag not in self._book.owners(self._name):
            if self._name in ctype.by_name:
                return self._made("variable", self._word)
        return self._open(text(designator), f"an object with {self._name} is initialised")

    # -- whose member it is ------------------------------------------------------------------

    def _unless(self, is_elsewhere: Callable[[], bool], mention: Mention) -> Mention:
        return mention._replace(kind="variable", reason="") if is_elsewhere() else mention

    def _is_elsewhere(self, mention: Node, root: Node) -> Callable[[], bool]:
        """Return what tells whether a member is known to be one of another record."""

        def answer() -> bool:
            base = mention.child_by_field_name("argument")
            assert base is not None
            held = self._book.type_of(base, root, self._file.path)
            if isinstance(held, PointerType):
                held = settled(held.target)
            return (
                isinstance(held, RecordType)
                and held.tag not in self._book.owners(self._name)
                and self._name in held.by_name
            )

        return answer

    def _context(self, mention: Node) -> str:
        """Return the member of the host that holds the object, as far as it is named."""
        base = mention.child_by_field_name("argument") if mention.type in _HOLDERS else None
        operator = mention.child_by_field_name("operator") if base is not None else None
        field = base.child_by_field_name("field") if base is not None else None
        return text(field) if field is not None and operator and operator.type == "." else ""


def _blanks(found: re.Match[bytes]) -> bytes:
    return b" " * len(found[0])


def _element(data: bytes, start: int, at: int, end: int) -> tuple[int, int]:
    """Return the part of a list around a place, from comma to comma."""
    for comma in brackets.commas(data, start, end, UNQUOTED):
        if comma >= at:
            return start, comma
        start = comma + 1
    return start, end


def _leaf(root: Node, at: int, length: int) -> Node:
    """Return the smallest node around a word."""
    return root.descendant_for_byte_range(at, at + length) or root


def _declared_name(declarator: Node) -> str | None:
    """Return the name that a declarator declares."""
    here: Node | None = declarator
    while here is not None:
        if here.type == "identifier":
            return text(here)
        inner = here.child_by_field_name("declarator")
        if inner is None and here.type == "parenthesized_declarator" and here.named_children:
            inner = here.named_children[0]
        here = inner
    return None


def _parameter(function: Node, number: int) -> Node | None:
    """Return the declarator of one of a function's parameters."""
    declarator = function.child_by_field_name("declarator")
    while declarator is not None and declarator.type != "function_declarator":
        declarator = declarator.child_by_field_name("declarator")
    listed = declarator.child_by_field_name("parameters") if declarator is not None else None
    ones = syntax.inner(listed)
    return ones[number].child_by_field_name("declarator") if number < len(ones) else None


def _is_pointer(declarator: Node) -> bool:
    """Tell whether what is declared is a pointer to what is no pointer itself."""
    if declarator.type == "init_declarator":
        inner = declarator.child_by_field_name("declarator")
        return inner is not None and _is_pointer(inner)
    inner = declarator.child_by_field_name("declarator")
    return (
        declarator.type == "pointer_declarator"
        and inner is not None
        and (inner.type == "identifier")
    )


def _spelt_out(text: bytes) -> bytes:
    """Write offsets of members as the addresses that they are, which the grammar knows."""
    return _OFFSET.sub(rb"(unsigned long)&((\1 *)0)->\2", text) if b"offsetof" in text else text


def _is_declared(leaf: Node) -> bool:
    """Tell whether a word is the name, or the type, that a declaration declares."""
    if leaf.type == "type_identifier":  # a tag; elsewhere the grammar may be mistaken
        return leaf.parent is not None and leaf.parent.type.endswith("_specifier")
    if leaf.parent is not None and leaf.parent.has_error:
        return False
    here = leaf
    while here.parent is not None:
        outer = here.parent
        if outer.type.endswith("declarator") and outer.type != "init_declarator":
            if here.type != "parameter_list" and outer.child_by_field_name("size") != here:
                here = outer
                continue
        if outer.type == "init_declarator" and outer.child_by_field_name("declarator") == here:
            here = outer
            continue
        declares = outer.type in ("declaration", "parameter_declaration", "field_declaration")
        return declares and here in outer.children_by_field_name("declarator")
    return False


def _is_broken_around(leaf: Node) -> bool:
    """Tell whether the grammar lost its way in the statement around a word."""
    here: Node | None = leaf
    while here is not None:
        if here.is_error:
            return True
        if here.type.endswith(("_statement", "declaration")) and here.type != "labeled_statement":
            return here.has_error and here.type != "compound_statement"
        here = here.parent
    return True


def _is_whole(node: Node) -> bool:
    """Tell whether an expression is all that a macro amounts to."""
    here = node
    while here.parent is not None and here.parent.type == "parenthesized_expression":
        here = here.parent
    outer = here.parent
    return outer is not None and outer.type == "expression_statement"


def _is_sized(node: Node) -> bool:
    """Tell whether of an object, or of what it leads to, no more than the size is asked for."""
    here = node.parent
    while here is not None and here.type in _SIZED:
        here = here.parent
    return here is not None and here.type == "sizeof_expression"


def _stored(assignment: Node) -> str:
    """Return what a plain assignment stores, nothing for one that computes with the old value."""
    operator, right = (assignment.child_by_field_name(n) for n in ("operator", "right"))
    return text(right) if operator is not None and right and operator.type == "=" else ""


def _is_statement(expression: Node) -> bool:
    """Tell whether an expression is a statement, so that nobody has its value."""
    return expression.parent is not None and expression.parent.type == "expression_statement"


def _spelt(node: Node) -> str:
    return node.type.replace("_", " ")


def _gravity(mention: Mention) -> int:
    """Return how much a mention among others decides about all of them."""
    if mention.kind == "read":
        return 2 if mention.reason == _WHOLE else 1
    return {"store": 3, "open": 4}.get(mention.kind, 0)


def _why(node: Node, what: str) -> str:
    """Say what stands around an expression that no pattern takes."""
    outer = node.parent
    if outer is not None and outer.type == "pointer_expression":
        return f"the address of {what} is taken"
    return f"{what} is used in a way that is not known to leave it alone"
