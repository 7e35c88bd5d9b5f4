# SPDX-License-Identifier: GPL-2.0-only
"""stale-mmu-role: a role that does not determine what it is the key of."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from patchtool.aside import Aside, Shares, later
from patchtool.c.index import Index
from patchtool.c.layout import PointerType, RecordType, Types
from patchtool.c.lower import MAX_TERMS, Guard, Lowered, Lowering, Trouble
from patchtool.c.memory import Loc
from patchtool.c.scan import Definition
from patchtool.errors import NoMember, UsageError, meant
from patchtool.model import (
    Account,
    Context,
    FieldResult,
    Finding,
    Kind,
    Place,
    Reason,
    Report,
    Unknown,
    Verdict,
    listed,
    worst,
)
from patchtool.proof import bits
from patchtool.proof.compared import Question
from patchtool.rules.field import Field, decide
from patchtool.rules.question import Terms, cell_of
from patchtool.rules.table import STALE_MMU_ROLE
from patchtool.world.above.guards_above import Above, guards_above, notes_above
from patchtool.world.accounts.ledger import Ledger, prepare, tell
from patchtool.world.beside import beside_contexts
from patchtool.world.built import not_there
from patchtool.world.completeness import (
    broken_text,
    doubts,
    garbled_functions,
    missing_pieces,
    unreached,
)
from patchtool.world.entries import Path, Tree, Ways, context_name, find_paths
from patchtool.world.inputs.links import Links
from patchtool.world.rivals import accounting, rival_entries
from patchtool.world.roles import (
    Roles,
    compares_roles,
    find_roles,
    initialisers,
    make_effects,
    require_target,
    set_up_members,
)
from patchtool.world.unlisted import unlisted
from patchtool.world.vanishing import Seen, left_alone, vanished

RULE, TARGET, LEVELS = STALE_MMU_ROLE.name, STALE_MMU_ROLE.target, STALE_MMU_ROLE.fields
"""``LEVELS`` are the members that every report begins with."""


class Asked(NamedTuple):
    """What was put to coverage about one field of one path, which TERMS keep alive."""

    terms: Terms
    field: str
    question: Question


class Decided(NamedTuple):
    """The verdicts on one path, what was asked for them, and which fields it stores."""

    context: Context
    asked: tuple[Asked, ...]
    seen: tuple[Seen, ...]
    met: frozenset[tuple[Place, str]]
    """Troubles that lie on the path, by place and reason."""
    avoided: frozenset[tuple[Place, str]]
    """Those that only seem to."""


class Examined(NamedTuple):
    """A report, and the questions behind its verdicts."""

    report: Report
    asked: tuple[Asked, ...] = ()


SUCCESSORS: dict[str, tuple[str, ...]] = {
    "root_level": ("base", "level"),
    "shadow_root_level": ("level",),
}
"""Members of a role that took a field's place in v5.19; which role, its type tells."""


def check(
    index: Index,
    fields: Sequence[str] = LEVELS,
    label: str = "",
    rev: str | None = None,
    ways: Ways | None = None,
    aside: Aside = later,
) -> Report:
    """Check every guarded initialiser of a tree.

    FIELDS are members of the context, or "all"; WAYS tells, where just some verdicts are
    of interest, which ways to a guard to decide; ASIDE has done what needs no run.  Raises
    InputError where the tree is no kernel with KVM for x86.
    """
    return examine(index, fields, label, rev, ways, aside).report


def examine(
    index: Index,
    fields: Sequence[str],
    label: str = "",
    rev: str | None = None,
    ways: Ways | None = None,
    aside: Aside = later,
) -> Examined:
    """Check some fields of a tree as ``check`` does, and return the questions as well."""
    bits.forget()  # a long walk would keep the terms of every tree
    try:
        return _examined(index, fields, label, rev, ways, aside)
    except bits.Outgrown:
        place = Place(index.target.main, 1)
        unknown = Unknown(place, f"what is computed outgrows {MAX_TERMS:,} terms")
        return Examined(
            Report(label, rev, unknowns=(unknown,), files=index.asked, verdict="unknown")
        )
    finally:
        bits.allow_all()


