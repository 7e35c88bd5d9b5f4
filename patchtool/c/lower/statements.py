# SPDX-License-Identifier: GPL-2.0-only
"""Statements: ordered, with every path out of a function accounted for.

A statement that is not understood makes what it may set opaque, or spoils the paths
through it where it may write what matters or leave the straight way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import ClassVar

from patchtool.c import library, syntax
from patchtool.c.index import stands_for
from patchtool.c.layout import (
    INT,
    IntType,
    PointerType,
    RecordType,
    Settled,
    UnknownType,
    VoidType,
    base_type,
)
from patchtool.c.lower.arithmetic import ordered
from patchtool.c.lower.calls import CLASS, DOES_MORE, Calls, is_one
from patchtool.c.lower.expressions import has_effects
from patchtool.c.lower.names import MINUS_ONE
from patchtool.c.lower.records import Unsupported
from patchtool.c.memory import Int, LValue, Pointer, State, Value
from patchtool.c.syntax import Node, text
from patchtool.proof import bits
from patchtool.proof.bits import Cond

MAX_TURNS = 512
MAX_OPEN_TURNS = 8
MAX_OPEN_BITS = 4
"""Of how many bits the number may be open that a loop begins with, to be told apart."""


class Statements(Calls):
    """Runs statements."""

    def _statement(self, node: Node, state: State) -> State | None:
        """Run a statement; None where no path goes on behind it."""
        self._step(node)
        kind = node.type
        if kind == "comment" or kind == ";":
            return state
        handler = self._STATEMENTS.get(kind)
        before, exits = state.path, self._frames[-1].exits
        try:
            if handler is not None:
                after = handler(self, node, state)
                if after is not None and self._frames[-1].exits == exits:
                    after.path = before
                return after
            if kind in ("preproc_def", "preproc_function_def", "preproc_call"):
                self._redefinition(node, state)
                return state
            if kind.startswith("preproc_"):
                raise Unsupported(node, "a preprocessor line inside a function")
            raise Unsupported(node, f"{kind.replace('_', ' ')} is not understood")
        except Unsupported as problem:
            return self._unsupported(node, state, problem)

    def _redefinition(self, node: Node, state: State) -> None:
        """Pass by a macro that is defined in a function, unless it meant something else."""
        name = node.child_by_field_name("name")
        if name is not None:
            others = self.index.macros(text(name), self._here)
            if len({one.text.strip() for one in others}) <= 1:
                return
        self._spoil(Unsupported(node, "a macro is redefined inside a function"), state)

    def _enumeration(self, node: Node, state: State) -> State | None:
        """Define the enumerators of an enumeration that a function declares."""
        values: dict[str, Value] = {}
        for item in node.named_children:
            self._count_all(item, MINUS_ONE, values, state)
        for name in values:
            self._store(self._local(name, INT), values[name], state, node)
        return state

    def _unsupported(self, node: Node, state: State, problem: Unsupported) -> State | None:
        """Go on behind a statement that was not understood, forgetting what it may set."""
        function = self._frames[-1].function
        leaves = _leaves(node)
        if leaves and len(self._frames) > 1 and not self.effects.reaches(function.name, function):
            raise problem  # the whole call is then a value that is not understood
        if (
            leaves
            or self.effects.touches(node.text or b"", function)
            or any(
                stands_for(self.index, text(one), self._here, DOES_MORE)
                for one in _parts(node)
                if one.type == "identifier"
            )
        ):
            self._spoil(problem, state)
            return state
        self._forget(node, state, problem)
        return state

    def _require_one(self, statement: Node | None) -> None:
        """Refuse a macro of several statements where but the first belongs to what is in front."""
        if statement is None or statement.type != "expression_statement":
            return
        for one in syntax.inner(statement):
            callee = one.child_by_field_name("function") if one.type == "call_expression" else one
            named = callee is not None and callee.type == "identifier"
            for macro in self.index.macros(text(callee), self._here) if named and callee else ():
                body = macro.text.decode("utf-8", "replace")
                block = syntax.block(body)
                if block is not None and not is_one(one, block):
                    reason = f"{macro.name} is more than the one statement that stands here"
                    raise Unsupported(one, reason)

    def _forget(self, node: Node, state: State, problem: Unsupported) -> None:
        """Forget all that a piece of C may set which was not understood, or not to its end."""
        written = list(_written(node))
        calls = [part for part in _parts(node) if part.type == "call_expression"]
        if not written and not calls and "asm" not in text(node):
            return
        named = {text(part) for part in _parts(node) if part.type == "identifier"}
        moved = {name for part in written if (name := _plain_name(part)) is not None}
        moved |= {name for name in named if name not in self._frames[-1].variables}
        direct: list[Node] = []
        indirect: list[Node] = []
        for part in written:
            (direct if _plain_name(part) is not None else indirect).append(part)
        for part in direct:
            self._forget_variable(_plain_name(part) or "", state, problem)
        for part in indirect:
            self._forget_behind(part, node, moved, state, problem)
        for call in calls:
            self._forget_call(call, state, problem)
        for part in _parts(node):
            if part.type == "gnu_asm_expression":
                self._forget_assembly(part, state, problem)

    def _forget_variable(self, name: str, state: State, problem: Unsupported) -> None:
        lvalue = self._frames[-1].variables.get(name)
        if lvalue is not None:
            known = tuple(self._pointers(v for at, v in state.memory.items() if at == lvalue.loc))
            value = self._opaque_for(problem)
            if known:
                self._targets[value.word] = known
            self._wipe(lvalue, state, value)
        elif self._object_named(name) is not None:
            self._spoil(problem, state)

    def _object_named(self, name: str) -> LValue | None:
        for here in self._places_to_look():
            found = self._object_from(name, here)
            if found is not None:
                return found
        return None

    def _forget_behind(
        self, target: Node, whole: Node, moved: set[str], state: State, problem: Unsupported
    ) -> None:
        """Forget what a store through a pointer, or into an array, may have set."""
        part: Node | None = target
        while part is not None:
            names = {text(one) for one in _parts(part) if one.type == "identifier"}
            lvalue = None
            if moved.isdisjoint(names) and not has_effects(part):
                try:
                    lvalue = self._lvalue(part, state.fork(True))
                except Unsupported:
                    lvalue = None
            if lvalue is not None and (part is target or not isinstance(lvalue.type, PointerType)):
                if self._is_vital(Pointer(lvalue.loc, lvalue.type, lvalue)):
                    self._spoil(problem, state)
                self._wipe(lvalue, state, self._opaque_for(problem))
                return
            part = part.named_children[0] if part.type in _STEPS else None
        first = next(_first_names(target), None)
        if first is not None and first not in moved:
            pointers = self._mentioned(target, state)
        else:
            pointers = [*self._mentioned(whole, state), *self._addresses(whole, state)]
        self._wipe_targets(self._behind(target, pointers, state), state, problem)

    def _forget_assembly(self, node: Node, state: State, problem: Unsupported) -> None:
        """Forget what an assembler may reach through its operands, or without any."""
        if not any(part.type == "gnu_asm_clobber_list" for part in node.named_children):
            return
        if "memory" not in text(node):
            return
        operands = [n for n in node.named_children if n.type.endswith("operand_list")]
        pointers = [p for one in operands for p in self._mentioned(one, state)]
        pointers += [p for one in operands for p in self._addresses(one, state)]
        code = node.child_by_field_name("assembly_code")
        if code is not None and text(code).strip('"') == "" and not pointers:
            return
        self._wipe_targets([*pointers, *self._escaped(state)], state, problem)

    def _forget_call(self, call: Node, state: State, problem: Unsupported) -> None:
        """Forget what a call may have set that was perhaps not executed."""
        callee = call.child_by_field_name("function")
        listed = call.child_by_field_name("arguments")
        name = text(callee) if callee is not None and callee.type == "identifier" else ""
        if listed is None or library.is_silent(name, self.index.target):
            return
        values = [Pointer(p.target, p.type, p.lvalue) for p in self._mentioned(listed, state)]
        values += self._addresses(listed, state)
        reached = self._within_reach(values, state)
        if any(self._is_vital(p) for p in values):
            self._spoil(problem, state)
        reached += self._escaped(state)
        self._forget_locals(reached, state, lambda: self._opaque_for(problem))
        if not name or not self.index.functions(name, self._here):  # perhaps a macro that stores
            for argument in listed.named_children:
                plain = _plain_name(argument)
                if plain is not None and plain in self._frames[-1].variables:
                    if not isinstance(self._frames[-1].variables[plain].type, PointerType):
                        self._forget_variable(plain, state, problem)

    def _compound(self, node: Node, state: State) -> State | None:
        frame = self._frames[-1]
        outer = dict(frame.variables)
        current: State | None = state
        for child in node.named_children:
            if current is None:
                if child.type != "labeled_statement" and not _holds_label(child):
                    continue
            if child.type == "labeled_statement":
                current = self._label(child, current)
            elif current is not None:
                current = self._statement(child, current)
            elif child.type != "comment":
                current = None
        frame.variables = outer
        return current

    def _label(self, node: Node, state: State | None) -> State | None:
        label = node.child_by_field_name("label")
        pending = self._frames[-1].jumps.pop(text(label), []) if label is not None else []
        states = pending + ([state] if state is not None else [])
        if not states:
            return None
        merged = self._merge(states)
        current: State | None = merged
        for child in node.named_children[1:]:
            if current is not None:
                current = self._statement(child, current)
        return current

    def _declaration(self, node: Node, state: State) -> State | None:
        type_node = node.child_by_field_name("type")
        if type_node is None:
            raise Unsupported(node, "a declaration without a type")
        for part in _parts(node) if "__attribute__" in text(node) else ():
            if part.type == "attribute_specifier":
                reason = f"what {text(part)} says of a variable is not understood"
                if "cleanup" in reason:
                    reason = "a function is called where a variable ends"
                self._spoil(Unsupported(node, reason), state)
        static = any(
            child.type == "storage_class_specifier" and text(child) == "static"
            for child in node.children
        )
        if type_node.type == "enum_specifier" and type_node.child_by_field_name("body"):
            self._enumeration(type_node, state)
        base = (
            self._typeof(type_node, state)
            or self._deduced(type_node, state)
            or base_type(self.types, type_node, self._here)
        )
        for declarator in node.children_by_field_name("declarator"):
            name, ctype = self.types.declared(declarator, base, self._here)
            if name is None:
                continue
            lvalue = self._local(name, ctype)
            value = (
                declarator.child_by_field_name("value")
                if declarator.type == "init_declarator"
                else None
            )
            if static and not any(
                text(c) == "const" for c in node.children if c.type == "type_qualifier"
            ):
                if isinstance(ctype, (IntType, PointerType)):
                    state.memory[lvalue.loc] = self.opaque(
                        declarator, f"{name} keeps its value between calls"
                    )
                continue
            if value is None:
                continue
            try:
                self._initialise(lvalue, value, state)
            except Unsupported as problem:
                if self.effects.touches(value.text or b"", self._frames[-1].function):
                    self._spoil(problem, state)
                self._forget(value, state, problem)
                self._wipe(lvalue, state, self._unknown(value, state, problem))
        return state

    def _typeof(self, node: Node, state: State) -> Settled | None:
        """Return the type that ``typeof(x)`` stands for."""
        expression = syntax.measured(node)
        if expression is None:
            return None
        ctype = self._type_of(expression, state)
        return None if isinstance(ctype, UnknownType) else Settled(ctype)

    def _deduced(self, node: Node, state: State) -> Settled | None:
        """Return the type that ``__auto_type`` takes from the only value behind it."""
        declarators = node.parent.children_by_field_name("declarator") if node.parent else []
        if text(node) != "__auto_type" or len(declarators) != 1:
            return None
        value = declarators[0].child_by_field_name("value")
        ctype = self._type_of(value, state) if value is not None else UnknownType("")
        is_kept = isinstance(ctype, (IntType, PointerType, RecordType))
        return Settled(ctype) if is_kept else None

    def _expression_statement(self, node: Node, state: State) -> State | None:
        for child in node.named_children:
            if child.type == "comment":
                continue
            if child.type == "call_expression":
                self._call(child, state, needed=False)
            elif child.type == "identifier" and self.index.macros(text(child), self._here):
                self._named_statement(child, state)
            else:
                self._value(child, state, needed=False)
        return state

    def _named_statement(self, node: Node, state: State) -> None:
        """Run a macro without arguments that stands by itself as a statement."""
        name = text(node)
        macros = self.index.macros(name, self._here)
        if name in self._frames[-1].variables:
            return
        if len({(one.text.strip(), one.parameters) for one in macros}) != 1:
            raise Unsupported(node, f"what {name} stands for depends on a build option")
        if macros[0].parameters is None and macros[0].text.strip():
            self._statement_macro(macros[0], node, [], state)

    def _if(self, node: Node, state: State) -> State | None:
        if node.children[1].start_byte != node.children[0].end_byte and syntax.is_scope(node):
            return self._scoped(node, state)
        condition_node = node.child_by_field_name("condition")
        consequence = node.child_by_field_name("consequence")
        alternative = node.child_by_field_name("alternative")
        assert condition_node is not None and consequence is not None
        condition = self._branch(condition_node, state)
        if alternative is not None and alternative.type == "else_clause":
            named = syntax.inner(alternative)
            alternative = named[0] if named else None
        self._require_one(consequence)
        self._require_one(alternative)
        self._met_branch(consequence, condition is not False)
        self._met_branch(alternative, condition is not True)
        if condition is True:
            return self._statement(consequence, state)
        if condition is False:
            return self._statement(alternative, state) if alternative is not None else state
        yes, no = state.fork(condition), state.fork(bits.negate(condition))
        after = [self._statement(consequence, yes)]
        after.append(self._statement(alternative, no) if alternative is not None else no)
        live = [one for one in after if one is not None]
        if not live:
            return None
        merged = self._merge(live)
        state.become(merged)
        return state

    def _met_branch(self, node: Node | None, is_run: bool) -> None:
        """Note whether a branch is gone through; text that a macro expands to has no place."""
        unit = self._units[-1]
        if node is not None and not unit.fixed:
            start, end = (
                (unit.line + row, column + 1) for row, column in (node.start_point, node.end_point)
            )
            where = unit.file, start, end
            self.out.branches[where] = self.out.branches.get(where, False) or is_run

    def _return(self, node: Node, state: State) -> State | None:
        values = syntax.inner(node)
        result = self._frames[-1].result
        value: Value | None = None
        if values:
            try:
                value = self._value_for(result, values[0], state)
                if not isinstance(result, VoidType):
                    value = self._convert(value, result, node)
            except Unsupported as problem:
                if self.effects.touches(node.text or b"", self._frames[-1].function):
                    self._spoil(problem, state)
                self._forget(values[0], state, problem)
                value = self._unknown(values[0], state, problem)
        if isinstance(result, VoidType):
            value = None
        self._frames[-1].returns.append((State(dict(state.memory), state.path), value))
        return None

    def _switch(self, node: Node, state: State) -> State | None:
        subject_node = node.child_by_field_name("condition")
        body = node.child_by_field_name("body")
        assert subject_node is not None and body is not None
        subject = self._value(subject_node, state)
        frame = self._frames[-1]
        cases = [n for n in body.named_children if n.type == "case_statement"]
        if any(n.type not in ("case_statement", "comment") for n in body.named_children):
            raise Unsupported(node, "a switch with statements outside its cases")
        conditions: list[Cond] = []
        taken: Cond = False
        for case in cases:
            value_node = case.child_by_field_name("value")
            if value_node is None:
                conditions.append(True)
                continue
            hit = self._guarded(self._hit(subject, value_node, state), value_node, state)
            conditions.append(hit)
            taken = bits.either(taken, hit)
        for number, case in enumerate(cases):
            if case.child_by_field_name("value") is None:
                conditions[number] = bits.negate(taken)
        frame.breaks.append([])
        falling: State | None = None
        for case, condition in zip(cases, conditions, strict=True):
            entering = [state.fork(condition)] if condition is not False else []
            if falling is not None:
                entering.append(falling)
            if not entering:
                continue
            current: State | None = self._merge(entering)
            value_node = case.child_by_field_name("value")
            for child in case.named_children:
                if current is None:
                    break
                if value_node is not None and child.id == value_node.id:
                    continue
                current = self._statement(child, current)
            falling = current
        ends = frame.breaks.pop()
        if falling is not None:
            ends.append(falling)
        if not any(case.child_by_field_name("value") is None for case in cases):
            rest = bits.negate(taken)
            if rest is not False:
                ends.append(state.fork(rest))
        if not ends:
            return None
        state.become(self._merge(ends))
        return state

    def _hit(self, subject: Value, node: Node, state: State) -> Cond:
        """Return when a case is met; ``1 ... 3`` arrives as ``1 || 3``, marked."""
        ends = [node.child_by_field_name(n) for n in ("left", "right")]
        if node.type != "binary_expression" or syntax.RANGE_MARK not in (node.text or b""):
            return self._compare_equal(subject, self._value(node, state), node)
        low, high = (self._value(end, state) for end in ends if end is not None)
        number = self._as_int(subject, node)
        above = ordered(">=", *self._balanced(number, self._as_int(low, node)))
        below = ordered("<=", *self._balanced(number, self._as_int(high, node)))
        return bits.both(above, below)

    def _loop(self, node: Node, state: State) -> State | None:
        macro = syntax.loop_macro(node)
        if macro == "bits":
            return self._for_each_bit(node, state)
        if macro:
            raise Unsupported(node, "a loop that is a macro is not understood")
        self._require_one(node.child_by_field_name("body"))
        frame = self._frames[-1]
        outer = dict(frame.variables)
        initial = node.child_by_field_name("initializer")
        condition_node = node.child_by_field_name("condition")
        if initial is not None:
            if initial.type == "declaration":
                self._statement(initial, state)
            else:
                self._value(initial, state, needed=False)
        ends: list[State] = []
        for one in self._by_number(condition_node, state):
            self._turns(node, one, ends)
        frame.variables = outer
        if not ends:
            return None
        state.become(self._merge(ends))
        return state

    def _by_number(self, condition: Node | None, state: State) -> list[State]:
        """Tell apart the few numbers that a loop may begin with: then its turns are counted."""
        if condition is None:
            return [state]
        for name in dict.fromkeys(re.findall(r"[A-Za-z_]\w*", text(condition))):
            lvalue = self._frames[-1].variables.get(name)
            value = state.memory.get(lvalue.loc) if lvalue is not None else None
            if lvalue is None or not isinstance(value, Int):
                continue
            unclear = [
                i for i, one in enumerate(value.bits.conditions()) if one not in (True, False)
            ]
            if not 0 < len(unclear) <= MAX_OPEN_BITS:
                continue
            fixed = sum(1 << i for i, one in enumerate(value.bits.conditions()) if one is True)
            found: list[State] = []
            for case in range(1 << len(unclear)):
                chosen = sum(1 << at for i, at in enumerate(unclear) if case >> i & 1)
                number = bits.constant(value.width, fixed | chosen)
                here = state.fork(bits.equal(value.bits, number))
                if self._is_possible(self._absolute(here)):
                    here.memory[lvalue.loc] = Int(number, value.signed)
                    found.append(here)
            return found or [state]
        return [state]

    def _turns(self, node: Node, current: State, ends: list[State]) -> None:
        """Run a loop turn by turn, and add the states in which it ends."""
        frame = self._frames[-1]
        condition_node = node.child_by_field_name("condition")
        update = node.child_by_field_name("update")
        body = node.child_by_field_name("body")
        assert body is not None
        open_turns = 0
        first = node.type != "do_statement"
        for _ in range(MAX_TURNS):
            if first and condition_node is not None:
                go = self._branch(condition_node, current)
                if open_turns and not isinstance(go, bool):
                    here = self._absolute(current)
                    if not self._is_possible(bits.both(here, go)):
                        go = False
                if not isinstance(go, bool):
                    ends.append(current.fork(bits.negate(go)))
                    current = current.fork(go)
                    if open_turns == MAX_OPEN_TURNS:  # so many are rare, and may be none at all
                        reason = "a loop whose number of turns is not constant"
                        ended = self._unsupported(
                            node, current, Unsupported(condition_node, reason)
                        )
                        ends += [ended] if ended is not None else []
                        break
                    open_turns += 1
                elif not go:
                    ends.append(current)
                    break
            first = True
            frame.breaks.append([])
            frame.continues.append([])
            after = self._statement(body, current.fork(True))
            ends.extend(frame.breaks.pop())
            again = frame.continues.pop()
            if after is not None:
                again.append(after)
            if not again:
                break
            current = self._merge(again)
            if update is not None:
                self._value(update, current, needed=False)
        else:
            raise Unsupported(node, f"a loop of more than {MAX_TURNS} turns")

    def _for_each_bit(self, node: Node, state: State) -> State | None:
        """Run ``for_each_set_bit(bit, map, size)`` over a map of which the size is constant."""
        listed = node.child_by_field_name("condition")
        body = node.child_by_field_name("body")
        assert listed is not None and body is not None
        arguments = _listed(listed)
        if len(arguments) != 3:
            raise Unsupported(node, "a loop over bits is not understood")
        size = self._constant(self._value(arguments[2], state), arguments[2])
        counter = self._stored_to(arguments[0], state)
        if not isinstance(counter.type, IntType) or size > MAX_TURNS:
            raise Unsupported(node, f"a loop of more than {MAX_TURNS} turns")
        frame = self._frames[-1]
        outer = dict(frame.variables)
        ends: list[State] = []
        current: State | None = state.fork(True)
        for number in range(size):
            if current is None:
                break
            place = self._bit_of(self._value(arguments[1], current), number, node)
            hit = bits.nonzero(self._as_int(self._load(place, current, node), node).bits)
            if hit is False:
                continue
            rest = [] if hit is True else [current.fork(bits.negate(hit))]
            turn = current.fork(hit)
            self._store(counter, Int(bits.constant(counter.type.width, number)), turn, node)
            frame.breaks.append([])
            frame.continues.append([])
            after = self._statement(body, turn)
            ends.extend(frame.breaks.pop())
            again = frame.continues.pop() + rest + ([after] if after is not None else [])
            current = self._merge(again) if again else None
        frame.variables = outer
        if current is not None:
            self._store(counter, Int(bits.constant(counter.type.width, size)), current, node)
            ends.append(current)
        if not ends:
            return None
        state.become(self._merge(ends))
        return state

    def _scoped(self, node: Node, state: State) -> State | None:
        """Run what ``scoped_guard(class, lock)`` holds a lock for."""
        body = node.child_by_field_name("consequence")
        condition = node.child_by_field_name("condition")
        assert body is not None and condition is not None
        if node.child_by_field_name("alternative") is not None:
            raise Unsupported(node, "a scope with an else")
        name, *given = _listed(condition)
        if not self._is_lock(text(name)) and not library.TRIES.fullmatch(text(name)):
            self._direct(CLASS.format(text(name)), node, given, state, False)
        for argument in filter(has_effects, given):
            self._value_or_unknown(argument, state)
        if self._is_entered(text(name)):
            return self._statement(body, state)
        taken = self.opaque(node, f"whether {text(name)} takes its lock is not known").word.bit()
        inside, left = self._statement(body, state.fork(taken)), state.fork(bits.negate(taken))
        state.become(self._merge([left] if inside is None else [inside, left]))
        return state

    def _is_entered(self, name: str) -> bool:
        """Tell whether the class of a guard always takes what it guards."""
        word = re.escape(name).encode()
        made = re.compile(rb"^DEFINE_(?:LOCK_)?GUARD(?:_[01])?\(\s*%b\s*," % word, re.M)
        return self._is_lock(name) or any(
            made.search(data) is not None for _, data in self.index.texts_with(name.encode())
        )

    def _break(self, node: Node, state: State) -> State | None:
        if not self._frames[-1].breaks:
            raise Unsupported(node, "break outside a loop")
        self._frames[-1].breaks[-1].append(state)
        return None

    def _continue(self, node: Node, state: State) -> State | None:
        if not self._frames[-1].continues:
            raise Unsupported(node, "continue outside a loop")
        self._frames[-1].continues[-1].append(state)
        return None

    def _goto(self, node: Node, state: State) -> State | None:
        label = node.child_by_field_name("label")
        self._frames[-1].jumps.setdefault(text(label) if label is not None else "", []).append(
            state
        )
        return None

    def _configured(self, node: Node, state: State) -> State | None:
        """Run both branches of an ``#if`` on a build option that is not known."""
        option, inside, others = self._branches(node)
        yes: State | None = state.fork(option) if option is not False else None
        for child in inside:
            if yes is not None:
                yes = self._statement(child, yes)
        no: State | None = state.fork(bits.negate(option)) if option is not True else None
        for child in others:
            if no is not None:
                no = self._statement(child, no)
        live = [one for one in (yes, no) if one is not None]
        if not live:
            return None
        state.become(self._merge(live))
        return state

    _STATEMENTS: ClassVar[dict[str, Callable[[Statements, Node, State], State | None]]] = {
        "compound_statement": _compound,
        "declaration": _declaration,
        "enum_specifier": _enumeration,
        "expression_statement": _expression_statement,
        "if_statement": _if,
        "return_statement": _return,
        "switch_statement": _switch,
        "for_statement": _loop,
        "while_statement": _loop,
        "do_statement": _loop,
        "break_statement": _break,
        "continue_statement": _continue,
        "goto_statement": _goto,
        "labeled_statement": _label,
        "preproc_ifdef": _configured,
        "preproc_if": _configured,
        "preproc_elif": _configured,
        "preproc_elifdef": _configured,
    }


