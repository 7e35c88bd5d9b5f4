# SPDX-License-Identifier: GPL-2.0-only
"""C types as x86-64 lays them out: integers, pointers, records with bit-fields.

In: declarations as syntax nodes, definitions from the index.  Out: types, and for a
union of words and bit-fields (a *word record*) the position of every member in bits.
Sizes follow the System V x86-64 ABI as gcc implements it: little endian, bit-fields
from the least significant bit, none across a unit of its declared type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from typing import NamedTuple

from patchtool.c import syntax
from patchtool.c.index import LAID, RESERVED, Index, said_of_layout
from patchtool.c.scan import Definition
from patchtool.c.syntax import Node, text

# Types of different classes are never equal.  Tuples tell integers, pointers and arrays apart
# by their length; the others compare their class.


class IntType(NamedTuple):
    """An integer type; ``boolean`` for bool, whose only values are 0 and 1."""

    width: int
    signed: bool
    boolean: bool = False


class PointerType(NamedTuple):
    """A pointer; ``target`` is None for void and for functions."""

    target: CType | None


class ArrayType(NamedTuple):
    """An array; ``length`` is None where it is not a plain constant."""

    element: CType
    length: int | None


class VoidType:
    """No value."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VoidType)


class UnknownType:
    """A type whose definition was not found."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnknownType) and self.name == other.name


class Member:
    """A member of a record; ``name`` is None where it is anonymous.

    ``bits`` is the width of a bit-field.  The type is looked up when it is asked for:
    of the hundreds of members of a large structure, a run follows a handful.
    """

    def __init__(self, name: str | None, find: Callable[[], CType], bits: int | None) -> None:
        self.name = name
        self.bits = bits
        self._find = find

    @cached_property
    def type(self) -> CType:
        """The type of the member."""
        return self._find()


class RecordType:
    """A struct or a union; two of one kind and tag are the same type.

    ``partial`` tells whether some members could not be parsed, or what moves them is not
    understood: then nothing has a known position.  It is ``aligned`` to so many bits at least.
    """

    def __init__(
        self,
        kind: str,
        tag: str,
        members: tuple[Member, ...],
        file: str = "",
        line: int = 0,
        partial: bool = False,
        aligned: int = 8,
    ) -> None:
        self.kind = kind
        self.tag = tag
        self.members = members
        self.file = file
        self.line = line
        self.partial = partial
        self.aligned = aligned
        self._measured = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RecordType) and (self.kind, self.tag) == (other.kind, other.tag)

    @cached_property
    def by_name(self) -> Mapping[str, tuple[tuple[str, ...], CType]]:
        """Members by name, those of anonymous members included, with their C path."""
        return _Members(self)

    @property
    def flat(self) -> list[Member]:
        """The named members, those of anonymous members included."""
        found: list[Member] = []
        for member in self.members:
            if member.name is not None:
                found.append(member)
            elif isinstance(member.type, RecordType):
                found.extend(member.type.flat)
        return found

    def bits_of(self, name: str) -> int | None:
        """Return the width of a bit-field, None of another member."""
        members = self.by_name
        assert isinstance(members, _Members)
        return members.member(name).bits

    def beside(self, name: str) -> tuple[str, ...]:
        """Return the members that share their place with one, those of anonymous unions too.

        Bit-fields beside each other share none; those of a record that is kept as one vector
        need not be asked for, where a part is changed with the whole.
        """
        return self._beside.get(name, ())

    @cached_property
    def _beside(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        groups: list[list[str]] = []
        for member in self.members:
            if member.name is not None:
                groups.append([member.name])
            elif isinstance(member.type, RecordType):
                found.update(member.type._beside)
                groups.append([one.name or "" for one in member.type.flat])
        if self.kind == "union":
            for group in groups:
                others = tuple(n for other in groups if other is not group for n in other)
                for name in group:
                    found[name] = found.get(name, ()) + others
        return found

    @cached_property
    def size(self) -> int | None:
        """Size in bits, None where a member is no integer or word record."""
        return self._layout[1]

    @cached_property
    def slots(self) -> dict[str, tuple[int, int, CType]]:
        """Position and width in bits and type of every member, by C path."""
        return self._layout[0]

    @cached_property
    def is_word(self) -> bool:
        """Whether the record is to be kept as one vector: overlapping or packed integers."""
        if self.size is None or self.size > 256:
            return False
        return self.kind == "union" or any(member.bits is not None for member in self.members)

    @cached_property
    def _layout(self) -> tuple[dict[str, tuple[int, int, CType]], int | None]:
        if self.partial or self._measured:  # what contains itself has no size
            return {}, None
        self._measured = True
        try:
            return self._laid_out()
        finally:
            self._measured = False

    def _laid_out(self) -> tuple[dict[str, tuple[int, int, CType]], int | None]:
        found: dict[str, tuple[int, int, CType]] = {}
        at = size = 0
        align = self.aligned
        for member in self.members:
            width, unit = _width(member.type), _alignment(member.type)
            if width is None or unit is None:
                return {}, None
            if self.kind == "union":
                at = 0
            if member.bits is None:
                at = -(-at // unit) * unit
            elif member.bits == 0:
                at = -(-at // width) * width
                continue
            elif at // width != (at + member.bits - 1) // width:
                at = -(-at // width) * width
            used = width if member.bits is None else member.bits
            if member.name is not None:
                found[member.name] = (at, used, member.type)
                align = max(align, unit)
            elif member.bits is None:
                align = max(align, unit)
            if isinstance(member.type, RecordType):
                prefix = "" if member.name is None else member.name + "."
                for name, (low, count, ctype) in member.type.slots.items():
                    found.setdefault(prefix + name, (at + low, count, ctype))
            at += used
            size = max(size, at)
        return found, -(-size // align) * align


class _Members(Mapping[str, tuple[tuple[str, ...], "CType"]]):
    """The members of a record by name; types are looked up on access."""

    def __init__(self, record: RecordType) -> None:
        self._found: dict[str, Member] = {}
        for member in record.members:
            if member.name is not None:
                self._found.setdefault(member.name, member)
            elif isinstance(member.type, RecordType):
                for inner in member.type.flat:
                    self._found.setdefault(inner.name or "", inner)

    def member(self, name: str) -> Member:
        """Return a member, its type not looked up yet."""
        return self._found[name]

    def __getitem__(self, name: str) -> tuple[tuple[str, ...], CType]:
        member = self._found[name]
        return (name,), member.type

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


CType = IntType | PointerType | ArrayType | RecordType | VoidType | UnknownType

UNDECIDED = UnknownType("one of two types, by a build option")
"""The type of a member that two branches of an ``#if`` declare in two ways."""


