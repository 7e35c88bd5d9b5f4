# SPDX-License-Identifier: GPL-2.0-only
"""A lint reports what a change brings in, on the patch that does, and nothing else."""

import base64
import difflib
import io
import json
import os
import quopri
import re
import shutil
import subprocess
import sys
from pathlib import Path

import miniatures
import pytest
from scratch import commit, git
from test_report import official

from patchtool import cli
from patchtool.c.index import Index
from patchtool.c.layout import Types
from patchtool.lint import calls as made_rarer
from patchtool.lint import introduced
from patchtool.model import Context, FieldResult, Finding, Place, Report, Witness
from patchtool.outside.diff import parse
from patchtool.outside.diff import write as difference
from patchtool.outside.mail import read, relevant
from patchtool.outside.reach import Included
from patchtool.outside.source import WorkTree
from patchtool.rules import stale_mmu_role as rule
from patchtool.target.kvm import KVM
from patchtool.world.accounts.mentions import Mentions

HOUSE = Path(__file__).parent.parent
FIXED = miniatures.folder("role-regs-fixed")
DEMO = HOUSE / "fixtures/demo"
MMU = "arch/x86/kvm/mmu/mmu.c"
HOST = "arch/x86/include/asm/kvm_host.h"
SVM = "arch/x86/kvm/svm/nested.c"

LMA = "\t\text.efer_lma = ____is_efer_lma(regs);\n"
PAE = "\t\text.cr4_pae = ____is_cr4_pae(regs);\n"
GUARD = """\
	if (new_role.as_u64 == context->mmu_role.as_u64)
		return;

	context->mmu_role.as_u64 = new_role.as_u64;
	context->shadow_root_level = kvm_mmu_get_tdp_level(vcpu);
"""
LEVEL = "	context->root_level = role_regs_to_root_level(&regs);\n"
NPT = "kvm_calc_shadow_npt_root_page_role(vcpu, &regs);"

# The ways in which gaps came into real kernels: file, old text, new text.
REGRESSIONS = {
    "bit dropped": [(MMU, LMA, "")],
    "bit renamed away": [
        (HOST, "efer_lma:1", "long_mode:1"),
        (MMU, LMA, "\t\text.long_mode = tdp_enabled;\n"),
    ],
    "input added without a bit": [
        (MMU, LEVEL, LEVEL + "\tif (vcpu->arch.hflags & (1 << 9))\n\t\tcontext->root_level = 1;\n")
    ],
    "mask added before the comparison": [
        (MMU, GUARD, "\tnew_role.ext.efer_lma = 0;\n" + GUARD),
    ],
    "role computed from another source": [
        (
            MMU,
            "	union kvm_mmu_role new_role = " + NPT,
            "	struct kvm_mmu_role_regs own = vcpu_to_role_regs(vcpu);\n"
            "	union kvm_mmu_role new_role = " + NPT.replace("&regs", "&own"),
        )
    ],
}
MISSING = {
    "bit dropped": "EFER.LMA",
    "bit renamed away": "EFER.LMA",
    "input added without a bit": "hflags",
    "mask added before the comparison": "EFER.LMA",
    "role computed from another source": "EFER.LMA",
}

HARMLESS = {
    "a comment": [(MMU, PAE, "\t\t/* A comment about ext.efer_lma. */\n" + PAE)],
    "another local": [
        (MMU, "	struct kvm_mmu *g_context = &vcpu", "	struct kvm_mmu *walk = &vcpu"),
        (MMU, "g_context", "walk"),
    ],
    "another order": [
        (MMU, PAE, ""),
        (MMU, "\text.valid = 1;\n", "\tif (____is_cr0_pg(regs))\n" + PAE + "\text.valid = 1;\n"),
    ],
    "another function": [(MMU, "{\n\treturn vaddr;\n}", "{\n\treturn vaddr & ~1ULL;\n}")],
    "a function more": [
        (SVM, "\nvoid enter_svm", "\nstatic int more(void)\n{\n\treturn 1;\n}\n\nvoid enter_svm")
    ],
    "a static function renamed": [(MMU, "init_kvm_tdp_mmu", "init_kvm_direct_mmu")],
    "a macro renamed": [(MMU, "ACC_ALL", "ACC_EVERYTHING")],
}


def edited(files, edits):
    """Return files with texts replaced wherever they occur."""
    after = dict(files)
    for path, old, new in edits:
        assert old in after[path], (path, old)
        after[path] = after[path].replace(old, new)
    return after


def files_of(tree):
    """Return the texts of the files of a tree that the edits name."""
    paths = [path for path in (MMU, HOST, SVM) if (tree / path).exists()]
    return {path: (tree / path).read_text("utf-8") for path in paths}


def diff(before, after):
    """Return the patch from some files to others, as git writes it."""
    text = ""
    for path in sorted({*before, *after}):
        old, new = before.get(path, ""), after.get(path, "")
        if old == new:
            continue
        body = difflib.unified_diff(
            old.splitlines(True), new.splitlines(True), f"a/{path}", f"b/{path}"
        )
        text += f"diff --git a/{path} b/{path}\n" + "".join(body)
    return text


def patch_of(tree, edits):
    """Return the patch that edits make of a tree."""
    files = files_of(tree)
    return diff(files, edited(files, edits))


def mail(patch, subject="[PATCH] KVM: x86/mmu: Do something", **headers):
    """Return a mail with a patch."""
    head = "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"
    head += "From: A Tester <tester@example.com>\nDate: Tue, 2 Jan 2024 03:04:05 +0000\n"
    head += f"Subject: {subject}\n"
    head += "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in headers.items())
    return f"{head}\nWords.\n---\n{patch}-- \n2.39.5\n\n"


@pytest.fixture
def run(monkeypatch, capfd):
    """Return a runner of the command line in this process."""

    def runner(*arguments, data=b""):
        raw = data if isinstance(data, bytes) else data.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        status = cli.main(["lint", *map(str, arguments)])
        out, err = capfd.readouterr()
        return status, out, err

    return runner


@pytest.fixture
def counted(monkeypatch):
    """Return a list that grows with every tree that is decided."""
    trees = []
    decide = introduced._Series._decide

    def counting(self, source, *some):
        trees.append(source)
        return decide(self, source, *some)

    monkeypatch.setattr(introduced._Series, "_decide", counting)
    return trees


def states(document):
    """Return the findings of a JSON document, as state and missing inputs."""
    return [(one["state"], missing) for one in document["findings"] for missing in one["missing"]]


def test_a_revision_in_place_of_a_patch_is_told_what_takes_one(run, checkout):
    """The first that a user of git tries."""
    status, out, err = run("HEAD", "--tree", checkout)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("patchtool: error: HEAD cannot be read: no such file; give patch files")
    assert "--range A..B" in err


# -- what a patch brings in ------------------------------------------------------------------


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_regression_is_reported_as_new_and_its_revert_as_closing(run, name):
    """Each way to open a gap is an error with a witness; taking it back closes the gap."""
    before = files_of(FIXED)
    after = edited(before, REGRESSIONS[name])
    status, out, err = run("-", "--tree", FIXED, "--format", "json", data=mail(diff(before, after)))
    assert (status, err) == (1, "")
    document = json.loads(out)
    assert {state for state, _ in states(document)} == {"new"}
    assert any(MISSING[name] in missing for _, missing in states(document))
    for one in document["findings"]:
        context = next(c for c in document["contexts"] if c["line"] == one["line"])
        assert (
            context["fields"][0]["witness"]["values"][0]
            != (context["fields"][0]["witness"]["values"][1])
        )


