# SPDX-License-Identifier: GPL-2.0-only
"""Ask the engine about combinations, and count its answers by kind."""

from collections import Counter, defaultdict
from typing import NamedTuple

from edited import check_tree

from .truth import truth
from .weave import weave

CLEAN = ("covered", "not-guarded")
CRASH = "traceback"


class Answer(NamedTuple):
    """One combination, what is true of it, and what the engine said."""

    one: object
    truth: str
    verdict: str

    @property
    def missed(self):
        """A field goes stale and the verdict is clean, or there is no verdict at all."""
        clean = self.truth == "stale" and self.verdict in CLEAN
        return clean or self.verdict.startswith(CRASH)


def ask(one):
    """Ask about one combination; a traceback is an answer too, and never a right one."""
    try:
        verdict = check_tree(weave(one), one.base.fields).verdict
    except Exception as error:
        verdict = f"{CRASH}: {type(error).__name__}"
    return Answer(one, truth(one), verdict)


KINDS = {
    "form": lambda one: one.form.kind,
    "target": lambda one: one.target.name,
    "place": lambda one: one.place,
    "time": lambda one: one.time,
    "option": lambda one: one.option,
    "base": lambda one: one.base.name,
}


def tally(answers):
    """Count answers per kind, as {(what, kind): {(truth, verdict): number}}."""
    found = defaultdict(Counter)
    for answer in answers:
        for what, kind in KINDS.items():
            found[what, kind(answer.one)][answer.truth, answer.verdict] += 1
        found["all", ""][answer.truth, answer.verdict] += 1
    return found


def table(found):
    """Write a tally as lines of text."""
    head = f"{'':24} {'stale':>7} {'clean':>6} {'exact':>6} {'unknown':>7}"
    lines = [f"{head}   {'harmless':>8} {'decided':>7} {'unknown':>7} {'gap':>5}"]
    last = ""
    order = [*KINDS, "all"]
    for (what, kind), counts in sorted(found.items(), key=lambda one: order.index(one[0][0])):
        if what != last:
            lines.append(f"by {what}" if kind else what)
            last = what
        stale = sum(n for (t, _), n in counts.items() if t == "stale")
        whole = sum(n for (t, _), n in counts.items() if t == "harmless")
        clean = sum(counts["stale", verdict] for verdict in CLEAN)
        rows = (counts["stale", "gap"], counts["stale", "unknown"])
        rest = (counts["harmless", v] for v in ("covered", "unknown", "gap"))
        share = (_share(n, stale) for n in (clean, *rows))
        other = (_share(n, whole) for n in rest)
        lines.append(
            "  {:22} {:7} {:>6} {:>6} {:>7}   {:8} {:>7} {:>7} {:>5}".format(
                kind, stale, *share, whole, *other
            )
        )
    return "\n".join(lines) + "\n"


def _share(part, whole):
    if not whole:
        return "-"
    return f"{100 * part / whole:.1f}%" if part else "0"
