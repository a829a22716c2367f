"""Why an access faulted: on made-up machines."""

from __future__ import annotations

import pytest
from machine import BASE, FRY, PAGE, SHRIMP, TRAMPOLINE, TRAPFRAME, R, U, V, W, family
from shrimpy.memory import riscv
from shrimpy.show import faults
from shrimpy.show.text import Painter
from shrimpy.snapshot.fault import FETCH, ILLEGAL, LOAD, STORE, Trap, examine

# As the assembler encodes them.
ENCODED = {
    "lb a0,-1(a1)": (0xfff58503, "load", 1, 11, -1), "lhu t0,2046(sp)": (0x7fe15283, "load", 2, 2, 2046),
    "sb zero,0(a5)": (0x00078023, "store", 1, 15, 0), "sd a5,-2048(t6)": (0x80ffb023, "store", 8, 31, -2048),
    "c.lw a0,4(a1)": (0x41c8, "load", 4, 11, 4), "c.lw a0,124(a1)": (0x5de8, "load", 4, 11, 124),
    "c.ld a5,248(s1)": (0x7cfc, "load", 8, 9, 248), "c.ld a5,8(s1)": (0x649c, "load", 8, 9, 8),
    "c.sw a4,64(a3)": (0xc2b8, "store", 4, 13, 64), "c.sd a2,192(a0)": (0xe170, "store", 8, 10, 192),
    "c.lwsp ra,252(sp)": (0x50fe, "load", 4, 2, 252), "c.ldsp s3,504(sp)": (0x79fe, "load", 8, 2, 504),
    "c.ldsp s3,40(sp)": (0x79a2, "load", 8, 2, 40), "c.swsp t1,196(sp)": (0xc39a, "store", 4, 2, 196),
    "c.sdsp t1,456(sp)": (0xe79a, "store", 8, 2, 456), "c.sdsp t1,24(sp)": (0xec1a, "store", 8, 2, 24),
    "c.fld fa0,16(a0)": (0x2908, "load", 8, 10, 16), "c.fsdsp fs0,328(sp)": (0xa6a2, "store", 8, 2, 328),
    "fsw ft0,12(a2)": (0x00062627, "store", 4, 12, 12), "fld ft0,-8(a2)": (0xff863007, "load", 8, 12, -8),
    "amoadd.d a0,a1,(a2)": (0x00b6352f, "amo", 8, 12, 0), "lr.w a0,(a2)": (0x1006252f, "load", 4, 12, 0),
    "sc.d a0,a1,(a2)": (0x18b6352f, "store", 8, 12, 0)}
NO_ACCESS = {"c.addi a0,1": 0x0505, "c.mv a0,a1": 0x852e, "c.slli a0,3": 0x050e, "c.addi4spn a0,sp,16": 0x0808, "c.j .": 0xa001,
             "jal ra,.": 0xef, "ecall": 0x73, "nothing": 0}
LD_A5, SD_A5 = 0x0007b783, 0x00f7b023       # ld a5,0(a5); sd a5,0(a5)


@pytest.mark.parametrize("text", ENCODED)
def test_loads_and_stores_are_decoded(text):
    bits, *wanted = ENCODED[text]
    assert riscv.access(bits) == tuple(wanted)


@pytest.mark.parametrize("text", NO_ACCESS)
def test_what_is_no_access_is_none(text):
    assert riscv.access(NO_ACCESS[text]) is None


def faulted(m, instruction: int, a5: int, cause: int | None = None, pid: int = 4, user: bool = True, pc: int = 0x100):
    """What is found of an instruction of a process, which runs into what it does with a5."""
    p = m.processes[pid]
    m.put(p.pages[0] + pc, instruction, 4)
    fault, walk = examine(m.reader(), m.snapshot(), m.snapshot().process(pid),
                          Trap(user, pc, {15: a5}, cause, None if cause is None else a5), p.root)
    assert all(line.startswith(("pid 4", "  ")) for line in faults.fault(fault, walk, "pid 4", Painter()).splitlines())
    return fault


