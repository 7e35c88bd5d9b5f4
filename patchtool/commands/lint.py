# SPDX-License-Identifier: GPL-2.0-only
"""``patchtool lint``: what patches, commits or the index bring in.

In: parsed arguments.  Out: the report on what is new and the exit status: 0 nothing new,
1 a new gap, 3 something new is undecided.  A change that touches nothing relevant is
done with before anything costly is imported.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

from patchtool.errors import InputError, PatchError, UsageError
from patchtool.outside import reach
from patchtool.outside.mail import FOLDERS, Letter, Passed, read, relevant
from patchtool.outside.outline import Section
from patchtool.outside.source import open_source, read_patch
from patchtool.outside.top import prefix as prefix_of
from patchtool.report import STATUS

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

_NO_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


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
        help="PATCH is one mail of a series; those before it are taken from its folder",
    )
    add("--range", metavar="A..B", help="the commits of a range")
    add("--staged", action="store_true", help="what the next commit would hold")
    add(
        "--suppressions",
        action="store_true",
        help="list the accepted findings of the tree; fail where one is accepted in vain",
    )
    add("--tree", metavar="TREE", help="the kernel tree (default: this folder)")
    add("--rev", metavar="REV", help="apply the patches to a revision instead of the files on disk")
    add("--fields", metavar="NAME[,NAME...]", help="the fields to decide, or all")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    given = [bool(arguments.patches), arguments.range is not None, arguments.staged]
    if sum(given) + arguments.suppressions != 1:
        raise UsageError("lint takes patches, --range A..B or --staged, and one of them at a time")
    if arguments.suppressions:
        return _suppressions(arguments)
    if arguments.rev is not None and not arguments.patches:
        raise UsageError("--rev goes with patches only")
    if arguments.series and (len(arguments.patches) != 1 or "-" in arguments.patches):
        raise UsageError("--series goes with one file; its folder holds the other mails")
    import gc

    tree = arguments.tree or "."
    sources: list[Source] = []
    try:
        if arguments.patches:
            steps = list(_handed(tree, arguments, sources))
        else:
            steps = list(_committed(tree, arguments, sources))
        if not any(step.paths for step in steps):
            return _silent(arguments)
        # Terms live as long as the tree that they belong to; only a long series frees some.
        gc.set_threshold(_OBJECTS)
        return _lint(tree, steps, arguments)
    finally:
        for source in sources:
            source.close()


def _silent(arguments: argparse.Namespace) -> int:
    """Deliver a report on nothing."""
    if arguments.format in ("text", "terse") and arguments.output in (None, "-"):
        return 0
    from patchtool.model import Report

    return _deliver(Report(arguments.tree or ".", None, verdict="covered"), {}, {}, arguments)


def _lint(tree: str, steps: Sequence[Step], arguments: argparse.Namespace) -> int:
    from patchtool.lint.introduced import lint
    from patchtool.rules.stale_mmu_role import DEFAULT_FIELDS

    fields = _fields(arguments.fields) or DEFAULT_FIELDS
    news = lint(tree, steps, fields, arguments.verbose)
    return _deliver(news.report, news.states, news.anchors, arguments)


def _fields(given: str | None) -> tuple[str, ...]:
    names = tuple(name.strip() for name in given.split(",")) if given is not None else ()
    for name in names:
        if not (name.isascii() and name.isidentifier()):
            raise UsageError(f"--fields: {name!r} is not the name of a member of struct kvm_mmu")
    return names


def _deliver(
    report: Report,
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
    status: int = arguments.deliver(report, arguments, states, anchors)
    return status


def _suppressions(arguments: argparse.Namespace) -> int:
    """List the accepted findings of a tree; 1 where one is accepted in vain."""
    from patchtool.c.index import KVM_DIR, Index
    from patchtool.lint.suppress import find, judged
    from patchtool.outside.source import open_source
    from patchtool.report.words import safe, sentence
    from patchtool.rules import stale_mmu_role as rule

    source = open_source(arguments.tree or ".", arguments.rev)
    try:
        fields = _fields(arguments.fields) or rule.DEFAULT_FIELDS
        report = rule.check(Index(source), fields, source.label, source.rev)
        paths = [path for path in source.walk(KVM_DIR) if path.endswith((".c", ".h"))]
        found = [one for path in paths for one in find(path, source.read(path) or b"")]
    finally:
        source.close()
    status = 0
    for one, wrong in judged(found, report.findings, (rule.RULE,)):
        word = "error" if wrong else "note"
        text = wrong or f"accepted: {one.reason}"
        sys.stdout.write(f"{safe(one.file)}:{one.line}: {word}: {sentence(text)} [suppression]\n")
        status = status or int(bool(wrong))
    return status


# -- patches -------------------------------------------------------------------------------


_Judged = tuple[Section, ...]


def _handed(tree: str, arguments: argparse.Namespace, opened: list[Source]) -> Iterator[Step]:
    """Yield the steps of patches: none where no patch touches what matters."""
    letters: list[Letter] = []
    passed: list[Passed] = []
    for name in arguments.patches:
        post = read(*read_patch(name))
        letters += post.letters
        passed += post.passed
    source = open_source(tree, arguments.rev)
    opened.append(source)
    prefix = prefix_of(tree)
    present = (reach.in_source if arguments.rev else reach.on_disk)(source, prefix)
    judged, more = reach.sort(letters, present, prefix)
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
        frozenset(path for path in paths if relevant(path)),
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
    first, last = (
        list(map(_parsed, reach.sort(others, lambda _: True, prefix)[0]))
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


def _committed(tree: str, arguments: argparse.Namespace, opened: list[Source]) -> Iterator[Step]:
    from patchtool.outside.git import Repository

    try:
        repository = Repository.open(tree)
    except InputError as error:
        if "not in a git repository" not in str(error):
            raise
        raise InputError(
            f"{tree} is not in a git repository, so there are no commits to lint; give patches"
        ) from error
    try:
        if arguments.staged:
            yield from _staged(tree, repository, opened)
        else:
            yield from _ranged(tree, repository, arguments.range, opened)
    finally:
        repository.close()


def _ranged(tree: str, repository: Repository, given: str, opened: list[Source]) -> Iterator[Step]:
    """Yield a step per commit of a range that touches something relevant."""
    from patchtool.lint.introduced import Step

    first, dots, last = given.partition("..")
    if not dots or last.startswith("."):
        raise UsageError(f"--range {given}: give two revisions as A..B")
    start, end = repository.resolve(first or "HEAD"), repository.resolve(last or "HEAD")
    prefix = f"{repository.prefix}/" if repository.prefix else ""
    log = repository.run(
        "log", "--first-parent", "-m", "--reverse", "--no-renames", "--name-only", "-z",
        "--format=%x01%H %P%x02%s%x02", end, f"^{start}", "--", *(prefix + f for f in FOLDERS),
    )  # fmt: skip

    @cache
    def opened_at(commit: str) -> Source:
        source = _revision(tree, commit)
        opened.append(source)
        return source

    for record in log.split("\1")[1:]:
        ids, subject, names = record.split("\2", 2)
        commit, *parents = ids.split()
        paths = {name.strip("\n").removeprefix(prefix) for name in names.split("\0")}

        yield Step(
            f"{commit[:12]} ({subject})",
            partial(opened_at, parents[0]) if parents else _nothing,
            partial(opened_at, commit),
            frozenset(path for path in paths if relevant(path)),
        )


def _revision(tree: str, commit: str) -> Source:
    from patchtool.outside.source import open_source

    return open_source(tree, commit)


def _staged(tree: str, repository: Repository, opened: list[Source]) -> Iterator[Step]:
    """Yield one step: from the last commit to the index."""
    from patchtool.lint.introduced import Step
    from patchtool.outside.source import Kept, Overlay, WorkTree

    if repository.bare:
        raise UsageError(f"{tree} is a bare repository: nothing can be staged there")
    try:
        head: str | None = repository.resolve("HEAD")
    except InputError:
        head = None
    prefix = f"{repository.prefix}/" if repository.prefix else ""
    raw = repository.run(
        "diff-index", "--cached", "--no-renames", "-z", "--raw", "--no-abbrev", head or _NO_TREE,
        "--", *(prefix + folder for folder in FOLDERS),
    ).split("\0")  # fmt: skip
    edits: _Edits = {}
    for line, path in zip(raw[::2], raw[1::2], strict=False):
        _, mode, _, oid, _ = line.split(" ")
        name = path.removeprefix(prefix)
        if relevant(name):
            gone = mode == "000000"
            edits[name] = None if gone else repository.blob_by_id(oid)
    if not edits:
        return
    base = Kept(_revision(tree, head) if head is not None else WorkTree(tree))
    opened.append(base)
    after = Overlay(base, edits)
    yield Step("", lambda: base if head is not None else None, lambda: after, frozenset(edits))
