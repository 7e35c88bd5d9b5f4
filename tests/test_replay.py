# SPDX-License-Identifier: GPL-2.0-only
"""The program that replays a witness: which states it loads, and how it reads.

Nothing here runs one: what a kernel does is seen in tests/test_guest.py.
"""

import gzip
import lzma
import re
import struct
import subprocess
from functools import cache
from pathlib import Path

import miniatures
import pytest
from edited import Files, fixture
from hosted import MMU, SVM, asked, changed, fix, reproduce, with_hosts, written
from scratch import commit, git
from scratch import program as program_of

from patchtool import cli
from patchtool.errors import InputError, UsageError
from patchtool.outside.source import open_source
from patchtool.repair import reproducer
from patchtool.repair.fix import search
from patchtool.replay import guest, kernel, prediction, program, runner, states, sweep, tools
from patchtool.report import render
from patchtool.report.options import Options

HOUSE = Path(__file__).parent.parent


def replays_of(files):
    """Return the tests of a tree, and what is not tested."""
    return prediction.tests(*asked(files))


@cache
def demo():
    """Return the tests of the demo."""
    return tuple(replays_of(with_hosts())[0])


def pair(test):
    """Return what a test loads, in short."""
    sides = [(one.state.name, one.level) for one in (test.a, test.b)]
    return (test.kind, *sides, test.inputs)


# -- states ------------------------------------------------------------------------------


def test_modes_are_legal():
    """Each mode has all the bits that it needs, and no two are alike."""
    assert len({mode.bits for mode in states.MODES}) == 5
    for mode in states.MODES:
        assert states.closed(mode.bits | states.ALWAYS) == mode.bits | states.ALWAYS
    assert states.FOUR.register("EFER") == ["LME", "LMA"]
    assert states.OFF not in states.modes_of("guest_mmu"), "nested paging needs CR0.PG in L1"


# -- which states show a gap ---------------------------------------------------------------


def test_a_gap_is_shown_in_both_contexts():
    """EFER.LMA decides between PAE and 4 levels, in root_mmu and in guest_mmu."""
    found, refused = replays_of(with_hosts())
    sides = ("PAE paging", 3), ("4-level paging", 4), ("EFER.LMA",)
    assert [pair(test) for test in found] == [("root_mmu", *sides), ("guest_mmu", *sides)]
    assert all(test.start == states.OFF and test.levels is None for test in found)
    assert not refused


def test_each_missing_input_is_shown_alone():
    """Where two inputs are missing, two pairs of states differ in one of them each."""
    found, _ = replays_of(fixture("args-vs-vcpu-gap"))
    assert [pair(test)[1:] for test in found if test.kind == "root_mmu"] == [
        (("4-level paging", 4), ("5-level paging", 5), ("CR4.LA57",)),
        (("PAE paging", 3), ("4-level paging", 4), ("EFER.LMA",)),
    ]


def test_what_cannot_be_replayed_is_said():
    """Without KVM_SET_NESTED_STATE, for shadow paging and for other fields there is a reason."""
    _, refused = replays_of(fixture("demo"))
    assert [(one.context, one.field) for one in refused] == [("guest_mmu", "root_level")]
    assert "no KVM_SET_NESTED_STATE" in refused[0].reason
    _, refused = replays_of(fixture("masked-word-gap"))
    reasons = {(one.context, one.entry[-1], one.field): one.reason for one in refused}
    assert "shadow paging" in reasons["mmu", "kvm_init_shadow_mmu", "root_level"]
    assert "no other" in reasons["mmu", "kvm_init_shadow_mmu", "shadow_root_level"]
    assert "L2's own" in reasons["nested_mmu", "init_kvm_nested_mmu", "root_level"]


def test_a_context_is_known_by_its_path_not_its_name():
    """From v7.3 on walks of the guest's tables have contexts of their own, of other names."""
    found, refused = replays_of(with_hosts("pagewalk-word-gap"))
    assert {(test.kind, test.context) for test in found} == {
        ("root_mmu", "gva_walk"),
        ("guest_mmu", "ngpa_walk"),
    }
    assert not refused
    assert '"gva_walk", load_root_mmu,' in program.plain(found)


