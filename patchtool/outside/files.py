# SPDX-License-Identifier: GPL-2.0-only
"""The one way to write files: whole or not at all, and of several all or none.

In: paths and bytes.  Out: files, each written beside its place first and then moved into it.
Whatever goes wrong is an InputError in one sentence, and leaves nothing behind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from patchtool.errors import InputError, cause


def write(path: str, data: bytes, mode: int | None = None) -> None:
    """Write a file, with a MODE if one is given; else one that is there keeps its own.

    Through a link its target is written; a pipe or a device, which cannot be replaced, is
    written to.  Raises InputError; who reads from a broken pipe is told by BrokenPipeError.
    """
    try:
        target = os.path.realpath(path)
        if os.path.exists(target) and not os.path.isfile(target):
            with open(target, "wb") as file:
                file.write(data)
            return
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        raise refusal(path, error) from error
    _replace({target: data}, None, mode, {target: path})


def write_new(files: Mapping[str, bytes]) -> None:
    """Write files that are not there yet, all or none.  Raises InputError."""
    _replace(files, {}, None, {})


def rewrite(files: Mapping[str, bytes], before: Mapping[str, bytes]) -> None:
    """Write files that are there, all or none; BEFORE holds what they hold now.

    Their modes stay.  Raises InputError.
    """
    _replace(files, before, None, {})


def refusal(path: str, error: OSError | ValueError) -> InputError:
    """Return in one sentence that a file cannot be written, and why."""
    return InputError(f"{path} cannot be written: {cause(error)}")


def _replace(
    files: Mapping[str, bytes],
    before: Mapping[str, bytes] | None,
    mode: int | None,
    names: Mapping[str, str],
) -> None:
    """Write files; where one fails, put back what was there BEFORE, NAMES tell how to call them."""
    mark = f".{os.getpid()}.tmp"
    at, made, done = next(iter(files), ""), list[str](), list[str]()
    try:
        for at, data in files.items():
            with open(at + mark, "xb") as file:
                made.append(at)
                file.write(data)
            if mode is not None or os.path.exists(at):
                os.chmod(at + mark, mode if mode is not None else os.stat(at).st_mode & 0o7777)
        for at in files:
            os.replace(at + mark, at)
            done.append(at)
    except BaseException as error:
        for path in made:
            if os.path.lexists(path + mark):
                os.unlink(path + mark)
        for path in done if before is not None else ():
            _put_back(path, before or {})
        if isinstance(error, (OSError, ValueError)):
            raise refusal(names.get(at, at), error) from error
        raise


def _put_back(path: str, before: Mapping[str, bytes]) -> None:
    if path not in before:
        os.unlink(path)
        return
    with open(path, "wb") as file:
        file.write(before[path])
