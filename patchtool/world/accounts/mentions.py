# SPDX-License-Identifier: GPL-2.0-only
"""Every mention of a member in the text of a target.

In: an index, the types, and for each member the records that it matters in.  Out: mentions,
found by word whatever the syntax around them.  What an expression is of is told here as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from patchtool.c import library, syntax
from patchtool.c.index import Index, plain
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
from patchtool.c.scan import WORDS, Definition, FileIndex, places
from patchtool.c.syntax import Node, text
from patchtool.world.accounts.sites import (
    Mention,
    Site,
    is_declared,
    is_pointer,
    is_statement,
    leaf_at,
    stored_by,
)
from patchtool.world.circular import Circular

_VALUES = (
    "identifier", "field_identifier", "field_expression", "subscript_expression",
    "binary_expression", "parenthesized_expression", "cast_expression",
)  # fmt: skip
"""What makes a value of others and does nothing else with them."""
_BRANCHING = frozenset({"&&", "||"})
_PRINTING = re.compile(
    rb"\s*(?:do\s*\{\s*)?(?:(?:no_)?(\w+)\((?:[^(){};\"=+-]|\"(?:[^\"\\]|\\.)*\"|\(\s*\w+\s*\))*\)\s*;?\s*)?"
    rb"(?:\}\s*while\s*\(\s*0\s*\))?\s*"
)
"""A macro that does nothing, or hands what it is given to one that may print."""

MAX_STEPS = 24
"""How many calls and members a type is followed through."""


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
        self._readers = Circular[tuple[tuple[str, str, int], int, tuple[str, ...]], bool](True)

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

    def knows(self, path: str, name: str) -> bool:
        """Tell whether a file names a record in which a member matters, or what leads to one.

        Else no function there can have to do with it.
        """
        target = self.index.target
        tags = {*self.owners(name), target.host, target.handle, target.shared}
        return not self.index.words_in(path).isdisjoint(one.encode() for one in tags)

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
                    site = Site(self, file, at, word, name)
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

    def is_printed(self, mention: Mention) -> bool:
        """Tell whether a mention is a read of what a statement prints, and of nothing else."""
        here = self.node_of(mention) if mention.kind == "read" else None
        while (
            here is not None
            and here.type in _VALUES
            and not _BRANCHING.intersection(one.type for one in here.children)
        ):
            here = here.parent
        call = here.parent if here is not None and here.type == "argument_list" else None
        callee = call.child_by_field_name("function") if call is not None else None
        if call is None or callee is None or call.parent is None:
            return False
        return call.parent.type == "expression_statement" and self._prints(
            text(callee), mention.place.file
        )

    def _prints(self, name: str, here: str) -> bool:
        """Tell whether a name is that of a macro that prints, or of one of the target over that."""
        if self.index.functions(name, here):
            return False
        if not self.has_own(name, here):
            return library.is_printing(name, self.index.target)
        for one in self.index.macros(name, here):
            found = _PRINTING.fullmatch(one.text.replace(b"\\\n", b"  "))
            if found is None:
                return False
            inner = (found[1] or b"").decode()
            if inner and (self.has_own(inner, here) or not self._prints(inner, here)):
                return False
        return True

    def is_of_another(self, mention: Mention) -> bool:
        """Tell whether a mention in a function is known to be one of another record's member."""
        function, place = mention.function, mention.place
        file = self.index.file(place.file)
        if function is None or function.kind != "function" or file is None:
            return False
        at = file.offset(place.line, place.column)
        root = self.index.node(function)
        leaf = leaf_at(root, at - function.start, len(mention.name))
        outer = leaf.parent
        if text(leaf) != mention.name or outer is None or outer.type != "field_expression":
            return False
        return Site(self, file, at, mention.name, mention.name).is_elsewhere(outer, root)

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

    def is_taken_by_reader(self, given: Node, file: FileIndex, path: tuple[str, ...]) -> bool:
        """Tell whether an expression is an argument by which its callee only reads.

        PATH is the member, and below it the part, whose address it is.
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
        return bool(called) and all(self._only_reads(one, number, path) for one in called)

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

    def _only_reads(self, function: Definition, number: int, path: tuple[str, ...]) -> bool:
        """Tell whether a function only reads behind one of its parameters."""

        def find() -> bool:
            root = self.index.node(function)
            node = syntax.function(root)
            declared = _parameter(node, number) if node is not None else None
            variable = _declared_name(declared) if declared is not None else None
            return (
                declared is not None
                and variable is not None
                and is_pointer(declared)
                and len(self.variables(root).get(variable, ())) == 1
                and self.reads_behind(function, root, variable, path)
            )

        return self._readers.of((function.key, number, path), find)

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

    def reads_behind(
        self, function: Definition, root: Node, variable: str, path: tuple[str, ...]
    ) -> bool:
        """Tell whether all that a function does with a pointer to a member is to read by it.

        Or to the part of it that PATH leads to.  It may hand the pointer on to one of which that
        is true as well.
        """
        file = self.index.file(function.file)
        if root.has_error or file is None or b"define" in function.text:
            return False
        if self.is_named_by_macro(function, variable):
            return False
        site = Site(self, file, function.start, variable, path[0], path[1:])
        for leaf in syntax.descendants(root):
            if leaf.named_children or text(leaf) != variable or leaf.type == "field_identifier":
                continue
            if is_declared(leaf):
                continue
            outer = leaf.parent
            if outer is not None and outer.type == "assignment_expression":
                left = outer.child_by_field_name("left")
                if left == leaf and stored_by(outer) and is_statement(outer):
                    continue  # the pointer, and nothing behind it
            if outer is not None and outer.type == "argument_list":
                if self.is_taken_by_reader(leaf, file, path):
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
