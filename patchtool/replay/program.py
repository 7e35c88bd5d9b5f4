# SPDX-License-Identifier: GPL-2.0-only
"""Write tests as a C program: as one of KVM's selftests, or with nothing but ioctls.

In: tests, and the headers of the tree's selftests.  Out: the text of the program, and where
a tree keeps it.  The text comes from the .c files beside this one: a line ``//@name`` is
replaced, and lines between ``//<name>`` and ``//</name>`` stay where the part is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import NamedTuple

from patchtool.outside.source import Source
from patchtool.replay.states import ALWAYS, SVME, Expected, State, Test
from patchtool.target.kvm import REGISTER_BITS

NAME = "mmu_root_level_test"
"""The program, in the tree as elsewhere."""

_SELFTESTS = "tools/testing/selftests/kvm"
_FOLDERS = ("x86", "x86_64")
_MAKEFILES = ("Makefile.kvm", "Makefile")
_NEEDED = (
    "vm_create_with_one_vcpu",
    "vcpu_sregs_set",
    "vcpu_nested_state_set",
    "vm_phy_pages_alloc",
    "addr_gpa2hva",
    "kvm_cpu_has",
    "kvm_is_tdp_enabled",
)
_NAMES = {"no paging": "no_paging", "2-level paging": "two_level_paging",
          "4-level paging": "four_level_paging", "5-level paging": "five_level_paging"}  # fmt: skip


class Harness(NamedTuple):
    """The selftests of a tree: where tests lie, who lists them, what their headers define."""

    folder: str
    makefile: str
    variable: str
    nested_ctl: str
    defined: frozenset[str]

    @property
    def path(self) -> str:
        """Where the test lies in the tree."""
        return f"{_SELFTESTS}/{self.folder}/{NAME}.c"

    @property
    def entry(self) -> str:
        """The line of the makefile."""
        return f"{self.variable} += {self.folder}/{NAME}"

    @property
    def ignored(self) -> str:
        """The file that lists what git is to pass over, one test a line, in older trees."""
        return f"{_SELFTESTS}/.gitignore"


def find_harness(source: Source) -> tuple[Harness | None, str]:
    """Return the selftests of a tree; None, and why, where they lack what a test needs."""
    for folder in _FOLDERS:
        base = f"{_SELFTESTS}/include"
        names = [path for path in source.walk(base) if path.endswith(".h")]
        names = [n for n in names if n.count("/") == base.count("/") + 1 or f"/{folder}/" in n]
        if any(f"/{folder}/" in name for name in names):
            break
    else:
        return None, f"the tree has no {_SELFTESTS} for x86"
    text = b"".join(source.read(name) or b"" for name in names).decode("utf-8", "replace")
    for name in _NEEDED:
        if re.search(rf"\b{name}\b", text) is None:
            return None, f"the selftests of this tree have no {name}()"
    control = re.search(r"\bexit_int_info_err;\s*\w+\s+(\w+);", text)
    if control is None:
        return None, "struct vmcb_control_area of the selftests is not known"
    variable = re.compile(rf"^(TEST_GEN_PROGS_\w+)\s*\+?=\s*{folder}/", re.M)
    for name in _MAKEFILES:
        found = variable.search(_text(source, f"{_SELFTESTS}/{name}"))
        if found is not None:
            defined = frozenset(re.findall(r"^#define\s+(\w+)", text, re.M))
            makefile = f"{_SELFTESTS}/{name}"
            return Harness(folder, makefile, found[1], control[1], defined), ""
    return None, f"no makefile in {_SELFTESTS} lists a test of {folder}"


class Addition(NamedTuple):
    """A file before and after; a new one was nothing before."""

    path: str
    before: bytes | None
    after: bytes


def additions(source: Source, harness: Harness, tests: Sequence[Test]) -> list[Addition]:
    """Return what a selftest changes in a tree: the lists that name it, and itself."""
    found: list[Addition] = []
    for path, line, kind in (
        (harness.makefile, harness.entry, rf"{harness.variable}\s*(\+?)=\s*{harness.folder}/(\w+)"),
        (harness.ignored, f"/{harness.folder}/{NAME}", rf"(/){harness.folder}/(\w+)"),
    ):
        before = source.read(path) or b""
        after = _listed(before, line.encode(), kind.encode())
        if after != before:
            found.append(Addition(path, before, after))
    new = selftest(tests, harness).encode()
    found.append(Addition(harness.path, source.read(harness.path), new))
    return sorted(found)


def _listed(text: bytes, line: bytes, kind: bytes) -> bytes:
    """Put a line among those of its kind, in front of the first that sorts behind it.

    A list with no line of the kind is left alone, and nothing goes before one that begins it.
    """
    lines = text.split(b"\n")
    matches = [(i, found) for i, one in enumerate(lines) if (found := re.match(kind, one))]
    if not matches or line in lines:
        return text
    behind = (i for i, found in matches if found[1] and found[2] > NAME.encode())
    lines.insert(next(behind, matches[-1][0] + 1), line)
    return b"\n".join(lines)


def _text(source: Source, path: str) -> str:
    return (source.read(path) or b"").decode("utf-8", "replace")


def selftest(tests: Sequence[Test], harness: Harness) -> str:
    """Return the tests as one of the tree's selftests."""
    parts = {"nested_ctl": harness.nested_ctl}
    # The bits of EFER are in asm/msr-index.h, which processor.h includes.
    efer = {_macro("EFER", bit) for bit in REGISTER_BITS["EFER"].values()}
    return _filled("selftest.c", tests, parts, harness.defined | efer)


