"""Each rule explained: what it means, why it matters, what usually breaks it, what one sees then, and how to look further.

shrimp-explain prints this, and docs/rules.md is made of it: `make golden`.
"""

from __future__ import annotations

import shlex
from typing import Mapping, NamedTuple, Optional, Tuple

from .rules import STATEMENTS


class Explained(NamedTuple):
    """A rule, in sentences. looks: commands in GDB, which may have {pid}, {va} and {pa} in them; films: whether `make film`,
    which shows one fork and the child's life, shows it too."""

    meaning: str
    matters: str
    causes: Tuple[str, ...]
    seen: str
    looks: Tuple[str, ...]
    films: bool = False


EXPLAINED: Mapping[str, Explained] = {
    "below-trapframe": Explained(
        "FRY and SHRIMP are page aligned, and are the two pages directly below TRAPFRAME. Either may be the higher one.",
        "User programs and the kernel must agree on two addresses that no heap, stack or program reaches.",
        ("memlayout.h counts from TRAMPOLINE, or leaves a page between them.",
         "An address is written as a number, and is not a multiple of PGSIZE."),
        "mappages panics, a process shares a page with its own trapframe, or the heap grows into the page.",
        ("p/x $FRY", "p/x $SHRIMP", "xv6-vmmap 1")),
    "shrimp-pair": Explained(
        "A child's SHRIMP and its parent's FRY are one frame, as long as both live. The first process has no parent, and so no "
        "SHRIMP.",
        "This is the sharing: what the parent writes at FRY the child reads at SHRIMP, and the other way round.",
        ("fork allocates a new frame for SHRIMP in place of mapping the parent's.",
         "fork maps the child's own FRY, or hands on the parent's SHRIMP, which is the grandparent's page.",
         "fork makes the child RUNNABLE before it maps SHRIMP.",
         "exec builds a new page table and does not map SHRIMP there."),
        "Parent and child do not see what the other writes, or the child faults when it touches SHRIMP.",
        ("shrimp-draw fault", "xv6-walk SHRIMP {pid}", "shrimp-step"), True),
    "shrimp-siblings": Explained(
        "All children of one parent have the same frame at SHRIMP.",
        "A parent has one FRY. With a frame for each child it could talk to the newest only.",
        ("fork gives the parent a new FRY, or the child a new frame, at each call.",
         "fork takes the page of the child that was forked before."),
        "A parent with two children hears from one of them only.",
        ("shrimp-draw fault", "xv6-walk SHRIMP {pid}", "shrimp-step"), True),
    "fry-private": Explained(
        "A frame is FRY of one process. It may be SHRIMP of that process's children, and is nothing else: no page of somebody's "
        "memory, no page table, no trapframe.",
        "Otherwise what one process writes changes another's page, or the kernel's own data.",
        ("One frame is allocated once, and mapped for every process.",
         "The child gets its parent's FRY for its own FRY, too.",
         "The frame is freed while it is still mapped, and the allocator gives it out again."),
        "Processes that are not related see each other's writes; a trap or a system call goes wrong after a write to FRY.",
        ("xv6-rmap {pa}", "shrimp-draw fault"), True),
    "fry-flags": Explained(
        "Each living process has a page at FRY, mapped with R, W and U, and without X and G.",
        "Without U user code cannot touch it. With X a program can run what another one stored there.",
        ("proc_pagetable does not map FRY, so that it is missing after exec, which calls it again.",
         "The flags given to mappages lack PTE_U or PTE_W, or have PTE_X."),
        "A fault at FRY in each program; with X or G nothing, on QEMU.",
        ("xv6-walk FRY {pid}", "shrimp-draw fault", "shrimp-step"), True),
    "shrimp-flags": Explained(
        "SHRIMP, where a process has it, is mapped with R, W and U, and without X and G.",
        "The child writes to its parent through this page, so it needs the same rights as FRY.",
        ("fork or exec maps SHRIMP with other flags than FRY.",),
        "A fault when a child writes to SHRIMP, perhaps only before exec, or only after it.",
        ("xv6-walk SHRIMP {pid}", "shrimp-draw fault", "shrimp-step"), True),
    "fry-zeroed": Explained(
        "A new process finds zeros at FRY.",
        "kalloc gives out frames with what their last owner left in them: without zeros a process reads another's data.",
        ("allocproc does not call memset after kalloc.",),
        "At FRY a new process finds bytes 5, which xv6's kalloc fills frames with, or somebody's old data.",
        ("xv6-walk FRY {pid}", "monitor xp /8gx {pa}"), True),
    "orphan-alive": Explained(
        "A process whose parent has exited keeps the frame that they shared. It is not on the free list, and nobody new has it.",
        "The child still has a valid entry. If the frame is given out again, the child writes into a stranger's memory.",
        ("The parent's exit frees its FRY without a count of who maps it.",),
        "Nothing at first. Then the orphan reads what some other process writes, or spoils the free list.",
        ("xv6-rmap {pa}", "shrimp-draw fault", "shrimp-step -life")),
    "heap-below-shrimp": Explained(
        "The end of a process's memory, sz, stays below both pages.",
        "Pages below sz are copied by fork and freed by exit. The shared pages must be neither.",
        ("growproc, sbrk or exec compares with TRAPFRAME, or with MAXVA, and not with the lower of FRY and SHRIMP.",),
        "Nothing, until a heap is very large. Then a panic in mappages, or a page that is freed twice.",
        ("xv6-vmmap {pid}", "shrimp-draw address-space {pid}")),
    "exec-keeps": Explained(
        "A process has the same two frames as long as it lives: after exec, after a fork, and after its parent's exit.",
        "exec replaces the program, not the process. Its children still map the old frame.",
        ("exec allocates a new FRY, or does not map SHRIMP in the new table.",
         "exit, or reparent in it, changes SHRIMP of the children.",
         "fork renews the parent's FRY."),
        "A fault at FRY or SHRIMP after exec; or what was written before is gone.",
        ("shrimp-draw fault", "xv6-diff", "shrimp-step -life"), True),
    "no-user-supervisor": Explained(
        "User code reaches neither the trampoline nor the trapframe, nor the kernel's image; a page without U lies below its "
        "stack; no page of its own is both writable and executable.",
        "A program that can write its trapframe can make the kernel do anything.",
        ("PTE_U in the flags of the trapframe or the trampoline.",
         "The address of a variable of the kernel's is mapped, and not that of a frame from kalloc.",
         "exec does not call uvmclear for the guard page.", "FRY is mapped with X."),
        "The kernel hangs at its first trap; or nothing, until a stack overruns.",
        ("xv6-vmmap {pid}", "xv6-walk {va} {pid}", "shrimp-draw fault")),
    "frame-in-ram": Explained(
        "Each entry leads to a frame that exists, aligned to its size.",
        "An entry with any other address is read by the hardware all the same.",
        ("What the frame holds was mapped in place of its address.", "PA2PTE was forgotten, or applied twice.",
         "KERNBASE was subtracted from a physical address."),
        "A fault or a hang at the first touch of the page.",
        ("xv6-walk {va} {pid}", "shrimp-draw walk {va} {pid}")),
    "pte-legal": Explained(
        "Each entry has a form that RISC-V defines: W only with R, no reserved bits, leaves at level 0.",
        "What hardware makes of other entries is not defined.",
        ("PTE_W without PTE_R.", "A number was written into a table that is not an entry."),
        "A fault at the page. Other hardware may do something else.",
        ("xv6-walk {va} {pid}", "shrimp-draw table {pid}")),
    "not-on-free-list": Explained(
        "No frame that a page table or the kernel still reaches is on the free list.",
        "The next kalloc gives it to somebody else, while the first still reads and writes it.",
        ("freeproc frees SHRIMP, which is the parent's page.",
         "The parent's exit frees FRY although a child still maps it.",
         "uvmunmap is told to free a frame that kfree frees, too."),
        "Nothing at once. Later data that changes by itself, or a panic in kalloc or kfree.",
        ("xv6-rmap {pa}", "shrimp-draw fault", "break kfree if $a0 == {pa}")),
    "free-list-sound": Explained(
        "The free list has each free frame once, and ends.",
        "A frame that is there twice is given to two owners.",
        ("A frame is freed twice.", "Somebody wrote into a frame after it was freed: the list's links are in the frames."),
        "A hang in kalloc, or two processes that change each other's memory.",
        ("xv6-frames", "shrimp-draw ram")),
    "table-private": Explained(
        "No page of page tables is in the tables of two processes, or twice in those of one.",
        "A change for one process changes the other's memory, and freeing one frees both.",
        ("fork copies entries of the parent's root table in place of building new tables with mappages.",),
        "Parent and child change each other's memory; a panic when the first of them exits.",
        ("shrimp-draw table {pid}", "xv6-walk {va} {pid}", "shrimp-step"), True),
    "frames-conserved": Explained(
        "Each frame is the kernel's own, free, or used by somebody.",
        "A frame that nobody has is lost until the machine is reset. In the end fork and exec fail.",
        ("FRY is unmapped, and never freed.", "exec does not free the old program's pages.",
         "A path that runs out of memory returns without undoing what it has done."),
        "Memory gets less with each process or command, until fork fails.",
        ("xv6-frames", "xv6-rmap {pa}", "xv6-diff")),
    "frames-return": Explained(
        "When all that ran has ended, the kernel has as many frames in use for nobody as before.",
        "A frame that only a variable of the kernel's still points to is as good as lost.",
        ("A table by pid or slot keeps the frames of processes that have ended.",),
        "Memory gets less with each process, though each frame seems to have an owner.",
        ("xv6-frames", "xv6-rmap {pa}")),
    "count-matches": Explained(
        "Where the kernel counts the users of frames, each count is the number of mappings, by the rule that the kernel itself "
        "follows elsewhere.",
        "A count that is too low frees a page too early, one that is too high never.",
        ("fork maps SHRIMP and does not raise the count.", "The count is lowered twice, in freeproc and in uvmunmap.",
         "The count is changed without a lock, and two harts do it at once."),
        "A panic about a frame that is freed twice, or memory that gets less.",
        ("xv6-rmap {pa}", "shrimp-draw fault")),
    "segment-count": Explained(
        "Of each segment the kernel counts its attachments (shm_nattch): one for each address at which a process has it, a child's "
        "too. A walk of all page tables finds as many.",
        "A count that is too low lets a removed segment go while somebody uses it. One that is too high keeps it for ever.",
        ("fork copies attachments and does not count them.", "exit, exec or a fork that fails does not count down.",
         "shmat counts, and a function that it calls counts again."),
        "ipcs shows another number than there are attachments; a removed segment stays.",
        ("xv6-shm", "xv6-rmap {pa}")),
    "segment-rights": Explained(
        "Each page of an attachment is mapped with V, R and U, without X, and with W unless it was attached with SHM_RDONLY.",
        "A program that asked for less must not be able to change what others read.",
        ("shmat does not look at SHM_RDONLY.", "fork maps all that it hands on with W."),
        "A store to a read-only attachment works.",
        ("xv6-shm", "xv6-walk {va} {pid}")),
    "segment-pages": Explained(
        "An attachment is all frames of its segment, in their order, as long as it lasts; afterwards none of them is mapped there. A "
        "segment has as many frames as its size needs, rounded up. Whether one of them is free, not-on-free-list says.",
        "Processes exchange data at the same offset of a segment.",
        ("Pages are copied, as fork copies the heap.", "shmdt unmaps the first page only.",
         "The size in bytes is divided by PGSIZE, which rounds down.", "IPC_RMID frees a segment that is still attached."),
        "A process reads other data than the others wrote, or faults at the end of a segment.",
        ("xv6-shm", "xv6-vmmap {pid}", "xv6-walk {va} {pid}")),
    "segment-place": Explained(
        "An attachment lies between the heap and the lower of FRY and SHRIMP, and touches neither.",
        "What lies below sz is copied by fork and freed by exit. A segment must be neither.",
        ("shmat takes an address that it is given without comparing it with sz.",
         "sbrk grows the heap over an attachment; a heap that is given lazily grows without meeting a page."),
        "A panic in mappages, a child with a copy of the segment, or a frame that is freed too early.",
        ("xv6-shm", "xv6-vmmap {pid}")),
    "segment-exec": Explained(
        "After exec a process has nothing attached.",
        "The new program knows nothing of what was attached; the count of attachments would never fall.",
        ("exec takes the old attachments over into the new table.", "exec frees the old table and forgets what was attached there."),
        "ipcs counts attachments of programs that never called shmat.",
        ("xv6-shm", "xv6-vmmap {pid}", "xv6-diff")),
    "segment-private": Explained(
        "A frame belongs to one segment, once. Two segments have different keys, unless that is IPC_PRIVATE.",
        "Programs that agreed on different keys must not read each other's data; those that agreed on one must find one segment.",
        ("shmget makes a new segment without looking for the key.", "A frame is put into a table, and given out again."),
        "A process never sees what another wrote under the same key; or two segments change together.",
        ("xv6-shm", "xv6-rmap {pa}")),
    "segment-removed": Explained(
        "A segment that was removed (IPC_RMID) and that nobody has attached is gone, and so are its frames.",
        "Nobody can find it by its key any more: its frames are lost until the machine is reset.",
        ("exit leaves the count of attachments as it is.", "IPC_RMID of a segment that nobody has attached only marks it."),
        "Memory gets less each time, though ipcs lists the segment.",
        ("xv6-shm", "xv6-frames")),
    "satp-is-root": Explained(
        "While a process runs in user mode, satp of its hart holds the table that its struct proc names, by Sv39.",
        "User code sees the hart's table. All other rules judge the one in struct proc.",
        ("usertrapret makes satp of another table than p->pagetable.", "exec changes p->pagetable, and satp stays what it was."),
        "A program reads other pages than xv6-vmmap shows.",
        ("xv6-harts", "p/x $satp", "xv6-walk SHRIMP {pid}")),
    "no-panic": Explained(
        "The kernel has not called panic.",
        "panic is how the kernel says that something is impossible. The mistake is in who called it, or earlier.",
        ("freewalk meets a leaf: FRY or SHRIMP is still mapped when the tables are freed.",
         "mappages meets an entry that is there already: it is mapped twice.",
         "kfree is given a frame that is free, or none of the allocator's."),
        "The console's last line has the panic's words; then nothing moves.",
        ("bt", "xv6-ps", "xv6-harts")),
    "specification": Explained(
        "`make check` tells a small program, one by one, to fork, exec, exit, wait, kill, grow, read and write in any process of "
        "a family. After each operation the specification says what every process must see, and the kernel must agree.",
        "Rules judge tables at a stop. This judges what programs see, in every order of operations, and what a kernel remembers.",
        ("The cause is in the last operation of the story, or in what an earlier one left behind.",),
        "The shortest story that was found: who forks, who execs, and what was expected and seen after the last of it.",
        ("shrimp-step", "shrimp-draw family"), True),
}
"""By the rule's id."""

