"""What Shrimpy promises, as a program: what every process must see after each operation.

This is the specification. A process is a number, its parent, and two pages: FRY, which is its own, and SHRIMP, which is
its parent's FRY. A page is what has been written to it. Nothing else is promised, and of all else the model has no
opinion: which frame a page is in, which pid a process gets, whether memory is given lazily or copied on write, whether
FRY is above SHRIMP, what becomes of the pages of a process that has exited.

The promises, by number, are those of promises.py.
"""

from __future__ import annotations

import enum
from typing import Dict, List, Optional, Set, Tuple

from ..records import plain, record, word

INIT = -1
"""The first process, which adopts orphans and waits for them. It is not played."""

ABSURD = -(1 << 28)
"""Bytes that no heap can be shrunk by: what sbrk answers then is the kernel's business, as long as nothing else changes."""


class Do(str, enum.Enum):
    """What a process can be told to do."""

    FORK = "fork"               # makes process number `n`
    EXEC = "exec"               # runs the same program anew; n 1, 2, 3: by another name, which stands in its FRY, in its SHRIMP, across
                                # the two, as does its argument
    EXEC_FAILS = "exec-fails"   # runs what is not there (n 0), with more arguments than fit (1), or one that is nowhere (2); a
                                # directory (3); what is not there, with more arguments than any kernel takes (4); a path that is
                                # nowhere (5), arguments that are nowhere (6); a program whose last segment cannot be (7)
    FORK_HUNGRY = "fork-hungry"     # makes process `n`, with all memory taken and given back frame by frame until it works
    FORK_AND_EXIT = "fork-and-exit"     # makes process `n`, and exits before that has run
    EXEC_HUNGRY = "exec-hungry"
    EXIT = "exit"               # with status `n`, or STATUS when that is 0
    EXIT_AWAITED = "exit-awaited"       # the same, while its parent waits, which is told of it
    FAULT = "fault"             # loads from where nothing is, and ends by it; n 1: stores there; 2: an instruction that is none; 3: an
                                # instruction in FRY, which nobody may execute
    WAIT = "wait"               # where a child has exited, or there is none; page: the status goes to its word `n`
    KILL = "kill"               # process number `n`, which sleeps, or has exited
    KILL_WAITING = "kill-waiting"   # process number `n`, while it waits for a child that lives
    KILL_SLEEPING = "kill-sleeping"     # process number `n`, while it sleeps for a time
    KILL_RUNNING = "kill-running"   # process number `n`, while it is in user mode
    KILL_SELF = "kill-self"
    LOAD = "load"               # word `n` of `page`
    STORE = "store"
    READ = "read"               # a system call that writes word `n` of `page`: read() of a pipe
    WRITE = "write"             # a system call that reads it: write() to a pipe
    READ_FILE = "read-file"     # all of `page` is read from a file; without a page, of both at once
    WRITE_FILE = "write-file"   # all of it is written to a file
    READ_OVER = "read-over"     # read() whose buffer begins in the last word of the upper page and ends beyond, where nobody may write
    WRITE_OVER = "write-over"   # write(), too
    CALLS = "calls"             # fstat() and pipe() with a place in `page` from word `n` on, and all calls that no page is in
    READ_BOTH = "read-both"     # the same across the two pages: the last word of the lower, the first of the upper
    WRITE_BOTH = "write-both"
    WAIT_BADLY = "wait-badly"   # with a place for the status that is none
    READ_CONSOLE = "read-console"       # read() of a line typed at the console into word `n` of `page`
    WRITE_CONSOLE = "write-console"     # write() of that word to the console
    SBRK = "sbrk"               # `n` bytes, or ABSURD fewer
    SBRK_LAZY = "sbrk-lazy"     # `n` bytes whose pages a kernel may bring later; only each second is touched
    CROWD = "crowd"             # forks `n` children that stand still, or as many as the kernel has room for
    CHAIN = "chain"             # forks a child, which forks a child, and so on: `n` generations that stand still
    DISPERSE = "disperse"       # crowd or chain exits, and all are waited for
    FORSAKE = "forsake"         # exits, and its crowd stays
    GATHER = "gather"           # whoever was forsaken exits
    CHURN = "churn"             # forks `n` children that look at both pages, each once the last has been waited for, and exit with
                                # as many statuses
    BARE = "bare"               # forks `n` children, one after the other, each of which closes one file more than the last, the first
                                # none, and forks one that looks at both pages

    # Segments of shared memory, where a kernel has System V's; `n` is a segment's number
    SHM_GET = "shm-get"         # makes it, with a key
    SHM_FIND = "shm-find"       # asks for it by its key
    SHM_ATTACH = "shm-attach"
    SHM_ATTACH_READ = "shm-attach-read"     # for reading only
    SHM_DETACH = "shm-detach"   # the one of its attachments that it has had for longest
    SHM_DETACH_INSIDE = "shm-detach-inside"     # at the second page of that: which is no attachment's address
    SHM_REMOVE = "shm-remove"
    SHM_READ = "shm-read"       # a system call that writes a word through that attachment: refused where it is for reading only
    SHM_WRITE = "shm-write"     # a system call that reads one
    SHM_VIOLATE = "shm-violate"     # stores to one that is for reading only, and ends by it


