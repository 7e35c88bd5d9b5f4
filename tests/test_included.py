# SPDX-License-Identifier: GPL-2.0-only
"""What is compiled with KVM's text is looked at, whatever it is called, or doubted."""

import pytest
from edited import check, fixture

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
