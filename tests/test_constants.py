# SPDX-License-Identifier: GPL-2.0-only
"""Objects of the host: alike at all times if only what runs at module load stores to them."""

import pytest
from edited import check, fixture

MMU = "arch/x86/kvm/mmu/mmu.c"
BRANCH = """
#define __check__(x, e) ({ static struct f ______f = { .line = 1 }; touch(&______f); \
	__builtin_expect(!!(x), e); })
#define likely(x) (__check__(x, 1))
#define unlikely(x) (__check__(x, 0))
#define min(x, y) __careful_cmp(x, y, <)
"""
MODULE = "arch/x86/kvm/host.c"
GENERIC = "virt/kvm/kvm_main.c"
FIXED = fixture("role-regs-fixed")
SETTER = "int host_level;\n\nvoid set_host_level(int level)\n{\n\thost_level = level;\n}\n"
SETUP = "void set_host_level(int level);\n\nint host_setup(void)\n{\n\tset_host_level(4);\n}\n"
INIT = "int host_setup(void);\n\nint kvm_init(void)\n{\n\treturn host_setup();\n}\n"
MARKED = "int kvm_init(void);\n\nstatic int __init host_init(void)\n{\n\treturn kvm_init();\n}\n"
STARTED = "int kvm_init(void);\n\nstatic int host_init(void)\n{\n\treturn kvm_init();\n}\n"


def level(*parts, generic=INIT, what="host_level", declared="extern int host_level;\n"):
    """Return the verdict of a check where a level comes from an object, with some more code."""
    text = FIXED[MMU].decode()
    before = "\tcontext->root_level = role_regs_to_root_level(&regs);"
    assert before in text
    text = text.replace(before, f"\tcontext->root_level = {what} & 7;")
    files = {
        **FIXED,
        MMU: text.replace("#define ACC_ALL", f"{declared}#define ACC_ALL").encode(),
        MODULE: b"#include <linux/kvm_host.h>\n#include <asm/branch.h>\n"
        + "\n".join(parts).encode(),
        "arch/x86/include/asm/branch.h": BRANCH.encode(),
        GENERIC: b"#include <linux/kvm_host.h>\n" + generic.encode(),
    }
    return check(files).verdict


@pytest.mark.parametrize(
    "parts",
    [
        (SETTER, SETUP, MARKED),
        (SETTER, SETUP, STARTED, "module_init(host_init);\n"),
        (SETTER, SETUP, STARTED, "late_initcall(host_init);\n"),
        (SETTER, "EXPORT_SYMBOL_GPL(set_host_level);\n", SETUP, MARKED),
    ],
)
def test_set_at_module_load(parts):
    """A store that only what runs at module load comes to, however far, leaves a constant."""
    assert level(*parts) == "covered"


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ('asm volatile("movl $5, host_level(%%rip)" : : : "memory");', "unknown"),
        ('asm("nop; "\n\t\t"incl host_level(%%rip)");', "unknown"),
        ('__asm__ __volatile__ goto ("movl $5, host_level(%%rip)" : : : : out);\nout:', "unknown"),
        ('asm volatile("nop" : : : "memory");', "covered"),
        ('say("host_level is set");', "covered"),
    ],
)
def test_a_store_by_assembler(line, verdict):
    """What assembler text names may be stored to there, at any time."""
    late = f"\nvoid devil(void)\n{{\n\t{line}\n}}\n"
    assert level(SETTER + late, SETUP, MARKED) == verdict


