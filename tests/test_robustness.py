# SPDX-License-Identifier: GPL-2.0-only
"""Damaged and devious C never crashes or hangs the check, and is never clean by accident."""

import random
import re

import pytest
from edited import Files, check, fixture, verdicts
from effort import effort, growth
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patchtool.c import lower
from patchtool.c.index import Index, calls
from patchtool.c.scan import scan
from patchtool.errors import InputError
from patchtool.target.kvm import KVM
from patchtool.world import entries
from patchtool.world.roles import callers

MMU = "arch/x86/kvm/mmu/mmu.c"
HOST = "arch/x86/include/asm/kvm_host.h"
SMALL = ("guard-swapped-fixed", "guard-helper-fixed", "guard-goto-fixed")
LARGE = ("role-regs-fixed", "cpu-role-fixed", "masked-word-fixed", "pagewalk-fixed")
CLEAN = {"covered", "not-guarded"}
MOST = 6_000_000
"""How many calls a check of a miniature may make, whatever it is given."""


def verdict(files):
    """Return the verdict on a tree; a refusal in one sentence is one as well."""
    with effort(MOST):
        try:
            return check(files).verdict
        except InputError:
            return "error"


def path_functions(files):
    """Return file, name and span of every function that the verdict rests on, if it is called."""
    used = {(one.file, one.name) for one in check(files).ledger if one.kind == "function"}
    spans = [
        (file, name, start, end)
        for file in sorted(files)
        if file.endswith((".c", ".h"))
        for start, end, name in scan(file, files[file]).spans
    ]
    called = frozenset().union(
        *(calls(files[file][start:end].partition(b"{")[2]) for file, _, start, end in spans)
    )
    return [one for one in spans if one[:2] in used and one[1] in called]


def deleted(data, name, start, end):
    """Take a function away."""
    return data[:start] + data[end:]


def renamed(data, name, start, end):
    """Rename a function in its definition and not at its calls."""
    at = re.compile(rb"\b" + name.encode() + rb"\b").search(data, start, end).start()
    return data[:at] + b"other_" + data[at:]


def opened(data, name, start, end):
    """Take the last brace of a function away."""
    return data[: end - 1] + data[end:]


def closed(data, name, start, end):
    """Put a brace too many into a function."""
    return data[: end - 1] + b"}\n" + data[end - 1 :]


def bytes_in(data, name, start, end):
    """Put bytes that no C has into the middle of a function's body."""
    at = data.index(b"{", start) + 1
    return data[:at] + b"\0\xff`@ )( " + data[at:]


def cut_short(data, name, start, end):
    """End the file in the middle of a function."""
    return data[: data.index(b"{", start) + 1]


EDITS = (deleted, renamed, opened, closed, bytes_in, cut_short)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("name", SMALL)
def test_a_spoilt_function_is_never_passed_over(name, edit):
    """Whichever function on the path is gone or garbled, the verdict is not clean."""
    files = fixture(name)
    places = path_functions(files)
    assert len(places) > 4
    clean = [
        function
        for file, function, start, end in places
        if verdict({**files, file: edit(files[file], function, start, end)}) in CLEAN
    ]
    assert not clean


@pytest.mark.parametrize("edit", [deleted, renamed], ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("name", LARGE)
def test_a_spoilt_function_of_a_large_fixture(name, edit):
    """The same holds where five contexts share their functions; a sample of them."""
    files = fixture(name)
    places = path_functions(files)
    clean = [
        function
        for file, function, start, end in random.Random(name).sample(places, 4)
        if verdict({**files, file: edit(files[file], function, start, end)}) in CLEAN
    ]
    assert not clean


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("guard-swapped-fixed", rb"\tstruct \{\n"),
        ("guard-swapped-fixed", rb"\tu64 as_u64;\n"),
        ("guard-swapped-fixed", rb"\t\tunsigned int efer_lma:1;\n"),
        ("guard-swapped-fixed", rb"\tstruct kvm_mmu root_mmu;\n"),
        ("guard-swapped-fixed", rb"\tu8 root_level;\n"),
        ("guard-swapped-fixed", rb"\tu64 efer;\n"),
        ("cpu-role-fixed", rb"#include <asm/processor-flags.h>\n"),
        ("cpu-role-fixed", rb"#include <asm/msr-index.h>\n"),
        ("cpu-role-fixed", rb"\tstruct \{\n"),
        ("cpu-role-fixed", rb"\t\tunsigned level:4;\n"),
    ],
)
def test_a_spoilt_type_is_never_passed_over(name, pattern):
    """A type or a header that the verdict rests on and that is damaged makes no clean verdict."""
    files = fixture(name)
    data, count = re.subn(pattern, b"", files[HOST], count=1)
    assert count == 1
    assert verdict({**files, HOST: data}) not in CLEAN


