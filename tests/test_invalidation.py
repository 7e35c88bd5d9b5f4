# SPDX-License-Identifier: GPL-2.0-only
"""An input needs no bit of the role where every change of it invalidates the stored role."""

import pytest
from edited import check, fixture
from effort import growth

FIXED = fixture("cpuid-invalidated-fixed")
MMU, CPUID = "arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/cpuid.c"
HOST, HEADER = "arch/x86/include/asm/kvm_host.h", "arch/x86/kvm/cpuid.h"
GLOBALS = {
    "host.": "struct host_values {\n\tint maxphyaddr;\n};\n\nextern struct host_values host;\n\n",
    "host->": "static struct kvm_vcpu *host;\n\n",
    "if_nested": "#define if_nested(vcpu) if ((vcpu)->arch.maxphyaddr > 40)\n\n",
}
STORE, CALL = "\tvcpu->arch.maxphyaddr = maxphyaddr;\n", "\tkvm_mmu_after_set_cpuid(vcpu);\n"
MARK = "\tvcpu->arch.root_mmu.mmu_role.ext.valid = 0;\n"
IF = "\tif (maxphyaddr > 40)\n\t"
AGAIN, SET_UP = "\tkvm_mmu_reset_context(vcpu);\n", "\tkvm_init_mmu(vcpu);\n"
LOOP = "\tfor (int i = 0; i < maxphyaddr; i++)\n\t"
STORED = "vcpu->arch.root_mmu.mmu_role.ext.valid = 0;\n"
LATER = "\tif (vcpu->arch.maxphyaddr > 40)\n\t"


def verdict(path, old, new):
    """Return the verdict on the fixture with one text replaced."""
    data = FIXED[path].decode()
    assert data.count(old) == 1, old
    data = data.replace(old, new)
    head = "".join(text for name, text in GLOBALS.items() if name in new)
    data = data.replace("void kvm_vcpu_after_set_cpuid(", f"{head}void kvm_vcpu_after_set_cpuid(")
    return check({**FIXED, path: data.encode()}).verdict


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (CPUID, CALL, f"\t{{\n\t{CALL}\t}}\n"),
        (CPUID, CALL, "\t(kvm_mmu_after_set_cpuid)(vcpu);\n"),
        (CPUID, CALL, f"{IF}\tmaxphyaddr = 40;\n{CALL}"),
        (CPUID, STORE, IF + STORE),
        (MMU, MARK, MARK + LATER + "\treturn;\n"),
        (CPUID, CALL, f"{LOOP}\tcontinue;\n{CALL}"),
        (CPUID, CALL, f"\tswitch (maxphyaddr) {{\n\tcase 40:\n\t\tbreak;\n\t}}\n{CALL}"),
        (CPUID, STORE, f"\thost.maxphyaddr = 46;\n{STORE}"),
        (MMU, MARK + AGAIN, MARK + SET_UP),
        (CPUID, CALL, f"{IF}{CALL}\telse\n\t{CALL}"),
        (CPUID, CALL, f"{IF}{{\n\t{CALL}\t}} else if (maxphyaddr) {{\n{IF}{CALL}\t\telse {{\n"
         f"\t{CALL}\t\t}}\n\t}} else {{\n\t{CALL}\t}}\n"),
        (CPUID, CALL, f"{IF}{{\n\t{CALL}\t\treturn;\n\t}}\n{CALL}"),
        (CPUID, CALL, f"{IF}{{\n\t{CALL}\t\tif (maxphyaddr > 50)\n\t\t\treturn;\n\t\tgoto out;\n"
         f"\t}}\n{CALL}out:\n\treturn;\n"),
        (CPUID, CALL, f"{IF}return {CALL.strip()}\n{CALL}"),
        (CPUID, CALL, f"\tif (!maxphyaddr)\n\t\tmaxphyaddr = 36;\n{IF}{CALL}\telse\n\t{STORED}"),
    ],
    ids=[
        "block", "parentheses", "beside a branch", "conditional store", "left later",
        "behind a loop", "behind a switch", "global of the same member name",
        "and set up by itself", "in both branches", "in all branches", "left behind it",
        "left in two ways behind it", "returned", "by a call and by a store",
    ],
)  # fmt: skip
def test_on_every_way(path, old, new):
    """However it is written, the role is invalid after every change."""
    assert verdict(path, old, new) == "covered"


_ARCH = "\tstruct kvm_vcpu_arch *arch = &vcpu->arch;\n\n"
_ROLE = "vcpu->arch.root_mmu.mmu_role"
_EACH = "\tstruct kvm_mmu *mmus[] = { &vcpu->arch.root_mmu };\n\tint i;\n\n"


@pytest.mark.parametrize(
    "new",
    [
        f"{_ARCH}\tarch->root_mmu.mmu_role.ext.valid = 0;\n",
        f"\t{_ROLE} = (union kvm_mmu_role) {{ }};\n",
        f"\tif (vcpu->arch.hflags & 1)\n\t\t{_ROLE}.ext.valid = 0;\n"
        f"\telse\n\t\t{_ROLE}.as_u64 = 0;\n",
        f"\tif (vcpu->arch.hflags & 1) {{\n\t{MARK}\t\treturn;\n\t}}\n{MARK}",
        f"\tWRITE_ONCE({_ROLE}.as_u64, 0);\n",
        f"\tmemset(&{_ROLE}, 0, sizeof({_ROLE}));\n",
        f"\tmemset(&{_ROLE}, 0, sizeof(union kvm_mmu_role));\n",
        f"{_EACH}\tfor (i = 0; i < 1; i++)\n\t\tmmus[i]->mmu_role.ext.valid = 0;\n",
        f"\t/* {'as long as a line of the kernel ' * 4} */\n"
        f"{_EACH}\tfor (i = 0; i < 1; i++)\n\t\tmmus[i]->mmu_role.ext.valid = 0;\n",
    ],
    ids=[
        "pointer", "literal", "both branches", "both ways", "once", "bytes of it",
        "bytes of its type", "list", "list behind a comment",
    ],
)  # fmt: skip
def test_by_a_run(new):
    """What a function leaves in the role is known by running it, however that is written."""
    assert verdict(MMU, MARK, new) == "covered"


