# SPDX-License-Identifier: GPL-2.0-only
# ruff: noqa: E501 (tables with one case a line)
"""No patch goes unread: whatever mailers and people do to it, silence has to be earned."""

import base64
import gzip
import io
import json
import os
import quopri
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from damage import damaged
from scratch import commit, git, program, repository
from test_lint import (
    FIXED,
    HARMLESS,
    LMA,
    MMU,
    REGRESSIONS,
    STORE,
    SVM,
    change,
    mail,
    patch_of,
)

from patchtool import cli
from patchtool.c.index import Index
from patchtool.errors import PatchError
from patchtool.outside.mail import read
from patchtool.outside.source import WorkTree
from patchtool.rules import stale_mmu_role as rule

GAP = patch_of(FIXED, REGRESSIONS["bit dropped"])
FINE = patch_of(FIXED, HARMLESS["a comment"])
BODY = GAP.partition(f"+++ b/{MMU}\n")[2]
PLAIN = GAP.partition("\n")[2]
ELSEWHERE = (
    "diff --git a/net/core/dev.c b/net/core/dev.c\n--- a/net/core/dev.c\n+++ b/net/core/dev.c\n"
    "@@ -1 +1 @@\n-a\n+b\n"
)


@pytest.fixture
def judge(monkeypatch, capfd):
    """Return a runner of both readers of patches: what lint and what check --diff say."""

    def runner(data, tree=FIXED, *more):
        raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape")
        found = []
        for words in (["lint", "-", "--tree", str(tree)], ["check", str(tree), "--diff", "-"]):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
            status = cli.main([*words, "--format", "terse", *more])
            out, err = capfd.readouterr()
            found.append((status, out.count("ERROR:STALE_MMU_ROLE"), err))
        return found

    return runner


def both(found):
    """Return what lint and check agree on: status and standard error."""
    (one, _, first), (two, _, second) = found
    assert (one, first) == (two, second)
    return one, first


def part(kind, text, *more):
    """Return one part of a mail."""
    head = "".join(f"{line}\n" for line in (f"Content-Type: {kind}", *more))
    return f"--xx\n{head}\n{text}\n"


def in_parts(*parts, kind="mixed"):
    """Return a mail of several parts."""
    head = mail("").partition("\n\n")[0]
    head += f'\nMIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary="xx"\n\n'
    return head + "".join(parts) + "--xx--\n"


def coded(text):
    """Return a text in base64."""
    return base64.encodebytes(text.encode()).decode()


def in_base64(*texts):
    """Return a mail in base64, each text with an end of its own."""
    head = mail("").partition("\n\n")[0]
    return f"{head}\nContent-Type: text/plain\n{BASE64}\n\n{''.join(map(coded, texts))}"


BASE64 = "Content-Transfer-Encoding: base64"
ESCAPED = GAP.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
STRIPPED = re.sub(r"^ $", "", BODY, flags=re.MULTILINE)
QUILT = f"Index: linux/{MMU}\n{'=' * 67}\n--- linux.orig/{MMU}\n+++ linux/{MMU}\n"
SVN = f"Index: {MMU}\n{'=' * 67}\n--- {MMU}\t(revision 1)\n+++ {MMU}\t(working copy)\n"
DEP3 = "Description: Drop a bit\n that looks redundant\nAuthor: A Tester <t@example.com>\nOrigin: other\n"
PAGE = "Documentation/virt/kvm/x86/mmu.rst"
FOOTER = "_______________________________________________\nlist mailing list\n+49 30 1234\n"
FOLDED = mail(GAP).replace(
    "Subject: [PATCH] KVM: x86/mmu: Do", "Subject: [PATCH]\n\tKVM: x86:\n Do"
)

ARMOUR = (
    "-----BEGIN PGP SIGNATURE-----\n\n"
    + base64.encodebytes(random.Random(1).randbytes(300)).decode()
    + "-----END PGP SIGNATURE-----\n"
)

