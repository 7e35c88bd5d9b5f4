# SPDX-License-Identifier: GPL-2.0-only
"""The door to git: right objects, nobody's settings, no traces, plain sentences."""

import os
import subprocess
import sys

import pytest
from scratch import commit, git, repository

from patchtool.errors import InputError
from patchtool.outside import git as room
from patchtool.outside.git import Missing, Repository, TooLarge


@pytest.fixture
def top(tmp_path):
    """Return a repository of two commits."""
    files = {"arch/x86/a.c": b"1\n", "arch/x86/b.c": b"2\n", "Makefile": b"", "link": "Makefile"}
    where = repository(tmp_path / "top", files)
    (where / "arch/x86/a.c").write_bytes(b"changed\n")
    commit(where, "second")
    return where


@pytest.fixture
def opened(top):
    """Return that repository, opened."""
    with Repository.open(str(top)) as found:
        yield found


def test_resolve_agrees_with_git(top, opened):
    """Names of every kind lead to the commit that git names."""
    git(top, "tag", "--annotate", "--message", "x", "v1", "HEAD~1")
    head, before = git(top, "rev-parse", "HEAD"), git(top, "rev-parse", "HEAD~1")
    names = ("HEAD", "main", head, head[:10], "v1", "HEAD^")
    assert [opened.resolve(name) for name in names] == [head, head, head, head, before, before]


@pytest.mark.parametrize("rev", ["--output=x", "-h", ""])
def test_an_option_is_no_revision(opened, rev):
    """What git could take for an option is not given to it."""
    with pytest.raises(InputError, match="is not the name of a revision; give a commit"):
        opened.resolve(rev)


@pytest.mark.parametrize(
    "rev", ["a\nb", "a\0b", "HEAD~9", "HEAD:Makefile", "HEAD^{tree}", "A..B", "HEAD HEAD"]
)
def test_what_is_no_commit_is_refused(opened, rev):
    """Lists and names of other things are no revisions."""
    with pytest.raises(InputError) as caught:
        opened.resolve(rev)
    assert "\n" not in str(caught.value)


def test_an_ambiguous_revision_is_told(top, opened):
    """A short id that fits several commits asks for more digits."""
    seen = {}
    for number in range(400):
        name = git(top, "commit-tree", "-m", str(number), "HEAD^{tree}")
        if name[:4] in seen:
            break
        seen[name[:4]] = name
    else:
        pytest.fail("no two ids with the same start")
    with pytest.raises(InputError, match="is ambiguous; give more of its digits"):
        opened.resolve(name[:4])


def test_blobs_come_by_path_and_by_id(top, opened):
    """A blob is the same by path at a revision and by its id."""
    assert opened.blob("HEAD", "arch/x86/a.c") == b"changed\n"
    assert opened.blob(opened.resolve("HEAD~1"), "arch/x86/a.c") == b"1\n"
    oid = git(top, "rev-parse", "HEAD~1:arch/x86/a.c")
    assert opened.entry("HEAD~1", "arch/x86/a.c").oid == oid
    assert opened.blob_by_id(oid) == b"1\n"
    assert opened.blob("HEAD", "Makefile") == b""
    assert opened.blob("HEAD", "arch") is None
    assert opened.blob("HEAD", "arch/x86/none.c") is None
    assert opened.blob("HEAD", "Makefile/x") is None


def test_what_was_read_is_kept_until_it_is_forgotten(top, opened, monkeypatch):
    """A tree is asked for once, unless a long walk lets go of it."""
    asked = []
    real = opened._object
    monkeypatch.setattr(opened, "_object", lambda *one: asked.append(one[1]) or real(*one))
    for _ in range(2):
        opened.entry("HEAD", "arch/x86/a.c")
    assert asked == ["commit", "tree", "tree", "tree"]
    opened.forget()
    opened.entry("HEAD", "arch/x86/a.c")
    assert asked == 2 * ["commit", "tree", "tree", "tree"]


@pytest.mark.parametrize(
    "data",
    [b"x", b"100644 a", b"100644 a\0", b"9 a\0" + bytes(20), b"\xff a\0" + bytes(20)],
)
def test_a_tree_that_git_did_not_write_is_told(top, opened, data):
    """Git hands out what somebody put there as a tree, whatever it holds."""
    words = ("hash-object", "-t", "tree", "-w", "--literally", "--stdin")
    oid = git(top, *words, data=data)
    with pytest.raises(InputError, match=f"git cannot read object {oid}; try `git fsck`"):
        opened.tree(oid)
    assert opened.blob("HEAD", "Makefile") == b""


