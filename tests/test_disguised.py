# SPDX-License-Identifier: GPL-2.0-only
"""What a text does that it does not say where one looks for it: none of it is clean."""

import pytest
from edited import check, fixture

MAIN, HOST = "arch/x86/kvm/mmu/mmu.c", "arch/x86/include/asm/kvm_host.h"
MAKE, OTHER = "arch/x86/kvm/Makefile", "arch/x86/kvm/other.c"
SETUP = "static void init_kvm_tdp_mmu("
GUARD = "\tif (new_role.as_u64 == context->mmu_role.as_u64)\n\t\treturn;\n"
STORE = "\tcontext->mmu_role.as_u64 = new_role.as_u64;\n\tcontext->shadow_root_level = kvm_mmu_get"
PLACE = "\tstruct kvm_mmu *mmu;\n"
MODULES = "kvm-y += mmu/mmu.o\nkvm-intel-y += vmx/nested.o\nkvm-amd-y += svm/nested.o\n"
DEVIL = "#include <linux/kvm_host.h>\nvoid devil(struct kvm_vcpu *vcpu, int n)\n{\n\t%s\n}\n"


def edited(*edits):
    """Check the fixture with texts replaced, or appended to a file that is perhaps new."""
    tree = fixture("role-regs-fixed")
    for path, old, new in edits:
        text = tree.get(path, b"").decode()
        assert not old or old in text
        tree[path] = (text.replace(old, new, 1) if old else text + new).encode()
    return check(tree)


def ahead(code):
    """Put statements in front of the guard."""
    return (MAIN, GUARD, code + GUARD)


def above(code):
    """Put definitions in front of the set-up."""
    return (MAIN, SETUP, f"{code}\n\n{SETUP}")


RESET = "void kvm_mmu_reset_context(struct kvm_vcpu *vcpu)\n{\n"
NOTE = (HOST, "\tu32 hflags;", "\tu32 hflags;\n\tu64 note;")


def reset(code):
    """Put statements at the beginning of what resets a context."""
    return (MAIN, RESET, f"{RESET}\t{code}\n")


READER = (
    "static int read_level(struct kvm_vcpu *vcpu)\n{\n\treturn vcpu->arch.mmu->root_level;\n}\n"
)


def told_by(code, asked):
    """Let a reset be left out by what a reader says that is come by through something else."""
    return [(MAIN, RESET, f"{READER}{code}\n\n{RESET}\tif ({asked} == 4)\n\t\treturn;\n")]


def kept_in(code, callee):
    """Let a reset call the set-up through something else, and leave it out by a note."""
    asked = (
        "if (vcpu->arch.note == vcpu->arch.cr4)\n\t\treturn;\n\tvcpu->arch.note = vcpu->arch.cr4"
    )
    return [NOTE, (MAIN, "\tkvm_init_mmu(vcpu);", f"\t{asked};\n\t{callee}(vcpu);"),
            (MAIN, RESET, f"{code}\n\n{RESET}")]  # fmt: skip