# The line that each regression is shown at: one that it writes, or the one in front of
# what it takes away.
CHANGED = {
    "bit dropped": "ext.cr4_la57 = ____is_efer_lma(regs) && ____is_cr4_la57(regs);",
    "bit renamed away": "ext.long_mode = tdp_enabled;",
    "input added without a bit": "if (vcpu->arch.hflags & (1 << 9))",
    "mask added before the comparison": "new_role.ext.efer_lma = 0;",
    "role computed from another source": "struct kvm_mmu_role_regs own = vcpu_to_role_regs(vcpu);",
}


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_finding_is_shown_where_the_patch_has_it(run, name):
    """Results lie on lines of the patch, and the guard is the first related location."""
    before = files_of(FIXED)
    after = edited(before, REGRESSIONS[name])
    patch = mail(diff(before, after))
    status, out, _ = run("-", "--tree", FIXED, "--format", "sarif", data=patch)
    log = json.loads(out)
    official(log)
    shown = set()
    for result in log["runs"][0]["results"]:
        at = result["locations"][0]["physicalLocation"]
        region = at["region"]
        line = after[at["artifactLocation"]["uri"]].split("\n")[region["startLine"] - 1]
        assert region["startLine"] == region["endLine"]
        assert line[region["startColumn"] - 1 : region["endColumn"] - 1] == CHANGED[name]
        shown.add((at["artifactLocation"]["uri"], region["startLine"]))
        guard = result["relatedLocations"][0]
        assert guard["message"]["text"].startswith("the guard in ")
        place = guard["physicalLocation"]
        text = after[place["artifactLocation"]["uri"]].split("\n")
        assert text[place["region"]["startLine"] - 1] + "\n" in GUARD
        assert f"[{guard['message']['text']}](1)" in result["message"]["text"]
        assert result["codeFlows"]
    assert status == 1 and len(shown) == 1
    out = run("-", "--tree", FIXED, "--format", "github", data=patch)[1]
    told = re.findall(r"file=([^,]*),line=(\d+),", out)
    assert {(file, int(line)) for file, line in told} == shown
    out = run("-", "--tree", FIXED, "--quiet", data=patch)[1]
    notes = re.findall(r"^([^:]*):(\d+):\d+: note: it comes from ", out, re.MULTILINE)
    assert {(file, int(line)) for file, line in notes} == shown
    changed = json.loads(run("-", "--tree", FIXED, "--format", "json", data=patch)[1])["findings"]
    assert {(one["changed"]["file"], one["changed"]["line"]) for one in changed} == shown


def test_what_is_not_understood_is_led_back_to_the_change(run, tmp_path):
    """The place is one that nobody touched; the line of the patch is said beside it, once."""
    before = files_of(FIXED)
    reset = "void kvm_mmu_reset_context(struct kvm_vcpu *vcpu)\n{\n"
    quiet = "\tif (vcpu->arch.hflags & 8)\n\t\treturn;\n"
    after = edited(before, [(MMU, reset, reset + quiet)])
    line = after[MMU].split("\n").index("\tif (vcpu->arch.hflags & 8)") + 1
    patch = mail(diff(before, after))
    status, out, _ = run("-", "--tree", FIXED, data=patch)
    notes = re.findall(r"^(.*): note: this is not understood since this change$", out, re.MULTILINE)
    assert status == 3 and len(notes) == 1
    assert notes[0].startswith(f"{MMU}:") and int(notes[0].split(":")[1]) in (line, line + 1)
    # What was not understood before is led back to nothing, and brought in by nobody else.
    again = edited(after, [(MMU, LEVEL, LEVEL + LEVEL)])
    out = run("-", "--tree", FIXED, data=mail(diff(before, after)) + mail(diff(after, again)))[1]
    assert out.count("since this change") == 1
    assert "(as before the change)" not in out
    tree = tmp_path / "tree"
    shutil.copytree(FIXED, tree)
    (tree / MMU).write_text(after[MMU], "utf-8")
    out = run("-", "--tree", tree, data=mail(diff(after, again)))[1]
    assert out.count("since this change") == 0
    assert re.findall(r"is called (.*)$", out, re.MULTILINE) == ["(as before the change)"]


def test_a_new_guard_is_shown_itself(run):
    """Where the guard is what the patch writes, no other line is named."""
    files = files_of(DEMO)
    before = edited(files, [(MMU, GUARD, GUARD.partition("\n\n")[2])])
    tree = mail(diff(files, before)) + mail(diff(before, files))
    status, out, _ = run("-", "--tree", DEMO, "--format", "sarif", data=tree)
    assert status == 1
    (result,) = json.loads(out)["runs"][0]["results"]
    line = result["locations"][0]["physicalLocation"]["region"]["startLine"]
    assert files[MMU].split("\n")[line - 1] + "\n" == GUARD.partition("\n")[0] + "\n"
    assert not result["relatedLocations"][0]["message"]["text"].startswith("the guard")
    status, out, _ = run("-", "--tree", DEMO, data=tree)
    assert status == 1
    assert out.count(GUARD.partition("\n")[0].strip()) == 1


def test_lines_are_those_at_the_end_of_a_series(run):
    """A later patch that moves lines moves the finding of an earlier one along."""
    first = files_of(FIXED)
    second = edited(first, REGRESSIONS["mask added before the comparison"])
    third = edited(second, [(MMU, "#include", "#define MORE 1\n\n#include")])
    assert third[MMU].count("MORE") > 0
    patches = mail(diff(first, second)) + mail(diff(second, third))
    (one,) = json.loads(run("-", "--tree", FIXED, "--format", "json", data=patches)[1])["findings"]
    lines = third[MMU].split("\n")
    assert lines[one["line"] - 1] + "\n" == GUARD.partition("\n")[0] + "\n"
    assert "efer_lma = 0" in lines[one["changed"]["line"] - 1]


def test_what_a_later_patch_of_a_series_closes_is_said_to_be(run):
    """It is wrong in between alone, and the last tree has nothing to show of its role."""
    first = files_of(FIXED)
    second = edited(first, REGRESSIONS["mask added before the comparison"])
    one, two = mail(diff(first, second), "[1/2] a"), mail(diff(second, first), "[2/2] b")
    status, out, _ = run("-", "--tree", FIXED, data=one)
    assert (status, "does not hold" in out, "closed by" in out) == (1, True, False)
    status, out, _ = run("-", "--tree", FIXED, data=one + two)
    assert status == 1
    assert "; brought in by patch 1 of 2 (a); closed by patch 2 of 2 (b) [stale-mmu-role]" in out
    assert "does not hold" not in out
    (two,) = json.loads(run("-", "--tree", FIXED, "--format", "json", data=one + two)[1])[
        "findings"
    ]
    assert (two["state"], "changed" in two) == ("new", True)


def test_a_line_that_a_later_patch_wrote_is_no_line_of_the_change(run):
    """A finding leads to a line as long as that is what its change has left."""
    first = files_of(FIXED)
    old, new = "\tnew_role.ext.efer_lma = 0;\n", "\tnew_role.ext.efer_lma &= 0;\n"
    second = edited(first, REGRESSIONS["mask added before the comparison"])
    third = edited(second, [(MMU, old, new)])
    patches = mail(diff(first, second), "[1/2] a") + mail(diff(second, third), "[2/2] b")
    for data, is_led in ((mail(diff(first, second)), True), (patches, False)):
        out = run("-", "--tree", FIXED, "--format", "json", data=data)[1]
        (one,) = json.loads(out)["findings"]
        assert ("changed" in one and one["changed"] is not None) is is_led


