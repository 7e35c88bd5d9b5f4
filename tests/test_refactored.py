# SPDX-License-Identifier: GPL-2.0-only
"""What a maintainer rewrites stays decided; what looks like it and is not, is not clean."""

import re

import pytest
from edited import check, fixture, verdicts

from patchtool.c.index import split_arguments
from patchtool.rules.question import MAX_MET, Terms

MAIN, HOST = "arch/x86/kvm/mmu/mmu.c", "arch/x86/include/asm/kvm_host.h"
BASE, INVALIDATED = "role-regs-fixed", "cpuid-invalidated-fixed"
SETUP = "static void init_kvm_tdp_mmu("
GUARD = "\tif (new_role.as_u64 == context->mmu_role.as_u64)\n\t\treturn;\n"
CONTEXT = "\tstruct kvm_mmu *context = &vcpu->arch.root_mmu;\n"
ENTRY = "void kvm_init_mmu(struct kvm_vcpu *vcpu)\n{\n"
WAYS = "\telse if (tdp_enabled)\n\t\tinit_kvm_tdp_mmu(vcpu);\n\telse\n\t\tinit_kvm_softmmu(vcpu);\n"
QUICK = (
    "static void quick(struct kvm_vcpu *vcpu)\n{\n\tvcpu->arch.root_mmu.root_level = "
    "vcpu->arch.hflags & 7;\n}\n\n"
)


def edited(edits, name=BASE):
    """Return the verdict on a fixture with texts replaced, and whether it is as before."""
    tree = fixture(name)
    before = verdicts(check(tree))
    for path, old, new in edits:
        text = tree[path].decode()
        assert old in text, old
        tree[path] = text.replace(old, new, 1).encode()
    report = check(tree)
    return report.verdict, verdicts(report).items() == before.items() and not report.unknowns


def ahead(code):
    """Put statements in front of the guard."""
    return [(MAIN, GUARD, code + GUARD)]


def called(callee, above=""):
    """Let the entry choose which set-up it calls, behind some definitions."""
    return [(MAIN, WAYS, f"\telse\n\t\t{callee}(vcpu);\n"), (MAIN, ENTRY, above + ENTRY)]


POINTER = "\tvoid (*setup)(struct kvm_vcpu *vcpu)"


def chosen(code, above=""):
    """Let a helper choose by a variable which set-up it calls, behind some definitions."""
    helper = "static void init_kvm_root_mmu(struct kvm_vcpu *vcpu)\n{\n%s\tsetup(vcpu);\n}\n\n"
    return called("init_kvm_root_mmu", above + helper % code)


TABLE = "static void (*const setups[])(struct kvm_vcpu *vcpu) = {\n\t%s\n};\n\n"
WALKER = (
    "static void init_walker(struct kvm_mmu *mmu)\n{\n"
    "\tstruct kvm_vcpu *vcpu = container_of(mmu, struct kvm_vcpu, arch.%s);\n\n%s}\n\n"
)


def walker(member, body):
    """Let a helper of the set-up come back from the context to what holds it."""
    return [
        (MAIN, SETUP, WALKER % (member, body) + SETUP),
        (MAIN, "\tif (!is_cr0_pg(context))", "\tinit_walker(context);\n\tif (!is_cr0_pg(context))"),
    ]


