# SPDX-License-Identifier: GPL-2.0-only
"""What real kernels do: the replay of a witness, and all pairs of modes, in an emulator.

Each test boots a kernel that PATCHTOOL_GUESTS names; .ci/run unpacks them.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from edited import Files, load
from guests import MMU, guests, with_gap
from hosted import asked, fix, reproduce, with_hosts, written
from scratch import program as program_of

from patchtool.errors import InputError
from patchtool.replay import prediction, program, runner

LEVEL = ("--fields", "root_level")
SECONDS = "--timeout", "400"

GAPS = {"init_kvm_tdp_mmu": "root_mmu", "shadow_mmu_init_context": "guest_mmu"}

GUESTS = guests() or [None]


@pytest.fixture(params=GUESTS, ids=lambda one: one.folder.name if one else "none")
def guest(request):
    """Each kernel."""
    if request.param is None:
        pytest.skip("PATCHTOOL_GUESTS names no kernels")
    return request.param


@pytest.fixture
def first():
    """The kernel that is edited."""
    if GUESTS[0] is None:
        pytest.skip("PATCHTOOL_GUESTS names no kernels")
    return GUESTS[0]


@pytest.fixture
def tree(tmp_path):
    """A tree with a gap in root_mmu and in guest_mmu."""
    return written(with_hosts(), tmp_path / "tree")


def seen(text):
    """Return what the table of a run says: context, order and result."""
    return re.findall(r"^  (\w+_mmu) +(.*?)  +(followed|stale|control failed)\b", text, re.M)


def test_a_kernel_as_shipped_follows(guest, tree, capsys):
    """In both contexts and both orders root_level follows the registers."""
    assert reproduce(tree, "--run", "--kernel", guest.image, *SECONDS) == 0
    orders = ["PAE paging, then 4-level paging", "4-level paging, then PAE paging"]
    expected = [(c, o, "followed") for c in ("root_mmu", "guest_mmu") for o in orders]
    assert seen(capsys.readouterr().out) == expected


@pytest.mark.parametrize("levels", [4, 5])
def test_a_kernel_as_shipped_is_as_predicted(guest, levels, capsys):
    """All pairs of modes follow, as the check of its source says, on either kind of host."""
    arguments = ("--kernel", guest.image, "--npt-levels", levels, *SECONDS)
    assert reproduce(guest.tree, "--sweep", *arguments) == 0
    out = capsys.readouterr().out
    assert f"{levels}-level NPT\n" in out
    assert "root_mmu: 20 of 20 ordered pairs as predicted, 0 stale" in out
    assert "guest_mmu: 12 of 12 ordered pairs as predicted, 0 stale" in out


@pytest.mark.parametrize("function", GAPS)
def test_a_made_up_gap(first, function, tmp_path, capsys):
    """A gap shows in its context, the sweep is as predicted, and the fix closes it."""
    text = with_gap((first.tree / MMU).read_text("utf-8"), function)
    modules, where = first.modules(text), first.edited(text, tmp_path / "gap")
    at = ("--kernel", first.image, "--modules", modules, *SECONDS)

    assert reproduce(where, "--run", *at) == 1
    lines = seen(capsys.readouterr().out)
    assert [(context, word) for context, _, word in lines] == [(GAPS[function], "stale")] * 2

    assert reproduce(where, "--sweep", *at) == 0
    out = capsys.readouterr().out
    stale = {context: 2 if context == GAPS[function] else 0 for context in GAPS.values()}
    assert f"root_mmu: 20 of 20 ordered pairs as predicted, {stale['root_mmu']} stale" in out
    assert f"guest_mmu: 12 of 12 ordered pairs as predicted, {stale['guest_mmu']} stale" in out

    assert fix(where, "-o", tmp_path / "out", "-q", "-s", "--no-fixes", "--selftest", *LEVEL) == 0
    patch, test = sorted((tmp_path / "out").iterdir())
    subprocess.run(["git", "apply", patch, test], cwd=where, check=True)
    repaired = first.modules((where / MMU).read_text("utf-8"))
    original = first.edited(text, tmp_path / "again")
    at = ("--kernel", first.image, "--modules", repaired, *SECONDS)
    capsys.readouterr()
    assert reproduce(original, "--run", *at) == 0
    assert [word for *_, word in seen(capsys.readouterr().out)] == ["followed"] * 2

    check = [program_of("perl"), first.tree / "scripts/checkpatch.pl", "--no-tree"]
    told = subprocess.run(
        [*check, "--ignore", "FILE_PATH_CHANGES", test], capture_output=True, text=True
    ).stdout
    assert "total: 0 errors, 0 warnings" in told, told


def test_a_sweep_can_fail(first, capsys):
    """A kernel with a gap is not what the check of its source without the gap predicts."""
    text = with_gap((first.tree / MMU).read_text("utf-8"), "init_kvm_tdp_mmu")
    at = ("--kernel", first.image, "--modules", first.modules(text), *SECONDS)
    assert reproduce(first.tree, "--sweep", *at) == 1
    told = "root_mmu, PAE paging, then 4-level paging: seen stale, predicted followed"
    assert told in capsys.readouterr().out


def added(guest, tests):
    """Return what tests add to the selftests of a kernel, the program last."""
    source = Files(load(guest.harness, ("tools/testing/selftests/kvm",)))
    harness, reason = program.find_harness(source)
    assert harness, reason
    found = program.additions(source, harness, tests)
    assert found[-1].path == harness.path
    return found


def test_the_selftest_in_its_own_harness(guest, tmp_path):
    """It builds without a warning, passes the tree's checkpatch, and follows."""
    tests, _ = prediction.tests(*asked(with_hosts()))
    additions = added(guest, tests)
    built = guest.selftest(additions, tmp_path / "harness")
    machine = runner.machine_for(tests)
    done = runner.boot(lambda _: built, str(guest.image), [], machine, 400)
    assert done.transcript.status == 0
    assert [one.seen for one in done.transcript.lines] == ["followed"] * 4
    (tmp_path / "test.c").write_bytes(additions[-1].after)
    check = [program_of("perl"), guest.tree / "scripts/checkpatch.pl", "--no-tree", "--strict"]
    told = subprocess.run([*check, "-f", tmp_path / "test.c"], capture_output=True, text=True)
    assert "total: 0 errors, 0 warnings, 0 checks" in told.stdout, told.stdout


