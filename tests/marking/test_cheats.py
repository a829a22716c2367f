"""Kernels, shells and disks that would look right to who believes what they say."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import pytest

from lab import Trouble
from lab.judging import checking, player, playing, scenarios
from lab.judging.scenarios import PROGRAM, Cast
from lab.judging.verdict import FAIL, UNJUDGED
from lab.kernels import disk, tree, variant
from lab.kernels.tree import Kernel
from lab.machines import debugger
from lab.machines.qmp import Gone
from shrimpy.memory.elf import Elf
from shrimpy.memory.sv39 import Finding, R, U, X
from shrimpy.spec import Differs, Do, borders

from elves import Part, elf
from machine import BASE, PAGE, Machine, family

CHEATS = Path(__file__).with_name("cheats")


def checked(cheat: str) -> checking.Report:
    return checking.check(variant.build(f"cheat-{cheat}", [CHEATS / f"{cheat}.patch"]), 1,
                          only=["family"])


def test_a_shell_that_plays_our_program_itself_is_not_judged():
    report = checked("shell-plays")
    assert report.status == UNJUDGED
    assert "memory does not confirm what was printed: process 2, which is said to be the parent" in report.outcomes[0].hindrance.line
    assert "PASS" in report.outcomes[0].console


def test_a_kernel_that_is_right_for_the_program_whose_name_it_knows_fails():
    report = checked("knows-the-program")
    assert report.status == FAIL and {one.verdict.rule for one in report.failures} >= {"shrimp-pair"}
    assert {one.verdict.name for one in report.failures} == {PROGRAM}  # nobody reads the name that it has


# It tells our programs by what they are called: not by one name, but by what kind of name.
@pytest.mark.parametrize("cheat", ["right-for-random-names", pytest.param("wrong-for-usual-names", marks=pytest.mark.soak)])
def test_a_kernel_that_is_right_for_names_of_a_kind_differs(cheat):
    kernel = variant.build(f"cheat-{cheat}", [CHEATS / f"{cheat}.patch"])
    with debugger.Session(kernel.elf) as gdb:
        known = player.facts(gdb)
    named = [one.ops for one in borders() if "two names" in one.about]
    with playing.equipped(kernel, known) as at:
        found, *_ = playing.perform(at, known, named, most_tries=0)
    assert len(named) == 1 and found.divergence.what is Differs.NOT_SHARED and found.divergence.ops[-1].do is Do.FORK


def test_a_private_page_that_is_copied_at_each_trap_is_a_table_of_another_s():
    assert "satp-is-root" in {one.verdict.rule for one in checked("copied-at-each-trap").failures}


@pytest.mark.parametrize("cheat,kind", [
    ("turns-itself-off", "ended"), pytest.param("begins-anew", "hung", marks=pytest.mark.soak),
    pytest.param("prints-without-end", "printed without end", marks=pytest.mark.soak)])
def test_a_kernel_that_stops_the_check_in_the_middle_is_not_judged(cheat, kind):
    report = checked(cheat)
    assert report.status == UNJUDGED and report.outcomes[0].hindrance.kind == kind


# Call numbers

@pytest.fixture
def headers(kernel: Kernel, tmp_path: Path) -> Kernel:
    """Our kernel, with a folder for headers of another's."""
    return dataclasses.replace(kernel, sources=tmp_path)


def equipped(kernel: Kernel, folder: Path) -> Cast:
    (folder / "made").mkdir()
    return scenarios.equip(kernel, folder / "made")[1]


def test_a_header_with_call_numbers_is_read_and_not_compiled(headers, tmp_path):
    (tmp_path / "syscall.h").write_text(
        "#define SYS_fork 1\n#define SYS_exit\t0x2 // ends\n#define SYS_wait (3)\n#define main mine\n#define start theirs\n"
        "#define SYS_shmget 22\n#define SYS_shmat 23\n#define SYS_shmdt 24\n#define SYS_shmctl 25\n"
        "void start(void) { for (;;); }\n#include \"/etc/passwd\"\n#error read\n")
    (tmp_path / "ours").mkdir()
    theirs, ours = equipped(headers, tmp_path), equipped(dataclasses.replace(headers, sources=headers.elf.parent), tmp_path / "ours")
    assert code(theirs) == code(ours)


def test_segments_are_played_where_the_header_numbers_all_of_their_calls(headers, tmp_path):
    (tmp_path / "syscall.h").write_text("#define SYS_fork 1\n#define SYS_shmget 22\n#define SYS_shmat 23\n#define SYS_shmdt 24\n")
    cast = equipped(headers, tmp_path)
    assert {one.name for one in scenarios.SCENARIOS} - {one.name for one in cast.scenarios} == {"segments"}
    assert b"segments" not in code(cast)


def code(cast: Cast) -> bytes:
    """The program's, but for what is new in each run."""
    found = cast.files[0].bytes_of(next(one for one in cast.files[0].segments if one.is_code))
    return found.replace(cast.nonce.encode(), b"").replace(cast.names[1].encode(), b"")


