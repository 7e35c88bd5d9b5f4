# SPDX-License-Identifier: GPL-2.0-only
"""Write repairs as the mails that git format-patch would make of them.

In: the outcome of a search, who sends, which tags. Out: one mail per repair, in the
manner of the KVM x86 maintainers: the change first, then why; below the cut what was
verified and what was not. Every number and name comes from the reports.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, TypeVar

from patchtool import __version__
from patchtool.errors import PatchError
from patchtool.model import FieldResult, Report, Witness, listed
from patchtool.outside import diff
from patchtool.repair.fix import FileChange, Key, OpenGap, Outcome, Repair, gaps, results
from patchtool.repair.register_access import parse_bit

if TYPE_CHECKING:
    from patchtool.replay.program import Addition

_Known = TypeVar("_Known")

WIDTH = 75
_NULL = {"sha1": "0" * 40, "sha256": "0" * 64}
_EFFECTS = {
    "root_level": "guest page tables are then walked from the wrong level",
    "shadow_root_level": "shadow page tables are then built with the wrong number of levels",
}
_STABLE = "stable@vger.kernel.org"
_NOBODY = "patchtool <patchtool@localhost>"


@dataclass(frozen=True, slots=True)
class Blame:
    """The commit that a patch fixes; ``release`` is the first that has it, or ""."""

    commit: str
    subject: str
    release: str
    origin: str
    """How it is known: a sentence for the notes."""
    unreleased: bool = False
    """Whether no release has it, so that no stable series needs the patch."""


@dataclass(frozen=True, slots=True)
class Backport:
    """The upstream commit that a patch brings to an older series, and what differs from it."""

    commit: str
    subject: str
    adjusted: tuple[str, ...]
    """What had to be adjusted, in words; nothing where the change is that of upstream."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Who sends a series, when, and what goes along."""

    author: str | None = None
    """``Name <mail>``, None where nobody is known."""
    seconds: int = 0
    offset: int = 0
    """Seconds east of UTC."""
    signoff: bool = False
    version: int = 1
    base: str | None = None
    cover: bool = False
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    blames: Mapping[str, Blame] = field(default_factory=dict)
    reaches: Mapping[str, str] = field(default_factory=dict)
    build: str = "Not built."
    tree: str = "this tree"
    """What was examined, for the changelog."""
    ids: str = "sha1"
    """The hash that names objects in the repository."""
    selftest: Selftest | None = None
    ran: tuple[str, ...] = ()
    """What a run on a kernel saw: a title, then an item for each order of two states."""
    series: str = ""
    """The stable series that the patches are for, as ``5.10.y``."""
    backports: Mapping[str, Backport] = field(default_factory=dict)
    """The upstream commits, by input."""
    closed: Mapping[str, str] = field(default_factory=dict)
    """How upstream closed a gap, in words, by input."""


@dataclass(frozen=True, slots=True)
class Selftest:
    """A patch of its own that adds a test of what a series closes."""

    inputs: tuple[str, ...]
    shown: tuple[str, ...]
    """For each pair of states that it loads: which, and where."""
    files: tuple[Addition, ...]
    left: tuple[str, ...] = ()
    """What it does not test, and why."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One file of a series; undecodable bytes of the diff are surrogate escapes."""

    name: str
    text: str

    @property
    def data(self) -> bytes:
        """The bytes to write."""
        return self.text.encode("utf-8", "surrogateescape")


def series(outcome: Outcome, settings: Settings) -> tuple[Mail, ...]:
    """Return the mails of a series, a cover letter first if one is wanted."""
    total = len(outcome.repairs) + (settings.selftest is not None)
    mails = [
        _mail(
            number,
            total,
            _subject(repair, settings),
            "\n\n".join(_changelog(repair, settings)) + "\n\n" + _trailers(repair, settings),
            "\n\n".join(_notes(number, outcome, repair, settings)),
            repair.files,
            settings,
        )
        for number, repair in enumerate(outcome.repairs, 1)
    ]
    for mail, repair in zip(mails, outcome.repairs, strict=True):
        _prove(mail, repair.files)
    if settings.selftest is not None:
        mails.append(_selftest(settings.selftest, total, settings))
        _prove(mails[-1], settings.selftest.files)
    if settings.cover and total:
        mails.insert(0, _cover(outcome, settings))
    return tuple(mails)


