# SPDX-License-Identifier: GPL-2.0-only
"""What identifiers stand for: variables, constants, enumerators, objects.

A name means what it means in the translation unit at hand; macros are expanded,
constants evaluated once for a tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TypeVar

from patchtool.c import syntax
from patchtool.c.index import expand, is_decided
from patchtool.c.layout import (
    CType,
    UnknownType,
    VoidType,
    base_type,
)
from patchtool.c.lower.initialisers import Initialisers
from patchtool.c.lower.records import Unit, Unsupported
from patchtool.c.memory import Fact, Function, Int, Loc, LValue, Root, State, Value
from patchtool.c.scan import Definition, strip_comments
from patchtool.c.syntax import Node, text
from patchtool.model import Consulted
from patchtool.proof import bits
from patchtool.proof.bits import Cond

MAX_NESTING = 192
_DEEPEST = 8
"""How deep macros that are nothing but another one are followed."""

_TYPED = re.compile(rb"^[ \t]+((?:def_)?(?:bool|tristate)|int|hex|string)\b", re.M)
"""What says of a build option which values it has."""
_WORD = re.compile(r"[A-Za-z_]\w*")
_UNDEF = re.compile(rb"^[ \t]*#[ \t]*undef[ \t]+(\w+)", re.M)
MINUS_ONE = Int(bits.constant(32, (1 << 32) - 1), True)

_LENGTHS = {"BITS_PER_LONG": 64, "BITS_PER_LONG_LONG": 64, "BITS_PER_BYTE": 8}
"""Constants of x86-64 that generated headers hold."""


Option = TypeVar("Option")


class Names(Initialisers):
    """Resolves identifiers."""

    def _one_of(
        self,
        options: Sequence[tuple[Cond, Option]],
        state: State,
        run: Callable[[Option, State], Value],
    ) -> Value:
        """Run what is one of some alternatives; the first one where no other is chosen."""
        (_, first), *others = options
        if not others:
            return run(first, state)
        chosen = state.fork(True)
        result = run(first, chosen)
        for condition, other in others:
            trial = state.fork(True)
            value = run(other, trial)
            result = self._choose(condition, value, result)
            if trial.memory != chosen.memory:
                chosen = self._merge([State(trial.memory, condition), chosen])
        state.memory = chosen.memory
        return result

    def _identifier(self, node: Node, state: State) -> Value:
        found = self._meaning(node, state)
        if found is not None:
            return found
        reason = f"the definition of {text(node)} was not found"
        return self.opaque(node, reason, missing=True)

    def _meaning(self, node: Node, state: State) -> Value | None:
        """Return what a name stands for, None where no definition of it was found."""
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
            self._require_closed(name, known[2], node)
            self.out.consulted.update(known[1])
            return known[0]
        if not name.isupper() and self.index.visible(name, here):
            return Function(name)
        for place in self._places_to_look():
            found = self.index.macros(name, place)
            macros = self._options(found)
            plain = [one for _, one in macros if one.parameters is None]
            if plain and len(plain) == len(macros) and plain[0].key not in self._expanding:
                compute = partial(self._macro_constant, macros, node, state)
                if not is_decided(found):
                    compute = partial(self._macro_or_other, compute, found, place, node, state)
                return self._remembered(name, compute, self._loosest(node))
            enumerations = self.index.enumerators(name, place)
            if enumerations:
                return self._remembered(
                    name, partial(self._enumerated, enumerations, name, node, state)
                )
        if self.index.functions(name, here):
            return Function(name)
        lvalue = self._object(name)
        if lvalue is not None:
            return self._load(lvalue, state, node)
        if name in _LENGTHS:
            return Int(bits.constant(32, _LENGTHS[name]), True)
        if name.startswith("CONFIG_"):
            return Int(bits.from_cond(self._option(name), 32), True)
        return None

    def _macro_or_other(
        self,
        compute: Callable[[], Value],
        macros: tuple[Definition, ...],
        place: str,
        node: Node,
        state: State,
    ) -> Value:
        """Return what a macro stands for, or where no option defines it, what else has its name."""
        value, name = compute(), text(node)
        unless = bits.every(bits.negate(self._compiled(one)) for one in macros)
        enumerations = self.index.enumerators(name, place)
        if enumerations:
            other = self._enumerated(enumerations, name, node, state)
        elif (lvalue := self._object(name)) is not None:
            other = self._load(lvalue, state, node)
        else:
            return value
        return self._choose(unless, other, value)

    def _remembered(
        self, name: str, compute: Callable[[], Value], binding: int = syntax.ATOM
    ) -> Value:
        """Evaluate a name, once if it is a constant of the tree."""
        file = self._here
        outer, self.out.consulted = self.out.consulted, set()
        try:
            value = compute()
        finally:
            used, self.out.consulted = self.out.consulted, outer
            outer |= used
        if isinstance(value, Int) and value.bits.value is not None:
            self._constants[name, file] = (value, frozenset(used), binding)
        return value

    def _loosest(self, node: Node, depth: int = 0) -> int:
        """Return how tightly an expression binds, as text: macros that it consists of spelt out."""
        key = text(node), self._here, depth
        if key not in self._bindings:
            self._bindings[key] = self._found_loosest(node, depth)
        return self._bindings[key]

    def _found_loosest(self, node: Node, depth: int) -> int:
        found = syntax.binding(node)
        callee = node.child_by_field_name("function") if node.type == "call_expression" else node
        if found < syntax.ATOM or callee is None or callee.type != "identifier":
            return found
        for macro in self.index.macros(text(callee), self._here) if depth < _DEEPEST else ():
            body: str | None = macro.text.decode("utf-8", "replace")
            if macro.parameters is not None and callee is not node:
                body = expand(macro, [text(one) for one in syntax.arguments(node)])
            inner = syntax.expression(body.replace("\n", " ")) if body and body.strip() else None
            if inner is not None:  # within parentheses of its own
                found = min(found, self._loosest(syntax.inner(inner)[0], depth + 1))
        return found

    def _require_closed(self, name: str, binding: int, node: Node) -> None:
        """Refuse what a macro stands for where what is around it takes a part of that."""
        if binding < syntax.ATOM and binding < syntax.demanded(node):
            reason = f"{name} stands for more than one operand, and in no parentheses"
            raise Unsupported(node, reason)

    def _places_to_look(self) -> list[str]:
        """Return the files whose scope a name may come from.

        A name means what it means in the translation unit; a header of a table's other
        unit, and who uses it, come next.
        """
        frames = [frame.function.file for frame in reversed(self._frames)]
        return list(dict.fromkeys([self._here, self._units[-1].file, *frames]))

    def _object(self, name: str) -> LValue | None:
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
        """Return the type that the text of a declaration gives an object of file scope."""
        plain = re.sub(r"\b(?:__\w+|DEFINE_\w+)\b", " ", head.partition("=")[0])
        found = self.types.declared_in(plain, name, file)
        return found[0] if found else UnknownType(name)

    def _options(self, found: tuple[Definition, ...]) -> list[tuple[Cond, Definition]]:
        """Return the definitions of a macro that are not alike, and when each is meant."""
        if not found:
            return []
        files = {one.file for one in found}
        for path in self._undefining.get(found[0].name, ()):
            # What a header takes back at its end it has defined for itself.
            if (path.endswith(".c") and path in files) or (path not in files and self._sees(path)):
                reason = f"what {found[0].name} stands for changes within {path}"
                raise Unsupported(None, reason, missing=True)
        if len(found) == 1:
            return [(True, found[0])]
        if len({(one.text.strip(), one.parameters) for one in found}) == 1:
            return [(True, found[0])]
        return self._by_option(found)

    def _sees(self, path: str) -> bool:
        """Tell whether the translation unit at hand takes in a file."""
        return any(path in self.index.scope(one) for one in self._places_to_look())

    @cached_property
    def _undefining(self) -> dict[str, list[str]]:
        """The files of the target that take the definition of a macro back, by its name."""
        found: dict[str, list[str]] = {}
        for path in self.index.own_files:
            text = self.index.text(path) or b""
            for name in _UNDEF.findall(text) if b"undef" in text else ():
                found.setdefault(name.decode(), []).append(path)
        return found

    def _by_option(self, found: tuple[Definition, ...]) -> list[tuple[Cond, Definition]]:
        """Return definitions and the build options that choose them.

        The first one is meant where the options of no other are set.
        """
        if len(found) == 1:
            return [(True, found[0])]
        plain = [one for one in found if not one.conditions]
        options: list[tuple[Cond, Definition]] = [(True, one) for one in plain[-1:]]
        if found[0].kind == "function":
            options = [(self._unclear(one), one) for one in plain]
        for one in found:
            if one.conditions:
                options.append((self._compiled(one), one))
        return options

    def _unclear(self, definition: Definition) -> Cond:
        """Stand for the choice among functions of one name that no option tells apart."""
        name = f"{definition.name} of {definition.file}:{definition.line}"
        return self.out.word(Fact("variant", name)).bit()

    def _compiled(self, definition: Definition) -> Cond:
        """Return the build options under which a definition is compiled."""
        result: Cond = True
        for words, truth in definition.conditions:
            one = self._option(words)
            result = bits.both(result, one if truth else bits.negate(one))
        return result

    def _macro_constant(
        self, macros: list[tuple[Cond, Definition]], node: Node, state: State
    ) -> Value:
        return self._one_of(
            macros, state, lambda one, trial: self._macro_value(one, None, node, trial)
        )

    def _enumerated(
        self, enumerations: tuple[Definition, ...], name: str, node: Node, state: State
    ) -> Value:
        return self._one_of(
            self._by_option(enumerations),
            state,
            lambda one, trial: self._enumerator(one, name, node, trial),
        )

    def _enumerator(self, enumeration: Definition, name: str, node: Node, state: State) -> Value:
        """Count through an enumeration and return one of its values."""
        self._consult("enum", enumeration)
        if enumeration.key not in self._enumerations:
            values: dict[str, Value] = {}
            self._enumerations[enumeration.key] = values
            root = self.index.node(enumeration)
            with self._unit(Unit(enumeration.file, enumeration.line)):
                self._count_all(root, MINUS_ONE, values, state)
        found = self._enumerations[enumeration.key].get(name)
        if found is None:
            return self.opaque(
                node, f"the value of the enumerator {name} was not found", missing=True
            )
        return found

    def _count_all(
        self, node: Node, last: Int | None, values: dict[str, Value], state: State
    ) -> Int | None:
        """Add the enumerators below a node to VALUES; return the last value, None if unknown."""
        for child in node.named_children:
            if child.type == "enumerator":
                last = self._count(child, last, values, state)
            elif child.type in ("preproc_if", "preproc_ifdef"):
                last = self._count_by_option(child, last, values, state)
            elif not child.type.startswith("preproc_"):
                last = self._count_all(child, last, values, state)
        return last

    def _count_by_option(
        self, node: Node, last: Int | None, values: dict[str, Value], state: State
    ) -> Int | None:
        """Count through the branches of an ``#if`` within an enumeration."""
        option, inside, others = self._branches(node)
        yes, no = dict(values), dict(values)
        ends: list[Int | None] = [last, last]
        for child in inside:
            ends[0] = self._count_in(child, ends[0], yes, state)
        for child in others:
            ends[1] = self._count_in(child, ends[1], no, state)
        for name in {**yes, **no}:
            if name in yes and name in no:
                values[name] = self._choose(option, yes[name], no[name])
            else:
                values[name] = yes.get(name, no.get(name, MINUS_ONE))
        a, b = ends
        if a is None or b is None:
            return None
        chosen = self._choose(option, a, b)
        return chosen if isinstance(chosen, Int) else None

    def _count_in(
        self, child: Node, last: Int | None, values: dict[str, Value], state: State
    ) -> Int | None:
        if child.type == "enumerator":
            return self._count(child, last, values, state)
        if child.type.startswith("preproc_"):
            return self._count_by_option(child, last, values, state)
        return self._count_all(child, last, values, state)

    def _branches(self, node: Node) -> tuple[Cond, list[Node], list[Node]]:
        """Return the option of an ``#if``, and what stands in it and in what follows it."""
        name_node = node.child_by_field_name("name") or node.child_by_field_name("condition")
        alternative = node.child_by_field_name("alternative")
        option = self._option(text(name_node) if name_node is not None else "?")
        if node.children[0].type in ("#ifndef", "#elifndef"):
            option = bits.negate(option)
        skip = {n.id for n in (name_node, alternative) if n is not None}
        inside = [n for n in node.named_children if n.id not in skip]
        if alternative is None:
            return option, inside, []
        if alternative.type == "preproc_else":
            return option, inside, list(alternative.named_children)
        return option, inside, [alternative]

    def _count(
        self, item: Node, last: Int | None, values: dict[str, Value], state: State
    ) -> Int | None:
        """Add one enumerator to VALUES; None where its value is not understood."""
        name_node, value_node = (item.child_by_field_name(n) for n in ("name", "value"))
        if value_node is not None:
            try:
                given = self._as_int(self._value(value_node, state), value_node)
            except Unsupported:
                return None
            last = given.resized(32, True)
            if not last.resized(64, True).bits.identical(given.resized(64, given.signed).bits):
                return None  # it is no int: then none of them need be one
        elif last is None:
            return None
        else:
            last = Int(bits.add(last.bits, bits.constant(32, 1)), True)
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
        arguments = syntax.inner(given)
        for place in self._places_to_look():
            macros = self._options(self.index.macros(name, place))
            if len(macros) == 1 and macros[0][1].parameters is not None:
                words = [text(a) for a in arguments]
                try:
                    with self._expanded(macros[0][1], words, node) as expression:
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
        self._require_closed(macro.name, self._loosest(syntax.inner(value)[0]), node)
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
        if any(one.text != definition.text for one in found):
            return None  # a build option chooses
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
        self.out.tables.add(name)
        for where, value in scratch.memory.items():
            state.memory.setdefault(where, value)
        return state.memory.get(loc)

    def _option(self, words: str) -> Cond:
        """Return the condition that an ``#if`` on build options is, a constant of one build."""
        plain = " ".join(strip_comments(words.encode()).decode().replace("\\\n", " ").split())
        if re.fullmatch(r"!?\s*\w+", plain):
            return self._decided(plain)
        node = syntax.expression(re.sub(r"\bdefined\s+(\w+)", r"defined(\1)", plain))
        if node is None:
            raise Unsupported(None, f"#if {words} is not understood", missing=True)
        return self._decided_by(node)

    def _decided(self, name: str) -> Cond:
        """Return whether one option is set."""
        if name.startswith("!"):
            return bits.negate(self._decided(name[1:].strip()))
        if name.isdigit():
            return name.strip("0") != ""
        known = self.index.target.options.value(name)
        if known is not None:
            return known
        for word in _WORD.findall(name):
            if not word.startswith("CONFIG_") and self.index.varies(word):
                reason = f"#if {name} is asked, and the text defines {word} itself"
                raise Unsupported(None, reason, missing=True)
        return self.out.word(Fact("option", name)).bit()

    def _decided_by(self, node: Node) -> Cond:
        """Return whether an expression over build options holds."""
        kind = node.type
        if kind == "parenthesized_expression" and node.named_child_count == 1:
            return self._decided_by(node.named_children[0])
        if kind == "unary_expression" and node.children[0].type == "!":
            return bits.negate(self._decided_by(node.named_children[0]))
        if kind == "binary_expression" and node.children[1].type in ("&&", "||"):
            a, b = (self._decided_by(node.children[at]) for at in (0, 2))
            return bits.both(a, b) if node.children[1].type == "&&" else bits.either(a, b)
        if kind in ("identifier", "number_literal"):
            return self._decided(text(node))
        if kind == "call_expression":
            name, listed = (node.child_by_field_name(n) for n in ("function", "arguments"))
            if name is not None and listed is not None and listed.named_child_count == 1:
                return self._configured_as(text(name), text(listed.named_children[0]))
        return self._decided(f"({text(node)})")

    def _configured_as(self, how: str, option: str) -> Cond:
        """Return whether an option is set in some way; a module is enabled, but not built in."""
        if how == "IS_ENABLED" and option in self.index.target.options.built:
            return True
        if how in ("defined", "IS_BUILTIN") or not self._may_be_module(option):
            return self._decided(option)
        module = self._decided(f"{option}_MODULE")
        if how == "IS_MODULE":
            return module
        if how == "IS_ENABLED":
            return bits.either(self._decided(option), module)
        return self._decided(f"{how}({option})")

    def _may_be_module(self, option: str) -> bool:
        """Tell whether a build option has three values: all do that are not declared with two."""
        if option not in self._tristates:
            name = re.escape(option.removeprefix("CONFIG_").encode())
            declared = re.compile(
                rb"^(?:menu)?config[ \t]+%b[ \t]*\n((?:(?:[ \t]+|#)[^\n]*\n|\n)*)" % name, re.M
            )
            found = [
                kind
                for folder in (self.index.target.folder, *self.index.target.options.declared)
                for block in declared.findall(self.index.text(f"{folder}/Kconfig") or b"")
                for kind in _TYPED.findall(block)[:1]
            ]
            is_open = self.index.target.options.value(option) is None
            self._tristates[option] = is_open and (
                not found or any(b"tristate" in kind for kind in found)
            )
        return self._tristates[option]
