# SPDX-License-Identifier: GPL-2.0-only
"""Scripted histories: every flip is found, and none is invented."""

import io
import json
import re
import shutil
import sys
from itertools import permutations

import miniatures
import pytest
from scratch import call, fill, git, run

from patchtool.c.index import Index
from patchtool.c.texts import Texts
from patchtool.commands import history as command
from patchtool.commands import matrix as table
from patchtool.errors import InputError, UsageError
from patchtool.history import cache, lens, workers
from patchtool.history.cache import Store
from patchtool.history.flips import Settings, first_tag, history, introduced
from patchtool.history.lens import Lens, Recorder, Slicer
from patchtool.history.verdicts import outcome_of
from patchtool.model import Context, FieldResult, Place, Report
from patchtool.outside.git import Repository
from patchtool.report.progress import Progress
from patchtool.rules import stale_mmu_role as rule
from patchtool.target.kvm import KVM
from patchtool.target.paths import ordered

MAIN = "arch/x86/kvm/mmu/mmu.c"
OLD_MAIN = "arch/x86/kvm/mmu.c"
UNRELATED = b"\nstatic int unrelated(int a)\n{\n\treturn a + 1;\n}\n"
OLD_BITS = "(old bits kept)"
PLAIN = Settings(paranoid=True, cache=False)


def tree(name):
    """Return the files of a fixture."""
    return dict(miniatures.files(name))


def grown(files, more=UNRELATED, path=MAIN):
    """Return files with something at the end of one."""
    return {**files, path: files[path] + more}


@pytest.fixture
def repo(tmp_path):
    """Return an empty repository."""
    where = tmp_path / "linux"
    where.mkdir()
    git(where, "init", "--quiet")
    return where


def put(where, files, subject):
    """Commit a whole tree and return its id."""
    for path in where.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    fill(where, files)
    git(where, "add", "--all", "--force", ".")
    git(where, "commit", "--quiet", "--allow-empty", "--message", subject)
    return git(where, "rev-parse", "HEAD")


def walked(where, given=None, settings=PLAIN):
    """Walk a history."""
    with Repository.open(str(where)) as repository:
        return history(repository, given, settings=settings)


def rows(found):
    """Return the flips in short, paths of a commit together."""
    short = {}
    for flip in found.flips:
        row = (flip.subject, flip.kind, flip.before, flip.after, flip.missing)
        short.setdefault(row, set()).add(flip.path)
    return [(*row, "+".join(sorted(paths))) for row, paths in short.items()]


LMA = ("EFER.LMA",)
GUARD = b"if (new_role.as_u64 == context->mmu_role.as_u64)"


def test_guard_bit_clean_up_and_revert(repo):
    """A guard opens the gap, a bit closes it, a clean-up opens it again, a revert closes it."""
    put(repo, tree("unguarded"), "none")
    put(repo, tree("masked-word-gap"), "guard")
    put(repo, grown(tree("masked-word-gap"), path=OLD_MAIN), "unrelated")
    put(repo, tree("masked-word-fixed"), "bit")
    put(repo, tree("masked-word-gap"), "clean-up")
    put(repo, tree("masked-word-fixed"), "revert")
    found = walked(repo)
    paths = "nested+npt+soft+tdp"
    assert rows(found) == [
        ("guard", "introduced", "not-guarded", "gap", LMA, paths),
        ("bit", "closed", "gap", "covered", LMA, paths),
        ("clean-up", "reintroduced", "covered", "gap", LMA, paths),
        ("revert", "closed", "gap", "covered", LMA, paths),
    ]
    assert found.complete and found.verdict == "covered"
    assert found.introduced.subject == "guard"


def test_the_gap_at_hand_comes_from_where_it_last_began(repo):
    """Blamed is the commit that opened the gap that is there, not one closed long ago."""
    put(repo, tree("masked-word-gap"), "first")
    put(repo, tree("masked-word-fixed"), "bit")
    put(repo, tree("masked-word-gap"), "clean-up")
    put(repo, grown(tree("masked-word-gap"), path=OLD_MAIN), "unrelated")
    found = walked(repo)
    assert found.introduced.subject == "clean-up"
    with Repository.open(str(repo)) as repository:
        assert introduced(repository, "HEAD", LMA, PLAIN).subject == "clean-up"
        assert introduced(repository, "HEAD~2", ["EFER.LMA"], PLAIN) is None
        assert introduced(repository, "HEAD", ["CR0.WP"], PLAIN) is None


