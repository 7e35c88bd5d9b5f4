# SPDX-License-Identifier: GPL-2.0-only
"""What a guest is told of its CPU changes in more ways than by a store to a member of its name."""

import pytest
from edited import check, fixture

from patchtool.world.inputs import invalidation, steady
from patchtool.world.inputs.births import Births
from patchtool.world.inputs.told import Told

MAIN, HOST = "arch/x86/kvm/mmu/mmu.c", "arch/x86/include/asm/kvm_host.h"
CPUID, HEADER, OTHER = "arch/x86/kvm/cpuid.c", "arch/x86/kvm/cpuid.h", "arch/x86/kvm/other.c"
LEVEL = "cpuid_maxphyaddr(vcpu) <= 48"
FEATURE, BITS = "!guest_cpuid_has(vcpu, X86_FEATURE_GBPAGES)", "(vcpu->arch.reserved_gpa_bits & 1)"
IBPB, OWN = (FEATURE.replace("GBPAGES", one) for one in ("IBPB", "OWN"))
MEMBERS = """\tstruct kvm_cpuid_entry2 *cpuid_entries;
\tstruct kvm_mmu *walk_mmu;
\tu32 cpu_caps[4];
\tu64 reserved_gpa_bits;
"""
TOLD = """
#define X86_FEATURE_GBPAGES\t(1*32+26)
#define X86_FEATURE_NX\t\t(1*32+20)
#define X86_FEATURE_IBPB\t(13*32+12)
#define X86_FEATURE_OWN\t\t(30*32+1)

struct kvm_cpuid_entry2 *kvm_find_cpuid_entry(struct kvm_vcpu *vcpu, u32 function);
void guest_cpu_cap_clear(struct kvm_vcpu *vcpu, unsigned int x86_feature);
bool guest_cpuid_has(struct kvm_vcpu *vcpu, unsigned int x86_feature);

"""
SETTING = """
bool guest_cpuid_has(struct kvm_vcpu *vcpu, unsigned int x86_feature)
{
\treturn vcpu->arch.cpu_caps[x86_feature / 32] & (1u << (x86_feature & 31));
}

void guest_cpu_cap_clear(struct kvm_vcpu *vcpu, unsigned int x86_feature)
{
\tvcpu->arch.cpu_caps[x86_feature / 32] &= ~(1u << (x86_feature & 31));
}

void kvm_set_cpuid(struct kvm_vcpu *vcpu, struct kvm_cpuid_entry2 *entries)
{
\tvcpu->arch.cpuid_entries = entries;
\tvcpu->arch.reserved_gpa_bits = entries->eax;
\tguest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);
\tkvm_vcpu_after_set_cpuid(vcpu, 40);
}
"""
BEHIND = "void kvm_vcpu_after_set_cpuid(struct kvm_vcpu *vcpu, int maxphyaddr);\n"
ENTRY = """#define OWN_FEATURE(word, bit)	((word) * 32 + (bit))
#define X86_FEATURE_XMM2	(0*32+26)
#define X86_FEATURE_MINE	(1 * 32 + 26)
#define X86_FEATURE_KEPT	OWN_FEATURE(CPUID_OWN, 26)

static void entry_clear(struct kvm_cpuid_entry2 *one, unsigned int x86_feature)
{
\tone->edx &= ~(1u << (x86_feature & 31));
}

"""
FIND = "struct kvm_cpuid_entry2 *one = kvm_find_cpuid_entry(vcpu, {});\n\n\t"


def verdict(read, code="", above="", *edits):
    """Check the fixture where a level depends on something else that a guest is told."""
    tree = fixture("cpuid-invalidated-fixed")
    entry = "struct kvm_cpuid_entry2 {\n\tu32 eax, ebx, ecx, edx;\n};\n\n"
    for path, old, new in (
        (MAIN, LEVEL, read),
        (HOST, "struct kvm_vcpu_arch {\n", f"{entry}struct kvm_vcpu_arch {{\n{MEMBERS}"),
        (HEADER, "#include <linux/kvm_host.h>\n", f"#include <linux/kvm_host.h>\n{TOLD}{BEHIND}"),
        (
            CPUID,
            "\tkvm_mmu_after_set_cpuid(vcpu);\n}\n",
            f"\tkvm_mmu_after_set_cpuid(vcpu);\n}}\n{SETTING}",
        ),
        *edits,
    ):
        text = tree[path].decode()
        assert old in text
        tree[path] = text.replace(old, new, 1).encode()
    if code:
        body = f"void devil(struct kvm_vcpu *vcpu, u64 n)\n{{\n\t{code}\n}}\n"
        tree[OTHER] = f'#include "cpuid.h"\n\n{above}{body}'.encode()
    return check(tree).verdict


@pytest.mark.parametrize("name", ["cpuid_entries", "leaves"])
def test_a_table_by_any_name(name):
    """What a guest is told of its CPU is kept in tables of that record, whatever they are called.

    An answer is given by them alone here, and they are stored to in front of an invalidation.
    """
    edits = [(path, "cpuid_entries", name) for path in (HOST, CPUID)]
    edits.append((HOST, "\tu32 cpu_caps[4];\n", ""))
    caps = SETTING[SETTING.index("bool guest_cpuid_has") : SETTING.index("void kvm_set_cpuid")]
    answer = f"{caps.partition('{')[0]}{{\n\treturn vcpu->arch.{name}[0].edx & (1u << 26);\n}}\n\n"
    edits.append((CPUID, caps, answer))
    edits.append((CPUID, "\tguest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);\n", ""))
    assert verdict(FEATURE, "", "", *edits) == "covered"


