# SPDX-License-Identifier: GPL-2.0-only
"""A note of the last set-up, wherever it lies, may leave the next one out."""

import pytest
from edited import check, fixture

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


def verdict(code, above="", *edits):
    """Check the fixture with statements where a context is reset, and more."""
    tree = fixture("role-regs-fixed")
    for path, old, new in ((MAIN, RESET, f"{above}{RESET}\t{code}\n"), *edits):
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
STATE = {
    "of use where it is shared": (
        LEAVE.format("vcpu->note"), "", OUT,
        ("virt/kvm/kvm_main.c", "", "#include <linux/kvm_host.h>\n"
         "u64 devil(struct kvm_vcpu *vcpu)\n{\n\treturn vcpu->note + 1;\n}\n\n"
         "u64 (*const reader)(struct kvm_vcpu *vcpu) = devil;\n")),
    "used elsewhere": (
        LEAVE.format("vcpu->note"), "", OUT, of("return vcpu->note + 1;")),
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


@pytest.mark.parametrize("name", STATE)
def test_what_is_no_note(name):
    """State of something else, and what decides nothing here, is left alone."""
    assert verdict(*STATE[name]) == "covered"
