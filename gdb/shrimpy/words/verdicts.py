"""Verdicts in words: what is wrong or not judged, what was expected, what is there, and what usually causes it."""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from ..reasons import Kind as K, Reason, Subject
from ..spec import Divergence
from . import played
from .common import holders, process

FLAGS = "VRW-U-"
"""Flags of FRY and SHRIMP, A and D left out."""

_MOST_CALLERS = 12
_MOST_SUBJECTS = 6
_PAGE = 4096


def _divergence(reason: Reason) -> Divergence:
    assert reason.played is not None, "each reason of this kind has it"
    return reason.played


Text = Union[str, Callable[[Reason], str]]


class Telling(NamedTuple):
    """What is said of a failure: why, the expected and the actual, and an explanation."""

    why: Text
    expected: Text
    actual: Text
    explanation: Text


def subject(one: Subject) -> str:
    """What a verdict is about: "pid 3 (sh)", "frame 0x87f40000", "kmem.freelist"."""
    if one.kind == "process":
        return process(one.process)
    if one.kind == "children":
        return f"children of {process(one.process)}"
    if one.kind == "frames":
        return f"frame {one.pa:#x}" if one.n_pages == 1 else f"{one.n_pages} frames from {one.pa:#x}"
    usual = {"ram": "RAM", "kernel-table": "kernel table"}.get(one.kind, one.kind)
    return one.label or usual


def subjects(some: Sequence[Subject], n: int) -> str:
    """Several in one phrase: "pids 3, 4, 5", "frames 0x87f40000, 0x87f41000 and 14 more". n: how many there are in all."""
    said = [subject(one) for one in some[:_MOST_SUBJECTS]]
    for kind, word in (("pid ", "pids "), ("frame ", "frames ")):
        same = [one for one in said if one.startswith(kind)]
        if len(same) > 1:
            said = [word + ", ".join(_bare([one[len(kind):] for one in same]))] + [one for one in said if one not in same]
    more = n - min(len(some), _MOST_SUBJECTS)
    return ", ".join(said) + (f" and {more} more" if said and more > 0 else "" if said else f"{more} more")


def others(told: Sequence[Tuple[Subject, Optional[int]]]) -> str:
    """Who fails in the same way as the first of them, each with its virtual address; "" for nobody."""
    first, rest = told[0][0], told[1:]
    some = [about for about in dict.fromkeys(about for about, _ in rest) if about != first]
    return subjects(some, len(some) or len(set(rest))) if rest else ""


def _bare(said: Sequence[str]) -> List[str]:
    """Their numbers alone; with the name after the last of each name where one number stands for several, on machines of their own."""
    numbers = [one.partition(" ")[0] for one in said]
    if len(set(numbers)) == len(numbers):
        return numbers
    names = [one.partition(" ")[2] for one in said]
    return [f"{number} {name}".rstrip() if name not in names[i + 1:i + 2] else number
            for i, (number, name) in enumerate(zip(numbers, names))]


def why(reason: Reason) -> str:
    """Why a verdict fails or is skipped."""
    if reason.kind in _FAILURES:
        return _said(_FAILURES[reason.kind].why, reason)
    return _said(_SKIPS[reason.kind], reason)


def expected(reason: Reason) -> Optional[str]:
    """What a failure expected; None of what is not judged."""
    told = _FAILURES.get(reason.kind)
    return None if told is None else _said(told.expected, reason)


def actual(reason: Reason) -> Optional[str]:
    """What a failure found instead."""
    told = _FAILURES.get(reason.kind)
    return None if told is None else _said(told.actual, reason)


def explanation(reason: Reason) -> Optional[str]:
    """What usually causes a failure, and what the kernel must do."""
    told = _FAILURES.get(reason.kind)
    return None if told is None else _said(told.explanation, reason)


def _said(text: Text, reason: Reason) -> str:
    return text if isinstance(text, str) else text(reason)


# What is not judged

def _by_hart(hart: Optional[int]) -> str:
    return "" if hart is None else f" by hart {hart}"


