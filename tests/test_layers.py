# SPDX-License-Identifier: GPL-2.0-only
"""The house laws: imports go one way, and what is costly is imported late."""

import ast
import re
from pathlib import Path

import pytest
from edited import check, fixture

import patchtool
from patchtool.proof import bits
from patchtool.rules.documentation import PAGES
from patchtool.rules.table import RULES

HOUSE = Path(patchtool.__file__).parent

# From the ground up: a wing is a folder, or a module at the top.
WINGS = [
    "",
    "errors",
    "surroundings",
    "aside",
    "model",
    "target",
    "outside",
    "proof",
    "c",
    "world",
    "rules",
    "replay",
    "repair",
    "history",
    "lint",
    "report",
    "config",
    "commands",
    "api",
    "cli",
    "__main__",
]

MAX_ARROWS = 89

# What is costly to import, and the rooms that may do so where they start.
COSTLY = {
    "z3": {"proof"},
    "unidiff": set(),
    "subprocess": set(),
    "tempfile": set(),
}

MODULES = sorted(path.relative_to(HOUSE) for path in HOUSE.rglob("*.py"))


def wing(path):
    """Return the wing of a file: the folder that it lies in, or the module at the top."""
    name = path.parts[0].removesuffix(".py")
    return "" if name == "__init__" else name


def height(name):
    """Return how high a wing lies."""
    if name not in WINGS:
        pytest.fail(f"patchtool.{name} has no place; add it to WINGS")
    return WINGS.index(name)


def origin(path, node):
    """Return the full name of the module that a "from" names, dots resolved."""
    around = ("patchtool", *path.parent.parts)
    start = around[: len(around) - node.level + 1] if node.level else ()
    return ".".join((*start, *filter(None, [node.module])))


def imports(path):
    """Yield the module that each import names, and whether it runs when the file does."""
    late, typed = set(), set()
    tree = ast.parse((HOUSE / path).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            late.update(map(id, ast.walk(node)))
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            typed.update(id(part) for child in node.body for part in ast.walk(child))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{origin(path, node)}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, not ({id(node)} & (late | typed))


def modules_of(path, only_early=False):
    """Return the files of the house that a file imports."""
    found = set()
    for name, now in imports(path):
        parts = name.split(".")
        if parts[0] != "patchtool" or (only_early and not now):
            continue
        # "from patchtool.c import scan" names a module, "... import Index" what is in one.
        for end in (len(parts), len(parts) - 1):
            inside = "/".join(parts[1:end])
            files = [Path(f"{inside}.py"), Path(inside, "__init__.py")]
            known = [one for one in files if one in MODULES]
            if known:
                found.add(known[0])
                break
    return found


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_wing_imports_a_higher_one(path):
    """Imports, late ones too, lead down the stairs."""
    here = height(wing(path))
    higher = {str(other) for other in modules_of(path) if height(wing(other)) > here}
    assert not higher, f"{path} imports from above: {sorted(higher)}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_what_is_costly_is_imported_late(path):
    """The solver and processes are imported where they are needed, not at start-up."""
    early = {name.split(".")[0] for name, now in imports(path) if now}
    forbidden = {name for name in early & COSTLY.keys() if wing(path) not in COSTLY[name]}
    assert not forbidden, f"{path} imports at its top: {sorted(forbidden)}"


def test_one_door_to_patches():
    """Only the diff room imports unidiff."""
    users = {p for p in MODULES for name, _ in imports(p) if name.split(".")[0] == "unidiff"}
    assert users == {Path("outside/diff.py")}


def test_every_room_is_in_the_plan():
    """Who has read ARCHITECTURE.md finds any room: each wing and each room below it is named."""
    plan = set(re.findall(r"\w+", (HOUSE.parent / "ARCHITECTURE.md").read_text("utf-8")))
    rooms = {path.stem for path in MODULES if path.parts[0] != "commands"}
    rooms |= {wing(path) for path in MODULES}
    missing = {name for name in rooms if name and not name.startswith("__")} - plan
    assert not missing, f"name in ARCHITECTURE.md, in the row of its wing: {sorted(missing)}"


def test_few_wings_know_each_other():
    """The arrows between wings are counted; one more needs a reason, and a change here."""
    arrows = {(wing(path), wing(other)) for path in MODULES for other in modules_of(path)}
    between = {(one, other) for one, other in arrows if one != other}
    assert len(between) <= MAX_ARROWS, sorted(between)


def test_no_circles():
    """No module is imported by what it imports when it starts."""
    graph = {path: modules_of(path, only_early=True) - {path} for path in MODULES}
    done = set()
    while ready := {name for name in graph if name not in done and graph[name] <= done}:
        done |= ready
    assert done == graph.keys(), f"in a circle: {sorted(map(str, graph.keys() - done))}"


def test_every_file_has_its_licence_and_its_words():
    """Every file opens with the licence and says what the room does."""
    for path in MODULES:
        text = (HOUSE / path).read_text("utf-8")
        assert text.startswith("# SPDX-License-Identifier: GPL-2.0-only\n"), path
        assert ast.get_docstring(ast.parse(text)), path


def test_a_rule_brings_what_is_said_about_it():
    """A rule has a page, an engine and a place in the table; nobody else lists rules."""
    assert PAGES.keys() == RULES.keys()
    for name, rule in RULES.items():
        assert rule.page.rule == name
        assert (HOUSE / "rules" / f"{name.replace('-', '_')}.py").exists()
        spelt = [p for p in MODULES if f'"{name}"' in (HOUSE / p).read_text("utf-8")]
        assert sorted(map(str, spelt)) == ["rules/documentation.py", "rules/table.py"]


def test_a_walk_does_not_keep_the_terms_of_every_tree():
    """What a check has built is let go of by the next one."""
    files, sizes = fixture("demo"), []
    for _ in range(3):
        check(files)
        sizes.append(len(bits._TERMS))
    assert sizes[0] == sizes[1] == sizes[2] > 0
