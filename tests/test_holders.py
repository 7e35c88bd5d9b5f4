# SPDX-License-Identifier: GPL-2.0-only
"""A vCPU, or what holds one, that is changed as a whole takes its contexts with it."""

import pytest
from edited import check, fixture

MMU = "arch/x86/kvm/mmu/mmu.c"
TREE = fixture("role-regs-fixed")
AROUND = """
#define READ_INTO(v, at) memcpy(v, at, sizeof(*(v)))
#define IS_SET(v) ((v) && (v)->arch.hflags)

struct vcpu_vendor {
	struct kvm_vcpu vcpu;
	int level;
};

static struct kvm_vcpu *last;
static size_t count;

static void bytes(void *p, size_t n)
{
	char *c = p;

	while (n--)
		*c++ = 0;
}

static struct kvm_vcpu *find(int (*test)(int), int n)
{
	return test(n) ? last : NULL;
}

static int flags_of(struct kvm_vcpu *v)
{
	return v->arch.hflags;
}

static int level_of(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.root_mmu.root_level;
}

static int level_of_arch(struct kvm_vcpu_arch *arch)
{
	return arch->root_mmu.root_level;
}
"""
MACROS = """
#define ZAP(v) memset(&(v)->arch, 0, sizeof((v)->arch))
#define ZAP_ALL(v) memset(v, 0, sizeof(*(v)))
"""
CHANGES = (
    "memset(&vcpu->arch, 0, sizeof(vcpu->arch));",
    "memset(vcpu, 0, sizeof(*vcpu));",
    "memset(vcpu, 0, count);",
    "memset((vcpu), 0, count);",
    "memset(&(vcpu->arch), 0, count);",
    "struct kvm_vcpu_arch *arch = &vcpu->arch;\n\n\tmemset(arch, 0, sizeof(*arch));",
    "struct kvm_vcpu_arch *arch = &vcpu->arch;\n\n\t*arch = last->arch;",
    "void *p = vcpu;\n\n\t*(struct kvm_vcpu *)p = *last;",
    "u64 *p = (u64 *)vcpu;\n\n\tp[count] = 0;",
    "*vcpu = *last;",
    "vcpu[0] = last[0];",
    "vcpu->arch = last->arch;",
    "vcpu->arch = (struct kvm_vcpu_arch) { 0 };",
    "swap(vcpu->arch, last->arch);",
    "swap(*vcpu, *last);",
    "memcpy(vcpu, last, sizeof(*vcpu));",
    "memcpy(&vcpu->arch, &last->arch, sizeof(struct kvm_vcpu_arch));",
    "if (copy_from_user(&vcpu->arch, NULL, sizeof(vcpu->arch)))\n\t\treturn;",
    "bytes(vcpu, sizeof(*vcpu));",
    "bytes(&vcpu->arch, count);",
    "typeof(vcpu->arch) *arch = &vcpu->arch;\n\n\tmemset(arch, 0, sizeof(*arch));",
    "struct { struct kvm_vcpu_arch *a; } s = { &vcpu->arch };\n\n\tmemset(s.a, 0, 8);",
    "union { struct kvm_mmu m; u8 b[8]; } *u = (void *)&vcpu->arch.root_mmu;\n\n\tu->b[0] = 3;",
    "swap(vcpu->arch.root_mmu, vcpu->arch.guest_mmu);",
    "ZAP(vcpu);",
    "ZAP_ALL(vcpu);",
    "memset(find(NULL, 1), 0, count);",
    "memset((find(NULL, (1 + 2))), 0, count);",
    "*find(NULL, 1) = *vcpu;",
    "struct kvm_vcpu **p = &last;\n\n\tmemset(*p, 0, count);",
    "struct kvm_vcpu **p = &last;\n\n\t**p = *vcpu;",
    "struct kvm_vcpu **p = &last;\n\n\tu64 *q = (u64 *)*p;\n\n\t*q = 0;",
    "u64 *p = (u64 *)find(NULL, 1);\n\n\t*p = 0;",
    "bytes(find(NULL, 1), count);",
    "memset(vendor, 0, sizeof(*vendor));",
    "memset(&vendor->vcpu, 0, sizeof(vendor->vcpu));",
)
USES = (
    "last = vcpu;",
    "struct kvm_vcpu *other = vcpu;\n\n\tcount = other->arch.hflags;",
    "struct kvm_vcpu copy = *vcpu;\n\n\tcount = copy.arch.hflags;",
    "count = level_of(vcpu);",
    "count = level_of((vcpu));",
    "count = level_of_arch(&vcpu->arch);",
    "count = level_of(&vendor->vcpu);",
    "count = sizeof(*vcpu) + sizeof(vcpu->arch);",
    "if (vcpu && vcpu != last)\n\t\tcount = (vcpu)->arch.hflags;",
    "count = IS_SET(vcpu);",
    "last = find(NULL, 1);",
    "struct kvm_vcpu **p = &last;\n\n\t*p = vcpu;\n\tcount = (*p)->arch.hflags + level_of(*p);",
    "count = level_of(find(NULL, 1)) + find(NULL, 2)->arch.hflags;",
    "struct kvm_vcpu *other = find(NULL, 1);\n\n\tif (!find(NULL, 2))\n\t\tlast = other;",
    "kfree(vcpu);",
    "trace_kvm_level(vcpu, count);",
    'printk("vcpu + 1, *vcpu = 0");',
)


def verdict(statement):
    """Check a fixture with a function that no set-up calls."""
    head = "void change(struct kvm_vcpu *vcpu, struct vcpu_vendor *vendor)"
    macros = MACROS if "ZAP" in statement else ""
    text = f"{AROUND}{macros}\n{head}\n{{\n\t{statement}\n}}\n"
    return check({**TREE, MMU: TREE[MMU] + text.encode()})


@pytest.mark.parametrize("statement", CHANGES)
def test_a_change_of_the_whole(statement):
    """Nobody names a context, and each of them may be another one."""
    report = verdict(statement)
    assert report.verdict == "unknown"
    assert {one.place.file for one in report.unknowns} == {MMU}


@pytest.mark.parametrize("statement", USES)
def test_a_use_of_the_whole(statement):
    """Handing a pointer on, keeping it and copying from it change nothing."""
    report = verdict(statement)
    assert report.verdict == "covered", report.unknowns
