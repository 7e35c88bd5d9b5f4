# SPDX-License-Identifier: GPL-2.0-only
"""Patches as people hand them over: files, mails and mboxes, decoded and told apart.

In: bytes.  Out: one record per patch, with the part of its diff that can matter to a
verdict.  Nothing costly is imported: this room decides whether a lint has to start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from patchtool.errors import PatchError

if TYPE_CHECKING:
    from email.message import Message

FOLDERS = ("arch/x86/kvm", "arch/x86/include", "include")
"""Where everything lies that a verdict can rest on."""

_RELEVANT = re.compile(
    r"(?:^|/)(?:arch/x86/(?:kvm|include)/"
    r"|include/(?:uapi/|vdso/|asm-generic/)?(?:linux/|kvm/)?"
    r"(?:kvm[^/]*|bitops|bits|const|compiler[^/]*|kernel|stddef|types|[^/]*mshyperv)\.h$)"
)
_CLIMBS = re.compile(r"(?:^|/)\.\.(?:/|$)|^/(?!dev/null)")

_NEXT = re.compile(rb"^(?=From \S+ .*\d\d:\d\d:\d\d \d{4}\r?$)", re.MULTILINE)
_MAIL = re.compile(rb"\A(?:From \S+ .*\r?\n|[A-Za-z][A-Za-z0-9-]*:[ \t])")
_PLAIN = re.compile(
    rb"^Content-Transfer-Encoding:[ \t]*(?:quoted-printable|base64)"
    rb"|^Content-Type:[ \t]*multipart/|^Content-Type:[^\n]*(?:\n[ \t][^\n]*)*format=\"?flowed",
    re.IGNORECASE | re.MULTILINE,
)
_SUBJECT = re.compile(rb"^Subject:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE | re.MULTILINE)
_TAG = re.compile(r"^\s*(?:re:\s*)?\[([^\]]*)\]\s*", re.IGNORECASE)
_COVER = re.compile(r"(?:^|\s)0+/\d+(?:\s|$)")
_DIFF = re.compile(
    rb"^(?:diff --(?:git|cc|combined) |--- [^\n]*\n\+\+\+ |Binary files )", re.MULTILINE
)
_GIT = re.compile(rb"^(?=diff --git )", re.MULTILINE)
_NAMES = re.compile(
    rb"^(?:diff --(?:git|cc|combined)|---|\+\+\+|(?:rename|copy) (?:from|to)|Binary files)"
    rb" ([^\n]*)",
    re.MULTILINE,
)


class Letter(NamedTuple):
    """One patch: what to call it, its subject without tags, and the diff that matters.

    ``diff`` is empty where the patch touches nothing that a verdict can rest on.  No
    dataclass: importing those takes as long as the rest of a lint that has nothing to do.
    """

    name: str
    subject: str
    diff: bytes


def read(data: bytes, name: str) -> tuple[Letter, ...]:
    """Read a patch, a mail or an mbox; cover letters and replies are skipped."""
    mails = [mail for mail in _NEXT.split(data) if mail.strip()]
    letters: list[Letter] = []
    skipped = False
    for number, mail in enumerate(mails, 1):
        title = name if len(mails) == 1 else f"{name}, mail {number}"
        subject, body = _opened(mail)
        start = _DIFF.search(body)
        if start is None:
            skipped = skipped or bool(_COVER.search(_tags(subject)))
            continue
        letters.append(Letter(title, _bare(subject), _matters(body[start.start() :])))
    if not letters and not skipped:
        what = "is empty" if not data.strip() else "holds no patch"
        raise PatchError(f"{name} {what}; give a patch in unified form, or a mail with one")
    return tuple(letters)


def tags(data: bytes) -> str:
    """Return what the subject of a mail has in brackets, as "PATCH v2 3/5"."""
    return _tags(_opened(data)[0])


def relevant(path: str) -> bool:
    """Tell whether a verdict can rest on a file, from its path alone."""
    return _RELEVANT.search(path) is not None


def _opened(mail: bytes) -> tuple[str, bytes]:
    """Return subject and text of a mail; all of it is text where it is none."""
    if not _MAIL.match(mail):
        return "", _lines(mail)
    mail = _lines(mail)
    head, _, body = mail.partition(b"\n\n")
    if _PLAIN.search(head):
        return _decoded(mail)
    found = _SUBJECT.search(head)
    return "" if found is None else _words(found.group(1)), body


def _lines(data: bytes) -> bytes:
    """Return a text with plain line ends, where a transport changed them all."""
    if data.count(b"\r\n") == data.count(b"\n"):
        return data.replace(b"\r\n", b"\n")
    return data


def _decoded(mail: bytes) -> tuple[str, bytes]:
    """Open a mail that is encoded, flowed or in several parts."""
    import email

    message = email.message_from_bytes(re.sub(rb"\AFrom [^\n]*\n", b"", mail))
    parts = [_payload(part) for part in message.walk() if part.get_content_maintype() == "text"]
    return _words(str(message.get("Subject", "")).encode("utf-8", "replace")), b"\n".join(parts)


def _payload(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    text = _lines(data) if isinstance(data, bytes) else b""
    if str(part.get_param("format", "")).lower() != "flowed":
        return text
    delete = str(part.get_param("delsp", "")).lower() == "yes"
    return b"".join(_unflowed(text, delete))


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


def _words(raw: bytes) -> str:
    """Return a header on one line; encoded words are decoded."""
    text = " ".join(raw.decode("utf-8", "replace").split())
    if "=?" in text:
        from email.errors import HeaderParseError
        from email.header import decode_header, make_header

        try:
            return str(make_header(decode_header(text)))
        except (HeaderParseError, LookupError, ValueError):
            return text
    return text


def _tags(subject: str) -> str:
    found = _TAG.match(subject)
    return found.group(1) if found else ""


def _bare(subject: str) -> str:
    """Return a subject without "Re:" and "[PATCH ...]"."""
    while found := _TAG.match(subject):
        subject = subject[found.end() :]
    return subject


def _matters(body: bytes) -> bytes:
    """Return the files of a diff that can matter; of a plain diff all or nothing."""
    parts = _GIT.split(body) if b"diff --git " in body else [body]
    kept = [part for part in parts if any(map(_counts, _named(part)))]
    return b"".join(kept)


def _named(part: bytes) -> Iterator[str]:
    """Yield the names in the headers of a diff; names may hold spaces."""
    # A git header ends at its first hunk; a line of a hunk may look like a name.
    head = part.partition(b"\n@@ ")[0] if part.startswith(b"diff --git ") else part
    for match in _NAMES.finditer(head):
        text = match.group(1).decode("utf-8", "replace").strip()
        yield from re.split(r"[\t ]+", text.replace('"', ""))


def _counts(name: str) -> bool:
    # A path that leaves the tree is let through, to be refused by whoever applies it.
    return relevant(name) or _CLIMBS.search(name) is not None