HELPER = (
    "static void setup_it(struct kvm_vcpu *vcpu, unsigned int which)\n{\n"
    "\tguest_cpu_cap_clear(vcpu, which);\n}\n"
)
CHANGES = {
    "the bits, through a pointer": (
        BITS, "u64 *p = &vcpu->arch.reserved_gpa_bits;\n\n\t*p &= ~n;", ""),
    "the bits, by a helper": (
        BITS, "put(&vcpu->arch.reserved_gpa_bits);", "static void put(u64 *p)\n{\n\t*p = 0;\n}\n"),
    "one of the bits": (BITS, "__set_bit(3, (ulong *)&vcpu->arch.reserved_gpa_bits);", ""),
    "the bits, once more": (BITS, "vcpu->arch.reserved_gpa_bits++;", ""),
    "an entry": (FEATURE, FIND.format("0x80000001") + "one->edx ^= 1u << 26;", ""),
    "an entry, by its address": (
        FEATURE, FIND.format("0x80000001") + "*(&one->edx) = 0;", ""),
    "some entry": (FEATURE, FIND.format("n") + "one->edx = 0;", ""),
    "an entry by number": (FEATURE, "vcpu->arch.cpuid_entries[n].edx = 0;", ""),
    "the feature": (FEATURE, "guest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);", ""),
    "its word": (FEATURE, "vcpu->arch.cpu_caps[1] = 0;", ""),
    "its word by an address": (FEATURE, "u32 *p = &vcpu->arch.cpu_caps[1];\n\n\t*p = n;", ""),
    "a word that a helper is given": (
        FEATURE, "mask_word(&vcpu->arch.cpu_caps[1], n);",
        "static void mask_word(u32 *p, u64 n)\n{\n\t*p &= ~n;\n}\n\n"),
    "its word, once": (FEATURE, "WRITE_ONCE(vcpu->arch.cpu_caps[1], 0);", ""),
    "its word, from user space": (FEATURE, "get_user(vcpu->arch.cpu_caps[1], (u32 *)n);", ""),
    "its word in parentheses": (FEATURE, "(vcpu->arch.cpu_caps[1]) = 0;", ""),
    "its word times": (FEATURE, "vcpu->arch.cpu_caps[1] *= n;", ""),
    "its word by the remainder": (FEATURE, "vcpu->arch.cpu_caps[1] %= 16;", ""),
    "its word by assembler": (
        FEATURE, 'asm volatile("movl $0, %0" : "=m" (vcpu->arch.cpu_caps[1]));', ""),
    "its word by a macro": (
        FEATURE, "CAP_DROP(vcpu->arch.cpu_caps[1]);", "#define CAP_DROP(x) ((x) = 0)\n"),
    "its word by a macro that is not there": (FEATURE, "do_div(vcpu->arch.cpu_caps[1], 3);", ""),
    "the table, moved": (FEATURE, "vcpu->arch.cpuid_entries++;", ""),
    "all words": (FEATURE, "u32 *p = vcpu->arch.cpu_caps;\n\n\tp[1] = n;", ""),
    "the feature, by a number": (FEATURE, "guest_cpu_cap_clear(vcpu, 1 * 32 + 26);", ""),
    "the feature, by a variable": (FEATURE, "guest_cpu_cap_clear(vcpu, n);", ""),
    "the feature, by another name": (
        FEATURE, "guest_cpu_cap_clear(vcpu, BIG);", "#define BIG X86_FEATURE_GBPAGES\n"),
    "the feature, by a helper": (FEATURE, "setup_it(vcpu, X86_FEATURE_GBPAGES);", HELPER),
    "the feature, pasted": (
        FEATURE, "DROP(GBPAGES);",
        "#define DROP(f) guest_cpu_cap_clear(vcpu, X86_FEATURE_##f)\n"),
    "an entry, where it is found": (
        FEATURE, "kvm_find_cpuid_entry(vcpu, 0x80000001)->edx = 0;", ""),
    "an entry, added up": (FEATURE, FIND.format("0x80000000 + 1") + "one->edx = 0;", ""),
    "an entry as a whole": (FEATURE, FIND.format("0x80000001") + "*one = *(one + 1);", ""),
    "an entry, filled": (FEATURE, FIND.format("0x80000001") + "memset(one, 0, 16);", ""),
    "what an entry is": (FEATURE, FIND.format("0x80000001") + "one->function = n;", ""),
    "one of two": (
        FEATURE, FIND.format("7") + "one = kvm_find_cpuid_entry(vcpu, n);\n\tone->edx = 0;", ""),
    "the register of another feature": (
        FEATURE, "u32 *reg = word_of(vcpu, X86_FEATURE_NX);\n\n\t*reg = 0;",
        "static u32 *word_of(struct kvm_vcpu *vcpu, unsigned int x86_feature)\n{\n"
        "\treturn &kvm_find_cpuid_entry(vcpu, 0x80000001)->edx;\n}\n"),
    "the bit, as that of another leaf": (
        FEATURE, "entry_clear(kvm_find_cpuid_entry(vcpu, 0x80000001), X86_FEATURE_XMM2);", ENTRY),
    "the bit, by a name of one's own": (
        FEATURE, "guest_cpu_cap_clear(vcpu, X86_FEATURE_MINE);", ENTRY),
    "the bit, of a word of one's own": (
        FEATURE, "entry_clear(kvm_find_cpuid_entry(vcpu, 0x80000001), X86_FEATURE_KEPT);", ENTRY),
    "an entry, by a helper": (
        FEATURE, "zap(kvm_find_cpuid_entry(vcpu, n));",
        "static void zap(struct kvm_cpuid_entry2 *one)\n{\n\tone->edx = 0;\n}\n"),
    "an entry of another word": (IBPB, FIND.format("0x80000008") + "one->ebx = 0;", ""),
    "an entry of a word that is not known": (OWN, FIND.format("0x80000021") + "one->eax = 0;", ""),
    "any register of a word that is not known": (OWN, FIND.format("7") + "one->edx = 0;", ""),
    "the feature, and told unless it returns that": (
        FEATURE, "if (n)\n\t\treturn guest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);\n"
        "\tkvm_vcpu_after_set_cpuid(vcpu, 40);", ""),
    "the feature, and told unless a macro leaves": (
        FEATURE, "LEAVE(guest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES), n);\n"
        "\tkvm_vcpu_after_set_cpuid(vcpu, 40);",
        "#define LEAVE(s, c) do { s; if (c) return; } while (0)\n\n"),
}  # fmt: skip
OTHERS = {
    "nothing": (BITS,),
    "nothing of a feature": (FEATURE,),
    "the bits are read": (BITS, "if (vcpu->arch.reserved_gpa_bits & n)\n\t\treturn;"),
    "nothing of another word": (IBPB,),
    "nothing of a word that is not known": (OWN,),
    "another register of another word": (IBPB, FIND.format("0x80000008") + "one->eax = 0;"),
    "another leaf than that of another word": (IBPB, FIND.format("7") + "one->ebx = 0;"),
    "another leaf": (FEATURE, FIND.format("0xd") + "one->edx = 0;"),
    "another register": (FEATURE, FIND.format("0x80000001") + "one->ebx = 0;"),
    "another feature": (FEATURE, "guest_cpu_cap_clear(vcpu, X86_FEATURE_NX);"),
    "the feature is asked for": (
        FEATURE, "if (guest_cpuid_has(vcpu, X86_FEATURE_GBPAGES))\n\t\treturn;"),
    "another bit of the leaf": (
        FEATURE, "entry_clear(kvm_find_cpuid_entry(vcpu, 0x80000001), X86_FEATURE_NX);", ENTRY),
    "the bit of another leaf": (
        FEATURE, "entry_clear(kvm_find_cpuid_entry(vcpu, 1), X86_FEATURE_XMM2);", ENTRY),
    "a bit of another word": (FEATURE, "guest_cpu_cap_clear(vcpu, X86_FEATURE_XMM2);", ENTRY),
    "a word that is read": (FEATURE, "n = n & vcpu->arch.cpu_caps[1];"),
    "the size of the words": (FEATURE, "n = sizeof(vcpu->arch.cpu_caps);"),
    "another feature, by a helper": (FEATURE, "setup_it(vcpu, X86_FEATURE_NX);", HELPER),
    "and told": (
        FEATURE, "guest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);\n"
        "\tkvm_vcpu_after_set_cpuid(vcpu, 40);"),
}  # fmt: skip