def _because(r: Reason) -> str:
    return "" if r.because is None else why(r.because)


_SKIPS: Dict[K, Text] = {
    K.HALF_MADE: lambda r: f"pid {r.pid} is half made (USED)",
    K.NO_SUCH_STATE: lambda r: f"pid {r.pid} has a state that does not exist ({r.state})",
    K.PROCESS_LOCKED: lambda r: f"pid {r.pid}'s lock is held",
    K.NOT_WALKED: lambda r: f"the tables of pid {r.pid} were not walked to their ends",
    K.BEING_BURIED: lambda r: f"pid {r.pid} is a zombie, and its parent may be freeing it: {_because(r)}",
    K.PLACE_UNKNOWN: lambda r: f"it is not known where pid {r.pid} was interrupted",
    K.INTERRUPTED: lambda r: f"pid {r.pid} was interrupted inside the kernel",
    K.ON_NO_HART: lambda r: f"pid {r.pid} is RUNNING, but on no hart that is known",
    K.IN_KERNEL: lambda r: f"hart {r.hart} runs pid {r.pid} inside the kernel" + (f", in {r.function}" if r.function else ""),
    K.STACK_UNKNOWN: lambda r: f"the kernel stack of pid {r.pid} could not be followed",
    K.WAITS_INSIDE: lambda r: f"pid {r.pid} waits inside {r.function}, which may hold frames",
    K.STARTING: "no process runs yet: the kernel is starting",
    K.HART_ALLOCATES: lambda r: f"hart {r.hart} is in {r.function}",
    K.LOCK_HELD: lambda r: f"the lock {r.lock} is held{_by_hart(r.hart)}",
    K.NOT_ENDED: "some processes that were started have not ended",
    K.HELD_BACK: lambda r: f"{_because(r)}; as it stands: {why(r.stands) if r.stands else ''}",
    K.AT_EARLIER_STOP: lambda r: f"at the earlier stop, {_because(r)}",

    K.PROCESSES_UNKNOWN: lambda r: r.detail or "the processes of this kernel are not known",
    K.NO_FREE_LIST: "this kernel has no free list that the kit knows",
    K.FREE_LIST_NOT_WALKED: "the free list was not walked",
    K.FREE_LIST_BROKEN: "a free list could not be walked to its end",
    K.IMAGE_END_UNKNOWN: "the end of the kernel's image is not known",
    K.NO_KERNEL_TABLE: "the kernel has no page table yet",
    K.TABLES_NOT_FOLLOWED: lambda r: f"the tables of {process(r.process)} could not be followed to their ends",
    K.KERNEL_TABLE_NOT_FOLLOWED: "the kernel's page table could not be followed to its end",
    K.ALLOCATOR_UNKNOWN: "most of RAM has no owner that the kit knows: it cannot read this kernel's allocator",
    K.MAYBE_A_POOL: lambda r: f"{r.n} frames have no owner that the kit knows, and nothing shows that the allocator ever "
                              "gave them out: they may belong to a pool that it cannot read",
    K.NO_COUNTS: "this kernel keeps no counts that the kit knows",
    K.COUNTS_NOT_UNDERSTOOD: lambda r: f"what this kernel counts of {r.detail} is not the number of their mappings, nor "
                                       "anything else that the kit knows",
    K.NO_ROOT: lambda r: f"which table the process on hart {r.hart} has is not known",
    K.TRUNCATED: lambda r: r.detail or "the walk was stopped",

    K.SEGMENTS_UNKNOWN: lambda r: f"this kernel has {r.function}, and the kit finds no segments: expected structs with a key, a size and "
                                  "frames, in a variable whose name has shm or segment in it",
    K.ATTACHED_UNKNOWN: lambda r: "the kernel does not count its attachments" if r.label is None else
    f"{r.label} may count other users than attachments",
    K.MAPPED_AT_TOUCH: "this kernel may map pages of segments only when they are touched",
    K.BELOW_SZ: "this kernel attaches below sz, wherever it is seen to",
    K.MAY_BE_NEW: "it has run exec, and may have attached this since",

    K.PAGE_NOT_DEFINED: lambda r: f"this kernel defines no {r.page}",
    K.NOTHING_HERE: "there is nothing here to judge",
    K.FIRST_PROCESS: "the first process has no parent",
    K.NO_PARENT: "its parent no longer exists",
    K.ZOMBIE: "it is a zombie: its pages may be gone",
    K.PARENT_WITHOUT_FRY: lambda r: f"its parent, {process(r.process)}, has no FRY page",
    K.ADOPTED: "its parent has exited and the first process has adopted it: see orphan-alive",
    K.NO_SIBLINGS: "no process has two children with SHRIMP pages",
    K.NO_FRY: "it has no FRY page: see fry-flags",
    K.NO_SHRIMP: "it has no SHRIMP page: see shrimp-pair",
    K.PAGES_GONE: lambda r: f"it is {r.state}: its pages may be gone",
    K.HAS_RUN: "it has run, and may have written its page",
    K.NO_ORPHAN: "no process here is known to have outlived its parent",
    K.FIRSTS_PAGE: lambda r: f"its SHRIMP is FRY of {process(r.process)}, its parent now, and no longer the page it had: "
                             "see exec-keeps",
    K.OTHERS_LOST: lambda r: f"frames that have no owner any more: {r.n}; they did not come back either: see frames-conserved",
    K.MAYBE_ANOTHERS: lambda r: ("its FRY frame is " + ("on the free list" if r.free else f"also {holders(r.users)}")
                                 + ", so what it holds may be written by somebody else: see "
                                 + ("not-on-free-list" if r.free else "fry-private")),
    K.NOT_ALLOCATORS: "its SHRIMP frame is not one of the allocator's: see frame-in-ram",
    K.NO_EARLIER: "needs an earlier snapshot",
    K.NO_USER_MODE: "no hart is in user mode",
    K.NOT_PLAYED: "it is not played here; `make check` and `make check ONLY=play` play it",
    K.NO_EARLIER_RUN: "needs a snapshot from before processes that have ended since",
    K.LOOSE_IMAGE: "its program's pages are W X, as exec before 2022 and ld -N make them; otherwise it passes",
    K.CLONED: lambda r: f"it shares its whole table with {process(r.process)}: this kernel has {r.function}",

    K.NO_SEGMENTS: "this kernel has no segments of shared memory",
    K.NO_SEGMENT: "no segment of shared memory is in use",
    K.NO_ATTACHMENT: "no process has a segment attached",
    K.NONE_REMOVED: "no segment is marked to be removed",
    K.NO_EXEC: "no process is known to have run exec since an earlier stop",

    K.NO_OWNER: lambda r: f"frames without an owner: {r.n}, processes half made: {r.total}",
    K.COUNTS_DIFFER: lambda r: f"{r.n} counts are not the number of mappings",
}