@pytest.mark.parametrize(
    "new",
    [
        f"{_ARCH}\tif (arch->hflags & 1)\n\t\tarch->root_mmu.mmu_role.ext.valid = 0;\n",
        f"{_ARCH}\tarch->root_mmu.mmu_role.ext.valid = 1;\n",
        "\tstruct kvm_vcpu_arch *arch = kvm_some_arch();\n\n"
        "\tarch->root_mmu.mmu_role.ext.valid = 0;\n",
        f"\t{_ROLE} = (union kvm_mmu_role) {{ .ext.valid = 1 }};\n",
        f"\tif (vcpu->arch.hflags & 1)\n\t\t{_ROLE}.ext.valid = 0;\n"
        f"\telse\n\t\t{_ROLE}.ext.valid = 1;\n",
        f"\tif (vcpu->arch.hflags & 1)\n\t\treturn;\n{MARK.replace('vcpu->', '(vcpu)->')}",
        f"\t{_ROLE}.ext.valid &= vcpu->arch.hflags;\n",
        f"\tWRITE_ONCE({_ROLE}.as_u64, 1ull << 63);\n",
        f"\tWRITE_ONCE({_ROLE}.as_u64, vcpu->arch.hflags);\n",
        f"\tWRITE_ONCE(*vcpu->arch.roles, {_ROLE}.as_u64);\n",
        f"\tmemset(&{_ROLE}, 0, 1);\n",
        f"\tmemset(&{_ROLE}, 1, sizeof({_ROLE}));\n",
        f"\tmemset(&{_ROLE}, 0, sizeof(struct kvm_vcpu));\n",
        f"\tkvm_keep(sizeof({_ROLE}));\n",
        f"{_EACH}\tfor (i = 1; i < 1; i++)\n\t\tmmus[i]->mmu_role.ext.valid = 0;\n",
        f"{_EACH}\tfor (i = 0; i < 1; i++)\n\t\tif (mmus[i] != vcpu->arch.mmu)\n"
        "\t\t\tmmus[i]->mmu_role.ext.valid = 0;\n",
    ],
    ids=[
        "one branch", "valid", "another's", "valid literal", "half", "left before", "and",
        "once another", "once anything", "read", "one byte", "other bytes", "more bytes", "size",
        "none of a list", "some of a list",
    ],
)  # fmt: skip
def test_by_no_run(new):
    """A function that may leave the role as it was, or valid, invalidates nothing."""
    assert verdict(MMU, MARK, new) != "covered"


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        ("ext.valid = 1;", "unknown"),
        ("ext.valid = vcpu->arch.hflags & 1;", "unknown"),
        ("ext.valid = 0;", "covered"),
        ("as_u64 = 0;", "covered"),
        ("ext.valid = false;", "covered"),
        ("ext.valid = vcpu->arch.hflags = 0;", "covered"),
        ("ext.valid = vcpu->arch.hflags = 1;", "unknown"),
        ("ext.valid = vcpu->arch.hflags |= 0;", "unknown"),
        ("base.guest_mode = 1;", "covered"),
    ],
)
def test_a_role_that_is_made_valid_again(store, expected):
    """What an event has made invalid no other code may make valid but a set-up."""
    code = f"void revive(struct kvm_vcpu *vcpu)\n{{\n\tvcpu->arch.root_mmu.mmu_role.{store}\n}}\n"
    report = check({**FIXED, MMU: FIXED[MMU] + code.encode()})
    assert report.verdict == expected
    words = "makes a role valid again that was made invalid"
    assert any(words in one.reason for one in report.unknowns) == (expected == "unknown")


@pytest.mark.parametrize("name", ["mmu_told", "zap_guest_state", "after_cpuid"])
def test_by_a_function_of_any_name(name):
    """What invalidates a role is known by what it does, not by what its name begins with."""
    files = {
        path: data.replace(b"kvm_mmu_after_set_cpuid", name.encode())
        for path, data in FIXED.items()
    }
    assert files[MMU] != FIXED[MMU]
    assert check(files).verdict == "covered"


FLAG = "static void forget(struct kvm_vcpu *vcpu, u32 flag)\n{{\n\t{}\n}}\n\n"


@pytest.mark.parametrize(
    ("given", "body", "expected"),
    [
        ("true", f"if (flag)\n\t\t{STORED}", "covered"),
        ("1", f"if (!flag)\n\t\treturn;\n\t{STORED}", "covered"),
        ("false", f"if (flag != 0)\n\t\treturn;\n\t{STORED}", "covered"),
        (
            "0",
            f"if (flag) {{\n\t\tvcpu->arch.hflags = 0;\n\t}} else {{\n\t\t{STORED}\t}}",
            "covered",
        ),
        ("true", f"if (flag)\n\t\tvcpu->arch.hflags = 0;\n\telse\n\t\t{STORED}", "unknown"),
        ("false", f"if (flag)\n\t\t{STORED}", "unknown"),
        ("maxphyaddr_of(vcpu)", f"if (flag)\n\t\t{STORED}", "unknown"),
        ("4", f"if (flag & 8)\n\t\t{STORED}", "unknown"),
        ("true", f"flag = vcpu->arch.hflags;\n\tif (flag)\n\t\t{STORED}", "unknown"),
        ("true", f"if (vcpu->arch.hflags)\n\t\t{STORED}", "gap"),
    ],
)
def test_where_a_parameter_says_so(given, body, expected):
    """A number that is given decides; what is not decided is no gap, for it may be so."""
    data = FIXED[MMU].decode().replace(MARK, f"\tforget(vcpu, {given});\n")
    data = data.replace("void kvm_mmu_after_set_cpuid(", FLAG.format(body) + HELPER, 1)
    more = "int maxphyaddr_of(struct kvm_vcpu *vcpu)\n{\n\treturn vcpu->arch.maxphyaddr;\n}\n\n"
    data = data.replace("static void forget", more + "static void forget", 1)
    assert check({**FIXED, MMU: data.encode()}).verdict == expected


