# SPDX-License-Identifier: GPL-2.0-only
"""Facts about x86 registers that restrict which states a witness may show.

Sources: Intel SDM volume 3, "Control Registers" and "IA-32e Mode Operation"; AMD APM
volume 2, "Long-Mode Consistency Checks" and "Five-Level Paging".  They are data: a
verdict prints the ones that it rests on.
"""

from __future__ import annotations

from typing import NamedTuple

REGISTER_BITS: dict[str, dict[int, str]] = {
    "CR0": {0: "PE", 1: "MP", 2: "EM", 3: "TS", 4: "ET", 5: "NE", 16: "WP", 18: "AM", 29: "NW",
            30: "CD", 31: "PG"},
    "CR4": {0: "VME", 1: "PVI", 2: "TSD", 3: "DE", 4: "PSE", 5: "PAE", 6: "MCE", 7: "PGE", 8: "PCE",
            9: "OSFXSR", 10: "OSXMMEXCPT", 11: "UMIP", 12: "LA57", 13: "VMXE", 14: "SMXE",
            16: "FSGSBASE", 17: "PCIDE", 18: "OSXSAVE", 20: "SMEP", 21: "SMAP", 22: "PKE",
            23: "CET", 24: "PKS", 28: "LAM_SUP", 32: "FRED"},
    "EFER": {0: "SCE", 8: "LME", 10: "LMA", 11: "NX", 12: "SVME", 13: "LMSLE", 14: "FFXSR",
             15: "TCE", 18: "MCOMMIT", 20: "INTWB", 21: "UAIE", 22: "AIBRSE"},
}  # fmt: skip
"""Names of the bits of the registers that steer paging."""

MEMBERS: dict[str, str] = {"cr0": "CR0", "cr4": "CR4", "efer": "EFER"}
"""Members of kernel structures that hold a register, whole."""


class Implication(NamedTuple):
    """One bit of a register file that another one needs."""

    when: tuple[str, str]
    then: tuple[str, str]
    text: str


IMPLICATIONS: tuple[Implication, ...] = (
    Implication(("EFER", "LMA"), ("CR0", "PG"), "EFER.LMA=1 implies CR0.PG=1"),
    Implication(("EFER", "LMA"), ("CR4", "PAE"), "EFER.LMA=1 implies CR4.PAE=1"),
    Implication(("EFER", "LMA"), ("EFER", "LME"), "EFER.LMA=1 implies EFER.LME=1"),
    Implication(("CR0", "PG"), ("CR0", "PE"), "CR0.PG=1 implies CR0.PE=1"),
    Implication(("CR4", "PCIDE"), ("EFER", "LMA"), "CR4.PCIDE=1 implies EFER.LMA=1"),
)

RANGES: dict[str, tuple[int, int, str]] = {
    "maxphyaddr": (32, 52, "MAXPHYADDR lies between 32 and 52"),
    "tdp_level": (2, 5, "page tables have 2 to 5 levels"),
}
"""Ranges of architectural numbers that the kernel keeps in members of these names."""

USUAL: dict[str, tuple[int, int]] = {"maxphyaddr": (36, 52), "tdp_level": (4, 5)}
"""What x86-64 processors have: a witness takes these where it can."""


def bit_name(register: str, position: int) -> str:
    """Return ``REGISTER.BIT``, with the number where the bit has no name here."""
    return f"{register}.{REGISTER_BITS[register].get(position, position)}"