@pytest.mark.parametrize("body", ["1; evil()", "fork()", "__COUNTER__", "\"1\"", "1 -include /etc/passwd", "999999"])
def test_what_is_no_number_is_no_call_number(headers, tmp_path, body):
    (tmp_path / "syscall.h").write_text(f"#define SYS_fork {body}\n")
    with pytest.raises(Trouble, match="^syscall.h gives SYS_fork no number: expected an integer such as 1$"):
        equipped(headers, tmp_path)


def test_each_run_has_names_of_its_own(headers, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    one, other = equipped(headers, tmp_path / "one"), equipped(headers, tmp_path / "other")
    names = {*one.names, *other.names, one.nonce, other.nonce}
    assert len(names) == 6 and all(len(name) <= 14 for name in (*one.names, *other.names))
    assert one.unmasked(f"$ {one.names[0]} family\n@{one.nonce} point family\n") == "$ shrimpscene family\n@point family\n"


# Who plays

CODE = bytes(range(1, 251)) * 20  # more than a page


@pytest.fixture
def cast(tmp_path: Path) -> Cast:
    (tmp_path / "program").write_bytes(elf([Part(file_size=len(CODE), vaddr=0)], CODE, entry=0))
    program = Elf.load(tmp_path / "program")
    return Cast(("aaaaaaaaaaaa", "bbbbbbbbbbbb"), "5eed", (program, program))


class Ram:
    def __init__(self, machine) -> None:
        self._reader = machine.reader()

    def read(self, place: range) -> bytes:
        return self._reader.read(place.start, len(place))


def write(m: Machine, pa: int, data: bytes) -> None:
    m.ram[pa - BASE:pa - BASE + len(data)] = data


@pytest.mark.parametrize("change,said", [
    (None, None),
    (0, "does not run our program"), (PAGE + 7, "does not run our program"),
    ("unmapped", "does not run our program"), ("second-page-unmapped", None),
])
def test_who_plays_a_role_has_our_code(cast, change, said):
    m = family()
    pages = {}
    for pid in (3, 4):
        for va in range(0, len(CODE), PAGE):
            if va in m.processes[pid].pages:
                m.unmap(m.processes[pid].root, va)
            pages[pid, va] = frame = m.alloc()
            m.map(m.processes[pid].root, va, frame, R | X | U)
            write(m, frame, CODE[va:va + PAGE])
    if change == "unmapped":
        for va in (0, PAGE):
            m.unmap(m.processes[4].root, va)
    elif change == "second-page-unmapped":
        m.unmap(m.processes[4].root, PAGE)
    elif change is not None:
        write(m, pages[4, change & -PAGE] + change % PAGE, b"\0")
    why = cast.impostor("forked", (("parent", 3), ("child", 4)), m.snapshot(), Ram(m))
    assert (why is None) == (said is None) and (said or "") in (why or "")


@pytest.mark.parametrize("roles,said", [
    ((("parent", 3),), "expected child parent there"), ((("parent", 3), ("child", 3)), "expected child parent there"),
    ((("parent", 3), ("child", 99)), "does not run our program"), ((), "expected child parent there"),
])
def test_roles_are_those_of_the_point_and_everybody_has_one(cast, roles, said):
    m = family()
    assert said in cast.impostor("forked", roles, m.snapshot(), Ram(m))


def test_of_a_process_that_the_kit_cannot_see_it_is_not_said_that_it_is_not_there(cast):
    snapshot = family().snapshot()
    assert "there is no process 98" in cast.impostor("forked", (("parent", 98), ("child", 99)), snapshot, Ram(family()))
    snapshot = dataclasses.replace(snapshot, findings=(Finding("no-proc-table", None, "this kernel has no array of processes"),))
    assert cast.impostor("forked", (("parent", 98), ("child", 99)), snapshot, Ram(family())) == \
        "process 98, which is said to be the parent, is not seen: this kernel has no array of processes"


# Disks

def test_what_has_the_name_of_our_program_makes_way_for_it(kernel, tmp_path):
    disk.with_files(kernel.disks[0], {"echo": b"ours"}, tmp_path / "disk")
    image = disk.Image((tmp_path / "disk").read_bytes())
    assert image.length(image.names()["echo"]) == 4


def test_a_root_directory_that_is_a_loop_ends(kernel, tmp_path):
    """All blocks of / are its first, and it is as long as a number can say."""
    data = bytearray(kernel.disks[0].read_bytes())
    image = disk.Image(bytes(data))
    at = image._inode_at(1)
    first = struct.unpack_from("<I", data, at + image._format.blocks)[0]
    struct.pack_into("<13I", data, at + image._format.blocks, *[first] * 13)
    struct.pack_into("<I", data, at + image._format.length, 0xfffffff0)
    (tmp_path / "loop").write_bytes(data)
    with pytest.raises(Trouble):
        for number in range(1000):
            disk.with_files(tmp_path / "loop", {f"{number}": b"a" * 5000}, tmp_path / "loop")


# What a machine says before it is off

def test_a_kernel_that_prints_pass_and_turns_the_machine_off_has_not_passed(build):
    try:
        report = checking.check(tree.prepare(str(build("poweroff.S"))), 1)
    except Gone:    # it was off before QEMU's monitor was there, which check tells as a kernel that cannot be judged
        return
    assert report.status == UNJUDGED
    assert {one.hindrance.kind for one in report.outcomes} <= {"ended", "unjudged"}
