# SPDX-License-Identifier: GPL-2.0-only
"""First oracle: cut the initialisers out of a tree, compile them with gcc, run every legal state.

Run as ``python -m tests.oracle.gcc TREE [FIELD]``.
"""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from .cut import ALWAYS_MEMBERS, SIDES, Tree, Unit, Unknown, member_name, split_members
from .text import balanced

HERE = Path(__file__).parent
PATHS = ("tdp", "soft", "npt", "ept", "nested")
REGISTERS = (
    *("CR0.PG", "CR0.WP", "CR4.PSE", "CR4.PAE", "CR4.LA57", "CR4.SMEP", "CR4.SMAP", "CR4.PKE"),
    *("EFER.LMA", "EFER.NX"),
)
OTHERS = ("guest_mode", "smm", "MAXPHYADDR")
EPT = ("ept_pointer level", "ept_caps execonly", "ept_pointer accessed/dirty")
ORDER = (
    *("CR0.WP", "CR0.PG", "CR4.PSE", "CR4.PAE", "CR4.LA57", "CR4.SMEP", "CR4.SMAP", "CR4.PKE"),
    *("EFER.LMA", "EFER.NX", *OTHERS, *EPT),
)
EVENT = "kvm_mmu_after_set_cpuid"
SHADOW = r"kvm_init_shadow_npt_mmu|kvm_init_shadow_mmu"


def decide(top, field="root_level", overlay=None):
    """Return the verdict of every path that a tree has."""
    tree = Tree(top, overlay)
    out = {}
    for path, root in paths(tree).items():
        try:
            out[path] = verdict(tree, path, root, field)
        except Unknown as reason:
            out[path] = {
                "verdict": "unknown",
                "missing": [],
                "witness": None,
                "reason": str(reason),
            }
    return out


def paths(tree):
    """Find the paths and the function that each is entered by."""
    out = {}
    entry = tree.get("kvm_init_mmu", ("function",)) or tree.get("init_kvm_mmu", ("function",))
    if entry is not None:
        for path, sign in (
            ("tdp", "init_kvm_tdp_mmu"),
            ("soft", "init_kvm_softmmu"),
            ("nested", "mmu_is_nested"),
        ):
            if re.search(rf"\b{sign}\b", entry.text):
                out[path] = entry.name
    for path, side, name in (("npt", "svm", SHADOW), ("ept", "vmx", "kvm_init_shadow_ept_mmu")):
        root = caller(tree, side, name)
        if root:
            out[path] = root
    return {path: out[path] for path in PATHS if path in out}


def caller(tree, side, name):
    """Return the function of a vendor module that makes a guest MMU current."""
    for file in SIDES[side]:
        data = tree.bytes(file)
        if data is None or not re.search(rb"\b(?:%s)\b" % name.encode(), data):
            continue
        tree.load(file)
        functions = {
            piece.name: piece
            for known in tree.index.values()
            for piece in known
            if piece.kind == "function" and piece.path == file
        }
        found = [
            piece.name
            for piece in functions.values()
            if re.search(rf"\b(?:{name})\s*\(", piece.text)
        ]
        for first in found:
            above = [
                piece.name
                for piece in functions.values()
                if re.search(rf"\b{first}\s*\(", piece.text[len(piece.head) :])
                and re.search(r"arch\.mmu\s*=", piece.text)
            ]
            if not re.search(r"arch\.mmu\s*=", functions[first].text) and above:
                return above[0]
        if found:
            return found[0]
    return None


