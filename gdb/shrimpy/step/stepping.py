"""Runs the machine through one fork, from one thing that happens to the next,
and if asked through the child's exec, exit and its parent's wait.

The stops are at functions' first instructions, where the ABI still has the
arguments in a0 to a4 however the kernel was optimised, at their returns, at
fork's own lines, and where the child's state is written. Only who runs on the
kernel stack of the parent, of the child or of whoever buries it stops the
machine: others may fork at the same time. Between two steps no breakpoint is
there: whatever the person types runs as if nobody stepped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import gdb

from ..kernel import FUNCTION_NAMES, gdbinfo, stacks
from ..live import recording, stop
from ..live.callstack import (
    MAX_FRAMES, STACK_BYTES, WORD, callers, is_on, line_starts, place, register, select_frame, string)
from ..live.session import session
from ..memory.riscv import signed
from ..show import story
from ..snapshot import Process, Snapshot, changes
from ..snapshot.model import Place
from .breakpoints import EXEC, EXIT, FORK, LIFE, WAIT, WATCHED, Entry, LifeEntry, Line, OnStack, Return, StateStore, Store
from .child import Child
from .events import UNBORN, Cast, Event, Step, pairing
from .runner import Interrupted, Runner

_NOTHING_SEEN = ("line", "uvmcopy", "uvmunmap", "uvmfree", "state", "switch")
"""What is no step when nothing changed."""

_FOLDED = ("uvmcopy", "uvmunmap", "uvmfree")
"""Functions that are one step with all that they call."""

_MAX_STOPS = 20000
_MAX_COMPARED = 256     # pages of the image

# What a hart is in when an interrupt uses the stack of the process it interrupted.
_INTERRUPT = "kerneltrap"


class Stepping:
    """One fork, and while `life` is set, the life of its child.

    only: the process whose fork is waited for, or a name; None for any.
    every: a step for each page that uvmcopy copies; done: the one that came to its end before. `cast` says who plays,
    `first` is the machine at fork's first instruction, `over` that no step
    will follow; `unseen` are the functions that this kernel has not, or only
    inlined: what they do shows at fork's next line. `close` leaves nothing behind.
    """

    def __init__(self, only: Process | str | None, every: bool, life: bool, done: Stepping | None = None) -> None:
        stop.require_stopped()
        self._info, _ = session.debuginfo()
        name = self._info.has_function(*FUNCTION_NAMES["fork"])
        if name is None:
            raise gdbinfo.NoKernel(f"expected a function {' or '.join(FUNCTION_NAMES['fork'])} in {self._info.kernel}, "
                                   "found neither: there is no fork to step through")
        self.only, self.every, self.life, self._done = only, every, life, done
        self.function = name
        self.unseen = tuple(usual for usual in WATCHED[FORK] if self._info.has_function(usual) is None)
        self.over = False
        self.hindrance: str | None = None       # what kept a breakpoint from judging its hit
        self.n_steps = 0
        self.begun_at: int | None = None        # of a recording: the instructions before fork's first
        self.last: Step | None = None
        self.last_moves: int | None = None      # the session's, when that was
        self.parent: Process
        self._stack: int                        # its kernel stack
        self.first: Snapshot
        self.cast: Cast
        self._last: Snapshot
        self._run = Runner(self._info, self)
        self._child = Child(self._info)
        self.child_stack: int | None = None
        self._reaper: int | None = None         # the kernel stack of who buries it
        self._frames: frozenset[int] = frozenset()      # what it has when it is a zombie
        self._new: Process | None = None        # the child with the table that exec fills
        self._roles: dict[int, str] = {}        # kernel stack -> part
        self._calls: list[_Call] = []
        self._state_then = b""
        self._code: tuple[int, bytes] | None = None     # the kernel's, and where it begins
        self._switch: list[Store] = []          # where exec gives it another root table
        self._return: Return | None = None             # where fork's caller goes on
        self._line = Place()
        self._events: list[Event] = []
        self._untold: list[changes.Change] = []         # of the event that is told next

    # From outside

    def begin(self) -> Step:
        """Runs until the wanted process enters fork; from inside fork, does
        not run. The step is fork's beginning."""
        function = self._function(self.function)
        start = int(function.value().address)
        frame = self._frame_of(self.function) if self.only is None and not self._is_done() else None
        self._done = None
        if frame is None:
            stack = self.only.kstack if isinstance(self.only, Process) else None
            entry = self._run.add(OnStack(self, start, stack))
            with self._run.listening():
                while True:
                    self._arm()
                    self._run.go()
                    self._last = _plain()
                    owner = self._last.process(self._last.stop.pid or -1)
                    if not isinstance(self.only, str) or owner is not None and owner.name == self.only:
                        break
            self._run.remove(entry)
        else:
            self._last = _plain()
            owner = self._last.process(self._last.stop.pid or -1)
        if owner is None or owner.kstack is None:
            raise Interrupted(f"{self.function} was entered, but by no process")
        self.first, self.parent, self._stack = self._last, owner, owner.kstack
        self.cast = Cast(owner.pid, None, self.function)
        self._roles[owner.kstack] = FORK
        caller = frame.older() if frame is not None else None
        if frame is None:
            self._return = self._run.add(Return(self, register("ra"), register("sp")))
        elif caller is not None:
            self._return = self._run.add(Return(self, caller.pc(), int(caller.read_register("sp")) & WORD))
        for line_at in line_starts(function):
            self._run.add(Line(self, line_at, owner.kstack))
        for usual in dict.fromkeys(name for names in WATCHED.values() for name in names):
            name = self._info.has_function(*FUNCTION_NAMES.get(usual, (usual,)))
            if name is not None:
                self._run.add(Entry(self, self._address(name), usual, name))
        self._line = place(frame or gdb.newest_frame())
        if session.is_recording:
            self.begun_at = recording.when().at
        self._run.rest()
        return self._kept(Event("start", self.function, at=self._line, path=(self.function,)), self.first, self.first, ())

    def _is_done(self) -> bool:
        """Whether the hart still is in the fork that was stepped through last."""
        now = _plain()
        done = self._done
        then = done.last.snapshot if done is not None and done.last is not None else None
        return done is not None and then is not None and now.stop.pid == done.cast.parent and now.next_pid == then.next_pid \
            and now.process(done.cast.child) is not None

    def advance(self) -> Step | None:
        """Runs to the next thing that happens; None when nothing will any more.
        Raises Interrupted, and closes, when something else stopped the machine."""
        if self.over:
            return None
        if not self.still_there():
            raise Interrupted(f"the fork of pid {self.cast.parent} has gone on without shrimp-step")
        try:
            with self._run.listening():
                for _ in range(_MAX_STOPS):
                    while self._events:
                        step = self._step(self._events.pop(0))
                        if step is not None:
                            self._run.rest()
                            select_frame(step.at.function)
                            return step
                    if self.over:
                        return None
                    self._arm()
                    self._run.go()
                    self._events = self._seen()
        finally:
            self._run.rest()
        raise Interrupted(f"nothing happened in {_MAX_STOPS} stops")

    def still_there(self) -> bool:
        """Whether what is stepped through is where the last step left it, or
        only a few steps of the person's further."""
        thread = gdb.selected_thread()
        if thread is None or thread.is_running():
            return False
        if self._run.moves == session.moves():
            return True
        self._run.moves = session.moves()
        # The person moved the machine: returns may have been passed.
        for call in self._calls:
            self._run.remove(call.back)
        self._calls, self._events, self._untold = [], [], []
        try:
            if self._child.at is None:
                self._learn_child(only_one=True)
            if self._child.at is None:
                return self._frame_of(self.function) is not None \
                    and is_on(self._stack)
            child = self._child.look(self.parent).process(self.cast.child)
            return child is not None and child.proc == self._child.at \
                and (self.born or child.state in UNBORN)
        except Interrupted:
            return False

    def close(self) -> None:
        """No breakpoint stays, even while Ctrl-C is being hit."""
        self.over = True
        self._run.close()

    @property
    def born(self) -> bool:
        """Whether the child has been RUNNABLE."""
        return self._child.born

    def role(self) -> tuple[int, str] | None:
        """(kernel stack, its part) of the selected thread, if it has one."""
        sp = register("sp")
        return next(((stack, part) for stack, part in self._roles.items()
                     if 0 < sp - stack <= STACK_BYTES), None)

    def state_written(self) -> bool:
        """Whether the child's state is another than at the last stop, wherever it was written."""
        return self._child.state is not None and self._watched() and self._child.state_now() != self._state_then

    def _watched(self) -> bool:
        """Whether the child's state is told: not who schedules it."""
        return not self.born or self.cast.ending or EXIT in self._roles.values()

    def wanted(self, usual: str) -> bool:
        """Whether the selected thread, at the function's first instruction, is worth a stop."""
        found = self.role()
        if found is None or usual not in WATCHED.get(found[1], ()):
            return False
        inside = [call.usual for call in self._calls if call.stack == found[0]]
        if any(call.folded for call in self._calls if call.stack == found[0]):
            return False
        if "uvmcopy" in inside and usual != "mappages":
            return False
        if found[1] == EXEC:
            return register("a1") in self._special() and register("a0") != self._child_root()
        if found[1] == WAIT:
            return register("a0") in (self._frames if usual == "kfree" else (self._child_root(),))
        return True

    # What a stop means

    def _select(self, stacks_: Iterable[int]) -> None:
        """Shows the person the hart on which the first of those kernel stacks is that is on any."""
        for stack in stacks_:
            self._run.show(lambda: is_on(stack))
            if is_on(stack):
                return

    def _seen(self) -> list[Event]:
        """What happened at this stop; entries are noted and their returns awaited."""
        hit = self._run.hit()
        events = []
        elsewhere = False       # the state was written on another hart
        returned = next((call for call in self._calls if call.back in hit), None)
        if returned is not None:
            events.append(self._left(returned))
        if self.state_written():
            elsewhere = not any(isinstance(p, StateStore) for p in hit)
            if elsewhere:
                self._select(self._roles)
            events.append(self._at_store("state"))
            self._run.back()
        if any(p in self._switch for p in hit):
            events.append(self._at_store("switch"))
        for entry in hit:
            if isinstance(entry, Entry):
                events += self._entered(entry)
        if self._return is not None and self._return in hit:
            events.append(Event("return", self.function, result=signed(register("a0")),
                                at=self._line, path=(self.function,)))
            self._roles.pop(self._stack, None)
            if self._reaper == self._stack:      # the child was quicker
                self._roles[self._stack] = WAIT
            self._run.remove(self._return)
            self._return = None
        elif any(isinstance(p, Line) for p in hit):
            events.append(Event("line", self.function, at=self._line, path=(self.function,)))
        if self._info.function_at(register("pc")) == self.function and self.role():
            self._line = place(gdb.newest_frame())
        if elsewhere:
            self._select(self._roles)
        return [e for e in events if e is not None]

    def _entered(self, entry: Entry) -> list[Event]:
        args = tuple(register(f"a{n}") for n in range(5))
        stack, part = self.role() or (self.child_stack or 0, EXEC)
        usual = entry.usual
        if usual == "proc_pagetable":
            if self._child.at is None:
                self._child.at = args[0]
            return []
        path, at = callers(entry.address)
        if usual == EXIT:
            self._roles[stack] = EXIT
            return [Event(EXIT, entry.name, args, at=at, path=path)]
        call = _Call(usual, entry.name, args, stack, at, path,
                     usual in _FOLDED and not (self.every and usual == "uvmcopy"))
        if usual == "kalloc" and _INTERRUPT in path:
            return []
        call.back = self._run.add(Return(self, register("ra"), register("sp")))
        self._calls.append(call)
        if usual == EXEC:
            self._roles[stack] = EXEC
            self._new = None
            self._switch = self._stores(Store, "root")
            return [Event(EXEC, entry.name, args, at=at, path=path, text=string(args[0]))]
        if usual == "mappages" and part == FORK and self._child.root is None:
            known = {p.root for p in self._last.processes} | {self._last.kernel_table.root}
            if args[0] not in known:
                self._child.root = args[0]
        return []

    def _left(self, call: _Call) -> Event | None:
        self._calls.remove(call)
        self._run.remove(call.back)
        result = signed(register("a0"))
        if call.usual == "kalloc":
            if result:
                self.cast = dataclasses.replace(self.cast, allocated=self.cast.allocated + (result,))
        if call.usual == "kfree" and self._roles.get(call.stack) == FORK:
            self.cast = dataclasses.replace(self.cast, freed=self.cast.freed + (call.args[0],))
        if call.usual == "uvmfree" and call.args[0] in (self._child.root, self._child_root()):
            self._child.root = 0
        if call.usual == EXEC:
            self._roles.pop(call.stack, None)
            for store in self._switch:
                self._run.remove(store)
            self._switch = []
            return Event("execed", call.name, call.args, signed(result, 32), call.at, call.path)
        over = next((c for c in self._calls if c.stack == call.stack and c.usual == "mappages"), None)
        return Event(call.usual, call.name, call.args,
                     result if call.usual in ("kalloc", "shmat") else signed(result, 32), call.at, call.path,
                     within=over.args[1] if over and call.usual == "kalloc" else None)

    def _at_store(self, kind: str) -> Event:
        path, _ = callers(None)
        return Event(kind, path[-1] if path else "", at=place(gdb.newest_frame(), before=True), path=path)

    def _step(self, event: Event) -> Step | None:
        """The step that an event is; None when nothing changed that is seen."""
        self._learn_child()
        if event.kind == "return" and (event.result or 0) > 0 and self.cast.child is None:
            self.cast = dataclasses.replace(self.cast, child=event.result)
        whole = event.kind == "return" and event.result is not None and event.result < 0
        now = self._child.look(self.parent, whole)
        before, self._last = self._last, now
        pids = (self.cast.parent, self.cast.child)
        if self._roles.get(self.child_stack or -1) == EXEC and event.kind == "mappages":
            return self._step_of_exec(event, now)
        found = self._untold + [c for c in changes.between(before, now)
                                if c.pid in pids and (c.what, c.pid) != ("state", self.cast.parent)]
        early = self._written_before(event, found)
        self._untold = [c for c in found if c not in early] if early else []
        if early:
            self._events.insert(0, event)
            event, found = Event("line", self.function, at=self._line, path=(self.function,)), early
        if self.born and not self.cast.ending:
            self._note_end(now)
        if self.born and not self.cast.ending:     # who runs where is not what is told
            found = [c for c in found if c.what != "state"]
        if event.kind == "uvmcopy":
            self._note_copied(now)
        failed = event.kind in ("kalloc", "mappages", "uvmcopy") and _failed(event)
        if failed and not self.born:
            self.cast = dataclasses.replace(self.cast, failing=True)
        if not found and not failed and event.kind in _NOTHING_SEEN:
            return None
        if event.kind == "uvmcopy":
            compared, equal = self._compared(now)
            event = dataclasses.replace(event, compared=compared, equal=equal)
        step = self._kept(event, before, now, found)
        self._after(event, now)
        return step

    def _written_before(self, event: Event, found: list[changes.Change]) -> list[changes.Change]:
        """Those of the changes at an event that are a step before it: the child's FRY or SHRIMP, or what it inherits of segments, has
        been mapped where nothing could be stopped in, and on no line of its own."""
        child = self._last.process(self.cast.child)
        special = {self._last.layout.fry, self._last.layout.shrimp}
        special |= {m.va for m in child.mappings if m.region.startswith("shm:")} if child else set()
        mapped = [c for c in found if c.pid == self.cast.child and (c.what == "pte" and c.va in special or c.what == "attachment")]
        return [] if event.kind not in ("kalloc", "uvmcopy") or not mapped else found if event.kind == "kalloc" else mapped

    def _step_of_exec(self, event: Event, now: Snapshot) -> Step:
        """One entry of the table that exec fills, while the child still has the old one."""
        filled = self._child.look(self.parent, root=event.args[0])
        child = filled.process(self.cast.child)
        assert child is not None, "it is in exec"
        bare = self._new or dataclasses.replace(child, root=None, tables=(), mappings=())
        self._new = child
        found = [c for c in changes.of_process(bare, child) if c.what in ("pte", "table")]
        event = dataclasses.replace(event, beside=True)
        step = self._kept(event, now, filled, found)
        self.last = dataclasses.replace(step, title=f"exec: {step.title}"[:60], snapshot=now,
                                        pairing=pairing(now, self.cast))
        return self.last

    def _note_copied(self, now: Snapshot) -> None:
        """The frames that uvmcopy took count as fork's."""
        child = now.process(self.cast.child) if self.cast.child is not None else None
        if child is not None:
            known = {m.pa for m in self.parent.mappings} | set(self.cast.allocated)
            taken = {m.pa for m in child.mappings} | {t.pa for t in child.tables}
            self.cast = dataclasses.replace(self.cast, allocated=self.cast.allocated + tuple(sorted(taken - known)))

    def _compared(self, now: Snapshot) -> tuple[int, int]:
        """How many of the child's pages were compared with its parent's, and how many are equal."""
        parent, child = now.process(self.cast.parent), now.process(self.cast.child)
        theirs = {m.va: m.pa for m in parent.mappings if m.level == 0} if parent else {}
        pairs = [(m.pa, theirs[m.va]) for m in child.mappings if theirs.get(m.va, m.pa) != m.pa
                 and m.level == 0 and m.va not in self._special()][:_MAX_COMPARED] if child else []
        with session.memory() as reader:
            return len(pairs), sum(reader.page(a) == reader.page(b) for a, b in pairs)

    def _kept(self, event: Event, before: Snapshot, now: Snapshot, found: tuple | list) -> Step:
        self.n_steps += 1
        self.last = story.tell(event, dataclasses.replace(self.cast, draft=self._child.root), before, now, found)
        self.last_moves = session.moves()
        return self.last

    def _after(self, event: Event, now: Snapshot) -> None:
        """What comes next, once a step was told."""
        child = now.process(self.cast.child) if self.cast.child is not None else None
        if event.kind == "return" and not self.born and (child is None or child.state in UNBORN):
            self.over = True
        elif child is not None and not self.born and child.state not in UNBORN:
            self._child.born = True
            self._child.root = None
            if not self.life:
                self.over = True
                return
            self.child_stack = child.kstack
            for usual in LIFE:
                name = self._info.has_function(*FUNCTION_NAMES[usual])
                if name is not None:
                    self._run.add(LifeEntry(self, self._address(name), usual, name))
        elif child is None and self.born:
            self.over = True

    def _note_end(self, now: Snapshot) -> None:
        """From here on the child is dead, and who takes its memory apart plays
        a part: its parent, or who does it already."""
        child = now.process(self.cast.child)
        if child is None or child.state not in (*UNBORN, "ZOMBIE"):
            return
        self.cast = dataclasses.replace(self.cast, ending=True)
        self._frames = frozenset([m.pa for m in child.mappings] + [t.pa for t in child.tables]
                                 + [child.trapframe or 0])
        self._roles.pop(child.kstack or -1, None)
        reaper = now.process(child.parent if child.parent is not None else now.stop.pid or -1)
        if reaper is None or reaper.kstack is None:
            self.over = True
        else:
            self._reaper = reaper.kstack
            self._roles.setdefault(self._reaper, WAIT)

    # Who the child is, and what it looks like

    def _learn_child(self, only_one: bool = False) -> None:
        """Who the child is, where that can be told."""
        if self.cast.child is not None:
            return
        frame = gdb.newest_frame() if self._roles.get((self.role() or (-1, ""))[0]) == FORK else None
        found = self._child.find(self.cast, self.first, frame, self.function, self.parent, only_one)
        if found is not None:
            self.cast = dataclasses.replace(self.cast, child=found.pid)
            self._stores(StateStore, "state")

    def _child_root(self) -> int | None:
        child = self._last.process(self.cast.child) if self.cast.child is not None else None
        return child.root if child else None

    def _special(self) -> tuple:
        layout = self._last.layout
        return layout.trampoline, layout.trapframe, layout.fry, layout.shrimp

    # Breakpoints

    def _stores(self, kind: type[Store], name: str) -> list[Store]:
        """Points behind all instructions that may write a field of the child's struct proc.

        No watchpoint: when two harts stop at once, QEMU tells of one. That the other wrote to what is watched it tells when
        that hart stops next, be it at a breakpoint, which GDB then steps over; and if the watchpoint has been taken away
        meanwhile, QEMU (7.2) reads what it has freed, and may give the kernel a breakpoint exception."""
        field = self._child.field(name)
        if field is None or self._child.at is None:
            return []
        if self._code is None:
            self._code = gdbinfo.code(self._info)
        start, code = self._code
        return [self._run.add(kind(self, start + behind, base, self._child.at + field.offset - offset))
                for behind, base, offset, size in stacks.stores(code) if (offset, size) == (field.offset, field.type.size)]

    def _arm(self) -> None:
        folded = {c.stack for c in self._calls if c.folded}
        self._run.arm({part for stack, part in self._roles.items() if stack not in folded})
        if self._child.state is not None and self._watched():
            self._state_then = self._child.state_now()

    # Where

    def _frame_of(self, function: str) -> gdb.Frame | None:
        """The frame of a function on the selected thread's stack, unless the
        thread is in user mode."""
        frame: gdb.Frame | None = gdb.newest_frame()
        if self._info.function_at(register("pc")) is None:
            return None
        for _ in range(MAX_FRAMES):
            if frame is None:
                return None
            if frame.name() == function and frame.type() != gdb.INLINE_FRAME:
                return frame
            frame = frame.older()
        return None

    def _function(self, name: str) -> gdb.Symbol:
        objfile = gdbinfo.kernel_objfile()
        found = objfile.lookup_global_symbol(name) or objfile.lookup_static_symbol(name)
        if found is None:
            raise gdbinfo.NoKernel(f"no debugging information on {name}")
        return found

    def _address(self, name: str) -> int:
        return next(f.address for f in self._info.functions if f.name == name)


class _Call:
    """A call that is not over: `back` stops where it returns to."""

    def __init__(self, usual: str, name: str, args: tuple[int, ...], stack: int, at: Place,
                 path: tuple[str, ...], folded: bool) -> None:
        self.usual, self.name, self.args, self.stack = usual, name, args, stack
        self.at, self.path, self.folded = at, path, folded
        self.back: Return


def _failed(event: Event) -> bool:
    """Whether a function says that there was no memory."""
    return not event.result if event.kind == "kalloc" else (event.result or 0) < 0


def _plain() -> Snapshot:
    return session.snapshot(walk_free=False)
