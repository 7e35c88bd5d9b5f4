# SPDX-License-Identifier: GPL-2.0-only
"""What each rule is about, in words for people: the one text behind help and docs.

In: a page of the table below.  Out: the page for a terminal, or for the documentation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

HEADINGS = (
    "What it finds",
    "Why it matters",
    "Example",
    "What the fix changes",
    "Limits",
    "References",
)
"""The headings of every page, in their order."""


@dataclass(frozen=True, slots=True)
class Page:
    """The page of one rule; lines that begin with four spaces are C."""

    rule: str
    title: str
    sections: Mapping[str, str]


PAGES: Mapping[str, Page] = {
    "stale-mmu-role": Page(
        "stale-mmu-role",
        "a role that does not determine what it is the key of",
        {
            "What it finds": """\
KVM for x86 sets up an MMU context anew only if the role, a key computed from the
guest's registers, differs from the one stored with the context.  The rule reports a
cached field, one that such a set-up stores, for which two legal register states have
the same role and need different values.

It decides the property itself and no list of names: skipping must be a no-op.  Both
runs are followed symbolically and a solver looks for two states that tell them apart.
With the finding come the states that show it: a pair with one role and two values, the
witness; just one, where a set-up that is skipped stores the field as well, and otherwise;
or three, where a full set-up only adds to a field and keeps what the one before it left.
A field that a full set-up does not always store is reported as just that.""",
            "Why it matters": """\
With such a pair the set-up for the second state is skipped and the context keeps what
belongs to the first.  The guest's page tables are then walked with the wrong number of
levels.  A virtual machine that was migrated while it ran a nested guest has hung for
this reason: EFER.LMA was in no bit of the role, so a 64-bit guest hypervisor kept the
three levels of PAE paging.""",
            "Example": """\
The level follows EFER.LMA, the role does not:

    role.ext.cr0_pg = !!(regs->cr0 & X86_CR0_PG);
    role.ext.cr4_pae = !!(regs->cr4 & X86_CR4_PAE);

    if (role.as_u64 == context->mmu_role.as_u64)
            return;

    context->mmu_role.as_u64 = role.as_u64;
    context->root_level = level_of(regs);

A guest with CR0.PG=1 and CR4.PAE=1 has the same role with EFER.LMA=0, which needs three
levels, and with EFER.LMA=1, which needs four.""",
            "What the fix changes": """\
'patchtool fix' adds the missing input as a bit of the extended role and assigns it
where the role is computed:

    role.ext.efer_lma = !!(regs->efer & EFER_LMA);

The base role stays as it is: it identifies shadow pages, and each of its bits
multiplies what they cost.  An input of several bits gets a member of its width, and one
that a set-up knows by an argument alone gets what it is handed.  What user space tells a
guest of its CPU gets none where the function behind it can make the stored roles
invalid, and a field that is only added to is cleared first.  Comparing the field as well
before returning closes the gap too and is recognised.  A fix is written only after a
check of the fixed tree.""",
            "Limits": """\
Legal states are those that the architecture allows, such as EFER.LMA=1 only with
CR0.PG=1; the facts in use are printed.  What is set at module load is alike in both
runs; each such assumption is printed with the line it was read from.  C that is not
understood makes the answer 'unknown', with the place, and never 'covered'.

A finding can be accepted where it is reported, with a reason, on the line of the guard
or above it:

    /* patchtool: ignore stale-mmu-role: this context is never reused */

'patchtool lint --suppressions' lists these comments and fails at one that has nothing
left to suppress.""",
            "References": """\
7dcd57552008 (v4.20) introduced the comparison that skips the set-up.
47c42e6b4192 (v5.1-rc) renamed the bit of CR4.PAE away; 0699c64a4be6 put it back.
8053f924cad3 (v5.7) dropped the bit of CR4.LA57; f71a53d1180d (v5.14) put it back.
84c679f5f52c (v5.14) put CR4.LA57 and CR4.PKE into the role for long mode only.
b8453cdcf260 (v5.16) added EFER.LMA to the extended role.""",
        },
    ),
}
"""Every rule by its name."""


def as_text(page: Page, width: int = 88) -> str:
    """Return a page for a terminal of some columns; C keeps its lines."""
    parts = [f"{page.rule}: {page.title}\n"]
    for heading in HEADINGS:
        alone = heading == "References"
        body = "".join(f"{line}\n" for line in _lines(page.sections[heading], width, alone))
        parts.append(f"{heading}\n{body}")
    return "\n".join(parts)


def _lines(text: str, width: int, alone: bool) -> Iterator[str]:
    """Yield a section in lines of a width; ALONE tells that each line begins a new one."""
    from textwrap import wrap

    for number, block in enumerate(text.split("\n\n")):
        if number:
            yield ""
        lines = block.split("\n")
        if block.startswith("    "):
            yield from (f"  {line}" for line in lines)
            continue
        for part in lines if alone else [" ".join(lines)]:
            yield from wrap(
                part, width, initial_indent="  ", subsequent_indent="      " if alone else "  ",
                break_long_words=False, break_on_hyphens=False, fix_sentence_endings=not alone,
            )  # fmt: skip


def as_markdown(page: Page) -> str:
    """Return a page for the documentation."""
    parts = [f"# {page.rule}\n\n{page.title[0].upper()}{page.title[1:]}.\n"]
    for heading in HEADINGS:
        body = page.sections[heading]
        if heading == "References":
            body = "\n".join(f"- {line}" for line in body.split("\n"))
        parts.append(f"## {heading}\n\n{body}\n")
    return "\n".join(parts)
