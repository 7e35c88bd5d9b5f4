# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures with what a host does when KVM is loaded, and the commands that replay them."""

from functools import partial

from edited import Files, fixture
from scratch import run

from patchtool.c.index import Index
from patchtool.commands import fix as fix_command
from patchtool.commands import reproduce as command
from patchtool.rules import stale_mmu_role as rule
from patchtool.target.kvm import KVM

reproduce, fix = partial(run, command), partial(run, fix_command)
MMU = "arch/x86/kvm/mmu/mmu.c"
SVM, VMX = "arch/x86/kvm/svm/svm.c", "arch/x86/kvm/vmx/vmx.c"

# What a vendor's module does when it is loaded, and the ioctl that a nested replay needs.
SET_UP_SVM = b"""
#include "../mmu.h"
static int get_max_npt_level(void)
{
	return pgtable_l5_enabled() ? PT64_ROOT_5LEVEL : PT64_ROOT_4LEVEL;
}
static __init void svm_hardware_setup(void)
{
	kvm_configure_mmu(npt_enabled, get_max_npt_level(), 1 << 5);
}
static int svm_set_nested_state(struct kvm_nested_state *state)
{
	return state->format != KVM_STATE_NESTED_FORMAT_SVM;
}
"""
SET_UP_VMX = b"""
#include "../mmu.h"
static __init void vmx_hardware_setup(void)
{
	kvm_configure_mmu(enable_ept, cpu_has_vmx_ept_5levels() ? 5 : 4,
	enable_ept_ad_bits ? 1 << 8 : 0);
}
"""


def with_hosts(name="demo"):
    """Return the files of a fixture in which both vendors' modules set up the MMU."""
    levels = b"#define PT64_ROOT_4LEVEL 4\n#define PT64_ROOT_5LEVEL 5\n"
    return {**fixture(name), SVM: levels + SET_UP_SVM, VMX: SET_UP_VMX}


def changed(files, path, *pairs):
    """Return files of which one is edited."""
    text = files[path]
    for old, new in pairs:
        assert text.count(old) == 1, (old, text.count(old))
        text = text.replace(old, new)
    return {**files, path: text}


def asked(files):
    """Check a tree; return its index, the report, and the questions behind it."""
    index = Index(Files(files), KVM)
    return index, *rule.examine(index, rule.LEVELS, "tree")


def written(files, folder):
    """Write the files of a tree."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder
