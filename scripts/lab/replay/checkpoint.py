"""A machine as it was at one moment, and a new QEMU that goes on from there: any kernel, any number of harts.

What is kept is a folder:

    devices     what QEMU says of harts and devices: its migration stream (docs/devel/migration.rst of QEMU) without RAM
    ram         the file that was the machine's RAM
    disk0 ...   its disks

QEMU's own savevm leaves a virtio-mmio disk dead. `migrate` would give the disks away, and keeps that GDB has stopped the machine,
which no QEMU starts with. So the command is the one that was made for Xen, which only writes the stream.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import socket
import tempfile
import time
from pathlib import Path

from .. import Trouble
from ..kernels.tree import Kernel
from ..machines import sparse
from ..machines.machine import AtPrompt, Machine, Silent
from ..machines.qmp import Gone, Qmp
from .wire import Closed, Wire

DEVICES, RAM = "devices", "ram"
_INCOMING = "incoming.sock"
_LOOK_S = 0.002
_ANSWER_S = 300.0
_END_S = 60.0
_MTIMECMP = 0x2004000  # of hart 0 of QEMU's machine "virt": ACLINT 3, MTIMECMP at the base of MTIMER
_STVEC, _MENVCFG, _STIMECMP = 0x105, 0x30a, 0x14d  # RISC-V Privileged 2.2; Sstc 2.1
_STCE = 1 << 63  # of menvcfg: stimecmp is in use
_KNOWN = re.compile(rb'<reg name="stvec"[^>]* regnum="(\d+)"')  # QEMU tells the number of this one, but not of stimecmp
# In a migration stream: a subsection (QEMU_VM_SUBSECTION, the length of its name), its version, and the features that were agreed on.
_FEATURES = re.compile(rb"(?s)\x05\x15virtio/64bit_features\x00\x00\x00\x01(.{8})")
_DISK = b"virtio-blk"
_VERSION_1 = 1 << 32  # VIRTIO_F_VERSION_1: Virtio 1.2, 6
_CSRS = b"qXfer:features:read:riscv-csr.xml:%x,7fb"


def save(machine: Machine, folder: Path, monitor: Qmp) -> None:
    """Keeps a machine that stands still in a new folder: complete, or there is none. monitor: a connection to its own.

    Raises Trouble, and OSError for a disk that is full.
    """
    written = machine.folder / DEVICES
    draft = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        monitor.execute("xen-save-devices-state", filename=str(written), live=False)
        shutil.copyfile(written, draft / DEVICES)
        sparse.copy(machine.ram_file, draft / RAM)
        for disk in disks(machine.kernel, machine.folder):
            sparse.copy(disk, draft / disk.name)
        draft.rename(folder)
    finally:
        written.unlink(missing_ok=True)
        shutil.rmtree(draft, ignore_errors=True)


def disks(kernel: Kernel, folder: Path) -> tuple[Path, ...]:
    """Where a kernel's disks are in the folder of its machine, or of what was kept of that."""
    return tuple(folder / f"disk{number}" for number in range(len(kernel.disks)))