SAME = {
    "no vCPU at all": ahead("\tif (WARN_ON_ONCE(!vcpu))\n\t\treturn;\n"),
    "no vCPU, by equality": ahead("\tif (vcpu == NULL)\n\t\treturn;\n"),
    "no vCPU, at the entry": [(MAIN, ENTRY, f"{ENTRY}\tif (WARN_ON(!vcpu))\n\t\treturn;\n")],
    "no context": ahead("\tif (WARN_ON_ONCE(!context))\n\t\treturn;\n"),
    "one of two set-ups": called("(tdp_enabled ? init_kvm_tdp_mmu : init_kvm_softmmu)"),
    "one of two set-ups, turned round": called(
        "(!tdp_enabled ? (init_kvm_softmmu) : init_kvm_tdp_mmu)"),
    "one of a table": called(
        "setups[tdp_enabled]", TABLE % "init_kvm_softmmu,\n\tinit_kvm_tdp_mmu,"),
    "a host constant that is asserted": ahead("\tlockdep_assert_once(tdp_enabled);\n"),
    "memory that is freed": [
        (MAIN, CONTEXT, f"{CONTEXT}\tchar *name __free(kfree) = NULL;\n")],
    "memory that is freed, of a type": [
        (MAIN, CONTEXT, f"{CONTEXT}\tu64 *some __free(kvfree) = kvmalloc(8, GFP_KERNEL);\n")],
    "back to the vCPU": walker("root_mmu", "\tmmu->gva_to_gpa = vcpu ? NULL : NULL;\n"),
    "back to the vCPU, for a field": walker(
        "root_mmu", "\tmmu->shadow_root_level = kvm_mmu_get_tdp_level(vcpu);\n"),
    "context by a macro": [
        (MAIN, CONTEXT, "\tstruct kvm_mmu *context = root_of(vcpu);\n"),
        (MAIN, SETUP, f"#define root_of(vcpu)\t(&(vcpu)->arch.root_mmu)\n\n{SETUP}")],
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_decided_as_before(name):
    """All verdicts are what they were, and nothing is unknown."""
    assert edited(SAME[name]) == ("covered", True)


OTHERS = {
    "a vCPU in some state": ahead("\tif (WARN_ON_ONCE(vcpu->arch.hflags & 1))\n\t\treturn;\n"),
    "a register": ahead("\tif (WARN_ON_ONCE(vcpu->arch.efer & EFER_NX))\n\t\treturn;\n"),
    "no vCPU, or some state": ahead(
        "\tif (WARN_ON_ONCE(!vcpu || vcpu->arch.hflags & 1))\n\t\treturn;\n"),
    "no selected context": ahead("\tif (WARN_ON_ONCE(!vcpu->arch.mmu))\n\t\treturn;\n"),
    "one of two that does nothing": called(
        "(vcpu->arch.hflags & 8 ? quick : tdp_enabled ? init_kvm_tdp_mmu : init_kvm_softmmu)",
        "static void quick(struct kvm_vcpu *vcpu)\n{\n}\n\n"),
    "one of two that stores": called(
        "(vcpu->arch.hflags & 8 ? quick : tdp_enabled ? init_kvm_tdp_mmu : init_kvm_softmmu)",
        QUICK),
    "one of a table, by what a vCPU holds": called(
        "setups[vcpu->arch.hflags & 1]", TABLE % "init_kvm_softmmu,\n\tinit_kvm_tdp_mmu,"),
    "one of a table that stores": called(
        "setups[vcpu->arch.hflags & 1 ? 2 : tdp_enabled]",
        QUICK + TABLE % "init_kvm_softmmu,\n\tinit_kvm_tdp_mmu,\n\tquick,"),
    "one of a table that is set": called(
        "setups[tdp_enabled]", (TABLE % "init_kvm_softmmu,\n\tinit_kvm_tdp_mmu,").replace(
            "const ", "") + QUICK + "void renew(int n)\n{\n\tsetups[n] = quick;\n}\n\n"),
    "one of a table that is called elsewhere": [
        *called("setups[tdp_enabled]", TABLE % "init_kvm_softmmu,\n\tinit_kvm_tdp_mmu,"),
        (MAIN, "void __init kvm_configure_mmu(", "void again(struct kvm_vcpu *vcpu)\n{\n"
         "\tif (vcpu->arch.hflags & 1)\n\t\tsetups[1](vcpu);\n}\n\n"
         "void __init kvm_configure_mmu(")],
    "a variable that is perhaps another": chosen(
        f"{POINTER} = tdp_enabled ? init_kvm_tdp_mmu : init_kvm_softmmu;\n\n"
        "\tif (vcpu->arch.hflags & 8)\n\t\tsetup = quick;\n\t", QUICK),
    "a variable that is perhaps nothing": chosen(
        f"{POINTER} = nothing;\n\n\tif (!(vcpu->arch.hflags & 8))\n"
        "\t\tsetup = tdp_enabled ? init_kvm_tdp_mmu : init_kvm_softmmu;\n\t",
        "static void nothing(struct kvm_vcpu *vcpu)\n{\n}\n\n"),
    "a variable that is given away": chosen(
        f"{POINTER} = tdp_enabled ? init_kvm_tdp_mmu : init_kvm_softmmu;\n\n"
        "\trenew(&setup);\n\t", "void renew(void *setup);\n\n"),
    "a variable that is kept": chosen(
        f"{POINTER} = tdp_enabled ? init_kvm_tdp_mmu : init_kvm_softmmu;\n\n"
        "\tagain = setup;\n\t", "void (*again)(struct kvm_vcpu *vcpu);\n\n"),
    "a variable, by what a vCPU holds": chosen(
        f"{POINTER} = vcpu->arch.hflags & 8 ? init_kvm_tdp_mmu : init_kvm_softmmu;\n\n"),
    "one that is not known": called("(tdp_enabled ? init_kvm_tdp_mmu : vcpu->arch.init)"),
    "one that is perhaps none": called(
        "(vcpu->arch.hflags & 8 ? NULL : tdp_enabled ? init_kvm_tdp_mmu : init_kvm_softmmu)"),
    "one that is kept as well": called(
        "(tdp_enabled ? init_kvm_tdp_mmu : init_kvm_softmmu)",
        "void (*again)(struct kvm_vcpu *vcpu) = init_kvm_tdp_mmu;\n\n"),
    "a callback that stores": [
        (MAIN, CONTEXT, CONTEXT.replace("*context", "*context __free(mmu)")),
        (MAIN, SETUP, "DEFINE_FREE(mmu, struct kvm_mmu *, _T->root_level = 3)\n\n" + SETUP)],
    "a role that is cleared at the end": ahead(
        "\t{\n\t\tunion kvm_mmu_role *p __free(role) = &new_role;\n\n\t\tp->ext.efer_lma = 1;\n"
        "\t}\n"),
    "back to the vCPU, from another context": walker(
        "nested_mmu", "\tvcpu->arch.root_mmu.root_level = 3;\n"),
    "back to the vCPU, for another context": walker(
        "root_mmu", "\tvcpu->arch.nested_mmu.root_level = 3;\n"),
    "another context by a macro": [
        (MAIN, CONTEXT, "\tstruct kvm_mmu *context = root_of(vcpu);\n"),
        (MAIN, SETUP, "#define root_of(vcpu)\t((vcpu)->arch.hflags & 1 ? &(vcpu)->arch.root_mmu"
                      f" : &(vcpu)->arch.nested_mmu)\n\n{SETUP}")],
}  # fmt: skip


COUNTED = (HOST, "\tu32 hflags;", "\tu32 hflags;\n\tu64 changes;")
READS_CHANGES = "u64 f(struct kvm_vcpu *vcpu)\n{\n\treturn vcpu->arch.changes;\n}\n\n"
OLD = "\tunion kvm_mmu_role old = vcpu->arch.root_mmu.mmu_role;\n"


def behind(code, *edits):
    """Compare the role with what it was, behind all set-ups of an entry."""
    asked = "\n\tif (old.as_u64 != vcpu->arch.root_mmu.mmu_role.as_u64)\n\t\t"
    return [(MAIN, WAYS, WAYS + asked + code + "\n"), (MAIN, ENTRY, ENTRY + OLD), *edits]


@pytest.mark.parametrize(
    "edits", [behind('pr_debug("new\\n");'), behind("++vcpu->arch.changes;", COUNTED)],
    ids=["printed", "counted"],
)  # fmt: skip
def test_a_change_of_the_role_that_is_told(edits):
    """A branch on a role by which nothing is decided is no guard."""
    assert edited(edits) == ("covered", True)


@pytest.mark.parametrize(
    "edits",
    [
        behind("vcpu->arch.root_mmu.root_level = 3;"),
        behind("vcpu->arch.root_mmu.mmu_role.base.level = 3;"),
        behind("vcpu->arch.changes = vcpu->arch.efer;", COUNTED),
        behind("++vcpu->arch.changes;", COUNTED, (MAIN, ENTRY, READS_CHANGES + ENTRY)),
        behind("init_kvm_softmmu(vcpu);"),
        behind("unknown_to_all(&vcpu->arch.root_mmu);"),
    ],
    ids=["a field", "a role", "a member", "a count that is read", "a set-up", "anything"],
)  # fmt: skip
def test_a_change_of_the_role_that_decides(edits):
    """What is done behind such a branch is left out where the role is the same."""
    assert edited(edits)[0] in ("gap", "unknown")


CHOSEN = {
    "a variable": chosen(f"{POINTER} = tdp_enabled ? init_kvm_tdp_mmu : init_kvm_softmmu;\n\n"),
    "a variable, later": chosen(
        f"{POINTER};\n\n\tif (tdp_enabled)\n\t\tsetup = init_kvm_tdp_mmu;\n"
        "\telse\n\t\tsetup = init_kvm_softmmu;\n\t"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOSEN)
def test_chosen_in_a_helper(name):
    """A variable that is called is as good as what it holds."""
    tree = fixture(BASE)
    for path, old, new in CHOSEN[name]:
        tree[path] = tree[path].decode().replace(old, new, 1).encode()
    report = check(tree)
    assert report.verdict == "covered" and not report.unknowns


@pytest.mark.parametrize("name", OTHERS)
def test_not_clean(name):
    """A gap, or unknown."""
    assert edited(OTHERS[name])[0] in ("gap", "unknown")


def test_two_vcpus():
    """That one vCPU is there says nothing about the set-up of another one."""
    both = (
        "void kvm_init_both(struct kvm_vcpu *vcpu, struct kvm_vcpu *old)\n{\n"
        "\tif (!old)\n\t\treturn;\n\tinit_kvm_nested_mmu(vcpu);\n}\n\n"
    )
    assert edited([(MAIN, ENTRY, both + ENTRY)])[0] == "unknown"


MARK = "\tvcpu->arch.root_mmu.mmu_role.ext.valid = 0;\n"
LIST = (
    "\tstruct kvm_mmu *mmus[] = {\n\t\t&vcpu->arch.root_mmu,\n\t\t&vcpu->arch.nested_mmu,\n\t};\n"
)
TURNED = LIST.replace("root", "x").replace("nested", "root").replace("x_", "nested_")
ALL = "\tfor (%s; %s; %s) {\n\t\t%s\n\t}\n"
TURNS = ("i = 0", "i < ARRAY_SIZE(mmus)", "i++")
STORE = "mmus[i]->mmu_role.ext.valid = 0;"
HELPER = "void kvm_mmu_after_set_cpuid("


def loop(turns=TURNS, body=STORE, listed=LIST, above="", between=""):
    """Let the role be invalidated in a loop over pointers to contexts."""
    code = f"{listed}\tint i;\n\n{between}{ALL % (*turns, body)}"
    return edited([(MAIN, MARK, code), (MAIN, HELPER, above + HELPER)], INVALIDATED)[0]


def forget(body):
    """Return a helper that is given a context."""
    return f"static void forget(struct kvm_mmu *mmu)\n{{\n\t{body}\n}}\n\n"


LOCAL = "struct kvm_mmu *mmu = mmus[i];\n\n\t\tmmu->mmu_role.ext.valid = 0;"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"turns": ("int j = 0", "j < ARRAY_SIZE(mmus)", "++j"),
         "body": STORE.replace("[i]", "[j]")},
        {"turns": ("i = 0", "i < 2", "i += 1")},
        {"body": LOCAL},
        {"body": "forget(mmus[i]);", "above": forget("mmu->mmu_role.ext.valid = 0;")},
        {"listed": LIST.replace("*mmus", "* const mmus")},
        {"body": f"if (i)\n\t\t\tvcpu->arch.hflags++;\n\t\t{STORE}"},
    ],
    ids=["array", "counter of its own", "number", "local", "helper", "constant", "beside"],
)  # fmt: skip
def test_invalidated_in_a_loop(given):
    """A loop over all pointers of an array comes by each context."""
    assert loop(**given) == "covered"


