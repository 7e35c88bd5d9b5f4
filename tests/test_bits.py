# SPDX-License-Identifier: GPL-2.0-only
"""Vectors of terms compute what Python's integers compute."""

import operator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symbols import symbol, word

from patchtool.proof import bits

WIDTH = 6
MASK = (1 << WIDTH) - 1
NAMES = ("a", "b")
POSITIONS = [word(name).bit(i) for name in NAMES for i in range(WIDTH + 3)]


def signed(value, width=WIDTH):
    """Read a number as two's complement."""
    return value - (1 << width) if value >> (width - 1) else value


@st.composite
def pairs(draw, depth=3):
    """Draw a vector of the common width and a function that computes it from two integers."""
    kind = draw(st.integers(0, 9 if depth else 1))
    if kind == 0:
        value = draw(st.integers(0, MASK))
        return bits.constant(WIDTH, value), lambda _: value
    if kind == 1:
        name, low = draw(st.sampled_from(NAMES)), draw(st.integers(0, 3))
        piece = bits.cut(bits.low_bits(WIDTH + 3, word(name)), low, WIDTH)
        return piece, lambda env: env[name] >> low & MASK
    a, fa = draw(pairs(depth=depth - 1))
    if kind == 2:
        return bits.invert(a), lambda env: ~fa(env) & MASK
    if kind == 3:
        count = draw(st.integers(0, WIDTH + 1))
        return bits.shift_left(a, count), lambda env: fa(env) << count & MASK
    if kind == 4:
        count, sign = draw(st.integers(0, WIDTH + 1)), draw(st.booleans())
        moved = bits.shift_right(a, count, sign)
        return moved, lambda env: (signed(fa(env)) if sign else fa(env)) >> count & MASK
    if kind == 5:
        factor = draw(st.integers(0, MASK))
        return bits.multiply(a, factor), lambda env: fa(env) * factor & MASK
    if kind == 6:
        low = draw(st.integers(0, WIDTH))
        count = draw(st.integers(0, WIDTH - low))
        sign = draw(st.booleans()) and count > 0
        piece = bits.resize(bits.cut(a, low, count), WIDTH, sign)

        def cut(env):
            value = fa(env) >> low & ((1 << count) - 1)
            return (signed(value, count) if sign else value) & MASK

        return piece, cut
    b, fb = draw(pairs(depth=depth - 1))
    if kind == 7:
        names = {"&": bits.bit_and, "|": bits.bit_or, "^": bits.bit_xor}
        python = {"&": operator.and_, "|": operator.or_, "^": operator.xor}
        names |= {"+": bits.add, "-": bits.subtract}
        python |= {"+": operator.add, "-": operator.sub}
        sign = draw(st.sampled_from(sorted(names)))
        return names[sign](a, b), lambda env: python[sign](fa(env), fb(env)) & MASK
    if kind == 8:
        c, fc = draw(conditions(depth=depth - 1))
        return bits.choose(c, a, b), lambda env: fa(env) if fc(env) else fb(env)
    low = draw(st.integers(0, WIDTH))
    count = draw(st.integers(0, WIDTH - low))
    window = ((1 << count) - 1) << low

    def put(env):
        return fa(env) & ~window | fb(env) << low & window

    return bits.put(a, low, bits.cut(b, 0, count)), put


@st.composite
def conditions(draw, depth=2):
    """Draw a condition and a function that computes it from two integers."""
    a, fa = draw(pairs(depth=max(depth - 1, 0)))
    b, fb = draw(pairs(depth=max(depth - 1, 0)))
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return bits.nonzero(a), lambda env: fa(env) != 0
    if kind == 1:
        return bits.equal(a, b), lambda env: fa(env) == fb(env)
    if kind == 2:
        return bits.below(a, b), lambda env: fa(env) < fb(env)
    return bits.below(a, b, True), lambda env: signed(fa(env)) < signed(fb(env))


def values(env):
    """Spell integers as values of symbol bits."""
    return {word(n).bit(i): bool(v >> i & 1) for n, v in env.items() for i in range(WIDTH + 3)}


ENVIRONMENTS = st.fixed_dictionaries({name: st.integers(0, (1 << WIDTH + 3) - 1) for name in NAMES})


@settings(max_examples=300, deadline=None)
@given(pairs(), ENVIRONMENTS)
def test_vectors_compute_like_integers(pair, env):
    """Every operation on vectors agrees with Python's integers."""
    vector, expected = pair
    assert vector.width == WIDTH
    assert vector.evaluate(values(env)) == expected(env)
    if vector.value is not None:
        assert vector.value == expected(env)


@settings(max_examples=200, deadline=None)
@given(conditions(), ENVIRONMENTS)
def test_conditions_compute_like_integers(pair, env):
    """Every comparison agrees with Python's integers."""
    condition, expected = pair
    assert bits.evaluate(condition, values(env)) == expected(env)


@settings(max_examples=150, deadline=None)
@given(conditions(), conditions(), conditions(), ENVIRONMENTS)
def test_connectives(one, two, three, env):
    """The connectives agree with Python's, and fold without changing a value."""
    (a, fa), (b, fb), (c, fc) = one, two, three
    world = values(env)
    p, q, r = fa(env), fb(env), fc(env)
    table = [
        (bits.negate(a), not p),
        (bits.both(a, b), p and q),
        (bits.either(a, b), p or q),
        (bits.same(a, b), p == q),
        (bits.choose_cond(a, b, c), q if p else r),
        (bits.every([a, b, c]), p and q and r),
    ]
    for condition, expected in table:
        assert bits.evaluate(condition, world) == expected


