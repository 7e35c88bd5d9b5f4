# SPDX-License-Identifier: GPL-2.0-only
"""``patchtool fix``: write, print or apply patches that were proved.

In: parsed arguments.  Out: patches in a folder, on standard output or in the tree, and
the exit status: 0 nothing is left to fix, 1 a gap remains, 3 something is undecided.
Files are written all or not at all; what is told besides goes to standard error.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from patchtool.commands.arguments import add_question, asked
from patchtool.errors import InputError, UsageError, cause
from patchtool.outside import files

if TYPE_CHECKING:
    from patchtool.model import Report
    from patchtool.outside.git import Repository
    from patchtool.outside.source import Source
    from patchtool.repair.fix import Outcome, Repair
    from patchtool.repair.patch import Backport, Blame, Mail, Selftest, Settings
    from patchtool.rules.upstream import Closing

_ABOUT = """\
Turn each gap into a patch: the role gets the missing bits, or stored roles are made
invalid where an input changes, or a field that is only added to is cleared first.  A
patch is written only after a check of the tree with it has proved what it closes."""

_STATUSES = """\
exit status:
  0  patches were written, each verified, or there is nothing to fix
  1  a gap remains that no verified patch closes
  2  the request or the input is at fault; standard error says how
  3  no gap remains, but something could not be decided"""

_MAINTAINERS = "scripts/get_maintainer.pl"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description, parser.epilog = _ABOUT, _STATUSES
    add = parser.add_argument
    add("tree", nargs="?", default=".", metavar="TREE", help="a kernel tree (default: this folder)")
    add("--rev", metavar="REV", help="read a commit, tag or branch instead of the files on disk")
    add_question(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "-o", "--output", default=".", metavar="DIR", help="write the patches here (default: .)"
    )
    where.add_argument("--stdout", action="store_true", help="print the patches")
    where.add_argument(
        "--apply", action="store_true", help="change the tree, if git calls the files clean"
    )
    add(
        "--backport",
        action="store_true",
        help="for a stable series: the commits that closed the gaps upstream, as far as they are "
        "on record, in the form that stable takes",
    )
    add("-s", "--signoff", action="store_true", help="add your Signed-off-by, from git config")
    add("--reroll-count", dest="reroll", type=_count, default=1, metavar="N",
        help="mark the series as version N")  # fmt: skip
    add("--cover-letter", action="store_true", help="write a cover letter too")
    add(
        "--base",
        nargs="?",
        const="HEAD",
        metavar="COMMIT",
        help="insist on a base-commit line: this commit, or HEAD (default: HEAD, if it fits)",
    )
    blame = parser.add_mutually_exclusive_group()
    blame.add_argument("--fixes", metavar="SHA", help="the commit that the patches fix")
    blame.add_argument("--no-fixes", action="store_true", help="leave out Fixes and Cc: stable")
    add(
        "--recipients", action="store_true", help=f"run the tree's {_MAINTAINERS}: whom to write to"
    )
    add("--build", action="store_true", help="compile the changed tree too, by its own make (slow)")
    add("--selftest", action="store_true", help="add a patch with a KVM selftest to the series")
    add("--kernel", metavar="BZIMAGE", help="run the reproducer on a kernel and tell what it saw")
    add("--modules", action="append", default=[], metavar="DIR",
        help="where the modules of --kernel lie; may be repeated (default: beside it)")  # fmt: skip
    add("-v", "--verbose", action="store_true", help="tell which paths each patch closes, too")
    add("-q", "--quiet", action="store_true", help="tell nothing besides the patches")
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a version number")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from patchtool.outside.source import open_source

    if arguments.tree == "." and arguments.base and os.path.isdir(arguments.base):
        arguments.tree, arguments.base = arguments.base, "HEAD"  # fix --base TREE
    if arguments.rev is not None and (arguments.apply or arguments.build or arguments.recipients):
        raise UsageError("--rev cannot go with --apply, --build or --recipients: they need files")
    author = _identity(arguments.tree)
    if arguments.signoff and author is None:
        raise UsageError(
            "--signoff needs to know who you are; "
            "run `git config --global user.name NAME` and the same for user.email"
        )
    if arguments.selftest and arguments.apply:
        raise UsageError("--selftest cannot go with --apply; give a folder with -o")
    source = open_source(arguments.tree, arguments.rev)
    try:
        return _run(arguments, source, author)
    finally:
        source.close()


def _run(arguments: argparse.Namespace, source: Source, author: str | None) -> int:
    from patchtool.repair import fix, patch
    from patchtool.report.layout import show
    from patchtool.report.progress import Progress

    left = partial(_unrecorded, source) if arguments.backport else None
    rule, fields = asked(arguments)
    shown = nullcontext() if arguments.quiet else Progress("checks", looking="looking for patches")
    with shown as progress:
        outcome = fix.search(source, fields, left, rule, progress)
    if outcome.repairs:
        mails = patch.series(outcome, _settings(arguments, source, outcome, author))
        if arguments.apply:
            told = _apply(arguments.tree, outcome)
        elif arguments.stdout:
            show("".join(mail.text for mail in mails), exact=True)
            told = []
        else:
            told = write(arguments.output, mails)
        show("".join(f"{line}\n" for line in told), exact=True)
    if not arguments.quiet:
        from patchtool.report.layout import note

        for line in _summary(outcome, source, arguments.verbose):
            note(f"patchtool: {line}")
    if outcome.open:
        return 1
    return 3 if outcome.last.verdict == "unknown" else 0


def _unrecorded(source: Source, report: Report) -> dict[str, str]:
    """Return what is open and of which no upstream commit is on record that closed it."""
    from patchtool.repair.fix import gaps
    from patchtool.rules import upstream

    if not upstream.series(source):
        raise UsageError("--backport: the Makefile of the tree does not tell its release")
    known = upstream.closings(report, source)
    names = {name for one in gaps(report).values() for name in one.missing}
    names |= {one.member for one in gaps(report).values() if one.accumulated is not None}
    return dict.fromkeys(names - known.keys(), "no upstream commit is on record that closed it")


def _summary(outcome: Outcome, source: Source, verbose: bool) -> Iterator[str]:
    from patchtool.model import listed
    from patchtool.repair.patch import open_gap, open_gaps
    from patchtool.rules import upstream

    known = upstream.closings(outcome.first, source)
    for repair in outcome.repairs:
        paths = len({key[:3] for key in repair.closed})
        lines = " ".join(repair.candidate.statements)
        names = listed(repair.inputs or (repair.input,))
        yield f"{names}: closed on {paths} path{'s' * (paths != 1)} by `{lines}`"
        for context, way in dict.fromkeys((key[1], key[2] or key[:1]) for key in repair.closed):
            if verbose:
                yield f"  {context}, {' -> '.join(f'{name}()' for name in way)}"
        if repair.input in known and not repair.is_more:
            yield f"{repair.input}: closed upstream by {known[repair.input].named}"
    for told in map(open_gap, outcome.open) if verbose else open_gaps(outcome.open):
        yield f"not closed: {told}"
    count, checks = len(outcome.repairs), outcome.checks
    what = f"{count} patch{'es' * (count != 1)}" if count else "nothing to fix"
    if not count and outcome.open:
        what = "no patch helps"
    elif not count and outcome.last.verdict == "unknown":
        what = "undecided, no patch; see 'patchtool check'"
    turn = f"{outcome.first.verdict} -> {outcome.last.verdict}" if count else outcome.last.verdict
    yield f"{what}; verdict {turn}; {checks} check{'s' * (checks != 1)}"


# -- what goes into the mails --------------------------------------------------------------


def _settings(
    arguments: argparse.Namespace, source: Source, outcome: Outcome, author: str | None
) -> Settings:
    from patchtool.repair.patch import Settings
    from patchtool.rules import upstream

    seconds, offset = _now()
    blames = _blames(arguments, source, outcome)
    to, cc = _recipients(arguments.tree, outcome) if arguments.recipients else ((), ())
    version = upstream.kernel_version(source)
    at = f" at {source.rev[:12]}" if source.rev else ""
    selftest, ran = _reproduced(arguments, source, outcome)
    known = upstream.closings(outcome.first, source)
    if arguments.backport:
        to = ("stable@vger.kernel.org", *to)
    return Settings(
        author=author,
        seconds=seconds,
        offset=offset,
        signoff=arguments.signoff,
        version=arguments.reroll,
        base=_base(arguments, source, outcome),
        cover=arguments.cover_letter,
        to=to,
        cc=cc,
        blames=blames,
        reaches=_reaches(source, outcome),
        build=_build(arguments.tree, outcome) if arguments.build else "Not built.",
        tree=f"Linux {version}{at}" if version else f"this tree{at}",
        ids=_ids(arguments.tree),
        selftest=selftest,
        ran=ran,
        series=upstream.series(source) if arguments.backport else "",
        backports=backports(known, outcome) if arguments.backport else {},
        closed={name: one.named for name, one in known.items()},
    )


def plain_settings(
    repository: Repository, source: Source, outcome: Outcome, back: Mapping[str, Backport]
) -> Settings:
    """Return how to write the patches of a revision where nobody asks for anything special."""
    from patchtool.repair.patch import Settings
    from patchtool.rules import upstream

    seconds, offset = _now()
    blames = {repair.input: _recorded(repair.input, source) for repair in outcome.repairs}
    version = upstream.kernel_version(source)
    return Settings(
        author=_identity(repository.path),
        seconds=seconds,
        offset=offset,
        base=source.rev if not repository.prefix else None,
        to=("stable@vger.kernel.org",) if back else (),
        blames={name: blame for name, blame in blames.items() if blame is not None},
        reaches=_reaches(source, outcome),
        tree=f"Linux {version}" if version else "this tree",
        series=upstream.series(source) if back else "",
        backports=back,
    )


def backports(known: Mapping[str, Closing], outcome: Outcome) -> dict[str, Backport]:
    """Return what each repair brings from upstream, where that is on record."""
    from patchtool.repair.patch import Backport

    return {
        one.input: Backport(by.commit, by.subject, _adjusted(by, one))
        for one in outcome.repairs
        if not one.is_more and (by := known.get(one.input)) is not None
    }


def _adjusted(closed: Closing, repair: Repair) -> tuple[str, ...]:
    """Return in words where a repair differs from what the upstream commit changed."""
    candidate = repair.candidate
    files = [one.path for one in repair.files if one.path.endswith(".c")]
    names = " and ".join(f"{name}()" for name in candidate.functions)
    told = []
    if not closed.member:
        if files != [closed.file] or list(candidate.functions) != [closed.function]:
            here = f"{names} in {' and '.join(files)} makes the roles invalid"
            told.append(f"{here}, upstream {closed.function}() in {closed.file} does")
        return tuple(told)
    if files != [closed.file]:
        told.append(f"the role is set in {' and '.join(files)}, upstream in {closed.file}")
    if list(candidate.functions) != [closed.function]:
        told.append(f"{names} sets the bit, upstream {closed.function}() does")
    if candidate.member != closed.member:
        told.append(f"the bit is called {candidate.member}, upstream {closed.member}")
    if not all(re.search(rf"\b{closed.reader}\(", one) for one in candidate.statements):
        lines = " ".join(f"`{one}`" for one in candidate.statements)
        told.append(f"the bit is set by {lines}, upstream it is read with {closed.reader}()")
    return tuple(told)


def _reproduced(
    arguments: argparse.Namespace, source: Source, outcome: Outcome
) -> tuple[Selftest | None, tuple[str, ...]]:
    """Return the patch with a selftest, and what a run saw, as far as they are asked for."""
    if not arguments.selftest and arguments.kernel is None:
        return None, ()
    from patchtool.repair import reproducer

    tests, refused = reproducer.tests(source, outcome)
    if not tests:
        raise UsageError(f"nothing that is closed can be replayed: {'; '.join(refused)}")
    selftest = reproducer.selftest(source, tests, refused) if arguments.selftest else None
    ran: tuple[str, ...] = ()
    if arguments.kernel is not None:
        ran = reproducer.ran(tests, arguments.kernel, arguments.modules)
    return selftest, ran


def _identity(tree: str) -> str | None:
    """Return ``Name <mail>`` from the person's git configuration, None where it has none."""
    name = os.environ.get("GIT_AUTHOR_NAME") or _configured(tree, "user.name")
    mail = os.environ.get("GIT_AUTHOR_EMAIL") or _configured(tree, "user.email")
    if not name or not mail:
        return None
    if re.search(r"[<>\n\0]", name + mail):
        raise UsageError("git config: user.name and user.email cannot hold <, > or a line end")
    return f"{_readable(name)} <{_readable(mail)}>"


