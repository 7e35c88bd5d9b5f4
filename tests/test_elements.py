# SPDX-License-Identifier: GPL-2.0-only
"""Fields that are arrays, that a set-up stores in part, or that one vendor alone stores."""

import re

import pytest
from edited import check, fixture

MMU = "arch/x86/kvm/mmu/mmu.c"
HEADER = "arch/x86/include/asm/kvm_host.h"
FIXED = fixture("role-regs-fixed")
TDP = "\tcontext->shadow_root_level = kvm_mmu_get_tdp_level(vcpu);\n"


def changed(*edits, fields=("keep",), more=()):
    """Return the report on a tree with some edits of its text, and a field ``keep``."""
    text, header = FIXED[MMU].decode(), FIXED[HEADER].decode()
    for before, after in edits:
        assert before in text
        text = text.replace(before, after, 1)
    header = header.replace("struct kvm_mmu {\n", "struct kvm_mmu {\n\tu64 keep[6];\n", 1)
    assert "keep" in header
    files = {**FIXED, MMU: text.encode(), HEADER: header.encode()}
    for path, code in more:
        files[path] = files.get(path, b"#include <linux/kvm_host.h>\n") + code.encode()
    return check(files, fields)


def keep(report, field="keep"):
    """Return what is said of a field on the way of TDP."""
    (found,) = [
        one
        for context in report.contexts
        for one in context.fields
        if context.initialiser == "init_kvm_tdp_mmu" and one.name == field
    ]
    return found


def tdp(code):
    """Return an edit that adds code behind the guard of the TDP set-up."""
    return TDP, TDP + "".join(f"\t{line}\n" for line in code)


@pytest.mark.parametrize(
    ("code", "accumulates"),
    [
        (["if (!is_cr0_pg(context))", "\tcontext->keep[0] = 0;", "else",
          "\tcontext->keep[0] |= is_cr4_pae(context) ? 2 : 4;"], True),
        (["if (is_cr0_pg(context))", "\tcontext->keep[0] = is_cr4_pae(context) ? 0xff : 0xf0;",
          "if (shadow_accessed_mask)", "\tcontext->keep[0] &= ~shadow_accessed_mask;"], False),
        (["context->keep[0] = 0;", "context->keep[0] |= is_cr4_pae(context) ? 2 : 4;"], False),
        # No set-up clears the bit that some set: what a vCPU was made with is another history.
        (["context->keep[0] |= is_cr4_pae(context) ? 6 : 4;"], True),
        (["context->keep[0] |= 4;", "if (is_cr4_pae(context))", "\tcontext->keep[0] |= 2;"], True),
        (["context->keep[0] &= is_cr4_pae(context) ? ~6ull : ~4ull;"], False),
        (["context->keep[0] |= 4;"], False),
    ],
)  # fmt: skip
def test_accumulation(code, accumulates):
    """To add to what is there is to keep it; to clear what every set-up clears is nothing."""
    found = keep(changed(tdp(code)))
    assert (found.accumulated is not None) is accumulates
    assert found.verdict == ("gap" if accumulates else "covered")


ROLE = "\tcontext->mmu_role.as_u64 = new_role.as_u64;\n" + TDP


@pytest.mark.parametrize(
    ("code", "before"),
    [
        ("context->keep[0] = is_cr4_pae(context);", ("mmu_role",)),
        (
            "context->keep[0] = is_cr0_pg(context) + context->root_level;",
            ("mmu_role", "root_level"),
        ),
        ("context->keep[0] = context->root_level;", ("root_level",)),
        ("context->keep[0] = new_role.base.direct;", None),
    ],
)
def test_what_the_context_held_before(code, before):
    """A field is stale that is computed of the role in front of the store of it."""
    assert FIXED[MMU].decode().count(ROLE) == 1
    found = keep(changed((ROLE, f"\t{code}\n{ROLE}")))
    assert found.verdict == ("covered" if before is None else "gap")
    assert found.before == (before or ())
    assert not any(one.name.startswith("eq!") for one in found.inputs)
    assert found.kinds == (() if before is None else ("earlier",))


@pytest.mark.parametrize(
    ("condition", "is_fine"),
    [
        ("keep & ~context->keep[0]", False),
        ("keep != context->keep[0]", True),
        ("context->keep[0] < keep", False),
        ("context->keep[1]", False),
    ],
)
def test_what_is_stored_by_what_was_there(condition, is_fine):
    """What is kept since it was there is another one's; to leave what is equal is to store it."""
    code = ["u64 keep = is_cr4_pae(context) ? 6 : 4;", f"if ({condition})"]
    found = keep(changed(tdp([*code, "\tcontext->keep[0] = keep;"])))
    assert (found.verdict == "covered") is is_fine


def test_the_headline_is_about_the_whole_field():
    """Two elements are stale, and a finding that names one says that it is an example."""
    code = [f"context->keep[{n}] = role_regs_to_root_level(&regs) + {n};" for n in (1, 3)]
    demo = {**fixture("demo")}
    text = demo[MMU].decode()
    store = "\tcontext->root_level = role_regs_to_root_level(&regs);\n"
    assert text.count(store) == 1
    header = (
        demo[HEADER].decode().replace("struct kvm_mmu {\n", "struct kvm_mmu {\n\tu64 keep[6];\n")
    )
    text = text.replace(store, store + "".join(f"\t{line}\n" for line in code))
    report = check({**demo, MMU: text.encode(), HEADER: header.encode()}, ("keep",))
    (found,) = [
        one for one in report.findings if (one.field, one.entry[-1]) == ("keep", "init_kvm_tdp_mmu")
    ]
    assert found.message.startswith("keep depends on EFER.LMA, which the compared role does not")
    assert re.search(r"kept \(for example keep\[[13]\], bits? [\d:]+\)$", found.message)


