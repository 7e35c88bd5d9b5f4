# SPDX-License-Identifier: GPL-2.0-only
"""The ways to a guard: which calls lead there, and what they bind.

In: the initialisers of a tree.  Out: a run for every entry on whose callers nothing
depends, and a path for every guard that it meets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple, cast

from patchtool.c import syntax
from patchtool.c.index import Index, is_static, parameter_names
from patchtool.c.layout import Types
from patchtool.c.lower import BY_MORE, Guard, Lowered, Lowering
from patchtool.c.memory import Fact, Int, Loc, Pointer, Root
from patchtool.c.scan import Definition, places, strip_comments
from patchtool.model import Consulted, Place
from patchtool.proof import bits
from patchtool.proof.bits import Cond, Symbol
from patchtool.world.accounts.counts import is_count
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.effects import Effects
from patchtool.world.linked import assembled
from patchtool.world.pasted import Pasting
from patchtool.world.roles import Roles, callers
from patchtool.world.users import calls_of, is_idle

MAX_WORK = 250_000
"""Steps of all the runs that look for ways to guards; kernels take up to 100,000."""
_OWN = re.compile(r"&\s*\w+")
"""The address of a variable as a whole."""


class Assigned(NamedTuple):
    """A value that an object is given, and the files that it comes through."""

    value: int
    files: frozenset[str]

    def is_for(self, vendor: str, others: tuple[str, ...]) -> bool:
        """Tell whether a host of a vendor may have it, which never sees what others assign."""
        rivals = tuple(one for one in others if one != vendor)
        return not any(file.startswith(rivals) for file in self.files)


def told_members(index: Index) -> tuple[str, ...]:
    """Return the members that what a guest is told of its CPU is kept in: tables, and words."""
    target = index.target
    table = re.compile(rb"\bstruct\s+%b\s*\*?\s*(\w+)" % target.registers.tables.record.encode())
    holders = index.record(f"struct {target.host}", target.header)
    tables = (name.decode() for one in holders for name in table.findall(strip_comments(one.text)))
    return tuple(dict.fromkeys((*tables, *target.registers.told)))


class Tree:
    """What is known of the tree under check."""

    def __init__(
        self, index: Index, types: Types, roles: Roles, effects: Effects, lowering: Lowering
    ) -> None:
        self.index, self.types, self.roles = index, types, roles
        self.effects, self.lowering = effects, lowering
        self.runs: dict[tuple[object, ...], Lowered] = {}
        self.constants: dict[str, str | None] = {}
        """Why what all share is alike at all times, by the names of words."""
        self.set_late: dict[str, bool] = {}
        """Whether operations may be given another function behind module load."""
        self.spilt: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {}
        """The members of records, and those at which a copy begins that may go beyond, by tag."""
        self.assigned: dict[str, tuple[Assigned, ...]] = {}
        self.told: dict[tuple[object, ...], list[tuple[Definition, list[int]]] | None] = {}
        """Who changes what a guest is told, by what is asked and by the members it is kept in.

        None where that is not known.
        """
        self.calls: dict[
            tuple[str, str, int], tuple[tuple[Definition, syntax.Node], ...] | None
        ] = {}
        """The calls of functions; None where one is used in another way as well."""
        self.alone: dict[tuple[str, str, int], bool] = {}
        """Whether functions have to do with one holder alone."""
        self._idle: dict[tuple[str, str, int], bool] = {}
        self.counts: dict[tuple[str, str], bool] = {}
        """Whether members, each by its name and its record, are counted and never read."""
        self.following: dict[tuple[Cond, Cond], bool] = {}
        """Whether the second of two conditions is known to follow from the first."""
        self._elsewhere: set[Consulted] = set()
        """What copies of this process have consulted."""

    @property
    def consulted(self) -> frozenset[Consulted]:
        """The definitions that all that was run and looked at until now rests on."""
        found = self._elsewhere.union(*(lowered.consulted for lowered in self.runs.values()))
        found.update(
            Consulted(one.file, one.line, "type", tag) for tag, one in self.types.used.items()
        )
        return frozenset(found)

    def notes(self) -> object:
        """Return what this tree has to be told in the process of which this one is a copy."""
        return self.index.notes(), self.consulted

    def take(self, notes: object) -> None:
        """Take over what a copy of this process has read and consulted, as its notes tell."""
        asked, consulted = cast(tuple[object, frozenset[Consulted]], notes)
        self.index.take(asked)
        self._elsewhere |= consulted

    @property
    def objects(self) -> Mentions:
        """The mentions of objects of file scope."""
        return self.effects.objects

    @cached_property
    def assembled(self) -> Mapping[bytes, Place]:
        """The words of assembler text, and where each stands."""
        return assembled(self.index)

    def is_idle(self, function: Definition) -> bool:
        """Tell whether nothing can run a function, by whatever name it is made."""
        if function.key not in self._idle:
            self._idle[function.key] = is_idle(
                self.index, self.objects.files, function
            ) and not any(self.pasting.uses((function.name,)))
        return self._idle[function.key]

    @cached_property
    def pasting(self) -> Pasting:
        """The macros that make names out of parts."""
        return Pasting(self.index, self.objects.files)

    @cached_property
    def holders(self) -> tuple[Definition, ...]:
        """The definitions of the structure that holds the contexts."""
        target = self.index.target
        return self.index.record(f"struct {target.host}", target.header)

    @cached_property
    def told_in(self) -> tuple[str, ...]:
        """The members that what a guest is told of its CPU is kept in."""
        return told_members(self.index)

    def held(self, pointer: bytes = b"", tags: Iterable[str] | None = None) -> frozenset[str]:
        """Return the members of that structure that are contexts, or POINTERs to one.

        TAGS are those of some records, of all contexts if there are none.
        """
        known = sorted(self.roles.contexts if tags is None else tags)
        any_of = b"|".join(re.escape(tag.encode()) for tag in known) or b"(?!)"
        member = re.compile(rb"\bstruct\s+(?:" + any_of + rb")\s*" + pointer + rb"\s*(\w+)\s*;")
        found = (name for one in self.holders for name in member.findall(strip_comments(one.text)))
        return frozenset(name.decode() for name in found)

    def run(
        self,
        definition: Definition,
        bind: dict[Loc, Pointer] | None = None,
        share: int = 1,
        links: dict[Loc, Pointer] | None = None,
    ) -> Lowered:
        """Lower a call of a function, once for each way to bind its pointers.

        SHARE divides the work that it may take.  LINKS are pointers that stay as they are.
        """
        bound, fixed = dict(bind or {}), dict(links or {})
        key = (
            definition.key,
            tuple(sorted((str(k), str(v.target)) for k, v in bound.items())),
            frozenset(fixed),
        )
        if key not in self.runs:
            run = self.lowering.run(definition, {**fixed, **bound}, share, fixed)
            for loc, pointer in fixed.items():
                if run.memory.get(loc) == pointer:
                    del run.memory[loc]  # which no run stores
            self.runs[key] = run
            _leave_idle(self, run)
        return self.runs[key]


def _leave_idle(tree: Tree, lowered: Lowered) -> None:
    """Leave out the branches on a role on which nothing depends but what is counted or printed.

    Of such a branch it is not known which side skips, and neither does.
    """
    idle = {one.symbol for one in lowered.guards if one.skips is None}
    if not idle:
        return
    read: list[Cond] = [cond for one in lowered.stores for cond in (one.path, one.entered)]
    read += [one.path for one in lowered.passed]
    for guard in lowered.guards:
        read += [guard.path, guard.condition, guard.entered]
        read += [cond for one in guard.comparisons for cond in one.new.conditions()]
    idle -= bits.symbols(read)
    for loc, value in lowered.memory.items() if idle else ():
        if loc.root.kind != "local" and isinstance(value, Int):
            met = idle.intersection(value.bits.symbols)
            if met and not is_count(tree, lowered, loc):
                idle -= met
    left = {
        (one.place, BY_MORE.format(one.context)) for one in lowered.guards if one.symbol in idle
    }
    lowered.guards[:] = [one for one in lowered.guards if one.symbol not in idle]
    lowered.troubles[:] = [one for one in lowered.troubles if (one.place, one.reason) not in left]


class Path(NamedTuple):
    """One guard as one entry reaches it."""

    lowered: Lowered
    guard: Guard
    entry: tuple[str, ...]
    assumptions: tuple[str, ...] = ()


class Ways(NamedTuple):
    """Which ways to decide, told from those of another tree: all but the ones left out."""

    wanted: frozenset[tuple[str, ...]]
    left_out: frozenset[tuple[str, ...]]

    def ask_for(self, entry: tuple[str, ...]) -> bool:
        """Tell whether a way is to be decided."""
        return entry not in self.left_out

    def pass_by(self, function: str) -> bool:
        """Tell whether all ways that go by a function are known, and none is wanted."""
        known = {name for entry in self.left_out for name in entry}
        return function in known and all(function not in entry for entry in self.wanted)


def find_paths(
    tree: Tree,
    starts: list[Definition],
    ways: Ways | None = None,
    is_enough: Callable[[Lowered], bool] = lambda _: False,
    links: Callable[[Definition], dict[Loc, Pointer]] = lambda _: {},
) -> tuple[list[Path], list[Lowered]]:
    """Return every way to every guard, or just some, and the runs that found them.

    A way begins at the nearest function that other files can call and on whose callers
    nothing depends: neither an argument nor which context a pointer beside it selects.
    The runs until then are returned where IS_ENOUGH says so of one.  LINKS tells what is
    known of pointers between contexts.
    """
    done: list[tuple[Lowered, tuple[str, ...]]] = []
    unresolved: list[Lowered] = []
    taken: set[str] = set()
    seen: set[tuple[str, str, int]] = set()
    pending = list(starts)
    files = {start.file for start in starts}
    most = tree.lowering.work + MAX_WORK
    while pending:
        here = pending.pop(0)
        if here.key in seen:
            continue
        seen.add(here.key)
        inside = callers(tree.index, here.name, here.file)
        if is_static(here):
            chosen = {one.key: one for one in (*inside, *_choosers(tree.index, here))}
            inside = list(chosen.values())
        if is_static(here) and inside and here.file in files:
            pending.extend(inside)
            continue
        above = callers(tree.index, here.name) if _has_plain_arguments(here) else []
        if above and not inside:
            pending.extend(above)
            continue
        if ways is not None and ways.pass_by(here.name):
            continue
        spent = tree.lowering.work >= most
        lowered = tree.lowering.refuse(here) if spent else tree.run(here, links=links(here))
        pointers = _pointers(lowered)
        if pointers:
            above = callers(tree.index, here.name)
            selected = [_targets(tree.index, c, pointers) for c in above]
            pending.extend(c for c, names in zip(above, selected, strict=True) if names)
            taken.update(*selected)
            rest = [c for c, names in zip(above, selected, strict=True) if not names]
            if above and all(is_static(c) and c.file == here.file for c in rest):
                pending.extend(rest)
            else:
                unresolved.append(lowered)
            continue
        read = _read(lowered, tree.effects)
        if above and _is_argument_among(read, here):
            pending.extend(above)
        elif built := _builders(tree.index, here, _read_through(read, here)):
            pending.extend(built)
        else:
            done.append((lowered, ()))
            if is_enough(lowered):
                return [], [one for one, _ in done]
    for lowered in unresolved:
        bound, assumptions = _bound(tree, lowered, taken)
        known = links(lowered.start)
        again = tree.run(lowered.start, bound, links=known) if bound else lowered
        done.append((again, assumptions))
        if is_enough(done[-1][0]):
            return [], [one for one, _ in done]
    paths = [
        Path(lowered, one, one.calls, assumptions)
        for lowered, assumptions in done
        for guard in lowered.guards
        for one in (guard, *(guard._replace(context=context) for context, _ in guard.behind))
        if ways is None or ways.ask_for(guard.calls)
    ]
    return paths, [lowered for lowered, _ in done]


def _choosers(index: Index, function: Definition) -> list[Definition]:
    """Return the functions of a file that choose one of its own, and call it at once.

    By its name within what is called, ``(x ? f : g)(p)``, or by that of a table.
    """
    found: dict[tuple[str, str, int], Definition] = {}
    for name in (function.name, *tables_of(index, function)):
        for _, user in index.users(name, function.file):
            if user.name != function.name and any(
                map(_is_called_at_once, _named(index, user, name))
            ):
                found[user.key] = user
    return list(found.values())


def tables_of(index: Index, function: Definition) -> tuple[str, ...]:
    """Return the tables of a file that hold a function, and are called through, no more."""
    file = index.file(function.file)
    if file is None or not is_static(function):
        return ()
    found = []
    for name, group in file.objects.items():
        if all(re.search(rb"\b%s\b" % function.name.encode(), one.text) is None for one in group):
            continue
        outside = [at for at in places(file.data, name.encode()) if file.function_at(at) is None]
        if len(group) != 1 or len(outside) != 1 or not is_static(group[0]):
            continue
        uses = [
            one for _, user in index.users(name, file.path) for one in _named(index, user, name)
        ]
        if uses and all(map(_is_called_at_once, uses)):
            found.append(name)
    return tuple(found)


def callers_by_table(index: Index, function: Definition, line: int) -> list[Definition] | None:
    """Return who calls a function through the table that a line lies in; None where none does."""
    file = index.file(function.file)
    for name in tables_of(index, function) if file is not None else ():
        for one in file.objects[name] if file is not None else ():
            if one.line <= line <= one.line + one.text.count(b"\n"):
                return [user for _, user in index.users(name, function.file)]
    return None


def _named(index: Index, function: Definition, name: str) -> list[syntax.Node]:
    """Return the places in a function where a name stands for an object or a function."""
    nodes = syntax.descendants(index.node(function))
    return [n for n in nodes if n.type == "identifier" and syntax.text(n) == name]


def _is_called_at_once(node: syntax.Node) -> bool:
    """Tell whether what an identifier names, or holds, is called where it stands.

    Or where a variable is that is given it, and does nothing else than to be called.
    """
    here, outer = node, node.parent
    kinds = ("parenthesized_expression", "conditional_expression", "subscript_expression")
    while outer is not None and outer.type in kinds:
        is_first = here == outer.named_children[0]
        if is_first != (outer.type != "conditional_expression"):
            return False  # what is asked, or the number in a table
        here, outer = outer, outer.parent
    if outer is None:
        return False
    if outer.type == "init_declarator" and outer.child_by_field_name("value") == here:
        return _is_only_called(outer, outer.child_by_field_name("declarator"))
    if outer.type == "assignment_expression" and outer.child_by_field_name("right") == here:
        is_statement = outer.parent is not None and outer.parent.type == "expression_statement"
        return is_statement and _is_only_called(outer, outer.child_by_field_name("left"))
    return outer.type == "call_expression" and outer.child_by_field_name("function") == here


def _is_only_called(inside: syntax.Node, declarator: syntax.Node | None) -> bool:
    """Tell whether a variable of a function is declared, set and called there, and no more."""
    while declarator is not None and declarator.type != "identifier":
        steps = ("pointer_declarator", "function_declarator", "parenthesized_declarator")
        if declarator.type not in steps:
            return False
        within = declarator.child_by_field_name("declarator")
        declarator = within or next(iter(declarator.named_children), None)
    root = inside
    while root.parent is not None and root.type != "function_definition":
        root = root.parent
    if declarator is None or root.type != "function_definition":
        return False
    name, used, declared = syntax.text(declarator), 0, 0
    for one in syntax.descendants(root):
        if one.type != "identifier" or syntax.text(one) != name or one.parent is None:
            continue
        outer = one.parent
        if outer.type == "call_expression" and outer.child_by_field_name("function") == one:
            used += 1
        elif outer.type.endswith("declarator") and outer.child_by_field_name("value") != one:
            declared += 1
        elif outer.type != "assignment_expression" or outer.child_by_field_name("left") != one:
            return False
    return used > 0 and declared == 1


def _has_plain_arguments(definition: Definition) -> bool:
    """Tell whether a function takes anything but pointers."""
    head = definition.text.split(b"{", 1)[0].partition(b"(")[2]
    return any(b"*" not in one and one.strip(b" \t\n)") != b"void" for one in head.split(b","))


def _read(lowered: Lowered, effects: Effects) -> set[object]:
    """Return what the guards, roles and fields of a run depend on."""
    read: set[Symbol] = set()
    for guard in lowered.guards:
        read |= bits.symbols([guard.condition, guard.path])
        for loc, value in lowered.memory.items():
            if loc.within(guard.context) and effects.names(loc.path) and isinstance(value, Int):
                read |= value.bits.symbols
    return {symbol.word.about for symbol in read}


def _is_argument_among(read: set[object], entry: Definition) -> bool:
    """Tell whether what is read has an argument of an entry in it."""
    return any(
        isinstance(about, Fact) and (about.kind, about.name) == ("argument", entry.name)
        for about in read
    )


def _read_through(read: set[object], entry: Definition) -> list[int]:
    """Return the arguments of an entry that point to what is read."""
    roots = {about.root.name for about in read if isinstance(about, Loc)}
    return [number for number, one in enumerate(parameter_names(entry)) if one in roots]


def _builders(index: Index, entry: Definition, numbers: list[int]) -> list[Definition]:
    """Return who calls an entry, where each has made what one of the arguments points to.

    It is a variable of the caller's own, so nothing is known of it below.
    """
    found = callers(index, entry.name) if numbers else []
    for one in found:
        given = [syntax.arguments(call) for call in calls_of(index.node(one), entry.name) or ()]
        if not given or not all(
            any(_OWN.fullmatch(syntax.text(each[n])) for n in numbers if n < len(each))
            for each in given
        ):
            return []
    return found


def _pointers(lowered: Lowered) -> set[str]:
    """Return the pointers of the surroundings through which contexts are reached."""
    found = set()
    for guard in lowered.guards:
        root = guard.context.root
        if root.kind == "pointee" and not guard.context.path and "->" in root.name:
            found.add(root.name)
    return found


def _member_of(pointer: str) -> str:
    return re.split(r"->|\.", pointer)[-1]


def _bindings(index: Index, function: Definition, member: str) -> Iterator[tuple[str, int]]:
    """Yield the contexts that a function makes a pointer select, with their lines."""
    if member.encode() not in function.text:
        return
    for match in syntax.matches("context_binding", index.node(function)):
        if syntax.text(match["binding.pointer"][0]) == member:
            row = match["binding"][0].start_point[0]
            yield syntax.text(match["binding.context"][0]), function.line + row


def _targets(index: Index, caller: Definition, pointers: set[str]) -> set[str]:
    """Return the contexts that a caller makes some pointers select."""
    return {name for p in pointers for name, _ in _bindings(index, caller, _member_of(p))}


def _bound(
    tree: Tree, lowered: Lowered, taken: set[str]
) -> tuple[dict[Loc, Pointer], tuple[str, ...]]:
    """Bind a context pointer to the one context that no other entry binds it to."""
    bound: dict[Loc, Pointer] = {}
    words: list[str] = []
    for pointer in sorted(_pointers(lowered)):
        targets: dict[str, str] = {}
        member = _member_of(pointer)
        for file, function in tree.index.users(member):
            for name, line in _bindings(tree.index, function, member):
                if name not in taken:
                    targets.setdefault(name, f"{file.path}:{line}")
        if len(targets) != 1:
            continue
        ((target, where),) = targets.items()
        head, _, tail = pointer.partition("->")
        path = tuple(tail.split("."))
        for record in tree.roles.contexts.values():
            loc = Loc(Root(head, "pointee"), (*path[:-1], target))
            bound[Loc(Root(head, "pointee"), path)] = Pointer(loc, record)
            words.append(f"{pointer} points to {target} here ({where})")
            break
    return bound, tuple(words)


def context_name(loc: Loc) -> str:
    """Return the name of a context: the member of the host that it is."""
    return loc.path[-1] if loc.path else re.split(r"->|\.", loc.root.name)[-1]
