# SPDX-License-Identifier: GPL-2.0-only
"""An input needs no bit of the role where every change of it invalidates the stored role."""

import pytest
from edited import check, fixture

FIXED = fixture("cpuid-invalidated-fixed")
MMU, CPUID = "arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/cpuid.c"
STORE, CALL = "\tvcpu->arch.maxphyaddr = maxphyaddr;\n", "\tkvm_mmu_after_set_cpuid(vcpu);\n"
MARK = "\tvcpu->arch.root_mmu.mmu_role.ext.valid = 0;\n"
IF = "\tif (maxphyaddr > 40)\n\t"
LATER = "\tif (vcpu->arch.maxphyaddr > 40)\n\t"


def verdict(path, old, new):
    """Return the verdict on the fixture with one text replaced."""
    data = FIXED[path].decode()
    assert data.count(old) == 1, old
    return check({**FIXED, path: data.replace(old, new).encode()}).verdict


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (CPUID, CALL, f"\t{{\n\t{CALL}\t}}\n"),
        (CPUID, CALL, "\t(kvm_mmu_after_set_cpuid)(vcpu);\n"),
        (CPUID, CALL, f"{IF}\tmaxphyaddr = 40;\n{CALL}"),
        (CPUID, STORE, IF + STORE),
        (MMU, MARK, MARK + LATER + "\treturn;\n"),
    ],
    ids=["block", "parentheses", "beside a branch", "conditional store", "left later"],
)
def test_on_every_way(path, old, new):
    """However it is written, the role is invalid after every change."""
    assert verdict(path, old, new) == "covered"


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (CPUID, CALL, ""),
        (CPUID, CALL, IF + CALL),
        (CPUID, CALL, "\tif_nested(vcpu) kvm_mmu_after_set_cpuid(vcpu);\n"),
        (CPUID, CALL, f"{IF}\treturn;\n{CALL}"),
        (CPUID, CALL, f"\tfor (; maxphyaddr > 40; maxphyaddr--)\n\t{CALL}"),
        (CPUID, CALL, f"#ifdef CONFIG_KVM_XEN\n{CALL}#endif\n"),
        (CPUID, STORE + "\n" + CALL, CALL + STORE),
        (MMU, MARK, ""),
        (MMU, MARK, LATER + MARK),
        (MMU, MARK, f"{LATER}\treturn;\n{MARK}"),
        (MMU, MARK, MARK.replace("root_mmu", "guest_mmu")),
    ],
    ids=[
        "no call", "call under a condition", "call behind a macro", "left before the call",
        "call in a loop",
        "call in some builds", "call before the change", "no mark", "mark under a condition",
        "left before the mark", "another context",
    ],
)  # fmt: skip
def test_on_some_ways(path, old, new):
    """A change that the role may survive is a gap."""
    assert verdict(path, old, new) == "gap"
