# SPDX-License-Identifier: GPL-2.0-only
"""What a VM is made with, and keeps: alike for a context for as long as there is one."""

import pytest
from edited import check, fixture

MMU, VM, SHARED_MAIN = "arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/vm.c", "virt/kvm/kvm_main.c"
HEADER, GENERIC = "arch/x86/include/asm/kvm_host.h", "include/linux/kvm_host.h"
TYPE = "struct kvm_arch {\n\tu8 vm_type;\n\tu8 other;\n};\n\nstruct kvm_vcpu_arch {"
SHARED = """\
struct kvm {
	struct kvm_arch arch;
};

#define kvm_arch_has_other(kvm) ((kvm)->arch.other)

struct kvm_vcpu {
	struct kvm *kvm;
"""
CODE = """\
#include <linux/kvm_host.h>

struct shared_info {
	struct { u32 sec; } arch;
};

#define TRACE_INCLUDE_PATH ../../arch/x86/kvm

static void init_type(struct kvm *kvm, u8 type)
{
	kvm->arch.vm_type = type;
}

int kvm_arch_init_vm(struct kvm *kvm, u8 type)
{
	BUILD_BUG_ON(offsetof(struct shared_info, arch) != 0);
	kvm->arch.other = 1;
	init_type(kvm, type);
	return 0;
}

int kvm_arch_vcpu_create(struct kvm_vcpu *vcpu)
{
	return 0;
}
"""
MAIN = """\
#include <linux/kvm_host.h>

static struct kvm *kvm_create_vm(u8 type)
{
	struct kvm *kvm = kvm_arch_alloc_vm();

	kvm_arch_init_vm(kvm, type);
	return kvm;
}

static int kvm_vm_ioctl_create_vcpu(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	int r;

	mutex_lock(&kvm->lock);
	if (kvm->created_vcpus >= 8) {
		mutex_unlock(&kvm->lock);
		return -1;
	}
	kvm->created_vcpus++;
	mutex_unlock(&kvm->lock);

	vcpu = kmem_cache_zalloc(kvm_vcpu_cache, GFP_KERNEL_ACCOUNT);
	r = kvm_arch_vcpu_create(vcpu);
	if (!r)
		return 0;

	mutex_lock(&kvm->lock);
	kvm->created_vcpus--;
	mutex_unlock(&kvm->lock);
	return r;
}
"""
"""What all architectures share."""


def found(late="", more="", members="", main=MAIN):
    """Return what is said of a level that depends on the type of a VM."""
    files = fixture("cpuid-invalidated-fixed")
    for path, old, new in (
        (MMU, "cpuid_maxphyaddr(vcpu) <= 48", "vcpu->kvm->arch.vm_type == 1"),
        (HEADER, "struct kvm_vcpu_arch {", TYPE),
        (GENERIC, "struct kvm_vcpu {\n", SHARED.replace("arch;\n", f"arch;\n{members}", 1)),
    ):
        text = files[path].decode()
        assert text.count(old) == 1
        files[path] = text.replace(old, new).encode()
    body = (
        f"\nint late(struct kvm_vcpu *vcpu, struct kvm *kvm, u8 n)\n{{\n\t{late}\n\treturn 0;\n}}\n"
    )
    files[VM], files[SHARED_MAIN] = (CODE + body + more).encode(), main.encode()
    return check(files, ("shadow_root_level",))


@pytest.mark.parametrize(
    "late",
    [
        "",
        "n = kvm->arch.vm_type;",
        "kvm->arch.other = n;",
        "n = kvm_arch_has_other(kvm);",
        "n = __alignof__(struct kvm);\n\tn = sizeof_field(struct kvm, arch);",
        "kvm = container_of(&vcpu->arch, struct kvm, arch);",
        "kvm = from_timer(kvm, &vcpu->arch, arch.timer);",
    ],
)
def test_what_nothing_changes_later(late):
    """It is set before there is a vCPU, and the proof says by whom."""
    report = found(late)
    assert report.verdict == "covered"
    said = [one for c in report.contexts for f in c.fields for one in f.assumptions]
    assert any("stays as" in one and "()" in one for one in said)


