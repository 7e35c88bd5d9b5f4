# SPDX-License-Identifier: GPL-2.0-only
"""The source is quoted as compilers do it: the line, a caret under what matters."""

import re
import shutil

import miniatures
import pytest

from patchtool import cli
from patchtool.model import Place
from patchtool.outside import diff
from patchtool.report import quotes
from patchtool.report.quotes import Quote, drawn

MAIN = "arch/x86/kvm/mmu/mmu.c"
BIT = "\t\text.efer_lma = ____is_efer_lma(regs);\n"


def lines(quote, width=80):
    """Return a quote as it is drawn."""
    return [line for line, _ in drawn(quote, width)]


def under(shown):
    """Return what stands above the caret."""
    source, caret = shown
    start, end = caret.index("^"), len(caret)
    assert re.fullmatch(r" *\| *\^~*", caret)
    return source[start:end]


def test_the_caret_stands_under_what_matters():
    """Tabs take eight columns, and line and caret have margins alike."""
    text = "\tif (a.role == b->role)"
    shown = lines(Quote(Place("a.c", 7, 6), 23, text))
    assert shown[0] == "    7 |         if (a.role == b->role)"
    assert under(shown) == "a.role == b->role"


@pytest.mark.parametrize("width", [30, 80, 120])
@pytest.mark.parametrize("at", [1, 40, 150])
def test_a_long_line_is_cut_around_what_matters(width, at):
    """No line is wider than the terminal, and the caret stays with what it is about."""
    text = "".join(f"{n:03}_" for n in range(60))
    shown = lines(Quote(Place("a.c", 12345, at), at + 9, text), width)
    assert all(len(line) <= width for line in shown)
    assert under(shown) == text[at - 1 : at + 8]
    kept = shown[0].partition(" | ")[2]
    left, right = kept.startswith("..."), kept.endswith("...")
    assert kept[3 * left : len(kept) - 3 * right] in text
    assert left is not text.startswith(kept[:3]) and right is not text.endswith(kept[-3:])


def test_a_hostile_line_cannot_steer_a_terminal():
    """What is no printable text is spelled out, and the caret is moved accordingly."""
    text = "\t\x1b[2J\u202e x = 1;"
    at = text.index("x = 1") + 1
    shown = lines(Quote(Place("a.c", 1, at), at + 5, text))
    assert all(line.isprintable() for line in shown)
    assert under(shown) == "x = 1"


@pytest.mark.parametrize(("number", "text"), [(0, None), (1, "a"), (3, "c"), (4, None)])
def test_the_line_of_a_place(number, text):
    """It is any line that the file has, the first and the last one too."""
    found = quotes.line(Place("a.c", number), {"a.c": b"a\nb\nc"}.get)
    assert (None if found is None else found.text) == text


def test_a_place_behind_the_end_of_its_line_is_drawn():
    """A report on files that have changed since is still a report."""
    assert under(lines(Quote(Place("a.c", 1, 50), 60, "short"))) == ""


@pytest.fixture
def tree(tmp_path):
    """Return a copy of a tree without a gap."""
    where = tmp_path / "linux"
    shutil.copytree(miniatures.folder("role-regs-fixed"), where)
    return where


def quoted(out):
    """Return each quoted line with what stands above its caret."""
    found = re.findall(r"^ *(\d+) \| (.*)\n +\| ( *)(\^~*)$", out, re.MULTILINE)
    return [
        (int(number), text.strip(), text[len(blank) : len(blank) + len(caret)])
        for number, text, blank, caret in found
    ]


def test_check_quotes_guard_role_and_store(tree, capsys):
    """A gap shows what skips, where the role lacks the bit, and what is not stored."""
    file = tree / MAIN
    text = file.read_text("utf-8")
    assert BIT in text
    file.write_text(text.replace(BIT, ""), "utf-8")
    assert cli.main(["check", str(tree)]) == 1
    out = capsys.readouterr().out
    first = out[: out.index("set-up of")]
    guard, role, store = quoted(first)
    now = file.read_text("utf-8").split("\n")
    for number, line, _ in (guard, role, store):
        assert now[number - 1].strip().startswith(line.removesuffix("..."))
    assert guard[2] == "new_role.as_u64 == context->mmu_role.as_u64"
    assert "ext." in role[2] and "no bit that is compared holds EFER.LMA" in first
    assert store[2] == "context->root_level = role_regs_to_root_level(&regs)"
    assert cli.main(["check", str(tree), "--quiet"]) == 1
    assert "^" not in capsys.readouterr().out


def test_the_role_is_shown_where_this_set_up_has_it_from(tree, capsys):
    """A set-up that reads no registers is shown no assignment to the role of another one."""
    file = tree / MAIN
    text = file.read_text("utf-8")
    stored = "context->ept_ad = accessed_dirty;"
    assert stored in text
    more = "context->ept_ad = accessed_dirty ^ (vcpu->arch.hflags & 1);"
    file.write_text(text.replace(stored, more), "utf-8")
    assert cli.main(["check", str(tree), "--fields", "ept_ad"]) == 1
    first, _, rest = capsys.readouterr().out.partition("set-up of")
    assert [above for _, _, above in quoted(first)][1:] == [
        "role.base.ad_disabled = !accessed_dirty", more.removesuffix(";"),
    ]  # fmt: skip
    assert rest.startswith(" guest_mmu")