def test_the_start_is_set_up_anew():
    """Where no paging is one of the states that collide, a test starts from another mode."""
    files = changed(with_hosts(), MMU, (b"ext.cr0_pg = 1;", b"ext.cr0_pg = 0;"))
    shown = [test for test in replays_of(files)[0] if test.kind == "root_mmu"]
    assert shown
    index, report, questions = asked(files)
    known = prediction.predictions(index, report, questions)["root_mmu"][1]
    assert ("root_mmu", ("no paging", 0), ("2-level paging", 2), ("CR0.PG",)) in map(pair, shown)
    for test in shown:
        for side in (test.a.state, test.b.state):
            assert test.start == side or known.stale(test.start, side) is False
            assert known.stale(states.OFF, test.start) is False, "so a vCPU starts"


# -- hosts ---------------------------------------------------------------------------------


def witnesses(files):
    """Return the witnesses of root_level, by context."""
    return {
        context.context: one.witness
        for context in asked(files)[1].contexts
        for one in context.fields
        if one.name == "root_level" and one.witness is not None
    }


def test_a_witness_is_possible_on_a_host():
    """What KVM sets at load has a value in the witness that KVM sets, not just the smallest."""
    found = witnesses(with_hosts())
    host = {"max_tdp_level": 4, "shadow_accessed_mask": 0x20, "tdp_enabled": 1}
    assert dict(found["root_mmu"].host) == host
    assert dict(found["guest_mmu"].host) == {"max_tdp_level": 4}
    for one in found.values():
        assert [value & 15 for _, value in one.role] == [4], "base.level is the host's"
        assert one.needs == ()


def test_values_of_the_other_vendor_do_not_mix():
    """An AMD host has no accessed bit of EPT; without SVM the host is one with EPT."""
    files = with_hosts()
    del files[SVM]
    assert dict(witnesses(files)["root_mmu"].host)["shadow_accessed_mask"] == 0x100


def test_a_value_that_is_not_known_is_not_named():
    """Where nothing tells what KVM sets, no value is made up."""
    assert witnesses(fixture("demo"))["root_mmu"].host == ()


def test_a_gap_that_needs_a_host_says_so():
    """A gap on hosts with 4 levels alone is told as that, in the report and for the replay."""
    files = changed(
        with_hosts(),
        MMU,
        (
            b"static union kvm_mmu_role\nkvm_calc_tdp_mmu_root_page_role(",
            b"static bool odd(void)\n{\n\treturn max_tdp_level == 5;\n}\n\n"
            b"static union kvm_mmu_role\nkvm_calc_tdp_mmu_root_page_role(",
        ),
        (
            b"role.base.level = kvm_mmu_get_tdp_level(vcpu);\n\trole.base.direct = true;",
            b"role.base.level = kvm_mmu_get_tdp_level(vcpu);\n\trole.base.direct = true;\n"
            b"\tif (odd())\n\t\trole.base.level = role_regs_to_root_level(regs);",
        ),
    )
    one = witnesses(files)["root_mmu"]
    assert one.needs == ("max_tdp_level",)
    assert dict(one.host)["max_tdp_level"] == 4
    text = render(asked(files)[1], "text", Options())
    assert "    the gap needs a host with max_tdp_level=4\n" in text
    test = next(test for test in replays_of(files)[0] if test.kind == "root_mmu")
    assert test.levels == 4
    assert "needs a 4-level NPT. */" in program.plain([test])


# -- the program ---------------------------------------------------------------------------

HEADERS = "tools/testing/selftests/kvm"


def with_selftests(folder="x86", makefile="Makefile.kvm", without=""):
    """Return a tree whose selftests have what a test needs, but one function."""
    names = [name for name in program._NEEDED if name != without]
    util = "".join(f"void {name}(void);\n" for name in names)
    svm = "struct vmcb_control_area {\n\tu32 exit_int_info_err;\n\tu64 nested_ctl;\n};\n"
    bits = "#define X86_CR0_PE (1ul << 0)\n#define X86_CR0_PG (1ul << 31)\n"
    variable = f"TEST_GEN_PROGS_{folder}"
    return {
        **with_hosts(),
        f"{HEADERS}/include/kvm_util.h": util.encode(),
        f"{HEADERS}/include/{folder}/svm.h": svm.encode(),
        f"{HEADERS}/include/{folder}/processor.h": bits.encode(),
        f"{HEADERS}/{makefile}": f"{variable} = {folder}/cpuid_test\n".encode(),
    }


