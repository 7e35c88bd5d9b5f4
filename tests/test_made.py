# SPDX-License-Identifier: GPL-2.0-only
"""What a VM is made with, and keeps: alike for a context for as long as there is one."""

import pytest
from edited import check, fixture

MMU, VM = "arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/vm.c"
HEADER, GENERIC = "arch/x86/include/asm/kvm_host.h", "include/linux/kvm_host.h"
TYPE = "struct kvm_arch {\n\tu8 vm_type;\n\tu8 other;\n};\n\nstruct kvm_vcpu_arch {"
SHARED = """\
struct kvm {
	struct kvm_arch arch;
};

#define kvm_arch_has_other(kvm) ((kvm)->arch.other)

struct kvm_vcpu {
	struct kvm *kvm;
"""
CODE = """\
#include <linux/kvm_host.h>

struct shared_info {
	struct { u32 sec; } arch;
};

#define TRACE_INCLUDE_PATH ../../arch/x86/kvm

static void init_type(struct kvm *kvm, u8 type)
{
	kvm->arch.vm_type = type;
}

int kvm_arch_init_vm(struct kvm *kvm, u8 type)
{
	BUILD_BUG_ON(offsetof(struct shared_info, arch) != 0);
	kvm->arch.other = 1;
	init_type(kvm, type);
	return 0;
}

int kvm_create_vm(struct kvm *kvm, u8 type)
{
	return kvm_arch_init_vm(kvm, type);
}
"""


def found(late="", more=""):
    """Return what is said of a level that depends on the type of a VM."""
    files = fixture("cpuid-invalidated-fixed")
    for path, old, new in (
        (MMU, "cpuid_maxphyaddr(vcpu) <= 48", "vcpu->kvm->arch.vm_type == 1"),
        (HEADER, "struct kvm_vcpu_arch {", TYPE),
        (GENERIC, "struct kvm_vcpu {\n", SHARED),
    ):
        text = files[path].decode()
        assert text.count(old) == 1
        files[path] = text.replace(old, new).encode()
    body = (
        f"\nint late(struct kvm_vcpu *vcpu, struct kvm *kvm, u8 n)\n{{\n\t{late}\n\treturn 0;\n}}\n"
    )
    files[VM] = (CODE + body + more).encode()
    return check(files, ("shadow_root_level",))


@pytest.mark.parametrize(
    "late",
    [
        "",
        "n = kvm->arch.vm_type;",
        "kvm->arch.other = n;",
        "n = kvm_arch_has_other(kvm);",
        "n = __alignof__(struct kvm);\n\tn = sizeof_field(struct kvm, arch);",
    ],
)
def test_what_nothing_changes_later(late):
    """It is set before there is a vCPU, and the proof says by whom."""
    report = found(late)
    assert report.verdict == "covered"
    said = [one for c in report.contexts for f in c.fields for one in f.assumptions]
    assert any("stays as" in one and "()" in one for one in said)


@pytest.mark.parametrize(
    "late",
    [
        "kvm->arch.vm_type = n;",
        "n = __alignof__(struct kvm);\n\tfill(sizeof_field(struct kvm, arch), &kvm->arch);",
        "vcpu->kvm->arch.vm_type |= n;",
        "init_type(kvm, n);",
        "kvm_arch_init_vm(kvm, n);\n\tkvm->arch.vm_type++;",
        "memset(&kvm->arch, 0, sizeof(kvm->arch));",
        "kvm->arch = *(struct kvm_arch *)vcpu;",
        "u8 *p = &kvm->arch.vm_type;\n\n\t*p = n;",
        "fill(&kvm->arch.vm_type);",
        "*kvm = *vcpu->kvm;",
        "*vcpu->kvm = *kvm;",
        "memset(kvm, 0, sizeof(*kvm));",
        "memcpy(vcpu->kvm, kvm, n);",
        "swap(*kvm, *vcpu->kvm);",
        "struct kvm_arch *arch = &kvm->arch;\n\n\tarch->vm_type = n;",
    ],
)
def test_what_something_changes_later(late):
    """Then a set-up is skipped although the level is another."""
    assert found(late).verdict in ("gap", "unknown")


def test_what_is_called_at_other_times():
    """A function that stores it is not known to run only where a VM is made."""
    table = "\nstruct ops {\n\tvoid (*set)(struct kvm *kvm, u8 n);\n};\n"
    kept = "static struct ops ops = { .set = init_type };\n"
    assert found("", table + kept).verdict in ("gap", "unknown")
