# SPDX-License-Identifier: GPL-2.0-only
"""The doors hold: nothing of a tree runs, no folder is the wrong one, no crash is a gap."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scratch import call, commit, git, program, repository
from test_lint import (
    DEMO,
    FIXED,
    HARMLESS,
    HOST,
    HOUSE,
    LMA,
    MMU,
    REGRESSIONS,
    change,
    mail,
    patch_of,
)

from patchtool import cli
from patchtool.commands import lint as lint_command

PROGRAM = [sys.executable, "-P", "-m", "patchtool"]
GAP = patch_of(FIXED, REGRESSIONS["bit dropped"])
REMARK = [(MMU, "ext.valid = 1", "ext.valid = true")]


def patchtool(*words, **more):
    """Run the real program."""
    return call(*PROGRAM, *words, **more)


# -- nothing of a tree runs --------------------------------------------------------------------


TOOLS = (
    "git", "perl", "make", "gcc", "cc", "sh", "env", "tr", "python3", "tail", "cpio", "modprobe",
    "qemu-system-x86_64", "busybox", "xz", "zstd", "gzip",
)  # fmt: skip
DRIVERS = """
[core]
	fsmonitor = touch {mark}; false
	pager = touch {mark}
	editor = touch {mark}
	sshCommand = touch {mark}
[diff]
	external = touch {mark}; false
[diff "evil"]
	textconv = touch {mark}; cat
	command = touch {mark}; false
[filter "evil"]
	clean = touch {mark}; cat
	smudge = touch {mark}; cat
	process = touch {mark}; cat
[gpg]
	program = {mark}.sh
[log]
	showSignature = true
[alias]
	log = !touch {mark}
"""


@pytest.fixture
def hostile(checkout, tmp_path):
    """Return a tree that holds modules, programs and drivers, and the file that each makes."""
    mark = tmp_path / "ran"
    change(checkout, REGRESSIONS["bit dropped"])
    commit(checkout, "KVM: drop a bit")
    code = f"open({str(mark)!r}, 'a').write(__name__)\nraise SystemExit(0)\n"
    names = {one for one in sys.stdlib_module_names if not one.startswith("_")}
    names |= {"patchtool", "unidiff", "z3", "tree_sitter", "tree_sitter_c", "sitecustomize"}
    for name in names:
        (checkout / f"{name}.py").write_text(code, "utf-8")
    (checkout / "bin").mkdir()
    for name in TOOLS:
        for folder in (checkout, checkout / "bin"):
            tool = folder / name
            tool.write_text(f"#!/bin/bash\necho {name} >> {mark}\nexit 0\n", "utf-8")
            tool.chmod(0o755)
    (checkout / ".gitattributes").write_text("* diff=evil filter=evil\n", "utf-8")
    with open(checkout / ".git/config", "a", encoding="utf-8") as config:
        config.write(DRIVERS.format(mark=mark))
    (checkout / ".pythonrc").write_text(code, "utf-8")
    return checkout, mark


def surroundings(tree):
    """Return variables that name what a tree holds, in every way that a shell may leave them."""
    return {
        "PATH": f".::bin:{tree}:{tree}/bin:{os.environ['PATH']}",
        "GIT_EXTERNAL_DIFF": "./git",
        "GIT_EXEC_PATH": f"{tree}/bin",
        "GIT_PAGER": "./git",
        "GIT_SSH_COMMAND": "./git",
        "GIT_PYTHON_GIT_EXECUTABLE": f"{tree}/git",
        "PYTHONSTARTUP": ".pythonrc",
    }


@pytest.mark.parametrize(
    "words",
    [
        ("check",), ("check", "--rev", "HEAD"), ("check", "--diff", "{patch}"),
        ("fix", "--stdout"), ("fix", "--apply"),
        ("lint", "{patch}"), ("lint", "--staged"), ("lint", "--range", "HEAD~1.."),
        ("lint", "--push", "origin"), ("lint", "--suppressions"), ("lint", "--series", "{patch}"),
        ("history",), ("matrix", ".", "HEAD"), ("explain", "stale-mmu-role"),
        ("kbuild", "{tree}/arch/x86/kvm/mmu/mmu.c"), ("hook", "install"), ("hook", "uninstall"),
        ("rules",), ("rules", "--format", "json"), ("fix", "--selftest", "--stdout"),
        ("matrix", "--write-patches", "{out}", ".", "HEAD"),
        ("reproduce", "-o", "{out}"), ("reproduce", "--plain", "-o", "{out}"),
        ("reproduce", "--run", "--kernel", "{tree}/README", "--modules", "{tree}"),
        ("reproduce", "--sweep", "--kernel", "{tree}/README"),
        ("--version",), ("--help",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_command_runs_what_a_tree_holds(hostile, tmp_path, words):
    """Modules, programs and git's drivers of a tree stay where they are."""
    tree, mark = hostile
    # From the top, as hooks start, and from below, where relative places mean others.
    folder = "arch/x86/kvm" if len(words) == 2 else ""
    patch = tmp_path / "x.patch"
    patch.write_text(mail(patch_of(tree, REMARK)), "utf-8")
    words = [word.format(patch=patch, tree=tree, out=tmp_path / "out") for word in words]
    done = patchtool(*words, cwd=tree / folder, data=b"", **surroundings(tree))
    assert done.returncode in (0, 1, 2, 3), done.stderr
    assert not mark.exists(), mark.read_text("utf-8")
    assert b"report it" not in done.stderr, done.stderr


