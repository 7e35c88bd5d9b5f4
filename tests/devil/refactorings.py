# SPDX-License-Identifier: GPL-2.0-only
"""What a maintainer might write instead, with the same meaning: each is to be decided."""

import re

from . import bases as b
from .weave import tree

OLD, NEW = "context->mmu_role.as_u64", "new_role.as_u64"
ROLES = "union kvm_mmu_role"
GUARD = "\tif (context->mmu_role.as_u64 == new_role.as_u64)\n\t\treturn;\n"
STORE = "\tcontext->mmu_role.as_u64 = new_role.as_u64;\n"
SHADOW = "\tcontext->shadow_root_level = new_role.base.level;\n"
LEVEL = "\tcontext->root_level = role_regs_to_root_level(&regs);\n"
LMA = "\text.efer_lma = ____is_efer_lma(regs);\n"
SETUP = "static void init_kvm_tdp_mmu("
CALL = "\tinit_kvm_tdp_mmu(vcpu);\n"
LOCAL = "\tstruct kvm_mmu *context = &vcpu->arch.root_mmu;\n"
HELPER = """static bool set_role(struct kvm_mmu *context, union kvm_mmu_role new_role)
{
	if (context->mmu_role.as_u64 == new_role.as_u64)
		return false;

	context->mmu_role.as_u64 = new_role.as_u64;
	return true;
}

"""
HALVES = "\t\tunion kvm_mmu_page_role base;\n\t\tunion kvm_mmu_extended_role ext;\n"
TABLE = """static const u8 levels[] = { 2, 3, 4, 5 };

"""


def above(text):
    """Put definitions in front of the set-up."""
    return (SETUP, text + SETUP)


def guard(condition):
    """Write another guard."""
    return (GUARD, f"\tif ({condition})\n\t\treturn;\n")


