# SPDX-License-Identifier: GPL-2.0-only
"""Words that an ``#if`` asks for and that the text defines: one answer for all, or none."""

import pytest
from edited import check, fixture

MMU = "arch/x86/kvm/mmu/mmu.c"
HEADER = "arch/x86/kvm/mmu.h"
HOST = "arch/x86/include/asm/kvm_host.h"
FIXED = fixture("role-regs-fixed")
LEVEL = "role_regs_to_root_level(const struct kvm_mmu_role_regs *regs)\n{\n"
ROLE = "static union kvm_mmu_extended_role kvm_calc_mmu_role_ext(struct"
BIT = "ext.efer_lma = ____is_efer_lma(regs);"
FIRST = "#define ACC_ALL"
INCLUDED = "void kvm_init_mmu(struct kvm_vcpu *vcpu);\n"


def verdict(
    top="", between="", level="#ifdef KVM_SLIM", role="#ifdef KVM_SLIM", header="", host=""
):
    """Return the verdict where the level is read, and a bit made, under a condition each."""
    text = FIXED[MMU].decode()
    for old, new in (
        (FIRST, f"{top}\n{FIRST}"),
        (LEVEL, f"{LEVEL}{level}\n#else\n\treturn 4;\n#endif\n"),
        (ROLE, f"{between}\n{ROLE}"),
        (BIT, f"\n{role}\n\t\t{BIT}\n#endif\n"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    files = {**FIXED, MMU: text.encode()}
    head = files[HEADER].decode()
    assert INCLUDED in head
    files[HEADER] = head.replace(INCLUDED, f"{header}\n{INCLUDED}").encode()
    files[HOST] = f"{host}\n".encode() + files[HOST]
    return check(files).verdict


@pytest.mark.parametrize(
    "edits",
    [
        {},
        {"top": "#define KVM_SLIM"},
        {"header": "#define KVM_SLIM"},
        {"header": "#ifdef CONFIG_BIG\n#define KVM_SLIM\n#endif"},
        {
            "top": "#ifdef CONFIG_BIG\n#define KVM_SLIM 1\n#else\n#define KVM_SLIM 0\n#endif",
            "level": "#if KVM_SLIM",
            "role": "#if KVM_SLIM",
        },
        {"top": "#ifndef KVM_SLIM\n#define KVM_SLIM\n#endif"},
        {"top": "#define KVM_SLIM", "role": "#if defined(KVM_SLIM)"},
        {"top": "/* #undef KVM_SLIM\n#undef KVM_SLIM */", "between": "/* #define KVM_SLIM */"},
    ],
)
def test_a_word_that_is_one_for_all(edits):
    """It is defined before it is asked for, or nowhere: then the two conditions are one."""
    assert verdict(**edits) == "covered"


@pytest.mark.parametrize(
    "edits",
    [
        {"top": "#define KVM_SLIM", "between": "#undef KVM_SLIM"},
        {"between": "#undef KVM_SLIM"},
        {"header": "#define KVM_SLIM", "between": "#undef KVM_SLIM"},
        {"header": "#define KVM_SLIM", "between": "#\tundef\\\n KVM_SLIM"},
        {"host": "#define KVM_SLIM", "between": "#undef KVM_SLIM"},
        {"between": "#define KVM_SLIM", "role": "#ifndef KVM_SLIM", "level": "#ifndef KVM_SLIM"},
        {"top": "#define KVM_SLIM 0", "role": "#if KVM_SLIM"},
        {
            "top": "#define KVM_SLIM 1",
            "level": "#if KVM_SLIM == 1",
            "between": "#undef KVM_SLIM\n#define KVM_SLIM 2",
            "role": "#if KVM_SLIM == 1",
        },
    ],
)
def test_a_word_that_differs(edits):
    """A level that is read where the bit is not made goes stale: never is that a proof."""
    assert verdict(**edits) == "unknown"
