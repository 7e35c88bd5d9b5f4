# SPDX-License-Identifier: GPL-2.0-only
"""Parse C and ask the named questions of ``queries/``.

In: bytes of one C fragment.  Out: syntax nodes, and the captures of a query by name.
Every question is one ``.scm`` file; a query that the grammar rejects is an error at
once.  Nodes stay inside ``index`` and ``lower``; later stages see places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import tree_sitter_c
from tree_sitter import Language, Node, Parser, Query, QueryCursor

__all__ = [
    "Node", "arguments", "captures", "descendants", "expression", "function", "inner", "matches",
    "names_of", "parse", "query_names", "rooted", "text",
]  # fmt: skip

_LANGUAGE = Language(tree_sitter_c.language())
_PARSER = Parser(_LANGUAGE)


def _folders() -> tuple[Path, Path]:
    """Where queries lie: inside an installed package, or beside it in a checkout."""
    here = Path(__file__).parent.parent
    return here / "queries", here.parent / "queries"


def query_names() -> tuple[str, ...]:
    """Return the names of all questions, sorted."""
    for folder in _folders():
        if folder.is_dir():
            return tuple(sorted(path.stem for path in folder.glob("*.scm")))
    raise FileNotFoundError("queries: neither in the package nor beside it")


@cache
def _query(name: str) -> Query:
    return Query(_LANGUAGE, _written(name))


def _written(name: str) -> str:
    for folder in _folders():
        path = folder / f"{name}.scm"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError(f"queries/{name}.scm")


@cache
def names_of(name: str) -> frozenset[str]:
    """Return the names that the patterns of a question list after ``#any-of?``."""
    lists: list[str] = re.findall(r"#any-of\?\s+@\w+([^()]*)\)", _written(name))
    return frozenset(re.findall(r'"(\w+)"', " ".join(lists)))


def prepare(*names: str) -> None:
    """Read some questions before they are asked."""
    for name in names:
        _query(name)


RANGE_MARK = b"||\v"
"""What stands for the dots of ``case 1 ... 3``, which the grammar does not know."""

_RANGE = re.compile(rb"(\bcase\b[^:;{}\"']*?)\.\.\.(?=[^:;{}\"']*:)")


_MACROS = re.compile(
    rb"(?<!\w)(for_each_set_bit|\w*for_each\w*|scoped_guard)(\s*)\("
    rb"(?=((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*)\)\s*[^\s;,)=])"
)
"""Macros that head a statement, followed by it."""
_TYPEOF = re.compile(
    rb"\b(typeof|__typeof__|__typeof|typeof_unqual)\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)"
)
_SIZED = re.compile(
    rb"\b(?:sizeof_field|FIELD_SIZEOF)\((\s*)((?:struct |union )?\w+)"
    rb"(\s*,\s*)(\w+(?:\.\w+)*)(\s*)\)"
)
"""What takes the size of a member of a type."""
_LETTERS = "".join(map(chr, range(0x100, 0x250)))
"""Letters of two bytes, which no kernel writes names with."""
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_coded_as: dict[str, bytes] = {}
"""What stands for an expression in a type, by the expression."""
_stands_for: dict[str, str] = {}
_POINTED = re.compile(rb"\s*\*[\s*]*\w")
_PLAIN_TYPE = re.compile(rb"\s*[\w\s]*\**\s*")


def parse(source: bytes) -> Node:
    """Parse one fragment of C and return its root node.

    What the grammar does not know is written in a way that it knows: ranges of cases, macros
    that head a statement (by their length, as ``if`` or ``while``), types of expressions, sizes
    of members.
    """
    if b"..." in source:
        source = _RANGE.sub(rb"\1" + RANGE_MARK, source)
    if b"for_each" in source or b"scoped_" in source:
        source = _MACROS.sub(_headed, source)
    if b"typeof" in source:
        source = _TYPEOF.sub(_coded, source)
    if b"sizeof_field" in source or b"FIELD_SIZEOF" in source:
        source = _SIZED.sub(_sized, source)
    return _PARSER.parse(source).root_node


def _headed(match: re.Match[bytes]) -> bytes:
    name = match[1]
    word, mark = (b"if", b"\v") if name.startswith(b"scoped_") else (b"while", b"\f")
    if name == b"for_each_set_bit":
        mark = b"\v"
    return word + mark + b" " * (len(name) - len(word) - 1) + match[2] + b"("


def is_scope(node: Node) -> bool:
    """Tell whether an ``if`` stands for ``scoped_guard()``."""
    return (node.text or b"").startswith(b"if\v")