@pytest.mark.parametrize("name", ["guard-swapped-fixed", "role-regs-fixed"])
@pytest.mark.parametrize("header", ["uapi/asm/processor-flags.h", "asm/msr-index.h"])
def test_a_header_of_constants_is_missing(name, header):
    """Without the masks of the registers nothing is clean, and nothing takes long."""
    files = fixture(name)
    del files[f"arch/x86/include/{header}"]
    assert verdict(files) not in CLEAN


# -- devious C -------------------------------------------------------------------------------

LMA = "\text.efer_lma = ____is_efer_lma(regs);"
ROLE = "\tunion kvm_mmu_role new_role = kvm_calc_tdp_mmu_root_page_role(vcpu, &regs);"
LEVEL = "\tcontext->root_level = role_regs_to_root_level(&regs);"
COMPARE = "\tif (context->mmu_role.as_u64 == new_role.as_u64)"
BEFORE = "static void init_kvm_tdp_mmu("
NO_BIT = (LMA, "\text.efer_lma = 0;")
SCRATCH = ("\tstruct kvm_mmu root_mmu;", "\tstruct kvm_mmu root_mmu;\n\tu32 tmp[4];")


def ahead(code):
    """Put a definition before the initialiser."""
    return (BEFORE, f"{code}\n\n{BEFORE}")


def after_role(code):
    """Do something with the new role before it is compared."""
    return (ROLE, f"{ROLE}\n\t{code}")


