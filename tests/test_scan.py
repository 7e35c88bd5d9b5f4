# SPDX-License-Identifier: GPL-2.0-only
"""What is told from text alone: comments, words, calls, and what may be a definition."""

from __future__ import annotations

import pytest
from edited import Files
from effort import growth
from hypothesis import given
from hypothesis import strategies as st

from patchtool.c.index import Index, _rarely, calls
from patchtool.c.scan import first_of_line, may_define, places, scan, strip_comments, unspliced
from patchtool.target.kvm import KVM


def _without_comments(text: bytes) -> bytes:
    """Read a text byte by byte, as the C standard says (5.1.1.2), lengths kept."""
    out = bytearray(text)
    at = 0
    while at < len(text):
        two = text[at : at + 2]
        if two == b"/*":
            end = text.find(b"*/", at + 2)
            end = len(text) if end < 0 else end + 2
        elif two == b"//":
            end = at + 2
            while end < len(text) and text[end] != 0x0A:
                if text[end] == 0x5C and end + 1 == len(text):
                    break
                end += 2 if text[end] == 0x5C else 1
        elif text[at] == 0x22:
            end = at + 1
            while end < len(text) and text[end] not in (0x22, 0x0A):
                end += 2 if text[end] == 0x5C else 1
            closed = end < len(text) and text[end] == 0x22
            at = end + 1 if closed else at + 1
            continue
        else:
            at += 1
            continue
        for i in range(at, min(end, len(text))):
            if out[i] != 0x0A:
                out[i] = 0x20
        at = end
    return bytes(out)


@given(st.text(alphabet='/*"\\\na ', max_size=40))
def test_comments_become_blanks(text):
    """A comment is blanks of its length; a string is none."""
    data = text.encode()
    assert strip_comments(data) == _without_comments(data)


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        (b'"a" /* b */ c', b'"a"         c'),
        (b'x = "/* no comment */";', b'x = "/* no comment */";'),
        (b'"http://a" // b\nc', b'"http://a"     \nc'),
        (rb'"\//" + a', rb'"\//" + a'),
        (b"a /* b\nc */ d", b"a     \n     d"),
        (b"a /* b", b"a     "),
    ],
)
def test_a_comment(text, stripped):
    """Marks of comments inside strings, and comments without an end."""
    assert strip_comments(text) == stripped


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"f(g (1), h[2](3))", {"f", "g"}),
        (b"if (a) return (b)(c);", {"b"}),
        (b"(void)(f) (x); a = (b) + (c)[0];", {"f"}),
        (b"x1(0) + 1x(0) + _\n(0)", {"x1", "_"}),
        (b"/* f( */ g(", {"g"}),
    ],
)
def test_calls(text, names):
    """Names in front of parentheses, keywords aside."""
    assert calls(text) == names


def test_places_are_whole_words():
    """A longer word does not hold a shorter one."""
    assert list(places(b"mmu mmu_role xmmu a.mmu=mmu", b"mmu")) == [0, 20, 24]


@pytest.mark.parametrize(
    ("text", "may"),
    [
        (b"int f(int a)\n{", True),
        (b"static f (void) __acquires(lock) {", True),
        (b"if (f(a)) {", False),
        (b"while (b && f(a)) {", False),
        (b"x = f(a) ? 1 : 2; {", False),
        (b"int f(int a);\nstruct b {", False),
        (b"int ff(int a) {", False),
    ],
)
def test_may_define(text, may):
    """A brace behind the parentheses may open a body, unless it is an expression."""
    assert may_define(text, b"f") is may


def test_macros_are_read_when_they_are_asked_for():
    """Line, parameters, body and the conditions around a macro."""
    text = (
        b"/* one */\n#ifdef CONFIG_A\n#define F(x, y...) \\\n\tg(x) /* h */\n#endif\n#define F 1\n"
    )
    file = scan("a.h", text)
    first, second = file.macros("F")
    assert (first.line, first.parameters, first.text) == (3, ("x", "y..."), b"g(x)")
    assert first.conditions == (("CONFIG_A", True),)
    assert (second.line, second.parameters, second.text) == (6, None, b"1")
    assert file.macros("G") == []


def _conditions(number: int, inside: bytes = b"") -> bytes:
    return b"".join(b"#if A%d\n%s" % (n, inside) for n in range(number)) + b"#endif\n" * number


NESTED = {
    "conditions in conditions": _conditions,
    "macros in conditions": lambda number: _conditions(number, b"#define M 1\n"),
    "what is not compiled": lambda number: (
        b"#if 0\n" * number + b"#else\nint a;\n#endif\n" * number
    ),
    "functions with a part that is not compiled": lambda number: (
        b"int f(void)\n{\n#if 0\n\ta;\n#else\n\tb;\n#endif\n}\n" * number
    ),
    "one function with many parts": lambda number: (
        b"int f(void)\n{\n" + b"#if 0\n\ta;\n#endif\n" * number + b"}\n"
    ),
    "branches": lambda number: b"#if A\n" + b"#elif B\n" * number + b"#endif\n",
}


@pytest.mark.parametrize("name", NESTED)
def test_work_grows_with_length(name):
    """Four times as many conditions, nested or not, are four times the work and no more."""
    times = growth(lambda text: scan("a.c", text), NESTED[name](200), NESTED[name](800))
    assert times < 5