def test_python_without_its_flag_is_cleaned_up_after_itself(hostile):
    """Even where the interpreter put the folder first, nothing more is taken from there."""
    tree, mark = hostile
    late = {"argparse", "gettext", "shutil", "subprocess", "tempfile", "unidiff", "tomllib", "git"}
    for path in tree.glob("*.py"):
        if path.stem not in late:
            path.unlink()
    done = call(sys.executable, "-m", "patchtool", "check", cwd=tree)
    assert (done.returncode, mark.exists()) == (1, False), done.stderr


@pytest.mark.parametrize("kind", ["pre-commit", "pre-push", "sendemail-validate"])
def test_no_hook_runs_what_a_tree_holds(hostile, tmp_path, kind):
    """The hooks that are installed do their work beside a hostile tree, and run none of it."""
    tree, mark = hostile
    # Drivers that git itself would run for the commands of the person are beside the point.
    git(tree, "config", "--file", ".git/config", "--remove-section", "diff.evil")
    text = (tree / ".git/config").read_text("utf-8").partition("[core]\n\tfsmonitor")[0]
    (tree / ".git/config").write_text(text, "utf-8")
    assert patchtool("hook", "install", kind, cwd=tree).returncode == 0
    hook = tree / ".git/hooks" / kind
    assert " -I -m patchtool lint " in hook.read_text("utf-8")
    patch = tmp_path / "0001-x.patch"
    patch.write_text(mail(GAP), "utf-8")
    git(tree, "reset", "--quiet", "--soft", "HEAD~1")
    if kind == "pre-commit":
        done = call("git", "commit", "--message", "bad", cwd=tree)
    elif kind == "pre-push":
        git(tree, "commit", "--quiet", "--message", "bad")
        bare = tmp_path / "bare.git"
        git(tmp_path, "init", "--quiet", "--bare", str(bare))
        done = call("git", "push", str(bare), "HEAD:refs/heads/x", cwd=tree)
    else:
        git(tree, "reset", "--quiet", "--hard")
        done = call(hook, patch, cwd=tree)
    assert done.returncode != 0
    assert b"EFER.LMA" in done.stdout + done.stderr, done.stderr
    assert not mark.exists(), mark.read_text("utf-8")