def test_an_oversized_blob_does_not_spoil_the_stream(opened):
    """After a blob beyond the limit, a wrong kind or a missing object, reading goes on."""
    oid = opened.entry("HEAD", "arch/x86/a.c").oid
    with pytest.raises(TooLarge):
        opened.blob_by_id(oid, limit=3)
    assert opened.blob_by_id(oid, limit=8) == b"changed\n"
    with pytest.raises(Missing, match="is missing from the repository"):
        opened.blob_by_id("0" * 39 + "1")
    assert opened.blob_by_id(oid) == b"changed\n"
    with pytest.raises(InputError, match="is a commit, not a blob"):
        opened.blob_by_id(opened.resolve("HEAD"))
    with pytest.raises(InputError, match="is not the id of an object"):
        opened.blob_by_id(f"{oid}\n{oid}")
    assert opened.blob_by_id(oid) == b"changed\n"


def test_one_process_reads_all(opened, monkeypatch):
    """Blobs of many revisions come over one process."""
    started = []
    real = subprocess.Popen.__init__

    def count(self, args, **rest):
        started.append(args)
        real(self, args, **rest)

    head, before = opened.resolve("HEAD"), opened.resolve("HEAD~1")
    monkeypatch.setattr(subprocess.Popen, "__init__", count)
    for rev in (head, before):
        opened.blob(rev, "arch/x86/a.c")
        opened.blob(rev, "missing.c")
    assert [args[-2:] for args in started] == [["cat-file", "--batch"]]


def test_a_closed_repository_opens_again(opened):
    """After close the next read starts a new process."""
    oid = opened.entry("HEAD", "arch/x86/a.c").oid
    opened.close()
    assert opened.blob_by_id(oid) == b"changed\n"


def test_where_it_is(top, tmp_path, opened):
    """The top, the git folder and the place inside are known, in every kind of checkout."""
    assert (opened.top, opened.git_dir, opened.prefix) == (str(top), str(top / ".git"), "")
    assert not opened.bare
    below = Repository.open(str(top / "arch/x86"))
    assert (below.top, below.prefix) == (str(top), "arch/x86")
    assert below.blob("HEAD", "arch/x86/b.c") == b"2\n"
    git(tmp_path, "clone", "--quiet", "--bare", str(top), "bare.git")
    bare = Repository.open(str(tmp_path / "bare.git"))
    assert (bare.top, bare.prefix, bare.bare) == (None, "", True)
    git(top, "worktree", "add", "--quiet", str(tmp_path / "linked"), "HEAD~1")
    linked = Repository.open(str(tmp_path / "linked"))
    assert linked.top == str(tmp_path / "linked")
    assert linked.blob("HEAD", "arch/x86/a.c") == b"1\n"
    assert linked.run("status", "--porcelain") == ""


