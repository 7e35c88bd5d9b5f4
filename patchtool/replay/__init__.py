# SPDX-License-Identifier: GPL-2.0-only
"""Replay a witness: the program that loads it, and the guest that runs the program."""