SWEEP = """static void sweep(struct kvm_mmu *context)
{
	int i;

	for (i = context->shadow_root_level; --i >= 0;)
		context->keep[i] = 7;
}

void kvm_init_mmu("""


@pytest.mark.parametrize(
    ("level", "is_fine"), [(TDP, True), (TDP.replace("kvm_mmu_get_tdp_level(vcpu)", "7"), False)]
)
def test_turns_by_what_is_stored(level, is_fine):
    """How often a loop behind a guard turns is what a set-up has stored, whoever skips."""
    report = changed(
        (TDP, level + "\tcontext->keep[0] = 7;\n"),
        ("void kvm_init_mmu(", SWEEP),
        ("\t\tinit_kvm_tdp_mmu(vcpu);\n", "\t\tset_up(vcpu);\n"),
        ("static void sweep(", "static void set_up(struct kvm_vcpu *vcpu);\nstatic void sweep("),
        ("void kvm_init_mmu(",
         "static void set_up(struct kvm_vcpu *vcpu)\n{\n\tinit_kvm_tdp_mmu(vcpu);\n\t"
         "sweep(&vcpu->arch.root_mmu);\n}\n\nvoid kvm_init_mmu("),
        fields=("keep", "shadow_root_level"),
    )  # fmt: skip
    said = [one.reason for one in report.unknowns if "beyond its end" in one.reason]
    assert bool(said) is not is_fine
    # The last element is left alone by the lower of two levels, and may be read then.
    left = [str(one) for one in keep(report).reasons if "does not always store keep" in str(one)]
    assert keep(report).verdict == "unknown"
    assert bool(left) is is_fine


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (["context->keep[0] = 1;", "context->keep[1] = is_cr4_pae(context);"], "covered"),
        (["if (is_cr0_pg(context)) {", "\tcontext->keep[0] = 1;", "\tcontext->keep[1] = 2;", "}"],
         "covered"),
        (["context->keep[0] = 1;", "if (is_cr4_pae(context))", "\tcontext->keep[1] = 2;"],
         "unknown"),
        (["for (int i = 0; i < 6; i++) {", "\tif (i && !is_cr4_pae(context))", "\t\tbreak;",
          "\tcontext->keep[i] = i;", "}"], "unknown"),
        (["for (int i = 0; i < 6; i++) {", "\tif (i == 3 && is_cr4_pae(context))",
          "\t\tcontinue;", "\tcontext->keep[i] = i;", "}"], "unknown"),
        (["if (is_cr4_pae(context))", "\tcontext->keep[0] = 1;", "else",
          "\tcontext->keep[1] = 2;"], "unknown"),
        # What an array has not is none of its elements.
        (["for (int i = 0; i < (is_cr4_pae(context) ? 8 : 6); i++)", "\tcontext->keep[i] = i;"],
         "covered"),
        (["for (int i = 0; i < (is_cr4_pae(context) ? 6 : 5); i++)", "\tcontext->keep[i] = i;"],
         "unknown"),
    ],
)  # fmt: skip
def test_elements_that_are_left_alone(code, verdict):
    """What a full set-up leaves of an array is of another state than the rest of it."""
    assert keep(changed(tdp(code))).verdict == verdict


def test_a_function_that_is_left_alone():
    """It is called without paging too."""
    first = "\tif (!is_cr0_pg(context))\n\t\tcontext->gva_to_gpa = nonpaging_gva_to_gpa;\n\telse if"
    report = changed(
        (first, "\tif (!is_cr0_pg(context))\n\t\treturn;\n\tif"), fields=("gva_to_gpa",)
    )
    assert keep(report, "gva_to_gpa").verdict in ("gap", "unknown")
    assert keep(changed(fields=("gva_to_gpa",)), "gva_to_gpa").verdict == "covered"


RECORD = "struct check {{\n\tu64 mask[2][{}];\n\tu64 more;\n}};\n\n"
FILLED = "context->check.mask[1][1] = vcpu->arch.hflags;"


@pytest.mark.parametrize(
    ("code", "columns", "verdict"),
    [
        ([FILLED], 3, "gap"),
        ([FILLED, "context->check = context->check;"], 3, "gap"),
        ([FILLED, "struct check copy = context->check;", "context->check = copy;"], 3, "gap"),
        (["struct check copy = {};", "copy.mask[1][1] = vcpu->arch.hflags;",
          "context->check = copy;"], 3, "gap"),
        (["struct check copy = {};", "copy.mask[1][1] = is_cr4_pae(context);",
          "memcpy(&context->check, &copy, sizeof(copy));"], 3, "covered"),
        ([FILLED, "context->check = context->check;"], 80, "unknown"),
    ],
)  # fmt: skip
def test_a_record_that_is_copied(code, columns, verdict):
    """Arrays of arrays are copied by element, and what is not understood is no part of a proof."""
    header = FIXED[HEADER].decode()
    text = FIXED[MMU].decode().replace(TDP, tdp(code)[1], 1)
    head = RECORD.format(columns) + "struct kvm_mmu {\n\tstruct check check;\n"
    header = header.replace("struct kvm_mmu {\n", head, 1)
    report = check({**FIXED, MMU: text.encode(), HEADER: header.encode()}, ("check",))
    assert keep(report, "check").verdict == verdict


