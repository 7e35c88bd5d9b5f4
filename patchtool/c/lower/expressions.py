# SPDX-License-Identifier: GPL-2.0-only
"""Values and designated objects of C expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from patchtool.c import syntax
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
from patchtool.c.lower.arithmetic import arithmetic, shift
from patchtool.c.lower.names import Names
from patchtool.c.lower.records import Unsupported
from patchtool.c.lower.storage import OTHER_VIEW
from patchtool.c.memory import (
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
from patchtool.c.syntax import Node, descendants, text
from patchtool.proof import bits
from patchtool.proof.bits import Cond

TEMPORARY = "value."
"""How the roots of values are called that are no objects of the program."""
LITERAL = "literal."
LONGEST_SHOWN = 24
VALUES = frozenset(
    {"cast_expression", "binary_expression", "call_expression", "pointer_expression",
     "conditional_expression", "assignment_expression", "update_expression", "comma_expression"}
)  # fmt: skip
"""Expressions that are indexed as the pointers that they yield."""
MAX_CHOICES = 64
MAX_INDEX_BITS = 8


class Expressions(Names):
    """Evaluates expressions."""

    def _value(self, node: Node, state: State, needed: bool = True) -> Value:
        self._step(node)
        handler = self._EXPRESSIONS.get(node.type)
        if handler is None:
            raise Unsupported(node, f"{node.type.replace('_', ' ')} is not understood")
        return handler(self, node, state)

    def _parenthesised(self, node: Node, state: State) -> Value:
        inner = syntax.inner(node)
        if len(inner) == 1:
            if inner[0].type == "compound_statement":
                return self._statement_expression(inner[0], state)
            return self._value(inner[0], state)
        raise Unsupported(node, "an expression in parentheses is not understood")

    def _statement_expression(self, node: Node, state: State) -> Value:
        children = syntax.inner(node)
        frame = self._frames[-1]
        outer = dict(frame.variables)
        for child in children[:-1]:
            if self._statement(child, state) is None:
                raise Unsupported(child, "a statement expression that does not end")
        last = children[-1] if children else node
        if last.type != "expression_statement":
            raise Unsupported(last, "a statement expression without a value")
        value = self._value(last.named_children[0], state)
        frame.variables = outer
        return value

    def _number(self, node: Node, state: State) -> Value:
        word = text(node).replace("'", "")
        match = re.fullmatch(r"([-+]?)(\w+?)([uUlL]*)", word)
        value = literal(match[2]) if match is not None else None
        if match is None or value is None:
            shown = word if len(word) <= LONGEST_SHOWN else word[:LONGEST_SHOWN] + "..."
            raise Unsupported(node, f"the number {shown} is not understood")
        digits, suffix = match.group(2), match.group(3).lower()
        wide = (
            "l" in suffix
            or value >= 1 << 32
            or ("u" not in suffix and value >= 1 << 31 and digits.isdigit())
        )
        unsigned = "u" in suffix or (not digits.isdigit() and value >= 1 << (63 if wide else 31))
        if match.group(1) == "-":  # the grammar takes the sign of a lone number for its own
            value = -value
        return Int(bits.constant(64 if wide else 32, value), not unsigned)

    def _character(self, node: Node, state: State) -> Value:
        body = text(node).strip("'")
        if len(body) != 1:
            return self.opaque(node, "a character constant")
        return Int(bits.constant(32, ord(body)), True)

    def _truth_literal(self, node: Node, state: State) -> Value:
        return Int(bits.constant(32, int(node.type == "true")), True)

    def _null(self, node: Node, state: State) -> Value:
        return Int(bits.constant(64, 0))

    def _string(self, node: Node, state: State) -> Value:
        return self.opaque(node, "a string")

    def _unary(self, node: Node, state: State) -> Value:
        operator = _operator(node)
        operand = node.child_by_field_name("argument")
        assert operand is not None
        value = self._value(operand, state)
        if operator == "!":
            return Int(bits.from_cond(bits.negate(self._truth(value, node)), 32), True)
        number = self._promote(self._as_int(value, operand))
        if operator == "~":
            return Int(bits.invert(number.bits), number.signed)
        if operator == "+":
            return number
        if operator == "-":
            zero = Int(bits.constant(number.bits.width, 0), number.signed)
            return arithmetic("-", zero, number, node)
        raise Unsupported(node, f"the operator {operator} is not understood")

    def _pointer_expression(self, node: Node, state: State) -> Value:
        operand = node.child_by_field_name("argument")
        assert operand is not None
        if _operator(node) == "&":
            if operand.type == "identifier" and text(operand) not in self._frames[-1].variables:
                if self.index.functions(text(operand), self._here):
                    return Function(text(operand))
            lvalue = self._stored_to(operand, state)
            return Pointer(lvalue.loc, lvalue.type, lvalue)
        return self._load(self._lvalue(node, state), state, node)

    def _binary(self, node: Node, state: State) -> Value:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = _operator(node)
        assert left is not None and right is not None
        if operator in ("-", "+", "&", "*") and left.type == "parenthesized_expression":
            ctype = self._type_named(left.named_children[0])
            if ctype is not None:  # (u32)-1 reads like a difference
                return self._convert(self._signed(operator, right, node, state), ctype, node)
        if operator in ("&&", "||"):
            return Int(bits.from_cond(self._short_circuit(operator, left, right, state), 32), True)
        a, b = self._operands(left, right, node, state)
        if operator in ("+", "-"):
            if isinstance(a, Pointer) and isinstance(b, Int):
                return self._moved(a, b, operator, node)
            if isinstance(b, Pointer) and isinstance(a, Int) and operator == "+":
                return self._moved(b, a, operator, node)
        if operator in ("==", "!="):
            equal = self._compared(node, self._compare_equal(a, b, node), a, b, state)
            return Int(bits.from_cond(equal if operator == "==" else bits.negate(equal), 32), True)
        x, y = self._as_int(a, left), self._as_int(b, right)
        if operator in ("<", ">", "<=", ">="):
            larger = self._in_order(node, operator, *self._balanced(x, y), state)
            return Int(bits.from_cond(larger, 32), True)
        self._recognise(node, a, b)
        if operator in ("<<", ">>"):
            return shift(operator, self._promote(x), y)
        x, y = self._balanced(x, y)
        if operator in ("^", "-") and bits.equal(x.bits, y.bits) is True:
            self._never_differs(node, state)
        return arithmetic(operator, x, y, node)

    def _operands(self, left: Node, right: Node, node: Node, state: State) -> tuple[Value, Value]:
        """Evaluate two operands, of which C does not say which comes first."""
        if not (stores(left) or stores(right)):
            return self._value(left, state), self._value(right, state)
        start = dict(state.memory)
        a = self._value(left, state)
        between = dict(state.memory)
        b = self._value(right, state)
        if not differ(start, between) and not differ(between, state.memory):
            return a, b
        other = State(start, state.path)
        d, c = self._value(right, other), self._value(left, other)
        if not (alike(a, c) and alike(b, d)) or differ(other.memory, state.memory):
            raise Unsupported(node, "what is computed depends on which operand comes first")
        return a, b

    def _signed(self, operator: str, operand: Node, node: Node, state: State) -> Value:
        if operator not in ("-", "+"):
            raise Unsupported(node, "a cast that reads like an operation")
        number = self._promote(self._as_int(self._value(operand, state), operand))
        zero = Int(bits.constant(number.bits.width, 0), number.signed)
        return arithmetic(operator, zero, number, node)

    def _short_circuit(self, operator: str, left: Node, right: Node, state: State) -> Cond:
        a = self._truth(self._value(left, state), left)
        stop = operator == "||"
        if isinstance(a, bool):
            if a == stop:
                return stop
            return self._truth(self._value(right, state), right)
        if not has_effects(right):
            b = self._truth(self._value(right, state), right)
        else:
            going = state.fork(bits.negate(a) if stop else a)
            staying = state.fork(a if stop else bits.negate(a))
            b = self._truth(self._value(right, going), right)
            if going.memory != staying.memory:
                self._suspect(a, left, state)
                state.become(self._merge([going, staying]))
        return bits.either(a, b) if stop else bits.both(a, b)

    def _conditional(self, node: Node, state: State, ctype: CType | None = None) -> Value:
        condition_node = node.child_by_field_name("condition")
        consequence = node.child_by_field_name("consequence")
        alternative = node.child_by_field_name("alternative")
        assert condition_node is not None and alternative is not None
        if consequence is None:
            return self._elvis(condition_node, alternative, state)
        condition = self._branch(condition_node, state)
        if isinstance(condition, bool):
            chosen, other = (consequence, alternative)[:: 1 if condition else -1]
            value = self._value_for(ctype or VoidType(), chosen, state)
            if isinstance(value, Int) and other.type == "number_literal":
                value, _ = self._balanced(value, self._as_int(self._value(other, state), other))
            return value
        yes, no = state.fork(condition), state.fork(bits.negate(condition))
        a = self._value_for(ctype or VoidType(), consequence, yes)
        b = self._value_for(ctype or VoidType(), alternative, no)
        if yes.memory != no.memory:
            state.become(self._merge([yes, no]))
        if isinstance(a, Int) and isinstance(b, Int):
            a, b = self._balanced(a, b)
        return self._choose(condition, a, b)

    def _elvis(self, first: Node, other: Node, state: State) -> Value:
        """Return ``first ?: other``, FIRST evaluated once."""
        held = self._value(first, state)
        condition = self._guarded(self._truth(held, first), first, state)
        if condition is True:
            return held
        no = state.fork(bits.negate(condition))
        value = self._value(other, no)
        if condition is False:
            state.memory = no.memory
            return value
        if no.memory != state.memory:
            state.become(self._merge([state.fork(condition), no]))
        if isinstance(held, Int) and isinstance(value, Int):
            held, value = self._balanced(held, value)
        return self._choose(condition, held, value)

    def _assignment(self, node: Node, state: State) -> Value:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        assert left is not None and right is not None
        try:
            lvalue = self._stored_to(left, state)
        except Unsupported as problem:
            choices = self._stored_to_one_of(left, state)
            value = self._value_or_unknown(right, state)
            if choices is None:
                self._store_somewhere(left, state, problem)
            operator = _operator(node)
            for hit, element in choices or ():
                held = self._load(element, state, left)
                new = value if operator == "=" else self._combined(operator, held, value, node)
                new = self._choose(hit, self._convert(new, element.type, node), held)
                self._store(element, new, state, node)
            return value
        try:
            value = self._assigned(lvalue, node, state)
            self._store(lvalue, value, state, node)
        except Unsupported as problem:
            self._forget(right, state, problem)
            value = self._unknown(right, state, problem)
            self._note_store(lvalue, state, node)
            self._wipe(lvalue, state, value)
            return value
        if isinstance(lvalue.type, IntType) and not isinstance(value, Pointer):
            return self._load(lvalue, state, left)
        return value

    def _assigned(self, lvalue: LValue, node: Node, state: State) -> Value:
        """Return what an assignment stores."""
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = _operator(node)
        assert left is not None and right is not None
        if operator == "=":
            if right.type == "initializer_list":
                raise Unsupported(right, "a list of values is no expression")
            return self._value_for(lvalue.type, right, state)
        value = self._value(right, state)
        held = self._load(lvalue, state, left)
        name = operator[:-1]
        if isinstance(held, Pointer) and name in ("+", "-"):
            return self._moved(held, self._as_int(value, right), name, node)
        return self._combined(operator, held, value, node)

    def _combined(self, operator: str, held: Value, given: Value, node: Node) -> Value:
        """Return what an assignment that computes stores over a value."""
        a, b = self._as_int(held, node), self._as_int(given, node)
        name = operator[:-1]
        if name in ("<<", ">>"):
            return shift(name, self._promote(a), b)
        return arithmetic(name, *self._balanced(a, b), node)

    def _value_for(self, ctype: CType, node: Node, state: State) -> Value:
        """Return a value for an object of a type.

        What a pointer to a function is set to is a name, and a name is a value: functions
        that a template defines are nowhere to be found under theirs.
        """
        if isinstance(ctype, PointerType) and isinstance(ctype.target, VoidType):
            named = node
            while named.type == "parenthesized_expression" and named.named_child_count == 1:
                named = named.named_children[0]
            if named.type == "pointer_expression" and _operator(named) == "&":
                named = named.child_by_field_name("argument") or named
            if named.type == "identifier" and self._meaning(named, state) is None:
                return Function(text(named))
            if named.type == "conditional_expression":
                return self._conditional(named, state, ctype)
        return self._value(node, state)

    def _stored_to_one_of(self, node: Node, state: State) -> list[tuple[Cond, LValue]] | None:
        """Return the elements that a store may go to, and when; None where they are not known."""
        while node.type == "parenthesized_expression" and node.named_child_count == 1:
            node = node.named_children[0]
        if node.type != "subscript_expression":
            return None
        try:
            choices = self._choices(node, state)
        except Unsupported:
            return None
        beyond: Cond = True
        for hit, _ in choices:
            beyond = bits.both(beyond, bits.negate(hit))
        if self._is_possible(bits.both(self._absolute(state), beyond)):
            problem = Unsupported(node, "an array may be indexed beyond its end")
            self._spoil(problem, state.fork(beyond))
        return choices

    def _store_somewhere(self, target: Node, state: State, problem: Unsupported) -> None:
        """Account for a store of which the place is not known."""
        while target.type == "parenthesized_expression":
            target = target.named_children[0]
        if target.type == "subscript_expression":
            base = target.child_by_field_name("argument")
            assert base is not None
            try:
                array = self._lvalue(base, state)
            except Unsupported:
                array = None
            if array is not None and isinstance(array.type, ArrayType):
                self._wipe(array, state, self.opaque(target, problem.reason))
                return
        pointers = self._mentioned(target, state)
        self._wipe_targets(self._behind(target, pointers, state), state, problem)

    def _behind(self, target: Node, pointers: list[Pointer], state: State) -> list[Pointer]:
        """Return what a store may be to that goes through some pointers, once or more often."""
        if sum(map(_follows, descendants(target))) > 1:
            return self._within_reach(pointers, state)
        return pointers

    def _wipe_targets(
        self, pointers: Iterable[Pointer], state: State, problem: Unsupported
    ) -> None:
        """Account for a store through one of some pointers, or through one that is not known."""
        known = list(pointers)
        if not known or any(self._is_vital(p) or self._is_large(p) for p in known):
            self._spoil(problem, state)
            return
        self._forget_locals(known, state, lambda: self._opaque_for(problem))
        for pointer in known:
            if pointer.target.root.kind != "local":
                self._wipe(self._all_of(pointer), state, self._opaque_for(problem))

    def _opaque_for(self, problem: Unsupported) -> Opaque:
        return self.opaque(problem.node, problem.reason, problem.missing)

    def _is_vital(self, pointer: Pointer) -> bool:
        """Tell whether a pointer is to a context, or to a role or cached field of one."""
        if pointer.target.root.kind == "local":
            return False
        return self._leads_to_role(pointer) or self.effects.names(pointer.target.path)

    def _is_large(self, pointer: Pointer) -> bool:
        """Tell whether a pointer is to a record of the surroundings, which may hold a context."""
        held = pointer.lvalue.type if pointer.lvalue is not None else pointer.type
        is_small = isinstance(held, (IntType, ArrayType, PointerType))
        is_small = is_small or (isinstance(held, RecordType) and held.is_word)
        return pointer.target.root.kind != "local" and not is_small

    def _is_bare(self, pointer: Pointer) -> bool:
        """Tell whether who holds a pointer can store through it and name nothing of it."""
        return not self._is_large(pointer) or self.effects.names(pointer.target.path)

    def _mentioned(self, node: Node, state: State) -> list[Pointer]:
        """Return the pointers that the variables of an expression hold."""
        held: list[Value] = []
        for name in dict.fromkeys(text(n) for n in _identifiers(node)):
            variable = self._frames[-1].variables.get(name)
            if variable is None:
                continue
            if isinstance(variable.type, (ArrayType, RecordType)):
                held.append(Pointer(variable.loc, variable.type, variable))
                held += [v for loc, v in state.memory.items() if loc.within(variable.loc)]
            elif variable.loc in state.memory:
                held.append(state.memory[variable.loc])
        return list(self._pointers(held))

    def _value_or_unknown(self, node: Node, state: State) -> Value:
        """Return a value, an unknown one where the expression is not understood."""
        try:
            return self._value(node, state)
        except Unsupported as problem:
            self._forget(node, state, problem)
            return self._unknown(node, state, problem)

    def _unknown(self, node: Node, state: State, problem: Unsupported) -> Opaque:
        """Return an unknown value that may be made of all that an expression names."""
        result = self.opaque(problem.node or node, problem.reason, problem.missing)
        values: list[Value] = []
        for part in _readable(node):
            try:
                values.append(self._value(part, state.fork(True)))
            except Unsupported:
                continue
        pointers = (*self._pointers(values), *self._addresses(node, state))
        if pointers:
            # What is read through a pointer may be a pointer that is held there.
            self._targets[result.word] = tuple(self._within_reach(pointers, state))
        return self._taint(result, values)

    def _addresses(self, node: Node, state: State) -> Iterator[Pointer]:
        """Yield the addresses that are taken within an expression, and those it may lead to."""
        for part in descendants(node):
            if part.type != "pointer_expression" or _operator(part) != "&":
                continue
            operand = part.child_by_field_name("argument")
            assert operand is not None
            try:
                lvalue = self._lvalue(operand, state.fork(True))
                yield Pointer(lvalue.loc, lvalue.type, lvalue)
            except Unsupported:
                yield from self._mentioned(operand, state)
            for name in map(text, _identifiers(part)):
                variable = self._frames[-1].variables.get(name)
                if variable is not None:
                    yield Pointer(variable.loc, variable.type, variable)

    def _moved(self, pointer: Pointer, number: Int, operator: str, node: Node) -> Pointer:
        """Return a pointer so many objects further on, within the same array or word."""
        count = number.bits.value
        if count is None:
            raise Unsupported(node, "a pointer is moved by something that is not constant")
        if number.signed and count >> (number.bits.width - 1):
            count -= 1 << number.bits.width
        if operator == "-":
            count = -count
        if count == 0:
            return pointer
        if isinstance(pointer.type, ArrayType):
            if pointer.lvalue is not None and pointer.lvalue.type == pointer.type:
                raise Unsupported(node, "a pointer to a whole array is moved")
            element = self._element(LValue(pointer.target, pointer.type), count, node)
            return Pointer(element.loc, element.type, element)
        path = pointer.target.path
        if (
            path
            and path[-1].startswith("[")
            and (pointer.lvalue is None or pointer.lvalue.cell in (None, pointer.target))
        ):
            at = int(path[-1].strip("[]")) + count
            if at < 0:
                raise Unsupported(node, "a pointer is moved in front of an array")
            moved = self._whole(Loc(pointer.target.root, (*path[:-1], f"[{at}]")), pointer.type)
            return Pointer(moved.loc, moved.type, moved)
        first = self._deref(pointer, node)
        beside = self._beside(first, count, node)
        return Pointer(beside.loc, beside.type, beside)

    def _update(self, node: Node, state: State) -> Value:
        operand = node.child_by_field_name("argument")
        operator = _operator(node)
        assert operand is not None
        lvalue = self._stored_to(operand, state)
        held = self._load(lvalue, state, operand)
        if isinstance(held, Pointer):
            step = Int(bits.constant(32, 1), True)
            further = self._moved(held, step, operator[0], node)
            self._store(lvalue, further, state, node)
            return further if node.children[0].type in ("++", "--") else held
        old = self._as_int(held, operand)
        one = Int(bits.constant(old.bits.width, 1), old.signed)
        new = arithmetic(operator[0], old, one, node)
        self._store(lvalue, new, state, node)
        return new if node.children[0].type in ("++", "--") else old

    def _field(self, node: Node, state: State) -> Value:
        value = self._load(self._lvalue(node, state), state, node)
        parent = node.parent
        if parent is not None and parent.type in ("parenthesized_expression", "unary_expression"):
            self._recognise(parent, value)
        return value

    def _subscript(self, node: Node, state: State) -> Value:
        choices = self._choices(node, state)
        if choices and self._is_all(hit for hit, _ in choices):
            result = self._load(choices[-1][1], state, node)
        else:
            result = self.opaque(node, "an array is indexed beyond its end")
        for hit, element in reversed(choices):
            result = self._choose(hit, self._load(element, state, node), result)
        return result

    def _choices(self, node: Node, state: State) -> list[tuple[Cond, LValue]]:
        """Return the elements that a subscript may name, and when it does."""
        base, index_node = (node.child_by_field_name(n) for n in ("argument", "index"))
        assert base is not None and index_node is not None
        index = self._as_int(self._value(index_node, state), index_node)
        if base.type != "subscript_expression" and index.bits.value is not None:
            return [(True, self._lvalue(node, state))]
        inner: list[tuple[Cond, LValue]]
        if base.type == "subscript_expression":
            inner = self._choices(base, state)
        else:
            inner = [(True, self._array(base, node, state))]
        found: list[tuple[Cond, LValue]] = []
        for chosen, array in inner:
            for number in self._numbered(array, index, node, state):
                at = Int(bits.constant(index.bits.width, number))
                hit = bits.both(chosen, bits.equal(index.bits, at.bits))
                if hit is not False:
                    found.append((hit, self._element(array, number, node)))
            if len(found) > MAX_CHOICES:
                raise Unsupported(node, "a table of too many entries")
        return found

    def _is_all(self, hits: Iterable[Cond]) -> bool:
        """Tell whether one of some choices is made whatever the inputs are."""
        left: Cond = True
        for hit in hits:
            left = bits.both(left, bits.negate(hit))
        if isinstance(left, bool):
            return not left
        names = sorted(left.symbols)
        return len(names) <= MAX_INDEX_BITS and not any(
            bits.evaluate(left, {n: bool(case >> i & 1) for i, n in enumerate(names)})
            for case in range(1 << len(names))
        )

    def _array(self, base: Node, node: Node, state: State) -> LValue:
        """Return the array that is indexed, through a pointer to it as well."""
        array = self._lvalue(base, state)
        if isinstance(array.type, PointerType):
            held = self._load(array, state, base)
            if isinstance(held, Pointer):
                array = LValue(held.target, held.type)
        if not isinstance(array.type, ArrayType):
            raise Unsupported(node, "an array is indexed by something that is not constant")
        return array

    def _numbered(self, array: LValue, index: Int, node: Node, state: State) -> range:
        """Return the numbers of an array's elements that an index can be."""
        if index.bits.value is not None:
            return range(index.bits.value, index.bits.value + 1)
        assert isinstance(array.type, ArrayType)
        known = array.type.length
        if known is None:
            self._load(self._element(array, 0, node), state, node)
            steps = {
                loc.path[len(array.loc.path)]
                for loc in state.memory
                if loc.within(array.loc) and len(loc.path) > len(array.loc.path)
            }
            known = len(steps)
        return range(min(known, MAX_CHOICES + 1))

    def _cast(self, node: Node, state: State) -> Value:
        type_node = node.child_by_field_name("type")
        value_node = node.child_by_field_name("value")
        assert type_node is not None and value_node is not None
        ctype = self._described(type_node)
        if isinstance(ctype, VoidType):
            self._value(value_node, state, needed=False)
            return Int(bits.constant(32, 0))
        value = self._value(value_node, state)
        if isinstance(ctype, PointerType):
            return self._retyped(value, ctype) if isinstance(value, Pointer) else value
        return self._convert(value, ctype, node)

    def _described(self, node: Node) -> CType:
        type_node = node.child_by_field_name("type")
        declarator = node.child_by_field_name("declarator")
        if type_node is None:
            return UnknownType(text(node))
        base = base_type(self.types, type_node, self._here)
        if declarator is not None:
            return self.types.declared(declarator, base, self._here)[1]
        return base.type

    def _type_named(self, node: Node) -> CType | None:
        """Return the type that a lone identifier names, where the grammar saw a variable."""
        name = text(node)
        if node.type != "identifier" or name in self._frames[-1].variables:
            return None
        ctype = self.types.named(name, self._here)
        return None if isinstance(ctype, UnknownType) else ctype

    def _sizeof(self, node: Node, state: State) -> Value:
        size = size_of(self._measured(node, state))
        if size is None:
            return self.opaque(node, "the size of a type is not known")
        return Int(bits.constant(64, size // 8))

    def _measured(self, node: Node, state: State) -> CType:
        """Return the type of which ``sizeof`` takes the size; only lengths are evaluated by it."""
        described = node.child_by_field_name("type")
        if described is not None:
            if has_effects(described):
                raise Unsupported(node, "the length of an array is computed with an effect")
            return self._described(described)
        value = node.child_by_field_name("value")
        return UnknownType("") if value is None else self._type_of(value, state)

    def _type_of(self, value: Node, state: State) -> CType:
        """Return the type of an expression, or the one that it names, evaluating nothing."""
        while value.type == "parenthesized_expression" and value.named_child_count == 1:
            value = value.named_children[0]
        named = self._type_named(value) or self._type_of_member(value)
        if named is not None:
            return named
        aside = state.fork(True)
        try:
            return self._lvalue(value, aside).type
        except Unsupported:
            number = self._value(value, aside)
        if isinstance(number, Int):
            return IntType(number.width, number.signed)
        if isinstance(number, Pointer):
            return PointerType(None if isinstance(number.type, VoidType) else number.type)
        return UnknownType("")

    def _type_of_member(self, node: Node) -> CType | None:
        """Return the type of ``((struct s *)0)->member``, or of what is within that."""
        base, member = node.child_by_field_name("argument"), node.child_by_field_name("field")
        if node.type != "field_expression" or base is None or member is None:
            return None
        if self.index.is_renamed(text(member), self._here):
            return None
        if _operator(node) == "->":
            held = syntax.inner(base)[0] if base.type == "parenthesized_expression" else base
            given, cast = held.child_by_field_name("value"), held.child_by_field_name("type")
            if held.type != "cast_expression" or given is None or cast is None:
                return None
            if given.type != "number_literal" and given.type != "null":
                return None
            pointer = self._described(cast)
            holder = settled(pointer.target) if isinstance(pointer, PointerType) else None
        else:
            holder = self._type_of_member(base)
        known = holder.by_name.get(text(member)) if isinstance(holder, RecordType) else None
        return known[1] if known is not None else None

    def _offsetof(self, node: Node, state: State) -> Value:
        type_node, member = node.child_by_field_name("type"), node.child_by_field_name("member")
        ctype = self._described(type_node) if type_node is not None else VoidType()
        slot = ctype.slots.get(text(member)) if isinstance(ctype, RecordType) and member else None
        if slot is None or slot[0] % 8:
            raise Unsupported(node, "the position of a member is not known")
        return Int(bits.constant(64, slot[0] // 8))

    def _literal(self, node: Node, state: State) -> Value:
        return self._load(self._literal_object(node, state), state, node)

    def _literal_object(self, node: Node, state: State) -> LValue:
        type_node, value = node.child_by_field_name("type"), node.child_by_field_name("value")
        assert type_node is not None and value is not None
        self._numbers += 1
        target = self._whole(
            Loc(Root(f"{LITERAL}{self._numbers}", "local")), self._described(type_node)
        )
        self._initialise(target, value, state)
        return target

    def _comma(self, node: Node, state: State) -> Value:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        assert left is not None and right is not None
        self._value(left, state, needed=False)
        return self._value(right, state)

    def _lvalue(self, node: Node, state: State) -> LValue:
        kind = node.type
        if kind == "parenthesized_expression":
            inner = syntax.inner(node)
            return self._lvalue(inner[0], state)
        if kind == "identifier":
            name = text(node)
            known = self._frames[-1].variables.get(name)
            if known is not None:
                return known
            found = self._object(name)
            if found is None:
                raise Unsupported(node, f"the definition of {name} was not found", missing=True)
            return found
        if kind == "field_expression":
            base = node.child_by_field_name("argument")
            member = node.child_by_field_name("field")
            assert base is not None and member is not None
            if _operator(node) == "->":
                holder = self._deref(self._value(base, state), base)
            elif base.type in ("call_expression", "statement_expression"):
                known = self._macro_object(base, state)
                if known is None:
                    return self._temporary(base, state, member)
                holder = known
            elif base.type == "compound_literal_expression":
                holder = self._literal_object(base, state)
            else:
                holder = self._lvalue(base, state)
            return self._member(holder, text(member), node)
        if kind == "pointer_expression":
            operand = node.child_by_field_name("argument")
            assert operand is not None
            held = self._value(operand, state)
            if isinstance(held, Pointer) and held.lvalue is None:
                if isinstance(held.type, ArrayType):
                    return self._element(LValue(held.target, held.type), 0, node)
            return self._deref(held, node)
        if kind == "subscript_expression":
            base = node.child_by_field_name("argument")
            index_node = node.child_by_field_name("index")
            assert base is not None and index_node is not None
            return self._indexed(base, index_node, node, state)
        if kind == "call_expression":
            found = self._macro_object(node, state)
            if found is not None:
                return found
            return self._spill(self._call(node, state, needed=True), node, state)
        raise Unsupported(node, f"{kind.replace('_', ' ')} is not an object")

    def _stored_to(self, node: Node, state: State) -> LValue:
        """Return an object that is stored to, or of which the address is taken."""
        found = self._lvalue(node, state)
        if found.loc.root.name.startswith(TEMPORARY):
            raise Unsupported(node, "the result of a call is stored to")
        return found

    def _indexed(self, base: Node, index_node: Node, node: Node, state: State) -> LValue:
        while base.type == "parenthesized_expression" and base.named_child_count == 1:
            base = base.named_children[0]
        if base.type == "number_literal":  # 0[x] is x[0]
            base, index_node = index_node, base
        if base.type in VALUES:
            array = None
            held: Value | None = self._value(base, state)
        else:
            array = self._lvalue(base, state)
            held = self._load(array, state, base) if isinstance(array.type, PointerType) else None
        index = self._as_int(self._value(index_node, state), index_node)
        number = index.bits.value
        if number is None:
            raise Unsupported(node, "an array is indexed by something that is not constant")
        if index.signed and number >> (index.bits.width - 1):
            number -= 1 << index.bits.width
        if held is not None:
            if not isinstance(held, Pointer):
                raise Unsupported(node, "a pointer of unknown target is indexed")
            if not isinstance(held.type, ArrayType):
                step = Int(bits.constant(64, number), True)
                return self._deref(self._moved(held, step, "+", node), node)
            array = LValue(held.target, held.type)
        assert array is not None
        return self._element(array, number, node)

    def _beside(self, first: LValue, number: int, node: Node) -> LValue:
        """Return the object so many of its size behind another of the same cell."""
        if first.cell is not None and isinstance(first.type, IntType):
            low = first.low + number * first.width
            if low >= 0 and low + first.width <= first.cell_width:
                return first._replace(low=low)
        raise Unsupported(node, "a pointer is used as an array")

    def _temporary(self, node: Node, state: State, member: Node) -> LValue:
        return self._member(
            self._spill(self._value(node, state), node, state), text(member), member
        )

    def _spill(self, value: Value, node: Node, state: State) -> LValue:
        """Put a record value where its members can be taken from."""
        self._numbers += 1
        loc = Loc(Root(f"{TEMPORARY}{self._numbers}", "local"))
        if isinstance(value, Record):
            target = self._whole(loc, value.type)
            self._store(target, value, state, node)
            return target
        if isinstance(value, (Int, Opaque)) and isinstance(self._result, RecordType):
            target = self._whole(loc, self._result)
            if target.cell is not None:
                self._store(target, value, state, node)
                return target
        raise Unsupported(node, "a member of a call's result is taken")

    def _deref(self, value: Value, node: Node) -> LValue:
        if isinstance(value, Pointer):
            if isinstance(value.type, VoidType):
                raise Unsupported(node, "a pointer to void is followed")
            if value.type is OTHER_VIEW:
                raise Unsupported(node, "an object is seen through a pointer to another type")
            if value.lvalue is not None:
                return value.lvalue
            return self._whole(value.target, value.type)
        raise Unsupported(node, "a pointer of unknown target is followed")

    def _call_value(self, node: Node, state: State) -> Value:
        return self._call(node, state, needed=True)

    _EXPRESSIONS: ClassVar[dict[str, Callable[[Expressions, Node, State], Value]]] = {
        "parenthesized_expression": _parenthesised,
        "number_literal": _number,
        "char_literal": _character,
        "true": _truth_literal,
        "false": _truth_literal,
        "null": _null,
        "string_literal": _string,
        "concatenated_string": _string,
        "identifier": Names._identifier,
        "unary_expression": _unary,
        "pointer_expression": _pointer_expression,
        "binary_expression": _binary,
        "conditional_expression": _conditional,
        "assignment_expression": _assignment,
        "update_expression": _update,
        "field_expression": _field,
        "subscript_expression": _subscript,
        "cast_expression": _cast,
        "sizeof_expression": _sizeof,
        "offsetof_expression": _offsetof,
        "compound_literal_expression": _literal,
        "comma_expression": _comma,
        "call_expression": _call_value,
    }


def _follows(node: Node) -> bool:
    """Tell whether an expression goes through a pointer, or calls what may return one."""
    if node.type == "pointer_expression":
        return node.children[0].type == "*"
    if node.type == "field_expression":
        return any(child.type == "->" for child in node.children)
    return node.type in ("subscript_expression", "call_expression")


def _operator(node: Node) -> str:
    """Return the operator of an expression."""
    operator = node.child_by_field_name("operator")
    assert operator is not None
    return operator.type


def differ(one: dict[Loc, Value], other: dict[Loc, Value]) -> bool:
    """Tell whether two memories differ in more than in values that are no objects."""
    if one == other:
        return False
    keys = {loc for loc in (*one, *other) if not loc.root.name.startswith((TEMPORARY, LITERAL))}
    return not all(alike(one.get(loc), other.get(loc)) for loc in keys)


def alike(a: Value | None, b: Value | None) -> bool:
    """Tell whether two values are built alike."""
    if a is b:
        return True  # and need not be built for that
    if isinstance(a, Int) and isinstance(b, Int):
        return a.signed == b.signed and a.bits.identical(b.bits)
    return a == b


def size_of(ctype: CType) -> int | None:
    """Return the size of a type in bits, None where it is not known."""
    if isinstance(ctype, IntType):
        return ctype.width
    if isinstance(ctype, PointerType):
        return 64
    if isinstance(ctype, ArrayType):
        element = size_of(ctype.element)
        return None if element is None or ctype.length is None else element * ctype.length
    return ctype.size if isinstance(ctype, RecordType) else None


def _identifiers(node: Node) -> Iterator[Node]:
    """Yield the identifiers within an expression."""
    return (part for part in descendants(node) if part.type == "identifier")


def _readable(node: Node) -> Iterator[Node]:
    """Yield the outermost objects within an expression that can be read without an effect."""
    todo = [node]
    while todo:
        here = todo.pop()
        if here.type in ("field_expression", "identifier") and not has_effects(here):
            yield here
        elif here.type == "call_expression":
            todo.extend(n for n in here.named_children if n.type == "argument_list")
        else:
            todo.extend(here.named_children)


def stores(node: Node) -> bool:
    """Tell whether an expression stores to something itself, or gives an address to a call."""
    spelt = node.text or b""
    if not any(mark in spelt for mark in (b"=", b"++", b"--", b"&")):
        return False  # said without a walk: a long sum asks at each of its levels
    return any(
        part.type in ("assignment_expression", "update_expression")
        or (part.type == "call_expression" and any(map(_takes_address, part.named_children)))
        for part in descendants(node)
    )


def _takes_address(node: Node) -> bool:
    return any(p.type == "pointer_expression" and _operator(p) == "&" for p in descendants(node))


_EFFECTS = ("call_expression", "assignment_expression", "update_expression", "gnu_asm_expression")


def has_effects(node: Node) -> bool:
    """Tell whether evaluating an expression may change memory."""
    if node.type in _EFFECTS:
        return True
    return any(has_effects(child) for child in node.named_children)