# What is wrong

def _parents_fry(r: Reason) -> str:
    return f"frame {r.wanted or 0:#x}, FRY of {process(r.process)}"


def _frame(r: Reason) -> str:
    return f"frame {r.frame or 0:#x}"


def _free_frame(r: Reason) -> str:
    return f"{_frame(r)}, free"


def _and_its_users(r: Reason) -> str:
    if r.free:
        return f"{_frame(r)}, which is free"
    return f"{_frame(r)}, also {holders(r.users)}" if r.users else f"{_frame(r)}, which nobody else maps"


def _wrong_flags(r: Reason) -> str:
    wrong = [f"{have} is set" if have != "-" else f"{want} is clear" for have, want in zip(r.flags or "", FLAGS) if have != want]
    return ", ".join(wrong + ([f"a level-{r.level} superpage covers it"] if r.level else []))


def _not_private(r: Reason) -> str:
    if r.detail == "given again":
        return _GIVEN_AGAIN
    if r.detail == "everybody's":
        return ("allocproc must allocate a frame for each process, not one for all; and fork must leave the child its own, and "
                "not hand on the parent's.")
    if r.detail == "parent's":
        return "allocproc must allocate a frame for each process: the parent's FRY is the child's SHRIMP, never its FRY."
    return ("Either allocproc gave one frame to both, or it was freed while the first still maps it, and given to the other: "
            "look for not-on-free-list and count-matches, too.")


