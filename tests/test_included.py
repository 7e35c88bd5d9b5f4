# SPDX-License-Identifier: GPL-2.0-only
"""What is compiled with KVM's text is looked at, whatever it is called, or doubted."""

import pytest
from edited import check, fixture

from patchtool.outside import reach

MAIN = "arch/x86/kvm/mmu/mmu.c"
STORE = b"void devil(struct kvm_vcpu *vcpu)\n{\n\tvcpu->arch.root_mmu.root_level = 1;\n}\n"


def including(line, **files):
    """Check a fixture of which the main file takes something in behind its other headers."""
    tree = fixture("role-regs-fixed")
    assert check(tree).verdict == "covered"
    text = tree[MAIN]
    at = text.rfind(b"#include")
    at = text.find(b"\n", at) + 1
    report = check({**tree, **files, MAIN: text[:at] + line + b"\n" + text[at:]})
    return report.verdict, {one.place.file for one in report.unknowns}


@pytest.mark.parametrize("name", ["devil.inc", "devil.def", "devil", "../svm/devil.txt"])
def test_a_file_of_any_name(name):
    """What a C file takes in is C."""
    path = {"../svm/devil.txt": "arch/x86/kvm/svm/devil.txt"}.get(name, f"arch/x86/kvm/mmu/{name}")
    found = including(f'#include "{name}"'.encode(), **{path: STORE})
    assert found == ("unknown", {path})


def test_a_file_that_such_a_file_takes_in():
    """What is taken in may take in more."""
    inner, outer = "arch/x86/kvm/mmu/inner.inc", "arch/x86/kvm/mmu/outer.inc"
    files = {outer: b'#include "inner.inc"\n', inner: STORE}
    assert including(b'#include "outer.inc"', **files) == ("unknown", {inner})
    assert including(b'#include "outer.inc"', **{outer: b'#include "mmu.h"\n'})[0] == "covered"


def test_a_header_by_a_way_out_of_a_folder_of_headers():
    """A name in quotes is looked for from the folders of headers as well, as gcc does."""
    tree = fixture("role-regs-fixed")
    host = "arch/x86/include/asm/kvm_host.h"
    line = b'#include "../kvm/beside.h"\n'
    report = check({**tree, host: line + tree[host]})
    assert (report.verdict, report.unknowns[0].place.file) == ("unknown", host)
    beside = "arch/x86/kvm/beside.h"
    assert check({**tree, host: line + tree[host], beside: b"struct beside;\n"}).unknowns == ()
    devil = check({**tree, host: line + tree[host], beside: STORE})
    assert {one.place.file for one in devil.unknowns} == {beside}


def test_which_of_two_headers_of_a_name():
    """The folders of the kernel's headers are looked into before KVM's own, as gcc does."""
    kernel, own = "arch/x86/include/order.h", "arch/x86/kvm/order.h"
    files = {kernel: STORE, own: b"struct one;\n"}
    assert including(b'#include "order.h"', **files) == ("unknown", {kernel})


@pytest.mark.parametrize(
    "line",
    [
        b'#include "nowhere.h"',
        b'# include "nowhere.inc"',
        b"#define HERE <linux/devil.h>\n#include HERE",
        b'#include /* by */ "nowhere.h"',
        b'#include_next "nowhere.h"',
    ],
)
def test_what_is_not_there(line):
    """What is taken in and is not there, or is told by a macro, may hold anything."""
    assert including(line) == ("unknown", {MAIN})


def test_headers_of_others():
    """What lies in angles and is not there is no text of KVM's."""
    assert including(b"#include <linux/nowhere.h>")[0] == "covered"
    assert including(b'// #include "nowhere.h"')[0] == "covered"