FLAGS = "void flags(struct kvm_vcpu *vcpu, u32 n)\n{\n\tvcpu->arch.hflags = n;\n}\n"
ASK = "bool guest_cpuid_has(struct kvm_vcpu *vcpu, unsigned int x86_feature)\n{\n"
ANSWERS = {
    "an object of the file": ("if (off)\n\t\treturn false;\n", "static bool off;\n"),
    "an object that stays": ("static int n;\n\n\tif (n++ & 1)\n\t\treturn false;\n", ""),
    "the time": ("if (jiffies & 1)\n\t\treturn false;\n", ""),
    "the task": ("if (current->flags & 1)\n\t\treturn false;\n", ""),
    "the processor": ("if (this_cpu_read(number) & 1)\n\t\treturn false;\n", ""),
    "what runs": ("if (running()->arch.hflags & 1)\n\t\treturn false;\n", ""),
    "what a helper has": (
        "if (is_off())\n\t\treturn false;\n",
        "static bool off;\nstatic bool is_off(void)\n{\n\treturn off;\n}\n"),
    "a table that changes": (
        "if (masks[x86_feature & 1])\n\t\treturn false;\n", "static u8 masks[2];\n"),
    "a macro that is an object": (
        "if (HIDDEN)\n\t\treturn false;\n", "static bool off;\n#define HIDDEN off\n"),
    "macros around an object": (
        "if (IS_HIDDEN(x86_feature))\n\t\treturn false;\n",
        "static bool off;\n#define HIDDEN off\n#define IS_HIDDEN(nr) ((nr) == 7 && HIDDEN)\n"),
    "a macro that asks a helper": (
        "if (HIDDEN)\n\t\treturn false;\n",
        "static bool off;\nstatic bool is_off(void)\n{\n\treturn off;\n}\n"
        "#define HIDDEN is_off()\n"),
    "what a handle that is const leads to": (
        "if (peek(vcpu))\n\t\treturn false;\n",
        FLAGS + "static bool peek(struct kvm_vcpu const *v)\n{\n\treturn v->arch.hflags & 1;\n}\n"),
    "what a part of it leads to": (
        "if (peek(&vcpu->arch))\n\t\treturn false;\n",
        FLAGS + "static bool peek(struct kvm_vcpu_arch *arch)\n{\n\treturn arch->hflags & 1;\n}\n"),
    "what another handle leads to": (
        "if (peek(vcpu, vcpu))\n\t\treturn false;\n",
        FLAGS + "static bool peek(struct kvm_vcpu *v, struct kvm_vcpu *w)\n{\n"
        "\treturn w->arch.hflags & 1;\n}\n"),
    "what a pointer in it leads to": (
        "if (vcpu->arch.walk_mmu->root_level & 1)\n\t\treturn false;\n", ""),
    "what a pointer to const leads to": (
        "if (flat->walk)\n\t\treturn false;\n",
        "struct flat {\n\tbool walk;\n};\nstatic const struct flat *flat = &flat_a;\n"),
    "what a const pointer leads to": (
        "if (flat->walk)\n\t\treturn false;\n",
        "struct flat {\n\tbool walk;\n};\nstatic struct flat *const flat = &flat_a;\n"),
    "what a pointer in a table leads to": (
        "if (flats[0].one->walk)\n\t\treturn false;\n",
        "struct flat {\n\tstruct flat *one;\n\tbool walk;\n};\n"
        "static const struct flat flats[] = { { &flat_a } };\n"),
    "an object of which another function has a constant": (
        "if (off)\n\t\treturn false;\n",
        "static bool off = true;\n\nint other(void)\n{\n\tconst bool off = true;\n\n"
        "\treturn off;\n}\n"),
    "an object in capitals": (
        "if (HIDDEN)\n\t\treturn false;\n", "static bool HIDDEN = true;\n"),
    "an object in capitals of a macro": (
        "if (IS_HIDDEN(x86_feature))\n\t\treturn false;\n",
        "static bool HIDDEN = true;\n#define IS_HIDDEN(nr) ((nr) == 7 && HIDDEN)\n"),
    "where it runs": ("if (preempt_count() > 1)\n\t\treturn false;\n", ""),
    "which lock is held": ("if (lockdep_is_held(&vcpu->arch.cpu_caps))\n\t\treturn false;\n", ""),
    "what a macro says of where it runs": (
        "if (HIDDEN)\n\t\treturn false;\n", "#define HIDDEN (preempt_count() > 1)\n"),
}  # fmt: skip
CONSTANTS = {
    "nothing more": ("", ""),
    "a table": (
        "if (masks[x86_feature & 1])\n\t\treturn false;\n",
        "static const u8 masks[2] = { 0, 0 };\n"),
    "a helper": (
        "if (is_off(x86_feature))\n\t\treturn false;\n",
        "static bool is_off(unsigned int x86_feature)\n{\n\treturn x86_feature == 7;\n}\n"),
    "its own": ("bool off = x86_feature == 7;\n\n\tif (unlikely(off))\n\t\treturn false;\n", ""),
    "a macro": (
        "if (IS_HIDDEN(x86_feature))\n\t\treturn false;\n",
        "#define HIDDEN 7\n#define IS_HIDDEN(nr) ((nr) == HIDDEN)\n"),
    "what a handle that is const leads to": (
        "if (peek(vcpu))\n\t\treturn false;\n",
        "static bool peek(struct kvm_vcpu const *v)\n{\n\treturn v->arch.cpu_caps[0] & 1;\n}\n"),
    "an entry": (
        "if (peek(vcpu->arch.cpuid_entries))\n\t\treturn false;\n",
        "static bool peek(const struct kvm_cpuid_entry2 *one)\n{\n\treturn one->eax & 1;\n}\n"),
    "an enumerator": (
        "if (x86_feature == HIDDEN)\n\t\treturn false;\n", "enum hidden {\n\tHIDDEN = 7,\n};\n"),
    "a record": (
        "if (flat.walk)\n\t\treturn false;\n",
        "struct flat {\n\tbool walk;\n};\nstatic const struct flat flat = { true };\n"),
    "in peace": ("preempt_disable();\n\tpreempt_enable();\n", ""),
    "what is known when it is built": ("BUILD_BUG_ON(__builtin_constant_p(x86_feature));\n", ""),
    "the host": ("if (boot_cpu_has(X86_FEATURE_NX))\n\t\treturn false;\n", ""),
}  # fmt: skip
INVALIDATED = "\tkvm_mmu_after_set_cpuid(vcpu);\n}\n"
PASSED_BY = {
    "left": "\tif (vcpu->arch.hflags)\n\t\treturn;\n" + INVALIDATED,
    "jumped over": "\tif (vcpu->arch.hflags)\n\t\tgoto out;\n"
                   + INVALIDATED.replace("}\n", "out:\n\treturn;\n}\n"),
    "another one, behind a loop": "\tkvm_for_each_vcpu(i, vcpu, vcpu->kvm)\n\t\tkick(vcpu);\n"
                                  + INVALIDATED,
    "another one, in a list": "\tlist_for_each_entry(vcpu, vcpu->others, list) {\n"
                              "\t\tif (wanted(vcpu))\n\t\t\tbreak;\n\t}\n" + INVALIDATED,
    "left with success": "\tif (vcpu->arch.hflags)\n\t\treturn 0;\n" + INVALIDATED,
}  # fmt: skip


