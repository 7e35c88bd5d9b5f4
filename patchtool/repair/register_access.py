# SPDX-License-Identifier: GPL-2.0-only
"""How a function of the tree at hand would read one bit of a register.

In: an index, a function, how its neighbours are written.  Out: C expressions, the one
in the idiom of the tree first.  No name is known in advance: a reader is a function
whose one return statement is that bit, an accessor macro's expansion included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from patchtool.c import syntax
from patchtool.c.index import Index
from patchtool.c.index import parameters as declared_parameters
from patchtool.c.scan import Definition, FileIndex, strip_comments
from patchtool.c.syntax import Node


@dataclass(frozen=True, slots=True)
class Bit:
    """One bit of a register: ``EFER.LMA``."""

    register: str
    name: str
    width = 1

    @property
    def member(self) -> str:
        """The role member that would hold it, by the kernel's convention."""
        return f"{self.register}_{self.name}".lower()

    @property
    def flag(self) -> str:
        """The macro of its mask."""
        if self.register == "EFER":
            return f"EFER_{self.name}"
        return f"X86_{self.register}_{self.name}"

    @property
    def title(self) -> str:
        """How manuals write it."""
        return f"{self.register}.{self.name}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: ``struct kvm_vcpu`` and ``vcpu``."""

    type: str
    name: str


def parse_bit(name: str) -> Bit | None:
    """Return the register bit that an input names, None where it is something else."""
    match = re.fullmatch(r"(CR\d|EFER)\.([A-Z]\w*)", name)
    return Bit(match.group(1), match.group(2)) if match else None


def parameters(definition: Definition) -> tuple[Parameter, ...]:
    """Return the parameters of a function that point to a struct."""
    found = []
    for one in declared_parameters(definition):
        match = re.fullmatch(r"\s*(?:const\s+)?(struct\s+\w+)\s*\*\s*(?:const\s+)?(\w+)\s*", one)
        if match:
            found.append(Parameter(" ".join(match.group(1).split()), match.group(2)))
    return tuple(found)


def spellings(
    index: Index, function: Definition, beside: Sequence[tuple[str, str]], bit: Bit
) -> tuple[str, ...]:
    """Return the ways to read a bit inside a function, the best first.

    ``beside`` are the assignments to sibling bits: member and right-hand side.
    """
    given = parameters(function)
    used = {p.name: sum(bool(re.search(rf"\b{p.name}\b", rhs)) for _, rhs in beside) for p in given}
    # Without neighbours a snapshot of the registers comes before the vCPU itself.
    ordered = sorted(given, key=lambda p: (-used[p.name], p.type == "struct kvm_vcpu"))
    if any(used.values()):
        ordered = [p for p in ordered if used[p.name]]
    found: list[str] = []
    for parameter in ordered:
        exact, partial = _readers(index, function, parameter, bit)
        found += exact
        found += _masked(index, function, parameter, beside, bit)
        found += _raw(index, function, parameter, bit)
        found += partial
    return tuple(dict.fromkeys(found))


def _readers(
    index: Index, function: Definition, parameter: Parameter, bit: Bit
) -> tuple[list[str], list[str]]:
    """Return calls that return exactly a bit, and those that return it and more."""
    exact: list[tuple[bool, int, str]] = []
    partial: list[str] = []
    for one in _one_argument(index, function, bit):
        taken = parameters(one)
        if len(taken) != 1 or taken[0].type != parameter.type:
            continue
        terms = returned(index, one)
        if not any(_is_bit(term, taken[0].name, bit) for term in terms):
            continue
        call = f"{_truth(one)}{one.name}({parameter.name})"
        if len(terms) == 1:
            exact.append((not one.name.endswith(bit.member), len(call), call))
        elif bit.name.lower() in one.name:
            partial.append(call)
    return [call for _, _, call in sorted(exact)], partial


def _one_argument(index: Index, function: Definition, bit: Bit) -> Iterator[Definition]:
    """Yield the functions that a function can call and that may read a bit."""
    flag = bit.flag.encode()
    for path in index.scope(function.file):
        if not path.startswith(index.target.folder) or flag not in (index.text(path) or b""):
            continue
        file = index.file(path)
        if file is None:
            continue
        for one in _defined(index, file):
            before = one.generated or path != function.file or one.start < function.start
            if before and flag in one.text:
                yield one


