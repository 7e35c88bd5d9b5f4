# SPDX-License-Identifier: GPL-2.0-only
"""The program keeps its word: streams, exit status, bad input, and what it imports."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import miniatures
import pytest
from scratch import commit, git, repository

from patchtool import cli
from patchtool.errors import InputError
from patchtool.model import Consulted, Report
from patchtool.outside import files
from patchtool.rules import stale_mmu_role as rule

HOUSE = Path(__file__).parent.parent
DEMO = HOUSE / "fixtures/demo"
FIXED = miniatures.folder("role-regs-fixed")
BROKEN = miniatures.folder("broken-syntax")
MMU = "arch/x86/kvm/mmu/mmu.c"
HOST = "arch/x86/include/asm/kvm_host.h"

ENVIRONMENT = {"PYTHONPATH": str(HOUSE), "COLUMNS": "80", "TERM": "xterm"}
CUSTOMS = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE")


def around(**more):
    """Return an environment without the person's taste in colours."""
    kept = {name: value for name, value in os.environ.items() if name not in CUSTOMS}
    return {**kept, **ENVIRONMENT, **more}


def patchtool(*arguments, cwd=None, data=None, **more):
    """Run the real program."""
    return subprocess.run(
        [sys.executable, "-m", "patchtool", *map(str, arguments)],
        cwd=cwd,
        input=data,
        capture_output=True,
        check=False,
        text=data is None or isinstance(data, str),
        env=around(**more),
    )


