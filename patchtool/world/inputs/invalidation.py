# SPDX-License-Identifier: GPL-2.0-only
"""Which changes of an input make the stored role one behind which nothing skips.

In: a tree, a context, and who tells whether a store to its role leaves nothing to skip.
Out: the function through which every change of a member invalidates the stored role; such
a member needs no bit of the role, for no run skips after it has changed.  A change is every
mention of the member that does not leave it as it is; one that is no plain store, and so
has no place behind which to look, leaves the member uncovered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from patchtool.c import syntax
from patchtool.c.conditions import dense, holding, holds_lock, taken
from patchtool.c.index import parameter_names, stands_for
from patchtool.c.layout import CType, PointerType, RecordType, settled
from patchtool.c.lower import Lowered
from patchtool.c.memory import Int, Loc
from patchtool.c.scan import Definition, strip_comments
from patchtool.c.syntax import Node, text
from patchtool.model import Place
from patchtool.proof import bits
from patchtool.proof.bits import Bits, Cond
from patchtool.world.accounts.strays import run
from patchtool.world.ended import ended
from patchtool.world.entries import Tree
from patchtool.world.inputs.births import TRUTHS, Births, parameter_of
from patchtool.world.inputs.changes import Change, Changes, Link, Unclear
from patchtool.world.inputs.counted import counts_before, is_kept, locked_since
from patchtool.world.inputs.firsts import Firsts
from patchtool.world.inputs.newborn import is_container
from patchtool.world.inputs.perhaps import Perhaps, number_stored
from patchtool.world.inputs.pointed import Pointer, pointers
from patchtool.world.inputs.steady import Truth, is_set, steady_until

MAX_CALLS = 8
"""How many calls may lie between a change and the invalidation."""
MAX_TOGETHER = 48
"""How many calls are looked at for ways that they cover together."""

_LEAVES = ("return_statement", "goto_statement", "gnu_asm_goto_list")
_LOOPS = ("for_statement", "while_statement", "do_statement")
_LEFT_BY = {"continue_statement": _LOOPS, "break_statement": (*_LOOPS, "switch_statement")}
"""What leaves no more than the nearest statement of some kinds around it."""
_BRANCHES = (
    "if_statement",
    "while_statement",
    "for_statement",
    "switch_statement",
    "conditional_expression",
)
_EVALUATED = frozenset({
    "function_definition", "compound_statement", "else_clause", "expression_statement",
    "labeled_statement", "return_statement", "declaration", "init_declarator",
    "parenthesized_expression", "assignment_expression", "comma_expression",
    "binary_expression", "unary_expression", "cast_expression", *_BRANCHES,
})  # fmt: skip
"""What evaluates all of what stands in it, branches aside: no argument of what may be a macro."""
_NOTHING = Truth()
_RETURNED = "return"
"""What stands for the value that a function returns, in place of a variable."""
_STEPS = ("compound_statement", "return_statement", "goto_statement")
"""What a way to a jump is made of."""
_LABELS = ("labeled_statement", "case_statement")
_JUMPS = re.compile(rb"\b(?:return|goto|break|continue)\b")
_CALL = re.compile(r"(\w+)\((\w+)\)")
_ADDRESS = re.compile(r"&\(?(\w+)->(\w+)\)?")
_HEAD = ("condition", "initializer")
"""What of a branch or loop is evaluated on every way."""


class Doubt(NamedTuple):
    """What may invalidate the role behind a change of an input, or else may change that."""

    place: Place | None
    invalidates: bool


class Invalidations:
    """The stores that invalidate the roles of one context, and who comes by one."""

    def __init__(
        self,
        tree: Tree,
        path: tuple[str, ...],
        roles: frozenset[str],
        never_skips: Callable[[str, str, int], bool],
        setups: frozenset[str] = frozenset(),
        computed: frozenset[Place] = frozenset(),
        beside: frozenset[str] = frozenset(),
    ) -> None:
        """Take the members that lead to a context, and those of it that are compared.

        NEVER_SKIPS tells of a role, a member below it and a number, whether nothing skips
        where the number stands there.  SETUPS are the names of functions that lead to a set-up;
        COMPUTED are the places where the decided ones store a role.  BESIDE are the other
        members of the context that the guard looks at.
        """
        self._tree, self._path, self._context, self._roles = tree, path, path[-1], roles
        self._never_skips, self._computed = never_skips, computed
        self._births = Births(tree, setups)
        self.perhaps = Perhaps(tree, self._births, roles, beside, never_skips, self._names_context)
        self._changes = Changes(tree, self._births)
        self._by: dict[tuple[tuple[str, str, int], int, str, int, str], str | None] = {}
        self._known: dict[tuple[tuple[str, str, int], str, bool], str | None] = {}
        self._ways: dict[tuple[tuple[str, str, int], int, str, int, Truth], str | None] = {}
        """What invalidates on every way: by function, place, variable, depth, and what is known."""
        self._jumps: dict[tuple[str, str, int], tuple[tuple[int, int], ...]] = {}
        """Where a function names what makes an invalidation behind it too late, and calls that."""
        users = (user.name for name in setups for _, user in tree.index.users(name))
        self._leading = setups.union(users)
        """The functions that lead to a set-up, and who calls one of them."""
        self._firsts = Firsts(tree, self._births, self._leading, self._held_by)

    def after(self, links: tuple[Link, ...]) -> str | None:
        """Return the function that invalidates the role after every change of a member.

        LINKS lead to the member from what holds it (see ``Changes``).
        """
        name: str | None = None
        for change in self._changes.of(links):
            by = self._behind(*change, 0) if isinstance(change, Change) else None
            if by is None:
                return None
            name = name or by
        return name or None

    def doubt(self, links: tuple[Link, ...]) -> Doubt | None:
        """Return why it is not known that a member changes and leaves the role valid.

        None where behind one of its changes nothing may invalidate the role.  Of a place that
        may be one more change there is doubt only where others are known to invalidate.
        """
        found: Doubt | None = None
        unclear: Unclear | None = None
        is_invalidated = False
        for change in self._changes.of(links):
            if isinstance(change, Unclear):
                unclear = change if unclear is None or unclear.place is None else unclear
                continue
            name = self._behind(*change, 0)
            is_invalidated = is_invalidated or bool(name)
            if name is None:
                place = self.perhaps.behind(change.function, change.end)
                if place is None:
                    return None
                found = Doubt(place, True)
        if found is None and unclear is not None and is_invalidated:
            return Doubt(unclear.place, False)
        return found

    def made_by(self, links: tuple[Link, ...]) -> str | None:
        """Return the function that makes a member what it stays, in front of all set-ups.

        The member is one of a holder, or of what all holders share.  None where it may change
        later, or where nothing is known to store to it.
        """
        target = self._tree.index.target
        if not links or links[0][0] not in (target.shared, target.handle):
            return None
        is_shared = links[0][0] == target.shared
        makers: list[str] = []
        for change in self._changes.of(links):
            if isinstance(change, Unclear):
                return None
            function, end, holder = change
            if is_shared and not (
                self._is_of_origin(function, holder, 0)
                or self._is_before_all(function, end, holder)
            ):
                return None
            if not is_shared and not self._firsts.is_first(function, end, end, holder):
                return None
            makers.append(function.name)
        if not makers or any(self._changes.as_a_whole(tag) for tag, _ in links):
            return None
        return makers[0]

    def _is_of_origin(self, function: Definition, holder: str, depth: int) -> bool:
        """Tell whether a function runs only where what all holders share is made, and is given it.

        HOLDER is what the function knows it by.
        """
        through = self._held_by(function, holder)
        number = parameter_of(function, through) if through is not None else None
        if number is None or depth == MAX_CALLS:
            return False
        if self._births.is_origin(function):
            return True
        calls = self._births.calls(function)
        for caller, call in calls or ():
            given = syntax.arguments(call)
            handed = text(given[number]) if number < len(given) else ""
            if not self._is_of_origin(caller, handed, depth + 1):
                return False
        return bool(calls)

    def _is_before_all(self, function: Definition, end: int, holder: str) -> bool:
        """Tell whether a byte is only run while there is nothing that holds a context.

        That is what the count says that all holders share, under the lock for what changes it.
        """
        facts = self._tree.index.target.registers
        root = self._tree.index.node(function)
        held = self._held_by(function, holder)
        if not facts.counted or held is None or root.has_error:
            return False
        count, lock = (f"{held}->{member}" for member in facts.counted)
        if not {f"!{count}", f"{count}==0"} & holding(root, end - 1):
            return False
        plain = strip_comments(function.text)
        since = locked_since(plain, end, re.sub(rb"->", rb"\\s*->\\s*", lock.encode()))
        if since is None or not is_kept(self._tree, function, plain[since:end], facts.counted[1]):
            return False
        said = dense(plain[since:end].decode("utf-8", "replace"))
        is_asked = re.findall(rf"(?:^|[;{{}}])if\([^;{{}}]*\b{count}\b", said)
        return len(is_asked) == said.count(count) == 1 and counts_before(self._tree, *facts.counted)

    def _behind(
        self, function: Definition, end: int, holder: str, depth: int, zero: str = ""
    ) -> str | None:
        """Return what invalidates the role on every way behind a byte, in who calls it as well.

        HOLDER is what a context is reached through, ZERO a variable that is 0 there.  "" where
        nothing has been set up yet.
        """
        key = function.key, end, holder, depth, zero
        if key not in self._by:
            self._by[key] = self._found_behind(function, end, holder, depth, zero)
        return self._by[key]

    def _found_behind(
        self, function: Definition, end: int, holder: str, depth: int, zero: str
    ) -> str | None:
        through = self._held_by(function, holder)
        if through is None:
            return None
        known = self._known_zero(function, end, zero)
        found = self._on_every_way(function, end, through, known=known)
        if found is None and self._is_in_front(function, end, through):
            found = function.name
        if found is not None:
            return found
        number = parameter_of(function, through)
        if number is not None and self._births.is_early(function, end - 1):
            return ""
        root = self._tree.index.node(function)
        calls = self._births.calls(function) if number is not None else None
        if number is None or not calls or depth == MAX_CALLS:
            return None
        if self._is_late(function, end, len(function.text)):
            return None
        name: str | None = None
        succeeds = zero == _RETURNED or _succeeds(root, end)
        for caller, call in calls:
            given = syntax.arguments(call)
            handed = text(given[number]) if number < len(given) else ""
            told = _told_by(call) if succeeds else ""
            by = self._behind(caller, call.end_byte, handed, depth + 1, told)
            if by is None:
                return None
            name = name or by
        return name

    def _known_zero(self, function: Definition, start: int, name: str) -> Truth:
        """Return up to where a variable stays 0 that is 0 at a byte of a function."""
        if name in ("", _RETURNED):
            return Truth()
        return Truth(name, steady_until(self._tree, function, name, start))

    def _is_in_front(self, function: Definition, end: int, through: str) -> bool:
        """Tell whether the role is made invalid in front of a change, with no call in between."""
        root = self._tree.index.node(function)
        body = syntax.function(root)
        if body is None or root.has_error:
            return False
        for match in syntax.matches("role_invalidation", body):
            target, value = match["role.target"][0], match["role.value"][0]
            if target.end_byte < end and self._invalidates(target, value, through, function):
                if _is_run_before(target, body, end):
                    return True
        return False

    def _held_by(self, function: Definition, expression: str, depth: int = 0) -> str | None:
        """Return the variable that tells the same holder of contexts as an expression.

        What contains it, and what it contains, are the same; so is a variable that is one of
        them from its declaration on.  None where that is not known.  What a loop sets is one
        holder for a turn, and nothing is known by it.
        """
        key = function.key, expression, depth > 0
        if key not in self._known:
            self._known[key] = self._found_holder(function, expression, depth)
        return self._known[key]

    def _found_holder(self, function: Definition, expression: str, depth: int) -> str | None:
        spelt = "".join(expression.split())
        if depth > MAX_CALLS:
            return None
        if (called := _CALL.fullmatch(spelt)) is not None:
            is_same = is_container(self._tree, called[1], function.file)
            return self._held_by(function, called[2], depth + 1) if is_same else None
        root = self._tree.index.node(function)
        if (address := _ADDRESS.fullmatch(spelt)) is not None:
            node = syntax.expression(f"{address[1]}->{address[2]}")
            ctype = self._tree.objects.type_of(node, root, function.file) if node else None
            is_handle = (
                isinstance(ctype, RecordType) and ctype.tag == self._tree.index.target.handle
            )
            return self._held_by(function, address[1], depth + 1) if is_handle else None
        declared = self._tree.objects.variables(root).get(spelt, [])
        is_of_turn = depth == 0 and len(declared) == 1
        if not spelt.isidentifier() or is_set(self._tree, function, spelt, turns=not is_of_turn):
            return None
        if len(declared) == 1 and declared[0][1].type == "init_declarator":
            return self._held_by(function, text(declared[0][1].children[-1]), depth + 1)
        return spelt if len(declared) < 2 else None

    def _on_every_way(
        self,
        function: Definition,
        start: int,
        through: str,
        depth: int = 0,
        known: Truth = _NOTHING,
    ) -> str | None:
        """Return what invalidates a role on every way from a byte on, THROUGH a variable.

        That is, on every way on which what is KNOWN of a variable holds.
        """
        key = function.key, start, through, depth, known
        if key not in self._ways:
            self._ways[key] = self._found_on_every_way(function, start, through, depth, known)
        return self._ways[key]

    def _found_on_every_way(
        self, function: Definition, start: int, through: str, depth: int, known: Truth
    ) -> str | None:
        root = self._tree.index.node(function)
        body = syntax.function(root)
        if body is None or root.has_error or depth > MAX_CALLS:
            return None
        body = _turn(body, start, through)
        if is_set(self._tree, function, through, body):
            return None
        stores = [
            target
            for match in syntax.matches("role_invalidation", body)
            if (target := match["role.target"][0]).start_byte >= start
            and self._invalidates(target, match["role.value"][0], through, function)
        ]
        stores += self._ends(function, body, start, through)
        if any(self._certain(one, body, function, start, known) for one in stores):
            return function.name
        calls = self._called(function, body, start)
        for call in calls:
            if self._certain(call, body, function, start, known):
                if (name := self._within(call, through, function, depth)) is not None:
                    return name
        found = self._by_pointer(function, body, start, through, known)
        if found is None and start == 0 and self._is_left_invalid(function, through):
            return function.name

        if found is None and _is_met(stores + calls, body, start, known):
            named = {one: self._within(one, through, function, depth) for one in calls}
            made = [one for one in (*stores, *calls) if named.get(one, "") is not None]
            if self._is_certain_together(made, body, function, start, known):
                return next((name for name in named.values() if name is not None), function.name)
        return found

    def _ends(self, function: Definition, body: Node, start: int, through: str) -> list[Node]:
        """Return the jumps behind a byte that are taken only where nothing runs again."""
        return [
            jump
            for jump in syntax.descendants(body)
            if jump.type in ("return_statement", "goto_statement") and jump.start_byte >= start
            for branch in taken(jump, _above(jump, body))
            if (by := ended(self._tree.index, branch, function)) is not None
            and self._held_by(function, by) == through
        ]

    def _is_certain_together(
        self, nodes: list[Node], body: Node, function: Definition, start: int, known: Truth
    ) -> bool:
        """Tell whether every way from a byte on comes by one of some nodes in time."""
        nodes = sorted(nodes, key=lambda one: one.start_byte)
        return any(
            not self._is_late(function, first_behind(body, start, last), last.start_byte, nodes)
            and _is_met(nodes[: number + 1], body, start, known)
            for number, last in enumerate(nodes)
        )

    def _called(self, function: Definition, body: Node, start: int) -> list[Node]:
        """Return the calls behind a byte of functions that may invalidate a role."""
        found: list[Node] = []
        for match in syntax.matches("call_site", body):
            call = match["call.function"][0]
            name = syntax.text(call)
            if call.start_byte < start or not self._tree.effects.leads(name, function.file):
                continue
            if self._tree.index.macros(name, function.file):
                continue
            # Behind an unknown macro a call looks like a declaration.
            while call.parent is not None and call.parent.type == "parenthesized_expression":
                call = call.parent
            if call.parent is not None and call.parent.type == "call_expression":
                found.append(call.parent)
        return found

    def _within(self, call: Node, through: str, function: Definition, depth: int) -> str | None:
        """Return what invalidates a role on every way through a call, THROUGH a variable."""
        callee = call.child_by_field_name("function")
        names = re.findall(r"\w+", text(callee)) if callee is not None else []
        helpers = self._tree.index.functions(names[0], function.file) if names else ()
        inside: list[str | None] = []
        for one in helpers:
            given = self._handed(call, through, function, one)
            if given is not None:
                ways = (
                    self._on_every_way(one, 0, given, depth + 1, known)
                    for known in (_NOTHING, *self._told_to(one, call))
                )
                inside.append(next((by for by in ways if by is not None), None))
        if inside and None not in inside:
            return inside[0]
        number = self._given(call, through, function)
        if number is not None and helpers:
            if all(self._leaves_invalid(one, number) for one in helpers):
                return function.name
        return None

    def _told_to(self, function: Definition, call: Node) -> Iterator[Truth]:
        """Yield what is known of the parameters of a function that a call gives a truth."""
        names, start = parameter_names(function), function.text.find(b"{") + 1
        for number, one in enumerate(syntax.arguments(call)[: len(names)]):
            if text(one) in TRUTHS:
                until = steady_until(self._tree, function, names[number], start)
                yield Truth(names[number], until, TRUTHS[text(one)])

    def _is_left_invalid(self, function: Definition, through: str) -> bool:
        """Tell whether a run of a function leaves behind no role that was stored before it.

        On every way it leaves one behind which nothing skips, or has computed another.
        """
        said = [*re.finditer(rb"\b%s\b" % self._context.encode(), function.text)]
        if not said or parameter_of(function, through) is None:
            return False
        if self._is_late(function, 0, said[-1].start()):
            return False
        ran = run(self._tree, function, share=1)  # it may go on to set the context up
        if ran is None:
            return False
        fresh: dict[Loc, Cond] = {}
        for store in ran.stores:
            if store.place in self._computed:
                role = store.context.member(store.member)
                fresh[role] = bits.either(fresh.get(role, False), store.path)
        for loc, value in ran.memory.items():
            named = loc.root.name == through and loc.path[-2:-1] == (self._context,)
            named = named and self._leads(function, [through, *loc.path[:-1]])
            if named and loc.path[-1] in self._roles and isinstance(value, Int):
                if self._never_skips_with(ran, loc, value.bits, bits.negate(fresh.get(loc, False))):
                    return True
        return False

    def _never_skips_with(self, ran: Lowered, role: Loc, value: Bits, kept: Cond) -> bool:
        """Tell whether nothing skips behind a value of a role, where none was computed since."""
        record = self._tree.roles.type_of(role.path[-1])
        for below, (low, width, _) in record.slots.items() if record is not None else ():
            part = bits.cut(value, low, width)
            for number in (0, (1 << width) - 1):
                unlike = bits.negate(bits.equal(part, bits.constant(width, number)))
                if not ran.allows(bits.both(kept, unlike)):
                    if self._never_skips(role.path[-1], below, number):
                        return True
        return False

    def _by_pointer(
        self, function: Definition, body: Node, start: int, through: str, known: Truth
    ) -> str | None:
        """Return what invalidates a role through a pointer to the context, or in a loop."""

        def is_certain_in(pointer: Pointer, node: Node) -> bool:
            if node.start_byte < start or not _is_within(node, pointer.region):
                return False
            if pointer.loop is None:
                return self._certain(node, body, function, start, known)
            if pointer.loop.start_byte < start or not is_certain(node, pointer.region):
                return False
            return self._certain(pointer.loop, body, function, start, known)

        for pointer in pointers(
            body,
            lambda one: self._is_address(one, through, function),
            lambda part, name: is_set(self._tree, function, name, part),
        ):
            for match in syntax.matches("role_invalidation", body):
                target, value = match["role.target"][0], match["role.value"][0]
                lead, arrow, rest = dense(text(target)).partition("->")
                role, _, below = rest.partition(".")
                if lead == pointer.spelt and arrow and role in self._roles:
                    if self._leaves_no_skip(role, below, value) and is_certain_in(pointer, target):
                        return function.name
            for call in (one for one in syntax.descendants(body) if one.type == "call_expression"):
                callee = call.child_by_field_name("function")
                given = [dense(text(one)) for one in syntax.arguments(call)]
                if callee is None or pointer.spelt not in given:
                    continue
                helpers = self._tree.index.functions(text(callee), function.file)
                number = given.index(pointer.spelt)
                if helpers and all(self._leaves_invalid(one, number) for one in helpers):
                    if is_certain_in(pointer, call):
                        return function.name
        return None

    def _is_address(self, node: Node, through: str, function: Definition) -> bool:
        """Tell whether an expression is the address of the context, come by THROUGH a variable."""
        words = re.findall(r"\w+", text(node))
        if not text(node).startswith("&") or not words or words[-1] != self._context:
            return False
        return self._held_by(function, words[0]) == through and self._leads(function, words)

    def _given(self, call: Node, through: str, function: Definition) -> int | None:
        """Return which argument of a call is the address of the context, come by THROUGH it."""
        for number, one in enumerate(syntax.arguments(call)):
            if self._is_address(one, through, function):
                return number
        return None

    def _leaves_invalid(self, function: Definition, number: int) -> bool:
        """Tell whether a function that is given a context leaves its role invalid, on every way."""
        names = parameter_names(function)
        root = self._tree.index.node(function)
        body = syntax.function(root)
        if body is None or root.has_error or number >= len(names):
            return False
        if is_set(self._tree, function, names[number]):
            return False
        for match in syntax.matches("role_invalidation", body):
            target, value = match["role.target"][0], match["role.value"][0]
            holder, *words = re.findall(r"\w+", syntax.text(target))
            if holder == names[number] and words and words[0] in self._roles:
                role, below = words[0], ".".join(words[1:])
                if self._leaves_no_skip(role, below, value):
                    if is_certain(target, body):
                        return True
        return False

    def _certain(
        self, node: Node, body: Node, function: Definition, start: int, known: Truth
    ) -> bool:
        """Tell whether every way from a byte on comes by a node, as long as what is KNOWN holds.

        Who asks for less than every way has an answer of his own (``told``).
        """
        first = first_behind(body, start, node)
        return not self._is_late(function, first, node.start_byte) and (
            is_certain(node, body, start=start, known=known)
        )

    def _is_late(
        self, function: Definition, start: int, end: int, aside: Sequence[Node] = ()
    ) -> bool:
        """Tell whether what is done between two bytes of a function may make the rest too late.

        That is a set-up, which may skip, and a macro that holds a jump; what is called in some
        calls is left ASIDE.
        """
        known = self._jumps.get(function.key)
        if known is None:
            body = syntax.function(self._tree.index.node(function))
            within = None if body is None else body.child_by_field_name("body")
            named = [
                one
                for one in syntax.descendants(within or self._tree.index.node(function))
                if one.type.endswith("identifier")
            ]
            known = self._jumps[function.key] = tuple(
                (one.start_byte, _behind_call(one))
                for one in named
                if text(one) in self._leading
                or stands_for(self._tree.index, text(one), function.file, _JUMPS)
            )
        early = [one.child_by_field_name("function") or one for one in aside]
        return any(
            start < behind
            and at < end
            and not any(one.start_byte <= at < one.end_byte for one in early)
            for at, behind in known
        )

    def _leads(self, function: Definition, words: list[str]) -> bool:
        """Tell whether members lead from a variable to the context of its holder, each by value."""
        return bool(self._steps) and self._below_holder(function, words) == self._steps

    def _below_holder(self, function: Definition, words: list[str]) -> tuple[str, ...]:
        """Return the members among some that come below what holds contexts, if they lead there."""
        index, first = self._tree.index, syntax.expression(words[0])
        root = index.node(function)
        here = self._tree.objects.type_of(first, root, function.file) if first else None
        if isinstance(here, PointerType):
            here = settled(here.target)
        for number, step in enumerate(words[1:], 1):
            if not isinstance(here, RecordType):
                break
            if here.tag == index.target.host:
                return tuple(words[number:])
            here = here.by_name[step][1] if step in here.by_name else None
        return ()

    def _names_context(self, function: Definition, words: list[str]) -> bool:
        """Tell whether members lead from a variable to some context of its holder."""
        below = self._below_holder(function, words)
        return bool(below) and self._held(below)

    @cached_property
    def _steps(self) -> tuple[str, ...]:
        """The members that lead from what holds contexts to this one, each by value; else none."""
        ends = (self._path[number:] for number in range(len(self._path)))
        return next(filter(self._held, ends), ())

    def _held(self, steps: tuple[str, ...]) -> bool:
        """Tell whether members lead from what holds contexts to one, each by value."""
        index = self._tree.index
        here: CType | None = self._tree.types.record(
            f"struct {index.target.host}", index.target.header
        )
        for step in steps:
            if not isinstance(here, RecordType) or step not in here.by_name:
                return False
            here = here.by_name[step][1]
        return isinstance(here, RecordType) and here.tag in self._tree.roles.contexts

    def _invalidates(self, target: Node, value: Node, through: str, function: Definition) -> bool:
        """Tell whether a store THROUGH a variable leaves a role behind which nothing skips."""
        words = re.findall(r"\w+", syntax.text(target))
        held = [at for at, one in enumerate(words) if one in self._roles and at]
        if not held or words[held[0] - 1] != self._context:
            return False
        if self._held_by(function, words[0]) != through:
            return False
        if not self._leads(function, words[: held[0]]):
            return False
        return self._leaves_no_skip(words[held[0]], ".".join(words[held[0] + 1 :]), value)

    def _leaves_no_skip(self, role: str, below: str, value: Node) -> bool:
        number = number_stored(value)
        return number is not None and self._never_skips(role, below, number)

    def _handed(
        self, call: Node, through: str, caller: Definition, function: Definition
    ) -> str | None:
        """Return the parameter of a function that a call hands what a variable is."""
        names = parameter_names(function)
        for number, one in enumerate(syntax.arguments(call)):
            if number < len(names) and self._held_by(caller, text(one)) == through:
                return names[number]
        return None


def is_certain(
    node: Node,
    body: Node,
    leaving: bool = False,
    start: int = 0,
    known: Truth = _NOTHING,
    together: _Together | None = None,
) -> bool:
    """Tell whether every way through a function comes by a node, those that LEAVE it aside.

    That is, every way that has come by the byte at START, where what is KNOWN of a variable holds.
    A way that comes by another of those TOGETHER with the node need not come by it.
    """
    first = first_behind(body, start, node)
    behind = [
        one
        for one in syntax.descendants(body)
        if one.start_byte >= first or (one.type in syntax.JUMPS and one.end_byte > first)
    ]
    told = known.at(node.start_byte) if first == start else _NOTHING
    if not leaving and any(
        passes_by(one, node) and not fails(one, told) and not _is_behind(one, body, start, together)
        for one in behind
    ):
        return False
    here = node
    while here != body and here.parent is not None and not _holds(here, start):
        outer = here.parent
        if outer.type in _BRANCHES and all(outer.child_by_field_name(n) != here for n in _HEAD):
            is_run = _is_taken(outer, here, told) or holds_lock(outer)
            if not is_run and not _is_met_beside(outer, here, together):
                return False
        if outer.type == "call_expression":
            if here != outer.child_by_field_name("function"):
                return False
        elif outer.type not in _EVALUATED and not _holds(outer, start):
            return False
        if outer.type == "binary_expression" and here == outer.child_by_field_name("right"):
            if syntax.text(outer.children[1]) in ("&&", "||"):
                return False
        here = outer
    return True


def _behind_call(name: Node) -> int:
    """Return the byte behind a name, or behind the call of it: what it is given is run first."""
    outer = name.parent
    while outer is not None and outer.type == "parenthesized_expression":
        outer = outer.parent
    is_called = outer is not None and outer.type == "call_expression"
    return outer.end_byte if outer is not None and is_called else name.end_byte


def _turn(body: Node, start: int, name: str) -> Node:
    """Return what is run from a byte on before a loop sets a variable again, if one does."""
    loops = [
        inside
        for one in syntax.descendants(body)
        if any(text(given) == name for given in syntax.set_by_loop(one))
        and (inside := one.child_by_field_name("body")) is not None
        and inside.start_byte < start <= inside.end_byte
    ]
    return loops[-1] if loops else body


def _is_met(nodes: Sequence[Node], body: Node, start: int, known: Truth) -> bool:
    """Tell whether every way from a byte on comes by one of some nodes."""
    together = _Together(nodes)
    return 1 < len(nodes) <= MAX_TOGETHER and any(
        is_certain(one, body, start=start, known=known, together=together) for one in nodes
    )


class _Together:
    """Some nodes of which a way may come by any; what is known of them is not asked again."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self._known: dict[tuple[int, int, int], bool] = {}

    def is_certain(self, node: Node, block: Node, start: int) -> bool:
        """Tell whether every way through a block comes by a node, or by another one of these."""
        key = node.id, block.id, start
        if key not in self._known:
            self._known[key] = is_certain(node, block, start=start, together=self)
        return self._known[key]