def patch(tree, old, new):
    """Return a patch that changes the main file of a tree."""
    before = (tree / MAIN).read_bytes()
    after = before.replace(old.encode(), new.encode())
    assert before != after
    where = tree.parent / "0001-change.patch"
    where.write_text(diff.write(MAIN, before, after), "utf-8")
    return str(where)


def test_lint_quotes_the_line_that_is_taken_away(tree, capsys):
    """A patch that drops the bit is shown the line that it drops, below its place."""
    assert cli.main(["lint", "--tree", str(tree), patch(tree, BIT, "")]) == 1
    out = capsys.readouterr().out
    assert re.search(r"\^~*\n +\|- +ext\.efer_lma = ____is_efer_lma\(regs\);\n", out)
    assert f"{MAIN}:" in out and "takes away below this line" in out


def test_lint_quotes_the_line_that_is_replaced(tree, capsys):
    """A patch that sets the bit to something else is shown both lines, in their order."""
    change = patch(tree, BIT, "\t\text.efer_lma = 0;\n")
    assert cli.main(["lint", "--tree", str(tree), change]) == 1
    out = capsys.readouterr().out
    assert re.search(
        r"\|- +ext\.efer_lma = ____is_efer_lma\(regs\);\n"
        r" +\d+ \| +ext\.efer_lma = 0;\n +\| +\^~*\n",
        out,
    )


def test_a_field_in_the_role_is_stored_with_the_role(capsys):
    """Where the role holds the field, the store of the role is shown, not its calculation."""
    assert cli.main(["check", str(miniatures.folder("cpu-role-word-gap"))]) == 1
    out = capsys.readouterr().out
    assert re.search(
        r"note: cpu_role is stored here, which is skipped\n.*->cpu_role\.as_u64 = ", out
    )


def test_what_is_not_understood_is_quoted(capsys):
    """An undecided place shows its line, with a caret from the first word on."""
    assert cli.main(["check", str(miniatures.folder("broken-syntax"))]) == 3
    ((_, text, above),) = quoted(capsys.readouterr().out)
    assert text == above == "ext.cr4_pae = ____is_cr4_pae(regs;"


def test_what_a_set_up_stores_is_quoted_however_it_stores_it(capsys):
    """A number, an array that is handed on, a mask that is only added to."""
    cli.main(["check", str(miniatures.folder("vcpu-masks-gap")), "--fields", "all"])
    out = capsys.readouterr().out.splitlines()
    told = {}
    for at, line in enumerate(out):
        found = re.search(r": note: (\w+ is (?:stored|handed|added).*)$", line)
        if found is not None:
            told[found[1]] = under(out[at + 1 : at + 3])
    assert told == {
        "guest_rsvd_check is handed on here to be stored, which is skipped": (
            "&context->guest_rsvd_check"
        ),
        "pkru_mask is added to here": "mmu->pkru_mask |= (write << 1 | 1) << (bit * 2)",
        "pkru_mask is stored here, which is skipped": "mmu->pkru_mask = 0",
        "root_level is stored here, which is skipped": (
            "context->root_level = kvm_read_cr4_bits(vcpu, X86_CR4..."
        ),
    }


GUARD = """\
	if (new_role.as_u64 == context->mmu_role.as_u64)
		return;

	context->mmu_role.as_u64 = new_role.as_u64;
	context->shadow_root_level = kvm_mmu_get_tdp_level(vcpu);
"""
STORES = GUARD.split("\n\n")[1]
INSIDE = STORES.replace("\t", "\t\t")


@pytest.mark.parametrize(
    "code",
    [
        f"\tcontext->shadow_root_level = 2;\n{GUARD}",
        GUARD.replace(
            "\t\treturn;\n", "\t{\n\t\tcontext->shadow_root_level = 2;\n\t\treturn;\n\t}\n"
        ),
        f"\tif (new_role.as_u64 != context->mmu_role.as_u64) {{\n{INSIDE}\t}} else {{\n"
        "\t\tcontext->shadow_root_level = 2;\n\t}\n",
    ],
    ids=["in front", "before the return", "else"],
)
def test_the_store_of_a_skip_is_quoted(tree, capsys, monkeypatch, code):
    """Who reads that a skip stores the field otherwise sees both lines, and which is which."""
    monkeypatch.setenv("COLUMNS", "120")
    file = tree / MAIN
    text = file.read_text("utf-8")
    before, _, behind = text.partition(GUARD)
    end = behind.index("\n}\n") + 1
    rest = "" if "else" in code else behind[:end]
    file.write_text(before + code + rest + behind[end:], "utf-8")
    assert cli.main(["check", str(tree), "--fields", "shadow_root_level"]) == 1
    out = capsys.readouterr().out
    assert "a set-up that is skipped leaves shadow_root_level otherwise" in out
    told = dict(re.findall(r"note: (shadow_root_level is .*)\n *\d+ \| +(.*)", out))
    assert told == {
        "shadow_root_level is stored here, which is skipped": (
            "context->shadow_root_level = kvm_mmu_get_tdp_level(vcpu);"
        ),
        "shadow_root_level is stored here where the set-up is skipped": (
            "context->shadow_root_level = 2;"
        ),
    }
