# SPDX-License-Identifier: GPL-2.0-only
"""Find the commits at which the verdict on a field flips.

In: a repository, a range, fields.  Out: every flip with the commit that made it, the
one that introduced a gap, and whether the history was all there.  Commits are walked
along all parents; one that changes nothing the engine looked at keeps its verdict.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

from patchtool.errors import InputError, UsageError
from patchtool.git import Missing, Repository
from patchtool.index import KVM_DIR, KVM_HOST
from patchtool.model import SEVERITY, Context, Report, Verdict
from patchtool.source import MAX_FILE, Revision
from patchtool.store import Store, engine, folder, key

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    from patchtool.slices import Lens, Slice, Slicer

DEFAULT_FIELDS = ("root_level",)

State = Literal["covered", "gap", "unknown", "not-guarded", "absent", "unreadable"]
"""A verdict, or why a commit has none: no KVM x86 there, or objects not in this clone."""

Kind = Literal["introduced", "reintroduced", "closed", "undecided", "decided"]

_ALWAYS = (
    KVM_HOST,
    "arch/x86/include/uapi/asm/processor-flags.h",
    "arch/x86/include/asm/msr-index.h",
)
_BLOCK = 256
"""How many commits are one unit of work, and one file of the cache."""
_AHEAD = 64
"""For how many commits git reads ahead."""
_STATES = 256
"""How many trees are remembered while a history is walked."""


# -- what a commit is found to be ------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """The verdict on one field of one path (tdp, soft, npt, ept, nested)."""

    path: str
    field: str
    verdict: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check of one commit amounts to."""

    verdict: State
    cells: tuple[Cell, ...] = ()

    @property
    def gaps(self) -> frozenset[Gap]:
        """Every input that some path misses."""
        return frozenset(
            Gap(cell.path, cell.field, name) for cell in self.cells for name in cell.missing
        )

    def state(self, gap: Gap) -> State:
        """Return how this commit stands to one gap."""
        if self.verdict in ("absent", "unreadable", "not-guarded"):
            return self.verdict
        for cell in self.cells:
            if (cell.path, cell.field) == (gap.path, gap.field):
                if gap.input in cell.missing:
                    return "gap"
                return "unknown" if cell.verdict == "unknown" else "covered"
        return "unknown" if self.verdict == "unknown" else "absent"


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """One input that the role misses, for one field of one path."""

    path: str
    field: str
    input: str


ABSENT = Outcome("absent")
UNREADABLE = Outcome("unreadable")

_NAMED = (
    ("npt", re.compile(r"(?:^|_)s?npt(?:_|$)")),
    ("ept", re.compile(r"(?:^|_)ept(?:_|$)")),
    ("nested", re.compile(r"(?:^|_)nested_mmu$|^init_kvm_nested")),
    ("tdp", re.compile(r"(?:^|_)tdp(?:_|$)")),
    ("soft", re.compile(r"soft|shadow")),
)


def path_of(context: Context) -> str:
    """Return the short name of a path, which outlives that its functions are renamed."""
    names = (*context.entry, context.initialiser, context.context)
    for label, pattern in _NAMED:
        if any(pattern.search(name) for name in names):
            return label
    if context.context == "guest_mmu" and any("nested_svm" in name for name in names):
        return "npt"
    return f"{context.initialiser}/{context.context}"


def outcome_of(report: Report) -> Outcome:
    """Return what a report amounts to, one cell for each field of a path."""
    found: dict[tuple[str, str], Cell] = {}
    for context in report.contexts:
        label = path_of(context)
        # Without a name of its own, shadow paging for L2 shares its functions with L1's.
        if label == "soft" and any("nested_svm" in name for name in context.entry):
            label = "npt"
        for one in context.fields:
            missing = set(one.missing)
            if one.verdict == "gap" and not missing:
                missing = {"(not stored on every path)"}
            other = found.get((label, one.name))
            verdict: Verdict = one.verdict
            if other is not None:
                missing |= set(other.missing)
                verdict = max(verdict, cast(Verdict, other.verdict), key=SEVERITY.__getitem__)
            names = tuple(sorted(missing))
            found[label, one.name] = Cell(label, one.name, verdict, names)
    return Outcome(report.verdict, tuple(sorted(found.values())))


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
class Counts:
    """What a walk cost."""

    commits: int = 0
    read: int = 0
    distinct: int = 0
    parsed: int = 0
    decided: int = 0

    def __add__(self, other: Counts) -> Counts:
        sums = [getattr(self, one.name) + getattr(other, one.name) for one in fields(Counts)]
        return Counts(*sums)


