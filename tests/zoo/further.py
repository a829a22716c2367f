"""The further mistakes of the zoo: what each breaks, what shows it, and where it is made.

The first two lines of the patch of that name say what the mistake is and what a student sees of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


HERE = Path(__file__).resolve().parent / "further"


@dataclass(frozen=True)
class Further:
    """One mistake.

    promise   the number of the promise that it breaks, in "What Shrimpy promises" of the design
    shows     a short sequence of operations after which the mistake is visible. The parent is the process that forks
              first; the child and the grandchild are its family. "each time": every repetition costs as much again
    beyond    whether the mistake is visible only beyond the handout: an orphan keeps its page, a new page is zero,
              pages are kept across exec
    function  the function, or the header, that the patch changes and that a hint should name
    """

    name: str
    promise: int
    shows: str
    beyond: bool
    function: str

    @property
    def wrong(self) -> str:
        """What the student did wrong, in one line."""
        return self.patch.read_text().partition("\n")[0].partition(": ")[2]

    @property
    def patch(self) -> Path:
        return HERE / f"{self.name}.patch"


FURTHER = (
    Further("adoption-forgets-older-orphans", 5,
            "fork twice; both children fork and exit; the parent waits for both; both orphans exit: frames of one "
            "are never free again",
            False, "reparent"),
    Further("bad-argument-leaks-a-frame", 6,
            "fork; the child calls exec with a bad pointer among its arguments, which fails; it exits: one frame "
            "fewer is free, each time",
            False, "sys_exec"),
    Further("bad-file-clears-fry", 3,
            "fork; the child writes FRY; its exec of a directory fails; it reads FRY",
            False, "loadpath"),
    Further("bad-status-address-loses-the-child", 6,
            "fork; the child exits; the parent waits with a bad address; it waits again", False, "wait"),
    Further("bitmask-of-32-slots", 5,
            "fork 40 times; all children exit; the parent waits for them: fewer frames are free, each time",
            False, "freeproc"),
    Further("buried-by-init-drops-twice", 5,
            "fork; the child forks and exits; the orphan exits", False, "bury"),
    Further("buried-by-init-leaks", 5,
            "fork; the child forks and exits; the orphan exits: one frame fewer is free, each time", False, "bury"),
    Further("cleared-in-words", 1,
            "fork; the child writes FRY, all of it, and exits; the parent waits; it forks; the child reads FRY at "
            "512",
            True, "allocproc"),
    Further("copyout-runs-across-frames", 8,
            "fork; the child reads 8 bytes from a pipe into the last 4 of SHRIMP and the first 4 of FRY; it reads "
            "FRY",
            False, "copyout"),
    Further("count-in-the-page", 5,
            "fork; the parent reads the last word of FRY", False, "sharefry"),
    Further("count-stops-at-eight", 5,
            "fork nine times; eight children exit; the parent waits for them; the ninth reads SHRIMP", False, "kdup"),
    Further("count-with-the-parent", 5,
            "fork; the child forks and exits; the orphan exits: one frame fewer is free, each time", False, "bury"),
    Further("depth-is-limited", 2,
            "a command of the shell forks; the child forks; and so on; the fifth generation below the command reads "
            "SHRIMP",
            False, "sharefry"),
    Further("eighth-generation", 2,
            "fork; the child forks; and so on; the eighth reads SHRIMP",
            False, "sharefry"),
    Further("exec-asks-the-parent", 5,
            "fork; the child writes FRY, forks and exits; the orphan execs and reads SHRIMP", True, "exec"),
    Further("exec-below-init-drops-shrimp", 3,
            "fork; the child forks and exits; the orphan execs and reads SHRIMP", True, "proc_pagetable"),
    Further("exec-clears-fry", 3,
            "fork; the child writes FRY; it execs; it reads FRY", True, "exec"),
    Further("exec-copies-fry-anew", 1,
            "fork; the parent execs; it writes FRY; the child reads SHRIMP", True, "exec"),
    Further("exec-counts-the-new-table-too", 5,
            "fork; the child execs; it exits; the parent waits and exits: one frame fewer is free, each time",
            False, "exec"),
    Further("exec-hands-the-page-over", 3,
            "fork; the child execs; execs again; reads SHRIMP", True, "exec"),
    Further("exec-renews-for-the-family", 1,
            "fork; the parent writes FRY and execs; the child reads SHRIMP", True, "exec"),
    Further("exec-segment-leaks-a-frame", 6,
            "fill memory; free it frame by frame and call exec each time, until it succeeds: one frame fewer is free",
            False, "loadsegment"),
    Further("exec-sets-the-size-too-soon", 6,
            "fork; the child grows its heap with sbrk; its exec with two arguments of 2,039 bytes, too much for a "
            "stack, fails; it exits; its parent waits",
            False, "exec"),
    Further("exec-swaps-the-pages", 3,
            "fork; the child writes FRY and execs; it reads FRY", False, "proc_pagetable"),
    Further("exec-unmaps-too-soon", 3,
            "fork; the child's exec of a path that is not there fails; it reads SHRIMP", False, "exec"),
    Further("exit-clears-fry", 5,
            "fork; the child writes FRY, forks and exits; the orphan reads SHRIMP", True, "exit"),
    Further("exit-clears-shrimp", 1,
            "fork; the child writes SHRIMP and exits; the parent waits and reads FRY", False, "exit"),
    Further("failed-exec-drops-a-reference", 5,
            "fork; the child's exec of a path that is not there fails; it exits; its parent waits and forks",
            False, "exec"),
    Further("failed-fork-keeps-files-open", 6,
            "fill memory; fork fails in the copy; free memory; the writer closes its pipe; the reader reads",
            False, "fork"),
    Further("failed-fork-leaves-its-page", 2,
            "fork until the slots are out; all children exit; the parent waits for them; another process forks; its "
            "child reads SHRIMP",
            False, "fork"),
    Further("failed-fork-stays-a-child", 6,
            "fill memory; fork fails in the copy; free memory; wait", False, "fork"),
    Further("failed-growth-undoes-too-much", 1,
            "fork; the child calls sbrk for more than there is; it reads FRY", False, "growproc"),
    Further("fault-drops-a-reference", 5,
            "fork; the child reads an address where nothing is; the parent waits and forks", False, "fault"),
    Further("files-go-to-fry", 8,
            "fork; the child reads from a file into SHRIMP; the parent reads FRY",
            False, "reach"),
    Further("fork-clears-fry", 1,
            "the parent writes FRY; fork; the parent reads FRY", False, "sharefry"),
    Further("forks-of-a-life-in-a-byte", 2,
            "fork and wait 255 times; fork; the parent writes FRY; the child reads SHRIMP",
            False, "sharefry"),
    Further("fourth-exec-renews", 1,
            "fork; the child writes FRY; it execs four times; it reads FRY", True, "proc_pagetable"),
    Further("fry-copy-on-write", 2,
            "fork; the child writes SHRIMP; the parent reads FRY", False, "fault"),
    Further("fry-is-the-trapframe", 1,
            "fork; the child reads FRY", False, "allocproc"),
    Further("fry-made-at-the-first-fork", 1,
            "fork; the child reads FRY", False, "allocproc"),
    Further("fry-read-only-after-exec", 3,
            "fork; the child execs; it writes FRY", False, "proc_pagetable"),
    Further("half-copied-heap-leaks", 6,
            "fork; the child fills memory; its fork fails in the copy of its memory; it exits: fewer frames are "
            "free, each time",
            False, "uvmcopy"),
    Further("half-grown-heap-stays", 6,
            "fork; the child calls sbrk for more than there is; it exits", False, "uvmalloc"),
    Further("kept-for-the-slot", 1,
            "fork; the child writes FRY and exits; the parent waits; it forks; the child reads FRY",
            True, "allocproc"),
    Further("kill-clears-fry", 5,
            "fork; the child writes FRY and forks; kill the child; the grandchild reads SHRIMP", True, "kill"),
    Further("kill-drops-a-reference", 5,
            "fork; kill the child; wait; fork", False, "kill"),
    Further("killed-in-wait-clears", 5,
            "fork; the child writes FRY, forks and waits; kill the child; the orphan reads SHRIMP",
            True, "wait"),
    Further("killed-parents-orphans-lose-it", 5,
            "fork; the child forks; kill the child; wait; the orphan reads SHRIMP", True, "reparent"),
    Further("last-wait-clears-fry", 1,
            "fork; the child writes SHRIMP and exits; the parent waits and reads FRY", False, "bury"),
    Further("lazy-shrimp-asks-the-parent", 5,
            "fork; the child writes FRY, forks and exits; the orphan reads SHRIMP for the first time",
            True, "uvmtouch"),
    Further("lazy-shrimp-not-in-system-calls", 8,
            "fork; the child reads from a pipe into SHRIMP", False, "fault"),
    Further("mapped-when-it-first-runs", 2,
            "fork; the child writes FRY, forks and exits at once; the grandchild reads SHRIMP", True, "forkret"),
    Further("no-memory-for-exec-frees-fry", 6,
            "fill memory; fork; the child's exec fails for want of a table; free memory; the child forks; it writes "
            "FRY",
            False, "proc_pagetable"),
    Further("no-slot-leaks-a-reference", 6,
            "fork; the child forks until the slots are out; all exit and are waited for: one frame fewer is free, "
            "each time",
            False, "fork"),
    Further("no-trapframe-leaks-the-slot", 6,
            "fill memory but for one frame; fork fails 64 times; free memory; fork", False, "allocproc"),
    Further("nobody-wakes-init", 5,
            "fork; the child forks; the grandchild exits; the child exits; the parent waits: the grandchild's frames "
            "are not free",
            False, "reparent"),
    Further("one-page-too-low", 1,
            "the layout alone", False, "memlayout.h"),
    Further("only-32-pages", 1,
            "fork 40 times while all children live", False, "allocproc"),
    Further("orphan-inherits-fry", 1,
            "fork; the child forks; the grandchild writes FRY; the child exits; the grandchild reads FRY",
            False, "reparent"),
    Further("orphan-looks-at-the-slot", 5,
            "fork; the child writes FRY, forks and exits; the parent waits and forks; the orphan execs and reads SHRIMP",
            True, "exec"),
    Further("orphans-copy-at-exec", 3,
            "fork; the child forks twice and exits; one orphan execs and writes SHRIMP; the other reads SHRIMP",
            True, "exec"),
    Further("orphans-go-to-the-grandparent", 2,
            "fork; the child forks and exits; the parent waits; the orphan exits; the parent waits",
            False, "reparent"),
    Further("page-by-pid", 1,
            "fork and wait 64 times; the new child writes FRY; the older process with the same remainder reads its "
            "FRY",
            False, "allocproc"),
    Further("paths-end-at-sz", 8,
            "fork; the child writes a path at FRY and opens or executes it", False, "copyinstr"),
    Further("protected-twice", 5,
            "fork; the child forks and exits; the orphan exits: one frame fewer is free, each time", False, "exit"),
    Further("read-only-for-grandchildren", 2,
            "a command of the shell forks; its child writes SHRIMP", False, "sharefry"),
    Further("reads-end-at-sz", 8,
            "fork; the child reads from a pipe into FRY", False, "copyout"),
    Further("reference-noted-too-late", 6,
            "fork; the child fills memory; its fork fails in the copy of its memory; it exits: one frame fewer is "
            "free, each time",
            False, "fork"),
    Further("reparent-changes-only-the-struct", 5,
            "fork; the child writes FRY, forks and exits; the parent waits and forks; the orphan reads SHRIMP",
            True, "reparent"),
    Further("reparent-drops-a-reference", 5,
            "fork; the child forks and exits; the parent waits; the orphan exits", False, "reparent"),
    Further("right-only-after-exec", 2,
            "fork; the child forks; the grandchild reads SHRIMP", False, "sharefry"),
    Further("sbrk-below-zero-wraps", 7,
            "fork; the child calls sbrk with the least of all numbers; it exits", False, "growproc"),
    Further("shared-once-written", 2,
            "fork; the child writes SHRIMP; the parent reads FRY", False, "sharefry"),
    Further("shrimp-apart-from-fry", 1,
            "the layout alone", False, "memlayout.h"),
    Further("shrinking-unmaps-to-the-top", 1,
            "fork; the child calls sbrk up and down; it reads FRY", False, "uvmdealloc"),
    Further("six-children-at-once", 2,
            "fork seven times; the seventh child reads SHRIMP", False, "sharefry"),
    Further("sixteen-forks-in-a-life", 2,
            "fork and wait sixteen times; fork; the parent writes FRY; the child reads SHRIMP", False, "sharefry"),
    Further("sixteenth-exec-renews", 1,
            "fork; the child writes FRY; it execs sixteen times; it reads FRY",
            True, "exec"),
    Further("spare-page-still-mapped", 5,
            "fork; the child writes FRY, forks and exits; the parent waits and forks; the new child writes FRY; the "
            "orphan reads SHRIMP",
            True, "freeproc"),
    Further("stale-shrimp-in-a-used-slot", 6,
            "fork; wait; fill memory; fork fails before the child has its SHRIMP; free memory; fork",
            False, "freeproc"),
    Further("status-left-in-the-page", 1,
            "the parent writes FRY; fork; the child exits with 7; the parent waits and reads FRY", False, "exit"),
    Further("struct-copied-after-the-table", 1,
            "fork; the child execs; it writes FRY; the parent reads FRY", False, "fork"),
    Further("system-calls-ask-the-parent", 8,
            "fork; the child forks and exits; the orphan writes a path at SHRIMP and executes it",
            False, "userbyte"),
    Further("system-calls-take-it-for-fry", 8,
            "fork; the child reads from a pipe into SHRIMP; the parent reads FRY", False, "userbyte"),
    Further("top-tables-leak", 6,
            "fork; the child execs; it exits: fewer frames are free, each time", False, "freetables"),
    Further("wait-ends-at-sz", 8,
            "fork; the child exits; the parent waits with an address in FRY for the status",
            False, "wait"),
    Further("wait-ends-the-sharing", 2,
            "fork twice; one child exits; the parent waits; the other reads SHRIMP", False, "bury"),
    Further("wait-frees-the-youngests-page", 5,
            "fork twice; the older child exits; the parent waits; the younger writes FRY and exits; the parent waits",
            False, "bury"),
    Further("wait-without-status-leaks", 5,
            "fork; the child exits; the parent waits with 0 for the status's address: one frame fewer is free, each "
            "time",
            False, "wait"),
    Further("writes-end-at-sz", 8,
            "fork; the child writes from SHRIMP into a pipe", False, "sys_write"),
    Further("youngest-orphan-keeps-its-parent", 5,
            "fork; the child forks and exits; the parent waits; the tables show whose child the orphan is; it exits: "
            "its frames are not free",
            False, "reparent"),
)