def _readable(text: str) -> str:
    """Return a name in Unicode: bytes that are no UTF-8 are taken for Latin-1, as git warns of."""
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeDecodeError:
        return os.fsencode(text).decode("latin-1")


def _configured(tree: str, name: str) -> str | None:
    from patchtool.outside.git import Repository, personal

    try:
        return Repository.open(tree).setting(name)
    except InputError:
        # A plain folder: the person's own configuration is all there is.
        return personal(name)


def _now() -> tuple[int, int]:
    """Return the time to write into mails, and the offset of its zone."""
    import time

    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        now = int(time.time())
        return now, time.localtime(now).tm_gmtoff
    if not (given.isascii() and given.isdigit() and int(given) < 1 << 36):
        raise UsageError(f"SOURCE_DATE_EPOCH is {given!r}, which is no number of seconds")
    return int(given), 0


def _base(arguments: argparse.Namespace, source: Source, outcome: Outcome) -> str | None:
    """Return the commit that the patches apply to, None where there is no such commit."""
    repository = _repository(arguments.tree)
    if repository is None or repository.prefix:
        if arguments.base:
            raise UsageError(f"--base: {arguments.tree} is not the top of a git repository")
        return None
    try:
        commit = repository.resolve(arguments.base or source.rev or "HEAD")
    except InputError:
        if arguments.base:
            raise
        return None
    touched = {f.path: f.before for r in reversed(outcome.repairs) for f in r.files}
    other = [path for path, data in touched.items() if repository.blob(commit, path) != data]
    repository.close()
    if other and arguments.base:
        raise UsageError(f"--base: {other[0]} of the tree differs from {arguments.base}")
    return None if other else commit