def test_a_file_for_the_assembler():
    """What it names may be stored to, and a function that leads to a set-up be called."""
    path = "arch/x86/kvm/vmx/enter.S"
    assert check({**FIXED, path: b"SYM_FUNC_START(devil)\n\tret\n"}).verdict == "covered"
    for name in (b"init_kvm_tdp_mmu", b"kvm_init_mmu"):
        report = check({**FIXED, path: b"SYM_FUNC_START(devil)\n\tcall %s\n\tret\n" % name})
        assert [(one.place.file, one.place.line, one.reason) for one in report.unknowns] == [
            (path, 2, f"assembler text names {name.decode()}()")
        ]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("#endif\n\nmodule_param(host_level, int, 0444);\n", "covered"),
        ("#endif\n\nmodule_param_named(x, host_level, int, S_IRUGO);\n", "covered"),
        ("#endif\n\nmodule_param_named(x, host_level, int, 0644);\n", "gap"),
        ("#endif\n\nmodule_param_cb(x, &ops, &host_level, 0644);\n", "gap"),
        ("#endif\n\n#define MODE 0644\nmodule_param(host_level, int, MODE);\n", "gap"),
        ("#endif\n\nmodule_param(host_level, int, 420);\n", "gap"),
        ("#endif\n\nmodule_param(host_level, int, S_IALLUGO);\n", "gap"),
        ("#endif\n\nmodule_param(host_level, int, 0444 | 0200);\n", "gap"),
        ("#endif\n\nmodule_param(host_level, int, S_IRUSR | S_IRGRP);\n", "covered"),
        ("#endif\nstatic int *list[] = { &host_level };\n", "unknown"),
        ('#endif\nint show(char *s)\n{\n\treturn sysfs_emit(s, "%d", host_level);\n}\n', "covered"),
        ("#endif\n#define SET(a, n) (a##_level = (n))\nvoid f(int n)\n{\n\tSET(host, n);\n}\n",
         "unknown"),
        ("#endif\n#define SET(a, n) (a##_level = (n))\nvoid f(int n)\n{\n\tSET(other, n);\n}\n",
         "covered"),
    ],
)  # fmt: skip
def test_named_at_file_scope(text, verdict):
    """A parameter that nobody may write is as it was; what may make the name may store to it."""
    assert level(SETTER, SETUP, MARKED, f"#ifdef CONFIG_X\nint x;\n{text}") == verdict


@pytest.mark.parametrize(
    "parts",
    [
        (SETTER, SETUP),  # nothing calls kvm_init(): anybody may
        (SETTER, SETUP, STARTED),
        (SETTER, SETUP, STARTED, "module_exit(host_init);\n"),
        (SETTER, SETUP, STARTED, "struct ops ops = { .open = host_init };\n"),
        (SETTER, SETUP, MARKED, "void late(int n)\n{\n\tset_host_level(n);\n}\n"),
        (SETTER, SETUP, MARKED, "void __init f(void)\n{\n\tqueue(&work, set_host_level);\n}\n"),
        (SETTER, SETUP, MARKED, "struct ops ops = { .set = set_host_level };\n"),
    ],
)
def test_set_at_any_time(parts):
    """One to which another function comes, or somebody who has an address, is none."""
    assert level(*parts) in ("gap", "unknown")


HOST = "struct host {\n\tint level, other;\n};\n\nextern struct host host;\n"
OBJECT = "struct host host;\n"
GIVEN = "void late(int n)\n{\n\ttake(&host, n);\n}\n"


@pytest.mark.parametrize(
    ("verdict", "parts"),
    [
        ("covered", [OBJECT]),
        ("unknown", [OBJECT, GIVEN]),
        ("unknown", [OBJECT, "void take(struct host *h, int n)\n{\n\th->other = n;\n}\n", GIVEN]),
        ("unknown", [OBJECT, "static void f(struct host *h)\n{\n\th->level = 1;\n}\n", GIVEN]),
        ("gap", [OBJECT, "void take(struct host *h, int n)\n{\n\th->level = n;\n}\n", GIVEN]),
        ("gap", [OBJECT, "void late(int n)\n{\n\thost.level = n;\n}\n"]),
    ],
)
def test_address_of_an_object(verdict, parts):
    """Who has its address may change it; a gap needs a store that could be to it."""
    assert level(HOST, *parts, what="host.level", declared=HOST) == verdict


READER = "static int told(struct host *h, int n)\n{{\n\t{}\n\treturn h->other;\n}}\n"
GIVER = "int late(int n)\n{{\n\tstruct host *p;\n\n\t{}\n\treturn told({}, n);\n}}\n"


@pytest.mark.parametrize(
    ("above", "body", "first", "given", "is_constant"),
    [
        ("", "", "", "&host", True),
        ("", "", "p = &host;", "p", True),
        ("", "h->level = n;", "", "&host", False),
        ("#define THIS h->level\n", "THIS = n;", "", "&host", False),
        ("#define THIS h->level\n#define SET(v) (THIS = (v))\n", "SET(n);", "", "&host", False),
        ("#define SAME(h) ((h)->other)\n", "n = n;", "", "&host", True),
        ("", "h->level = n;", "", "p = &host", False),
        ("", "h->level = n;", "p = &host;", "p", False),
    ],
)
def test_handed_to_a_reader(above, body, first, given, is_constant):
    """Who has an address only reads by it if all that he does with it is seen to be that."""
    parts = above, READER.format(body), GIVER.format(first, given)
    found = level(HOST, OBJECT, *parts, what="host.level", declared=HOST)
    assert (found == "covered") is is_constant


