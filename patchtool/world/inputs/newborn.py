# SPDX-License-Identifier: GPL-2.0-only
"""Whether all that a function says of holders is of the one that it is given, or makes.

In: a tree, and a function.  Out: whether each expression in it that leads to a holder, or to a
record that is part of one, or has one as a part, comes from a parameter or from what has just
been made, by value all the way.  What a loop over all of them yields, what is kept in a list or
in another record, and what some other function returns is another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from patchtool.c import syntax
from patchtool.c.conditions import dense
from patchtool.c.index import calls, parameter_names, parameters
from patchtool.c.layout import CType, PointerType, RecordType, UnknownType, settled
from patchtool.c.scan import Definition, strip_comments
from patchtool.c.syntax import Node, text
from patchtool.world.entries import Tree
from patchtool.world.inputs.steady import is_read

_MADE = re.compile(r"\w*alloc\w*")
_TAG = re.compile(rb"\bstruct\s+(\w+)")
_NOTHING = re.compile(r"NULL|0|ERR_PTR\(-\w+\)|ERR_CAST\(\w+\)")
_CONTAINER = re.compile(
    r"container_of(?:_const)?\((\w+),struct\w+,\w+\)|&\(?container_of\((\w+),struct\w+,\w+\)->\w+\)?"
)
"""What contains a variable, or a member of that, without blanks."""
_RETURNS = re.compile(r"return(.*);}")
_LEADING = frozenset({
    "identifier", "field_expression", "subscript_expression", "pointer_expression",
    "call_expression", "cast_expression", "conditional_expression",
})  # fmt: skip
"""What may lead to a record."""
_STORING = frozenset({
    "init_declarator", "assignment_expression", "update_expression", "pointer_expression",
})  # fmt: skip
_DECLARING = ("declarator", "declaration")
_MAX_STEPS = 8
_MOST_CALLED = 32
"""How many functions are looked into for what they return."""
_Key = tuple[str, str, int]


def is_alone(tree: Tree, function: Definition) -> bool:
    """Tell whether a function is given a holder, or makes one, and has to do with no other."""
    if function.key not in tree.alone:
        tree.alone[function.key] = _Names(tree, function).are_of_one()
    return tree.alone[function.key]


def is_container(tree: Tree, name: str, here: str) -> bool:
    """Tell whether a function or macro does no more than to return what contains its argument.

    Or a member of that.
    """
    functions, macros = tree.index.functions(name, here), tree.index.macros(name, here)
    return bool(functions or macros) and all(
        (
            *(_returns_container(one) for one in functions),
            *(_is_written_as_container(one) for one in macros),
        )
    )


def _returns_container(function: Definition) -> bool:
    """Tell whether all that a function does is to return what contains its parameter."""
    body = dense(strip_comments(function.text.partition(b"{")[2]).decode("utf-8", "replace"))
    returned = _RETURNS.fullmatch(body)
    names = parameter_names(function)
    return returned is not None and len(names) == 1 and _contains(returned[1], names[0])


def _is_written_as_container(macro: Definition) -> bool:
    """Tell whether all that a macro stands for is what contains its argument."""
    words = dense(strip_comments(macro.text).decode("utf-8", "replace").replace("\\\n", ""))
    names = macro.parameters or ()
    words = words[1:-1] if words.startswith("(") and words.endswith(")") else words
    return len(names) == 1 and _contains(words.replace(f"({names[0]})", names[0]), names[0])


def _contains(words: str, name: str) -> bool:
    """Tell whether an expression without blanks is what contains a variable."""
    found = _CONTAINER.fullmatch(words)
    return found is not None and name in (found[1], found[2])


class _Names:
    """What leads to holders in one function."""

    def __init__(
        self, tree: Tree, function: Definition, known: dict[_Key, bool] | None = None
    ) -> None:
        self._tree, self._function = tree, function
        self._known = {} if known is None else known
        """Whether functions return what is own; while one is looked into, it does not."""
        self._root = tree.index.node(function)
        self._nodes = list(syntax.descendants(self._root))
        self._own: dict[str, bool] = {}
        """Whether variables lead to what is the function's own."""
        target = tree.index.target
        self._handle, self._host = target.handle, target.host
        self._variables = tree.objects.variables(self._root)
        held = tree.types.record(f"struct {self._handle}", target.main)
        parts = [held] if isinstance(held, RecordType) else []
        parts += [
            inner
            for one in parts
            for _, inner in one.by_name.values()
            if isinstance(inner, RecordType) and self._is_part(inner)
        ]
        self._members = frozenset(name for one in parts for name in one.by_name)

    def are_of_one(self) -> bool:
        """Tell whether there is a holder, and all that leads to one comes from it."""
        if self._root.has_error or not self._names_a_holder():
            return False
        is_any = False
        for one in self._nodes:
            if one.type in _LEADING and self._is_leading(one):
                if not (self._is_own(one, 0) or _is_target(one)):
                    return False
                is_any = True
        return is_any

    def _names_a_holder(self) -> bool:
        """Tell whether a record is named that is a holder, or a part of one, or has one."""
        tags = {tag.decode() for tag in _TAG.findall(self._function.text)}
        types, here = self._tree.types, self._function.file
        some = (types.record(f"struct {tag}", here) for tag in sorted(tags))
        return any(not isinstance(one, RecordType) or self._is_part(one) for one in some)

    def _type_of(self, node: Node) -> CType:
        return self._tree.objects.type_of(node, self._root, self._function.file)

    def _is_leading(self, node: Node) -> bool:
        """Tell whether an expression is a holder, a pointer to one, or leads to a member of one."""
        outer = node.parent
        is_name = node.type == "identifier" and text(node) not in self._variables
        if is_name and outer is not None and outer.type == "call_expression":
            return False  # what is called
        ctype = self._type_of(node)
        if isinstance(ctype, PointerType):
            ctype = settled(ctype.target)
        if isinstance(ctype, UnknownType):
            if outer is not None and outer.type == "argument_list":
                return self._is_taken_for_holder(node, outer)
            if outer is None or outer.type != "field_expression":
                return False
            field = outer.child_by_field_name("field")
            is_base = outer.child_by_field_name("argument") == node
            return is_base and field is not None and text(field) in self._members
        return isinstance(ctype, RecordType) and self._is_part(ctype)

    def _is_taken_for_holder(self, node: Node, listed: Node) -> bool:
        """Tell whether a function that is given a value takes it for a pointer to a holder."""
        call, number = listed.parent, syntax.inner(listed).index(node)
        callee = call.child_by_field_name("function") if call is not None else None
        words = re.findall(r"\w+", text(callee)) if callee is not None else []
        some = [*self._tree.index.functions(words[0], self._function.file)] if words else []
        if callee is not None and callee.type != "identifier":
            some += [one for _, one in self._tree.effects.operations(words[-1])]
        tag = re.compile(rf"\bstruct\s+{self._handle}")
        return any(tag.search(one) for each in some for one in parameters(each)[number:][:1])

    def _is_part(self, record: RecordType) -> bool:
        """Tell whether a record is a holder, has one by value, or is the part that has contexts."""
        return record.tag in (self._handle, self._host) or any(
            isinstance(one.type, RecordType) and one.type.tag in (self._handle, self._host)
            for one in record.flat
        )

    def _is_own(self, node: Node, steps: int) -> bool:
        """Tell whether an expression leads to what the function is given, or has made."""
        if steps > _MAX_STEPS:
            return False
        how: Callable[[Node, int], bool] | None = {
            "parenthesized_expression": self._is_own_within,
            "cast_expression": self._is_own_within,
            "pointer_expression": self._is_own_within,
            "identifier": self._is_own_variable,
            "field_expression": self._is_own_part,
            "call_expression": self._is_made,
        }.get(node.type)
        return how is not None and how(node, steps + 1)

    def _is_own_within(self, node: Node, steps: int) -> bool:
        return self._is_own(syntax.inner(node)[-1], steps)

    def _is_own_part(self, node: Node, steps: int) -> bool:
        """Tell whether a member lies in what is the function's, by its value."""
        base = node.child_by_field_name("argument")
        is_part = isinstance(self._type_of(node), RecordType)
        return is_part and base is not None and self._is_own(base, steps)

    def _is_own_variable(self, node: Node, steps: int) -> bool:
        """Tell whether a variable is a parameter, or is made to point to what is own alone."""
        name = text(node)
        if name not in self._own:
            self._own[name] = False  # where what it is made of leads back to it
            self._own[name] = self._is_made_of_own(name, steps)
        return self._own[name]

    def _is_made_of_own(self, name: str, steps: int) -> bool:
        declared = self._variables.get(name, [])
        if len(declared) != 1 or _is_kept(declared[0][0]) or self._may_be_set(name):
            return False
        values = self._stored(name)
        is_given = declared[0][0].parent is not None and (
            declared[0][0].parent.type == "parameter_declaration"
        )
        if None in values or is_given:
            return is_given and not values
        return bool(values) and all(
            one is not None
            and (_NOTHING.fullmatch("".join(text(one).split())) or self._is_own(one, steps))
            for one in values
        )

    def _stored(self, name: str) -> list[Node | None]:
        """Return what a variable is made to be; None stands for what is not known."""
        found: list[Node | None] = []
        for one in self._nodes:
            if one.type not in _STORING:
                continue
            left, right = one.child_by_field_name("left"), one.child_by_field_name("right")
            if one.type == "init_declarator":
                declared, right = (
                    one.child_by_field_name("declarator"),
                    one.child_by_field_name("value"),
                )
                words = re.findall(r"\w+", text(declared)) if declared is not None else []
                if words[-1:] == [name]:
                    found.append(right)
            elif one.type == "assignment_expression" and left is not None:
                if text(left).strip("() ") == name:
                    found.append(right if text(one.children[1]) == "=" else None)
            elif one.type in ("update_expression", "pointer_expression"):
                if text(one).strip("()+-& ") == name and not text(one).startswith("*"):
                    found.append(None)
        return found

    def _may_be_set(self, name: str) -> bool:
        """Tell whether anything else than a plain store may be done to a variable."""
        return self._tree.objects.is_named_by_macro(self._function, name) or any(
            one.type == "identifier"
            and text(one) == name
            and one.parent is not None
            and not (one.parent.type in _STORING or one.parent.type.endswith(_DECLARING))
            and not is_read(self._tree, self._function.file, one)
            for one in self._nodes
        )

    def _is_made(self, node: Node, steps: int) -> bool:
        """Tell whether a call makes a holder, or returns what contains one that is own."""
        callee = node.child_by_field_name("function")
        words = re.findall(r"\w+", text(callee)) if callee is not None else []
        if not words:
            return False
        given = syntax.arguments(node)
        if words == ["container_of"] and given:
            return self._is_own(given[0], steps)
        if len(given) == 1 and is_container(self._tree, words[0], self._function.file):
            return self._is_own(given[0], steps)
        births = self._tree.index.target.registers.births
        if re.fullmatch(births, words[-1]) is not None:
            return True
        if _MADE.fullmatch(words[0]) is not None and len(words) == 1:
            return self._is_allocated(words[0], given, steps)
        made = [*self._tree.effects.operations(words[-1])]
        return bool(made) and all(re.fullmatch(births, name) for name, _ in made)

    def _is_allocated(self, name: str, given: list[Node], steps: int) -> bool:
        """Tell whether a function allocates what it returns: by its name, where it has no text."""
        index, here = self._tree.index, self._function.file
        some = (*index.functions(name, here), *index.macros(name, here))
        ours = [one for one in some if one.file.startswith(index.target.ours)]
        return all(map(self._returns_own, ours)) and all(
            self._is_own(one, steps) for one in given if self._is_leading(one)
        )

    def _returns_own(self, called: Definition) -> bool:
        """Tell whether all that a function returns is what it is given, or has made."""
        if called.kind != "function" or len(self._known) > _MOST_CALLED:
            return False
        if called.key not in self._known:
            self._known[called.key] = False
            names = _Names(self._tree, called, self._known)
            self._known[called.key] = names.are_own(
                value
                for one in names._nodes
                if one.type == "return_statement"
                for value in syntax.inner(one)
            )
        return self._known[called.key]

    def are_own(self, values: Iterable[Node]) -> bool:
        """Tell whether some values, one at least, are own, and no macro has others."""
        index, values = self._tree.index, list(values)
        written = (
            macro
            for one in calls(self._function.text.partition(b"{")[2])
            for macro in index.macros(one, self._function.file)
        )
        return (
            bool(values)
            and not self._root.has_error
            and not any(macro.file.startswith(index.target.ours) for macro in written)
            and all(
                _NOTHING.fullmatch("".join(text(one).split())) or self._is_own(one, 0)
                for one in values
            )
        )


def _is_kept(described: Node) -> bool:
    """Tell whether a variable of a type may hold what an earlier call has stored to it."""
    around = described.parent.children if described.parent is not None else []
    return any(one.type == "storage_class_specifier" for one in around)


def _is_target(node: Node) -> bool:
    """Tell whether an expression is what is stored to, and not what that leads to."""
    outer = node.parent
    return (
        outer is not None
        and outer.type == "assignment_expression"
        and outer.child_by_field_name("left") == node
        and node.type == "field_expression"
    )
