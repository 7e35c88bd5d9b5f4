# SPDX-License-Identifier: GPL-2.0-only
"""Every cached field is accounted for: what stores to one outside of the set-ups."""

import pytest
from edited import check, fixture
from test_ledger import mentions

from patchtool.c.lower import Trouble
from patchtool.rules.stale_mmu_role import _settled

MMU = "arch/x86/kvm/mmu/mmu.c"
HEADER = "arch/x86/include/asm/kvm_host.h"
VMX = "arch/x86/kvm/vmx/vmx.c"
FIXED = fixture("role-regs-fixed")
MEMBERS = """	struct check_bits check;
	u32 keys;
	u8 perms[4];
	gpa_t (*walk)(struct kvm_vcpu *vcpu, gpa_t vaddr);
"""
RECORD = "struct check_bits {\n\tu64 mask[2][2];\n\tu8 low;\n};\n\n"
FILL = """static void fill(struct kvm_vcpu *vcpu, struct check_bits *check, bool large)
{
	check->low = large ? 3 : 1;
	check->mask[0][1] = vcpu->arch.maxphyaddr;
}

static void reset_derived(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu)
{
	int i;

	if (!is_cr0_pg(mmu))
		return;

	fill(vcpu, &mmu->check, is_cr4_pae(mmu));
	for (i = 0; i < ARRAY_SIZE(mmu->perms); i++)
		mmu->perms[i] = mmu->mmu_role.base.cr0_wp ? i : 7;
	mmu->keys = is_cr4_pae(mmu) && mmu->mmu_role.base.cr0_wp ? 0xf0 : 0;
}

"""
TDP = "static void init_kvm_tdp_mmu("
LEVEL = "\tcontext->root_level = role_regs_to_root_level(&regs);\n"
MORE = "\t{0}->walk = walk_tdp;\n\treset_derived(vcpu, {0});\n"
EPT = """	context->walk = walk_tdp;
	fill(vcpu, &context->check, true);
	context->keys = 0;
	memset(context->perms, 0, sizeof(context->perms));
"""
SET_UPS = (
    LEVEL,
    "\tcontext->root_level = role_regs_to_root_level(regs);\n",
    "\tcontext->root_level = level;\n",
    "\tg_context->root_level = new_role.base.level;\n",
)
WALK = """static gpa_t walk_tdp(struct kvm_vcpu *vcpu, gpa_t vaddr)
{
	return vaddr;
}

"""
BINDINGS = """
void nested_enter(struct kvm_vcpu *vcpu)
{
	vcpu->arch.mmu = &vcpu->arch.guest_mmu;
	vcpu->arch.walk_mmu = &vcpu->arch.nested_mmu;
}

void nested_leave(struct kvm_vcpu *vcpu)
{
	vcpu->arch.mmu = &vcpu->arch.root_mmu;
	vcpu->arch.walk_mmu = &vcpu->arch.root_mmu;
}
"""
CPUID = "void kvm_mmu_after_set_cpuid(struct kvm_vcpu *vcpu)\n{\n"
FIELDS = ("check", "keys", "perms", "walk")


def edited(code="", more=(), edits=()):
    """Return a tree in which a set-up stores further fields, with code behind its own."""
    text, header = FIXED[MMU].decode(), FIXED[HEADER].decode()
    header = header.replace("struct kvm_mmu {\n", RECORD + "struct kvm_mmu {\n" + MEMBERS)
    for before, after in (
        (TDP, WALK + FILL + TDP),
        *(
            (one, one + (EPT if "= level" in one else MORE.format(one[1:].partition("->")[0])))
            for one in SET_UPS
        ),
        (CPUID, CPUID + "\tvcpu->arch.maxphyaddr = cpuid_maxphyaddr(vcpu);\n"),
        *edits,
    ):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    files = {**FIXED, MMU: (text + BINDINGS + code).encode(), HEADER: header.encode()}
    for path, one in more:
        files[path] = b'#include "../mmu.h"\n' + one.encode()
    return files


def asked(code="", fields=FIELDS, more=(), edits=()):
    """Return the report, and the verdicts on root_mmu's fields behind the guard of TDP."""
    report = check(edited(code, more, edits), fields)
    return report, {
        one.name: one.verdict
        for context in report.contexts
        for one in context.fields
        if context.initialiser == "init_kvm_tdp_mmu"
    }