def _ids(tree: str) -> str:
    """Return the hash that names objects in the repository of a tree."""
    repository = _repository(tree)
    return "sha1" if repository is None else repository.ids


def _repository(tree: str) -> Repository | None:
    from patchtool.outside.git import Repository

    try:
        return Repository.open(tree)
    except InputError:
        return None


def _reaches(source: Source, outcome: Outcome) -> Mapping[str, str]:
    """Return how states are reached, where that is on record for a path that is closed."""
    from patchtool.rules import upstream

    found = {}
    for repair in outcome.repairs:
        fact = upstream.recorded(repair.input, source)
        if fact is not None and any(key[1] in fact.contexts for key in repair.closed):
            found[repair.input] = fact.reach
    return found


def _blames(arguments: argparse.Namespace, source: Source, outcome: Outcome) -> Mapping[str, Blame]:
    """Return the commit to blame for each input that is closed."""
    if arguments.no_fixes:
        return {}
    names = [repair.input for repair in outcome.repairs]
    if arguments.fixes:
        return dict.fromkeys(names, _given(arguments.fixes, arguments.tree))
    derived = _derived(arguments.tree, source, names, arguments.quiet)
    return {
        name: blame
        for name in names
        if (blame := derived.get(name) or _recorded(name, source)) is not None
    }


