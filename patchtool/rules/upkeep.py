# SPDX-License-Identifier: GPL-2.0-only
"""Code outside of the set-ups that stores to a role, and keeps a field in step with it.

In: a field that is made of bits of the roles alone, and stores to those.  Out: the stores whose
function, run by itself, leaves the field as a set-up with the changed role would.  Such a
store takes nothing from a proof: where the field has been in step before, it still is, and a
run that skips has those bits of the role.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from patchtool.c.lower import BY_MORE, Lowered
from patchtool.c.memory import Fact, Int, Loc
from patchtool.proof import bits
from patchtool.proof.bits import Claim, Cond, Denied, Term, Under
from patchtool.proof.coverage import Decision, can_hold
from patchtool.rules.question import Terms
from patchtool.world.ledger import Patch

_Bit = tuple[str, int]
"""A bit of a role: its member of the context, and the position there."""


class _Unfit(Exception):
    """Raised where what a function leaves is not known."""


class _Row(NamedTuple):
    """One bit of the field: its place below the context, when it is stored, and as what."""

    path: tuple[str, ...]
    position: int
    stored: Cond
    fresh: Cond


def disturbing(
    terms: Terms, decision: Decision, patches: tuple[Patch, ...]
) -> tuple[tuple[Patch, ...], tuple[Patch, ...]]:
    """Return the stores among some that may take a field out of step, and those that keep it.

    The others store to no bit of a role that the field is made of.
    """
    if not decision.loose <= decision.q.covered_elsewhere:
        return patches, ()
    places = _places(terms, decision)
    if places is None or not _skip_by(terms, decision, places):
        return patches, ()
    touching = [one for one in patches if terms.touched(one) & set(places.values())]
    kept: list[Patch] = []
    try:
        if decision.loose:
            raise _Unfit
        rows = tuple(_rows(terms, decision)) if touching else ()
        kept += [one for one in touching if _is_kept(terms, one, rows, places)]
    except _Unfit:
        pass
    return tuple(one for one in touching if one not in kept), tuple(kept)


def _places(terms: Terms, decision: Decision) -> dict[Term, _Bit] | None:
    """Return where in the roles a full run stores the bits that the field is made of."""
    found: dict[Term, _Bit] = {}
    for comparison, (member, value) in zip(terms.guard.comparisons, decision.q.roles, strict=True):
        for position, one in enumerate(value.conditions()):
            if isinstance(one, Term):
                found.setdefault(one, (member, comparison.low + position))
    needed = {one: one if one in found else bits.negate(one) for one in decision.role_bits}
    if any(one not in found for one in needed.values()):
        return None
    return {one: found[one] for one in needed.values() if isinstance(one, Term)}


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


def _rows(terms: Terms, decision: Decision) -> Iterator[_Row]:
    """Yield the bits of the field that a set-up stores in some state."""
    for symbol, row in zip(decision.q.old, decision.told_apart, strict=True):
        if row is None:
            continue
        about = symbol.word.about
        holder = next(
            (c for c in terms.contexts if isinstance(about, Loc) and about.within(c)), None
        )
        if holder is None or not isinstance(about, Loc):
            raise _Unfit
        yield _Row(about.path[len(holder.path) :], symbol.position, row.stored, row.fresh)


def _is_kept(
    terms: Terms, patch: Patch, rows: tuple[_Row, ...], places: Mapping[Term, _Bit]
) -> bool:
    """Tell whether the function around a store leaves the field in step, if it was before."""
    if patch.function is None or patch.function.kind != "function":
        return False
    ran = terms.tree.run(patch.function)
    branches = {(one.place, BY_MORE.format(one.context)) for one in ran.guards}
    troubles = [one for one in ran.troubles if (one.place, one.reason) not in branches]
    if ran.given_up or any(one.path is not False for one in troubles):
        return False
    bases = [
        Loc(loc.root, loc.path[:-1])
        for loc in ran.memory
        if loc.path and loc.path[-1] == patch.role
    ]
    if not bases:
        return False
    for base in bases:
        before = _in_step_at(terms, ran, base, rows, places, changed=False)
        after = _in_step_at(terms, ran, base, rows, places, changed=True)
        claims: list[Claim] = [*before, Denied(tuple(after))]
        if can_hold(claims) is not False:
            return False
    return True


def _in_step_at(
    terms: Terms,
    ran: Lowered,
    base: Loc,
    rows: tuple[_Row, ...],
    places: Mapping[Term, _Bit],
    changed: bool,
) -> list[Cond]:
    """Return for each bit of the field that it is what the roles make of it."""
    known: dict[Term, Cond] = {}
    for term, (member, position) in places.items():
        known[term] = here = _bit(ran, base.member(member), position, changed)
        opposite = bits.negate(term)
        assert isinstance(opposite, Term)
        known[opposite] = bits.negate(here)
    rest = bits.symbols(c for row in rows for c in (row.stored, row.fresh))
    for one in rest - known.keys():
        about = one.word.about
        if not terms.is_constant(one.word):
            continue  # below a bit of a role
        if not isinstance(about, (Loc, Fact)):
            raise _Unfit
        known[one] = ran.word(about).bit(one.position)
    replaced = bits.Substitution(known)
    found: list[Cond] = []
    for row in rows:
        held = _bit(ran, Loc(base.root, (*base.path, *row.path)), row.position, changed)
        right = bits.same(replaced(row.fresh), held)
        found.append(bits.either(bits.negate(replaced(row.stored)), right))
    ours = set(ran.words.values())
    if any(one.word not in ours and not one.word.opaque for one in bits.symbols(found)):
        raise _Unfit  # a word of the set-up is left, of which this run knows nothing
    return found


def _bit(ran: Lowered, loc: Loc, position: int, changed: bool) -> Cond:
    """Return one bit of an object before a run, or behind it."""
    value = ran.memory.get(loc) if changed else None
    if value is None:
        return ran.word(loc).bit(position)
    if not isinstance(value, Int) or position >= value.bits.width:
        raise _Unfit
    conditions: dict[Term, Cond] = {one.symbol: one.condition for one in ran.guards}
    found = value.bits.conditions()[position]
    for _ in ran.guards:  # one may be read off another
        if not isinstance(found, Term) or found.symbols.isdisjoint(conditions):
            break
        found = bits.substitute(found, conditions)
    return found