def facts(report):
    """Return what the verdicts of a report rest on."""
    return {
        fact for context in report.contexts for one in context.fields for fact in one.assumptions
    }


def inside(body, head="void far(struct kvm_vcpu *vcpu, u32 n)"):
    """Return a function with a body."""
    return f"{head}\n{{\n\t{body}\n}}\n"


def test_fields_of_the_set_up():
    """With nothing else that stores to them, they are proved."""
    report, verdicts = asked()
    assert verdicts == dict.fromkeys(FIELDS, "covered")
    assert report.verdict == "covered", report.unknowns
    accounted = {one.name for one in report.mentions}
    assert {*FIELDS, "mmu_role"} <= accounted
    assert not any("stored by the set-ups alone" in one for one in facts(report))


ROOT = "vcpu->arch.root_mmu"
FAR = {
    "integer": ("keys", f"{ROOT}.keys = n;"),
    "integer, added to": ("keys", f"{ROOT}.keys |= n;"),
    "integer, counted": ("keys", f"{ROOT}.keys++;"),
    "pointer that may select it": ("keys", "vcpu->arch.mmu->keys = n;"),
    "other pointer that may": ("keys", "vcpu->arch.walk_mmu->keys = n;"),
    "swapped": ("keys", f"swap({ROOT}.keys, n);"),
    "address kept": ("keys", f"u32 *p = &{ROOT}.keys;\n\n\t*p = n;"),
    "once": ("keys", f"WRITE_ONCE({ROOT}.keys, n);"),
    "on a condition": ("keys", f"if (n)\n\t\t{ROOT}.keys = 0;"),
    "element": ("perms", f"{ROOT}.perms[n & 3] = 0;"),
    "array by its name": ("perms", f"memset({ROOT}.perms, 0, 4);"),
    "array as a pointer": ("perms", f"u8 *p = {ROOT}.perms;\n\n\tp[1] = 0;"),
    "element of a record": ("check", f"{ROOT}.check.mask[0][1] = n;"),
    "record as a whole": ("check", f"{ROOT}.check = (struct check_bits){{0}};"),
    "record, cleared": ("check", f"memset(&{ROOT}.check, 0, sizeof({ROOT}.check));"),
    "behind a pointer": ("check", f"struct check_bits *c = &{ROOT}.check;\n\n\tc->low = n;"),
    "behind a pointer, later": (
        "check", f"struct check_bits *c;\n\n\tc = &{ROOT}.check;\n\tc->low = n;"),
    "given away": ("check", f"fill(vcpu, &{ROOT}.check, n);"),
    "given to what is not known": ("check", f"unknown_to_all(&{ROOT}.check);"),
    "copied over": ("check", f"memcpy(&{ROOT}.check, &vcpu->arch.nested_mmu.check, 8);"),
    "function": ("walk", f"{ROOT}.walk = nonpaging_gva_to_gpa;"),
    "function, none": ("walk", f"{ROOT}.walk = NULL;"),
    "function, where a helper selects": (
        "walk", "choose(vcpu, n);\n\tvcpu->arch.mmu->walk = NULL;"),
    "function, where a helper selects behind another": (
        "walk", "vcpu->arch.mmu = &vcpu->arch.guest_mmu;\n\tchoose(vcpu, n);\n"
        "\tvcpu->arch.mmu->walk = NULL;"),
    "function, by a macro": ("walk", f"rcu_assign_pointer({ROOT}.walk, NULL);"),
    "member in a macro of its own": ("keys", f"SET({ROOT}, keys, n);"),
    "pasted member": ("keys", f"PUT({ROOT}, ke, n);"),
}  # fmt: skip
MACROS = "#define SET(m, f, v) ((m).f = (v))\n#define PUT(m, f, v) ((m).f##ys = (v))\n"
MACROS += """static void choose(struct kvm_vcpu *vcpu, u32 n)
{
	vcpu->arch.mmu = &vcpu->arch.guest_mmu;
	if (n)
		vcpu->arch.mmu = &vcpu->arch.root_mmu;
}

"""


