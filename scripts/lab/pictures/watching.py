"""A machine that runs, watched through the file that its RAM is in, for a page that follows it.

The machine knows nothing of it. What is read while it runs may be half of a change: a picture is believed when two in a row agree,
and a failure when it stands in two such pairs.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, thread_time
from typing import TypeVar

from shrimpy import snapshot
from shrimpy.memory.elf import Elf, ElfError
from shrimpy.memory.readers import RamFileReader, ReadError
from shrimpy.memory.unchanged import UnchangedReader
from shrimpy.rules import Verdict
from shrimpy.snapshot import Snapshot, Stop
from shrimpy.snapshot.index import Index

from .. import ROOT, Trouble, printable
from ..machines import debugger
from ..machines.kernelram import KernelRam
from ..machines.known import Known, known
from ..machines.panics import harts_of
from ..machines.qmp import Gone, Qmp
from ..machines.rundir import Note, running, started_at

sys.path.append(str(ROOT / "viz"))

from drawing.model import kit                           # noqa: E402
from drawing.model.errors import VizError               # noqa: E402
from drawing.page.board import Board                    # noqa: E402
from drawing.page.parts import Scribe, encoded          # noqa: E402
from drawing.page.server import Server                  # noqa: E402

_PERIOD_S = 0.03        # between two pictures; what a busy host adds leaves 30 a second
_LOOK_S = 1.0           # between two looks at a machine that no page follows
_LOOKS_FOR_ANOTHER = 3  # when a machine is gone
_HARTS_S = 0.5          # between two questions where the harts of a running machine are
_READINGS = 3           # for one picture, until two agree
_GAVE_UP = 8            # pictures without two that agree, one after the other: then it is said
_BEHIND_S = 0.3         # of time that pictures may catch up after a busy host gave them none
_MONITOR_S = 5.0
_TAIL_BYTES, _TAIL_LINES = 4096, 16
_MOST_PRINTED = 1 << 20     # bytes of the console's file, which is in memory where RAM is: then it is emptied
_SAME_BYTES = 4096      # of the kernel's code, by which it is recognised

_UNKNOWN = Stop(hart=None)

T = TypeVar("T")

_ENDED = {"says": "The machine has ended: this is what was seen last.", "over": True}     # no page asks then why nothing comes

MOVING = "The machine changes faster than it can be read: what stands here may be old. Pause is exact."


class Belief:
    """Which pictures of a running machine are shown."""

    def __init__(self) -> None:
        self._doubted: frozenset[object] = frozenset()      # failures of the agreeing pair before

    def holds(self, failures: tuple[Verdict, ...]) -> bool:
        """Whether a pair that agrees is to be shown: each of its failures stood in the agreeing pair before, too."""
        found = frozenset((v.rule, v.about, v.va, v.reason and v.reason.kind) for v in failures)
        before, self._doubted = self._doubted, found
        return found <= before


class Watcher:
    """Posts what it sees of a machine on a board, from a thread of its own, while pages follow.

    n_looks: how often it looked; n_judged: pictures of these that agreed with a second one, differed from what is shown, and were judged.
    """

    def __init__(self, note: Note, of_kernel: Known, board: Board) -> None:
        self._note, self._known, self._board = note, of_kernel, board
        self._reader = RamFileReader(note.ram)
        self._again = UnchangedReader(self._reader)
        self._names = KernelRam(Path(note.kernel), Path(note.ram))
        self._scribe, self._belief = Scribe(), Belief()
        self._monitor: Qmp | None = _monitor(note)
        self._asking = threading.Lock()     # one question at a time
        self._paused_here = False
        self._harts_s, self._rows = 0.0, ""
        self._known_s, self._runs = 0.0, False
        self._shown: tuple[Snapshot, bool] | None = None
        self._failures: tuple[Verdict, ...] = ()    # of what is shown
        self._n_moving = 0
        self._printed = b""                 # the end of what stood in the console's file before it was emptied
        self.n_looks = self.n_judged = 0
        self._over = threading.Event()
        self.ended = threading.Event()      # nothing more is to be seen of it
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._monitor:
            self._monitor.close()
        self._reader.close()
        self._names.close()

    def pause(self) -> None:
        """Stops the machine; continue_() lets it go on. Raises ValueError where that is not possible."""
        self._ask(lambda monitor: monitor.execute("stop"))
        self._paused_here = True

    def continue_(self) -> None:
        """Lets the machine go on, if it was stopped here. Raises ValueError."""
        if not self._paused_here:
            raise ValueError("The machine was not paused here: a debugger has it.")
        self._ask(lambda monitor: monitor.execute("cont"))
        self._paused_here = False

    def _ask(self, question: Callable[[Qmp], T]) -> T:
        if self._monitor is None:
            raise ValueError("The machine's monitor is in use: it cannot be paused from here.")
        with self._asking:
            try:
                return question(self._monitor)
            except Trouble as trouble:
                if isinstance(trouble, Gone):
                    self._monitor = None
                raise ValueError(str(trouble)) from None

    def _run(self) -> None:
        try:
            self._follow()
        finally:
            self.ended.set()

    def _follow(self) -> None:
        due = monotonic()
        while not self._over.is_set():
            now, spent = monotonic(), thread_time()
            due = min(max(due, now - _BEHIND_S), now)
            if not self._is_there():
                return self._board.post({"line": encoded(_ENDED)})
            try:
                if self._board.wait_for_pages(_LOOK_S):
                    self._look()
            except (OSError, Trouble, VizError) as error:
                return self._say(str(error))
            due += max(_PERIOD_S, 2 * (thread_time() - spent))      # at most half of a core
            if self._board.n_pages:
                self._rest(max(0.0, due - monotonic()))

    def _rest(self, seconds: float) -> None:
        """Until then, or until the machine stops or goes on: that is to be seen at once."""
        if monitor := self._monitor:
            monitor.wait(seconds)
        else:
            self._over.wait(seconds)

    def _is_there(self) -> bool:
        return started_at(self._note.pid) == self._note.started and Path(self._note.ram).exists()

    def _is_known(self) -> bool:
        """Whether it runs the kernel that it is taken for; looked at now and then."""
        if monotonic() > self._known_s + _LOOK_S:
            self._runs, self._known_s = _runs(self._note, self._names), monotonic()
        return self._runs

    def _say(self, said: str, **more: object) -> None:
        self._board.post({"line": encoded(dict(more, says=said))})

    # One picture

    def _look(self) -> None:
        if not self._is_known():
            return self._say(f"The machine does not run {self._note.kernel}: there is nothing that could be shown of it.")
        stands, turns = self._stands()
        self.n_looks += 1
        seen = self._agreed(stands)
        if (stands, turns) != self._stands(exactly=stands):     # stopped, or let go on, in between
            return
        self._console()
        if seen is None:
            return self._moving()
        self._n_moving = 0
        if self._shown is None or self._shown[1] != stands or not _alike(self._shown[0], seen):
            self._judge(seen, stands)
        else:
            self._belief.holds(self._failures)      # what was doubted has gone
        self._tell(stands)
        self._where(stands)

    def _judge(self, seen: Snapshot, stands: bool) -> None:
        index = Index(seen)
        self.n_judged += 1
        failures = kit.judgement(index).failures
        if not self._belief.holds(failures) and not stands:
            return
        self._shown, self._failures = (seen, stands), failures
        parts = self._scribe.parts(index, stands)
        if self._rows:
            parts["harts"] = self._rows
        self._board.post(parts, seen, self._scribe.drawn)

    def _agreed(self, stands: bool) -> Snapshot | None:
        """What two readings agree about, one after the other, or one with what is shown; None where memory changes too fast."""
        before = self._shown and self._shown[0]
        for _ in range(_READINGS):
            try:
                seen = self._take()
            except ReadError:
                continue
            if stands or _alike(before, seen):
                return seen
            before = seen
        return None

    def _take(self) -> Snapshot:
        info, fry, shrimp, origin = self._known
        return snapshot.take(self._again, info, _UNKNOWN, fry=fry, shrimp=shrimp, fry_from=origin)

    def _stands(self, exactly: bool = False) -> tuple[bool, int]:
        """As Qmp.stands: it is stopped by us, or by GDB. A machine that runs is not asked for it with each picture: that takes turns from
        the guest, and waits for a busy host twice."""
        try:
            return self._ask(lambda monitor: monitor.stands(exactly))
        except ValueError:
            return False, 0

    def _moving(self) -> None:
        self._n_moving += 1
        if self._n_moving >= _GAVE_UP:
            self._say(MOVING, **self._can(False))

    def _tell(self, stands: bool) -> None:
        if not stands:
            self._paused_here = False
        said = "Running: not exact." if not stands else "Paused: exact." if self._paused_here else "Stopped by a debugger: exact."
        self._say(said, **self._can(stands))

    def _can(self, stands: bool) -> dict[str, bool]:
        """What the page's button does; nothing where a debugger has the machine, or its monitor is not ours."""
        return {"paused": stands} if self._monitor and (not stands or self._paused_here) else {}

    def _where(self, stands: bool) -> None:
        """Where each hart is; of one that runs, now and then."""
        if self._shown is None or not stands and monotonic() < self._harts_s + _HARTS_S:
            return
        try:
            pcs = harts_of(str(self._ask(lambda monitor: monitor.human("info registers -a"))))
        except ValueError:
            return
        self._harts_s = monotonic()
        pids = {one.hart: one.pid for one in self._shown[0].harts}
        rows = [[hart, pids.get(hart), None, self._names.function(pc) or hex(pc)] for hart, pc in enumerate(pcs)]
        self._rows = encoded(rows)
        self._board.post({"harts": self._rows})

    def _console(self) -> None:
        path = Path(self._note.ram).with_name("console")
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _TAIL_BYTES))
                tail = (self._printed + file.read())[-_TAIL_BYTES:]
            if size > _MOST_PRINTED:
                os.truncate(path, 0)        # QEMU appends
                self._printed = tail
        except OSError:
            return      # the console is elsewhere
        lines = printable(tail.decode("utf-8", "replace").replace("\r", "")).splitlines()[-_TAIL_LINES:]
        self._board.post({"console": encoded(lines)})