@pytest.mark.parametrize(("folder", "makefile"), [("x86", "Makefile.kvm"), ("x86_64", "Makefile")])
def test_a_test_goes_where_the_tree_has_them(folder, makefile):
    """Folder and makefile are those of the tree."""
    harness, reason = program.find_harness(Files(with_selftests(folder, makefile)))
    assert not reason
    assert harness.path == f"{HEADERS}/{folder}/mmu_root_level_test.c"
    assert harness.makefile == f"{HEADERS}/{makefile}"
    assert harness.entry == f"TEST_GEN_PROGS_{folder} += {folder}/mmu_root_level_test"
    text = program.selftest(demo(), harness)
    assert "vmcb12->control.nested_ctl = NP_ENABLE;" in text
    assert "#define X86_CR0_PG" not in text, "processor.h of the tree has it"
    assert "#define X86_CR4_PAE	BIT_ULL(5)\n" in text, "no header of the tree has it"
    assert "#define EFER" not in text, "asm/msr-index.h has it in every tree"


@pytest.mark.parametrize("name", program._NEEDED)
def test_a_tree_that_lacks_a_function_gets_plain_c(name):
    """Selftests without one of the functions that a test calls cannot hold it."""
    harness, reason = program.find_harness(Files(with_selftests(without=name)))
    assert harness is None
    assert reason == f"the selftests of this tree have no {name}()"
    assert program.find_harness(Files(with_hosts()))[1].startswith("the tree has no tools/")


@pytest.mark.parametrize("form", ["plain", "selftest"])
@pytest.mark.parametrize("kinds", [("root_mmu",), ("guest_mmu",), ("root_mmu", "guest_mmu")])
def test_the_program_is_as_written_down(form, kinds, rewrite):
    """The text for the demo, with either context and with both."""
    chosen = [test for test in demo() if test.kind in kinds]
    harness, _ = program.find_harness(Files(with_selftests()))
    text = program.plain(chosen) if form == "plain" else program.selftest(chosen, harness)
    assert "//" not in text.split("\n", 1)[1], "every mark is filled in"
    assert ("load_root_mmu(" in text, "load_guest_mmu(" in text) == (
        "root_mmu" in kinds,
        "guest_mmu" in kinds,
    )
    file = HOUSE / "tests" / "replay" / f"{form}-{'-'.join(kinds)}.c"
    if rewrite:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    assert file.read_text("utf-8") == text


def test_la57_is_asked_for_where_it_is_loaded():
    """A state with 5 levels is loaded only where the processor has them."""
    found, _ = replays_of(fixture("args-vs-vcpu-gap"))
    assert "no LA57" in program.plain(found)
    assert "LA57" not in program.plain(demo())


def test_the_tables_are_those_of_the_comment():
    """Each path that the comment shows is one that the code writes, and ADDR's own."""
    comment = (HOUSE / "patchtool/replay/tables.c").read_text("utf-8")
    code = (HOUSE / "patchtool/replay/plain.c").read_text("utf-8")
    address = int(re.search(r"ADDR\s+(0x\w+)ull", comment)[1], 16)
    entries = {("ROOT", 0): "T1"}
    for table, index, target in re.findall(r"table\((\w+)\)\[(\d+)\] = page\((.+?)\)", code):
        entries[table, int(index)] = target
    for levels in (3, 4, 5):
        table, path = "ROOT", []
        for level in range(levels, 0, -1):
            index = address >> (12 + 9 * (level - 1)) & 511
            path.append(f"{table}[{index}]")
            table = entries[table, index]
        assert table == f"LEAF + {levels}"
        assert f"{levels} levels:" in comment
        assert " -> ".join([*path, table]) in comment
    assert (address >> 22, address >> 12 & 1023) == (0, 0x203)
    assert "table(T1))[0x203] = page(LEAF + 2)" in code


# -- the command ---------------------------------------------------------------------------


