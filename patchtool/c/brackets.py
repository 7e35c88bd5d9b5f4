# SPDX-License-Identifier: GPL-2.0-only
"""Read C by its brackets, from a place in a text outwards, without parsing what is around.

In: the text of a file without comments, and a place.  Out: the operators, brackets and calls
around it.  It is for questions that are put to every use of a common name, where to parse all
functions would take longer than all else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_UNION = re.compile(rb"\bunion\b[\s\w]*\Z")
HEAD = re.compile(rb"\b(?:struct|union)\s+(\w+)\s*\{")
"""Where a record of some tag is defined."""
CAST = re.compile(
    rb"\(\s*(?:(?:const|volatile|unsigned|signed)\s+)*(?:(?:struct|union|enum)\s+)?\w+[\s*]*\)\Z"
    rb"|\(\s*(?:__)?typeof(?:__)?\s*\([^()]*\)[\s*]*\)\Z"
)
"""A cast, at the end of a text."""
DECLARED = re.compile(
    rb"(?:\b(?:struct|union|enum)\s+\w+|\b(?:void|char|short|int|long|unsigned|bool|[us](?:8|16|32|64)"
    rb"|\w+_t|__auto_type|\w*typeof\w*\s*\([^()]*\)))"
    rb"(?:[\s*]|const\b|__percpu\b|__rcu\b)*\Z"
)
"""What stands before a name that is declared: a type."""
TESTED = frozenset({b"if", b"while", b"for", b"switch", b"sizeof", b"typeof", b"__typeof__"})
"""Words in front of a parenthesis that is no call."""
BEFORE = frozenset({b"return", b"else", b"do", b"case", b"goto"})
"""Words that stand before an expression, and are no names of what is called."""
LONGEST = 400
"""Bytes of a piece in which the other end of a bracket is looked for."""
NEAR = 80
"""Bytes that are looked back at, for a call and for an expression."""


ANY, PARENTHESES, BRACES = b"()[]{}", b"()", b"{}"
"""Which brackets count; those of other kinds are bytes like all others."""
UNQUOTED = b'()"'
"""Parentheses, those in strings aside."""
_STRING = rb'"(?:\\.|[^"\\])*"'
_MARKS = {kinds: re.compile(b"[%s]" % re.escape(kinds)) for kinds in (ANY, PARENTHESES, BRACES)}
_MARKS[UNQUOTED] = re.compile(rb"[()]|" + _STRING)
_COMMAS = {PARENTHESES: re.compile(rb"[(),]"), UNQUOTED: re.compile(rb"[(),]|" + _STRING)}
_OF_LIST = re.compile(rb"[()\[\]{};,?]")
_OPENERS = frozenset((b"(", b"[", b"{"))
_CLOSERS = frozenset((b")", b"]", b"}"))
_OF_WORDS = frozenset(i for i in range(256) if re.match(rb"\w", bytes((i,))))


def last_before(text: bytes, at: int) -> int:
    """Return the place of the last byte in front of a place, blanks and directives aside."""
    here = at
    while True:
        lead = text[max(0, here - LONGEST) : here]
        bare = lead.rstrip()
        if not bare and len(lead) == LONGEST:
            here -= LONGEST
            continue
        last = here - len(lead) + len(bare) - 1
        if b"\n" not in text[last + 1 : here]:
            return last
        line = text.rfind(b"\n", 0, last) + 1
        while line > 1 and text[line - 2 : line - 1] == b"\\":
            line = text.rfind(b"\n", 0, line - 1) + 1
        if not text[line : line + NEAR].lstrip(b" \t").startswith(b"#"):
            return last
        here = line


def word_before(text: bytes, at: int) -> bytes:
    """Return the word that ends at a place, nothing where none does."""
    start = at
    while start >= 0 and text[start] in _OF_WORDS:
        start -= 1
    return text[start + 1 : at + 1]


def first_from(text: bytes, at: int) -> int:
    """Return the place of the first byte from a place on, blanks and directives aside."""
    here, size = at, len(text)
    while here < size:
        mark = text[here : here + 1]
        if mark.isspace():
            here += 1
        elif mark == b"#" and text[text.rfind(b"\n", 0, here) + 1 : here].strip() == b"":
            here = text.find(b"\n", here)
            while here > 0 and text[here - 1 : here] == b"\\":
                here = text.find(b"\n", here + 1)
            if here < 0:
                return size
        else:
            return here
    return size


def operator_behind(text: bytes, at: int) -> bytes:
    """Return the operator that stands behind a place."""
    right = first_from(text, at)
    return b"->" if text[right : right + 2] == b"->" else text[right : right + 1]


def closing(text: bytes, at: int, kinds: bytes = ANY, most: int | None = None) -> int | None:
    """Return the place behind the bracket that closes the one at a place; None where none does.

    Of brackets of some KINDS alone, and within MOST bytes.
    """
    depth = 0
    for mark in _MARKS[kinds].finditer(text, at, len(text) if most is None else at + most):
        if mark[0] in _OPENERS:
            depth += 1
        elif mark[0] in _CLOSERS:
            depth -= 1
            if depth == 0:
                return mark.end()
    return None


def opening(text: bytes, at: int, kinds: bytes = ANY, most: int | None = None) -> int | None:
    """Return where the bracket opens that the one at a place closes, as ``closing`` does."""
    depth = 0
    for here in range(at, -1 if most is None else max(-1, at - most), -1):
        mark = text[here : here + 1]
        if mark not in kinds:
            continue
        depth += 1 if mark in _CLOSERS else -1
        if depth == 0:
            return here
    return None


def around(text: bytes, at: int, kinds: bytes = ANY, start: int = 0) -> int:
    """Return where the innermost bracket around a place opens, -1 where none does from START on."""
    depth = 0
    for mark in reversed(list(_MARKS[kinds].finditer(text, start, at))):
        if mark[0] in _CLOSERS:
            depth += 1
        elif depth == 0:
            return mark.start()
        else:
            depth -= 1
    return -1


def commas(
    text: bytes, start: int = 0, end: int | None = None, kinds: bytes = PARENTHESES
) -> Iterator[int]:
    """Yield where the commas of a list are, those within parentheses, of whatever KINDS, aside."""
    depth = 0
    for mark in _COMMAS[kinds].finditer(text, start, len(text) if end is None else end):
        if mark[0] == b",":
            if depth == 0:
                yield mark.start()
        elif mark[0] in _OPENERS:
            depth += 1
        elif mark[0] in _CLOSERS:
            depth -= 1


def end_of(text: bytes, at: int) -> int | None:
    """Return where the bracket ends that opens at a place, blanks aside; None where none does."""
    here = first_from(text, at)
    if text[here : here + 1] not in (b"(", b"["):
        return None
    return closing(text, here, most=4 * LONGEST)


def start_of(text: bytes, at: int) -> int | None:
    """Return where the bracket opens that a place closes."""
    return opening(text, at, most=8 * LONGEST)


def _outwards(text: bytes, at: int, least: int) -> Iterator[tuple[int, bytes]]:
    """Yield what stands in front of a place, in no bracket of its own, and its bracket last."""
    depth = 0
    for here in range(at - 1, least, -1):
        mark = text[here : here + 1]
        if mark in _CLOSERS:
            depth += 1
        elif depth == 0:
            yield here, mark
            if mark in _OPENERS:
                return
        elif mark in _OPENERS:
            depth -= 1


def argument_at(text: bytes, at: int) -> tuple[int, int]:
    """Return the parenthesis within which a place lies, and the number of the argument.

    It is -1 where that is another bracket, or none.
    """
    number = 0
    for here, mark in _outwards(text, at, max(-1, at - 8 * LONGEST)):
        if mark == b"(":
            return here, number
        if mark in _OPENERS or mark == b";":
            break
        number += mark == b","
    return -1, 0


def bracket_around(text: bytes, at: int) -> bytes:
    """Return the bracket within which a place lies, nothing where a statement begins before it."""
    for here, mark in _outwards(text, at, max(-1, at - 8 * LONGEST)):
        if mark in _OPENERS:
            lead = text[last_before(text, here) :][:1]
            return mark if lead in (b"=", b"(", b",", b"{", b")") and lead else b""
        if mark == b";":
            break
    return b""


def callee(text: bytes, opened: int) -> bytes | None:
    """Return the name of what is called by a parenthesis; None where it groups."""
    left = last_before(text, opened)
    word = word_before(text, left)
    return word if word and word not in BEFORE else None


def is_call(text: bytes, closing: int) -> bool:
    """Tell whether what a bracket closes is called by the parenthesis behind it."""
    opened = start_of(text, closing)
    return opened is not None and (callee(text, opened) or b"") not in TESTED


def is_binary(text: bytes, at: int) -> bool:
    """Tell whether an operator has an operand in front."""
    left = last_before(text, at)
    lead = text[left : left + 1] if left >= 0 else b""
    if lead == b")":
        return not is_cast(text, left) and not ends_condition(text, left)
    if lead == b"]":
        return True
    word = word_before(text, left)
    return bool(word) and word not in BEFORE and word not in TESTED


def ends_condition(text: bytes, closing: int) -> bool:
    """Tell whether a parenthesis is that of if (), while () or of a macro that loops."""
    opened = start_of(text, closing)
    called = callee(text, opened) if opened is not None else None
    return called is not None and (called in TESTED or b"for_each" in called)


def is_cast(text: bytes, closing: int) -> bool:
    """Tell whether a parenthesis that closes at a place holds a type, and is no operand."""
    found = CAST.search(text, max(0, closing - 2 * NEAR), closing + 1)
    if found is None:
        return False
    inside = found[0].strip(b"() \t\n")
    left = last_before(text, found.start())
    lead = text[left : left + 1] if left >= 0 else b""
    word = word_before(text, left)
    if lead == b")" and not is_cast(text, left):
        return ends_condition(text, left)
    if lead == b"]" or (word and word not in BEFORE):
        return False
    return b"*" in inside or b" " in inside or inside in _NUMBERS or inside.startswith(b"u")


_NUMBERS = frozenset(
    {b"void", b"char", b"short", b"int", b"long", b"unsigned", b"bool", b"u8", b"u16", b"u32",
     b"u64", b"s8", b"s16", b"s32", b"s64", b"uintptr_t", b"ulong", b"size_t", b"gpa_t", b"gva_t"}
)  # fmt: skip


def is_declaring(text: bytes, start: int) -> bool:
    """Tell whether a type stands in front of a place, stars aside."""
    ahead = text[max(0, start - 2 * NEAR) : start]
    return DECLARED.search(ahead) is not None or (
        re.search(rb"(?:[;{}(,]|\A)\s*(?:const\s+)?(?!return\b|else\b|case\b)\w+\s+\*+\s*\Z", ahead)
        is not None
    )


def start_of_member(text: bytes, at: int) -> int:
    """Return where the expression begins of which a member stands at a place."""
    start = at
    while True:
        left = last_before(text, start)
        if text[left : left + 1] == b".":
            step = left
        elif text[left - 1 : left + 1] == b"->":
            step = left - 1
        else:
            return start
        here = last_before(text, step)
        is_bracket = False
        while text[here : here + 1] in (b")", b"]"):
            opened = start_of(text, here)
            if opened is None:
                return step
            is_bracket = text[opened : opened + 1] == b"("
            start = opened
            here = last_before(text, opened)
            if is_bracket and text[here : here + 1] in (b")", b"]"):
                break  # a cast, or called through an expression
        word = word_before(text, here)
        if word and word not in BEFORE:
            start = here + 1 - len(word)
        elif not is_bracket and start >= step:
            return at  # a designator


def end_of_operand(text: bytes, at: int) -> int | None:
    """Return where the operand ends of a cast that ends at a place; None where none follows."""
    here = first_from(text, at)
    while text[here : here + 1] in (b"&", b"*"):
        here = first_from(text, here + 1)
    if text[here : here + 1] == b"(":
        closing = end_of(text, here)
        if closing is None:
            return None
        after = text[first_from(text, closing) :][:1]
        if after and (after.isalnum() or after in b"_&("):
            return end_of_operand(text, closing)  # another cast
        here = closing
    else:
        word = re.compile(rb"\w+").match(text, here)
        if word is None:
            return None
        here = word.end()
    while True:
        right = first_from(text, here)
        if text[right : right + 1] in (b"(", b"["):
            closing = end_of(text, right)
            if closing is None:
                return None
            here = closing
            continue
        step = re.compile(rb"(?:->|\.)\s*\w+").match(text, right)
        if step is None:
            return here
        here = step.end()


def conditional_around(text: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Return the conditional expression of which a place is an arm; None where it is none."""
    begin, has_question = 0, False
    for here, mark in _outwards(text, start, -1):
        if mark in _OPENERS or mark in (b";", b",") or _ends_lead(text, here):
            begin = here + 1
            break
        has_question = has_question or mark == b"?"
    first = first_from(text, begin)
    last, depth = len(text), 0
    for found in _OF_LIST.finditer(text, end):
        mark = found[0]
        if mark in _OPENERS:
            depth += 1
        elif depth == 0 and mark != b"?":
            last = found.start()
            break
        elif mark in _CLOSERS:
            depth -= 1
        else:
            has_question = has_question or (mark == b"?" and depth == 0)
    last = len(text[:last].rstrip())
    return (first, last) if has_question and (first, last) != (start, end) else None


