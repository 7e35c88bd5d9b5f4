# SPDX-License-Identifier: GPL-2.0-only
"""Who is given the address of a member may reach what lies behind it, unless he is harmless."""

import pytest
from edited import check, fixture

HOST, OTHER = "arch/x86/include/asm/kvm_host.h", "arch/x86/kvm/other.c"
OUTER = "include/linux/kvm_host.h"
PLACE = "\tgpa_t (*gva_to_gpa)(struct kvm_vcpu *vcpu, gpa_t vaddr);\n"
MEMBERS = """struct root_info {
	u64 pgd;
	u64 keys[2];
};

"""
FILE = """#include <linux/kvm_host.h>

{above}

void devil(struct kvm_vcpu *vcpu, void *buffer, int n)
{{
	struct kvm_mmu *mmu = vcpu->arch.mmu;

	{code}
}}
"""


def verdict(code, above=""):
    """Check a tree in which a context begins with three more members, with code beside it."""
    tree = fixture("role-regs-fixed")
    header = tree[HOST].decode().replace("struct kvm_mmu {\n", MEMBERS + "struct kvm_mmu {\n")
    assert PLACE in header
    more = "\tu64 pgd;\n\tu64 table[4];\n\tstruct root_info info;\n"
    tree[HOST] = header.replace(PLACE, PLACE + more).encode()
    tree[OTHER] = FILE.format(above=above, code=code).encode()
    return check(tree).verdict