def _examined(
    index: Index,
    fields: Sequence[str],
    label: str,
    rev: str | None,
    ways: Ways | None,
    aside: Aside,
    given_up: Mapping[tuple[object, ...], Lowered] | None = None,
) -> Examined:
    """Check some fields; the runs that were GIVEN_UP are not made again for more of them."""
    require_target(index, label or "this folder")
    types = Types(index)
    roles = find_roles(index, types)
    if not roles.contexts:
        return Examined(_without_roles(index, label, rev))
    starts = initialisers(index, roles)
    wanted = tuple(dict.fromkeys(fields))
    named = frozenset(wanted)
    if not named <= set(LEVELS):
        known = set_up_members(index, roles, starts)
        named |= known.fields | known.inner
        if "all" in wanted:
            wanted = (*LEVELS, *sorted((known.fields | set(wanted)) - {*LEVELS, "all"}))
        _require_members(roles, wanted)
    effects = make_effects(index, roles, named, starts, types)
    tree = Tree(index, types, roles, effects, Lowering(index, types, roles.shape, effects))
    tree.runs.update(given_up or {})
    links = Links(tree, starts)
    accounted = _accounted(roles, wanted) - links.members
    garbled = garbled_functions(tree, starts)
    if garbled:
        return Examined(Report(label, rev, unknowns=garbled, files=index.asked, verdict="unknown"))
    if ways is None and aside is not later:
        prepare(tree)
    told = aside(partial(tell, tree, accounted)) if ways is None else None
    missed: set[str] = set()

    def misses(run: Lowered) -> bool:
        """Tell whether a run stores a field that is not on the list, and keep it."""
        missed.update(unlisted(tree, run, named) if "all" in fields else ())
        return bool(missed)

    paths, runs = find_paths(tree, starts, ways, misses, links.of)
    if missed:
        if told is not None and aside is not later:
            told()  # of fewer fields: what was begun is ended
        too_long = {key: run for key, run in tree.runs.items() if run.given_up and run in runs}
        return _examined(index, (*fields, *sorted(missed)), label, rev, ways, aside, too_long)
    if starts and not paths and not compares_roles(index, roles, starts):
        stale = tuple(_left_alone(tree, runs, wanted))
        if stale:
            return Examined(_report(tree, [], list(stale), starts, label, rev))
        return Examined(Report(label, rev, files=index.asked, verdict="not-guarded"))
    above = Above(tree, runs, accounted) if told is not None else None
    looked = None if above is None else aside(partial(_looked, partial(notes_above, above), tree))
    troubles = {run: (*run.troubles, *doubts(tree, run, starts)) for run in runs}
    for run, more in rival_entries(tree, runs).items():
        troubles[run] = (*troubles[run], *more)
    hidden = [one for some in troubles.values() for one in some]
    everywhere = list(unreached(runs, starts))
    if ways is None:  # else the verdicts of some ways are all that is asked for
        everywhere += missing_pieces(tree, runs, starts)
        everywhere += beside_contexts(tree, runs) if "all" in fields else ()
    ledger = None if told is None else Ledger(tree, told(), accounting(runs), accounted)
    pieces: list[Callable[[], Decided | _Beside]] = [
        partial(_decide, tree, one, troubles[one.lowered], wanted, ledger, len(paths))
        for one in paths
    ]
    if ledger is not None and above is not None:
        look = partial(_beside, partial(guards_above, above, ledger.mentions))
        # What takes longest is begun first: of few fields, what is above the entries.
        pieces.insert(0 if len(wanted) <= len(LEVELS) else len(paths), look)
        pieces.append(partial(_beside, partial(broken_text, tree)))
    done = _done(pieces, tree, aside)
    if looked is not None:
        beside, notes = looked()
        tree.take(notes)
        done.append(beside)
    decided = [one for one in done if isinstance(one, Decided)]
    everywhere += (trouble for one in done if isinstance(one, _Beside) for trouble in one.troubles)
    if ledger is not None:
        reason = "a # is spelt %: here, which is not understood"
        everywhere += (Trouble(place, reason, False) for place in ledger.spelt)
    avoided = frozenset[tuple[Place, str]]().union(*(one.avoided for one in decided))
    avoided = avoided.difference(*(one.met for one in decided))
    everywhere += [one for one in hidden if (one.place, one.reason) not in avoided]
    asked = tuple(question for one in decided for question in one.asked)
    contexts = [one.context for one in decided if one.context.fields]
    if ledger is not None:
        seen = [field for one in decided for field in one.seen]
        everywhere += vanished(tree, runs, ledger, seen)
        absent = not_there(tree)
        for taken in (ledger.selection.taken, _of_all(contexts, absent) if absent else {}):
            contexts = [_taking(one, taken) for one in contexts]
        stored = {(one.context, one.field) for one in seen if one.is_stored}
        never = {(one.context, one.field) for one in seen} - stored
        everywhere += _left_alone(tree, runs, wanted, stored, never)
    owners = roles.contexts.items()
    lost = [
        name
        for name in wanted
        if not any(_member(record, name, roles, tag) for tag, record in owners)
    ]
    if decided and (lost or not contexts) and ways is None:
        names = ", ".join(wanted if not contexts else lost)
        if not set(wanted) & set(LEVELS):
            tags = " or ".join(f"struct {tag}" for tag in roles.contexts)
            raise UsageError(
                f"--fields {names}: {tags} has it, and no guarded set-up of this tree stores it"
            )
        reason = f"no guarded set-up stores {names}"
        everywhere.append(Trouble(decided[0].context.place, reason, False))
    report = _report(tree, contexts, everywhere, starts, label, rev)
    if ledger is not None:
        report = report._replace(mentions=_settled(ledger.accounts, contexts, everywhere))
    return Examined(report, asked)


