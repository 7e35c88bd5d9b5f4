# SPDX-License-Identifier: GPL-2.0-only
"""The house laws: imports go one way, and what is costly is imported late."""

import ast
from pathlib import Path

import pytest

import patchtool

HOUSE = Path(patchtool.__file__).parent

# From the ground up; a room may import its own floor only where that makes no circle.
FLOORS = [
    {"", "errors", "model", "architecture"},
    {"git", "inbox", "config"},
    {"diff", "series"},
    {"source"},
    {"syntax", "scan"},
    {"index"},
    {"effects", "layout"},
    {"bits"},
    {"bdd", "memory"},
    {"lower"},
    {"coverage", "roles"},
    {"entries"},
    {"constants", "doubts", "invalidation"},
    {"terms"},
    {"rules"},
    {"build", "store", "suppress", "upstream"},
    {"changes", "fix", "lint", "outcomes", "patch", "sites", "slices", "spelling"},
    {"walker"},
    {"history"},
    {"report"},
    {"commands"},
    {"cli"},
    {"__main__"},
]

# What is costly to import, and the rooms that may do so where they start.
COSTLY = {
    "z3": {"bits", "lower", "coverage"},
    "git": set(),
    "unidiff": set(),
    "subprocess": set(),
    "tempfile": set(),
}

MODULES = sorted(path.relative_to(HOUSE) for path in HOUSE.rglob("*.py"))


def room(path):
    """Return the room of a file: its module, or the folder that it lies in."""
    name = path.parts[0].removesuffix(".py")
    return "" if name == "__init__" else name


def floor(name):
    """Return how high a room lies."""
    for number, rooms in enumerate(FLOORS):
        if name in rooms:
            return number
    pytest.fail(f"patchtool.{name} has no floor; add it to FLOORS")


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


def rooms_of(path):
    """Return the rooms of the house that a file imports."""
    names = [name.split(".") for name, _ in imports(path)]
    known = {room(other) for other in MODULES}
    return {
        name[1] if len(name) > 1 and name[1] in known else ""
        for name in names
        if name[0] == "patchtool"
    }


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_room_imports_a_higher_one(path):
    """Imports, late ones too, lead down the stairs."""
    here = floor(room(path))
    higher = {name for name in rooms_of(path) if floor(name) > here}
    assert not higher, f"{path} imports from above: {sorted(higher)}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_what_is_costly_is_imported_late(path):
    """The solver, git and processes are imported where they are needed, not at start-up."""
    early = {name.split(".")[0] for name, now in imports(path) if now}
    forbidden = {name for name in early & COSTLY.keys() if room(path) not in COSTLY[name]}
    assert not forbidden, f"{path} imports at its top: {sorted(forbidden)}"


def test_one_door_to_git_and_to_patches():
    """GitPython is imported in the git room only, unidiff in the diff room only."""
    for package in ("git", "unidiff"):
        users = {
            room(path)
            for path in MODULES
            for name, _ in imports(path)
            if name.split(".")[0] == package
        }
        assert users <= {package.replace("unidiff", "diff")}


def test_no_circles():
    """Rooms on one floor do not import each other in a circle."""
    graph = {}
    for path in MODULES:
        graph.setdefault(room(path), set()).update(rooms_of(path) - {room(path)})
    done = set()
    while ready := {name for name in graph if name not in done and graph[name] <= done}:
        done |= ready
    assert done == graph.keys(), f"in a circle: {sorted(graph.keys() - done)}"


def test_every_file_has_its_licence_and_its_words():
    """Every file opens with the licence and says what the room does."""
    for path in MODULES:
        text = (HOUSE / path).read_text("utf-8")
        assert text.startswith("# SPDX-License-Identifier: GPL-2.0-only\n"), path
        assert ast.get_docstring(ast.parse(text)), path
