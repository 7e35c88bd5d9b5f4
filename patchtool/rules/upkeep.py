# SPDX-License-Identifier: GPL-2.0-only
"""Code outside of the set-ups that stores to a role, and keeps a field in step with it.

In: a field that is made of bits of the roles, and of registers that these determine, and
stores to those bits.  Out: the stores whose function, run by itself, leaves the field as a
set-up with the changed role would.  Such a store takes nothing from a proof: where the field
has been in step before, it still is, and a run that skips has those bits of the role.  It takes
nothing from a gap either, in states in which it finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from patchtool.c.lower import Lowered
from patchtool.c.memory import Fact, Int, Loc
from patchtool.c.scan import Definition
from patchtool.proof import bits
from patchtool.proof.bdd import Manager
from patchtool.proof.bits import Claim, Cond, Denied, Symbol, Term, Under
from patchtool.proof.compared import Question
from patchtool.proof.coverage import Decision
from patchtool.proof.solver import can_hold
from patchtool.rules.question import Terms
from patchtool.world.accounts.ledger import Patch
from patchtool.world.accounts.strays import Stray, bases_of, run
from patchtool.world.entries import Tree

MAX_DEPTH = 200
"""How deep a term may be nested that tells when a bit is left alone."""
_Bit = tuple[str, int]
"""A bit of a role: its member of the context, and the position there."""
_Register = tuple[Loc, int]
"""A bit of the vCPU."""


class _Unfit(Exception):
    """Raised where what a function leaves is not known."""


class _Row(NamedTuple):
    """One bit of the field: its place below the context, when it is stored, and as what."""

    path: tuple[str, ...]
    position: int
    stored: Cond
    fresh: Cond


class _Carriers(NamedTuple):
    """The bits of roles that a field is made of."""

    places: Mapping[Term, _Bit]
    """Where they stand."""
    current: tuple[Term, ...]
    """Those of them that are made of registers which do not change without a set-up."""


def read_beside(decision: Decision) -> frozenset[Symbol]:
    """Return the inputs that a field reads beside the roles, and no invalidation covers."""
    return decision.loose - decision.q.covered_elsewhere


def disturbing(
    terms: Terms, decision: Decision, patches: tuple[Patch, ...]
) -> tuple[tuple[Patch, ...], tuple[Patch, ...]]:
    """Return the stores among some that may take a field out of step, and those that keep it.

    The others store to no bit of a role that the field is made of.  Where it is made of
    registers as well, which the role determines, those are returned too.
    """
    carriers = _carriers(terms, decision)
    if carriers is None:
        return patches, ()
    touching = [one for one in patches if terms.touched(one) & set(carriers.places.values())]
    kept: list[Patch] = []
    try:
        rows = tuple(_rows(terms, decision)) if touching else ()
        kept += [one for one in touching if _is_kept(terms, decision, one, rows, carriers)]
    except _Unfit:
        pass
    asked = patches if read_beside(decision) else touching
    return tuple(one for one in asked if one not in kept), tuple(kept)


def reviving(terms: Terms, decision: Decision) -> tuple[Patch, ...]:
    """Return the stores to a role that may make one valid again that an event has made invalid.

    They store to the bits by which that is told what every set-up has there.
    """
    fixed: dict[_Bit, bool] = {}
    for comparison, (member, value) in zip(terms.guard.comparisons, decision.q.roles, strict=True):
        for position, bit in enumerate(value.conditions()):
            if isinstance(bit, bool):
                fixed[member, comparison.low + position] = bit

    def is_as_set_up(patch: Patch, bit: _Bit) -> bool:
        low = min(at for _, at in terms.touched(patch))
        return patch.value is None or bool(patch.value >> (bit[1] - low) & 1) is fixed[bit]

    marks = {one: terms.touched(one) & fixed.keys() for one in terms.marks}
    telling = {bit for one, some in marks.items() for bit in some if not is_as_set_up(one, bit)}
    found: list[Patch] = []
    for one in terms.patches:
        asked = terms.touched(one) & (telling or fixed.keys())
        if asked and all(is_as_set_up(one, bit) for bit in asked):
            found.append(one)
    return tuple(found)


def keeping(
    terms: Terms, decision: Decision, member: tuple[str, ...], strays: tuple[Stray, ...]
) -> tuple[tuple[Stray, ...], tuple[str, ...]]:
    """Return the stores to a field elsewhere that may take it out of step, and who keeps it.

    Who keeps it stores what a set-up would with the role that is there, or that it leaves.
    """
    carriers = _carriers(terms, decision)
    if carriers is None:
        return strays, ()
    left: list[Stray] = []
    by: dict[str, None] = {}
    judged: dict[tuple[str, str, int], bool] = {}
    try:
        rows = tuple(_rows(terms, decision))
        for stray in strays:
            for one in stray.by:
                if one.key not in judged:
                    judged[one.key] = _is_field_kept(
                        terms, decision, one, member[0], rows, carriers
                    )
            if stray.by and all(judged[one.key] for one in stray.by):
                by.update(dict.fromkeys(one.name for one in stray.by))
            else:
                left.append(stray)
    except _Unfit:
        return strays, ()
    return tuple(left), tuple(by)


def idle(
    terms: Terms, decision: Decision, member: tuple[str, ...], strays: tuple[Stray, ...]
) -> tuple[Question, tuple[str, ...]] | None:
    """Return the question in which what stores to a field elsewhere does nothing, and its names.

    Between two set-ups such code may run in the state of the second one.  A field is stale
    all the same where it finds nothing to do then.  None where that is not known.
    """
    functions = dict.fromkeys(one for stray in strays for one in stray.by)
    if not all(stray.by for stray in strays):
        return None
    condition: Cond = True
    try:
        for one in functions:
            condition = bits.both(condition, _is_idle(terms, decision, one, member[0]))
    except _Unfit:
        return None
    question = decision.q._replace(left_alone=condition)
    return question, tuple(dict.fromkeys(one.name for one in functions))


def _is_idle(terms: Terms, decision: Decision, function: Definition, name: str) -> Cond:
    """Return when a function leaves a context as it is, in the words of the set-up."""
    ran = run(terms.tree, function)
    names = (name, *(one.member for one in terms.guard.comparisons))
    bases = () if ran is None else dict.fromkeys(b for one in names for b in bases_of(ran, one))
    holder = _holder(terms, decision.q.old[0])
    if ran is None or not bases or holder is None:
        raise _Unfit
    beside = [loc for loc in ran.memory if not any(loc.within(base) for base in bases)]
    if any(loc in terms.out.words and not _is_cached(terms.tree, loc) for loc in beside):
        raise _Unfit  # it changes what the set-up reads
    before, after = _Held(ran, changed=False), _Held(ran, changed=True)
    found: Cond = True
    for base in bases:
        kept: dict[Cond, None] = {}
        for loc, value in ran.memory.items():
            if not loc.within(base):
                continue
            if not isinstance(value, Int):
                raise _Unfit
            for at in range(value.bits.width):
                kept[_is_kept_as(after.bit(loc, at), before.bit(loc, at), {})] = None
        idle = bits.every(kept)
        known: dict[Term, Cond] = {}
        for one in bits.symbols([idle]):
            about = one.word.about
            if isinstance(about, Loc) and about.within(base):
                about = Loc(holder.root, (*holder.path, *about.path[len(base.path) :]))
            if not isinstance(about, (Loc, Fact)) or about not in terms.out.words:
                raise _Unfit
            known[one] = terms.out.word(about).bit(one.position)
        found = bits.both(found, bits.substitute(idle, known))
    return found


def _is_cached(tree: Tree, loc: Loc) -> bool:
    """Tell whether a member says which registers are cached: nothing of what they hold."""
    member, registers = loc.path[-1:], tree.index.target.registers
    filled = frozenset[str]().union(*registers.fills.values())
    return not (filled - {*registers.members, *registers.held}).isdisjoint(member)


def _is_kept_as(now: Cond, was: Cond, known: dict[Term, Cond], depth: int = 0) -> Cond:
    """Return when a bit is what it was: where the term for it comes down to that one.

    KNOWN remembers it for one bit.
    """
    if now is was:
        return True
    if not isinstance(now, Term) or not isinstance(was, Symbol) or not now.mask & was.mask:
        return False
    if depth > MAX_DEPTH:
        raise _Unfit
    if now not in known:
        known[now] = False
        joined = now.args[0] if now.op == "not" else now
        if now.op == "ite":
            ways = [_is_kept_as(one, was, known, depth + 1) for one in now.args[1:]]
            known[now] = bits.choose_cond(now.args[0], ways[0], ways[1])
        elif joined.op == "and":
            for one, other in (joined.args, joined.args[::-1]):
                part = one if joined is now else bits.negate(one)
                way = bits.both(other, _is_kept_as(part, was, known, depth + 1))
                known[now] = bits.either(known[now], way)
    return known[now]


def _holder(terms: Terms, symbol: Symbol) -> Loc | None:
    """Return the context that a bit of the field belongs to."""
    about = symbol.word.about
    if not isinstance(about, Loc):
        return None
    return next((one for one in terms.contexts if about.within(one)), None)


def _places(terms: Terms, decision: Decision) -> dict[Term, _Bit] | None:
    """Return where in the roles a full run stores the bits that the field is made of."""
    found: dict[Term, _Bit] = {}
    for comparison, (member, value) in zip(terms.guard.comparisons, decision.q.roles, strict=True):
        for position, one in enumerate(value.conditions()):
            if isinstance(one, Term):
                found.setdefault(one, (member, comparison.low + position))
    needed = [one if one in found else bits.negate(one) for one in decision.role_bits]
    if any(one not in found for one in needed):
        return None
    chosen: dict[Term, _Bit] = {}
    for one in sorted((one for one in needed if isinstance(one, Term)), key=found.__getitem__):
        # Of a bit and its opposite one is enough: where both are stored, they are twins.
        if bits.negate(one) not in chosen:
            chosen.setdefault(one, found[one])
    return chosen


def _skip_by(terms: Terms, decision: Decision, places: Mapping[Term, _Bit]) -> bool:
    """Tell whether a run that skips, on any context, finds its own bits in the stored roles."""
    q, runs = decision.q, decision.q.runs
    holders = {one.member: one.context for one in terms.guard.comparisons}
    demanded = runs.demanded(q.skips)
    for term, (member, position) in places.items():
        cell = terms.out.word(holders[member].member(member)).bit(position)
        if demanded.get(cell) is term:
            continue
        apart = bits.negate(bits.same(cell, term))
        claims = [Under(one, runs.other) for one in (q.path, q.skips, apart)]
        if can_hold(claims, runs.manager) is not False:
            return False
    return True


def _carriers(terms: Terms, decision: Decision) -> _Carriers | None:
    """Return the bits of roles that a field is made of; None where it is not of those alone.

    It may read registers of the vCPU beside: a set-up is asked for after each change of these.
    """
    beside = read_beside(decision)
    lagging = _lagging(terms) if beside else frozenset()
    if lagging is None or not _are_current(terms, beside, lagging):
        return None
    places = _places(terms, decision)
    if places is None or not _skip_by(terms, decision, places):
        return None
    asked = places if beside else ()
    current = (one for one in asked if _are_current(terms, bits.symbols([one]), lagging))
    return _Carriers(places, tuple(current))


def _are_current(terms: Terms, symbols: Iterable[Symbol], lagging: frozenset[_Register]) -> bool:
    """Tell whether all of some inputs are registers that a set-up has seen as they are."""
    roots = {one.root for one in terms.contexts}
    return all(
        isinstance(one.word.about, Loc)
        and roots == {one.word.about.root}
        and not any(one.word.about.within(context) for context in terms.contexts)
        and (one.word.about, one.position) not in lagging
        for one in symbols
    )


def _lagging(terms: Terms) -> frozenset[_Register] | None:
    """Return the registers that code outside stores to the roles; None if they are not known.

    It does so since they change without a set-up.
    """
    found: set[_Register] = set()
    for patch in terms.patches:
        if patch.value is not None:
            continue
        ran = _run_around(terms, patch)
        if ran is None:
            return None
        after = _Held(ran, changed=True)
        try:
            stored = [
                after.bit(base.member(member), position)
                for base in bases_of(ran, patch.role)
                for member, position in terms.touched(patch)
            ]
        except _Unfit:
            return None
        for one in bits.symbols(stored):
            if isinstance(one.word.about, Loc):
                found.add((one.word.about, one.position))
    return frozenset(found)


def _run_around(terms: Terms, patch: Patch) -> Lowered | None:
    """Run the function around a store; None where it is no function, or not understood."""
    if patch.function is None or patch.function.kind != "function":
        return None
    return run(terms.tree, patch.function)


def _rows(terms: Terms, decision: Decision) -> Iterator[_Row]:
    """Yield the bits of the field that a set-up stores in some state."""
    for symbol, row in zip(decision.q.old, decision.told_apart, strict=True):
        if row is None:
            continue
        about, holder = symbol.word.about, _holder(terms, symbol)
        if holder is None or not isinstance(about, Loc):
            raise _Unfit
        yield _Row(about.path[len(holder.path) :], symbol.position, row.stored, row.fresh)


def _is_kept(
    terms: Terms,
    decision: Decision,
    patch: Patch,
    rows: tuple[_Row, ...],
    carriers: _Carriers,
) -> bool:
    """Tell whether the function around a store leaves the field in step, if it was before."""
    ran = _run_around(terms, patch)
    if ran is None:
        return False
    return _is_in_step(terms, decision, ran, bases_of(ran, patch.role), rows, carriers)


def _is_field_kept(
    terms: Terms,
    decision: Decision,
    function: Definition,
    name: str,
    rows: tuple[_Row, ...],
    carriers: _Carriers,
) -> bool:
    """Tell whether a function that stores to the field leaves it in step, if it was before."""
    ran = run(terms.tree, function)
    if ran is None:
        return False
    names = (name, *dict.fromkeys(member for member, _ in carriers.places.values()))
    bases = dict.fromkeys(base for one in names for base in bases_of(ran, one))
    return _is_in_step(terms, decision, ran, tuple(bases), rows, carriers)


def _is_in_step(
    terms: Terms,
    decision: Decision,
    ran: Lowered,
    bases: tuple[Loc, ...],
    rows: tuple[_Row, ...],
    carriers: _Carriers,
) -> bool:
    """Tell whether a run leaves the field of all contexts that it stores to in step.

    Each is judged as if the others were left alone: two that may be one object are not judged.
    """
    names = {row.path[0] for row in rows} | {member for member, _ in carriers.places.values()}
    touched = dict.fromkeys((*bases, *(base for one in names for base in bases_of(ran, one))))
    if not _are_apart(terms, list(touched)):
        return False
    stored = [one.word.about for one in decision.q.old if isinstance(one.word.about, Loc)]
    effort = decision.q.runs.manager.effort
    for base in bases:
        if not _is_told_apart(terms, ran, base, stored):
            return False
        if read_beside(decision) and not _is_of_one_vcpu(terms, base):
            return False
        settled = bits.Substitution(_settled(terms, decision, ran, base, carriers))
        before, after = (
            list(
                map(
                    settled, _in_step_at(terms, decision, ran, base, rows, carriers.places, changed)
                )
            )
            for changed in (False, True)
        )
        pairs = dict.fromkeys(zip(before, after, strict=True))
        known, manager = terms.tree.following, Manager(effort)
        for then, now in pairs:
            if (then, now) not in known:
                known[then, now] = now is then or _follows(then, now, manager)
        left = [pair[1] for pair in pairs if not known[pair]]
        claims: list[Claim] = [*before, Denied(tuple(left))]
        if left and can_hold(claims, Manager(effort)) is not False:
            return False
    return bool(bases)


def _settled(
    terms: Terms, decision: Decision, ran: Lowered, base: Loc, carriers: _Carriers
) -> dict[Term, Cond]:
    """Return bits of roles that are the same in all runs that skip, where this run leaves them.

    They are constants, or what another bit of the roles is as well.  Nobody else stores to them
    but a full set-up, which stores the field as well.  The others are what the registers make.
    """
    stored = frozenset(bit for patch in terms.patches for bit in terms.touched(patch))
    after, ours = _Held(ran, changed=True), _holder(terms, decision.q.old[0])

    def left_alone(path: tuple[str, ...], position: int) -> Symbol | None:
        """Return what stands in a bit of a role all through this run."""
        here = Loc(base.root, (*base.path, *path))
        was = ran.word(here).bit(position)
        is_left = (path[0], position) not in stored and after.bit(here, position) is was
        return was if is_left else None

    found: dict[Term, Cond] = {}
    for cell, value in decision.q.runs.demanded(decision.q.skips).items():
        about, holder = cell.word.about, _holder(terms, cell)
        if not isinstance(about, Loc) or holder != ours or not holder:
            continue
        path = about.path[len(holder.path) :]
        settled: Cond | None = value if isinstance(value, bool) else None
        for one in (value, bits.negate(value)) if isinstance(value, Term) else ():
            place = carriers.places.get(one) if isinstance(one, Term) else None
            if place is not None and place != (path[0], cell.position):
                twin = left_alone(place[:1], place[1])
                settled = twin if one is value or twin is None else bits.negate(twin)
        was = left_alone(path, cell.position) if settled is not None else None
        if was is not None and settled is not None:
            found[was] = settled
    for term in carriers.current:
        member, position = carriers.places[term]
        was = left_alone((member,), position)
        if was is not None and was not in found:
            found[was] = _as_here(ran, term)
    return found


def _as_here(ran: Lowered, term: Term) -> Cond:
    """Return a term of registers in the words of another run."""
    known: dict[Term, Cond] = {}
    for one in bits.symbols([term]):
        assert isinstance(one.word.about, Loc)
        known[one] = ran.word(one.word.about).bit(one.position)
    return bits.substitute(term, known)


def _is_of_one_vcpu(terms: Terms, base: Loc) -> bool:
    """Tell whether a run has a context from the vCPU whose registers it reads.

    One that is handed to it by itself is that of the vCPU which is handed to it as well.
    """
    root = terms.contexts[0].root
    if base.root == root or base.root.kind != "pointee" or base.path:
        return base.root == root
    return base.root.name.isidentifier() or base.root.name.startswith(f"{root.name}->")


def _are_apart(terms: Terms, bases: list[Loc]) -> bool:
    """Tell whether some contexts are known to be others: members of one object by other names."""
    if len(bases) < 2:
        return True
    held = terms.tree.held()
    return len({base.root for base in bases}) == 1 and all(
        base.path and base.path[-1] in held and not any(one.startswith("[") for one in base.path)
        for base in bases
    )


def _is_told_apart(terms: Terms, ran: Lowered, base: Loc, stored: list[Loc]) -> bool:
    """Tell whether what a run stores to the field of a context is bits of it alone."""
    below = {
        loc.path[len(context.path) :]
        for loc in dict.fromkeys(stored)
        for context in terms.contexts
        if loc.within(context)
    }
    fields = {path[:1] for path in below}
    for loc in ran.memory:
        if loc.within(base) and loc.path[len(base.path) :][:1] in fields:
            if loc.path[len(base.path) :] not in below:
                return False
    return True


def _follows(then: Cond, now: Cond, manager: Manager) -> bool:
    """Tell whether a bit is in step behind a run for no more than that it was before."""
    return now is True or can_hold([then, bits.negate(now)], manager) is False


def _in_step_at(
    terms: Terms,
    decision: Decision,
    ran: Lowered,
    base: Loc,
    rows: tuple[_Row, ...],
    places: Mapping[Term, _Bit],
    changed: bool,
) -> list[Cond]:
    """Return for each bit of the field that it is what the roles make of it."""
    known: dict[Term, Cond] = {}
    held = _Held(ran, changed)
    for term, (member, position) in places.items():
        known[term] = here = held.bit(base.member(member), position)
        opposite = bits.negate(term)
        assert isinstance(opposite, Term)
        known[opposite] = bits.negate(here)
    rest = bits.symbols(c for row in rows for c in (row.stored, row.fresh))
    for one in rest - known.keys():
        about = one.word.about
        if not terms.is_constant(one.word) and one not in decision.loose:
            continue  # below a bit of a role
        if not isinstance(about, (Loc, Fact)):
            raise _Unfit
        if one in decision.loose and isinstance(about, Loc):
            known[one] = held.bit(about, one.position)
        else:
            known[one] = ran.word(about).bit(one.position)
    replaced = bits.Substitution(known)
    host = bits.Substitution({**_host(terms, ran), **_others(terms, decision, ran, base)})
    found: list[Cond] = []
    for row in rows:
        stands = held.bit(Loc(base.root, (*base.path, *row.path)), row.position)
        right = bits.same(replaced(row.fresh), stands)
        found.append(host(bits.either(bits.negate(replaced(row.stored)), right)))
    ours = set(ran.words.values())
    if any(one.word not in ours and not one.word.opaque for one in bits.symbols(found)):
        raise _Unfit  # a word of the set-up is left, of which this run knows nothing
    return found


def _host(terms: Terms, ran: Lowered) -> dict[Term, Cond]:
    """Return what holds of the host in a run, where hosts take the path of a set-up."""
    found: dict[Term, Cond] = {}
    for term, value in bits.facts(terms.guard.path).items():
        if isinstance(term, Symbol) and terms.is_constant(term.word):
            about = term.word.about
            if isinstance(about, (Loc, Fact)):
                found[ran.word(about).bit(term.position)] = value
    return found


def _others(terms: Terms, decision: Decision, ran: Lowered, base: Loc) -> dict[Term, Cond]:
    """Return which pointers to contexts a run compares that are not the same.

    BASE stands for the context that is judged, so it is no other member of any holder.
    """
    ours, held = _holder(terms, decision.q.old[0]), terms.tree.held()
    found: dict[Term, Cond] = {}
    own = ours.path[-1] if ours is not None and ours.path else ""
    if base.path or base.root.kind != "pointee" or own not in held:
        return found
    for about, word in ran.words.items():
        if isinstance(about, Fact) and about.kind == "same" and base.root.name in about[1:]:
            other = about.other if about.name == base.root.name else about.name
            member = other.rpartition(".")[2] if other.startswith("&") else ""
            if member in held and member != own:
                found[word.bit(0)] = False
    return found


class _Held:
    """What stands in memory before a run, or behind it."""

    def __init__(self, ran: Lowered, changed: bool) -> None:
        self._ran, self._changed = ran, changed
        self._read_off = bits.Substitution({one.symbol: one.condition for one in ran.guards})
        self._guards = frozenset(one.symbol for one in ran.guards)
        self._found: dict[Loc, list[Cond]] = {}

    def bit(self, loc: Loc, position: int) -> Cond:
        """Return one bit of an object."""
        value = self._ran.memory.get(loc) if self._changed else None
        if value is None:
            return self._ran.word(loc).bit(position)
        if not isinstance(value, Int) or position >= value.bits.width:
            raise _Unfit
        known = self._found.get(loc)
        if known is None:
            known = self._found[loc] = value.bits.conditions()
        found = known[position]
        for _ in self._guards:  # one may be read off another
            if not isinstance(found, Term) or found.symbols.isdisjoint(self._guards):
                break
            found = self._read_off(found)
        return found
