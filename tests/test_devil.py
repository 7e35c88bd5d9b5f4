# SPDX-License-Identifier: GPL-2.0-only
"""The closed world holds: no edit that lets a field go stale gets a clean verdict.

A sample runs here; with PATCHTOOL_DEVIL=20000 as many combinations, as ``.ci/run`` does.
"""

import os
import re
import shutil

import pytest
from devil import breaks
from devil.bases import GUARD, bases, kernel
from devil.compiled import replay
from devil.forms import FORMS
from devil.generate import named, sample
from devil.refactorings import GUARD as COMPARED
from devil.refactorings import ON_KERNELS, REFACTORINGS, on_kernel, refactored
from devil.refactorings import STORE as STORE_ROLE
from devil.tally import ask
from devil.truth import truth
from devil.weave import Combination, weave
from edited import check, check_tree

MANY = int(os.environ.get("PATCHTOOL_DEVIL", "0"))
PARTS = 40 if MANY else 4
IN_ALL = MANY or 100
COMPILED = MANY // 20 or 24
EACH = 1 if MANY else 4
ON_EACH_KERNEL = 300 if MANY else 8
SMALLEST = bases()[0]


UNDECIDED = {
    *("cleanup of something else", "re-initialisation of the whole"),
}
"""Refactorings that are not decided yet; what is decided leaves the list."""


def misses(answers):
    """Return what was answered wrongly."""
    return [one for one in answers if one.missed]


def told(answers):
    """Write answers so that a person can look at them."""
    return "\n".join(f"{one.verdict} where {one.truth}: {one.one}" for one in answers)


@pytest.mark.parametrize("base", bases(), ids=lambda base: base.name)
def test_bases(base):
    """Nothing is stale in what is edited."""
    files = {path: text.encode() for path, text in base.files.items()}
    assert check(files, base.fields).verdict == "covered"


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_goes_stale_behind_a_clean_verdict(part):
    """However an object is changed, wherever and whenever: stale is never clean."""
    answers = [ask(one) for one in sample(bases(), IN_ALL)[part::PARTS]]
    assert {one.truth for one in answers} == {"stale", "harmless"}
    wrong = misses(answers)
    assert not wrong, told(wrong)


@pytest.mark.parametrize("form", FORMS[::EACH], ids=lambda form: form.name)
def test_every_form(form):
    """Each form at one place: in the set-up, on what matters there most."""
    target = next(one for one in SMALLEST.targets if one.name == "stored role")
    chosen = (
        Combination(SMALLEST, target, form, "here", "before the guard", "plain"),
        Combination(SMALLEST, target, form, "entry", "outside", "plain"),
    )
    wrong = misses([ask(one) for one in chosen])
    assert not wrong, told(wrong)


REPORTED = [
    ("registers twice", "input", "out-parameter", "here", "before the guard", "plain"),
    ("registers twice", "input", "WRITE_ONCE", "helper", "before the guard", "plain"),
    ("registers twice", "input", "pointer to char", "helper's helper", "before the guard", "plain"),
    ("registers twice", "input", "function of another name", "header", "before the guard", "plain"),
    ("registers twice", "input", "function of old style", "static call", "before the field",
     "plain"),
    ("registers twice", "input", "macro that is the object", "header", "before the field", "plain"),
    ("registers twice", "input", "macro that is the object", "helper", "before the field",
     "#ifdef"),
    ("registers twice", "input", "static_call", "header", "before the guard", "plain"),
    ("registers once", "stored role", "=", "vendor hook", "before the guard",
     "two definitions, #else"),
    ("registers once", "stored role", "smp_store_mb", "here", "before the guard", "plain"),
    ("registers once", "field", "get_user", "helper", "at the end", "plain"),
    ("registers once", "field", "spliced name", "local callback", "before the guard", "#ifdef"),
    ("registers once", "registers", "pointer, moved", "helper", "before the guard", "plain"),
    ("registers once", "stored role", "pointer parked in a global", "here", "before the guard",
     "plain"),
    ("cpu_role", "context", "function given to a function", "here", "where it skips", "#else"),
    ("cpu_role", "context", "function given to a function", "here", "where it skips", "plain"),
    ("host constant", "host constant", "macro that is the store", "other file", "before the guard",
     "two headers"),
    ("registers once", "stored role", "pointer in a union", "entry that sets up again", "outside",
     "two headers"),
]  # fmt: skip
"""What was answered with a clean verdict once."""


@pytest.mark.parametrize("names", REPORTED, ids=" / ".join)
def test_reported(names):
    """Each kind that was missed is tried every time."""
    answer = ask(named(*names))
    assert answer.truth == "stale"
    assert not answer.missed, answer.verdict


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("part", range(4))
def test_gcc_says_the_same(part):
    """What a combination does by construction it does when it is compiled and run."""
    for one in sample(bases(), COMPILED, seed=2)[part::4]:
        assert replay(one, weave(one)) == truth(one), str(one)


STORE = "\tcontext->root_level = role_regs_to_root_level(&regs);\n"


def test_a_field_that_one_set_up_leaves_out():
    """Another set-up of the same context stores it, and so it may be stale behind this one."""
    files = dict(next(base for base in bases() if base.name == "registers, five contexts").files)
    assert files[SMALLEST.main].count(STORE) == 1
    files[SMALLEST.main] = files[SMALLEST.main].replace(STORE, "")
    report = check({path: text.encode() for path, text in files.items()})
    assert report.verdict == "unknown"
    assert any("root_level" in one.reason for one in report.unknowns)


