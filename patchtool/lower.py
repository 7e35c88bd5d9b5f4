# SPDX-License-Identifier: GPL-2.0-only
"""Lower the C of one entry function to bit-vector terms, calls inlined.

In: an index and the name of a function.  Out: a ``Lowered`` run: memory after the call,
the guards met on the way, and everything that was not understood, with its place.
Ordered, total and timid: an expression that is not understood is an opaque symbol, a
statement whose effect is not understood spoils the paths through it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from . import bits, syntax
from .bits import Bits, Cond, Term
from .effects import Effects
from .index import Definition, Index, expand
from .layout import (
    ULONG,
    ArrayType,
    CType,
    IntType,
    PointerType,
    RecordType,
    Types,
    UnknownType,
    VoidType,
    base_type,
    settled,
)
from .memory import Function, Int, Loc, LValue, Opaque, Pointer, Record, Root, State, Value
from .model import Consulted, Place
from .syntax import Node, text

MAX_STEPS = 200_000
MAX_DEPTH = 48
MAX_TURNS = 512
RECURSION = 8_000
ROLE_WORD = 32
FUNCTION_BASE = 0xFFFF_8000_0000_0000


@dataclass(frozen=True, slots=True)
class RoleShape:
    """Which records are contexts, and which of their members hold a role."""

    contexts: dict[str, tuple[str, ...]]
    """Role members by tag of the context struct."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of a stored role: its symbol, its meaning, whose role it is."""

    symbol: str
    meaning: Cond
    context: Loc
    member: str
    new: Bits
    low: int


@dataclass(frozen=True, slots=True)
class Guard:
    """A branch decided by comparing roles.

    ``condition`` is the branch over the inputs, ``symbol`` the free boolean that stands
    for it in the terms, ``path`` when it is reached, ``calls`` how.
    """

    symbol: str
    condition: Cond
    context: Loc
    comparisons: tuple[Comparison, ...]
    path: Cond
    place: Place
    calls: tuple[str, ...]
    skips: bool | None
    """The value of the symbol with which equal roles skip; None where it depends on more."""


@dataclass(frozen=True, slots=True)
class RoleStore:
    """A store to a role of a context: where, on which paths, and when its function runs."""

    context: Loc
    place: Place
    path: Cond
    entered: Cond


@dataclass(frozen=True, slots=True)
class Trouble:
    """A construct that was not understood, and the paths that it spoils."""

    place: Place
    reason: str
    path: Cond


@dataclass(slots=True)
class Lowered:
    """What one run of an entry function amounts to."""

    start: Definition
    memory: dict[Loc, Value]
    guards: list[Guard]
    stores: list[RoleStore]
    troubles: list[Trouble]
    opaque: dict[str, tuple[Place, str, bool]]
    """Place, reason, and whether a definition is missing, by symbol."""
    reads: dict[str, tuple[Place, int]]
    """Where a symbol of the surroundings was first read, and its width."""
    globals: dict[str, Place]
    """Objects of file scope that were read, by symbol."""
    aliases: dict[str, str]
    """How a root is spelt in the source, by its own name."""
    consulted: set[Consulted]
    functions: dict[int, str]
    types: dict[str, CType] = field(default_factory=dict)

    def visits(self, function: Definition) -> bool:
        """Tell whether the run came by a function, followed or not."""
        return any(
            one.name == function.name and one.file == function.file for one in self.consulted
        )


class Unsupported(Exception):
    """Raised inside lowering where a construct is not understood."""

    def __init__(self, node: Node | None, reason: str, missing: bool = False) -> None:
        super().__init__(reason)
        self.node = node
        self.reason = reason
        self.missing = missing


@dataclass(slots=True)
class Frame:
    """One call in progress."""

    function: Definition
    variables: dict[str, LValue]
    number: int
    entered: Cond = True
    returns: list[tuple[State, Value | None]] = field(default_factory=list)
    result: CType = field(default_factory=VoidType)
    breaks: list[list[State]] = field(default_factory=list)
    continues: list[list[State]] = field(default_factory=list)
    jumps: dict[str, list[State]] = field(default_factory=dict)

    @property
    def exits(self) -> int:
        """How many paths have left the straight way so far: where none did, none is lost."""
        inner = sum(map(len, self.breaks)) + sum(map(len, self.continues))
        return len(self.returns) + inner + sum(map(len, self.jumps.values()))


@dataclass(frozen=True, slots=True)
class Unit:
    """The file and line that positions of the nodes at hand count from."""

    file: str
    line: int
    fixed: bool = False


_SILENT = re.compile(
    r"trace_\w+|pr_\w+|printk\w*|pgprintk|rmap_printk|vcpu_unimpl|vcpu_debug\w*|dump_stack"
    r"|BUILD_BUG_ON\w*|static_assert|lockdep_\w+|might_sleep|cond_resched|kvm_err|kvm_pr_\w+"
    r"|kvm_mmu_audit|EXPORT_SYMBOL\w*|smp_\w*mb|barrier|instrumentation_\w+|srcu_\w+|preempt_\w+"
)
_WARN = re.compile(
    r"(?:\w+_)?(?:WARN|BUG)_ON(?:_ONCE)?|WARN(?:_ONCE|_RATELIMIT)?|KVM_BUG(?:_ON\w*)?"
)
_SAME = frozenset(
    {"likely", "unlikely", "READ_ONCE", "ACCESS_ONCE", "rcu_dereference", "__builtin_expect",
     "smp_load_acquire", "cmpxchg_force", "data_race"}
)  # fmt: skip
_EXTREMA = {"min": False, "max": True, "min_t": False, "max_t": True, "umin": False, "umax": True}


