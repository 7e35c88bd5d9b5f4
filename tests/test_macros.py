# SPDX-License-Identifier: GPL-2.0-only
"""What a macro stands for is what the text around it makes of it, or it is not understood."""

import shutil
import subprocess

import pytest
from edited import Files, check, fixture

from patchtool.c.index import Index
from patchtool.target.kvm import KVM

MAIN, HOST = "arch/x86/kvm/mmu/mmu.c", "arch/x86/include/asm/kvm_host.h"
LINE = "\t\text.efer_lma = ____is_efer_lma(regs);\n"
LMA = "____is_efer_lma(regs)"
TAKEN = {  # what takes the bit out of the role, as C reads it
    "or in a mask": ("#define MASK 0 | 1\n", f"\t\text.efer_lma = !!({LMA} & MASK);\n"),
    "or, given": ("#define ONE(x) 0 | (x)\n", f"\t\text.efer_lma = !!({LMA} & ONE(1));\n"),
    "or of another": ("#define OR 0 | 1\n#define MASK OR\n",
                      f"\t\text.efer_lma = !!({LMA} & MASK);\n"),
    "comma": ("#define PAIR(x) 0, (x)\n", f"\t\text.efer_lma = PAIR({LMA});\n"),
    "choice": ("#define PICK(x) 0 ? 1 : (x)\n", f"\t\text.efer_lma = {LMA} && PICK(0);\n"
               "\t\text.efer_lma = 0;\n"),
    "two statements": ("#define DROP(e) e.cr4_pse = 0; e.efer_lma = 0\n",
                       f"{LINE}\t\tif (0)\n\t\t\tDROP(ext);\n"),
    "two statements by name": ("#define DROP ext.cr4_pse = 0; ext.efer_lma = 0\n",
                               f"{LINE}\t\tif (0)\n\t\t\tDROP;\n"),
    "two statements, else": ("#define DROP(e) e.cr4_pse = 0; e.efer_lma = 0\n",
                             f"{LINE}\t\tif (1)\n\t\t\t;\n\t\telse\n\t\t\tDROP(ext);\n"),
    "two statements, loop": ("#define DROP(e) e.cr4_pse = 0; e.efer_lma = 0\n",
                             f"{LINE}\t\twhile (0)\n\t\t\tDROP(ext);\n"),
    "loop and a store": ("#define DROP(e) do { } while (0); e.efer_lma = 0\n",
                         f"{LINE}\t\tif (0)\n\t\t\tDROP(ext);\n"),
    "an else of its own": ("#define MAYBE(x) if (x)\n",
                           f"{LINE}\t\tif (1)\n\t\t\tMAYBE(0);\n\t\telse\n\t\t\text.cr4_pse = 0;\n"
                           "\t\text.efer_lma = 0;\n"),
    "statement by name": ("#define DROP do { ext.efer_lma = 0; } while (0)\n",
                          f"{LINE}\t\tDROP;\n"),
    "if by name": ("#define DROP if (1) ext.efer_lma = 0\n", f"{LINE}\t\tDROP;\n"),
    "break by name": ("#define LEAVE break\n",
                      f"\t\tfor (;;) {{\n\t\t\tLEAVE;\n\t{LINE}\t\t\tbreak;\n\t\t}}\n"),
    "goto by name": ("#define LEAVE goto leave\n",
                     f"\t\tif (1)\n\t\t\tLEAVE;\n{LINE}leave:\n\t\text.cr4_pse = 0;\n"),
    "return by name": ("#define LEAVE return ext\n", f"\t\tif (1)\n\t\t\tLEAVE;\n{LINE}"),
    "char": ("", f"\t\t{{\n\t\t\tchar c = 0x80;\n\n\t\t\text.efer_lma = {LMA} && c < 0;\n\t\t}}\n"),
}  # fmt: skip
KEPT = {  # what leaves it there
    "parentheses": ("#define MASK (0 | 1)\n", f"\t\text.efer_lma = !!({LMA} & MASK);\n"),
    "tighter": ("#define MASK 1 & 3\n", f"\t\text.efer_lma = !!({LMA} | 0 | MASK & 0);\n"),
    "whole": ("#define LONG 0 | ____is_efer_lma(regs)\n", "\t\text.efer_lma = LONG;\n"),
    "given": ("#define SAME(x) 0 | (x)\n", f"\t\text.efer_lma = SAME({LMA});\n"),
    "one statement": ("#define SET(e, x) do { e.efer_lma = (x); } while (0)\n",
                      f"\t\tif (1)\n\t\t\tSET(ext, {LMA});\n"),
    "one statement by name": (
        "#define SET do { ext.efer_lma = ____is_efer_lma(regs); } while (0)\n", "\t\tSET;\n"),
    "several within braces": ("#define SET(e, x) e.cr4_pse = 0; e.efer_lma = (x)\n",
                              f"\t\tif (1) {{\n\t\t\tSET(ext, {LMA});\n\t\t}}\n"),
    "negative": ("#define ALL -1\n", f"\t\text.efer_lma = {LMA} & ALL;\n"),
}  # fmt: skip


