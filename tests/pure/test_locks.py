"""Who holds which lock and who waits for it, on made-up machines."""

from __future__ import annotations

import dataclasses

import pytest
from machine import BASE, CPUS, INT, KEPT, SPINLOCK, UINT, array, family, fields, pointer
from shrimpy.kernel import Kernel, locks
from shrimpy.kernel.debuginfo import Symbol, Type
from shrimpy.kernel.stacks import A0, SP, Stack, Unwinder
from shrimpy.memory.elf import Range
from shrimpy.show import locks as said
from shrimpy.show.text import Painter

ACQUIRE, CALLER, PANIC = BASE + 0x1a00, BASE + 0x1b00, BASE + 0x1c00
SLEEPLOCK = Type("struct", 48, "sleeplock")
ILOCK = KEPT + 8        # of a made-up inode table: two of 56 bytes, the lock 8 bytes into each
CPU = 128


class Scene:
    """A family whose kernel has acquire, wait_lock and two inodes with a sleeplock each."""

    def __init__(self) -> None:
        self.m = m = family()
        m.info.structs["sleeplock"] = fields(("locked", 0, UINT), ("lk", 8, SPINLOCK), ("name", 32, pointer()), ("pid", 40, INT))
        m.info.structs["inode"] = fields(("dev", 0, UINT), ("lock", 8, SLEEPLOCK))
        m.info.symbols["inodes"] = Symbol(KEPT, array(Type("struct", 56, "inode"), 2))
        m.info.symbols["wait_lock"] = Symbol(KEPT + 0x80, SPINLOCK)
        self.info = dataclasses.replace(m.info, functions=m.info.functions + tuple(
            Range(at, 0x100, name) for at, name in ((ACQUIRE, "acquire"), (CALLER, "caller"), (PANIC, "panic"))))
        self.harts: dict[int, tuple] = {}

    def hold(self, lock: int, hart: int) -> int:
        """A spinlock, held; its address."""
        self.m.put(lock, 1, 4)
        self.m.put(lock + 16, CPUS + CPU * hart)
        return lock

    def spin(self, hart: int, lock: int, pid: int | None = None) -> None:
        self.harts[hart] = (pid, ACQUIRE + 8, {A0: lock, SP: 0})

    def sleeplock(self, n: int, pid: int) -> int:
        at = ILOCK + 56 * n
        self.m.put(at, 1, 4)
        self.m.put(at + 40, pid, 4)
        return at

    def found(self) -> locks.Found:
        kernel = Kernel(self.m.reader(), self.info)
        unwinder = Unwinder(kernel.reader, self.info, lambda va: (va, 4096))
        harts = {hart: locks.OnHart(pid, locks.stack_of(unwinder, pc, registers, None))
                 for hart, (pid, pc, registers) in self.harts.items()}
        return locks.find(kernel, unwinder, harts, kernel.processes(), {})

    def held(self) -> dict[str, locks.Lock]:
        return {lock.name: lock for lock in self.found().locks if lock.held}


@pytest.fixture
def scene():
    return Scene()


def test_locks_are_found_by_their_shape_wherever_they_are(scene):
    names = {lock.name: lock.kind for lock in scene.found().locks}
    assert names["kmem.lock"] == "spin" and names["inodes[1].lock"] == "sleep" and names["proc[3].lock"] == "spin"
    assert names["wait_lock"] == "spin" and len(names) == 64 + 1 + 1 + 1 + 2        # proc[], kmem, ftable, wait_lock, inodes
    assert not any(lock.held for lock in scene.found().locks)


def test_a_holder_is_the_hart_that_the_lock_names(scene):
    scene.hold(scene.m.kmem, 2)
    scene.harts[2] = (4, BASE + 0x108, {})
    assert (scene.held()["kmem.lock"].hart, scene.held()["kmem.lock"].pid) == (2, 4)


def test_a_lock_without_a_cpu_in_it_has_an_unknown_holder(scene):
    scene.m.put(scene.m.kmem, 1, 4)
    assert scene.held()["kmem.lock"].hart is None


def test_a_hart_in_acquire_waits_unless_the_lock_is_its_own(scene):
    scene.hold(scene.m.kmem, 2)
    scene.spin(0, scene.m.kmem, 4)
    scene.spin(2, scene.m.kmem)         # it has just taken it
    [waiter] = scene.held()["kmem.lock"].waiters
    assert (waiter.hart, waiter.pid) == (0, 4) and scene.found().cycles == ()


