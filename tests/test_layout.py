# SPDX-License-Identifier: GPL-2.0-only
"""Records lie as gcc lays them out, or their layout is not known."""

import shutil
import subprocess

import pytest
from edited import Files, check, fixture

from patchtool.c.index import Index
from patchtool.c.layout import Types
from patchtool.target.kvm import KVM

HOST = "arch/x86/include/asm/kvm_host.h"
HEAD = (
    "#define __packed __attribute__((packed))\n#define __aligned(n) __attribute__((aligned(n)))\n"
    "#define ____cacheline_aligned __attribute__((aligned(64)))\n"
    "#define __maybe_unused __attribute__((unused))\n"
    "typedef unsigned int u32;\ntypedef unsigned long long u64;\ntypedef unsigned short u16;\n"
)
INNER = "union inner {\n\tu32 word;\n\tstruct {\n\t\tu32 low:5;\n\t\tu32 high:3;\n\t};\n}"
OUTER = (
    "union outer {\n\tu64 all;\n\tstruct {\n\t\tu32 first;\n\t\tunion inner second%s;\n\t}%s;\n}"
)
KNOWN = {
    "plain": (INNER, OUTER % ("", "")),
    "whole": (f"{INNER} __aligned(8)", OUTER % ("", "")),
    "whole, spelt out": (f"{INNER} __attribute__((aligned(8)))", OUTER % ("", "")),
    "whole, by bytes that it has": (f"{INNER} __aligned(4)", OUTER % ("", "")),
    "outer whole": (INNER, f"{OUTER % ('', '')} __aligned(16)"),
    "of no use": (INNER, OUTER % (" __maybe_unused", "")),
    "in front": (
        INNER.replace("union ", "union __attribute__((__aligned__(16))) ", 1),
        OUTER % ("", ""),
    ),
    "bit-fields that go on": (
        INNER.replace("u32 low:5", "u32 low:30"), OUTER % ("", ""),
    ),
}  # fmt: skip
UNKNOWN = {
    "member": (INNER, OUTER % (" __attribute__((aligned(8)))", "")),
    "member, by a macro": (INNER, OUTER % (" __aligned(8)", "")),
    "member, on a line of cache": (INNER, OUTER % (" ____cacheline_aligned", "")),
    "member, by C11": (INNER, (OUTER % ("", "")).replace("\t\tu", "\t\t_Alignas(8) u")),
    "anonymous": (INNER, OUTER % ("", " __aligned(16)")),
    "packed": (f"{INNER.replace('u32 low', 'u16 half; u32 low')} __packed",
               OUTER % ("", "")),
    "packed inside": (INNER.replace("};\n}", "} __packed;\n}"), OUTER % ("", "")),
    "cache line": (f"{INNER} ____cacheline_aligned", OUTER % ("", "")),
    "for what follows": (f"#pragma pack(2)\n{INNER}", OUTER % ("", "")),
    "for what follows, in a word": (f'_Pragma("pack(1)")\n{INNER}', OUTER % ("", "")),
}  # fmt: skip


def known(inner, outer):
    """Return bytes of the outer record and of the inner, and where that lies; None unknown."""
    index = Index(Files({HOST: f"{inner};\n\n{outer};\n".encode()}), KVM)
    types = Types(index)
    records = [types.record(f"union {name}", HOST) for name in ("outer", "inner")]
    if any(one.size is None for one in records):
        return None
    return [*(one.size // 8 for one in records), records[0].slots["second"][0] // 8]


@pytest.mark.parametrize("name", [*KNOWN, *UNKNOWN])
def test_as_gcc_lays_it_out(name, tmp_path):
    """What is known of sizes and places is what gcc says, whatever the annotation."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    inner, outer = {**KNOWN, **UNKNOWN}[name]
    found = known(inner, outer)
    assert (found is None) == (name in UNKNOWN)
    place = "__builtin_offsetof(union outer, second)"
    told = found or [0, 0, 0]
    code = f"{HEAD}{inner};\n{outer};\n" + "".join(
        f"_Static_assert({what} == {number}, \"\");\n"
        for what, number in zip(
            ("sizeof(union outer)", "sizeof(union inner)", place), told, strict=True
        )
    )  # fmt: skip
    (tmp_path / "layout.c").write_text(code)
    said = subprocess.run(
        ["gcc", "-c", "-o", "/dev/null", "layout.c"], cwd=tmp_path, capture_output=True, text=True
    )
    if found is not None:
        assert said.returncode == 0, said.stderr
    else:  # it compiles but for what is not known
        assert "error: static assertion failed" in said.stderr, said.stderr
        assert said.stderr.count("error:") == said.stderr.count("error: static assertion")


EXT, END = "union kvm_mmu_extended_role ext;", "\t};\n};\n\nunion kvm_mmu_role {"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (EXT, EXT.replace(";", " __attribute__((aligned(8)));")),
        (EXT, EXT.replace(";", " ____cacheline_aligned;")),
        (EXT, f"_Alignas(8) {EXT}"),
        (END, END.replace("};\n\n", "} __aligned(8);\n\n")),
    ],
)
def test_a_role_that_no_comparison_sees(old, new):
    """What lies behind the word that is compared carries nothing."""
    tree = fixture("role-regs-fixed")
    text = tree[HOST].decode()
    assert text.count(old) == 1
    tree[HOST] = text.replace(old, new).encode()
    assert check(tree).verdict in ("gap", "unknown")


def test_a_role_with_an_alignment_of_its_own():
    """What moves no member changes no verdict."""
    tree = fixture("role-regs-fixed")
    tree[HOST] = tree[HOST].replace(
        END.encode(), END.replace("};\n\n", "} __aligned(4);\n\n").encode()
    )
    assert b"__aligned(4)" in tree[HOST]
    report = check(tree)
    assert (report.verdict, report.unknowns) == ("covered", ())


def test_a_member_that_is_laid_out_in_another_way_is_named():
    """It is said which record is not understood."""
    tree = fixture("cpu-role-fixed")
    tree[HOST] = tree[HOST].replace(EXT.encode(), EXT.replace(";", " __aligned(8);").encode())
    said = [one.reason for one in check(tree).unknowns]
    assert "how union kvm_cpu_role is laid out is not understood" in said
