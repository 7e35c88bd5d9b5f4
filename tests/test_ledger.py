# SPDX-License-Identifier: GPL-2.0-only
"""Every mention of what a proof rests on is accounted for, or puts the verdict in doubt."""

import pytest
from edited import Files, check, fixture, verdicts
from forms import OTHERS, READS, STORES

from patchtool.c.index import Index
from patchtool.c.layout import Types
from patchtool.target.kvm import KVM
from patchtool.world.accounts.mentions import Mentions

MMU = "arch/x86/kvm/mmu/mmu.c"
FIXED = fixture("role-regs-fixed")
MACROS = """
#define TWICE(x) ((x) * 2)
#define IGNORED(x) sizeof(x)
#define SET(x, y) ((x) = (y))
int helper(int a, int b);
int helper(int a, int b)
{
	return a + b;
}
"""


def mentions(code, name="root_level"):
    """Return the mentions of a member in some text behind that of a fixture."""
    files = {**FIXED, MMU: FIXED[MMU] + code.encode()}
    index = Index(Files(files), KVM)
    book = Mentions(index, Types(index), {name: frozenset({"kvm_mmu"})})
    last = FIXED[MMU].count(b"\n")
    return [one for one in book.of(name) if one.place.file == MMU and one.place.line > last]


def used(form, object_="vcpu->arch.mmu->root_level", name="root_level"):
    """Return the kinds of the mentions in a function around one form."""
    lines = (
        MACROS
        + "\nint user(struct kvm_vcpu *vcpu)\n{\n\t"
        + form.format(*[object_] * form.count("{}"))
    )
    return {one.kind for one in mentions(lines + "\n}\n", name)}


@pytest.mark.parametrize("form", READS)
def test_reads(form):
    """A form in which only the value of a member is used is a read."""
    assert used(form) == {"read"}


@pytest.mark.parametrize("form", STORES)
def test_stores(form):
    """A form that stores to a member by its name is a store."""
    assert used(form) == {"store"}


@pytest.mark.parametrize("form", OTHERS)
def test_others(form):
    """What lets somebody else store to a member, or may, is no read."""
    assert used(form) & {"open", "store"}


@pytest.mark.parametrize("calls", [("even", "odd"), ("odd", "even")])
@pytest.mark.parametrize("where", ["{0}{1}", "{1}{0}"])
def test_functions_that_call_one_another(where, calls):
    """Who stores through another function is no reader, whichever of them is looked at first."""
    uses = "".join(f"\t{one}(&vcpu->arch.mmu->root_level, 4);\n" for one in calls)
    body = where.format("\tif (n)\n\t\todd(level, n - 1);\n", "\t*level = n;\n")
    code = (
        f"""
static void odd(int *level, int n);
static void even(int *level, int n)
{{
{body}}}
"""
        + """
static void odd(int *level, int n)
{
	if (n)
		even(level, n - 1);
}
int user(struct kvm_vcpu *vcpu)
{
"""
    )
    assert [one.kind for one in mentions(code + uses + "}\n", "root_level")] == ["open"] * 2


@pytest.mark.parametrize("form", [*STORES, *OTHERS])
def test_another_record(form):
    """What is done to a member of the same name in another record is nobody's concern."""
    other = "struct walk {\n\tint root_level;\n};\n"
    declared = form.replace("{}", "w->root_level").replace("{{", "{").replace("}}", "}")
    code = f"{MACROS}{other}int user(struct walk *w)\n{{\n\t{declared}\n}}\n"
    assert {one.kind for one in mentions(code)} <= {"variable", "read", "declaration"}


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        ("int root_level;\n", {"declaration"}),
        ("int f(int root_level);\n", {"declaration"}),
        ("int f(int root_level)\n{\n\troot_level = 3;\n\treturn root_level;\n}\n",
         {"declaration", "variable"}),
        ("struct w {\n\tint root_level[4];\n};\n", {"declaration"}),
        ("enum { root_level };\n", {"declaration"}),
        ("#if 0\nint f(struct kvm_mmu *m)\n{\n\tm->root_level = 3;\n}\n#endif\n", {"variable"}),
        ('void f(void)\n{\n\tpr_debug("root_level %d", 3);\n}\n', {"variable"}),
        ("#define LEVEL(m) ((m)->root_level)\n", {"read", "declaration"}),
        ("#define LEVEL(m) ((m)->root_level)\nint f(struct kvm_mmu *m)\n{\n\tLEVEL(m) = 3;\n}\n",
         {"declaration", "read", "store"}),
        ("#define LEVEL(m) ((m)->root_level)\nint f(struct kvm_mmu *m)\n{\n\treturn LEVEL(m);\n}\n",
         {"declaration", "read"}),
        ("#define RESET(m) do { (m)->root_level = 0; } while (0)\n", {"store"}),
        ("#define OF(m, x) ((m)->x)\nint f(struct kvm_mmu *m)\n{\n\tOF(m, root_level) = 3;\n}\n",
         {"store"}),
        ("#define ID(x) (x)\nint f(struct kvm_mmu *m)\n{\n\tID(m->root_level) = 3;\n}\n",
         {"store"}),
        ("#define ID(x) (x)\nint f(struct kvm_mmu *m)\n{\n\treturn ID(m->root_level);\n}\n",
         {"read"}),
        ("#define ID(x) (x)\nint f(struct kvm_mmu *m)\n{\n\tfill(&ID(m->root_level));\n}\n",
         {"open"}),
        ("int f(struct kvm_mmu *m)\n{\n\treturn offsetof(struct kvm_mmu, root_level);\n}\n",
         {"open"}),
        ("struct kvm_mmu blank = {\n\t.root_level = 3,\n};\n", {"open"}),
        ("int f(struct kvm_mmu *m)\n{\n\t*m = (struct kvm_mmu){ .root_level = 3 };\n}\n", {"open"}),
        ("int f(struct kvm_mmu *m)\n{\n\tFOR_EACH(m) {\n\t\tm->root_level = 3;\n\t}\n}\n",
         {"store"}),
    ],
)  # fmt: skip
def test_places(code, kinds):
    """A mention counts wherever it stands: at file scope, in a macro, behind a macro."""
    assert {one.kind for one in mentions(code)} == kinds


