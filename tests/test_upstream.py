# SPDX-License-Identifier: GPL-2.0-only
"""What upstream knows: which commit closed a gap, and how it gets into a stable series."""

import json
import re
import shutil
from pathlib import Path

import miniatures
import pytest
from scratch import commit, fill, git

from patchtool import cli
from patchtool.outside.source import Overlay, open_source
from patchtool.rules import upstream
from patchtool.target.kvm import KVM

LMA = "b8453cdcf26020030da182f0156d7bf59ae5719f"
CPUID = "49c6f8756cdffeb9af1fbcb86bacacced26465d7"
MAXPHYADDR = "de3ccd26fafc707b09792d9b633c8b5b48865315"
LA57 = "f71a53d1180d5ecc346f0c6a23191d837fe2871b"


def makefile(release):
    """Return a Makefile that says which release a tree is."""
    version, level, sub = (*release.partition("-rc")[0].split("."), "0")[:3]
    extra = "-rc" + release.partition("-rc")[2] if "-rc" in release else ""
    text = f"VERSION = {version}\nPATCHLEVEL = {level}\nSUBLEVEL = {sub}\nEXTRAVERSION = {extra}\n"
    return text.encode()


def source(release):
    """Return a tree of which no more than the release is known."""
    return Overlay(open_source(str(miniatures.folder("demo"))), {"Makefile": makefile(release)})


@pytest.fixture
def tree(tmp_path):
    """Return what makes a repository with a fixture as some release."""

    def made(name, release):
        where = tmp_path / f"{name}-{release}"
        shutil.copytree(miniatures.folder(name), where)
        (where / "Makefile").unlink(missing_ok=True)
        fill(where, {"Makefile": makefile(release)})
        git(where, "init", "--quiet")
        commit(where, "first")
        git(where, "tag", f"v{release}")
        return where

    return made


@pytest.mark.parametrize(
    ("name", "path", "release", "expected"),
    [
        ("EFER.LMA", "tdp", "5.14.2", LMA),
        ("EFER.LMA", "npt", "5.14.2", LMA),
        ("EFER.LMA", "tdp", "5.10.198", LMA),
        ("EFER.LMA", "npt", "5.10.198", None),
        ("EFER.LMA", "soft", "5.0.1", None),
        ("EFER.LMA", "tdp", "4.19.3", None),
        ("EFER.LMA", "tdp", "5.15.4", LMA),
        ("EFER.LMA", "tdp", "5.15.5", None),
        ("EFER.LMA", "tdp", "5.16-rc1", LMA),
        ("EFER.LMA", "tdp", "5.16-rc2", None),
        ("EFER.LMA", "tdp", "6.4.0", None),
        ("CR4.LA57", "nested", "5.10.44", LA57),
        ("CR4.LA57", "nested", "5.10.48", None),
        ("CR4.LA57", "tdp", "5.6.9", None),
        ("CR4.SMEP", "tdp", "5.14.2", None),
        ("MAXPHYADDR", "ept", "4.20.1", MAXPHYADDR),
        ("MAXPHYADDR", "nested", "5.0.1", None),
        ("guest CPUID.GBPAGES", "npt", "4.20.1", CPUID),
        ("guest vendor", "soft", "5.10.44", CPUID),
        ("guest vendor", "ept", "5.10.44", None),
        ("guest vendor", "tdp", "5.12.17", None),
        ("guest vendor", "tdp", "5.14.2", None),
        ("reserved_gpa_bits", "ept", "5.11.5", None),
        ("reserved_gpa_bits", "ept", "5.12.9", CPUID),
    ],
)
def test_a_gap_is_a_recorded_one_where_the_record_is_about_it(name, path, release, expected):
    """Input, path and release have to fit; whoever has the commit has another gap."""
    found = upstream.closing(name, path, source(release))
    assert (found.commit if found is not None else None) == expected


@pytest.mark.parametrize(
    ("name", "release", "expected"),
    [
        ("EFER.LMA", "5.10.198", "7dcd57552008"),
        ("EFER.LMA", "5.15.4", "7dcd57552008"),
        ("EFER.LMA", "5.15.5", None),
        ("EFER.LMA", "6.4.0", None),
        ("guest vendor", "6.8.12", None),
        ("CR4.PAE", "5.10.44", "47c42e6b4192"),
    ],
)
def test_who_has_lost_what_closed_a_gap_has_it_from_elsewhere(name, release, expected):
    """The commit on record is to blame up to the one that closed the gap, and no further."""
    fact = upstream.blamed(name, source(release))
    assert (fact.commit if fact is not None else None) == expected