@dataclass(frozen=True, slots=True)
class History:
    """All flips of a range, oldest first."""

    flips: tuple[Flip, ...]
    introduced: Flip | None
    complete: bool
    verdict: State
    """The verdict at the newest commit."""
    notes: tuple[str, ...] = ()
    """Why something is not known, and what would help."""
    counts: Counts = Counts()


Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """How to walk."""

    fields: tuple[str, ...] = DEFAULT_FIELDS
    jobs: int = 1
    cache: bool = True
    paranoid: bool = False
    """Decide every commit as well, and compare."""
    progress: Progress | None = None


def history(
    repository: Repository,
    range: str | None = None,  # noqa: A002
    fields: Sequence[str] = DEFAULT_FIELDS,
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


_VERSION = re.compile(r"v(\d+)\.(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-rc(\d+))?\Z")


def first_tag(repository: Repository, commit: str) -> str | None:
    """Return the earliest release that contains a commit, by the order of versions."""
    out = repository.run("tag", "--list", "--contains", commit, "v[0-9]*")
    known = [(order, tag) for tag in out.split() if (order := _order(tag)) is not None]
    return min(known)[1] if known else None


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
    shallow: bool
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
    return tip, (repository.resolve(low or "HEAD"),) if dots else ()


def _listed(
    repository: Repository, tip: str, before: Sequence[str], paths: Sequence[str]
) -> _Commits:
    out = repository.run(
        "rev-list", "--full-history", "--simplify-merges", "--parents", "--topo-order",
        "--reverse", tip, *(f"^{one}" for one in before), "--",
        *(f":(literal){_full(repository, path)}" for path in paths),
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


def _full(repository: Repository, path: str) -> str:
    return f"{repository.prefix}/{path}" if repository.prefix else path


# -- the verdict of each -------------------------------------------------------------------------


@dataclass(slots=True)
class _Tree:
    """What a commit has at the paths that matter, and what the lens sees there."""

    blobs: dict[str, tuple[str, str]]
    """Mode and object id by path."""
    slices: dict[str, Slice] = field(default_factory=dict)
    lens: Lens | None = None
    outcome: Outcome = ABSENT


class _Walker:
    """Gives commits their verdicts, deciding as few as it can."""

    def __init__(self, repository: Repository, wanted: tuple[str, ...], store: Store) -> None:
        from patchtool.slices import Lens, Slicer

        self.repository = repository
        self.paranoid = False
        self.counts = Counts()
        self.short = False
        """Whether a decision read a path that the list of commits does not regard."""
        self._wanted = wanted
        self._store = store
        self._engine = key(engine(), *wanted)
        self._trees: OrderedDict[str, _Tree] = OrderedDict()
        self._sliced: dict[tuple[str, str], Slice] = {}
        self._seen: set[bytes] = set()
        self._same: dict[str, Outcome] = {}
        self._tracked: frozenset[str] = frozenset()
        lens = Lens()
        for value in store.all(f"lens-{self._engine}"):
            lens = lens.union(_read_lens(value))
        self.lens = lens
        self._slicer: Slicer = Slicer(lens)

    # -- blocks --------------------------------------------------------------------------------

    @property
    def paths(self) -> tuple[str, ...]:
        """What commits have to touch to be looked at: a folder and single files."""
        beside = {p for p in (*self.lens.paths, *_ALWAYS) if not p.startswith(f"{KVM_DIR}/")}
        return (KVM_DIR, *sorted(beside))

    def track(self, paths: Iterable[str]) -> None:
        """Take the paths that the list of commits regards."""
        self._tracked = frozenset(paths)
        self.short = False
        self._trees.clear()

    def block(self, commits: Sequence[str], parents: Sequence[str | None]) -> list[Outcome]:
        """Return the outcomes of some commits, each with its first parent."""
        name = key(self._engine, *commits)
        known = None if self.paranoid else self._store.get("block", name)
        if known is not None:
            found = _read_outcomes(known)
            if len(found) == len(commits):
                self.counts += Counts(commits=len(commits))
                return found
        changes = self._changes(commits, parents)
        found = []
        for number, (commit, parent) in enumerate(zip(commits, parents, strict=True)):
            if number % _AHEAD == 0:
                self._read_ahead([changes.get(c, ()) for c in commits[number : number + _AHEAD]])
            found.append(self._outcome(commit, parent, changes.get(commit, ())))
            self.counts += Counts(commits=1)
        if not self.short:
            self._store.put("block", name, [_write_outcome(one) for one in found])
        self.repository.forget()
        return found

    def _changes(
        self, commits: Sequence[str], parents: Sequence[str | None]
    ) -> dict[str, list[tuple[str, str, str]]]:
        """Return mode, object id and path of all that differs from the first parents."""
        lines = [f"{c} {p}" for c, p in zip(commits, parents, strict=True) if p is not None]
        out = self.repository.ask(
            lines, "diff-tree", "--stdin", "-r", "--no-renames", "--no-abbrev", "--",
            *(_full(self.repository, path) for path in sorted(self._tracked)),
        )  # fmt: skip
        found: dict[str, list[tuple[str, str, str]]] = {}
        here: list[tuple[str, str, str]] = []
        for line in out.splitlines():
            if line[0] != ":":
                here = found.setdefault(line.split()[0], [])
                continue
            state, _, name = line.partition("\t")
            _, mode, _, oid, _ = state.split()
            here.append((mode, oid, self._local(name)))
        return found

    def _read_ahead(self, changes: Sequence[Sequence[tuple[str, str, str]]]) -> None:
        """Slice what some commits bring in, while git reads on."""
        if self.repository.is_partial or not self.lens.paths:
            return
        wanted = {
            (path, oid): None
            for some in changes
            for mode, oid, path in some
            if mode != "000000" and self._matters(path) and (path, oid) not in self._sliced
        }
        texts = self.repository.blobs([oid for _, oid in wanted], MAX_FILE)
        for (path, oid), data in zip(wanted, texts, strict=True):
            self._note(path, oid, data)

    def _local(self, name: str) -> str:
        if name.startswith('"'):
            raw = name[1:-1].encode("latin-1", "replace").decode("unicode_escape")
            name = raw.encode("latin-1", "replace").decode("utf-8", "surrogateescape")
        return name[len(self.repository.prefix) + 1 :] if self.repository.prefix else name

    def _matters(self, path: str) -> bool:
        if path.startswith(f"{KVM_DIR}/"):
            return path.endswith((".c", ".h")) or path in self.lens.paths
        return path in self._tracked

    def _listing(self, commit: str) -> _Tree:
        out = self.repository.run(
            "ls-tree", "-r", "--full-tree", commit, "--",
            *(_full(self.repository, path) for path in sorted(self._tracked)),
        )  # fmt: skip
        blobs: dict[str, tuple[str, str]] = {}
        for line in out.splitlines():
            state, _, name = line.partition("\t")
            mode, _, oid = state.split()
            blobs[self._local(name)] = (mode, oid)
        return _Tree({path: it for path, it in blobs.items() if self._matters(path)})

    # -- one commit ----------------------------------------------------------------------------

    def _outcome(
        self, commit: str, parent: str | None, changes: Sequence[tuple[str, str, str]]
    ) -> Outcome:
        above = self._trees.get(parent) if parent is not None else None
        if above is None:
            tree = self._listing(commit)
        else:
            tree = _Tree(dict(above.blobs))
            for mode, oid, path in changes:
                if mode == "000000":
                    tree.blobs.pop(path, None)
                elif self._matters(path):
                    tree.blobs[path] = (mode, oid)
        try:
            tree.outcome = self._judge(commit, tree, above)
        except InputError as error:
            if not (self.repository.is_partial and _is_missing(error)):
                raise
            tree.outcome, tree.lens = UNREADABLE, None
        self._trees[commit] = tree
        while len(self._trees) > _STATES:
            self._trees.popitem(last=False)
        return tree.outcome

    def _judge(self, commit: str, tree: _Tree, above: _Tree | None) -> Outcome:
        if not _has_kvm(tree.blobs):
            return ABSENT
        if not self.lens.paths:
            return self._decide(commit, tree)
        known = None
        if above is not None and above.outcome.verdict not in ("absent", "unreadable"):
            known = self._kept(tree, above)
        if known is None:
            if tree.lens is not self.lens:
                self._look(tree)
            known = self._lookup(commit, tree)
        if known is None or self.paranoid:
            decided = self._decide(commit, tree)
            if known is not None and known != decided:
                raise RuntimeError(f"commit {commit} was taken to be {known}, but it is {decided}")
            known = decided
        return known

    def _kept(self, tree: _Tree, above: _Tree) -> Outcome | None:
        """Return the parent's outcome where the lens sees no difference."""
        if above.lens is not self.lens:
            self._look(above)
        self._look(tree, above)
        if any(mode == "120000" for mode, _ in tree.blobs.values()):
            return None
        return above.outcome if self._visible(tree) == self._visible(above) else None

    def _look(self, tree: _Tree, above: _Tree | None = None) -> None:
        """Slice the files of a tree, those that differ from another if one is given."""
        old = above.slices if above is not None else {}
        before = above.blobs if above is not None else {}
        tree.slices = {
            path: old[path] if before.get(path) == it and path in old else self._slice(path, it[1])
            for path, it in tree.blobs.items()
        }
        tree.lens = self.lens

    def _slice(self, path: str, oid: str) -> Slice:
        known = self._sliced.get((path, oid))
        if known is None:
            known = self._note(path, oid, self.repository.blob_by_id(oid, MAX_FILE))
        return known

    def _note(self, path: str, oid: str, data: bytes) -> Slice:
        name = bytes.fromhex(oid)[:8]
        fresh = name not in self._seen
        self._seen.add(name)
        parsed = self._slicer.parsed
        found = self._slicer.slice(path, data)
        self.counts += Counts(0, 1, fresh, self._slicer.parsed - parsed)
        if len(self._sliced) > 1 << 14:
            self._sliced.clear()
        self._sliced[path, oid] = found
        return found

    def _visible(self, tree: _Tree) -> tuple[object, ...]:
        """Return all that the lens sees of a tree."""
        seen = [
            (path, one.digest)
            for path, one in sorted(tree.slices.items())
            if one.digest or path in self.lens.paths
        ]
        # The engine looks names up from the file that speaks of roles most.
        main = max(sorted(tree.slices.items()), key=lambda item: item[1].weight, default=None)
        return (main[0] if main is not None and main[1].weight else "", *seen)

    def _name(self, tree: _Tree) -> str:
        lens = key(*(f"{k}:{' '.join(names)}" for k, names in self.lens.words().items()))
        return key(self._engine, lens, repr(self._visible(tree)))

    def _lookup(self, commit: str, tree: _Tree) -> Outcome | None:
        """Return what an equal tree was found to be."""
        name = self._name(tree)
        if name in self._same:
            return self._same[name]
        for kind, other in (("slice", name), ("commit", key(self._engine, commit))):
            found = _read_outcomes([self._store.get(kind, other)])
            if found:
                self._same[name] = found[0]
                return found[0]
        return None

    def _decide(self, commit: str, tree: _Tree) -> Outcome:
        """Check a commit as ``check`` would, and widen the lens by what that looked at."""
        from patchtool.rules import stale_mmu_role as rule
        from patchtool.slices import Recorder

        label = self.repository.path
        index = Recorder(Revision(self.repository, commit, label))
        report = rule.check(index, self._wanted, label, commit)
        outcome = outcome_of(report)
        self.counts += Counts(decided=1)
        lens = self.lens.union(index.lens(report, self._wanted))
        if lens is not self.lens:
            self._widen(lens)
        self._look(tree)
        name = self._name(tree)
        self._same[name] = outcome
        for kind, other in (("slice", name), ("commit", key(self._engine, commit))):
            self._store.put(kind, other, _write_outcome(outcome))
        return outcome

    def _widen(self, lens: Lens) -> None:
        self.lens = lens
        self._slicer.look_through(lens)
        self._sliced.clear()
        self._same.clear()
        words = lens.words()
        self._store.put(f"lens-{self._engine}", key(repr(words)), words)
        if not self._tracked.issuperset(self.paths):
            self.short = True

    def probe(self, commit: str) -> Outcome:
        """Decide one commit to learn what there is to look at."""
        self.track(self.paths)
        tree = self._listing(commit)
        if not _has_kvm(tree.blobs):
            return ABSENT
        known = self._store.get("commit", key(self._engine, commit))
        found = _read_outcomes([known]) if self.lens.paths else []
        return found[0] if found else self._decide(commit, tree)

    def widen(self, lens: Lens) -> None:
        """Take what another process has looked at."""
        both = self.lens.union(lens)
        if both is not self.lens:
            self._widen(both)


def _has_kvm(paths: Iterable[str]) -> bool:
    names = set(paths)
    return KVM_HOST in names and any(
        name.startswith(f"{KVM_DIR}/") and name.endswith((".c", ".h")) for name in names
    )


def _is_missing(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, Missing):
            return True
        error = error.__cause__
    return False


# -- the cache's form ------------------------------------------------------------------------


def _write_outcome(outcome: Outcome) -> object:
    cells = [[cell.path, cell.field, cell.verdict, list(cell.missing)] for cell in outcome.cells]
    return [outcome.verdict, cells]


def _read_outcomes(value: object) -> list[Outcome]:
    """Return outcomes as they were kept; an empty list where they are no such thing."""
    try:
        return [
            Outcome(
                verdict,
                tuple(Cell(path, name, v, tuple(missing)) for path, name, v, missing in cells),
            )
            for verdict, cells in cast("list[tuple[State, list[list[str]]]]", value)
        ]
    except (TypeError, ValueError):
        return []


def _read_lens(value: object) -> Lens:
    from patchtool.slices import Lens

    words = value if isinstance(value, dict) else {}
    known = set(Lens._fields)
    if words.keys() != known or not all(isinstance(names, list) for names in words.values()):
        return Lens()
    return Lens(**{name: frozenset(names) for name, names in words.items()})


# -- the whole walk ----------------------------------------------------------------------------


def _walk(repository: Repository, given: str | None, settings: Settings) -> _Walk:
    tip, before = _ends(repository, given)
    store = Store(folder() if settings.cache else None)
    walker = _Walker(repository, settings.fields, store)
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
            f"{repository.path} holds no kernel with KVM for x86 in that range: "
            f"there is no {KVM_HOST}; give the folder of a Linux repository"
        )
    return _Walk(
        commits, outcomes, last, walker.counts, repository.is_shallow, repository.is_partial,
        bool(before), repository.path,
    )  # fmt: skip


def _quietly(walker: _Walker, commit: str) -> None:
    try:
        walker.probe(commit)
    except InputError as error:
        if not (walker.repository.is_partial and _is_missing(error)):
            raise


Block = tuple[tuple[str, ...], tuple[str | None, ...]]


def _all(
    walker: _Walker, commits: _Commits, paths: tuple[str, ...], settings: Settings
) -> dict[str, Outcome]:
    """Return the outcome of every commit of a list."""
    walker.track(paths)
    order = (*commits.outside, *commits.order)
    blocks: list[Block] = []
    for start in range(0, len(order), _BLOCK):
        part = order[start : start + _BLOCK]
        blocks.append((part, tuple(next(iter(commits.parents.get(c, ())), None) for c in part)))
    outcomes: dict[str, Outcome] = {}
    work = _spread if settings.jobs > 1 and len(blocks) > 1 else _in_turn
    for (part, _), found in zip(blocks, work(walker, blocks, paths, settings), strict=True):
        outcomes.update(zip(part, found, strict=True))
        if settings.progress is not None:
            settings.progress(len(outcomes), len(order))
    return outcomes


def _in_turn(
    walker: _Walker, blocks: list[Block], _: tuple[str, ...], __: Settings
) -> Iterator[list[Outcome]]:
    for part, parents in blocks:
        yield walker.block(part, parents)


def _spread(
    walker: _Walker, blocks: list[Block], paths: tuple[str, ...], settings: Settings
) -> Iterator[list[Outcome]]:
    """Work on blocks in several processes; they meet in the cache."""
    start = (walker.repository.path, settings.fields, settings.cache, settings.paranoid)
    with _pool(settings.jobs, start) as pool:
        work = partial(_work, paths=paths, words=walker.lens.words())
        for found, words, counts in pool.map(work, blocks):
            walker.counts += counts
            walker.widen(_read_lens(words))
            yield found


@contextmanager
def _pool(
    jobs: int, start: tuple[str, tuple[str, ...], bool, bool]
) -> Iterator[ProcessPoolExecutor]:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    begin = partial(_start, *start)
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), begin)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()


_OWN: list[_Walker] = []
"""The walker of a process that works for another."""


def _start(path: str, wanted: tuple[str, ...], cache: bool, paranoid: bool) -> None:
    import signal

    # The process that asked is told of Ctrl-C as well and ends this one.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    walker = _Walker(Repository.open(path), wanted, Store(folder() if cache else None))
    walker.paranoid = paranoid
    _OWN.append(walker)


def _work(
    block: Block, paths: tuple[str, ...], words: dict[str, list[str]]
) -> tuple[list[Outcome], dict[str, list[str]], Counts]:
    walker = _OWN[0]
    walker.widen(_read_lens(words))
    if walker._tracked != frozenset(paths):
        walker.track(paths)
    before = walker.counts
    found = walker.block(*block)
    after = walker.counts
    spent = Counts(*(getattr(after, f.name) - getattr(before, f.name) for f in fields(Counts)))
    return found, walker.lens.words(), spent


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
        return History(flips, introducing, complete, walk.tip.verdict, tuple(notes), walk.counts)

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