@pytest.mark.parametrize(
    "given",
    [
        {"listed": LIST.replace("\t\t&vcpu->arch.root_mmu,\n", "")},
        {"turns": ("i = 1", *TURNS[1:])},
        {"turns": ("i = 0", "i < ARRAY_SIZE(mmus) - 1", "i++")},
        {"turns": ("i = 0", "i < 1", "i++"), "listed": TURNED},
        {"turns": ("i = 0", TURNS[1], "i += 2")},
        {"turns": ("i = vcpu->arch.hflags", *TURNS[1:])},
        {"body": f"if (mmus[i] == vcpu->arch.mmu)\n\t\t\tbreak;\n\t\t{STORE}"},
        {"body": f"{STORE}\n\t\tif (i == 0)\n\t\t\tbreak;", "listed": TURNED},
        {"body": f"if (mmus[i] == vcpu->arch.mmu)\n\t\t\t{STORE}"},
        {"body": f"if (vcpu->arch.hflags)\n\t\t\ti++;\n\t\t{STORE}"},
        {"body": STORE.replace("[i]", "[1]")},
        {"body": STORE.replace("= 0", "= 1")},
        {"between": "\tmmus[0] = mmus[1];\n"},
        {"between": "\tmix(mmus);\n",
         "above": "static void mix(struct kvm_mmu **some)\n{\n\tsome[0] = some[1];\n}\n\n"},
        {"body": LOCAL.replace("\n\n", "\n\n\t\tif (i)\n\t\t\tmmu = vcpu->arch.mmu;\n")},
        {"body": "forget(mmus[i]);",
         "above": forget("if (mmu->root_level)\n\t\tmmu->mmu_role.ext.valid = 0;")},
        {"between": "\tif (vcpu->arch.hflags)\n\t\treturn;\n"},
    ],
    ids=[
        "left out", "from one", "short", "number", "by two", "from a number", "left", "left later",
        "some", "moved", "one", "valid", "replaced", "replaced by a helper", "another pointer",
        "helper", "behind a return",
    ],
)  # fmt: skip
def test_not_invalidated_in_a_loop(given):
    """One that may leave a context out is no invalidation of it."""
    assert loop(**given) in ("gap", "unknown")