def _ends_lead(text: bytes, at: int) -> bool:
    """Tell whether what stands in front of a value ends at a place: an assignment, or return."""
    if text[at : at + 1] == b"=":
        lead, behind = text[at - 1 : at], text[at + 1 : at + 2]
        return lead not in (b"=", b"!", b"<", b">") and behind != b"="
    return text[at - 5 : at + 1] == b"return"


def returns_pointer(text: bytes, at: int) -> bool:
    """Tell whether the function around a place returns a pointer to a record."""
    body = text.rfind(b"\n{", 0, at)
    head = max(text.rfind(mark, 0, body) for mark in (b"\n\n", b"}\n", b";\n", b"*/"))
    pattern = rb"\bstruct\s+\w+\s*\*(?:[\s*]|const\b|__\w+\b)*\w+\s*\("
    return re.search(pattern, text[head:body]) is not None


def record_around(text: bytes, at: int) -> bytes | None:
    """Return the tag of the record in whose definition a place lies."""
    start = text.rfind(b"\n}", 0, at)
    heads = [m[1] for m in HEAD.finditer(text, max(0, start), at)]
    return heads[0] if heads else None


def is_in_union(text: bytes, at: int) -> bool:
    """Tell whether a member at a place shares its bytes with others, by a union around it."""
    start = text.rfind(b"\n}", 0, at) + 2
    here = around(text, at, BRACES, start)
    while here >= 0:
        if _UNION.search(text[start:here]) is not None:
            return True
        here = around(text, here, BRACES, start)
    return False


def is_in_string(text: bytes, at: int) -> bool:
    """Tell whether a place lies in a string."""
    return text.count(b'"', text.rfind(b"\n", 0, at) + 1, at) % 2 == 1
