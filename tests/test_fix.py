# SPDX-License-Identifier: GPL-2.0-only
"""A fix is proved, small and in the idiom of its neighbours, or it says what stays open."""

import os
import re
from functools import cache

import miniatures
import pytest
import remembered
import scratch
from hosted import fix as run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scratch import copied, fill, git, program

from patchtool.c.index import Index
from patchtool.commands import fix as command
from patchtool.errors import PatchtoolError, UsageError
from patchtool.model import FieldResult, Place, Reason, Unknown, Witness
from patchtool.outside.source import Overlay, open_source
from patchtool.repair import clearing, edit_sites, fix, invalidating
from patchtool.repair.input_access import value_of
from patchtool.repair.patch import Mail
from patchtool.repair.register_access import parse_bit
from patchtool.rules import stale_mmu_role as rule
from patchtool.target.kvm import KVM

HOST = "arch/x86/include/asm/kvm_host.h"
MMU = "arch/x86/kvm/mmu/mmu.c"


@pytest.fixture(autouse=True)
def _remembered(monkeypatch):
    """Decide every tree once."""
    monkeypatch.setattr(rule, "check", remembered.check)


def tree(name):
    """Return the path of a miniature."""
    return str(miniatures.folder(name))


def test_every_check_of_a_search_is_told():
    """Whoever waits for a search hears of each tree that was decided."""
    told = []
    source = open_source(tree("demo"))
    outcome = fix.search(source, progress=lambda done, total: told.append((done, total)))
    assert told == [(n, 0) for n in range(1, outcome.checks + 1)] and len(told) > 1


@cache
def search(name):
    """Search the fixes of a miniature."""
    return fix.search(open_source(tree(name)))


def expected(name):
    """Return what a miniature says about itself."""
    return miniatures.expected(name)


def inserted(repair):
    """Return the lines that a repair adds, and how many it takes away."""
    added, removed = [], 0
    for one in repair.files:
        old, new = one.before.decode().splitlines(), one.after.decode().splitlines()
        added += [
            line.strip() for line in new if line not in old or new.count(line) > old.count(line)
        ]
        removed += sum(line not in new for line in old)
    return added, removed


SIMPLE = [
    "demo", "guard-block-gap", "guard-bool-gap", "guard-call-gap", "guard-goto-gap",
    "guard-helper-gap", "guard-likely-gap", "guard-negated-gap", "guard-shared-gap",
    "guard-swapped-gap",
]  # fmt: skip


@pytest.mark.parametrize("name", SIMPLE)
def test_a_missing_bit_is_two_lines_in_two_files(name):
    """EFER.LMA in the shape of v5.14 is closed by two insertions and one candidate."""
    outcome = search(name)
    (repair,) = outcome.repairs
    assert inserted(repair) == (
        ["unsigned int efer_lma:1;", "ext.efer_lma = ____is_efer_lma(regs);"],
        0,
    )
    assert [one.path for one in repair.files] == [HOST, MMU]
    assert (outcome.last.verdict, outcome.open, outcome.checks) == ("covered", (), 2)


def test_the_assignment_stands_inside_the_guarded_block():
    """Where siblings are set only with paging enabled, so is the new bit."""
    (repair,) = search("demo").repairs
    after = next(one.after for one in repair.files if one.path == MMU).decode()
    block = re.search(r"if \(____is_cr0_pg\(regs\)\) \{(.*?)\n\t\}", after, re.S)
    assert block.group(1).endswith("\n\t\text.efer_lma = ____is_efer_lma(regs);")


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("masked-word-gap", ["ext.efer_lma = !!is_long_mode(vcpu);"]),
        ("cpu-role-level-gap", ["role.ext.efer_lma = ____is_efer_lma(regs);"]),
        (
            "cpu-role-word-gap",
            ["role.ext.cr0_pg = 1;", "role.ext.cr4_pae = ____is_cr4_pae(regs);"],
        ),
        (
            "args-vs-vcpu-gap",
            [
                "ext.cr4_la57 = !!kvm_read_cr4_bits(vcpu, X86_CR4_LA57);",
                "ext.efer_lma = !!is_long_mode(vcpu);",
                "new_role.ext.cr4_pae = !!(cr4 & X86_CR4_PAE);",
                "new_role.ext.guest_mmu_efer_lma = !!(efer & EFER_LMA);",
            ],
        ),
    ],
)
def test_the_tree_itself_tells_how_a_bit_is_read(name, lines):
    """Accessors, readers and masks are those that the neighbours use."""
    assert [s for r in search(name).repairs for s in r.candidate.statements] == lines


def test_only_the_extended_role_takes_bits():
    """The base role, which shadow pages keep, stays as it is."""
    for name in ("demo", "cpu-role-word-gap", "masked-word-gap"):
        for repair in search(name).repairs:
            assert repair.candidate.union == "kvm_mmu_extended_role"


@pytest.mark.parametrize("name", ["args-vs-vcpu-gap", "args-vs-vcpu-bits-gap"])
def test_a_set_up_tells_the_role_what_it_is_handed(name):
    """A level that follows L1's saved registers is closed by those, not by the vCPU's."""
    outcome = search(name)
    assert outcome.open == ()
    *_, pae, lma = outcome.repairs
    where = ("kvm_init_shadow_npt_mmu",)
    assert pae.candidate.functions == lma.candidate.functions == where
    assert (pae.candidate.label, lma.candidate.label) == ("ext.cr4_pae", "ext.guest_mmu_efer_lma")
    # The member for the vCPU's own CR4.PAE is of no use there, the one for its EFER.LMA is.
    assert (pae.candidate.declares, lma.candidate.declares) == (False, True)
    after = next(one.after for one in lma.files if one.path == MMU)
    assert (
        b"\n\n\tnew_role.ext.cr4_pae = !!(cr4 & X86_CR4_PAE);\n"
        b"\tnew_role.ext.guest_mmu_efer_lma = !!(efer & EFER_LMA);\n\n\tif (new_role"
    ) in after