class _Beside(NamedTuple):
    """What may hide a skip beside the paths: above their entries, or where nobody can read."""

    troubles: tuple[Trouble, ...]


def _beside(look: Callable[[], Iterator[Trouble]]) -> _Beside:
    return _Beside(tuple(look()))


def _looked(look: Callable[[], Iterator[Trouble]], tree: Tree) -> tuple[_Beside, object]:
    """Look for what may hide a skip, and return the notes of the tree as well."""
    return _beside(look), tree.notes()


_Done = dict[int, Decided | _Beside]


def _done(
    pieces: Sequence[Callable[[], Decided | _Beside]], tree: Tree, aside: Aside
) -> list[Decided | _Beside]:
    """Return what some pieces of work yield, whoever does which."""
    if aside is later:
        return [one() for one in pieces]
    shares = Shares(len(pieces))
    others = aside(partial(_taken, pieces, shares, tree))
    mine, _ = _taken(pieces, shares, tree)
    found, notes = others()
    shares.close()
    tree.take(notes)
    found.update(mine)
    return [found[n] if n in found else one() for n, one in enumerate(pieces)]


def _taken(
    pieces: Sequence[Callable[[], Decided | _Beside]], shares: Shares, tree: Tree
) -> tuple[_Done, object]:
    """Do the pieces that nobody else takes, and return the notes of the tree as well.

    The questions behind a verdict are dropped: they cannot leave a copy of the process.
    """
    found: _Done = {}
    for number in shares:
        marked = bits.mark()
        one = pieces[number]()
        bits.forget_since(marked)
        found[number] = one._replace(asked=()) if isinstance(one, Decided) else one
    return found, tree.notes()


def _settled(
    accounts: Sequence[Account], contexts: Sequence[Context], troubles: Sequence[Trouble]
) -> tuple[Account, ...]:
    """Say of the mentions that no verdict was put in doubt by that they were settled."""
    met: set[Place | None] = {one.place for one in troubles}
    met.update(why.place for one in contexts for field in one.fields for why in field.reasons)
    how = "stored elsewhere: of another context, on another host, or in step with the role"
    return tuple(
        one._replace(how=how) if one.is_open and one.place not in met else one for one in accounts
    )


def _taking(context: Context, taken: Mapping[str, str]) -> Context:
    """Add what was taken for true of a context to what its verdicts rest on."""
    text = taken.get(context.context)
    if text is None:
        return context
    fields = (
        one._replace(assumptions=tuple(sorted({*one.assumptions, text}))) for one in context.fields
    )
    return context._replace(fields=tuple(fields))


def _of_all(contexts: Sequence[Context], absent: Sequence[str]) -> dict[str, str]:
    """Return, for each context, what is taken for true of objects whose files are not there."""
    told = f"what is built and not there ({', '.join(absent)}) stores to no role and no field"
    return dict.fromkeys((one.context for one in contexts), told)


def _accounted(roles: Roles, wanted: Sequence[str]) -> frozenset[str]:
    """Return the members to account for: the roles, and the fields that are asked for."""
    names = {name for held in roles.shape.contexts.values() for name in held}
    for tag, record in roles.contexts.items():
        members = (_member(record, name, roles, tag) for name in wanted)
        names.update(member[0] for member in members if member is not None)
    return frozenset(names)