LOCAL = "u64 some[{}] = {{}};"
COPY = "memcpy(context->keep, some, sizeof(some));"


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ([LOCAL.format(6), "some[1] = is_cr4_pae(context);", COPY], "covered"),
        ([LOCAL.format(6), "some[1] = vcpu->arch.hflags;", COPY], "gap"),
        ([LOCAL.format(6), COPY, "some[1] = vcpu->arch.hflags;"], "covered"),
        ([LOCAL.format(5), "some[1] = is_cr4_pae(context);", COPY], "unknown"),
        ([LOCAL.format(7), "some[1] = is_cr4_pae(context);", COPY], "unknown"),
        (["u32 some[12] = {};", "some[1] = is_cr4_pae(context);", COPY], "unknown"),
        (["if (vcpu->arch.hflags) memset(context->keep, 0, sizeof(context->keep));"], "gap"),
    ],
)  # fmt: skip
def test_an_array_that_is_copied(code, verdict):
    """It is stored by its name alone, each element of it."""
    report = changed(tdp(code), fields=("all",))
    if verdict == "unknown":
        assert report.verdict == verdict  # and what a run stores is not known
    else:
        assert keep(report).verdict == verdict


OTHER = "arch/x86/kvm/x86.c"


@pytest.mark.parametrize(
    ("call", "taken", "body"),
    [
        ("help(context, vcpu);", "struct kvm_mmu *context, struct kvm_vcpu *vcpu",
         "context->keep[0] = vcpu->arch.hflags;"),
        ("help(vcpu);", "struct kvm_vcpu *vcpu",
         "vcpu->arch.root_mmu.keep[0] = vcpu->arch.hflags;"),
        ("help(vcpu);", "struct kvm_vcpu *vcpu",
         "WRITE_ONCE(vcpu->arch.root_mmu.keep[0], vcpu->arch.hflags);"),
    ],
    ids=["context", "vCPU", "once"],
)  # fmt: skip
@pytest.mark.parametrize("where", [MMU, OTHER])
def test_a_field_that_a_helper_stores(call, taken, body, where):
    """It is found whichever file the helper is in, and whatever it is given."""
    code = f"void help({taken})\n{{\n\t{body}\n}}\n"
    declared = f"void help({taken});\n"
    edits = [tdp([call]), ("#define ACC_ALL", f"{declared}\n#define ACC_ALL")]
    more = [(OTHER, code)]
    if where == MMU:
        edits[1] = ("static void init_kvm_tdp_mmu(", f"{code}\nstatic void init_kvm_tdp_mmu(")
        more = []
    assert keep(changed(*edits, fields=("all",), more=more)).verdict in ("gap", "unknown")


@pytest.mark.parametrize(
    "code",
    ["WRITE_ONCE(context->keep[0], vcpu->arch.hflags);", "SET(context);",
     "context->keep[0] += vcpu->arch.hflags;", "context->keep[0]++;",
     "KEPT(context) = vcpu->arch.hflags;"],
)  # fmt: skip
def test_a_field_that_is_stored_in_another_form(code):
    """It is found by what is done with it, not by how that is spelt."""
    macro = (
        "#define ACC_ALL",
        "#define KEPT(c) ((c)->keep[0])\n"
        "#define SET(c) ((c)->keep[0] = vcpu->arch.hflags)\n#define ACC_ALL",
    )
    assert keep(changed(macro, tdp([code]), fields=("all",))).verdict in ("gap", "unknown")


STORE = "mmu->keep[0] = vcpu->arch.hflags;"
CALLBACK = f"static void cb(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu)\n{{\n\t{STORE}\n}}\n"
TYPE = "struct kvm_vcpu *, struct kvm_mmu *"


@pytest.mark.parametrize(
    ("call", "here", "elsewhere"),
    [
        ("each(vcpu, context, cb);",
         f"{CALLBACK}static void each(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, "
         f"void (*fn)({TYPE}))\n{{\n\tfn(vcpu, mmu);\n}}\n", ""),
        ("walkers[0](vcpu, context);",
         f"{CALLBACK}static void (*const walkers[])({TYPE}) = {{ cb }};\n", ""),
        (f"void (*fn)({TYPE}) = cb;\n\tfn(vcpu, context);", CALLBACK, ""),
        ("kvm_x86_ops.walk(vcpu, context);", "",
         f"{CALLBACK}static struct kvm_x86_ops vendor = {{\n\t.walk = cb,\n}};\n"),
        ("kvm_x86_ops.walk(vcpu);", "",
         "static void cb(struct kvm_vcpu *vcpu)\n{\n\tstruct kvm_mmu *mmu = &vcpu->arch.root_mmu;\n"
         f"\t{STORE}\n}}\nstatic struct kvm_x86_ops vendor = {{\n\t.walk = cb,\n}};\n"),
    ],
)  # fmt: skip
def test_a_field_that_is_stored_through_a_pointer(call, here, elsewhere):
    """A callback and a vendor's operation store fields that no text of a set-up names."""
    edits = [tdp([call]), ("static void init_kvm_tdp_mmu(", here + "static void init_kvm_tdp_mmu(")]
    report = changed(*edits, fields=("all",), more=[(OTHER, elsewhere)] if elsewhere else ())
    assert keep(report).verdict in ("gap", "unknown")


