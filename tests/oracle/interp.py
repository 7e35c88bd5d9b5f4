# SPDX-License-Identifier: GPL-2.0-only
"""Second oracle: a small interpreter of C that runs the fixtures over their legal states.

It shares nothing with the first oracle either: the fixture is preprocessed as a compiler would
(``gcc -E``), parsed by pycparser, turned into Python closures over a memory of bits, and run.
"""

import itertools
import random
import re
import subprocess
from pathlib import Path

from pycparser import c_ast, c_parser

HERE = Path(__file__).parent
FILES = (
    *("arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/mmu.c", "arch/x86/kvm/svm/nested.c"),
    *("arch/x86/kvm/svm.c", "arch/x86/kvm/vmx/nested.c"),
)
BITS = {
    "CR0.PG": ("cr0", 31),
    "CR0.WP": ("cr0", 16),
    "CR4.PSE": ("cr4", 4),
    "CR4.PAE": ("cr4", 5),
    "CR4.LA57": ("cr4", 12),
    "CR4.SMEP": ("cr4", 20),
    "CR4.SMAP": ("cr4", 21),
    "CR4.PKE": ("cr4", 22),
    "EFER.LMA": ("efer", 10),
    "EFER.NX": ("efer", 11),
}
ORDER = sorted(BITS, key=lambda name: (name[:3] == "EFE", *BITS[name]))


class Unknown(Exception):
    """The fixture could not be run."""


# ---------------------------------------------------------------------------------- types


class Scalar:
    """An integer of some width."""

    def __init__(self, size, signed):
        self.size, self.signed = size, signed
        self.align, self.mask, self.half = size, (1 << size) - 1, 1 << (size - 1)

    def wrap(self, value):
        """Reduce a value to this type."""
        value &= self.mask
        return value - self.mask - 1 if self.signed and value & self.half else value


class Bool(Scalar):
    """The type _Bool."""

    def __init__(self):
        super().__init__(8, False)

    def wrap(self, value):
        """Everything but zero and the null pointer is one."""
        return int(bool(value) and value != NULL)


class Pointer:
    """A pointer; its values are pairs of a memory and an offset in bits, or function names."""

    size = align = 64

    def __init__(self, to):
        self.to = to


