# SPDX-License-Identifier: GPL-2.0-only
"""The first thing that runs: ``patchtool``, and ``python -P -m patchtool``.

Without -P the interpreter looks for modules in the folder of the moment, even before it
comes to this file.
"""

import os
from typing import NoReturn

from patchtool import surroundings


def run() -> NoReturn:
    """Run the command line in safe surroundings."""
    try:
        surroundings.clean()
        from patchtool import cli

        cli.run()
    except KeyboardInterrupt:
        os._exit(130)


if __name__ == "__main__":
    run()
