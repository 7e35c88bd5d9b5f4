# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that are edited: what can be changed in them, and the marks where a store can go.

The marks are patterns, so that they fit a miniature and a real kernel of the same era alike.
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from edited import Files, fixture

from patchtool.rules.stale_mmu_role import LEVELS

HOST = "arch/x86/include/asm/kvm_host.h"
LINUX = "include/linux/kvm_host.h"
JUNK = "(3 + (vcpu->arch.hflags >> 30 & 1))"
JUNK_LMA = "(vcpu->arch.hflags >> 30 & 1 ? EFER_LMA : 0)"
"""Bit 30 of hflags has no meaning in any kernel; some of the lower bits are in the role."""


class Target(NamedTuple):
    """An object that a store can hit.

    ``pointer`` leads to its record inside the set-up, ``above`` in the caller of it and
    ``reach`` wherever there is a vCPU ("" where nothing does).  ``path`` leads on to the
    member and ``word`` to what has an address, of type ``type``.  ``value`` is stored, and
    ``model`` tells what that means; ``part`` is the object of the model.
    """

    name: str
    part: str
    record: str
    pointer: str
    above: str
    reach: str
    path: str
    word: str
    type: str
    value: str
    model: str
    mask: int | None = None
    shift: int = 0
    private: bool = False
    late: bool = False


class Base(NamedTuple):
    """A kernel in which nothing is stale; ``model`` is how its role and field come about.

    ``field`` is what a compiled vCPU is asked for, ``init`` and ``entry`` how one is made and
    set up, ``share`` how often it is drawn: a large kernel costs ten times a small one.
    ``fields`` are those that are checked.
    """

    name: str
    model: str
    files: object
    main: str
    header: str
    setup: str
    targets: tuple
    field: str
    init: str = ""
    entry: str = "kvm_init_mmu(vcpu)"
    share: int = 1
    real: Path | None = None
    fields: tuple = LEVELS


ROLE = r"^\tunion \w+ (?:new_role|root_role) =\s[^;]*;\n"
GUARD = r"^\tif \([^;{]*\b(?:as_u64|word)\b[^;{]*\)\n\t\treturn;\n"
STORES_FIELD = (
    r"^\tcontext->(?:root_level|devil_walk\S*) = role[^;]*;\n(?!\tcontext->devil)"
    r"|^\tcontext->root_level = devil[^;]*;\n|^\tif \(!is_paging\(vcpu\)\)\n\t\tcontext->root_level"
)
CALL = r"^\t(?:if \(|init_kvm_tdp_mmu)"


def edit(text, old, new):
    """Replace what occurs once."""
    assert text.count(old) == 1, (text.count(old), old)
    return text.replace(old, new)


class Overlay(Files):
    """A tree on disk with other contents for some files."""

    def __init__(self, top, files=None):
        super().__init__(dict(files or {}))
        self.top = Path(top)

    def read(self, path):
        """Return the bytes of a file, None where there is none."""
        if path in self.files:
            return self.files[path]
        return _read(self.top / path)

    def walk(self, folder):
        """Return the files below a folder."""
        mine = [p for p in self.files if p.startswith(f"{folder}/")]
        return tuple(sorted({*_walk(self.top, folder), *mine}))


@cache
def _read(path):
    return path.read_bytes() if path.is_file() else None


@cache
def _walk(top, folder):
    return tuple(str(p.relative_to(top)) for p in (top / folder).rglob("*") if p.is_file())


def miniature(name):
    """Return the files of a fixture, with what forms need of a vCPU."""
    files = {path: data.decode() for path, data in fixture(name).items()}
    files[LINUX] = edit(
        files[LINUX],
        "\tstruct kvm_vcpu_arch arch;\n",
        "\tstruct kvm_vcpu_arch arch;\n\tunsigned long requests;\n\tstruct kvm *kvm;\n"
        "\tstruct mutex *devil;\n",
    )
    before, last, behind = files[LINUX].rpartition("#endif")
    files[LINUX] = f"{before}{REQUESTS}{last}{behind}"
    files[HOST] = edit(files[HOST], "\tu32 hflags;\n", "\tu32 hflags;\n\tu8 devil_scratch;\n")
    for path, text in files.items():
        if path.endswith("mmu.c"):
            text = text.replace("\tconst unsigned long", "\tunsigned long")
            files[path] = text.replace("\tconst u64 efer;", "\tu64 efer;")
    return files


