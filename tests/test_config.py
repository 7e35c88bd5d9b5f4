# SPDX-License-Identifier: GPL-2.0-only
"""Settings come from where they should, in the documented order, and mistakes are named."""

import json
import os
import shutil
from pathlib import Path

import pytest
from scratch import git, repository
from test_lint import (
    DEMO,
    FIXED,
    HOST,
    LMA,
    MMU,
    REGRESSIONS,
    counted,
    diff,
    mail,
    patch_of,
    run,
)
from test_report import official

from patchtool import cli, config
from patchtool.errors import UsageError
from patchtool.lint.suppress import find

__all__ = ["counted", "run"]

GUARD = "\tif (new_role.as_u64 == context->mmu_role.as_u64)\n"
NOTE = "\t/* patchtool: ignore stale-mmu-role: checked by hand */\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return a repository that is the current folder."""
    tree = repository(Path(shutil.copytree(DEMO, tmp_path / "linux")), {})
    monkeypatch.chdir(tree)
    return tree


def said(capfd, *arguments):
    """Run the command line and return status and both streams."""
    status = cli.main(list(arguments))
    return status, *capfd.readouterr()


def test_the_order_of_precedence(here, monkeypatch, capfd):
    """Command line, environment, .patchtool.toml, git config, default: the first one wins."""
    assert config.settings() == {}
    git(here, "config", "patchtool.format", "terse")
    assert config.settings()["format"].value == "terse"
    assert "ERROR:STALE_MMU_ROLE" in said(capfd, "check")[1]
    (here / ".patchtool.toml").write_text('format = "json"\n', "utf-8")
    assert config.settings()["format"].value == "json"
    monkeypatch.chdir(here / "arch")
    assert config.settings()["format"].value == "json"
    monkeypatch.chdir(here)
    monkeypatch.setenv("PATCHTOOL_FORMAT", "github")
    assert config.settings()["format"].value == "github"
    assert said(capfd, "check")[1].startswith("::error ")
    assert said(capfd, "check", "--format", "patchwork")[1].startswith("{")


def test_a_tree_counts_from_the_file(here, tmp_path, monkeypatch, capfd):
    """A tree in .patchtool.toml is found from every folder below the file."""
    (tmp_path / ".patchtool.toml").write_text('tree = "linux"\nfields = ["root_level"]\n', "utf-8")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert config.settings()["fields"].value == "root_level"
    assert said(capfd, "check", "--format", "terse")[0] == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('fromat = "json"\n', "did you mean 'format'?"),
        ('format = "xml"\n', "none of text, terse"),
        ("format = 1\n", "must be a string"),
        ("signoff = 'perhaps'\n", "neither true nor false"),
        ("format =\n", "no valid TOML"),
    ],
)
def test_mistakes_in_the_file_are_named(here, capfd, text, words):
    """A wrong key or value is status 2 and one sentence that names file and key."""
    (here / ".patchtool.toml").write_text(text, "utf-8")
    status, out, err = said(capfd, "check")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert ".patchtool.toml" in err


def test_mistakes_in_git_config_are_named(here):
    """An unknown patchtool.* key of git is refused with a suggestion."""
    git(here, "config", "patchtool.sginoff", "true")
    with pytest.raises(UsageError, match=r"patchtool\.sginoff.*did you mean 'signoff'"):
        config.settings()


def test_git_itself_reads_its_configuration(here):
    """Includes, conditions and later values count as git says, and a value may be missing."""
    more = Path(os.environ["HOME"]) / "more"
    more.write_text("[patchtool]\n\tcolor = never\n\tsignoff\n", "utf-8")
    git(here, "config", f"includeIf.gitdir:{here}/.path", str(more))
    git(here, "config", "patchtool.color", "auto")
    found = config.settings()
    assert (found["color"].value, found["signoff"].value) == ("auto", True)


HOSTILE = [
    (b"format = " + b"9" * 5000, "no valid TOML"),
    (b"fields = " + b"[" * 3000 + b"]" * 3000, "no valid TOML"),
    (b'tree = "a\\u0000b"', "cannot be printed"),
    (b'tree = "a\\u001b[1m"', "cannot be printed"),
    (b"\xff\xfe\x00", "no valid TOML"),
    (b"# " * 100_000, "is larger than"),
]


@pytest.mark.parametrize(("data", "words"), HOSTILE)
def test_a_hostile_file_is_one_sentence(here, capfd, data, words):
    """The file of a tree that one does not trust can do no more than be refused."""
    (here / ".patchtool.toml").write_bytes(data)
    status, out, err = said(capfd, "check")
    assert (status, out, err.count("\n"), "report it" in err) == (2, "", 1, False)
    assert words in err


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused(here, capfd, make):
    """A named pipe does not keep anybody waiting."""
    make(here / ".patchtool.toml")
    status, out, err = said(capfd, "check")
    assert (status, out, "is no regular file" in err) == (2, "", True)


