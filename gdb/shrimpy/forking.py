"""Runs the machine through one fork and looks at it wherever something happens.

The stops are at functions' first instructions, where the ABI still has the
arguments in a0 to a4 however the kernel was optimised, and at fork's own lines.
Only the forking process stops the machine: its kernel stack tells it from others
that fork at the same time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import gdb

from . import changes, gdbinfo, stop, sv39
from .changes import Change
from .kernel import FUNCTION_NAMES
from .readers import PAGE, Reader
from .records import record
from .session import session
from .snapshot import Process, Snapshot

# Entered during a fork, by their usual names.
_WATCHED = ("allocproc", "proc_pagetable", "mappages", "uvmcopy", "uvmunmap", "freeproc")

# A kernel stack and the gap above it, as trees lay them out.
_STACK_BYTES = 2 * PAGE

_MAX_STOPS = 2000


class Interrupted(Exception):
    """The machine stopped for another reason than the fork."""


@record
class Step:
    """What was done, and what it changed in the parent or the child."""

    done: str
    changes: tuple[Change, ...]
    snapshot: Snapshot


class ForkWatch:
    """A context manager: breakpoints that go when it is left.

    `start` runs to the fork, `steps` through it; `parent` is the process that
    forks, `first` the snapshot at fork's first instruction.
    """

    def __init__(self) -> None:
        stop.require_stopped()
        self._info, _ = session.debuginfo()
        name = self._info.has_function(*FUNCTION_NAMES["fork"])
        if name is None:
            raise gdbinfo.NoKernel("this kernel has no function fork or kfork")
        self.function = name
        self.parent: Process
        self.first: Snapshot
        self._last: Snapshot
        self._child_at: int | None = None       # address of its struct proc
        self._child_pid: int | None = None
        self._root: int | None = None           # its table, before it is installed
        self._breakpoints: list[gdb.Breakpoint] = []
        self._reason: gdb.Event | None = None
        self._return: gdb.Breakpoint | None = None  # where fork's caller goes on

    def __enter__(self) -> ForkWatch:
        gdb.events.stop.connect(self._stopped)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        gdb.events.stop.disconnect(self._stopped)
        for breakpoint in self._breakpoints:
            if breakpoint.is_valid():
                breakpoint.delete()

    def start(self) -> None:
        """Runs until a process enters fork; from inside fork, does not run."""
        function = self._function(self.function)
        if self._info.function_at(_register("pc")) != self.function:
            entry = self._break_at(int(function.value().address), None)
            self._go()
            entry.delete()
        self.first = self._last = session.snapshot(walk_free=False)
        owner = self.first.process(self.first.stop.pid or 0)
        if owner is None or owner.kstack is None:
            raise Interrupted(f"{self.function} was entered, but by no process")
        self.parent = owner
        if _register("pc") == int(function.value().address):
            self._return = self._break_at(_register("ra"), owner.kstack)
        for line_at in _line_starts(function):
            self._break_at(line_at, owner.kstack)
        for usual in _WATCHED:
            name = self._info.has_function(*FUNCTION_NAMES[usual])
            if name is not None:
                self._break_at(self._address(name), owner.kstack)

    def steps(self) -> Iterator[Step]:
        """Each stop that finds something changed, until the child may run or
        fork returns."""
        doing = self._doing()
        for _ in range(_MAX_STOPS):
            self._go()
            self._learn_child()
            now = self._look()
            found = [c for c in changes.between(self._last, now)
                     if c.pid in (self.parent.pid, self._child_pid)]
            self._last = now
            if found:
                yield Step(doing, tuple(found), now)
            if self._over(now):
                return
            doing = self._doing()
        raise Interrupted(f"{self.function} did not end within {_MAX_STOPS} stops")

    def outcome(self) -> str:
        """How it ended, and what the two pages are then."""
        child = self._last.process(self._child_pid) if self._child_pid else None
        if child is None:
            return f"{self.function} made no child"
        layout = self._last.layout
        fry, shrimp = _frame(self._last.process(self.parent.pid), layout.fry), \
            _frame(child, layout.shrimp)
        if layout.fry is None or layout.shrimp is None:
            pages = "this kernel has no FRY and SHRIMP"
        elif fry == shrimp:
            pages = f"its SHRIMP is its parent's FRY, frame {fry}"
        else:
            pages = f"its SHRIMP is {shrimp}, but its parent's FRY is {fry}"
        return f"pid {child.pid} is {child.state}: {pages}"

    def _look(self) -> Snapshot:
        patch = {}
        if self._child_at is not None and self._root is not None:
            field = self._info.field("proc", "pagetable", "pgtbl")
            if field is not None:
                patch = {self._child_at + field.offset: self._root}
        if not patch:
            return session.snapshot(walk_free=False)
        return self._named(session.snapshot(walk_free=False, through=lambda r: _Patched(r, patch)))

    def _named(self, taken: Snapshot) -> Snapshot:
        """The child's pages called as the parent's at the same addresses, where
        its sz, which is set last, does not tell."""
        regions = {m.va: m.region for m in self.parent.mappings}

        def named(p: Process) -> Process:
            return dataclasses.replace(p, mappings=tuple(
                dataclasses.replace(m, region=regions.get(m.va, m.region))
                if m.region == "other" else m for m in p.mappings))
        return dataclasses.replace(taken, processes=tuple(
            named(p) if p.proc == self._child_at else p for p in taken.processes))

    def _learn_child(self) -> None:
        """Who the child is, from what the functions are given."""
        at = self._info.function_at(_register("pc"))
        if self._child_at is None and at in FUNCTION_NAMES["proc_pagetable"] \
                and _register("pc") == self._address(at):
            self._child_at = _register("a0")
            self._watch_state()
        if at == "mappages" and _register("pc") == self._address(at) \
                and self._child_at is not None:
            known = {p.root for p in self._last.processes} | {self._last.kernel_table.root}
            if _register("a0") not in known:
                self._root = _register("a0")
        if self._child_pid is None and self._child_at is not None:
            taken = session.snapshot(walk_free=False)
            self._child_pid = next((p.pid for p in taken.processes
                                    if p.proc == self._child_at), None)

    def _watch_state(self) -> None:
        field = self._info.field("proc", "state", "pstate")
        if field is not None:
            self._breakpoints.append(gdb.Breakpoint(
                f"*(int *){self._child_at + field.offset:#x}", gdb.BP_WATCHPOINT,
                gdb.WP_WRITE, internal=True))

    def _over(self, now: Snapshot) -> bool:
        child = now.process(self._child_pid) if self._child_pid else None
        if child is not None and child.state not in ("USED", "UNUSED"):
            return True
        return self._return in self._reason.breakpoints

    def _doing(self) -> str:
        """What the machine is about to do, in a person's words."""
        pc = _register("pc")
        at = self._info.function_at(pc)
        if at is None or at == self.function or pc != self._address(at):
            return f"{at or hex(pc)}, {_place(pc)}"
        call = at
        if at == "mappages":
            va, size, pa, perm = (_register(f"a{n}") for n in (1, 2, 3, 4))
            call += f"(va {va:#x}, {size} bytes, pa {pa:#x}, {sv39.flags_of(perm | sv39.V)[:6]})"
        back = _register("ra") - 1
        return f"{call} for {self._info.function_at(back)}, {_place(back)}"

    def _go(self) -> None:
        self._reason = None
        try:
            with _quiet():
                gdb.execute("continue", to_string=True)
        except gdb.error:
            if gdb.selected_thread() is not None:
                raise
        if gdb.selected_thread() is None:
            raise Interrupted("the machine ended before the fork was done")
        reason = self._reason
        ours = isinstance(reason, gdb.BreakpointEvent) \
            and any(b in self._breakpoints for b in reason.breakpoints)
        if not ours:
            raise Interrupted("stopped by something else before the fork was done")

    def _stopped(self, event: gdb.Event) -> None:
        self._reason = event

    def _break_at(self, address: int, stack: int | None) -> gdb.Breakpoint:
        made = _OnStack(address, stack)
        self._breakpoints.append(made)
        return made

    def _function(self, name: str) -> gdb.Symbol:
        objfile = gdbinfo.kernel_objfile()
        found = objfile.lookup_global_symbol(name) or objfile.lookup_static_symbol(name)
        if found is None:
            raise gdbinfo.NoKernel(f"no debugging information on {name}")
        return found

    def _address(self, name: str) -> int:
        return next(f.address for f in self._info.functions if f.name == name)