@pytest.mark.parametrize(
    ("body", "is_constant"),
    [
        ("return likely(host_level) ? 1 : 2;", True),
        ("return unlikely(host_level);", True),
        ("return min(host_level, 3);", True),
        ("return ffs(host_level);", True),
        ("return somewhere(host_level);", False),
        ("return min(host_level = 3, 2);", False),
    ],
)
def test_read_by_a_macro_of_the_kernel(body, is_constant):
    """What the kernel's own macros are given by value stays, whatever variant there is of them."""
    user = f"int user(void)\n{{\n\t{body}\n}}\n"
    assert (level(SETTER, SETUP, MARKED, user) == "covered") is is_constant


EVENT = """
TRACE_EVENT(kvm_levels,
	TP_PROTO(int {name}, unsigned int other),
	TP_ARGS({name}, other),
	TP_STRUCT__entry(__field(int, {name})),
	TP_fast_assign(__entry->{name} = {what};),
	TP_printk("level (%d", __entry->{name})
);
"""


@pytest.mark.parametrize(
    ("name", "what", "is_constant"),
    [
        ("host_level", "host_level ? other : 0", True),
        ("level", "host_level = level", False),
    ],
)
def test_named_by_a_trace_event(name, what, is_constant):
    """In the definition of a trace event a parameter of it is none of ours."""
    verdict = level(SETTER, SETUP, MARKED, EVENT.format(name=name, what=what))
    assert (verdict == "covered") is is_constant


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("rdmsrl_safe(1, &host_level);", "covered"),
        ("memset(&host_level, 0, 4);", "covered"),
        ('debugfs_create_u32("x", 0644, 0, &host_level);', "unknown"),
        ("knob = &host_level;", "unknown"),
        ("keep(&host_level);", "unknown"),
        ("int *p = &host_level;\n\n\tkeep(p);", "unknown"),
    ],
)
def test_an_address_that_is_taken_at_module_load(body, verdict):
    """Who keeps it may use it at any time."""
    kept = "int *knob;\n\nstatic void keep(int *p)\n{\n\tknob = p;\n}\n"
    taken = f"{kept}\nstatic int __init taken(void)\n{{\n\t{body}\n\treturn 0;\n}}\n"
    assert level(SETTER, SETUP, MARKED, taken) == verdict


def test_an_object_that_others_define():
    """Where it is not defined, it may be stored to."""
    assert level() in ("gap", "unknown")


ASKED = (
    "extern u32 kvm_cpu_caps[2];\n\nstatic inline bool kvm_cpu_cap_has(unsigned int f)\n{\n"
    "\treturn kvm_cpu_caps[f / 32] & (1u << (f & 31));\n}\n\n"
)
SIZED = "u32 kvm_cpu_caps[2];\n\nint late(int n)\n{\n\treturn n * %s;\n}\n"
CAPS = "u32 kvm_cpu_caps[2];\n\n%svoid late(int n)\n{\n\tkvm_cpu_caps[0] = n;\n}\n"


@pytest.mark.parametrize(
    ("text", "what", "is_constant"),
    [
        ("u32 kvm_cpu_caps[2];\n", "kvm_cpu_cap_has(3)", True),
        (CAPS % "__init ", "kvm_cpu_cap_has(3)", True),
        (CAPS % "", "kvm_cpu_cap_has(3)", False),
        (SIZED % "sizeof(*kvm_cpu_caps)", "kvm_cpu_cap_has(3)", True),
        (SIZED % "sizeof(kvm_cpu_caps[0])", "kvm_cpu_cap_has(3)", True),
        (SIZED % "(u64)&kvm_cpu_caps", "kvm_cpu_cap_has(3)", False),
        (
            "u32 kvm_cpu_caps[2];\n\nstruct entry {\n\tu32 f;\n};\n\n"
            "void late(struct entry *e, int n)\n{\n\te->f = n;\n}\n",
            "kvm_cpu_cap_has(3)",
            True,
        ),
        ("u32 kvm_cpu_caps[2];\n", "kvm_cpu_cap_has(vcpu->arch.hflags)", False),
        ("u32 kvm_cpu_caps[2];\n", "boot_cpu_has(vcpu->arch.hflags)", False),
    ],
)
def test_what_the_host_can_do(text, what, is_constant):
    """It does not change if what answers does not, and one thing is asked."""
    found = level(text, what=f"({what} ? 4 : 3)", declared=ASKED)
    assert (found == "covered") is is_constant