@pytest.mark.parametrize(
    ("code", "is_fine"),
    [
        ("context->walk->spare = vcpu->arch.hflags;", False),
        ("struct walk *w = context->walk;\n\n\tw->spare = vcpu->arch.hflags;", False),
        ("context->keep[0] = context->walk->spare != 0;", True),
    ],
)
def test_what_a_context_points_to(code, is_fine):
    """What is stored through a pointer of the context is no field of it, which is told."""
    header = (
        FIXED[HEADER]
        .decode()
        .replace(
            "struct kvm_mmu {\n",
            "struct walk {\n\tu64 spare;\n};\n\n"
            "struct kvm_mmu {\n\tstruct walk *walk;\n\tu64 keep[1];\n",
            1,
        )
    )
    text = FIXED[MMU].decode().replace(TDP, tdp([code])[1], 1)
    report = check({**FIXED, MMU: text.encode(), HEADER: header.encode()}, ("all",))
    said = [one.reason for one in report.unknowns if "no member of its context" in one.reason]
    assert bool(said) is not is_fine


KEEPS = "static void keeps(struct kvm_vcpu *vcpu)\n{\n\tvcpu->arch.spare = vcpu->arch.hflags;\n}\n"
OTHERS = "void others(struct kvm_vcpu *vcpu)\n{\n\tkeeps(vcpu);\n}\n\n"
ELSEWHERE = "void elsewhere(struct kvm_vcpu *vcpu)\n{\n\tvcpu->arch.spare = 2;\n}\n"


COUNTS = "if (vcpu->arch.hflags & 2)\n\t\tvcpu->arch.spare++;"
COUNTED = "int count(struct kvm_vcpu *vcpu)\n{\n\t++vcpu->arch.spare;\n}\n"
AT = "static const long at = (long)&((struct kvm_vcpu_arch *)0)->spare;\n"
READS_SPARE = "int reads(struct kvm_vcpu *vcpu)\n{\n\treturn SPARE(vcpu) > 2;\n}\n"


@pytest.mark.parametrize(
    ("code", "above", "elsewhere", "is_fine"),
    [
        ("vcpu->arch.spare = vcpu->arch.hflags;", "", "", False),
        ("vcpu->arch.spare |= vcpu->arch.hflags;", "", "", False),
        ("if (vcpu->arch.hflags & 2)\n\t\tvcpu->arch.spare = 1;", "", "", False),
        ("spare = vcpu->arch.hflags;", "static u64 spare;\n", "", False),
        ("keeps(vcpu);", KEEPS, "", False),
        ("atomic_set(&counted, vcpu->arch.hflags & 2);", "static atomic_t counted;\n", "", False),
        (
            "this_cpu_write(flags, vcpu->arch.hflags & 2);",
            "static DEFINE_PER_CPU(u32, flags);\n",
            "",
            False,
        ),
        (
            "if (vcpu->arch.hflags & 2)\n\t\tstatic_branch_enable(&key);",
            "static DEFINE_STATIC_KEY_FALSE(key);\n",
            "",
            False,
        ),
        ("wrmsrl(MSR_TSC_AUX, vcpu->arch.hflags & 2);", "", "", False),
        (
            "if (atomic_read(&vcpu->kvm->users) && capable(2))\n\t\tcontext->keep[0] = 0;",
            "",
            "",
            True,
        ),
        ("vcpu->arch.spare = 1;", "", "", True),
        ("vcpu->arch.spare++;", "", "", True),
        ("u64 spare = vcpu->arch.hflags;\n\tcontext->keep[0] = spare != spare;", "", "", True),
        ("keeps(vcpu);", KEEPS, ELSEWHERE, False),
        ("keeps(vcpu);", KEEPS + OTHERS, "", False),
        ("keeps(vcpu);", KEEPS + OTHERS, ELSEWHERE, True),
        (COUNTS, "", "", True),
        (COUNTS.replace("spare++", "spare += vcpu->arch.hflags"), "", COUNTED, True),
        (COUNTS, "", AT, True),
        (COUNTS, "", COUNTED.replace("++vcpu->arch.spare", "return vcpu->arch.spare"), False),
        (COUNTS, "", COUNTED.replace("++", "return ++"), False),
        (COUNTS, "", COUNTED.replace("++", "vcpu->arch.hflags = ++"), False),
        (COUNTS, "", COUNTED.replace("++", "if (!++").replace("spare;", "spare) vcpu = 0;"), False),
        (COUNTS, "", COUNTED.replace("++vcpu->arch.spare", "note(&vcpu->arch.spare)"), False),
        (COUNTS, f"#define SPARE(v) ((v)->arch.spare)\n{READS_SPARE}", "", False),
        (COUNTS, "", f"void f(void)\n{{\n\t{AT}}}\n", False),
        (COUNTS.replace("spare++", "spare = 1"), "", "", False),
    ],
)
def test_what_is_kept_beside_a_context(code, above, elsewhere, is_fine):
    """It is as stale behind a skip as a field; what is the same each time is not."""
    header = FIXED[HEADER].decode()
    header = header.replace("struct kvm_mmu {\n", "struct kvm_mmu {\n\tu64 keep[1];\n", 1)
    header = header.replace("struct kvm_vcpu_arch {\n", "struct kvm_vcpu_arch {\n\tu64 spare;\n", 1)
    text = FIXED[MMU].decode().replace(TDP, tdp([code])[1], 1)
    text = text.replace("static void init_kvm_tdp_mmu(", f"{above}static void init_kvm_tdp_mmu(", 1)
    tree = {**FIXED, MMU: text.encode(), HEADER: header.encode()}
    report = check({**tree, "arch/x86/kvm/spare.c": elsewhere.encode()}, ("all",))
    said = [one.reason for one in report.unknowns if "behind the guard" in one.reason]
    assert bool(said) is not is_fine, said