GENERIC = "virt/kvm/kvm_main.c"


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({GENERIC: b'#include "a.inc"\n', "virt/kvm/a.inc": STORE}, "virt/kvm/a.inc"),
        (
            {GENERIC: b'#include "a.inc"\n', "virt/kvm/a.inc": b'#include "b.inc"\n',
             "virt/kvm/b.inc": STORE},
            "virt/kvm/b.inc",
        ),
        ({GENERIC: b'#include "nowhere.h"\n'}, GENERIC),
        ({GENERIC: b'#include "mmu.h"\n'}, None),
    ],
)  # fmt: skip
def test_what_is_built_in(files, where):
    """What is built into KVM from elsewhere takes in text of KVM's too."""
    report = check({**fixture("role-regs-fixed"), **files})
    assert {one.place.file for one in report.unknowns} == ({where} if where else set())


@pytest.mark.parametrize("name", ["devil.c", "devil.txt", "devil.h"])
def test_a_file_of_elsewhere(name):
    """A kind of file that is no header is not looked at where a patch changes it elsewhere."""
    path = f"arch/x86/lib/{name}"
    verdict, places = including(f'#include "../../lib/{name}"'.encode(), **{path: b"struct x;\n"})
    told = not name.endswith(".h")
    assert (verdict, places) == (("unknown", {MAIN}) if told else ("covered", set()))


def test_headers_in_angles():
    """KVM's folder is one of those in which a header in angles is looked for."""
    path = "arch/x86/kvm/mmu/devil.inc"
    assert including(b"#include <mmu/devil.inc>", **{path: STORE}) == ("unknown", {path})


def test_what_a_header_of_the_target_takes_in():
    """A header of KVM's beside its folder takes in more of them."""
    header, path = "arch/x86/include/asm/kvm_host.h", "arch/x86/include/asm/kvm_devil.h"
    tree = fixture("role-regs-fixed")
    text = tree[header].replace(b"#include", b"#include <asm/kvm_devil.h>\n#include", 1)
    assert text != tree[header]
    report = check({**tree, header: text, path: STORE})
    assert {one.place.file for one in report.unknowns} == {path}


def test_a_number_sign_in_other_letters():
    """What is no directive to whoever reads it may be one to the compiler."""
    assert including(b'%:include "nowhere.h"')[0] == "unknown"
    assert including(b'static const char *said = "100%: all";')[0] == "covered"


LEVEL = b"\\\n\trole_regs_to_root_level(r) (vcpu->arch.maxphyaddr > 48 ? 5 : 4)"


@pytest.mark.parametrize("head", [b"#define ", b"# \\\n define", b"#\\\ndefine"])
def test_a_directive_that_is_continued(head):
    """The words of a directive may stand on several lines."""
    assert including(head + LEVEL)[0] != "covered"


CALLER = b"void devil(struct kvm_vcpu *vcpu)\n{\n\tinit_kvm_tdp_mmu(vcpu);\n}\n"
MACRO = b"#define DEVIL(v) init_kvm_tdp_mmu(v)\n"
LATE = b"void devil(struct kvm_vcpu *vcpu)\n{\n\tDEVIL(vcpu);\n}\n"
TABLE = b"void (*devil_hook)(struct kvm_vcpu *) = init_kvm_tdp_mmu;\n"


@pytest.mark.parametrize(
    ("header", "code"), [(CALLER, b""), (MACRO, LATE), (TABLE, b"")], ids=["call", "macro", "table"]
)
def test_a_caller_in_a_header(header, code):
    """What a C file takes in may call what is static there, or keep its address."""
    tree = fixture("role-regs-fixed")
    late = {
        MAIN: tree[MAIN] + b'\n#include "devil.h"\n' + code,
        "arch/x86/kvm/mmu/devil.h": header,
    }
    assert check({**tree, MAIN: tree[MAIN] + header + code}).verdict == "unknown"
    assert check({**tree, **late}).verdict == "unknown"


def test_what_no_file_takes_in():
    """A change to a page or a list is told from its name alone; any other name is looked for."""
    names = "README", "COPYING", "MAINTAINERS", "net/core/dev.c", "tools/include/linux/types.h"
    assert not any(map(reach.includable, names))
    assert all(map(reach.includable, ("include/linux/types.h", "include/README.h", "lib/devil")))