def test_a_linked_work_tree_is_looked_into(here, tmp_path, monkeypatch):
    """What the repository of a linked work tree says counts."""
    linked = tmp_path / "linked"
    git(here, "worktree", "add", "--quiet", "--detach", str(linked))
    git(here, "config", "patchtool.format", "terse")
    monkeypatch.chdir(linked)
    assert config.settings()["format"].value == "terse"


# -- suppressions ----------------------------------------------------------------------------


def test_a_suppression_needs_a_reason(run):
    """A finding at a guard with a reasoned comment is accepted; without reason it is not."""
    # One of the three guards has no gap, so the comment there is always in vain.
    for note, status, gaps, vain in (
        (NOTE, 0, 0, 1),
        (NOTE.replace(": checked by hand", ""), 1, 2, 3),
    ):
        edits = [*REGRESSIONS["bit dropped"], (MMU, GUARD, note + GUARD)]
        patch = mail(patch_of(FIXED, edits))
        got, out, err = run("-", "--tree", FIXED, "--format", "terse", data=patch)
        counts = out.count("ERROR:"), out.count("WARNING:SUPPRESSION:")
        assert (got, *counts, err) == (status, gaps, vain, "")
    patch = mail(patch_of(FIXED, [(MMU, LMA, ""), (MMU, GUARD, NOTE + GUARD)]))
    status, out, err = run("-", "--tree", FIXED, data=patch)
    assert (status, out.count(f"; suppressed by {MMU}:"), err) == (0, 2, "")
    assert out.endswith("no gap brought in; 2 gaps suppressed in the source (assumptions above)\n")
    assert "0 != 1" not in out
    status, out, err = run("-", "--tree", FIXED, "-v", data=patch)
    assert (status, out.count("0 != 1"), err) == (0, 2, "")


@pytest.fixture
def accepted(tmp_path):
    """Return a tree with a gap that its source accepts, and with no other."""
    tree = Path(shutil.copytree(DEMO, tmp_path / "linux"))
    text = (tree / MMU).read_text("utf-8")
    (tree / MMU).write_text(text.replace(GUARD, NOTE + GUARD, 2), "utf-8")
    return tree


def test_check_sets_apart_what_the_source_accepts(accepted, capfd):
    """An accepted gap is no error for check and kbuild, and is never told as a proof."""
    line = (accepted / MMU).read_text("utf-8").splitlines().index(NOTE.strip("\n")) + 1
    status, out, err = said(capfd, "check", str(accepted))
    assert (status, err) == (0, "")
    assert out.count(" note: ") == 2
    assert f"; suppressed by {MMU}:{line}: checked by hand [stale-mmu-role]" in out
    assert "2 gaps suppressed in the source, no other on 5 paths" in out
    assert "0 != 1" not in out
    assert "0 != 1" in said(capfd, "check", str(accepted), "--verbose")[1]
    status, out, err = said(capfd, "kbuild", "--error", str(accepted / MMU))
    assert (status, out.count(" note: "), out.count(" error: "), err) == (0, 2, 0, "")


def test_programs_are_told_what_is_accepted(accepted, capfd):
    """Each form for programs says that a finding is suppressed, by which line, and why."""
    status, out, _ = said(capfd, "check", str(accepted), "--format", "json")
    document = json.loads(out)
    assert (status, document["verdict"], document["findings"]) == (0, "gap", [])
    assert {c["verdict"] for c in document["contexts"]} == {"gap", "covered"}
    by = [one["suppressed_by"] for one in document["suppressed"]]
    assert [(one["file"], one["reason"]) for one in by] == [(MMU, "checked by hand")] * 2
    status, out, _ = said(capfd, "check", str(accepted), "--format", "sarif")
    official(json.loads(out))
    (found,) = json.loads(out)["runs"]
    assert (status, found["invocations"][0]["exitCode"]) == (0, 0)
    lines = []
    for result in found["results"]:
        (one,) = result["suppressions"]
        assert (one["kind"], one["justification"]) == ("inSource", "checked by hand")
        lines.append(one["location"]["physicalLocation"]["region"]["startLine"])
    assert lines == [one["line"] for one in by]
    assert said(capfd, "check", str(accepted), "--format", "terse") == (0, "", "")
    out = said(capfd, "check", str(accepted), "--format", "terse", "-v")[1]
    assert out.count(" CHECK:STALE_MMU_ROLE: ") == 2
    out = said(capfd, "check", str(accepted), "--format", "github")[1]
    assert (out.count("::notice "), out.count("::error "), out.count(by[0]["reason"])) == (2, 0, 2)
    rows = json.loads(said(capfd, "check", str(accepted), "--format", "b4-json")[1])
    assert {row["status"] for row in rows} == {"pass"}
    assert all("suppressed by" in row["summary"] for row in rows)
    record = json.loads(said(capfd, "check", str(accepted), "--format", "patchwork")[1])
    assert record["state"] == "success"
    assert "2 findings suppressed" in record["description"]