@pytest.mark.parametrize("name", FAR)
def test_a_store_far_away(name):
    """It leaves the one field in doubt, in whatever file it is, and the others proved."""
    field, body = FAR[name]
    file = MMU if list(FAR).index(name) % 2 else "arch/x86/kvm/svm/far.c"
    code = MACROS + inside(body)
    report, verdicts = asked(code) if file == MMU else asked(more=[(file, code)])
    assert verdicts[field] == "unknown", verdicts
    if "macro" not in name and "pasted" not in name:  # which is given all of a context
        assert {verdicts[one] for one in FIELDS if one != field} == {"covered"}
    places = [one.place.file for one in report.unknowns]
    assert file in places, report.unknowns


HARMLESS = {
    "read": "n = vcpu->arch.mmu->keys + vcpu->arch.mmu->perms[n & 3];",
    "copied from": "struct check_bits mine = vcpu->arch.mmu->check;\n\n\tuse(mine.low);",
    "size": "n = ARRAY_SIZE(vcpu->arch.mmu->perms) + sizeof(vcpu->arch.mmu->perms);",
    "called": "vcpu->arch.mmu->walk(vcpu, n);",
    "read behind a pointer": (
        "const struct check_bits *c = &vcpu->arch.mmu->check;\n\n\tuse(c->low);"),
    "read behind a pointer, later": (
        "struct check_bits *c;\n\n\tc = &vcpu->arch.mmu->check;\n\tuse(c->mask[0][n & 1]);"),
    "given to a reader": "use(is_low(&vcpu->arch.mmu->check, n));",
    "given to a reader that hands it on": "use(is_any(&vcpu->arch.mmu->check));",
    "another record": "struct other *o = find(n);\n\n\to->keys = n;\n\to->perms[1] = 0;",
    "another context": "vcpu->arch.guest_mmu.keys = n;\n\tvcpu->arch.nested_mmu.walk = NULL;",
    "another context of a pointer": (
        "vcpu->arch.mmu = &vcpu->arch.guest_mmu;\n\tvcpu->arch.mmu->walk = NULL;"),
    "another context that a helper selects": (
        "choose(vcpu, &vcpu->arch.guest_mmu);\n\tvcpu->arch.mmu->walk = NULL;"),
    "a function of that name": "keys(vcpu);",
}  # fmt: skip
READERS = """struct other {
	u32 keys;
	u8 perms[4];
};
struct other *find(u32 n);
void use(u32 n);
void keys(struct kvm_vcpu *vcpu);

static void choose(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu)
{
	vcpu->arch.mmu = mmu;
}

void use(u32 n)
{
}

void keys(struct kvm_vcpu *vcpu)
{
}

static bool is_low(struct check_bits *check, u64 value)
{
	int high = (value >> 7) & 1;

	return (value & check->mask[high][0]) || check->low < 3;
}

static bool is_any(const struct check_bits *check)
{
	return check->mask[0][0] || is_low(check, 8);
}
"""


@pytest.mark.parametrize("name", HARMLESS)
def test_no_store(name):
    """What reads, names something else, or stores elsewhere is no reason for a doubt."""
    report, verdicts = asked(READERS + inside(HARMLESS[name]))
    assert verdicts == dict.fromkeys(FIELDS, "covered"), report.unknowns


@pytest.mark.parametrize(
    "reader",
    [
        "check->low = 3;",
        "use(check->low++);",
        "other(check);",
        "struct check_bits *c = check;\n\n\tc->low = 0;",
        "check++;",
        "use(*(u8 *)check);",
        "parked = check;",
        "SETS(check->low);",
        "memset(check, 0, sizeof(*check));",
        "return_it(&check);",
        "use(fill_it(check, 3));",
    ],
)
def test_no_reader(reader):
    """A function that does more with a pointer than to read behind it may store there."""
    code = "static struct check_bits *parked;\n#define SETS(x) ((x) = 3)\nvoid use(u32 n);\n"
    code += inside("check->low = n;\n\treturn 0;", "u32 fill_it(struct check_bits *check, u32 n)")
    code += inside(reader, "static void reader(struct check_bits *check)")
    report, verdicts = asked(code + inside("reader(&vcpu->arch.mmu->check);"))
    assert verdicts["check"] == "unknown", report.unknowns