def _is_met_beside(branch: Node, here: Node, together: _Together | None) -> bool:
    """Tell whether the way that leaves out the first half of a branch comes by some nodes."""
    other = branch.child_by_field_name("alternative")
    if branch.type != "if_statement" or branch.child_by_field_name("consequence") != here:
        return False
    if together is None:
        return False
    half = other.named_children[-1] if other is not None and other.named_children else None
    return half is not None and any(
        _is_within(one, half) and together.is_certain(one, half, half.start_byte)
        for one in together.nodes
    )


def _above(node: Node, top: Node) -> Iterator[Node]:
    """Yield what a node lies in, the nearest first, TOP last."""
    while node != top and node.parent is not None:
        node = node.parent
        yield node


def _is_behind(jump: Node, body: Node, start: int, together: _Together | None) -> bool:
    """Tell whether every way to a jump comes by one of some nodes, from a byte on."""
    block: Node | None = jump
    while together is not None and block is not None and block != body:
        if block.type in _STEPS and any(
            start <= one.start_byte
            and _is_within(one, block)
            and one.end_byte <= jump.end_byte
            and not _is_labelled(block, one.start_byte, jump.start_byte)
            and together.is_certain(one, block, start)
            for one in together.nodes
        ):
            return True
        block = block.parent
    return False