@pytest.mark.parametrize(
    ("holder", "step", "expected"),
    [
        ("struct {{\n\t\tstruct kvm_mmu root_mmu;\n\t}} mmus;", ".", "covered"),
        ("struct mmus {{\n\t\tint pad;\n\t\tstruct kvm_mmu root_mmu;\n\t}} mmus;", ".", "covered"),
        ("struct mmus *mmus;", "->", "unknown"),
    ],
    ids=["in it", "in it by a name", "behind a pointer"],
)
def test_contexts_in_a_record_of_the_holder(holder, step, expected):
    """A context may lie below another member; behind a pointer, it may be that of another vCPU."""
    member = "\tstruct kvm_mmu root_mmu;\n"
    files = {
        path: data.replace(b"arch.root_mmu", f"arch.mmus{step}root_mmu".encode())
        for path, data in FIXED.items()
    }
    host = files[HOST].decode()
    assert host.count(member) == 1
    host = host.replace(member, f"\t{holder.format()}\n")
    record = f"struct mmus {{\n{member}}};\n\n" if "*" in holder else ""
    host = host.replace("struct kvm_vcpu_arch {", f"{record}struct kvm_vcpu_arch {{")
    files[HOST] = host.encode()
    assert check(files).verdict == expected


def test_in_a_chain_of_assignments():
    """Each of a chain of assignments is one; another number than 0 and 1 need not reach it."""
    role = "vcpu->arch.root_mmu.mmu_role"
    assert verdict(MMU, MARK, f"\tvcpu->arch.hflags = {role}.ext.valid = 0;\n") == "covered"
    assert verdict(MMU, MARK, f"\t{role}.ext.valid = vcpu->arch.hflags = 0;\n") == "covered"
    assert verdict(MMU, MARK, f"\t{role}.ext.valid = vcpu->arch.hflags = 1;\n") != "covered"
    assert verdict(MMU, MARK, f"\t{role}.as_u64 = {role}.ext.valid = 2;\n") != "covered"


HELPER = "void kvm_mmu_after_set_cpuid("
GIVEN = "kvm_forget(&vcpu->arch.root_mmu);"


def by_helper(call, body, parameter="struct kvm_mmu *mmu"):
    """Return the verdict where a helper that is given a context invalidates its role."""
    data = FIXED[MMU].decode()
    assert data.count(MARK) == 1 and data.count(HELPER) == 1
    helper = f"static void kvm_forget({parameter})\n{{\n\t{body}\n}}\n\n"
    data = data.replace(MARK, f"\t{call}\n").replace(HELPER, helper + HELPER)
    return check({**FIXED, MMU: data.encode()}).verdict


def test_by_a_helper():
    """It is given the context, and not what holds it."""
    assert by_helper(GIVEN, "mmu->mmu_role.ext.valid = 0;") == "covered"


def test_helpers_that_call_one_another_twice():
    """Each is asked once whether it invalidates a role, however many ways lead to it."""

    def work(depth):
        data = FIXED[MMU].decode()
        body, helpers = "vcpu->arch.hflags = 0;", ""
        for number in range(depth):
            name = f"void kvm_twice_{number}(struct kvm_vcpu *vcpu)"
            helpers += f"static {name}\n{{\n\t{body}\n}}\n\n"
            body = f"kvm_twice_{number}(vcpu);\n" * 4
        data = data.replace(MARK, f"\t{body}\n").replace(HELPER, helpers + HELPER)
        assert check({**FIXED, MMU: data.encode()}).verdict == "gap"

    assert growth(work, 2, 6) < 4


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (GIVEN, "if (mmu->shadow_root_level)\n\t\tmmu->mmu_role.ext.valid = 0;"),
        (GIVEN, "mmu->mmu_role.ext.valid = 1;"),
        (GIVEN, "mmu = 0;\n\tmmu->mmu_role.ext.valid = 0;"),
        (GIVEN, "if (mmu->shadow_root_level)\n\t\treturn;\n\tmmu->mmu_role.ext.valid = 0;"),
        (GIVEN, "other->mmu_role.ext.valid = 0;"),
        (GIVEN.replace("root_mmu", "guest_mmu"), "mmu->mmu_role.ext.valid = 0;"),
        (f"if (vcpu->arch.hflags)\n\t\t{GIVEN}", "mmu->mmu_role.ext.valid = 0;"),
    ],
    ids=["if", "valid", "another", "left", "not it", "another context", "not called"],
)  # fmt: skip
def test_by_a_helper_that_may_not(call, body):
    """The role of the context stays valid on some way."""
    assert by_helper(call, body) in ("gap", "unknown")


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (CPUID, CALL, ""),
        (CPUID, CALL, IF + CALL),
        (CPUID, CALL, "\tif_nested(vcpu) kvm_mmu_after_set_cpuid(vcpu);\n"),
        (CPUID, CALL, f"{IF}\treturn;\n{CALL}"),
        (CPUID, CALL, f"\tfor (; maxphyaddr > 40; maxphyaddr--)\n\t{CALL}"),
        (CPUID, CALL, f"{LOOP}{{\n{IF}\tbreak;\n{CALL}\t}}\n"),
        (CPUID, CALL, f"\tdo {{\n\t{IF}\tbreak;\n\t{CALL}\t}} while (0);\n"),
        (CPUID, STORE, f"\thost->arch.maxphyaddr = 46;\n{STORE}"),
        (CPUID, CALL, f"#ifdef CONFIG_KVM_XEN\n{CALL}#endif\n"),
        (CPUID, STORE + "\n" + CALL, CALL + STORE),
        (CPUID, STORE + "\n" + CALL, CALL.rstrip() + STORE),
        (CPUID, "\n{\n" + STORE + "\n" + CALL, " {" + CALL.rstrip() + STORE),
        (CPUID, STORE + "\n" + CALL, STORE.replace("= ", "= (" + CALL.strip("\t\n;") + ", ")
         .replace(";", ");")),
        (MMU, MARK, ""),
        (MMU, MARK, LATER + MARK),
        (MMU, MARK, f"{LATER}\treturn;\n{MARK}"),
        (MMU, MARK, f"\tBUILD_BUG_ON({MARK.strip()[:-1]});\n"),
        (MMU, MARK, f"\tBUG_IF(vcpu, {MARK.strip()[:-1]});\n"),
        (MMU, MARK, f"\t(void)sizeof({MARK.strip()[:-1]});\n"),
        (CPUID, CALL, f"\tnever({CALL.strip()[:-1]});\n"),
        (CPUID, CALL, f"{IF}{CALL}\telse\n\t\tmaxphyaddr = 40;\n"),
        (CPUID, CALL, f"{IF}{CALL}\telse if (maxphyaddr)\n\t{CALL}"),
        (CPUID, CALL, f"{IF}{CALL}\telse {{\n{IF}\treturn;\n\t{CALL}\t}}\n"),
        (CPUID, CALL, f"{IF}{CALL}\telse {{\n\t{SET_UP}\t{CALL}\t}}\n"),
        (CPUID, CALL, f"{IF}{{\n\t{CALL}\t\treturn;\n\t}}\n{IF}\treturn;\n{CALL}"),
        (CPUID, CALL, f"{IF}{{\n\t{IF}{CALL}\t\treturn;\n\t}}\n{CALL}"),
        (CPUID, CALL, f"{IF}{{\n\t\treturn;\n\t{CALL}\t}}\n{CALL}"),
        (CPUID, CALL, f"{IF}{{\n\t{SET_UP}\t{CALL}\t\treturn;\n\t}}\n{CALL}"),
        (CPUID, CALL, f"{IF}{{\n#ifdef CONFIG_KVM_XEN\n\t{CALL}#endif\n\t\treturn;\n\t}}\n{CALL}"),
        (CPUID, CALL, f"\tswitch (maxphyaddr) {{\n\tcase 40:\n\t{IF}{{\n\t\t{CALL}\tcase 41:\n"
         f"\t\t\treturn;\n\t\t}}\n\t}}\n{CALL}"),
        (CPUID, CALL, f"{LOOP}{{\n\t{IF}{CALL}\t\telse\n\t{CALL}\t}}\n"),
    ],
    ids=[
        "no call", "call under a condition", "call behind a macro", "left before the call",
        "call in a loop", "call that a loop leaves out", "call that do leaves out",
        "global pointer to a vCPU",
        "call in some builds", "call before the change", "in the same line",
        "in the first line", "within the change", "no mark", "mark under a condition",
        "left before the mark", "compared when it is built",
        "argument of a macro", "size of a mark", "call in an argument",
        "in one branch of two", "in two branches of three", "left in front of the second",
        "set up in front of the second", "left in another way", "left behind a condition",
        "left in front of it", "set up in front of it", "left behind it in some builds",
        "led past it to where it is left", "both branches in a loop",
    ],
)  # fmt: skip
def test_on_some_ways(path, old, new):
    """A change that the role may survive is a gap."""
    assert verdict(path, old, new) == "gap"


