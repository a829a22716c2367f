"""Where a kernel keeps its processes, by its types: in an array, or wherever
pointers lead from its variables.

xv6 has an array proc[]; trees of courses have lists, pools, hash tables and
arrays of pointers, other names, and a part of a process in a struct of its own,
such as a thread.
"""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from ..memory.readers import PAGE, Reader, ReadError
from ..memory.sv39 import root_of
from .cnames import PROCESS_TABLES
from .debuginfo import DebugInfo, Field, Type

MAX_PROC = 4096
"""Processes that are read; more are noise in the debug info, or in memory."""

NAMES = {
    "pid": ("pid", "tgid", "procid", "process_id", "id", "tid"),
    "parent": ("parent", "pparent", "parentproc", "parent_proc", "father", "real_parent", "ppid", "parent_pid"),
    "sz": ("sz", "size", "memsz", "mem_sz", "memsize", "mem_size", "heap_end", "brk"),
    "root": ("pagetable", "pgtbl", "page_table", "pgdir", "pagetbl", "user_pagetable", "pgtable", "pt", "satp", "root"),
    "trapframe": ("trapframe", "tf", "trap_frame", "trapfr"),
    "kstack": ("kstack", "kernel_stack", "kern_stack", "stack"),
    "killed": ("killed", "is_killed"),
    "chan": ("chan", "wchan", "channel", "wait_channel", "sleep_chan"),
    "state": ("state", "pstate", "status", "procstate", "proc_state"),
    "name": ("name", "comm", "pname", "cmd"),
    "context": ("context", "ctx", "kcontext", "sched_context"),
    "lock": ("lock", "lk", "plock"),
}
"""What trees call the fields of a process; prefixes such as p_ and m_ do not count."""

_TELLING = ("pid", "root", "trapframe", "kstack", "state", "context", "parent", "sz")
"""Fields by which the struct of processes is known."""

_FEWEST = 3             # of them
_PREFIXES = ("p_", "m_", "t_", "proc_", "task_", "pr_")
_PARTS = ("thread", "main", "mm", "vm", "mem", "space", "sched", "task")
"""Words in the names of pointers to a struct that has a part of the process."""

_WORDS = {"FREE": "UNUSED", "NONE": "UNUSED", "EMBRYO": "USED", "CREATED": "USED", "NEW": "USED", "ALLOCATED": "USED",
          "INIT": "USED", "SLEEP": "SLEEPING", "BLOCKED": "SLEEPING", "WAITING": "SLEEPING", "READY": "RUNNABLE",
          "RUN": "RUNNING", "DEAD": "ZOMBIE", "EXITED": "ZOMBIE", "TERMINATED": "ZOMBIE", "DYING": "ZOMBIE"}
_STATES = ("UNUSED", "USED", "SLEEPING", "RUNNABLE", "RUNNING", "ZOMBIE", "STOPPED", "SUSPENDED")
_LIVELY = ("RUNNING", "RUNNABLE", "SLEEPING")   # the nearest to running first

_MOST_NODES = 1 << 15   # structs that are looked at on the way
_MOST_GAPS = 16         # unused slots in a row of an array that only a pointer shows
_NOT_FOLLOWED = frozenset(("spinlock", "sleeplock", "trapframe", "context", "inode", "file", "pipe", "buf"))


class Place(NamedTuple):
    """A field: at `offset`, or at `offset` of what the pointer at `through` points to."""

    offset: int
    type: Type
    through: Optional[int] = None


class Threads(NamedTuple):
    """What is in a struct of processes for each of its threads: `count` structs of `size` bytes at `offset`, and in each its state,
    whose numbers mean `states`."""

    offset: int
    size: int
    count: int  # type: ignore[assignment]  # hides the tuple's method
    state: Field
    states: Dict[int, str]

    def liveliest(self, process: bytes) -> str:
        """The state of that thread of a process which is nearest to running."""
        at, size = self.offset + self.state.offset, self.state.type.size
        found = {self.states.get(int.from_bytes(process[at + n * self.size:at + n * self.size + size], "little"))
                 for n in range(self.count)}
        return next((one for one in _LIVELY if one in found), "USED")


class Shape(NamedTuple):
    """A kernel's struct of processes: its key in DebugInfo, its bytes, its fields by
    NAMES' keys, and its threads, where they are what sleeps and runs."""

    struct: str
    size: int
    fields: Dict[str, Place]
    threads: Optional[Threads] = None

    def direct(self, name: str) -> Optional[Place]:
        """A field that is in the struct itself, or None."""
        place = self.fields.get(name)
        return place if place is not None and place.through is None else None


