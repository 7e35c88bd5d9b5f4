# SPDX-License-Identifier: GPL-2.0-only
"""Calls: inlined, looked up in tables, passed over, or not understood.

A call for its effect alone is passed over when nothing that matters can be written by
it; what the kernel spells as a macro with a known meaning is taken by its meaning.
"""

from __future__ import annotations

import re
from functools import cache

from patchtool.c import syntax
from patchtool.c.index import expand
from patchtool.c.layout import (
    ArrayType,
    CType,
    IntType,
    PointerType,
    RecordType,
    VoidType,
    base_type,
    settled,
)
from patchtool.c.lower.arithmetic import ordered
from patchtool.c.lower.expressions import Expressions
from patchtool.c.lower.records import Frame, Unit, Unsupported
from patchtool.c.lower.storage import address_text, same_size
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
from patchtool.c.scan import Definition, evaluate_condition
from patchtool.c.syntax import Node, text
from patchtool.proof import bits
from patchtool.target import Target

MAX_DEPTH = 48

_SILENT = (
    r"trace_\w+|pr_\w+|printk\w*|dump_stack|BUILD_BUG_ON\w*|static_assert|lockdep_\w+|might_sleep"
    r"|cond_resched|EXPORT_SYMBOL\w*|smp_\w*mb|barrier|instrumentation_\w+|srcu_\w+|preempt_\w+"
)
_WARN = r"(?:\w+_)?(?:WARN|BUG)_ON(?:_ONCE)?|WARN(?:_ONCE|_RATELIMIT)?"
_SAME = frozenset(
    {"likely", "unlikely", "READ_ONCE", "ACCESS_ONCE", "rcu_dereference", "__builtin_expect",
     "smp_load_acquire", "cmpxchg_force", "data_race"}
)  # fmt: skip
_DISPATCHERS = frozenset({"static_call", "static_call_cond"})
_POPULATION = re.compile(r"hweight(?:8|16|32|64|_long)|__builtin_popcount(?:l|ll)?")
_EXTREMA = {"min": False, "max": True, "min_t": False, "max_t": True, "umin": False, "umax": True}


@cache
def _names(common: str, own: str) -> re.Pattern[str]:
    """Return what the names of some macros of the kernel's, and of the target's own, match."""
    return re.compile(f"{common}|{own}")


def is_silent(name: str, target: Target) -> bool:
    """Tell whether a name is that of a macro that does nothing of interest."""
    return _names(_SILENT, target.silent).fullmatch(name) is not None


def is_check(name: str, target: Target) -> bool:
    """Tell whether a name is that of a macro that yields its first argument, and may warn."""
    return _names(_WARN, target.checking).fullmatch(name) is not None


