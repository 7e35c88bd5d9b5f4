# SPDX-License-Identifier: GPL-2.0-only
"""What people call an input: by what it is, else by its C text; and that no verdict rests on it."""

import json
import re

import pytest
from edited import Files, fixture

from patchtool.c.index import Index
from patchtool.lint.introduced import _words
from patchtool.report import render
from patchtool.report.options import Options
from patchtool.rules import stale_mmu_role as rule
from patchtool.target.kvm import KVM

MASKS, HOST = "arch/x86/kvm/mmu/mmu.c", "arch/x86/include/asm/kvm_host.h"
BARE = KVM._replace(registers=KVM.registers._replace(names={}, answers=()))
"""The same target, which knows no name but those of registers."""


def decided(files, fields=("all",), target=KVM):
    """Check files in memory."""
    return rule.check(Index(Files(files), target), fields, "tree")


def named(report):
    """Return the C text of every input by its name."""
    return {
        given.name: given.source
        for context in report.contexts
        for one in context.fields
        for given in one.inputs
    }


def result(report, name, initialiser="init_kvm_tdp_mmu"):
    """Return the verdict on a field of the first path through an initialiser."""
    (found, *_) = (
        one
        for context in report.contexts
        if context.initialiser == initialiser
        for one in context.fields
        if one.name == name
    )
    return found


def edited(name, *edits):
    """Return a fixture with texts replaced, each by path, old and new."""
    files = fixture(name)
    for path, old, new in edits:
        assert old in files[path], (path, old)
        files[path] = files[path].replace(old, new)
    return files


def essence(report):
    """Return the verdicts with inputs by their C words, without the masks of single bits."""
    found = {}
    for context in report.contexts:
        for one in context.fields:
            c = {given.name: given.source for given in one.inputs}
            words = {re.sub(r" & VMX\w+$", "", c.get(name, name)) for name in one.missing}
            found[context.entry, one.name] = one.verdict, words
    return report.verdict, found


@pytest.mark.parametrize("name", ["vcpu-masks-gap", "cpuid-stale-gap", "pagewalk-fixed",
                                  "args-vs-vcpu-gap", "cpuid-invalidated-fixed"])  # fmt: skip
def test_no_verdict_rests_on_a_name(name):
    """Without any of the names the verdicts are the same, and C texts stand for the inputs."""
    with_names, without = (decided(fixture(name), target=one) for one in (KVM, BARE))
    assert essence(with_names) == essence(without)
    bits = KVM.registers.is_bit
    assert all(bits(name) or name == text for name, text in named(without).items())


def test_what_is_no_register_bit_has_a_name():
    """A member is told by its record, an answer by what was asked, a part of a word by bits."""
    found = named(decided(fixture("vcpu-masks-gap")))
    assert found["MAXPHYADDR"] == "vcpu->arch.maxphyaddr"
    assert found["guest CPUID.GBPAGES"] == "guest_cpuid_has(vcpu, X86_FEATURE_GBPAGES)"
    found = named(decided(fixture("pagewalk-fixed")))
    pointer = "to_vmx(vcpu)->nested.cached_vmcs12->ept_pointer"
    assert found["EPTP.PWL"] == f"{pointer} & VMX_EPTP_PWL_MASK"


def test_a_member_of_another_record_keeps_its_c_text():
    """A name goes by the type that holds a member, never by how the member is called alone."""
    path = "arch/x86/kvm/cpuid.c"
    files = {
        where: re.sub(rb"arch\.maxphyaddr|arch\.cpu\.maxphyaddr", b"arch.cpu.maxphyaddr", data)
        for where, data in fixture("vcpu-masks-gap").items()
    }
    assert b"arch.cpu.maxphyaddr" in files[path]
    files[HOST] = files[HOST].replace(
        b"\tint maxphyaddr;\n", b"\tstruct {\n\t\tint maxphyaddr;\n\t} cpu;\n"
    )
    found = named(decided(files))
    assert found["vcpu->arch.cpu.maxphyaddr"] == "vcpu->arch.cpu.maxphyaddr"
    assert "MAXPHYADDR" not in found


