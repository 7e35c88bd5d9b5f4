# SPDX-License-Identifier: GPL-2.0-only
"""What runs while the module is loaded, or unloaded, and never else.

In: a function.  Out: whether its text is dropped behind that, or only such ones call it.
"""

from __future__ import annotations

import re

from patchtool.c.scan import Definition, places, strip_comments
from patchtool.model import Place
from patchtool.world.entries import Tree
from patchtool.world.users import users

_CALL = re.compile(rb"\s*\(")
_START = re.compile(rb"\s*(?:module_init|\w+_initcall(?:_sync)?)\s*\(\s*(\w+)\s*\)\s*;")


def only_at_load(tree: Tree, definition: Definition) -> bool:
    """Tell whether a function runs during module initialisation alone.

    Its text is dropped behind that, or all that names it is a call by one of which that is
    true.  One that nothing names may be called by anybody, and so may one whose address is
    taken.
    """
    todo, seen = [definition], {definition.key}
    while todo:
        here = todo.pop()
        if re.search(rb"\b__init\b|\b__exit\b", here.text.split(b"{", 1)[0]):
            continue
        above = list(users(tree.index, tree.objects.files, here))
        if not above:
            return False
        for place, user in above:
            if user is None and _is_started(tree, place, here.name.encode()):
                continue
            if user is None or not _only_calls(user, here.name.encode()):
                return False
            if user.key not in seen:
                seen.add(user.key)
                todo.append(user)
    return True


def _is_started(tree: Tree, place: Place, name: bytes) -> bool:
    """Tell whether a line names a function as what runs when the module is loaded."""
    lines = (tree.index.text(place.file) or b"").split(b"\n")
    start = _START.match(lines[place.line - 1])
    return start is not None and start[1] == name


def _only_calls(user: Definition, name: bytes) -> bool:
    """Tell whether a function names another one only to call it, its address is not taken."""
    text = strip_comments(user.text)
    return all(_CALL.match(text, at + len(name)) is not None for at in places(text, name))