_HEADS = (("What it means", "meaning"), ("Why it matters", "matters"), ("What you see when it is broken", "seen"))


def commands(rule: str, pid: Optional[int] = None, va: Optional[int] = None, pa: Optional[int] = None) -> Tuple[str, ...]:
    """What to type in GDB next: only commands all of whose data is there."""
    known = {name: said for name, said in (("pid", pid), ("va", va and hex(va)), ("pa", pa and hex(pa))) if said is not None}
    looks = EXPLAINED[rule].looks
    lacking = ["{%s}" % name for name in ("pid", "va", "pa") if name not in known]
    there = tuple(one.format(**known) for one in looks if not any(name in one for name in lacking))
    return (*there, f"shrimp-explain {rule}")


def targets(rule: str, kernel: str, scenario: str = "", film: str = "") -> Tuple[str, ...]:
    """What to type in a shell next. kernel: as KERNEL= had it, or ""; scenario: where the rule failed, or ""; film: the file of one
    that lies beside what is told, or ""."""
    of = f" KERNEL={shlex.quote(kernel)}" if kernel else ""
    films = () if not EXPLAINED[rule].films else (f"open {film}",) if film else (f"make film{of}",)
    play = (f"make check{of} ONLY={scenario} OUT=marks",) if scenario else ()
    return (*films, *play)


