# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts on small role functions, compared with trying every pair of states."""

import gc
import itertools
import sys
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symbols import symbol, word

from patchtool.proof import bdd, bits
from patchtool.proof.compared import Carrier, Question, Unit
from patchtool.proof.coverage import Decision
from patchtool.proof.runs import Runs
from patchtool.proof.solver import Solver

INPUTS = tuple(symbol(f"r#{i}") for i in range(5))
OLD = {"field": word("ctx->field"), "role": word("ctx->role"), "also": word("ctx->also")}


def world(number, names=INPUTS):
    """Spell one state as values of the input bits."""
    return {name: bool(number >> i & 1) for i, name in enumerate(names)}


def question(field, role, legal=True, path=True, also=None, kept=None):
    """Ask about a field and a role that are vectors over the input bits.

    ALSO is a vector that the guard compares beside the role, KEPT what a skipping run
    leaves in the field when that is not the old value.
    """
    stored = {"role": role, "field": field}
    skips = bits.equal(role, bits.low_bits(role.width, OLD["role"]))
    if also is not None:
        stored["also"] = also
        skips = bits.both(skips, bits.equal(also, bits.low_bits(also.width, OLD["also"])))

    def held(one):
        value = stored.get(one.word.name.removeprefix("ctx->"))
        return value.conditions()[one.position] if value is not None else None

    runs = Runs(
        stored=held,
        is_constant=lambda one: one.word.name.startswith("host"),
        is_context=lambda one: one.word.name.startswith("ctx->"),
    )
    return Question(
        runs=runs,
        path=path,
        skips=skips,
        full=field,
        kept=bits.low_bits(field.width, OLD["field"]) if kept is None else kept,
        legal=lambda names: [legal],
        unit_of=lambda one: Unit(one.name, one.name, (one,)),
        carriers=tuple(Carrier(f"bit{i}", bits.cut(role, i, 1)) for i in range(role.width)),
        roles=(("role", role),),
    )


def vector(*conditions):
    """Return a vector of some conditions, the first one least significant."""
    return bits.from_conditions(conditions)


def states(legal=True, path=True):
    """Return all legal states that take the path."""
    everything = [world(n) for n in range(1 << len(INPUTS))]
    return [s for s in everything if bits.evaluate(legal, s) and bits.evaluate(path, s)]


def brute(field, role, legal=True, path=True):
    """Return the verdict, and the inputs that alone make a gap, by trying all pairs."""
    found = states(legal, path)
    wrong = set()
    for a, b in itertools.combinations(found, 2):
        if role.evaluate(a) == role.evaluate(b) and field.evaluate(a) != field.evaluate(b):
            wrong.add(frozenset(n.name for n in INPUTS if a[n] != b[n]))
    singles = {next(iter(one)) for one in wrong if len(one) == 1}
    smallest = {w for w in wrong if not any(other < w for other in wrong)}
    return "gap" if wrong else "covered", singles, smallest


def replay(answer, field, role, legal=True, path=True):
    """Run both states of a witness: legal, on the path, one role, two values.

    An input that the witness does not show is alike in both states.
    """
    witness = answer.witness
    shown = [name for unit in witness.units for name in unit.bits]
    hidden = [name for name in INPUTS if name not in shown]
    a, b = (dict(zip(shown, numbers, strict=True)) for numbers in (witness.a, witness.b))
    assert {one.name for one in shown if a[one] != b[one]} == set(witness.differs)
    assert witness.values[0] != witness.values[1]

    def holds(rest):
        pair = [{**rest, **one} for one in (a, b)]
        return (
            all(bits.evaluate(legal, s) and bits.evaluate(path, s) for s in pair)
            and {role.evaluate(s) for s in pair} == {witness.role[0][1]}
            and tuple(field.evaluate(s) for s in pair) == witness.values
        )

    assert any(holds(world(n, hidden)) for n in range(1 << len(hidden)))


TERMS = st.recursive(
    st.sampled_from([True, False, *INPUTS]),
    lambda inner: st.one_of(
        inner.map(bits.negate),
        st.tuples(inner, inner).map(lambda two: bits.both(*two)),
        st.tuples(inner, inner, inner).map(lambda three: bits.choose_cond(*three)),
    ),
    max_leaves=8,
)
VECTORS = st.lists(TERMS, min_size=1, max_size=3).map(lambda terms: vector(*terms))


