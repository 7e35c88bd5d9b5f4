# SPDX-License-Identifier: GPL-2.0-only
"""The documentation is what the program says about itself, and its lines are true."""

import importlib.util
import os
import pty
import select
import shlex
import subprocess
import textwrap
from pathlib import Path

import pytest
from scratch import program

from patchtool import cli
from patchtool.rules import stale_mmu_role as rule
from patchtool.rules.documentation import HEADINGS, PAGES

HOUSE = Path(__file__).parent.parent
DOCS = HOUSE / "docs"


def generator():
    """Return docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_files_are_fresh():
    """Rule pages, man page and completions are what `make docs` would write now."""
    stale = [
        name
        for name, text in generator().outputs().items()
        if not (DOCS / name).exists() or (DOCS / name).read_text("utf-8") != text
    ]
    assert not stale, f"run `make docs`: {stale} differ"


def test_the_readme_shows_what_is_printed(capfd):
    """The report in the README is the beginning of that on the miniature kernel."""
    readme = (HOUSE / "README.md").read_text("utf-8")
    shown = readme.partition("begins with:\n\n")[2].partition("\n\nand ends with")[0]
    assert cli.main(["check", str(HOUSE / "fixtures/demo")]) == 1
    assert capfd.readouterr().out.startswith(f"{textwrap.dedent(shown)}\n")


def test_every_rule_has_a_page():
    """Each rule is explained under all headings, and explain prints it."""
    assert rule.RULE in PAGES
    for page in PAGES.values():
        assert tuple(page.sections) == HEADINGS
        assert all(len(line) <= 90 for text in page.sections.values() for line in text.split("\n"))


def test_explain_prints_a_page(capfd):
    """A rule is found by its name or by its type in terse output; no other name is."""
    assert cli.main(["explain"]) == 0
    assert capfd.readouterr().out.startswith("stale-mmu-role: ")
    for name in ("stale-mmu-role", "STALE_MMU_ROLE"):
        assert cli.main(["explain", name]) == 0
        assert "\nWhat the fix changes\n" in capfd.readouterr().out
    assert cli.main(["explain", "no-rule"]) == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_commands_in_the_documentation_exist():
    """Every command line of the workflow page is one that the program takes."""
    text = (DOCS / "workflows.md").read_text("utf-8")
    lines = [line.strip() for line in text.splitlines() if line.startswith("patchtool ")]
    assert len(lines) > 8
    for line in lines:
        words = shlex.split(line.partition("#")[0].partition(" || ")[0].partition("<")[0])
        cli._parser().parse_args(words[1:])


def test_the_man_page_has_no_warnings():
    """The real groff formats the man page without a complaint."""
    done = subprocess.run(
        [program("groff"), "-man", "-ww", "-z", DOCS / "patchtool.1"],
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["li"], {"lint"}),
        (["lint", "--sta"], {"--staged"}),
        (["lint", "--format", "sa"], {"sarif"}),
    ],
)
def test_bash_completes(words, expected):
    """The real bash completes commands, options and values with the generated script."""
    line = " ".join(shlex.quote(word) for word in ["patchtool", *words])
    script = f"source {shlex.quote(str(DOCS / 'completions/patchtool.bash'))}; "
    script += f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; _patchtool; "
    script += "printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False, text=True)
    assert set(done.stdout.split()) == expected, done.stderr


@pytest.mark.parametrize(
    ("shell", "arguments", "file"),
    [("zsh", ["-n"], "_patchtool"), ("fish", ["--no-execute"], "patchtool.fish")],
)
def test_other_shells_read_their_scripts(shell, arguments, file):
    """The real zsh and fish parse the scripts that are meant for them."""
    command = [program(shell), *arguments, str(DOCS / "completions" / file)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("patchtool li", {"lint"}),
        ("patchtool lint --sta", {"--staged"}),
        ("patchtool lint --format sa", {"sarif"}),
        ("patchtool check --color n", {"never"}),
    ],
)
def test_fish_completes(line, expected):
    """The real fish completes commands, options and values."""
    script = f"source {shlex.quote(str(DOCS / 'completions/patchtool.fish'))}; complete -C '{line}'"
    done = subprocess.run(
        [program("fish"), "--no-config", "-c", script], capture_output=True, check=False, text=True
    )
    found = {one.partition("\t")[0] for one in done.stdout.splitlines()}
    assert found == expected, done.stderr


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("patchtool li", "lint"),
        ("patchtool lint --sta", "--staged"),
        ("patchtool lint --format sa", "lint --format sarif"),
        ("patchtool check --color n", "check --color never"),
    ],
)
def test_zsh_completes(line, expected, tmp_path):
    """The real zsh, with a person at a terminal, completes commands, options and values."""
    rules = [
        f"fpath=({shlex.quote(str(DOCS / 'completions'))} $fpath)",
        f"autoload -Uz compinit; compinit -u -d {shlex.quote(str(tmp_path / 'dump'))}",
        'patchtool() { print -r -- "$*" > answer; exit }',
    ]
    (tmp_path / ".zshrc").write_text("\n".join(rules) + "\n", "utf-8")
    ours, theirs = pty.openpty()
    around = {**os.environ, "ZDOTDIR": str(tmp_path), "TERM": "dumb", "PS1": "READY "}
    shell = subprocess.Popen(
        [program("zsh"), "-d", "-i"], stdin=theirs, stdout=theirs, stderr=theirs,
        cwd=tmp_path, env=around, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    sent = False
    try:
        while shell.poll() is None and select.select([ours], [], [], 30)[0]:
            try:
                seen += os.read(ours, 4096)
            except OSError:
                break
            if b"READY" in seen and not sent:
                os.write(ours, line.encode() + b"\t\n")
                sent = True
        shell.wait(30)
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
    answer = tmp_path / "answer"
    assert answer.exists(), seen
    words = answer.read_text("utf-8").strip()
    assert words.endswith(expected), words