def test_the_selftest_fails_on_a_gap(first, tmp_path):
    """What it says on a kernel with a gap is what the plain form says, and it fails."""
    text = with_gap((first.tree / MMU).read_text("utf-8"), "init_kvm_tdp_mmu")
    tests, _ = prediction.tests(*asked(with_hosts()))
    built = first.selftest(added(first, tests), tmp_path / "harness")
    folders = [str(first.modules(text))]
    done = runner.boot(lambda _: built, str(first.image), folders, runner.machine_for(tests), 400)
    assert done.transcript.status == 254
    assert [one.seen for one in done.transcript.lines] == ["stale"] * 2 + ["followed"] * 2


@pytest.mark.parametrize("cpu", ["EPYC,-svm", "EPYC,-npt"])
def test_a_processor_that_lacks_something(first, tree, cpu, capsys):
    """Without SVM and without NPT nothing applies, and that is no success."""
    assert reproduce(tree, "--run", "--kernel", first.image, "--cpu", cpu, *SECONDS) == 3
    out = capsys.readouterr().out
    assert "not applicable" in out
    assert not seen(out)


def test_modules_of_another_kernel(tree):
    """The sentence tells both releases."""
    if len(GUESTS) < 2:
        pytest.skip("PATCHTOOL_GUESTS names no two kernels")
    one, other = GUESTS
    with pytest.raises(InputError, match=r"is for kernel 6.*, and the image is 6"):
        reproduce(tree, "--run", "--kernel", one.image, "--modules", other.folder / "lib/modules")


def test_an_image_that_is_damaged(first, tree, tmp_path):
    """A kernel that does not start is ended, and its last words are told."""
    data = bytearray(first.image.read_bytes())
    data[1 << 20 : 2 << 20] = bytes(1 << 20)
    (tmp_path / "image").write_bytes(data)
    with pytest.raises(InputError, match=r"did not (?:end within|start the test)"):
        reproduce(tree, "--run", "--kernel", tmp_path / "image", "--timeout", "20")


def children(pid):
    """Return the processes that a process has started."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(one) for one in text.split()]


def emulator_of(process):
    """Wait for the emulator of a run, until its processor runs in a thread of its own."""
    while process.poll() is None:
        for child in children(process.pid):
            if "qemu" in _command(child) and len(_listed(f"/proc/{child}/task")) > 2:
                return child
        time.sleep(0.01)
    pytest.fail("the run ended without an emulator")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGKILL, -9)]
)
def test_nothing_is_left_behind(first, tree, number, status, tmp_path):
    """A run that is interrupted, ended or killed takes its emulator along.

    The emulator has not opened /dev/kvm, and but for a kill no file is left.
    """
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "patchtool", "reproduce", tree, "--run", "--kernel", first.image],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # as in front of a person
    )
    emulator = emulator_of(process)
    opened = {_target(one) for one in _listed(f"/proc/{emulator}/fd")}
    assert any(one.startswith("/dev/") for one in opened)
    assert "/dev/kvm" not in opened
    process.send_signal(number)
    assert process.wait() == status
    while Path(f"/proc/{emulator}").exists() and "qemu" in _command(emulator):
        time.sleep(0.01)
    if number != signal.SIGKILL:
        assert not list((tmp_path / "tmp").iterdir())


def _listed(folder):
    try:
        return list(Path(folder).iterdir())
    except OSError:
        return []


def _target(link):
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_a_kernel_that_has_the_gaps(capsys):
    """Debian 11's kernel as shipped: stale in both contexts, pair for pair as predicted."""
    if not os.environ.get("PATCHTOOL_OLD"):
        pytest.skip("PATCHTOOL_OLD names no kernel of Debian 11")
    folder = Path(os.environ["PATCHTOOL_OLD"])
    at = ("--kernel", next((folder / "boot").glob("vmlinuz-*")), *SECONDS)
    assert reproduce(folder / "tree", "--run", *at) == 1
    lines = seen(capsys.readouterr().out)
    assert {(context, word) for context, _, word in lines} == {
        ("root_mmu", "stale"),
        ("guest_mmu", "stale"),
    }
    assert reproduce(folder / "tree", "--sweep", *at) == 0
    out = capsys.readouterr().out
    assert "root_mmu: 20 of 20 ordered pairs as predicted, 2 stale" in out
    assert "guest_mmu: 12 of 12 ordered pairs as predicted, 10 stale" in out