def _alike(one: Snapshot | None, other: Snapshot) -> bool:
    """Whether a picture of both is the same: a pid that was given and is free again is in none."""
    return one is not None and dataclasses.replace(one, next_pid=other.next_pid) == other


def _successor(gone: Note, over: threading.Event) -> Note | None:
    """The machine that has taken the place of one that is gone: xv6-restore does that."""
    for _ in range(_LOOKS_FOR_ANOTHER):
        if over.wait(_LOOK_S):
            break
        found = next((one for one in running() if (one.pid, one.started) == (gone.pid, gone.started) and one.ram != gone.ram), None)
        if found:
            return found
    return None


def _monitor(note: Note) -> Qmp | None:
    try:
        return Qmp(Path(note.qmp).with_name("live.sock"), limit_s=_MONITOR_S)
    except (OSError, Trouble):
        return None


def _runs(note: Note, ram: KernelRam) -> bool:
    """Whether the code in RAM is that of the kernel's file."""
    try:
        file = Path(note.kernel).read_bytes()
        code = next(one for one in Elf(file).segments if one.is_load and one.is_code)
    except (OSError, ElfError, StopIteration):
        return False
    n = min(_SAME_BYTES, code.file_size)
    return ram.read(range(code.paddr, code.paddr + n)) == file[code.offset:code.offset + n]


