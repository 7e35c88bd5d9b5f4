# SPDX-License-Identifier: GPL-2.0-only
"""What a call may run and change, where members are come by through addresses and tables."""

import pytest
from edited import Files, check, fixture

from patchtool.c.index import Index
from patchtool.target.kvm import KVM
from patchtool.world.closure import Closure
from patchtool.world.effects import Effects

MMU = "arch/x86/kvm/mmu/mmu.c"
FIXED = fixture("role-regs-fixed")


def closure(code, more=()):
    """Return what is known of a fixture with some more code."""
    files = {**FIXED, MMU: FIXED[MMU] + code.encode(), **dict(more)}
    index = Index(Files(files), KVM)
    tables = {"flush": "vmx_flush"}

    def operations(name):
        if name not in tables:
            return ()
        found = index.functions(tables[name], "arch/x86/kvm/vmx/vmx.h")
        return tuple((one.name, one) for one in found)

    return index, Closure(index, operations)


@pytest.mark.parametrize(
    ("body", "is_parked"),
    [
        ("u64 *p = &v->arch.spare;\n\n\t*p = 1;", False),
        ("u64 *p;\n\n\tp = &v->arch.spare;\n\t*p = 1;", False),
        ("read_msr(&kvm_host.spare);", False),
        ("u64 *p;\n\n\tp = &v->arch.spare;\n\tkeep(p);", True),
        ("parked = &v->arch.spare;", True),
        ("read_msr(&v->arch.spare);", True),
    ],
)
def test_kept_addresses(body, is_parked):
    """An address in a variable that is followed only is not kept, whenever it was set."""
    _, known = closure(f"void keeper(struct kvm_vcpu *v)\n{{\n\t{body}\n}}\n")
    assert known.is_parked("spare") is is_parked


@pytest.mark.parametrize(
    ("member", "is_parked"),
    [("struct part spare;", False), ("u64 spare;", True), ("struct part *spare;", True)],
)
def test_kept_addresses_of_records(member, is_parked):
    """A record is changed by the names of its members, and is no word of the same name."""
    _, known = closure(
        f"struct holder {{\n\t{member}\n}};\n"
        "void *keeper(struct holder *v)\n{\n\treturn &v->spare;\n}\n"
    )
    assert known.is_parked("spare") is is_parked


@pytest.mark.parametrize(
    ("body", "may_store"),
    [
        ("inner(vcpu);", False),
        ("vcpu->arch.spare = 1;", True),
        ("unheard_of(vcpu)(vcpu);", True),
    ],
)
def test_a_table_leads_into_a_header(body, may_store):
    """What a function of a header calls is looked for in that header as well."""
    header = (
        "static inline void inner(struct kvm_vcpu *vcpu) {}\n"
        f"static inline void vmx_flush(struct kvm_vcpu *vcpu)\n{{\n\t{body}\n}}\n"
    )
    caller = "void caller(struct kvm_vcpu *vcpu)\n{\n\tops->flush(vcpu);\n}\n"
    index, known = closure(caller, {"arch/x86/kvm/vmx/vmx.h": header.encode()}.items())
    (function,) = index.functions("caller", MMU)
    assert known.may_store(function, frozenset({"spare"})) is may_store


@pytest.mark.parametrize("word", ["volatile", "static", "inline"])
def test_a_word_of_the_language_is_called_by_nobody(word):
    """Whatever is declared with it: ``asm volatile("...")`` is no call."""
    code = f'{word} u64 flushed;\n\nvoid flush(void)\n{{\n\tasm {word}("");\n}}\n'
    index, known = closure(code)
    (function,) = index.functions("flush", MMU)
    assert not known.may_store(function, frozenset({"spare"}))


GIVEN = """
struct box {
	void (*run)(struct kvm_mmu *m);
};

static void drop(struct kvm_mmu *m)
{
	m->cpu_role.base.level = 0;
}

static void idle(struct kvm_mmu *m)
{
}

static void each(struct kvm_mmu *m, void (*f)(struct kvm_mmu *m))
{
	f(m);
}

static void by_pointer(struct kvm_mmu *m, struct box *box)
{
	box->run(m);
}

static void by_value(struct kvm_mmu *m, struct box box)
{
	box.run(m);
}

static void init_kvm_tdp_mmu("""


