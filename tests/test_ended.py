# SPDX-License-Identifier: GPL-2.0-only
"""Where a VM is given up, a set-up or an invalidation that is left out leaves nothing stale."""

import pytest
from edited import check, fixture

FIXED = fixture("cpuid-invalidated-fixed")
MMU, VM = "arch/x86/kvm/mmu/mmu.c", "include/linux/kvm_host.h"
MAIN = "virt/kvm/kvm_main.c"
DEAD = """struct kvm {
	bool vm_dead, vm_bugged, vm_gone;
	void *mm;
};

static inline void kvm_vm_dead(struct kvm *kvm)
{
	kvm->vm_dead = true;
	kvm_make_all_cpus_request(kvm, KVM_REQ_VM_DEAD);
}

static inline void kvm_vm_bugged(struct kvm *kvm)
{
	kvm->vm_bugged = true;
	kvm_vm_dead(kvm);
}

#define KVM_BUG_ON(cond, kvm)				\\
({							\\
	bool __ret = !!(cond);				\\
							\\
	if (WARN_ON_ONCE(__ret && !(kvm)->vm_bugged))	\\
		kvm_vm_bugged(kvm);			\\
	unlikely(__ret);				\\
})

"""
REFUSED = """long kvm_vcpu_ioctl(struct file *filp, unsigned int ioctl)
{
	struct kvm_vcpu *vcpu = filp->private_data;

	if (vcpu->kvm->mm != current->mm || vcpu->kvm->vm_dead)
		return -EIO;
	return 0;
}
"""
RAN = "vcpu->cpu != -1"
BUG = f"\tif (KVM_BUG_ON({RAN}, vcpu->kvm))\n\t\treturn;\n\n"
INVALID, SET_UP = "\tvcpu->arch.root_mmu.mmu_role.ext.valid = 0;\n", "\tkvm_init_mmu(vcpu);\n"
FORMS = [
    (BUG, "", "", True),
    (BUG.replace("return;", "goto out;").replace("if (KVM", "if (unlikely(KVM", 1).replace(
        "->kvm))", "->kvm)))"), "", "", True),
    (f"\tstruct kvm *kvm = vcpu->kvm;\n\n{BUG}".replace("vcpu->kvm)", "kvm)"), "", "", True),
    (BUG.replace("))", ") && vcpu->cpu)"), "", "", True),
    (BUG + BUG, "", "", True),
    ("\tif (vcpu->kvm->vm_dead)\n\t\treturn;\n\n", "", "", True),
    ("\tif (vcpu->kvm->vm_bugged)\n\t\treturn;\n\n", "", "", False),
    ("\tif (!vcpu->kvm->vm_dead)\n\t\treturn;\n\n", "", "", False),
    ("\tif (vcpu->kvm->vm_gone)\n\t\treturn;\n\n", "", "", False),
    ("\tif (vcpu->kvm->vm_gone)\n\t\treturn;\n\n", "->vm_dead)", "->vm_gone)", False),
    (BUG.replace("))", ") || vcpu->cpu)"), "", "", False),
    (BUG.replace("vcpu->kvm)", "vcpu->peer)"), "", "", False),
    ("\tif (vcpu->peer->vm_dead)\n\t\treturn;\n\n", "", "", False),
    ("\tswitch (vcpu->cpu) {\n\tdefault:\n\t\tif (vcpu->kvm->vm_dead) {\n\tcase 1:\n"
     "\t\t\treturn;\n\t\t}\n\t}\n", "", "", False),
    (BUG.replace("if (KVM", "if (!KVM"), "", "", False),
    (BUG.replace("vcpu->kvm)", "other->kvm)"), "", "", False),
    (BUG.replace("\t\treturn;", "\t\tvcpu->cpu = 0;\n\telse\n\t\treturn;"), "", "", False),
    (BUG, "kvm->vm_dead = true", "kvm->vm_gone = true", False),
    (BUG, "\tkvm_vm_dead(kvm);", "\tkvm->vm_gone = true;", False),
    (BUG, "kvm_vm_bugged(kvm);\t", "pr_err(\"bug\");\t", False),
    (BUG, " || vcpu->kvm->vm_dead)", ")", False),
    (BUG, "\t\treturn -EIO;", "\t\tpr_err(\"dead\");", False),
    (BUG, "kvm_vcpu_ioctl", "kvm_vcpu_ioctls", False),
]  # fmt: skip


def edited(line, early, old, new):
    """Return the fixture with something in front of a line, and the code that gives a VM up."""
    assert FIXED[MMU].count(line.encode()) == 1
    mmu = FIXED[MMU].decode().replace(line, f"{early}{line}{'out:' if 'goto' in early else ''}")
    mmu = mmu.replace("out:", "out:\n\treturn;\n")
    vm, main = (text.replace(old, new) if old else text for text in (DEAD, REFUSED))
    assert not old or (vm, main) != (DEAD, REFUSED)
    vcpu = "struct kvm_vcpu {\n"
    head = (
        FIXED[VM]
        .decode()
        .replace(vcpu, f"{vcpu}\tstruct kvm *kvm;\n\tstruct kvm_peer *peer;\n\tint cpu;\n")
    )
    head = head.replace("\n#endif", f"\n{vm}#endif")
    return {**FIXED, MMU: mmu.encode(), VM: head.encode(), MAIN: main.encode()}


@pytest.mark.parametrize(("early", "old", "new", "is_fine"), FORMS)
def test_an_invalidation_of_what_runs_no_more(early, old, new, is_fine):
    """A vCPU of a VM that is marked dead is refused all, so its roles may stay as they are."""
    report = check(edited(INVALID, early, old, new))
    assert (report.verdict == "covered") is is_fine, report


@pytest.mark.parametrize(("early", "old", "new", "is_fine"), FORMS)
def test_a_set_up_of_what_runs_no_more(early, old, new, is_fine):
    """So may its contexts."""
    report = check(edited(SET_UP, early, old, new))
    said = [one.reason for one in report.unknowns if "decides whether kvm_init_mmu" in one.reason]
    assert bool(said) is not is_fine, report.unknowns