def test_kinds_of_clones(top, tmp_path, opened):
    """Shallow and partial clones are told from whole ones."""
    git(top, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--depth=1", top.as_uri(), "shallow")
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", top.as_uri(), "partial")
    shallow, partial = (Repository.open(str(tmp_path / name)) for name in ("shallow", "partial"))
    kinds = [(found.is_shallow, found.is_partial) for found in (opened, shallow, partial)]
    assert kinds == [(False, False), (True, False), (False, True)]


def test_nothing_is_fetched_even_by_an_old_git(top, tmp_path, monkeypatch):
    """A git that does not know how to be told not to fetch has no transport to do it."""
    git(top, "config", "uploadpack.allowFilter", "true")
    clone = ["clone", "--quiet", "--no-checkout", "--filter=blob:none"]
    git(tmp_path, *clone, top.as_uri(), "partial")
    monkeypatch.delitem(room._ALWAYS, "GIT_NO_LAZY_FETCH")
    with Repository.open(str(tmp_path / "partial")) as found, pytest.raises(Missing):
        found.blob("HEAD", "arch/x86/a.c")


def test_variables_of_another_repository_do_not_count(top, tmp_path, monkeypatch):
    """Run from a hook of one repository, another one is read right."""
    other = repository(tmp_path / "other", {"o.c": b"other\n"})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    with Repository.open(str(top)) as found:
        assert found.blob("HEAD", "arch/x86/b.c") == b"2\n"
        assert found.run("ls-files").split()[0] == "Makefile"
        assert found.run("status", "--porcelain") == ""
    assert os.environ["GIT_DIR"] == str(other / ".git")


def test_the_index_of_a_commit_hook_counts(top, monkeypatch):
    """A hook of this very repository sees the index that will be committed."""
    monkeypatch.chdir(top)
    for name in (str(top / ".git/next-index"), ".git/next-index"):
        monkeypatch.setenv("GIT_INDEX_FILE", name)
        git(top, "read-tree", "--empty")
        with Repository.open(str(top)) as found:
            assert found.run("ls-files") == ""


def test_paths_count_from_the_top(top, tmp_path, monkeypatch):
    """Wherever the person stands, paths given to git mean the same."""
    for where in (top / "arch", tmp_path):
        monkeypatch.chdir(where)
        for tree in (top, top / "arch/x86"):
            with Repository.open(str(tree)) as found:
                assert found.run("ls-files", "--", "Makefile", "x86") == "Makefile\n"


def test_settings_of_the_person_do_not_reach_git(top, tmp_path, monkeypatch):
    """Aliases, colours, pagers, hooks and monitors change nothing."""
    trap = tmp_path / "trap"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {trap}\n")
    script.chmod(0o755)
    config = tmp_path / "config"
    config.write_text(
        f"[color]\n\tui = always\n[core]\n\tpager = {script}\n\tfsmonitor = {script}\n"
        f"\tquotePath = false\n[log]\n\tdecorate = full\n[diff]\n\tnoprefix = true\n"
        "[format]\n\tpretty = oneline\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    git(top, "config", "core.fsmonitor", str(script))
    (top / "Makefile").write_bytes(b"edited\n")
    with Repository.open(str(top)) as found:
        assert found.run("status", "--porcelain") == " M Makefile\n"
        assert found.run("diff").startswith("diff --git a/Makefile b/Makefile\n")
        assert found.run("log", "-1").startswith("commit ")
    assert not trap.exists()


def test_a_setting_is_read_from_the_person(opened, tmp_path, monkeypatch):
    """The name to sign with comes from the person's own configuration."""
    assert opened.setting("user.name") == "A Tester"
    assert opened.setting("no.such") is None


def test_reading_leaves_no_trace(top, opened):
    """Reading and asking for the status writes nothing into the repository."""

    def state():
        return {path: path.stat().st_mtime_ns for path in (top / ".git").rglob("*")}

    (top / "Makefile").touch()
    before = state()
    opened.run("status", "--porcelain")
    opened.blob("HEAD", "Makefile")
    assert state() == before


def test_odd_names_of_folders(tmp_path, monkeypatch):
    """Dollars, tildes and spaces in the name of a folder mean themselves."""
    monkeypatch.setenv("X", "elsewhere")
    where = repository(tmp_path / "$X ~ b", {"-n.c": b"1\n"})
    with Repository.open(str(where)) as found:
        assert found.blob("HEAD", "-n.c") == b"1\n"
        assert found.top == str(where)


def test_commands_that_fail_are_told(opened):
    """A failing command is an error of one sentence with git's reason."""
    with pytest.raises(InputError, match=r"git log failed: .*nonsense") as caught:
        opened.run("log", "--end-of-options", "nonsense")
    assert "\n" not in str(caught.value)


def test_a_repository_of_someone_else_is_told(top, monkeypatch):
    """Where git refuses another user's repository, the sentence says how to trust it."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(InputError, match=r"belongs to another user; .*safe\.directory"):
        Repository.open(str(top))


def test_a_trusted_repository_of_someone_else_is_read(top, monkeypatch):
    """What the person's configuration vouches for is read."""
    git(top, "config", "--global", "safe.directory", str(top))
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    try:
        with Repository.open(str(top)) as found:
            assert found.blob("HEAD", "Makefile") == b""
    finally:
        git(top, "config", "--global", "--unset", "safe.directory")


def test_without_git_a_sentence(top, tmp_path):
    """Where no git is installed, the error says so."""
    code = (
        "import os\nfrom patchtool.outside.git import Repository\n"
        "from patchtool.errors import InputError\n"
        f"os.environ['PATH'] = {str(tmp_path)!r}\n"
        f"try:\n    Repository.open({str(top)!r})\nexcept InputError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("git is not installed"), done.stderr


def test_sha256_repositories_are_read(tmp_path):
    """A repository with long object ids is read like any other."""
    top = tmp_path / "long"
    top.mkdir()
    git(top, "init", "--quiet", "--object-format=sha256")
    repository(top, {"arch/a.c": b"1\n"})
    with Repository.open(str(top)) as found:
        assert len(found.resolve("HEAD")) == 64
        assert found.blob("HEAD", "arch/a.c") == b"1\n"
