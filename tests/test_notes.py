# SPDX-License-Identifier: GPL-2.0-only
"""A note of the last set-up, wherever it lies, may leave the next one out."""

import pytest
from edited import check, fixture

from patchtool.c import library
from patchtool.target.kvm import KVM

MAIN, HOST = "arch/x86/kvm/mmu/mmu.c", "arch/x86/include/asm/kvm_host.h"
OUTER, OTHER = "include/linux/kvm_host.h", "arch/x86/kvm/other.c"
RESET = "void kvm_mmu_reset_context(struct kvm_vcpu *vcpu)\n{\n"
KEY = "(vcpu->arch.cr4 | 1)"
LEAVE = f"if ({{0}} == {KEY})\n\t\treturn;\n\t{{0}} = {KEY};\n"
HELPER = f"""static bool same(struct kvm_vcpu *vcpu)
{{{{
	if ({{0}} == {KEY})
		return true;
	{{0}} = {KEY};
	return false;
}}}}

"""
ARCH = (HOST, "\tu32 hflags;", "\tu32 hflags;\n\tu64 note;")
OUT = (OUTER, "\tstruct kvm_vcpu_arch arch;", "\tstruct kvm_vcpu_arch arch;\n\tu64 note;")
ASKED = "if (same(vcpu))\n\t\treturn;\n"


TOLD = RESET.replace("*vcpu)", "*vcpu, unsigned long changed)")


def verdict(code, above="", *edits, head=RESET):
    """Check the fixture with statements where a context is reset, and more."""
    tree = fixture("role-regs-fixed")
    for path, old, new in ((MAIN, RESET, f"{above}{head}\t{code}\n"), *edits):
        text = tree.get(path, b"").decode()
        assert not old or old in text
        tree[path] = (text.replace(old, new, 1) if old else text + new).encode()
    return check(tree).verdict


def of(code):
    """Return a function elsewhere."""
    return (
        OTHER,
        "",
        f"#include <linux/kvm_host.h>\nu64 devil(struct kvm_vcpu *vcpu)\n{{\n\t{code}\n}}\n\n"
        "u64 (*const reader)(struct kvm_vcpu *vcpu) = devil;\n",
    )