_OF_ATTACHED = frozenset((Do.SHM_DETACH, Do.SHM_DETACH_INSIDE, Do.SHM_READ, Do.SHM_WRITE, Do.SHM_VIOLATE))
FORKS = frozenset((Do.FORK, Do.FORK_HUNGRY, Do.FORK_AND_EXIT))
"""The operations that make process number `n`."""

MAPPING = FORKS | {Do.CROWD, Do.CHAIN, Do.CHURN, Do.BARE, Do.EXEC, Do.EXEC_HUNGRY}
"""The operations that map the two pages of somebody."""

KILLS = frozenset((Do.KILL, Do.KILL_WAITING, Do.KILL_SLEEPING, Do.KILL_RUNNING))
"""The operations of which `n` is another process that ends."""

SHM = _OF_ATTACHED | {Do.SHM_GET, Do.SHM_FIND, Do.SHM_ATTACH, Do.SHM_ATTACH_READ, Do.SHM_REMOVE}
"""The operations on segments."""

SEGMENT_PAGES = 2
"""Of each segment that is played."""
_MOST_ATTACHED = 4

STATUS = 42
"""What exits with exit() tells its parent. Of who is killed, or ends by a fault, the model has no opinion."""


@record
class Cell:
    """A page of a process; without a page, the process itself.

    segment, attachment, nth: of a page of a segment the segment's number, that of the process's attachment, and which page.
    """

    process: int = plain()
    page: str = word("FRY", "SHRIMP", "", default="")
    segment: Optional[int] = plain(default=None)
    attachment: int = plain(default=0)
    nth: int = plain(default=0)


@record
class Op:
    """An operation: which process does what, to which other or how much, and with which of its pages."""

    actor: int = plain()
    do: Do = word(*(one.value for one in Do))
    n: int = 0
    page: str = word("FRY", "SHRIMP", "", default="")


class Page:
    """A page that FRY and SHRIMP are names of. words: by index, of what somebody has written; the rest is zero.

    known: whether the model knows what is in the rest; it does not of a page that a kernel has put in the place of another.
    """

    def __init__(self, known: bool = True) -> None:
        self.words: Dict[int, int] = {}
        self.known = known


AT_ONCE = "at-once"
SEGMENTS = "segments"
BEYOND = ("zeroed", "exec", "orphan", AT_ONCE, SEGMENTS)
"""What the model promises and a lab's handout does not: that a new page is zero, that exec keeps both pages, that an
orphan keeps its SHRIMP, that both pages are mapped before they are touched, and all of segments, which POSIX promises."""