def _recorded(name: str, source: Source) -> Blame | None:
    from patchtool.repair.patch import Blame
    from patchtool.rules import upstream

    fact = upstream.blamed(name, source)
    if fact is None:
        return None
    told = "Fixes and Cc: stable are recorded upstream facts, not derived from this tree."
    return Blame(fact.commit, fact.subject, fact.release, told)


def _derived(tree: str, source: Source, names: Sequence[str], quiet: bool) -> dict[str, Blame]:
    """Ask the history of the tree, where it has one that can prove an answer."""
    from patchtool.repair.patch import Blame

    repository = _repository(tree)
    if repository is None or repository.prefix:
        return {}
    try:
        from patchtool.history import flips
    except ImportError:
        return {}
    from patchtool.report.progress import Progress

    found: dict[str, Blame] = {}
    try:
        with nullcontext() if quiet else Progress("commits") as progress:
            settings = flips.Settings(progress=progress)
            for name in names:
                flip = flips.introduced(repository, source.rev or "HEAD", [name], settings)
                # With nothing before it, a commit is where the history starts, no more.
                if (
                    flip is None
                    or not repository.run("rev-list", "--parents", "-1", flip.commit).split()[1:]
                ):
                    continue
                tag = flips.first_tag(repository, flip.commit)
                release = flips.stable_note(tag).strip("# +") if tag else ""
                new = tag is None and flips.is_behind_release(repository, flip.commit)
                told = (
                    "Fixes is derived: the first commit at which equal roles allow a stale field."
                ) + (" No Cc: stable, as no tagged release has that commit." if new else "")
                found[name] = Blame(flip.commit, flip.subject, release, told, new)
    except InputError:
        # A history that cannot be read proves nothing.
        return found
    finally:
        repository.close()
    return found


def _given(fixes: str, tree: str) -> Blame:
    """Return the commit that the person names, ``SHA`` or ``SHA ("subject")``."""
    from patchtool.repair.patch import Blame
    from patchtool.rules import upstream

    match = re.fullmatch(r'([0-9a-f]{12,40})(?:\s+\("(.+)"\))?', fixes.strip())
    if match is None:
        raise UsageError(
            f"--fixes: {fixes!r} is not the id of a commit; give at least 12 digits of it, "
            'or SHA ("subject")'
        )
    commit, subject = match.groups()
    told = "Fixes was given on the command line."
    fact = upstream.by_commit(commit)
    if subject is None and fact is not None:
        return Blame(commit, fact.subject, fact.release, told)
    if subject is None:
        repository = _repository(tree)
        if repository is None:
            raise UsageError(f'--fixes: no history to look {commit} up in; give SHA ("subject")')
        commit = repository.resolve(commit)
        subject = repository.run("log", "-1", "--format=%s", commit).strip()
    return Blame(commit, subject, "", told)