def test_rename(repo):
    """A gap goes on where the file is moved and the machinery is rewritten."""
    put(repo, tree("masked-word-gap"), "guard")
    files = tree("masked-word-gap")
    text = files.pop(OLD_MAIN).replace(b'"mmu.h"', b'"../mmu.h"').replace(b'"x86.h"', b'"../x86.h"')
    put(repo, {**files, MAIN: text}, "move")
    put(repo, tree("demo"), "rewrite")
    found = walked(repo)
    assert rows(found) == [
        ("guard", "introduced", "absent", "gap", LMA, "nested+npt+soft+tdp"),
        ("rewrite", "closed", "gap", "covered", LMA, "nested+soft"),
    ]
    assert found.introduced.subject == "guard"


def test_side_branch(repo):
    """A gap that a side branch brings in belongs to the branch and not to the merge."""
    put(repo, tree("role-regs-fixed"), "start")
    git(repo, "checkout", "--quiet", "-b", "side")
    put(repo, tree("demo"), "drop")
    git(repo, "checkout", "--quiet", "main")
    other = {**tree("role-regs-fixed"), "arch/x86/kvm/extra.c": UNRELATED}
    put(repo, other, "beside")
    git(repo, "merge", "--quiet", "--no-ff", "-m", "join", "side")
    found = walked(repo)
    assert rows(found) == [("drop", "introduced", "covered", "gap", LMA, "npt+tdp")]
    assert found.introduced.subject == "drop"


def test_evil_merge(repo):
    """A gap that neither parent has belongs to the merge."""
    put(repo, tree("role-regs-fixed"), "start")
    git(repo, "checkout", "--quiet", "-b", "side")
    put(repo, {**tree("role-regs-fixed"), "arch/x86/kvm/a.c": UNRELATED}, "a")
    git(repo, "checkout", "--quiet", "main")
    put(repo, {**tree("role-regs-fixed"), "arch/x86/kvm/b.c": UNRELATED}, "b")
    git(repo, "merge", "--quiet", "--no-ff", "--no-commit", "side")
    put(repo, tree("demo"), "evil")
    found = walked(repo)
    assert rows(found) == [("evil", "introduced", "covered", "gap", LMA, "npt+tdp")]
    assert found.introduced.subject == "evil"


def test_closed_by_a_comparison_and_opened_on_a_stable_branch(repo):
    """Comparing root_level closes the gap, and a stable branch has flips of its own."""
    put(repo, tree("role-regs-fixed"), "start")
    put(repo, tree("demo"), "drop")
    git(repo, "branch", "stable")
    put(repo, tree("role-regs-compare-fixed"), "compare")
    assert rows(walked(repo))[-1] == ("compare", "closed", "gap", "covered", LMA, "npt+tdp")
    git(repo, "checkout", "--quiet", "stable")
    put(repo, grown(tree("demo"), b"\n#define SURROUNDINGS 1\n"), "other surroundings")
    put(repo, grown(tree("role-regs-fixed"), b"\n#define SURROUNDINGS 1\n"), "pick")
    found = walked(repo, "stable")
    assert [row[0] for row in rows(found)] == ["drop", "pick"]
    assert found.introduced.subject == "drop"
    assert rows(walked(repo, "main..stable"))[-1][0] == "pick"


def test_another_input_goes_missing(repo):
    """Each input has flips of its own, and the first that is missing is blamed."""
    put(repo, tree("args-vs-vcpu-gap"), "start")
    put(repo, tree("args-vs-vcpu-bits-gap"), "bits")
    found = walked(repo)
    by = {flip.path: flip.missing for flip in found.flips if flip.subject == "start"}
    assert by["tdp"] == ("CR4.LA57", "EFER.LMA")
    closed = {(f.path, f.missing) for f in found.flips if f.kind == "closed"}
    assert ("tdp", ("CR4.LA57", "EFER.LMA")) in closed
    assert found.introduced.subject == "start"


def test_a_commit_that_cannot_be_parsed(repo):
    """A commit in between that is not understood neither opens nor closes a gap."""
    broken = tree("demo")
    broken[MAIN] = broken[MAIN].replace(GUARD, GUARD[:-1])
    put(repo, tree("role-regs-fixed"), "start")
    put(repo, tree("demo"), "drop")
    put(repo, broken, "broken")
    put(repo, tree("demo"), "mended")
    found = walked(repo)
    kinds = [(row[0], row[1]) for row in rows(found)]
    assert kinds[0] == ("drop", "introduced")
    assert {("broken", "undecided"), ("mended", "decided")} <= set(kinds)
    assert {kind for _, kind in kinds[1:]} == {"undecided", "decided"}
    assert found.introduced.subject == "drop"


def test_what_is_unknown_hides_is_not_blamed(repo):
    """A gap that shows up behind a commit that is not understood has no proved beginning."""
    broken = tree("demo")
    broken[MAIN] = broken[MAIN].replace(GUARD, GUARD[:-1])
    put(repo, tree("role-regs-fixed"), "start")
    put(repo, broken, "broken")
    put(repo, tree("demo"), "mended")
    found = walked(repo)
    assert found.introduced is None
    assert found.notes
    assert "introduced" not in {flip.kind for flip in found.flips}


