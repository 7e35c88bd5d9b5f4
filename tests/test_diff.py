# SPDX-License-Identifier: GPL-2.0-only
"""Patches are read, applied and written as git does, and what does not fit is refused."""

import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scratch import git, repository

from patchtool.errors import PatchError
from patchtool.outside import diff


def patched(text, files):
    """Apply a patch to a mapping of files."""
    data = text if isinstance(text, bytes) else text.encode()
    return diff.apply(diff.parse(data, "p"), files.get)


def encoded(text):
    """Return the bytes of a written patch."""
    return text.encode("utf-8", "surrogateescape")


LINE = st.sampled_from([b"a", b"b", b"}", b"", b"int f(void)", b"\xe9", b"x\r", b"-- ", b"--- a/f"])
CONTENT = st.builds(
    lambda lines, end: b"\n".join(lines) + (b"\n" if end and lines else b""),
    st.lists(LINE, max_size=25),
    st.booleans(),
)


@given(CONTENT, CONTENT)
def test_a_written_patch_applies_to_what_it_was_made_from(old, new):
    """Applying the difference of two files to the first gives the second."""
    text = diff.write("dir/f.c", old, new)
    assert (text == "") == (old == new)
    if text:
        assert patched(encoded(text), {"dir/f.c": old}) == {"dir/f.c": new}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """Return a repository to apply patches in."""
    return repository(tmp_path_factory.mktemp("apply") / "top", {"keep": b""})


def git_apply(scratch, text, old):
    """Return what git makes of a patch, None when it refuses."""
    path = scratch / "f.c"
    path.unlink(missing_ok=True)
    if old is not None:
        path.write_bytes(old)
    done = subprocess.run(
        ["git", "-C", str(scratch), "apply", "--whitespace=nowarn", "-"],
        input=text,
        capture_output=True,
    )
    if done.returncode:
        return None
    return path.read_bytes() if path.exists() else b"(deleted)"


@settings(max_examples=60, deadline=None)
@given(CONTENT, CONTENT, st.sampled_from(["change", "create", "delete"]))
def test_git_applies_what_is_written(scratch, old, new, what):
    """The real git makes the same file of a written patch."""
    before = None if what == "create" else old
    after = None if what == "delete" else new
    text = diff.write("f.c", before, after)
    if text:
        expected = b"(deleted)" if after is None else after
        assert git_apply(scratch, encoded(text), before) == expected


