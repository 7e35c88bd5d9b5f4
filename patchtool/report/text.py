# SPDX-License-Identifier: GPL-2.0-only
"""The report for people: the compiler's line, then what it rests on.

In: a report.  Out: each finding with the way to the guard, what carries each input and
a witness; why the other contexts are not affected; the assumptions; one summary line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from patchtool.model import Context, FieldResult, Finding, Input, Report, Suppressed, Witness
from patchtool.report.words import (
    acceptance,
    counted,
    listed,
    of_host,
    origin,
    origin_of,
    rows,
    safe,
    said,
    sentence,
    undecided,
    way,
    where,
)

if TYPE_CHECKING:
    from patchtool.report.options import Options

WIDTH = 100

_SEVERITIES = {
    "new": ("error", "1;31"),
    "existing": ("note", "1;36"),
    "closed": ("note", "1;32"),
}
_SUFFIXES = {"new": "", "existing": " (not new)", "closed": " (closed by the change)"}
_VERDICTS = {"gap": "1;31", "unknown": "1;33", "covered": "1;32", "not-guarded": "1;32"}

_Cell = tuple[str, str]
"""Text and the colour to print it in, "" for none."""


def write(report: Report, options: Options) -> str:
    """Write a report for people."""
    return "".join(f"{line}\n" for line in _Writer(report, options).lines())


class _Writer:
    """Writes one report."""

    def __init__(self, report: Report, options: Options) -> None:
        self._report = report
        self._options = options

    def lines(self) -> Iterator[str]:
        """Yield the whole report, line by line."""
        for finding in self._report.findings:
            yield self._head(finding)
            changed = self._options.changed(finding)
            if changed is not None:
                spot = self._paint(f"{where(changed.place, column=True)}:", "1")
                yield f"{spot} {self._paint('note:', '1;36')} {origin_of(changed)}"
            if not self._options.quiet:
                yield from self._notes(finding)
                yield ""
        for unknown in undecided(self._report):
            spot = self._paint(f"{where(unknown.place)}:", "1")
            yield f"{spot} {self._paint('unknown:', '1;33')} {said(unknown.place, unknown.reason)}"
        for one in self._report.suppressed:
            yield self._accepted(one)
            if self._options.verbose and not self._options.quiet:
                yield from self._notes(one.finding)
                yield ""
        for remark in self._report.remarks:
            spot = self._paint(f"{where(remark.place)}:", "1")
            severity = self._paint("warning:", "1;35")
            yield f"{spot} {severity} {sentence(remark.problem)} [suppression]"
        if self._options.quiet:
            return
        if undecided(self._report) or self._report.suppressed or self._report.remarks:
            yield ""
        yield from self._undecided()
        yield from self._unaffected()
        yield from self._assumptions()
        yield self._summary()

    # -- findings --------------------------------------------------------------------------

    def _head(self, finding: Finding) -> str:
        state = self._options.state(finding)
        word, colour = _SEVERITIES[state]
        spot = self._paint(f"{where(finding.place, column=True)}:", "1")
        severity = self._paint(f"{word}:", colour)
        message = said(finding.place, finding.message) + _SUFFIXES[state]
        return f"{spot} {severity} {message} [{finding.rule}]"

    def _accepted(self, one: Suppressed) -> str:
        finding = one.finding
        spot = self._paint(f"{where(finding.place, column=True)}:", "1")
        message = said(finding.place, finding.message) + _SUFFIXES[self._options.state(finding)]
        note = self._paint("note:", "1;33")
        return f"{spot} {note} {message}; {acceptance(one)} [{finding.rule}]"

    def _notes(self, finding: Finding) -> Iterator[str]:
        context, result = finding.context, finding.result
        yield from _wrapped(
            f"set-up of {safe(context.context)}, reached by {way(context.entry)}",
            "    ",
            "        ",
        )
        if result.inputs:
            yield ""
            yield from self._coverage(result)
        if result.witness is not None:
            yield ""
            yield from self._witness(result, result.witness)
        for reason in result.reasons:
            yield from _wrapped(sentence(str(reason)), "    ", "    ")

    def _coverage(self, result: FieldResult) -> Iterator[str]:
        table: list[tuple[_Cell, ...]] = [
            ((f"input of {safe(result.name)}", "2"), ("carried by", "2"), ("read from", "2"))
        ]
        for one in result.inputs:
            carriers = _carriers(one, result) or ["nothing"]
            colour = "" if one.covered_by else "1;31"
            source = origin(one.name, one.source)
            if len(", ".join(carriers)) <= 36:
                carriers = [", ".join(carriers)]
            for number, carrier in enumerate(carriers):
                more = number < len(carriers) - 1
                table.append(
                    (
                        ("" if number else safe(one.name), colour),
                        (f"{carrier}," if more else carrier, colour),
                        ("" if number else source, ""),
                    )
                )
        if not any(row[2][0] for row in table[1:]):
            table = [row[:2] for row in table]
        yield from self._table(table)

    def _witness(self, result: FieldResult, witness: Witness) -> Iterator[str]:
        deciding = {(one.name, one.source) for one in result.inputs}
        table: list[tuple[_Cell, ...]] = [(("  witness", "2"), ("state A", "2"), ("state B", "2"))]
        alike = []
        names = [name for name, _ in witness.a]
        for plain, (name, source, a, b) in zip(names, rows(result), strict=True):
            if a == b and (plain, source) not in deciding:
                alike.append(f"{safe(name)}={_number(a)}")
                continue
            mark, colour = ("* ", "1") if a != b else ("  ", "")
            read = f" in {origin(plain, source)}" if names.count(plain) > 1 else ""
            table.append(
                ((f"{mark}{safe(plain)}{read}", colour), (_number(a), colour), (_number(b), colour))
            )
        for name, value in witness.role:
            table.append(((f"  {safe(name)}", ""), (hex(value), ""), (hex(value), "")))
        before, after = witness.values
        table.append(((f"* {safe(result.member)}", "1"), (str(before), "1"), (str(after), "1")))
        yield from self._table(table)
        if alike:
            yield from _wrapped(f"  in both states: {', '.join(alike)}", "    ", "        ")
        if witness.host:
            host = ", ".join(of_host(witness))
            yield from _wrapped(f"  on a host with {host}", "    ", "        ")
        if witness.needs:
            host = ", ".join(of_host(witness, needed=True))
            yield from _wrapped(f"  the gap needs a host with {host}", "    ", "        ")
        words = "role is" if len(witness.role) == 1 else "roles are"
        yield from _wrapped(
            f"The {words} equal, so the set-up is skipped when A is followed by B, and "
            f"{safe(result.member)} stays {before}.",
            "    ",
            "    ",
        )

    # -- the other contexts ----------------------------------------------------------------

    def _undecided(self) -> Iterator[str]:
        open_ = [
            (context, result.name)
            for context in self._report.contexts
            for result in context.fields
            if result.verdict == "unknown"
        ]
        if not open_:
            return
        yield self._paint("Undecided:", _VERDICTS["unknown"])
        for context, name in open_:
            yield from _wrapped(f"{safe(name)} of {_titled(context)}", "  ", "      ")
        yield ""

    def _unaffected(self) -> Iterator[str]:
        told = [name for name in self._names() if self._missing(name) is not None]
        if not told and self._names():
            told = self._names()[:1]
        for name in self._names():
            covered = self._covered(name)
            if not covered:
                continue
            total = counted(len(covered), "context")
            if name not in told and not self._options.verbose:
                yield f"Covered: {safe(name)} in {total}"
                yield ""
                continue
            missing = self._missing(name)
            word = "Covered" if missing is None else "Not affected"
            yield f"{word}: {safe(name)} in {total}"
            for context, result in covered:
                yield from self._reason(context, result, missing or ())
            yield ""

    def _reason(
        self, context: Context, result: FieldResult, missing: Sequence[str]
    ) -> Iterator[str]:
        yield from _wrapped(f"{_titled(context)}:", "  ", "      ")
        words = why(result, missing)
        if words:
            yield from _wrapped(words, "    ", "    ")
        if self._options.verbose and result.inputs:
            yield from self._coverage(result)

    def _names(self) -> list[str]:
        return list(
            dict.fromkeys(r.name for context in self._report.contexts for r in context.fields)
        )

    def _covered(self, name: str) -> list[tuple[Context, FieldResult]]:
        return [
            (context, result)
            for context in self._report.contexts
            for result in context.fields
            if result.name == name and result.verdict == "covered"
        ]

    def _missing(self, name: str) -> tuple[str, ...] | None:
        """Return what some context misses for a field; None where none has a gap."""
        gaps = [
            result
            for context in self._report.contexts
            for result in context.fields
            if result.name == name and result.verdict == "gap"
        ]
        return tuple(sorted({m for r in gaps for m in r.missing})) if gaps else None

    # -- the end ---------------------------------------------------------------------------

    def _assumed(self) -> list[str]:
        return sorted(
            {a for context in self._report.contexts for r in context.fields for a in r.assumptions}
        )

    def _assumptions(self) -> Iterator[str]:
        assumed = self._assumed()
        if not assumed:
            return
        yield "Assumptions:"
        for one in assumed:
            yield from _wrapped(sentence(one), "  - ", "    ")
        yield ""

    def _summary(self) -> str:
        report = self._report
        at = f" at {report.rev[:12]}" if report.rev and not self._options.change else ""
        summed = _change_summed(report, self._options) if self._options.change else _summed(report)
        accepted = report.suppressed and not report.findings
        colour = _VERDICTS["unknown" if accepted else report.verdict]
        return self._paint(f"{''.join(summed)}{at}", colour) + (
            " (assumptions above)" if self._assumed() else ""
        )

    # -- looks -----------------------------------------------------------------------------

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[m" if colour and self._options.colour else text

    def _table(self, table: Sequence[tuple[_Cell, ...]]) -> Iterator[str]:
        """Yield rows of cells with aligned columns."""
        widths = [max(len(row[i][0]) for row in table) for i in range(len(table[0]))]
        for row in table:
            line = "    "
            blank = ""
            for (text, colour), width in zip(row, widths, strict=True):
                if text:
                    line += blank + self._paint(text, colour)
                    blank = ""
                blank += " " * (width - len(text) + 3)
            yield line


def why(result: FieldResult, missing: Sequence[str]) -> str:
    """Say in words why a field cannot go stale: what carries its inputs, what is none.

    ``missing`` are the inputs that nothing carries in another context; they come first.
    """
    name = safe(result.name)
    if not result.inputs:
        if result.member != result.name:
            return f"{name} is kept in the role itself, as {safe(result.member)}"
        return f"no register decides {name} here"
    ordered = sorted(result.inputs, key=lambda one: one.name not in missing)
    told = [(_told(one, result), listed(_carriers(one, result))) for one in ordered]
    absent = [safe(m) for m in missing if m not in {one.name for one in result.inputs}]
    if absent:
        are = "is not an input" if len(absent) == 1 else "are not inputs"
        follows = [f"{one} (carried by {by or 'the role as a whole'})" for one, by in told]
        return f"{listed(absent)} {are} here: {name} follows {listed(follows)}"
    # "is carried by" once is enough.
    first, *rest = (f"{one} is carried by {by or 'the role as a whole'}" for one, by in told)
    return ", ".join([first, *(text.replace(" is carried by ", " by ", 1) for text in rest)])


def _told(one: Input, result: FieldResult) -> str:
    """Return the name of an input, with where it is read if another has the same name."""
    twice = sum(other.name == one.name for other in result.inputs) > 1
    read = origin(one.name, one.source)
    return f"{safe(one.name)} in {read}" if twice and read else safe(one.name)


def _carriers(one: Input, result: FieldResult) -> list[str]:
    """Return what carries an input; "(in part)" where it does not tell all its values."""
    part = result.verdict == "gap" and one.name in result.missing
    only = sum(other.name == one.name for other in result.inputs) == 1
    return [safe(name) + (" (in part)" if part and only else "") for name in one.covered_by]


def _titled(context: Context) -> str:
    return f"{safe(context.context)}, reached by {way(context.entry)} ({where(context.place)})"


def _number(value: int) -> str:
    return str(value) if value < 4096 else hex(value)


def _summed(report: Report) -> Iterator[str]:
    """Yield the parts of the summary."""
    contexts = [context for context in report.contexts if context.fields]
    having = dict.fromkeys(_VERDICTS, 0)
    for context in contexts:
        having[context.verdict] += 1
    total = counted(len(contexts), "context")
    hit = {(one.place, one.entry) for one in report.findings}
    here = sum((context.place, context.entry) in hit for context in contexts)
    some = f"{having['unknown']} of {total}" if having["unknown"] else ""
    open_ = undecided(report)
    places = counted(len(open_), "place") + " not understood" if open_ else ""
    if report.findings:
        yield f"{counted(len(report.findings), 'gap')} in {here} of {total}"
        if report.suppressed:
            yield f"; {_suppressed(report)}"
        if some or places:
            yield f"; undecided: {', '.join(filter(None, [some, places]))}"
    elif report.suppressed:
        yield _suppressed(report)
        if some or places:
            yield f"; undecided: {', '.join(filter(None, [some, places]))}"
        else:
            yield f", no other in {total}"
    elif report.verdict == "unknown":
        yield f"undecided: {', '.join(filter(None, [some, places]))}"
    elif report.verdict == "not-guarded":
        yield "not guarded: no set-up is skipped on an equal role"
    else:
        yield f"no gap in {total}"
    if having["covered"] and report.verdict in ("gap", "unknown"):
        yield f"; {having['covered']} covered"


def _suppressed(report: Report) -> str:
    return f"{counted(len(report.suppressed), 'gap')} suppressed in the source"


def _change_summed(report: Report, options: Options) -> Iterator[str]:
    """Yield the parts of the summary of a change; the contexts shown are those it touches."""
    states = [options.state(one) for one in report.findings]
    new = states.count("new")
    told = [f"{counted(new, 'gap')} brought in" if new else "no gap brought in"]
    if report.suppressed:
        told.append(_suppressed(report))
    told += [
        f"{states.count(state)} {words}"
        for state, words in (("closed", "closed"), ("existing", "not new"))
        if state in states
    ]
    open_ = undecided(report)
    if open_:
        told.append(f"undecided: {counted(len(open_), 'place')} not understood")
    yield "; ".join(told)


def _wrapped(text: str, first: str, rest: str) -> Iterator[str]:
    """Yield a text in lines of at most WIDTH columns, broken at spaces only."""
    line = first
    empty = True
    for word in text.split(" "):
        if not empty and len(line) + 1 + len(word) > WIDTH:
            yield line
            line, empty = rest, True
        line += word if empty else f" {word}"
        empty = False
    yield line