LOCK, UNLOCK, STORE = "mutex_lock(&kvm->lock);", "mutex_unlock(&kvm->lock);", (
    "kvm->arch.vm_type = n;"
)  # fmt: skip
SCOPED = "scoped_guard(mutex, &kvm->lock)"
REFUSED = "if (kvm->created_vcpus)\n\t\treturn -1;\n\t"


@pytest.mark.parametrize(
    ("late", "is_fine"),
    [
        (f"{LOCK}\n\tif (!kvm->created_vcpus)\n\t\t{STORE}\n\t{UNLOCK}", True),
        (f"guard(mutex)(&kvm->lock);\n\t{REFUSED}{STORE}", True),
        (f"{LOCK}\n\tif (n && kvm->created_vcpus == 0) {{\n\t\t{STORE}\n\t}}\n\t{UNLOCK}", True),
        (f"switch (n) {{\n\tcase 1:\n\t\t{LOCK}\n\t\tif (!kvm->created_vcpus)\n\t\t\tn = 2;\n"
         f"\t\t{UNLOCK}\n\t\tbreak;\n\tcase 2:\n\t\t{LOCK}\n\t\tif (!kvm->created_vcpus) {{\n"
         f"\t\t\t{STORE}\n\t\t}}\n\t\t{UNLOCK}\n\t}}", True),
        (f"{SCOPED} {{\n\t\tif (kvm->created_vcpus)\n\t\t\tbreak;\n\t\t{STORE}\n\t}}", True),
        (f"{SCOPED} {{\n\t\tif (!kvm->created_vcpus)\n\t\t\t{STORE}\n\t}}", True),
        (f"{LOCK}\n\tif (kvm->created_vcpus)\n\t\tgoto out;\n\t{STORE}\nout:\n\t{UNLOCK}", True),
        (f"{LOCK}\n\tif (kvm->created_vcpus) {{\n\t\t{UNLOCK}\n\t\treturn -1;\n\t}}\n\t{STORE}",
         True),
        (f"{LOCK}\n\tif (kvm->created_vcpus)\n\t\tgoto out;\n\t{UNLOCK}\nout:\n\t{STORE}", False),
        (f"{LOCK}\n\tif (kvm->created_vcpus)\n\t\tgoto out;\nout:\n\t{STORE}\n\t{UNLOCK}", False),
        (f"{LOCK}\n\t{UNLOCK}\n\tbreak;\n\t{REFUSED}{STORE}", False),
        (f"{{\n\t\tguard(mutex)(&kvm->lock);\n\t}}\n\t{REFUSED}{STORE}", False),
        (f"if (n)\n\t\t{LOCK}\n\t{REFUSED}{STORE}", False),
        (f"{SCOPED} {{\n\t\tn = 1;\n\t}}\n\t{REFUSED}{STORE}", False),
        (f"switch (n) {{\n\tcase 1:\n\t\t{LOCK}\n\t\tbreak;\n\tcase 2:\n"
         f"\t\tif (!kvm->created_vcpus)\n\t\t\t{STORE}\n\t}}", False),
        (f"{REFUSED}{STORE}", False),
        (f"{REFUSED}{LOCK}\n\t{STORE}\n\t{UNLOCK}", False),
        (f"{LOCK}\n\t{REFUSED}{UNLOCK}\n\t{STORE}", False),
        (f"{LOCK}\n\tif (kvm->created_vcpus)\n\t\t{STORE}\n\t{UNLOCK}", False),
        (f"{LOCK}\n\tif (!kvm->created_vcpus || n)\n\t\t{STORE}\n\t{UNLOCK}", False),
        (f"{LOCK}\n\tif (!vcpu->kvm->created_vcpus)\n\t\t{STORE}\n\t{UNLOCK}", False),
        (f"mutex_lock(&kvm->other_lock);\n\t{REFUSED}{STORE}", False),
        (f"{REFUSED}{LOCK}\n\tn = kvm->created_vcpus + 1;\n\t{STORE}\n\t{UNLOCK}", False),
        (f"{LOCK}\n\tkvm = vcpu->kvm;\n\t{REFUSED}{STORE}", False),
    ],
)  # fmt: skip
def test_what_is_changed_while_there_is_no_vcpu(late, is_fine):
    """A capability that is refused once there is a vCPU decides what every set-up makes."""
    assert (found(late, members=COUNTED).verdict == "covered") is is_fine


