# SPDX-License-Identifier: GPL-2.0-only
"""Put a store into a kernel: where its text stands, when it runs, what is around it."""

import re
from string import Template
from typing import NamedTuple

from . import bases as b
from .bases import Base, Overlay, Target, edit
from .forms import Form

FAR = "arch/x86/kvm/devil.c"
VENDOR = "arch/x86/kvm/vmx/devil.c"
INSIDE = (
    *("before the role", "before the guard", "where it skips", "behind the guard"),
    *("before the field", "at the end"),
)
CALLER = ("before the call", "behind the call")
TIMES = (*INSIDE, *CALLER, "outside")
PLACES = (
    *("here", "helper", "helper's helper", "other file", "header", "macro", "local callback"),
    *("callback table", "vendor hook", "static call"),
)
AGAIN = "entry that sets up again"
ENTRIES = ("entry", "entry of another file", "entry of a hook", AGAIN, "entry through a helper")
OPTIONS = (
    *("plain", "#ifdef", "#else", "IS_ENABLED()", "two definitions", "two definitions, #else"),
    *("two headers", "two headers, #else", "#if 0"),
)


class Combination(NamedTuple):
    """One edit: what is changed, how, where, when and under which option."""

    base: Base
    target: Target
    form: Form
    place: str
    time: str
    option: str

    def __str__(self):
        return " / ".join(
            (self.base.name, self.target.name, self.form.name, self.place, self.time, self.option)
        )


def fits(one):
    """Tell whether a combination is C and means something."""
    base, target, form, place, time, option = one
    bit = target.mask == 1 and target.model == "zero"
    kinds = {
        "": True,
        "bit": bit,
        "scalar": target.mask is None,
        "byte": target.type == "u8",
        "u32": target.type == "u32" and target.mask is not None,
        "u64": target.type == "u64",
        "int": target.type == "int",
        "narrow": target.type != "u64",
    }
    if not kinds[form.only] or (time == "outside") != (place in ENTRIES):
        return False
    if (time == "outside" and not target.reach) or (time in CALLER and not target.above):
        return False
    if time == "before the role" and (target.late or base.model == "cpu"):
        return False
    if time == "before the field" and base.model == "cpu":
        return False
    if target.private and place in ("other file", "header", "vendor hook", "static call"):
        return False
    if place == "macro" and ("$L" in form.above or "jump" in form.name or "#" in form.text):
        return False
    if place == "macro" and form.name in ("nested function", "behind a label"):
        return False
    return not (option.startswith("two ") and place in ("here", "local callback"))


# -- the store -----------------------------------------------------------------------------


def fill(text, target, pointer):
    """Write a form for a target that a pointer leads to."""
    plain = re.fullmatch(r"&(\w[\w.>-]*)", pointer)
    record, dot = (plain[1], f"{plain[1]}.") if plain else (f"(*{pointer})", f"{pointer}->")
    member, word = dot + target.path, dot + target.word
    new = target.value
    if target.mask is not None:
        kept = f"{word} & ~{target.mask << target.shift}u"
        value = f"({new}) << {target.shift}" if target.shift else f"({new})"
        new = f"({kept})" if new == "0" else f"(({kept}) | ({value}))"
    first, last = target.path.rpartition(".")[::2]
    return Template(text).safe_substitute(
        L=member, V=target.value, W=word, N=new, T=target.type, O=record, R=target.record,
        A=pointer, M=target.word, P=target.path, B=target.shift, U="_0", X=last[:2], Y=last[2:],
        Q=f"{first}." if first else "", LS=f"{member[:-2]}\\\n{member[-2:]}",
        LC=f"{dot}/* ; = */{target.path}", LB=f"{dot} {target.path}\n",
    )  # fmt: skip


def indent(text, tabs=1):
    """Put tabs in front of every line, but of directives and of the rest of a spliced word."""
    out, spliced = [], False
    for line in f"{text.rstrip()}\n".splitlines(keepends=True):
        bare = line.startswith("#") or line == "\n" or spliced
        out.append(line if bare else "\t" * tabs + line)
        spliced = line.endswith("\\\n")
    return "".join(out)


def under(option, text, tabs):
    """Put an option around statements."""
    text = indent(text, tabs)
    pad = "\t" * tabs
    return {
        "#ifdef": f"#ifdef CONFIG_KVM_DEVIL\n{text}#endif\n",
        "#else": f"#ifdef CONFIG_KVM_OTHER\n{pad};\n#else\n{text}#endif\n",
        "IS_ENABLED()": f"{pad}if (IS_ENABLED(CONFIG_KVM_DEVIL)) {{\n{indent(text)}{pad}}}\n",
        "#if 0": f"#if 0\n{text}#endif\n",
    }.get(option, text)