@settings(max_examples=150, deadline=None)
@given(conditions(), ENVIRONMENTS)
def test_symbols_are_all_that_matters(pair, env):
    """A symbol that a term does not mention cannot change its value."""
    condition, _ = pair
    names = bits.symbols([condition])
    world = values(env)
    flipped = {name: value if name in names else not value for name, value in world.items()}
    assert bits.evaluate(condition, world) == bits.evaluate(condition, flipped)


@settings(max_examples=150, deadline=None)
@given(conditions(), conditions(), st.sampled_from(POSITIONS), ENVIRONMENTS)
def test_substitution_is_evaluation_with_another_value(pair, other, name, env):
    """Replacing a symbol by a term gives the value that the symbol would have had."""
    (condition, _), (replacement, _) = pair, other
    world = values(env)
    changed = bits.substitute(condition, {name: replacement})
    expected = {**world, name: bits.evaluate(replacement, world)}
    assert bits.evaluate(changed, world) == bits.evaluate(condition, expected)


@settings(max_examples=100, deadline=None)
@given(pairs(), st.sampled_from(POSITIONS), st.booleans(), ENVIRONMENTS)
def test_substitution_in_vectors(pair, name, value, env):
    """A vector is substituted bit by bit."""
    vector, _ = pair
    changed = bits.Substitution({name: value}).vector(vector)
    assert name not in changed.symbols
    assert changed.evaluate(values(env)) == vector.evaluate({**values(env), name: value})


@settings(max_examples=150, deadline=None)
@given(conditions(), conditions(), ENVIRONMENTS)
def test_facts_hold_where_the_condition_holds(one, two, env):
    """What is known of terms is true wherever the condition is."""
    condition = bits.both(one[0], two[0])
    world = values(env)
    if bits.evaluate(condition, world):
        for term, value in bits.facts(condition).items():
            assert bits.evaluate(term, world) == bits.evaluate(value, world)


@settings(max_examples=100, deadline=None)
@given(conditions(), conditions())
def test_terms_are_shared(one, two):
    """Building a term twice gives the same object."""
    a, b = one[0], two[0]
    assert bits.both(a, b) is bits.both(a, b)
    assert bits.both(a, b) is bits.both(b, a)
    assert bits.choose_cond(a, b, False) is bits.choose_cond(a, b, False)
    assert bits.negate(bits.negate(a)) is a


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda x: bits.both(x, bits.negate(x)), False),
        (lambda x: bits.either(x, bits.negate(x)), True),
        (lambda x: bits.same(x, x), True),
        (lambda x: bits.choose_cond(x, True, False), "x"),
        (lambda x: bits.choose_cond(symbol("c"), x, x), "x"),
    ],
)
def test_folding(build, expected):
    """Terms that say nothing are folded away."""
    x = symbol("x")
    assert build(x) is (x if expected == "x" else expected)


def test_runs_of_a_word_stay_whole():
    """Masks, shifts and bit-fields of a register build no terms."""
    whole = bits.low_bits(64, word("efer"))
    low = bits.bit_and(whole, bits.constant(64, 1 << 10))
    assert [atom for width, atom in low.pieces if width == 1] == [(word("efer"), 10)]
    again = bits.join((bits.cut(whole, 0, 10), bits.cut(whole, 10, 54)))
    assert again.identical(whole)


def test_a_long_chain_does_not_recurse():
    """Terms deeper than Python's stack are evaluated, substituted and searched."""
    condition = symbol("x0")
    for i in range(5_000):
        condition = bits.choose_cond(symbol(f"x{i % 7}"), bits.negate(condition), condition)
    world = {symbol(f"x{i}"): bool(i % 2) for i in range(7)}
    flat = bits.substitute(condition, world)
    assert flat is bits.evaluate(condition, world)
    assert bits.symbols([condition]) == set(world)


def counted_down(numbers, width, step, turns):
    """Yield one of some numbers, picked by many symbols, less one more step at each turn."""
    value, by = bits.constant(width, numbers[0]), bits.constant(width, step)
    for way, number in enumerate(numbers[1:]):
        chosen = bits.every(symbol(f"w{way}#{i}") for i in range(bits.MAX_TABULATED + 1))
        value = bits.choose(chosen, bits.constant(width, number), value)
    for _ in range(turns):
        yield value
        value = bits.tabulated(bits.subtract(value, by), (value, by))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, MASK), min_size=2, max_size=4), st.integers(1, MASK), st.integers(0, 3)
)
def test_counting_down_from_one_of_a_few_numbers(numbers, step, picked):
    """What decides which number it is decides what is left of it as well."""
    world = {
        symbol(f"w{way}#{i}"): way == picked
        for way in range(len(numbers) - 1)
        for i in range(bits.MAX_TABULATED + 1)
    }
    first = numbers[picked + 1] if picked + 1 < len(numbers) else numbers[0]
    for turn, value in enumerate(counted_down(numbers, WIDTH, step, 9)):
        assert value.evaluate(world) == (first - turn * step) & MASK


def test_a_count_is_as_small_at_its_last_turn():
    """A loop over the levels of a page table has terms that do not grow with each turn."""
    sizes = [len(terms(value)) for value in counted_down((3, 4, 5), 32, 1, 12)]
    assert max(sizes) <= 2 * sizes[0]


def terms(value):
    """Return all terms that a vector consists of."""
    todo = [one for one in value.conditions() if isinstance(one, bits.Term)]
    found = set(todo)
    while todo:
        new = set(todo.pop().args) - found
        found |= new
        todo += new
    return found
