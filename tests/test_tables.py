# SPDX-License-Identifier: GPL-2.0-only
"""Operations that a table of functions leaves out: what a static call does there."""

import pytest
from edited import check, fixture

MMU = "arch/x86/kvm/mmu/mmu.c"
LISTING = "arch/x86/include/asm/kvm-x86-ops.h"
FIXED = fixture("role-regs-fixed")
OPS = """\
struct kvm_x86_ops {
	bool (*is_long)(u64 efer);
};
extern struct kvm_x86_ops kvm_x86_ops;
"""
UPDATE = """\
#include <linux/kvm_host.h>

struct kvm_x86_ops kvm_x86_ops;

int kvm_ops_update(struct kvm_x86_ops *ops)
{
	kvm_x86_ops = *ops;
#define __KVM_X86_OP(func) \\
	static_call_update(kvm_x86_##func, kvm_x86_ops.func);
#define KVM_X86_OP(func) \\
	WARN_ON(!kvm_x86_ops.func); __KVM_X86_OP(func)
#define KVM_X86_OP_OPTIONAL __KVM_X86_OP
#define KVM_X86_OP_OPTIONAL_RET0(func) \\
	static_call_update(kvm_x86_##func, (void *)kvm_x86_ops.func ? : \\
		(void *)__static_call_return0);
#include <asm/kvm-x86-ops.h>
	return 0;
}
"""
VENDOR = """\
#include <linux/kvm_host.h>

static bool VENDOR_is_long(u64 efer)
{
	return !!(efer & EFER_LMA);
}

static bool VENDOR_is_short(u64 efer)
{
	return !(efer & EFER_LMA);
}

static struct kvm_x86_ops VENDOR_ops = {
	KEPT
};

static int __init VENDOR_init(void)
{LATE
	return kvm_ops_update(&VENDOR_ops);
}
"""
GIVEN = ".is_long = VENDOR_is_long,"
NULLED = "\n\tif (enable_ept)\n\t\tsvm_ops.is_long = NULL;"
PASTED = "#define op(name) .name = VENDOR_##name\n"
EITHER = "#ifdef CONFIG_BIG\n\t{}\n#else\n\t{}\n#endif"


def verdict(svm=GIVEN, listed="KVM_X86_OP_OPTIONAL_RET0(is_long)", late="", more=()):
    """Return the verdict where a bit of the role comes from an operation that vendors keep."""
    text = FIXED[MMU].decode()
    before = "ext.efer_lma = ____is_efer_lma(regs);"
    assert before in text
    text = text.replace(before, "ext.efer_lma = static_call(kvm_x86_is_long)(regs->efer);")

    def vendor(name, kept):
        text = VENDOR.replace("LATE", late if name == "svm" else "").replace("KEPT", kept)
        return text.replace("VENDOR", name)

    files = {
        **FIXED,
        MMU: text.replace("#define ACC_ALL", f"{OPS}#define ACC_ALL").encode(),
        LISTING: f"{listed}\n".encode(),
        "arch/x86/kvm/x86.c": UPDATE.encode(),
        "arch/x86/kvm/vmx/vmx.c": vendor("vmx", GIVEN).encode(),
        "arch/x86/kvm/svm/svm.c": vendor("svm", svm).encode(),
    }
    for path, code in more:
        files[path] = code.encode()
    report = check(files)
    for one in (field for context in report.contexts for field in context.fields):
        assert one.missing in ((), ("EFER.LMA",)), one.missing
    return report.verdict


@pytest.mark.parametrize(
    "svm",
    [
        GIVEN,
        ".is_long = &VENDOR_is_long,",
        EITHER.format(GIVEN, ".is_long = VENDOR_is_long,"),
        EITHER.format(f"#ifdef CONFIG_ODD\n\t{GIVEN}\n#else\n\t{GIVEN}\n#endif", GIVEN),
    ],
)
def test_a_table_that_keeps_a_function(svm):
    """Where each table keeps one, in every configuration, one of them is called."""
    assert verdict(svm) == "covered"


@pytest.mark.parametrize(
    "svm",
    [
        "",
        ".is_long = NULL,",
        ".is_long = 0,",
        f"#ifdef CONFIG_BIG\n\t{GIVEN}\n#endif",
        EITHER.format(GIVEN, ""),
        f"#if CONFIG_BIG > 1\n\t{GIVEN}\n#elif CONFIG_ODD\n\t{GIVEN}\n#endif",
    ],
)
@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("KVM_X86_OP_OPTIONAL_RET0(is_long)", "gap"),
        ("KVM_X86_OP_OPTIONAL(is_long)", "unknown"),
        ("KVM_X86_OP(is_long)", "unknown"),
        ("KVM_X86_OP_OPTIONAL_RET0(is_long)\nKVM_X86_OP(is_long)", "unknown"),
    ],
)
def test_a_table_that_leaves_an_operation_out(svm, listed, expected):
    """A static call that is aimed at nothing returns 0 where that is said, and else anything."""
    assert verdict(svm, listed) == expected


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        ("\n\tsvm_ops.is_long = svm_is_long;", "covered"),
        ("\n\tsvm_ops.is_long = svm_is_short;", "covered"),
        (NULLED, "gap"),
        ("\n\tsvm_ops.is_long = chosen;", "unknown"),
        ("\n\tsvm_ops.is_long = (void *)0;", "gap"),
    ],
)
def test_an_operation_that_is_taken_out(late, expected):
    """What module initialisation stores to a table need be no function."""
    assert verdict(late=late) == expected


def test_a_table_of_a_vendor_whose_type_is_not_spelt():
    """A vendor that keeps no function in any table leaves the operation out."""
    ops = ("typeof(kvm_x86_ops)", "ops_t")
    for one in ops:
        code = VENDOR.replace("struct kvm_x86_ops VENDOR", f"{one} VENDOR").replace("LATE", "")
        code = code.replace("KEPT", "").replace("VENDOR", "svm")
        more = [("arch/x86/kvm/svm/svm.c", code)]
        assert verdict(more=more) == "gap"


@pytest.mark.parametrize("kind", ["", "static ", "static const "])
def test_a_second_table_of_a_vendor(kind):
    """Each table of the type counts, wherever it lies."""
    code = f"#include <linux/kvm_host.h>\n{kind}struct kvm_x86_ops bare_ops = {{ .other = 0 }};\n"
    assert verdict(more=[("arch/x86/kvm/svm/nested.c", code)]) == "gap"
    assert verdict(more=[("arch/x86/kvm/hyper.c", code)]) == "gap"