@settings(max_examples=120, deadline=None)
@given(VECTORS, VECTORS, TERMS, TERMS)
def test_agrees_with_enumeration(field, role, legal, path):
    """The verdict, the missing inputs and the witness are those of trying every pair."""
    expected, singles, smallest = brute(field, role, legal, path)
    answer = Decision(question(field, role, legal, path)).decide()
    assert answer.verdict == expected
    if expected == "gap":
        assert not answer.history
        replay(answer, field, role, legal, path)
        assert singles <= set(answer.missing)
        assert frozenset(answer.witness.differs) in smallest
        assert len(answer.witness.differs) == min(map(len, smallest))


def test_each_bit_of_a_kind_has_its_say():
    """Bits that read the same inputs may go stale by different ones, on hosts that there are."""
    a, b = INPUTS[:2]
    h, i = symbol("host1"), symbol("host2")
    # No host is like this, which takes looking at both constants together.
    odd = bits.both(bits.same(h, i), bits.choose_cond(h, bits.negate(i), i))
    odder = bits.both(odd, symbol("host3"))
    assert not isinstance(odd, bool)
    by_a = (bits.choose_cond(odd, b, a), bits.choose_cond(odder, b, a))
    field = vector(*by_a, bits.choose_cond(odd, a, b))
    answer = Decision(question(field, vector(False))).decide()
    assert answer.verdict == "gap" and set(answer.missing) == {a.name, b.name}


@settings(max_examples=40, deadline=None)
@given(VECTORS, VECTORS)
def test_a_compared_field_is_covered(field, role):
    """A guard that compares the field too leaves nothing stale."""
    answer = Decision(question(field, role, also=field)).decide()
    assert answer.verdict == "covered"


@settings(max_examples=40, deadline=None)
@given(VECTORS)
def test_a_role_of_all_inputs_covers(field):
    """Where the role is made of all inputs, no field is stale."""
    role = vector(*INPUTS)
    answer = Decision(question(field, role)).decide()
    assert answer.verdict == "covered"
    for unit, carried_by in answer.inputs:
        assert carried_by == (f"bit{INPUTS.index(unit.bits[0])}",)


@settings(max_examples=40, deadline=None)
@given(VECTORS)
def test_an_empty_role_covers_nothing(field):
    """Where the role is constant, every field that varies is stale."""
    role = bits.constant(3, 5)
    varies = len({field.evaluate(s) for s in states()}) > 1
    answer = Decision(question(field, role)).decide()
    assert answer.verdict == ("gap" if varies else "covered")


@settings(max_examples=40, deadline=None)
@given(VECTORS, VECTORS)
def test_carriers_tell_the_input_apart(field, role):
    """The members that carry an input differ whenever that input alone changes the field."""
    answer = Decision(question(field, role)).decide()
    if answer.verdict != "covered":
        return
    everything = states()
    for unit, carried_by in answer.inputs:
        members = [int(name.removeprefix("bit")) for name in carried_by]
        for state in everything:
            other = {**state, unit.bits[0]: not state[unit.bits[0]]}
            if field.evaluate(state) != field.evaluate(other):
                assert members
                assert any(
                    role.evaluate(state) >> i & 1 != role.evaluate(other) >> i & 1 for i in members
                )


A, B, C = INPUTS[:3]


@pytest.mark.parametrize(
    ("field", "role", "legal", "verdict", "missing"),
    [
        pytest.param(vector(A), vector(A), True, "covered", (), id="the bit itself"),
        pytest.param(vector(A), vector(bits.negate(A)), True, "covered", (), id="its opposite"),
        pytest.param(vector(A), vector(B), True, "gap", ("r#0",), id="another bit"),
        pytest.param(vector(A), vector(bits.both(A, B)), True, "gap", ("r#0",),
                     id="read by the role and not determined"),
        pytest.param(vector(A), vector(bits.same(A, B), B), True, "covered", (), id="two together"),
        pytest.param(vector(bits.negate(bits.same(A, B))), vector(C), True, "gap", ("r#0", "r#1"),
                     id="either of two"),
        pytest.param(vector(A), vector(B), bits.same(A, B), "covered", (),
                     id="carried by what is legal"),
        pytest.param(vector(bits.both(A, B)), vector(B), bits.either(bits.negate(A), B), "gap",
                     ("r#0",), id="an implication does not carry"),
    ],
)  # fmt: skip
def test_cases(field, role, legal, verdict, missing):
    """Cases of the thread that led to the rule have the verdict that they have there."""
    answer = Decision(question(field, role, legal)).decide()
    assert (answer.verdict, answer.missing) == (verdict, missing)


