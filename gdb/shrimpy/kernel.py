"""The one module that knows the kernel's C names.

Reads xv6-riscv trees of the last six years and what courses make of them,
through a Reader and a DebugInfo. What memory holds is never trusted: reads are
bounded by the types' sizes, and what cannot be right becomes a finding.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from functools import lru_cache
from itertools import compress, count
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from . import processes
from .debuginfo import DebugInfo, Range, Type
from .readers import PAGE, Reader, ReadError
from .records import Runs, record
from .sv39 import MAXVA, RSW, RSW_NAMES, Finding, root_of
from .stacks import FP, RA, SP, Stack, StackAt, Unwinder


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


_FREE_LISTS = ("kmem", "kmems", "kmem_cpu", "cpu_kmem", "kmem_list", "kmemlist", "kmem_array",
               "freelist", "freelists", "skmem", "superkmem", "kmem_super", "super_kmem",
               "supermem", "superfreelist", "hugekmem")

_COUNTS = ("kmem", "refs", "ref", "refcnt", "refcnts", "ref_cnt", "ref_count", "refcount",
           "refcounts", "reference_count", "references", "pageref", "page_ref", "pagerefs",
           "page_refs", "pagecount", "page_count", "page_refcnt", "page_refcount",
           "page_ref_count", "pgref", "pgrefs", "pgrefcnt", "pageref_count", "cow", "cow_ref",
           "cowref", "cow_refs", "cowcount", "cow_count", "cow_refcount", "cow_refcnt",
           "cow_page_ref", "kref", "krefs", "memref", "mem_ref", "mem_refs", "mem_ref_count",
           "pa_ref", "pa_refs", "pa_ref_count", "physical_page_ref", "rc", "frame_refs",
           "useReference", "ref_stru", "pm_ref", "phypg_refcnt", "page_info", "pageinfo",
           "share_count", "refs_count", "pa2ref", "pgref_count")

_STATES = ("UNUSED", "USED", "EMBRYO", "SLEEPING", "RUNNABLE", "RUNNING", "ZOMBIE", "STOPPED",
           "SUSPENDED")

WANTED = Wanted(
    variables=tuple(dict.fromkeys(
        ("proc", "ptable", "initproc", "cpus", "kernel_pagetable", "ftable", "disk", "wait_lock",
         "pid_lock", "nextpid", "slots", "panicked", "ticks", "started") + _FREE_LISTS + _COUNTS)),
    structs=("proc", "cpu", "spinlock", "run", "file", "pipe", "context", "trapframe"),
    enums=("procstate",),
    enumerators=("FD_PIPE",) + _STATES,
    labels=("end", "etext", "trampoline", "uservec", "userret"),
    macros=("NPROC", "NCPU", "PHYSTOP", "KERNBASE", "MAXVA", "TRAMPOLINE", "TRAPFRAME", "FRY",
            "SHRIMP", "USYSCALL", "USERSTACK"),
)

_ALLOCATOR_WORDS = ("kmem", "freelist", "free_list")
_COUNT_WORDS = ("ref", "cow", "cnt", "count", "share")


def wanted_variables(objects: Sequence[Range]) -> Tuple[str, ...]:
    """The variables that a DebugInfo should hold: WANTED's, and of `objects`,
    the data of the ELF symbol table, those whose names hint at free lists or
    at counts of users."""
    hinting = sorted({o.name for o in objects if o.size >= 8 and any(
        word in o.name.lower() for word in _ALLOCATOR_WORDS + _COUNT_WORDS)})
    return tuple(dict.fromkeys(WANTED.variables + tuple(hinting)))


def is_entry_bit(macro: str) -> bool:
    """Whether a macro, by its name, is a bit of a page table entry that the kernel has a meaning for."""
    return macro.startswith("PTE") or any(word in macro.split("_") for word in ("COW", "RSW"))


FUNCTION_NAMES = {
    "fork": ("fork", "kfork"), "exec": ("exec", "kexec"), "exit": ("exit", "kexit"),
    "wait": ("wait", "kwait"), "allocproc": ("allocproc",), "freeproc": ("freeproc",),
    "proc_pagetable": ("proc_pagetable",), "proc_freepagetable": ("proc_freepagetable",),
    "uvmunmap": ("uvmunmap",), "uvmcopy": ("uvmcopy",), "uvmclear": ("uvmclear",),
    "mappages": ("mappages",), "growproc": ("growproc",), "kalloc": ("kalloc",),
    "kfree": ("kfree",), "freewalk": ("freewalk",), "userinit": ("userinit",),
    "page fault": ("vmfault", "uvmtouch", "lazyalloc", "lazy_alloc", "uvmlazytouch", "uvmlazyalloc", "lazy_allocate",
                   "pagefault", "page_fault", "handle_page_fault", "page_fault_handler", "pagefault_handler"),
    "reparent": ("reparent",), "clone": ("clone", "sys_clone", "kthread_create"),
}
"""What trees call the functions that verdicts speak of."""


class Proc(NamedTuple):
    """A slot of proc[], as it is in memory."""

    slot: int
    address: int
    pid: int
    parent: int                         # address of a struct proc, or 0
    name: str
    state: str
    sz: int                             # bytes
    root: int                           # pagetable; 0 when it has none
    trapframe: int
    kstack: int                         # virtual
    lock_held: bool
    killed: bool
    chan: int
    context: Tuple[int, ...]            # ra, sp, s0 to s11, as far as it has them


class FreeHead(NamedTuple):
    """A list of the allocator: its name, its first node, pages to a node, and
    whether its type says that it is one."""

    name: str
    head: int
    n_pages: int
    is_typed: bool = True


class FreeWalk(NamedTuple):
    """The free frames: `marks` has a byte for each frame of RAM, 1 when it is
    free; counts are frames, by list."""

    marks: bytearray
    counts: List[Tuple[str, int]]
    complete: bool
    why: Optional[str]
    findings: List[Finding]
    sizes: Mapping[str, int] = {}       # pages to a node, by list


class _Nodes(NamedTuple):
    """How to step through free frames, by their index in RAM: the address in
    each frame's link, and the first and the last index of stretches in which
    each frame links to its neighbour."""

    words: Sequence[int]
    shortcuts: Dict[int, int]


class _Place(NamedTuple):
    """A variable, or a part of one: "kmem[0].freelist" at an address."""

    path: str
    address: int
    type: Type


class Kernel:
    """The kernel's data in one stopped machine's memory.

    Nothing is read before it is asked for. Methods return plain data, add to
    `findings` what cannot be right, and raise only ReadError, for a source
    that fails inside RAM.
    """

    def __init__(self, reader: Reader, info: DebugInfo) -> None:
        self.reader = reader
        self.info = info
        self.findings: List[Finding] = []

    # Constants

    def constant(self, macro: str, default: Optional[int] = None) -> Optional[int]:
        """The value of a macro of this kernel, or `default`."""
        return self.info.macros.get(macro, default)

    def trampoline(self) -> int:
        """The virtual address of the trampoline page."""
        return self.constant("TRAMPOLINE", self.constant("MAXVA", MAXVA) - PAGE)

    def trapframe(self) -> int:
        """The virtual address of the trapframe page."""
        return self.constant("TRAPFRAME", self.trampoline() - PAGE)

    def image(self) -> Tuple[int, Optional[int]]:
        """[base, end) of the kernel's image; end is None when nothing says it."""
        end = self.info.symbol("end")
        return self.constant("KERNBASE", self.reader.ram[0]), end.address if end else None

    def function_names(self) -> Tuple[Tuple[str, str], ...]:
        """(usual name, this kernel's name) of each function it has."""
        known = {f.name for f in self.info.functions}
        found = ((usual, next((n for n in names if n in known), None))
                 for usual, names in FUNCTION_NAMES.items())
        return tuple((usual, name) for usual, name in found if name)

    # Single variables

    def value(self, name: str) -> Optional[int]:
        """The number in variable `name`, or None when there is no such."""
        symbol = self.info.symbol(name)
        if symbol is None or not symbol.type.size or symbol.type.size > 8:
            return None
        return self._number(symbol.address, symbol.type.size)

    def next_pid(self) -> Optional[int]:
        """The pid that the next process gets, where the kernel counts them."""
        last = next((p for p in self._parts("slots") if p.path == "slots.lastpid"), None)
        if last is None:
            return self.value("nextpid")
        number = self._number(last.address, last.type.size)
        return None if number is None else number + 1

    def panicked(self) -> bool:
        """Whether the kernel has panicked."""
        return bool(self.value("panicked"))

    def root(self) -> Optional[int]:
        """The physical address of the kernel's root table, None before there is one."""
        return self.value("kernel_pagetable") or None

    # Processes

    def processes(self) -> List[Proc]:
        """Every process, by slot: of an array, that of its place; else its address,
        in units of 16 bytes from RAM's base."""
        kind = self.shape
        if kind is None:
            return []
        table = processes.table(self.info, kind)
        if table is None:
            found = processes.Search(self.reader, self.info, kind).addresses()
            base = self.reader.ram[0]
            slots = [(at - base >> 4, at, self._bytes(at, kind.size, f"a struct {kind.struct}") or b"") for at in found]
        else:
            data = self._bytes(table.address, kind.size * table.count, f"{table.variable}[]") or b""
            slots = [(i, table.address + i * kind.size, data[i * kind.size:(i + 1) * kind.size])
                     for i in range(len(data) // kind.size)]
        read = _proc_reader(self.reader, self.info, kind)
        state = kind.direct("state")
        if state is not None and table is not None:     # most slots are not in use
            unused = next((n for n, name in processes.states(self.info).items() if name == "UNUSED"), 0)
            slots = [one for one in slots if _word(one[2], state.offset, state.type.size) != unused]
        return [p for p in (read(*one) for one in slots) if p.state != "UNUSED"]

    @property
    def shape(self) -> Optional[processes.Shape]:
        """The struct of this kernel's processes; None, and a finding, when no type is like one."""
        kind = processes.shape(self.info)
        if kind is None:
            self._find("no-proc-table", None, self.info.undescribed_why("struct proc") or
                       "no type of this kernel is like a struct proc")
        return kind

    def has_processes(self) -> bool:
        """Whether a type of this kernel is like a struct proc."""
        return processes.shape(self.info) is not None

    def note_undescribed(self) -> None:
        """A finding that debugging information is missing, where processes are known anyway."""
        self._find("no-debug-info", None, self.info.undescribed_why("what it keeps"))

    def note_unseen(self, roots: Sequence[int], n_found: int) -> None:
        """A finding that there are processes that were not found; roots: tables of theirs."""
        more = f"; {n_found} were found, and {len(roots)} page tables are of others" if n_found else ""
        self._find("no-proc-table", roots[0] if roots else None, "this kernel has no array of processes, and no pointer whose "
                   f"type is known leads from its variables to {'all of them' if n_found else 'one'}{more}")

    def idle_pointers(self, used: Sequence[Proc]) -> Runs:
        """(frame, how many) of the pointers in slots of proc[] that are not of those in use: such a slot may keep a page, and its
        reference to it, for its next process."""
        kind = processes.shape(self.info)
        table = processes.table(self.info, kind) if kind else None
        if kind is None or table is None:
            return ()
        taken = {p.address for p in used}
        data = self._bytes(table.address, kind.size * table.count, f"{table.variable}[]") or b""
        pointers = [f.offset for f in self.info.structs.get(kind.struct, {}).values() if f.type.kind == "ptr"]
        return tuple(sorted(Counter(
            word & -PAGE for at in range(0, len(data), kind.size) if table.address + at not in taken
            for offset in pointers for word in [_word(data, at + offset, 8)] if word).items()))

    def n_slots(self) -> int:
        """Slots in proc[]: NPROC; 0 where the kernel has no such array."""
        kind = processes.shape(self.info)
        table = processes.table(self.info, kind) if kind else None
        return table.count if table else 0

    def proc_words(self, process: Proc) -> List[Tuple[str, int]]:
        """(field's name, word) of each aligned word of a struct proc, but for
        the saved registers, which may be stale."""
        kind = processes.shape(self.info)
        if kind is None:
            return []
        fields = sorted((f.offset, name, f.type)
                        for name, f in self.info.structs.get(kind.struct, {}).items())
        data = self._bytes(process.address, kind.size, f"struct {kind.struct}")
        if data is None:
            return []
        words = []
        for offset, name, t in fields:
            if t.name != "context":
                for at in range(offset + 7 & ~7, min(offset + t.size, kind.size) - 7, 8):
                    words.append((name, int.from_bytes(data[at:at + 8], "little")))
        return words

    def cpus(self) -> List[Tuple[int, int]]:
        """(address of the struct proc running there or 0, depth of push_off) by hart."""
        symbol = self.info.symbol("cpus", "cpu")
        kind = processes.shape(self.info)
        if symbol is None or kind is None:
            return []
        one = symbol.type.element if symbol.type.kind == "array" else symbol.type
        if one is None or one.kind != "struct" or not one.size:
            return []
        running = _running(self.info, one.name, kind)
        depth = self.info.field(one.name, "noff", "ncli")
        if running is None:
            return []
        offset, through = running
        number = min(symbol.type.count, 64) if symbol.type.kind == "array" else 1
        data = self._bytes(symbol.address, one.size * number, "cpus[]")
        if data is None:
            return []
        found = []
        for at in range(0, one.size * number, one.size):
            process = _word(data, at + offset, 8)
            if process and through is not None:
                process = self._pointer(process + through)
            found.append((process, _word(data, at + depth.offset, depth.type.size) if depth else 0))
        return found

    def _pointer(self, address: int) -> int:
        """The pointer in memory at an address that memory gave; 0 where that is outside RAM."""
        base, end = self.reader.ram
        return int.from_bytes(self.reader.read(address, 8), "little") if base <= address <= end - 8 else 0

    # Locks

    def locks(self) -> List[Tuple[str, bool, Optional[int]]]:
        """(name, held, hart) of each lock that guards what the rules read."""
        names = (*self._names(_FREE_LISTS, _ALLOCATOR_WORDS), "wait_lock", "pid_lock", "ftable")
        locks = [place for name in names
                 for place in self._parts(name)
                 if place.type.kind == "struct" and place.type.name == "spinlock"]
        return [(_lock_name(place.path), *self._lock(place.address)) for place in locks]

    # The allocator

    def free_heads(self) -> List[FreeHead]:
        """The heads of the allocator's lists, by name."""
        heads = {}
        for name in self._names(_FREE_LISTS, _ALLOCATOR_WORDS):
            for place in self._parts(name):
                if _is_free_list(place, name in _FREE_LISTS):
                    head = self._number(place.address, 8)
                    if head is not None:
                        big = any(w in place.path.lower() for w in ("super", "huge", "mega"))
                        heads[place.path] = FreeHead(place.path, head, 512 if big else 1,
                                                     _is_free_list(place, False))
                elif place.type.kind == "other" and name in _FREE_LISTS:
                    heads.update((head.name, head) for head in self._heads_in(place))
        return list(heads.values())

    def _by_order(self, heads: List[FreeHead], lowest: int, end: int) -> List[FreeHead]:
        """The heads, where those of an array are lists of blocks of 1, 2, 4, ... pages (a buddy allocator's): there
        are not as many as harts, and each node is aligned as such a block is."""
        arrays: Dict[str, List[Tuple[int, FreeHead]]] = {}
        for head in heads:
            index = re.search(r"\[(\d+)\]", head.name)
            if index and head.n_pages == 1:
                arrays.setdefault(head.name[:index.start()] + head.name[index.end():], []).append(
                    (int(index[1]), head))
        cpus = self.info.symbol("cpus")
        n_harts = cpus.type.count if cpus else self.constant("NCPU", 8)
        sizes: Dict[str, int] = {}
        for lists in arrays.values():
            if 1 < len(lists) <= _MAX_ORDERS and len(lists) != n_harts and any(
                    head.head for order, head in lists if order) and all(
                    self._are_blocks(head.head, 1 << order, lowest, end) for order, head in lists):
                sizes.update((head.name, 1 << order) for order, head in lists)
        return [head._replace(n_pages=sizes.get(head.name, head.n_pages)) for head in heads]

    def _are_blocks(self, node: int, n_pages: int, lowest: int, end: int) -> bool:
        """Whether the nodes of a list are aligned to `n_pages`, from address 0 or from the first frame."""
        nodes = []
        while node and len(nodes) < _MAX_BLOCKS:
            if node & PAGE - 1 or not lowest <= node <= end - n_pages * PAGE:
                return False
            nodes.append(node)
            node = self._number(node, 8) or 0
        return any(all((node - start) % (n_pages * PAGE) == 0 for node in nodes) for start in (0, lowest))

    def _heads_in(self, place: _Place) -> Iterator[FreeHead]:
        """The lists in a variable of which only the symbol table tells: its words that
        are the address of a frame behind the kernel's image."""
        base, end = self.image()
        data = self._bytes(place.address, min(place.type.size, PAGE) & -8, place.path) or b""
        for at in range(0, len(data), 8):
            word = _word(data, at, 8)
            if end is not None and not word & PAGE - 1 and end <= word < self.reader.ram[1]:
                yield FreeHead(f"{place.path}+{at}", word, 1)

    def free_frames(self, lowest: int, end: int) -> FreeWalk:
        """The allocator's lists walked to their ends, in [lowest, end).

        Finite whatever they hold: a frame met twice ends its list. Reads RAM
        in bulk where the reader can, else once per node.
        """
        ram_base, ram_end = self.reader.ram
        # One that only its name says may be a list of something else, such as of structs that describe frames.
        heads = [head for head in self.free_heads()
                 if head.is_typed or not head.head or not head.head & PAGE - 1 and lowest <= head.head < end]
        walk = FreeWalk(bytearray((ram_end - ram_base) // PAGE), [], True, None, [])
        if not heads:
            return walk._replace(complete=False, why="no free list is known in this kernel")
        lowest, end = max(lowest, ram_base), min(end, ram_end)
        heads = self._by_order(heads, lowest, end)
        nodes = self._nodes(lowest, end)
        complete = True
        for head in heads:
            n, wrong = self._walk_list(head, walk.marks, nodes, lowest, end)
            walk.counts.append((head.name, n * head.n_pages))
            if wrong:
                walk.findings.append(wrong)
                complete = False
        return walk._replace(complete=complete, sizes={head.name: head.n_pages for head in heads},
                             why=None if complete else "a free list could not be walked to its end")

    def _nodes(self, lowest: int, end: int) -> "_Nodes":
        field = self.info.field("run", "next")
        next_at = field.offset if field else 0
        base = self.reader.ram[0]
        words = self.reader.first_words() if next_at == 0 else None
        if words is None:
            return _Nodes(_WordByWord(self.reader, next_at), {})
        return _Nodes(_words(words), _shortcuts(words, base, lowest, end))

    def _walk_list(self, head: FreeHead, marks: bytearray, nodes: "_Nodes", lowest: int,
                   end: int) -> Tuple[int, Optional[Finding]]:
        """Mark the frames of one list; (nodes, what stopped it early or None)."""
        words, shortcuts = nodes
        base, n_pages = self.reader.ram[0], head.n_pages
        last = end - n_pages * PAGE
        node, n, before = head.head, 0, None
        while node:
            if node & PAGE - 1 or not lowest <= node <= last:
                return n, Finding("free-node-outside", before, f"{head.name}: node {n} is "
                                  f"{node:#x}, not a frame of [{lowest:#x}, {end:#x})")
            i = node - base >> 12
            if marks[i]:
                return n, Finding("free-node-twice", node, f"{head.name}: after {n} nodes frame "
                                  f"{node:#x} comes again: it was freed twice, or the list is "
                                  "a loop")
            if i in shortcuts and n_pages == 1:
                past = shortcuts[i]
                low = min(i, past)
                if marks.find(1, low, low + _STRAIGHT) < 0:
                    marks[low:low + _STRAIGHT] = b"\1" * _STRAIGHT
                    n += _STRAIGHT
                    before = base + past * PAGE
                    node = words[past]
                    continue
            marks[i] = 1
            if n_pages > 1:
                marks[i:i + n_pages] = b"\1" * n_pages
            n += 1
            before = node
            try:
                node = words[i]
            except ReadError as error:
                return n, Finding("unreadable", node, f"{head.name}: {error}")
        return n, None

    def counts(self, n_frames: int, ram_base: int) -> Optional[Tuple[str, Runs]]:
        """(name, ((frame, count), ...)) of the kernel's counts of users per
        frame, those that are not 0; None when it keeps none that is known.

        An array as long as RAM has frames is indexed from RAM's base. One as
        long as physical memory may be so too, or from address 0: where it has
        more counts says which. (A kalloc that is out of memory may count page 0.)
        """
        for name in self._names(_COUNTS, _COUNT_WORDS):
            for place in self._parts(name):
                shape = self._count_shape(place.type, n_frames)
                if shape is None:
                    continue
                offset, size, stride = shape
                whole = place.type.count >= (ram_base >> 12) + n_frames
                found = [_nonzero(data, offset, size, stride, ram_base)
                         for first in ((0, ram_base >> 12) if whole else (0,))
                         for data in [self._in_ram(place.address + first * stride, n_frames * stride)] if data]
                if found:
                    return place.path, max(found, key=len)
        return None

    def _count_shape(self, t: Type, n_frames: int) -> Optional[Tuple[int, int, int]]:
        """(offset in an element, bytes, stride) when `t` could hold counts."""
        if t.kind != "array" or t.count < n_frames or t.element is None:
            return None
        element = t.element
        if element.kind in ("int", "uint", "char") and element.size in (1, 2, 4, 8):
            return 0, element.size, element.size
        if element.kind == "struct":
            for name, field in self.info.structs.get(element.name, {}).items():
                if field.type.kind in ("int", "uint", "char") and any(
                        w in name.lower() for w in ("ref", "count", "cnt")):
                    return field.offset, field.type.size, element.size
        return None

    # Other holders of frames

    def pipes(self) -> List[int]:
        """The frames of open pipes, ascending."""
        found = set()
        for place in self._parts("ftable"):
            if place.type.kind != "array" or place.type.element is None:
                continue
            fields = self.info.structs.get(place.type.element.name, {})
            if not {"type", "ref", "pipe"} <= set(fields):
                continue
            size, number = place.type.element.size, min(place.type.count, 4096)
            data = self._bytes(place.address, size * number, place.path) or b""
            is_pipe = self._enumerator("FD_PIPE", 1)
            for at in range(0, len(data), size):
                kind, users, pipe = (_word(data, at + fields[f].offset, fields[f].type.size)
                                     for f in ("type", "ref", "pipe"))
                if kind == is_pipe and 0 < users < 1 << 31 and pipe:
                    found.add(pipe & -PAGE)
        return sorted(found)

    def driver_frames(self) -> List[Tuple[int, str]]:
        """(frame, the variable that points to it) of the disk's rings."""
        rings = ("disk.desc", "disk.avail", "disk.used")
        pointers = [place for place in self._parts("disk")
                    if place.type.kind == "ptr" and place.path in rings]
        return [(pa, place.path) for place in pointers
                for pa in [self._number(place.address, 8)] if pa]

    def data_words(self) -> Iterator[Tuple[int, Sequence[int]]]:
        """(address, words) of the kernel's variables, in pieces of 64 KiB."""
        base, end = self.image()
        etext = self.info.symbol("etext")
        start = (etext.address if etext else base) + 7 & -8
        stop = min(end or start, self.reader.ram[1])
        for at in range(max(start, self.reader.ram[0]), stop, 1 << 16):
            data = self._bytes(at, min(1 << 16, stop - at) & -8, "the kernel's data")
            if data:
                yield at, _words(data)

    def words(self, pa: int, n: int) -> Sequence[int]:
        """The words of `n` bytes at `pa`; none where that is not RAM."""
        base, end = self.reader.ram
        return _words(self.reader.read(pa, n & -8)) if base <= pa <= pa + n <= end else ()

    def _tables(self) -> Tuple[str, ...]:
        """The variable that has the processes in it."""
        kind = processes.shape(self.info)
        table = processes.table(self.info, kind) if kind else None
        return (table.variable,) if table else ()

    # Kernel stacks

    def calls(self, process: Proc, stack_at: StackAt) -> Optional[Tuple[str, ...]]:
        """The functions on the kernel stack of a process that is not running,
        innermost first; None when it cannot be followed to its top."""
        stack = self.stack(process, stack_at)
        return stack.names if stack.whole else None

    def stack(self, process: Proc, stack_at: StackAt) -> Stack:
        """The kernel stack of a process that is not running, from where swtch left it."""
        ra, sp, fp = process.context[:3]
        function = self.info.function_range(ra)
        registers = dict(zip((RA, SP, FP, 9, *range(18, 28)), process.context))
        return Unwinder(self.reader, self.info, stack_at).follow(
            ra, registers, function is not None and function.address == ra,
            process.kstack + PAGE if process.kstack else None)

    # Parts

    def _names(self, usual: Sequence[str], words: Sequence[str]) -> List[str]:
        """The variables of this kernel among `usual`, then others that have
        one of `words` in their names."""
        others = (n for n in sorted(self.info.symbols) if any(w in n.lower() for w in words))
        return [n for n in dict.fromkeys((*usual, *others)) if n in self.info.symbols]

    def _parts(self, name: str) -> Iterator[_Place]:
        """Variable `name`, and the fields and elements it has by value, two
        structs deep; of an array longer than a table of harts, only itself."""
        symbol = self.info.symbol(name)
        if symbol is not None:
            yield from self._parts_of(_Place(name, symbol.address, symbol.type), 3)

    def _parts_of(self, place: _Place, depth: int) -> Iterator[_Place]:
        yield place
        t = place.type
        if depth and t.kind == "struct":
            for name, field in self.info.structs.get(t.name, {}).items():
                yield from self._parts_of(_Place(f"{place.path}.{name}",
                                                 place.address + field.offset, field.type),
                                          depth - 1)
        elif depth and t.kind == "array" and t.element is not None and 0 < t.count <= 64:
            for i in range(t.count):
                yield from self._parts_of(_Place(f"{place.path}[{i}]",
                                                 place.address + i * t.element.size, t.element),
                                          depth - 1)

    def _lock(self, address: int) -> Tuple[bool, Optional[int]]:
        locked = self.info.field("spinlock", "locked")
        holder = self.info.field("spinlock", "cpu")
        if locked is None or not self._number(address + locked.offset, locked.type.size):
            return False, None
        cpus = self.info.symbol("cpus")
        if holder is None or cpus is None or cpus.type.element is None:
            return True, None
        at = (self._number(address + holder.offset, 8) or 0) - cpus.address
        size = cpus.type.element.size
        whole = size and at % size == 0 and 0 <= at < size * cpus.type.count
        return True, at // size if whole else None

    def _enumerator(self, name: str, default: int) -> int:
        return self.info.enums.get(name, default)

    # Reading

    def _number(self, address: int, size: int) -> Optional[int]:
        data = self._bytes(address, size, f"{size} bytes")
        return int.from_bytes(data, "little") if data is not None else None

    def _bytes(self, address: int, n: int, what: str) -> Optional[bytes]:
        data = self._in_ram(address, n)
        if data is None:
            self._find("outside-ram", address, f"{what}: [{address:#x}, {address + n:#x}) is "
                       "outside RAM: is this the kernel that runs?")
        return data

    def _in_ram(self, address: int, n: int) -> Optional[bytes]:
        base, end = self.reader.ram
        return self.reader.read(address, n) if base <= address <= address + n <= end else None

    def _find(self, kind: str, at: Optional[int], text: str) -> None:
        self.findings.append(Finding(kind, at, text))


_NUMBERS = ("pid", "parent", "sz", "root", "trapframe", "kstack", "killed", "chan")


def _proc_reader(reader: Reader, info: DebugInfo, kind: processes.Shape) -> Callable[[int, int, bytes], Proc]:
    """What makes a Proc of a slot's number, its address and its bytes."""
    def place(name: str) -> Callable[[int, bytes], int]:
        found = kind.fields.get(name)
        if found is None:
            return lambda address, data: 0
        if found.through is not None:
            return lambda address, data: processes.value(reader, address, found) or 0
        at, n = found.offset, min(found.type.size, 8)
        return lambda address, data: int.from_bytes(data[at:at + n], "little")

    numbers = [place(name) for name in _NUMBERS]
    state, states = place("state"), processes.states(info)
    name = kind.direct("name")
    lock, locked = kind.direct("lock"), info.field("spinlock", "locked", "lock")
    lock_at = (lock.offset + locked.offset, locked.type.size) if lock and locked else (0, 0)
    context = kind.fields.get("context")
    saved = _saved_registers(info, context.type.name) if context else []
    registers = [place_ for at in saved for place_ in [processes.Place(context.offset + at, Type("uint", 8), context.through)]]

    def register(address: int, data: bytes, one: processes.Place) -> int:
        return _word(data, one.offset, 8) if one.through is None else processes.value(reader, address, one) or 0

    def read(slot: int, address: int, data: bytes) -> Proc:
        pid, parent, sz, root, trapframe, kstack, killed, chan = (number(address, data) for number in numbers)
        number = state(address, data)
        text = data[name.offset:name.offset + name.type.size] if name else b""
        root = root_of(root) or root
        return Proc(slot, address, pid, parent, _printable(text), states.get(number, f"?{number}"),
                    sz, root, trapframe, kstack, bool(_word(data, *lock_at)), bool(killed), chan,
                    tuple(register(address, data, one) for one in registers))

    return read


_MAX_ORDERS = 20
_MAX_BLOCKS = 64
"""Nodes of a list that are looked at to know how it is ordered."""


def _running(info: DebugInfo, cpu: str, kind: processes.Shape) -> Optional[Tuple[int, Optional[int]]]:
    """Where struct cpu has a pointer to its process, and where that has one, if the
    first is to a thread; None where it has none."""
    fields = info.structs.get(cpu, {})
    pointers = [(name, f) for name, f in fields.items() if f.type.kind == "ptr" and f.type.element is not None]
    pointers.sort(key=lambda one: not any(w in one[0].lower() for w in ("proc", "cur", "thread", "task")))
    for _, field in pointers:
        if field.type.element.name == kind.struct:
            return field.offset, None
    for _, field in pointers:
        for inner in info.structs.get(field.type.element.name, {}).values():
            if inner.type.kind == "ptr" and inner.type.element is not None and inner.type.element.name == kind.struct:
                return field.offset, inner.offset
    return None


def _saved_registers(info: DebugInfo, context: str) -> List[int]:
    """Offsets in struct context of ra, sp, s0 to s11."""
    found = [info.field(context, "ra"), info.field(context, "sp")]
    if None in found:
        return []
    several = info.field(context, "s")
    if several is not None and several.type.kind == "array":
        return [f.offset for f in found] + [several.offset + 8 * i for i in range(min(several.type.count, 12))]
    for i in range(12):
        one = info.field(context, f"s{i}", *(("fp",) if i == 0 else ()))
        if one is None:
            break
        found.append(one)
    return [f.offset for f in found]


_STRAIGHT = 256
"""Frames of a stretch. After boot the free list is one long stretch: taken 256
frames at a time, walking 32,000 of them costs 1 ms instead of 4."""


class _WordByWord:
    """The link of frame i, a read each: for readers without bulk reads."""

    def __init__(self, reader: Reader, next_at: int) -> None:
        self._reader, self._start = reader, reader.ram[0] + next_at

    def __getitem__(self, i: int) -> int:
        return int.from_bytes(self._reader.read(self._start + i * PAGE, 8), "little")


@lru_cache(maxsize=2)
def _neighbours(base: int, n_frames: int) -> Tuple[bytes, bytes]:
    """For each frame the address of the one below, and of the one above, as
    memory holds them: the same for every snapshot of a machine."""
    return tuple(array("Q", range(base + by, base + by + n_frames * PAGE, PAGE)).tobytes()
                 for by in (-PAGE, PAGE))


def _shortcuts(words: bytes, base: int, lowest: int, end: int) -> Dict[int, int]:
    """The stretches of [lowest, end) in which frames link downward or upward."""
    down, up = _neighbours(base, len(words) // 8)
    found = {}
    for low in range(lowest - base >> 12, (end - base >> 12) - _STRAIGHT + 1, _STRAIGHT):
        high = low + _STRAIGHT - 1
        # The last frame of a stretch may link anywhere.
        if words[8 * low + 8:8 * high + 8] == down[8 * low + 8:8 * high + 8]:
            found[high] = low
        elif words[8 * low:8 * high] == up[8 * low:8 * high]:
            found[low] = high
    return found


def _word(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at:at + size], "little")


def _words(data: bytes) -> array:
    words = array("Q")
    words.frombytes(data)
    return words


def _printable(text: bytes) -> str:
    text = text.split(b"\0", 1)[0]
    return "".join(chr(c) if 32 <= c < 127 else f"\\x{c:02x}" for c in text)


def rsw_names(info: DebugInfo) -> Tuple[str, ...]:
    """What a kernel calls the bits of an entry that are for software: by its macros, or RSW0 and RSW1."""
    return tuple(_rsw_name(info.macros, 1 << bit) or usual for bit, usual in zip(RSW, RSW_NAMES))


def _rsw_name(macros: Mapping[str, int], value: int) -> Optional[str]:
    """Of the macros with that value the one that says most of an entry's bit."""
    names = [name for name, known in macros.items() if known == value and is_entry_bit(name)]
    return min(names, key=lambda name: ("RSW" in name, not name.startswith("PTE"), name), default=None)


def _lock_name(path: str) -> str:
    return path[:-len(".lock")] if path.endswith(".lock") else path


def _is_free_list(place: _Place, usual: bool) -> bool:
    """Whether a place heads a list of free frames: a pointer to a struct run,
    or in a variable with a `usual` name, one whose own name says so."""
    target = place.type.element
    if place.type.kind != "ptr":
        return False
    if target is not None and target.kind == "struct" and "run" in target.name:
        return True
    return usual and "free" in place.path.rsplit(".", 1)[-1].lower()


def _nonzero(data: bytes, offset: int, size: int, stride: int, ram_base: int) -> Runs:
    """((frame, number), ...) of the numbers in `data` that are not 0."""
    found: List[Tuple[int, int]] = []
    zeros = bytes(512 * stride)     # of most frames, which are free
    for start in range(0, len(data), len(zeros)):
        piece = data[start:start + len(zeros)]
        if piece == zeros:
            continue
        if stride == size:
            values = array({1: "B", 2: "H", 4: "I", 8: "Q"}[size], piece)
        else:
            values = [_word(piece, at + offset, size) for at in range(0, len(piece), stride)]
        first = ram_base + start // stride * PAGE
        found.extend((first + i * PAGE, values[i]) for i in compress(count(), values))
    return tuple(found)