@settings(max_examples=120, deadline=None)
@given(CONTENT, CONTENT, CONTENT)
def test_what_is_applied_git_applies_alike(scratch, old, new, other):
    """On a file that is not the one it was made for, no patch fits that git refuses."""
    text = encoded(diff.write("f.c", old, new))
    base = other if len(other) < len(old) else other[: len(other) // 2] + b"\n" + old
    try:
        found = patched(text, {"f.c": base})
    except PatchError:
        return
    if text:
        assert git_apply(scratch, text, base) == found["f.c"]


@settings(max_examples=60, deadline=None)
@given(CONTENT, CONTENT)
def test_what_git_writes_is_applied(tmp_path_factory, old, new):
    """A patch that the real git writes gives the same file."""
    where = tmp_path_factory.mktemp("pair")
    for side, data in (("a", old), ("b", new)):
        (where / side).mkdir()
        (where / side / "f.c").write_bytes(data)
    command = ["git", "diff", "--no-index", "--no-prefix", "a/f.c", "b/f.c"]
    text = subprocess.run(command, cwd=where, capture_output=True).stdout
    if old != new:
        assert patched(text, {"f.c": old}) == {"f.c": new}


@settings(max_examples=200)
@given(st.text(st.sampled_from("-+@ \\ab/01,\nBd"), max_size=60).map(str.encode) | st.binary())
def test_any_bytes_parse_or_are_refused(data):
    """Whatever is given as a patch, the answer is records or a PatchError of one line."""
    head = b"diff --git a/f.c b/f.c\n--- a/f.c\n+++ b/f.c\n@@ -1,2 +1,2 @@\n"
    for text in (data, head + data, head[23:] + data):
        try:
            diff.parse(text, "p")
        except PatchError as error:
            assert "\n" not in str(error)  # noqa: PT017


C_FILE = b"".join(
    b"static int f%d(void)\n{\n\tint a = %d;\n\n\ta++;\nout:\n\treturn a;\n}\n\n" % (n, n)
    for n in range(6)
)


def test_written_hunks_are_those_of_git(tmp_path):
    """Headers, hunks, headings and ids of a written patch are git's, byte for byte."""
    top = repository(tmp_path / "top", {"arch/f.c": C_FILE, ".gitattributes": b"*.c diff=cpp\n"})
    new = C_FILE.replace(b"a = 1", b"a = 11").replace(b"a = 5;\n", b"a = 5;\n\tint b;\n")
    new = new.replace(
        b"\n\ta++;\nout:\n\treturn a;\n}\n\nstatic int f4", b"\nout:\n}\n\nstatic int f4"
    )
    (top / "arch/f.c").write_bytes(new)
    expected = git(top, "diff", "--abbrev=12") + "\n"
    assert diff.write("arch/f.c", C_FILE, new) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, b"1\n2\n"),
        (None, b""),
        (b"1\n2\n", None),
        (b"", None),
        (b"1", b"2\n"),
        (b"1\n", b"2"),
    ],
)
def test_new_deleted_and_unended_files_are_written_as_by_git(tmp_path, old, new):
    """Files that come, go or lack a line end look as in git's own patch."""
    name = 'f \xfc\t".c'
    top = repository(tmp_path / "top", {} if old is None else {name: old})
    (top / name).unlink(missing_ok=True)
    if new is not None:
        (top / name).write_bytes(new)
    git(top, "add", "--all")
    text = diff.write(name, old, new)
    assert text.replace("\\011", "\\t").replace("\\042", '\\"') == (
        git(top, "diff", "--cached", "--abbrev=12") + "\n"
    )
    assert patched(text, {} if old is None else {name: old}) == {name: new}


def test_nothing_to_write_is_no_text():
    """Equal files and files that are not there have no difference."""
    assert diff.write("f", b"1\n", b"1\n") == ""
    assert diff.write("f", None, None) == ""


def test_renames_are_written_and_read(tmp_path):
    """A rename, with or without changes, applies here and in git."""
    for name, new in (("same", C_FILE), ("changed", C_FILE.replace(b"a = 1", b"a = 7"))):
        top = repository(tmp_path / name, {"old.c": C_FILE})
        text = diff.write("new.c", C_FILE, new, renamed_from="old.c")
        assert "rename from old.c\nrename to new.c\n" in text
        assert patched(text, {"old.c": C_FILE}) == {"old.c": None, "new.c": new}
        git(top, "apply", "--index", "-", data=encoded(text))
        assert (top / "new.c").read_bytes() == new
        written = git(top, "diff", "--cached", "-M") + "\n"
        assert patched(written, {"old.c": C_FILE}) == {"old.c": None, "new.c": new}


def test_copies_keep_the_original():
    """A copy leaves the file that it was made from."""
    text = "diff --git a/o.c b/n.c\nsimilarity index 100%\ncopy from o.c\ncopy to n.c\n"
    assert patched(text, {"o.c": b"1\n"}) == {"n.c": b"1\n"}


def test_a_change_of_mode_changes_no_bytes():
    """A patch of the mode alone leaves the content alone."""
    text = "diff --git a/f.sh b/f.sh\nold mode 100644\nnew mode 100755\n"
    assert patched(text, {"f.sh": b"1\n"}) == {"f.sh": b"1\n"}


BODY = "@@ -1,3 +1,3 @@\n 1\n-2\n+two\n 3\n"
BEFORE, AFTER = b"1\n2\n3\n", b"1\ntwo\n3\n"