def test_shallow_clone(repo, tmp_path):
    """A shallow clone names no commit that it cannot prove and tells how to deepen."""
    put(repo, tree("role-regs-fixed"), "start")
    put(repo, tree("demo"), "drop")
    put(repo, grown(tree("demo")), "unrelated")
    git(tmp_path, "clone", "--quiet", "--depth=2", f"file://{repo}", "shallow")
    found = walked(tmp_path / "shallow")
    assert (found.flips, found.introduced, found.complete) == ((), None, False)
    (note,) = (note for note in found.notes if "--unshallow" in note)
    oldest = git(repo, "rev-parse", "--short=12", "HEAD~1")
    assert f" ends at {oldest};" in note and "--deepen" in note
    git(tmp_path / "shallow", "fetch", "--quiet", "--unshallow")
    assert walked(tmp_path / "shallow").introduced.subject == "drop"


def test_shallow_clone_that_holds_the_commit(repo, tmp_path):
    """What lies inside a shallow clone with its parent is proved all the same."""
    put(repo, tree("unguarded"), "old")
    put(repo, tree("role-regs-fixed"), "start")
    put(repo, tree("demo"), "drop")
    git(tmp_path, "clone", "--quiet", "--depth=2", f"file://{repo}", "shallow")
    found = walked(tmp_path / "shallow")
    assert found.introduced.subject == "drop" and not found.complete


def test_what_is_gone_is_not_decided(repo):
    """A commit without KVM decides nothing of what could not be decided before it."""
    put(repo, tree("broken-syntax"), "puzzle")
    put(repo, {"Makefile": b""}, "drop KVM")
    put(repo, tree("broken-syntax"), "puzzle again")
    put(repo, tree("role-regs-fixed"), "clean-up")
    assert [(flip.subject, flip.kind) for flip in walked(repo).flips] == [("clean-up", "decided")]


