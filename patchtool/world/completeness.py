# SPDX-License-Identifier: GPL-2.0-only
"""What may hide a skip: reasons not to believe that all ways were seen.

In: the runs of a tree.  Out: troubles, with their places; each makes a verdict unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import combinations, islice

from patchtool.c import syntax
from patchtool.c.index import is_static
from patchtool.c.layout import GRANTED, ArrayType, RecordType
from patchtool.c.lower import Guard, Lowered, RoleStore, Trouble
from patchtool.c.memory import Fact, Int, Loc, Value, is_shared
from patchtool.c.scan import (
    WORDS,
    Definition,
    FileIndex,
    foreign,
    has_open_comment,
    places,
    strip_comments,
)
from patchtool.model import Place, Unknown
from patchtool.proof import bits
from patchtool.proof.bits import Cond, Under, Word
from patchtool.proof.runs import Runs
from patchtool.proof.solver import can_hold
from patchtool.world.built import told_to_compiler
from patchtool.world.entries import Tree
from patchtool.world.inputs.constants import host_constant, is_set_late
from patchtool.world.linked import renamed
from patchtool.world.roles import missing_functions, undefined_set_ups


def garbled_functions(tree: Tree, starts: list[Definition]) -> tuple[Unknown, ...]:
    """Return the functions that store a role or a cached field and cannot be parsed."""
    found: set[Unknown] = set()
    candidates = {start.key: start for start in starts}
    for name in tree.effects.writers:
        for _, definition in tree.index.users(name, tree.roles.here):
            if definition.name == name:
                candidates[definition.key] = definition
    for definition in candidates.values():
        for error in syntax.errors(tree.index.node(definition))[:1]:
            row, column = error.start_point
            place = Place(definition.file, definition.line + row, column + 1, definition.name)
            found.add(Unknown(place, "this line cannot be parsed"))
    return tuple(sorted(found))


def doubts(tree: Tree, lowered: Lowered, starts: list[Definition]) -> tuple[Trouble, ...]:
    """Return what may hide a skip on the ways of one run, beside what was not understood."""
    return (
        *foreign_keys(lowered),
        *rival_set_ups(tree, lowered, starts),
        *stray_stores(tree, lowered),
        *ways_around(lowered),
        *(what for name, what in lowered.operations.items() if is_set_late(tree, name)),
    )


def unreached(runs: list[Lowered], starts: list[Definition]) -> Iterator[Trouble]:
    """Yield the initialisers that no run comes by."""
    for start in starts:
        if not any(lowered.visits(start) for lowered in runs):
            place = Place(start.file, start.line, 1, start.name)
            yield Trouble(place, f"no way to {start.name}() was found", False)


def ways_around(lowered: Lowered) -> Iterator[Trouble]:
    """Yield the ways around the comparison of a role.

    A set-up that always stores its role skips nothing, which is fine; one that does so
    under a condition that is no guard may skip by a key that was not recognised, and so
    may one that is left before its roles are compared.
    """
    differing = {
        context: _where_differing(lowered, context)
        for context in dict.fromkeys(
            (*(s.context for s in lowered.stores), *(g.context for g in lowered.guards))
        )
    }
    stored: dict[Loc, Cond] = {}
    for store in lowered.stores:
        known = stored.get(store.context, False)
        stored[store.context] = bits.either(known, differing[store.context](store.path))
    for store in lowered.stores:
        entered = differing[store.context](store.entered)
        entered = bits.both(entered, _is_there(lowered, store.context))
        if _may_miss(lowered, entered, stored[store.context]):
            reason = "a role is stored under a condition that is no comparison of roles"
            yield Trouble(store.place, reason, store.entered)
    for guard in lowered.guards:
        near = differing[guard.context](guard.path)
        for comparison in guard.comparisons:
            near = bits.either(near, stored.get(comparison.context, False))
        entered = differing[guard.context](guard.entered)
        entered = bits.both(entered, _is_there(lowered, guard.context))
        if _may_miss(lowered, entered, near):
            reason = "a set-up may be left before its roles are compared"
            yield Trouble(guard.place, reason, guard.entered)
    reached: Cond = False
    for way in (*stored.values(), *(differing[g.context](g.path) for g in lowered.guards)):
        reached = bits.either(reached, way)
    contexts = [*stored, *(g.context for g in lowered.guards)]
    there: Cond = False
    for context in contexts:
        there = bits.either(there, _is_there(lowered, context))
    if lowered.guards and _may_miss(lowered, there, reached):
        start = lowered.start
        place = Place(start.file, start.line, 1, start.name)
        yield Trouble(place, "some ways through it come by no set-up of a context", True)


def _where_differing(lowered: Lowered, context: Loc) -> bits.Substitution:
    """Return what holds where all roles of a context that are compared differ.

    By the role of another context nobody may skip this one.  One that has no comparison of its
    own is set up where the role of another one differs that is stored there as well.
    """
    guards = [one for one in lowered.guards if one.skips is not None]
    own = [one for one in guards if any(c.context == context for c in one.comparisons)]
    some = own or [one for one in guards if _stores_what_it_compares(lowered, one)]
    return bits.Substitution({one.symbol: not one.skips for one in some})


def _stores_what_it_compares(lowered: Lowered, guard: Guard) -> bool:
    """Tell whether a comparison decides whether the roles that it compares are stored."""
    compared = {one.context for one in guard.comparisons}
    return any(
        one.context in compared and guard.symbol in bits.symbols([one.path])
        for one in lowered.stores
    )


def _is_there(lowered: Lowered, context: Loc) -> Cond:
    """Tell when there is a context at all: not where the entry is given no host that holds it."""
    root = context.root
    known = lowered.words.get(Fact("is set", root.name))
    if known is None or root.kind != "pointee" or not context.path or not root.name.isidentifier():
        return True
    return known.bit()


def foreign_keys(lowered: Lowered) -> Iterator[Trouble]:
    """Yield where a role is stored because that of another context differs."""
    for store in lowered.stores:
        symbols = bits.symbols([store.path])
        keys = [g for g in lowered.guards if g.symbol in symbols]
        compared = [c for guard in keys for c in guard.comparisons]
        others = {c.context for c in compared if c.member == store.member}
        if others and all(c.context != store.context for c in compared):
            reason = f"{store.member} is stored where that of another context is compared"
            yield Trouble(store.place, reason, store.entered)


def rival_set_ups(tree: Tree, lowered: Lowered, starts: list[Definition]) -> Iterator[Trouble]:
    """Yield where more than objects of file scope decide how a context is set up.

    What the one leaves there the other may skip by; each way is only compared with itself.
    """
    if not lowered.guards:
        return
    setting_up = {start.name for start in starts}
    ways: dict[Loc, dict[tuple[str, ...], tuple[Cond, Place]]] = {}
    for guard in lowered.guards:
        for comparison in guard.comparisons:
            known = ways.setdefault(comparison.context, {})
            before = known.get(guard.calls, (False, guard.place))[0]
            known[guard.calls] = bits.either(before, guard.path), guard.place
    for store in _unguarded(lowered):
        if store.place.function in setting_up:
            known = ways.setdefault(store.context, {})
            known[store.place.function,] = store.entered, store.place
    for context, known in ways.items():
        for (one, _), (other, place) in combinations(known.values(), 2):
            if _may_both_run(tree, one, other):
                each = tree.index.target.each
                reason = f"which set-up of {context} runs is decided for each {each}"
                yield Trouble(place, reason, bits.either(one, other))


def _unguarded(lowered: Lowered) -> Iterator[RoleStore]:
    """Yield the stores to roles with which no guard has to do."""
    keys = {guard.symbol for guard in lowered.guards}
    guarding = {guard.place.function for guard in lowered.guards}
    for store in lowered.stores:
        if store.place.function not in guarding and bits.symbols([store.path]).isdisjoint(keys):
            yield store


def _may_both_run(tree: Tree, one: Cond, other: Cond) -> bool:
    """Tell whether two conditions can hold at different times, objects of file scope alike."""
    times = Runs(lambda _: None, lambda symbol: _is_alike(tree, symbol.word), lambda _: False)
    both = [Under(one, times.first), Under(other, times.other)]
    return can_hold(both, times.manager) is not False


def _is_alike(tree: Tree, word: Word) -> bool:
    """Tell whether a word is the same at all times."""
    return is_shared(word) and host_constant(tree, word) is not None


def stray_stores(tree: Tree, lowered: Lowered) -> Iterator[Trouble]:
    """Yield where a role or field is stored through a pointer of unknown target.

    It may point to the context of a guard, and what a guard leaves there is not known then.
    """
    stray = [
        (loc, value)
        for loc, value in lowered.memory.items()
        if loc.root.kind == "pointee" and tree.effects.names(loc.path[:1])
    ]
    for guard in lowered.guards:
        for loc, value in stray:
            if not loc.within(guard.context) and may_change(lowered, loc, value, guard.path):
                reason = f"{loc} is stored, and {loc.root.name} may point to this context"
                yield Trouble(guard.place, reason, guard.path)


def may_change(lowered: Lowered, loc: Loc, value: Value, path: Cond) -> bool:
    """Tell whether a run may leave another value in a place than it has found there."""
    if not isinstance(value, Int):
        return True
    word, width = lowered.word(loc), value.bits.width
    read = min(width, lowered.reads[word][1]) if word in lowered.reads else width
    before = bits.resize(bits.low_bits(read, word), width).conditions()
    pairs = zip(value.bits.conditions(), before, strict=True)
    changed = (bits.negate(bits.same(now, then)) for now, then in pairs)
    return any(lowered.allows(bits.both(path, one)) for one in dict.fromkeys(changed))


def _may_miss(lowered: Lowered, entered: Cond, reached: Cond) -> bool:
    """Tell whether a function may be entered and something in it not be reached."""
    return lowered.allows(bits.both(entered, bits.negate(reached)))


def _is_used(data: bytes, name: str) -> bool:
    """Tell whether a file names a function more than once."""
    return len(list(islice(places(data, name.encode()), 2))) == 2


_TAG = re.compile(rb"\b(struct|union|enum)\b")
_DECLARED = re.compile(rb"\b(?:struct|union|enum)\b[^;{}]*+(?:[;{}]|\Z)")
"""What may declare a tag: the last one in it.  It matches where it begins, or would look again."""
_OFFSET = re.compile(rb"\bOFFSET\s*\(\s*\w+\s*,\s*\w+\s*,([^()]*)\)")
"""What tells assembler text, by a name, where a member lies."""
_LISTED = re.compile(rb"^[ \t]*#(?:\\\n|.)*+|\b\w++\s*+\([\w\s,]*+\)\s*+[,;]?", re.M)
"""What stands in a file that lists names for a macro which its user defines."""


def _text(tree: Tree) -> list[str]:
    """Return the paths of the target's text."""
    near = tree.index.target.built_from
    return [path for path in tree.objects.files if path.startswith(near)]


