# SPDX-License-Identifier: GPL-2.0-only
"""Run tests on a kernel, and say what was seen.

In: tests, a kernel, its modules and a machine.  Out: the transcript of the program that
holds the tests, and what it amounts to.  Everything lies in one temporary folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from patchtool.errors import InputError, cause
from patchtool.replay import emulator, guest, kernel, program, tools
from patchtool.replay.emulator import Machine
from patchtool.replay.guest import Transcript
from patchtool.replay.states import HOST_LEVELS, Test

LA57 = ("CR4", "LA57")


class Run(NamedTuple):
    """What was run where."""

    release: str
    modules: tuple[str, ...]
    machine: Machine
    transcript: Transcript


SECONDS = 120
"""How long a guest may take."""


def machine_for(
    tests: Sequence[Test], levels: int | None = None, accelerator: str = "tcg"
) -> Machine:
    """Return a processor that has what some tests need: SVM, NPT, and LA57 where it is used."""
    needed = [test.levels for test in tests if test.levels is not None]
    levels = levels or (needed or [HOST_LEVELS[0]])[0]
    if accelerator == "kvm":
        return Machine("host", accelerator, levels)
    la57 = levels == 5 or any(state.has(LA57) for state in program.states_of(tests))
    return Machine("EPYC,+la57" if la57 else "EPYC", accelerator, levels)


def run(
    tests: Sequence[Test], image: str, folders: list[str], machine: Machine, seconds: int
) -> Run:
    """Run tests on a kernel; without folders the modules are those beside the image."""
    text = program.plain(tests)
    return boot(lambda folder: tools.compiled(text, folder), image, folders, machine, seconds)


def boot(
    built: Callable[[str], bytes],
    image: str,
    folders: list[str],
    machine: Machine,
    seconds: int,
) -> Run:
    """Run a program on a kernel; BUILT makes it, and is given a folder for that."""
    from tempfile import TemporaryDirectory

    tools.find(emulator.QEMU)
    host = kernel.read_kernel(image)
    # What a folder of one's own does not have comes from where the image comes from.
    beside = [path for path in [kernel.beside(host)] if path is not None]
    modules = kernel.read_modules([*folders, *beside], host.release)
    busybox = tools.static_busybox()
    try:
        with tools.guarded(), TemporaryDirectory(prefix="patchtool-replay-") as folder:
            archive = guest.initramfs(built(folder), busybox, modules)
            initrd = os.path.join(folder, "initramfs")
            with open(initrd, "xb") as file:
                file.write(archive)
            console = emulator.boot(os.path.abspath(image), initrd, machine, seconds)
    except OSError as error:
        raise InputError(f"a temporary folder cannot be used: {cause(error)}") from error
    seen = guest.understood(console)
    return Run(host.release, tuple(folders), machine, seen)


def status(transcript: Transcript) -> int:
    """Return the exit status for what was seen."""
    seen = {line.seen for line in transcript.lines}
    if "stale" in seen:
        return 1
    return 0 if "followed" in seen and "control failed" not in seen else 3


def described(done: Run, paths: bool = True) -> str:
    """Say what was run where; without PATHS nothing is told of this machine."""
    given = f" from {', '.join(done.modules)}" if paths else ""
    own = f" with modules{given or ' of its own'}" if done.modules else ""
    levels = f"{done.transcript.levels}-level NPT"
    return f"Linux {done.release}{own} on {done.machine.described()}, {levels}"


def table(done: Run) -> Iterator[str]:
    """Yield the lines of a report."""
    yield described(done)
    rows = [("context", "order", "result", "root_level")]
    rows += [(line.context, line.order, line.seen, line.told) for line in done.transcript.lines]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        start = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False))
        yield f"  {start}  {row[3].removeprefix('root_level is ')}".rstrip()
