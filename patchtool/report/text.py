# SPDX-License-Identifier: GPL-2.0-only
"""The report for people: the compiler's line, then what it rests on.

In: a report.  Out: each finding with the way to the guard, what carries each input and
a witness; why the other contexts are not affected; the assumptions; one summary line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from patchtool.model import (
    Anchor,
    Context,
    FieldResult,
    Finding,
    Input,
    Place,
    Report,
    Suppressed,
    Witness,
    listed,
)
from patchtool.report import overview, states
from patchtool.report.layout import Cell, fits, laid_out, table, wrapped
from patchtool.report.words import (
    SUFFIXES,
    acceptance,
    accounted,
    counted,
    origin,
    origin_of,
    safe,
    said,
    sentence,
    undecided_since,
    way,
    where,
)

if TYPE_CHECKING:
    from patchtool.report.options import Options

_SEVERITIES = {
    "new": ("error", "1;31"),
    "existing": ("note", "1;36"),
    "closed": ("note", "1;32"),
}
_INDENT = "    "
_OPEN = {"gap": "1;31", "unknown": "1;33"}
_VERDICTS = {"gap": "1;31", "unknown": "1;33", "covered": "1;32", "not-guarded": "1;32"}


def write(report: Report, options: Options) -> str:
    """Write a report for people."""
    return "".join(f"{line}\n" for line in _Writer(report, options).lines())


class _Writer:
    """Writes one report."""

    def __init__(self, report: Report, options: Options) -> None:
        self._report = report
        self._options = options
        self._width = options.width
        self._contexts = tuple(one for one in report.contexts if one.fields)
        self._told: set[tuple[Place, str]] = set()
        """The lines that were quoted, each with what was said of it."""

    @property
    def _is_wide(self) -> bool:
        """Whether there is more to tell of than one or two fields, which a table is for."""
        return len(self._names()) > 2 and not self._options.change

    def lines(self) -> Iterator[str]:
        """Yield the whole report, line by line."""
        for finding in self._report.findings:
            yield from self._head(finding)
            changed = self._options.changed(finding)
            if self._options.quiet:
                if changed is not None:
                    yield from self._comes(finding, changed)
                continue
            yield from self._quotes(finding)
            yield from self._notes(finding)
            yield ""
        yield from self._unknowns()
        for one in self._report.suppressed:
            yield from self._accepted(one)
            if self._options.verbose and not self._options.quiet:
                yield from self._notes(one.finding)
                yield ""
        for remark in self._report.remarks:
            words = f"{sentence(remark.problem)} [{remark.about}]"
            yield from self._line(where(remark.place), "warning", "1;35", words)
        if self._options.quiet:
            return
        if self._report.undecided or self._report.suppressed or self._report.remarks:
            yield ""
        yield from self._verdicts()
        yield from self._undecided()
        yield from self._unaffected()
        yield from self._upstream()
        yield from self._assumptions()
        yield from self._obligations()
        yield from self._summary()

    # -- findings --------------------------------------------------------------------------

    def _line(self, spot: str, word: str, colour: str, words: str) -> Iterator[str]:
        """Yield what names a place; for a program it is one line, however long."""
        whole = f"{spot}: {word}: {words}"
        lines = list(wrapped(whole, "", "    ", self._width)) if self._options.terminal else [whole]
        rest = {f"{spot}:": "1", f"{word}:": colour}
        for line in lines:
            for text in list(rest):
                if text in line:
                    line = line.replace(text, self._paint(text, rest.pop(text)), 1)
            yield line

    def _head(self, finding: Finding) -> Iterator[str]:
        state = self._options.state(finding)
        word, colour = _SEVERITIES[state]
        message = said(finding.place, finding.message) + SUFFIXES[state]
        spot = where(finding.place, column=True)
        yield from self._line(spot, word, colour, f"{message} [{finding.rule}]")

    def _accepted(self, one: Suppressed) -> Iterator[str]:
        finding = one.finding
        message = said(finding.place, finding.message) + SUFFIXES[self._options.state(finding)]
        spot = where(finding.place, column=True)
        words = f"{message}; {acceptance(one)} [{finding.rule}]"
        yield from self._line(spot, "note", "1;33", words)

    def _comes(self, finding: Finding, changed: Anchor) -> Iterator[str]:
        spot = where(changed.place, column=True)
        words = origin_of(changed, self._options.state(finding) == "closed")
        yield from self._line(spot, "note", "1;36", words)

    def _quoted(self, place: Place) -> Iterator[str]:
        """Yield the line of a place, where there is one."""
        if self._options.read is None or self._options.quiet:
            return
        from patchtool.report.quotes import drawn, line

        quote = line(place, self._options.read)
        for shown, kind in drawn(quote, self._width) if quote is not None else ():
            yield self._paint(shown, "1;33" if kind == "caret" else "")

    def _quotes(self, finding: Finding) -> Iterator[str]:
        """Yield the lines of the source that a finding is about."""
        changed = self._options.changed(finding)
        shown = self._options.anchors.get(finding)
        if self._options.read is None:
            if changed is not None:
                yield from self._comes(finding, changed)
            return
        from patchtool.report.quotes import CHANGED, drawn, of_change, quotes

        # The lines of what is closed are those of a tree that is no more.
        closed = self._options.state(finding) == "closed"
        for quote in (
            of_change(shown, self._options.read)
            if closed
            else quotes(finding, self._report, self._options.read, shown)
        ):
            if quote.label == CHANGED and shown is not None:
                yield from self._comes(finding, shown)
            elif quote.label:
                if self._is_wide and (quote.place, quote.label) in self._told:
                    continue
                self._told.add((quote.place, quote.label))
                spot = where(quote.place, column=True)
                yield from self._line(spot, "note", "1;36", quote.label)
            colours = {"caret": "1;36" if quote.label else "1;31", "removed": "31"}
            for line, kind in drawn(quote, self._width):
                yield self._paint(line, colours.get(kind, ""))

    def _notes(self, finding: Finding) -> Iterator[str]:
        context, result = finding.context, finding.result
        before = "before the change: " if self._options.state(finding) == "closed" else ""
        yield from self._wrapped(
            f"{before}set-up of {safe(context.context)}, reached by {way(context.entry)}",
            "    ",
            "        ",
        )
        if finding.kind == "accumulates":
            if result.accumulated is not None:
                yield ""
                yield from self._history(result, result.accumulated)
            return
        if finding.kind == "unlike" and result.unlike is not None:
            yield ""
            yield from self._state(result, result.unlike)
            return
        if result.inputs:
            yield ""
            yield from self._coverage(result)
        if result.pairs:
            yield ""
            yield from self._states(result, result.pairs)
        for reason in result.reasons:
            yield from self._wrapped(sentence(str(reason)), "    ", "    ")

    def _coverage(self, result: FieldResult) -> Iterator[str]:
        plain = [("input", "carried by", "read from")]
        for one in result.inputs:
            carriers = ", ".join(_carriers(one, result)) or "nothing"
            plain.append((safe(one.name), carriers, origin(one.name, one.source)))
        sources = [texts[2] for texts in plain[1:]]
        room = self._width - len(_INDENT)
        named = [(f"input of {safe(result.name)}", *plain[0][1:]), *plain[1:]]
        wide = [max(map(len, column)) for column in zip(*named, strict=True)]
        if sum(wide) + 2 * 3 <= room:
            plain = named
        colours = ["2", *("" if one.covered_by else "1;31" for one in result.inputs)]
        rows = [
            tuple(self._cell(text, colour) for text in texts)
            for texts, colour in zip(plain, colours, strict=True)
        ]
        if fits(plain, room, 3) and any(sources):
            yield from table(rows, _INDENT, self._width, 3)
            return
        # Without room for all of them, each way to read an input has a line of its own.
        some = laid_out([row[:2] for row in rows], _INDENT, self._width, 3)
        for lines, source in zip(some, ("", *sources), strict=True):
            yield from lines
            if source:
                yield f"{_INDENT}  from {source}"

    def _states(self, result: FieldResult, witnesses: Sequence[Witness]) -> Iterator[str]:
        """Yield pairs of states side by side, each with the input that makes it one."""
        found = states.pairs(result, witnesses, self._width - len(_INDENT))
        for number, rows in enumerate(found.tables):
            if number:
                yield ""
            yield from self._rows(rows)
        if found.alike:
            words = "in both states" if len(witnesses) == 1 else "in all states"
            yield from self._wrapped(f"{words}: {found.alike}", _INDENT, f"{_INDENT}    ")
        for words in states.of_hosts(witnesses):
            yield from self._wrapped(words, _INDENT, f"{_INDENT}    ")
        yield from self._wrapped(states.skipped(result, witnesses), _INDENT, _INDENT)

    def _state(self, result: FieldResult, witness: Witness) -> Iterator[str]:
        """Yield the state in which a skip alone makes a difference."""
        found = states.single(witness)
        for rows in found.tables:
            yield from self._rows(rows)
        for words in states.of_hosts((witness,)):
            yield from self._wrapped(words, _INDENT, f"{_INDENT}    ")
        yield from self._wrapped(states.apart(result, witness), _INDENT, _INDENT)

    def _history(self, result: FieldResult, witness: Witness) -> Iterator[str]:
        """Yield three states, the last of which leaves what the one before it decides."""
        found = states.history(witness)
        for rows in found.tables:
            yield from self._rows(rows)
        if found.alike:
            yield from self._wrapped(f"in all states: {found.alike}", _INDENT, f"{_INDENT}    ")
        yield from self._wrapped(states.kept(result, witness), _INDENT, _INDENT)

    def _rows(self, rows: states.Rows) -> Iterator[str]:
        painted = [[self._cell(text, row.colour) for text in row.cells] for row in rows]
        yield from table(painted, _INDENT, self._width, states.GAP)

    # -- the other contexts ----------------------------------------------------------------

    def _unknowns(self) -> Iterator[str]:
        """Yield what was not understood, and, among many fields, what that leaves open."""
        told: list[overview.Open] = []
        count, since = 0, None
        for unknown in self._report.undecided:
            changed = self._options.changed(unknown)
            if changed != since:
                yield from self._left_open(told, count)
                yield from self._since(since)
                told, count, since = [], 0, changed
            opens = list(overview.left_open(unknown, self._contexts)) if self._is_wide else []
            if opens != told:
                yield from self._left_open(told, count)
                told, count = opens, 0
            count += 1
            yield from self._line(
                where(unknown.place), "unknown", "1;33", said(unknown.place, unknown.reason)
            )
            yield from self._quoted(unknown.place)
        yield from self._left_open(told, count)
        yield from self._since(since)

    def _since(self, changed: Anchor | None) -> Iterator[str]:
        """Yield the line of a change since which the places above are not understood."""
        if changed is not None:
            spot = where(changed.place, column=True)
            yield from self._line(spot, "note", "1;36", undecided_since(changed))
            yield from self._quoted(changed.place)

    def _left_open(self, opens: Sequence[overview.Open], count: int) -> Iterator[str]:
        """Yield which fields COUNT places leave open, on which of the numbered paths."""
        for numbers, names in opens if not self._options.quiet else ():
            paths = f"path{'s' * (len(numbers) > 1)} {listed([*map(str, numbers)])}"
            every = all(len(self._contexts[n - 1].fields) == len(names) for n in numbers)
            what = "every field" if every else listed([safe(name) for name in names])
            leaves = "that leaves" if count == 1 else f"these {count} leave"
            yield from self._wrapped(f"on {paths} {leaves} open: {what}", _INDENT, f"{_INDENT}    ")

    def _verdicts(self) -> Iterator[str]:
        """Yield the paths, and for each field what is true of it on each of them."""
        if not self._is_wide:
            return
        yield "Paths:"
        for number, context in enumerate(self._contexts, 1):
            yield from self._wrapped(f"{_titled(context)}", f"  {number}  ", "         ")
        yield ""
        tables = overview.tables(self._contexts, self._names(), self._width - 2)
        for rows in tables:
            painted = [
                [self._cell(text, _OPEN.get(text, "") if at else "2") for text in row]
                for at, row in enumerate(rows)
            ]
            yield from table(painted, "  ", self._width)
            yield ""
        hints = []
        if any(text == overview.ABSENT for rows in tables for row in rows for text in row):
            hints.append(f"{overview.ABSENT}: no set-up that is skipped on that path stores it")
        if not self._options.verbose and any(
            one.verdict == "covered" for context in self._contexts for one in context.fields
        ):
            hints.append("--verbose tells what carries the inputs of what is covered")
        if hints:
            yield from self._wrapped("; ".join(hints), "  ", "  ")
            yield ""

    def _undecided(self) -> Iterator[str]:
        told = set()
        if self._is_wide:
            told = {
                (number, name)
                for unknown in self._report.undecided
                for numbers, names in overview.left_open(unknown, self._contexts)
                for number in numbers
                for name in names
            }
        open_ = [
            (context, result.name)
            for number, context in enumerate(self._contexts, 1)
            for result in context.fields
            if result.verdict == "unknown" and (number, result.name) not in told
        ]
        if not open_:
            return
        yield self._paint("Undecided:", _VERDICTS["unknown"])
        for context, name in open_:
            yield from self._wrapped(f"{safe(name)} of {_titled(context)}", "  ", "      ")
        yield ""

    def _unaffected(self) -> Iterator[str]:
        told = [name for name in self._names() if self._missing(name) is not None]
        if not told and self._names():
            told = self._names()[:1]
        if self._is_wide and not self._options.verbose:
            return
        for name in self._names():
            covered = self._covered(name)
            if not covered:
                continue
            total = counted(len(covered), "path")
            if name not in told and not self._options.verbose:
                yield f"Covered: {safe(name)} on {total}"
                yield ""
                continue
            missing = self._missing(name)
            word = "Covered" if missing is None else "Not affected"
            yield f"{word}: {safe(name)} on {total}"
            for context, result in covered:
                yield from self._reason(context, result, missing or ())
            yield ""

    def _reason(
        self, context: Context, result: FieldResult, missing: Sequence[str]
    ) -> Iterator[str]:
        in_a_table = self._options.verbose and bool(result.inputs)
        words = beside(result, missing) if in_a_table else why(result, missing)
        if self._is_wide:  # the paths have numbers
            number = self._contexts.index(context) + 1
            named = f"path {number}: {words}" if words else f"path {number}:"
            yield from self._wrapped(named, "  ", "    ")
        else:
            yield from self._wrapped(f"{_titled(context)}:", "  ", "      ")
            if words:
                yield from self._wrapped(words, "    ", "    ")
        if in_a_table:
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
        obligations = {r.obligation for context in self._contexts for r in context.fields}
        assumed = {a for context in self._contexts for r in context.fields for a in r.assumptions}
        return sorted(assumed - obligations)

    def _upstream(self) -> Iterator[str]:
        """Yield which commits closed upstream what is open here, and on which paths."""
        told: dict[str, dict[str, None]] = {}
        others: dict[str, dict[str, None]] = {}
        for finding in self._report.findings:
            known = self._options.known.get((finding.field, finding.entry), ())
            here = f"{safe(finding.context.initialiser)}()"
            for name in sorted({*finding.missing} - {one.input for one in known}):
                others.setdefault(f"{safe(name)} by no commit on record", {})[here] = None
            for one in known:
                since = f", in this series since {one.since}" if one.since else ""
                words = f"{safe(one.input)} by {one.closing.named}{since}"
                told.setdefault(words, {})[here] = None
        if told:
            yield "Closed upstream:"
            for words, ways in (told | others).items():
                yield from self._wrapped(f"{words}: {listed(list(ways))}", "  - ", "    ")
            yield ""

    def _assumptions(self) -> Iterator[str]:
        assumed = self._assumed()
        if not assumed:
            return
        yield "Assumptions:"
        for one in assumed:
            yield from self._wrapped(sentence(one), "  - ", "    ")
        yield ""

    def _obligations(self) -> Iterator[str]:
        """Yield once, for each state in which fields are not stored, which are not."""
        owed = overview.obligations(self._contexts)
        if not owed:
            return
        yield "Obligations of the readers:"
        for state, names in owed:
            are = "are" if len(names) > 1 else "is"
            words = (
                f"{listed([safe(name) for name in names])} {are} not stored with {safe(state)}, "
                f"and must not be read then"
            )
            yield from self._wrapped(words, "  - ", "    ")
        yield ""

    def _summary(self) -> Iterator[str]:
        report = self._report
        at = f" at {report.rev[:12]}" if report.rev and not self._options.change else ""
        summed = _change_summed(report, self._options) if self._options.change else _summed(report)
        accepted = report.suppressed and not report.findings
        colour = _VERDICTS["unknown" if accepted else report.verdict]
        text = f"{''.join(summed)}{at}"
        whole = f"{text} (assumptions above)" if self._assumed() else text
        if not self._options.terminal or len(whole) <= self._width:
            yield whole.replace(text, self._paint(text, colour), 1)
            return
        for line in self._wrapped(whole, "", "    "):
            yield self._paint(line, colour)

    # -- looks -----------------------------------------------------------------------------

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[m" if colour and self._options.colour else text

    def _cell(self, text: str, colour: str) -> Cell:
        return text, lambda shown: self._paint(shown, colour)

    def _wrapped(self, text: str, first: str, rest: str) -> Iterator[str]:
        return wrapped(text, first, rest, self._width)


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
    absent = beside(result, missing)
    if absent:
        follows = [f"{one} (carried by {by or 'the role as a whole'})" for one, by in told]
        return f"{absent}: {name} follows {listed(follows)}"
    # "is carried by" once is enough.
    first, *rest = (f"{one} is carried by {by or 'the role as a whole'}" for one, by in told)
    return ", ".join([first, *(text.replace(" is carried by ", " by ", 1) for text in rest)])


def beside(result: FieldResult, missing: Sequence[str]) -> str:
    """Say which of the inputs that are missing elsewhere are none here, "" for none."""
    absent = [safe(m) for m in missing if m not in {one.name for one in result.inputs}]
    if not absent:
        return ""
    return f"{listed(absent)} {'is not an input' if len(absent) == 1 else 'are not inputs'} here"


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


def _summed(report: Report) -> Iterator[str]:
    """Yield the parts of the summary."""
    contexts = [context for context in report.contexts if context.fields]
    having = dict.fromkeys(_VERDICTS, 0)
    for context in contexts:
        having[context.verdict] += 1
    total = counted(len(contexts), "path")
    hit = {(one.place, one.entry, one.context.context) for one in report.findings}
    here = sum((one.place, one.entry, one.context) in hit for one in contexts)
    some = f"{having['unknown']} of {total}" if having["unknown"] else ""
    open_ = report.undecided
    places = counted(len(open_), "place") + " not understood" if open_ else ""
    if report.findings:
        yield f"{counted(len(report.findings), 'gap')} on {here} of {total}"
        if report.suppressed:
            yield f"; {_suppressed(report)}"
        if some or places:
            yield f"; undecided: {', '.join(filter(None, [some, places]))}"
    elif report.suppressed:
        yield _suppressed(report)
        if some or places:
            yield f"; undecided: {', '.join(filter(None, [some, places]))}"
        else:
            yield f", no other on {total}"
    elif report.verdict == "unknown":
        yield f"undecided: {', '.join(filter(None, [some, places]))}"
    elif report.verdict == "not-guarded":
        yield "not guarded: no set-up is skipped on an equal role"
    else:
        yield f"no gap on {total}"
        if report.mentions:
            yield f"; {accounted(report)}"
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
    open_ = report.undecided
    if open_:
        told.append(f"undecided: {counted(len(open_), 'place')} not understood")
    yield "; ".join(told)