def _keeps(statement, above=""):
    return f"{above}static void keeps(struct kvm_vcpu *vcpu)\n{{\n\t{statement}\n}}\n\n"


NOTING = (
    "static void noting(u64 *to, u64 flags)\n{\n\t*to = flags;\n}\n\n"
    "void noted(u64 *to)\n{\n\tnoting(to, 1);\n}\n\n"
)
NOTES = (
    "#define NOTE(v, member, flags) ((v)->arch.member = (flags))\n\n"
    "void noted(struct kvm_vcpu *v)\n{\n\tNOTE(v, hflags, 1);\n}\n\n"
)
FLAGS = "vcpu->arch.hflags & 2"


@pytest.mark.parametrize(
    ("statement", "above", "is_fine"),
    [
        (f"spare = {FLAGS};", "static u64 spare;\n", False),
        (f"spares[1] = {FLAGS};", "static u64 spares[2];\n", False),
        (f"static u64 spare;\n\n\tspare = {FLAGS};", "", False),
        (f"u64 *spare = spares(vcpu);\n\n\t*spare = {FLAGS};", "u64 *spares(void *);\n", False),
        (f"atomic_set(&counted, {FLAGS});", "static atomic_t counted;\n", False),
        (f"WRITE_ONCE(spare, {FLAGS});", "static u64 spare;\n", False),
        (f"this_cpu_write(flags, {FLAGS});", "static DEFINE_PER_CPU(u32, flags);\n", False),
        (f"if ({FLAGS})\n\t\t__set_bit(1, &spare);", "static unsigned long spare;\n", False),
        (f'asm volatile("movq %0, %%dr7" :: "r" ({FLAGS}));', "", False),
        (f"deeper({FLAGS});", f"static u64 spare;\n{_keeps('').replace('keeps', 'unused')}"
         "static void deeper(u64 flags)\n{\n\tspare = flags;\n}\n\n", False),
        (f"DEEP({FLAGS});", "static u64 spare;\n#define DEEP(x) DEEPER(x)\n"
         "#define DEEPER(x) (spare = (x))\n", False),
        (f"elsewhere({FLAGS});", "", False),
        (f"noting(&spare, {FLAGS});", f"static u64 spare;\n{NOTING}", False),
        (f"noting(spares, {FLAGS});", f"static u64 spares[2];\n{NOTING}", False),
        (f"static u64 spare;\n\n\tnoting(&spare, {FLAGS});", NOTING, False),
        (f"u64 spare;\n\n\tnoting(&spare, {FLAGS});", NOTING, True),
        (f"NOTE(vcpu, maxphyaddr_seen, {FLAGS});", NOTES, False),
        (f"if ({FLAGS}) ELSE(vcpu) {{ }}", "#define ELSE(v) else if (v)\n", False),
        (f"u64 spare;\n\n\tspare = {FLAGS};\n\tpr_debug(\"%llu\", spare);", "", True),
        (f"if ({FLAGS})\n\t\tWARN_ON_ONCE(is_long(vcpu));", "static bool is_long("
         "struct kvm_vcpu *vcpu)\n{\n\tbool long_mode;\n\n\tlong_mode = vcpu->arch.efer & 1024;"
         "\n\treturn long_mode;\n}\n\n", True),
    ],
)  # fmt: skip
def test_what_a_function_keeps_that_is_called_behind_the_guard(statement, above, is_fine):
    """A function that the set-up alone calls, there, is known to store nothing, or is told."""
    text = FIXED[MMU].decode().replace(TDP, tdp(["keeps(vcpu);"])[1], 1)
    start = "static void init_kvm_tdp_mmu("
    text = text.replace(start, f"{_keeps(statement, above)}{start}", 1)
    host = "struct kvm_vcpu_arch {\n"
    header = FIXED[HEADER].decode().replace(host, f"{host}\tu64 maxphyaddr_seen;\n", 1)
    report = check({**FIXED, MMU: text.encode(), HEADER: header.encode()}, ("all",))
    said = [one.reason for one in report.unknowns if "called behind the guard" in one.reason]
    assert bool(said) is not is_fine, (said, report.unknowns)


READ = "int used(struct kvm_vcpu *vcpu)\n{\n\treturn vcpu->arch.mmu->ept_ad;\n}\n"
PRINTED = """#ifdef DEBUG
#define said(words, ...) printk(KERN_ALERT "[%s] " words, __func__, ##__VA_ARGS__)
#else
#define said(words, ...) do {} while (0)
#endif

void used(struct kvm_vcpu *vcpu)
{
	said("%d", vcpu->arch.mmu->ept_ad);
}
"""
TEMPLATE = """#if PTTYPE == 64
#define HAVE_AD(mmu) true
#else
#define HAVE_AD(mmu) ((mmu)->ept_ad)
#endif
static bool FNAME(used)(struct kvm_mmu *mmu)
{
	return HAVE_AD(mmu);
}
"""