def edited(above, line):
    """Return the fixture with one bit of the role computed in another way."""
    tree = fixture("role-regs-fixed")
    text = tree[MAIN].decode()
    assert text.count(LINE) == 1
    start = "static union kvm_mmu_extended_role kvm_calc_mmu_role_ext("
    text = text.replace(LINE, line).replace(start, above + "\n" + start)
    if "cr4_pse" in line + above:
        tree[HOST] = tree[HOST].replace(
            b"unsigned int efer_lma:1;", b"unsigned int efer_lma:1;\n\t\tunsigned int cr4_pse:1;"
        )
    tree[MAIN] = text.encode()
    tree["Makefile"] = b"KBUILD_CFLAGS += -funsigned-char\n"
    return tree


def compiled(folder, above, line):
    """Return what gcc makes of the bit, for both values of EFER.LMA."""
    code = (
        "#include <stdio.h>\nstruct ext { unsigned efer_lma:1, cr4_pse:1; };\n"
        f"#define ____is_efer_lma(r) (*(r))\n{above}\n"
        "static struct ext calc(const int *regs)\n{\n\tstruct ext ext = {0};\n\n"
        f"{line}\n\treturn ext;\n}}\n"
        "int main(void)\n{\n\tfor (int i = 0; i < 2; i++)\n"
        '\t\tprintf("%d", calc(&i).efer_lma);\n\treturn 0;\n}\n'
    )
    (folder / "role.c").write_text(code)
    subprocess.run(["gcc", "-w", "-funsigned-char", "-o", "role", "role.c"], cwd=folder, check=True)
    return subprocess.run(["./role"], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", [*TAKEN, *KEPT])
def test_as_the_text_around_it_has_it(name, tmp_path):
    """A bit that C does not compute from its input is never what carries it."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    above, line = {**TAKEN, **KEPT}[name]
    is_kept = name in KEPT
    assert (compiled(tmp_path, above, line) == "01") is is_kept
    report = check(edited(above, line))
    assert (report.verdict == "covered") is is_kept, (report.verdict, report.unknowns)


SILENT = [
    "preempt_count()", "trace_kvm_exit_enabled()", "lockdep_is_held(vcpu)",
    "cond_resched()", "srcu_read_lock(vcpu)", "printk(\"\") > 0",
]  # fmt: skip


@pytest.mark.parametrize("what", SILENT)
def test_what_a_silent_call_returns(what):
    """That it changes nothing does not say what it answers."""
    report = check(edited("", f"\t\text.efer_lma = ____is_efer_lma(regs) && !{what};\n"))
    assert report.verdict in ("gap", "unknown")


GUARDS = {
    "own": "struct mutex *, mutex_lock(_T), mutex_unlock(_T))",
    "half": "struct kvm_vcpu *, mutex_lock(&_T->mutex), rcu_read_lock_quirk(_T))",
    "more": "struct kvm_vcpu *, _T->arch.cr4 ^= 1, mutex_unlock(&_T->mutex))",
    "much": "struct kvm_vcpu *, mutex_lock(&_T->arch.cr4++), mutex_unlock(_T))",
    "twice": "struct kvm_vcpu *, mutex_lock(&_T->mutex), mutex_unlock(&_T->mutex))\n"
    "DEFINE_GUARD_COND(twice, _try, ({ _T->arch.cr4 ^= 1; true; }))",
}
QUIRK = (
    "DEFINE_LOCK_GUARD_1(quirk, struct kvm_vcpu, _T->lock->arch.cr4 ^= 1, )\n"
    "static inline void rcu_read_lock_quirk(struct kvm_vcpu *vcpu)\n"
    "{\n\tvcpu->arch.cr0 = vcpu->arch.hflags;\n}\n"
)


@pytest.mark.parametrize(
    ("call", "is_fine"),
    [
        ("guard(mutex)(&vcpu->mutex);", True),
        ("guard(srcu)(&vcpu->srcu);", True),
        ("guard(quirk)(vcpu);", False),
        ("guard(some_other)(vcpu);", False),
        ("guard(own)(&vcpu->mutex);", True),
        ("scoped_guard(own, &vcpu->mutex) {\n\t\tcond_resched();\n\t}", True),
        ("guard(half)(vcpu);", False),
        ("guard(more)(vcpu);", False),
        ("guard(much)(vcpu);", False),
        ("guard(twice)(vcpu);", False),
        ("scoped_guard(quirk, vcpu)\n\t\tcond_resched();", False),
        ("scoped_guard(mutex, &vcpu->mutex)\n\t\tcond_resched();", True),
        ("rcu_read_lock_quirk(vcpu);", False),
        ("rcu_read_lock_generic(vcpu);", False),
    ],
)
def test_what_only_takes_a_lock(call, is_fine):
    """It is known for that by the kernel's own name, which nobody else defines."""
    tree = fixture("role-regs-fixed")
    text = tree[MAIN].decode()
    old = "\tcontext->root_level = role_regs_to_root_level(&regs);"
    assert old in text
    above = "".join(
        f"DEFINE_GUARD({name}, {locks}\n" for name, locks in GUARDS.items() if f"({name}" in call
    )
    new = f"\t{call}\n\tcontext->root_level = kvm_read_cr0_bits(vcpu, X86_CR0_PG) ? 4 : 3;"
    tree[MAIN] = (
        text.replace(old, new)
        .replace("#define ACC_ALL", above + QUIRK + "#define ACC_ALL")
        .encode()
    )
    tree["virt/kvm/kvm_main.c"] = (
        b"void rcu_read_lock_generic(struct kvm_vcpu *vcpu)\n{\n\tvcpu->arch.cr0 ^= 1;\n}\n"
    )
    report = check(tree)
    assert (report.verdict == "covered") is is_fine, (report.verdict, report.unknowns)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("scoped_guard(mutex, &vcpu->mutex)", "covered"),
        ("scoped_guard(raw_spinlock_irqsave, &vcpu->mutex)", "covered"),
        ("scoped_guard(rwsem_read, &vcpu->mutex)", "covered"),
        ("scoped_guard(mutex_try, &vcpu->mutex)", "unknown"),
        ("scoped_guard(mutex_intr, &vcpu->mutex)", "unknown"),
        ("scoped_guard(spinlock_irqsave_try, &vcpu->mutex)", "unknown"),
        ("scoped_guard(rwsem_read_try, &vcpu->mutex)", "unknown"),
        ("scoped_guard(rwsem_write_kill, &vcpu->mutex)", "unknown"),
        ("scoped_guard(odd, &vcpu->mutex)", "unknown"),
        ("scoped_cond_guard(mutex_intr, return ext, &vcpu->mutex)", "unknown"),
        ("scoped_cond_guard(mutex_try, goto out, &vcpu->mutex)", "unknown"),
    ],
)
def test_a_scope_that_may_be_left_out(scope, expected):
    """Where a lock need not be taken, what it is taken for need not be run."""
    assert check(edited("", f"\t\t{scope} {{\n\t{LINE}\t\t}}\n")).verdict == expected


