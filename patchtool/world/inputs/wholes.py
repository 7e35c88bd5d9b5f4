# SPDX-License-Identifier: GPL-2.0-only
"""Where a record of some type may be stored to as a whole, by whatever way its address is come by.

In: a tree, the tag of a record.  Out: the functions and macros that do more with one, or with a
pointer to one, than to name a member of it, to compare it, or to hand it to what takes it for
what it is; None for what does so at file scope.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchtool.c import library, syntax
from patchtool.c.index import parameters
from patchtool.c.layout import ArrayType, CType, PointerType, RecordType, UnknownType, settled
from patchtool.c.scan import WORDS, Definition, FileIndex, before, places
from patchtool.c.syntax import Node, text
from patchtool.world.entries import Tree
from patchtool.world.inputs.spelt import VALUES

_COMPARING = re.compile(r"==|!=|&&|\|\|")
_MEMBER = re.compile(rb"\s*\)*\s*(?:->|\.)\s*\w")
_LAST_WORD = re.compile(rb"(\w+)\s*(?:\[[^\]]*\]\s*)*(?:__\w+\s*)*\Z")
_GIVEN = re.compile(rb"\.\s*(\w+)\s*=\s*&?\Z")


def fillers(tree: Tree, tag: str) -> Iterator[Definition | None]:
    """Yield what may store to a whole record of a tag; None for what does so at file scope."""
    return _Wholes(tree, tag).found()


class _Wholes:
    def __init__(self, tree: Tree, tag: str) -> None:
        self._tree, self._index, self._tag = tree, tree.index, tag
        self._files = [
            file
            for path in tree.objects.files
            if path.startswith(tree.index.target.built_from)
            and (file := tree.index.file(path)) is not None
        ]
        self._is_renamed = False
        """Whether the record has a second name."""
        self._members: set[bytes] = set()
        """Those of the names that are members of a record."""
        self._names = frozenset(self._declared()) | {tag.encode()}

    def _declared(self) -> Iterator[bytes]:
        """Yield what is declared to be, or to return, such a record, or a pointer to one."""
        word = self._tag.encode()
        declared = re.compile(rb"\bstruct\s+%s\b([^;{}=()]*)" % word)
        for file in self._files:
            if word in self._index.words_in(file.path):
                for found in declared.finditer(file.data):
                    self._is_renamed |= before(file.data, found.start()).endswith(b"typedef")
                    names = [
                        name[1]
                        for one in found[1].split(b",")
                        if (name := _LAST_WORD.search(one)) is not None
                    ]
                    records = (one for some in file.records.values() for one in some)
                    if any(one.holds(found.start()) for one in records):
                        self._members.update(names)
                    yield from names

    def found(self) -> Iterator[Definition | None]:
        """Yield what may store to a whole record."""
        if self._is_renamed:
            yield None
        for file in self._files:
            if self._names.isdisjoint(self._index.words_in(file.path)):
                continue
            for group in file.functions.values():
                for one in group:
                    if not self._names.isdisjoint(one.text.translate(WORDS).split()):
                        if self._may_fill(one):
                            yield one
            yield from self._beside(file)

    def _beside(self, file: FileIndex) -> Iterator[Definition | None]:
        """Yield the macros that may store to one, and None where its address is kept."""
        for name in sorted(self._names & self._index.words_in(file.path)):
            for at in places(file.data, name):
                if file.function_at(at) is not None:
                    continue
                if _MEMBER.match(file.data, at + len(name)) is not None:
                    continue
                macros = list(file.macros_around([at]))
                yield from macros
                if not macros and self._is_kept(file, name, at):
                    yield None

    def _is_kept(self, file: FileIndex, name: bytes, at: int) -> bool:
        """Tell whether the address of an object is given to what is not declared for it."""
        lead = before(file.data, at)
        if not lead.endswith(b"&"):
            return False
        given = _GIVEN.search(lead)
        return given is None or given[1] not in self._names

    def _may_fill(self, function: Definition) -> bool:
        """Tell whether a function does more with such a record than what is harmless."""
        root = self._index.node(function)
        if root.has_error and any(
            _MEMBER.match(function.text, at + len(name)) is None
            for name in self._names
            for at in places(function.text, name)
            if name in self._members or not before(function.text, at).endswith((b".", b"->"))
        ):
            return True
        return any(
            not self._is_harmless(one, root, function)
            for one in syntax.descendants(root)
            if self._is_named(one)
        )

    def _is_named(self, node: Node) -> bool:
        """Tell whether an expression may be such a record, or lead to one, by its last word."""
        if node.type == "cast_expression":
            described = node.child_by_field_name("type")
            return described is not None and self._tag in text(described).split()
        if node.type == "field_expression":
            field = node.child_by_field_name("field")
            return field is not None and field.text in self._members
        return node.type == "identifier" and node.text in self._names

    def _type_of(self, node: Node, root: Node, function: Definition) -> CType:
        ctype = self._tree.objects.type_of(node, root, function.file)
        return ctype.element if isinstance(ctype, ArrayType) else ctype

    def _is_of(self, ctype: CType) -> bool:
        """Tell whether a type is the record, or leads to one; and where that is not known."""
        while isinstance(ctype, PointerType):
            ctype = settled(ctype.target)
        if isinstance(ctype, UnknownType):
            return True
        return isinstance(ctype, RecordType) and ctype.tag == self._tag

    def _is_harmless(self, node: Node, root: Node, function: Definition) -> bool:
        """Tell whether nothing is stored to the record that an expression is, or leads to."""
        outer = node.parent
        while outer is not None and outer.type == "parenthesized_expression":
            node, outer = outer, outer.parent
        if outer is None or outer.type in VALUES or outer.type.endswith("declaration"):
            return True
        ctype = self._type_of(node, root, function)
        is_callee = outer.type == "call_expression"
        if not is_callee and not self._is_of(ctype):
            return True
        if is_callee or outer.type in ("pointer_expression", "subscript_expression"):
            return self._is_harmless(outer, root, function)
        if outer.type == "field_expression":
            return True
        if outer.type == "init_declarator" and outer.child_by_field_name("value") == node:
            return isinstance(ctype, RecordType) or self._is_declared_by(outer)
        if outer.type.endswith("declarator"):
            return True
        if outer.type == "assignment_expression":
            left = outer.child_by_field_name("left")
            if left is None or left == node:
                return left is not None and isinstance(ctype, PointerType)
            return isinstance(ctype, RecordType) or self._is_of_tag(
                self._type_of(left, root, function)
            )
        if outer.type == "argument_list":
            return self._is_taken(node, outer, function)
        if outer.type == "return_statement":
            return isinstance(ctype, RecordType) or function.name.encode() in self._names
        if outer.type in ("binary_expression", "unary_expression"):
            operator = outer.child_by_field_name("operator")
            return operator is not None and (
                _COMPARING.fullmatch(text(operator)) is not None or text(operator) == "!"
            )
        return False

    def _is_of_tag(self, ctype: CType) -> bool:
        return self._is_of(ctype) and not isinstance(ctype, UnknownType)

    def _is_declared_by(self, declarator: Node) -> bool:
        """Tell whether a variable is declared as a pointer to such a record."""
        declared = declarator.parent.child_by_field_name("type") if declarator.parent else None
        return declared is not None and self._tag in text(declared).split()

    def _is_taken(self, node: Node, listed: Node, function: Definition) -> bool:
        """Tell whether all that may be called takes something for what it is, or reads by it."""
        callee = listed.parent.child_by_field_name("function") if listed.parent else None
        name = text(callee) if callee is not None else ""
        number = syntax.inner(listed).index(node)
        if self._index.macros(name, function.file):
            return False
        called = self._index.functions(name, function.file)
        if not called:
            return number in library.READING.get(name, ())
        return all(self._tag in " ".join(parameters(one)[number:][:1]).split() for one in called)
