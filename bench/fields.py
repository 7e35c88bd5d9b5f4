#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compare the verdict on every cached field and path with what gcc says of the same code.

Run as ``python bench/fields.py TREE...``: one row for each cell where the two differ, and how
many agree.  The oracle cuts the initialisers out, compiles them and runs the legal states.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from oracle.compare import compare


def main(trees):
    """Print the table."""
    total = [0, 0]
    with ThreadPoolExecutor(2) as pool:
        for tree, rows, same, cells, unknowns in pool.map(compare, trees):
            print(
                f"{Path(tree).name:10} {same} of {cells} agree, {len(unknowns)} unknowns",
                flush=True,
            )
            for path, name, right, said in rows:
                print(f"  {path:7} {name:20} gcc: {right:50} check: {said}")
            total = [total[0] + same, total[1] + cells]
    print(f"all: {total[0]} of {total[1]} agree")


if __name__ == "__main__":
    main(sys.argv[1:])