class Lowering:
    """Runs functions of one tree symbolically."""

    def __init__(self, index: Index, types: Types, shape: RoleShape, effects: Effects) -> None:
        self.index = index
        self.types = types
        self.shape = shape
        self.effects = effects
        self._macros: dict[tuple[object, ...], Node] = {}
        self._sites: dict[tuple[str, str, int], frozenset[int]] = {}
        self._enumerations: dict[tuple[str, str, int], dict[str, Value]] = {}
        self._expanding: set[tuple[str, str, int]] = set()
        self._constants: dict[tuple[str, str], tuple[Int, frozenset[Consulted]]] = {}

    # -- one run -------------------------------------------------------------------------

    def run(self, entry: Definition, bind: dict[Loc, Value] | None = None) -> Lowered:
        """Lower one call of ENTRY with arguments and surroundings left open."""
        self.out = Lowered(entry, {}, [], [], [], {}, {}, {}, {}, set(), {})
        self._steps = 0
        self._frames: list[Frame] = []
        self._units: list[Unit] = []
        self._numbers = 0
        self._base: list[Cond] = []
        self._guards_by_term: dict[Term, str] = {}
        self._comparisons: dict[str, Comparison] = {}
        self._role_symbols: dict[str, str] = {}
        self._result: CType = VoidType()
        state = State(dict(bind or {}))
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(limit, RECURSION))
        try:
            self._enter(entry, None, state, None)
        except Unsupported as problem:
            self._spoil(problem, State({}), entry)
        except RecursionError:
            self._spoil(Unsupported(None, "nesting is too deep"), State({}), entry)
        finally:
            sys.setrecursionlimit(limit)
        self.out.memory = state.memory
        return self.out

    def _spoil(self, problem: Unsupported, state: State, where: Definition | None = None) -> None:
        if problem.node is not None:
            place = self.place(problem.node)
        elif where is not None:
            place = Place(where.file, where.line, 1, where.name)
        else:
            place = self._spot()
        self.out.troubles.append(Trouble(place, problem.reason, self._absolute(state)))

    def _absolute(self, state: State) -> Cond:
        result: Cond = state.path
        for base in self._base:
            result = bits.both(base, result)
        return result

    def place(self, node: Node) -> Place:
        """Return where a node of the text at hand stands."""
        unit = self._units[-1]
        name = self._frames[-1].function.name if self._frames else ""
        if unit.fixed:
            return Place(unit.file, unit.line, 1, name)
        row, column = node.start_point
        return Place(unit.file, unit.line + row, column + 1, name)

    def _spot(self) -> Place:
        unit = self._units[-1] if self._units else Unit("", 1)
        name = self._frames[-1].function.name if self._frames else ""
        return Place(unit.file, unit.line, 1, name)

    def _consult(self, kind: str, definition: Definition, unparsed: int = 0) -> None:
        self.out.consulted.add(
            Consulted(definition.file, definition.line, kind, definition.name, unparsed)
        )

    @contextmanager
    def _unit(self, unit: Unit) -> Iterator[None]:
        self._units.append(unit)
        try:
            yield
        finally:
            self._units.pop()

    def opaque(self, node: Node | None, reason: str, missing: bool = False) -> Opaque:
        """Return a fresh symbol for a value that is not understood."""
        name = f"?{len(self.out.opaque)}"
        place = self.place(node) if node is not None else self._spot()
        self.out.opaque[name] = (place, reason, missing)
        return Opaque(name)

    def _step(self, node: Node) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise Unsupported(node, "the function is too large to follow")

    # -- calls ---------------------------------------------------------------------------

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
        node = next((n for n in root.named_children if n.type == "function_definition"), None)
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
        frame = Frame(function, {}, self._numbers, self._absolute(state), result=result)
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
                    value = self._initial(
                        Loc(Root(name, "pointee"), ("",)), ctype, f"{function.name}({name})"
                    )
            elif position < len(arguments):
                value = arguments[position]
            else:
                value = self.opaque(None, f"argument {name} of {function.name}() is not passed")
            position += 1
            self._store(lvalue, value, state, None)

    def _local(self, name: str, ctype: CType) -> LValue:
        frame = self._frames[-1]
        loc = Loc(Root(f"{frame.function.name}.{frame.number}.{name}", "local"))
        lvalue = self._whole(loc, ctype)
        frame.variables[name] = lvalue
        return lvalue

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

    # -- states --------------------------------------------------------------------------

    def _merge(self, states: list[State]) -> State:
        """Join paths that exclude one another."""
        result = states[-1]
        for one in reversed(states[:-1]):
            memory: dict[Loc, Value] = {}
            for loc in {**one.memory, **result.memory}:
                a, b = one.memory.get(loc), result.memory.get(loc)
                if a is b:
                    assert a is not None
                    memory[loc] = a
                    continue
                if a is None or b is None:
                    if loc.root.kind == "local":
                        continue
                    known = a if a is not None else b
                    assert known is not None
                    start = self._pristine(loc, known)
                    a, b = (a, start) if a is not None else (start, b)
                assert a is not None and b is not None
                memory[loc] = self._choose(one.path, a, b)
            path = bits.either(one.path, result.path)
            result = State(memory, path)
        return result

    def _pristine(self, loc: Loc, like: Value) -> Value:
        """Return what a location holds that was never written, shaped like LIKE."""
        ctype = self.out.types.get(str(loc))
        if isinstance(like, Int):
            if isinstance(ctype, IntType) and ctype.boolean:
                return self._initial(loc, ctype)
            return self._initial(loc, IntType(like.bits.width, like.signed))
        if isinstance(like, Pointer):
            return Pointer(Loc(Root(str(loc), "pointee")), like.type)
        if isinstance(like, Function):
            return self._initial(loc, ULONG)
        return self._initial(loc, ULONG)

    def _choose(self, c: Cond, a: Value, b: Value) -> Value:
        """Return ``c ? a : b``."""
        if c is True or a == b:
            return a
        if c is False:
            return b
        if isinstance(a, Record) and isinstance(b, Record):
            left, right = dict(a.cells), dict(b.cells)
            if left.keys() == right.keys():
                return Record(a.type, tuple((k, self._choose(c, left[k], right[k])) for k in left))
        if isinstance(a, (Int, Opaque, Function)) and isinstance(b, (Int, Opaque, Function)):
            width = (
                max(
                    x.bits.width if isinstance(x, Int) else 64 if isinstance(x, Function) else 0
                    for x in (a, b)
                )
                or 64
            )
            signed = any(isinstance(x, Int) and x.signed for x in (a, b))
            left_bits, right_bits = (self._widened(x, width) for x in (a, b))
            return Int(bits.choose(c, left_bits, right_bits), signed)
        if isinstance(a, Pointer) and isinstance(b, Pointer) and a.target == b.target:
            return a
        return self.opaque(None, "a pointer depends on a condition")

    def _widened(self, value: Value, width: int) -> Bits:
        if isinstance(value, Int):
            return bits.resize(value.bits, width, value.signed)
        if isinstance(value, Function):
            return bits.constant(width, self._address(value.name))
        assert isinstance(value, Opaque)
        return bits.symbol(width, value.name)

    def _address(self, name: str) -> int:
        for number, known in self.out.functions.items():
            if known == name:
                return number
        number = FUNCTION_BASE + 16 * (len(self.out.functions) + 1)
        self.out.functions[number] = name
        return number

    # -- locations -----------------------------------------------------------------------

    def _whole(self, loc: Loc, ctype: CType) -> LValue:
        if isinstance(ctype, RecordType) and ctype.is_word and ctype.size is not None:
            return LValue(loc, ctype, loc, ctype.size, 0, ctype.size)
        return LValue(loc, ctype)

    def _member(self, base: LValue, name: str, node: Node) -> LValue:
        ctype = base.type
        if not isinstance(ctype, RecordType):
            what = ctype.name if isinstance(ctype, UnknownType) else "this type"
            raise Unsupported(
                node, f"the definition of {what or 'a type'} was not found", missing=True
            )
        known = ctype.by_name.get(name)
        if known is None:
            raise Unsupported(node, f"{ctype.kind} {ctype.tag} has no member {name}", missing=True)
        path, inner = known
        loc = base.loc.member(*path)
        if base.cell is not None:
            low, width, _ = ctype.slots[".".join(path)]
            return LValue(loc, inner, base.cell, base.cell_width, base.low + low, width)
        return self._whole(loc, inner)

    def _initial(self, loc: Loc, ctype: CType, name: str | None = None) -> Value:
        """Return the symbol that a location of the surroundings starts with."""
        symbol = name or str(loc)
        place = self._spot()
        if isinstance(ctype, PointerType):
            return Pointer(Loc(Root(symbol, "pointee")), settled(ctype.target))
        width = ctype.width if isinstance(ctype, IntType) else 64
        if loc.root.kind == "global":
            self.out.globals.setdefault(symbol, place)
        elif loc.root.kind == "local":
            return self.opaque(None, f"{loc.root.name.rsplit('.', 1)[-1]} is read before it is set")
        self.out.reads.setdefault(symbol, (place, width))
        self.out.types.setdefault(symbol, ctype)
        if isinstance(ctype, IntType) and ctype.boolean:
            return Int(bits.resize(bits.symbol(1, symbol), width), False)
        return Int(bits.symbol(width, symbol), isinstance(ctype, IntType) and ctype.signed)

    def _load(self, lvalue: LValue, state: State, node: Node | None) -> Value:
        if lvalue.cell is not None:
            cell = state.memory.get(lvalue.cell)
            if cell is None:
                if lvalue.cell.root.kind == "global":
                    cell = self._global(lvalue.cell, lvalue, state)
                if cell is None:
                    cell = self._initial(lvalue.cell, IntType(lvalue.cell_width, False))
                self._note_role(lvalue.cell, lvalue)
            if isinstance(cell, Opaque):
                return cell
            assert isinstance(cell, Int)
            piece = bits.cut(cell.bits, lvalue.low, lvalue.width)
            if isinstance(lvalue.type, IntType):
                return Int(
                    bits.resize(piece, lvalue.type.width, lvalue.type.signed and lvalue.width > 0),
                    lvalue.type.signed,
                )
            return Int(piece)
        ctype = lvalue.type
        if isinstance(ctype, RecordType):
            return self._load_record(lvalue, ctype, state, node)
        value = state.memory.get(lvalue.loc)
        if value is not None:
            return value
        if lvalue.loc.root.kind == "global":
            known = self._global(lvalue.loc, lvalue, state)
            if known is not None:
                return known
        if isinstance(ctype, ArrayType):
            return Pointer(lvalue.loc, ctype)
        if isinstance(ctype, UnknownType):
            return self.opaque(node, f"the type {ctype.name} was not found", missing=True)
        return self._initial(lvalue.loc, ctype)

    def _load_record(
        self, lvalue: LValue, ctype: RecordType, state: State, node: Node | None
    ) -> Value:
        cells: list[tuple[tuple[str, ...], Value]] = []
        for name in ctype.by_name:
            inner = self._member(lvalue, name, node) if node is not None else None
            if inner is None:
                return self.opaque(node, "a record is copied")
            value = self._load(inner, state, node)
            extra = inner.loc.path[len(lvalue.loc.path) :]
            if isinstance(value, Record):
                cells.extend((extra + path, one) for path, one in value.cells)
            else:
                cells.append((extra, value))
            if len(cells) > 64:
                return self.opaque(node, f"struct {ctype.tag} is copied as a whole")
        return Record(ctype, tuple(cells))

    def _store(self, lvalue: LValue, value: Value, state: State, node: Node | None) -> None:
        if lvalue.cell is not None:
            cell = state.memory.get(lvalue.cell)
            if cell is None:
                whole = lvalue.width == lvalue.cell_width
                if whole:
                    cell = Int(bits.constant(lvalue.cell_width, 0))
                else:
                    cell = self._initial(lvalue.cell, IntType(lvalue.cell_width, False))
                    self._note_role(lvalue.cell, lvalue)
            if isinstance(cell, Opaque):
                cell = Int(bits.symbol(lvalue.cell_width, cell.name))
            assert isinstance(cell, Int)
            if isinstance(value, Record):
                raise Unsupported(node, "a record is stored into a word")
            new = self._bits_of(value, lvalue.type, lvalue.width, node)
            self._note_store(lvalue, state, node)
            state.memory[lvalue.cell] = Int(bits.put(cell.bits, lvalue.low, new))
            return
        ctype = lvalue.type
        if isinstance(ctype, RecordType):
            for loc in [loc for loc in state.memory if loc.within(lvalue.loc)]:
                del state.memory[loc]
            if not isinstance(value, Record):
                if isinstance(value, Opaque):
                    raise Unsupported(node, "a record of unknown content is stored")
                raise Unsupported(node, "a record is stored from something else")
            for path, one in value.cells:
                state.memory[lvalue.loc.member(*path)] = one
            return
        if isinstance(ctype, ArrayType):
            raise Unsupported(node, "an array is assigned")
        state.memory[lvalue.loc] = self._convert(value, ctype, node)

    def _bits_of(self, value: Value, ctype: CType, width: int, node: Node | None) -> Bits:
        """Return a value as the bits that a member of a type and width will hold."""
        if isinstance(ctype, IntType) and ctype.boolean:
            return bits.from_cond(self._truth(value, node), width)
        if isinstance(value, Int):
            return bits.resize(value.bits, width, value.signed)
        if isinstance(value, (Opaque, Function)):
            return self._widened(value, width)
        raise Unsupported(node, "a pointer is stored into a word")

    def _note_store(self, lvalue: LValue, state: State, node: Node | None) -> None:
        """Remember a store to a role, or to a whole word of one."""
        cell = lvalue.cell
        if cell is None or cell.root.kind == "local" or not self._is_role(cell.path[-1:]):
            return
        if lvalue.width < ROLE_WORD and lvalue.width < lvalue.cell_width:
            return
        place = self.place(node) if node is not None else self._spot()
        entered = self._frames[-1].entered
        self.out.stores.append(
            RoleStore(Loc(cell.root, cell.path[:-1]), place, self._absolute(state), entered)
        )

    def _note_role(self, cell: Loc, lvalue: LValue) -> None:
        """Remember a role of a context that is read as it was before the run."""
        for position, name in enumerate(lvalue.loc.path[: len(cell.path)]):
            if position == len(cell.path) - 1 and self._is_role((name,)):
                self._role_symbols[str(cell)] = str(cell)

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
        target = self._whole(Loc(Root(name, "global")), base.type)
        with self._unit(Unit(definition.file, definition.line)):
            self._frames.append(Frame(definition, {}, 0))
            try:
                self._initialise(target, value_node, scratch)
            except Unsupported:
                return None
            finally:
                self._frames.pop()
        for where, value in scratch.memory.items():
            state.memory.setdefault(where, value)
        return state.memory.get(loc)

    # -- statements ----------------------------------------------------------------------

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
            if kind.startswith("preproc_"):
                raise Unsupported(node, "a preprocessor line inside a function")
            raise Unsupported(node, f"{kind.replace('_', ' ')} is not understood")
        except Unsupported as problem:
            return self._unsupported(node, state, problem)

    def _unsupported(self, node: Node, state: State, problem: Unsupported) -> State | None:
        """Go on behind a statement that was not understood, forgetting what it may set."""
        function = self._frames[-1].function
        leaves = _leaves(node)
        if leaves and len(self._frames) > 1 and not self.effects.reaches(function.name, function):
            raise problem  # the whole call is then a value that is not understood
        if leaves or self.effects.touches(node.text or b"", function):
            self._spoil(problem, state)
            return state
        self._forget(node, state, problem)
        return state

    def _forget(self, node: Node, state: State, problem: Unsupported) -> None:
        """Make the variables that a statement mentions opaque."""
        frame = self._frames[-1]
        for name in dict.fromkeys(re.findall(r"[A-Za-z_]\w*", text(node))):
            lvalue = frame.variables.get(name)
            if lvalue is None:
                continue
            if not _may_set(name, text(node)):
                continue
            for loc in [loc for loc in state.memory if loc.within(lvalue.loc)]:
                state.memory[loc] = self.opaque(problem.node or node, problem.reason)
            if isinstance(lvalue.type, (IntType, PointerType)):
                state.memory[lvalue.loc] = self.opaque(problem.node or node, problem.reason)

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
        static = any(
            child.type == "storage_class_specifier" and text(child) == "static"
            for child in node.children
        )
        base = base_type(self.types, type_node, self._here)
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
                if isinstance(ctype, (IntType, PointerType)):
                    state.memory[lvalue.loc] = self.opaque(
                        problem.node or value, problem.reason, problem.missing
                    )
                elif lvalue.cell is not None:
                    state.memory[lvalue.cell] = self.opaque(
                        problem.node or value, problem.reason, problem.missing
                    )
                else:
                    raise
        return state

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
                for designator in child.children_by_field_name("designator"):
                    if designator.type == "field_designator":
                        name = text(designator).lstrip(".")
                        inner_target = self._member(inner_target, name, designator)
                    else:
                        index_node = designator.named_children[0]
                        number = self._constant(self._value(index_node, state), index_node)
                        inner_target = self._element(inner_target, number, designator)
                value = child.child_by_field_name("value")
                if value is not None:
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
        elif isinstance(target.type, (IntType, PointerType)):
            width = target.type.width if isinstance(target.type, IntType) else 64
            state.memory[target.loc] = Int(bits.constant(width, 0))

    def _element(self, base: LValue, number: int, node: Node) -> LValue:
        if not isinstance(base.type, ArrayType):
            raise Unsupported(node, "something that is no array is indexed")
        loc = base.loc.member(f"[{number}]")
        return self._whole(loc, base.type.element)

    def _expression_statement(self, node: Node, state: State) -> State | None:
        for child in node.named_children:
            if child.type == "comment":
                continue
            if child.type == "call_expression":
                self._call(child, state, needed=False)
            else:
                self._value(child, state, needed=False)
        return state

    def _if(self, node: Node, state: State) -> State | None:
        condition_node = node.child_by_field_name("condition")
        consequence = node.child_by_field_name("consequence")
        alternative = node.child_by_field_name("alternative")
        assert condition_node is not None and consequence is not None
        condition = self._branch(condition_node, state)
        if alternative is not None and alternative.type == "else_clause":
            named = [n for n in alternative.named_children if n.type != "comment"]
            alternative = named[0] if named else None
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

    def _return(self, node: Node, state: State) -> State | None:
        values = [n for n in node.named_children if n.type != "comment"]
        result = self._frames[-1].result
        value: Value | None = None
        if values:
            try:
                value = self._value(values[0], state)
                if not isinstance(result, VoidType):
                    value = self._convert(value, result, node)
            except Unsupported as problem:
                if self.effects.touches(node.text or b"", self._frames[-1].function):
                    self._spoil(problem, state)
                value = self.opaque(problem.node or node, problem.reason, problem.missing)
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
            if any(n.type == "..." for n in case.children):
                raise Unsupported(case, "a range of case values")
            value = self._value(value_node, state)
            hit = self._guarded(self._compare_equal(subject, value, case), value_node, state)
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

    def _loop(self, node: Node, state: State) -> State | None:
        frame = self._frames[-1]
        outer = dict(frame.variables)
        initial = node.child_by_field_name("initializer")
        condition_node = node.child_by_field_name("condition")
        update = node.child_by_field_name("update")
        body = node.child_by_field_name("body")
        assert body is not None
        if initial is not None:
            if initial.type == "declaration":
                self._statement(initial, state)
            else:
                self._value(initial, state, needed=False)
        ends: list[State] = []
        current = state
        first = node.type != "do_statement"
        for _ in range(MAX_TURNS):
            if first and condition_node is not None:
                go = self._truth(self._value(condition_node, current), condition_node)
                if not isinstance(go, bool):
                    raise Unsupported(
                        condition_node, "a loop whose number of turns is not constant"
                    )
                if not go:
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
        frame.variables = outer
        if not ends:
            return None
        state.become(self._merge(ends))
        return state

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
        name_node = node.child_by_field_name("name") or node.child_by_field_name("condition")
        alternative = node.child_by_field_name("alternative")
        option = self._option(text(name_node) if name_node is not None else "?")
        if node.type == "preproc_ifdef" and node.children[0].type == "#ifndef":
            option = bits.negate(option)
        skip = {n.id for n in (name_node, alternative) if n is not None}
        yes: State | None = state.fork(option)
        for child in node.named_children:
            if child.id not in skip and yes is not None:
                yes = self._statement(child, yes)
        no: State | None = state.fork(bits.negate(option))
        if alternative is not None:
            if alternative.type != "preproc_else":
                raise Unsupported(alternative, "#elif inside a function")
            for child in alternative.named_children:
                if no is not None:
                    no = self._statement(child, no)
        live = [one for one in (yes, no) if one is not None]
        if not live:
            return None
        state.become(self._merge(live))
        return state

    def _option(self, name: str) -> Cond:
        """Return the constant that a build option is."""
        match = re.fullmatch(r"\s*(!?)\s*(?:defined|IS_ENABLED)?\s*\(?\s*(\w+)\s*\)?\s*", name)
        if match is None:
            raise Unsupported(None, f"#if {name} is not understood")
        symbol = match.group(2)
        self.out.globals.setdefault(symbol, self._spot())
        value = bits.bit(symbol, 0)
        return bits.negate(value) if match.group(1) else value

    # -- branches and guards -----------------------------------------------------------------

    def _branch(self, node: Node, state: State) -> Cond:
        """Return the condition of a branch; a guard becomes a free boolean."""
        return self._guarded(self._truth(self._value(node, state), node), node, state)

    def _guarded(self, condition: Cond, node: Node, state: State) -> Cond:
        """Return a condition that is branched on, as a free boolean where it compares roles."""
        if isinstance(condition, bool):
            return condition
        names = bits.symbols([condition])
        compared = sorted(n for n in names if n in self._comparisons)
        if not compared:
            self._suspect(condition, node, state)
            return condition
        used = tuple(self._comparisons[n] for n in compared)
        meaning = self.expand_comparisons(condition)
        inverted = condition.op == "not"
        positive = condition.args[0] if inverted else condition
        if inverted:
            meaning = bits.negate(meaning)
        symbol = self._guards_by_term.get(positive)
        if symbol is None:
            symbol = self._guards_by_term[positive] = f"guard!{len(self.out.guards)}"
            calls = tuple(frame.function.name for frame in self._frames)
            path, place = self._absolute(state), self.place(node)
            differing = bits.substitute(positive, {bits.variable(n): False for n in compared})
            skips = None if isinstance(differing, Term) else not differing
            self.out.guards.append(
                Guard(symbol, meaning, used[0].context, used, path, place, calls, skips)
            )
        guard = bits.variable(symbol)
        return bits.negate(guard) if inverted else guard

    def expand_comparisons(self, condition: Cond) -> Cond:
        """Replace the symbols of comparisons by what they stand for."""
        known = {bits.variable(n): c.meaning for n, c in self._comparisons.items()}
        return bits.substitute(condition, known)

    def _suspect(self, condition: Cond, node: Node, state: State) -> None:
        """A branch on a stored role that no query knows spoils its paths."""
        if isinstance(condition, bool) or not self._role_symbols:
            return
        for name in sorted(condition.symbols):
            holder = name.rpartition("#")[0]
            known = self._role_symbols.get(holder)
            if known is not None:
                reason = f"a branch depends on {known} by a comparison that no query recognises"
                self._spoil(Unsupported(node, reason), state)
                return

    def _taint(self, result: Opaque, arguments: Iterable[Value]) -> Opaque:
        """Remember that an unknown value was computed from a stored role."""
        for value in arguments:
            if isinstance(value, Pointer) and self._leads_to_role(value):
                self._role_symbols[result.name] = str(value.target)
            elif isinstance(value, Int):
                for name in sorted(value.bits.symbols):
                    known = self._role_symbols.get(name.rpartition("#")[0])
                    if known is not None:
                        self._role_symbols[result.name] = known
            elif isinstance(value, Opaque) and value.name in self._role_symbols:
                self._role_symbols[result.name] = self._role_symbols[value.name]
        return result

    def _leads_to_role(self, pointer: Pointer) -> bool:
        """Tell whether a pointer is to a context or to a role of one."""
        if pointer.target.root.kind == "local":
            return False
        record = pointer.type
        if isinstance(record, RecordType) and record.tag in self.shape.contexts:
            return True
        return self._is_role(pointer.target.path)

    def _is_role(self, path: tuple[str, ...]) -> bool:
        """Tell whether an access path leads to a role of a context, or into one."""
        return any(name in roles for roles in self.shape.contexts.values() for name in path)

    def _compared_role(self, node: Node, operands: Iterable[Node], state: State) -> LValue | None:
        """Return the stored role that a recognised comparison reads, if it is one."""
        if node.start_byte not in self._sites_here():
            return None
        for operand in operands:
            if operand.type != "field_expression":
                continue
            lvalue = self._lvalue(operand, state)
            path = lvalue.loc.path if lvalue.cell is None else lvalue.cell.path
            if path and any(path[-1] in roles for roles in self.shape.contexts.values()):
                return lvalue
        return None

    def _sites_here(self) -> frozenset[int]:
        function = self._frames[-1].function
        if self._units[-1].file != function.file:
            return frozenset()
        key = function.key
        if key not in self._sites:
            root = self.index.node(function)
            found: set[int] = set()
            for match in syntax.matches("role_guard", root):
                found.update(n.start_byte for n in match.get("guard.comparison", ()))
            self._sites[key] = frozenset(found)
        return self._sites[key]

    # -- expressions ---------------------------------------------------------------------------

    def _value(self, node: Node, state: State, needed: bool = True) -> Value:
        self._step(node)
        handler = self._EXPRESSIONS.get(node.type)
        if handler is None:
            raise Unsupported(node, f"{node.type.replace('_', ' ')} is not understood")
        return handler(self, node, state)

    def _parenthesised(self, node: Node, state: State) -> Value:
        inner = [n for n in node.named_children if n.type != "comment"]
        if len(inner) == 1:
            if inner[0].type == "compound_statement":
                return self._statement_expression(inner[0], state)
            return self._value(inner[0], state)
        raise Unsupported(node, "an expression in parentheses is not understood")

    def _statement_expression(self, node: Node, state: State) -> Value:
        children = [n for n in node.named_children if n.type != "comment"]
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
        match = re.fullmatch(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)([uUlL]*)", word)
        if match is None:
            raise Unsupported(node, f"the number {word} is not understood")
        digits, suffix = match.group(1), match.group(2).lower()
        octal = digits.startswith("0") and len(digits) > 1 and digits[1].isdigit()
        value = int(digits, 8) if octal else int(digits, 0)
        wide = (
            "l" in suffix
            or value >= 1 << 32
            or ("u" not in suffix and value >= 1 << 31 and digits.isdigit())
        )
        unsigned = "u" in suffix or (not digits.isdigit() and value >= 1 << (63 if wide else 31))
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

    def _identifier(self, node: Node, state: State) -> Value:
        name = text(node)
        if name in self._frames[-1].variables:
            return self._load(self._frames[-1].variables[name], state, node)
        if name == "NULL":
            return self._null(node, state)
        if name in ("true", "false"):
            return Int(bits.constant(32, int(name == "true")), True)
        constant = self._constants.get((name, self._here))
        if constant is not None:
            self.out.consulted.update(constant[1])
            return constant[0]
        if not name.isupper() and self.index.visible(name, self._here):
            return Function(name)
        for here in self._places_to_look():
            macro = self._chosen(self.index.macros(name, here))
            if macro is not None and macro.parameters is None and macro.key not in self._expanding:
                return self._remembered(name, partial(self._macro_value, macro, None, node, state))
            enumeration = self.index.enumerator(name, here)
            if enumeration is not None:
                return self._remembered(
                    name, partial(self._enumerator, enumeration, name, node, state)
                )
        if self.index.functions(name, self._here):
            return Function(name)
        lvalue = self._object(name, node)
        if lvalue is not None:
            return self._load(lvalue, state, node)
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

    def _unit_of(self, function: Definition) -> str:
        return function.file if function.file.endswith(".c") or not self._frames else self._here

    @property
    def _here(self) -> str:
        """The translation unit at hand: the nearest C file on the way."""
        for frame in reversed(self._frames):
            if frame.function.file.endswith(".c"):
                return frame.function.file
        return self._units[-1].file

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
                for item in syntax.captures("enumerator", root).get("enumerator", ()):
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
            self._macros[key] = syntax.parse(f"int x = ({body});".encode())
        root = self._macros[key]
        holder = next((n for n in root.named_children if n.type == "declaration"), None)
        declarator = holder.child_by_field_name("declarator") if holder is not None else None
        value = declarator.child_by_field_name("value") if declarator is not None else None
        if root.has_error or value is None:
            raise Unsupported(node, f"the macro {macro.name} is not an expression")
        if self._units and len(self._units) > 4 * MAX_DEPTH:
            raise Unsupported(node, f"the macro {macro.name} is nested too deep")
        self._expanding.add(macro.key)
        try:
            with self._unit(Unit(macro.file, macro.line, True)):
                return self._value(value, state)
        finally:
            self._expanding.discard(macro.key)

    def _unary(self, node: Node, state: State) -> Value:
        operator = text(node.child_by_field_name("operator"))  # type: ignore[arg-type]
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
            return self._arithmetic("-", zero, number, node)
        raise Unsupported(node, f"the operator {operator} is not understood")

    def _pointer_expression(self, node: Node, state: State) -> Value:
        operand = node.child_by_field_name("argument")
        assert operand is not None
        if text(node.child_by_field_name("operator")) == "&":  # type: ignore[arg-type]
            if operand.type == "identifier" and text(operand) not in self._frames[-1].variables:
                if self.index.functions(text(operand), self._here):
                    return Function(text(operand))
            lvalue = self._lvalue(operand, state)
            return Pointer(lvalue.loc, lvalue.type, lvalue)
        return self._load(self._lvalue(node, state), state, node)

    def _binary(self, node: Node, state: State) -> Value:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = text(node.child_by_field_name("operator"))  # type: ignore[arg-type]
        assert left is not None and right is not None
        if operator in ("&&", "||"):
            return Int(bits.from_cond(self._short_circuit(operator, left, right, state), 32), True)
        a, b = self._value(left, state), self._value(right, state)
        if operator in ("==", "!="):
            equal = self._compare_equal(a, b, node)
            role = self._compared_role(node, (left, right), state)
            if role is not None and not isinstance(equal, bool):
                equal = self._compared(node, equal, role, left, a, b)
            return Int(bits.from_cond(equal if operator == "==" else bits.negate(equal), 32), True)
        x, y = self._as_int(a, left), self._as_int(b, right)
        if operator in ("<<", ">>"):
            return self._shift(operator, self._promote(x), y, node)
        x, y = self._balanced(x, y)
        if operator in ("<", ">", "<=", ">="):
            return Int(bits.from_cond(self._ordered(operator, x, y), 32), True)
        return self._arithmetic(operator, x, y, node)

    def _compared(
        self, node: Node, equal: Cond, role: LValue, left: Node, a: Value, b: Value
    ) -> Cond:
        """Give a recognised comparison of a stored role a symbol of its own."""
        cell = role.cell or role.loc
        if str(cell) not in self._role_symbols:
            return equal
        names = bits.symbols([equal])
        if not any(n.rpartition("#")[0] == str(cell) for n in names):
            return equal
        symbol = f"eq!{len(self._comparisons)}"
        first = (
            left.type == "field_expression"
            and isinstance(a, Int)
            and self._reads(a.bits, str(cell))
        )
        fresh = b if first else a
        new = self._as_int(fresh, node).bits
        context = Loc(cell.root, cell.path[:-1])
        self._comparisons[symbol] = Comparison(symbol, equal, context, cell.path[-1], new, role.low)
        return bits.variable(symbol)

    def _reads(self, value: Bits, holder: str) -> bool:
        """Tell whether a value is made of the bits of a stored role alone."""
        return all(
            (isinstance(atom, tuple) and atom[0] == holder) or isinstance(atom, int)
            for _, atom in value.pieces
        )

    def _short_circuit(self, operator: str, left: Node, right: Node, state: State) -> Cond:
        a = self._truth(self._value(left, state), left)
        stop = operator == "||"
        if isinstance(a, bool):
            if a == stop:
                return stop
            return self._truth(self._value(right, state), right)
        if not _has_effects(right):
            b = self._truth(self._value(right, state), right)
        else:
            self._suspect(a, left, state)
            going = state.fork(bits.negate(a) if stop else a)
            staying = state.fork(a if stop else bits.negate(a))
            b = self._truth(self._value(right, going), right)
            if going.memory != staying.memory:
                state.become(self._merge([going, staying]))
        return bits.either(a, b) if stop else bits.both(a, b)

    def _conditional(self, node: Node, state: State) -> Value:
        condition_node = node.child_by_field_name("condition")
        consequence = node.child_by_field_name("consequence")
        alternative = node.child_by_field_name("alternative")
        assert condition_node is not None and alternative is not None
        condition = self._branch(condition_node, state)
        if consequence is None:
            consequence = condition_node
        if isinstance(condition, bool):
            return self._value(consequence if condition else alternative, state)
        yes, no = state.fork(condition), state.fork(bits.negate(condition))
        a, b = self._value(consequence, yes), self._value(alternative, no)
        if yes.memory != no.memory:
            state.become(self._merge([yes, no]))
        if isinstance(a, Int) and isinstance(b, Int):
            a, b = self._balanced(a, b)
        return self._choose(condition, a, b)

    def _assignment(self, node: Node, state: State) -> Value:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = text(node.child_by_field_name("operator"))  # type: ignore[arg-type]
        assert left is not None and right is not None
        lvalue = self._lvalue(left, state)
        if operator == "=":
            if right.type in ("initializer_list", "compound_literal_expression"):
                self._initialise(lvalue, right, state)
                return self._load(lvalue, state, left)
            value = self._value(right, state)
        else:
            a = self._as_int(self._load(lvalue, state, left), left)
            b = self._as_int(self._value(right, state), right)
            name = operator[:-1]
            if name in ("<<", ">>"):
                value = self._shift(name, self._promote(a), b, node)
            else:
                a, b = self._balanced(a, b)
                value = self._arithmetic(name, a, b, node)
        self._store(lvalue, value, state, node)
        return value

    def _update(self, node: Node, state: State) -> Value:
        operand = node.child_by_field_name("argument")
        operator = text(node.child_by_field_name("operator"))  # type: ignore[arg-type]
        assert operand is not None
        lvalue = self._lvalue(operand, state)
        old = self._as_int(self._load(lvalue, state, operand), operand)
        one = Int(bits.constant(old.bits.width, 1), old.signed)
        new = self._arithmetic(operator[0], old, one, node)
        self._store(lvalue, new, state, node)
        return new if node.children[0].type in ("++", "--") else old

    def _field(self, node: Node, state: State) -> Value:
        return self._load(self._lvalue(node, state), state, node)

    def _subscript(self, node: Node, state: State) -> Value:
        return self._load(self._lvalue(node, state), state, node)

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
            if isinstance(value, Pointer):
                target = settled(ctype.target)
                if value.lvalue is not None and _same_size(value.lvalue.type, target):
                    return Pointer(value.target, value.lvalue.type, value.lvalue)
                return Pointer(value.target, target, None)
            return value
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

    def _sizeof(self, node: Node, state: State) -> Value:
        described = node.child_by_field_name("type")
        ctype: CType = UnknownType("")
        if described is not None:
            ctype = self._described(described)
        else:
            value = node.child_by_field_name("value")
            if value is not None:
                inner = (
                    value.named_children[0] if value.type == "parenthesized_expression" else value
                )
                ctype = self._lvalue(inner, state).type
        size = (
            ctype.width
            if isinstance(ctype, IntType)
            else ctype.size
            if isinstance(ctype, RecordType)
            else None
        )
        if isinstance(ctype, PointerType):
            size = 64
        if size is None:
            return self.opaque(node, "the size of a type is not known")
        return Int(bits.constant(64, size // 8))

    def _literal(self, node: Node, state: State) -> Value:
        type_node, value = node.child_by_field_name("type"), node.child_by_field_name("value")
        assert type_node is not None and value is not None
        self._numbers += 1
        target = self._whole(
            Loc(Root(f"literal.{self._numbers}", "local")), self._described(type_node)
        )
        self._initialise(target, value, state)
        return self._load(target, state, node)

    def _comma(self, node: Node, state: State) -> Value:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        assert left is not None and right is not None
        self._value(left, state, needed=False)
        return self._value(right, state)

    # -- lvalues -------------------------------------------------------------------------------

    def _lvalue(self, node: Node, state: State) -> LValue:
        kind = node.type
        if kind == "parenthesized_expression":
            inner = [n for n in node.named_children if n.type != "comment"]
            return self._lvalue(inner[0], state)
        if kind == "identifier":
            name = text(node)
            known = self._frames[-1].variables.get(name)
            if known is not None:
                return known
            found = self._object(name, node)
            if found is None:
                raise Unsupported(node, f"the definition of {name} was not found", missing=True)
            return found
        if kind == "field_expression":
            base = node.child_by_field_name("argument")
            member = node.child_by_field_name("field")
            assert base is not None and member is not None
            if text(node.child_by_field_name("operator")) == "->":  # type: ignore[arg-type]
                holder = self._deref(self._value(base, state), base)
            elif base.type in ("call_expression", "statement_expression"):
                return self._temporary(base, state, member)
            else:
                holder = self._lvalue(base, state)
            return self._member(holder, text(member), node)
        if kind == "pointer_expression":
            operand = node.child_by_field_name("argument")
            assert operand is not None
            return self._deref(self._value(operand, state), node)
        if kind == "subscript_expression":
            base = node.child_by_field_name("argument")
            index_node = node.child_by_field_name("index")
            assert base is not None and index_node is not None
            array = self._lvalue(base, state)
            number = self._as_int(self._value(index_node, state), index_node).bits.value
            if number is None:
                raise Unsupported(node, "an array is indexed by something that is not constant")
            if isinstance(array.type, PointerType):
                held = self._load(array, state, base)
                if not isinstance(held, Pointer):
                    raise Unsupported(node, "a pointer of unknown target is indexed")
                if isinstance(held.type, ArrayType):
                    array = LValue(held.target, held.type)
                else:
                    array = LValue(held.target, ArrayType(held.type, None))
            return self._element(array, number, node)
        if kind == "call_expression":
            value = self._call(node, state, needed=True)
            return self._spill(value, node, state)
        raise Unsupported(node, f"{kind.replace('_', ' ')} is not an object")

    def _temporary(self, node: Node, state: State, member: Node) -> LValue:
        return self._member(
            self._spill(self._value(node, state), node, state), text(member), member
        )

    def _spill(self, value: Value, node: Node, state: State) -> LValue:
        """Put a record value where its members can be taken from."""
        self._numbers += 1
        loc = Loc(Root(f"value.{self._numbers}", "local"))
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
            if value.lvalue is not None:
                return value.lvalue
            if isinstance(value.type, VoidType):
                raise Unsupported(node, "a pointer to void is followed")
            return self._whole(value.target, value.type)
        raise Unsupported(node, "a pointer of unknown target is followed")

    # -- conversions ---------------------------------------------------------------------------

    def _as_int(self, value: Value, node: Node | None) -> Int:
        if isinstance(value, Int):
            return value
        if isinstance(value, (Opaque, Function)):
            return Int(self._widened(value, 64))
        if isinstance(value, Pointer):
            return Int(bits.symbol(64, f"&{value.target}"))
        raise Unsupported(node, "a record is used as a number")

    def _constant(self, value: Value, node: Node) -> int:
        number = self._as_int(value, node)
        plain = number.bits.value
        if plain is None:
            raise Unsupported(node, "a constant is expected here")
        if number.signed and plain >> (number.bits.width - 1):
            plain -= 1 << number.bits.width
        return plain

    def _promote(self, value: Int) -> Int:
        if value.bits.width < 32:
            return Int(bits.resize(value.bits, 32, value.signed), True)
        return value

    def _balanced(self, a: Int, b: Int) -> tuple[Int, Int]:
        """Apply the usual arithmetic conversions."""
        a, b = self._promote(a), self._promote(b)
        width = max(a.bits.width, b.bits.width)
        unsigned = any(not x.signed and x.bits.width == width for x in (a, b))
        return tuple(  # type: ignore[return-value]
            Int(bits.resize(x.bits, width, x.signed), not unsigned) for x in (a, b)
        )

    def _convert(self, value: Value, ctype: CType, node: Node | None) -> Value:
        if isinstance(ctype, IntType):
            if ctype.boolean:
                return Int(bits.from_cond(self._truth(value, node), 8))
            number = self._as_int(value, node)
            return Int(bits.resize(number.bits, ctype.width, number.signed), ctype.signed)
        return value

    def _truth(self, value: Value, node: Node | None) -> Cond:
        if isinstance(value, Int):
            return bits.nonzero(value.bits)
        if isinstance(value, Function):
            return True
        if isinstance(value, Opaque):
            return bits.bit(value.name, 0)
        if isinstance(value, Pointer):
            if value.target.root.kind != "pointee" or value.target.path:
                return True
            symbol = f"{value.target.root.name} != NULL"
            self.out.reads.setdefault(symbol, (self._spot(), 1))
            return bits.bit(symbol, 0)
        raise Unsupported(node, "a record is used as a condition")

    def _compare_equal(self, a: Value, b: Value, node: Node) -> Cond:
        if isinstance(a, Pointer) and isinstance(b, Pointer):
            if a.target == b.target:
                return True
            roots = (a.target.root.kind, b.target.root.kind)
            if "local" in roots:
                return False
            symbol = f"{_address_text(a)} == {_address_text(b)}"
            self.out.reads.setdefault(symbol, (self._spot(), 1))
            return bits.bit(symbol, 0)
        for x, y in ((a, b), (b, a)):
            if isinstance(x, Pointer) and isinstance(y, Int) and y.bits.value == 0:
                return bits.negate(self._truth(x, node))
        if isinstance(a, Record) or isinstance(b, Record):
            raise Unsupported(node, "records are compared")
        x, y = self._balanced(self._as_int(a, node), self._as_int(b, node))
        return bits.equal(x.bits, y.bits)

    # -- arithmetic ----------------------------------------------------------------------------

    def _ordered(self, operator: str, a: Int, b: Int) -> Cond:
        signed = a.signed and b.signed
        x, y = a.bits.value, b.bits.value
        if x is not None and y is not None:
            if signed:
                width = a.bits.width
                x, y = (v - (1 << width) if v >> (width - 1) else v for v in (x, y))
            return {"<": x < y, ">": x > y, "<=": x <= y, ">=": x >= y}[operator]
        left, right = (a, b) if operator in ("<", ">=") else (b, a)
        less = bits.below(left.bits, right.bits, signed)
        return less if operator in ("<", ">") else bits.negate(less)

    def _arithmetic(self, operator: str, a: Int, b: Int, node: Node) -> Int:
        signed = a.signed and b.signed
        width = a.bits.width
        if operator == "&":
            return Int(bits.bit_and(a.bits, b.bits), signed)
        if operator == "|":
            return Int(bits.bit_or(a.bits, b.bits), signed)
        if operator == "^":
            return Int(bits.bit_xor(a.bits, b.bits), signed)
        x, y = a.bits.value, b.bits.value
        if x is not None and y is not None:
            if signed:
                x, y = (v - (1 << width) if v >> (width - 1) else v for v in (x, y))
            if operator in ("/", "%"):
                if y == 0:
                    raise Unsupported(node, "a division by zero")
                quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
                result = quotient if operator == "/" else x - quotient * y
            elif operator in ("+", "-", "*"):
                result = {"+": x + y, "-": x - y, "*": x * y}[operator]
            else:
                raise Unsupported(node, f"the operator {operator} is not understood")
            return Int(bits.constant(width, result), signed)
        if operator == "+":
            return Int(bits.add(a.bits, b.bits), signed)
        if operator == "-":
            return Int(bits.subtract(a.bits, b.bits), signed)
        if operator == "*" and (x is not None or y is not None):
            factor, open_side = (x, b) if x is not None else (y, a)
            assert factor is not None
            return Int(bits.multiply(open_side.bits, factor), signed)
        raise Unsupported(node, f"{operator} of two values that are not constant")

    def _shift(self, operator: str, a: Int, b: Int, node: Node) -> Int:
        count = b.bits.value
        if count is not None:
            if operator == "<<":
                return Int(bits.shift_left(a.bits, count), a.signed)
            return Int(bits.shift_right(a.bits, count, a.signed), a.signed)
        result = a.bits
        for position, one in enumerate(
            b.bits.conditions()[: max(1, (a.bits.width - 1).bit_length())]
        ):
            if operator == "<<":
                moved = bits.shift_left(result, 1 << position)
            else:
                moved = bits.shift_right(result, 1 << position, a.signed)
            result = bits.choose(one, moved, result)
        return Int(result, a.signed)

    # -- calls ---------------------------------------------------------------------------------

    def _call_value(self, node: Node, state: State) -> Value:
        return self._call(node, state, needed=True)

    def _call(self, node: Node, state: State, needed: bool) -> Value:
        callee = node.child_by_field_name("function")
        listed = node.child_by_field_name("arguments")
        assert callee is not None and listed is not None
        arguments = [n for n in listed.named_children if n.type != "comment"]
        while callee.type == "parenthesized_expression" and len(callee.named_children) == 1:
            callee = callee.named_children[0]
        if callee.type != "identifier":
            return self._indirect(node, callee, arguments, state, needed)
        name = text(callee)
        if name in self._frames[-1].variables:
            held = self._load(self._frames[-1].variables[name], state, callee)
            if isinstance(held, Function):
                return self._direct(held.name, node, arguments, state, needed)
            return self._unknown_call(
                node, f"{name} is called, a pointer of unknown target", arguments, state
            )
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
        if _WARN.fullmatch(name) and arguments:
            return Int(
                bits.from_cond(self._truth(self._value(arguments[0], state), node), 32), True
            )
        if _SILENT.fullmatch(name):
            return zero
        if name in _EXTREMA and len(arguments) >= 2:
            return self._extremum(name, node, arguments, state)
        if name == "WRITE_ONCE" and len(arguments) == 2:
            target = self._lvalue(arguments[0], state)
            self._store(target, self._value(arguments[1], state), state, node)
            return zero
        if name == "container_of" and len(arguments) == 3:
            return self._container(node, arguments, state)
        if name in ("IS_ENABLED", "IS_BUILTIN", "IS_REACHABLE") and arguments:
            from .index import evaluate_condition

            option = text(arguments[0])
            known = evaluate_condition("ifdef", option)
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
            target = self._deref(self._value(arguments[0], state), node)
            source = self._deref(self._value(arguments[1], state), node)
            if _same_size(target.type, source.type):
                self._store(target, self._load(source, state, node), state, node)
                return zero
            raise Unsupported(node, "memcpy() between different types")
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
        less = self._ordered("<", a, b)
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
        name = f"container_of({_address_text(inner)}, struct {tag.split()[-1]}, {member})"
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
                and text(inner) in ("static_call", "kvm_x86_call", "static_call_cond")
            ):
                name = text(listed.named_children[0])
                return self._operation(
                    re.sub(r"^kvm_x86_", "", name), node, arguments, state, needed
                )
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
        return self._unknown_call(
            node, f"{text(callee)} is called, a pointer of unknown target", arguments, state
        )

    def _operation(
        self, name: str, node: Node, arguments: list[Node], state: State, needed: bool
    ) -> Value:
        """Call a vendor operation: every function that a table gives this member."""
        candidates = self.effects.operations(name)
        values = [self._value(a, state) for a in arguments]
        if not needed and not any(self.effects.reaches(f, d) for f, d in candidates):
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
                value = self.opaque(node, f"{definition.name}(): {problem.reason}", problem.missing)
                trial = state.fork(True)
            if value is None:
                value = Int(bits.constant(32, 0))
            if result is None:
                result, chosen = value, trial
                continue
            symbol = f"{name} is {definition.name}"
            self.out.globals.setdefault(symbol, self._spot())
            which = bits.bit(symbol, number)
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
        for value in values:
            if isinstance(value, Pointer) and value.target.root.kind == "local":
                for loc in [loc for loc in state.memory if loc.within(value.target)]:
                    state.memory[loc] = self._taint(self.opaque(node, reason, missing), values)
        return result

    def _direct(
        self, name: str, node: Node, arguments: list[Node], state: State, needed: bool
    ) -> Value:
        here = self._here
        functions = () if name.lstrip("_").isupper() else self.index.functions(name, here)
        if not functions:
            macro = next(
                (
                    m
                    for where in self._places_to_look()
                    if (m := self._chosen(self.index.macros(name, where)))
                ),
                None,
            )
            if macro is not None:
                return self._macro_call(macro, node, arguments, state, needed)
            reason = f"the definition of {name}() was not found"
            if not needed and any(self._reaches_context(a, state) for a in arguments):
                self._spoil(Unsupported(node, reason), state)
            return self._unknown_call(node, reason, arguments, state, missing=True)
        if not needed and not any(self.effects.reaches(name, d) for d in functions):
            if not any(self._is_local_address(a, state) for a in arguments):
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
                value = self._taint(
                    self.opaque(node, f"{name}(): {problem.reason}", problem.missing), values
                )
                for one in values:
                    if isinstance(one, Pointer) and one.target.root.kind == "local":
                        for loc in [loc for loc in trial.memory if loc.within(one.target)]:
                            trial.memory[loc] = value
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
                else bits.bit(f"{name}?", 0)
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

    def _is_local_address(self, node: Node, state: State) -> bool:
        if node.type not in ("pointer_expression", "identifier"):
            return False
        try:
            value = self._value(node, state)
        except Unsupported:
            return False
        return isinstance(value, Pointer) and value.target.root.kind == "local"

    def _macro_call(
        self, macro: Definition, node: Node, arguments: list[Node], state: State, needed: bool
    ) -> Value:
        if macro.parameters is None:
            target = macro.text.decode("utf-8", "replace").strip()
            if re.fullmatch(r"\w+", target) and target != macro.name:
                self._consult("macro", macro)
                return self._direct(target, node, arguments, state, needed)
            raise Unsupported(node, f"{macro.name} is called and is no function")
        if re.search(rb"^\s*do\b", macro.text) and not self.effects.touches(
            macro.text, self._frames[-1].function
        ):
            return Int(bits.constant(32, 0))
        return self._macro_value(macro, [text(a) for a in arguments], node, state)

    _STATEMENTS: ClassVar[dict[str, Callable[[Lowering, Node, State], State | None]]] = {
        "compound_statement": _compound,
        "declaration": _declaration,
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
    }

    _EXPRESSIONS: ClassVar[dict[str, Callable[[Lowering, Node, State], Value]]] = {
        "parenthesized_expression": _parenthesised,
        "number_literal": _number,
        "char_literal": _character,
        "true": _truth_literal,
        "false": _truth_literal,
        "null": _null,
        "string_literal": _string,
        "concatenated_string": _string,
        "identifier": _identifier,
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
        "compound_literal_expression": _literal,
        "comma_expression": _comma,
        "call_expression": _call_value,
    }


def _leaves(node: Node) -> bool:
    """Tell whether a statement may go on elsewhere than behind it."""
    if node.type in ("return_statement", "goto_statement"):
        return True
    return any(map(_leaves, node.children))


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


def _has_effects(node: Node) -> bool:
    """Tell whether evaluating an expression may change memory."""
    if node.type in ("call_expression", "assignment_expression", "update_expression"):
        return True
    return any(_has_effects(child) for child in node.named_children)


def _holds_label(node: Node) -> bool:
    if node.type == "labeled_statement":
        return True
    return any(_holds_label(child) for child in node.named_children)


def _may_set(name: str, source: str) -> bool:
    """Tell whether a statement may set a variable: assigned, or its address taken."""
    return (
        re.search(
            rf"\b{name}\b[\w.\[\]>-]*\s*(?:[-+|&^*/%]|<<|>>)?=(?!=)|&\s*{name}\b|\b{name}\s*(?:\+\+|--)|(?:\+\+|--)\s*{name}\b|\"[=+]",
            source,
        )
        is not None
    )


def _same_size(a: CType, b: CType) -> bool:
    if isinstance(a, IntType) and isinstance(b, IntType):
        return a.width == b.width
    return a == b and not isinstance(a, (UnknownType, VoidType))


def _address_text(pointer: Pointer) -> str:
    if not pointer.target.path and pointer.target.root.kind == "pointee":
        return pointer.target.root.name
    return f"&{pointer.target}"


__all__ = ["Comparison", "Guard", "Lowered", "Lowering", "RoleShape", "Trouble"]
