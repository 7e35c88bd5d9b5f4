# SPDX-License-Identifier: GPL-2.0-only
"""``python -m patchtool`` is the command line."""

from patchtool.cli import run

if __name__ == "__main__":
    run()