def test_the_command_writes_a_program(tmp_path, capsys):
    """The path goes to standard output, what it shows to standard error."""
    target = tmp_path / "new" / "mmu_root_level_test.c"
    assert reproduce(HOUSE / "fixtures/demo", "-o", target.parent) == 0
    out, err = capsys.readouterr()
    assert out == f"{target}\n"
    assert "root_mmu: PAE paging and 4-level paging show that" in err
    assert "not replayed: root_level of guest_mmu" in err
    assert target.read_text("utf-8").startswith("// SPDX-License-Identifier: GPL-2.0-only\n")
    assert reproduce(HOUSE / "fixtures/demo", "-o", target.parent) == 0, "the same again"
    target.write_text("mine", "utf-8")
    with pytest.raises(UsageError, match="is already there"):
        reproduce(HOUSE / "fixtures/demo", "-o", target.parent)
    assert target.read_text("utf-8") == "mine"
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ("role-regs-compare-fixed", "root_level of this tree has no gap, and other fields are not"),
        ("unguarded", "KVM of this tree skips no set-up"),
        ("broken-missing", "something is undecided"),
        ("cpuid-stale-gap", "no gap of this tree is one that a program can show"),
    ],
)
def test_a_tree_without_a_gap_has_nothing_to_replay(tree, reason, tmp_path, capsys):
    """Nothing is written, and the status is no success."""
    assert reproduce(miniatures.folder(tree), "-o", tmp_path / "new") == 3
    out, err = capsys.readouterr()
    assert not out
    assert reason in err
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written(tmp_path):
    """Where the program cannot be written, nothing is left and the sentence says why."""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written: "):
        reproduce(miniatures.folder("demo"), "-o", tmp_path / "file" / "new")
    (tmp_path / "out" / "mmu_root_level_test.c").mkdir(parents=True)
    with pytest.raises(InputError, match="cannot be written: is a directory"):
        reproduce(miniatures.folder("demo"), "-o", tmp_path / "out")


# -- kernels and modules -------------------------------------------------------------------


def image(release=b"6.1.0-test", **changes):
    """Return a file that begins as a kernel image does."""
    sectors, paragraphs = 3, 64
    data = bytearray(512 * (sectors + 1) + 16 * paragraphs)
    data[0x1F1] = sectors
    struct.pack_into("<I", data, 0x1F4, paragraphs)
    data[0x202:0x206] = changes.get("magic", b"HdrS")
    struct.pack_into("<H", data, 0x206, changes.get("version", 0x020F))
    struct.pack_into("<H", data, 0x20E, changes.get("at", 0x200))
    data[0x400 : 0x400 + len(release)] = release
    return bytes(data)


def test_an_image_tells_its_release(tmp_path):
    """The release is read from the boot header, and modules are looked for beside the image."""
    path = tmp_path / "boot" / "vmlinuz"
    path.parent.mkdir()
    path.write_bytes(image(b"6.1.0-56-cloud-amd64 (maintainers@example.com) #1\0"))
    found = kernel.read_kernel(str(path))
    assert found.release == "6.1.0-56-cloud-amd64"
    assert kernel.beside(found) is None
    (tmp_path / "lib/modules" / found.release).mkdir(parents=True)
    assert kernel.beside(found) == str(tmp_path / "lib/modules" / found.release)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is no kernel image for x86"),
        (b"\x93" * 5000, "is no kernel image for x86"),
        (b"\x7fELF" + bytes(5000), "is an ELF file; give the bzImage"),
        (image()[:-1], "is truncated: its header promises 3072 bytes"),
        (image(version=0x0203), "of an old kind"),
        (image(at=0), "does not tell its release"),
        (image(release=b"\xff\xfe"), "does not tell its release"),
        (None, "cannot be read: no such file"),
    ],
)
def test_a_file_that_is_no_image(data, reason, tmp_path):
    """An encrypted, truncated or missing image is one sentence."""
    path = tmp_path / "image"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=re.escape(reason)):
        kernel.read_kernel(str(path))


