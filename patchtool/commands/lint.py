# SPDX-License-Identifier: GPL-2.0-only
"""``patchtool lint``: what patches, commits or the index bring in.

In: parsed arguments.  Out: the report on what is new and the exit status: 0 nothing new,
1 a new gap, 3 something new is undecided.  A change that touches nothing relevant is
done with before anything costly is imported.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

from patchtool.commands.arguments import add_question, asked
from patchtool.errors import InputError, PatchError, UsageError
from patchtool.outside import reach
from patchtool.outside.mail import Letter, Passed, read, relevant
from patchtool.outside.outline import Section
from patchtool.outside.source import open_source, read_patch
from patchtool.outside.top import prefix as prefix_of
from patchtool.report import STATUS
from patchtool.target.where import BELOW_TOP, HEADER

if TYPE_CHECKING:
    from patchtool.lint.introduced import State, Step
    from patchtool.model import Anchor, Finding, Report, Unknown
    from patchtool.outside.diff import FilePatch
    from patchtool.outside.git import Repository
    from patchtool.outside.source import Source

_OBJECTS = 500_000
"""How many new objects the garbage collector waits for; a check makes 60,000."""
_ABOUT = """\
Report what a change brings in: each gap that is there with it and was not there
without it.  Nothing new is said with silence."""

_STATUSES = """\
examples:
  patchtool lint 0001-x.patch 0002-y.patch
  git format-patch --stdout master.. | patchtool lint -
  patchtool lint --range master..
  patchtool lint --staged

A series is taken patch by patch, each on top of the one before.  Where the tree has
the patches already, they are taken back to see what it was like without them.

