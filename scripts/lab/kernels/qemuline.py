"""What a Makefile gives QEMU, read: the kernel and the disks it names, and of the rest what a stranger may ask for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .. import NotBuilt

MOST_RAM = 1 << 30
_PCI_CARDS = ("e1000", "e1000e", "ne2k_pci", "pcnet", "rtl8139", "virtio-net-pci", "vmxnet3")
_DEVICES = (*_PCI_CARDS, "virtio-net-device", "virtio-rng-device", "virtio-gpu-device", "virtio-keyboard-device",
            "virtio-mouse-device", "virtio-tablet-device")
_DISK_DEVICES = ("virtio-blk-device", "virtio-blk-pci", "virtio-blk-pci-non-transitional", "virtio-blk-pci-transitional", "nvme")
_DEVICE_PROPERTY = r"(id|netdev|bus|addr|mac)=[\w.:-]+"
_DISK_PROPERTY = r"(id|bus|addr|serial|num-queues|disable-legacy|disable-modern|bootindex)=[\w.:-]+"
_MACHINE_PROPERTY = r"(aclint|aia|aia-guests)=\w+"


@dataclass(frozen=True)
class Drive:
    """A disk: its image as it is named, and how the machine has it: words of -device, or None where QEMU chooses."""

    file: str
    device: str | None


@dataclass(frozen=True)
class Line:
    """What is used of a command line.

    ram_bytes  None where it does not say; cpus too
    options    what is handed on to QEMU as it is; left_out: what is not, though a kernel could miss it
    """

    kernel: str | None
    drives: tuple[Drive, ...]
    ram_bytes: int | None
    cpus: int | None
    cpu: str | None
    bios: str | None
    modern_virtio: bool
    options: tuple[str, ...]
    left_out: tuple[str, ...]


def read(words: Sequence[str]) -> Line:
    """QEMU's words after its name."""
    def last(name: str) -> str | None:
        return next((value for option, value in reversed(list(zip(words, words[1:]))) if option == name), None)
    options, left_out = _kept(words)
    return Line(last("-kernel"), _drives(words), _size(last("-m")), _count(last("-smp")), last("-cpu"), last("-bios"),
                any("force-legacy=false" in word or "force-legacy=off" in word for word in words), options, left_out)


def _fields(value: str) -> tuple[str, dict[str, str]]:
    """`first,name=value,...`: the first word, and the others by name."""
    first, *rest = re.split(r"(?<!,),(?!,)", value)
    return first, dict(word.partition("=")[::2] for word in (rest if "=" not in first else [first, *rest]))


def _size(said: str | None) -> int | None:
    """-m: a number of MiB, or with its unit; a fraction is one, too."""
    if said is None:
        return None
    first, named = _fields(said)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", named.get("size", first), re.I)
    if not match:
        raise NotBuilt(f"its Makefile gives QEMU -m {said}: expected an amount of memory")
    return int(float(match[1]) * (1 << {"K": 10, "": 20, "M": 20, "G": 30, "T": 40}[match[2].upper()]))


def _count(said: str | None) -> int | None:
    if said is None:
        return None
    first, named = _fields(said)
    number = named.get("cpus", first)
    return int(number) if number.isdigit() else None


def _drives(words: Sequence[str]) -> tuple[Drive, ...]:
    devices = {}
    for option, value in zip(words, words[1:]):
        kind, named = _fields(value)
        if option == "-device" and kind in _DISK_DEVICES and "drive" in named:
            properties = [word for word in value.split(",")[1:] if re.fullmatch(_DISK_PROPERTY, word)]
            devices[named["drive"]] = ",".join([kind, *properties])
    found = []
    for option, value in zip(words, words[1:]):
        _, named = _fields(value)
        if option == "-drive" and "file" in named and named.get("if") != "pflash":
            found.append(Drive(named["file"], devices.get(named.get("id", ""))))
        elif option == "-blockdev" and (file := named.get("file.filename") or named.get("filename")):
            found.append(Drive(file, devices.get(named.get("node-name", ""))))
        elif option in ("-hda", "-hdb", "-hdc", "-hdd"):
            found.append(Drive(value, None))
    return tuple(found)


def _kept(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A network reaches nobody: no ports of this host, no files, no commands (QEMU's -netdev user can give all three).
    Only options that name nothing of this machine are let through."""
    kept: list[str] = []
    left_out: list[str] = []
    for option, value in zip(words, words[1:]):
        kind, named = _fields(value)
        rest = value.split(",")[1:]
        if option == "-netdev" and kind == "user" and re.fullmatch(r"\w+", named.get("id", "")):
            kept += [option, f"user,id={named['id']},restrict=on"]
        elif option == "-device" and kind in _DEVICES and all(re.fullmatch(_DEVICE_PROPERTY, word) for word in rest):
            # Its boot ROM is a package of its own, and nobody boots from it.
            kept += [option, value + (",romfile=" if kind in _PCI_CARDS else "")]
        elif option in ("-machine", "-M") and (properties := [word for word in rest if re.fullmatch(_MACHINE_PROPERTY, word)]):
            kept += ["-machine", ",".join(properties)]
        elif option == "-append" and re.fullmatch(r"[\w ./=:,+-]*", value):
            kept += [option, value]
        elif option in ("-netdev", "-device") and not (kind in _DISK_DEVICES and "drive" in named):
            left_out.append(f"{option} {value}")
        if option in ("-machine", "-M") and named.get("type", kind if "=" not in kind else "virt") != "virt":
            raise NotBuilt(f"its Makefile starts QEMU's machine {named.get('type', kind)}: expected virt")
    return tuple(kept), tuple(left_out)
