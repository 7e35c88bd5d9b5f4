# SPDX-License-Identifier: GPL-2.0-only
"""The programs of others that a run needs, and how they are kept within bounds.

In: the name of a program, or a command.  Out: where the program lies, or what it printed.  One
that is not there, fails, or takes too long is an InputError in one sentence.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from patchtool.errors import InputError, cause

if TYPE_CHECKING:
    from subprocess import Popen

PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "gcc": "gcc and libc6-dev",
    "zstd": "zstd",
}
"""Which package of Debian brings a program."""

_SECONDS = 120
_MEMORY = 6 << 30


def find(name: str) -> str:
    """Return the path of a program."""
    from shutil import which

    found = which(name)
    if found is None:
        raise InputError(f"{name} is not installed; Debian's package is {PACKAGES[name]}")
    return os.path.abspath(found)


def static_busybox() -> bytes:
    """Return busybox, which has to run without libraries."""
    path = find("busybox")
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {cause(error)}") from error
    if b"/ld-linux" in data[:4096]:
        raise InputError(f"{path} is not static; Debian's package is {PACKAGES['busybox']}")
    return data


def compiled(text: str, folder: str) -> bytes:
    """Compile a C program statically, below a folder, and return it."""
    source, target = os.path.join(folder, "test.c"), os.path.join(folder, "test")
    with open(source, "x", encoding="utf-8") as file:
        file.write(text)
    command = [find("gcc"), "-O2", "-Wall", "-static", "-o", target, source]
    run_tool(command, "the program cannot be built (Debian's packages: gcc and libc6-dev)")
    with open(target, "rb") as built:
        return built.read()


def run_tool(command: Sequence[str], problem: str) -> bytes:
    """Run a program to its end and return its output; PROBLEM begins the sentence if it fails."""
    from subprocess import PIPE, Popen, TimeoutExpired

    with guarded():
        try:
            process = Popen(
                command, stdout=PIPE, stderr=PIPE, preexec_fn=limited(_SECONDS),
                start_new_session=True, env={**os.environ, "LC_ALL": "C"},
            )  # fmt: skip
        except OSError as error:
            raise InputError(f"{problem}: {cause(error)}") from error
        try:
            out, told = process.communicate(timeout=_SECONDS)
        except TimeoutExpired:
            raise InputError(f"{problem}: it took longer than {_SECONDS} s") from None
        finally:
            end(process)
    if process.returncode != 0:
        lines = told.decode("utf-8", "replace").splitlines()
        reason = next((line for line in lines if "error" in line.lower()), "")
        raise InputError(f"{problem}: {reason or (lines or ['no message'])[0]}")
    return out


def limited(seconds: int) -> Callable[[], None]:
    """Return what a child does first: it limits itself, and dies with its parent."""
    import ctypes
    import resource

    libc = ctypes.CDLL(None, use_errno=True)

    def begin() -> None:
        libc.prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (4 * seconds, 4 * seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return begin


def end(process: Popen[bytes]) -> None:
    """Kill what is left of a child that leads a session, and wait for it."""
    import signal
    from contextlib import suppress

    if process.poll() is None:  # else its number may be that of another by now
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


class _Ended(BaseException):
    """A signal has come that ends this process."""


@contextmanager
def guarded() -> Iterator[None]:
    """Let a signal that ends this process end its children, and leave no file, before it does.

    Only what runs inside is cleaned up: the outermost guard has to be around all of it.
    """
    import signal
    import threading

    signals = (signal.SIGTERM, signal.SIGHUP)
    outer = threading.current_thread() is not threading.main_thread()
    if outer or signal.getsignal(signals[0]) is _stop:
        yield
        return
    before = {one: signal.signal(one, _stop) for one in signals}
    number = 0
    try:
        yield
    except _Ended as ended:
        number = ended.args[0]
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    if number:
        signal.raise_signal(number)


def _stop(number: int, _: object) -> None:
    raise _Ended(number)
