# SPDX-License-Identifier: GPL-2.0-only
"""A file that is not C as everybody reads it may hide anything, wherever it lies in the text."""

import pytest
from edited import check, fixture

from patchtool.history.lens import Lens, Slicer
from patchtool.target.kvm import KVM

OTHER = "arch/x86/kvm/svm/svm.c"
WHOLE = b"""#include "mmu.h"
/* A file with nothing that matters. */
#ifdef CONFIG_OTHER
static int other(int n)
{
\treturn n;
}
#endif
int svm_level(int n)
{
\treturn n + 1;
}
"""
BROKEN = {
    "brace": WHOLE + b"void f(void)\n{\n\tg();\n",
    "too many braces": WHOLE + b"}\nint x;\n",
    "declaration": WHOLE + b"static int g",
    "parameters": WHOLE + b"static int g(int a,",
    "condition": WHOLE + b"#if 1\nint x;\n",
    "condition in front": b"#if 0\n" + WHOLE,
    "too many conditions": WHOLE + b"#endif\nint x;\n",
    "other branch": WHOLE + b"#else\nint x;\n",
    "comment": WHOLE + b"/* int x;\nint y;\n",
    "conflict": WHOLE + b"<<<<<<< HEAD\nint x;\n=======\nint y;\n>>>>>>> devil\n",
    "conflict in front": b"<<<<<<< HEAD\nint x;\n=======\nint y;\n>>>>>>> devil\n" + WHOLE,
    "conflict in a macro": WHOLE + b"#define f(x) \\\n||||||| devil\n\tx\n",
    "conflict in a function": WHOLE.replace(b"{\n", b"{\n<<<<<<< HEAD\n", 1),
    "quoted": b"> " + WHOLE.replace(b"\n", b"\n> "),
    "patch": b"".join(b"+" + line for line in WHOLE.splitlines(keepends=True)),
    "zeros": WHOLE[:60] + bytes(40) + WHOLE[60:],
    "wide": WHOLE.decode().encode("utf-16"),
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
    "empty": b"/* nothing */\n",
}


@pytest.fixture(scope="module")
def tree():
    """Return a tree with another file that has nothing to do with a set-up."""
    files = {**fixture("role-regs-fixed"), OTHER: WHOLE}
    assert check(files).verdict == "covered"
    return files


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("path", [OTHER, "arch/x86/kvm/svm/other.h", "virt/kvm/kvm_main.c"])
def test_a_broken_file(tree, name, path):
    """The verdict is unknown, with the file; only a header may be empty."""
    report = check({**tree, path: BROKEN[name]})
    broken = name != "empty" or path.endswith(".c")
    assert report.verdict == ("unknown" if broken else "covered")
    assert {one.place.file for one in report.unknowns} == ({path} if broken else set())


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        WHOLE + b"MODULE_LICENSE(\"GPL\");\nmodule_init(f)\n",
        WHOLE + b"static const char end[] = \"/* no comment\";\n// nor /* here\n",
        WHOLE.replace(b"\n", b"\r\n"),
        WHOLE + b"\x0cint x;\n",
        WHOLE + b"#if defined(A) \\\n|| defined(B)\n#endif\n#define f(x) \\\n-(x)\n",
        WHOLE + b"static const char *s = \"\xc3\xbc\";\n",
        WHOLE + b"static int a[] = {\n#if 1\n\t1,\n#else\n\t2,\n#endif\n};\n",
        WHOLE + b"static const char brace = '{';\n",
    ],
)  # fmt: skip
def test_a_whole_file(tree, text):
    """What only looks so is not held against a file."""
    assert check({**tree, OTHER: text}).verdict == "covered"


MADE = b"""\
#include <linux/module.h>
#include <linux/export-internal.h>

MODULE_INFO(name, KBUILD_MODNAME);

__visible struct module __this_module
__section(".gnu.linkonce.this_module") = {
	.name = KBUILD_MODNAME,
	.init = init_module,
};

KSYMTAB_FUNC(kvm_init_mmu, "_gpl", "");
SYMBOL_CRC(kvm_init_mmu, 0x4936f604, "_gpl");

static const struct modversion_info ____versions[]
__used __section("__versions") = {
	{ 0x4936f604, "kvm_init_mmu" },
};
"""


@pytest.mark.parametrize(
    ("path", "more", "expected"),
    [
        ("arch/x86/kvm/kvm.mod.c", b"", "covered"),
        ("arch/x86/kvm/kvm.mod.c", b"void f(struct kvm_mmu *m)\n{\n\t*m = kept;\n}\n", "unknown"),
        (
            "arch/x86/kvm/kvm.mod.c",
            b"void f(struct kvm_mmu *m) __cold\n{\n\t*m = kept;\n}\n",
            "unknown",
        ),
        ("arch/x86/kvm/mod.c", b"", "unknown"),
    ],
)
def test_what_a_build_leaves(tree, path, more, expected):
    """The symbols of a module, which modpost writes anew, are no text of the target."""
    assert check({**tree, path: MADE + more}).verdict == expected


MAKEFILE = b"""# SPDX-License-Identifier: GPL-2.0
KVM := ../../../virt/kvm
kvm-y			+= $(KVM)/kvm_main.o mmu/mmu.o # and others.o
kvm-amd-y		+= svm/svm.o svm/nested.o
kvm-intel-y		+= vmx/nested.o
kvm-amd-$(CONFIG_KVM_AMD_SEV) += \\
	svm/sev.o
obj-$(CONFIG_KVM)	+= kvm.o
obj-$(CONFIG_KVM_AMD)	+= kvm-amd.o
obj-$(CONFIG_KVM_INTEL)	+= kvm-intel.o
"""