def guard_of(node: Node) -> str | None:
    """Return the class of the guard of ``scoped_guard(class, lock)``; None if it is none."""
    condition = node.child_by_field_name("condition") if node.type == "if_statement" else None
    if condition is None or not is_scope(node):
        return None
    return re.split(r"\W+", text(condition).lstrip("( \t\n"), maxsplit=1)[0]


def loop_macro(node: Node) -> str:
    """Return what a loop stands for: "bits" of a map, something "else", or itself ("")."""
    words = node.text or b""
    return (
        "bits" if words.startswith(b"while\v") else "else" if words.startswith(b"while\f") else ""
    )


def set_by_loop(node: Node) -> list[Node]:
    """Return what a macro that heads a loop is given: it may set any of that at each turn."""
    head = node.child_by_field_name("condition") if loop_macro(node) else None
    given: list[Node] = []
    todo = inner(head) if head is not None else []
    while todo:
        one = todo.pop()
        if one.type == "comma_expression":
            todo += inner(one)
        else:
            given.append(one)
    return given


def _sized(match: re.Match[bytes]) -> bytes:
    """Write the size of a member with what C has for it, as long and on as many lines."""
    blanks, kind, behind, member, rest = match.groups()
    lines = (blanks + behind + rest).count(b"\n")
    word = b"sizeof ((%s*)0)->%s" % (kind, member)
    return word + b" " * (len(match[0]) - len(word) - lines) + b"\n" * lines