@pytest.mark.parametrize(
    ("more", "is_fine"),
    [
        ([], True),
        ([("arch/x86/kvm/vmx/used.c", READ)], True),
        ([("arch/x86/kvm/mmu/paging.h", TEMPLATE)], True),
        ([("arch/x86/kvm/x86.c", PRINTED)], True),
        ([("arch/x86/kvm/x86.c", PRINTED.replace("printk(", "(*last = 0, "))], False),
        ([("arch/x86/kvm/x86.c", PRINTED.replace("said(", "used = said("))], False),
        ([("arch/x86/kvm/x86.c", PRINTED.replace(", ##__VA", ", last = ##__VA"))], False),
        (
            [
                (
                    "arch/x86/kvm/x86.c",
                    PRINTED.replace("(words,", "(pr_by, words,")
                    .replace("printk(KERN_ALERT", "pr_by(KERN_ALERT")
                    .replace('said("', 'said(keep, "'),
                )
            ],
            False,
        ),
        ([("arch/x86/kvm/x86.c", READ)], False),
        ([("arch/x86/kvm/svm/used.c", READ)], False),
    ],
)
def test_stored_for_the_other_vendor(more, is_fine):
    """A field that the set-ups of one vendor store alone must not be read on the other's hosts."""
    report = changed(fields=("ept_ad",), more=more)
    said = [one.reason for one in report.unknowns if "by another set-up" in one.reason]
    assert bool(said) is not is_fine


@pytest.mark.parametrize(
    ("code", "verdict", "states"),
    [
        (["if (is_cr0_pg(context))", "\tcontext->keep[0] = 1;"], "covered", ("CR0.PG=0",)),
        (["if (is_cr0_pg(context) || is_cr4_pae(context))", "\tcontext->keep[0] = 1;"],
         "covered", ("CR0.PG=0",)),
        (["if (is_cr4_pae(context))", "\tcontext->keep[0] = 1;"], "unknown", ()),
        (["if (is_cr4_pae(context) || is_efer_nx(context))", "\tcontext->keep[0] = 1;"],
         "unknown", ()),
    ],
)  # fmt: skip
def test_a_field_that_is_left_alone(code, verdict, states):
    """What a full set-up does not store may stay only where nobody reads it."""
    found = keep(changed(tdp(code)))
    assert (found.verdict, found.unstored) == (verdict, states)
    assert bool(found.reasons) is (verdict == "unknown")


def test_a_level_that_is_left_alone():
    """The levels are read without paging too."""
    level = "\tcontext->root_level = role_regs_to_root_level(&regs);\n"
    edit = level, "\tif (is_cr0_pg(context))\n\t" + level
    report = changed(edit, fields=("root_level",))
    assert keep(report, "root_level").verdict != "covered"


@pytest.mark.parametrize(
    ("before", "behind", "kinds"),
    [
        # What is stored in front of the guard is what a full set-up would leave.
        ("context->keep[0] = new_role.ext.efer_lma ? 4 : 3;",
         "context->keep[0] = ____is_efer_lma(&regs) ? 4 : 3;", ()),
        # It is not, whatever the registers were and are.
        ("context->keep[0] = 4;", "context->keep[0] = 3;", ("unlike",)),
        ("context->keep[0] = 4;", "context->keep[0] = vcpu->arch.hflags & 64 ? 4 : 3;",
         ("unlike",)),
        # In other elements a register makes a difference.
        ("context->keep[0] = 4;",
         "context->keep[0] = 3; context->keep[1] = vcpu->arch.hflags & 64;", ("stale", "unlike")),
    ],
)  # fmt: skip
def test_a_skip_that_stores_as_well(before, behind, kinds):
    """A skip that stores the field otherwise than a full set-up takes no other state for that."""
    guard = (
        "\tif (new_role.as_u64 == context->mmu_role.as_u64)\n\t\treturn;\n\n"
        "\tcontext->mmu_role.as_u64 = new_role.as_u64;\n\tcontext->shadow_root_level = kvm_mmu_get"
    )
    found = keep(
        changed(
            (guard, f"\t{before}\n{guard}"),
            tdp([behind]),
            ("role.base.smm = is_smm(vcpu);", ""),
        )
    )
    assert found.kinds == kinds and found.verdict == ("gap" if kinds else "covered")
    if "unlike" in kinds:
        one = found.unlike
        assert one.a == one.b and one.values == (4, 3) and not one.differs
        assert one.element == "[0]"
    assert all(one.a != one.b for one in found.pairs)
    assert bool(found.missing) == ("stale" in kinds)


def test_an_input_has_one_row():
    """Of a word more bits may have to differ than the field reads: it is one input still."""
    found = keep(
        changed(
            tdp(["context->keep[0] = vcpu->arch.hflags & 64 ? 4 : 3;"]),
            ("role.base.smm = is_smm(vcpu);", ""),
            ("role.base.guest_mode = is_guest_mode(vcpu);",
             "role.base.guest_mode = (vcpu->arch.hflags & 96) != 0;"),
        )
    )  # fmt: skip
    told = [(one.name, one.span) for one in found.inputs]
    assert told == [("vcpu->arch.hflags", (6, 5))] and found.missing == ("vcpu->arch.hflags",)
    (given,) = found.witness.inputs
    assert given.values[0] & 96 and given.values[1] & 96 and given.values[0] != given.values[1]


READER = """
static u64 get_rsvd_bits(struct rsvd_bits_validate *check, u64 pte, int level)
{
	int bit7 = (pte >> 7) & 1;

	return check->rsvd_bits_mask[bit7][level - 1];
}
"""


