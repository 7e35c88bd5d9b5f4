# SPDX-License-Identifier: GPL-2.0-only
"""A member of what contains the vCPU, stored to by its name, with a record around it, and early."""

import pytest
from edited import check, fixture

MMU, BIG = "arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/vmx/big.c"
HEADER = "arch/x86/kvm/vmx/big.h"
TYPES = b"""\
struct limits {
	u32 walk_bits;
	u32 other_bits;
};

struct earlier {
	u32 some[3];
};

struct big_state {
	u32 front;
	u32 fronts[2];
	u32 named[N_NAMED];
	struct earlier earlier;
	struct limits limits;
	u32 behind;
	struct limits *borrowed;
};

struct big_host {
	struct limits limits;
};

struct vcpu_big {
	struct kvm_vcpu vcpu;
	struct big_state state;
};

struct kvm_x86_ops {
	int (*set_msr)(struct kvm_vcpu *vcpu, u32 which, u32 data);
	void (*vcpu_reset)(struct kvm_vcpu *vcpu, bool init_event);
};

static inline struct vcpu_big *to_big(struct kvm_vcpu *vcpu)
{
	return container_of(vcpu, struct vcpu_big, vcpu);
}
"""
MARK = "big->vcpu.arch.root_mmu.mmu_role.ext.valid = 0;"
IN_CALLER = MARK.replace("big->vcpu.", "vcpu->")
STORE = "big->state.limits.walk_bits = data;"
WHOLE = "memcpy(&big->state.limits, &host.limits, sizeof(big->state.limits));"
CODE = """\
// SPDX-License-Identifier: GPL-2.0-only
#include "big.h"

static struct big_host host;

static u32 *limit_of(struct limits *limits, u32 which)
{
	return &limits->other_bits;
}

static void set_up_limits(struct big_host *from)
{
	struct limits *limits = &from->limits;

	limits->walk_bits = 3;
	limits->walk_bits |= 4;
}

int __init big_hardware_setup(void)
{
	set_up_limits(&host);
	return 0;
}

static int restore_limits(struct vcpu_big *big, u32 data)
{
	if (data > 4)
		return -22;

	BEHIND
	return 0;
}

static int restore_other(struct vcpu_big *big, u32 data)
{
	*limit_of(&big->state.limits, data) = data;
	return 0;
}

int big_set_msr(struct kvm_vcpu *vcpu, u32 which, u32 data)
{
	struct vcpu_big *big = to_big(vcpu);
	int ret;

	if (which)
		return restore_other(big, data);
	CALL
}

static void __big_reset(struct kvm_vcpu *vcpu)
{
	struct vcpu_big *big = to_big(vcpu);

	EARLY
}

void big_vcpu_reset(struct kvm_vcpu *vcpu, bool init_event)
{
	if (!init_event)
		__big_reset(vcpu);
}

void kvm_vcpu_reset(struct kvm_vcpu *vcpu, bool init_event)
{
	kvm_x86_call(vcpu_reset)(vcpu, init_event);
}

int kvm_arch_vcpu_create(struct kvm_vcpu *vcpu)
{
	kvm_vcpu_reset(vcpu, false);
	kvm_init_mmu(vcpu);
	return 0;
}

void kvm_vcpu_init_event(struct kvm_vcpu *vcpu)
{
	kvm_vcpu_reset(vcpu, true);
}

static struct kvm_x86_ops big_ops = {
	.set_msr = big_set_msr,
	.vcpu_reset = big_vcpu_reset,
};

int kvm_set_msr(struct kvm_vcpu *vcpu, u32 which, u32 data)
{
	return kvm_x86_call(set_msr)(vcpu, which, data);
}
"""
EACH = "\n#define for_each_big(i, big) for (i = 0; ((big) = big_at(i)); i++)\n"
CALL = "return restore_limits(big, data);"
OPERATION = ".vcpu_reset = big_vcpu_reset,"
TRIED = "ret = restore_limits(big, data);\n\t"
HELPER = "\tvcpu->arch.root_mmu.mmu_role.ext.valid = 0;\n\tkvm_mmu_reset_context(vcpu);\n"


