# SPDX-License-Identifier: GPL-2.0-only
"""The workflows that the documentation names, run with the real programs."""

import json
import os
import re
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
import scratch
from scratch import commit, git, missing, program, repository
from test_lint import (
    DEMO,
    FIXED,
    HOST,
    HOUSE,
    MMU,
    REGRESSIONS,
    STORE,
    change,
    diff,
    edited,
    files_of,
    mail,
)

COMMAND = f"{sys.executable} -m patchtool"
HARMLESS = [(MMU, "ext.valid = 1", "ext.valid = true")]
call = partial(scratch.call, text=True)


def install(tree, *kinds):
    """Install hooks by the command line."""
    done = call(*COMMAND.split(), "hook", "install", *kinds, "--tree", tree)
    assert (done.returncode, done.stderr) == (0, "")


# -- hooks -----------------------------------------------------------------------------------


def test_git_commit_stops_at_a_new_gap(checkout):
    """The pre-commit hook lets harmless commits pass and stops the one that drops a bit."""
    install(checkout)
    change(checkout, HARMLESS)
    done = call("git", "commit", "--quiet", "--all", "--message", "fine", cwd=checkout)
    assert (done.returncode, done.stderr) == (0, "")
    head = git(checkout, "rev-parse", "HEAD")
    change(checkout, REGRESSIONS["bit dropped"])
    done = call("git", "commit", "--quiet", "--all", "--message", "bad", cwd=checkout)
    assert done.returncode != 0
    assert "EFER.LMA" in done.stdout + done.stderr
    assert git(checkout, "rev-parse", "HEAD") == head


def test_git_push_stops_at_a_new_gap(checkout, tmp_path):
    """The pre-push hook looks at what the other side does not have, new branches too."""
    bare = tmp_path / "bare.git"
    git(tmp_path, "init", "--quiet", "--bare", str(bare))
    git(checkout, "remote", "add", "origin", str(bare))
    install(checkout, "pre-push")
    assert call("git", "push", "--quiet", "origin", "main", cwd=checkout).returncode == 0
    change(checkout, HARMLESS)
    commit(checkout, "fine")
    assert call("git", "push", "--quiet", "origin", "main", cwd=checkout).returncode == 0
    change(checkout, REGRESSIONS["bit dropped"])
    bad = commit(checkout, "KVM: drop a bit")
    for branch in ("main", "main:topic"):
        done = call("git", "push", "--quiet", "origin", branch, cwd=checkout)
        assert done.returncode != 0
        assert "EFER.LMA" in done.stdout + done.stderr
    assert bad not in git(bare, "log", "--all", "--format=%H")
    assert call("git", "push", "--quiet", "origin", ":main", cwd=checkout).returncode in (0, 1)


def test_a_push_brings_what_this_side_does_not_have(checkout, tmp_path):
    """What another remote has is new to this one all the same, if it is known what that has."""
    for name in ("origin", "other"):
        git(tmp_path, "init", "--quiet", "--bare", f"{name}.git")
        git(checkout, "remote", "add", name, str(tmp_path / f"{name}.git"))
        git(checkout, "push", "--quiet", name, "main")
    change(checkout, REGRESSIONS["bit dropped"])
    commit(checkout, "KVM: drop a bit")
    git(checkout, "push", "--quiet", "other", "main")
    install(checkout, "pre-push")
    done = call("git", "push", "--quiet", "origin", "main:topic", cwd=checkout)
    assert done.returncode != 0 and "EFER.LMA" in done.stdout + done.stderr