class RestoredMachine(Machine):
    """A machine that is what was kept of another, and stands still. saved: the folder; known: what that one knew of its shell, if
    it waited for a line; how: as Machine takes it.

    Raises Trouble where QEMU does not take it for a machine of that kernel and so many harts.
    """

    def __init__(self, kernel: Kernel, cpus: int, saved: Path, known: AtPrompt | None = None, *, interactive: bool = False,
                 logged: bool = False, within: Path | None = None) -> None:
        self._saved, self._known = saved, known
        super().__init__(dataclasses.replace(kernel, disks=disks(kernel, saved)), cpus, paused=True, interactive=interactive,
                         logged=logged, within=within)
        try:
            self._load()
        except BaseException:
            self.stop()
            raise
        self.kernel = kernel
        if known:
            self._go_on(known)
        elif kernel.prompt:
            self._prompt = re.compile(r"(?:^|(?<=\n))" + re.escape(kernel.prompt))

    def __enter__(self) -> RestoredMachine:
        return self

    def go(self) -> RestoredMachine:
        """Lets it run. Its shell waits for a line, if that of the machine that was kept did; of our kernel run() knows the prompt."""
        with self.qmp() as monitor:
            monitor.execute("cont")
        return self

    def boot(self, limit_s: float | None = None) -> RestoredMachine:
        """As go(): it has booted."""
        return self.go()

    def _arguments(self, paused: bool, icount: bool) -> list[str]:
        sparse.copy(self._saved / RAM, self.ram_file)
        where = str(self.folder / _INCOMING).replace(",", ",,")
        return [*super()._arguments(paused, icount), "-incoming", f"unix:{where}", "-global", "migration.send-configuration=off"]

    def _load(self) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
                stream.connect(str(self.folder / _INCOMING))
                stream.sendall(_with_version_1((self._saved / DEVICES).read_bytes()))
            with self.qmp() as monitor:
                patience = self.patience()
                while monitor.execute("query-status")["status"] == "inmigrate":
                    if patience.is_over:
                        raise Silent(f"QEMU did not take what was kept of a machine within {patience.limit_s:g} s")
                    time.sleep(_LOOK_S)
            self._set_timers()
        except (Gone, Closed, ConnectionError):
            said = self.last_words() if self._running.ended(_END_S) else "it closed its monitor"
            raise Trouble(f"the checkpoint cannot be restored: QEMU ended: {said}") from None

    def _set_timers(self) -> None:
        """QEMU keeps when a hart's timer is due, but does not wait for it: it does once the same is written there again."""
        stub = Wire.to(self.gdb_target)
        try:
            for packet in (b"qSupported:xmlRegisters=riscv", b"?", b"qXfer:features:read:target.xml:0,ffb", b"Qqemu.PhyMemMode:1"):
                _ask(stub, packet)
            known = _KNOWN.search(_csrs(stub))
            for hart in range(self.cpus):
                at = b"%x,8" % (_MTIMECMP + 8 * hart)
                _ask(stub, b"M" + at + b":" + _ask(stub, b"m" + at))
                if known:
                    _ask(stub, b"Hg%x" % (hart + 1))
                    _set_stimecmp(stub, int(known[1]) - _STVEC)
            _ask(stub, b"Qqemu.PhyMemMode:0")
        finally:
            stub.close()


def _with_version_1(devices: bytes) -> bytes:
    """What QEMU says of devices, with disks of which it takes the queues to be where their driver has put them.

    xv6's driver speaks the modern transport, and does not agree on VIRTIO_F_VERSION_1, as Virtio 1.2, 6.1 has it. QEMU lets it, but
    what it takes back of such a disk has one queue in a row, as before version 1, and so is broken. A disk that has this feature
    not at all has no 64 bits of them in the stream.
    """
    kept = bytearray(devices)
    for found in _FEATURES.finditer(devices):
        if devices.startswith(_DISK, devices.rfind(b"virtio-", 0, found.start())):
            agreed = int.from_bytes(found[1], "big") | _VERSION_1
            kept[found.start(1):found.end(1)] = agreed.to_bytes(8, "big")
    return bytes(kept)


def _set_stimecmp(stub: Wire, first: int) -> None:
    """Writes the selected hart's stimecmp again, if its kernel uses that. first: the number of the register that is CSR 0."""
    enabled = _ask(stub, b"p%x" % (first + _MENVCFG))
    if re.fullmatch(rb"[0-9a-f]{16}", enabled) and int.from_bytes(bytes.fromhex(enabled.decode()), "little") & _STCE:
        _ask(stub, b"P%x=" % (first + _STIMECMP) + _ask(stub, b"p%x" % (first + _STIMECMP)))


def _ask(stub: Wire, packet: bytes) -> bytes:
    stub.send(packet)
    said = stub.receive(_ANSWER_S)
    if said is None:
        raise Silent(f"QEMU's stub did not answer within {_ANSWER_S:g} s")
    return said


def _csrs(stub: Wire) -> bytes:
    """What the stub tells of the control and status registers, in XML; nothing where it does not."""
    told, more = b"", True
    while more and (said := _ask(stub, _CSRS % len(told)))[:1] in (b"m", b"l"):
        told, more = told + said[1:], said[:1] == b"m"
    return told