def _require_members(roles: Roles, wanted: Sequence[str]) -> None:
    """Refuse a field that no context has: it would be passed over without a word."""
    known = {name for record in roles.contexts.values() for name in record.by_name}
    known |= SUCCESSORS.keys()
    for name in wanted:
        if name not in known:
            contexts = " and ".join(sorted(roles.contexts))
            told = f"--fields: {name!r} is no member of {contexts}{meant(name, known)}"
            raise NoMember(name, told)


# -- fields --------------------------------------------------------------------------------


def _member(record: RecordType, name: str, roles: Roles, tag: str) -> tuple[str, ...] | None:
    """Return the C path of a field in a context, or of the member that took its place."""
    known = record.by_name.get(name)
    if known is not None:
        return known[0]
    successor = SUCCESSORS.get(name, ())
    for role in sorted(roles.shape.contexts[tag]) if successor else ():
        inner = record.by_name[role][1]
        if isinstance(inner, RecordType) and ".".join(successor) in inner.slots:
            return (role, *successor)
    return None


# -- one context -----------------------------------------------------------------------------


def _decide(
    tree: Tree,
    path: Path,
    troubles: Sequence[Trouble],
    wanted: Sequence[str],
    ledger: Ledger | None,
    paths: int,
) -> Decided:
    """Decide the fields of one of some paths.

    Without a LEDGER what carries which input is left out.
    """
    guard = path.guard
    terms = Terms(tree, path, troubles, ledger, paths)
    results: list[FieldResult] = []
    asked: list[Asked] = []
    seen: list[Seen] = []
    for name in wanted:
        for context, record, record_tag in _holders(tree.roles, guard):
            member = _member(record, name, tree.roles, record_tag)
            if member is None:
                continue
            place, is_stored = guard.place, terms.stores(context, record, member)
            where = path.lowered.start.file
            seen.append(Seen(context_name(context), name, member, place, is_stored, where))
            bits.allow(MAX_TERMS)
            try:
                field = Field(name, context, record, member)
                is_called = isinstance(record.by_name[member[0]][1], PointerType)
                unread = () if name in LEVELS or is_called else TARGET.unread
                result, question = decide(terms, field, unread, ledger is not None)
            except bits.Outgrown:
                reason = Reason(f"what is computed for {name} outgrows {MAX_TERMS:,} terms")
                result, question = FieldResult(name, name, "unknown", reasons=(reason,)), None
            if result is not None:
                results.append(result)
            if question is not None:
                asked.append(Asked(terms, name, question))
            break
    found = Context(
        guard.place.function, context_name(guard.context), path.entry, guard.place, tuple(results)
    )
    return Decided(found, tuple(asked), tuple(seen), terms.met, terms.avoided)


def _left_alone(
    tree: Tree,
    runs: Sequence[Lowered],
    wanted: Sequence[str],
    stored: Container[tuple[str, str]] = (),
    never: Container[tuple[str, str]] = (),
) -> Iterator[Trouble]:
    """Yield where a set-up that compares no role may leave a field as it was.

    STORED names the contexts and fields that the others store, NEVER those that they do not.
    """
    for lowered in runs:
        for context, role in dict.fromkeys((one.context, one.member) for one in lowered.stores):
            for tag, held in tree.roles.shape.contexts.items():
                record = tree.roles.contexts[tag]
                for name in wanted if role in held else ():
                    member = _member(record, name, tree.roles, tag)
                    if member is None:
                        continue
                    cell, low, width, _ = cell_of(context, record, member)
                    key = context_name(context), name
                    # Others than levels may be stored in some states alone, in part, or never.
                    known = key in stored and not any(loc.within(cell) for loc in lowered.memory)
                    if known or (name in LEVELS and key not in never):
                        yield from left_alone(lowered, context, cell, low, width)


def _holders(roles: Roles, guard: Guard) -> list[tuple[Loc, RecordType, str]]:
    """Return the objects whose roles are compared, or the one set up behind, with their types."""
    behind = [one for one in guard.behind if one[0] == guard.context]
    found: dict[Loc, tuple[Loc, RecordType, str]] = {}
    for context, role in behind or [(one.context, one.member) for one in guard.comparisons]:
        for name, members in roles.shape.contexts.items():
            if role in members:
                found.setdefault(context, (context, roles.contexts[name], name))
    return list(found.values())


