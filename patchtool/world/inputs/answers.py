# SPDX-License-Identifier: GPL-2.0-only
"""By what a function answers that tells of the CPU of a guest.

In: its name.  Out: the members of its handle that it reads, itself or through whom it hands that.
"""

from __future__ import annotations

import re
from collections.abc import Container

from patchtool.c import library, syntax
from patchtool.c.layout import GRANTED
from patchtool.c.scan import Definition
from patchtool.world.entries import Tree

_STAYING = re.compile(rb"[;{}]\s*static\b")
"""An object that stays from one call of a function to the next."""
_WORD = re.compile(r"(?<![\w.])(?<!->)[A-Za-z_]\w*")
"""A word that is no member."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


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
    while todo:
        function = todo.pop()
        if function.key in seen:
            continue
        seen.add(function.key)
        reads = _reads(tree, function)
        if reads is None:
            return None
        found |= reads[0]
        todo += reads[1]
    return frozenset(found)


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
        if index.macros(name, function.file):
            more = _expanded(tree, name, function.file, own)
        elif outer is not None and outer.type == "call_expression":
            is_known = name.isupper() or library.answers_by_arguments(name, index.target)
            more = index.functions(name, function.file) or (() if is_known else None)
        else:
            more = () if name.isupper() or _is_constant(tree, name, function.file) else None
        if more is None:
            return None
        found += more
    return found


def _expanded(
    tree: Tree, name: str, here: str, own: Container[str]
) -> tuple[Definition, ...] | None:
    """Return which functions a macro calls; None where it reads what is nobody's OWN."""
    index, target = tree.index, tree.index.target
    ours = target.built_from
    found: list[Definition] = []
    todo, seen = [name], {name}
    while todo:
        name = todo.pop()
        is_known = library.answers_by_arguments(name, target)
        for macro in index.macros(name, here):
            if is_known and not macro.file.startswith(ours):
                continue
            text = _QUOTED.sub("", macro.text.decode("utf-8", "replace"))
            for word in _WORD.findall(text):
                if word in seen or word in (macro.parameters or ()) or word in own:
                    continue
                seen.add(word)
                is_given = word in GRANTED or word.isupper()
                if index.macros(word, here):
                    todo.append(word)
                elif is_given or library.answers_by_arguments(word, target):
                    continue
                elif more := index.functions(word, here):
                    found += more
                elif not _is_constant(tree, word, here):
                    return None
    return tuple(found)


def _is_of_macro(node: syntax.Node) -> bool:
    """Tell whether a name stands in a macro that a function defines: who uses that is looked at."""
    here = node.parent
    while here is not None and here.type not in ("preproc_function_def", "preproc_def"):
        here = here.parent
    return here is not None


def _is_constant(tree: Tree, name: str, here: str) -> bool:
    """Tell whether a name is that of an enumerator, a function, or an object that is const."""
    index, word = tree.index, name.encode()
    if index.enumerators(name, here) or index.functions(name, here):
        return True
    constant = re.compile(rb"\bconst\b[^;={}()]*\b%s\b[^;=]*=" % re.escape(word))
    return any(
        constant.search(index.text(path) or b"") is not None
        for path in tree.objects.files
        if word in index.words_in(path)
    )


def handle(tree: Tree) -> re.Pattern[str]:
    """Return what finds a pointer to what a context is reached through, and its name."""
    tag = re.escape(tree.index.target.handle)
    return re.compile(rf"struct\s+{tag}\s*\*\s*(?:const\s+)?(\w+)")