def test_of_another_context():
    """What is made invalid of one context leaves the others as they were."""
    member = b"\tstruct kvm_mmu root_mmu;\n"
    assert FIXED[HOST].count(member) == 1
    host = FIXED[HOST].replace(member, member + member.replace(b"root", b"guest"))
    code = FIXED[MMU].replace(MARK.encode(), MARK.replace("root_mmu", "guest_mmu").encode())
    report = check({**FIXED, HOST: host, MMU: code})
    assert [one.verdict for c in report.contexts for one in c.fields if one.missing] == ["gap"]


LEVEL = b"\tif (max_tdp_level == 5 && cpuid_maxphyaddr(vcpu) <= 48)"
ANSWER = b"static inline bool guest_cpuid_is_amd(struct kvm_vcpu *vcpu)\n{\n\treturn %s;\n}\n"
INNER = b"static inline bool inner(struct kvm_vcpu *v)\n{\n\treturn %s;\n}\n"


def asking(answer, in_front=b"", behind=b""):
    """Return the report on a fixture that asks for the vendor of the guest, answered so."""
    files = dict(FIXED)
    files[MMU] = files[MMU].replace(LEVEL, b"\tif (max_tdp_level == 5 && guest_cpuid_is_amd(vcpu))")
    old = b"\tint maxphyaddr;\n"
    files[HOST] = files[HOST].replace(old, old + b"\tbool is_amd;\n\tu32 *cpuid_entries;\n")
    old = b"static inline int cpuid_maxphyaddr("
    files[HEADER] = files[HEADER].replace(old, in_front + ANSWER % answer + b"\n" + old)
    store = b"\tvcpu->arch.is_amd = !!entries;\n\tvcpu->arch.cpuid_entries = entries;\n"
    files[CPUID] = files[CPUID].replace(b"int maxphyaddr)", b"int maxphyaddr, u32 *entries)")
    files[CPUID] = files[CPUID].replace(STORE.encode(), STORE.encode() + store) + behind
    return check(files, ["shadow_root_level"])


@pytest.mark.parametrize(
    ("answer", "in_front"),
    [
        (b"vcpu->arch.cpuid_entries[0] == 3", b""),
        (b"vcpu->arch.is_amd", b""),
        (b"inner(vcpu)", INNER % b"!v->arch.is_amd"),
    ],
)
def test_an_answer_by_what_the_guest_was_told(answer, in_front):
    """It changes with that alone, behind which the role is invalid."""
    assert asking(answer, in_front).verdict == "covered"


@pytest.mark.parametrize(
    ("answer", "in_front", "behind"),
    [
        (b"vcpu->arch.is_amd && vcpu->arch.hflags & 1", b"", b""),
        (b"inner(vcpu)", INNER % b"v->arch.hflags & 1", b""),
        (b"outer(vcpu)", b"", b""),
        (b"*(bool *)vcpu", b"", b""),
        (b"false", b"#define guest_cpuid_is_amd(v) ((v)->arch.hflags & 1)\n", b""),
        (b"vcpu->arch.is_amd", b"",
         b"void devil(struct kvm_vcpu *vcpu, bool on)\n{\n\tvcpu->arch.is_amd = on;\n}\n"),
    ],
    ids=[
        "another member", "by another function", "not in the text", "cast", "macro",
        "stored elsewhere",
    ],
)  # fmt: skip
def test_an_answer_by_more(answer, in_front, behind):
    """What the function is called says nothing of that by which it answers."""
    flags = b"void flags(struct kvm_vcpu *vcpu, u32 n)\n{\n\tvcpu->arch.hflags = n;\n}\n"
    report = asking(answer, in_front, behind + flags)
    assert report.verdict == "unknown"
    reasons = [r.text for c in report.contexts for one in c.fields for r in one.reasons]
    assert any("guest_cpuid_is_amd() answers" in reason for reason in reasons)