def lma(shift):
    """The bit of a role that carries EFER.LMA: where it is."""
    return {"path": "ext.efer_lma", "word": "ext.word", "type": "u32", "mask": 1, "shift": shift}


def targets(names, union="union kvm_mmu_role", local="new_role", stored="mmu_role", bit=None,
            context="context", root="&vcpu->arch.root_mmu"):  # fmt: skip
    """Return the targets of some names, as one era spells them."""
    of_root = f"{root}->{stored}" if not root.startswith("&") else f"{root}.{stored}"
    of_root = of_root if of_root.startswith("&") else f"&{of_root}"
    now = "!!(vcpu->arch.efer & EFER_LMA)"
    local_role = (union, f"&{local}", "", "")
    stored_role = (union, f"&{context}->{stored}", of_root, of_root)
    known = (
        Target("local role", "role", *local_role, **bit, value="0", model="zero", late=True),
        Target("stored role", "stored", *stored_role, **bit, value="0", model="zero"),
        Target("stored role, up to date", "stored", *stored_role, **bit, value=now, model="now"),
        Target("field", "field", "struct kvm_mmu", context, root, root, "root_level",
               "root_level", "u8", JUNK, "junk"),
        Target("registers", "regs", "struct kvm_mmu_role_regs", "&regs", "", "", "efer", "efer",
               "u64", JUNK_LMA, "bit", private=True),
        Target("input", "efer", "struct kvm_vcpu_arch", "&vcpu->arch", "&vcpu->arch",
               "&vcpu->arch", "efer", "efer", "u64", JUNK_LMA, "bit"),
        Target("host constant", "host", "struct devil_host", "&devil_host", "&devil_host",
               "&devil_host", "level", "level", "int", JUNK, "junk"),
        Target("another member", "", "struct kvm_vcpu_arch", "&vcpu->arch", "&vcpu->arch",
               "&vcpu->arch", "devil_scratch", "devil_scratch", "u8", JUNK, "junk"),
        Target("copy of the role", "", union, "&devil_copy", "", "", **bit, value="0",
               model="zero", late=True),
    )  # fmt: skip
    return tuple(one for one in known if one.name in names)


CPU_LEVEL = {"path": "base.level", "word": "base.word", "type": "u32", "mask": 15}
CPU_ROLE = (
    Target("local role", "role", "union kvm_cpu_role", "&cpu_role", "&cpu_role", "",
           **CPU_LEVEL, value=JUNK, model="junk", late=True),
    Target("stored role", "stored", "union kvm_cpu_role", "&context->cpu_role",
           "&vcpu->arch.root_mmu.cpu_role", "&vcpu->arch.root_mmu.cpu_role",
           **CPU_LEVEL, value=JUNK, model="junk"),
    Target("context", "stored", "struct kvm_mmu", "context", "&vcpu->arch.root_mmu",
           "&vcpu->arch.root_mmu", "cpu_role.base.level", "cpu_role.base.word", "u32", JUNK,
           "junk", mask=15),
    Target("input", "efer", "struct kvm_vcpu_arch", "&vcpu->arch", "&vcpu->arch",
           "&vcpu->arch", "efer", "efer", "u64", JUNK_LMA, "bit"),
)  # fmt: skip
ALL = ("local role", "stored role", "stored role, up to date", "field", "registers", "input",
       "another member", "copy of the role")  # fmt: skip
NOT_REGS = tuple(name for name in ALL if name != "registers")
REREAD = (
    "static int devil_level(struct kvm_vcpu *vcpu)\n{\n"
    "\tstruct kvm_mmu_role_regs regs = vcpu_to_role_regs(vcpu);\n\n"
    "\treturn role_regs_to_root_level(&regs);\n}\n\n"
)
DEVIL_HOST = "struct devil_host {\n\tint level;\n};\n\nextern struct devil_host devil_host;\n\n"

REQUESTS = """#define KVM_REQ_EVENT 6

static inline void kvm_make_request(int req, struct kvm_vcpu *vcpu)
{
	set_bit(req, &vcpu->requests);
}

static inline bool kvm_check_request(int req, struct kvm_vcpu *vcpu)
{
	if (!test_bit(req, &vcpu->requests))
		return false;

	clear_bit(req, &vcpu->requests);
	return true;
}

"""


ROOT = "&vcpu->arch.root_mmu"


