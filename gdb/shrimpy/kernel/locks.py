"""Who holds which lock, who waits for it, and whether they wait for each other.

A lock is known by its shape: a spinlock has `locked`, a sleeplock has that, a spinlock and a pid. A hart that spins is known by
its stack, where acquire's argument is; a process that waits for a sleeplock sleeps on it.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..records import address, many, record
from .data import Kernel
from .debuginfo import DebugInfo, Type
from .slots import Proc
from .stacks import Frame, Registers, Stack, Unwinder
from .variables import Place

ACQUIRE = ("acquire", "acquirelock", "spin_lock", "spinlock_acquire", "lock_acquire")
ACQUIRE_SLEEP = ("acquiresleep", "sleep_lock", "acquire_sleep")
"""What trees call the functions whose first argument is the lock."""

LOCK_OWNER = ("ilock", "inode_lock")
"""And those whose first argument is the struct that has the sleeplock, which they take."""

_MOST_ELEMENTS = 4096
_DEEPEST = 6
_LABEL_BYTES = 32


@record
class Waiter:
    """Who waits: a hart that spins, or a process that sleeps. function, at: who called acquire, and where."""

    hart: Optional[int] = None
    pid: Optional[int] = None
    function: Optional[str] = None
    at: Optional[int] = address(default=None)


@record
class Lock:
    """A lock of the kernel. name: its C path; label: what the kernel calls it; kind: "spin" or "sleep"; hart, pid: the holder's,
    as far as the lock says; function, at: the call on the holder's stack that took it, as far as the stack says."""

    name: str
    kind: str
    pa: int = address()
    label: Optional[str] = None
    held: bool = False
    hart: Optional[int] = None
    pid: Optional[int] = None
    function: Optional[str] = None
    at: Optional[int] = address(default=None)
    waiters: Tuple[Waiter, ...] = many(Waiter)


class Turn(NamedTuple):
    """One of a cycle: a hart or a process, and the lock that it waits for, which the next one holds."""

    waiter: Waiter
    lock: str


class Found(NamedTuple):
    """All locks, by their paths, and each circle of waiting, which is a deadlock."""

    locks: Tuple[Lock, ...]
    cycles: Tuple[Tuple[Turn, ...], ...]


class OnHart(NamedTuple):
    """A hart whose stack is known: the process that it runs, or None, and its calls, innermost first."""

    pid: Optional[int]
    stack: Stack


def find(kernel: Kernel, unwinder: Unwinder, harts: Mapping[int, OnHart], processes: Sequence[Proc],
         stacks: Mapping[int, Stack]) -> Found:
    """Every lock of a kernel. harts: those in the kernel; stacks: by pid, of processes that are not running."""
    return _Search(kernel, unwinder, harts, processes, stacks).run()


def stack_of(unwinder: Unwinder, pc: Optional[int], registers: Registers, top: Optional[int]) -> Stack:
    """The calls of a hart that is in the kernel."""
    return Stack((), False) if pc is None else unwinder.follow(pc, registers, True, top)


