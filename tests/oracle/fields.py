# SPDX-License-Identifier: GPL-2.0-only
"""The first oracle for every cached field: the initialisers compiled by gcc, element by element.

Run as ``python -m tests.oracle.fields TREE``.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from . import gcc
from .cut import Tree, Unit, Unknown, member_name, split_members
from .text import balanced

HERE = Path(__file__).parent
BOUND = re.compile(r"struct (?:kvm_mmu|kvm_pagewalk)\s+\w+$")
FIRST = (
    *("CR0.PG", "CR0.WP", "CR4.PSE", "CR4.PAE", "CR4.LA57", "CR4.SMEP", "CR4.SMAP", "CR4.PKE"),
    *("EFER.LMA", "EFER.NX", "guest_mode", "smm", "MAXPHYADDR", "vendor", "1 GiB pages"),
)
REGISTERS = FIRST[:10]
KEYS = ("mmu_role", "cpu_role", "root_role", "base_role")
ROOTS = re.compile(
    r"root(?!_level)\w*$|prev_roots|pae_root|pml\d_root|lm_root|mirror_root\w*|pdptrs|w$"
)
"""Members that are no configuration: which page tables are in use."""
HOST = {
    "max_tdp_level": "level", "shadow_phys_bits": "46", "shadow_x_mask": "level == 5 ? 4 : 0",
    "max_huge_page_level": "level == 5 ? 3 : 2",
}  # fmt: skip
"""Objects of file scope that a kernel sets when it is loaded: once for 4 levels, once for 5."""
VENDOR = "guest_cpuid_is_amd guest_cpuid_is_amd_or_hygon guest_cpuid_is_amd_compatible"
ANSWERS = {
    **dict.fromkeys(("cpuid_query_maxphyaddr", "cpuid_query_maxguestphyaddr"),
                    "oracle_wide ? 52 : 46"),
    **dict.fromkeys(VENDOR.split(), "oracle_vendor"),
    "guest_cpuid_is_intel": "!oracle_vendor", "guest_cpuid_is_intel_compatible": "!oracle_vendor",
    **dict.fromkeys(("guest_cpuid_has", "guest_can_use", "guest_cpu_cap_has"), "oracle_capable"),
    **dict.fromkeys(("is_cpuid_PSE36", "cpu_has_vmx"), "1"),
}  # fmt: skip


def decide(top, overlay=None):
    """Return, per path, the verdict on every field that a guarded set-up stores."""
    tree = Tree(top, overlay)
    out = {}
    for path, root in gcc.paths(tree).items():
        try:
            out[path] = verdicts(tree, path, root)
        except Unknown as reason:
            out[path] = str(reason)
    return out


def watched(tree):
    """Return a pattern of the members whose stores matter."""
    names = set()
    for tag in ("kvm_mmu", "kvm_pagewalk", "rsvd_bits_validate"):
        piece = tree.get(tag, ("tag",))
        if piece is not None:
            opening = piece.text.index("{")
            inner = piece.text[opening + 1 : balanced(piece.text, opening) - 1]
            names |= {member_name(member) for member in split_members(inner)}
    kept = {name for name in names if name and not ROOTS.match(name)} | set(KEYS) | {"root_role"}
    return "|".join(sorted(kept))


def verdicts(tree, path, root):
    """Decide one path."""
    event = tree.get(gcc.EVENT, ("function",))
    pattern = watched(tree)
    with tempfile.TemporaryDirectory() as folder:
        unit = Unit(tree, [root], pattern, ANSWERS)
        if event is not None:
            from dataclasses import replace

            unit.add(replace(event, text=gcc.invalidation(event)))
        program = build(unit, path, root, Path(folder))
        done = subprocess.run([program[0]], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unknown(f"the program ended with {done.returncode}")
    return read(done.stdout, path, *program[1:])


def build(unit, path, root, folder):
    """Compile, adding what gcc misses until it is content."""
    source, program = folder / "unit.c", folder / "unit"
    base = ["gcc", "-std=gnu11", "-O1", "-fno-strict-aliasing", "-fwrapv"]
    base += ["-I", HERE / "include", "-Werror=implicit-function-declaration"]
    base += ["-Wno-incompatible-pointer-types", "-Wno-int-conversion"]
    for _ in range(80):
        head, parts, extra = frame(unit, path, root)
        text = "static int oracle_wide, oracle_vendor, oracle_capable;\n"
        text += unit.source() + head
        source.write_text(text)
        done = subprocess.run(
            [*base, source, "-o", program], capture_output=True, text=True, check=False,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        if not done.returncode:
            return program, parts, extra
        errors = [line for line in done.stderr.splitlines() if " error: " in line]
        if not errors:
            raise Unknown(done.stderr[-400:])
        mended = [gcc.mend(unit, line.split(" error: ")[1], text) for line in errors]
        if not any(mended):
            raise Unknown(errors[0].split(" error: ")[1])
    raise Unknown("gcc is never content")


def elements(unit, member, lvalue):
    """Return what a member consists of: name below it, lvalue, and lvalue of an element."""
    found = re.match(r"(?:struct|union)\s+(\w+)\s+(\w+)\s*((?:\[[^]]*\]\s*)*)$", member)
    if found and found[1] in unit.tags and not found[3]:
        out = []
        for name, inner in gcc.members_of(unit, found[1]).items():
            for below, one, item in elements(unit, inner, f"{lvalue}.{name}"):
                out.append((f"{name}{'.' if below else ''}{below}", one, item))
        return out
    return [("", lvalue, lvalue + "[0]" * member.count("["))]


def frame(unit, path, root):
    """Return what tells the harness about this path, what is looked at, and further inputs."""
    lines, regs, home, walker = gcc.surroundings(unit, path, root)
    arch = gcc.members_of(unit, "kvm_vcpu_arch")
    homes = [(home, "kvm_mmu"), *([(walker, "kvm_pagewalk")] if walker else [])]
    fields, parts = [], []
    for context, tag in homes:
        for name, text in gcc.members_of(unit, tag).items():
            if name in KEYS or ROOTS.match(name):
                continue
            fields.append(name)
            for below, lvalue, item in elements(unit, text, f"vcpu->arch.{context}.{name}"):
                parts.append((len(fields) - 1, name, below, lvalue, item))
    lines.append("static void host(int level)\n{\n\t(void)level;")
    for name, value in HOST.items():
        if name in unit.variables:
            lines.append(f"\t{name} = {value};")
    if "cpuinfo_x86" in unit.tags and "boot_cpu_data" in unit.variables:
        if "x86_phys_bits" in gcc.members_of(unit, "cpuinfo_x86"):
            lines.append("\tboot_cpu_data.x86_phys_bits = 46;")
    if "kvm_host_values" in unit.tags and "kvm_host" in unit.variables:
        if "maxphyaddr" in gcc.members_of(unit, "kvm_host_values"):
            lines.append("\tkvm_host.maxphyaddr = 46;")
    lines.append("}")
    listed = " ".join(f"part({n}, {one}, {item})" for n, _, _, one, item in parts)
    lines.append(f"#define PARTS(part) {listed}")
    lines.append("#define HOMES(fill) " + " ".join(f"fill(vcpu->arch.{name})" for name, _ in homes))
    lines.append(f"#define FIELDS {len(fields)}")
    if "reserved_gpa_bits" in arch:
        regs.append("vcpu->arch.reserved_gpa_bits = ~0ULL << (HAS(s, WIDE) ? 52 : 46);")
    others = [name for name, text in arch.items() if BOUND.match(text)]
    for name in others:
        if name in {one for one, _ in homes}:
            continue
        tag = arch[name].split()[1]
        for role in sorted(set(KEYS) & set(gcc.members_of(unit, tag))):
            regs.append(f"memset(&vcpu->arch.{name}.{role}, 0, sizeof(vcpu->arch.{name}.{role}));")
    extra = [f"L1 {name}" for name in REGISTERS] if path == "npt" else []
    if path == "ept":
        extra = ["EPTP level", "EPTP accessed/dirty"]
        regs = [re.sub(r"HAS\(extra, 2\)", "HAS(extra, 1)", one) for one in regs]
        caps = sorted(name for name in unit.macros if re.match(r"VMX_EPT_\w+_BIT$", name))
        word = " | ".join(f"(HAS(extra, {n + 2}) ? {name} : 0)" for n, name in enumerate(caps))
        regs = [re.sub(r"ept_caps = .*;", f"ept_caps = {word or 0};", one) for one in regs]
        extra += [f"ept_caps {name}" for name in caps]
    lines.append("#define REGISTERS " + " ".join(regs))
    lines.append(f"#define BITS {len(FIRST) + len(extra)}")
    lines.append(f"#define L1_BASE {len(FIRST) if path == 'npt' else -1}")
    return "\n".join(lines) + "\n" + (HERE / "fields.c").read_text(), (fields, parts), extra


def read(printed, path, looked_at, extra):
    """Turn what the program printed into verdicts."""
    fields, parts = looked_at
    table = [*FIRST, *extra]

    def names(mask):
        return [name for number, name in enumerate(table) if mask >> number & 1]

    out, touched = {}, False
    for line in printed.splitlines():
        word, *values = line.split()
        if word == "guarded":
            touched = values[1] == "1"
        elif word == "field":
            number, stored, partial, unstored = map(int, values)
            if stored & 2 or partial:
                out[fields[number]] = {
                    "sets": [], "accumulates": bool(partial), "sometimes": bool(unstored),
                }  # fmt: skip
        else:
            number, diff, one, two, part, index = map(int, values[:6])
            stale, fresh = (int(value, 16) for value in values[6:8])
            found = out.get(fields[number])
            if found is not None:
                found["sets"].append(
                    {"inputs": names(diff), "a": names(one), "b": names(two),
                     "element": f"{parts[part][2]}[{index}]", "values": (stale, fresh)}
                )  # fmt: skip
    if not touched:
        raise Unknown("no state makes the initialiser store anything")
    return out


def short(found):
    """Say one field's verdict in a word or two."""
    missing = sorted({name for one in found["sets"] for name in one["inputs"]})
    words = ", ".join(missing)
    if found["accumulates"]:
        words += "; keeps old bits" if words else "keeps old bits"
    return words


def main(arguments):
    """Print one line per path and field."""
    for path, found in decide(*arguments).items():
        if isinstance(found, str):
            print(f"{path:7} unknown: {found}")
            continue
        for field, one in found.items():
            print(f"{path:7} {field:20} {short(one) or '-'}{' (sometimes)' * one['sometimes']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
