"""Scenarios: small programs that bring a kernel to the points where its page tables tell most.

They are built for the kernel under test (only its system call numbers matter) and put into a copy of its disk image, by
names that nobody knows before. What they print is a transport: it counts from the run's nonce to the end of the line, and who
plays a role is looked up in memory.
"""

from __future__ import annotations

import dataclasses
import re
import secrets
import string
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shrimpy.kernel import macros
from shrimpy.memory.elf import Elf
from shrimpy.memory.readers import PAGE
from shrimpy.snapshot import Process, Snapshot
from shrimpy.snapshot.index import Index

from .. import ROOT, Trouble, check_room
from ..kernels import disk
from ..kernels.building import first_error
from ..kernels.tree import Kernel
from ..machines.kernelram import KernelRam
from ..tools import cross_prefix
from ..walls import sandbox

PROGRAM = "shrimpscene"
"""What people read for the program that plays; on the disk it has another name in each run."""
GONE = "gone"  # the point after a scenario, when all of it has ended
_SOURCES = ROOT / "scripts" / "scenarios"
_HIGH = "shrimphigh"
NEEDED = frozenset(("init", "sh"))  # of the tree's own programs, which stay on the disk
_SEGMENTS = ("shmget", "shmat", "shmdt", "shmctl")
_CALLS = ("fork", "exit", "wait", "pipe", "read", "kill", "exec", "getpid", "sbrk", "open", "write", "close",
          "fstat", "dup", "uptime", "chdir", "unlink", "link", "mkdir", "mknod", "sleep", "pause", *_SEGMENTS)
_MOST_HEADER = 1 << 20  # bytes
_PT_LOAD = 1
_HIGHEST_START = 1 << 20  # of programs that begin above 0


@dataclass(frozen=True)
class Scenario:
    """What PROGRAM plays when it is given the name.

    looks_at  what it makes happen, a phrase
    points    the name by which the program announces each, what the machine has come to there, and the roles that processes
              play in it
    stays     whether the machine is of no use after its last point, because processes would take long to end
    ends_shell  whether the shell is ended instead, and nothing is run
    needs     system calls that not every xv6 has: it is played where the kernel's header numbers them
    """

    name: str
    looks_at: str
    points: tuple[tuple[str, str, str], ...]
    stays: bool = False
    needs: tuple[str, ...] = ()
    ends_shell: bool = False


SCENARIOS = (
    Scenario("family", "a parent with two children, and a grandchild", (
        ("family", "the family stands still", "parent child sibling grandchild"),
        ("running", "a child of it runs in user mode", "parent runner"))),
    Scenario("orphan", "a parent that exits before its child", (
        ("parent-there", "parent and child stand still", "parent orphan"),
        ("parent-zombie", "the parent has exited, and nobody has waited for it", "parent orphan"),
        ("parent-gone", "the parent has been waited for", "orphan"),
        ("parent-replaced", "new processes have come after the parent", "orphan"))),
    Scenario("child", "a child that exits before its parent and its sibling", (
        ("child-gone", "the child has been waited for", "parent sibling"),
        ("child-replaced", "new processes have come after the child", "parent sibling"))),
    Scenario("exec", "a child, itself a parent, that runs another program", (
        ("exec-before", "just before exec", "process child"),
        ("exec-after", "just after exec", "process"))),
    Scenario("fork", "one fork, and the moment from which its child can run", (
        ("armed", "before fork", ""),
        ("can-run", "fork has made the child RUNNABLE", ""),
        ("forked", "after fork", "parent child"))),
    Scenario("count", "two harts that let go of one frame at the same time", (
        ("counted", "a parent is about to exit, and some of its children have", "parent orphan"),
        ("counts-kept", "the parent is gone, and only a child still has its page", "orphan"))),
    Scenario("kill", "processes that are killed asleep, and by a fault", (
        ("killed", "they are gone, and new processes have come", "parent"),)),
    Scenario("segments", "segments of shared memory that are attached, inherited, detached and removed", (
        ("attached", "each has attached what it asked for, and one has run exec since", "parent writer reader heir execed grower"),
        ("removed", "two have let go, and the segments are removed", "parent writer reader heir")), needs=_SEGMENTS),
    Scenario("shell", "a shell that ends, and that the first process starts anew", (
        ("anew", "the next shell waits for a line", ""),), ends_shell=True),
    Scenario("memory", "sbrk, fork and exec without memory: fork and exec fail at each of their allocations", (
        ("memory-full", "sbrk has taken all memory, and given it back", "owner"),
        ("memory-fork", "fork has failed for want of each frame in turn", "owner"),
        ("memory-exec", "exec has failed for want of each frame in turn", "owner trier"))),
    Scenario("heap", "a heap as high as the kernel lets it grow, and a program that reaches up to TRAPFRAME", (
        ("heap", "the heap has grown as high as it may", "grown"),
        ("loaded", "a heap has shrunk from there, and a program that reaches too high was run, if the kernel does that",
         "grown shrunk high")), stays=True),
)

