# SPDX-License-Identifier: GPL-2.0-only
"""Every query compiles, explains itself, and is of use on some fixture."""

import re
from functools import cache
from pathlib import Path

import pytest
import tree_sitter_c
from forms import READS
from tree_sitter import Language, Query, QueryCursor

from patchtool.c import syntax

HOUSE = Path(__file__).parent.parent
QUERIES = sorted((HOUSE / "queries").glob("*.scm"))
CAPTURES = {
    "accessor_macro": {"macro.name", "macro.parameters", "macro.body"},
    "call_site": {"call.function"},
    "context_binding": {"binding", "binding.pointer", "binding.context"},
    "large_page": {"large", "large.bit", "large.mask", "large.one", "large.truth"},
    "level_reader": {"table.first", "table.member", "table.row"},
    "mention_use": {"read", "value", "argument", "callee"},
    "pointer_keeper": {"callee"},
    "reading_macro": {"read", "callee"},
    "register_reader": {
        f"reader.{name}" for name in ("expression", "holder", "register", "flag", "function")
    },
    "role_calculator": {
        f"calculator.{name}" for name in ("holder", "operator", "member", "value", "statement")
    },
    "role_guard": {"guard.comparison", "guard.function", "guard.operator"},
    "role_invalidation": {"role.target", "role.value"},
    "role_store": {"role.target", "role.copier"},
    "role_union": {"role.union"},
}
"""The names that Python asks for, by question."""


@cache
def compiled(path):
    """Compile a query."""
    return Query(Language(tree_sitter_c.language()), path.read_text("utf-8"))


@cache
def trees():
    """Parse every file of every fixture."""
    files = sorted(p for p in HOUSE.glob("fixtures/*/arch/**/*") if p.suffix in (".c", ".h"))
    return [syntax.parse(path.read_bytes()) for path in files]


COPIED_ROLE = b"""
void f(void)
{
	if (memcmp(&context->mmu_role, &role, sizeof(role)))
		memcpy(&context->mmu_role, &role, sizeof(role));
}
"""
"""A comparison and a store that the oracles do not execute, and so no fixture can have."""


MENTIONS = "".join(
    f"int f(void)\n{{\n\t{form.format('mmu->root_level')}\n\tmemcmp(&mmu->role, &role, 8);\n}}\n"
    for form in READS
).encode()
"""A member in all the forms that leave it as it is, more than any fixture has."""


LEVELS = b"""
u64 f(struct rsvd_bits_validate *check, u64 pte, int level)
{
	bool is_large = pte & BIT_ULL(7);

	return check->masks[(pte >> 7) & 1][level - 1] | check->masks[!!(pte & _PAGE_PSE)][0];
}
"""
"""Rows and columns of a table in the forms that choose one by an entry and its level."""


def test_queries_are_known():
    """Each file is a question that somebody asks, and each question has a file."""
    names = [path.stem for path in QUERIES]
    assert names == sorted(CAPTURES)
    assert list(syntax.query_names()) == names
    code = "".join(path.read_text("utf-8") for path in (HOUSE / "patchtool").rglob("*.py"))
    assert all(re.search(rf'\("{name}"[,)]', code) for name in names)


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_captures(path):
    """A query compiles and captures nothing under a name that is not on the list."""
    query = compiled(path)
    found = {query.capture_name(i) for i in range(query.capture_count)}
    assert found == CAPTURES[path.stem]


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_every_pattern_is_used(path):
    """Each pattern matches in at least one fixture."""
    query = compiled(path)
    roots = [*trees(), *map(syntax.parse, (COPIED_ROLE, MENTIONS, LEVELS))]
    used = {i for root in roots for i, _ in QueryCursor(query).matches(root)}
    assert used == set(range(query.pattern_count))


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_every_pattern_is_explained(path):
    """A comment stands at the top of the file and, where there are several, at each idiom."""
    text = path.read_text("utf-8")
    assert text.startswith("; ")
    if compiled(path).pattern_count > 1:
        assert len(re.findall(r"(?m)^; .*\n\(", text)) >= 2


@pytest.mark.parametrize(
    "spelt",
    ["typeof(*p) q;", "typeof(a->b) q;", "__typeof__(a.b[1]) *q;", "typeof(&x) **q = 0;",
     "typeof(f(a, b)) q;", "list_entry(a, typeof(*work), link);", "typeof(u8) *q;"],
)  # fmt: skip
def test_what_stands_behind_a_type_of_an_expression_keeps_its_place(spelt):
    """Mentions are looked for by their place in the text, and conditions are told by it."""
    source = f"void f(void) {{ int b; {spelt} last = 1; }}".encode()
    root = syntax.parse(source)
    assert not root.has_error
    at = source.index(b"last")
    leaf = root.descendant_for_byte_range(at, at + 4)
    assert leaf is not None
    assert syntax.text(leaf) == "last"
    if "*q" in spelt:
        declared = [one for one in syntax.descendants(root) if one.type == "pointer_declarator"]
        assert declared
