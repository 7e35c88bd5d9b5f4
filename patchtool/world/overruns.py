# SPDX-License-Identifier: GPL-2.0-only
"""What is given the address of a member of a context, and may go beyond the end of it.

Who names one member of a context can change those behind it as well: by a copy of more bytes
than the member has, or through a pointer that it moves.  So every address of a member is
followed outwards to its use: it is compared, kept in a local pointer to what the member is,
given to a function that does no more than that, or to one of the kernel's that only reads, or
fills as many bytes as it is told, and is told the size of the member.  Anything else may go
beyond.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from patchtool.c import brackets, syntax
from patchtool.c.layout import (
    ArrayType,
    CType,
    PointerType,
    RecordType,
    UnknownType,
    settled,
)
from patchtool.c.lower.expressions import size_of
from patchtool.c.scan import Definition, FileIndex, places
from patchtool.c.syntax import Node, text
from patchtool.model import Place
from patchtool.world.closure import in_directive
from patchtool.world.conditions import dense
from patchtool.world.entries import Tree
from patchtool.world.mentions import Mentions

MAX_DEPTH = 8
"""How many functions an address is followed through."""
_REACH = 80
"""Bytes in front of a member in which the sign is looked for that takes its address."""
_READING: Mapping[str, tuple[int, ...]] = {
    "memcmp": (0, 1), "bcmp": (0, 1), "__builtin_memcmp": (0, 1), "ARRAY_SIZE": (0,),
    "memcpy": (1,), "__builtin_memcpy": (1,), "memmove": (1,), "__builtin_memmove": (1,),
    "copy_to_user": (1,), "__copy_to_user": (1,),
}  # fmt: skip
"""The arguments behind which what the kernel has for all of its parts only reads."""
_FILLING: Mapping[str, tuple[int, int]] = {
    "memset": (0, 2), "__builtin_memset": (0, 2), "memcpy": (0, 2), "__builtin_memcpy": (0, 2),
    "memmove": (0, 2), "__builtin_memmove": (0, 2), "memzero_explicit": (0, 1),
    "copy_from_user": (0, 2), "__copy_from_user": (0, 2), "get_random_bytes": (0, 1),
}  # fmt: skip
"""The argument behind which as many bytes are filled as another one says."""
_COMPARING = frozenset({"==", "!=", "<", ">", "<=", ">=", "&&", "||"})
_SIZE = re.compile(r"sizeof\(?(.*?)\)?")


class Site(NamedTuple):
    """Where the name of a member stands, whose address is used: a file, a byte, the name."""

    path: str
    at: int
    member: str


class Address(NamedTuple):
    """The address of an object: what that is, and how far behind it may be gone."""

    ctype: CType
    """The object behind it; the element, of an array that is one."""
    room: int
    """How many bytes there are from the address to the end of the object."""
    is_array: bool = False
    is_untyped: bool = False
    """Whether what it points to was taken for something else, as by ``(void *)``."""


class Overruns:
    """The uses of addresses of members in one tree."""

    def __init__(self, tree: Tree, mentions: Mentions) -> None:
        self._index, self._mentions = tree.index, mentions
        self._types = tree.types
        self._contexts = tree.roles.contexts
        self._known: dict[tuple[tuple[str, str, int], str, int, bool, bool], str | None] = {}
        """What is wrong with the uses of a pointer, by function and variable."""

    def sites(self) -> Iterator[Site]:
        """Yield where the address of a member is taken, by the text alone."""
        types = [
            (name.encode(), ctype)
            for one in self._contexts.values()
            for name, (_, ctype) in one.by_name.items()
        ]
        members = {name for name, _ in types}
        held = {name for name, ctype in types if _holds_array(ctype)}
        deep = {name for name, ctype in types if _holds_array(getattr(ctype, "element", ctype))}
        for name in sorted(members):
            self._index.watch(name.decode())
        near = self._index.target.built_from
        for path in self._mentions.files:
            words = members & self._index.words_in(path) if path.startswith(near) else ()
            file = self._index.file(path) if words else None
            for word in sorted(words) if file is not None else ():
                assert file is not None
                for at in places(file.data, word):
                    if file.data[at - 1 : at] not in (b">", b"."):
                        continue
                    end = at + len(word)
                    is_array = word in held and (word in deep or file.data[end : end + 1] != b"[")
                    if is_array or _is_address(file.data, at):
                        yield Site(path, at, word.decode())

    def found(
        self, sites: Iterable[Site], is_run: Callable[[Definition], bool]
    ) -> Iterator[tuple[Place, str]]:
        """Yield where more than a member may be changed, and how: in no function that IS_RUN."""
        for path, at, word in sites:
            file = self._index.file(path)
            if file is not None and not file.is_blank(at):
                yield from self._judged(file, at, word, is_run)

    def _judged(
        self, file: FileIndex, at: int, word: str, is_run: Callable[[Definition], bool]
    ) -> Iterator[tuple[Place, str]]:
        """Judge the use of one member."""
        line = file.line(at)
        name = file.function_at(at)
        for one in file.functions.get(name or "", ()):
            if one.start <= at < one.start + len(one.text) and not is_run(one):
                root = self._index.node(one)
                start = at - one.start
                leaf = root.descendant_for_byte_range(start, start + len(word))
                member = leaf.parent if leaf is not None else None
                if leaf is None or member is None or text(leaf) != word:
                    reason: str | None = f"the text around {word} cannot be parsed"
                elif member.type != "field_expression":
                    continue
                else:
                    reason = self._of_member(member, root, one)
                if reason is not None:
                    yield Place(file.path, line, 1, one.name), reason
        if name is None and in_directive(file.data, at) and _is_address(file.data, at):
            for macro in file.macros_around([at]):
                reason = f"the address of {word} is taken by the macro {macro.name}"
                yield Place(file.path, line, 1, macro.name), reason

    # -- from an object outwards -------------------------------------------------------------

    def _of_member(self, member: Node, root: Node, function: Definition) -> str | None:
        """Say how what lies behind a member may be changed by a use of it."""
        argument = member.child_by_field_name("argument")
        field = member.child_by_field_name("field")
        if argument is None or field is None:
            return None
        held = self._mentions.type_of(argument, root, function.file)
        if isinstance(held, PointerType):
            held = settled(held.target)
        name = text(field)
        if isinstance(held, RecordType):
            if held.tag not in self._contexts or name not in held.by_name:
                return None
        else:
            known = [one for one in self._contexts.values() if name in one.by_name]
            held = known[0]
        return self._of_object(member, held.by_name[name][1], root, function, 0)

    def _of_object(
        self, here: Node, ctype: CType, root: Node, function: Definition, depth: int
    ) -> str | None:
        """Go outwards from an object of some type to where its address is used, if it is."""
        room = _least(ctype) // 8
        while (outer := here.parent) is not None:
            kind = outer.type
            if kind == "parenthesized_expression":
                here = outer
            elif kind == "field_expression":
                operator, field = (outer.child_by_field_name(n) for n in ("operator", "field"))
                if operator is None or field is None or operator.type != ".":
                    return None  # behind a pointer, elsewhere
                inner = ctype.by_name.get(text(field)) if isinstance(ctype, RecordType) else None
                ctype = inner[1] if inner is not None else UnknownType("")
                room = _least(ctype) // 8
                here = outer
            elif kind == "subscript_expression" and outer.child_by_field_name("argument") == here:
                if not isinstance(ctype, ArrayType):
                    return None  # behind a pointer, elsewhere
                ctype = ctype.element
                room = _least(ctype) // 8
                here = outer
            elif kind == "pointer_expression" and outer.children[0].type == "&":
                return self._of_address(outer, Address(ctype, room), root, function, depth)
            elif kind == "binary_expression" and self._is_cast(outer, here, root):
                number = Address(ctype, room, is_untyped=True)
                return self._of_address(outer, number, root, function, depth)
            else:
                break
        if isinstance(ctype, ArrayType):
            address = Address(ctype.element, room, True)
            return self._of_address(here, address, root, function, depth)
        return None

    def _of_address(
        self, here: Node, address: Address, root: Node, function: Definition, depth: int
    ) -> str | None:
        """Say how what lies behind an object may be changed by a use of its address."""
        what = text(here)
        beyond = f"{what} may be gone beyond"
        while (outer := here.parent) is not None:
            kind = outer.type
            if kind == "parenthesized_expression":
                if outer.parent is not None and outer.parent.type.endswith("_statement"):
                    return None  # the condition of a branch
            elif kind == "cast_expression":
                address = self._cast(address, outer, function)
            elif kind == "conditional_expression":
                if outer.child_by_field_name("condition") == here:
                    return None
            elif kind == "comma_expression":
                if outer.child_by_field_name("right") != here:
                    return None
            elif kind in ("sizeof_expression", "expression_statement", "unary_expression"):
                return None
            elif kind == "binary_expression":
                operator = outer.child_by_field_name("operator")
                return None if operator and operator.type in _COMPARING else beyond
            elif kind == "pointer_expression" and outer.children[0].type == "*":
                if address.is_untyped:
                    return beyond
                return self._of_object(outer, address.ctype, root, function, depth)
            elif kind == "subscript_expression":
                index = outer.child_by_field_name("index")
                is_first = index is not None and text(index) == "0"
                if address.is_untyped or index == here or not (address.is_array or is_first):
                    return beyond
                return self._of_object(outer, address.ctype, root, function, depth)
            elif kind == "field_expression":
                ctype = address.ctype
                field = outer.child_by_field_name("field")
                if address.is_untyped or field is None or not isinstance(ctype, RecordType):
                    return beyond
                inner = ctype.by_name.get(text(field))
                if inner is None:
                    return beyond
                return self._of_object(outer, inner[1], root, function, depth)
            elif kind in ("init_declarator", "assignment_expression"):
                reason = self._kept(outer, here, what, address, root, function, depth)
                if reason is not None or kind == "init_declarator":
                    return reason
            elif kind == "argument_list" and outer.parent is not None:
                return self._given(outer, here, what, address, function, depth)
            else:
                return beyond
            here = outer
        return beyond

    def _is_cast(self, outer: Node, here: Node, root: Node) -> bool:
        """Tell whether what the grammar takes for ``a & b`` is the address of b as an (a)."""
        left, operator = (outer.child_by_field_name(n) for n in ("left", "operator"))
        if left is None or operator is None or operator.type != "&" or left == here:
            return False
        named = left.named_children
        return (
            left.type == "parenthesized_expression"
            and len(named) == 1
            and named[0].type == "identifier"
            and text(named[0]) not in self._mentions.variables(root)
        )

    def _cast(self, address: Address, cast: Node, function: Definition) -> Address:
        """Return an address as one of another type; one to less than there is stays one."""
        made = self._mentions.type_of(cast, cast, function.file)
        return self._pointing(address, made)

    def _pointing(self, address: Address, pointer: CType) -> Address:
        """Return an address as a pointer of some type has it."""
        target = settled(pointer.target) if isinstance(pointer, PointerType) else None
        if target is not None and target == address.ctype:
            return address._replace(is_untyped=False)
        size = size_of(target) if target is not None else None
        if target is None or not size or size // 8 > address.room:
            return address._replace(is_untyped=True)
        return address._replace(ctype=target, is_untyped=False)

    def _kept(
        self,
        holder: Node,
        value: Node,
        what: str,
        address: Address,
        root: Node,
        function: Definition,
        depth: int,
    ) -> str | None:
        """Say how an address is used by the local pointer that it is kept in."""
        left, operator = (holder.child_by_field_name(n) for n in ("left", "operator"))
        if operator is not None and operator.type != "=":
            return f"{what} is moved"
        if left is not None and left == value:
            return None  # the pointer is given another value
        target = left if left is not None else holder.child_by_field_name("declarator")
        while target is not None and target.type == "pointer_declarator":
            target = target.child_by_field_name("declarator")
        elsewhere = f"{what} is kept in what is not followed"
        if target is None or target.type != "identifier":
            return elsewhere
        name = text(target)
        declared = self._mentions.variables(root).get(name, ())
        if len(declared) != 1 or _is_static(declared[0][0]):
            return elsewhere
        return self._of_variable(name, address, root, function, depth)

    def _of_variable(
        self, name: str, address: Address, root: Node, function: Definition, depth: int
    ) -> str | None:
        """Say how what lies behind an object may be changed by a variable that points to it."""
        key = (function.key, name, *address[1:])
        if key in self._known:
            return self._known[key]
        self._known[key] = None  # what it hands to itself adds nothing
        declared = self._mentions.variables(root).get(name, ())
        reason: str | None = f"{name} of {function.name}() is not understood"
        if len(declared) == 1 and not root.has_error and depth < MAX_DEPTH:
            base, declarator = declared[0]
            pointer = self._mentions.declared_type(base, declarator, function.file)
            address = self._pointing(address, pointer)
            reason = None
            if self._mentions.is_named_by_macro(function, name):
                reason = f"{name} is named by a macro"
            for leaf in syntax.descendants(root):
                if reason is None and leaf.type == "identifier" and text(leaf) == name:
                    if not _is_declarator(leaf):
                        reason = self._of_address(leaf, address, root, function, depth + 1)
        self._known[key] = reason
        return reason

    # -- calls -------------------------------------------------------------------------------

    def _given(
        self,
        listed: Node,
        given: Node,
        what: str,
        address: Address,
        function: Definition,
        depth: int,
    ) -> str | None:
        """Say how a call may change what lies behind an object whose address it is given."""
        call = listed.parent
        callee = call.child_by_field_name("function") if call is not None else None
        file = self._index.file(function.file)
        if call is None or callee is None or file is None:
            return f"{what} is given to what is not known"
        name = text(callee)
        arguments = [n for n in listed.named_children if n.type != "comment"]
        number = arguments.index(given)
        if not self._mentions.has_own(name, function.file):
            if number in _READING.get(name, ()):
                return None
            filled, size = _FILLING.get(name, (None, 0))
            if number == filled and size < len(arguments):
                if self._fits(arguments[size], given, address, function):
                    return None
                return f"{what} is filled by {name}(), perhaps beyond its end"
        called = self._mentions.called(callee, file)
        for one in called:
            inner = self._index.node(one)
            variable = self._mentions.parameter(inner, number)
            if variable is None:
                return f"{what} is given to {name}(), which is not understood"
            reason = self._of_variable(variable, address, inner, one, depth + 1)
            if reason is not None:
                return f"{what} is given to {name}(): {reason}"
        is_record = isinstance(address.ctype, RecordType) and not address.is_array
        is_one = is_record and not address.is_untyped and len(arguments) == 1
        if not called and not is_one:  # what takes a record of its type, and no size
            return f"{what} is given to {name}(), of which no definition was found"
        return None

    def _fits(self, size: Node, given: Node, address: Address, function: Definition) -> bool:
        """Tell whether so many bytes are in an object: a number, its own size, or a type's."""
        spelt = dense(text(size))
        if re.fullmatch(r"\d+", spelt):
            return int(spelt) <= address.room
        found = _SIZE.fullmatch(spelt)
        if size.type != "sizeof_expression" or found is None:
            return False
        while given.type == "cast_expression" and (inner := given.child_by_field_name("value")):
            given = inner
        target = dense(text(given))
        if target.startswith("&"):
            if found[1] == target[1:]:
                return True
        elif address.is_array and found[1] == target:
            return given.type == "field_expression"  # of a pointer it would be the pointer's
        elif found[1] in (f"*{target}", f"{target}[0]"):
            return not address.is_untyped
        named = re.fullmatch(r"sizeof\s*\(\s*((?:struct\s+|union\s+)?\w+)\s*\)", text(size))
        if named is None:
            return False
        types = self._types.declared_in(f"{named[1]} x", "x", function.file)
        if len(types) != 1:
            return False
        is_same = types[0] == address.ctype and not address.is_untyped
        return is_same or 0 < (size_of(types[0]) or 0) // 8 <= address.room