@pytest.mark.parametrize(
    ("paused", "is_fine"),
    [
        ("mutex_lock(&kvm->other_lock);\n\tmutex_unlock(&kvm->other_lock);", True),
        ("look(kvm);", True),
        ("look_other(kvm);", True),
        ("pause(kvm);", False),
        ("pause_by(kvm);", False),
        ("PAUSE(kvm);", False),
        ("PAUSED;", False),
        ("pause_at(&kvm->lock);", False),
        ("mutex_unlock(m);\n\tmutex_lock(m);", False),
        ("vcpu->pause(kvm);", False),
    ],
)
def test_a_lock_that_is_dropped_in_between(paused, is_fine):
    """A vCPU may come to be while the lock is left that was held where none was found."""
    late = f"struct mutex *m = &kvm->lock;\n\n\t{LOCK}\n\tif (!kvm->created_vcpus) {{\n\t\t"
    late += f"{paused}\n\t\t{STORE}\n\t}}\n\t{UNLOCK}"
    assert (found(late, PAUSES, COUNTED).verdict == "covered") is is_fine
    main = MAIN.replace("\tkvm->created_vcpus++", f"\t{paused}\n\tkvm->created_vcpus++")
    main = main.replace("static int kvm_vm", f"struct mutex *m;\n{PAUSES}\nstatic int kvm_vm")
    assert (found(BEFORE_ALL, "", COUNTED, main).verdict == "covered") is is_fine


PAUSES = f"""
#define PAUSE(kvm) {{ {UNLOCK} {LOCK} }}
#define PAUSED PAUSE(kvm)

static void look(struct kvm *kvm)
{{
	kvm->arch.other = 3;
}}

static void look_other(struct kvm *kvm)
{{
	mutex_lock(&kvm->other_lock);
	look(kvm);
	mutex_unlock(&kvm->other_lock);
}}

static void pause(struct kvm *kvm)
{{
	{UNLOCK}
	{LOCK}
}}

static void pause_by(struct kvm *kvm)
{{
	pause(kvm);
}}

static void pause_at(struct mutex *lock)
{{
	mutex_unlock(lock);
	mutex_lock(lock);
}}
"""
COUNTED = "\tint created_vcpus;\n\tstruct mutex { int a; } lock, other_lock;\n"
BEFORE_ALL = f"{LOCK}\n\tif (!kvm->created_vcpus)\n\t\t{STORE}\n\t{UNLOCK}"
CREATES = "\nstatic int "
RESET_COUNT = f"\nvoid reset(struct kvm *kvm)\n{{\n\t%s\n}}\n{CREATES}"
RAISED, MADE = "\tkvm->created_vcpus++;\n", "\tr = kvm_arch_vcpu_create(vcpu);\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (MADE + "\tif", f"{MADE}\tkvm->created_vcpus++;\n\tif"),
        (RAISED, ""),
        (RAISED, "\tkvm->created_vcpus = 1;\n"),
        (RAISED + "\tmutex_unlock(&kvm->lock);\n", "\tmutex_unlock(&kvm->lock);\n" + RAISED),
        ("lock(&kvm->lock);\n\tif", "lock(&kvm->other_lock);\n\tif"),
        ("kvm->created_vcpus--", "kvm->created_vcpus -= 2"),
        (CREATES, RESET_COUNT % "kvm->created_vcpus = 0;"),
        (CREATES, RESET_COUNT % "kvm->created_vcpus--;"),
        (CREATES, RESET_COUNT % "memset(&kvm->created_vcpus, 0, 4);"),
        (CREATES, RESET_COUNT % "clear(kvm->created_vcpus);"),
    ],
    ids=[
        "twice", "never", "set", "without the lock", "another lock", "by two", "set elsewhere",
        "lowered elsewhere", "filled elsewhere", "given to a macro",
    ],
)  # fmt: skip
def test_what_counts_the_vcpus(old, new):
    """There is no vCPU while the count is 0 only where each is counted before it is made."""
    assert MAIN.count(old) == 1
    assert found(BEFORE_ALL, members=COUNTED, main=MAIN.replace(old, new)).verdict == "gap"


