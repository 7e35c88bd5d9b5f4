# SPDX-License-Identifier: GPL-2.0-only
"""Work in a copy of the process: the same outcome, whatever becomes of the copy."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import miniatures
import pytest

from patchtool.aside import in_a_copy, later

RUN = """
import json, os, signal, sys, time
from patchtool.aside import in_a_copy
os.sched_getaffinity = lambda _: {0, 1}
begun = os.getpid()
aside = in_a_copy(lambda: None)
"""


def run(code):
    """Run some lines in a process of their own and return what they print."""
    done = subprocess.run(
        [sys.executable, "-c", RUN + code], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_it_is_done_in_a_copy_and_told_here():
    """The work runs in another process, and what it found is the same as here."""
    code = "ask = aside(lambda: (os.getpid() != begun, b'x' * 1_000_000))\n"
    code += "other, data = ask()\nprint(json.dumps([other, len(data), begun == os.getpid()]))"
    assert run(code) == [True, 1_000_000, True]


def test_a_copy_that_is_ended_while_it_tells():
    """A part of what a copy has found is nothing."""
    code = """
write = os.write
def work():
    if os.getpid() == begun:
        return 7
    class Cut:
        def __reduce__(self):
            import pickle
            data = pickle.dumps(3)
            for fd in range(3, 99):
                try:
                    os.write(fd, data[:-1])
                except OSError:
                    pass
            os.kill(os.getpid(), signal.SIGKILL)
    return Cut()
"""
    assert run(code + "print(json.dumps(aside(work)()))") == 7


def test_whoever_ignores_its_children():
    """Where the ends of children are ignored, what they found is taken all the same."""
    code = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    assert run(code + "print(json.dumps(aside(lambda: os.getpid() != begun)()))") is True


def test_nobody_asks():
    """A copy whose outcome nobody asks for ends when it has done its work."""
    code = """
import select
read, write = os.pipe()
os.set_inheritable(write, True)
child = os.fork()
if child == 0:
    ask = aside(lambda: b"x" * 1_000_000)
    os._exit(0)
