# SPDX-License-Identifier: GPL-2.0-only
"""Calls: inlined, looked up in tables, passed over, or not understood.

A call for its effect alone is passed over when nothing that matters can be written by
it; what the kernel spells as a macro with a known meaning is taken by its meaning.
"""

from __future__ import annotations

import re
from typing import Literal

from patchtool.c import library, syntax
from patchtool.c.asked import asked
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
    literal,
    settled,
)
from patchtool.c.lower.arithmetic import ordered, shift
from patchtool.c.lower.expressions import Expressions, alike, differ, has_effects, size_of, stores
from patchtool.c.lower.records import Frame, Passed, Trouble, Unit, Unsupported
from patchtool.c.lower.storage import (
    MAX_COPIED,
    STEPS_OF_CALL,
    address_text,
    leads_to,
    member_names,
    same_size,
)
from patchtool.c.memory import (
    Fact,
    Function,
    Int,
    Loc,
    LValue,
    Opaque,
    Pointer,
    Record,
    Root,
    State,
    Value,
)
from patchtool.c.scan import Definition
from patchtool.c.syntax import Node, text
from patchtool.model import Place
from patchtool.proof import bits
from patchtool.proof.bits import Cond

MAX_DEPTH = 48
REPEATED = (1 << 64) // 255
"""A one in each byte of a long."""

CLASS = "class_{}_constructor"
"""What a guard of a class calls where it begins."""
_STORING = rb"(?<![=!<>])=(?!=)|[<>]{2}=|\+\+|--"
_STORES = re.compile(_STORING)
DOES_MORE = re.compile(_STORING + rb"|\b(?:return|goto|break|continue)\b")
"""What a macro holds that stores, or leaves what is around it."""
_PLAIN = re.compile(r"\(*(?:[A-Z][A-Z0-9_]*|0[xX][0-9a-fA-F]+|\d+)\)*")
"""What is asked with a constant: a macro or an enumerator, or a number."""
_NOT_PLAIN = re.compile(rb"[?={}\[\]\"'.]|->|(?<![\w.])[a-z_]\w*")
"""What no macro has that stands for a number, whatever it does with others."""
_NAMED = re.compile(rb"(?<!\w)[A-Z]\w*")
_KEY = re.compile(r"&\s*(\w+)")
_OBJECTS = ("identifier", "field_expression", "subscript_expression", "pointer_expression")