ROLE = "vcpu->arch.root_mmu.mmu_role"
POINTER = f"union kvm_mmu_role *role = &{ROLE}; "
STORES_THROUGH = (
    "role->ext.efer_lma = 1;",
    "if (role->base.level) role->ext.efer_lma++;",
    "fill(role);",
    "fill(&role->ext);",
    "memset(role, 0, 4);",
    "union kvm_mmu_role *other = role; other->ext.efer_lma = 1;",
    "SET_ROLE(role, 1);",
    "*role = (union kvm_mmu_role){};",
    'asm volatile("" : : "r" (role));',
)


def added(text):
    """Return the report on the fixture with some text behind the file of the set-ups."""
    return check({**FIXED, MMU: FIXED[MMU] + text.encode()})


def test_all_accounted_for():
    """On a fixture every mention is accounted for, and what the set-ups store was executed."""
    report = check(FIXED)
    assert not any(one.is_open for one in report.mentions)
    stores = [one for one in report.mentions if one.how == "executed"]
    assert {one.name for one in stores} == {"mmu_role", "root_level", "shadow_root_level"}
    assert {one.place.file for one in report.mentions} >= {MMU, KVM.header}


@pytest.mark.parametrize(
    "body",
    [
        "vcpu->arch.root_mmu.root_level = vcpu->arch.hflags;",
        "vcpu->arch.mmu->root_level++;",
        "fill(&vcpu->arch.mmu->root_level);",
        "vcpu->arch.root_mmu.mmu_role = vcpu->arch.guest_mmu.mmu_role;",
        "vcpu->arch.root_mmu.mmu_role.ext.efer_lma = 1;",
        'asm volatile("" : "=m" (vcpu->arch.mmu->root_level));',
        *(POINTER + use for use in STORES_THROUGH),
        f"memset(&{ROLE}, 1, sizeof({ROLE}));",
        f"memset(&{ROLE}, 0, sizeof({ROLE}.ext));",
        f"{ROLE} = (union kvm_mmu_role){{ .ext.valid = 1 }};",
    ],
)
def test_outside(body):
    """What a function outside of the set-ups stores is found, and named as the reason."""
    text = f"void kvm_mmu_outside(struct kvm_vcpu *vcpu)\n{{\n\t{body}\n}}\n"
    report = added(text)
    assert report.verdict == "unknown"
    line = FIXED[MMU].count(b"\n") + 3
    assert any(one.place.line == line for one in report.unknowns), report.unknowns


@pytest.mark.parametrize(
    "body",
    [
        "vcpu->arch.root_mmu.mmu_role.ext.valid = 0;",
        "vcpu->arch.hflags = vcpu->arch.mmu->root_level;",
        "if (vcpu->arch.mmu->root_level == 3) vcpu->arch.hflags = 0;",
        f"memset(&{ROLE}, 0, sizeof({ROLE}));",
        f"memset(&{ROLE}.ext, 0, sizeof({ROLE}.ext));",
        f"{ROLE} = (union kvm_mmu_role){{}};",
        f"{ROLE}.ext = (union kvm_mmu_extended_role){{ 0 }};",
        POINTER + "vcpu->arch.hflags = role->base.level + role->ext.efer_lma;",
        POINTER + "if (role->ext.efer_lma) trace_kvm_role(role->base.level);",
    ],
)
def test_harmless_outside(body):
    """What leaves the fields, and what carries them, as they are changes no verdict."""
    report = added(f"void kvm_mmu_outside(struct kvm_vcpu *vcpu)\n{{\n\t{body}\n}}\n")
    assert verdicts(report) == verdicts(check(FIXED)), report.unknowns


def test_used_outside():
    """A function that a set-up goes through is followed to everybody else who calls it."""
    assert b"shadow_mmu_init_context(" in FIXED[MMU]
    report = added(
        "void kvm_mmu_again(struct kvm_vcpu *vcpu, struct kvm_mmu_role_regs *regs)\n{\n"
        "\tunion kvm_mmu_role role = { .as_u64 = 1 };\n\n"
        "\tshadow_mmu_init_context(vcpu, vcpu->arch.mmu, regs, role);\n}\n"
    )
    assert report.verdict == "unknown"
    assert any("kvm_mmu_again()" in one.reason for one in report.unknowns), report.unknowns


TDP_GUARD = """\tif (new_role.as_u64 == context->mmu_role.as_u64)
\t\treturn;

\tcontext->mmu_role.as_u64 = new_role.as_u64;
\tcontext->shadow_root_level = kvm_mmu_get_tdp_level(vcpu);
\tcontext->root_level = role_regs_to_root_level(&regs);
"""