TAKEN = {
    "as it is": mail(GAP),
    "a bare diff": GAP,
    "a plain diff": PLAIN,
    "a plain diff of two equal folders": PLAIN.replace("--- a/", "--- linux/").replace("+++ b/", "+++ linux/"),
    "a plain diff from here": PLAIN.replace("--- a/", "--- ./").replace("+++ b/", "+++ ./"),
    "a plain diff of an older copy": PLAIN.replace(f"--- a/{MMU}", f"--- {MMU}.orig").replace("+++ b/", "+++ "),
    "quilt": QUILT + BODY,
    "quilt, spaces at line ends lost": QUILT + STRIPPED,
    "quilt, two files": QUILT + STRIPPED + "Index: linux/MAINTAINERS\n" + "=" * 67
    + "\n--- linux.orig/MAINTAINERS\n+++ linux/MAINTAINERS\n@@ -1,1 +1,2 @@\n # SPDX-License-Identifier: GPL-2.0-only\n+# y\n",
    "svn": SVN + BODY + "\nProperty changes on: x\n___________\nAdded: svn:executable\n   + *\n",
    "headers of Debian": f"{DEP3}---\n{PLAIN}",
    "headers of Debian without an end": f"{DEP3}{PLAIN}",
    "folded headers": FOLDED,
    "a list footer": mail(GAP).replace("-- \n2.39.5\n", FOOTER),
    "a list footer of dashes": mail(GAP).replace("-- \n2.39.5\n", f"{'-' * 60}\n  To unsubscribe\n"),
    "a footer of a virus scanner": mail(GAP).replace("-- \n2.39.5\n", "---\nThis was checked.\n"),
    "escaped words": mail(GAP).replace("Words.", ">From here on,\n>>From there on."),
    "a quoted diff in the words": mail(GAP).replace(
        "Words.", "  diff --git a/x b/x\n  --- a/x\n  +++ b/x\n  @@ -1 +1 @@\n  -a\n  +b\n"),
    "parts in base64": in_parts(part("text/plain; charset=utf-8", coded(f"Words\n---\n{GAP}-- \n2\n"), BASE64)),
    "an attachment of no type": in_parts(
        part("text/plain", "See the patch."), part("application/octet-stream", coded(GAP), BASE64)),
    "an attachment that is a mail": in_parts(part("text/plain", "Hi"), part("message/rfc822", mail(GAP))),
    "a copy in HTML": in_parts(part("text/plain", GAP), part("text/html", f"<pre>{ESCAPED}</pre>"),
                               kind="alternative"),
    "signed": in_parts(part("text/plain", GAP), part(
        "application/pgp-signature", "-----BEGIN PGP SIGNATURE-----\nabc\n-----END PGP SIGNATURE-----"),
        kind="signed"),
    "with a picture": in_parts(part("text/plain", GAP), part("image/png", coded("a\0b"), BASE64)),
    "inline and attached": in_parts(part("text/plain", GAP), part("text/x-patch", GAP)),
    "an answer with a patch": mail(GAP, "Re: [PATCH] KVM: x86/mmu: Do something"),
    "a byte order mark": "\ufeff" + mail(GAP),
    "tools": GAP + GAP.replace(MMU, "tools/arch/x86/include/asm/cpufeatures.h"),
    "a file that KVM does not need": mail(ELSEWHERE + GAP),
    "a picture": mail(f"diff --git a/logo.png b/logo.png\nindex 1..2\nBinary files differ\n{GAP}"
                      .replace("Binary files", "Binary files a/logo.png and b/logo.png")),
    "a cover letter in front": mail("", "[PATCH 0/1] Cover") + mail(GAP, "[PATCH 1/1] Drop"),
    "svn's own git form": SVN.partition("---")[0] + GAP.replace(f"--- a/{MMU}", f"--- a/{MMU}\t(revision 1)"),
    "CVS": f"Index: {MMU}\n{'=' * 67}\nRCS file: /cvs/x,v\nretrieving revision 1.1\ndiff -u -r1.1 mmu.c\n"
    + f"--- {MMU}\t1 Jan 2024 00:00:00 -0000\t1.1\n+++ {MMU}\t2 Jan 2024 00:00:00 -0000\n{BODY}",
    "Mercurial": f"# HG changeset patch\n# User x\nDo\n\ndiff -r 123456789abc {MMU}\n{PLAIN}",
    "an interdiff": f"only in patch2:\nunchanged:\n{PLAIN}",
    "no prefix": GAP.replace(" a/", " ").replace(" b/", " "),
    "mnemonic prefixes": GAP.replace(" a/", " i/").replace(" b/", " w/"),
    "prefixes of one's own": GAP.replace(" a/", " old/").replace(" b/", " new/"),
    "two folders": GAP.replace(" a/", " a/old/").replace(" b/", " b/new/"),
    "two folders from afar": GAP.replace(" a/", " a/src/old/linux/").replace(" b/", " b/../new/linux/"),
    "a plain diff from afar": PLAIN.replace("--- a/", "--- /src/old/").replace("+++ b/", "+++ /home/new/linux/"),
    "git's diff of an older copy": GAP.replace(f" a/{MMU}", f" a/{MMU}.orig"),
    "dates in git's header": GAP.replace(f"--- a/{MMU}", f"--- a/{MMU} 2016-05-12 10:39:37.54 +0200"),
    "git's mail in a mail": mail("", "[PATCH] Drop").partition("Words.")[0] + mail(GAP, "[PATCH] Drop"),
    "git's mail without a subject in a mail": mail("", "[PATCH 2/2] Drop").partition("Words.")[0] + re.sub("Subject: .*\n", "", mail(GAP)),
    "a file elsewhere that was renamed by hand": ELSEWHERE.replace("b/net/core/dev.c\n---", "b/x\n---").replace("--git a/net/core/dev.c", "--git a/x") + GAP,
    "a copy from elsewhere": PLAIN.replace(f"--- a/{MMU}", "--- /tmp/mmu.c"),
    "absolute paths": PLAIN.replace("--- a/", "--- /usr/src/linux/").replace("+++ b/", "+++ /usr/src/linux/"),
    "a page that is named as a patch": in_parts(part("text/plain", FINE), part('text/html; name="x.patch"', GAP)),
    "a page with marks": in_parts(part("text/plain", GAP), part("text/html", "<pre>" + re.sub(
        "^(.*)$", r"<b>\1</b><br>", ESCAPED, flags=re.M).replace(" ", "&nbsp;") + "</pre>"), kind="alternative"),
    "a page beside it": f"diff --git a/{PAGE} b/{PAGE}\n--- a/{PAGE}\n+++ b/{PAGE}\n@@ -1 +1 @@\n-a\n+b\n{GAP}",
    "files of other folders that this tree lacks": "".join(
        ELSEWHERE.replace("net/core/dev.c", one) for one in ("mm/mmap.c", "linux/drivers/x.c")) + GAP,
    "names in quotes": re.sub(r" ([ab]/\S+)kvm(\S+)", r' "\1k\\166m\2"', GAP.partition("@@")[0]) + GAP[len(GAP.partition("@@")[0]):],
    "a mode besides": GAP.replace("\n--- ", "\nold mode 100644\nnew mode 100755\n--- ", 1),
    "a log": f"commit {'1' * 40}\nAuthor: A <a@b>\n\n    KVM: Drop\n    \n    diff --git a/x b/x\n\n{GAP}",
    "behind scissors": mail(f"Sure.\n\n-- >8 --\nSubject: [PATCH] KVM: Drop\n\nWords\n---\n{GAP}", "Re: [PATCH] x"),
    "in a fence": f"See:\n\n```diff\n{GAP}```\n",
    "below the signature": mail(FINE) + f"-- \nA list\n\n{GAP}",
    "carriage returns": mail(GAP).replace("\n", "\r\n"),
    "spaces at line ends lost": re.sub(r"[ \t]+$", "", mail(GAP), flags=re.M),
    "parts in parts": in_parts(part('multipart/mixed; boundary="yy"', f"--yy\nContent-Type: text/plain\n{BASE64}\n\n{coded(GAP)}--yy--")),
    "a forwarded mail in base64": in_parts(part("message/rfc822", mail("").partition("\n\n")[0]
        + f"\nContent-Type: text/plain\n{BASE64}\n\n{coded(GAP)}")),
    "a part in UTF-16": in_parts(part("text/plain; charset=utf-16le", base64.encodebytes(GAP.encode("utf-16-le")).decode(), BASE64)),
    "a part in EBCDIC": in_parts(part("text/plain; charset=cp037", base64.encodebytes(GAP.encode("cp037")).decode(), BASE64)),
    "a header of blanks": mail(GAP).replace("Subject:", f"Content-Type: text/plain{' ' * 300_000}x\nSubject:"),
    "a charset that nobody knows": in_parts(part("text/plain; charset=y", GAP)),
    "base64 with a footer of a list": in_base64(GAP) + FOOTER,
    "base64 in several pieces": in_base64(*re.findall("(?s).{1,100}", GAP)),
    "an encoding in quotes": in_base64(GAP).replace("base64", '"base64" ;'),
    "a long file that was renamed": mail(GAP).replace(
        "---\n", "---\n .../crypto/internal}/jitterentropy.h | 2 +-\n .../{a.c => decompress.c} | 2 +-\n .../decompress.c} | 2 +-\n", 1),
    "keys, ids and addresses": mail(GAP).replace("Words.", ARMOUR + "".join(f"{n:040x}\n" for n in range(9)) + "".join(
        f"https://lore.kernel.org/r/CABgObfZqVW3{n:08}uJtYXs-Kd9EhMbG8TnLo5RrAPiFcx@mail.gmail.com\n" for n in range(4))),
    "an mbox from elsewhere": mail(FINE).replace("\n", " remote from x\n", 1) + mail(GAP).replace(" 00:00:00 ", " 0:00:00 ", 1),
    "flowed and quoted-printable": in_parts(part("text/plain; format=flowed; delsp=yes", quopri.encodestring(
        re.sub("^(?=[ >]|From )", " ", GAP, flags=re.M).encode()).decode(), "Content-Transfer-Encoding: quoted-printable")),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_every_form_of_a_patch_is_judged(judge, name):
    """Whatever is around a patch that brings in a gap, both commands find the gap."""
    found = judge(TAKEN[name])
    assert [(status, gaps) for status, gaps, _ in found] == [(1, 2)] * 2, found


RANDOM = random.Random(1).randbytes(300)


def among(words):
    """Return a mail with a harmless patch and these words above it."""
    return mail(FINE).replace("Words.", words)


def cut(text, width):
    """Return a text in lines of a width."""
    return re.sub(f"(.{{{width}}})", r"\1\n", text)


HEAD = GAP.partition("@@")[0]
NEW = (
    "diff --git a/{0} b/{0}\nnew file mode {1}\nindex 0000000..1234567\n--- /dev/null\n+++ b/{0}\n"
    "@@ -0,0 +1 @@\n+{2}"
)
LOST = patch_of(
    FIXED, [(MMU, LMA, ""), (MMU, "{\n\treturn vaddr;\n}", "{\n\treturn vaddr & 1;\n}")]
)
HUNK = re.search(r"^@@ (?!.*^@@ )", LOST, re.MULTILINE | re.DOTALL).start()

REFUSED = {
    "nothing": ("", "is empty"),
    "blank lines": ("\n \n", "is empty"),
    "words": ("Only words.\n", "holds no patch"),
    "a patch that is none": (mail("", "[PATCH 2/3] KVM: Drop"), '"KVM: Drop" holds no patch'),
    "one of two without a patch": (mail(FINE, "[PATCH 1/2] A") + mail("", "[PATCH 2/2] B"), 'mail 2, "B" holds no patch'),
    "an answer that quotes": (mail(re.sub("^", "> ", GAP, flags=re.M), "Re: [PATCH] x"), "quoted or indented"),
    "indented": (mail(re.sub("^", "  ", GAP, flags=re.M)), "quoted or indented"),
    "cut below the header": (HEAD, f"{MMU} has no hunk: below its header the text ends"),
    "cut inside the header": (GAP.partition("---")[0] + "index 1..2 100644\n", "has no hunk"),
    "the hunk indented": (GAP.replace("@@ -", " @@ -"), '"@@", is indented'),
    "the second hunk indented": (LOST[:HUNK] + " " + LOST[HUNK:], '"@@", is indented'),
    "the second hunk's header damaged": (LOST[:HUNK] + "x" + LOST[HUNK:], "whose header is damaged"),
    "the second hunk's header lost": (LOST[:HUNK] + LOST[HUNK:].partition("\n")[2], "longer than"),
    "a hunk apart": (LOST[:HUNK] + "\n" + LOST[HUNK:], "belongs to no file"),
    "a hunk without a file": (f"Words\n{BODY}", "belongs to no file"),
    "the file's name lost": (GAP.replace(f"+++ b/{MMU}\n", ""), 'there is no "+++"'),
    "backslashes": (GAP.replace(MMU, MMU.replace("/", "\\")), "with other slashes than"),
    "a page with another patch": (in_parts(part("text/plain", FINE), part("text/html", f"<pre>{ESCAPED}</pre>")), "this part in HTML holds '@@ -"),
    "an archive that is called a picture": (in_parts(part("text/plain", FINE), part('image/png; name="x.png"', base64.encodebytes(gzip.compress(GAP.encode())).decode(), BASE64)), "'x.png' is no text"),
    "a picture that is called a patch": (in_parts(part("text/plain", FINE), part('image/png; name="x.patch"', coded("a\0b"), BASE64)), "'x.patch' is no text"),
    "uuencoded in a part": (in_parts(part("text/plain", FINE), part("text/plain", "Hi\nbegin 644 x\n#0V%T\n`\nend")), "attachment 'x'"),
    "uuencoded": (mail(FINE).replace("-- \n", "-- \n2\n\nbegin 644 x.patch\n#0V%T\n`\nend\n"), "in the attachment 'x.patch', which is encoded among the words"),
    "one name of quilt damaged": ((QUILT + BODY).replace("+++ linux/arch/x86", "+++ linux/arch/x84"), "name different files"),
    "one name of diff damaged": (PLAIN.replace("+++ b/arch/x86", "+++ b/arch/x84"), "name different files"),
    "renamed by hand": (GAP.replace(f"--git a/{MMU} b/{MMU}", "--git a/x b/x"), "name different files"),
    "renamed by hand, to somewhere else": (GAP.replace(f"--- a/{MMU}", "--- a/x").replace(f"+++ b/{MMU}", "+++ b/x"), "name different files"),
    "a mail without a patch in front of another": (mail("", "[PATCH] A").partition("Words.")[0] + mail(GAP, "[PATCH] B"), 'mail 1, "A" holds no patch'),
    "names that disagree": (GAP.replace(f"+++ b/{MMU}", "+++ b/mm/mmu.c"), "name different files"),
    "one letter of a name": (GAP.replace("b/arch/x86/kvm", "b/arch/x86/kvn"), "name different files"),
    "another case": (GAP.replace("arch/x86/kvm", "arch/x86/KVM"), "large and small"),
    "counted from elsewhere": (GAP.replace("/arch/x86/kvm/", "/"), "arch/x86/kvm/mmu/mmu.c is: the"),
    "counted from arch": (GAP.replace("/arch/x86/", "/x86/"), "counts its paths from arch"),
    "an unknown folder": (GAP.replace(MMU, "lib64/x.c"), "lib64/x.c is not in this tree"),
    "a new file counted from elsewhere": (NEW.format("mmu/more.c", 100644, "int x;\n"), "new in a folder that is not in this tree, but arch/x86/kvm/mmu is"),
    "a new file below another folder": (NEW.format("linux/arch/x86/kvm/more.c", 100644, "int x;\n"), "would be new in linux, a folder that is not"),
    "wrapped": (mail(GAP).replace("&& ____is_cr4_la57", "&&\n____is_cr4_la57"), "a mailer wrapped"),
    "one line with other spaces, and another version": (GAP.replace("ext.cr4_la57", "ext.cr4_57").expandtabs(8), "which the file does not have"),
    "spaces for tabs": (GAP.expandtabs(8), "other white space"),
    "no context": (f"{HEAD}@@ -92 +91,0 @@ x\n-{LMA}", "made without context (-U0)"),
    "a diff in the words": (mail(GAP).replace("Words.", ELSEWHERE), "indent the diff in the words"),
    "HTML only": (in_parts(part("text/html", f"<pre>{ESCAPED}</pre>")), "in HTML only"),
    "an archive": (in_parts(part("text/plain", "Hi"), part('application/gzip; name="x.gz"', coded("a\0b"), BASE64)), "attachment 'x.gz' is no text"),
    "an archive beside a patch": (in_parts(part("text/plain", FINE), part("application/zip", coded("a\0b"), BASE64)), "is no text"),
    "a mail cut short": (in_parts(part("text/plain", FINE)).removesuffix("--xx--\n"), "the mail is damaged"),
    "encrypted": (in_parts(part("application/octet-stream", "-----BEGIN PGP MESSAGE-----\nx\n-----END PGP MESSAGE-----")), "encrypted"),
    "dashes escaped": (re.sub("^-", "- -", GAP, flags=re.M), "has no hunk"),
    "a context diff": (f"*** a/{MMU}\n--- b/{MMU}\n***************\n*** 1,2 ****\n", "context diff"),
    "a merge": (f"diff --cc {MMU}\n--- a/{MMU}\n+++ b/{MMU}\n@@@ -1 -1 +1 @@@\n--1\n++2\n", "combined"),
    "a file left out": (FINE + f"Only in b/{MMU.rpartition('/')[0]}: more.c\n", "leaves out a whole"),
    "a file left out in front": (f"Only in b/{MMU.rpartition('/')[0]}: more.c\n" + FINE, "leaves out a whole"),
    "two mails without a line between them": (mail(FINE).partition("\n")[2] * 2, "another mail begins here"),
    "colours": (re.sub("^(-.*)$", "\x1b[31m\\1\x1b[m", GAP, flags=re.M), "colours of a terminal"),
    "colours, and a file that has none": (
        re.sub("^(.+)$", "\x1b[1m\\1\x1b[m", GAP, flags=re.M) + "Binary files a/x.png and b/x.png differ\n",
        "colours of a terminal"),
    "half of the diffstat": (mail(FINE).replace("---\n", f"---\n {MMU} | 1 +\n {SVM} | 1 +\n", 1), f"names {SVM}"),
    "fewer lines than the diffstat": (mail(FINE).replace("---\n", f"---\n {MMU} | 9 ++--\n", 1), "9 changed lines"),
    "in the middle of a series": (mail(GAP.replace("ext.", "exu."), "[PATCH 12/37] A"), "12 of 37: give the 11 before"),
    "for another version": (GAP.replace("ext.", "exu."), "was the patch made for another version?"),
    "for a commit that it names": (mail(GAP.replace("ext.", "exu.")) + f"base-commit: {'12' * 20}\n", "for commit 121212121212"),
    "UTF-16": (mail(GAP).encode("utf-16"), "is in UTF-16"),
    "a path with a dot": (GAP.replace("x86/kvm", "x86/./kvm"), "a part that git takes for none"),
    "a path with two slashes": (PLAIN.replace("x86/kvm", "x86//kvm"), "a part that git takes for none"),
    "a path from elsewhere": (GAP.replace("arch/x86", "fs/../arch/x86"), "leads out of the"),
    "a submodule in place of KVM": (NEW.format("arch/x86/kvm", 160000, f"Subproject commit {'1' * 40}\n"), "or a submodule"),
    "a link to other code": (NEW.format("arch/x86/kvm/more.c", 120000, "mmu/mmu.c\n\\ No newline at end of file\n"), "is a symbolic link"),
    "a patch above the parts": (in_parts(part("text/plain", FINE)).replace("\n\n--xx", f"\n\n{GAP}--xx", 1), "outside of the parts"),
    "a patch below the parts": (in_parts(part("text/plain", FINE)) + GAP, "outside of the parts"),
    "a patch that is elsewhere": (in_parts(part("text/plain", FINE), part('message/external-body; access-type=URL; URL="http://x"', "Content-Type: text/x-patch\n")), "is not there"),
    "an archive without zeros": (in_parts(part("text/plain", FINE), part('application/zip; name="x.zip"', base64.encodebytes(b"PK\3\4a\xff\xfe").decode(), BASE64)), "'x.zip' is no text"),
    "sealed by Outlook": (in_parts(part("text/plain", FINE), part('application/ms-tnef; name="winmail.dat"', base64.encodebytes(b"\x78\x9f\x3e\x22a").decode(), BASE64)), "no text"),
    "sealed": (in_parts(part("text/plain", FINE), part("application/pkcs7-mime", base64.encodebytes(b"0\x82a\1\2").decode(), BASE64)), "is no text"),
    "an encoding that nobody knows": (in_parts(part("text/plain", GAP, "Content-Transfer-Encoding: x-zip")), "encoded as 'x-zip'"),
    "compressed": (gzip.compress(mail(GAP).encode(), mtime=0), "holds no patch; it is no text, but compressed"),
    "UTF-16 without a mark": (mail(GAP).encode("utf-16-le"), "or in another encoding"),
    "a graph": (re.sub("^", "| ", GAP, flags=re.M), "holds no patch"),
    "a diff of words": (GAP.replace(f"-{LMA}", f" [-{LMA.strip()}-]\n"), "other lines than its header says"),
    "other signs": (re.sub("^-(?=\\t)", "<", GAP, flags=re.M), "begins neither with a space"),
    "the third of five": ("".join(mail(GAP.replace("@@ -", "@ -") if n == 3 else FINE if n == 1 else ELSEWHERE, f"[PATCH {n}/5] Do") for n in range(1, 6)), 'mail 3, "Do"'),
    "base64 with a patch below": (in_base64(FINE) + GAP, "begins neither with a space"),
    "base64 with a letter too many": (re.sub("\n(?=.*\n_)", "\n#", in_base64(GAP) + FOOTER, count=1), "base64 is not whole"),
    "base64 and no header": (mail(FINE) + mail(coded(mail(GAP)), "KVM: x"), 'mail 2, "KVM: x": these lines are a diff in base64'),
    "base64 in a cover letter": (mail(coded(GAP), "[PATCH 0/1] All") + mail(FINE, "[PATCH 1/1] One"), "a diff in base64"),
    "base64 below the signature": (mail(FINE) + coded(GAP), "a diff in base64"),
    "base64 that is quoted": (among(re.sub("^", "> ", coded(GAP), flags=re.M)), "a diff in base64"),
    "base64 on one line": (among(base64.b64encode(GAP.encode()).decode()), "a diff in base64"),
    "base64 on short lines": (among(cut(base64.b64encode(GAP.encode()).decode(), 24)), "a diff in base64"),
    "base64 for addresses": (among(base64.urlsafe_b64encode(GAP.encode()).decode()), "a diff in base64"),
    "base64 of UTF-16": (among(base64.encodebytes(GAP.encode("utf-16")).decode()), "a diff in base64"),
    "base64 of an archive": (among(base64.encodebytes(gzip.compress(GAP.encode(), mtime=0)).decode()), "a compressed file in base64"),
    "base64 of what nobody knows": (among(base64.encodebytes(RANDOM).decode()), "what is in them is not known"),
    "base64 between the parts": (in_parts(part("text/plain", FINE)) + coded(GAP), "a diff in base64"),
    "base64 in a part": (in_parts(part("text/plain", FINE), part("text/plain", coded(GAP))), "a diff in base64"),
    "two encodings": (mail(FINE) + mail(coded(GAP), "x").replace("Subject", "Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\nSubject"), "a diff in base64"),
    "base32": (among(cut(base64.b32encode(GAP.encode()).decode(), 60)), "a diff in base32"),
    "hexadecimal": (among(cut(GAP.encode().hex(), 60)), "a diff in hexadecimal"),
    "base85": (among(cut(base64.b85encode(RANDOM).decode(), 70)), "what is in them is not known"),
    "yEnc": (among("=ybegin line=128 size=9 name=x.patch\nabc\n=yend size=9"), "attachment 'x.patch'"),
    "encrypted below a patch": (mail(FINE) + "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n", "is encrypted"),
    "encrypted beside a patch": (mail(FINE) + mail("-----BEGIN PGP MESSAGE-----\n\nhQEMA\n", "x"), "is encrypted"),
    "a string of JSON": (mail(FINE) + json.dumps(GAP), "stands behind something else"),
    "a part of JSON": (in_parts(part("text/plain", FINE), part("application/json", json.dumps({"diff": GAP}))), "stands behind something else"),
    "a shell archive": (mail(FINE) + re.sub("^", "X", GAP, flags=re.M), "stands behind something else"),
    "with numbers of lines": (mail(FINE) + "".join(f"{n:6}\t{line}\n" for n, line in enumerate(GAP.split("\n"))), "stands behind something else"),
    "elements of a page": (mail(FINE) + mail(re.sub("^(.*)$", r"<div>\1</div>", ESCAPED, flags=re.M), "x"), "stands behind something else"),
    "another form of diff": (mail(f"{FINE}diff -r a/{MMU} b/{MMU}\n92d91\n< {LMA}"), "not in unified form"),
    "a script for ed": (mail(f"{FINE}diff -e a/{MMU} b/{MMU}\n92d\n"), "not in unified form"),
    "a hunk that takes in the next file": (ELSEWHERE.replace("@@ -1 +1 @@", "@@ -1,2 +1,2 @@") + PLAIN, "a file begins here"),
    "a series that is no [PATCH]": (mail(FINE, "[RFC 1/2] A") + mail(re.sub("^", "  ", GAP, flags=re.M), "[RFC 2/2] B"), "although it says so"),
    "a tag without blanks": (mail(FINE, "[PATCHv2] A") + mail(re.sub("^", "> ", GAP, flags=re.M), "[PATCHv2] B"), "although it says so"),
    "a blank that is none, in a path": (GAP.replace("x86/kvm/", "x86/kvm\u200b/"), "the character U+200B in its name"),
    "a letter of another alphabet, in a path": (GAP.replace("kvm/", "k\u03bdm/"), "the character U+03BD in its name"),
    "a blank in a path": (PLAIN.replace("x86/kvm/", "x86/kvm /"), "the character U+0020 in its name"),
    "a series without its start": (mail(FINE, "[PATCH 1/2] A") + mail(GAP.replace("ext.", "exu."), "[PATCH 2/2] B"), "mail 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_judged_is_refused(judge, name):
    """Both commands say the same true sentence, and neither is silent."""
    data, words = REFUSED[name]
    status, err = both(judge(data))
    assert (status, err.count("\n")) == (2, 1), err
    assert words in err, err
    assert err.startswith("patchtool: error: standard input"), err


def test_a_sentence_has_the_line_and_the_subject(judge):
    """The line is that of the file, in the second mail, too, and the mail is named."""
    wrapped = mail(GAP, "[PATCH 2/2] Drop").replace("&& ____is_cr4_la57", "&&\n____is_cr4_la57")
    text = mail(FINE, "[PATCH 1/2] Fine") + wrapped
    line = text[: text.index("\n____is_cr4_la57")].count("\n") + 2
    _, err = both(judge(text))
    assert f'standard input:{line}: mail 2, "Drop": hunk 1 of {MMU} has a line' in err


def test_lines_of_encoded_parts_count_roughly(judge):
    """Of a text that was encoded the sentence says which of its lines it means."""
    text = in_parts(part("text/plain", coded(GAP.replace("@@ -", " @@ -")), BASE64))
    first = text[: text.index(coded(GAP)[:20])].count("\n") + 1
    _, err = both(judge(text))
    assert f"standard input:{first}: line 4 of the decoded text: " in err


def test_lines_of_plain_parts_count_exactly(judge):
    """A part that is not encoded is quoted by the line of the file, whatever its letters are."""
    words = GAP.replace("@@ -", " @@ -") + "\udce4\n"
    text = in_parts(
        part("text/plain; charset=iso-8859-1", words, "Content-Transfer-Encoding: 8bit")
    )
    line = text[: text.index(" @@ -")].count("\n") + 1
    _, err = both(judge(text))
    assert f"standard input:{line}: " in err and "decoded" not in err


def test_replies_in_a_thread_are_passed_over_with_a_note(judge):
    """A reply is no patch of the series, even with a diff; that is said, unless -q."""
    text = mail(FINE, "[PATCH 1/1] Fine") + mail(GAP, "Re: [PATCH 1/1] Fine")
    status, err = both(judge(text))
    assert (status, err.count("\n")) == (0, 1)
    assert 'mail 2, "Fine": note: this mail is a reply and no patch of the series' in err
    assert both(judge(text, FIXED, "-q")) == (0, "")
    words = mail(FINE, "[PATCH 1/1] Fine") + mail("", "Re: [PATCH 1/1] Fine")
    assert both(judge(words)) == (0, "")


@pytest.mark.parametrize("mark", ["  ", "\t", "> ", "| "])
def test_a_mail_that_quotes_a_diff_is_passed_over_with_a_note(judge, mark):
    """What is no patch by its subject and quotes one is said to hold none."""
    text = mail(FINE) + mail(re.sub("^", mark, GAP, flags=re.M), "Fwd: a draft")
    status, err = both(judge(text))
    assert (status, err.count("\n")) == (0, 1)
    assert '"Fwd: a draft": note: this mail holds no patch, but a diff that is quoted' in err
    text = mail(FINE, "[PATCH] Fine") + mail(coded(GAP), "Re: [PATCH] Fine")
    status, err = both(judge(text))
    assert (status, err.count("\n")) == (0, 1)
    assert "note: this mail is a reply" in err


def test_what_is_passed_over_is_listed_and_counted(judge):
    """With -v each file and mail that was not judged is there, with its reason."""
    tools = GAP.replace(MMU, "tools/arch/x86/include/asm/cpufeatures.h")
    new = "diff --git a/net/n.c b/net/n.c\nnew file mode 100644\n--- /dev/null\n+++ b/net/n.c\n"
    text = mail("", "[PATCH 0/1] All") + mail(
        f"{ELSEWHERE}{new}@@ -0,0 +1 @@\n+x\n{tools}{FINE}", "[PATCH 1/1] One"
    )
    found = judge(text, FIXED, "-v")
    assert [status for status, _, _ in found] == [0, 0]
    for _, _, err in found:
        notes = [line for line in err.split("\n") if ": note: " in line]
        assert [line.partition(": note: ")[2] for line in notes] == [
            "this mail is a cover letter",
            "net/core/dev.c is not in this tree, and no file that a verdict can rest on",
            "net/n.c is new, and no file that a verdict can rest on",
            "tools/arch/x86/include/asm/cpufeatures.h is below tools/, a copy that no verdict "
            "rests on",
        ]
        assert "patchtool: 4 things passed over\n" in err
    assert both(judge(text)) == (0, "")


def test_hunks_move_as_in_git(judge, tmp_path):
    """Of two places that fit a hunk the nearer one is taken, as git does."""
    tree = Path(shutil.copytree(FIXED, tmp_path / "linux"))
    body = "{\n\tint x = 1;\n\n\tx++;\n\treturn x;\n}\n"
    name = "arch/x86/kvm/dup.c"
    (tree / name).write_text(
        f"/* 1 */\nint a(void)\n{body}{chr(10) * 40}int b(void)\n{body}", "utf-8"
    )
    hunk = "@@ -3,4 +3,4 @@\n \tint x = 1;\n \n-\tx++;\n+\tx += 1;\n \treturn x;\n"
    assert both(judge(f"--- a/{name}\n+++ b/{name}\n{hunk}", tree)) == (0, "")


def test_git_reads_the_same(tmp_path):
    """What git's own mailinfo leaves of a mail has the same files and hunks."""
    texts = [
        text
        for name, text in TAKEN.items()
        if not re.search(
            "HTML|inline and|is a mail|forwarded|UTF-16|EBCDIC|charset|parts in parts", name
        )
    ]
    for number, text in enumerate(texts):
        where = tmp_path / str(number)
        where.mkdir()
        (where / "mbox").write_text(text, "utf-8")
        git(where, "mailsplit", "-b", f"-o{where}", "--", str(where / "mbox"))
        patch = b""
        for one in sorted(where.glob("0*")):
            git(where, "mailinfo", "msg", "patch", data=one.read_bytes())
            patch += (where / "patch").read_bytes()
        ours = [s for letter in read(text.encode(), "x").letters for s in letter.sections]
        if patch.strip():
            theirs = [s for letter in read(patch, "x").letters for s in letter.sections]
            assert [(s.old, s.new, s.lines) for s in ours] == [
                (s.old, s.new, s.lines) for s in theirs
            ], text


WISHES = {
    "format-patch --stdout -1": [
        "", "--attach", "--inline", "--cover-letter", "-k", "--no-stat", "-C", "-B", "-W", "-U1",
        "--no-renames", "--raw", "--no-prefix", "--src-prefix=old/ --dst-prefix=new/", "--base=HEAD~1",
        "-D", "--relative=arch/x86/kvm",
    ],
    "diff HEAD~1": [
        "--binary", "--word-diff", "--word-diff=porcelain", "--color-words", "--color=always", "--stat",
        "--patch-with-raw", "--output-indicator-old=<", "--line-prefix=|", "-U0", "--src-prefix=", "--cc",
    ],
    "log -1": ["-p", "-p --graph", "-p --format=email", "-p --color=always", "--stat"],
}  # fmt: skip
"""What git can be asked for, by command."""

SETTINGS = [
    "diff.noprefix=true", "diff.mnemonicPrefix=true", "core.quotePath=false", "diff.context=0",
    "format.attach=zz", "color.ui=always", "core.abbrev=4", "diff.suppressBlankEmpty=true",
    "diff.srcPrefix=x/",
]  # fmt: skip


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Return a repository whose last commit has a gap and other files, and the tree before it."""
    folder = tmp_path_factory.mktemp("wishes")
    more = {"Documentation/ü x.rst": b"a", "logo.png": bytes(range(256))}
    top = repository(Path(shutil.copytree(FIXED, folder / "linux")), more)
    before = Path(shutil.copytree(top, folder / "before", ignore=shutil.ignore_patterns(".git")))
    change(top, REGRESSIONS["bit dropped"])
    (top / "logo.png").write_bytes(bytes(range(255, -1, -1)))
    git(top, "mv", "Documentation/ü x.rst", "Documentation/y.rst")
    commit(top, "KVM: x86: Drop a bit")
    return top, before


@pytest.mark.parametrize("command", [*WISHES, *(f"-c {one}" for one in SETTINGS)])
def test_whatever_git_is_asked_for_is_judged_or_refused(judge, history, command):
    """The real git makes a patch in each of its forms; that of a gap never passes in silence."""
    top, before = history
    asked = [f"{command} {wish}" for wish in WISHES.get(command, ["diff HEAD~1"])]
    for words in asked:
        git_words = ["git", "-C", str(top), *words.split()]
        patch = subprocess.run(git_words, capture_output=True, check=True).stdout
        found = [status for status, _, _ in judge(patch, before)]
        assert found in ([1, 1], [2, 2]), words
    if command == "format-patch --stdout -1":
        assert found == [2, 2], "paths that count from elsewhere"


@pytest.mark.parametrize(
    "command",
    [
        "git diff --no-index old new", "git diff --no-index --no-prefix old new",
        "git diff --no-index {0}/old {0}/new", "diff -urN old new", "diff -urN {0}/old {0}/new",
    ],
)  # fmt: skip
def test_a_diff_of_two_folders_has_new_files(judge, tmp_path, command):
    """A file that one folder alone has lies where the others do, or the patch is refused."""
    for name in ("old", "new"):
        shutil.copytree(FIXED, tmp_path / name)
    more = tmp_path / "new/arch/x86/kvm/more.c"
    more.write_text(STORE.replace(" inline", ""), "utf-8")
    words = command.format(tmp_path).split()

    def made():
        return subprocess.run(words, cwd=tmp_path, capture_output=True, check=False).stdout

    status, err = both(judge(made()))
    assert (status, err.count("\n")) in ((2, 1), (3, 0)), err
    change(tmp_path / "new", HARMLESS["a comment"])
    assert [status for status, _, _ in judge(made())] == [3, 3]


# -- random damage -----------------------------------------------------------------------------


SECOND = mail(
    patch_of(
        FIXED,
        [
            *REGRESSIONS["bit dropped"],
            (MMU, "#include", "#define MORE 1\n\n#include"),
            (
                SVM,
                "\nvoid enter_svm",
                "\nstatic int more(void)\n{\n\treturn 1;\n}\n\nvoid enter_svm",
            ),
        ],
    )
)
MAILS = (
    mail(GAP), SECOND, TAKEN["quilt"], TAKEN["parts in base64"], TAKEN["a copy in HTML"],
    mail(TAKEN["two folders from afar"]), TAKEN["a plain diff"], TAKEN["git's mail in a mail"],
    TAKEN["base64 with a footer of a list"],
)  # fmt: skip
COPIES = 2000 if os.environ.get("CI") else 60


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Return what applies a mail with git and checks the outcome; None where git refuses."""
    top = repository(Path(shutil.copytree(FIXED, tmp_path_factory.mktemp("git") / "linux")), {})

    def applied(data):
        git(top, "reset", "--quiet", "--hard")
        git(top, "clean", "--quiet", "-fdx")
        where = top.parent / "mails"
        shutil.rmtree(where, ignore_errors=True)
        where.mkdir()
        (where / "mbox").write_bytes(data)
        git(top, "mailsplit", "-b", f"-o{where}", "--", str(where / "mbox"))
        for one in sorted(where.glob("0*")):
            git(top, "mailinfo", str(where / "msg"), str(where / "patch"), data=one.read_bytes())
            if (where / "patch").read_bytes().strip():
                command = ["git", "-C", str(top), "apply", str(where / "patch")]
                if subprocess.run(command, capture_output=True, check=False).returncode:
                    return None
        return rule.check(Index(WorkTree(str(top)), rule.TARGET)).verdict

    return applied


@pytest.mark.parametrize("kind", range(len(MAILS)))
def test_no_damage_makes_a_gap_silent(judge, fresh, kind):
    """A damaged mail is silent only where git applies it and there is no gap in the outcome."""
    for seed in range(COPIES // len(MAILS)):
        data, what = damaged(random.Random(1000 * seed + kind), MAILS[kind].encode())
        for status, _, err in judge(data):
            assert status in (0, 1, 2, 3), (seed, what, err)
            assert "please report it" not in err, (seed, what, err)
            if status == 0:
                assert fresh(data) == "covered", (seed, what)


def test_a_type_that_is_folded_is_told_on_one_line():
    """What is said of a mail is one line, whatever its headers are."""
    data = in_parts(part("text/plain", FINE), part("message/external\n -body", ""))
    with pytest.raises(PatchError, match="of type message/external -body is not there"):
        read(data.encode(), "x")


@pytest.mark.parametrize(
    "header",
    [
        *(
            f"Content-Type: text/plain; charset={one}"
            for one in ("a\0b", "idna", "punycode", "undefined", "utf-7", "utf-16", "\udcff", '"')
        ),
        "Content-Type: text/plain; charset*=utf-8''%ff",
        "Content-Type: text/plain; charset*0=ut; charset*",
        "Content-Type: text/plain; name*0=a; name*",
        "Content-Type: multipart/mixed; charset=undefined",
        "Subject: =?\udcff?q?a?=",
        "Subject: =?undefined?q?a?=",
    ],
)
@pytest.mark.parametrize("body", [GAP, GAP + "\udcfe\n"], ids=["ASCII", "more"])
def test_a_header_that_lies_is_refused_or_does_not_matter(header, body):
    """What a mail says of its letters hides no diff, and is no reason to fail."""
    words = f"From: a <b@c>\nMIME-Version: 1.0\n{header}\nContent-Transfer-Encoding: 8bit\n\n"
    try:
        post = read(f"{words}x\n---\n{body}".encode("utf-8", "surrogateescape"), "mail")
    except PatchError:
        return
    assert [one.path for letter in post.letters for one in letter.sections] == [MMU]


def test_parts_within_parts_without_end():
    """A mail whose parts are nested too deeply is damaged."""
    head = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(999))
    with pytest.raises(PatchError, match="the mail is damaged"):
        read(f"From: a <b@c>\n{head}\n{GAP}".encode(), "mail")


def test_every_damage_is_refused_or_read_alike():
    """Reading never raises anything but one sentence, whatever the bytes are."""
    for seed in range(COPIES * 4):
        rng = random.Random(seed)
        data, what = damaged(rng, rng.choice([*TAKEN.values()]).encode())
        try:
            read(data, "x")
        except PatchError as error:
            assert "\n" not in str(error).replace("\\n", ""), what  # noqa: PT017


def test_quilt_makes_patches_that_are_read(judge, tmp_path):
    """The real quilt writes a patch, in each of its forms, and the gap is found."""
    quilt = program("quilt")
    for form in ("-p ab", "-p 1", "-p 0"):
        tree = Path(shutil.copytree(FIXED, tmp_path / f"linux{form[-1]}"))
        around = {**os.environ, "QUILT_PATCHES": "patches", "QUILT_NO_DIFF_INDEX": ""}
        for words in (("new", "drop.patch"), ("add", MMU)):
            subprocess.run([quilt, *words], cwd=tree, env=around, check=True, capture_output=True)
        text = (tree / MMU).read_text("utf-8").replace(LMA, "")
        (tree / MMU).write_text(text, "utf-8")
        for words in (("refresh", *form.split()), ("pop",)):
            subprocess.run([quilt, *words], cwd=tree, env=around, check=True, capture_output=True)
        patch = (tree / "patches/drop.patch").read_text("utf-8")
        assert patch.startswith("Index: "), patch
        found = judge(patch, tree)
        assert [(status, gaps) for status, gaps, _ in found] == [(1, 2)] * 2, (form, found)
