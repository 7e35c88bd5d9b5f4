# SPDX-License-Identifier: GPL-2.0-only
"""Cut the code that sets up an MMU out of a kernel tree, as one C file that gcc compiles."""

import re
from pathlib import Path

from .text import NOT_CALLS, balanced, decide, pieces, strip

HERE = Path(__file__).parent
FIRST = (
    "arch/x86/kvm/mmu/mmu.c",
    "arch/x86/kvm/mmu.c",
    "arch/x86/kvm/mmu.h",
    "arch/x86/kvm/mmu/mmu_internal.h",
    "arch/x86/kvm/mmu/spte.h",
    "arch/x86/kvm/x86.h",
    "arch/x86/kvm/kvm_cache_regs.h",
    "arch/x86/kvm/regs.h",
    "arch/x86/kvm/smm.h",
    "arch/x86/kvm/cpuid.h",
    "arch/x86/kvm/vmx/vmx.h",
    "arch/x86/kvm/vmx/vmcs12.h",
    "arch/x86/kvm/vmx/nested.h",
    "arch/x86/kvm/svm/svm.h",
    "arch/x86/include/asm/kvm_host.h",
    "arch/x86/include/asm/vmx.h",
    "arch/x86/include/asm/svm.h",
    "arch/x86/include/asm/msr-index.h",
    "arch/x86/include/uapi/asm/processor-flags.h",
    "include/linux/kvm_host.h",
)
SIDES = {
    "svm": ("arch/x86/kvm/svm/nested.c", "arch/x86/kvm/svm.c", "arch/x86/kvm/svm/svm.c"),
    "vmx": ("arch/x86/kvm/vmx/nested.c", "arch/x86/kvm/vmx.c", "arch/x86/kvm/vmx/vmx.c"),
}
BASIC = (
    *("include/linux/kvm_types.h", "include/uapi/linux/kvm.h", "include/linux/const.h"),
    *("include/uapi/linux/const.h", "include/vdso/const.h", "include/vdso/bits.h"),
    "include/linux/bits.h",
)
LATER = ("arch/x86/kvm", "arch/x86/include/asm", "arch/x86/include/uapi/asm", "include")
WATCHED = "root_level|shadow_root_level|mmu_role|cpu_role|root_role|base_role|root_mmu|guest_mmu"
ALWAYS_MEMBERS = {
    *("arch", "root_mmu", "guest_mmu", "nested_mmu", "walk_mmu", "mmu", "gva_walk", "ngpa_walk"),
    *("root_level", "shadow_root_level", "mmu_role", "cpu_role", "root_role", "base_role"),
    *("cr0", "cr4", "efer", "hflags", "maxphyaddr", "gva_to_gpa", "w", "vcpu", "word", "as_u64"),
    *("hsave", "vmcb01", "ptr", "save", "cached_vmcs12", "ept_pointer", "msrs", "ept_caps"),
    *("vmcb", "nested", "kvm"),
}
CPUID = {"cpuid_query_maxphyaddr", "cpuid_query_maxguestphyaddr"}  # searches of the CPUID table
EMPTY = {"kvm_mmu_reset_context"}  # a full reset would hide what the guard itself does
STUBBED_WORDS = set(
    re.findall(
        r"#define (\w+)|typedef [^;]*?(\w+);",
        "".join((HERE / "include/linux" / name).read_text() for name in ("types.h", "kernel.h")),
    )
)
STUBBED_WORDS = {word for pair in STUBBED_WORDS for word in pair if word}
KEYWORDS = set(
    re.findall(
        r"\w+",
        """auto bool break case char const continue default do double else enum extern float for
        goto if inline int long register return short signed sizeof static struct switch typedef
        union unsigned void volatile while static_call kvm_x86_call kvm_x86_ops""",
    )
)


class Unknown(Exception):
    """The code could not be cut out, so nothing can be said about it."""


