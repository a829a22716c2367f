"""The one module that knows the kernel's C names.

Reads xv6-riscv trees of the last six years and what courses make of them,
through a Reader and a DebugInfo.
"""

from __future__ import annotations

from typing import Tuple

from .records import record


@record
class Wanted:
    """The names a DebugInfo should hold, where this kernel has them.

    variables: with their types, and every struct reached from those types by
    value or as an array's element; structs, enums: by tag (of an enum, all its
    enumerators; of an enum without a tag, any whose enumerators include one of
    `enumerators`); labels: address only; macros: value, where known.
    """

    variables: Tuple[str, ...]
    structs: Tuple[str, ...]
    enums: Tuple[str, ...]
    enumerators: Tuple[str, ...]
    labels: Tuple[str, ...]
    macros: Tuple[str, ...]


_FREE_LISTS = ("kmem", "kmems", "kmem_cpu", "cpu_kmem", "kmem_list", "kmemlist", "freelist",
               "freelists", "skmem", "superkmem", "kmem_super", "super_kmem", "supermem",
               "superfreelist", "hugekmem")
_COUNTS = ("kmem", "refs", "ref", "refcnt", "refcnts", "ref_cnt", "ref_count", "refcount",
           "refcounts", "reference_count", "references", "pageref", "page_ref", "pagerefs",
           "page_refs", "pagecount", "page_count", "page_refcnt", "page_refcount", "page_ref_count",
           "pgref", "pgrefs", "pgrefcnt", "pageref_count", "cow_ref", "cowref", "cow_refs",
           "cowcount", "cow_count", "cow_refcount", "cow_refcnt", "cow_page_ref", "kref", "krefs",
           "memref", "mem_ref", "mem_refs", "mem_ref_count", "pa_ref", "pa_refs", "pa_ref_count",
           "physical_page_ref", "rc", "frame_refs", "frames", "useReference", "count", "ref_stru",
           "pm_ref", "phypg_refcnt", "page_info", "pageinfo", "share_count", "refs_count")

WANTED = Wanted(
    variables=tuple(dict.fromkeys(
        ("proc", "initproc", "cpus", "kernel_pagetable", "ftable", "file_table", "disk",
         "wait_lock", "pid_lock", "nextpid", "panicked", "ticks", "started")
        + _FREE_LISTS + _COUNTS)),
    structs=("proc", "cpu", "spinlock", "run", "file", "pipe", "context", "trapframe", "disk"),
    enums=("procstate",),
    enumerators=("FD_PIPE",),
    labels=("end", "etext", "trampoline", "uservec", "userret"),
    macros=("NPROC", "NCPU", "PHYSTOP", "KERNBASE", "MAXVA", "TRAMPOLINE", "TRAPFRAME", "FRY",
            "SHRIMP", "USYSCALL"),
)