REFACTORINGS = {
    "helper that compares, stores and returns bool":
        [above(HELPER), (GUARD, "\tif (!set_role(context, new_role))\n\t\treturn;\n"),
         (STORE, "")],
    "helper that compares": [
        above("static bool same(union kvm_mmu_role a, union kvm_mmu_role b)\n{\n"
              "\treturn a.as_u64 == b.as_u64;\n}\n\n"),
        guard("same(context->mmu_role, new_role)")],
    "helper that stores all": [
        above("static void fill(struct kvm_mmu *context, const struct kvm_mmu_role_regs *regs,\n"
              "\t\t union kvm_mmu_role role)\n{\n\tcontext->mmu_role = role;\n"
              "\tcontext->shadow_root_level = role.base.level;\n"
              "\tcontext->root_level = role_regs_to_root_level(regs);\n}\n\n"),
        (STORE, ""), (SHADOW, ""), (LEVEL, "\tfill(context, &regs, new_role);\n")],
    "guard(mutex)": [(GUARD, f"\tguard(mutex)(vcpu->devil);\n\n{GUARD}")],
    "scoped_guard": [(STORE, f"\tscoped_guard(mutex, vcpu->devil) {{\n\t{STORE}"),
                     (LEVEL, f"\t{LEVEL}\t}}\n")],
    "scoped_guard around the call": [
        (CALL, f"\tscoped_guard(mutex, vcpu->devil)\n\t{CALL}")],
    "mutex around the call": [
        (CALL, f"\tmutex_lock(vcpu->devil);\n{CALL}\tmutex_unlock(vcpu->devil);\n")],
    "static_branch in front of a message": [
        above("static DEFINE_STATIC_KEY_FALSE(verbose);\n\n"),
        (GUARD, f"\tif (static_branch_unlikely(&verbose))\n\t\tpr_info(\"role\");\n{GUARD}")],
    "test_bit": [(LMA, "\text.efer_lma = test_bit(_EFER_LMA,\n"
                       "\t\t\t\t(const unsigned long *)&regs->efer);\n")],
    "this_cpu_read in front of a message": [
        above("static DEFINE_PER_CPU(int, verbose);\n\n"),
        (GUARD, f"\tif (this_cpu_read(verbose))\n\t\tpr_info(\"role\");\n{GUARD}")],
    "smp_load_acquire in the guard": [guard(f"smp_load_acquire(&{OLD}) == {NEW}")],
    "smp_load_acquire of an input": [
        ("\t\t.efer = vcpu->arch.efer,", "\t\t.efer = smp_load_acquire(&vcpu->arch.efer),")],
    "READ_ONCE and WRITE_ONCE": [guard(f"READ_ONCE({OLD}) == {NEW}"),
                                 (STORE, f"\tWRITE_ONCE({OLD}, {NEW});\n")],
    "smp_store_release": [(STORE, f"\tsmp_store_release(&{OLD}, {NEW});\n")],
    "xchg as the guard": [guard(f"xchg(&{OLD}, {NEW}) == {NEW}"), (STORE, "")],
    "kvm_make_request": [(LEVEL, f"{LEVEL}\tkvm_make_request(KVM_REQ_EVENT, vcpu);\n")],
    "kvm_check_request in front of a message": [
        (GUARD, f"\tif (kvm_check_request(KVM_REQ_EVENT, vcpu))\n\t\tpr_info(\"role\");\n{GUARD}")],
    "#elif": [(LMA, f"#ifdef CONFIG_KVM_OTHER\n{LMA}#elif defined(CONFIG_KVM_DEVIL)\n{LMA}#else\n"
                    f"{LMA}#endif\n")],
    "IS_ENABLED() in front of a message": [
        (GUARD, f"\tif (IS_ENABLED(CONFIG_KVM_DEVIL))\n\t\tpr_info(\"role\");\n{GUARD}")],
    "memcmp": [guard("!memcmp(&context->mmu_role, &new_role, sizeof(new_role))")],
    "memcmp and memcpy": [guard("!memcmp(&context->mmu_role, &new_role, sizeof(new_role))"),
                          (STORE, "\tmemcpy(&context->mmu_role, &new_role, sizeof(new_role));\n")],
    "WARN_ON_ONCE in front of the guard": [
        (GUARD, f"\tWARN_ON_ONCE(!new_role.ext.valid);\n{GUARD}")],
    "WARN_ON_ONCE of another member": [
        (GUARD, f"\tWARN_ON_ONCE(vcpu->arch.devil_scratch > 9);\n{GUARD}")],
    "< and >": [guard(f"!({OLD} < {NEW}) && !({OLD} > {NEW})")],
    "<= and >=": [guard(f"{OLD} <= {NEW} && {OLD} >= {NEW}")],
    "exclusive or": [guard(f"!({OLD} ^ {NEW})")],
    "difference": [guard(f"{OLD} - {NEW} == 0")],
    "by halves": [guard("context->mmu_role.base.word == new_role.base.word &&\n\t    "
                        "context->mmu_role.ext.word == new_role.ext.word")],
    "do and break": [(GUARD, "\tdo {\n\t\tif (context->mmu_role.as_u64 == new_role.as_u64)\n"
                             "\t\t\tbreak;\n"), (LEVEL, f"{LEVEL}\t}} while (0);\n")],
    "goto": [(GUARD, f"\tif ({OLD} == {NEW})\n\t\tgoto out;\n"),
             (LEVEL, f"{LEVEL}out:\n\treturn;\n")],
    "switch": [(GUARD, f"\tswitch ({OLD} ^ {NEW}) {{\n\tcase 0:\n\t\treturn;\n\t}}\n")],
    "constant of the new role": [
        (GUARD, f"\tconst u64 key = {NEW};\n\n\tif (key == {OLD})\n\t\treturn;\n"),
        (STORE, f"\t{OLD} = key;\n")],
    "record assigned": [(STORE, "\tcontext->mmu_role = new_role;\n")],
    "pointer to the old role": [
        (GUARD, f"\t{ROLES} *old = &context->mmu_role;\n\n"
                f"\tif (old->as_u64 == {NEW})\n\t\treturn;\n"),
        (STORE, "\t*old = new_role;\n")],
    "context from a function": [
        above("static struct kvm_mmu *root_of(struct kvm_vcpu *vcpu)\n{\n"
              "\treturn &vcpu->arch.root_mmu;\n}\n\n"),
        (LOCAL, "\tstruct kvm_mmu *context = root_of(vcpu);\n")],
    "level from a table": [
        above(TABLE),
        (LEVEL, "\tcontext->root_level = levels[role_regs_to_root_level(&regs) ? "
                "role_regs_to_root_level(&regs) - 2 : 0];\n"
                "\tif (!____is_cr0_pg(&regs))\n\t\tcontext->root_level = 0;\n")],
    "role by a mask": [(LMA, "\text.word |= (u32)____is_efer_lma(regs) << 4;\n")],
    "role by __assign_bit": [
        (LMA, f"{LMA}\text.efer_lma = 0;\n\t__assign_bit(4, (unsigned long *)&ext, "
              "____is_efer_lma(regs));\n")],
    "role by a compound literal": [
        ("\text.efer_lma = ____is_efer_lma(regs);\n\text.valid = 1;\n",
         "\text = (union kvm_mmu_extended_role){ .cr0_pg = ext.cr0_pg, .cr4_pae = ext.cr4_pae,\n"
         "\t\t.cr4_la57 = ext.cr4_la57, .efer_lma = ____is_efer_lma(regs), .valid = 1 };\n")],
    "role by ?:": [(LMA, "\text.efer_lma = ____is_efer_lma(regs) ? 1 : 0;\n")],
    "role by if": [(LMA, "\tif (____is_efer_lma(regs))\n\t\text.efer_lma = true;\n")],
    "role in a loop of set bits": [
        (LMA, "\tfor (unsigned int i = 0; i < 2; i++)\n\t\tif (i && ____is_efer_lma(regs))\n"
              "\t\t\text.efer_lma = 1;\n")],
    "role in for_each_set_bit": [
        (LMA, "\tunsigned long efer = regs->efer;\n\tint i;\n\n"
              "\tfor_each_set_bit(i, &efer, 64)\n\t\tif (i == _EFER_LMA)\n"
              "\t\t\text.efer_lma = 1;\n")],
    "key of 128 bits": [
        (HALVES, f"{HALVES}\t\tu64 more;\n"),
        guard("!memcmp(&context->mmu_role, &new_role, sizeof(new_role))"),
        (STORE, "\tcontext->mmu_role = new_role;\n")],
    "valid, and equal": [guard(f"context->mmu_role.ext.valid && {OLD} == {NEW}")],
    "trace of both roles": [(STORE, f"\ttrace_kvm_devil({OLD} ^ {NEW});\n{STORE}")],
    "pr_debug of the role": [(GUARD, f"\tpr_debug(\"%llx\", {NEW});\n{GUARD}")],
    "lockdep_assert_held": [(GUARD, f"\tlockdep_assert_held(vcpu->devil);\n{GUARD}")],
    "BUILD_BUG_ON": [(GUARD, f"\tBUILD_BUG_ON(sizeof(new_role) != sizeof(u64));\n{GUARD}")],
    "cleanup of something else": [
        above("static void put_name(char **name)\n{\n}\n\n"),
        (GUARD, "\tchar *name __attribute__((cleanup(put_name))) = NULL;\n\n"
                f"\t(void)name;\n{GUARD}")],
    "invalidation by valid": [
        ("void kvm_init_mmu(", "void kvm_mmu_after_set_cpuid(struct kvm_vcpu *vcpu)\n{\n"
         "\tvcpu->arch.root_mmu.mmu_role.ext.valid = 0;\n}\n\nvoid kvm_init_mmu(")],
    "invalidation by memset": [
        ("void kvm_init_mmu(", "void kvm_mmu_after_set_cpuid(struct kvm_vcpu *vcpu)\n{\n"
         "\tmemset(&vcpu->arch.root_mmu.mmu_role, 0, sizeof(vcpu->arch.root_mmu.mmu_role));\n}\n\n"
         "void kvm_init_mmu(")],
    "invalidation by a literal": [
        ("void kvm_init_mmu(", "void kvm_mmu_after_set_cpuid(struct kvm_vcpu *vcpu)\n{\n"
         "\tvcpu->arch.root_mmu.mmu_role = (union kvm_mmu_role){};\n}\n\nvoid kvm_init_mmu(")],
    "invalidation by zero": [
        ("void kvm_init_mmu(", "void kvm_mmu_after_set_cpuid(struct kvm_vcpu *vcpu)\n{\n"
         "\tvcpu->arch.root_mmu.mmu_role.as_u64 = 0;\n\tkvm_init_mmu(vcpu);\n}\n\n"
         "void kvm_init_mmu("), ("void kvm_init_mmu(", "void kvm_init_mmu(struct kvm_vcpu *);\n\n"
         "void kvm_init_mmu(")],
    "reader that copies": [
        ("void kvm_init_mmu(", "u64 kvm_mmu_key(struct kvm_vcpu *vcpu)\n{\n\tu64 key;\n\n"
         "\tmemcpy(&key, &vcpu->arch.root_mmu.mmu_role, sizeof(key));\n"
         "\treturn key;\n}\n\nvoid kvm_init_mmu(")],
    "re-initialisation of the whole": [
        ("void kvm_init_mmu(", "void kvm_mmu_create(struct kvm_vcpu *vcpu)\n{\n"
         "\tmemset(&vcpu->arch.root_mmu, 0, sizeof(vcpu->arch.root_mmu));\n}\n\n"
         "void kvm_init_mmu(")],
    "reader of the field": [
        ("void kvm_init_mmu(", "int kvm_mmu_level(struct kvm_vcpu *vcpu)\n{\n"
         "\treturn vcpu->arch.root_mmu.root_level;\n}\n\nvoid kvm_init_mmu(")],
    "reader of the role by pointer": [
        ("void kvm_init_mmu(", "int kvm_mmu_role_level(const struct kvm_mmu *mmu)\n{\n"
         "\tconst union kvm_mmu_role *role = &mmu->mmu_role;\n\n\treturn role->base.level;\n}\n\n"
         "void kvm_init_mmu(")],
}  # fmt: skip
"""Each keeps the meaning of the smallest base, and so its verdict."""