class Tree:
    """The definitions of a tree, by name; overlay maps paths to other contents."""

    def __init__(self, top, overlay=None):
        self.top, self.overlay = Path(top), dict(overlay or {})
        self.read_paths, self.index, self.files = set(), {}, {}
        for path in FIRST:
            self.load(path)

    def bytes(self, path):
        """Return the contents of a file, or None."""
        if path in self.overlay:
            return self.overlay[path]
        file = self.top / path
        return file.read_bytes() if file.is_file() else None

    def load(self, path):
        """Read one file into the index; what is read first wins."""
        if path in self.read_paths:
            return False
        self.read_paths.add(path)
        data = self.bytes(path)
        if data is None:
            return False
        text = data.decode("utf-8", "replace").replace("\r\n", "\n")
        text = decide(strip(text))
        self.files[path] = text
        macros = {}
        for piece in pieces(text, path):
            if piece.kind == "call":
                for made in self.expand(piece, macros):
                    self.index.setdefault(made, []).append(piece)
                continue
            if piece.kind == "macro":
                macros.setdefault(piece.name, piece)
            if piece.kind == "variable" and piece.text.startswith("extern"):
                self.index.setdefault(piece.name, []).append(piece)
            else:
                known = self.index.setdefault(piece.name, [])
                weak = [old for old in known if old.text.startswith("extern")]
                if weak and piece.kind == "variable":
                    known.insert(known.index(weak[0]), piece)
                else:
                    known.append(piece)
        return True

    def expand(self, call, macros):
        """Return the names of the functions that a top-level macro call defines."""
        macro = macros.get(call.name) or next(
            (piece for piece in self.index.get(call.name, []) if piece.kind == "macro"), None
        )
        if macro is None or "{" not in macro.text:
            return []
        found = re.match(r"#\s*define\s+\w+\(([^)]*)\)", macro.text)
        if not found:
            return []
        names = [name.strip() for name in found[1].split(",")]
        values = [value.strip() for value in call.text[call.text.index("(") + 1 : -1].split(",")]
        bound = dict(zip(names, values, strict=False))
        body = macro.text[found.end() :].replace("\\\n", "\n")
        body = re.sub(r"\b\w+\b", lambda word: bound.get(word[0], word[0]), body)
        body = re.sub(r"\s*##\s*", "", body)
        return [
            name
            for head in re.findall(r"([^{};]*)\{", body)
            for name in re.findall(r"(\w+)\s*\(", head)
            if name not in NOT_CALLS
        ][:9]

    def get(self, name, kinds=None):
        """Return the first definition of a name, or None."""
        for piece in self.index.get(name, []):
            if kinds is None or piece.kind in kinds:
                return piece
        return None

    def find(self, name, kinds=None):
        """Return a definition, looking through the rest of KVM when it is not at hand."""
        piece = self.get(name, kinds)
        if piece is not None:
            return piece
        word = re.compile(rb"\b%s\b" % name.encode())
        for folder in LATER:
            files = sorted((self.top / folder).rglob("*.[ch]")) if folder.startswith("arch") else []
            if folder == "arch/x86/include/asm":
                files = [file for file in files if file.parent.name == "asm"]
            if folder == "include":
                files = [self.top / name for name in BASIC]
            files = [file for file in files if file.is_file()]
            files.sort(key=lambda file: (file.suffix != ".h", "svm" in file.parts, file))
            for file in files:
                path = str(file.relative_to(self.top))
                if path in self.read_paths or not word.search(file.read_bytes()):
                    continue
                self.load(path)
                piece = self.get(name, kinds)
                if piece is not None:
                    return piece
        return None


def words(text):
    """Split a text into (identifier, what comes before, what comes behind)."""
    for found in re.finditer(r"\b[A-Za-z_]\w*\b", text):
        before = text[: found.start()].rstrip()[-2:]
        behind = text[found.end() : found.end() + 40].lstrip()[:1]
        yield found[0], before, behind


