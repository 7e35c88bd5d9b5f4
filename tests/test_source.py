# SPDX-License-Identifier: GPL-2.0-only
"""The same bytes come back whichever way a tree is kept, and bad input is told in a sentence."""

import os
import re
import subprocess
import sys

import pytest
from scratch import commit, fill, git, repository

from patchtool.errors import InputError, PatchError, UsageError
from patchtool.outside import source
from patchtool.outside import source as room
from patchtool.outside.reach import over
from patchtool.outside.source import Overlay, Revision, WorkTree, open_source, read_patch

MMU = b"int init_kvm_tdp_mmu(void)\n{\n\treturn 0;\n}\n"

FILES = {
    "Makefile": b"VERSION = 6\n",
    "arch/x86/kvm/mmu/mmu.c": MMU,
    "arch/x86/kvm/mmu/latin.c": b"/* caf\xe9 */\n",
    "arch/x86/kvm/mmu/dos.c": b"int a;\r\nint b;\r\n",
    "arch/x86/kvm/mmu/open.c": b"no line end",
    "arch/x86/kvm/empty.c": b"",
    "arch/x86/kvm/name \xc3\xbc.c".encode("latin-1").decode("utf-8"): b"umlaut\n",
    "include/link.h": "../arch/x86/kvm/mmu/mmu.c",
    "include/round.h": "again.h",
    "include/again.h": "round.h",
    "include/away.h": "../../outside.h",
    "include/absolute.h": "/nowhere/outside.h",
    "include/nowhere.h": "missing.h",
    "include/folder": "../arch/x86/kvm/mmu",
}

REGULAR = {name: data for name, data in FILES.items() if isinstance(data, bytes)}

KINDS = ["directory", "revision", "branch", "bare", "shallow", "partial", "nested", "overlay"]


def _worktree(tmp_path):
    fill(tmp_path / "tree", FILES)
    return tmp_path / "tree"


@pytest.fixture(params=KINDS)
def tree(request, tmp_path):
    """Return the same tree, kept in one way or another."""
    (tmp_path / "outside.h").write_bytes(b"not for you\n")
    if request.param == "directory":
        found = open_source(str(_worktree(tmp_path)))
    elif request.param == "overlay":
        fill(tmp_path / "tree", FILES)
        (tmp_path / "tree/Makefile").write_bytes(b"old\n")
        (tmp_path / "tree/arch/x86/kvm/gone.c").write_bytes(b"gone\n")
        (tmp_path / "tree/arch/x86/kvm/empty.c").unlink()
        edits = {
            "Makefile": FILES["Makefile"],
            "arch/x86/kvm/gone.c": None,
            "arch/x86/kvm/empty.c": b"",
        }
        found = Overlay(WorkTree(str(tmp_path / "tree")), edits)
    else:
        found = _kept_by_git(request.param, tmp_path)
    yield found
    found.close()


