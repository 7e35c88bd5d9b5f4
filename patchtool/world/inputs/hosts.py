# SPDX-License-Identifier: GPL-2.0-only
"""What hosts have: the values that an object is given when it is loaded.

In: an object of file scope that is alike for all that it serves.  Out: the constants that reach it,
each with the files it comes through, and the parameter of a module that it holds.  No flow
is followed: every constant that some call passes or returns counts.  No proof rests on these
values, they only pick a witness.  One may rest on the objects without which another is not set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchtool.c import syntax
from patchtool.c.conditions import holding
from patchtool.c.index import expand
from patchtool.c.memory import Fact
from patchtool.c.scan import Definition, before, places
from patchtool.c.syntax import Node
from patchtool.model import Place
from patchtool.proof.bits import Word
from patchtool.world.built import modules
from patchtool.world.effects import object_stores
from patchtool.world.entries import Assigned, Tree
from patchtool.world.inputs.constants import PARAMETER, is_fixed
from patchtool.world.roles import callers

_DEEPEST = 6
_INITIALISER = re.compile(rb"\s*(?:__\w+(?:\([^()]*\))?\s*)*=(?!=)\s*([^,;]*)")
_ZERO = re.compile(rb"[\s(]*(?:0[xX]?0*[uUlL]*|false|NULL)[\s)]*")


def usual(tree: Tree, word: Word, vendor: str) -> tuple[int, ...]:
    """Return the values that a constant of the host has where the vendor's module is loaded.

    None at all where they are not known.  0 stands for what a host lacks, or for what is
    not set yet; it counts where there is nothing else.
    """
    if isinstance(word.about, Fact) and word.about.kind == "operation":
        function = word.about.other
        if (left_out := tree.effects.left_out(word.about.name)) and function == "NULL":
            return (int(left_out.place.file.startswith(vendor)),)
        files = {one.file for one in tree.index.functions(function, tree.roles.here)}
        files |= {file.path for file, _ in tree.index.users(function)}
        return (int(any(file.startswith(vendor) for file in files)),)
    symbol = word.name
    if symbol not in tree.assigned:
        tree.assigned[symbol] = assigned(tree, symbol) if symbol.isidentifier() else ()
    values = {
        one.value for one in tree.assigned[symbol] if one.is_for(vendor, tree.index.target.vendors)
    }
    return tuple(sorted(values - {0} or values))


def assigned(tree: Tree, name: str) -> tuple[Assigned, ...]:
    """Return the values that an object is given; none where one of them is not known."""
    found: set[Assigned] = set()
    for _, writer in tree.index.users(name):
        if not any(object_stores(writer.text.partition(b"{")[2], name.encode())):
            continue
        for value in _stored(tree.index.node(writer), name):
            reached = None if value is None else _values(tree, value, writer, _DEEPEST)
            if reached is None:
                return ()
            through = frozenset({writer.file}) | _only_caller(tree, writer)
            found |= {one._replace(files=one.files | through) for one in reached}
    return tuple(sorted(found, key=lambda one: (one.value, sorted(one.files))))


def mirrored(tree: Tree, name: str, vendor: str) -> dict[str, Place]:
    """Return the objects without which another one is not set on a vendor's hosts, and where it is.

    All that is stored to it there is what they hold, or is stored where they are found set, and
    nothing stores to them behind that.  None are returned where it is set from the start.
    """
    if not _begins_unset(tree, name):
        return {}
    found: dict[str, Place] | None = None
    for _, writer in tree.index.users(name):
        if not any(object_stores(writer.text.partition(b"{")[2], name.encode())):
            continue
        for value in _stored(tree.index.node(writer), name):
            if value is None:
                return {}
            number = _values(tree, value, writer, 1) if value.type != "identifier" else None
            if number is not None and {one.value for one in number} == {0}:
                continue
            position = _parameter(tree, syntax.text(value), writer)
            if position is None and number is None:
                return {}
            for site in _sites(tree, writer, vendor, _DEEPEST, position):
                found = site if found is None else {k: v for k, v in found.items() if k in site}
    return found or {}


def _begins_unset(tree: Tree, name: str) -> bool:
    """Tell whether an object is known to be 0 until something is stored to it."""
    declared = tree.index.declaration(name, tree.roles.here)
    if declared is None or declared[2].split(maxsplit=1)[0] == "extern":
        return False
    word = name.encode()
    for file in tree.index.files_with(word):
        for at in places(file.data, word):
            value = _INITIALISER.match(file.data, at + len(word))
            if value is None or file.function_at(at) is not None:
                continue
            if not before(file.data, at).endswith((b".", b"->")) and not _ZERO.fullmatch(value[1]):
                return False
    return parameter_of(tree, name) is None


def _sites(
    tree: Tree, function: Definition, vendor: str, depth: int, position: int | None
) -> Iterator[dict[str, Place]]:
    """Yield for each call by a vendor the objects that are set there, or are what is passed."""
    above = [one for one in callers(tree.index, function.name) if one.key != function.key]
    if not above or depth == 0:
        yield {}
    for caller in above:
        if not caller.file.startswith(vendor):
            if not any(caller.file.startswith(one) for one in tree.index.target.vendors):
                yield {}
            continue
        root = tree.index.node(caller)
        for node in syntax.descendants(root):
            if node.type != "call_expression" or _called(node) != function.name:
                continue
            if position is None:
                words = {one for one in holding(root, node.start_byte) if one.isidentifier()}
            else:
                arguments = node.child_by_field_name("arguments")
                given = [] if arguments is None else arguments.named_children
                words = {syntax.text(one) for one in given[position : position + 1]}
            where = Place(caller.file, caller.line + node.start_point[0], 1, caller.name)
            kept = {one: where for one in words if _is_settled(tree, one, caller, node.start_byte)}
            if kept or position is not None or not words <= kept.keys():
                yield kept
            else:
                yield from _sites(tree, caller, vendor, depth - 1, None)


def _is_settled(tree: Tree, name: str, function: Definition, at: int) -> bool:
    """Tell whether nothing stores to an object behind a place of a function, nor elsewhere."""
    if not name.isidentifier() or tree.index.declaration(name, function.file) is None:
        return False
    writers = is_fixed(tree, name)
    return writers is not None and all(
        one.key == function.key
        and all(place < at for place in object_stores(one.text, name.encode()))
        for one in writers
    )


def _only_caller(tree: Tree, function: Definition) -> frozenset[str]:
    """Return the one file that calls a function, if there is but one."""
    files = {one.file for one in callers(tree.index, function.name)}
    return frozenset(files if len(files) == 1 else ())


def _stored(node: Node, name: str) -> Iterator[Node | None]:
    """Yield what a function stores to an object; None for a store of another form."""
    for inner in syntax.descendants(node):
        if inner.type == "assignment_expression":
            left = inner.child_by_field_name("left")
            if left is not None and syntax.text(left) == name:
                operator = inner.child_by_field_name("operator")
                plain = operator is not None and syntax.text(operator) == "="
                yield inner.child_by_field_name("right") if plain else None
        elif inner.type in ("update_expression", "pointer_expression"):
            operand = inner.child_by_field_name("argument")
            if operand is not None and syntax.text(operand) == name:
                yield None


def parameter_of(tree: Tree, name: str) -> str | None:
    """Return what the command line calls the parameter that an object holds: ``module.name``.

    None where a declaration says of no module that it has one.
    """
    word = name.encode()
    for file in tree.index.files_with(word) if name.isidentifier() else ():
        for found in PARAMETER.finditer(file.data):
            called, *held = (one.strip().lstrip(b"&") for one in found[2].split(b","))
            if word in held[:2] or (
                word == called and not found[1].startswith((b"_named", b"_cb"))
            ):
                module = modules(tree).get(file.path, tree.index.target.module)
                return f"{module.replace('-', '_')}.{called.decode('utf-8', 'replace')}"
    return None


_Values = set[Assigned]


def _values(tree: Tree, node: Node, inside: Definition, depth: int) -> _Values | None:
    """Return the constants that an expression may be; None where it may be something else."""
    if depth == 0:
        return None
    kind = node.type
    if kind == "number_literal":
        return _number(syntax.text(node))
    if kind in ("true", "false"):
        return {Assigned(int(kind == "true"), frozenset())}
    if kind == "parenthesized_expression" and len(node.named_children) == 1:
        return _values(tree, node.named_children[0], inside, depth)
    if kind == "cast_expression":
        value = node.child_by_field_name("value")
        return None if value is None else _values(tree, value, inside, depth)
    if kind == "conditional_expression":
        arms = [node.child_by_field_name(side) for side in ("consequence", "alternative")]
        return _union(_values(tree, arm, inside, depth) if arm else None for arm in arms)
    if kind == "binary_expression":
        return _combined(tree, node, inside, depth)
    if kind == "identifier":
        return _named(tree, syntax.text(node), inside, depth)
    if kind == "call_expression":
        return _returned(tree, node, inside, depth)
    return None


def _union(parts: Iterator[_Values | None]) -> _Values | None:
    found: _Values = set()
    for part in parts:
        if part is None:
            return None
        found |= part
    return found


def _number(text: str) -> _Values | None:
    try:
        return {Assigned(int(text.rstrip("uUlL"), 0), frozenset())}
    except ValueError:
        return None


def _combined(tree: Tree, node: Node, inside: Definition, depth: int) -> _Values | None:
    sides = [node.child_by_field_name(side) for side in ("left", "right")]
    operator = node.child_by_field_name("operator")
    apply = _OPERATORS.get(syntax.text(operator)) if operator is not None else None
    values = [_values(tree, side, inside, depth) if side else None for side in sides]
    if apply is None or values[0] is None or values[1] is None:
        return None
    return {
        Assigned(apply(a.value, b.value), a.files | b.files)
        for a in values[0]
        for b in values[1]
        if b.value < 64
    }


_OPERATORS = {
    "|": lambda a, b: a | b,
    "&": lambda a, b: a & b,
    "<<": lambda a, b: a << b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
}


def _named(tree: Tree, name: str, inside: Definition, depth: int) -> _Values | None:
    """Return what a name stands for: a parameter, or a macro that is a constant."""
    position = _parameter(tree, name, inside)
    if position is not None:
        return _passed(tree, inside, position, depth)
    macros = tree.index.macros(name, inside.file)
    if not macros or macros[0].parameters is not None:
        return None
    return _expanded(tree, macros[0].text.decode("utf-8", "replace"), inside, depth)


def _expanded(tree: Tree, text: str, inside: Definition, depth: int) -> _Values | None:
    root = syntax.parse(f"void f(void) {{ ({text}); }}".encode())
    inner = [n for n in syntax.descendants(root) if n.type == "expression_statement"]
    if len(inner) != 1 or not inner[0].named_children:
        return None
    return _values(tree, inner[0].named_children[0], inside, depth - 1)


def _parameters(tree: Tree, function: Definition) -> list[str | None]:
    """Return the names of a function's parameters."""
    lists = [n for n in syntax.descendants(tree.index.node(function)) if n.type == "parameter_list"]
    if not lists:
        return []
    found: list[str | None] = []
    for one in min(lists, key=lambda n: n.start_byte).named_children:
        names = [n for n in syntax.descendants(one) if n.type == "identifier"]
        found.append(syntax.text(names[-1]) if names else None)
    return found