def asking(body, above):
    """Return the edit by which the answer about a feature depends on more."""
    return CPUID, ASK, f"{above}{ASK}\t{body}\n"


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_by_what_nobody_tells(name):
    """What a guest was told is not all that the answer depends on."""
    assert verdict(FEATURE, "", "", asking(*ANSWERS[name])) in ("gap", "unknown")


@pytest.mark.parametrize("name", CONSTANTS)
def test_an_answer_by_constants(name):
    """It changes only where a guest is told something else."""
    assert verdict(FEATURE, "", "", asking(*CONSTANTS[name])) == "covered"


@pytest.mark.parametrize("name", PASSED_BY)
def test_an_invalidation_that_is_passed_by(name):
    """Nobody was refused, and the role stays valid."""
    edit = CPUID, INVALIDATED, PASSED_BY[name]
    assert verdict(BITS, "", "", edit) in ("gap", "unknown")


SWAP = "swap(vcpu->arch.cpuid_entries, entries);"
COPY = "memcpy(vcpu->arch.cpu_caps, caps, sizeof(vcpu->arch.cpu_caps));"
UNDONE = {
    "put back": (f"{SWAP}\n\t\t{COPY}", "return -22;", True),
    "put back, and jumped": (f"{SWAP}\n\t\t{COPY}", "goto out;", True),
    "put back in part": (COPY, "return -22;", False),
    "not put back": ("entries->ebx = 0;", "return -22;", False),
    "not put back, and silent": ("entries->ebx = 0;", "return 0;", False),
    "not put back, and jumped": ("entries->ebx = 0;", "goto out;", False),
    "something else put back": ("memcpy(caps, vcpu->arch.cpu_caps, 4);", "return -22;", False),
    "another copy": (
        "memcpy(vcpu->arch.cpu_caps, entries, sizeof(vcpu->arch.cpu_caps));",
        "return -22;",
        False,
    ),
    "put back behind a set-up": (
        f"kvm_mmu_reset_context(vcpu);\n\t\t{SWAP}\n\t\t{COPY}",
        "return -22;",
        False,
    ),
    "put back behind a set-up further down": (
        f"kvm_vcpu_after_set_cpuid(vcpu, 40);\n\t\t{SWAP}\n\t\t{COPY}",
        "return -22;",
        False,
    ),
}
SETTER = "void kvm_set_cpuid(struct kvm_vcpu *vcpu, struct kvm_cpuid_entry2 *entries)\n{\n"
STORED = "\tvcpu->arch.cpuid_entries = entries;\n"