@pytest.mark.parametrize(
    "header",
    [
        "--- a/d/f.c\n+++ b/d/f.c\n",
        "--- d/f.c\n+++ d/f.c\n",
        "--- linux-5.4.orig/d/f.c\t2020-01-01 00:00:00\n+++ linux-5.4/d/f.c\t2021-01-01\n",
        "--- d/f.c.orig\n+++ d/f.c\n",
        "Index: d/f.c\n=====\n--- a/d/f.c\n+++ b/d/f.c\n",
        "diff --git d/f.c d/f.c\nindex 1..2 100644\n--- d/f.c\n+++ d/f.c\n",
        "diff --git i/d/f.c w/d/f.c\nindex 1..2 100644\n--- i/d/f.c\n+++ w/d/f.c\n",
        "diff -urN a/d/f.c b/d/f.c\n--- a/d/f.c\n+++ b/d/f.c\n",
    ],
)
def test_paths_count_from_the_top_of_the_tree(header):
    """Whatever stands before the path is taken away."""
    assert patched(header + BODY, {"d/f.c": BEFORE}) == {"d/f.c": AFTER}


def test_quoted_paths_are_read():
    """A path that git quotes is the path on disk."""
    header = '"a/f\\303\\274\\t.c"', '"b/f\\303\\274\\t.c"'
    text = f"diff --git {header[0]} {header[1]}\n--- {header[0]}\n+++ {header[1]}\n{BODY}"
    assert patched(text, {"f\xfc\t.c": BEFORE}) == {"f\xfc\t.c": AFTER}


MAIL = f"""From 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001
From: A Tester <tester@example.com>
Subject: [PATCH] KVM: x86: Do it
MIME-Version: 1.0
Content-Transfer-Encoding: 8bit

@@ -1 +1 @@ is quoted here, and
deleted file mode 100644
\\ No newline at end of file
- as a list
---
 d/f.c | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/d/f.c b/d/f.c
index 1..2 100644
--- a/d/f.c
+++ b/d/f.c
{BODY}-- \n2.39.5

"""


def test_mails_are_read():
    """What stands around the diff of a mail is passed over."""
    assert patched(MAIL, {"d/f.c": BEFORE}) == {"d/f.c": AFTER}


def test_a_series_is_applied_in_order():
    """Later mails of a series change what earlier ones left, and a cover letter nothing."""
    cover = MAIL.partition("---\n")[0].replace("[PATCH]", "[PATCH 0/2]")
    second = MAIL.replace("-2\n", "-two\n").replace("+two\n", "+three\n")
    found = patched(f"{cover}\n{MAIL}{second}", {"d/f.c": BEFORE})
    assert found == {"d/f.c": b"1\nthree\n3\n"}
    assert patched(cover, {}) == {}
    with pytest.raises(PatchError, match="p is empty"):
        patched("", {})


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
def test_encoded_mails_are_decoded(encoding):
    """A body that the transport encoded is read as it was written."""
    import base64
    import quopri

    head, _, body = MAIL.partition("\n\n")
    coder = quopri.encodestring if encoding == "quoted-printable" else base64.encodebytes
    mail = head.replace("8bit", encoding).encode() + b"\n\n" + coder(body.encode())
    assert patched(mail, {"d/f.c": BEFORE}) == {"d/f.c": AFTER}


def test_line_ends_of_the_transport_are_taken_away():
    """A mail with line ends of DOS throughout applies to a file without."""
    text = MAIL.replace("\n", "\r\n")
    assert patched(text, {"d/f.c": BEFORE}) == {"d/f.c": AFTER}


def test_line_ends_of_a_file_count():
    """A patch of a file with line ends of DOS fits that file and no other."""
    old, new = BEFORE.replace(b"\n", b"\r\n"), AFTER.replace(b"\n", b"\r\n")
    text = diff.write("f.c", old, new)
    assert patched(text, {"f.c": old}) == {"f.c": new}
    with pytest.raises(PatchError, match="does not apply"):
        patched(text, {"f.c": BEFORE})