os.waitpid(child, 0)
os.close(write)
print(json.dumps(os.read(read, 1).decode()))  # "" once the last copy has ended
"""
    assert run(code) == ""


@pytest.mark.parametrize(
    "end",
    ["os.kill(os.getpid(), signal.SIGKILL)", "raise ValueError", "sys.exit(3)", "return print"],
)
def test_a_copy_that_fails(end):
    """What ends the copy, or cannot be handed back, is done again in this process."""
    code = f"def work():\n    if os.getpid() != begun:\n        {end}\n    return 7\n"
    code = code.replace("return print", "return lambda: 0")
    assert run(code + "print(json.dumps(aside(work)()))") == 7


def test_an_error_is_that_of_the_work():
    """What the work raises is raised where its outcome is asked for."""
    code = "def work():\n    raise ValueError('as here')\nask = aside(work)\n"
    code += "try:\n    ask()\nexcept ValueError as error:\n    print(json.dumps(str(error)))"
    assert run(code) == "as here"


def test_a_copy_prints_nothing_and_holds_no_pipe_open():
    """Who reads what is printed does not wait for a copy that goes on."""
    code = "def work():\n    print('no', flush=True)\n    time.sleep(600)\n"
    code += "read, write = os.pipe()\nchild = os.fork()\nif child == 0:\n"
    code += "    os.dup2(write, 1)\n    os.close(write)\n    os.close(read)\n"
    code += "    os.set_inheritable(1, True)\n    ask = aside(work)\n    os._exit(0)\n"
    code += "os.close(write)\nprint(json.dumps(os.read(read, 99).decode()))"
    assert run(code) == ""


def test_one_processor_or_a_thread_or_no_process(monkeypatch):
    """Without a second processor, beside a thread, and where none can be made, it is done here."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert in_a_copy(list)(os.getpid)() == os.getpid() == later(os.getpid)()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr("patchtool.aside._is_threaded", lambda: False)

    with monkeypatch.context() as system:
        system.delattr(os, "sched_getaffinity")
        assert in_a_copy(list)(os.getpid)() == os.getpid()

    def refuse():
        raise OSError

    monkeypatch.setattr(os, "fork", refuse)
    before = len(os.listdir("/proc/self/fd"))
    assert in_a_copy(list)(os.getpid)() == os.getpid()
    assert len(os.listdir("/proc/self/fd")) == before
    monkeypatch.setattr("patchtool.aside._is_threaded", lambda: True)
    monkeypatch.setattr(os, "fork", lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert in_a_copy(list)(os.getpid)() == os.getpid()


KEPT_IN_STEP = b"""
void switch_eptp(struct kvm_vcpu *vcpu, bool ad)
{
	vcpu->arch.mmu->ept_ad = ad;
	vcpu->arch.mmu->mmu_role.base.ad_disabled = !ad;
}
"""


def test_whoever_takes_what_is_shared_out(tmp_path):
    """What a verdict rests on is the same whichever process has decided which path."""
    miniatures.write("role-regs-fixed", tmp_path)
    with (tmp_path / "arch/x86/kvm/mmu/mmu.c").open("ab") as main:
        main.write(KEPT_IN_STEP)  # it is run where a path is decided, to see that it is harmless
    said = []
    for takes in ("==", "!="):
        code = "import os, sys\nfrom patchtool import aside, cli\nbegun = os.getpid()\n"
        code += "os.sched_getaffinity = lambda _: {0, 1}\nall_left = aside.Shares.__iter__\n"
        code += f"aside.Shares.__iter__ = lambda self: all_left(self) if os.getpid() {takes} begun "
        code += "else iter(())\ncli.main(sys.argv[1:])"
        command = [sys.executable, "-c", code, "check", ".", "--verbose", "--fields", "ept_ad"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        said.append(done.stdout + done.stderr)
    assert "function switch_eptp" in said[0]
    assert said[0] == said[1]


@pytest.mark.parametrize("name", ["cpu-role-level-gap", "cpu-role-fixed"])
def test_a_check_in_a_copy_says_the_same(name, tmp_path):
    """A check says the same on one processor and on two, to the last file that it read."""
    tree = str(miniatures.folder(name))
    said = []
    for processors in ("{0}", "{0, 1}"):
        code = "import os, sys\nforked, fork = [], os.fork\n"
        code += f"os.sched_getaffinity = lambda _: {processors}\n"
        code += "os.fork = lambda: forked.append(1) or fork()\n"
        code += "from patchtool.cli import main\nstatus = main(sys.argv[1:])\n"
        code += "sys.stdout.flush()\nprint(len(forked), status, file=sys.stderr)"
        command = [sys.executable, "-c", code, "check", tree, "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        said.append((done.stdout, done.stderr))
    assert said[0][0] == said[1][0]
    status = 1 if name.endswith("gap") else 0
    assert [one for _, one in said] == [f"0 {status}\n", f"3 {status}\n"]


def test_a_walk_knows_what_a_copy_asked(tmp_path):
    """What the text was asked for in a copy of the process counts as asked."""
    code = f"""
sys.path.insert(0, {str(Path(__file__).parent)!r})
from edited import Files
import miniatures
from patchtool.aside import later
from patchtool.history.lens import Recorder
from patchtool.target.kvm import KVM
from patchtool.rules.table import USUAL
seen = []
for way in (later, aside):
    index = Recorder(Files(miniatures.files("cpu-role-level-gap")), KVM)
    report = USUAL.check(index, aside=way)
    seen.append([index.lens(report, USUAL.fields).words(), report.files])
print(json.dumps(seen))
"""
    at_once, aside = run(code)
    assert at_once == aside
    assert at_once[0]["stored"]


def test_a_revision_is_read_by_two(tmp_path):
    """A tree in a repository is read by one git for each process."""
    tree = shutil.copytree(miniatures.folder("cpu-role-level-gap"), tmp_path / "tree")
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for words in (["init", "-q"], ["add", "."], [*settings, "commit", "-qm", "tree"]):
        subprocess.run(["git", *words], cwd=tree, check=True)
    said = []
    for rev in ([], ["--rev", "HEAD"]):
        code = "import os, sys\nos.sched_getaffinity = lambda _: {0, 1}\n"
        code += "from patchtool.cli import main\nsys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", code, "check", str(tree), "--format", "json", *rev]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.stderr == ""
        said.append(json.loads(done.stdout))
    assert said[1].pop("rev") is not None
    assert said[0].pop("rev") is None
    assert said[0] == said[1]


def test_what_is_shared_out_is_done_once():
    """Each piece goes to one of two processes, and both have some."""
    code = """
from patchtool.aside import Shares
shares = Shares(200)
def work():
    found = []
    for one in shares:
        found.append(one)
        time.sleep(0.001)
    return found
ask = aside(work)
mine, other = work(), ask()
print(json.dumps([bool(mine), bool(other), sorted(mine + other) == list(range(200))]))
"""
    assert run(code) == [True, True, True]


def test_what_an_ended_copy_took_is_done_here():
    """Who takes a piece and is ended before its end has done nothing."""
    code = """
from patchtool.rules.stale_mmu_role import _Beside, _done
def piece():
    if os.getpid() != begun:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return _Beside(("here",))
class Index:
    notes = take = lambda *_: None
print(json.dumps(_done([piece] * 8, Index(), aside)))
"""
    assert run(code) == [[["here"]]] * 8


def test_without_a_pipe_nothing_is_shared():
    """Where no descriptor is left, one process does all."""
    code = """
from patchtool.aside import Shares
def none():
    raise OSError
os.pipe = none
shares = Shares(3)
print(json.dumps([list(shares), list(shares)]))
shares.close()
"""
    assert run(code) == [[0, 1, 2], []]