def module(depends="", release="6.1.0-test"):
    """Return an ELF file with what a module says about itself, and nothing else."""
    info = f"vermagic={release} SMP mod_unload \0depends={depends}\0license=GPL\0".encode()
    names = b"\0.modinfo\0.shstrtab\0"
    head = bytearray(64)
    head[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", head, 0x28, 64)
    struct.pack_into("<HHH", head, 0x3A, 64, 3, 2)
    sections = bytearray(64 * 3)
    for number, name, offset, data in ((1, 1, 256, info), (2, 10, 256 + len(info), names)):
        struct.pack_into("<IIQQQQ", sections, 64 * number, name, 1, 0, 0, offset, len(data))
    return bytes(head + sections) + info + names


def modules(folder, release="6.1.0-test"):
    """Write the modules of a host, packed in three ways."""
    folder.mkdir()
    (folder / "irqbypass.ko").write_bytes(module(release=release))
    (folder / "kvm.ko.xz").write_bytes(lzma.compress(module("irqbypass", release)))
    (folder / "kvm-amd.ko.gz").write_bytes(gzip.compress(module("kvm,ccp", release)))
    return str(folder)


def test_modules_come_in_order(tmp_path):
    """Dependencies go first, whatever packs them; one that is not there is part of the image."""
    found = kernel.read_modules([modules(tmp_path / "m")], "6.1.0-test")
    assert [one.name for one in found] == ["irqbypass", "kvm", "kvm_amd"]
    assert all(one.data.startswith(b"\x7fELF") for one in found)


def test_sources_beside_modules_hold_none(tmp_path):
    """What a kernel was built from lies in two folders of its modules, and is none of them."""
    folder = modules(tmp_path / "m")
    for name in ("build", "source"):
        (tmp_path / "m" / name).mkdir()
        (tmp_path / "m" / name / "ccp.ko").write_bytes(module(release="other"))
    found = kernel.read_modules([folder], "6.1.0-test")
    assert [one.name for one in found] == ["irqbypass", "kvm", "kvm_amd"]


def test_an_earlier_folder_goes_before(tmp_path):
    """A module of one's own is taken instead of the one beside the image."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "kvm.ko").write_bytes(module("irqbypass") + b"mine")
    found = kernel.read_modules([str(mine), modules(tmp_path / "m")], "6.1.0-test")
    assert found[1].data.endswith(b"mine")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("kvm.ko", module(release="6.12.1"), "is for kernel 6.12.1, and the image is 6.1.0-test"),
        ("kvm.ko", b"\x7fELF\x02" + bytes(10), "is no kernel module"),
        ("kvm.ko", b"\x7fELF\x01" + bytes(100), "is no kernel module"),
        ("kvm.ko", module()[:300], "is no kernel module"),
        ("kvm.ko.xz", b"no xz", "cannot be read"),
        ("kvm.ko.xz", lzma.compress(module())[:-20], "cannot be read"),
        ("kvm.ko.gz", b"\x1f\x8b", "cannot be read"),
    ],
)
def test_a_module_that_cannot_be_used(name, data, reason, tmp_path):
    """A module of another version, or none at all, is one sentence."""
    folder = tmp_path / "m"
    modules(folder)
    (folder / "kvm.ko.xz").unlink()
    (folder / name).write_bytes(data)
    with pytest.raises(InputError, match=reason):
        kernel.read_modules([str(folder)], "6.1.0-test")


def test_a_folder_that_is_none(tmp_path):
    """--modules names a folder."""
    with pytest.raises(InputError, match="is no folder"):
        kernel.read_modules([str(tmp_path / "none")], "6.1.0-test")


# -- the guest -----------------------------------------------------------------------------


def test_the_archive_is_what_a_kernel_unpacks(tmp_path):
    """Every member is listed by cpio, and each is as it was given."""
    archive = guest.initramfs(b"\x7fprogram", b"busybox", [kernel.Module("kvm", b"module")])
    listed = subprocess.run(
        [program_of("cpio"), "-itv", "--quiet"], input=archive, capture_output=True, check=True
    ).stdout.decode()
    names = [line.split()[-1] for line in listed.splitlines()]
    assert names == [
        *("bin", "dev", "proc", "sys", "modules", "dev/console", "bin/busybox"),
        *("modules/order", "modules/kvm.ko", "test", "init"),
    ]
    assert re.search(r"^crw------- .* 5, +1 .* dev/console$", listed, re.M)
    assert re.search(r"^-rwxr-xr-x .* init$", listed, re.M)
    subprocess.run([program_of("cpio"), "-i", "--quiet", "test"], input=archive, cwd=tmp_path)
    assert (tmp_path / "test").read_bytes() == b"\x7fprogram"


def console(*lines, end="-- the test ends 0"):
    """Return what a guest says that says some lines."""
    return "\r\n".join(
        ["\x1bcSeaBIOS", "-- levels of the host 5", "-- the test begins", *lines, end]
    )


def test_a_console_is_understood():
    """Each line is a context, two states in one order, what was seen, and the word for it."""
    seen = guest.understood(
        console(
            "root_mmu, PAE paging, then 4-level paging: root_level is 3, want 4: stale",
            "[    1.2] some message: of the kernel",
            "guest_mmu, 5-level paging alone: root_level is 5, want 4: control failed",
            "guest_mmu, PAE paging and 5-level paging: the processor has no LA57: not applicable",
            end="-- the test ends 1",
        )
    )
    assert (seen.status, seen.levels) == (1, 5)
    assert [(one.context, one.order, one.seen) for one in seen.lines] == [
        ("root_mmu", "PAE paging, then 4-level paging", "stale"),
        ("guest_mmu", "5-level paging alone", "control failed"),
        ("guest_mmu", "PAE paging and 5-level paging", "not applicable"),
    ]


@pytest.mark.parametrize("form", ["plain", "selftest"])
def test_what_a_program_prints_is_understood(form):
    """The two programs print what the reader of the console expects."""
    text = (HOUSE / f"patchtool/replay/{form}.c").read_text("utf-8")
    formats = re.findall(r'(?:printf|pr_info)\("((?:%s|all)[^"]*)\\n"', text)
    assert len(formats) == {"plain": 5, "selftest": 1}[form]
    for one in formats:
        line = one.replace("%d", "3").replace("%s", "stale" if one.endswith("%s") else "word")
        line = re.sub(r"word$", "stale", line)
        assert guest._LINE.fullmatch(line), line


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "did not start the test; it said nothing"),
        ("[    0.5] Kernel panic - not syncing: no init\nmore", "Kernel panic - not syncing"),
        ("insmod: can't insert 'x': Unknown symbol\n-- refused kvm", "module kvm: Unknown symbol"),
        (console(end="-- the test ends"), "did not end the test"),
        (console(end="-- the test ends [ 1.0] BUG"), "did not end the test"),
        (console(end="[ 1.0] BUG: out of memory"), "did not end the test; its last words are: BUG"),
        (console("error: KVM_SET_SREGS: Invalid argument"), "gave up in the guest: KVM_SET_SREGS"),
    ],
)
def test_a_guest_that_fails(said, reason):
    """What went wrong is told with the last words of the guest."""
    with pytest.raises(InputError, match=reason):
        guest.understood(said)


def test_a_kernel_that_talks_in_between():
    """What a kernel says on a line of the test's own does not matter behind a number."""
    said = console(end="-- the test ends 3[    9.1] reboot: Power down")
    seen = guest.understood(said.replace("host 5", "host 5[    0.4] kvm: loaded"))
    assert (seen.lines, seen.status, seen.levels) == ((), 3, 5)


def test_a_processor_without_svm_is_no_failure():
    """A module that finds no hardware for it leaves nothing to test."""
    said = "insmod: can't insert '/modules/kvm_amd.ko': Operation not supported\n-- refused kvm_amd"
    seen = guest.understood(said)
    assert [one.seen for one in seen.lines] == ["not applicable"]
    assert runner.status(seen) == 3


def line(seen, context="root_mmu", order="no paging, then PAE paging"):
    """Return one line of a transcript."""
    return guest.Line(context, order, "root_level is 3, want 4", seen)


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (["followed"], 0),
        (["followed", "not applicable"], 0),
        (["followed", "stale"], 1),
        (["stale", "control failed"], 1),
        (["followed", "control failed"], 3),
        (["not applicable"], 3),
        ([], 3),
    ],
)
def test_the_status_of_a_run(seen, status):
    """Stale is worse than a control that failed, and no word at all is no success."""
    assert runner.status(guest.Transcript(tuple(map(line, seen)), 0, 4)) == status