@pytest.mark.parametrize(("holder", "expected"), [("vcpu", "covered"), ("host", "gap")])
def test_a_change_in_front_of_all(holder, expected):
    """Where a vCPU is made nothing is stale of that, but something may be of another."""
    maker = (
        "static struct kvm_vcpu *host;\n\nint kvm_arch_vcpu_create(struct kvm_vcpu *vcpu, int n)\n"
        f"{{\n\t{holder}->arch.maxphyaddr = n;\n\treturn 0;\n}}\n"
    )
    assert check({**FIXED, CPUID: FIXED[CPUID] + maker.encode()}).verdict == expected


OTHER_ARCH = "struct kvm_vcpu_arch {\n"
AMISS = {
    "a macro that leaves": ("\tBAIL(vcpu->arch.hflags);\n" + MARK, ""),
    "a set-up in front": ("\tkvm_init_mmu(vcpu);\n" + MARK, ""),
    "a set-up in front, by a helper": ("\treset(vcpu);\n" + MARK, ""),
    "a context of another member": (
        MARK.replace("root_mmu", "saved.root_mmu"),
        "\tstruct {\n\t\tstruct kvm_mmu root_mmu;\n\t} saved;\n"),
    "a context of another vCPU": (
        MARK.replace("arch.", "arch.peer->arch."), "\tstruct kvm_vcpu *peer;\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", AMISS)
def test_amiss(name):
    """What comes too late, is passed by, or is somebody else's, invalidates nothing."""
    code, member = AMISS[name]
    above = (
        "#define BAIL(c) do { if (c) return; } while (0)\n\n"
        "static void reset(struct kvm_vcpu *vcpu)\n{\n\tkvm_init_mmu(vcpu);\n}\n\n"
    )
    data, host = FIXED[MMU].decode(), FIXED[HOST].decode()
    assert data.count(MARK) == 1 and host.count(OTHER_ARCH) == 1
    data = data.replace(MARK, code).replace(HELPER, above + HELPER)
    host = host.replace(OTHER_ARCH, OTHER_ARCH + member)
    files = {**FIXED, MMU: data.encode(), HOST: host.encode()}
    assert check(files).verdict in ("gap", "unknown")


AROUND = (
    "struct vcpu_big {{\n\tstruct kvm_vcpu vcpu;\n\tstruct kvm_vcpu *peer;\n\tint part;\n"
    "}};\n\n{}\n\n"
)
BIG = "static struct vcpu_big *big_of(struct kvm_vcpu *vcpu)\n{{\n\t{}\n}}\n"
OTHER = "static struct kvm_vcpu *other_of(struct kvm_vcpu *vcpu)\n{{\n\t{}\n}}\n"
CONTAINED = (
    "struct vcpu_big *big = big_of(vcpu);\n\n\tbig->vcpu.arch.root_mmu.mmu_role.ext.valid = 0;\n"
)
GIVEN_OTHER = "kvm_mmu_after_set_cpuid(other_of(vcpu));\n"


def contained(above, call):
    """Return the verdict where the role is made invalid of what contains a vCPU in some way."""
    data = FIXED[CPUID].decode()
    old = "void kvm_vcpu_after_set_cpuid("
    assert data.count(old) == 1 and data.count(CALL) == 1
    data = data.replace(old, AROUND.format(above) + old).replace(CALL, f"\t{call}")
    return check({**FIXED, CPUID: data.encode()}).verdict


@pytest.mark.parametrize(
    "above",
    [
        BIG.format("return container_of(vcpu, struct vcpu_big, vcpu);"),
        BIG.format(
            "/* one of ours */\n\treturn container_of(vcpu, struct vcpu_big, vcpu); // here"
        ),
        "#define big_of(v) container_of(v, struct vcpu_big, vcpu)",
        "#define big_of(v) \\\n\t(container_of((v), struct vcpu_big, vcpu))",
    ],
)
def test_what_contains_a_holder(above):
    """It is of the same one."""
    assert contained(above, CONTAINED) == "covered"


@pytest.mark.parametrize(
    ("above", "call"),
    [
        (BIG.format("return container_of(vcpu->arch.peer, struct vcpu_big, vcpu);"), CONTAINED),
        (BIG.format("vcpu = first;\n\treturn container_of(vcpu, struct vcpu_big, vcpu);"),
         CONTAINED),
        (BIG.format("return other ?: container_of(vcpu, struct vcpu_big, vcpu);"), CONTAINED),
        (BIG.format("return container_of(vcpu, struct vcpu_big, vcpu) + 1;"), CONTAINED),
        (BIG.format("if (vcpu->arch.hflags)\n\t\treturn first;\n\treturn container_of(vcpu, "
                    "struct vcpu_big, vcpu);"), CONTAINED),
        (BIG.format("return container_of(first, struct vcpu_big, vcpu);"), CONTAINED),
        (BIG.format("return container_of(next_of(vcpu), struct vcpu_big, vcpu);"), CONTAINED),
        (OTHER.format("return container_of(vcpu, struct vcpu_big, vcpu)->peer;"), GIVEN_OTHER),
        (OTHER.format("return container_of(vcpu->arch.next, struct kvm_vcpu, arch);"), GIVEN_OTHER),
        ("#define big_of(v) container_of((v)->peer, struct vcpu_big, vcpu)", CONTAINED),
        ("#define big_of(v) container_of(first, struct vcpu_big, vcpu)", CONTAINED),
        ("#define other_of(v) (container_of(v, struct vcpu_big, vcpu)->peer)", GIVEN_OTHER),
        (OTHER.format("struct vcpu_big *big = container_of(vcpu, struct vcpu_big, vcpu);\n\n"
                      "\treturn big->peer;"), GIVEN_OTHER),
    ],
    ids=[
        "of another", "set before", "or another", "the next", "left before", "of a global",
        "of what is called", "a pointer in it", "of a pointer", "macro of another",
        "macro of a global", "macro, a pointer in it", "a pointer in it, by a variable",
    ],
)  # fmt: skip
def test_what_contains_another_one(above, call):
    """The role of the vCPU that has changed stays valid."""
    assert contained(above, call) in ("gap", "unknown")


PEER = "kvm_peer_of(vcpu)"
AIMING = {
    "a macro": ("#define aim(v) ((v) = kvm_peer_of(v))\n", "aim(vcpu);"),
    "a macro of a macro": (
        "#define put(v, p) ((v) = (p))\n#define aim(v) put(v, kvm_peer_of(v))\n", "aim(vcpu);"),
    "statements of a macro": (
        "#define aim(v) do {\\\n\tv = kvm_peer_of(v);\\\n} while (0)\n", "aim(vcpu);"),
    "a macro that names it": ("#define AIM vcpu = kvm_peer_of(vcpu)\n", "AIM;"),
    "a macro that stands for it": ("#define SELF vcpu\n", f"SELF = {PEER};"),
    "a macro that takes its address": (
        "#define aim(v) kvm_aim(&(v))\nvoid kvm_aim(struct kvm_vcpu **vcpu);\n", "aim(vcpu);"),
    "a macro that nobody has seen": ("", "aim(vcpu);"),
    "parentheses": ("", f"(vcpu) = {PEER};"),
    "a comma": ("", f"maxphyaddr++, vcpu = {PEER};"),
    "a statement in an expression": ("", f"vcpu = ({{ {PEER}; }});"),
    "a swap": ("", f"struct kvm_vcpu *o = {PEER};\n\n\tswap(vcpu, o);"),
    "a swap with the other one": ("", f"struct kvm_vcpu *o = {PEER};\n\n\tswap(o, vcpu);"),
    "a store in one access": ("", f"WRITE_ONCE(vcpu, {PEER});"),
    "assembler": ("", 'asm("" : "+r" (vcpu));'),
    "a call in a condition": ("#define aim(v) ((v) = kvm_peer_of(v))\n", "if (aim(vcpu))\n\t\t;"),
}  # fmt: skip
KEPT = {
    "nothing": ("", ";"),
    "a call": ("", "kvm_kick(vcpu);"),
    "a member": ("", "kvm_put((vcpu)->arch.hflags, &(vcpu)->arch);"),
    "a check": ("", "WARN_ON_ONCE(!vcpu);\n\tWARN_ON(vcpu == 0);"),
    "a macro that reads": ("#define flags_of(v) ((v)->arch.hflags)\n", "flags_of(vcpu);"),
    "a macro that calls": ("#define kick(v) do { kvm_kick(v); } while (0)\n", "kick(vcpu);"),
    "a macro that keeps it": (
        "#define keep(v) ({ struct kvm_vcpu *own = (v); own->arch.hflags; })\n", "keep(vcpu);"),
    "an element": ("", "struct kvm_vcpu *all[] = { vcpu };\n\n\tkvm_kick(all[0]);"),
    "a store of it": ("", "struct kvm_vcpu *o;\n\n\tWRITE_ONCE(o, vcpu);"),
}  # fmt: skip


def between(above, what):
    """Return the verdict with something between a change and what makes the role invalid."""
    declared = (
        "struct kvm_vcpu *kvm_peer_of(struct kvm_vcpu *vcpu);\n"
        "void kvm_put(int flags, struct kvm_vcpu_arch *arch);\n"
        "void kvm_kick(struct kvm_vcpu *vcpu);\n"
    )
    files = dict(FIXED)
    head, tail = files[CPUID.replace(".c", ".h")].decode().rsplit("#endif", 1)
    files[CPUID.replace(".c", ".h")] = f"{head}{declared}{above}#endif{tail}".encode()
    data = files[CPUID].decode()
    files[CPUID] = data.replace(STORE, f"{STORE}\t{what}\n").encode()
    return check(files).verdict


@pytest.mark.parametrize("how", AIMING)
def test_a_holder_that_is_made_another_one(how):
    """What is invalidated then is not what has changed."""
    assert between(*AIMING[how]) in ("gap", "unknown")


@pytest.mark.parametrize("how", KEPT)
def test_a_holder_that_stays(how):
    """What takes the value of a variable leaves it, macros included that do no more."""
    assert between(*KEPT[how]) == "covered"


IDLE = "static {}void kvm_idle(struct kvm_vcpu *vcpu)\n{{\n\tvcpu->arch.maxphyaddr = 40;\n}}\n"
LIVE = "void kvm_live(struct kvm_vcpu *vcpu)\n{{\n\t{}\n}}\n"


def beside(text, path=CPUID):
    """Return the verdict with some more text at the end of a file."""
    head, end, tail = FIXED[path].decode().rpartition("#endif") if path[-1] == "h" else ("", "", "")
    data = f"{head}{text}{end}{tail}" if head else FIXED[path].decode() + text
    return check({**FIXED, path: data.encode()}).verdict


@pytest.mark.parametrize("path", [CPUID, HEADER])
@pytest.mark.parametrize(
    "text",
    [
        IDLE.format(""),
        IDLE.format("inline "),
        IDLE.format("__maybe_unused "),
        IDLE.format("").replace("40;", "40;\n\tif (0)\n\t\tkvm_idle(vcpu);"),
        IDLE.format("").replace("idle", "put")
        + IDLE.format("").replace("vcpu->arch.maxphyaddr = 40", "kvm_put(vcpu)")
        + LIVE.format("kvm_put(vcpu);\n\tkvm_mmu_after_set_cpuid(vcpu);"),
        IDLE.format("") + LIVE.format("/* kvm_idle(vcpu) */"),
    ],
    ids=["static", "inline", "may be unused", "calls itself", "calls what stores", "in a comment"],
)
def test_a_store_that_nothing_runs(text, path):
    """A function of one file that nothing names changes nothing, in a header of KVM's own too."""
    assert beside(text, path) == "covered"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (IDLE.format("")[7:], CPUID),
        (IDLE.format("inline "), HOST),
        (IDLE.format("") + LIVE.format("kvm_idle(vcpu);"), CPUID),
        (IDLE.format("") + LIVE.format("kvm_call(kvm_idle, vcpu);"), CPUID),
        (IDLE.format("") + "void (*kvm_hook)(struct kvm_vcpu *vcpu) = kvm_idle;\n", CPUID),
        (IDLE.format("") + "struct ops { void (*f)(struct kvm_vcpu *); };\n"
         "static struct ops ops = { .f = kvm_idle };\n", CPUID),
        (IDLE.format("") + "module_init(kvm_idle);\n", CPUID),
        (IDLE.format("") + "EXPORT_SYMBOL_GPL(kvm_idle);\n", CPUID),
        ("#define IDLE(v) kvm_idle(v)\n" + IDLE.format(""), CPUID),
        ("#define RUN(x, v) kvm_##x(v)\n" + IDLE.format("") + LIVE.format("RUN(idle, vcpu);"),
         CPUID),
        (IDLE.format("__used "), CPUID),
        (IDLE.format("__init "), CPUID),
        (IDLE.format('__attribute__((constructor)) '), CPUID),
        ("#define run_first __attribute__((constructor))\n" + IDLE.format("run_first "), CPUID),
        (IDLE.format("") + LIVE.format('asm("call kvm_idle");'), CPUID),
        (IDLE.format("") + "#ifdef CONFIG_X\n" + LIVE.format("kvm_idle(vcpu);") + "#endif\n",
         CPUID),
    ],
    ids=[
        "global", "header", "called", "given", "kept", "in a table", "at load", "exported",
        "in a macro", "pasted", "used", "init", "constructor", "constructor by a macro",
        "assembler", "by an option",
    ],
)  # fmt: skip
def test_a_store_that_something_may_run(text, path):
    """What names it, or is said of it, may have it called."""
    assert beside(text, path) in ("gap", "unknown")


