# SPDX-License-Identifier: GPL-2.0-only
"""One line on a terminal that says how far a long run is.

In: now and then, how much is done of how much.  Out: a line that shows from the second second
on, only where standard error is a terminal, and is gone when the run ends.
"""

from __future__ import annotations

import sys
from threading import Event, Thread
from typing import TextIO

_SILENT = 1.0
"""For how many seconds nothing is said."""
_PAUSE = 0.2
_BAR = 30


class Progress:
    """Told from time to time how much is done; draws by itself, in a thread."""

    def __init__(
        self,
        noun: str,
        stream: TextIO | None = None,
        ended: Event | None = None,
        looking: str = "",
    ) -> None:
        self._noun = noun
        self._looking = looking or f"looking for {noun} that matter"
        self._stream = sys.stderr if stream is None else stream
        self._ended = Event() if ended is None else ended
        self._state = (0, 0)
        self._drawn = False
        self._thread: Thread | None = None

    def __call__(self, done: int, total: int) -> None:
        """Note how much of how much is done; a total of 0 is not known."""
        self._state = (done, total)

    def __enter__(self) -> Progress:
        if self._stream.isatty():
            self._thread = Thread(target=self._run, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._drawn:
            self._write("\r\x1b[K")

    def _run(self) -> None:
        pause = _SILENT
        while not self._ended.wait(pause):
            self._draw()
            pause = _PAUSE

    def _draw(self) -> None:
        done, total = self._state
        if total:
            full = _BAR * done // total
            words = f"[{'#' * full}{'.' * (_BAR - full)}] {done}/{total} {self._noun}"
        else:
            words = f"{self._looking}, {self._noun} done: {done}" if done else self._looking
        self._drawn = True
        self._write(f"\r\x1b[K{words}")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody looks any more; the run goes on.
            self._ended.set()