def test_a_hook_needs_an_installed_program(checkout, tmp_path):
    """A program that only PYTHONPATH leads to cannot be run by a hook, and that is said."""
    command = [sys.executable, "-S", "-P", "-m", "patchtool", "hook", "install"]
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "patchtool").symlink_to(HOUSE / "patchtool")
    empty = tmp_path / "empty"
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", empty], check=True)
    command[0] = str(empty / "bin/python")
    others = os.pathsep.join(one for one in sys.path if "site-packages" in one)
    around = {"PYTHONPATH": f"{packages}{os.pathsep}{others}"}
    done = call(*command, cwd=checkout, **around)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr
    assert b"which a hook must not obey" in done.stderr
    assert not (checkout / ".git/hooks/pre-commit").exists()


def test_the_action_takes_nothing_from_the_tree(hostile, tmp_path):
    """The shell of the action starts python so that the checkout holds no modules for it."""
    yaml = pytest.importorskip("yaml")
    tree, mark = hostile
    steps = yaml.safe_load((HOUSE / "action.yml").read_text("utf-8"))["runs"]["steps"]
    shutil.copytree(tree, tmp_path / "copy")
    script = steps[0]["run"].replace("-m pip install", "-c 'import argparse, sys' install")
    around = {"RUNNER_TEMP": str(tmp_path / "runner"), "SOURCE": str(HOUSE)}
    done = call("bash", "-e", "-o", "pipefail", "-c", script, cwd=tree, **around)
    assert (done.returncode, mark.exists()) == (0, False), done.stderr


def test_pre_commit_takes_nothing_from_the_tree(hostile):
    """The real pre-commit runs the entry of our definition beside a hostile tree."""
    tool = program("pre-commit")
    tree, mark = hostile
    (tree / ".git/config").write_text(
        (tree / ".git/config").read_text("utf-8").partition("[core]\n\tfsmonitor")[0], "utf-8"
    )
    git(tree, "reset", "--quiet", "--hard", "HEAD~1")
    change(tree, REGRESSIONS["bit dropped"])
    script = Path(sys.executable).parent / "patchtool"
    (tree / ".pre-commit-config.yaml").write_text(
        "repos:\n- repo: local\n  hooks:\n  - id: patchtool\n    name: patchtool\n"
        f"    entry: {script} lint --staged\n    language: system\n    pass_filenames: false\n",
        "utf-8",
    )
    git(tree, "add", MMU, ".pre-commit-config.yaml")
    done = call(Path(tool).resolve(), "run", cwd=tree)
    said = (done.stdout + done.stderr).decode()
    assert (done.returncode, "EFER.LMA" in said) == (1, True), said
    assert not mark.exists(), mark.read_text("utf-8")


# -- the top of the tree -----------------------------------------------------------------------


BELOW = ["arch/x86/kvm/mmu", "include"]


@pytest.mark.parametrize("folder", BELOW)
def test_every_command_finds_the_top(checkout, tmp_path, folder):
    """From any folder below, as from the top, a command says and does the same."""
    change(checkout, REGRESSIONS["bit dropped"])
    git(checkout, "add", ".")
    below = checkout / folder
    patch = tmp_path / "x.patch"
    patch.write_text(mail(GAP), "utf-8")
    for words, status in (
        (("check",), 1),
        (("check", "--rev", "HEAD"), 0),
        (("lint", "--staged"), 1),
        (("lint", "--rev", "HEAD", patch), 1),
        (("check", "--rev", "HEAD", "--diff", patch), 1),
        (("fix", "--stdout"), 0),
        (("matrix", ".", "HEAD"), 0),
        (("history",), 0),
    ):
        at_top, from_below = (patchtool(*words, cwd=where) for where in (checkout, below))
        assert (at_top.returncode, from_below.returncode) == (status, status), words
        lines = [out.stdout.decode().split("\n")[0] for out in (at_top, from_below)]
        assert lines[0] == lines[1] or words[0] in ("matrix", "fix"), words
    commit(checkout, "bad")
    assert patchtool("lint", "--range", "HEAD~1..", cwd=below).returncode == 1
    assert patchtool("hook", "install", cwd=below).returncode == 0
    assert (checkout / ".git/hooks/pre-commit").exists()
    plain = Path(shutil.copytree(FIXED, tmp_path / "plain"))
    assert patchtool("check", cwd=plain / folder).returncode == 0
    assert patchtool("lint", patch, cwd=plain / folder).returncode == 1
    assert patchtool("check", plain / folder).returncode == 0


