# SPDX-License-Identifier: GPL-2.0-only
"""The same engine on another cache: what a second rule would have to bring is in this file.

Brook is a network card of our own.  Its driver packs what it has computed into a word and
programs the hardware only where that differs from the word of the last time.  It shares
no file, name or register with KVM; the wings that read C and prove know neither.
"""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from edited import Files

import patchtool
from patchtool import api, cli
from patchtool.c.index import Index
from patchtool.c.layout import Types
from patchtool.c.lower import Lowering
from patchtool.model import Context, Finding, Place, Report, worst
from patchtool.proof.coverage import Decision
from patchtool.rules import table
from patchtool.rules.question import Terms
from patchtool.rules.table import STALE_MMU_ROLE
from patchtool.target.record import Implication, Options, Registers, Target
from patchtool.world.completeness import doubts
from patchtool.world.entries import Tree, find_paths
from patchtool.world.roles import find_roles, initialisers, make_effects

# -- the target: facts as data ---------------------------------------------------------------

BROOK = Target(
    name="the brook driver",
    folder="drivers/net/brook",
    header="include/linux/brook.h",
    host="brook_card",
    main="drivers/net/brook/main.c",
    headers=("include/linux/brook",),
    roots=("include",),
    options=Options(on=frozenset({"CONFIG_BROOK"}), off=frozenset({"CONFIG_BROOK_V1"})),
    silent=r"brook_dbg",
    registers=Registers(
        bits={"LINK": {0: "UP", 1: "FULL", 2: "GIGA"}},
        members={"link": "LINK"},
        macros={"LINK": "BROOK_LINK_{}"},
        implications=(Implication(("LINK", "GIGA"), ("LINK", "FULL"), "a gigabit is duplex"),),
        files=frozenset({"brook_card"}),
        ranges={"brook_card.mtu": (64, 9000, "frames have 64 to 9000 bytes")},
    ),
)

# -- the rule: which fields of which paths to decide -----------------------------------------


def stale_programs(files, fields):
    """Decide fields of every guarded set-up: the verdict, what is missing, what carries what."""
    index = Index(Files({path: text.encode() for path, text in files.items()}), BROOK)
    types = Types(index)
    roles = find_roles(index, types)
    starts = initialisers(index, roles)
    effects = make_effects(index, roles, frozenset(fields), starts)
    tree = Tree(index, types, roles, effects, Lowering(index, types, roles.shape, effects))
    found = {}
    for path in find_paths(tree, starts)[0]:
        run = path.lowered
        terms = Terms(tree, path, [*run.troubles, *doubts(tree, run, starts)], None)
        (record,) = roles.contexts.values()
        for field in fields:
            member = record.by_name[field][0]
            elements = terms.elements(path.guard.context, record, member)
            decision = Decision(terms.question(elements, path.guard.skips))
            answer = decision.decide()
            reasons = terms.spoilt(path.guard.context, member)
            result = terms.result(field, field, decision, answer, reasons, {})
            found[path.entry, field] = result
    return found


# -- the driver ------------------------------------------------------------------------------

HEADER = """\
#define BROOK_LINK_UP	0x1
#define BROOK_LINK_FULL	0x2
#define BROOK_LINK_GIGA	0x4

union brook_setup {
	u32 word;
	struct {
		u32 up : 1;
		u32 full : 1;
		u32 giga : 1;
		u32 jumbo : 1;
		u32 : 4;
		u32 queues : 8;
	};
};

struct brook_port {
	union brook_setup setup;
	u32 mac_mode;
	u32 fifo_depth;
};

struct brook_card {
	u32 link;
	u32 mtu;
	u8 queues;
	struct brook_port port;
};
"""