@pytest.fixture
def m():
    return family()


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("instruction, va, cause, wanted, near", [
    (SD_A5, 0x10, STORE, ("right", None, 0, "W"), ("null", None)),
    (SD_A5, PAGE // 2, STORE, ("right", None, 0, "W"), ("null", None)),
    (LD_A5, 2 * PAGE + 8, LOAD, ("right", None, 0, "U"), ("region", "guard")),
    (LD_A5, 4 * PAGE + 8, LOAD, ("walk", "not-valid", 0, None), ("above-heap", None)),
    (LD_A5, 0x3000000000, LOAD, ("walk", "not-valid", 2, None), ("between", "stack")),
    (LD_A5, BASE, LOAD, ("walk", "not-valid", 2, None), ("ram", None)),
    (LD_A5, 1 << 38, LOAD, ("walk", "no-address", None, None), ("beyond", None)),
    (LD_A5, 0x0101010101010109, LOAD, ("walk", "no-address", None, None), ("filling", "freed")),
    (LD_A5, 0x05050505, LOAD, ("walk", "not-valid", 1, None), ("filling", "fresh")),
    (LD_A5, TRAPFRAME, LOAD, ("right", None, 0, "U"), ("region", "trapframe")),
    (SD_A5, TRAMPOLINE, STORE, ("right", None, 0, "U"), ("region", "trampoline")),
])
def test_the_walk_says_where_it_breaks_and_what_is_near(m, kept, instruction, va, cause, wanted, near):
    found = faulted(m, instruction, va, cause if kept else None)
    assert (found.why, found.broken, found.level, found.right) == wanted
    assert (found.near.kind, found.near.region) == near
    assert (found.cause, found.va, found.known_by) == (cause, va, "scause" if kept else "instruction")
    assert found.instruction.at == va and found.instruction.n_bytes == 8


def test_a_first_process_has_no_shrimp_and_that_is_said(m):
    found = faulted(m, LD_A5, SHRIMP + 8, pid=1)
    assert (found.near.kind, found.near.region, found.broken) == ("shared", "shrimp", "not-valid")


def test_memory_below_the_end_that_is_not_mapped_is_a_hole(m):
    m.unmap(m.processes[4].root, 3 * PAGE)
    assert faulted(m, LD_A5, 3 * PAGE).near.kind == "hole"


def test_a_jump_is_a_fetch_where_no_code_is(m):
    p = m.processes[4]
    for pc, why in ((0x5000, "walk"), (PAGE, "right")):
        found, _ = examine(m.reader(), m.snapshot(), m.snapshot().process(4), Trap(True, pc, {1: 0x104}), p.root)
        assert (found.cause, found.va, found.access, found.why, found.ra) == (FETCH, pc, "execute", why, 0x104)


def test_what_a_page_table_allows_is_no_fault(m):
    p = m.processes[4]
    assert faulted(m, LD_A5, FRY).cause is None
    assert faulted(m, 0x00000073, 0).cause is None              # ecall
    assert faulted(m, 0, 0).cause == ILLEGAL
    m.map(p.root, FRY, p.fry, R | W | U | V)
    assert faulted(m, SD_A5, FRY, STORE).why == "none"          # scause says that it was one


def test_a_frame_on_the_free_list_is_said(m):
    free = m.available[0]
    m.map(m.processes[4].root, 0x7000, free, R | U)
    found = faulted(m, SD_A5, 0x7000)
    assert found.is_free and (found.why, found.right) == ("right", "W")
    assert not faulted(m, SD_A5, 0x10).is_free


@pytest.mark.parametrize("pte, broken", [
    (W | V, "w-without-r"), (V, "pointer"), (1 << 60 | R | V, "reserved")])
def test_an_entry_that_is_none_is_named(m, pte, broken):
    p = m.processes[4]
    m.put(m.pte_at(p.root, 0x7000), pte | p.fry >> 2)
    assert faulted(m, LD_A5, 0x7000).broken == broken


def test_the_supervisor_may_not_go_to_user_pages(m):
    found = faulted(m, LD_A5, FRY, LOAD, user=False)
    assert (found.mode, found.why, found.right) == ("S", "right", "-U")


def test_below_a_kernel_stack_is_its_guard(m):
    m.put(m.processes[4].pages[0] + 0x100, LD_A5, 4)
    at = m.processes[3].kstack - 8
    found, _ = examine(m.reader(), m.snapshot(), None, Trap(False, BASE + 0x100, {15: at}, LOAD, at), m.kernel_root)
    assert (found.near.kind, found.near.pid) == ("stack-guard", 3)


def test_an_interrupt_and_an_illegal_instruction_have_no_walk(m):
    for cause in (1 << 63 | 5, ILLEGAL):
        found, walk = examine(m.reader(), m.snapshot(), m.snapshot().process(4), Trap(True, 0x100, {}, cause, 0), m.processes[4].root)
        assert walk is None and found.va is None and faults.cause(cause) != "no fault"