def verdict(tree, path, root, field):
    """Decide one path."""
    event = tree.get(EVENT, ("function",))
    with tempfile.TemporaryDirectory() as folder:
        try:
            unit = Unit(tree, [root, *([EVENT] if event else [])])
            program = build(unit, path, root, field, Path(folder))
        except Unknown:
            if event is None:
                raise
            unit = Unit(tree, [root])
            unit.add(replace(event, text=invalidation(event)))
            program = build(unit, path, root, field, Path(folder))
        done = subprocess.run([program], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unknown(f"the program ended with {done.returncode}")
    return read(done.stdout, path)


def invalidation(event):
    """Reduce the function that follows a CPUID update to its stores into roles."""
    stores = re.findall(
        r"[^;{}]*\b(?:mmu_role|cpu_role|root_role|base_role)\b[^;{}=]*=[^;]*;", event.text
    )
    return event.head + "{" + "".join(stores) + "}"


def build(unit, path, root, field, folder):
    """Compile, adding what gcc misses until it is content."""
    source, program = folder / "unit.c", folder / "unit"
    base = ["gcc", "-std=gnu11", "-O1", "-fno-strict-aliasing", "-fwrapv", "-I", HERE / "include"]
    base += [
        "-Werror=implicit-function-declaration",
        "-Wno-incompatible-pointer-types",
        "-Wno-int-conversion",
    ]
    for _ in range(60):
        text = "static int oracle_wide;\n" + unit.source() + frame(unit, path, root, field)
        source.write_text(text)
        done = subprocess.run(
            [*base, source, "-o", program],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
        errors = [line for line in done.stderr.splitlines() if " error: " in line]
        if not done.returncode:
            return program
        if not errors:
            raise Unknown(done.stderr[-400:])
        mended = [mend(unit, line.split(" error: ")[1], text) for line in errors]
        if not any(mended):
            raise Unknown(errors[0].split(" error: ")[1])
    raise Unknown("gcc is never content")


def mend(unit, error, text):
    """Add what one error asks for; say whether there was anything to add."""
    tree = unit.tree
    found = re.match(r"unknown type name '(\w+)'", error)
    if found:
        if found[1] in unit.typedefs:
            return False
        piece = tree.find(found[1], ("typedef",))
        unit.typedefs[found[1]] = piece.text if piece else f"typedef u64 {found[1]};"
        return True
    found = re.search(r"has no member named '(\w+)'", error)
    if found:
        fresh = found[1] not in unit.members
        unit.members.add(found[1])
        return fresh
    found = re.search(r"(?:undefined|incomplete) type '?(?:const )?(?:struct|union) (\w+)'", error)
    if found:
        fresh = found[1] not in unit.tags and tree.find(found[1], ("tag",)) is not None
        unit.tag(found[1])
        return fresh
    found = re.match(r"field '(\w+)' has incomplete type", error)
    if found:
        fresh = found[1] not in unit.dropped | ALWAYS_MEMBERS
        unit.dropped.add(found[1])
        return fresh
    found = re.match(r"'(\w+)' undeclared", error)
    if found:
        piece = tree.find(found[1], ("macro", "enum", "variable", "function", "call"))
        if piece is None:
            return generated(unit, found[1])
        before = unit.size()
        unit.seen.discard((found[1], False))
        unit.name(found[1], False, "")
        return unit.size() > before
    found = re.match(r"implicit declaration of function '(\w+)'", error)
    if found:
        name = found[1]
        piece = tree.find(name, ("macro", "function", "call"))
        if piece is not None:
            before = unit.size()
            unit.seen.discard((name, True))
            unit.name(name, True, "")
            return unit.size() > before
        uses = len(re.findall(rf"\b{name}\s*\(", text))
        alone = len(re.findall(rf"(?:^|[;{{}})])\s*{name}\s*\([^;]*\);", text, re.M))
        if uses == alone and name not in unit.void:
            unit.void[name] = None
            return True
    return False


def generated(unit, name):
    """Leave a stub for a function that a template file generates and a context only points to."""
    short = re.match(r"(?:paging64|paging32|ept)_(\w+)", name)
    for path in ("arch/x86/kvm/mmu/paging_tmpl.h", "arch/x86/kvm/paging_tmpl.h"):
        template = unit.tree.bytes(path) or b""
        if short and f"FNAME({short[1]})".encode() in template and name not in unit.values:
            unit.values[name] = None
            return True
    return False


def members_of(unit, tag):
    """Return the members that the unit keeps of a structure, as name: declaration."""
    piece = unit.tags.get(tag)
    if piece is None:
        return {}
    body = unit.body(piece)
    opening = body.index("{")
    members = split_members(body[opening + 1 : balanced(body, opening) - 1])
    return {member_name(member): member for member in members}


def frame(unit, path, root, field):
    """Return the lines that tell the harness about this path, and the harness."""
    lines, regs, home, walker = surroundings(unit, path, root)
    mmu = members_of(unit, "kvm_mmu")
    if field == "root_level":
        level = f"{walker or home}.cpu_role.base.level"
        value = f"{home}.root_level" if "root_level" in mmu else level
    else:
        value = f"{home}.{field}" if field in mmu else f"{home}.root_role.level"
    lines.append(f"#define FIELD ((long)vcpu->arch.{value})")
    lines.append("#define REGISTERS " + " ".join(regs))
    lines.append(f"#define BITS {13 + {'npt': 10, 'ept': 3}.get(path, 0)}")
    lines.append(f"#define L1_BASE {13 if path == 'npt' else -1}")
    return "\n".join(lines) + "\n" + (HERE / "harness.c").read_text()


def surroundings(unit, path, root):
    """Return what is particular to a path: lines, how registers are set, context and walker."""
    arch, mmu = members_of(unit, "kvm_vcpu_arch"), members_of(unit, "kvm_mmu")
    walk = members_of(unit, "kvm_pagewalk")
    box = next((tag for tag in ("vcpu_svm", "vcpu_vmx") if tag in unit.tags), None)
    side = {"npt": "vcpu_svm", "ept": "vcpu_vmx"}.get(path)
    box = side if side in unit.tags else box
    lines = [f"static struct {box} box;" if box else "static struct kvm_vcpu box;"]
    lines.append(f"#define VCPU ({'&box.vcpu' if box else '&box'})")
    pointer = "*" in arch.get("mmu", "*")

    if not pointer:
        home = "nested_mmu" if path == "nested" else "mmu"
    else:
        home = {"npt": "guest_mmu", "ept": "guest_mmu", "nested": "nested_mmu"}.get(
            path, "root_mmu"
        )
    walker = None
    if "gva_walk" in arch and "root_level" not in mmu:
        walker = "ngpa_walk" if path in ("npt", "ept") else "gva_walk"
        if home == "nested_mmu":
            home = "root_mmu"
    role = walker or home

    keys = [
        f"{home}.{name}"
        for name in ("mmu_role", "cpu_role", "root_role", "base_role")
        if name in mmu
    ]
    if walker:
        keys.append(f"{walker}.cpu_role")
    lines.append("#define KEYS(add) " + " ".join(f"add(vcpu->arch.{key})" for key in keys))
    contexts = [
        name
        for name, text in arch.items()
        if re.match(r"struct (kvm_mmu|kvm_pagewalk)\s+\w+$", text)
    ]
    lines.append(
        "#define CONTEXTS(fill) " + " ".join(f"fill(vcpu->arch.{name})" for name in contexts)
    )

    if "gva_to_gpa" in mmu and not walker:
        target = f"{home}.gva_to_gpa"
    elif walker and "gva_to_gpa" in walk:
        target = f"{walker}.gva_to_gpa"
    else:
        target = f"{home}.root_level" if "root_level" in mmu else f"{role}.cpu_role"
    lines.append(
        "#define POISON(vcpu, op) (*(unsigned char *)&(vcpu)->arch." + target + " op 0x40)"
    )

    points = []
    current = "guest_mmu" if path == "nested" else "root_mmu"
    if pointer and "mmu" in arch and current in arch:
        points.append(f"vcpu->arch.mmu = &vcpu->arch.{current};")
    if "walk_mmu" in arch:
        other = "root_mmu" if "root_mmu" in arch else "mmu"
        points.append(
            f"vcpu->arch.walk_mmu = &vcpu->arch.{'nested_mmu' if path == 'nested' else other};"
        )
    if walker and "w" in mmu:
        points.append("vcpu->arch.root_mmu.w = &vcpu->arch.gva_walk;")
        points.append("vcpu->arch.guest_mmu.w = &vcpu->arch.ngpa_walk;")
    if "tdp_enabled" in unit.variables:
        points.append(f"tdp_enabled = {int(path != 'soft')};")
    if "kvm" in unit.tags and "kvm" in members_of(unit, "kvm_vcpu"):
        lines.append("static struct kvm the_kvm;")
        points.append("vcpu->kvm = &the_kvm;")
    declared, early, regs = vendor(unit, box)
    lines += declared
    points += early
    lines.append("#define POINTERS " + " ".join(points))

    if "cr0" in arch:
        regs.append("vcpu->arch.cr0 = cr0_of(s);")
    if "cr4" in arch:
        regs.append("vcpu->arch.cr4 = cr4_of(s);")
    if "efer" in arch:
        regs.append("vcpu->arch.efer = efer_of(s);")
    if "maxphyaddr" in arch:
        regs.append("vcpu->arch.maxphyaddr = HAS(s, WIDE) ? 52 : 46;")
    if "hflags" in arch:
        flags = "".join(
            f" | (HAS(s, {bit}) ? {name} : 0)"
            for bit, name in (("GUEST", "HF_GUEST_MASK"), ("SMM", "HF_SMM_MASK"))
            if name in unit.macros
        )
        regs.append(f"vcpu->arch.hflags = 0{flags};")

    params = unit.functions[root].head
    more = params[params.index("(") + 1 :].count(",")
    lines.append(f"#define ENTRY() {root}(VCPU{', 0' * more})")
    event = f"{EVENT}(VCPU)" if EVENT in unit.functions else "((void)0)"
    lines.append(f"#define CPUID_EVENT() {event}")
    level = unit.variables.get("max_tdp_level")
    lines.append("#define LEVELS(n) " + ("(max_tdp_level = (n))" if level else "((void)(n))"))
    return lines, regs, home, walker


def vendor(unit, box):
    """Return the declarations, the set-up and the loads for L1's registers and its EPT pointer."""
    deep = "".join(unit.body(piece) for piece in unit.tags.values())
    declared, early, regs = [], [], []
    if box == "vcpu_svm" and "vmcb" in unit.tags:
        declared.append("static struct vmcb l1_vmcb, l2_vmcb;")
        if re.search(r"\bhsave\s*;", deep):
            early.append("box.nested.hsave = &l1_vmcb;")
        if re.search(r"\bvmcb01\s*;", deep):
            early.append("box.vmcb01.ptr = &l1_vmcb;")
        if "vmcb" in members_of(unit, "vcpu_svm"):
            early.append("box.vmcb = &l2_vmcb;")
        for name in {"cr0", "cr4", "efer"} & set(members_of(unit, "vmcb_save_area")):
            regs.append(f"l1_vmcb.save.{name} = {name}_of(l1);")
            regs.append(f"l2_vmcb.save.{name} = {name}_of(s);")
    if box == "vcpu_vmx":
        if "vmcs12" in unit.tags and re.search(r"\bcached_vmcs12\s*;", deep):
            declared.append("static struct vmcs12 the_vmcs12;")
            early.append("box.nested.cached_vmcs12 = &the_vmcs12;")
            regs.append("the_vmcs12.ept_pointer = HAS(extra, 0) ? 0x26 : 0x1e;")
            regs.append("the_vmcs12.ept_pointer |= HAS(extra, 2) ? 0x40 : 0;")
        for place in ("msrs.ept_caps", "nested_vmx_ept_caps"):
            if re.search(rf"\b{place.split('.')[-1]}\s*;", deep):
                regs.append(f"box.nested.{place} = HAS(extra, 1) ? ~0u : ~1u;")
    return declared, early, regs


def names(path, bits):
    """Name the inputs behind the bits of a state."""
    table = [*REGISTERS, *OTHERS]
    table += [f"L1 {name}" for name in REGISTERS] if path == "npt" else list(EPT)
    return [name for number, name in enumerate(table) if bits >> number & 1]


def read(printed, path):
    """Turn what the program printed into a verdict."""
    sets, guarded, touched = [], False, False
    for line in printed.splitlines():
        word, *values = line.split()
        if word == "guarded":
            guarded, touched = values[0] == "1", values[1] == "1"
        else:
            diff, one, two, stale, fresh = map(int, values[:5])
            sets.append((diff, one, two, stale, fresh, values[5]))
    if not touched:
        raise Unknown("no state makes the initialiser store anything")
    if not guarded and not sets:
        return {"verdict": "not-guarded", "missing": [], "witness": None}
    if not sets:
        return {"verdict": "covered", "missing": [], "witness": None}
    missing = {name.removeprefix("L1 ") for item in sets for name in names(path, item[0])}
    sets.sort(key=lambda item: (item[0].bit_count(), item[0]))
    _, one, two, stale, fresh, key = sets[0]
    return {
        "verdict": "gap",
        "missing": sorted(missing, key=ORDER.index),
        "witness": {
            "a": names(path, one),
            "b": names(path, two),
            "role": key,
            "values": [stale, fresh],
        },
        "sets": [names(path, item[0]) for item in sets],
    }


def main(arguments):
    """Print one line per path."""
    for path, found in decide(*arguments).items():
        text = ", ".join(found["missing"]) or found.get("reason", "")
        print(f"{path:7} {found['verdict']:12} {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
