# SPDX-License-Identifier: GPL-2.0-only
"""One place in the text where a word stands, and what is done there with what it names.

In: the book that the place is noted in, a file, and the word.  Out: a mention.  Two questions in
``queries/`` say what a read is; nothing says what a danger is: what is not recognised is open.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

from patchtool.c import brackets, library, syntax
from patchtool.c.brackets import UNQUOTED
from patchtool.c.index import expand, parameter_names, plain
from patchtool.c.layout import (
    CType,
    PointerType,
    RecordType,
    UnknownType,
    settled,
)
from patchtool.c.scan import Definition, FileIndex, first_of_line, places
from patchtool.c.syntax import Node, text
from patchtool.model import Place
from patchtool.world.accounts.events import Part, part_of_event

if TYPE_CHECKING:
    from patchtool.world.accounts.mentions import Mentions

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
_LONGEST_LEAD = 120
_GIVEN_A_TYPE = re.compile(rb"\b(?:struct|union|typeof\w*|__typeof\w*)\b[^;{}]*,\s*\Z")
"""What stands before the name of a member that a macro is given behind a type."""
_OFFSET = re.compile(rb"\boffsetof\s*\(\s*((?:struct|union)\s+\w+)\s*,\s*([\w.\[\]]+)\s*\)")
_TOLD_APART = re.compile(rb"[ \t]*#[ \t]*(?:undef|ifdef|ifndef)[ \t]+(\w+)")
_IS_DEFINED = re.compile(rb"[ \t]*#[ \t]*(?:el)?if\b.*\bdefined[ \t]*\(?[ \t]*")
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


class Site:
    """One place in one file where a word stands."""

    def __init__(
        self,
        book: Mentions,
        file: FileIndex,
        at: int,
        word: str,
        name: str,
        above: tuple[str, ...] = (),
    ) -> None:
        """A WORD that stands for the member NAME, or for the part of it that ABOVE leads to."""
        self._book, self._file, self._at = book, file, at
        self._word, self._name, self._above = word, name, above
        self._function: Definition | None = None
        self.stands_for: str | None = None
        """The macro around, where what it yields is the member itself."""

    def mention(self) -> Mention:
        """Tell what is done at this place."""
        file, at, data = self._file, self._at, self._file.data
        if file.is_blank(at):
            return self._made("variable", self._word)  # not compiled
        is_foreign = self._is_foreign()
        for one in file.functions_around(at):
            self._function = one
            if is_foreign and not (
                self._may_name_member() and self._book.knows(file.path, self._name)
            ):
                return self._made("variable", self._word)
            return self._in_tree(self._book.index.node(one), at - one.start)
        define = self._define()
        if define is not None:
            return self._in_macro(define)
        if is_foreign and not self._may_name_member():
            return self._made("variable", self._word)
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
        leaf = leaf_at(root, at - start, len(self._word))
        if not root.has_error and is_declared(leaf):
            return self._made("declaration", self._word)
        part = part_of_event(data, at, self._word.encode())
        if part is None or self._word != self._name or self._has_own("TP_PROTO"):
            return self._in_piece()
        return self._in_event(part)

    def _is_foreign(self) -> bool:
        """Tell whether the name of a member stands in what is no text of the target."""
        target, owners = self._book.index.target, self._book.owners(self._name)
        is_ours = self._file.path.startswith(target.built_from)
        return bool(owners) and self._word == self._name and not is_ours

    def _may_name_member(self) -> bool:
        """Tell whether a word may be a member: behind an operator, or a type that is given."""
        data, at = self._file.data, self._at
        lead = data[max(0, at - _LONGEST_LEAD) : at].rstrip()
        behind = data[at + len(self._word) : at + len(self._word) + _LONGEST_LEAD].lstrip()
        return (
            lead.endswith((b".", b"->", b"##"))
            or behind.startswith(b"##")
            or _GIVEN_A_TYPE.search(lead) is not None
        )

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
        leaf = leaf_at(root, part.at, len(self._word))
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
        if found is not None and found.start(1) == self._at:
            return True
        return _IS_DEFINED.fullmatch(self._file.data, start, self._at) is not None

    def _in_macro(self, macro: Definition) -> Mention:
        """Judge a mention in the body of a macro, the pasting of names left out."""
        self._function = macro
        if self._word == macro.name:
            if self._word == self._name and macro.parameters is None:
                return self._open(self._word, f"{self._word} is a macro as well as a member")
            return self._made("declaration", self._word)
        given = parameter_names(macro)
        if macro.name in library.PATHS or self._word in given or self._is_pasted(macro.text):
            return self._made("variable", self._word)
        body = _spelt_out(plain(re.sub(rb"\s*##\s*", b"", macro.text).replace(b"\n", b" ")))
        for before, behind in _WRAPPINGS:
            source = before + body + behind
            root = syntax.parse(source)
            if root.has_error:
                continue
            found = self._made("variable", self._word)  # one of the parameters
            for at in places(source, self._word.encode()):
                one = self._judged(leaf_at(root, at, len(self._word)), root)
                if _gravity(one) > _gravity(found):
                    found = one
            return found
        return self._open(macro.name, f"the macro {macro.name} is not understood")

    def _is_pasted(self, text: bytes) -> bool:
        """Tell whether a macro makes other names of a word, wherever it has it."""
        word = self._word.encode()
        return all(
            text[:at].rstrip().endswith(b"##") or text[at + len(word) :].lstrip().startswith(b"##")
            for at in places(text, word)
        )

    def _in_tree(self, root: Node, at: int) -> Mention:
        leaf = leaf_at(root, at, len(self._word))
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
                return self._judged(leaf_at(root, within, len(self._word)), root)
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
        if is_declared(leaf):
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
            if _is_defined(leaf):
                return self._made("declaration", self._word)
            is_called = parent.type == "call_expression" and parent.children[0] == leaf
            return self._followed(parent if is_called else leaf, root, depth, lambda: False)
        if parent.type == "argument_list" and parent.parent is not None:
            is_left_alone = self._is_reading(parent.parent, leaf)
            given = None if is_left_alone else self._named_to_macro(parent.parent, depth)
            if given is not None and given.reason == _WHOLE:
                return self._followed(parent.parent, root, depth, lambda: False)
            is_alone = given is not None and given.reason == f"{self._word} {ALONE}"
            if given is not None and not (is_alone and self._is_variable(leaf, root)):
                return given
        if self._is_variable(leaf, root):
            return self._made("variable", self._word)
        if self._function is not None and text(leaf) in (self._function.parameters or ()):
            return self._made("variable", self._word)
        if is_object:
            return self._followed(leaf, root, depth, lambda: False)
        if self._is_function(leaf, parent):
            return self._made("variable", self._word)
        return self._open(text(parent), f"{self._word} {ALONE}")

    def _is_variable(self, leaf: Node, root: Node) -> bool:
        """Tell whether the function around declares a variable of the name of a leaf."""
        return self._function is not None and text(leaf) in self._book.variables(root)

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
            value = stored_by(outer_most) if self._word == self._name else ""
            return self._unless(is_elsewhere, one._replace(value=value))
        if outer_most.type == "update_expression":
            return self._unless(is_elsewhere, self._made("store", what, path, context))
        if not depth and _is_sized(here):
            return self._made("read", what, path, context, MEASURED)
        if stored := self._once(here):
            one = self._made("store", what, path, context)
            return self._unless(is_elsewhere, one._replace(value=stored))
        inner = (*self._above, *path)
        if self._book.is_array(self._name, inner, self._file.path) and not self._is_measured(here):
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
            if not depth and self._is_only_read_through(here, root, inner):
                return self._made("read", what, path, context)
            if self._is_given_to_reader(here, inner):
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
        if call is None or call.type != "call_expression" or not is_statement(call):
            return ""
        callee, given = text(call.children[0]), syntax.arguments(call)
        if callee != "WRITE_ONCE" or self._has_own(callee) or len(given) != 2 or given[0] != here:
            return ""
        return text(given[1]) if self._word == self._name else ""

    def _is_only_read_through(self, here: Node, root: Node, path: tuple[str, ...]) -> bool:
        """Tell whether a member's address is that of a local pointer behind which is only read.

        Every mention of the pointer has to lead on to a member that is read there.  PATH leads
        from the member to the part of it whose address it is.
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
            stored_by(holder) and is_statement(holder)
        ):
            return False
        if name is None or name.type != "identifier":
            return False
        declared = self._book.variables(root).get(text(name), ())
        if len(declared) != 1 or not is_pointer(declared[0][1]):
            return False
        return self._book.reads_behind(self._function, root, text(name), (self._name, *path))

    def _is_given_to_reader(self, here: Node, path: tuple[str, ...]) -> bool:
        """Tell whether the address of a member, or a part, goes to what only reads behind it."""
        address = here.parent
        if address is None or address.type != "pointer_expression" or address.children[0] == here:
            return False
        if address.children[0].type != "&":
            return False
        if self._book.is_shown(address, self._file.path):
            return True
        return self._book.is_taken_by_reader(address, self._file, (self._name, *path))

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
                one = self._judged(leaf_at(root, at, len(self._word)), root, depth + 1)
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


