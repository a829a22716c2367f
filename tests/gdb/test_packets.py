"""What the kit sends to the stub, counted: time is somebody else's, packets are ours."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lab.kernels import tree, variant
from lab.machines import debugger
from lab.machines.machine import Machine

PROGRAMS = sorted((Path(__file__).resolve().parent / "programs").glob("*.c"))
IMAGE_AFTER = 2048      # packets: remote.PACKETS_BEFORE_IMAGE

COUNT = """python
import collections, json
from shrimpy.live.session import session
from shrimpy.memory.readers import Reader

class Recorder(Reader):
    source, random_access = "remote", False
    def __init__(self, reader):
        super().__init__(reader.ram)
        self.under, self.reads = reader, []
    def _read(self, pa, n):
        self.reads.append((pa, n))
        return self.under._read(pa, n)

made = []
def record(reader):
    made.append(Recorder(reader))
    return made[-1]

gdb.execute("set shrimpy reader remote")
session.snapshot(walk_free=False)           # connects
s = session.snapshot(walk_free=False, through=record)
tables = [t.pa for p in s.processes for t in p.tables] + [t.pa for t in s.kernel_table.tables]
reads = collections.Counter(made[-1].reads)
print("@" + json.dumps({
    "processes": len(s.processes), "tables": len(tables), "packets": session._live[1].packets,
    "asleep": sum(p.calls is not None for p in s.processes),
    "fries": sum(p.fry_content is not None for p in s.processes),
    "reads_of_tables": sorted({n for pa in tables for n in [reads[pa, 4096]]}),
    "half_pages": sum(-(-n // 2048) for pa, n in made[-1].reads)}))
end"""


def counted(machine: Machine) -> dict:
    said = debugger.checked(machine.kernel.elf, [COUNT], target=machine.gdb_target)
    return json.loads(re.search(r"^@(.*)$", said, re.M)[1])


def crowd(machine: Machine, n: int) -> None:
    machine.send(f"crowd {n} &")
    machine.wait_for(r"crowd: ready\n")


@pytest.fixture
def crowded(machine):
    return machine(1, kernel=variant.build("programs", programs=PROGRAMS))


def test_two_packets_a_table_two_a_process_and_a_constant(crowded):
    """A table is two packets, a process its kernel stack and the end of its FRY. The rest is proc[], the counts and
    the lists: the same whoever lives."""
    found = []
    for more in (1, 30):
        crowd(crowded, more)
        found.append(counted(crowded))
    rest = [one["packets"] - 2 * one["tables"] - one["asleep"] - one["fries"] for one in found]
    assert [one["processes"] for one in found] == [4, 35] and found[1]["asleep"] >= 34, found
    assert [one["reads_of_tables"] for one in found] == [[1], [1]], "a table is read once, whole"
    assert rest[0] == rest[1] <= 90, found
    for one in found:
        # The mode: asked, set, unset, asked again.
        assert one["packets"] == one["half_pages"] + 4, found


def test_many_tables_take_one_image_and_no_more_packets(machine):
    kernel = variant.build("slots-1024", variables=["EXTRA_CFLAGS=-DNPROC=1024", "MEM=128"], programs=PROGRAMS)
    one = machine(1, kernel=kernel)
    crowd(one, 300)
    found = counted(one)
    assert found["processes"] == 303 and 2 * found["tables"] > IMAGE_AFTER
    assert IMAGE_AFTER < found["packets"] <= IMAGE_AFTER + 8, found


def test_a_gdb_that_cannot_send_a_packet_by_itself_has_the_same_answers(machine):
    """GDB 11 and older."""
    one = machine(1)
    said = debugger.batch(one.kernel.elf, [
        "python from shrimpy.memory.remote import Stub; stub = Stub()",
        "python print([bool(stub._send), stub.packet('qqemu.PhyMemMode'), stub.packet('qnosuch'), stub.monitor('info status')])",
        "python stub._send = None",
        "python print([bool(stub._send), stub.packet('qqemu.PhyMemMode'), stub.packet('qnosuch'), stub.packets])"], target=one.gdb_target)
    assert said.status == 0, said.err
    new, old = re.findall(r"^\[(?:True|False), (.*)\]$", said.out, re.M)
    assert new == "'0', '', 'VM status: paused'" and old == "'0', '', 5"


def test_an_image_of_ram_that_cannot_be_taken_is_tried_once(machine):
    one = machine(1)
    said = debugger.batch(one.kernel.elf, [
        "python from shrimpy.memory import remote; tries = []",
        "python remote._take_image, remote.PACKETS_BEFORE_IMAGE = lambda *_: tries.append(1), 2",
        "python\nwith remote.RemoteReader(remote.Stub(), 1 << 20) as ram:\n"
        "  print([len(ram.read(ram.ram[0] + at, 8)) for at in range(0, 1 << 16, 1 << 12)], tries)\nend"], target=one.gdb_target)
    assert said.status == 0 and f"{[8] * 16} [1]" in said.out, said.out + said.err


def packets_of_steps(kernel: tree.Kernel, kit: bool) -> list[str]:
    """What GDB sends for steps through kinit, which runs alone and before any interrupt."""
    with Machine(kernel, 1, paused=True) as one:
        said = debugger.batch(kernel.elf, ["set osabi none", "tbreak kinit", "continue", "set debug remote 1",
                                           *["step"] * 30, "set debug remote 0"], target=one.gdb_target, kit=kit)
    assert said.status == 0, said.err
    return re.findall(r"Sending packet: (\S+)", said.out + said.err)


def test_loading_the_kit_adds_no_packet_to_a_step(kernel):
    bare, loaded = [], [0]
    for _ in range(3):  # on a busy host GDB itself may see a step end once more: seldom, with the kit and without
        if bare != loaded:
            bare, loaded = packets_of_steps(kernel, kit=False), packets_of_steps(kernel, kit=True)
    assert len(bare) > 60 and loaded == bare