def test_a_foreign_mark_of_a_missing_line_end_counts():
    """The mark of a missing line end is known in every language."""
    text = "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-1\n\\ Kein Zeilenumbruch\n+2\n\\ Kein Zeilenumbruch\n"
    assert patched(text, {"f": b"1"}) == {"f": b"2"}


def test_context_may_have_moved():
    """A hunk is found where its lines moved to; of several places the nearest one counts."""
    moved = b"0\n" * 20 + C_FILE
    new = C_FILE.replace(b"a = 3", b"a = 4")
    text = diff.write("f.c", C_FILE, new)
    assert patched(text, {"f.c": moved}) == {"f.c": b"0\n" * 20 + new}
    assert patched(text, {"f.c": moved + C_FILE}) == {"f.c": b"0\n" * 20 + new + C_FILE}


NEAR = st.lists(st.sampled_from([b"a", b"b", b"}"]), min_size=4, max_size=40)


@settings(max_examples=300, deadline=None)
@given(NEAR, NEAR, st.integers(1, 45), st.integers(0, 38))
def test_of_several_places_git_takes_the_same(scratch, lines, more, stated, at):
    """Wherever a hunk says that it belongs, it lands where the real git puts it."""
    at %= len(lines) - 3
    one, two, three = lines[at : at + 3]
    base = b"\n".join(lines + more) + b"\n"
    text = f"--- a/f.c\n+++ b/f.c\n@@ -{stated},3 +{stated},3 @@\n".encode()
    text += b" %s\n-%s\n+x\n %s\n" % (one, two, three)
    try:
        found = patched(text, {"f.c": base})["f.c"]
    except PatchError:
        found = None
    assert git_apply(scratch, text, base) == found


def test_a_hunk_does_not_build_on_another():
    """Lines that one hunk put there are no context for the next."""
    hunks = "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n@@ -9,3 +9,3 @@\n x\n-c\n+d\n e\n"
    with pytest.raises(PatchError, match=r"hunk 2 of f\.c does not apply"):
        patched(f"--- a/f.c\n+++ b/f.c\n{hunks}", {"f.c": b"a\nb\nc\ne\n"})


def test_there_is_no_fuzz():
    """One changed line of context is enough to refuse a hunk, with what it looked for."""
    text = f"--- a/f.c\n+++ b/f.c\n{BODY}"
    words = r"p:3: hunk 1 of f\.c does not apply: near line 1 it looks for '3', which the file does"
    with pytest.raises(PatchError, match=words):
        patched(text, {"f.c": b"1\n2\nthree\n"})


def test_the_failing_hunk_is_named():
    """Of several hunks the one that does not fit is named, with its first line."""
    new = C_FILE.replace(b"a = 0", b"a = 9").replace(b"a = 5", b"a = 8")
    text = diff.write("f.c", C_FILE, new)
    with pytest.raises(
        PatchError, match=r"hunk 2 of f\.c does not apply: .*'static int f5\(void\)'"
    ):
        patched(text, {"f.c": C_FILE.replace(b"f5(void)", b"g5(void)")})