@pytest.mark.parametrize("function", ["drop", "idle"])
@pytest.mark.parametrize(
    "call",
    [
        "each(context, FUNCTION);",
        "each(context, vcpu->arch.hflags & 1 ? FUNCTION : idle);",
        "void (*f)(struct kvm_mmu *m) = FUNCTION;\n\n\t\teach(context, f);",
        "struct box box = { FUNCTION };\n\n\t\teach(context, box.run);",
        "struct box box = { FUNCTION };\n\n\t\tby_pointer(context, &box);",
        "struct box box = { FUNCTION };\n\n\t\tby_value(context, box);",
    ],
    ids=["itself", "chosen", "variable", "member", "by a record", "by the value of one"],
)
def test_a_function_that_is_given_to_a_function(call, function):
    """What a call is given it may call: it is not passed over for what it does itself."""
    files = fixture("cpu-role-fixed")
    text = files[MMU].decode()
    skip = "context->root_role.word)\n\t\treturn;\n"
    assert skip in text
    code = call.replace("FUNCTION", function)
    text = text.replace(skip, f"context->root_role.word) {{\n\t\t{code}\n\t\treturn;\n\t}}\n", 1)
    text = text.replace("\nstatic void init_kvm_tdp_mmu(", GIVEN, 1)
    report = check({**files, MMU: text.encode()})
    assert (report.verdict == "covered") == (function == "idle"), report.unknowns


FILLS = [
    ("v->arch.cr4 &= ~v->arch.cr4_guest_owned_bits;", False),
    ("v->arch.cr4 |= vmcs_readl(GUEST_CR4) & v->arch.cr4_guest_owned_bits;", False),
    ("v->arch.cr3 = vmcs_readl(GUEST_CR3);", False),
    ("v->arch.cr3 = svm->vmcb->save.cr3;", False),
    ("v->arch.regs[4] = vmcs_readl(GUEST_RSP);", False),
    ("refill(v);", False),
    ("v->arch.cr4 = vmcs_readl(GUEST_CR4);", True),
    ("v->arch.cr4 = svm->vmcb->save.cr4;", True),
    ("v->arch.cr4 = vmcs_readl(GUEST_CR4) & v->arch.cr4_guest_owned_bits;", True),
    ("v->arch.cr4 |= vmcs_readl(GUEST_CR4);", True),
    ("v->arch.cr3 |= vmcs_readl(GUEST_CR3);", True),
    ("v->arch.cr4 ^= v->arch.cr8 << 5;", True),
    ("v->arch.cr4 = vmcs_readl(GUEST_CR0);", True),
    ("v->arch.cr4 = vmcs_readl(GUEST_CR4) | v->arch.cr8;", True),
    ("v->arch.cr4 &= ~v->arch.cr8;", True),
    ("v->arch.cr4 |= v->arch.cr8 & v->arch.cr4_guest_owned_bits;", True),
    ("copy(&v->arch.cr4);", True),
    ("v->arch.efer = 0;", True),
    ("spoil(v);", True),
]
HELPERS = """
static void refill(struct kvm_vcpu *v)
{
	v->arch.cr3 = vmcs_readl(GUEST_CR3);
}

static void spoil(struct kvm_vcpu *v)
{
	v->arch.cr4 = 0;
}
"""


@pytest.mark.parametrize(("body", "is_store"), FILLS, ids=[one for one, _ in FILLS])
def test_a_hook_that_fills_what_caches_a_register(body, is_store):
    """It may take the register from where the CPU keeps it, and nothing else, nowhere else."""
    text = f"{HELPERS}\nstatic void big_cache_reg(struct kvm_vcpu *v)\n{{\n\t{body}\n}}\n"
    index, known = closure(text)
    one = index.functions("big_cache_reg", MMU)[0]
    words = frozenset({"cr3", "cr4", "regs", "efer"})
    assert known.may_store(one, words, "cache_reg") is is_store
    assert known.may_store(one, words)


