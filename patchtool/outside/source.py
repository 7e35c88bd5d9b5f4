# SPDX-License-Identifier: GPL-2.0-only
"""The bytes of a kernel tree, the same whichever way the tree is kept.

In: a folder, a revision of the repository around it, a patch or edits on top.
Out: files by their path below the tree, and lists of them; paths use "/".
A tree is never changed, and nothing outside of it is read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Protocol

from patchtool.errors import InputError, UsageError, cause

if TYPE_CHECKING:
    from patchtool.outside.git import Entry, Repository

MAX_FILE = 8 * 1024 * 1024
"""The most bytes that a source file may have; the largest in a kernel has half of it."""

MAX_PATCH = 256 << 20
"""The most bytes that what is handed over as patches may have; a release is a third of it."""

_MAX_LINKS = 40
"""How many symbolic links one path may pass, as in Linux."""


class _Unfollowable(InputError):
    """A symbolic link leads in a circle or out of the tree."""


class Source(Protocol):
    """A tree that can be read."""

    @property
    def label(self) -> str:
        """The tree as the person named it."""

    @property
    def rev(self) -> str | None:
        """The full id of the revision that is read; None when no revision is."""

    @property
    def kind(self) -> str:
        """What this is, for messages."""

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file, None when it is not there."""

    def walk(self, folder: str) -> tuple[str, ...]:
        """List all files below a folder, sorted; empty when it is not there."""

    def close(self) -> None:
        """Let go of what reading holds open."""

    def alone(self) -> None:
        """Read by own means from here on: this is a copy of the process that opened it."""


