# SPDX-License-Identifier: GPL-2.0-only
"""The lines of the source that a finding is about, as compilers show them.

In: a finding and the files that it was found in.  Out: the guard, where the field is
stored behind it, and where the role is set without the input that is missing; for a
change, what it took away.  They illustrate a verdict and decide nothing: a line that
cannot be found is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from patchtool.c.brackets import BRACES, PARENTHESES, closing
from patchtool.c.scan import strip_comments
from patchtool.errors import PatchtoolError
from patchtool.model import Anchor, Consulted, Finding, Place, Report
from patchtool.report.words import counted_names, safe
from patchtool.rules.table import RULES

Read = Callable[[str], bytes | None]

_TAB = 8
_DOTS = "..."


class Quote(NamedTuple):
    """A line, which columns of it matter, and what it is ("" where that was said)."""

    place: Place
    end: int
    """The column behind the last one that matters."""
    text: str
    label: str = ""
    removed: tuple[str, ...] = ()
    """Lines that a change took away: behind this one, or to put it in their place."""
    replaced: bool = False


def quotes(
    finding: Finding, report: Report, read: Read, changed: Anchor | None = None
) -> Iterator[Quote]:
    """Yield the lines that a finding is about, the guard first."""
    files = _Files(read, report.ledger)
    guard = files.guard(finding.place)
    if guard is not None:
        yield guard
    if changed is not None:
        same = guard is not None and changed.place.line == guard.place.line and (
            changed.place.file == guard.place.file
        )  # fmt: skip
        # A guard that the change itself brought in was shown.
        if changed.removed or not same:
            yield from files.changed(changed)
    # What a later change makes of the role is no role of the tree that has the gap.
    if finding.missing and not finding.closed_by and not (changed is not None and changed.removed):
        yield from files.role(finding, report)
    if finding.kind == "accumulates":
        yield from files.addition(finding)
    else:
        yield from files.store(finding)
    if finding.kind == "unlike":
        yield from files.store_of_skip(finding)


def of_change(changed: Anchor | None, read: Read) -> Iterator[Quote]:
    """Yield the line of a change, with what it took away there."""
    if changed is not None:
        yield from _Files(read, ()).changed(changed)


CHANGED = "changed"
"""Stands for the words on a change, which the report has."""


def line(place: Place, read: Read) -> Quote | None:
    """Return the line of a place, from its column or from the first word on."""
    text = _Files(read, ()).line(place)
    if text is None or not text.strip():
        return None
    start = max(place.column, len(text) - len(text.lstrip()) + 1)
    return Quote(place._replace(column=start), len(text.rstrip()) + 1, text)


class _Files:
    """Looks things up in the functions that a verdict rests on."""

    def __init__(self, read: Read, ledger: Iterable[Consulted]) -> None:
        self._read = read
        self._functions: dict[str, Consulted] = {}
        for one in ledger:
            if one.kind == "function":
                self._functions.setdefault(one.name, one)
        self._lines: dict[str, tuple[list[str], list[str]]] = {}

    def _of(self, path: str) -> tuple[list[str], list[str]]:
        """Return the lines of a file, as they are and without comments."""
        if path not in self._lines:
            try:
                data = (self._read(path) or b"").replace(b"\r\n", b"\n")
            except PatchtoolError:
                # A place may stand for a folder, or a file be gone by now.
                data = b""
            self._lines[path] = tuple(  # type: ignore[assignment]
                one.decode("utf-8", "surrogateescape").split("\n")
                for one in (data, strip_comments(data))
            )
        return self._lines[path]

    def line(self, place: Place) -> str | None:
        """Return the line of a place, None where the file is shorter."""
        lines = self._of(place.file)[0]
        return lines[place.line - 1] if 0 < place.line <= len(lines) else None

    def changed(self, one: Anchor) -> Iterator[Quote]:
        """Yield the line of a change, with what it took away there."""
        line = self.line(one.place)
        if line is None:
            return
        place = one.place._replace(column=len(line) - len(line.lstrip()) + 1)
        yield Quote(place, len(line.rstrip()) + 1, line, CHANGED, one.removed, not one.gone)

    def guard(self, place: Place) -> Quote | None:
        """Return the comparison that skips, as far as it stands on its line."""
        line = self.line(place)
        if line is None or place.column > len(line):
            return None
        plain = self._of(place.file)[1][place.line - 1]
        start = place.column
        if plain[start - 1] == "(":
            # One byte for each letter, so that places in it are those in the line.
            behind = closing(plain.encode("ascii", "replace"), start - 1, PARENTHESES)
            # The parentheses of an "if" are no part of its condition.
            start, end = start + 1, len(plain.rstrip()) if behind is None else behind - 1
        else:
            end = len(plain.rstrip(" \t{;"))
        return Quote(place._replace(column=start), max(end, start) + 1, line)

    def body(self, name: str) -> Iterator[tuple[Place, str]]:
        """Yield the lines of a function without comments, up to the brace that ends it."""
        one = self._functions.get(name)
        if one is None:
            return
        plain = self._of(one.file)[1]
        depth, opened = 0, False
        for number in range(one.line - 1, len(plain)):
            yield Place(one.file, number + 1, 1, name), plain[number]
            depth += plain[number].count("{") - plain[number].count("}")
            opened = opened or "{" in plain[number]
            if opened and depth <= 0:
                return

    def store(self, finding: Finding) -> Iterator[Quote]:
        """Yield a store that the guard skips, that of a plain number if there is no other."""
        word, store = _stores(finding)
        name = re.escape(word)
        handed = rf"(?:&\s*)[\w.>\[\]-]*?(?:->|\.){name}\b(?=\s*[,;)])()"
        for pattern, words in ((store, "stored here"), (handed, "handed on here to be stored")):
            found = self._stored(finding.place, finding.entry, re.compile(pattern))
            text = self.line(found[0]) if found is not None else None
            if found is not None and text is not None:
                yield Quote(*found, text, f"{safe(word)} is {words}, which is skipped")
                return

    def store_of_skip(self, finding: Finding) -> Iterator[Quote]:
        """Yield a store that is run where the set-up is skipped."""
        word, store = _stores(finding)
        pattern = re.compile(store)
        within, leaves = self._branch(finding.place)
        own = [one for one in self.body(finding.place.function) if one[0].line not in within]
        if leaves:
            inside = [one for one in self.body(finding.place.function) if one[0].line in within]
            own = [*inside, *(one for one in own if one[0].line < finding.place.line)]
        callers = [name for name in finding.entry if name != finding.place.function]
        for place, text in (*own, *(one for name in callers for one in self.body(name))):
            match = pattern.search(text)
            whole = self.line(place) if match is not None else None
            if match is not None and whole is not None:
                end = text.find(";", match.end())
                spot = place._replace(column=match.start() + 1)
                label = f"{safe(word)} is stored here where the set-up is skipped"
                yield Quote(spot, (end if end >= 0 else len(text)) + 1, whole, label)
                return

    def _branch(self, guard: Place) -> tuple[range, bool]:
        """Return the lines of what a guard decides about, and whether that leaves the function."""
        lines = [text for place, text in self.body(guard.function) if place.line >= guard.line]
        text = "\n".join(lines).encode("ascii", "replace")
        opened = text.find(b"(")
        end = closing(text, opened, PARENTHESES) if opened >= 0 else None
        if end is None:
            return range(0), False
        start = end + len(text[end:]) - len(text[end:].lstrip())
        until = closing(text, start, BRACES) if text[start : start + 1] == b"{" else None
        until = until if until is not None else text.find(b";", start) + 1
        last = guard.line + text[:until].count(b"\n")
        leaves = re.search(rb"\b(?:return|goto)\b[^;]*;\s*\}?\Z", text[start:until]) is not None
        return range(guard.line + text[:start].count(b"\n"), last + 1), leaves

    def addition(self, finding: Finding) -> Iterator[Quote]:
        """Yield where a set-up adds to what a field holds, in what it calls, in order."""
        word = re.escape(finding.result.member.partition(".")[0])
        pattern = re.compile(rf"\b[\w.>\[\]-]*?(?:->|\.){word}\b[\w.\[\]]*\s*[|&^+-]=[^;]*")
        for function in self._reached(finding):
            for place, text in self.body(function):
                match = pattern.search(text)
                whole = self.line(place) if match is not None else None
                if match is not None and whole is not None:
                    spot = place._replace(column=match.start() + 1)
                    yield Quote(spot, match.end() + 1, whole, f"{safe(word)} is added to here")
                    return

    def _reached(self, finding: Finding) -> list[str]:
        """Return the functions on the way to a guard, and what is called there, in their order."""
        todo = [*finding.entry, finding.place.function]
        seen = set(todo)
        while todo:
            for _, text in self.body(todo.pop()):
                for name in re.findall(r"\b([A-Za-z_]\w*)\s*\(", text):
                    if name in self._functions and name not in seen:
                        seen.add(name)
                        todo.append(name)
        return [name for name in self._functions if name in seen]

    def _stored(
        self, guard: Place, entry: Sequence[str], pattern: re.Pattern[str]
    ) -> tuple[Place, int] | None:
        """Look for a store behind the guard, and in what is called there, in order."""
        within, leaves = self._branch(guard)
        start = within[-1] if leaves and within else guard.line
        behind = [(place, text) for place, text in self.body(guard.function) if place.line > start]
        todo, seen = [behind], {guard.function}
        # A guard may stand in a helper; what is skipped is then in its caller.
        callers = [name for name in entry if name != guard.function]
        plain: tuple[Place, int] | None = None
        while todo:
            called: list[str] = []
            for place, text in todo.pop(0):
                match = pattern.search(text)
                if match is not None:
                    end = text.find(";", match.end())
                    spot = place._replace(column=match.start() + 1)
                    found = spot, (end if end >= 0 else len(text)) + 1
                    if not match.group(1).isdigit():
                        return found
                    plain = plain or found
                called += re.findall(r"\b([A-Za-z_]\w*)\s*\(", text)
            if not todo and callers:
                called.append(callers.pop())
            for name in called:
                if name in self._functions and name not in seen:
                    seen.add(name)
                    todo.append(list(self.body(name)))
        return plain

    def role(self, finding: Finding, report: Report) -> Iterator[Quote]:
        """Yield where the role is set from registers, and not from what is missing."""
        carriers = {
            name.rpartition(".")[2]
            for context in report.contexts
            for one in context.fields
            for given in one.inputs
            for name in given.covered_by
        }
        wanted = {name.replace(".", "_").lower(): name for name in finding.missing}
        registers = RULES[finding.rule].target.registers
        bits = {name for name in carriers if registers.is_bit_member(name)} | wanted.keys()
        own = {
            name.rpartition(".")[2] for given in finding.result.inputs for name in given.covered_by
        }
        reached = self._reached(finding)
        # A set-up that reads no registers has its role made of something else.
        for function, some in ((one, some) for some in (bits, own) for one in reached):
            names = "|".join(map(re.escape, sorted(some)))
            pattern = re.compile(rf"\b[\w.>-]*?(?:->|\.)({names})\s*=(?!=)[^;]*")
            found = {
                match.group(1): (place, match)
                for place, text in self.body(function)
                if (match := pattern.search(text)) is not None
            }
            if not some or not found:
                continue
            absent = [name for bit, name in wanted.items() if bit not in found]
            beside = [bit for bit in found if bit not in wanted]
            if absent and beside:
                absence = f"no bit that is compared holds {counted_names(absent)}"
                label = f"the role is set here, and {absence}"
                yield from self._set(*found[beside[-1]], label)
            for bit, name in wanted.items():
                if bit in found:
                    member = safe(finding.result.member)
                    label = f"{bit} does not hold the {name} that {member} follows"
                    yield from self._set(*found[bit], label)
            return

    def _set(self, place: Place, match: re.Match[str], label: str) -> Iterator[Quote]:
        text = self.line(place)
        if text is not None:
            spot = place._replace(column=match.start() + 1)
            yield Quote(spot, match.end() + 1, text, label)


def _stores(finding: Finding) -> tuple[str, str]:
    """Return the name of a field, and a pattern of plain stores to it."""
    # A field that is kept in the role is stored with all of the role.
    word = finding.result.member.partition(".")[0]
    name = re.escape(word)
    element = r"(?:\[[^\]]*\])*(?:\.\w+)?"
    return word, rf"\b[\w.>\[\]-]*?(?:->|\.){name}{element}\s*=(?!=)\s*(\w*)"


def drawn(quote: Quote, width: int) -> Iterator[tuple[str, str]]:
    """Yield lines of text, each with what it is: the source, the caret, what was removed."""
    number = f"{quote.place.line}"
    margin = " " * max(5 - len(number), 1) + number
    blank = " " * len(margin)
    text, start, end = _expanded(quote.text.rstrip(), quote.place.column, quote.end)
    room = width - len(margin) - 3
    if len(text) > room > 10:
        # What matters stays in sight.
        cut = max(0, min(start - room // 4, len(text) - room)) if end > room else 0
        text, start, end = _cut(text, cut, room), start - cut, min(end - cut, room)
    gone = [_cut(_expanded(line.rstrip(), 1, 1)[0], 0, room) for line in quote.removed]
    removed = [(f"{blank} |-{line}", "removed") for line in gone]
    if quote.replaced:
        yield from removed
    yield f"{margin} | {text}", "source"
    mark = "^" + "~" * (end - start - 1)
    yield f"{blank} | {' ' * start}{mark}", "caret"
    if not quote.replaced:
        yield from removed


def _cut(text: str, start: int, room: int) -> str:
    """Return what there is room for of a line, from a place on; dots stand for the rest."""
    shown = text[start : start + room]
    if room > 2 * len(_DOTS):
        shown = _DOTS + shown[len(_DOTS) :] if start else shown
        shown = shown[: -len(_DOTS)] + _DOTS if start + room < len(text) else shown
    return shown


def _expanded(text: str, start: int, end: int) -> tuple[str, int, int]:
    """Spell a line out, tabs as blanks; return where its marked columns are then."""
    out, at = "", [0, 0]
    for number, character in enumerate(text):
        for which, column in enumerate((start, end)):
            if number == column - 1:
                at[which] = len(out)
        out += " " * (_TAB - len(out) % _TAB) if character == "\t" else safe(character)
    for which, column in enumerate((start, end)):
        if column > len(text):
            at[which] = len(out)
    return out, at[0], max(at[1], at[0] + 1)