@pytest.mark.parametrize("fields", ["keep", "keep,root_level", "all", None])
def test_a_field_that_a_patch_adds_is_judged(run, fields):
    """The tree before it has no such member, so all of it is new."""
    keep = "\tcontext->keep = !!(vcpu->arch.hflags & (1 << 9));\n"
    stores = [
        f"\tcontext->root_level = role_regs_to_root_level({one});\n" for one in ("&regs", "regs")
    ]
    edits = [
        (HOST, "struct kvm_mmu {\n", "struct kvm_mmu {\n\tu8 keep;\n"),
        *((MMU, store, store + keep) for store in stores),
    ]
    patch = mail(patch_of(FIXED, edits))
    asked = () if fields is None else ("--fields", fields)
    status, out, err = run("-", "--tree", FIXED, *asked, "--format", "terse", data=patch)
    assert (status, err) == (1, "")
    assert "keep depends on" in out and "root_level" not in out
    status, _, err = run("-", "--tree", FIXED, "--fields", "kepe", data=patch)
    assert (status, "'kepe' is no member of kvm_mmu" in err) == (2, True)


def test_what_is_undecided_is_said_once_in_a_series(run):
    """A later patch has nothing to do with what nobody understands since an earlier one."""
    first = files_of(FIXED)
    second = edited(first, [(MMU, GUARD, GUARD.replace("new_role.as_u64 == ", "odd() == ", 1))])
    third = edited(second, [(MMU, PAE, PAE.replace("(regs)", "( regs)"))])
    patches = mail(diff(first, second), "[1/2] a") + mail(diff(second, third), "[2/2] b")
    alone = run(
        "-", "--tree", FIXED, "--format", "terse", data=mail(diff(first, second), "[1/2] a")
    )
    status, out, _ = run("-", "--tree", FIXED, "--format", "terse", data=patches)
    assert (status, alone[0], out.count("\n")) == (3, 3, alone[1].count("\n"))
    assert "(as before the change)" not in out


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_revert_closes(run, tmp_path, name):
    """A patch that closes a gap says so with -v, is silent without, and leaves status 0."""
    tree = Path(shutil.copytree(FIXED, tmp_path / "linux"))
    good = files_of(tree)
    bad = edited(good, REGRESSIONS[name])
    for path, text in bad.items():
        (tree / path).write_text(text, "utf-8")
    patch = mail(diff(bad, good))
    assert run("-", "--tree", tree, data=patch) == (0, "", "")
    status, out, err = run("-", "--tree", tree, "-v", "--format", "json", data=patch)
    assert (status, err) == (0, "")
    assert {state for state, _ in states(json.loads(out))} == {"closed"}


def test_what_is_closed_is_told_in_the_past(run, tmp_path):
    """Of a tree that is no more no line is quoted, but the one that closes the gap is."""
    files = files_of(DEMO)
    fixed = edited(files, [(MMU, GUARD, GUARD.partition("\n\n")[2])])
    tree = Path(shutil.copytree(FIXED, tmp_path / "linux"))
    lost = edited(files_of(tree), REGRESSIONS["bit dropped"])
    for path, text in lost.items():
        (tree / path).write_text(text, "utf-8")
    added = LMA.strip("\t\n")
    for where, patch, words, quoted in (
        (DEMO, diff(files, fixed), "what the change takes away below this line", "|-        if ("),
        (tree, diff(lost, files_of(FIXED)), "this change", added),
    ):
        status, out, err = run("-", "--tree", where, "-v", data=mail(patch))
        told = [part for part in out.split("\n\n") if "(closed by the change)" in part]
        assert (status, err) == (0, "") and told
        for part in told:
            head, *rest = part.split("\n")
            assert "depended on EFER.LMA, which the compared role did not determine" in head
            assert f"note: it is closed by {words}" in rest[0]
            assert any(quoted in line for line in rest)
            assert part.count(": note: ") == 2 and "the role is set here" not in part
            assert "before the change: set-up of " in part


def test_a_new_guard_is_a_new_gap(run):
    """A guard where there was none skips a set-up that was made before."""
    files = files_of(DEMO)
    bare = GUARD.partition("\n\n")[2]
    before = edited(files, [(MMU, GUARD, bare)])
    patch = mail(diff(files, before)), mail(diff(before, files))
    status, out, _ = run("-", "--tree", DEMO, "--format", "terse", data="".join(patch))
    assert (status, out.count("ERROR:STALE_MMU_ROLE")) == (1, 1)
    assert "init_kvm_tdp_mmu()" in out
    assert "brought in by patch 2 of 2" in out
    status, out, _ = run("-", "--tree", DEMO, "--format", "terse", "-v", data=patch[0])
    assert (status, out.count("(closed by the change)"), out.count("(not new)")) == (0, 1, 1)


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("tree", [FIXED, DEMO], ids=lambda tree: tree.name)
def test_a_harmless_patch_is_met_with_silence(run, tree, name):
    """Comments, names, order and other code are no news, in a sound tree or not."""
    patch = patch_of(tree, HARMLESS[name])
    assert run("-", "--tree", tree, data=mail(patch)) == (0, "", "")


CALLER = """
void kvm_post_set_cr4(struct kvm_vcpu *vcpu, unsigned long old, unsigned long new)
{
	if ((old ^ new) & 0xb0)
		kvm_mmu_reset_context(vcpu);
	if (new & 0x20)
		vcpu->arch.hflags = 0;
}
"""
ASKED = "\tif ((old ^ new) & 0xb0)\n\t\tkvm_mmu_reset_context(vcpu);\n"
CALL = "kvm_mmu_reset_context(vcpu);\n"
ONE_MORE = (
    "with this change kvm_post_set_cr4() calls kvm_mmu_reset_context() under one more condition "
)
TAKEN = "this change takes a call of kvm_mmu_reset_context() out of kvm_post_set_cr4()"
RARER = {
    "taken away": ("", TAKEN),
    "a condition more": (ASKED.replace("0xb0)", "0xb0 && old)"), f"{ONE_MORE}(old)"),
    "a condition around it": (
        f"\tif (is_smm(vcpu)) {{\n{ASKED}\t}}\n", f"{ONE_MORE}(is_smm(vcpu))"
    ),
    "in the other branch": (
        "\tif (old)\n\t\tnew = 1;\n\telse\n" + ASKED, f"{ONE_MORE}(!old)"
    ),
    "behind a return": ("\tif (!old)\n\t\treturn;\n" + ASKED, f"{ONE_MORE}(old)"),
    "behind a return that two decide": (
        "\tif (old) {\n\t\tif (new)\n\t\t\treturn;\n\t}\n" + ASKED,
        f"{ONE_MORE}(!(old&&new))",
    ),
    "behind a return in a switch": (
        "\tswitch (old) {\n\tcase 1:\n\t\treturn;\n\t}\n" + ASKED, ONE_MORE
    ),
    "behind a return that has done it": (
        "\tif (old)\n\t\treturn 0;\n" + ASKED, f"{ONE_MORE}(!old)"
    ),
    "behind a number that may be nothing": (
        "\tint r = new & 1;\n\n\tif (old)\n\t\treturn r;\n" + ASKED, f"{ONE_MORE}(!old)"
    ),
    "behind a goto to what has done it": (
        "\tint r = 0;\n\n\tif (old)\n\t\tgoto out;\n" + ASKED + "out:\n\treturn r;\n",
        f"{ONE_MORE}(!old)",
    ),
    "behind a goto": (ASKED.replace("\tif", "\tif (old)\n\t\tgoto out;\n\tif", 1) + "out:\n",
                      f"{ONE_MORE}(!old)"),
    "in a loop": (f"\twhile (old--)\n{ASKED}", f"{ONE_MORE}(while (old--))"),
    "in a case": (
        "\tswitch (old) {\n\tcase 1:\n" + ASKED + "\t}\n",
        "under more conditions (case 1; switch (old))",
    ),
    "behind &&": (
        "\told && ((old ^ new) & 0xb0) && (kvm_mmu_reset_context(vcpu), 1);\n",
        f"{ONE_MORE}(old)",
    ),
    "moved, and bound": (
        "\tpost(vcpu);\n}\n\nstatic void post(struct kvm_vcpu *vcpu, int new)\n{\n"
        "\tif (is_smm(vcpu))\n\t\tkvm_mmu_reset_context(vcpu);\n", TAKEN,
    ),
}  # fmt: skip
AS_OFTEN = {
    "always": "\tkvm_mmu_reset_context(vcpu);\n",
    "once more": ASKED + ASKED,
    "braces": f"\tif ((old ^ new) & 0xb0) {{\n\t\t{CALL}\t}}\n",
    "turned round": f"\tif (!((old ^ new) & 0xb0))\n\t\tgoto out;\n\t{CALL}out:\n",
    "a loop in front of it": "\twhile (old)\n\t\tif (--old == 1)\n\t\t\tbreak;\n" + ASKED,
    "a condition fewer": "\tif (old)\n\t\tnew = 2;\n" + ASKED,
    "behind a refusal": "\tif (!vcpu)\n\t\treturn -22;\n" + ASKED,
    "behind a refusal by name": "\tint r = -22;\n\n\tif (!vcpu)\n\t\treturn r;\n" + ASKED,
    "behind an answer that refuses": "\tint r = new & 1;\n\n\tif (r)\n\t\treturn r;\n" + ASKED,
    "behind a goto that refuses": "\tint r = -22;\n\n\tif (!vcpu)\n\t\tgoto out;\n"
    + ASKED
    + "\treturn 0;\nout:\n\treturn r;\n",
    "a function of its own": "\tpost(vcpu, old, new);\n}\n\n"
    "static void post(struct kvm_vcpu *vcpu, unsigned long old, unsigned long new)\n{\n" + ASKED,
}


