# SPDX-License-Identifier: GPL-2.0-only
"""Patches as people hand them over: files, mails and mboxes, told apart and opened.

In: bytes.  Out: one record per patch with the sections of its diff, and one for each mail
or part of a mail that is passed over, with the reason.  What is neither is an error.

Plain mails are cut apart here, as `git mailsplit` does it; whatever is encoded or has
parts is opened by the email package, any defect of which is an error.  `git mailinfo`
would cost a process and a file for each mail, and puts all parts into one text: the copy
in HTML becomes a second patch, and the lines of the file are lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from patchtool.errors import PatchError
from patchtool.outside.outline import PACKED, Section, Text, holds_diff, outline, shortened
from patchtool.target.where import FOLDER, RELEVANT

if TYPE_CHECKING:
    from email.message import Message

_RELEVANT = re.compile(RELEVANT)
_NEXT = re.compile(
    rb"^(?=From [^\n]*\d.\d\d:\d\d[ \t]+\+?0*(?:9[1-9]|[1-9]\d\d+)[^\n:]*$)", re.MULTILINE
)
"""Where a mail of an mbox begins, as git tells it: by the time and the year."""
_FIELD = re.compile(rb"([A-Za-z][A-Za-z0-9-]*):(.*)", re.DOTALL)
_OF_MAIL = frozenset(
    (b"from", b"subject", b"date", b"message-id", b"mime-version", b"content-type", b"to")
)
_TAG = re.compile(r"\s*\[([^\]]*)\]\s*")
_REPLIES = frozenset(("re", "aw", "antw", "sv", "vs", "odp"))
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_ENCODINGS = frozenset(("7bit", "8bit", "binary", "base64", "quoted-printable"))
_WHOLE = frozenset(("message/rfc822", "message/global", "message/delivery-status"))
_SAMPLE = bytes(range(32, 127)) + b"\t\r\n"

# Most mails need none of these, so they are compiled when they are met.
_COPY = (
    r"(?:^|/)(?:tools/(?:arch|include|lib|objtool|perf|testing|virt)"
    r"|[Dd]ocumentation/(?:virt|translations))/"
)
# What says that a mail is what it looks like; every other one is opened.
_ENCODING = rb"(?i)(?:[78]bit|binary)?$"
_TYPE = (
    rb"(?i)(?:text/(?:plain|x-[a-z-]+)(?: ?; ?(?:format=\"?fixed\"?|charset=\"?"
    rb"(?:us-ascii|utf-8|iso-8859-\d+|windows-125\d|koi8-[ru])\"?))* ?;?)?$"
)
_BOUNDARY = rb"(?i)boundary=\"?([^\";\s]+)"
_NUMBER = r"(?<!\S)(\d{1,4})/(\d{1,4})(?!\S)"
_BASE64 = rb"[A-Za-z0-9+/]*={0,2}\Z"
_MORE_BASE64 = rb"(?=.{0,80}[0-9A-Z+/])[^\s.:@]{24}"
"""A line that is no word: below base64 it is more of that, damaged."""
_QUOTE = rb"(?m)^(?:[ \t]*[>|]|[ \t]+)[ >|\t]*(?:diff --git |@@ -\d)"
_STAT = r"\A (\S.*?) +\| +(\d+)(?: [+-]*)?\s*\Z"
_BASE = rb"(?m)^base-commit: ([0-9a-f]{40}(?:[0-9a-f]{24})?)\s*$"
_HARMLESS = r"(?:image|audio|video|font)/|application/(?:pgp-signature|(?:x-)?pkcs7-signature|pdf)$"
_NAMES = (
    r"(?i)\.(?:png|jpe?g|gif|bmp|webp|svg|ico|tiff?|pdf|asc|sig|p7[sc]|wav|og[gv]|mp[34]|woff2?)$"
)
"""The ends of names that go with those types."""
_ATTACHED = rb"(?:begin(?:-base64)? [0-7]{3,4} |=ybegin .*\bname=)(.*)$"
"""How an attachment begins that stands among the words, as uuencode and yEnc have it."""
_CONTROL = rb"[\0-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]"


class Letter(NamedTuple):
    """One patch: where it stands, what its subject has in brackets, and its sections.

    No dataclass: importing those takes as long as the rest of a lint that has nothing to
    do.
    """

    text: Text
    tags: str
    sections: tuple[Section, ...]

    @property
    def subject(self) -> str:
        """The subject without "Re:" and "[PATCH ...]"."""
        return self.text.subject

    @property
    def number(self) -> int:
        """The number in a series, 0 without one."""
        return _numbers(self.tags)[0]

    @property
    def total(self) -> int:
        """How many patches the series has, 0 for no series."""
        return _numbers(self.tags)[1]

    @property
    def series(self) -> str:
        """What all subjects of a series share."""
        return " ".join(re.sub(_NUMBER, f"/{self.total}", self.tags).split())

    @property
    def base(self) -> str:
        """The commit that it says it was made for, "" where it says none."""
        found = re.search(_BASE, b"\n".join(self.text.lines))
        return found.group(1).decode("ascii") if found else ""


class Passed(NamedTuple):
    """Something that is passed over: its place, what it is, and why.

    ``worth`` tells that the person should hear of it unasked.
    """

    place: str
    what: str
    reason: str
    worth: bool = False


class Post(NamedTuple):
    """All that was handed over: patches, and what else was there."""

    letters: tuple[Letter, ...]
    passed: tuple[Passed, ...]


class _Mail(NamedTuple):
    """A mail: its header in lower case, its subject, and its texts, those with a diff apart."""

    fields: dict[bytes, bytes]
    subject: str
    tags: str
    reply: bool
    texts: tuple[Text, ...]
    words: tuple[Text, ...]
    title: Text

    @property
    def promises(self) -> bool:
        """Whether the subject says that here is a patch, and no cover letter."""
        found = re.search(r"\bPATCH", self.tags.upper()) or _numbers(self.tags) > (0, 0)
        return not self.reply and not self.cover and bool(found)

    def repeated(self, other: _Mail) -> bool:
        """Tell whether another mail says that it is the same patch."""
        # The second one may leave the subject to the mail that it is sent in.
        same = self.subject == other.subject and _numbers(self.tags) == _numbers(other.tags)
        return same or b"subject" not in other.fields

    @property
    def cover(self) -> bool:
        number, total = _numbers(self.tags)
        return total > 0 and number == 0


def read(data: bytes, name: str) -> Post:
    """Read a patch, a mail or an mbox; every mail of it is a letter or passed over."""
    if data.startswith(_UTF16):
        width = 32 if data[2:4] == b"\0\0" else 16
        raise PatchError(
            f"{name} is in UTF-{width}, as a shell on Windows writes what a program prints; "
            f"let git write the file: `git format-patch -o FOLDER`"
        )
    if not data.strip():
        raise PatchError(f"{name} is empty; give a patch in unified form, or a mail with one")
    passed: list[Passed] = []
    mails = list(_mails(data.removeprefix(b"\xef\xbb\xbf"), name, passed))
    letters, covers = [], False
    originals = any(one.texts and not one.reply for one in mails)
    for one, following in zip_longest(mails, mails[1:]):
        covers = covers or one.cover
        if one.reply and originals:
            why = "is a reply and no patch of the series"
            worth = bool(one.texts) or _is_odd(one)
            passed.append(Passed(one.title.place(0), "this mail", why, worth))
            continue
        for text in one.words:
            outline(text, mail=True)
        sections = [part for text in one.texts for part in _sections(text, one)]
        if sections:
            letters.append(Letter(one.texts[0], one.tags, tuple(sections)))
            _check_diffstat(sections)
        elif following is not None and following.texts and one.repeated(following):
            # Some send a file of git's as the words of a mail.
            passed.append(Passed(one.title.place(0), "this mail", "is the header of the next"))
        elif one.promises:
            where = one.title.place(0).removesuffix(": ")
            raise PatchError(f"{where} holds no patch, although it says so; {_why_none(data)}")
        elif not one.cover and any(map(_quotes, (*one.texts, *one.words))):
            why = "holds no patch, but a diff that is quoted or indented"
            passed.append(Passed(one.title.place(0), "this mail", why, worth=True))
        else:
            why = "is a cover letter" if one.cover else "holds no patch"
            passed.append(Passed(one.title.place(0), "this mail", why))
    if not letters and not covers:
        raise PatchError(f"{name} holds no patch; {_why_none(data)}")
    return Post(tuple(letters), tuple(passed))


def _is_odd(one: _Mail) -> bool:
    """Tell whether the words of a mail hold what may be a patch, and cannot be read."""
    try:
        for text in one.words:
            outline(text, mail=True)
    except PatchError:
        return True
    return False


def _quotes(text: Text) -> bool:
    return re.search(_QUOTE, b"\n".join(text.lines)) is not None


def mark(data: bytes) -> tuple[str, int, int] | None:
    """Return series, total and number that the subject of a mail names, None without."""
    fields, _, _ = _head(_lines(data))
    _, tags, _ = _subject(fields)
    letter = Letter(Text("", 0, "", 1, True, ()), tags, ())
    return (letter.series, letter.total, letter.number) if letter.total else None


def relevant(path: str) -> bool:
    """Tell whether every verdict rests on a file, from its path alone.

    tools/ has copies of some headers, and there is a page on virt/kvm; no kernel is built
    from those.
    """
    found = _RELEVANT.search(path)
    if found is None:
        return False
    copy = re.search(_COPY, path)
    return copy is None or copy.start() >= found.start()


def _refuse_uuencoded(text: Text) -> None:
    """Refuse words with an attachment of the old kind among them."""
    for at, line in enumerate(text.lines):
        found = re.match(_ATTACHED, line)
        if found is not None:
            what = shortened(found.group(1).decode("utf-8", "replace"))
            raise PatchError(
                f"{text.place(at)}what is in the attachment {what!r}, which is encoded among the "
                f"words, is not known; give the patch itself"
            )


def _why_none(data: bytes) -> str:
    """Return what to do about a text without a patch."""
    if re.search(_QUOTE, data):
        return "its diff is quoted or indented, and has to begin at the start of the line"
    if b"-----BEGIN PGP MESSAGE-----" in data:
        return "it is encrypted"
    if b"\0" in data:
        return "it is no text, but compressed, or in another encoding; give the patch itself"
    return "give a patch in unified form, or a mail with one"


# -- mails ---------------------------------------------------------------------------------


def _mails(data: bytes, name: str, passed: list[Passed]) -> Iterator[_Mail]:
    """Yield the mails of an mbox, or the only one of a file."""
    pieces = _whole(_NEXT.split(data))
    if not pieces[0].strip():
        pieces[:1] = []
        line = data.count(b"\n", 0, len(data) - sum(map(len, pieces))) + 1
    else:
        line = 1
    for number, piece in enumerate(pieces, 1):
        yield _mail(piece, name, number if len(pieces) > 1 else 0, line, passed)
        line += piece.count(b"\n")


def _whole(pieces: list[bytes]) -> list[bytes]:
    """Put together again what an attached patch, which begins like a mail, cut apart."""
    if len(pieces) < 3:
        return pieces
    whole: list[bytes] = []
    wanted = b""
    for number, piece in enumerate(pieces):
        if wanted:
            whole[-1] += piece
        else:
            whole.append(piece)
            fields, _, _ = _head(piece.split(b"\n", 200)[:200])
            found = re.search(_BOUNDARY, fields.get(b"content-type", b""))
            wanted = b"\n--" + found.group(1) + b"--" if found is not None else b""
            if not any(wanted in later for later in pieces[number + 1 :]):
                wanted = b""
        if wanted in piece:
            wanted = b""
    return whole


def _mail(data: bytes, name: str, number: int, line: int, passed: list[Passed]) -> _Mail:
    lines = _lines(data)
    fields, body, started = _head(lines)
    if not fields.keys() & _OF_MAIL:
        fields, body = {}, 0
    subject, tags, reply = _subject(fields)
    title = Text(name, number, subject, line, True, ())
    encoding, kind = (
        # A long run of blanks would be looked through again and again.
        b" ".join(fields.get(b"content-" + key, b"").split())
        for key in (b"transfer-encoding", b"type")
    )
    if not (re.match(_ENCODING, encoding) and re.match(_TYPE, kind)):
        texts = list(_opened(lines[started:], title._replace(first=line + started), passed))
    else:
        texts = [title._replace(first=line + body, lines=tuple(lines[body:]))]
        if b"\nbegin" in data or b"\n=ybegin" in data:
            _refuse_uuencoded(texts[0])
    kept = [holds_diff(b"\n".join(text.lines)) for text in texts]
    diffs, words = (
        tuple(text for text, holds in zip(texts, kept, strict=True) if holds is wanted)
        for wanted in (True, False)
    )
    return _Mail(fields, subject, tags, reply, diffs, words, title)


def _head(lines: Sequence[bytes]) -> tuple[dict[bytes, bytes], int, int]:
    """Return the fields of a header, the line behind it, and the one where it begins.

    A header ends where a line is none of its lines, too: those that Debian puts above a
    patch have no blank line below.
    """
    fields: dict[bytes, bytes] = {}
    start = int(bool(lines) and lines[0].startswith((b"From ", b">From ")))
    last = b""
    for at in range(start, len(lines)):
        line = lines[at]
        if not line.strip():
            return fields, at + 1, start
        found = _FIELD.match(line)
        if found is not None and not line.startswith(b"Index: "):
            last = found.group(1).lower()
            fields.setdefault(last, found.group(2))
        elif line.startswith((b" ", b"\t")) and last:
            fields[last] += b"\n" + line
        else:
            return fields, at, start
    return fields, len(lines), start


def _lines(data: bytes) -> list[bytes]:
    """Return the lines of a text, with plain ends where a transport changed them all."""
    if data.count(b"\r\n") == data.count(b"\n"):
        data = data.replace(b"\r\n", b"\n")
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _subject(fields: dict[bytes, bytes]) -> tuple[str, str, bool]:
    """Return a subject without its tags, the tags, and whether it is that of a reply."""
    raw = fields.get(b"subject", fields.get(b"description", b""))
    text = _words(raw)
    reply = False
    tags: list[str] = []
    while True:
        found = _TAG.match(text) if text.startswith("[") else None
        head, colon, rest = text.partition(":")
        if found is not None:
            tags.append(found.group(1))
            text = text[found.end() :]
        elif colon and head.partition("[")[0].lower() in _REPLIES:
            reply, text = True, rest.lstrip()
        else:
            return text, " ".join(tags), reply


def _numbers(tags: str) -> tuple[int, int]:
    """Return the number of a patch and that of its series, (0, 0) for no series."""
    found = re.search(_NUMBER, tags) if "/" in tags else None
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def _words(raw: bytes) -> str:
    """Return a header on one line; encoded words are decoded."""
    text = " ".join(raw.decode("utf-8", "replace").split())
    if "=?" in text:
        from email.errors import MessageError
        from email.header import decode_header, make_header

        try:
            return " ".join(str(make_header(decode_header(text))).split())
        except (MessageError, LookupError, ValueError):
            return text
    return text


# -- encoded mails -------------------------------------------------------------------------


def _opened(lines: Sequence[bytes], title: Text, passed: list[Passed]) -> Iterator[Text]:
    """Yield the texts of a mail that is encoded, flowed or in several parts, diffs first."""
    data = b"\n".join(lines) + b"\n"
    html: list[Text] = []
    found: list[Text] = []
    others: list[Text] = []
    seen: set[tuple[bytes, ...]] = set()
    for part in _parts(data, title):
        kind = _on_one_line(part.get_content_type())
        if kind.startswith("message/") and kind not in _WHOLE:
            raise PatchError(f"{title.place(0)}what is in the part of type {kind} is not there")
        if part.is_multipart():
            _check_defects(part, title)
            outside = f"{part.preamble or ''}\n{part.epilogue or ''}"
            beside = outside.encode("utf-8", "surrogateescape")
            others.append(title._replace(exact=False, lines=tuple(_lines(beside))))
            if holds_diff(beside):
                raise PatchError(
                    f"{title.place(0)}a diff stands outside of the parts of this mail, where "
                    f"nobody looks; get it anew, raw"
                )
            continue
        text = _part(part, data, title, passed)
        _check_defects(part, title)
        if text is None:
            continue
        words = b"\n".join(text.lines)
        if b"begin" in words:
            _refuse_uuencoded(text)
        if part.get_content_subtype() == "html" and not _is_named_otherwise(part):
            html += [text] * (b"diff --git " in words or b"@@ -" in words)
        elif not holds_diff(words):
            if b"-----BEGIN PGP MESSAGE-----" in text.lines:
                raise PatchError(f"{text.place(0)}this part is encrypted; give the plain text")
            if part.get_filename():
                passed.append(Passed(text.place(0), "an attachment", "holds no diff"))
            others.append(text)
        elif text.lines in seen:
            why = "is the same as another part"
            passed.append(Passed(text.place(0), "a part of this mail", why))
        else:
            seen.add(text.lines)
            found.append(text)
    for page in html:
        _check_copy(page, found)
        passed.append(Passed(page.place(0), "a part of this mail", "is a copy in HTML"))
    yield from (*found, *others)


def _check_copy(page: Text, found: Sequence[Text]) -> None:
    """Refuse a part in HTML that is no copy of the plain texts that were found."""
    if not found:
        raise PatchError(f"{page.place(0)}the patch is there in HTML only; get it as plain text")
    plain = b"\n".join(line for text in found for line in text.lines)
    lost = _of_diffs(_unmarked(page.lines)) - _of_diffs(plain)
    if lost:
        raise PatchError(
            f"{page.place(0)}this part in HTML holds {shortened(min(lost))!r}, which the plain "
            f"text does not; give that patch as plain text"
        )


def _parts(data: bytes, title: Text) -> list[Message]:
    """Return a mail and its parts, each in front of what it holds; no header of them is odd."""
    import email

    try:
        parts = list(email.message_from_bytes(data).walk())
        for part in parts:
            part.get_params()
            part.get_filename()
    except (TypeError, ValueError, RecursionError) as error:
        # Where the email package has not thought of a header it fails somewhere inside.
        words = f"{title.place(0)}the mail is damaged (its header); get it anew, raw"
        raise PatchError(words) from error
    return parts


def _is_named_otherwise(part: Message) -> bool:
    """Tell whether a part has the name of something else than a page."""
    name = part.get_filename() or ""
    return bool(name) and not name.lower().endswith((".html", ".htm"))


def _unmarked(lines: Sequence[bytes]) -> bytes:
    """Return the text of a page."""
    import html

    text = re.sub(r"<[^>]*>", "", b"\n".join(lines).decode("latin-1"))
    return html.unescape(text).encode("utf-8", "replace")


def _of_diffs(words: bytes) -> set[str]:
    """Return the headers of hunks in a text, and the paths of its files."""
    found = re.findall(rb"@@ -[\d,]+ \+[\d,]+ @@|\+\+\+ \S+", words.replace(b"\xc2\xa0", b" "))
    return {one.decode("utf-8", "backslashreplace") for one in found}


def _part(part: Message, data: bytes, title: Text, passed: list[Passed]) -> Text | None:
    """Return the text of a part, whatever its type; None for what is known to be no patch."""
    body = _body(part)
    at = data.find(body) if body.strip() else -1
    first = title.first + (data.count(b"\n", 0, at) if at > 0 else 0)
    text = title._replace(first=first)
    encoding = str(part.get("Content-Transfer-Encoding", "7bit")).partition(";")[0]
    encoding = encoding.strip('" \t\r\n').lower()
    if encoding not in _ENCODINGS:
        raise PatchError(
            f"{text.place(0)}a part of this mail is encoded as {shortened(encoding)!r}, which is "
            f"unknown; get it anew, raw"
        )
    if encoding == "quoted-printable":
        part.replace_header("Content-Transfer-Encoding", encoding)
    content = _from_base64(body, text) if encoding == "base64" else part.get_payload(decode=True)
    if not isinstance(content, bytes):
        raise PatchError(f"{text.place(0)}a part of this mail cannot be decoded")
    kind = _on_one_line(part.get_content_type())
    charset = _on_one_line(str(part.get_param("charset", "")).lower())
    if charset and kind.startswith("text/"):
        content = _in_ascii(content, charset, text)
    name = part.get_filename() or ""
    packed = content.startswith(PACKED) or (name and re.search(_NAMES, name) is None)
    if re.match(_HARMLESS, kind) and not packed:
        if not holds_diff(content):
            passed.append(Passed(text.place(0), "a part of this mail", f"is of type {kind}"))
            return None
    elif _is_binary(content, kind) or content.startswith(PACKED):
        what = part.get_filename() or kind
        raise PatchError(
            f"{text.place(0)}the attachment {what!r} is no text, and what is in it is not "
            f"known; give the patch itself"
        )
    plain = content == body and encoding != "base64"
    if str(part.get_param("format", "")).lower() == "flowed":
        delete = str(part.get_param("delsp", "")).lower() == "yes"
        content = b"".join(_unflowed(b"\n".join(_lines(content)), delete))
        plain = False
    return text._replace(exact=plain and at >= 0, lines=tuple(_lines(content)))


def _body(part: Message) -> bytes:
    """Return what a part holds as it stands in the mail, whatever its header says of letters."""
    from copy import copy

    bare = copy(part)
    del bare["Content-Type"]
    bare["Content-Type"] = "text/plain; charset=latin-1"
    raw = bare.get_payload(decode=False)
    return raw.encode("latin-1") if isinstance(raw, str) else b""


def _from_base64(body: bytes, text: Text) -> bytes:
    """Return what a body stands for; a list may have put plain words below it, as a footer."""
    import base64

    lines = [line.strip() for line in body.split(b"\n")]
    end = next((at for at, line in enumerate(lines) if not re.match(_BASE64, line)), len(lines))
    below = lines[end:]
    damaged = f"{text.place(0)}the mail is damaged (its base64 is not whole); get it anew, raw"
    if any(re.match(_MORE_BASE64, line) for line in below):
        raise PatchError(damaged)
    try:
        # What was put together from several pieces has an end for each.
        pieces = re.findall(rb"[^=]+=*", b"".join(lines[:end]))
        content = b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
    except ValueError as error:
        raise PatchError(damaged) from error
    return content + b"".join(b"\n" + line for line in below)


def _on_one_line(value: str) -> str:
    """Return what a header says; one may be folded, or go on with what is no header."""
    return " ".join(value.split())


def _in_ascii(content: bytes, charset: str, text: Text) -> bytes:
    """Return a text whose letters of ASCII are themselves; git leaves those of others alone."""
    try:
        if _SAMPLE.decode(charset).encode() == _SAMPLE:
            return content
        return content.decode(charset).encode()
    except UnicodeError as error:
        raise PatchError(f"{text.place(0)}a part of this mail is no {charset}") from error
    except (LookupError, ValueError):
        # Nobody knows "charset=y", which some mails have; git does not ask.
        return content


def _is_binary(content: bytes, kind: str) -> bool:
    """Tell whether what is in a part can be no patch that somebody reads."""
    if kind.startswith("text/"):
        return b"\0" in content
    try:
        content.decode()
    except UnicodeDecodeError:
        return not holds_diff(content)
    return re.search(_CONTROL, content) is not None


def _check_defects(part: Message, title: Text) -> None:
    """Refuse a part of which the email package could only guess what it says."""
    for defect in part.defects:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", type(defect).__name__).lower()
        words = words.removesuffix(" defect")
        raise PatchError(f"{title.place(0)}the mail is damaged ({words}); get it anew, raw")


def _unflowed(text: bytes, delete: bool) -> Iterator[bytes]:
    """Yield the lines of a flowed text as git does: unstuffed, and joined where they flow."""
    held = b""
    for line in text.split(b"\n"):
        if line == b"-- ":
            yield from (held, b"\n") if held else ()
            held = b""
            yield b"-- \n"
            continue
        plain = line[1:] if line.startswith(b" ") else line
        # The blank line of a context is no soft break, though it ends in a space.
        if plain.endswith(b" ") and plain != b" ":
            held += plain[:-1] if delete else plain
            continue
        yield held + plain + b"\n"
        held = b""
    if held:
        yield held + b"\n"


# -- what a mail says about its own diff -----------------------------------------------------


def _sections(text: Text, one: _Mail) -> list[Section]:
    return outline(text, bool(one.fields))


def _check_diffstat(sections: Sequence[Section]) -> None:
    """Refuse a mail whose diffstat counts more of a file that matters than its diff has."""
    start = sections[0]
    text = start.text
    counted: dict[str, int] = {}
    for section in sections:
        for name in {section.old, section.new} - {None}:
            counted[str(name)] = counted.get(str(name), 0) + section.lines
    for at, line in enumerate(text.lines[: start.start]):
        if b"|" not in line:
            continue
        found = re.match(_STAT, line.decode("latin-1"))
        # A rename is "a/{b => c}/d", of which a long one loses all but its end.
        if found is None or re.search(r"=>|^\.{3}[^{]*\}", found.group(1)):
            continue
        path, most = found.group(1).strip(), int(found.group(2)[:9])
        # A long path loses its beginning: ".../kvm/mmu/mmu.c".
        end = path.removeprefix("...")
        if not relevant(path) and not (path != end and relevant(FOLDER + end)):
            continue
        same = f"/{end.lstrip('/')}"
        have = [
            number
            for name, number in counted.items()
            if f"/{name}".endswith(same) or f"/{path}".endswith(f"/{name}")
        ]
        if not have:
            raise PatchError(
                f"{text.place(at)}the diffstat names {path}, but the diff does not have that "
                f"file; a part of the mail is missing (take the diffstat out if the diff was "
                f"edited)"
            )
        if sum(have) < most:
            raise PatchError(
                f"{text.place(at)}the diffstat counts {most} changed lines of {path}, but the diff "
                f"has {sum(have)}; a part of the mail is missing (take the diffstat out if the "
                f"diff was edited)"
            )


__all__ = ["Letter", "Passed", "Post", "mark", "read", "relevant", "shortened"]