@pytest.mark.parametrize(
    "main",
    [
        MAIN.replace("kvm_arch_alloc_vm()", "first_vm"),
        MAIN
        + "\nint kvm_vm_ioctl(struct kvm *kvm, u8 n)\n{\n\treturn kvm_arch_init_vm(kvm, n);\n}\n",
    ],
    ids=["one that is there", "once more"],
)
def test_what_makes_a_vm_that_is_there(main):
    """What its name says is made in the beginning is not, where who calls it says otherwise."""
    assert found(main=main).verdict == "gap"


@pytest.mark.parametrize(
    "late",
    [
        "kvm->arch.vm_type = n;",
        "n = __alignof__(struct kvm);\n\tfill(sizeof_field(struct kvm, arch), &kvm->arch);",
        "vcpu->kvm->arch.vm_type |= n;",
        "init_type(kvm, n);",
        "kvm_arch_init_vm(kvm, n);\n\tkvm->arch.vm_type++;",
        "memset(&kvm->arch, 0, sizeof(kvm->arch));",
        "kvm->arch = *(struct kvm_arch *)vcpu;",
        "u8 *p = &kvm->arch.vm_type;\n\n\t*p = n;",
        "fill(&kvm->arch.vm_type);",
        "*kvm = *vcpu->kvm;",
        "*vcpu->kvm = *kvm;",
        "memset(kvm, 0, sizeof(*kvm));",
        "memcpy(vcpu->kvm, kvm, n);",
        "swap(*kvm, *vcpu->kvm);",
        "struct kvm_arch *arch = &kvm->arch;\n\n\tarch->vm_type = n;",
    ],
)
def test_what_something_changes_later(late):
    """Then a set-up is skipped although the level is another."""
    assert found(late).verdict in ("gap", "unknown")


ONE_VM = "\tinit_type(kvm, type);\n"
OTHER_VM = "\tstruct kvm *other = first_vm;\n\n\tinit_type(other, type);\n"
EACH_VM = (
    "\tstruct kvm *other;\n\n\tlist_for_each_entry(other, &vm_list, vm_list)\n"
    "\t\tother->arch.vm_type = type;\n"
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("\tkvm->arch.vm_type = type;\n", "covered"),
        ("\tstruct kvm *other = kvm;\n\n\tother->arch.vm_type = type;\n", "covered"),
        (OTHER_VM, "gap"),
        (EACH_VM, "gap"),
        (EACH_VM.replace("other->arch.vm_type = type", "init_type(other, type)"), "gap"),
        ("\tfirst_vm->arch.vm_type = type;\n", "gap"),
    ],
    ids=["it", "a variable for it", "another", "each in a list", "each by a helper", "a global"],
)
def test_what_the_making_of_another_one_changes(monkeypatch, body, expected):
    """A VM is made at any time, and what is set of others then does not stay."""
    assert CODE.count(ONE_VM) == 1
    monkeypatch.setitem(globals(), "CODE", CODE.replace(ONE_VM, body + ONE_VM))
    assert found("", "static struct kvm *first_vm;\n").verdict == expected


def test_what_is_called_at_other_times():
    """A function that stores it is not known to run only where a VM is made."""
    table = "\nstruct ops {\n\tvoid (*set)(struct kvm *kvm, u8 n);\n};\n"
    kept = "static struct ops ops = { .set = init_type };\n"
    assert found("", table + kept).verdict in ("gap", "unknown")


VCPU = """\
static void reset(struct kvm_vcpu *vcpu)
{
	kvm_init_mmu(vcpu);
}

static void again(struct kvm_vcpu *vcpu)
{
	reset(vcpu);
}

static struct kvm_vcpu *first;

int kvm_arch_vcpu_create(struct kvm_vcpu *vcpu, u32 n)
{
	%s
	again(vcpu);
	kvm_init_mmu(vcpu);
	%s
	return 0;
}

int kvm_arch_vcpu_ioctl(struct kvm_vcpu *vcpu, u32 n)
{
	%s
	return 0;
}
"""
KEEPER = """\
static void keep(struct kvm_vcpu *vcpu, u32 n)
{
	vcpu->arch.hflags = n;
}

"""
KEPT = "vcpu->arch.hflags = n;"