def caller(tmp_path, body):
    """Return a tree whose CR4 handler has some body, and the patch that gives it that."""
    tree = tmp_path / "tree"
    shutil.copytree(FIXED, tree)
    before = (tree / SVM).read_text("utf-8") + CALLER
    (tree / SVM).write_text(before, "utf-8")
    return tree, diff({SVM: before}, {SVM: before.replace(ASKED, body)})


@pytest.mark.parametrize("name", RARER)
def test_a_set_up_that_is_asked_for_less_often_is_remarked_on(run, tmp_path, name):
    """No verdict rests on that, and every proof takes it on trust: people are to look."""
    body, words = RARER[name]
    tree, patch = caller(tmp_path, body)
    status, out, _ = run("-", "--tree", tree, "--format", "terse", data=mail(patch))
    assert (status, out.count("\n"), out.count("WARNING:SET_UP_CALL: ")) == (0, 1, 1), out
    assert words in out and out.endswith("is taken on trust\n")
    line = int(out.split(":")[1])
    touched = set(changed_lines(patch))
    assert line in touched, (line, touched)


def changed_lines(patch):
    """Yield the lines that a patch writes, and those around what it takes away."""
    (file,) = parse(patch.encode(), "patch")
    for hunk in file.hunks:
        at = hunk.new_start
        for tag, _ in hunk.lines:
            if tag != " ":
                yield from (at - 1, at)
            at += tag != "-"


@pytest.mark.parametrize("name", AS_OFTEN)
def test_a_set_up_that_is_asked_for_as_often_is_no_matter(run, tmp_path, name):
    """A call that was moved or freed of conditions is met with silence."""
    tree, patch = caller(tmp_path, AS_OFTEN[name])
    assert run("-", "--tree", tree, data=mail(patch)) == (0, "", "")


@pytest.mark.parametrize(("jumps", "calls"), [(2000, 1), (1, 2000), (150, 150), (1500, 1500)])
def test_a_function_of_very_many_calls_is_compared_as_a_whole(jumps, calls, monkeypatch):
    """The work does not grow with jumps times calls; what is not followed is not passed over."""
    steps = []
    follow = made_rarer._not_jumped
    monkeypatch.setattr(made_rarer, "_not_jumped", lambda *given: steps.append(1) or follow(*given))
    leave = "".join(f"\tif (a{number})\n\t\treturn;\n" for number in range(jumps))
    texts = [
        f"void f(struct kvm_vcpu *v)\n{{\n{leave}{more}{CALL.replace('vcpu', 'v') * calls}}}\n"
        for more in ("", "\tif (b)\n\t\treturn;\n")
    ]
    old, new = (Index(WorkTree(DEMO), KVM) for _ in texts)
    for index, text in zip((old, new), texts, strict=True):
        index._raw["arch/x86/kvm/more.c"] = text.encode()
    names = frozenset({"kvm_mmu_reset_context"})
    assert made_rarer.asked_less(old, new, ["arch/x86/kvm/more.c"], names)
    assert len(steps) <= 2 * made_rarer._MOST + 2 * calls


def test_one_of_two_calls_is_one_less(run, tmp_path):
    """What stands between two calls may be what the second is for."""
    tree, _ = caller(tmp_path, ASKED)
    after = (tree / SVM).read_text("utf-8")
    before = after.replace(ASKED, ASKED + "\tvcpu->arch.hflags = old;\n" + ASKED)
    (tree / SVM).write_text(before, "utf-8")
    patch = diff({SVM: before}, {SVM: after.replace(ASKED, ASKED + "\tvcpu->arch.hflags = old;\n")})
    status, out, _ = run("-", "--tree", tree, "--format", "terse", data=mail(patch))
    assert (status, out.count("\n"), TAKEN in out) == (0, 1, True)


def test_a_remark_on_a_call_names_its_patch(run, tmp_path):
    """In a series each is brought in by a patch, and one that changes nothing else counts."""
    tree, first = caller(tmp_path, "\tvcpu->arch.hflags = 1;\n" + ASKED)
    before = (tree / SVM).read_text("utf-8")
    between = before.replace(ASKED, "\tvcpu->arch.hflags = 1;\n" + ASKED)
    second = diff({SVM: between}, {SVM: between.replace(ASKED, "")})
    mails = mail(first, "[PATCH 1/2] a") + mail(second, "[PATCH 2/2] b")
    status, out, _ = run("-", "--tree", tree, "--format", "json", data=mails)
    document = json.loads(out)
    assert (status, document["verdict"]) == (0, "covered")
    (one,) = document["remarks"]
    assert one["text"].startswith(TAKEN)
    assert one["text"].endswith("; brought in by patch 2 of 2 (b)")


def test_a_gap_that_was_not_decided_before_is_nobodys_yet(run, tmp_path):
    """What makes a tree readable is not to blame for what is read then, nor is it silent."""
    tree = tmp_path / "tree"
    shutil.copytree(DEMO, tree)
    after = (tree / MMU).read_text("utf-8")
    odd = "\tif (new_role.as_u64 == context->mmu_role.as_u64)\n\t\treturn;\n"
    before = after.replace(odd, "\tif (roles_match(context, &new_role))\n\t\treturn;\n", 1)
    assert before != after
    (tree / MMU).write_text(before, "utf-8")
    patch = mail(diff({MMU: before}, {MMU: after}))
    status, out, _ = run("-", "--tree", tree, "--format", "terse", data=patch)
    assert (status, out.count("ERROR:"), out.count("WARNING:UNDECIDED: ")) == (
        3,
        0,
        out.count("\n"),
    )
    assert "; whether that is new is not known, as it was not decided before\n" in out
    status, out, _ = run("-", "--tree", tree, "--format", "terse", "-v", data=patch)
    assert (status, "(not new)" in out) == (3, True)


def test_what_was_there_is_told_on_request_only(run):
    """A gap that the tree has already is no news; -v names it as not new."""
    patch = mail(patch_of(DEMO, HARMLESS["a static function renamed"]))
    status, out, _ = run("-", "--tree", DEMO, "-v", "--format", "terse", data=patch)
    assert status == 0
    assert out.count("CHECK:STALE_MMU_ROLE") == out.count("(not new)") == 2
    assert "ERROR" not in out