BAIL = "#define BAIL(c) do { if (c) return; } while (0)\n"
KEEP = (
    "int kvm_keep(struct kvm_vcpu *vcpu, int n)\n{\n\tvcpu->arch.maxphyaddr = n;\n"
    "\treturn 0;\n}\n\n"
)
KEEPS = "\tkvm_keep(vcpu, maxphyaddr);\n"


def kept_by_a_call(call, stub="", more=""):
    """Return the verdict where a function stores the input, and some statements CALL it.

    STUB is what stands for it in a header under another option.
    """
    files, header = dict(FIXED), CPUID.replace(".c", ".h")
    head, tail = files[header].decode().rsplit("#endif", 1)
    declared = KEEP.partition("\n")[0] + ";\n"
    if stub:
        declared = f"#ifdef CONFIG_KVM_XEN\n{declared}#else\n{stub}#endif\n"
    files[header] = f"{head}{BAIL}{declared}#endif{tail}".encode()
    data, old = files[CPUID].decode(), "void kvm_vcpu_after_set_cpuid("
    assert data.count(STORE + "\n" + CALL) == 1 and data.count(old) == 1
    data = data.replace(STORE + "\n" + CALL, call).replace(old, KEEP + old)
    files[CPUID] = (data + more).encode()
    return check(files).verdict


