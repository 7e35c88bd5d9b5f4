// SPDX-License-Identifier: GPL-2.0-only
/*
 * Show whether root_level of an MMU context follows the registers that decide it.
 *
 * KVM configures an MMU context anew only if its role, a key calculated from the
 * guest's registers, has changed.  Load two register states one after the other
 * that need different values of root_level, and let KVM_TRANSLATE walk page
 * tables that tell which root_level KVM uses.  No guest code runs.
 *
 * Build it with gcc -static and run it as root on a host whose KVM uses TDP.
 * Status: 0 followed, 1 stale, 2 KVM cannot be used, 3 a control failed or nothing
 * applied.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/kvm.h>

#define BIT_ULL(n)	(1ull << (n))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define X86_CR0_PE	BIT_ULL(0)
#define X86_CR0_ET	BIT_ULL(4)
#define X86_CR0_NE	BIT_ULL(5)
#define X86_CR0_PG	BIT_ULL(31)
#define X86_CR4_PAE	BIT_ULL(5)
#define EFER_LME	BIT_ULL(8)
#define EFER_LMA	BIT_ULL(10)
#define EFER_SVME	BIT_ULL(12)

/* What every state has. */
#define CR0_ALWAYS	(X86_CR0_PE | X86_CR0_ET | X86_CR0_NE)

