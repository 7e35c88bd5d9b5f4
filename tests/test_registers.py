# SPDX-License-Identifier: GPL-2.0-only
"""Registers of the guest that KVM caches, and asks the CPU for when they are read."""

import pytest
from edited import check, fixture

MMU, CACHED = "arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/kvm_cache_regs.h"
VENDOR, HEADER = "arch/x86/kvm/svm/cached.c", "arch/x86/include/asm/kvm_host.h"
READ = "\treturn vcpu->arch.cr4 & mask;"
ASKED = f"\tif (vcpu->arch.regs_avail & 4)\n\t\tkvm_x86_call(cache_reg)(vcpu, 4);\n{READ}"
OPERATIONS = """
struct kvm_x86_ops {
	void (*cache_reg)(struct kvm_vcpu *vcpu, int reg);
};
"""
FILL = """\
#include "svm.h"

static void big_cache_reg(struct kvm_vcpu *vcpu, int reg)
{
	vcpu->arch.regs_avail |= reg;
	FILLED
}

static struct kvm_x86_ops big_ops = {
	.cache_reg = big_cache_reg,
};
"""
LEVEL = "\tcontext->root_level = role_regs_to_root_level(&regs);"
GENUINE = (
    "vcpu->arch.cr4 &= ~vcpu->arch.cr4_guest_owned_bits;\n"
    "\tvcpu->arch.cr4 |= vmcs_readl(GUEST_CR4) & vcpu->arch.cr4_guest_owned_bits;"
)


def verdict(*given):
    """Return the verdict where CR4 is cached, with some edits of the MMU."""
    return reported(*given).verdict


def reported(filled=GENUINE, vendor=True, *edits):
    """Return the report where CR4 is cached, with some edits of the MMU."""
    files = fixture("role-regs-fixed")
    for path, old, new in (
        (CACHED, READ, ASKED),
        (
            HEADER,
            "struct kvm_vcpu_arch {",
            f"{OPERATIONS}\nstruct kvm_vcpu_arch {{\n\tu32 regs_avail;",
        ),
        *((MMU, *edit) for edit in edits),
    ):
        text = files[path].decode()
        assert text.count(old) == 1, old
        files[path] = text.replace(old, new).encode()
    if vendor:
        files[VENDOR] = FILL.replace("FILLED", filled).encode()
    else:  # nothing fills the cache, so it is the register
        files[CACHED] = fixture("role-regs-fixed")[CACHED]
    return check(files)


def again(cr4):
    """Return the level with CR4 read once more behind the guard."""
    regs = f"{{ .cr0 = regs.cr0, .cr4 = {cr4}, .efer = regs.efer }}"
    new = LEVEL.replace("&regs", "&now")
    return LEVEL, f"\tstruct kvm_mmu_role_regs now = {regs};\n\n{new}"


READER = again("kvm_read_cr4_bits(vcpu, KVM_MMU_CR4_ROLE_BITS)")
RAW = again("vcpu->arch.cr4")
POINTER = again("arch->cr4")
POINTER = LEVEL, f"\tstruct kvm_vcpu_arch *arch = &vcpu->arch;\n{POINTER[1]}"


@pytest.mark.parametrize("edits", [(), (READER,)], ids=["as it is", "asked again"])
def test_what_asks_for_the_register(edits):
    """It is the register that is read, whenever the cache was filled."""
    assert verdict(GENUINE, True, *edits) == "covered"


@pytest.mark.parametrize("edit", [RAW, POINTER], ids=["member", "pointer"])
def test_what_reads_the_cache_alone(edit):
    """The cache may be older than the register that decides the level."""
    assert verdict(GENUINE, True, edit) in ("gap", "unknown")
    assert verdict(GENUINE, False, edit) == "covered"


