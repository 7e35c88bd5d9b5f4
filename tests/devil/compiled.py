# SPDX-License-Identifier: GPL-2.0-only
"""Let gcc say what a combination does: compile the edited kernel and replay runs of it."""

import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
STUBS = HERE.parent / "oracle" / "include"
FLAGS = (
    *("-std=gnu11", "-O1", "-fno-strict-aliasing", "-fwrapv", "-w"),
    "-Werror=implicit-function-declaration",
)


def replay(one, tree):
    """Return ``stale`` or ``harmless``; raise where the combination is no C."""
    files = tree.files
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        for path, data in files.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_bytes(data)
        event = "NULL"
        if one.time == "outside":
            event = "kvm_x86_ops.devil" if one.place == "entry of a hook" else "devil_entry"
        sources = sorted(str(top / path) for path in files if path.endswith(".c"))
        program = top / "devil"
        done = subprocess.run(
            [
                *("gcc", *FLAGS, "-include", HERE / "kernel.h", f"-I{STUBS}"),
                *(f"-I{top / f}" for f in ("arch/x86/include", "arch/x86/include/uapi")),
                *(f"-I{top / f}" for f in ("include", "include/uapi", "arch/x86/kvm")),
                *(f"-DEVENT={event}", f"-DFIELD={one.base.field}"),
                *(f"-DINIT={one.base.init}", f"-DENTRY={one.base.entry}"),
                *(HERE / "replay.c", *sources, "-o", program),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ValueError(done.stderr)
        done = subprocess.run([program], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise ValueError(f"the program ended with {done.returncode}")
    return done.stdout.strip()
