# SPDX-License-Identifier: GPL-2.0-only
"""Take away what feeds a role, one assignment at a time: nothing that matters is called covered."""

import random
import shutil

import pytest
from edited import check, fixture, load
from miniatures import folder
from oracle import gcc, mutate

if shutil.which("gcc") is None:
    pytest.skip("needs gcc", allow_module_level=True)

FIELD = "root_level"
SMALL = ("guard-swapped-fixed", "guard-two-fixed")
LARGE = ("masked-word-fixed", "role-regs-fixed", "cpu-role-fixed")
PARTS = (
    *("arch/x86/kvm", "arch/x86/include", "include/linux", "include/uapi/linux"),
    *("include/vdso", "include/asm-generic", "include/kvm", "virt/kvm"),
)
VIA = {
    "tdp": "init_kvm_tdp_mmu",
    "soft": "init_kvm_softmmu",
    "npt": "kvm_init_shadow_npt_mmu",
    "ept": "kvm_init_shadow_ept_mmu",
    "nested": "init_kvm_nested_mmu",
}
MUTANTS = 12
"""How many mutants of each real kernel are compared."""


def engine(files):
    """Return the verdicts on the field, by call path, and the verdict of the whole."""
    report = check(files, (FIELD,))
    return report.verdict, {
        context.entry: one.verdict for context in report.contexts for one in context.fields
    }


def compared(files, top, item):
    """Compare engine and oracle on one mutant: what the engine says wrongly."""
    overlay = mutate.without(files, item)
    whole, found = engine({**files, **overlay})
    if whole != "covered" and "covered" not in found.values():
        return []
    wrong = []
    for path, known in gcc.decide(top, FIELD, overlay).items():
        if known["verdict"] != "gap":
            continue
        mine = [verdict for entry, verdict in found.items() if VIA[path] in entry]
        if whole == "covered" or mine == ["covered"]:
            wrong.append((item, path, known["missing"]))
    return wrong


@pytest.mark.parametrize("name", SMALL)
def test_small_fixtures(name):
    """Every mutant of a small fixture that the oracle calls a gap is not covered."""
    files = fixture(name)
    items = mutate.role_assignments(files)
    assert len(items) > 4
    wrong = [one for item in items for one in compared(files, folder(name), item)]
    assert not wrong


@pytest.mark.parametrize("name", LARGE)
def test_large_fixtures(name):
    """The same for the fixtures with five contexts; every third mutant."""
    files = fixture(name)
    items = mutate.role_assignments(files)[::3]
    wrong = [one for item in items for one in compared(files, folder(name), item)]
    assert not wrong


def test_a_mutant_of_each_verdict():
    """The comparison is worth something: the engine calls some mutants a gap, and some not."""
    files = fixture("guard-swapped-fixed")
    verdicts = {
        engine({**files, **mutate.without(files, item)})[0]
        for item in mutate.role_assignments(files)
    }
    assert {"covered", "gap"} <= verdicts


def test_kernels(kernels):
    """No mutant of a real kernel that the oracle calls a gap is covered."""
    for tree in kernels:
        files = load(tree, PARTS)
        files |= {n: (tree / n).read_bytes() for n in ("Makefile", "Kconfig", "MAINTAINERS")
                  if (tree / n).is_file()}  # fmt: skip
        assert engine(files)[0] in ("covered", "gap")
        items = mutate.role_assignments(files)
        random.Random(1).shuffle(items)
        assert len(items) > 10
        for item in items[:MUTANTS]:
            assert not compared(files, tree, item), tree