@contextmanager
def page(note: Note, walls: bool) -> Iterator[str]:
    """A page of the machine that follows it until the end; the address. walls: as for debugger.Session."""
    board = Board()
    board.post({"line": encoded({"says": "The kernel's debugging information is being read."})})
    watcher: list[Watcher] = []
    over = threading.Event()

    def begin() -> None:
        try:
            with debugger.Session(note.kernel, walls=walls) as gdb:
                found = known(gdb)
            now: Note | None = note
            while now and not over.is_set():
                with Watcher(now, found, board) as one:
                    watcher[:] = [one]
                    while not (one.ended.wait(_LOOK_S) or over.is_set()):
                        pass
                now = _successor(now, over)
        except (OSError, Trouble) as error:
            board.post({"line": encoded({"says": str(error)})})

    def act(name: str) -> Callable[[], None]:
        return lambda: getattr(watcher[0], name)() if watcher else None

    thread = threading.Thread(target=begin, daemon=True)
    title = f"Shrimpy: {Path(note.kernel).parent.parent.name}/{Path(note.kernel).name}"
    with Server(board, title, {"pause": act("pause"), "continue": act("continue_")}) as server:
        thread.start()
        try:
            yield server.url
        finally:
            board.post({"line": encoded(_ENDED)})
            over.set()
            thread.join()
