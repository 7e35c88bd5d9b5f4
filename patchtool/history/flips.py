# SPDX-License-Identifier: GPL-2.0-only
"""Find the commits at which the verdict on a field flips.

In: a repository, a range, fields.  Out: every flip with the commit that made it, the
one that introduced a gap, and whether the history was all there.  Commits are walked
along all parents; one that changes nothing the engine looked at keeps its verdict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from patchtool.errors import InputError, UsageError
from patchtool.history.cache import Store, folder
from patchtool.history.verdicts import ABSENT, Gap, Outcome, State
from patchtool.history.walker import Block, Counts, Walker, full_path, is_missing
from patchtool.outside.git import Repository
from patchtool.rules.table import USUAL, Rule

Kind = Literal["introduced", "reintroduced", "closed", "undecided", "decided"]

_BLOCK = 256
"""How many commits are one unit of work, and one file of the cache."""


# -- one flip ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flip:
    """One commit at which the verdict on some inputs of a path changes."""

    commit: str
    subject: str
    date: str
    before: State
    after: State
    missing: tuple[str, ...]
    kind: Kind
    path: str
    field: str

    @property
    def fixes(self) -> str:
        """The line by which a patch names this commit."""
        return f'Fixes: {self.commit[:12]} ("{self.subject}")'


@dataclass(frozen=True, slots=True)
class Open:
    """One input that the newest commit misses, on some paths; ``since`` may not be known."""

    field: str
    input: str
    paths: tuple[str, ...]
    since: Flip | None
    state: State
    """``gap``, or ``unknown`` where the newest commit could not be decided."""


@dataclass(frozen=True, slots=True)
class History:
    """All flips of a range, oldest first."""

    flips: tuple[Flip, ...]
    introduced: Flip | None
    """The first commit of those that what is open comes from; with nothing open, the first
    that ever opened a gap."""
    complete: bool
    verdict: State
    """The verdict at the newest commit."""
    notes: tuple[str, ...] = ()
    """Why something is not known, and what would help."""
    counts: Counts = field(default_factory=Counts)
    open: tuple[Open, ...] = ()


Progress = Callable[[int, int], None]
"""Told how many commits of how many are done."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to walk."""

    fields: tuple[str, ...] = USUAL.usual
    rule: Rule = USUAL
    jobs: int = 1
    cache: bool = True
    paranoid: bool = False
    """Decide every commit as well, and compare."""
    progress: Progress | None = None


def history(
    repository: Repository,
    range: str | None = None,  # noqa: A002
    fields: Sequence[str] = USUAL.usual,
    settings: Settings | None = None,
) -> History:
    """Walk a range, all of HEAD's history by default, and return every flip."""
    walk = _walk(repository, range, replace(settings or Settings(), fields=tuple(fields)))
    return _Flips(repository, walk).history()


def introduced(
    repository: Repository,
    rev: str,
    missing: Sequence[str],
    settings: Settings | None = None,
) -> Flip | None:
    """Return the commit at which the inputs that a revision misses went missing.

    With several inputs it is the first from which all of them are missing.  None where
    the history at hand cannot prove it.
    """
    walk = _walk(repository, rev, settings or Settings())
    flips = _Flips(repository, walk)
    found = [flips.origin(name) for name in missing]
    if not found or None in found:
        return None
    return flips.told(max(one for one in found if one is not None))


def outcomes(
    repository: Repository, commits: Sequence[str], settings: Settings
) -> tuple[dict[str, Outcome], Counts]:
    """Return what each of some commits is found to be, and what that cost."""
    walker = Walker(
        repository, settings.rule, settings.fields, Store(folder() if settings.cache else None)
    )
    found = {one: known for one in commits if (known := walker.decided(one)) is not None}
    open_ = [one for one in commits if one not in found]
    told = settings.progress or _silent
    if settings.jobs > 1 and len(open_) > 1:
        from patchtool.history.workers import Team

        with Team(walker, min(settings.jobs, len(open_))) as team:
            for commit, outcome in zip(open_, team.alone(open_), strict=True):
                found[commit] = outcome
                told(len(found), len(commits))
        return found, walker.counts
    for commit in open_:
        found[commit] = walker.alone(commit)
        repository.forget()
        told(len(found), len(commits))
    return found, walker.counts