class Segment:
    """A segment of shared memory. shmget(2): its pages are zero when it is made; shmctl(2): once it is removed nobody finds it by
    its key, and it goes with the last attachment."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pages = tuple(Page() for _ in range(SEGMENT_PAGES))
        self.removed = False


class Attachment:
    """Where a process has a segment. number: who has inherited it has it by the same number, at the same address."""

    def __init__(self, number: int, segment: Segment, writable: bool) -> None:
        self.number, self.segment, self.writable = number, segment, writable


class Process:
    """A process. parent: its number, or INIT.

    beyond: for each of its pages why it is as it is only by a promise beyond the handout, or None.
    """

    def __init__(self, number: int, parent: int, shrimp: Optional[Page]) -> None:
        self.number = number
        self.parent = parent
        self.is_zombie = False
        self.status: Optional[int] = None               # of a zombie, where it is known
        self.fry = Page()                               # promise 1: a frame of its own, zeroed
        self.shrimp = shrimp
        self.beyond: Dict[str, Optional[str]] = {"FRY": None, "SHRIMP": None}
        self.crowd = 0                                  # children that only stand still, or generations of them
        self.is_chain = False                           # of these two the second
        self.heap = 0                                   # bytes that sbrk has given it
        self.attached: List[Attachment] = []            # the oldest first

    def page(self, name: str) -> Optional[Page]:
        return self.fry if name == "FRY" else self.shrimp

    def attachment(self, segment: int, number: Optional[int] = None) -> Optional[Attachment]:
        """Of a segment, the one of that number or the oldest; None when it has none."""
        return next((one for one in self.attached if one.segment.number == segment and number in (None, one.number)), None)


ORDER = ("FRY", "SHRIMP")


class Model:
    """A family. Process 0 is its first, which never ends; its own parent is not played, so that of what is in its SHRIMP the
    model has no opinion. Process 1 is a child of it that never ends either, and is told nothing.

    handout: only what a lab's handout requires is promised: an orphan has no SHRIMP that anything can be said of.
    """

    def __init__(self, handout: bool = False) -> None:
        self._handout = handout
        self.processes: Dict[int, Process] = {0: Process(0, INIT, Page(known=False))}
        self.segments: Dict[int, Segment] = {}          # that are there, removed or not
        self.made: Set[int] = set()                     # the numbers of all that have been
        self.forsaken = 0                               # orphans that only stand still
        self.forsaken_by: Optional[Process] = None      # the parent that they had
        self._n_attached = 0
        self._fork(self.processes[0], 1)

    # Who there is

    def living(self) -> List[Process]:
        """By number."""
        return [one for _, one in sorted(self.processes.items()) if not one.is_zombie]

    def children(self, number: int) -> List[Process]:
        return [one for _, one in sorted(self.processes.items()) if one.parent == number]

    def is_alive(self, number: int) -> bool:
        return number in self.processes and not self.processes[number].is_zombie

    def can(self, op: Op) -> bool:
        """Whether it is something that this family can be told: who is told lives, and nobody waits for ever."""
        if not self.is_alive(op.actor) or op.actor == 1:
            return False
        mine = self.children(op.actor)
        if op.do in FORKS:
            return op.n not in self.processes and (op.do is not Do.FORK_AND_EXIT or op.actor != 0 and not self.processes[op.actor].crowd)
        if op.do in (Do.EXIT, Do.FAULT, Do.KILL_SELF, Do.EXEC, Do.EXEC_FAILS, Do.EXEC_HUNGRY):
            return op.actor != 0 and not self.processes[op.actor].crowd
        if op.do in (Do.FORSAKE, Do.GATHER):
            return self._can_forsake(op)
        if op.do is Do.EXIT_AWAITED:
            return self._can_be_awaited(self.processes[op.actor])
        if op.do in (Do.WAIT, Do.WAIT_BADLY):
            return not mine and not self.processes[op.actor].crowd or any(one.is_zombie for one in mine)
        if op.do in KILLS:
            return op.n not in (0, 1, op.actor) and op.n in self.processes and self._can_be_killed(op)
        if op.do in (Do.SBRK, Do.SBRK_LAZY):
            return op.actor != 0 and (op.n <= ABSURD or self.processes[op.actor].heap + op.n >= 0)
        if op.do is Do.DISPERSE:
            return self.processes[op.actor].crowd > 0 and not any(one.is_zombie for one in mine)
        if op.do in (Do.READ_FILE, Do.WRITE_FILE, Do.READ_CONSOLE, Do.WRITE_CONSOLE, Do.CALLS):
            return op.actor != 0
        if op.do in (Do.CROWD, Do.CHAIN):   # all stand at one pipe, and what they inherit of segments is not modelled
            return not self.processes[op.actor].attached and not self.forsaken and not any(one.crowd for one in self.processes.values())
        if op.do in (Do.CHURN, Do.BARE):
            return not mine and not self.processes[op.actor].crowd
        return op.do not in SHM or self._can_share(op, self.processes[op.actor])

    def _can_be_killed(self, op: Op) -> bool:
        victim, its = self.processes[op.n], self.children(op.n)
        if op.do is Do.KILL_WAITING and (not its or any(one.is_zombie for one in its)):
            return False
        return not victim.crowd and (op.do is Do.KILL or not victim.is_zombie)

    def _can_forsake(self, op: Op) -> bool:
        actor = self.processes[op.actor]
        if op.do is Do.GATHER:
            return op.actor == 0 and self.forsaken > 0
        return op.actor != 0 and actor.crowd > 0 and not actor.is_chain and not self.forsaken

    def _can_be_awaited(self, child: Process) -> bool:
        """Whether its parent can be told to wait, and will be told of this child."""
        return child.parent > 1 and not child.crowd and not self.processes[child.parent].crowd and not any(
            one.is_zombie for one in self.children(child.parent))

    def _can_share(self, op: Op, actor: Process) -> bool:
        """Of what POSIX leaves open nothing is asked: to attach a segment that was removed, or to remove it again."""
        if op.do is Do.SHM_GET:
            return op.n not in self.made
        if op.do in (Do.SHM_ATTACH, Do.SHM_ATTACH_READ, Do.SHM_REMOVE):
            known = op.n in self.made and not (op.n in self.segments and self.segments[op.n].removed)
            return known and (op.do is Do.SHM_REMOVE or actor.number != 0 and len(actor.attached) < _MOST_ATTACHED)
        if op.do not in _OF_ATTACHED:
            return op.n in self.made
        had = actor.attachment(op.n)
        return had is not None and not actor.crowd and (op.do is not Do.SHM_VIOLATE or not had.writable)

    def succeeds(self, op: Op) -> bool:
        """Whether a call about a segment succeeds. shmget(2): no segment is found by the key of one that was removed; shmat(2),
        shmctl(2): the identifier of one that is gone is no segment's; shmdt(2): only an attachment's address is detached;
        shmat(2): who has it for reading only cannot write."""
        if op.do is Do.SHM_FIND:
            return op.n in self.segments and not self.segments[op.n].removed
        if op.do in (Do.SHM_ATTACH, Do.SHM_ATTACH_READ, Do.SHM_REMOVE):
            return op.n in self.segments
        had = self.processes[op.actor].attachment(op.n)
        return op.do is not Do.SHM_DETACH_INSIDE and (op.do is not Do.SHM_READ or had is not None and had.writable)

    # What happens

    def do(self, op: Op) -> Tuple[int, ...]:
        """Plays it. Of wait, the numbers of the processes of which one is the answer: `buried` is told which. A wait that
        has no place for the status may answer -1 instead, and the child can be waited for again."""
        actor = self.processes[op.actor]
        if op.do in FORKS:
            self._fork(actor, op.n)
            if op.do is Do.FORK_AND_EXIT:
                self.do(Op(op.actor, Do.EXIT))
        elif op.do in (Do.EXEC, Do.EXEC_HUNGRY):
            self._exec(actor)
        elif op.do in (Do.EXIT, Do.FAULT, Do.KILL_SELF, Do.FORSAKE, Do.SHM_VIOLATE):
            actor.status = (op.n or STATUS) if op.do in (Do.EXIT, Do.FORSAKE) else None
            if op.do is Do.FORSAKE:
                self.forsaken, self.forsaken_by = actor.crowd, actor
            self._exit(actor)
        elif op.do is Do.EXIT_AWAITED:
            self._exit(actor)
            self.buried(op.actor)
        elif op.do is Do.GATHER:
            self.forsaken, self.forsaken_by = 0, None
        elif op.do in KILLS:
            if self.is_alive(op.n):
                self._exit(self.processes[op.n])
        elif op.do in (Do.WAIT, Do.WAIT_BADLY):
            return tuple(one.number for one in self.children(op.actor) if one.is_zombie)
        elif op.do in (Do.CROWD, Do.CHAIN):
            actor.crowd, actor.is_chain = op.n, op.do is Do.CHAIN
        elif op.do in (Do.SBRK, Do.SBRK_LAZY) and op.n > ABSURD:
            actor.heap += op.n
        elif op.do is Do.DISPERSE:
            actor.crowd = 0
        elif op.do in SHM and self.succeeds(op):
            self._share(op, actor)
        return ()

    def _fork(self, parent: Process, number: int) -> None:
        """Promise 2: the child's SHRIMP is its parent's FRY, not a copy, and not what the parent's SHRIMP is."""
        self.processes[number] = Process(number, parent.number, parent.fry)
        self.processes[number].heap = parent.heap
        self.processes[number].attached = list(parent.attached)     # fork(3p), shmat(2): a child has its parent's attachments

    def _exec(self, process: Process) -> None:
        """Promise 3: both pages are kept. Of the handout's three requirements none says so."""
        process.heap = 0
        self._detach(process, process.attached)         # execve(2), shmat(2): nothing is attached afterwards
        for name in ORDER:
            process.beyond[name] = process.beyond[name] or "exec"
        for child in self.children(process.number):
            child.beyond["SHRIMP"] = child.beyond["SHRIMP"] or "exec"

    def _exit(self, process: Process) -> None:
        """Promise 5: who maps the page keeps it. Orphans are the first process's, and it waits for those that have exited."""
        process.is_zombie = True
        process.crowd = 0
        self._detach(process, process.attached)         # _exit(3p): all is detached
        for child in self.children(process.number):
            child.parent = INIT
            child.beyond["SHRIMP"] = "orphan"
            if self._handout:
                child.shrimp = None
            if child.is_zombie:
                del self.processes[child.number]
        if process.parent == INIT:
            del self.processes[process.number]

    def _share(self, op: Op, actor: Process) -> None:
        if op.do is Do.SHM_GET:
            self.segments[op.n] = Segment(op.n)
            self.made.add(op.n)
        elif op.do in (Do.SHM_ATTACH, Do.SHM_ATTACH_READ):
            self._n_attached += 1
            actor.attached.append(Attachment(self._n_attached, self.segments[op.n], op.do is Do.SHM_ATTACH))
        elif op.do is Do.SHM_DETACH:
            self._detach(actor, [one for one in actor.attached if one is actor.attachment(op.n)])
        elif op.do is Do.SHM_REMOVE:
            self.segments[op.n].removed = True
            self._settle()

    def _detach(self, process: Process, those: List[Attachment]) -> None:
        process.attached = [one for one in process.attached if one not in those]
        self._settle()

    def _settle(self) -> None:
        """shmctl(2), IPC_RMID: a removed segment goes after the last process has detached it."""
        used = {one.segment.number for process in self.processes.values() for one in process.attached}
        for number in [number for number, one in self.segments.items() if one.removed and number not in used]:
            del self.segments[number]

    def buried(self, number: int) -> None:
        """wait has returned this process: nothing of it is left."""
        del self.processes[number]

    def crowded(self, number: int, n: int) -> None:
        """So many children there was room for."""
        self.processes[number].crowd = n

    # What must be seen

    def word_at(self, cell: Cell, index: int) -> Optional[int]:
        """What a word of a page is to whoever looks: a load, a system call, the debugger. None: no opinion."""
        page = self.page(cell)
        if page is None or index not in page.words and not page.known:
            return None
        return page.words.get(index, 0)

    def page(self, cell: Cell) -> Optional[Page]:
        """What a process has there, or None."""
        process = self.processes[cell.process]
        if cell.segment is None:
            return process.page(cell.page)
        had = process.attachment(cell.segment, cell.attachment)
        return None if had is None else had.segment.pages[cell.nth]

    def cells(self, number: int) -> List[Cell]:
        """The pages that a process has."""
        process = self.processes[number]
        own = [Cell(number, name) for name in ORDER if process.page(name) is not None]
        return own + [Cell(number, "", one.segment.number, one.number, nth)
                      for one in process.attached for nth in range(SEGMENT_PAGES)]

    def n_attached(self, segment: int) -> int:
        """shmctl(2): shm_nattch is the number of attachments, of all processes."""
        return sum(one.segment.number == segment for process in self.processes.values() for one in process.attached)

    def may_write(self, cell: Cell) -> bool:
        """shmat(2): SHM_RDONLY attaches for reading only."""
        had = cell.segment is not None and self.processes[cell.process].attachment(cell.segment, cell.attachment)
        return not had or had.writable

    def write(self, cell: Cell, index: int, value: int) -> None:
        """Promises 2 and 8: what one process writes, by a store or a system call, all who map the page see."""
        page = self.page(cell)
        if page is not None:
            page.words[index] = value

    def pages(self) -> Dict[int, List[Cell]]:
        """Who has each page: two cells have one frame if and only if they are here together. Promises 1 and 2; of segments,
        shmat(2). By the number of the first cell that has it."""
        found: Dict[int, List[Cell]] = {}
        for process in self.living():
            for cell in self.cells(process.number):
                found.setdefault(id(self.page(cell)), []).append(cell)
        return found

    def beyond(self, cell: Cell) -> Optional[str]:
        """Why a page is as it is only by a promise beyond the handout, or None."""
        return SEGMENTS if cell.segment is not None else self.processes[cell.process].beyond.get(cell.page)

    # Kernels that keep the handout's promises alone

    def adopt(self, cell: Cell) -> None:
        """The kernel has put another page in the place of one, where the handout lets it: from now on that is the page."""
        process = self.processes[cell.process]
        page = Page(known=False)
        if cell.page == "FRY":
            process.fry = page
        else:
            process.shrimp = page

    # Comparing states

    def shape(self) -> Tuple[object, ...]:
        """The family without names: two families of one shape can do the same from now on, so far as the model knows."""
        def of(process: Process) -> Tuple[object, ...]:
            return (process.is_zombie, process.crowd > 0, tuple((one.segment.number, one.writable) for one in process.attached),
                    tuple(sorted(of(child) for child in self.children(process.number))))
        return (of(self.processes[0]), tuple(sorted(of(one) for one in self.children(INIT) if one.number)),
                tuple((n, n in self.segments and self.segments[n].removed + 1) for n in sorted(self.made)))
