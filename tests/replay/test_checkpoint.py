"""A machine is kept and put back: live, behind GDB's connection, and as a file that is handed on."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import subprocess
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab import ROOT, Trouble
from lab.judging.keeping import Keeper
from lab.kernels import tree, variant
from lab.machines import debugger, rundir, sparse
from lab.machines.machine import Machine
from lab.marks import results
from lab.pictures import watching
from lab.replay import archive, checkpoint
from lab.replay.archive import Checkpoint
from lab.replay.boots import Boots
from lab.replay.checkpoint import RestoredMachine
from lab.replay.live import Server
from shrimpy.snapshot import Snapshot

HARTS = 3


@pytest.fixture(scope="module")
def booted(kernel: tree.Kernel) -> Iterator[Machine]:
    """A machine at its prompt, with a file on its disk."""
    with Machine(kernel, HARTS) as machine:
        machine.boot().run("echo one > first")
        yield machine


@pytest.fixture(scope="module")
def saved(booted: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what was kept of that machine."""
    folder = tmp_path_factory.mktemp("kept") / "one"
    with booted.qmp() as monitor:
        monitor.execute("stop")
        checkpoint.save(booted, folder, monitor)
        monitor.execute("cont")
    return folder


def word(machine: Machine, name: str) -> int:
    return machine.ram.words(machine.ram.variables(re.compile(name))[0], "I")[0]


def test_machines_after_the_first_go_on_from_its_first_prompt(kernel, monkeypatch):
    waited = []
    monkeypatch.setattr(Machine, "boot", lambda machine, limit_s=None, boot=Machine.boot: waited.append(1) or boot(machine, limit_s))
    with Boots(dataclasses.replace(kernel, prompt=""), HARTS) as boots:
        for line in ("one", "two"):
            with boots.new() as machine:
                machine.boot()
                boots.keep(machine)
                banner = machine.console
                assert machine.run(f"echo {line} > there; cat there").strip() == line
        assert len(waited) == 1 and "starting sh" in banner
        kept = boots._kept[0]
        (kept / checkpoint.DEVICES).write_bytes(b"")    # what cannot be restored boots
        with boots.new() as machine:
            assert "two" not in machine.boot().run("cat there") and len(waited) == 2
    assert not kept.exists()


def test_a_restored_machine_has_its_disk_and_its_clock_and_the_first_goes_on(kernel, booted, saved):
    booted.run("echo two > second")
    with RestoredMachine(kernel, HARTS, saved) as machine:
        machine.go()
        assert machine.run("cat first").strip() == "one" and "cannot read" in machine.run("cat second")
        assert machine.run("echo three > third; cat third").strip() == "three"
        then = word(machine, "ticks")
        machine.wait_until(lambda _: word(machine, "ticks") > then + 1, poll_s=0.02, what="two ticks")
        assert machine.run("ls").count("\n") > 10
    assert booted.run("cat second").strip() == "two"


def tables(file: Path) -> list[tuple]:
    """Of each process in a snapshot what a step may change. What the harts do meanwhile need not be the same twice."""
    return [(one.pid, one.parent, one.root, one.tables, one.mappings) for one in Snapshot.from_data(json.loads(file.read_text())).processes]


