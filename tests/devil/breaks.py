# SPDX-License-Identifier: GPL-2.0-only
"""Ways to break what keeps the world closed, each with combinations that must notice."""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

from patchtool.rules import question, upkeep
from patchtool.world.accounts import ledger, mentions, sites, strays

from .bases import bases
from .forms import FORMS
from .weave import Combination, fits


class Break(NamedTuple):
    """One thing that is broken: where, by what, and the combinations that depend on it."""

    name: str
    owner: object
    attribute: str
    broken: Callable
    forms: tuple = ("=",)
    targets: tuple = ("stored role", "field")
    places: tuple = ("entry",)
    times: tuple = ("outside",)
    options: tuple = ("plain",)

    def apply(self, monkeypatch):
        """Break it until the test is over."""
        assert hasattr(self.owner, self.attribute)
        monkeypatch.setattr(self.owner, self.attribute, self.broken)


def chosen(one):
    """Return the combinations that depend on what is broken."""
    base = bases()[0]
    targets = [target for target in base.targets if target.name in one.targets]
    forms = [form for form in FORMS if form.name in one.forms]
    assert len(targets) == len(one.targets) and len(forms) == len(one.forms)
    rows = product(targets, forms, one.places, one.times, one.options)
    return [each for each in (Combination(base, *row) for row in rows) if fits(each)]


SITE = sites.Site
USE, MADE = SITE._use, SITE._made
ADDRESSES = ("pointer", "memcpy", "out-parameter", "xchg", "asm, memory", "container_of")


def _address_is_read(self, here):
    """Take an address for a value."""
    found = USE(self, here)
    outer = here.parent
    if not found[0] and outer is not None and outer.type == "pointer_expression":
        return "value", outer, None
    return found


def _anything_is_read(self, here):
    """Take whatever no pattern takes for a read."""
    found = USE(self, here)
    return found if found[0] else ("read", here.parent, None)


BREAKS = (
    Break("stores are reads", SITE, "_made",
          lambda self, kind, *rest, **more: MADE(self, "read" if kind == "store" else kind,
                                                 *rest, **more)),
    Break("an address is a value", SITE, "_use", _address_is_read, forms=ADDRESSES),
    Break("what no pattern takes is a read", SITE, "_use", _anything_is_read,
          forms=("asm, output", "asm, in and out", "pointer", "?: of addresses")),
    Break("every member is one of another record", SITE, "_unless",
          lambda self, is_elsewhere, mention: mention._replace(kind="variable", reason="")),
    Break("macros read their arguments", SITE, "_given", lambda self, *rest: None,
          forms=("macro", "macro of a macro")),
    Break("a name given to a macro is nothing", SITE, "_named_to_macro",
          lambda self, *rest: MADE(self, "variable", ""),
          forms=("macro given the member",), targets=("field",)),
    Break("only one file is looked at", mentions.Mentions, "files",
          ("arch/x86/kvm/mmu/mmu.c", "arch/x86/include/asm/kvm_host.h"),
          places=("entry of another file", "entry of a hook")),
    Break("all is executed", ledger.Ledger, "_outside", lambda self, mention: None),
    Break("doubts are dropped", ledger.Ledger, "doubts_about",
          lambda self, context, member: (), forms=("pointer", "asm, output"),
          targets=("stored role",)),
    Break("stores to fields are dropped", ledger.Ledger, "strays",
          lambda self, context, member: (), targets=("field",)),
    Break("every store is of another context", strays.Strays, "may_be_of",
          lambda self, stray, context: False, targets=("field",)),
    Break("no host runs a store", strays.Strays, "excluded",
          lambda self, stray, context, hosts: (), targets=("field",)),
    Break("whoever stores keeps the field in step", upkeep, "_is_field_kept",
          lambda *rest: True, targets=("field",)),
    Break("patches of a role are dropped", ledger.Ledger, "patched",
          lambda self, context, role: (), targets=("stored role",)),
    Break("a second skip is like the first", question.Terms, "restless",
          lambda self, asked: (), targets=("stored role",), places=("here",),
          times=("where it skips",)),
)  # fmt: skip