def test_a_macro_beside_a_function():
    """Which of them a call means depends on where the macro is taken in."""
    tree = edited('#include "tune.h"\n', LINE)
    tree["arch/x86/kvm/mmu/tune.h"] = b"#define ____is_efer_lma(regs) false\n"
    assert check(tree).verdict in ("gap", "unknown")


EVENT = """
	TP_PROTO(union kvm_mmu_extended_role *r), TP_ARGS(r),
	TP_STRUCT__entry(__field(u64, lma)),
	TP_fast_assign(BODY),
	TP_printk("%llx", __entry->lma)
);
"""


def traced(events, body):
    """Return the verdict where a role is given to an event that stores something."""
    tree = edited("", f"{LINE}\t\ttrace_kvm_role_made(&ext);\n")
    tree["arch/x86/kvm/mmu/mmutrace.h"] = events.replace("BODY", body).encode()
    return check(tree).verdict


@pytest.mark.parametrize(
    ("body", "is_fine"),
    [
        ("__entry->lma = r->efer_lma;", True),
        ("r->efer_lma = 0;", False),
        ("__entry->lma = r->efer_lma--;", False),
        ("r->efer_lma = 0; __entry->lma = 1;", False),
    ],
)
def test_what_a_trace_event_stores(body, is_fine):
    """An event stores to its entry, and where it stores to more it is run as well."""
    assert (traced(f"TRACE_EVENT(kvm_role_made,{EVENT}", body) == "covered") is is_fine