@pytest.fixture
def nested(tmp_path):
    """Return a repository with a kernel in a folder, and files beside it."""
    top = tmp_path / "project"
    shutil.copytree(FIXED, top / "src/linux")
    return repository(top, {"docs/a.md": b"1\n", "arch.txt": b"x\n"})


def test_a_kernel_in_a_folder_of_a_repository(nested, tmp_path):
    """Its patches are taken, its commits judged, wherever one stands; paths count from the top."""
    tree = nested / "src/linux"
    change(tree, REGRESSIONS["bit dropped"])
    (nested / "docs/a.md").write_text("2\n", "utf-8")
    git(nested, "add", ".")
    for where in (nested, tree, tree / "arch", nested / "docs"):
        done = patchtool("lint", "--staged", "--format", "terse", cwd=where)
        assert (done.returncode, done.stdout.count(b"ERROR:")) == (1, 2), (where, done.stderr)
    commit(nested, "KVM: drop a bit")
    (patch,) = git(nested, "format-patch", "-o", str(tmp_path), "-1").split("\n")
    for where in (nested, tree / "arch"):
        done = patchtool("lint", "--range", "HEAD~1..", "--format", "github", cwd=where)
        assert (done.returncode, done.stdout.count(b"file=src/linux/arch/x86/")) == (1, 2), done
    git(nested, "checkout", "--quiet", "HEAD~1")
    for words in (("lint", patch, "--tree", tree), ("check", tree, "--diff", patch)):
        for where in (nested, tree / "arch"):
            done = patchtool(*words, "--format", "github", cwd=where)
            assert (done.returncode, done.stdout.count(b"file=src/linux/arch/x86/")) == (1, 2), done
        done = patchtool(*words, "--format", "sarif", cwd=nested)
        for result in json.loads(done.stdout)["runs"][0]["results"]:
            at = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            assert at == f"src/linux/{MMU}"
    done = patchtool("lint", patch, "--tree", tree, "--rev", "HEAD", cwd=tmp_path)
    assert done.returncode == 1, done.stderr


@pytest.mark.parametrize("gone", [False, True])
def test_a_header_of_a_kernel_in_a_folder(nested, gone):
    """Wherever in a kernel a change lies, the kernel around it is found."""
    host = nested / "src/linux" / HOST
    if gone:
        host.unlink()
    else:
        host.write_text(re.sub(r"\n[^\n]* efer_lma:1;", "", host.read_text("utf-8")), "utf-8")
    git(nested, "add", ".")
    right = 2 if gone else 3
    assert patchtool("lint", "--staged", cwd=nested).returncode == right
    commit(nested, "KVM: change a header")
    assert patchtool("lint", "--range", "HEAD~1..", cwd=nested).returncode == right


def test_two_kernels_in_a_repository_have_to_be_told_apart(nested):
    """Which kernel is meant is not guessed."""
    shutil.copytree(nested / "src/linux", nested / "old/linux")
    for name in ("src", "old"):
        change(nested / name / "linux", REGRESSIONS["bit dropped"])
    git(nested, "add", ".")
    done = patchtool("lint", "--staged", cwd=nested)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"the kernels in old/linux and src/linux; name one with --tree" in done.stderr
    done = patchtool("lint", "--staged", "--tree", "src/linux", cwd=nested)
    assert (done.returncode, b"EFER.LMA" in done.stdout) == (1, True)


def test_a_folder_without_a_kernel_is_refused(tmp_path):
    """Where no kernel is around, commands that need one say so."""
    for words in (("check",), ("fix",), ("check", tmp_path)):
        done = patchtool(*words, cwd=tmp_path)
        assert (done.returncode, b"not a kernel tree" in done.stderr) == (2, True)