CHANGES = "%svoid late(struct kvm_vcpu *vcpu)\n{\n\t%s;\n}\n"
DROPPED = (
    "static void guest_cap_drop(struct kvm_vcpu *vcpu, int f)\n{\n\tsetup_clear_cpu_cap(f);\n}\n\n"
)
CPU = "struct cpuinfo_x86 *c = &boot_cpu_data;\n\t"
DROP = "#define DROP_cpu_cap(f) setup_clear_cpu_cap(f)\n"
LEAF = (
    "static void entry_clear(struct kvm_cpuid_entry2 *entry, unsigned int f)\n{\n"
    "\tentry->eax &= ~(1u << f);\n%s}\n\n"
)
TOLD = "static void guest_cap_set(struct kvm_vcpu *vcpu, int f)\n{\n}\n\n"


@pytest.mark.parametrize(
    ("text", "is_constant"),
    [
        (CHANGES % ("", "use(boot_cpu_has(X86_FEATURE_LEVELS))"), True),
        (CHANGES % ("__init ", "setup_clear_cpu_cap(X86_FEATURE_LEVELS)"), True),
        (CHANGES % ("", "setup_clear_cpu_cap(X86_FEATURE_OTHER)"), True),
        (TOLD + CHANGES % ("", "guest_cap_set(vcpu, X86_FEATURE_LEVELS)"), True),
        (LEAF % "" + CHANGES % ("", "entry_clear(vcpu->leaf, X86_FEATURE_LEVELS)"), True),
        (
            LEAF % "\tsetup_clear_cpu_cap(f);\n"
            + CHANGES % ("", "entry_clear(vcpu->leaf, X86_FEATURE_LEVELS)"),
            False,
        ),
        (
            LEAF.replace("cpuid_entry2", "other") % ""
            + CHANGES % ("", "entry_clear(vcpu->leaf, X86_FEATURE_LEVELS)"),
            False,
        ),
        (CHANGES % ("", "setup_clear_cpu_cap(X86_FEATURE_LEVELS)"), False),
        (DROPPED + CHANGES % ("", "guest_cap_drop(vcpu, X86_FEATURE_LEVELS)"), False),
        (
            DROPPED.replace("\tsetup_clear", "\tDROP").replace("static", f"{DROP}static")
            + CHANGES % ("", "guest_cap_drop(vcpu, X86_FEATURE_LEVELS)"),
            False,
        ),
        (CHANGES % ("", "clear_bit(X86_FEATURE_LEVELS, caps)"), False),
        (
            "#define FEATURE X86_FEATURE_LEVELS\n#define ITS (FEATURE)\n"
            + CHANGES % ("", "setup_clear_cpu_cap(ITS)"),
            False,
        ),
        (
            "#define FEATURE X86_FEATURE_LEVELS\n" + CHANGES % ("", "use(boot_cpu_has(FEATURE))"),
            True,
        ),
        (
            "#define FORGET() setup_clear_cpu_cap(X86_FEATURE_LEVELS)\n"
            + CHANGES % ("", "FORGET()"),
            False,
        ),
        (
            "#define FORGET() setup_clear_cpu_cap(X86_FEATURE_LEVELS)\n"
            + CHANGES % ("__init ", "FORGET()"),
            True,
        ),
        (
            "static const u32 masked[] = { X86_FEATURE_LEVELS };\n\n"
            + CHANGES % ("", "setup_clear_cpu_cap(masked[0])"),
            False,
        ),
        (CHANGES % ("", "u32 f = X86_FEATURE_LEVELS;\n\n\tsetup_clear_cpu_cap(f)"), False),
        (CHANGES % ("__init ", "u32 f = X86_FEATURE_LEVELS;\n\n\tsetup_clear_cpu_cap(f)"), True),
        (
            "static u32 one(void)\n{\n\treturn X86_FEATURE_LEVELS;\n}\n\n"
            + CHANGES % ("", "setup_clear_cpu_cap(one())"),
            False,
        ),
        (
            CHANGES
            % ("", "switch (vcpu->arch.hflags) {\n\tcase X86_FEATURE_LEVELS:\n\t\tuse(2);\n\t}"),
            True,
        ),
        (CHANGES % ("", "use(vcpu->arch.hflags == X86_FEATURE_LEVELS)"), True),
        (CHANGES % ("", "boot_cpu_data.x86_capability[1] = 0"), False),
        (CHANGES % ("", "if (boot_cpu_data.x86_capability[1])\n\t\treturn"), True),
        (CHANGES % ("", CPU + "if (c->x86_capability[1])\n\t\treturn"), True),
        (CHANGES % ("", CPU + "c->x86_capability[1] = 0"), False),
        (CHANGES % ("", CPU + "*c = *other_cpu()"), False),
        (CHANGES % ("", "boot_cpu_data = *other_cpu()"), False),
        (CHANGES % ("__init ", "boot_cpu_data = *other_cpu()"), True),
        (CHANGES % ("", "memset(&boot_cpu_data, 0, sizeof(boot_cpu_data))"), False),
    ],
)
@pytest.mark.parametrize(
    "asked", ["boot_cpu_has(X86_FEATURE_LEVELS)", "(boot_cpu_data.x86_capability[1] & 8)"]
)
def test_a_feature_of_the_host_that_changes(text, is_constant, asked):
    """Who names it behind module load asks for it, or tells one guest, or changes it for all."""
    if asked.startswith("(") and "X86_FEATURE" in text:
        is_constant = True  # what a function does that is not there is not known to be to this
    declared = "#define X86_FEATURE_LEVELS 35\n#define X86_FEATURE_OTHER 36\n"
    declared += "struct cpuinfo_x86 {\n\tu32 x86_capability[4];\n};\n"
    declared += "extern struct cpuinfo_x86 boot_cpu_data;\n"
    declared += "struct cpuinfo_x86 *other_cpu(void);\n"
    started = "void late(struct kvm_vcpu *vcpu);\nvoid kvm_get(struct kvm_vcpu *vcpu)\n{\n"
    started += "\tlate(vcpu);\n}\n"
    parts = (text,) if "__init" in text else (text, started)
    found = level(*parts, what=f"({asked} ? 4 : 3)", declared=declared)
    assert (found == "covered") is is_constant


