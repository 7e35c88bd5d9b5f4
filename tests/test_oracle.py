# SPDX-License-Identifier: GPL-2.0-only
"""The two oracles agree with what is written beside every fixture, and with the known kernels."""

import re
import shutil
import subprocess
from pathlib import Path

import miniatures
import pytest
from oracle import gcc, mutate

interp = pytest.importorskip("oracle.interp")

if shutil.which("gcc") is None:
    pytest.skip("needs gcc", allow_module_level=True)

STUBS = Path(__file__).parent / "oracle" / "include"
NAMES = miniatures.NAMES
WHOLE = [name for name in NAMES if not name.startswith(("broken-", "no-"))]
LMA = ("gap", ["EFER.LMA"])
LA57 = ("gap", ["CR4.LA57", "EFER.LMA"])
MIXED = ("gap", ["CR4.PAE", "CR4.LA57", "EFER.LMA"])
FINE = ("covered", [])
KNOWN = {  # tdp, soft, npt, ept, nested
    "5.0.1": (LMA, LMA, LMA, FINE, LMA),
    "5.4.1": (LMA, LMA, LMA, FINE, LMA),
    "5.10.44": (LA57, FINE, MIXED, FINE, LA57),
    "5.14.2": (LMA, FINE, LMA, FINE, FINE),
}


def expected(name, field="root_level"):
    """Read what is written beside a fixture, as path: (verdict, missing)."""
    document = miniatures.expected(name)
    if field != "root_level":
        document = document["fields"][field]
    return short(document["contexts"])


def short(found):
    """Reduce verdicts to what can be compared."""
    return {path: (item["verdict"], item["missing"]) for path, item in found.items()}


def fields(name, all_=False):
    """Return the fields that a fixture says something about, one number each.

    Arrays, and masks that keep old bits, are for the oracle of test_fields.
    """
    told = miniatures.expected(name).get("fields", {})
    return ["root_level", *(field for field in told if all_ or "oracle" not in told[field])]


def only(found, wanted):
    """Leave out the paths that nothing is written about."""
    return {path: item for path, item in found.items() if path in wanted}


@pytest.mark.parametrize("name", WHOLE)
def test_fixture_is_c(name):
    """Every fixture that is not broken on purpose is C that gcc accepts without a warning."""
    top = miniatures.folder(name)
    files = sorted(str(file) for file in (top / "arch/x86/kvm").rglob("*.c"))
    folders = ("arch/x86/include", "arch/x86/include/uapi", "include", "include/uapi")
    done = subprocess.run(
        [
            *("gcc", "-std=gnu11", "-fsyntax-only", "-Wall", "-Werror"),
            *("-Wno-unused-function", "-Wno-unused-value", f"-I{STUBS}"),
            *[f"-I{top / folder}" for folder in folders],
            *files,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_fixture_says_one_verdict(name):
    """The verdict of a fixture follows from the verdicts of its paths, worst first."""
    document = miniatures.expected(name)
    found = {item["verdict"] for item in document["contexts"].values()}
    order = ("gap", "unknown", "not-guarded", "covered")
    assert document["verdict"] == next((word for word in order if word in found), "error")


@pytest.mark.parametrize("name", NAMES)
def test_gcc_oracle_on_fixture(name):
    """The compiled initialisers behave as is written beside the fixture."""
    for field in fields(name):
        wanted = expected(name, field)
        assert only(short(gcc.decide(miniatures.folder(name), field)), wanted) == wanted


@pytest.mark.parametrize(
    "name", [name for name in NAMES if fields(name, all_=True) == fields(name)]
)
def test_interpreter_oracle_on_fixture(name):
    """The interpreted initialisers behave as is written beside the fixture; it has no arrays."""
    found = interp.decide_fields(miniatures.folder(name), fields(name))
    for field, verdicts in found.items():
        wanted = expected(name, field)
        assert only(short(verdicts), wanted) == wanted


@pytest.mark.parametrize("name", ["guard-swapped-fixed", "guard-two-fixed"])
def test_oracles_agree_on_mutants(name, tmp_path):
    """Both oracles say the same when one assignment of the role is taken away."""
    top = miniatures.folder(name)
    items = mutate.role_assignments(top)
    assert items
    for number, item in enumerate(items):
        changed = mutate.without(top, item)
        copy = shutil.copytree(top, tmp_path / str(number))
        for path, data in changed.items():
            (copy / path).write_bytes(data)
        compiled = short(gcc.decide(top, overlay=changed))
        assert compiled == short(interp.decide(copy)), item
        assert all(verdict != "unknown" for verdict, _ in compiled.values()), item


def test_mutants_lose_what_they_dropped():
    """Taking away the bit that carries EFER.LMA opens the gap that the bit had closed."""
    top = miniatures.folder("guard-swapped-fixed")
    item = next(item for item in mutate.role_assignments(top) if "efer_lma" in item[2])
    assert short(gcc.decide(top, overlay=mutate.without(top, item)))["tdp"] == LMA


def test_mutant_keeps_the_branch_whole():
    """The only statement of a branch leaves an empty one behind, and any other leaves nothing."""
    text = b"""static union kvm_mmu_role kvm_calc_role(int a)
{
\tunion kvm_mmu_role role = {0};

\tif (a)
\t\trole.base.level = 5;
\telse
\t\trole.base.level = 4;
\trole.ext.valid = 1;
\treturn role;
}
"""
    path = "arch/x86/kvm/mmu/mmu.c"
    items = mutate.role_assignments({path: text})
    assert [item[1] for item in items] == [6, 8, 9]
    first, _, last = (mutate.without({path: text}, item)[path] for item in items)
    assert b"if (a)\n\t\t;\n\telse" in first
    assert b"valid" not in last


def version(tree):
    """Read the release of a kernel tree from its Makefile."""
    text = (tree / "Makefile").read_text()
    numbers = re.findall(r"^(?:VERSION|PATCHLEVEL|SUBLEVEL) *= *(\d+)", text, re.M)[:3]
    return tuple(map(int, numbers))


def test_gcc_oracle_on_kernels(kernels):
    """Real releases come out as known, and everything from v5.16 on is covered."""
    for tree in kernels:
        found = short(gcc.decide(tree))
        assert list(found) == list(gcc.PATHS), tree
        assert all(verdict != "unknown" for verdict, _ in found.values()), (tree, found)
        release = version(tree)
        wanted = KNOWN.get(".".join(map(str, release)))
        if wanted:
            assert tuple(found.values()) == wanted, tree
        if release >= (5, 16):
            assert set(map(str, found.values())) == {str(FINE)}, (tree, found)
