# SPDX-License-Identifier: GPL-2.0-only
"""Measure whole processes: medians of time, peaks of memory, and ratios.

Run as ``python bench/run.py [TREE]``.  TREE is a kernel tree; otherwise the first one
of PATCHTOOL_KERNELS, otherwise the miniature kernel.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from patchtool.outside import diff

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "fixtures/demo"
RULE = Path(__file__).parent / "mmu_role.cocci"
PARTS = (
    *("arch/x86/kvm", "arch/x86/include", "virt/kvm"),
    *("include/linux", "include/uapi/linux", "include/vdso"),
)
TOPS = ("Makefile", "Kconfig", "MAINTAINERS")
LEVELS = "root_level,shadow_root_level"
IMPORTS = "import argparse, tree_sitter, tree_sitter_c"
STATUSES = (0, 1, 2, 3)


def measure(command: list[str], where: Path) -> tuple[float, float, float]:
    """Run a command once and return its seconds, its peak in megabytes, and seconds of work.

    The peak is that of the largest process, the work that of all of them.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=where,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode not in STATUSES:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    return seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def repository(tree: Path, where: Path) -> Path:
    """Make a repository of one commit out of the part of a tree that is read."""
    for name in PARTS:
        if (tree / name).is_dir():
            shutil.copytree(tree / name, where / name, symlinks=True)
    for name in TOPS:
        if (tree / name).is_file():
            shutil.copy(tree / name, where / name)
    settings = ("-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "gc.auto=0")
    for words in (("init", "-q"), ("add", "-Af"), ("commit", "-qm", "The tree")):
        subprocess.run(["git", *settings, *words], cwd=where, check=True)
    return where


ASKED = (
    ("check, levels alone", "spatch", 0.6),
    ("check", "check, levels alone", 2.0),
    ("check", "spatch", 1.2),
    ("lint, elsewhere", "argparse alone", 2.0),
    ("lint, another header", "argparse alone", 4.0),
    ("lint --staged, elsewhere", "argparse alone", 4.0),
    ("lint, mmu.c", "check", 1.3),
    ("lint, new gap", "check", 1.5),
    ("lint, 30 patches", "check", 4.0),
)
"""What a command may take, as so many times something else."""


def patches(tree: Path, main: Path) -> dict[str, str]:
    """Return patches to lint: two beside the point, one to the file that matters, a series.

    The series has 30 patches, and three of them change what the verdict rests on.
    """
    name = main.relative_to(tree).as_posix()
    text = main.read_bytes()
    body = re.search(rb"\n(?:static )?void init_kvm_tdp_mmu\(.*?\n}\n", text, re.DOTALL)
    if body is None:
        return {}
    versions = [text]
    for word in (b"here", b"there", b"elsewhere"):
        renamed = re.sub(rb"\bcontext\b", word, body.group())
        versions.append(text.replace(body.group(), renamed))
    relevant = [mail(diff.write(name, a, b), name) for a, b in pairwise(versions)]
    other = mail(diff.write("net/core/dev.c", b"a\n", b"b\n"), "net/core/dev.c")
    header = mail(diff.write("net/core/dev.h", b"a\n", b"b\n"), "net/core/dev.h")
    found = {"elsewhere": other, "another header": header, "mmu.c": relevant[0]}
    weaker = text
    whole = rb"cpu_role\.as_u64 == context->cpu_role\.as_u64"
    for old, new in (
        (whole, whole.replace(rb"\.as_u64", rb".ext.word")),
        (rb"\n\t+(?:role\.)?ext\.cr4_pae = [^\n]*;(?=\n)", rb""),
    ):
        weaker = weaker if weaker != text else re.sub(old, new, text)
    if weaker != text:
        found["new gap"] = mail(diff.write(name, text, weaker), name)
    order = [relevant.pop(0) if number in (3, 14, 25) else other for number in range(30)]
    return {**found, "30 patches": "".join(order)}


def mail(patch: str, subject: str) -> str:
    """Return a patch as git format-patch has it."""
    return (
        f"From {'0' * 40} Mon Sep 17 00:00:00 2001\nFrom: A Tester <tester@example.com>\n"
        f"Date: Tue, 2 Jan 2024 03:04:05 +0000\nSubject: [PATCH] {subject}\n\n"
        f"---\n{patch}-- \n1\n\n"
    )


def commands(tree: Path, folder: Path) -> dict[str, list[str]]:
    """Return what is measured, by name; the first one is the unit of the first ratio."""
    python = sys.executable
    patchtool = [python, "-m", "patchtool"]
    empty = folder / "empty"
    empty.mkdir()
    kvm = repository(tree, folder / "kvm")
    found = {
        "imports alone": [python, "-c", IMPORTS],
        "--help": [*patchtool, "--help"],
        "check, no kernel": [*patchtool, "check", str(empty)],
        "check": [*patchtool, "check", str(tree)],
        "check --format json": [*patchtool, "check", "--format", "json", str(tree)],
        "check, levels alone": [*patchtool, "check", "--fields", LEVELS, str(tree)],
        "check --rev HEAD": [*patchtool, "check", "--rev", "HEAD", str(kvm)],
    }
    main = next(
        (tree / name for name in ("arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/mmu.c")
         if (tree / name).is_file()), None,
    )  # fmt: skip
    lint = [*patchtool, "lint", "--tree", str(tree)]
    found["argparse alone"] = [python, "-c", "import argparse"]
    (kvm / "README").write_text("x\n", "utf-8")
    subprocess.run(["git", "add", "README"], cwd=kvm, check=True)
    found["lint --staged, elsewhere"] = [*patchtool, "lint", "--staged", "--tree", str(kvm)]
    if main is not None:
        for title, text in patches(tree, main).items():
            file = folder / f"{title.replace(' ', '-')}.patch"
            file.write_text(text, "utf-8", "surrogateescape")
            found[f"lint, {title}"] = [*lint, str(file)]
    host = tree / "arch/x86/include/asm/kvm_host.h"
    if shutil.which("spatch") and main is not None:
        found["spatch"] = [
            *("spatch", "--very-quiet", "--no-includes", "--sp-file", str(RULE)),
            *(str(main), str(host)),
        ]
    return found


def main() -> None:
    """Measure in turns, so that a slow minute of the machine touches all alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()
    known = [Path(p) for p in os.environ.get("PATCHTOOL_KERNELS", "").split(":") if p]
    given = arguments.tree
    if given is None or (given.resolve() == DEMO and known):
        given = known[0] if known else DEMO
    tree = given.resolve()
    if not tree.is_dir():
        raise SystemExit(f"bench: {tree} is not a folder")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "kvm").mkdir()
        wanted = commands(tree, folder)
        taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in wanted}
        for turn in range(arguments.runs + 1):
            for title, command in wanted.items():
                one = measure(command, folder)
                if turn:  # the first turn warms the caches
                    taken[title].append(one)
    medians = {title: statistics.median(t for t, *_ in runs) for title, runs in taken.items()}
    base, rival = medians["imports alone"], medians.get("spatch")
    print(f"{tree}, median of {arguments.runs} runs of whole processes")
    print(f"{'':26}{'seconds':>9}{'work':>9}{'peak MB':>9}{'/imports':>10}{'/spatch':>10}")
    for title, seconds in medians.items():
        peak = max(memory for _, memory, _ in taken[title])
        work = statistics.median(work for *_, work in taken[title])
        beside = f"{seconds / rival:10.2f}" if rival else f"{'-':>10}"
        print(f"{title:26}{seconds:9.3f}{work:9.3f}{peak:9.0f}{seconds / base:10.2f}{beside}")
    for title, unit, most in ASKED:
        if title in medians and unit in medians:
            ratio = medians[title] / medians[unit]
            print(f"{title}: {ratio:.2f} times {unit}, asked at most {most:g}")
    if not rival:
        print("spatch is not installed (Debian: coccinelle), so there is nothing to compare with")


if __name__ == "__main__":
    main()
