"""Who stored what in some bytes of memory, in a recorded run."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ..kernel import Kernel, Proc
from ..kernel.cnames import SYSTEM_CALL
from ..kernel.debuginfo import DebugInfo
from ..kernel.stacks import Unwinder
from ..live.callstack import place_at
from ..memory import sv39
from ..memory.readers import PAGE, Reader, ReadError
from ..snapshot.model import Place
from .aside import Aside, Look

_FEW = 64       # stores that are looked at when the run comes to them; of most after them it is noted where they are
_MANY = 512     # stores: the last of more is found sooner from the end
_PER_LOOK = 1 << 20     # instructions that are run again in about the time of a look: who is looked at now is not gone back to
_AT_ONCE = 8    # noted stores that one machine looks at, or as many as take no longer than its way to them
_MOST_BACK = 32     # stores that are looked at, from the last one on
_LONGEST_STRING = 40
_STRINGS = {"exec": (0,), "open": (0,), "mknod": (0,), "unlink": (0,), "link": (0, 1), "mkdir": (0,), "chdir": (0,)}
_N_ARGUMENTS = {"fork": 0, "wait": 1, "pipe": 1, "read": 3, "exec": 2, "fstat": 2, "getpid": 0, "uptime": 0, "open": 2, "write": 3,
                "mknod": 3, "link": 2}      # of xv6's system calls; of others the first is told


class Store(NamedTuple):
    """at: how many instructions were executed before; old, new: the value before and after; calls: where it was and who
    called, innermost first; pid, name: of the process that the hart ran, or None; system_call: that it was in, or None."""

    at: int
    old: int
    new: int
    calls: tuple[Place, ...]
    pid: int | None
    name: str | None
    system_call: str | None


class History(NamedTuple):
    """stores: oldest first; unseen: pairs (the number of the instruction after which, before which) the value became another
    by no store of the kernel's to this address: by a user program or a device; same: the last store of the value that was there, if
    that is known."""

    stores: tuple[Store, ...]
    unseen: tuple[tuple[int, int], ...]
    same: Store | None = None


class Bytes(NamedTuple):
    """Some bytes of RAM that the kernel stores to at their physical address: of a page table, or of a variable."""

    pa: int
    size: int

    @property
    def point(self) -> str:
        """The watchpoint on them."""
        return f"2,{self.pa:x},{self.size:x}"

    def value(self, reader: Reader) -> int:
        """Raises ReadError."""
        return int.from_bytes(reader.read(self.pa, self.size), "little")


def last(what: Bytes, info: DebugInfo, now: int, wanted: Callable[[Store], bool] = lambda store: True) -> History:
    """The last store that changed it before an instruction, `now`, and is wanted. It may be missing where one that is not wanted,
    or changes nothing, is made again and again."""
    with Aside() as machine:
        return _last(machine, _all(machine, [what], info, now)[what], info, now, wanted)


def all_of(what: Bytes, info: DebugInfo, now: int) -> History:
    """Each store that changed it before an instruction, `now`."""
    with Aside() as machine:
        return _all(machine, [what], info, now, math.inf)[what].history(now)


def few(some: Iterable[Bytes], info: DebugInfo, now: int) -> dict[Bytes, History | None]:
    """Each store that changed one of them before an instruction, `now`; None for those with very many."""
    with Aside() as machine:
        return {what: None if one.n_stores > _FEW else one.history(now) for what, one in _all(machine, some, info, now).items()}


def lasts(machine: Aside, some: Iterable[tuple[Bytes, int, Callable[[Store], bool]]], info: DebugInfo) -> Iterator[History]:
    """last() of each, (bytes, now, wanted), all on one way through the run as far as their stores are few."""
    some = list(some)
    passed = _all(machine, {what for what, _, _ in some}, info, max((now for _, now, _ in some), default=0))
    for what, now, wanted in some:
        yield _last(machine, passed[what], info, now, wanted)


def firsts(machine: Aside, some: Iterable[Bytes], start: int, end: int, info: DebugInfo) -> dict[Bytes, Store]:
    """Of each the first store between two instructions that changed it, oldest first; nothing of one that none did."""
    machine.seek(start)
    left, found = set(some), dict[Bytes, Store]()
    while left and (address := machine.next([what.point for what in left], end)) is not None:
        what = _that_has(address, left)
        store = _store(machine, what, info)
        if store.old != store.new:
            found[what] = store
            left.remove(what)
    return found


def _all(machine: Aside, some: Iterable[Bytes], info: DebugInfo, now: int, few: float = _FEW) -> dict[Bytes, _Passed]:
    """What a machine passes on its way to an instruction. few: after so many stores of one it is only noted where they are, unless the
    way back there would be longer than a look."""
    machine.seek(0)
    reader = machine.look()[1]
    found = {what: _Passed(what, what.value(reader)) for what in some}
    here = 0
    while left := [one for one in found.values() if not one.is_left]:
        enough = max(few, here // _PER_LOOK)
        points, passed = ([one.what.point for one in left if (one.n_stores < enough) == is_few] for is_few in (True, False))
        address, goes_on, noted = machine.next_noting(points, passed, now)
        for one in noted:
            found[_that_has(one.address, found)].note(one.at, one.old, one.new)
            here = one.at
        if address is not None:
            what = _that_has(address, found)
            store = _store(machine, what, info)
            found[what].add(store)
            here = store.at
        elif not goes_on:
            break
    reader = machine.look()[1]
    for what in found:
        found[what].end = what.value(reader)
    return found


def _that_has(address: int, some: Iterable[Bytes]) -> Bytes:
    """The bytes that a watched address is in."""
    return next(one for one in some if one.pa <= address < one.pa + one.size)


def _last(machine: Aside, passed: _Passed, info: DebugInfo, now: int, wanted: Callable[[Store], bool]) -> History:
    if passed.is_left:
        return _last_from_the_end(machine, passed.what, info, now, wanted)
    looked_at = tuple(one for one in passed.stores if one.at < now and wanted(one))[-1:]
    since = looked_at[-1].at if looked_at else -1
    noted = [at for at in passed.noted if since < at < now][-_MOST_BACK:]
    while noted:
        at_once = max(_AT_ONCE, noted[-1] // _PER_LOOK)
        some, noted = noted[-at_once:], noted[:-at_once]
        if not all(at in passed.seen for at in some):
            machine.seek(some[0])
            while machine.next([passed.what.point], some[-1] + 1) is not None:
                store = _store(machine, passed.what, info)
                passed.seen[store.at] = store
        found = [passed.seen[at] for at in some if wanted(passed.seen[at])]
        if found:
            return History((found[-1],), passed.unseen_after(found[-1].at, now))
    return History(looked_at, passed.unseen_after(since, now), passed.same)


def _last_from_the_end(machine: Aside, what: Bytes, info: DebugInfo, now: int, wanted: Callable[[Store], bool]) -> History:
    machine.seek(now)
    value = what.value(machine.look()[1])
    before = now
    unseen: tuple[tuple[int, int], ...] = ()
    for _ in range(_MOST_BACK):
        found = machine.last(what.point, before)
        if found is None:
            break
        machine.seek(found)
        machine.next([what.point], found + 1)     # an interrupt may be due there
        store = _store(machine, what, info)
        if before == now and store.new != value:
            unseen = ((found, now),)
        if store.old != store.new and wanted(store):
            return History((store,), unseen)
        before = found
    return History((), unseen)


class _Passed:
    """What was stored in some bytes so far. value: what they were at first; end: what they are where the machine stands at last.

    stores: those that were looked at, each of which changed it; noted: the places of the others; seen: those of them that have been
    looked at since, by their places; same: the last of the value
    that was there; is_left: there are too many
    """

    def __init__(self, what: Bytes, value: int) -> None:
        self.what, self.end = what, value
        self.stores: list[Store] = []
        self.noted: list[int] = []
        self.seen: dict[int, Store] = {}
        self.same: Store | None = None
        self.n_stores, self._n_noted, self._value, self._at = 0, 0, value, 0
        self._unseen: list[tuple[int, int]] = []

    @property
    def is_left(self) -> bool:
        return self._n_noted > _MANY

    def add(self, store: Store) -> None:
        self._pass(store.at, store.old, store.new)
        if store.old != store.new:
            self.stores.append(store)
        else:
            self.same = store

    def note(self, at: int, old: int, new: int) -> None:
        self._pass(at, old, new)
        self._n_noted += 1
        if old != new:
            self.noted.append(at)

    def _pass(self, at: int, old: int, new: int) -> None:
        self.n_stores += 1
        if old != self._value:
            self._unseen.append((self._at, at))
        self._at, self._value = at, new

    def unseen_after(self, at: int, now: int) -> tuple[tuple[int, int], ...]:
        """What was changed unseen after an instruction."""
        last = [(self._at, now)] if self.end != self._value else []
        return tuple(one for one in (*self._unseen, *last) if one[1] > at)

    def history(self, now: int) -> History:
        """Of all that was looked at."""
        return History(tuple(self.stores), self.unseen_after(-1, now), self.same)


def _store(machine: Aside, what: Bytes, info: DebugInfo) -> Store:
    """What the machine is about to do; afterwards it is done."""
    look, reader = machine.look()
    old = what.value(reader)
    calls, process, system_call = _who(look, reader, info)
    machine.step()
    new = what.value(reader)
    return Store(look.at, old, new, calls, process and process.pid, process and process.name, system_call)


def _who(look: Look, reader: Reader, info: DebugInfo) -> tuple[tuple[Place, ...], Proc | None, str | None]:
    kernel = Kernel(reader, info)
    process = kernel.running(0)
    roots = (kernel.root(), *(kernel.tables_beside(process) if process else ()))

    @functools.cache
    def page_at(va: int) -> tuple[int, int] | None:
        return sv39.first_place(reader, roots, va)

    def stack_at(va: int) -> tuple[int, int] | None:
        base, end = reader.ram
        if base <= va < end:        # where the kernel's data is, and its first stack
            return va, end - va
        page = page_at(va & -PAGE)
        return page and (page[0] + va % PAGE, PAGE - va % PAGE)

    stack = Unwinder(reader, info, stack_at).follow(look.pc, look.registers, True)
    calls = tuple(place for frame in stack.frames for place in place_at(frame.pc if frame.exact else frame.pc - 1))
    names = [place.function for place in calls]
    if process is None or SYSTEM_CALL not in names:
        return calls, process, None
    return calls, process, _system_call(names, process, reader, info)


def _system_call(names: list[str | None], process: Proc, reader: Reader, info: DebugInfo) -> str | None:
    """The system call whose function is on the stack, with its arguments as user code gave them."""
    function = next((name for name in reversed(names[:names.index(SYSTEM_CALL)]) if name and name.startswith("sys_")), None)
    if function is None:
        return None
    name = function[len("sys_"):]
    arguments = []
    for number in range(_N_ARGUMENTS.get(name, 1)):
        field = info.field("trapframe", f"a{number}")
        if field is None:
            break
        try:
            value = int.from_bytes(reader.read(process.trapframe + field.offset, 8), "little")
        except ReadError:
            break
        said = _string(reader, process.root, value) if number in _STRINGS.get(name, ()) else None
        arguments.append(str(value) if value < 1024 else hex(value) if said is None else said)
    return f"{name}({', '.join(arguments)})"


def _string(reader: Reader, root: int, va: int) -> str | None:
    """The C string in a process's memory, quoted and cut; None where there is none."""
    data = b"".join(_page_from(reader, root, at) for at in (va, (va + PAGE) & -PAGE))
    text, found, _ = data[:_LONGEST_STRING].partition(b"\0")
    return f'"{text.decode("ascii", "replace")}"' if found else None


def _page_from(reader: Reader, root: int, va: int) -> bytes:
    pa = sv39.translate(reader, root, va).pa
    try:
        return reader.read(pa, PAGE - va % PAGE) if pa is not None else b""
    except ReadError:
        return b""


def newest_first(history: History) -> Iterator[Store | tuple[int, int]]:
    """The stores, and the pairs of what was not seen, as they lie between."""
    both: list[Store | tuple[int, int]] = [*history.stores, *history.unseen]
    return iter(sorted(both, key=lambda one: 2 * one.at + 1 if isinstance(one, Store) else 2 * one[1], reverse=True))