@pytest.mark.parametrize(
    "call",
    [
        KEEPS + CALL,
        f"{IF}return (void)(kvm_keep(vcpu, 40), kvm_mmu_after_set_cpuid(vcpu));\n{KEEPS}{CALL}",
        f"\tBAIL(maxphyaddr > 40);\n{KEEPS}{CALL}",
        f"\tif (kvm_keep(vcpu, maxphyaddr))\n\t\tmaxphyaddr = 40;\n{CALL}",
        f"{SET_UP}{KEEPS}{CALL}",
    ],
    ids=["by itself", "returned with it", "left in front", "in a condition", "set up in front"],
)
def test_a_change_within_a_call(call):
    """All that is run behind it comes by the invalidation."""
    assert kept_by_a_call(call) == "covered"


@pytest.mark.parametrize(
    "call",
    [
        f"{IF}return (void)kvm_keep(vcpu, 40);\n{CALL}",
        f"\tBAIL(kvm_keep(vcpu, maxphyaddr));\n{CALL}",
        f"\t(BAIL)(kvm_keep(vcpu, maxphyaddr));\n{CALL}",
        f"\tkvm_init_mmu((kvm_keep(vcpu, maxphyaddr), vcpu));\n{CALL}",
        f"\tif (kvm_keep(vcpu, maxphyaddr))\n\t\treturn;\n{CALL}",
        "\tkvm_keep(vcpu, maxphyaddr) && (kvm_mmu_after_set_cpuid(vcpu), 1);\n",
    ],
    ids=["returned", "left by a macro", "(macro)", "set up with it", "left by it", "and"],
)
def test_a_change_within_what_leaves(call):
    """What is given it, or returns it, goes on from there past the invalidation."""
    assert kept_by_a_call(call) == "gap"


STUB = "static inline int kvm_keep(struct kvm_vcpu *vcpu, int n)\n{\n\treturn 0;\n}\n"


@pytest.mark.parametrize(
    "stub",
    [
        STUB,
        STUB.replace("\treturn", "\tvcpu->arch.hflags = n;\n\treturn"),
        STUB.replace("int kvm", "struct kvm_vcpu *kvm").replace("return 0", "return vcpu"),
    ],
    ids=["empty", "stores another", "returns a pointer"],
)
def test_a_function_that_is_empty_in_some_builds(stub):
    """What another build has in its place is no use of it."""
    assert kept_by_a_call(KEEPS + CALL, stub) == "covered"