class WorkTree:
    """A plain folder: a checkout as it lies on disk, or an unpacked tarball."""

    rev: str | None = None
    kind = "directory"

    def __init__(self, root: str) -> None:
        self.label = root
        self._root = os.path.realpath(root)
        # Folder asked for -> folder on disk once its links are followed; None: not there.
        self._folders: dict[str, str | None] = {"": self._root}

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file, None when it is not there."""
        folder, _, name = _normal(self.label, path).rpartition("/")
        where = self._folder(folder)
        if where is None:
            return None
        full = os.path.join(where, name)
        try:
            # O_NOFOLLOW saves looking at every file before it is opened, O_NONBLOCK
            # keeps a named pipe from waiting for a writer.
            file = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ELOOP:
                self._expect_absent(path, error)
                return None
        else:
            return self._content(path, file)
        target = self._follow(full, path)
        if target is None:
            return None
        try:
            return self._content(path, os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            self._expect_absent(path, error)
            return None

    def walk(self, folder: str) -> tuple[str, ...]:
        """List all files below a folder, sorted; empty when it is not there."""
        below = _normal(self.label, folder)
        where = self._folder(below)
        return (
            () if where is None else tuple(sorted(self._below(where, f"{below}/" if below else "")))
        )

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def alone(self) -> None:
        """Nothing is shared with another process."""

    def _folder(self, folder: str) -> str | None:
        if folder not in self._folders:
            self._folders[folder] = self._follow(os.path.join(self._root, folder), folder)
        return self._folders[folder]

    def _follow(self, full: str, path: str) -> str | None:
        """Return where a path leads once all links are followed."""
        try:
            real = os.path.realpath(full, strict=True)
        except OSError as error:
            self._expect_absent(path, error)
            # A link that leads nowhere inside the tree is a file that is not there.
            real = os.path.realpath(full)
            self._contain(real, path)
            return None
        self._contain(real, path)
        return real

    def _contain(self, real: str, path: str) -> None:
        if real != self._root and not real.startswith(self._root.rstrip("/") + "/"):
            raise _leaves(self.label, path)

    def _content(self, path: str, file: int) -> bytes:
        try:
            state = os.fstat(file)
            if stat.S_ISDIR(state.st_mode):
                raise _directory(self.label, path)
            if not stat.S_ISREG(state.st_mode):
                raise InputError(f"{_named(self.label, path)} is not a regular file")
            if state.st_size > MAX_FILE:
                raise _too_large(self.label, path)
            return os.read(file, state.st_size)
        except OSError as error:
            raise _unreadable(self.label, path, error) from error
        finally:
            os.close(file)

    def _expect_absent(self, path: str, error: OSError) -> None:
        """Raise unless the error says that nothing is there."""
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return
        if error.errno == errno.ELOOP:
            raise _loops(self.label, path) from error
        raise _unreadable(self.label, path, error) from error

    def _below(self, where: str, prefix: str) -> Iterator[str]:
        try:
            entries = list(os.scandir(where))
        except NotADirectoryError:
            return
        except OSError as error:
            raise _unreadable(self.label, prefix.rstrip("/"), error) from error
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                # A revision has no such folder either.
                if entry.name != ".git":
                    yield from self._below(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False) or self._links_to_file(entry):
                yield f"{prefix}{entry.name}"

    def _links_to_file(self, entry: os.DirEntry[str]) -> bool:
        if not entry.is_symlink():
            return False
        try:
            real = self._follow(entry.path, entry.name)
        except _Unfollowable:
            return False
        return real is not None and os.path.isfile(real)


class Revision:
    """A tree as a revision has it, read from the repository and not from the checkout."""

    def __init__(self, repository: Repository, rev: str, label: str | None = None) -> None:
        self.label = repository.path if label is None else label
        self._commit = repository.resolve(rev)
        self.rev: str | None = self._commit
        self.kind = f"revision {self._commit[:12]}"
        self._repository = repository
        self._prefix = repository.prefix

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file, None when it is not there."""
        found = self._reach(_normal(self.label, path))
        if found is None:
            return None
        if not stat.S_ISREG(found.mode):
            raise _directory(self.label, path)
        return self._blob(found, path)

    def holds(self, path: str) -> bool:
        """Tell whether the revision has something at a path, counted from its very top."""
        return self._repository.entry(self._commit, os.path.normpath(path)) is not None

    @property
    def has_folder(self) -> bool:
        """Whether the revision has the folder that was named as the tree."""
        found = self._entry("", "")
        return found is not None and stat.S_ISDIR(found.mode)

    def walk(self, folder: str) -> tuple[str, ...]:
        """List all files below a folder, sorted; empty when it is not there."""
        below = _normal(self.label, folder)
        found = self._reach(below)
        if found is None or not stat.S_ISDIR(found.mode):
            return ()
        return tuple(sorted(self._below(found, f"{below}/" if below else "")))

    def close(self) -> None:
        """End the process that reads the repository."""
        self._repository.close()

    def alone(self) -> None:
        """Read the repository by another git from here on."""
        self._repository.alone()

    def _below(self, folder: Entry, prefix: str) -> Iterator[str]:
        with self._missing(prefix):
            entries = self._repository.tree(folder.oid)
        for name, entry in entries.items():
            path = f"{prefix}{name}"
            if stat.S_ISDIR(entry.mode):
                yield from self._below(entry, f"{path}/")
            elif stat.S_ISREG(entry.mode) or self._links_to_file(path, entry):
                yield path

    def _links_to_file(self, path: str, entry: Entry) -> bool:
        if not stat.S_ISLNK(entry.mode):
            return False
        try:
            found = self._reach(path)
        except _Unfollowable:
            return False
        return found is not None and stat.S_ISREG(found.mode)

    def _reach(self, path: str) -> Entry | None:
        """Return what a path leads to; symbolic links are followed inside the tree."""
        ahead = path.split("/")[::-1] if path else []
        passed: list[str] = []
        links = 0
        while ahead:
            name = ahead.pop()
            if name == "..":
                if not passed:
                    raise _leaves(self.label, path)
                passed.pop()
            if name in ("", ".", ".."):
                continue
            found = self._entry("/".join((*passed, name)), path)
            if found is not None and stat.S_ISLNK(found.mode):
                links += 1
                if links > _MAX_LINKS:
                    raise _loops(self.label, path)
                ahead += self._target(found, path).split("/")[::-1]
            elif ahead and (found is None or not stat.S_ISDIR(found.mode)):
                # What is left of the path may still lead out of the tree.
                _normal(self.label, "/".join((*passed, name, *ahead[::-1])))
                return None
            else:
                passed.append(name)
        return self._entry("/".join(passed), path)

    def _target(self, link: Entry, path: str) -> str:
        target = os.fsdecode(self._blob(link, path))
        if target.startswith("/"):
            raise _leaves(self.label, path)
        return target

    def _entry(self, name: str, path: str) -> Entry | None:
        full = "/".join(part for part in (self._prefix, name) if part)
        with self._missing(path):
            return self._repository.entry(self._commit, full)

    def _blob(self, entry: Entry, path: str) -> bytes:
        from patchtool.outside.git import TooLarge

        try:
            with self._missing(path):
                return self._repository.blob_by_id(entry.oid, MAX_FILE)
        except TooLarge as error:
            raise _too_large(self.label, path) from error

    @contextmanager
    def _missing(self, path: str) -> Iterator[None]:
        """Name the path when an object below it is not in the repository."""
        from patchtool.outside.git import Missing

        try:
            yield
        except Missing as error:
            raise InputError(f"cannot read {path or 'the top folder'}: {error}") from error


class Kept:
    """Another source of which no file is read twice, for several trees on top of it."""

    def __init__(self, base: Source) -> None:
        self.label, self.rev, self.kind = base.label, base.rev, base.kind
        self.alone = base.alone
        self.close = base.close
        self.read = cache(base.read)
        self.walk = cache(base.walk)