def _defined(index: Index, file: FileIndex) -> Iterator[Definition]:
    for definitions in (*file.functions.values(), *index.generated(file).values()):
        yield from definitions


def _masked(
    index: Index,
    function: Definition,
    parameter: Parameter,
    beside: Sequence[tuple[str, str]],
    bit: Bit,
) -> list[str]:
    """Return calls that take a mask: ``!!kvm_read_cr4_bits(vcpu, X86_CR4_LA57)``."""
    register = bit.register.lower()
    names = [f"kvm_is_{register}_bit_set", f"kvm_read_{register}_bits"]
    found: list[str] = []
    for _, rhs in beside:
        match = re.search(rf"\b(\w+)\s*\(\s*{parameter.name}\s*,\s*X86_{bit.register}_\w+", rhs)
        if match:
            names.insert(0, match.group(1))
    for name in dict.fromkeys(names):
        for one in index.visible(name, function.file):
            if parameter.type in (p.type for p in parameters(one)) and _has_flag(
                index, function, bit
            ):
                found.append(f"{_truth(one)}{name}({parameter.name}, {bit.flag})")
    return found


def _raw(index: Index, function: Definition, parameter: Parameter, bit: Bit) -> list[str]:
    """Return a plain read of a member; control registers of a vCPU may be cached."""
    member = bit.register.lower()
    if parameter.type == "struct kvm_vcpu":
        return [f"!!({parameter.name}->arch.efer & {bit.flag})"] if bit.register == "EFER" else []
    for record in index.record(parameter.type, function.file):
        plain = strip_comments(record.text)
        if re.search(rb"\b" + member.encode() + rb"\s*;", plain):
            return [f"!!({parameter.name}->{member} & {bit.flag})"]
    return []


def _has_flag(index: Index, function: Definition, bit: Bit) -> bool:
    return bool(index.macros(bit.flag, function.file))


def _truth(definition: Definition) -> str:
    """Return what makes 0 or 1 of a result: a one-bit member keeps only the lowest bit."""
    lead = strip_comments(definition.text.partition(b"{")[0]).partition(definition.name.encode())[0]
    return "" if b"bool" in lead.split() else "!!"


def returned(index: Index, definition: Definition) -> tuple[Node, ...]:
    """Return the conjuncts of the only expression that a function returns."""
    function = syntax.function(index.node(definition))
    block = function.child_by_field_name("body") if function is not None else None
    inside = syntax.inner(block)
    # Anything before the return could change what is returned.
    if len(inside) != 1 or inside[0].type != "return_statement" or inside[0].has_error:
        return ()
    return tuple(_conjuncts(inside[0]))


def _conjuncts(node: Node) -> Iterator[Node]:
    """Yield what must all be true, without what does not change the truth of it."""
    inner = syntax.inner(node)
    kind = node.type
    if kind in ("return_statement", "parenthesized_expression") and len(inner) == 1:
        yield from _conjuncts(inner[0])
    elif kind == "call_expression" and syntax.text(inner[0]) in ("likely", "unlikely"):
        for one in inner[1].named_children:
            yield from _conjuncts(one)
    elif kind == "unary_expression" and _negated(node) and _negated(inner[0]):
        yield from _conjuncts(inner[0].named_children[0])
    elif kind == "binary_expression" and syntax.text(node.children[1]) == "&&":
        for one in inner:
            yield from _conjuncts(one)
    else:
        yield node


def _negated(node: Node) -> bool:
    return node.type == "unary_expression" and syntax.text(node.children[0]) == "!"


def _is_bit(node: Node, name: str, bit: Bit) -> bool:
    """Tell whether an expression is one bit of a register below a parameter."""
    register = bit.register.lower()
    for found in syntax.matches("register_reader", node):
        texts = {key.partition(".")[2]: syntax.text(nodes[0]) for key, nodes in found.items()}
        if texts["expression"] != syntax.text(node) or texts["flag"] != bit.flag:
            continue
        holder = re.sub(r"\s", "", texts["holder"])
        if texts.get("register") == register and holder in (name, f"{name}->arch"):
            return True
        readers = (f"kvm_read_{register}_bits", f"kvm_is_{register}_bit_set")
        if texts.get("function") in readers and holder == name:
            return True
    return False
