# SPDX-License-Identifier: GPL-2.0-only
"""What programs rely on: the Python interface, and documents that keep to their schemas."""

import copy
import inspect
import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import miniatures
import pytest
from scratch import commit, git
from test_lint import mail
from test_report import REPORTS

from patchtool import api, cli
from patchtool.errors import InputError, UsageError
from patchtool.report import render
from patchtool.report.options import Options

HOUSE = Path(__file__).parent.parent
SCHEMAS = ("check", "history", "matrix", "rules")


def strict(node):
    """Return a schema that allows no key beyond those that it describes."""
    node = copy.deepcopy(node)
    todo = [node]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            if "properties" in one:
                one.setdefault("additionalProperties", False)
            todo += one.values()
        elif isinstance(one, list):
            todo += one
    return node


def fits(text, name):
    """Validate a document; every key in it has to be described."""
    body = json.loads(text)
    jsonschema.Draft202012Validator(strict(api.schema(name))).validate(body)
    return body


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas(name):
    """Each published schema is valid, and refuses what is no such document."""
    schema = api.schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    for wrong in ({}, {"version": 2}, []):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def exact(word, rough):
    """Return the number that a text stands for; one that is a word goes with a small number."""
    return int(word, 0) if re.fullmatch(r"0x[0-9a-f]+|\d+", word) else rough


LARGE = (1 << 63) + 0xF000000000081


def enlarged(witness):
    """Return a witness with numbers that no float can hold."""
    a, b, host = (
        tuple((name, LARGE + n) for n, (name, _) in enumerate(pairs))
        for pairs in (witness.a, witness.b, witness.host)
    )
    constants = tuple(one._replace(words="") for one in witness.constants)
    some = {"values": (LARGE, LARGE + 2), "words": (), "constants": constants}
    return witness._replace(a=a, b=b, host=host, **some)


def test_no_digit_is_lost_by_readers_of_53_bits():
    """A reader that takes numbers for floats has each value as text, with all its digits."""
    report = api.check(str(miniatures.folder("vcpu-masks-gap")), fields=("all",))
    for change in (lambda one: one, enlarged):
        contexts = tuple(
            one._replace(
                fields=tuple(
                    field._replace(witness=field.witness and change(field.witness))
                    for field in one.fields
                )
            )
            for one in report.contexts
        )
        text = render(report._replace(contexts=contexts), "json", Options())
        whole = witnesses(fits(text, "check"))
        read = json.loads(text, parse_int=lambda number: int(float(number)))
        lost = 0
        for one, other in zip(whole, witnesses(read), strict=True):
            assert [int(value, 16) for value in other["hex"]] == one["values"]
            for mine, theirs in zip(one["inputs"], other["inputs"], strict=True):
                told = zip(theirs["words"], theirs["values"], strict=True)
                assert [exact(*pair) for pair in told] == mine["values"]
            for mine, theirs in zip(one["constants"], other["constants"], strict=True):
                assert exact(theirs["words"], theirs["value"]) == mine["value"]
            lost += one["values"] != other["values"]
        assert bool(lost) is (change is enlarged)


def witnesses(body):
    """Return every witness of a document."""
    fields = [one for context in body["contexts"] for one in context["fields"]]
    some = [one for field in fields for one in (*field["witnesses"], field["accumulated"])]
    return [one for one in some if one is not None]


def test_a_schema_that_is_none():
    """Another name is refused, and the sentence lists those that there are."""
    with pytest.raises(UsageError, match="check, history, matrix, rules"):
        api.schema("nothing")


@pytest.mark.parametrize("name", REPORTS)
def test_reports_fit_the_schema(name):
    """Whatever a report holds, its document is described key by key."""
    fits(render(REPORTS[name], "json", Options()), "check")


@pytest.mark.parametrize(
    "name", ["demo", "args-vs-vcpu-gap", "cpu-role-fixed", "broken-syntax", "unguarded"]
)
def test_check_and_api_say_the_same(name, capsys):
    """The document of the interface is the one that the command prints, but for upstream."""
    tree = str(miniatures.folder(name))
    status = cli.main(["check", tree, "--format", "json"])
    printed = fits(capsys.readouterr().out, "check")
    report = api.check(tree)
    for one in printed["findings"]:
        one["upstream"] = []
    assert api.document(report) == printed
    assert api.status(report) == status
    assert pickle.loads(pickle.dumps(report)) == report


@pytest.fixture
def repository(tmp_path):
    """Return a history with a gap that was opened and closed."""
    where = tmp_path / "linux"
    where.mkdir()
    git(where, "init", "--quiet")
    for name in ("role-regs-fixed", "demo", "role-regs-fixed", "args-vs-vcpu-gap"):
        for path in where.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(miniatures.folder(name), where, dirs_exist_ok=True)
        commit(where, name)
    git(where, "tag", "v6.1")
    return where


def test_every_command_keeps_to_its_schema(repository, capsys, tmp_path):
    """history, matrix, rules and lint print documents that are described key by key."""
    assert cli.main(["history", str(repository), "--format", "json"]) == 1
    inputs = fits(capsys.readouterr().out, "history")["inputs"]
    found = sorted((one["field"], one["input"]) for one in inputs)
    levels = [("root_level", name) for name in ("CR4.LA57", "CR4.PAE", "EFER.LMA")]
    assert found == [("nx", "CR4.PAE"), *levels]
    words = ["matrix", str(repository), "HEAD~2", "HEAD~1", "HEAD", "--format", "json"]
    assert cli.main([*words, "--write-patches", str(tmp_path / "out")]) == 1
    rows = fits(capsys.readouterr().out, "matrix")["rows"]
    assert rows[0]["patches"] and not rows[1]["patches"]
    assert cli.main(["rules", "--format", "json"]) == 0
    (rule,) = fits(capsys.readouterr().out, "rules")["rules"]
    assert rule["rule"] == "stale-mmu-role"
    words = ["lint", "--tree", str(repository), "--range", "HEAD~1..HEAD", "--format", "json"]
    assert cli.main([*words, "--verbose"]) == 1
    assert fits(capsys.readouterr().out, "check")["findings"]