# -- the mail ------------------------------------------------------------------------------


def _mail(
    number: int,
    total: int,
    subject: str,
    body: str,
    notes: str,
    files: Sequence[FileChange | Addition],
    settings: Settings,
) -> Mail:
    text = body + (f"---\n{notes}\n\n" if notes else "\n")
    ids = settings.ids
    diffs = [diff.write(one.path, one.before, one.after, ids=ids) for one in files]
    text += _diffstat(diffs)
    text += "".join(f" create mode 100644 {f.path}\n" for f in files if f.before is None) + "\n"
    if notes:
        text += "".join(diffs)
    if settings.base and number == (0 if settings.cover else 1):
        text += f"\nbase-commit: {settings.base}\n"
    text += f"-- \npatchtool {__version__}\n\n"
    mark = f"v{settings.version}-" if settings.version > 1 else ""
    head = _headers(number, total, subject, text, settings)
    return Mail(f"{mark}{number:04}-{_slug(subject)}.patch", f"{head}\n{text}")


def _headers(number: int, total: int, subject: str, text: str, settings: Settings) -> str:
    from email.utils import format_datetime

    date = format_datetime(_date(settings))
    series = f" {settings.series}" if settings.series else ""
    version = f" v{settings.version}" if settings.version > 1 else ""
    count = f" {number:0{len(str(total))}}/{total}" if total > 1 or settings.cover else ""
    lines = [
        f"From {_NULL[settings.ids]} Mon Sep 17 00:00:00 2001",
        f"From: {_encoded(settings.author or _NOBODY)}",
        f"Date: {date}",
        f"Subject: [PATCH{series}{version}{count}] {subject}",
        *(f"To: {one}" for one in settings.to),
        *(f"Cc: {one}" for one in settings.cc),
    ]
    if not text.isascii():
        lines += [
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=UTF-8",
            "Content-Transfer-Encoding: 8bit",
        ]
    return "".join(f"{line}\n" for line in lines)


def _date(settings: Settings) -> datetime:

    zone = timezone(timedelta(seconds=settings.offset))
    return datetime.fromtimestamp(settings.seconds, zone)


def _encoded(address: str) -> str:
    """Return an address as a header takes it."""
    from email.utils import formataddr

    name, _, mail = address.rpartition(" <")
    return formataddr((name, mail.rstrip(">")))


