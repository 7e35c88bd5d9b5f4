# SPDX-License-Identifier: GPL-2.0-only
"""Code outside of the set-ups that changes a role, and what of it keeps a field in step."""

import pytest
from edited import check, fixture

MMU = "arch/x86/kvm/mmu/mmu.c"
FIXED = fixture("role-regs-fixed")
EPT = ("nested_ept_init_mmu_context", "kvm_init_shadow_ept_mmu")


def switched(body, before="struct kvm_mmu *mmu = vcpu->arch.mmu;"):
    """Return the report on a tree where a function that changes the role is added."""
    code = "void switch_eptp(struct kvm_vcpu *vcpu, bool ad, bool sure)\n{\n\t"
    code += before + "\n\n\t" + body + "\n}\n"
    return check({**FIXED, MMU: FIXED[MMU] + code.encode()}, ("ept_ad",))


def ept_ad(report):
    """Return the verdict on the field where the role determines it, and what it rests on."""
    ((verdict, facts),) = {
        (one.verdict, one.assumptions)
        for context in report.contexts
        for one in context.fields
        if "ept" in context.initialiser
    }
    return verdict, facts


@pytest.mark.parametrize(
    "body",
    [
        "mmu->ept_ad = ad;\n\tmmu->mmu_role.base.ad_disabled = !ad;",
        "mmu->mmu_role.base.ad_disabled = !ad;\n\tmmu->ept_ad = ad;",
        "if (mmu->mmu_role.base.ad_disabled == !ad)\n\t\treturn;\n\t"
        "mmu->mmu_role.base.ad_disabled = !ad;\n\tmmu->ept_ad = ad;",
        "mmu->mmu_role.base.ad_disabled = !ad;\n\tmmu->ept_ad = !mmu->mmu_role.base.ad_disabled;",
        "mmu->mmu_role.base.ad_disabled = 1;\n\tmmu->ept_ad = 0;",
        "mmu->mmu_role.base.ad_disabled = !ad;\n\tif (mmu != &vcpu->arch.root_mmu)\n\t\t"
        "mmu->ept_ad = ad;",
    ],
)
def test_changed_together(body):
    """A field that follows the changed role is as a set-up with that role leaves it."""
    report = switched(body)
    assert ept_ad(report)[0] == "covered"
    assert not report.unknowns


def test_it_is_told():
    """What the proof rests on names the function, the field and the bit."""
    body = "mmu->ept_ad = ad;\n\tmmu->mmu_role.base.ad_disabled = !ad;"
    words = "switch_eptp() keeps ept_ad in step with mmu_role.base.ad_disabled"
    assert words in ept_ad(switched(body))[1]


@pytest.mark.parametrize(
    "body",
    [
        "mmu->mmu_role.base.ad_disabled = !ad;",
        "mmu->ept_ad = ad;\n\tmmu->mmu_role.base.ad_disabled = ad;",
        "mmu->mmu_role.base.ad_disabled = !ad;\n\tif (sure)\n\t\tmmu->ept_ad = ad;",
        "mmu->mmu_role.base.ad_disabled = !ad;\n\tvcpu->arch.guest_mmu.ept_ad = ad;",
        "mmu->mmu_role.base.ad_disabled = !ad;\n\tmmu->ept_ad = unclear(mmu);",
        "mmu->mmu_role.base.ad_disabled = !ad;\n\tif (mmu != &vcpu->arch.guest_mmu)\n\t\t"
        "mmu->ept_ad = ad;",
        "mmu->mmu_role.base.ad_disabled = !ad;\n\tif (mmu == &vcpu->arch.root_mmu)\n\t\t"
        "mmu->ept_ad = ad;",
        "mmu->mmu_role.base.ad_disabled = !ad;\n\tmmu->ept_ad = ad;\n\t"
        "mmu->mmu_role.base.ad_disabled = sure;",
    ],
)
def test_changed_apart(body):
    """One that does not, or may not, is in doubt."""
    report = switched(body)
    assert ept_ad(report)[0] == "unknown"
    assert any("carries a field and is stored here as well" in u.reason for u in report.unknowns)


HELD = """bool held = other->ept_ad;

	mmu->mmu_role.base.ad_disabled = !ad;
	mmu->ept_ad = ad;
	other->ept_ad = held;"""
