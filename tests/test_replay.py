# SPDX-License-Identifier: GPL-2.0-only
"""The program that replays a witness: which states it loads, and how it reads.

Nothing here runs one: what a kernel does is seen in tests/test_guest.py.
"""

import argparse
import re
from functools import cache
from pathlib import Path

import pytest
from edited import Files, fixture

from patchtool.c.index import Index
from patchtool.commands import reproduce as command
from patchtool.errors import UsageError
from patchtool.replay import prediction, program, states
from patchtool.report import render
from patchtool.report.options import Options
from patchtool.rules import stale_mmu_role as rule
from patchtool.target.kvm import KVM

HOUSE = Path(__file__).parent.parent
MMU = "arch/x86/kvm/mmu/mmu.c"
SVM, VMX = "arch/x86/kvm/svm/svm.c", "arch/x86/kvm/vmx/vmx.c"

# What a vendor's module does when it is loaded, and the ioctl that a nested replay needs.
SET_UP_SVM = b"""
#include "../mmu.h"
static int get_max_npt_level(void)
{
	return pgtable_l5_enabled() ? PT64_ROOT_5LEVEL : PT64_ROOT_4LEVEL;
}
static __init void svm_hardware_setup(void)
{
	kvm_configure_mmu(npt_enabled, get_max_npt_level(), 1 << 5);
}
static int svm_set_nested_state(struct kvm_nested_state *state)
{
	return state->format != KVM_STATE_NESTED_FORMAT_SVM;
}
"""
SET_UP_VMX = b"""
#include "../mmu.h"
static __init void vmx_hardware_setup(void)
{
	kvm_configure_mmu(enable_ept, cpu_has_vmx_ept_5levels() ? 5 : 4,
	enable_ept_ad_bits ? 1 << 8 : 0);
}
"""


def with_hosts(name="demo"):
    """Return the files of a fixture in which both vendors' modules set up the MMU."""
    levels = b"#define PT64_ROOT_4LEVEL 4\n#define PT64_ROOT_5LEVEL 5\n"
    return {**fixture(name), SVM: levels + SET_UP_SVM, VMX: SET_UP_VMX}


def changed(files, path, *pairs):
    """Return files of which one is edited."""
    text = files[path]
    for old, new in pairs:
        assert text.count(old) == 1, (old, text.count(old))
        text = text.replace(old, new)
    return {**files, path: text}


def asked(files):
    """Check a tree; return its index, the report, and the questions behind it."""
    index = Index(Files(files), KVM)
    return index, *rule.examine(index, rule.DEFAULT_FIELDS, "tree")


def replays_of(files):
    """Return the tests of a tree, and what is not tested."""
    return prediction.tests(*asked(files))


@cache
def demo():
    """Return the tests of the demo."""
    return tuple(replays_of(with_hosts())[0])


def pair(test):
    """Return what a test loads, in short."""
    sides = [(one.state.name, one.level) for one in (test.a, test.b)]
    return (test.kind, *sides, test.inputs)


# -- states ------------------------------------------------------------------------------


def test_modes_are_legal():
    """Each mode has all the bits that it needs, and no two are alike."""
    assert len({mode.bits for mode in states.MODES}) == 5
    for mode in states.MODES:
        assert states.closed(mode.bits | states.ALWAYS) == mode.bits | states.ALWAYS
    assert states.FOUR.register("EFER") == ["LME", "LMA"]
    assert states.OFF not in states.modes_of("guest_mmu"), "nested paging needs CR0.PG in L1"


# -- which states show a gap ---------------------------------------------------------------


def test_a_gap_is_shown_in_both_contexts():
    """EFER.LMA decides between PAE and 4 levels, in root_mmu and in guest_mmu."""
    found, refused = replays_of(with_hosts())
    sides = ("PAE paging", 3), ("4-level paging", 4), ("EFER.LMA",)
    assert [pair(test) for test in found] == [("root_mmu", *sides), ("guest_mmu", *sides)]
    assert all(test.start == states.OFF and test.levels is None for test in found)
    assert not refused


def test_each_missing_input_is_shown_alone():
    """Where two inputs are missing, two pairs of states differ in one of them each."""
    found, _ = replays_of(fixture("args-vs-vcpu-gap"))
    assert [pair(test)[1:] for test in found if test.kind == "root_mmu"] == [
        (("4-level paging", 4), ("5-level paging", 5), ("CR4.LA57",)),
        (("PAE paging", 3), ("4-level paging", 4), ("EFER.LMA",)),
    ]


def test_what_cannot_be_replayed_is_said():
    """Without KVM_SET_NESTED_STATE, for shadow paging and for other fields there is a reason."""
    _, refused = replays_of(fixture("demo"))
    assert [(one.context, one.field) for one in refused] == [("guest_mmu", "root_level")]
    assert "no KVM_SET_NESTED_STATE" in refused[0].reason
    _, refused = replays_of(fixture("masked-word-gap"))
    reasons = {(one.context, one.entry[-1], one.field): one.reason for one in refused}
    assert "shadow paging" in reasons["mmu", "kvm_init_shadow_mmu", "root_level"]
    assert "no other" in reasons["mmu", "kvm_init_shadow_mmu", "shadow_root_level"]
    assert "L2's own" in reasons["nested_mmu", "init_kvm_nested_mmu", "root_level"]


