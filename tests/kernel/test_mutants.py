"""Each known mistake, built into our kernel, is found by the rule that its patch names.

A patch's first line says what is wrong; then come

    scene: prompt | demo | run PROGRAM | show PROGRAM | gdb COMMAND; COMMAND...
    expect: RULE...     any one of which must fail; panic and shrimptest are not rules but count

prompt: init and sh are there. demo: shrimpdemo's family. run: PROGRAM has come and gone. show: PROGRAM is there,
and has said that it is ready. gdb: on its way to the prompt, on one hart, GDB takes the machine somewhere.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab import debugger, scene, variant, verdict
from lab.machine import Machine, Panicked
from shrimpy.rules import Verdict

HERE = Path(__file__).resolve().parent
MUTANTS = sorted((HERE.parent / "mutants").glob("*.patch"))
ALWAYS = {"two-frames", "parent-first", "child-frees-shrimp", "fry-without-u", "tables-shared", "fry-leaks"}
PROGRAMS = sorted((HERE / "programs").glob("*.c"))


def said_by(path: Path, key: str) -> list[str]:
    match = re.search(rf"^{key}: (.+)$", path.read_text(), re.M)
    assert match, f"{path.name} has no line {key}:"
    return match[1].split()


def found_in(machine: Machine, kind: str, names: list[str]) -> tuple[set[str], tuple[Verdict, ...]]:
    """Plays the scene. What was found: rules that failed, panic, shrimptest; and the failing verdicts."""
    found: set[str] = set()
    try:
        if kind != "gdb":
            machine.boot()
        if kind == "demo":
            scene.play(machine)
        elif kind == "run":
            said = machine.run(*names)
            if names == ["shrimptest"] and "shrimptest: OK" not in said:
                found.add("shrimptest")
        elif kind == "show":
            scene.play(machine, f"{names[0]} &", f"{names[0]}: ready\n")
        else:
            assert kind in ("prompt", "gdb")
    except Panicked:
        found.add("panic")
    with debugger.Session(machine.kernel.elf, machine.gdb_target) as gdb:
        if kind == "gdb":
            gdb.ask(*" ".join(names).split("; "))
        failing = verdict.ask(gdb).failures
    return found | {one.rule for one in failing}, failing


@pytest.mark.parametrize("patch", [
    pytest.param(path, id=path.stem, marks=() if path.stem in ALWAYS else pytest.mark.soak) for path in MUTANTS])
def test_mistake_is_found(machine, patch):
    kernel = variant.build(f"mutant-{patch.stem}", [patch], programs=PROGRAMS)
    kind, *names = said_by(patch, "scene")
    one = machine(1 if kind == "gdb" else 3, kernel=kernel, boot=False, paused=kind == "gdb")
    found, failing = found_in(one, kind, names)
    assert found & set(said_by(patch, "expect")), f"found {found or 'nothing'}: {failing}"


def test_broken_pairing_names_process_entry_expected_and_actual(machine):
    kernel = variant.build("mutant-two-frames", [HERE.parent / "mutants/two-frames.patch"], programs=PROGRAMS)
    _, failing = found_in(machine(kernel=kernel, boot=False), "prompt", [])
    pair = next(one for one in failing if one.rule == "shrimp-pair")
    assert (pair.pid, pair.name) == (2, "sh")
    assert pair.pte_at and pair.pte & 1
    assert "FRY of pid 1 (init)" in pair.expected and "frame 0x8" in pair.actual
    assert pair.function == "fork"