def snapshot(folder):
    """Return everything below a folder that a program could have changed."""
    return {
        path.relative_to(folder): (path.lstat().st_mode, path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def tree(tmp_path):
    """Return a miniature kernel of one's own."""
    return Path(shutil.copytree(DEMO, tmp_path / "linux"))


@pytest.fixture
def checkout(tree):
    """Return a miniature kernel in a repository."""
    repository(tree, {})
    return tree


# -- verdicts --------------------------------------------------------------------------------


@pytest.mark.parametrize(("fixture", "status"), [(DEMO, 1), (FIXED, 0), (BROKEN, 3)])
def test_the_exit_status_tells_the_verdict(fixture, status):
    """A gap is 1, all covered is 0, undecided is 3; findings are on standard output alone."""
    done = patchtool("check", fixture)
    assert (done.returncode, done.stderr) == (status, "")
    assert ": error: " in done.stdout if status == 1 else ": error: " not in done.stdout
    assert "no gap" in done.stdout if status == 0 else "no gap" not in done.stdout


def test_the_tree_is_this_folder(tree):
    """Without a TREE the current folder is checked, with the same answer."""
    inside, named = patchtool("check", cwd=tree), patchtool("check", tree)
    assert inside.stdout == named.stdout != ""
    assert (inside.returncode, named.returncode) == (1, 1)


def test_a_revision_and_a_patch_give_the_same_answer(checkout, tmp_path):
    """A revision reads like the files, and a patch is as good as the patched tree."""
    fixed = tmp_path / "fixed"
    shutil.copytree(FIXED, fixed)
    patch = subprocess.run(
        ["git", "diff", "--no-index", "--no-prefix", "linux/arch", "fixed/arch"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    ).stdout
    patch = patch.replace(b" linux/", b" a/").replace(b" fixed/", b" b/")
    plain = json.loads(patchtool("check", checkout, "--format", "json").stdout)
    done = patchtool("check", checkout, "--rev", "HEAD", "--format", "json")
    at_rev = json.loads(done.stdout)
    assert at_rev.pop("rev") == git(checkout, "rev-parse", "HEAD")
    assert plain.pop("rev") is None
    assert (plain, done.returncode) == (at_rev, 1)
    patched = patchtool("check", checkout, "--rev", "HEAD", "--diff", "-", data=patch)
    assert (patched.returncode, patched.stderr) == (0, b"")
    (tmp_path / "fix.patch").write_bytes(patch)
    from_file = patchtool("check", checkout, "--diff", tmp_path / "fix.patch")
    assert from_file.stdout == patchtool("check", fixed).stdout


def test_fields_are_chosen():
    """--fields takes names or all, and refuses what no set-up stores."""
    done = patchtool("check", DEMO, "--fields", "shadow_root_level", "--format", "json")
    assert done.returncode == 0
    assert '"name": "root_level"' not in done.stdout
    assert '"name": "shadow_root_level"' in done.stdout
    for name in ("no_such_field", "root level", ""):
        done = patchtool("check", DEMO, "--fields", name)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("patchtool: error: --fields")


# -- output ----------------------------------------------------------------------------------


def test_a_report_goes_to_a_file_whole(tree, tmp_path):
    """-o writes the bytes that standard output would get, over an older file too."""
    target = tmp_path / "report.json"
    target.write_text("old", "utf-8")
    done = patchtool("check", tree, "--format", "json", "-o", target)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert target.read_text("utf-8") == patchtool("check", tree, "--format", "json").stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["linux", "report.json"]


def test_a_failed_check_leaves_the_file_alone(tmp_path):
    """When there is no report, the file that -o names stays as it was."""
    target = tmp_path / "report.txt"
    target.write_text("old", "utf-8")
    assert patchtool("check", tmp_path / "nowhere", "-o", target).returncode == 2
    assert target.read_text("utf-8") == "old"


def test_a_folder_that_is_not_there_is_told_before_the_work(tmp_path):
    """Nobody waits for a report that cannot be written."""
    target = tmp_path / "nowhere" / "report.txt"
    done = patchtool("check", tmp_path, "-o", target)  # no kernel, either
    assert (done.returncode, done.stdout) == (2, "")
    words = f"patchtool: error: {target} cannot be written: there is no folder {target.parent}\n"
    assert done.stderr == words


def test_a_write_that_fails_leaves_nothing(monkeypatch, tmp_path):
    """A file that cannot be put in place is an error in a sentence, with no remains."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=r"report\.txt cannot be written: no space left"):
        files.write(str(tmp_path / "report.txt"), b"text")
    assert list(tmp_path.iterdir()) == []


def test_what_lies_in_the_way_is_not_ours(tmp_path):
    """A file that has the name of what is written first is told of, and left alone."""
    path = tmp_path / "report.txt"
    rival = tmp_path / f"report.txt.{os.getpid()}.tmp"
    rival.write_bytes(b"theirs")
    with pytest.raises(InputError, match=r"report\.txt cannot be written: file exists"):
        files.write(str(path), b"text")
    assert (rival.read_bytes(), path.exists()) == (b"theirs", False)


@pytest.mark.parametrize(("mode", "kept"), [(None, 0o600), (0o755, 0o755)])
def test_a_file_keeps_its_mode(tmp_path, mode, kept):
    """What nobody else may read stays so when it is written again."""
    path = tmp_path / "report.txt"
    path.touch(0o600)
    files.write(str(path), b"text", mode)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"text", kept)


@pytest.mark.parametrize("where", ["no/such/folder/x", "", "linux", "nul\0"])
def test_output_that_cannot_be_written(where, tree, capsys, monkeypatch):
    """A place where no file can be is told in one sentence."""
    monkeypatch.setattr(rule, "check", lambda *_: Report("linux", None, verdict="covered"))
    target = where if "\0" in where or not where else str(tree.parent / where)
    assert cli.main(["check", str(tree), "-o", target]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--version",),
        ("explain", "--help"),
        ("rules",),
        ("explain",),
        ("check", FIXED, "--fields", "root_level", "--format", "json"),
        ("kbuild", DEMO / MMU),
        ("fix", DEMO, "--fields", "root_level", "--stdout"),
    ],
    ids=lambda words: words[0],
)
def test_a_full_disk_is_an_error(words):
    """Standard output that takes nothing is an error and no silence."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "patchtool", *map(str, words)],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            env=around(),
        )
    assert done.returncode == 2
    assert done.stderr == (
        b"patchtool: error: standard output cannot be written: no space left on device\n"
    )


def test_a_closed_pipe_is_quiet():
    """A reader that goes away ends the program without a word."""
    command = f"{sys.executable} -m patchtool check {DEMO} --format json; echo $? >&2"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        ["bash", "-c", command], stdout=write, stderr=subprocess.PIPE, check=False, env=around()
    )
    os.close(write)
    assert done.stderr == b"141\n"


def test_an_interrupt_is_quiet(tmp_path):
    """Ctrl-C ends the program with 130 and no traceback."""
    os.mkfifo(tmp_path / "patch")
    # Whoever runs the tests in the background has the signal ignored in all that they start.
    heard = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    heard += "os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", heard, sys.executable, "-m", "patchtool", "check", str(DEMO)]
    command += ["--diff", str(tmp_path / "patch")]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, env=around()) as running,
        # Opening the writing end waits until the program reads.
        open(tmp_path / "patch", "wb"),
    ):
        running.send_signal(signal.SIGINT)
        _, err = running.communicate()
    assert (running.returncode, err) == (130, b"")