def _width(ctype: CType) -> int | None:
    if isinstance(ctype, IntType):
        return ctype.width
    return ctype.size if isinstance(ctype, RecordType) else None


def _alignment(ctype: CType) -> int | None:
    if isinstance(ctype, IntType):
        return ctype.width
    if isinstance(ctype, RecordType):
        if ctype.size is None:
            return None
        inner = max(
            (_alignment(m.type) or 8 for m in ctype.members if m.name or m.bits is None),
            default=8,
        )
        return max(ctype.aligned, inner)
    return None


INT = IntType(32, True)
UINT = IntType(32, False)
LONG = IntType(64, True)
ULONG = IntType(64, False)
BOOL = IntType(8, False, True)
CHAR = IntType(8, True)

_BASIC: dict[str, CType] = {
    "void": VoidType(),
    "bool": BOOL,
    "_Bool": BOOL,
    "char": CHAR,
    "int": INT,
    "size_t": ULONG,
    "ssize_t": LONG,
    "ulong": ULONG,
    "uint": UINT,
    "uintptr_t": ULONG,
}
for _bits in (8, 16, 32, 64):
    for _name in (f"u{_bits}", f"__u{_bits}", f"uint{_bits}_t", f"__le{_bits}"):
        _BASIC[_name] = IntType(_bits, False)
    for _name in (f"s{_bits}", f"__s{_bits}", f"int{_bits}_t"):
        _BASIC[_name] = IntType(_bits, True)

