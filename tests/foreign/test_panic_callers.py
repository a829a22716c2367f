"""A panic is put to the process and the function that brought it about, wherever the harts stand when it is looked at."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from lab.kernels import tree
from lab.machines import debugger
from lab.machines.machine import Machine, Panicked

import trees

# What a course's kernelvec does: sepc stays in its register, and kerneltrap keeps it.
PLAIN_VECTOR = [("kernel/kernelvec.S", r" *sd fp, 128\(sp\).*\n.*\n.*\n *addi fp.*\n", ""),
                ("kernel/kernelvec.S", r" *ld fp, 128\(sp\)\n", "")]
# Interrupts stay as they are, and who has panicked is preempted like anybody else.
PREEMPTED = [("kernel/printf.c", r"  csr_clear\(sstatus, SSTATUS_SIE\);\n", ""),
             ("kernel/printf.c", r"  kickall\(\);\n", ""),
             ("kernel/printf.c", r"asm volatile\(\"wfi\"\)", ";")]
OTHER_NAME = [("kernel/*.[ch]", r"\bpanic\(", "oh_no("), ("kernel/*.[ch]", r"\bpanicked\b", "stopped_for_ever")]
FREEWALK = [("kernel/vm.c", r"\bfreetables\b", "freewalk"), ("kernel/vm.c", "freewalk: still mapped", "freewalk: leaf")]
TWICE = [("kernel/proc.c", r"(mappages\(pagetable, )SHRIMP", r"\1FRY")]
NO_SHRIMP_UNMAPPED = [("kernel/proc.c", r"uvmunmap\(pagetable, SHRIMP, \(MAXVA - SHRIMP\)",
                       "uvmunmap(pagetable, FRY, (MAXVA - FRY)")]


def in_kill(statement: str) -> list[trees.Edit]:
    """sys_kill does this first with its argument."""
    return [("kernel/sysproc.c", r"uint64 sys_kill\(void\) \{\n", rf"\g<0>  uint64 given = argument(0);\n  {statement}\n")]


DEREFERENCES = in_kill("if (given > 1000) return *(volatile int *)given;")
PANICS = in_kill('if (given > 1000) panic("out of luck");')


@pytest.fixture
def panicked(tmp_path) -> Callable[..., list[dict]]:
    """panicked(times, line, edits..., how...): the failures after the machine, given `line`, has panicked."""
    def run(times: int, line: str | None, *edits: list[trees.Edit], **how: object) -> list[dict]:
        kernel = tree.prepare(str(trees.imitate(tmp_path / "lab", *edits, programs=trees.PROGRAMS + " kill", **how)))
        found = []
        for _ in range(times):
            with Machine(kernel, 3) as machine:
                with pytest.raises(Panicked):
                    machine.boot()
                    machine.send(line or "")
                    machine.wait_for("what it never prints")
                said = debugger.checked(kernel.elf, ["echo @\\n", "shrimp-check -json"], target=machine.gdb_target)
                told = json.JSONDecoder().raw_decode(said.partition("@\n")[2])[0]["verdicts"]
                found += [v for v in told if v["status"] == "fail" and v["rule"] == "no-panic"]
        assert len(found) == times
        return found
    return run


@pytest.mark.limit(300)
@pytest.mark.parametrize("edits,how", [
    pytest.param([PLAIN_VECTOR], {"opt": "-O0"}, id="O0", marks=pytest.mark.soak),
    pytest.param([PLAIN_VECTOR, PREEMPTED], {"opt": "-O2"}, id="O2-preempted"),
    pytest.param([], {"opt": "-Os -fomit-frame-pointer"}, id="Os-no-frame-pointers-own-vector", marks=pytest.mark.soak),
])
def test_a_trap_from_the_kernel_is_put_to_the_function_that_was_interrupted(panicked, edits, how):
    for one in panicked(3, "kill 4096", DEREFERENCES, *edits, **how):
        assert (one["name"], one["function"]) == ("kill", "sys_kill"), one
        assert "by kerneltrap, by kernelvec, by sys_kill, by syscall" in one["actual"]
        assert '"kerneltrap"' in one["why"]


@pytest.mark.limit(300)
@pytest.mark.parametrize("how", [
    pytest.param({"opt": "-O"}, id="O", marks=pytest.mark.soak), pytest.param({"opt": "-O3 -fomit-frame-pointer"}, id="O3-no-frame-pointers")])
def test_who_is_preempted_inside_panic_is_found(panicked, how):
    for one in panicked(3, "kill 4096", PANICS, PLAIN_VECTOR, PREEMPTED, **how):
        assert (one["name"], one["function"]) == ("kill", "sys_kill"), one
        assert "panic was called, by sys_kill, by syscall" in one["actual"] and '"out of luck"' in one["why"]


@pytest.mark.limit(300)
def test_a_panic_of_another_name_is_known_by_what_it_does(panicked):
    (one,) = panicked(1, "kill 4096", PANICS, OTHER_NAME, opt="-O2")
    assert (one["name"], one["function"]) == ("kill", "sys_kill"), one
    assert one["actual"].startswith("oh_no was called, by sys_kill") and '"out of luck"' in one["why"]


@pytest.mark.limit(300)
@pytest.mark.parametrize("opt", [pytest.param("-O0", marks=pytest.mark.soak), "-O2"])
def test_the_page_that_freewalk_found_mapped_is_named(panicked, opt):
    (one,) = panicked(1, None, FREEWALK, NO_SHRIMP_UNMAPPED, opt=opt)
    assert one["va"] == "0x3fffffc000" and one["function"] == "proc_freepagetable", one
    assert one["pte"] is not None and "SHRIMP" in one["why"]


@pytest.mark.limit(300)
@pytest.mark.parametrize("opt", [pytest.param("-O0", marks=pytest.mark.soak), "-O2"])
def test_the_page_that_is_mapped_twice_is_named(panicked, opt):
    (one,) = panicked(1, None, TWICE, opt=opt)
    assert one["va"] == "0x3fffffd000" and one["function"] == "proc_pagetable", one
    assert "FRY" in one["why"]