DEVIOUS = {
    "a local of an inner block": [
        (LMA, "\tbool l = 0;\n\t{ bool l = ____is_efer_lma(regs); }\n\text.efer_lma = l;")],
    "a local of a loop": [
        (LMA, "\tint i, l = 0;\n\tfor (i = 0; i < 1; i++) { int l = ____is_efer_lma(regs); }\n"
              "\text.efer_lma = l;")],
    "an element chosen by an input": [
        NO_BIT, SCRATCH, (LEVEL, "\tvcpu->arch.tmp[0] = 3;\n"
        "\tvcpu->arch.tmp[(vcpu->arch.efer >> 10) & 1 ? 0 : 1] = 4;\n"
        "\tcontext->root_level = vcpu->arch.tmp[0];")],
    "an element of a local": [
        NO_BIT, (LEVEL, "\tu32 a[2] = { 3, 3 };\n\ta[!!(vcpu->arch.efer & EFER_LMA)] = 4;\n"
        "\tcontext->root_level = a[1];")],
    "a pointer chosen by an input": [
        NO_BIT, SCRATCH, (LEVEL, "\tu32 *p = vcpu->arch.efer & EFER_LMA ? &vcpu->arch.tmp[0]"
        " : &vcpu->arch.tmp[1];\n\tvcpu->arch.tmp[0] = 3;\n\t*p = 4;\n"
        "\tcontext->root_level = vcpu->arch.tmp[0];")],
    "a pointer to one of two locals": [
        NO_BIT, (LEVEL, "\tu32 a = 3, b = 3;\n\tu32 *p = vcpu->arch.efer & EFER_LMA ? &a : &b;\n"
        "\t*p = 4;\n\tcontext->root_level = a;")],
    "a pointer used as an array": [
        NO_BIT, (LEVEL, "\tu8 *p = &context->root_level;\n\tcontext->root_level = 4;\n"
        "\tp[0] = role_regs_to_root_level(&regs);")],
    "a computed address": [
        NO_BIT, (LEVEL, "\tcontext->root_level = 4;\n"
        "\t*((u8 *)context + 8) = role_regs_to_root_level(&regs);")],
    "a macro that stores": [
        NO_BIT, ahead("#define SET(c, v) do { (c)->root_level = (v); } while (0)"),
        (LEVEL, "\tcontext->root_level = 4;\n\tSET(context, role_regs_to_root_level(&regs));")],
    "a macro that pastes a member": [
        NO_BIT, ahead("#define SET(c, f, v) do { (c)->f##_level = (v); } while (0)"),
        (LEVEL, "\tcontext->root_level = 4;\n"
                "\tSET(context, root, role_regs_to_root_level(&regs));")],
    "a macro that clears the bit": [
        ahead("#define DROP(r) do { (r).ext.efer_lma = 0; } while (0)"),
        after_role("DROP(new_role);")],
    "a macro that swaps": [
        ahead("#define SWAP(a, b) do { u64 t = (a); (a) = (b); (b) = t; } while (0)"),
        after_role("u64 zero = 0;\n\tSWAP(new_role.as_u64, zero);")],
    "a macro that nobody knows": [after_role("FROB(new_role);")],
    "a function that clears the bit": [
        ahead("static void drop(union kvm_mmu_extended_role *r)\n{\n\tr->efer_lma = 0;\n}"),
        after_role("drop(&new_role.ext);")],
    "a function that nobody knows": [after_role("frob(&new_role);")],
    "a call through a pointer": [
        ahead("static void drop(union kvm_mmu_role *r)\n{\n\tr->ext.efer_lma = 0;\n}"),
        after_role("void (*f)(union kvm_mmu_role *) = drop;\n\tf(&new_role);")],
    "a function that changes an input": [
        ahead("static void settle(struct kvm_vcpu *vcpu)\n{\n"
              "\tvcpu->arch.efer = vcpu->arch.hflags;\n}"),
        (LEVEL, "\tsettle(vcpu);\n\t{\n\t\tstruct kvm_mmu_role_regs again ="
                " vcpu_to_role_regs(vcpu);\n"
                "\t\tcontext->root_level = role_regs_to_root_level(&again);\n\t}")],
    "an object that counts": [
        ahead("static int last;"), (LEVEL, "\tcontext->root_level = last;\n\tlast++;")],
    "an object whose address is taken": [
        ahead("static int last;\nvoid note(struct kvm_vcpu *vcpu)\n{\n\tint *p = &last;\n"
              "\t*p = vcpu->arch.efer;\n}"), (LEVEL, "\tcontext->root_level = last;")],
    "a comment that goes on": [(LMA, f"\t// note \\\n{LMA}")],
    "code that is not compiled": [(LMA, f"#if 0\n{LMA}\n#endif")],
    "a loop of unknown length": [
        after_role("u32 n = vcpu->arch.hflags & 3;\n\twhile (n--) new_role.ext.efer_lma = 0;")],
    "a jump backwards": [
        after_role("int n = 0;\nagain:\n\tnew_role.ext.efer_lma = 0;\n"
                   "\tif (n++ < 1) goto again;")],
    "a memset of a part": [("\text.valid = 1;", "\tmemset(&ext, 0, 1);")],
    "a guard over a part": [
        (COMPARE, "\tif (context->mmu_role.base.word == new_role.base.word)")],
    "a guard over less bits": [
        (COMPARE, "\tif ((u32)context->mmu_role.as_u64 == (u32)new_role.as_u64)")],
    "a guard in a function of words": [
        ahead("static bool same(u64 a, u64 b)\n{\n\treturn (u32)a == (u32)b;\n}"),
        (COMPARE, "\tif (same(context->mmu_role.as_u64, new_role.as_u64))")],
    "a guard in a function of roles": [
        ahead("static bool same(union kvm_mmu_role a, union kvm_mmu_role b)\n{\n"
              "\treturn a.base.word == b.base.word;\n}"),
        (COMPARE, "\tif (same(context->mmu_role, new_role))")],
    "a guard in a function of pointers": [
        ahead("static bool same(union kvm_mmu_role *a, union kvm_mmu_role *b)\n{\n"
              "\treturn a->base.word == b->base.word;\n}"),
        (COMPARE, "\tif (same(&context->mmu_role, &new_role))")],
    "a guard in a macro": [
        ahead("#define same(a, b) ((a).base.word == (b).base.word)"),
        (COMPARE, "\tif (same(context->mmu_role, new_role))")],
    "a guard over a copy": [
        (COMPARE, "\tunion kvm_mmu_role old = context->mmu_role;\n"
                  "\told.ext.efer_lma = new_role.ext.efer_lma;\n"
                  "\tif (old.as_u64 == new_role.as_u64)")],
    "a guard over a narrow copy": [
        (COMPARE, "\tu32 old = context->mmu_role.as_u64;\n\tif (old == (u32)new_role.as_u64)")],
    "a guard through a pointer": [
        (COMPARE, "\tu32 *old = &context->mmu_role.base.word;\n"
                  "\tif (*old == new_role.base.word)")],
    "a guard that memcmp() computes": [
        (COMPARE, "\tif (!memcmp(&context->mmu_role, &new_role, 4))")],
    "a set-up left for another reason": [
        (COMPARE, "\tif (context->direct_map)\n\t\treturn;\n" + COMPARE)],
    "a set-up left for an input": [
        (COMPARE, "\tif (vcpu->arch.hflags)\n\t\treturn;\n" + COMPARE)],
    "an entry left for an input": [
        ("\tinit_kvm_tdp_mmu(vcpu);\n",
         "\tif (vcpu->arch.hflags)\n\t\treturn;\n\tinit_kvm_tdp_mmu(vcpu);\n")],
    "a caller left for an input": [
        ("void kvm_init_mmu(", "static void maybe(struct kvm_vcpu *vcpu)\n{\n"
         "\tif (vcpu->arch.hflags)\n\t\treturn;\n\tinit_kvm_tdp_mmu(vcpu);\n}\n"
         "void kvm_init_mmu("),
        ("void kvm_init_mmu(struct kvm_vcpu *vcpu)\n{\n\tinit_kvm_tdp_mmu(vcpu);",
         "void kvm_init_mmu(struct kvm_vcpu *vcpu)\n{\n\tmaybe(vcpu);")],
    "a constant that is redefined": [
        (LMA, "\text.efer_lma = !!(regs->efer & EFER_LMA);"),
        ("static union kvm_mmu_extended_role kvm_calc",
         "#undef EFER_LMA\n#define EFER_LMA 0\n"
         "static union kvm_mmu_extended_role kvm_calc")],
    "a copy of a part": [
        after_role("union kvm_mmu_role part = {0};\n\tmemcpy(&part, &new_role, 4);\n"
                   "\tnew_role = part;")],
    "a bit-field of unknown width": [
        ("\t\tunsigned int efer_lma:1;", "\t\tunsigned int efer_lma:sizeof(char);")],
    "a guard over a narrow view": [
        (COMPARE, "\tif (*(u32 *)&context->mmu_role == *(u32 *)&new_role)")],
    "a register through a narrow view": [
        (LMA, "\text.efer_lma = !!(*(u8 *)&regs->efer & EFER_LMA);")],
    "a register through a pointer to void": [
        (LMA, "\tvoid *p = (void *)&regs->efer;\n"
              "\text.efer_lma = !!(*(u8 *)p & EFER_LMA);")],
    "a truncated assignment": [
        (LMA, f"{LMA}\n\tu8 n;\n\tif ((n = 256) == 0) ext.word = 0;")],
    "a bit-field that is promoted": [
        (LMA, f"{LMA}\n\tstruct {{ u32 n:3; }} s = {{ 7 }};\n"
              "\tif (s.n - 8 < 0) ext.word = 0;")],
    "a choice that is promoted": [
        (LMA, f"{LMA}\n\tif ((1 ? -1 : 0u) > 0) ext.word = 0;")],
    "an unknown function that is given role and registers": [
        (ROLE, ROLE.replace("kvm_calc_tdp_mmu_root_page_role", "odd")),
        ahead("static union kvm_mmu_role odd(struct kvm_vcpu *vcpu, struct kvm_mmu_role_regs *r)\n"
              "{\n\tint n = 0;\nagain:\n\tif (n++ < 2) goto again;\n"
              "\treturn kvm_calc_tdp_mmu_root_page_role(vcpu, r);\n}")],
    "an unknown function that is given a part": [after_role("frob(&new_role.ext.word);")],
    "an unknown function whose value is used": [
        (LEVEL, f"{LEVEL}\n\tint r = frob(context);")],
    "elements of an array of unknown content": [
        (LMA, "\tu8 t[2] = { 0, 1 };\n\tt[____is_cr4_la57(regs)] = ____is_efer_lma(regs);\n"
              "\text.efer_lma = t[0];")],
    "one of two functions": [
        ahead("static void set(struct kvm_mmu *m, int l)\n{\n\tm->root_level = l;\n}\n"
              "static void add(struct kvm_mmu *m, int l)\n{\n\tm->root_level += l;\n}"),
        (LEVEL, "\tvoid (*f)(struct kvm_mmu *, int) = vcpu->arch.hflags ? set : add;\n"
                "\tf(context, role_regs_to_root_level(&regs));")],
    "a guard in a loop": [
        (COMPARE, "\twhile (context->mmu_role.base.word == new_role.base.word)")],
}  # fmt: skip