def vcpu_made(in_front, behind="", later=""):
    """Return a tree in which a level depends on a number that a vCPU is made with."""
    files = fixture("cpuid-invalidated-fixed")
    text = files[MMU].decode()
    assert text.count("cpuid_maxphyaddr(vcpu) <= 48") == 1
    text = text.replace("cpuid_maxphyaddr(vcpu) <= 48", "vcpu->arch.hflags == 1")
    code = VCPU % (in_front, behind, later)
    files[MMU] = (text + (KEEPER if "keep(" in code else "") + code).encode()
    return files


def made(in_front, behind="", later=""):
    """Return the verdict on that."""
    return check(vcpu_made(in_front, behind, later), ("shadow_root_level",)).verdict


@pytest.mark.parametrize(
    "in_front",
    [
        KEPT,
        "keep(vcpu, n);",
        f"if (n)\n\t\t{KEPT}",
        "struct kvm_vcpu_arch *arch = &vcpu->arch;\n\n\tarch->hflags = n;",
    ],
)
def test_what_a_vcpu_is_made_with(in_front):
    """What is kept in front of the first set-up, and never again, is alike for all of them."""
    assert made(in_front) == "covered"


@pytest.mark.parametrize(
    ("in_front", "behind", "later"),
    [
        ("", KEPT, ""),
        ("", "keep(vcpu, n);", ""),
        (KEPT, KEPT, ""),
        (KEPT, "", KEPT),
        (KEPT, "", "keep(vcpu, n);"),
        (KEPT, "", "kvm_arch_vcpu_create(vcpu, n);"),
        (KEPT, "", "memset(&vcpu->arch, 0, sizeof(vcpu->arch));"),
        (f"again(vcpu);\n\t{KEPT}", "", ""),
        ("again(vcpu);\n\tkeep(vcpu, n);", "", ""),
        (f"while (n--) {{\n\t\t{KEPT}\n\t\treset(vcpu);\n\t}}", "", ""),
        (f"more:\n\t{KEPT}", "if (n--)\n\t\tgoto more;", ""),
        ("first->arch.hflags = n;", "", ""),
        ("struct kvm_vcpu *other = kvm_get_vcpu(vcpu);\n\n\tother->arch.hflags = n;", "", ""),
        (KEPT, "first->arch.hflags = n;", ""),
        ("vcpu->arch.hflags = (again(vcpu), n);", "", ""),
        ("keep(vcpu, (again(vcpu), n));", "", ""),
    ],
)
def test_what_a_vcpu_is_not_made_with(in_front, behind, later):
    """A set-up may have been made with another number."""
    assert made(in_front, behind, later) in ("gap", "unknown")


def test_two_makers_of_a_vcpu():
    """What one of them keeps may come behind what another has set up."""
    files = vcpu_made("")
    maker = f"\nint kvm_arch_vcpu_setup(struct kvm_vcpu *vcpu, u32 n)\n{{\n\t{KEPT}\n}}\n"
    files[MMU] += maker.encode()
    assert check(files, ("shadow_root_level",)).verdict == "gap"
    for call in (b"\tagain(vcpu);\n", b"\tkvm_init_mmu(vcpu);\n\t\n\treturn"):
        assert files[MMU].count(call) == 1
        files[MMU] = files[MMU].replace(call, b"\treturn" if b"return" in call else b"")
    assert check(files, ("shadow_root_level",)).verdict == "covered"


RESET = """
static void restart(struct kvm_vcpu *vcpu, bool init_event, u32 n)
{
	%s
}

void kvm_arch_vcpu_init_event(struct kvm_vcpu *vcpu, u32 n, bool init)
{
	restart(vcpu, %s, n);
}
"""