struct state {
	const char *name;
	__u64 cr0;
	__u64 cr4;
	__u64 efer;
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

#define TABLES	0x10000		/* where they lie in the VM's memory */
#define MEMORY	0x200000

static int kvm, vm, vcpu;
static __u8 *memory;

static struct {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[256];
} cpuid;

static void give_up(const char *what)
{
	printf("error: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void call(int fd, unsigned long request, void *argument, const char *what)
{
	if (ioctl(fd, request, argument) < 0)
		give_up(what);
}

#define CALL(fd, request, argument) call(fd, request, argument, #request)

static __u64 page(int i)
{
	return TABLES + i * 4096;
}

static __u64 *table(int i)
{
	return (__u64 *)(memory + page(i));
}

/*
 * Write the tables anew before each load: KVM's walk sets accessed bits, and in ROOT[0]
 * that bit is reserved once the entry is a PDPTE.
 */
static void write_tables(__u64 root_flags)
{
	__u64 *root = table(ROOT);

	memset(root, 0, NR_TABLES * 4096);
	root[0] = page(T1) | root_flags;

	((__u32 *)table(T1))[0x203] = page(LEAF + 2) | P | RWU;

	table(T1)[1] = page(T3) | P | RWU;
	table(T3)[3] = page(LEAF + 3) | P | RWU;

	table(T1)[0] = page(T2) | P | RWU;
	table(T2)[1] = page(T4) | P | RWU;
	table(T4)[3] = page(LEAF + 4) | P | RWU;

	table(T2)[0] = page(T5) | P | RWU;
	table(T5)[1] = page(T6) | P | RWU;
	table(T6)[3] = page(LEAF + 5) | P | RWU;
}

/* Return the number of levels that KVM walks: 0 without paging, -1 on a fault. */
static int get_root_level(void)
{
	struct kvm_translation tr = { .linear_address = ADDR };
	int i;

	CALL(vcpu, KVM_TRANSLATE, &tr);
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

static void load_sregs(const struct state *s)
{
	struct kvm_sregs sregs;

	CALL(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cr0 = CR0_ALWAYS | s->cr0;
	sregs.cr3 = page(ROOT);
	sregs.cr4 = s->cr4;
	sregs.efer = s->efer;
	/* CS.L=0 is legal with EFER.LMA=0 and, as compatibility mode, with 1. */
	sregs.cs.l = 0;
	sregs.cs.db = 1;
	CALL(vcpu, KVM_SET_SREGS, &sregs);
}

/* The parts of a VMCB that are needed here, as offsets; see the AMD APM, volume 2. */
#define VMCB_INTERCEPTS	0x10
#define VMCB_ASID	0x58
#define VMCB_NESTED_CTL	0x90
#define VMCB_NESTED_CR3	0xb0
#define VMCB_SAVE_EFER	0x4d0
#define VMCB_SAVE_CR4	0x548
#define VMCB_SAVE_CR0	0x558
#define VMCB_SAVE_DR7	0x560
#define VMCB_SAVE_DR6	0x568
#define VMCB_SAVE_RFLAGS 0x570

#define INTERCEPT_VMRUN	1ull

/* L2 is the same each time and has no page tables, so that only L1's are walked. */
static const struct state l2 = { .name = "L2", .efer = EFER_SVME };

/* Enter guest mode with @s as the state of L1, tell how L1's tables are walked, leave. */
static int load_guest_mmu(const struct state *s)
{
	struct {
		struct kvm_nested_state state;
		__u8 vmcb12[KVM_STATE_NESTED_SVM_VMCB_SIZE];
	} nested = {
		.state.format = KVM_STATE_NESTED_FORMAT_SVM,
		.state.size = sizeof(nested),
		.state.flags = KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_GIF_SET,
		.state.hdr.svm.vmcb_pa = page(VMCB12),
	};
	__u8 *vmcb12 = (void *)nested.state.data.svm;
	struct kvm_sregs sregs;
	int level;

	load_sregs(&l2);
	write_tables(P | RWU);

	/* The control area is L2's, the save area has the state of L1. */
#define FIELD(offset) (*(__u64 *)(vmcb12 + (offset)))
	FIELD(VMCB_INTERCEPTS) = INTERCEPT_VMRUN;
	FIELD(VMCB_ASID) = 1;
	FIELD(VMCB_NESTED_CTL) = NP_ENABLE;
	FIELD(VMCB_NESTED_CR3) = page(ROOT);
	FIELD(VMCB_SAVE_CR0) = CR0_ALWAYS | s->cr0;
	FIELD(VMCB_SAVE_CR4) = s->cr4;
	FIELD(VMCB_SAVE_EFER) = EFER_SVME | s->efer;
	FIELD(VMCB_SAVE_DR6) = 0xffff0ff0;
	FIELD(VMCB_SAVE_DR7) = 0x400;
	FIELD(VMCB_SAVE_RFLAGS) = 2;
	CALL(vcpu, KVM_SET_NESTED_STATE, &nested.state);

	/* Up to v5.12 that leaves L2's own MMU alone; a new CR3 sets it up. */
	CALL(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cr3 ^= 4096;
	CALL(vcpu, KVM_SET_SREGS, &sregs);
	level = get_root_level();

	nested.state.flags = KVM_STATE_NESTED_GIF_SET;
	nested.state.size = sizeof(nested.state);
	CALL(vcpu, KVM_SET_NESTED_STATE, &nested.state);
	return level;
}

static const struct test {
	const char *mmu;
	int (*load)(const struct state *s);
	/* Loaded first: from here, A and B are both set up anew. */
	const struct state *start;
	const struct state *a;
	const struct state *b;
} tests[] = {
	/* shadow_mmu_init_context(): the role has to tell EFER.LMA. */
	{ "guest_mmu", load_guest_mmu, &no_paging,
	  &pae_paging, &four_level_paging },
};

static void create_vm(const struct test *t)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = MEMORY,
		.userspace_addr = (uintptr_t)memory,
	};

	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		give_up("KVM_CREATE_VM");
	CALL(vm, KVM_SET_USER_MEMORY_REGION, &region);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		give_up("KVM_CREATE_VCPU");
	CALL(vcpu, KVM_SET_CPUID2, &cpuid);
	write_tables(P);
	load_sregs(t->start);
}

static void free_vm(void)
{
	close(vcpu);
	close(vm);
}

/* Each state alone, in a VM of its own, has to show its root_level. */
static bool is_sound(const struct test *t, const struct state *s)
{
	int level;

	create_vm(t);
	level = t->load(s);
	free_vm();
	if (level != s->root_level)
		printf("%s, %s alone: root_level is %d, want %d: control failed\n",
		       t->mmu, s->name, level, s->root_level);
	return level == s->root_level;
}

static bool is_stale(const struct test *t, const struct state *first, const struct state *then)
{
	int level;

	create_vm(t);
	t->load(first);
	level = t->load(then);
	free_vm();
	printf("%s, %s, then %s: root_level is %d, want %d: %s\n", t->mmu, first->name,
	       then->name, level, then->root_level,
	       level == then->root_level ? "followed" : "stale");
	return level != then->root_level;
}

/* Tell whether KVM_GET_SUPPORTED_CPUID has a feature. */
static bool kvm_has(__u32 function, char reg, int bit)
{
	unsigned int i;

	for (i = 0; i < cpuid.head.nent; i++) {
		const struct kvm_cpuid_entry2 *e = &cpuid.entries[i];
		__u32 value = reg == 'c' ? e->ecx : e->edx;

		if (e->function == function && e->index == 0)
			return value & (1u << bit);
	}
	return false;
}

static bool is_on(const char *parameter)
{
	int fd = open(parameter, O_RDONLY);
	char c = 'N';

	if (fd < 0)
		return false;
	if (read(fd, &c, 1) != 1)
		c = 'N';
	close(fd);
	return c == 'Y' || c == '1';
}

/* Old kernels tell npt=1 on processors without NPT, so ask the processor, too. */
static bool has_tdp(void)
{
	unsigned int eax, ebx, ecx, edx = 0;

	__get_cpuid(0x8000000a, &eax, &ebx, &ecx, &edx);
	return is_on("/sys/module/kvm_intel/parameters/ept") ||
	       (is_on("/sys/module/kvm_amd/parameters/npt") && (edx & 1));
}

/* Tell what a test needs and this host lacks; NULL if it has all. */
static const char *missing(const struct test *t)
{
	if (t->load != load_guest_mmu)
		return NULL;
	if (!kvm_has(0x80000001, 'c', 2) || !kvm_has(0x8000000a, 'd', 0))
		return "KVM offers no SVM with NPT to guests";
	if (ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_NESTED_STATE) <= 0)
		return "KVM has no KVM_CAP_NESTED_STATE";
	return NULL;
}

int main(void)
{
	int nr_run = 0, nr_stale = 0, nr_failed = 0;
	unsigned int i;

	setbuf(stdout, NULL);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0) {
		printf("all: no /dev/kvm (%s): not applicable\n", strerror(errno));
		return 3;
	}
	if (!has_tdp()) {
		printf("all: KVM does not use TDP, NPT or EPT is off or missing: not applicable\n");
		return 3;
	}
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		give_up("mmap");
	cpuid.head.nent = ARRAY_SIZE(cpuid.entries);
	CALL(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		const struct test *t = &tests[i];
		const char *what = missing(t);

		if (what) {
			printf("%s, %s and %s: %s: not applicable\n", t->mmu, t->a->name,
			       t->b->name, what);
			continue;
		}
		if (!is_sound(t, t->a) || !is_sound(t, t->b)) {
			nr_failed++;
			continue;
		}
		nr_stale += is_stale(t, t->a, t->b);
		nr_stale += is_stale(t, t->b, t->a);
		nr_run++;
	}
	if (nr_stale)
		return 1;
	return nr_failed || !nr_run ? 3 : 0;
}