def edited(old, new):
    """Return the report on the fixture with one text of the set-ups replaced."""
    assert FIXED[MMU].count(old.encode()) == 1
    return check({**FIXED, MMU: FIXED[MMU].replace(old.encode(), new.encode())})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (TDP_GUARD, TDP_GUARD.replace("\t\treturn;\n", "\t\tcontext->ept_ad = 0;\n\t\treturn;\n"),
         "is not stored here, and is by another set-up"),
        (TDP_GUARD, TDP_GUARD.replace("\tcontext->root_level = role_", "\trole_"),
         "root_level of root_mmu is not stored here"),
        (TDP_GUARD, TDP_GUARD.replace("context->root_level", "vcpu->arch.guest_mmu.root_level"),
         "root_level of root_mmu is not stored here"),
        ("\tg_context->root_level = new_role.base.level;\n",
         "\tg_context->ept_ad = g_context->root_level;\n",
         "root_level of nested_mmu is stored by no set-up and read"),
        ("\t\tinit_kvm_nested_mmu(vcpu);\n", "\t\treturn;\n",
         "nothing calls init_kvm_nested_mmu()"),
    ],
    ids=["lost braces", "lost store", "other context", "read and never stored", "no set-up"],
)  # fmt: skip
def test_vanished(old, new, words):
    """A context or a field that is there by its type, and in no set-up, is in the report."""
    report = edited(old, new)
    assert report.verdict == "unknown"
    assert any(words in one.reason for one in report.unknowns), report.unknowns


LEVEL_OF = """
static int level_of(struct kvm_mmu *mmu)
{
	return mmu->shadow_root_level;
}

int kvm_mmu_level(struct kvm_vcpu *vcpu)
{
	%s
	return 0;
}
"""
READ = "return level_of(&vcpu->arch.nested_mmu);"


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (f"if (!tdp_enabled)\n\t\t{READ}", "covered"),
        (f"if (vcpu && (!tdp_enabled && vcpu->arch.hflags)) {{\n\t\t{READ}\n\t}}", "covered"),
        (READ, "unknown"),
        (f"if (tdp_enabled)\n\t\t{READ}", "unknown"),
        (f"if (!tdp_enabled || vcpu)\n\t\t{READ}", "unknown"),
        (f"if (!tdp_enabled)\n\t\treturn 1;\n\telse\n\t\t{READ}", "unknown"),
        (f"if (!tdp_enabled)\n\t\t{READ.replace('nested', 'root')}\n\t{READ}", "unknown"),
    ],
)
def test_context_that_is_not_in_use(body, verdict):
    """A field that no set-up of nested_mmu stores is not read where nested_mmu is not in use."""
    report = added(LEVEL_OF % body)
    assert report.verdict == verdict, report.unknowns
    taken = {
        context.context
        for context in report.contexts
        if any("nested TDP" in text for one in context.fields for text in one.assumptions)
    }
    assert taken == ({"nested_mmu"} if "!tdp_enabled" in body and verdict == "covered" else set())


SHOW = """
void show(struct kvm_vcpu *vcpu, struct dentry *dir)
{
	debugfs_create_%s;
}
"""
WORD = "&vcpu->arch.root_mmu.mmu_role.as_u64"


@pytest.mark.parametrize(
    ("call", "verdict"),
    [
        (f'x64("role", 0444, dir, {WORD})', "covered"),
        (f'u64("role", 0400, dir, {WORD})', "covered"),
        ('u8("level", S_IRUGO, dir, &vcpu->arch.root_mmu.root_level)', "covered"),
        (f'x64("role", 0644, dir, {WORD})', "unknown"),
        (f'x64("role", 0200, dir, {WORD})', "unknown"),
        (f'x64("role", mode, dir, {WORD})', "unknown"),
        (f'x64("role", 0444 | S_IWUSR, dir, {WORD})', "unknown"),
        (f'file("role", 0444, dir, {WORD}, &role_fops)', "unknown"),
        (f"x64({WORD}, 0444, dir, &vcpu->stat)", "unknown"),
        (f'x64("role", 0444, dir, keep({WORD}))', "unknown"),
    ],
)
def test_a_role_that_is_shown(call, verdict):
    """A file that nobody may write changes nothing of what it shows."""
    assert added(SHOW % call).verdict == verdict


def test_a_role_that_is_shown_by_something_else():
    """Who defines the name himself may do anything."""
    own = "static void debugfs_create_x64(char *s, int m, void *d, u64 *w)\n{\n\t*w = 0;\n}\n"
    assert added(own + SHOW % f'x64("role", 0444, dir, {WORD})').verdict == "unknown"


MAKE = """
static void make(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu)
{
	%s
}

int kvm_arch_vcpu_create(struct kvm_vcpu *vcpu)
{
	%s
	kvm_init_mmu(vcpu);
	return 0;
}

int kvm_arch_vcpu_ioctl(struct kvm_vcpu *vcpu, struct kvm_vcpu *other)
{
	%s
	return 0;
}
"""
MADE, CLEAR = "make(vcpu, &vcpu->arch.root_mmu);", "memset(mmu, 0, sizeof(*mmu));"
FIVE = "mmu->root_level = 5;"