def test_git_send_email_stops_at_a_new_gap(checkout, tmp_path):
    """The sendemail-validate hook is run by git send-email itself for every mail."""
    if "git-send-email" not in os.listdir(git(checkout, "--exec-path")):
        missing("git send-email is not installed")
    install(checkout, "sendemail-validate")
    change(checkout, HARMLESS)
    commit(checkout, "fine")
    change(checkout, REGRESSIONS["bit dropped"])
    commit(checkout, "KVM: drop a bit")
    send = ["git", "send-email", "--dry-run", "--quiet", "--to=kvm@example.com", "--confirm=never"]
    send += ["--suppress-cc=all", "--from=tester@example.com", "--smtp-server=/bin/true"]
    mails = git(checkout, "format-patch", "--cover-letter", "-o", str(tmp_path / "out"), "HEAD~2")
    cover, fine, bad = mails.splitlines()
    text = Path(cover).read_text("utf-8").replace("*** SUBJECT HERE ***", "x")
    Path(cover).write_text(text.replace("*** BLURB HERE ***", "y"), "utf-8")
    done = call(*send, cover, fine, cwd=checkout)
    if "Mail::Address" in done.stderr or "BUG: The" in done.stderr:
        missing("git send-email lacks a Perl module")
    assert (done.returncode, done.stderr) == (0, "")
    done = call(*send, fine, bad, cwd=checkout)
    assert done.returncode != 0
    assert "EFER.LMA" in done.stdout + done.stderr


@pytest.fixture
def sending(checkout, tmp_path):
    """Return what sends two patches; the second one drops a bit beside lines of the first.

    It takes the folder to send from and the words that say what to send.
    """
    if "git-send-email" not in os.listdir(git(checkout, "--exec-path")):
        missing("git send-email is not installed")
    install(checkout, "sendemail-validate")
    git(checkout, "tag", "base")
    first = [(MMU, "ext.cr4_la57 = ", "/* Five levels. */\n\t\text.cr4_la57 = ")]
    change(checkout, first)
    commit(checkout, "KVM: fine")
    change(checkout, REGRESSIONS["bit dropped"])
    commit(checkout, "KVM: drop a bit")
    send = ["git", "send-email", "--to=kvm@example.com", "--confirm=never", "--quiet"]
    send += ["--suppress-cc=all", "--from=tester@example.com", "--smtp-server=/bin/false"]

    def sender(*words):
        done = call(*send, *words, cwd=checkout)
        assert "Mail::Address" not in done.stderr, "install libmailtools-perl"
        return done.returncode, done.stdout + done.stderr

    return sender


@pytest.mark.parametrize("at", ["base", "main"])
def test_a_mail_is_judged_on_top_of_those_before_it(checkout, tmp_path, sending, at):
    """Patch 2 does not fit without patch 1; the hook finds it, wherever the branch is."""
    out = tmp_path / "out"
    mails = git(checkout, "format-patch", "-o", str(out), "base").splitlines()
    git(checkout, "checkout", "--quiet", "--detach", at)
    before = sorted(str(path) for path in checkout.rglob("*"))
    status, said = sending("--dry-run", *mails)
    assert status != 0
    assert "0002-KVM-drop-a-bit.patch: rejected by sendemail-validate hook" in said, said
    assert said.count("EFER.LMA") == 2
    assert "does not apply" not in said
    assert sorted(str(path) for path in checkout.rglob("*")) == before
    assert sorted(path.name for path in out.iterdir()) == [Path(mail).name for mail in mails]


def test_commits_are_sent_as_a_series(checkout, tmp_path, sending):
    """Git's own folder for `git send-email A..B` serves as well; a fine series passes."""
    status, said = sending("--dry-run", "base..main")
    assert status != 0 and said.count("EFER.LMA") == 2, said
    git(checkout, "reset", "--quiet", "--hard", "HEAD~1")
    change(checkout, HARMLESS)
    commit(checkout, "KVM: fine too")
    status, said = sending("--dry-run", "base..main")
    assert status == 0, said


def test_a_pipe_has_no_other_mails(checkout):
    """With --series a pipe is read once, as a mail by itself."""
    tool = f"mkfifo pipe; cat mail > pipe & {COMMAND} lint --format terse --series pipe"
    patch = diff(files_of(checkout), edited(files_of(checkout), REGRESSIONS["bit dropped"]))
    (checkout / "mail").write_text(mail(patch, "[PATCH 2/3] Drop"), "utf-8")
    done = call("bash", "-c", tool, cwd=checkout)
    assert (done.returncode, done.stdout.count("EFER.LMA"), done.stderr) == (1, 2, "")