def full(name):
    """Return a miniature whose extended role has no bit left."""
    bits = b"\t\tunsigned int cr4_pae:1;\n"
    data = open_source(tree(name)).read(HOST)
    taken = len(re.findall(rb":1;", data[data.index(b"union kvm_mmu_extended_role") :]))
    return changed(name, HOST, bits, b"%s\t\tunsigned int more:%d;\n" % (bits, 32 - taken))


def test_what_no_bit_can_close_stays_open_with_the_reason():
    """A level that follows L1's saved registers is not closed by bits of the vCPU's."""
    outcome = fix.search(full("args-vs-vcpu-bits-gap"))
    assert {gap.key[0] for gap in outcome.open} == {"kvm_init_shadow_npt_mmu"}
    assert {gap.input for gap in outcome.open} == {"EFER.LMA"}
    assert all("hsave" in gap.reason and "vcpu->arch" in gap.reason for gap in outcome.open)


def test_what_a_set_up_is_handed_and_leaves_open_is_said(monkeypatch):
    """A member that takes a proof from another field is no fix, and the reason is told."""
    real = rule.check

    def check(index, *rest):
        report = real(index, *rest)
        if b"new_role.ext." not in index.source.read(MMU):
            return report
        reason = Reason("it outgrows all bounds")
        contexts = [
            one._replace(fields=tuple(
                f._replace(verdict="unknown", missing=(), reasons=(reason,)) for f in one.fields
            )) if "npt" in one.initialiser else one
            for one in report.contexts
        ]  # fmt: skip
        return report._replace(contexts=tuple(contexts))

    monkeypatch.setattr(rule, "check", check)
    outcome = fix.search(open_source(tree("args-vs-vcpu-bits-gap")))
    assert outcome.repairs == ()
    for gap in outcome.open:
        assert "the role must be calculated from what the set-up uses, but none of" in gap.reason
        assert "it is not decided: it outgrows all bounds" in gap.reason


def test_each_patch_of_a_series_closes_its_own_gap():
    """Every repair takes its input from the missing ones and adds no other."""
    outcome = search("args-vs-vcpu-gap")
    assert [repair.input for repair in outcome.repairs] == [
        *("CR4.LA57", "EFER.LMA", "CR4.PAE", "EFER.LMA"),
    ]  # fmt: skip
    assert [repair.is_more for repair in outcome.repairs] == [False, False, False, True]
    for repair in outcome.repairs:
        before, after = fix.gaps(repair.before), fix.gaps(repair.after)
        for key in repair.closed:
            assert repair.input in before[key].missing
            assert key not in after or repair.input not in after[key].missing
        assert after.keys() <= before.keys()


def masks(source=None):
    """Search the fixes of a miniature with masks, all fields of it."""
    return fix.search(source or open_source(tree("vcpu-masks-gap")), ("all",))


def test_each_input_is_closed_in_its_own_way():
    """A bit, a number as wide as it is, an invalidation, and a mask that is cleared first."""
    outcome = masks()
    assert (outcome.first.verdict, outcome.last.verdict, outcome.open) == ("gap", "covered", ())
    told = [(one.candidate.kind, one.inputs, inserted(one)) for one in outcome.repairs]
    assert told == [
        ("member", ("EFER.LMA",), (
            ["unsigned int efer_lma:1;", "ext.efer_lma = is_long_mode(vcpu);"], 0)),
        ("member", ("MAXPHYADDR",), (
            ["unsigned int maxphyaddr:6;", "ext.maxphyaddr = cpuid_maxphyaddr(vcpu);"], 0)),
        ("invalidation", ("guest CPUID.GBPAGES",), (
            ["vcpu->arch.root_mmu.mmu_role.ext.valid = 0;"], 0)),
        ("clearing", ("pkru_mask",), (["mmu->pkru_mask = 0;"], 0)),
    ]  # fmt: skip
    for one in outcome.repairs:
        assert set(one.inputs) - {"pkru_mask"} <= {
            n for gap in fix.gaps(one.before).values() for n in gap.missing
        }
        assert not set(one.inputs) & {
            n for gap in fix.gaps(one.after).values() for n in gap.missing
        }
    assert masks(Overlay(open_source(tree("vcpu-masks-gap")), {
        one.path: one.after for repair in outcome.repairs for one in repair.files
    })).repairs == ()  # fmt: skip


def test_where_an_event_tells_of_a_change_it_invalidates():
    """With nothing in reach to read it by, a number is covered by the event that changes it."""
    outcome = search("cpuid-stale-gap")
    (repair,) = outcome.repairs
    assert repair.candidate.kind == "invalidation"
    assert repair.candidate.functions == ("kvm_mmu_after_set_cpuid",)
    assert inserted(repair) == (["vcpu->arch.root_mmu.mmu_role.ext.valid = 0;"], 0)
    after = next(one.after for one in repair.files).decode()
    assert "ext.valid = 0;\n\tkvm_mmu_reset_context(vcpu);" in after
    assert (outcome.last.verdict, outcome.open) == ("covered", ())


def test_an_invalidation_stands_beside_the_others():
    """Where the roles of other contexts are invalidated, that of the one with a gap is as well."""
    source = changed(
        "cpuid-stale-gap", MMU, b"{\n\tkvm_mmu_reset_context(vcpu);",
        b"{\n\tvcpu->arch.guest_mmu.mmu_role.ext.valid = 0;\n\n\tkvm_mmu_reset_context(vcpu);",
    )  # fmt: skip
    host = source.read(HOST).replace(b"root_mmu;\n", b"root_mmu;\n\tstruct kvm_mmu guest_mmu;\n")
    source = Overlay(source, {HOST: host})
    report = rule.check(Index(source, KVM), ("all",))
    twice = report._replace(contexts=(
        *report.contexts, report.contexts[0]._replace(context="guest_mmu")))  # fmt: skip
    proposal = invalidating.propose(
        Index(source, KVM), twice, "MAXPHYADDR", ["vcpu->arch.maxphyaddr"]
    )
    (edit,) = next(
        one.edits for one in proposal.candidates if one.functions == ("kvm_mmu_after_set_cpuid",)
    )
    after = edit_sites.edited(Index(source, KVM), (edit,))[MMU]
    assert (
        b"guest_mmu.mmu_role.ext.valid = 0;\n\tvcpu->arch.root_mmu.mmu_role.ext.valid = 0;\n\n"
        in after
    )


