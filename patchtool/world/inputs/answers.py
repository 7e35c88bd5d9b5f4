# SPDX-License-Identifier: GPL-2.0-only
"""By what a function answers that tells of the CPU of a guest.

In: its name.  Out: the members of its handle that it reads, itself or through whom it hands that.
"""

from __future__ import annotations

import re
from collections.abc import Container

from patchtool.c import library, syntax
from patchtool.c.index import parameters
from patchtool.c.layout import GRANTED, PointerType, RecordType
from patchtool.c.scan import Definition, strip_comments
from patchtool.world.entries import Tree

_STAYING = re.compile(rb"[;{}]\s*static\b")
"""An object that stays from one call of a function to the next."""
_WORD = re.compile(r"(?<![\w.])(?<!->)[A-Za-z_]\w*")
"""A word that is no member."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')

_FURTHER = re.compile(r"[\w.\[\])]*\s*->")
"""What goes on from a word to what a pointer in it leads to."""
_NUMBER = re.compile(
    r"(?:const\s+)?(?:[su](?:8|16|32|64)|int|unsigned(?:\s+int)?|bool)\b[^*]*\*[^*]*"
)
"""A parameter that points to one number."""


def read_by(tree: Tree, name: str, here: str) -> frozenset[str] | None:
    """Return the members of the handle by which a function answers what a guest was told.

    None where no function has the name, where one hands it on to what is not in the text, or
    uses it in another way; and where one reads what is neither its own, nor a constant, nor
    reached by what it is given.
    """
    found: set[str] = set()
    seen: set[tuple[str, str, int]] = set()
    todo = list(tree.index.functions(name, here))
    if not todo or tree.index.macros(name, here):
        return None
    asked = {one.key for one in todo}
    while todo:
        function = todo.pop()
        if function.key in seen:
            continue
        seen.add(function.key)
        reads = _reads(tree, function)
        if reads is None or not _is_given_what_is_known(tree, function, function.key in asked):
            return None
        found |= reads[0]
        todo += reads[1]
    return frozenset(found)


def _is_given_what_is_known(tree: Tree, function: Definition, is_asked: bool) -> bool:
    """Tell whether a function is given its handle, numbers, and parts of tables, and nothing else.

    What a function that IS_ASKED is given is not looked at: no pointer but the handle.
    """
    handles = 0
    record = re.compile(rf"\bstruct\s+{tree.index.target.registers.tables.record}\b[^*]*\*[^*]*")
    for one in parameters(function):
        if handle(tree).fullmatch(one.strip()) is not None:
            handles += 1
        elif "*" in one or "[" in one or re.search(r"\b(?:struct|union|va_list)\b|\.\.\.", one):
            is_part = record.search(one) is not None or _NUMBER.fullmatch(one.strip()) is not None
            if is_asked or not is_part:
                return False
    return handles < 2


def _reads(tree: Tree, function: Definition) -> tuple[set[str], list[Definition]] | None:
    """Return which members of its handle a function uses, and whom it hands that."""
    called = _called(tree, function)
    if called is None:
        return None
    head, _, text = function.text.decode("utf-8", "replace").partition("{")
    handed = handle(tree).search(head)
    if handed is None:
        return set(), called
    name = re.escape(handed[1])
    members = re.findall(rf"\b{name}\s*->\s*(?:arch\s*\.\s*)?(\w+)", text)
    if any(_may_lead_on(tree, one, text) for one in members):
        return None
    count, on = len(members), called
    body = syntax.function(tree.index.node(function))
    for match in syntax.matches("call_site", body) if body is not None else ():
        call = match["call.function"][0]
        listed = call.parent.child_by_field_name("arguments") if call.parent is not None else None
        given = [syntax.text(one) for one in listed.named_children] if listed is not None else []
        if handed[1] in given:
            callees = tree.index.functions(syntax.text(call), function.file)
            if not callees:
                return None
            count += given.count(handed[1])
            on += callees
    return (set(members), on) if count == len(re.findall(rf"\b{name}\b", text)) else None


def _may_lead_on(tree: Tree, member: str, text: str) -> bool:
    """Tell whether a member may lead to what is kept elsewhere, and to no table that is told.

    One of a record that is not known has to be a record itself.
    """
    target = tree.index.target
    if member in tree.told_in:
        return False
    tags = ((target.handle, target.main), (target.host, target.header))
    records = [tree.types.record(f"struct {tag}", here) for tag, here in tags]
    found = [
        record.by_name[member][1]
        for record in records
        if isinstance(record, RecordType) and member in record.by_name
    ]
    is_plain = (
        not any(isinstance(one, PointerType) for one in found)
        if found
        else re.search(rf"\b{member}\b(?!\s*\.\s*\w+\s*[^\s\[\w])", text) is None
    )
    return not is_plain or _is_led_on(text, member)


def _called(tree: Tree, function: Definition) -> list[Definition] | None:
    """Return which functions in the text one calls; None where it reads what is not its own."""
    index, root = tree.index, tree.index.node(function)
    found: list[Definition] = []
    more: tuple[Definition, ...] | None
    if syntax.errors(root) or _STAYING.search(function.text) is not None:
        return None
    own = {*tree.objects.variables(root), function.name}
    nodes = [one for one in syntax.descendants(root) if one.type == "identifier"]
    for one in nodes:
        name, outer = syntax.text(one), one.parent
        if name in own or _is_of_macro(one):
            continue
        is_called = outer is not None and outer.type == "call_expression"
        whole = outer.parent if is_called and outer is not None else None
        is_idle = whole is not None and whole.type == "expression_statement"
        if index.macros(name, function.file):
            more = _expanded(tree, name, function.file, own, is_idle)
        elif is_called:
            more = index.functions(name, function.file) or (
                () if _is_known(tree, name, is_idle) else None
            )
        else:
            is_constant = _is_constant(tree, name, function.file) and not _leads_on(one)
            more = () if is_constant else None
        if more is None:
            return None
        found += more
    return found


def _expanded(
    tree: Tree, name: str, here: str, own: Container[str], is_idle: bool
) -> tuple[Definition, ...] | None:
    """Return which functions a macro calls; None where it reads what is nobody's OWN.

    What it answers is not asked where it IS_IDLE.
    """
    index, target = tree.index, tree.index.target
    ours = target.built_from
    found: list[Definition] = []
    todo, seen = [name], {name}
    while todo:
        name = todo.pop()
        is_known = _is_known(tree, name, is_idle and len(seen) == 1)
        for macro in index.macros(name, here):
            if is_known and not macro.file.startswith(ours):
                continue
            text = _QUOTED.sub("", macro.text.decode("utf-8", "replace"))
            for word in _WORD.findall(text):
                if word in seen or word in (macro.parameters or ()) or word in own:
                    continue
                seen.add(word)
                if index.macros(word, here):
                    todo.append(word)
                elif word in GRANTED or _is_known(tree, word):
                    continue
                elif more := index.functions(word, here):
                    found += more
                elif not _is_constant(tree, word, here) or _is_led_on(text, word):
                    return None
    return tuple(found)


def _is_of_macro(node: syntax.Node) -> bool:
    """Tell whether a name stands in a macro that a function defines: who uses that is looked at."""
    here = node.parent
    while here is not None and here.type not in ("preproc_function_def", "preproc_def"):
        here = here.parent
    return here is not None


def _is_known(tree: Tree, name: str, is_idle: bool = False) -> bool:
    """Tell whether a name answers by its arguments alone; one that IS_IDLE answers nothing."""
    target = tree.index.target
    if not library.answers_by_arguments(name, target):
        return False
    is_plain = library.PURE.fullmatch(name) or library.AT_BUILD.fullmatch(name)
    return is_idle or is_plain is not None or not library.is_silent(name, target)


def _is_constant(tree: Tree, name: str, here: str) -> bool:
    """Tell whether a name is that of an enumerator, a function, or an object that is const.

    Or one in capitals that no file has: a number of a header that is not there.
    """
    index = tree.index
    if index.enumerators(name, here) or index.functions(name, here):
        return True
    heads = [
        strip_comments(one.text).partition(b"=")[0].decode("utf-8", "replace")
        for one in index.objects(name, here)
    ]
    declared = index.declaration(name, here)
    if declared is not None:
        heads.append(declared[2].partition("=")[0])
    if not heads:
        return name.isupper()
    return all("*" not in one and re.search(r"\bconst\b", one) is not None for one in heads)


def _leads_on(node: syntax.Node) -> bool:
    """Tell whether what a name means is followed to what a pointer in it leads to."""
    here: syntax.Node | None = node
    while here is not None and (here == node or here.type.endswith("_expression")):
        if here.type == "pointer_expression" and syntax.text(here).startswith("*"):
            return True
        if here.type == "field_expression" and syntax.text(here.children[1]) == "->":
            return True
        outer = here.parent
        if outer is not None and outer.type == "subscript_expression":
            if outer.child_by_field_name("index") == here:
                return False
        here = outer
    return False


def _is_led_on(text: str, word: str) -> bool:
    """Tell whether an arrow stands behind a word in a text."""
    return any(
        _FURTHER.match(text, one.end()) is not None for one in re.finditer(rf"\b{word}\b", text)
    )


def handle(tree: Tree) -> re.Pattern[str]:
    """Return what finds a pointer to what a context is reached through, and its name."""
    tag = re.escape(tree.index.target.handle)
    return re.compile(rf"(?:\bconst\s+)?\bstruct\s+{tag}\b\s*(?:const\s*)?\*\s*(?:const\s+)?(\w+)")
