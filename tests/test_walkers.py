# SPDX-License-Identifier: GPL-2.0-only
"""Two kinds of contexts: one that walks, and one that shadows and points to its walker."""

import pytest
from edited import check, fixture, verdicts

from patchtool.report import text
from patchtool.report.options import Options

HOST, MMU = "arch/x86/include/asm/kvm_host.h", "arch/x86/kvm/mmu/mmu.c"
NPT, EPT = "arch/x86/kvm/svm/nested.c", "arch/x86/kvm/vmx/nested.c"
MADE, PRINTS = "arch/x86/kvm/x86.c", "include/linux/printing.h"
LINK = "\tvcpu->arch.mmu->w = &vcpu->arch.ngpa_walk;\n"
LISTED = b"""\
kvm-y += x86.o cpuid.o mmu/mmu.o
kvm-intel-y += vmx/nested.o
kvm-amd-y += svm/nested.o
obj-$(CONFIG_KVM) += kvm.o kvm-intel.o kvm-amd.o
"""
MAKING = """\
// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kvm_host.h>
#include "mmu.h"

static void kvm_mmu_create(struct kvm_vcpu *vcpu)
{
	vcpu->arch.mmu = &vcpu->arch.root_mmu;
	vcpu->arch.root_mmu.w = &vcpu->arch.gva_walk;
	vcpu->arch.guest_mmu.w = &vcpu->arch.ngpa_walk;
}

int kvm_arch_vcpu_create(struct kvm_vcpu *vcpu)
{
	kvm_mmu_create(vcpu);
	kvm_init_mmu(vcpu);
	return 0;
}
"""
FORMAT = """\
struct kvm_page_format {
	u64 rsvd_bits_mask[2];
	u16 permissions[4];
};

/* How guest page tables are walked. */
"""
PRINTING = """\
/* SPDX-License-Identifier: GPL-2.0-only */
#define pr_about(fmt, ...)	printed("about: " fmt, ##__VA_ARGS__)
#define pr_all(fmt...)		printed(fmt)
extern int printed(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
struct printer {
	const char *fmt;
};

static inline void print_by(struct printer *p, const char *fmt)
{
	p->fmt = fmt;
}
"""
FILLING = """
static void fill_format(struct kvm_page_format *fmt, bool wp, bool nx)
{
	int i;

	fmt->rsvd_bits_mask[0] = nx ? 0 : 1ULL << 63;
	fmt->rsvd_bits_mask[1] = fmt->rsvd_bits_mask[0];
	for (i = 0; i < 4; i++)
		fmt->permissions[i] = wp ? 3 << i : 1 << i;
}

static int paging_fault(struct kvm_vcpu *vcpu)
{
	return 0;
}

static int nonpaging_fault(struct kvm_vcpu *vcpu)
{
	return 1;
}

static void init_kvm_page_walk("""
ROLE = "\tcontext->root_role.word = root_role.word;\n"
BEHIND = "\t\tcontext->root_role.word = new_mode.base.word;\n"
LAST_WALK = "\telse\n\t\tw->gva_to_gpa = paging32_gva_to_gpa;\n"
SHADOW = """\
	context->page_fault = is_cr0_pg(context->w) ? paging_fault : nonpaging_fault;
	fill_format(&context->fmt, true, root_role.efer_nx);
"""
SHADOW_EPT = (
    "\t\tcontext->page_fault = paging_fault;\n\t\tfill_format(&context->fmt, execonly, 1);\n"
)
WALK_EPT = "\t\tfill_format(&w->fmt, execonly, true);\n"
WALKED = "w->cpu_role.base.cr0_wp"
MEMBERS = "\tint (*page_fault)(struct kvm_vcpu *vcpu);\n\tstruct kvm_page_format fmt;\n"
NESTED = "\tvcpu->arch.mmu = &vcpu->arch.guest_mmu;\n"
MORE = "\tif (vcpu->arch.hflags)\n\t\tvcpu->arch.guest_mmu.w = &vcpu->arch.gva_walk;\n"
FIELDS = ("root_level", "shadow_root_level", "fmt", "page_fault", "gva_to_gpa")


def after(path, line, more):
    """Return the edit that puts more behind a line."""
    return path, line, line + more