BEYOND = {
    "more than it has": ("memset(&mmu->pgd, 0, 9);", ""),
    "as much as one is told": ("memset(&vcpu->arch.mmu->pgd, 0, n);", ""),
    "the size of another": ("memset(&mmu->pgd, 0, sizeof(mmu->table));", ""),
    "the size of a pointer": ("memset(&mmu->info, 0, sizeof(buffer) * 9);", ""),
    "not by bytes": ("memset64(&mmu->pgd, 0, 8);", ""),
    "bits": ("bitmap_zero((unsigned long *)&mmu->pgd, 256);", ""),
    "whoever": ("whoever(&mmu->pgd);", ""),
    "whoever, with its size": ("whoever(&mmu->pgd, sizeof(mmu->pgd));", ""),
    "whoever, with a number": ("whoever(&mmu->info, n);", ""),
    "whoever, with elements": ("whoever(mmu->table);", ""),
    "whoever, as another type": ("whoever((void *)&mmu->info);", ""),
    "what the hardware has": ("get_random_bytes(&mmu->pgd, n);", ""),
    "what a guest has": ("kvm_read_guest(vcpu->kvm, n, &mmu->pgd, n);", ""),
    "an array": ("memset(mmu->table, 0, n);", ""),
    "an array, and on": ("memset(mmu->table + 1, 0, sizeof(mmu->table));", ""),
    "an array in a record": ("memset(mmu->info.keys, 0, n);", ""),
    "an element": ("memset(&mmu->table[1], 0, sizeof(mmu->table));", ""),
    "the next one": ("*(&mmu->pgd + 1) = 0;", ""),
    "the next one, by a number": ("(&mmu->pgd)[1] = 0;", ""),
    "bytes behind it": ("*((u8 *)&mmu->pgd + n) = 0;", ""),
    "wider": ("*(struct root_info *)&mmu->pgd = *(struct root_info *)buffer;", ""),
    "walk": ("u64 *p = &mmu->pgd;\n\n\twhile (n--)\n\t\t*p++ = 0;", ""),
    "walk by steps": ("u64 *p = &mmu->pgd;\n\n\tp += n;\n\t*p = 0;", ""),
    "pointer of a pointer": ("u64 *p = &mmu->pgd, **q = &p;\n\n\tmemset(*q, 0, n);", ""),
    "pointer in a call": ("u64 *p;\n\n\tmemset(p = &mmu->pgd, 0, n);", ""),
    "pointer that stays": ("static void *p;\n\n\tp = &mmu->pgd;\n\tmemset(p, 0, n);", ""),
    "pointer of a file": ("kept = &mmu->pgd;\n\tmemset(kept, 0, n);", "static void *kept;"),
    "pointer in a record": (
        "struct { void *p; } box = { &mmu->pgd };\n\n\tmemset(box.p, 0, n);", ""),
    "number": ("ulong at = (ulong)&mmu->pgd;\n\n\t*(u64 *)(at + 8) = 0;", ""),
    "helper that fills": (
        "fill(&mmu->pgd, n);", "static void fill(void *p, int n)\n{\n\tmemset(p, 0, n);\n}"),
    "helper of a helper": (
        "fill(&mmu->pgd, n);",
        "static void more(void *p, int n)\n{\n\tmemset(p, 0, n);\n}\n\n"
        "static void fill(void *p, int n)\n{\n\tmore(p, n);\n}"),
    "helper that walks": (
        "fill(&mmu->pgd, n);",
        "static void fill(u64 *p, int n)\n{\n\twhile (n--)\n\t\tp[n] = 0;\n}"),
    "helper that keeps": (
        "keep(&mmu->pgd);", "static u64 *kept;\nstatic void keep(u64 *p)\n{\n\tkept = p;\n}"),
    "helper that answers": (
        "memset(of(mmu), 0, n);", "static void *of(struct kvm_mmu *m)\n{\n\treturn &m->pgd;\n}"),
    "helper, by a macro of its own": (
        "step(&mmu->pgd);", "#define NEXT (p = p + 1)\n"
        "static void step(u64 *p)\n{\n\tNEXT;\n\t*p = 0;\n}"),
    "a longer array": ("u64 some[5] = {};\n\n\tmemcpy(mmu->table, some, sizeof(some));", ""),
    "an array of unknown length": (
        "u64 some[n];\n\n\tmemcpy(mmu->table, some, sizeof(some));", ""),
    "an array of pointers": (
        "u8 *some[5];\n\n\tmemcpy(mmu->table, some, sizeof(some));", ""),
    "an array of as many as some variable": (
        "u64 some[SOME];\n\n\tmemcpy(mmu->table, some, sizeof(some));",
        "#define SOME n\n"),
    "an array by two types": (
        "u64 some[2] = {};\n\n\t{\n\t\tu64 some[8] = {};\n\n"
        "\t\tmemcpy(mmu->table, some, sizeof(some));\n\t}", ""),
    "a macro that fills": ("FILL(&mmu->pgd, n);", "#define FILL(p, n) memset(p, 0, n)"),
    "a macro that names it": ("FILL(mmu, n);", "#define FILL(m, n) memset(&(m)->pgd, 0, n)"),
    "a memset of its own": (
        "memset(&mmu->pgd, 0, sizeof(mmu->pgd));", "#define memset(p, v, n) __fill(p, v, n * 4)"),
    "assembler": ('asm volatile("rep stosb" : : "D" (&mmu->pgd), "c" (n), "a" (0));', ""),
}  # fmt: skip
WITHIN = {
    "its own size": ("memset(&mmu->pgd, 0, sizeof(mmu->pgd));", ""),
    "its own size, from a user": (
        "if (copy_from_user(&mmu->info, buffer, sizeof(mmu->info)))\n\t\treturn;", ""),
    "its own size, in secret": ("memzero_explicit(&mmu->pgd, sizeof(mmu->pgd));", ""),
    "the size of its type": ("memset(&mmu->pgd, 0, sizeof(u64));", ""),
    "the size of its record": ("memset(&mmu->info, 0, sizeof(struct root_info));", ""),
    "a number": ("memset(&mmu->pgd, 0, 8);", ""),
    "an array": ("memset(mmu->table, 0, sizeof(mmu->table));", ""),
    "an array, by a number": ("memcpy(mmu->table, buffer, 32);", ""),
    "an element": ("memset(&mmu->table[1], 0, sizeof(mmu->table[1]));", ""),
    "elements": ("for (n = 0; n < ARRAY_SIZE(mmu->table); n++)\n\t\tmmu->table[n] = 0;", ""),
    "an array in a record": ("memset(mmu->info.keys, 0, sizeof(mmu->info.keys));", ""),
    "an array, from another": (
        "u64 some[4] = {};\n\n\tmemcpy(mmu->table, some, sizeof(some));", ""),
    "a part of an array, from another": (
        "u64 some[2] = {};\n\n\tmemcpy(mmu->table, some, sizeof(some));", ""),
    "what is read": ("memcpy(buffer, mmu->table, n);", ""),
    "what is compared": ("if (!memcmp(mmu->table, buffer, n))\n\t\treturn;", ""),
    "addresses": ("if (&mmu->info == buffer || !&mmu->pgd)\n\t\treturn;", ""),
    "its value": ("(&mmu->info)->pgd = *&mmu->pgd;", ""),
    "pointer": ("struct root_info *p = &mmu->info;\n\n\tp->pgd = n;\n\tp->keys[1] = n;", ""),
    "pointer and its size": (
        "struct root_info *p = &mmu->info;\n\n\tmemset(p, 0, sizeof(*p));", ""),
    "pointer, given later": ("u64 *p;\n\n\tp = n ? &mmu->pgd : mmu->table;\n\t*p = 0;", ""),
    "whoever takes one of its type": ("whoever(&mmu->info);", ""),
    "helper that stores": ("put(&mmu->pgd);", "static void put(u64 *p)\n{\n\t*p = 0;\n}"),
    "helper of a helper": (
        "put(&mmu->info);",
        "static void more(u64 *keys)\n{\n\tkeys[1] = 0;\n}\n\n"
        "static void put(struct root_info *p)\n{\n\tp->pgd = 0;\n\tmore(p->keys);\n}"),
    "helper that is told the size": (
        "put(&mmu->info);",
        "static void put(struct root_info *p)\n{\n\tmemset(p, 0, sizeof(*p));\n}"),
    "a member of another record": (
        "memset(&other->pgd, 0, n);", "struct other { u64 pgd; };\n\nstatic struct other *other;"),
    "its first element": ("*mmu->table = 0;", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", BEYOND)
def test_what_may_go_beyond_a_member(name):
    """A role, or the level, is behind it: a gap, or unknown."""
    assert verdict(*BEYOND[name]) in ("unknown", "gap")


@pytest.mark.parametrize("name", WITHIN)
def test_what_stays_within_a_member(name):
    """What fills no more than the member, or only reads, changes nothing."""
    assert verdict(*WITHIN[name]) == "covered"


FRONT = (
    "\tulong words[2];\n\tulong mask;\n\tu64 note;\n\tstruct lapic *apic;\n"
    "\tstruct root_info info;\n\tstruct mutex lock;\n\tstruct list_head queue;\n"
)
BEHIND = "\tu64 last;\n"
NAMED = """enum word { WORD_LOW, WORD_HIGH };

#define MASK_BIT\t3
#define FAR_BIT\t\t640

"""
IN_FRONT = {
    "more than it has": ("memset(&vcpu->arch.note, 0, sizeof(vcpu->arch) - 32);", ""),
    "up to another": (
        "memset(&vcpu->arch.note, 0, offsetof(struct kvm_vcpu_arch, walk_mmu));", ""),
    "as much as one is told": ("memset(&vcpu->arch.cr4, 0, n);", ""),
    "through a pointer": (
        "struct kvm_vcpu_arch *arch = &vcpu->arch;\n\n\tmemset(&arch->note, 0, n);", ""),
    "of what is around": ("memset(&vcpu->mode, 0, sizeof(*vcpu));", ""),
    "in parentheses": ("memset(& (vcpu)->arch.note, 0, n);", ""),
    "of whoever is called": (
        "memset(&of(vcpu)->arch.note, 0, n);", "struct kvm_vcpu *of(struct kvm_vcpu *v);"),
    "an array": ("memset(vcpu->arch.words, 0, n);", ""),
    "an array in a record": ("memcpy(vcpu->arch.info.keys, buffer, n);", ""),
    "an element": ("vcpu->arch.words[0] = 0;\n\t(&vcpu->arch.words[0])[n] = 0;", ""),
    "a walk": ("u64 *p = &vcpu->arch.note;\n\n\twhile (n--)\n\t\t*p++ = 0;", ""),
    "the next ones": ("(&vcpu->arch.note)[n] = 0;", ""),
    "wider": ("*(struct kvm_vcpu_arch *)&vcpu->arch.words = *(struct kvm_vcpu_arch *)buffer;", ""),
    "whoever": ("whoever(&vcpu->arch.note, n);", ""),
    "a bit far away": ("__set_bit(FAR_BIT, &vcpu->arch.mask);", ""),
    "a bit by number": ("__clear_bit(640, &vcpu->arch.mask);", ""),
    "whichever bit": ("__set_bit(n, &vcpu->arch.mask);", ""),
    "bits": ("bitmap_zero(&vcpu->arch.mask, 640);", ""),
    "a lock of its own": (
        "mutex_lock_all(&vcpu->arch.lock, n);",
        "static void mutex_lock_all(void *p, int n)\n{\n\tmemset(p, 0, n);\n}"),
    "a lock by a macro": (
        "mutex_lock(&vcpu->arch.lock);", "#define mutex_lock(p) memset(p, 0, 640)"),
    "what is returned": (
        "memset(lock_of(vcpu), 0, n);",
        "static struct mutex *lock_of(struct kvm_vcpu *vcpu)\n{\n\treturn &vcpu->arch.lock;\n}"),
    "what is returned twice": (
        "memset(by(vcpu), 0, n);",
        "static struct mutex *lock_of(struct kvm_vcpu *vcpu)\n{\n\treturn &vcpu->arch.lock;\n}\n\n"
        "static void *by(struct kvm_vcpu *vcpu)\n{\n\treturn lock_of(vcpu);\n}"),
    "a macro that names it": ("FILL(vcpu, n);", "#define FILL(v, n) memset(&(v)->arch.note, 0, n)"),
    "behind what has its type": (
        "typeof(vcpu->arch.note) x = 0;\n\n\tmemset(&vcpu->arch.note, x, n);", ""),
    "less than what may be more": (
        "if (n <= 8) {\n\t\tn = 640;\n\t\tmemset(&vcpu->arch.note, 0, n);\n\t}", ""),
}  # fmt: skip
KEPT = {
    "its own size": ("memset(&vcpu->arch.note, 0, sizeof(vcpu->arch.note));", ""),
    "of what a guest has": (
        "kvm_read_guest(vcpu->kvm, n, &vcpu->arch.note, sizeof(vcpu->arch.note));", ""),
    "elements": ("vcpu->arch.words[1] = vcpu->arch.words[0];", ""),
    "its value": ("*&vcpu->arch.note = vcpu->arch.note & vcpu->arch.mask;", ""),
    "a bit": ("__set_bit(3, &vcpu->arch.mask);", ""),
    "a bit with a name": ("__clear_bit(MASK_BIT, &vcpu->arch.mask);", ""),
    "a bit of an enumeration": (
        "mark(vcpu, WORD_HIGH);",
        "static void mark(struct kvm_vcpu *vcpu, enum word word)\n{\n"
        "\t__set_bit(word, &vcpu->arch.mask);\n}"),
    "a bit that is read": ("if (test_bit(n, &vcpu->arch.mask))\n\t\treturn;", ""),
    "a lock": ("mutex_lock(&vcpu->arch.lock);\n\tmutex_unlock(&vcpu->arch.lock);", ""),
    "a list": ("list_add_tail(buffer, &vcpu->arch.queue);", ""),
    "exchanged": ("n = cmpxchg(&vcpu->arch.note, 0, 1);", ""),
    "what is returned": (
        "mutex_lock(lock_of(vcpu));",
        "static struct mutex *lock_of(struct kvm_vcpu *vcpu)\n{\n\treturn &vcpu->arch.lock;\n}"),
    "behind a pointer": ("memset(&vcpu->arch.apic->note, 0, n);", "struct lapic { u64 note; };"),
    "of another record": (
        "memset(&other->note, 0, n);", "struct other { u64 note; };\nstatic struct other *other;"),
    "behind the contexts": ("memset(&vcpu->arch.last, 0, n);", ""),
    "no more than there is": (
        "if (n <= 8)\n\t\tmemset(&vcpu->arch.note, 0, n);", ""),
    "its type": ("typeof(vcpu->arch.note) *p = &vcpu->arch.note;\n\n\t*p = 1;", ""),
}  # fmt: skip


def around(code, above=""):
    """Check a tree with more members in front of the contexts, with code beside it."""
    tree = fixture("role-regs-fixed")
    first = "struct kvm_vcpu_arch {\n"
    header = tree[HOST].decode().replace(first, MEMBERS + NAMED + first + FRONT)
    place = "\tstruct kvm_mmu *walk_mmu;\n"
    assert place in header
    tree[HOST] = header.replace(place, place + BEHIND).encode()
    first = "struct kvm_vcpu {\n"
    assert first in tree[OUTER].decode()
    tree[OUTER] = tree[OUTER].decode().replace(first, f"{first}\tint mode;\n").encode()
    tree[OTHER] = FILE.format(above=above, code=code).encode()
    return check(tree).verdict


@pytest.mark.parametrize("name", IN_FRONT)
def test_what_begins_in_front_of_a_context(name):
    """The contexts are behind it, with all that is in them."""
    assert around(*IN_FRONT[name]) in ("unknown", "gap")


@pytest.mark.parametrize("name", KEPT)
def test_what_ends_in_front_of_a_context(name):
    """What stays within the member changes no context, and the kernel's own does."""
    assert around(*KEPT[name]) == "covered"


BACK = {
    "by an index": ("(&vcpu->arch.last)[-9] = 0;", ""),
    "by an index that is told": ("(&vcpu->arch.last)[n] = 0;", ""),
    "by a number": ("*(&vcpu->arch.last - 9) = 0;", ""),
    "by bytes": ("memset((void *)&vcpu->arch.last - n, 0, n);", ""),
    "through a pointer": ("u64 *p = &vcpu->arch.last;\n\n\t*(p - n) = 0;", ""),
    "through a pointer, given later": ("u64 *p;\n\n\tp = &vcpu->arch.last;\n\tp[-n] = 0;", ""),
    "through a pointer that is moved": (
        "u64 *p = &vcpu->arch.last;\n\n\twhile (n--)\n\t\t*--p = 0;", ""),
    "through a pointer that was moved": (
        "u8 *p = (u8 *)&vcpu->arch.last;\n\n\tp -= n;\n\t*p = 0;", ""),
    "by a helper": (
        "wipe(&vcpu->arch.last, n);",
        "static void wipe(void *p, int n)\n{\n\tmemset(p - n, 0, n);\n}"),
    "by a helper's second": (
        "wipe(n, &vcpu->arch.last);",
        "static void wipe(int n, u64 *p)\n{\n\twhile (n--)\n\t\t*p-- = 0;\n}"),
    "in what is around": ("*((char *)&vcpu->last - n) = 0;", ""),
}  # fmt: skip
FORTH = {
    "filled": ("memset(&vcpu->arch.last, 0, n);", ""),
    "the first one": ("(&vcpu->arch.last)[0] = n;", ""),
    "subtracted": ("n = vcpu->arch.last - n;", ""),
    "its value": ("u64 *p = &vcpu->arch.last;\n\n\tn = *p - n;", ""),
    "a member behind it": (
        "struct box *p = &vcpu->arch.box;\n\n\t--p->n;\n\tp->words[p->n - 1] = 0;", ""),
    "given on": (
        "put(&vcpu->arch.last, n - 1);", "static void put(u64 *p, int n)\n{\n\t*p = n;\n}"),
    "both": ("n = vcpu->arch.hflags & vcpu->arch.last - n;", ""),
}  # fmt: skip


def behind(code, above):
    """Check a tree with more members behind the contexts, with code beside it."""
    tree = fixture("role-regs-fixed")
    for path, old, new in (
        (HOST, "\tstruct kvm_mmu *walk_mmu;\n", "\tu64 last;\n\tstruct box box;\n"),
        (OUTER, "\tstruct kvm_vcpu_arch arch;\n", "\tu64 last;\n"),
    ):
        header = tree[path].decode()
        assert old in header
        tree[path] = header.replace(old, old + new).encode()
    box = "struct box {\n\tint n;\n\tu64 words[4];\n};\n\nstruct kvm_vcpu_arch {\n"
    tree[HOST] = tree[HOST].replace(b"struct kvm_vcpu_arch {\n", box.encode())
    tree[OTHER] = FILE.format(above=above, code=code).encode()
    return check(tree).verdict


@pytest.mark.parametrize("name", BACK)
def test_back_from_behind_a_context(name):
    """Who goes back from a member behind the contexts comes to them."""
    assert behind(*BACK[name]) == "unknown"


@pytest.mark.parametrize("name", FORTH)
def test_forth_from_behind_a_context(name):
    """The contexts lie the other way."""
    assert behind(*FORTH[name]) == "covered"
