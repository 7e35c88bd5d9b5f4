# SPDX-License-Identifier: GPL-2.0-only
"""The miniature kernels: each a plain tree, or a few files over another one.

A case is a folder of ``fixtures/`` with an ``expect.json``.  Where that names a ``base``, the
case has the files of that case too, but for those that it has itself and those that it
lists under ``without``.  Run as a program, this lists the cases, or writes one out:

    python tests/miniatures.py [NAME FOLDER]
"""

import atexit
import json
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

FIXTURES = Path(__file__).parent.parent / "fixtures"

NAMES = tuple(sorted(path.parent.name for path in FIXTURES.glob("*/expect.json")))


def expected(name):
    """Return what is written down about a case."""
    return json.loads((FIXTURES / name / "expect.json").read_text("utf-8"))


@cache
def files(name):
    """Return the files of a case by path."""
    known = expected(name)
    found = dict(files(known["base"])) if "base" in known else {}
    gone = known.get("without", [])
    assert found.keys() >= set(gone), f"{name}: without what its base does not have"
    found = {path: data for path, data in found.items() if path not in gone}
    differing = own(name)
    same = [path for path in differing if found.get(path) == differing[path]]
    assert not same, f"{name}: {', '.join(same)} is the same in its base: delete it here"
    return {**found, **differing}


def own(name):
    """Return the files that a case has itself, by path."""
    top = FIXTURES / name
    inside = [path for path in sorted(top.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(top)): path.read_bytes()
        for path in inside
        if path.parent != top or not path.name.startswith("expect.")
    }


def write(name, top):
    """Write a case to a folder."""
    for path, data in files(name).items():
        target = Path(top) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


@cache
def folder(name):
    """Return a folder with a case; nobody may write to it."""
    if "base" not in expected(name):
        return FIXTURES / name
    top = _drawer() / name
    write(name, top)
    return top


@cache
def _drawer():
    top = tempfile.mkdtemp(prefix="miniatures-")
    atexit.register(shutil.rmtree, top, ignore_errors=True)
    return Path(top)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        write(sys.argv[1], sys.argv[2])
    else:
        print("\n".join(NAMES))