ROOT, GUEST = "&vcpu->arch.root_mmu", "&vcpu->arch.guest_mmu"


@pytest.mark.parametrize(
    ("one", "other", "is_fine"),
    [
        (ROOT, GUEST, True),
        (ROOT, "mmu", False),
        ("vcpu->arch.mmu", ROOT, False),
        (GUEST, "vcpu->arch.walk_mmu", False),
        ("vcpu->arch.mmu", "vcpu->arch.walk_mmu", False),
    ],
)
def test_two_that_may_be_one(one, other, is_fine):
    """What is put back through another pointer may be what the change is behind."""
    report = switched(HELD, f"struct kvm_mmu *mmu = {one};\n\tstruct kvm_mmu *other = {other};")
    assert (ept_ad(report)[0] == "covered") is is_fine, report.unknowns


CALLED = """static void switch_both(PARAMETERS, bool ad)
{
	BODY
}

void switch_eptp(struct kvm_vcpu *vcpu, struct kvm_vcpu *sibling, bool ad)
{
	switch_both(ARGUMENTS, ad);
}
"""
OF_BOTH = "struct kvm_mmu *mmu, struct kvm_mmu *other"
INSIDE = "mmu->mmu_role.base.ad_disabled = !ad;\n\tmmu->ept_ad = ad;\n\t"


@pytest.mark.parametrize(
    ("parameters", "body", "arguments", "is_fine"),
    [
        ("struct kvm_mmu *mmu", INSIDE, ROOT, True),
        (OF_BOTH, HELD, f"{ROOT}, {GUEST}", False),
        (OF_BOTH, HELD, f"{ROOT}, {ROOT}", False),
        (OF_BOTH, HELD, f"{ROOT}, vcpu->arch.mmu", False),
        (OF_BOTH, HELD, f"{ROOT}, &sibling->arch.guest_mmu", False),
        ("struct kvm_mmu *mmu, union kvm_mmu_role *role",
         f"{INSIDE}role->base.ad_disabled = ad;", f"{ROOT}, &vcpu->arch.mmu->mmu_role", False),
        ("struct kvm_mmu *mmu, bool *at", f"{INSIDE}*at = !ad;",
         f"{ROOT}, &vcpu->arch.mmu->ept_ad", False),
    ],
    ids=["one", "both", "twice one", "selected", "another vCPU", "a role", "a field"],
)  # fmt: skip
def test_parameters_that_may_be_one(parameters, body, arguments, is_fine):
    """Two pointers that a function is given may be to one object, or into it."""
    code = CALLED.replace("PARAMETERS", parameters).replace("BODY", body)
    text = FIXED[MMU] + code.replace("ARGUMENTS", arguments).encode()
    report = check({**FIXED, MMU: text}, ("ept_ad",))
    assert (ept_ad(report)[0] == "covered") is is_fine, report.unknowns


SHARED = """#include <linux/kvm_host.h>

static int copied(struct kvm_vcpu *vcpu, void *data)
{{
	{}
	return vcpu->vcpu_id;
}}

int kvm_vcpu_read_page(struct kvm_vcpu *vcpu, void *data)
{{
	return copied(vcpu, data);
}}
"""


@pytest.mark.parametrize(
    ("code", "is_fine"),
    [
        (SHARED.format("*(int *)data = 0;"), True),
        (SHARED.format("vcpu->arch.mmu->ept_ad = 0;"), False),
        (SHARED.format("vcpu->arch.ops->finish(vcpu);"), False),
        ("", False),
    ],
)
def test_a_function_that_all_of_kvm_shares(code, is_fine):
    """One that is defined and reads at most is no reason to doubt what stands around its call."""
    body = "int page;\n\n\tif (kvm_vcpu_read_page(vcpu, &page))\n\t\treturn;\n\t"
    body += "mmu->ept_ad = ad;\n\tmmu->mmu_role.base.ad_disabled = !ad;\n}\n"
    text = FIXED[MMU] + b"void switch_eptp(struct kvm_vcpu *vcpu, bool ad)\n{\n\t"
    text += b"struct kvm_mmu *mmu = vcpu->arch.mmu;\n\t" + body.encode()
    files = {**FIXED, MMU: text}
    if code:
        files["virt/kvm/kvm_main.c"] = code.encode()
    assert (ept_ad(check(files, ("ept_ad",)))[0] == "covered") is is_fine