class Calls(Expressions):
    """Follows calls."""

    def _enter(
        self,
        function: Definition,
        arguments: list[Value] | None,
        state: State,
        call: Node | None,
    ) -> Value | None:
        """Run a function body; ARGUMENTS is None for the entry, whose arguments are open."""
        if len(self._frames) >= MAX_DEPTH:
            raise Unsupported(call, f"calls are nested deeper than {MAX_DEPTH}")
        if any(frame.function.key == function.key for frame in self._frames):
            raise Unsupported(call, f"{function.name}() calls itself")
        root = self.index.node(function)
        node = syntax.function(root)
        errors = syntax.errors(root)
        self._consult("function", function, len(errors))
        unit = Unit(function.file, function.line, function.generated)
        if node is None or errors:
            with self._unit(unit):
                if errors:
                    raise Unsupported(self.place(errors[0]), "this line cannot be parsed", True)
                raise Unsupported(None, f"{function.name}() cannot be parsed", missing=True)
        if call is not None:
            self._step(call, STEPS_OF_CALL)
        body = node.child_by_field_name("body")
        declarator = node.child_by_field_name("declarator")
        type_node = node.child_by_field_name("type")
        if body is None or declarator is None or type_node is None:
            raise Unsupported(call, f"{function.name}() is not a plain function", missing=True)
        base = base_type(self.types, type_node, self._unit_of(function))
        result: CType = VoidType()
        pointer = declarator
        stars = 0
        while pointer.type == "pointer_declarator":
            stars += 1
            inner = pointer.child_by_field_name("declarator")
            if inner is None:
                break
            pointer = inner
        result = PointerType(base.pointee()) if stars else base.type
        self._numbers += 1
        frame = self._frame(function, self._numbers, result, self._absolute(state))
        parameters = pointer.child_by_field_name("parameters")
        with self._unit(unit):
            self._frames.append(frame)
            self._base.append(state.path)
            outer = state.path
            state.path = True
            try:
                self._bind(parameters, arguments, state, function)
                rest = self._statement(body, state)
                if rest is not None:
                    frame.returns.append((rest, None))
                value = self._leave(frame, state, body)
            finally:
                self._frames.pop()
                self._base.pop()
            state.path = bits.both(outer, state.path)
        self._result = result
        return value

    def _bind(
        self,
        parameters: Node | None,
        arguments: list[Value] | None,
        state: State,
        function: Definition,
    ) -> None:
        position = 0
        for child in parameters.named_children if parameters is not None else ():
            if child.type != "parameter_declaration":
                continue
            type_node = child.child_by_field_name("type")
            declarator = child.child_by_field_name("declarator")
            if type_node is None or declarator is None:
                continue
            base = base_type(self.types, type_node, self._unit_of(function))
            name, ctype = self.types.declared(declarator, base, self._unit_of(function))
            if name is None:
                continue
            if isinstance(ctype, ArrayType):
                ctype = PointerType(ctype.element)
            lvalue = self._local(name, ctype)
            if arguments is None:
                if isinstance(ctype, PointerType):
                    value: Value = self._pointee(name, settled(ctype.target))
                else:
                    value = self._open(Fact("argument", function.name, name), ctype)
            elif position < len(arguments):
                value = arguments[position]
            else:
                value = self.opaque(None, f"argument {name} of {function.name}() is not passed")
            position += 1
            self._store(lvalue, value, state, None)

    def _leave(self, frame: Frame, state: State, body: Node) -> Value | None:
        """Merge all ways out of a function into STATE and return its value."""
        if frame.jumps and any(frame.jumps.values()):
            raise Unsupported(body, "goto to a label that is not met later in the function")
        if not frame.returns:
            raise Unsupported(body, f"{frame.function.name}() does not return")
        states = [one for one, _ in frame.returns]
        values = [value for _, value in frame.returns]
        merged_value: Value | None = None
        if not isinstance(frame.result, VoidType):
            for one, value in reversed(list(zip(states, values, strict=True))):
                cast = self._convert(value, frame.result, body) if value is not None else None
                if merged_value is None:
                    merged_value = cast
                elif cast is not None:
                    merged_value = self._choose(one.path, cast, merged_value)
        merged = self._merge(states)
        number = frame.number
        prefix = f"{frame.function.name}.{number}."
        memory = {
            loc: value
            for loc, value in merged.memory.items()
            if not (loc.root.kind == "local" and loc.root.name.startswith(prefix))
        }
        state.memory = memory
        state.path = True  # every way through the body is among the returns
        return merged_value

    def _call(self, node: Node, state: State, needed: bool) -> Value:
        callee = node.child_by_field_name("function")
        listed = node.child_by_field_name("arguments")
        assert callee is not None and listed is not None
        arguments = syntax.inner(listed)
        if callee.type == "parenthesized_expression" and len(callee.named_children) == 1:
            callee = callee.named_children[0]
            ctype = self._type_named(callee)
            if ctype is not None and len(arguments) == 1:  # (u64)(x) reads like a call
                return self._convert(self._value(arguments[0], state), ctype, node)
        if callee.type != "identifier":
            return self._indirect(node, callee, arguments, state, needed)
        name = text(callee)
        if name in self._frames[-1].variables:
            held = self._load(self._frames[-1].variables[name], state, callee)
            return self._through(held, node, callee, arguments, state, needed)
        if not self._is_own(name):
            builtin = self._builtin(name, node, arguments, state, needed)
            if builtin is not None:
                return builtin
        return self._direct(name, node, arguments, state, needed)

    def _is_lock(self, name: str) -> bool:
        """Tell whether a class of guards only takes a lock: by what it runs, if that is here."""
        word = name.encode()
        made = [
            library.LOCKING.match(data, found.start())
            for _, data in self.index.texts_with(word)
            for found in re.finditer(rb"^DEFINE_\w+\(\s*%s\b" % word, data, re.M)
        ]
        if not made:
            return library.GUARDS.fullmatch(name) is not None
        if self.index.defines("DEFINE_GUARD", self._here):
            return False
        calls = {one.decode() for found in made if found is not None for one in found.groups()}
        return None not in made and not any(
            library.LOCKS.fullmatch(one) is None
            or self.index.defines(one, self._here)
            or self.index.is_generic(one)
            for one in calls
        )

    def _is_own(self, name: str) -> bool:
        """Tell whether the target itself defines what else is taken by its meaning."""
        if not library.is_builtin(name, self.index.target):
            return False
        if library.is_silent(name, self.index.target) and (
            self.index.functions(name, self._here)
            or self.index.is_generic(name)
            or self.index.traces(name)
            or any(_STORES.search(one.text) for one in self.index.macros(name, self._here))
        ):
            return True
        return self.index.defines(name, self._here)

    def _builtin(
        self, name: str, node: Node, arguments: list[Node], state: State, needed: bool
    ) -> Value | None:
        zero = Int(bits.constant(32, 0), True)
        if name in library.SAME and arguments:
            return self._value(arguments[0], state)
        if name in library.LIKELY and arguments:
            value = self._value(arguments[0], state)
            if name == "__builtin_expect":
                return self._as_int(value, node).resized(64, True)
            return Int(bits.from_cond(self._truth(value, node), 64), True)
        if library.is_check(name, self.index.target) and arguments:
            return self._warning(name, node, arguments, state)
        if library.SAVING.fullmatch(name) and arguments and not needed:
            flags = self._lvalue(arguments[-1], state)
            self._wipe(flags, state, self.opaque(node, f"{name}() sets this"))
            return zero
        if name in library.SEARCHES and len(arguments) == 1 and needed:
            number = self._as_int(self._value(arguments[0], state), arguments[0])
            return self._searched(name, node, number)
        if name == "is_power_of_2" and len(arguments) == 1 and needed:
            word = self._as_int(self._value(arguments[0], state), node).resized(64, False).bits
            lower = bits.bit_and(word, bits.subtract(word, bits.constant(64, 1)))
            is_one = bits.both(bits.nonzero(word), bits.negate(bits.nonzero(lower)))
            return Int(bits.from_cond(is_one, 32), True)
        if library.is_silent(name, self.index.target) and not (
            needed and library.PURE.fullmatch(name)
        ):
            if not library.AT_BUILD.fullmatch(name):
                self._spoken(name, node, arguments, state, bool(library.HEARD.fullmatch(name)))
            if name == "BUILD_BUG_ON_ZERO" or not needed:
                return zero
            return self.opaque(node, f"what {name}() returns is not known")
        if name in library.BIT_OPERATIONS and len(arguments) in (2, 3):
            return self._bit_operation(name, node, arguments, state)
        if name == "smp_load_acquire" and len(arguments) == 1:
            source = self._deref(self._value(arguments[0], state), node)
            return self._load(source, state, node)
        if name in library.COUNTERS and len(arguments) == 1:
            return self._counter(name, node, self._value(arguments[0], state), state)
        if name in ("smp_store_release", "xchg") and len(arguments) == 2:
            pointer, value = self._in_any_order(arguments, node, state)
            place = self._deref(pointer, node)
            old = self._load(place, state, node) if name == "xchg" else zero
            self._store(place, value, state, node)
            return old
        if name in ("cmpxchg", "try_cmpxchg") and len(arguments) == 3:
            return self._compared_and_set(name, node, arguments, state)
        if name == "swap" and len(arguments) == 2:
            first, second = (self._stored_to(argument, state) for argument in arguments)
            held, further = (self._load(place, state, node) for place in (first, second))
            self._store(first, further, state, node)
            self._store(second, held, state, node)
            return zero
        if name in library.KEYS and len(arguments) == 1:
            return self._is_enabled(name, node, arguments[0])
        if name in library.EXTREMA and len(arguments) >= 2:
            return self._extremum(name, node, arguments, state)
        if name in ("WRITE_ONCE", "rcu_assign_pointer") and len(arguments) == 2:
            target = self._stored_to(arguments[0], state)
            self._store(target, self._value(arguments[1], state), state, node)
            return zero
        if name == "container_of" and len(arguments) == 3:
            return self._container(node, arguments, state)
        if name in library.CONFIGURED and arguments:
            return Int(bits.from_cond(self._configured_as(name, text(arguments[0])), 32), True)
        if name == "ARRAY_SIZE" and arguments:
            ctype = self._lvalue(arguments[0], state).type
            if isinstance(ctype, ArrayType) and ctype.length is not None:
                return Int(bits.constant(64, ctype.length))
            raise Unsupported(node, "the size of an array is not known")
        if name in ("memset", "__builtin_memset") and len(arguments) == 3:
            return self._memset(node, arguments, state)
        if name in ("memcpy", "__builtin_memcpy") and len(arguments) == 3:
            return self._memcpy(node, arguments, state)
        if name in ("GENMASK", "GENMASK_ULL", "FIELD_GET", "FIELD_PREP") and len(arguments) == 2:
            a, b = (self._as_int(self._value(n, state), n) for n in arguments)
            return self._masked(name, a, b, arguments[0])
        if needed:
            kind = asked(self.index, name, self._here, [*map(text, arguments)])
            if kind is not None:
                return self._told(kind, name, node, arguments, state)
        if name == "REPEAT_BYTE" and len(arguments) == 1:
            byte = self._as_int(self._value(arguments[0], state), node)
            return Int(bits.multiply(bits.resize(byte.bits, 64, byte.signed), REPEATED))
        if name in library.POPULATION and len(arguments) == 1:
            given = self._as_int(self._value(arguments[0], state), node)
            counted = given.resized(library.POPULATION[name], False)
            total = bits.constant(32, 0)
            for one in counted.bits.conditions():
                total = bits.add(total, bits.from_cond(one, 32))
            return Int(total)
        if name == "__builtin_choose_expr" and len(arguments) == 3:
            which = self._constant(self._value(arguments[0], state), node)
            return self._value(arguments[1 if which else 2], state)
        if len(arguments) == library.CLAMPS.get(name):
            as_type: CType | None = None
            if name == "clamp_t":
                as_type = self.types.named(text(arguments[0]), self._here)
            elif name == "clamp_val":
                as_type = self._type_of(arguments[0], state)
            return self._clamped(as_type, arguments[-3:], node, state)
        if name in ("memcmp", "__builtin_memcmp", "bcmp") and len(arguments) == 3:
            return self._memcmp(node, arguments, state)
        if name == "__builtin_constant_p" and len(arguments) == 1:
            if literal(text(arguments[0])) is not None:
                return Int(bits.constant(32, 1), True)
            value = self._value(arguments[0], state.fork(True))
            if isinstance(value, Int) and value.bits.value is None:
                return zero
            return self.opaque(node, f"whether gcc knows {text(arguments[0])} is not known")
        if name in library.LOCKED and len(arguments) == 1:
            self._value(arguments[0], state)
            return self.opaque(node, f"whether {text(arguments[0])} is held is not known")
        if name == "typecheck" and len(arguments) == 2:  # of types alone, when it is compiled
            return Int(bits.constant(32, 1), True)
        return None

    def _searched(self, name: str, node: Node, number: Int) -> Value:
        """Return the place of the first or the last bit that is set."""
        width, is_last, base, is_long = library.SEARCHES[name]
        size = 64 if is_long else 32
        places = number.resized(width, False).bits.conditions()
        found = bits.constant(size, 0)
        if not base and bits.every(map(bits.negate, places)) is not False:
            none = self.opaque(node, f"what {name}(0) returns is not known")
            found = bits.low_bits(size, none.word)
        for at in range(width) if is_last else reversed(range(width)):
            found = bits.choose(places[at], bits.constant(size, at + base), found)
        return Int(found, not is_long)

    def _counter(self, name: str, node: Node, value: Value, state: State) -> Value:
        """Return what an atomic counter holds, whose type is one of the kernel's own."""
        tag, width = library.COUNTERS[name]
        counted = self._deref(value, node) if isinstance(value, Pointer) else None
        if counted is not None and isinstance(counted.type, RecordType):
            return self._load(self._member(counted, "counter", node), state, node)
        is_known = counted is not None and counted.type == UnknownType(tag)
        if counted is None or counted.cell is not None or not is_known:
            return self.opaque(node, f"what {name}() reads is not known")
        place = self._whole(counted.loc.member("counter"), IntType(width, True))
        return self._load(place, state, node)

    def _told(
        self, kind: Literal["guest", "host"], name: str, node: Node, given: list[Node], state: State
    ) -> Value:
        """Return what a function tells of a CPU: one bit, whatever it takes to find it."""
        words = []
        for argument in given:
            value = self._value(argument, state) if kind == "guest" else None
            pointer = isinstance(value, Pointer)
            words.append(address_text(value) if isinstance(value, Pointer) else text(argument))
            if kind == "guest" and not words[1:] and not pointer:
                raise Unsupported(node, f"{name}() of an unknown CPU")
            if pointer and words[1:]:
                return self.opaque(node, f"{name}() may answer by more than a CPU and a constant")
            if not pointer and not self._is_plain(text(argument)):
                number = self._value(argument, state)
                words[-1] = str(self._constant(number, argument))
        told = self.out.word(Fact(kind, name, ", ".join(words)))
        width = 8 if re.fullmatch(self.index.target.registers.numbers, name) else 1
        self.out.reads.setdefault(told, (self._spot(), width))
        return Int(bits.resize(bits.low_bits(width, told), 32), True)

    def _is_plain(self, words: str) -> bool:
        """Tell whether an argument is a number, an enumerator, or a macro that is made of such."""
        if _PLAIN.fullmatch(words) is None:
            return False
        todo, seen = [words.strip("()")], {words.strip("()")}
        while todo:
            for macro in self.index.macros(todo.pop(), self._here):
                given = {one.encode() for one in macro.parameters or ()}
                if any(one[0] not in given for one in _NOT_PLAIN.finditer(macro.text)):
                    return False
                more = {one.decode() for one in _NAMED.findall(macro.text)} - seen
                seen |= more
                todo += sorted(more)
        return True

    def _is_enabled(self, name: str, node: Node, key: Node) -> Value:
        """Return whether a static key is enabled: one bit of an object of file scope."""
        held = _KEY.fullmatch(text(key))
        if held is None or any(held[1] in frame.variables for frame in self._frames):
            raise Unsupported(node, f"{name}() of no static key of file scope")
        told = self.out.word(Loc(Root(held[1], "global")))
        self.out.reads.setdefault(told, (self._spot(), 1))
        return Int(bits.resize(bits.low_bits(1, told), 32), True)

    def _extremum(self, name: str, node: Node, arguments: list[Node], state: State) -> Value:
        typed = name.endswith("_t")
        values = arguments[1:] if typed else arguments
        if len(values) != 2:
            raise Unsupported(node, f"{name}() of other than two values")
        a, b = (self._as_int(self._value(v, state), v) for v in values)
        if typed:
            ctype = self.types.named(text(arguments[0]), self._here)
            if not isinstance(ctype, IntType):
                raise Unsupported(node, f"the type {text(arguments[0])} is not an integer")
            a, b = (self._as_int(self._convert(v, ctype, node), node) for v in (a, b))
        a, b = self._balanced(a, b)
        less = ordered("<", a, b)
        if library.EXTREMA[name]:
            less = bits.negate(less)
        return self._choose(less, a, b)

    def _container(self, node: Node, arguments: list[Node], state: State) -> Value:
        inner = self._value(arguments[0], state)
        if not isinstance(inner, Pointer):
            raise Unsupported(node, "container_of() a pointer of unknown target")
        tag, member = text(arguments[1]), text(arguments[2])
        ctype = self.types.named(tag, self._here)
        if not isinstance(ctype, RecordType):
            ctype = self.types.record(f"struct {tag.split()[-1]}", self._here)
        steps = tuple(one.strip() for one in member.split("."))
        outer, behind = inner.target.path[: -len(steps)], inner.target.path[-len(steps) :]
        if behind == steps:
            return Pointer(Loc(inner.target.root, outer), ctype)
        name = f"container_of({address_text(inner)}, struct {tag.split()[-1]}, {member})"
        return self._pointee(name, ctype)

    def _bit_operation(self, name: str, node: Node, arguments: list[Node], state: State) -> Value:
        """Read a bit of a map of bits, and perhaps set it."""
        number, pointer, *more = self._in_any_order(arguments, node, state)
        at = self._as_int(number, node).bits.value
        if at is None:
            raise Unsupported(node, f"{name}() of a bit that is not constant")
        place = self._bit_of(pointer, at, node)
        held = self._as_int(self._load(place, state, node), node)
        old = bits.nonzero(held.bits)
        action = library.BIT_OPERATIONS[name]
        if action is not None:
            made: Cond = {"1": True, "0": False, "!": bits.negate(old)}.get(action, False)
            if action == "?":
                made = self._truth(more[0], node)
            self._store(place, Int(bits.from_cond(made)), state, node)
        return Int(bits.from_cond(old, 32), True)

    def _bit_of(self, pointer: Value, at: int, node: Node) -> LValue:
        """Return one bit of the map that a pointer is to."""
        if not isinstance(pointer, Pointer):
            raise Unsupported(node, "a map of bits that is not known")
        held = pointer.lvalue or self._whole(pointer.target, pointer.type)
        if isinstance(held.type, ArrayType):
            element = held.type.element
            if not isinstance(element, IntType):
                raise Unsupported(node, "a map of bits that is no array of numbers")
            held = self._element(held, at // element.width, node)
            at %= element.width
        cell, low, room = held.cell, held.low, held.width
        size = held.cell_width
        if cell is None:
            if not isinstance(held.type, IntType):
                raise Unsupported(node, "a map of bits that is no number")
            cell, low, room = held.loc, 0, held.type.width
            size = room
        if at >= room:
            raise Unsupported(node, "a bit beyond the end of a number")
        return LValue(held.loc, IntType(1, False), cell, size, low + at, 1, held.rivals)

    def _exchanged(
        self, place: LValue, value: Value, when: Cond, node: Node, state: State
    ) -> Value:
        """Store a value on a condition, and return the one before."""
        old = self._load(place, state, node)
        self._store(place, self._choose(when, value, old), state, node)
        return old

    def _compared_and_set(
        self, name: str, node: Node, arguments: list[Node], state: State
    ) -> Value:
        pointer, expected, value = self._in_any_order(arguments, node, state)
        place = self._deref(pointer, node)
        if name == "cmpxchg":
            same = self._compare_equal(self._load(place, state, node), expected, node)
            return self._exchanged(place, value, same, node, state)
        seen = self._deref(expected, node)
        same = self._compare_equal(
            self._load(place, state, node), self._load(seen, state, node), node
        )
        old = self._exchanged(place, value, same, node, state)
        self._exchanged(seen, old, bits.negate(same), node, state)
        return Int(bits.from_cond(same, 32), True)

    def _warning(self, name: str, node: Node, arguments: list[Node], state: State) -> Value:
        """Return the condition of a warning; what it says is evaluated where it holds."""
        condition = self._truth(self._value(arguments[0], state), node)
        if any(map(has_effects, arguments[1:])):
            said = state.fork(condition)
            for argument in filter(has_effects, arguments[1:]):
                self._value_or_unknown(argument, said)
            once = re.search("ONCE|RATELIMIT", name) is not None
            self._perhaps(said, condition, node, state, f"how often {name}() speaks", once)
        return Int(bits.from_cond(condition, 32), True)

    def _spoken(
        self, name: str, node: Node, arguments: list[Node], state: State, always: bool
    ) -> None:
        """Evaluate the arguments of a call that itself changes nothing."""
        aside = state.fork(True)
        for argument in arguments:
            if has_effects(argument):
                self._value_or_unknown(argument, aside)
        self._perhaps(aside, True, node, state, f"whether {name}() evaluates this", not always)

    def _perhaps(
        self, other: State, condition: Cond, node: Node, state: State, reason: str, unsure: bool
    ) -> None:
        """Go on with what OTHER has become, where a condition holds and, UNSURE, perhaps."""
        if other.memory == state.memory:
            return
        if unsure:
            condition = bits.both(condition, self.opaque(node, reason).word.bit())
        if condition is True:
            state.memory = other.memory
        else:
            rest = State(state.memory, bits.negate(condition))
            state.memory = self._merge([State(other.memory, condition), rest]).memory

    def _memset(self, node: Node, arguments: list[Node], state: State) -> Value:
        target = self._deref(self._value(arguments[0], state), node)
        filler = self._constant(self._value(arguments[1], state), node) & 0xFF
        size, whole = self._extent(arguments[2], target, state)
        known = _size(target)
        if whole and filler == 0:
            for loc in [loc for loc in state.memory if loc.within(target.loc)]:
                del state.memory[loc]
            self._zero(target, state, node)
        elif size is not None and known is not None and 0 < size * 8 <= known:
            part = self._first(target, size, node)
            self._store(part, Int(bits.constant(size * 8, _repeated(filler, size))), state, node)
        else:
            raise Unsupported(node, "memset() of part of an object")
        return Int(bits.constant(64, 0))

    def _extent(self, node: Node, target: LValue, state: State) -> tuple[int | None, bool]:
        """Return a size in bytes, and whether it is that of the object."""
        inner = node
        while inner.type == "parenthesized_expression" and inner.named_child_count == 1:
            inner = inner.named_children[0]
        if inner.type == "sizeof_expression" and isinstance(target.type, (RecordType, ArrayType)):
            measured = self._measured(inner, state)
            if type(measured) is type(target.type) and measured == target.type:
                return _size_in_bytes(target), True
            if isinstance(measured, RecordType) and measured.size is None:
                return None, False
        value = self._value(node, state)
        size = value.bits.value if isinstance(value, Int) else None
        return size, size is not None and size * 8 == _size(target)

    def _first(self, target: LValue, size: int, node: Node) -> LValue:
        """Return the first bytes of a word as an integer."""
        if target.cell is None and not isinstance(target.type, IntType):
            raise Unsupported(node, f"{text(node.children[0])}() of part of an object")
        pointer = Pointer(target.loc, target.type, target)
        ctype = PointerType(IntType(size * 8, False))
        return self._deref(self._retyped(pointer, ctype), node)

    def _memcpy(self, node: Node, arguments: list[Node], state: State) -> Value:
        """Copy an object, or the first bytes of a word."""
        ends = self._in_any_order(arguments[:2], node, state)
        target, source = (self._deref(value, node) for value in ends)
        size, whole = self._extent(arguments[2], target, state)
        if whole and same_size(target.type, source.type):
            self._copy_whole(target, source, state, node)
            return Int(bits.constant(64, 0))
        room = min(_size(target) or 0, _size(source) or 0)
        if size is None or not 0 < size * 8 <= room:
            raise Unsupported(node, f"{text(node.children[0])}() of part of an object")
        parts = [self._first(one, size, node) for one in (target, source)]
        self._store(parts[0], self._load(parts[1], state, node), state, node)
        return Int(bits.constant(64, 0))

    def _copy_whole(self, target: LValue, source: LValue, state: State, node: Node) -> None:
        """Copy an object, an array by its elements."""
        ctype = target.type
        if not isinstance(ctype, ArrayType) or target.cell is not None:
            self._store(target, self._load(source, state, node), state, node)
            return
        if ctype.length is None or ctype.length > MAX_COPIED:
            raise Unsupported(node, "an array is copied as a whole")
        for number in range(ctype.length):
            self._step(node)
            to, start = (self._element(one, number, node) for one in (target, source))
            self._copy_whole(to, start, state, node)

    def _masked(self, name: str, a: Int, b: Int, node: Node) -> Int:
        """Return a mask of bits, or what a mask cuts out of a word or puts into one."""
        if name.startswith("GENMASK") and None in (a.bits.value, b.bits.value):
            ones, above = Int(bits.constant(64, (1 << 64) - 1)), bits.constant(64, 63)
            left = Int(bits.subtract(above, bits.resize(a.bits, 64, a.signed)))
            return Int(bits.bit_and(shift("<<", ones, b).bits, shift(">>", ones, left).bits))
        if name.startswith("GENMASK"):
            high, low = self._constant(a, node), self._constant(b, node)
            if not 0 <= low <= high < 64:
                raise Unsupported(node, f"{name}() of bits that are none")
            return Int(bits.constant(64, (1 << high + 1) - (1 << low)))
        mask = self._constant(a, node) & (1 << a.bits.width) - 1
        if not mask:
            raise Unsupported(node, f"{name}() of no bits")
        low = (mask & -mask).bit_length() - 1
        width = a.bits.width
        wanted = bits.constant(width, mask)
        value = bits.resize(b.bits, width, b.signed)
        if name == "FIELD_GET":
            return Int(bits.shift_right(bits.bit_and(value, wanted), low, False))
        return Int(bits.bit_and(bits.shift_left(value, low), wanted))

    def _clamped(self, ctype: CType | None, values: list[Node], node: Node, state: State) -> Value:
        """Return a value between two bounds, all taken for a type if one is given."""
        value, low, high = (self._as_int(self._value(v, state), v) for v in values)
        if ctype is not None:
            if not isinstance(ctype, IntType):
                raise Unsupported(node, "what is clamped is taken for what is no integer")
            value, low, high = (
                self._as_int(self._convert(v, ctype, node), node) for v in (value, low, high)
            )
        none = ordered(">", *self._balanced(low, high))
        value, low = self._balanced(value, low)
        raised = self._as_int(self._choose(ordered("<", value, low), low, value), node)
        raised, high = self._balanced(raised, high)
        found = self._choose(ordered(">", raised, high), high, raised)
        if none is False:
            return found
        unknown = self.opaque(node, "what lies between bounds is not known where there is nothing")
        return self._choose(none, unknown, found)

    def _memcmp(self, node: Node, arguments: list[Node], state: State) -> Value:
        """Compare the first bytes of two words: zero, or a number of unknown sign."""
        count = self._constant(self._value(arguments[2], state), arguments[2]) * 8
        parts: list[Int] = []
        for argument in arguments[:2]:
            lvalue = self._deref(self._value(argument, state), argument)
            whole = self._as_int(self._load(lvalue, state, argument), argument)
            if not 0 < count <= whole.bits.width or (
                isinstance(lvalue.type, RecordType) and (lvalue.cell is None)
            ):
                raise Unsupported(node, f"{text(node.children[0])}() of more than one word")
            parts.append(Int(bits.cut(whole.bits, 0, count)))
        a, b = parts
        differs = bits.negate(self._compared(node, bits.equal(a.bits, b.bits), a, b, state))
        if isinstance(differs, bool) or _is_tested(node):
            return Int(bits.from_cond(differs, 32), True)
        sign = bits.low_bits(1, self.opaque(node, "which of two words is greater").word)
        more = bits.bit_and(sign, bits.from_cond(differs))
        return Int(bits.join([bits.from_cond(differs), *[more] * 31]), True)

    def _indirect(
        self, node: Node, callee: Node, arguments: list[Node], state: State, needed: bool
    ) -> Value:
        """Call through a member, or through ``static_call(name)``."""
        if callee.type == "call_expression":
            inner = callee.child_by_field_name("function")
            listed = callee.child_by_field_name("arguments")
            if (
                inner is not None
                and listed is not None
                and text(inner) in library.dispatchers(self.index.target)
            ):
                name = text(listed.named_children[0]).removeprefix(self.index.target.prefix)
                return self._operation(name, node, arguments, state, needed, True)
            if inner is not None and library.LOCKS.fullmatch(text(inner)):  # guard(mutex)(&lock)
                given = syntax.inner(listed)
                if given and not self._is_lock(text(given[0])):
                    return self._direct(
                        CLASS.format(text(given[0])), node, arguments, state, needed
                    )
                if not self.index.defines(text(inner), self._here):
                    self._spoken(text(inner), node, arguments, state, True)
                    return Int(bits.constant(32, 0))
        if callee.type == "pointer_expression":
            inner_callee = callee.child_by_field_name("argument")
            if inner_callee is not None:
                return self._indirect(node, inner_callee, arguments, state, needed)
        if callee.type == "field_expression":
            member = callee.child_by_field_name("field")
            assert member is not None
            try:
                held = self._load(self._lvalue(callee, state), state, callee)
            except Unsupported:
                held = None
            if isinstance(held, Function):
                return self._direct(held.name, node, arguments, state, needed)
            return self._operation(text(member), node, arguments, state, needed)
        try:
            held = None if stores(callee) else self._value(callee, state)
        except Unsupported:
            held = None
        return self._through(held, node, callee, arguments, state, needed)

    def _through(
        self,
        held: Value | None,
        node: Node,
        callee: Node,
        arguments: list[Node],
        state: State,
        needed: bool,
    ) -> Value:
        """Call through a pointer: one of some functions, or what is not known."""
        if isinstance(held, Function):
            return self._direct(held.name, node, arguments, state, needed)
        if isinstance(held, Int) and (ones := self._functions(held)):
            result: Value | None = None
            ends: list[State] = []
            for condition, name in ones:
                trial = state.fork(condition)
                value = self._direct(name, node, arguments, trial, needed)
                result = value if result is None else self._choose(condition, value, result)
                ends.append(trial)
            assert result is not None
            state.memory = self._merge(ends).memory
            return result
        reason = f"{text(callee)} is called, a pointer of unknown target"
        values = self._in_any_order(arguments, node, state)
        self._spoil(Unsupported(node, reason), state)
        return self._unknown_call(node, reason, values, state)

    def _functions(self, held: Int) -> list[tuple[Cond, str]]:
        """Return which functions a value may be the address of, and when; none if it may be more.

        Such a value is put together where paths join, of no more than the addresses of functions.
        """
        if held.width != 64:
            return []
        found: list[tuple[Cond, str]] = [
            (hit, name)
            for number, name in sorted(self.out.functions.items())
            if (hit := bits.equal(held.bits, bits.constant(64, number))) is not False
        ]
        return found if found and self._is_all(hit for hit, _ in found) else []

    def _in_any_order(self, nodes: list[Node], node: Node, state: State) -> list[Value]:
        """Evaluate arguments, of which C does not say which comes first."""
        if len(nodes) < 2 or not any(map(stores, nodes)):
            return [self._value_or_unknown(one, state) for one in nodes]
        other = state.fork(True)
        values = [self._value_or_unknown(one, state) for one in nodes]
        if differ(other.memory, state.memory):
            back = [self._value_or_unknown(one, other) for one in reversed(nodes)]
            if not all(map(alike, back[::-1], values)) or differ(other.memory, state.memory):
                raise Unsupported(node, "what is called depends on which argument comes first")
        return values

    def _operation(
        self,
        name: str,
        node: Node,
        arguments: list[Node],
        state: State,
        needed: bool,
        is_static: bool = False,
    ) -> Value:
        """Call a vendor operation: every function that a table gives this member.

        A static call of what a table leaves out runs nothing; through a member, it is no call
        that returns.
        """
        candidates = self.effects.operations(name)
        values = self._in_any_order(arguments, node, state)
        if not candidates:
            reason = f"no function is assigned to {name}"
            self._spoil(Unsupported(node, reason), state)
            return self._unknown_call(node, reason, values, state)
        definitions = tuple(definition for _, definition in candidates)
        left_out = self.effects.left_out(name) if is_static else None
        if left_out is None and len({function for function, _ in candidates}) == 1:
            reason = f"{name} may be given another function behind module load"
            self.out.operations.setdefault(name, Trouble(self.place(node), reason, True))
        if not needed and self._may_pass(definitions, values, state, name):
            self._pass(name, definitions, values, node, state, name)
            return Int(bits.constant(32, 0))
        named: dict[str, list[Definition]] = {}
        for function, definition in candidates:
            named.setdefault(function, []).append(definition)
        options: list[tuple[Cond, list[Definition]]] = []
        for number, (function, ones) in enumerate(named.items()):
            which = self.out.word(Fact("operation", name, function)).bit(number)
            options.append((which, ones))
        if left_out is not None:
            options.append((self.out.word(Fact("operation", name, "NULL")).bit(len(named)), []))

        def follow(definition: Definition, trial: State) -> Value:
            return self._followed(definition, definition.name, node, values, trial)

        def run(ones: list[Definition], trial: State) -> Value:
            if ones:
                return self._one_of(self._by_option(tuple(ones)), trial, follow)
            assert left_out is not None
            if left_out.is_zero:
                return Int(bits.constant(32, 0))
            where = f"{left_out.place.file}:{left_out.place.line}"
            reason = (
                f"a table keeps no function for {name} ({where}), and the call returns anything"
            )
            return self.opaque(node, reason)

        return self._one_of(options, state, run)

    def _followed(
        self, definition: Definition, name: str, node: Node, values: list[Value], state: State
    ) -> Value:
        """Execute a call, or forget what it may set where it is not understood."""
        trial = state.fork(True)
        try:
            value = self._enter(definition, list(values), trial, node)
        except Unsupported as problem:
            return self._abandoned(definition, name, node, problem, values, state)
        state.memory = trial.memory
        return value if value is not None else Int(bits.constant(32, 0))

    def _abandoned(
        self,
        definition: Definition,
        name: str,
        node: Node,
        problem: Unsupported,
        values: list[Value],
        state: State,
    ) -> Value:
        """Go on behind a call that was not understood."""
        if self.effects.reaches(name, definition) or self._stores_watched((definition,)):
            self._spoil(problem, state)
        self._pass(name, (definition,), values, node, state)
        if isinstance(problem.node, Place):
            # It is told where it is, once, and not at each call.
            return self._unknown_call(problem.node, problem.reason, values, state, problem.missing)
        reason = f"{name}(): {problem.reason}"
        return self._unknown_call(node, reason, values, state, problem.missing)

    def _unknown_call(
        self,
        node: Node | Place,
        reason: str,
        values: list[Value],
        state: State,
        missing: bool = False,
    ) -> Opaque:
        """Return what an unknown call returns: forget the locals that it may reach."""
        reached = self._within_reach(values, state)

        def fresh() -> Opaque:
            return self._taint(self.opaque(node, reason, missing), values)

        result = fresh()
        if reached:
            self._targets[result.word] = tuple(reached)
        reached += self._escaped(state)
        self._forget_locals(reached, state, fresh)
        for pointer in reached:
            if pointer.target.root.kind != "local" and not self._is_large(pointer):
                self._wipe(self._all_of(pointer), state, fresh())
        return result

    def _may_pass(
        self,
        definitions: tuple[Definition, ...],
        values: list[Value],
        state: State,
        hook: str | None = None,
    ) -> bool:
        """Tell whether a call for its effect alone may be passed over.

        It must not store to what matters, nor be given what it could store that through, nor
        a function that does.
        """
        if any(self.effects.reaches(d.name, d) for d in definitions):
            return False
        if self._stores_watched(definitions, hook):
            return False
        reached = self._within_reach(values, state)
        if any(self._is_bare(p) for p in reached):
            return False
        locals_ = {p.target.root for p in reached if p.target.root.kind == "local"}
        held = (one for loc, one in state.memory.items() if loc.root in locals_)
        if any(map(self._calls_back, (*values, *held))):
            return False
        return not self._escaped(state)

    def _stores_watched(self, definitions: tuple[Definition, ...], hook: str | None = None) -> bool:
        """Tell whether a call may set what is read on both sides of a call that was passed over."""
        return any(self._may_store(definitions, one, hook) for one in sorted(self._watched))

    def _may_store(
        self, definitions: tuple[Definition, ...], member: tuple[str, ...], hook: str | None
    ) -> bool:
        """Tell whether a call of one of some functions may store to a member."""
        names = frozenset(member)
        return any(self.effects.may_store(d, names, hook) for d in definitions) or (
            bool(definitions and member) and self.effects.is_parked(member[-1].removesuffix("[]"))
        )

    def _pass(
        self,
        name: str,
        definitions: tuple[Definition, ...],
        values: list[Value],
        node: Node,
        state: State,
        hook: str | None = None,
    ) -> None:
        """Remember a call that is passed over, and forget what it may set of what is used."""
        for definition in definitions:
            self._consult("function (not followed)", definition)
        given = tuple({p.target: None for p in self._pointers(values)})
        for loc in list(self._touched):
            names = member_names(loc)
            if self.effects.names(loc.path):
                continue
            if definitions:
                suspected = names in self._suspected and self._may_store(definitions, names, hook)
            else:
                suspected = any(leads_to(loc, target) for target in given)
            if suspected:
                value = self.opaque(node, f"{name}() may change {loc}")
                self._doubtful[value.word] = names
                state.memory[loc] = value
        self.out.passed.append(Passed(self.place(node), name, definitions, hook, state.path))

    def _direct(
        self, name: str, node: Node, arguments: list[Node], state: State, needed: bool
    ) -> Value:
        here = self._here
        functions = () if name.lstrip("_").isupper() else self.index.functions(name, here)
        places = {here, *(d.file for d in functions)}
        hidden = bool(functions) and (
            self.index.is_hidden(name, places)
            or any(one.text.strip() != name.encode() for one in self.index.macros(name, here))
        )
        apart = self._apart(functions, here) if hidden else []
        if apart:
            values = self._in_any_order(arguments, node, state)

            def meant(one: Definition, trial: State) -> Value:
                if one.kind == "macro":
                    return self._macro_call(one, node, arguments, trial, needed)
                return self._followed(one, name, node, values, trial)

            return self._one_of(apart, state, meant)
        if hidden or not functions:
            for where in self._places_to_look() if not functions else ():
                macros = self._options(self.index.macros(name, where))
                if any(self.index.is_function_in(one.file, name) for _, one in macros):
                    hidden = True
                elif macros:
                    return self._one_of(
                        macros,
                        state,
                        lambda one, trial: self._macro_call(one, node, arguments, trial, needed),
                    )
            return self._outside(name, node, arguments, state, needed, hidden)
        values = self._in_any_order(arguments, node, state)
        if not needed and self._may_pass(functions, values, state):
            self._pass(name, functions, values, node, state)
            return Int(bits.constant(32, 0))

        def run(definition: Definition, trial: State) -> Value:
            value = self._followed(definition, name, node, values, trial)
            self._alias(value, name, state)
            return value

        return self._one_of(self._by_option(functions), state, run)

    def _apart(self, functions: tuple[Definition, ...], here: str) -> list[tuple[Cond, Definition]]:
        """Return functions, and macros of the same name, with the options of each.

        None at all where a macro may stand for a function that is there as well.
        """
        name = functions[0].name
        macros = [one for one in self.index.macros(name, here) if one.text.strip() != name.encode()]
        if not macros or any(
            macro.parameters is None or not self._exclude(function, macro)
            for macro in macros
            for function in functions
        ):
            return []
        return [*self._by_option(functions), *((self._compiled(one), one) for one in macros)]

    def _exclude(self, function: Definition, macro: Definition) -> bool:
        """Tell whether a function is compiled only where a macro of its name is not defined."""
        asked = re.compile(rf"(!\s*)?(?:defined\b\s*\(?\s*)?\b{macro.name}\b")
        for words, truth in function.conditions:
            found = asked.search(words)
            is_whole = "||" not in words and (truth or "&&" not in words)
            is_above = macro.file in self.index.scope(function.file) and macro.file != function.file
            if found is not None and (found[1] is not None) is truth and is_whole and is_above:
                return True
        return bits.both(self._compiled(function), self._compiled(macro)) is False

    def _outside(
        self,
        name: str,
        node: Node,
        arguments: list[Node],
        state: State,
        needed: bool,
        hidden: bool,
    ) -> Value:
        """Call what the target does not define, or defines as a macro and a function."""
        reason = f"the definition of {name}() was not found"
        if hidden:
            reason = f"{name}() is a macro as well as a function"
        values = self._in_any_order(arguments, node, state)
        if not library.PURE.fullmatch(name):
            self._may_be_set(arguments, reason, state)
        held = self._is_whole if needed else self._is_outer
        pointers = list(self._pointers(values))
        if any(map(held, pointers)) and (
            hidden or any(map(self._is_vital, pointers)) or not self.effects.spares(name)
        ):
            self._spoil(Unsupported(node, reason), state)
        if any(self._calls_back(value) for value in values):
            self._spoil(Unsupported(node, reason), state)
        if not library.PURE.fullmatch(name):
            self._pass(name, (), values, node, state)
        return self._unknown_call(node, reason, values, state, missing=not hidden)

    def _is_whole(self, pointer: Pointer) -> bool:
        """Tell whether a pointer is to what matters, or to a whole record that may hold it."""
        return self._is_vital(pointer) or (self._is_large(pointer) and not pointer.target.path)

    def _is_outer(self, pointer: Pointer) -> bool:
        return pointer.target.root.kind == "pointee"

    def _calls_back(self, value: Value) -> bool:
        """Tell whether a value is, or holds, a function that may store to what matters."""
        if isinstance(value, Record):
            return any(self._calls_back(one) for _, one in value.cells)
        names = [value.name] if isinstance(value, Function) else []
        if isinstance(value, Int):
            names += (name for _, name in self._functions(value))
        return any(
            self.effects.reaches(name, one)
            for name in names
            for one in self.index.functions(name, self._here)
        )

    def _may_be_set(self, arguments: list[Node], reason: str, state: State) -> None:
        """Forget the objects given to what may be a macro that sets them."""
        for argument in arguments:
            inner = argument
            while inner.type == "parenthesized_expression" and inner.named_child_count == 1:
                inner = inner.named_children[0]
            is_address = inner.type == "pointer_expression" and inner.children[0].type == "&"
            if inner.type not in _OBJECTS or is_address or has_effects(inner):
                continue
            try:
                lvalue = self._lvalue(inner, state.fork(True))
            except Unsupported:
                continue
            if not isinstance(lvalue.type, PointerType) and not self._is_large(
                Pointer(lvalue.loc, lvalue.type, lvalue)
            ):
                self._wipe(lvalue, state, self.opaque(argument, reason, missing=True))

    def _alias(self, value: Value | None, name: str, state: State) -> None:
        """Remember that a wrapper's name reads better than container_of()."""
        if (
            isinstance(value, Pointer)
            and value.target.root.name.startswith("container_of(")
            and not value.target.path
        ):
            match = re.match(r"container_of\(([^,]+),", value.target.root.name)
            if match is not None:
                self.out.aliases.setdefault(value.target.root.name, f"{name}({match.group(1)})")

    def _statement_macro(
        self, macro: Definition, node: Node, arguments: list[Node], state: State
    ) -> Value:
        """Run a macro that stands for statements."""
        self._consult("macro", macro)
        body = expand(macro, [text(a) for a in arguments])
        if macro.parameters is None:
            body = macro.text.decode("utf-8", "replace")
        if body is None or macro.key in self._expanding:
            raise Unsupported(node, f"{macro.name}() cannot be expanded", missing=True)
        block = syntax.block(body)
        if block is None:
            self._spoil(Unsupported(node, f"{macro.name}() is not understood"), state)
            return Int(bits.constant(32, 0))
        if not is_one(node, block):
            raise Unsupported(node, f"{macro.name} is more than the one statement that stands here")
        self._expanding.add(macro.key)
        try:
            with self._unit(Unit(macro.file, macro.line, True)):
                after = self._statement(block, state)
        finally:
            self._expanding.discard(macro.key)
        if after is None:
            self._spoil(Unsupported(node, f"{macro.name} leaves what is around it"), state)
            return Int(bits.constant(32, 0))
        state.become(after)
        return Int(bits.constant(32, 0))

    def _macro_call(
        self, macro: Definition, node: Node, arguments: list[Node], state: State, needed: bool
    ) -> Value:
        if macro.parameters is None:
            target = macro.text.decode("utf-8", "replace").strip()
            if re.fullmatch(r"\w+", target) and target != macro.name:
                self._consult("macro", macro)
                return self._direct(target, node, arguments, state, needed)
            raise Unsupported(node, f"{macro.name} is called and is no function")
        if re.search(rb"^\s*(?:do\b|\{)", macro.text) or (not needed and b";" in macro.text):
            return self._statement_macro(macro, node, arguments, state)
        return self._macro_value(macro, [text(a) for a in arguments], node, state)


def is_one(node: Node, block: Node) -> bool:
    """Tell whether what a macro stands for is one statement, where no more than one may stand."""
    here: Node | None = node
    while here is not None and not here.type.endswith("_statement"):
        here = here.parent
    outer = here.parent if here is not None else None
    if outer is None or outer.type in ("compound_statement", "case_statement"):
        return True
    held = [one for one in syntax.inner(block) if one.named_children or one.type in syntax.JUMPS]
    return len(held) == 1 and held[0].type in (
        "do_statement", "compound_statement", "expression_statement", *syntax.JUMPS
    )  # fmt: skip


def _size(lvalue: LValue) -> int | None:
    """Return the size of an object in bits, None where it is not known."""
    return lvalue.width if lvalue.cell is not None else size_of(lvalue.type)


def _size_in_bytes(lvalue: LValue) -> int | None:
    size = _size(lvalue)
    return None if size is None else size // 8


def _repeated(byte: int, count: int) -> int:
    return int.from_bytes(bytes([byte]) * count, "little")


def _is_tested(node: Node) -> bool:
    """Tell whether only it matters whether an expression is zero."""
    parent = node.parent
    while parent is not None and parent.type == "parenthesized_expression":
        node, parent = parent, parent.parent
    if parent is None:
        return False
    if parent.type == "unary_expression":
        return text(parent.children[0]) == "!"
    if parent.type == "binary_expression":
        operator = text(parent.children[1])
        other = parent.children[2 if parent.children[0] == node else 0]
        return operator in ("&&", "||") or (operator in ("==", "!=") and text(other) == "0")
    return parent.type in ("if_statement", "while_statement")