def late(body, taken="struct vcpu_big *big"):
    """Return the text of one more function that may be called at any time."""
    return f"\nvoid late({taken})\n{{\n\t{body}\n}}\n"


def verdict(behind=f"{STORE}\n\t{MARK}", call=CALL, early=WHOLE, edits=(), more=""):
    """Return the verdict on the fixture with code that stores to the member in some ways."""
    files = fixture("cpuid-invalidated-fixed")
    old = b"cpuid_maxphyaddr(vcpu) <= 48"
    assert files[MMU].count(old) == 1
    files[MMU] = files[MMU].replace(old, b"to_big(vcpu)->state.limits.walk_bits <= 3")
    files[MMU] = files[MMU].replace(b'"../cpuid.h"\n', b'"../cpuid.h"\n#include "../vmx/big.h"\n')
    files[HEADER] = b'#include "../mmu.h"\n\n' + TYPES
    code = CODE.replace("BEHIND", behind).replace("CALL", call).replace("EARLY", early)
    for before, after in edits:
        assert code.count(before) == 1, before
        code = code.replace(before, after)
    files[BIG] = (code + more).encode()
    return check(files, ("shadow_root_level",)).verdict


@pytest.mark.parametrize(
    "behind",
    [
        f"{STORE}\n\t{MARK}",
        f"{MARK}\n\t{STORE}",
        f"{STORE}\n\t{MARK.replace('= 0', '= false')}",
        f"{STORE}\n\t{MARK.replace('= 0', '= 0u')}",
        f"{STORE}\n\t{MARK.replace('ext.valid', 'as_u64')}",
        f"{STORE}\n\t{MARK.replace('ext.valid', 'ext.word')}",
        f"struct kvm_vcpu *vcpu = &big->vcpu;\n\n\t{STORE}\n\t{IN_CALLER}",
        f"{STORE}\n\tkvm_mmu_after_set_cpuid(&big->vcpu);",
        f"if (big->state.limits.walk_bits != data) {{\n\t\t{STORE}\n\t\t{MARK}\n\t}}",
        f"{WHOLE}\n\t{MARK}",
        f"big->state.limits = host.limits;\n\t{MARK}",
        f"struct limits *limits = &big->state.limits;\n\n\tlimits->walk_bits = data;\n\t{MARK}",
    ],
    ids=[
        "behind", "in front", "false", "suffix", "all", "word", "variable", "helper",
        "where it changes", "copied", "assigned as a whole", "pointer",
    ],
)  # fmt: skip
def test_invalidated_beside_the_store(behind):
    """However it is written, no run skips after the member has changed."""
    assert verdict(behind) == "covered"


@pytest.mark.parametrize(
    "name", ["walk_bits", "maxphyaddr", "tdp_level", "x86_phys_bits", "shadow_phys_bits"]
)
def test_a_range_is_that_of_one_member(name):
    """What is known of a member is not known of one by its name in another record."""
    files = fixture("cpuid-invalidated-fixed")
    for path, text in ((HEADER, TYPES), (BIG, CODE.encode())):
        text = text.replace(b"CALL", CALL.encode()).replace(b"BEHIND", STORE.encode())
        text = text.replace(b"EARLY", WHOLE.encode())
        files[path] = text.replace(b"walk_bits", name.encode())
    files[HEADER] = b'#include "../mmu.h"\n\n' + files[HEADER]
    read = b"to_big(vcpu)->state.limits.%b != 0" % name.encode()
    files[MMU] = files[MMU].replace(b"cpuid_maxphyaddr(vcpu) <= 48", read)
    files[MMU] = files[MMU].replace(b'"../cpuid.h"\n', b'"../cpuid.h"\n#include "../vmx/big.h"\n')
    assert check(files, ("shadow_root_level",)).verdict == "gap"


