"""The C names of the kernels that the kit knows: of variables, structs, functions and macros.

xv6-riscv's of the last six years, and what courses make of them. Everything that looks for something of a kernel by
name has its names here; processes.NAMES has those of a struct proc's fields.
"""

from __future__ import annotations

from collections import Counter
from typing import FrozenSet, Mapping, Optional, Sequence, Tuple

from ..memory.elf import Range
from ..memory.sv39 import RSW, RSW_NAMES
from ..records import record
from .debuginfo import DebugInfo


@record
class Wanted:
    """The names a DebugInfo should hold, where this kernel has them.

    variables: with their types, and every struct reached from those types by
    value or as an array's element; structs, enums: by tag (of an enum, all its
    enumerators); enumerators: of whichever enum has them; labels: address
    only; macros: value, where known.
    """

    variables: Tuple[str, ...]
    structs: Tuple[str, ...]
    enums: Tuple[str, ...]
    enumerators: Tuple[str, ...]
    labels: Tuple[str, ...]
    macros: Tuple[str, ...]


FREE_LISTS = ("kmem", "kmems", "kmem_cpu", "cpu_kmem", "kmem_list", "kmemlist", "kmem_array",
               "freelist", "freelists", "skmem", "superkmem", "kmem_super", "super_kmem",
               "supermem", "superfreelist", "hugekmem")

COUNTS = ("kmem", "refs", "ref", "refcnt", "refcnts", "ref_cnt", "ref_count", "refcount",
           "refcounts", "reference_count", "references", "pageref", "page_ref", "pagerefs",
           "page_refs", "pagecount", "page_count", "page_refcnt", "page_refcount",
           "page_ref_count", "pgref", "pgrefs", "pgrefcnt", "pageref_count", "cow", "cow_ref",
           "cowref", "cow_refs", "cowcount", "cow_count", "cow_refcount", "cow_refcnt",
           "cow_page_ref", "kref", "krefs", "memref", "mem_ref", "mem_refs", "mem_ref_count",
           "pa_ref", "pa_refs", "pa_ref_count", "physical_page_ref", "rc", "frame_refs",
           "useReference", "ref_stru", "pm_ref", "phypg_refcnt", "page_info", "pageinfo",
           "share_count", "refs_count", "pa2ref", "pgref_count")

STATES = ("UNUSED", "USED", "EMBRYO", "SLEEPING", "RUNNABLE", "RUNNING", "ZOMBIE", "STOPPED",
           "SUSPENDED")

WANTED = Wanted(
    variables=tuple(dict.fromkeys(
        ("proc", "ptable", "initproc", "cpus", "kernel_pagetable", "ftable", "disk", "wait_lock",
         "pid_lock", "nextpid", "slots", "panicked", "ticks", "started") + FREE_LISTS + COUNTS)),
    structs=("proc", "cpu", "spinlock", "run", "file", "pipe", "context", "trapframe"),
    enums=("procstate",),
    enumerators=("FD_PIPE",) + STATES,
    labels=("end", "etext", "trampoline", "uservec", "userret"),
    macros=("NPROC", "NCPU", "PHYSTOP", "KERNBASE", "MAXVA", "TRAMPOLINE", "TRAPFRAME", "FRY",
            "SHRIMP", "USYSCALL", "USERSTACK"),
)

ALLOCATOR_WORDS = ("kmem", "freelist", "free_list")
COUNT_WORDS = ("ref", "cow", "cnt", "count", "share")

SEGMENT_WORDS = ("shm", "segment", "sharedmem", "shared_mem")
"""Words in the names of variables that have a table of segments of shared memory."""

SEGMENT_FIELDS = {
    "frames": ("frames", "pages", "pas", "pa", "phys", "physaddr", "frame", "page"),
    "frame": ("frame", "page", "pa", "phys", "physaddr", "phys_addr", "paddr", "mem", "addr"),
    "size": ("shm_segsz", "segsz", "size", "sz", "length", "len"),
    "key": ("__key", "key", "shm_key"),
    "n_attached": ("shm_nattch", "nattch", "nattach", "n_attached", "nattached", "attached"),
    "n_users": ("refcnt", "refcount", "refs", "ref", "users"),
    "mode": ("mode", "shm_mode"),
    "removed": ("removed", "rmid", "deleted", "destroyed"),
    "id": ("shmid", "shm_id", "id"),
    "n_before": ("__seq", "seq"),
    "next": ("next",),
}
"""What trees call the parts of a segment. frames: addresses of each page, frame: of the only one."""