_FURTHER = frozenset({
    "_Alignas", "_Alignof", "_Atomic", "_Generic", "_Noreturn", "_Static_assert",
    "_Thread_local", "asm", "__asm__", "__typeof__", "typeof_unqual", "__attribute__",
    "__auto_type", "__extension__", "__label__", "offsetof", "NULL", "true", "false",
})  # fmt: skip
GRANTED = RESERVED | _FURTHER | _BASIC.keys()
"""What has its meaning from C or from the kernel, with no look for a definition of it."""


class Types:
    """Types of one tree, resolved as seen from the file that uses them."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._records: dict[tuple[str, int], RecordType] = {}
        self._typedefs: dict[tuple[str, str], CType] = {}
        self._pragmas: dict[str, bool] = {}
        self.used: dict[str, Definition] = {}

    def record(self, tag: str, here: str) -> CType:
        """Return ``struct x`` or ``union x``."""
        found = self._index.record(tag, here)
        if not found:
            return UnknownType(tag)
        chosen = found[0]
        key = (chosen.file, chosen.start)
        if key not in self._records:
            self.used[tag] = chosen
            node = self._index.node(chosen)
            body = next((n for n in _walk(node, 3) if n.type == "field_declaration_list"), None)
            if body is None:
                return UnknownType(tag)
            members = self._members(body, chosen.file)
            others = [one for one in found[1:] if one.text.split() != chosen.text.split()]
            if others:
                members = self._in_any(members, others)
            kind, name = tag.split()
            around = chosen.text[: body.start_byte] + b" " + chosen.text[body.end_byte :]
            aligned = _aligned(around)
            is_partial = _broken(node) or _is_moved(body) or self._is_packed(chosen)
            self._records[key] = RecordType(
                kind, name, members, chosen.file, chosen.line, is_partial or not aligned,
                aligned or 8,
            )  # fmt: skip
        return self._records[key]

    def _in_any(self, members: tuple[Member, ...], others: list[Definition]) -> tuple[Member, ...]:
        """Return the members of a record of which a build option chooses the definition.

        One of several definitions has the type in which they agree; what lies in members without
        a name is known where one definition alone has such.
        """
        every = [members]
        for other in others:
            bodies = _walk(self._index.node(other), 3)
            body = next((n for n in bodies if n.type == "field_declaration_list"), None)
            every.append(self._members(body, other.file) if body is not None else ())
        named = _by_name(one for some in every for one in some)
        agreed = (Member(one, partial(_agreed, some), some[0].bits) for one, some in named.items())
        nameless = [some for one in every if (some := [m for m in one if m.name is None])]
        alone = nameless[0] if len(nameless) == 1 else ()
        return (*agreed, *alone, _unclear("members that a build option decides"))

    @cached_property
    def _char(self) -> CType:
        """What a plain char is: the kernel's Makefile makes it unsigned from v6.2 on."""
        flags = self._index.source.read("Makefile") or b""
        return IntType(8, b"-funsigned-char" not in flags)

    def _is_packed(self, record: Definition) -> bool:
        """Tell whether the file of a record may say that what follows is laid out otherwise."""
        known = self._pragmas.get(record.file)
        if known is None:
            data = self._index.text(record.file) or b""
            found = _PRAGMA.finditer(data) if b"ragma" in data else ()
            known = any((one[1] or b"").split()[:2] not in _IDLE_PRAGMAS for one in found)
            self._pragmas[record.file] = known
        return known

    def _members(self, body: Node, here: str) -> tuple[Member, ...]:
        found: list[Member] = []
        by_option: list[Member] = []
        for child in body.named_children:
            if child.type.startswith("preproc_if"):
                for one in _declarations_in(child):
                    by_option.extend(self._field(one, here))
            elif child.type == "field_declaration" and not _broken(child):
                found.extend(self._field(child, here))
        if not by_option:
            return tuple(found)
        named = _by_name((*found, *by_option))
        found += [m for m in by_option if m.name is None or len(named[m.name]) == 1]
        found = [m for m in found if m.name is None or len(named[m.name]) == 1]
        for name, ones in named.items():
            if len(ones) > 1:
                found.append(Member(name, partial(_agreed, ones), ones[0].bits))
        return (*found, _unclear("members that a build option decides"))

    def _field(self, node: Node, here: str) -> list[Member]:
        base_node = node.child_by_field_name("type")
        if base_node is None:
            return []
        base = _Lazy(self, base_node, here)
        declarators = node.children_by_field_name("declarator")
        fields: list[tuple[Node | None, Node | None]] = [(one, None) for one in declarators]
        for clause in [n for n in node.named_children if n.type == "bitfield_clause"]:
            before = [at for at, one in enumerate(declarators) if one.end_byte <= clause.start_byte]
            if before and fields[before[-1]][1] is None:
                fields[before[-1]] = (declarators[before[-1]], clause)
            elif declarators:  # one without a name among others
                return [_unclear("bit-fields without a name")]
            else:
                fields.append((None, clause))
        found: list[Member] = []
        for declared, width in fields or [(None, None)]:
            bits: int | None = None
            if width is not None:
                bits = self.number(text(width).lstrip(":").strip(), here)
                if bits is None:
                    return [_unclear("a bit-field of unknown width")]
            if declared is None:
                found.append(Member(None, lambda: base.type, bits))
                continue
            name = _declared_name(declared)
            found.append(
                Member(name, lambda one=declared: self.declared(one, base, here)[1], bits)  # type: ignore[misc]
            )
        return found

    def number(self, words: str, here: str, depth: int = 0) -> int | None:
        """Return the number that a width, a length or a mask of one bit is, or a macro of one."""
        words = words.strip()
        while words.startswith("(") and words.endswith(")"):
            words = words[1:-1].strip()
        if (bit := _BIT.fullmatch(words)) is not None:
            return 1 << int(bit[1] or bit[2])
        if words[:1].isdigit():
            return literal(words)
        found = self._index.macros(words, here) if re.fullmatch(r"[A-Za-z_]\w*", words) else ()
        if len({one.text.strip() for one in found}) != 1 or found[0].parameters is not None:
            return None
        body = found[0].text.decode("utf-8", "replace")
        return self.number(body, here, depth + 1) if depth < 8 else None

    def declared_in(self, declaration: str, name: str, here: str) -> list[CType]:
        """Return the types that the text of a declaration gives a name, none if it is not read."""
        root = syntax.parse(f"{declaration};".encode())
        found: list[CType] = []
        for node in syntax.descendants(root):
            base = node.child_by_field_name("type") if node.type == "declaration" else None
            for holder in node.children_by_field_name("declarator") if base is not None else ():
                assert base is not None
                spelt, ctype = self.declared(holder, base_type(self, base, here), here)
                found += [ctype] if spelt == name else []
        return found

    def declared(self, node: Node, base: _Lazy | Settled, here: str) -> tuple[str | None, CType]:
        """Return name and type of a declarator over a base type."""
        shape: list[tuple[str, int | None]] = []
        name: str | None = None
        here_node: Node | None = node
        while here_node is not None:
            kind = here_node.type
            if kind in ("identifier", "field_identifier", "type_identifier"):
                name = text(here_node) or None
                break
            if kind.endswith("pointer_declarator"):
                shape.append(("*", None))
            elif kind.endswith("array_declarator"):
                size = here_node.child_by_field_name("size")
                length = None
                if size is not None and size.type == "number_literal":
                    length = literal(text(size))
                elif size is not None:
                    length = self.number(text(size), here)
                shape.append(("[]", length))
            elif kind.endswith("function_declarator"):
                shape.append(("()", None))
            elif kind == "init_declarator":
                pass
            inner = here_node.child_by_field_name("declarator")
            if (
                inner is None
                and kind.endswith("parenthesized_declarator")
                and here_node.named_children
            ):
                inner = here_node.named_children[0]
            here_node = inner
        result: CType | None = None
        for mark, length in shape:
            if mark == "*":
                target = base.pointee() if result is None else result
                result = PointerType(target)
            elif mark == "[]":
                result = ArrayType(result if result is not None else base.type, length)
            else:
                result = VoidType()
        return name, result if result is not None else base.type

    def resolve(self, node: Node, here: str) -> CType:
        """Return the type that a type specifier names."""
        kind = node.type
        if kind in ("struct_specifier", "union_specifier"):
            body = node.child_by_field_name("body")
            name = node.child_by_field_name("name")
            word = kind.split("_")[0]
            if body is not None:
                tag = text(name) if name is not None else f"<{here}:{node.start_byte}>"
                members = self._members(body, here)
                is_moved = _is_moved(node.parent or node)
                return RecordType(word, tag, members, here, partial=is_moved)
            return (
                self.record(f"{word} {text(name)}", here) if name is not None else UnknownType("")
            )
        if kind == "enum_specifier":
            name = node.child_by_field_name("name")
            if node.child_by_field_name("body") is not None or name is None:
                return self._enumeration(node, here)
            return self.named(f"enum {text(name)}", here)
        if kind == "macro_type_specifier":
            return UnknownType(text(node))
        return self.named(text(node), here)

    def named(self, name: str, here: str) -> CType:
        """Return the type that some C words name, pointers excluded."""
        words = [
            w
            for w in name.split()
            if w not in ("const", "volatile", "static", "register", "inline")
        ]
        if not words:
            return INT
        if words[0] in ("struct", "union") and len(words) == 2:
            return self.record(" ".join(words), here)
        if words[0] == "enum" and len(words) == 2:
            return self._enum(words[1], here)
        if words == ["char"]:
            return self._char
        if len(words) == 1 and words[0] in _BASIC:
            return _BASIC[words[0]]
        if all(w in ("unsigned", "signed", "long", "short", "int", "char") for w in words):
            signed = "unsigned" not in words
            if "char" in words:
                return IntType(8, signed)
            if "short" in words:
                return IntType(16, signed)
            return IntType(64 if "long" in words else 32, signed)
        key = (words[-1], here)
        if key not in self._typedefs:
            self._typedefs[key] = UnknownType(name)
            target = self._index.typedef(words[-1], here)
            if target is not None and "*" not in target:
                self._typedefs[key] = self.named(target, here)
            elif target is None and self._index.is_function_pointer(words[-1], here):
                self._typedefs[key] = PointerType(VoidType())
        return self._typedefs[key]

    def _enum(self, tag: str, here: str) -> CType:
        """Return the type of ``enum TAG``."""
        key = f"enum {tag}", here
        if key not in self._typedefs:
            found = [
                self._enumeration(one, definition.file)
                for definition in self._index.record(f"enum {tag}", here)
                for one in syntax.descendants(self._index.node(definition))
                if one.type == "enum_specifier" and one.child_by_field_name("body") is not None
            ]
            first, *others = found or [UnknownType(f"enum {tag}")]
            self._typedefs[key] = first if all(one == first for one in others) else UNDECIDED
        return self._typedefs[key]

    def _enumeration(self, node: Node, here: str) -> CType:
        """Return the type of an enumeration, as gcc has it: int where a value is negative.

        It has no sign otherwise.
        """
        around = text(node.parent if node.parent is not None else node)
        if LAID.decode() in around or "packed" in around.rpartition("}")[2]:
            return UnknownType("an enumeration that is packed")
        below = [one for one in _values_of(node) if _NEGATIVE.fullmatch(one)]
        others = [one for one in _values_of(node) if one not in below]
        if not all(self._is_natural(one, here) for one in others):
            return UnknownType("an enumeration that may have a negative value, or a large one")
        return INT if below else UINT

    def _is_natural(self, words: str, here: str) -> bool:
        """Tell whether a constant expression can be neither negative nor too large for an int."""
        todo, seen = [words], set[str]()
        while todo:
            one = todo.pop().strip()
            number = literal(one)
            if (number is not None and number >= 1 << 31) or _NATURAL.fullmatch(one) is None:
                return False
            for name in {*_NAME.findall(one)} - seen if number is None else ():
                seen.add(name)
                macros = self._index.macros(name, here)
                enumerations = self._index.enumerators(name, here)
                is_known = macros or enumerations
                if not is_known or any(one.parameters is not None for one in macros):
                    return False
                if len(seen) > _MOST_NAMES:
                    return False
                todo += (macro.text.decode("utf-8", "replace") for macro in macros)
                for found in () if macros else enumerations:
                    todo += _values_of(self._index.node(found))
        return True