# -- the sweep -----------------------------------------------------------------------------


def swept(files, wrong=()):
    """Return a sweep in which a kernel does what is predicted, but for some pairs."""
    index, report, questions = asked(files)
    known = [one for _, one in prediction.predictions(index, report, questions).values()]
    lines = []
    for one in known:
        for a in states.modes_of(one.kind):
            for b in states.modes_of(one.kind):
                stale = bool(one.stale(a, b)) != ((one.kind, a, b) in wrong)
                seen = "stale" if stale else "followed"
                lines.append(line(seen, one.kind, f"{a.name}, then {b.name}"))
    return known, sweep.compared(known, guest.Transcript(tuple(lines), 0, 4))


def test_every_pair_of_modes_is_swept():
    """Ten pairs without order in root_mmu, six in guest_mmu."""
    known, found = swept(with_hosts())
    kinds = [test.kind for test in sweep.tests(known)]
    assert (kinds.count("root_mmu"), kinds.count("guest_mmu")) == (10, 6)
    assert [len(one.seen) for one in found] == [20, 12]


def test_a_sweep_as_predicted():
    """PAE against 4 levels is stale on both sides, and the tables say so."""
    _, found = swept(with_hosts())
    assert sweep.status(found) == 0
    text = "\n".join(sweep.tables(found, "6.1", "tree"))
    assert text.count("stale .        .     .           stale .") == 1
    assert "root_mmu: 20 of 20 ordered pairs as predicted, 2 stale" in text