@pytest.mark.parametrize(
    ("body", "create", "later"),
    [
        (CLEAR, MADE, ""),
        (FIVE, MADE, ""),
        (f"{CLEAR}\n\t{FIVE}", f"{MADE}\n\tmake(vcpu, &vcpu->arch.guest_mmu);", ""),
        (CLEAR, f"vcpu->arch.root_mmu.root_level = 4;\n\t{MADE}", ""),
    ],
)
def test_a_context_that_is_made(body, create, later):
    """What is stored there in front of the first set-up is nothing that one leaves behind."""
    report = added(MAKE % (body, create, later))
    assert report.verdict == "covered", report.unknowns


NESTED = "\tg_context->root_level = new_role.base.level;\n"
ONCE = "vcpu->arch.nested_mmu.root_level = 4;"
MADE_TOO = f"{ONCE}\n\t{MADE}"


@pytest.mark.parametrize(
    ("create", "later", "is_fine"),
    [
        (MADE_TOO, "", True),
        (f"make(vcpu, &vcpu->arch.nested_mmu);\n\t{MADE}", "", True),
        (MADE, "", False),
        (MADE_TOO.replace("nested", "guest"), "", False),
        (f"kvm_init_mmu(vcpu);\n\t{ONCE}", "", False),
        (MADE, ONCE, False),
        (MADE_TOO, ONCE.replace("4", "vcpu->arch.hflags"), False),
        (MADE_TOO, "vcpu->arch.walk_mmu->root_level = 3;", False),
        (MADE_TOO, "memset(&vcpu->arch.nested_mmu.root_level, 1, 1);", False),
    ],
)
def test_a_field_that_is_stored_in_the_making_alone(create, later, is_fine):
    """It stays as it is, and no set-up has to store it; what is stored elsewhere is told."""
    text = FIXED[MMU].decode()
    assert text.count(NESTED) == 1
    text = text.replace(NESTED, "\tg_context->ept_ad = g_context->root_level;\n")
    code = (MAKE % (FIVE, create, later)).encode()
    report = check({**FIXED, MMU: text.encode() + code})
    words = "root_level of nested_mmu is stored by no set-up"
    assert any(words in one.reason for one in report.unknowns) is not is_fine, report.unknowns


@pytest.mark.parametrize(
    ("body", "create", "later"),
    [
        (CLEAR, MADE, MADE),
        (FIVE, MADE, MADE),
        (FIVE, MADE, MADE.replace("vcpu->", "other->")),
        (FIVE, MADE.replace("&vcpu->arch.root_mmu", "vcpu->arch.mmu"), ""),
        (FIVE, f"struct kvm_vcpu *peer = find(vcpu);\n\n\t{MADE.replace('vcpu->', 'peer->')}", ""),
        (FIVE, f"kvm_init_mmu(vcpu);\n\t{MADE}", ""),
        (FIVE, f"kvm_mmu_reset_context(vcpu);\n\t{MADE}", ""),
        (CLEAR, f"kvm_init_mmu(vcpu);\n\t{MADE}", ""),
        (CLEAR, MADE.replace("&vcpu->arch.root_mmu", "vcpu->arch.mmu"), ""),
        (CLEAR.replace("*mmu", "*mmu) + sizeof(*mmu"), MADE, ""),
        (CLEAR.replace("0", "255"), MADE, ""),
        (f"mmu = vcpu->arch.mmu;\n\t{FIVE}", MADE, ""),
        (f"kvm_init_mmu(vcpu);\n\t{FIVE}", MADE, ""),
        ("mmu->mmu_role.as_u64 = 5;", MADE, ""),
        ("vcpu->arch.mmu->root_level = 5;", MADE, ""),
        ("", f"{MADE}\n\tvcpu->arch.mmu->root_level = 5;", ""),
    ],
)
def test_a_context_that_is_made_again(body, create, later):
    """What is stored behind a set-up, or elsewhere, may be there where one is skipped."""
    assert added(MAKE % (body, create, later)).verdict in ("unknown", "gap")


SWITCH = """
static void switch_to(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu)
{
	vcpu->arch.mmu = mmu;
}

int kvm_mmu_switch(struct kvm_vcpu *vcpu, struct kvm_mmu *given)
{
	struct kvm_mmu *mmu = &vcpu->arch.guest_mmu;

	%s
	return 0;
}
"""


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("vcpu->arch.mmu = &vcpu->arch.root_mmu;", "covered"),
        ("vcpu->arch.mmu = mmu;", "covered"),
        ("vcpu->arch.mmu = (mmu);", "covered"),
        ("switch_to(vcpu, mmu);", "covered"),
        ("switch_to(vcpu, &vcpu->arch.root_mmu);\n\tswitch_to(vcpu, mmu);", "covered"),
        ("mmu = &vcpu->arch.root_mmu;\n\tvcpu->arch.mmu = mmu;", "covered"),
        ("if (given && mmu != given)\n\t\tswitch_to(vcpu, mmu);", "covered"),
        ("if (given && find(&mmu))\n\t\tswitch_to(vcpu, mmu);", "unknown"),
        ("vcpu->arch.mmu = &vcpu->arch.nested_mmu;", "unknown"),
        ("mmu = &vcpu->arch.nested_mmu;\n\tvcpu->arch.mmu = mmu;", "unknown"),
        ("if (tdp_enabled)\n\t\tmmu = &vcpu->arch.nested_mmu;\n\tswitch_to(vcpu, mmu);", "unknown"),
        ("switch_to(vcpu, mmu);\n\tswitch_to(vcpu, &vcpu->arch.nested_mmu);", "unknown"),
        ("vcpu->arch.mmu = given;", "unknown"),
        ("switch_to(vcpu, given);", "unknown"),
        ("find(&mmu);\n\tvcpu->arch.mmu = mmu;", "unknown"),
        ("mmu += 1;\n\tvcpu->arch.mmu = mmu;", "unknown"),
        ("vcpu->arch.mmu = vcpu->arch.mmu ?: mmu;", "unknown"),
        ("vcpu->arch.mmu = (void *)mmu;", "unknown"),
    ],
)
def test_a_pointer_to_contexts_in_use(body, verdict):
    """Where it comes from is followed, and a field is not read by it of any other context."""
    code = SWITCH % body
    if "switch_to" not in body:
        code = code[code.index("int kvm_mmu_switch") :]
    code += LEVEL_OF % "return level_of(vcpu->arch.mmu);"
    assert added(code).verdict == verdict