@pytest.mark.parametrize(
    ("body", "event", "first", "expected"),
    [
        (f"if (!init_event)\n\t\t{KEPT}", "true", "restart(vcpu, false, n);", "covered"),
        (f"if (init_event)\n\t\treturn;\n\t{KEPT}", "true", "restart(vcpu, 0, n);", "covered"),
        (KEPT, "true", "restart(vcpu, false, n);", "gap"),
        (f"if (!init_event)\n\t\t{KEPT}", "init", "restart(vcpu, false, n);", "gap"),
        (f"if (!init_event)\n\t\t{KEPT}", "false", "restart(vcpu, false, n);", "gap"),
        (f"if (init_event)\n\t\t{KEPT}", "true", "restart(vcpu, false, n);", "gap"),
        (f"if (!init_event)\n\t\t{KEPT}", "true",
         "again(vcpu);\n\trestart(vcpu, false, n);", "gap"),
        (f"if (!init_event)\n\t\t{KEPT}", "true", "restart(first, false, n);", "gap"),
        (f"init_event = n;\n\tif (!init_event)\n\t\t{KEPT}", "true",
         "restart(vcpu, false, n);", "gap"),
        (f"{{\n\t\tbool init_event = n;\n\n\t\tif (!init_event)\n\t\t\t{KEPT}\n\t}}", "true",
         "restart(vcpu, false, n);", "gap"),
        (f"again(vcpu);\n\tif (!init_event)\n\t\t{KEPT}", "true",
         "restart(vcpu, false, n);", "gap"),
    ],
    ids=[
        "unless told", "left where told", "always", "told at times", "told it is one",
        "where told", "behind a set-up", "of another", "told otherwise", "another of the name",
        "set up there",
    ],
)  # fmt: skip
def test_what_a_vcpu_is_reset_with(body, event, first, expected):
    """What only the first reset keeps, which a parameter tells, is what the vCPU is made with."""
    files = vcpu_made(first)
    head = "static struct kvm_vcpu *first;\n"
    text = files[MMU].decode().replace(head, f"{head}{RESET % (body, event)}")
    files[MMU] = text.encode()
    assert check(files, ("shadow_root_level",)).verdict == expected


COUNT, ADD = "atomic_read(&vcpu->arch.count)", "\tatomic_inc(&vcpu->arch.count);\n"
LATE = f"\nvoid late(struct kvm_vcpu *vcpu)\n{{\n{ADD}}}\n"


def counted(ctype, late=""):
    """Return the report on a level that depends on a counter of a vCPU."""
    files = fixture("cpuid-invalidated-fixed")
    for path, old, new in (
        (MMU, "cpuid_maxphyaddr(vcpu) <= 48", f"{COUNT} > 1"),
        (HEADER, "struct kvm_vcpu_arch {", f"struct kvm_vcpu_arch {{\n\t{ctype} count;"),
    ):
        assert files[path].decode().count(old) == 1
        files[path] = files[path].decode().replace(old, new).encode()
    files[MMU] += late.encode()
    return check(files, ("shadow_root_level",))


@pytest.mark.parametrize("ctype", ["atomic_t", "struct {\n\t\tint counter;\n\t}"])
def test_what_is_counted(ctype):
    """A counter is read as the number that it holds, whether or not its type is in the text."""
    report = counted(ctype)
    assert report.verdict == "gap"
    (missing,) = [one.missing for context in report.contexts for one in context.fields]
    assert missing == ("vcpu->arch.count.counter",)


@pytest.mark.parametrize(
    ("ctype", "late", "expected"),
    [
        ("atomic_t", LATE, ("gap", "unknown")),
        ("atomic_t", LATE.replace("atomic_inc", "kvm_add"), ("gap", "unknown")),
        ("atomic_t", LATE.replace("atomic_inc", "WRITE_COUNT"), ("gap", "unknown")),
        ("atomic64_t", "", ("unknown",)),
        ("struct kvm_other", "", ("unknown",)),
        ("atomic_t *", "", ("unknown",)),
    ],
)
def test_what_may_be_counted(ctype, late, expected):
    """What changes one is not looked for, and another type holds something else."""
    assert counted(ctype, late).verdict in expected


