"""What cannot be recorded or replayed is told in one line, and nothing is left of it."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import socket
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from lab import ROOT, Trouble, tools
from lab.replay import recording
from lab.replay.place import Place
from lab.replay.server import Server
from lab.replay.wire import Wire
from shrimpy.memory import elf

WFI, NOP = 0x10500073, 0x00000013
_LOOP = struct.pack("<I", 0x0000006f)  # j .


def spoil_log(folder: Path) -> None:
    os.truncate(folder / "log", 3000)


def spoil_disk(folder: Path) -> None:
    with (folder / "disk0").open("r+b") as file:
        file.seek(5000)
        file.write(b"other")


def spoil_kernel(folder: Path) -> None:
    shutil.copyfile("/bin/true", folder / "kernel/kernel")


def lose_log(folder: Path) -> None:
    (folder / "log").unlink()


def empty_manifest(folder: Path) -> None:
    (folder / "recording.json").write_text("{}")


def other_qemu(folder: Path) -> None:
    data = json.loads((folder / "recording.json").read_text())
    (folder / "recording.json").write_text(json.dumps({**data, "qemu": "QEMU emulator version 99.0"}))


def other_options(folder: Path) -> None:
    data = json.loads((folder / "recording.json").read_text())
    (folder / "recording.json").write_text(json.dumps({**data, "qemu_options": ["-drive", "file=/etc/passwd"]}))


@pytest.mark.parametrize("spoil, said", [
    (spoil_log, "file log has changed"), (spoil_disk, "file disk0 has changed"),
    (spoil_kernel, "kernel/kernel has changed"), (lose_log, "log is missing"),
    (empty_manifest, "not written by"), (other_qemu, "version 99.0"),
    (other_options, "cannot be recorded"),
    (shutil.rmtree, "not a recording")])
def test_a_recording_that_does_not_fit_is_told_in_one_line(recorded, tmp_path, spoil, said):
    copy = tmp_path / "copy"
    shutil.copytree(recorded.folder, copy)
    spoil(copy)
    done = subprocess.run([ROOT / "scripts/debug", "--recording", copy], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_log_that_ends_early_is_told_and_does_not_hang(recorded, tmp_path):
    log = tmp_path / "log"
    shutil.copyfile(recorded.log, log)
    os.truncate(log, 3000)
    machine = recording.RecordedMachine(recorded.kernel, log)
    with Place(machine, recorded.end) as place, pytest.raises(Trouble, match="replayed"):
        place.run_to(recorded.end)
    assert not os.path.exists(f"/proc/{machine.pid}")


def test_a_replay_that_differs_is_told_soon(recorded, kernel, tmp_path, monkeypatch):
    """A program loops where the recorded one makes a system call: nothing that the log has next ever comes."""
    monkeypatch.setenv("SHRIMPY_LIMIT", "6")
    program = elf.Elf.load(kernel.elf.parent.parent / "user" / "_ls")
    code = next(program.bytes_of(one)[program.entry - one.vaddr:][:64] for one in program.segments if one.is_code)
    disk = tmp_path / "disk"
    disk.write_bytes(recorded.kernel.disks[0].read_bytes().replace(code, _LOOP * (len(code) // 4)))
    other = dataclasses.replace(recorded, kernel=dataclasses.replace(recorded.kernel, disks=(disk,)))
    with Place(other.replay(), other.end) as place, pytest.raises(Trouble, match="differs from the recording: it stands still at"):
        place.run_to(other.end)


@pytest.mark.parametrize("change, said", [
    ({"disk_devices": ("virtio-blk-pci",)}, "its disk is a virtio-blk-pci"),
    ({"qemu_options": ("-device", "e1000")}, "QEMU is given -device e1000"),
    ({"qemu_options": ("-bios", "/some/firmware")}, "QEMU is given -bios /some/firmware")])
def test_a_kernel_that_cannot_be_recorded_is_told(kernel, tmp_path, change, said):
    with pytest.raises(Trouble, match=said):
        recording.record(dataclasses.replace(kernel, **change), tmp_path / "out", "ls")
    assert not list(tmp_path.iterdir())


def test_several_harts_are_not_recorded(tmp_path):
    done = subprocess.run([ROOT / "scripts/record", "--cpus", "3", "--out", tmp_path / "out"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == "record: CPUS=3: only a run on one hart can be recorded\n"


def test_a_program_that_did_not_run_is_not_recorded(kernel, tmp_path):
    done = subprocess.run([ROOT / "scripts/record", "--program", "nosuch", "--out", tmp_path / "out"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "nosuch" in done.stderr and done.stderr.count("\n") == 1
    assert done.stdout == "" and not list(tmp_path.iterdir())


def test_a_folder_of_something_else_is_left_alone(kernel, tmp_path):
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(Trouble, match="not a recording"):
        recording.record(kernel, tmp_path, "ls")
    assert [one.name for one in tmp_path.iterdir()] == ["letter"]


def test_a_qemu_without_record_and_replay_is_told_and_nothing_is_left(kernel, tmp_path, monkeypatch):
    fake = tmp_path / "qemu"
    fake.write_text(f"""#!/bin/sh
