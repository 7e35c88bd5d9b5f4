# SPDX-License-Identifier: GPL-2.0-only
"""What lines without a blank hold that stand among words: a patch may be encoded there.

In: such lines, one below the other, and the line above them.  Out: why they cannot be passed
over, "" where they can.  No header tells of an encoding here, so each one that people use is
tried; what looks like none of them, and like no words, is not known.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence

from patchtool.outside.outline import PACKED, holds_diff

_ARMOUR = rb"-----BEGIN (?:(?:PGP|SSH) (?:SIGNATURE|PUBLIC KEY BLOCK)|CERTIFICATE|PUBLIC KEY)-----"
"""What people put around keys and signatures, in which no patch can be."""
_ID = rb"[0-9a-f]{40}(?:[0-9a-f]{24})?$"
_LEAST = 200
"""How long a text is, encoded, that holds a hunk and the names of its file."""
_WIDE = 40
_LETTERS = 45
"""How many characters a text uses that is encoded with 64 of them, or more."""


def why(lines: Sequence[bytes], above: Sequence[bytes]) -> str:
    """Return what is wrong with some lines, "" for nothing; ABOVE are the few before them."""
    joined = b"".join(lines)
    for name, content in _decoded(joined):
        if content.startswith(PACKED):
            return f"these lines are a compressed file in {name}; give the patch itself"
        if holds_diff(content.replace(b"\0", b"")):
            return f"these lines are a diff in {name}, and no header says so; give the patch itself"
    if not any(re.match(_ARMOUR, line) for line in above) and _is_opaque(lines, joined):
        return "these lines are encoded, and what is in them is not known; give the patch itself"
    return ""


def _decoded(joined: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what a text may be, by the name of each encoding that its letters fit."""
    plain = joined.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    ways: tuple[tuple[str, bytes, bytes, Callable[[bytes], bytes]], ...] = (
        ("hexadecimal", rb"(?:[0-9a-fA-F]{2})+$", joined, binascii.unhexlify),
        ("base32", rb"[A-Z2-7]+=*$", joined, base64.b32decode),
        ("base64", rb"[A-Za-z0-9+/]+$", plain, lambda text: base64.b64decode(text + b"===")),
    )
    for name, pattern, text, decode in ways:
        if re.match(pattern, text):
            try:
                yield name, decode(text)
            except (ValueError, binascii.Error):
                continue


def _is_opaque(lines: Sequence[bytes], joined: bytes) -> bool:
    """Tell whether lines are as long as each other, and of more letters than words have."""
    first, last = len(lines[0]), len(lines[-1])
    even = len(lines) > 2 and last <= first and all(len(one) == first for one in lines[:-1])
    if not even or first < _WIDE or len(joined) < _LEAST or len(set(joined)) < _LETTERS:
        return False
    return not any(b"://" in one or re.match(_ID, one) for one in lines)