@pytest.mark.parametrize(
    ("on_skip", "is_fine"),
    [
        ("context->mmu_role.ext.efer_lma = 0;", False),
        ("if (context->ept_ad) context->root_level = 0;\n\t\tcontext->ept_ad = 1;", False),
        ("context->gva_to_gpa = nonpaging_gva_to_gpa;", True),
        ("context->ept_ad = 1;", True),
        ("context->mmu_role.as_u64 = new_role.as_u64;", True),
    ],
)
def test_second_skip(on_skip, is_fine):
    """What a skip stores matters where the next one reads it, and leaves no full set-up."""
    guard = TDP_GUARD.replace("\t\treturn;", "\t\tgoto out;", 1)
    guard = guard.replace("as_u64)\n\t\tgoto out;", f"as_u64) {{\n\t\t{on_skip}\n\t\treturn;\n\t}}")
    report = edited(TDP_GUARD, guard)
    assert (report.verdict == "covered") == is_fine, report.unknowns
    assert is_fine or report.verdict in ("unknown", "gap")


@pytest.mark.parametrize(
    ("guard", "verdict"),
    [("", "unknown"), ("\tif (role.as_u64 == context->mmu_role.as_u64)\n\t\treturn;\n", "unknown")],
    ids=["always", "guarded"],
)
def test_rival_entry(guard, verdict):
    """Another entry that sets up the same context is no part of a proof, and so a doubt."""
    report = added(
        "void kvm_init_fast_mmu(struct kvm_vcpu *vcpu)\n{\n"
        "\tstruct kvm_mmu *context = &vcpu->arch.root_mmu;\n"
        "\tstruct kvm_mmu_role_regs regs = vcpu_to_role_regs(vcpu);\n"
        "\tunion kvm_mmu_role role = kvm_calc_tdp_mmu_root_page_role(vcpu, &regs);\n\n"
        f"{guard}\tcontext->mmu_role = role;\n\tcontext->root_level = 2;\n}}\n"
    )
    assert report.verdict == verdict
    assert any("kvm_init_fast_mmu()" in one.reason for one in report.unknowns), report.unknowns


@pytest.mark.parametrize(
    "body",
    [
        "\tif (vcpu->arch.mmu->mmu_role.base.word == vcpu->arch.hflags)\n\t\treturn;\n",
        "\tunion kvm_mmu_role r = vcpu->arch.root_mmu.mmu_role;\n\n\tif (r.as_u64)\n\t\treturn;\n",
        "\tif (is_cr4_pae(vcpu->arch.mmu))\n\t\treturn;\n",
        "\tif (vcpu->arch.mmu->root_level == 4)\n\t\treturn;\n",
    ],
    ids=["role", "copy", "accessor", "field"],
)
def test_guard_above(body):
    """A caller that looks at a context before it calls an entry may skip by what it sees."""
    report = added(
        f"void kvm_mmu_lazy(struct kvm_vcpu *vcpu)\n{{\n{body}\tkvm_init_mmu(vcpu);\n}}\n"
    )
    assert report.verdict == "unknown"
    assert any("kvm_init_mmu() is called" in one.reason for one in report.unknowns)


def test_guards_far_above():
    """A guard may stand any number of calls above the store of the role."""
    text = FIXED[MMU].decode()
    store = "context->mmu_role.as_u64 = new_role.as_u64;"
    head = "static void set_role_{}(struct kvm_mmu *m, union kvm_mmu_role r)\n{{\n\t"
    helpers = f"{head.format(0)}m->mmu_role = r;\n}}\n\n"
    for i in range(3):
        helpers += f"{head.format(i + 1)}set_role_{i}(m, r);\n}}\n\n"
    text = text.replace(f"\tg_{store}", "\tset_role_3(g_context, new_role);")
    text = text.replace(f"\t{store}", "\tset_role_3(context, new_role);")
    text = text.replace("static void init_kvm_tdp_mmu(", f"{helpers}static void init_kvm_tdp_mmu(")
    report = check({**FIXED, MMU: text.encode()})
    assert verdicts(report) == verdicts(check(FIXED)), report.unknowns


