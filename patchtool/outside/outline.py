# SPDX-License-Identifier: GPL-2.0-only
"""The outline of a text that holds a patch: each of its lines accounted for.

In: the lines of one mail or file.  Out: a section for each file that the diff names.
git passes over whatever it does not take for a diff, so a hunk whose header is lost or
indented vanishes without a word.  Here a line is part of a section, or plainly words, or
the patch is refused with the number of the line.  Nothing costly is imported: this room
belongs to a lint that finds nothing to do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, NoReturn

from patchtool.errors import PatchError
from patchtool.target.where import TOPS

NULL = "/dev/null"

PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"PK\3\4", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!")
"""How archives and compressed files begin, whatever a mail calls them."""

_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
_START = re.compile(
    rb"^(?:diff --(?:git|cc|combined) |--- [^\n]*\n\+\+\+ |Index: [^\n]*\n=|\*\*\* [^\n]*\n--- "
    rb"|Binary files |[ \t]*@@+ -\d|Only in [^\n]*: )",
    re.MULTILINE,
)
_EXTENDED = re.compile(
    rb"(?:index |old mode |new mode |new file mode |deleted file mode |(?:dis)?similarity index "
    rb"|rename (?:from|to|old|new) |copy (?:from|to) )"
)
_EMPTY = (
    b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    b"473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
)
# What mailing lists, mailers and the next part put below a diff.
_FOOTER = re.compile(rb"--[ \t]*$|[-_*~#]{3,}")
_PREFIXES = frozenset("abciow12")
# Most texts need none of these, so they are compiled when they are met.
_STRAY_HUNK = rb"[ \t]*@@+ -\d"
_HIDDEN_HUNK = rb"[ \t>|]*[^ \t>|@].*@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@"
_NAMES = rb"\n--- .*\n\+\+\+ .*\n@@ -\d"
_DENSE = rb"[ \t>|]*([!-~]{20,})[ \t\r]*$"
_COMMAND = rb"\d+(?:,\d+)?(?:d|[ac]$|[acd]\d+(?:,\d+)?$)"
"""A line of a diff that is neither unified nor has context, or of one for ed."""
_STRAY_FILE = rb"(?i)[ \t]*diff[ \t]+--?git[ \t]"
_SPECIAL = re.compile(rb" (?:120000|160000)\r?$")
_IDS = rb"index ([0-9a-f]+)\.\.([0-9a-f]+)"
_BINARY = rb"Binary files (.*) and (.*) differ"
_ONLY = rb"Only in \S+: \S+$"
_FIELD = rb"(?i)(?:subject|message-id): "
_DATE = r"\s+(?:\d{4}-\d\d-\d\d |\((?:revision|working|nonexistent))"
_QUOTED = rb'\\([abtnvfr"\\]|[0-3][0-7]{2})'
_RARE = (b"\x1b[", b"Only in ", b"-----BEGIN PGP MESSAGE-----", b"diff -e", b"diff -n", b"diff -r")
"""What a line has that is looked at more closely."""
_SHORTEST = 64
"""How many letters a compressed patch has at least, encoded."""
_ESCAPES = dict(zip(b'abtnvfr"\\', b'\a\b\t\n\v\f\r"\\', strict=True))


class Text(NamedTuple):
    """The lines of a text without their ends, and where to find them.

    ``first`` is the line of the file in which it begins; in a text that the transport
    encoded, lines count from there only roughly, and ``exact`` is False.
    """

    name: str
    mail: int
    subject: str
    first: int
    exact: bool
    lines: tuple[bytes, ...]

    def place(self, at: int) -> str:
        """Return what begins a sentence about a line: its place and the mail."""
        if self.exact:
            where = f"{self.name}:{self.first + at}: "
        else:
            where = f"{self.name}:{self.first}: line {at + 1} of the decoded text: "
        if self.mail:
            where += f"mail {self.mail}, "
        return where + (f'"{shortened(self.subject)}": ' if self.subject else "")


class Section(NamedTuple):
    """What a text says about one file; ``old`` is None for a new one, ``new`` for one gone.

    ``hunks`` pairs the line of each header with the line behind its hunk.
    """

    text: Text
    start: int
    end: int
    old: str | None
    new: str | None
    hunks: tuple[tuple[int, int], ...]
    git: bool
    copied: bool
    binary: bool
    special: bool = False
    """Whether it is about a symbolic link or a submodule."""
    other: str | None = None
    """What another line calls the file: "diff --git" where the names below were changed by hand,
    or "---" where that names a copy."""

    @property
    def path(self) -> str:
        """The path to name in messages: where the file stands afterwards, or stood."""
        return self.new or self.old or ""

    @property
    def lines(self) -> int:
        """How many lines it adds and takes away."""
        body = (line for a, b in self.hunks for line in self.text.lines[a + 1 : b])
        return sum(line.startswith((b"+", b"-")) for line in body)

    def content(self) -> tuple[bytes, ...]:
        """Return its own lines, from the first line of the header on."""
        return self.text.lines[self.start : self.end]


class _Header(NamedTuple):
    """What git says of a file above its hunks: its own lines by how they begin, and both names.

    ``end`` is the line behind it.
    """

    said: dict[bytes, bytes]
    pair: tuple[bytes, bytes] | None
    binary: bool
    end: int


def shortened(text: str) -> str:
    """Return a subject that leaves room for the rest of a sentence."""
    return text if len(text) <= 60 else f"{text[:57].rstrip()}..."


def holds_diff(data: bytes) -> bool:
    """Tell whether a text may hold a diff; every text with one does."""
    return _START.search(data) is not None


def outline(text: Text, mail: bool) -> list[Section]:
    """Return the sections of a text; MAIL tells that words with a separator come first."""
    found = _Outline(text, mail)
    return [found.settled(section) for section in list(found.sections())]


class _Outline:
    def __init__(self, text: Text, mail: bool) -> None:
        self._text, self._lines, self._mail = text, text.lines, mail
        self._trees: set[str] = set()
        """What stands in front of the top of the tree in the names of two trees."""
        whole = b"\n".join(text.lines)
        self._rare = any(one in whole for one in _RARE)
        self._looked = 0
        """Behind the last line that was looked into for a patch that is encoded."""

    def settled(self, section: Section) -> Section:
        """Return a section whose one name may need what the others tell of their trees."""
        if section.old == section.new or not self._trees:
            return section
        old, new = (
            path[len(longest) :]
            if path is not None
            and (longest := max(filter(path.startswith, self._trees), key=len, default=""))
            else path
            for path in (section.old, section.new)
        )
        return section._replace(old=old, new=new)

    def sections(self) -> Iterator[Section]:
        """Yield the sections, and refuse lines that belong to none and should."""
        first: Section | None = None
        separator = at = second = 0
        while at < len(self._lines):
            section = self._section(at)
            if section is None:
                self._beside(at, first)
                if first is not None and self._lines[at].rstrip() == b"---":
                    separator = at
                elif first is not None and re.match(_FIELD, self._lines[at]):
                    second = second or at
                at += 1
                continue
            if separator and second and self._mail:
                self._fail(
                    second,
                    'another mail begins here without a line "From ..." in front of it; give the '
                    "mails one by one, or as an mbox",
                )
            if separator and first is not None and self._mail:
                self._fail(
                    first.start,
                    "the words in front of the patch hold a diff that begins at the start of a "
                    f'line; git takes all above line "---" ({self._line(separator)}) for a patch, '
                    "too; indent the diff in the words",
                )
            first = first or section
            yield section
            at = section.end

    def _line(self, at: int) -> str:
        return f"line {self._text.first + at if self._text.exact else at + 1}"

    def _fail(self, at: int, reason: str) -> NoReturn:
        raise PatchError(self._text.place(at) + reason)

    def _get(self, at: int) -> bytes:
        return self._lines[at] if at < len(self._lines) else b""

    # -- words -----------------------------------------------------------------------------

    def _beside(self, at: int, before: Section | None) -> None:
        """Look at a line that is in no section: it may be no piece of a diff."""
        line = self._lines[at]
        if b" " not in line[8:20] and len(line) > 19:
            self._undressed(at)
        if self._rare:
            self._rarely(at, line)
        if b"@@ -" in line and re.match(_HIDDEN_HUNK, line):
            self._fail(at, f'the header of a hunk, "@@", stands behind something else; {_RAW}')
        if before is None:
            # Words may quote a diff, but one hunk and its lines are more than words.
            if line.startswith(b"@@ ") and _HUNK.match(line) and self._continues(at + 1):
                self._fail(at, f"this hunk belongs to no file: {_NO_HEADER}")
            return
        if b"@@" in line and re.match(_STRAY_HUNK, line):
            if line.startswith(b"@"):
                self._fail(at, f"this hunk belongs to no file: {_NO_HEADER}")
            self._fail(at, f'the header of a hunk, "@@", is indented; {_RAW}')
        if line.lstrip()[:4].lower() == b"diff" and re.match(_STRAY_FILE, line):
            self._fail(at, f'a header that begins like "diff --git" is damaged; {_RAW}')
        if line.startswith((b"+\t", b"-\t")):
            self._fail(at, f"this line of a hunk belongs to none; {_RAW}")

    def _rarely(self, at: int, line: bytes) -> None:
        """Look at a line of a text that has something which few texts have."""
        if b"\x1b[" in line:
            # Not all lines of a coloured diff have a colour: those alone would be judged.
            self._fail(at, _COLOURED)
        if line.startswith(b"Only in ") and re.match(_ONLY, line) and not self._mail:
            self._fail(at, "the diff leaves out a whole file; make it anew with `diff -urN`")
        if line.startswith(b"-----BEGIN PGP MESSAGE-----"):
            self._fail(at, "what follows is encrypted; give the plain text")
        if line.startswith(b"diff -") and re.match(_COMMAND, self._get(at + 1)):
            self._fail(at, "this diff is not in unified form; make it anew with `diff -u`")

    def _undressed(self, at: int) -> None:
        """Look into lines without a blank, of which this is the first: one may be encoded."""
        if at < self._looked:
            return
        found: list[bytes] = []
        while (dense := re.match(_DENSE, self._get(at + len(found)))) is not None:
            found.append(dense.group(1))
        self._looked = at + len(found)
        if sum(map(len, found)) < _SHORTEST:
            return
        from patchtool.outside.encoded import why

        wrong = why(found, self._lines[max(at - 8, 0) : at])
        if wrong:
            self._fail(at, wrong)

    def _continues(self, at: int) -> bool:
        return self._get(at)[:1] in (b" ", b"+", b"-")

    # -- files -----------------------------------------------------------------------------

    def _section(self, at: int) -> Section | None:
        """Return the section that begins in a line, None where none does."""
        line = self._lines[at]
        if line.startswith(b"diff --git "):
            return self._git(at)
        if line.startswith((b"diff --cc ", b"diff --combined ")):
            self._fail(at, "this is the combined diff of a merge; make it with `git diff A B`")
        if line.startswith(b"--- ") and self._get(at + 1).startswith(b"+++ "):
            return self._plain(at, at)
        if line.startswith(b"Index: ") and self._get(at + 1).startswith(b"==="):
            return self._index(at)
        if line.startswith(b"*** ") and self._get(at + 1).startswith(b"--- "):
            if self._get(at + 2).startswith(b"*****"):
                self._fail(at, "this is a context diff; make it anew with `diff -u`")
        found = re.match(_BINARY, line) if line.startswith(b"Binary files ") else None
        if found is None:
            return None
        old, new = self._pair(found.group(1), found.group(2), git=False)
        return Section(self._text, at, at + 1, old, new, (), False, False, True)

    def _git(self, start: int) -> Section:
        """Return a section that begins with "diff --git"."""
        said, pair, binary, at = self._header(start + 1)
        named = _git_names(_text(self._lines[start][len(b"diff --git ") :]))
        names = self._pair(*pair, git=True) if pair is not None else named
        if pair is not None and {*names} - {None} != {*named}:
            # Some tools put a date behind a name, as diff does without git.
            names = self._pair(*pair, git=False)
        moved = {
            key: _unquote(_text(line[len(key) + 1 :]))
            for key, line in said.items()
            if key.startswith((b"rename", b"copy"))
        }
        if not moved:
            named, names = self._one(*named), self._one(*names)
        old = moved.get(b"rename from", moved.get(b"copy from", names[0]))
        new = moved.get(b"rename to", moved.get(b"copy to", names[1]))
        old = None if b"new file mode" in said else old
        new = None if b"deleted file mode" in said else new
        shown = new or old or _text(self._lines[start])
        other = self._agree(start, shown, pair, names, named, {*filter(None, moved.values())})
        hunks, end = self._hunks(at, shown)
        if not hunks and not binary and (pair is not None or not self._complete(said)):
            self._without(start, at, shown)
        copied = b"copy from" in moved
        special = any(_SPECIAL.search(line) for line in said.values())
        return Section(
            self._text, start, end, old, new, hunks, True, copied, binary, special, other
        )

    def _header(self, at: int) -> _Header:
        """Read what stands between "diff --git" and the first hunk."""
        said: dict[bytes, bytes] = {}
        while at < len(self._lines):
            line = self._lines[at]
            extended = _EXTENDED.match(line)
            if extended is not None:
                said[extended.group().rstrip()] = line
                at += 1
                continue
            if line.startswith(b"--- "):
                if not self._get(at + 1).startswith(b"+++ "):
                    self._fail(at, f'below "---" there is no "+++" that names the file; {_RAW}')
                return _Header(said, (line[4:], self._lines[at + 1][4:]), False, at + 2)
            if line.startswith(b"GIT binary patch"):
                return _Header(said, None, True, self._behind_binary(at))
            if line.startswith(b"Binary files ") and re.match(_BINARY, line):
                return _Header(said, None, True, at + 1)
            break
        return _Header(said, None, False, at)

    def _agree(
        self,
        start: int,
        shown: str,
        pair: tuple[bytes, bytes] | None,
        names: tuple[str | None, str | None],
        named: tuple[str | None, str | None],
        moved: set[str],
    ) -> str | None:
        """Refuse a header whose lines name different files.

        Returns the name of its first line, where those below agree on another one.
        """
        said = {name for name in names if name is not None}
        if moved:
            right = (said <= moved or pair is None) and (named == (None, None) or {*named} == moved)
        elif pair is None:
            right = named[0] == named[1] and named[0] is not None
        else:
            right = len(said) == 1 and named[0] == named[1] and named[0] is not None
        if not right:
            self._fail(start, f"the lines of this header {DIFFERENT}")
        return named[0] if not moved and named[0] != shown else None

    def _complete(self, said: dict[bytes, bytes]) -> bool:
        """Tell whether a header is all that there is to say: a rename, a mode, an empty file."""
        ids = re.match(_IDS, said.get(b"index", b""))
        if ids is None:
            # Only some tools leave out the ids, and those of an empty file never say so.
            return bool(said) and not {b"new file mode", b"deleted file mode"} & said.keys()
        null, empty = (
            [bool(one.strip(b"0") == b"") for one in ids.groups()],
            [any(known.startswith(one) for known in _EMPTY) for one in ids.groups()],
        )
        return ids.group(1) == ids.group(2) or (any(null) and any(empty))

    def _behind_binary(self, at: int) -> int:
        """Return the line behind a binary patch: one or two blocks that blank lines end."""
        at += 1
        while self._get(at).startswith((b"literal ", b"delta ")):
            while at < len(self._lines) and self._lines[at].strip():
                at += 1
            at += 1
        return min(at, len(self._lines))

    def _plain(self, start: int, at: int) -> Section:
        """Return a section that begins with "---" and "+++", as diff writes it."""
        pair = self._pair(self._lines[at][4:], self._lines[at + 1][4:], git=False)
        old, new = self._one(*pair)
        if old is not None and new is not None:
            names = [os.path.basename(path) for path in (old, new)]
            if not (names[0].startswith(names[1]) or names[1].startswith(names[0])):
                self._fail(at, f"{old} and {new} are no names of one file; one is damaged")
        # "x.c.orig" against "x.c": the file to change is the one to be had afterwards.
        other = old if old is not None and new is not None and old != new else None
        old = new if other is not None else old
        shown = new or old or ""
        hunks, end = self._hunks(at + 2, shown)
        if not hunks:
            rest = (line for line in self._lines[at + 2 : at + 5] if line.strip())
            if not next(rest, b"").startswith(b"Property changes on: "):
                self._without(start, at + 2, shown)
        return Section(self._text, start, end, old, new, hunks, False, False, False, other=other)

    def _index(self, start: int) -> Section:
        """Return a section that begins as quilt, svn and CVS do it."""
        path = _text(self._lines[start][len(b"Index: ") :]).strip()
        for at in range(start + 2, min(start + 9, len(self._lines))):
            line = self._lines[at]
            if line.startswith(b"--- ") and self._get(at + 1).startswith(b"+++ "):
                return self._plain(start, at)
            if line.startswith(b"Cannot display: "):
                return Section(self._text, start, at + 1, path, path, (), False, False, True)
            if line.startswith(b"diff --git "):
                section = self._git(at)
                if path not in (section.old, section.new):
                    self._fail(start, f"the lines of this header {DIFFERENT}")
                return section._replace(start=start)
            if line.startswith((b"Index: ", b"@@")):
                break
        return self._without(start, start + 2, path)

    def _without(self, start: int, at: int, shown: str) -> NoReturn:
        """Refuse the header of a file that no hunk follows."""
        line = self._get(at)
        if line.startswith(b"\x1b["):
            self._fail(at, _COLOURED)
        if re.match(_STRAY_HUNK, line) and not line.startswith(b"@"):
            self._fail(at, f'the header of a hunk of {shown}, "@@", is indented; {_RAW}')
        how = "the text ends" if at >= len(self._lines) else "something else follows"
        self._fail(start, f'{shown} has no hunk: below its header {how} before any "@@"; {_RAW}')

    # -- hunks -----------------------------------------------------------------------------

    def _hunks(self, at: int, shown: str) -> tuple[tuple[tuple[int, int], ...], int]:
        """Return the hunks that begin in a line, and the line behind them."""
        hunks: list[tuple[int, int]] = []
        while self._get(at).startswith(b"@@"):
            end = self._hunk(at, f"hunk {len(hunks) + 1} of {shown}")
            hunks.append((at, end))
            at = end
        if hunks:
            self._ends(at, f"hunk {len(hunks)} of {shown}", hunks)
        return tuple(hunks), at

    def _hunk(self, start: int, what: str) -> int:
        found = _HUNK.match(self._lines[start])
        if self._lines[start].startswith(b"@@@"):
            self._fail(start, "this is the combined diff of a merge; make it with `git diff A B`")
        if found is None:
            self._fail(start, f"{what} has a bad hunk header; {_RAW}")
        old, new = (int(found.group(n) or 1) for n in (2, 4))
        at, changes = start + 1, False
        while old > 0 or new > 0:
            if at >= len(self._lines):
                self._fail(at - 1, f"{what} is shorter than its header says: the text ends; {_RAW}")
            kind = self._lines[at][:1].rstrip(b"\r") or b" "
            if kind not in (b" ", b"-", b"+", b"\\"):
                self._odd(at, what)
            old -= kind in (b" ", b"-")
            new -= kind in (b" ", b"+")
            changes = changes or kind in (b"-", b"+")
            if old < 0 or new < 0:
                self._fail(at, f"{what} has other lines than its header says; it was damaged")
            at += 1
        while self._get(at).startswith(b"\\ "):
            at += 1
        body = b"\n".join(self._lines[start : at + 1])
        for names in re.finditer(_NAMES, body) if b"\n--- " in body else ():
            line = start + 1 + body.count(b"\n", 0, names.start())
            how = "is shorter than its header says: a file begins here"
            self._fail(line, f"{what} {how}; {_RAW}")
        if not changes:
            self._fail(start, f"{what} changes nothing; it was damaged")
        return at

    def _odd(self, at: int, what: str) -> NoReturn:
        """Refuse a line that cannot be in a hunk."""
        line = self._lines[at]
        if line.startswith(b"\x1b["):
            self._fail(at, _COLOURED)
        if self._lines[at - 1].rstrip() in (b"--", b"---") or line.startswith((b"diff ", b"@@")):
            self._fail(at, f"{what} is shorter than its header says; {_RAW}")
        words = line.decode("utf-8", "backslashreplace").strip()
        self._fail(
            at,
            f"{what} has a line that begins neither with a space nor with + or -, "
            f"{shortened(words)!r}: a mailer wrapped the line above or changed this one; {_RAW}",
        )

    def _ends(self, at: int, what: str, hunks: Sequence[tuple[int, int]]) -> None:
        """Refuse what follows a last hunk and looks like more of it, or like another.

        It ends at a blank line, unless blank lines of the hunks have lost their space.
        """
        stripped = any(not line.rstrip(b"\r") for a, b in hunks for line in self._lines[a + 1 : b])
        for number in range(at, len(self._lines)):
            line = self._lines[number]
            if _FOOTER.match(line) or self._starts(number):
                return
            if line.startswith((b" ", b"+", b"-", b"\t")):
                how = "is longer than its header says"
                if number > at:
                    how = "is followed by lines of a hunk whose header is damaged"
                self._fail(at, f"{what} {how}; {_RAW}")
            if not line.strip() and not stripped:
                return

    def _starts(self, at: int) -> bool:
        """Tell whether a line begins a section."""
        return _START.match(b"\n".join(self._lines[at : at + 2]) + b"\n") is not None or (
            self._lines[at].startswith(b"diff -")
        )

    # -- names -----------------------------------------------------------------------------

    def _one(self, old: str | None, new: str | None) -> tuple[str | None, str | None]:
        """Return the names of one file below two trees without what leads to these.

        So a diff of two folders names it: "old/arch/x86/kvm/x86.c", "new/arch/x86/kvm/x86.c".
        """
        if old is None or new is None or old == new:
            return old, new
        if old.removesuffix(".orig") == new:
            return new, new
        one, two = old.split("/"), new.split("/")
        most = min(len(one), len(two))
        same = next((n for n in range(most) if one[-1 - n] != two[-1 - n]), most)
        for at in range(-same, 0):
            path = "/".join(one[at:])
            if re.match(TOPS, path):
                self._trees |= {old.removesuffix(path), new.removesuffix(path)} - {""}
                return path, path
        return old, new

    def _pair(self, first: bytes, second: bytes, git: bool) -> tuple[str | None, str | None]:
        one, two = (_text(raw).partition("\t")[0] for raw in (first, second))
        old, new = _names(one, two, git)
        if old is not None and old == new:
            fronts = {(name if git else _undated(name)).removesuffix(old) for name in (one, two)}
            if len(fronts) == 2:
                self._trees |= {front for front in fronts if front.rstrip("/") not in _PREFIXES}
                self._trees.discard("")
        return old, new


_NO_HEADER = 'the lines "--- a/FILE" and "+++ b/FILE" above it are missing or damaged'
_COLOURED = "the patch holds the colours of a terminal; make it with --no-color"
_RAW = "get the patch anew, as a file or as the raw mail"
DIFFERENT = f"name different files; {_RAW}"
"""What ends a sentence about a header that is not one file's."""


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\r").decode("latin-1")