HEADER, BIT = "arch/x86/kvm/mmu.h", b"ext.efer_lma = ____is_efer_lma(regs);"
COMPARED = b"new_role.as_u64 == context->mmu_role.as_u64"
REGS = b"const struct kvm_mmu_role_regs *r"
TRULY, NEVER = b"#define ROLE_LMA(r) ____is_efer_lma(r)\n", b"#define ROLE_LMA(r) 0\n"
CALLED = b"ext.efer_lma = role_lma(regs);"
OF_ALL = b"#define SAME(a, b) ((a).as_u64 == (b).as_u64)\n"
OF_BASE = b"#define SAME(a, b) ((a).base.word == (b).base.word)\n"
NARROW = b"ext.efer_lma = !!(flag_t)(____is_efer_lma(regs) << 8);"


def inline(answer):
    """Return a function of a header that tells whether EFER.LMA is set, or does not."""
    return b"static inline bool role_lma(%s)\n{\n\treturn %s;\n}\n" % (REGS, answer)


def where(condition, text):
    """Return a text under a condition."""
    return b"#if %s\n%s#endif\n" % (condition, text)


def defined_twice(own, header, line=b"ext.efer_lma = ROLE_LMA(regs);", path=HEADER):
    """Return the verdict where the main file and a header both define what a role is by."""
    tree = fixture("role-regs-fixed")
    text = tree[MAIN].replace(COMPARED if line.startswith(b"SAME") else BIT, line)
    at = text.index(b"static struct kvm_mmu_role_regs vcpu_to_role_regs")
    before = tree.get(HEADER, b"").replace(b"\nvoid", b"\n" + header + b"\nvoid", 1)
    files = {path: before if path == HEADER else header}
    return check({**tree, MAIN: text[:at] + own + text[at:], **files}).verdict


@pytest.mark.parametrize(
    ("own", "header", "line"),
    [
        (where(b"!defined(ROLE_LMA)", TRULY), NEVER, b"ext.efer_lma = ROLE_LMA(regs);"),
        (b"#ifndef ROLE_LMA\n" + TRULY + b"#endif\n", where(b"defined(CONFIG_KVM_XEN)", NEVER),
         b"ext.efer_lma = ROLE_LMA(regs);"),
        (where(b"!defined(CONFIG_KVM_XEN)", TRULY), where(b"defined(CONFIG_KVM_XEN)", NEVER),
         b"ext.efer_lma = ROLE_LMA(regs);"),
        (where(b"!defined(ROLE_LMA)", where(b"defined(A)", TRULY) + where(b"!defined(A)", TRULY)),
         NEVER, b"ext.efer_lma = ROLE_LMA(regs);"),
        (b"#ifndef role_lma\n" + inline(b"____is_efer_lma(r)") + b"#endif\n",
         b"#define role_lma role_lma\n" + inline(b"false"), CALLED),
        (b"#ifndef HAVE_ROLE_LMA\n" + inline(b"____is_efer_lma(r)") + b"#endif\n",
         b"#define HAVE_ROLE_LMA\n" + inline(b"false"), CALLED),
        (b"#ifndef SAME\n" + OF_ALL + b"#endif\n", OF_BASE,
         b"SAME(new_role, context->mmu_role)"),
        (b"#ifndef HAVE_FLAG\ntypedef u32 flag_t;\n#endif\n",
         b"#define HAVE_FLAG\ntypedef u8 flag_t;\n", NARROW),
        (b"", b"typedef of_some_kind flag_t;\n", NARROW),
    ],
    ids=[
        "macro", "option in the header", "option in both", "nested", "function", "told by another",
        "comparison", "type", "type that is not known",
    ],
)  # fmt: skip
def test_what_a_header_has_defined_first(own, header, line):
    """What a file falls back on is not what counts where a header is in front of it."""
    assert defined_twice(own, header, line) in ("gap", "unknown")


