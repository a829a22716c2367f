"""A run of a kernel, recorded so that it can be run again, instruction by instruction the same.

QEMU's record/replay (docs/system/replay.rst of QEMU) logs what comes from outside: keys, the clock, the disk's answers. It
replays on one hart, from the same kernel, disk and options, in the same QEMU. A recording is a folder with all of these:

    recording.json    the manifest: what the machine was started with, and a hash of each other file
    log               QEMU's
    kernel/kernel     the kernel that ran, kernel/*.h its headers, where they were beside it, and user/_* its programs
    disk0 ...         its disks, as they were before the run

In the kernel that ran each `wfi` is a `nop`: QEMU would wait in real time for the next interrupt, and log nothing.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shrimpy import __version__
from shrimpy.memory import riscv
from shrimpy.memory.elf import Elf, ElfError

from .. import Trouble, check_room, put_in_place, tools
from ..kernels.tree import Kernel
from ..machines import scene
from ..machines.machine import Panicked
from ..machines.qmp import Gone, Qmp
from . import hashing, manifest
from .machine import LOG, SHIFT, RecordedMachine
from .place import Place

MANIFEST = "recording.json"
_SCHEMA, _VERSION = "shrimpy-recording", 1
_TAIL, _TAIL_S = 1 << 18, 5.0  # instructions that are run after the end: the log may lack what follows its last event
_WFI, _NOP = 0x10500073, struct.pack("<I", 0x00000013)  # RISC-V Privileged 3.3.3, Unprivileged 2.4
_REPLAYED_DISK = r"virtio-blk-device(,(bus|serial|num-queues)=[\w.:-]+)*"
_REPLAYED = {"-global": r"virtio-mmio\.force-legacy=(true|false)", "-cpu": r"[\w.,=-]+", "-bios": "default|none",
             "-machine": r"(aclint|aia|aia-guests)=\w+(,(aclint|aia|aia-guests)=\w+)*", "-append": r"[\w ./=:,+-]*"}


@dataclass(frozen=True)
class Recording:
    """A run that can be run again.

    folder        where it is
    kernel        the kernel that ran, with its disks, as they are in folder
    end           how many instructions were executed
    ram           the hash of all RAM at the end; "" where nobody checks it
    source        the kernel's file that it was made of, and the hash of that
    program       what was typed
    panicked      what the kernel printed when it panicked, which ended the run; or None
    within        the folder that its machines' own are made in; None: wherever there is room
    """

    folder: Path
    kernel: Kernel
    end: int
    ram: str
    source: tuple[str, str]
    program: str
    panicked: str | None
    within: Path | None = None

    @property
    def log(self) -> Path:
        return self.folder / LOG

    def replay(self) -> RecordedMachine:
        """The machine at its beginning, stopped, to be run again. Its stub and its monitor are the caller's."""
        return _started(self.kernel, self.log, self.within)

    def changed_source(self) -> str | None:
        """What to say where the kernel was built anew since: lines that are shown are those of today's sources."""
        path, then = self.source
        try:
            now = hashing.of(Path(path))
        except OSError:
            return f"{path}, which was recorded, no longer exists; its sources may have changed since"
        return None if now == then else f"{path} was built again since the recording: source lines are shown as they are now"


