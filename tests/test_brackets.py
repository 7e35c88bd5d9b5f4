# SPDX-License-Identifier: GPL-2.0-only
"""Brackets are found without parsing, and all other rooms ask one room for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchtool.c.brackets import (
    ANY,
    BRACES,
    PARENTHESES,
    UNQUOTED,
    argument_at,
    around,
    closing,
    commas,
    conditional_around,
    end_of,
    is_binary,
    is_cast,
    is_in_union,
    last_before,
    opening,
    start_of_member,
)
from patchtool.c.index import split_arguments

_OPENERS, _CLOSERS = b"([{", b")]}"
_TEXTS = st.text(alphabet="()[]{},;?a", max_size=30).map(str.encode)
_KINDS = st.sampled_from((ANY, PARENTHESES, BRACES))


def _depths(text: bytes, kinds: bytes) -> list[int]:
    """Return how many brackets are open in front of each byte, and behind the last."""
    depths = [0]
    for byte in text:
        turn = (byte in _OPENERS) - (byte in _CLOSERS) if byte in kinds else 0
        depths.append(depths[-1] + turn)
    return depths


@given(_TEXTS, _KINDS, st.data())
def test_where_a_bracket_is_closed(text, kinds, data):
    """It is where as many are open again as in front of it."""
    places = [at for at, byte in enumerate(text) if byte in kinds and byte in _OPENERS]
    if places:
        at = data.draw(st.sampled_from(places))
        depths = _depths(text, kinds)
        behind = [n for n in range(at + 1, len(text) + 1) if depths[n] == depths[at]]
        # Behind a bracket of no such kind the depth is what it was, too.
        behind = [n for n in behind if text[n - 1] in kinds]
        assert closing(text, at, kinds) == (behind[0] if behind else None)


@given(_TEXTS, _KINDS)
def test_there_and_back(text, kinds):
    """What closes a bracket is closed by it."""
    for at, byte in enumerate(text):
        if byte in kinds and byte in _OPENERS:
            end = closing(text, at, kinds)
            assert end is None or opening(text, end - 1, kinds) == at


@given(_TEXTS, _KINDS, st.integers(0, 30))
def test_the_bracket_around_a_place(text, kinds, at):
    """It opens in front of the place, and is not closed there yet."""
    at = min(at, len(text))
    open_ = [
        here
        for here in range(at)
        if text[here] in kinds
        and text[here] in _OPENERS
        and ((end := closing(text, here, kinds)) is None or end > at)
    ]
    assert around(text, at, kinds) == max(open_, default=-1)


def test_how_far_is_looked():
    """The bound is a number of bytes, the bracket itself the first of them."""
    assert closing(b"(aaa)", 0, most=5) == 5
    assert closing(b"(aaa)", 0, most=4) is None
    assert opening(b"(aaa)", 4, most=5) == 0
    assert opening(b"(aaa)", 4, most=4) is None
    assert around(b"{a{b", 4, start=3) == -1


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", [""]),
        ("a", ["a"]),
        ("a, f(b, c), d", ["a", "f(b, c)", "d"]),
        ("a[1, 2], ", ["a[1", "2]", ""]),
        ("é, (ü, ö)", ["é", "(ü, ö)"]),
    ],
)
def test_arguments(text, arguments):
    """The preprocessor counts parentheses alone."""
    assert split_arguments(text) == arguments


def test_commas_of_a_part():
    """A part of a text is a list of its own."""
    assert list(commas(b"f(a, g(b, c), d)", 2, 15)) == [3, 12]


def test_strings_may_be_passed_over():
    """What a string holds counts, or it does not, as is asked."""
    text = b'f(")", "a\\"(,", b), c'
    assert closing(text, 1, PARENTHESES) == 4
    assert closing(text, 1, UNQUOTED) == text.index(b", c")
    assert list(commas(text, 2, 18, UNQUOTED)) == [5, 14]
    assert list(commas(b'a, ",", (b, c)', kinds=UNQUOTED)) == [1, 6]


def test_the_argument_at_a_place():
    """It is counted from 0; in brackets of another kind there is none."""
    text = b"f(a, b[c, d], e)"
    assert argument_at(text, text.index(b"e")) == (1, 2)
    assert argument_at(text, text.index(b"c")) == (-1, 0)


@pytest.mark.parametrize(
    ("text", "arm", "whole"),
    [
        (b"x = a ? (b, c) : d;", b"d", b"a ? (b, c) : d"),
        (b"f(a ? b : c, d)", b"b", b"a ? b : c"),
        (b"return a ? b : c;", b"b", b"a ? b : c"),
        (b"x = a;", b"a", None),
        (b"f(g(a ? b : c), d)", b"d", None),
    ],
)
def test_the_conditional_around_an_arm(text, arm, whole):
    """It ends where its statement, its argument or its bracket does."""
    at = text.rindex(arm)
    found = conditional_around(text, at, at + len(arm))
    assert (None if found is None else text[slice(*found)]) == whole


@pytest.mark.parametrize(
    ("text", "cast"),
    [
        (b"x = (u64)y", True),
        (b"return (struct s *)p", True),
        (b"x = -(int)(long)y", True),
        (b"if (a) (void)f", True),
        (b"for_each_thing(a) (void)f", True),
        (b"sizeof(u64)", False),
        (b"f(u64)y", False),
        (b"a[1](u64)", False),
        (b"(f)(u64)", False),
        (b"x = (y) * z", False),
    ],
)
def test_a_cast_is_no_call(text, cast):
    """A type in parentheses is a cast where nothing in front is called by them."""
    assert is_cast(text, text.rindex(b")")) is cast


@pytest.mark.parametrize(
    ("text", "binary"),
    [
        (b"a & b", True),
        (b"a[1] & b", True),
        (b"f(a) & b", True),
        (b"x = & b", False),
        (b"return & b", False),
        (b"(u64) & b", False),
        (b"if (a) & b", False),
        (b"sizeof & b", False),
        (b"& b", False),
    ],
)
def test_an_operator_with_two_operands(text, binary):
    """What stands in front tells whether an operator has one operand or two."""
    assert is_binary(text, text.index(b"& b")) is binary


@pytest.mark.parametrize(
    ("text", "start"),
    [
        (b"a->b.c", 0),
        (b"x = a->b[i].c", 4),
        (b"x = f(a, b)->c", 4),
        (b"x = ((struct s *)a)->c", 4),
        (b"= { .c", 5),
    ],
)
def test_where_a_member_access_starts(text, start):
    """It starts with the object; a designator has none."""
    assert start_of_member(text, len(text) - 1) == start


def test_a_union_around_a_member():
    """A union counts however many records are between, but not one that is closed."""
    text = b"struct s {\n\tunion {\n\t\tstruct { int a; };\n\t\tint b;\n\t};\n\tint c;\n};\n"
    assert is_in_union(text, text.index(b"a;"))
    assert is_in_union(text, text.index(b"b;"))
    assert not is_in_union(text, text.index(b"c;"))


def test_what_stands_in_front():
    """Blanks are passed, and directives with all the lines that they go on in."""
    text = b"a;\n#define X \\\n\t1\n\n  b"
    assert last_before(text, text.index(b"b")) == 1
    assert last_before(b"a 1\n b", 5) == 2
    assert last_before(b"\n b", 2) == -1


def test_what_follows_a_name():
    """Blanks and directives may stand between a name and its parenthesis."""
    assert end_of(b"f\n#ifdef X\n (a)", 1) == 15
    assert end_of(b"f #x\n(a)", 1) is None, "that is no directive"
    assert end_of(b"f a", 1) is None
    assert end_of(b"f {a}", 1) is None
