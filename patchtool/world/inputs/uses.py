# SPDX-License-Identifier: GPL-2.0-only
"""What one function does with pointers to the records by which a guest is told of its CPU.

In: a function, and the words that stand for such pointers.  Out: where it stores through one,
what it keeps of them, and what it returns.  What only reads, compares, counts or moves a
pointer is known by its form; all else is a store to any member.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import NamedTuple

from patchtool.c import library, syntax
from patchtool.c.index import Index, parameter_names, parameters
from patchtool.c.scan import WORDS, Definition
from patchtool.c.syntax import Node, text
from patchtool.world.inputs.spelt import DECLARATORS, GIVES_BACK, VALUES, Spelt
from patchtool.world.inputs.words import Words

_ANSWERS = r"GENMASK\w*|FIELD_GET"
_PRINTS = re.compile(r"pr_\w+|printk\w*|WARN\w*|BUG_ON|\w*(?:WARN|BUG)_ON\w*")
_TAKES_TYPE = re.compile(r"(?!\w*realloc)\w*alloc\w*|\w*array\w*_size|struct_size|size_(?:add|mul)")
YIELDS = (library.YIELDING | library.SAME) - {"xchg"}
_STORE = rb"\s*(?:(?:[-+*/%|&^]|<<|>>)?=(?!=)|\+\+|--)"
_OF_USER = re.compile(rb"\bstruct\s+\w+\s+__user\s*\*\s*(?:const\s+)?(\w+)")
_NAMES = ("identifier", "field_identifier")


class Store(NamedTuple):
    """A store through a pointer: where it ends, to which members (None: any), and the pointer.

    There is none where it is not known.  ``told`` is the number of the parameter that says
    which feature is changed.
    """

    at: int
    members: frozenset[str] | None
    through: Node | None
    told: int | None = None


class _Use(NamedTuple):
    """What an expression is: a "pointer", an "object", a "member" or its address, a "register"."""

    kind: str
    members: frozenset[str] | None = None
    through: Node | None = None


class _Wanted(Exception):
    """A macro has to be written out."""


class Uses(Spelt):
    """The uses of such pointers in one function."""

    def __init__(self, index: Index, words: Words, function: Definition) -> None:
        self.words = words
        self._spoken = words.among(frozenset(function.text.translate(WORDS).split()))
        spelt = {one.decode() for one in self._spoken if words.is_reading(one)}
        spelt |= {one for one in words.macros if one.encode() in self._spoken}
        while True:
            super().__init__(index, function, spelt)
            self._clear()
            try:
                self._read(spelt)
                return
            except _Wanted as wanted:
                name = str(wanted)
                if name in spelt:
                    self._clear()
                    self._strange()
                    return
                spelt.add(name)

    def _clear(self) -> None:
        self.stores: list[Store] = []
        self.assigned: list[tuple[str, Node | None]] = []
        """What is assigned to members, by their names."""
        self.returned: list[Node] = []
        self.escapes: list[tuple[int, Node]] = []
        """Where a pointer is kept by something else than a variable or a function that is known."""
        self.handed: list[tuple[Node, str, int, Node]] = []
        """The calls that are given a pointer: the name, the number of the argument, and it."""
        self.addresses: frozenset[str] | None = frozenset()
        """The members of which it returns the address."""
        self.is_getter = False
        self._led: list[int] = []
        self.pointers, self.arrays, self.objects = set[str](), set[str](), set[str]()
        self.registers: dict[str, frozenset[str] | None] = {}
        """The variables that hold the address of a member."""

    def _strange(self) -> None:
        self.stores.append(Store(len(self.text) - 1, None, None))

    def _read(self, spelt: set[str]) -> None:
        """Look at each place where one of the words stands."""
        data, tag = self.text, self.words.tag.encode()
        head = data.partition(b"{")[0]
        self.returns = re.search(rb"\b%s\b[^(]*\*[^(]*\(" % tag, head) is not None
        self.users = {one.decode() for one in _OF_USER.findall(data)}
        for node in self.at({self.words.tag}, ("type_identifier",)):
            self._declared(node)
        self._spell_locals(spelt)
        known = {*self.words.members, *self.words.globals, *self.words.getters}
        known |= {*self.words.registers, *self.pointers, *self.arrays, *self.objects}
        for node in self.at(known, _NAMES):
            self._source(node)
        strange = any(re.search(rb"\b%s\b" % one.encode(), data) for one in self.words.strange)
        if strange or self.unspelt:
            self._strange()
        if self.root.has_error and syntax.errors(self.root):
            stored = "|".join(sorted(self.words.stored)).encode()
            if re.search(rb"(?:->|\.)\s*(?:%s)\b%s" % (stored, _STORE), data):
                self._strange()

    def _spell_locals(self, spelt: set[str]) -> None:
        """Have the macros written out that name a variable which is a pointer to a record."""
        names = {one.encode() for one in self.pointers | self.arrays | self.objects}
        for word in self._spoken if names else ():
            if not names.isdisjoint(self.words.inner(word)) and word.decode() not in spelt:
                raise _Wanted(word.decode())

    # -- where pointers come from --------------------------------------------------------

    def _declared(self, node: Node) -> None:
        """Note what is declared where the tag of the record stands."""
        holder = node.parent
        above = holder.parent if holder is not None else None
        if above is None or above.type == "function_definition":
            return
        if above.type == "type_descriptor":
            above = above.parent
            if above is not None and above.type == "cast_expression":
                self._follow(above, _Use("pointer"))
            elif above is not None and above.type == "compound_literal_expression":
                self._follow(above, _Use("object", None, above))
            elif above is None or above.type not in ("sizeof_expression", "offsetof_expression"):
                if not self._is_type_argument(node):
                    self._strange()
            return
        if above.type not in ("declaration", "parameter_declaration"):
            if not self._is_type_argument(node):
                self._strange()
            return
        declared = above.children_by_field_name("declarator")
        for one in declared:
            self._declare(one, node)

    def _is_type_argument(self, node: Node) -> bool:
        """Tell whether a type is what something is allocated for, or measured."""
        here: Node | None = node
        while here is not None and here.type != "call_expression":
            here = here.parent if here.type != "compound_statement" else None
        called = here.child_by_field_name("function") if here is not None else None
        name = text(called) if called is not None else ""
        return name.encode() in library.OF_TYPES or _TAKES_TYPE.fullmatch(name) is not None

    def _declare(self, declarator: Node, tag: Node) -> None:
        here: Node | None = declarator
        if here is not None and here.type == "init_declarator":
            here = here.child_by_field_name("declarator")
        depth, is_array = 0, False
        while here is not None and here.type in DECLARATORS:
            depth += here.type == "pointer_declarator"
            is_array = is_array or here.type == "array_declarator"
            inner = here.child_by_field_name("declarator")
            here = inner or next((n for n in here.named_children if n.type != "comment"), None)
        if here is None or here.type.startswith("abstract"):
            return
        name = text(here)
        if here.type == "function_declarator":
            pointed = here.child_by_field_name("declarator")
            if pointed is not None and pointed.type == "parenthesized_declarator":
                self._strange()  # a pointer to a function that returns one
        elif b"__user" in self.text[tag.end_byte : here.start_byte]:
            self.users.add(name)
        elif here.type != "identifier" or depth > 1 or (depth and is_array):
            self._strange()
        elif depth:
            self.pointers.add(name)
        elif is_array:
            outer = declarator.parent
            is_given = outer is not None and outer.type == "parameter_declaration"
            (self.pointers if is_given else self.arrays).add(name)
        else:
            self.objects.add(name)

    def _source(self, node: Node) -> None:
        """Follow what a name stands for."""
        name, outer = text(node), node.parent
        if outer is None:
            return
        if node.type == "field_identifier":
            if outer.type == "field_expression" and name in self.words.members:
                if self._is_of_holder(outer, name):
                    is_pointer = name in self.words.pointers | self.words.arrays
                    self._follow(outer, _Use("pointer" if is_pointer else "object", None, outer))
            elif outer.type == "field_designator" and name in self.words.members:
                pair = outer.parent
                value = pair.child_by_field_name("value") if pair is not None else None
                self.assigned.append((name, value))
            return
        if self.is_declarator(node):
            return
        if name in self.objects:
            self._follow(node, _Use("object", None, node))
        elif name in self.pointers or name in self.arrays:
            self._follow(node, _Use("pointer"))
        elif name in self.words.getters or name in self.words.registers:
            if name == self.function.name and outer.type == "function_declarator":
                return
            if outer.type == "call_expression" and outer.child_by_field_name("function") == node:
                if name in self.words.getters:
                    self._follow(outer, _Use("pointer"))
                else:
                    self._follow(outer, _Use("register", self.words.registers[name], outer))
            elif self.declared(name) is None:
                self.stores.append(Store(node.end_byte, None, None))
        elif name in self.words.globals and self.declared(name) is None:
            self._follow(node, _Use("pointer"))

    def _is_of_holder(self, field_of: Node, member: str) -> bool:
        """Tell whether a member of some name may be one that holds such a record."""
        base = field_of.child_by_field_name("argument")
        root = base
        while root is not None and root.type in ("field_expression", "subscript_expression"):
            root = root.child_by_field_name("argument")
        if root is not None and text(root) in self.users:
            return False
        if base is None or member in self.words.kept or "" in self.words.members[member]:
            return True
        while base.type == "subscript_expression" and base.named_children:
            base = base.named_children[0]
        if base.type == "field_expression":
            inner = base.child_by_field_name("field")
            return inner is not None and text(inner) in self.words.holding
        if base.type != "identifier":
            return True
        name = re.escape(text(base)).encode()
        typed = re.search(rb"\bstruct\s+(\w+)\s*(?:const\s*)?\**\s*%s\b" % name, self.text)
        return typed is None or typed[1].decode() in self.words.members[member]

    # -- what becomes of them ------------------------------------------------------------

    def _store(self, at: int, use: _Use, node: Node, told: int | None = None) -> None:
        through = node if use.kind == "pointer" else use.through
        members = use.members if use.kind in ("member", "register") else None
        self.stores.append(Store(at, members, through, told))

    def _escape(self, node: Node, use: _Use, at: int) -> None:
        """Note that something unknown may store through an expression, and keep it."""
        self._store(at, use, node)
        self.escapes.append((at, node))

    def _follow(self, node: Node, use: _Use) -> None:
        """Go up from an expression as far as it is a pointer, a record or a word of one."""
        self._led.append(node.start_byte)
        while True:
            outer = node.parent
            if outer is None:
                return
            if outer.type in ("parenthesized_expression", "comma_expression"):
                if outer.type == "comma_expression" and outer.child_by_field_name("right") != node:
                    return
                if outer.parent is not None and outer.parent.type in VALUES:
                    self._spell_loop(outer.parent, node, use)
                    return
                node = outer
                continue
            if outer.type == "expression_statement":
                value = self._value_of_block(outer)
                if value is None:
                    return
                node = value
                continue
            if outer.type in VALUES or outer.type == "compound_statement":
                return
            further = getattr(self, f"_{use.kind}")(node, outer, use)
            if further is None:
                return
            node, use = further

    def _spell_loop(self, statement: Node, node: Node, use: _Use) -> None:
        """Have a macro written out that heads a statement, and is given a pointer."""
        if syntax.loop_macro(statement):
            name = re.match(rb"\w+", self.text[statement.start_byte :])
            if name is not None and self.index.macros(name[0].decode(), self.function.file):
                raise _Wanted(name[0].decode())
            self._escape(node, use, node.end_byte)

    @staticmethod
    def _value_of_block(statement: Node) -> Node | None:
        """Return the expression that has the value of a statement, None where none has."""
        block = statement.parent
        outer = block.parent if block is not None and block.type == "compound_statement" else None
        if block is None or outer is None or outer.type != "parenthesized_expression":
            return None
        return outer if syntax.inner(block)[-1] == statement else None

    def _pointer(self, node: Node, outer: Node, use: _Use) -> tuple[Node, _Use] | None:
        kind = outer.type
        if kind == "field_expression":
            return self._member_of(node, outer)
        if kind == "subscript_expression":
            if outer.child_by_field_name("argument") == node:
                return outer, _Use("object", None, outer)
        elif kind == "pointer_expression":
            if text(outer).startswith("*"):
                return outer, _Use("object", None, node)
            if self._is_array(node):
                return outer, _Use("address", None, node)
            self.stores.append(Store(outer.end_byte, None, None))
            self.escapes.append((outer.end_byte, node))
            named = node.child_by_field_name("field")
            if named is not None:
                self.assigned.append((text(named), None))
            return None
        elif kind == "binary_expression":
            sign = text(outer.children[1])
            if sign in ("+", "-"):
                other = outer.children[2] if outer.children[0] == node else outer.children[0]
                is_distance = sign == "-" and self._is_pointer(other)
                return None if is_distance else (outer, use)
            if sign in ("==", "!=", "<", ">", "<=", ">=", "&&", "||"):
                return None
        elif kind == "unary_expression":
            if text(outer).startswith("!"):
                return None
        elif kind == "update_expression":
            return outer, use
        elif kind == "assignment_expression":
            return self._assigned(node, outer, use)
        elif kind == "init_declarator":
            declared = self._name_of(outer.child_by_field_name("declarator"))
            if declared in self.pointers:
                return None
        elif kind == "initializer_pair":
            designated = re.fullmatch(r"\.\s*(\w+)", text(outer.named_children[0]))
            if designated is not None and designated[1] in self.words.pointers:
                self.escapes.append((outer.end_byte, node))
                return None
        elif kind == "return_statement":
            if self.returns:
                self.returned.append(node)
                return None
        elif kind == "conditional_expression":
            return self._chosen(node, outer, use)
        elif kind == "cast_expression":
            tag = self.words.tag
            if re.match(rf"\(\s*(?:const\s+)?struct\s+{tag}\b[^()]*\*", text(outer)):
                return outer, use
            return outer, _Use("address", None, node)
        elif kind == "argument_list":
            return self._given(node, outer, use)
        self._escape(node, use, outer.end_byte)
        return None

    def _address(self, node: Node, outer: Node, use: _Use) -> tuple[Node, _Use] | None:
        """Go up from an address of which the type is another one: it may only be read."""
        if outer.type == "cast_expression":
            return outer, use
        if outer.type == "argument_list" and (found := self.call(node, outer)) is not None:
            _, name, number = found
            if not self.is_own(name):
                is_read = number in library.READING.get(name, ())
                if is_read or GIVES_BACK.fullmatch(name) is not None:
                    return None
        self._escape(use.through or node, _Use("pointer"), outer.end_byte)
        return None

    def _object(self, node: Node, outer: Node, use: _Use) -> tuple[Node, _Use] | None:
        kind = outer.type
        if kind == "field_expression":
            return self._member_of(use.through or node, outer)
        if kind == "pointer_expression" and text(outer).startswith("&"):
            return outer, _Use("pointer")
        if kind == "assignment_expression":
            if outer.child_by_field_name("left") == node:
                self._store(outer.children[1].end_byte, use, node)
            return None
        if kind in ("init_declarator", "initializer_pair", "return_statement"):
            return None
        if kind == "conditional_expression":
            return self._chosen(node, outer, use)
        if kind == "argument_list":
            return self._given(node, outer, use)
        self._escape(node, use, outer.end_byte)
        return None

    def _member(self, node: Node, outer: Node, use: _Use) -> tuple[Node, _Use] | None:
        kind = outer.type
        if kind in ("field_expression", "subscript_expression"):
            if outer.child_by_field_name("argument") == node:
                return outer, use
        elif kind == "assignment_expression":
            if outer.child_by_field_name("left") == node:
                told = self._told(outer)
                self._store(outer.children[1].end_byte, use, node, told)
        elif kind == "update_expression":
            self._store(outer.end_byte, use, node)
        elif kind == "pointer_expression" and text(outer).startswith("&"):
            return outer, _Use("register", use.members, use.through)
        elif kind == "argument_list":
            return self._given(node, outer, use)
        elif kind in ("gnu_asm_output_operand", "gnu_asm_input_operand", "generic_expression"):
            self._store(outer.end_byte, use, node)
        return None

    def _register(self, node: Node, outer: Node, use: _Use) -> tuple[Node, _Use] | None:
        kind = outer.type
        if kind == "pointer_expression" and text(outer).startswith("*"):
            return outer, _Use("member", use.members, node)
        if kind == "subscript_expression" and outer.child_by_field_name("argument") == node:
            return outer, _Use("member", None, node)
        if kind == "binary_expression":
            sign = text(outer.children[1])
            if sign in ("==", "!=", "&&", "||"):
                return None
        elif kind == "unary_expression" and text(outer).startswith("!"):
            return None
        elif kind == "conditional_expression":
            return self._chosen(node, outer, use)
        elif kind == "return_statement":
            head = self.text.partition(b"{")[0].partition(b"(")[0]
            if b"*" in head and not self.returns:
                self.is_getter = True
                self.returned.append(node)
                known = self.addresses
                self.addresses = None
                if known is not None and use.members is not None:
                    self.addresses = known | use.members
                return None
        elif kind in ("init_declarator", "assignment_expression"):
            is_first = kind == "init_declarator"
            target = outer.child_by_field_name("declarator" if is_first else "left")
            if target == node:
                return None
            is_pointer = target is not None and target.type == "pointer_declarator"
            name = self._name_of(target)
            if (is_pointer or not is_first) and name and self.declared(name) is not None:
                self._hold(name, use.members)
                return None if is_first else (outer, use)
        self._escape(node, _Use("register", None, use.through), outer.end_byte)
        return None

    def _hold(self, name: str, members: frozenset[str] | None) -> None:
        """Follow a variable that holds the address of a member."""
        known = self.registers.get(name, frozenset())
        both = known | members if known is not None and members is not None else None
        if name in self.registers and both == known:
            return
        self.registers[name] = both
        for node in self.at({name}, ("identifier",)):
            if not self.is_declarator(node):
                self._follow(node, _Use("register", both, node))

    def _member_of(self, base: Node, outer: Node) -> tuple[Node, _Use] | None:
        name = outer.child_by_field_name("field")
        return outer, _Use("member", frozenset((text(name),)) if name is not None else None, base)

    def _chosen(self, node: Node, outer: Node, use: _Use) -> tuple[Node, _Use] | None:
        is_asked = outer.child_by_field_name("condition") == node
        is_short = outer.child_by_field_name("consequence") is None
        return (outer, use) if not is_asked or is_short else None

    def _assigned(self, node: Node, outer: Node, use: _Use) -> tuple[Node, _Use] | None:
        left, sign = outer.child_by_field_name("left"), text(outer.children[1])
        if left == node:
            bare = node
            while bare.type == "parenthesized_expression" and bare.named_children:
                bare = bare.named_children[0]
            if bare.type == "field_expression" and sign == "=":
                name = bare.child_by_field_name("field")
                value = outer.child_by_field_name("right")
                self.assigned.append((text(name) if name is not None else "", value))
            return outer, use
        while left is not None and left.type == "parenthesized_expression" and left.named_children:
            left = left.named_children[0]
        if left is not None and left.type == "field_expression":
            named = left.child_by_field_name("field")
            if named is not None and text(named) in self.words.pointers:
                self.escapes.append((outer.end_byte, node))
                return outer, use
        elif left is not None and text(left) in self.words.globals | self.pointers:
            if text(left) not in self.pointers:
                self.escapes.append((outer.end_byte, node))
            return outer, use
        self._escape(node, use, outer.end_byte)
        return None

    def _given(self, node: Node, outer: Node, use: _Use) -> tuple[Node, _Use] | None:
        """Go on from what a call is given."""
        found = self.call(node, outer)
        if found is None:
            self._escape(node, use, outer.end_byte)
            return None
        call, name, number = found
        target, here = self.index.target, self.function.file
        is_value = use.kind in ("member", "object")
        if library.is_check(name, target) or _PRINTS.fullmatch(name):
            return None
        if not self.is_own(name):
            if number in library.READING.get(name, ()) and use.kind != "register":
                return None
            if name in YIELDS and number == 0:
                return call, use
            if name == "swap" and use.kind == "pointer" and self._swapped(node, call):
                return None
            if use.kind == "pointer" and GIVES_BACK.fullmatch(name):
                return None
            if use.kind != "register" and _TAKES_TYPE.fullmatch(name):
                return None
            is_answer = library.answers_by_arguments(name, target) or re.fullmatch(
                f"{_ANSWERS}|{target.registers.tables.values}", name
            )
            if use.kind == "member" and is_answer:
                return None
        elif self.index.macros(name, here):
            raise _Wanted(name)
        functions = self.index.functions(name, here) if name else ()
        if functions and use.kind != "register":
            if is_value and all(one.kind == "function" for one in functions):
                if use.kind == "object" or use.members is None or use.members <= self.words.stored:
                    return None
            elif all(self._takes(one, number) for one in functions):
                self.handed.append((call, name, number, node))
                return None
        self._escape(node, use, call.end_byte)
        return None

    def _takes(self, function: Definition, number: int) -> bool:
        """Tell whether a parameter of a function is a pointer to the record."""
        given = parameters(function)
        words = given[number] if number < len(given) else ""
        pointer = re.compile(rf"\b{self.words.tag}\b[^*]*(?:\*[^*]*|\[[^\[]*)$")
        return pointer.search(words) is not None and "__user" not in words

    def _swapped(self, node: Node, call: Node) -> bool:
        """Note that two pointers change places; tell whether both are known."""
        given = syntax.arguments(call)
        if len(given) != 2:
            return False
        other = given[1] if given[0] == node else given[0]
        self.escapes.append((call.end_byte, node))
        if node.type == "field_expression":
            named = node.child_by_field_name("field")
            self.assigned.append((text(named) if named is not None else "", other))
            return self._is_pointer(other)
        return text(node) in self.pointers and self._is_pointer(other)

    def _told(self, store: Node) -> int | None:
        """Return which parameter says which feature a store changes."""
        names, name = parameter_names(self.function), self.words.parameter
        if not name or name not in names:
            return None
        right = store.child_by_field_name("right")
        is_bound = right is not None and re.search(rf"\b{name}\b", text(right)) is not None
        return names.index(name) if is_bound else None

    # -- what is known of an expression --------------------------------------------------

    def _is_pointer(self, node: Node) -> bool:
        """Tell whether an expression is a pointer that stands there by itself."""
        while node.type == "parenthesized_expression" and node.named_children:
            node = node.named_children[0]
        if node.type == "identifier":
            return text(node) in self.pointers | self.arrays | self.words.globals
        if node.type == "field_expression":
            named = node.child_by_field_name("field")
            return named is not None and text(named) in self.words.members
        return node.type == "pointer_expression" and text(node).startswith("&")

    def _is_array(self, node: Node) -> bool:
        if node.type == "identifier":
            return text(node) in self.arrays
        named = node.child_by_field_name("field") if node.type == "field_expression" else None
        return named is not None and text(named) not in self.words.pointers

    def leads(self, node: Node) -> bool:
        """Tell whether a pointer to such a record stands in an expression."""
        return any(node.start_byte <= one < node.end_byte for one in self._led)

    @staticmethod
    def _name_of(declarator: Node | None) -> str:
        here = declarator
        while here is not None and here.type in DECLARATORS:
            here = here.child_by_field_name("declarator")
        return text(here) if here is not None and here.type == "identifier" else ""

    @cached_property
    def has_handle(self) -> bool:
        """Tell whether the function has to do with what holds the contexts."""
        return self.index.target.handle.encode() in self.function.text