def _kept_by_git(kind, tmp_path):
    below = "linux/" if kind == "nested" else ""
    top = repository(tmp_path / "origin", {f"{below}{k}": v for k, v in FILES.items()})
    # Line ends are converted in this checkout, and must not be in what is read.
    (top / ".gitattributes").write_text("*.c text eol=crlf\n")
    first = git(top, "rev-parse", "HEAD")
    (top / below / "Makefile").write_bytes(b"changed later\n")
    (top / below / "arch/x86/kvm/mmu/mmu.c").unlink()
    commit(top, "second")
    git(top, "config", "uploadpack.allowFilter", "true")
    git(top, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(top, "branch", "old", first)
    clone = ["clone", "--quiet", "--branch", "old"]
    url = top.as_uri()
    if kind == "bare":
        git(tmp_path, "clone", "--quiet", "--bare", url, "bare.git")
        return open_source(str(tmp_path / "bare.git"), "old")
    if kind == "shallow":
        git(tmp_path, *clone, "--depth=1", url, "shallow")
        return open_source(str(tmp_path / "shallow"), "HEAD")
    if kind == "partial":
        git(tmp_path, *clone, "--filter=blob:none", url, "partial")
        return open_source(str(tmp_path / "partial"), "HEAD")
    return open_source(
        str(top / below) if below else str(top), "old" if kind == "branch" else first
    )


def test_every_file_has_the_same_bytes(tree):
    """Every way of keeping a tree gives back the bytes that were put in."""
    assert {name: tree.read(name) for name in REGULAR} == REGULAR


def test_walk_lists_the_same_files(tree):
    """All files are listed in order, links to files too, folders behind links not."""
    expected = tuple(sorted([*REGULAR, "include/link.h"]))
    found = tuple(name for name in tree.walk("") if name != ".gitattributes")
    assert found == expected
    below = tuple(name for name in expected if name.startswith("arch/x86/kvm/mmu/"))
    assert tree.walk("arch/x86/kvm/mmu") == below
    assert tree.walk("arch/x86/kvm/mmu/") == below


def test_what_is_not_there_is_none_or_empty(tree):
    """A file or folder that is not there is no error."""
    assert tree.read("arch/x86/kvm/svm.c") is None
    assert tree.read("arch/arm/kvm/mmu.c") is None
    assert tree.read("Makefile/below") is None
    assert tree.read("include/nowhere.h") is None
    assert tree.read("include/nowhere.h/below") is None
    assert tree.walk("arch/arm") == ()
    assert tree.walk("Makefile") == ()


def test_links_are_followed_inside_the_tree(tree):
    """A link to a file or a folder of the tree gives what it leads to."""
    assert tree.read("include/link.h") == MMU
    assert tree.read("include/folder/mmu.c") == MMU
    assert tree.walk("include/folder")[-1] == "include/folder/open.c"


def test_detours_in_a_path_are_harmless(tree):
    """A path with dots means the file that it names."""
    assert tree.read("arch/x86/./kvm/../../../Makefile") == FILES["Makefile"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("include/round.h", "include/round.h in .* leads in a circle"),
        ("include/away.h", "include/away.h in .* leads out of the tree"),
        ("include/absolute.h", r"include/absolute.h in .* leads out of the tree"),
        ("../outside.h", r"\.\./outside.h in .* leads out of the tree"),
        ("arch/../../outside.h", "leads out of the tree"),
        ("/etc/hostname", "leads out of the tree"),
        ("arch/x86/kvm", "arch/x86/kvm in .* is a directory where a file should be"),
        ("", "the top folder in .* is a directory"),
        ("a\0b", "NUL"),
    ],
)
def test_what_cannot_be_read_is_told(tree, path, sentence):
    """What is there and cannot be read is an error of one sentence."""
    with pytest.raises(InputError, match=sentence) as caught:
        tree.read(path)
    assert "\n" not in str(caught.value)


def test_a_huge_file_is_refused(tmp_path, monkeypatch):
    """A file beyond the limit is refused on disk and in a revision, the next is read."""
    monkeypatch.setattr(room, "MAX_FILE", 16)
    top = repository(tmp_path / "top", {"big.c": b"x" * 17, "fits.c": b"y" * 16})
    for kept in (open_source(str(top)), open_source(str(top), "HEAD")):
        with pytest.raises(InputError, match=r"big\.c in .* is larger than"):
            kept.read("big.c")
        assert kept.read("fits.c") == b"y" * 16
        kept.close()


def test_a_pipe_is_refused(tmp_path):
    """A named pipe is an error and does not block."""
    os.mkfifo(tmp_path / "pipe.c")
    with pytest.raises(InputError, match="not a regular file"):
        WorkTree(str(tmp_path)).read("pipe.c")


def test_a_forbidden_file_is_told(tmp_path, monkeypatch):
    """A file or folder that may not be read is named with the reason."""

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    fill(tmp_path, {"arch/a.c": b""})
    kept = WorkTree(str(tmp_path))
    monkeypatch.setattr(room.os, "open", refuse)
    monkeypatch.setattr(room.os, "scandir", refuse)
    with pytest.raises(InputError, match=r"arch/a\.c in .* cannot be read: permission denied"):
        kept.read("arch/a.c")
    with pytest.raises(InputError, match=r"arch in .* cannot be read: permission denied"):
        kept.walk("arch")


def test_nested_repositories_are_not_walked(tmp_path):
    """The inside of a .git folder is no part of the tree."""
    top = repository(tmp_path / "top", {"a.c": b""})
    assert open_source(str(top)).walk("") == ("a.c",)


def test_labels_and_revisions(tmp_path):
    """A source knows the name that the person gave and the full id it reads."""
    top = repository(tmp_path / "top", {"a.c": b""})
    plain, revision = open_source(str(top)), open_source(str(top), "HEAD")
    assert (plain.label, plain.rev, plain.kind) == (str(top), None, "directory")
    assert revision.label == str(top)
    assert revision.rev == git(top, "rev-parse", "HEAD")
    assert revision.kind == f"revision {revision.rev[:12]}"
    over = Overlay(revision, {})
    assert (over.label, over.rev) == (revision.label, revision.rev)
    revision.close()


