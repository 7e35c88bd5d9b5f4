# SPDX-License-Identifier: GPL-2.0-only
"""Trees with one statement less: every assignment that feeds a role, removed on its own."""

import re
from pathlib import Path

FILES = ("arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/mmu.c")
_NOISE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", re.S)
_FUNCTION = re.compile(r"^(?![#\s}])[^;{}=]*\)\s*\n\{.*?^\}", re.S | re.M)
_SETS_UP = re.compile(r"[^({]*\b(?:kvm_calc|kvm_init|init_kvm)_\w+\s*\(")
_ROLE = re.compile(r"union\s+kvm_\w*role\w*\s+(\w+)\s*(?=[=;,)])")


def _text(files, path):
    if isinstance(files, dict):
        return files[path].decode() if path in files else None
    file = Path(files) / path
    return file.read_text() if file.is_file() else None


def _blank(found):
    return re.sub(r"[^\n]", " ", found.group())


def _spans(text):
    """Yield the spans of the statements that store into a local role."""
    plain = _NOISE.sub(_blank, text)
    for function in _FUNCTION.finditer(plain):
        if not _SETS_UP.match(function.group()):
            continue
        roles = "|".join(set(_ROLE.findall(function.group())))
        if not roles:
            continue
        statement = re.compile(rf"(?<=[;{{}})\s])(?:{roles})(?:\.\w+)+\s*=(?!=)[^;]*;")
        for found in statement.finditer(plain, function.start(), function.end()):
            yield found.span()


def role_assignments(tree):
    """Return (file, line, text) of every such statement of a folder or a mapping to bytes."""
    out = []
    for path in FILES:
        text = _text(tree, path)
        for start, end in _spans(text) if text is not None else ():
            out.append((path, text.count("\n", 0, start) + 1, text[start:end]))
    return out


def without(tree, item):
    """Return the changed file as {path: bytes}, with this one statement removed."""
    path, line, statement = item
    text = _text(tree, path)
    for start, end in _spans(text):
        if text.count("\n", 0, start) + 1 == line and text[start:end] == statement:
            before = _NOISE.sub(_blank, text[:start]).rstrip()
            needed = before.endswith((")", "else"))  # the only statement of a branch
            return {path: (text[:start] + (";" if needed else "") + text[end:]).encode()}
    raise ValueError(f"no such statement: {item}")