@pytest.mark.parametrize(("first", "then"), [(states.PAE, states.FOUR), (states.TWO, states.FIVE)])
def test_a_difference_is_shown(first, then):
    """A pair that follows where it should not, or the other way round, ends with 1."""
    _, found = swept(with_hosts(), wrong={("root_mmu", first, then)})
    assert sweep.status(found) == 1
    text = "\n".join(sweep.tables(found, "6.1", "tree"))
    assert f"root_mmu, {first.name}, then {then.name}: seen " in text
    assert "root_mmu: 19 of 20 ordered pairs as predicted" in text
    assert "guest_mmu: 12 of 12 ordered pairs as predicted" in text


def test_what_was_not_seen_is_not_compared():
    """A control that failed spoils its pairs, and a context without a word is no success."""
    known, _ = swept(with_hosts())
    alone = guest.Line("root_mmu", "PAE paging alone", "", "control failed")
    found = sweep.compared(known, guest.Transcript((alone,), 3, 4))
    assert sweep.status(found) == 3
    assert list(found[0].seen.values()).count("control failed") == 8
    everything = guest.Line("all", "", "no TDP", "not applicable")
    found = sweep.compared(known, guest.Transcript((everything,), 3, 4))
    assert set(found[1].seen.values()) == {"not applicable"}
    assert sweep.status(found) == 3


# -- runs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["qemu-system-x86_64", "busybox", "gcc"])
def test_a_program_that_is_missing(name, tmp_path, monkeypatch):
    """The sentence names the package that brings it, and nothing is left behind."""
    for one in ("qemu-system-x86_64", "busybox", "gcc"):
        if one != name:
            (tmp_path / one).write_bytes(b"#!/bin/false\n")
            (tmp_path / one).chmod(0o755)
    (tmp_path / "image").write_bytes(image())
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    package = tools.PACKAGES[name]
    with pytest.raises(InputError, match=f"{name} is not installed; Debian's package is {package}"):
        reproduce(HOUSE / "fixtures/demo", "--run", "--kernel", tmp_path / "image")
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--run"], "a run needs a kernel"),
        (["--sweep"], "a run needs a kernel"),
        (["--kernel", "image"], "--kernel goes with --run or --sweep"),
    ],
)
def test_a_run_that_is_asked_for_wrongly(arguments, reason):
    """The kernel and the run go together."""
    with pytest.raises(UsageError, match=reason):
        reproduce(HOUSE / "fixtures/demo", *arguments)


@pytest.mark.parametrize("words", ["0", "-1", "3601", "1.5", "², ", ""])
def test_a_time_that_is_none(words, capsys):
    """The time for a guest is a number of seconds up to an hour."""
    arguments = ["reproduce", str(HOUSE / "fixtures/demo"), "--run", "--timeout"]
    assert cli.main([*arguments, words]) == 2
    assert "is no number of seconds up to 3600" in capsys.readouterr().err
    assert cli.main([*arguments, "3600"]) == 2
    assert "a run needs a kernel" in capsys.readouterr().err


def test_the_machine_has_what_the_tests_need():
    """LA57 where a state has 5 levels; the host's own tables have what the gap needs."""
    assert runner.machine_for(demo()) == runner.Machine("EPYC", "tcg", 4)
    five, _ = replays_of(fixture("args-vs-vcpu-gap"))
    assert runner.machine_for(five).cpu == "EPYC,+la57"
    assert runner.machine_for([demo()[0]._replace(levels=5)]).levels == 5
    assert runner.machine_for(demo(), accelerator="kvm").cpu == "host"


# -- in a series -----------------------------------------------------------------------------


