# SPDX-License-Identifier: GPL-2.0-only
"""``patchtool reproduce``: write the program that shows a gap on a running KVM, or run it.

In: parsed arguments.  Out: a C program in a folder, or a report of a run, and the exit
status: 0 written, or followed; 1 stale; 3 a control failed or nothing applied.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from patchtool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from patchtool.model import Context
    from patchtool.outside.source import Source
    from patchtool.replay.prediction import Prediction
    from patchtool.replay.runner import Run
    from patchtool.replay.states import Kind, Refusal, Test

_ABOUT = """\
Write a C program that shows the gaps in root_level on a running KVM: it loads the
two states of a witness one after the other, in both orders, and lets KVM_TRANSLATE
tell which root_level is in use.  Where the tree's own selftests can do that, it is
one of them, else it needs nothing but ioctls."""

_STATUSES = """\
exit status:
  0  the program was written, root_level followed the registers, or a sweep
     was as predicted
  1  root_level was stale, or a sweep was not as predicted
  2  the request or the input is at fault; standard error says how
  3  a control failed, or there was nothing that applies"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description, parser.epilog = _ABOUT, _STATUSES
    add = parser.add_argument
    add("tree", nargs="?", default=".", metavar="TREE", help="a kernel tree (default: this folder)")
    add("--rev", metavar="REV", help="read a commit, tag or branch instead of the files on disk")
    add("-o", "--output", metavar="DIR", help="write the program here (default: .)")
    add("--plain", action="store_true", help="nothing but ioctls, whatever the tree has")
    add(
        "--run",
        dest="run_it",
        action="store_true",
        help="run it on a kernel in an emulator, and tell what it saw",
    )
    add("--sweep", action="store_true",
        help="run all pairs of paging modes, beside what a check of TREE predicts")  # fmt: skip
    add("--kernel", metavar="BZIMAGE", help="the kernel to run on")
    add("--modules", action="append", default=[], metavar="DIR",
        help="where its modules lie; may be repeated (default: beside the image)")  # fmt: skip
    add(
        "--cpu", metavar="MODEL", help="the processor, as QEMU calls it (default: one that will do)"
    )
    add("--npt-levels", type=int, choices=(4, 5), metavar="N",
        help="levels of the host's page tables (default: what the gap needs, or 4)")  # fmt: skip
    add("--accel", choices=("tcg", "kvm"), default="tcg", metavar="ACCEL",
        help="tcg, software emulation, or kvm, which uses /dev/kvm (default: tcg)")  # fmt: skip
    add("--timeout", type=_seconds, default=120, metavar="SECONDS",
        help="end the guest after that time (default: 120)")  # fmt: skip
    add("-q", "--quiet", action="store_true", help="tell nothing besides the result")
    parser.set_defaults(run=run)


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 3600):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to 3600")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from patchtool.outside.source import open_source

    running = arguments.run_it or arguments.sweep
    if running and arguments.kernel is None:
        raise UsageError("a run needs a kernel; give its image with --kernel")
    if arguments.kernel is not None and not running:
        raise UsageError("--kernel goes with --run or --sweep")
    source = open_source(arguments.tree, arguments.rev)
    try:
        return _run(arguments, source)
    finally:
        source.close()


def _run(arguments: argparse.Namespace, source: Source) -> int:
    import gc
    from functools import partial

    gc.disable()  # one short run whose terms all live to its end
    from patchtool.c.index import Index
    from patchtool.replay import prediction
    from patchtool.rules.table import USUAL

    index = Index(source, USUAL.target)
    report, asked = USUAL.examine(index, USUAL.fields, label=source.label, rev=source.rev)
    if arguments.sweep:
        return _sweep(arguments, partial(prediction.predictions, index, report, asked))
    tests, refused = prediction.tests(index, report, asked)
    if not arguments.quiet:
        _tell([_refusal(one) for one in refused])
    if not tests:
        _tell([f"nothing to replay: {_reason(report.verdict, bool(refused))}"])
        return 3
    if not arguments.run_it or arguments.output is not None:
        _write(arguments, source, tests)
    return _replay(arguments, tests) if arguments.run_it else 0