def record(kernel: Kernel, out: Path, program: str = "", ready: str = "") -> Recording:
    """Runs a kernel on one hart, types program as scene.play() does, and leaves the recording in out, complete, or nothing.

    Raises Trouble for a kernel that cannot be recorded, and where the recording does not replay.
    """
    need_recordable(kernel)
    claim(out)
    out = out.absolute()
    draft = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        made = _recorded(kernel, draft, program, ready)
        _check_replay(made)
        put_in_place(draft, out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return load(out)


def need_recordable(kernel: Kernel) -> None:
    """Raises Trouble for a kernel that QEMU cannot record."""
    for device in kernel.disk_devices:
        if not re.fullmatch(_REPLAYED_DISK, device):
            raise Trouble(f"{kernel.name} cannot be recorded: its disk is a {device.partition(',')[0]}, and only "
                          "virtio-blk-device can be replayed")
    for option, value in zip(kernel.qemu_options[::2], kernel.qemu_options[1::2]):
        if not re.fullmatch(_REPLAYED.get(option, "(?!)"), value):
            raise Trouble(f"{kernel.name} cannot be recorded: QEMU is given {option} {value}, which cannot be replayed")


def claim(out: Path) -> None:
    """Raises Trouble where a recording could not be left, before the work is done."""
    if out.is_symlink() or out.exists() and not (out.is_dir() and ((out / MANIFEST).is_file() or not any(out.iterdir()))):
        raise Trouble(f"OUT={out} exists and is not a recording: name a new folder, or an earlier recording")
    out.absolute().parent.mkdir(parents=True, exist_ok=True)


def _recorded(kernel: Kernel, folder: Path, program: str, ready: str) -> Recording:
    def run(machine: RecordedMachine) -> tuple[str, str | None]:
        try:
            typed = scene.play(machine.boot(), program, ready)
            _check_ran(machine, program)
            return typed, None
        except Panicked as panic:
            return program, panic.words
    made = of_run(kernel, folder, run, hashed=True)
    (folder / MANIFEST).write_text(json.dumps(_to_data(made), indent=1) + "\n")
    return made


def of_run(kernel: Kernel, folder: Path, run: Callable[[RecordedMachine], tuple[str, str | None]],
           within: Path | None = None, hashed: bool = False) -> Recording:
    """The recording of what is done with a machine, in a folder that is there and empty, without a manifest.

    run     boots it and does it; returns what is said of it: what was typed, and what a panic printed, or None
    within  see Machine
    hashed  whether its RAM is hashed at the end
    Raises Trouble as _started() does, and what run raises.
    """
    source = (str(kernel.elf), hashing.of(kernel.elf))
    copy = _copied(kernel, folder)
    with _started(copy, within=within) as machine:
        typed, panicked = run(machine)
        with machine.qmp() as monitor:
            monitor.execute("stop")
            end = monitor.execute("query-replay")["icount"]
            ram = machine.ram_hash() if hashed else ""
            _run_on(machine, monitor, end + _TAIL)
            monitor.execute("quit")
        machine.wait()
        check_room(machine.folder)
        shutil.copyfile(machine.log, folder / LOG)
    return Recording(folder, copy, end, ram, source, typed, panicked, within)


def _check_ran(machine: RecordedMachine, program: str) -> None:
    """Raises Trouble when a program that was typed is not on the disk and what was printed since names it."""
    first = re.match(r"[\s(]*([^\s()<>|;&]+)", program)
    name = first[1] if first else ""
    if name and machine.kernel.has_program(name) is False and name in machine.console.partition(program)[2]:
        raise Trouble(f"PROGRAM={program} did not run: {name} is not on the disk of {machine.kernel.name}; nothing was recorded")


def _run_on(machine: RecordedMachine, monitor: Qmp, count: int) -> None:
    """Until so many instructions were executed, or the machine has had its time: it may stand still for good."""
    monitor.execute("cont")
    patience = machine.patience(_TAIL_S)
    while monitor.execute("query-replay")["icount"] < count and not patience.is_over:
        pass


def _started(kernel: Kernel, log: Path | None = None, within: Path | None = None) -> RecordedMachine:
    """Raises Trouble, in one line, where QEMU refuses the options."""
    try:
        return RecordedMachine(kernel, log, within)
    except Gone as gone:
        raise Trouble(f"this QEMU cannot {'replay' if log else 'record'}: {str(gone).splitlines()[0]}") from None


def _copied(kernel: Kernel, folder: Path) -> Kernel:
    """The kernel, its programs and its disks in a recording's folder, its wfi gone."""
    (folder / "kernel").mkdir()
    (folder / "user").mkdir()
    elf = folder / "kernel" / "kernel"
    elf.write_bytes(without_wfi(kernel.elf))
    for header in kernel.elf.parent.glob("*.h"):
        shutil.copyfile(header, elf.parent / header.name)
    for one in (kernel.elf.parent.parent / "user").glob("_*"):
        shutil.copyfile(one, folder / "user" / one.name)
    disks = tuple(folder / f"disk{number}" for number in range(len(kernel.disks)))
    for disk, its_copy in zip(kernel.disks, disks):
        shutil.copyfile(disk, its_copy)
    return dataclasses.replace(kernel, elf=elf, disks=disks)


def _check_replay(made: Recording) -> None:
    """Raises Trouble unless the run, run again, ends with the same RAM."""
    with Place(made.replay(), made.end) as place:
        place.run_to(made.end)
        if place.machine.ram_hash() != made.ram:
            raise Trouble(f"{made.kernel.name} cannot be recorded: its replay ended with other bytes in memory")


# What is not executed is not awaited

def without_wfi(kernel: Path) -> bytes:
    """A kernel's file, each wfi in it a nop. Raises Trouble where it is no kernel's."""
    data = bytearray(kernel.read_bytes())
    try:
        file = Elf(bytes(data))
        places = sorted(_waits(file, bytes(data)))
    except ElfError as error:
        raise Trouble(f"{kernel}: {error}") from None
    for at in places:
        data[at:at + 4] = _NOP
    return bytes(data)


def _waits(file: Elf, data: bytes) -> set[int]:
    """Where in the file each wfi is. Code is read from the beginning of each function on, since in between there may be
    anything; where no function is known, all that can be executed is taken for code."""
    codes = [one for one in file.segments if one.is_code]
    ranges = [(one.offset + function.address - one.vaddr, min(function.size, one.vaddr + one.file_size - function.address))
              for function in file.symbols()[0] for one in codes if 0 <= function.address - one.vaddr < one.file_size]
    found: set[int] = set()
    seen = bytearray(len(data))  # functions may lie over each other, as often as a file likes
    for start, size in ranges or [(one.offset, one.file_size) for one in codes]:
        for at, bits, _ in riscv.instructions(data, start, start + size):
            if seen[at]:
                break
            seen[at] = 1
            if bits == _WFI:
                found.add(at)
    return found


# The manifest

def load(folder: Path) -> Recording:
    """The recording in a folder. Raises Trouble unless it is complete, unchanged, and of the QEMU that is here."""
    try:
        data = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        raise Trouble(f"RECORDING={folder} is not a recording: expected a folder that `make record OUT=...` made") from None
    try:
        made = _from_data(data, folder)
        hashes = dict(data["files"])
        version = str(data["qemu"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Trouble(f"RECORDING={folder}: {MANIFEST} was not written by this version of Shrimpy: make the recording again") from None
    for name, then in hashes.items():
        path = folder / name
        if not path.is_file():
            raise Trouble(f"RECORDING={folder}: its file {name} is missing: make the recording again")
        if hashing.of(path) != then:
            raise Trouble(f"RECORDING={folder}: its file {name} has changed since: make the recording again")
    need_recordable(made.kernel)  # the options may be somebody else's
    if version != tools.qemu_says():
        raise Trouble(f"RECORDING={folder} was made by {version}; here is {tools.qemu_says()}: make the recording again")
    return made


def _to_data(made: Recording) -> dict[str, Any]:
    kernel = made.kernel
    files = [path for path in sorted(made.folder.rglob("*")) if path.is_file()]
    return {
        "schema": _SCHEMA, "version": _VERSION, "shrimpy": __version__, "qemu": tools.qemu_says(), "shift": SHIFT,
        **manifest.of_kernel(kernel), "source": list(made.source), "program": made.program, "panicked": made.panicked,
        "end": made.end, "ram": made.ram,
        "files": {str(path.relative_to(made.folder)): hashing.of(path) for path in files},
    }


def _from_data(data: dict[str, Any], folder: Path) -> Recording:
    """Raises KeyError, TypeError or ValueError for what is no manifest."""
    if (data["schema"], data["version"], data["shift"]) != (_SCHEMA, _VERSION, SHIFT):
        raise ValueError
    if not {LOG, "kernel/kernel"} <= set(data["files"]):
        raise ValueError
    folder = folder.absolute()
    path, hashed = data["source"]
    return Recording(folder, manifest.kernel_of(data, folder), int(data["end"]), str(data["ram"]), (str(path), str(hashed)),
                     str(data["program"]), data["panicked"])