def rsvd(code, *edits, reader=READER, name="rsvd_bits_mask"):
    """Return the verdict on masks by level, of which CODE stores those of the upper levels."""
    files = fixture("vcpu-masks-gap")
    text, header = files[MMU].decode(), files[HEADER].decode()
    start = text.index("\tu64 high = ")
    end = text.index("}\n", start)
    stored = "".join(f"\tcheck->rsvd_bits_mask[{n}][0] = 1;\n" for n in (0, 1))
    text = text[:start] + f"\n{stored}\t{code}\n" + text[end:]
    for before, after in edits:
        assert before in text
        text = text.replace(before, after, 1)
    text = text.replace("vcpu->arch.efer & EFER_LMA", "!!kvm_read_cr4_bits(vcpu, X86_CR4_PKE)", 1)
    text = text.replace("\tupdate_pkru_bitmask(vcpu, context);\n", "", 1)
    header = header.replace("rsvd_bits_mask[2][2]", "rsvd_bits_mask[2][5]", 1)
    files |= {MMU: text + reader, HEADER: header}
    files |= {one: files[one].replace("rsvd_bits_mask", name).encode() for one in (MMU, HEADER)}
    report = check(files, ("guest_rsvd_check",))
    return report.contexts[0].fields[0]


@pytest.mark.parametrize(
    ("stored", "verdict"),
    [
        ("[0][1]", "covered"),
        ("if (context->root_level > 2)\n\t\t[0][2]", "covered"),
        ("if (context->root_level > 3)\n\t\t[0][2]", "unknown"),
        ("if (context->root_level > 3)\n\t\t[1][2]", "covered"),
        ("if (context->root_level > 4)\n\t\t[1][2]", "unknown"),
        ("if (context->root_level == 5)\n\t\t[0][4]", "covered"),
        ("if (kvm_read_cr4_bits(vcpu, X86_CR4_PAE))\n\t\t[0][1]", "unknown"),
        ("if (kvm_read_cr4_bits(vcpu, X86_CR4_PKE))\n\t\t[0][3]", "covered"),
        ("if (kvm_read_cr4_bits(vcpu, X86_CR4_LA57))\n\t\t[0][3]", "unknown"),
    ],
)
def test_masks_of_levels_that_a_state_has_not(stored, verdict):
    """They may be left alone where no walk comes to their level, and nowhere else."""
    code = re.sub(r"(\[\d\]\[\d\])$", r"check->rsvd_bits_mask\1 = 2;", stored)
    assert rsvd(code).verdict == verdict


HELPER = """
static bool is_large_pte(u64 pte)
{
	return pte & PT_PAGE_SIZE_MASK;
}
"""


@pytest.mark.parametrize(
    ("reader", "verdict"),
    [
        (READER, "covered"),
        (READER.replace("(pte >> 7) & 1", "!!(pte & PT_PAGE_SIZE_MASK)"), "covered"),
        (READER.replace("int bit7 = (pte >> 7) & 1", "bool bit7 = pte & BIT_ULL(7)"), "covered"),
        (READER.replace("[bit7]", "[(pte >> 7) & 1]"), "covered"),
        (HELPER + READER.replace("[bit7]", "[is_large_pte(pte)]"), "covered"),
        ("", "unknown"),
        (READER.replace("level - 1", "level"), "unknown"),
        (READER.replace("level - 1", "4 - 1"), "unknown"),
        (READER.replace(">> 7", ">> 6"), "unknown"),
        (READER.replace("\n\n\treturn", "\n\n\tbit7 = 0;\n\treturn"), "unknown"),
        (READER.replace("bit7 = (pte >> 7) & 1", "bit7 = pte & BIT_ULL(7)"), "unknown"),
        (
            HELPER.replace("bool", "int") + READER.replace("[bit7]", "[is_large_pte(pte)]"),
            "unknown",
        ),
        (READER + READER.replace("get_", "dump_").replace("level - 1", "2 * level"), "unknown"),
        (READER + "#define MASKS(check) ((check)->rsvd_bits_mask)\n", "unknown"),
    ],
)
def test_who_reads_the_masks_of_levels(reader, verdict):
    """Those of a level are read where a walk leads to it only where all who read them say so."""
    code = "if (context->root_level > 2)\n\t\tcheck->rsvd_bits_mask[0][2] = 2;"
    assert rsvd(code, reader=reader).verdict == verdict


def test_masks_of_levels_by_any_name():
    """That a table is read by level, its readers tell, and not its name."""
    code = "if (context->root_level > {})\n\t\tcheck->rsvd_bits_mask[0][2] = 2;"
    assert rsvd(code.format(2), name="masks").verdict == "covered"
    assert rsvd(code.format(3), name="masks").verdict == "unknown"


def test_masks_that_a_skip_stores_as_well():
    """A set-up leaves the same there, whether it skips or not: that is known of this way alone."""
    guard = "\tif (new_role.as_u64 == context->mmu_role.as_u64)"
    paged = "!!kvm_read_cr0_bits(vcpu, X86_CR0_PG)"
    store = f"\tif (!{paged})\n\t\treturn;\n" + (
        f"\tcontext->guest_rsvd_check.rsvd_bits_mask[0][2] = {paged} ? 2 : 1;\n"
    )
    code = "check->rsvd_bits_mask[0][2] = 2;"
    assert rsvd(code, (guard, store + guard)).verdict == "unknown"


PARTS = {
    "record in an array": ("struct part parts[2];", "&context->parts[1]"),
    "record": ("struct part parts;", "&context->parts"),
    "record in a record": ("struct {\n\t\tu8 pad;\n\t\tstruct part part[2][2];\n\t} parts;",
                           "&context->parts.part[1][0]"),
    "element": ("u64 parts[2];", "(struct part *)&context->parts[0]"),
    "array": ("u64 parts[2];", "(struct part *)context->parts"),
    "element in brackets": ("u64 parts[2];", "((struct part *)(&(context->parts[0])))"),
    "behind words": ("u64 parts[2];", f"/* {'what is kept of it, ' * 30} */ &context->parts[0]"),
    "row": ("u64 parts[2][2];", "(struct part *)context->parts[sizeof(int[1]) / 4 - 1]"),
    "cast twice": ("u64 parts[2];", "(struct part *)(void *)context->parts"),
    "moved": ("u64 parts[2];", "(struct part *)(context->parts + 1)"),
    "address moved": ("u64 parts[2];", "(struct part *)(&context->parts[0] + 1)"),
}  # fmt: skip
FILL = "static void fill(struct part *p, u64 value)\n{\n\tp->bits[0] = value;\n}\n\n"
AT = "static void fill(u64 *p, u64 value)\n{\n\t*p = value;\n}\n\n"


