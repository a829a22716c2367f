"""Loads a snapshot, JSON v1 (docs/architecture.md), and checks the parts that drawings use.

What is not in the schema is ignored, so that a later version 1 writer may add keys.
"""
from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional, TypeVar

from .consistency import contradictions
from .errors import VizError

SCHEMA = "shrimpy-snapshot"
VERSION = 1

T = TypeVar("T")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}")
_FLAGS = re.compile("[V-][R-][W-][X-][U-][G-][A-][D-]")
_AGAIN = "take the snapshot again with xv6-snapshot"


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
    """One leaf PTE; `pte_at` is its physical address, `pte` its value, `flags` as in "VRW-U-AD"."""
    va: int
    pa: int
    level: int
    n_pages: int
    flags: str
    pte: int
    pte_at: int
    region: str


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


class _Node:
    """A place in the JSON that knows its own path, for the error message."""

    def __init__(self, value: Any, path: str):
        self.value = value
        self.path = path

    def wrong(self, expected: str) -> VizError:
        found = json.dumps(self.value)
        if len(found) > 40:
            found = found[:40] + "..."
        return VizError(f"{self.path}: expected {expected}, found {found}; {_AGAIN}")

    def at(self, key: str) -> "_Node":
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        path = f"{self.path}.{key}" if self.path else key
        if key not in self.value:
            raise VizError(f"{path}: expected by {SCHEMA} version {VERSION}, found nothing; {_AGAIN}")
        return _Node(self.value[key], path)

    def new(self, key: str) -> "_Node":
        """What `key` holds, null in a file from before the key was added to version 1."""
        return self.at(key) if key in self.value else _Node(None, f"{self.path}.{key}")

    def each(self, read: Callable[["_Node"], T]) -> tuple[T, ...]:
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return tuple(read(_Node(item, f"{self.path}[{i}]")) for i, item in enumerate(self.value))

    def maybe(self, read: Callable[["_Node"], T]) -> Optional[T]:
        return None if self.value is None else read(self)

    def number(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or abs(self.value) >= 1 << 63:
            raise self.wrong("a whole number of 64 bits")
        return self.value

    def hex(self) -> int:
        if not isinstance(self.value, str) or not _HEX.fullmatch(self.value):
            raise self.wrong('a hex string such as "0x80000000"')
        return int(self.value, 16)

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.wrong("a string")
        return self.value

    def flags(self) -> str:
        if not isinstance(self.value, str) or not _FLAGS.fullmatch(self.value):
            raise self.wrong('flags such as "VRW-U-AD"')
        return self.value

    def truth(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.wrong("true or false")
        return self.value

    def pair(self) -> tuple[int, int]:
        if not isinstance(self.value, list) or len(self.value) != 2:
            raise self.wrong("a pair [address, number]")
        first, second = (_Node(v, f"{self.path}[{i}]") for i, v in enumerate(self.value))
        return first.hex(), second.number()


def _layout(n: _Node) -> Layout:
    names = ("kernel_base", "kernel_end", "alloc_end", "trampoline", "trapframe", "fry", "shrimp")
    return Layout(n.at("page_size").number(), n.at("maxva").hex(), n.at("ram_base").hex(), n.at("ram_end").hex(),
                  *(n.at(name).maybe(_Node.hex) for name in names))


def _stop(n: _Node) -> Stop:
    return Stop(n.at("hart").maybe(_Node.number), n.at("privilege").maybe(_Node.text),
                n.at("pid").maybe(_Node.number), n.at("pc").maybe(_Node.hex),
                n.at("function").maybe(_Node.text), n.at("file").maybe(_Node.text),
                n.at("line").maybe(_Node.number), n.at("panicked").truth())


def _hart(n: _Node) -> Hart:
    return Hart(n.at("hart").number(), n.at("pid").maybe(_Node.number))


def _lock(n: _Node) -> Lock:
    return Lock(n.at("name").text(), n.at("held").truth(), n.at("hart").maybe(_Node.number))


def _table(n: _Node) -> Table:
    return Table(n.at("pa").hex(), n.at("level").number(), n.at("entry").maybe(_Node.hex), n.at("va").hex(),
                 n.new("pte").maybe(_Node.hex))


def _mapping(n: _Node) -> Mapping:
    return Mapping(n.at("va").hex(), n.at("pa").hex(), n.at("level").number(), n.at("n_pages").number(),
                   n.at("flags").flags(), n.at("pte").hex(), n.at("pte_at").hex(), n.at("region").text())


def _finding(n: _Node) -> Finding:
    return Finding(n.at("kind").text(), n.at("at").maybe(_Node.hex), n.at("text").text(), n.at("va").maybe(_Node.hex),
                   n.at("pte").maybe(_Node.hex))


def _kernel_table(n: _Node) -> KernelTable:
    return KernelTable(n.at("root").maybe(_Node.hex), n.at("tables").each(_table), n.at("mappings").each(_mapping),
                       n.at("findings").each(_finding))


def _process(n: _Node) -> Process:
    return Process(n.at("slot").number(), n.at("pid").number(),
                   n.at("parent").maybe(_Node.number), n.at("name").text(), n.at("state").text(),
                   n.at("sz").number(), n.at("root").maybe(_Node.hex), n.at("trapframe").maybe(_Node.hex),
                   n.at("tables").each(_table), n.at("mappings").each(_mapping), n.at("findings").each(_finding))


def _user(n: _Node) -> User:
    return User(n.at("kind").text(), n.at("pid").maybe(_Node.number), n.at("va").maybe(_Node.hex),
                n.at("name").maybe(_Node.text))


def _frame(n: _Node) -> Frame:
    return Frame(n.at("pa").hex(), n.at("n_pages").number(), n.at("users").each(_user))


def _run(n: _Node) -> Run:
    return Run(*n.pair())


def _free(n: _Node) -> Free:
    return Free(n.at("runs").each(_run), n.at("complete").truth())


def _counts(n: _Node) -> Counts:
    return Counts(n.at("name").text(), dict(n.at("values").each(_Node.pair)))


def parse(text: str) -> Snapshot:
    """The snapshot that `text` holds. Raises VizError."""
    try:
        root = _Node(json.loads(text), "")
    except (ValueError, RecursionError) as e:
        raise VizError(f"expected a {SCHEMA} in JSON, found something else ({e}); {_AGAIN}") from None
    schema = root.value.get("schema") if isinstance(root.value, dict) else None
    if schema != SCHEMA:
        raise VizError(f'schema: expected "{SCHEMA}", found {json.dumps(schema)}; is it a snapshot?')
    version = root.value.get("version")
    if version != VERSION:
        raise VizError(f"version: expected {VERSION}, found {json.dumps(version)}; "
                       "use the gdb/ and viz/ of one checkout")
    snapshot = Snapshot(root.at("source").text(), root.at("kernel").text(), _layout(root.at("layout")),
                        _stop(root.at("stop")), root.at("harts").each(_hart), root.at("locks").each(_lock),
                        root.at("processes").each(_process), root.at("frames").each(_frame),
                        _free(root.at("free")), root.at("counts").maybe(_counts), root.at("lost").each(_run),
                        _kernel_table(root.at("kernel_table")), text)
    for place, expected, found in contradictions(snapshot):
        raise VizError(f"{place}: expected {expected}, found {found}; {_AGAIN}")
    return snapshot


def load(name: str, read: Callable[[str], T] = parse) -> T:
    """The snapshot in the file `name`, or on standard input when it is "-", as `read` takes its text.

    Raises VizError."""
    where = "standard input" if name == "-" else name
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return read(data.decode("utf-8"))
    except OSError as e:
        raise VizError(f"{where}: cannot be read: {e.strerror}") from None
    except UnicodeDecodeError as e:
        raise VizError(f"{where}: expected JSON in UTF-8, found byte {data[e.start]:#04x} "
                       f"at offset {e.start}") from None
    except VizError as e:
        raise VizError(f"{where}: {e}") from None