_JUMPS = ("return_statement", "goto_statement", "gnu_asm_goto_list", "preproc_include")
"""What goes on elsewhere; what a file holds that is taken in here may do so too."""


def _leaves(node: Node) -> bool:
    """Tell whether a statement may go on elsewhere than behind it."""
    if node.type in _JUMPS:
        return True
    return any(map(_leaves, node.children))


def _holds_label(node: Node) -> bool:
    if node.type == "labeled_statement":
        return True
    return any(_holds_label(child) for child in node.named_children)


_STEPS = ("subscript_expression", "field_expression", "parenthesized_expression")


def _first_names(node: Node) -> Iterator[str]:
    """Yield the variable that an access path begins with."""
    while node.type in (*_STEPS, "pointer_expression"):
        node = node.named_children[0]
    if node.type == "identifier":
        yield text(node)


def _listed(node: Node) -> list[Node]:
    """Return what commas separate within parentheses."""
    found: list[Node] = []
    todo = [node]
    while todo:
        here = todo.pop()
        if here.type == "comma_expression":
            todo += [here.named_children[1], here.named_children[0]]
        elif here.type == "parenthesized_expression" and here.named_child_count == 1:
            todo.append(here.named_children[0])
        else:
            found.append(here)
    return found


def _parts(node: Node) -> Iterator[Node]:
    todo = [node]
    while todo:
        here = todo.pop()
        yield here
        todo.extend(reversed(here.named_children))


def _written(node: Node) -> Iterator[Node]:
    """Yield what a piece of C stores to, or hands to an assembler."""
    for part in _parts(node):
        target = None
        if part.type == "assignment_expression":
            target = part.child_by_field_name("left")
        elif part.type == "update_expression":
            target = part.child_by_field_name("argument")
        elif part.type == "gnu_asm_output_operand":
            target = part.child_by_field_name("value")
        elif part.type == "ERROR":
            yield part
        yield from syntax.set_by_loop(part)
        if target is not None:
            yield target


def _plain_name(node: Node) -> str | None:
    """Return the variable that is set with an object that no pointer leads to."""
    while True:
        if node.type == "identifier":
            return text(node)
        if node.type == "parenthesized_expression" and node.named_child_count == 1:
            node = node.named_children[0]
        elif node.type == "field_expression" and node.children[1].type == ".":
            node = node.children[0]
        else:
            return None
