# SPDX-License-Identifier: GPL-2.0-only
"""Count how edits of known effect are answered: clean, exact or unknown, by kind.

Run as ``python bench/devil.py [NUMBER] [TREE...]``: so many combinations of ``tests/devil`` on
the miniatures, and a tenth of it on each kernel tree, then the refactorings.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from devil.bases import bases, kernel
from devil.generate import sample
from devil.refactorings import ON_KERNELS, REFACTORINGS, on_kernel, refactored
from devil.tally import ask, table, tally
from edited import check_tree


def main(arguments: list[str]) -> int:
    """Print a table for the miniatures and one for each tree."""
    count = int(arguments[0]) if arguments else 1000
    report("miniatures", bases(), count)
    reports = [check_tree(refactored(bases()[0], edits)) for edits in REFACTORINGS.values()]
    decided("miniatures", reports)
    for top in arguments[1:]:
        base = kernel(top)
        report(top, (base,), count // 10)
        trees = [on_kernel(base, name) for name in ON_KERNELS]
        decided(top, [check_tree(tree) for tree in trees if tree is not None])
    return 0


def report(name, chosen, count):
    """Print the table of one tree."""
    start = time.process_time()
    answers = [ask(one) for one in sample(chosen, count)]
    spent = time.process_time() - start
    print(f"{name}: {count} combinations, {1000 * spent / count:.0f} ms each\n")
    print(table(tally(answers)))


def decided(name, reports):
    """Print how many refactorings are decided."""
    covered = sum(one.verdict == "covered" for one in reports)
    print(f"{name}: {covered} of {len(reports)} refactorings decided\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
