# SPDX-License-Identifier: GPL-2.0-only
"""The command line, and the command ``check``.

In: the words of a command line.  Out: findings on standard output or in the file that -o
names, everything else on standard error, and the exit status.  A command is a function that
adds its arguments and a function that runs it; what it needs is imported when it runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from patchtool import __version__
from patchtool.commands.arguments import add_question, asked
from patchtool.errors import InputError, PatchtoolError, UsageError, meant
from patchtool.report import FORMATS, render, status
from patchtool.report.layout import discard, show

if TYPE_CHECKING:
    from patchtool.config import Asked
    from patchtool.lint.introduced import State
    from patchtool.model import Anchor, Finding, Report, Unknown
    from patchtool.outside.mail import Passed
    from patchtool.outside.source import Source
    from patchtool.report.options import Options
    from patchtool.rules.table import Rule
    from patchtool.rules.upstream import Known

FAILED = 2
INTERRUPTED = 130
PIPE_CLOSED = 141

_LONGEST = 500
"""How many letters a word of a message may have."""

_WHEN = ("auto", "always", "never")


_DISTRIBUTIONS = ("tree-sitter", "tree-sitter-c", "z3-solver", "unidiff")

_ABOUT = """\
patchtool checks KVM for x86 in a Linux kernel tree.

KVM skips the set-up of an MMU context when the role, a key computed from the
guest's registers, equals the stored one.  That is sound only if the role
determines all that the set-up would store.  patchtool proves that it does, or
shows two register states with the same role and different needs."""

_STATUSES = """\
exit status:
  0  nothing wrong, and everything was decided
  1  at least one gap
  2  the request or the input is at fault; standard error says how
  3  no gap, but something could not be decided"""

_EXAMPLES = """\
examples:
  patchtool check                      the kernel tree in this folder
  patchtool check linux --rev v5.14    a revision, whatever is checked out
  patchtool check linux --diff fix.patch
                                       the tree as it would be with a patch
  patchtool check --format sarif -o kvm.sarif linux
                                       a file for code scanning"""

_CHECK = """\
Decide, for every set-up of an MMU context that KVM skips on an equal role,
whether the role determines the fields that the set-up stores."""


class _Parser(argparse.ArgumentParser):
    """A parser that tells a mistake in one sentence and gets its arguments when used.

    ``fill`` adds them; only the command that runs pays for what they need.
    """

    fill: Callable[[_Parser], None] | None = None
    asked: Asked | None = None
    commands: Mapping[str, _Parser] = MappingProxyType({})

    def of(self, command: str | None) -> _Parser:
        """Return the parser of a command, this one for none."""
        return self.commands.get(command or "", self)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise UsageError(f"{message}; see '{self.prog} --help'")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """Refuse what is none of the choices, with the one that may have been meant."""
        if action.choices is not None and value not in action.choices:
            known = [str(one) for one in action.choices]
            raise argparse.ArgumentError(
                action, f"{value!r} is none of {', '.join(known)}{meant(str(value), known)}"
            )

    def unknown(self, words: Sequence[str]) -> NoReturn:
        """Refuse words that no argument takes, with the option that may have been meant."""
        given = next((one for one in words if one.startswith("-")), words[0])
        near = meant(given.partition("=")[0], self._option_string_actions)
        self.error(f"unrecognized arguments: {' '.join(words)}{near}")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, with all arguments in place."""
        if self.fill is not None:
            fill, self.fill = self.fill, None
            fill(self)
            _apply_settings(self)
        return super().parse_known_args(args, namespace)


