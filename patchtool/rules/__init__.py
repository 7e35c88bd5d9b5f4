# SPDX-License-Identifier: GPL-2.0-only
"""The rules, one file each; ``check`` runs them in this order."""