# -- hooks and repositories --------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path):
    """Return an empty repository to push to."""
    git(tmp_path, "init", "--quiet", "--bare", str(tmp_path / "bare.git"))
    return tmp_path / "bare.git"


@pytest.mark.parametrize("known", ["nothing", "another remote", "never fetched"])
def test_a_push_to_where_nothing_is_known_is_judged(checkout, bare, tmp_path, known):
    """A URL, or a remote that was never fetched, gets no gap unseen, and what is fine."""
    side = str(bare)
    if known == "another remote":
        other = tmp_path / "other.git"
        git(tmp_path, "init", "--quiet", "--bare", str(other))
        git(checkout, "push", "--quiet", str(other), "main")
        git(checkout, "remote", "add", "other", str(other))
        git(checkout, "fetch", "--quiet", "other")
    elif known == "never fetched":
        git(checkout, "remote", "add", "side", side)
        side = "side"
    assert patchtool("hook", "install", "pre-push", cwd=checkout).returncode == 0
    change(checkout, REMARK)
    commit(checkout, "fine")
    done = call("git", "push", "--quiet", side, "HEAD:refs/heads/fine", cwd=checkout)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    told = {"another remote": b"the commits that no other remote has were judged"}
    words = told.get(known, b"the last commit was judged alone")
    assert f"note: HEAD: nothing is known of what {side} has".encode() in done.stderr
    assert (words in done.stderr, done.stderr.count(b"\n")) == (True, 1), done.stderr
    change(checkout, REGRESSIONS["bit dropped"])
    bad = commit(checkout, "KVM: drop a bit")
    done = call("git", "push", "--quiet", side, "HEAD:refs/heads/bad", cwd=checkout)
    assert (done.returncode != 0, b"EFER.LMA" in done.stdout + done.stderr) == (True, True)
    assert bad not in git(bare, "for-each-ref", "--format=%(objectname)")
    # What takes a branch away brings nothing.
    done = call("git", "push", "--quiet", side, ":refs/heads/fine", cwd=checkout)
    assert done.returncode == 0, done.stderr


def test_one_branch_tells_what_the_other_side_has(checkout, bare):
    """A gap that the other side has is not new in a second branch that is pushed along."""
    change(checkout, REGRESSIONS["bit dropped"])
    commit(checkout, "old")
    git(checkout, "push", "--quiet", str(bare), "main")
    assert patchtool("hook", "install", "pre-push", cwd=checkout).returncode == 0
    change(checkout, REMARK)
    commit(checkout, "fine")
    git(checkout, "branch", "more")
    done = call("git", "push", "--quiet", str(bare), "main", "more", cwd=checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_forced_push_over_what_is_not_here(checkout, bare, tmp_path):
    """The other side has commits that were never fetched: what is new is judged all the same."""
    git(checkout, "push", "--quiet", str(bare), "main")
    other = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(bare), str(other))
    change(other, REMARK)
    commit(other, "theirs")
    git(other, "push", "--quiet", "origin", "main")
    assert patchtool("hook", "install", "pre-push", cwd=checkout).returncode == 0
    change(checkout, REGRESSIONS["bit dropped"])
    commit(checkout, "ours")
    done = call("git", "push", "--force", str(bare), "main", cwd=checkout)
    assert (done.returncode != 0, b"EFER.LMA" in done.stdout + done.stderr) == (True, True)


