"""Kernels of others that share memory by segments, booted: no right one is accused, and a mistake in each is found.

tests/pure/test_segment_rules.py judges the same three designs in made-up memory.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.kernels import tree
from lab.machines import debugger
from lab.machines.machine import Machine

import trees

SOURCES = Path(__file__).parent / "segments"
RULES = ("segment-count", "segment-rights", "segment-pages", "segment-place", "segment-private")
CALLS = ("shm_make", "shm_attach", "shm_remove")     # from number 22

# All have what only one needs, so that of the kernel only shm.c is built anew.
AREA = """\
#define NAREAS 4
enum { PROT_READ = 1, PROT_WRITE = 2 };
struct shmobj;
struct vma {
  uint64 addr;
  struct shmobj *obj;
  int prot, used;
};
enum procstate {"""
SEGMENTS = [
    *trees.NO_SEGMENTS, ("kernel/syscall.h", r"\Z", "".join(f"#define SYS_{call} {22 + i}\n" for i, call in enumerate(CALLS))),
    ("kernel/syscall.c", r"X\(close\)", " ".join(f"X({call})" for call in ("close", *CALLS))),
    ("kernel/proc.h", r"enum procstate {", AREA),
    ("kernel/proc.h", r"  struct attachment shm.*\n  int nshm;.*\n", "  struct vma areas[NAREAS];\n"),
    ("kernel/*.c", r"  if \(p->nshm\)\n  (  shmleave\(p\);)", r"\1"), ("kernel/proc.c", r"\(p->nshm && (shmfork\(p, np\) < 0)\)", r"\1")]


def design(folder: Path, name: str) -> Path:
    """A tree that has segments as the file of that name says."""
    made = trees.imitate(folder, SEGMENTS, programs=f"{trees.PROGRAMS} sharers")
    shutil.copy(SOURCES / f"{name}.c", made / "kernel/shm.c")
    shutil.copy(SOURCES / "sharers.c", made / "user")
    return made


class Sharing:
    """A machine whose processes share segments each time that it is told to."""

    def __init__(self, name: str, machine: Machine, gdb: debugger.Session) -> None:
        self._name, self._machine, self._gdb = name, machine, gdb

    def judged(self, mistake: int) -> dict[str, list[str]]:
        """What shrimp-check says while they share, with that mistake of the kernel's: statuses by rule."""
        self._machine.send(f"sharers {self._name} {mistake}")
        self._machine.wait_for("sharers: ready\n")
        with self._machine.qmp() as monitor:
            monitor.execute("stop")
        said = self._gdb.ask("shrimp-check -json")
        found = defaultdict(list)
        for one in json.JSONDecoder().raw_decode(said[said.index("{"):])[0]["verdicts"]:
            found[one["rule"]].append(one["status"])
        self._gdb.tell("continue")
        self._machine.run("")
        return found


@pytest.fixture
def sharing(lab: Path):
    """sharing(name): such a tree, booted, with GDB attached."""
    @contextmanager
    def boot(name: str) -> Iterator[Sharing]:
        kernel = tree.prepare(str(trees.again(lab, make=lambda folder: design(folder, name))))
        with Machine(kernel, 2) as machine:
            machine.boot()
            with debugger.Session(kernel.elf, machine.gdb_target) as gdb:
                gdb.tell("continue")
                yield Sharing(name, machine, gdb)
    return boot


@pytest.mark.limit(300)
@pytest.mark.parametrize("name,n_segments,broken", [
    ("pages", 2, ["segment-count"]), ("list", 1, ["segment-pages", "segment-removed"]), ("areas", 1, ["segment-rights"])])
def test_a_strangers_kernel_with_segments_is_judged_and_its_mistakes_are_found(sharing, name, n_segments, broken):
    with sharing(name) as machine:
        right = machine.judged(0)
        assert [rule for rule, statuses in right.items() if "fail" in statuses] == []
        assert {rule: right[rule] for rule in RULES} == {
            rule: ["pass"] * (n_segments if rule in ("segment-count", "segment-private") else 3) for rule in RULES}
        for mistake, rule in enumerate(broken, 1):
            found = machine.judged(mistake)
            assert [one for one, statuses in found.items() if "fail" in statuses and one.startswith("segment-")] == [rule], mistake