case "$*" in *rr=*) echo 'qemu: -icount: Invalid parameter rr' >&2; exit 1;; esac
exec {shutil.which("qemu-system-riscv64")} "$@"
""")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    done = subprocess.run([ROOT / "scripts/record", "--out", tmp_path / "out"], capture_output=True, text=True,
                          env={**os.environ, "QEMU": str(fake)})
    assert done.returncode == 1 and "this QEMU cannot record" in done.stderr and "Invalid parameter rr" in done.stderr
    assert done.stderr.count("\n") == 1 and [one.name for one in tmp_path.iterdir()] == ["qemu"]


def test_an_interrupt_during_a_search_leaves_the_machine_where_it_is(recorded, monkeypatch):
    monkeypatch.setattr("lab.replay.place._LOOK_S", 0.0)     # a fast host would have done the search before anybody looks
    with Server(recorded) as server:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(server.target)
        wire = Wire(connection)

        def ask(packet: bytes) -> bytes:
            wire.send(packet)
            return wire.receive()
        start = ask(b"g"), ask(b"qshrimpy.when")
        assert ask(b"qshrimpy.goal:%d" % recorded.end) == b"OK"
        wire.send(b"bs")
        wire.interrupt()
        assert wire.receive().startswith(b"T02") and (ask(b"g"), ask(b"qshrimpy.when")) == start
        assert ask(b"qshrimpy.goal:%d" % recorded.end) == b"OK"
        assert ask(b"bs").startswith(b"T05")
        for packets in ((b"bc", b"bc"), (b"bs",)):
            before = ask(b"g"), ask(b"qshrimpy.when"), ask(b"qshrimpy.machine")
            for packet in packets:
                assert ask(b"Z0,1,4") == b"OK"
                wire.send(packet)
                wire.interrupt()
                assert wire.receive().startswith(b"T02")
                assert (ask(b"g"), ask(b"qshrimpy.when"), ask(b"qshrimpy.machine")) == before
            assert ask(b"s").startswith(b"T05")     # a step back from here is a search: nothing is kept of what was before
        assert ask(b"bs").startswith(b"T05")
        ram = Path(os.fsdecode(ask(b"qshrimpy.machine")))
        pid = int((ram.parent / "qemu.pid").read_text())
        wire.close()
    assert not ram.exists() and not Path(f"/proc/{pid}").exists()


def test_only_a_wfi_is_made_a_nop(tmp_path):
    """Of 2 bytes and of 4, and the pattern in the middle of another instruction, or in data."""
    code = struct.pack("<HIHI", 0x0001, WFI, 0x0001, WFI)           # c.nop, wfi at 2, c.nop, wfi at 8
    code += struct.pack("<IH", 0x00730537, 0x1050)                  # lui a0, 0x730; then half of what would be one
    code += struct.pack("<HI", 0x0001, 0x00008067)                  # c.nop, ret
    source = tmp_path / "code.S"
    halves = "".join(f".2byte {half:#x}\n" for half in struct.unpack(f"<{len(code) // 2}H", code))
    source.write_text(f".globl f\n.type f, @function\nf:\n{halves}.size f, . - f\n.type data, @object\n.align 2\n"
                      f"data: .4byte {WFI:#x}\n.size data, 4\n")
    elf = tmp_path / "elf"
    subprocess.run([tools.cross_prefix() + "gcc", "-nostdlib", "-march=rv64gc", "-Wl,-Ttext=0x80000000", "-o", elf, source, "-Wl,-ef"],
                   check=True, stderr=subprocess.DEVNULL)
    before, after = elf.read_bytes(), recording.without_wfi(elf)
    at = before.index(code)
    changed = [place - at for place in range(0, len(before)) if before[place] != after[place]]
    assert {place // 2 * 2 for place in changed} <= {2, 4, 8, 10} and len(before) == len(after)
    assert struct.unpack_from("<HIHI", after, at) == (0x0001, NOP, 0x0001, NOP)


def test_an_interrupted_machine_goes_on(recorded):
    with Server(recorded) as server:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(server.target)
        wire = Wire(connection)
        for _ in range(3):
            wire.send(b"vCont;c")
            wire.interrupt()
            assert wire.receive()[:3] in (b"T02", b"T05")
        wire.send(b"vCont;c")
        assert b"replaylog:end" in wire.receive()
        wire.close()
    assert server.failure is None


@pytest.mark.parametrize("full_at", ["disk0", "log"])
def test_a_disk_that_is_full_leaves_what_was_there(recorded, kernel, tmp_path, monkeypatch, full_at):
    out = tmp_path / "out"
    shutil.copytree(recorded.folder, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    copyfile = shutil.copyfile

    def copy(source: Path, target: Path) -> Path:
        if Path(target).name == full_at and tmp_path in Path(target).parents:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        return copyfile(source, target)

    monkeypatch.setattr(recording.shutil, "copyfile", copy)
    with pytest.raises(OSError, match="No space left"):
        recording.record(kernel, out, "ls")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
