# SPDX-License-Identifier: GPL-2.0-only
"""Where a record of some type may be stored to as a whole, by whatever way its address is come by.

In: a tree, the tag of a record.  Out: the functions and macros that do more with one, or with a
pointer to one, than to name a member of it, to compare it, or to hand it to what takes it for
what it is; None for what does so at file scope.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from patchtool.c import brackets, library, syntax
from patchtool.c.index import expand, parameters
from patchtool.c.layout import ArrayType, CType, PointerType, RecordType, UnknownType, settled
from patchtool.c.scan import WORDS, Definition, FileIndex, before, places
from patchtool.c.syntax import Node, text
from patchtool.world.entries import Tree
from patchtool.world.inputs.spelt import VALUES

_COMPARING = re.compile(r"==|!=|&&|\|\|")
_MEMBER = re.compile(rb"\s*\)*\s*(?:->|\.)\s*\w")
_MOST_WRITTEN = 64
"""How many calls of macros are written out in one function."""
_LAST_WORD = re.compile(rb"(\w+)\s*(?:\[[^\]]*\]\s*)*(?:__\w+\s*)*\Z")
_GIVEN = re.compile(rb"\.\s*(\w+)\s*=\s*&?\Z")


def fillers(tree: Tree, tag: str, name: str) -> Iterator[Definition | None]:
    """Yield what may store to a whole record of a tag; None for what does so at file scope.

    NAME is that of an object that is one, or leads to one, wherever it is declared.
    """
    return _Wholes(tree, tag, name).found()


class _Wholes:
    """What is declared as such a record, or to lead to one, in all of the text."""

    def __init__(self, tree: Tree, tag: str, name: str) -> None:
        self.tree, self.index, self.tag = tree, tree.index, tag
        self._files = [
            file
            for path in tree.objects.files
            if path.startswith(tree.index.target.built_from)
            and (file := tree.index.file(path)) is not None
        ]
        self._is_renamed = False
        """Whether the record has a second name."""
        self.members: set[bytes] = set()
        """Those of the names that are members of a record."""
        self._locals: set[bytes] = set()
        """The names of variables and parameters, in the functions that they are in."""
        self.names = frozenset(self._declared()) | {tag.encode(), name.encode()}

    def _declared(self) -> Iterator[bytes]:
        """Yield what is declared to be, or to return, such a record, or a pointer to one."""
        word = self.tag.encode()
        declared = re.compile(rb"\bstruct\s+%s\b([^;{}=()]*)" % word)
        for file in self._files:
            if word in self.index.words_in(file.path):
                for found in declared.finditer(file.data):
                    self._is_renamed |= before(file.data, found.start()).endswith(b"typedef")
                    names = [
                        name[1]
                        for one in found[1].split(b",")
                        if (name := _LAST_WORD.search(one)) is not None
                    ]
                    is_parameter = (
                        _LAST_WORD.search(found[1].partition(b",")[0]) is not None
                        and brackets.argument_at(file.data, found.start())[0] >= 0
                    )
                    if is_parameter or file.function_at(found.start()) is not None:
                        self._locals.update(names)
                        continue
                    records = (one for some in file.records.values() for one in some)
                    if any(one.holds(found.start()) for one in records):
                        self.members.update(names)
                    yield from names

    def _named_in(self, function: Definition) -> frozenset[bytes]:
        """Return the names of such records in a function; its own are none of another one's."""
        is_declared = self.tag.encode() in function.text
        return self.names | self._locals if is_declared else self.names

    def found(self) -> Iterator[Definition | None]:
        """Yield what may store to a whole record."""
        if self._is_renamed:
            yield None
        for file in self._files:
            if self.names.isdisjoint(self.index.words_in(file.path)):
                continue
            for group in file.functions.values():
                for one in group:
                    names = self._named_in(one)
                    if not names.isdisjoint(one.text.translate(WORDS).split()):
                        if _Uses(self, one, names).may_fill():
                            yield one
            yield from self._beside(file)

    def _beside(self, file: FileIndex) -> Iterator[Definition | None]:
        """Yield the macros that may store to one, and None where its address is kept."""
        for name in sorted(self.names & self.index.words_in(file.path)):
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
        return given is None or given[1] not in self.names