def test_a_new_gap_beside_an_old_one_under_a_new_name(run):
    """Only the ways in question are decided before the change; none is mistaken for new."""
    edits = HARMLESS["a static function renamed"] + REGRESSIONS["role computed from another source"]
    patch = mail(patch_of(DEMO, edits))
    status, out, _ = run("-", "--tree", DEMO, "--format", "terse", data=patch)
    assert (status, out.count("ERROR:")) == (1, 1)
    assert "shadow_mmu_init_context(): root_level depends on CR4.LA57, CR4.PAE and" in out
    status, out, _ = run("-", "--tree", DEMO, "--format", "terse", "-v", data=patch)
    assert (status, out.count("ERROR:"), out.count("(not new)")) == (1, 1, 1)
    assert "init_kvm_direct_mmu(): root_level depends on EFER.LMA" in out


def test_an_old_gap_on_a_new_way(run):
    """A gap that a patch leads to by way of a new function was there before."""
    tdp = "\t\tinit_kvm_tdp_mmu(vcpu);\n"
    head = "void kvm_init_mmu(struct kvm_vcpu *vcpu)\n"
    between = (
        "static void kvm_set_up_mmu(struct kvm_vcpu *vcpu)\n{\n\tinit_kvm_tdp_mmu(vcpu);\n}\n\n"
    )
    edits = [(MMU, tdp, "\t\tkvm_set_up_mmu(vcpu);\n"), (MMU, head, between + head)]
    status, out, _ = run("-", "--tree", DEMO, data=mail(patch_of(DEMO, edits)))
    assert (status, "error:" in out) == (0, False)


def test_an_old_gap_at_another_entry(run):
    """Where another entry sets the context up as well, the gap is old, and the rest undecided."""
    tdp = "\telse if (tdp_enabled)\n\t\tinit_kvm_tdp_mmu(vcpu);\n\telse\n"
    head, call = "void kvm_init_mmu(struct kvm_vcpu *vcpu)\n", "\tkvm_init_mmu(vcpu);\n"
    apart = "void kvm_set_up_mmu(struct kvm_vcpu *vcpu)\n{\n\tinit_kvm_tdp_mmu(vcpu);\n}\n\n"
    edits = [(MMU, tdp, "\telse\n"), (MMU, head, apart + head)]
    edits += [(MMU, call, call + "\tkvm_set_up_mmu(vcpu);\n")]
    status, out, _ = run("-", "--tree", DEMO, data=mail(patch_of(DEMO, edits)))
    assert (status, "error:" in out) == (3, False)
    assert "root_mmu is set up by kvm_set_up_mmu() as well, another entry" in " ".join(out.split())


MASKS = miniatures.folder("vcpu-masks-gap")
PKE = "\text.cr4_pke = !!kvm_read_cr4_bits(vcpu, X86_CR4_PKE);\n"
WEAKER = {
    "dropped": (PKE, ""),
    "joined with another bit": (PKE, PKE.replace("_PKE)", "_PKE | X86_CR4_SMAP)")),
    "masked": (PKE, PKE + "\text.cr4_pke &= ext.cr4_la57;\n"),
}


@pytest.mark.parametrize("name", WEAKER)
def test_an_older_finding_of_the_field_hides_no_new_one(run, name):
    """What makes a field stale counts: it had findings before, of this kind and of another."""
    patch = mail(patch_of(MASKS, [(MMU, *WEAKER[name])]))
    options = ("-", "--tree", MASKS, "--fields", "pkru_mask", "--format", "json")
    status, out, err = run(*options, "--verbose", data=patch)
    assert (status, err) == (1, "")
    told = {one["kind"]: one for one in json.loads(out)["findings"]}
    assert told.keys() == {"stale", "accumulates"}
    assert (told["stale"]["state"], told["accumulates"]["state"]) == ("new", "existing")
    assert {"CR4.PKE", "EFER.LMA"} <= set(told["stale"]["missing"])
    assert told["stale"]["message"].endswith("(new: CR4.PKE)")
    assert told["stale"]["changed"]["function"] == "kvm_calc_mmu_role_ext"


def test_every_field_is_judged_where_none_is_named(run):
    """A bit that another field needs is no less missed than one of a level."""
    patch = mail(patch_of(MASKS, [(MMU, *WEAKER["dropped"])]))
    status, out, err = run("-", "--tree", MASKS, "--format", "json", data=patch)
    assert (status, err) == (1, "")
    fields = {one["field"] for one in json.loads(out)["findings"] if one["state"] == "new"}
    assert "pkru_mask" in fields
    levels = ("--fields", "root_level,shadow_root_level")
    assert run("-", "--tree", MASKS, *levels, data=patch) == (0, "", "")


@pytest.mark.parametrize(
    "edit",
    [
        (PKE, "\t/* pkru_mask */\n" + PKE.replace("!!", "0 != ")),
        ("\t\tmmu->pkru_mask |= ", "\t\tmmu->pkru_mask ^= 0;\n\t\tmmu->pkru_mask |= "),
    ],
)
def test_older_findings_alone_are_met_with_silence(run, edit):
    """A field that goes on being stale, and keeping old bits, as it did is nothing new."""
    patch = mail(patch_of(MASKS, [(MMU, *edit)]))
    assert run("-", "--tree", MASKS, data=patch) == (0, "", "")


def test_each_kind_of_finding_is_closed_by_itself(run):
    """To clear the mask first closes one of the two findings of the field."""
    clear = ("\twp = kvm_read", "\tmmu->pkru_mask = 0;\n\twp = kvm_read")
    options = ("-", "--tree", MASKS, "--fields", "pkru_mask", "--format", "json", "--verbose")
    status, out, _ = run(*options, data=mail(patch_of(MASKS, [(MMU, *clear)])))
    states = {one["kind"]: one["state"] for one in json.loads(out)["findings"]}
    assert (status, states) == (0, {"stale": "existing", "accumulates": "closed"})


def test_undecided_is_never_clean(run):
    """A change that cannot be followed is status 3, and a warning for b4."""
    odd = "\tif (new_role.as_u64 == context->mmu_role.as_u64)\n\t\treturn;\n"
    puzzle = "\tif (roles_match(context, &new_role))\n\t\treturn;\n"
    files = files_of(FIXED)
    patch = mail(diff(files, {**files, MMU: files[MMU].replace(odd, puzzle, 1)}))
    status, out, err = run("-", "--tree", FIXED, "--format", "b4-json", data=patch)
    assert (status, err) == (3, "")
    assert {row["status"] for row in json.loads(out)} == {"warn"}


# -- what it costs ---------------------------------------------------------------------------


def test_a_patch_of_something_else_starts_nothing():
    """Neither solver nor git nor parser is imported for a patch that cannot matter."""
    patch = "diff --git a/net/core/dev.c b/net/core/dev.c\n--- a/net/core/dev.c\n"
    patch += "+++ b/net/core/dev.c\n@@ -1 +1 @@\n-a\n+b\n"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "patchtool", "lint", "-"],
        input=mail(patch).encode(),
        env={**os.environ, "PYTHONPATH": str(HOUSE)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"")
    modules = {line.rpartition(b"|")[2].strip() for line in done.stderr.splitlines()}
    ours = {name for name in modules if name.startswith(b"patchtool.")}
    assert ours.isdisjoint({b"patchtool.target.kvm", b"patchtool.rules", b"patchtool.model"})
    loaded = {name.split(b".")[0] for name in modules}
    assert loaded.isdisjoint(
        {
            b"z3",
            b"git",
            b"tree_sitter",
            b"unidiff",
            b"subprocess",
            b"email",
            b"dataclasses",
            b"shutil",
        }
    )


def test_a_patch_beside_the_point_costs_no_second_decision(run, counted):
    """In a tree with gaps, too, what the verdict does not rest on is told from the text."""
    patch = mail(patch_of(DEMO, HARMLESS["a function more"]))
    assert run("-", "--tree", DEMO, data=patch) == (0, "", "")
    assert len(counted) == 1


