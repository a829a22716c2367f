"""A kernel that boots only where memory is zero, and those that do not care."""

from __future__ import annotations

import dataclasses
import subprocess

import pytest

from lab import tools
from lab.judging import uncleared


@pytest.fixture(scope="module")
def forgetful(kernel, tmp_path_factory):
    """Our kernel with hart 0's loop over .bss left out: each of its stores is a nop."""
    elf = tmp_path_factory.mktemp("forgetful") / "kernel"
    data = bytearray(kernel.elf.read_bytes())
    said = subprocess.run([tools.cross_prefix() + "objdump", "-d", "--stop-address=0x80000060", kernel.elf], check=True,
                          capture_output=True, text=True).stdout
    stores = [int(line.split(":")[0], 16) for line in said.splitlines() if "\tsd\tzero" in line]
    assert len(stores) == 8
    for at in stores:
        data[0x1000 + at - 0x80000000:0x1004 + at - 0x80000000] = (0x13).to_bytes(4, "little")
    elf.write_bytes(data)
    return dataclasses.replace(kernel, elf=elf)


def test_it_is_known_what_a_kernel_does_not_clear(machine, forgetful):
    machine(1, kernel=forgetful)            # boots where RAM is zero
    found = uncleared.find(forgetful, 1)
    assert found is not None and found.address > 0x80000000 and found.size > 1 << 16


def test_a_kernel_that_clears_its_memory_is_not_accused(kernel):
    assert uncleared.find(kernel, 3) is None