def test_facts_are_about_inputs_by_their_names():
    """What is on record is found under the name that a report gives an input."""
    registers = KVM.registers
    names = {*registers.computed, *(one.name for one in registers.names.values())}
    asked = {one.named.name.format("GBPAGES") for one in registers.answers}
    for fact in upstream._facts():
        assert fact in names | asked or registers.is_bit(fact), fact


def test_facts_are_whole():
    """Every closing commit has all its digits, so that stable's form can be written."""
    closed = [fact.closed for fact in upstream._facts().values() if fact.closed is not None]
    assert closed
    for one in closed:
        assert re.fullmatch(r"[0-9a-f]{40}", one.commit)
        assert all(upstream.parsed(update) for update in (one.release, *one.stable))
        assert set(one.paths) <= {"tdp", "soft", "npt", "ept", "nested"}


def test_check_names_the_commit(tree, capsys):
    """The report of a check says which commit closed a gap, where, and in which release."""
    where = tree("demo", "5.14.2")
    assert cli.main(["check", str(where)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert (
        'Closed upstream: - EFER.LMA by b8453cdcf260 ("KVM: x86/mmu: include EFER.LMA in extended '
        'mmu_role"), v5.16: init_kvm_tdp_mmu() and shadow_mmu_init_context()'
    ) in out
    assert cli.main(["check", str(where), "--format", "json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [one["upstream"][0]["commit"] for one in findings] == [LMA, LMA]
    assert cli.main(["check", str(tree("demo", "6.4.0"))]) == 1
    assert "upstream" not in capsys.readouterr().out


def test_what_no_commit_closed_is_named_beside_what_one_did(tree, capsys, monkeypatch):
    """Whoever takes the commits that are on record hears what they leave open."""
    monkeypatch.setenv("COLUMNS", "1000")
    where = tree("args-vs-vcpu-gap", "5.10.44")
    assert cli.main(["check", str(where)]) == 1
    told = capsys.readouterr().out.partition("Closed upstream:\n")[2].partition("\n\n")[0]
    lines = dict(line.strip("- ").split(": ", 1) for line in told.splitlines() if " by no " in line)
    assert lines["CR4.PAE by no commit on record"] == "kvm_init_shadow_npt_mmu()"
    assert cli.main(["matrix", str(where), "HEAD"]) == 1
    assert "  CR4.PAE by no commit on record: HEAD (npt)\n" in capsys.readouterr().out


def test_fix_names_the_commit(tree, capfd):
    """The summary and the notes of a patch say that there is an upstream commit."""
    assert cli.main(["fix", "--stdout", str(tree("demo", "5.14.2"))]) == 0
    out, err = capfd.readouterr()
    assert "EFER.LMA: closed upstream by b8453cdcf260" in err
    assert "Upstream closed this gap with b8453cdcf260" in " ".join(out.split())
    assert "\nFixes: 7dcd57552008" in out


def mail(out):
    """Return the headers, the changelog and the notes of a patch."""
    head, _, rest = out.partition("\n\n")
    text, _, notes = rest.partition("\n---\n")
    return head, text, " ".join(notes.split())


def test_a_backport_has_the_form_of_stable(tree, capfd, tmp_path):
    """Series in the subject, upstream's subject and id, no tags of our own; git takes it."""
    where = tree("demo", "5.14.2")
    assert cli.main(["fix", "--backport", "-o", str(tmp_path / "out"), str(where)]) == 0
    (file,) = (tmp_path / "out").iterdir()
    head, text, notes = mail(file.read_text("utf-8"))
    subject = "KVM: x86/mmu: include EFER.LMA in extended mmu_role"
    assert f"\nSubject: [PATCH 5.14.y] {subject}\n" in head
    assert "\nTo: stable@vger.kernel.org" in head
    assert not re.search(r"^(Fixes|Cc|Signed-off-by):", text, re.MULTILINE)
    assert "Adjusted" not in text and "nothing was adjusted" in notes
    assert "has another author" in notes
    # The changelog is upstream's, so there is none to throw away; what was found is below.
    assert text.rstrip() == f"commit {LMA} upstream."
    assert "Add efer_lma to" in notes and "state A state B" in notes
    git(where, "am", "--quiet", str(file))
    assert git(where, "log", "-1", "--format=%s") == subject
    assert cli.main(["check", str(where)]) == 0


def test_a_backport_says_what_was_adjusted(tree, capfd):
    """Another file and another way to read the register are told, in brackets, in order."""
    where = tree("masked-word-gap", "5.4.100")
    cli.main(["fix", "--backport", "--stdout", str(where)])
    head, text, _ = mail(capfd.readouterr().out)
    assert "[PATCH 5.4.y]" in head
    told = re.search(r"^\[ Adjusted for 5\.4\.y: (.*?) \]$", text, re.MULTILINE | re.DOTALL)
    assert told is not None, text
    assert "arch/x86/kvm/mmu.c" in told[1] and "upstream in arch/x86/kvm/mmu/mmu.c" in " ".join(
        told[1].split()
    )


def test_a_backport_may_invalidate_the_roles(tree, capfd):
    """What upstream did where user space tells of a CPU is no bit, and is told as it is."""
    cli.main(["fix", "--backport", "--stdout", str(tree("vcpu-masks-gap", "5.10.44"))])
    subject = "KVM: x86: Force all MMUs to reinitialize if guest CPUID is modified"
    out = capfd.readouterr().out
    (one,) = [part for part in out.split("\nFrom ") if CPUID in part]
    head, text, _ = mail(one)
    assert subject in " ".join(head.split())
    told = " ".join(text.split())
    assert f"commit {CPUID} upstream." in told
    assert "upstream kvm_mmu_after_set_cpuid() in arch/x86/kvm/mmu/mmu.c does" in told
    assert "sets the bit" not in told and "is called" not in told


def test_a_backport_is_for_what_is_on_record(tree, capfd):
    """What no commit is known for stays open, and the summary says why."""
    assert cli.main(["fix", "--backport", "--stdout", str(tree("demo", "6.4.0"))]) == 1
    out, err = capfd.readouterr()
    assert out == "" and "no upstream commit is on record" in err
    where = tree("guard-call-gap", "5.14.2")
    (where / "Makefile").write_text("all:\n", "utf-8")
    assert cli.main(["fix", "--backport", "--stdout", str(where)]) == 2
    assert "--backport" in capfd.readouterr().err


def test_matrix_writes_patches_for_each_revision(tree, capfd, tmp_path, monkeypatch):
    """Each revision has its patches and a word on each: as it is, adjusted, or one of its own."""
    monkeypatch.setenv("COLUMNS", "200")
    where = tree("demo", "5.14.2")
    for name, release in (("masked-word-gap", "5.4.100"), ("args-vs-vcpu-gap", "5.10.44")):
        for path in where.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(miniatures.folder(name), where, dirs_exist_ok=True)
        (where / "Makefile").write_bytes(makefile(release))
        commit(where, release)
        git(where, "tag", f"v{release}")
    words = ["matrix", str(where), "v5.14.2", "v5.4.100", "v5.10.44"]
    words += ["--write-patches", str(tmp_path / "out"), "--fields", "root_level"]
    assert cli.main(words) == 1
    out = capfd.readouterr().out
    assert "  v5.14.2: EFER.LMA (tdp, npt): applies as it is, " in out
    assert re.search(r"^  v5\.4\.100: EFER\.LMA \([a-z, ]*\): adjusted \(", out, re.M)
    assert "  v5.10.44: CR4.PAE (npt): own patch, " in out
    assert "  v5.10.44: EFER.LMA (npt): own patch, " in out
    assert f"EFER.LMA by {LMA[:12]}" in out and f"CR4.LA57 by {LA57[:12]}" in out
    for release in ("5.14.2", "5.4.100", "5.10.44"):
        patches = sorted((tmp_path / "out" / f"v{release}").iterdir())
        assert patches
        git(where, "checkout", "--quiet", f"v{release}")
        git(where, "am", "--quiet", *map(str, patches))
    assert cli.main([*words[:3], "--format", "json", "--write-patches", str(tmp_path / "o")]) == 1
    (row,) = json.loads(capfd.readouterr().out)["rows"]
    (patch,) = row["patches"]
    assert patch["result"] == "applies as it is" and Path(patch["file"]).is_file()
    assert {one["commit"] for one in row["upstream"]} == {LMA}