@pytest.mark.parametrize(
    ("body", "stores"),
    [
        ("WARN_ON_ONCE(v->arch.spare.hpa != 0);", False),
        ("if (v->arch.spare.hpa && v->arch.spare.list[2] > 4)\n\t\treturn;", False),
        ("WARN_ON_ONCE(IS_KEPT(v->arch.spare.hpa));", False),
        ("if (IS_KEPT(v->arch.spare))\n\t\treturn;", False),
        ("v->arch.spare.hpa = 0;", True),
        ("v->arch.spare.list[2]++;", True),
        ("u64 *list = v->arch.spare.list;\n\n\tlist[0] = 1;", True),
        ("fill(v->arch.spare.list);", True),
        ("if (FILLED(v->arch.spare.list) && (v)->arch.other)\n\t\treturn;", True),
        ("if (COUNTED(v->arch.spare) == 4)\n\t\treturn;", True),
        ("if (&v->arch.spare.hpa == p)\n\t\treturn;", True),
    ],
)
def test_parts_that_are_compared(body, stores):
    """A part that is compared is read, by a macro too; one that is an array is an address."""
    code = (
        "#define IS_KEPT(x) ((x) != 0)\n#define FILLED(x) (fill(x) != 0)\n"
        "#define COUNTED(x) ((x)++ != 0)\nvoid fill(u64 *p);\n"
        f"void keeper(struct kvm_vcpu *v)\n{{\n\t{body}\n}}\n"
    )
    index, known = closure(code)
    (keeper,) = index.functions("keeper", MMU)
    assert known.names_to_store(keeper, "spare") is stores


GIVEN_TO_MACROS = """\
#define CHECKED(cond, k) ({ bool __ret = !!(cond); if (__ret && !(k)->bugged) bug(k); __ret; })
#define BY_ANOTHER(k) CHECKED(1, k)
#define SET(k) ((k) = 0)
#define ROUND(k) AND_ROUND(k)
#define AND_ROUND(k) (ROUND(k) + 1)
#define FILLED(k) fill(&(k))
#define ASSEMBLED(k) asm("" : "+m"(k))
#define PRINTED(k, fmt...) (!!(k) && print(fmt))
#define PASTED(k) (k ## _old)
#define KEPT(v) (v)->arch.kept
static void bug(struct kvm *kvm)
{
}

static void fill(u64 *p)
{
}

"""


@pytest.mark.parametrize(
    ("body", "member", "stores"),
    [
        ("CHECKED(1, v->kept);", "kept", False),
        ("CHECKED(v->kept, v->other);", "kept", False),
        ("BY_ANOTHER(v->kept);", "kept", False),
        ("CHECKED(v->kept++, v->other);", "kept", True),
        ("SET(v->kept);", "kept", True),
        ("ROUND(v->kept);", "kept", True),
        ("FILLED(v->kept);", "kept", True),
        ("ASSEMBLED(v->kept);", "kept", True),
        ('PRINTED(v->kept, "");', "kept", True),
        ("PASTED(v->kept);", "kept", True),
        ("fill(v->kept);", "kept", False),
        ("fill(v->kept);", "kept[]", True),
        ("fill(KEPT(v));", "kept[]", True),
        ("u64 *p = v->kept;\n\n\tp[0] = 1;", "kept[]", True),
        ("if (v->kept[0] == 1)\n\t\treturn;", "kept[]", False),
        ("if (ARRAY_SIZE(v->kept) == 1)\n\t\treturn;", "kept[]", False),
    ],
)
def test_what_a_member_is_given_to(body, member, stores):
    """A macro that reads what it is given stores nothing; what an array is given to may."""
    code = f"{GIVEN_TO_MACROS}void keeper(struct kvm_vcpu *v)\n{{\n\t{body}\n}}\n"
    index, known = closure(code)
    (keeper,) = index.functions("keeper", MMU)
    assert known.names_to_store(keeper, member) is stores


PASTED = """
struct one_ops {
	int (*init)(struct kvm_vcpu *vcpu);
};

static struct one_ops one_ops;

#define one_call(func) static_call(kvm_x86_one_##func)
#define ONE_OP(func) static_call_update(kvm_x86_one_##func, one_ops.func);

static void set_it_up(struct kvm_vcpu *vcpu)
{
}

static int plain_init(struct kvm_vcpu *vcpu)
{
	return 0;
}

static struct one_ops plain_ops = { .init = plain_init };

static void asking(struct kvm_vcpu *vcpu)
{
	one_call(init)(vcpu);
}
"""