def _values_of(enumeration: Node) -> Iterator[str]:
    """Yield what enumerators are set to."""
    for one in syntax.descendants(enumeration):
        value = one.child_by_field_name("value") if one.type == "enumerator" else None
        if value is not None:
            yield text(value)


class _Lazy:
    """A base type that is looked up when needed: most pointers are never followed."""

    def __init__(self, types: Types, node: Node, here: str) -> None:
        self._types, self._node, self._here = types, node, here

    @cached_property
    def type(self) -> CType:
        return self._types.resolve(self._node, self._here)

    def pointee(self) -> CType | None:
        kind = self._node.type
        if (
            kind in ("struct_specifier", "union_specifier")
            and self._node.child_by_field_name("body") is None
        ):
            return Pending(self._types, self._node, self._here)  # type: ignore[return-value]
        resolved = self.type
        return None if isinstance(resolved, VoidType) else resolved


class Settled:
    """A base type that is known already."""

    def __init__(self, ctype: CType) -> None:
        self.type = ctype

    def pointee(self) -> CType | None:
        """Return the type as the target of a pointer."""
        return None if isinstance(self.type, VoidType) else self.type


class Pending:
    """The target of a pointer that nobody has followed yet."""

    __slots__ = ("_here", "_node", "_types")

    def __init__(self, types: Types, node: Node, here: str) -> None:
        self._types, self._node, self._here = types, node, here

    def get(self) -> CType:
        """Look the type up."""
        return self._types.resolve(self._node, self._here)