NOTES = {
    "beside the contexts": (LEAVE.format("vcpu->arch.note"), "", ARCH),
    "in what is around": (LEAVE.format("vcpu->note"), "", OUT),
    "array": (LEAVE.format("note[vcpu->arch.hflags & 7]"), "static u64 note[8];\n\n"),
    "object": (LEAVE.format("note"), "static u64 note;\n\n"),
    "object of no file": (LEAVE.format("note"), "u64 note;\n\n"),
    "object that stays": ("static u64 note;\n\n\t" + LEAVE.format("note"), ""),
    "object of a processor": (
        f"if (this_cpu_read(note) == {KEY})\n\t\treturn;\n\tthis_cpu_write(note, {KEY});\n",
        "static DEFINE_PER_CPU(u64, note);\n\n"),
    "once": (
        f"if (READ_ONCE(vcpu->note) == {KEY})\n\t\treturn;\n\tWRITE_ONCE(vcpu->note, {KEY});\n",
        "", OUT),
    "exchanged": (f"if (xchg(&vcpu->note, {KEY}) == {KEY})\n\t\treturn;\n", "", OUT),
    "shown to a user": (
        LEAVE.format("vcpu->run->padding"), "",
        (OUTER, "\tstruct kvm_vcpu_arch arch;",
         "\tstruct kvm_vcpu_arch arch;\n\tstruct kvm_run *run;"),
        (OUTER, "struct kvm_vcpu {", "#include <uapi/linux/kvm.h>\n\nstruct kvm_vcpu {"),
        ("include/uapi/linux/kvm.h", "", "struct kvm_run {\n\t__u64 padding;\n};\n")),
    "counted": ("if (vcpu->note++ & 1)\n\t\treturn;\n", "", OUT),
    "a flag": (
        "static bool done;\n\n\tif (done)\n\t\treturn;\n\tdone = true;\n", "",
        of("goto done;\ndone:\n\treturn 0;")),
    "a flag of the file": (
        "if (was_done)\n\t\treturn;\n\twas_done = true;\n", "static bool was_done;\n\n"),
    "a flag of each": (
        "if (test_and_set_bit(vcpu->arch.hflags & 7, &known))\n\t\treturn;\n",
        "static unsigned long known;\n\n"),
    "a flag in a helper": (
        ASKED, "static bool same(struct kvm_vcpu *vcpu)\n{\n\tstatic bool done;\n\n\tif (done)\n"
        "\t\treturn true;\n\tdone = true;\n\treturn false;\n}\n\n"),
    "by a local": (
        f"u64 old = vcpu->note;\n\n\tvcpu->note = {KEY};\n\tif (old == {KEY})\n\t\treturn;\n",
        "", OUT),
    "record": (
        LEAVE.format("holder(vcpu)->note"),
        "struct holder { u64 note; };\nstruct holder *holder(struct kvm_vcpu *vcpu);\n\n"),
    "cleared elsewhere": (
        LEAVE.format("vcpu->arch.note"), "", ARCH, of("vcpu->arch.note = 0;\n\treturn 0;")),
    "printed elsewhere": (
        LEAVE.format("vcpu->arch.note"), "", ARCH, of('pr_info("%llx", vcpu->arch.note);')),
    "traced elsewhere": (
        LEAVE.format("vcpu->note"), "", OUT, of("trace_kvm_note(vcpu->note);\n\treturn 0;")),
    "helper": (ASKED, HELPER.format("vcpu->arch.note"), ARCH),
    "helper, of an object": (ASKED, "static u64 note;\n\n" + HELPER.format("note")),
    "helper, of a record": (ASKED, HELPER.format("vcpu->note"), OUT),
    "helper, by what it has found": (
        ASKED, "static bool same(struct kvm_vcpu *vcpu)\n{\n\tbool is_same = vcpu->note == "
        f"{KEY};\n\n\tvcpu->note = {KEY};\n\treturn is_same;\n}}\n\n", OUT),
    "helper, the other way": (
        "if (!changed(vcpu))\n\t\treturn;\n",
        f"static bool changed(struct kvm_vcpu *vcpu)\n{{\n\tif (vcpu->note != {KEY}) {{\n"
        f"\t\tvcpu->note = {KEY};\n\t\treturn true;\n\t}}\n\treturn false;\n}}\n\n", OUT),
    "set apart": (
        f"if (vcpu->note == {KEY})\n\t\treturn;\n\tremember(vcpu);\n",
        f"static void remember(struct kvm_vcpu *vcpu)\n{{\n\tvcpu->note = {KEY};\n}}\n\n", OUT),
    "set apart, once": (
        "if (vcpu->note)\n\t\treturn;\n\tremember(vcpu);\n",
        "static void remember(struct kvm_vcpu *vcpu)\n{\n\tvcpu->note = 1;\n}\n\n", OUT),
    "set where it is called": (
        f"if (vcpu->note == {KEY})\n\t\treturn;\n", "", OUT,
        (OTHER, "", "#include <linux/kvm_host.h>\nvoid set_cr4(struct kvm_vcpu *vcpu, ulong cr4)\n"
         "{\n\tvcpu->arch.cr4 = cr4;\n\tkvm_mmu_reset_context(vcpu);\n"
         "\tvcpu->note = cr4 | 1;\n}\n")),
    "by its address": (
        f"if (vcpu->note == {KEY})\n\t\treturn;\n\tput(&vcpu->note, {KEY});\n",
        "void put(u64 *where, u64 key);\n\n", OUT,
        (OTHER, "", "#include <linux/kvm_host.h>\nvoid put(u64 *where, u64 key)\n{\n"
         "\t*where = key;\n}\n")),
    "by a macro of its own": (
        f"if (vcpu->note == {KEY})\n\t\treturn;\n\tSET_NOTE(vcpu->note, {KEY});\n",
        "#define SET_NOTE(x, key) ((x) = (key))\n\n", OUT),
    "a flag outside": (
        "if (vcpu->done)\n\t\treturn;\n\tvcpu->done = true;\n", "",
        (OUTER, "\tstruct kvm_vcpu_arch arch;", "\tstruct kvm_vcpu_arch arch;\n\tbool done;")),
    "read by nobody who is called": (
        LEAVE.format("vcpu->note"), "", OUT,
        (OTHER, "", "#include <linux/kvm_host.h>\nstatic u64 devil(struct kvm_vcpu *vcpu)\n{\n"
         "\treturn vcpu->note;\n}\n")),
    "helper of another file": (
        ASKED, "bool same(struct kvm_vcpu *vcpu);\n\n", OUT,
        (OTHER, "", "#include <linux/kvm_host.h>\n"
         + HELPER.format("vcpu->note").replace("static ", ""))),
}  # fmt: skip
LEFT = f"if (vcpu->arch.note == {KEY})\n\t\treturn;\n"
TELLER = (
    "static {0} tell({1})\n{{\n\t{2} = vcpu->note == "
    + KEY
    + ";\n\tvcpu->note = "
    + KEY
    + ";\n}}\n\n"
)
KEEPING = f"""\tstatic u64 last;
\tbool is_same = last == {KEY};

\tlast = {KEY};
\treturn is_same;"""
KEEPING_FIELD = KEEPING.replace("\tstatic u64 last;\n", "").replace("last", "vcpu->arch.note")
OPERATION = """static bool keeper(struct kvm_vcpu *vcpu)
{{
{0}
}}

static struct {{ bool (*same)(struct kvm_vcpu *vcpu); }} operations = {{ .same = keeper }};

"""
ASK_OPERATION = "if (operations.same(vcpu))\n\t\treturn;\n"
USED = "\tif (vcpu->arch.hflags > 7)\n\t\tvcpu->arch.cr4 = 0;\n\treturn vcpu->arch.hflags;"
NEAR = {
    "of use where it is shared": (
        LEAVE.format("vcpu->note"), "", OUT,
        ("virt/kvm/kvm_main.c", "", "#include <linux/kvm_host.h>\n"
         "u64 devil(struct kvm_vcpu *vcpu)\n{\n\treturn vcpu->note + 1;\n}\n\n"
         "u64 (*const reader)(struct kvm_vcpu *vcpu) = devil;\n")),
    "used elsewhere": (
        LEAVE.format("vcpu->note"), "", OUT, of("return vcpu->note + 1;")),
    "in what others read": (LEAVE.format("vcpu->arch.hflags"), "", of(USED)),
    "in what others read, by a variable": (
        f"u32 old = vcpu->arch.hflags;\n\n\tif (old == {KEY})\n\t\treturn;\n"
        f"\tvcpu->arch.hflags = {KEY};\n", "", of(USED)),
    "above two calls at once": (
        "", "", (OTHER, "", "#include <linux/kvm_host.h>\n" + HELPER.format("vcpu->note") +
         "void both(struct kvm_vcpu *vcpu)\n{\n\tkvm_init_mmu(vcpu);\n"
         "\\tif (same(vcpu))\\n\\t\\treturn;\\n\\tkvm_mmu_reset_context(vcpu);\\n}\\n"),
        OUT, of("return vcpu->note + 1;")),
    "renewed by a helper, and used elsewhere": (
        ASKED, HELPER.format("vcpu->note"), OUT, of("return vcpu->note + 1;")),
    "a pointer to constants that stays": (
        "static const struct kvm_vcpu *last;\n\n\tif (last == vcpu)\n\t\treturn;\n"
        "\tlast = vcpu;\n", ""),
    "a pointer of a constant type that stays": (
        "static const seen_t seen = &seen_role;\n\n\tif (*seen == vcpu->arch.cr0)\n\t\treturn;\n"
        "\t*seen = vcpu->arch.cr0;\n", "static u64 seen_role;\ntypedef u64 *seen_t;\n\n"),
    "a pointer behind a constant that stays": (
        "static const u64 one = 1, *seen;\n"
        "\tconst u64 *now = (const u64 *)(vcpu->arch.cr0 | one);\n\n"
        "\tif (seen == now)\n\t\treturn;\n\tseen = now;\n", ""),
    "a flag that stays, and is set at first": (
        "static bool done = false;\n\n\tif (done)\n\t\treturn;\n\tdone = true;\n", ""),
    "a record that stays": (
        "static struct { u64 a; } last;\n\n\tif (last.a == vcpu->arch.cr0)\n\t\treturn;\n"
        "\tlast.a = vcpu->arch.cr0;\n", ""),
    "whether a signal is there": ("if (signal_pending(current))\n\t\treturn;\n", ""),
    "how often something is said": ("if (!printk_ratelimit())\n\t\treturn;\n", ""),
    "set by whoever": (
        LEFT, "", ARCH,
        (OTHER, "", f"#include <linux/kvm_host.h>\nvoid put(struct kvm_vcpu *vcpu)\n{{\n"
         f"\tvcpu->arch.note = {KEY};\n}}\n"
         "void outer(struct kvm_vcpu *vcpu)\n{\n\tput(vcpu);\n}\n")),
    "set by whoever is called, once": (
        "if (vcpu->arch.note)\n\t\treturn;\n", "", ARCH,
        (OTHER, "", "#include <linux/kvm_host.h>\nvoid put(struct kvm_vcpu *vcpu)\n{\n"
         "\tvcpu->arch.note = 1;\n}\nvoid outer(struct kvm_vcpu *vcpu)\n{\n\tput(vcpu);\n}\n")),
    "set by others too": (
        LEAVE.format("vcpu->arch.hflags"), "", (OTHER, "",
         "#include <linux/kvm_host.h>\nvoid devil(struct kvm_vcpu *vcpu, int n)\n{\n"
         "\tvcpu->arch.hflags = n;\n}\n\n"
         "void (*const op)(struct kvm_vcpu *vcpu, int n) = devil;\n")),
    "read by what only the way calls": (
        "if (is_same(vcpu))\n\t\treturn;\n\tvcpu->arch.note = vcpu->arch.cr4;\n",
        "bool is_same(struct kvm_vcpu *vcpu);\n\n", ARCH,
        (OTHER, "", "#include <linux/kvm_host.h>\nbool is_same(struct kvm_vcpu *vcpu)\n{\n"
         "\treturn vcpu->arch.note == vcpu->arch.cr4;\n}\n")),
    "left behind a pointer": (
        "bool is_same;\n\n\ttell(vcpu, &is_same);\n\tif (is_same)\n\t\treturn;\n",
        TELLER.format("void", "struct kvm_vcpu *vcpu, bool *is_same", "*is_same"), OUT),
    "left in a record": (
        "struct told told;\n\n\ttell(vcpu, &told);\n\tif (told.is_same)\n\t\treturn;\n",
        "struct told { bool is_same; };\n" + TELLER.format(
            "void", "struct kvm_vcpu *vcpu, struct told *told", "told->is_same"), OUT),
    "left in an array": (
        "bool told[1];\n\n\ttell(vcpu, told);\n\tif (told[0])\n\t\treturn;\n",
        TELLER.format("void", "struct kvm_vcpu *vcpu, bool *told", "told[0]"), OUT),
    "by a macro": (
        "if (SAME(vcpu))\n\t\treturn;\n",
        "#define SAME(v) ({ bool same = (v)->note == (v)->arch.cr4; "
        "(v)->note = (v)->arch.cr4; same; })\n\n", OUT),
    "by a function behind a pointer": (
        "if (teller(vcpu))\n\t\treturn;\n", HELPER.format("vcpu->note")
        + "static bool (*teller)(struct kvm_vcpu *vcpu) = same;\n\n", OUT),
    "in a bitmap": (
        "if (test_bit(vcpu->arch.cr4 & 63, vcpu->seen))\n\t\treturn;\n"
        "\t__set_bit(vcpu->arch.cr4 & 63, vcpu->seen);\n", "",
        (OUTER, "\tstruct kvm_vcpu_arch arch;", "\tstruct kvm_vcpu_arch arch;\n\tulong seen[1];")),
    "in what indexes": (
        f"if (xa_load(&keys, 0) == xa_mk_value({KEY}))\n\t\treturn;\n"
        f"\txa_store(&keys, 0, xa_mk_value({KEY}), 0);\n", "static DEFINE_XARRAY(keys);\n\n"),
    "in a register of the host": (
        f"if (native_read_msr(1) == {KEY})\n\t\treturn;\n\tnative_write_msr(1, {KEY});\n", ""),
    "in a register, by a helper": (
        "if (same(vcpu))\n\t\treturn;\n",
        f"static bool same(struct kvm_vcpu *vcpu)\n{{\n\tu64 old;\n\n\trdmsrl(0x123, old);\n"
        f"\twrmsrl(0x123, {KEY});\n\treturn old == {KEY};\n}}\n\n"),
    "in the task": (LEAVE.format("current->thread.cr2"), ""),
    "in an operation": (ASK_OPERATION, OPERATION.format(KEEPING)),
    "in an operation that is starred": (
        "if ((*operations.same)(vcpu))\n\t\treturn;\n", OPERATION.format(KEEPING)),
    "in an operation, by a local": (
        "bool is_same = operations.same(vcpu);\n\n\tif (is_same)\n\t\treturn;\n",
        OPERATION.format(KEEPING)),
    "in what an operation calls": (
        ASK_OPERATION, f"static bool deep(struct kvm_vcpu *vcpu)\n{{\n{KEEPING}\n}}\n\n"
        + OPERATION.format("\treturn deep(vcpu);")),
    "in an operation, beside the contexts": (
        ASK_OPERATION, OPERATION.format(KEEPING_FIELD), ARCH),
    "in an element": (
        "if (elements[0](vcpu))\n\t\treturn;\n", OPERATION.format(KEEPING)
        + "static bool (*const elements[])(struct kvm_vcpu *) = { keeper };\n\n"),
    "in a static call": (
        "if (static_call(kvm_x86_same)(vcpu))\n\t\treturn;\n", OPERATION.format(KEEPING)),
    "in an operation that nothing is kept for": (
        "if (vcpu->arch.ops->same(vcpu))\n\t\treturn;\n", ""),
    "in an operation that others call too": (
        ASK_OPERATION, OPERATION.format(KEEPING)
        + "bool other(struct kvm_vcpu *vcpu)\n{\n\treturn operations.same(vcpu);\n}\n\n"),
    "in an operation, made of what it was": (
        ASK_OPERATION, OPERATION.format(
            "\tvcpu->note = vcpu->note ^ vcpu->arch.cr4;\n\treturn vcpu->note;"), OUT),
    "in one operation, looked at in another": (
        "if (operations.look(vcpu))\n\t\treturn;\n\toperations.keep(vcpu);\n",
        f"static bool look(struct kvm_vcpu *vcpu)\n{{\n\treturn vcpu->note == {KEY};\n}}\n"
        f"static bool keep(struct kvm_vcpu *vcpu)\n{{\n\tvcpu->note = {KEY};\n\treturn 0;\n}}\n"
        "static struct { bool (*look)(struct kvm_vcpu *vcpu), (*keep)(struct kvm_vcpu *vcpu); } "
        "operations = { .look = look, .keep = keep };\n\n", OUT),
    "in what others call too": (
        "if (keeper(vcpu))\n\t\treturn;\n", OPERATION.format(KEEPING)),
    "in what is exported": (
        "if (keeper(vcpu))\n\t\treturn;\n", OPERATION.format(KEEPING).replace("static bool", "bool")
        + "EXPORT_SYMBOL_GPL(keeper);\n"),
    "in a list": (
        "if (!list_empty(&kept))\n\t\treturn;\n\tlist_add(&vcpu->arch.list, &kept);\n",
        "static LIST_HEAD(kept);\n\n"),
    "a branch that is patched": (
        "if (static_branch_unlikely(&done))\n\t\treturn;\n\tstatic_branch_enable(&done);\n",
        "static DEFINE_STATIC_KEY_FALSE(done);\n\n"),
}  # fmt: skip
STATE = {
    "used elsewhere, and kept there": (
        f"if (vcpu->note == {KEY})\n\t\treturn;\n", "", OUT,
        of(f"vcpu->note = {KEY};\n\treturn vcpu->note + 1;")),
    "what others read, made afresh": (
        f"vcpu->arch.hflags = {KEY};\n\tif (vcpu->arch.hflags > 7)\n\t\treturn;\n", "", of(USED)),
    "what others read, and a number is stored to": (
        "if (vcpu->arch.hflags == 7)\n\t\treturn;\n\tvcpu->arch.hflags = 7;\n", "", of(USED)),
    "of the guest, laid out": (
        "if (vcpu->block->note == 2)\n\t\treturn;\n\tvcpu->block->note = vcpu->arch.cr4;\n", "",
        (OUTER, "\tstruct kvm_vcpu_arch arch;",
         "\tstruct kvm_vcpu_arch arch;\n\tstruct block *block;"),
        (OUTER, "struct kvm_vcpu {",
         "struct block {\n\tu64 note;\n} __packed;\n\nstruct kvm_vcpu {")),
    "a constant that stays": (
        "static const u8 known[] = { 1, 2 };\n\n\tif (!memcmp(known, &vcpu->arch.hflags, 2))\n"
        "\t\treturn;\n", "", of(USED)),
    "of memory": (
        "void *page = kmalloc(4096, 0);\n\n\tif (!page || IS_ERR(page))\n\t\treturn;\n", ""),
    "of a bit that others read": (
        "if (test_bit(3, &vcpu->note))\n\t\treturn;\n", "", OUT,
        of("return vcpu->note + 1;")),
    "checked by what keeps nothing": (
        "if (!is_valid(vcpu))\n\t\treturn;\n", "static bool is_valid(struct kvm_vcpu *vcpu)\n{\n"
        "\treturn !(vcpu->arch.cr4 & 8);\n}\n\n",
        of("return vcpu->arch.cr4;")),
    "an operation that keeps nothing": (
        ASK_OPERATION, OPERATION.format("\treturn vcpu->arch.hflags & 1;"),
        of("return vcpu->arch.hflags;")),
    "an operation that does something once": (
        "if (operations.same(vcpu))\n\t\treturn;\n", OPERATION.format(
            "\tbool r = 0;\n\n\tif (vcpu->note)\n\t\tgoto out;\n\tif (vcpu->arch.hflags) {\n"
            "\t\tr = 1;\n\t\tgoto out;\n\t}\n\tvcpu->note = 1;\nout:\n\treturn r;"), OUT,
        of("return vcpu->arch.hflags;")),
    "an operation that looks at what it has just stored": (
        "if (operations.same(vcpu))\n\t\treturn;\n", OPERATION.format(
            "\tvcpu->note = kmalloc(8, 0);\n\tif (!vcpu->note)\n\t\treturn 1;\n\treturn 0;"), OUT),
    "an operation that copies": (
        "struct copied one, two;\n\n\tif (operations.same(vcpu, &one, &two))\n\t\treturn;\n",
        "struct copied { u64 note; };\n" + OPERATION.format(
            "\tto->note = from->note;\n\tif (from->note)\n\t\treturn 1;\n\treturn 0;").replace(
            "keeper(struct kvm_vcpu *vcpu)",
            "keeper(struct kvm_vcpu *vcpu, struct copied *to, struct copied *from)")),
    "of its own": (f"u64 note = {KEY};\n\n\tif (note == {KEY})\n\t\tnote = 0;\n", ""),
    "of its own record": (
        "struct { u64 note; } my = { 0 };\n\n\tmy.note = vcpu->arch.cr4;\n\tif (my.note)\n"
        "\t\tvcpu->arch.hflags = 0;\n", ""),
    "decides of something else": (f"if (vcpu->note != {KEY})\n\t\tvcpu->note = {KEY};\n", "", OUT),
    "phase, of use elsewhere": (
        "if (vcpu->note == 2)\n\t\treturn;\n\tvcpu->note = 1;\n", "", OUT,
        of("return vcpu->note == 1;")),
    "told by a user": (
        "if (vcpu->run->dirty & 4)\n\t\treturn;\n\tvcpu->run->dirty &= ~8;\n", "",
        (OUTER, "\tstruct kvm_vcpu_arch arch;",
         "\tstruct kvm_vcpu_arch arch;\n\tstruct kvm_run *run;"),
        (OUTER, "struct kvm_vcpu {", "#include <uapi/linux/kvm.h>\n\nstruct kvm_vcpu {"),
        ("include/uapi/linux/kvm.h", "", "struct kvm_run {\n\t__u64 dirty;\n};\n")),
    "set by an event": (
        "if (vcpu->note)\n\t\treturn;\n", "", OUT, of("vcpu->note = 1;\n\treturn 0;")),
    "helper that fails before it keeps": (
        "if (map(vcpu))\n\t\treturn;\n",
        f"static int map(struct kvm_vcpu *vcpu)\n{{\n\tif (vcpu->note != {KEY}) {{\n"
        f"\t\tif (vcpu->arch.hflags)\n\t\t\treturn 1;\n\t\tvcpu->note = {KEY};\n\t}}\n"
        "\treturn 0;\n}\n\n", OUT),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTES)
