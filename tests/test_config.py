# SPDX-License-Identifier: GPL-2.0-only
"""Settings come from where they should, in the documented order, and mistakes are named."""

import os
import shutil
from pathlib import Path

import pytest
from scratch import git, repository
from test_lint import DEMO, FIXED, LMA, MMU, REGRESSIONS, counted, mail, patch_of, run

from patchtool import cli, config
from patchtool.errors import UsageError
from patchtool.suppress import find

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


def test_git_is_asked_only_where_it_may_know(here, monkeypatch):
    """Without a word of us in its files git is not started; an include might have one."""
    import subprocess

    calls = []
    genuine = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: calls.append(a) or genuine(*a, **k))
    assert config.settings() == {}
    assert not calls
    more = Path(os.environ["HOME"]) / "more"
    more.write_text("[patchtool]\n\tcolor = never\n", "utf-8")
    genuine(["git", "config", "include.path", str(more)], check=True)
    assert config.settings()["color"].value == "never"
    assert len(calls) == 1


def test_a_linked_work_tree_is_looked_into(here, tmp_path, monkeypatch):
    """What the repository of a linked work tree says counts; git is asked only then."""
    import subprocess

    linked = tmp_path / "linked"
    git(here, "worktree", "add", "--quiet", "--detach", str(linked))
    monkeypatch.chdir(linked)
    calls = []
    genuine = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: calls.append(a) or genuine(*a, **k))
    assert (config.settings(), calls) == ({}, [])
    monkeypatch.undo()
    git(here, "config", "patchtool.format", "terse")
    assert config.settings(str(linked))["format"].value == "terse"


# -- suppressions ----------------------------------------------------------------------------


def test_a_suppression_needs_a_reason(run):
    """A finding at a guard with a reasoned comment is accepted; without reason it is not."""
    for note, status in ((NOTE, 0), (NOTE.replace(": checked by hand", ""), 1)):
        edits = [*REGRESSIONS["bit dropped"], (MMU, GUARD, note + GUARD)]
        patch = mail(patch_of(FIXED, edits))
        got, out, err = run("-", "--tree", FIXED, "--format", "terse", data=patch)
        assert (got, bool(out), err) == (status, bool(status), "")
    patch = mail(patch_of(FIXED, [(MMU, LMA, ""), (MMU, GUARD, NOTE + GUARD)]))
    assert "suppressed: checked by hand" in run("-", "--tree", FIXED, "-v", data=patch)[2]


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