@pytest.mark.parametrize(
    ("own", "header", "path"),
    [
        (b"#ifndef ROLE_LMA\n" + TRULY + b"#endif\n", b"", HEADER),
        (b"#ifndef ROLE_LMA\n" + TRULY + b"#endif\n", TRULY, HEADER),
        (TRULY, where(b"!defined(ROLE_LMA)", NEVER), HEADER),
        (b"#ifndef ROLE_LMA\n" + TRULY + b"#endif\n", NEVER, "arch/x86/kvm/vmx/far.h"),
    ],
    ids=["nowhere else", "the same", "the other way round", "not included"],
)
def test_what_no_header_has_defined_first(own, header, path):
    """Where there is no other definition, or none that says anything else, a fallback counts."""
    assert defined_twice(own, header, path=path) == "covered"


@pytest.mark.parametrize(
    ("lines", "is_covered"),
    [
        (b"#define ROLE_LMA(r) 0\n", False),
        (b"#define efer_lma cr4_smap\n", False),
        (b'#include "devil.h"\n', False),
        (b"#define NOT_THERE 1\n", True),
    ],
    ids=["macro", "member", "by a header", "nothing that is named"],
)
def test_a_file_that_takes_in_the_main_one(lines, is_covered):
    """The macros of who takes a C file in are those that it is compiled with."""
    tree = fixture("role-regs-fixed")
    text = tree[MAIN].replace(BIT, b"ext.efer_lma = ROLE_LMA(regs);")
    at = text.index(b"static struct kvm_mmu_role_regs vcpu_to_role_regs")
    files = {
        MAIN: text[:at] + b"#ifndef ROLE_LMA\n" + TRULY + b"#endif\n" + text[at:],
        "arch/x86/kvm/mmu/devil.h": NEVER,
        "arch/x86/kvm/mmu/top.c": lines + b'#include "mmu.c"\n',
    }
    assert (check({**tree, **files}).verdict == "covered") is is_covered
    other = {"arch/x86/kvm/mmu/other.c": b'#include "mmu.c"\n'}
    assert check({**tree, **files, **other}).verdict != "covered"


@pytest.mark.parametrize(
    ("inside", "is_covered"),
    [
        ("struct key { u8 v; };", False),
        ("struct __packed key { u8 v; };", False),
        ("struct __attribute__((aligned(8))) key { u8 v; };", False),
        ("devil((struct other *)0, sizeof(struct key { u8 v; }));", False),
        ("for (struct key *k = 0; k; k = 0) { }", True),
        ("{ union flag { u8 v; } f; }", False),
        ("enum level { HIGH = -1 };", False),
        ("struct key;", False),
        ("struct key k; struct other { u8 v; } o;", True),
    ],
)
def test_a_tag_that_a_function_declares_for_itself(inside, is_covered):
    """A name is not looked up by where it stands in a function: who has two of it is doubted."""
    tree = fixture("role-regs-fixed")
    tags = b"struct key { u64 v; };\nunion flag { u64 v; };\nenum level { LOW };\n"
    code = f"static void devil(void)\n{{\n\t{inside}\n}}\n"
    text = tree[MAIN].replace(b"#define ACC_ALL", tags + b"#define ACC_ALL", 1) + code.encode()
    assert (check({**tree, MAIN: text}).verdict == "covered") is is_covered


@pytest.mark.parametrize("word", [b"ifdef", b"ifndef"])
@pytest.mark.parametrize(
    ("first", "second"),
    [(b"____is_efer_lma(regs)", b"false"), (b"false", b"____is_efer_lma(regs)")],
)
def test_the_first_condition_of_a_file_is_no_guard_around_it(word, first, second):
    """An option that is asked for first is open, though nothing is defined in front of it."""
    tree = fixture("role-regs-fixed")
    text = tree[MAIN].replace(b"____is_efer_lma(regs);", b"role_lma(regs);", 1)
    at = text.index(b"\n", text.rfind(b"#include")) + 1
    assert b"#define" not in text[:at]
    chosen = b"#define role_lma(regs) %s\n#else\n#define role_lma(regs) %s\n#endif\n"
    lines = b"#%s CONFIG_KVM_XEN\n" % word + chosen % (first, second)
    assert check({**tree, MAIN: text[:at] + lines + text[at:]}).verdict == "gap"