class Overlay:
    """Another source with some files replaced, added or (None) taken away."""

    def __init__(self, base: Source, edits: Mapping[str, bytes | None]) -> None:
        self.label = base.label
        self.rev = base.rev
        self.kind = f"{base.kind} with edits"
        self._base = base
        self._edits = {_normal(base.label, path): data for path, data in edits.items()}

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file, None when it is not there."""
        name = _normal(self.label, path)
        return self._edits[name] if name in self._edits else self._base.read(name)

    def walk(self, folder: str) -> tuple[str, ...]:
        """List all files below a folder, sorted; empty when it is not there."""
        below = _normal(self.label, folder)
        prefix = f"{below}/" if below else ""
        paths = set(self._base.walk(folder))
        for path, data in self._edits.items():
            if data is None:
                paths.discard(path)
            elif path.startswith(prefix):
                paths.add(path)
        return tuple(sorted(paths))

    def close(self) -> None:
        """Let go of what the other source holds open."""
        self._base.close()

    def alone(self) -> None:
        """Read the other source by own means from here on."""
        self._base.alone()


def open_source(tree: str, rev: str | None = None) -> Source:
    """Open a tree: the folder itself, or what a revision has at that place."""
    _check_folder(tree)
    return _open_worktree(tree) if rev is None else _open_revision(tree, rev)


def _open_worktree(tree: str) -> Source:
    if all(os.path.exists(os.path.join(tree, name)) for name in ("HEAD", "objects", "refs")):
        raise UsageError(
            f"{tree} is a bare repository without files; say which revision to read, "
            f"for example --rev HEAD"
        )
    return WorkTree(tree)


def _open_revision(tree: str, rev: str) -> Source:
    from patchtool.outside.git import NoRepository, Repository

    try:
        repository = Repository.open(tree)
    except NoRepository as error:
        raise InputError(
            f"{tree} is not in a git repository; leave out --rev to read the files themselves"
        ) from error
    source = Revision(repository, rev, tree)
    if not source.has_folder:
        raise InputError(
            f"{tree}: revision {rev!r} has no folder {repository.prefix}; "
            f"give the folder that holds the kernel in that revision"
        )
    return source


def _check_folder(tree: str) -> None:
    """Say in one sentence why a folder cannot be a tree."""
    if not tree or "\0" in tree:
        raise InputError(f"{tree!r} is not the name of a folder; give a kernel tree")
    name = f'"{tree}"' if len(tree.split()) != 1 else tree
    try:
        state = os.stat(tree)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise InputError(f"{name} does not exist; give the folder of a kernel tree") from error
        raise InputError(f"{name} cannot be read: {cause(error)}") from error
    if not stat.S_ISDIR(state.st_mode):
        unpack = "unpack it and " if ".tar" in os.path.basename(tree) else ""
        raise InputError(f"{name} is not a folder; {unpack}give the folder of a kernel tree")
    if not os.access(tree, os.R_OK | os.X_OK):
        raise InputError(f"{name} cannot be read: permission denied; check its permissions")


def read_patch(name: str) -> tuple[bytes, str]:
    """Return the bytes of a patch and what to call it; "-" is standard input."""
    try:
        if name == "-":
            import sys

            if sys.stdin is None:
                raise InputError("standard input is closed; give a patch file")
            data, name = sys.stdin.buffer.read(MAX_PATCH + 1), "standard input"
        else:
            with open(name, "rb") as file:
                data = file.read(MAX_PATCH + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read: {cause(error)}; give a patch file") from error
    if len(data) > MAX_PATCH:
        raise InputError(
            f"{name} is larger than {MAX_PATCH >> 20} MiB; give the patches one by one"
        )
    return data, name


def _normal(label: str, path: str) -> str:
    """Return a path without detours, or refuse one that does not stay in the tree."""
    if "\0" in path:
        raise InputError(f"{path!r} is not the name of a file: it holds a NUL byte")
    name = os.path.normpath(path) if path else ""
    if name.startswith("/") or name == ".." or name.startswith("../"):
        raise _leaves(label, path)
    return "" if name == "." else name


def _named(label: str, path: str) -> str:
    return f"{path or 'the top folder'} in {label}"


def _unreadable(label: str, path: str, error: OSError) -> InputError:
    return InputError(f"{_named(label, path)} cannot be read: {cause(error)}")


def _directory(label: str, path: str) -> InputError:
    return InputError(f"{_named(label, path)} is a directory where a file should be")


def _too_large(label: str, path: str) -> InputError:
    return InputError(f"{_named(label, path)} is larger than {MAX_FILE >> 20} MiB")


def _loops(label: str, path: str) -> InputError:
    return _Unfollowable(f"{_named(label, path)} is a symbolic link that leads in a circle")


def _leaves(label: str, path: str) -> InputError:
    return _Unfollowable(f"{_named(label, path)} leads out of the tree")