def test_an_overlay_lists_and_hides_its_edits(tmp_path):
    """An overlay adds, replaces and takes away files, below the right folder only."""
    fill(tmp_path, {"a/x.c": b"1", "a/y.c": b"2", "b/z.c": b"3"})
    kept = Overlay(WorkTree(str(tmp_path)), {"a/x.c": None, "a/n.c": b"4", "ab.c": b"5"})
    assert kept.walk("a") == ("a/n.c", "a/y.c")
    assert kept.walk("") == ("a/n.c", "a/y.c", "ab.c", "b/z.c")
    assert kept.read("a/x.c") is None
    assert kept.read("a/n.c") == b"4"
    assert (tmp_path / "a/x.c").read_bytes() == b"1"


def test_the_checkout_is_not_looked_at(tmp_path):
    """A revision is read from the repository, whatever lies in the work tree."""
    top = repository(tmp_path / "top", {"a.c": b"committed\n"})
    (top / "a.c").write_bytes(b"edited\n")
    (top / "new.c").write_bytes(b"")
    with_rev = open_source(str(top), "HEAD")
    assert with_rev.read("a.c") == b"committed\n"
    assert with_rev.read("new.c") is None
    assert open_source(str(top)).read("a.c") == b"edited\n"
    with_rev.close()


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        ("missing", "missing does not exist; give the folder"),
        ("file.c", "file.c is not a folder; give the folder"),
        ("file.c/below", "does not exist"),
        ("linux-6.1.tar.xz", "is not a folder; unpack it and give the folder"),
        ("", "is not the name of a folder"),
        ("a\0b", "is not the name of a folder"),
    ],
)
def test_a_bad_tree_is_told(tmp_path, monkeypatch, tree, sentence):
    """What cannot be a tree is named with what to do."""
    fill(tmp_path, {"file.c": b"", "linux-6.1.tar.xz": b""})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(sentence).replace(r"\.\*", ".*")):
        open_source(tree)


def test_an_unreadable_tree_is_told(tmp_path, monkeypatch):
    """A folder that may not be entered is an error."""
    monkeypatch.setattr(room.os, "access", lambda *_: False)
    with pytest.raises(InputError, match="cannot be read: permission denied"):
        open_source(str(tmp_path))


def test_a_bare_repository_needs_a_revision(tmp_path):
    """Without files to read, the person is asked for a revision."""
    top = repository(tmp_path / "top", {"a.c": b""})
    git(tmp_path, "clone", "--quiet", "--bare", str(top), "bare.git")
    for name in ("bare.git", "top/.git"):
        with pytest.raises(UsageError, match=r"say which revision to read.*--rev"):
            open_source(str(tmp_path / name))


def test_a_revision_outside_git_is_told(tmp_path):
    """A revision of a plain folder is an error that says what to leave out."""
    with pytest.raises(InputError, match="not in a git repository; leave out --rev"):
        open_source(str(tmp_path), "v6.1")


def test_an_unknown_revision_is_told(tmp_path):
    """A revision that is not there is an error that says where to look."""
    top = repository(tmp_path / "top", {"a.c": b""})
    with pytest.raises(InputError, match=r"there is no revision 'v6\.1' .*git -C .* tag"):
        open_source(str(top), "v6.1")


def test_a_shallow_clone_tells_how_to_get_history(tmp_path):
    """A revision beyond the cut is an error, and the named command brings it."""
    top = repository(tmp_path / "top", {"a.c": b"1\n"})
    first = git(top, "rev-parse", "HEAD")
    (top / "a.c").write_bytes(b"2\n")
    commit(top, "second")
    git(tmp_path, "clone", "--quiet", "--depth=1", top.as_uri(), "shallow")
    with pytest.raises(InputError, match="not in this shallow clone") as caught:
        open_source(str(tmp_path / "shallow"), first)
    assert "fetch --deepen=1000" in str(caught.value)
    subprocess.run(_commands(caught)[-1], shell=True, check=True, capture_output=True)
    kept = open_source(str(tmp_path / "shallow"), first)
    assert kept.read("a.c") == b"1\n"
    kept.close()


@pytest.mark.parametrize("left_out", ["blob:none", "tree:0"])
def test_a_partial_clone_tells_how_to_get_files(tmp_path, left_out):
    """What a partial clone lacks is an error and no absence, and the command brings it."""
    top = repository(tmp_path / "top", {"arch/a.c": b"1\n"})
    git(top, "config", "uploadpack.allowFilter", "true")
    git(top, "config", "uploadpack.allowAnySHA1InWant", "true")
    clone = ["clone", "--quiet", "--no-checkout", f"--filter={left_out}"]
    git(tmp_path, *clone, top.as_uri(), "partial")
    where = str(tmp_path / "partial")
    with pytest.raises(InputError, match="not in this partial clone") as caught:
        open_source(where, "HEAD").read("arch/a.c")
    if left_out == "tree:0":
        with pytest.raises(InputError, match="not in this partial clone"):
            open_source(where, "HEAD").walk("arch")
    subprocess.run(_commands(caught)[-1], shell=True, check=True, capture_output=True)
    kept = open_source(where, "HEAD")
    assert kept.read("arch/a.c") == b"1\n"
    kept.close()