def test_the_start_is_set_up_anew():
    """Where no paging is one of the states that collide, a test starts from another mode."""
    files = changed(with_hosts(), MMU, (b"ext.cr0_pg = 1;", b"ext.cr0_pg = 0;"))
    shown = [test for test in replays_of(files)[0] if test.kind == "root_mmu"]
    assert shown
    index, report, questions = asked(files)
    known = prediction.predictions(index, report, questions)["root_mmu"][1]
    assert ("root_mmu", ("no paging", 0), ("2-level paging", 2), ("CR0.PG",)) in map(pair, shown)
    for test in shown:
        for side in (test.a.state, test.b.state):
            assert test.start == side or known.stale(test.start, side) is False
            assert known.stale(states.OFF, test.start) is False, "so a vCPU starts"


# -- hosts ---------------------------------------------------------------------------------


def witnesses(files):
    """Return the witnesses of root_level, by context."""
    return {
        context.context: one.witness
        for context in asked(files)[1].contexts
        for one in context.fields
        if one.name == "root_level" and one.witness is not None
    }


def test_a_witness_is_possible_on_a_host():
    """What KVM sets at load has a value in the witness that KVM sets, not just the smallest."""
    found = witnesses(with_hosts())
    host = {"max_tdp_level": 4, "shadow_accessed_mask": 0x20, "tdp_enabled": 1}
    assert dict(found["root_mmu"].host) == host
    assert dict(found["guest_mmu"].host) == {"max_tdp_level": 4}
    for one in found.values():
        assert [value & 15 for _, value in one.role] == [4], "base.level is the host's"
        assert one.needs == ()


def test_values_of_the_other_vendor_do_not_mix():
    """An AMD host has no accessed bit of EPT; without SVM the host is one with EPT."""
    files = with_hosts()
    del files[SVM]
    assert dict(witnesses(files)["root_mmu"].host)["shadow_accessed_mask"] == 0x100


def test_a_value_that_is_not_known_is_not_named():
    """Where nothing tells what KVM sets, no value is made up."""
    assert witnesses(fixture("demo"))["root_mmu"].host == ()


def test_a_gap_that_needs_a_host_says_so():
    """A gap on hosts with 4 levels alone is told as that, in the report and for the replay."""
    files = changed(
        with_hosts(),
        MMU,
        (
            b"static union kvm_mmu_role\nkvm_calc_tdp_mmu_root_page_role(",
            b"static bool odd(void)\n{\n\treturn max_tdp_level == 5;\n}\n\n"
            b"static union kvm_mmu_role\nkvm_calc_tdp_mmu_root_page_role(",
        ),
        (
            b"role.base.level = kvm_mmu_get_tdp_level(vcpu);\n\trole.base.direct = true;",
            b"role.base.level = kvm_mmu_get_tdp_level(vcpu);\n\trole.base.direct = true;\n"
            b"\tif (odd())\n\t\trole.base.level = role_regs_to_root_level(regs);",
        ),
    )
    one = witnesses(files)["root_mmu"]
    assert one.needs == ("max_tdp_level",)
    assert dict(one.host)["max_tdp_level"] == 4
    text = render(asked(files)[1], "text", Options())
    assert "      the gap needs a host with max_tdp_level=4\n" in text
    test = next(test for test in replays_of(files)[0] if test.kind == "root_mmu")
    assert test.levels == 4
    assert "needs a 4-level NPT. */" in program.plain([test])


# -- the program ---------------------------------------------------------------------------

HEADERS = "tools/testing/selftests/kvm"


def with_selftests(folder="x86", makefile="Makefile.kvm", without=""):
    """Return a tree whose selftests have what a test needs, but one function."""
    names = [name for name in program._NEEDED if name != without]
    util = "".join(f"void {name}(void);\n" for name in names)
    svm = "struct vmcb_control_area {\n\tu32 exit_int_info_err;\n\tu64 nested_ctl;\n};\n"
    bits = "#define X86_CR0_PE (1ul << 0)\n#define X86_CR0_PG (1ul << 31)\n"
    variable = f"TEST_GEN_PROGS_{folder}"
    return {
        **with_hosts(),
        f"{HEADERS}/include/kvm_util.h": util.encode(),
        f"{HEADERS}/include/{folder}/svm.h": svm.encode(),
        f"{HEADERS}/include/{folder}/processor.h": bits.encode(),
        f"{HEADERS}/{makefile}": f"{variable} = {folder}/cpuid_test\n".encode(),
    }


