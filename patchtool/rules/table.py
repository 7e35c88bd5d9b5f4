# SPDX-License-Identifier: GPL-2.0-only
"""The rules: what each looks at, decides and says.  The one place that lists them.

In: the name of a rule.  Out: its record, which leads to its engine and to its page; both are
imported when they are asked for.  Reports, suppressions, help and documentation ask here; none
of them names a rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from patchtool.aside import Aside, later
from patchtool.errors import UsageError, meant
from patchtool.target.kvm import KVM
from patchtool.target.record import Target

if TYPE_CHECKING:
    from patchtool.c.index import Index
    from patchtool.model import Finding, Report
    from patchtool.rules.documentation import Page
    from patchtool.rules.stale_mmu_role import Examined
    from patchtool.world.entries import Ways


class _Engine(Protocol):
    """The module of a rule."""

    def check(
        self,
        index: Index,
        fields: Sequence[str],
        label: str,
        rev: str | None,
        ways: Ways | None,
        aside: Aside,
    ) -> Report:
        """Check a tree."""

    def examine(self, index: Index, fields: Sequence[str], label: str, rev: str | None) -> Examined:
        """Check a tree, and return the questions as well."""

    def was(self, finding: Finding) -> str:
        """Return what a finding says, of a tree that is no more."""


class Rule(NamedTuple):
    """One rule.

    ``name`` is what reports print and comments name; ``target`` is the code that it looks
    at, ``fields`` the members that every report begins with, ``usual`` what it decides if no
    fields are asked for, ``holder`` the structure that has them.  ``summary`` and
    ``description`` say what is wrong where it finds something, ``advice`` what to do; ``tags``
    are words to look for it by, and ``series`` is what runs of it are called among those of
    other tools.
    """

    name: str
    target: Target
    fields: tuple[str, ...]
    holder: str
    summary: str
    description: str
    advice: str
    tags: tuple[str, ...] = ()
    series: str = ""
    usual: tuple[str, ...] = ("all",)

    @property
    def title(self) -> str:
        """The name as one word, as SARIF has it."""
        return "".join(part.capitalize() for part in self.name.split("-"))

    @property
    def page(self) -> Page:
        """The page of the rule, for people."""
        from patchtool.rules.documentation import PAGES

        return PAGES[self.name]

    def check(
        self,
        index: Index,
        fields: Sequence[str] = (),
        label: str = "",
        rev: str | None = None,
        ways: Ways | None = None,
        aside: Aside = later,
    ) -> Report:
        """Check a tree, FIELDS or the usual ones; see the module of the rule for the rest."""
        return self._engine.check(index, fields or self.usual, label, rev, ways, aside)

    def examine(
        self, index: Index, fields: Sequence[str] = (), label: str = "", rev: str | None = None
    ) -> Examined:
        """Check a tree as ``check`` does, and return the questions behind the verdicts too."""
        return self._engine.examine(index, fields or self.usual, label, rev)

    def was(self, finding: Finding) -> str:
        """Return what a finding of the rule says, of a tree that is no more."""
        return self._engine.was(finding)

    @property
    def _engine(self) -> _Engine:
        return cast(_Engine, import_module(f"patchtool.rules.{self.name.replace('-', '_')}"))


STALE_MMU_ROLE = Rule(
    name="stale-mmu-role",
    target=KVM,
    fields=("root_level", "shadow_root_level"),
    holder="struct kvm_mmu",
    summary="The role does not determine a cached field of the MMU context.",
    description="KVM for x86 skips the set-up of an MMU context when the role computed from the "
    "guest's registers equals the stored one. Two legal register states have the same role "
    "here and need different values of a cached field, so the set-up for the second one is "
    "skipped and the field keeps the value of the first.",
    advice="Add the missing input to the extended role and assign it where the role is computed, "
    "or compare the field as well before skipping. Keep the base role small: it identifies "
    "shadow pages.",
    tags=("kvm", "x86"),
    series="x86-mmu",
)

RULES: Mapping[str, Rule] = MappingProxyType({one.name: one for one in (STALE_MMU_ROLE,)})
"""Every rule by its name."""

USUAL = STALE_MMU_ROLE
"""The rule that is asked where nobody names one."""


def named(name: str) -> Rule:
    """Return a rule by its name; checkpatch's way to write a type is as good.

    Raises UsageError where there is none, with the name that may have been meant.
    """
    known = name.lower().replace("_", "-")
    if known not in RULES:
        there = f"there is {', '.join(RULES)}"
        raise UsageError(f"there is no rule {name!r}; {there}{meant(known, RULES)}")
    return RULES[known]
