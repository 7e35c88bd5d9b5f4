# SPDX-License-Identifier: GPL-2.0-only
"""Patches: read them, apply them exactly in memory, write them as git does.

In: the bytes of a patch or of a mail with one, the bytes of files.  Out: records of
hunks, the files afterwards (None: deleted), the text of a diff.  Bytes that are no
UTF-8 and line ends of any kind survive; a hunk fits exactly or not at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from patchtool.errors import PatchError

if TYPE_CHECKING:
    from unidiff.patch import Hunk as UnidiffHunk
    from unidiff.patch import PatchedFile

_CONTEXT = 3
_NULL = "/dev/null"

_MAIL = re.compile(rb"\A(?:From |[A-Za-z][A-Za-z0-9-]*: )")
_NEXT_MAIL = re.compile(rb"^(?=From \S+ .*\d\d:\d\d:\d\d \d{4}\r?$)", re.MULTILINE)
_ENCODED = re.compile(
    rb"^Content-Transfer-Encoding:\s*(?:quoted-printable|base64)", re.IGNORECASE | re.MULTILINE
)
_START = re.compile(
    r"^(?:diff --(?:git|cc|combined) |(?:--- .*\n\+\+\+ )|Binary files .* differ)", re.MULTILINE
)
_HUNK = re.compile(r"@@ -\d{1,9}(?:,\d{1,9})? \+\d{1,9}(?:,\d{1,9})? @@")
_PREFIXES = frozenset("abciow12")
_QUOTED = re.compile(rb'\\([abtnvfr"\\]|[0-3][0-7]{2})')
_ESCAPES = dict(zip(b'abtnvfr"\\', b'\a\b\t\n\v\f\r"\\', strict=True))


class Hunk(NamedTuple):
    """One hunk: where it says it belongs, and its lines with their line ends.

    ``lines`` pairs " ", "-" or "+" with the bytes of the line.
    """

    old_start: int
    new_start: int
    lines: tuple[tuple[str, bytes], ...]

    @property
    def old(self) -> tuple[bytes, ...]:
        """The lines that it expects."""
        return tuple(line for tag, line in self.lines if tag != "+")

    @property
    def new(self) -> tuple[bytes, ...]:
        """The lines that it leaves behind."""
        return tuple(line for tag, line in self.lines if tag != "-")


class FilePatch(NamedTuple):
    """What a patch does to one file; no hunks means a rename, a mode or an empty file.

    ``old`` is None for a file that is made, ``new`` for one that is deleted; ``origin``
    names the patch in messages.
    """

    old: str | None
    new: str | None
    hunks: tuple[Hunk, ...]
    origin: str
    copied: bool = False

    @property
    def path(self) -> str:
        """The path to name in messages: where the file stands afterwards, or stood."""
        return self.new or self.old or ""


def parse(data: bytes, name: str) -> tuple[FilePatch, ...]:
    """Read a patch, or the mails of a series; ``name`` is what to call it in messages.

    Nothing at all and a mail without a diff are patches that change nothing.
    """
    from unidiff.errors import UnidiffParseError
    from unidiff.patch import PatchSet

    lines = _lines_to_read(data, name)
    if not any(lines):
        if data.strip() and not _MAIL.match(data):
            raise PatchError(f"{name}: holds no diff; give a patch in unified form")
        return ()
    at = 0

    def feed() -> Iterator[str]:
        nonlocal at
        for at, line in enumerate(lines, 1):  # noqa: B007
            yield line or "#\n"

    try:
        found = PatchSet(feed())
    except (UnidiffParseError, ValueError) as error:
        reason = str(error).splitlines()[0].split(":")[0].lower()
        raise PatchError(f"{name}:{at}: does not parse as a patch: {reason}") from error
    return tuple(_file_patch(file, lines, name) for file in found)


def apply(
    files: Sequence[FilePatch], read: Callable[[str], bytes | None]
) -> dict[str, bytes | None]:
    """Return the files that a patch changes as they are afterwards, None when deleted.

    ``read`` returns the bytes of a file before, None when it is not there.
    """
    after: dict[str, bytes | None] = {}
    for file in files:
        data = _before(file, lambda path: after[path] if path in after else read(path))
        image = _Image(data)
        for number, hunk in enumerate(file.hunks, 1):
            image.apply(hunk, f"{file.origin}: hunk {number} of {file.path}")
        result = image.content()
        if file.new is None and result:
            raise PatchError(
                f"{file.origin}: deletes {file.path} but does not remove all of its lines; "
                f"the patch was made for another version"
            )
        if file.old is not None and file.old != file.new and not file.copied:
            after[file.old] = None
        if file.new is not None:
            after[file.new] = result
    return after


def write(
    path: str,
    old: bytes | None,
    new: bytes | None,
    *,
    renamed_from: str | None = None,
    mode: str = "100644",
) -> str:
    """Return the difference of two files as git writes it, "" when there is none.

    None stands for a file that is not there.  Bytes that are no UTF-8 become surrogate
    escapes, so encode the text with "surrogateescape".
    """
    source = renamed_from or path
    if (old == new and source == path) or (old is None and new is None):
        return ""
    header = [f"diff --git {_quote('a/' + source)} {_quote('b/' + path)}"]
    header += _extended(source, path, old, new, mode)
    body = list(_hunks(_split(old or b""), _split(new or b""), path))
    if body:
        header.append(f"--- {_NULL if old is None else _marked('a/' + source)}")
        header.append(f"+++ {_NULL if new is None else _marked('b/' + path)}")
    text = "".join(f"{line}\n" for line in header).encode("utf-8", "surrogateescape")
    return (text + b"".join(body)).decode("utf-8", "surrogateescape")


class _Image:
    """The lines of a file while hunks are applied; lines of a hunk are not used twice."""

    def __init__(self, data: bytes) -> None:
        self._lines = _split(data)
        self._done = bytearray(len(self._lines))

    def content(self) -> bytes:
        return b"".join(self._lines)

    def apply(self, hunk: Hunk, what: str) -> None:
        old, new = list(hunk.old), list(hunk.new)
        at = self._place(hunk, old, what)
        self._lines[at : at + len(old)] = new
        self._done[at : at + len(old)] = b"\1" * len(new)

    def _place(self, hunk: Hunk, old: list[bytes], what: str) -> int:
        """Return where a hunk fits: at its stated line, or at the only other place."""
        stated = max(hunk.new_start - 1, 0)
        if self._fits(stated, hunk, old):
            return stated
        places = [at for at in self._candidates(old) if self._fits(at, hunk, old)]
        if len(places) == 1:
            return places[0]
        have = frozenset(self._lines)
        lines = [line for line in old if line.strip()]
        # A line that is nowhere tells most; if all are there, they are not together.
        looked = next((line for line in lines if line not in have), None)
        nowhere = looked is not None
        looked = looked or next(iter(lines), b"")
        text = looked.decode("utf-8", "backslashreplace").strip()
        if places:
            raise PatchError(
                f"{what} fits at {len(places)} places (lines {places[0] + 1} and {places[1] + 1}) "
                f"but not at its line {hunk.old_start}, which should hold {text!r}"
            )
        where = f"near line {hunk.old_start} it looks for {text!r}"
        where += ", which the file does not have" if nowhere else " and what follows it there"
        raise PatchError(f"{what} does not apply: {where}; was the patch made for another version?")

    def _candidates(self, old: list[bytes]) -> Iterator[int]:
        if not old:
            return
        at = -1
        try:
            while True:
                at = self._lines.index(old[0], at + 1)
                yield at
        except ValueError:
            return

    def _fits(self, at: int, hunk: Hunk, old: list[bytes]) -> bool:
        end = at + len(old)
        if hunk.old_start <= 1 and at != 0:
            return False
        # As in git, a hunk without context after its last change belongs to the end.
        if hunk.lines[-1][0] != " " and end != len(self._lines):
            return False
        return self._lines[at:end] == old and not any(self._done[at:end])


def _before(file: FilePatch, read: Callable[[str], bytes | None]) -> bytes:
    """Return the bytes that a patch of one file starts from."""
    if file.new is not None and file.new != file.old and read(file.new) is not None:
        raise PatchError(
            f"{file.origin}: makes {file.new}, which already exists; is the patch already applied?"
        )
    if file.old is None:
        return b""
    data = read(file.old)
    if data is None:
        # Plain diffs do not always say that a file is new.
        if file.hunks and all(h.old_start == 0 and not h.old for h in file.hunks):
            return b""
        raise PatchError(
            f"{file.origin}: changes {file.old}, which does not exist; "
            f"paths in a patch count from the top of the tree"
        )
    return data


def _lines_to_read(data: bytes, name: str) -> list[str]:
    """Return the lines of a patch; what stands before the diff of a mail becomes ""."""
    result: list[str] = []
    for mail in _NEXT_MAIL.split(data):
        text = _decoded(mail).decode("latin-1")
        start = _START.search(text)
        skipped = text[: start.start()] if start else text
        result += [""] * skipped.count("\n")
        if start:
            result += _checked(text[start.start() :], len(result), name)
    return result


def _decoded(mail: bytes) -> bytes:
    """Return a mail with its body as it was before the transport encoded it."""
    head, _, _ = mail.partition(b"\n\n")
    if _MAIL.match(mail) and _ENCODED.search(head):
        import email

        body = email.message_from_bytes(mail).get_payload(decode=True)
        return body if isinstance(body, bytes) else mail
    return mail


def _checked(text: str, offset: int, name: str) -> list[str]:
    """Split a diff into lines, and refuse what would silently be passed over."""
    lines = text.split("\n")
    # The last line ends, whatever the mailer made of it.
    if not lines[-1]:
        lines.pop()
    if lines[0].endswith("\r"):
        # A transport changed the ends of all lines: the headers never have a "\r".
        lines = [line.removesuffix("\r") for line in lines]
    for number, line in enumerate(lines, offset + 1):
        if line.startswith(("@@@ ", "diff --cc ", "diff --combined ")):
            raise PatchError(
                f"{name}:{number}: is the combined diff of a merge; make it with `git diff A B`"
            )
        if line.startswith("@@") and not _HUNK.match(line):
            raise PatchError(f"{name}:{number}: does not parse as a patch: bad hunk header")
    # git writes the mark of a missing line end in the language of the person.
    return [
        "\\ No newline at end of file\n" if line.startswith("\\ ") else f"{line}\n"
        for line in lines
    ]


def _file_patch(file: PatchedFile, lines: list[str], name: str) -> FilePatch:
    info = [str(line).rstrip("\n") for line in file.patch_info or ()]
    git = any(line.startswith("diff --git ") for line in info)
    old, new = _names(file.source_file, file.target_file, git)
    said = {key: _value(info, key) for key in ("rename from", "rename to", "copy from", "copy to")}
    old = said["rename from"] or said["copy from"] or old
    new = said["rename to"] or said["copy to"] or new
    if not git and old is not None and new is not None:
        # "x.c.orig" against "x.c": the file to change is the one to be had afterwards.
        old = new
    for path in (old, new):
        _check_path(path, name)
    shown = new or old
    if file.is_binary_file:
        raise PatchError(f"{name}: the patch of {shown} is binary; leave that file out")
    if not file and not git:
        raise PatchError(f"{name}: the patch of {shown} has no hunks; it may be cut short")
    hunks = tuple(
        _hunk(hunk, lines, f"{name}: hunk {i} of {shown}") for i, hunk in enumerate(file, 1)
    )
    return FilePatch(old, new, hunks, name, copied=said["copy from"] is not None)


def _hunk(hunk: UnidiffHunk, lines: list[str], what: str) -> Hunk:
    result: list[tuple[str, bytes]] = []
    last = 0
    for line in hunk:
        if line.line_type == "\\":
            if result:
                tag, text = result[-1]
                result[-1] = tag, text.removesuffix(b"\n")
        elif line.line_type:
            result.append((line.line_type, line.value.encode("latin-1")))
            last = line.diff_line_no or 0
    rest = (line for line in lines[last : last + 2] if not line.startswith("\\"))
    after = next(rest, "")
    if after.startswith((" ", "+", "-")) and not after.startswith(("--- ", "-- \n", "--\n")):
        raise PatchError(f"{what} is longer than its header says; the patch was damaged")
    if not any(tag != " " for tag, _ in result):
        raise PatchError(f"{what} changes nothing; the patch was damaged")
    return Hunk(hunk.source_start, hunk.target_start, tuple(result))


def _value(info: list[str], key: str) -> str | None:
    for line in info:
        if line.startswith(f"{key} "):
            return _unquote(line.removeprefix(f"{key} "))
    return None


def _names(source: str, target: str, git: bool) -> tuple[str | None, str | None]:
    """Return both names of a file below the tree, without what diff put before them."""
    old = None if source == _NULL else _unquote(source.rstrip() if not git else source)
    new = None if target == _NULL else _unquote(target.rstrip() if not git else target)
    pair = [path.partition("/") for path in (old, new) if path is not None]
    tops, rests = {top for top, _, _ in pair}, {rest for _, _, rest in pair}
    # Without git any two names may stand before the same path: "linux.orig/", "linux/".
    strip = len(tops) == 2 and len(rests) == 1 and "" not in rests
    if strip or (tops <= _PREFIXES and "" not in rests):
        old, new = (None if p is None else p.partition("/")[2] for p in (old, new))
    return old, new


def _unquote(name: str) -> str:
    """Return a path as the file system has it: git quotes unusual bytes as C does."""
    raw = name.encode("latin-1")
    if len(raw) > 1 and raw.startswith(b'"') and raw.endswith(b'"'):
        raw = _QUOTED.sub(
            lambda m: bytes([_ESCAPES[m[1][0]] if len(m[1]) == 1 else int(m[1], 8)]), raw[1:-1]
        )
    return os.fsdecode(raw)


def _quote(path: str) -> str:
    """Return a path as git writes it."""
    raw = os.fsencode(path)
    plain = frozenset(range(32, 127)) - frozenset(b'"\\')
    if plain.issuperset(raw):
        return path
    text = "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in raw)
    return f'"{text}"'


def _marked(path: str) -> str:
    """Return a path for a header line; a tab ends one that holds a space."""
    return _quote(path) + ("\t" if " " in path else "")


def _check_path(path: str | None, name: str) -> None:
    if path is None:
        return
    parts = path.split("/")
    unsafe = (
        "\0" in path
        or re.match(r"[A-Za-z]:", path) is not None
        or any(part in ("", ".", "..") for part in parts)
        or any(part.rstrip(". ").lower() == ".git" for part in parts)
    )
    if unsafe:
        raise PatchError(f"{name}: the path {path!r} leads out of the tree; it is not applied")


def _split(data: bytes) -> list[bytes]:
    """Split bytes into lines at line feeds only, and keep them."""
    lines = data.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def _extended(
    source: str, path: str, old: bytes | None, new: bytes | None, mode: str
) -> Iterator[str]:
    """Yield the header lines that only git writes."""
    if old is None:
        yield f"new file mode {mode}"
    elif new is None:
        yield f"deleted file mode {mode}"
    elif source != path:
        yield f"similarity index {_similarity(_split(old), _split(new))}%"
        yield f"rename from {_quote(source)}"
        yield f"rename to {_quote(path)}"
    if old != new:
        changed = old is not None and new is not None
        yield f"index {_blob_id(old)}..{_blob_id(new)}{' ' + mode if changed else ''}"


def _similarity(old: list[bytes], new: list[bytes]) -> int:
    if old == new:
        return 100
    kept = sum(end - start for tag, start, end, _, _ in _opcodes(old, new) if tag == "equal")
    return 100 * kept // max(len(old), len(new), 1)


def _blob_id(data: bytes | None) -> str:
    """Return what git calls a blob, in the twelve digits that the kernel uses."""
    if data is None:
        return "0" * 12
    import hashlib

    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()[:12]


_Opcode = tuple[str, int, int, int, int]


def _opcodes(old: list[bytes], new: list[bytes]) -> list[_Opcode]:
    """Return how to turn one list of lines into another, as difflib puts it.

    What both have at the start and at the end is set aside first: the rest is mostly
    short enough for difflib to look at every line.
    """
    import difflib

    most = min(len(old), len(new))
    head = next((i for i in range(most) if old[i] != new[i]), most)
    most -= head
    tail = next((i for i in range(most) if old[-1 - i] != new[-1 - i]), most)
    end, stop = len(old) - tail, len(new) - tail
    matcher = difflib.SequenceMatcher(None, old[head:end], new[head:stop])
    middle = [
        (t, a + head, b + head, c + head, d + head) for t, a, b, c, d in matcher.get_opcodes()
    ]
    codes = [("equal", 0, head, 0, head), *middle, ("equal", end, len(old), stop, len(new))]
    return [code for code in codes if code[2] > code[1] or code[4] > code[3]]


def differing(old: list[bytes], new: list[bytes]) -> Iterator[tuple[int, int, int, int]]:
    """Yield what differs between two files: start and end in the one and in the other."""
    for tag, start, end, first, last in _opcodes(old, new):
        if tag != "equal":
            yield start, end, first, last


def _hunks(old: list[bytes], new: list[bytes], path: str) -> Iterator[bytes]:
    for group in _groups(_opcodes(old, new)):
        first, last = group[0], group[-1]
        yield (
            f"@@ -{_span(first[1], last[2])} +{_span(first[3], last[4])} @@".encode("ascii")
            + _function(old, first[1], path)
            + b"\n"
        )
        for tag, start, end, start_new, end_new in group:
            if tag == "equal":
                yield from (_line(b" ", line) for line in old[start:end])
            else:
                yield from (_line(b"-", line) for line in old[start:end])
                yield from (_line(b"+", line) for line in new[start_new:end_new])


def _groups(codes: list[_Opcode]) -> Iterator[list[_Opcode]]:
    """Yield the changes that belong into one hunk, with their context."""
    group: list[_Opcode] = []
    for index, (tag, a, b, c, d) in enumerate(codes):
        if tag != "equal":
            group.append((tag, a, b, c, d))
            continue
        if group and (b - a > 2 * _CONTEXT or index == len(codes) - 1):
            yield [*group, (tag, a, min(b, a + _CONTEXT), c, min(d, c + _CONTEXT))]
            group = []
        if index < len(codes) - 1:
            cut = 0 if group else max(0, b - a - _CONTEXT)
            group.append((tag, a + cut, b, c + cut, d))
    if group:
        yield group


def _span(start: int, end: int) -> str:
    """Return a range of lines as diff writes it; an empty one stands behind a line."""
    length = end - start
    return f"{start + 1}" if length == 1 else f"{start + 1 if length else start},{length}"


def _line(tag: bytes, line: bytes) -> bytes:
    return tag + line if line.endswith(b"\n") else tag + line + b"\n\\ No newline at end of file\n"


def _function(lines: list[bytes], before: int, path: str) -> bytes:
    """Return the heading of a hunk: the last line above that may begin a function."""
    for line in reversed(lines[:before]):
        if re.match(rb"[A-Za-z_$]", line) and not (
            # The kernel tells git to use the rules for C, where a label is no heading.
            path.endswith((".c", ".h")) and re.match(rb"\w+:\s*(?:$|/[/*])", line)
        ):
            return b" " + line[:80].rstrip()
    return b""
