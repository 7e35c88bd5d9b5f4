# SPDX-License-Identifier: GPL-2.0-only
"""Git, unidiff and checkpatch take the mails, and the words in them are the report's."""

import dataclasses
import email
import re
import shutil
import subprocess
from email import policy

import miniatures
import pytest
import remembered
import unidiff
from hosted import fix as run
from oracle import fields
from scratch import cloned, commit, copied, git

from patchtool.errors import PatchError, UsageError
from patchtool.outside import diff
from patchtool.outside.source import open_source
from patchtool.repair import fix, patch
from patchtool.rules import stale_mmu_role as rule
from patchtool.rules import upstream

HOST = "arch/x86/include/asm/kvm_host.h"
MMU = "arch/x86/kvm/mmu/mmu.c"
GAPS = ["demo", "guard-block-gap", "args-vs-vcpu-gap", "cpu-role-word-gap", "masked-word-gap"]


@pytest.fixture(autouse=True)
def _time(monkeypatch):
    """Let all mails have one date, and decide every tree once."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setattr(rule, "check", remembered.check)


def written(where, *arguments):
    """Write the patches of a tree and return them in order."""
    out = where.parent / "out"
    run(where, "-o", out, "--signoff", *arguments)
    return sorted(out.iterdir())


def parts(path):
    """Return headers, changelog and notes of a mail."""
    mail = email.message_from_bytes(path.read_bytes().partition(b"\n")[2], policy=policy.default)
    log, _, notes = mail.get_payload().partition("---\n")
    return mail, log, notes


@pytest.mark.parametrize("name", GAPS)
def test_git_am_takes_the_series(name, tmp_path):
    """Each mail becomes a commit with its subject, its author and its sign-off."""
    where = cloned(name, tmp_path / "tree")
    paths = written(where)
    git(where, "am", "--quiet", *paths)
    subjects = git(where, "log", "--format=%s", "--reverse").splitlines()[1:]
    assert len(subjects) == len(paths)
    for subject, path in zip(subjects, paths, strict=True):
        assert f"] {subject}" in parts(path)[0]["Subject"]
    assert git(where, "log", "-1", "--format=%an <%ae>") == "A Tester <tester@example.com>"
    assert "Signed-off-by: A Tester <tester@example.com>" in git(where, "log", "-1", "--format=%b")


SUBJECTS = [
    "Track EFER.LMA in the extended MMU role",
    "Track MAXPHYADDR in the extended MMU role",
    "Invalidate MMU roles in kvm_vcpu_after_set_cpuid()",
    "Clear pkru_mask before adding to it",
]


def test_every_kind_of_change_is_a_mail(tmp_path):
    """Numbers, invalidations and masks that are cleared: git takes them, in the usual form."""
    where = cloned("vcpu-masks-gap", tmp_path / "tree")
    paths = written(where, "--fields", "all")
    git(where, "am", "--quiet", *paths)
    assert git(where, "log", "--format=%s", "--reverse").splitlines()[1:] == [
        f"KVM: x86/mmu: {subject}" for subject in SUBJECTS
    ]
    assert run(where, "--fields", "all", "-o", tmp_path / "again") == 0
    assert not (tmp_path / "again").exists()
    for path in paths:
        mail, log, notes = parts(path)
        assert len(mail["Subject"].partition("] ")[2]) <= 75
        for line in (log + notes.partition("\n diff")[0].partition("\ndiff --git")[0]).splitlines():
            assert len(line) <= 75 or line.startswith("Fixes: "), line
    number, event, mask = (" ".join(parts(path)[1].split()) for path in paths[1:])
    assert "Add maxphyaddr, 6 bits wide, to kvm_mmu_extended_role" in number
    assert re.search(
        r"MAXPHYADDR \d+ \d+ guest CPUID.GBPAGES no no mmu_role (0x\w+) \1 rsvd_bits_mask", number
    )
    assert "Invalidate the role of root_mmu in kvm_vcpu_after_set_cpuid()" in event
    assert "does not skip configuring the MMU after a change of guest CPUID.GBPAGES" in event
    assert "state A state B state C" in mask and "pkru_mask after B: 221" in mask
    assert "No role can help here" in mask


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_the_compiled_set_ups_agree_with_each_patch(tmp_path):
    """Cut out and compiled, the changed set-ups are stale by what the patches leave, no more."""
    where = cloned("vcpu-masks-gap", tmp_path / "tree")
    left = [shown(where)]
    for path in written(where, "--fields", "all"):
        git(where, "apply", path)
        left.append(shown(where))
    event = {("guest_rsvd_check", "1 GiB pages")}  # its invalidation is none of the set-ups
    level = {("root_level", "EFER.LMA"), ("pkru_mask", "EFER.LMA")}
    width, keeps = {("guest_rsvd_check", "MAXPHYADDR")}, {("pkru_mask", "keeps old bits")}
    after = [event | width | keeps, event | keeps, event | keeps, event]
    assert left == [event | level | width | keeps, *after]


def shown(where):
    """Return what gcc shows to go wrong, by field."""
    (cells,) = fields.decide(where).values()
    found = {(name, n) for name, one in cells.items() for s in one["sets"] for n in s["inputs"]}
    return found | {(name, "keeps old bits") for name, one in cells.items() if one["accumulates"]}


def test_what_git_am_commits_is_what_was_checked(tmp_path):
    """The tree after git am is the tree that the last check saw."""
    where = cloned("args-vs-vcpu-gap", tmp_path / "tree")
    outcome = fix.search(open_source(str(where)))
    git(where, "am", "--quiet", *written(where))
    for repair in outcome.repairs:
        for one in repair.files:
            last = next(f for r in reversed(outcome.repairs) for f in r.files if f.path == one.path)
            assert (where / one.path).read_bytes() == last.after
    assert run(where, "-o", tmp_path / "again") == 3
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("name", GAPS)
def test_git_apply_takes_it_in_a_plain_folder(name, tmp_path):
    """A tarball needs no repository."""
    where = copied(name, tmp_path / "tree")
    for path in written(where):
        done = subprocess.run(["git", "apply", path], cwd=where, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_crlf_files_are_patched(tmp_path):
    """Git am takes a patch of CRLF files when it is told to keep them."""
    where = copied("masked-word-gap", tmp_path / "tree")
    for path in (HOST, "arch/x86/kvm/mmu.c"):
        data = (where / path).read_bytes()
        (where / path).write_bytes(data.replace(b"\n", b"\r\n"))
    git(where, "init", "--quiet")
    git(where, "config", "core.autocrlf", "false")
    commit(where, "first")
    git(where, "am", "--quiet", "--keep-cr", *written(where))
    assert b"efer_lma:1;\r\n" in (where / HOST).read_bytes()


@pytest.mark.parametrize("name", GAPS)
def test_unidiff_reads_it_back(name, tmp_path):
    """A second reader sees a bit declared and set, and nothing removed."""
    for path in written(copied(name, tmp_path / "tree")):
        found = unidiff.PatchSet(path.read_text())
        added = [str(line.value).strip() for one in found for hunk in one for line in hunk
                 if line.is_added]  # fmt: skip
        told = [line for line in added if line]
        assert [line.startswith("unsigned") for line in told] in ([True, False], [False])
        assert len(found) == len(told) and found.removed == 0


def test_blob_ids_are_those_of_git(tmp_path):
    """The index lines name the blobs before and after."""
    where = cloned("demo", tmp_path / "tree")
    (path,) = written(where)
    ids = re.findall(r"^index (\w+)\.\.(\w+) 100644$", path.read_text(), re.M)
    before = [git(where, "rev-parse", f"HEAD:{name}")[:12] for name in (HOST, MMU)]
    git(where, "am", "--quiet", path)
    after = [git(where, "rev-parse", f"HEAD:{name}")[:12] for name in (HOST, MMU)]
    assert ids == list(zip(before, after, strict=True))


@pytest.mark.parametrize("name", GAPS)
def test_columns_and_subject(name, tmp_path):
    """The subject is short, capitalised and open-ended; prose is wrapped at 75 columns."""
    for path in written(copied(name, tmp_path / "tree"), "--cover-letter"):
        mail, log, notes = parts(path)
        subject = mail["Subject"].partition("] ")[2]
        assert re.fullmatch(r"KVM: x86/mmu: [A-Z].*[^.]", subject) and len(subject) <= 75
        prose = log + notes.partition("\n diff")[0].partition("\ndiff --git")[0]
        for line in prose.splitlines():
            assert len(line) <= 75 or line.startswith(("Fixes: ", "    ")), line


def test_the_changelog_says_change_cause_witness_and_who_is_not_affected(tmp_path):
    """The change comes first; functions carry brackets; the states stand in a table."""
    (path,) = written(copied("demo", tmp_path / "tree"))
    _, log, notes = parts(path)
    assert log.startswith("Add efer_lma to kvm_mmu_extended_role and set it in\n")
    assert re.search(r"^  EFER\.LMA +0 +1$", log, re.M)
    assert re.search(r"^  root_level +3 +4$", log, re.M)
    assert re.search(r"^  mmu_role +(0x\w+) +\1$", log, re.M)
    flat = " ".join(log.split())
    assert "Affected: - root_mmu, configured by kvm_init_mmu() -> init_kvm_tdp_mmu()" in flat
    assert "kvm_init_shadow_ept_mmu(): root_level does not depend on EFER.LMA" in flat
    assert "base.level carries EFER.LMA" in flat
    assert "found by static analysis with patchtool" in flat and "Linux 5.14.0" in flat
    assert "Assisted-by" not in log
    assert "Not built. Not run" in notes and "root_level gap -> covered" in " ".join(notes.split())
    assert not re.search(r"\b(?:we|our|I|this patch)\b", log, re.I)


def test_trailers_stand_in_order_on_lines_of_their_own(tmp_path):
    """Fixes, Cc: stable, then the person; without --signoff nobody signs."""
    where = copied("demo", tmp_path / "tree")
    (path,) = written(where)
    block = parts(path)[1].rstrip().rpartition("\n\n")[2].splitlines()
    assert block == [
        'Fixes: 7dcd57552008 ("x86/kvm/mmu: check if tdp/shadow MMU reconfiguration is needed")',
        "Cc: stable@vger.kernel.org # 4.20+",
        "Signed-off-by: A Tester <tester@example.com>",
    ]
    run(where, "-o", tmp_path / "unsigned")
    (path,) = (tmp_path / "unsigned").iterdir()
    assert "Signed-off-by" not in path.read_text()


def test_recorded_facts_are_marked_and_may_be_overruled(tmp_path):
    """What was not derived from the tree says so; the person has the last word."""
    where = copied("demo", tmp_path / "tree")
    (path,) = written(where)
    assert "recorded upstream facts, not derived" in " ".join(parts(path)[2].split())
    run(where, "-o", tmp_path / "none", "--no-fixes")
    assert "Fixes:" not in parts(next((tmp_path / "none").iterdir()))[1]
    run(where, "-o", tmp_path / "own", "--fixes", '0123456789ab ("x86: Break it")')
    log = parts(next((tmp_path / "own").iterdir()))[1]
    assert 'Fixes: 0123456789ab ("x86: Break it")\nCc: stable@vger.kernel.org\n' in log


def test_a_commit_on_record_needs_no_history(tmp_path):
    """Of a commit that is on record the subject and the release are known anywhere."""
    (path,) = written(copied("demo", tmp_path / "tree"), "--fixes", "7dcd57552008")
    assert 'Fixes: 7dcd57552008 ("x86/kvm/mmu: ' in parts(path)[1]
    assert "Cc: stable@vger.kernel.org # 4.20+\n" in parts(path)[1]
    with pytest.raises(UsageError, match="no history to look 0123456789ab up in"):
        run(tmp_path / "tree", "-o", tmp_path / "none", "--fixes", "0123456789ab")


def test_a_given_commit_is_looked_up(tmp_path):
    """The subject of --fixes comes from the history at hand."""
    where = cloned("demo", tmp_path / "tree")
    oid = git(where, "rev-parse", "HEAD")
    (path,) = written(where, "--fixes", oid)
    assert f'Fixes: {oid[:12]} ("first")\n' in parts(path)[1]


@pytest.mark.parametrize(("tags", "line"), [
    ({}, "Cc: stable@vger.kernel.org\n"),
    ({"v5.13": "HEAD~1"}, ""),
    ({"v5.13": "HEAD~1", "v5.14-rc1": "HEAD"}, "Cc: stable@vger.kernel.org # 5.14+\n"),
    ({"before": "HEAD~1"}, "Cc: stable@vger.kernel.org\n"),
])  # fmt: skip
def test_what_no_release_has_is_not_for_stable(tmp_path, monkeypatch, tags, line):
    """A commit between the last release and the next one is fixed before that is made."""
    monkeypatch.undo()  # who walks along a history notes what each check reads
    where = cloned("guard-swapped-fixed", tmp_path / "tree")
    mmu = where / "arch/x86/kvm/mmu/mmu.c"
    bit = "\text.efer_lma = ____is_efer_lma(regs);\n"
    assert bit in mmu.read_text()
    mmu.write_text(mmu.read_text().replace(bit, ""))
    git(where, "commit", "-qam", "drop the bit")
    for name, at in tags.items():
        git(where, "tag", name, at)
    (path,) = written(where)
    log, notes = parts(path)[1:3]
    assert '("drop the bit")\n' + line + "Signed-off-by" in log
    assert ("no tagged release has that commit" in " ".join(notes.split())) == (not line)


def test_a_commit_that_begins_the_history_is_not_blamed(tmp_path):
    """An import of a whole tree introduced nothing."""
    (path,) = written(cloned("demo", tmp_path / "tree"))
    assert '("first")' not in path.read_text()


def test_recorded_facts_need_a_release_that_has_the_commit():
    """A tree older than the commit, or of unknown age, is not its victim."""

    class Tree:
        def __init__(self, text):
            self.text = text

        def read(self, path):
            return self.text if path == "Makefile" else None

        def walk(self, folder):
            return ()

    new = Tree(b"VERSION = 5\nPATCHLEVEL = 10\nSUBLEVEL = 44\nEXTRAVERSION = -rc1\n")
    assert upstream.recorded("CR4.LA57", new).commit == "8053f924cad3"
    assert upstream.kernel_version(new) == "5.10.44-rc1"
    assert upstream.recorded("CR4.LA57", Tree(b"VERSION = 5\nPATCHLEVEL = 6\n")) is None
    assert upstream.recorded("CR4.LA57", Tree(None)) is None
    assert upstream.recorded("CR4.SMEP", new) is None


def test_base_commit_is_recorded_in_a_repository(tmp_path):
    """The base is HEAD when its files are those that were read, and nothing otherwise."""
    where = cloned("demo", tmp_path / "tree")
    (path,) = written(where)
    assert f"\nbase-commit: {git(where, 'rev-parse', 'HEAD')}\n-- \n" in path.read_text()
    (where / MMU).write_bytes((where / MMU).read_bytes() + b"/* mine */\n")
    run(where, "-o", tmp_path / "dirty")
    assert "base-commit" not in next((tmp_path / "dirty").iterdir()).read_text()


def test_a_revision_is_fixed_without_a_checkout(tmp_path):
    """A bare repository is enough, and the base is the revision."""
    where = cloned("demo", tmp_path / "tree")
    git(tmp_path, "clone", "--quiet", "--bare", where, "bare")
    assert run(tmp_path / "bare", "--rev", "HEAD", "-o", tmp_path / "out") == 0
    (path,) = (tmp_path / "out").iterdir()
    assert f"base-commit: {git(where, 'rev-parse', 'HEAD')}" in path.read_text()


def test_versions_and_numbers(tmp_path):
    """A series counts its mails, and a new version says so in name and subject."""
    paths = written(
        copied("args-vs-vcpu-gap", tmp_path / "tree"), "--reroll-count", "3", "--cover-letter"
    )
    assert [p.name[:8] for p in paths] == [f"v3-000{n}-" for n in range(5)]
    marks = [parts(p)[0]["Subject"].partition("]")[0] for p in paths]
    assert marks == [f"[PATCH v3 {n}/4" for n in range(5)]


def test_what_is_known_of_an_input_is_said_once(tmp_path):
    """A second patch for an input, of another register file, has no commit to blame."""
    paths = written(copied("args-vs-vcpu-gap", tmp_path / "tree"))
    told = {parts(p)[0]["Subject"].rpartition(": ")[2]: p.read_text() for p in paths}
    (first,) = [text for name, text in told.items() if "Track EFER.LMA in" in name]
    (second,) = [text for name, text in told.items() if "Track guest_mmu_efer_lma in" in name]
    assert "\nFixes: 7dcd57552008" in first and "Upstream closed" in " ".join(first.split())
    flat = " ".join(second.split())
    assert "after a change of the EFER.LMA that the set-up is handed." in flat
    assert "that the set-up is handed, but the role does not determine it" in flat
    assert "Fixes:" not in second and "Upstream closed" not in flat


def test_what_stays_open_for_one_reason_is_told_once():
    """Fields of a path, and then paths, for which the same is true have one sentence."""
    ways = (("a", "mmu", ("e", "a")), ("b", "mmu", ("e", "b")))
    some = [
        fix.OpenGap((*way, field), name, reason)
        for way in ways
        for field in ("two", "one")
        for name, reason in (("CR4.PAE", "it is read elsewhere"), ("EFER.LMA", way[0]))
    ]
    assert patch.open_gaps(some) == [
        "one and two: CR4.PAE on 2 paths: it is read elsewhere",
        "one and two: EFER.LMA on mmu, e() -> a(): a",
        "one and two: EFER.LMA on mmu, e() -> b(): b",
    ]


def test_an_invalidation_for_two_inputs_reads_well():
    """What invalidates for either of two inputs says so."""
    outcome = fix.search(
        open_source(str(miniatures.folder("vcpu-masks-gap"))), ("guest_rsvd_check",)
    )
    (one,) = [one for one in outcome.repairs if one.candidate.kind == "invalidation"]
    two = dataclasses.replace(one, inputs=("guest CPUID.GBPAGES", "guest vendor"))
    text = " ".join(patch._change(two).split())
    assert "after a change of guest CPUID.GBPAGES or guest vendor." in text


def test_standard_output_is_a_mailbox(tmp_path, capfdbinary):
    """Git am reads the whole series from one stream."""
    where = cloned("args-vs-vcpu-gap", tmp_path / "tree")
    run(where, "--stdout", "--quiet")
    data, err = capfdbinary.readouterr()
    assert err == b""
    git(where, "am", "--quiet", data=data)
    assert git(where, "rev-list", "--count", "HEAD") == "5"


def test_names_beyond_ascii_travel(tmp_path, monkeypatch):
    """An author is encoded in headers, and git reads the name back."""
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Jürgen Groß")
    where = cloned("demo", tmp_path / "tree")
    (path,) = written(where)
    monkeypatch.delenv("GIT_AUTHOR_NAME")
    git(where, "am", "--quiet", path)
    assert git(where, "log", "-1", "--format=%an") == "Jürgen Groß"
    assert "Signed-off-by: Jürgen Groß <tester@example.com>" in git(
        where, "log", "-1", "--format=%b"
    )


def test_recipients_come_from_the_script_of_the_tree(tmp_path):
    """Maintainers go to To, all others to Cc."""
    where = copied("demo", tmp_path / "tree")
    (where / "scripts").mkdir()
    (where / "scripts/get_maintainer.pl").write_text(
        'print "A B <a\\@example.com> (maintainer:KVM)\\n" if grep { /efer_lma/ } <STDIN>;\n'
        'print "kvm\\@example.com (open list:KVM)\\n";\n'
    )
    (path,) = written(where, "--recipients")
    mail = parts(path)[0]
    assert (mail["To"], mail["Cc"]) == ("A B <a@example.com>", "kvm@example.com")


def test_a_mail_that_yields_something_else_is_never_handed_out(monkeypatch):
    """The text of a patch is applied again and compared with what was checked."""
    outcome = fix.search(open_source(str(miniatures.folder("demo"))))
    real = diff.write
    monkeypatch.setattr(
        diff,
        "write",
        lambda *a, **k: real(*a, **k).replace(
            "+\t\tunsigned int efer_lma", "+\t\tunsigned int lma"
        ),
    )
    with pytest.raises(PatchError, match="does not yield the files that were checked"):
        patch.series(outcome, patch.Settings())


def test_checkpatch_has_nothing_to_say(kernels, tmp_path):
    """--strict reports no error, no warning and no check, but for a commit it cannot see."""
    script = next((t / "scripts/checkpatch.pl" for t in kernels
                   if (t / "scripts/checkpatch.pl").is_file()), None)  # fmt: skip
    if script is None:
        pytest.skip("none of the kernels has scripts/checkpatch.pl")
    for name in (*GAPS, "vcpu-masks-gap"):
        for path in written(copied(name, tmp_path / name / "tree"), "--fields", "all"):
            # Without kernel history no commit of a Fixes tag is known.
            done = subprocess.run(
                ["perl", script, "--no-tree", "--strict", "--ignore", "UNKNOWN_COMMIT_ID", path],
                cwd=tmp_path, capture_output=True, check=False, text=True,
            )  # fmt: skip
            assert "0 errors, 0 warnings, 0 checks" in done.stdout, done.stdout