def _slug(subject: str) -> str:
    """Return a subject as git turns it into a file name."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", subject).strip("-.")[:52].rstrip("-.")


def _diffstat(diffs: Sequence[str]) -> str:
    """Return the summary of a diff as git prints it."""
    counts: dict[str, tuple[int, int]] = {}
    for text in diffs:
        for one in diff.parse(text.encode("utf-8", "surrogateescape"), "the patch"):
            tags = [tag for hunk in one.hunks for tag, _ in hunk.lines]
            added, removed = counts.get(one.path, (0, 0))
            counts[one.path] = added + tags.count("+"), removed + tags.count("-")
    width = max(map(len, counts))
    digits = max(len(str(sum(pair))) for pair in counts.values())
    longest, room = max(map(sum, counts.values())), max(10, WIDTH - width - digits - 5)

    def bar(number: int) -> int:
        return number if longest <= room or not number else max(1, number * room // longest)

    lines = [
        f" {path:{width}} | {a + r:{digits}} {'+' * bar(a)}{'-' * bar(r)}\n"
        for path, (a, r) in sorted(counts.items())
    ]
    files, added, removed = len(counts), *map(sum, zip(*counts.values(), strict=True))
    summary = [f" {files} file{'s' * (files != 1)} changed"]
    if added or not removed:
        summary.append(f" {added} insertion{'s' * (added != 1)}(+)")
    if removed:
        summary.append(f" {removed} deletion{'s' * (removed != 1)}(-)")
    return "".join(lines) + ",".join(summary) + "\n"


def _prove(mail: Mail, files: Sequence[FileChange | Addition]) -> None:
    """Refuse a mail that does not yield exactly the files that were checked."""
    before = {one.path: one.before for one in files}
    after = diff.apply(diff.parse(mail.data, mail.name), before.get)
    if after != {one.path: one.after for one in files}:
        raise PatchError(f"{mail.name}: does not yield the files that were checked")


# -- the changelog -------------------------------------------------------------------------


def _subject(repair: Repair, settings: Settings) -> str:
    backport = _known(settings.backports, repair)
    if backport is not None:
        return backport.subject
    candidate = repair.candidate
    if candidate.kind == "invalidation":
        return f"KVM: x86/mmu: Invalidate MMU roles in {candidate.functions[0]}()"
    if candidate.kind == "clearing":
        return f"KVM: x86/mmu: Clear {candidate.member} before adding to it"
    verb = "Track" if candidate.declares else "Set"
    return f"KVM: x86/mmu: {verb} {_short(repair)} in the extended MMU role"


def _short(repair: Repair) -> str:
    """Return an input as a subject has room for it."""
    is_c = re.search(r"->|\(", repair.input) is not None
    handed = repair.candidate.kind == "handed"
    return repair.candidate.member if is_c or handed else repair.input


def _changelog(repair: Repair, settings: Settings) -> Iterator[str]:
    """Yield the paragraphs of a commit; what a backport has to say, upstream's author said."""
    backport = _known(settings.backports, repair)
    if backport is None:
        yield from _story(repair, settings)
        return
    yield f"commit {backport.commit} upstream."
    if backport.adjusted:
        told = "; ".join(backport.adjusted)
        yield _wrapped(f"[ Adjusted for {settings.series}: {told}. ]", "", "  ")


def _story(repair: Repair, settings: Settings) -> Iterator[str]:
    """Yield the paragraphs: the change, the problem, an example, who is affected, why so."""
    yield _wrapped(_change(repair))
    yield _wrapped(_problem(repair))
    yield from _example(repair)
    yield _items("Affected:", _affected(repair))
    others = _unaffected(repair)
    if others:
        yield _items("Not affected:", others)
    yield _wrapped(
        _known(settings.reaches, repair)
        or "Which sequence of events leads from one state to the other was not analysed."
    )
    yield _wrapped(_WHY[repair.candidate.kind])
    shown = (
        f"a full configuration does not determine {listed(_fields(repair))}"
        if repair.candidate.kind == "clearing"
        else f"equal roles do not imply an equal {listed(_fields(repair))}"
    )
    yield _wrapped(
        f"The gap was found by static analysis with patchtool {__version__}: 'patchtool "
        f"fix' on {settings.tree} decided that {shown}, and generated the change and this "
        "description."
    )


def _change(repair: Repair) -> str:
    candidate = repair.candidate
    functions = listed([f"{name}()" for name in candidate.functions])
    if candidate.kind == "clearing":
        return (
            f"Clear {candidate.member} in {functions} before bits are added to it, so that it "
            "holds those of the present state alone."
        )
    if candidate.kind == "invalidation":
        mmus, roles = ("MMU", "role") if len(candidate.contexts) == 1 else ("MMUs", "roles")
        return (
            f"Invalidate the {roles} of {listed(candidate.contexts)} in {functions}, so that KVM "
            f"does not skip configuring the {mmus} after a change of "
            f"{listed(repair.inputs, 'or')}."
        )
    wide = f", {candidate.width} bits wide," if candidate.width > 1 else ""
    what = (
        f"Add {candidate.member}{wide} to {candidate.union} and set it in {functions}"
        if candidate.declares
        else f"Set {candidate.member} of {candidate.union} in {functions}"
    )
    if candidate.masks:
        what += f", and let {listed(candidate.masks)} pass {candidate.title}"
    changed = candidate.title
    if candidate.kind == "handed":
        changed = _handed(repair) or listed(repair.inputs, "or")
    return f"{what}, so that KVM does not skip configuring the MMU after a change of {changed}."