def plain(tests: Sequence[Test]) -> str:
    """Return the tests as a program of its own."""
    return _filled("plain.c", tests, {}, frozenset())


# -- the parts -----------------------------------------------------------------------------


def _filled(
    template: str,
    tests: Sequence[Test],
    parts: dict[str, str],
    defined: frozenset[str],
) -> str:
    kinds = {test.kind for test in tests}
    nested, root = "guest_mmu" in kinds, "root_mmu" in kinds
    la57 = any(s.has(("CR4", "LA57")) for t in tests for s in (t.a.state, t.b.state))
    keep = {
        "nested": nested,
        "no_nested": not nested,
        "root": root,
        "both": nested and root,
        "only_nested": nested and not root,
        "la57": la57,
        "has": nested or la57,
    }
    names = _names(tests)
    macros = _macros(tests, nested, defined)
    parts = {
        **parts,
        "tables": _template("tables.c"),
        "macros": macros and f"{macros}\n\n",
        "states": "\n".join(_state(one, name) for one, name in names.items()),
        "tests": "".join(_test(test, names) for test in tests),
    }
    text = _template(template)
    for name, part in parts.items():
        text = text.replace(f"//@{name}\n", part).replace(f"//@{name}", part)
    lines: list[str] = []
    off: list[str] = []
    for line in text.splitlines():
        mark = re.fullmatch(r"//<(/?)(\w+)>", line)
        if mark is None:
            if not off:
                lines.append(line)
        elif not mark[1] and (off or not keep[mark[2]]):
            off.append(mark[2])
        elif off:
            off.pop()
    return "\n".join(lines) + "\n"


def _template(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _macros(tests: Sequence[Test], nested: bool, defined: frozenset[str]) -> str:
    """Return definitions for the register bits that nobody else defines."""
    used = ALWAYS | ({SVME} if nested else set())
    used = used.union(*(state.bits for state in states_of(tests)))
    lines = []
    for register, positions in REGISTER_BITS.items():
        for position, bit in positions.items():
            name = _macro(register, bit)
            if (register, bit) in used and name not in defined:
                tabs = "\t" * (1 + (len(f"#define {name}") < 16))
                lines.append(f"#define {name}{tabs}BIT_ULL({position})")
    return "\n".join(lines)


def _macro(register: str, bit: str) -> str:
    return f"EFER_{bit}" if register == "EFER" else f"X86_{register}_{bit}"


def _names(tests: Sequence[Test]) -> dict[Expected, str]:
    """Give each state that is loaded a name in C; one state may need two root_levels."""
    found: dict[Expected, str] = {}
    taken: set[str] = set()
    for test in tests:
        for one in (_start(test, tests), test.a, test.b):
            if one in found:
                continue
            name = _NAMES.get(one.state.name) or re.sub(r"\W+", "_", one.state.name).lower()
            choices = (name, f"{name}_{test.kind}", *(f"{name}_{n}" for n in range(2, 99)))
            found[one] = next(choice for choice in choices if choice not in taken)
            taken.add(found[one])
    return found


def _start(test: Test, tests: Sequence[Test]) -> Expected:
    """Return the state that a test starts from, as a test that loads it expects it."""
    for other in tests:
        for one in (other.a, other.b):
            if one.state == test.start and other.kind == test.kind:
                return one
    return Expected(test.start, 0)


def _state(one: Expected, name: str) -> str:
    lines = [f"static const struct state {name} = {{", f'\t.name = "{one.state.name}",']
    for register in ("CR0", "CR4", "EFER"):
        bits = [_macro(register, bit) for bit in one.state.register(register)]
        if bits:
            lines.append(f"\t.{register.lower()} = {' | '.join(bits)},")
    lines += [f"\t.root_level = {one.level},", "};", ""]
    return "\n".join(lines)


def _test(test: Test, names: dict[Expected, str]) -> str:
    start = next(name for one, name in names.items() if one.state == test.start)
    a, b = names[test.a], names[test.b]
    load = f"load_{test.kind}"
    host = f"; needs a {test.levels}-level NPT" if test.levels else ""
    inputs = " and ".join(test.inputs)
    why = f"\t/* {test.initialiser}(): the role has to tell {inputs}{host}. */\n"
    states = f"&{start},\n\t  &{a}, &{b}"
    assert re.fullmatch(r"\w+", test.context) and re.fullmatch(r"\w+", test.initialiser or "_")
    return f'{why if test.inputs else ""}\t{{ "{test.context}", {load}, {states} }},\n'


def states_of(tests: Sequence[Test]) -> Iterator[State]:
    """Yield the states that tests load."""
    for test in tests:
        yield from (test.start, test.a.state, test.b.state)