class _Help(argparse.RawDescriptionHelpFormatter):
    """Formats a help text: paragraphs for the width of the terminal, lists as they are."""

    def add_argument(self, action: argparse.Action) -> None:
        """Take an argument in; commands are indented once more, for which argparse has no room."""
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            self._action_max_length += self._indent_increment

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        from textwrap import fill

        return "\n\n".join(
            block
            if "\n " in block or len(max(block.split("\n"), key=len)) <= width
            else fill(block, min(width, 88), fix_sentence_endings=True, break_on_hyphens=False)
            for block in text.split("\n\n")
        )


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Return what formats a help text.

    argparse makes one for each argument that is added; left to itself it imports more than
    all the rest of a short run to find out how wide the terminal is.
    """
    try:
        width = int(os.environ.get("COLUMNS") or os.get_terminal_size(1).columns)
    except (OSError, ValueError):
        width = 80
    return _Help(prog, width=(width or 80) - 2)


def _apply_settings(parser: _Parser) -> None:
    """Make what is configured the default of each argument that knows the setting."""
    from patchtool import config

    for name, setting in config.settings(parser.asked).items():
        choices = {"format": FORMATS, "color": _WHEN}.get(name, (setting.value,))
        if setting.value not in choices:
            raise UsageError(
                f"{setting.origin}: {setting.value!r} is none of {', '.join(map(str, choices))}"
            )
        for action in parser._actions:
            known = action.choices is None or setting.value in action.choices
            if action.dest == name and known and not action.required:
                parser.set_defaults(**{name: setting.value})


def run() -> NoReturn:
    """Run the command line and end the process.

    To let go of all that a check made, piece by piece, takes a tenth of its time, so the
    process ends without; unless it has others at work, which have to be waited for.
    """
    status = main()
    if "concurrent.futures.process" in sys.modules:
        sys.exit(status)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    _prepare_streams()
    try:
        status = _run(argv)
        show("")
    except PatchtoolError as error:
        _complain(str(error))
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        discard()
        return PIPE_CLOSED
    except BaseException as error:
        # A crash is no gap, so it may not look like one.
        return _crashed(error)
    return status


def _crashed(error: BaseException) -> int:
    """Say in one sentence what went wrong in here, and how to report it."""
    where, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if f"{os.sep}patchtool{os.sep}" in name:
            where = f" at {name.rpartition(f'{os.sep}patchtool{os.sep}')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    kind = type(error).__name__
    if os.environ.get("PATCHTOOL_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    # What the frames hold may be all of the memory.
    error.__traceback__ = None
    del error
    try:
        os.getcwd()
    except OSError:
        _complain("the folder that you are in does not exist any more; change to another one")
        return FAILED
    what = {
        "MemoryError": "there was not enough memory",
        "RecursionError": "something is nested too deeply",
    }.get(kind, "patchtool failed")
    _complain(
        f"{what} ({kind}{where}), so nothing was decided; please report it with the command, what "
        f"`patchtool --version` prints, and what the command prints with PATCHTOOL_TRACEBACK=1"
    )
    return FAILED


def _prepare_streams() -> None:
    """Make printing safe: closed streams swallow, what cannot be encoded is spelled out."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        reconfigure = getattr(getattr(sys, name), "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _run(argv: Sequence[str] | None) -> int:
    try:
        parser = _parser(sys.argv[1:] if argv is None else argv)
        arguments, rest = parser.parse_known_args(argv)
        if rest:
            parser.of(arguments.command).unknown(rest)
    except SystemExit as ended:
        # --help
        return ended.code if isinstance(ended.code, int) else 0
    if arguments.version:
        return _print_versions()
    if "tree" in arguments:
        from patchtool.outside.top import top
        from patchtool.surroundings import keep_out

        keep_out(arguments.tree or ".")
        arguments.tree = top(arguments.tree or ".")
    if arguments.command is None:
        raise UsageError("say what to do, for example 'patchtool check'; see 'patchtool --help'")
    status: int = arguments.run(arguments)
    return status


def _parser(words: Sequence[str] = ()) -> _Parser:
    """Return the parser, of one command alone where WORDS begin with it.

    Then git is asked for settings meanwhile.
    """
    asked, wanted = None, _COMMANDS
    if words and words[0] in _COMMANDS:
        from patchtool import config

        asked = config.ask()
        wanted = {words[0]: _COMMANDS[words[0]]}
    parser = _Parser(
        prog="patchtool",
        description=_ABOUT,
        epilog=f"{_EXAMPLES}\n\n{_STATUSES}",
        formatter_class=_formatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="store_true", help="print the versions of patchtool and its parts"
    )
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, (summary, fill) in wanted.items():
        command = commands.add_parser(
            name,
            help=summary,
            formatter_class=_formatter,
            allow_abbrev=False,
        )
        command.fill, command.asked = fill, asked
    parser.commands = commands.choices
    return parser


# -- check ---------------------------------------------------------------------------------


def _fill_check(parser: _Parser) -> None:
    parser.description = _CHECK
    parser.epilog = f"{_EXAMPLES}\n\n{_STATUSES}"
    add = parser.add_argument
    add(
        "tree",
        nargs="?",
        default=".",
        metavar="TREE",
        help="a kernel checkout, an unpacked tarball, or with --rev any repository, bare or "
        "shallow (default: this folder)",
    )
    add("--rev", metavar="REV", help="read a commit, tag or branch instead of the files on disk")
    add("--diff", metavar="PATCH", help="apply a patch first, in memory; - is standard input")
    add_question(parser)
    _add_output(parser)
    parser.set_defaults(run=_check, passed=None)


def _fill_lint(parser: _Parser) -> None:
    from patchtool.commands import lint

    lint.configure(parser)
    _add_output(parser, "tell what the change closes, what was there before, and all details")
    parser.set_defaults(deliver=_deliver, told=_tell, passed=None)