@pytest.mark.parametrize(
    ("call", "stub", "more"),
    [
        (KEEPS, STUB, ""),
        (CALL + KEEPS, STUB, ""),
        (KEEPS + IF + CALL, STUB, ""),
        (f"{IF}return (void)kvm_keep(vcpu, 40);\n{CALL}", STUB, ""),
        (KEEPS.replace("vcpu,", "kvm_peer_of(vcpu),") + CALL, STUB, ""),
        (CALL + KEEPS, STUB.replace("return 0", "return vcpu->arch.maxphyaddr = n"), ""),
        (KEEPS + CALL, STUB.replace("return 0", "return kvm_defer(vcpu, kvm_keep)"), ""),
        (KEEPS + CALL, STUB.replace("{\n", "{\n\tint (*kvm_keep)(int) = kvm_other;\n\n"), ""),
        (KEEPS + CALL, STUB + "static inline " + LIVE.format("kvm_keep(vcpu, 40);"),
         LIVE.replace("live", "alive").format("kvm_live(vcpu);")),
        (KEEPS + CALL, STUB, LIVE.format("kvm_keep(vcpu, 40);")),
        (KEEPS + CALL, STUB, LIVE.format("vcpu->arch.maxphyaddr = 40;")),
        (KEEPS + CALL, STUB, LIVE.format("kvm_call(kvm_keep, vcpu);")),
        (KEEPS + CALL, STUB, "int (*kvm_hook)(struct kvm_vcpu *vcpu, int n) = kvm_keep;\n"),
        (KEEPS + CALL, STUB,
         "#define RUN(x, v) kvm_##x(v, 40)\n" + LIVE.format("RUN(keep, vcpu);")),
        (KEEPS + CALL, STUB,
         LIVE.format("int kvm_keep(struct kvm_vcpu *, int);\n\n\tkvm_keep(vcpu, 40);")),
    ],
    ids=[
        "nothing behind it", "in front of it", "under a condition", "left with it",
        "of another vCPU", "stored in its place", "given in its place", "a variable in its place",
        "called in the header", "called elsewhere", "stored elsewhere", "given elsewhere",
        "kept elsewhere", "pasted", "declared elsewhere",
    ],
)  # fmt: skip
def test_a_function_in_some_builds_that_leaves_the_role(call, stub, more):
    """Every use of it counts, in what another build has in its place as well."""
    assert kept_by_a_call(call, stub, more) in ("gap", "unknown")


LOOKED_AT = [
    (HOST, "\tu8 shadow_root_level;\n", "\tu8 shadow_root_level;\n\tbool is_set_up;\n"),
    (MMU, "\tif (new_role.as_u64 == ",
     "\tif (context->is_set_up && new_role.as_u64 == "),
    (MMU, "\tcontext->shadow_root_level = ",
     "\tcontext->is_set_up = true;\n\tcontext->shadow_root_level = "),
    (MMU, MARK + AGAIN, "\tvcpu->arch.root_mmu.is_set_up = false;\n"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected"), [("false", "unknown"), ("0", "unknown"), ("true", "gap")]
)
def test_a_member_that_the_guard_looks_at_beside_the_role(value, expected):
    """To clear it may be to invalidate; what else is stored there is not accounted for."""
    files = dict(FIXED)
    for path, old, new in LOOKED_AT:
        data = files[path].decode()
        assert data.count(old) == 1, old
        new = new.replace("is_set_up = false", f"is_set_up = {value}")
        files[path] = data.replace(old, new).encode()
    report = check(files, ("shadow_root_level",))
    (found,) = [one for context in report.contexts for one in context.fields]
    assert found.verdict == expected


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("n = host_value(&vcpu->arch.model);", "unknown"),
        ("u32 *p = &vcpu->arch.model.number;\n\n\t*p = n;", "gap"),
        (
            "u32 *p = &vcpu->arch.model.number;\n\n\t*p = n;\n\tkvm_mmu_after_set_cpuid(vcpu);",
            "covered",
        ),
        ("u32 *p = &vcpu->arch.model.number;\n\n\t*p = 1;\n\t*p = n;", "unknown"),
        ("u32 *p = &vcpu->arch.model.number;\n\n\thost_value(&*p);", "unknown"),
        ("vcpu->arch.model.number = 3;", "gap"),
        ("n = vcpu->arch.model.number;", "covered"),
        ("n = memcmp(&vcpu->arch.model, &vcpu->arch.hflags, 4);", "covered"),
    ],
)
def test_a_use_that_may_be_a_change(use, expected):
    """All known changes are followed by an invalidation: whether one more is, is not known."""
    told = "\tkvm_mmu_after_set_cpuid(vcpu);\n"
    files = dict(FIXED)
    for path, old, new in (
        (HOST, "\tulong cr0;\n", "\tulong cr0;\n\tstruct { u32 number; } model;\n"),
        (MMU, "cpuid_maxphyaddr(vcpu) <= 48", "vcpu->arch.model.number == 7"),
        (CPUID, told, f"\tvcpu->arch.model.number = maxphyaddr & 7;\n{told}"),
    ):  # fmt: skip
        data = files[path].decode()
        assert data.count(old) == 1, old
        files[path] = data.replace(old, new).encode()
    files[CPUID] += f"\nvoid late(struct kvm_vcpu *vcpu, u32 n)\n{{\n\t{use}\n}}\n".encode()
    assert check(files, ("shadow_root_level",)).verdict == expected


@pytest.mark.parametrize(
    ("scope", "is_entered"),
    [
        ("scoped_guard(mutex, &vcpu->lock)", True),
        ("scoped_guard(spinlock_irqsave, &vcpu->lock)", True),
        ("scoped_guard(mutex_try, &vcpu->lock)", False),
        ("scoped_guard(rwsem_write_kill, &vcpu->lock)", False),
        ("scoped_guard(odd, &vcpu->lock)", False),
        ("scoped_cond_guard(mutex_intr, return, &vcpu->lock)", False),
    ],
)
def test_in_the_scope_of_a_lock(scope, is_entered):
    """Whether that is gone through is told by the class: one that only tries may leave it out."""
    found = verdict(CPUID, CALL, f"\t{scope} {{\n\t{CALL}\t}}\n")
    assert (found == "covered") is is_entered
    assert (verdict(MMU, MARK, f"\t{scope}\n\t{MARK}") == "covered") is is_entered
