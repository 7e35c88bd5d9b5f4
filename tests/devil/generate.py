# SPDX-License-Identifier: GPL-2.0-only
"""Combinations by name, and samples of them that are the same every time."""

from random import Random

from .bases import bases
from .forms import FORMS
from .weave import ENTRIES, OPTIONS, PLACES, TIMES, Combination, fits


def named(base, target, form, place, time, option):
    """Return the combination of some names."""
    base = next(one for one in bases() if one.name == base)
    target = next(one for one in base.targets if one.name == target)
    form = next(one for one in FORMS if one.name == form)
    one = Combination(base, target, form, place, time, option)
    assert fits(one)
    return one


def sample(chosen, count, seed=0):
    """Return as many combinations, the same ones every time.

    Target, form, place, time and option are drawn for themselves, so that rare ones are not
    outnumbered by those that fit more others.
    """
    random = Random(seed)
    shares = [base.share for base in chosen]
    found = {}
    while len(found) < count:
        (base,) = random.choices(chosen, shares)
        place = random.choice((*PLACES, *ENTRIES))
        time = "outside" if place in ENTRIES else random.choice(TIMES[:-1])
        target, form = random.choice(base.targets), random.choice(FORMS)
        one = Combination(base, target, form, place, time, random.choice(OPTIONS))
        if fits(one):
            found.setdefault(str(one), one)
    return list(found.values())
