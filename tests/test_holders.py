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

struct bag {
	struct kvm_vcpu *vcpu;
	struct kvm_vcpu_arch *arch;
	void *any;
	struct array array;
};

static struct kvm_vcpu *last;
static struct kvm_vcpu *pool[4];
static struct kvm_vcpu_arch *arches[4];
static DEFINE_PER_CPU(struct kvm_vcpu *, running);
static size_t count;

static void bytes(void *p, size_t n)
{
	char *c = p;

	while (n--)
		*c++ = 0;
}

struct counter {
	u64 total;
};

static void tell(struct counter *counter, u64 number)
{
	counter->total = number;
}

static void add(struct counter *counter)
{
	counter->total++;
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
HELPERS = """
#define ARCH_OF(v) (&(v)->arch)
#define RUNNING() this_cpu_read(running)
#define BIND(p, m) ((p) = (m))
#define MMU_OF(v, x) ((v)->arch.x##_mmu)

static struct kvm_vcpu_arch *arch_of(struct kvm_vcpu *v)
{
	return &v->arch;
}

static struct kvm_mmu *mmu_of(struct kvm_vcpu *v)
{
	return &v->arch.root_mmu;
}
"""
BINDING = """
static void bind(struct kvm_mmu **m, struct kvm_mmu *to)
{
	*m = to;
}
"""
CALLED = """
DEFINE_GUARD(turned, struct kvm_vcpu *, level_of(_T), flags_of(_T))
DEFINE_GUARD(zeroed, struct kvm_vcpu *, memset(_T, 0, 8), flags_of(_T))
DEFINE_GUARD(any, void *, memset(_T, 0, 8), )

typedef void *any_t;
typedef void (*any_fn)(void *p);
typedef int (*vcpu_fn)(struct kvm_vcpu *v);

struct operations {
	void (*any)(void *p);
	int (*level)(struct kvm_vcpu *v);
};

struct others {
	void (*level)(void);
	void (*any)(unsigned long at);
};

static struct operations *ops;
static struct others *other_ops;
static void (*fills[2])(void *p);
static int (*levels[2])(struct kvm_vcpu *v);
static void *parked;

static void zero(void *p)
{
	*(u64 *)p = 0;
}

static void zero_any(any_t p)
{
	*(u64 *)p = 0;
}

#define pr_zero(at) zero_number(at)

static void trace_zero(unsigned long at)
{
	*(u64 *)at = 0;
}

static void zero_number(unsigned long at)
{
	*(u64 *)at = 0;
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
    "u64 at;\n\n\tcount = (at = (u64)vcpu) == 4;\n\t*(u64 *)at = 0;",
    'seq_printf((struct seq_file *)vcpu, "x");',
    "if (--*(u64 *)vcpu == 0)\n\t\treturn;",
    "if (++*((u8 *)&vcpu->arch.root_mmu) == 3)\n\t\treturn;",
    "if (count == ((size_t *)vcpu)[1]++)\n\t\treturn;",
    "if (count == ((struct counter *)vcpu)->total--)\n\t\treturn;",
    "bag->vcpu = last;\n\tmemset(bag->vcpu, 0, 8);",
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
    # reached by what is no plain name
    "memset(this_cpu_read(running), 0, count);",
    "memset(&this_cpu_read(running)->arch, 0, count);",
    "*this_cpu_read(running) = *vcpu;",
    "void *p = __this_cpu_read(running);\n\n\tmemset(p, 0, count);",
    "u8 *p = (u8 *)(uintptr_t)this_cpu_read(running);\n\n\tp[count] = 0;",
    "memset(RUNNING(), 0, count);",
    "memset(ARCH_OF(vcpu), 0, count);",
    "memset(arch_of(vcpu), 0, count);",
    "memset(pool[1], 0, count);",
    "memset(arches[count], 0, 8);",
    "*pool[1] = *vcpu;",
    "memset(bag->vcpu, 0, count);",
    "memset(bag->arch, 0, count);",
    "bag->any = vcpu;\n\tmemset(bag->any, 0, count);",
    "xa_store(&bag->array, 0, vcpu);\n\tmemset(xa_load(&bag->array, 0), 0, count);",
    "memset(container_of(opaque, struct kvm_vcpu, arch), 0, count);",
    "memset((struct kvm_vcpu *)opaque, 0, count);",
    "memset(&((struct kvm_vcpu *)opaque)->arch, 0, count);",
    "((u8 *)&((struct kvm_vcpu *)count)->arch)[count] = 0;",
    "memset((count ? vcpu : last), 0, count);",
    "*(count ? vcpu : last) = *vcpu;",
    "memset(vcpu ?: last, 0, count);",
    "memset((count++, vcpu), 0, count);",
    "memset(({ vcpu; }), 0, count);",
    "struct kvm_vcpu **p = &last;\n\n\tmemset(p[0], 0, count);",
    "struct kvm_vcpu *(*pick)(void) = NULL;\n\n\tmemset(pick(), 0, count);",
    "__auto_type p = &vcpu->arch;\n\n\tmemset(p, 0, count);",
    "if (count)\n#ifdef CONFIG_X\n\t\t*vcpu = *last;\n#endif\n\tcount = 0;",
    "union { struct kvm_vcpu *v; u8 *b; } u;\n\n\tu.v = vcpu;\n\tu.b[count] = 0;",
    # the same with a context
    "memset(&MMU_OF(vcpu, root), 0, count);",
    "union { struct kvm_mmu *m; u8 *b; } u;\n\n\tu.m = &vcpu->arch.root_mmu;\n\tu.b[count] = 0;",
    "memset(mmu_of(vcpu), 0, count);",
    "*mmu_of(vcpu) = vcpu->arch.guest_mmu;",
    "memset((struct kvm_mmu *)opaque, 0, count);",
    "memset(count ? &vcpu->arch.root_mmu : &vcpu->arch.guest_mmu, 0, count);",
    # the pointer that says which context is in use
    "bind(&vcpu->arch.mmu, &vcpu->arch.guest_mmu);",
    "BIND(vcpu->arch.mmu, &vcpu->arch.guest_mmu);",
    "WRITE_ONCE(vcpu->arch.mmu, &vcpu->arch.guest_mmu);",
    "xchg(&vcpu->arch.mmu, &vcpu->arch.guest_mmu);",
    "struct kvm_mmu *o = &vcpu->arch.guest_mmu;\n\n\tswap(vcpu->arch.mmu, o);",
    "struct kvm_mmu **m = &vcpu->arch.mmu;\n\n\tmemset(m[0], 0, count);",
)
CALLS_OF_ANY = (
    "(zero)(vcpu);",
    "(&zero)(vcpu);",
    "(*zero)(vcpu);",
    "((zero))(&vcpu->arch);",
    "zero_any(vcpu);",
    "zero_number((unsigned long)vcpu);",
    "void (*fill)(void *p) = zero;\n\n\tfill(vcpu);",
    "void (*fill)(void *p) = zero;\n\n\t(*fill)(&vcpu->arch.root_mmu);",
    "any_fn fill = zero;\n\n\tfill(vcpu);",
    "any_fn fill = zero;\n\n\t(*fill)(vcpu->arch.mmu);",
    "fills[count](vcpu);",
    "fills[0](vcpu->arch.mmu);",
    "ops->any(vcpu);",
    "(ops->any)(&vcpu->arch.root_mmu);",
    "(*ops->any)(vcpu->arch.mmu);",
    "(count ? zero : zero_any)(vcpu);",
    "not_declared(vcpu);",
    "guard(zeroed)(vcpu);",
    "guard(any)(vcpu);",
    "guard(not_declared)(vcpu);",
    "kvm_not_declared(vcpu->arch.mmu);",
    "xchg(&parked, vcpu);",
    "zero_number((u64)vcpu);",
    "pr_zero((u64)vcpu);",
    "trace_zero((u64)vcpu);",
    "other_ops->any((unsigned long)vcpu);",
    "cmpxchg(&parked, NULL, vcpu->arch.mmu);",
    "smp_store_mb(parked, &vcpu->arch.root_mmu);",
)
CALLS = (
    "count = (level_of)(vcpu) + (&level_of)(vcpu) + (*level_of)(vcpu);",
    "int (*level)(struct kvm_vcpu *v) = level_of;\n\n\tcount = level(vcpu) + (*level)(vcpu);",
    "vcpu_fn level = level_of;\n\n\tcount = level(vcpu);",
    "count = levels[count](vcpu);",
    "other_ops->level();\n\tcount = ops->level(vcpu);",
    "count = ops->level(vcpu) + (*ops->level)(vcpu);",
    "count = (count ? level_of : flags_of)(vcpu);",
    "guard(turned)(vcpu);",
)
USES = (
    "struct kvm_mmu *number = &vcpu->arch.root_mmu;\n\n\tcount = number->root_level;",
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
    'pr_info("%llx %llx", (u64)vcpu, ((u64)(&vcpu->arch)));',
    "count = (unsigned long)vcpu == count || count <= (unsigned long)last;",
    "last = this_cpu_read(running);",
    "this_cpu_write(running, vcpu);",
    "count = this_cpu_read(running)->arch.hflags + level_of(this_cpu_read(running));",
    "struct kvm_vcpu *other = count ? pool[1] : last;\n\n\tcount = level_of(other);",
    "count = level_of(count ? vcpu : bag->vcpu);",
    "bag->vcpu = vcpu;\n\tpool[2] = bag->vcpu;\n\tbag->arch = &vcpu->arch;",
    "struct kvm_vcpu *other = opaque;\n\n\tcount = level_of(other);",
    "count = level_of((struct kvm_vcpu *)opaque);",
    "bag->any = vcpu;\n\tlast = bag->any;",
    "xa_store(&bag->array, 0, vcpu);\n\tlast = xa_load(&bag->array, 0);",
    "last = container_of(opaque, struct kvm_vcpu, arch);",
    "count = ({ typeof(vcpu) v = vcpu; v->arch.hflags; });",
    "if (WARN_ON(!vcpu))\n\t\tcount = vcpu ? level_of(vcpu) : 0;",
    "struct kvm_mmu *m = READ_ONCE(vcpu->arch.mmu);\n\n\tcount = m == &vcpu->arch.root_mmu;",
)


def verdict(statement):
    """Check a fixture with a function that no set-up calls."""
    head = (
        "void change(struct kvm_vcpu *vcpu, struct vcpu_vendor *vendor, struct bag *bag, "
        "void *opaque)"
    )
    macros = (MACROS if "ZAP" in statement else "") + HELPERS
    macros += BINDING if "bind(" in statement else ""
    macros += CALLED if statement in (*CALLS, *CALLS_OF_ANY) else ""
    text = f"{AROUND}{macros}\n{head}\n{{\n\t{statement}\n}}\n"
    return check({**TREE, MMU: TREE[MMU] + text.encode()})


@pytest.mark.parametrize("statement", [*CHANGES, *CALLS_OF_ANY])
def test_a_change_of_the_whole(statement):
    """Nobody names a context, and each of them may be another one."""
    report = verdict(statement)
    assert report.verdict == "unknown"
    assert {one.place.file for one in report.unknowns} == {MMU}


@pytest.mark.parametrize("statement", [*USES, *CALLS])
def test_a_use_of_the_whole(statement):
    """Handing a pointer on, keeping it and copying from it change nothing."""
    report = verdict(statement)
    assert report.verdict == "covered", report.unknowns


MADE = """
#define FNAME(name) walk{}##64_##name
static int FNAME(level)({} vcpu)
{{
	return 1;
}}
"""


@pytest.mark.parametrize(
    ("lead", "parameter", "is_fine"),
    [("", "struct kvm_vcpu *", True), ("", "void *", False), ("er", "struct kvm_vcpu *", False)],
    ids=["it", "anything", "another"],
)
def test_a_function_whose_name_a_macro_makes(monkeypatch, lead, parameter, is_fine):
    """What it is given is told by how that is declared, as of any other one."""
    monkeypatch.setitem(globals(), "AROUND", AROUND + MADE.format(lead, parameter))
    assert (verdict("count = walk64_level(vcpu);").verdict == "covered") is is_fine
