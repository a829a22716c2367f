"""What the kit makes of other people's kernels, on made-up memory."""

from __future__ import annotations

import subprocess

import pytest

from lab.kernels import tree
from machine import BASE, KEPT, PAGE, TRAMPOLINE, R, U, W, X, family
from shrimpy.memory import elf
from shrimpy.reasons import Kind
from shrimpy.rules import evaluate


def verdicts(machine, rule: str) -> dict[str, str]:
    return {v.subject: v.status for v in evaluate(machine.snapshot()) if v.rule == rule}


@pytest.fixture
def old():
    """A family on a kernel whose exec maps everything W X."""
    machine = family()
    for process in machine.processes.values():
        for va, pa in process.pages.items():
            machine.map(process.root, va, pa, R | W | X | (U if va != 2 * PAGE else 0))
    return machine


def test_programs_that_exec_maps_w_x_are_skipped_and_said(old):
    told = [v for v in evaluate(old.snapshot()) if v.rule == "no-user-supervisor"]
    assert {v.status for v in told} == {"skipped"}
    assert {v.reason.kind for v in told} == {Kind.LOOSE_IMAGE}


def test_copy_on_write_on_such_a_kernel_is_no_failure(old):
    child = old.processes[4]
    for va in (0, PAGE):
        old.map(child.root, va, child.pages[va], R | X | U)
    assert set(verdicts(old, "no-user-supervisor").values()) == {"skipped"}


def test_what_else_is_wrong_on_such_a_kernel_is_found(old):
    child = old.processes[4]
    old.map(child.root, TRAMPOLINE - PAGE, child.trapframe, R | W | U)
    assert verdicts(old, "no-user-supervisor")["pid 4 (shrimpdemo)"] == "fail"


def test_a_w_x_page_is_found_where_stacks_are_not():
    machine = family()
    child = machine.processes[4]
    machine.map(child.root, PAGE, child.pages[PAGE], R | W | X | U)
    assert verdicts(machine, "no-user-supervisor") == {
        **dict.fromkeys(("pid 1 (init)", "pid 2 (sh)", "pid 3 (shrimpdemo)", "pid 5 (shrimpdemo)"), "pass"),
        "pid 4 (shrimpdemo)": "fail"}


def test_a_second_table_that_maps_all_of_ram_owns_its_tables_and_stacks_only():
    machine = family()
    root, stack = machine.alloc(), machine.alloc()
    machine.put(KEPT, root)
    for pa in range(BASE, machine.end, PAGE):
        machine.map(root, pa, pa, R | W)
    machine.map(root, TRAMPOLINE - 0x100 * PAGE, stack, R | W)
    assert verdicts(machine, "frames-conserved") == {"RAM": "pass"}
    leaked = machine.alloc()
    assert verdicts(machine, "frames-conserved") == {f"frame {leaked:#x}": "fail"}


def test_labels_without_a_size_reach_to_the_next(tmp_path):
    source, program = tmp_path / "labels.S", tmp_path / "labels"
    source.write_text(".globl first, second\nfirst: nop\n nop\nsecond: ret\n")
    script = tmp_path / "labels.ld"  # those of the toolchains add labels of their own, and not the same
    script.write_text("ENTRY(first) SECTIONS { . = 0x80000000; .text : { *(.text) } }")
    subprocess.run([tree.cross_prefix() + "gcc", "-nostdlib", "-static", f"-Wl,-T,{script}", "-o", program, source],
                   check=True)
    functions, _ = elf.symbols(str(program))
    functions.sort(key=lambda f: f.address)
    sizes = {f.name: f.size for f in functions}
    assert sizes == {"first": functions[-1].address - 0x80000000, "second": 0}
