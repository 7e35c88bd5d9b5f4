# SPDX-License-Identifier: GPL-2.0-only
"""The guest in which a program runs: what it holds, and what it says at its end.

In: a program, busybox and modules.  Out: an initramfs, and from the console of the guest
what the program saw.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from patchtool.errors import InputError
from patchtool.replay.kernel import Module

Seen = Literal["followed", "stale", "control failed", "not applicable"]
"""What a program says of two states in one order, or of what kept it from trying."""

_BEGIN, _END, _LEVELS = "-- the test begins", "-- the test ends", "-- levels of the host"
_REFUSED = "-- refused"

_LACKING = ("No such device", "Operation not supported", "Operation not permitted")
"""What a kernel says where the processor lacks what a module is for."""

_INIT = f"""\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
while read -r one; do
	/bin/busybox insmod "/modules/$one.ko" || echo "{_REFUSED} $one"
done < /modules/order
level=4
/bin/busybox grep -qw la57 /proc/cpuinfo && level=5
echo
echo "{_LEVELS} $level"
echo "{_BEGIN}"
/test
echo "{_END} $?"
/bin/busybox poweroff -f
"""

_LINE = re.compile(
    rf"(?P<context>\w+)(?:, (?P<order>[^:]*))?: (?P<told>.*): (?P<seen>{'|'.join(get_args(Seen))})"
)


class Line(NamedTuple):
    """One thing that a program saw: in which context, with which states, and what."""

    context: str
    order: str
    told: str
    seen: Seen


class Transcript(NamedTuple):
    """What a program saw, the status it ended with, and how deep the host's tables are."""

    lines: tuple[Line, ...]
    status: int
    levels: int


def initramfs(program: bytes, busybox: bytes, modules: Sequence[Module]) -> bytes:
    """Return an archive that the kernel unpacks and whose /init runs the program."""
    order = "".join(f"{one.name}\n" for one in modules).encode()
    entries = [_entry(name, 0o40755) for name in ("bin", "dev", "proc", "sys", "modules")]
    # Where the kernel opens its console before anything is mounted.
    entries.append(_entry("dev/console", 0o20600, device=(5, 1)))
    entries.append(_entry("bin/busybox", 0o100755, busybox))
    entries.append(_entry("modules/order", 0o100644, order))
    entries += [_entry(f"modules/{one.name}.ko", 0o100644, one.data) for one in modules]
    entries.append(_entry("test", 0o100755, program))
    entries.append(_entry("init", 0o100755, _INIT.encode()))
    entries.append(_entry("TRAILER!!!", 0))
    return b"".join(entries)


def _entry(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """Return one member of a cpio archive of the new format."""
    numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + "".join(f"{number:08x}" for number in numbers).encode()
    return _padded(head + name.encode() + b"\0") + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def understood(console: str) -> Transcript:
    """Read what the console of a guest says.

    Raises InputError where the program did not run to its end.
    """
    lines = [line.rstrip() for line in console.splitlines()]
    refused = [line.removeprefix(_REFUSED).strip() for line in lines if line.startswith(_REFUSED)]
    if refused:
        said = [line for line in lines if "insmod" in line]
        why = said[0].rpartition(": ")[2] if said else "no reason"
        if why not in _LACKING:
            raise InputError(f"the kernel does not take the module {refused[0]}: {why}")
        lacks = f"the processor is not one for {refused[0]}: {why}"
        return Transcript((Line("all", "", lacks, "not applicable"),), 3, 4)
    if _BEGIN not in lines:
        raise InputError(f"the kernel did not start the test; {last_words(lines)}")
    levels = next(filter(None, (_number(line, _LEVELS) for line in lines)), 4)
    said = lines[lines.index(_BEGIN) + 1 :]
    end = next((at for at, line in enumerate(said) if _number(line, _END) is not None), None)
    if end is None:
        raise InputError(f"the kernel did not end the test; {last_words(said)}")
    found = []
    for line in said[:end]:
        match = _LINE.fullmatch(line)
        if match is not None:
            found.append(
                Line(match["context"], match["order"] or "", match["told"], match["seen"])  # type: ignore[arg-type]
            )
        elif line.startswith("error: "):
            raise InputError(f"the test gave up in the guest: {line.removeprefix('error: ')}")
    return Transcript(tuple(found), _number(said[end], _END) or 0, levels)


def _number(line: str, mark: str) -> int | None:
    """Return the number behind a mark, None where none is; the kernel may talk on behind it."""
    found = re.match(rf"{re.escape(mark)} (\d{{1,3}})(?!\d)", line)
    return None if found is None else int(found[1])


def last_words(lines: Sequence[str]) -> str:
    """Quote the last thing that a console said."""
    telling = [re.sub(r"^\[ *[\d.]+\] ", "", line) for line in lines if line.strip()]
    panic = [line for line in telling if "panic" in line]
    last = (panic or telling or [""])[-1]
    clean = re.sub(r"\x1b(?:\[[0-9;?]*[A-Za-z]|c)", "", last).strip()[:160]
    return f"its last words are: {clean}" if clean else "it said nothing"
