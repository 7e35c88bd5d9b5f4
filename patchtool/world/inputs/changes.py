# SPDX-License-Identifier: GPL-2.0-only
"""Where a member of what holds contexts may change: by its name, or with a record around it.

In: a tree, the records and members by which the member is reached.  Out: each place, as a
function, a byte behind the change, and the variable by which the holder is known there; or
nothing at all, where one is not understood.  A pointer into what is held is followed to where
it was taken: one to a record of the same type that is held by something else is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from patchtool.c import library, syntax
from patchtool.c.layout import ArrayType, CType, PointerType, RecordType, UnknownType, settled
from patchtool.c.scan import Definition, places
from patchtool.c.syntax import Node, text
from patchtool.model import Place
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.accounts.sites import ALONE, Mention
from patchtool.world.entries import Tree
from patchtool.world.inputs.births import Births, parameter_of
from patchtool.world.inputs.spills import spills
from patchtool.world.inputs.steady import is_set

MAX_CALLS = 4
"""How many calls a pointer is followed up."""

_STORING = (
    "field_expression",
    "subscript_expression",
    "pointer_expression",
    "cast_expression",
    "parenthesized_expression",
    "assignment_expression",
    "update_expression",
    "argument_list",
    "call_expression",
)
"""What of an expression around a member is evaluated before that is stored to, or is the store."""
_WITHIN = ("field_expression", "subscript_expression", "parenthesized_expression")
"""What may stand around a member, and is a part of it."""
_MEMBER = re.compile(rb"\s*(?:->|\.)\s*\w")
_FILLING = frozenset((*library.FILLING, "swap"))
_WHOLE = re.compile(
    rb"[;{})]\s*\*[\s(]*\w[\w\s>().-]*=(?!=)|\b(?:%s)\s*\(" % "|".join(sorted(_FILLING)).encode()
)
"""What may change a whole record through a pointer to it."""
_LONGEST_LEAD = 80
_OFFSET = re.compile(
    rb"\b(?:(?:offsetof|sizeof_field|FIELD_SIZEOF)\s*\(|container_of(?:_const)?\s*\([^;]*,)"
    rb"\s*struct\s+\w+\s*,\s*\Z"
    rb"|\b(?:from_timer|timer_container_of|from_work|from_tasklet)\s*\([^;]*,\s*\Z"
)
"""What stands before a member of which only the place or the size is asked for."""

Link = tuple[str, str]
"""The tag of a record and a member of it."""


class Change(NamedTuple):
    """A place behind which a member may hold something else."""

    function: Definition
    end: int
    """The first byte of the function behind the change."""
    holder: str
    """The variable of the function that is, or points to, what holds the member."""


class Unclear(NamedTuple):
    """A place of which it is not known whether it changes a member; None is for anywhere."""

    place: Place | None


class _Unclear(Exception):
    """A use that is not understood."""


class Changes:
    """The changes of the members of one tree."""

    def __init__(self, tree: Tree, births: Births) -> None:
        self._tree, self._births = tree, births

    def of(self, links: tuple[Link, ...]) -> Iterator[Change | Unclear]:
        """Yield where a member may change, and the places that are not understood.

        LINKS lead to it from what holds it, each a member of a record by its value.
        """
        host = self._tree.index.target.host
        for number, (tag, member) in reversed([*enumerate(links)]):
            is_around = number + 1 < len(links)
            if is_around and links[number + 1][0] == host:
                continue  # what holds the contexts as well, and is looked at for their sake
            if any(self._tree.pasting.uses((member,))) or spills(self._tree, tag, member):
                yield Unclear(None)
            mentions = Mentions(self._tree.index, self._tree.types, {member: frozenset((tag,))})
            for mention in mentions.of(member):
                if not mention.is_idle and not (is_around and self._is_aside(mention, member)):
                    yield from self._changes(mention, links[: number + 1], mentions)

    def as_a_whole(self, tag: str) -> bool:
        """Tell whether a record of a tag is stored to through a pointer, as a whole."""
        index, word = self._tree.index, tag.encode()
        return any(
            self._is_of(node, function, tag)
            for file in index.files_with(word)
            for group in file.functions.values()
            for function in group
            if word in function.text and _WHOLE.search(function.text) is not None
            for node in syntax.descendants(index.node(function))
        )

    def _is_of(self, node: Node, function: Definition, tag: str) -> bool:
        """Tell whether an expression stores to a whole record of a tag."""
        left = node.child_by_field_name("left") if node.type == "assignment_expression" else None
        held = [left] if left is not None else []
        callee = node.child_by_field_name("function") if node.type == "call_expression" else None
        if callee is not None and text(callee) in _FILLING:
            held = syntax.arguments(node)
        root = self._tree.index.node(function)
        for one in held:
            ctype = self._tree.objects.type_of(one, root, function.file)
            if callee is not None and isinstance(ctype, PointerType):
                ctype = settled(ctype.target)
            if isinstance(ctype, RecordType) and ctype.tag == tag:
                return True
        return False

    def _is_of_one_below(self, mention: Mention, member: str) -> bool:
        """Tell whether a macro stands for nothing but members of a record, and not for it."""
        word = re.match(r"\w*", mention.what)
        macros = self._tree.index.macros(word.group() if word else "", mention.place.file)
        return bool(macros) and all(
            _MEMBER.match(one.text, at + len(member)) is not None
            for one in macros
            for at in places(one.text, member.encode())
        )

    def _is_aside(self, mention: Mention, member: str) -> bool:
        """Tell whether a mention of a record is one of a member of it, or of another object.

        A member is a mention of its own, or none that matters.
        """
        file = self._tree.index.file(mention.place.file)
        if file is None:
            return False
        data = file.data
        at = file.offset(mention.place.line, mention.place.column)
        lead = data[max(0, at - 2) : at]
        if _OFFSET.search(data, max(0, at - _LONGEST_LEAD), at) is not None:
            return True
        if not data.startswith(member.encode(), at):
            return self._is_of_one_below(mention, member)
        if not lead.endswith((b"->", b".")):
            # The name of an object: no part of what is held is reached by it.
            index, here = self._tree.index, (mention.name, mention.place.file)
            is_object = bool(index.objects(*here) or index.declaration(*here))
            return mention.reason.endswith(ALONE) and is_object and not index.macros(*here)
        return _MEMBER.match(data, at + len(mention.name)) is not None

    def _changes(
        self, mention: Mention, links: tuple[Link, ...], mentions: Mentions
    ) -> Iterator[Change | Unclear]:
        function, file = mention.function, self._tree.index.file(mention.place.file)
        if function is None or function.kind != "function" or file is None:
            yield Unclear(mention.place)
            return
        if self._tree.is_idle(function):
            return
        at = file.offset(mention.place.line, mention.place.column) - function.start
        here = self._tree.index.node(function).descendant_for_byte_range(at, at + 1)
        if here is None or here.parent is None or here.parent.type != "field_expression":
            yield Unclear(mention.place)
            return
        named = here.parent
        try:
            is_plain = mention.kind == "store"
            end = _end(named) if is_plain else self._given_away(named, function, mentions)
            if end is not None:
                yield from self._held(function, named, links, end, 0)
        except _Unclear:
            yield Unclear(mention.place)

    def _given_away(self, named: Node, function: Definition, mentions: Mentions) -> int | None:
        """Return behind which byte a record may have changed whose address is taken.

        None where who takes it names its members alone: each of those is a mention of its own.
        """
        address = named.parent
        listed = address.parent if address is not None else None
        call = listed.parent if listed is not None else None
        if address is None or address.type != "pointer_expression" or listed is None:
            raise _Unclear
        if text(address)[:1] != "&" or call is None:
            raise _Unclear
        if listed.type == "init_declarator":
            names = re.findall(r"\w+", text(listed.children[0]))
            if not self._only_follows(function, names[-1], mentions):
                return self._stored_through(function, names[-1], mentions)
            return None
        if listed.type != "argument_list":
            raise _Unclear
        callee = call.child_by_field_name("function")
        given = syntax.inner(listed)
        number, name = given.index(address), text(callee) if callee is not None else ""
        if not self._tree.index.functions(name, function.file):
            if name in library.FILLING and library.FILLING[name][0] == number:
                return call.end_byte
            if number in library.READING.get(name, ()):
                return None
            raise _Unclear
        file = self._tree.index.file(function.file)
        called = mentions.called(callee, file) if callee is not None and file is not None else ()
        if not called or not all(self.follows(one, number, mentions) for one in called):
            raise _Unclear
        return None

    def _stored_through(self, function: Definition, name: str, mentions: Mentions) -> int:
        """Return the byte behind the one store to what a pointer points to.

        Nothing else is done with the pointer.
        """
        root = self._tree.index.node(function)
        uses = [
            leaf.parent
            for leaf in syntax.descendants(root)
            if leaf.type == "identifier" and text(leaf) == name and leaf.parent is not None
        ]
        stores = [
            one.parent
            for one in uses
            if one.type == "pointer_expression" and text(one.children[0]) == "*"
            if one.parent is not None and one.parent.type == "assignment_expression"
            if one.parent.child_by_field_name("left") == one
        ]
        declared = [one for one in uses if one.type == "pointer_declarator"]
        is_plain = not root.has_error and not mentions.is_named_by_macro(function, name)
        if not is_plain or len(stores) != 1 or len(stores) + len(declared) != len(uses):
            raise _Unclear
        return stores[0].end_byte

    def follows(self, function: Definition, number: int, mentions: Mentions) -> bool:
        """Tell whether a function does no more with a parameter than to name members behind it."""
        name = mentions.parameter(self._tree.index.node(function), number)
        return name is not None and self._only_follows(function, name, mentions)

    def gives_away(self, function: Definition, number: int, mentions: Mentions) -> bool:
        """Tell whether a function takes the address of a member behind a parameter."""
        root = self._tree.index.node(function)
        name = mentions.parameter(root, number)
        return name is None or any(
            _is_given_away(leaf, mentions, root, function.file)
            for leaf in syntax.descendants(root)
            if leaf.type == "identifier" and text(leaf) == name
        )

    def _only_follows(self, function: Definition, name: str, mentions: Mentions) -> bool:
        """Tell whether a function does no more with a pointer than to name members behind it."""
        root = self._tree.index.node(function)
        if root.has_error or mentions.is_named_by_macro(function, name):
            return False
        for leaf in syntax.descendants(root):
            if leaf.type != "identifier" or text(leaf) != name or leaf.parent is None:
                continue
            outer = leaf.parent
            if outer.type == "pointer_declarator":
                continue
            if outer.type != "field_expression" or text(outer.children[1]) != "->":
                return False
        return True

    # -- whose it is -----------------------------------------------------------------------------

    def _held(
        self, function: Definition, named: Node, links: tuple[Link, ...], end: int, depth: int
    ) -> Iterator[Change]:
        """Yield the changes that one of what NAMED leads to amounts to, by what holds it."""
        root = self._tree.index.node(function)
        here, rest = named, list(links)
        objects = self._tree.objects
        while here.type in ("field_expression", "parenthesized_expression"):
            if here.type == "parenthesized_expression":
                here = here.named_children[0]
                continue
            base, field = (here.child_by_field_name(one) for one in ("argument", "field"))
            if base is None or field is None:
                raise _Unclear
            tag = _tag(objects.type_of(base, root, function.file))
            if tag is None or not rest:
                raise _Unclear
            if rest[-1] != (tag, text(field)):
                if not isinstance(objects.type_of(here, root, function.file), RecordType):
                    raise _Unclear  # a pointer, to whatever
                return  # a record of the same type, held by something else
            rest.pop()
            here = base
        if here.type not in ("identifier", "call_expression"):
            raise _Unclear
        if rest and isinstance(objects.type_of(here, root, function.file), RecordType):
            return  # an object by itself, held by nothing
        if not rest:
            yield Change(function, end, text(here))
        else:
            yield from self._pointed(function, text(here), tuple(rest), end, depth)

    def _pointed(
        self, function: Definition, name: str, links: tuple[Link, ...], end: int, depth: int
    ) -> Iterator[Change]:
        """Yield the changes through a variable that points to a record on the way."""
        root = self._tree.index.node(function)
        declared = self._tree.objects.variables(root).get(name, [])
        if depth > MAX_CALLS or len(declared) != 1 or is_set(self._tree, function, name):
            raise _Unclear
        declarator = declared[0][1]
        if declarator.type == "init_declarator":
            yield from self._taken(function, declarator.children[-1], links, end, depth)
            return
        number = parameter_of(function, name)
        calls = self._births.calls(function) if number is not None else None
        if number is None or not calls:
            raise _Unclear
        for one, call in calls:
            given = syntax.arguments(call)
            if number >= len(given):
                raise _Unclear
            yield from self._taken(one, given[number], links, call.end_byte, depth + 1)

    def _taken(
        self, function: Definition, value: Node, links: tuple[Link, ...], end: int, depth: int
    ) -> Iterator[Change]:
        """Yield the changes through a value that points to a record on the way."""
        if value.type == "identifier":
            yield from self._pointed(function, text(value), links, end, depth + 1)
        elif value.type == "pointer_expression" and text(value)[:1] == "&":
            inner = value.child_by_field_name("argument")
            if inner is None:
                raise _Unclear
            if inner.type == "identifier":
                root = self._tree.index.node(function)
                if _tag(self._tree.objects.type_of(inner, root, function.file)) is None:
                    raise _Unclear
                return  # an object by itself, held by nothing
            yield from self._held(function, inner, links, end, depth)
        else:
            raise _Unclear


def _is_given_away(pointer: Node, mentions: Mentions, root: Node, here: str) -> bool:
    """Tell whether the address of a member behind a pointer is taken, or may be handed on."""
    member = pointer
    while member.parent is not None and member.parent.type in _WITHIN:
        if member.parent.children[0] != member and member.parent.type != _WITHIN[-1]:
            break
        member = member.parent
    around = member.parent
    if around is None or member == pointer:
        return False
    if around.type == "pointer_expression" and text(around).startswith("&"):
        return not _is_used_at_once(around)
    ctype = mentions.type_of(member, root, here)
    return isinstance(ctype, ArrayType) or (
        isinstance(ctype, UnknownType) and around.type == "argument_list"
    )


def _is_used_at_once(address: Node) -> bool:
    """Tell whether an address is given to what is known to fill or read that, and no more."""
    listed = address.parent
    call = listed.parent if listed is not None and listed.type == "argument_list" else None
    callee = call.child_by_field_name("function") if call is not None else None
    if listed is None or callee is None:
        return False
    return library.keeps_nothing(text(callee), syntax.inner(listed).index(address))


def _tag(ctype: CType) -> str | None:
    if isinstance(ctype, PointerType):
        ctype = settled(ctype.target)
    return ctype.tag if isinstance(ctype, RecordType) else None


def _end(named: Node) -> int | None:
    """Return the byte behind a store to what is named."""
    here = named
    while here.parent is not None and here.parent.type in _STORING:
        here = here.parent
    return here.end_byte
