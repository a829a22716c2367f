"""What people ask of a machine in their own words, on other people's trees: live, of a core, headless; one boot for all of it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.kernels import tree
from lab.machines import debugger
from lab.machines.machine import Machine

import trees

TREES: dict[str, Callable[[Path], Path]] = {
    "newer-names": lambda folder: trees.imitate(folder, kernel_flags=trees.NEWER_NAMES, opt="-O2"),
    "without-fry-and-counts": lambda folder: trees.plain(folder, counted=False),
    "of-2020": lambda folder: trees.of_2020_with_fry(folder),
}
ASKED = ("xv6-fault 1", "xv6-fault -json 1", "xv6-vmprint -va 2", "xv6-vmprint -json 2", "xv6-locks", "xv6-locks -json",
         "xv6-find 'init: starting'", "xv6-find -json 'init: starting'", "xv6-vmmap 2", "xv6-vmmap -json 2", "xv6-harts -bt")
WRONG = ("xv6-fault 99", "xv6-vmprint 99", "xv6-find", "xv6-locks x y", "xv6-vmmap 99", "xv6-harts -bt x", "xv6-allocs")


def lines(commands: tuple[str, ...]) -> list[str]:
    tries = (f"try: gdb.execute({one!r})\nexcept gdb.error as e: print('error:', e)\nprint('@@')" for one in commands)
    return ["python print('@@')", *(f"python\n{one}\nend" for one in tries)]


def told(said: str) -> list[str]:
    """What each printed; where a list of commands begins is marked, too."""
    return [one for one in said.split("@@\n")[1:-1] if one]


def check_answers(answers: list[str]) -> None:
    fault, fault_json, printout, printout_json, locks, locks_json, found, found_json, space, space_json, stacks = answers
    assert re.match(r"pid 1 \(init\): no fault", fault) and json.loads(fault_json) is not None, fault
    assert re.match(r"page table 0x[0-9a-f]{16}\n \.\.0x0{16}: pte 0x", printout) and json.loads(printout_json)["complete"], printout
    assert locks and all("name" in one or "label" in one for one in json.loads(locks_json)["locks"]), locks
    assert "error" not in found and json.loads(found_json)["hits"], found
    assert re.search(r"\bstack\b", space) and json.loads(space_json), space
    assert " <- hart 0" in stacks and ("scheduler" in stacks or "syscall" in stacks), stacks


@pytest.mark.limit(300)
@pytest.mark.parametrize("name", [one if one == "without-fry-and-counts" else pytest.param(one, marks=pytest.mark.soak) for one in TREES])
def test_each_question_is_answered_live_and_of_a_core(tmp_path, name):
    kernel = tree.prepare(str(TREES[name](tmp_path / "lab")))
    core = tmp_path / "core"
    with Machine(kernel, 1) as machine:
        machine.boot()
        said = debugger.checked(kernel.elf, [*lines((*ASKED, *WRONG, "xv6-allocs -json 'echo hello'", "xv6-allocs echo")),
                                             f"monitor dump-guest-memory {machine.folder / 'core'}"], target=machine.gdb_target)
        shutil.copyfile(machine.folder / "core", core)      # QEMU writes nowhere else
        assert "hello\n" in machine.console.rpartition("echo hello")[2]
    answers = told(said)
    n = len(ASKED)
    check_answers(answers[:n])
    for command, answer in zip(WRONG, answers[n:n + len(WRONG)]):
        assert re.fullmatch(rf"error: {command.split()[0]}: [^\n]+\n", answer), answer
    counted, by_function = answers[n + len(WRONG):]
    counted = json.loads(counted)
    assert counted["allocated"] > 5 and counted["stayed"] == [], counted
    assert "nothing stayed" in by_function
    *of_core, refused = told(debugger.checked(kernel.elf, lines((*ASKED, "xv6-allocs ls")), core=core))
    check_answers(of_core)
    assert re.fullmatch(r"error: xv6-allocs: a core does not run[^\n]+\n", refused)