def test_partial_clone(repo, tmp_path):
    """A partial clone without old blobs says so and names nothing."""
    put(repo, tree("role-regs-fixed"), "start")
    put(repo, tree("demo"), "drop")
    git(repo, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", f"file://{repo}", "partial")
    found = walked(tmp_path / "partial", settings=Settings(cache=False))
    assert (found.flips, found.introduced, found.complete) == ((), None, False)
    assert any("partial clone" in note for note in found.notes)


def test_broken_object(repo, capsys):
    """A history with a missing object is one sentence."""
    put(repo, tree("role-regs-fixed"), "start")
    oid = git(repo, "rev-parse", f"HEAD:{MAIN}")
    put(repo, tree("demo"), "drop")
    (repo / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    with pytest.raises(InputError) as caught:
        walked(repo)
    assert "\n" not in str(caught.value) and oid in str(caught.value)


def test_no_kernel(repo):
    """A repository without KVM is refused in one sentence."""
    put(repo, {"README": b"nothing\n"}, "start")
    with pytest.raises(InputError, match="no kernel"):
        walked(repo)


def test_subfolder(tmp_path):
    """A kernel may lie in a folder of a larger repository."""
    outer = tmp_path / "outer"
    (outer / "src").mkdir(parents=True)
    git(outer, "init", "--quiet")
    for name, subject in (("role-regs-fixed", "start"), ("demo", "drop")):
        put(outer, {f"src/linux/{path}": data for path, data in tree(name).items()}, subject)
    assert walked(outer / "src" / "linux").introduced.subject == "drop"


def test_unrelated_commits_are_not_decided(repo):
    """Only commits that change what was looked at are decided, equal ones once."""
    put(repo, tree("demo"), "start")
    for number in range(6):
        more = UNRELATED.replace(b"1", b"%d" % number)
        put(repo, grown(tree("demo"), more), f"unrelated {number}")
    put(repo, tree("role-regs-fixed"), "bit")
    put(repo, tree("demo"), "revert")
    found = walked(repo, settings=Settings(cache=False))
    assert found.counts.commits == 9
    # One for each of the two states, and what the four looks ahead may repeat.
    assert found.counts.decided <= 6
    assert [row[0] for row in rows(found)] == ["start", "bit", "revert"]


def test_a_cache_that_two_runs_share(repo, tmp_path, monkeypatch):
    """A second run decides nothing, and a damaged entry is decided again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    put(repo, tree("masked-word-gap"), "guard")
    put(repo, tree("demo"), "rewrite")
    first = walked(repo, settings=Settings())
    assert first.counts.decided
    second = walked(repo, settings=Settings())
    assert second.counts.decided == 0
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-3] + b"xxx")
    third = walked(repo, settings=Settings())
    assert third.counts.decided == first.counts.decided
    put(repo, tree("role-regs-fixed"), "bit")
    fourth = walked(repo, settings=Settings())
    assert fourth.counts.decided == 1
    assert first.flips == second.flips == third.flips == fourth.flips[: len(first.flips)]


def test_an_unwritable_cache_is_no_error(repo, tmp_path, monkeypatch):
    """A cache folder that cannot be made costs time only."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    put(repo, tree("demo"), "guard")
    assert walked(repo, settings=Settings()).introduced.subject == "guard"


def test_stopping_keeps_what_was_found(repo, tmp_path, monkeypatch):
    """Ctrl-C in the middle leaves decisions that the next run uses."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    put(repo, tree("masked-word-gap"), "guard")
    put(repo, tree("demo"), "rewrite")

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        walked(repo, settings=Settings(progress=stop))
    assert walked(repo, settings=Settings()).counts.decided == 0


def test_jobs(repo, monkeypatch):
    """Several processes find what one finds."""
    monkeypatch.setattr("patchtool.history.flips._BLOCK", 2)
    for number, name in enumerate(["unguarded", "masked-word-gap", "demo", "role-regs-fixed"]):
        put(repo, tree(name), f"{number}")
    one = walked(repo, settings=Settings(cache=False))
    two = walked(repo, settings=Settings(cache=False, jobs=2))
    assert one.flips == two.flips and one.introduced == two.introduced


ENDED = """
import os, signal, sys
from patchtool.history.cache import Store
from patchtool.history.walker import Walker
from patchtool.history.workers import Team
from patchtool.outside.git import Repository
from patchtool.rules.table import RULES

walker = Walker(Repository.open(sys.argv[1]), RULES["stale-mmu-role"], (), Store(None))
team = Team(walker, 2)
assert team._pool.submit(os.getpid).result() != os.getpid()
print("at work", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_whom_they_work_for(repo):
    """Whatever has ended that, none stays and holds what CI waits for the end of."""
    put(repo, tree("demo"), "one")
    done = call(sys.executable, "-c", ENDED, repo)  # until nobody holds its output any more
    assert (done.returncode, done.stdout) == (-9, b"at work\n"), done.stderr


def test_tags_are_ordered_as_versions(repo):
    """The first release is the lowest version, a candidate before its release."""
    commit = put(repo, tree("demo"), "guard")
    for tag in ("v4.9", "v4.20", "v4.20-rc1", "v10.1", "next", "v4.20.1"):
        git(repo, "tag", tag)
    git(repo, "tag", "-d", "v4.9")
    with Repository.open(str(repo)) as repository:
        assert first_tag(repository, commit) == "v4.20-rc1"
        git(repo, "tag", "-d", "v4.20-rc1")
        assert first_tag(repository, commit) == "v4.20"


def test_jobs_split_a_short_history_too(repo, monkeypatch):
    """A few commits are work for several processes, and the cache is that of one."""
    for number, name in enumerate(["unguarded", "masked-word-gap", "demo", "role-regs-fixed"]):
        put(repo, tree(name), f"{number}")
    asked = []
    monkeypatch.setattr(
        workers.Team, "blocks", lambda self, pieces, paths: asked.extend(pieces) or iter(())
    )
    with pytest.raises(ValueError, match="shorter"):
        walked(repo, settings=Settings(cache=False, jobs=2))
    assert [len(part) for part, _ in asked] == [1, 1, 1, 1]


def test_what_is_open_and_since_when(repo):
    """What the newest commit misses is told with its paths and the commit to blame."""
    put(repo, tree("role-regs-fixed"), "start")
    put(repo, tree("demo"), "drop")
    (one,) = walked(repo).open
    assert (one.field, one.input, one.paths) == ("root_level", "EFER.LMA", ("npt", "tdp"))
    assert (one.since.subject, one.state) == ("drop", "gap")
    put(repo, tree("role-regs-fixed"), "bit")
    assert walked(repo).open == ()
    put(repo, tree("demo"), "drop again")
    (one,) = walked(repo, "HEAD^..").open
    assert one.since.subject == "drop again"
    put(repo, grown(tree("demo")), "unrelated")
    assert [one.since for one in walked(repo, "HEAD^..").open] == [None]


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self):
        """Claim it."""
        return True


class Clock:
    """Stands for the end of a run; lets a number of pauses go by first."""

    def __init__(self, pauses):
        self.pauses = pauses
        self.waited = []

    def wait(self, seconds):
        """Note how long was to be waited; at the last pause the run is over."""
        self.waited.append(seconds)
        return len(self.waited) > self.pauses

    def set(self):
        """Do nothing: the pauses run out."""


def test_progress_shows_from_the_second_second_on():
    """A run that ends within a second says nothing; a longer one draws and cleans up."""
    quick, stream = Clock(0), Terminal()
    with Progress("commits", stream, quick):
        pass
    assert (stream.getvalue(), quick.waited) == ("", [1.0])
    slow = Clock(2)
    progress = Progress("commits", stream, slow)
    progress(12, 45)
    with progress:
        progress._thread.join()
    drawn = stream.getvalue().split("\r\x1b[K")
    assert drawn[0] == drawn[-1] == ""
    assert drawn[1] == f"[{'#' * 8}{'.' * 22}] 12/45 commits"
    assert slow.waited[0] == 1.0 and all(len(one) < 80 for one in drawn)


def test_progress_without_a_total_counts():
    """Where nobody knows how much there is to do, what is done is counted."""
    for done, words in ((0, "looking for patches"), (3, "looking for patches, checks done: 3")):
        stream = Terminal()
        progress = Progress("checks", stream, Clock(1), looking="looking for patches")
        progress(done, 0)
        with progress:
            progress._thread.join()
        assert stream.getvalue().split("\r\x1b[K") == ["", words, ""]


def test_progress_is_for_terminals_only():
    """Into a file or a pipe nothing is drawn, however long it takes."""
    stream = io.StringIO()
    with Progress("commits", stream, Clock(5)) as progress:
        progress(1, 2)
    assert stream.getvalue() == ""


LEVELS = ("--fields", "root_level,shadow_root_level")


def test_command(repo, capsys):
    """The text has one flip a line and the Fixes line, the document the agreed keys."""
    put(repo, tree("role-regs-fixed"), "start")
    commit = put(repo, tree("demo"), "drop")
    git(repo, "tag", "v5.14")
    assert run(command, repo) == 1
    text = capsys.readouterr().out
    assert f'Fixes: {commit[:12]} ("drop")\n' in text
    assert "# 5.14+" in text
    assert run(command, repo, "--format", "json") == 1
    body = json.loads(capsys.readouterr().out)
    assert body["complete"] is True and body["introduced"]["commit"] == commit
    keys = {"commit", "subject", "date", "from", "to", "missing"}
    assert all(keys <= flip.keys() for flip in body["flips"])


def test_history_tells_each_input_when_it_opened_and_closed(repo, capsys, monkeypatch):
    """Every event has date, commit, release and paths; Fixes is for what is open."""
    monkeypatch.setenv("COLUMNS", "80")
    for name, subject, tag in [
        ("args-vs-vcpu-gap", "open two", "v5.1"),
        ("role-regs-fixed", "close all", "v5.2"),
        ("demo", "open one", "v5.3"),
    ]:
        put(repo, tree(name), subject)
        git(repo, "tag", tag)
    assert run(command, repo, *LEVELS) == 1
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines())
    parts = {part.split("\n")[0]: part.split("\n") for part in text.split("\n\n")}
    la57 = [line.split() for line in parts["CR4.LA57"]]
    day = "2024-01-02"
    assert la57[1][:2] == ["opened", day] and la57[1][3:] == ["v5.1", "tdp,", "npt,", "nested"]
    assert la57[2] == ["open", "two"]
    assert la57[3][:2] == ["closed", day] and la57[3][3] == "v5.2"
    assert len(la57) == 5
    assert "open on tdp and npt at the newest commit" in parts["EFER.LMA"][-1]
    start = git(repo, "rev-parse", "v5.3")[:12]
    assert [line for line in text.splitlines() if line.startswith("Fixes:")] == [
        f'Fixes: {start} ("open one")'
    ]
    assert run(command, repo, "v5.2", *LEVELS) == 0
    text = capsys.readouterr().out
    assert "Fixes:" not in text and "Cc:" not in text and "closed" in text
    assert run(command, repo, "v5.2", *LEVELS, "--format", "json") == 0
    body = json.loads(capsys.readouterr().out)
    assert body["introduced"]["subject"] == "open two" and body["introduced"]["fixes"] is None
    la57 = next(one for one in body["inputs"] if one["input"] == "CR4.LA57")
    assert [one["event"] for one in la57["events"]] == ["opened", "closed"]
    assert [one["tag"] for one in la57["events"]] == ["v5.1", "v5.2"]
    assert (la57["open"], la57["since"]) == ([], None)


def test_fields_with_one_history_are_told_together(repo, capsys):
    """What happened alike to an input of several fields stands once, with all of them."""
    put(repo, tree("vcpu-masks-gap"), "gap")
    put(repo, tree("role-regs-fixed"), "fixed")
    assert run(command, "--fields", "all", repo) == 0
    text = capsys.readouterr().out
    titles = re.findall(r"^EFER\.LMA \((.*)\)$", text, re.MULTILINE)
    named = [field for title in titles for field in title.split(", ")]
    assert len(named) == len(set(named)) and len(titles) < len(named)
    assert run(command, "--fields", "all", repo, "--format", "json") == 0
    body = json.loads(capsys.readouterr().out)
    assert {one["field"] for one in body["inputs"] if one["input"] == "EFER.LMA"} == set(named)


def test_a_range_the_wrong_way_round_is_refused(repo, capsys):
    """A range without a commit in it tells nothing of any; one of one commit is what it is."""
    put(repo, tree("demo"), "start")
    put(repo, tree("role-regs-fixed"), "close")
    git(repo, "tag", "v1", "HEAD^")
    with pytest.raises(UsageError, match=r"^HEAD\.\.v1 holds no commit, .* mean v1\.\.HEAD\?$"):
        run(command, repo, "HEAD..v1")
    assert run(command, repo, "v1..HEAD") == 0
    assert run(command, repo, "HEAD..HEAD") == 0


@pytest.mark.parametrize(
    ("name", "status"),
    [("demo", 1), ("role-regs-fixed", 0), ("unguarded", 0), ("broken-syntax", 3)],
)
def test_status_of_history(repo, capsys, name, status):
    """The status tells the verdict at the newest commit, as it does elsewhere."""
    put(repo, tree("demo"), "start")
    put(repo, tree(name), "newest")
    assert run(command, repo) == status


@pytest.mark.parametrize(("which", "words"), [(command, []), (table, ["v5.14"])])
def test_a_folder_without_history(tmp_path, which, words):
    """The advice names no option that the command does not have."""
    with pytest.raises(InputError, match=r"is not in a git repository; give a folder") as told:
        run(which, tmp_path, *words)
    assert "--rev" not in str(told.value)


def test_a_range_alone_is_one_of_this_folder(repo, capsys, monkeypatch):
    """A..B in the place of a tree is a range here; a folder of that name is a folder."""
    put(repo, tree("role-regs-fixed"), "start")
    put(repo, tree("demo"), "drop")
    monkeypatch.chdir(repo)
    for given in ("HEAD^..HEAD", "HEAD^..", "..HEAD"):
        assert run(command, given) == 1
    out = capsys.readouterr().out
    assert out.count("\nFixes: ") == 2, "the last range is empty"
    (repo / "arch" / "x86" / "a..b").mkdir()
    monkeypatch.chdir(repo / "arch" / "x86")
    with pytest.raises(InputError):
        run(command, "../nowhere")
    assert run(command, "../..") == 1
    assert command._places("a..b", None) == ("a..b", None)


def test_matrix_and_history_share_a_cache(repo, capsys, monkeypatch, tmp_path):
    """What one of them decided, the other does not decide again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    put(repo, tree("masked-word-gap"), "guard")
    put(repo, tree("demo"), "rewrite")
    assert run(table, repo, "HEAD^", "HEAD") == 1
    text = capsys.readouterr().out
    assert walked(repo, settings=Settings()).counts.decided == 0
    monkeypatch.setattr(rule, "check", lambda *_: pytest.fail("decided again"))
    assert run(table, repo, "HEAD^", "HEAD") == 1
    assert capsys.readouterr().out == text


def test_matrix_in_several_processes(repo, capsys):
    """Several processes find what one finds."""
    for name in ("unguarded", "demo", "role-regs-fixed"):
        put(repo, tree(name), name)
    revs = ("HEAD~2", "HEAD~1", "HEAD", "HEAD~1")
    found = []
    for jobs in (1, 2):
        assert run(table, repo, *revs, "--no-cache", "--jobs", jobs, "--format", "json") == 1
        found.append(capsys.readouterr().out)
    assert found[0] == found[1]


@pytest.mark.parametrize("width", [80, 120])
def test_matrix_fits_the_terminal(repo, capsys, monkeypatch, width):
    """No line is wider than the terminal, no word is split, and the paths are explained."""
    monkeypatch.setenv("COLUMNS", str(width))
    put(repo, tree("args-vs-vcpu-gap"), "gap")
    git(repo, "tag", "v5.10.200-rc1")
    assert run(table, repo, "v5.10.200-rc1", *LEVELS) == 1
    text = capsys.readouterr().out
    assert all(len(line) <= width for line in text.splitlines())
    row = text.partition("\n\n")[0]
    assert row.count("EFER.LMA") == 3 and row.count("CR4.LA57") == 3
    assert all(f"\n  {name} " in text for name in ("tdp", "soft", "npt", "ept", "nested"))


def rows_of(repo, capsys, *revs):
    """Return what is wrong in some revisions, by path, field and name, as the document has it."""
    run(table, repo, *revs, "--fields", "all", "--format", "json")
    return [
        {(one["path"], one["field"], name) for one in row["paths"] for name in one["missing"]}
        for row in json.loads(capsys.readouterr().out)["rows"]
    ]


def test_a_set_up_that_only_adds_is_said_to(repo, capsys):
    """To keep old bits is told apart from a missing input, and from a store that is left out."""
    put(repo, tree("vcpu-masks-gap"), "gap")
    (found,) = rows_of(repo, capsys, "HEAD")
    kept = {path for path, field, name in found if (field, name) == ("pkru_mask", OLD_BITS)}
    stale = {path for path, field, name in found if (field, name) == ("pkru_mask", "EFER.LMA")}
    assert kept and kept == stale
    assert all("not stored" not in name for _, _, name in found)
    assert run(command, "--fields", "all", repo) == 1
    parts = capsys.readouterr().out.split("\n\n")
    told = next(part for part in parts if part.startswith("pkru_mask: old bits kept\n"))
    assert told.splitlines()[1].split()[3:] == ", ".join(ordered(kept)).split()


@pytest.mark.parametrize("width", [80, 120])
def test_matrix_of_all_fields_names_them(repo, capsys, monkeypatch, width):
    """The table has the verdicts, and below it stands each field with what is wrong with it."""
    monkeypatch.setenv("COLUMNS", str(width))
    put(repo, tree("vcpu-masks-gap"), "gap")
    put(repo, tree("role-regs-fixed"), "fixed")
    git(repo, "tag", "v5.10.200-rc1", "HEAD^")
    revs = ("v5.10.200-rc1", "HEAD")
    wrong, _ = rows_of(repo, capsys, *revs)
    assert run(table, repo, *revs, "--fields", "all") == 1
    text = capsys.readouterr().out
    assert all(len(line) <= width for line in text.splitlines())
    first, listed, *_ = text.split("\n\n")
    cells = [line.split()[2:] for line in first.splitlines()[1:]]
    assert {word for row in cells for word in row} <= {"gap", "covered", "-"}
    assert listed.startswith("v5.10.200-rc1:\n")
    told, name = set(), ""
    for line in re.sub(r"\n {8}", " ", listed).splitlines()[1:]:
        if not line.startswith("    "):
            name = line.strip()
            continue
        paths, fields = (part.split(", ") for part in line.strip().split(": "))
        told |= {(path, field, name) for path in paths for field in fields}
    assert told == {(path, field, name.strip("()")) for path, field, name in wrong}


def test_matrix(repo, capsys):
    """One row for each revision, and the worst verdict as exit status."""
    put(repo, tree("unguarded"), "old")
    put(repo, tree("demo"), "gap")
    put(repo, tree("role-regs-fixed"), "fixed")
    assert run(table, repo, "HEAD~2", "HEAD") == 0
    capsys.readouterr()
    assert run(table, repo, "HEAD~2", "HEAD~1", "HEAD", *LEVELS) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[2:] == ["verdict", "tdp", "soft", "npt", "ept", "nested"]
    assert lines[2].split()[2:] == ["gap", "EFER.LMA", "covered", "EFER.LMA", "covered", "covered"]
    assert run(table, repo, "HEAD~1", "--format", "json") == 1
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["verdict"] == "gap"
    with pytest.raises(InputError):
        run(table, repo, "nowhere")


# -- slices ----------------------------------------------------------------------------------


def test_the_recorder_knows_every_question():
    """A question that the index learns has to be noted, or walks go wrong in silence."""
    every = {**vars(Texts), **vars(Index)}
    public = {name for name in every if not name.startswith("_")}
    noted = {name for name in vars(Recorder) if not name.startswith("_")} - {"lens", "part"}
    # Paths are kept as such, and what a scope is follows from the includes; comments
    # only ever narrow down which texts are looked at.
    noted -= {"raw", "text", "file", "words_in", "calls_in", "notes", "take"}
    assert public - noted == {
        "asked",
        "notes",
        "take",
        "raw",
        "text",
        "words_in",
        "calls_in",
        "original",
        "file",
        "own_files",
        "scope",
        "included",
        "unfound",
        "generated",
        "compiled_with",
        "taken_in_by",
        "compiled_by",
        "texts_with",  # of what own_with finds
        "files_with",
    }
    assert noted <= public


LENS = Lens(
    functions=frozenset({"wanted"}), macros=frozenset({"LEVEL"}), used=frozenset({"caller"}),
    stored=frozenset({"ops"}), members=frozenset({"my_role"}), roles=frozenset({"my_role"}),
    reaching=frozenset({"writer"}), declared=frozenset({"enabled"}),
)  # fmt: skip
TEXT = b"""#include <a.h>
#define LEVEL 4
static bool enabled;
int wanted(void)
{
\treturn LEVEL;
}

int other(void)
{
\treturn 5;
}
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (b"return 5", b"return 6", True),
        (b"return 5", b"writer(); return 5", False),
        (b"return 5", b"caller(); return 5", False),
        (b"return 5", b"a->ops = b; return 5", False),
        (b"return 5", b"return a->ops", True),
        (b"return 5", b"a->my_role = 1; return 5", False),
        (b"return 5", b"return a->my_role.x", True),
        (b"return LEVEL", b"return 3", False),
        (b"LEVEL 4", b"LEVEL 5", False),
        (b"#define LEVEL", b"#define OTHER 1\n#define LEVEL", True),
        (b"a.h", b"b.h", False),
        (b"static bool enabled", b"static bool enabled __read_mostly", False),
        (b"static bool enabled", b"static int unheard_of;\nstatic bool enabled", True),
        (b"int other", b"#ifdef X\nint other", False),
        (b"\treturn 5;\n", b"\tif (x) {\n}\n\treturn 5;\n", False),
        (b"int other", b"/* a comment */\nint other", True),
        (b"int other", b"/* int other", False),
        (b"int other(void)", b"int wanted(void)", False),
        (b"int other", b"int third(void)\n{\n}\nint other", True),
    ],
)
def test_what_a_lens_sees(old, new, same):
    """A change counts where it touches what was asked for, and nowhere else."""
    slicer = Slicer(LENS, KVM)
    before = slicer.slice("arch/x86/kvm/a.c", TEXT)
    after = slicer.slice("arch/x86/kvm/a.c", TEXT.replace(old, new))
    assert TEXT.replace(old, new) != TEXT
    assert (before.digest == after.digest) is same