def settled(ctype: CType | Pending | None) -> CType:
    """Return a type, looked up if it was pending; void for none."""
    if isinstance(ctype, Pending):
        return ctype.get()
    return VoidType() if ctype is None else ctype


def holder_of(ctype: CType | None, path: Iterable[str]) -> RecordType | None:
    """Return the record that the last of some steps is a member of, pointers followed.

    None where there is no step, or one of them is no member.
    """
    holder: RecordType | None = None
    here = ctype
    for step in path:
        if isinstance(here, PointerType):
            here = settled(here.target)
        if not isinstance(here, RecordType) or step not in here.by_name:
            return None
        holder, here = here, here.by_name[step][1]
    return holder


def base_type(types: Types, node: Node, here: str) -> _Lazy:
    """Return the base type of a declaration, not yet looked up."""
    return _Lazy(types, node, here)


_MOST_NAMES = 100
"""How many names the value of an enumerator is looked up by."""
_NATURAL = re.compile(r"[\w\s()+/%|&,]*")
"""What makes no negative number of others, nor one that is much larger."""
_NEGATIVE = re.compile(r"\(?\s*-\s*[1-9]\d{0,8}\s*\)?")
_NAME = re.compile(r"\b[A-Za-z_]\w*")
_BIT = re.compile(r"1[uU]?[lL]{0,2} *<< *(\d|[12]\d|30)|BIT(?:_ULL)?\((\d|[12]\d|30)\)")
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)[uUlL]*")
_ALIGNED = re.compile(
    rb"__aligned\((\d{1,4})\)|__attribute__\(\((?:__)?aligned(?:__)?\((\d{1,4})\)\)\)"
)
_PRAGMA = re.compile(rb"#\s*pragma\b(.*)|\b_Pragma\b")
_IDLE_PRAGMAS = ([b"once"], [b"GCC", b"diagnostic"])
_LONGEST_NUMBER = 66
"""The characters of the longest literal that fits into 64 bits, in base two."""