def _fill_fix(parser: _Parser) -> None:
    from patchtool.commands import fix

    fix.configure(parser)


def _fill_history(parser: _Parser) -> None:
    from patchtool.commands import history

    history.configure(parser)


def _fill_matrix(parser: _Parser) -> None:
    from patchtool.commands import matrix

    matrix.configure(parser)


def _fill_reproduce(parser: _Parser) -> None:
    from patchtool.commands import reproduce

    reproduce.configure(parser)


def _fill_rules(parser: _Parser) -> None:
    from patchtool.commands import rules

    rules.configure(parser)


def _fill_explain(parser: _Parser) -> None:
    from patchtool.commands import explain

    explain.configure(parser)


def _fill_hook(parser: _Parser) -> None:
    from patchtool.commands import hook

    hook.configure(parser)


def _fill_kbuild(parser: _Parser) -> None:
    from patchtool.commands import kbuild

    kbuild.configure(parser)


def _add_output(
    parser: _Parser,
    more: str = "say more, and list on standard error all that the verdict rests on",
) -> None:
    """Add what every command has that prints a report."""
    add = parser.add_argument
    add(
        "--format",
        choices=FORMATS,
        default="text",
        metavar="FORMAT",
        help=f"the form of the report: {', '.join(FORMATS)} (default: text)",
    )
    add("-o", "--output", metavar="FILE", type=_place_for,
        help="write the report to a file, whole or not at all")  # fmt: skip
    add(
        "--color",
        choices=_WHEN,
        default="auto",
        metavar="WHEN",
        help="colour the text: auto, always or never (default: auto, on a terminal)",
    )
    add(
        "-v",
        "--verbose",
        action="store_true",
        help=more,
    )
    add("-q", "--quiet", action="store_true", help="only the lines that name a place")


def _check(arguments: argparse.Namespace) -> int:
    from patchtool.outside.source import open_source, read_patch

    rule, fields = asked(arguments)
    source = open_source(arguments.tree, arguments.rev)
    if arguments.diff is not None:
        from patchtool.outside import reach, top

        where = top.prefix(arguments.tree)
        source, passed = reach.over(source, *read_patch(arguments.diff), where)
        _tell(passed, arguments)
    try:
        return _deliver(_checked(source, rule, fields), arguments, source)
    finally:
        source.close()


def _checked(source: Source, rule: Rule, fields: tuple[str, ...]) -> Report:
    from patchtool.outside.top import require

    require(source.read, source.label, rule.target)  # before anything costly is imported
    import gc

    gc.disable()  # one short run whose terms all live to its end
    from patchtool.aside import in_a_copy
    from patchtool.c.index import Index
    from patchtool.lint.suppress import checked

    return checked(source, rule, fields, Index, aside=in_a_copy(source.alone))[0]


# -- output --------------------------------------------------------------------------------


def _deliver(
    report: Report,
    arguments: argparse.Namespace,
    source: Source | None = None,
    states: Mapping[Finding, State] | None = None,
    anchors: Mapping[Finding | Unknown, Anchor] | None = None,
) -> int:
    """Print a report as the arguments ask and return the exit status.

    SOURCE is the tree that it is about.  A report on a change comes with the state of each
    finding and the line it comes from.
    """
    from patchtool.report.layout import columns
    from patchtool.report.options import Options

    to_stdout = arguments.output is None

    options = Options(
        colour=_colour(arguments.color, to_stdout),
        quiet=arguments.quiet,
        verbose=arguments.verbose,
        directory=os.getcwd(),
        change=states is not None,
        states=states or {},
        anchors=anchors or {},
        width=columns() if to_stdout else columns(-1),
        terminal=to_stdout and sys.stdout.isatty(),
        read=None if source is None else source.read,
        passed=arguments.passed,
        known={} if source is None or not report.findings else _known(report, source),
    )
    if arguments.format in ("github", "sarif"):
        report, options = _from_the_top(report, options, arguments.tree)
    text = render(report, arguments.format, options)
    if arguments.verbose and states is None:
        _print_ledger(report)
    if arguments.output in (None, "-"):
        show(text)
    else:
        from patchtool.outside.files import write

        write(arguments.output, text.encode("utf-8", "backslashreplace"))
    return status(report)


def _place_for(path: str) -> str:
    """Return the path of a file to write; a folder that is not there is told before the work."""
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder):
        raise InputError(f"{path} cannot be written: there is no folder {folder}")
    return path


def _known(report: Report, source: Source) -> Mapping[tuple[str, tuple[str, ...]], list[Known]]:
    from patchtool.rules import upstream

    return upstream.known(report, source)