def test_invalidated_through_a_pointer():
    """A variable that points to the context all the time is as good as that."""
    mark = "\tstruct kvm_mmu *mmu = &vcpu->arch.root_mmu;\n%s\n\tmmu->mmu_role.ext.valid = 0;\n"
    assert edited([(MAIN, MARK, mark % "")], INVALIDATED)[0] == "covered"
    other = "\n\tif (vcpu->arch.hflags)\n\t\tmmu = &vcpu->arch.nested_mmu;"
    assert edited([(MAIN, MARK, mark % other)], INVALIDATED)[0] in ("gap", "unknown")


PAIR = (
    "\tif (cpu_role.as_u64 == context->cpu_role.as_u64 &&\n"
    "\t    root_role.word == context->root_role.word)\n\t\treturn;\n"
)
CPU, ROOT = (
    "cpu_role.as_u64 %s context->cpu_role.as_u64",
    "root_role.word %s context->root_role.word",
)
IN_STEPS = {
    "nested": f"\tif ({CPU % '=='}) {{\n\t\tif ({ROOT % '=='})\n\t\t\treturn;\n\t}}\n",
    "goto": f"\tif ({CPU % '!='})\n\t\tgoto set_up;\n\tif ({ROOT % '!='})\n\t\tgoto set_up;\n"
    "\treturn;\nset_up:\n",
    "break": f"\tdo {{\n\t\tif ({CPU % '!='})\n\t\t\tbreak;\n\t\tif ({ROOT % '!='})\n\t\t\tbreak;\n"
    "\t\treturn;\n\t} while (0);\n",
    "the other first": f"\tif ({ROOT % '=='}) {{\n\t\tif ({CPU % '=='})\n\t\t\treturn;\n\t}}\n",
}