_EXTENDED = (
    "Use the extended role, as the base role also identifies shadow pages: a bit that only "
    "steers the configuration would multiply them."
)
_WHY = {
    "member": _EXTENDED,
    "handed": _EXTENDED,
    "invalidation": "Invalidate instead of adding to the role: what it lacks changes only where "
    "user space tells the guest of its CPU, which is rare, and the role stays as small as it is.",
    "clearing": "No role can help here, as the configuration is not skipped.",
}
"""Why the change is made where it is."""
_MEMBERS = {"member", "handed"}
"""The kinds of change that let the role carry more."""


def _problem(repair: Repair) -> str:
    initialisers = list(dict.fromkeys(f"{key[0]}()" for key in repair.closed))
    fields = _fields(repair)
    effects = listed([_EFFECTS[f] for f in fields if f in _EFFECTS])
    if repair.candidate.kind == "clearing":
        configure = "configures" if len(initialisers) == 1 else "configure"
        return (
            f"{listed(initialisers)} {configure} a context that an earlier configuration has "
            f"left behind. Bits are added to {listed(fields)}, which is not cleared before, so "
            "those of the earlier state survive."
        )
    skip = "skips" if len(initialisers) == 1 else "skip"
    depend = "depends" if len(fields) == 1 else "depend"
    handed = _handed(repair)
    inputs = handed or listed(repair.inputs or (repair.input,))
    them = "it" if handed else inputs if len(repair.inputs) < 2 else "them"
    return (
        f"{listed(initialisers)} {skip} the configuration when the new role equals the "
        f"role that the context holds. {listed(fields)} {depend} on {inputs}, "
        f"but the role does not determine {them}, so a stale value is kept"
        f"{': ' if effects else ''}{effects}."
    )


def _handed(repair: Repair) -> str:
    """Return in words which bit of a register a set-up is handed; "" where it is none."""
    is_bit = repair.candidate.kind == "handed" and parse_bit(repair.input) is not None
    return f"the {repair.input} that the set-up is handed" if is_bit else ""


def _example(repair: Repair) -> Iterator[str]:
    """Yield a witness as a table; nothing where no witness is about this input."""
    if repair.candidate.kind == "clearing":
        yield from _history(repair)
        return
    found = _witness(repair)
    if found is None:
        return
    key, one, witness = found
    yield _wrapped(
        f"For example, two states with the same role on the path {_path(key)} that need "
        f"different values of {one.name}:"
    )
    yield _table(one, witness)
    if witness.needs:
        yield _wrapped(f"That takes a host with {listed(witness.of_host(needed=True))}.")


def _history(repair: Repair) -> Iterator[str]:
    """Yield three states, the last of which leaves what the one before it decides."""
    open_ = gaps(repair.before)
    key = min(repair.closed, key=lambda k: k[1] != "root_mmu")
    one = open_[key]
    witness = one.accumulated
    if witness is None:
        return
    yield _wrapped(
        f"For example, on the path {_path(key)} state C leaves another value of {one.name} "
        "after state A than after state B:"
    )
    after = ("after A", "after B")
    rows: list[tuple[str, ...]] = [("", "state A", "state B", "state C")]
    rows += [(given.name, *given.words) for given in witness.inputs]
    told = [f"  {_valued(one, witness)} {when}: {value}"
            for when, value in zip(after, witness.said, strict=True)]  # fmt: skip
    yield "\n".join([_columns(rows), *told])