# -- the report ------------------------------------------------------------------------------


def _without_roles(index: Index, label: str, rev: str | None) -> Report:
    """Tell of a tree whose vCPU holds no role: older than any, or not understood."""
    holder = f"struct {index.target.host}"
    reason = f"no MMU context with a role was found in {holder}, and no initialiser"
    unknown = Unknown(Place(index.target.header, 1), reason)
    return Report(label, rev, unknowns=(unknown,), files=index.asked, verdict="unknown")


def _report(
    tree: Tree,
    contexts: list[Context],
    troubles: list[Trouble],
    starts: list[Definition],
    label: str,
    rev: str | None,
) -> Report:
    ordered = sorted(contexts, key=lambda c: (c.place, c.entry, c.context))
    unknowns = {Unknown(trouble.place, trouble.reason) for trouble in troubles}
    findings: dict[tuple[object, ...], Finding] = {}
    for context in ordered:
        for one in context.fields:
            if one.verdict == "unknown":
                for reason in one.reasons:
                    _leave_open(unknowns, context, one, reason)
            elif one.verdict == "gap":
                for kind in one.kinds:
                    found = _finding(context, one, kind)
                    findings.setdefault(found.identity, found)
    verdicts: list[Verdict] = [c.verdict for c in contexts]
    if unknowns:
        verdicts.append("unknown")
    if not starts:
        unknowns.add(
            Unknown(Place(tree.roles.here, 1), "no initialiser that stores a role was found")
        )
        verdicts = ["unknown"]
    elif not contexts and not unknowns:
        text = "a stored role is compared, but no branch that skips a set-up was found"
        unknowns.add(Unknown(Place(starts[0].file, starts[0].line, 1, starts[0].name), text))
        verdicts = ["unknown"]
    return Report(
        label, rev, tuple(ordered), tuple(sorted(findings.values())), tuple(sorted(unknowns)),
        tuple(sorted(tree.consulted)), tree.index.asked, worst(tuple(verdicts)),
    )  # fmt: skip


def _leave_open(unknowns: set[Unknown], context: Context, one: FieldResult, reason: Reason) -> None:
    """Note why a field is not decided, once for each line."""
    if reason.place is None:
        unknowns.add(Unknown(context.place, f"{one.name}: {reason}"))
        return
    place = Place(reason.place.file, reason.place.line)
    if all((u.place.file, u.place.line) != place[:2] for u in unknowns):
        unknowns.add(Unknown(place, reason.text))


def _finding(context: Context, one: FieldResult, kind: Kind) -> Finding:
    missing = one.missing if kind == "stale" else ()
    message = _message(one, kind, past=False)
    return Finding(
        RULE, context.place, one.name, missing, message, context.entry, context, one, kind
    )


def was(finding: Finding) -> str:
    """Return what a finding says, of a tree that is no more."""
    return _message(finding.result, finding.kind, past=True)


def _message(one: FieldResult, kind: Kind, past: bool) -> str:
    if kind == "accumulates":
        keeps, adds = ("kept", "added") if past else ("keeps", "adds")
        does = "did" if past else "does"
        return (
            f"{one.member} {keeps} bits of an earlier set-up: a full one {adds} to it and {does} "
            "not clear it first"
        )
    is_ = "was" if past else "is"
    if kind == "unlike":
        leaves = "left" if past else "leaves"
        return (
            f"a set-up that {is_} skipped {leaves} {one.member} otherwise than one that {is_} not, "
            "in one and the same state"
        )
    stale = f"so a stale value {is_} kept"
    if kind == "earlier":
        depends = "depended" if past else "depends"
        held = f"what {listed(one.before)} held before a full set-up"
        return f"{one.member} {depends} on {held}, {stale}"
    if kind == "partial":
        return f"{one.member} {is_} not stored on every path of a full set-up, {stale}"
    names = listed(one.missing)
    depends, does = ("depended", "did") if past else ("depends", "does")
    message = (
        f"{one.member} {depends} on {names}, which the compared role {does} not determine, {stale}"
    )
    # More of its elements may be stale; the witness is about one.
    return message + "".join(witness.example(one.member) for witness in one.pairs[:1])
