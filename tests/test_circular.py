# SPDX-License-Identifier: GPL-2.0-only
"""Answers about functions that call one another do not depend on who is asked first."""

import random
from operator import or_

import pytest

from patchtool.world.circular import Circular


def graph(seed):
    """Return who calls whom, with many circles, and the reasons that some have themselves."""
    draw = random.Random(seed)
    names = range(draw.randint(2, 9))
    calls = {one: draw.sample(names, draw.randint(0, min(3, len(names)))) for one in names}
    return calls, {one for one in names if draw.random() < 0.2}


def reached(calls, start):
    """Return all that is called from a start, by whatever is in between."""
    found, todo = {start}, [start]
    while todo:
        more = set(calls[todo.pop()]) - found
        found |= more
        todo += more
    return found


@pytest.mark.parametrize("seed", range(60))
def test_the_order_of_questions_is_nothing(seed):
    """Whoever is asked first, each answer is what can be reached."""
    calls, bad = graph(seed)
    order = list(calls)
    random.Random(seed).shuffle(order)
    some = Circular(frozenset(), or_)
    any_ = Circular(False)

    def all_of(one):
        return some.of(one, lambda: frozenset({one}).union(*map(all_of, calls[one])))

    def is_bad(one):
        return any_.of(one, lambda: one in bad or any(map(is_bad, calls[one])))

    for one in order:
        assert all_of(one) == reached(calls, one)
        assert is_bad(one) == (not reached(calls, one).isdisjoint(bad))


def test_each_is_found_once_where_nothing_is_circular():
    """What rests on nothing incomplete is not asked again."""
    calls = {0: [1, 2], 1: [2, 3], 2: [3], 3: []}
    found = []
    known = Circular(0)

    def depth(one):
        def find():
            found.append(one)
            return 1 + max(map(depth, calls[one]), default=0)

        return known.of(one, find)

    assert [depth(one) for one in calls] == [4, 3, 2, 1]
    assert sorted(found) == [0, 1, 2, 3]


def test_what_fails_is_forgotten():
    """A question that fails leaves nothing that was found on the way to it."""
    known = Circular(None)

    def fail():
        known.of("inner", lambda: known.of("outer", dict))
        raise KeyError

    with pytest.raises(KeyError):
        known.of("outer", fail)
    assert known.of("inner", lambda: "found") == "found"
    assert known.of("outer", lambda: "again") == "again"