def test_a_change_of_comments_costs_no_decision(run, counted):
    """Nothing rests on those, but for what they accept."""
    patch = mail(patch_of(DEMO, HARMLESS["a comment"]))
    assert run("-", "--tree", DEMO, data=patch) == (0, "", "")
    assert counted == []


def series(tree, names, total):
    """Return an mbox of patches, one on top of the other; names maps number to edits."""
    files = {**files_of(tree), "README": "0\n"}
    mails = [mail("", f"[PATCH 00/{total}] A series")]
    for number in range(1, total + 1):
        after = dict(files)
        if number in names:
            after = edited(files, names[number])
        elif number % 2 and names:
            # Another function of a file that matters.
            more = f"static int more{number}(void)\n{{\n\treturn 1;\n}}\n"
            after[SVM] = after[SVM].replace("\nvoid enter_svm", f"\n{more}\nvoid enter_svm")
        after["README"] = f"{number}\n"
        mails.append(mail(diff(files, after), f"[PATCH {number:02}/{total}] Patch {number}"))
        files = after
    return "".join(mails)


CHOSEN = '#ifdef CONFIG_X86_32\n#include "none.h"\n#else\n#include "whole.h"\n#endif\n\n'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CONFIG_X86_32", "CONFIG_KVM_XEN"),
        ("#ifdef", "#ifndef"),
        ('#endif\n', '#endif\n#include "anew.h"\n'),
        ('#include "whole.h"\n', '#include "whole.h"\n#include "anew.h"\n'),
    ],
)  # fmt: skip
def test_what_is_taken_in_under_an_option_counts(run, tmp_path, old, new):
    """A later patch that changes nothing but the lines around it is decided for itself."""
    tree, folder = tmp_path / "tree", MMU.rpartition("/")[0]
    shutil.copytree(FIXED, tree)
    text = (tree / MMU).read_text("utf-8").replace("____is_efer_lma(regs);", "role_lma(regs);", 1)
    first = text.replace(
        "static union kvm_mmu_extended_role", CHOSEN + "static union kvm_mmu_extended_role", 1
    )
    assert first.count("role_lma") == 1 and CHOSEN in first
    (tree / MMU).write_text(first, "utf-8")
    (tree / folder / "none.h").write_text("#define role_lma(regs) false\n", "utf-8")
    (tree / folder / "whole.h").write_text(
        "#define role_lma(regs) ____is_efer_lma(regs)\n", "utf-8"
    )
    anew = "#undef role_lma\n#define role_lma(regs) false\n"
    (tree / folder / "anew.h").write_text(anew, "utf-8")
    second = first.replace(*HARMLESS["another function"][0][1:])
    third = second.replace(old, new, 1)
    assert first != second != third
    patches = mail(diff({MMU: first}, {MMU: second})) + mail(diff({MMU: second}, {MMU: third}))
    status, out, _ = run("-", "--tree", tree, "--format", "terse", data=patches)
    assert status == (3 if "anew" in new else 1), out


def test_a_series_is_decided_where_it_matters(run, counted):
    """Of 30 patches three matter: four decisions, and the finding names the one at fault."""
    names = {
        5: [(MMU, "ext.valid = 1", "ext.valid = true")],
        12: REGRESSIONS["bit dropped"],
        20: [(MMU, "ext.valid = true", "ext.valid = 1")],
    }
    status, out, err = run("-", "--tree", FIXED, "--format", "terse", data=series(FIXED, names, 30))
    assert (status, err) == (1, "")
    assert len(counted) <= 4
    assert all("brought in by patch 12 of 30 (Patch 12)" in line for line in out.splitlines())
    assert len(out.splitlines()) == 2


def test_a_hundred_mails_are_read(run, counted):
    """An mbox of a hundred patches beside the point needs no decision at all."""
    assert run("-", "--tree", FIXED, data=series(FIXED, {}, 100)) == (0, "", "")
    assert not counted


# -- mail ------------------------------------------------------------------------------------


def encodings():
    """Yield one patch as different mailers would send it."""
    patch = patch_of(FIXED, REGRESSIONS["bit dropped"])
    plain = mail(patch).encode()
    head, _, body = plain.partition(b"\n\n")
    form = b"\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8"
    coded = form + b"\nContent-Transfer-Encoding: "
    yield "plain", plain
    yield "bare diff", patch.encode()
    yield "crlf", plain.replace(b"\n", b"\r\n")
    yield "base64", head + coded + b"base64\n\n" + base64.encodebytes(body)
    crlf = base64.encodebytes(body.replace(b"\n", b"\r\n"))
    yield "base64 with crlf", (head + coded + b"base64\n\n" + crlf).replace(b"\n", b"\r\n")
    yield "quoted-printable", head + coded + b"quoted-printable\n\n" + quopri.encodestring(body)
    stuffed = b"\n".join(
        b" " + line if line.startswith((b" ", b">", b"From ")) else line
        for line in body.split(b"\n")
    ).replace(b"Words.", b"Words \nthat flow.")
    yield "flowed", head + form + b"; format=flowed\n\n" + stuffed
    parts = (
        b'\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="xx"\n\n--xx\n'
        b"Content-Type: text/plain\n\nSee the patch.\n--xx\nContent-Type: text/x-patch\n"
        b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(patch.encode()) + b"--xx--\n"
    )
    yield "attached", head + parts


@pytest.mark.parametrize(("form", "data"), list(encodings()), ids=[f for f, _ in encodings()])
def test_every_form_of_mail_is_read(form, data):
    """Whatever a transport does to a patch, the same diff comes out."""
    (expected,) = parse(patch_of(FIXED, REGRESSIONS["bit dropped"]).encode(), "mail")
    (found,) = parse(data, "mail")
    assert [hunk._replace(at="") for hunk in found.hunks] == [
        hunk._replace(at="") for hunk in expected.hunks
    ]
    assert (found.old, found.new) == (expected.old, expected.new) == (MMU, MMU)


def test_subjects_lose_their_tags():
    """A subject is named without what mailers put in front of it, encoded or not."""
    patch = patch_of(FIXED, REGRESSIONS["bit dropped"])
    for subject in ("Re: [PATCH v2 3/5] KVM: x86: =?utf-8?q?Caf=C3=A9?=", "KVM: x86: Café"):
        post = read(mail(patch, subject).encode(), "x")
        assert [letter.subject for letter in post.letters] == ["KVM: x86: Café"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (mail("").encode(), "holds no patch"),
        (b"Only words.\n", "holds no patch"),
        (patch_of(FIXED, [(MMU, LMA, "")]).replace("ext.", "xxx.").encode(), "hunk 1 of"),
        (patch_of(FIXED, [(MMU, LMA, "")]).replace("/mmu.c", "/other.c").encode(), "not exist"),
        (b"--- a/../../x.c\n+++ b/../../x.c\n@@ -1 +1 @@\n-a\n+b\n", "leads out of the tree"),
        (
            b"diff --git a/arch/x86/kvm/x.bin b/arch/x86/kvm/x.bin\nindex 1..2\n"
            b"Binary files a/arch/x86/kvm/x.bin and b/arch/x86/kvm/x.bin differ\n",
            "is binary",
        ),
    ],
)
def test_bad_input_is_one_sentence(run, data, words):
    """What cannot be linted is status 2 and one sentence that says what is wrong."""
    status, out, err = run("-", "--tree", FIXED, data=data)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert err.startswith("patchtool: error: ")


@pytest.mark.parametrize(
    "data",
    [
        mail("", "[PATCH 0/3] A cover letter").encode(),
        f"diff --git a/{MMU} b/{MMU}\nold mode 100644\nnew mode 100755\n".encode(),
        b"diff --git a/net/a.c b/net/b.c\nsimilarity index 100%\n"
        b"rename from net/a.c\nrename to net/b.c\n",
        b"diff --git a/logo.png b/logo.png\nindex 1..2\n"
        b"Binary files a/logo.png and b/logo.png differ\n",
    ],
)
def test_what_changes_nothing_is_clean(run, data):
    """Cover letters, modes, renames and pictures elsewhere bring in nothing."""
    assert run("-", "--tree", FIXED, data=data) == (0, "", "")