def _changed(r: Reason) -> str:
    if r.is_new_table:
        return "exec must map the same two frames in its new page table, and drop only the old table's mappings of them."
    if r.other is not None:
        return (f"{process(r.other)}, its parent, has exited since: exit, and reparent in it, must leave SHRIMP of the children "
                "as it is. A child keeps the page that it shared, and does not get that of its new parent.")
    if r.processes:
        return (f"It has forked since ({', '.join(map(process, r.processes))}): fork maps the parent's FRY for the child, and must "
                "leave it where it is. All children of one parent share one frame.")
    return f"No system call since the earlier stop may touch {r.page}: the frame stays while the process lives."


def _bound_hint(r: Reason) -> str:
    return (f"{', '.join(r.functions) or 'What moves sz'} must refuse a size beyond {r.page}, where they refuse one beyond "
            "TRAPFRAME. " + (f"{r.function} gives a page to whatever lies below sz. " if r.function else "")
            + "Below sz, fork would copy the shared pages and exit would free them.")


def _entry(r: Reason) -> str:
    return r.detail or "" if r.pte is None else f"entry {r.pte:#x}"


def _with_finding(r: Reason) -> str:
    return r.detail or ""


def _free_but_used(r: Reason) -> str:
    return f"{holders(r.users)} is on the free list" + (f" (one of {r.n} of its frames)" if (r.n or 1) > 1 else "")


def _lost(r: Reason) -> str:
    was = f"It was last seen as {holders(r.users)}. " if r.users else ""
    count = "" if r.label is None else f"{r.label} says {r.value}. "
    return (was + count + "It was unmapped, or the only pointer to it was overwritten, without kfree. Look at "
            + ("where FRY's frame is freed, at " if r.is_shrimpy else "") + "exec's old pages, and at the paths that run out of memory.")


def _miscounted(r: Reason) -> str:
    usual = "" if r.bound == r.n else f", of which this kernel counts {r.bound}"
    return (f"{r.label} says {r.value}, the frame has {r.n} {'user' if r.n == 1 else 'users'}{usual}"
            + (f" (one of {r.total})" if (r.total or 1) > 1 else ""))


def _panicked(r: Reason) -> str:
    text = "the kernel panicked" + (f" in {r.functions[0]}" if r.functions else "") + (f': "{r.detail}"' if r.detail else "")
    if r.process is not None:
        text += ", and no hart runs it now" if r.hart is None else f" while hart {r.hart} ran it"
    if r.va is not None:
        text += f"; {f'{r.page}, VA {r.va:#x},' if r.page else f'VA {r.va:#x}'} is still mapped"
    return text


def _callers(functions: Sequence[str]) -> Sequence[str]:
    """The callers, one that calls itself told once."""
    once = [name for i, name in enumerate(functions) if i == 0 or name != functions[i - 1]]
    return once[:_MOST_CALLERS]


def _attachment_rights(r: Reason) -> str:
    flags = r.flags or ""
    wanted = {"read-only": "VR--U", "writable": "VRW-U"}.get(r.state or "", "VR" + flags[2:3] + "-U")
    wrong = [f"{have} is set" if have != "-" else f"{want} is clear" for have, want in zip(flags, wanted) if have != want]
    return ", ".join(wrong + ([f"a level-{r.level} superpage covers it"] if r.level else []))


def _attachment(r: Reason) -> str:
    return f"{r.label}, attached at {r.va or 0:#x}"


_ORPHAN = ("When the parent exited, freeproc or proc_freepagetable freed its FRY frame although a child still maps it: "
           "count the frame's users, the last one out frees it.")