def refactored(base, edits):
    """Return the tree of a refactoring of the smallest base."""
    files = dict(base.files)
    for old, new in sorted(edits, key=lambda one: one[0] == SETUP):
        path = base.main if old in files[base.main] else b.HOST
        files[path] = b.edit(files[path], old, new)
    return tree(base, files)


# -- the same on real kernels, whose text is matched and not written here --------------------

HALF = r"(\w+)\.(as_u64|word) == (\w+->\w+)\.(?:as_u64|word)"


def on_kernel(base, name):
    """Return a real tree in which the first guard is written in another way, or None."""
    files = dict(base.files)
    text = files[base.main]
    start = re.search(re.escape(base.setup), text).start()
    found = re.search(b.GUARD, text[start:], re.M)
    parts = re.findall(HALF, found[0])
    indent = " &&\n\t    "
    ways = {
        "exclusive or": lambda: indent.join(f"!({n}.{w} ^ {o}.{w})" for n, w, o in parts),
        "memcmp": lambda: indent.join(f"!memcmp(&{n}, &{o}, sizeof({n}))" for n, w, o in parts),
        "READ_ONCE": lambda: indent.join(f"READ_ONCE({o}.{w}) == {n}.{w}" for n, w, o in parts),
        "smp_load_acquire": lambda: indent.join(
            f"smp_load_acquire(&{o}.{w}) == {n}.{w}" for n, w, o in parts),
        "<= and >=": lambda: indent.join(
            f"{o}.{w} <= {n}.{w}{indent}{o}.{w} >= {n}.{w}" for n, w, o in parts),
        "difference": lambda: indent.join(f"{o}.{w} - {n}.{w} == 0" for n, w, o in parts),
        "likely": lambda: "likely(" + indent.join(f"{n}.{w} == {o}.{w}" for n, w, o in parts) + ")",
    }  # fmt: skip
    ahead = {
        "guard(mutex)": "\tguard(mutex)(&vcpu->mutex);\n",
        "WARN_ON_ONCE": "\tWARN_ON_ONCE(!vcpu->arch.apic);\n",
        "kvm_check_request": '\tif (kvm_check_request(KVM_REQ_EVENT, vcpu))\n\t\tpr_info("");\n',
        "lockdep_assert_held": "\tlockdep_assert_held(&vcpu->mutex);\n",
        "pr_debug of the role": f'\tpr_debug("%x", (u32){parts[0][0]}.{parts[0][1]});\n',
        "static_branch": '\tif (static_branch_unlikely(&kvm_has_noapic_vcpu))\n\t\tpr_info("");\n',
    }
    new = found[0]
    if name in ways:
        new = f"\tif ({ways[name]()})\n\t\treturn;\n"
    elif name in ahead:
        new = ahead[name] + new
    elif name == "helper that compares, stores and returns bool":
        first, word, old = parts[0]
        if len(parts) > 1:
            return None
        new = "\tif (!devil_set_role(context, new_role))\n\t\treturn;\n"
        body = text[start:]
        body = body.replace(f"\t{old}.{word} = {first}.{word};\n", "", 1)
        body = body.replace(found[0], new, 1)
        files[base.main] = text[:start] + HELPER.replace("set_role(", "devil_set_role(") + body
        return tree(base, files)
    files[base.main] = text[:start] + text[start:].replace(found[0], new, 1)
    return tree(base, files)


ON_KERNELS = (
    *("exclusive or", "memcmp", "READ_ONCE", "smp_load_acquire", "<= and >=", "difference"),
    *("likely", "guard(mutex)", "WARN_ON_ONCE", "kvm_check_request", "lockdep_assert_held"),
    *("pr_debug of the role", "static_branch", "helper that compares, stores and returns bool"),
)