def test_a_brace_at_the_start_of_a_line_hides_nothing():
    """Where braces inside a function stand at the start of a line, all of it counts."""
    slicer = Slicer(LENS, KVM)
    text = b"int wanted(void)\n{\n\tif (x) {\n}\n\tif (y) {\n\t\tz = 1;\n}\n\treturn 1;\n}\n"
    one = slicer.slice("a.c", text)
    assert one.digest != slicer.slice("a.c", text.replace(b"z = 1", b"z = 2")).digest


def test_pieces_are_let_go_of_where_they_are_many(monkeypatch):
    """A long history keeps no more of its text than is allowed, and sees the same without."""
    monkeypatch.setattr(lens, "_MOST", len(TEXT))
    slicer = Slicer(LENS, KVM)
    found = [slicer.slice("arch/x86/kvm/a.c", TEXT.replace(b"5", b"%d" % n)) for n in range(9)]
    assert sum(len(piece.raw) for piece in slicer._pieces.values()) <= len(TEXT)
    parsed = slicer.parsed
    assert slicer.slice("arch/x86/kvm/a.c", TEXT.replace(b"5", b"0")) == found[0]
    assert slicer.parsed > parsed


def test_more_names_see_more():
    """The union of two lenses sees what either sees, and costs nothing where it is the same."""
    assert LENS.union(LENS) is LENS
    other = LENS._replace(functions=frozenset({"other"}))
    both = LENS.union(other)
    assert both.functions == {"wanted", "other"} and both.macros == LENS.macros