def _commands(caught):
    return re.findall("`([^`]*)`", str(caught.value))


def test_a_folder_that_the_revision_lacks_is_told(tmp_path):
    """A folder of the checkout that the revision does not have cannot be the tree."""
    top = repository(tmp_path / "top", {"linux/a.c": b""})
    (top / "unpacked").mkdir()
    with pytest.raises(InputError, match="has no folder unpacked"):
        open_source(str(top / "unpacked"), "HEAD")


def test_a_submodule_is_not_read(tmp_path):
    """A submodule is a directory that is not listed."""
    top = repository(tmp_path / "top", {"a.c": b""})
    head = git(top, "rev-parse", "HEAD")
    git(top, "update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    git(top, "commit", "--quiet", "--message", "submodule")
    kept = open_source(str(top), "HEAD")
    assert kept.walk("") == ("a.c",)
    with pytest.raises(InputError, match="is a directory"):
        kept.read("sub")
    kept.close()


def test_a_patch_is_laid_over_the_tree(tmp_path):
    """A patch changes what is read and nothing on disk, with or without a revision."""
    file, gone = "arch/x86/kvm/a.c", "arch/x86/kvm/old.c"
    top = repository(tmp_path / "top", {file: b"1\n2\n", gone: b"x\n"})
    (top / file).write_bytes(b"1\n3\n")
    git(top, "rm", "--quiet", gone)
    patch = f"{git(top, 'diff', 'HEAD')}\n".encode()
    git(top, "reset", "--quiet", "--hard")
    for rev in (None, "HEAD"):
        kept, passed = over(open_source(str(top), rev), patch, "p", "")
        assert (kept.read(file), kept.read(gone), passed) == (b"1\n3\n", None, [])
        assert kept.walk("") == (file,)
        assert kept.rev == (rev and git(top, "rev-parse", "HEAD"))
        kept.close()
    assert (top / file).read_bytes() == b"1\n2\n"


def test_a_patch_that_cannot_be_used_is_told(tmp_path):
    """A patch that is missing or does not fit is an error that names it."""
    name = "arch/x86/kvm/a.c"
    patch = f"--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-2\n+3\n".encode()
    fill(tmp_path, {f"tree/{name}": b"1\n"})
    with pytest.raises(InputError, match="nope cannot be read: no such file"):
        read_patch(str(tmp_path / "nope"))
    with pytest.raises(PatchError, match=r"p:3: hunk 1 of arch/x86/kvm/a\.c does not apply"):
        over(open_source(str(tmp_path / "tree")), patch, "p", "")


def test_a_patch_without_end_is_refused(tmp_path, monkeypatch):
    """No more is read than any patch has."""
    monkeypatch.setattr(source, "MAX_PATCH", 1 << 20)
    with pytest.raises(InputError, match="/dev/zero is larger than 1 MiB"):
        read_patch("/dev/zero")
    (tmp_path / "patch").write_bytes(b"a" * (1 << 20))
    assert len(read_patch(str(tmp_path / "patch"))[0]) == 1 << 20


def test_a_plain_folder_costs_no_imports(tmp_path):
    """Reading a folder imports neither git nor what starts processes."""
    fill(tmp_path, {"a.c": b"1\n"})
    code = (
        "import sys\nfrom patchtool.outside.source import open_source\n"
        f"kept = open_source({str(tmp_path)!r}); kept.read('a.c'); kept.walk('')\n"
        "print(sorted({'git', 'unidiff', 'subprocess', 'tempfile', 'difflib', 'hashlib',"
        " 'patchtool.outside.git', 'patchtool.outside.diff', 'z3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


def test_a_revision_can_be_made_from_an_open_repository(tmp_path):
    """Many revisions share one repository and its process."""
    from patchtool.outside.git import Repository

    top = repository(tmp_path / "top", {"a.c": b"1\n"})
    (top / "a.c").write_bytes(b"2\n")
    commit(top, "second")
    with Repository.open(str(top)) as opened:
        found = [Revision(opened, rev).read("a.c") for rev in ("HEAD~1", "HEAD", "HEAD~1")]
    assert found == [b"1\n", b"2\n", b"1\n"]
