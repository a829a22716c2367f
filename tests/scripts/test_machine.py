"""The launcher: what it starts, what it says when things go wrong, and that nothing is left."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab import Trouble
from lab.kernels.tree import prepare
from lab.machines import panics, rundir
from lab.machines.machine import Machine, Panicked, Silent
from lab.machines.qmp import Gone, Qmp

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def gone(pid: int) -> bool:
    """Whether no process has this pid, or only a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):     # or it went while it was read
        return True


def test_a_machine_talks_and_leaves_nothing(bare):
    with Machine(prepare(str(bare())), 2) as machine:
        machine.boot(20)
        machine.send("over and out")
        machine.wait_for("over and out\n", 20)
        assert "running" in machine.monitor("info status")
        assert machine.folder.stat().st_mode & 0o777 == 0o700
        assert machine.ram_file.stat().st_size == machine.kernel.ram_bytes
        pid, folder = machine.pid, machine.folder
    assert gone(pid)
    assert not folder.exists()


def test_a_panic_is_told_at_once_with_the_last_lines(bare):
    with Machine(prepare(str(bare(r"one\ntwo\npanic: kerneltrap\nhart 1\n"))), 1) as machine:
        with pytest.raises(Panicked) as told:
            machine.boot(20)
    assert told.value.words == "kerneltrap" and "  | two" in str(told.value).splitlines()


def test_a_kernel_that_hangs_is_told_with_the_last_lines(bare):
    with Machine(prepare(str(bare(r"almost there\n", "SILENT"))), 1) as machine:
        with pytest.raises(Silent, match="(?s)first prompt, .*the kernel hangs.*almost there"):
            machine.boot(1)


@pytest.mark.parametrize("answer", [b"", b'{"return": {"sta', None])
def test_a_monitor_that_ends_in_the_middle_of_a_command_is_told(tmp_path, answer):
    """None: it has not read the command, which its end resets."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(tmp_path / "monitor"))
        listening.listen()

        def serve() -> None:
            other = listening.accept()[0]
            other.sendall(b'{"QMP": {}}\n')
            other.recv(4096)
            other.sendall(b'{"return": {}}\n')
            select.select([other], [], [])
            if answer is not None:
                other.recv(4096)
                other.sendall(answer)
            other.close()
        served = threading.Thread(target=serve)
        served.start()
        with Qmp(tmp_path / "monitor") as monitor:
            with pytest.raises(Gone, match="QEMU closed its monitor"):
                monitor.execute("query-status")
        served.join()


@pytest.mark.parametrize("said", [b'{"event": "STOP"}\n{"return": {}}\n', b'{"return": {}}\n{"event": "STOP"}\n'], ids=["before", "after"])
def test_what_a_monitor_says_beside_an_answer_is_not_waited_for_again(tmp_path, said):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(tmp_path / "monitor"))
        listening.listen()

        def serve() -> None:
            with listening.accept()[0] as other:
                other.sendall(b'{"QMP": {}}\n')
                other.recv(4096)
                other.sendall(said)
                other.recv(4096)
        served = threading.Thread(target=serve)
        served.start()
        with Qmp(tmp_path / "monitor") as monitor:
            monitor.wait(3600)
        served.join()


def test_what_a_monitor_says_unasked_is_read_though_nobody_asks_for_it(tmp_path):
    """A QEMU whose events nobody reads waits, and its machine with it: a breakpoint with a condition stops it thousands of times."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(tmp_path / "monitor"))
        listening.listen()
        all_sent = threading.Event()

        def serve() -> None:
            with listening.accept()[0] as other:
                other.sendall(b'{"QMP": {}}\n')
                other.recv(4096)
                other.sendall(b'{"return": {}}\n')
                for _ in range(10_000):
                    other.sendall(b'{"event": "STOP"}\n{"event": "RESUME"}\n')
                all_sent.set()
                other.recv(4096)
                other.sendall(b'{"return": {"running": true}}\n')
                other.recv(4096)
        served = threading.Thread(target=serve)
        served.start()
        with Qmp(tmp_path / "monitor") as monitor:
            assert all_sent.wait(100)
            assert monitor.stands(exactly=True) == (False, 20_000)
        served.join()


def test_whether_a_machine_stands_is_asked_once_and_then_heard(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(tmp_path / "monitor"))
        listening.listen()
        asked = []

        def serve() -> None:
            with listening.accept()[0] as other:
                other.sendall(b'{"QMP": {}}\n')
                for said in (b'{"return": {}}\n', b'{"return": {"running": true}}\n{"event": "STOP"}\n',
                             b'{"event": "RESUME"}\n{"return": {"running": true}}\n'):
                    asked.append(json.loads(other.recv(4096))["execute"])
                    other.sendall(said)
                other.recv(4096)
        served = threading.Thread(target=serve)
        served.start()
        with Qmp(tmp_path / "monitor") as monitor:
            assert monitor.stands() == (True, 1) == monitor.stands()
            assert asked == ["qmp_capabilities", "query-status"]
            assert monitor.stands(exactly=True) == (False, 2) == monitor.stands()
            assert len(asked) == 3
        served.join()