@pytest.mark.parametrize(
    ("change", "is_constant"),
    [
        ("boot_cpu_data = boot_cpu_data", False),
        ("if (boot_cpu_data.x86_capability[1])\n\t\treturn", True),
    ],
)
def test_a_host_that_another_header_declares(monkeypatch, change, is_constant):
    """Its name is that of a whole record wherever that is said."""
    head = "struct cpuinfo_x86 {\n\tu32 x86_capability[4];\n};\n"
    head += "extern struct cpuinfo_x86 boot_cpu_data;\n"
    monkeypatch.setitem(globals(), "BRANCH", BRANCH + head)
    declared = "#include <asm/branch.h>\n#define X86_FEATURE_LEVELS 35\n"
    started = "void late(struct kvm_vcpu *vcpu);\nvoid kvm_get(struct kvm_vcpu *vcpu)\n{\n"
    started += "\tlate(vcpu);\n}\n"
    asked = "(boot_cpu_has(X86_FEATURE_LEVELS) ? 4 : 3)"
    found = level(CHANGES % ("", change), started, what=asked, declared=declared)
    assert (found == "covered") is is_constant


OPERATIONS = """\
struct kvm_x86_ops {
	int (*tdp_level)(struct kvm_vcpu *vcpu);
};
extern struct kvm_x86_ops POINTERkvm_x86_ops;
"""
VENDORS = """\
static int four_level(struct kvm_vcpu *vcpu)
{
	return 4;
}

static int five_level(struct kvm_vcpu *vcpu)
{
	return 5;
}

static struct kvm_x86_ops four_ops = { .tdp_level = four_level };
static struct kvm_x86_ops five_ops = { .tdp_level = five_level };
struct kvm_x86_ops POINTERkvm_x86_ops;

int kvm_ops_update(struct kvm_x86_ops *ops)
{
	kvm_x86_ops = POINTERVALUE;
	return 0;
}

static int __init four_init(void)
{
	LOAD
	return kvm_ops_update(&four_ops);
}

static int __init five_init(void)
{
	return kvm_ops_update(&five_ops);
}
"""
TABLE = ("kvm_x86_ops.", "", "*ops")
BEHIND = ("kvm_x86_ops->", "*", "ops")


def operation(late, load="", how=TABLE, vendors=VENDORS):
    """Return the verdict where a level comes from an operation, with some code that runs late."""
    dot, star, value = how
    code = vendors.replace("POINTERVALUE", value).replace("POINTER", star).replace("LOAD", load)
    code += f"\nvoid late(struct kvm_vcpu *vcpu)\n{{\n\t{late}\n}}\n"
    declared = OPERATIONS.replace("POINTER", star)
    return level(code, what=f"{dot}tdp_level(vcpu)", declared=declared)