def tree(*edits):
    """Return the files of the shape, edited; each edit is a path, an old text and a new one."""
    files = {path: data.decode() for path, data in fixture("pagewalk-fixed").items()}
    files[MADE], files[PRINTS] = MAKING, PRINTING
    shaped = [
        after(HOST, "#include <linux/types.h>\n", "#include <linux/printing.h>\n"),
        (HOST, "/* How guest page tables are walked. */\n", FORMAT),
        after(HOST, "\tunion kvm_cpu_role cpu_role;\n", "\tstruct kvm_page_format fmt;\n"),
        after(HOST, "\tstruct kvm_pagewalk *w;\n", MEMBERS),
        (NPT, LINK, ""),
        (EPT, LINK, ""),
        (MMU, "\nstatic void init_kvm_page_walk(", FILLING),
        after(MMU, LAST_WALK, f"\tfill_format(&w->fmt, {WALKED}, w->cpu_role.base.efer_nx);\n"),
        after(MMU, BEHIND, SHADOW_EPT),
        after(MMU, "\t\tw->gva_to_gpa = ept_gva_to_gpa;\n", WALK_EPT),
    ]
    for path, old, new in (*shaped, *edits):
        assert old in files[path], (path, old)
        files[path] = files[path].replace(old, new, 1)
    head, *rest = files[MMU].split(ROLE)
    assert len(rest) == 2
    tdp = "\tcontext->page_fault = paging_fault;\n\tfill_format(&context->fmt, true, true);\n"
    files[MMU] = f"{head}{ROLE}{tdp}{rest[0]}{ROLE}{SHADOW}{rest[1]}"
    made = {path: text.encode() for path, text in files.items()}
    return {**made, "arch/x86/kvm/Makefile": LISTED}


def found(*edits):
    """Return the verdicts of the edited shape, by the last function of a way, context and field."""
    report = check(tree(*edits), FIELDS)
    cells = verdicts(report)
    assert not [one for one in report.unknowns if not one.place.file.startswith("arch/")]
    return {(way[-1], context, name): one for (way, context, name), (one, _) in cells.items()}


def test_each_kind_is_decided():
    """A walker that a context points to is the one that it was given when the vCPU was made."""
    cells = found()
    assert set(cells.values()) == {"covered"}
    contexts = {(way, context) for way, context, _ in cells}
    assert contexts == {
        ("init_kvm_page_walk", "gva_walk"),
        ("init_kvm_page_walk", "ngpa_walk"),
        ("init_kvm_tdp_mmu", "root_mmu"),
        ("shadow_mmu_init_context", "root_mmu"),
        ("shadow_mmu_init_context", "guest_mmu"),
        ("kvm_init_shadow_ept_mmu", "ngpa_walk"),
        ("kvm_init_shadow_ept_mmu", "guest_mmu"),
    }


@pytest.mark.parametrize(
    ("edit", "stale"),
    [
        (
            (MMU, WALKED, "vcpu->arch.hflags & 512"),
            {("init_kvm_page_walk", "gva_walk", "fmt"), ("init_kvm_page_walk", "ngpa_walk", "fmt")},
        ),
        (
            (MMU, "\trole.ext.execonly = execonly;\n", ""),
            {
                ("kvm_init_shadow_ept_mmu", "ngpa_walk", "fmt"),
                ("kvm_init_shadow_ept_mmu", "guest_mmu", "fmt"),
            },
        ),
    ],
    ids=["of what walks", "of what walks, and another context is set up behind that"],
)
def test_what_a_role_does_not_hold(edit, stale):
    """It is stale in what compares the role, and in what is set up behind that."""
    cells = found(edit)
    assert {key for key, one in cells.items() if one == "gap" and key[2] == "fmt"} == stale


def test_two_contexts_behind_one_guard_are_two_findings():
    """They have their place and their way in common, and their name."""
    report = check(tree((MMU, "\trole.ext.execonly = execonly;\n", "")), FIELDS)
    assert {one.context.context for one in report.findings} == {"ngpa_walk", "guest_mmu"}
    assert "2 gaps on 2 of 7 paths" in text.write(report, Options())


@pytest.mark.parametrize(
    "edit",
    [
        after(NPT, NESTED, "\tvcpu->arch.guest_mmu.w = &vcpu->arch.gva_walk;\n"),
        after(NPT, NESTED, "\tswap(vcpu->arch.guest_mmu.w, vcpu->arch.root_mmu.w);\n"),
        after(NPT, NESTED, "\t*vcpu->arch.mmu = vcpu->arch.root_mmu;\n"),
        after(MADE, "\tvcpu->arch.guest_mmu.w = &vcpu->arch.ngpa_walk;\n", MORE),
    ],
    ids=["when it is nested", "exchanged", "with all of the context", "two of them"],
)
def test_a_walker_that_may_be_another_one(edit):
    """Then it is not known whose role decides what is set up."""
    assert found(edit)["shadow_mmu_init_context", "guest_mmu", "page_fault"] == "unknown"


def test_a_context_behind_a_guard_of_another_is_set_up_by_that_alone():
    """What one entry leaves there, another one would skip by."""
    other = "\tif (mmu_is_nested(vcpu))\n\t\treturn;\n"
    cells = found(
        (MMU, other, f"\tvcpu->arch.guest_mmu.fmt.permissions[0] = vcpu->arch.hflags;\n{other}")
    )
    assert cells["kvm_init_shadow_ept_mmu", "guest_mmu", "fmt"] == "unknown"
    assert cells["shadow_mmu_init_context", "guest_mmu", "fmt"] == "unknown"
