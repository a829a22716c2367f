"""What the manifest of a recording or of a checkpoint says of the kernel that ran."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..kernels.tree import Kernel


def of_kernel(kernel: Kernel) -> dict[str, Any]:
    """As JSON has it."""
    return {"name": kernel.name, "ram_bytes": kernel.ram_bytes, "qemu_options": kernel.qemu_options,
            "disk_devices": kernel.disk_devices, "disks": len(kernel.disks), "stranger": kernel.stranger}


def kernel_of(data: dict[str, Any], folder: Path) -> Kernel:
    """The kernel, its files in the folder that has the manifest. Raises KeyError, TypeError or ValueError for what is none."""
    options, devices = ([str(one) for one in data[key]] for key in ("qemu_options", "disk_devices"))
    return Kernel(str(data["name"]), folder / "kernel/kernel", tuple(folder / f"disk{number}" for number in range(data["disks"])),
                  int(data["ram_bytes"]), qemu_options=tuple(options), disk_devices=tuple(devices), sources=folder / "kernel",
                  stranger=bool(data["stranger"]))
