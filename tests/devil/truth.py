# SPDX-License-Identifier: GPL-2.0-only
"""What a combination does, from the meaning of C and of the guard alone.

A base is a machine with one bit of input that the role carries (EFER.LMA) and one that nothing
carries (junk, in hflags).  A role is [valid, the carried bit, the level where the role has one].
"""

from functools import cache
from itertools import product
from typing import NamedTuple

from .weave import AGAIN

STATES = tuple(product((0, 1), repeat=2))  # EFER.LMA and junk
VALID, LMA, LEVEL = range(3)


class Question(NamedTuple):
    """What of a combination matters for what it does."""

    era: str
    part: str
    model: str
    effect: str
    time: str
    again: bool = False
    """Whether what changes the object sets the context up at once."""


def truth(one):
    """Return ``stale`` or ``harmless``."""
    if one.option == "#if 0" or not one.target.part or one.form.effect == "none":
        return "harmless"
    target = one.target
    kind = (one.base.model, target.part, target.model, one.form.effect, one.time)
    return _truth(Question(*kind, one.place == AGAIN))


@cache
def _truth(one):
    events = STATES if one.time == "outside" else (None,)
    for before, event, last in product(product(STATES, repeat=2), events, STATES):
        if _stale(one, before, event, last):
            return "stale"
    return "harmless"


def _stale(one, before, event, last):
    """Tell whether the field differs from that of a fresh vCPU in the same state."""
    used = {"stored": None, "field": 0, "host": 0}
    for state in before:
        _run(one, used, state)
    if event is not None:
        used["efer"], used["junk"] = event
        _change(one, used, "outside")
        if one.again:
            _run(one, used, event)
    _run(one, used, last)
    fresh = {"stored": None, "field": 0, "host": used["host"]}
    _run(one, fresh, last)
    return _field(one, used) != _field(one, fresh)


def _field(one, world):
    """Return the cached level; newer kernels keep it in the role."""
    return world["stored"][LEVEL] if one.era == "cpu" else world["field"]


def _run(one, world, state):
    """Enter the set-up as a vCPU of a state does."""
    world["efer"], world["junk"] = state
    if one.era == "cpu":
        _compute(one, world)
    _change(one, world, "before the call")
    _set_up(one, world)
    _change(one, world, "behind the call")


def _compute(one, world):
    """Read the registers and compute the role."""
    world["regs"] = world["efer"]
    _change(one, world, "before the role")
    carried = world["efer"] if one.era == "old" else world["regs"]
    level = 3 + carried if one.era == "cpu" else 0
    world["role"] = [1, carried, level]


def _set_up(one, world):
    """Compare, and store role and field where they differ."""
    if one.era != "cpu":
        _compute(one, world)
    _change(one, world, "before the guard")
    if world["stored"] == world["role"]:
        _change(one, world, "where it skips")
        return
    _change(one, world, "behind the guard")
    world["stored"] = list(world["role"])
    _change(one, world, "before the field")
    again = one.era in ("twice", "old")
    level = 3 + (world["efer"] if again else world["regs"])
    if one.era == "host":
        level = world["host"] or level
    world["field"] = level
    _change(one, world, "at the end")


def _change(one, world, time):
    """Do what the form does to its target, if it is time."""
    if one.time != time:
        return
    part, effect, model = one.part, one.effect, one.model
    junk = {"junk": 3 + world["junk"], "bit": world["junk"], "zero": 0}.get(model, world["efer"])
    if part not in ("role", "stored"):
        sized = {"wipe": 0, "zero": 0, "set7": 7}
        world[part] = world[part] + 1 if effect == "step" else sized.get(effect, junk)
    elif world[part] is not None:
        place = LEVEL if one.era == "cpu" else LMA
        if effect == "wipe" and place == LMA:
            world[part][VALID] = 0
        world[part][place] = junk if effect == "set" else 0