@pytest.mark.parametrize(
    ("body", "is_fine"), [("__entry->lma = 1;", True), ("r->efer_lma <<= 1;", False)]
)
def test_what_a_class_of_events_stores(body, is_fine):
    """An event stores what its class does; classes that name each other do not end a check."""
    events = (
        "DEFINE_EVENT(kvm_role, kvm_role_made, TP_PROTO(void *r), TP_ARGS(r));\n"
        "DEFINE_EVENT(kvm_role_made, kvm_role, TP_PROTO(void *r), TP_ARGS(r));\n"
    )
    found = traced(f"DECLARE_EVENT_CLASS(kvm_role,{EVENT}{events}", body)
    assert (found == "covered") is is_fine


def test_a_silent_macro_that_shifts():
    """However it stores, a macro of a silent name is run."""
    above = "#define pr_role(e) ((e).efer_lma <<= 1)\n"
    assert check(edited(above, f"{LINE}\t\tpr_role(ext);\n")).verdict in ("gap", "unknown")


@pytest.mark.parametrize(
    ("path", "text", "is_fine"),
    [
        ("Makefile", "KBUILD_CFLAGS += -DACC_ALL=0\n", False),
        ("arch/x86/Makefile", "KBUILD_CFLAGS += -O2 \\\n\t-D ACC_ALL\n", False),
        ("arch/x86/Kbuild", "subdir-ccflags-y += -UACC_ALL\n", False),
        ("virt/kvm/Makefile.kvm", "ccflags-y += -DACC_ALL=1\n", False),
        ("Makefile", "KBUILD_CPPFLAGS += -Dbool=u8\n", False),
        ("Makefile", "KBUILD_CFLAGS += -DNOT_THERE -fno-strict-aliasing\n", True),
        ("Makefile", "CHECKFLAGS := -D__linux__ -DACC_ALL\n", True),
    ],
)
def test_what_a_makefile_defines(path, text, is_fine):
    """A name of the text that the compiler is told may mean something else."""
    tree = edited("", LINE)
    tree[path] = text.encode()
    report = check(tree)
    assert (report.verdict == "covered") is is_fine
    assert is_fine or any("the compiler is told" in one.reason for one in report.unknowns)


def test_words_of_a_macro():
    """They are those of its definition, and not of a line behind some other where it is used."""
    path = "arch/x86/kvm/a.c"
    code = b"#define CALL(f) call_##f\n#define HAVE\nint f(int kvm)\n{\n\treturn CALL(g)(kvm);\n}\n"
    words = Index(Files({path: code}), KVM).macro_words(b"CALL", (path,))
    assert words == {b"CALL", b"f", b"call_"}


MMU = "arch/x86/kvm/mmu/mmu.c"