@pytest.mark.parametrize("name", UNDONE)
def test_a_refusal_in_front_of_the_invalidation(name):
    """Who refuses has to put back all that was there, whatever he returns."""
    back, jump, is_fine = UNDONE[name]
    told = "\tkvm_vcpu_after_set_cpuid(vcpu, 40);\n}\n"
    saved = "\tu32 caps[4];\n\n\tmemcpy(caps, vcpu->arch.cpu_caps, sizeof(caps));\n"
    edits = (
        (CPUID, SETTER, SETTER.replace("void", "int", 1) + saved),
        (CPUID, STORED, f"\t{SWAP}\n"),
        (
            CPUID,
            told,
            f"\tif (entries->ebx) {{\n\t\t{back}\n\t\t{jump}\n\t}}\n"
            + told.replace("}", "out:\n\treturn 0;\n}" if "goto" in jump else "\treturn 0;\n}"),
        ),
    )
    found = verdict(FEATURE, "", "", *edits)
    assert found == "covered" if is_fine else found in ("gap", "unknown")


@pytest.mark.parametrize("again", ["", "\t\tkvm_vcpu_after_set_cpuid(vcpu, 40);\n"])
def test_a_refusal_behind_an_invalidation(again):
    """What is put back behind a set-up is a change by itself, and undoes none."""
    call = "\tkvm_vcpu_after_set_cpuid(vcpu, 40);\n"
    back = f"\tif (entries->ebx) {{\n\t\t{SWAP}\n{again}\t\treturn;\n\t}}\n"
    edits = ((CPUID, STORED, f"\t{SWAP}\n{call}"), (CPUID, call + "}\n", f"{back}{call}}}\n"))
    found = verdict(FEATURE, "", "", *edits)
    assert found == "covered" if again else found in ("gap", "unknown")


def test_a_refusal_behind_the_set_up():
    """What is put back then was told to a set-up, and the role says nothing of it."""
    told = "\tkvm_vcpu_after_set_cpuid(vcpu, 40);\n}\n"
    late = "\tkvm_vcpu_after_set_cpuid(vcpu, 40);\n\tif (entries->ebx)\n\t\tgoto err;\n"
    end = f"\treturn;\nerr:\n\t{SWAP}\n\treturn;\n}}\n"
    for more, is_fine in ((late, False), (told.replace("}\n", ""), True)):
        edits = ((CPUID, STORED, f"\t{SWAP}\n"), (CPUID, told, more + end))
        found = verdict(FEATURE, "", "", *edits)
        assert found == "covered" if is_fine else found in ("gap", "unknown")


WORDS = ("function", "index", "flags", "eax", "ebx", "ecx", "edx")


def differing(words):
    """Return the comparison of some words of two entries."""
    return " || ".join(f"entries[0].{one} != vcpu->arch.cpuid_entries[0].{one}" for one in words)


def compared(body, asks):
    """Return the verdict where what is handed over was compared by a function of some body."""
    told = "\tkvm_vcpu_after_set_cpuid(vcpu, 40);\n}\n"
    same = (
        "static int same(struct kvm_vcpu *vcpu, struct kvm_cpuid_entry2 *entries)\n"
        f"{{\n\t{body}\n}}\n\n"
    )
    out = "out:\n\treturn;\nerr:\n\tswap(vcpu->arch.cpuid_entries, entries);\n\treturn;\n}"
    edits = (
        (CPUID, SETTER, same + SETTER),
        (CPUID, STORED, f"\t{SWAP}\n\tif (vcpu->arch.hflags) {{\n\t\t{asks}\n\t}}\n"),
        (CPUID, told, told.replace("}", out)),
    )
    return verdict(FEATURE, "", "", *edits)


@pytest.mark.parametrize(
    ("body", "is_fine"),
    [
        (f"if ({differing(WORDS)})\n\t\treturn -EINVAL;\n\treturn 0;", True),
        ("return memcmp(entries, vcpu->arch.cpuid_entries, sizeof(*entries));", True),
        (f"if ({differing(WORDS[:-1])})\n\t\treturn -EINVAL;\n\treturn 0;", False),
        (f"if (n > 4)\n\t\treturn 0;\n\tif ({differing(WORDS)})\n\t\treturn -EINVAL;\n\treturn 0;",
         False),
        ("for (int i = 0; i < 4; i++) {\n\t\tif (i == 2)\n\t\t\tcontinue;\n"
         f"\t\tif ({differing(WORDS)})\n\t\t\treturn -EINVAL;\n\t}}\n\treturn 0;", False),
        ("return memcmp(entries, vcpu->arch.cpuid_entries, "
         "offsetof(struct kvm_cpuid_entry2, edx));", False),
        ("return memcmp(entries, vcpu->arch.cpuid_entries, 4);", False),
        ("return entries != vcpu->arch.cpuid_entries;", False),
    ],
)  # fmt: skip
def test_what_is_compared(body, is_fine):
    """All words are compared, each on every way to the answer that nothing is another."""
    asks = "int r = same(vcpu, entries);\n\n\t\tif (r)\n\t\t\tgoto err;\n\t\tgoto out;"
    found = compared(body, asks)
    assert found == "covered" if is_fine else found in ("gap", "unknown")


@pytest.mark.parametrize(
    ("asks", "is_fine"),
    [
        ("int r = same(vcpu, entries);\n\n\t\tif (r)\n\t\t\tgoto err;\n\t\tgoto out;", True),
        ("same(vcpu, entries);\n\t\tgoto out;", False),
        ("int r = 1;\n\n\t\tif (r)\n\t\t\tgoto err;\n\t\tgoto out;", False),
        (
            "int r = same(vcpu, entries);\n\n\t\tif (r)\n\t\t\tgoto err;\n"
            "\t\tguest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);\n\t\tgoto out;",
            False,
        ),
        (
            "int r;\n\n\t\tguest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);\n"
            "\t\tr = same(vcpu, entries);\n\t\tif (r)\n\t\t\tgoto err;\n\t\tgoto out;",
            False,
        ),
    ],
    ids=["and refuses", "in vain", "nothing", "more behind it", "more in front of it"],
)
def test_what_was_compared(asks, is_fine):
    """Nothing changes where what is handed over was compared, and refused if it is another."""
    body = "return memcmp(entries, vcpu->arch.cpuid_entries, sizeof(*entries)) ? -22 : 0;"
    found = compared(body, asks)
    assert found == "covered" if is_fine else found in ("gap", "unknown")