def test_two_ways_of_one_path_are_one_cell():
    """It misses what either of them misses, and has the worse of their verdicts."""

    def context(entry, verdict, *missing):
        result = FieldResult("root_level", "root_level", verdict, missing=missing)
        return Context("init_kvm_tdp_mmu", "root_mmu", (entry,), Place(MAIN, 1), (result,))

    ways = [context("one", "gap", "A"), context("two", "gap", "B"), context("three", "covered")]
    for some in permutations(ways):
        (cell,) = outcome_of(Report("tree", None, some, verdict="gap")).cells
        assert (cell.path, cell.verdict, cell.missing) == ("tdp", "gap", ("A", "B"))


def test_store(tmp_path):
    """What is kept comes back, what is damaged does not, and nowhere is no error."""
    store = Store(tmp_path)
    store.put("kind", "a", [1, "x"])
    assert store.get("kind", "a") == [1, "x"] and store.all("kind") == [[1, "x"]]
    kept = tmp_path / "kind" / "a"
    kept.write_bytes(kept.read_bytes().replace(b"[1", b"[2"))
    assert store.get("kind", "a") is None and store.all("kind") == []
    Store(None).put("kind", "a", 1)
    assert Store(None).get("kind", "a") is None
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize(
    "name", ["c/scan.py", "proof/bdd.py", "history/walker.py", "c/lower/calls.py"]
)
def test_another_engine_has_another_cache(tmp_path, monkeypatch, name):
    """What an older engine found is not taken for the answer of this one."""
    package = tmp_path / "patchtool"
    shutil.copytree(cache.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(cache.PACKAGE.parent / "queries", tmp_path / "queries")
    monkeypatch.setattr(cache, "PACKAGE", package)
    before = cache.engine()
    assert before == cache.engine()
    (package / name).write_text((package / name).read_text("utf-8") + "# changed\n", "utf-8")
    assert cache.engine() != before