def is_builtin(name: str, target: Target) -> bool:
    """Tell whether a name is taken by its meaning, not by its definition."""
    known = {*_SAME, *_EXTREMA, "container_of", "WRITE_ONCE", "IS_ENABLED", "ARRAY_SIZE"}
    known |= {"GENMASK", "GENMASK_ULL", "FIELD_GET", "FIELD_PREP", "clamp", "clamp_t"}
    known |= {"memset", "memcpy", "memcmp", "static_call", "sizeof", "offsetof"}
    known |= target.dispatchers
    return name in known or is_check(name, target) or is_silent(name, target)


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
        errors = _errors(root)
        self._consult("function", function, len(errors))
        unit = Unit(function.file, function.line, function.generated)
        if node is None or errors:
            with self._unit(unit):
                spot = errors[0] if errors else None
                raise Unsupported(spot, f"{function.name}() cannot be parsed", missing=True)
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
                    value: Value = Pointer(Loc(Root(name, "pointee")), settled(ctype.target))
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
        arguments = [n for n in listed.named_children if n.type != "comment"]
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
            if isinstance(held, Function):
                return self._direct(held.name, node, arguments, state, needed)
            return self._through(node, callee, arguments, state)
        builtin = self._builtin(name, node, arguments, state, needed)
        if builtin is not None:
            return builtin
        return self._direct(name, node, arguments, state, needed)

    def _builtin(
        self, name: str, node: Node, arguments: list[Node], state: State, needed: bool
    ) -> Value | None:
        zero = Int(bits.constant(32, 0), True)
        if name in _SAME and arguments:
            return self._value(arguments[0], state)
        if is_check(name, self.index.target) and arguments:
            return Int(
                bits.from_cond(self._truth(self._value(arguments[0], state), node), 32), True
            )
        if is_silent(name, self.index.target):
            return zero
        if name in _EXTREMA and len(arguments) >= 2:
            return self._extremum(name, node, arguments, state)
        if name == "WRITE_ONCE" and len(arguments) == 2:
            target = self._stored_to(arguments[0], state)
            self._store(target, self._value(arguments[1], state), state, node)
            return zero
        if name == "container_of" and len(arguments) == 3:
            return self._container(node, arguments, state)
        if name in ("IS_ENABLED", "IS_BUILTIN", "IS_REACHABLE") and arguments:
            option = text(arguments[0])
            options = self.index.target.options
            # What is enabled may be a module.
            known = evaluate_condition("ifdef", option, options) if name == "IS_ENABLED" else None
            option = option if name == "IS_ENABLED" else f"{option}_{name}"
            return Int(
                bits.from_cond(known if known is not None else self._option(option), 32), True
            )
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
        if _POPULATION.fullmatch(name) and len(arguments) == 1:
            number = self._as_int(self._value(arguments[0], state), node)
            total = bits.constant(32, 0)
            for one in number.bits.conditions():
                total = bits.add(total, bits.from_cond(one, 32))
            return Int(total)
        if name == "__builtin_choose_expr" and len(arguments) == 3:
            which = self._constant(self._value(arguments[0], state), node)
            return self._value(arguments[1 if which else 2], state)
        if name in ("clamp", "clamp_t") and len(arguments) >= 3:
            head = arguments[: len(arguments) - 3]
            return self._clamped(name, head, arguments[-3:], node, state)
        if name in ("memcmp", "__builtin_memcmp", "bcmp") and len(arguments) == 3:
            return self._memcmp(node, arguments, state)
        if name in ("__builtin_constant_p",):
            return zero
        return None

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
        if _EXTREMA[name]:
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
        if inner.target.path and inner.target.path[-1] == member:
            return Pointer(Loc(inner.target.root, inner.target.path[:-1]), ctype)
        name = f"container_of({address_text(inner)}, struct {tag.split()[-1]}, {member})"
        return Pointer(Loc(Root(name, "pointee")), ctype)

    def _memset(self, node: Node, arguments: list[Node], state: State) -> Value:
        target = self._deref(self._value(arguments[0], state), node)
        if self._constant(self._value(arguments[1], state), node) != 0:
            raise Unsupported(node, "memset() to other than zero")
        size = self._as_int(self._value(arguments[2], state), node).bits.value
        whole = (
            target.type.size
            if isinstance(target.type, RecordType)
            else target.type.width
            if isinstance(target.type, IntType)
            else None
        )
        text_size = text(arguments[2])
        if (size is None or whole is None or size * 8 != whole) and "sizeof" not in text_size:
            raise Unsupported(node, "memset() of part of an object")
        for loc in [loc for loc in state.memory if loc.within(target.loc)]:
            del state.memory[loc]
        self._zero(target, state, node)
        return Int(bits.constant(64, 0))

    def _memcpy(self, node: Node, arguments: list[Node], state: State) -> Value:
        """Copy an object, or the first bytes of a word."""
        target, source = (self._deref(self._value(a, state), node) for a in arguments[:2])
        size = self._as_int(self._value(arguments[2], state), node).bits.value
        known = _size(target)
        whole = size is not None and size * 8 == known if known else "sizeof" in text(arguments[2])
        if whole and same_size(target.type, source.type):
            self._store(target, self._load(source, state, node), state, node)
            return Int(bits.constant(64, 0))
        room = min(_size(target) or 0, _size(source) or 0)
        if size is None or not 0 < size * 8 <= room or isinstance(target.type, ArrayType):
            raise Unsupported(node, f"{text(node.children[0])}() of part of an object")
        ctype = PointerType(IntType(size * 8, False))
        ends = [
            self._deref(self._retyped(Pointer(one.loc, one.type, one), ctype), node)
            for one in (target, source)
        ]
        self._store(ends[0], self._load(ends[1], state, node), state, node)
        return Int(bits.constant(64, 0))

    def _masked(self, name: str, a: Int, b: Int, node: Node) -> Int:
        """Return a mask of bits, or what a mask cuts out of a word or puts into one."""
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

    def _clamped(
        self, name: str, head: list[Node], values: list[Node], node: Node, state: State
    ) -> Value:
        """Return a value between two bounds."""
        value, low, high = (self._as_int(self._value(v, state), v) for v in values)
        if head:
            ctype = self.types.named(text(head[0]), self._here)
            if not isinstance(ctype, IntType):
                raise Unsupported(node, f"the type {text(head[0])} is not an integer")
            value, low, high = (
                self._as_int(self._convert(v, ctype, node), node) for v in (value, low, high)
            )
        value, low = self._balanced(value, low)
        raised = self._as_int(self._choose(ordered("<", value, low), low, value), node)
        raised, high = self._balanced(raised, high)
        return self._choose(ordered(">", raised, high), high, raised)

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
        differs = bits.negate(self._compared(node, bits.equal(a.bits, b.bits), a, b))
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
                and text(inner) in _DISPATCHERS | self.index.target.dispatchers
            ):
                name = text(listed.named_children[0]).removeprefix(self.index.target.prefix)
                return self._operation(name, node, arguments, state, needed)
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
            held = self._value(callee, state)
        except Unsupported:
            held = None
        if isinstance(held, Function):
            return self._direct(held.name, node, arguments, state, needed)
        return self._through(node, callee, arguments, state)

    def _through(self, node: Node, callee: Node, arguments: list[Node], state: State) -> Value:
        """Call through a pointer of which the target is not known."""
        reason = f"{text(callee)} is called, a pointer of unknown target"
        if any(self._reaches_context(a, state) for a in arguments):
            self._spoil(Unsupported(node, reason), state)
        return self._unknown_call(node, reason, arguments, state)

    def _operation(
        self, name: str, node: Node, arguments: list[Node], state: State, needed: bool
    ) -> Value:
        """Call a vendor operation: every function that a table gives this member."""
        candidates = self.effects.operations(name)
        values = [self._value(a, state) for a in arguments]
        if not needed and not any(self.effects.reaches(f, d) for f, d in candidates):
            if not any(map(self._is_given_away, values)):
                return Int(bits.constant(32, 0))
        if not candidates:
            return self._unknown_call(node, f"no function is assigned to {name}", arguments, state)
        result: Value | None = None
        for number, (_, definition) in enumerate(candidates):
            trial = state.fork(True)
            try:
                value = self._enter(definition, list(values), trial, node)
            except Unsupported as problem:
                if self.effects.reaches(definition.name, definition):
                    self._spoil(problem, state)
                trial = state.fork(True)
                value = self._unknown_value(definition.name, node, problem, values)
                for loc in self._given(values, trial):
                    trial.memory[loc] = self._unknown_value(definition.name, node, problem, values)
            if value is None:
                value = Int(bits.constant(32, 0))
            if result is None:
                result, chosen = value, trial
                continue
            which = self.out.word(Fact("operation", name, definition.name)).bit(number)
            result = self._choose(which, value, result)
            if trial.memory != chosen.memory:
                chosen = self._merge([State(trial.memory, which), chosen])
        assert result is not None
        state.memory = chosen.memory
        return result

    def _unknown_call(
        self, node: Node, reason: str, arguments: list[Node], state: State, missing: bool = False
    ) -> Value:
        """A call of which nothing is known: forget the locals that it is given."""
        values: list[Value] = []
        for argument in arguments:
            try:
                values.append(self._value(argument, state))
            except Unsupported:
                continue
        result = self._taint(self.opaque(node, reason, missing), values)
        for loc in self._given(values, state):
            state.memory[loc] = self._taint(self.opaque(node, reason, missing), values)
        return result

    def _given(self, values: list[Value], state: State) -> list[Loc]:
        """Return the cells of the locals that a call can write through its arguments."""
        roots: dict[Root, None] = {}
        todo = list(values)
        while todo:
            value = todo.pop()
            if isinstance(value, Record):
                todo.extend(one for _, one in value.cells)
            if not isinstance(value, Pointer) or value.target.root.kind != "local":
                continue
            if value.target.root not in roots:
                roots[value.target.root] = None
                todo.extend(held for loc, held in state.memory.items() if loc.root in roots)
        return [loc for loc in state.memory if loc.root in roots]

    def _direct(
        self, name: str, node: Node, arguments: list[Node], state: State, needed: bool
    ) -> Value:
        here = self._here
        functions = () if name.lstrip("_").isupper() else self.index.functions(name, here)
        places = {here, *(d.file for d in functions)}
        hidden = bool(functions) and self.index.is_hidden(name, places)
        if hidden or not functions:
            macro = next(
                (
                    m
                    for where in self._places_to_look()
                    if not functions and (m := self._chosen(self.index.macros(name, where)))
                ),
                None,
            )
            if macro is not None:
                return self._macro_call(macro, node, arguments, state, needed)
            reason = f"the definition of {name}() was not found"
            if functions:
                reason = f"{name}() is a macro as well as a function"
            if not needed:
                self._may_be_set(arguments, reason, state)
            if (
                any(self._reaches_role(a, state) for a in arguments)
                if needed
                else any(self._reaches_context(a, state) for a in arguments)
            ):
                self._spoil(Unsupported(node, reason), state)
            return self._unknown_call(node, reason, arguments, state, missing=not functions)
        if not needed and not any(
            self.effects.reaches(name, d) or self.effects.changes_registers(d) for d in functions
        ):
            if not any(self._may_be_stored_to(a, state) for a in arguments):
                for definition in functions:
                    self._consult("function (not followed)", definition)
                return Int(bits.constant(32, 0))
        values = [self._value(a, state) for a in arguments]
        result: Value | None = None
        chosen: State | None = None
        for definition in functions:
            trial = state.fork(True)
            try:
                value = self._enter(definition, list(values), trial, node)
                self._alias(value, name, arguments, state)
            except Unsupported as problem:
                if self.effects.reaches(name, definition):
                    self._spoil(problem, state)
                trial = state.fork(True)
                value = self._unknown_value(name, node, problem, values)
                for loc in self._given(values, trial):
                    trial.memory[loc] = self._unknown_value(name, node, problem, values)
            if value is None:
                value = Int(bits.constant(32, 0))
            if result is None or chosen is None:
                result, chosen = value, trial
                continue
            option, positive = (
                definition.conditions[0] if definition.conditions else (f"{name}?", True)
            )
            which = (
                self._option(option.lstrip("!"))
                if definition.conditions
                else self.out.word(Fact("variant", name)).bit()
            )
            if not positive or option.startswith("!"):
                which = bits.negate(which)
            result = self._choose(which, value, result)
            if trial.memory != chosen.memory:
                chosen = self._merge([State(trial.memory, which), chosen])
        assert result is not None and chosen is not None
        state.memory = chosen.memory
        state.path = chosen.path
        return result

    def _unknown_value(
        self, name: str, node: Node, problem: Unsupported, values: list[Value]
    ) -> Opaque:
        reason = f"{name}(): {problem.reason}"
        return self._taint(self.opaque(node, reason, problem.missing), values)

    def _may_be_set(self, arguments: list[Node], reason: str, state: State) -> None:
        """Forget the variables given to what may be a macro that sets them."""
        frame = self._frames[-1]
        for argument in arguments:
            inner = argument
            while inner.type in ("field_expression", "subscript_expression"):
                base = inner.child_by_field_name("argument")
                if base is None:
                    break
                inner = base
            lvalue = frame.variables.get(text(inner)) if inner.type == "identifier" else None
            if lvalue is None or isinstance(lvalue.type, PointerType):
                continue
            for loc in [loc for loc in state.memory if loc.within(lvalue.loc)]:
                state.memory[loc] = self.opaque(argument, reason, missing=True)

    def _alias(self, value: Value | None, name: str, arguments: list[Node], state: State) -> None:
        """Remember that a wrapper's name reads better than container_of()."""
        if (
            isinstance(value, Pointer)
            and value.target.root.name.startswith("container_of(")
            and not value.target.path
        ):
            match = re.match(r"container_of\(([^,]+),", value.target.root.name)
            if match is not None:
                self.out.aliases.setdefault(value.target.root.name, f"{name}({match.group(1)})")

    def _reaches_context(self, node: Node, state: State) -> bool:
        try:
            value = self._value(node, state)
        except Unsupported:
            return True
        return isinstance(value, Pointer) and value.target.root.kind == "pointee"

    def _reaches_role(self, node: Node, state: State) -> bool:
        """Tell whether an argument points to a context, or to a role or field of one."""
        try:
            value = self._value(node, state)
        except Unsupported:
            return False
        if not isinstance(value, Pointer) or value.target.root.kind == "local":
            return False
        return self._leads_to_role(value) or self.effects.names(value.target.path)

    def _may_be_stored_to(self, node: Node, state: State) -> bool:
        """Tell whether an argument is the address of a local, or of a role or a field.

        What is stored through it needs no name that the effects could know.
        """
        if node.type not in ("pointer_expression", "identifier", "cast_expression"):
            return False
        try:
            value = self._value(node, state)
        except Unsupported:
            return False
        return self._is_given_away(value)

    def _is_given_away(self, value: Value) -> bool:
        return isinstance(value, Pointer) and (
            value.target.root.kind == "local" or self.effects.names(value.target.path)
        )

    def _statement_macro(
        self, macro: Definition, node: Node, arguments: list[Node], state: State
    ) -> Value:
        """Run a macro that stands for statements."""
        self._consult("macro", macro)
        body = expand(macro, [text(a) for a in arguments])
        if body is None or macro.key in self._expanding:
            raise Unsupported(node, f"{macro.name}() cannot be expanded", missing=True)
        flat = body.replace("\n", " ")
        root = syntax.parse(f"void f(void) {{ {flat}; }}".encode())
        function = syntax.function(root)
        block = function.child_by_field_name("body") if function is not None else None
        if root.has_error or block is None:
            self._spoil(Unsupported(node, f"{macro.name}() is not understood"), state)
            return Int(bits.constant(32, 0))
        self._expanding.add(macro.key)
        try:
            with self._unit(Unit(macro.file, macro.line, True)):
                after = self._statement(block, state)
        finally:
            self._expanding.discard(macro.key)
        if after is None:
            raise Unsupported(node, f"{macro.name}() leaves the function")
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


def _size(lvalue: LValue) -> int | None:
    """Return the size of an object in bits, None where it is not known."""
    if lvalue.cell is not None:
        return lvalue.width
    if isinstance(lvalue.type, IntType):
        return lvalue.type.width
    return lvalue.type.size if isinstance(lvalue.type, RecordType) else None


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


def _errors(node: Node) -> list[Node]:
    """Return the spans below a node that the grammar could not parse."""
    if not node.has_error:
        return []
    found: list[Node] = []
    todo = [node]
    while todo:
        here = todo.pop()
        if here.is_error or here.is_missing:
            found.append(here)
        elif here.has_error:
            todo.extend(reversed(here.children))
    return found