def _witness(repair: Repair) -> tuple[Key, FieldResult, Witness] | None:
    """Return the witness that shows an input best: alone, and with the fewest others."""
    open_ = gaps(repair.before)
    found = [
        (key, open_[key], witness)
        for key in repair.closed
        for witness in (open_[key].witness, *open_[key].others)
        if witness is not None and set(repair.inputs or (repair.input,)) & set(witness.differs)
    ]
    return min(found, key=lambda f: (len(f[2].differs), f[0][1] != "root_mmu"), default=None)


def _table(one: FieldResult, witness: Witness) -> str:
    deciding = {(given.name, given.source) for given in one.inputs}
    plain = [name for name, _ in witness.a]
    rows = [
        (given.name, *given.words)
        for name, given in zip(plain, witness.inputs, strict=True)
        if given.values[0] != given.values[1] or (name, given.source) in deciding
    ]
    rows += [(name, f"{value:#x}", f"{value:#x}") for name, value in witness.role]
    before, after = witness.said
    rows.append((_valued(one, witness), before, after))
    rows.insert(0, ("", "state A", "state B"))
    return _columns(rows)


def _columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table no wider than a changelog, names broken at blanks where they have to be."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    room = WIDTH - sum(2 + width for width in widths[1:]) - 2
    lines = []
    for name, *values in rows:
        first, *rest = textwrap.wrap(name, max(room, 20), break_long_words=False) or [""]
        cells = "".join(f"  {value:>{w}}" for value, w in zip(values, widths[1:], strict=True))
        lines += [f"  {first:{min(widths[0], room)}}{cells}", *(f"    {more}" for more in rest)]
    return "\n".join(line.rstrip() for line in lines)


def _valued(one: FieldResult, witness: Witness) -> str:
    """Return what the values of a witness are of."""
    return f"{one.name if witness.element.startswith('[') else ''}{witness.element}" or one.name


def _affected(repair: Repair) -> list[str]:
    """Return the paths that a repair closes, with the fields that go stale."""
    paths: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for initialiser, context, entry, name in repair.closed:
        paths.setdefault((context, entry or (initialiser,)), []).append(name)
    told = len(_fields(repair)) > 1
    return [
        f"{context}, configured by {_calls(entry)}{f': {listed(names)}' if told else ''}"
        for (context, entry), names in paths.items()
    ]


def _unaffected(repair: Repair) -> list[str]:
    """Return the paths that were covered before, each with the reason."""
    found: list[str] = []
    fields = _fields(repair)
    if repair.candidate.kind not in _MEMBERS:
        return found
    for key, (_, one) in results(repair.before).items():
        if one.verdict == "covered" and one.name == fields[0]:
            found.append(f"{key[1]}, configured by {_path(key)}: {_reason(one, repair.input)}")
    return list(dict.fromkeys(found))


def _reason(one: FieldResult, name: str) -> str:
    carriers = [c for given in one.inputs if given.name == name for c in given.covered_by]
    if carriers:
        carry = "carries" if len(carriers) == 1 else "carry"
        return f"{listed(carriers)} {carry} {name}"
    if any(given.name == name for given in one.inputs):
        return f"the role as a whole determines {name}"
    return f"{one.name} does not depend on {name}"


def _trailers(repair: Repair, settings: Settings) -> str:
    lines = []
    blame = _known(settings.blames, repair)
    # The tags of a backport are those of the upstream commit.
    if blame is not None and _known(settings.backports, repair) is None:
        lines.append(f'Fixes: {blame.commit[:12]} ("{blame.subject}")')
        since = f" # {blame.release}+" if blame.release else ""
        lines += [] if blame.unreleased else [f"Cc: {_STABLE}{since}"]
    if settings.signoff and settings.author:
        lines.append(f"Signed-off-by: {settings.author}")
    return "".join(f"{line}\n" for line in lines)


# -- below the cut -------------------------------------------------------------------------