def test_callers_of_callers_are_looked_at_once(monkeypatch):
    """Each of some functions is called by all of the next ones, eight calls high."""
    layers = [[f"f{level}_{number}" for number in range(4)] for level in range(9)]
    above = "void devil(struct kvm_vcpu *vcpu, u64 n);\n" + "".join(
        f"void {name}(struct kvm_vcpu *vcpu)\n{{\n"
        + "".join(f"\t{one}(vcpu);\n" for one in (layers[level - 1] if level else []))
        + ("" if level else "\tdevil(vcpu, 1);\n")
        + ("\tkvm_vcpu_after_set_cpuid(vcpu, 40);\n" if level == 7 else "")
        + "}\n"
        for level, names in enumerate(layers)
        for name in names
    )
    asked = []
    for one, name in ((Births, "calls"), (Told, "_found_behind")):
        looking = getattr(one, name)
        monkeypatch.setattr(one, name, lambda *a, by=looking: asked.append(a) or by(*a))
    verdict(BITS, "vcpu->arch.reserved_gpa_bits = n;", above)
    assert 0 < len(asked) < 200


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_nobody_is_told_of(name):
    """The level depends on it, and the stored role stays valid."""
    assert verdict(*CHANGES[name]) in ("gap", "unknown")


@pytest.mark.parametrize("name", OTHERS)
def test_what_changes_nothing_or_is_told(name):
    """Every change invalidates the role."""
    assert verdict(*OTHERS[name]) == "covered"


def test_told_where_it_is_changed():
    """A change and the invalidation behind it may both stand in one case of a switch."""
    code = (
        "switch (n) {\n\tcase 3:\n\t\tguest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);\n"
        "\t\tkvm_vcpu_after_set_cpuid(vcpu, 40);\n\t\tbreak;\n\tcase 4:\n\t\t%s\n\t\tbreak;\n\t}"
    )
    other = "guest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);"
    assert verdict(FEATURE, code % "n++;") == "covered"
    assert verdict(FEATURE, code % other) in ("gap", "unknown")
    told = "\t\tkvm_vcpu_after_set_cpuid(vcpu, 40);\n"
    for left in ("if (n & 1)\n\t\t\tbreak;", "if (n & 1)\n\t\t\treturn;"):
        passed = (code % "n++;").replace(told, f"\t\t{left}\n{told}")
        assert verdict(FEATURE, passed) in ("gap", "unknown")
    inner = "while (n)\n\t\t\tif (n-- & 1)\n\t\t\t\tbreak;"
    assert verdict(FEATURE, (code % "n++;").replace(told, f"\t\t{inner}\n{told}")) == "covered"


@pytest.mark.parametrize(
    ("more", "given"),
    [
        ("struct kvm_vcpu_arch *arch", "&vcpu->arch"),
        ("struct kvm_cpuid_entry2 *one", "vcpu->arch.cpuid_entries"),
    ],
)
def test_a_question_that_is_asked_with_more(more, given):
    """What it answers by may be behind what it is given, and changes with it."""
    read = f"!guest_cpuid_has_more(vcpu, {given})"
    above = (
        f"static bool guest_cpuid_has_more(struct kvm_vcpu *vcpu, {more})\n{{\n\treturn true;\n}}\n"
    )
    include = '#include "../cpuid.h"\n'
    declared = (MAIN, include, f"{include}\n{above}")
    assert verdict(read, "", "", declared) == "unknown"