def test_a_file_that_is_renamed_takes_its_code_along(run):
    """A rename of the file that holds the guards does not look like the end of all gaps."""
    to = "arch/x86/kvm/mmu/core.c"
    data = f"diff --git a/{MMU} b/{to}\nsimilarity index 100%\nrename from {MMU}\nrename to {to}\n"
    status, out, err = run("-", "--tree", DEMO, "--format", "terse", data=data)
    assert (status, "ERROR" in out, err) == (0, False, "")


def test_a_request_that_makes_no_sense(run):
    """Exactly one of patches, a range and the index can be linted."""
    for arguments in ([], ["-", "--staged"], ["--range", "A"], ["no-such.patch"], ["-", "-"]):
        status, out, err = run(*arguments, "--tree", FIXED)
        assert (status, out, err.count("\n")) == (2, "", 1)
    _, _, err = run("--tree", FIXED)
    ways = ("patches", "--range A..B", "--staged", "--push REMOTE", "--suppressions", "--help")
    assert all(one in err for one in ways)


@pytest.mark.parametrize("words", [["-"], ["--push", "origin"]])
def test_a_closed_standard_input(checkout, words):
    """Some start a program without one."""
    command = [sys.executable, "-m", "patchtool", "lint", *words, "--tree", checkout]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *map(str, command)],
        capture_output=True, env={**os.environ, "PYTHONPATH": str(HOUSE)}, text=True, check=False,
    )  # fmt: skip
    wanted = "patchtool: error: standard input is closed; give a patch file\n"
    assert (done.returncode, done.stderr) == (2, wanted)


def test_no_repository_and_no_tree(run, tmp_path):
    """Outside of a repository, or of a kernel, there is one sentence that fits the request."""
    plain = Path(shutil.copytree(FIXED, tmp_path / "plain"))
    for arguments in (["--staged"], ["--range", "A..B"]):
        status, out, err = run(*arguments, "--tree", plain)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert "not in a git repository" in err
        assert "--rev" not in err
    patch = mail(patch_of(FIXED, REGRESSIONS["bit dropped"]))
    status, out, err = run("-", "--tree", tmp_path / "nowhere", data=patch)
    assert (status, out, "does not exist" in err, err.count("\n")) == (2, "", True, 1)


# -- repositories ----------------------------------------------------------------------------


def change(tree, edits):
    """Change files of a tree."""
    files = files_of(tree)
    for path, text in edited(files, edits).items():
        (tree / path).write_text(text, "utf-8")


def test_commits_of_a_range(run, checkout, counted):
    """A range is taken commit by commit, and the finding names the commit."""
    (checkout / "README").write_text("1", "utf-8")
    commit(checkout, "Not about KVM")
    change(checkout, REGRESSIONS["bit dropped"])
    bad = commit(checkout, "KVM: x86: Drop a bit")
    change(checkout, [(MMU, "ext.valid = 1", "ext.valid = true")])
    commit(checkout, "KVM: x86: Harmless")
    status, out, err = run("--range", "HEAD~3..", "--tree", checkout, "--format", "terse")
    assert (status, err, len(out.splitlines())) == (1, "", 2)
    assert f"brought in by {bad[:12]} (KVM: x86: Drop a bit)" in out
    assert len(counted) <= 3
    assert run("--range", "HEAD~1..HEAD", "--tree", checkout) == (0, "", "")
    assert run("--range", "HEAD~3..HEAD~2", "--tree", checkout) == (0, "", "")
    assert len(counted) <= 5


def test_the_index_is_what_counts(run, checkout):
    """--staged reads what is added, not what lies in the work tree."""
    change(checkout, REGRESSIONS["bit dropped"])
    assert run("--staged", "--tree", checkout) == (0, "", "")
    git(checkout, "add", ".")
    shutil.copy(FIXED / MMU, checkout / MMU)
    status, out, _ = run("--staged", "--tree", checkout, "--format", "terse")
    assert (status, out.count("ERROR:")) == (1, 2)


@pytest.mark.parametrize("form", ["text", "terse", "json"])
def test_a_report_on_nothing_is_written_where_one_is_asked_for(run, tmp_path, form):
    """Whoever names a file finds one, whatever the change touches."""
    elsewhere = difference("net/core/dev.c", b"a\n", b"b\n")
    for name, patch in (
        ("harmless", patch_of(FIXED, HARMLESS["a comment"])),
        ("elsewhere", elsewhere),
    ):
        target = tmp_path / name
        words = ("-", "--tree", FIXED, "--format", form, "-o", target)
        assert run(*words, data=patch) == (0, "", "")
        assert target.exists() and bool(target.read_bytes()) is (form == "json")


def test_what_the_index_takes_away_is_not_passed_over(run, checkout):
    """A commit that takes away what makes a kernel of the tree is not silent."""
    git(checkout, "rm", "--quiet", HOST)
    status, out, err = run("--staged", "--tree", checkout)
    assert (status, out) == (2, "") and HOST in err


def test_patches_that_the_tree_has_already_are_taken_back(run, checkout):
    """What is about to be sent is mostly committed: the tree is the result then."""
    patch = mail(patch_of(FIXED, REGRESSIONS["bit dropped"]))
    change(checkout, REGRESSIONS["bit dropped"])
    commit(checkout, "bad")
    assert run("-", "--tree", checkout, data=patch)[0] == 1
    plain = Path(shutil.copytree(checkout, checkout.parent / "plain"))
    shutil.rmtree(plain / ".git")
    assert run("-", "--tree", plain, data=patch)[0] == 1
    # A later commit touches the same lines, so the patch neither fits nor can be taken back.
    around = "ext.cr4_la57 = ____is_efer_lma(regs)"
    change(checkout, [(MMU, around, "ext.cr4_la57 = !!____is_efer_lma(regs)")])
    commit(checkout, "later")
    assert run("-", "--tree", checkout, data=patch)[0] == 1


@pytest.mark.parametrize("form", ["sarif", "github", "json", "patchwork", "b4-json", "text"])
def test_every_form_tells_the_finding(run, form):
    """All forms name the gap, and an empty answer is well-formed too."""
    patch = mail(patch_of(FIXED, REGRESSIONS["bit dropped"]))
    status, out, err = run("-", "--tree", FIXED, "--format", form, data=patch)
    assert (status, "EFER.LMA" in out, err) == (1, True, "")
    status, out, err = run(
        "-", "--tree", FIXED, "--format", form, data=mail("", "[PATCH 0/1] Nothing")
    )
    assert (status, err) == (0, "")
    if form in ("sarif", "json", "patchwork", "b4-json"):
        json.loads(out)
    else:
        assert out == ""


def test_what_can_matter():
    """Paths are told apart by where they lie; no name of a folder below KVM hides a file."""
    inside = "arch/x86/kvm/tools/arch/x.c", "arch/x86/kvm/Documentation/virt/x.c"
    built = "Makefile", "arch/x86/Makefile", "arch/x86/Kbuild", "scripts/Makefile.lib"
    headers = "include/linux/kvm_host.h", "include/uapi/linux/const.h"
    for path in (MMU, HOST, *headers, *inside, *built, *KVM.makefiles):
        assert relevant(path)
    pages = "tools/objtool/arch/x86/include/asm/inat.h", "Documentation/virt/kvm/x86/mmu.rst"
    assert not any(map(relevant, ("net/Makefile", "arch/arm64/Makefile", "tools/Makefile")))
    for path in ("net/core/dev.c", "arch/x86/mm/init.c", "include/linux/dev.h", "README", *pages):
        assert not relevant(path)