NAMES = frozenset(one.name for one in SCENARIOS)
POINTS = {name: phrase for one in SCENARIOS for name, phrase, _ in one.points} | {GONE: "all of it has ended"}
ROLES = {name: frozenset(roles.split()) for one in SCENARIOS for name, _, roles in one.points}
READING, EXECED = frozenset(("reader", "heir")), frozenset(("execed",))
"""Roles of those who have all they have attached read-only, and who have attached nothing since exec."""


@dataclass(frozen=True)
class Cast:
    """The programs of one run.

    names   PROGRAM's on the disk, and the other's
    nonce   what the lines that it prints begin with, after what a kernel may have begun them with
    files   what processes of the cast run, whole
    scenarios  those that this kernel has the system calls for
    typed   what runs in user mode is let go by the console, as all others are: no recording would know of what is written to memory
    """

    names: tuple[str, str]
    nonce: str
    files: tuple[Elf, Elf]
    scenarios: tuple[Scenario, ...] = SCENARIOS
    typed: bool = False

    def unmasked(self, text: str) -> str:
        """What is of the guest, without what is of this run only."""
        name, high = self.names
        return text.replace(f"@{self.nonce} ", "@").replace(name, PROGRAM).replace(high, _HIGH)

    def impostor(self, point: str, roles: tuple[tuple[str, int], ...], snapshot: Snapshot, ram: KernelRam) -> str | None:
        """Why memory does not confirm that these processes play these roles at a point, or None when it does: each must be
        there, and have our program's code where it runs it."""
        if ROLES.get(point) != {role for role, _ in roles} or len({pid for _, pid in roles}) != len(roles):
            return f"expected {' '.join(sorted(ROLES.get(point, ())))} there, and was told of {' '.join(role for role, _ in roles)}"
        index = Index(snapshot)
        for role, pid in roles:
            process = index.process(pid)
            if process is None:
                unseen = snapshot.finding("no-proc-table")
                return f"process {pid}, which is said to be the {role}, is not seen: {unseen.text}" if unseen else \
                    f"there is no process {pid}, which is said to be the {role}"
            if process.state != "ZOMBIE" and not self.plays(process, index, ram):
                return f"process {pid}, which is said to be the {role}, does not run our program: its code is other bytes"
        return None

    def plays(self, process: Process, index: Index, ram: KernelRam) -> bool:
        """Whether a process runs a program of ours."""
        return any(_runs(process, file, index, ram) for file in self.files)

    def flag(self, pid: int, snapshot: Snapshot) -> int | None:
        """Where in physical memory a process of PROGRAM's has the first word of its data, if that is there."""
        index = Index(snapshot)
        process = index.process(pid)
        data = next((one.vaddr for one in self.files[0].segments if one.is_load and not one.is_code), None)
        leaf = index.leaf(process, data) if process and data is not None else None
        return leaf.pa + data - leaf.va if leaf and data is not None else None


def _runs(process: Process, file: Elf, index: Index, ram: KernelRam) -> bool:
    code = next(one for one in file.segments if one.is_load and one.is_code)

    def place(va: int) -> int | None:
        leaf = index.leaf(process, va)
        return leaf.pa + va - leaf.va if leaf else None
    return has_code(file.bytes_of(code), code.vaddr, place, lambda pa, n: ram.read(range(pa, pa + n)))


def has_code(code: bytes, start: int, place: Callable[[int], int | None], read: Callable[[int, int], bytes]) -> bool:
    """Whether the pages of a program's code that a process has are that program's, and it has the first, which it entered.

    start: the code's virtual address. place: where in physical memory a virtual address is, None where nowhere. read: n
    bytes at a physical address.
    """
    for at in range(0, len(code), PAGE):
        pa, piece = place(start + at), code[at:at + PAGE]
        if pa is None and at > 0:
            continue  # a kernel may load it when it is touched
        if pa is None or read(pa, len(piece)) != piece:
            return False
    return True


def equip(kernel: Kernel, folder: Path, typed: bool = False) -> tuple[Kernel, Cast]:
    """The same kernel with the programs on its first disk, whose copy is in folder, and what they are in this run. notes:
    what was done for that. typed: see Cast.

    Raises Trouble when they do not build, or the image has another format than xv6's or no room.
    """
    if not kernel.disks:
        raise Trouble("this kernel has no disk")
    image, names, nonce = folder / "disk", (a_name(), a_name()), secrets.token_hex(8)
    calls = numbers(kernel)
    words = [*calls, placed(begins(kernel)), f'-DNONCE="{nonce}"', f'-DHIGH="{names[1]}"', f"-DTYPED={typed:d}"]
    programs = [compiled(_SOURCES / f"{one}.c", _SOURCES / "program.ld", words, folder) for one in (PROGRAM, _HIGH)]
    fit = tuple(one for one in SCENARIOS if all(any(word.startswith(f"-DSYS_{call}=") for word in calls) for call in one.needs))
    cast = Cast(names, nonce, (Elf.load(programs[0]), Elf.load(programs[1])), fit, typed)
    files = {names[0]: programs[0].read_bytes()}
    files.update((names[1] + letter, _shorter(programs[1], n)) for n, letter in enumerate("abcd"))
    try:
        said = disk.with_files(kernel.disks[0], files, image, NEEDED)
    except Trouble as trouble:
        raise Trouble(cast.unmasked(str(trouble))) from None
    return dataclasses.replace(kernel, disks=(image, *kernel.disks[1:]), notes=(said,) if said else ()), cast