def _notes(number: int, outcome: Outcome, repair: Repair, settings: Settings) -> Iterator[str]:
    """Yield what was verified, what stays open, what was not done."""
    backport = _known(settings.backports, repair)
    if backport is not None:
        yield _wrapped(
            "The upstream commit has another author: before sending, take From:, the changelog "
            f"and all tags from it (git log -1 {backport.commit[:12]}), put them below its line "
            "above, and sign off behind them."
        )
    yield _items(
        f"Verified by patchtool {__version__}, verdict on the tree before this patch: "
        f"{repair.before.verdict}, after: {repair.after.verdict}.",
        [f"{key[1]}, {_path(key)}: {_turn(repair, key)}" for key in repair.closed],
    )
    last = number == len(outcome.repairs)
    left = [o for o in outcome.open if o.input == repair.input or last]
    if left:
        yield _items("Not closed:", open_gaps(left))
    assumed = _assumptions(repair.after, repair.closed)
    if assumed:
        yield _items("The proof rests on:", assumed)
    blame = _known(settings.blames, repair)
    if settings.ran:
        yield _items(settings.ran[0], settings.ran[1:])
    told = [settings.build]
    if not settings.ran:
        told.append("Not run: neither KVM selftests nor kvm-unit-tests.")
    if backport is not None:
        if not backport.adjusted:
            told.append("The change is that of the upstream commit; nothing was adjusted.")
    else:
        told.append(blame.origin if blame else "No Fixes tag: the commit to blame is not known.")
        closed = _known(settings.closed, repair)
        if closed is not None:
            told.append(f"Upstream closed this gap with {closed}.")
    if _known(settings.reaches, repair) is not None:
        told.append("How the states are reached is on record, not derived from the tree.")
    if settings.author is None:
        told.append("No author was known; set From before sending.")
    yield _wrapped(" ".join(told))
    if backport is not None:
        yield from _story(repair, settings)


def _selftest(one: Selftest, total: int, settings: Settings) -> Mail:
    """Return the patch that adds the test, the last one of its series."""
    body = [
        _wrapped(
            "Add a test that loads two register states one after the other which need "
            "different values of root_level, and lets KVM_TRANSLATE walk page tables that "
            "are valid at any depth and tell which root_level KVM uses. The states of a pair "
            "had equal MMU roles before this series."
        ),
        _items("Each in both orders, and each state alone as a control:", one.shown),
        _wrapped(
            "Without TDP the test is skipped, and so is, without nested NPT, what needs it. "
            f"The test was generated by patchtool {__version__}."
        ),
    ]
    notes = []
    if one.left:
        notes.append(_items("Not tested:", one.left))
    if settings.ran:
        notes.append(_items(settings.ran[0], settings.ran[1:]))
        notes.append("That was the plain form of the test; this form was not run.")
    else:
        notes.append("Not run.")
    signed = f"Signed-off-by: {settings.author}\n"
    trailers = signed if settings.signoff and settings.author else ""
    return _mail(
        total,
        total,
        f"KVM: selftests: Test that root_level follows {listed(one.inputs)}",
        "\n\n".join(body) + "\n\n" + trailers,
        "\n\n".join(notes),
        one.files,
        settings,
    )


def open_gaps(some: Sequence[OpenGap]) -> list[str]:
    """Say in one line each what stays open and why, alike fields and alike paths together."""
    fields: dict[tuple[str, str, tuple[str, ...], str], list[OpenGap]] = {}
    for one in some:
        fields.setdefault(
            (one.input, one.key[1], one.key[2] or one.key[:1], one.reason), []
        ).append(one)
    found: dict[tuple[str, str, str], list[OpenGap]] = {}
    for (name, _, _, reason), group in fields.items():
        names = listed(sorted({one.key[3] for one in group}))
        found.setdefault((names, name, reason), []).append(group[0])
    return [
        _open(names, what, _where(group[0]) if len(group) == 1 else f"{len(group)} paths", reason)
        for (names, what, reason), group in found.items()
    ]


def open_gap(one: OpenGap) -> str:
    """Say in one line what stays open and why."""
    return _open(one.key[3], one.input, _where(one), one.reason)


