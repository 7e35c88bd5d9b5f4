# SPDX-License-Identifier: GPL-2.0-only
"""The one door to git: revisions, trees and blobs of a repository, never its work tree.

In: a folder that git knows, names of revisions, paths.  Out: bytes and object ids.
Objects travel over one ``cat-file --batch`` process, trees are parsed once each.
Settings of the person do not reach git, and nothing is ever fetched.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, NamedTuple

from patchtool.errors import InputError

if TYPE_CHECKING:
    from subprocess import Popen

_OID = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")

_AHEAD = 64
"""How many objects are asked for at once; their ids are far smaller than a pipe."""

# What decides where git looks and what it does there; a hook of another repository
# may have left any of them behind.
_STRAY = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
)

_ALWAYS = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PAGER": "cat",
    # Old releases of git do not know the first of these two; the second leaves them
    # without a transport.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "LC_ALL": "C",
    "LANGUAGE": "C",
}

_NEUTRAL = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

# The repository's own configuration is still read (object format, promisors), so what
# in it could run a program or change the form of the output is overruled.
_OPTIONS = (
    "--no-pager",
    "-c", f"core.hooksPath={os.devnull}",
    "-c", "core.fsmonitor=false",
    "-c", f"core.attributesFile={os.devnull}",
    "-c", "core.quotePath=true",
    "-c", "color.ui=false",
    "-c", "log.showSignature=false",
    "-c", "log.decorate=false",
    "-c", "diff.noprefix=false",
    "-c", "diff.mnemonicPrefix=false",
    "-c", "safe.bareRepository=all",
)  # fmt: skip

# A driver for differences may be named in the repository's configuration, too.
_OF_DIFFERENCES = dict.fromkeys(
    ("log", "diff-index", "diff-tree"), ("--no-ext-diff", "--no-textconv")
)


class Entry(NamedTuple):
    """One line of a git tree; its modes mean what ``stat`` says, 160000 is a submodule."""

    mode: int
    oid: str


class TooLarge(InputError):
    """A blob is larger than the caller wants to hold."""


class NoRepository(InputError):
    """A folder lies in no repository."""


class Missing(InputError):
    """An object that the repository refers to is not in it."""


class Repository:
    """A git repository, opened once and read through one process."""

    _stream: Popen[bytes] | None = None

    def __init__(
        self, path: str, places: dict[str, str], git_dir: str, prefix: str, bare: bool
    ) -> None:
        self.path = path
        self.git_dir = git_dir
        self.prefix = prefix
        self.bare = bare
        self.top = places.get("GIT_WORK_TREE")
        """The top folder of the work tree; None in a bare repository."""
        self._persons = {**_environment(), **places}
        self._around = {**self._persons, **_NEUTRAL}
        self._left: list[Popen[bytes] | None] = []
        """The process of the one that this is a copy of."""
        self._trees: dict[str, dict[str, Entry]] = {}
        self._roots: dict[str, str] = {}
        self._partial: bool | None = None

    @classmethod
    def open(cls, path: str) -> Repository:
        """Open the repository that holds the folder ``path``, bare or not."""
        where = os.path.abspath(path)
        questions = ("--is-bare-repository", "--absolute-git-dir", "--show-prefix")
        # The person's own configuration is read here: it may vouch for a repository that
        # belongs to someone else (safe.directory).
        status, out, err = _execute(["-C", where, "rev-parse", *questions], _environment())
        lines = out.decode("utf-8", "surrogateescape").split("\n")
        if status != 0 or len(lines) != 4:
            raise _not_opened(path, err)
        bare, git_dir, prefix, _ = lines
        places = _places(where, git_dir, prefix, bare)
        return cls(path, places, git_dir, prefix.rstrip("/"), bare == "true")

    @property
    def is_shallow(self) -> bool:
        """Whether the history was cut when the repository was cloned."""
        return self.run("rev-parse", "--is-shallow-repository").strip() == "true"

    @property
    def is_partial(self) -> bool:
        """Whether objects were left out when the repository was cloned."""
        if self._partial is None:
            pattern = r"^(extensions\.partialclone|remote\..*\.promisor)$"
            command = ["config", "--get-regexp", pattern]
            status, _, _ = _execute(command, self._around)
            self._partial = status == 0
        return self._partial

    def resolve(self, rev: str) -> str:
        """Return the full id of the commit that ``rev`` names."""
        if not rev or rev.startswith("-"):
            raise InputError(f"{rev!r} is not the name of a revision; give a commit, tag or branch")
        command = ["rev-parse", "--verify", "--end-of-options", f"{rev}^{{commit}}"]
        status, out, err = _execute(command, self._around)
        # Releases of git before 2.30 print the end-of-options marker as well.
        found = out.decode("ascii", "replace").split()[-1:]
        if status != 0 or not found or not _OID.match(found[0]):
            raise InputError(self._why_not_resolved(rev, err))
        return found[0]

    def entry(self, rev: str, path: str) -> Entry | None:
        """Return what stands at ``path``, counted from the top of the repository."""
        at: Entry | None = Entry(stat.S_IFDIR, self._root(rev))
        for name in path.split("/") if path else ():
            if at is None or not stat.S_ISDIR(at.mode):
                return None
            at = self.tree(at.oid).get(name)
        return at

    def tree(self, oid: str) -> dict[str, Entry]:
        """Return the entries of one tree object by name, in git's order."""
        if oid not in self._trees:
            data = self._object(oid, "tree")
            try:
                self._trees[oid] = dict(_entries(data, len(oid) // 2))
            except ValueError as error:
                raise self._damaged(oid) from error
        return self._trees[oid]

    def blob(self, rev: str, path: str, limit: int | None = None) -> bytes | None:
        """Return the bytes of a file at a revision, None when no file is there."""
        found = self.entry(rev, path)
        if found is None or not (stat.S_ISREG(found.mode) or stat.S_ISLNK(found.mode)):
            return None
        return self.blob_by_id(found.oid, limit)

    def blob_by_id(self, oid: str, limit: int | None = None) -> bytes:
        """Return the bytes of a blob; TooLarge when it has more than ``limit`` of them."""
        return self._object(oid, "blob", limit)

    def blobs(self, oids: Sequence[str], limit: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of some hundred blobs in order; git reads ahead meanwhile."""
        for oid in oids:
            if not _OID.match(oid):
                raise InputError(f"{oid!r} is not the id of an object")
        for start in range(0, len(oids), _AHEAD):
            part = oids[start : start + _AHEAD]
            # All requests fit into the pipe, so that neither side waits for the other.
            asked = "".join(f"{oid}\n" for oid in part).encode("ascii")
            try:
                for number, oid in enumerate(part):
                    yield self._object(oid, "blob", limit, b"" if number else asked)
            except BaseException:
                # The answers that nobody read would be taken for those of later requests.
                self.close()
                raise

    @property
    def ids(self) -> str:
        """The hash that names objects here."""
        return "sha256" if len(self.empty_tree) == 64 else "sha1"

    @property
    def head(self) -> str | None:
        """The commit that is checked out; None before the first one."""
        command = ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]
        status, out, _ = _execute(command, self._around)
        return out.decode("ascii", "replace").strip() if status == 0 else None

    @property
    def empty_tree(self) -> str:
        """The id of a tree without files, by the rules of this repository."""
        return self.run("hash-object", "-t", "tree", os.devnull).strip()

    def has(self, oid: str) -> bool:
        """Tell whether a commit is in the repository."""
        command = ["cat-file", "-e", f"{oid}^{{commit}}"]
        return _OID.match(oid) is not None and _execute(command, self._around)[0] == 0

    @property
    def hooks(self) -> str:
        """The folder that git runs hooks from for the person."""
        where = self.top or self.git_dir
        # The options of all other commands would set another folder for hooks.
        command = ["-C", where, "rev-parse", "--git-path", "hooks"]
        status, out, err = _execute(command, self._persons, options=())
        if status != 0:
            raise InputError(f"{self.path}: git cannot say where hooks are: {_first_line(err)}")
        return os.path.normpath(os.path.join(where, os.fsdecode(out.removesuffix(b"\n"))))

    def setting(self, name: str) -> str | None:
        """Return a setting of the person or of the repository, such as ``user.name``."""
        status, out, _ = _execute(["config", "--get", name], self._persons)
        return out.decode("utf-8", "surrogateescape").rstrip("\n") if status == 0 else None

    def run(self, *args: str) -> str:
        """Run one git command and return what it printed.

        Paths count from the top of the repository.  Bytes that are no UTF-8 come back
        as surrogate escapes.  Names from outside belong behind ``--end-of-options`` or
        ``--``.
        """
        # Git would take paths to count from the folder that the person stands in.
        where = ["-C", self.top or self.git_dir]
        status, out, err = _execute([*where, *_plainly(args)], self._around)
        if status != 0:
            reason = _first_line(err) or f"exit status {status}"
            raise InputError(f"{self.path}: git {args[0]} failed: {reason}")
        return out.decode("utf-8", "surrogateescape")

    def ask(self, lines: Sequence[str], *args: str) -> str:
        """Run one git command with lines on its standard input; otherwise as ``run``."""
        import tempfile

        with tempfile.TemporaryFile() as file:
            file.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
            file.seek(0)
            where = ["-C", self.top or self.git_dir]
            command = [*where, *_plainly(args)]
            status, out, err = _execute(command, self._around, file)
        if status != 0:
            reason = _first_line(err) or f"exit status {status}"
            raise InputError(f"{self.path}: git {args[0]} failed: {reason}")
        return out.decode("utf-8", "surrogateescape")

    def forget(self) -> None:
        """Let go of the trees that were read, to keep a long walk small."""
        self._trees.clear()
        self._roots.clear()

    def close(self) -> None:
        """End the process that reads objects; the next read starts another."""
        process, self._stream = self._stream, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            # What nobody read makes git end as well.
            with suppress(OSError):
                assert pipe is not None
                pipe.close()
        process.wait()

    def __del__(self) -> None:
        self.close()

    def alone(self) -> None:
        """Leave the process that reads objects to the one that this is a copy of."""
        self._left.append(self._stream)
        self._stream = None

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _root(self, rev: str) -> str:
        """Return the id of the tree of a commit."""
        if rev not in self._roots:
            commit = self._object(rev if _OID.match(rev) else self.resolve(rev), "commit")
            # The first line of every commit object is "tree <id>".
            self._roots[rev] = commit[5 : commit.index(b"\n")].decode("ascii")
        return self._roots[rev]

    def _object(
        self, oid: str, kind: str, limit: int | None = None, asked: bytes | None = None
    ) -> bytes:
        if not _OID.match(oid):
            # Anything else, a line feed above all, would leave every later answer of
            # the stream one request behind.
            raise InputError(f"{oid!r} is not the id of an object")
        header = self._ask(f"{oid}\n".encode("ascii") if asked is None else asked)
        # In a partial clone git dies at an object that it would have to fetch.
        if header[1:] == ["missing"] or (not header and self.is_partial):
            raise Missing(self._why_missing(oid))
        if len(header) != 3:
            raise self._damaged(oid)
        size = int(header[2])
        if header[1] != kind or (limit is not None and size > limit):
            self.close()
            if header[1] != kind:
                raise InputError(f"{self.path}: object {oid} is a {header[1]}, not a {kind}")
            raise TooLarge(f"{self.path}: blob {oid} has {size} bytes")
        data = self._process()[1].read(size + 1)
        if len(data) != size + 1:
            self.close()
            raise InputError(f"{self.path}: git stopped inside object {oid}; try `git fsck`")
        return data[:-1]

    def _ask(self, request: bytes) -> list[str]:
        asking, answers = self._process()
        try:
            asking.write(request)
            asking.flush()
            header = answers.readline()
        except OSError:
            header = b""
        if not header:
            self.close()
        return header.decode("ascii", "replace").split()

    def _process(self) -> tuple[IO[bytes], IO[bytes]]:
        """Return where to ask for objects, and where the answers come from."""
        if self._stream is None:
            self._stream = _started(["cat-file", "--batch"], self._around)
        asking, answers = self._stream.stdin, self._stream.stdout
        assert asking is not None
        assert answers is not None
        return asking, answers

    def _damaged(self, oid: str) -> InputError:
        return InputError(f"{self.path}: git cannot read object {oid}; try `git fsck`")

    def _why_missing(self, oid: str) -> str:
        if self.is_partial:
            return (
                f"object {oid} is not in this partial clone, and patchtool never uses the network; "
                f"run `git -C {self.path} cat-file -e {oid}` for this one or "
                f"`git -C {self.path} fetch --refetch --no-filter` for all"
            )
        return f"{self.path}: object {oid} is missing from the repository; try `git fsck`"

    def _why_not_resolved(self, rev: str, err: str) -> str:
        if "ambiguous" in err and "unknown revision" not in err:
            return f"{self.path}: revision {rev!r} is ambiguous; give more of its digits"
        if self.is_shallow:
            return (
                f"{self.path}: revision {rev!r} is not in this shallow clone; get more history "
                f"with `git -C {self.path} fetch --deepen=1000` or all of it with "
                f"`git -C {self.path} fetch --unshallow --tags`"
            )
        return (
            f"{self.path}: there is no revision {rev!r} in this repository; "
            f"see `git -C {self.path} tag` and `git -C {self.path} branch --all`, or fetch it"
        )


def personal(name: str) -> str | None:
    """Return a setting of the person, such as ``user.name``, outside of any repository."""
    status, out, _ = _execute(["config", "--global", "--get", name], _environment())
    return out.decode("utf-8", "surrogateescape").strip() if status == 0 else None


def _plainly(args: Sequence[str]) -> tuple[str, ...]:
    """Return a command that runs no program but git itself."""
    return (args[0], *_OF_DIFFERENCES.get(args[0], ()), *args[1:])


def _environment() -> dict[str, str]:
    """Return the environment without what decides where git looks."""
    return {**{k: v for k, v in os.environ.items() if k not in _STRAY}, **_ALWAYS}


def _execute(
    args: Sequence[str],
    env: dict[str, str],
    given: IO[bytes] | None = None,
    options: Sequence[str] = _OPTIONS,
) -> tuple[int, bytes, str]:
    """Run git to its end; return its status, and what it printed on both streams."""
    from subprocess import DEVNULL, PIPE

    with _run([*options, *args], env, given or DEVNULL, PIPE) as process:
        out, err = process.communicate()
    return process.returncode, out, err.decode("utf-8", "surrogateescape")


def _started(args: Sequence[str], env: dict[str, str]) -> Popen[bytes]:
    """Start git and leave it running."""
    from subprocess import DEVNULL, PIPE

    return _run([*_OPTIONS, *args], env, PIPE, DEVNULL)


def _run(
    args: Sequence[str], env: dict[str, str], given: IO[bytes] | int, errors: int
) -> Popen[bytes]:
    from subprocess import PIPE, Popen

    try:
        return Popen(["git", *args], env=env, stdin=given, stdout=PIPE, stderr=errors)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise InputError("git is not installed or not in PATH; install it") from error
    except ValueError as error:
        raise InputError("a name that holds a NUL byte cannot be given to git") from error


def _places(where: str, git_dir: str, prefix: str, bare: str) -> dict[str, str]:
    """Return the variables that tell git where the repository is, whatever was set."""
    places = {"GIT_DIR": git_dir, "GIT_COMMON_DIR": _common_dir(git_dir)}
    if bare == "false" and os.path.realpath(where) != os.path.realpath(git_dir):
        top = where
        for _ in range(prefix.count("/")):
            top = os.path.dirname(os.path.realpath(top))
        places["GIT_WORK_TREE"] = top
    index = os.environ.get("GIT_INDEX_FILE")
    if index is not None:
        # A commit hook is given the index that will be committed, wherever it lies; that of
        # another repository must not be taken for ours.
        folder = os.path.realpath(os.path.dirname(index) or ".")
        is_other = os.path.exists(os.path.join(folder, "HEAD"))
        ours = folder == os.path.realpath(git_dir) or not is_other
        default = os.path.join(git_dir, "index")
        places["GIT_INDEX_FILE"] = os.path.abspath(index) if ours else default
    return places


def _common_dir(git_dir: str) -> str:
    """Return the folder that a linked work tree shares with its repository."""
    try:
        with open(os.path.join(git_dir, "commondir"), encoding="utf-8") as file:
            return os.path.normpath(os.path.join(git_dir, file.read().rstrip("\n")))
    except OSError:
        return git_dir


def _entries(data: bytes, width: int) -> Iterator[tuple[str, Entry]]:
    """Yield the entries of a raw tree object: mode, space, name, NUL, binary id.

    Raises ValueError for what git would not have written.
    """
    at = 0
    while at < len(data):
        space = data.index(b" ", at)
        end = data.index(b"\0", space)
        oid = data[end + 1 : end + 1 + width].hex()
        mode = int(data[at:space], 8)
        if len(oid) != 2 * width:
            raise ValueError("the last id is short")
        yield os.fsdecode(data[space + 1 : end]), Entry(mode, oid)
        at = end + 1 + width


def _not_opened(path: str, err: str) -> InputError:
    if "dubious ownership" in err:
        return InputError(
            f"{path}: the repository belongs to another user; if you trust it, run "
            f"`git config --global --add safe.directory {os.path.abspath(path)}`"
        )
    if "not a git repository" in err:
        return NoRepository(f"{path} is not in a git repository; give a folder that is in one")
    reason = _first_line(err) or "unexpected answer"
    return InputError(f"{path}: git cannot open the repository: {reason}")


def _first_line(text: str) -> str:
    lines = [line for line in text.splitlines() if not line.startswith(("warning:", "hint:"))]
    return lines[0].removeprefix("fatal: ").removeprefix("error: ").strip() if lines else ""
