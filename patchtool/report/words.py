# SPDX-License-Identifier: GPL-2.0-only
"""The words that all forms share: escaping, lists, plurals, the way to a guard.

In: names and sentences that may come from a hostile tree.  Out: printable text on one
line; whatever steers a terminal or reorders a line is spelled out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patchtool.lint.introduced import State
    from patchtool.model import (
        Anchor,
        FieldResult,
        Finding,
        Given,
        Place,
        Report,
        Suppressed,
        Witness,
    )

SUFFIXES: Mapping[State, str] = {
    "new": "", "existing": " (not new)", "closed": " (closed by the change)",
}  # fmt: skip
"""What stands behind a finding, by what a change has to do with it."""


def safe(text: str) -> str:
    """Spell out every character that is not printable."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _spelled(c) for c in text)


def sentence(text: str) -> str:
    """Return a sentence on one line."""
    return safe(" ".join(text.split()))


def _spelled(character: str) -> str:
    code = ord(character)
    # A byte that was no UTF-8 travels as a surrogate.
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def counted_names(names: Sequence[str]) -> str:
    """Join names of which none is meant: a, b or c."""
    shown = [safe(name) for name in names]
    return " or ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun in the right number."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def way(entry: Iterable[str]) -> str:
    """Return a call path."""
    return " -> ".join(f"{safe(name)}()" for name in entry)


def where(place: Place, column: bool = False) -> str:
    """Return a position as editors read it."""
    spot = f"{safe(place.file)}:{place.line}"
    return f"{spot}:{place.column}" if column else spot


def said(place: Place, message: str) -> str:
    """Return a sentence with the function that it is about."""
    function = f"{safe(place.function)}(): " if place.function else ""
    return function + sentence(message)


def origin(name: str, source: str) -> str:
    """Return where an input is read; "" where its name says so already."""
    from patchtool.model import read_from

    return safe(read_from(name, source))


def identifier(rule: str) -> str:
    """Return a rule as checkpatch names its types."""
    return rule.upper().replace("-", "_")


def located(finding: Finding) -> str:
    """Return which way and which context a finding is about, in a few words."""
    context = safe(finding.context.context)
    outermost = finding.entry[:1] if finding.entry[:1] != (finding.place.function,) else ()
    return ", ".join(filter(None, [context, f"from {way(outermost)}" if outermost else ""]))


def origin_of(changed: Anchor, closed: bool = False) -> str:
    """Return in words what a change has to do with a finding, which may be that it closes it."""
    if closed:
        gone = "what the change takes away below this line"
        return f"it is closed by {gone if changed.gone else 'this change'}"
    if changed.gone:
        return "it comes from what the change takes away below this line"
    return "it comes from this change"


def undecided_since(changed: Anchor) -> str:
    """Return in words what a change has to do with what is not understood."""
    gone = "what the change takes away below this line" if changed.gone else "this change"
    return f"this is not understood since {gone}"


def acceptance(one: Suppressed) -> str:
    """Return in words which comment accepts a finding, and why."""
    return f"suppressed by {where(one.place)}: {sentence(one.reason)}"


def of_host(witness: Witness, needed: bool = False) -> list[str]:
    """Return in words what a witness takes the host to be; NEEDED: what it has to be."""
    return [safe(words) for words in witness.of_host(needed)]


def valued(result: FieldResult, witness: Witness) -> str:
    """Return the part of a field that the values of a witness are of, as C spells it."""
    element = witness.element
    joint = "." if element and not element.startswith("[") else ""
    return safe(f"{result.member}{joint}{element}")


def rows(witness: Witness | None) -> tuple[Given, ...]:
    """Return the inputs of a witness, none where there is no witness."""
    return () if witness is None else witness.inputs


def stated(witness: Witness, state: int) -> str:
    """Return one state of a witness on a line, the first one 0."""
    return ", ".join(f"{safe(one.name)}={safe(one.words[state])}" for one in rows(witness))


def accounted(report: Report) -> str:
    """Return how many mentions of what the verdicts rest on were found, and are open."""
    mentions = counted(len(report.mentions), "mention")
    left = sum(one.is_open for one in report.mentions)
    return f"{mentions}, {left} of them open" if left else f"{mentions}, all accounted for"
