# SPDX-License-Identifier: GPL-2.0-only
"""Patches: read them, apply them exactly in memory, write them as git does.

In: the bytes of a patch or of a mail with one, the bytes of files.  Out: records of
hunks, the files afterwards (None: deleted), the text of a diff.  Bytes that are no
UTF-8 and line ends of any kind survive; a hunk fits exactly or not at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from patchtool.errors import PatchError
from patchtool.outside.outline import DIFFERENT, NULL

if TYPE_CHECKING:
    from unidiff.patch import Hunk as UnidiffHunk

    from patchtool.outside.outline import Section

_CONTEXT = 3


class Hunk(NamedTuple):
    """One hunk: where it says it belongs, and its lines with their line ends.

    ``lines`` pairs " ", "-" or "+" with the bytes of the line; ``at`` says for messages
    where the hunk stands.
    """

    old_start: int
    new_start: int
    lines: tuple[tuple[str, bytes], ...]
    at: str = ""

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
    """Read all files of a patch, or of the mails of a series; ``name`` is for messages."""
    from patchtool.outside.mail import read

    return files(section for letter in read(data, name).letters for section in letter.sections)


def files(sections: Iterable[Section]) -> tuple[FilePatch, ...]:
    """Read what some sections of a patch do."""
    return tuple(map(_file_patch, sections))


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
            image.apply(hunk, f"{hunk.at or file.origin}: hunk {number} of {file.path}")
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
    ids: str = "sha1",
) -> str:
    """Return the difference of two files as git writes it, "" when there is none.

    None stands for a file that is not there; IDS names the hash of the repository.  Bytes
    that are no UTF-8 become surrogate escapes, so encode with "surrogateescape".
    """
    source = renamed_from or path
    if (old == new and source == path) or (old is None and new is None):
        return ""
    header = [f"diff --git {_quote('a/' + source)} {_quote('b/' + path)}"]
    header += _extended(source, path, old, new, mode, ids)
    body = list(_hunks(_split(old or b""), _split(new or b""), path))
    if body:
        header.append(f"--- {NULL if old is None else _marked('a/' + source)}")
        header.append(f"+++ {NULL if new is None else _marked('b/' + path)}")
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
        """Return where a hunk fits: at its stated line or, as in git, at the nearest place.

        Of two places as near as each other the later one counts.
        """
        stated = min(max(hunk.new_start - 1, 0), len(self._lines))
        if self._fits(stated, hunk, old):
            return stated
        places = (at for at in self._candidates(old) if self._fits(at, hunk, old))
        nearest = min(places, key=lambda at: (abs(at - stated), at < stated), default=None)
        if nearest is None:
            raise PatchError(f"{what} does not apply: {self._why(hunk, old)}")
        return nearest

    def _why(self, hunk: Hunk, old: list[bytes]) -> str:
        """Say why a hunk fits nowhere, and what to do."""
        if all(tag != " " for tag, _ in hunk.lines):
            return (
                "it was made without context (-U0), so nothing tells where it belongs; "
                "make the patch anew with `git diff -U3` or `git format-patch`"
            )
        have = frozenset(self._lines)
        lines = [line for line in old if line.strip()]
        # A line that is nowhere tells most; if all are there, they are not together.
        nowhere = next((line for line in lines if line not in have), None)
        looked = nowhere if nowhere is not None else next(iter(lines), b"")
        text = looked.decode("utf-8", "backslashreplace").strip()
        where = f"near line {hunk.old_start} it looks for {text!r}"
        if nowhere is None:
            return f"{where} and what follows it there; was the patch made for another version?"
        if self._fits_loosely(old):
            return (
                f"{where}, which the file has with other white space; a mailer changed tabs or "
                f"line ends, get the patch anew"
            )
        return f"{where}, which the file does not have; was the patch made for another version?"

    def _fits_loosely(self, old: list[bytes]) -> bool:
        """Tell whether all that a hunk expects is there but for its white space."""
        bare = [b" ".join(line.split()) for line in self._lines]
        wanted = [b" ".join(line.split()) for line in old]
        first = wanted[0]
        return any(
            bare[at : at + len(wanted)] == wanted for at, line in enumerate(bare) if line == first
        )

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


def _file_patch(section: Section) -> FilePatch:
    origin = section.text.place(section.start).removesuffix(": ")
    for path in (section.old, section.new):
        _check_path(path, origin)
    if section.git and section.other is not None:
        raise PatchError(f"{origin}: the lines of this header {DIFFERENT}")
    if section.binary:
        raise PatchError(f"{origin}: the patch of {section.path} is binary; leave that file out")
    return FilePatch(
        section.old, section.new, tuple(_hunks_of(section)), origin, copied=section.copied
    )


def _hunks_of(section: Section) -> Iterator[Hunk]:
    """Yield the hunks of a section; unidiff and the outline have to agree on them."""
    if not section.hunks:
        return
    from unidiff.errors import UnidiffParseError
    from unidiff.patch import PatchSet

    text = section.text
    try:
        (found,) = PatchSet(_plain(section))
    except (UnidiffParseError, ValueError) as error:
        reason = str(error).splitlines()[0].split(":")[0].lower()
        raise PatchError(f"{text.place(section.start)}does not parse: {reason}") from error
    if len(found) != len(section.hunks):
        raise PatchError(f"{text.place(section.start)}does not parse: it has hunks within hunks")
    for hunk, (start, _) in zip(found, section.hunks, strict=True):
        yield _hunk(hunk, text.place(start).removesuffix(": "))


def _plain(section: Section) -> Iterator[str]:
    """Yield a section as unidiff expects it: one form of header, one form of blank line."""
    yield from ("--- a/f\n", "+++ b/f\n")
    # A transport changed the ends of all lines: the headers never have a "\r".
    dos = section.text.lines[section.hunks[0][0]].endswith(b"\r")
    for start, end in section.hunks:
        for line in section.text.lines[start:end]:
            text = (line.removesuffix(b"\r") if dos else line).decode("latin-1")
            # git writes the mark of a missing line end in the language of the person.
            yield "\\ No newline at end of file\n" if text.startswith("\\ ") else f"{text or ' '}\n"


def _hunk(hunk: UnidiffHunk, at: str) -> Hunk:
    result: list[tuple[str, bytes]] = []
    for line in hunk:
        if line.line_type == "\\":
            if result:
                tag, text = result[-1]
                result[-1] = tag, text.removesuffix(b"\n")
        elif line.line_type:
            result.append((line.line_type, line.value.encode("latin-1")))
    return Hunk(hunk.source_start, hunk.target_start, tuple(result), at)


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
        raise PatchError(
            f"{name}: the path {path!r} has a part that git takes for none, or leads out of the "
            f"tree; it is not applied"
        )


def _split(data: bytes) -> list[bytes]:
    """Split bytes into lines at line feeds only, and keep them."""
    lines = data.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def _extended(
    source: str, path: str, old: bytes | None, new: bytes | None, mode: str, ids: str
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
        yield f"index {_blob_id(old, ids)}..{_blob_id(new, ids)}{' ' + mode if changed else ''}"


def _similarity(old: list[bytes], new: list[bytes]) -> int:
    if old == new:
        return 100
    kept = sum(end - start for tag, start, end, _, _ in _opcodes(old, new) if tag == "equal")
    return 100 * kept // max(len(old), len(new), 1)


def _blob_id(data: bytes | None, ids: str) -> str:
    """Return what git calls a blob, in the twelve digits that the kernel uses."""
    if data is None:
        return "0" * 12
    import hashlib

    state = hashlib.new(ids, b"blob %d\0" % len(data), usedforsecurity=False)
    state.update(data)
    return state.hexdigest()[:12]


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
