"""Scenarios: small programs that bring a kernel to the points where its page tables tell most.

They are built for the kernel under test (only its system call numbers matter) and put into a copy of its disk image.
"""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import ROOT, Trouble, check_room, disk, printable, sandbox
from .building import first_error
from .tools import cross_prefix
from .tree import Kernel, is_ours

PROGRAM = "shrimpscene"
GONE = "gone"  # the point after a scenario, when all of it has ended
_SOURCES = ROOT / "scripts" / "scenarios"
_PROGRAMS = (PROGRAM, "shrimphigh")
_NEEDED = frozenset(("init", "sh"))  # of the tree's own


@dataclass(frozen=True)
class Scenario:
    """What PROGRAM plays when it is given the name.

    looks_at  what it brings about, a phrase
    points    the name by which the program announces each, and what the machine has come to there
    stays     whether the machine is of no use after its last point, because processes would take long to end
    """

    name: str
    looks_at: str
    points: tuple[tuple[str, str], ...]
    stays: bool = False


SCENARIOS = (
    Scenario("family", "a parent with two children, and a grandchild", (
        ("family", "the family stands still"),)),
    Scenario("orphan", "a parent that exits before its child", (
        ("parent-there", "parent and child stand still"),
        ("parent-zombie", "the parent has exited, and nobody has waited for it"),
        ("parent-gone", "the parent has been waited for"),
        ("parent-replaced", "new processes have come after the parent"))),
    Scenario("child", "a child that exits before its parent and its sibling", (
        ("child-gone", "the child has been waited for"),
        ("child-replaced", "new processes have come after the child"))),
    Scenario("exec", "a child, itself a parent, that runs another program", (
        ("exec-before", "just before exec"),
        ("exec-after", "just after exec"))),
    Scenario("fork", "one fork, and the moment from which its child can run", (
        ("armed", "before fork"),
        ("can-run", "fork has made the child RUNNABLE"),
        ("forked", "after fork"))),
    Scenario("count", "two harts that let go of one frame at the same time", (
        ("counted", "a parent is about to exit, and some of its children have"),
        ("counts-kept", "the parent is gone, and only a child still has its page"))),
    Scenario("kill", "processes that are killed asleep, and by a fault", (
        ("killed", "they are gone, and new processes have come"),)),
    Scenario("memory", "sbrk, fork and exec without memory: fork and exec fail at each of their allocations", (
        ("memory-full", "sbrk has taken all memory, and given it back"),
        ("memory-fork", "fork has failed for want of each frame in turn"),
        ("memory-exec", "exec has failed for want of each frame in turn"))),
    Scenario("heap", "a heap as high as the kernel lets it grow, and a program that reaches up to TRAPFRAME", (
        ("heap", "the heap has grown as high as it may"),), stays=True),
)

POINTS = {name: phrase for one in SCENARIOS for name, phrase in one.points} | {GONE: "all of it has ended"}


def equip(kernel: Kernel, folder: Path) -> Kernel:
    """The same kernel with the programs on its first disk, whose copy is in folder. notes: what was done for that.

    Raises Trouble when they do not build, or the image has another format than xv6's or no room.
    """
    if not kernel.disks:
        raise Trouble("this kernel has no disk")
    image = folder / "disk"
    said = disk.with_files(kernel.disks[0], {name: _build(kernel, name, folder) for name in _PROGRAMS}, image, _NEEDED)
    return dataclasses.replace(kernel, disks=(image, *kernel.disks[1:]), notes=(said,) if said else ())


def _build(kernel: Kernel, name: str, folder: Path) -> bytes:
    numbers, sources = (kernel.sources or kernel.elf.parent) / "syscall.h", folder / "sources"
    shutil.copytree(_SOURCES, sources, dirs_exist_ok=True)
    command = [cross_prefix() + "gcc", "-Wall", "-Os", "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-mno-relax",
               "-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-fno-pie", "-no-pie", "-fno-tree-loop-distribute-patterns",
               "-fno-asynchronous-unwind-tables", "-nostdlib", "-static", "-s", f"-Wl,-T,{sources}/program.ld",
               "-Wl,-z,max-page-size=4096", "-Wl,-z,noseparate-code", "-Wl,--build-id=none"]
    if numbers.is_file():
        # A header of a stranger's: what it makes the compiler read would be on the disk, and printed.
        shutil.copyfile(numbers, sources / "syscall.h")
        command += ["-include", str(sources / "syscall.h")]
    done = sandbox.run([*command, "-o", str(folder / name), str(sources / f"{name}.c")], folder, trusted=is_ours(kernel.elf))
    if done.status or done.overrun:
        check_room(folder)
        raise Trouble(f"{name} does not build: {printable(done.overrun or first_error(done.output))}")
    return (folder / name).read_bytes()