exit status:
  0  the change brings in nothing, and that is certain
  1  the change brings in at least one gap
  2  the request or the input is at fault; standard error says how
  3  the change brings in no gap that was found, but something is undecided"""

_Edits = dict[str, bytes | None]
"""What differs from a tree: the bytes of files, None where one is gone."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command; those of the output come from the command line."""
    parser.description, parser.epilog = _ABOUT, _STATUSES
    add = parser.add_argument
    add("patches", nargs="*", metavar="PATCH", help="patches, mails or mboxes; - is standard input")
    add(
        "--series",
        action="store_true",
        help="PATCH is one mail of a series; the others are taken from its folder",
    )
    add("--range", metavar="A..B", help="the commits of a range")
    add("--staged", action="store_true", help="what the next commit would hold")
    add(
        "--push",
        metavar="REMOTE",
        help="what a push brings to a remote; standard input has the lines of git's pre-push hook",
    )
    add(
        "--suppressions",
        action="store_true",
        help="list the accepted findings of the tree; fail where one is accepted in vain",
    )
    add("--tree", metavar="TREE", help="the kernel tree (default: this folder)")
    add("--rev", metavar="REV", help="apply the patches to a revision instead of the files on disk")
    add_question(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    of_commits = arguments.range is not None or arguments.push is not None
    given = [bool(arguments.patches), arguments.range is not None, arguments.push is not None]
    if sum(given) + arguments.staged + arguments.suppressions != 1:
        raise UsageError(
            "lint takes patches, --range A..B, --staged, --push REMOTE or --suppressions, and one "
            "of them at a time; see 'patchtool lint --help'"
        )
    if arguments.suppressions:
        return _suppressions(arguments)
    if arguments.rev is not None and not arguments.patches:
        raise UsageError("--rev goes with patches only")
    if arguments.patches.count("-") > 1:
        raise UsageError("standard input can be read once; give - once")
    if arguments.series and (len(arguments.patches) != 1 or "-" in arguments.patches):
        raise UsageError("--series goes with one file; its folder holds the other mails")
    if arguments.push is not None and arguments.format not in ("text", "terse"):
        raise UsageError("--push is for hooks, and prints text or terse lines only")
    import gc

    sources: list[Source] = []
    status = 0
    try:
        changes = (
            _committed(arguments, sources)
            if of_commits or arguments.staged
            else iter([list(_handed(arguments.tree, arguments, sources))])
        )
        for steps in changes:
            if not any(step.paths for step in steps):
                one = _silent(arguments)
            else:
                # Terms live as long as the tree that they belong to; only a long series
                # frees some.
                gc.set_threshold(_OBJECTS)
                one = _lint(arguments.tree, steps, arguments)
            # A gap is told before something undecided, and that before nothing.
            status = one if one and status != 1 else status
    finally:
        for source in sources:
            source.close()
    return status


def _silent(arguments: argparse.Namespace) -> int:
    """Deliver a report on nothing."""
    if arguments.format in ("text", "terse") and arguments.output in (None, "-"):
        return 0
    from patchtool.model import Report

    report = Report(arguments.tree, None, verdict="covered")
    return _deliver(report, None, {}, {}, arguments)


def _lint(tree: str, steps: Sequence[Step], arguments: argparse.Namespace) -> int:
    from patchtool.lint.introduced import lint

    news = lint(tree, steps, *asked(arguments), arguments.verbose)
    return _deliver(news.report, steps[-1].after(), news.states, news.anchors, arguments)


def _deliver(
    report: Report,
    source: Source | None,
    states: Mapping[Finding, State],
    anchors: Mapping[Finding | Unknown, Anchor],
    arguments: argparse.Namespace,
) -> int:
    told = report.findings or report.unknowns or report.suppressed or report.remarks
    if arguments.format in ("text", "terse") and not told:
        if arguments.output in (None, "-"):
            return STATUS[report.verdict]
        arguments.format = "terse"
    # The command line brings its printer along: it lies on a higher floor.
    status: int = arguments.deliver(report, arguments, source, states, anchors)
    return status


def _suppressions(arguments: argparse.Namespace) -> int:
    """List the accepted findings of a tree; 1 where one is accepted in vain."""
    from patchtool.c.index import Index
    from patchtool.lint.suppress import find, judged
    from patchtool.outside.source import open_source
    from patchtool.report.layout import show
    from patchtool.report.words import safe, sentence
    from patchtool.rules.table import RULES

    source = open_source(arguments.tree, arguments.rev)
    try:
        rule, fields = asked(arguments)
        report = rule.check(Index(source, rule.target), fields, source.label, source.rev)
        paths = [path for path in source.walk(rule.target.folder) if rule.target.owns(path)]
        found = [one for path in paths for one in find(path, source.read(path) or b"")]
    finally:
        source.close()
    status = 0
    for one, wrong in judged(found, report.findings, RULES):
        word = "error" if wrong else "note"
        text = wrong or f"accepted: {one.reason}"
        show(f"{safe(one.file)}:{one.line}: {word}: {sentence(text)} [suppression]\n")
        status = status or int(bool(wrong))
    return status


# -- patches -------------------------------------------------------------------------------


_Judged = tuple[Section, ...]


def _handed(tree: str, arguments: argparse.Namespace, opened: list[Source]) -> Iterator[Step]:
    """Yield the steps of patches: none where no patch touches what matters."""
    letters: list[Letter] = []
    passed: list[Passed] = []
    for name in arguments.patches:
        if name != "-" and not os.path.lexists(name):
            raise InputError(
                f"{name} cannot be read: no such file; give patch files, or commits by --range A..B"
            )
        post = read(*read_patch(name))
        letters += post.letters
        passed += post.passed
    source = open_source(tree, arguments.rev)
    opened.append(source)
    prefix = prefix_of(tree)
    included = reach.Included(lambda: source, letters=letters, prefix=prefix)
    judged, more = reach.sort(letters, reach.present_in(source, prefix), included, prefix)
    arguments.told([*passed, *more], arguments)
    if not any(judged):
        return
    from patchtool.outside.source import Kept

    kept = Kept(source)
    if arguments.series and len(letters) == 1:
        yield _numbered(tree, arguments.patches[0], kept, letters[0], judged[0], prefix)
    else:
        yield from _patched(tree, kept, letters, judged)


def _patched(
    tree: str, source: Source, letters: Sequence[Letter], judged: Sequence[_Judged]
) -> Iterator[Step]:
    """Yield a step per patch, with the tree before and after it."""
    parsed = list(map(_parsed, judged))
    try:
        edits = _edits(tree, source, parsed)
    except PatchError as error:
        raise reach.misfit(error, letters) from error
    for number, (letter, files) in enumerate(zip(letters, parsed, strict=True)):
        label = f"patch {number + 1} of {len(letters)}"
        label += f" ({letter.subject})" if letter.subject else ""
        yield _step(source, label, edits[number], edits[number + 1], files)


def _parsed(sections: _Judged) -> tuple[FilePatch, ...]:
    if not sections:
        return ()
    from patchtool.outside import diff

    return diff.files(sections)


def _step(source: Source, label: str, old: _Edits, new: _Edits, files: Sequence[FilePatch]) -> Step:
    from patchtool.lint.introduced import Step
    from patchtool.outside.source import Overlay

    paths = {path for file in files for path in (file.old, file.new) if path is not None}
    return Step(
        label,
        partial(_same, Overlay(source, old)),
        partial(_same, Overlay(source, new)),
        frozenset(paths),
    )


def _numbered(
    tree: str, path: str, source: Source, letter: Letter, judged: _Judged, prefix: str
) -> Step:
    """Return the step of one mail of a series, with the others taken into account.

    The tree may be what the series starts from, have all of it, or have it in part.
    """
    from patchtool.outside.series import companions

    before, after = companions(path)
    own = _parsed(judged)
    mails = [letter, *before, *after]
    included = reach.Included(lambda: source, letters=mails, prefix=prefix)
    first, last = (
        list(map(_parsed, reach.sort(others, lambda _: True, included, prefix)[0]))
        for others in (before, after)
    )
    wrong: PatchError | None = None
    ways: tuple[Callable[[], list[_Edits]], ...] = (
        lambda: _forwards(source, {}, [*first, own])[-2:],
        lambda: _backwards(source, [own, *last])[:2],
        lambda: _edits(tree, source, [own]),
    )
    for way in ways:
        try:
            old, new = way()
        except PatchError as error:
            wrong = wrong or error
            continue
        return _step(source, "", old, new, own)
    assert wrong is not None
    raise wrong if before else reach.misfit(wrong, [letter])


def _same(source: Source) -> Source:
    return source


def _nothing() -> None:
    """Stand for the tree before the first commit of all."""


def _edits(tree: str, source: Source, parsed: Sequence[tuple[FilePatch, ...]]) -> list[_Edits]:
    """Return what differs from a tree before the first patch and after each."""
    try:
        return _forwards(source, {}, parsed)
    except PatchError as error:
        # Whoever checks patches before sending them mostly has them in the tree.
        try:
            return _backwards(source, parsed)
        except PatchError:
            pass
        older = _older(tree, parsed)
        if older is not None:
            try:
                return _forwards(source, older, parsed)
            except PatchError:
                pass
        raise error


def _forwards(
    source: Source, start: _Edits, parsed: Sequence[tuple[FilePatch, ...]]
) -> list[_Edits]:
    from patchtool.outside import diff

    states = [start]
    for files in parsed:
        now = states[-1]
        after = diff.apply(files, _reader(now, source))
        states.append({**now, **after})
    return states


def _reader(edits: _Edits, source: Source) -> Callable[[str], bytes | None]:
    return lambda path: edits[path] if path in edits else source.read(path)


def _backwards(source: Source, parsed: Sequence[tuple[FilePatch, ...]]) -> list[_Edits]:
    """Take the patches back, the last one first."""
    reverse = [tuple(map(_reversed, files[::-1])) for files in parsed[::-1]]
    return _forwards(source, {}, reverse)[::-1]


def _reversed(file: FilePatch) -> FilePatch:
    if file.copied:
        raise PatchError(f"{file.origin}: a copy cannot be taken back")
    swap = {"+": "-", "-": "+", " ": " "}
    hunks = tuple(
        hunk._replace(
            old_start=hunk.new_start,
            new_start=hunk.old_start,
            lines=tuple((swap[tag], text) for tag, text in hunk.lines),
        )
        for hunk in file.hunks
    )
    return file._replace(old=file.new, new=file.old, hunks=hunks)


def _older(tree: str, parsed: Sequence[tuple[FilePatch, ...]]) -> _Edits | None:
    """Return the files as the patches expect them, where the history has such."""
    from patchtool.outside.git import Repository

    try:
        repository = Repository.open(tree)
    except InputError:
        return None
    with repository:
        found: _Edits = {}
        for files in parsed:
            for file in files:
                if file.old is None or file.old in found:
                    continue
                data = _version(repository, file)
                if data is None:
                    return None
                found[file.old] = data
    return found


_VERSIONS = 64
"""How many versions of a file are looked at."""


def _version(repository: Repository, file: FilePatch) -> bytes | None:
    """Return the newest version of a file in the history that a patch fits."""
    from patchtool.outside import diff

    assert file.old is not None
    name = f"{repository.prefix}/{file.old}" if repository.prefix else file.old
    most = f"-{_VERSIONS}"
    log = repository.run("log", most, "--format=%H", "--end-of-options", "HEAD", "--", name)
    for commit in log.split():
        data = repository.blob(commit, name)
        if data is None:
            continue
        try:
            diff.apply([file._replace(new=file.old)], {file.old: data}.get)
        except PatchError:
            continue
        return data
    return None


# -- commits and the index -----------------------------------------------------------------

_SPECIAL = ("120000", "160000")
"""The modes of symbolic links and of submodules."""


def _committed(arguments: argparse.Namespace, opened: list[Source]) -> Iterator[list[Step]]:
    """Yield the steps of the index, of a range, or of each branch that is pushed."""
    from patchtool.outside.git import NoRepository, Repository

    tree = arguments.tree
    try:
        repository = Repository.open(tree)
    except NoRepository as error:
        raise InputError(
            f"{tree} is not in a git repository, so there are no commits to lint; give patches"
        ) from error
    with repository:
        if arguments.staged:
            yield list(_staged(arguments, repository, opened))
            return
        if arguments.push is not None:
            ranges = list(_pushed(repository, arguments.push, read_patch("-")[0], arguments.quiet))
        else:
            first, dots, last = arguments.range.partition("..")
            if not dots or last.startswith("."):
                raise UsageError(f"--range {arguments.range}: give two revisions as A..B")
            start, end = repository.resolve(first or "HEAD"), repository.resolve(last or "HEAD")
            ranges = [(end, (start,))]
        for end, known in ranges:
            yield list(_ranged(arguments, repository, end, known, opened))


def _pushed(
    repository: Repository, remote: str, lines: bytes, quiet: bool
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield for each branch of a push its new end, and what the other side is known to have.

    LINES are those that git gives its hook; they say what some branches of the other side
    are.  Of a side of which nothing is known, what all remotes together have is not new, and
    without remotes the end of the branch is judged alone.  Both is said.
    """
    from patchtool.report.layout import note

    pushed = []
    for line in lines.decode("utf-8", "surrogateescape").splitlines():
        words = line.split(" ")
        if len(words) != 4:
            raise UsageError("--push reads on standard input the lines that git gives a hook")
        name, local, _, there = words
        pushed.append((name, local, there if there.strip("0") and repository.has(there) else ""))
    sides = tuple(dict.fromkeys(there for _, _, there in pushed if there))
    for name, local, there in pushed:
        if not local.strip("0"):
            continue
        try:
            end = repository.resolve(local)
        except InputError:
            # A tag may name a tree or a file, which no kernel is built from.
            note(f"patchtool: note: {name} is no commit, so it was not judged")
            continue
        known, told = _known_of(repository, remote, (there,) if there else sides)
        if told and not quiet:
            note(f"patchtool: note: {name}: {told}")
        yield end, known


def _known_of(
    repository: Repository, remote: str, sides: tuple[str, ...]
) -> tuple[tuple[str, ...], str]:
    """Return the commits that a side has, SIDES among them, and what to say about it."""

    def ends(place: str) -> tuple[str, ...]:
        found = repository.run("for-each-ref", "--format=%(objectname)", place).split()
        return tuple(dict.fromkeys(found))

    own = remote in repository.run("remote").split("\n")
    known = (*sides, *(ends(f"refs/remotes/{remote}/") if own else ()))
    if known:
        return known, ""
    nothing = f"nothing is known of what {remote} has, so"
    known = ends("refs/remotes/")
    if known:
        return known, f"{nothing} the commits that no other remote has were judged"
    return (), (
        f"{nothing} the last commit was judged alone, with every gap that it has, and none of "
        f"those below it; 'patchtool lint --range A..B' judges commits one by one"
    )


def _ranged(
    arguments: argparse.Namespace,
    repository: Repository,
    end: str,
    known: tuple[str, ...],
    opened: list[Source],
) -> Iterator[Step]:
    """Yield a step per new commit that touches something relevant.

    Where nothing is known of the other side, one step leads to the end from nothing.
    """
    from patchtool.lint.introduced import Step

    at_top = _holds_kernel(repository, repository.prefix, end, *known)
    found = _touching(repository, end, known)
    touched = [path for _, _, paths in found for path in paths]
    if not at_top and not _move(arguments, repository, touched, end, *known):
        return
    prefix = f"{repository.prefix}/" if repository.prefix else ""

    @cache
    def opened_at(commit: str) -> Source:
        source = _revision(arguments.tree, repository, commit)
        opened.append(source)
        return source

    included = reach.Included()
    for number, ((commit, *parents), subject, paths) in enumerate(found):
        if known and not parents and _is_cut(repository, commit):
            raise InputError(
                f"{arguments.tree}: this shallow clone has nothing below {commit[:12]}, so what it "
                f"brings in is not known; get more with `git -C {arguments.tree} fetch --deepen=1`"
            )
        below = {p.removeprefix(prefix) for p in paths if p.startswith(prefix)}
        own = {path for path in below if relevant(path)}
        # What is included is asked of the first tree, and of those that may differ in it.
        if own or number == 0:
            included.show(partial(opened_at, commit))
        if parents and number == 0:
            included.show(partial(opened_at, parents[0]))
        yield Step(
            f"{commit[:12]} ({subject})" if known else "",
            partial(opened_at, parents[0]) if parents else _nothing,
            partial(opened_at, commit),
            frozenset(path for path in below if path in own or included(path)),
            tuple(
                partial(opened_at, one)
                for one in parents[1:]
                if not repository.ask([f"^{k}" for k in known], "rev-list", "-1", one, "--stdin")
            ),
        )


def _is_cut(repository: Repository, commit: str) -> bool:
    """Tell whether a commit has parents that a shallow clone has left out."""
    return repository.is_shallow and "\nparent " in repository.run("cat-file", "commit", commit)


def _touching(
    repository: Repository, end: str, known: tuple[str, ...]
) -> list[tuple[list[str], str, list[str]]]:
    """Return the new commits that may matter: their ids and parents, subjects, and paths.

    Where nothing is known, this is the end alone with all that it has.
    """
    if known:
        log = repository.ask(
            [f"^{one}" for one in known],
            "log", "--first-parent", "-m", "--reverse", "--no-renames", "--name-only", "-z",
            "--format=%x01%H %P%x02%s%x02", end, "--stdin",
        )  # fmt: skip
    else:
        names = repository.run("ls-tree", "-r", "--name-only", "-z", "--full-tree", end)
        log = f"\1{end}\2\2{names}"
    found = []
    for record in log.split("\1")[1:]:
        ids, subject, listed = record.split("\2", 2)
        paths = [name.strip("\n") for name in listed.split("\0")]
        kept = [path for path in paths if path and (relevant(path) or reach.includable(path))]
        if kept:
            found.append((ids.split(), subject, kept))
    return found


def _revision(tree: str, repository: Repository, commit: str) -> Source:
    from patchtool.outside.source import Revision

    return Revision(repository, commit, tree)


def _holds_kernel(repository: Repository, prefix: str, *revs: str) -> bool:
    """Tell whether a folder is the top of a kernel, in the index or in a revision."""
    path = os.path.join(prefix, HEADER)
    if not revs and repository.run("ls-files", "--", f":(top,literal){path}"):
        return True
    return any(repository.entry(rev, path) is not None for rev in revs)


def _move(
    arguments: argparse.Namespace, repository: Repository, touched: Sequence[str], *revs: str
) -> bool:
    """Look for the kernel that a change touches somewhere else in its repository.

    The folder that was named has none.  False where nothing of a kernel is touched.
    """
    tops: set[str] = set()
    for path in touched:
        tops |= {path[: found.start()] for found in re.finditer(BELOW_TOP, path)}
    tops = {top for top in tops if _holds_kernel(repository, top, *revs)}
    if len(tops) > 1:
        names = " and ".join(sorted(tops)[:2])
        raise UsageError(f"the change touches the kernels in {names}; name one with --tree")
    if not tops:
        return False
    (repository.prefix,) = tops
    top = repository.top or repository.git_dir
    here = os.path.join(top, repository.prefix)
    arguments.tree = here if os.path.isabs(arguments.tree) else os.path.relpath(here)
    return True


def _staged(
    arguments: argparse.Namespace, repository: Repository, opened: list[Source]
) -> Iterator[Step]:
    """Yield one step: from the last commit to the index."""
    if repository.bare:
        raise UsageError(f"{arguments.tree} is a bare repository: nothing can be staged there")
    changed = _changed(repository)
    if not changed:
        return
    from patchtool.lint.introduced import Step
    from patchtool.outside.source import Kept, Overlay, WorkTree

    head = repository.head
    revs = (head,) if head is not None else ()
    here = any(_holds_kernel(repository, repository.prefix, *one) for one in ((), revs))
    if not here and not any(_move(arguments, repository, [*changed], *one) for one in ((), revs)):
        return
    prefix = f"{repository.prefix}/" if repository.prefix else ""
    below = {
        path.removeprefix(prefix): it for path, it in changed.items() if path.startswith(prefix)
    }
    tree = arguments.tree
    base = Kept(_revision(tree, repository, head) if head is not None else WorkTree(tree))
    opened.append(base)
    own = {path: it for path, it in below.items() if relevant(path)}
    edits: _Edits = {path: _added(repository, path, *it) for path, it in own.items()}
    included = reach.Included(lambda: base, lambda: Overlay(base, edits))
    for path, it in below.items():
        if path not in own and included(path):
            edits[path] = _added(repository, path, *it)
    if not edits:
        return
    after = Overlay(base, edits)
    yield Step("", lambda: base if head is not None else None, lambda: after, frozenset(edits))


def _changed(repository: Repository) -> dict[str, tuple[str, str]]:
    """Return mode and object id of what the index has otherwise than HEAD, and may matter."""
    question = (
        "diff-index", "--cached", "--ita-invisible-in-index", "--no-renames", "-z", "--raw",
        "--no-abbrev",
    )  # fmt: skip
    try:
        raw = repository.run(*question, "HEAD").split("\0")
    except InputError:
        # Before the first commit there is no HEAD.
        if repository.head is not None:
            raise
        raw = repository.run(*question, repository.empty_tree).split("\0")
    changed: dict[str, tuple[str, str]] = {}
    for line, path in zip(raw[::2], raw[1::2], strict=False):
        _, mode, _, oid, kind = line.split(" ")
        if relevant(path) or reach.includable(path):
            if kind.startswith("U"):
                raise InputError(
                    f"{path} is not merged yet, so the index does not say what the next commit "
                    f"would hold; resolve the conflict and add the file"
                )
            changed[path] = mode, oid
    return changed


def _added(repository: Repository, path: str, mode: str, oid: str) -> bytes | None:
    """Return what the index holds of a file, None where it is gone."""
    if mode in _SPECIAL:
        raise InputError(
            f"{path} is a symbolic link or a submodule in the index, where a file should be"
        )
    return None if mode == "000000" else repository.blob_by_id(oid)