def test_gdb_has_the_machine_back_with_what_it_knew_of_it(kernel, saved, tmp_path):
    with RestoredMachine(kernel, HARTS, saved) as first, Server(first) as server, debugger.Session(kernel.elf, server.target) as gdb:
        gdb.ask("break fork")
        first.send("ls")
        gdb.ask("continue", "delete", *["shrimp-step"] * 3, "watch panicked", "break sys_exec")
        assert gdb.ask("xv6-checkpoint one") == ""
        kept = gdb.ask("info threads", f"xv6-snapshot {tmp_path}/before")
        step = gdb.ask("shrimp-step")
        gdb.ask(f"xv6-snapshot {tmp_path}/step", "delete 2", "continue")
        for _ in range(2):      # from a breakpoint in sys_exec, on whichever hart
            assert "xv6-restore:" not in gdb.ask("xv6-restore one")
            assert gdb.ask("info threads", f"xv6-snapshot {tmp_path}/again") == kept.replace("before", "again")
            assert (tmp_path / "again").read_bytes() == (tmp_path / "before").read_bytes()
            assert gdb.ask("shrimp-step") == step and re.match(r"4  ", step)
            gdb.ask(f"xv6-snapshot {tmp_path}/again")
            assert tables(tmp_path / "again") == tables(tmp_path / "step")
            assert "hit Breakpoint 3" in gdb.ask("continue")
        assert "already hit 3 times" in gdb.ask("info breakpoints")
        said = gdb.ask("xv6-restore two")
        assert said.count("\n") == 1 and "there is no checkpoint two; there are one" in said
        assert "sys_exec" in gdb.ask("frame")
        gdb.ask("xv6-restore one", "delete")
        gdb.tell("continue")
        server.machine.wait_for(r"\$ ")
        assert server.machine.run("cat first").strip() == "one"
        last = server.machine
    assert not Path(f"/proc/{last.pid}").exists() and not last.folder.exists()


def orders(url: str) -> Iterator[list]:
    """The processes that a page shows, whenever it is told of them."""
    for line in urllib.request.urlopen(f"{url}events"):
        if line.startswith(b"data: ") and (order := json.loads(line[6:])["parts"].get("order")):
            yield order


def test_the_page_follows_the_machine_that_takes_the_place_of_another(kernel, saved, tmp_path, monkeypatch):
    monkeypatch.setenv("SHRIMPY_RUN", str(tmp_path))
    with RestoredMachine(kernel, HARTS, saved) as first, Server(first) as server, watching.page(first.note(), False) as url, \
            debugger.Session(kernel.elf, server.target) as gdb:
        server.publish(url)
        shown = orders(url)
        assert len(next(shown)) == 2, "init and its shell"
        gdb.ask("xv6-checkpoint one")
        gdb.tell("continue")
        first.send("shrimpdemo &")
        next(one for one in shown if len(one) == 6)
        with first.qmp() as monitor:
            monitor.execute("stop")
        gdb.ask("xv6-restore one")
        assert server.machine is not first
        next(one for one in shown if len(one) == 2)


def test_a_machine_that_others_started_says_what_to_try(booted, ask_live):
    for said in ask_live(booted, "xv6-checkpoint one", "xv6-restore one"):
        assert said.count("\n") == 1 and "make qemu-gdb" in said


@pytest.fixture
def ask_live(gdb: Callable[..., str]) -> Callable[..., list[str]]:
    """What a GDB on a machine's own stub prints for commands that fail."""
    def look(at: Machine, *commands: str) -> list[str]:
        lines = [f"python\ntry: gdb.execute({one!r})\nexcept gdb.error as e: print('@', e)\nend" for one in commands]
        return [f"{one}\n" for one in re.findall("^@ (.*)", gdb(at.kernel.elf, lines, target=at.gdb_target), re.M)]
    return look


