# SPDX-License-Identifier: GPL-2.0-only
"""Edits that mean nothing change no verdict: names, order, layout, comments, conditions."""

import re

import pytest
from edited import check, fixture, load

from patchtool.c.scan import scan

FIXTURES = ("demo", "role-regs-fixed", "cpu-role-fixed", "args-vs-vcpu-gap")
PARTS = (
    *("arch/x86/kvm", "arch/x86/include", "virt/kvm"),
    *("include/linux", "include/uapi/linux", "include/vdso", "include/kvm"),
)
MAIN = ("arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/mmu.c")
TOKEN = re.compile(
    r"/\*.*?\*/|//[^\n]*|^[ \t]*\#(?:[^\n\\]|\\.)*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    r"|[A-Za-z_]\w*|\d\w*|->|\+\+|--|<<=?|>>=?|[-+*/%&|^!=<>]=|&&|\|\||\#\#|\s+|.",
    re.S | re.M,
)
LOCALS = ("context", "role", "new_role", "regs", "cpu_role", "root_role", "level", "ext")
CALL_START = re.compile(r"^static [^;{}()=]*?\b(\w+)\(", re.M)


def tokens(text):
    """Cut C into comments, directives, strings, words, marks and blanks."""
    return TOKEN.findall(text)


def is_code(token):
    """Tell a token that a compiler sees from blanks, comments and directives."""
    return not (token.isspace() or token.startswith(("/*", "//")) or token.lstrip(" \t")[:1] == "#")


def rename_locals(text):
    """Rename locals, where no member has the name."""
    members = set(re.findall(r"(?:\.|->)\s*(\w+)", text))
    names = [name for name in LOCALS if name not in members]
    assert names
    pattern = rf"\b(?:{'|'.join(names)})\b(?!\s*\()"
    return re.sub(pattern, lambda match: f"{match.group()}_of_mine", text)


def rename_static_functions(text):
    """Rename the static functions of the file, initialisers included."""
    for name in sorted(set(CALL_START.findall(text))):
        if text.count(f"{name}(") > 1 and "##" not in name:
            text = re.sub(rf"\b{name}\b", f"{name}_too", text)
    return text


def reorder_functions(text):
    """Turn the order of all functions round, with declarations of static ones in front."""
    file = scan("x.c", text.encode())
    spans = [(s, e) for s, e, _ in file.spans]
    data = text.encode()
    if any(re.search(rb"^\s*#", data[s:e], re.M) for s, e in spans):
        return text
    bodies = [data[start:end] for start, end in spans]
    heads = [body.partition(b"{")[0].strip() + b";" for body in bodies if body[:6] == b"static"]
    rest, at = b"", 0
    for start, end in spans:
        rest += data[at:start]
        at = end
    rest += data[at:]
    return b"\n\n".join([rest, *heads, *reversed(bodies), b""]).decode()


def reorder_statements(text):
    """Swap neighbours that store constants or accessors into different bits of a role."""
    store = r"^(\t+(?:role|ext)\.(?:base\.|ext\.)?(\w+) = [^;\n]*;)\n"
    found = re.sub(rf"{store}(\t+(?:role|ext)\.(?:base\.|ext\.)?(?!\2)\w+ = [^;\n]*;)\n",
                   r"\3\n\1\n", text, flags=re.M)  # fmt: skip
    assert found != text
    return found


def on_other_columns(text):
    """Put every line three blanks further to the right."""
    lines = text.splitlines(keepends=True)
    out, continued = [], False
    for line in lines:
        plain = continued or line.lstrip().startswith("#") or not line.strip()
        out.append(line if plain else f"   {line}")
        continued = line.rstrip("\n").endswith("\\")
    return "".join(out)


def spaces_for_tabs(text):
    """Indent by two blanks."""
    return re.sub(r"^\t+", lambda match: "  " * len(match.group()), text, flags=re.M)


def on_one_line(text):
    """Put every function on one line."""
    file = scan("x.c", text.encode())
    data = text.encode()
    for start, end, _ in reversed(file.spans):
        body = data[start:end].decode()
        if re.search(r"^\s*#", body, re.M):
            continue
        parts = [" " if token.startswith(("/*", "//")) else token for token in tokens(body)]
        flat = re.sub(r"\s+", " ", "".join(parts))
        data = data[:start] + flat.encode() + data[end:]
    return data.decode()


def allman(text):
    """Put every opening brace of a block on a line of its own."""
    return re.sub(r"\) \{$", r")\n{", text, flags=re.M)


