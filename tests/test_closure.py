# SPDX-License-Identifier: GPL-2.0-only
"""What a call may run and change, where members are come by through addresses and tables."""

import pytest
from edited import Files, fixture

from patchtool.c.index import Index
from patchtool.target.kvm import KVM
from patchtool.world.closure import Closure

MMU = "arch/x86/kvm/mmu/mmu.c"
FIXED = fixture("role-regs-fixed")


def closure(code, more=()):
    """Return what is known of a fixture with some more code."""
    files = {**FIXED, MMU: FIXED[MMU] + code.encode(), **dict(more)}
    index = Index(Files(files), KVM)
    tables = {"flush": "vmx_flush"}

    def operations(name):
        if name not in tables:
            return ()
        found = index.functions(tables[name], "arch/x86/kvm/vmx/vmx.h")
        return tuple((one.name, one) for one in found)

    return index, Closure(index, operations)


@pytest.mark.parametrize(
    ("body", "is_parked"),
    [
        ("u64 *p = &v->arch.spare;\n\n\t*p = 1;", False),
        ("u64 *p;\n\n\tp = &v->arch.spare;\n\t*p = 1;", False),
        ("read_msr(&kvm_host.spare);", False),
        ("u64 *p;\n\n\tp = &v->arch.spare;\n\tkeep(p);", True),
        ("parked = &v->arch.spare;", True),
        ("read_msr(&v->arch.spare);", True),
    ],
)
def test_kept_addresses(body, is_parked):
    """An address in a variable that is followed only is not kept, whenever it was set."""
    _, known = closure(f"void keeper(struct kvm_vcpu *v)\n{{\n\t{body}\n}}\n")
    assert known.is_parked("spare") is is_parked


@pytest.mark.parametrize(
    ("body", "may_store"),
    [
        ("inner(vcpu);", False),
        ("vcpu->arch.spare = 1;", True),
        ("unheard_of(vcpu)(vcpu);", True),
    ],
)
def test_a_table_leads_into_a_header(body, may_store):
    """What a function of a header calls is looked for in that header as well."""
    header = (
        "static inline void inner(struct kvm_vcpu *vcpu) {}\n"
        f"static inline void vmx_flush(struct kvm_vcpu *vcpu)\n{{\n\t{body}\n}}\n"
    )
    caller = "void caller(struct kvm_vcpu *vcpu)\n{\n\tops->flush(vcpu);\n}\n"
    index, known = closure(caller, {"arch/x86/kvm/vmx/vmx.h": header.encode()}.items())
    (function,) = index.functions("caller", MMU)
    assert known.may_store(function, frozenset({"spare"})) is may_store