ATTACHMENT_FIELDS = {
    "va": ("va", "addr", "vaddr", "start", "base", "shmaddr"),
    "segment": ("segment", "seg", "shm", "obj", "region"),
    "id": ("shmid", "shm_id", "id"),
    "entry": ("perm", "perms"),
    "prot": ("prot",),
    "flags": ("shmflg", "flags"),
    "used": ("used", "valid", "in_use", "inuse"),
}
"""What trees call the parts of what a process keeps of an attachment. entry: the bits of an entry that it was mapped with."""

PROT_WRITE, SHM_RDONLY = 2, 0o10000
"""Of mmap(2) and shmat(2)."""

SEGMENT_REMOVED = 0o1000
"""In its mode: SHM_DEST of shmctl(2)."""

# What calls what

FUNCTION_NAMES = {
    "fork": ("fork", "kfork"), "exec": ("exec", "kexec"), "exit": ("exit", "kexit"),
    "wait": ("wait", "kwait"), "allocproc": ("allocproc",), "freeproc": ("freeproc",),
    "proc_pagetable": ("proc_pagetable",), "proc_freepagetable": ("proc_freepagetable",),
    "uvmunmap": ("uvmunmap",), "uvmcopy": ("uvmcopy",), "uvmclear": ("uvmclear",),
    "mappages": ("mappages",), "growproc": ("growproc",), "kalloc": ("kalloc",),
    "kfree": ("kfree",), "freewalk": ("freewalk", "freetables"), "userinit": ("userinit",),
    "page fault": ("vmfault", "uvmtouch", "lazyalloc", "lazy_alloc", "uvmlazytouch", "uvmlazyalloc", "lazy_allocate",
                   "pagefault", "page_fault", "handle_page_fault", "page_fault_handler", "pagefault_handler"),
    "usertrapret": ("usertrapret", "prepare_return", "leave"), "reparent": ("reparent",), "clone": ("clone", "sys_clone", "kthread_create"),
    "shmget": ("sys_shmget", "shmget", "sys_shm_open", "shm_open", "sys_shm_get", "shm_get"),
    "shmat": ("sys_shmat", "shmat"), "shmdt": ("sys_shmdt", "shmdt"),
}
"""What trees call the functions that verdicts speak of."""

MAKERS = frozenset(("exec", "kexec", "sys_exec", "fork", "kfork", "sys_fork", "clone", "sys_clone", "kfork_clone"))
"""Functions that hold frames of which only their own variables know."""

SWITCHING = frozenset(("swtch", "sched", "yield"))
"""Functions by which a process gives its hart away."""

ALLOCATING = frozenset(("kalloc", "kzalloc", "kfree", "kdup", "memset"))
"""Functions in which a frame is neither free nor somebody's."""

REFERRING = frozenset(("kfree", "kdup"))
"""Functions whose first argument is a frame that has one user less, or more."""

OUTERMOST = frozenset(("usertrap", "forkret", "scheduler", "main", "start", "_entry"))
"""Functions that a kernel stack begins with."""


def outermost(info: DebugInfo) -> FrozenSet[str]:
    """Those of whose name there is no other function: a static one may be called so, too."""
    if "outermost" not in info.learnt:
        n = Counter(one.name for one in info.functions)
        info.learnt["outermost"] = frozenset(name for name in OUTERMOST if n[name] < 2)
    found: FrozenSet[str] = info.learnt["outermost"]
    return found


FROM_USER, FROM_KERNEL, SYSTEM_CALL, FIRST_RUN = "usertrap", "kerneltrap", "syscall", "forkret"
"""What handles a trap from a program and from the kernel, what a system call goes through, where a process begins."""

PANICS = ("panic", "kpanic", "kernel_panic")

NO_PANICS = ("exit", "kexit", "do_exit", "sched", "scheduler", "main")
"""Functions that never return, and are no panic."""