def further(files, main, member, path, field):
    """Return a base with another field that the set-up stores, and the stores to it."""
    changed = dict(files)
    changed[HOST] = edit(changed[HOST], "\tu8 root_level;\n", f"\tu8 root_level;\n\t{member}\n")
    store = field.replace("root_level =", f"{path} =")
    changed[main] = edit(changed[main], field, field + store)
    one = Target("further field", "field", "struct kvm_mmu", "context", ROOT, ROOT, path, path,
                 "u8", JUNK, "junk")  # fmt: skip
    return changed, (one,), f"arch.root_mmu.{path}"


@cache
def bases():
    """Return the small bases, the smallest first."""
    main, header = "arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/mmu.h"
    setup = "static void init_kvm_tdp_mmu("
    field = "\tcontext->root_level = role_regs_to_root_level(&regs);\n"
    plain = miniature("guard-swapped-fixed")
    reread = dict(plain)
    reread[main] = edit(reread[main], field, "\tcontext->root_level = devil_level(vcpu);\n")
    reread[main] = edit(reread[main], setup, REREAD + setup)
    host = dict(plain)
    host[header] = edit(host[header], "void kvm_init_mmu(", f"{DEVIL_HOST}void kvm_init_mmu(")
    host[main] = edit(host[main], field, field.replace("= ", "= devil_host.level ?: "))
    host[main] = edit(
        host[main],
        "struct kvm_mmu_role_regs {",
        "struct devil_host devil_host __read_mostly;\n\nstruct kvm_mmu_role_regs {",
    )
    flat = further(plain, main, "u8 devil_walk;", "devil_walk", field)
    record = "struct {\n\t\tu8 depth[2];\n\t} devil_walk;"
    deep = further(plain, main, record, "devil_walk.depth[1]", field)
    level = "arch.root_mmu.root_level"
    small = (main, header, setup)
    old = ("arch/x86/kvm/mmu.c", header, setup)
    pointers = (
        "tdp_enabled = 1; vcpu->arch.mmu = &vcpu->arch.root_mmu; "
        "vcpu->arch.walk_mmu = &vcpu->arch.root_mmu;"
    )
    return (
        Base("registers once", "once", plain, *small, targets(ALL, bit=lma(4)), level, share=20),
        Base("registers twice", "twice", reread, *small,
             targets(("input", "registers"), bit=lma(4)), level, share=8),
        Base("host constant", "host", host, *small,
             targets(("host constant",), bit=lma(4)), level, share=6),
        Base("word", "old", miniature("masked-word-fixed"), *old,
             targets(NOT_REGS, bit=lma(5), root="vcpu->arch.mmu"), level, pointers,
             "kvm_init_mmu(vcpu, 0)", share=3),
        Base("registers, five contexts", "once", miniature("role-regs-fixed"), *small,
             targets(ALL, bit=lma(6)), level,
             f"{pointers} kvm_configure_mmu(1, 5, 0); vcpu->arch.maxphyaddr = 52;"),
        Base("further field", "once", flat[0], *small, flat[1], flat[2], share=6,
             fields=("all",)),
        Base("element of a record", "once", deep[0], *small, deep[1], deep[2], share=6,
             fields=("all",)),
        Base("cpu_role", "cpu", miniature("cpu-role-fixed"), *small, CPU_ROLE,
             "arch.root_mmu.cpu_role.base.level",
             f"{pointers} kvm_configure_mmu(1, 5); vcpu->arch.maxphyaddr = 52;"),
    )  # fmt: skip


@cache
def kernel(top):
    """Return a real tree as a base.  What is asked for is its text at hand, and no other."""
    top = Path(top)
    main, header = "arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/mmu.h"
    paths = (main, header, HOST, LINUX)
    files = {path: (top / path).read_text(errors="surrogateescape") for path in paths}
    rest = (main, header, "static void init_kvm_tdp_mmu(")
    if "union kvm_cpu_role" in files[HOST]:
        return Base(top.name, "cpu", files, *rest, CPU_ROLE, "", real=top)
    found = re.search(r"union kvm_mmu_extended_role \{.*?struct \{(.*?)\};", files[HOST], re.S)
    names = re.findall(r"unsigned int (\w+):1", found[1])
    known = targets(NOT_REGS[:4], bit=lma(names.index("efer_lma")))
    return Base(top.name, "once", files, *rest, known, "", real=top)
