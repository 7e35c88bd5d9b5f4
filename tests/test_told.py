# SPDX-License-Identifier: GPL-2.0-only
"""What a guest is told of its CPU changes in more ways than by a store to a member of its name."""

import pytest
from edited import check, fixture

MAIN, HOST = "arch/x86/kvm/mmu/mmu.c", "arch/x86/include/asm/kvm_host.h"
CPUID, HEADER, OTHER = "arch/x86/kvm/cpuid.c", "arch/x86/kvm/cpuid.h", "arch/x86/kvm/other.c"
LEVEL = "cpuid_maxphyaddr(vcpu) <= 48"
FEATURE, BITS = "!guest_cpuid_has(vcpu, X86_FEATURE_GBPAGES)", "(vcpu->arch.reserved_gpa_bits & 1)"
MEMBERS = """\tstruct kvm_cpuid_entry2 *cpuid_entries;
\tu32 cpu_caps[4];
\tu64 reserved_gpa_bits;
"""
TOLD = """
#define X86_FEATURE_GBPAGES\t(1*32+26)
#define X86_FEATURE_NX\t\t(1*32+20)

struct kvm_cpuid_entry2 *kvm_find_cpuid_entry(struct kvm_vcpu *vcpu, u32 function);
void guest_cpu_cap_clear(struct kvm_vcpu *vcpu, unsigned int x86_feature);
bool guest_cpuid_has(struct kvm_vcpu *vcpu, unsigned int x86_feature);

"""
SETTING = """
bool guest_cpuid_has(struct kvm_vcpu *vcpu, unsigned int x86_feature)
{
\treturn vcpu->arch.cpu_caps[x86_feature / 32] & (1u << (x86_feature & 31));
}

void guest_cpu_cap_clear(struct kvm_vcpu *vcpu, unsigned int x86_feature)
{
\tvcpu->arch.cpu_caps[x86_feature / 32] &= ~(1u << (x86_feature & 31));
}

void kvm_set_cpuid(struct kvm_vcpu *vcpu, struct kvm_cpuid_entry2 *entries)
{
\tvcpu->arch.cpuid_entries = entries;
\tvcpu->arch.reserved_gpa_bits = entries->eax;
\tguest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);
\tkvm_vcpu_after_set_cpuid(vcpu, 40);
}
"""
BEHIND = "void kvm_vcpu_after_set_cpuid(struct kvm_vcpu *vcpu, int maxphyaddr);\n"
FIND = "struct kvm_cpuid_entry2 *one = kvm_find_cpuid_entry(vcpu, {});\n\n\t"


def verdict(read, code="", above=""):
    """Check the fixture where a level depends on something else that a guest is told."""
    tree = fixture("cpuid-invalidated-fixed")
    entry = "struct kvm_cpuid_entry2 {\n\tu32 eax, ebx, ecx, edx;\n};\n\n"
    for path, old, new in (
        (MAIN, LEVEL, read),
        (HOST, "struct kvm_vcpu_arch {\n", f"{entry}struct kvm_vcpu_arch {{\n{MEMBERS}"),
        (HEADER, "#include <linux/kvm_host.h>\n", f"#include <linux/kvm_host.h>\n{TOLD}{BEHIND}"),
        (
            CPUID,
            "\tkvm_mmu_after_set_cpuid(vcpu);\n}\n",
            f"\tkvm_mmu_after_set_cpuid(vcpu);\n}}\n{SETTING}",
        ),
    ):
        text = tree[path].decode()
        assert old in text
        tree[path] = text.replace(old, new, 1).encode()
    if code:
        body = f"void devil(struct kvm_vcpu *vcpu, u64 n)\n{{\n\t{code}\n}}\n"
        tree[OTHER] = f'#include "cpuid.h"\n\n{above}{body}'.encode()
    return check(tree).verdict


CHANGES = {
    "the bits, through a pointer": (
        BITS, "u64 *p = &vcpu->arch.reserved_gpa_bits;\n\n\t*p &= ~n;", ""),
    "the bits, by a helper": (
        BITS, "put(&vcpu->arch.reserved_gpa_bits);", "static void put(u64 *p)\n{\n\t*p = 0;\n}\n"),
    "one of the bits": (BITS, "__set_bit(3, (ulong *)&vcpu->arch.reserved_gpa_bits);", ""),
    "the bits, once more": (BITS, "vcpu->arch.reserved_gpa_bits++;", ""),
    "an entry": (FEATURE, FIND.format("0x80000001") + "one->edx ^= 1u << 26;", ""),
    "an entry, by its address": (
        FEATURE, FIND.format("0x80000001") + "*(&one->edx) = 0;", ""),
    "some entry": (FEATURE, FIND.format("n") + "one->edx = 0;", ""),
    "an entry by number": (FEATURE, "vcpu->arch.cpuid_entries[n].edx = 0;", ""),
    "the feature": (FEATURE, "guest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);", ""),
    "its word": (FEATURE, "vcpu->arch.cpu_caps[1] = 0;", ""),
    "all words": (FEATURE, "u32 *p = vcpu->arch.cpu_caps;\n\n\tp[1] = n;", ""),
}  # fmt: skip
OTHERS = {
    "nothing": (BITS,),
    "nothing of a feature": (FEATURE,),
    "the bits are read": (BITS, "if (vcpu->arch.reserved_gpa_bits & n)\n\t\treturn;"),
    "another leaf": (FEATURE, FIND.format("0xd") + "one->edx = 0;"),
    "another register": (FEATURE, FIND.format("0x80000001") + "one->ebx = 0;"),
    "another feature": (FEATURE, "guest_cpu_cap_clear(vcpu, X86_FEATURE_NX);"),
    "the feature is asked for": (
        FEATURE, "if (guest_cpuid_has(vcpu, X86_FEATURE_GBPAGES))\n\t\treturn;"),
    "the size of the words": (FEATURE, "n = sizeof(vcpu->arch.cpu_caps);"),
    "and told": (
        FEATURE, "guest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);\n"
        "\tkvm_vcpu_after_set_cpuid(vcpu, 40);"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_nobody_is_told_of(name):
    """The level depends on it, and the stored role stays valid."""
    assert verdict(*CHANGES[name]) in ("gap", "unknown")


@pytest.mark.parametrize("name", OTHERS)
def test_what_changes_nothing_or_is_told(name):
    """Every change invalidates the role."""
    assert verdict(*OTHERS[name]) == "covered"