def filled(member, part, value, fill=FILL):
    """Return what is said of a part of a context that a helper of a helper fills."""
    start, above = "struct kvm_mmu {\n", "struct part {\n\tu64 bits[1];\n};\n\n"
    header = FIXED[HEADER].decode().replace(start, f"{above}{start}\t{member}\n", 1)
    if fill == AT:
        part = part.replace("struct part", "u64")
    more = "static void more(struct kvm_vcpu *vcpu, struct kvm_mmu *context)\n"
    more += f"{{\n\tfill({part}, {value});\n}}\n\n"
    text = FIXED[MMU].decode().replace(TDP, f"{TDP}\tmore(vcpu, context);\n", 1)
    entry = "static void init_kvm_tdp_mmu("
    text = text.replace(entry, fill + more + entry, 1)
    report = check({**FIXED, MMU: text.encode(), HEADER: header.encode()}, ("all",))
    return keep(report, "parts").verdict


@pytest.mark.parametrize(("member", "part"), PARTS.values(), ids=PARTS)
def test_a_part_of_a_context_that_is_filled(member, part):
    """Who is given its address is followed, through however many helpers it goes."""
    fill = AT if member.startswith("u64") else FILL
    assert filled(member, part, "is_cr4_pae(context)", fill) == "covered"
    assert filled(member, part, "vcpu->arch.hflags", fill) == "gap"


def test_what_a_context_points_to_is_filled():
    """It is no part of the context, and stale all the same where the context is."""
    start = "struct kvm_mmu {\n"
    above = "struct part {\n\tu64 bits[1];\n};\n\n"
    header = FIXED[HEADER].decode().replace(start, f"{above}{start}\tstruct part *part;\n", 1)
    more = "static void more(struct kvm_vcpu *vcpu, struct kvm_mmu *context)\n"
    more += "{\n\tfill(context->part, vcpu->arch.hflags);\n}\n\n"
    text = FIXED[MMU].decode().replace(TDP, f"{TDP}\tmore(vcpu, context);\n", 1)
    entry = "static void init_kvm_tdp_mmu("
    for fill in (FILL, AT.replace("u64 *p", "void *q").replace("*p", "*(u64 *)q")):
        files = {**FIXED, MMU: text.replace(entry, fill + more + entry, 1).encode()}
        report = check({**files, HEADER: header.encode()}, ("all",))
        assert report.verdict == "unknown" and report.unknowns


def test_a_table_that_is_read_behind_the_guard():
    """What a constant object is made with is read, and nobody stores there."""
    start = "struct kvm_mmu {\n"
    header = FIXED[HEADER].decode().replace(start, f"{start}\tvoid (*fn)(void);\n", 1)
    above = "static void cb(void)\n{\n}\n\nstruct cbs {\n\tvoid (*fn)(void);\n};\n\n"
    above += "static %sstruct cbs cbs = {\n\t.fn = cb,\n};\n\n"
    entry = "static void init_kvm_tdp_mmu("
    text = FIXED[MMU].decode().replace(TDP, f"{TDP}\tcontext->fn = cbs.fn;\n", 1)
    late = "void late(void)\n{\n\tcbs.fn = 0;\n}\n"
    for head, more, verdict in (("const ", "", "covered"), ("", late, "gap")):
        files = {**FIXED, MMU: (text.replace(entry, above % head + entry, 1) + more).encode()}
        report = check({**files, HEADER: header.encode()}, ("all",))
        assert keep(report, "fn").verdict == verdict
        assert not [one for one in report.unknowns if "no member" in one.reason]


@pytest.mark.parametrize(
    ("look", "verdict"),
    [("return p->bits[0];", "covered"), ("return p->bits[0]++;", "unknown"),
     ("return (p + 1)->bits[0];", "unknown"), ("return other(p->bits);", "unknown")],
)  # fmt: skip
@pytest.mark.parametrize("member", ["outer.part", "outer.parts[1]"])
def test_the_address_of_a_part_is_given_to_a_reader(look, verdict, member):
    """A function that only reads behind it changes nothing, however deep the part lies."""
    start = "struct kvm_mmu {\n"
    above = "struct part {\n\tu64 bits[2];\n};\n\nu64 other(u64 *);\n\n"
    outer = "\tstruct {\n\t\tstruct part part, parts[2];\n\t} outer;\n"
    header = FIXED[HEADER].decode().replace(start, f"{above}{start}{outer}", 1)
    text = FIXED[MMU].decode().replace(TDP, f"{TDP}\tcontext->{member}.bits[0] = 1;\n", 1)
    text += f"static u64 look(struct part *p)\n{{\n\t{look}\n}}\n\n"
    text += f"u64 looks(struct kvm_mmu *m)\n{{\n\treturn look(&m->{member});\n}}\n"
    report = check({**FIXED, MMU: text.encode(), HEADER: header.encode()}, ("all",))
    assert keep(report, "outer").verdict == verdict