def _holds_array(ctype: CType) -> bool:
    """Tell whether an object is an array, or a part of it is."""
    if isinstance(ctype, RecordType):
        return any(_holds_array(one.type) for one in ctype.members if one.bits is None)
    return isinstance(ctype, ArrayType)


def _is_address(data: bytes, at: int) -> bool:
    """Tell whether the address may be taken of what a member at a place belongs to."""
    if data.rfind(b"&", max(0, at - _REACH), at) < 0:
        return False
    start = brackets.start_of_member(data, at)
    while True:
        left = brackets.last_before(data, start)
        if data[left : left + 1] != b"(":
            break
        start = left
    return data[left : left + 1] == b"&" and data[left - 1 : left] != b"&"


def _least(ctype: CType) -> int:
    """Return how many bits a type has at least."""
    known = size_of(ctype)
    if known is None and isinstance(ctype, RecordType):
        each = [_least(one.type) for one in ctype.members if one.bits is None]
        return max(each, default=0) if ctype.kind == "union" else sum(each)
    return known or 0


def _is_static(base: Node) -> bool:
    """Tell whether a declaration is of an object that stays."""
    outer = base.parent
    return outer is not None and any(
        n.type == "storage_class_specifier" and text(n) in ("static", "extern")
        for n in outer.children
    )


def _is_declarator(leaf: Node) -> bool:
    """Tell whether a word is what a declaration declares."""
    here = leaf
    while (outer := here.parent) is not None:
        if not outer.type.endswith("declarator"):
            return outer.type.endswith("declaration")
        if outer.child_by_field_name("declarator") != here:
            return False
        here = outer
    return False