STALE = {
    "context in a union": [
        (HOST, "\tstruct kvm_mmu root_mmu;", "\tunion {\n\t\tstruct kvm_mmu root_mmu;\n"
                                             "\t\tu8 raw[64];\n\t};"),
        (OTHER, "", DEVIL % "vcpu->arch.raw[n] = 3;")],
    "record in a union": [
        ("include/linux/kvm_host.h", "\tstruct kvm_vcpu_arch arch;",
         "\tunion {\n\t\tstruct {\n\t\t\tstruct kvm_vcpu_arch arch;\n\t\t};\n"
         "\t\tu64 raw[9];\n\t};"),
        (OTHER, "", DEVIL % "vcpu->raw[n] = 3;")],
    "pointer in a union": [
        (HOST, PLACE, "\tunion {\n\t\tstruct kvm_mmu *mmu;\n\t\tulong where;\n\t};\n"),
        (OTHER, "", DEVIL % "vcpu->arch.where = n;")],
    "role in a union": [
        (HOST, "\tunion kvm_mmu_role mmu_role;",
         "\tunion {\n\t\tunion kvm_mmu_role mmu_role;\n\t\tu64 key;\n\t};"),
        (OTHER, "", DEVIL % "vcpu->arch.root_mmu.key = n;")],
    "field in a union": [
        (HOST, "\tu8 root_level;",
         "\tunion {\n\t\tu8 root_level;\n\t\tstruct { u8 low:4; };\n\t};"),
        (OTHER, "", DEVIL % "vcpu->arch.mmu->low = n;")],
    "input in a union": [
        (HOST, "\tu64 efer;", "\tunion {\n\t\tu64 efer;\n\t\tu32 low;\n\t};"),
        (MAIN, STORE, "\tvcpu->arch.low = vcpu->arch.hflags;\n"
                      f"\tregs = vcpu_to_role_regs(vcpu);\n{STORE}"),
        (MAIN, "const u64 efer;", "u64 efer;")],
    "macro of a bit's name": [
        (MAIN, "static union kvm_mmu_extended_role kvm_calc",
         "#define efer_lma cr4_pae\nstatic union kvm_mmu_extended_role kvm_calc")],
    "macro of a field's name": [
        above("#define root_level shadow_root_level"),
        (MAIN, "\tcontext->shadow_root_level = kvm_mmu_get", "\tcontext->ept_ad = kvm_mmu_get")],
    "macro of a variable's name": [
        ahead("\tunion kvm_mmu_role other = { .ext.valid = 1 };\n\n#define new_role other\n")],
    "told to the compiler": [
        (MAKE, "", "ccflags-y += -I $(srctree)/arch/x86/kvm \\\n\t-DKEEP=1u\n" + MODULES),
        above("#ifndef KEEP\n#define KEEP ~0u\n#endif"),
        ahead("\tnew_role.ext.word &= KEEP;\n")],
    "told to the preprocessor": [
        (MAKE, "", "ccflags-y += -Wp,-DKEEP=1u\n" + MODULES),
        above("#ifndef KEEP\n#define KEEP ~0u\n#endif"),
        ahead("\tnew_role.ext.word &= KEEP;\n")],
    "included in a function": [
        ahead('#include "trim.h"\n'),
        ("arch/x86/kvm/mmu/trim.h", "", "new_role.ext.word = 1;\n")],
    "included in a helper": [
        above('static void trim(union kvm_mmu_role *r)\n{\n#include "trim.h"\n}'),
        ahead("\ttrim(&new_role);\n"),
        ("arch/x86/kvm/mmu/trim.h", "", "r->ext.word = 1;\n")],
    "weak function": [
        above("bool __weak same(u64 a, u64 b)\n{\n\treturn a == b;\n}"),
        (MAIN, GUARD, "\tif (same(new_role.as_u64, context->mmu_role.as_u64))\n\t\treturn;\n"),
        (OTHER, "", "bool same(u64 a, u64 b)\n{\n\treturn (u32)a == (u32)b;\n}\n")],
    "one function in two files": [
        (MAIN, GUARD, "\tif (same(new_role.as_u64, context->mmu_role.as_u64))\n\t\treturn;\n"),
        ("arch/x86/kvm/one.c", "", "bool same(u64 a, u64 b)\n{\n\treturn a == b;\n}\n"),
        ("arch/x86/kvm/two.c", "", "bool same(u64 a, u64 b)\n{\n\treturn (u32)a == (u32)b;\n}\n")],
    "flags of the processor": [
        ahead("\tspin_lock_irqsave(&vcpu->lock, new_role.as_u64);\n")],
    "jump of an assembler": [
        ahead('\tasm goto("jmp %l0" : : : : trim);\n\tgoto keep;\ntrim:\n'
              "\tnew_role.ext.word = 1;\nkeep:\n")],
    "length of an array": [ahead("\t(void)sizeof(int[new_role.ext.word = 1]);\n")],
    "fill beyond a member": [
        (OTHER, "", DEVIL % "memset(&vcpu->arch.mmu->gva_to_gpa, 0, n);")],
    "fill by a number that is too large": [
        (OTHER, "", DEVIL % "memset(&vcpu->arch.mmu->gva_to_gpa, 0, 17);")],
    "copy beyond a member": [
        (OTHER, "", DEVIL % "struct kvm_mmu *mmu = vcpu->arch.mmu;\n\n"
                            "\tmemcpy(&mmu->gva_to_gpa, buffer, sizeof(*mmu));")],
    "copy into a role": [
        (OTHER, "", DEVIL % "copy_from_user(&vcpu->arch.mmu->mmu_role, buffer, 8);")],
    "effect in a lock that is held": [
        ahead("\tmutex_is_locked(new_role.ext.word = 1, &vcpu->mutex);\n")],
    "effect in a lock, by an expression": [
        ahead("\tmutex_is_locked((new_role.ext.word = 1, &vcpu->mutex));\n")],
    "effect in a lock of a reader": [ahead('\tRCU_LOCKDEP_WARN(new_role.ext.word = 1, "x");\n')],
    "types, by a macro of its own": [
        above("#define typecheck(type, x) ((x) = 1)"),
        ahead("\ttypecheck(u64, new_role.as_u64);\n")],
    "copy by a macro of its own": [
        (OTHER, "", "#define memcpy(to, from, size) ((from)->word = 0)\n"
         + DEVIL % "memcpy(&n, &vcpu->arch.mmu->mmu_role.base, 4);")],
    "key of its own above": [NOTE, reset(
        "if (vcpu->arch.note == vcpu->arch.cr4)\n\t\treturn;\n"
        "\tvcpu->arch.note = vcpu->arch.cr4;")],
    "reader above, by a pasted name": told_by("#define TOLD(x) read_##x(vcpu)", "TOLD(level)"),
    "reader above, by an operation": told_by(
        "static const struct ops { int (*ask)(struct kvm_vcpu *vcpu); } ops = "
        "{ .ask = read_level };", "ops.ask(vcpu)"),
    "reader above, by a table": told_by(
        "static int (*const table[])(struct kvm_vcpu *vcpu) = { read_level };", "table[0](vcpu)"),
    "reader above, by a pointer": told_by(
        "static int (*ask)(struct kvm_vcpu *vcpu) = read_level;", "ask(vcpu)"),
    "reader above, by one of two pointers": told_by(
        "static int (*ask)(struct kvm_vcpu *vcpu) = read_level;\n"
        "int (*other)(struct kvm_vcpu *vcpu) = read_level;", "ask(vcpu)"),
    "reader above, by a pointer that is set": told_by(
        "static int (*ask)(struct kvm_vcpu *vcpu);\n\nvoid set_up(void)\n{\n"
        "\task = read_level;\n}", "ask(vcpu)"),
    "entry in an operation": kept_in(
        "static const struct ops { void (*kvm_init_mmu)(struct kvm_vcpu *vcpu); } ops = "
        "{ .kvm_init_mmu = kvm_init_mmu };", "ops.kvm_init_mmu"),
    "entry in a table": kept_in(
        "static void (*const table[])(struct kvm_vcpu *vcpu) = { kvm_init_mmu };", "table[0]"),
    "entry behind a pointer": kept_in(
        "static void (*init)(struct kvm_vcpu *vcpu) = kvm_init_mmu;", "init"),
    "counter above": [NOTE, reset("if (vcpu->arch.note++ & 1)\n\t\treturn;")],
    "answer left behind": [
        NOTE, ahead("\tvcpu->arch.note = new_role.base.level;\n"),
        reset("if (vcpu->arch.note)\n\t\treturn;")],
    "answer left behind, by a helper": [
        NOTE, ahead("\tvcpu->arch.note = new_role.base.level;\n"),
        (MAIN, RESET, "static bool noted(struct kvm_vcpu *vcpu)\n{\n"
                      f"\treturn vcpu->arch.note;\n}}\n\n{RESET}"),
        reset("if (noted(vcpu))\n\t\treturn;")],
}  # fmt: skip