def host_level(form):
    """Return the report on the fixture where the level is that of the host."""
    text = (
        FIXED[MMU]
        .decode()
        .replace(
            "\tcontext->root_level = role_regs_to_root_level(&regs);",
            "\tcontext->root_level = host.level & 7;",
        )
    )
    text = text.replace("static void init_kvm_tdp_mmu(", f"{HOST}static void init_kvm_tdp_mmu(")
    body = form.replace("{}", "host.level").replace("{{", "{").replace("}}", "}")
    text += f"{MACROS}int use_host(struct kvm_vcpu *vcpu)\n{{\n\t{body}\n}}\n"
    return check({**FIXED, MMU: text.encode()})


HOST = "struct host_level {\n\tint level;\n};\nstruct host_level host __read_mostly;\n\n"


@pytest.mark.parametrize("form", READS[::4])
def test_host_constant(form):
    """An object that is only read is alike in all runs."""
    assert host_level(form).verdict == "covered"


@pytest.mark.parametrize("form", [*STORES, *OTHERS])
def test_host_variable(form):
    """One that is stored to at any time is no constant, whatever its declaration says."""
    assert host_level(form).verdict in ("gap", "unknown")


@pytest.mark.parametrize(
    ("body", "is_fine"),
    [
        ("memset(vcpu->arch.mmu, 0, sizeof(*vcpu->arch.mmu));", False),
        ("memset(&vcpu->arch.root_mmu, 0, sizeof(vcpu->arch.root_mmu));", False),
        ("vcpu->arch.root_mmu = vcpu->arch.guest_mmu;", False),
        ("*vcpu->arch.mmu = vcpu->arch.guest_mmu;", False),
        ("if (copy_from_user(&vcpu->arch.root_mmu, p, 64)) return;", False),
        ("struct kvm_mmu *m = &vcpu->arch.root_mmu;\n\n\t*m = vcpu->arch.guest_mmu;", False),
        ("u8 *p = (u8 *)vcpu->arch.mmu;\n\n\tp[100] = 3;", False),
        ("void *p = vcpu->arch.mmu;\n\n\tpoke(p);", False),
        ("struct kvm_mmu *m = &vcpu->arch.root_mmu;\n\n\tif (m != vcpu->arch.mmu) m = 0;", True),
        ("vcpu->arch.walk_mmu = &vcpu->arch.root_mmu;", True),
    ],
)
def test_whole(body, is_fine):
    """A context that is stored to as a whole, or through another type, is in doubt."""
    report = added(f"void kvm_mmu_whole(struct kvm_vcpu *vcpu)\n{{\n\t{body}\n}}\n")
    assert report.verdict == ("covered" if is_fine else "unknown"), report.unknowns


@pytest.mark.parametrize(
    ("arguments", "is_fine"),
    [("vcpu->arch.mmu, root, level", False), ("vcpu->arch.mmu, shadow_root, level", False),
     ("vcpu->arch.mmu, shadow, depth", True)],
)  # fmt: skip
def test_a_pasted_name(arguments, is_fine):
    """A member that a macro names by pasting is mentioned where the macro is used."""
    code = "#define SET(m, a, b) ((m)->a##_##b = 2)\n"
    code += f"void far(struct kvm_vcpu *vcpu)\n{{\n\tSET({arguments});\n}}\n"
    report = check({**FIXED, "arch/x86/kvm/far.c": b'#include "mmu.h"\n' + code.encode()})
    assert report.verdict == ("covered" if is_fine else "unknown")
    said = [one.reason for one in report.unknowns]
    assert is_fine or any(one.startswith("SET() pastes the name of ") for one in said), said


def test_a_name_pasted_from_its_parts():
    """The macro that pastes need not be the one that stores, nor know of members."""
    code = "#define GLUE(a, b) a ## b\n"
    code += "void far(struct kvm_vcpu *vcpu)\n{\n\tvcpu->arch.mmu->GLUE(root, _level) = 2;\n}\n"
    report = check({**FIXED, "arch/x86/kvm/far.c": b'#include "mmu.h"\n' + code.encode()})
    assert report.verdict == "unknown"
    assert "GLUE() pastes the name of root_level" in [one.reason for one in report.unknowns]


CAT = "#define CAT_(a, b) a##b\n#define CAT(a, b) CAT_(a, b)\n"
PASTES = {
    "of the kernel": ("", "vcpu->arch.mmu->__PASTE(root_, level) = 3;"),
    "two levels": (CAT, "vcpu->arch.mmu->CAT(root_, level) = 3;"),
    "a part that is a macro": (f"{CAT}#define PART root_\n",
                               "vcpu->arch.mmu->CAT(PART, level) = 3;"),
    "parts joined by a mark": (
        "#define CAT_(a, b) a##_##b\n#define CAT(a, b) CAT_(a, b)\n",
        "vcpu->arch.mmu->CAT(root, level) = 3;",
    ),
    "any number of parts": ("#define ALL(a, ...) a##__VA_ARGS__\n",
                            "vcpu->arch.mmu->ALL(root_, level) = 3;"),
    "a macro for the member": (f"{CAT}#define LEVEL CAT(root_, level)\n",
                               "vcpu->arch.mmu->LEVEL = 3;"),
    "a macro in a list": (
        "#define EACH(f) f(root) f(shadow_root)\n#define SET(n) vcpu->arch.mmu->n##_level = 3;\n",
        "EACH(SET)",
    ),
    "a role": ("", "vcpu->arch.mmu->__PASTE(mmu_, role).ext.efer_lma = 0;"),
}  # fmt: skip


