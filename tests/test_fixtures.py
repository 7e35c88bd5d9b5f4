# SPDX-License-Identifier: GPL-2.0-only
"""Each miniature kernel has its expected verdict, and its whole report, beside it."""

import miniatures
import pytest

from patchtool.c.index import Index
from patchtool.errors import InputError
from patchtool.model import worst
from patchtool.outside.source import open_source
from patchtool.proof import bdd
from patchtool.report import render
from patchtool.report.options import Options
from patchtool.rules import stale_mmu_role as rule
from patchtool.rules import upstream
from patchtool.target.kvm import KVM


def expectations():
    """Yield each fixture with each field that its expectation speaks of."""
    for fixture in miniatures.NAMES:
        expected = miniatures.expected(fixture)
        for name, per_field in {"root_level": expected, **expected.get("fields", {})}.items():
            yield pytest.param(fixture, name, per_field, id=f"{fixture}-{name}")


def decided(fixture, fields):
    """Check a fixture."""
    return rule.check(Index(open_source(str(miniatures.folder(fixture))), KVM), fields, fixture)


def answers(report, name):
    """Return per context and call path what was decided on one field."""
    return [
        (context.context, context.entry, result.verdict, frozenset(result.missing))
        for context in report.contexts
        for result in context.fields
        if result.name == name
    ]


def is_meant(expected, answer):
    """Tell whether an expectation speaks of an answer: by call path, and context if named."""
    context, entry = answer[:2]
    return expected["via"] in entry and expected.get("context", context) == context


def test_there_are_fixtures():
    """The expectations are found, so that the tests below test something."""
    assert len(miniatures.NAMES) > 30


@pytest.mark.parametrize(("fixture", "name", "expected"), list(expectations()))
def test_verdicts(fixture, name, expected):
    """Every context of a fixture has the verdict and the missing inputs that are written down."""
    if expected["verdict"] == "error":
        with pytest.raises(InputError):
            decided(fixture, (name,))
        return
    report = decided(fixture, (name,))
    found = answers(report, name)
    assert report.verdict == expected["verdict"], report.unknowns
    if report.verdict == "unknown":
        # What was not understood may hide a context.
        assert report.unknowns
        return
    expected_ones = [
        one for one in expected["contexts"].values() if one["verdict"] != "not-guarded"
    ]
    for one in expected_ones:
        told = {answer[2:] for answer in found if is_meant(one, answer)}
        assert told == {(one["verdict"], frozenset(one["missing"]))}, one["via"]
    strangers = [a for a in found if not any(is_meant(one, a) for one in expected_ones)]
    assert not strangers, "contexts that nobody expects"
    if found:
        assert report.verdict == worst(tuple(verdict for *_, verdict, _ in found))


@pytest.mark.parametrize("fixture", miniatures.NAMES)
def test_reports(fixture, rewrite):
    """The whole text report on a fixture is as written down."""
    file = miniatures.FIXTURES / fixture / "expect.txt"
    expected = miniatures.expected(fixture)
    try:
        report = decided(fixture, rule.LEVELS)
    except InputError as error:
        verdict, text = "error", f"{error}\n".replace(str(miniatures.folder(fixture)), fixture)
    else:
        verdict = worst(tuple(v for *_, v, _ in answers(report, "root_level")) or (report.verdict,))
        source = open_source(str(miniatures.folder(fixture)))
        known = upstream.known(report, source)
        text = render(report, "text", Options(read=source.read, known=known))
    assert verdict == expected["verdict"], "a report with another verdict is never written down"
    if rewrite:
        file.write_text(text, "utf-8")
    assert file.read_text("utf-8") == text


@pytest.mark.parametrize(
    "name", ["demo", "cpu-role-fixed", "cpuid-invalidated-fixed", "guard-two-gap"]
)
@pytest.mark.parametrize("nodes", [1, 100])
def test_the_solver_reports_the_same(name, nodes, monkeypatch):
    """Where diagrams give up, at once or half-way, all is told that a verdict rests on."""
    expected = sturdy(decided(name, rule.LEVELS))
    monkeypatch.setattr(bdd, "MAX_NODES", nodes)
    assert sturdy(decided(name, rule.LEVELS)) == expected


def sturdy(report):
    """Return a report without what carries an input, which is left out where much is asked."""

    def untold(context):
        fields = (
            one._replace(inputs=tuple(each for each in one.inputs if each.name in one.missing))
            for one in context.fields
        )
        return context._replace(fields=tuple(fields))

    contexts = tuple(map(untold, report.contexts))
    findings = [one.identity for one in report.findings]
    return contexts, findings, report.unknowns, report.mentions, report.verdict


def test_an_overlay_has_what_differs_alone():
    """A case over another one holds no file of it twice, and no more than a handful at all."""
    own = {n: len(miniatures.own(n)) for n in miniatures.NAMES if "base" in miniatures.expected(n)}
    assert own
    assert all(1 <= number <= 6 for number in own.values()), own


def test_a_parse_error_is_told_once_at_its_line():
    """What cannot be parsed is told where it is, and not at the calls of its function."""
    report = decided("broken-syntax", rule.LEVELS)
    (one,) = report.unknowns
    text = miniatures.files("broken-syntax")[one.place.file].decode().split("\n")
    assert text[one.place.line - 1] == "\text.cr4_pae = ____is_cr4_pae(regs;"
    assert one.reason == "this line cannot be parsed"