def test_a_note_may_leave_a_set_up_out(name):
    """What the set-up compares says nothing where it is not asked."""
    assert verdict(*NOTES[name]) == "unknown"


@pytest.mark.parametrize("name", NEAR)
def test_what_decides_right_above_an_entry(name):
    """It is not known for state of something else, whoever keeps it."""
    assert verdict(*NEAR[name]) == "unknown"


@pytest.mark.parametrize("name", STATE)
def test_what_is_no_note(name):
    """State of something else is left alone where a function is told what has changed."""
    assert verdict(*STATE[name], head=TOLD) == "covered"


NOT_TOLD = {
    "state of the vCPU": ("if (vcpu->arch.hflags & 8)\n\t\treturn;\n", "", of(USED)),
    "read once": ("if (READ_ONCE(vcpu->arch.hflags) == 2)\n\t\treturn;\n", "", of(USED)),
    "state in a branch": (
        "if (vcpu->arch.hflags & 8) {\n\t\tvcpu->arch.cr4 = 0;\n\t\treturn;\n\t}\n", "", of(USED)),
    "asked of another": (
        "if (is_quiet(vcpu))\n\t\treturn;\n",
        "bool is_quiet(struct kvm_vcpu *vcpu)\n{\n\treturn vcpu->arch.hflags & 8;\n}\n\n",
        of(USED)),
    "what the host may change": (
        "if (quiet)\n\t\treturn;\n",
        "static int quiet;\n\nvoid set_quiet(int on)\n{\n\tquiet = on;\n}\n\n",
        of("return quiet;")),
    **{name: STATE[name] for name in (
        "used elsewhere, and kept there", "phase, of use elsewhere", "told by a user",
        "checked by what keeps nothing", "an operation that keeps nothing")},
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("kvm_mmu_try_reset(vcpu);", "unknown"),
        ("(void)kvm_mmu_try_reset(vcpu);", "unknown"),
        ("if (kvm_mmu_try_reset(vcpu))\n\t\tvcpu->arch.cr4 = 0;", "covered"),
    ],
)
def test_a_refusal_that_nobody_looks_at(call, expected):
    """Who answers, and is not heard, drops the set-up as one that answers nothing does."""
    above = (
        "static int kvm_mmu_try_reset(struct kvm_vcpu *vcpu)\n{\n\tif (vcpu->arch.hflags & 8)\n"
        "\t\treturn -1;\n\n\tkvm_init_mmu(vcpu);\n\treturn 0;\n}\n\n"
    )
    files = fixture("role-regs-fixed")
    text = files[MAIN].decode()
    old = f"{RESET}\tkvm_init_mmu(vcpu);\n"
    assert text.count(old) == 1
    files[MAIN] = text.replace(old, f"{above}{RESET}\t{call}\n").encode()
    path, _, body = of(USED)
    files[path] = body.encode()
    assert check(files).verdict == expected


