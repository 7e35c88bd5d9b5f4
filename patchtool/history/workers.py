# SPDX-License-Identifier: GPL-2.0-only
"""Give commits their verdicts in several processes.

In: a walker, blocks of commits or single commits.  Out: what the walker would have found,
in the same order.  The processes meet in the cache; what one of them has looked at, all
get to know through the walker that leads them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from functools import partial
from multiprocessing import get_context, parent_process

from patchtool.history.cache import Store, folder
from patchtool.history.verdicts import Outcome
from patchtool.history.walker import Block, Counts, Walker, read_lens
from patchtool.outside.git import Repository

_Words = dict[str, list[str]]
"""A lens, as it travels from one process to another."""


class Team:
    """Some processes, each with a walker of its own."""

    def __init__(self, lead: Walker, jobs: int) -> None:
        self._lead = lead
        begin = partial(
            _begin, lead.repository.path, lead.rule.name, lead.wanted, lead.store.kept,
            lead.paranoid,
        )  # fmt: skip
        self._pool = ProcessPoolExecutor(jobs, get_context("spawn"), begin)

    def __enter__(self) -> Team:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)

    def blocks(self, blocks: Sequence[Block], paths: tuple[str, ...]) -> Iterator[list[Outcome]]:
        """Yield the outcomes of each block."""
        work = partial(_block, paths=paths, words=self._lead.lens.words())
        for found, words, counts in self._pool.map(work, blocks):
            self._lead.counts += counts
            self._lead.widen(read_lens(words))
            yield found

    def alone(self, commits: Sequence[str]) -> Iterator[Outcome]:
        """Yield the outcome of each commit, for itself."""
        for outcome, words, counts in self._pool.map(_alone, commits):
            self._lead.counts += counts
            self._lead.widen(read_lens(words))
            yield outcome


_OWN: list[Walker] = []
"""The walker of a process that works for another."""


def _begin(path: str, rule: str, wanted: tuple[str, ...], cache: bool, paranoid: bool) -> None:
    import signal
    from threading import Thread

    from patchtool.rules.table import RULES

    Thread(target=_follow, daemon=True).start()
    # The process that asked is told of Ctrl-C as well and ends this one.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    walker = Walker(Repository.open(path), RULES[rule], wanted, Store(folder() if cache else None))
    walker.paranoid = paranoid
    _OWN.append(walker)


def _follow() -> None:
    """End with the process that asked, by whatever signal that was ended."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _block(
    block: Block, paths: tuple[str, ...], words: _Words
) -> tuple[list[Outcome], _Words, Counts]:
    walker = _OWN[0]
    walker.widen(read_lens(words))
    if walker.tracked != frozenset(paths):
        walker.track(paths)
    before = walker.counts
    found = [outcome for _, outcome in walker.block(*block)]
    return found, walker.lens.words(), _spent(before, walker.counts)


def _alone(commit: str) -> tuple[Outcome, _Words, Counts]:
    walker = _OWN[0]
    before = walker.counts
    found = walker.alone(commit)
    walker.repository.forget()
    return found, walker.lens.words(), _spent(before, walker.counts)


def _spent(before: Counts, after: Counts) -> Counts:
    return Counts(*(getattr(after, f.name) - getattr(before, f.name) for f in fields(Counts)))