class _Search:
    def __init__(self, kernel: Kernel, unwinder: Unwinder, harts: Mapping[int, OnHart], processes: Sequence[Proc],
                 stacks: Mapping[int, Stack]) -> None:
        self._kernel, self._info, self._unwinder = kernel, kernel.info, unwinder
        self._harts, self._processes, self._stacks = harts, processes, stacks
        self._on_hart = {one.pid: hart for hart, one in harts.items() if one.pid is not None}
        self._owners: Dict[int, int] = {}
        self._starts = {f.name: f.address for f in kernel.info.functions}

    def run(self) -> Found:
        self._owners = {place.address: owner for place, _, owner in places(self._kernel, self._processes)}
        found = [self._lock(place, kind) for place, kind, _ in places(self._kernel, self._processes)]
        held = {lock.pa: lock for lock in found if lock.held}
        waiting = dict(self._spinning(held))
        waiting.update({("pid", p.pid): (p.chan, Waiter(None, p.pid)) for p in self._processes
                        if p.chan in held and p.state == "SLEEPING"})
        waiters: Dict[int, List[Waiter]] = {}
        for at, waiter in waiting.values():
            waiters.setdefault(at, []).append(waiter)
        locks = tuple(self._since(lock, tuple(waiters.get(lock.pa, ()))) for lock in found)
        return Found(locks, tuple(self._cycles(held, waiting)))

    def _lock(self, place: Place, kind: str) -> Lock:
        held, hart = self._kernel.lock_at(place.address, place.type.name)
        runs = self._harts.get(hart) if hart is not None else None
        pid = self._field(place, "pid") if kind == "sleep" and held else runs.pid if runs else None
        return Lock(place.path, kind, place.address, self._label(place), held, hart if kind == "spin" else None, pid or None)

    def _field(self, place: Place, name: str) -> Optional[int]:
        field = self._info.field(place.type.name, name)
        base, end = self._kernel.reader.ram
        at = place.address + field.offset if field else 0
        return int.from_bytes(self._kernel.reader.read(at, field.type.size), "little") if field and base <= at < end - 8 else None

    def _label(self, place: Place) -> Optional[str]:
        at = self._field(place, "name")
        base, end = self._kernel.reader.ram
        if not at or not base <= at < end - _LABEL_BYTES:
            return None
        text = self._kernel.reader.read(at, _LABEL_BYTES).split(b"\0", 1)[0]
        return text.decode("ascii") if text and all(32 <= c < 127 for c in text) else None

    def _spinning(self, held: Mapping[int, Lock]) -> Iterator[Tuple[Tuple[str, int], Tuple[int, Waiter]]]:
        """(who, (the lock, as a waiter)) of each hart that is in acquire for a lock that it does not have."""
        for hart, one in self._harts.items():
            at = next((i for i, frame in enumerate(one.stack.frames) if frame.name in ACQUIRE), None)
            wanted = None if at is None else self._unwinder.argument(one.stack, at, 0)
            lock = held.get(wanted) if wanted is not None else None
            if at is None or lock is None or lock.hart == hart and not self._again(one.stack, at, lock):
                continue
            caller = one.stack.frames[at + 1] if at + 1 < len(one.stack.frames) else None
            yield ("hart", hart), (lock.pa, Waiter(hart, one.pid, caller and caller.name, caller and caller.pc))

    def _again(self, stack: Stack, at: int, lock: Lock) -> bool:
        """Whether a hart wants a lock that it has: and not that acquire has just taken it."""
        called = any(f.name not in ACQUIRE and "panic" in f.name for f in stack.frames[:at])
        return called or self._call(stack.frames[at + 1:], lock, again=True) is not None

    def _since(self, lock: Lock, waiters: Tuple[Waiter, ...]) -> Lock:
        hart = lock.hart if lock.kind == "spin" else self._on_hart.get(lock.pid or 0)
        runs = self._harts.get(hart) if hart is not None else None
        stack = runs.stack if runs else self._stacks.get(lock.pid or 0)
        call = self._call(stack.frames, lock) if stack and lock.held else None
        function, at = call or (None, None)
        return Lock(lock.name, lock.kind, lock.pa, lock.label, lock.held, lock.hart, lock.pid, function, at, waiters)

    def _call(self, frames: Sequence[Frame], lock: Lock, again: bool = False) -> Optional[Tuple[str, int]]:
        """(function, address) of the call that took a lock. again: another than the one that a frame is in."""
        ways = [(name, lock.pa) for name in (ACQUIRE if lock.kind == "spin" else ACQUIRE_SLEEP)]
        ways += [(name, self._owners[lock.pa]) for name in LOCK_OWNER if lock.kind == "sleep"]
        calls = (self._unwinder.call_with(frames, self._starts[name], first, again) for name, first in ways if name in self._starts)
        return next((call for call in calls if call is not None), None)

    def _cycles(self, held: Mapping[int, Lock], waiting: Mapping[Tuple[str, int], Tuple[int, Waiter]]) -> Iterator[Tuple[Turn, ...]]:
        done = set()
        for start in waiting:
            way: List[Tuple[str, int]] = []
            who: Optional[Tuple[str, int]] = start
            while who is not None and who in waiting and who not in done and who not in way:
                way.append(who)
                who = self._holder(held[waiting[who][0]])
            if who in way:
                yield tuple(Turn(waiting[one][1], held[waiting[one][0]].name) for one in way[way.index(who):])
            done.update(way)

    def _holder(self, lock: Lock) -> Optional[Tuple[str, int]]:
        if lock.kind == "spin":
            return None if lock.hart is None else ("hart", lock.hart)
        if lock.pid is None:
            return None
        return ("hart", self._on_hart[lock.pid]) if lock.pid in self._on_hart else ("pid", lock.pid)


def kind_of(info: DebugInfo, struct: str) -> Optional[str]:
    """"spin" or "sleep" of a struct that is a lock, else None."""
    fields = info.structs.get(struct, {})
    if "locked" not in fields or fields["locked"].type.kind not in ("int", "uint", "char", "enum"):
        return None
    if any(f.type.kind == "struct" and "locked" in info.structs.get(f.type.name, {}) for f in fields.values()):
        return "sleep" if "pid" in fields else None
    return "spin" if len(fields) <= 8 else None


def places(kernel: Kernel, processes: Sequence[Proc]) -> Iterator[Tuple[Place, str, int]]:
    """(where, kind, where the struct begins that it is in) of each lock in a variable, in a process's struct and in a pipe."""
    info, seen = kernel.info, set()
    tables = [Place(name, s.address, s.type) for name, s in sorted(info.symbols.items())]
    shape = kernel.shape if kernel.has_processes() else None
    tables += [Place(f"pid {p.pid}", p.address, Type("struct", shape.size, shape.struct)) for p in processes if shape]
    tables += [Place(f"pipe {pa:#x}", pa, Type("struct", info.struct_sizes.get("pipe", 0), "pipe")) for pa in kernel.pipes()]
    for table in tables:
        for place, kind, owner in _inside(info, table, _DEEPEST, table.address):
            if place.address not in seen:
                seen.add(place.address)
                yield place, kind, owner


def _inside(info: DebugInfo, place: Place, depth: int, owner: int) -> Iterator[Tuple[Place, str, int]]:
    """The locks in a variable; the spinlock in a sleeplock is not told by itself."""
    kind = place.type
    if depth == 0 or not _has_lock(info, kind, depth):
        return
    if kind.kind == "array" and kind.element is not None:
        for i in range(min(kind.count, _MOST_ELEMENTS)):
            at = place.address + i * kind.element.size
            yield from _inside(info, Place(f"{place.path}[{i}]", at, kind.element), depth - 1, at)
    elif (lock := kind_of(info, kind.name)) is not None:
        yield place, lock, owner
    else:
        for name, field in info.structs.get(kind.name, {}).items():
            part = Place(f"{place.path}.{name}", place.address + field.offset, field.type)
            yield from _inside(info, part, depth - 1, place.address)


def _has_lock(info: DebugInfo, kind: Type, depth: int) -> bool:
    if kind.kind == "array" and kind.element is not None:
        return _has_lock(info, kind.element, depth)
    if kind.kind != "struct" or depth == 0:
        return False
    return kind_of(info, kind.name) is not None or any(
        _has_lock(info, f.type, depth - 1) for f in info.structs.get(kind.name, {}).values())