@pytest.mark.parametrize("relevant", [True, False])
def test_what_was_passed_over_is_told_programs(repository, capsys, tmp_path, relevant):
    """Each file and mail of a patch that was not judged is in the document, with the reason."""
    mbox = tmp_path / "x.mbox"
    other = "diff --git a/net/x.c b/net/x.c\n--- a/net/x.c\n+++ b/net/x.c\n@@ -1 +1 @@\n-a\n+b\n"
    drop = git(repository, "diff", "HEAD~1", "HEAD~2", "--", "arch") + "\n"
    mails = [mail("", "[PATCH 0/1] All"), mail(other + drop * relevant, "[PATCH 1/1] One")]
    mbox.write_text("".join(mails), "utf-8")
    tree = [str(repository), "--rev", "HEAD~1", "--format", "json"]
    for words in (["lint", str(mbox), "--tree", *tree], ["check", *tree, "--diff", str(mbox)]):
        assert cli.main(words) == int(relevant)
        body = fits(capsys.readouterr().out, "check")
        assert [(one["what"], one["reason"]) for one in body["passed_over"]] == [
            ("this mail", "is a cover letter"),
            ("net/x.c", "is not in this tree, and no file that a verdict can rest on"),
        ]
        assert body["passed_over"][1]["where"].startswith(f"{mbox}:")
        assert body["passed_over"][1]["where"].endswith(': mail 2, "One"')
    cli.main(["check", *tree])
    assert "passed_over" not in fits(capsys.readouterr().out, "check")


def test_a_revision_and_a_patch(repository, tmp_path):
    """A tree can be a revision, with a patch on top, and what is wrong is an exception."""
    assert api.check(str(repository), rev="HEAD~1").verdict == "covered"
    drop = tmp_path / "drop.patch"
    drop.write_text(git(repository, "diff", "HEAD~1", "HEAD~2", "--", "arch") + "\n", "utf-8")
    report = api.check(str(repository), rev="HEAD~1", patch=str(drop), fields=["root_level"])
    assert {one.missing for one in report.findings} == {("EFER.LMA",)}
    with pytest.raises(InputError):
        api.check(str(tmp_path))
    with pytest.raises(InputError):
        api.check(str(repository), rev="nowhere")
    with pytest.raises(UsageError, match="give a list"):
        api.check(str(repository), fields="root_level")
    with pytest.raises(UsageError, match="did you mean 'root_level'"):
        api.check(str(repository), fields=["rot_level"])


def test_everything_public_is_documented():
    """All that may be relied on has words of its own, in the code and on the page."""
    page = (HOUSE / "docs" / "programs.md").read_text("utf-8")
    for name in api.__all__:
        assert f"`{name}" in page, name
        one = getattr(api, name)
        if inspect.isfunction(one) or inspect.isclass(one):
            assert inspect.getdoc(one), name
    told = re.search(r"`check\((.*?)\)`", page)[1]
    assert [one.partition("=")[0] for one in told.split(", ")] == list(
        inspect.signature(api.check).parameters
    )
    assert all(f"`{name}`" in page for name in SCHEMAS)


def test_the_example_is_typed_and_runs(tmp_path):
    """The script on the page passes a strict type checker and prints what it says."""
    page = (HOUSE / "docs" / "programs.md").read_text("utf-8")
    script = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    script = script.replace('"linux", rev="v5.14"', repr(str(miniatures.folder("demo"))))
    file = tmp_path / "example.py"
    file.write_text(script, "utf-8")
    done = subprocess.run([sys.executable, file], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert "root_level ('EFER.LMA',)" in done.stdout
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", file]
    done = subprocess.run(command, capture_output=True, check=False, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["chekc"], "did you mean 'check'?"),
        (["check", "--feilds", "all"], "did you mean '--fields'?"),
        (["lint", "--format=sariff"], "did you mean 'sarif'?"),
        (["matrix", ".", "HEAD", "--job=2"], "did you mean '--jobs'?"),
        (["history", "--format", "jsn"], "did you mean 'json'?"),
        (["explain", "stale-mmu-rule"], "did you mean 'stale-mmu-role'?"),
        (["hook", "instal"], "did you mean 'install'?"),
        (
            ["check", str(miniatures.folder("demo")), "--fields", "root_levle"],
            "did you mean 'root_level'?",
        ),
    ],
)
def test_a_typo_gets_a_suggestion(words, hint, capfd):
    """Commands, options, values and names of fields: what is near is suggested."""
    assert cli.main(words) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1 and hint in err


def test_options_mean_the_same_everywhere():
    """An option that two commands have has one meaning, and one default."""
    parser = cli._parser()
    found = {}
    for command in parser.commands.values():
        fill, command.fill = command.fill, None
        fill(command)
        for action in command._actions:
            for word in action.option_strings:
                found.setdefault(word, []).append(action)
    assert {one.dest for one in found["-v"]} == {"verbose"}
    assert {one.dest for one in found["-q"]} == {"quiet"}
    assert {one.dest for one in found["-s"]} == {"signoff"}
    assert len(found["--fields"]) >= 5
    assert len({(one.help, one.metavar) for one in found["--fields"]}) == 1
    assert {str(one.usual) for one in found["--fields"]} == {"all"}
    for word, actions in found.items():
        assert len({one.nargs for one in actions}) == 1, word