LMA = b"\t\text.efer_lma = ____is_efer_lma(regs);\n"
PAE = b"\t\text.cr4_pae = ____is_cr4_pae(regs);\n"
TDP = ("kvm_init_mmu", "init_kvm_tdp_mmu")
REFRESH = """void refresh(struct kvm_vcpu *vcpu, bool sure)
{
	struct kvm_mmu *mmu = &vcpu->arch.root_mmu;

	%s
}
"""


def without(assignment, body, field, other=b""):
    """Return the result for a field with an OTHER assignment to a role, and a function more."""
    text = FIXED[MMU].replace(assignment, other, 1) + (REFRESH % body).encode()
    report = check({**FIXED, MMU: text}, (field,))
    return next(
        one
        for context in report.contexts
        if context.entry[: len(TDP)] == TDP
        for one in context.fields
    )


@pytest.mark.parametrize(
    "body",
    [
        "if (mmu->mmu_role.base.smm)\n\t\tmmu->root_level = 4;",
        "if (!mmu->mmu_role.base.smm)\n\t\treturn;\n\tmmu->root_level = 4;\n\t"
        "mmu->mmu_role.base.smm = 1;",
        "if (is_smm(vcpu) == mmu->mmu_role.base.smm)\n\t\treturn;\n\t"
        "mmu->root_level = vcpu->arch.hflags & 7;",
        "if (!mmu->root_level)\n\t\tmmu->root_level = 4;",
        "mmu->root_level |= mmu->mmu_role.base.smm;",
    ],
)
def test_a_gap_stands_where_other_code_has_nothing_to_do(body):
    """What may run in between changes nothing in the states of the witness, and that is told."""
    result = without(LMA, body, "root_level")
    assert (result.verdict, result.missing) == ("gap", ("EFER.LMA",)), result.reasons
    assert "refresh() has nothing to do in the states of the witness" in result.assumptions


@pytest.mark.parametrize(
    "body",
    [
        "mmu->root_level = 4;",
        "mmu->root_level = ~mmu->root_level;",
        "if (!sure)\n\t\tmmu->root_level = 4;",
        "if (!is_cr0_pg(mmu) || mmu->mmu_role.base.efer_nx || !mmu->mmu_role.base.efer_nx)\n\t\t"
        "mmu->root_level = 4;",
        "if (vcpu->arch.efer == unclear(mmu))\n\t\tmmu->root_level = 4;",
        "vcpu->arch.efer = 0;\n\tif (mmu->mmu_role.base.smm)\n\t\tmmu->root_level = 4;",
        "if (mmu->mmu_role.ext.valid)\n\t\tmmu->root_level = 4;",
    ],
)
def test_a_gap_is_in_doubt_where_other_code_may_close_it(body):
    """What always has something to do, or for a reason that the set-up does not know."""
    result = without(LMA, body, "root_level")
    assert result.verdict == "unknown"
    assert any("refresh()" in one.text for one in result.reasons)


SAME = """if (!mmu->mmu_role.base.smm)
		return;
	if (!is_cr0_pg(mmu))
		mmu->gva_to_gpa = nonpaging_gva_to_gpa;
	else if (is_cr4_pae(mmu))
		mmu->gva_to_gpa = paging64_gva_to_gpa;
	else
		mmu->gva_to_gpa = paging32_gva_to_gpa;"""


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (SAME, "covered"),
        ("mmu->mmu_role.ext.cr4_pae = 0;\n\t" + SAME, "covered"),
        ("mmu->mmu_role.ext.cr4_pae = sure;\n\t" + SAME, "unknown"),
        (SAME.replace("is_cr4_pae(mmu)", "mmu->mmu_role.ext.cr4_pke"), "unknown"),
        (SAME.replace("= nonpaging", "= ept"), "unknown"),
        (SAME.replace("= paging64", "= ept"), "covered"),  # no set-up says so
    ],
)
def test_a_bit_that_no_set_up_sets_is_clear_for_others_too(body, verdict):
    """A field that is made of the role follows it, though a bit of that is never set."""
    result = without(PAE, body, "gva_to_gpa")
    assert result.verdict == verdict, result.reasons


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (SAME, "covered"),
        (SAME.replace("is_cr4_pae(mmu)", "is_cr0_pg(mmu)"), "covered"),
        (SAME.replace("is_cr4_pae(mmu)", "mmu->mmu_role.ext.cr4_pke"), "unknown"),
        ("mmu->mmu_role.ext.cr4_pae = sure;\n\t" + SAME, "unknown"),
        ("mmu->mmu_role.ext.cr0_pg = sure;\n\t" + SAME, "unknown"),
    ],
)
def test_a_bit_that_is_set_as_another_is_as_that_for_others_too(body, verdict):
    """A field that is made of the role follows it, though two bits of that are always alike."""
    result = without(PAE, body, "gva_to_gpa", b"\t\text.cr4_pae = 1;\n")
    assert result.verdict == verdict, result.reasons