def kernighan(text):
    """Put the opening brace of a function behind its head."""
    return re.sub(r"\)\n\{$", r") {", text, flags=re.M)


def comments(text):
    """Put a comment behind every token, one with C in it."""
    note = "/* return; } if (a == b) { */"
    return "".join(f"{t}{note}" if is_code(t) and t[0] not in "\"'" else t for t in tokens(text))


def line_comments(text):
    """Put a comment with an open quote behind every statement."""
    return re.sub(r"(?<=[;{}])\n(?=\t)", " // don't { return\n", text)


def blank_lines(text):
    """Put an empty line before every statement."""
    return re.sub(r"(?<=;\n)(?=\t)", "\n", text)


def crlf(text):
    """End every line as other systems do."""
    return text.replace("\n", "\r\n")


def bodies(text, change):
    """Change the bodies of functions only."""
    data = text.encode()
    for start, end, _ in reversed(scan("x.c", data).spans):
        data = data[:start] + change(data[start:end].decode()).encode() + data[end:]
    return data.decode()


def split_conditions(text):
    """Write ``if (a && b) return;`` as one if in another."""
    pattern = r"^(\t+)if \(([^()|&\n]+(?:\([^()]*\))?) &&\s+([^|&\n]+)\)\n\t+return;"
    return re.sub(pattern, r"\1if (\2) {\n\1\tif (\3)\n\1\t\treturn;\n\1}", text, flags=re.M)


def merge_conditions(text):
    """Give every condition a second, true half."""
    return re.sub(r"\bif \(((?:[^()\n]|\([^()\n]*\))*)\)\n", r"if ((\1) && (1))\n", text)


def negate_conditions(text):
    """Negate every condition twice."""
    return re.sub(r"\bif \(((?:[^()\n]|\([^()\n]*\))*)\)\n", r"if (!(!(\1)))\n", text)


def braces(text):
    """Put braces around every early return."""
    return re.sub(r"\)\n(\t+)return;\n", r") {\n\1return;\n\1}\n", text)


def parentheses(text):
    """Put parentheses around every value that is stored into a role."""
    return re.sub(r"(\b(?:role|ext)\.[\w.]+ = )([^;\n]+);", r"\1(\2);", text)


EDITS = (
    rename_locals, rename_static_functions, reorder_functions, reorder_statements,
    on_other_columns, spaces_for_tabs, on_one_line, allman, kernighan, comments, line_comments,
    blank_lines, crlf, split_conditions, merge_conditions, negate_conditions, braces, parentheses,
)  # fmt: skip
ON_KERNELS = (rename_static_functions, on_other_columns, comments, line_comments, allman)
BODIES = {line_comments, blank_lines, split_conditions, merge_conditions, negate_conditions, braces}


def answers(files):
    """Return what is decided, without the names of functions; two guards may replace one."""
    report = check(files)
    found = sorted({
        (context.context, one.name, one.verdict, one.missing,
         one.witness.values if one.witness else None)
        for context in report.contexts
        for one in context.fields
    }, key=str)  # fmt: skip
    return report.verdict, found, len(report.unknowns)


def edited(files, edit):
    """Edit the file that holds the initialisers."""
    (main,) = [path for path in MAIN if path in files]
    text = files[main].decode()
    new = bodies(text, edit) if edit in BODIES else edit(text)
    changed = {main: new.encode()}
    if edit is rename_static_functions:
        # What the file includes as a template calls the functions by their names, too.
        renamed = set(re.findall(r"\b(\w+)_too\b", new)) - set(re.findall(r"\w+", new))
        pattern = re.compile(rb"\b(%s)\b" % "|".join(sorted(renamed) or ["(?!)"]).encode())
        folder = main.rpartition("/")[0]
        for path in (one for one in files if one.startswith(folder) and one.endswith("_tmpl.h")):
            changed[path] = pattern.sub(rb"\1_too", files[path])
    return {**files, **changed}


KNOWN = {name: (fixture(name), answers(fixture(name))) for name in FIXTURES}


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("name", FIXTURES)
def test_fixtures(name, edit):
    """An edit that means nothing leaves every verdict of a fixture as it was."""
    files, before = KNOWN[name]
    assert answers(edited(files, edit)) == before


def test_kernels(kernels):
    """The same on real kernels."""
    for tree in kernels:
        files = load(tree, PARTS)
        before = answers(files)
        assert before[1]
        for edit in ON_KERNELS:
            assert answers(edited(files, edit)) == before, (tree, edit.__name__)
