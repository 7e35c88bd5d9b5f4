# SPDX-License-Identifier: GPL-2.0-only
"""Every way to a record by which a guest is told of its CPU is accounted for."""

import pytest
from test_told import BEHIND, CPUID, FEATURE, FIND, HEADER, HOST, MEMBERS, SETTER, STORED, verdict

ENTRY = "struct kvm_cpuid_entry2 *"
EXT = FIND.format("0x80000001")
OTHER = FIND.format("0xd")
TABLE = f"{ENTRY}e = vcpu->arch.cpuid_entries;\n\n\t"
STORES = "e->edx = 0;"
ZEROED = "one->edx = 0;"
ZAP = f"void zap({ENTRY}one)\n{{\n\tone->edx = 0;\n}}\n"
LOOP = "#define for_each_leaf(e, v) for ((e) = (v)->arch.cpuid_entries; (e)->eax; (e)++)\n"
GETTER = (
    f"static {ENTRY}leaf_of(struct kvm_vcpu *vcpu)\n{{\n"
    "\treturn kvm_find_cpuid_entry(vcpu, 0x80000001);\n}\n"
)
REGISTER = f"static u32 *word_of({ENTRY}one)\n{{\n\treturn one ? &one->edx : NULL;\n}}\n"
WALK = (
    f"static void walk(struct kvm_vcpu *vcpu, void (*fn)({ENTRY}))\n{{\n"
    "\tfn(vcpu->arch.cpuid_entries);\n}\n"
)
KEPT = (
    (HOST, MEMBERS, f"{MEMBERS}\t{ENTRY}last;\n"),
    (CPUID, STORED, f"{STORED}\tvcpu->arch.last = kvm_find_cpuid_entry(vcpu, 0x80000001);\n"),
)
DROP = (
    f"static void drop({ENTRY}one, unsigned int x86_feature)\n{{\n"
    "\tone->edx &= ~(1u << (x86_feature & 31));\n}\n"
)
STORING = {
    "an element": (f"{TABLE}e[n].edx = 0;", ""),
    "the next element": (f"{ENTRY}a = vcpu->arch.cpuid_entries, *e;\n\n\te = a + 1;\n"
                         "\t(*e).edx = 0;", ""),
    "a chosen one": (f"{TABLE}(n ? e : e + 1)->edx = 0;", ""),
    "all from user space": (
        "n = copy_from_user(vcpu->arch.cpuid_entries, (void __user *)n, 16);", ""),
    "one from user space": (
        "n = copy_from_user(&vcpu->arch.cpuid_entries[n], (void __user *)n, 16);", ""),
    "a word behind another one": (f"{EXT}u32 *r = &one->eax;\n\n\tr[3] = 0;", ""),
    "a word by its address": (f"{EXT}u32 *r = one ? &one->edx : NULL;\n\n\t*r &= ~1;", ""),
    "a word that a helper gives": (f"{EXT}u32 *r = word_of(one);\n\n\t*r = 0;", REGISTER),
    "a bit": (f"{EXT}__clear_bit(26, (unsigned long *)&one->ecx + 0);", ""),
    "two that change places": (
        "swap(vcpu->arch.cpuid_entries[0].edx, vcpu->arch.cpuid_entries[1].edx);", ""),
    "a loop that a macro heads": (f"{ENTRY}e;\n\n\tfor_each_leaf(e, vcpu)\n\t\t{STORES}", LOOP),
    "a loop that a macro heads, in a block": (
        f"{ENTRY}e;\n\n\tfor_each_leaf(e, vcpu) {{\n\t\t{STORES}\n\t}}", LOOP),
    "a getter": (f"{ENTRY}e = leaf_of(vcpu);\n\n\t{STORES}", GETTER),
    "a macro that finds": (
        f"{ENTRY}e = FOUND(vcpu, 0x80000001);\n\n\t{STORES}",
        "#define FOUND(v, f) kvm_find_cpuid_entry(v, f)\n"),
    "a macro that stores": (f"{EXT}ZAP(one);", "#define ZAP(e) ((e)->edx = 0)\n"),
    "a macro that names the pointer": (f"{EXT}ZAP(edx);", "#define ZAP(r) one->r = 0\n"),
    "a callback": ("walk(vcpu, zap);", WALK + ZAP),
    "a pointer that a member keeps": ("vcpu->arch.last->edx = 0;", "", *KEPT),
    "a pointer that a record keeps": (
        "struct iter it = { .leaf = kvm_find_cpuid_entry(vcpu, 0x80000001) };\n\n"
        "\tit.leaf->edx = 0;",
        f"struct iter {{\n\t{ENTRY}leaf;\n}};\n"),
    "a pointer of the file": (
        "leaf = kvm_find_cpuid_entry(vcpu, 0x80000001);\n\tleaf->edx = 0;",
        f"static {ENTRY}leaf;\n"),
    "a leaf with a name": (f"{FIND.format('LEAF_EXT')}one->edx = 0;",
                           "#define LEAF_EXT 0x80000001\n"),
    "another leaf in front": (
        f"{FIND.format('7')}one->ebx = 0;\n\tone = &vcpu->arch.cpuid_entries[n];\n"
        "\tone->edx = 0;", ""),
    "a feature of it": (f"{EXT}drop(one, X86_FEATURE_GBPAGES);", DROP),
    "a feature of any leaf": (
        f"{TABLE}drop(e + n, n == X86_FEATURE_GBPAGES ? 1 : X86_FEATURE_GBPAGES);", DROP),
    "another leaf behind it": (f"{EXT}{ZEROED}\n\tone = kvm_find_cpuid_entry(vcpu, 7);\n"
                               "\tone->edx = 0;", ""),
    "another leaf on one way": (f"{EXT}if (n)\n\t\tone = kvm_find_cpuid_entry(vcpu, 7);\n"
                                f"\t{ZEROED}", ""),
    "another leaf by a jump": (
        f"{EXT}if (n)\n\t\tgoto out;\n\tone = kvm_find_cpuid_entry(vcpu, 7);\nout:\n"
        f"\t{ZEROED}", ""),
    "another leaf in another case": (
        f"{EXT}switch (n) {{\n\tcase 1:\n\t\tone = kvm_find_cpuid_entry(vcpu, 7);\n"
        f"\t\tfallthrough;\n\tcase 2:\n\t\t{ZEROED}\n\t}}", ""),
    "another leaf, then a turn": (
        f"{FIND.format('7')}while (n--) {{\n\t\t{ZEROED}\n"
        "\t\tone = kvm_find_cpuid_entry(vcpu, 0x80000001);\n\t}", ""),
    "another leaf, made of the first": (f"{EXT}one = one + 0;\n\t{ZEROED}", ""),
    "one that was kept before another leaf": (
        f"{EXT}{ENTRY}e = one;\n\n\tone = kvm_find_cpuid_entry(vcpu, 7);\n\t{STORES}", ""),
    "one that was kept on one way before another leaf": (
        f"{EXT}{ENTRY}e = NULL;\n\n\tif (n)\n\t\te = one;\n"
        f"\tone = kvm_find_cpuid_entry(vcpu, 7);\n\t{STORES}", ""),
    "a macro that gives the first one": (
        f"{FIND.format('7')}AGAIN(one);\n\t{ZEROED}",
        "#define AGAIN(e) ((e) = kvm_find_cpuid_entry(vcpu, 0x80000001))\n"),
    "a macro that gives the first one by name": (
        f"{FIND.format('7')}AGAIN;\n\t{ZEROED}",
        "#define AGAIN one = kvm_find_cpuid_entry(vcpu, 0x80000001)\n"),
    "another leaf in a condition": (
        f"{EXT}if (n && (one = kvm_find_cpuid_entry(vcpu, 7)))\n\t\treturn;\n\t{ZEROED}", ""),
    "behind another leaf": (f"{OTHER}one[n].edx = 0;", ""),
    "one further than another leaf": (f"{OTHER}one++;\n\tone->edx = 0;", ""),
    "what another leaf is": (f"{OTHER}one->function = n;", ""),
    "the type of an expression": (
        "typeof(*vcpu->arch.cpuid_entries) *e = kvm_find_cpuid_entry(vcpu, 0x80000001);\n\n"
        f"\t{STORES}", ""),
    "a type that is not spelt": (
        f"__auto_type e = kvm_find_cpuid_entry(vcpu, 0x80000001);\n\n\t{STORES}", ""),
    "another name of the type": (
        f"leaf_t *e = kvm_find_cpuid_entry(vcpu, 0x80000001);\n\n\t{STORES}",
        "typedef struct kvm_cpuid_entry2 leaf_t;\n"),
    "a pointer to anything": (f"{EXT}void *p = one;\n\n\tmemset(p, 0, 16);", ""),
    "who is not known": (f"{EXT}zap(one);", "void zap(void *one);\n"),
    "the address of the pointer": (f"{EXT}next(&one);", "void next(void *one);\n"),
    "memory that is told": (
        f"{ENTRY}e = kvcalloc(4, 16, 0);\n\n\tkeep(vcpu, e);\n\te[n].edx = 0;",
        f"void keep(struct kvm_vcpu *vcpu, {ENTRY}e)\n{{\n"
        "\tvcpu->arch.cpuid_entries = e;\n\tkvm_vcpu_after_set_cpuid(vcpu, 40);\n}\n"),
}  # fmt: skip
SUPPORTED = (
    f"struct table {{\n\t{ENTRY}entries;\n\tint nent;\n}};\n\n"
    f"static {ENTRY}next_of(struct table *array)\n{{\n"
    "\treturn &array->entries[array->nent++];\n}\n\n"
    f"static void fill(struct table *array)\n{{\n\t{ENTRY}one = next_of(array);\n\n"
    "\tone->function = 0x80000001;\n\tone->edx = 0;\n"
    "\tcpuid_count(1, 0, &one->eax, &one->ebx, &one->ecx, &one->edx);\n}\n\n"
    "int supported(void)\n{\n\tstruct table array = { .nent = 0 };\n\n"
    "\tarray.entries = kvcalloc(4, 16, 0);\n\tfill(&array);\n\tkvfree(array.entries);\n"
    "\treturn 0;\n}\n\n"
)
HARMLESS = {
    "a feature of a record of its own": (
        "struct kvm_cpuid_entry2 e = { 0 };\n\n\tdrop(&e, X86_FEATURE_GBPAGES);", DROP),
    "a feature is compared": (
        "BUILD_BUG_ON(sizeof(n) == X86_FEATURE_GBPAGES);\n"
        "\tif (n == X86_FEATURE_GBPAGES || X86_FEATURE_GBPAGES == n)\n\t\tn = 0;\n"
        "\tWARN_ON_ONCE(X86_FEATURE_GBPAGES != n);", ""),
    "another leaf in place of it": (
        f"{EXT}n = one->edx;\n\tone = kvm_find_cpuid_entry(vcpu, 7);\n\tif (one)\n"
        f"\t\t{ZEROED}\n\tone = kvm_find_cpuid_entry(vcpu, 0x80000001);\n\tn = one->edx;", ""),
    "another leaf in place of it, each turn": (
        f"{EXT}while (n--) {{\n\t\tone = kvm_find_cpuid_entry(vcpu, 7);\n\t\t{ZEROED}\n"
        "\t\tone = kvm_find_cpuid_entry(vcpu, 0x80000001);\n\t}", ""),
    "another leaf in front of a switch": (
        f"{EXT}one = kvm_find_cpuid_entry(vcpu, 7);\n\tswitch (n) {{\n\tcase 2:\n"
        f"\t\t{ZEROED}\n\t}}", ""),
    "one feature is asked of another record": (
        "n = has(kvm_find_cpuid_entry(vcpu, n), X86_FEATURE_GBPAGES);",
        f"static bool has({ENTRY}one, unsigned int x86_feature)\n{{\n"
        "\treturn one && one->edx & (1 << (x86_feature & 31));\n}\n"),
    "an element is read": (f"{TABLE}n = e[n].edx;", ""),
    "the next element is read": (f"{TABLE}e = e + 1;\n\tn = (*e).edx;", ""),
    "some are compared": (f"{TABLE}if (!e || e == vcpu->arch.cpuid_entries + n)\n\t\treturn;", ""),
    "all to user space": (
        "n = copy_to_user((void __user *)n, vcpu->arch.cpuid_entries, 16);", ""),
    "a word by its address": (f"{EXT}u32 *r = one ? &one->edx : NULL;\n\n\tn = *r;", ""),
    "a word that a helper gives": (f"{EXT}u32 *r = word_of(one);\n\n\tn = *r;", REGISTER),
    "a loop that a macro heads": (
        f"{ENTRY}e;\n\n\tfor_each_leaf(e, vcpu)\n\t\tn += e->edx;", LOOP),
    "a getter": (f"{ENTRY}e = leaf_of(vcpu);\n\n\tn = e ? e->edx : 0;", GETTER),
    "a macro that finds": (
        f"{ENTRY}e = FOUND(vcpu, 0x80000001);\n\n\tn = e->edx;",
        "#define FOUND(v, f) kvm_find_cpuid_entry(v, f)\n"),
    "a macro that reads": (f"{EXT}n = HAS(one);", "#define HAS(e) ((e)->edx & 1)\n"),
    "a pointer that a member keeps": ("n = vcpu->arch.last->edx;", "", *KEPT),
    "another word of an element": (f"{TABLE}e[n].ebx = 0;", ""),
    "another word by its address": (f"{EXT}u32 *r = &one->ebx;\n\n\t*r = 0;", ""),
    "another leaf with a name": (f"{FIND.format('LEAF_XSTATE')}one->edx = 0;",
                                 "#define LEAF_XSTATE 0xd\n"),
    "a leaf that another bit is in": (f"{FIND.format('n | BASE')}one->edx = 0;",
                                      "#define BASE 0x40000000\n"),
    "another leaf, by a getter": (
        f"{ENTRY}e = leaf_of(vcpu);\n\n\t{STORES}", GETTER.replace("0x80000001", "0xd")),
    "another leaf, by a helper": ("zap(kvm_find_cpuid_entry(vcpu, 0xd));", f"static {ZAP}"),
    "another leaf, by a word of it": (
        f"{OTHER}u32 *r = word_of(one);\n\n\t*r = 0;", REGISTER),
    "a record of its own": ("struct kvm_cpuid_entry2 one;\n\n\tone.edx = 0;", ""),
    "an array of its own": (
        f"struct kvm_cpuid_entry2 some[2];\n\t{ENTRY}e = &some[1];\n\n\te->edx = 0;\n"
        "\tzap(some);", f"static {ZAP}"),
    "memory that is not told": (
        f"{ENTRY}e = kvcalloc(4, 16, 0);\n\n\te[n].edx = 0;\n\tkvfree(e);", ""),
    "what the host supports": ("n = supported();", SUPPORTED),
}  # fmt: skip