_VERSION = re.compile(r"v(\d+)\.(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-rc(\d+))?\Z")


def first_tag(repository: Repository, commit: str) -> str | None:
    """Return the earliest release that contains a commit, by the order of versions."""
    out = repository.run("tag", "--list", "--contains", commit, "v[0-9]*")
    known = [(order, tag) for tag in out.split() if (order := _order(tag)) is not None]
    return min(known)[1] if known else None


def is_behind_release(repository: Repository, commit: str) -> bool:
    """Tell whether there was a release before a commit, as far as tags tell."""
    earlier = repository.run("tag", "--list", "--merged", commit, "v[0-9]*")
    return any(_order(tag) is not None for tag in earlier.split())


def _order(tag: str) -> tuple[int, ...] | None:
    match = _VERSION.match(tag)
    if match is None:
        return None
    *numbers, candidate = (int(part) if part else 0 for part in match.groups())
    return (*numbers, candidate or 1 << 30)


def stable_note(tag: str) -> str:
    """Return the remark that tells stable from which release on: ``# x.y+``."""
    return f"# {tag.removeprefix('v').partition('-rc')[0]}+"


# -- the commits --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Commits:
    """The commits that touch something, parents first."""

    order: tuple[str, ...]
    parents: Mapping[str, tuple[str, ...]]
    outside: tuple[str, ...]
    """Parents that lie before the range."""
    cut: frozenset[str]
    """Commits whose parents are not in this clone."""


@dataclass(frozen=True, slots=True)
class _Walk:
    """The commits with what each was found to be."""

    commits: _Commits
    outcomes: Mapping[str, Outcome]
    tip: Outcome
    counts: Counts
    partial: bool
    limited: bool
    path: str