MAIN = """\
#include <linux/brook.h>
#include "mac.h"

static union brook_setup brook_wanted(struct brook_card *card)
{
	union brook_setup setup = { 0 };

	setup.up = !!(card->link & BROOK_LINK_UP);
	setup.full = !!(card->link & BROOK_LINK_FULL);
	setup.giga = !!(card->link & BROOK_LINK_GIGA);
	setup.queues = card->queues;
@BIT@	return setup;
}

static void brook_program(struct brook_card *card)
{
	struct brook_port *port = &card->port;
	union brook_setup setup = brook_wanted(card);

	brook_dbg(card, "setup");
	if (setup.word == port->setup.word)
		return;

	port->setup.word = setup.word;
	port->mac_mode = brook_mac_mode(card->link, card->mtu);
	port->fifo_depth = card->queues * 4;
}

void brook_link_changed(struct brook_card *card)
{
	brook_program(card);
}
"""

MAC = """\
#define BROOK_JUMBO	1500

static inline u32 brook_mac_mode(u32 link, u32 mtu)
{
	u32 mode = 0;

	if (!(link & BROOK_LINK_UP))
		return 0;
	if (link & BROOK_LINK_GIGA)
		mode |= 0x10;
	else if (link & BROOK_LINK_FULL)
		mode |= 0x20;
#ifdef CONFIG_BROOK_V1
	mode |= brook_v1_quirk(link);
#endif
	if (mtu > BROOK_JUMBO)
		mode |= 0x100;
	return mode;
}
"""

JUMBO = "\tsetup.jumbo = card->mtu > BROOK_JUMBO;\n"
ENTRY = ("brook_link_changed", "brook_program")


def driver(bit="", main=MAIN):
    """Return the files of the driver; BIT is one more statement of the function that packs."""
    return {
        BROOK.header: HEADER,
        BROOK.main: main.replace("@BIT@", bit),
        "drivers/net/brook/mac.h": MAC,
    }


def test_a_gap():
    """The mode of the hardware follows the size of frames, of which the word knows nothing."""
    found = stale_programs(driver(), ("mac_mode", "fifo_depth"))
    result = found[ENTRY, "mac_mode"]
    assert (result.verdict, result.missing) == ("gap", ("card->mtu",))
    assert result.witness is not None
    a, b = (dict(side)["card->mtu"] for side in (result.witness.a, result.witness.b))
    assert 64 <= min(a, b) <= 1500 < max(a, b) <= 9000
    assert {abs(one ^ other) for one, other in [result.witness.values]} == {0x100}
    assert "frames have 64 to 9000 bytes" in result.assumptions
    carried = {one.name: one.covered_by for one in result.inputs}
    assert carried["LINK.GIGA"] == ("setup.giga",)
    assert found[ENTRY, "fifo_depth"].verdict == "covered"


def test_the_gap_fixed():
    """With a bit for large frames in the word, every change programs the hardware."""
    found = stale_programs(driver(JUMBO), ("mac_mode", "fifo_depth"))
    assert {key: one.verdict for key, one in found.items()} == {
        (ENTRY, "mac_mode"): "covered",
        (ENTRY, "fifo_depth"): "covered",
    }
    carried = {one.name: one.covered_by for one in found[ENTRY, "mac_mode"].inputs}
    assert carried["card->mtu"] == ("setup.jumbo",)


@pytest.mark.parametrize(
    ("old", "new", "missing"),
    [
        ("setup.giga = !!(card->link & BROOK_LINK_GIGA)", "setup.giga = 0", {"LINK.GIGA"}),
        ("setup.full = !!(card->link & BROOK_LINK_FULL)", "setup.full = 0", {"LINK.FULL"}),
        ("setup.up = !!(card->link & BROOK_LINK_UP)", "setup.up = 1", {"LINK.UP"}),
    ],
)
def test_each_bit_matters(old, new, missing):
    """What the word loses is missing, under the name that the target gives it."""
    assert old in MAIN
    result = stale_programs(driver(JUMBO, MAIN.replace(old, new)), ("mac_mode",))[ENTRY, "mac_mode"]
    assert (result.verdict, set(result.missing)) == ("gap", missing)