def _parameter(tree: Tree, name: str, function: Definition) -> int | None:
    names = _parameters(tree, function)
    return names.index(name) if name in names else None


def _passed(tree: Tree, function: Definition, position: int, depth: int) -> _Values | None:
    """Return what all callers pass for a parameter."""
    found: _Values = set()
    above = callers(tree.index, function.name)
    for caller in above:
        for node in syntax.descendants(tree.index.node(caller)):
            if node.type != "call_expression" or _called(node) != function.name:
                continue
            arguments = node.child_by_field_name("arguments")
            given = [] if arguments is None else arguments.named_children
            if position >= len(given):
                return None
            values = _values(tree, given[position], caller, depth - 1)
            if values is None and _is_truth(tree, function, position):
                values = {Assigned(truth, frozenset()) for truth in (0, 1)}
            if values is None:
                return None
            found |= {one._replace(files=one.files | {caller.file}) for one in values}
    return found if above else None


def _is_truth(tree: Tree, function: Definition, position: int) -> bool:
    """Tell whether a parameter is a bool, which is one of two whatever is passed."""
    lists = [n for n in syntax.descendants(tree.index.node(function)) if n.type == "parameter_list"]
    one = min(lists, key=lambda n: n.start_byte).named_children[position]
    kind = one.child_by_field_name("type")
    return kind is not None and syntax.text(kind) in ("bool", "_Bool")


def _returned(tree: Tree, node: Node, inside: Definition, depth: int) -> _Values | None:
    """Return what a call may return."""
    name = _called(node)
    if name is None:
        return None
    macros = tree.index.macros(name, inside.file)
    arguments = node.child_by_field_name("arguments")
    if macros and macros[0].parameters is not None and arguments is not None:
        text = expand(macros[0], [syntax.text(one) for one in arguments.named_children])
        return None if text is None else _expanded(tree, text, inside, depth)
    functions = tree.index.functions(name, inside.file)
    if len(functions) != 1:
        return None
    found = _union(
        _values(tree, n.named_children[0], functions[0], depth - 1) if n.named_children else None
        for n in syntax.descendants(tree.index.node(functions[0]))
        if n.type == "return_statement"
    )
    if not found:
        return None
    return {one._replace(files=one.files | {functions[0].file}) for one in found}


def _called(node: Node) -> str | None:
    function = node.child_by_field_name("function")
    return syntax.text(function) if function is not None and function.type == "identifier" else None