@pytest.mark.parametrize("name", IN_STEPS)
def test_a_guard_in_steps(name):
    """Comparisons that decide together are one guard, however many branches they take."""
    assert edited([(MAIN, PAIR, IN_STEPS[name])] * 2, "cpu-role-fixed") == ("covered", True)


@pytest.mark.parametrize("name", ["cpu-role-level-gap", "cpu-role-word-gap"])
@pytest.mark.parametrize("form", IN_STEPS)
def test_a_gap_behind_a_guard_in_steps(form, name):
    """What is a gap behind one branch is the same gap behind two."""
    part = "ext.word" if "word" in name else "as_u64"
    old, new = (one.replace("as_u64", part) for one in (PAIR, IN_STEPS[form]))
    assert edited([(MAIN, old, new)], name) == ("gap", True)


@pytest.mark.parametrize(
    "guard",
    [
        f"\tif ({CPU % '=='})\n\t\treturn;\n\tif ({ROOT % '=='})\n\t\treturn;\n",
        f"\tif ({CPU % '=='}) {{\n\t\tcontext->root_level = 0;\n\t\tif ({ROOT % '=='})\n"
        "\t\t\treturn;\n\t}\n",
        f"\tif ({ROOT % '=='})\n\t\treturn;\n",
    ],
    ids=["either", "a store in between", "one of them"],
)
def test_no_guard_in_steps(guard):
    """Comparisons of which one is enough, or that something lies between, are not one guard."""
    assert edited([(MAIN, PAIR, guard)], "cpu-role-fixed")[0] != "covered"