def test_what_is_not_understood_is_unknown():
    """The engine refuses here as it does in KVM."""
    odd = MAIN.replace("brook_mac_mode(card->link, card->mtu)", "brook_from_firmware(card)")
    result = stale_programs(driver(JUMBO, odd), ("mac_mode",))[ENTRY, "mac_mode"]
    assert result.verdict == "unknown"
    assert any("brook_from_firmware" in str(reason) for reason in result.reasons)


# -- on the command line ---------------------------------------------------------------------


def engine(index, fields, label, rev, ways, aside):
    """Check a tree as the module of a rule does: the report on the fields of every way."""
    paths = (BROOK.header, *index.own_files)
    found = stale_programs({path: index.source.read(path).decode() for path in paths}, fields)
    contexts, findings = [], []
    for (entry, _), result in found.items():
        place = Place(BROOK.main, 1, 1, entry[-1])
        context = Context(entry[-1], "port", entry, place, (result,))
        contexts.append(context)
        if result.verdict == "gap":
            words = f"{result.member} depends on {', '.join(result.missing)}"
            findings.append(
                Finding(
                    RULE.name, place, result.name, result.missing, words, entry, context, result
                )
            )
    verdict = worst(tuple(one.verdict for one in contexts))
    return Report(label, rev, tuple(contexts), tuple(findings), verdict=verdict)


RULE = STALE_MMU_ROLE._replace(
    name="stale-program",
    target=BROOK,
    fields=("mac_mode", "fifo_depth"),
    usual=("mac_mode", "fifo_depth"),
    holder="struct brook_port",
    summary="The word does not determine what the hardware is programmed with.",
)


@pytest.mark.parametrize(("bit", "status"), [("", 1), (JUMBO, 0)])
def test_the_command_line_asks_it(monkeypatch, capsys, tmp_path, bit, status):
    """With a row in the table and a module every command can ask the second rule."""
    module = SimpleNamespace(check=engine)
    monkeypatch.setattr(table, "RULES", {**table.RULES, RULE.name: RULE})
    monkeypatch.setitem(sys.modules, "patchtool.rules.stale_program", module)
    for path, text in driver(bit).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, "utf-8")
    asked = ["check", str(tmp_path), "--format", "json", "--rule"]
    assert cli.main([*asked, "stale-program"]) == status
    body = json.loads(capsys.readouterr().out)
    assert [(one["rule"], one["missing"]) for one in body["findings"]] == [
        ("stale-program", ["card->mtu"])
    ] * status
    assert api.status(api.check(str(tmp_path), rule="stale-program")) == status
    assert cli.main([*asked, "STALE_PROGRAM", "--fields", "fifo_depth"]) == 0
    assert cli.main([*asked, "stale-progam"]) == 2
    assert "did you mean 'stale-program'?" in capsys.readouterr().err
    assert cli.main(asked[:-1]) == 2
    assert "has no arch/x86/include/asm/kvm_host.h" in capsys.readouterr().err


# -- the seam --------------------------------------------------------------------------------

KVM_WORDS = re.compile(
    r"kvm|vcpu|\bvmx|\bsvm|\bmmu\b|\bcr[034]\b|\befer\b|x86(?!-64)|(?:mmu|cpu|root)_role|root_level"
    r"|as_u64|cpuid|\b[en]pt\b|\btdp|hflags|guest_mode|maxphyaddr",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    "wing",
    ["c", "proof", "world", "history", "lint", "report", "rules/question.py", "rules/naming.py"],
)
def test_the_engine_knows_no_kvm(wing):
    """No path, name, register or build option of KVM is where C is read and questions put.

    Nor does it matter to where roles are looked for and accounted for, to the walk through a
    history, to what a change brings in, or to how a report is written.
    """
    place = Path(patchtool.__file__).parent / wing
    files = [place] if place.suffix else sorted(place.rglob("*.py"))
    assert files
    told = [
        f"{path.name}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if KVM_WORDS.search(line)
    ]
    assert not told, "\n".join(told)