REFRESH = "void refresh(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, bool wp)"
SAME = "if (mmu->mmu_role.base.cr0_wp == wp)\n\t\treturn;\n\t"
CALLER = inside("refresh(vcpu, vcpu->arch.mmu, n);", "void toggled(struct kvm_vcpu *vcpu, u32 n)")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (f"{SAME}mmu->mmu_role.base.cr0_wp = wp;\n\treset_derived(vcpu, mmu);", ()),
        ("mmu->mmu_role.base.cr0_wp = wp;\n\treset_derived(vcpu, mmu);", ()),
        ("reset_derived(vcpu, mmu);", ()),
        ("mmu->mmu_role.base.cr0_wp = wp;", ("keys", "perms")),
        (f"{SAME}reset_derived(vcpu, mmu);\n\tmmu->mmu_role.base.cr0_wp = wp;", ("keys", "perms")),
        (f"{SAME}mmu->mmu_role.base.cr0_wp = wp;\n\treset_derived(vcpu, mmu);\n\tmmu->keys = 0;",
         ("keys",)),
        ("reset_derived(vcpu, mmu);\n\tmmu->check.low = 7;", ("check",)),
        ("reset_derived(vcpu, mmu);\n\tif (wp)\n\t\tmmu->perms[2] = 1;", ("perms",)),
        ("fill(vcpu, &mmu->check, wp);", ("check",)),
        ("if (vcpu->arch.hflags & 64)\n\t\tfill(vcpu, &mmu->check, is_cr4_pae(mmu));", ("check",)),
    ],
)  # fmt: skip
def test_a_refresh(body, fields):
    """What stores what a set-up with the same role would keeps a field in step."""
    code = inside(body, REFRESH) + CALLER
    report, verdicts = asked(code)
    expected = {one: "unknown" if one in fields else "covered" for one in FIELDS}
    assert verdicts == expected, report.unknowns


def test_a_refresh_is_told():
    """What a proof rests on names the function that keeps a field in step."""
    report, _ = asked(inside("reset_derived(vcpu, mmu);", REFRESH))
    assert "refresh() stores what a set-up with that role would" in facts(report)


@pytest.mark.parametrize(
    ("early", "context", "is_fine"),
    [
        ("", "&vcpu->arch.guest_mmu", True),
        ("", "vcpu->arch.mmu", False),
        ("if (!n || mmu == &vcpu->arch.root_mmu)\n\t\treturn;\n\n\t", "mmu", True),
        ("if (mmu != &vcpu->arch.root_mmu) {\n\t\t", "mmu", True),
        ("if (!n && mmu == &vcpu->arch.root_mmu)\n\t\treturn;\n\n\t", "mmu", False),
        ("if (mmu == &vcpu->arch.root_mmu)\n\t\tn = 3;\n\n\t", "mmu", False),
        ("if (mmu == &vcpu->arch.root_mmu)\n\t\treturn;\n\n\tmmu = vcpu->arch.mmu;\n\t", "mmu",
         False),
        ("if (mmu == &vcpu->arch.root_mmu)\n\t\treturn;\nagain:\n\t", "mmu", False),
    ],
)  # fmt: skip
def test_which_context_is_given(early, context, is_fine):
    """A context that callers leave out is none of those that are stored to."""
    body = f"{early}refresh(vcpu, {context}, n);" + ("\n\t}" if early.endswith("{\n\t\t") else "")
    code = inside("mmu->keys = wp;", "static " + REFRESH)
    code += inside(body, "void toggled(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, u32 n)")
    code += inside("toggled(vcpu, vcpu->arch.mmu, n);")
    _, verdicts = asked(code)
    assert (verdicts["keys"] == "covered") is is_fine


GUEST = "struct kvm_mmu *m = &vcpu->arch.guest_mmu;\n\n\t"
MOVES = """#define NEXT(m) ((m)++)
#define LOW(m) ((m)->check.low)
struct kvm_mmu *pick(struct kvm_mmu *m);

static int low_of(struct kvm_mmu *m)
{
	return m->check.low;
}
"""