@pytest.mark.parametrize(
    ("declaration", "name"),
    [
        (b"module_param_named(npt, npt_enabled, bool, 0444);", "kvm_amd.npt"),
        (b"module_param(npt_enabled, bool, 0444);", "kvm_amd.npt_enabled"),
        (b"module_param_cb(npt, &npt_ops, &npt_enabled, 0444);", "kvm_amd.npt"),
        (b'MODULE_PARM_DESC(npt, "nested paging, npt_enabled");', None),
        (b"module_param_named(npt_enabled, other, bool, 0444);", None),
    ],
)
def test_a_parameter_is_called_as_on_the_command_line(declaration, name):
    """The parameter of a module is told by its declaration, with the module that has it."""
    files = edited(
        "vcpu-masks-gap",
        (MASKS, b"rsvd_bits_mask[0][0] = high", b"rsvd_bits_mask[0][0] = npt_enabled ? 0 : high"),
        (MASKS, b'#include "../mmu.h"\n', b'#include "../mmu.h"\n\nextern bool npt_enabled;\n'),
    )
    files["arch/x86/kvm/Makefile"] = b"kvm-y += mmu/mmu.o cpuid.o\nkvm-amd-y += svm/svm.o\n"
    files["arch/x86/kvm/svm/svm.c"] = (
        b'#include "../mmu.h"\n\nbool __read_mostly npt_enabled = true;\n' + declaration + b"\n"
    )
    report = decided(files, ("guest_rsvd_check",))
    witness = result(report, "guest_rsvd_check").witness
    assert witness is not None
    if name is None:
        assert not any(one.startswith("kvm_amd") for one, _ in witness.host)
        return
    assert name in dict(witness.host), witness.host
    assert witness.constants[[n for n, _ in witness.host].index(name)].source == "npt_enabled"


def test_a_bit_of_a_word_has_the_value_that_c_reads():
    """Where one high bit of a word without names is read, a state has that bit, not a one."""
    files = edited(
        "vcpu-masks-gap",
        (MASKS, b"rsvd_bits_mask[0][0] = high",
         b"rsvd_bits_mask[0][0] = (vcpu->arch.flags & 0x40) ? 0 : high"),
        (HOST, b"\tint maxphyaddr;\n", b"\tint maxphyaddr;\n\tu32 flags;\n"),
    )  # fmt: skip
    one = result(decided(files, ("guest_rsvd_check",)), "guest_rsvd_check")
    assert "vcpu->arch.flags" in one.missing
    (given,) = (given for given in one.inputs if given.name == "vcpu->arch.flags")
    assert given.span == (6, 6)
    witness = next(
        w for w in (one.witness, *one.others) if w and w.differs == ("vcpu->arch.flags",)
    )
    assert {dict(witness.a)["vcpu->arch.flags"], dict(witness.b)["vcpu->arch.flags"]} == {0, 0x40}


def test_a_change_is_looked_for_by_what_c_says():
    """A line that a change takes away is found by the name, or by the function that is asked."""
    report = decided(fixture("vcpu-masks-gap"), ("guest_rsvd_check",))
    (finding,) = report.findings
    assert {*_words(finding)} == {"MAXPHYADDR", "GBPAGES", "guest_cpuid_has"}


def test_values_are_said_in_words():
    """A state says yes and no, and the JSON has name, C text, bits, number and words."""
    report = decided(fixture("vcpu-masks-gap"), ("guest_rsvd_check",))
    text = render(report, "text", Options())
    assert re.search(r"guest CPUID.GBPAGES +no +no +no != yes\n", text), text
    one = json.loads(render(report, "json", Options()))["contexts"][0]["fields"][0]
    rows = {(row["name"], row["c"]): row for w in one["witnesses"] for row in w["inputs"]}
    row = rows["guest CPUID.GBPAGES", "guest_cpuid_has(vcpu, X86_FEATURE_GBPAGES)"]
    assert (row["bits"], row["values"], row["words"]) == ([0, 0], [0, 1], ["no", "yes"])
    row = rows["MAXPHYADDR", "vcpu->arch.maxphyaddr"]
    assert row["bits"] == [5, 0] and [str(value) for value in row["values"]] == row["words"]
