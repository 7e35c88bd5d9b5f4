# SPDX-License-Identifier: GPL-2.0-only
"""Diagrams answer as the solver does, and as trying all values does."""

import itertools
from contextlib import suppress
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symbols import symbol, word

from patchtool.c.lower import records
from patchtool.proof import bdd, bits, solver
from patchtool.proof.bdd import Diagrams, Effort, Manager, TooLarge
from patchtool.proof.bits import Alike, Environment, Symbol, Under
from patchtool.proof.runs import Runs
from patchtool.proof.solver import Helpless, Solver, asked, can_hold

NAMES = tuple(map(symbol, ("x@1", "x@2", "y@1", "y@2", "host")))
LEAVES = st.sampled_from(NAMES) | st.booleans()
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(bits.negate),
        st.tuples(inner, inner).map(lambda two: bits.both(*two)),
        st.tuples(inner, inner, inner).map(lambda three: bits.choose_cond(*three)),
    ),
    max_leaves=12,
)
WORLDS = [dict(zip(NAMES, row, strict=True)) for row in itertools.product((False, True), repeat=5)]


@settings(max_examples=300, deadline=None)
@given(st.lists(CONDITIONS, max_size=4), st.lists(CONDITIONS, max_size=3), st.data())
def test_three_ways_to_one_answer(conditions, switched, data):
    """Diagrams, the solver and trying all values agree on what can hold."""
    switches = {symbol(f"switch{i}"): one for i, one in enumerate(switched)}
    names = st.sets(st.sampled_from(sorted(switches))) if switches else st.just(set())
    chosen = sorted(data.draw(names))
    assumed = list(chosen)
    wanted = [*conditions, *(switches[name] for name in chosen)]
    tried = any(all(bits.evaluate(c, world) for c in wanted) for world in WORLDS)
    assert Diagrams(conditions, switches).possible(assumed) is tried
    assert Solver(conditions, switches).possible(assumed) is tried
    assert can_hold(wanted) is tried


@st.composite
def claims(draw):
    """Draw claims in an environment of other symbols, and one of what another has left."""

    def environment(meanings):
        drawn = draw(st.dictionaries(st.sampled_from(NAMES), meanings))
        return Environment(lambda name: drawn.get(name, name))

    plain = environment(st.sampled_from(NAMES))
    left = st.sampled_from(NAMES) | CONDITIONS.map(lambda one: Under(one, plain))
    worlds = st.sampled_from([plain, environment(left), environment(left)])
    under = st.builds(Under, CONDITIONS, worlds)
    vectors = st.lists(CONDITIONS, max_size=3).map(tuple)
    alike = st.builds(Alike, vectors, worlds, worlds, st.booleans())
    return draw(st.lists(CONDITIONS | under | alike, min_size=1, max_size=4))


def value(claim, world):
    """Evaluate a claim by what it means."""
    if isinstance(claim, Symbol):
        return world[claim]
    if isinstance(claim, Under):
        inner = {name: value(claim.environment.meaning(name), world) for name in NAMES}
        return bits.evaluate(claim.condition, inner)
    if isinstance(claim, Alike):
        pairs = [
            [value(Under(c, where), world) for where in (claim.one, claim.other)]
            for c in claim.conditions
        ]
        return all(a == b for a, b in pairs) is claim.alike
    return bits.evaluate(claim, world)


@settings(max_examples=300, deadline=None)
@given(claims(), claims(), st.booleans())
def test_claims_in_environments(wanted, switched, shared):
    """Reading symbols as what they stand for is writing them out, for claims and switches."""
    switches = {symbol(f"switch{i}"): one for i, one in enumerate(switched)}
    assumed = list(switches)
    manager = Manager() if shared else None
    for some, on in ((wanted, []), ([*wanted, *switched], assumed), (switched, [])):
        tried = any(all(value(c, world) for c in some) for world in WORLDS)
        assert Diagrams(some if not on else wanted, switches, manager).possible(on) is tried
        assert Solver(some if not on else wanted, switches).possible(on) is tried
    for claim in (*wanted, *switched):
        written = bits.write_out(claim)
        assert all(bits.evaluate(written, world) is value(claim, world) for world in WORLDS)