class Unit:
    """The code of one entry function with all it needs."""

    def __init__(self, tree, roots, watched=WATCHED, answers=None):
        self.tree, self.watched = tree, watched
        self.answers = dict.fromkeys(CPUID, "oracle_wide ? 52 : 46") if answers is None else answers
        self.macros, self.enums, self.functions, self.variables, self.calls = {}, {}, {}, {}, {}
        self.tags, self.typedefs, self.void, self.values, self.ops = {}, {}, {}, {}, set()
        self.members = set(ALWAYS_MEMBERS)
        self.unresolved, self.relevant, self.text_of = {}, {}, {}
        self.seen, self.dropped = set(), set()
        for root in roots:
            piece = tree.find(root, ("function",))
            if piece is None:
                raise Unknown(f"{root}() is not defined")
            self.add(piece)
        for tag in ("kvm_vcpu", "kvm_vcpu_arch", "kvm_mmu"):
            self.tag(tag)

    def size(self):
        """Return how much was taken in, to see whether anything was added."""
        tables = (self.macros, self.enums, self.functions, self.variables, self.calls, self.tags)
        return sum(map(len, (*tables, self.typedefs, self.void, self.values, self.members)))

    def add(self, piece):
        """Add a function and whatever it names."""
        if piece.name in self.functions:
            return
        text = re.sub(r"\bkvm_x86_ops\s*(?:->|\.)\s*(\w+)", r"op_\1", piece.text)
        self.ops |= set(re.findall(r"\bop_(\w+)", text)) if "kvm_x86_ops" in piece.text else set()
        self.functions[piece.name] = piece
        self.text_of[piece.name] = text
        self.scan(text)

    def scan(self, text):
        """Follow every identifier of a text."""
        local = set(re.findall(r"\b(?!return\b|else\b|goto\b)\w+\s+\*?(\w+)\s*(?:=|;|,|\))", text))
        before_word = ""
        for word, before, behind in words(text):
            previous, before_word = before_word, word
            if before.endswith(".") or before == "->":
                self.members.add(word)
                continue
            if word in KEYWORDS or word in STUBBED_WORDS:
                continue
            if previous in ("struct", "union") and behind != "=":
                self.tag(word)
                continue
            if word in local and behind != "(" and self.tree.get(word, ("macro", "enum")) is None:
                continue
            self.name(word, behind == "(", text)

    def name(self, word, called, text):
        """Add whatever an identifier stands for."""
        key = (word, called)
        if key in self.seen or word.startswith("op_"):
            return
        self.seen.add(key)
        kinds = ("macro", "enum", "function", "call", "variable")
        piece = self.tree.get(word, kinds)
        if piece is None:
            return
        if piece.kind == "macro":
            if word not in self.macros:
                self.macros[word] = piece
                self.scan(piece.text.split(word, 1)[1])
        elif piece.kind == "enum":
            if piece.text not in self.enums:
                self.enums[piece.text] = piece
                self.scan(piece.text[piece.text.index("{") :])
        elif piece.kind == "call":
            if (piece.path, piece.line) not in self.calls:
                self.calls[(piece.path, piece.line)] = piece
                self.macros.setdefault(piece.name, self.tree.find(piece.name, ("macro",)))
                self.scan(self.macros[piece.name].text.replace("##", "@@"))
                self.scan(piece.text)
        elif piece.kind == "function":
            self.function(piece, called)
        elif piece.kind == "variable" and word not in self.variables:
            self.variables[word] = piece
            self.scan(piece.text)

    def function(self, piece, called):
        """Take a function if its result or its stores can matter, else leave a stub."""
        if piece.name in self.functions:
            return
        if piece.name in EMPTY or piece.name in self.answers:
            self.void[piece.name] = piece
        elif not called:
            self.values[piece.name] = piece
        elif re.search(r"\bvoid\s+\w+\s*\($", piece.head[: piece.head.index("(") + 1]):
            if self.matters(piece.name):
                self.values.pop(piece.name, None)
                self.add(piece)
            else:
                self.void[piece.name] = piece
        else:
            self.values.pop(piece.name, None)
            self.add(piece)

    def matters(self, name, trail=()):
        """Whether a function without a result stores into what is watched."""
        if name in self.relevant:
            return self.relevant[name]
        piece = self.tree.get(name, ("function",))
        if piece is None or name in EMPTY or name in trail or len(trail) > 6:
            return False
        body = piece.text[len(piece.head) :]
        store = rf"(?:->|\.)\s*(?:{self.watched})\b[\w.\s\[\]]*(?:[-+|&^]|<<|>>)?=[^=]"
        found = bool(re.search(store, body)) or any(
            self.matters(callee, (*trail, name))
            for callee in set(re.findall(r"\b(\w+)\s*\(", body)) - NOT_CALLS - {name}
        )
        self.relevant[name] = found
        return found

    def tag(self, name, far=False):
        """Ask for a struct or a union, in the whole of KVM when it is needed by value."""
        if name in self.tags:
            return
        piece = (self.tree.find if far else self.tree.get)(name, ("tag",))
        if piece is not None:
            self.tags[name] = piece
            if re.match(r"\s*union", piece.text) or len(piece.text) < 400:
                self.scan(piece.text[piece.text.index("{") :])

    def layout(self):
        """Return the definitions of the structures, each with the members in use only."""
        while True:
            before = (len(self.tags), len(self.members), len(self.macros), len(self.enums))
            made = {}
            for name, piece in list(self.tags.items()):
                made[name] = self.body(piece)
                for used in re.findall(
                    r"\b(?:struct|union)\s+(\w+)\s+\w", made[name].split("{", 1)[1]
                ):
                    self.tag(used, far=True)
                self.scan(made[name][made[name].index("{") :])
            if before == (len(self.tags), len(self.members), len(self.macros), len(self.enums)):
                break
        order, state = [], {}

        def visit(name):
            if state.get(name):
                return
            state[name] = 1
            for used, stars in re.findall(
                r"\b(?:struct|union)\s+(\w+)\s*([*]*)\s*\w", made[name].split("{", 1)[1]
            ):
                if used in made and not stars:
                    visit(used)
            order.append(name)

        for name in made:
            visit(name)
        forward = "".join(f"{made[name].split()[0]} {name};\n" for name in order)
        return forward + "\n".join(made[name] for name in order) + "\n"

    def body(self, piece):
        """Return one structure with the members in use."""
        opening = piece.text.index("{")
        closing = balanced(piece.text, opening) - 1
        head = f"{piece.text.split()[0]} {piece.name}"
        inner = piece.text[opening + 1 : closing]
        if head.startswith("union") or len(split_members(inner)) <= 6:
            kept = [
                pointer(member)
                for member in split_members(inner)
                if member_name(member) not in self.dropped
            ]
            return f"{head} {{ {'; '.join(kept)}; }};"
        return f"{head} {{ {self.members_of(inner)} }};"

    def members_of(self, inner):
        """Return the declarations of the members in use, those of nested structures too."""
        kept = []
        for member in split_members(inner):
            nested = re.match(r"(struct|union)\s*(\w*)\s*\{", member)
            if nested:
                opening = member.index("{")
                closing = balanced(member, opening) - 1
                name = member[closing + 1 :].strip()
                if ":" in member:
                    if not name or set(re.findall(r"\w+", name)) & self.members:
                        kept.append(member)
                elif not name or set(re.findall(r"\w+", name)) & self.members:
                    used = self.members_of(member[opening + 1 : closing])
                    kept.append(f"{nested[1]} {nested[2]} {{ {used} }} {name}")
                continue
            name = member_name(member)
            if name in self.members and name not in self.dropped:
                kept.append(pointer(member))
        return " ".join(f"{member};" for member in kept)

    def source(self):
        """Return the whole unit as C."""
        structures = self.layout()
        out = ["#include <linux/types.h>", "#include <linux/kernel.h>"]
        out += ["#define static_call(name) op_none", "#define kvm_x86_call(name) op_none"]
        out += ["static long op_none() { return 0; }"]
        out += [piece.text for piece in self.macros.values() if piece]
        out += [re.sub(r"\s*;?\s*$", ";", piece.text) for piece in self.enums.values()]
        out += [structures]
        known = {*self.macros, *self.functions, *self.variables}
        for name in sorted({*self.void, *self.values} - known):
            result = self.answers.get(name, "0")
            out.append(f"static long {name}() {{ return {result}; }}")
        for name in sorted(self.ops):
            out.append(f"static long op_{name}() {op_body(name)}")
        for piece in self.typedefs.values():
            out.insert(2, piece)
        for piece in self.variables.values():
            out.append(re.sub(r"^\s*extern\b", "", piece.text))
        out += [piece.text for piece in self.calls.values()]
        made = [re.sub(r"^(?!static)", "static ", self.text_of[name]) for name in self.functions]
        out += [text[: head_length(text)] + ";" for text in made]
        out += made
        return "\n".join(out) + "\n"