def test_several_branches_and_tags_are_pushed(checkout, bare):
    """Each is judged for itself; a tag of a tree is no commit, and that is said."""
    git(checkout, "branch", "fine")
    git(checkout, "tag", "tree", "HEAD^{tree}")
    assert patchtool("hook", "install", "pre-push", cwd=checkout).returncode == 0
    done = call("git", "push", str(bare), "fine", "tree", cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert b"note: refs/tags/tree is no commit, so it was not judged" in done.stderr
    change(checkout, REGRESSIONS["bit dropped"])
    commit(checkout, "bad")
    git(checkout, "tag", "-m", "x", "annotated")
    for names in (("annotated",), ("main", "fine"), ("fine", "main")):
        done = call("git", "push", str(bare), *names, cwd=checkout)
        assert (done.returncode != 0, b"EFER.LMA" in done.stdout + done.stderr) == (True, True)


def test_an_index_with_conflicts_is_refused(checkout):
    """What the next commit would hold is not known before a conflict is resolved."""
    git(checkout, "checkout", "--quiet", "-b", "side")
    change(checkout, [(MMU, "ext.valid = 1", "ext.valid = 2")])
    commit(checkout, "side")
    git(checkout, "checkout", "--quiet", "main")
    change(checkout, [(MMU, "ext.valid = 1", "ext.valid = 3")])
    commit(checkout, "main")
    call("git", "merge", "side", cwd=checkout)
    done = patchtool("lint", "--staged", cwd=checkout)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert f"{MMU} is not merged yet".encode() in done.stderr


def test_a_repository_of_another_owner(checkout):
    """Git refuses it, and every door says that and how to vouch for it."""
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    for path in (checkout, checkout / ".git"):
        os.chown(path, 1234, 1234)
    change(checkout, REGRESSIONS["bit dropped"])
    for words in (("lint", "--staged"), ("hook", "install"), ("check", "--rev", "HEAD"),
                  ("history",), ("lint", "--range", "HEAD~1..")):  # fmt: skip
        done = patchtool(*words, cwd=checkout)
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), words
        assert b"belongs to another user" in done.stderr
        assert b"safe.directory" in done.stderr
    done = patchtool("check", cwd=checkout)
    assert done.returncode == 1


def test_ids_of_sha256(tmp_path):
    """In a repository of SHA-256 the first commit is judged, and patches have its ids."""
    tree = Path(shutil.copytree(FIXED, tmp_path / "linux"))
    git(tree, "init", "--quiet", "--object-format=sha256")
    change(tree, REGRESSIONS["bit dropped"])
    git(tree, "add", "--all", "--force", ".")
    assert patchtool("lint", "--staged", cwd=tree).returncode == 1
    commit(tree, "first")
    done = patchtool("fix", "-o", tmp_path / "out", cwd=tree)
    assert done.returncode == 0, done.stderr
    (patch,) = (tmp_path / "out").iterdir()
    text = patch.read_text("utf-8")
    assert len(text.split(" ")[1]) == 64 or text.startswith("From 0000")
    before = git(tree, "rev-parse", f"HEAD:{MMU}")
    ids = [line for line in text.split("\n") if line.startswith("index ") and before[:12] in line]
    assert ids, text
    git(tree, "am", "--quiet", str(patch))
    after = git(tree, "rev-parse", f"HEAD:{MMU}")
    assert f"index {before[:12]}..{after[:12]} 100644" in ids[0]
    assert patchtool("lint", patch, "--rev", "HEAD~1", cwd=tree).returncode == 0


# -- a crash is no gap -------------------------------------------------------------------------


class Odd(BaseException):
    """Something that nobody expects."""


