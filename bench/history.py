# SPDX-License-Identifier: GPL-2.0-only
"""Measure ``history`` on a scratch repository: many commits to one large file.

The file is that of the fixture ``demo`` with generated functions behind it; commits
change one of them each, and now and then the role bit that the verdict turns on.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from patchtool.history.flips import Settings, history
from patchtool.history.walker import Walker
from patchtool.outside.git import Repository

ROOT = Path(__file__).parent.parent
MAIN = "arch/x86/kvm/mmu/mmu.c"
WITHOUT = b"ext.cr4_smep = ____is_cr4_smep(regs);"
WITH = b"ext.cr4_smep = ____is_efer_lma(regs);"
SIZE = 236_000


def filler(number: int, version: int) -> bytes:
    """Return one generated function."""
    lines = "".join(
        f"\tif (vcpu->arch.hflags & {1 << (i % 8)})\n\t\tcount += {number + i + version};\n"
        for i in range(9)
    )
    return (
        f"\nstatic unsigned long filler_{number}(struct kvm_vcpu *vcpu)\n{{\n"
        f"\tunsigned long count = {version};\n\n{lines}\n\treturn count;\n}}\n"
    ).encode()


def stream(commits: int) -> Iterator[bytes]:
    """Yield a stream for git fast-import."""
    base = ROOT / "fixtures" / "demo"
    files = {p.relative_to(base).as_posix(): p.read_bytes() for p in base.rglob("*") if p.is_file()}
    head = files.pop(MAIN)
    count = (SIZE - len(head)) // len(filler(100, 100))
    parts = [filler(number, 0) for number in range(count)]
    fixed = False
    for number in range(commits):
        if number and number % (commits // 4) == 0:
            fixed = not fixed
        else:
            parts[number * 7 % count] = filler(number * 7 % count, number)
        start = head.replace(WITHOUT, WITH) if fixed else head
        text = start + b"".join(parts)
        yield b"commit refs/heads/main\ncommitter A Tester <tester@example.com> "
        yield b"%d +0000\ndata <<END\nChange %d\nEND\n" % (1_600_000_000 + number, number)
        for path, data in files.items() if number == 0 else ():
            yield b"M 644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
        yield b"M 644 inline %s\ndata %d\n%s\n" % (MAIN.encode(), len(text), text)
    yield b"done\n"


def build(where: Path, commits: int) -> None:
    """Make the repository."""
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", where], check=True)
    command = ["git", "-C", str(where), "fast-import", "--quiet", "--done"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for part in stream(commits):
            process.stdin.write(part)


def measure(where: Path, label: str) -> None:
    """Walk once and say what it cost, with the time of the decisions apart."""
    spent = used = 0.0
    decide = Walker._decide

    def timed(self: Walker, *arguments: object) -> object:
        nonlocal spent, used
        start, before = time.perf_counter(), time.process_time()
        try:
            return decide(self, *arguments)  # type: ignore[arg-type]
        finally:
            spent += time.perf_counter() - start
            used += time.process_time() - before

    Walker._decide = timed  # type: ignore[assignment, method-assign]
    start = time.perf_counter()
    with Repository.open(str(where)) as repository:
        found = history(repository, settings=Settings())
    total = time.perf_counter() - start
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = time.process_time() - used + children.ru_utime + children.ru_stime
    Walker._decide = decide  # type: ignore[method-assign]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{label}: {total:.2f} s, of which deciding {spent:.2f} s; without deciding "
        f"{processor:.2f} s of processor time, git and start-up included; {found.counts}; "
        f"{len(found.flips)} flips; peak {peak:.0f} MB",
        flush=True,
    )


def main() -> None:
    """Build, walk with an empty cache, walk again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=3000)
    parser.add_argument("--walk", nargs=2, metavar=("FOLDER", "LABEL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.walk:
        measure(Path(arguments.walk[0]), arguments.walk[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "repository"
        build(where, arguments.commits)
        around = {**os.environ, "XDG_CACHE_HOME": f"{folder}/cache"}
        for label in ("cold", "warm"):
            command = [sys.executable, __file__, "--walk", str(where), label]
            subprocess.run(command, check=True, env=around)


if __name__ == "__main__":
    main()