class Record:
    """A struct or a union: members by name, as (type, offset, width or None)."""

    def __init__(self):
        self.members, self.size, self.align = {}, 0, 8

    def lay(self, declarations, union, types):
        """Place the members as gcc does on x86-64."""
        at = end = 0
        for item in declarations:
            kind = types.of(item.type)
            width = types.constant(item.bitsize) if item.bitsize else None
            if width is not None:
                if at // kind.size != (at + width - 1) // kind.size:
                    at = -(-at // kind.size) * kind.size
                place, length = at, width
            else:
                at = -(-at // kind.align) * kind.align
                place, length = at, kind.size
            if item.name is not None:
                self.members[item.name] = (kind, place, width)
            elif isinstance(kind, Record):
                for name, (inner, offset, bits) in kind.members.items():
                    self.members[name] = (inner, place + offset, bits)
            if item.name is not None or width is None:
                self.align = max(self.align, kind.align)
            end = max(end, place + length)
            at = 0 if union else place + length
        self.size = -(-end // self.align) * self.align


INT, UINT = Scalar(32, True), Scalar(32, False)
LONG, ULONG = Scalar(64, True), Scalar(64, False)
VOID = Scalar(8, False)
NAMED = {
    "int": INT,
    "signed int": INT,
    "unsigned int": UINT,
    "unsigned": UINT,
    "long": LONG,
    "unsigned long": ULONG,
    "long long": LONG,
    "unsigned long long": ULONG,
    "char": Scalar(8, True),
    "signed char": Scalar(8, True),
    "unsigned char": Scalar(8, False),
    "short": Scalar(16, True),
    "unsigned short": Scalar(16, False),
    "_Bool": Bool(),
    "void": VOID,
}


class Memory:
    """One object: its bits as a number, and the pointers in it by place."""

    __slots__ = ("bits", "read", "refs")

    def __init__(self):
        self.bits, self.refs, self.read = 0, {}, None


NULL = (None, 0)


def load(memory, at, kind, width):
    """Read a value out of memory."""
    if memory.read is not None:
        memory.read.add(at)
    if isinstance(kind, Pointer):
        return memory.refs.get(at, NULL)
    if width is not None:
        value = memory.bits >> at & ((1 << width) - 1)
        return value - (1 << width) if kind.signed and value >> (width - 1) else value
    value = memory.bits >> at & ((1 << kind.size) - 1)
    return value if isinstance(kind, Record) else kind.wrap(value)


def store(memory, at, kind, width, value):
    """Write a value into memory."""
    if isinstance(kind, Pointer):
        memory.refs[at] = value if value else NULL
        return
    mask = (1 << (width or kind.size)) - 1
    if isinstance(kind, Bool):
        value = kind.wrap(value)
    memory.bits = memory.bits & ~(mask << at) | (value & mask) << at


class Types:
    """The types of a translation unit."""

    def __init__(self):
        self.typedefs, self.tags, self.constants = {}, {}, {}

    def of(self, node):
        """Return the type that a syntax node stands for."""
        if isinstance(node, c_ast.Typename | c_ast.TypeDecl):
            return self.of(node.type)
        if isinstance(node, c_ast.IdentifierType):
            name = " ".join(node.names)
            return self.typedefs[name] if name in self.typedefs else NAMED[name]
        if isinstance(node, c_ast.PtrDecl):
            return Pointer(self.of(node.type))
        if isinstance(node, c_ast.FuncDecl):
            return VOID
        if isinstance(node, c_ast.Struct | c_ast.Union):
            record = self.tags.setdefault(node.name or id(node), Record())
            if node.decls and not record.members:
                record.lay(node.decls, isinstance(node, c_ast.Union), self)
            return record
        if isinstance(node, c_ast.Enum):
            value = -1
            for item in node.values.enumerators if node.values else ():
                value = self.constant(item.value) if item.value else value + 1
                self.constants[item.name] = value
            return UINT
        raise Unknown(f"type {type(node).__name__}")

    def constant(self, node):
        """Return the value of a plain constant."""
        return number(node.value)[0]


def number(text):
    """Return the value and the type of an integer constant."""
    digits = text.rstrip("uUlL")
    value, tail = int(digits, 0), text[len(digits) :].lower()
    size = 64 if "l" in tail or value >> 32 else 32
    signed = "u" not in tail and not value >> (size - 1)
    return value, {(32, True): INT, (32, False): UINT, (64, True): LONG, (64, False): ULONG}[
        size, signed
    ]


def promoted(kind, width=None):
    """Return the type that an operand has in an expression."""
    if not isinstance(kind, Scalar):
        return kind
    return INT if (width or kind.size) < 32 else kind


def common(one, two):
    """Return the type of an arithmetic result."""
    if not isinstance(one, Scalar) or not isinstance(two, Scalar):
        return one if not isinstance(one, Scalar) else two
    if one.size != two.size:
        return one if one.size > two.size else two
    return two if one.signed else one


# ------------------------------------------------------------------------------- program


class Unit:
    """A parsed fixture: globals and compiled functions."""

    def __init__(self, text):
        self.types, self.globals, self.functions, self.compiled = Types(), {}, {}, {}
        try:
            tree = c_parser.CParser().parse(text)
        except Exception as reason:
            raise Unknown(str(reason)) from reason
        for node in tree.ext:
            if isinstance(node, c_ast.Typedef):
                self.types.typedefs[node.name] = self.types.of(node.type)
            elif isinstance(node, c_ast.FuncDef):
                self.functions[node.decl.name] = node
            elif isinstance(node, c_ast.Decl):
                kind = self.types.of(node.type)
                if node.name and not isinstance(node.type, c_ast.FuncDecl):
                    memory = self.globals.setdefault(node.name, (Memory(), kind))[0]
                    if node.init is not None:
                        Body(self, {}).initialise(kind, node.init)(None, memory, 0)

    def function(self, name):
        """Return a function as a Python callable of its argument values."""
        if name not in self.compiled:
            if name not in self.functions:
                raise Unknown(f"{name}() is not defined")
            holder = []
            self.compiled[name] = lambda *values: holder[0](*values)
            holder.append(self._compile(self.functions[name]))
            self.compiled[name] = holder[0]
        return self.compiled[name]

    def _compile(self, node):
        declared = node.decl.type
        result = self.types.of(declared.type)
        parameters = [
            (item.name, self.types.of(item.type))
            for item in (declared.args.params if declared.args else ())
            if getattr(item, "name", None)
        ]
        run = Body(self, dict(parameters)).statement(node.body)
        wrap = result.wrap if isinstance(result, Scalar) else None

        def call(*values):
            frame = {}
            for (name, kind), value in zip(parameters, values, strict=True):
                frame[name] = memory = Memory()
                store(memory, 0, kind, None, value)
            out = run(frame)
            if out is None:
                return 0
            return wrap(out[1]) if wrap else out[1]

        return call


class Body:
    """Compiles the inside of one function."""

    def __init__(self, unit, local):
        self.unit, self.types, self.local = unit, unit.types, dict(local)

    # statements return None, ("return", value) or ("goto", label)

    def statement(self, node):
        """Compile a statement."""
        return getattr(self, "_do_" + type(node).__name__.lower(), self._do_expression)(node)

    def _do_expression(self, node):
        run = self.value(node)[1]

        def expression(frame):
            run(frame)

        return expression

    def _do_emptystatement(self, node):
        return lambda frame: None

    def _do_compound(self, node):
        items, labels = [], {}
        for item in node.block_items or ():
            if isinstance(item, c_ast.Label):
                labels[item.name] = len(items)
                item = item.stmt
            items.append(self.statement(item))

        def block(frame, start=0):
            for run in items[start:]:
                out = run(frame)
                if out is not None:
                    if out[0] == "goto" and out[1] in labels:
                        return block(frame, labels[out[1]])
                    return out
            return None

        return block

    def _do_if(self, node):
        test = self.truth(node.cond)
        yes = self.statement(node.iftrue)
        no = self.statement(node.iffalse) if node.iffalse else None

        def branch(frame):
            if test(frame):
                return yes(frame)
            return no(frame) if no else None

        return branch

    def _do_return(self, node):
        if node.expr is None:
            return lambda frame: ("return", 0)
        run = self.value(node.expr)[1]
        return lambda frame: ("return", run(frame))

    def _do_goto(self, node):
        out = ("goto", node.name)
        return lambda frame: out

    def _do_decl(self, node):
        kind, name = self.types.of(node.type), node.name
        fill = self.initialise(kind, node.init) if node.init is not None else None
        self.local[name] = kind

        def declare(frame):
            memory = Memory()
            if fill:
                fill(frame, memory, 0)
            frame[name] = memory

        return declare

    def _do_decllist(self, node):
        runs = [self.statement(item) for item in node.decls]

        def declare(frame):
            for run in runs:
                run(frame)

        return declare

    def initialise(self, kind, node, width=None):
        """Compile an initialiser into a function of frame, memory and place."""
        if not isinstance(node, c_ast.InitList):
            run = self.value(node)[1]
            return lambda frame, memory, at: store(memory, at, kind, width, run(frame))
        parts, order = [], iter(kind.members.values())
        for item in node.exprs:
            if isinstance(item, c_ast.NamedInitializer):
                member, item = kind.members[item.name[0].name], item.expr
            else:
                member = next(order)
            part, offset, bits = member
            if isinstance(part, Record) and not isinstance(item, c_ast.InitList):
                continue  # = {0} of a record in a record; memory starts as zero
            parts.append((offset, self.initialise(part, item, bits)))

        def fill(frame, memory, at):
            for offset, run in parts:
                run(frame, memory, at + offset)

        return fill

    # places

    def place(self, node):
        """Compile an lvalue into (type, width, function of the frame that gives memory, offset)."""
        if isinstance(node, c_ast.ID):
            name = node.name
            if name in self.local:
                return self.local[name], None, lambda frame: (frame[name], 0)
            memory, kind = self.unit.globals[name]
            return kind, None, lambda frame: (memory, 0)
        if isinstance(node, c_ast.StructRef):
            if node.type == "->":
                pointer, run = self.value(node.name)
                record = pointer.to
            else:
                record, _, run = self.place(node.name)
            kind, offset, width = record.members[node.field.name]

            def member(frame):
                memory, at = run(frame)
                return memory, at + offset

            return kind, width, member
        if isinstance(node, c_ast.UnaryOp) and node.op == "*":
            pointer, run = self.value(node.expr)
            return pointer.to, None, run
        raise Unknown(f"lvalue {type(node).__name__}")

    # values

    def truth(self, node):
        """Compile a condition."""
        run = self.value(node)[1]

        def test(frame):
            value = run(frame)
            return value != NULL if type(value) is tuple else bool(value)

        return test

    def value(self, node):
        """Compile an expression into (type, function of the frame)."""
        return getattr(self, "_get_" + type(node).__name__.lower())(node)

    def _get_constant(self, node):
        value, kind = number(node.value)
        return kind, lambda frame: value

    def _get_id(self, node):
        name = node.name
        if name in self.types.constants and name not in self.local:
            value = self.types.constants[name]
            return INT, lambda frame: value
        if name in self.unit.functions and name not in self.local:
            return Pointer(VOID), lambda frame: name
        return self._read(node)

    def _read(self, node):
        kind, width, where = self.place(node)

        def get(frame):
            memory, at = where(frame)
            return load(memory, at, kind, width)

        return promoted(kind, width), get

    def _get_structref(self, node):
        if node.type == "." and isinstance(node.name, c_ast.FuncCall):
            record, run = self.value(node.name)
            kind, offset, width = record.members[node.field.name]

            def get(frame):
                memory = Memory()
                memory.bits = run(frame)
                return load(memory, offset, kind, width)

            return promoted(kind, width), get
        return self._read(node)

    def _get_cast(self, node):
        kind = self.types.of(node.to_type)
        source, run = self.value(node.expr)
        if isinstance(kind, Pointer):
            return kind, lambda frame: run(frame) or NULL
        if isinstance(source, Pointer):
            return kind, lambda frame: run(frame)[1] // 8
        if isinstance(kind, Scalar):
            wrap = kind.wrap
            return kind, lambda frame: wrap(run(frame))
        return kind, run

    def _get_ternaryop(self, node):
        test = self.truth(node.cond)
        (one, yes), (two, no) = self.value(node.iftrue), self.value(node.iffalse)
        return common(one, two), lambda frame: yes(frame) if test(frame) else no(frame)

    def _get_exprlist(self, node):
        parts = [self.value(item) for item in node.exprs]

        def run(frame):
            for _, part in parts:
                out = part(frame)
            return out

        return parts[-1][0], run

    def _get_assignment(self, node):
        kind, width, where = self.place(node.lvalue)
        if node.op == "=":
            _, run = self.value(node.rvalue)
        else:
            _, run = self._get_binaryop(c_ast.BinaryOp(node.op[:-1], node.lvalue, node.rvalue))

        def assign(frame):
            value = run(frame)
            memory, at = where(frame)
            store(memory, at, kind, width, value)
            return value

        return promoted(kind, width), assign

    def _get_unaryop(self, node):
        if node.op == "&":
            if isinstance(node.expr, c_ast.ID) and node.expr.name in self.unit.functions:
                return self.value(node.expr)
            kind, _, where = self.place(node.expr)
            return Pointer(kind), where
        if node.op == "*":
            return self._read(node)
        if node.op == "!":
            test = self.truth(node.expr)
            return INT, lambda frame: int(not test(frame))
        if node.op == "sizeof":
            kind = (
                self.types.of(node.expr)
                if isinstance(node.expr, c_ast.Typename)
                else (self.place(node.expr)[0])
            )
            return ULONG, lambda frame: kind.size // 8
        kind, run = self.value(node.expr)
        if node.op == "~":
            return kind, lambda frame: kind.wrap(~run(frame))
        if node.op == "-":
            return kind, lambda frame: kind.wrap(-run(frame))
        raise Unknown(f"operator {node.op}")

    def _get_binaryop(self, node):
        operator = node.op
        if operator in ("&&", "||"):
            one, two = self.truth(node.left), self.truth(node.right)
            if operator == "&&":
                return INT, lambda frame: int(one(frame) and two(frame))
            return INT, lambda frame: int(one(frame) or two(frame))
        (first, one), (second, two) = self.value(node.left), self.value(node.right)
        if isinstance(first, Pointer) and operator in "+-" and isinstance(second, Scalar):
            step = first.to.size * (1 if operator == "+" else -1)

            def move(frame):
                memory, at = one(frame)
                return memory, at + step * two(frame)

            return first, move
        if operator in ("==", "!=") and not (
            isinstance(first, Scalar) and isinstance(second, Scalar)
        ):
            equal = operator == "=="
            return INT, lambda frame: int(((one(frame) or NULL) == (two(frame) or NULL)) is equal)
        kind = first if operator in ("<<", ">>") else common(first, second)
        wrap, apply = kind.wrap, OPERATORS[operator]
        if operator in ("==", "!=", "<", ">", "<=", ">="):
            return INT, lambda frame: int(apply(wrap(one(frame)), wrap(two(frame))))
        if operator in ("&", "|", "^") and first is second:
            return kind, lambda frame: apply(one(frame), two(frame))
        return kind, lambda frame: wrap(apply(wrap(one(frame)), two(frame)))

    def _get_funccall(self, node):
        if not isinstance(node.name, c_ast.ID):
            raise Unknown("call through a pointer")
        name = node.name.name
        target = self.unit.function(name)
        known = self.unit.functions[name].decl.type
        result = self.types.of(known.type)
        arguments = [self.value(item)[1] for item in (node.args.exprs if node.args else ())]
        if len(arguments) == 1:
            only = arguments[0]
            return promoted(result), lambda frame: target(only(frame))
        return promoted(result), lambda frame: target(*[run(frame) for run in arguments])


OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


# ------------------------------------------------------------------------------- machine


def preprocess(top):
    """Return the C files of a fixture as one preprocessed text."""
    files = [name for name in FILES if (top / name).is_file()]
    folders = [
        top / "arch/x86/include",
        top / "arch/x86/include/uapi",
        top / "include",
        top / "include/uapi",
        HERE / "include",
    ]
    done = subprocess.run(
        [
            "gcc",
            "-E",
            "-P",
            "-undef",
            "-nostdinc",
            "-x",
            "c",
            "-",
            *[f"-I{folder}" for folder in folders],
        ],
        input="".join(f'#include "{top.resolve() / name}"\n' for name in files),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Unknown(done.stderr[-300:])
    return done.stdout


class Machine:
    """A vCPU of one fixture, on one path."""

    def __init__(self, unit, path, fields, known):
        self.unit, self.path, self.known = unit, path, known
        tags = unit.types.tags
        self.box = {"npt": "vcpu_svm", "ept": "vcpu_vmx"}.get(path)
        if self.box not in tags or not tags[self.box].members:
            self.box = None
        self.memory = Memory()
        record = tags[self.box] if self.box else tags["kvm_vcpu"]
        base = record.members["vcpu"][1] if self.box else 0
        self.vcpu = (self.memory, base)
        self.base = base + tags["kvm_vcpu"].members["arch"][1]
        self.arch = tags["kvm_vcpu_arch"].members
        self.l1, self.vmcs12 = Memory(), Memory()
        self.fields = {field: self.target(field) for field in fields}
        self.roles, self.poison = self.guarded()
        for name, value in (("tdp_enabled", path != "soft"), ("max_tdp_level", 5)):
            if name in unit.globals:
                memory, kind = unit.globals[name]
                store(memory, 0, kind, None, int(value))
        self.entry = unit.function(known)
        self.extra = len(unit.functions[known].decl.type.args.params) - 1
        self.event = (
            unit.function("kvm_mmu_after_set_cpuid")
            if "kvm_mmu_after_set_cpuid" in unit.functions
            else None
        )

    def home(self):
        """Return the names of the context and of the walk that this path sets up."""
        arch = self.arch
        if "mmu" in arch and isinstance(arch["mmu"][0], Record):
            return "nested_mmu" if self.path == "nested" else "mmu", None
        home = {"npt": "guest_mmu", "ept": "guest_mmu", "nested": "nested_mmu"}.get(
            self.path, "root_mmu"
        )
        if "gva_walk" not in arch:
            return home, None
        walk = "ngpa_walk" if self.path in ("npt", "ept") else "gva_walk"
        return home if home in arch else "root_mmu", walk

    def target(self, field):
        """Find where a field is kept."""
        home, walk = self.home()
        if field in self.unit.types.tags["kvm_mmu"].members:
            return self.find(f"{home}.{field}")
        if field == "root_level":
            return self.find(f"{walk or home}.cpu_role.base.level")
        return self.find(f"{home}.root_role.level")

    def guarded(self):
        """Find the roles, and a member that only a full run stores."""
        home, walk = self.home()
        mmu = self.unit.types.tags["kvm_mmu"].members
        names = ("mmu_role", "cpu_role", "root_role", "base_role")
        roles = [f"{home}.{name}" for name in names if name in mmu]
        if walk:
            roles.append(f"{walk}.cpu_role")
        inside = self.unit.types.tags["kvm_pagewalk" if walk else "kvm_mmu"].members
        if "gva_to_gpa" in inside:
            spot = self.find(f"{walk or home}.gva_to_gpa")
        else:
            spot = next(iter(self.fields.values()))
        return [self.find(role) for role in roles], spot

    def find(self, dotted):
        """Return (type, place, width) of a member of the vCPU's arch."""
        kind, at, width = self.arch, self.base, None
        for name in dotted.split("."):
            kind, offset, width = (kind.members if isinstance(kind, Record) else kind)[name]
            at += offset
        return kind, at, width

    def put(self, name, value):
        """Write a member of arch, if there is such a member."""
        if name in self.arch:
            kind, at, width = self.find(name)
            store(self.memory, at, kind, width, value)

    def prepare(self):
        """Make a vCPU whose contexts match no role."""
        memory, arch = self.memory, self.arch
        memory.bits, memory.refs = 0, {}
        for name, (kind, _, _) in arch.items():
            if not isinstance(kind, Record):
                continue
            at = self.find(name)[1]
            memory.bits |= ((1 << kind.size) - 1) << at
        nested = self.path == "nested"
        if "mmu" in arch and isinstance(arch["mmu"][0], Pointer):
            self.put("mmu", (memory, self.find("guest_mmu" if nested else "root_mmu")[1]))
        if "walk_mmu" in arch:
            usual = "root_mmu" if "root_mmu" in arch else "mmu"
            self.put("walk_mmu", (memory, self.find("nested_mmu" if nested else usual)[1]))
        if "gva_walk" in arch:
            for mmu, walk in (("root_mmu", "gva_walk"), ("guest_mmu", "ngpa_walk")):
                memory.refs[self.find(f"{mmu}.w")[1]] = (memory, self.find(walk)[1])
        tags = self.unit.types.tags
        if self.box == "vcpu_svm":
            members = tags["vcpu_svm"].members
            kind, at, _ = members["nested"]
            if "hsave" in kind.members:
                memory.refs[at + kind.members["hsave"][1]] = (self.l1, 0)
            if "vmcb01" in members:
                kind, at, _ = members["vmcb01"]
                memory.refs[at + kind.members["ptr"][1]] = (self.l1, 0)
        if self.box == "vcpu_vmx":
            kind, at, _ = tags["vcpu_vmx"].members["nested"]
            memory.refs[at + kind.members["cached_vmcs12"][1]] = (self.vmcs12, 0)

    def load(self, state):
        """Load the inputs of a state, a mapping from names to 0 or 1."""
        words, hidden = {}, {}
        for name, value in state.items():
            register, bit = BITS.get(name.removeprefix("L1 "), (None, 0))
            if register:
                words_of = hidden if name.startswith("L1 ") else words
                words_of[register] = words_of.get(register, 0) | value << bit
        for register in ("cr0", "cr4", "efer"):
            self.put(register, words.get(register, 0))
        self.put("hflags", state.get("guest_mode", 0) << 5 | state.get("smm", 0) << 6)
        self.put("maxphyaddr", 52 if state.get(WIDE) else 46)
        tags = self.unit.types.tags
        if self.box == "vcpu_svm":
            kind, at, _ = tags["vmcb"].members["save"]
            for register, (part, offset, _) in kind.members.items():
                store(self.l1, at + offset, part, None, hidden.get(register, 0))
        if self.box == "vcpu_vmx":
            pointer = 0x26 if state.get("ept level") else 0x1E
            store(self.vmcs12, 0, ULONG, None, pointer | state.get("ept ad", 0) << 6)
            kind, at, _ = tags["vcpu_vmx"].members["nested"]
            part, offset, _ = kind.members["msrs"]
            place = at + offset + part.members["ept_caps"][1]
            store(self.memory, place, UINT, None, state.get("ept execonly", 0))

    def run(self, state):
        """Run the entry function."""
        self.load(state)
        self.entry(self.vcpu, *[0] * self.extra)

    def look(self):
        """Return the role and the field."""
        memory = self.memory
        role = tuple(memory.bits >> at & ((1 << kind.size) - 1) for kind, at, _ in self.roles)
        return role, self.values()

    def values(self):
        """Return the fields."""
        return {
            name: load(self.memory, at, kind, width)
            for name, (kind, at, width) in self.fields.items()
        }

    def full(self, state):
        """Run on contexts that match nothing."""
        self.prepare()
        self.run(state)
        return self.look()

    def save(self):
        """Return the memory of the vCPU."""
        return self.memory.bits, dict(self.memory.refs)

    def restore(self, saved):
        """Bring a saved memory back."""
        self.memory.bits, self.memory.refs = saved[0], dict(saved[1])


WIDE = "MAXPHYADDR"


def inputs(top, path):
    """Return the names of the inputs that a fixture and a path have."""
    text = "".join(file.read_text() for file in sorted(top.rglob("*.h")))
    registers = [
        name for name in BITS if re.search(rf"define (X86_)?{name.replace('.', '_')}\b", text)
    ]
    out = list(registers)
    if "HF_GUEST_MASK" in text:
        out.append("guest_mode")
    if "HF_SMM_MASK" in text:
        out.append("smm")
    if "maxphyaddr" in text:
        out.append(WIDE)
    if path == "npt":
        out += [f"L1 {name}" for name in registers]
    if path == "ept":
        out += ["ept level", "ept ad", "ept execonly"]
    return out


def legal(state):
    """Long mode needs paging and PAE, in either register file."""
    return all(
        not state.get(f"{file}EFER.LMA")
        or (state.get(f"{file}CR0.PG", 1) and state.get(f"{file}CR4.PAE", 1))
        for file in ("", "L1 ")
    )


def used(machine, names):
    """Return the inputs whose register is read at all, seen over a handful of states."""
    chance, touched = random.Random(1), set()
    for _ in range(60):
        state = {name: chance.getrandbits(1) for name in names}
        if chance.getrandbits(1):
            for name in names:
                if name.endswith(("CR0.PG", "CR4.PAE", "EFER.LMA")):
                    state[name] = 1
        if not legal(state):
            continue
        machine.prepare()
        machine.load(state)
        machine.memory.read, machine.l1.read, machine.vmcs12.read = set(), set(), set()
        machine.entry(machine.vcpu, *[0] * machine.extra)
        for name in names:
            register = BITS.get(name.removeprefix("L1 "), (None,))[0]
            if name.startswith("L1 ") and machine.box == "vcpu_svm":
                kind, at, _ = machine.unit.types.tags["vmcb"].members["save"]
                if at + kind.members[register][1] in machine.l1.read:
                    touched.add(name)
            elif name.startswith("L1 "):
                continue
            elif name.startswith("ept "):
                touched.add(name)
            else:
                word = register or ("maxphyaddr" if name == WIDE else "hflags")
                if word in machine.arch and machine.find(word)[1] in machine.memory.read:
                    touched.add(name)
        machine.memory.read = machine.l1.read = machine.vmcs12.read = None
    return [name for name in names if name in touched]


def explore(machine, names):
    """Return (guarded, minimal sets of inputs that differ in a violating pair) per field."""
    names = used(machine, names)
    states = [
        state
        for values in itertools.product((0, 1), repeat=len(names))
        if legal(state := dict(zip(names, values, strict=True)))
    ]
    key = lambda state: tuple(state.values())  # noqa: E731
    results, guarded, sets = {}, False, {field: {} for field in machine.fields}
    for number_, state in enumerate(states):
        results[key(state)] = (state, *machine.full(state))
        if not guarded and number_ < 40:
            kind, at, width = machine.poison
            store(machine.memory, at, kind, width, "x" if isinstance(kind, Pointer) else 0x41)
            before = machine.save()
            machine.run(state)
            guarded = before == machine.save()

    def pairs(first, others):
        machine.full(first)
        saved = machine.save()
        for second in others:
            differ = frozenset(name for name in names if first[name] != second[name])
            if all(any(other <= differ for other in known) for known in sets.values()):
                continue
            machine.restore(saved)
            if first.get(WIDE) != second.get(WIDE) and machine.event:
                machine.load({**first, WIDE: second[WIDE]})
                machine.event(machine.vcpu)
            machine.run(second)
            stale, fresh = machine.values(), results[key(second)][2]
            for field, known in sets.items():
                if stale[field] != fresh[field]:
                    keep_minimal(known, differ, (first, second, stale[field], fresh[field]))

    step = -(-len(states) // 60)
    for state in states[::step]:
        others = ({**state, name: 1 - state[name]} for name in names)
        pairs(state, [other for other in others if legal(other)])
    buckets = {}
    for state, role, values in results.values():
        buckets.setdefault(role, {}).setdefault(tuple(values.values()), []).append(state)
    for bucket in buckets.values():
        for one, two in itertools.permutations(bucket.values(), 2):
            for first in one[:20]:
                pairs(first, two[:20])
    return guarded, sets


def keep_minimal(known, differ, witness):
    """Keep a set of differing inputs if no smaller one is known; drop those it makes needless."""
    if not any(other <= differ for other in known):
        for other in [other for other in known if differ < other]:
            del known[other]
        known[differ] = witness


def paths(unit):
    """Return the paths of a fixture, each with the function that it is entered by."""
    found = {}
    calls = {name: called(node.body) for name, node in unit.functions.items()}
    entry = calls.get("kvm_init_mmu", set())
    for path, sign in (
        ("tdp", "init_kvm_tdp_mmu"),
        ("soft", "init_kvm_softmmu"),
        ("nested", "mmu_is_nested"),
    ):
        if sign in entry:
            found[path] = "kvm_init_mmu"
    for path, name in (
        ("npt", "nested_svm_init_mmu_context"),
        ("ept", "nested_ept_init_mmu_context"),
    ):
        if name in calls:
            found[path] = name
    return {path: found[path] for path in ("tdp", "soft", "npt", "ept", "nested") if path in found}


def called(node):
    """Return the names that a body calls."""
    out = set()

    class Calls(c_ast.NodeVisitor):
        def visit_FuncCall(self, call):  # noqa: N802
            out.add(getattr(call.name, "name", None))
            self.generic_visit(call)

    Calls().visit(node)
    return out


def decide(top, field="root_level"):
    """Return the verdict of every path of a fixture, in the form of the first oracle."""
    return decide_fields(top, (field,))[field]


def decide_fields(top, fields):
    """Return the verdicts of several fields."""
    top, out = Path(top), {field: {} for field in fields}
    if not any((top / name).is_file() for name in FILES):
        return out
    try:
        unit = Unit(preprocess(top))
        ways = paths(unit)
    except Unknown as reason:
        return {field: {"tdp": unknown(reason)} for field in fields}
    for path, entry in ways.items():
        try:
            found = verdicts(top, unit, path, entry, fields)
        except Unknown as reason:
            found = dict.fromkeys(fields, unknown(reason))
        for field in fields:
            out[field][path] = found[field]
    return out


def unknown(reason):
    """Return the verdict for what could not be run."""
    return {"verdict": "unknown", "missing": [], "witness": None, "reason": str(reason)}


def verdicts(top, unit, path, entry, fields):
    """Decide one path."""
    machine = Machine(unit, path, fields, entry)
    guarded, sets = explore(machine, inputs(top, path))
    return {field: verdict(guarded, known) for field, known in sets.items()}


def verdict(guarded, sets):
    """Put what was found into words."""
    if not sets:
        word = "covered" if guarded else "not-guarded"
        return {"verdict": word, "missing": [], "witness": None}
    missing = {name.removeprefix("L1 ") for known in sets for name in known}
    order = [*ORDER, "guest_mode", "smm", WIDE]
    first, second, stale, fresh = next(iter(sets.values()))
    return {
        "verdict": "gap",
        "missing": sorted(missing, key=order.index),
        "witness": {"a": first, "b": second, "values": [stale, fresh]},
    }