def _replay(arguments: argparse.Namespace, tests: Sequence[Test]) -> int:
    """Run tests on a kernel, print what they saw and return the exit status."""
    from patchtool.replay import runner

    done = _run_on(arguments, tests, arguments.npt_levels)
    _print(runner.table(done))
    return runner.status(done.transcript)


def _sweep(
    arguments: argparse.Namespace,
    predict: Callable[[int], Mapping[Kind, tuple[Context, Prediction]]],
) -> int:
    """Run all pairs of modes, print both tables and return the exit status."""
    from patchtool.replay import runner, sweep

    levels = arguments.npt_levels or 4
    known = [one for _, one in predict(levels).values()]
    tests = sweep.tests(known)
    if not tests:
        _tell(["nothing to sweep: no set-up of this tree is one that a program can show"])
        return 3
    done = _run_on(arguments, tests, levels)
    if done.transcript.levels != levels:
        known = [one for _, one in predict(done.transcript.levels).values()]
    swept = sweep.compared(known, done.transcript)
    _print([runner.described(done)])
    _print(sweep.tables(swept, done.release, arguments.tree))
    return sweep.status(swept)


def _run_on(arguments: argparse.Namespace, tests: Sequence[Test], levels: int | None) -> Run:
    from patchtool.replay import runner

    machine = runner.machine_for(tests, levels, arguments.accel)
    if arguments.cpu is not None:
        machine = machine._replace(cpu=arguments.cpu)
    return runner.run(tests, arguments.kernel, arguments.modules, machine, arguments.timeout)


def _reason(verdict: str, refused: bool) -> str:
    """Say why a tree has no gap that can be replayed."""
    if refused:
        return "no gap of this tree is one that a program can show"
    return {
        "covered": "root_level of this tree has no gap, and other fields are not replayed",
        "not-guarded": "KVM of this tree skips no set-up",
    }.get(verdict, "no gap is known and something is undecided; see 'patchtool check'")


def _refusal(one: Refusal) -> str:
    from patchtool.report.words import way

    return f"not replayed: {one.field} of {one.context}, {way(one.entry)}: {one.reason}"


def _write(arguments: argparse.Namespace, source: Source, tests: Sequence[Test]) -> None:
    """Write the program, whole or not at all, and say where it belongs."""
    from patchtool.replay import program
    from patchtool.report.layout import show
    from patchtool.report.words import counted

    harness, reason = (None, "--plain") if arguments.plain else program.find_harness(source)
    text = program.selftest(tests, harness) if harness else program.plain(tests)
    folder = arguments.output or "."
    path = os.path.join(folder, f"{program.NAME}.c")
    _save(path, text)
    show(f"{path}\n")
    if arguments.quiet:
        return
    told = [
        f"{one.context}: {one.a.state.name} and {one.b.state.name} show that "
        f"{one.initialiser}() misses {' and '.join(one.inputs)}"
        + (f", on a host with a {one.levels}-level NPT" if one.levels else "")
        for one in tests
    ]
    if harness is not None:
        told.append(f"a selftest: copy it to {harness.path}")
        told.append(f"and add to {harness.makefile}: {harness.entry}")
    else:
        told.append(f"plain C ({reason}): gcc -static -o {program.NAME} {program.NAME}.c")
    told.append(f"{counted(len(tests), 'pair')} of states, each in both orders")
    _tell(told)


def _save(path: str, text: str) -> None:
    """Write a new file; one that is there already must hold the same."""
    from patchtool.outside import files

    data = text.encode()
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if os.path.lexists(path):
            with open(path, "rb") as file:
                if file.read(len(data) + 1) == data:
                    return
            raise UsageError(f"{path} is already there; choose another folder with -o")
    except (OSError, ValueError) as error:
        raise files.refusal(path, error) from error
    files.write_new({path: data})


def _print(lines: Iterable[str]) -> None:
    from patchtool.report.layout import show
    from patchtool.report.words import safe

    show("".join(f"{safe(line)}\n" for line in lines))


def _tell(lines: Sequence[str]) -> None:
    from patchtool.report.layout import note
    from patchtool.report.words import sentence

    for line in lines:
        note(f"patchtool: {sentence(line)}")