@pytest.mark.parametrize("member", ["s_efer", "efer"])
def test_an_implication_is_that_of_one_file_of_registers(member):
    """Members of another record, whatever they are called, are no registers of one CPU."""
    files = fixture("cpuid-invalidated-fixed")
    types = TYPES.replace(b"walk_bits;", b"walk_bits;\n\tu64 cr0;\n\tu64 %b;" % member.encode())
    files[HEADER] = b'#include "../mmu.h"\n\n' + types
    read = b"((l->%b & 1024) && !(l->cr0 & (1UL << 31)))" % member.encode()
    read = read.replace(b"l->", b"to_big(vcpu)->state.limits.")
    files[MMU] = files[MMU].replace(b"cpuid_maxphyaddr(vcpu) <= 48", read)
    files[MMU] = files[MMU].replace(b'"../cpuid.h"\n', b'"../cpuid.h"\n#include "../vmx/big.h"\n')
    assert check(files, ("shadow_root_level",)).verdict == "gap"


def test_a_birth_that_is_called_late():
    """What makes a vCPU is known by its name, unless others call it as well."""
    again = late("kvm_arch_vcpu_create(vcpu);", "struct kvm_vcpu *vcpu")
    assert verdict(more=again) in ("gap", "unknown")


@pytest.mark.parametrize(
    "call",
    [
        f"{TRIED}{IN_CALLER}\n\treturn ret;",
        f"{TRIED}if (!ret)\n\t\t{IN_CALLER}\n\treturn ret;",
        f"{TRIED}if (ret == 0)\n\t\t{IN_CALLER}\n\treturn ret;",
        f"{TRIED}if (ret)\n\t\treturn ret;\n\t{IN_CALLER}\n\treturn 0;",
    ],
    ids=["always", "where it succeeds", "compared", "unless it fails"],
)
def test_invalidated_by_the_caller(call):
    """It looks at whether the store was refused, or does not."""
    assert verdict(STORE, call) == "covered"