@pytest.mark.parametrize("name", PASTES)
def test_pasted_names(name):
    """A member is named where no word of the text is its name."""
    macros, statement = PASTES[name]
    text = f"\n{macros}\nvoid change(struct kvm_vcpu *vcpu)\n{{\n\t{statement}\n}}\n"
    assert check({**FIXED, MMU: FIXED[MMU] + text.encode()}).verdict == "unknown"


@pytest.mark.parametrize("calls", [1, 5, 9])
def test_a_guard_far_above(calls):
    """Whoever leads to an entry may skip it, however many calls lie between."""
    names = [f"f{number}" for number in range(calls)]
    chain = "".join(
        f"void {one}(struct kvm_vcpu *vcpu)\n{{\n\t{other}(vcpu);\n}}\n\n"
        for one, other in zip(names, ["kvm_init_mmu", *names], strict=False)
    )
    above = (
        "\nvoid top(struct kvm_vcpu *vcpu)\n{\n\tif (vcpu->arch.root_mmu.mmu_role.ext.valid)\n"
        f"\t\treturn;\n\t{names[-1]}(vcpu);\n}}\n"
    )
    plain = {**FIXED, MMU: FIXED[MMU] + f"\n{chain}".encode()}
    assert check(plain).verdict == "covered"
    guarded = {**FIXED, MMU: FIXED[MMU] + f"\n{chain}{above}".encode()}
    assert check(guarded).verdict == "unknown"


AROUND_ENTRIES = {
    "macro that skips": (
        "#define lazy(v) ((v)->arch.mmu->mmu_role.ext.valid ? (void)0 : kvm_init_mmu(v))",
        "lazy(vcpu);",
    ),
    "macro that calls": (
        "#define lazy(v) kvm_init_mmu(v)",
        "if (!vcpu->arch.mmu->mmu_role.ext.valid)\n\t\tlazy(vcpu);",
    ),
    "given to a helper": (
        "static void lazy(struct kvm_vcpu *vcpu, void (*f)(struct kvm_vcpu *))\n{\n"
        "\tif (!vcpu->arch.mmu->mmu_role.ext.valid)\n\t\tf(vcpu);\n}",
        "lazy(vcpu, kvm_init_mmu);",
    ),
    "kept in a variable": (
        "",
        "void (*f)(struct kvm_vcpu *) = kvm_init_mmu;\n\n"
        "\tif (!vcpu->arch.mmu->mmu_role.ext.valid)\n\t\tf(vcpu);",
    ),
}


@pytest.mark.parametrize("name", AROUND_ENTRIES)
def test_a_guard_above_that_calls_otherwise(name):
    """An entry is called by a macro, or through its address, or is not."""
    around, statement = AROUND_ENTRIES[name]
    text = f"\n{around}\n\nvoid top(struct kvm_vcpu *vcpu)\n{{\n\t{statement}\n}}\n"
    assert check({**FIXED, MMU: FIXED[MMU] + text.encode()}).verdict == "unknown"


@pytest.mark.parametrize(
    "store",
    ["other->arch.efer = vcpu->arch.hflags;", "other->arch.efer |= EFER_LMA;"],
)
def test_two_pointers_to_one_vcpu(store):
    """What is set in another vCPU is set in this one where they are the same."""
    text = FIXED[MMU].decode()
    head = "static void init_kvm_tdp_mmu("
    guard = text.index("context->mmu_role.as_u64 = new_role", text.index(head))
    again = f"{store}\n\tregs = vcpu_to_role_regs(vcpu);\n\t"
    text = text[:guard] + again + text[guard:]
    text = text.replace(head, f"static struct kvm_vcpu *other;\n\n{head}", 1)
    assert check({**FIXED, MMU: text.encode()}).verdict == "unknown"


def test_a_name_that_is_pasted_outside_of_the_folder():
    """Text that is built in may paste the name of a member as well."""
    code = b"#define JOIN(a, b) a##b\nvoid devil(struct kvm_vcpu *vcpu)\n{\n"
    code += b"\tvcpu->arch.root_mmu.JOIN(root_, level) = 1;\n}\n"
    tree = fixture("role-regs-fixed")
    assert check({**tree, "virt/kvm/kvm_main.c": code}).verdict == "unknown"


ASKING = {
    "int": ("static int asks(struct kvm_vcpu *vcpu)\n{\n\treturn READ == 4;\n}",
            "if (!asks(vcpu))"),
    "long": ("static unsigned long asks(struct kvm_vcpu *vcpu)\n{\n\treturn READ;\n}",
             "if (asks(vcpu) != 4)"),
    "through another": (
        "static int reads(struct kvm_vcpu *vcpu)\n{\n\treturn READ;\n}\n"
        "static bool asks(struct kvm_vcpu *vcpu)\n{\n\tif (reads(vcpu))\n\t\treturn true;\n"
        "\treturn false;\n}",
        "if (!asks(vcpu))",
    ),
    "accessor": (
        "static int asks(struct kvm_vcpu *vcpu)\n{\n\treturn is_cr4_pae(vcpu->arch.mmu);\n}",
        "if (!asks(vcpu))",
    ),
    "left in a variable": (
        "static void asks(struct kvm_vcpu *vcpu, int *x)\n{\n\t*x = READ;\n}",
        "int x;\n\n\tasks(vcpu, &x);\n\tif (x != 4)",
    ),
    "early return": ("static int asks(struct kvm_vcpu *vcpu)\n{\n\treturn READ;\n}",
                     "int x = asks(vcpu);\n\n\tif (x)\n\t\treturn;\n"),
    "counted": (
        "static int asks(struct kvm_vcpu *vcpu)\n{\n\tint n = 0;\n\n\twhile (n < READ)\n"
        "\t\tn++;\n\treturn n;\n}",
        "if (asks(vcpu) != 4)",
    ),
    "in front of one of two": (
        "static int asks(struct kvm_vcpu *vcpu)\n{\n\treturn READ;\n}\n"
        "static void again(struct kvm_vcpu *vcpu)\n{\n\tkvm_init_mmu(vcpu);\n}",
        "if (asks(vcpu))\n\t\tagain(vcpu);\n\tif (vcpu->arch.hflags)",
    ),
}  # fmt: skip
NOT_ASKING = ("asks(vcpu);\n", 'int x = asks(vcpu);\n\n\tpr_info("%d", x);\n')