def _is_labelled(block: Node, start: int, end: int) -> bool:
    """Tell whether a label lies between two bytes, by which a jump may lead there."""
    return any(
        one.type in _LABELS and start < one.start_byte <= end for one in syntax.descendants(block)
    )


def _is_taken(branch: Node, here: Node, told: Truth) -> bool:
    """Tell whether a part of a branch is run where something is known of a variable."""
    holds = told.tells(branch.child_by_field_name("condition"))
    if branch.type != "if_statement" or holds is None:
        return False
    return branch.child_by_field_name("consequence" if holds else "alternative") == here


def fails(jump: Node, told: Truth) -> bool:
    """Tell whether a jump is not taken where something is known of a variable."""
    here = jump
    while told.name and here.parent is not None:
        outer = here.parent
        if outer.type == "if_statement":
            holds = told.tells(outer.child_by_field_name("condition"))
            half = None if holds is None else "alternative" if holds else "consequence"
            if half is not None and outer.child_by_field_name(half) == here:
                return True
        here = outer
    return False


def _succeeds(root: Node, end: int) -> bool:
    """Tell whether a function returns 0 on every way from a byte on."""
    here = root.descendant_for_byte_range(end - 1, end)
    while here is not None:
        if here.type in _LOOPS:
            return False
        here = here.parent
    returned = 0
    for one in syntax.descendants(root):
        if one.type == "goto_statement":
            return False
        if one.type == "return_statement" and one.end_byte > end:
            if not one.named_children or text(one.named_children[0]) != "0":
                return False
            returned += 1
    return returned > 0