@pytest.mark.parametrize("edits", DEVIOUS.values(), ids=DEVIOUS)
def test_devious_code_is_never_clean(edits):
    """However a bit is lost on the way, the verdict is gap or unknown."""
    files = fixture("guard-swapped-fixed")
    texts = {path: files[path].decode() for path in (MMU, HOST)}
    for old, new in edits:
        (path,) = [path for path, text in texts.items() if old in text]
        texts[path] = texts[path].replace(old, new, 1)
    assert verdict({**files, **{p: t.encode() for p, t in texts.items()}}) not in CLEAN


# -- chance ----------------------------------------------------------------------------------

BASE = {name: fixture(name) for name in ("guard-swapped-fixed", "guard-shared-fixed")}
FILES = [(name, path) for name, files in BASE.items() for path in files if path.endswith(".c")]
FILES += [(name, HOST) for name in BASE]
QUICK = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def anywhere(draw, data):
    """Draw a position of a file."""
    return draw(st.integers(0, len(data)))


@QUICK
@given(st.sampled_from(FILES), st.data(), st.binary(min_size=1, max_size=12))
def test_random_bytes(target, data, junk):
    """Bytes written over any file crash nothing and take no longer."""
    name, path = target
    whole = BASE[name][path]
    at = anywhere(data.draw, whole)
    verdict({**BASE[name], path: whole[:at] + junk + whole[at + len(junk) :]})