def test_a_qemu_that_ends_is_told(bare):
    with Machine(prepare(str(bare())), 1) as machine:
        machine.boot(20)
        with machine.qmp() as monitor:
            os.kill(machine.pid, signal.SIGKILL)
            with pytest.raises(Gone, match="QEMU ended: signal 9"):
                monitor.execute("query-status")
        with pytest.raises(Gone, match="QEMU ended: signal 9"):
            machine.wait_for("never", 20)
        with pytest.raises(Gone, match="QEMU ended: signal 9"):
            machine.qmp()


def test_two_machines_at_once_do_not_meet(bare):
    kernel = prepare(str(bare()))
    with Machine(kernel, 1) as one, Machine(kernel, 1) as other:
        one.boot(20)
        other.boot(20)
        one.send("for one")
        one.wait_for("for one\n", 20)
        assert one.folder != other.folder
        assert "for one" not in other.console


@pytest.mark.parametrize("cpus", [0, 9, -1])
def test_harts_out_of_range(bare, cpus):
    with pytest.raises(Trouble, match=f"CPUS={cpus} is out of range"):
        Machine(prepare(str(bare())), cpus)


def test_a_port_that_is_taken(bare):
    import socket
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(Trouble, match=f"GDBPORT={port} cannot be used: Address already in use"):
            Machine(prepare(str(bare())), 1, gdb_port=port)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_qemu_and_its_folder_go_with_the_launcher(bare, how):
    program = ("import sys, time; sys.path.insert(0, sys.argv[1])\n"
               "from lab import cli\nfrom lab.machines.machine import Machine\nfrom lab.kernels.tree import prepare\n"
               "def main():\n"
               "    with Machine(prepare(sys.argv[2]), 1) as machine:\n"
               "        print(machine.pid, machine.folder, machine._run._keeper.pid, flush=True)\n"
               "        machine.wait_for('never')\n"
               "cli.run(main)\n")
    launcher = subprocess.Popen([sys.executable, "-c", program, str(SCRIPTS), str(bare())],
                                stdout=subprocess.PIPE, text=True)
    try:
        pid, folder, keeper = launcher.stdout.readline().split()
        assert not gone(int(pid))
        descriptor = os.pidfd_open(int(keeper))
        launcher.send_signal(how)
        launcher.wait(30)
        # The keeper is the last to go.
        import select
        assert select.select([descriptor], [], [], 30)[0]
        os.close(descriptor)
        assert gone(int(pid))
        assert not Path(folder).exists()
    finally:
        launcher.kill()
        launcher.stdout.close()


def test_a_note_of_a_dead_machine_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(rundir, "BUILD", tmp_path)
    ended = subprocess.Popen(["true"])
    ended.wait()
    mine = rundir.Note(os.getpid(), rundir.started_at(os.getpid()), "k", "g", "q", "r")
    reused = rundir.Note(os.getpid(), "0", "k", "g", "q", "r")
    assert rundir.publish(reused) and rundir.running() == []
    rundir.publish(rundir.Note(ended.pid, "1", "k", "g", "q", "r"))
    rundir.publish(mine)
    assert rundir.running() == [mine]
    assert len(list((tmp_path / "run").iterdir())) == 1


class _Ram:
    """A kernel whose `panicked` has been set since it began; code of a hart that stays where it is, from 0x100 on."""

    def __init__(self):
        self.panicked = False

    def variables(self, name):
        return [range(4)] if name.fullmatch("panicked") else []

    def read(self, place):
        return bytes([self.panicked, 0, 0, 0])

    def code(self, pc, n):
        return (b"\x01\xa0" if pc >= 0x100 else b"\x13\x00\x00\x00") * n

    def function(self, pc):
        return None


def test_a_kernel_that_has_panicked_and_not_said_why_is_heard_until_a_hart_is_at_its_end():
    """However often one looks meanwhile: on a busy host it may stand still between the two."""
    ram, pcs = _Ram(), [0x40]
    watched = panics.Panics(ram, lambda: pcs)
    assert watched.shown("$ ", 2, False) is None
    ram.panicked = True
    assert [watched.shown(text, 2, False) for text in ("$ ", "$ \n", "$ \n", "$ \npan", "$ \npan")] == [None] * 5
    assert [watched.shown("$ \npanic: kfree\n", 2, False) for _ in range(2)] == [None, "kfree"]
    pcs[0] = 0x100
    assert watched.shown("$ \n", 2, False) is None and watched.shown("$ \n", 2, False) == panics.NOTHING