def test_conditions_around_a_macro_are_all_of_them():
    """Nested conditions are kept in their order, and turned where an #else is between."""
    text = b"#ifdef A\n#if B\n#else\n#define M 1\n#endif\n#define N 1\n#endif\n#define O 1\n"
    file = scan("a.h", text)
    found = {name: file.macros(name)[0].conditions for name in "MNO"}
    assert found == {"M": (("A", True), ("B", False)), "N": (("A", True),), "O": ()}


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (b"x->root_le\\\nvel = 3;\ny\n", b"x->root_level \n = 3;\ny\n"),
        (b"x-\\\n>root \\\n = 3;\n", b"x->root \n  \n = 3;\n"),
        (b"a\\\nb\\\nc d\n", b"abc \n \n d\n"),
        (b"a /\\\n* c */\n", b"a /* \n c */\n"),
        (b"#define x a\\\nb\\\nc d\n", b"#define x abc\\\n\\\n d\n"),
        (b"#define A x \\\n y\nz\n", b"#define A x \\\n y\nz\n"),
        (b"// a \\\n b = 3;\n", b"// a \\\n b = 3;\n"),
        (b's = "a \\\n b";\n', b's = "a \\\n b";\n'),
        (b"a\\\n", b"a \n"),
    ],
)
def test_what_the_end_of_a_line_splits(text, same):
    """A word that goes on in the next line is one word; a comment or a string stays."""
    assert unspliced(text) == same
    assert len(same) == len(text) and same.count(b"\n") == text.count(b"\n")


def test_places_of_lines():
    """A line and a column lead back to their byte; a line begins where what it continues does."""
    data = b"int a;\n\n#define X(n) \\\n\tone \\\n\ttwo\nint b;\n"
    file = scan("a.c", data)
    for word, line, column, first in ((b"a;", 1, 5, 0), (b"#", 3, 1, 8), (b"two", 5, 2, 8)):
        at = data.index(word)
        assert file.line(at) == line
        assert file.offset(line, column) == at
        assert first_of_line(data, at) == first
    assert first_of_line(data, data.index(b"int b")) == data.index(b"int b")
    assert first_of_line(b"\\\nx", 2) == first_of_line(b"\nx", 0) == 0


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        ("static struct knob {\n\tint level;\n} knob;", "struct knob knob"),
        ("struct knob {\n\tint level;\n} __read_mostly knob;", "struct knob knob"),
        ("struct knob {\n\tint level;\n} other;", None),
        ("struct other {\n\tint knob_level;\n} knobs;", None),
    ],
)
def test_an_object_that_is_declared_with_its_type(text, declared):
    """What stands behind the brace of a record is an object of that type."""
    path = "arch/x86/kvm/a.c"
    found = Index(Files({path: text.encode()}), KVM).declaration("knob", path)
    assert found == (None if declared is None else (path, 1, declared))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"#define knob 1 + LEVEL\n", {b"knob", b"1", b"LEVEL"}),
        (b"int a;\n# define knob \\\n\tLEVEL\nint b;\n", {b"knob", b"LEVEL"}),
        (b"#define knob a\n#define knob b", {b"knob", b"a", b"b"}),
        (b"#define other knob\n", None),
    ],
)
def test_the_words_of_a_macro(text, words):
    """They are those of all its definitions, wherever in a file one stands."""
    path = "arch/x86/kvm/a.h"
    found = Index(Files({path: text}), KVM).macro_words(b"knob", (path,))
    assert found == (None if words is None else frozenset(words))


@pytest.mark.parametrize(
    ("kind", "text", "is_so"),
    [
        ("record", b"; struct __odd(a) knob {", True),
        ("record", b";struct knob {", True),
        ("record", b"struct other; knob {", False),
        ("record", b"struct knob;", False),
        ("object", b"int odd(knob) = 1;", False),
        ("object", b"int (*knob) [2] = {", False),
        ("object", b"int knob[2] = {", True),
    ],
)
def test_a_definition_in_an_unusual_spelling(kind, text, is_so):
    """What stands behind a name tells it, and for a record what stands in front."""
    assert _rarely(kind, b"knob", text) is is_so


@pytest.mark.parametrize(
    ("text", "name", "start"),
    [
        (
            b"DEFINE_GUARD(a, b *, lock(&_T->c), unlock(_T))\n\nstatic void f(int g)\n{\n}\n",
            "f",
            3,
        ),
        (b"DEFINE_A(a)\nDEFINE_B(b)\nint *f(void)\n{\n}\n", "f", 3),
        (b"DEFINE_A(a)\n{\n}\n", "DEFINE_A", 1),
        (b"DEFINE_A(a)\n__acquires(b)\n{\n}\n", "DEFINE_A", 1),
        (b"DEFINE_A(a) int f(void)\n{\n}\n", "DEFINE_A", 1),
        (b"OTHER(a)\nint f(void)\n{\n}\n", "OTHER", 1),
    ],
)
def test_a_function_behind_what_takes_no_semicolon(text, name, start):
    """It is not a part of what is defined in front of it."""
    found = scan("a.c", text).functions
    assert {one: [each.line for each in found[one]] for one in found} == {name: [start]}
