# SPDX-License-Identifier: GPL-2.0-only
"""Where KVM for x86 lies in a kernel tree: paths, and nothing that takes time to import."""

from __future__ import annotations

FOLDER = "arch/x86/kvm"
HEADER = "arch/x86/include/asm/kvm_host.h"
"""A file that every kernel with KVM for x86 has."""

GENERIC = ("virt/kvm",)
"""Folders of C that is built into KVM of every architecture."""

HEADERS = (
    "arch/x86/include/asm/kvm",
    "arch/x86/include/uapi/asm/kvm",
    "include/kvm/iodev.h",
    "include/linux/kvm",
    "include/uapi/linux/kvm",
)
"""Beginnings of the paths of its own headers."""

ROOTS = ("arch/x86/include", "include", "arch/x86/include/uapi", "include/uapi")
"""The folders in which an include in angles is looked for, in the order of the compiler."""

RELEVANT = (
    r"(?:^|/)(?:arch/x86/(?:kvm|include)/|virt/kvm/"
    r"|include/(?:uapi/|vdso/|asm-generic/)?(?:linux/|kvm/)?"
    r"(?:kvm[^/]*|bitops|bits|const|compiler[^/]*|kernel|stddef|types|[^/]*mshyperv)\.h$"
    r"|include/uapi/asm-generic/errno(?:-base)?\.h$"
    r"|(?:arch|arch/x86|arch/x86/kvm|arch/x86/include|virt|virt/kvm|include)$)"
    r"|^(?:Makefile|arch/x86/(?:Makefile|Kbuild)"
    r"|scripts/(?:Kbuild\.include|Makefile\.(?:build|lib|compiler|extrawarn|modfinal)))$"
)
"""The paths of files on which every verdict rests, as a regular expression to search for.

Other headers count where one of these includes them.  Then comes what takes the place of a
whole folder, and at last what tells the compiler how all is built.
"""

BELOW_TOP = r"(?:^|/)(?=(?:arch/x86/(?:kvm|include)|virt/kvm|include)/)"
"""Matches where, in what such a file is called from above a kernel, the top of that may be."""

TOPS = (
    r"(?:Documentation|LICENSES|arch|block|certs|crypto|drivers|firmware|fs|include|init|io_uring"
    r"|ipc|kernel|lib|mm|net|rust|samples|scripts|security|sound|tools|usr|virt)/"
)
"""Matches a path from the top of a kernel; a tree need not have the folders that KVM needs not."""

BASES = (
    "arch", "arch/x86", "arch/x86/kvm", "arch/x86/kvm/mmu", "arch/x86/kvm/svm",
    "arch/x86/kvm/vmx", "arch/x86/include", "arch/x86/include/asm",
    "arch/x86/include/uapi", "arch/x86/include/uapi/asm", "include", "include/linux",
    "include/uapi", "include/uapi/linux", "virt", "virt/kvm",
)  # fmt: skip
"""Folders from which a patch may count its paths by mistake."""

UNINCLUDED = (
    ".c", ".S", ".rs", ".py", ".sh", ".pl", ".awk", ".rst", ".txt", ".yaml", ".json", ".svg",
    ".dts", ".dtsi", ".dtso", ".config", "defconfig", "Makefile", "Kbuild", "Kconfig",
    "MAINTAINERS", "CREDITS", "README", "COPYING", ".mailmap", ".gitignore",
)  # fmt: skip
"""The ends of the paths of files that no file of another folder includes.

Changes of them are not looked at, so ``check`` tells of one that is.
"""