@settings(max_examples=200, deadline=None)
@given(st.lists(CONDITIONS, max_size=4), st.lists(CONDITIONS, max_size=2), st.permutations(NAMES))
def test_the_smallest_values_are_the_same(conditions, added, names):
    """Diagrams and the solver fix symbols alike, inside a scope, and forget it behind it."""
    found = []
    for one in (Diagrams(conditions, {}), Solver(conditions, {})):
        before = one.check()
        one.push()
        for more in added:
            one.add(more)
        values = one.smallest(names) if one.check() else None
        one.pop()
        found.append((before, values, one.check()))
    assert found[0] == found[1]
    if found[0][1] is not None:
        assert all(bits.evaluate(c, found[0][1]) for c in (*conditions, *added))


@settings(max_examples=200, deadline=None)
@given(st.lists(CONDITIONS, max_size=4), CONDITIONS)
def test_values_of_a_check_are_a_model(conditions, switched):
    """What is kept of a check makes every condition true, and tells switches truly."""
    diagrams = Diagrams(conditions, {symbol("switch"): switched})
    if diagrams.check():
        values = {name: diagrams.true(name) for name in NAMES}
        assert all(bits.evaluate(c, values) for c in conditions)
        assert diagrams.holds(symbol("switch")) is bits.evaluate(switched, values)


@settings(max_examples=300, deadline=None)
@given(st.lists(CONDITIONS, max_size=4))
def test_what_has_but_one_value(conditions):
    """The symbols that are fixed are those with one value in all worlds that are possible."""
    diagrams = Diagrams(conditions)
    left = [world for world in WORLDS if all(bits.evaluate(c, world) for c in conditions)]
    assert diagrams.possible() is bool(left)
    if left:
        values = {name: {world[name] for world in left} for name in NAMES}
        fixed = {name: one for name, (one, *others) in values.items() if not others}
        assert diagrams.fixed() == fixed


def test_what_grows_too_large_is_for_the_solver(monkeypatch):
    """A question beyond the limit is given up by diagrams and answered all the same."""
    numbers = [bits.low_bits(12, word(name)) for name in ("a1", "a2", "b1", "b2")]
    total = bits.add(bits.add(numbers[0], numbers[1]), bits.add(numbers[2], numbers[3]))
    question = [bits.equal(total, bits.constant(12, 77)), symbol("a1")]
    assert asked([symbol("a1")], {}, type) is Diagrams
    monkeypatch.setattr(bdd, "MAX_NODES", 50)
    with pytest.raises(TooLarge):
        Diagrams(question)
    assert asked(question, {}, type) is Solver
    assert can_hold(question) is True


def test_what_others_have_filled_leaves_room_for_a_small_question(monkeypatch):
    """A question that shares diagrams which are full is decided by diagrams of its own."""
    shared = Manager()
    monkeypatch.setattr(bdd, "MAX_NODES", 4)
    with pytest.raises(TooLarge):
        Diagrams([symbol(f"x{i}") for i in range(9)], manager=shared)
    small = [bits.both(symbol("x"), symbol("y"))]
    assert asked(small, {}, type, shared) is Diagrams
    assert can_hold(small, shared) is True


def test_questions_behind_one_that_did_not_fit_share_its_diagrams(monkeypatch):
    """Where shared diagrams are full, what a question takes afresh serves the next one too."""
    monkeypatch.setattr(bdd, "MAX_NODES", 60)
    runs = Runs(lambda one: None, lambda one: False, lambda one: False)
    filled = [bits.both(symbol(f"a#{i}"), symbol(f"b#{i}")) for i in range(20)]
    wanted = [bits.choose_cond(symbol(f"x#{i}"), symbol("y"), symbol("z")) for i in range(6)]
    assert asked(filled, {}, lambda one: one.possible(), runs.room())
    full = runs.manager
    taken = []
    for _ in range(2):
        before = full.effort.steps
        assert asked(wanted, {}, lambda one: one.possible(), runs.room())
        taken.append(full.effort.steps - before)
    assert runs.manager is not full
    assert runs.manager.effort is full.effort
    assert taken[1] == 0 < taken[0]


@settings(max_examples=200, deadline=None)
@given(st.lists(claims(), min_size=2, max_size=5), st.integers(1, 12), st.integers(1, 6))
def test_shared_diagrams_stay_true_when_they_are_full(questions, nodes, levels):
    """Whatever was given up half-way, what comes after it is answered as by trying."""
    shared = Manager()
    with (
        patch.object(bdd, "MAX_NODES", nodes),
        patch.object(bdd, "MAX_LEVELS", levels),
    ):
        for wanted in questions:
            tried = any(all(value(c, world) for c in wanted) for world in WORLDS)
            with suppress(TooLarge):
                assert Diagrams(wanted, {}, shared).possible() is tried
            assert can_hold(wanted, shared) is tried


