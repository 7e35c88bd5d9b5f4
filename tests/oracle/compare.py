# SPDX-License-Identifier: GPL-2.0-only
"""Compare the verdict on every cached field and path with what gcc says of the same code."""

import json
import re
import subprocess
import sys

from . import fields as oracle


def path_of(context):
    """Return the path that a context of a report is."""
    name, entry = context["initialiser"], " ".join(context["entry"])
    if "ept" in name:
        return "ept"
    if "nested_mmu" in name or "init_kvm_nested_mmu" in entry:
        return "nested"
    if "tdp" in name:
        return "tdp"
    return "npt" if re.search("svm|npt", entry) else "soft"


def checked(tree):
    """Return what a check says, by path and field."""
    command = [sys.executable, "-m", "patchtool", "check", str(tree), "--fields", "all"]
    done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True)
    document = json.loads(done.stdout)
    found = {}
    for context in document["contexts"]:
        cells = found.setdefault(path_of(context), {})
        for field in context["fields"]:
            cells[field["name"]] = field
    for cells in found.values():
        for field in cells.values():
            field["accumulates"] = field["accumulated"] is not None
    return found, document["unknowns"]


def told(field):
    """Reduce a verdict to what both sides can say: inputs, and whether old bits are kept."""
    if field["verdict"] == "unknown":
        return "unknown"
    names = set(field["missing"])
    return told_of(names, field["accumulates"])


def told_of(names, accumulates):
    """Write inputs and kept bits in one way."""
    words = set()
    for name in names:
        name = name.removeprefix("L1 ")
        for mark, plain in (
            ("GBPAGES", "1 GiB pages"), ("vendor", "vendor"), ("reserved_gpa_bits", "MAXPHYADDR"),
        ):  # fmt: skip
            name = plain if mark in name else name
        name = re.sub(r"^ept_caps VMX_EPT_(\w+)_BIT$", r"IA32_VMX_EPT_VPID_CAP.\1", name)
        name = name.rpartition(".")[2] if name.islower() else name
        words.add(name)
    return ", ".join(sorted(words)) + ("; keeps old bits" if accumulates else "") or "-"


def compare(tree):
    """Return the rows of one tree that differ, and how many cells agree of how many."""
    expected = oracle.decide(tree)
    found, unknowns = checked(tree)
    rows, same, cells = [], 0, 0
    for path, fields in expected.items():
        if isinstance(fields, str):
            rows.append((path, "", fields, ""))
            continue
        for name, one in fields.items():
            cells += 1
            inputs = {input_ for each in one["sets"] for input_ in each["inputs"]}
            right = told_of(inputs, one["accumulates"])
            mine = found.get(path, {}).get(name)
            said = "not mentioned" if mine is None else told(mine)
            same += said == right
            if said != right:
                rows.append((path, name, right, said))
    return tree, rows, same, cells, unknowns
