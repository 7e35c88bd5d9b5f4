# SPDX-License-Identifier: GPL-2.0-only
"""Work, counted in calls: the same on a slow and on a busy machine."""

import sys
from contextlib import contextmanager


class TooMuch(Exception):
    """Something took more work than was allowed."""


class Effort:
    """How many calls of functions, written in Python or in C, were made."""

    def __init__(self, most):
        self.calls, self.most = 0, most

    def __call__(self, frame, event, argument):
        """Count what the interpreter reports."""
        if event in ("call", "c_call"):
            self.calls += 1
            if self.calls > self.most:
                sys.setprofile(None)
                raise TooMuch(f"more than {self.most} calls")


@contextmanager
def effort(most=sys.maxsize):
    """Count the calls that are made, and stop what makes more than MOST."""
    counted = Effort(most)
    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        yield counted
    finally:
        sys.setprofile(before)


def growth(work, small, large):
    """Return how much more work a large case is than a small one."""
    counts = []
    for case in (small, large):
        with effort() as counted:
            work(case)
        counts.append(counted.calls)
    return counts[1] / counts[0]