EXTRA = "include/linux/extra.h"
STORE = "static inline void more(struct kvm_vcpu *vcpu)\n{\n\tvcpu->arch.mmu->root_level = 1;\n}\n"


@pytest.mark.parametrize("included", [True, False])
def test_headers_of_others_count_where_kvm_includes_them(run, checkout, included):
    """A header beside KVM is judged by every door as a check does, and by none elsewhere."""
    if included:
        text = (checkout / MMU).read_text("utf-8")
        (checkout / MMU).write_text(f"#include <linux/extra.h>\n{text}", "utf-8")
    (checkout / EXTRA).write_text("/* x */\n", "utf-8")
    commit(checkout, "before")
    patch = difference(EXTRA, b"/* x */\n", STORE.encode())
    right = 3 if included else 0
    assert run("-", "--tree", checkout, data=patch)[0] == right
    (checkout / EXTRA).write_text(STORE, "utf-8")
    assert status_of(checkout) == right
    git(checkout, "add", ".")
    assert run("--staged", "--tree", checkout)[0] == right
    commit(checkout, "after")
    assert run("--range", "HEAD~1..", "--tree", checkout)[0] == right


def test_a_patch_may_bring_the_include_along(run, checkout):
    """A new header and the line that includes it, in two mails; a file of every KVM."""
    text = (FIXED / MMU).read_bytes()
    first = difference(MMU, text, b"#include <linux/extra.h>\n" + text)
    second = difference(EXTRA, None, STORE.encode())
    assert run("-", "--tree", FIXED, data=mail(first) + mail(second))[0] == 3
    assert run("-", "--tree", FIXED, data=mail(second) + mail(first))[0] == 3
    assert run("-", "--tree", FIXED, data=mail(second))[0] == 0
    other = difference("net/core/dev.c", None, b'#include <linux/extra.h>\n#include "dev.h"\n')
    local = difference("net/core/dev.h", b"a\n", b"b\n")
    assert run("-", "--tree", FIXED, data=mail(other) + mail(second) + mail(local))[0] == 0
    generic = difference("virt/kvm/more.c", None, STORE.replace(" inline", "").encode())
    assert run("-", "--tree", FIXED, data=mail(generic))[0] == 3
    for path, data in ((EXTRA, STORE.encode()), (MMU, b"#include <linux/extra.h>\n" + text)):
        (checkout / path).write_bytes(data)
        git(checkout, "add", path)
    assert run("--staged", "--tree", checkout)[0] == 3


def status_of(tree):
    """Return the exit status of a check of a tree."""
    return cli.main(["check", str(tree), "-q"])


def unjudged(tree):
    """Return the files that a check of a tree reads and a lint would pass over.

    Of some it only asks whether they are there, to tell where an include leads.
    """
    source = WorkTree(str(tree))
    index = Index(source, KVM)
    rule.check(index)
    included = Included(lambda: source)
    opened = {*index._texts, *index._words, *Mentions(index, Types(index), {}).files}
    return sorted(path for path in opened if not (relevant(path) or included(path)))


@pytest.mark.parametrize(
    "name", ["demo", "pagewalk-fixed", "cpuid-invalidated-fixed", "cpu-role-fixed"]
)
def test_a_lint_judges_what_a_check_reads(name):
    """No file is read by a check that a lint takes for one that cannot matter."""
    assert unjudged(miniatures.folder(name)) == []


@pytest.mark.kernel
def test_a_lint_judges_what_a_check_of_a_real_kernel_reads(kernels):
    """So in real kernels, with their hundreds of headers."""
    for tree in kernels:
        assert unjudged(tree) == []


# -- real kernels ----------------------------------------------------------------------------


def harmless(text):
    """Yield harmless versions of a real mmu.c, each on top of the one before."""
    guarded = re.search(r"\n(?:static )?void init_kvm_tdp_mmu\(.*?\n}\n", text, re.DOTALL)
    body = guarded.group()
    text = text.replace(body, re.sub(r"\bcontext\b", "here", body))
    yield "a local renamed", text
    first = re.search(r"\n\t+(?:role\.)?ext\.cr4_smep = [^\n]*;(?=\n)", text)
    second = re.search(r"\n\t+(?:role\.)?ext\.cr4_smap = [^\n]*;(?=\n)", text)
    if first is not None and second is not None and first.end() == second.start():
        pair = first.group() + second.group()
        text = text.replace(pair, second.group() + first.group())
        yield "two lines in another order", text
    text = re.sub(r"(\n(\t+)context->root_level = )", r"\n\2/* A word on the level. */\1", text)
    yield "comments", text
    at = text.index("\n}\n", text.index("kvm_mmu_free_roots(struct ")) + 3
    text = text[:at] + "\nstatic int one_more(int a)\n{\n\treturn a + 1;\n}\n" + text[at:]
    yield "a function more", text
    text = text.replace("init_kvm_tdp_mmu", "init_kvm_direct_mmu")
    yield "a function renamed", text


@pytest.mark.kernel
def test_harmless_patches_of_real_kernels(run, kernels):
    """Names, order, comments and other code are met with silence on real trees too."""
    for tree in kernels:
        before = {MMU: (tree / MMU).read_text("utf-8")}
        svm = (tree / SVM).read_text("utf-8")
        mails = []
        for name, text in harmless(before[MMU]):
            mails.append(mail(diff(before, {MMU: text}), name))
            before = {MMU: text}
        other = svm.replace("return 0;", "return 0 + 0;", 1)
        mails.append(mail(diff({SVM: svm}, {SVM: other}), "another file"))
        assert len(mails) >= 5
        found = run("-", "--tree", tree, "--format", "terse", data="".join(mails))
        assert found == (0, "", ""), tree


@pytest.mark.kernel
def test_a_weaker_key_in_a_real_kernel(run, kernels):
    """A role with fewer bits, or a comparison of less of it, is a new gap in a real tree."""
    for tree in kernels:
        files = {MMU: (tree / MMU).read_text("utf-8")}
        weaker = files[MMU].replace(
            "cpu_role.as_u64 == context->cpu_role.as_u64",
            "cpu_role.ext.word == context->cpu_role.ext.word",
        )
        if weaker == files[MMU]:
            weaker = re.sub(
                r"\n\t+ext\.(?:cr0_pg|efer_lma|cr4_pae) = [^\n]*;(?=\n)", "", files[MMU]
            )
        assert weaker != files[MMU], tree
        patch = mail(diff(files, {MMU: weaker}))
        status, out, _ = run("-", "--tree", tree, "--format", "terse", data=patch)
        assert (status, "ERROR:STALE_MMU_ROLE" in out) == (1, True), (tree, out)


def test_what_a_new_input_does_is_shown():
    """Of a field that missed an input before the witness is about the one that is new."""
    pairs = tuple(
        Witness((), (), (), (name,), (), (0, 1), element=element)
        for name, element in (("CR4.PSE", "[0]"), ("CR4.PKE", "[1]"))
    )
    told = FieldResult("mask", "mask", "gap", missing=("CR4.PSE",), witness=pairs[0])
    more = told._replace(missing=("CR4.PKE", "CR4.PSE"), others=pairs[1:])
    place = Place(MMU, 1)
    reports = []
    for one in (told, more):
        context = Context("init", "root_mmu", ("init",), place, (one,))
        message = f"mask depends on them (for example {pairs[0].part('mask')})"
        found = Finding("rule", place, "mask", one.missing, message, ("init",), context, one)
        reports.append(Report("tree", None, (context,), (found,), verdict="gap"))
    (new,) = introduced.compare(*reports).new
    assert (
        new.message == f"mask depends on them (for example {pairs[1].part('mask')}) (new: CR4.PKE)"
    )
    assert new.result.pairs == pairs[::-1]
    assert introduced.compare(reports[1], reports[1]).existing[0].message == message
