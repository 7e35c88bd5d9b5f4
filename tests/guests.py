# SPDX-License-Identifier: GPL-2.0-only
"""Real kernels to run: an image, and KVM's modules built anew from an edited source.

Only kvm.ko and kvm-amd.ko are built, against the headers of the very image that is run.
What was built once is kept beside the packages it was built from.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from scratch import by_itself

MMU = "arch/x86/kvm/mmu/mmu.c"

MASKED = """
static u64 level_masked(union kvm_cpu_role role)
{
	role.base.level = 0;
	return role.as_u64;
}

"""


class Guest(NamedTuple):
    """An unpacked image with headers, the source it was built from, and the selftests."""

    folder: Path
    tree: Path
    harness: Path

    @property
    def image(self):
        """The kernel."""
        return next((self.folder / "boot").glob("vmlinuz-*"))

    def edited(self, text, where):
        """Return a tree that is this one but for its mmu.c."""
        for part in ("arch/x86", "include", "virt", "scripts"):
            shutil.copytree(self.tree / part, where / part, copy_function=os.link, symlinks=True)
        for part in ("Makefile", "Kconfig", "MAINTAINERS"):
            os.link(self.tree / part, where / part)
        shutil.copytree(self.harness / "tools", where / "tools", symlinks=True)
        (where / MMU).unlink()
        (where / MMU).write_text(text, "utf-8")
        return where

    def modules(self, text):
        """Return a folder with the modules that a text of mmu.c makes."""
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        done = self.folder.with_name(f"{self.folder.name}-modules-{key}")
        with open(self.folder.with_name(f"{self.folder.name}.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                self._build(text, done)
        return done

    def _build(self, text, done):
        build = self.folder.with_name(f"{self.folder.name}-build")
        if not (build / "ready").exists():
            shutil.rmtree(build, ignore_errors=True)
            shutil.copytree(self.folder / "usr", build / "usr", symlinks=True)
            (headers,) = (build / "usr/src").glob("linux-headers-*-amd64")
            makefile = headers / "Makefile"
            makefile.write_text(makefile.read_text().replace("/usr/src/", f"{build}/usr/src/"))
            (common,) = (build / "usr/src").glob("linux-headers-*-common")
            for part in ("arch/x86/kvm", "virt/kvm"):
                shutil.copytree(self.tree / part, common / part)
            (build / "ready").touch()
        (headers,) = (build / "usr/src").glob("linux-headers-*-amd64")
        (common,) = (build / "usr/src").glob("linux-headers-*-common")
        (common / MMU).write_text(text, "utf-8")
        command = ["make", "-s", f"-j{os.cpu_count()}", "-C", headers]
        command += [f"M={common}/arch/x86/kvm", "CONFIG_KVM_INTEL=", "modules"]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr[-2000:]
        part = done.with_name(f"{done.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for name in ("kvm.ko", "kvm-amd.ko"):
            subprocess.run(
                ["strip", "-g", "-o", part / name, common / "arch/x86/kvm" / name], check=True
            )
        part.rename(done)

    def selftest(self, additions, where):
        """Build a test in the tree's own harness and return the program."""
        shutil.copytree(self.harness, where, symlinks=True)
        for one in additions:
            (where / one.path).write_bytes(one.after)
        target = where / additions[-1].path.removesuffix(".c")
        command = ["make", f"-j{os.cpu_count()}", "-C", where / "tools/testing/selftests/kvm"]
        made = subprocess.run(
            [*command, target], capture_output=True, text=True, check=False,
            env={**by_itself(), "LDFLAGS": "-static"},
        )  # fmt: skip
        assert made.returncode == 0, made.stderr[-2000:]
        assert "mmu_root_level_test.c" not in made.stderr, "the compiler warned"
        return target.read_bytes()


def guests():
    """Return the guests that PATCHTOOL_GUESTS names."""
    named = os.environ.get("PATCHTOOL_GUESTS", "").split(":")
    return [Guest(*map(Path, one.split("="))) for one in named if one]


def with_gap(text, function):
    """Make up a gap in the text of a mmu.c: no role bit has EFER.LMA, one guard no level."""
    text, count = re.subn(r"\n\t\w+(?:\.\w+)*\.efer_lma = [^;]*;", "", text)
    assert count == 1
    head = re.search(rf"^(?:static )?(?:inline )?void {function}\(", text, re.M)
    assert head is not None
    before, after = text[: head.start()], text[head.start() :]
    after, count = re.subn(
        r"(\w+)\.as_u64 == (\w+->cpu_role)\.as_u64",
        r"level_masked(\1) == level_masked(\2)",
        after,
        count=1,
    )
    assert count == 1
    return before + MASKED.lstrip() + after
