# SPDX-License-Identifier: GPL-2.0-only
"""``python -m patchtool`` is the command line."""

import sys

from patchtool.cli import main

if __name__ == "__main__":
    sys.exit(main())