@pytest.mark.parametrize("name", STALE)
def test_nothing_of_it_is_clean(name):
    """The role loses what carries the level, or the level is changed: a gap, or unknown."""
    assert edited(*STALE[name]).verdict in ("gap", "unknown")


CONTEXT = "\tstruct kvm_mmu *context = &vcpu->arch.root_mmu;\n"
ROLE = "\tunion kvm_mmu_role new_role = kvm_calc_tdp_mmu_root_page_role(vcpu, &regs);\n\n"
ROOT = "static struct kvm_mmu *root_of(struct kvm_vcpu *vcpu)\n{\n\treturn %s;\n}\n\n"
PEEK = "static int peek(struct kvm_mmu *mmu)\n{\n\treturn mmu->shadow_root_level;\n}\n\n"


def yielded(value):
    """Let the set-up come by its context by a call, and a reader be given it."""
    return [above(f"{ROOT % value}{PEEK}"),
            (MAIN, f"{CONTEXT}\tstruct kvm_mmu_role_regs regs = vcpu_to_role_regs(vcpu);\n{ROLE}",
             f"\tstruct kvm_mmu *context = root_of(vcpu);\n"
             f"\tstruct kvm_mmu_role_regs regs = vcpu_to_role_regs(vcpu);\n{ROLE}"
             "\tpeek(context);\n")]  # fmt: skip