def test_verbose_lists_what_the_verdict_rests_on(capsys, monkeypatch):
    """The ledger is on standard error: each definition, its unparsed spans, the sums."""
    ledger = (
        Consulted(HOST, 9, "type", "union kvm_mmu_role"),
        Consulted(MMU, 30, "function", "bad\x1b[1m", 2),
    )
    report = Report("linux", None, ledger=ledger, verdict="not-guarded")
    monkeypatch.setattr(rule, "check", lambda *_: report)
    assert cli.main(["check", str(DEMO), "-v"]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        f"{HOST}:9: type union kvm_mmu_role",
        f"{MMU}:30: function bad\\x1b[1m  2 unparsed spans",
        "patchtool: rests on 2 definitions in 2 files, 2 unparsed spans",
    ]
    assert out == "not guarded: no set-up is skipped on an equal role\n"


def test_quiet_leaves_the_lines_that_name_a_place():
    """-q prints one line per finding and nothing when there is none."""
    lines = patchtool("check", DEMO, "-q").stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{MMU}:") and line.endswith("[stale-mmu-role]") for line in lines)
    assert patchtool("check", FIXED, "-q").stdout == ""


COLOURS = [
    ({}, [], False, False),
    ({}, [], True, True),
    ({"NO_COLOR": "1"}, [], True, False),
    ({"NO_COLOR": ""}, [], True, True),
    ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, [], True, False),
    ({"FORCE_COLOR": "1"}, [], False, True),
    ({"FORCE_COLOR": "0"}, [], False, False),
    ({"CLICOLOR_FORCE": "1"}, [], False, True),
    ({"CLICOLOR": "0"}, [], True, False),
    ({"TERM": "dumb"}, [], True, False),
    ({"NO_COLOR": "1"}, ["--color", "always"], False, True),
    ({"FORCE_COLOR": "1"}, ["--color=never"], True, False),
]