def _open(fields: str, name: str, where: str, reason: str) -> str:
    return f"{fields}: {f'{name} on ' if name else 'on '}{where}: {reason}"


def _where(one: OpenGap) -> str:
    return f"{one.key[1]}, {_path(one.key)}"


def _turn(repair: Repair, key: Key) -> str:
    """Say what happened to one field on one path."""
    after = results(repair.after)[key][1]
    if after.verdict == "gap" and repair.candidate.kind == "clearing":
        return f"{key[3]} keeps no old bits any more, still {_still(after)}"
    if after.verdict == "gap":
        was = results(repair.before)[key][1]
        gone = [name for name in repair.inputs if name in set(was.missing) - set(after.missing)]
        return f"{key[3]} no longer misses {listed(gone)}, still {_still(after)}"
    return f"{key[3]} gap -> {after.verdict}"


def _still(after: FieldResult) -> str:
    """Say what stays wrong with a field."""
    if after.missing:
        return f"misses {listed(after.missing)}"
    if after.unlike is not None:
        return "is stored otherwise by a set-up that is skipped"
    if after.before:
        return f"goes by what {listed(after.before)} held before"
    return "keeps old bits" if after.accumulated is not None else "is not always stored"


def _assumptions(report: Report, closed: Sequence[Key]) -> list[str]:
    known = results(report)
    return sorted({one for key in closed for one in known[key][1].assumptions})


def _cover(outcome: Outcome, settings: Settings) -> Mail:
    inputs = listed(list(dict.fromkeys(n for r in outcome.repairs for n in r.inputs)))
    kinds = {repair.candidate.kind for repair in outcome.repairs}
    subject = f"KVM: x86/mmu: Track {inputs} in the extended MMU role"
    if not kinds <= _MEMBERS:
        subject = "KVM: x86/mmu: Fix what a skipped configuration leaves stale"
    elif len(subject) > WIDTH:
        subject = "KVM: x86/mmu: Complete the extended MMU role"
    parts = [
        _wrapped(
            f"KVM skips the configuration of an MMU when the newly calculated role equals "
            f"the stored one. On this tree the role does not determine {inputs}; each "
            f"patch adds one of them and was checked by itself."
            if kinds <= _MEMBERS
            else "KVM skips the configuration of an MMU when the newly calculated role equals "
            "the stored one, and some of what is configured then does not fit the state. Each "
            "patch closes one cause and was checked by itself."
        ),
        _items(
            f"Verdict before the series: {outcome.first.verdict}, after: {outcome.last.verdict}.",
            [_subject(repair, settings) for repair in outcome.repairs],
        ),
    ]
    if outcome.open:
        parts.append(_items("Not closed:", open_gaps(outcome.open)))
    if settings.ran:
        parts.append(_items(settings.ran[0], settings.ran[1:]))
    parts.append(_wrapped(settings.build if settings.ran else f"{settings.build} Not run."))
    files: list[FileChange | Addition] = [f for r in outcome.repairs for f in r.files]
    total = len(outcome.repairs)
    if settings.selftest is not None:
        files += settings.selftest.files
        total += 1
    return _mail(0, total, subject, "\n\n".join(parts) + "\n", "", files, settings)


def _known(found: Mapping[str, _Known], repair: Repair) -> _Known | None:
    """Return what is known of an input, for the first of the repairs that are for it."""
    return None if repair.is_more else found.get(repair.input)


# -- words ---------------------------------------------------------------------------------


def _fields(repair: Repair) -> list[str]:
    return list(dict.fromkeys(key[3] for key in repair.closed))


def _path(key: Key) -> str:
    return _calls(key[2] or (key[0],))


def _calls(entry: Sequence[str]) -> str:
    return " -> ".join(f"{name}()" for name in entry)


def _wrapped(text: str, first: str = "", rest: str = "") -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _items(title: str, items: Sequence[str]) -> str:
    lines = [_wrapped(title), *(_wrapped(item, "  - ", "    ") for item in items)]
    return "\n".join(lines)
