// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test that root_level of an MMU context follows the registers that decide it.
 *
 * KVM configures an MMU context anew only if its role, a key calculated from the
 * guest's registers, has changed.  Load two register states one after the other
 * that need different values of root_level, and let KVM_TRANSLATE walk page
 * tables that tell which root_level KVM uses.  No guest code runs.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "test_util.h"
#include "kvm_util.h"
#include "processor.h"
#include "svm_util.h"

#define X86_CR0_ET	BIT_ULL(4)
#define X86_CR0_NE	BIT_ULL(5)
#define X86_CR4_PAE	BIT_ULL(5)

/* What every state has. */
#define CR0_ALWAYS	(X86_CR0_PE | X86_CR0_ET | X86_CR0_NE)

struct state {
	const char *name;
	u64 cr0;
	u64 cr4;
	u64 efer;
	int root_level;
};

static const struct state no_paging = {
	.name = "no paging",
	.root_level = 0,
};

static const struct state pae_paging = {
	.name = "PAE paging",
	.cr0 = X86_CR0_PG,
	.cr4 = X86_CR4_PAE,
	.root_level = 3,
};

static const struct state four_level_paging = {
	.name = "4-level paging",
	.cr0 = X86_CR0_PG,
	.cr4 = X86_CR4_PAE,
	.efer = EFER_LME | EFER_LMA,
	.root_level = 4,
};

/*
 * One set of page tables serves a walk of any depth.  In each of them ADDR has
 * its path, and each path ends at a page of its own, so that the address that
 * KVM_TRANSLATE returns tells how many levels KVM has walked:
 *
 *   2 levels, 4-byte entries:  ROOT[0] -> T1[0x203] -> LEAF + 2
 *   3 levels:                  ROOT[0] -> T1[1] -> T3[3] -> LEAF + 3
 *   4 levels:                  ROOT[0] -> T1[0] -> T2[1] -> T4[3] -> LEAF + 4
 *   5 levels:                  ROOT[0] -> T1[0] -> T2[0] -> T5[1] -> T6[3] -> LEAF + 5
 *
 * With 8-byte entries ADDR has index 3 in the lowest table, 1 in the one above
 * and 0 further up; with 4-byte entries it has 0x203 and 0.
 */
#define ADDR		0x203000ull

/* Flags of an entry; in a PDPTE that CR3 points to all but P are reserved. */
#define P		1ull
#define RWU		6ull

/* In the VMCB: L2 has nested paging. */
#define NP_ENABLE	1ull

enum {
	ROOT, T1, T2, T3, T4, T5, T6, NR_TABLES,
	VMCB12 = NR_TABLES,
	LEAF,
	NR_LEAVES = 6,
	NR_PAGES = LEAF + NR_LEAVES,
};

static u64 tables;

static u64 page(int i)
{
	return tables + i * 4096;
}

static u64 *table(struct kvm_vm *vm, int i)
{
	return addr_gpa2hva(vm, page(i));
}

/*
 * Write the tables anew before each load: KVM's walk sets accessed bits, and in ROOT[0]
 * that bit is reserved once the entry is a PDPTE.
 */
static void write_tables(struct kvm_vm *vm, u64 root_flags)
{
	u64 *root = table(vm, ROOT);

	memset(root, 0, NR_TABLES * 4096);
	root[0] = page(T1) | root_flags;

	((u32 *)table(vm, T1))[0x203] = page(LEAF + 2) | P | RWU;

	table(vm, T1)[1] = page(T3) | P | RWU;
	table(vm, T3)[3] = page(LEAF + 3) | P | RWU;

	table(vm, T1)[0] = page(T2) | P | RWU;
	table(vm, T2)[1] = page(T4) | P | RWU;
	table(vm, T4)[3] = page(LEAF + 4) | P | RWU;

	table(vm, T2)[0] = page(T5) | P | RWU;
	table(vm, T5)[1] = page(T6) | P | RWU;
	table(vm, T6)[3] = page(LEAF + 5) | P | RWU;
}

/* Return the number of levels that KVM walks: 0 without paging, -1 on a fault. */
static int get_root_level(struct kvm_vcpu *vcpu)
{
	struct kvm_translation tr = { .linear_address = ADDR };
	int i;

	vcpu_ioctl(vcpu, KVM_TRANSLATE, &tr);
	if (!tr.valid)
		return -1;
	if (tr.physical_address == ADDR)
		return 0;

	for (i = 2; i < NR_LEAVES; i++) {
		if (tr.physical_address == page(LEAF + i))
			return i;
	}
	return -1;
}

static void load_sregs(struct kvm_vcpu *vcpu, const struct state *s)
{
	struct kvm_sregs sregs;

	vcpu_sregs_get(vcpu, &sregs);
	sregs.cr0 = CR0_ALWAYS | s->cr0;
	sregs.cr3 = page(ROOT);
	sregs.cr4 = s->cr4;
	sregs.efer = s->efer;
	/* CS.L=0 is legal with EFER.LMA=0 and, as compatibility mode, with 1. */
	sregs.cs.l = 0;
	sregs.cs.db = 1;
	vcpu_sregs_set(vcpu, &sregs);
}