WHOLE = b"#define role_lma(regs) ____is_efer_lma(regs)\n"
FUNCTION = (
    b"static inline bool role_lma(const struct kvm_mmu_role_regs *regs)\n"
    b"{\n\treturn regs->efer & EFER_LMA;\n}\n"
)
NONE = b"#define role_lma(regs) false\n"
CHOSEN = b'#ifdef %s\n#include "a.h"\n#else\n#include "b.h"\n#endif\n'


@pytest.mark.parametrize(
    ("lines", "a", "b", "verdict"),
    [
        (CHOSEN % b"CONFIG_KVM_XEN", WHOLE, WHOLE, "covered"),
        (CHOSEN % b"CONFIG_KVM_XEN", WHOLE, NONE, "gap"),
        (CHOSEN % b"CONFIG_KVM_XEN", NONE, WHOLE, "gap"),
        (CHOSEN % b"CONFIG_KVM_XEN", FUNCTION, FUNCTION, "covered"),
        (CHOSEN % b"CONFIG_KVM_XEN", FUNCTION, FUNCTION.replace(b"regs->efer &", b"0 &"), "gap"),
        (CHOSEN % b"CONFIG_X86_64", WHOLE, NONE, "covered"),
        (CHOSEN % b"CONFIG_X86_64", NONE, WHOLE, "gap"),
        (CHOSEN % b"CONFIG_X86_32", NONE, WHOLE, "covered"),
        (b'#if 0\n#include "a.h"\n#endif\n#include "b.h"\n', NONE, WHOLE, "covered"),
        (b'#if 0\n#include "b.h"\n#endif\n#include "a.h"\n', NONE, WHOLE, "gap"),
        (b'#include "c.h"\n', WHOLE, NONE, "gap"),
        (b'#ifdef CONFIG_A\n#include "c.h"\n#else\n#include "b.h"\n#endif\n', NONE, WHOLE, "gap"),
        (b'#ifdef CONFIG_A\n#include "a.h"\n#endif\n#include "a.h"\n', WHOLE, NONE, "covered"),
        (b'#if 0\n#include "d.h"\n#endif\n#include "b.h"\n', NONE, WHOLE, "covered"),
    ],
)
def test_what_a_file_takes_in_where_an_option_chooses(lines, a, b, verdict):
    """What each of two headers says is meant in the builds that take it in."""
    tree = fixture("role-regs-fixed")
    text = tree[MAIN].replace(b"____is_efer_lma(regs);", b"role_lma(regs);", 1)
    assert text != tree[MAIN]
    at = text.index(b"static union kvm_mmu_extended_role")
    folder = MAIN.rpartition("/")[0]
    files = {f"{folder}/a.h": a, f"{folder}/b.h": b, f"{folder}/c.h": CHOSEN % b"CONFIG_B"}
    files[f"{folder}/d.h"] = b'#include "a.h"\n'
    report = check({**tree, **files, MAIN: text[:at] + lines + text[at:]})
    assert report.verdict == verdict, report.unknowns


@pytest.mark.parametrize(
    ("again", "verdict"),
    [(b"#undef role_lma\n" + NONE, "unknown"), (b"#undef other\n", "covered")],
)
def test_what_a_later_header_defines_anew(again, verdict):
    """Which definition is meant depends on where a name stands, which nobody looks at."""
    tree = fixture("role-regs-fixed")
    text = tree[MAIN].replace(b"____is_efer_lma(regs);", b"role_lma(regs);", 1)
    at = text.index(b"static union kvm_mmu_extended_role")
    folder = MAIN.rpartition("/")[0]
    files = {f"{folder}/a.h": WHOLE, f"{folder}/b.h": again}
    lines = b'#include "a.h"\n#include "b.h"\n'
    report = check({**tree, **files, MAIN: text[:at] + lines + text[at:]})
    assert report.verdict == verdict
    assert verdict == "covered" or "stands for changes within" in report.unknowns[0].reason