def test_another_series_in_the_same_folder_is_no_part(checkout, tmp_path, sending):
    """Of two series with the same numbers in one folder each keeps to its own mails."""
    out = tmp_path / "out"
    bad = git(checkout, "format-patch", "-o", str(out), "base").splitlines()
    for one in bad:
        os.utime(one, (1_700_000_000, 1_700_000_000))
    git(checkout, "checkout", "--quiet", "-B", "other", "base")
    change(checkout, REGRESSIONS["bit dropped"])
    commit(checkout, "KVM: another first")
    change(checkout, [(MMU, "ext.cr4_la57 = ", "/* Five. */\n\t\text.cr4_la57 = ")])
    commit(checkout, "KVM: another second")
    good = git(checkout, "format-patch", "-o", str(out), "base").splitlines()
    git(checkout, "checkout", "--quiet", "--detach", "base")
    for series in (bad, good):
        done = call(
            *COMMAND.split(), "lint", "--format", "terse", "--series", series[1], cwd=checkout
        )
        assert (done.returncode, done.stderr) == (int(series is bad), "")


def test_a_hook_of_somebody_else_stays(checkout):
    """Neither install nor uninstall touches a hook without the mark; ours comes and goes."""
    hook = checkout / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 0\n", "utf-8")
    for action in ("install", "uninstall"):
        done = call(*COMMAND.split(), "hook", action, cwd=checkout)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "not patchtool's" in done.stderr
    assert hook.read_text("utf-8") == "#!/bin/sh\nexit 0\n"
    hook.unlink()
    install(checkout, "pre-commit", "pre-push")
    install(checkout, "pre-commit", "pre-push")
    assert os.access(hook, os.X_OK)
    done = call(*COMMAND.split(), "hook", "uninstall", "pre-commit", "pre-push", cwd=checkout)
    assert (done.returncode, done.stdout.count("removed")) == (0, 2)
    assert not hook.exists()


