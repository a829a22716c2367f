"""Where shrimp-step stops the machine, and whether who comes there is worth it.

A point knows its place and when it can matter; what it must know of the
stepping, it asks its Owner.
"""

from __future__ import annotations

from typing import Protocol

import gdb

from ..kernel import stacks
from ..live.callstack import is_on, register
from .events import Cast

FORK, EXEC, EXIT, WAIT = "fork", "exec", "exit", "wait"
"""The parts that a kernel stack can play."""

LIFE = (EXEC, EXIT, "shmat", "shmdt")
"""What the child calls that is told of its life, by usual names."""

WATCHED = {
    FORK: ("kalloc", "kfree", "mappages", "uvmcopy", "uvmunmap", "uvmfree", "proc_pagetable"),
    EXEC: ("mappages",),
    WAIT: ("kfree", "uvmunmap", "uvmfree"),
}
"""What is stopped at, by their usual names, on a stack that plays that part."""


class Owner(Protocol):
    """What points ask of whom they belong to. child_stack: its kernel stack; hindrance: set when a hit could not be judged."""

    cast: Cast
    child_stack: int | None
    hindrance: str | None

    @property
    def born(self) -> bool:
        """Whether the child has been RUNNABLE."""

    def wanted(self, usual: str) -> bool:
        """Whether the selected thread, at the first instruction of that function, is to be stopped."""

    def state_written(self) -> bool:
        """Whether the child's state is another than at the last stop."""


class Point:
    """A place where the machine is to stop, and GDB's breakpoint there while it
    is armed: what is not needed is not there at all, and costs nothing."""

    def __init__(self, owner: Owner, address: int) -> None:
        self.owner, self.address = owner, address
        self.live: gdb.Breakpoint | None = None

    def wants(self) -> bool:
        """Whether the selected thread, which is there, is to be stopped."""
        raise NotImplementedError

    def needed(self, parts: set[str]) -> bool:
        """Whether it can matter now. parts: those of the stacks on which nothing folded runs."""
        return True

    def arm(self, on: bool) -> None:
        if on and self.live is None:
            self.live = self.make()
        elif not on and self.live is not None:
            live, self.live = self.live, None
            if live.is_valid():
                live.delete()

    def make(self) -> gdb.Breakpoint:
        return _Breakpoint(self)


class _Breakpoint(gdb.Breakpoint):
    """GDB's side of a point."""

    def __init__(self, point: Point) -> None:
        super().__init__(f"*{point.address:#x}", internal=True)
        self.silent = True
        self.point = point

    def stop(self) -> bool:
        # GDB stops for an error in here, and takes it for a hit.
        owner = self.point.owner
        try:
            return self.point.wants() or owner.state_written()
        except (KeyboardInterrupt, gdb.error) as error:
            owner.hindrance = "Ctrl-C" if isinstance(error, KeyboardInterrupt) else str(error)
            return True


class OnStack(Point):
    """Who runs on one kernel stack; on any when that is None."""

    def __init__(self, owner: Owner, address: int, stack: int | None) -> None:
        super().__init__(owner, address)
        self.stack = stack

    def wants(self) -> bool:
        return self.stack is None or is_on(self.stack)


class Line(OnStack):
    """A line of fork's."""

    def needed(self, parts: set[str]) -> bool:
        return FORK in parts


class Return(Point):
    """Where a call that was entered with `sp` returns to."""

    def __init__(self, owner: Owner, address: int, sp: int) -> None:
        super().__init__(owner, address)
        self.sp = sp

    def wants(self) -> bool:
        return register("sp") == self.sp


class Entry(Point):
    """A watched function's first instruction."""

    def __init__(self, owner: Owner, address: int, usual: str, name: str) -> None:
        super().__init__(owner, address)
        self.usual, self.name = usual, name

    def wants(self) -> bool:
        return self.owner.wanted(self.usual)

    def needed(self, parts: set[str]) -> bool:
        return any(self.usual in WATCHED.get(part, ()) for part in parts)


class LifeEntry(Entry):
    """The first instruction of one of LIFE, for the child."""

    def wants(self) -> bool:
        stack = self.owner.child_stack
        return stack is not None and is_on(stack)

    def needed(self, parts: set[str]) -> bool:
        return EXIT not in parts and not self.owner.cast.ending


class Store(Point):
    """Behind an instruction that writes a field of some struct proc: of the child's, if a register has its address.
    register: the number of that one; value: what it then holds."""

    def __init__(self, owner: Owner, address: int, register: int, value: int) -> None:
        super().__init__(owner, address)
        self.register, self.value = stacks.REGISTERS[register], value

    def wants(self) -> bool:
        return register(self.register) == self.value


class StateStore(Store):
    """The child's state: who schedules it is not what is told."""

    def needed(self, parts: set[str]) -> bool:
        return not self.owner.born or self.owner.cast.ending or EXIT in parts