class _OnStack(gdb.Breakpoint):
    """Stops only who runs on one kernel stack; on any when that is None."""

    def __init__(self, address: int, stack: int | None) -> None:
        super().__init__(f"*{address:#x}", internal=True)
        self._stack = stack

    def stop(self) -> bool:
        return self._stack is None or 0 < _register("sp") - self._stack <= _STACK_BYTES


class _Patched(Reader):
    """Memory as it will be: some words replaced."""

    def __init__(self, below: Reader, words: dict[int, int]) -> None:
        super().__init__(below.ram)
        self.source = below.source
        self._below, self._words = below, words

    def first_words(self) -> bytes | None:
        return self._below.first_words()

    def _read(self, pa: int, n: int) -> bytes:
        data = bytearray(self._below.read(pa, n))
        for at, word in self._words.items():
            if pa <= at and at + 8 <= pa + n:
                data[at - pa:at - pa + 8] = word.to_bytes(8, "little")
        return bytes(data)


@contextmanager
def _quiet() -> Iterator[None]:
    """No "Thread 2 hit Breakpoint" for stops that are not the user's. GDB 11
    and older have no such setting, and say it."""
    name = "suppress-cli-notifications"
    try:
        before = gdb.parameter(name)
    except RuntimeError:
        yield
        return
    gdb.execute(f"set {name} on")
    try:
        yield
    finally:
        gdb.execute(f"set {name} {'on' if before else 'off'}")


def _line_starts(function: gdb.Symbol) -> list[int]:
    """Where each statement of a function begins."""
    start = int(function.value().address)
    block = gdb.block_for_pc(start)
    while block.function is None:
        block = block.superblock
    return sorted({entry.pc for entry in function.symtab.linetable()
                   if block.start < entry.pc < block.end})


def _frame(process: Process | None, va: int | None) -> str | None:
    found = next((m for m in process.mappings if m.va == va), None) if process else None
    return hex(found.pa) if found else None


def _place(pc: int) -> str:
    found = gdb.find_pc_line(pc)
    return f"{found.symtab.filename}:{found.line}" if found.symtab else hex(pc)


def _register(name: str) -> int:
    return int(gdb.newest_frame().read_register(name)) & (1 << 64) - 1
