# SPDX-License-Identifier: GPL-2.0-only
"""What is given the address of a member of a context, and may go beyond the end of it.

Who names one member of a context can change those behind it as well: by a copy of more bytes
than the member has, or through a pointer that it moves.  So can who names a member in front of
the context, of the record that holds it.  So every address of such a member is
followed outwards to its use: it is compared, kept in a local pointer to what the member is,
given to a function that does no more than that, or to one of the kernel's that only reads, or
fills as many bytes as it is told, and is told the size of the member.  Anything else may go
beyond.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import NamedTuple

from patchtool.c import brackets, library, syntax
from patchtool.c.conditions import dense, holding
from patchtool.c.layout import (
    ArrayType,
    CType,
    IntType,
    PointerType,
    RecordType,
    UnknownType,
    base_type,
    settled,
)
from patchtool.c.lower.expressions import size_of
from patchtool.c.scan import Definition, FileIndex, places, strip_comments
from patchtool.c.syntax import Node, text
from patchtool.model import Place
from patchtool.world.accounts.holders import Front
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.circular import Circular
from patchtool.world.closure import in_directive
from patchtool.world.entries import Tree

BEYOND = "perhaps beyond its end"
"""What is said of more bytes than are known to be in an object."""
MAX_DEPTH = 8
"""How many functions an address is followed through."""
_REACH = 80
"""Bytes in front of a member in which the sign is looked for that takes its address."""
_AFTER_SIGN = re.compile(rb"&\s*(?:\(|\w+\s*(?:->|[.(\[]))[^&;{}]{0,%d}" % _REACH)
_BELOW = re.compile(rb"(?:\.\w+)*")
_OF_MEMBER = re.compile(rb"(?:->|\.)(\w+)(?:->|\.)\Z")
_CAST = re.compile(rb"\(\s*\w[\w\s]*\*\s*\)\s*\Z")
_LONGEST = 64
_OF_VARIABLE = re.compile(rb"(?<![\w>.)\]])(\w+)(?:->|\.)\Z")
_MEMBER = re.compile(rb"(?:->|\.)(\w+)")
_COMPARING = frozenset({"==", "!=", "<", ">", "<=", ">=", "&&", "||"})
_AT_MOST = re.compile(r"(?:min\()?(\d+)u?(?:,[^,]*\))?")
"""A number, or no more than that."""
_WORD: re.Pattern[str] = re.compile(r"\w+")
_STORING = ("update_expression", "assignment_expression")
_LIMIT = re.compile(r"(\w+)(<=?)(\d+)u?")
_COUNTED = re.compile(r"\*sizeof\([^()]*\)\Z|\Asizeof\([^()]*\)\*")
"""As many bytes as some elements have."""
_SIZE = re.compile(r"sizeof\(?(.*?)\)?")


class Site(NamedTuple):
    """Where the name of a member stands, whose address is used: a file, a byte, the name."""

    path: str
    at: int
    member: str
    callee: str
    """Who goes no further than the member, unless the target has one of the name."""


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

    def __init__(
        self,
        tree: Tree,
        mentions: Mentions,
        fronts: Iterable[Front] = (),
        alone: bool = False,
    ) -> None:
        """FRONTS are what lies in front of the contexts in what is around them.

        ALONE, they are all that is looked at, and a count of elements of an array is one of
        those that there are.
        """
        self._index, self._mentions = tree.index, mentions
        self._types = tree.types
        self._filling = {**library.FILLING, **tree.index.target.filling}
        self._contexts = {} if alone else tree.roles.contexts
        self._is_counted_well = alone
        self._fronts = {one.tag: one for one in fronts}
        self._own: dict[str, bool] = {}
        """Whether a header of the target defines something of a name."""
        self._known = Circular[tuple[tuple[str, str, int], str, int, bool, bool], str | None](None)
        """What is wrong with the uses of a pointer, by function and variable."""

    def _names_in(self, tag: str) -> Iterable[str]:
        """Return the members of a record of which the addresses are followed."""
        if tag in self._contexts:
            return self._contexts[tag].by_name
        return self._fronts[tag].names if tag in self._fronts else ()

    def _type_in(self, tag: str, name: str) -> CType:
        """Return the type of such a member."""
        record: CType | None = self._contexts.get(tag)
        if record is None:
            record = self._types.record(f"struct {tag}", self._fronts[tag].file)
        return record.by_name[name][1] if isinstance(record, RecordType) else UnknownType("")

    def sites(self, reaching: Set[bytes], texts: Mapping[str, bytes]) -> Iterator[Site]:
        """Yield where the address of a member is taken, by the text alone.

        REACHING are the members that are such a record, or point to one; TEXTS are those of
        some files, without comments.
        """
        tags = (*self._contexts, *self._fronts)
        types = [(name, self._type_in(tag, name)) for tag in tags for name in self._names_in(tag)]
        names = frozenset(name.encode() for name, _ in types)
        held = {name.encode() for name, ctype in types if _holds_array(ctype)}
        deep = {n.encode() for n, ctype in types if _holds_array(getattr(ctype, "element", ctype))}
        pointers = names - {n.encode() for n, ctype in types if not isinstance(ctype, PointerType)}
        for name in names:
            self._index.watch(name.decode())
        near = self._index.target.built_from
        for path in self._mentions.files:
            words = names & self._index.words_in(path) if path.startswith(near) else frozenset()
            if not words:
                continue
            data = texts.get(path) or strip_comments(self._index.text(path) or b"")
            found = {
                (at, word)
                for at, word in _addresses(data, words)
                if not (word in pointers and data.startswith(b"->", at + len(word)))
            }
            for word in held & words:
                for at in places(data, word):
                    end = at + len(word)
                    if data[at - 1 : at] in (b">", b".") and (
                        word in deep or data[end : end + 1] != b"["
                    ):
                        found.add((at, word))
            for at, word in sorted(found):
                outer = _OF_MEMBER.search(data, max(0, at - _REACH), at)
                if outer is None or outer[1] in reaching:
                    if outer or not self._is_of_another(path, data, at):
                        member = word.decode()
                        kinds = [ctype for name, ctype in types if name == member]
                        yield Site(path, at, member, self._harmless(path, data, at, member, kinds))

    def _harmless(
        self, path: str, data: bytes, at: int, member: str, kinds: Iterable[CType]
    ) -> str:
        """Return which of the kernel's own an address is given to that goes no further, if any.

        KINDS are the types that the member may have.
        """
        sizes = [size_of(k) for k in kinds if isinstance(k, IntType | PointerType | ArrayType)]
        bits, end = min((size or 1 for size in sizes), default=0), at + len(member)
        below = _BELOW.match(data, end) if not bits else None
        end = below.end() if below is not None else end
        start = brackets.start_of_member(data, at)
        sign = brackets.last_before(data, start)
        is_address = data[sign : sign + 1] == b"&"
        if data[end : end + 1] not in (b",", b")"):
            return ""
        cast = _CAST.search(data, max(0, sign - _REACH), sign) if is_address else None
        lead = brackets.last_before(data, cast.start() if cast is not None else sign)
        lead = lead if is_address else sign
        opened, number = brackets.argument_at(data, start)
        if data[lead : lead + 1] not in (b"(", b",") or opened < 0:
            return ""
        name = (brackets.callee(data, opened) or b"").decode()
        if number in library.READING.get(name, ()) or name in self._index.target.within.get(
            member, ()
        ):
            is_known = True
        elif number == 0 and name in ("memset", "memzero_explicit") and cast is None:
            own = rb"[^,;()]*,(?:[^,;()]*,)?\s*sizeof\(\s*%s\s*\)\s*\)" % re.escape(data[start:end])
            is_known = re.match(own, data[end - 1 :]) is not None
        elif not is_address:
            is_known = False
        elif library.OF_BIT.fullmatch(name) and number == 1:
            bit = data[opened + 1 : data.find(b",", opened)].decode("utf-8", "replace")
            value = self._types.number(bit, path)
            is_known = value is not None and value < bits
        elif cast is not None:
            is_known = False
        elif not bits:
            is_known = library.OF_ITS_KIND.fullmatch(name) is not None
        else:
            is_known = number == 0 and library.OF_ONE.fullmatch(name) is not None
        return name if is_known else ""

    def _is_of_another(self, path: str, data: bytes, at: int) -> bool:
        """Tell by the text alone whether a member is that of a variable of another type."""
        found = _OF_VARIABLE.search(data, max(0, at - _REACH), at)
        file = self._index.file(path) if found is not None else None
        inside = file.function_at(at) if file is not None else None
        if found is None or file is None or inside is None:
            return False
        declared = re.compile(
            rb"\b(?:struct|union)\s+(\w+)(?:[\s*]|\bconst\b|\b__\w+)*\b%s\b" % found[1]
        )
        tags = [
            tag.decode() for one in file.functions[inside] for tag in declared.findall(one.text)
        ]
        return bool(tags) and {*self._contexts, *self._fronts}.isdisjoint(tags)

    def found(
        self, sites: Iterable[Site], is_run: Callable[[Definition], bool]
    ) -> Iterator[tuple[Place, str]]:
        """Yield where more than a member may be changed, and how: in no function that IS_RUN."""
        for path, at, word, callee in sites:
            if callee and not self._is_own(callee, path):
                continue
            file = self._index.file(path)
            if file is not None and not file.is_blank(at):
                yield from self._judged(file, at, word, is_run)

    def _judged(
        self, file: FileIndex, at: int, word: str, is_run: Callable[[Definition], bool]
    ) -> Iterator[tuple[Place, str]]:
        """Judge the use of one member."""
        line = file.line(at)
        name = file.function_at(at)
        for one in file.functions_around(at):
            if not is_run(one):
                root = self._index.node(one)
                start = at - one.start
                leaf = root.descendant_for_byte_range(start, start + len(word))
                member = leaf.parent if leaf is not None else None
                if leaf is not None and syntax.is_coded(leaf):
                    continue
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
            if name not in self._names_in(held.tag):
                return None
            ctype = self._type_in(held.tag, name)
        elif self._is_in_another(argument, root, function):
            return None
        else:
            tags = (*self._contexts, *self._fronts)
            ctype = self._type_in(next(t for t in tags if name in self._names_in(t)), name)
        return self._of_object(member, ctype, root, function, 0)

    def _is_in_another(self, holder: Node, root: Node, function: Definition) -> bool:
        """Tell whether an object lies in a record of which no more than the tag is known."""
        here: Node | None = holder
        while here is not None:
            ctype = self._mentions.type_of(here, root, function.file)
            if isinstance(ctype, PointerType):
                ctype = settled(ctype.target)
            if isinstance(ctype, UnknownType) and ctype.name.startswith(("struct ", "union ")):
                return True
            here = here.child_by_field_name("argument")
        return False

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
            elif kind == "update_expression" and self._is_counted(address.ctype):
                pass
            elif kind == "return_statement":
                return self._returned(what, address, function, depth)
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
        if target is not None and target.type == "field_expression":
            record = target.child_by_field_name("argument")
            ctype = self._mentions.type_of(record, root, function.file) if record else None
            if isinstance(ctype, PointerType) and self._is_counted(settled(ctype.target)):
                return None
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
        return self._known.of(key, lambda: self._moved(name, address, root, function, depth))

    def _moved(
        self, name: str, address: Address, root: Node, function: Definition, depth: int
    ) -> str | None:
        declared = self._mentions.variables(root).get(name, ())
        reason: str | None = f"{name} of {function.name}() is not understood"
        if len(declared) == 1 and not root.has_error and depth < MAX_DEPTH:
            base, declarator = declared[0]
            pointer = self._mentions.declared_type(base, declarator, function.file, root)
            address = self._pointing(address, pointer)
            reason = None
            if self._mentions.is_named_by_macro(function, name):
                reason = f"{name} is named by a macro"
            for leaf in syntax.descendants(root):
                if reason is None and leaf.type == "identifier" and text(leaf) == name:
                    if not _is_declarator(leaf):
                        reason = self._of_address(leaf, address, root, function, depth + 1)
        return reason

    def _is_counted(self, ctype: CType) -> bool:
        """Tell whether an object is one of those of which a count tells how many there are."""
        return isinstance(ctype, RecordType) and ctype.tag in self._index.target.counted

    def _returned(
        self, what: str, address: Address, function: Definition, depth: int
    ) -> str | None:
        """Say how an address is used by those that a function returns it to."""
        if depth >= MAX_DEPTH:
            return f"{what} is returned further than is followed"
        for _, user in self._index.users(function.name):
            root = self._index.node(user)
            for leaf in syntax.descendants(root):
                if leaf.type != "identifier" or text(leaf) != function.name:
                    continue
                call = leaf.parent
                if user.key == function.key or _is_declarator(leaf):
                    continue
                if call is None or call.type != "call_expression":
                    return f"{what} is returned by {function.name}(), which is no call here"
                reason = self._of_address(call, address, root, user, depth + 1)
                if reason is not None:
                    return reason
        return None

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
        arguments = syntax.inner(listed)
        number = arguments.index(given)
        if not self._mentions.has_own(name, function.file):
            if number in library.READING.get(name, ()):
                return None
            if self._mentions.is_shown(given, function.file):
                return None
            filled, size = self._filling.get(name, (None, 0))
            if number == filled and size < len(arguments):
                if self._fits(arguments[size], given, address, function):
                    return None
                return f"{what} is filled by {name}(), {BEYOND}"
        called = self._mentions.called(callee, file)
        if not self._is_own(name, function.file):
            if name in self._index.target.within.get(_last_member(given), ()):
                return None
            if self._is_within(name, number, arguments, address, function):
                return None
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

    def _is_own(self, name: str, here: str) -> bool:
        """Tell whether a file, or a header, defines a function or macro of the kernel's name."""
        if name not in self._own:
            word, near = name.encode(), self._index.target.built_from
            self._own[name] = any(
                self._defines(path, name)
                for path in self._mentions.files
                if path.endswith(".h")
                and path.startswith(near)
                and word in self._index.words_in(path)
            )
        return self._own[name] or self._defines(here, name)

    def _defines(self, path: str, name: str) -> bool:
        file = self._index.file(path)
        return file is not None and (name in file.functions or name in file.defines)

    def _is_within(
        self,
        name: str,
        number: int,
        arguments: list[Node],
        address: Address,
        function: Definition,
    ) -> bool:
        """Tell whether one of the kernel's own stays within an object that it is given."""
        is_plain = not (address.is_untyped or address.is_array)
        if isinstance(address.ctype, RecordType | UnknownType) and is_plain:
            return library.OF_ITS_KIND.fullmatch(name) is not None
        if library.OF_BIT.fullmatch(name) is not None and number == 1 and not address.is_array:
            return self._is_bit_within(arguments[0], address, function)
        return is_plain and number == 0 and library.OF_ONE.fullmatch(name) is not None

    def _is_bit_within(self, bit: Node, address: Address, function: Definition) -> bool:
        """Tell whether a number is that of a bit of an object, by its value or by its type."""
        name = text(bit)
        value = self._types.number(name, function.file)
        if value is not None:
            return value < address.room * 8
        declared = self._mentions.variables(self._index.node(function)).get(name)
        if declared is not None:
            return all(base.type == "enum_specifier" for base, _ in declared)
        return bool(self._index.enumerators(name, function.file))

    def _is_at_most(self, size: Node, room: int, function: Definition) -> bool:
        """Tell whether a branch is taken only where a variable is small, which stays so."""
        name = text(size)
        limits = (
            _LIMIT.fullmatch(one) for one in holding(self._index.node(function), size.start_byte)
        )
        if not any(
            one and one[1] == name and int(one[3]) - (one[2] == "<") <= room for one in limits
        ):
            return False
        here = size.parent
        while here is not None:
            condition = here.child_by_field_name("condition")
            if condition is not None and name in _WORD.findall(text(condition)):
                stores = (one for one in syntax.descendants(here) if one.type in _STORING)
                return not any(name in _WORD.findall(text(one)) for one in stores)
            here = here.parent
        return False

    def _fits(self, size: Node, given: Node, address: Address, function: Definition) -> bool:
        """Tell whether so many bytes are in an object: a number, its own size, or a type's."""
        spelt = dense(text(size))
        least = _AT_MOST.fullmatch(spelt)
        if least is not None:
            return int(least[1]) <= address.room
        if size.type == "identifier" and self._is_at_most(size, address.room, function):
            return True
        if self._is_counted_well and _COUNTED.search(spelt) is not None:
            return True
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
        local = self._local(found[1], function)
        measured = [local, self._measured(size, function)]
        if any(
            0 < (size_of(one) or 0) // 8 <= address.room
            or (isinstance(one, RecordType) and one == address.ctype and not address.is_untyped)
            for one in measured
        ) or self._is_as_long(found[1], local, given, address, function):
            return True
        named = re.fullmatch(r"sizeof\s*\(\s*((?:struct\s+|union\s+)?\w+)\s*\)", text(size))
        if named is None:
            return False
        types = self._types.declared_in(f"{named[1]} x", "x", function.file)
        if len(types) != 1:
            return False
        is_same = types[0] == address.ctype and not address.is_untyped
        return is_same or 0 < (size_of(types[0]) or 0) // 8 <= address.room

    def _measured(self, size: Node, function: Definition) -> CType:
        """Return the type of what the size is asked of, where that is a number or a record.

        An array would look like a pointer here.
        """
        value = size.child_by_field_name("value")
        root = self._index.node(function)
        ctype = self._mentions.type_of(value, root, function.file) if value is not None else None
        return ctype if isinstance(ctype, IntType | RecordType) else UnknownType("")

    def _local(self, name: str, function: Definition) -> CType:
        """Return the type of a variable of a function, an unknown one where that is not plain.

        A parameter that looks like an array is a pointer.
        """
        here = function.file
        variables = self._mentions.variables(self._index.node(function))
        declared = variables.get(name, [])
        if len(declared) != 1 or self._index.macros(name, here):
            return UnknownType("")
        base, declarator = declared[0]
        words = {*_WORD.findall(text(declarator).partition("=")[0])} - {name}
        if base.parent is None or base.parent.type != "declaration" or words & variables.keys():
            return UnknownType("")
        if syntax.measured(base) is not None:
            return UnknownType("")
        return self._types.declared(declarator, base_type(self._types, base, here), here)[1]

    def _is_as_long(
        self, name: str, local: CType, given: Node, address: Address, function: Definition
    ) -> bool:
        """Tell whether an array of a function has as many elements as a member, as that is spelt.

        What the number is need not be known, where it is a constant of one name.
        """
        if not isinstance(local, ArrayType) or not address.is_array or address.is_untyped:
            return False
        if given.type != "field_expression" or local.element != address.ctype:
            return False
        member = _last_member(given).encode()
        length = re.search(rb"\b%s\s*\[\s*(\w+)\s*\]" % name.encode(), function.text)
        lengths = re.compile(rb"\b%s\s*((?:\[[^\]]*\]\s*)+);" % member)
        found = [
            lengths.findall(strip_comments(one.text))
            for tag in (*self._contexts, *self._fronts)
            if member.decode() in self._names_in(tag)
            for one in self._index.record(f"struct {tag}", function.file)
        ]
        return length is not None and bool(found) and all(n == [b"[%s]" % length[1]] for n in found)


def _holds_array(ctype: CType) -> bool:
    """Tell whether an object is an array, or a part of it is."""
    if isinstance(ctype, RecordType):
        return any(_holds_array(one.type) for one in ctype.members if one.bits is None)
    return isinstance(ctype, ArrayType)


def _addresses(data: bytes, names: Set[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield where the address may be taken of a member with one of some names, and the name."""
    for sign in _AFTER_SIGN.finditer(data):
        for one in _MEMBER.finditer(data, *sign.span()):
            if one[1] in names and _is_address(data, one.start(1)):
                yield one.start(1), one[1]


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


def _last_member(address: Node) -> str:
    """Return the last name in an expression."""
    return str(_WORD.findall(text(address))[-1])


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