WALK = (
    "\tif (!is_cr0_pg(context))\n\t\tcontext->gva_to_gpa = nonpaging_gva_to_gpa;\n"
    "\telse if (is_cr4_pae(context))\n\t\tcontext->gva_to_gpa = paging64_gva_to_gpa;\n"
    "\telse\n\t\tcontext->gva_to_gpa = paging32_gva_to_gpa;\n"
)
WALKED = "gpa_t (*%s)(struct kvm_vcpu *vcpu, gpa_t vaddr)"
OF_TABLE = (
    f"static {WALKED % 'const walks[2][2]'} = {{\n"
    "\t{ nonpaging_gva_to_gpa, nonpaging_gva_to_gpa },\n"
    "\t{ paging32_gva_to_gpa, paging64_gva_to_gpa },\n};\n\n"
)
OF_HELPER = (
    f"typedef {WALKED % 'walk_fn'};\n\nstatic walk_fn walk_of(bool pg, bool pae)\n{{\n"
    "\tif (!pg)\n\t\treturn nonpaging_gva_to_gpa;\n"
    "\treturn pae ? paging64_gva_to_gpa : paging32_gva_to_gpa;\n}\n\n"
)
IS_PAE = "is_cr4_pae(context)"


@pytest.mark.parametrize("pae", [IS_PAE, "vcpu->arch.hflags & 1"], ids=["carried", "of no bit"])
@pytest.mark.parametrize(
    ("above", "value"),
    [(OF_TABLE, "walks[is_cr0_pg(context)][%s]"), (OF_HELPER, "walk_of(is_cr0_pg(context), %s)")],
    ids=["table", "helper"],
)
def test_a_function_of_a_template(above, value, pae):
    """A name that a macro pastes together is a value in a table and where it is returned."""
    tree = fixture("cpu-role-fixed")
    text = tree[MAIN].decode()
    assert text.count(WALK) >= 1 and text.count(SETUP) == 1
    text = text.replace(WALK, f"\tcontext->gva_to_gpa = {value % pae};\n")
    text = text.replace(SETUP, above + SETUP)
    for bits in ("32", "64"):
        old, new = f"static gpa_t paging{bits}_gva", f"static gpa_t FNAME{bits}(gva"
        text = text.replace(f"{old}_to_gpa(", f"{new}_to_gpa)(")
    tree[MAIN] = "".join(f"#define FNAME{n}(name) paging{n}_##name\n" for n in (32, 64)).encode()
    tree[MAIN] += text.encode()
    report = check(tree, ("gva_to_gpa",))
    found = {one.verdict for way in report.contexts for one in way.fields}
    if pae == IS_PAE:
        assert found == {"covered"} and not report.unknowns
    else:
        assert "gap" in found and "unknown" not in found


def test_many_troubles(monkeypatch):
    """Of a path that has many troubles it is told that it has all, and no more are asked about."""
    asked = []
    is_met = Terms._is_met

    def counted(terms, trouble):
        asked.append(trouble)
        return is_met(terms, trouble)

    monkeypatch.setattr(Terms, "_is_met", counted)
    lines = "".join(f"\tunknown_to_all(&context->root_level, {n});\n" for n in range(40))
    tree = fixture(BASE)
    text = tree[MAIN].decode()
    tree[MAIN] = text.replace(GUARD, GUARD + lines, 1).encode()
    report = check(tree)
    ways = [one for one in report.contexts if one.initialiser == "init_kvm_tdp_mmu"]
    told = {reason.place.line for way in ways for one in way.fields for reason in one.reasons}
    assert len(told) == 40 and len(asked) <= 2 * MAX_MET


