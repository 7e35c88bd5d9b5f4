# SPDX-License-Identifier: GPL-2.0-only
"""Where KVM for x86 lies in a kernel tree: paths, and nothing that takes time to import."""

from __future__ import annotations

FOLDER = "arch/x86/kvm"
HEADER = "arch/x86/include/asm/kvm_host.h"
"""A file that every kernel with KVM for x86 has."""

FOLDERS = (FOLDER, "arch/x86/include", "include")
"""Where everything lies that a verdict can rest on."""

RELEVANT = (
    r"(?:^|/)(?:arch/x86/(?:kvm|include)/"
    r"|include/(?:uapi/|vdso/|asm-generic/)?(?:linux/|kvm/)?"
    r"(?:kvm[^/]*|bitops|bits|const|compiler[^/]*|kernel|stddef|types|[^/]*mshyperv)\.h$)"
)
"""The paths of files on which a verdict can rest, as a regular expression to search for."""

BASES = (
    "arch", "arch/x86", "arch/x86/kvm", "arch/x86/kvm/mmu", "arch/x86/kvm/svm",
    "arch/x86/kvm/vmx", "arch/x86/include", "arch/x86/include/asm",
    "arch/x86/include/uapi", "arch/x86/include/uapi/asm", "include", "include/linux",
    "include/uapi", "include/uapi/linux",
)  # fmt: skip
"""Folders from which a patch may count its paths by mistake."""