@pytest.mark.parametrize(
    ("body", "is_fine"),
    [
        (GUEST + "m->keys = n;", True),
        (GUEST + "if (LOW(m) || low_of(m))\n\t\tm->keys = n;", True),
        (GUEST + "m++;\n\tm->keys = n;", False),
        (GUEST + "m -= n;\n\tm->keys = n;", False),
        (GUEST + "m = pick(m);\n\tm->keys = n;", False),
        (GUEST + "(m) = &vcpu->arch.root_mmu;\n\tm->keys = n;", False),
        (GUEST + "NEXT(m);\n\tm->keys = n;", False),
        (GUEST + "next_of_all(m);\n\tm->keys = n;", False),
        (GUEST + "turn(&m);\n\tm->keys = n;", False),
        (GUEST + 'asm("" : "+r"(m));\n\tm->keys = n;', False),
        (GUEST + "pick(m)->keys = n;", False),
        (GUEST + "m[n].keys = n;", False),
        (GUEST + "(m - 1)->keys = n;", False),
        ("pick(&vcpu->arch.guest_mmu)->keys = n;", False),
        ("(n ? &vcpu->arch.guest_mmu : vcpu->arch.mmu)->keys = n;", False),
        ("(&vcpu->arch.guest_mmu)->keys = n;", True),
    ],
)
def test_a_pointer_that_moves(body, is_fine):
    """Which context a pointer selects is known where nothing moves it."""
    assert (asked(MOVES + inside(body))[1]["keys"] == "covered") is is_fine


TABLE = """struct ops {
	void (*reset)(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu);
};
static void reset_keys(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu)
{
	mmu->keys = 0;
}
struct ops ops = {
	.reset = reset_keys,
};
"""


def test_a_store_that_a_table_leads_to():
    """Who is in a table of functions may be called with any context."""
    code = TABLE + inside("reset_keys(vcpu, &vcpu->arch.guest_mmu);")
    assert asked(code)[1]["keys"] == "unknown"


HOST = """
bool enable_ept = 1;
module_param_named(ept, enable_ept, bool, 0444);

static __init int hardware_setup(void)
{{
	if (!cpu_has_vmx_ept())
		enable_ept = 0;
	{set}
	{late}
	return 0;
}}

void prepare(struct kvm_vcpu *vcpu, u32 n)
{{
	{condition}
		vcpu->arch.mmu->walk = NULL;
}}
"""
PASSED = "kvm_configure_mmu(enable_ept, 4, 0);"


@pytest.mark.parametrize(
    ("condition", "set_", "late", "is_fine"),
    [
        ("if (!enable_ept)", PASSED, "", True),
        ("if (n && !enable_ept)", PASSED, "", True),
        ("if (!tdp_enabled)", "", "", True),
        ("if (enable_ept)", PASSED, "", False),
        ("if (n)", PASSED, "", False),
        ("if (!enable_ept || n)", PASSED, "", False),
        ("if (!enable_ept)", "kvm_configure_mmu(1, 4, 0);", "", False),
        ("if (!enable_ept)", PASSED, "enable_ept = 0;", False),
        ("if (!enable_ept)", "kvm_configure_mmu(enable_ept || nested, 4, 0);", "", False),
    ],
)
def test_on_other_hosts(condition, set_, late, is_fine):
    """A store on hosts that never take a path cannot touch what is set up there."""
    code = HOST.format(condition=condition, set=set_, late=late)
    report, verdicts = asked(more=[(VMX, code)])
    assert (verdicts["walk"] == "covered") is is_fine, report.unknowns
    told = "tdp_enabled is set only where enable_ept is (hardware_setup(), "
    is_told = any(one.startswith(told) for one in facts(report))
    assert is_told is (is_fine and "enable_ept" in condition)


ONE_LINE = "void late(struct kvm_vcpu *vcpu) {{ {} }}\n"
CLEARED = "vcpu->arch.root_mmu.walk = NULL;"