@pytest.mark.parametrize("how", [TABLE, BEHIND], ids=["table", "pointer"])
@pytest.mark.parametrize(
    ("late", "verdict"),
    [
        ("OPStdp_level(vcpu);", "covered"),
        ("if (OPStdp_level)\n\t\tOPStdp_level(vcpu);", "covered"),
        ("vcpu->arch.apf.halted = !OPStdp_level;", "covered"),
        ("OPStdp_level = five_level;", "gap"),
        ("OPStdp_level = vcpu->arch.hflags ? four_level : five_level;", "gap"),
        ("WRITE_ONCE(OPStdp_level, five_level);", "gap"),
        ("swap(OPStdp_level, four_ops.tdp_level);", "gap"),
        ("four_ops.tdp_level = five_level;", "gap"),
        ("kvm_ops_update(&five_ops);", "gap"),
        ("static_call_update(kvm_x86_tdp_level, five_level);", "gap"),
    ],
)
def test_an_operation_that_is_given_another_function(late, verdict, how):
    """It is the same function for all, unless what may run late stores to its place."""
    assert operation(late.replace("OPS", how[0]), how=how) == verdict


@pytest.mark.parametrize(
    ("late", "is_fine"),
    [
        ("kvm_x86_ops.tdp_level(vcpu);", True),
        ("kvm_x86_ops.tdp_level = five_level;", False),
        ("WRITE_ONCE(kvm_x86_ops.tdp_level, five_level);", False),
        ("static_call_update(kvm_x86_tdp_level, five_level);", False),
        ("static_call_update(kvm_x86_tdp_level, pick(vcpu));", False),
    ],
)
def test_an_operation_of_one_function(late, is_fine):
    """What is all that the tables hold is not all that may be called, if one is stored to late."""
    alike = VENDORS.replace(".tdp_level = five_level", ".tdp_level = four_level")
    assert alike.count("five_level") == 1
    assert (operation(late, vendors=alike) == "covered") is is_fine


def test_an_operation_that_is_given_a_function_at_module_load():
    """What module initialisation makes of a table stays so."""
    assert operation("vcpu->arch.hflags = 0;", "four_ops.tdp_level = five_level;") == "covered"


def test_an_object_named_as_an_option():
    """It is no option for its name, and may be stored to like any other."""
    late = "int CONFIG_HOST_LEVEL;\n\nvoid late(int n)\n{\n\tCONFIG_HOST_LEVEL = n;\n}\n"
    declared = "extern int CONFIG_HOST_LEVEL;\n"
    assert level(late, what="CONFIG_HOST_LEVEL", declared=declared) == "gap"
    early = late.replace("void late", "void __init late")
    assert level(early, what="CONFIG_HOST_LEVEL", declared=declared) == "covered"


BELOW = OPERATIONS.replace("struct kvm_x86_ops {", "struct below_ops {", 1).replace(
    "extern struct kvm_x86_ops POINTERkvm_x86_ops;",
    "struct kvm_x86_ops {\n\tstruct below_ops *below;\n};\nextern struct kvm_x86_ops kvm_x86_ops;",
)


@pytest.mark.parametrize(
    ("late", "is_fine"),
    [
        ("kvm_x86_ops.below->tdp_level(vcpu);", True),
        ("kvm_x86_ops.below->tdp_level = five_level;", False),
        ("kvm_x86_ops.below = &five_below;", False),
        ("kvm_x86_ops.below = other(vcpu);", False),
        ("*kvm_x86_ops.below = five_below;", False),
        ("memcpy(kvm_x86_ops.below, &five_below, sizeof(five_below));", False),
        ("struct below_ops *ops = kvm_x86_ops.below;\n\n\tops->tdp_level(vcpu);", True),
        ("if (!kvm_x86_ops.below || kvm_x86_ops.below == &five_below)\n\t\treturn;", True),
        ("struct below_ops *ops = kvm_x86_ops.below;\n\n\t*ops = five_below;", False),
        ("struct below_ops *ops = kvm_x86_ops.below;\n\n\tmemcpy(ops, &five_below, 8);", False),
        ("void *ops = kvm_x86_ops.below;\n\n\tmemcpy(ops, &five_below, 8);", False),
        ("typeof(kvm_x86_ops.below) ops = kvm_x86_ops.below;\n\n\t*ops = five_below;", False),
        ("four_below = five_below;", False),
        ("four_below = *(struct below_ops *)vcpu;", False),
        ("memcpy(&four_below, vcpu, sizeof(four_below));", False),
        ("kvm_x86_ops.below[0] = five_below;", False),
        ("fill(kvm_x86_ops.below);", False),
        ("swap(*kvm_x86_ops.below, five_below);", False),
    ],
)
def test_an_operation_of_a_table_behind_a_table(late, is_fine):
    """It is another one as well where the pointer to its table is, or the table is filled."""
    code = VENDORS.replace("POINTERVALUE", "*ops").replace("POINTER", "").replace("LOAD", "")
    for which in ("four", "five"):
        code = code.replace(
            f"static struct kvm_x86_ops {which}_ops = {{ .tdp_level = {which}_level }};",
            f"static struct below_ops {which}_below = {{ .tdp_level = {which}_level }};\n"
            f"static struct kvm_x86_ops {which}_ops = {{ .below = &{which}_below }};",
        )
    if "fill(" in late:
        code += "\nstatic void fill(struct below_ops *ops)\n{\n\t*ops = five_below;\n}\n"
    code += f"\nvoid late(struct kvm_vcpu *vcpu)\n{{\n\t{late}\n}}\n"
    found = level(code, what="kvm_x86_ops.below->tdp_level(vcpu)", declared=BELOW)
    assert (found == "covered") is is_fine


