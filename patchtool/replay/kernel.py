# SPDX-License-Identifier: GPL-2.0-only
"""A kernel to boot: its image, and the modules that make it a host of VMs.

In: paths.  Out: the release of an image and the bytes of modules in the order to load them,
or one sentence why they cannot be used.  Facts: Documentation/arch/x86/boot.rst for the
image; a module tells its needs and its release in the ELF section .modinfo.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

from patchtool.errors import InputError, cause

WANTED = ("kvm-amd",)
"""What a host needs; what these depend on comes along."""

_LARGEST = 1 << 30
_LARGEST_MODULE = 256 << 20
_SECTOR = 512
_SETUP = 0x1F1
_MAGIC = 0x202
_OLDEST = 0x0204
_SUFFIXES = (".ko", ".ko.xz", ".ko.gz", ".ko.zst")


class Kernel(NamedTuple):
    """An image that can be booted, and what it calls itself."""

    path: str
    release: str


class Module(NamedTuple):
    """A module, ready to be loaded."""

    name: str
    data: bytes


def read_kernel(path: str) -> Kernel:
    """Check that a file is a whole image and return its release."""
    try:
        if os.path.getsize(path) > _LARGEST:
            raise InputError(f"{path} is larger than any kernel image")
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {cause(error)}") from error
    if data[:4] == b"\x7fELF":
        raise InputError(f"{path} is an ELF file; give the bzImage, arch/x86/boot/bzImage")
    if len(data) < 2 * _SECTOR or data[_MAGIC : _MAGIC + 4] != b"HdrS":
        raise InputError(f"{path} is no kernel image for x86 (bzImage): it has no boot header")
    (version,) = struct.unpack_from("<H", data, 0x206)
    if version < _OLDEST:
        raise InputError(f"{path} is a kernel image of an old kind, which has no size")
    setup = (data[_SETUP] or 4) + 1
    (size,) = struct.unpack_from("<I", data, 0x1F4)
    if len(data) < setup * _SECTOR + size * 16:
        raise InputError(
            f"{path} is truncated: its header promises {setup * _SECTOR + size * 16} bytes"
        )
    (at,) = struct.unpack_from("<H", data, 0x20E)
    words = data[at + _SECTOR : at + _SECTOR + 256].split(b"\0")[0].decode("ascii", "replace")
    release = re.match(r"[\w.+~-]+", words)
    if not at or release is None:
        raise InputError(f"{path} does not tell its release, so no modules can be chosen")
    return Kernel(path, release.group())


def beside(kernel: Kernel) -> str | None:
    """Return the modules that belong to an image by their place, None where there are none.

    A package has boot/vmlinuz-RELEASE and lib/modules/RELEASE, and so has a host.
    """
    top = os.path.dirname(os.path.dirname(os.path.abspath(kernel.path)))
    for folder in ("lib/modules", "usr/lib/modules"):
        path = os.path.join(top, folder, kernel.release)
        if os.path.isdir(path):
            return path
    return None


def read_modules(folders: list[str], release: str) -> list[Module]:
    """Return what a host needs from some folders, dependencies first.

    An earlier folder goes before a later one.  What is in none of them may be part of the
    image.  Raises InputError for a module that is of another release or cannot be read.
    """
    known: dict[str, str] = {}
    for folder in folders:
        for name, path in _found(folder):
            known.setdefault(name, path)
    done: dict[str, Module] = {}

    def add(name: str, above: tuple[str, ...]) -> None:
        name = name.replace("-", "_")
        if name in done or name in above or name not in known:
            return
        data = _unpacked(known[name])
        info = _info(data, known[name])
        theirs = info.get("vermagic", "").split(" ")[0]
        if theirs != release:
            raise InputError(
                f"{known[name]} is for kernel {theirs or 'of no known release'}, and the image "
                f"is {release}; give the folder of its own modules with --modules"
            )
        for one in filter(None, info.get("depends", "").split(",")):
            add(one, (*above, name))
        done[name] = Module(name, data)

    for wanted in WANTED:
        add(wanted, ())
    return list(done.values())


def _found(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the modules below a folder, by name."""

    def stop(error: OSError) -> None:
        raise InputError(f"{error.filename} cannot be read: {cause(error)}") from error

    if not os.path.isdir(folder):
        raise InputError(f"--modules: {folder} is no folder")
    for at, folders, names in os.walk(folder, onerror=stop):
        folders.sort()
        # A folder of modules links to the sources and the build they came from.
        folders[:] = [name for name in folders if name not in ("build", "source")]
        for name in sorted(names):
            suffix = next((s for s in _SUFFIXES if name.endswith(s)), None)
            if suffix is not None:
                yield name.removesuffix(suffix).replace("-", "_"), os.path.join(at, name)


def _unpacked(path: str) -> bytes:
    import gzip
    import lzma
    import zlib

    try:
        if os.path.getsize(path) > _LARGEST_MODULE:
            raise InputError(f"{path} is larger than any module")
        if path.endswith(".zst"):
            return _zstd(path)
        with open(path, "rb") as packed:
            file: IO[bytes] | lzma.LZMAFile | gzip.GzipFile = packed
            if path.endswith(".xz"):
                file = lzma.LZMAFile(packed)  # noqa: SIM115
            elif path.endswith(".gz"):
                file = gzip.GzipFile(fileobj=packed)
            data = file.read(_LARGEST_MODULE + 1)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {cause(error)}") from error
    if len(data) > _LARGEST_MODULE:
        raise InputError(f"{path} is larger than any module")
    return data


def _zstd(path: str) -> bytes:
    from patchtool.replay.tools import find, run_tool

    return run_tool([find("zstd"), "-dc", "--", path], f"{path} cannot be unpacked")


def _info(data: bytes, path: str) -> dict[str, str]:
    """Return what the section .modinfo of a module says."""
    section = _section(data, b".modinfo") if data[:5] == b"\x7fELF\x02" else None
    if section is None:
        raise InputError(f"{path} is no kernel module for x86-64")
    words = section.decode("utf-8", "replace").split("\0")
    return {key: value for key, found, value in (w.partition("=") for w in words) if found}


def _section(data: bytes, wanted: bytes) -> bytes | None:
    """Return a section of a 64-bit ELF file, None where it has none of that name."""
    try:
        (table,) = struct.unpack_from("<Q", data, 0x28)
        size, count, names = struct.unpack_from("<HHH", data, 0x3A)
        heads = [struct.unpack_from("<IIQQQQ", data, table + i * size) for i in range(count)]
        text = data[heads[names][4] : heads[names][4] + heads[names][5]]
    except (struct.error, IndexError):
        return None
    for name, _, _, _, offset, length in heads:
        if text[name:].split(b"\0", 1)[0] == wanted:
            return data[offset : offset + length]
    return None
