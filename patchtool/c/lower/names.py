# SPDX-License-Identifier: GPL-2.0-only
"""What identifiers stand for: variables, constants, enumerators, objects.

A name means what it means in the translation unit at hand; macros are expanded,
constants evaluated once for a tree, initialisers run like assignments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from patchtool.c import syntax
from patchtool.c.index import expand
from patchtool.c.layout import (
    ArrayType,
    CType,
    IntType,
    PointerType,
    RecordType,
    UnknownType,
    VoidType,
    base_type,
)
from patchtool.c.lower.guards import Guards
from patchtool.c.lower.records import Unit, Unsupported
from patchtool.c.memory import Fact, Function, Int, Loc, LValue, Root, State, Value
from patchtool.c.scan import Definition
from patchtool.c.syntax import Node, text
from patchtool.model import Consulted
from patchtool.proof import bits
from patchtool.proof.bits import Cond

MAX_NESTING = 192
MAX_ELEMENTS = 256

_LENGTHS = {"BITS_PER_LONG": 64, "BITS_PER_LONG_LONG": 64, "BITS_PER_BYTE": 8}
"""Constants of x86-64 that generated headers hold."""


class Names(Guards):
    """Resolves identifiers."""

    def _identifier(self, node: Node, state: State) -> Value:
        name = text(node)
        variable = self._frames[-1].variables.get(name)
        if variable is not None:
            return self._load(variable, state, node)
        if name == "NULL":
            return self._null(node, state)
        if name in ("true", "false"):
            return Int(bits.constant(32, int(name == "true")), True)
        here = self._here
        known = self._constants.get((name, here))
        if known is not None:
            self.out.consulted.update(known[1])
            return known[0]
        if not name.isupper() and self.index.visible(name, here):
            return Function(name)
        for place in self._places_to_look():
            macro = self._chosen(self.index.macros(name, place))
            if macro is not None and macro.parameters is None and macro.key not in self._expanding:
                return self._remembered(name, partial(self._macro_value, macro, None, node, state))
            enumeration = self.index.enumerator(name, place)
            if enumeration is not None:
                return self._remembered(
                    name, partial(self._enumerator, enumeration, name, node, state)
                )
        if self.index.functions(name, here):
            return Function(name)
        lvalue = self._object(name, node)
        if lvalue is not None:
            return self._load(lvalue, state, node)
        if name in _LENGTHS:
            return Int(bits.constant(32, _LENGTHS[name]), True)
        if name.startswith("CONFIG_"):
            return Int(bits.from_cond(self._option(name), 32), True)
        return self.opaque(node, f"the definition of {name} was not found", missing=True)

    def _remembered(self, name: str, compute: Callable[[], Value]) -> Value:
        """Evaluate a name, once if it is a constant of the tree."""
        file = self._here
        outer, self.out.consulted = self.out.consulted, set()
        try:
            value = compute()
        finally:
            used, self.out.consulted = self.out.consulted, outer
            outer |= used
        if isinstance(value, Int) and value.bits.value is not None:
            self._constants[name, file] = (value, frozenset(used))
        return value

    def _places_to_look(self) -> list[str]:
        """Return the files whose scope a name may come from.

        A name means what it means in the translation unit; a header of a table's other
        unit, and who uses it, come next.
        """
        frames = [frame.function.file for frame in reversed(self._frames)]
        return list(dict.fromkeys([self._here, self._units[-1].file, *frames]))

    def _object(self, name: str, node: Node) -> LValue | None:
        """Return an object of file scope."""
        for here in self._places_to_look():
            found = self._object_from(name, here)
            if found is not None:
                return found
        return None

    def _object_from(self, name: str, here: str) -> LValue | None:
        root = Loc(Root(name, "global"))
        found = self.index.objects(name, here)
        declared = self.index.declaration(name, here)
        if found:
            head = found[0].text.split(b"=", 1)[0].decode("utf-8", "replace")
            file, line = found[0].file, found[0].line
        elif declared is not None:
            file, line, head = declared
        else:
            return None
        self.out.consulted.add(Consulted(file, line, "object", name))
        ctype = self._declared_type(head, name, file)
        return self._whole(root, ctype)

    def _declared_type(self, head: str, name: str, file: str) -> CType:
        """Return the type of a declaration that stands in one line of text."""
        before = head.split("=", 1)[0]
        before = re.sub(
            r"\b(extern|static|__\w+|const|volatile|DEFINE_\w+|unsigned(?=\s+u?int))\b", " ", before
        )
        match = re.match(rf"\s*(.*?)(\**)\s*\b{re.escape(name)}\b\s*(\[.*)?$", before.strip(), re.S)
        if match is None:
            return UnknownType(name)
        base = self.types.named(match.group(1).strip(), file)
        if match.group(3):
            return ArrayType(PointerType(None) if match.group(2) else base, None)
        return PointerType(base) if match.group(2) else base

    def _chosen(self, found: tuple[Definition, ...]) -> Definition | None:
        """Pick the one definition, or the first of equal ones."""
        if not found:
            return None
        if found[0].file.endswith(".c") and found[0].kind == "macro":
            name = found[0].name.encode()
            whole = self.index.text(found[0].file) or b""
            if re.search(rb"^[ \t]*#[ \t]*undef[ \t]+" + name + rb"\b", whole, re.M):
                reason = f"what {found[0].name} stands for changes within {found[0].file}"
                raise Unsupported(None, reason, missing=True)
        if len(found) > 1:
            distinct = {d.text.strip() for d in found}
            if len(distinct) > 1:
                plain = [d for d in found if not d.conditions]
                return plain[-1] if plain else found[0]
        return found[0]

    def _enumerator(self, enumeration: Definition, name: str, node: Node, state: State) -> Value:
        """Count through an enumeration and return one of its values."""
        self._consult("enum", enumeration)
        if enumeration.key not in self._enumerations:
            values: dict[str, Value] = {}
            self._enumerations[enumeration.key] = values
            root = self.index.node(enumeration)
            last: Int | None = Int(bits.constant(32, (1 << 32) - 1), True)
            with self._unit(Unit(enumeration.file, enumeration.line)):
                for item in enumerators(root):
                    last = self._count(item, last, values, state)
        found = self._enumerations[enumeration.key].get(name)
        if found is None:
            return self.opaque(
                node, f"the value of the enumerator {name} was not found", missing=True
            )
        return found

    def _count(
        self, item: Node, last: Int | None, values: dict[str, Value], state: State
    ) -> Int | None:
        """Add one enumerator to VALUES; None where its value is not understood."""
        name_node, value_node = (item.child_by_field_name(n) for n in ("name", "value"))
        if value_node is not None:
            try:
                value = self._constant(self._value(value_node, state), value_node)
            except Unsupported:
                return None
        elif last is None or last.bits.value is None:
            return None
        else:
            value = last.bits.value + 1
        last = Int(bits.constant(32, value), True)
        if name_node is not None:
            values[text(name_node)] = last
        return last

    def _macro_value(
        self, macro: Definition, arguments: list[str] | None, node: Node, state: State
    ) -> Value:
        with self._expanded(macro, arguments, node) as expression:
            return self._value(expression, state)

    def _macro_object(self, node: Node, state: State) -> LValue | None:
        """Return the object that a call of a macro stands for, None where it is no such call."""
        function = node.child_by_field_name("function")
        name = text(function) if function is not None and function.type == "identifier" else ""
        if not name or (not name.lstrip("_").isupper() and self.index.functions(name, self._here)):
            return None
        given = node.child_by_field_name("arguments")
        arguments = [n for n in given.named_children if n.type != "comment"] if given else []
        for place in self._places_to_look():
            macro = self._chosen(self.index.macros(name, place))
            if macro is not None and macro.parameters is not None:
                try:
                    with self._expanded(macro, [text(a) for a in arguments], node) as expression:
                        return self._lvalue(expression, state)
                except Unsupported:
                    return None
        return None

    @contextmanager
    def _expanded(
        self, macro: Definition, arguments: list[str] | None, node: Node
    ) -> Iterator[Node]:
        """Yield the expression that a macro stands for, and stay in the macro meanwhile."""
        self._consult("macro", macro)
        key = (*macro.key, tuple(arguments) if arguments is not None else None)
        if key not in self._macros:
            body = (
                macro.text.decode("utf-8", "replace")
                if arguments is None
                else expand(macro, arguments)
            )
            if body is None:
                raise Unsupported(
                    node, f"{macro.name}() is used with the wrong number of arguments"
                )
            body = body.replace("\n", " ").strip()
            if not body:
                raise Unsupported(node, f"{macro.name} is empty")
            self._macros[key] = syntax.expression(body)
        value = self._macros[key]
        if value is None:
            raise Unsupported(node, f"the macro {macro.name} is not an expression")
        if self._units and len(self._units) > MAX_NESTING:
            raise Unsupported(node, f"the macro {macro.name} is nested too deep")
        self._expanding.add(macro.key)
        try:
            with self._unit(Unit(macro.file, macro.line, True)):
                yield value
        finally:
            self._expanding.discard(macro.key)

    def _global(self, loc: Loc, lvalue: LValue, state: State) -> Value | None:
        """Return the value of a constant object of file scope."""
        name = loc.root.name
        here = self._here
        found = self.index.objects(name, here)
        if not found:
            return None
        definition = found[0]
        head = definition.text.split(b"=", 1)[0]
        if re.search(rb"\bconst\b", head) is None and self.effects.writes_global(name):
            return None
        root = self.index.node(definition)
        declarations = [n for n in root.named_children if n.type == "declaration"]
        if not declarations or root.has_error:
            return None
        declaration = declarations[0]
        type_node = declaration.child_by_field_name("type")
        holder = declaration.child_by_field_name("declarator")
        if type_node is None or holder is None or holder.type != "init_declarator":
            return None
        value_node = holder.child_by_field_name("value")
        if value_node is None or value_node.type != "initializer_list":
            return None
        base = base_type(self.types, type_node, definition.file)
        self._consult("object", definition)
        scratch = State({})
        ctype = self.types.declared(holder, base, definition.file)[1]
        target = self._whole(Loc(Root(name, "global")), ctype)
        with self._unit(Unit(definition.file, definition.line)):
            self._frames.append(self._frame(definition, 0, VoidType()))
            try:
                self._initialise(target, value_node, scratch)
            except Unsupported:
                return None
            finally:
                self._frames.pop()
        for where, value in scratch.memory.items():
            state.memory.setdefault(where, value)
        return state.memory.get(loc)

    def _option(self, name: str) -> Cond:
        """Return the constant that a build option is."""
        match = re.fullmatch(r"\s*(!?)\s*(?:defined|IS_ENABLED)?\s*\(?\s*(\w+)\s*\)?\s*", name)
        if match is None:
            raise Unsupported(None, f"#if {name} is not understood")
        value = self.out.word(Fact("option", match.group(2))).bit()
        return bits.negate(value) if match.group(1) else value

    def _initialise(self, target: LValue, node: Node, state: State) -> None:
        if node.type == "compound_literal_expression":
            inner = node.child_by_field_name("value")
            if inner is not None:
                self._initialise(target, inner, state)
                return
        if node.type != "initializer_list":
            self._store(target, self._value(node, state), state, node)
            return
        self._zero(target, state, node)
        position = 0
        for child in node.named_children:
            if child.type == "comment":
                continue
            if child.type == "initializer_pair":
                inner_target = target
                ranged = range(0)
                for designator in child.children_by_field_name("designator"):
                    if designator.type == "field_designator":
                        name = text(designator).lstrip(".").strip()
                        inner_target = self._member(inner_target, name, designator)
                    else:
                        numbers = [
                            self._constant(self._value(n, state), n)
                            for n in designator.named_children
                        ]
                        if len(numbers) == 2:
                            ranged = range(numbers[0], min(numbers[1], numbers[0] + MAX_ELEMENTS))
                        position = numbers[-1] + 1
                        inner_target = self._element(inner_target, numbers[-1], designator)
                value = child.child_by_field_name("value")
                if value is not None:
                    for number in ranged:
                        self._initialise(self._element(target, number, child), value, state)
                    self._initialise(inner_target, value, state)
                continue
            if isinstance(target.type, RecordType):
                named = list(target.type.by_name)
                if target.type.kind == "union":
                    first = target.type.members[0]
                    inner_target = self._member(
                        target, first.name or next(iter(target.type.by_name)), child
                    )
                elif position < len(named):
                    inner_target = self._member(target, named[position], child)
                else:
                    raise Unsupported(child, "more values than members")
            elif isinstance(target.type, ArrayType):
                inner_target = self._element(target, position, child)
            else:
                inner_target = target
            position += 1
            self._initialise(inner_target, child, state)
        if isinstance(target.type, ArrayType) and target.type.length is None:
            self._fill(target, state, node)

    def _fill(self, target: LValue, state: State, node: Node) -> None:
        """Zero the elements before the last of an array without a length."""
        at = len(target.loc.path)
        inside = [loc for loc in state.memory if loc.within(target.loc)]
        steps = {loc.path[at] for loc in inside if len(loc.path) > at}
        last = max((int(step.strip("[]")) for step in steps), default=-1)
        for number in range(min(last, MAX_ELEMENTS)):
            if f"[{number}]" not in steps:
                self._zero(self._element(target, number, node), state, node)

    def _zero(self, target: LValue, state: State, node: Node) -> None:
        if target.cell is not None:
            if isinstance(target.type, RecordType):
                self._store(target, Int(bits.constant(target.width, 0)), state, node)
            else:
                self._store(target, Int(bits.constant(target.width or 32, 0)), state, node)
        elif isinstance(target.type, RecordType):
            for name in target.type.by_name:
                inner = self._member(target, name, node)
                if isinstance(inner.type, (IntType, PointerType)) or inner.cell is not None:
                    self._zero(inner, state, node)
        elif isinstance(target.type, ArrayType):
            for number in range(min(target.type.length or 0, MAX_ELEMENTS)):
                self._zero(self._element(target, number, node), state, node)
        elif isinstance(target.type, (IntType, PointerType)):
            width = target.type.width if isinstance(target.type, IntType) else 64
            state.memory[target.loc] = Int(bits.constant(width, 0))

    def _element(self, base: LValue, number: int, node: Node) -> LValue:
        if not isinstance(base.type, ArrayType):
            raise Unsupported(node, "something that is no array is indexed")
        loc = base.loc.member(f"[{number}]")
        return self._whole(loc, base.type.element)


def enumerators(node: Node) -> Iterator[Node]:
    """Yield the enumerators of an enumeration in order."""
    for child in node.named_children:
        if child.type == "enumerator":
            yield child
        else:
            yield from enumerators(child)
