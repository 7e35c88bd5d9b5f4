# SPDX-License-Identifier: GPL-2.0-only
"""What a series says about its reproducer: a selftest, and what a run saw.

In: the outcome of a search.  Out: tests of what the series closes, as a patch of its own, and
the lines of a run for what stands below the cut.
"""

from __future__ import annotations

from collections.abc import Sequence

from patchtool.c.index import Index
from patchtool.errors import UsageError
from patchtool.outside.source import Source
from patchtool.repair.fix import Outcome
from patchtool.repair.patch import Selftest
from patchtool.replay import prediction, program
from patchtool.replay.states import Test
from patchtool.rules.table import USUAL


def tests(source: Source, outcome: Outcome) -> tuple[list[Test], list[str]]:
    """Return the tests that a series makes pass, and why others are left out."""
    index = Index(source, USUAL.target)
    report, asked = USUAL.examine(index, USUAL.fields)
    found, refused = prediction.tests(index, report, asked)
    open_ = {(gap.key[0], gap.key[1], gap.input) for gap in outcome.open}
    kept, left = [], []
    for test in found:
        still = [n for n in test.inputs if (test.initialiser, test.context, n) in open_]
        if still:
            left.append(f"{described(test)}: {' and '.join(still)} stays open there")
        else:
            kept.append(test)
    left += [
        f"{one.field} of {one.context}, {' -> '.join(f'{n}()' for n in one.entry)}: {one.reason}"
        for one in refused
    ]
    return kept, left


def selftest(source: Source, tests: Sequence[Test], left: Sequence[str]) -> Selftest:
    """Return the patch that adds tests to the tree's own."""
    harness, reason = program.find_harness(source)
    if harness is None:
        raise UsageError(
            f"--selftest: {reason}, so no test can be one of them; "
            "'patchtool reproduce' writes it in plain C"
        )
    inputs = sorted({name for test in tests for name in test.inputs})
    shown = tuple(map(described, tests))
    files = tuple(program.additions(source, harness, tests))
    return Selftest(tuple(inputs), shown, files, tuple(left))


def described(test: Test) -> str:
    """Say which states a test loads, where, and for what."""
    host = f", on a host with a {test.levels}-level NPT" if test.levels else ""
    return (
        f"{test.context}, {test.initialiser}(): {test.a.state.name} and {test.b.state.name} "
        f"for {' and '.join(test.inputs)}{host}"
    )


def ran(tests: Sequence[Test], kernel: str, modules: list[str]) -> tuple[str, ...]:
    """Run tests on a kernel and return what they saw: a title and an item for each line."""
    from patchtool.replay import runner

    done = runner.run(tests, kernel, modules, runner.machine_for(tests), runner.SECONDS)
    lines = [
        f"{', '.join(filter(None, (one.context, one.order)))}: {one.seen} ({one.told})"
        for one in done.transcript.lines
    ]
    return f"Run without this series on {runner.described(done, paths=False)}:", *lines
