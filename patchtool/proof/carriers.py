# SPDX-License-Identifier: GPL-2.0-only
"""What the bits of a role tell of the inputs that a field depends on.

In: one field in two runs.  Out: whether it is made of bits of the roles alone, which needs no
look into those, and for each input the members of the roles that tell its values apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from patchtool.proof import bits
from patchtool.proof.bdd import TooLarge
from patchtool.proof.bits import Alike, Cond, Symbol, Term, Under, Word
from patchtool.proof.compared import AT_ONCE, Carrier, Compared, Unit
from patchtool.proof.solver import Asked

MAX_OUTGROWN_BEFORE = 8
"""Questions about a path that outgrow diagrams before no more is said; those of kernels have 6."""


class Carried(Compared):
    """Says what a role carries."""

    @cached_property
    def loose(self) -> frozenset[Symbol]:
        """The inputs that the field depends on beside the bits of the roles."""
        if any(row.left is None for row in self._rows):
            return self.inputs
        return self._leaves[0]

    @property
    def is_mostly_role(self) -> bool:
        """Tell whether the field depends on bits of the roles, and on more."""
        return bool(self.loose) and bool(self._leaves[1])

    @property
    def role_bits(self) -> frozenset[Term]:
        """The bits of the roles, or their opposites, that the field is made of."""
        return self._leaves[1]

    def _follows_roles(self) -> bool:
        """Tell whether the field is made of bits of the roles and of constants alone.

        Then it is covered where equal roles are what a run skips by, and none of its terms
        need be looked into.  That it is not tells nothing.
        """
        return self.loose <= self.q.covered_elsewhere and self._is_determined()

    @cached_property
    def _leaves(self) -> tuple[frozenset[Symbol], frozenset[Term]]:
        """What the field is made of: inputs, and bits that a full run stores in the roles."""
        role: set[Cond] = {c for _, value in self.q.roles for c in value.conditions()}
        role |= {bits.negate(c) for c in role}
        todo = [c for r in self._rows for c in (r.stored, r.fresh) if isinstance(c, Term)]
        seen = set(todo)
        inputs: set[Symbol] = set()
        used: set[Term] = set()
        while todo:
            here = todo.pop()
            if here in role:
                used.add(here)
            elif isinstance(here, Symbol):
                if not self.q.runs.is_constant(here):
                    inputs.add(here)
            else:
                more = [one for one in here.args if one not in seen]
                seen.update(more)
                todo.extend(more)
        return frozenset(inputs), frozenset(used)

    def _is_determined(self) -> bool:
        """Tell whether a run that skips has the role bits in question of the run before."""
        q, runs = self.q, self.q.runs
        claims = [
            Under(q.path, runs.first), Under(q.path, runs.second), Under(q.skips, runs.second),
        ]  # fmt: skip
        plain = {new for cell, new in runs.demanded(q.skips).items() if runs.stored(cell) is new}
        runs.determined.update(dict.fromkeys((c for c in plain if isinstance(c, Term)), True))
        for one in sorted(self._leaves[1], key=lambda term: term.number):
            if one not in runs.determined and runs.determined.get(_opposite(one)):
                runs.determined[one] = True
            if one not in runs.determined:
                apart = Alike((one,), runs.first, runs.other, alike=False)
                runs.determined[one] = self._can_hold([*claims, apart]) is False
            if not runs.determined[one]:
                return False
        return True

    # -- what carries an input ---------------------------------------------------------------

    def _table(
        self, missing: frozenset[tuple[str, str]]
    ) -> tuple[tuple[Unit, tuple[str, ...]], ...]:
        """Return each input of the field with the role members that tell it apart.

        No verdict rests on what tells an input apart: where questions about the path outgrow
        diagrams that is left out, and what is MISSING stays.
        """
        q, runs = self.q, self.q.runs
        untold = tuple((u, ()) for u in self.field_units if (u.name, u.source) in missing)
        if runs.manager.effort.outgrown > MAX_OUTGROWN_BEFORE:
            return untold
        looked_at = self._rows
        kinds = looked_at if len(looked_at) <= AT_ONCE else self._kinds(looked_at)
        full = tuple(dict.fromkeys(c for row in kinds for c in (row.stored, row.fresh)))
        claims = [
            *self._legal,
            Under(q.path, runs.first),
            Under(q.path, runs.other),
            Alike(full, runs.first, runs.other, alike=False),
        ]
        units = self.all_units
        switches = self._switches()
        same = self._flags
        carriers: list[tuple[Carrier, Cond, frozenset[Symbol]]] = []
        for carrier in q.carriers:
            read = carrier.value.symbols & self.inputs
            if read & self._wanted:
                value = tuple(carrier.value.conditions())
                alike = Word(f"alike!{carrier.name}").bit()
                switches[alike] = Alike(value, runs.first, runs.other)
                carriers.append((carrier, alike, read))
        keys = {(u.name, u.source): i for i, u in enumerate(units)}

        def rows(solver: Asked) -> tuple[tuple[Unit, tuple[str, ...]], ...]:
            found: list[tuple[Unit, tuple[str, ...]]] = []
            for unit in self.field_units:
                mine = keys[unit.name, unit.source]
                alone = [same[j] for j in range(len(units)) if j != mine]
                alone_tells = solver.possible(alone)
                if not alone_tells:
                    continue
                if (unit.name, unit.source) in missing:
                    found.append((unit, ()))
                    continue
                near = [c for c in carriers if c[2] & set(unit.bits)]
                always = [c for c in near if solver.possible([*alone, c[1]]) is False]
                if not always and near:
                    always = self._together(solver, alone, near)
                found.append((unit, tuple(c[0].name for c in always)))
            return tuple(found)

        try:
            return self._asked(claims, switches, rows, solve=False)
        except TooLarge:
            runs.manager.effort.outgrown += 1
            return untold

    def _together(
        self,
        solver: Asked,
        alone: Sequence[Cond],
        near: list[tuple[Carrier, Cond, frozenset[Symbol]]],
    ) -> list[tuple[Carrier, Cond, frozenset[Symbol]]]:
        """Return a smallest group of members that tells an input apart only together."""
        group = list(near)
        if solver.possible([*alone, *(c[1] for c in group)]) is not False:
            return []
        for one in near:
            trial = [c for c in group if c is not one]
            if solver.possible([*alone, *(c[1] for c in trial)]) is False:
                group = trial
        return group


def _opposite(term: Term) -> Term:
    found = bits.negate(term)
    assert isinstance(found, Term)
    return found