def literal(words: str) -> int | None:
    """Return the value of an integer literal, None where it is none or too long for a type."""
    found = _NUMBER.fullmatch(words) if len(words) <= _LONGEST_NUMBER + 3 else None
    if found is None:
        return None
    digits = found[1]
    octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    try:
        value = int(digits, 8 if octal else 0)
    except ValueError:
        return None
    return value if value < 1 << 64 else None


def _declarations_in(node: Node) -> Iterator[Node]:
    """Yield the declarations of members in all branches of an ``#if``."""
    for child in node.named_children:
        if child.type == "field_declaration":
            yield child
        elif child.type.startswith("preproc_"):
            yield from _declarations_in(child)


def _by_name(members: Iterable[Member]) -> dict[str, list[Member]]:
    found: dict[str, list[Member]] = {}
    for member in members:
        if member.name is not None:
            found.setdefault(member.name, []).append(member)
    return found


def _agreed(members: list[Member]) -> CType:
    """Return the type of a member that the branches of an ``#if`` declare."""
    first, *others = members
    same = all(one.type == first.type and one.bits == first.bits for one in others)
    return first.type if same else UNDECIDED


def _unclear(reason: str) -> Member:
    """Return a member after which nothing has a known position."""
    return Member(None, lambda: UnknownType(reason), None)


