"""The process that a fork makes: where it is, and what it looks like while it is made."""

from __future__ import annotations

import dataclasses

import gdb

from ..kernel import FUNCTION_NAMES, processes
from ..kernel.debuginfo import DebugInfo
from ..live.callstack import MAX_FRAMES, WORD, variables
from ..live.session import session
from ..memory.readers import PatchedReader
from ..snapshot import Process, Snapshot
from .events import UNBORN, Cast

_NO_STATE = 77
"""Stands for the state of a process that is being made, in kernels that have none."""


class Child:
    """at: the address of its struct proc, when that is known; root: its table before it is installed there, 0 when it is
    gone again; born: it has been RUNNABLE; state: the field of its struct proc, once the child is known."""

    def __init__(self, info: DebugInfo) -> None:
        self._info = info
        self.at: int | None = None
        self.root: int | None = None
        self.born = False
        self.state: processes.Place | None = None

    def find(self, cast: Cast, first: Snapshot, inside: gdb.Frame | None, function: str, parent: Process,
             only_one: bool = False) -> Process | None:
        """The child, from what proc_pagetable was given, or else: the process that was not there at `first` and has a frame
        that this fork took, or is the parent's child. inside: a frame of fork's, where that runs. only_one: or the only
        one that is being made at all."""
        there = {p.pid for p in first.processes}
        if self.at is None:
            self.at = self._in_allocproc(inside, function)
        now = self.look(parent)
        found = [p for p in now.processes if p.proc == self.at]
        if self.at is None:
            new = [p for p in now.processes if p.pid not in there and p.state in UNBORN]
            ours = {*cast.allocated, self.root} - {None, 0}
            found = [p for p in new if p.parent == cast.parent or p.trapframe in ours or p.root in ours]
            if only_one and not found and len(new) == 1:
                found = new
        if len(found) != 1 or not found[0].pid:
            return None
        self.at = found[0].proc
        self.state = self.field("state")
        return found[0]

    def field(self, name: str) -> processes.Place | None:
        """A field of this kernel's struct of processes, by its name in `processes.NAMES`."""
        kind = processes.shape(self._info)
        return kind.direct(name) if kind else None

    def state_now(self) -> bytes:
        """What its state is in memory."""
        assert self.at is not None and self.state is not None, "the child is known"
        return bytes(gdb.selected_inferior().read_memory(self.at + self.state.offset, self.state.type.size))

    def look(self, parent: Process, walk_free: bool = False, root: int | None = None) -> Snapshot:
        """The machine, the child with its table before the kernel has installed it, or with another, root."""
        root = self.root if root is None else root
        patch: dict[int, tuple[int, int]] = {}
        if self.at is not None:
            field = self.field("root")
            if field is not None and root is not None:
                patch[self.at + field.offset] = root, 8
            state = self.field("state")
            if state is not None and not self.born and "USED" not in processes.states(self._info).values():
                at = self.at + state.offset
                with session.memory() as reader:
                    if not any(reader.read(at, state.type.size)):       # UNUSED until it is RUNNABLE
                        patch[at] = _NO_STATE, state.type.size
        if not patch:
            return session.snapshot(walk_free=walk_free)
        taken = session.snapshot(walk_free=walk_free, through=lambda r: PatchedReader(r, patch))
        return self._named(taken, parent) if not self.born else taken

    def _named(self, taken: Snapshot, parent: Process) -> Snapshot:
        """Its pages called as the parent's at the same addresses, where its sz, which is set last, does not tell; a state
        that this kernel has no name for called as others do."""
        regions = {m.va: m.region for m in parent.mappings}

        def named(p: Process) -> Process:
            state = "USED" if p.state == f"?{_NO_STATE}" else p.state
            return dataclasses.replace(p, state=state, mappings=tuple(
                dataclasses.replace(m, region=regions.get(m.va, m.region))
                if m.region == "other" else m for m in p.mappings))
        found = tuple(named(p) if p.proc == self.at else p for p in taken.processes)
        # A state that was never written, of a slot that nobody has taken.
        return dataclasses.replace(taken, processes=tuple(p for p in found if p.pid or p.proc != self.at))

    def _in_allocproc(self, frame: gdb.Frame | None, fork: str) -> int | None:
        """The struct proc that allocproc works on, where its variable can be seen; frame: the innermost."""
        kind = processes.shape(self._info)
        for _ in range(MAX_FRAMES):
            if frame is None or frame.name() == fork:
                return None
            if frame.name() in FUNCTION_NAMES["allocproc"]:
                break
            frame = frame.older()
        if frame is None or kind is None:
            return None
        there = processes.table(self._info, kind)
        for variable in variables(frame):
            target = variable.type.strip_typedefs()
            if target.code == gdb.TYPE_CODE_PTR and target.target().strip_typedefs().tag == kind.struct:
                value = variable.value(frame)
                at = None if value.is_optimized_out else int(value) & WORD
                if at and (there is None or 0 <= at - there.address < there.count * kind.size):
                    return at
        return None