@pytest.mark.parametrize(
    ("path", "old", "new", "words"),
    [
        # Nothing is called behind the change, and the calculation sees no vCPU.
        ("arch/x86/kvm/cpuid.c", b"\tkvm_mmu_after_set_cpuid(vcpu);\n", b"",
         "sets the contexts up again; store 0 to ext.valid of the role of root_mmu"),
        # Some ways through the function do not come by.
        (MMU, b"{\n\tkvm_mmu_reset_context(vcpu);",
         b"{\n\tif (vcpu->arch.hflags)\n\t\treturn;\n\tkvm_mmu_reset_context(vcpu);",
         "sets the contexts up again"),
        # The function may be told of another vCPU than the one that it sets up.
        (MMU, b"{\n\tkvm_mmu_reset_context(vcpu);",
         b"{\n\tif (vcpu->arch.hflags)\n\t\tkvm_mmu_reset_context(vcpu);",
         "sets the contexts up again"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_said(path, old, new, words):
    """A gap whose repair cannot be made is a sentence with the reason and what to do."""
    source = changed("cpuid-stale-gap", path, old, new)
    outcome = fix.search(source)
    assert outcome.repairs == ()
    (gap,) = outcome.open
    assert gap.input == "MAXPHYADDR" and words in gap.reason, gap.reason


EPT = "arch/x86/kvm/vmx/nested.c"
CAPS = b"to_vmx(vcpu)->nested.msrs.ept_caps & VMX_EPT_EXECUTE_ONLY_BIT,"
SHADES = b"""static int shade_of(u32 palette)
{
	if (palette & (1u << 9))
		return SHADE_BLACK;
	return palette & (1u << 4) ? SHADE_DARK : SHADE_LIGHT;
}

static void nested_ept_init"""


def handed(*more):
    """Return a kernel of which one set-up is handed what no role carries."""
    files = dict(miniatures.files("cpu-role-fixed"))
    edits = [
        (HOST, b"struct kvm_mmu {\n", b"enum shade {\n\tSHADE_NONE,\n\tSHADE_LIGHT,\n\t"
         b"SHADE_DARK,\n\tSHADE_BLACK,\n};\n\nstruct kvm_mmu {\n\tu64 keep;\n"),
        ("arch/x86/kvm/vmx/vmx.h", b"struct {\n\t\t\tu32",
         b"struct nested_vmx_msrs {\n\t\t\tu32 palette;\n\t\t\tu32"),
        ("arch/x86/kvm/mmu.h", b"bool execonly,\n", b"bool execonly, int shade,\n"),
        (MMU, b"(struct kvm_vcpu *vcpu, bool execonly,\n",
         b"(struct kvm_vcpu *vcpu, bool execonly, int shade,\n"),
        (MMU, b"\t\tcontext->gva_to_gpa = ept_gva_to_gpa;\n",
         b"\t\tcontext->gva_to_gpa = ept_gva_to_gpa;\n"
         b"\t\tcontext->keep = 1ull << shade | execonly;\n"),
        (EPT, b"static void nested_ept_init", SHADES),
        (EPT, b"kvm_init_shadow_ept_mmu(vcpu, " + CAPS,
         b"kvm_init_shadow_ept_mmu(vcpu, " + CAPS + b" shade,"),
        (EPT, b"_init_mmu_context(struct kvm_vcpu *vcpu)\n{\n",
         b"_init_mmu_context(struct kvm_vcpu *vcpu)\n{\n"
         b"\tint shade = shade_of(to_vmx(vcpu)->nested.msrs.palette);\n\n"),
        *more,
    ]  # fmt: skip
    for path, old, new in edits:
        assert old in files[path], (path, old)
        files[path] = files[path].replace(old, new, 1)
    return Overlay(open_source(tree("cpu-role-fixed")), files)


def test_what_a_set_up_is_handed_is_told_to_the_role():
    """A parameter that the input reaches the set-up by is carried, as wide as its values are."""
    outcome = fix.search(handed(), ("keep",))
    (repair,) = outcome.repairs
    assert repair.candidate.kind == "handed"
    assert repair.inputs == ("to_vmx(vcpu)->nested.msrs.palette",)
    added, removed = inserted(repair)
    assert set(added) - {""} == {
        "unsigned int shade:2;", "new_mode.ext.shade = shade;"
    } and not removed  # fmt: skip
    after = next(one.after for one in repair.files if one.path == MMU).decode()
    assert "level);\n\n\tnew_mode.ext.shade = shade;\n\n\tif (new_mode" in after
    assert (outcome.first.verdict, outcome.last.verdict, outcome.open) == ("gap", "covered", ())


def test_a_calculator_that_is_handed_it_too_tells_the_role():
    """A bit that is declared and no longer set is set again, where its neighbours are."""
    gone = (MMU, b"\trole.ext.execonly = execonly;\n", b"")
    outcome = fix.search(handed(gone), ("keep",))
    found = {one.candidate.functions[0]: inserted(one) for one in outcome.repairs}
    assert found["kvm_calc_shadow_ept_root_page_role"] == (["role.ext.execonly = execonly;"], 0)
    assert len(found) == 2 and outcome.last.verdict == "covered"


@pytest.mark.parametrize(
    ("path", "old", "new", "words"),
    [
        # How great the number may be is not known.
        (EPT, b"SHADE_LIGHT;", b"palette >> 20;", "how many bits shade of "
         "kvm_init_shadow_ept_mmu() takes is not known"),
        # There is no room for two more bits.
        (HOST, b"\t\tunsigned int efer_lma:1;\n",
         b"\t\tunsigned int efer_lma:1;\n\t\tunsigned int more:27;\n", "store 0 to ext.valid"),
    ],
)  # fmt: skip
def test_what_is_handed_and_has_no_width_is_said(path, old, new, words):
    """No member is made for a number that it might cut off."""
    outcome = fix.search(handed((path, old, new)), ("keep",))
    assert outcome.repairs == ()
    assert any(words in one.reason for one in outcome.open), outcome.open


def test_who_has_no_vcpu_at_hand_is_not_told_to_invalidate():
    """A template that vCPUs are born with is filled where there are none."""
    full = (HOST, b"efer_lma:1;\n", b"efer_lma:1;\n\t\tunsigned int more:27;\n")
    writers = (
        EPT,
        b"static int shade_of",
        b"""void vmx_restore(struct vcpu_vmx *vmx, u32 data)
{
	vmx->nested.msrs.palette = data;
}

void nested_vmx_setup(struct nested_vmx_msrs *msrs)
{
	msrs->palette = 1;
}

static int shade_of""",
    )
    reasons = [one.reason for one in fix.search(handed(full, writers), ("keep",)).open]
    advice = "store 0 to ext.valid of the role of guest_mmu in vmx_restore()"
    assert reasons and all(one.endswith(advice) for one in reasons), reasons


def test_a_number_that_has_no_room_is_said():
    """A word with three bits left takes no number of six; what is left says so."""
    source = changed(
        "vcpu-masks-gap", HOST, b"\t\tunsigned int cr4_la57:1;\n",
        b"\t\tunsigned int cr4_la57:1;\n\t\tunsigned int more:24;\n",
    )  # fmt: skip
    source = Overlay(source, {"arch/x86/kvm/cpuid.c": source.read("arch/x86/kvm/cpuid.c").replace(
        b"\tkvm_mmu_reset_context(vcpu);\n", b"")})  # fmt: skip
    outcome = fix.search(source, ("guest_rsvd_check",))
    assert [one.candidate.member for one in outcome.repairs] == ["cpuid_has_gbpages"]
    (gap,) = outcome.open
    assert "takes 6 bits, which the word of union kvm_mmu_extended_role has not left" in gap.reason


def test_padding_gives_way_to_a_number():
    """A number is taken from padding that is wide enough, and padding as wide is gone."""
    for width, left in ((20, b"\t\tunsigned int :14;\n"), (6, b"")):
        source = changed(
            "vcpu-masks-gap", HOST, b"\t\tunsigned int cr4_la57:1;\n",
            b"\t\tunsigned int cr4_la57:1;\n\t\tunsigned int :%d;\n"
            b"\t\tunsigned int tail:1;\n" % width,
        )  # fmt: skip
        repair = fix.search(source, ("guest_rsvd_check",)).repairs[0]
        after = next(one.after for one in repair.files if one.path == HOST)
        assert (
            b"cr4_la57:1;\n\t\tunsigned int maxphyaddr:6;\n" + left + b"\t\tunsigned int tail:1;"
            in after
        )


def test_padding_that_is_too_narrow_stays():
    """A number goes behind the last member where no padding has room for it."""
    source = changed(
        "vcpu-masks-gap", HOST, b"\t\tunsigned int cr4_la57:1;\n",
        b"\t\tunsigned int cr4_la57:1;\n\t\tunsigned int :3;\n\t\tunsigned int tail:1;\n",
    )  # fmt: skip
    repair = fix.search(source, ("guest_rsvd_check",)).repairs[0]
    after = next(one.after for one in repair.files if one.path == HOST)
    assert b":3;\n\t\tunsigned int tail:1;\n\t\tunsigned int maxphyaddr:6;\n" in after


def test_what_closes_another_input_is_no_repair_of_this_one():
    """An invalidation that is not behind every change of an input leaves it open, and says so."""
    source = changed(
        "vcpu-masks-gap", HOST, b"\tint maxphyaddr;\n", b"\tint maxphyaddr;\n\tu64 extra;\n"
    )
    cpuid = "arch/x86/kvm/cpuid.c"
    data = source.read(cpuid).replace(
        b"\tvcpu->arch.maxphyaddr = ", b"\tvcpu->arch.extra = 1;\n\tvcpu->arch.maxphyaddr = "
    )
    data += b"\nvoid kvm_set_extra(struct kvm_vcpu *vcpu)\n{\n\tvcpu->arch.extra = 2;\n}\n"
    mmu = source.read(MMU).replace(
        b"rsvd_bits_mask[0][0] = high", b"rsvd_bits_mask[0][0] = high & ~vcpu->arch.extra"
    )
    outcome = fix.search(Overlay(source, {cpuid: data, MMU: mmu}), ("guest_rsvd_check",))
    assert [(one.input, one.candidate.kind) for one in outcome.repairs] == [
        ("MAXPHYADDR", "member"),
        ("guest CPUID.GBPAGES", "invalidation"),
    ]
    (gap,) = outcome.open
    assert gap.input == "vcpu->arch.extra"
    assert "takes 64 bits" in gap.reason and "none of 1 candidate closes it" in gap.reason
    assert gap.reason.endswith("in kvm_vcpu_after_set_cpuid() and kvm_set_extra()")


def test_an_array_that_keeps_old_bits_is_said():
    """No single store clears an array, and nothing is cleared that is not added to."""
    index = Index(open_source(tree("vcpu-masks-gap")), KVM)
    report = rule.check(index, ("all",))
    proposal = clearing.propose(index, report, "guest_rsvd_check")
    assert proposal.candidates == () and "clear each element" in proposal.reason
    proposal = clearing.propose(index, report, "root_level")
    assert proposal.candidates == () and "no statement that adds to root_level" in proposal.reason


def test_a_variable_of_the_host_is_no_input_of_a_role():
    """What is no state of a vCPU can be in no role, and that is the reason."""
    index = Index(open_source(tree("vcpu-masks-gap")), KVM)

    def seen(c):
        return value_of(index, "a name", c, MMU)

    assert "is a variable of the host" in seen("shadow_me_mask")
    assert "would read to_vmx(vcpu)->nested.some" in seen("to_vmx(vcpu)->nested.some")
    assert "returns no bool" in seen("cpuid_query_maxphyaddr(vcpu)")
    assert seen("vcpu->arch.hflags").width == 32
    assert seen("vcpu->arch.maxphyaddr").width == 6


@pytest.mark.parametrize("name", [n for n in miniatures.NAMES if n.endswith("-fixed")])
def test_a_covered_tree_needs_no_fix(name):
    """Nothing is proposed where nothing is wrong."""
    if expected(name)["verdict"] == "covered":
        assert search(name).repairs == ()


@pytest.mark.parametrize("name", ["demo", "args-vs-vcpu-gap", "pagewalk-word-gap"])
def test_a_second_fix_proposes_nothing(name):
    """What is written once is not written again."""
    source = open_source(tree(name))
    first = fix.search(source)
    edits = {one.path: one.after for repair in first.repairs for one in repair.files}
    second = fix.search(Overlay(source, edits))
    assert first.repairs and second.repairs == ()
    assert second.last.verdict == first.last.verdict


# -- shapes that fixtures do not have ------------------------------------------------------


def changed(name, path, old, new):
    """Return a miniature with a piece of text replaced in memory."""
    source = open_source(tree(name))
    data = source.read(path)
    assert old in data
    return Overlay(source, {path: data.replace(old, new)})


def test_padding_gives_way_so_that_no_member_moves():
    """A new bit is taken from unnamed padding and stands before it."""
    source = changed(
        "demo", HOST, b"\t\tunsigned int cr4_la57:1;\n",
        b"\t\tunsigned int cr4_la57:1;\n\t\tunsigned int :22;\n\t\tunsigned int tail:1;\n",
    )  # fmt: skip
    (repair,) = fix.search(source).repairs
    after = next(one.after for one in repair.files if one.path == HOST)
    assert (
        b"cr4_la57:1;\n\t\tunsigned int efer_lma:1;\n\t\tunsigned int :21;\n"
        b"\t\tunsigned int tail:1;\n" in after
    )


def test_padding_of_one_bit_disappears():
    """The last bit of padding is replaced."""
    source = changed(
        "demo", HOST, b"\t\tunsigned int cr4_la57:1;\n",
        b"\t\tunsigned int cr4_la57:1;\n\t\tunsigned int :1;\n\t\tunsigned int tail:22;\n",
    )  # fmt: skip
    (repair,) = fix.search(source).repairs
    after = next(one.after for one in repair.files if one.path == HOST)
    assert b"efer_lma:1;\n\t\tunsigned int tail:22;\n" in after


def test_a_full_word_is_never_overrun():
    """Without a bit left there is no candidate, and the gap is reported as open."""
    source = changed(
        "demo", HOST, b"\t\tunsigned int cr4_la57:1;\n",
        b"\t\tunsigned int cr4_la57:1;\n\t\tunsigned int more:23;\n",
    )  # fmt: skip
    outcome = fix.search(source)
    assert outcome.repairs == ()
    assert all("no bit left" in gap.reason for gap in outcome.open)


def test_a_comment_behind_a_member_is_not_torn():
    """A line goes in behind a comment that spans lines."""
    source = changed(
        "demo", HOST, b"\t\tunsigned int cr4_la57:1;\n",
        b"\t\tunsigned int cr4_la57:1; /* one\n\t\t\t\t\t  * two */\n",
    )  # fmt: skip
    (repair,) = fix.search(source).repairs
    after = next(one.after for one in repair.files if one.path == HOST)
    assert b"* two */\n\t\tunsigned int efer_lma:1;\n" in after


def test_a_declared_bit_that_nobody_sets_is_only_set():
    """One line is enough where the member is there."""
    source = changed(
        "demo", HOST, b"\t\tunsigned int cr4_la57:1;\n",
        b"\t\tunsigned int cr4_la57:1;\n\t\tunsigned int efer_lma:1;\n",
    )  # fmt: skip
    (repair,) = fix.search(source).repairs
    assert inserted(repair) == (["ext.efer_lma = ____is_efer_lma(regs);"], 0)


def test_an_unbraced_statement_is_no_neighbour():
    """A line after the only statement of an if would stand outside of it."""
    source = changed(
        "demo", MMU, b"\t}\n\n\text.valid = 1;",
        b"\t}\n\n\tif (____is_cr4_pse(regs))\n\t\text.cr4_pse = 1;\n\n\text.valid = 1;",
    )  # fmt: skip
    (repair,) = fix.search(source).repairs
    after = next(one.after for one in repair.files if one.path == MMU)
    assert b"cr4_la57(regs);\n\t\text.efer_lma" in after


def test_crlf_files_stay_crlf():
    """New lines end as the others of their file."""
    source = open_source(tree("masked-word-gap"))
    edits = {p: source.read(p).replace(b"\n", b"\r\n") for p in (HOST, "arch/x86/kvm/mmu.c")}
    (repair,) = fix.search(Overlay(source, edits)).repairs
    for one in repair.files:
        assert one.after.count(b"\n") == one.after.count(b"\r\n")


def test_one_bit_reads_are_truth_values():
    """A mask is turned into 0 or 1, as a one-bit member would cut it off."""
    for name in ("masked-word-gap", "args-vs-vcpu-gap"):
        for repair in search(name).repairs:
            for statement in repair.candidate.statements:
                assert "= !!" in statement


def test_a_candidate_that_does_harm_is_dropped(monkeypatch):
    """A change after which more is unknown, or a path is gone, is no fix."""
    good = search("demo").repairs[0]
    noise = Unknown(Place(MMU, 1), "not understood")
    for harmed in (
        good.after._replace(unknowns=(noise,)),
        good.after._replace(contexts=good.after.contexts[1:]),
    ):
        answers = iter([good.before])
        monkeypatch.setattr(rule, "check", lambda *_, a=answers, h=harmed: next(a, h))
        outcome = fix.search(open_source(tree("demo")))
        assert outcome.repairs == ()
        (reason,) = {gap.reason for gap in outcome.open}
        assert reason.startswith("none of 2 candidates closes it")
        if harmed.unknowns:
            assert reason.endswith(f"` this is not understood: {MMU}:1: not understood")


def test_what_is_undecided_afterwards_is_not_closed(monkeypatch):
    """A change after which nobody knows is no proof, even where no more is unknown than before."""
    good = search("demo").repairs[0]
    contexts = tuple(
        one._replace(fields=tuple(
            f._replace(verdict="unknown", missing=(), witness=None, reasons=(Reason("why"),))
            if f.missing else f for f in one.fields))
        for one in good.before.contexts
    )  # fmt: skip
    answers = iter([good.before])
    vague = good.before._replace(contexts=contexts)
    monkeypatch.setattr(rule, "check", lambda *_, a=answers: next(a, vague))
    outcome = fix.search(open_source(tree("demo")))
    assert outcome.repairs == ()
    (reason,) = {one.reason for one in outcome.open}
    assert reason.endswith("with `ext.efer_lma = ____is_efer_lma(regs);` it is not decided: why")


STORE = re.compile(rb"\n\t(vcpu->arch\.\w+\.\w+_role\.(?:ext\.valid|word) = 0;)")


def _missing(source, field):
    """Return the inputs that no compared role determines."""
    report = rule.check(Index(source, KVM), (field,))
    return {name for finding in report.findings for name in finding.missing}


def test_an_invalidation_comes_back_in_a_real_kernel(kernels):
    """Taken away from the function that a change of CPUID ends in, the stores are found again."""
    for kernel in kernels:
        source = open_source(str(kernel))
        data = source.read(MMU)
        start = data.index(b"void kvm_mmu_after_set_cpuid(")
        end = data.index(b"\n}", start)
        taken = [one.decode() for one in STORE.findall(data, start, end)]
        valid = sorted(one for one in taken if one.endswith("ext.valid = 0;"))
        assert len(valid) == 3
        less = Overlay(source, {MMU: data[:start] + STORE.sub(b"", data[start:end]) + data[end:]})
        genuine, opened = (_missing(one, "guest_rsvd_check") for one in (source, less))
        outcome = fix.search(less, ("guest_rsvd_check",))
        # What a kernel left open before may be closed as well.
        (repair,) = [one for one in outcome.repairs if one.candidate.kind == "invalidation"]
        others = {name for one in outcome.repairs if one is not repair for name in one.inputs}
        assert others <= genuine
        assert sorted(repair.candidate.statements) == valid
        assert repair.candidate.functions == ("kvm_mmu_after_set_cpuid",)
        assert set(repair.inputs) == opened - genuine
        assert "reserved_gpa_bits" in opened - genuine


def test_inputs_are_parsed():
    """Register bits are told from C access paths."""
    assert parse_bit("EFER.LMA").flag == "EFER_LMA"
    assert parse_bit("CR4.LA57").member == "cr4_la57"
    assert parse_bit("vcpu->arch.maxphyaddr") is None


BITS = ["cr0_pg", "cr4_pae", "cr4_la57", "efer_lma", "cr4_smep", "cr4_pse"]


def without(source, bits):
    """Take role bits away: their declarations and their assignments."""
    edits = {}
    for path in (HOST, MMU):
        data = source.read(path)
        for bit in bits:
            data = re.sub(rb"\n\t\tunsigned int %s:1;" % bit.encode(), b"", data)
            data = re.sub(rb"\n\t+(?:role\.)?ext\.%s = [^;]*;" % bit.encode(), b"", data)
            data = re.sub(rb"role\.ext\.%s && " % bit.encode(), b"", data)
        edits[path] = data
    return Overlay(source, edits)


@settings(
    max_examples=12, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    name=st.sampled_from(["demo", "role-regs-fixed", "guard-block-fixed", "cpu-role-fixed"]),
    bits=st.sets(st.sampled_from(BITS), min_size=1),
)
def test_any_bit_that_is_taken_away_comes_back_or_is_told(name, bits):
    """With random bits removed, every gap is closed and proved, or stays open by name."""
    source = without(open_source(tree(name)), sorted(bits))
    outcome = fix.search(source)
    edits = {one.path: one.after for repair in outcome.repairs for one in repair.files}
    again = rule.check(Index(Overlay(source, edits), KVM))
    assert again.verdict == outcome.last.verdict
    assert {g.key for g in outcome.open} == fix.gaps(again).keys()
    assert all(gap.reason for gap in outcome.open)
    if outcome.first.verdict == "gap":
        assert outcome.repairs or outcome.open


# -- the command ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status"),
    [("demo", 0), ("role-regs-fixed", 0), ("unguarded", 0), ("args-vs-vcpu-gap", 3),
     ("cpuid-stale-gap", 0), ("broken-syntax", 3)],
)  # fmt: skip
def test_the_exit_status_tells_what_is_left(name, status, tmp_path):
    """0 nothing left, 1 a gap remains, 3 undecided."""
    assert run(tree(name), "-o", tmp_path) == status


def test_a_gap_that_remains_is_no_success(tmp_path):
    """What could be closed is, and the status says that it is not all."""
    source = full("args-vs-vcpu-bits-gap")
    where = copied("args-vs-vcpu-bits-gap", tmp_path / "tree")
    (where / HOST).write_bytes(source.read(HOST))
    assert run(where, "-o", tmp_path / "out") == 1
    (path,) = (tmp_path / "out").iterdir()
    notes = " ".join(path.read_text("utf-8").partition("\n---\n")[2].split())
    assert "Not closed: - root_level: EFER.LMA on guest_mmu" in notes and "hsave" in notes


def test_the_number_of_checks_is_told(tmp_path, capsys):
    """One check at the start and one for the candidate."""
    run(tree("demo"), "-o", tmp_path)
    assert "1 patch; verdict gap -> covered; 2 checks" in capsys.readouterr().err


def test_the_tree_is_never_written_to(tmp_path):
    """Without --apply all files stay as they are."""
    where = copied("demo", tmp_path / "tree")
    before = {p: p.read_bytes() for p in where.rglob("*") if p.is_file()}
    run(where, "-o", tmp_path / "out")
    assert {p: p.read_bytes() for p in where.rglob("*") if p.is_file()} == before


@pytest.fixture
def cloned(tmp_path):
    """Return the demo as a git repository."""
    return scratch.cloned("demo", tmp_path / "tree")


def test_what_is_kept_is_not_closed():
    """A change that leaves a field adding to what it finds has not closed that."""
    states = Witness((), (), (), (), (), (0, 1))
    was = FieldResult("f", "f", "gap", accumulated=states)
    gone = was._replace(verdict="covered", accumulated=None)
    assert fix._is_closed(was, gone, ())
    assert not fix._is_closed(was, was, ())
    assert not fix._is_closed(gone, gone, ())
    assert not fix._is_closed(was, gone._replace(verdict="unknown"), ())


LEVELS = ("--fields", "root_level,shadow_root_level")
KBUILD = """\
x86_64_defconfig olddefconfig:
	@test "$(ARCH)" = x86 && touch $(O)/.config
%.o: %.c
	@grep -q 'ext.efer_lma =' $< || { echo "mmu.c:1: error: not changed" >&2; exit 1; }
	@echo "$(SAID)" >&2; mkdir -p $(O)/$(dir $@); cp $< $(O)/$@
"""


def whole(where, makefile):
    """Make a tree of the demo that looks as if it could be built."""
    program("make")
    names = ("Kbuild", "Kconfig", "init/main.c", "kernel/fork.c", "arch/x86/Makefile")
    config = b'#!/bin/sh\necho "$*" >> "$2"\n'
    fill(copied("demo", where), {**dict.fromkeys(names, b""), "scripts/config": config})
    (where / "Makefile").write_text(makefile)
    (where / "scripts/config").chmod(0o755)
    return where


@pytest.mark.parametrize(
    ("said", "told"), [("", "no warnings."), ("mmu.c:1: warning: odd", "the compiler warned.")]
)
def test_a_patch_may_be_built(tmp_path, monkeypatch, said, told):
    """The tree's own make is run on a copy with the changes, and the tree stays as it was.

    A make around this one, which would have it warn, does not matter.
    """
    monkeypatch.setenv("SAID", said)
    monkeypatch.setenv("MAKEFLAGS", "-j2 --jobserver-auth=101,102")
    where = whole(tmp_path / "tree", KBUILD)
    before = {path: path.read_bytes() for path in where.rglob("*") if path.is_file()}
    assert run(where, "-o", tmp_path / "out", "--build", *LEVELS) == 0
    (path,) = (tmp_path / "out").iterdir()
    words = " ".join(path.read_text().split())
    assert "Built arch/x86/kvm/mmu/mmu.o (x86_64_defconfig with KVM," in words and told in words
    assert before == {path: path.read_bytes() for path in where.rglob("*") if path.is_file()}


def test_a_build_that_fails_is_told(tmp_path):
    """The sentence has the compiler's first error; no patch is written."""
    where = whole(tmp_path / "tree", KBUILD.replace("ext.efer_lma =", "no such thing"))
    words = r"the build failed at 'arch.*mmu\.o': mmu\.c:1: error: not changed"
    with pytest.raises(PatchtoolError, match=words):
        run(where, "-o", tmp_path / "out", "--build", *LEVELS)
    assert not (tmp_path / "out").exists()


def test_apply_changes_a_clean_tree(cloned):
    """The files hold what was checked, modes stay, and nothing else appears."""
    (cloned / MMU).chmod(0o640)
    assert run(cloned, "--apply") == 0
    assert git(cloned, "status", "--porcelain").split() == ["M", HOST, "M", MMU]
    assert (cloned / MMU).stat().st_mode & 0o777 == 0o640
    assert rule.check(Index(open_source(str(cloned)), KVM)).verdict == "covered"
    assert git(cloned, "diff", "--shortstat") == "2 files changed, 2 insertions(+)"


def test_apply_refuses_a_dirty_file(cloned):
    """What the person has not committed is not mixed with a fix."""
    (cloned / MMU).write_bytes((cloned / MMU).read_bytes() + b"/* mine */\n")
    before = (cloned / HOST).read_bytes()
    with pytest.raises(UsageError, match=r"mmu\.c has changes"):
        run(cloned, "--apply")
    assert (cloned / HOST).read_bytes() == before


def test_apply_refuses_staged_and_untracked_files(cloned):
    """The index counts as work of the person, and so does a file that git does not know."""
    (cloned / HOST).write_bytes((cloned / HOST).read_bytes() + b"/* mine */\n")
    git(cloned, "add", HOST)
    with pytest.raises(UsageError, match="has changes"):
        run(cloned, "--apply")
    git(cloned, "rm", "--quiet", "--cached", "--force", HOST)
    with pytest.raises(UsageError, match="not tracked"):
        run(cloned, "--apply")


def test_apply_needs_git(tmp_path):
    """In a plain folder nothing could be undone."""
    with pytest.raises(UsageError, match="not in a git work tree"):
        run(copied("demo", tmp_path / "tree"), "--apply")


def test_apply_is_all_or_nothing(cloned, monkeypatch):
    """A rename that fails in the middle leaves every file as it was."""
    before = {p: (cloned / p).read_bytes() for p in (HOST, MMU)}
    real, calls = os.replace, []

    def failing(source, target):
        # The cache of histories is written to as well, unless an earlier run filled it.
        calls.extend([target] * target.startswith(str(cloned)))
        if len(calls) == 2:
            raise OSError(28, "No space left on device", target)
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(PatchtoolError, match="no space left"):
        run(cloned, "--apply")
    assert {p: (cloned / p).read_bytes() for p in before} == before
    assert git(cloned, "status", "--porcelain") == ""


def test_a_patch_that_is_there_is_not_lost(tmp_path, monkeypatch):
    """Where a later patch of a series cannot be written, an equal one from before stays."""
    mails = [Mail("0001-a.patch", "one"), Mail("0002-b.patch", "two")]
    command.write(str(tmp_path), mails[:1])

    real = os.replace

    def full(source, target):
        if target.endswith("0002-b.patch"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PatchtoolError, match=r"0002-b\.patch cannot be written: no space left"):
        command.write(str(tmp_path), mails)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        ("0001-a.patch", "one")
    ]


def test_a_folder_with_other_patches_is_refused(tmp_path):
    """A file of the same number is not written over or joined; a new version is."""
    (tmp_path / "0001-mine.patch").write_text("x")
    with pytest.raises(UsageError, match=r"already holds 0001-mine\.patch"):
        run(tree("demo"), "-o", tmp_path)
    assert os.listdir(tmp_path) == ["0001-mine.patch"]
    assert run(tree("demo"), "-o", tmp_path, "--reroll-count", "2") == 0
    assert sorted(os.listdir(tmp_path))[1].startswith("v2-0001-KVM-x86-mmu-")


def test_the_same_patch_again_is_no_conflict(tmp_path, monkeypatch):
    """SOURCE_DATE_EPOCH makes runs alike, byte for byte."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert run(tree("demo"), "-o", tmp_path) == 0
    (first,) = tmp_path.iterdir()
    data = first.read_bytes()
    assert run(tree("demo"), "-o", tmp_path) == 0
    assert first.read_bytes() == data and b"14 Nov 2023 22:13:20 +0000" in data


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    """A read-only folder is an error of the person, and nothing is left behind."""
    tmp_path.chmod(0o500)
    with pytest.raises(PatchtoolError, match="cannot be written: permission denied"):
        run(tree("demo"), "-o", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_one_sentence(tmp_path):
    """The output must be a folder."""
    (tmp_path / "out").write_text("x")
    with pytest.raises(PatchtoolError, match="cannot be used"):
        run(tree("demo"), "-o", tmp_path / "out")


def test_a_failing_disk_leaves_no_half_series(tmp_path, monkeypatch):
    """If one file of a series cannot be put in its place, none is."""
    real, calls = os.replace, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(30, "Read-only file system", target)
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(PatchtoolError, match="read-only file system"):
        run(tree("args-vs-vcpu-gap"), "-o", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_identity_is_one_sentence(tmp_path, monkeypatch):
    """Nobody signs off in the name of nobody, and nothing is written."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    where = copied("demo", tmp_path / "tree")
    with pytest.raises(UsageError, match=r"git config --global user\.name"):
        run(where, "--signoff", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rev", "HEAD", "--build"], "--rev cannot go with"),
        (["--fixes", "HEAD"], "not the id of a commit"),
        (["--fixes", "0123456789ab"], "no history"),
        (["--fields", "1x"], "not the name of a member"),
        (["--fields", "nothing_of_the_kind"], "nothing_of_the_kind"),
        (["--recipients"], "has no scripts/get_maintainer.pl"),
        (["--build"], "no whole kernel tree"),
        (["--base", "HEAD"], "not the top of a git repository"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence(arguments, words, tmp_path):
    """Bad input is told in one sentence and leaves nothing behind."""
    where = copied("demo", tmp_path / "tree")
    with pytest.raises(PatchtoolError, match=re.escape(words)) as caught:
        run(where, "-o", tmp_path / "out", *arguments)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_time_that_is_none_is_one_sentence(tmp_path, monkeypatch):
    """SOURCE_DATE_EPOCH must be a number."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        run(tree("demo"), "-o", tmp_path)


FLAGS = "arch/x86/include/uapi/asm/processor-flags.h"
ROLE_BITS = b"(X86_CR4_PAE | X86_CR4_LA57 | X86_CR4_PKE)"
LEVEL = b"\tcontext->root_level = role_regs_to_root_level(&regs);\n"
PAGING = b"\tif (____is_cr0_pg(regs)) {\n\t\text.cr0_pg = 1;\n"
FIRST = (
    b"\text.valid = 1;\n\n\tif (!____is_cr0_pg(regs))\n\t\treturn ext;\n\n"
    b"\t{\n\t\text.cr0_pg = 1;\n"
)
TOO_FAR = b"kvm_read_cr4_bits(vcpu, X86_CR4_UMIP)"


@pytest.mark.parametrize(
    ("read", "early", "mask", "masks"),
    [
        (b"____is_cr0_pg(&regs) && " + TOO_FAR, False, ROLE_BITS, ["KVM_MMU_CR4_ROLE_BITS"]),
        (TOO_FAR, True, ROLE_BITS, ["KVM_MMU_CR4_ROLE_BITS"]),
        (TOO_FAR, True, ROLE_BITS[:-1] + b" | X86_CR4_UMIP)", []),
        (TOO_FAR, True, b"(~0ul)", []),
    ],
    ids=["behind paging", "in front of a return", "let through", "no mask"],
)
def test_a_new_bit_of_a_register_is_let_through(read, early, mask, masks):
    """A snapshot of a register has the bits of a mask alone, and a role without paging returns."""
    source = open_source(tree("role-regs-fixed"))
    data = {path: source.read(path) for path in (MMU, FLAGS, "arch/x86/kvm/mmu.h")}
    assert data[MMU].count(LEVEL) == 1 and data[MMU].count(PAGING) == 1
    level = LEVEL.replace(b";\n", b" + !!(%s);\n" % read)
    data[MMU] = data[MMU].replace(LEVEL, level).replace(PAGING, FIRST if early else PAGING)
    data[FLAGS] = data[FLAGS].replace(
        b"#define X86_CR4_PKE_BIT", b"#define X86_CR4_UMIP\t_BITUL(11)\n#define X86_CR4_PKE_BIT", 1
    )
    data["arch/x86/kvm/mmu.h"] = data["arch/x86/kvm/mmu.h"].replace(ROLE_BITS, mask)
    outcome = fix.search(Overlay(source, data), ["root_level"])
    (repair,) = outcome.repairs
    assert (repair.input, outcome.open) == ("CR4.UMIP", ())
    assert list(repair.candidate.masks) == masks
    after = {one.path: one.after for one in repair.files}
    place = b"\text.cr4_umip = !!(regs->cr4 & X86_CR4_UMIP);\n"
    assert after[MMU].count(place) == 1
    if early:
        assert place + b"\text.valid = 1;\n\n\tif (!____is_cr0_pg(regs))" in after[MMU]
    widened = b"X86_CR4_PKE | \\\n\t\tX86_CR4_UMIP)" if masks else mask
    assert widened in after.get("arch/x86/kvm/mmu.h", data["arch/x86/kvm/mmu.h"])
