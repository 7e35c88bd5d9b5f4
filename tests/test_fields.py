# SPDX-License-Identifier: GPL-2.0-only
"""Every cached field that a set-up stores, decided as the compiled code behaves."""

import shutil

import miniatures
import pytest
from edited import check, fixture
from oracle import compare, fields

from patchtool.c.index import Index
from patchtool.errors import UsageError
from patchtool.outside.source import open_source
from patchtool.rules import stale_mmu_role as rule
from patchtool.target.kvm import KVM

if shutil.which("gcc") is None:
    pytest.skip("needs gcc", allow_module_level=True)


def decided(name, wanted):
    """Check some fields of a miniature."""
    return rule.check(Index(open_source(str(miniatures.folder(name))), KVM), wanted, name)


@pytest.mark.parametrize("name", ["cpu-role-fixed", "cpu-role-level-gap"])
def test_a_level_in_a_role_by_another_name(name):
    """What took a field's place is found by the type of a role, whatever the member is called."""
    files = fixture(name)
    levels = ("root_level", "shadow_root_level")

    def cells(old, new):
        report = check({path: data.replace(old, new) for path, data in files.items()}, levels)
        found = {(c.context, one.name, one.verdict) for c in report.contexts for one in c.fields}
        return report.verdict, found, [one.reason for one in report.unknowns]

    assert {one[1] for one in cells(b"", b"")[1]} == {*levels}
    assert cells(b"cpu_role", b"mode_of_paging") == cells(b"", b"")
    verdict, found, reasons = cells(b"level", b"depth")
    assert verdict == "unknown" and not found
    assert "no guarded set-up stores root_level, shadow_root_level" in reasons


@pytest.mark.parametrize(
    "name", ["guard-swapped-fixed", "role-regs-fixed", "args-vs-vcpu-gap", "vcpu-masks-gap"]
)
def test_miniatures_as_gcc(name):
    """What is stored, and what makes it stale, is what the compiled set-ups show."""
    _, rows, same, cells, _ = compare.compare(miniatures.folder(name))
    assert not rows
    assert same == cells > 0


def test_kernels_as_gcc(kernels):
    """On real kernels every field of every path is decided as gcc decides it."""
    for tree in kernels:
        _, rows, same, cells, unknowns = compare.compare(tree)
        assert not rows, tree
        assert not unknowns, tree
        assert same == cells > 20, tree


def test_all_is_what_is_stored():
    """Asking for all fields asks for those that a set-up stores, by running it."""
    report = decided("guard-swapped-fixed", ("all",))
    names = {one.name for context in report.contexts for one in context.fields}
    stored = {name for found in fields.decide(miniatures.folder("guard-swapped-fixed")).values()
              for name in found}  # fmt: skip
    assert stored <= names


def test_every_field_is_accounted_for():
    """What other code does to a field is looked for, whichever is asked for."""
    report = decided("vcpu-masks-gap", ("all",))
    names = {one.member.partition(".")[0] for context in report.contexts for one in context.fields}
    assert {"pkru_mask", "guest_rsvd_check"} <= names <= {one.name for one in report.mentions}


def test_field_that_no_type_has():
    """A field that no context has is refused by name."""
    with pytest.raises(UsageError, match="no_such_field"):
        decided("guard-swapped-fixed", ("no_such_field",))


@pytest.mark.parametrize(
    ("type_", "host", "is_fine"),
    [("bool", "tdp_enabled", True), ("bool", "other", False), ("int", "tdp_enabled", False)],
)
def test_a_context_is_in_use_on_some_hosts_alone(type_, host, is_fine):
    """What the set-up of nested_mmu reads without TDP alone, no such set-up ever reads."""
    files = fixture("role-regs-fixed")
    path = "arch/x86/kvm/mmu/mmu.c"
    text = files[path].decode()
    for old, new in (
        ("g_context->root_level = new_role.base.level;",
         f"g_context->root_level = {host} & 1 ? 4 : vcpu->arch.hflags & 3;"),
        ("bool tdp_enabled;", f"bool other __read_mostly;\n{type_} tdp_enabled;"),
    ):  # fmt: skip
        assert text.count(old) == 1
        text = text.replace(old, new)
    report = check({**files, path: text.encode()}, ("root_level",))
    verdicts = {c.context: c.verdict for c in report.contexts if c.context != "root_mmu"}
    assert verdicts["nested_mmu"] == ("covered" if is_fine else "gap")
    told = {one for c in report.contexts for f in c.fields for one in f.assumptions}
    assert any(one.startswith("nested_mmu is used for nested TDP") for one in told) == is_fine