@pytest.mark.parametrize(("environment", "options", "terminal", "painted"), COLOURS)
def test_colour(environment, options, terminal, painted, capsys, monkeypatch):
    """Colour is for terminals, and the customs about it are kept."""
    for name in CUSTOMS:
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rule, "check", lambda *_: Report("linux", None, verdict="unknown"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert cli.main(["check", str(DEMO), *options]) == 3
    assert ("\x1b" in capsys.readouterr().out) == painted


def test_colour_on_a_real_terminal(tmp_path):
    """A pseudo-terminal gets colour, a file that -o names does not."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "patchtool", "check", str(DEMO), "-q"]
    subprocess.run(command, stdout=theirs, check=False, env=around())
    assert b"\x1b[1;31merror:" in os.read(ours, 4096)
    command += ["-o", str(tmp_path / "report")]
    subprocess.run(command, stdout=theirs, check=False, env=around())
    assert b"\x1b" not in (tmp_path / "report").read_bytes()
    os.close(ours)
    os.close(theirs)


def test_output_fits_any_encoding():
    """What a terminal cannot show is spelled out instead of ending the program."""
    script = "from patchtool import cli; cli._prepare_streams(); cli.show('l\xednux')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        check=False,
        env=around(PYTHONIOENCODING="ascii"),
    )
    assert (done.stdout, done.stderr) == (b"l\\xednux", b"")


# -- bad requests ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["chekc"],
        ["check", "--format", "yaml"],
        ["check", "--no-such-option"],
        ["check", "--color"],
        ["check", "one", "two"],
        ["check", "--form", "json"],
    ],
)
def test_a_wrong_command_line(arguments, capsys):
    """A mistake in the arguments is one sentence that leads to the help, and status 2."""
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("patchtool: error: ")
    assert "--help'" in err
    assert err.count("\n") == 1


def sparse(path, size):
    """Make a large file that takes no room."""
    with open(path, "wb") as file:
        file.truncate(size)


def _relink(tree, name, target):
    (tree / name).unlink()
    (tree / name).symlink_to(target)


def _without_kvm(tree):
    (tree / HOST).unlink()
    (tree / "Makefile").write_bytes(b"")
    (tree / "MAINTAINERS").write_bytes(b"")


def _patch(text):
    def make(tree):
        (tree.parent / "x.patch").write_text(text, "utf-8")

    return make


HUNK = "@@ -1 +1 @@\n-no such line\n+other\n"

BAD = {
    "no such path": (None, ["nowhere"], "nowhere does not exist"),
    "a file": (None, ["linux/Makefile"], "is not a folder"),
    "not a kernel": (lambda tree: shutil.rmtree(tree / "arch"), [], "is not a kernel tree"),
    "no KVM": (_without_kvm, [], "is a kernel tree without KVM for x86"),
    "outside git": (None, ["--rev", "HEAD"], "linux"),
    "no such patch": (None, ["--diff", "nowhere.patch"], "nowhere.patch cannot be read"),
    "no patch": (_patch("hello\n"), ["--diff", "x.patch"], "x.patch"),
    "torn patch": (
        _patch(f"--- a/{MMU}\n+++ b/{MMU}\n@@ -1,9 +1 @@\n-x\n"),
        ["--diff", "x.patch"],
        "x.patch:",
    ),
    "patch does not apply": (
        _patch(f"--- a/{MMU}\n+++ b/{MMU}\n{HUNK}"),
        ["--diff", "x.patch"],
        MMU,
    ),
    "patch climbs out": (
        _patch(f"--- a/../../x\n+++ b/../../x\n{HUNK}"),
        ["--diff", "x.patch"],
        "../../x",
    ),
    "patch of an absolute path": (
        _patch(f"--- /etc/passwd\n+++ /etc/passwd\n{HUNK}"),
        ["--diff", "x.patch"],
        "/etc/passwd",
    ),
    "binary patch": (
        _patch(f"diff --git a/{MMU} b/{MMU}\nBinary files a/{MMU} and b/{MMU} differ\n"),
        ["--diff", "x.patch"],
        "binary",
    ),
    "50 MB": (lambda tree: sparse(tree / MMU, 50 << 20), [], "larger than 8 MiB"),
    "a link to itself": (lambda tree: _relink(tree, HOST, "kvm_host.h"), [], "in a circle"),
    "a link outside": (lambda tree: _relink(tree, HOST, "/etc/passwd"), [], "out of the tree"),
    "a folder for a file": (
        lambda tree: ((tree / HOST).unlink(), (tree / HOST).mkdir()),
        [],
        "is a directory",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case, tree):
    """What cannot be read is told in one sentence with what and where; nothing is written."""
    prepare, options, said = BAD[case]
    if prepare is not None:
        prepare(tree)
    before = snapshot(tree.parent)
    named = options if options and not options[0].startswith("-") else ["linux", *options]
    done = patchtool("check", *named, cwd=tree.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("patchtool: error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert snapshot(tree.parent) == before


def test_bad_revisions(checkout, tmp_path):
    """Unknown revisions, a bare repository without one and a shallow clone are told apart."""
    git(tmp_path, "clone", "--quiet", "--bare", checkout.as_uri(), "bare")
    first = git(checkout, "rev-parse", "HEAD")
    commit(checkout, "second")
    git(tmp_path, "clone", "--quiet", "--depth=1", checkout.as_uri(), "shallow")
    for arguments, said in [
        (["linux", "--rev", "v9.9"], "v9.9"),
        (["linux", "--rev", "-x"], "-x"),
        (["bare"], "--rev HEAD"),
        (["shallow", "--rev", first], "shallow"),
    ]:
        # The equals sign keeps a revision with a dash from being an option.
        joined = [*arguments[:1], *(["=".join(arguments[1:])] if arguments[1:] else [])]
        done = patchtool("check", *joined, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith("patchtool: error: ")
        assert said in done.stderr
    assert patchtool("check", "bare", "--rev", "HEAD", cwd=tmp_path).returncode == 1


def test_hostile_names_in_messages(tmp_path):
    """Escape sequences and broken bytes in a path do not reach the terminal."""
    bad = os.fsencode(tmp_path) + b"/e\x1b[2J\xff"
    command = [sys.executable, "-m", "patchtool", "check", bad]
    done = subprocess.run(command, capture_output=True, check=False, env=around())
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr
    assert b"e\\x1b[2J\\xff does not exist" in done.stderr


MANGLED = {
    "NUL bytes": lambda data: data.replace(b"root_level", b"root\0level"),
    "only NUL bytes": lambda data: bytes(len(data)),
    "invalid UTF-8": lambda data: data.replace(b"_to_root_level", b"_\xff\xfe_level", 1),
    "truncated": lambda data: data[: len(data) // 2],
    "without braces": lambda data: data.replace(b"}", b""),
    "only braces": lambda data: b"{" * 5000,
    "backwards": lambda data: data[::-1],
    "empty": lambda data: b"",
}  # fmt: skip


@pytest.mark.parametrize("target", ["mmu.c", "/etc/passwd", "nowhere.c"])
def test_links_that_lead_nowhere_are_never_clean(target, tree):
    """A source file behind a link that cannot be followed is undecided or an error."""
    _relink(tree, MMU, target)
    done = patchtool("check", tree)
    assert done.returncode in (2, 3)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("case", MANGLED)
@pytest.mark.parametrize("fixture", [FIXED], ids=lambda path: path.name)
def test_mangled_c_is_never_clean(case, fixture, tmp_path):
    """C that makes no sense is undecided or an error, without a traceback, never covered."""
    tree = Path(shutil.copytree(fixture, tmp_path / "linux"))
    (tree / MMU).write_bytes(MANGLED[case]((tree / MMU).read_bytes()))
    before = snapshot(tree)
    done = patchtool("check", tree)
    assert "Traceback" not in done.stderr
    assert done.returncode in (1, 2, 3)
    assert (done.returncode == 2) == bool(done.stderr)
    assert snapshot(tree) == before


# -- help and imports ------------------------------------------------------------------------


def test_help_is_for_newcomers():
    """--help says what the program is for, shows examples and the exit statuses."""
    for arguments in (["--help"], ["check", "--help"]):
        done = patchtool(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert "examples:\n  patchtool check" in done.stdout
        assert "exit status:\n  0  " in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80
    lines = patchtool("--help").stdout.splitlines()
    for name, (summary, _) in cli._COMMANDS.items():
        assert any(line.split(maxsplit=1) == [name, summary] for line in lines), name


def test_who_gives_a_verdict_tells_its_statuses(capsys):
    """The help of each command whose exit status is an answer says which is which."""
    silent = {"hook", "rules", "explain"}
    for name in cli._COMMANDS.keys() - silent:
        assert cli.main([name, "--help"]) == 0
        told = capsys.readouterr().out
        assert [n for n in range(4) if f"\n  {n}  " in told.partition("exit status:")[2]] == [
            0, 1, 2, 3,
        ], name  # fmt: skip


def test_version_names_the_parts():
    """--version prints patchtool first, then everything that a report may depend on."""
    lines = patchtool("--version").stdout.splitlines()
    names = ["patchtool", "python", *cli._DISTRIBUTIONS, "git"]
    assert [line.split()[0] for line in lines] == names
    assert all(line.split()[1][0].isdigit() for line in lines)


PROBE = """
import sys
from patchtool.cli import main
status = main(sys.argv[2:])
loaded = {name.split(".")[0] for name in sys.modules}
print(status, sorted(loaded & set(sys.argv[1].split(","))), file=sys.stderr)
"""

COSTLY = "z3,git,unidiff,tree_sitter,tree_sitter_c,json,dataclasses"


@pytest.mark.parametrize(
    ("arguments", "status", "allowed"),
    [
        (["--help"], 0, set()),
        (["chekc"], 2, set()),
        (["check", str(HOUSE / "fixtures")], 2, set()),
        (["check", str(FIXED)], 0, {"z3", "tree_sitter", "tree_sitter_c", "dataclasses", "json"}),
    ],
    ids=["help", "mistake", "no kernel", "check"],
)
def test_imports_are_late(arguments, status, allowed):
    """Help, mistakes and folders that are no kernel cost no parser, solver or git."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, COSTLY, *arguments],
        capture_output=True,
        check=False,
        text=True,
        env=around(),
    )
    ended, _, loaded = done.stderr.splitlines()[-1].partition(" ")
    assert int(ended) == status
    assert set(json.loads(loaded.replace("'", '"'))) <= allowed


