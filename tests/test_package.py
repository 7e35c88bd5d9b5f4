# SPDX-License-Identifier: GPL-2.0-only
"""What is built is whole: a wheel, installed alone, does all that a checkout does."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from scratch import by_itself, git, program

HOUSE = Path(__file__).parent.parent


def run(*words, **more):
    """Run a program and return what it did."""
    return subprocess.run([*map(str, words)], capture_output=True, check=False, text=True, **more)


def built(source, where):
    """Build a wheel of a folder, with what is installed here and nothing from elsewhere."""
    done = run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index",
        "--no-build-isolation", "--wheel-dir", where, source,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,) = where.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Return a copy of what belongs to the project."""
    where = tmp_path_factory.mktemp("source")
    for name in git(HOUSE, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split(
        "\0"
    ):
        if name and (HOUSE / name).is_file():
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HOUSE / name, where / name)
    return where


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    """Return a wheel of the project."""
    return built(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def place(wheel, tmp_path_factory):
    """Return a virtual environment that holds the wheel and what it needs, not the checkout."""
    where = tmp_path_factory.mktemp("a place") / "env"
    assert run(sys.executable, "-m", "venv", "--without-pip", where).returncode == 0
    python = where / "bin" / "python"
    done = run(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
        "--no-index", wheel,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (where / "lib" / version / "site-packages" / "needed.pth").write_text(
        sysconfig.get_path("purelib") + "\n"
    )
    return where


def metadata(wheel):
    """Return the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (one for one in opened.namelist() if one.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(opened.read(name).decode())


def test_the_wheel_holds_what_belongs_beside_the_code(wheel):
    """Queries, facts, the bundled tree, the mark of types, the man page, completions."""
    with zipfile.ZipFile(wheel) as opened:
        names = {re.sub(r".*\.data/", "", one) for one in opened.namelist()}
    wanted = {
        "patchtool/py.typed",
        "patchtool/data/upstream.toml",
        *(f"patchtool/schema/{name}.json" for name in ("check", "history", "matrix", "rules")),
        "patchtool/demo/arch/x86/include/asm/kvm_host.h",
        "data/share/man/man1/patchtool.1",
        "data/share/bash-completion/completions/patchtool",
        "data/share/zsh/site-functions/_patchtool",
        "data/share/fish/vendor_completions.d/patchtool.fish",
        *(f"patchtool/queries/{one.name}" for one in (HOUSE / "queries").glob("*.scm")),
    }
    assert wanted - {one.removeprefix("./") for one in names} == set()
    assert not [one for one in names if one.startswith(("tests/", "bench/"))]


def test_a_source_archive_builds_the_same_wheel(source, wheel, tmp_path):
    """What the archive of the sources holds is enough to build all of it."""
    script = "import sys; from hatchling.build import build_sdist; print(build_sdist(sys.argv[1]))"
    done = run(sys.executable, "-c", script, tmp_path, cwd=source)
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    again = built(unpacked, tmp_path / "again")
    lists = [sorted(zipfile.ZipFile(one).namelist()) for one in (wheel, again)]
    assert lists[0] == lists[1]


def test_an_installed_wheel_runs(place):
    """The program from a wheel checks a tree, from any folder, and knows its parts."""
    patchtool = place / "bin" / "patchtool"
    (demo,) = place.glob("lib/*/site-packages/patchtool/demo")
    done = run(patchtool, "check", demo, cwd=place)
    assert (done.returncode, done.stderr) == (1, "")
    assert "EFER.LMA" in done.stdout
    code = "import patchtool; print(patchtool.__file__)"
    assert str(place) in run(place / "bin" / "python", "-c", code, cwd="/").stdout
    assert run(patchtool, "explain", "stale-mmu-role").returncode == 0


def test_man_finds_the_page_of_an_installed_wheel(place):
    """The real man looks beside the program that is on the path."""
    around = {**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}", "MANPATH": ""}
    del around["MANPATH"]
    done = run(program("man"), "--path", env=around)
    assert str(place / "share" / "man") in done.stdout.strip().split(":")
    page = place / "share" / "man" / "man1" / "patchtool.1"
    assert page.read_text("utf-8") == (HOUSE / "docs" / "patchtool.1").read_text("utf-8")


def test_the_metadata_says_what_is_true(wheel):
    """The Python at hand is one of those named; addresses and the licence are given."""
    told = metadata(wheel)
    named = {
        one.rpartition(" ")[2]
        for one in told.get_all("Classifier")
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", one)
    }
    assert f"3.{sys.version_info.minor}" in named
    assert told["License"] == "GPL-2.0-only"
    assert told["Requires-Python"] == ">=3.11"
    assert all("https://" in one for one in told.get_all("Project-URL"))


def test_a_solver_is_chosen_that_the_machine_can_install(wheel):
    """On 64-bit Arm a wheel is taken that Debian 12 can load; everywhere there is one."""
    from packaging.requirements import Requirement

    needed = [Requirement(one) for one in metadata(wheel).get_all("Requires-Dist")]
    solver = [one for one in needed if one.name == "z3-solver" and "extra" not in str(one.marker)]
    for machine, newest in [("x86_64", True), ("aarch64", False), ("riscv64", True)]:
        (one,) = (s for s in solver if s.marker.evaluate({"platform_machine": machine}))
        assert one.specifier.contains("4.15.4.0")
        assert one.specifier.contains("5.4.1.0") is newest


@pytest.mark.parametrize("tree", ["{place}", "~/a tree"])
def test_make_takes_a_path_with_a_space(tree, tmp_path):
    """The Makefile hands the path of a tree on as it is, and finds the home folder."""
    shutil.copytree(HOUSE / "fixtures" / "demo", tmp_path / "a tree")
    binaries = Path(sys.executable).parent
    given = f"LINUX={tree.format(place=tmp_path / 'a tree')}"
    around = {**by_itself(), "HOME": str(tmp_path)}
    # What is there is old enough: make must not build the environment anew under our feet.
    old = ("-o", "setup", "-o", ".venv/ready")
    done = run(program("make"), *old, "check", f"BIN={binaries}", given, cwd=HOUSE, env=around)
    assert done.returncode == 0, done.stderr
    assert "exit status 1 (at least one gap)" in done.stdout


def test_make_takes_one_tree(tmp_path):
    """Two trees are none: the sentence quotes what was given, and says what to do."""
    old = ("-o", "setup", "-o", ".venv/ready")
    given = "LINUX=fixtures/demo fixtures/unguarded"
    binaries = f"BIN={Path(sys.executable).parent}"
    done = run(program("make"), *old, "check", binaries, given, cwd=HOUSE, env=by_itself())
    assert done.returncode == 2 and done.stdout == ""
    first = done.stderr.splitlines()[0]
    assert first == (
        'make: there is no "fixtures/demo fixtures/unguarded"; LINUX is the path of one kernel '
        "tree, spaces and all: call make for each"
    )
