# SPDX-License-Identifier: GPL-2.0-only
"""Members that are counted, and that nothing in the text reads: statistics.

In: a place in the memory of a run.  Out: whether all that is done with the member is to add to
it, as a statement of its own, and to note at file scope where it lies in its record.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from patchtool.c.conditions import dense
from patchtool.c.layout import RecordType, holder_of
from patchtool.c.lower import Lowered
from patchtool.c.memory import Loc
from patchtool.c.syntax import text
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.accounts.sites import Mention

if TYPE_CHECKING:
    from patchtool.world.entries import Tree

_OFFSET = re.compile(r"\(\((?:struct|union) \w+ \*\)0\)(?:->|\.)[\w.]+")
"""A member of a record that is nowhere: of that only the address is a number."""


def is_count(tree: Tree, lowered: Lowered, loc: Loc) -> bool:
    """Tell whether a place is a member that is counted and never read."""
    holder = holder_of(lowered.pointees.get(loc.root.name), loc.path)
    if not isinstance(holder, RecordType) or not holder.tag:
        return False
    key = name, tag = loc.path[-1], holder.tag
    if key not in tree.counts:
        mentions = Mentions(tree.index, tree.types, {name: frozenset((tag,))})
        tree.counts[key] = not _is_assigned(tree, name.encode()) and all(
            _is_counting(mentions, one) for one in mentions.of(name)
        )
    return tree.counts[key]


def _is_assigned(tree: Tree, name: bytes) -> bool:
    """Tell whether a member of a name is set to something: most are, which is seen soonest."""
    assigned = re.compile(rb"(?:->|\.)\s*%s\s*=(?!=)" % name)
    return any(assigned.search(data) is not None for _, data in tree.index.texts_with(name))


def _is_counting(mentions: Mentions, mention: Mention) -> bool:
    """Tell whether a mention leaves nothing to know of what a member holds."""
    if mention.kind in ("declaration", "variable") or mentions.is_of_another(mention):
        return True
    if mention.function is None:
        return mention.kind == "open" and _OFFSET.fullmatch(mention.what) is not None
    here = mentions.node_of(mention) if mention.kind == "store" else None
    while here is not None and not here.type.endswith("statement"):
        here = here.parent
    if here is None or here.type != "expression_statement":
        return False
    counted = re.escape(dense(mention.what))
    form = rf"(?:(?:\+\+|--){counted}|{counted}(?:\+\+|--|[-+]=[^=;]*));"
    return re.fullmatch(form, dense(text(here))) is not None
