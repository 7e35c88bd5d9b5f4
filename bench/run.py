# SPDX-License-Identifier: GPL-2.0-only
"""Measure whole processes: medians of time, peaks of memory, and ratios.

Run as ``python bench/run.py [TREE]``.  TREE is a kernel tree; otherwise the first one
of PATCHTOOL_KERNELS, otherwise the miniature kernel.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "fixtures/demo"
RULE = Path(__file__).parent / "mmu_role.cocci"
PARTS = ("arch/x86/kvm", "arch/x86/include", "include/linux", "include/uapi/linux", "include/vdso")
TOPS = ("Makefile", "Kconfig", "MAINTAINERS")
IMPORTS = "import argparse, tree_sitter, tree_sitter_c"
STATUSES = (0, 1, 2, 3)


def measure(command: list[str], where: Path) -> tuple[float, float]:
    """Run a command once and return its seconds and its peak in megabytes."""
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
    return seconds, usage.ru_maxrss / 1024


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
        "check --rev HEAD": [*patchtool, "check", "--rev", "HEAD", str(kvm)],
    }
    main = next(
        (tree / name for name in ("arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/mmu.c")
         if (tree / name).is_file()), None,
    )  # fmt: skip
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
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in wanted}
        for turn in range(arguments.runs + 1):
            for title, command in wanted.items():
                one = measure(command, folder)
                if turn:  # the first turn warms the caches
                    taken[title].append(one)
    medians = {title: statistics.median(t for t, _ in runs) for title, runs in taken.items()}
    base, rival = medians["imports alone"], medians.get("spatch")
    print(f"{tree}, median of {arguments.runs} runs of whole processes")
    print(f"{'':22}{'seconds':>9}{'peak MB':>9}{'/imports':>10}{'/spatch':>10}")
    for title, seconds in medians.items():
        peak = max(memory for _, memory in taken[title])
        beside = f"{seconds / rival:10.2f}" if rival else f"{'-':>10}"
        print(f"{title:22}{seconds:9.3f}{peak:9.0f}{seconds / base:10.2f}{beside}")
    if not rival:
        print("spatch is not installed (Debian: coccinelle), so there is nothing to compare with")


if __name__ == "__main__":
    main()