@pytest.mark.parametrize(
    "filled",
    [
        "vcpu->arch.cr4 ^= vcpu->arch.hflags;",
        "spoil(vcpu);",
        "vcpu->arch.cr4 = vmcs_readl(GUEST_CR4);",
    ],
)
def test_what_fills_a_cache_with_something_else(filled):
    """Then the register changes between the role and the level."""
    spoil = (
        "\nstatic void spoil(struct kvm_vcpu *vcpu)\n{\n\tvcpu->arch.cr4 ^= vcpu->arch.hflags;\n}\n"
    )
    assert verdict(f"{filled}\n}}\n{spoil[:-2]}", True, READER) in ("gap", "unknown")


OLD, ROLE = fixture("masked-word-gap"), "arch/x86/kvm/mmu.c"
SHALLOW = (
    "\tcontext->shadow_root_level = PT64_ROOT_4LEVEL;\n"
    "\tif (!(is_guest_mode(vcpu) &&\n"
    "\t      vcpu->arch.cached->cpu_based_vm_exec_control & 0x80000000 &&\n"
    "\t      vcpu->arch.cached->secondary_vm_exec_control & {}))\n"
    "\t\tcontext->shadow_root_level = PT64_ROOT_5LEVEL;\n"
)


@pytest.mark.parametrize(
    ("mask", "asked", "expected"),
    [
        ("0x2", "mmu_is_nested(vcpu)", "covered"),
        ("0x4", "mmu_is_nested(vcpu)", "gap"),
        ("0x2", "vcpu->arch.hflags & 64", "gap"),
    ],
)
def test_where_a_nested_guest_walks(mask, asked, expected):
    """Nested EPT makes walk_mmu another context: then a way on which it is not is not gone."""
    header = (
        OLD[HEADER].decode().replace("\tu32 hflags;", "\tu32 hflags;\n\tstruct vmcs12 *cached;")
    )
    record = "struct vmcs12 {\n\tu32 cpu_based_vm_exec_control, secondary_vm_exec_control;\n};\n\n"
    text = OLD[ROLE].decode()
    level = "\tcontext->shadow_root_level = PT64_ROOT_4LEVEL;\n\tif (!is_paging(vcpu))"
    assert level in text and "if (mmu_is_nested(vcpu))" in text
    text = text.replace(level, SHALLOW.format(mask) + "\tif (!is_paging(vcpu))")
    text = text.replace("if (mmu_is_nested(vcpu))", f"if ({asked})")
    files = {**OLD, ROLE: text.encode()}
    files[HEADER] = header.replace(
        "struct kvm_vcpu_arch {", record + "struct kvm_vcpu_arch {"
    ).encode()
    (one,) = [
        one for one in check(files, ("shadow_root_level",)).contexts if "tdp" in one.initialiser
    ]
    (field,) = one.fields
    assert field.verdict == expected
    told = "walk_mmu is nested_mmu while a nested guest runs on nested EPT" in field.assumptions
    assert told is (expected == "covered")


REFRESH = """
void refresh(struct kvm_vcpu *vcpu)
{
	struct kvm_mmu *mmu = &vcpu->arch.root_mmu;

	if (!mmu->mmu_role.base.smm)
		return;
	mmu->root_level = %s;
}
"""


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("4;\n\tvcpu->arch.regs_avail |= 4", "gap"),
        ("4;\n\tvcpu->arch.efer = 0", "unknown"),
        ("4;\n\tvcpu->arch.cr4 = 0", "unknown"),
    ],
)
def test_a_register_that_is_cached_beside_the_set_ups(stored, expected):
    """That what refreshes a field fills a cache changes nothing that a set-up reads."""
    end = "void kvm_init_shadow_npt_mmu("
    bit = "\t\text.efer_lma = ____is_efer_lma(regs);\n"
    found = reported(GENUINE, True, (bit, ""), (f"\n{end}", f"{REFRESH % stored}\n{end}"))
    (level,) = {
        one.verdict
        for context in found.contexts
        for one in context.fields
        if context.initialiser == "init_kvm_tdp_mmu" and one.name == "root_level"
    }
    assert level == expected