def apart(name, text):
    """Mark a definition that a header of its own is to hold."""
    return f"\1devil_{name}.h\n{text}\2"


def chosen(option, store, idle):
    """Let an option choose between two definitions."""
    return {
        "two definitions": f"#ifdef CONFIG_KVM_DEVIL\n{store}#else\n{idle}#endif\n",
        "two definitions, #else": f"#ifdef CONFIG_KVM_OTHER\n{idle}#else\n{store}#endif\n",
        "two headers": (
            f"#ifdef CONFIG_KVM_DEVIL\n{apart('a', store)}#else\n{apart('b', idle)}#endif\n"
        ),
        "two headers, #else": (
            f"#ifdef CONFIG_KVM_OTHER\n{apart('a', idle)}#else\n{apart('b', store)}#endif\n"
        ),
    }.get(option, store)


def function(head, body, option):
    """Write a function, or two of which an option chooses."""
    store = f"{head}\n{{\n{under(option, body, 1)}}}\n"
    return chosen(option, store, f"{head}\n{{\n}}\n") + "\n"


def macro(body, option):
    """Write a macro of statements."""
    text = f"{{\n{under(option if option == 'IS_ENABLED()' else 'plain', body, 1)}}}"
    # A line that is spliced already has its next one begin at once, in the midst of a word.
    text = re.sub(r"(?<!\\)\n", " \\\n", text)
    store = f"#define DEVIL(vcpu, devil_o) do {text} while (0)\n"
    idle = "#define DEVIL(vcpu, devil_o) do { } while (0)\n"
    same = {"#ifdef": "two definitions", "#else": "two definitions, #else"}
    if option == "#if 0":
        return f"#if 0\n{store}#else\n{idle}#endif\n\n"
    return chosen(same.get(option, option), store, idle) + "\n"


def weave(one):
    """Return the tree of a combination, as something to read files from."""
    base, target, form, place, time, option = one
    files = dict(base.files)
    far = pointer = target.pointer
    if time in CALLER:
        pointer = far = target.above
    elif time == "outside":
        pointer = far = target.reach
    head = f"void devil(struct kvm_vcpu *vcpu, {target.record} *devil_o)"
    inside = "(devil_o)" if place == "macro" else "devil_o"
    here = place in ("here", *ENTRIES[:4])
    above = fill(form.above, target, pointer if here else inside)
    above = f"{above}\n\n" if above else ""
    body = fill(form.text, target, pointer if here else inside)
    own = static(function(head, body, option))
    call, mine, around = f"devil(vcpu, {far});", above, "plain"
    if place == "here":
        call, around = "{\n" + indent(body) + "}", option
    elif place == "macro":
        mine += macro(body, option)
        call = f"DEVIL(vcpu, {far});"
    elif place == "helper":
        mine += own
    elif place == "helper's helper":
        mine += own + static(function(head.replace("devil(", "devil_above("),
                                      "devil(vcpu, devil_o);", "plain"))  # fmt: skip
        call = f"devil_above(vcpu, {far});"
    elif place == "local callback":
        mine, around = mine + own, option
        call = (
            f"void (*devil_f)(struct kvm_vcpu *, {target.record} *) = devil;\n\n"
            f"devil_f(vcpu, {far});"
        )
        call = "{\n" + indent(call) + "}"
        mine = above + static(function(head, body, "plain"))
    elif place == "callback table":
        mine += own + (
            f"static void (*const devil_table[])(struct kvm_vcpu *, {target.record} *) = {{\n"
            "\tdevil,\n};\n\n"
        )
        call = f"devil_table[0](vcpu, {far});"
    elif place == "header":
        mine = ""
        inline = own.replace("static void devil(", "static inline void devil(")
        close(files, base.header, above + inline)
    elif place == "other file":
        mine = ""
        close(files, base.header, f"{head};\n\n")
        files[FAR] = far_file(above + function(head, body, option))
    elif place in ("vendor hook", "static call"):
        mine = ""
        hook(files, base, above + own, f"void (*devil)(struct kvm_vcpu *vcpu, {target.record} *o)")
        name = "kvm_x86_ops.devil" if place == "vendor hook" else "static_call(kvm_x86_devil)"
        call = f"{name}(vcpu, {far});"
    else:
        entry(files, one, above, body, own, call)
        return tree(base, files)
    insert(files, one, mine, call, around)
    return tree(base, files)