MOVED = {
    "the roles": (["union kvm_mmu_page_role", "union kvm_mmu_extended_role", "union kvm_mmu_role"],
                  "kvm_mmu_role.h"),
    "the word below them": (["union kvm_mmu_page_role"], "page_role.h"),
    "the contexts": (["struct kvm_mmu"], "kvm_mmu.h"),
    "the roles, by a name of its own": (["union kvm_mmu_role"], "role.h"),
}  # fmt: skip


@pytest.mark.parametrize(("heads", "header"), MOVED.values(), ids=MOVED)
@pytest.mark.parametrize("name", [BASE, "masked-word-gap"])
def test_declared_in_another_header(heads, header, name):
    """The roles and contexts are found in whatever header declares them."""
    tree = fixture(name)
    text, moved = tree[HOST].decode(), ""
    for head in heads:
        start = text.index(f"{head} {{")
        end = text.index("\n};\n", start) + 4
        moved += text[start:end]
        taken = "" if head != heads[0] else f"#include <asm/{header}>\n"
        text = text[:start] + taken + text[end:]
    moved = f"#include <linux/types.h>\n{moved}"
    there = {HOST: text.encode(), f"arch/x86/include/asm/{header}": moved.encode()}
    assert verdicts(check({**tree, **there})) == verdicts(check(tree)) != {}


def test_no_role_is_no_proof():
    """Where no union is one that a context compares, the set-ups may compare something else."""
    tree = fixture(BASE)
    tree[HOST] = tree[HOST].replace(b"union kvm_mmu_role mmu_role;", b"u64 mmu_role;")
    tree[MAIN] = tree[MAIN].replace(b"mmu_role.as_u64", b"mmu_role")
    report = check(tree)
    assert report.verdict == "unknown" and "no MMU context" in report.unknowns[0].reason


PARAMETERS = """struct setup {
	bool execonly;
	bool accessed_dirty;
	gpa_t eptp;
};

"""
TAKEN = (
    "bool execonly,\n\t\t\t     bool accessed_dirty, gpa_t new_eptp)\n{\n",
    "const struct setup *p)\n{\n\tbool execonly = p->execonly;\n"
    "\tbool accessed_dirty = p->accessed_dirty;\n\tgpa_t new_eptp = p->eptp;\n",
)


def test_what_a_set_up_is_told_in_a_record_of_its_caller():
    """The record is made on the stack above, and what stands in it is known there alone."""
    tree = fixture(BASE)
    nested, header = "arch/x86/kvm/vmx/nested.c", "arch/x86/kvm/mmu.h"
    call = re.search(rb"kvm_init_shadow_ept_mmu\(vcpu,\s*([^;]*)\);", tree[nested])
    assert call is not None
    execonly, accessed_dirty, eptp = split_arguments(call[1].decode())
    made = f"\t\tconst struct setup p = {{ {execonly}, {accessed_dirty}, {eptp} }};\n\n"
    declared = re.search(r"void kvm_init_shadow_ept_mmu\([^;]*;", tree[header].decode())
    assert declared is not None
    taking = "void kvm_init_shadow_ept_mmu(struct kvm_vcpu *vcpu, const struct setup *p);"
    for path, old, new in (
        (MAIN, *TAKEN),
        (header, declared[0], PARAMETERS + taking),
        (nested, call[0].decode(), f"{{\n{made}\t\tkvm_init_shadow_ept_mmu(vcpu, &p);\n\t}}"),
    ):
        text = tree[path].decode()
        assert text.count(old) == 1, old
        tree[path] = text.replace(old, new).encode()
    report = check(tree)
    before = check(fixture(BASE))
    assert report.verdict == before.verdict == "covered"
    named = {i.name for c in report.contexts for f in c.fields for i in f.inputs}
    assert named == {i.name for c in before.contexts for f in c.fields for i in f.inputs}