def test_diagrams_end_with_their_path():
    """Nothing but the question holds the diagrams, with no help of a garbage collector."""
    gc.disable()
    try:
        asked = question(vector(A, B), vector(B))
        assert Decision(asked).decide().verdict == "gap"
        diagrams = weakref.ref(asked.runs.manager)
        del asked
        assert diagrams() is None
    finally:
        gc.enable()


def test_a_path_that_inputs_select():
    """Runs that take another path are no witnesses."""
    answer = Decision(question(vector(A), vector(B), path=A)).decide()
    assert answer.verdict == "covered"


def test_a_full_run_that_keeps_an_older_value():
    """A full run that stores a field on some paths only leaves history, whatever the role."""
    old = bits.low_bits(1, OLD["field"])
    field = bits.choose(A, vector(B), old)
    answer = Decision(question(field, vector(A, B))).decide()
    assert (answer.verdict, answer.history) == ("gap", True)


def test_a_host_constant_does_not_differ():
    """What is alike in both runs needs no carrier."""
    host = symbol("host#0")
    assert Decision(question(vector(host), vector(B))).decide().verdict == "covered"
    answer = Decision(question(vector(bits.both(host, A)), vector(B))).decide()
    assert (answer.verdict, answer.missing) == ("gap", ("r#0",))


def test_covered_elsewhere():
    """An input that no two runs can differ in needs no carrier."""
    asked = question(vector(A, B), vector(B))
    asked = asked._replace(covered_elsewhere=frozenset({A}))
    assert Decision(asked).decide().verdict == "covered"


@pytest.mark.parametrize(
    ("field", "role", "verdicts"),
    [
        pytest.param(vector(symbol("?0#0")), vector(A), {"unknown"}, id="field"),
        pytest.param(vector(A), vector(symbol("?0#0")), {"unknown"}, id="role"),
        pytest.param(vector(bits.both(A, symbol("?0#0"))), vector(B), {"unknown"},
                     id="refuted by one value of it only"),
        pytest.param(vector(A, symbol("?0#0")), vector(B), {"gap"},
                     id="refuted whatever it is"),
    ],
)  # fmt: skip
def test_what_was_not_understood(field, role, verdicts):
    """A refutation that leans on what was not understood is no verdict."""
    assert Decision(question(field, role)).decide().verdict in verdicts


def test_a_number_of_high_bits_is_no_lean():
    """A witness with a number whose lowest bits nobody reads stands whatever is not understood."""
    high = [symbol("caps#16"), symbol("caps#17")]
    asked = question(vector(*high, symbol("?0#0")), vector(A))
    asked = asked._replace(unit_of=lambda one: Unit(one.word.name, one.word.name, (one,)))
    answer = Decision(asked).decide()
    assert (answer.verdict, answer.missing) == ("gap", ("caps",))
    assert answer.witness is not None
    assert {value & ~0x30000 for value in (*answer.witness.a, *answer.witness.b)} == {0}


@settings(max_examples=60, deadline=None)
@given(VECTORS, VECTORS, st.sampled_from(INPUTS))
def test_opaque_inputs_never_decide(field, role, opaque):
    """With one input opaque the verdict is the true one or unknown, and no gap rests on it."""
    expected, _, smallest = brute(field, role)
    unclear = bits.Substitution({opaque: symbol("?0")})
    answer = Decision(question(unclear.vector(field), unclear.vector(role))).decide()
    assert answer.verdict in {expected, "unknown"}
    if answer.verdict == "gap":
        assert "?0#0" not in answer.missing
        assert any(opaque.name not in one for one in smallest)


