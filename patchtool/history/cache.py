# SPDX-License-Identifier: GPL-2.0-only
"""What earlier runs found out, kept under the person's cache folder.

In: values of JSON by kind and key.  Out: the same values, in a later run.  One file per key,
written whole and renamed into place, so that two runs may share the folder and anyone may
delete it.  What cannot be read or written is as good as absent.
"""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from pathlib import Path

from patchtool.errors import InputError
from patchtool.outside import files

PACKAGE = Path(__file__).parent.parent


def engine() -> str:
    """Return what tells this engine, and the parser and solver below it, from any other."""
    from importlib.metadata import PackageNotFoundError, version

    state = blake2b(digest_size=16)
    # All of it: a list of what belongs to the engine would be forgotten.
    sources = sorted(PACKAGE.rglob("*.py"))
    for folder in (PACKAGE / "queries", PACKAGE.parent / "queries"):
        sources += sorted(folder.glob("*.scm"))
    for path in sources:
        state.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for name in ("tree-sitter", "tree-sitter-c", "z3-solver"):
        try:
            state.update(f"{name} {version(name)}\n".encode())
        except PackageNotFoundError:
            state.update(f"{name}?\n".encode())
    return state.hexdigest()


def folder() -> Path | None:
    """Return where to keep things; None where the person has no such place."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):
        return Path(named) / "patchtool"
    home = os.path.expanduser("~")
    return Path(home) / ".cache" / "patchtool" if os.path.isabs(home) else None


def key(*parts: str | bytes) -> str:
    """Return a key for some parts; no two lists of parts share one."""
    state = blake2b(digest_size=20)
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        state.update(b"%d:" % len(data) + data)
    return state.hexdigest()


class Store:
    """Values of JSON by kind and key; with no folder, nothing is kept."""

    def __init__(self, root: Path | None) -> None:
        self._root = root

    @property
    def kept(self) -> bool:
        """Whether anything is kept."""
        return self._root is not None

    def get(self, kind: str, name: str) -> object:
        """Return what is kept under a key, None where there is nothing that can be used."""
        if self._root is None:
            return None
        try:
            data = (self._root / kind / name).read_bytes()
        except OSError:
            return None
        return _checked(data)

    def all(self, kind: str) -> list[object]:
        """Return everything of a kind that can be used."""
        if self._root is None:
            return []
        try:
            names = sorted(os.listdir(self._root / kind))
        except OSError:
            return []
        values = [self.get(kind, name) for name in names if not name.endswith(".tmp")]
        return [value for value in values if value is not None]

    def put(self, kind: str, name: str, value: object) -> None:
        """Keep a value; that it cannot be kept is no error."""
        if self._root is None:
            return
        body = json.dumps(value, separators=(",", ":")).encode()
        target = self._root / kind / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            files.write(str(target), _sum(body) + b"\n" + body)
        except (OSError, InputError):
            return


def _sum(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).hexdigest().encode()


def _checked(data: bytes) -> object:
    """Return the value in a file, None where the file is damaged."""
    head, _, body = data.partition(b"\n")
    if head != _sum(body):
        return None
    try:
        value: object = json.loads(body)
    except ValueError:
        return None
    return value