GIT = "diff --git a/f.c b/f.c\n"
PAIR = "--- a/f.c\n+++ b/f.c\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense\n", "p holds no patch"),
        (f"{PAIR}@@ -1,3 +1,3 @@\n 1\n-2\n", r"p:5: hunk 1 of f\.c is shorter than its header"),
        (f"{PAIR}@@ -1,3 +1,3 @@\n 1\nx\n", r"p:5: hunk 1 of f\.c has a line that begins neither"),
        (f"{PAIR}@@ -1,3 +1,3\n 1\n-2\n+3\n", r"p:3: hunk 1 of f\.c has a bad hunk header"),
        (f"{PAIR}@@ -1 +1 @@\n-1\n+2\n+3\n", r"p:6: hunk 1 of f\.c is longer than its header"),
        (f"{PAIR}@@ -1 +1 @@\n 1\n", r"p:3: hunk 1 of f\.c changes nothing"),
        (f"{PAIR}\n", r"p:1: f\.c has no hunk: below its header"),
        (f"{GIT}index 1..2 100644\nGIT binary patch\nliteral 1\nIcmZ\n", r"of f\.c is binary"),
        (f"{GIT}Binary files a/f.c and b/f.c differ\n", r"of f\.c is binary"),
        ("diff --cc f.c\n--- a/f.c\n+++ b/f.c\n@@@ -1 -1 +1 @@@\n--1\n++2\n", "combined diff"),
    ],
)
def test_a_bad_patch_is_told(text, sentence):
    """What is no usable patch is refused with the place and the reason."""
    with pytest.raises(PatchError, match=sentence) as caught:
        diff.parse(text.encode(), "p")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "../f.c", "x/../../f.c", "/etc/passwd", ".git/config", "x/.GIT/hooks/a", ".git./config",
        "C:/f.c", "c:f.c", "x//f.c", "./f.c", "f\\000.c",
    ],
)  # fmt: skip
def test_a_path_out_of_the_tree_is_refused(path):
    """No patch reaches out of the tree, or into what git keeps there."""
    quoted = f'"b/{path}"' if "\\" in path else f"b/{path}"
    text = f"--- /dev/null\n+++ {quoted}\n@@ -0,0 +1 @@\n+x\n"
    with pytest.raises(PatchError, match="leads out of the tree; it is not applied"):
        diff.parse(text.encode(), "p")
    renamed = f"diff --git a/f.c {quoted}\nsimilarity index 100%\n"
    renamed += f"rename from f.c\nrename to {quoted.replace('b/', '')}\n"
    with pytest.raises(PatchError, match="leads out of the tree"):
        diff.parse(renamed.encode(), "p")


def test_a_file_that_is_missing_or_in_the_way_is_told():
    """A file to change must be there, a file to make must not."""
    with pytest.raises(PatchError, match=r"p:1: changes f\.c, which does not exist"):
        patched(PAIR + BODY, {})
    text = diff.write("f.c", None, b"1\n")
    with pytest.raises(PatchError, match=r"p:1: makes f\.c, which already exists"):
        patched(text, {"f.c": b""})
    with pytest.raises(PatchError, match=r"makes n\.c, which already exists"):
        patched(diff.write("n.c", b"1\n", b"1\n", renamed_from="f.c"), {"f.c": b"1\n", "n.c": b""})
    partly = f"{GIT}deleted file mode 100644\n--- a/f.c\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-1\n-2\n"
    with pytest.raises(PatchError, match=r"hunk 1 of f\.c does not apply"):
        patched(partly, {"f.c": b"1\n2\n3\n"})
    emptied = f"{GIT}deleted file mode 100644\nindex e69de29..0000000\n"
    with pytest.raises(PatchError, match=r"deletes f\.c but does not remove all"):
        patched(emptied, {"f.c": b"1\n"})
    with pytest.raises(PatchError, match=r"f\.c has no hunk"):
        patched(f"{GIT}deleted file mode 100644\n", {"f.c": b"1\n"})


def test_plain_diffs_make_files_too():
    """A plain diff of a file that was not there makes it."""
    text = "--- linux.orig/d/n.c\t1970-01-01\n+++ linux/d/n.c\t2020-01-01\n@@ -0,0 +1 @@\n+x\n"
    assert patched(text, {}) == {"d/n.c": b"x\n"}
    assert patched(text, {"d/n.c": b""}) == {"d/n.c": b"x\n"}


def test_headings_skip_labels_in_c():
    """The heading of a hunk is the function, not a label in it."""
    new = C_FILE.replace(b"a = 1", b"a = 6")
    headings = re.findall("@@ .* @@ ?(.*)", diff.write("f.c", C_FILE, new))
    assert headings == ["static int f0(void)"]