SWITCH = "%svoid late(struct kvm_vcpu *vcpu)\n{\n\t%s;\n}\n"


@pytest.mark.parametrize(
    ("text", "what", "is_constant"),
    [
        ("", "static_branch_likely(&key)", True),
        (SWITCH % ("__init ", "static_branch_enable(&key)"), "static_branch_likely(&key)", True),
        (SWITCH % ("", "use(static_key_enabled(&key))"), "static_branch_unlikely(&key)", True),
        (SWITCH % ("", "static_branch_enable(&key)"), "static_branch_likely(&key)", False),
        (SWITCH % ("", "static_branch_dec_deferred(&key)"), "static_branch_unlikely(&key)", False),
        (SWITCH % ("", "use(&key)"), "static_branch_likely(&key)", False),
        (SWITCH % ("__init ", "use(&key)"), "static_branch_likely(&key)", False),
        ("", "static_branch_likely(vcpu->arch.key)", False),
        ("", "static_branch_likely(&vcpu->arch.key)", False),
    ],
)
def test_a_static_key(text, what, is_constant):
    """It is an object of the host: what is enabled at module load alone is alike for all."""
    found = level(text, what=f"({what} ? 4 : 3)", declared="DEFINE_STATIC_KEY_FALSE(key);\n")
    assert (found == "covered") is is_constant


CAPABILITIES = (
    "struct kvm_caps {\n\tu64 mask;\n\tu32 sizes[2];\n};\n\nextern struct kvm_caps kvm_caps;\n"
)
UPDATED = """\
struct kvm_caps kvm_caps;

static void update(struct kvm_caps *caps, u64 mask)
{
	%s;
}

void late(u64 mask)
{
	update(&kvm_caps, mask);
}
"""


@pytest.mark.parametrize(
    ("store", "is_constant"),
    [
        ("mask = caps->mask", True),
        ("caps->mask = mask", False),
        ("(*caps).mask = mask", False),
        ("caps[0].mask = mask", False),
        ("swap(caps->mask, mask)", False),
        ("u64 *p = &caps->mask;\n\n\t*p = mask", False),
        ("__assign_bit(5, (unsigned long *)&caps->mask, mask)", False),
        ("caps->sizes[0] = mask", True),
    ],
)
def test_what_the_host_can_do_through_a_pointer(store, is_constant):
    """However the pointer is followed, and the member is stored to."""
    found = level(UPDATED % store, what="kvm_caps.mask", declared=CAPABILITIES)
    assert (found == "covered") is is_constant


ASKS = """\
%s
static inline bool kvm_cpu_cap_has(unsigned int f)
{
	%s
}

"""