def asked_above(function, statement):
    """Return the verdict where a caller of an entry asks a function first."""
    text = f"\n{function}\n\nvoid top(struct kvm_vcpu *vcpu)\n{{\n\t{statement}"
    text = text.replace("READ", "vcpu->arch.root_mmu.root_level") + "\n\t\tkvm_init_mmu(vcpu);\n}\n"
    return added(text).verdict


@pytest.mark.parametrize("name", ASKING)
def test_an_answer_above(name):
    """Whatever a function returns, who asks it may leave a set-up out by what it read."""
    assert asked_above(*ASKING[name]) == "unknown"


@pytest.mark.parametrize("statement", NOT_ASKING)
def test_no_answer_above(statement):
    """An answer on which no call depends leaves nothing out."""
    assert asked_above(ASKING["int"][0], statement) == "covered"
    behind = 'kvm_init_mmu(vcpu);\n\tif (asks(vcpu))\n\t\tpr_info("x");\n'
    text = f"\n{ASKING['int'][0]}\n\nvoid top(struct kvm_vcpu *vcpu)\n{{\n\t{behind}}}\n"
    assert added(text.replace("READ", "vcpu->arch.root_mmu.root_level")).verdict == "covered"


def test_an_operation_of_the_name_of_a_function():
    """What a macro calls by the name of an operation is not the function of that name."""
    body = "int x = asks(vcpu);\n\n\tif (x)\n\t\tkvm_x86_call(again)(vcpu);\n"
    again = "void again(struct kvm_vcpu *vcpu)\n{\n\tkvm_init_mmu(vcpu);\n}\n"
    again += "struct operations {\n\tvoid (*again)(struct kvm_vcpu *vcpu);\n};\n"
    text = f"\n{ASKING['int'][0]}\n\n{again}\nvoid top(struct kvm_vcpu *vcpu)\n{{\n\t{body}}}\n"
    text = text.replace("READ", "vcpu->arch.root_mmu.root_level")
    assert added(text).verdict == "covered"
    assert added(text.replace("kvm_x86_call(again)", "again")).verdict == "unknown"


@pytest.mark.parametrize("macro", ["#define GLUE(a, b) a##b\n", ""])
def test_a_pasted_function(macro):
    """A set-up may be called by a name that a macro pastes."""
    glue = "GLUE" if macro else "__PASTE"
    call = f"\t{glue}(init_kvm_, tdp_mmu)(vcpu);\n"
    report = added(f"\n{macro}void far(struct kvm_vcpu *vcpu)\n{{\n{call}}}\n")
    assert report.verdict == "unknown"
    assert any("init_kvm_tdp_mmu()" in one.reason for one in report.unknowns), report.unknowns


EVENT = """#undef TRACE_SYSTEM
TRACE_EVENT(kvm_role,
	TP_PROTO(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, int root_level),
	TP_ARGS(vcpu, mmu, root_level),
	TP_STRUCT__entry(
		__field(u64, mmu_role)
		__field(int, root_level)
	),
	TP_fast_assign(
		%s
	),
	TP_printk("mmu_role %%llx (see shadow_root_level) %%d", %s)
);
"""


@pytest.mark.parametrize(
    ("assigned", "printed", "is_fine"),
    [
        ("__entry->mmu_role = mmu->mmu_role.as_u64; __entry->root_level = root_level;",
         "__entry->mmu_role, __entry->root_level", True),
        ("__entry->root_level = mmu->root_level + mmu->mmu_role.base.level;",
         "__entry->mmu_role, __entry->root_level", True),
        ("__entry->root_level = 1; mmu->root_level = 0;", "__entry->mmu_role", False),
        ("__entry->root_level = mmu->root_level++;", "__entry->mmu_role", False),
        ("mmu->mmu_role.as_u64 = root_level;", "__entry->mmu_role", False),
        ("__entry->root_level = 1;", "mmu->root_level++, 0", False),
        ("__entry->root_level = peek(&mmu->root_level);", "__entry->mmu_role", False),
    ],
)  # fmt: skip
def test_what_a_trace_event_names(assigned, printed, is_fine):
    """What is of the event itself, or read by it, is nothing to a proof."""
    files = {
        **fixture("role-regs-fixed"),
        "arch/x86/kvm/trace.h": (EVENT % (assigned, printed)).encode(),
    }
    assert (check(files).verdict == "covered") is is_fine