def _ends(repository: Repository, given: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the newest commit of a range and those before it."""
    text = given or "HEAD"
    if "..." in text:
        raise UsageError(f"{text!r} is not a range; give A..B or one revision")
    low, dots, high = text.rpartition("..")
    tip = repository.resolve(high or "HEAD")
    if not dots:
        return tip, ()
    start = repository.resolve(low or "HEAD")
    if start != tip and not repository.run("rev-list", "--max-count=1", tip, f"^{start}").strip():
        raise UsageError(
            f"{text} holds no commit, as {low or 'HEAD'} comes after {high or 'HEAD'}; did you "
            f"mean {high or 'HEAD'}..{low or 'HEAD'}?"
        )
    return tip, (start,)


def _listed(
    repository: Repository, tip: str, before: Sequence[str], paths: Sequence[str]
) -> _Commits:
    out = repository.run(
        "rev-list", "--full-history", "--simplify-merges", "--parents", "--topo-order",
        "--reverse", tip, *(f"^{one}" for one in before), "--",
        *(f":(literal){full_path(repository, path)}" for path in paths),
    )  # fmt: skip
    parents: dict[str, tuple[str, ...]] = {}
    for line in out.splitlines():
        commit, *above = line.split()
        parents[commit] = tuple(dict.fromkeys(above))
    outside = {one: None for above in parents.values() for one in above if one not in parents}
    roots = [one for one, above in parents.items() if not above] if repository.is_shallow else []
    cut = (one for one in roots if "\nparent " in _header(repository, one))
    return _Commits(tuple(parents), parents, tuple(outside), frozenset(cut))


def _header(repository: Repository, commit: str) -> str:
    return repository.run("cat-file", "commit", commit).partition("\n\n")[0]


# -- the whole walk ----------------------------------------------------------------------------


def _walk(repository: Repository, given: str | None, settings: Settings) -> _Walk:
    tip, before = _ends(repository, given)
    store = Store(folder() if settings.cache else None)
    walker = Walker(repository, settings.rule, settings.fields, store)
    walker.paranoid = settings.paranoid
    last = walker.probe(tip)
    probed = False
    while True:
        paths = walker.paths
        commits = _listed(repository, tip, before, paths)
        if not probed:
            # Old trees read other headers: look at a few before the long walk.
            probed = True
            for number in range(4):
                if commits.order:
                    _quietly(walker, commits.order[len(commits.order) * number // 4])
            if walker.paths != paths:
                continue
        outcomes = _all(walker, commits, paths, settings)
        if not walker.short:
            break
    if last.verdict == "absent" and all(o.verdict == "absent" for o in outcomes.values()):
        raise InputError(
            f"{repository.path} holds no kernel with {settings.rule.target.name} in that range: "
            f"there is no {settings.rule.target.header}; give the folder of a Linux repository"
        )
    return _Walk(
        commits, outcomes, last, walker.counts, repository.is_partial,
        bool(before), repository.path,
    )  # fmt: skip


def _quietly(walker: Walker, commit: str) -> None:
    try:
        walker.probe(commit)
    except InputError as error:
        if not (walker.repository.is_partial and is_missing(error)):
            raise


def _silent(_: int, __: int) -> None:
    """Tell nobody how far a walk is."""


def _all(
    walker: Walker, commits: _Commits, paths: tuple[str, ...], settings: Settings
) -> dict[str, Outcome]:
    """Return the outcome of every commit of a list."""
    walker.track(paths)
    order = (*commits.outside, *commits.order)
    blocks: list[Block] = []
    for start in range(0, len(order), _BLOCK):
        part = order[start : start + _BLOCK]
        blocks.append((part, tuple(next(iter(commits.parents.get(c, ())), None) for c in part)))
    outcomes: dict[str, Outcome] = {}
    open_ = []
    for block in blocks:
        known = walker.kept(block[0])
        if known is None:
            open_.append(block)
        else:
            outcomes.update(zip(block[0], known, strict=True))
    told = settings.progress or _silent
    before = len(outcomes)
    work = _spread if settings.jobs > 1 else _in_turn
    for commit, outcome in work(walker, open_, paths, settings):
        outcomes[commit] = outcome
        told(len(outcomes), len(order))
    if len(outcomes) > before and not walker.short:
        for part, _ in open_:
            walker.keep(part, [outcomes[commit] for commit in part])
    return outcomes


def _in_turn(
    walker: Walker, blocks: list[Block], _: tuple[str, ...], __: Settings
) -> Iterator[tuple[str, Outcome]]:
    for block in blocks:
        yield from walker.block(*block)


def _spread(
    walker: Walker, blocks: list[Block], paths: tuple[str, ...], settings: Settings
) -> Iterator[tuple[str, Outcome]]:
    """Work on pieces of blocks in several processes; they meet in the cache."""
    from patchtool.history.workers import Team

    total = sum(len(part) for part, _ in blocks)
    # Some more than there are processes, as one may take longer than another.
    size = max(1, min(_BLOCK, -(-total // (4 * settings.jobs))))
    pieces = [
        (part[at : at + size], parents[at : at + size])
        for part, parents in blocks
        for at in range(0, len(part), size)
    ]
    if len(pieces) < 2:
        yield from _in_turn(walker, blocks, paths, settings)
        return
    with Team(walker, min(settings.jobs, len(pieces))) as team:
        for (part, _), found in zip(pieces, team.blocks(pieces, paths), strict=True):
            yield from zip(part, found, strict=True)


# -- flips -----------------------------------------------------------------------------------------


class _Flips:
    """Compares commits with all their parents."""

    def __init__(self, repository: Repository, walk: _Walk) -> None:
        self._repository = repository
        self._walk = walk
        self._parents = walk.commits.parents
        self._place = {commit: i for i, commit in enumerate(walk.commits.order)}
        self._held: dict[str, frozenset[Gap]] = {}
        self._ever: dict[str, frozenset[Gap]] = {}
        self._rows: list[tuple[str, State, State, tuple[str, ...], Kind, str, str]] = []
        self._starts: dict[tuple[str, Gap], None] = {}
        for commit in (*walk.commits.outside, *walk.commits.order):
            self._compare(commit)

    def _compare(self, commit: str) -> None:
        now = self._walk.outcomes[commit]
        above = self._parents.get(commit, ())
        held = frozenset().union(*(self._held[p] for p in above)) if above else frozenset()
        known = {gap for gap in held if now.state(gap) in ("unknown", "unreadable")}
        self._held[commit] = now.gaps | known
        ever = frozenset().union(*(self._ever[p] for p in above)) if above else frozenset()
        self._ever[commit] = ever | now.gaps
        if commit not in self._parents or commit in self._walk.commits.cut:
            return
        before = [self._walk.outcomes[p] for p in above] or [ABSENT]
        groups: dict[tuple[State, State, Kind, str, str], list[str]] = {}
        for gap in sorted(now.gaps | held):
            kind = self._kind(gap, now, before, ever, held)
            if kind is None:
                continue
            if kind in ("introduced", "reintroduced"):
                self._starts[commit, gap] = None
            group = (before[0].state(gap), now.state(gap), kind, gap.path, gap.field)
            groups.setdefault(group, []).append(gap.input)
        if not groups:
            self._overall(commit, now, before)
        for (old, new, kind, path, name), inputs in groups.items():
            self._rows.append((commit, old, new, tuple(inputs), kind, path, name))

    def _kind(
        self,
        gap: Gap,
        now: Outcome,
        before: list[Outcome],
        ever: frozenset[Gap],
        held: frozenset[Gap],
    ) -> Kind | None:
        """Return what a commit does to a gap, None where it does nothing that is known."""
        state = now.state(gap)
        old = [one.state(gap) for one in before]
        if state in old or state == "unreadable" or "unreadable" in old:
            return None
        if state == "unknown":
            return "undecided" if "gap" in old else None
        if state == "gap":
            if "unknown" in old:
                return "decided"
            return "reintroduced" if gap in ever else "introduced"
        if "gap" in old:
            return "closed"
        return "decided" if "unknown" in old and gap in held else None

    def _overall(self, commit: str, now: Outcome, before: list[Outcome]) -> None:
        """Note that a commit as a whole became undecided, or decided again."""
        verdicts = [one.verdict for one in before]
        if now.verdict in verdicts or {"absent", "unreadable"} & {now.verdict, *verdicts}:
            return
        if now.verdict == "unknown":
            self._rows.append((commit, verdicts[0], now.verdict, (), "undecided", "", ""))
        elif "unknown" in verdicts:
            self._rows.append((commit, "unknown", now.verdict, (), "decided", "", ""))

    # -- which commit a gap comes from -------------------------------------------------------

    def origin(self, name: str) -> int | None:
        """Return the place of the commit from which the newest one misses an input."""
        order = self._walk.commits.order
        if not order:
            return None
        gaps = [gap for gap in self._held[order[-1]] if gap.input == name]
        found = [self._origin(order[-1], gap) for gap in gaps]
        known = [one for one in found if one is not None]
        return min(known) if known and len(known) == len(found) else None

    def _origin(self, commit: str, gap: Gap) -> int | None:
        """Follow a gap down to where it began; None where that cannot be told."""
        starts: list[int] = []
        seen = {commit}
        todo = [commit]
        while todo:
            here = todo.pop()
            if (here, gap) in self._starts:
                starts.append(self._place[here])
                continue
            above = [p for p in self._parents.get(here, ()) if gap in self._held[p]]
            if not above:
                return None
            for one in above:
                if one not in seen:
                    seen.add(one)
                    todo.append(one)
        return min(starts, default=None)

    # -- in words ------------------------------------------------------------------------------

    def told(self, place: int) -> Flip:
        """Return the introducing flip of a commit, all its inputs together."""
        commit = self._walk.commits.order[place]
        rows = [r for r in self._rows if r[0] == commit and r[4] in ("introduced", "reintroduced")]
        missing = tuple(sorted({name for row in rows for name in row[3]}))
        first = min(rows, key=lambda row: (row[4] != "introduced", row[5]))
        subject, date = self._words([commit])[commit]
        return Flip(
            commit, subject, date, first[1], first[2], missing, first[4],
            ", ".join(dict.fromkeys(row[5] for row in rows)),
            ", ".join(dict.fromkeys(row[6] for row in rows)),
        )  # fmt: skip

    def history(self) -> History:
        """Return the flips with their subjects, and the commit to blame."""
        words = self._words([row[0] for row in self._rows])
        flips = tuple(
            Flip(commit, *words[commit], old, new, missing, kind, path, name)
            for commit, old, new, missing, kind, path, name in self._rows
        )
        start, notes = self._blamed()
        walk = self._walk
        unreadable = sum(o.verdict == "unreadable" for o in walk.outcomes.values())
        complete = not walk.commits.cut and not unreadable
        if walk.commits.cut:
            notes.append(
                f"the history is shallow and ends at {listed_short(walk.commits.cut)}; get all of "
                f"it with `git -C {walk.path} fetch --unshallow --tags`, or more with "
                f"`git -C {walk.path} fetch --deepen=1000`"
            )
        if unreadable:
            notes.append(
                f"{unreadable} commits need objects that this partial clone does not hold; get "
                f"them with `git -C {walk.path} fetch --refetch --no-filter`"
            )
        introducing = self.told(start) if start is not None else None
        return History(
            flips, introducing, complete, walk.tip.verdict, tuple(notes), walk.counts,
            tuple(self._open()),
        )  # fmt: skip

    def _open(self) -> Iterator[Open]:
        """Yield what is open at the newest commit, each input with all its paths."""
        tip = self._walk.tip
        order = self._walk.commits.order
        gaps = self._held[order[-1]] if order else tip.gaps
        together: dict[tuple[str, str], list[Gap]] = {}
        for gap in sorted(gaps):
            together.setdefault((gap.field, gap.input), []).append(gap)
        for (name, missing), some in together.items():
            starts = [self._origin(order[-1], gap) for gap in some] if order else [None]
            known = [at for at in starts if at is not None]
            since = self.told(min(known)) if known and len(known) == len(starts) else None
            states = {tip.state(gap) for gap in some}
            state: State = "gap" if "gap" in states else "unknown"
            yield Open(name, missing, tuple(gap.path for gap in some), since, state)

    def _blamed(self) -> tuple[int | None, list[str]]:
        """Return the place of the commit to name, and what is open.

        That is the first from which the newest commit misses something; where it misses
        nothing, the first that ever did.
        """
        order = self._walk.commits.order
        gaps = sorted(self._held[order[-1]]) if order else []
        if not gaps:
            return min((self._place[commit] for commit, _ in self._starts), default=None), []
        origins = {gap: self._origin(order[-1], gap) for gap in gaps}
        notes = []
        open_ = sorted({gap.input for gap, at in origins.items() if at is None})
        if open_ and self._walk.limited:
            notes.append(f"{', '.join(open_)} went missing before this range")
        elif open_ and not self._walk.commits.cut:
            notes.append(
                f"no commit can be proved to have introduced the gap for {', '.join(open_)}: "
                "a commit before it could not be decided or read"
            )
        found = [at for gap, at in origins.items() if at is not None and gap.input not in open_]
        return min(found, default=None), notes

    def _words(self, commits: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return subject and date of commits."""
        if not commits:
            return {}
        out = self._repository.ask(
            list(dict.fromkeys(commits)), "log", "--no-walk=unsorted", "--stdin",
            "--format=%H%x00%cI%x00%s",
        )  # fmt: skip
        rows = [line.split("\0", 2) for line in out.split("\n") if line]
        return {commit: (subject, date) for commit, date, subject in rows}


def listed_short(commits: Iterable[str]) -> str:
    """Return a few commits by the start of their ids."""
    names = sorted(commit[:12] for commit in commits)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"
