# SPDX-License-Identifier: GPL-2.0-only
"""Damage to mails, as mailers, archives, editors and bad luck do it."""

import re


def _lines(data):
    return data.split(b"\n")


def _line_lost(rng, data):
    lines = _lines(data)
    del lines[rng.randrange(len(lines))]
    return b"\n".join(lines)


def _lines_lost(rng, data):
    lines = _lines(data)
    at = rng.randrange(len(lines))
    del lines[at : at + rng.randint(2, 12)]
    return b"\n".join(lines)


def _line_twice(rng, data):
    lines = _lines(data)
    at = rng.randrange(len(lines))
    return b"\n".join([*lines[: at + 1], *lines[at:]])


def _lines_swapped(rng, data):
    lines = _lines(data)
    one, two = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one]
    return b"\n".join(lines)


def _byte_changed(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _byte_lost(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + data[at + 1 :]


def _byte_more(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.choice(b" \n\t-+@/\\>=x\r\0")]) + data[at:]


def _cut_short(rng, data):
    return data[: rng.randrange(len(data))]


def _start_lost(rng, data):
    return data[rng.randrange(len(data)) :]


def _indented(rng, data):
    lines = _lines(data)
    one = rng.randrange(len(lines))
    two = one + rng.choice([1, 1, 3, len(lines)])
    by = rng.choice([b" ", b"  ", b"\t", b"> ", b">", b"| "])
    return b"\n".join([*lines[:one], *(by + line for line in lines[one:two]), *lines[two:]])


def _wrapped(rng, data):
    lines = _lines(data)
    width = rng.choice([40, 60, 72, 78])
    wrapped = []
    for line in lines:
        at = line.rfind(b" ", 1, width) if len(line) > width else -1
        wrapped += [line] if at < 0 else [line[:at], line[at + 1 :]]
    return b"\n".join(wrapped)


def _line_wrapped(rng, data):
    lines = _lines(data)
    at = rng.randrange(len(lines))
    cut = rng.randint(0, len(lines[at]))
    return b"\n".join([*lines[:at], lines[at][:cut], lines[at][cut:], *lines[at + 1 :]])


def _joined(rng, data):
    lines = _lines(data)
    at = rng.randrange(len(lines) - 1)
    return b"\n".join([*lines[:at], lines[at] + lines[at + 1], *lines[at + 2 :]])


def _space_stripped(rng, data):
    lines = _lines(data)
    return b"\n".join(line.rstrip() if rng.random() < 0.7 else line for line in lines)


def _tabs_spread(rng, data):
    return data.expandtabs(rng.choice([4, 8])) if rng.random() < 0.5 else data.replace(b"\t", b" ")


def _case_changed(rng, data):
    lines = _lines(data)
    at = rng.randrange(len(lines))
    lines[at] = rng.choice([lines[at].upper(), lines[at].lower(), lines[at].title()])
    return b"\n".join(lines)


def _number_changed(rng, data):
    found = rng.choice(list(re.finditer(rb"\d+", data)))
    return data[: found.start()] + str(rng.randrange(120)).encode() + data[found.end() :]


def _word_changed(rng, data):
    found = rng.choice(list(re.finditer(rb"[\w/.]+", data)))
    other = rng.choice(list(re.finditer(rb"[\w/.]+", data))).group()
    return data[: found.start()] + other + data[found.end() :]


def _escaped(rng, data):
    for old, new in ((b"&", b"&amp;"), (b"<", b"&lt;"), (b">", b"&gt;")):
        data = data.replace(old, new)
    return data


def _quoted_printable(rng, data):
    return data.replace(b"=", b"=3D").replace(b"\t", b"=09")


def _dashes_escaped(rng, data):
    return re.sub(rb"^-", b"- -", data, flags=re.MULTILINE)


def _other_ends(rng, data):
    lines = _lines(data)
    odd = rng.choice([0.2, 1.0])
    return b"\n".join(line + b"\r" if rng.random() < odd else line for line in lines)


def _block_moved(rng, data):
    lines = _lines(data)
    at, long, to = rng.randrange(len(lines)), rng.randint(1, 8), rng.randrange(len(lines))
    block, rest = lines[at : at + long], lines[:at] + lines[at + long :]
    return b"\n".join([*rest[:to], *block, *rest[to:]])


KINDS = tuple(one for name, one in sorted(globals().items()) if re.match(r"_[a-z]", name)
              and callable(one) and name != "_lines")  # fmt: skip


def damaged(rng, data):
    """Return a mail with one, two or three kinds of damage, and what was done to it."""
    kinds = [rng.choice(KINDS) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    for kind in kinds:
        if len(data) > 2 and re.search(rb"\d", data) and data.count(b"\n") > 1:
            data = kind(rng, data)
    return data, [kind.__name__.strip("_") for kind in kinds]