def _declared_name(node: Node) -> str | None:
    """Return the name that a declarator declares."""
    here: Node | None = node
    while here is not None:
        if here.type in ("identifier", "field_identifier", "type_identifier"):
            return text(here) or None
        inner = here.child_by_field_name("declarator")
        if inner is None and here.type.endswith("parenthesized_declarator") and here.named_children:
            inner = here.named_children[0]
        here = inner
    return None


def _broken(node: Node) -> bool:
    """Tell whether a record cannot be parsed.

    The grammar wants a name for every bit-field; that an unnamed one lacks it is fine.
    """
    if not node.has_error:
        return False
    if node.is_error:
        return True
    if node.is_missing:
        beside = node.parent.named_children if node.parent is not None else []
        return not any(n.type == "bitfield_clause" for n in beside)
    return any(_broken(child) for child in node.children)


def _is_moved(node: Node) -> bool:
    """Tell whether something in a record may move its members."""
    words = node.text or b""
    return LAID in words or b"lignas" in words


def _aligned(around: bytes) -> int | None:
    """Return the bits that a record is aligned to by what stands around its members.

    None where that says more, or says it in a way that is not understood.
    """
    found = 8
    for one in said_of_layout(around):
        given = _ALIGNED.fullmatch(b"".join(one.split()))
        if given is None or b"lignas" in around:
            return None
        found = max(found, 8 * int(given[1] or given[2]))
    return found


def _walk(node: Node, depth: int) -> list[Node]:
    found = [node]
    if depth:
        for child in node.named_children:
            found.extend(_walk(child, depth - 1))
    return found