@QUICK
@given(st.sampled_from(FILES), st.data())
def test_truncated_files(target, data):
    """A file that ends anywhere crashes nothing, and is not clean where functions are gone."""
    name, path = target
    whole = BASE[name][path]
    at = anywhere(data.draw, whole)
    found = verdict({**BASE[name], path: whole[:at]})
    last = max((end for _, end, _ in scan(path, whole).spans), default=0)
    if path == MMU and at < last:
        assert found not in CLEAN


@QUICK
@given(
    st.sampled_from(FILES),
    st.data(),
    st.sampled_from([b"{", b"}", b"(", b")", b'"', b"/*", b"\0", b"#if", b"\\", b"'", b"#else"]),
)
def test_unbalanced_marks(target, data, mark):
    """A brace, a quote or a comment too many crashes nothing, at the start of any line."""
    name, path = target
    lines = BASE[name][path].splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    lines.insert(at, mark + b"\n")
    verdict({**BASE[name], path: b"".join(lines)})


@QUICK
@given(st.sampled_from(FILES), st.data())
def test_lost_lines(target, data):
    """A line that is lost crashes nothing."""
    name, path = target
    lines = BASE[name][path].splitlines(keepends=True)
    del lines[data.draw(st.integers(0, len(lines) - 1))]
    verdict({**BASE[name], path: b"".join(lines)})


@QUICK
@given(st.sampled_from(sorted(BASE)), st.binary(max_size=200))
def test_files_of_anything(name, junk):
    """A file of random bytes in place of the initialisers is never clean."""
    assert verdict({**BASE[name], MMU: junk}) not in CLEAN
    assert verdict({**BASE[name], HOST: junk}) not in CLEAN


SECOND = b"""
#define ROLE(c, member) ((c)->member)
void kvm_init_second(struct kvm_vcpu *vcpu)
{
	struct kvm_mmu *context = &vcpu->arch.root_mmu;
	struct kvm_mmu_role_regs regs = vcpu_to_role_regs(vcpu);
	union kvm_mmu_role role = {0};

	if (role.as_u64 == context->mmu_role.as_u64)
		return;
	%s;
	context->root_level = role_regs_to_root_level(&regs);
}
"""


@pytest.mark.parametrize(
    "store",
    [
        b"context->mmu_role.as_u64 = role.as_u64",
        b"context->\\\nmmu_role.as_u64 = role.as_u64",
        b"ROLE(context, mmu_role).as_u64 = role.as_u64",
        b"ROLE(context, mmu_role) = role",
        b"(context->mmu_role) = role",
        b"*(u64 *)&context->mmu_role = role.as_u64",
        b"memcpy(&(context->mmu_role), &role, sizeof(role))",
        b"__builtin_memcpy(&context->mmu_role, &role, sizeof(role))",
        b"smp_store_release(&context->mmu_role.as_u64, role.as_u64)",
        b"swap(context->mmu_role, role)",
        b"other_role(context, mmu_role)->as_u64 = role.as_u64",
        b"WRITE_ONCE(context->mmu_role.as_u64, role.as_u64)",
    ],
)
def test_a_second_set_up_is_never_passed_over(store):
    """However a role is stored, the function that does is found."""
    files = fixture("guard-goto-fixed")
    assert verdict({**files, MMU: files[MMU] + SECOND % store}) not in CLEAN


@pytest.mark.parametrize(
    "call",
    [
        b"kvm_init_mmu(vcpu);",
        b"(kvm_init_mmu)(vcpu);",
        b"MAYBE kvm_init_mmu(vcpu);",
        b"if_nested(vcpu) kvm_init_mmu(vcpu);",
        b"if_nested(vcpu)\n\t\tkvm_init_mmu(vcpu), other(vcpu);",
        b"if_nested(vcpu, 1) kvm_init_mmu(vcpu);",
        b"\n#define SET_UP() kvm_init_mmu(vcpu)\n\tSET_UP();",
    ],
)
def test_callers(call):
    """A call is one behind a macro as well, where it looks like a declaration."""
    caller = b"void caller(struct kvm_vcpu *vcpu)\n{\n\t%s\n}\n" % call
    files = fixture("guard-goto-fixed")
    index = Index(Files({**files, MMU: files[MMU] + caller}), KVM)
    assert [one.name for one in callers(index, "kvm_init_mmu")] == ["caller"]