def broken_text(tree: Tree) -> Iterator[Trouble]:
    """Yield which files of the text are not C from end to end, or may rename what they declare."""
    paths = _text(tree)
    yield from _broken(tree, paths)
    for file in filter(None, map(tree.index.file, paths)):
        for at, reason in renamed(file.data):
            if file.function_at(at) is None:
                yield Trouble(Place(file.path, file.line(at)), reason, False)
        for found in _OFFSET.finditer(file.data) if b"OFFSET" in file.data else ():
            if not tree.held().isdisjoint(re.findall(r"\w+", found[1].decode())):
                reason = f"assembler text is told where {found[1].decode().strip()} lies"
                yield Trouble(Place(file.path, file.line(found.start())), reason, False)


def _broken(tree: Tree, paths: Iterable[str]) -> Iterator[Trouble]:
    """Yield which of some files are not C from end to end.

    What such a file stores nobody could find; nor what a word of C is that a macro replaces.
    """
    for path in paths:
        file = tree.index.file(path)
        if file is None:
            continue
        for name in sorted(file.defines.keys() & GRANTED):
            place = Place(path, file.line(file.defines[name][0].start))
            yield Trouble(
                place, f"{name} is a macro here, and what it means is not looked up", False
            )
        for at, tag in _tags_within(file):
            if tree.index.record(tag, path):
                reason = f"{tag} is another one within this function"
                yield Trouble(Place(path, file.line(at)), reason, False)
        odd = foreign(file.data)
        last = file.data.count(b"\n") or 1
        if odd is not None:
            yield Trouble(Place(path, file.line(odd[0])), odd[1], False)
        elif has_open_comment(tree.index.raw(path) or b""):
            yield Trouble(Place(path, last), "the file ends in the middle of a comment", False)
        elif not file.balanced:
            yield Trouble(Place(path, last), "the file ends in the middle of something", False)
        elif path.endswith(".c") and not file.data.strip():
            yield Trouble(Place(path, 1), "there is nothing in this file", False)