@pytest.mark.parametrize(
    ("declared", "body", "more", "is_constant"),
    [
        ("", "unsigned int leaf = f / 32;\n\n\treturn leaf == 1;", "", True),
        ("enum { LEAVES = 4, leaf_of_all };\n", "return f < leaf_of_all;", "", True),
        ("static const u32 table[] = { 1, 2, 3, 4 };\n", "return table[f];", "", True),
        ("static const char *const words[] = { 0 };\n", "return words[0] == 0;", "", True),
        (
            "static u32 table[] = { 1, 2 };\n",
            "return table[f];",
            "void late(int n)\n{\n\ttable[0] = n;\n}\n",
            False,
        ),
        (
            "static const char *words[] = { 0 };\n",
            "return words[0] == 0;",
            "void late(int n)\n{\n\twords[0] = 0;\n}\n",
            False,
        ),
        ("", "#define MADE(g) (g)\n\treturn MADE(f) == 3;", "", True),
        ("", "return boot_cpu_has(f);", "", True),
        ("bool masked(void);\n", "return !masked();", "", False),
        (
            "bool masked(void);\n",
            "return !masked();",
            "static bool is_masked;\n\nbool masked(void)\n{\n\treturn is_masked;\n}\n\n"
            "void late(void)\n{\n\tis_masked = true;\n}\n",
            False,
        ),
        ("", "return !static_branch_unlikely(&masked_key);", "", False),
        ("", "return !sched_smt_active();", "", False),
        ("DECLARE_PER_CPU(bool, masked);\n", "return !this_cpu_read(masked);", "", False),
        ("", "static bool last;\n\n\tlast = !last;\n\treturn last;", "", False),
        ("#define not_masked(f) (!masked_now[f])\n", "return not_masked(f);", "", False),
        ("#define is_low(f) ((f) < 32)\n", "return is_low(f);", "", True),
        ('#define told(f) (pr_debug("of: a.b"), !masked_now)\n', "return told(f);", "", False),
    ],
)
def test_by_what_the_host_is_asked(declared, body, more, is_constant):
    """An answer is alike at all times if all that it is made of is known to be."""
    found = level(more, what="(kvm_cpu_cap_has(3) ? 4 : 3)", declared=ASKS % (declared, body))
    assert (found == "covered") is is_constant


@pytest.mark.parametrize("what", ["static_branch_likely(&others)", "others_level"])
def test_what_the_text_neither_defines_nor_declares(what):
    """Who defines it stores to it, a macro that declares it as well."""
    assert level(what=f"({what} ? 4 : 3)", declared="") != "covered"


@pytest.mark.parametrize(
    ("text", "is_constant"),
    [
        ("module_param_named(x, its_level, int, 0444);\n", True),
        ("module_param_named(x, its_level, int, 0644);\n", False),
        ("#define a_level its_level\nmodule_param_named(x, a_level, int, 0644);\n", False),
        ("#define other_level 4\nmodule_param_named(x, other_level, int, 0644);\n", True),
    ],
)
def test_a_parameter_by_another_name(text, is_constant):
    """A macro may stand for what may be written."""
    parts = f"int host_level;\n\n#define its_level host_level\n{text}"
    assert (level(parts) == "covered") is is_constant


@pytest.mark.parametrize(
    ("body", "is_constant"),
    [
        ("h->other = 1;", True),
        ("watch(&h->level);", False),
        ("rdmsr_safe(n, &h->level, &h->other);", True),
        ("memset(&h->levels, 0, sizeof(h->levels));", True),
        ("watch(h->levels);", False),
        ("watch(&h->levels[1]);", False),
        ("n = h->levels[1];", True),
    ],
)
def test_a_member_that_is_handed_on(body, is_constant):
    """Who is handed an object while the module is loaded may give its members away."""
    declared = "struct host {\n\tint level, other, levels[2];\n};\n\nextern struct host host;\n"
    reader = f"static void set_up(struct host *h, int n)\n{{\n\t{body}\n}}\n"
    start = "static void __init start(void)\n{\n\tset_up(&host, 1);\n}\n"
    found = level(OBJECT, reader, start, what="(host.level + host.levels[1])", declared=declared)
    assert (found == "covered") is is_constant


@pytest.mark.parametrize(("given", "is_constant"), [("levels", False), ("levels[0]", True)])
def test_an_array_that_is_handed_on(given, is_constant):
    """Its value is its address."""
    text = f"int levels[2];\n\nstatic void __init start(void)\n{{\n\twatch({given});\n}}\n"
    found = level(text, what="levels[0]", declared="extern int levels[2];\n")
    assert (found == "covered") is is_constant


@pytest.mark.parametrize(
    ("which", "is_constant"),
    [
        ("(3)", True),
        ("(1 * 32 + ONE)\n#define ONE 1u", True),
        ("(host_level ? 3 : 4)", False),
        ("ONE\n#define ONE (host_level + 1)", False),
        ("ONE(2)\n#define ONE(x) ((x) + host_level)", False),
        ("({ 3; })", False),
    ],
)
def test_a_feature_that_a_macro_stands_for(which, is_constant):
    """It is one and the same if all that it is made of is numbers."""
    declared = f"extern int host_level;\n#define WHICH {which}\n{ASKED}"
    found = level(
        "u32 kvm_cpu_caps[2];\n", what="(kvm_cpu_cap_has(WHICH) ? 4 : 3)", declared=declared
    )
    assert (found == "covered") is is_constant