@pytest.mark.parametrize(
    "deep",
    [
        b"int x = " + b"(" * 5_000 + b"1" + b")" * 5_000 + b";",
        b"void f(void) " + b"{" * 5_000 + b"}" * 5_000,
        b"#if A\n" * 5_000 + b"#endif\n" * 5_000,
        b"/*" * 50_000,
        b'"' * 50_001,
        b"char c = '\"'; /* " + b"word " * 200,
        b"int it's " + b"word " * 200,
        b"#define a a\n" * 5_000,
        b"int y = " + b"1 + " * 20_000 + b"1;",
        b"\0" * 200_000,
        b"\\\n" * 50_000,
    ],
    ids=[
        "parentheses",
        "braces",
        "options",
        "comments",
        "quotes",
        "quote",
        "apostrophe",
        "macros",
        "sum",
        "NUL",
        "lines",
    ],
)
def test_depth_and_length(deep):
    """Text that is very deep or very long in front of the file takes no longer than others."""
    files = fixture("guard-swapped-fixed")
    verdict({**files, MMU: deep + b"\n" + files[MMU]})


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 3_000 + "1" + ")" * 3_000,
        "!" * 3_001 + "1",
        " + ".join(["1"] * 3_000),
        " ? 1 : ".join(["regs->efer"] * 1_000) + " ? 1 : 0",
        " ^ ".join(["regs->efer"] * 400),
        " * ".join(["regs->efer"] * 12),
        " + ".join(f"(regs->efer << {i})" for i in range(40)),
    ],
    ids=["parentheses", "nots", "sum", "conditional", "xor", "product", "adders"],
)
def test_deep_expressions(expression):
    """An expression on the path that is very deep is decided or given up in time."""
    files = fixture("guard-swapped-fixed")
    data = files[MMU].decode().replace(LMA, f"\text.efer_lma = {expression};")
    assert verdict({**files, MMU: data.encode()}) != "not-guarded"


def test_every_context_is_accounted_for():
    """Where the entry of one context is renamed, its verdict is not that of the others."""
    files = fixture("role-regs-fixed")
    before = verdicts(check(files))
    assert len({entry for entry, *_ in before}) == 5
    data = files[MMU].replace(b"void kvm_init_shadow_npt_mmu(", b"void other(", 1)
    assert verdict({**files, MMU: data}) not in CLEAN


def test_calls_that_double():
    """A call that stands for 2**30 calls is given up in time, and is never clean for that."""
    files = fixture("guard-swapped-fixed")
    twice = b"static void twice_%d(struct kvm_mmu *c) { %s }\n"
    bodies = [b"c->root_level += 0;", *(b"twice_%d(c); " % n * 2 for n in range(30))]
    helpers = b"".join(twice % (number, body) for number, body in enumerate(bodies))
    entry, store = b"static void init_kvm_tdp_mmu(", b"\tcontext->shadow_root_level ="
    data = (
        files[MMU].replace(entry, helpers + entry).replace(store, b"\ttwice_30(context);\n" + store)
    )
    with effort(MOST):
        report = check({**files, MMU: data})
    assert report.verdict == "unknown"
    assert [one.reason for one in report.unknowns] == [
        "kvm_init_mmu() calls too much to be followed to its end"
    ]


def test_ways_that_are_many(monkeypatch):
    """Of more ways to a guard than can be followed, the rest is left open, and costs little."""
    monkeypatch.setattr(entries, "MAX_WORK", 2_000)

    def ways(count):
        body = "void way_{0}(struct kvm_vcpu *vcpu)\n{{\n\tinit_kvm_tdp_mmu(vcpu);\n}}\n"
        files = fixture("guard-swapped-fixed")
        text = "".join(map(body.format, range(count))).encode()
        return {**files, MMU: files[MMU] + text}

    report = check(ways(8))
    told = [one.reason for one in report.unknowns]
    assert report.verdict == "unknown" and "way_7() is one way of more than can be followed" in told
    assert "way_0() is one way of more than can be followed" not in told
    assert growth(check, ways(10), ways(40)) < 3