def test_what_qemu_does_not_take_is_told_in_a_line_and_nothing_is_left(kernel, saved, tmp_path):
    for name in ("devices", "ram", "disk0"):
        sparse.copy(saved / name, tmp_path / name)
    os.truncate(tmp_path / "devices", 20_000)
    with pytest.raises(Trouble, match=r"^the checkpoint cannot be restored: QEMU ended: .*$"):
        RestoredMachine(kernel, HARTS, tmp_path, within=tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {"devices", "ram", "disk0"}
    with pytest.raises(Trouble, match="cannot be restored"):
        RestoredMachine(kernel, 1, saved, within=tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {"devices", "ram", "disk0"}


def test_a_full_disk_leaves_no_half_of_a_checkpoint(booted, tmp_path, monkeypatch):
    def full(_source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
    monkeypatch.setattr(sparse, "copy", full)
    monkeypatch.setenv("KEEP", "1")
    with booted.qmp() as monitor, Keeper() as keeper:
        with pytest.raises(OSError, match="No space left"):
            checkpoint.save(booted, tmp_path / "one", monitor)
        assert not list(tmp_path.iterdir()) and not (booted.folder / "devices").exists()
        keeper.failed(booted, JUDGEMENT, monitor)
        assert keeper.made is None and "no checkpoint: " in keeper.notes[0] and "No space left" in keeper.notes[0]


JUDGEMENT = SimpleNamespace(point="the family stands still", failures=[SimpleNamespace(rule="shrimp-pair")],
                            snapshot=SimpleNamespace(stop=SimpleNamespace(hart=1)))


def test_what_was_kept_of_a_failure_is_opened_at_its_stop(booted, tmp_path, monkeypatch):
    monkeypatch.setenv("KEEP", "1")
    with Keeper() as keeper, booted.qmp() as monitor:
        for _ in range(2):      # the first counts
            keeper.failed(booted, JUDGEMENT, monitor)
        kept = keeper.made
        archive.pack(kept, tmp_path / "checkpoint.zip")
    assert not kept.folder.exists() and [one.name for one in tmp_path.iterdir()] == ["checkpoint.zip"]
    done = subprocess.run([ROOT / "scripts/debug", "--checkpoint", tmp_path / "checkpoint.zip"], capture_output=True, text=True,
                          input="thread\nlist kfree\nxv6-ps\nxv6-checkpoint here\ntbreak clockintr\ncontinue\nxv6-restore START\nxv6-ps\n")
    assert "3 harts: the family stands still (shrimp-pair failed)" in done.stderr
    assert "[Current thread is 2" in done.stdout and "void kfree(void *pa) {" in done.stdout and "hit Temporary" in done.stdout
    assert done.stdout.count(" sh ") == 2, done.stdout


@pytest.fixture
def packed(kernel: tree.Kernel, tmp_path: Path) -> Path:
    """A file with a checkpoint that no QEMU has written: of little, but complete."""
    folder = tmp_path / "made"
    folder.mkdir()
    small = archive.with_kernel(dataclasses.replace(kernel, ram_bytes=1 << 20), folder)
    for name in ("devices", "disk0"):
        (folder / name).write_bytes(name.encode())
    with (folder / "ram").open("wb") as file:
        file.seek(700_000)
        file.write(b"memory")
        file.truncate(1 << 20)
    archive.pack(Checkpoint(folder, small, HARTS, 2, "here"), tmp_path / "checkpoint.zip")
    return tmp_path / "checkpoint.zip"


def test_what_is_packed_is_unpacked_with_its_holes_and_gone_afterwards(packed, kernel):
    with archive.unpacked(packed) as made:
        ram = made.folder / "ram"
        assert ram.read_bytes()[700_000:700_006] == b"memory" and ram.stat().st_size == 1 << 20
        assert ram.stat().st_blocks * 512 < 1 << 19
        assert made.kernel.elf.read_bytes() == kernel.elf.read_bytes() and (made.folder / "kernel/proc.c").is_file()
        assert made.kernel.stranger and (made.cpus, made.thread, made.stopped) == (HARTS, 2, "here")
    assert not made.folder.exists()


def changed(name: str, change: Callable[[bytes], bytes], to: str = "") -> Callable[[Path], None]:
    """Makes a file of an archive another, of another name even."""
    def spoil(path: Path) -> None:
        with zipfile.ZipFile(path) as old:
            files = {one.filename: old.read(one) for one in old.infolist()}
        content = files.pop(name)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
            for one, data in {**files, to or name: change(content)}.items():
                new.writestr(one, data)
    return spoil


def manifest(**values: object) -> Callable[[Path], None]:
    return changed("checkpoint.json", lambda old: json.dumps({**json.loads(old), **values}).encode())


def listed(name: str) -> Callable[[Path], None]:
    """A file of a name that leads elsewhere."""
    def spoil(path: Path) -> None:
        with zipfile.ZipFile(path) as archived:
            files = json.loads(archived.read("checkpoint.json"))["files"]
        manifest(files=[*files, name])(path)
        with zipfile.ZipFile(path, "a") as archived:
            archived.writestr(name, b"mine")
    return spoil


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xff
    path.write_bytes(data)


@pytest.mark.parametrize("spoil, said", [
    (lambda path: os.truncate(path, path.stat().st_size - 1000), "its end is missing"),
    (lambda path: os.truncate(path, 0), "its end is missing"),
    (lambda path: path.write_text("dear"), "its end is missing"),
    (flip, "complete"),
    (changed("ram", lambda _: bytes(5)), "not as large as it says"),
    (changed("kernel/kernel", lambda old: old + b"\0"), "another than the one that ran"),
    (changed("devices", bytes, "device"), "not those that it lists"),
    (listed("kernel/../../../tmp/mine"), "none of a checkpoint's"),
    (listed("/tmp/mine"), "none of a checkpoint's"),
    (listed("disk0/mine"), "none of a checkpoint's"),
    (manifest(qemu="QEMU emulator version 99.0"), "version 99.0"),
    (manifest(version=2), "another version of Shrimpy"),
    (manifest(cpus=9), "no machine that Shrimpy starts"),
    (manifest(ram_bytes=1 << 40), "no machine that Shrimpy starts"),
    (manifest(disks=10 ** 6), "no machine that Shrimpy starts"),
    (manifest(qemu_options=["-drive", "file=/etc/passwd"]), "cannot be recorded"),
    (manifest(name=None, disks=None), "complete"),
    (changed("checkpoint.json", lambda _: b"[" * 500_000), "complete"),
    (changed("checkpoint.json", lambda _: bytes(2 << 20)), "too long")])
def test_a_file_that_is_no_checkpoint_is_told_in_a_line(packed, tmp_path, monkeypatch, spoil, said):
    spoil(packed)
    places = []
    monkeypatch.setattr(archive, "RunDir", lambda size: places.append(rundir.RunDir(size, tmp_path)) or places[-1])
    with pytest.raises(Trouble, match=re.escape(said)) as trouble, archive.unpacked(packed):
        pass
    assert "\n" not in str(trouble.value) and not any(one.path.exists() for one in places)


def test_an_archive_with_too_long_a_list_is_not_read(packed, monkeypatch):
    monkeypatch.setattr(archive, "_MOST_LISTED", 100)
    with pytest.raises(Trouble, match="too many files"), archive.unpacked(packed):
        pass


def test_make_gdb_tells_what_is_no_checkpoint_and_ends(packed):
    os.truncate(packed, 1000)
    done = subprocess.run([ROOT / "scripts/debug", "--checkpoint", packed], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "its end is missing" in done.stderr


@pytest.mark.soak
def test_check_leaves_the_machine_where_a_rule_failed(kernel, tmp_path, monkeypatch):
    monkeypatch.setenv("KEEP", "1")
    made = variant.build("checkpoint", patches=[ROOT / "tests/zoo/two-frames.patch"])
    tree_of = made.elf.parents[1]
    subprocess.run([ROOT / "scripts/check", "--kernel", tree_of, "--only", "family", "--out", tmp_path / "out"], check=False)
    assert results.CHECKPOINT in (tmp_path / "out" / results.TEXT).read_text()
    done = subprocess.run([ROOT / "scripts/debug", "--checkpoint", tmp_path / "out" / results.CHECKPOINT], capture_output=True,
                          text=True, input="shrimp-check\n")
    assert "FAIL shrimp-pair" in done.stdout