@pytest.mark.parametrize("pointer", ["", "*"])
def test_a_function_where_a_macro_of_its_name_is_not(pointer):
    """What is defined under another condition is no mention of what the macro stands for."""
    more = (
        "#ifdef CONFIG_PLAIN\n#define vm_type_of(kvm) ((kvm)->arch.vm_type)\n#else\n"
        f"static inline u8 {pointer}vm_type_of(struct kvm *kvm)\n{{\n\treturn 0;\n}}\n#endif\n"
    )
    assert found("n = vm_type_of(kvm) != 0;", more).verdict == "covered"
    assert found("vm_type_of(kvm) = n;", more).verdict != "covered"


def test_a_maker_that_is_called_again_from_elsewhere():
    """What all architectures share makes a vCPU where it has just been allocated, and only then."""
    files = vcpu_made(KEPT)
    call = "\treturn kvm_arch_vcpu_create(vcpu, 3);\n"
    for start, expected in (
        ("kmem_cache_zalloc(kvm_vcpu_cache, GFP_KERNEL_ACCOUNT)", "covered"),
        ("filp->private_data", "gap"),
    ):
        head = "#include <linux/kvm_host.h>\n\nint kvm_vcpu_ioctl(struct file *filp)\n"
        code = f"{head}{{\n\tstruct kvm_vcpu *vcpu = {start};\n\n{call}}}\n"
        files[SHARED_MAIN] = code.encode()
        assert check(files, ("shadow_root_level",)).verdict == expected


@pytest.mark.parametrize(
    ("later", "expected"), [("", "covered"), ("ops->vcpu_create(vcpu, n);", "gap")]
)
def test_a_maker_in_a_table(later, expected):
    """An operation that makes a vCPU does so where it is called for that alone."""
    files = vcpu_made("ops->vcpu_create(vcpu, n);", "", later)
    table = (
        f"int vmx_vcpu_create(struct kvm_vcpu *vcpu, u32 n)\n{{\n\t{KEPT}\n\treturn 0;\n}}\n\n"
        "struct kvm_ops {\n\tint (*vcpu_create)(struct kvm_vcpu *vcpu, u32 n);\n};\n"
        "static struct kvm_ops vmx_ops = {\n\t.vcpu_create = vmx_vcpu_create,\n};\n"
        "static struct kvm_ops *ops = &vmx_ops;\n\n"
    )
    text = files[MMU].decode()
    files[MMU] = text.replace(
        "static struct kvm_vcpu *first;\n", f"static struct kvm_vcpu *first;\n{table}"
    ).encode()
    assert check(files, ("shadow_root_level",)).verdict == expected


@pytest.mark.parametrize(
    ("taken", "left", "is_fine"),
    [
        ("scoped_guard(mutex, &kvm->lock) {", "}", True),
        ("{\n\tguard(mutex)(&kvm->lock);", "}", True),
        ("scoped_guard(mutex, &kvm->other_lock) {", "}", False),
        ("scoped_guard(mutex, &kvm->lock) {\n\t}\n\t{", "}", False),
    ],
)
def test_how_a_lock_is_held_while_vcpus_are_counted(taken, left, is_fine):
    """Whatever takes it, it is held where the count is raised and lowered."""
    main = MAIN.replace("mutex_lock(&kvm->lock);", taken)
    main = main.replace("{\n\t\tmutex_unlock(&kvm->lock);\n", "{\n")
    main = main.replace("mutex_unlock(&kvm->lock);", left)
    verdict = found(BEFORE_ALL, members=COUNTED, main=main).verdict
    assert verdict == ("covered" if is_fine else "gap")


@pytest.mark.parametrize(
    "asked", ["if !defined(kvm_type) && 1", "ifndef kvm_type", "if defined kvm_type", "elif"]
)
def test_a_macro_that_a_directive_asks_for(asked):
    """That it is there says nothing of the member that it reads."""
    asked = f"{asked}\nextern int kvm_other_type;\n#endif\n"
    asked = asked.replace("elif\n", "if 0\n#elif !defined(kvm_type)\n")
    report = found(more=f"\n#define kvm_type(kvm) ((kvm)->arch.vm_type)\n#{asked}")
    assert report.verdict == "covered"