def test_what_was_given_up_is_not_tried_again(monkeypatch):
    """A field that only a run tells makes the others be run again, but none that had no end."""
    files = fixture("guard-swapped-fixed")
    twice = "static void twice_%d(struct kvm_mmu *c) { %s }\n"
    bodies = ["c->root_level += 0;", *(f"twice_{n}(c); " * 2 for n in range(30))]
    text = "".join(twice % (number, body) for number, body in enumerate(bodies))
    text += "void endless(struct kvm_vcpu *vcpu)\n{\n\ttwice_30(vcpu->arch.mmu);\n"
    text += "\tinit_kvm_tdp_mmu(vcpu);\n}\n"
    callback = "static void cb(struct kvm_vcpu *vcpu, struct kvm_mmu *c)\n{\n\tc->nx = 1;\n}\n"
    callback += "static void (*const cbs[])(struct kvm_vcpu *, struct kvm_mmu *) = { cb };\n"
    entry, store = "static void init_kvm_tdp_mmu(", "\tcontext->shadow_root_level ="
    data = files[MMU].decode().replace(entry, callback + entry, 1)
    data = data.replace(store, f"\tcbs[0](vcpu, context);\n{store}")
    names = []
    run = lower.Lowering.run

    def named(self, entry, *others, **more):
        names.append(entry.name)
        return run(self, entry, *others, **more)

    monkeypatch.setattr(lower.Lowering, "run", named)
    header = files[HOST].replace(b"struct kvm_mmu {", b"struct kvm_mmu {\n\tu8 nx;", 1)
    header = header.replace(b"root_mmu;", b"root_mmu;\n\tstruct kvm_mmu *mmu;")
    check({**files, MMU: (data + text).encode(), HOST: header}, ("all",))
    assert names.count("endless") == 1 and names.count("kvm_init_mmu") == 2


HEADER, FAR = "arch/x86/kvm/mmu.h", "arch/x86/kvm/far.c"
STORES = {
    "by name": ("", "m->root_level = level;"),
    "by a macro": ("#define SET(m, l) ((m)->root_level = (l))", "SET(m, level);"),
    "by a macro of a macro": (
        "#define PUT(m, l) ((m)->root_level = (l))\n#define SET(m, l) PUT(m, l)", "SET(m, level);"),
    "by a macro given the member": ("#define SET(m, f, l) ((m)->f = (l))",
                                    "SET(m, root_level, level);"),
    "by a macro that pastes": ("#define SET(m, f, l) ((m)->f##_level = (l))",
                               "SET(m, root, level);"),
    "by another name": ("#define the_level root_level", "m->the_level = level;"),
    "by a macro that is the member": ("#define LEVEL(m) ((m)->root_level)", "LEVEL(m) = level;"),
    "by its offset": ("", "*(u8 *)((char *)m + offsetof(struct kvm_mmu, root_level)) = level;"),
}  # fmt: skip


@pytest.mark.parametrize(("macro", "store"), STORES.values(), ids=STORES)
def test_a_far_store_is_not_overlooked(macro, store):
    """A function of another file that stores to a field is followed, however it does so."""
    files = fixture("guard-swapped-fixed")
    head = "void far(struct kvm_mmu *m, u8 level)"
    data = files[MMU].decode().replace(LEVEL, f"{LEVEL}\n\tfar(context, vcpu->arch.hflags);")
    header = files[HEADER].decode().replace("#endif", f"{macro}\n{head};\n#endif", 1)
    far = f'#include "mmu.h"\n\n{head}\n{{\n\t{store}\n}}\n'
    new = {MMU: data, HEADER: header, FAR: far}
    assert verdict({**files, **{path: text.encode() for path, text in new.items()}}) not in CLEAN


@pytest.mark.parametrize(
    "store",
    ["far(&context->root_level, level);", "far((u8 *)&context->root_level, level);"],
    ids=["address", "cast"],
)
def test_an_address_of_a_field_is_followed(store):
    """A function that is given the address of a field may store to it."""
    files = fixture("guard-swapped-fixed")
    head = "void far(u8 *at, u8 level)"
    call = store.replace("level)", "vcpu->arch.hflags)")
    data = files[MMU].decode().replace(LEVEL, f"{LEVEL}\n\t{call}")
    header = files[HEADER].decode().replace("#endif", f"{head};\n#endif", 1)
    new = {MMU: data, HEADER: header, FAR: f'#include "mmu.h"\n\n{head}\n{{\n\t*at = level;\n}}\n'}
    assert verdict({**files, **{path: text.encode() for path, text in new.items()}}) not in CLEAN


@pytest.mark.parametrize(
    "store",
    [
        "vcpu->arch.mmu->root_level = vcpu->arch.hflags;",
        "struct kvm_mmu *m = vcpu->arch.mmu;\n\tm->root_level = vcpu->arch.hflags;",
    ],
    ids=["pointer", "local"],
)
def test_another_pointer_may_be_the_same_context(store):
    """What is stored through a pointer that may point to the context is not left aside."""
    files = fixture("guard-swapped-fixed")
    host = (
        files[HOST]
        .decode()
        .replace("\tstruct kvm_mmu root_mmu;", "\tstruct kvm_mmu root_mmu;\n\tstruct kvm_mmu *mmu;")
    )
    data = files[MMU].decode().replace(LEVEL, f"{LEVEL}\n\t{store}")
    new = {MMU: data, HOST: host}
    assert verdict({**files, **{path: text.encode() for path, text in new.items()}}) not in CLEAN