def test_hooks_go_where_git_looks_for_them(checkout, tmp_path):
    """core.hooksPath is obeyed, and outside of a repository there is one sentence."""
    git(checkout, "config", "core.hooksPath", "my-hooks")
    install(checkout)
    assert (checkout / "my-hooks/pre-commit").exists()
    done = call(*COMMAND.split(), "hook", "install", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "not in a git repository" in done.stderr
    assert call(*COMMAND.split(), "hook", "install", "post-merge", cwd=checkout).returncode == 2


# -- b4 --------------------------------------------------------------------------------------


def test_b4_prep_check_shows_the_gap(checkout, monkeypatch):
    """b4 prep --check runs the documented line and marks the patch at fault, and only that."""
    b4 = program("b4")
    # b4 looks for the commit with the cover letter among those of the last year.
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    git(checkout, "config", "b4.prep-perpatch-check-cmd", f"{COMMAND} lint --format terse -")
    git(checkout, "config", "b4.prep-cover-strategy", "commit")
    git(checkout, "config", "b4.send-series-to", "kvm@example.com")
    done = call(b4, "--offline-mode", "prep", "-n", "topic", "-f", "main", cwd=checkout)
    assert done.returncode == 0, done.stderr
    change(checkout, HARMLESS)
    commit(checkout, "KVM: fine")
    change(checkout, REGRESSIONS["bit dropped"])
    commit(checkout, "KVM: drop a bit")
    done = call(b4, "--offline-mode", "prep", "--check", cwd=checkout)
    said = done.stdout + done.stderr
    assert "Success: 1, Warning: 0, Error: 2" in said, said
    assert said.count("EFER.LMA") == 2


@pytest.mark.parametrize("verb", ["am", "shazam"])
def test_b4_am_shows_the_gap(checkout, tmp_path, monkeypatch, verb):
    """A series that b4 fetched is judged by patch, and as the mailbox that it writes."""
    b4 = program("b4")
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    git(checkout, "config", "b4.am-perpatch-check-cmd", f"{COMMAND} lint --format terse -")
    git(checkout, "checkout", "--quiet", "-b", "topic")
    fine = [(MMU, "#include", "/* fine */\n#include")]
    for edits, subject in ((fine, "KVM: fine"), (REGRESSIONS["bit dropped"], "KVM: drop")):
        change(checkout, edits)
        commit(checkout, subject)
    box = tmp_path / "thread.mbox"
    box.write_text(git(checkout, "format-patch", "--thread", "--stdout", "main.."), "utf-8")
    name = re.search(r"^Message-I[dD]: <(.*)>$", box.read_text("utf-8"), re.MULTILINE)
    git(checkout, "checkout", "--quiet", "main")
    # "shazam" has no folder to write to: it hands the series to git am.
    words = ("-o", tmp_path / "box") if verb == "am" else ()
    done = call(
        b4, "--offline-mode", verb, "--check", "--no-add-trailers", "-m", box, *words, name[1],
        cwd=checkout,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert said.count("EFER.LMA") == 2, said
    assert said.count("passed all checks") == 1, said
    if verb == "am":
        (series,) = (tmp_path / "box").glob("*.mbx")
        done = call(*COMMAND.split(), "lint", "-q", series, cwd=checkout)
        assert (done.returncode, done.stdout.count("brought in by patch 2 of 2")) == (1, 2)
    else:
        assert git(checkout, "log", "--format=%s", "main") == "KVM: drop\nKVM: fine\nfirst"


def test_b4_review_takes_the_json_rows(checkout, monkeypatch):
    """b4's own reader of the JSON protocol takes what lint prints: fail, warn and nothing."""
    checks = pytest.importorskip("b4.review.checks")
    from email import message_from_string
    from email.policy import default

    monkeypatch.setenv("PYTHONPATH", str(HOUSE))
    files = files_of(checkout)
    guard = "\tif (new_role.as_u64 == context->mmu_role.as_u64)\n"
    puzzle = edited(files, [(MMU, guard, "\tif (roles_match(context, &new_role))\n")])
    wanted = {
        "fail": diff(files, edited(files, REGRESSIONS["bit dropped"])),
        "warn": diff(files, puzzle),
        "": diff(files, edited(files, HARMLESS)),
    }
    for status, patch in wanted.items():
        message = message_from_string(mail(patch).partition("\n")[2], policy=default)
        command = [*COMMAND.split(), "lint", "--format", "b4-json", "-"]
        rows = checks._run_external_cmd(command, message, str(checkout))
        assert {row["status"] for row in rows} == ({status} if status else set()), rows


# -- pre-commit ------------------------------------------------------------------------------


def documented(heading):
    """Return the first block of code below a heading of the page on workflows."""
    page = (HOUSE / "docs/workflows.md").read_text("utf-8")
    return page.partition(f"\n## {heading}\n")[2].partition("```\n")[0].partition("\n```yaml\n")[2]


@pytest.mark.parametrize("folder", ["", "linux/"])
def test_pre_commit_runs_the_hook(tmp_path, folder):
    """The real pre-commit with the documented lines stops at a new gap, wherever it is.

    A file that is gone counts, too, of which pre-commit itself tells no hook.
    """
    tool = program("pre-commit")
    config = documented("pre-commit")
    assert config.count("entry: patchtool ") == 1
    top = tmp_path / "repository"
    tree = Path(shutil.copytree(FIXED, top / folder))
    repository(
        top, {".pre-commit-config.yaml": config.replace("patchtool ", f"{COMMAND} ").encode()}
    )

    def judged():
        git(top, "add", "--all", ".")
        done = call(tool, "run", cwd=top)
        git(top, "reset", "--quiet", "--hard")
        return done.returncode, done.stdout + done.stderr

    change(tree, HARMLESS)
    status, said = judged()
    assert (status, "Passed" in said) == (0, True), said
    change(tree, REGRESSIONS["bit dropped"])
    status, said = judged()
    assert (status, "EFER.LMA" in said) == (1, True), said
    (tree / "virt/kvm").mkdir(parents=True)
    (tree / "virt/kvm/more.c").write_text(STORE.replace(" inline", ""), "utf-8")
    status, said = judged()
    assert (status, "more.c" in said) == (1, True), said
    (tree / HOST).unlink()
    status, said = judged()
    assert status == 1, said


def test_what_others_name_asks_for_the_same():
    """The definition for others runs at every commit, as the documented lines do."""
    own = (HOUSE / ".pre-commit-hooks.yaml").read_text("utf-8").split("\n")
    lines = {line.strip() for line in documented("pre-commit").split("\n")}
    assert {"entry: patchtool lint --staged", "always_run: true", "pass_filenames: false"} <= (
        lines & {line.strip() for line in own}
    )


def test_pre_commit_accepts_the_definition():
    """The file that others name in their configuration is valid for the real pre-commit."""
    tool = program("pre-commit")
    done = call(tool, "validate-manifest", HOUSE / ".pre-commit-hooks.yaml")
    assert (done.returncode, done.stdout) == (0, "")


# -- builds and actions ----------------------------------------------------------------------


MAKEFILE = """\
obj:
	$(CHECK) -D__linux__ -Dlinux -D__STDC__ -Wbitwise -Wno-return-void $(CF) -nostdinc \\
		-I./arch/x86/include -include ./kconfig.h -Wp,-MMD,x.d --param=x=1 $(FILE)
"""


@pytest.mark.parametrize(
    ("tree", "file", "flags", "status", "lines"),
    [
        (DEMO, MMU, "", 0, 2),
        (DEMO, MMU, "--error", 2, 2),
        (FIXED, MMU, "--error", 0, 0),
        (DEMO, "arch/x86/kvm/cpuid.c", "--error", 0, 0),
        (DEMO, "net/core/dev.c", "--error", 0, 0),
    ],
)
def test_make_runs_it_as_checker(tmp_path, tree, file, flags, status, lines):
    """Call the checker as the kernel build does; only --error makes the build fail."""
    rules = tmp_path / "rules.mk"
    rules.write_text(MAKEFILE, "utf-8")
    done = call(
        "make", "-s", "-f", rules, f"CHECK={COMMAND} kbuild {flags}", f"FILE={file}", cwd=tree
    )
    assert done.returncode == status, done.stderr
    assert done.stdout.count(": error: ") == len(done.stdout.splitlines()) == lines
    assert all(line.startswith(f"{MMU}:") for line in done.stdout.splitlines())


def test_the_action_runs_what_it_says(checkout, tmp_path):
    """The shell of the action's last step lints a range and passes the exit status on."""
    yaml = pytest.importorskip("yaml")
    action = yaml.safe_load((HOUSE / "action.yml").read_text("utf-8"))
    assert action["runs"]["using"] == "composite"
    steps = action["runs"]["steps"]
    assert all(step["shell"] == "bash" for step in steps)
    change(checkout, REGRESSIONS["bit dropped"])
    commit(checkout, "bad")
    tool = tmp_path / "patchtool/bin/patchtool"
    tool.parent.mkdir(parents=True)
    tool.write_text(f'#!/bin/sh\nexec {COMMAND} "$@"\n', "utf-8")
    tool.chmod(0o755)
    sarif = tmp_path / "out.sarif"
    around = {"RUNNER_TEMP": str(tmp_path), "TREE": str(checkout), "RANGE": "HEAD~1.."}
    step = ("bash", "-e", "-o", "pipefail", "-c", steps[-1]["run"])
    done = call(*step, FORMAT="github", OUTPUT="", **around)
    assert (done.returncode, done.stdout.count("::error ")) == (1, 2), done.stderr
    done = call(*step, FORMAT="sarif", OUTPUT=str(sarif), **around)
    assert (done.returncode, done.stdout) == (1, "")
    (run,) = json.loads(sarif.read_text("utf-8"))["runs"]
    assert [one["baselineState"] for one in run["results"]] == ["new", "new"]