@pytest.mark.parametrize(
    ("old", "new", "may_run"),
    [
        ("", "", False),
        ("one_call(init)", "static_call(kvm_x86_one_init)", False),
        ("one_ops.func)", "(void *)one_ops.func ? : \\\n\t(void *)__static_call_return0)", False),
        ("return 0;", "set_it_up(vcpu);\n\treturn 0;", True),
        ("one_call(init)", "one_call(exit)", True),
        (", one_ops.func)", ", pick(one_ops.func))", True),
        (", one_ops.func)", ", other_##func)", True),
        ("static_call(kvm_x86_one_##func)", "table[func]", True),
        ("one_call(func)", "one_call(other, func)", True),
    ],
    ids=[
        "by a macro", "by itself", "or 0", "sets up", "another member", "picked", "pasted",
        "an element", "two parameters",
    ],
)  # fmt: skip
def test_a_static_call_of_a_member_of_a_table(old, new, may_run):
    """What macros give a static call by the name of a member is what the tables keep there."""
    assert old in PASTED
    code = PASTED.replace(old, new, 1) if old else PASTED
    index = Index(Files({**FIXED, MMU: FIXED[MMU] + code.encode()}), KVM)
    effects = Effects(index, frozenset({"shadow_root_level"}), frozenset({"kvm_mmu"}))
    (asking,) = index.functions("asking", MMU)
    assert effects.may_run(asking, frozenset({"set_it_up"})) is may_run


def test_a_label_is_no_variable():
    """What is jumped to may have the name of a function that is called there."""
    code = (
        "static void drop(struct kvm_vcpu *vcpu)\n{\n}\n\n"
        "static int leaving(struct kvm_vcpu *vcpu)\n{\n\tif (vcpu)\n\t\tgoto drop;\n"
        "\treturn 0;\ndrop:\n\tdrop(vcpu);\n\treturn 1;\n}\n"
    )
    for words, may_run in ((code, False), (code.replace("goto drop", "hook_t drop"), True)):
        index, known = closure(words)
        (leaving,) = index.functions("leaving", MMU)
        assert known.may_run(leaving, frozenset({"set_it_up"})) is may_run


@pytest.mark.parametrize(
    ("macros", "body", "runs"),
    [
        ("#define LATE deep(v)\n", "LATE;", True),
        ("#define LATE deep(v)\n#define LATER LATE\n", "LATER;", True),
        ("#define LATE do { \\\n\tdeep(v); \\\n} while (0)\n", "LATE;", True),
        ("#define LATE deep\n", "LATE(v);", True),
        ("#define LATE spare(v)\n", "LATE;", False),
        ("#define LATE 3\n", "v->arch.cr0 = LATE;", False),
    ],
)
def test_a_macro_without_parameters(macros, body, runs):
    """It may call what it does not look like."""
    code = "\nvoid deep(struct kvm_vcpu *v)\n{\n\tv->arch.cr4 = 0;\n}\n"
    code += "void spare(struct kvm_vcpu *v)\n{\n}\n"
    code += f"{macros}void start(struct kvm_vcpu *v)\n{{\n\t{body}\n}}\n"
    index, known = closure(code)
    (start,) = index.functions("start", MMU)
    assert known.may_run(start, frozenset({"deep"})) is runs
    assert known.may_store(start, frozenset({"cr4"})) is runs


OUTSIDE = "arch/x86/include/asm/apic.h"


@pytest.mark.parametrize(
    ("body", "more", "runs"),
    [
        ("static_call_cond(apic_send)(mask);", "", False),
        ("static_call_mod(apic_send)(mask);", "", False),
        ("static_call_cond(apic_send)(mask);", "static_call_update(apic_send, &sending);", True),
        ("apic_send[mask](mask);", "", True),
    ],
)
def test_a_static_call_of_outside(body, more, runs):
    """What a static call of another subsystem runs is none of the target's, unless that aims it."""
    header = f"static inline void apic_mask(int mask)\n{{\n\t{body}\n}}\n"
    code = (
        f"#include <asm/apic.h>\nvoid sending(int mask)\n{{\n\tkvm_init_mmu(0);\n}}\n"
        f"void aiming(void)\n{{\n\t{more}\n}}\nvoid sends(void)\n{{\n\tapic_mask(1);\n}}\n"
    )
    index, known = closure(code, {OUTSIDE: header.encode()}.items())
    (function,) = index.functions("sends", MMU)
    assert known.may_run(function, frozenset({"kvm_init_mmu"})) is runs


def test_the_ends_of_a_range_of_cases():
    """What stands behind an ellipsis is no member that is called."""
    index, known = closure(
        "#define LAST(n) (8 + (n))\nvoid ranged(int n)\n{\n\tswitch (n) {\n"
        "\tcase 1 ... LAST(4):\n\t\tbreak;\n\t}\n}\n"
    )
    (function,) = index.functions("ranged", MMU)
    assert not known.may_run(function, frozenset({"kvm_init_mmu"}))