_EXEC_MAPS = ("Children that have not called exec have the right frame: exec must map the frame that SHRIMP had in the old page "
              "table at SHRIMP of the new one.")
_THEIR_PAGE = "the frame that was FRY of the parent that forked it"
_GIVEN_AGAIN = ("The frame was freed while this process still maps it, and the allocator gave it out again. Look for the kfree "
                "that is one too many (or the count that is one too low): in freeproc, for the parent's page or a child's, and "
                "where uvmunmap is told to free.")
_ORPHANS_FRAME = "a frame that only orphans of the same parent map"
_OWN_TABLES = ("fork must build tables of the child's own, with uvmcopy and mappages: entries of the parent's upper tables "
               "must not be copied. Freeing one would free both.")

_FAILURES: Dict[K, Telling] = {
    K.MISPLACED: Telling(
        lambda r: f"{r.page} is {r.va or 0:#x}, which is " + (
            f"{r.other_page}, too" if r.other_page else "not aligned to pages" if (r.va or 0) % _PAGE else
            "not one of the two pages directly below TRAPFRAME"),
        lambda r: f"{(r.bound or 0) - _PAGE:#x} or {(r.bound or 0) - 2 * _PAGE:#x}", lambda r: f"{r.va or 0:#x}",
        "memlayout.h says where they are: one is TRAPFRAME - PGSIZE, the other TRAPFRAME - 2 * PGSIZE. Whoever maps memory "
        "there, and the bound of the heap, must use the same macros."),
    K.SHRIMP_WITHOUT_PARENT: Telling(
        "it has a SHRIMP page, and no parent to share it with", "nothing mapped at SHRIMP", _frame,
        "The first process has no parent. Map SHRIMP in fork, for the child."),
    K.SHRIMP_MISSING: Telling(
        "it has no SHRIMP page", _parents_fry, "nothing mapped at SHRIMP",
        lambda r: _EXEC_MAPS if r.function == "exec" else
        "fork must map the parent's FRY frame at the child's SHRIMP before it makes the child RUNNABLE, and exec must map it "
        "again in the new page table."),
    K.SHRIMP_LOST: Telling(
        lambda r: "it has no SHRIMP page" + (f" since {process(r.other)}, its parent, has exited" if r.other else " any more"
                                             if r.wanted else ""),
        lambda r: f"frame {r.wanted:#x}, which it had" if r.wanted is not None else _THEIR_PAGE, "nothing mapped at SHRIMP",
        lambda r: ("exit, and reparent in it, must leave SHRIMP of the children mapped: a child keeps the page that it shared "
                   "with its parent, and does not get that of its new one." if r.other else
                   f"{process(r.process)} is its parent now, and may have forked or adopted it. fork maps the page of the "
                   "parent that forks at SHRIMP; exec, and the exit of that parent, must leave it there.")),
    K.SHRIMP_OF_ANOTHER: Telling(
        lambda r: f"its SHRIMP frame is FRY of {process(r.other)}, which is not its parent", lambda r: _THEIR_PAGE,
        lambda r: f"{_frame(r)}, FRY of {process(r.other)}",
        "Either fork mapped the wrong process's page, or the frame was freed while this process still mapped it, and given "
        "to the other."),
    K.SHRIMP_NOT_PARENTS: Telling(
        "its SHRIMP is not its parent's FRY", _parents_fry, _and_its_users,
        lambda r: f"Its SHRIMP is what it was, and FRY of {process(r.process)} has moved since: FRY is one frame as long as its "
                  "process lives." if r.detail else _EXEC_MAPS if r.function == "exec" else
        "fork must map the frame of the parent's FRY, walkaddr(p->pagetable, FRY), at the child's SHRIMP: not a new frame, "
        "and not the child's own." + ("" if r.function else " exec must map the same frame again in its new page table.")),
    K.SHRIMP_NOT_SIBLINGS: Telling(
        lambda r: f"its SHRIMP frame is not its siblings' (children of {process(r.process)})",
        lambda r: f"frame {r.wanted or 0:#x}", _frame,
        "All children of one parent share one frame, the parent's FRY: fork must not allocate a new one for each child."),
    K.FRY_NOT_PRIVATE: Telling(
        lambda r: f"its FRY frame is also FRY of {', '.join(map(process, r.processes))}", "a frame of its own", _frame,
        _not_private),
    K.FRY_USED_BY_OTHERS: Telling(
        lambda r: f"its FRY frame is also {holders(r.users)}", "a frame that is its FRY, SHRIMP of its children, and nothing else",
        lambda r: f"{_frame(r)}, also {holders(r.users)}", _GIVEN_AGAIN),
    K.FRY_MISSING: Telling(
        "it has no FRY page", f"{FLAGS}-- at FRY", "nothing mapped at FRY",
        "proc_pagetable must map the frame of the process at FRY; it is called for a new process and again by exec."),
    K.WRONG_FLAGS: Telling(
        lambda r: f"{r.page}: {_wrong_flags(r)}", FLAGS + "--", lambda r: r.flags or "",
        lambda r: f"Map {r.page} with PTE_R | PTE_W | PTE_U and nothing else: user code reads and writes it and never "
                  "executes it."),
    K.NOT_ZEROED: Telling(
        "its FRY page holds data that it never wrote", "zeros",
        lambda r: "the allocator's filling" if r.detail == "junk" else "somebody's old data",
        "kalloc returns a frame with old contents: memset(fry, 0, PGSIZE) before it is mapped."),
    K.ORPHAN_FREE: Telling(
        "its SHRIMP frame is on the free list: its parent's exit freed it", _ORPHANS_FRAME, _free_frame, _ORPHAN),
    K.ORPHAN_REUSED: Telling(
        lambda r: f"its SHRIMP frame was given to another: {holders(r.users)}", _ORPHANS_FRAME,
        lambda r: f"{_frame(r)}, {holders(r.users)}", _ORPHAN),
    K.HEAP_TOO_LARGE: Telling(
        lambda r: f"its memory reaches into {r.page}", lambda r: f"sz <= {r.bound or 0:#x} ({r.page})",
        lambda r: f"sz = {r.n or 0:#x}", _bound_hint),
    K.PAGE_CHANGED: Telling(
        lambda r: f"its {r.page} is another frame than before", lambda r: f"frame {r.wanted or 0:#x}",
        lambda r: f"nothing mapped at {r.page}" if r.frame is None else _frame(r),
        _changed),

    K.KERNEL_PAGE_OPEN: Telling(
        lambda r: f"user code may touch the {r.page}", "U clear", lambda r: r.flags or "",
        lambda r: f"The {r.page} is the kernel's, though it is in the user's table: map it without PTE_U."),
    K.WRITE_AND_EXECUTE: Telling(
        lambda r: f"a page that user code can both write and execute ({r.detail})", "W or X, not both",
        lambda r: r.flags or "", "Map text R X, everything else R W."),
    K.IMAGE_OPEN: Telling(
        "user code sees the kernel's own image", "a frame from kalloc", lambda r: f"{_frame(r)}, in the kernel's image",
        "A user page must be a frame of its own: the address of a kernel variable was mapped."),
    K.NO_GUARD: Telling(
        "no guard page below its stack: user code may touch every page below sz", "a page without U below the stack",
        "U set in all of them",
        "exec takes PTE_U away from the page under the stack, so that overrunning the stack is a fault."),
    K.BAD_PLACE: Telling(
        _with_finding, "frames inside RAM, aligned to their size", _entry,
        "The entry's physical page number is not a frame's. Was a value mapped where an address belongs? PA2PTE wants the "
        "physical address itself."),
    K.BAD_FORM: Telling(
        _with_finding, "an entry that the architecture defines", _entry,
        "RISC-V Privileged 4.4.1: W needs R; pointers have R W X U A D clear; bits 63 to 54 are zero; level 0 holds only "
        "leaves."),
    K.ROOT_SHARED: Telling(
        lambda r: f"its root table is also the root of {process(r.process)}", "a root of its own",
        lambda r: f"table {r.frame or 0:#x} of both", _OWN_TABLES),
    K.TABLE_SHARED: Telling(
        lambda r: f"its level-{r.level} table {r.frame or 0:#x} is also in the tables of "
                  f"{process(r.process) if r.process else 'the kernel'}",
        "a table of its own", lambda r: f"table {r.frame or 0:#x} of both", _OWN_TABLES),
    K.TABLE_REPEATED: Telling(_with_finding, "each table reached by one entry", _entry, _OWN_TABLES),
    K.LIST_UNSOUND: Telling(
        _with_finding, "each free frame once, then 0", _with_finding,
        "A frame that is freed twice is on the list twice, and kalloc gives it to two owners. Is it freed by kfree and again "
        "by uvmunmap's do_free? A node outside RAM means that someone wrote into a free frame."),
    K.FREE_IN_USE: Telling(
        _free_but_used, "a frame that is not free", _free_frame,
        "Somebody freed a frame that this process still reaches: the next kalloc gives it to another. For a shared page, "
        "unmap without do_free and count the users."),
    K.KERNEL_FREE_IN_USE: Telling(
        _free_but_used, "a frame that is not free", _free_frame, "The frame was freed while the kernel still uses it."),
    K.NEVER_MADE: Telling(
        "it is half made (USED), and nobody is making it: its frames are lost",
        "a slot that is UNUSED or a process that runs", lambda r: f"USED, with root {r.frame or 0:#x}",
        "When fork or allocproc runs out of memory half-way it must call freeproc, which gives the slot and its frames back."),
    K.LOST: Telling(
        lambda r: "neither free nor used by anything" + (f": it was {holders(r.users)}" if r.users else ""),
        "every frame free or in use", "lost", _lost),
    K.MORE_LOST: Telling(
        lambda r: f"{r.n} more frames have no owner", "every frame free or in use", lambda r: f"{r.total} lost in all",
        "See the failures above."),
    K.NOT_RETURNED: Telling(
        lambda r: f"{holders(r.users)} still holds it, though all that ran has ended: {r.n} frames did not come back",
        "a frame that is free again", lambda r: f"held by {holders(r.users)}",
        "A frame that was taken for a process must be freed with it. A pointer that is left in a table or a list of the "
        "kernel's keeps nobody alive."),
    K.MISCOUNTED: Telling(
        _miscounted, lambda r: f"{r.bound}: {'free' if r.free else holders(r.users)}", lambda r: str(r.value),
        "Each mapping takes one reference and each unmapping gives one back, under the lock. Too few: the frame is freed "
        "while somebody maps it. Too many: it is never freed."),
    K.ATTACHED_MISCOUNTED: Telling(
        lambda r: f"{r.detail or 'its count'} says {r.value}, page tables show {r.n} attachment{'s' * (r.n != 1)}",
        lambda r: f"{r.n}" + (f": {holders(r.users)}" if r.users else ""), lambda r: str(r.value),
        "shmat and a fork that hands an attachment on count one more; shmdt, exec and exit one less for each; a fork that fails none."),
    K.ATTACHED_RIGHTS: Telling(
        lambda r: f"{r.label}" + (f", attached {r.state}: " if r.state else ": ") + _attachment_rights(r),
        lambda r: "VR--U-" if r.state == "read-only" else "VRW-U-" if r.state else "R and U, not X", lambda r: r.flags or "",
        "shmat maps with PTE_R | PTE_U, and PTE_W unless SHM_RDONLY is given; a child gets the rights that its parent has."),
    K.ATTACHED_PAGE: Telling(
        lambda r: f"page {r.n} of {_attachment(r)}, is " + ("not mapped" if r.frame is None else "another frame"),
        lambda r: f"frame {r.wanted or 0:#x}", lambda r: "nothing mapped" if r.frame is None else _frame(r),
        "shmat maps each frame of the segment at its own offset, and fork maps the same frames, not copies; they stay until shmdt, "
        "exec or exit."),
    K.ATTACHED_GONE: Telling(
        lambda r: f"the segment of {_attachment(r)}, is no longer in use", "a segment that lives as long as it is attached",
        "a place in the table that is not in use",
        "IPC_RMID marks a segment that is attached. It goes with the last that detaches."),
    K.ATTACHED_STRAY: Telling(
        lambda r: f"{r.n} page{'s' * (r.n != 1)} of {r.label} from {r.va or 0:#x}, where the kernel keeps no attachment",
        "nothing mapped there",
        lambda r: f"{r.n} of its pages", "shmdt must unmap every page of the segment, from its first address to its end."),
    K.ATTACHED_PLACE: Telling(
        lambda r: f"{_attachment(r)}, reaches into " + (f"its memory: sz is {r.value or 0:#x}" if r.page == "heap" else f"{r.page}"),
        "a place between the heap and the lower of FRY and SHRIMP", lambda r: f"{r.va or 0:#x} to {r.bound or 0:#x}",
        "shmat refuses such an address (EINVAL), and sbrk refuses to grow over an attachment, even where pages come only when they are "
        "touched."),
    K.ATTACHED_KEPT: Telling(
        lambda r: f"it has run exec, and still has {_attachment(r)}", "nothing attached", lambda r: f"{_attachment(r)}",
        "exec detaches all that the process has: it unmaps it in the old table, counts down, and maps none of it in the new one."),
    K.SEGMENT_SHORT: Telling(
        lambda r: f"it has {r.n} frame{'s' * (r.n != 1)} for {r.value} bytes", lambda r: f"{r.bound} frames", lambda r: f"{r.n}",
        "A segment's size is rounded up to whole pages: PGROUNDUP(size) / PGSIZE."),
    K.SEGMENT_SHARED: Telling(
        lambda r: f"{_frame(r)} is " + ("in it twice" if r.detail == r.label else f"also one of {r.detail}"), "frames of its own", _frame,
        "Each frame of a segment comes from kalloc, and is freed once, when the segment goes."),
    K.SEGMENT_KEY: Telling(
        lambda r: f"its key, {r.value or 0:#x}, is that of {r.detail}, too", "one segment with that key", "two",
        "shmget looks for the key first. A segment that is removed loses its key."),
    K.SEGMENT_OVER: Telling(
        lambda r: f"it was removed, and nobody has it attached: it still has {r.n} frame{'s' * (r.n != 1)}", "its frames given back",
        lambda r: f"{r.n} frame{'s' * (r.n != 1)}" + (f", and a count of {r.value}" if r.value else ""),
        "The last that detaches, by shmdt, exec or exit, gives the frames of a removed segment back; IPC_RMID does where there is none."),
    K.SATP_NOT_ROOT: Telling(
        lambda r: f"hart {r.hart} is in user mode with another table than its process has",
        lambda r: "satp with a process's root, mode Sv39" if r.wanted is None else
        f"satp with root {r.wanted:#x}, the page table of {process(r.process)}, mode Sv39",
        lambda r: f"satp {r.value or 0:#x}, " + ("not Sv39" if r.frame is None else f"root {r.frame:#x}"),
        "The way back to user mode must load satp with MAKE_SATP(p->pagetable). What else is judged is the table in struct proc: "
        "user code does not see it."),
    K.DIVERGED: Telling(
        lambda r: played.why(_divergence(r)), lambda r: played.expected(_divergence(r)), lambda r: played.actual(_divergence(r)),
        lambda r: played.explanation(_divergence(r))),
    K.PANICKED: Telling(
        _panicked, "a kernel that goes on",
        lambda r: ", by ".join((f"{r.function} was called", *_callers(r.functions))),
        lambda r: ("" if r.detail else "The console's last line has the panic's words. ") + "The kernel came upon something "
                  "that it holds to be impossible: the first caller says what, the others how it came there."),
}