@pytest.mark.parametrize("sound", [True, False])
def test_without_the_solver_no_question_is_answered_that_needs_it(sound, monkeypatch):
    """Where diagrams give up and z3 is not there, the answer is unknown and names z3."""
    field = vector(*INPUTS)
    role = field if sound else vector(*INPUTS[1:])
    asked = question(field, role)
    monkeypatch.setitem(sys.modules, "z3", None)
    assert Decision(asked).decide().verdict == ("covered" if sound else "gap")
    monkeypatch.setattr(bdd, "MAX_NODES", 4)
    answer = Decision(question(field, role)).decide()
    assert answer.verdict == "unknown"
    assert "z3" in answer.problem


def masked(*conditions, role):
    """Ask about a field of which a full run may leave bits as they were."""
    field = vector(*conditions)
    own = tuple(OLD["field"].bit(i) for i in range(field.width))
    return question(field, role)._replace(old=own, elements=(field.width,))


def test_states_that_do_not_store():
    """A state in which a field is not stored is no witness, and is named."""
    one, two = INPUTS[0], INPUTS[1]
    kept = bits.choose_cond(one, two, OLD["field"].bit(0))
    answer = Decision(masked(kept, role=vector(one, two))).decide()
    assert (answer.verdict, answer.unstored) == ("covered", ("r#0=0",))
    answer = Decision(masked(kept, role=vector(one))).decide()
    assert (answer.verdict, answer.missing) == ("gap", ("r#1",))
    three, four = INPUTS[2], INPUTS[3]
    for further, states in (
        (two, ("r#0=0", "r#1=0")),
        (bits.both(two, three), ("r#0=0", "more")),
        (bits.negate(bits.both(bits.negate(two), bits.negate(three))), ("r#0=0", "r#1=0", "r#2=0")),
    ):
        stored = bits.either(one, further)
        kept = bits.choose_cond(stored, four, OLD["field"].bit(0))
        answer = Decision(masked(kept, role=vector(one, two, three, four))).decide()
        assert (answer.verdict, answer.unstored) == ("covered", states)


def test_what_no_verdict_rests_on_is_not_worth_the_solver(monkeypatch):
    """Where diagrams are outgrown it is left open what carries an input and stores a field."""
    one, two, three = INPUTS[:3]
    kept = bits.choose_cond(bits.either(one, two), three, OLD["field"].bit(0))
    asked = masked(kept, role=vector(one, two, three))
    told = Decision(asked).decide()
    assert told.verdict == "covered" and told.inputs and told.unstored
    monkeypatch.setattr(bdd, "MAX_NODES", 1)
    solved = []
    monkeypatch.setattr(Solver, "possible", counted(Solver.possible, solved))
    asked.runs.renew()
    left = Decision(asked).decide()
    assert (left.verdict, left.inputs, left.unstored) == ("covered", (), None)
    of_verdict = len(solved)
    assert Decision(asked).decide(carriers=False).verdict == "covered"
    assert len(solved) == 2 * of_verdict


def counted(function, calls):
    """Return a function that notes each of its calls."""

    def noting(*given, **named):
        calls.append(given)
        return function(*given, **named)

    return noting


def test_a_bit_of_a_number_names_no_state():
    """That a field is not stored without one bit of a number is not said of the number."""
    low, high = symbol("width#4"), symbol("width#5")
    kept = bits.choose_cond(high, low, OLD["field"].bit(0))
    asked = masked(kept, role=vector(low, high))
    assert Decision(asked).decide().unstored == ("width#5=0",)
    asked = asked._replace(unit_of=lambda one: Unit(one.word.name, one.word.name, (one,)))
    assert Decision(asked).decide().unstored is None


def test_accumulation_has_three_states():
    """What is added to and never cleared is a gap although the role tells all states apart."""
    one, two = INPUTS[0], INPUTS[1]
    low, high = (OLD["field"].bit(i) for i in (0, 1))
    added = bits.choose_cond(one, bits.either(low, two), False)
    answer = Decision(masked(added, one, role=vector(one, two))).decide()
    assert answer.verdict == "gap"
    assert not answer.missing
    states = answer.accumulated
    assert states is not None
    assert states.values[0] != states.values[1]
    assert states.c[0] == 1
    cleared = bits.choose_cond(one, two, False)
    assert Decision(masked(cleared, one, role=vector(one, two))).decide().verdict == "covered"
    always = bits.choose_cond(one, bits.either(low, True), bits.both(high, low))
    assert Decision(masked(always, one, role=vector(one))).decide().accumulated is None