def test_an_accepted_gap_hides_nothing_else(accepted, capfd):
    """Beside an accepted gap another one is an error, and what is undecided is status 3."""
    text = (accepted / MMU).read_text("utf-8")
    first = text.index(NOTE)
    (accepted / MMU).write_text(text[:first] + text[first + len(NOTE) :], "utf-8")
    status, out, _ = said(capfd, "check", str(accepted))
    assert (status, out.count(": error: "), out.count("; suppressed by ")) == (1, 1, 1)
    assert "1 gap on 1 of 5 paths; 1 gap suppressed in the source" in out
    puzzle = "\tif (roles_match(context, &new_role))\n"
    (accepted / MMU).write_text(text[:first] + text[first:].replace(GUARD, puzzle, 1), "utf-8")
    status, out, _ = said(capfd, "check", str(accepted))
    assert (status, out.count(": error: ")) == (3, 0)
    document = json.loads(said(capfd, "check", str(accepted), "--format", "sarif")[1])
    assert document["runs"][0]["invocations"][0]["executionSuccessful"] is False


def test_check_and_lint_remark_on_what_accepts_nothing(run, accepted, capfd):
    """A comment in vain is a warning of check, and of lint where the change made it so."""
    words = "this suppression no longer suppresses anything; remove it"
    files = {MMU: (accepted / MMU).read_text("utf-8")}
    mended = {MMU: (FIXED / MMU).read_text("utf-8").replace(GUARD, NOTE + GUARD, 2)}
    host = {HOST: (accepted / HOST).read_text("utf-8")}, {HOST: (FIXED / HOST).read_text("utf-8")}
    patch = mail(diff({**files, **host[0]}, {**mended, **host[1]}))
    assert words not in said(capfd, "check", str(accepted))[1]
    status, out, err = run("-", "--tree", accepted, "--format", "terse", data=patch)
    assert (status, out.count("WARNING:SUPPRESSION"), err) == (0, out.count("\n"), "")
    assert out.count(words) == mended[MMU].count(NOTE)
    (accepted / MMU).write_text(mended[MMU], "utf-8")
    (accepted / HOST).write_text(host[1][HOST], "utf-8")
    for form, mark in (
        ("text", "warning: "), ("terse", "WARNING:SUPPRESSION: "), ("github", "::warning "),
        ("json", '"text": "'), ("sarif", '"level": "warning"'), ("b4-json", '"warn"'),
        ("patchwork", '"warning"'),
    ):  # fmt: skip
        status, out, err = said(capfd, "check", str(accepted), "--format", form)
        assert (status, words in out, mark in out, err) == (0, True, True, "")


def test_taking_an_acceptance_back_is_news(run, accepted):
    """A patch that only removes the comment brings the finding to light again."""
    text = (accepted / MMU).read_text("utf-8")
    patch = mail(diff({MMU: text}, {MMU: text.replace(NOTE, "")}))
    status, out, _ = run("-", "--tree", accepted, "--format", "terse", data=patch)
    assert (status, out.count("it is no longer suppressed")) == (1, 2)
    other = mail(diff({MMU: text.replace(NOTE, "")}, {MMU: text}))
    (accepted / MMU).write_text(text.replace(NOTE, ""), "utf-8")
    assert run("-", "--tree", accepted, data=other) == (0, "", "")


def test_suppressions_in_vain_are_reported(run, tmp_path):
    """The list of suppressions fails at one that has nothing to suppress, or no reason."""
    tree = Path(shutil.copytree(DEMO, tmp_path / "linux"))
    text = (tree / MMU).read_text("utf-8")
    first = text.index(GUARD)
    (tree / MMU).write_text(text[:first] + NOTE + text[first:], "utf-8")
    status, out, err = run("--suppressions", "--tree", tree)
    assert (status, out.count("accepted: checked by hand"), err) == (0, 1, "")
    (tree / MMU).write_text(text.replace(LMA, "").replace("\nvoid", "\n" + NOTE + "void", 1))
    status, out, err = run("--suppressions", "--tree", tree)
    assert (status, out.count("no longer suppresses anything"), err) == (1, 1, "")
    (tree / MMU).write_text(text[:first] + NOTE.replace("stale", "stall") + text[first:])
    status, out, err = run("--suppressions", "--tree", tree)
    assert (status, out.count("there is no rule 'stall-mmu-role'"), err) == (1, 1, "")


def test_a_suppression_is_about_the_next_line_of_code():
    """It may stand on the line, above it, or in a comment of several lines."""
    for text, target in (
        (b"x(); /* patchtool: ignore r: why */\n", 1),
        (b"/* patchtool: ignore r: why */\n\nx();\n", 3),
        (b"/*\n * patchtool: ignore r: why\n * and more\n */\nx();\n", 5),
        (b"// patchtool: ignore r: why\nx();\n", 2),
    ):
        (one,) = find("f.c", text)
        assert (one.target, one.rule, one.reason) == (target, "r", "why")