@pytest.mark.parametrize(
    "change",
    [
        {"behind": STORE},
        {"behind": f"{STORE}\n\tif (big->state.borrowed)\n\t\t{MARK}"},
        {"behind": f"{STORE}\n\tif (data == 2)\n\t\treturn 0;\n\t{MARK}"},
        {"behind": f"{STORE}\n\t{MARK.replace('= 0', '= 1')}"},
        {"behind": f"{STORE}\n\t{MARK.replace('root_mmu', 'guest_mmu')}"},
        {"behind": f"{STORE}\n\t{MARK.replace('big->vcpu.', 'other->')}"},
        {"behind": f"{MARK}\n\tkvm_init_mmu(&big->vcpu);\n\t{STORE}"},
        {"behind": f"if (data)\n\t\t{MARK}\n\t{STORE}"},
        {"behind": f"if (data)\n\t\t{STORE}\n\telse\n\t\t{MARK}"},
        {"behind": f"if (data == 2)\n\t\tgoto out;\n\t{MARK}\nout:\n\t{STORE}"},
        {"behind": STORE, "call": f"{TRIED}if (ret)\n\t\t{IN_CALLER}\n\treturn ret;"},
        {
            "behind": STORE,
            "call": f"{TRIED}if (!ret)\n\t\twhich = 0;\n\telse\n\t\t{IN_CALLER}\n\treturn ret;",
        },
        {"behind": STORE, "call": f"{TRIED}if (!ret)\n\t\treturn 0;\n\t{IN_CALLER}\n\treturn ret;"},
        {
            "behind": STORE,
            "call": f"{TRIED}ret = which;\n\tif (!ret)\n\t\t{IN_CALLER}\n\treturn ret;",
        },
        {
            "behind": f"{STORE}\n\tif (data == 2)\n\t\treturn -22;",
            "call": f"{TRIED}if (!ret)\n\t\t{IN_CALLER}\n\treturn ret;",
        },
        {"edits": [("if (!init_event)\n\t\t__", "__")]},
        {"edits": [("kvm_vcpu_reset(vcpu, true)", "kvm_vcpu_reset(vcpu, false)")]},
        {"edits": [("kvm_vcpu_reset(vcpu, true)", "kvm_vcpu_reset(vcpu, vcpu->arch.hflags)")]},
        {"edits": [("\tif (!init_event)", "\tinit_event = false;\n\tif (!init_event)")]},
        {"edits": [("\tif (!init_event)\n\t\t__big_reset(vcpu);",
                    "\t{\n\t\tbool init_event = vcpu->arch.hflags;\n\n"
                    "\t\tif (!init_event)\n\t\t\t__big_reset(vcpu);\n\t}")]},
        {"edits": [("\tif (!init_event)", "\tflip(init_event);\n\tif (!init_event)"),
                   ("static struct big_host host;",
                    "static struct big_host host;\n\n#define flip(x) ((x) = !(x))")]},
        {"edits": [("\tkvm_vcpu_reset(vcpu, false);\n\tkvm_init_mmu(vcpu);\n",
                    "\tkvm_init_mmu(vcpu);\n\tkvm_vcpu_reset(vcpu, false);\n")]},
        {"edits": [("\tkvm_vcpu_reset(vcpu, false);\n", "\tstruct kvm_vcpu *v;\n\tint i;\n\n"
                    "\tkvm_for_each_vcpu(i, v, vcpu->kvm)\n\t\tkvm_vcpu_reset(v, false);\n")]},
        {"edits": [("kvm_vcpu_reset(vcpu, false)", "kvm_vcpu_reset(first_vcpu, false)")],
         "more": "\nstatic struct kvm_vcpu *first_vcpu;\n"},
        {"edits": [("\t\t__big_reset(vcpu)", "\t\t__big_reset(other_of(vcpu))")]},
        {"edits": [("*limit_of(&big->state.limits, data) = data;",
                    "fill(&big->state.limits, data);")]},
        {"edits": [("return &limits->other_bits;", "return (u32 *)limits;")]},
        {"edits": [("\tset_up_limits(&host);", "\tset_up_limits(guess);")],
         "more": late("set_limits(&big->state.limits);")
         + late("limits->walk_bits = 1;", "struct limits *limits").replace("late", "set_limits")},
        {"more": late("big->state.limits.walk_bits = 1;")},
        {"more": late(WHOLE)},
        {"more": late("big->state.limits = host.limits;")},
        {"more": late("big->state = *other;")},
        {"more": late("struct limits *l = &big->state.limits;\n\n\tl->walk_bits = 1;")},
        {"more": late("limits->walk_bits = 1;", "struct limits *limits")},
        {"more": late("big->state.borrowed->walk_bits = 1;")},
        {"more": late("memset(&big->state.front, 0, 64);")},
        {"more": late("memset((void *)&big->state.front, 0, big->state.behind);")},
        {"more": late("memcpy(big->state.fronts, list, sizeof(struct big_state));")},
        {"more": EACH + late(
            f"for_each_big(i, big) {{\n\t\t{STORE}\n\t}}\n\t{MARK}", "u32 data"
        ).replace("{\n\tfor_each", "{\n\tstruct vcpu_big *big;\n\n\tfor_each")},
        {"more": EACH + late(f"{STORE}\n\tfor_each_big(i, big)\n\t\tkick(big);\n\t{MARK}",
                      "struct vcpu_big *big, u32 data")},
        {"more": late("memcpy(&big->state.earlier, e, sizeof(*e));",
                      "struct vcpu_big *big, struct big_state *e")},
        {"more": late("void *at = &big->state.fronts[1];\n\n\tmemset(at, 0, 8);")},
        {"more": late("u32 kept[N_OTHER];\n\n\tmemcpy(big->state.named, kept, sizeof(kept));")},
        {"more": late("u64 kept[N_NAMED];\n\n\tmemcpy(big->state.named, kept, sizeof(kept));")},
        {"more": late("memcpy(&big->state.front, list, offsetof(struct big_state, behind) - "
                      "offsetof(struct big_state, front));")},
        {"more": late("list->big->state.limits.walk_bits = 1;", "struct list *list")
         + "\nstruct list {\n\tstruct vcpu_big *big;\n};\n"},
    ],
    ids=[
        "nothing", "under a condition", "left in between", "valid", "another context",
        "another vCPU", "set up in between", "in front under a condition", "in another branch",
        "jumped to", "where it fails", "unless it succeeds", "left where it succeeds",
        "of another call", "refused behind the store", "reset at any time", "reset late",
        "reset at times", "told otherwise", "told by another one of the name", "told by a macro",
        "created after the set-up",
        "a reset of all", "of another one", "of what is asked for", "given away", "cast",
        "helper of another file", "second store", "second copy", "second record",
        "record around it", "pointer", "no caller", "pointer of a record",
        "more bytes than in front", "bytes by a member", "bytes of the record",
        "invalid behind the loop", "another one behind a loop", "bytes of another parameter",
        "bytes behind a variable",
        "another array", "another element", "bytes by places",
        "in a list",
    ],
)  # fmt: skip
def test_a_change_that_the_role_survives(change):
    """One store of it leaves a role that a set-up may take for its own."""
    assert verdict(**change) in ("gap", "unknown")