@pytest.mark.parametrize(
    ("body", "is_fine"),
    [
        (f"if (!enable_ept) {CLEARED}", True),
        (f"if (!enable_ept) {{ {CLEARED} {CLEARED} }}", True),
        (f"if (!enable_ept) {CLEARED} {CLEARED}", False),
        (f"{CLEARED} if (!enable_ept) {CLEARED}", False),
        (f"if (!enable_ept) {CLEARED} else {CLEARED}", False),
        (f"if (enable_ept) {CLEARED} else {CLEARED}", False),
        (f"int walk = 0; if (!enable_ept) walk = 1; {CLEARED}", False),
    ],
)
def test_two_in_one_line(body, is_fine):
    """What holds where a store is, holds at its own column."""
    host = HOST.format(condition="if (!enable_ept)", set=PASSED, late="")
    for code in (ONE_LINE.format(body), f"\n/* */ {ONE_LINE.format(body)}"):
        report, verdicts = asked(more=[(VMX, host + code)])
        assert (verdicts["walk"] == "covered") is is_fine, report.unknowns


@pytest.mark.parametrize(
    ("initialiser", "is_set_otherwise", "is_fine"),
    [
        ("", True, True),
        (" = false", True, True),
        (" = 0", True, True),
        (" __read_mostly = (0)", True, True),
        (" = true", True, False),
        (" = 1", True, False),
        (" = IS_ENABLED(CONFIG_KVM_TDP)", True, False),
        (" __read_mostly = true", True, False),
        (" = true", False, False),
    ],
)
def test_what_the_object_begins_with(initialiser, is_set_otherwise, is_fine):
    """An object is set from the start where its initialiser sets it."""
    declared, stored = "bool tdp_enabled;\n", "\ttdp_enabled = enable_tdp;\n"
    edits = [(declared, f"bool tdp_enabled{initialiser};\n")]
    if is_set_otherwise:
        edits.append((stored, "\tif (enable_tdp)\n\t\ttdp_enabled = enable_tdp;\n"))
    code = HOST.format(condition="if (!enable_ept)", set=PASSED, late="")
    report, verdicts = asked(more=[(VMX, code)], edits=edits)
    assert (verdicts["walk"] == "covered") is is_fine, report.unknowns


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("struct kvm_vcpu *vcpu, u32 n)", "struct kvm_vcpu *vcpu, bool enable_ept)"),
        ("{\n\tif (!enable_ept)",
         "{\n\tbool enable_ept = vcpu->arch.hflags & 64;\n\n\tif (!enable_ept)"),
        ("void prepare(", "#define enable_ept (vcpu->arch.hflags & 64)\nvoid prepare("),
        ("{\n\tif (!enable_ept)", "{\n\tif (n)\n\t\tgoto out;\n\tif (!enable_ept)\nout:"),
    ],
)  # fmt: skip
def test_something_else_of_that_name(before, after):
    """What a condition reads has to be the object of the host."""
    code = HOST.format(condition="if (!enable_ept)", set=PASSED, late="")
    assert code.count(before) == 1
    assert asked(more=[(VMX, code.replace(before, after))])[1]["walk"] == "unknown"


def test_a_parameter_that_can_be_written():
    """Then the two objects may differ."""
    code = HOST.format(condition="if (!enable_ept)", set=PASSED, late="").replace("0444", "0644")
    assert asked(more=[(VMX, code)])[1]["walk"] == "unknown"


