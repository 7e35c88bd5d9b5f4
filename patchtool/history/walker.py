# SPDX-License-Identifier: GPL-2.0-only
"""Give commits their verdicts, deciding as few as that takes.

In: commits with their first parents.  Out: outcomes.  A commit that changes nothing that
the engine looked at keeps the outcome of its parent, and blocks of outcomes are cached.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, cast

from patchtool.errors import InputError
from patchtool.history.cache import Store, engine, key
from patchtool.history.verdicts import ABSENT, UNREADABLE, Cell, Outcome, State, outcome_of
from patchtool.outside.git import Missing, Repository
from patchtool.outside.source import MAX_FILE, Revision

if TYPE_CHECKING:
    from patchtool.history.lens import Lens, Slice, Slicer
    from patchtool.rules.table import Rule

_AHEAD = 64
"""For how many commits git reads ahead."""
_STATES = 256
"""How many trees are remembered while a history is walked."""


Block = tuple[tuple[str, ...], tuple[str | None, ...]]
"""Some commits, and the first parent of each."""


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


@dataclass(slots=True)
class _Tree:
    """What a commit has at the paths that matter, and what the lens sees there."""

    blobs: dict[str, tuple[str, str]]
    """Mode and object id by path."""
    slices: dict[str, Slice] = field(default_factory=dict)
    lens: Lens | None = None
    outcome: Outcome = ABSENT


class Walker:
    """Gives commits their verdicts, deciding as few as it can."""

    def __init__(
        self, repository: Repository, rule: Rule, wanted: tuple[str, ...], store: Store
    ) -> None:
        from patchtool.history.lens import Lens, Slicer

        self.repository = repository
        self.rule = rule
        self.wanted = wanted
        self.store = store
        self.paranoid = False
        self.counts = Counts()
        self.short = False
        """Whether a decision read a path that the list of commits does not regard."""
        self._engine = key(engine(), rule.name, *wanted)
        self._trees: OrderedDict[str, _Tree] = OrderedDict()
        self._sliced: dict[tuple[str, str], Slice] = {}
        self._seen: set[bytes] = set()
        self._same: dict[str, Outcome] = {}
        self._tracked: frozenset[str] = frozenset()
        lens = Lens()
        for value in store.all(f"lens-{self._engine}"):
            lens = lens.union(read_lens(value))
        self.lens = lens
        self._slicer: Slicer = Slicer(lens, rule.target)

    # -- blocks --------------------------------------------------------------------------------

    @property
    def paths(self) -> tuple[str, ...]:
        """What commits have to touch to be looked at: a folder and single files."""
        target = self.rule.target
        known = (*self.lens.paths, target.header, *target.watched)
        beside = {path for path in known if not path.startswith(f"{target.folder}/")}
        return (target.folder, *sorted(beside))

    @property
    def tracked(self) -> frozenset[str]:
        """The paths that the list of commits regards."""
        return self._tracked

    def track(self, paths: Iterable[str]) -> None:
        """Take the paths that the list of commits regards."""
        self._tracked = frozenset(paths)
        self.short = False
        self._trees.clear()

    def kept(self, commits: Sequence[str]) -> list[Outcome] | None:
        """Return the outcomes of a block as an earlier run kept them."""
        if self.paranoid:
            return None
        found = _read_outcomes(self.store.get("block", key(self._engine, *commits)))
        if len(found) != len(commits):
            return None
        self.counts += Counts(commits=len(commits))
        return found

    def keep(self, commits: Sequence[str], found: Sequence[Outcome]) -> None:
        """Keep the outcomes of a block."""
        self.store.put("block", key(self._engine, *commits), [_write_outcome(o) for o in found])

    def block(
        self, commits: Sequence[str], parents: Sequence[str | None]
    ) -> Iterator[tuple[str, Outcome]]:
        """Yield the outcomes of some commits, each with its first parent."""
        changes = self._changes(commits, parents)
        for number, (commit, parent) in enumerate(zip(commits, parents, strict=True)):
            if number % _AHEAD == 0:
                self._read_ahead([changes.get(c, ()) for c in commits[number : number + _AHEAD]])
            outcome = self._outcome(commit, parent, changes.get(commit, ()))
            self.counts += Counts(commits=1)
            yield commit, outcome
        self.repository.forget()

    def _changes(
        self, commits: Sequence[str], parents: Sequence[str | None]
    ) -> dict[str, list[tuple[str, str, str]]]:
        """Return mode, object id and path of all that differs from the first parents."""
        lines = [f"{c} {p}" for c, p in zip(commits, parents, strict=True) if p is not None]
        out = self.repository.ask(
            lines, "diff-tree", "--stdin", "-r", "--no-renames", "--no-abbrev", "--",
            *(full_path(self.repository, path) for path in sorted(self._tracked)),
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
        if path.startswith(f"{self.rule.target.folder}/"):
            return path.endswith((".c", ".h")) or path in self.lens.paths
        return path in self._tracked

    def _listing(self, commit: str) -> _Tree:
        out = self.repository.run(
            "ls-tree", "-r", "--full-tree", commit, "--",
            *(full_path(self.repository, path) for path in sorted(self._tracked)),
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
            if not (self.repository.is_partial and is_missing(error)):
                raise
            tree.outcome, tree.lens = UNREADABLE, None
        self._trees[commit] = tree
        while len(self._trees) > _STATES:
            self._trees.popitem(last=False)
        return tree.outcome

    def _judge(self, commit: str, tree: _Tree, above: _Tree | None) -> Outcome:
        if not self._is_there(tree.blobs):
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
            found = _read_outcomes([self.store.get(kind, other)])
            if found:
                self._same[name] = found[0]
                return found[0]
        return None

    def alone(self, commit: str) -> Outcome:
        """Decide one commit that is no part of a walk; raise where the code is not in it."""
        return self.decided(commit) or self._check(commit)

    def _check(self, commit: str) -> Outcome:
        """Check a commit as ``check`` would, and widen the lens by what that looked at."""
        from patchtool.history.lens import Recorder

        label = self.repository.path
        index = Recorder(Revision(self.repository, commit, label), self.rule.target)
        report = self.rule.check(index, self.wanted, label, commit)
        outcome = outcome_of(report)
        self.counts += Counts(decided=1)
        lens = self.lens.union(index.lens(report, (*self.rule.fields, *self.wanted)))
        if lens is not self.lens:
            self._widen(lens)
        self.store.put("commit", key(self._engine, commit), _write_outcome(outcome))
        return outcome

    def _decide(self, commit: str, tree: _Tree) -> Outcome:
        """Check a commit and remember what its tree looks like through the lens."""
        outcome = self._check(commit)
        self._look(tree)
        name = self._name(tree)
        self._same[name] = outcome
        self.store.put("slice", name, _write_outcome(outcome))
        return outcome

    def _widen(self, lens: Lens) -> None:
        self.lens = lens
        self._slicer.look_through(lens)
        self._sliced.clear()
        self._same.clear()
        words = lens.words()
        self.store.put(f"lens-{self._engine}", key(repr(words)), words)
        if not self._tracked.issuperset(self.paths):
            self.short = True

    def decided(self, commit: str) -> Outcome | None:
        """Return what an earlier run decided of a commit, where its lens is known too."""
        known = self.store.get("commit", key(self._engine, commit)) if self.lens.paths else None
        found = _read_outcomes([known])
        return found[0] if found else None

    def probe(self, commit: str) -> Outcome:
        """Decide one commit, and learn what there is to look at."""
        self.track(self.paths)
        known = self.decided(commit)
        if known is not None:
            return known
        tree = self._listing(commit)
        return self._decide(commit, tree) if self._is_there(tree.blobs) else ABSENT

    def _is_there(self, paths: Collection[str]) -> bool:
        """Tell whether a tree has what the rule looks at, from the paths of its files."""
        target = self.rule.target
        return target.header in paths and any(map(target.owns, paths))

    def widen(self, lens: Lens) -> None:
        """Take what another process has looked at."""
        both = self.lens.union(lens)
        if both is not self.lens:
            self._widen(both)


def is_missing(error: BaseException | None) -> bool:
    """Tell whether an object that the clone lacks is behind an error."""
    while error is not None:
        if isinstance(error, Missing):
            return True
        error = error.__cause__
    return False


def full_path(repository: Repository, path: str) -> str:
    """Return a path below the repository of one below the tree."""
    return f"{repository.prefix}/{path}" if repository.prefix else path


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


def read_lens(value: object) -> Lens:
    """Return a lens as it was kept; one that sees nothing where it is no such thing."""
    from patchtool.history.lens import Lens

    words = value if isinstance(value, dict) else {}
    known = set(Lens._fields)
    if words.keys() != known or not all(isinstance(names, list) for names in words.values()):
        return Lens()
    return Lens(**{name: frozenset(names) for name, names in words.items()})