def shape(info: DebugInfo) -> Optional[Shape]:
    """The struct of this kernel's processes, or None when no type is like one."""
    if "processes" not in info.learnt:
        kind = _shape(info)
        info.learnt["processes"] = kind and kind._replace(threads=_threads(info, kind))
    found: Optional[Shape] = info.learnt["processes"]
    return found


def _threads(info: DebugInfo, kind: Shape) -> Optional[Threads]:
    """Those of a process whose own state says only whether there is one."""
    own = kind.direct("state")
    if own is None or own.type.kind != "enum" or set(_LIVELY).intersection(_meanings(info, own.type).values()):
        return None
    for field in info.structs.get(kind.struct, {}).values():
        one = field.type.element if field.type.kind == "array" else field.type
        if one is None or one.kind != "struct" or one.name in _NOT_FOLLOWED or not one.size:
            continue
        state = _named(info.structs.get(one.name, {}), "state")
        if state is not None and state.type.kind == "enum" and set(_LIVELY) <= set((known := _meanings(info, state.type)).values()):
            return Threads(field.offset, one.size, field.type.size // one.size, state, known)
    return None


def _shape(info: DebugInfo) -> Optional[Shape]:
    named = [key for key in ("proc", "process", "task", "task_struct", "Process", "Proc") if info.structs.get(key)]
    others = sorted(key for key in info.structs if key not in named)
    best: Optional[Shape] = None
    score = 0
    for key in named + others:
        fields = {name: place for name in NAMES for place in [_find(info, key, name)] if place is not None}
        found = sum(name in fields for name in _TELLING)
        # A struct that only leads to one, as struct cpu does, has no pid of its own.
        if info.struct_sizes.get(key) and _own_pid(info, key) and (found >= _FEWEST or key == "proc") and found > score:
            best, score = Shape(key, info.struct_sizes[key], fields), found
        if key == "proc" and best is not None:
            return best
    return best


def _own_pid(info: DebugInfo, key: str) -> bool:
    return key == "proc" or _named(info.structs.get(key, {}), "pid") is not None


def _find(info: DebugInfo, struct: str, name: str) -> Optional[Place]:
    """A field of a struct, of a struct in it, or of one that it points to."""
    fields = info.structs.get(struct, {})
    found = _named(fields, name, info)
    if found is not None:
        return Place(found.offset, found.type)
    for field in fields.values():
        t, offset = field.type, field.offset
        if t.kind == "array" and t.element is not None:     # of threads: the first
            t = t.element
        if t.kind == "struct" and t.name not in _NOT_FOLLOWED:
            inner = _named(info.structs.get(t.name, {}), name, info)
            if inner is not None:
                return Place(offset + inner.offset, inner.type)
    for field_name, field in fields.items():
        t = field.type
        if t.kind == "array" and t.element is not None and t.element.kind == "ptr":
            t = t.element
        if t.kind == "ptr" and t.element is not None and t.element.name not in (struct, "", *_NOT_FOLLOWED) \
                and any(word in field_name.lower() or word in t.element.name.lower() for word in _PARTS):
            inner = _named(info.structs.get(t.element.name, {}), name, info)
            if inner is not None:
                return Place(inner.offset, inner.type, field.offset)
    return None


def _named(fields: Dict[str, Field], name: str, info: Optional[DebugInfo] = None) -> Optional[Field]:
    plain: Dict[str, Field] = {}
    for given, field in fields.items():
        low = given.lower().rstrip("_")
        plain.setdefault(low, field)
        for prefix in _PREFIXES:
            if low.startswith(prefix):
                plain.setdefault(low[len(prefix):], field)
    for usual in NAMES[name]:
        if usual in plain and _fits(plain[usual].type, name):
            return plain[usual]
    if name == "trapframe":
        return next((f for f in fields.values() if f.type.kind == "ptr" and f.type.element is not None
                     and f.type.element.name == "trapframe"), None)
    return None


def _fits(t: Type, name: str) -> bool:
    if name == "name":
        return t.kind == "array" and t.element is not None and t.element.size == 1
    if name in ("context", "lock"):
        return t.kind == "struct"
    return t.kind in ("int", "uint", "enum", "ptr", "char") and 0 < t.size <= 8


def states(info: DebugInfo) -> Dict[int, str]:
    """What the numbers of this kernel's states mean, in xv6's words."""
    kind = shape(info)
    place = kind.fields.get("state") if kind else None
    known = _meanings(info, place.type) if place is not None else {}
    if len(known) < _FEWEST:
        known = _meaning(info, info.enums)
    return known if len(known) >= _FEWEST else dict(enumerate(_STATES[:6]))


def _meanings(info: DebugInfo, enum: Type) -> Dict[int, str]:
    return _meaning(info, info.enumerators.get(enum.name, ()))


def _meaning(info: DebugInfo, enumerators: Iterable[str]) -> Dict[int, str]:
    known: Dict[int, str] = {}
    for name in enumerators:
        parts = [_WORDS.get(part, part) for part in name.replace("::", "_").upper().split("_")]
        word = next((part for part in reversed(parts) if part in _STATES), None)
        value = info.enums.get(name)
        if word is not None and value is not None and (name.upper() == word or value not in known):
            known[value] = word
    return known


# Where they are

class Table(NamedTuple):
    """An array of processes: the variable that it is, or is in; where; and how many slots."""

    variable: str
    address: int
    count: int  # type: ignore[assignment]  # hides the tuple's method


def table(info: DebugInfo, kind: Shape) -> Optional[Table]:
    """The array of processes that a variable is, or has in it: that of a usual name, for another may be of copies of some;
    else the longest."""
    if "table" not in info.learnt:
        arrays = [Table(name, symbol.address + offset, min(t.count, MAX_PROC))
                  for name, symbol in info.symbols.items()
                  for offset, t in _arrays(info, symbol.type, 0, 3)
                  if t.element is not None and t.element.kind == "struct" and t.element.name == kind.struct
                  and t.element.size]
        info.learnt["table"] = max(arrays, key=lambda one: (one.variable in PROCESS_TABLES, one.count), default=None)
    found: Optional[Table] = info.learnt["table"]
    return found


def _arrays(info: DebugInfo, t: Type, offset: int, depth: int) -> Iterator[Tuple[int, Type]]:
    if t.kind == "array":
        yield offset, t
    elif t.kind == "struct" and depth:
        for field in info.structs.get(t.name, {}).values():
            yield from _arrays(info, field.type, offset + field.offset, depth - 1)


class Edge(NamedTuple):
    """A pointer in a struct or variable, and the struct that it points to."""

    offset: int
    struct: str


class Search:
    """Follows the kernel's pointers from its variables to processes."""

    def __init__(self, reader: Reader, info: DebugInfo, kind: Shape) -> None:
        self._reader, self._info, self._kind = reader, info, kind
        self._states = states(info)
        self._edges: Dict[str, List[Edge]] = {}
        self._inside: Dict[str, List[Tuple[str, int]]] = {}     # link -> (struct that has it in it, where)
        self._relevant = self._reaching()
        for struct in self._relevant | {kind.struct}:
            for offset, link in self._links(struct):
                self._inside.setdefault(link, []).append((struct, offset))

    def addresses(self) -> List[int]:
        """Where processes are, ascending; finite whatever memory holds."""
        found: Set[int] = set()
        seen: Set[Tuple[str, int]] = set()
        todo: List[Tuple[str, int]] = []
        for symbol in self._info.symbols.values():
            for offset, struct in self._of(symbol.type, 0):
                pointer = self._word(symbol.address + offset)
                todo.append((struct, pointer))
                if symbol.type.kind == "ptr" and struct == self._kind.struct and self.is_process(pointer):
                    todo.extend((struct, at) for at in self._row(pointer))
            for struct, offset in self._by_value(symbol.type, 0):
                todo.append((struct, symbol.address + offset))
        while todo and len(seen) < _MOST_NODES and len(found) < MAX_PROC:
            struct, at = todo.pop()
            if (struct, at) in seen or not self._is_place(at):
                continue
            seen.add((struct, at))
            if struct == self._kind.struct:
                if not self.is_process(at):
                    continue
                found.add(at)
            for holder, offset in self._inside.get(struct, ()):
                if holder != self._kind.struct or self.is_process(at - offset):
                    todo.append((holder, at - offset))
            todo.extend((edge.struct, self._word(at + edge.offset)) for edge in self._edges_of(struct))
            todo.extend((inner, at + offset) for inner, offset in self._by_value(Type("struct", 0, struct), 0)
                        if (inner, offset) != (struct, 0))
        return sorted(found)

    def is_process(self, at: int) -> bool:
        """Whether memory at an address is like a living process."""
        if not self._is_place(at):
            return False

        def number(name: str) -> Optional[int]:
            place = self._kind.fields.get(name)
            return None if place is None else value(self._reader, at, place)

        pid, state, root = number("pid"), number("state"), number("root")
        if pid is None or not 0 < pid < 1 << 31:
            return False
        if state is not None and self._states.get(state, "UNUSED") == "UNUSED":
            return False
        root = root_of(root) or root
        if root and (root & PAGE - 1 or not self._is_place(root)):
            return False
        name = self._kind.fields.get("name")
        if name is not None and name.through is None:
            text = self._read(at + name.offset, name.type.size).split(b"\0", 1)[0]
            if any(c < 32 or c > 126 for c in text):
                return False
        return bool(root or number("kstack") or number("trapframe"))

    def _row(self, first: int) -> Iterator[int]:
        """The processes after one, where a pointer leads to an array of them."""
        at, gaps = first, 0
        while gaps < _MOST_GAPS and self._is_place(at):
            if self.is_process(at):
                gaps = 0
                yield at
            else:
                gaps += 1
            at += self._kind.size

    # Types

    def _reaching(self) -> Set[str]:
        """The structs from which pointers lead to a process."""
        found = {self._kind.struct}
        grown = True
        while grown:
            grown = False
            for struct, fields in self._info.structs.items():
                if struct in found or struct in _NOT_FOLLOWED:
                    continue
                if any(self._leads(field.type, found) for field in fields.values()):
                    found.add(struct)
                    grown = True
        return found

    def _leads(self, t: Type, to: Set[str]) -> bool:
        if t.kind in ("ptr", "array"):
            return t.element is not None and (t.element.kind == "struct" and t.element.name in to
                                              or t.element.kind in ("ptr", "array") and self._leads(t.element, to))
        return t.kind == "struct" and t.name in to

    def _is_link(self, struct: str) -> bool:
        """Whether a struct is a link of a list that is embedded in others: it only
        points to its like."""
        pointers = [f.type.element for f in self._info.structs.get(struct, {}).values() if f.type.kind == "ptr"]
        return 0 < self._info.struct_sizes.get(struct, 0) <= 32 and struct != self._kind.struct and bool(pointers) \
            and all(e is not None and e.kind == "struct" and (e.name == struct or e.name in self._link_family(struct))
                    for e in pointers)

    def _link_family(self, struct: str) -> Set[str]:
        """The heads of lists whose links are `struct`, and the links of which it is a head."""
        family = set()
        for field in self._info.structs.get(struct, {}).values():
            e = field.type.element
            if e is not None and e.name and any(
                    f.type.kind == "ptr" and f.type.element is not None and f.type.element.name == e.name
                    for f in self._info.structs.get(e.name, {}).values()):
                family.add(e.name)
        return family

    def _links(self, struct: str) -> List[Tuple[int, str]]:
        """(offset, link) of each link that a struct has in it."""
        return [(offset, inner) for inner, offset in self._by_value(Type("struct", 0, struct), 0)
                if inner != struct and self._is_link(inner)]

    def _by_value(self, t: Type, offset: int, depth: int = 4) -> Iterator[Tuple[str, int]]:
        """The structs that matter in a type, itself included: (struct, where)."""
        if t.kind == "array" and t.element is not None:
            if t.element.kind in ("struct", "array"):
                for i in range(min(t.count, MAX_PROC)):
                    yield from self._by_value(t.element, offset + i * t.element.size, depth)
        elif t.kind == "struct" and depth and t.name not in _NOT_FOLLOWED:
            if t.name in self._relevant or self._is_link(t.name):
                yield t.name, offset
            for field in self._info.structs.get(t.name, {}).values():
                yield from self._by_value(field.type, offset + field.offset, depth - 1)

    def _edges_of(self, struct: str) -> List[Edge]:
        if struct not in self._edges:
            self._edges[struct] = [Edge(*edge) for field in self._info.structs.get(struct, {}).values()
                                   for edge in self._of(field.type, field.offset)]
        return self._edges[struct]

    def _of(self, t: Type, offset: int) -> Iterator[Tuple[int, str]]:
        """The pointers of a type, but for those in structs of its own, that matter."""
        if t.kind == "ptr" and t.element is not None and t.element.kind == "struct" \
                and (t.element.name in self._relevant or self._is_link(t.element.name)):
            yield offset, t.element.name
        elif t.kind == "array" and t.element is not None and t.element.kind in ("ptr", "array"):
            for i in range(min(t.count, MAX_PROC)):
                yield from self._of(t.element, offset + i * t.element.size)

    # Memory

    def _is_place(self, at: int) -> bool:
        base, end = self._reader.ram
        return not at & 7 and base <= at <= end - max(self._kind.size, 8)

    def _word(self, at: int) -> int:
        return int.from_bytes(self._read(at, 8), "little")

    def _read(self, at: int, n: int) -> bytes:
        try:
            return self._reader.read(at, n)
        except ReadError:
            return b""


def value(reader: Reader, process: int, place: Place) -> Optional[int]:
    """The number in a field of the process at an address; None where a pointer on
    the way leads nowhere."""
    at = process + place.offset
    base, end = reader.ram
    if place.through is not None:
        pointer = int.from_bytes(reader.read(process + place.through, 8), "little")
        at = pointer + place.offset
        if not base <= at <= end - 8:
            return None
    return int.from_bytes(reader.read(at, min(place.type.size, 8)), "little")