def test_a_file_that_is_not_there(tree):
    """What the Makefile lists and nobody has read is told with the proof."""

    def told(**files):
        report = check({**tree, "arch/x86/kvm/Makefile": MAKEFILE, **files})
        assert report.verdict == "covered"
        lines = {a for c in report.contexts for one in c.fields for a in one.assumptions}
        return [line for line in lines if "not there" in line]

    assert told() == ["what is built and not there (svm/sev.o) stores to no role and no field"]
    assert not told(**{"arch/x86/kvm/svm/sev.c": b"int sev;\n"})
    assert not told(**{"arch/x86/kvm/svm/sev.S": b""})


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "empty"])
def test_a_history_sees_it(name):
    """A change that breaks a file, or mends it, is not passed by, though it names nothing."""
    slicer = Slicer(Lens(), KVM)
    whole = slicer.slice(OTHER, b"")
    assert slicer.slice(OTHER, BROKEN[name]).digest != whole.digest


def test_a_history_sees_such_a_macro():
    """Nor is a macro passed by that replaces a word of C."""
    slicer = Slicer(Lens(), KVM)
    assert slicer.slice(OTHER, b"#define u64 u8\n").digest != slicer.slice(OTHER, b"").digest
    assert slicer.slice(OTHER, b"#define OWN u8\n").digest == slicer.slice(OTHER, b"").digest


@pytest.mark.parametrize(
    "name", ["u64", "u32 ", "bool", "NULL", "true", "false", "else", "sizeof(x)", "const", "return"]
)
def test_a_word_of_c_that_is_a_macro(tree, name):
    """What everybody takes for granted may mean another thing behind a macro."""
    line = f"#define {name} 1\n".encode()
    report = check({**tree, OTHER: line + WHOLE})
    assert report.verdict == "unknown"
    assert {(one.place.file, one.place.line) for one in report.unknowns} == {(OTHER, 1)}
    assert (
        check({**tree, OTHER: line.replace(b"define ", b"define x") + WHOLE}).verdict == "covered"
    )


RENAMING = [
    'int devil_level(int n) __asm__("svm_level");',
    'int devil_level(int n)\n\tasm ("svm_" "level");',
    'extern int devil_level __asm("svm_level");',
    "#define OTHERWISE(n) __asm__(#n)\nint devil_level(int n) OTHERWISE(svm_level);",
    'int devil_level(int n) __attribute__((alias("svm_level")));',
    'int __attribute__((__alias__("svm_level"), used)) devil_level(int n);',
    'static int devil_level(int n) __attribute__((weakref("svm_level")));',
    'int devil_level(int n) __attribute__((ifunc("svm_level")));',
    "int devil_level(int n) __alias(svm_level);",
    "int devil_level(int n) __cold __alias(svm_level) __weak;",
    "__alias(svm_level) int devil_level(int n);",
    "#pragma redefine_extname devil_level svm_level",
    "#pragma weak devil_level = svm_level",
    '# pragma pop_macro("LEVEL")',
    '_Pragma("weak devil_level = svm_level")',
    "int devil_level(int n) __attribute__((mode(QI)));",
]


@pytest.mark.parametrize("text", RENAMING)
def test_a_name_that_the_linker_takes_for_another(tree, text):
    """What the text defines by a name need not be what is run then."""
    report = check({**tree, OTHER: WHOLE + text.encode() + b"\n"})
    assert report.verdict == "unknown"
    assert {one.place.file for one in report.unknowns} == {OTHER}
    slicer = Slicer(Lens(), KVM)
    digest = slicer.slice(OTHER, text.encode() + b"\n").digest
    assert digest != slicer.slice(OTHER, b"").digest


@pytest.mark.parametrize(
    "text",
    [
        "int svm_level(int n) __attribute__((weak));",
        "void svm_print(const char *s, ...) __attribute__((format(printf, 1, 2), cold));",
        "__printf(1, 2) void svm_print(const char *s, ...);",
        "int svm_level(int n) __must_hold(&lock) __cold;",
        'asm(".globl svm_stub\\n\\tsvm_stub: ret");',
        'static void g(void)\n{\n\tregister int n asm("eax");\n\n\tasm("nop");\n}',
        "typedef int pair __attribute__((__vector_size__(16)));",
        "#define __level(n) __own(n)\nint x;",
        '#pragma once\n#pragma GCC poison to_svm\n#pragma GCC diagnostic ignored "-Wall"',
        "#pragma pack(push, 1)\n#pragma pack(pop)",
    ],
)
def test_what_is_said_of_a_name_alone(tree, text):
    """An attribute that leaves a name as it is changes nothing."""
    assert check({**tree, OTHER: WHOLE + text.encode() + b"\n"}).verdict == "covered"


@pytest.mark.parametrize("member", ["arch.root_mmu", "arch.root_mmu.root_level", "arch.cr0"])
def test_what_assembler_text_is_told(tree, member):
    """Where a context lies is told to nobody who may store there without a word."""
    text = f"static void told(void)\n{{\n\tOFFSET(MMU, kvm_vcpu, {member});\n}}\n"
    report = check({**tree, OTHER: WHOLE + text.encode()})
    said = [one.reason for one in report.unknowns if "assembler text is told" in one.reason]
    assert bool(said) is ("mmu" in member)