def _recipients(tree: str, outcome: Outcome) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return To and Cc as the tree's own script has them."""
    import subprocess

    from patchtool.outside import diff

    script = os.path.join(os.path.abspath(tree), _MAINTAINERS)
    if not os.path.isfile(script):
        raise InputError(f"--recipients: {tree} has no {_MAINTAINERS}")
    text = "".join(diff.write(f.path, f.before, f.after) for r in outcome.repairs for f in r.files)
    command = ["perl", script, "--no-tree", "--no-git", "--no-git-fallback", "--rolestats"]
    try:
        done = subprocess.run(
            command,
            input=text.encode("utf-8", "surrogateescape"),
            cwd=tree,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise InputError(f"--recipients: perl cannot be run: {cause(error)}") from error
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise InputError(f"--recipients: {_MAINTAINERS} failed: {reason or 'no message'}")
    to: list[str] = []
    cc: list[str] = []
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        address, _, role = line.partition(" (")
        if "@" in address:
            (to if role.startswith(("supporter", "maintainer")) else cc).append(address.strip())
    return tuple(to), tuple(cc)


def _build(tree: str, outcome: Outcome) -> str:
    from patchtool.repair import build

    after = {f.path: f.after for repair in outcome.repairs for f in repair.files}
    target = next(path for path in after if path.endswith(".c"))
    return build.compile_object(tree, after, f"{target[:-2]}.o")


# -- output --------------------------------------------------------------------------------


def write(folder: str, mails: Sequence[Mail]) -> list[str]:
    """Write a series into a folder and return the paths."""
    try:
        os.makedirs(folder, exist_ok=True)
        there = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"{folder} cannot be used: {cause(error)}") from error
    paths = {mail.name: os.path.join(folder, mail.name) for mail in mails}
    done = {mail.name for mail in mails if _content(paths[mail.name]) == mail.data}
    for mail in mails:
        stem = re.match(r"(?:v\d+-)?\d{4}-", mail.name)
        assert stem is not None
        for name in there:
            same = name == mail.name and name in done
            if name.startswith(stem.group()) and name.endswith(".patch") and not same:
                raise UsageError(
                    f"{folder} already holds {name}; choose another folder with -o "
                    f"or mark a new version with --reroll-count N"
                )
    files.write_new({paths[mail.name]: mail.data for mail in mails if mail.name not in done})
    return list(paths.values())


def _apply(tree: str, outcome: Outcome) -> list[str]:
    """Change the files of a tree, all or none, if git calls them clean."""
    before: dict[str, bytes] = {}
    after: dict[str, bytes] = {}
    for repair in outcome.repairs:
        for one in repair.files:
            before.setdefault(one.path, one.before)
            after[one.path] = one.after
    repository = _repository(tree)
    if repository is None or repository.bare:
        raise UsageError(f"--apply: {tree} is not in a git work tree, so nothing could be undone")
    prefix = f"{repository.prefix}/" if repository.prefix else ""
    names = [f"{prefix}{path}" for path in after]
    # Not `git status`: to compare files it runs the filters that a repository names.
    listed = repository.run("ls-files", "-s", "-z", "--", *names).split("\0")
    tracked = {name: state for state, _, name in (line.partition("\t") for line in listed)}
    unknown = [name for name in names if name not in tracked]
    if unknown:
        raise UsageError(f"--apply: {unknown[0]} is not tracked by git, so nothing could be undone")
    staged = repository.run("diff-index", "--cached", "--name-only", "-z", "HEAD", "--", *names)
    changed = [name for name in staged.split("\0") if name] or [
        name
        for name, path in zip(names, after, strict=True)
        if repository.blob_by_id(tracked[name].split(" ")[1]) != before[path]
    ]
    repository.close()
    if changed:
        raise UsageError(f"--apply: {changed[0]} has changes; commit or stash them first")
    full = {path: os.path.join(tree, path) for path in after}
    for path, where in full.items():
        if os.path.islink(where) or _content(where) != before[path]:
            raise InputError(f"--apply: {path} is a link or changed during the run")
    files.rewrite(
        {full[path]: data for path, data in after.items()}, {full[p]: before[p] for p in after}
    )
    return list(full.values())


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