def test_a_series_ends_with_the_selftest(tmp_path):
    """The second patch adds the test and lists it, and git takes both."""
    files = with_selftests()
    files[f"{HEADERS}/.gitignore"] = b"/x86/amx_test\n/x86/zzz_test\n"
    tree = written(files, tmp_path / "tree")
    git(tree, "init", "-q")
    commit(tree, "all")
    assert fix(tree, "-o", tmp_path / "out", "-q", "--selftest", "--no-fixes", "-s") == 0
    first, second = sorted((tmp_path / "out").iterdir())
    text = second.read_text("utf-8")
    subject = "KVM: selftests: Test that root_level follows EFER.LMA"
    assert f"Subject: [PATCH 2/2] {subject}\n" in text
    assert "Subject: [PATCH 1/2] KVM: x86/mmu:" in first.read_text("utf-8")
    assert f"\n create mode 100644 {HEADERS}/x86/mmu_root_level_test.c\n" in text
    assert "\nSigned-off-by: A Tester <tester@example.com>\n---\nNot run.\n" in text
    assert max(map(len, text.partition("\ndiff --git")[0].splitlines())) <= 90
    words = ("-q", "--selftest", "--no-fixes", "--cover-letter")
    assert fix(tree, "-o", tmp_path / "covered", *words) == 0
    cover, *_ = sorted((tmp_path / "covered").iterdir())
    told = cover.read_text("utf-8")
    assert "Subject: [PATCH 0/2] " in told and "/x86/mmu_root_level_test.c |" in told
    git(tree, "am", "-q", str(first), str(second))
    assert git(tree, "log", "-1", "--format=%s") == subject
    makefile = (tree / HEADERS / "Makefile.kvm").read_text("utf-8")
    assert makefile.endswith("TEST_GEN_PROGS_x86 += x86/mmu_root_level_test\n")
    ignored = (tree / HEADERS / ".gitignore").read_text("utf-8").splitlines()
    assert ignored == ["/x86/amx_test", "/x86/mmu_root_level_test", "/x86/zzz_test"]


def test_a_gap_that_stays_open_is_not_tested(tmp_path):
    """A test that the series cannot make pass is left out, with the reason."""
    host, bits = "arch/x86/include/asm/kvm_host.h", b"\t\tunsigned int cr4_pae:1;\n"
    files = with_hosts("args-vs-vcpu-gap")
    union = files[host][files[host].index(b"union kvm_mmu_extended_role") :]
    # There is room for two bits, and none for one that kvm_init_shadow_npt_mmu() is handed.
    more = b"\t\tunsigned int more:%d;\n" % (30 - union.count(b":1;"))
    files[host] = files[host].replace(bits, bits + more)
    source = open_source(str(written(files, tmp_path)))
    outcome = search(source)
    kept, left = reproducer.tests(source, outcome)
    assert outcome.open and kept
    open_ = {(gap.key[1], gap.input) for gap in outcome.open}
    for test in kept:
        assert not {(test.context, name) for name in test.inputs} & open_
    assert any("stays open there" in reason for reason in left)


def test_a_selftest_that_cannot_be(tmp_path):
    """A tree whose selftests cannot hold the test, and --apply, are refused with a reason."""
    with pytest.raises(UsageError, match="'patchtool reproduce' writes it in plain C"):
        fix(HOUSE / "fixtures/demo", "-o", tmp_path, "--selftest", "--no-fixes")
    with pytest.raises(UsageError, match="--selftest cannot go with --apply"):
        fix(HOUSE / "fixtures/demo", "--selftest", "--apply")
    assert not list(tmp_path.iterdir())


def test_what_was_run_stands_below_the_cut(tmp_path, monkeypatch):
    """The notes tell the kernel and what it did, and no path of this machine."""
    seen = guest.Transcript((line("stale"),), 1, 4)
    done = runner.Run("6.1.0-test", ("/home/me/modules",), runner.Machine("EPYC"), seen)
    monkeypatch.setattr(runner, "run", lambda *_: done)
    tree = written(with_selftests(), tmp_path / "tree")
    arguments = ("-q", "--selftest", "--no-fixes", "--kernel", "image")
    assert fix(tree, "-o", tmp_path / "out", *arguments) == 0
    for path in (tmp_path / "out").iterdir():
        head, _, notes = path.read_text("utf-8").partition("\n---\n")
        notes = " ".join(notes.split())
        assert "6.1.0-test" not in head
        assert "Run without this series on Linux 6.1.0-test with modules of its own" in notes
        assert "root_mmu, no paging, then PAE paging: stale (root_level is 3, want 4)" in notes
        assert "/home/me" not in notes
        assert "Not run" not in notes