BIRTH = "int kvm_arch_vcpu_create(struct kvm_vcpu *vcpu)\n{{\n\t{}\n\treturn 0;\n}}\n"
EACH = "struct kvm_vcpu *v;\n\tint i;\n\n\tkvm_for_each_vcpu(i, v, vcpu->kvm)\n\t\t"
ZERO = "arch.reserved_gpa_bits = 0;"
FIRST = "static struct kvm_vcpu *first;\n"
NEXT = "#define NEXT(v) ((v) = kvm_next(v))\n"
PEER = "#define PEER(v) kvm_next(v)\n"
ALL = (
    "static void clear_all(struct kvm *kvm)\n{\n\tstruct kvm_vcpu *v;\n\tint i;\n\n"
    f"\tkvm_for_each_vcpu(i, v, kvm)\n\t\tv->{ZERO}\n}}\n"
)
TELL = (
    "void tell(struct kvm_vcpu *vcpu, struct kvm *kvm)\n{\n\tclear_all(kvm);\n"
    "\tkvm_vcpu_after_set_cpuid(vcpu, 40);\n}\n"
)
ONE = (
    f"static void clear_one(struct kvm_vcpu *v)\n{{\n\tv->{ZERO}\n}}\n"
    "void tell(struct kvm_vcpu *vcpu)\n{\n\tclear_one(vcpu);\n"
    "\tkvm_vcpu_after_set_cpuid(vcpu, 40);\n}\n"
)
BIG = "struct vcpu_big {\n\tstruct kvm_vcpu vcpu;\n};\n"
MAKERS = """#define alloc_macro(n) first

static struct kvm_vcpu *alloc_first(void)
{
	return first;
}

static struct kvm_vcpu *alloc_some(int n)
{
	if (n)
		return first;
	return kzalloc(n, 0);
}

#define RETURN(x) return x

static struct kvm_vcpu *alloc_by_macro(int n)
{
	RETURN(first);
}

static struct kvm_vcpu *alloc_bail(int n)
{
	if (n)
		RETURN(first);
	return kzalloc(n, 0);
}

static struct kvm_vcpu *alloc_round(int n)
{
	return n ? alloc_round(n - 1) : alloc_round(n - 2);
}

static struct kvm_vcpu *alloc_one(int n)
{
	struct kvm_vcpu *one = kzalloc(n, 0);

	if (!one)
		return NULL;
	return one;
}

static struct kvm_vcpu *alloc_same(struct kvm_vcpu *one)
{
	return one;
}

"""
BORN = {
    "each": (BITS, EACH + f"v->{ZERO}", ""),
    "each, by what it was given": (
        BITS, f"int i;\n\n\tkvm_for_each_vcpu(i, vcpu, vcpu->kvm)\n\t\tvcpu->{ZERO}", ""),
    "those in a list": (
        BITS, f"struct kvm_vcpu *v;\n\n\tlist_for_each_entry(v, &all, list)\n\t\tv->{ZERO}", ""),
    "a global": (BITS, f"first->{ZERO}", ""),
    "a variable that is a global": (BITS, f"struct kvm_vcpu *v = first;\n\n\tv->{ZERO}", ""),
    "a part of a global": (
        BITS, f"struct kvm_vcpu_arch *arch = &first->arch;\n\n\tarch->{ZERO[5:]}", ""),
    "one that is kept": (BITS, f"vcpu->arch.peer->{ZERO}", ""),
    "one that is asked for": (BITS, f"kvm_get_vcpu(vcpu->kvm, 0)->{ZERO}", ""),
    "set": (BITS, f"vcpu = first;\n\tvcpu->{ZERO}", ""),
    "set at times": (
        BITS, "struct kvm_vcpu *v = vcpu;\n\n\tif (vcpu->arch.hflags)\n\t\tv = first;\n"
        f"\tv->{ZERO}", ""),
    "set by a macro": (BITS, f"NEXT(vcpu);\n\tvcpu->{ZERO}", NEXT),
    "one that an earlier call has kept": (
        BITS, "static struct kvm_vcpu *v;\n\n\tif (!v)\n\t\tv = vcpu;\n"
        f"\tv->{ZERO}", ""),
    "what allocates nothing": (BITS, f"struct kvm_vcpu *v = alloc_first();\n\n\tv->{ZERO}", MAKERS),
    "what allocates at times": (BITS, f"alloc_some(9)->{ZERO}", MAKERS),
    "what a macro of that name is": (BITS, f"alloc_macro(9)->{ZERO}", MAKERS),
    "what a macro returns": (BITS, f"alloc_by_macro(9)->{ZERO}", MAKERS),
    "what a macro returns at times": (BITS, f"alloc_bail(9)->{ZERO}", MAKERS),
    "what leads back": (BITS, f"alloc_round(9)->{ZERO}", MAKERS),
    "what is handed on": (BITS, f"alloc_same(first)->{ZERO}", MAKERS),
    "set by its address": (BITS, f"next(&vcpu);\n\tvcpu->{ZERO}", ""),
    "a feature of each": (FEATURE, EACH + "guest_cpu_cap_clear(v, X86_FEATURE_GBPAGES);", ""),
    "a feature of a global": (FEATURE, "guest_cpu_cap_clear(first, X86_FEATURE_GBPAGES);", ""),
    "a feature by a number": (FEATURE, EACH + "guest_cpu_cap_clear(v, 1 * 32 + 26);", ""),
    "a word of each": (FEATURE, EACH + "v->arch.cpu_caps[1] = 0;", ""),
    "an entry of each": (FEATURE, EACH + "kvm_find_cpuid_entry(v, 0x80000001)->edx = 0;", ""),
    "all, by a helper": (BITS, "clear_all(vcpu->kvm);", ALL + TELL),
    "a global, by a helper": (BITS, "clear_one(first);", ONE),
    "each, by a helper": (BITS, EACH + "clear_one(v);", ONE),
    "a macro, by a helper": (BITS, "clear_one(PEER(vcpu));", ONE + PEER),
}  # fmt: skip
NEWBORN = {
    "itself": (BITS, f"vcpu->{ZERO}", ""),
    "a part of it": (
        BITS, f"struct kvm_vcpu_arch *arch = &vcpu->arch;\n\n\tarch->{ZERO[5:]}", ""),
    "by a helper": (BITS, "clear_one(vcpu);", ONE),
    "its feature": (FEATURE, "guest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);", ""),
    "its word": (FEATURE, "vcpu->arch.cpu_caps[1] = 0;", ""),
    "its container": (
        BITS, "struct vcpu_big *big = container_of(vcpu, struct vcpu_big, vcpu);\n\n\t"
        f"big->vcpu.{ZERO}", BIG),
    "by its container": (
        BITS, "struct vcpu_big *big = big_of(vcpu);\n\n\tclear_one(&big->vcpu);",
        ONE + BIG + "static struct vcpu_big *big_of(struct kvm_vcpu *vcpu)\n{\n"
        "\treturn container_of(vcpu, struct vcpu_big, vcpu);\n}\n"),
    "what it makes": (
        BITS, f"struct kvm_vcpu *made = kmem_cache_zalloc(cache, 0);\n\n\tmade->{ZERO}", ""),
    "what a helper makes": (BITS, f"alloc_one(9)->{ZERO}", MAKERS),
    "what is handed on": (BITS, f"alloc_same(vcpu)->{ZERO}", MAKERS),
    "what another one makes": (
        BITS, "struct kvm_vcpu *made;\n\n\tmade = kvm_x86_ops->vcpu_create(id);\n"
        f"\tmade->{ZERO}",
        "static struct kvm_vcpu *svm_create_vcpu(int id)\n{\n\treturn kzalloc(9, 0);\n}\n"
        "static struct kvm_x86_ops ops = {\n\t.vcpu_create = svm_create_vcpu,\n};\n"),
}  # fmt: skip


def born(read, body, above):
    """Return the verdict where something is done where a vCPU is made."""
    return verdict(read, "n++;", FIRST + above + BIRTH.format(body))


@pytest.mark.parametrize("name", BORN)
def test_a_birth_that_changes_others(name):
    """They were set up before, and what they are told is another."""
    assert born(*BORN[name]) in ("gap", "unknown")