def test_many_symbols_are_for_the_solver():
    """The levels of a diagram bound how deep it recurses."""
    words = [bits.low_bits(32, word(f"w{i}")) for i in range(20)]
    question = [bits.equal(one, bits.constant(32, 5)) for one in words]
    with pytest.raises(TooLarge):
        Diagrams(question)
    assert can_hold(question) is True
    assert can_hold([*question, symbol("w3#1")]) is False


def test_the_deepest_diagram_fits_the_stack():
    """With as many levels as are allowed, no operation meets Python's limit."""
    names = [f"x{i}" for i in range(bdd.MAX_LEVELS)]
    odd, all_set = False, True
    for name in names:
        odd = bits.negate(bits.same(symbol(name), odd))
        all_set = bits.both(all_set, symbol(name))
    diagrams = Diagrams([odd], {symbol("all"): all_set})
    assert diagrams.possible()
    assert not diagrams.possible([symbol("all")])
    assert diagrams.possible([bits.choose_cond(symbol("x0"), odd, all_set)])


def test_conjunctions_that_share_their_parts():
    """Many conjunctions, each the one before and one more, cost no more than their number."""
    chain = symbol("x0")
    result = chain
    for i in range(2_000):
        part = bits.choose_cond(symbol(f"x{i % 5}"), chain, symbol(f"y{i % 7}"))
        chain = bits.both(chain, part)
        result = bits.choose_cond(chain, symbol("z"), result)
    world = dict.fromkeys(bits.symbols([result]), True)
    literals = list(world)
    assert Diagrams([result, *literals]).possible() is bits.evaluate(result, world)


def test_the_solver_is_asked_where_diagrams_give_up(monkeypatch):
    """A refusal is passed on as "gave up", not taken for an answer."""
    monkeypatch.setattr(bdd, "MAX_NODES", 1)
    monkeypatch.setattr(solver.Solver, "possible", lambda *_: None)
    assert can_hold([bits.both(symbol("x@1"), symbol("y@1"))]) is None


def never(number):
    """Return a condition that cannot hold, which nobody sees without building it."""
    a, b = (bits.low_bits(4, word(f"{name}{number}")) for name in "ab")
    differ = bits.negate(bits.equal(bits.add(a, b), bits.add(b, a)))
    assert not isinstance(differ, bool)
    return differ


def test_a_path_has_its_share_whatever_diagrams_it_begins(monkeypatch):
    """What the fields of a path have taken is not forgotten with the diagrams of one."""
    monkeypatch.setattr(solver, "MAX_PATH_STEPS", 500)
    runs = Runs(lambda _: None, lambda _: False, lambda _: False)
    kinds = []
    for number in range(30):
        runs.manager.outgrown = 1
        before = runs.manager
        runs.renew()
        assert runs.manager is not before
        kinds.append(asked([never(number)], {}, type, runs.manager))
    assert kinds[0] is Diagrams and kinds[-1] is Solver
    assert can_hold([never(0)], runs.manager) is False
    runs.manager.effort.spent = solver.MAX_PATH_EFFORT
    runs.renew()
    assert asked([never(0)], {}, type, runs.manager) is Helpless
    assert can_hold([never(0)], runs.manager) is None


def test_a_run_that_asks_too_much_may_do_anything(monkeypatch):
    """What cannot hold is told from what can, until that took too much too often."""
    monkeypatch.setattr(bdd, "MAX_NODES", 2)
    run = records.Lowered(None, {})
    told = [run.allows(never(number)) for number in range(records.MAX_OUTGROWN + 2)]
    assert told == [False] * records.MAX_OUTGROWN + [True] * 2
    assert not run.allows(False)


def test_many_paths_share_what_six_get(monkeypatch):
    """What is decided is decided in bounded work, however many ways there are to a guard."""
    monkeypatch.setattr(solver, "MAX_PATH_STEPS", 500)

    def drawn(paths):
        runs = Runs(lambda _: None, lambda _: False, lambda _: False, Effort(paths))
        kinds = [asked([never(number)], {}, type, runs.manager) for number in range(30)]
        return kinds.count(Diagrams)

    assert drawn(1) == drawn(6) > 3 * drawn(60) > 0