def _coded(match: re.Match[bytes]) -> bytes:
    """Write a name for the expression within ``typeof()``, as long: the rest keeps its place.

    In front of a pointer it is that of a structure, for else it looks like a product.
    """
    is_pointed = _POINTED.match(match.string, match.end()) is not None
    is_plain = _PLAIN_TYPE.fullmatch(match[2]) and not (is_pointed and match[2].isalnum())
    if len(match[2]) < 2 or b"\n" in match[2] or is_plain:
        return match[0]
    words = match[2].decode("utf-8", "replace")
    code = _coded_as.get(words)
    if code is None:
        number, name = len(_coded_as), ""
        if len(match[2]) % 2:
            number, digit = divmod(number, len(_DIGITS))
            name = _DIGITS[digit]
        for _ in range(len(match[2]) // 2):
            number, letter = divmod(number, len(_LETTERS))
            name = _LETTERS[letter] + name
        if number:  # no name is left
            return match[0]
        code = _coded_as[words] = name.encode()
        _stands_for[name] = words
    if is_pointed:
        return b"struct".ljust(len(match[1]) + 1) + code + b" "
    return match[1] + b"(" + code + b")"


def is_coded(node: Node) -> bool:
    """Tell whether a node stands for an expression of which the type alone is taken."""
    return node.text is not None and node.text.decode("utf-8", "replace") in _stands_for


def uncoded(words: str) -> str:
    """Return an expression as it was written within ``typeof()``."""
    return _stands_for.get(words, words)


def measured(node: Node) -> Node | None:
    """Return the expression, or the type, whose type ``typeof()`` names; None for anything else."""
    name, inner = node.child_by_field_name("name"), node.child_by_field_name("type")
    if node.type == "struct_specifier" and name is not None and is_coded(name):
        return expression(uncoded(text(name)))
    if node.type != "macro_type_specifier" or name is None or inner is None:
        return None
    if text(name) not in ("typeof", "__typeof__", "__typeof", "typeof_unqual"):
        return None
    return expression(uncoded(text(inner)))


def expression(words: str) -> Node | None:
    """Parse an expression; None where it is none."""
    root = parse(f"int x = ({words});".encode())
    holder = next((n for n in root.named_children if n.type == "declaration"), None)
    declared = holder.child_by_field_name("declarator") if holder is not None else None
    value = declared.child_by_field_name("value") if declared is not None else None
    return None if root.has_error else value


JUMPS = (
    "return_statement", "goto_statement", "break_statement", "continue_statement",
    "gnu_asm_goto_list",
)  # fmt: skip
"""What goes on elsewhere than behind it."""
_LOOSEST_FIRST = ("||", "&&", "|", "^", "&", "== !=", "< > <= >=", "<< >>", "+ -", "* / %")
_TIGHTNESS = {one: 3 + at for at, some in enumerate(_LOOSEST_FIRST) for one in some.split()}
_COMMA, _ASSIGNED, _CHOSEN, _UNARY, ATOM = 0, 1, 2, 20, 30
"""How tightly expressions bind; an ``ATOM`` is one operand wherever it stands."""
_BINDING = {
    "comma_expression": _COMMA, "assignment_expression": _ASSIGNED,
    "conditional_expression": _CHOSEN, "unary_expression": _UNARY, "cast_expression": _UNARY,
    "pointer_expression": _UNARY, "sizeof_expression": _UNARY, "update_expression": _UNARY,
}  # fmt: skip
_WHOLE = (
    "parenthesized_expression", "expression_statement", "return_statement", "for_statement",
    "subscript_designator", "array_declarator", "bitfield_clause",
)  # fmt: skip


def binding(node: Node) -> int:
    """Return how tightly an expression binds, from a comma up to ``ATOM``."""
    if node.type == "binary_expression":
        return _TIGHTNESS.get(text(node.children[1]), _COMMA)
    return _BINDING.get(node.type, ATOM)


def demanded(node: Node) -> int:
    """Return how tightly text has to bind that stands in a node's place, to be one operand."""
    outer = node.parent
    if outer is None or outer.type in _WHOLE:
        return _COMMA
    if outer.type == "binary_expression":
        return _TIGHTNESS.get(text(outer.children[1]), ATOM) + int(outer.children[0] != node)
    if outer.type == "conditional_expression":
        if outer.child_by_field_name("condition") == node:
            return _CHOSEN + 1
        return _COMMA if outer.child_by_field_name("consequence") == node else _CHOSEN
    if outer.type == "subscript_expression" and outer.children[0] != node:
        return _COMMA
    if outer.type == "assignment_expression" and outer.children[0] != node:
        return _ASSIGNED
    if outer.type in ("argument_list", "init_declarator", "initializer_list", "initializer_pair"):
        return _ASSIGNED
    if outer.type in ("case_statement", "enumerator", "comma_expression"):
        return _CHOSEN
    return _UNARY if _BINDING.get(outer.type) == _UNARY else ATOM


def block(words: str) -> Node | None:
    """Parse what a macro stands for as statements; None where it is none."""
    flat = words.replace("\n", " ")
    root = parse(f"void f(void) {{ {flat}; }}".encode())
    found = function(root)
    return None if root.has_error or found is None else found.child_by_field_name("body")


def function(root: Node) -> Node | None:
    """Return the function that a fragment defines, None where it defines none."""
    return next((n for n in root.named_children if n.type == "function_definition"), None)


def captures(name: str, node: Node) -> dict[str, list[Node]]:
    """Run the question NAME below NODE and return its captures by name, as they stand."""
    found: dict[str, set[Node]] = {}
    # Out of whole matches: QueryCursor.captures() also yields some of a match that then fails
    # where a pattern has a _ for a parent.
    for match in matches(name, node):
        for key, nodes in match.items():
            found.setdefault(key, set()).update(nodes)
    return {key: sorted(nodes, key=lambda n: n.start_byte) for key, nodes in found.items()}


def matches(name: str, node: Node) -> Iterator[dict[str, list[Node]]]:
    """Run the question NAME below NODE and yield the captures of each match."""
    for _, found in QueryCursor(_query(name)).matches(node):
        yield found


def rooted(name: str, node: Node) -> Iterator[dict[str, list[Node]]]:
    """Run the question NAME at NODE alone, not below it, and yield the captures of each match."""
    cursor = QueryCursor(_query(name))
    cursor.set_max_start_depth(0)
    for _, found in cursor.matches(node):
        yield found


def text(node: Node) -> str:
    """Return the C text of a node, undecodable bytes replaced."""
    return (node.text or b"").decode("utf-8", "replace")


def inner(node: Node | None) -> list[Node]:
    """Return the named nodes right below a node, comments aside."""
    return [one for one in node.named_children if one.type != "comment"] if node else []


def stored(value: Node) -> str:
    """Return what an assignment of a value stores: of a chain of them, a truth or nothing.

    Any other number need not fit into what else it is assigned to.
    """
    if value.type != "assignment_expression":
        return text(value)
    while value.type == "assignment_expression":
        operator, right = map(value.child_by_field_name, ("operator", "right"))
        if operator is None or right is None or operator.type != "=":
            return ""
        value = right
    return text(value) if text(value) in ("0", "1", "true", "false") else ""


def arguments(call: Node) -> list[Node]:
    """Return what a call is given."""
    return inner(call.child_by_field_name("arguments"))


def descendants(node: Node) -> Iterator[Node]:
    """Yield a node and all named nodes below it, each in front of what it holds."""
    todo = [node]
    while todo:
        here = todo.pop()
        yield here
        todo.extend(here.named_children)


def errors(node: Node) -> list[Node]:
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