@pytest.mark.parametrize(
    ("thrown", "status", "words"),
    [
        (RecursionError(), 2, "something is nested too deeply (RecursionError"),
        (MemoryError(), 2, "there was not enough memory (MemoryError"),
        (ValueError("x\ny"), 2, "patchtool failed (ValueError"),
        (AssertionError(), 2, "patchtool failed (AssertionError"),
        (UnicodeEncodeError("ascii", "é", 0, 1, "x"), 2, "patchtool failed (UnicodeEncodeError"),
        (Odd(), 2, "patchtool failed (Odd"),
        (SystemExit(1), 2, "patchtool failed (SystemExit"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=repr,
)
def test_whatever_is_thrown_is_no_gap(monkeypatch, capfd, thrown, status, words):
    """One sentence, how to report it, and never the status of a verdict."""

    def broken(*_):
        raise thrown

    monkeypatch.setattr(lint_command, "read_patch", broken)
    assert cli.main(["lint", "-", "--tree", str(FIXED)]) == status
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", int(bool(words)))
    assert words in err
    assert not words or "please report it" in err


def test_a_traceback_is_there_for_those_who_ask(monkeypatch, capfd):
    """PATCHTOOL_TRACEBACK shows where it was, for the report."""
    monkeypatch.setenv("PATCHTOOL_TRACEBACK", "1")
    monkeypatch.setattr(lint_command, "read_patch", lambda *_: 1 // 0)
    assert cli.main(["lint", "-", "--tree", str(FIXED)]) == 2
    err = capfd.readouterr().err
    assert "Traceback" in err and "ZeroDivisionError at commands/lint.py:" in err


def test_a_folder_that_is_gone(tmp_path):
    """From a folder that was removed no command says anything but that."""
    gone = tmp_path / "gone"
    gone.mkdir()
    for words in ("check", f"check {FIXED}", "lint -", "history", "hook install", "fix"):
        tool = f"cd {gone} && rmdir {gone} && {' '.join(PROGRAM)} {words} < /dev/null"
        gone.mkdir(exist_ok=True)
        done = call("bash", "-c", tool)
        assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1), done
        assert b"does not exist any more" in done.stderr


def test_a_name_that_is_no_utf8(tmp_path):
    """A name in Latin-1 goes into a patch as git would have it, and nothing breaks."""
    tree = repository(Path(shutil.copytree(DEMO, tmp_path / "linux")), {})
    name = os.fsencode("user.name")
    subprocess.run(["git", "-C", str(tree), "config", name, b"Andr\xe9 Tester"], check=True)
    done = patchtool("fix", "--signoff", "-o", tmp_path / "out", cwd=tree)
    assert done.returncode in (0, 2), done.stderr
    assert b"report it" not in done.stderr, done.stderr
    for patch in (tmp_path / "out").glob("*.patch"):
        git(tree, "am", "--quiet", str(patch))
    done = patchtool("fix", "--signoff", "--stdout", cwd=tree)
    assert done.returncode in (0, 2), done.stderr


NUMBER = "9" * 5000


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (MMU, LMA, f"\t\text.efer_lma = {NUMBER};\n"),
        (MMU, LMA, f"\t\text.efer_lma = 0x{NUMBER};\n"),
        (MMU, LMA, f"\t\text.efer_lma = !!(regs->efer & (1ULL << {NUMBER}));\n"),
        ("arch/x86/include/asm/kvm_host.h", "efer_lma:1", f"efer_lma:{NUMBER}"),
        ("arch/x86/include/asm/kvm_host.h", "efer_lma:1", f"efer_lma:0x{NUMBER}"),
    ],
)
def test_numbers_that_are_too_long(tmp_path, path, old, new):
    """A number of 5,000 digits is no crash, and nothing is proved by it."""
    tree = Path(shutil.copytree(FIXED, tmp_path / "linux"))
    text = (tree / path).read_text("utf-8")
    assert old in text
    (tree / path).write_text(text.replace(old, new), "utf-8")
    done = patchtool("check", tree)
    assert done.returncode in (1, 3), done.stderr
    assert b"report it" not in done.stderr


def test_a_struct_without_a_name_around_a_role(tmp_path):
    """A role inside an anonymous struct of a context is found and judged like any other."""
    host = "arch/x86/include/asm/kvm_host.h"
    for fixture, status in ((FIXED, 0), (DEMO, 1)):
        tree = Path(shutil.copytree(fixture, tmp_path / fixture.name))
        text = (tree / host).read_text("utf-8")
        member = "\tunion kvm_mmu_role mmu_role;\n"
        assert member in text
        inside = f"\tstruct {{\n\t{member}\t}};\n"
        (tree / host).write_text(text.replace(member, inside), "utf-8")
        done = patchtool("check", tree)
        assert done.returncode == status, done.stdout + done.stderr


def test_the_root_of_all_files_is_no_tree():
    """Whoever stands at the top of all files finds git where the system has it."""
    done = patchtool("--version", cwd="/", data=b"")
    assert b"git is not installed" not in done.stdout + done.stderr