def test_another_one_that_is_told():
    """Of two vCPUs the one that is changed is not the one whose role is made invalid."""
    code = (
        "void both(struct kvm_vcpu *vcpu{})\n{{\n\t{}->arch.reserved_gpa_bits = 0;\n"
        "\tkvm_vcpu_after_set_cpuid(vcpu, 40);\n}}\n"
    )
    assert verdict(BITS, "n++;", code.format("", "vcpu")) == "covered"
    other = code.format(", struct kvm_vcpu *peer", "peer")
    assert verdict(BITS, "n++;", other) in ("gap", "unknown")


@pytest.mark.parametrize("name", NEWBORN)
def test_a_birth_that_changes_the_newborn(name):
    """Nothing was set up for that yet."""
    assert born(*NEWBORN[name]) == "covered"


@pytest.mark.parametrize(
    ("read", "change"),
    [
        (BITS, f"vcpu->{ZERO}"),
        (BITS, "vcpu->arch.cpuid_entries = 0;\n\tvcpu->arch.reserved_gpa_bits = 1;"),
        (FEATURE, "guest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);"),
        (FEATURE, "vcpu->arch.cpu_caps[1] = 0;"),
    ],
)
def test_a_birth_that_changes_what_it_has_set_up(read, change):
    """What a new vCPU is told behind its first set-up is a change like any other."""
    for body, is_fine in (
        (f"{change}\n\tkvm_init_mmu(vcpu);", True),
        (f"kvm_init_mmu(vcpu);\n\t{change}", False),
        (f"kvm_init_mmu(vcpu);\n\t{change}\n\tkvm_mmu_after_set_cpuid(vcpu);", True),
    ):
        found = born(read, body, "")
        assert found == "covered" if is_fine else found in ("gap", "unknown"), body


def test_macros_that_are_given_a_guest_many_times(monkeypatch):
    """Each stands for as many of the next: what is written out of them is counted."""
    written = 0
    write = steady._written

    def counted(*given):
        nonlocal written
        written += 1
        return write(*given)

    monkeypatch.setattr(steady, "_written", counted)
    most, deep = 12, 5
    chain = "".join(
        f"#define LOOK{one}(v) ({' + '.join([f'LOOK{one + 1}(v)'] * most)})\n"
        for one in range(deep)
    )
    chain += f"#define LOOK{deep}(v) ((v)->arch.hflags)\n"
    code = (
        f"if (LOOK{{}}(vcpu))\n\t\treturn;\n\tvcpu->{ZERO}\n\tkvm_vcpu_after_set_cpuid(vcpu, 40);"
    )
    assert verdict(BITS, code.format(deep - 1), chain) == "covered"
    assert verdict(BITS, code.format(0), chain) in ("gap", "unknown")
    assert written < most**3


def test_many_calls_that_may_cover_all_ways(monkeypatch):
    """What is known of one is not asked again: each one more would double the work."""
    asked = 0
    certain = invalidation.is_certain

    def counted(*given, **named):
        nonlocal asked
        asked += 1
        return certain(*given, **named)

    monkeypatch.setattr(invalidation, "is_certain", counted)
    call = "kvm_mmu_after_set_cpuid(vcpu);\n"
    branches = "\telse ".join(
        f"if (vcpu->arch.hflags & {1 << one})\n\t\t{call}" for one in range(14)
    )
    edit = CPUID, INVALIDATED, f"\t{branches}\telse\n\t\t{call}}}\n"
    assert verdict(BITS, "", "", edit) in ("covered", "gap", "unknown")
    assert asked < 2_000, asked


OLD = "\tstruct kvm_cpuid_entry2 *old = vcpu->arch.cpuid_entries;\n\n"
SWAPS = "static void trade(struct kvm_vcpu *vcpu, struct kvm_cpuid_entry2 **e)\n{\n\t%s\n}\n\n"
TRADE = "swap(vcpu->arch.cpuid_entries, *e);"
SAVED = {
    "in a variable": (OLD + STORED, "", "vcpu->arch.cpuid_entries = old;", True),
    "too late": (STORED + OLD, "", "vcpu->arch.cpuid_entries = old;", False),
    "and another since": (
        f"{OLD}{STORED}\told = entries;\n", "", "vcpu->arch.cpuid_entries = old;", False),
    "and moved since": (OLD + STORED + "\told++;\n", "", "vcpu->arch.cpuid_entries = old;", False),
    "and given away since": (
        f"{OLD}{STORED}\trenew(&old);\n", "", "vcpu->arch.cpuid_entries = old;", False),
    "of something else": (
        OLD.replace("vcpu->arch.cpuid_entries", "entries") + STORED, "",
        "vcpu->arch.cpuid_entries = old;", False),
    "not stored": (OLD + STORED, "", "old = vcpu->arch.cpuid_entries;", False),
    "by a helper": ("\ttrade(vcpu, &entries);\n", SWAPS % TRADE, "trade(vcpu, &entries);", True),
    "by a helper, of another": (
        "\ttrade(vcpu, &entries);\n", SWAPS % TRADE, "trade(vcpu, &other);", False),
    "by a helper that may not": (
        "\ttrade(vcpu, &entries);\n", SWAPS % f"if (e)\n\t\t{TRADE}", "trade(vcpu, &entries);",
        False),
    "by a helper, never": ("\ttrade(vcpu, &entries);\n", SWAPS % TRADE, "", False),
}  # fmt: skip


@pytest.mark.parametrize("is_all", [True, False])
@pytest.mark.parametrize("name", SAVED)
def test_what_was_saved_is_put_back(name, is_all):
    """Before anything was stored there, nothing else has come to lie in it, and it is all."""
    stored, helper, back, is_fine = SAVED[name]
    cleared = "\tguest_cpu_cap_clear(vcpu, X86_FEATURE_GBPAGES);\n"
    refused = f"\tif (vcpu->arch.hflags & 4) {{\n\t\t{back}\n\t\treturn;\n\t}}\n"
    edits = (
        (CPUID, SETTER, helper + SETTER),
        (CPUID, STORED, stored),
        (CPUID, cleared, refused + cleared if is_all else cleared + refused),
    )
    found = verdict(FEATURE, "", "", *edits)
    assert found == "covered" if is_fine and is_all else found in ("gap", "unknown")