def _from_the_top(report: Report, options: Options, tree: str) -> tuple[Report, Options]:
    """Let paths count from the top of the repository, where annotations count from."""
    from patchtool.outside.top import prefix

    folder = prefix(tree)
    if not folder:
        return report, options

    def lifted(one: Any) -> Any:
        if not isinstance(one, tuple):
            return one
        parts = map(lifted, one)
        if not hasattr(one, "_fields"):
            return tuple(parts)
        made: Any = type(one)(*parts)
        return made._replace(file=f"{folder}/{made.file}") if "file" in made._fields else made

    moved = options._replace(
        states={lifted(one): state for one, state in options.states.items()},
        anchors={lifted(one): lifted(anchor) for one, anchor in options.anchors.items()},
    )
    return lifted(report), moved


def _tell(passed: Sequence[Passed], arguments: argparse.Namespace) -> None:
    """Say on standard error what of a patch was passed over: all of it with -v.

    Reports for programs have it as well.
    """
    arguments.passed = tuple(passed)
    told = [one for one in passed if arguments.verbose or (one.worth and not arguments.quiet)]
    if not told:
        return
    from patchtool.report.layout import note
    from patchtool.report.words import counted, sentence

    for one in told:
        note(sentence(f"{one.place}note: {one.what} {one.reason}"))
    if arguments.verbose:
        note(f"patchtool: {counted(len(passed), 'thing')} passed over")


def _colour(when: str, to_stdout: bool) -> bool:
    """Tell whether to colour, by the customs of https://no-color.org and its kin."""
    if when != "auto":
        return when == "always"
    around = os.environ
    if around.get("NO_COLOR"):
        return False
    if any(around.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return to_stdout
    if around.get("TERM") == "dumb" or around.get("CLICOLOR") == "0":
        return False
    return to_stdout and sys.stdout.isatty()


def _print_ledger(report: Report) -> None:
    """List on standard error every definition and mention that the verdict rests on."""
    from patchtool.report.words import accounted, counted, safe

    lines = []
    for one in report.ledger:
        unparsed = f"  {counted(one.unparsed, 'unparsed span')}" if one.unparsed else ""
        lines.append(f"{safe(one.file)}:{one.line}: {one.kind} {safe(one.name)}{unparsed}\n")
    spans = sum(one.unparsed for one in report.ledger)
    total = f"{counted(len(report.ledger), 'definition')} in "
    total += counted(len({one.file for one in report.ledger}), "file")
    for account in report.mentions:
        where = f"{safe(account.place.file)}:{account.place.line}:{account.place.column}"
        lines.append(f"{where}: {safe(account.what)}: {safe(account.how)}\n")
    total += f", {counted(spans, 'unparsed span')}"
    if report.mentions:
        total += f", {accounted(report)}"
    lines.append(f"patchtool: rests on {total}\n")
    sys.stderr.write("".join(lines))


def _complain(message: str) -> None:
    from patchtool.report.layout import note
    from patchtool.report.words import sentence

    # A word of thousands of letters says no more than its start.
    words = [word if len(word) <= _LONGEST else f"{word[:60]}..." for word in message.split()]
    note(f"patchtool: error: {sentence(' '.join(words))}")


def _print_versions() -> int:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    lines = [f"patchtool {__version__}", f"python {platform.python_version()}"]
    for name in _DISTRIBUTIONS:
        try:
            lines.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            lines.append(f"{name} is not installed")
    lines.append(_git_version())
    show("".join(f"{line}\n" for line in lines))
    return 0


def _git_version() -> str:
    import subprocess

    try:
        done = subprocess.run(["git", "--version"], capture_output=True, check=False, text=True)
    except OSError:
        return "git is not installed"
    return done.stdout.strip().replace("git version", "git") or "git does not run"


_COMMANDS: Mapping[str, tuple[str, Callable[[_Parser], None]]] = {
    "check": ("decide whether a tree has a gap", _fill_check),
    "fix": ("write patches that close the gaps", _fill_fix),
    "lint": ("report what a change brings in", _fill_lint),
    "hook": ("run lint from git's hooks", _fill_hook),
    "kbuild": ("check as part of a kernel build", _fill_kbuild),
    "history": ("find the commits that opened and closed a gap", _fill_history),
    "matrix": ("check several revisions, one row each", _fill_matrix),
    "reproduce": ("write a program that shows a gap on a running KVM", _fill_reproduce),
    "rules": ("list the rules", _fill_rules),
    "explain": ("tell what a rule is about", _fill_explain),
}
"""Each command: its line in the help, and what adds its arguments and sets ``run``."""