def tree(base, files):
    """Make a source of files, in memory or over the tree on disk."""
    for path, text in [*files.items()]:
        folder = path.rpartition("/")[0]
        for name, own in re.findall(r"\x01(.*?)\n(.*?)\x02", text, re.S):
            files[f"{folder}/{name}"] = own
        files[path] = re.sub(r"\x01(.*?)\n.*?\x02", r'#include "\1"\n', text, flags=re.S)
    data = {p: t.encode(errors="surrogateescape") for p, t in files.items()}
    return Overlay(base.real, data) if base.real else b.Files(data)


def static(text):
    """Make the functions of a text static."""
    return re.sub(r"^void devil", "static void devil", text, flags=re.M)


def far_file(text):
    """Make a file of KVM of its own out of functions."""
    return f'// SPDX-License-Identifier: GPL-2.0-only\n#include "mmu.h"\n\n{text}'


def close(files, path, text):
    """Put definitions in front of the last #endif of a header."""
    before, last, behind = files[path].rpartition("#endif")
    files[path] = f"{before}{text}{last}{behind}"


def hook(files, base, text, member):
    """Give the vendor module a function that a hook leads to."""
    if base.real:
        start = "struct kvm_x86_ops {\n"
        files[b.HOST] = edit(files[b.HOST], start, f"{start}\t{member};\n")
        extern = ""
    else:
        extern = (
            f"struct kvm_x86_ops {{\n\t{member};\n}};\n\nextern struct kvm_x86_ops kvm_x86_ops;\n\n"
        )
        close(files, b.HOST, extern)
    name = "vmx_devil_ops" if base.real else "kvm_x86_ops"
    files[VENDOR] = (
        '// SPDX-License-Identifier: GPL-2.0-only\n#include "../mmu.h"\n\n'
        + text.replace("void devil(", "void vmx_devil(")
        + f"struct kvm_x86_ops {name} = {{\n\t.devil = vmx_devil,\n}};\n"
    )


def entry(files, one, above, body, own, call):
    """Put the store into a function that no set-up calls."""
    base, place = one.base, one.place
    head = "void devil_entry(struct kvm_vcpu *vcpu)"
    text = above + function(head, body, one.option)
    if place == AGAIN:
        text = above + function(head, f"{{\n{indent(body)}}}\n{base.entry};", one.option)
    if place == "entry through a helper":
        text = above + own + f"void devil_entry(struct kvm_vcpu *vcpu)\n{{\n\t{call}\n}}\n"
    if place == "entry of another file":
        files[FAR] = far_file(text)
    elif place == "entry of a hook":
        text = static(text.replace("devil_entry(", "devil("))
        hook(files, base, text, "void (*devil)(struct kvm_vcpu *vcpu)")
    else:
        files[base.main] = f"{files[base.main]}\n{text}"


def span(text, head):
    """Return where a function begins and ends."""
    found = re.search(rf"^{re.escape(head)}[^;{{]*\{{", text, re.M)
    return found.start(), text.index("\n}\n", found.end()) + 1


def at(body, pattern, behind=False):
    """Return the position of the first match in a function."""
    found = re.search(pattern, body, re.M)
    return found.end() if behind else found.start()


def insert(files, one, mine, call, option):
    """Put statements into the set-up or around the call of it, and definitions above."""
    base, time, text = one.base, one.time, files[one.base.main]
    start, end = span(text, base.setup)
    new = under(option, call, 1)
    if one.target.name == "copy of the role":
        body = text[start:end]
        place = start + at(body, b.ROLE, True)
        copy = f"\t{one.target.record} devil_copy = new_role;\n"
        text = text[:place] + copy + text[place:]
        start, end = span(text, base.setup)
    if time in CALLER:
        first, last = span(text, "void kvm_init_mmu(")
        body = text[first:last]
        place = first + (at(body, b.CALL) if time == "before the call" else len(body))
        text = text[:place] + new + text[place:]
    elif time == "where it skips":
        body = text[start:end]
        found = re.search(b.GUARD, body, re.M)
        whole = found[0].removesuffix("\n\t\treturn;\n")
        whole = f"{whole} {{\n{indent(new)}\t\treturn;\n\t}}\n"
        text = text[:start] + body[: found.start()] + whole + body[found.end() :] + text[end:]
    else:
        body = text[start:end]
        place = {
            "before the role": lambda: at(body, b.ROLE),
            "before the guard": lambda: at(body, b.GUARD),
            "behind the guard": lambda: at(body, b.GUARD, True),
            "before the field": lambda: at(body, b.STORES_FIELD),
            "at the end": lambda: len(body),
        }[time]()
        text = text[:start] + body[:place] + new + body[place:] + text[end:]
    if time in CALLER:
        start = span(text, "void kvm_init_mmu(")[0]
    files[base.main] = text[:start] + mine + text[start:]