def plain(rule: str) -> str:
    """The whole explanation, for a terminal: paragraphs under their heads, lines of any length."""
    one = EXPLAINED[rule]
    parts = [f"{rule}: {STATEMENTS[rule]}"]
    for head, field in _HEADS:
        parts.append(f"{head}\n  {getattr(one, field)}")
    parts.insert(3, "What usually breaks it\n" + "\n".join(f"  - {cause}" for cause in one.causes))
    parts.append("How to look further\n" + "\n".join(f"  {look}" for look in _looks(one)))
    return "\n\n".join(parts) + "\n"


def _looks(one: Explained) -> Tuple[str, ...]:
    names = {"pid": "PID", "va": "VA", "pa": "PA"}
    return (*(look.format(**names) for look in one.looks), *(("make film KERNEL=...",) if one.films else ()))


def markdown(beyond: Tuple[str, ...]) -> str:
    """docs/rules.md. beyond: the rules that the lab handout does not ask for."""
    lines = ["# The rules", "",
             "`shrimp-explain RULE` prints the same in GDB. This file is made from `gdb/shrimpy/words/explain.py` by `make golden`.", "",
             "| rule | what it demands |", "| --- | --- |"]
    lines += [f"| [{rule}](#{rule}) | {STATEMENTS[rule]}{' (beyond the handout)' if rule in beyond else ''} |" for rule in EXPLAINED]
    for rule, one in EXPLAINED.items():
        lines += ["", f"## {rule}", "", f"*{STATEMENTS[rule]}.*", "", one.meaning, "", f"**Why it matters.** {one.matters}", "",
                  "**What usually breaks it.**", "", *(f"- {cause}" for cause in one.causes), "", f"**What you see.** {one.seen}", "",
                  "**How to look further.** " + ", ".join(f"`{look}`" for look in _looks(one))]
        if rule in beyond:
            lines += ["", "The lab handout does not ask for this: `PROFILE=handout` tells it as a warning."]
    return "\n".join(lines) + "\n"