KEYS = "keys"


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        ("static void keys(int n)\n{\n\tkeys(n - 1);\n}\n", {"variable"}),
        ("static int keys(int n);\nvoid f(void)\n{\n\tint (*p)(int) = keys;\n}\n",
         {"declaration", "open"}),
        ("#define FNAME(name) paging64_##name\nstatic int FNAME(keys)(int n)\n{\n\treturn n;\n}\n"
         "int f(void)\n{\n\treturn FNAME(keys)(3);\n}\n", {"variable"}),
        ("#define NAME(name) name\nint f(struct kvm_mmu *m)\n{\n\treturn m->NAME(keys)++;\n}\n",
         {"open"}),
        ("struct stat {\n\tint keys;\n};\n"
         "#define STAT(n, x, ...) { n, offsetof(struct stat, x), 1, ## __VA_ARGS__ }\n"
         "struct item items[] = {\n\tSTAT(\"keys\", keys),\n\t{ NULL }\n};\n",
         {"declaration", "variable"}),
        ("#define STAT(n, x) { n, offsetof(struct kvm_mmu, x) }\n"
         "struct item items[] = {\n\tSTAT(\"keys\", keys),\n};\n", {"variable", "open"}),
        ("#define II(f, e, i) { .flags = f, .execute = e, .check = intercept_##i }\n"
         "struct op ops[] = {\n\tII(1, em_keys, keys),\n};\n", {"variable"}),
        ("#define KEYS(m) ((m)->keys)\n#undef KEYS\n", {"read", "declaration"}),
        ("int f(struct kvm_mmu *m)\n{\n\treturn sizeof(m->keys) + ARRAY_SIZE(m->keys);\n}\n",
         {"read"}),
        ("#define keys_of container_of\nvoid f(void *p)\n{\n\tuse(container_of(p, struct kvm_mmu, "
         "keys));\n}\n", {"open"}),
    ],
)  # fmt: skip
def test_names(code, kinds):
    """A word that names no member is told from one that does."""
    assert {one.kind for one in mentions(code, "keys")} == kinds


PASTES = {
    "in their order": ("", "vcpu->arch.root_mmu.__PASTE(ke, ys) = n;", False),
    "through a macro": ("#define OF(m, x) ((m).__PASTE(x, ys))\n",
                        "OF(vcpu->arch.root_mmu, ke) = n;", False),
    "a macro for a part": ("#define TAIL ys\n", "vcpu->arch.root_mmu.__PASTE(ke, TAIL) = n;",
                           False),
    "a macro for that macro": ("#define LAST ys\n#define TAIL LAST\n",
                               "vcpu->arch.root_mmu.__PASTE(ke, TAIL) = n;", False),
    "a macro that is called": (
        "#define TAIL() ys\n", "vcpu->arch.root_mmu.__PASTE(ke, TAIL()) = n;", False),
    "in no call": ("", "u32 ke = n, ys = 3;\n\n\tuse(ke + ys);", True),
    "to functions": ("void use(u32 n);\nvoid use(u32 n)\n{\n}\n",
                     "u32 ke = n, ys = 3;\n\n\tuse(ke);\n\tuse(ys);", True),
    "in two calls": ("", "u32 ke = n, ys = 3;\n\n\tMAX(ke, n);\n\tMAX(ys, n);", True),
}  # fmt: skip


@pytest.mark.parametrize("name", PASTES)
def test_parts_of_a_name(name):
    """Words may be pasted where one macro is given them all, in their order."""
    macros, body, is_fine = PASTES[name]
    _, verdicts = asked(macros + inside(body))
    assert (verdicts["keys"] == "covered") is is_fine


WRONG = "\tmmu->keys = is_cr4_pae(mmu) && mmu->mmu_role.base.cr0_wp ? 0xf0 : 0;\n"


def test_a_field_in_a_template():
    """What a template reads is of the contexts that hold its functions alone."""
    template = """#if PTTYPE == 64
#define FNAME(name) paging64_##name
#define HAVE_AD(mmu) true
#elif PTTYPE == 3
#define FNAME(name) ept_##name
#define HAVE_AD(mmu) ((mmu)->ept_ad)
#endif
static bool FNAME(gva_to_gpa)(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu)
{
	return HAVE_AD(mmu);
}
"""
    path = "arch/x86/kvm/mmu/template.h"
    report = check(edited(more=[(path, template)]), ("all",))
    assert not any("ept_ad of" in one.reason for one in report.unknowns), report.unknowns
    use = inside("vcpu->arch.root_mmu.gva_to_gpa = ept_gva_to_gpa;")
    report = check(edited(use, more=[(path, template)]), ("all",))
    assert any("ept_ad of" in one.reason for one in report.unknowns)


def test_what_is_settled_is_not_open():
    """A mention is open where it puts a verdict in doubt, and nowhere else."""
    report, _ = asked(inside(f"{ROOT}.keys = n;"))
    (one,) = (one for one in report.mentions if one.is_open)
    assert one.name == "keys"
    assert not _settled([one], (), ())[0].is_open
    assert _settled([one], report.contexts, ()) == (one,)
    assert _settled([one], (), [Trouble(one.place, "whatever", False)]) == (one,)