def test_a_branch_that_was_rebased_is_judged_by_what_is_new(checkout, bare):
    """What the other side has in another branch is not new where a topic was put on top of it."""
    git(checkout, "remote", "add", "side", str(bare))
    git(checkout, "push", "--quiet", "side", "main")
    git(checkout, "checkout", "--quiet", "-b", "topic")
    change(checkout, REMARK)
    commit(checkout, "fine")
    git(checkout, "push", "--quiet", "side", "topic")
    git(checkout, "checkout", "--quiet", "main")
    change(checkout, REGRESSIONS["bit dropped"])
    commit(checkout, "theirs")
    git(checkout, "push", "--quiet", "side", "main")
    git(checkout, "rebase", "--quiet", "main", "topic")
    assert patchtool("hook", "install", "pre-push", cwd=checkout).returncode == 0
    done = call("git", "push", "--quiet", "--force", "side", "topic", cwd=checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("way", ["merged back", "merged in"])
def test_what_is_merged_is_brought_in_by_a_range_that_has_it(checkout, way):
    """What the start of a range has is not new at its end, where a merge brings it there."""
    git(checkout, "checkout", "--quiet", "-b", "topic")
    change(checkout, HARMLESS["another function"])
    commit(checkout, "fine")
    git(checkout, "checkout", "--quiet", "main")
    change(checkout, REGRESSIONS["bit dropped"])
    commit(checkout, "theirs")
    if way == "merged back":
        git(checkout, "checkout", "--quiet", "topic")
        git(checkout, "merge", "--quiet", "--no-edit", "main")
        done = patchtool("lint", "--range", "main..topic", cwd=checkout)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    git(
        checkout,
        "checkout",
        "--quiet",
        "-B",
        "other",
        "topic~1" if way == "merged back" else "topic",
    )
    git(checkout, "merge", "--quiet", "--no-ff", "--no-edit", "main")
    done = patchtool("lint", "--range", "topic~1..other", cwd=checkout)
    assert (done.returncode, b"EFER.LMA" in done.stdout) == (1, True)


def test_a_commit_whose_parent_was_left_out_is_refused(checkout, tmp_path):
    """What it brings in cannot be told from what was there."""
    git(checkout, "tag", "start")
    change(checkout, REMARK)
    commit(checkout, "one")
    change(checkout, [(MMU, "ext.valid = true", "ext.valid = 1")])
    commit(checkout, "two")
    url = f"file://{checkout}"
    git(tmp_path, "clone", "--quiet", "--depth", "1", "--branch", "start", url, "cut")
    git(tmp_path / "cut", "fetch", "--quiet", "--depth", "1", "origin", "main")
    done = patchtool("lint", "--range", "start..FETCH_HEAD", cwd=tmp_path / "cut")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert b"this shallow clone has nothing below" in done.stderr
    assert b"fetch --deepen=1" in done.stderr


def test_a_file_that_is_only_meant_to_be_added_is_in_no_commit(checkout):
    """`git add -N` puts a name into the index, and nothing of the file."""
    (checkout / "arch/x86/kvm/mmu/more.c").write_text("int more;\n", "utf-8")
    git(checkout, "add", "-N", "arch/x86/kvm/mmu/more.c")
    (checkout / "README").write_text("more\n", "utf-8")
    git(checkout, "add", "README")
    done = patchtool("lint", "--staged", cwd=checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_an_index_elsewhere_counts(checkout, tmp_path):
    """It is the one that the next commit will hold."""
    index = str(tmp_path / "index")
    shutil.copy(checkout / ".git/index", index)
    change(checkout, REGRESSIONS["bit dropped"])
    call("git", "add", ".", cwd=checkout, GIT_INDEX_FILE=index)
    assert patchtool("lint", "--staged", cwd=checkout).returncode == 0
    done = patchtool("lint", "--staged", cwd=checkout, GIT_INDEX_FILE=index)
    assert (done.returncode, b"EFER.LMA" in done.stdout) == (1, True)