@pytest.mark.parametrize(
    "store",
    [
        "vcpu->arch.root_mmu.root_level = level;",
        "struct walk *w = 0;\n\tw->root_level = 1;\n\tvcpu->arch.root_mmu.root_level = level;",
    ],
    ids=["alone", "beside another"],
)
def test_a_store_that_is_files_away_is_followed(store):
    """A call leads through as many files as it likes to the function that stores."""
    files = fixture("guard-swapped-fixed")
    heads = [f"void far{n}(struct kvm_vcpu *vcpu, u8 level)" for n in range(4)]
    bodies = [f"far{n + 1}(vcpu, level);" for n in range(3)] + [store]
    header = files[HEADER].decode().replace("#endif", ";\n".join(heads) + ";\n#endif", 1)
    new = {MMU: files[MMU].decode().replace(LEVEL, f"{LEVEL}\n\tfar0(vcpu, vcpu->arch.hflags);")}
    for number, (head, body) in enumerate(zip(heads, bodies, strict=True)):
        far = f"arch/x86/kvm/far{number}.c"
        new[far] = f'#include "mmu.h"\n\n{head}\n{{\n\t{body}\n}}\n'
    new[HEADER] = header
    assert verdict({**files, **{path: text.encode() for path, text in new.items()}}) not in CLEAN


RIVAL = """static void init_rival(struct kvm_vcpu *vcpu)
{
	struct kvm_mmu *context = &vcpu->arch.root_mmu;
	struct kvm_mmu_role_regs regs = vcpu_to_role_regs(vcpu);
	union kvm_mmu_role new_role = kvm_calc_tdp_mmu_root_page_role(vcpu, &regs);

%s	context->mmu_role.as_u64 = new_role.as_u64;
	context->root_level = 2;
}

"""
GUARD = "\tif (new_role.as_u64 == context->mmu_role.as_u64)\n\t\treturn;\n\n"


@pytest.mark.parametrize("guard", [GUARD, ""], ids=["guarded", "unguarded"])
def test_two_set_ups_of_one_context(guard):
    """What one set-up leaves another one may skip by, where the vCPU chooses between them."""
    files = fixture("guard-swapped-fixed")
    entry, call = "void kvm_init_mmu(", "\tinit_kvm_tdp_mmu(vcpu);\n"
    choice = f"\tif (vcpu->arch.hflags)\n\t\tinit_rival(vcpu);\n\telse\n\t{call}"
    data = files[MMU].decode().replace(call, choice).replace(entry, RIVAL % guard + entry)
    assert verdict({**files, MMU: data.encode()}) not in CLEAN


@pytest.mark.parametrize("other", ["vcpu->arch.guest_mmu", "vcpu->arch.nested_mmu"])
def test_the_role_of_another_context(other):
    """A set-up that compares with the role of another context is no set-up without a gap."""
    files = fixture("role-regs-fixed")
    data = files[MMU].decode()
    entry = data.index("static void init_kvm_tdp_mmu(")
    own = "context->mmu_role.as_u64"
    at = data.index(own, data.index("if (", entry))
    data = data[:at] + f"{other}.mmu_role.as_u64" + data[at + len(own) :]
    assert verdict({**files, MMU: data.encode()}) not in CLEAN


@pytest.mark.parametrize(
    "compared",
    ["base.level == 5", "as_u64 == 0", "base.direct == 1", "base.level == new_role.base.level"],
)
@pytest.mark.parametrize("where", ["in front", "behind", "a value"])
def test_a_skip_by_the_role_of_another_context(compared, where):
    """It is decided by what the other one is for, and no verdict is about it."""
    files = fixture("role-regs-fixed")
    data = files[MMU].decode()
    entry = data.index("static void init_kvm_tdp_mmu(")
    condition = f"\tif (vcpu->arch.mmu->mmu_role.{compared})\n"
    if where == "a value":
        at = data.index("\n}\n", entry) + 1
        more = f"{condition}\t\tcontext->root_level = 2;\n"
    else:
        at = data.index("\tif (", entry)
        at = at if where == "in front" else data.index("\tcontext->shadow_root_level", at)
        more = f"{condition}\t\treturn;\n\n"
    data = data[:at] + more + data[at:]
    host = files[HOST].decode()
    member = "\tstruct kvm_mmu root_mmu;\n"
    assert member in host
    host = host.replace(member, f"{member}\tstruct kvm_mmu *mmu;\n", 1)
    report = check({**files, MMU: data.encode(), HOST: host.encode()})
    (found,) = [one for one in report.contexts if one.initialiser == "init_kvm_tdp_mmu"]
    told = {one.name: one.verdict for one in found.fields}
    assert told["root_level"] not in CLEAN