def _shorter(program: Path, n: int) -> bytes:
    """A program's file whose last segment ends n pages sooner."""
    data = bytearray(program.read_bytes())
    at = _last_segment(data) + 40   # ELF-64: p_memsz
    struct.pack_into("<Q", data, at, struct.unpack_from("<Q", data, at)[0] - n * PAGE)
    return bytes(data)


def with_more_in_the_file(program: bytes) -> bytes:
    """A program's file of whose last segment more is in the file than in memory, which no kernel loads."""
    data = bytearray(program)
    at = _last_segment(data) + 32   # ELF-64: p_filesz, and p_memsz after it
    struct.pack_into("<Q", data, at, struct.unpack_from("<Q", data, at + 8)[0] + PAGE)
    return bytes(data)


def _last_segment(data: bytearray) -> int:
    """Where the last program header that is loaded stands in an ELF-64's file."""
    first, (size, count) = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<HH", data, 54)
    return [at for at in range(first, first + size * count, size) if struct.unpack_from("<I", data, at)[0] == _PT_LOAD][-1]


def a_name() -> str:
    """A file's name that nobody can have foreseen, as long as any xv6 takes."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(12))


def numbers(kernel: Kernel) -> list[str]:
    """The kernel's system call numbers, as words for a compiler: read from its header, of which nothing is compiled. A call
    that the header does not define has every xv6's number, except where it defines none at all."""
    folder = kernel.sources or kernel.elf.parent
    for header in (folder / "syscall.h", *sorted(folder.glob("*.h"))):
        if not header.is_file() or header.stat().st_size > _MOST_HEADER:
            continue
        found = macros.parse(header.read_text(errors="replace"))
        bodies = {call: found[f"SYS_{call}"].body for call in _CALLS if f"SYS_{call}" in found}
        matches = {call: re.fullmatch(r"\(?\s*(0[xX][0-9a-fA-F]{1,4}|\d{1,5})\s*\)?", re.sub(r"/\*.*?\*/|//.*", "", body).strip())
                   for call, body in bodies.items()}
        for call, number in matches.items():
            if number is None:
                raise Trouble(f"{header.name} gives SYS_{call} no number: expected an integer such as 1")
        if matches:
            return [f"-DSYS_{call}={number[1]}" for call, number in matches.items() if number]
    return []


def begins(kernel: Kernel) -> int:
    """Where programs begin, by those on the kernel's first disk: some leave the pages at address 0 out, so that whoever follows a
    null pointer faults, and their exec loads nothing there. 0 where that cannot be read; raises Trouble as disk.Image does."""
    try:
        image = disk.Image(kernel.disks[0].read_bytes())
        return min((_first_address(image.start(name)) for name in NEEDED), default=0)
    except (struct.error, IndexError):
        return 0


def _first_address(start: bytes) -> int:
    """Where the first page of a program begins, given the start of its file; 0 where that says nothing of the kind."""
    first, (size, count) = struct.unpack_from("<Q", start, 32)[0], struct.unpack_from("<HH", start, 54)
    headers = range(first, first + size * count, size or 1)
    places = [struct.unpack_from("<Q", start, at + 16)[0] for at in headers if struct.unpack_from("<I", start, at)[0] == _PT_LOAD]
    return at if (at := min(places, default=0)) % PAGE == 0 and at < _HIGHEST_START else 0


def placed(at: int) -> str:
    """The word for a compiler by which compiled() has a program begin at an address."""
    return f"-Wl,--defsym=BEGINS={at:#x}"


def compiled(source: Path, script: Path, words: Sequence[str], folder: Path) -> Path:
    """A program for the guest, made in folder of one of our C files by one of our linker scripts. words: more for the compiler,
    such as numbers(), and placed(). Raises Trouble when it does not build."""
    command = [cross_prefix() + "gcc", "-Wall", "-Os", "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany",
               "-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-fno-pie", "-no-pie", "-fno-tree-loop-distribute-patterns",
               "-fno-asynchronous-unwind-tables", "-nostdlib", "-static", "-s", f"-Wl,-T,{script}",
               "-Wl,-z,max-page-size=4096", "-Wl,-z,noseparate-code", "-Wl,--build-id=none", *words]
    program = folder / source.stem
    done = sandbox.run([*command, "-o", str(program), str(source)], folder, trusted=True)
    if done.status or done.overrun:
        check_room(folder)
        raise Trouble(f"{source.stem} does not build: {done.overrun or first_error(done.output)}")
    return program