@pytest.mark.parametrize("name", STORING)
def test_a_store_through_a_pointer(name):
    """A guest is told something else, and the stored role stays valid."""
    assert verdict(FEATURE, *STORING[name]) in ("gap", "unknown")


@pytest.mark.parametrize("name", HARMLESS)
def test_what_stores_nothing_that_is_told(name):
    """It reads, or stores to what no guest was told, or to another leaf."""
    assert verdict(FEATURE, *HARMLESS[name]) == "covered"


FINDER = (
    f"{ENTRY}kvm_find_cpuid_entry(struct kvm_vcpu *vcpu, u32 function)\n{{\n"
    f"\t{ENTRY}e = vcpu->arch.cpuid_entries;\n\n\treturn e->eax == function ? e : e + 1;\n}}\n\n"
)
ASKED = "bool guest_cpuid_is_big(struct kvm_vcpu *vcpu)"
SIZE = (
    (HEADER, BEHIND, f"{BEHIND}{ASKED};\n"),
    (CPUID, SETTER, f"{FINDER}{ASKED}\n{{\n"
     "\treturn kvm_find_cpuid_entry(vcpu, 0x80000008)->eax & 1;\n}\n\n" + SETTER),
)  # fmt: skip
"""A question that is answered by one leaf."""
ANSWERS = {
    "a number": ("", "kvm_find_cpuid_entry(vcpu, 0x80000008)->eax"),
    "a name": ("#define LEAF_SIZE 0x80000008\n", "kvm_find_cpuid_entry(vcpu, LEAF_SIZE)->eax"),
    "another form": ("", "(*kvm_find_cpuid_entry(vcpu, 0x80000008)).eax"),
    "a helper": (
        "static u32 size_of(struct kvm_vcpu *vcpu)\n{\n"
        "\treturn kvm_find_cpuid_entry(vcpu, 0x80000008)->eax;\n}\n",
        "size_of(vcpu)"),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_a_leaf_that_is_looked_up_to_answer(name):
    """What is read of it changes where somebody stores to it, and only there."""
    above, read = ANSWERS[name]
    edits = (
        (HEADER, BEHIND, f"{BEHIND}{ASKED};\n"),
        (CPUID, SETTER, f"{FINDER}{above}{ASKED}\n{{\n\treturn {read} & 1;\n}}\n\n{SETTER}"),
    )
    for leaf, is_fine in (("0x80000008", False), ("0xd", True)):
        code = f"{FIND.format(leaf)}one->eax = 0;"
        found = verdict("!guest_cpuid_is_big(vcpu)", code, "", *edits)
        assert found == "covered" if is_fine else found in ("gap", "unknown")


@pytest.mark.parametrize(
    ("feature", "is_fine"), [("(10*32+0)", False), ("(7*32+0)", False), ("(1*32+0)", True)]
)
def test_a_feature_of_another_leaf_is_stored_to_one_that_is_read(feature, is_fine):
    """What is told which feature to clear clears its register of the leaf that it is given.

    Of which register the word is that is a feature's need not be known.
    """
    setter = (
        f"#define X86_FEATURE_SMALL {feature}\n"
        f"static void small_clear({ENTRY}one, unsigned int x86_feature)\n{{\n"
        "\t*reg_of(one, x86_feature) &= ~(1u << (x86_feature & 31));\n}\n\n"
    )
    getter = (
        f"static u32 *reg_of({ENTRY}one, unsigned int x86_feature)\n{{\n"
        "\tif (x86_feature / 32 == 1)\n\t\treturn &one->edx;\n\treturn &one->eax;\n}\n\n"
    )
    code = f"{FIND.format('0x80000008')}small_clear(one, X86_FEATURE_SMALL);"
    found = verdict("!guest_cpuid_is_big(vcpu)", code, getter + setter, *SIZE)
    assert found == "covered" if is_fine else found in ("gap", "unknown")


BY_FEATURE = """\
struct place {{
	u32 function;
}};

static u32 *register_of(struct kvm_vcpu *vcpu, unsigned int x86_feature)
{{
	const struct place at = place_of(x86_feature);
	struct kvm_cpuid_entry2 *one = kvm_find_cpuid_entry(vcpu, {});

	return one ? &one->eax : 0;
}}

static void feature_clear(struct kvm_vcpu *vcpu, unsigned int x86_feature)
{{
	u32 *reg;

	reg = register_of(vcpu, x86_feature);
	if (reg)
		*reg &= ~(1u << (x86_feature & 31));
}}

"""


@pytest.mark.parametrize(
    ("feature", "leaf", "is_fine"),
    [
        ("(10*32+0)", "at.function", True),
        ("(10*32+0)", "0x80000008", False),
        ("(10*32+0)", "x86_feature", False),
        ("(99*32+0)", "at.function", False),
    ],
)
def test_a_feature_of_another_leaf_that_is_looked_up(feature, leaf, is_fine):
    """What looks its leaf up by the feature that it is told stores to that leaf."""
    above = f"#define X86_FEATURE_SMALL {feature}\n{BY_FEATURE.format(leaf)}"
    code = "feature_clear(vcpu, X86_FEATURE_SMALL);"
    found = verdict("!guest_cpuid_is_big(vcpu)", code, above, *SIZE)
    assert found == "covered" if is_fine else found in ("gap", "unknown")