def test_a_process_waits_for_the_sleeplock_that_it_sleeps_on(scene):
    at = scene.sleeplock(1, 3)
    scene.m.field(scene.m.processes[4], "chan", at)
    [lock] = scene.held().values()
    assert (lock.name, lock.pid, lock.hart) == ("inodes[1].lock", 3, None)
    assert [(one.hart, one.pid) for one in lock.waiters] == [(None, 4)]


def turns(scene) -> list[list[tuple]]:
    return [sorted((one.waiter.hart, one.waiter.pid, one.lock) for one in cycle) for cycle in scene.found().cycles]


def test_two_harts_that_wait_for_each_other_are_a_deadlock(scene):
    scene.spin(0, scene.hold(scene.m.kmem, 1))
    scene.spin(1, scene.hold(KEPT + 0x80, 0))
    scene.spin(2, scene.m.kmem)         # waits, and is no part of it
    assert turns(scene) == [[(0, None, "kmem.lock"), (1, None, "wait_lock")]]
    text = said.locks(scene.found(), False, scene.m.snapshot(), lambda _: None, Painter())
    assert text.startswith("deadlock: hart 0 waits for kmem.lock, which hart 1 holds; hart 1 waits for wait_lock, which hart 0 holds\n")


def test_no_deadlock_where_one_of_them_can_go_on(scene):
    scene.spin(0, scene.hold(scene.m.kmem, 1))
    scene.hold(KEPT + 0x80, 0)
    scene.harts[1] = (None, BASE + 0x108, {})
    assert turns(scene) == []


def test_sleepers_that_hold_what_the_other_wants_are_a_deadlock(scene):
    for n, (holder, sleeper) in enumerate(((3, 4), (4, 3))):
        scene.m.field(scene.m.processes[sleeper], "chan", scene.sleeplock(n, holder))
    assert turns(scene) == [[(None, 3, "inodes[1].lock"), (None, 4, "inodes[0].lock")]]


def test_a_sleeper_and_a_spinning_hart_may_wait_for_each_other(scene):
    at = scene.sleeplock(0, 4)                      # pid 4 runs on hart 1, which spins
    scene.spin(1, scene.hold(scene.m.kmem, 0), 4)
    scene.m.field(scene.m.processes[3], "chan", at)
    assert turns(scene) == []                       # nobody waits for pid 3
    scene.spin(0, scene.hold(KEPT + 0x80, 1))
    assert turns(scene) == [[(0, None, "wait_lock"), (1, 4, "kmem.lock")]]


def code(scene, words: list[int]) -> None:
    for i, word in enumerate(words):
        scene.m.put(CALLER + 4 * i, word, 4)


def test_since_is_the_call_that_took_it(scene):
    """auipc a0, hi; addi a0, a0, lo; jal ra, acquire; nop; jal ra, elsewhere: the hart is behind that."""
    lock, jal = KEPT + 0x80, lambda at, to: (0xef | (to - at & 0x7fe) << 20 | (to - at >> 11 & 1) << 20
                                             | (to - at) >> 20 & 1 << 31 | (to - at) & 0xff000)
    high, low = lock - CALLER + 0x800 & ~0xfff, (lock - CALLER + 0x800 & 0xfff) - 0x800
    code(scene, [0x517 | high, 0x50513 | (low & 0xfff) << 20, jal(CALLER + 8, ACQUIRE), 0x13, 0x13, 0x13])
    scene.hold(lock, 0)
    scene.harts[0] = (None, CALLER + 16, {SP: BASE})
    found = scene.held()["wait_lock"]
    assert (found.function, found.at) == ("caller", CALLER + 8)
    scene.harts[0] = (None, CALLER + 4, {SP: BASE})     # before the call
    assert scene.held()["wait_lock"].function is None
    scene.hold(scene.m.kmem, 0)
    scene.harts[0] = (None, CALLER + 16, {SP: BASE})
    assert scene.held()["kmem.lock"].function is None   # another lock than that call's


def test_nothing_is_said_of_harts_in_user_mode(scene):
    scene.harts[0] = (4, None, {})
    assert scene.found().cycles == () and Stack((), False) == locks.stack_of(None, None, {}, None)