def _told_by(call: Node) -> str:
    """Return the variable that is made what a call returns, or that it is returned as it is."""
    outer = call.parent
    if outer is None:
        return ""
    if outer.type == "return_statement":
        return _RETURNED
    statement = outer.parent
    left = outer.child_by_field_name("left")
    is_plain = outer.type == "assignment_expression" and text(outer.children[1]) == "="
    if not is_plain or left is None or left.type != "identifier" or statement is None:
        return ""
    return text(left) if statement.type == "expression_statement" else ""


def _is_within(node: Node, region: Node) -> bool:
    return region.start_byte <= node.start_byte and node.end_byte <= region.end_byte


def _holds(node: Node, at: int) -> bool:
    """Tell whether what ends at a byte is within a block, or one case of a switch."""
    is_sequence = node.type in ("compound_statement", "case_statement")
    return is_sequence and node.start_byte < at <= node.end_byte


def _is_run_before(node: Node, body: Node, end: int) -> bool:
    """Tell whether a statement is run right before what ends at a byte, and nothing is called."""
    statement = node.parent
    while statement is not None and statement.type == "assignment_expression":
        statement = statement.parent
    block = statement.parent if statement is not None else None
    if statement is None or block is None or statement.type != "expression_statement":
        return False
    if not _holds(block, end):
        return False
    return not any(
        one.type in ("call_expression", "labeled_statement", "case_statement", "goto_statement")
        for one in syntax.descendants(body)
        if statement.end_byte <= one.start_byte < end
    )


def first_behind(body: Node, start: int, node: Node) -> int:
    """Return the first byte that may be run between the one at START and a node behind it.

    That is in front of it where a loop around it, and not around the node, comes by again.
    """
    here = body.descendant_for_byte_range(start - 1, start - 1) if start > 0 else None
    first = start
    while here is not None and not _is_within(node, here):
        if here.type in _LOOPS:
            first = here.start_byte
        here = here.parent
    return first


def passes_by(jump: Node, node: Node) -> bool:
    """Tell whether a statement in front of a node may lead past it."""
    if jump.end_byte > node.start_byte:
        return False
    if jump.type not in _LEFT_BY:
        return jump.type in _LEAVES
    outer = jump.parent
    while outer is not None and outer.type not in _LEFT_BY[jump.type]:
        outer = outer.parent
    return outer is None or outer.end_byte > node.start_byte