def _tags_within(file: FileIndex) -> Iterator[tuple[int, str]]:
    """Yield where functions of a file declare a record or an enumeration of their own."""
    for function in (one for some in file.functions.values() for one in some):
        for found in _DECLARED.finditer(function.text, function.text.find(b"{") + 1):
            *_, last = _TAG.finditer(found[0])
            behind, is_opened = found[0][last.end() : -1], found[0].endswith(b"{")
            if is_opened:
                behind = behind.rpartition(b")")[2]  # attributes have those
            words = behind.split()
            is_declared = is_opened or len(words) == 1
            if words and is_declared and words == behind.translate(WORDS).split():
                tag = last[1] + b" " + words[-1]
                yield function.start + found.start() + last.start(), tag.decode("utf-8", "replace")


def missing_pieces(tree: Tree, runs: list[Lowered], starts: list[Definition]) -> list[Trouble]:
    """Return what is missing in the files that the runs pass through.

    Those of the text that end in the middle aside: a file beside it that does, a static
    initialiser that nothing calls, and a declared function that is called and defined nowhere
    may each hide another way; so may a member of a context that is laid out in a way that is not
    understood.  So may anything in what a file takes in and is not there, or takes
    in within a function, and what the compiler is told beside the text.
    """
    found: list[Trouble] = [*told_to_compiler(tree)]
    about = tree.index.target
    own = (f"{about.folder}/", *about.generic)
    for path in _text(tree):
        for at, name in tree.index.taken_into_bodies(path):
            if _LISTED.sub(b"", strip_comments(tree.index.text(name) or b"")).strip():
                line = (tree.index.raw(path) or b"").count(b"\n", 0, at) + 1
                reason = f"{name} is included here, in the middle of a function"
                found.append(Trouble(Place(path, line), reason, False))
        for at, name in tree.index.unfound(path):
            line = (tree.index.raw(path) or b"").count(b"\n", 0, at) + 1
            what = f'"{name}" is included here and was not found' if name else ""
            reason = what or "what is included here is told by a macro"
            found.append(Trouble(Place(path, line), reason, False))
        for target in tree.index.included(path):
            if target.endswith(about.unwatched) and not target.startswith(own):
                data, name = tree.index.raw(path) or b"", target.rpartition("/")[2]
                line = data.count(b"\n", 0, max(0, data.find(name.encode()))) + 1
                reason = (
                    f"{target} is included here, no header and none of the files of {about.short}"
                )
                found.append(Trouble(Place(path, line), reason, False))
    for name, paths in tree.index.compiled_by.items():
        if len(paths) > 1:
            reason = f"{name} is included here and by {paths[0]}, and each has macros of its own"
            found.append(Trouble(Place(paths[1], 1), reason, False))
    files = {c.file for lowered in runs for c in lowered.consulted if c.kind == "function"}
    files |= {start.file for start in starts}
    files |= {definition.file for definition in tree.types.used.values()}
    found += _broken(tree, sorted(files.difference(_text(tree))))
    for start in starts:
        if is_static(start) and not _is_used(tree.index.text(start.file) or b"", start.name):
            place = Place(start.file, start.line, 1, start.name)
            found.append(Trouble(place, f"nothing calls {start.name}(), which is static", False))
    entries = {c.name for lowered in runs for c in lowered.consulted if c.kind == "function"}
    for name in sorted(entries.union(start.name for start in starts)):
        if (named := tree.assembled.get(name.encode())) is not None:
            found.append(Trouble(named, f"assembler text names {name}()", False))
    missing = missing_functions(tree.index, entries)
    for name, place in dict([*undefined_set_ups(tree.index, tree.roles), *missing]).items():
        found.append(Trouble(place, f"the definition of {name}() was not found", False))
    for record in tree.roles.contexts.values():
        for one in _not_laid_out(record):
            reason = f"how {one.kind} {one.tag} is laid out is not understood"
            found.append(Trouble(Place(one.file, one.line or record.line), reason, False))
    return found


def _not_laid_out(record: RecordType) -> Iterator[RecordType]:
    """Yield the records within one of which the members have no known position."""
    for member in record.members:
        held = member.type
        while isinstance(held, ArrayType):
            held = held.element
        if isinstance(held, RecordType):
            if held.partial:
                yield held
            else:
                yield from _not_laid_out(held)