IN_FRONT = {
    "stored": STORE_ROLE,
    "copied": "\tmemcpy(&context->mmu_role, &new_role, sizeof(new_role));\n",
    "assigned": "\tcontext->mmu_role = new_role;\n",
    "in a helper": "\tput(context, new_role);\n",
}
HELPERS = """static void put(struct kvm_mmu *context, union kvm_mmu_role role)
{
	context->mmu_role.as_u64 = role.as_u64;
}

static bool same(union kvm_mmu_role a, union kvm_mmu_role b)
{
	return a.as_u64 == b.as_u64;
}

"""
LEAVES = {
    "compared": COMPARED,
    "by a difference": COMPARED.replace("==", "^").replace("if (", "if (!(").replace(")\n", "))\n"),
    "compared in a helper": "\tif (same(new_role, context->mmu_role))\n\t\treturn;\n",
    "always left": "\treturn;\n",
    "left at times": "\tif (vcpu->arch.hflags & 1)\n\t\treturn;\n",
}


@pytest.mark.parametrize("name", ["registers once", "registers, five contexts"])
@pytest.mark.parametrize("leaves", LEAVES)
@pytest.mark.parametrize("stores", IN_FRONT)
def test_a_role_that_is_stored_in_front_of_its_guard(stores, leaves, name):
    """Then nothing is ever set up again, and each field goes stale."""
    base = next(base for base in bases() if base.name == name)
    text = base.files[base.main]
    assert text.count(base.setup) == 1
    head, body = text.split(base.setup)
    body, ones = re.subn(re.escape(STORE_ROLE), "", body, count=1)
    body, others = re.subn(GUARD, IN_FRONT[stores] + LEAVES[leaves], body, count=1, flags=re.M)
    assert (ones, others) == (1, 1)
    files = {**base.files, base.main: head + HELPERS + base.setup + body}
    report = check({path: one.encode() for path, one in files.items()})
    assert report.verdict in ("unknown", "gap")


@pytest.mark.parametrize("name", REFACTORINGS)
def test_refactorings(name):
    """What means the same is answered alike."""
    report = check_tree(refactored(SMALLEST, REFACTORINGS[name]))
    if name in UNDECIDED:
        assert report.verdict == "unknown", "decided now: take it out of the table"
    else:
        assert report.verdict == "covered", (report.unknowns, report.findings)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("part", range(4))
def test_gcc_says_that_refactorings_are_harmless(part):
    """They are C, and nothing goes stale."""
    anywhere = Combination(SMALLEST, SMALLEST.targets[0], FORMS[0], "here", "at the end", "plain")
    names = list(REFACTORINGS)[part::4] if MANY else list(REFACTORINGS)[part::16]
    for name in names:
        assert replay(anywhere, refactored(SMALLEST, REFACTORINGS[name])) == "harmless", name


@pytest.mark.parametrize("broken", breaks.BREAKS, ids=lambda one: one.name)
def test_a_broken_ledger_is_noticed(broken, monkeypatch):
    """With one refusal taken away, or one form too many accepted, something stale is clean."""
    chosen = [one for one in breaks.chosen(broken) if truth(one) == "stale"]
    assert chosen
    assert not misses([ask(one) for one in chosen])
    broken.apply(monkeypatch)
    assert misses([ask(one) for one in chosen])


@pytest.mark.parametrize("part", range(PARTS // 4))
def test_kernels(kernels, part):
    """The same on real kernels."""
    for tree in kernels:
        base = kernel(tree)
        answers = [ask(one) for one in sample([base], ON_EACH_KERNEL)[part :: PARTS // 4]]
        wrong = misses(answers)
        assert not wrong, told(wrong)


def test_refactorings_of_kernels(kernels):
    """The guard of a real kernel, written in another way, is understood."""
    for tree in kernels:
        for name in ON_KERNELS:
            edited = on_kernel(kernel(tree), name)
            if edited is not None and name not in UNDECIDED:
                assert check_tree(edited).verdict == "covered", (tree, name)


def test_a_context_that_is_no_member():
    """One that is given by its address alone has no name to tell it from others by."""
    names = ("word", "stored role", "while, condition", "entry", "outside", "plain")
    assert not misses([ask(named(*names))])


HOOKS = {
    "by a macro": (
        "#ifdef CONFIG_KVM_DEVIL\n#define op(name) other_##name\n#else\n"
        "#define op(name) vmx_##name\n#endif\n", "op(devil)"),
    "as another type": ("", "(void *)vmx_devil"),
    "one of two": ("", "IS_ENABLED(CONFIG_KVM_DEVIL) ? NULL : vmx_devil"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOOKS)
def test_what_a_hook_is_set_to(name):
    """A function of a table counts however the table names it."""
    above, value = HOOKS[name]
    names = ("registers once", "stored role", "=", "vendor hook", "before the guard", "plain")
    tree = weave(named(*names))
    text = tree.files["arch/x86/kvm/vmx/devil.c"].decode()
    assert text.count(".devil = vmx_devil,") == 1
    head, hook, rest = text.partition("struct kvm_x86_ops kvm_x86_ops = {")
    rest = rest.replace("= vmx_devil,", f"= {value},")
    tree.files["arch/x86/kvm/vmx/devil.c"] = f"{head}{above}{hook}{rest}".encode()
    assert check_tree(tree).verdict in ("gap", "unknown")


def test_a_switch_between_set_ups():
    """Which set-up runs may change where what chooses it does."""
    files = dict(next(base for base in bases() if base.name == "registers, five contexts").files)
    path = SMALLEST.main
    plain = {one: text.encode() for one, text in files.items()}
    assert check(plain).verdict == "covered"
    change = "\nvoid change(bool enabled)\n{\n\ttdp_enabled = enabled;\n}\n"
    report = check({**plain, path: plain[path] + change.encode()})
    assert report.verdict == "unknown"
    assert any("which set-up of" in one.reason for one in report.unknowns)