def _names(source: str, target: str, git: bool) -> tuple[str | None, str | None]:
    """Return both names of a file below the tree, without what diff put before them."""
    source, target = (name if git else _undated(name) for name in (source, target))
    old = None if source == NULL else _unquote(source)
    new = None if target == NULL else _unquote(target)
    pair = [path.partition("/") for path in (old, new) if path is not None]
    tops, rests = {top for top, _, _ in pair}, {rest for _, _, rest in pair}
    # Without git any two names may stand before the same path: "linux.orig/", "linux/".
    strip = len(tops) == 2 and len(rests) == 1 and "" not in rests
    if strip or (tops <= _PREFIXES and "" not in rests) or tops == {"."}:
        old, new = (None if p is None else p.partition("/")[2] for p in (old, new))
    return old, new


def _undated(name: str) -> str:
    """Return a name without the date or the revision that diff puts behind it."""
    return re.split(_DATE, name)[0].rstrip()


def _git_names(words: str) -> tuple[str | None, str | None]:
    """Return both names of a line "diff --git", (None, None) where they cannot be told apart.

    Names may hold spaces; then both have to be the same for the line to be clear.
    """
    quoted = re.fullmatch(r'("(?:[^"\\]|\\.)*"|\S+) ("(?:[^"\\]|\\.)*"|\S+)', words)
    if quoted is not None:
        return _names(quoted[1], quoted[2], git=True)
    for at in (match.start() for match in re.finditer(" ", words)):
        old, new = _names(words[:at], words[at + 1 :], git=True)
        if old == new:
            return old, new
    return None, None


def _unquote(name: str) -> str:
    """Return a path as the file system has it: git quotes unusual bytes as C does."""
    raw = name.encode("latin-1")
    if len(raw) > 1 and raw.startswith(b'"') and raw.endswith(b'"'):
        raw = re.sub(
            _QUOTED,
            lambda m: bytes([_ESCAPES[m[1][0]] if len(m[1]) == 1 else int(m[1], 8)]),
            raw[1:-1],
        )
    return os.fsdecode(raw)
