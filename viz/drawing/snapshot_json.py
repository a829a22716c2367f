"""Loads a snapshot, JSON v1 (docs/architecture.md), and checks the parts that drawings use.

What is not in the schema is ignored, so that a later version 1 writer may add keys.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Optional, TypeVar

from . import json_node
from .consistency import contradictions
from .errors import VizError
from .json_node import Kind, Node
from .kit import sv39

KIND = Kind("shrimpy-snapshot", 1, "take the snapshot again with xv6-snapshot")

T = TypeVar("T")


@dataclass(frozen=True)
class Layout:
    """Addresses in bytes; RAM, the kernel's image and the allocator's frames are [base, end)."""
    page_size: int
    maxva: int
    ram_base: int
    ram_end: int
    kernel_base: Optional[int]
    kernel_end: Optional[int]
    alloc_end: Optional[int]
    trampoline: Optional[int]
    trapframe: Optional[int]
    fry: Optional[int]
    shrimp: Optional[int]
    rsw: tuple[str, ...] = sv39.RSW_NAMES   # what the kernel calls bits 8 and 9 of an entry


@dataclass(frozen=True)
class Stop:
    hart: Optional[int]
    privilege: Optional[str]
    pid: Optional[int]
    pc: Optional[int]
    function: Optional[str]
    file: Optional[str]
    line: Optional[int]
    panicked: bool


@dataclass(frozen=True)
class Hart:
    hart: int
    pid: Optional[int]


@dataclass(frozen=True)
class Lock:
    name: str
    held: bool
    hart: Optional[int]


@dataclass(frozen=True)
class Table:
    """A page table of a process: `entry` is the physical address of the PTE that points to it, None for
    the root; `va` the first virtual address that it covers; `pte` the value of that PTE, if known."""
    pa: int
    level: int
    entry: Optional[int]
    va: int
    pte: Optional[int]


@dataclass(frozen=True)
class Mapping:
    """One leaf PTE; `pte_at` is its physical address, `pte` its value, `flags` as in "VRW-U-AD", `soft` the names of the
    bits for software that are set."""
    va: int
    pa: int
    level: int
    n_pages: int
    flags: str
    pte: int
    pte_at: int
    region: str
    soft: tuple[str, ...] = ()

    @property
    def all_flags(self) -> str:
        return " ".join((self.flags, *self.soft))


@dataclass(frozen=True)
class Finding:
    """Something amiss in a page table: `at` is the physical address of the evidence, `va` and `pte` are
    of the entry where it is one."""
    kind: str
    at: Optional[int]
    text: str
    va: Optional[int]
    pte: Optional[int]


@dataclass(frozen=True)
class KernelTable:
    """The kernel's own page table; a mapping is a run of leaves, `pte` and `pte_at` the first one's."""
    root: Optional[int]
    tables: tuple[Table, ...]
    mappings: tuple[Mapping, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Process:
    slot: int
    pid: int
    parent: Optional[int]
    name: str
    state: str
    sz: int
    root: Optional[int]
    trapframe: Optional[int]
    tables: tuple[Table, ...]
    mappings: tuple[Mapping, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class User:
    kind: str
    pid: Optional[int]
    va: Optional[int]
    name: Optional[str]


@dataclass(frozen=True)
class Frame:
    pa: int
    n_pages: int
    users: tuple[User, ...]


@dataclass(frozen=True)
class Run:
    pa: int
    n_pages: int


@dataclass(frozen=True)
class Free:
    runs: tuple[Run, ...]
    complete: bool
    why: Optional[str]                  # not complete


@dataclass(frozen=True)
class Counts:
    name: str
    values: dict[int, int]


@dataclass(frozen=True)
class Snapshot:
    source: str
    kernel: str
    layout: Layout
    stop: Stop
    harts: tuple[Hart, ...]
    locks: tuple[Lock, ...]
    processes: tuple[Process, ...]
    frames: tuple[Frame, ...]
    free: Free
    counts: Optional[Counts]
    lost: tuple[Run, ...]
    kernel_table: KernelTable
    text: str = field(repr=False)       # what it was read from


def _layout(n: Node) -> Layout:
    names = ("kernel_base", "kernel_end", "alloc_end", "trampoline", "trapframe", "fry", "shrimp")
    return Layout(n.at("page_size").number(), n.at("maxva").hex(), n.at("ram_base").hex(), n.at("ram_end").hex(),
                  *(n.at(name).maybe(Node.hex) for name in names),
                  n.new("rsw").maybe(lambda one: one.each(Node.text)) or sv39.RSW_NAMES)


def _stop(n: Node) -> Stop:
    return Stop(n.at("hart").maybe(Node.number), n.at("privilege").maybe(Node.text),
                n.at("pid").maybe(Node.number), n.at("pc").maybe(Node.hex),
                n.at("function").maybe(Node.text), n.at("file").maybe(Node.text),
                n.at("line").maybe(Node.number), n.at("panicked").truth())


def _hart(n: Node) -> Hart:
    return Hart(n.at("hart").number(), n.at("pid").maybe(Node.number))


def _lock(n: Node) -> Lock:
    return Lock(n.at("name").text(), n.at("held").truth(), n.at("hart").maybe(Node.number))


def _table(n: Node) -> Table:
    return Table(n.at("pa").hex(), n.at("level").number(), n.at("entry").maybe(Node.hex), n.at("va").hex(),
                 n.new("pte").maybe(Node.hex))


def _mappings(n: Node, rsw: tuple[str, ...]) -> tuple[Mapping, ...]:
    def mapping(n: Node) -> Mapping:
        pte = n.at("pte").hex()
        return Mapping(n.at("va").hex(), n.at("pa").hex(), n.at("level").number(), n.at("n_pages").number(),
                       n.at("flags").flags(), pte, n.at("pte_at").hex(), n.at("region").text(), sv39.soft_of(pte, rsw))
    return n.at("mappings").each(mapping)


def _finding(n: Node) -> Finding:
    return Finding(n.at("kind").text(), n.at("at").maybe(Node.hex), n.at("text").text(), n.at("va").maybe(Node.hex),
                   n.at("pte").maybe(Node.hex))


def _kernel_table(n: Node, rsw: tuple[str, ...]) -> KernelTable:
    return KernelTable(n.at("root").maybe(Node.hex), n.at("tables").each(_table), _mappings(n, rsw),
                       n.at("findings").each(_finding))


def _process(n: Node, rsw: tuple[str, ...]) -> Process:
    return Process(n.at("slot").number(), n.at("pid").number(),
                   n.at("parent").maybe(Node.number), n.at("name").text(), n.at("state").text(),
                   n.at("sz").number(), n.at("root").maybe(Node.hex), n.at("trapframe").maybe(Node.hex),
                   n.at("tables").each(_table), _mappings(n, rsw), n.at("findings").each(_finding))


def _user(n: Node) -> User:
    return User(n.at("kind").text(), n.at("pid").maybe(Node.number), n.at("va").maybe(Node.hex),
                n.at("name").maybe(Node.text))


def _frame(n: Node) -> Frame:
    return Frame(n.at("pa").hex(), n.at("n_pages").number(), n.at("users").each(_user))


def _run(n: Node) -> Run:
    return Run(*n.pair())


def _free(n: Node) -> Free:
    return Free(n.at("runs").each(_run), n.at("complete").truth(), n.new("why").maybe(Node.text))


def _counts(n: Node) -> Counts:
    return Counts(n.at("name").text(), dict(n.at("values").each(Node.pair)))


def read(document: Node, text: str, kind: Kind = KIND) -> Snapshot:
    """The snapshot that begins at `document`, which `text` holds. Raises VizError."""
    root = document.document(kind)
    layout = _layout(root.at("layout"))
    snapshot = Snapshot(root.at("source").text(), root.at("kernel").text(), layout,
                        _stop(root.at("stop")), root.at("harts").each(_hart), root.at("locks").each(_lock),
                        root.at("processes").each(lambda n: _process(n, layout.rsw)), root.at("frames").each(_frame),
                        _free(root.at("free")), root.at("counts").maybe(_counts), root.at("lost").each(_run),
                        _kernel_table(root.at("kernel_table"), layout.rsw), text)
    for place, expected, found in contradictions(snapshot):
        raise VizError(f"{root.below(place)}: expected {expected}, found {found}; {kind.again}")
    return snapshot


def parse(text: str) -> Snapshot:
    """The snapshot that `text` holds. Raises VizError."""
    return read(json_node.parse(text, KIND), text)


def load(name: str, read: Callable[[str], T] = parse) -> T:
    """The snapshot in the file `name`, or on standard input when it is "-", as `read` takes its text.

    Raises VizError."""
    return json_node.load(name, read)