def head_length(text):
    """Return where the body of a function begins."""
    position = text.index("(")
    while True:
        position = balanced(text, position)
        following = re.compile(r"\s*[({]").match(text, position)
        if not following or following.group().endswith("{"):
            return position
        position = following.end() - 1


def op_body(name):
    """Return what a vendor callback answers: a level that follows MAXPHYADDR, or nothing."""
    if name == "get_tdp_level":
        return "{ return oracle_wide ? 5 : 4; }"
    return "{ return 0; }"


def split_members(inner):
    """Split the inside of a structure at its own semicolons."""
    out, depth, start = [], 0, 0
    for position, letter in enumerate(inner):
        if letter in "({[":
            depth += 1
        elif letter in ")}]":
            depth -= 1
        elif letter == ";" and not depth:
            out.append(inner[start:position].strip())
            start = position + 1
    return [member for member in out if member and not member.startswith("#")]


def member_name(member):
    """Return the name that a member declaration gives."""
    function = re.search(r"\(\s*\*\s*(\w+)\s*\)", member)
    if function:
        return function[1]
    bitmap = re.match(r"DECLARE_\w+\(\s*(\w+)", member)
    if bitmap:
        return bitmap[1]
    found = re.search(r"(\w+)\s*(?:\[[^]]*\]\s*)*(?::\s*\d+\s*)?$", member)
    return found[1] if found else ""


def pointer(member):
    """Write a function pointer as a plain one; its type plays no part."""
    function = re.search(r"\(\s*\*\s*(\w+)\s*\)\s*\(", member)
    return f"void *{function[1]}" if function else member
