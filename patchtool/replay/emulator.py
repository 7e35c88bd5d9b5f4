# SPDX-License-Identifier: GPL-2.0-only
"""One boot of a guest in QEMU, within bounds of time, memory and output.

In: a kernel, an initramfs and a model of a processor.  Out: what the console said.  The
machine has no network, no disk and no device but a serial port; /dev/kvm is not touched
unless the accelerator is kvm.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from patchtool.errors import InputError, cause
from patchtool.replay.guest import last_words
from patchtool.replay.tools import end, find, guarded, limited

if TYPE_CHECKING:
    from subprocess import Popen

QEMU = "qemu-system-x86_64"

_MEGABYTES = 1024
_CONSOLE = 1 << 20
# Most of a run would be grace periods, of which making and freeing a VM takes several.
_ARGUMENTS = "console=ttyS0 quiet loglevel=1 panic=-1 rcupdate.rcu_expedited=1"


class Machine(NamedTuple):
    """What a guest runs on; ``levels`` are the most that the host's page tables may have."""

    cpu: str
    accelerator: str = "tcg"
    levels: int = 4

    def described(self) -> str:
        """Say what it is."""
        how = "software emulation" if self.accelerator == "tcg" else "KVM"
        return f"{self.cpu} in QEMU ({how})"


def boot(kernel: str, initrd: str, machine: Machine, seconds: int) -> str:
    """Boot a kernel until it powers off and return its console.

    Raises InputError where it does not end in time, says too much, or QEMU fails.
    """
    from subprocess import DEVNULL, PIPE, Popen

    accelerator = "tcg,tb-size=256" if machine.accelerator == "tcg" else "kvm"
    arguments = _ARGUMENTS + (" no5lvl" if machine.levels == 4 else "")
    command = [
        find(QEMU), "-no-user-config", "-nodefaults", "-display", "none", "-nic", "none",
        "-accel", accelerator, "-machine", "q35", "-cpu", machine.cpu, "-m", str(_MEGABYTES),
        "-serial", "stdio", "-no-reboot", "-kernel", kernel, "-initrd", initrd,
        "-append", arguments,
    ]  # fmt: skip
    with guarded():
        try:
            process = Popen(
                command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, preexec_fn=limited(seconds),
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise InputError(f"{QEMU} cannot be run: {cause(error)}") from error
        try:
            console, told, over = _listened(process, seconds)
        finally:
            end(process)
    if over:
        raise InputError(f"{over}; {last_words(console.splitlines())}")
    if process.returncode != 0 and not console:
        lines = [line for line in told.splitlines() if "warning" not in line] or ["no message"]
        raise InputError(f"QEMU failed: {lines[0].removeprefix(f'{QEMU}: ')}")
    return console


def _listened(process: Popen[bytes], seconds: int) -> tuple[str, str, str]:
    """Read what QEMU and the guest say; the third text is why that was cut short."""
    import selectors
    import time

    assert process.stdout is not None and process.stderr is not None
    said = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    until = time.monotonic() + seconds
    over = ""
    with selectors.DefaultSelector() as selector:
        for stream in said:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map() and not over:
            left = until - time.monotonic()
            if left <= 0:
                over = f"the guest did not end within {seconds} s (--timeout)"
            for key, _ in selector.select(max(0.0, left)):
                data = os.read(key.fd, 65536)
                said[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
                if len(said[key.fd]) > _CONSOLE:
                    over = "the guest says more than a test would"
    out, err = (bytes(data).decode("utf-8", "replace") for data in said.values())
    return out, err, over
