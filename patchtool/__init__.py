# SPDX-License-Identifier: GPL-2.0-only
"""Check that skipping a KVM x86 MMU set-up on an equal role is sound."""

__version__ = "0.1.0"