@pytest.mark.parametrize("width", [80, 120])
def test_help_and_pages_fit_the_terminal(monkeypatch, capsys, width):
    """No line of a help text or of a rule's page is wider than the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    for words in ([], *([name] for name in cli._COMMANDS)):
        assert cli.main([*words, "--help"]) == 0
    assert cli.main(["explain", "stale-mmu-role"]) == 0
    lines = capsys.readouterr().out.splitlines()
    code = [line for line in lines if line.startswith(("      ", "  patchtool ", "  git "))]
    assert [line for line in lines if len(line) > width and line not in code] == []
    assert max(map(len, lines)) <= max(width, 82)


def test_notes_are_broken_at_blanks_on_a_terminal(tmp_path):
    """A terminal would break inside of words; a file gets one line."""
    command = [sys.executable, "-m", "patchtool", "check", str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, check=False, env=around())
    assert done.stderr.count(b"\n") == 1
    ours, theirs = os.openpty()
    narrow = {**around(), "COLUMNS": "60"}
    done = subprocess.run(command, stderr=theirs, check=False, env=narrow)
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode().replace("\r", "").splitlines()
    os.close(ours)
    assert done.returncode == 2
    words = f"patchtool: error: {tmp_path}/nowhere does not exist; give the folder of a kernel tree"
    assert " ".join(line.strip() for line in shown) == words
    assert all(len(line) <= 60 or " " not in line.strip() for line in shown), shown
    assert all(line.startswith("    ") for line in shown[1:])
