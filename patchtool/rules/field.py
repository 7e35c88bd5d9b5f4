# SPDX-License-Identifier: GPL-2.0-only
"""Decide one field of a context on one path.

In: the terms of a path, and a member of a context that it compares the role of.  Out: the
answer of coverage, with what is known beside the set-up: inputs whose change invalidates the
role, what other code stores to the role, and what it stores to the field.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

from patchtool.c.layout import RecordType
from patchtool.c.memory import Loc
from patchtool.model import FieldResult, Reason
from patchtool.proof import bits
from patchtool.proof.bits import Symbol
from patchtool.proof.compared import Question, Unit
from patchtool.proof.coverage import Answer, Decision
from patchtool.rules.question import Element, Invalidated, Terms
from patchtool.world.accounts.ledger import Patch
from patchtool.world.accounts.strays import Stray

_UP_TO_DATE = "{}() runs for a context whose role its registers still make"


class Field(NamedTuple):
    """A field that is asked for, and the member of a context that it is."""

    name: str
    context: Loc
    record: RecordType
    member: tuple[str, ...]

    @property
    def written(self) -> str:
        """The member as C spells it."""
        return ".".join(self.member)

    def unknown(self, *reasons: Reason) -> FieldResult:
        """Return that nothing is known of it, and why."""
        return FieldResult(self.name, self.written, "unknown", reasons=reasons)


class _Case(NamedTuple):
    """A question as it stands, its answer, and what that rests on."""

    question: Question
    decision: Decision
    answer: Answer
    invalidated: Mapping[Unit, Invalidated]
    spoilt: tuple[Reason, ...]
    """What makes the verdict unknown, whatever the answer."""
    facts: tuple[str, ...] = ()
    """What the verdict rests on beside the answer."""


def decide(
    terms: Terms, field: Field, unread: Container[str], carriers: bool
) -> tuple[FieldResult | None, Question | None]:
    """Decide one field and return what was asked; nothing where no run of this path stores it.

    UNREAD are the states in which it may be left alone, because nobody reads it; without
    CARRIERS a proof does not say what carries which input.
    """
    guard = terms.path.guard
    terms.begin()
    elements = terms.elements(field.context, field.record, field.member)
    if elements is None:
        return field.unknown(Reason(f"the value of {field.written} is no number")), None
    # What is not understood is not seen to be left alone by a skip.
    elements = [
        one
        for one in elements
        if guard.symbol in one.value.symbols or any(s.word.opaque for s in one.value.symbols)
    ]
    if not elements:
        return None, None
    skips = guard.skips
    if skips is None:
        text = "which side of the comparison skips depends on more than the roles"
        return field.unknown(Reason(text)), None
    spoilt = terms.spoilt(field.context, field.member)
    reached = terms.come_to(elements, field.context, field.record)
    question = terms.question(elements, skips, reached=reached)
    start = bits.from_conditions(question.old)
    if question.full.identical(start) and question.kept.identical(start) and not spoilt:
        return None, None
    absent = terms.absent(question)
    if absent:
        return field.unknown(*absent), None
    strays, hosts = terms.strays(field.context, field.member)
    case = _answered(terms, field, question, spoilt, carriers)
    if case.answer.verdict == "covered" and terms.patches:
        case = _with_patches(terms, field, case, elements, skips)
    if case.invalidated and terms.patches:
        case = _with_revived(terms, case)
    if case.answer.verdict == "covered":
        case = case._replace(spoilt=case.spoilt + terms.restless(case.question))
    if strays:
        case = _with_strays(terms, field, case, strays)
    result = terms.result(
        field.name, field.written, case.decision, case.answer, case.spoilt, case.invalidated, unread
    )
    facts = {*hosts, *case.facts}
    if facts:
        result = result._replace(assumptions=tuple(sorted({*result.assumptions, *facts})))
    return result, case.question


def _answered(
    terms: Terms, field: Field, question: Question, spoilt: tuple[Reason, ...], carriers: bool
) -> _Case:
    """Answer a question about the set-up alone, by inputs that do not invalidate the role."""
    decision = Decision(question)
    known = terms.invalidated(decision.units(decision.loose)) if decision.is_mostly_role else {}
    if known:  # then what is left may be bits of the roles and constants alone
        equal = _bits_of(known)
        if decision.loose <= equal:
            question = question._replace(covered_elsewhere=equal)
            decision = Decision(question, decision)
        else:
            known = {}
    answer = decision.decide(carriers)
    if answer.verdict == "covered":
        compared = terms.compares(field.context, field.record, field.member)
        unclear = () if compared else decision.unclear
        if unclear:
            answer = answer._replace(verdict="unknown", leaning=unclear)
    if answer.verdict == "gap" and not answer.history and answer.missing_units:
        known = terms.invalidated(answer.missing_units)
        if known:
            question = question._replace(covered_elsewhere=_bits_of(known))
            decision = Decision(question, decision)
            answer = decision.decide()
    if answer.verdict == "gap" and not answer.history:
        doubtful = terms.unclear(answer.missing_units)
        if doubtful:  # is there a gap without them?
            equal = frozenset(bit for unit in doubtful for bit in terms.bits_of(unit))
            question = question._replace(covered_elsewhere=question.covered_elsewhere | equal)
            decision = Decision(question)
            answer = decision.decide()
            spoilt += tuple(doubtful.values()) if answer.verdict != "gap" else ()
    return _Case(question, decision, answer, known, spoilt)


def _bits_of(known: Mapping[Unit, Invalidated]) -> frozenset[Symbol]:
    return frozenset(bit for one in known.values() for bit in one.bits)


def _with_patches(
    terms: Terms, field: Field, case: _Case, elements: list[Element], skips: bool
) -> _Case:
    """Look whether a proof stands beside what other code stores to the role."""
    from patchtool.rules.upkeep import disturbing, read_beside

    patches, kept = disturbing(terms, case.decision, terms.patches)
    words = "{}() keeps {} in step with {}"
    facts = tuple(
        words.format(one.place.function, field.written, ".".join((one.role, *one.below)))
        for one in kept
        if one.value is None
    )
    case = case._replace(facts=case.facts + facts)
    if read_beside(case.decision):
        case = _resting(case, _UP_TO_DATE, (one.place.function for one in kept))
    if not patches:
        return case
    question = terms.question(elements, skips, patches, case.question.reached)
    question = question._replace(covered_elsewhere=case.question.covered_elsewhere)
    again = Decision(question).decide(carriers=False)
    if again.verdict == "covered":
        return case._replace(question=question)
    if again.verdict == "gap":  # it takes what other code stores to a role
        blamed = _blamed(terms, case.question, elements, skips, patches)
        return case._replace(spoilt=case.spoilt + blamed)
    return case._replace(answer=again)


def _with_revived(terms: Terms, case: _Case) -> _Case:
    """Look whether a role that an event makes invalid stays so until it is set up."""
    from patchtool.rules.upkeep import reviving

    words = "{} makes a role valid again that was made invalid"
    spoilt = tuple(
        Reason(words.format(".".join((one.role, *one.below))), one.place)
        for one in reviving(terms, case.decision)
    )
    return case._replace(spoilt=case.spoilt + spoilt)


def _blamed(
    terms: Terms,
    question: Question,
    elements: list[Element],
    skips: bool,
    stores: tuple[Patch, ...],
) -> tuple[Reason, ...]:
    """Say which stores to a role take away what carries a field."""
    found: list[Patch] = []
    for patches in (*((one,) for one in stores), stores):
        if found and patches == stores:
            break  # no more than those that do so alone
        again = terms.question(elements, skips, patches, question.reached)
        again = again._replace(covered_elsewhere=question.covered_elsewhere)
        if Decision(again).decide(carriers=False).verdict != "covered":
            found.extend(patches)
    words = "{} carries a field and is stored here as well"
    return tuple(Reason(words.format(".".join((p.role, *p.below))), p.place) for p in found)


def _with_strays(terms: Terms, field: Field, case: _Case, strays: tuple[Stray, ...]) -> _Case:
    """Look whether an answer stands beside what other code stores to the field."""
    from patchtool.rules.upkeep import idle, keeping, read_beside

    answer = case.answer
    if answer.verdict == "covered" and not case.spoilt:
        strays, by = keeping(terms, case.decision, field.member, strays)
        case = _resting(case, "{}() stores what a set-up with that role would", by)
        case = _resting(case, _UP_TO_DATE, by if read_beside(case.decision) else ())
    if answer.verdict == "gap" and not (answer.history or answer.accumulated or case.spoilt):
        apart = idle(terms, case.decision, field.member, strays)
        if apart is not None:
            question, by = apart
            decision = Decision(question, case.decision)
            answer = decision.decide()
            if answer.verdict == "gap":
                case = case._replace(question=question, decision=decision, answer=answer)
                return _resting(case, "{}() has nothing to do in the states of the witness", by)
    reasons = tuple(Reason(one.reason, one.place) for one in strays)
    return case._replace(spoilt=case.spoilt + reasons)


def _resting(case: _Case, words: str, by: Iterable[str]) -> _Case:
    return case._replace(facts=(*case.facts, *map(words.format, by)))
