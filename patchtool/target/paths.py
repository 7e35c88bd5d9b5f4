# SPDX-License-Identifier: GPL-2.0-only
"""Short names for the ways in which KVM sets up an MMU.

In: a context of a report.  Out: a name that outlives that functions are renamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from patchtool.model import Context

PATHS: Mapping[str, str] = {
    "tdp": "the guest's own registers, with two-dimensional paging (EPT or NPT)",
    "soft": "the guest's own registers, with shadow paging",
    "npt": "nested page tables that a guest hypervisor made for SVM, shadowed",
    "ept": "extended page tables that a guest hypervisor made for VMX, shadowed",
    "nested": "page tables of a guest's guest, only walked",
}
"""Each name, and what is set up on that path."""

_NAMED = (
    ("npt", re.compile(r"(?:^|_)s?npt(?:_|$)")),
    ("ept", re.compile(r"(?:^|_)ept(?:_|$)")),
    ("nested", re.compile(r"(?:^|_)nested_mmu$|^init_kvm_nested")),
    ("tdp", re.compile(r"(?:^|_)tdp(?:_|$)")),
    ("soft", re.compile(r"soft|shadow")),
)


def path_of(context: Context) -> str:
    """Return the short name of a path; one that has none is named by its function."""
    names = (*context.entry, context.initialiser, context.context)
    # Without a name of its own, shadow paging for L2 shares its functions with L1's.
    svm = any("nested_svm" in name for name in names)
    for label, pattern in _NAMED:
        if any(pattern.search(name) for name in names):
            return "npt" if label == "soft" and svm else label
    if context.context == "guest_mmu" and svm:
        return "npt"
    return f"{context.initialiser}/{context.context}"


def ordered(paths: Iterable[str]) -> list[str]:
    """Return paths in the order in which they are explained, others behind."""
    known = list(PATHS)
    return sorted(paths, key=lambda one: (known.index(one) if one in known else len(known), one))
