# SPDX-License-Identifier: GPL-2.0-only
"""Paths, memory and conversions of a symbolic run.

In: locations with their C types.  Out: values; a location that was never written holds
the symbol of its own name.  Every other room of ``lower`` stands on this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from patchtool.c.index import Index
from patchtool.c.layout import (
    ULONG,
    UNDECIDED,
    ArrayType,
    CType,
    IntType,
    PointerType,
    RecordType,
    Types,
    UnknownType,
    VoidType,
    holder_of,
    settled,
)
from patchtool.c.lower.records import (
    Comparison,
    Effects,
    Exhausted,
    Frame,
    Lowered,
    RoleShape,
    RoleStore,
    Trouble,
    Unit,
    Unsupported,
)
from patchtool.c.memory import (
    Choice,
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
    Unclear,
    Value,
)
from patchtool.c.scan import WORDS, Definition
from patchtool.c.syntax import Node
from patchtool.model import Consulted, Place
from patchtool.proof import bits
from patchtool.proof.bdd import Diagrams, Manager, TooLarge
from patchtool.proof.bits import Bits, Cond, Symbol, Term, Word
from patchtool.proof.solver import drawn

ROLE_WORD = 32
MAX_COPIED = 32
"""Elements of an array that are copied with the record that holds it."""
MAX_ASKED = 20_000
"""What diagrams may take to tell which turns of loops are possible; those of kernels take 800."""
MAX_STEPS = 60_000
"""Statements and expressions of one run; kernels take up to 40,000."""
STEPS_OF_CALL = 10
"""What entering a function counts for: calls that double are given up early."""

OTHER_VIEW = UnknownType("another view of an object")
"""The type behind a pointer to which an object was cast that is laid out otherwise."""


class Storage:
    """Memory and paths of one run."""

    def __init__(self, index: Index, types: Types, shape: RoleShape, effects: Effects) -> None:
        self.index = index
        self.types = types
        self.shape = shape
        self.effects = effects
        self._macros: dict[tuple[object, ...], Node | None] = {}
        self._bindings: dict[tuple[str, str, int], int] = {}
        self._enumerations: dict[tuple[str, str, int], dict[str, Value]] = {}
        self._expanding: set[tuple[str, str, int]] = set()
        self._constants: dict[tuple[str, str], tuple[Int, frozenset[Consulted], int]] = {}
        self._tristates: dict[str, bool] = {}
        self._function_numbers: dict[str, int] = {}
        self._suspected: set[tuple[str, ...]] = set()
        """Members used on both sides of a passed-over call that may set them: then unknown."""
        self._watched: set[tuple[str, ...]] = set()
        """Those of them that something depends on: calls that may set them are followed."""
        self._most_steps = MAX_STEPS
        self._worked = self._steps = 0

    def _begin(self, entry: Definition) -> None:
        """Forget the last run."""
        self.out = Lowered(entry, self._function_numbers)
        self._worked += self._steps
        self._steps = 0
        self._frames: list[Frame] = []
        self._units: list[Unit] = []
        self._numbers = 0
        self._base: list[Cond] = []
        self._guards_by_term: dict[Term, Symbol] = {}
        self._comparisons: dict[Symbol, Comparison] = {}
        self._compared_in: dict[Symbol, tuple[object, ...]] = {}
        """The calls that lead to each comparison: only there another one is the same guard."""
        self._role_words: dict[Word, str] = {}
        self._role_cells: dict[Word, Loc] = {}
        self._recognised: set[Word] = set()
        self._result: CType = VoidType()
        self._targets: dict[Word, tuple[Pointer, ...]] = {}
        self._marks: set[Loc] = set()
        self._escapes = False
        self._doubtful: dict[Word, tuple[str, ...]] = {}
        """What stands for a member behind a call that may have set it."""
        self._touched: dict[Loc, tuple[int, int]] = {}
        self._possible = Manager()
        """The diagrams of what is asked on the way, and what all of those have taken."""

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

    def place(self, node: Node | Place) -> Place:
        """Return where a node of the text at hand stands."""
        if isinstance(node, Place):
            return node
        start = self.out.start
        unit = self._units[-1] if self._units else Unit(start.file, start.line, True)
        name = self._frames[-1].function.name if self._frames else start.name
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

    def opaque(self, node: Node | Place | None, reason: str, missing: bool = False) -> Opaque:
        """Return a new value that is not understood."""
        place = self.place(node) if node is not None else self._spot()
        return Opaque(self.out.unclear(Unclear(place, reason, missing)))

    # -- what may be written unseen -----------------------------------------------------------

    def _pointers(self, values: Iterable[Value]) -> Iterator[Pointer]:
        """Yield the pointers that values hold, or may have been made of."""
        for value in values:
            if isinstance(value, Pointer):
                yield value
            elif isinstance(value, Record):
                yield from self._pointers(one for _, one in value.cells)
            elif isinstance(value, Opaque):
                yield from self._targets.get(value.word, ())
            elif isinstance(value, Int) and self._targets:
                for word in {symbol.word for symbol in value.bits.symbols}:
                    yield from self._targets.get(word, ())

    def _within_reach(self, values: Iterable[Value], state: State) -> list[Pointer]:
        """Return all pointers that are found from values on, through the locals they lead to."""
        found: dict[tuple[Loc, int], Pointer] = {}
        roots: set[Root] = set()
        todo = list(self._pointers(values))
        while todo:
            pointer = todo.pop()
            found.setdefault((pointer.target, id(pointer.type)), pointer)
            root = pointer.target.root
            if root.kind == "local" and root not in roots:
                roots.add(root)
                todo += self._pointers(v for loc, v in state.memory.items() if loc.root == root)
        return list(found.values())

    def _escaped(self, state: State) -> list[Pointer]:
        """Return the pointers held elsewhere by which a store names nothing that it changes."""
        if not self._escapes:
            return []
        held = [v for loc, v in state.memory.items() if loc.root.kind != "local"]
        return [p for p in self._within_reach(held, state) if self._is_bare(p)]

    def _forget_locals(
        self, pointers: Iterable[Pointer], state: State, fresh: Callable[[], Opaque]
    ) -> None:
        """Make the locals that pointers lead to unknown; what they pointed to they still may."""
        known = tuple(pointers)
        roots = {p.target.root for p in known if p.target.root.kind == "local"}
        for loc in [loc for loc in state.memory if loc.root in roots]:
            self._put(loc, fresh(), state, known)

    def _put(
        self, loc: Loc, value: Opaque, state: State, targets: tuple[Pointer, ...] = ()
    ) -> None:
        """Leave an unknown value, which may be one of some pointers, in a place."""
        if targets:
            self._targets[value.word] = targets
            bare = loc.root.kind != "local" and any(map(self._is_bare, targets))
            self._escapes = self._escapes or bare
        state.memory[loc] = value

    def _wipe(self, lvalue: LValue, state: State, value: Opaque) -> None:
        """Leave an unknown value in an object and in every part of it."""
        self._touch(lvalue.cell or lvalue.loc, False)
        if lvalue.cell is not None:
            state.memory[lvalue.cell] = self._with_bits(lvalue, value, state)
            return
        for loc in [loc for loc in state.memory if loc.within(lvalue.loc)]:
            del state.memory[loc]
        state.memory[lvalue.loc] = value
        if not isinstance(lvalue.type, (IntType, PointerType)):
            self._marks.add(lvalue.loc)

    def _with_bits(self, lvalue: LValue, value: Opaque, state: State) -> Value:
        """Return a cell of which a part is unknown."""
        assert lvalue.cell is not None
        cell = state.memory.get(lvalue.cell)
        if (lvalue.low, lvalue.width) == (0, lvalue.cell_width) or not isinstance(
            cell, (Int, type(None))
        ):
            return value
        if cell is None and lvalue.cell.root.kind == "local":
            return value
        held = self._as_int(self._load(self._cell_of(lvalue), state, None), None)
        return Int(bits.put(held.bits, lvalue.low, bits.low_bits(lvalue.width, value.word)))

    def _cell_of(self, lvalue: LValue) -> LValue:
        """Return the whole cell that an object is a part of."""
        assert lvalue.cell is not None
        ctype = IntType(lvalue.cell_width, False)
        return LValue(lvalue.cell, ctype, lvalue.cell, lvalue.cell_width, 0, lvalue.cell_width)

    def _marked(self, loc: Loc, state: State) -> Opaque | None:
        """Return the unknown part of an object that is unknown as a whole."""
        for length in range(len(loc.path) - 1, -1, -1):
            whole = state.memory.get(Loc(loc.root, loc.path[:length]))
            if isinstance(whole, Opaque):  # each part is something else
                assert isinstance(whole.word.about, Unclear)
                part = Opaque(self.out.unclear(whole.word.about))
                if whole.word in self._targets:
                    self._targets[part.word] = self._targets[whole.word]
                return self._taint(part, (whole,))
        return None

    def _touch(self, loc: Loc, read: bool) -> None:
        """Remember when something of the surroundings is first used, and last read."""
        if loc.root.kind == "local":
            return
        now = len(self.out.passed)
        first, last = self._touched.get(loc, (now, now))
        self._touched[loc] = (first, now if read else last)

    def _is_possible(self, condition: Cond) -> bool:
        """Tell whether a condition can hold, as far as is known of the numbers in it."""
        if isinstance(condition, bool):
            return condition
        facts: list[Cond] = []
        for word in sorted({symbol.word for symbol in condition.symbols}):
            known = self.index.target.registers.ranges.get(self.out.place_of(word))
            if known is not None:
                width = self.out.reads[word][1] if word in self.out.reads else 32
                value = bits.low_bits(width, word)
                facts.append(bits.negate(bits.below(value, bits.constant(width, known[0]))))
                facts.append(bits.negate(bits.below(bits.constant(width, known[1]), value)))
        if self._possible.effort.steps > MAX_ASKED:
            return True
        try:
            return drawn([condition, *facts], {}, Diagrams.possible, self._possible, afresh=False)
        except TooLarge:
            return True

    def _step(self, node: Node, count: int = 1) -> None:
        self._steps += count
        if self._steps > self._most_steps:
            raise Exhausted(self.place(node))

    @property
    def _here(self) -> str:
        """The translation unit at hand: the nearest C file on the way."""
        return (self._frames[-1].unit if self._frames else None) or self._units[-1].file

    def _unit_of(self, function: Definition) -> str:
        return function.file if function.file.endswith(".c") or not self._frames else self._here

    def _frame(
        self, function: Definition, number: int, result: CType, entered: Cond = True
    ) -> Frame:
        unit: str | None = function.file
        if not function.file.endswith(".c"):
            unit = self._frames[-1].unit if self._frames else None
        return Frame(function, unit, number, result, entered)

    def _local(self, name: str, ctype: CType) -> LValue:
        frame = self._frames[-1]
        if self.index.is_renamed(name, self._here):
            raise Unsupported(None, f"{name} is a macro as well as a variable")
        self._numbers += 1
        root = f"{frame.function.name}.{frame.number}.{self._numbers}.{name}"
        loc = Loc(Root(root, "local"))
        lvalue = self._whole(loc, ctype)
        frame.variables[name] = lvalue
        return lvalue

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
                if loc in self._marks and isinstance(a or b, Opaque):
                    memory[loc] = next(x for x in (a, b) if isinstance(x, Opaque))
                    continue
                if self._marks and (a is None or b is None):
                    a = self._marked(loc, one) if a is None else a
                    b = self._marked(loc, result) if b is None else b
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
        ctype = self.out.types.get(loc)
        if isinstance(like, Int):
            if isinstance(ctype, IntType) and ctype.boolean:
                return self._initial(loc, ctype)
            return self._initial(loc, IntType(like.width, like.signed))
        if isinstance(like, Pointer):
            return self._pointee(str(loc), like.type)
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
            yes, no = dict(a.cells), dict(b.cells)
            if yes.keys() == no.keys():
                return Record(a.type, tuple((k, self._choose(c, yes[k], no[k])) for k in yes))
        if isinstance(a, (Int, Opaque, Function)) and isinstance(b, (Int, Opaque, Function)):
            width = (
                max(
                    x.width if isinstance(x, Int) else 64 if isinstance(x, Function) else 0
                    for x in (a, b)
                )
                or 64
            )
            left, right = (
                x.resized(width, x.signed) if isinstance(x, Int) else Int(self._widened(x, width))
                for x in (a, b)
            )
            return Choice(c, left, right, left.signed or right.signed)
        if isinstance(a, Pointer) and isinstance(b, Pointer) and a.target == b.target:
            return a
        result = self.opaque(None, "a pointer depends on a condition")
        self._targets[result.word] = tuple(self._pointers((a, b)))
        return result

    def _widened(self, value: Value, width: int) -> Bits:
        if isinstance(value, Int):
            return bits.resize(value.bits, width, value.signed)
        if isinstance(value, Function):
            return bits.constant(width, self.out.address(value.name))
        assert isinstance(value, Opaque)
        return bits.low_bits(width, value.word)

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
        if self.index.is_renamed(name, self._here):
            raise Unsupported(node, f"{name} is a macro as well as a member", missing=True)
        known = ctype.by_name.get(name)
        if known is None:
            raise Unsupported(node, f"{ctype.kind} {ctype.tag} has no member {name}", missing=True)
        path, inner = known
        if isinstance(inner, UnknownType) and inner is UNDECIDED:
            raise Unsupported(node, f"what {name} is depends on a build option", missing=True)
        loc = base.loc.member(*path)
        if base.cell is not None:
            slot = ctype.slots.get(".".join(path))
            if slot is None:
                raise Unsupported(node, f"the position of {name} is not known", missing=True)
            low, width, _ = slot
            return LValue(
                loc, inner, base.cell, base.cell_width, base.low + low, width, base.rivals
            )
        rivals = base.rivals
        if beside := ctype.beside(name):
            rivals += tuple(base.loc.member(*ctype.by_name[other][0]) for other in beside)
        count = ctype.bits_of(name)
        if count is not None and isinstance(inner, IntType):
            return LValue(loc, inner, loc, inner.width, 0, count, rivals)
        found = self._whole(loc, inner)
        return found._replace(rivals=rivals) if rivals else found

    def _initial(self, loc: Loc, ctype: CType) -> Value:
        """Return the value that a location of the surroundings starts with."""
        if isinstance(ctype, PointerType) and not isinstance(ctype.target, VoidType):
            return self._pointee(str(loc), settled(ctype.target))
        if loc.root.kind == "local":
            return self.opaque(None, f"{loc.root.name.rsplit('.', 1)[-1]} is read before it is set")
        self.out.types.setdefault(loc, ctype)
        return self._open(loc, ctype)

    def _pointee(self, name: str, ctype: CType) -> Pointer:
        """Return a pointer of the surroundings, to an object of some type."""
        self.out.pointees.setdefault(name, ctype)
        return Pointer(Loc(Root(name, "pointee")), ctype)

    def _open(self, about: Loc | Fact, ctype: CType) -> Int:
        """Return a number of the surroundings that may have any value."""
        width = ctype.width if isinstance(ctype, IntType) else 64
        word = self.out.word(about)
        known = self.index.target.registers.ranges.get(self.out.place_of(word))
        if known is not None and known[1].bit_length() < width:
            # What bounds a number is assumed, and printed, wherever a bit of it matters.
            narrow = known[1].bit_length()
            self.out.reads.setdefault(word, (self._spot(), narrow))
            return Int(bits.resize(bits.low_bits(narrow, word), width), False)
        self.out.reads.setdefault(word, (self._spot(), width))
        if isinstance(ctype, IntType) and ctype.boolean:
            return Int(bits.resize(bits.low_bits(1, word), width), False)
        return Int(bits.low_bits(width, word), isinstance(ctype, IntType) and ctype.signed)

    def _asked(self, fact: Fact) -> Term:
        """Return whether something is so in the surroundings."""
        word = self.out.word(fact)
        self.out.reads.setdefault(word, (self._spot(), 1))
        return word.bit()

    def _load(self, lvalue: LValue, state: State, node: Node | None) -> Value:
        if lvalue.cell is not None:
            self._touch(lvalue.cell, True)
            cell = state.memory.get(lvalue.cell)
            if cell is None and self._marks:
                cell = self._marked(lvalue.cell, state)
                if cell is not None:
                    state.memory[lvalue.cell] = cell
            if cell is None:
                if lvalue.cell.root.kind == "global":
                    cell = self._global(lvalue.cell, lvalue, state)
                if cell is None:
                    cell = self._initial(lvalue.cell, IntType(lvalue.cell_width, False))
                self._note_role(lvalue.cell, lvalue)
            if isinstance(cell, Opaque):
                if (lvalue.low, lvalue.width) == (0, lvalue.cell_width):
                    return cell
                cell = Int(bits.low_bits(lvalue.cell_width, cell.word))
            if not isinstance(cell, Int) or cell.width != lvalue.cell_width:
                return self.opaque(node, "part of what is no number is read")
            piece = bits.cut(cell.bits, lvalue.low, lvalue.width)
            if isinstance(lvalue.type, IntType):
                signed, width = lvalue.type.signed, lvalue.type.width
                if lvalue.width < min(width, 32) and not lvalue.type.boolean:
                    return Int(bits.resize(piece, 32, signed), True)  # promoted by its own width
                if 32 < lvalue.width < width:
                    return Int(piece, signed)  # gcc computes in as many bits
                return Int(bits.resize(piece, width, signed), signed)
            return Int(piece)
        ctype = lvalue.type
        if isinstance(ctype, RecordType):
            return self._load_record(lvalue, ctype, state, node)
        if isinstance(ctype, ArrayType) and lvalue.loc in self._marks:
            return Pointer(lvalue.loc, ctype)
        self._touch(lvalue.loc, True)
        value = state.memory.get(lvalue.loc)
        if value is not None:
            return value
        if self._marks:
            part = self._marked(lvalue.loc, state)
            if part is not None:
                if isinstance(ctype, ArrayType):
                    self._wipe(lvalue, state, part)
                    return Pointer(lvalue.loc, ctype)
                state.memory[lvalue.loc] = part
                return part
        if lvalue.loc.root.kind == "global":
            known = self._global(lvalue.loc, lvalue, state)
            if known is not None:
                return known
        if isinstance(ctype, ArrayType):
            return Pointer(lvalue.loc, ctype)
        if isinstance(ctype, UnknownType):
            return self.opaque(node, f"the type {ctype.name} was not found", missing=True)
        filler = self._filler_of(lvalue.loc)
        if filler is not None:
            return self.opaque(
                node, f"{lvalue.loc} may be older than what {filler}() fills it with"
            )
        return self._initial(lvalue.loc, ctype)

    def _filler_of(self, loc: Loc) -> str | None:
        """Return what fills a member that caches a register, where a read does not ask for it."""
        target = self.index.target
        if not loc.path or loc.path[-1] not in target.registers.held:
            return None
        holder = holder_of(self.out.pointees.get(loc.root.name), loc.path)
        if holder is None or holder.tag != target.host:
            return None
        fillers = [
            name
            for name, filled in target.registers.fills.items()
            if loc.path[-1] in filled
            and any(
                self.effects.may_store(one, frozenset(loc.path[-1:]))
                for _, one in self.effects.operations(name)
            )
        ]
        words = frozenset(self._frames[-1].function.text.translate(WORDS).split())
        asked = {spelt.encode() for one in fillers for spelt in (one, target.prefix + one)}
        if not fillers or not words.isdisjoint(asked):
            return None
        return fillers[0]

    def _load_record(
        self, lvalue: LValue, ctype: RecordType, state: State, node: Node | None
    ) -> Value:
        cells: list[tuple[tuple[str, ...], Value]] = []
        for name in ctype.by_name:
            inner = self._member(lvalue, name, node) if node is not None else None
            if inner is None:
                return self.opaque(node, "a record is copied")
            extra = inner.loc.path[len(lvalue.loc.path) :]
            if isinstance(inner.type, ArrayType) and inner.cell is None:
                cells.extend(self._copied(inner, inner.type, extra, state, node))
                continue
            value = self._load(inner, state, node)
            if isinstance(value, Record):
                cells.extend((extra + path, one) for path, one in value.cells)
            else:
                cells.append((extra, value))
            if len(cells) > 64:
                return self.opaque(node, f"struct {ctype.tag} is copied as a whole")
        return Record(ctype, tuple(cells))

    def _copied(
        self,
        array: LValue,
        ctype: ArrayType,
        path: tuple[str, ...],
        state: State,
        node: Node | None,
    ) -> Iterator[tuple[tuple[str, ...], Value]]:
        """Yield the elements of an array that is copied with the record that holds it."""
        if ctype.length is None or ctype.length > MAX_COPIED:
            yield path, self.opaque(node, f"the array {path[-1]} is copied with what holds it")
            return
        for number in range(ctype.length):
            step = f"[{number}]"
            element = self._whole(array.loc.member(step), ctype.element)
            value = self._load(element, state, node)
            if isinstance(value, Record):
                yield from (((*path, step, *inner), one) for inner, one in value.cells)
            elif isinstance(value, Pointer) and isinstance(ctype.element, ArrayType):
                yield from self._copied(element, ctype.element, (*path, step), state, node)
            else:
                yield (*path, step), value

    def _store(self, lvalue: LValue, value: Value, state: State, node: Node | None) -> None:
        self._touch(lvalue.cell or lvalue.loc, False)
        for twin in self._twins(lvalue.loc):
            reason = f"{lvalue.loc} is stored to, and may be {twin}"
            self._wipe(self._whole(twin, lvalue.type), state, self.opaque(node, reason))
        for rival in lvalue.rivals:
            reason = f"{rival.path[-1]} shares its place with what is stored"
            self._wipe(LValue(rival, UNDECIDED), state, self.opaque(node, reason))
        if isinstance(value, (Pointer, Opaque, Record)) and lvalue.loc.root.kind != "local":
            self._escapes = self._escapes or any(map(self._is_bare, self._pointers([value])))
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
                cell = Int(bits.low_bits(lvalue.cell_width, cell.word))
            if not isinstance(cell, Int) or cell.width != lvalue.cell_width:
                raise Unsupported(node, "part of what is no number is stored")
            if isinstance(value, Record):
                raise Unsupported(node, "a record is stored into a word")
            new = self._bits_of(value, lvalue.type, lvalue.width, node)
            self._note_store(lvalue, state, node, new.value is not None)
            state.memory[lvalue.cell] = Int(bits.put(cell.bits, lvalue.low, new))
            return
        ctype = lvalue.type
        if isinstance(ctype, RecordType):
            for loc in [loc for loc in state.memory if loc.within(lvalue.loc)]:
                del state.memory[loc]
            if not isinstance(value, Record):
                if not isinstance(value, Opaque):
                    raise Unsupported(node, "a record is stored from something else")
                self._wipe(lvalue, state, value)
                return
            for path, one in value.cells:
                where = lvalue.loc.member(*path)
                state.memory[where] = one
                if isinstance(one, Opaque):
                    self._marks.add(where)
            return
        if isinstance(ctype, ArrayType):
            raise Unsupported(node, "an array is assigned")
        state.memory[lvalue.loc] = self._convert(value, ctype, node)

    def _twins(self, loc: Loc) -> Iterator[Loc]:
        """Yield where a place is too if pointers to records that hold contexts are the same."""
        ctype = self.out.pointees.get(loc.root.name) if loc.root.kind == "pointee" else None
        if not isinstance(ctype, RecordType) or ctype.tag in self.shape.contexts:
            return
        if not self._is_large(Pointer(Loc(loc.root), ctype)):
            return
        for name, other in list(self.out.pointees.items()):
            if name != loc.root.name and isinstance(other, RecordType) and other.tag == ctype.tag:
                yield Loc(Root(name, "pointee"), loc.path)

    def _bits_of(self, value: Value, ctype: CType, width: int, node: Node | None) -> Bits:
        """Return a value as the bits that a member of a type and width will hold."""
        if isinstance(ctype, IntType) and ctype.boolean:
            return bits.from_cond(self._truth(value, node), width)
        if isinstance(value, Int):
            return bits.resize(value.bits, width, value.signed)
        if isinstance(value, (Opaque, Function)):
            return self._widened(value, width)
        raise Unsupported(node, "a pointer is stored into a word")

    def _note_store(
        self, lvalue: LValue, state: State, node: Node | None, is_constant: bool = False
    ) -> None:
        """Remember a store to a role, or to a whole word of one."""
        cell = lvalue.cell
        if cell is None or cell.root.kind == "local" or not self._is_role(cell.path[-1:]):
            return
        if lvalue.width < ROLE_WORD and lvalue.width < lvalue.cell_width:
            return
        place = self.place(node) if node is not None else self._spot()
        path, entered = self._absolute(state), self._frames[-1].entered
        context, member = Loc(cell.root, cell.path[:-1]), cell.path[-1]
        self.out.stores.append(RoleStore(context, member, place, path, entered, is_constant))

    def _note_role(self, cell: Loc, lvalue: LValue) -> None:
        """Remember a role of a context that is read as it was before the run."""
        for position, name in enumerate(lvalue.loc.path[: len(cell.path)]):
            if position == len(cell.path) - 1 and self._is_role((name,)):
                word = self.out.word(cell)
                self._role_words[word] = str(cell)
                self._role_cells[word] = cell

    def _is_role(self, path: tuple[str, ...]) -> bool:
        """Tell whether an access path leads to a role of a context, or into one."""
        return any(name in roles for roles in self.shape.contexts.values() for name in path)

    def _leads_to_role(self, pointer: Pointer) -> bool:
        """Tell whether a pointer is to a context or to a role of one."""
        if pointer.target.root.kind == "local":
            return False
        record = pointer.type
        if isinstance(record, RecordType) and record.tag in self.shape.contexts:
            return True
        return self._is_role(pointer.target.path)

    def _as_int(self, value: Value, node: Node | None) -> Int:
        if isinstance(value, Int):
            return value
        if isinstance(value, (Opaque, Function)):
            return Int(self._widened(value, 64), True)  # without a sign none were below 0
        if isinstance(value, Pointer):
            word = self.out.word(Fact("address", str(value.target)))
            self._targets[word] = (*self._targets.get(word, ()), value)
            return Int(bits.low_bits(64, word))
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
        return value.resized(32, True) if value.width < 32 else value

    def _balanced(self, a: Int, b: Int) -> tuple[Int, Int]:
        """Apply the usual arithmetic conversions."""
        a, b = self._promote(a), self._promote(b)
        width = max(a.width, b.width)
        signed = all(x.signed or x.width < width for x in (a, b))
        return a.resized(width, signed), b.resized(width, signed)

    def _convert(self, value: Value, ctype: CType, node: Node | None) -> Value:
        if isinstance(ctype, IntType):
            if ctype.boolean:
                return Int(bits.from_cond(self._truth(value, node), 8))
            return self._as_int(value, node).resized(ctype.width, ctype.signed)
        if isinstance(ctype, PointerType) and isinstance(value, Pointer):
            known = value.lvalue.type if value.lvalue is not None else None
            if isinstance(known, (IntType, RecordType)) and value.type is not OTHER_VIEW:
                return self._retyped(value, ctype)
        if isinstance(ctype, UnknownType) and isinstance(value, Int):
            return self.opaque(node, f"the type {ctype.name} is not known")
        return value

    def _all_of(self, pointer: Pointer) -> LValue:
        """Return what may be stored to through a pointer: all of the word that it is to."""
        held = pointer.lvalue or self._whole(pointer.target, pointer.type)
        return held if held.cell is None else self._cell_of(held)

    def _retyped(self, pointer: Pointer, ctype: PointerType) -> Pointer:
        """Return a pointer as one to another type: the object stays what it is.

        An integer or a word seen through a narrower integer is the low part of it.
        """
        target = settled(ctype.target)
        held = pointer.lvalue
        if isinstance(target, VoidType):
            return Pointer(
                pointer.target, target, held or self._whole(pointer.target, pointer.type)
            )
        if held is None:
            held = self._whole(pointer.target, pointer.type)
        if isinstance(held.type, VoidType):
            return Pointer(pointer.target, target)
        if same_size(held.type, target):
            return Pointer(pointer.target, held.type, held)
        if isinstance(held.type, ArrayType):
            return Pointer(pointer.target, target)
        cell, size, low = held.cell, held.cell_width, held.low
        if cell is None and isinstance(held.type, IntType):
            cell, size, low = held.loc, held.type.width, 0
        width = target.width if isinstance(target, IntType) else None
        if isinstance(target, RecordType) and target.is_word:
            width = target.size
        if cell is None or width is None or low + width > size or low % 8:
            return Pointer(pointer.target, OTHER_VIEW, held)
        return Pointer(pointer.target, target, LValue(held.loc, target, cell, size, low, width))

    def _truth(self, value: Value, node: Node | None) -> Cond:
        if isinstance(value, Int):
            return bits.nonzero(value.bits)
        if isinstance(value, Function):
            return True
        if isinstance(value, Opaque):
            return value.word.bit()
        if isinstance(value, Pointer):
            if value.target.root.kind != "pointee" or value.target.path:
                return True
            return self._asked(Fact("is set", value.target.root.name))
        raise Unsupported(node, "a record is used as a condition")

    def _compare_equal(self, a: Value, b: Value, node: Node) -> Cond:
        if isinstance(a, Pointer) and isinstance(b, Pointer):
            if a.target == b.target:
                return True
            roots = (a.target.root.kind, b.target.root.kind)
            if self._are_apart(a.target, b.target):
                return False
            if "local" in roots:
                if a.target.root == b.target.root:
                    raise Unsupported(node, "two addresses in one variable are compared")
                return False
            return self._asked(Fact("same", address_text(a), address_text(b)))
        for x, y in ((a, b), (b, a)):
            if isinstance(x, Pointer) and isinstance(y, Int) and y.bits.value == 0:
                return bits.negate(self._truth(x, node))
        if isinstance(a, Record) or isinstance(b, Record):
            raise Unsupported(node, "records are compared")
        x, y = self._balanced(self._as_int(a, node), self._as_int(b, node))
        return bits.equal(x.bits, y.bits)

    def _are_apart(self, a: Loc, b: Loc) -> bool:
        """Tell whether two objects are different members of one record, which share no byte."""
        if a.root != b.root:
            return False
        pairs = enumerate(zip(a.path, b.path, strict=False))
        shared = next((number for number, (x, y) in pairs if x != y), None)
        if shared is None:
            return False
        if a.root.kind == "local" and all(one.startswith("[") for one in (a.path[0], b.path[0])):
            return a.path[0] != b.path[0]
        record = holder_of(self.out.pointees.get(a.root.name), a.path[: shared + 1])
        one, other = a.path[shared], b.path[shared]
        is_known = record is not None and one in record.by_name and other in record.by_name
        return record is not None and is_known and other not in record.beside(one)

    # -- what the other rooms add -----------------------------------------------------------

    def _statement(self, node: Node, state: State) -> State | None:
        raise NotImplementedError

    def _value(self, node: Node, state: State, needed: bool = True) -> Value:
        raise NotImplementedError

    def _lvalue(self, node: Node, state: State) -> LValue:
        raise NotImplementedError

    def _call(self, node: Node, state: State, needed: bool) -> Value:
        raise NotImplementedError

    def _global(self, loc: Loc, lvalue: LValue, state: State) -> Value | None:
        raise NotImplementedError

    def _described(self, node: Node) -> CType:
        raise NotImplementedError

    def _null(self, node: Node, state: State) -> Value:
        raise NotImplementedError

    def _value_for(self, ctype: CType, node: Node, state: State) -> Value:
        raise NotImplementedError

    def _forget(self, node: Node, state: State, problem: Unsupported) -> None:
        raise NotImplementedError

    def _taint(self, result: Opaque, arguments: Iterable[Value]) -> Opaque:
        raise NotImplementedError

    def _is_bare(self, pointer: Pointer) -> bool:
        raise NotImplementedError

    def _is_large(self, pointer: Pointer) -> bool:
        raise NotImplementedError


def same_size(a: CType, b: CType) -> bool:
    """Tell whether a store through one type is a store through the other."""
    if isinstance(a, IntType) and isinstance(b, IntType):
        return a.width == b.width
    return a == b and not isinstance(a, (UnknownType, VoidType))


def address_text(pointer: Pointer) -> str:
    """Return an address as C spells it."""
    if not pointer.target.path and pointer.target.root.kind == "pointee":
        return pointer.target.root.name
    return f"&{pointer.target}"


def member_names(loc: Loc) -> tuple[str, ...]:
    """Return the members that a store to an object, or to what holds it, goes by.

    Behind the name of one that is an array stands ``[]``: what is given it may store to it.
    """
    names: list[str] = []
    for step in loc.path:
        if not step.startswith("["):
            names.append(step)
        elif names and not names[-1].endswith("[]"):
            names[-1] += "[]"
    return tuple(name for name in names[-2:] if name != "arch")


def leads_to(loc: Loc, target: Loc) -> bool:
    """Tell whether an object lies within what a pointer is to, or is found through it."""
    if loc.within(target):
        return True
    prefix = str(target) if target.path else f"{target.root.name}->"
    rest = str(loc).removeprefix(prefix)
    return len(rest) < len(str(loc)) and not rest[:1].isalnum()