FREEING = frozenset(("freewalk", "freetables", "uvmfree", "proc_freepagetable"))
"""Functions whose first argument is a table that is freed."""

LOCK, SLEEP_LOCK, PARENTS_LOCK = "spinlock", "sleeplock", "wait_lock"
"""The structs of a lock that is waited for by trying again, and by sleeping; which of the former guards who is whose child."""

GUARDED = {"ticks": "tickslock", "nextpid": "pid_lock"}
"""Variables, and the lock that guards each."""

OF_PARENTS = ("parent", "children", "child", "sibling", "siblings")
"""Fields of a process that say who is whose child."""

COPYING = frozenset(("memset", "memmove", "memcpy", "memcmp", "strlen", "strncpy", "strncmp", "safestrcpy", "bzero", "copyup"))
"""Functions that access what their callers name."""

GENERIC = frozenset((
    "kerneltrap", "kernelvec", "kvec", "trap", "freewalk", "freetables", "uvmfree", "uvmunmap", "uvmdealloc", "uvmalloc",
    "mappages", "kvmmap", "walk", "walkaddr", "kalloc", "kfree", "refsof", "setfree",
    "memset", "memmove", "memcpy", "memcmp", "strlen", "strncpy",
    "strncmp", "safestrcpy", "printf", "printk", "cprintf", "consputc", "acquire", "release", "holding", "push_off",
    "pop_off", "acquiresleep", "releasesleep", "sched", "yield", "swtch", "sleep", "wakeup", "mycpu", "myproc",
    "bread", "bwrite", "brelse", "bget", "ilock", "iunlock", "iput", "assert"))
"""Functions that panic for what their callers did."""

GROWING = ("sys_sbrk", "sys_brk")
"""The system call that moves the end of a program's memory."""

NOT_GROWING = ("freeproc", "exec", "kexec", "fork", "kfork", "panic", "printf", "sleep", "yield")
"""Functions that move it for another reason."""

PROCESS_TABLES = ("proc", "ptable", "procs", "proc_table", "processes", "tasks")
"""Variables that are the array of all processes, or have it in them; another array may have copies of some."""

CACHE_WORDS = ("cache", "itable", "inode", "slab", "log", "buf", "file", "pool")
"""Variables with such a word in their names may grow with what has been read from the disk."""


def wanted_variables(objects: Sequence[Range]) -> Tuple[str, ...]:
    """The variables that a DebugInfo should hold: WANTED's, and of `objects`,
    the data of the ELF symbol table, those whose names hint at free lists, at
    counts of users, or at segments of shared memory."""
    hinting = sorted({o.name for o in objects if o.size >= 8 and any(
        word in o.name.lower() for word in ALLOCATOR_WORDS + COUNT_WORDS + SEGMENT_WORDS)})
    return tuple(dict.fromkeys(WANTED.variables + tuple(hinting)))


def is_entry_bit(macro: str) -> bool:
    """Whether a macro, by its name, is a bit of a page table entry that the kernel has a meaning for."""
    return macro.startswith("PTE") or any(word in macro.split("_") for word in ("COW", "RSW"))


def rsw_names(info: DebugInfo) -> Tuple[str, ...]:
    """What a kernel calls the bits of an entry that are for software: by its macros, or RSW0 and RSW1."""
    return tuple(_rsw_name(info.macros, 1 << bit) or usual for bit, usual in zip(RSW, RSW_NAMES))


def _rsw_name(macros: Mapping[str, int], value: int) -> Optional[str]:
    """Of the macros with that value the one that says most of an entry's bit."""
    names = [name for name, known in macros.items() if known == value and is_entry_bit(name)]
    return min(names, key=lambda name: ("RSW" in name, not name.startswith("PTE"), name)) if names else None


def guard_of(free_list: str, locks: Sequence[str]) -> Optional[str]:
    """The lock that guards a free list: of the struct that has the list in it, both by their C names."""
    inside = [lock for lock in locks if free_list.startswith((f"{lock}.", f"{lock}["))]
    return max(inside, key=len) if inside else None


def lock_name(path: str) -> str:
    return path[:-len(".lock")] if path.endswith(".lock") else path