DIRECT = b"\trole.base.direct = true;\n"
OPPOSITE = SAME.replace("!is_cr0_pg(mmu)", "mmu->mmu_role.base.direct")


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (SAME, "covered"),
        (OPPOSITE, "covered"),
        (SAME.replace("!is_cr0_pg(mmu)", "!mmu->mmu_role.base.direct"), "unknown"),
        ("mmu->mmu_role.base.direct = sure;\n\t" + OPPOSITE, "unknown"),
        # A run that skips has both bits, so what they hold together does not matter else.
        ("mmu->mmu_role.ext.cr0_pg = sure;\n\t" + OPPOSITE, "covered"),
    ],
)
def test_a_bit_that_is_set_as_the_opposite_of_another(monkeypatch, body, verdict):
    """A field that is made of both follows the role by whichever of them somebody reads."""
    told = b"\trole.base.direct = !____is_cr0_pg(regs);\n"
    assert DIRECT in FIXED[MMU]
    monkeypatch.setitem(FIXED, MMU, FIXED[MMU].replace(DIRECT, told, 1))
    result = without(PAE, body, "gva_to_gpa")
    assert result.verdict == verdict, result.reasons


HELPER = b"""static void paging64(struct kvm_mmu *context)
{
	context->gva_to_gpa = paging64_gva_to_gpa;
}

"""
PASTED = """#define SET(n, mmu) paging##n(mmu)
void other(struct kvm_mmu *mmu)
{
	SET(64, mmu);
}
"""
LONG = b"\telse if (is_cr4_pae(context))\n\t\tcontext->gva_to_gpa = paging64_gva_to_gpa;\n"


@pytest.mark.parametrize(
    ("call", "more", "verdict"),
    [
        ("paging64(context);", "", "covered"),
        ("{ paging64(context); }", "", "covered"),
        (
            "paging64(context);",
            "void other(struct kvm_mmu *mmu)\n{\n\tpaging64(mmu);\n}\n",
            "unknown",
        ),
        ("paging64(context);", "void (*const set)(struct kvm_mmu *) = paging64;\n", "unknown"),
        ("paging64(context);", PASTED, "unknown"),
        (
            "paging64(context);\n\telse if (vcpu->arch.hflags)\n\t\tpaging64(context);",
            "",
            "gap",
        ),
        ("(vcpu->arch.hflags ? paging64 : paging64)(context);", "", "covered"),
    ],
)
def test_what_is_called_only_where_no_run_comes(call, more, verdict):
    """A branch that no set-up takes stores nothing, whatever function it calls."""
    text = (
        FIXED[MMU]
        .replace(PAE, b"", 1)
        .replace(b"static void init_kvm_tdp_mmu", HELPER + b"static void init_kvm_tdp_mmu", 1)
    )
    head, _, tail = text.partition(LONG)
    text = head + f"\telse if (is_cr4_pae(context))\n\t\t{call}\n".encode() + tail + more.encode()
    report = check({**FIXED, MMU: text}, ("gva_to_gpa",))
    found = [one for c in report.contexts if c.entry[:2] == TDP for one in c.fields]
    assert [one.verdict for one in found] == [verdict], report.unknowns


REMADE = """void refresh(struct kvm_vcpu *vcpu, PARAMETER)
{
	struct kvm_mmu_role_regs regs = vcpu_to_role_regs(vcpu);

	if (mmu->mmu_role.base.cr0_wp == ____is_cr0_wp(&regs))
		return;
	mmu->mmu_role.base.cr0_wp = ____is_cr0_wp(&regs);
	mmu->root_level = VALUE;
}
"""
LEVEL = "role_regs_to_root_level(&regs)"
GIVEN = "struct kvm_mmu *mmu"
ELSEWHERE = "void lag(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu)\n{{\n\t{}\n}}\n"