FAILED = f"if (ret)\n\t\treturn ret;\n\t{IN_CALLER}\n\treturn 0;"
KEEPING = "\nstatic void keep(struct kvm_vcpu *vcpu, int n)\n{\n\tvcpu->arch.hflags = n;\n}\n"
INTO = "\n#define check_into(r, n) ((r) = (n))\n#define check_it(n) (ret = (n))\n"
BAIL = "\n#define BAIL(c) do { if (c) return 0; } while (0)\n"


@pytest.mark.parametrize(
    "between",
    [
        "ret = which;",
        "ret++;",
        "(ret) = which;",
        "if ((ret = which))\n\t\treturn ret;",
        "{\n\t\tint ret = data;\n\n\t\tif (ret)\n\t\t\treturn ret;\n\t}",
        "if (data) {\n\t\tint other, ret = 1;\n\n\t\tif (ret)\n\t\t\treturn ret;\n\t}",
        "fill(vcpu, &ret);",
        "fill(vcpu, &(ret));",
        "WARN_ON(get_user(ret, vcpu->arch.at));",
        "check_into(ret, which);",
        "check_it(which);",
        "swap(ret, which);",
        'asm("" : "=r" (ret) : "r" (data));',
        "for (ret = 0; ret < 4; ret++)\n\t\twhich++;",
        "list_for_each(ret, which)\n\t\tdata++;",
    ],
)
def test_a_failure_that_is_another_one(between):
    """What a call has returned is known to be 0 as long as it is read alone."""
    assert verdict(STORE, f"{TRIED}{between}\n\t{FAILED}", more=INTO) in ("gap", "unknown")


@pytest.mark.parametrize(
    "edits",
    [
        [("\tint ret;\n", "\tint ret;\n\tint *at = &ret;\n"), (TRIED, f"{TRIED}*at = which;\n\t")],
        [("\tint ret;\n", "\tstatic int ret;\n")],
        [
            ("\tint ret;\n", ""),
            ("static struct big_host", "static int ret;\nstatic struct big_host"),
        ],
    ],
    ids=["pointer", "static", "global"],
)
def test_a_failure_that_others_may_store(edits):
    """A variable that is not of one call alone may hold something else at any time."""
    assert verdict(STORE, f"{TRIED}{FAILED}", edits=edits) in ("gap", "unknown")