@pytest.mark.parametrize(
    ("declared", "same"),
    [
        ("", False),
        ('config PAIR\n\tbool "Pairs"\n', True),
        ("config PAIR\n\tdef_bool y\n", True),
        ("config PAIR\n\t# what it is\n\n\tdepends on KVM\n\tbool\n", True),
        ("config PAIR\n\ttristate\n", False),
        ('config PAIR\n\tdepends on KVM\n\ttristate "Pairs"\n', False),
        ("config PAIR\n\tdef_tristate m\n", False),
        ("config PAIR\n\thelp\n\t  No tristate\n\nconfig OTHER\n\tbool\n", False),
        ("config PAIRS\n\tbool\n", False),
    ],
)
@pytest.mark.parametrize("folder", ["arch/x86/kvm", "virt/kvm", "arch/x86"])
def test_an_option_with_two_values(declared, same, folder):
    """Only of one that is declared so is it known that it is built in where it is enabled."""
    files = fixture("role-regs-fixed")
    text = files[MMU].decode()
    level = "\tcontext->root_level = role_regs_to_root_level(&regs);\n"
    role = "\tnew_role.ext.efer_lma = ____is_efer_lma(regs);\n"
    if role not in text:
        role = next(one for one in text.splitlines(True) if "efer_lma = " in one)
    text = text.replace(role, f"#ifdef CONFIG_PAIR\n{role}#endif\n")
    chosen = level.replace("= ", "= IS_ENABLED(CONFIG_PAIR) ? ").replace(";", " : 4;")
    text = text.replace(level, chosen)
    files = {**files, MMU: text.encode(), f"{folder}/Kconfig": declared.encode()}
    (one,) = {
        field.verdict
        for context in check(files, ("root_level",)).contexts
        if context.entry[-1] == "init_kvm_tdp_mmu"
        for field in context.fields
    }
    assert one == ("covered" if same else "gap")


PRIVATE = "static inline bool kvm_is_long(u64 efer)\n{\n\treturn true;\n}\n"
GIVEN = "#define kvm_is_long(efer) (!!((efer) & EFER_LMA))\n"
NONE = "#define kvm_is_long(efer) true\n"


def beside(macro, function):
    """Return the verdict where a bit of the role comes from a macro, or from a function."""
    files = edited('#include "far.h"\n', "\t\text.efer_lma = kvm_is_long(regs->efer);\n")
    files["arch/x86/kvm/mmu/near.h"] = macro.encode()
    files["arch/x86/kvm/mmu/far.h"] = f'#include "near.h"\n{function}'.encode()
    return check(files).verdict


@pytest.mark.parametrize(
    ("macro", "function", "expected"),
    [
        (f"#ifdef CONFIG_A\n{GIVEN}#endif\n", f"#ifndef CONFIG_A\n{PRIVATE}#endif\n", "gap"),
        (f"#ifdef CONFIG_A\n{GIVEN}#else\n{GIVEN}#endif\n",
         f"#if !defined(kvm_is_long) && !IS_ENABLED(CONFIG_A)\n{PRIVATE}#endif\n", "covered"),
        (f"#ifdef CONFIG_A\n{GIVEN}#else\n{NONE}#endif\n",
         f"#ifndef kvm_is_long\n{PRIVATE}#endif\n", "gap"),
        (GIVEN, f"#ifndef kvm_is_long\n{PRIVATE}#endif\n", "covered"),
        (f"#ifdef CONFIG_A\n{GIVEN}#endif\n", f"#ifdef CONFIG_A\n{PRIVATE}#endif\n", "unknown"),
        (f"#ifdef CONFIG_A\n{GIVEN}#endif\n", f"#ifndef CONFIG_B\n{PRIVATE}#endif\n", "unknown"),
        (GIVEN, f"#ifdef kvm_is_long\n{PRIVATE}#endif\n", "unknown"),
        (GIVEN, f"#if !defined(kvm_is_long) || defined(CONFIG_A)\n{PRIVATE}#endif\n", "unknown"),
        (GIVEN, f"#if defined(kvm_is_long) && CONFIG_A\n#else\n{PRIVATE}#endif\n", "unknown"),
        (GIVEN, PRIVATE, "unknown"),
        ("", f"#ifndef kvm_is_long\n{PRIVATE}#endif\n{GIVEN}", "unknown"),
    ],
)  # fmt: skip
def test_a_macro_where_there_is_no_function(macro, function, expected):
    """A call means the one that is compiled, if options tell them apart."""
    assert beside(macro, function) == expected