@pytest.mark.parametrize("name", NOT_TOLD)
def test_what_is_asked_for_a_set_up_and_not_told_why(name):
    """It has nothing to decide by, and there is nobody whom it could refuse it."""
    assert verdict(*NOT_TOLD[name]) == "unknown"


@pytest.mark.parametrize(
    "code", ["if (!tdp_enabled)\n\t\treturn;\n", "if (unlikely(!vcpu))\n\t\treturn;\n"]
)
def test_what_stays_decides_for_what_is_not_told(code):
    """What does not change while the host runs leaves out the same set-ups at all times."""
    assert verdict(code, "", of(USED)) == "covered"


@pytest.mark.parametrize("name", ["mutex_trylock", "spin_trylock_irq", "down_read_trylock"])
def test_what_may_fail_is_no_answer(name):
    """Whether a lock is free tells nothing of the question; to take it does not ask."""
    assert not library.answers_by_what_it_is_given(name, KVM)
    assert library.answers_by_what_it_is_given(name.replace("try", ""), KVM)


KEPT = f"\tvcpu->note = {KEY};\n"
MACROS = {
    "jumps": (
        "#define bail_if(c) do { if (c) return; } while (0)\n",
        f"bail_if(vcpu->note == {KEY});\n\tkvm_init_mmu(vcpu);\n{KEPT}"),
    "jumps, by another": (
        "#define bail_if(c) do { if (c) return; } while (0)\n"
        f"#define bail(v) bail_if((v)->note == {KEY})\n",
        f"bail(vcpu);\n\tkvm_init_mmu(vcpu);\n{KEPT}"),
    "heads a statement": (
        f"#define if_changed(vcpu) if (vcpu->note != {KEY})\n",
        f"if_changed(vcpu) kvm_init_mmu(vcpu);\n{KEPT}"),
    "heads the other branch": (
        f"#define same_or_else(v) if ((v)->note == {KEY}) ; else\n",
        f"same_or_else(vcpu) kvm_init_mmu(vcpu);\n{KEPT}"),
    "heads a loop": (
        "#define while_changed(v) for (int n = (v)->note != (v)->arch.cr4; n; n = 0)\n",
        "while_changed(vcpu)\n\t\tkvm_init_mmu(vcpu);\n\tvcpu->note = vcpu->arch.cr4;\n"),
    "is given the call": (
        "#define unless(c, what) do { if (!(c)) what; } while (0)\n",
        f"unless(vcpu->note == {KEY}, kvm_init_mmu(vcpu));\n{KEPT}"),
    "is given the name": (
        "#define unless(c, fn, ...) do { if (!(c)) fn(__VA_ARGS__); } while (0)\n",
        f"unless(vcpu->note == {KEY}, kvm_init_mmu, vcpu);\n{KEPT}"),
    "calls once": (
        "#define once(fn, v) ({ static bool done; if (!done) { done = true; fn(v); } })\n",
        "once(kvm_init_mmu, vcpu);\n"),
    "is found nowhere": ("", "DO_SOMETIMES(kvm_init_mmu, vcpu);\n"),
    "is found nowhere, given a call": ("", "if (PERHAPS(kvm_init_mmu(vcpu)))\n\t\treturn;\n"),
}  # fmt: skip
HARMLESS = {
    "jumps by its own": (
        "#define spin(n) do { while (n--) if (n == 3) break; } while (0)\n",
        "int n = 9;\n\n\tspin(n);\n\tkvm_init_mmu(vcpu);\n"),
    "jumps, by state of something else": (
        "#define bail_if(c) do { if (c) return; } while (0)\n",
        "bail_if(!vcpu);\n\tkvm_init_mmu(vcpu);\n"),
    "is given the call, and runs it": (
        "#define run(what) do { what; } while (0)\n", "run(kvm_init_mmu(vcpu));\n"),
    "heads nothing": (
        "#define said(v) do { if ((v)->note) (v)->note = 0; } while (0)\n",
        "said(vcpu);\n\tkvm_init_mmu(vcpu);\n"),
    "is likely": ("", "if (likely(vcpu))\n\t\tkvm_init_mmu(vcpu);\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", [*MACROS, *HARMLESS])
def test_a_macro_that_may_leave_a_set_up_out(name):
    """What it stands for decides, as if it were written there."""
    macro, body = {**MACROS, **HARMLESS}[name]
    tree = fixture("role-regs-fixed")
    for path, old, new in (
        OUT,
        (MAIN, f"{RESET}\tkvm_init_mmu(vcpu);\n", f"{macro}{RESET}\t{body}"),
    ):
        text = tree[path].decode()
        assert old in text
        tree[path] = text.replace(old, new, 1).encode()
    assert check(tree).verdict == ("unknown" if name in MACROS else "covered")


def test_a_macro_of_the_name_of_a_set_up():
    """It may call the function, or not: its text is not written out where a call is meant."""
    macro = (
        "#define kvm_mmu_reset_context(v) do { static u64 last; if (last != (v)->arch.cr4) {"
        " last = (v)->arch.cr4; kvm_mmu_reset_context(v); } } while (0)"
    )
    code = "void devil(struct kvm_vcpu *vcpu)\n{\n\tkvm_mmu_reset_context(vcpu);\n}\n"
    head = "#include <linux/kvm_host.h>\n"
    assert verdict("", "", (OTHER, "", f"{head}{code}")) == "covered"
    assert verdict("", "", (OTHER, "", f"{head}{macro}\n\n{code}")) == "unknown"