class _Written(NamedTuple):
    """A call of a macro, and what is written out for it."""

    value: Node
    call: Node
    around: _Written | None


class _Uses:
    """What one function does with such records."""

    def __init__(self, wholes: _Wholes, function: Definition, names: frozenset[bytes]) -> None:
        self._wholes, self._function, self._names = wholes, function, names
        self._index, self._tag = wholes.index, wholes.tag
        self._root = wholes.index.node(function)
        self._written = 0

    def may_fill(self) -> bool:
        """Tell whether the function does more with such a record than what is harmless."""
        data = self._function.text
        if self._root.has_error and any(
            _MEMBER.match(data, at + len(name)) is None
            for name in self._names
            for at in places(data, name)
            if name in self._wholes.members or not before(data, at).endswith((b".", b"->"))
        ):
            return True
        return not self._are_harmless(self._root, None)

    def _are_harmless(self, root: Node, within: _Written | None) -> bool:
        return all(
            self._is_harmless(one, within)
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
            return field is not None and field.text in self._wholes.members
        return node.type == "identifier" and node.text in self._names

    def _type_of(self, node: Node) -> CType:
        objects = self._wholes.tree.objects
        ctype = objects.type_of(node, self._root, self._function.file)
        return ctype.element if isinstance(ctype, ArrayType) else ctype

    def _is_of(self, ctype: CType) -> bool:
        """Tell whether a type is the record, or leads to one; and where that is not known."""
        while isinstance(ctype, PointerType):
            ctype = settled(ctype.target)
        if isinstance(ctype, UnknownType):
            return True
        return isinstance(ctype, RecordType) and ctype.tag == self._tag

    def _is_harmless(self, node: Node, within: _Written | None) -> bool:
        """Tell whether nothing is stored to the record that an expression is, or leads to."""
        outer = node.parent
        while outer is not None and outer.type == "parenthesized_expression":
            node, outer = outer, outer.parent
        if within is not None and node == within.value:
            return self._is_harmless(within.call, within.around)
        if outer is not None and outer.type == "expression_statement":
            block = outer.parent
            holder = (
                block.parent if block is not None and block.named_children[-1] == outer else None
            )
            if holder is not None and holder.type == "parenthesized_expression":
                return self._is_harmless(holder, within)
        if outer is None or outer.type in VALUES or outer.type.endswith("declaration"):
            return True
        ctype = self._type_of(node)
        is_callee = outer.type == "call_expression"
        if not is_callee and not self._is_of(ctype):
            return True
        if is_callee or outer.type in ("pointer_expression", "subscript_expression"):
            return self._is_harmless(outer, within)
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
            return isinstance(ctype, RecordType) or self._is_of_tag(self._type_of(left))
        if outer.type == "argument_list":
            return self._is_taken(node, outer, within)
        if outer.type == "return_statement":
            is_known = self._function.name.encode() in self._wholes.names
            return isinstance(ctype, RecordType) or is_known
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

    def _is_taken(self, node: Node, listed: Node, within: _Written | None) -> bool:
        """Tell whether all that may be called takes something for what it is, or reads by it."""
        call, here = listed.parent, self._function.file
        callee = call.child_by_field_name("function") if call is not None else None
        name = text(callee) if callee is not None else ""
        number = syntax.inner(listed).index(node)
        macros = self._index.macros(name, here)
        if macros and call is not None:
            return all(self._is_written_harmlessly(one, call, within) for one in macros)
        called = self._index.functions(name, here)
        if not called:
            reading = self._index.target.registers.tables.reading
            return number in library.READING.get(name, ()) or bool(re.fullmatch(reading, name))
        return all(self._tag in " ".join(parameters(one)[number:][:1]).split() for one in called)

    def _is_written_harmlessly(
        self, macro: Definition, call: Node, within: _Written | None
    ) -> bool:
        """Tell whether nothing is stored to such a record by what is written out for a call."""
        self._written += 1
        made = expand(macro, list(map(text, syntax.arguments(call))))
        value = syntax.expression(made) if made and self._written < _MOST_WRITTEN else None
        return value is not None and self._are_harmless(value, _Written(value, call, within))