/* L2 is the same each time and has no page tables, so that only L1's are walked. */
static const struct state l2 = { .name = "L2", .efer = EFER_SVME };

/* Enter guest mode with @s as the state of L1, tell how L1's tables are walked, leave. */
static int load_guest_mmu(struct kvm_vcpu *vcpu, const struct state *s)
{
	struct {
		struct kvm_nested_state state;
		u8 vmcb12[KVM_STATE_NESTED_SVM_VMCB_SIZE];
	} nested = {
		.state.format = KVM_STATE_NESTED_FORMAT_SVM,
		.state.size = sizeof(nested),
		.state.flags = KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_GIF_SET,
		.state.hdr.svm.vmcb_pa = page(VMCB12),
	};
	struct vmcb *vmcb12 = (void *)nested.state.data.svm;
	struct kvm_sregs sregs;
	int level;

	load_sregs(vcpu, &l2);
	write_tables(vcpu->vm, P | RWU);

	/* The control area is L2's, the save area has the state of L1. */
	vmcb12->control.intercept = BIT_ULL(INTERCEPT_VMRUN);
	vmcb12->control.asid = 1;
	vmcb12->control.nested_ctl = NP_ENABLE;
	vmcb12->control.nested_cr3 = page(ROOT);
	vmcb12->save.cr0 = CR0_ALWAYS | s->cr0;
	vmcb12->save.cr4 = s->cr4;
	vmcb12->save.efer = EFER_SVME | s->efer;
	vmcb12->save.dr6 = 0xffff0ff0;
	vmcb12->save.dr7 = 0x400;
	vmcb12->save.rflags = 2;
	vcpu_nested_state_set(vcpu, &nested.state);

	/* Make sure that L2's own MMU is set up: a new CR3 always does that. */
	vcpu_sregs_get(vcpu, &sregs);
	sregs.cr3 ^= 4096;
	vcpu_sregs_set(vcpu, &sregs);
	level = get_root_level(vcpu);

	nested.state.flags = KVM_STATE_NESTED_GIF_SET;
	nested.state.size = sizeof(nested.state);
	vcpu_nested_state_set(vcpu, &nested.state);
	return level;
}

static bool has_nested_npt(void)
{
	return kvm_cpu_has(X86_FEATURE_SVM) && kvm_cpu_has(X86_FEATURE_NPT) &&
	       kvm_has_cap(KVM_CAP_NESTED_STATE);
}

static const struct test {
	const char *mmu;
	int (*load)(struct kvm_vcpu *vcpu, const struct state *s);
	/* Loaded first: from here, A and B are both set up anew. */
	const struct state *start;
	const struct state *a;
	const struct state *b;
} tests[] = {
	/* shadow_mmu_init_context(): the role has to tell EFER.LMA. */
	{ "guest_mmu", load_guest_mmu, &no_paging,
	  &pae_paging, &four_level_paging },
};

static struct kvm_vm *create_vm(struct kvm_vcpu **vcpu, const struct test *t)
{
	struct kvm_vm *vm = vm_create_with_one_vcpu(vcpu, NULL);

	tables = vm_phy_pages_alloc(vm, NR_PAGES, 0x10000, 0);
	write_tables(vm, P);
	load_sregs(*vcpu, t->start);
	return vm;
}

/* Each state alone, in a VM of its own, has to show its root_level. */
static void check_alone(const struct test *t, const struct state *s)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_vm(&vcpu, t);
	int level = t->load(vcpu, s);

	TEST_ASSERT(level == s->root_level, "%s, %s alone: root_level is %d, want %d",
		    t->mmu, s->name, level, s->root_level);
	kvm_vm_free(vm);
}

static bool is_stale(const struct test *t, const struct state *first, const struct state *then)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_vm(&vcpu, t);
	int level;

	t->load(vcpu, first);
	level = t->load(vcpu, then);
	kvm_vm_free(vm);

	pr_info("%s, %s, then %s: root_level is %d, want %d: %s\n", t->mmu, first->name,
		then->name, level, then->root_level,
		level == then->root_level ? "followed" : "stale");
	return level != then->root_level;
}

int main(int argc, char *argv[])
{
	int i, nr_run = 0, nr_stale = 0;

	TEST_REQUIRE(kvm_is_tdp_enabled());
	TEST_REQUIRE(has_nested_npt());

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		const struct test *t = &tests[i];

		check_alone(t, t->a);
		check_alone(t, t->b);
		nr_stale += is_stale(t, t->a, t->b);
		nr_stale += is_stale(t, t->b, t->a);
		nr_run++;
	}

	TEST_REQUIRE(nr_run);
	TEST_ASSERT(!nr_stale, "root_level was stale %d times", nr_stale);
	return 0;
}