def refreshed(code):
    """Return the verdicts on the level, by initialiser, where code is added to the tree."""
    report = check({**FIXED, MMU: FIXED[MMU] + code.encode()}, ("root_level",))
    (found,) = [
        one
        for context in report.contexts
        for one in context.fields
        if context.initialiser == "init_kvm_tdp_mmu"
    ]
    return found


@pytest.mark.parametrize("parameter", [GIVEN, "bool sure"])
def test_registers_are_those_of_the_role(parameter):
    """What makes a field of the registers again finds those that the role was made of."""
    code = REMADE.replace("PARAMETER", parameter).replace("VALUE", LEVEL)
    if parameter != GIVEN:
        code = code.replace(
            "\tif (mmu->", "\tstruct kvm_mmu *mmu = &vcpu->arch.root_mmu;\n\n\tif (mmu->"
        )
    found = refreshed(code)
    assert found.verdict == "covered"
    assert "refresh() runs for a context whose role its registers still make" in found.assumptions


@pytest.mark.parametrize(
    ("value", "more"),
    [
        ("4", ""),
        ("mmu->mmu_role.base.cr0_wp ? " + LEVEL + " : 4", ""),
        (LEVEL, "mmu->mmu_role.ext.cr4_la57 = !!kvm_read_cr4_bits(vcpu, X86_CR4_LA57);"),
        (LEVEL, "mmu->mmu_role.ext.efer_lma = !!(vcpu->arch.efer & EFER_LMA);"),
        (LEVEL, "mmu->mmu_role.ext.cr4_pae = 0;"),
        (LEVEL, "mmu->mmu_role.ext.cr4_pae = unclear(vcpu);"),
    ],
)
def test_registers_may_be_others(value, more):
    """It does not where a role lags behind them, nor where it makes something else."""
    code = REMADE.replace("PARAMETER", GIVEN).replace("VALUE", value)
    assert refreshed(code + (ELSEWHERE.format(more) if more else "")).verdict == "unknown"


def test_registers_of_another_vcpu():
    """Nor where the context is one of another vCPU than the registers."""
    code = REMADE.replace("PARAMETER", "struct kvm_vcpu *sibling").replace("VALUE", LEVEL)
    code = code.replace(
        "\tif (mmu->", "\tstruct kvm_mmu *mmu = &sibling->arch.root_mmu;\n\n\tif (mmu->"
    )
    assert refreshed(code).verdict == "unknown"


def test_a_register_that_a_role_lags_behind():
    """A field that reads what changes without a set-up is not in step for having been so."""
    by_level = b"return ____is_cr4_la57(regs) ? PT64_ROOT_5LEVEL : PT64_ROOT_4LEVEL;"
    by_wp = b"return ____is_cr0_wp(regs) ? PT64_ROOT_5LEVEL : PT64_ROOT_4LEVEL;"
    assert FIXED[MMU].count(by_level) == 1
    forgotten = REMADE.replace("PARAMETER", GIVEN).replace("\tmmu->root_level = VALUE;\n", "")
    text = FIXED[MMU].replace(by_level, by_wp) + forgotten.encode()
    report = check({**FIXED, MMU: text}, ("root_level",))
    (found,) = {
        one.verdict
        for context in report.contexts
        for one in context.fields
        if context.initialiser == "init_kvm_tdp_mmu"
    }
    assert found == "unknown"


def test_a_bit_of_the_role_that_lags_behind():
    """A bit of the role that is made of what changes without a set-up may be an older one."""
    level, bit = b"return ____is_cr4_la57(regs)", b"ext.cr4_la57 = ____is_efer_lma(regs)"
    assert FIXED[MMU].count(level) == FIXED[MMU].count(bit) == 1
    text = FIXED[MMU].replace(level, level + b" && ____is_cr0_wp(regs)")
    text = text.replace(bit, bit + b" && ____is_cr0_wp(regs)")
    code = REMADE.replace("PARAMETER", GIVEN).replace("VALUE", LEVEL)
    report = check({**FIXED, MMU: text + code.encode()}, ("root_level",))
    (found,) = {
        one.verdict
        for context in report.contexts
        for one in context.fields
        if context.initialiser == "init_kvm_tdp_mmu"
    }
    assert found == "unknown"