FINE = {
    "types alone": [ahead("\ttypecheck(u64, new_role.as_u64);\n")],
    "types alone, of a value": [ahead("\tif (!typecheck(u64, new_role.as_u64))\n\t\treturn;\n")],
    "lock that is held": [
        ("include/linux/kvm_host.h", "\tstruct kvm_vcpu_arch arch;",
         "\tstruct kvm_vcpu_arch arch;\n\tstruct mutex mutex;"),
        ahead("\tWARN_ON_ONCE(!mutex_is_locked(&vcpu->mutex));\n")],
    "context by a call": yielded("&vcpu->arch.root_mmu"),
    "fill of a member": [
        (OTHER, "", DEVIL % "memset(&vcpu->arch.mmu->gva_to_gpa, 0,\n"
                            "\t       sizeof(vcpu->arch.mmu->gva_to_gpa));")],
    "fill of a member by a number": [
        (OTHER, "", DEVIL % "memset(&vcpu->arch.mmu->ept_ad, 0, 1);")],
    "what only copies from a role": [
        (OTHER, "", DEVIL % "copy_to_user(buffer, &vcpu->arch.mmu->mmu_role, 8);\n"
                            "\tput_user(vcpu->arch.mmu->root_level, level);")],
    "a note that nobody asks": [NOTE, reset("vcpu->arch.note++;")],
    "union elsewhere": [
        (HOST, "\tu32 hflags;", "\tunion {\n\t\tu32 hflags;\n\t\tu8 raw[4];\n\t};")],
    "union of another record": [
        (HOST, "struct kvm_mmu {", "union other {\n\tu8 root_level;\n\tu8 raw;\n};\n\n"
                                   "struct kvm_mmu {")],
    "places of headers": [
        (MAKE, "", "ccflags-y += -I $(srctree)/arch/x86/kvm\n"
                   "ccflags-$(CONFIG_KVM_WERROR) += -Werror -O0 -g3\n" + MODULES)],
    "a list of names": [
        above('#define OP(name) op_##name();\nstatic void ops(void)\n{\n#include "ops.h"\n}'),
        ("arch/x86/kvm/mmu/ops.h", "", "#if !defined(OP) || \\\n\t0\n#error\n#endif\n"
                                         "/* All. */\nOP(one)\nOP(two)\n")],
    "flags of its own": [
        ahead("\tunsigned long flags;\n\n\tspin_lock_irqsave(&vcpu->lock, flags);\n"
              "\tspin_unlock_irqrestore(&vcpu->lock, flags);\n")],
    "interrupts": [
        ahead("\tunsigned long flags;\n\n\tlocal_irq_save(flags);\n\tlocal_irq_restore(flags);\n")],
    "length of an array": [ahead("\tu64 size = sizeof(int[2]) + sizeof(new_role.ext.word = 1);\n")],
}  # fmt: skip


@pytest.mark.parametrize("name", FINE)
def test_what_only_looks_like_it(name):
    """What touches nothing of it is decided."""
    report = edited(*FINE[name])
    assert report.verdict == "covered", (report.unknowns, report.findings)


HELD = "vcpu->arch.mmu->mmu_role.as_u64"


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (f'pr_debug("%llx\\n", {HELD});', "covered"),
        (f'pr_info("%llx\\n", (unsigned long long)({HELD} & ~1));', "covered"),
        (f"trace_kvm_role(vcpu->vcpu_id, {HELD} == 0);", "covered"),
        (f"if (WARN_ON({HELD} == 3))\n\t\treturn;", "unknown"),
        (f'if (vcpu->arch.hflags)\n\t\tpr_debug("%llx\\n", {HELD});', "covered"),
        (f'pr_debug("%d\\n", {HELD} && kvm_init_mmu(vcpu));', "unknown"),
        (f'pr_debug("%d\\n", {HELD} ? kvm_init_mmu(vcpu) : 0);', "unknown"),
        (f'pr_debug("%llx\\n", vcpu->arch.note = {HELD});', "unknown"),
        (f"vcpu->arch.note = pr_debug({HELD});", "unknown"),
        (f"said({HELD});", "unknown"),
    ],
)
def test_what_is_printed_of_a_role(code, verdict):
    """A statement that prints it decides nothing, unless it does more with it."""
    assert edited(NOTE, reset(code)).verdict == verdict


def test_a_print_of_its_own():
    """What a target defines itself is what its text says, whatever its name."""
    own = "#define pr_debug(text, x) do { if (x) return; } while (0)\n\n"
    code = reset(f'pr_debug("%llx\\n", {HELD});')
    assert edited((MAIN, RESET, own + RESET), code).verdict == "unknown"


def test_a_print_in_another_file():
    """So is what it defines in another file, and what that stores may decide."""
    own = "void trace_role(struct kvm_vcpu *vcpu, u64 role)\n{\n\tvcpu->arch.note = role;\n}\n"
    said = edited(NOTE, (OTHER, "", own), reset(f"trace_role(vcpu, {HELD});"))
    assert said.verdict == "unknown"