def leaf_at(root: Node, at: int, length: int) -> Node:
    """Return the smallest node around a word."""
    return root.descendant_for_byte_range(at, at + length) or root


def is_pointer(declarator: Node) -> bool:
    """Tell whether what is declared is a pointer to what is no pointer itself."""
    if declarator.type == "init_declarator":
        inner = declarator.child_by_field_name("declarator")
        return inner is not None and is_pointer(inner)
    inner = declarator.child_by_field_name("declarator")
    return (
        declarator.type == "pointer_declarator"
        and inner is not None
        and (inner.type == "identifier")
    )


def _spelt_out(text: bytes) -> bytes:
    """Write offsets of members as the addresses that they are, which the grammar knows."""
    return _OFFSET.sub(rb"(unsigned long)&((\1 *)0)->\2", text) if b"offsetof" in text else text


def _is_defined(leaf: Node) -> bool:
    """Tell whether a word is the name of a function where that is defined.

    A macro of that name is not in force there: it would leave no definition.
    """
    outer = leaf.parent
    if outer is None or outer.type != "function_declarator":
        return False
    while outer.parent is not None and outer.parent.type == "pointer_declarator":
        outer = outer.parent
    return outer.parent is not None and outer.parent.type == "function_definition"


def is_declared(leaf: Node) -> bool:
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


def stored_by(assignment: Node) -> str:
    """Return what a plain assignment stores, nothing for one that computes with the old value."""
    operator, right = (assignment.child_by_field_name(n) for n in ("operator", "right"))
    if operator is None or right is None or operator.type != "=":
        return ""
    return syntax.stored(right) or text(right)


def is_statement(expression: Node) -> bool:
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