@pytest.mark.parametrize(
    "between",
    [
        "data = ret;",
        "keep(vcpu, ret);",
        "which = ret ? 1 : data;",
        "if (ret < 0)\n\t\treturn ret;",
        "if (data == 3)\n\t\twhich = (u32)ret + 1;",
        'asm volatile("" : : : "memory");',
    ],
)
def test_a_failure_that_is_read(between):
    """It is still the one of the call."""
    assert verdict(STORE, f"{TRIED}{between}\n\t{FAILED}", more=KEEPING) == "covered"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (f'{TRIED}asm goto("jmp %l[out]" : : : : out);\n\t{IN_CALLER}\nout:\n\treturn 0;',
         "gap"),
        (f'{TRIED}asm volatile goto("" : : "r" (ret) : : out);\n\t{IN_CALLER}\nout:\n\treturn 0;',
         "gap"),
        (f'{TRIED}{IN_CALLER}\n\tasm goto("jmp %l[out]" : : : : out);\nout:\n\treturn 0;',
         "covered"),
        (f"do {{\n\t\tif (data == 3)\n\t\t\treturn 0;\n\t\t{TRIED}}} while (--data);\n\t{IN_CALLER}"
         "\n\treturn 0;", "gap"),
        (f"while (which--) {{\n\t\tif (data == which)\n\t\t\tgoto out;\n\t\t{TRIED}}}\n\t"
         f"{IN_CALLER}\nout:\n\treturn 0;", "gap"),
        (f"do {{\n\t\t{TRIED}if (ret)\n\t\t\tbreak;\n\t}} while (--data);\n\t{FAILED}", "gap"),
        (f"do {{\n\t\tif (data == 3)\n\t\t\tbreak;\n\t\t{TRIED}}} while (--data);\n\t{IN_CALLER}"
         "\n\treturn 0;", "covered"),
        (f"do {{\n\t\tif (data == 3)\n\t\t\treturn 0;\n\t\t{TRIED}{IN_CALLER}\n\t}} while (--data);"
         "\n\treturn 0;", "covered"),
        (f"do {{\n\t\tBAIL(data == 3);\n\t\t{TRIED}}} while (--data);\n\t{IN_CALLER}\n\t"
         "return 0;", "gap"),
    ],
    ids=[
        "assembler that jumps", "volatile", "behind it", "left in the next turn",
        "jumped to from the next turn", "fails in the next turn", "a turn that ends the loop",
        "in the same turn", "left by a macro in the next turn",
    ],
)  # fmt: skip
def test_what_leads_past_an_invalidation(code, expected):
    """A jump of the assembler's, or one in front of the change that a loop comes by again."""
    assert verdict(STORE, code, more=BAIL) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"edits": [(OPERATION, ".vcpu_reset = big_op(vcpu_reset),")],
         "more": "\n#define big_op(name) big_##name\n"},
        {"more": late("host.limits.walk_bits = 5;\n\tset_up_limits(&host);", "void")},
        {"more": late("struct limits limits = host.limits;\n\n\tlimits.walk_bits = 5;", "void")},
        {"more": late("big->state.limits.other_bits = 5;")},
        {"early": STORE.replace("data", "3")},
        {"more": late("memset(&big->state.front, 0, sizeof(big->state.front));")},
        {"more": late("memset(big->state.fronts, 0, sizeof(big->state.fronts));")},
        {"more": late("u32 kept[N_NAMED];\n\n\tmemcpy(big->state.named, kept, sizeof(kept));")},
        {"more": late("memcpy(&big->state.earlier, e, sizeof(*e));",
                      "struct vcpu_big *big, struct earlier *e")},
        {"more": late("memset(&big->state.behind, 0, 64);")},
        {"more": EACH + late(
            f"for_each_big(i, big) {{\n\t\t{STORE}\n\t\t{MARK}\n\t}}", "u32 data"
        ).replace("{\n\tfor_each", "{\n\tstruct vcpu_big *big;\n\n\tfor_each")},
        {"more": late("memcpy(big->state.fronts, list, n * sizeof(u32));",
                      "struct vcpu_big *big, void *list, int n")},
    ],
    ids=["pasted operation", "host", "copy", "another member", "early store", "bytes in front",
         "array in front", "array by a name", "bytes of a parameter", "bytes behind",
         "each in its turn",
         "elements in front"],
)  # fmt: skip
def test_what_is_no_change(change):
    """It is of something else, or in the making of a vCPU."""
    assert verdict(**change) == "covered"