@pytest.mark.parametrize(("folder", "makefile"), [("x86", "Makefile.kvm"), ("x86_64", "Makefile")])
def test_a_test_goes_where_the_tree_has_them(folder, makefile):
    """Folder and makefile are those of the tree."""
    harness, reason = program.find_harness(Files(with_selftests(folder, makefile)))
    assert not reason
    assert harness.path == f"{HEADERS}/{folder}/mmu_root_level_test.c"
    assert harness.makefile == f"{HEADERS}/{makefile}"
    assert harness.entry == f"TEST_GEN_PROGS_{folder} += {folder}/mmu_root_level_test"
    text = program.selftest(demo(), harness)
    assert "vmcb12->control.nested_ctl = NP_ENABLE;" in text
    assert "#define X86_CR0_PG" not in text, "processor.h of the tree has it"
    assert "#define EFER_LMA	BIT_ULL(10)\n" in text, "no header of the tree has it"


@pytest.mark.parametrize("name", program._NEEDED)
def test_a_tree_that_lacks_a_function_gets_plain_c(name):
    """Selftests without one of the functions that a test calls cannot hold it."""
    harness, reason = program.find_harness(Files(with_selftests(without=name)))
    assert harness is None
    assert reason == f"the selftests of this tree have no {name}()"
    assert program.find_harness(Files(with_hosts()))[1].startswith("the tree has no tools/")


@pytest.mark.parametrize("form", ["plain", "selftest"])
@pytest.mark.parametrize("kinds", [("root_mmu",), ("guest_mmu",), ("root_mmu", "guest_mmu")])
def test_the_program_is_as_written_down(form, kinds, rewrite):
    """The text for the demo, with either context and with both."""
    chosen = [test for test in demo() if test.kind in kinds]
    harness, _ = program.find_harness(Files(with_selftests()))
    text = program.plain(chosen) if form == "plain" else program.selftest(chosen, harness)
    assert "//" not in text.split("\n", 1)[1], "every mark is filled in"
    assert ("load_root_mmu(" in text, "load_guest_mmu(" in text) == (
        "root_mmu" in kinds,
        "guest_mmu" in kinds,
    )
    file = HOUSE / "tests" / "replay" / f"{form}-{'-'.join(kinds)}.c"
    if rewrite:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    assert file.read_text("utf-8") == text


def test_la57_is_asked_for_where_it_is_loaded():
    """A state with 5 levels is loaded only where the processor has them."""
    found, _ = replays_of(fixture("args-vs-vcpu-gap"))
    assert "no LA57" in program.plain(found)
    assert "LA57" not in program.plain(demo())


def test_the_tables_are_those_of_the_comment():
    """Each path that the comment shows is one that the code writes, and ADDR's own."""
    comment = (HOUSE / "patchtool/replay/tables.c").read_text("utf-8")
    code = (HOUSE / "patchtool/replay/plain.c").read_text("utf-8")
    address = int(re.search(r"ADDR\s+(0x\w+)ull", comment)[1], 16)
    entries = {("ROOT", 0): "T1"}
    for table, index, target in re.findall(r"table\((\w+)\)\[(\d+)\] = page\((.+?)\)", code):
        entries[table, int(index)] = target
    for levels in (3, 4, 5):
        table, path = "ROOT", []
        for level in range(levels, 0, -1):
            index = address >> (12 + 9 * (level - 1)) & 511
            path.append(f"{table}[{index}]")
            table = entries[table, index]
        assert table == f"LEAF + {levels}"
        assert f"{levels} levels:" in comment
        assert " -> ".join([*path, table]) in comment
    assert (address >> 22, address >> 12 & 1023) == (0, 0x203)
    assert "table(T1))[0x203] = page(LEAF + 2)" in code


# -- the command ---------------------------------------------------------------------------


def reproduce(*arguments):
    """Run the command in this process and return its exit status."""
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.run(parser.parse_args([str(one) for one in arguments]))


def test_the_command_writes_a_program(tmp_path, capsys):
    """The path goes to standard output, what it shows to standard error."""
    target = tmp_path / "new" / "mmu_root_level_test.c"
    assert reproduce(HOUSE / "fixtures/demo", "-o", target.parent) == 0
    out, err = capsys.readouterr()
    assert out == f"{target}\n"
    assert "root_mmu: PAE paging and 4-level paging show that" in err
    assert "not replayed: root_level of guest_mmu" in err
    assert target.read_text("utf-8").startswith("// SPDX-License-Identifier: GPL-2.0-only\n")
    assert reproduce(HOUSE / "fixtures/demo", "-o", target.parent) == 0, "the same again"
    target.write_text("mine", "utf-8")
    with pytest.raises(UsageError, match="is already there"):
        reproduce(HOUSE / "fixtures/demo", "-o", target.parent)
    assert target.read_text("utf-8") == "mine"
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ("role-regs-compare-fixed", "this tree has no gap"),
        ("unguarded", "KVM of this tree skips no set-up"),
        ("broken-missing", "something is undecided"),
    ],
)
def test_a_tree_without_a_gap_has_nothing_to_replay(tree, reason, tmp_path, capsys):
    """Nothing is written, and the status is no success."""
    assert reproduce(HOUSE / "fixtures" / tree, "-o", tmp_path / "new") == 3
    out, err = capsys.readouterr()
    assert not out
    assert reason in err
    assert not (tmp_path / "new").exists()
