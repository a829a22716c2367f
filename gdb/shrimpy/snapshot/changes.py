"""What differs between two snapshots of one run."""

from __future__ import annotations

import dataclasses
from typing import AbstractSet, Dict, Iterator, List, Optional, Sequence, Tuple, TypeVar, Union

from ..memory.readers import PAGE
from ..memory.sv39 import RSW_NAMES, Table, soft_of
from ..records import address, record
from .attached import Attached, attachments
from .model import Mapping, Process, Segment, Snapshot

EMPTY = 0
"""What an entry is taken to hold where its table is there and it maps nothing."""


@record
class Change:
    """One difference. kind: "+" appeared, "-" went, "~" became different;
    what: "process" "name" "state" "parent" "sz" "root" "table" "pte" "frame"
    "free" "segment" (of shared memory) "attachment" (of one, at va); pid and va where they apply.

    Of a leaf ("pte") and of the entry that points to a table ("table"): pte_at
    is the entry's physical address, level the table's it is in; pte_before and
    pte_after are None when that table was not, or is no longer, there.
    before and after are words for people.
    """

    kind: str
    what: str
    pid: Optional[int] = None
    va: Optional[int] = address(default=None)
    pte_at: Optional[int] = address(default=None)
    level: Optional[int] = None
    pte_before: Optional[int] = address(default=None)
    pte_after: Optional[int] = address(default=None)
    before: str = ""
    after: str = ""


def between(before: Snapshot, after: Snapshot) -> List[Change]:
    """Every difference in processes, their page tables and the free lists,
    processes by pid, entries by address."""
    old = {p.pid: p for p in before.processes}
    new = {p.pid: p for p in after.processes}
    found: List[Change] = []
    was, now = attachments(before), attachments(after)
    for pid in sorted(old.keys() | new.keys()):
        if pid not in new:
            found.append(Change("-", "process", pid, before=_person(old[pid])))
        elif pid not in old:
            found.append(Change("+", "process", pid, after=_person(new[pid])))
            bare = dataclasses.replace(new[pid], root=None, tables=(), mappings=())
            found += of_process(bare, new[pid], after.layout.rsw)
        else:
            found += of_process(old[pid], new[pid], after.layout.rsw)
        found += [Change(kind, "attachment", pid, va, before=then, after=told) for kind, (_, va), then, told in _differing(
            *({(one.name, one.va): _rights(one) for one in some if one.process.pid == pid} for some in (was, now)))]
    found += [Change(kind, "segment", before=then, after=told) for kind, _, then, told in _differing(
        *({one.name: _segment(one) for one in snapshot.segments} for snapshot in (before, after)))]
    if before.free.count != after.free.count:
        found.append(Change("~", "free", before=f"{before.free.count} frames",
                            after=f"{after.free.count} frames"))
    return found


def of_process(old: Process, new: Process, rsw: Sequence[str] = RSW_NAMES) -> List[Change]:
    """The differences of one process: its fields, its tables, its leaves. rsw: the names of bits 8 and 9."""
    found: List[Change] = []
    for what, was, now in (("name", old.name or None, new.name or None), ("state", old.state, new.state),
                           ("parent", old.parent, new.parent), ("sz", old.sz, new.sz),
                           ("root", old.root, new.root)):
        if was != now:
            found.append(Change("~", what, new.pid, before=_shown(what, was), after=_shown(what, now)))
    was_tables = {t.pa: t for t in old.tables}
    now_tables = {t.pa: t for t in new.tables}
    there = was_tables.keys(), now_tables.keys()
    for pa in sorted(was_tables.keys() ^ now_tables.keys()):
        if pa not in (old.root, new.root):
            found.append(_table(new.pid, was_tables.get(pa), now_tables.get(pa), there))
    was_leaves = {m.va: m for m in old.mappings}
    now_leaves = {m.va: m for m in new.mappings}
    for va in sorted(was_leaves.keys() | now_leaves.keys()):
        first, then = was_leaves.get(va), now_leaves.get(va)
        if first is None or then is None or _essence(first) != _essence(then):
            found.append(_leaf(new.pid, first, then, there, rsw))
    return found


_There = Tuple[AbstractSet[int], AbstractSet[int]]
"""The tables that were there before, and after."""


def _table(pid: int, was: Optional[Table], now: Optional[Table], there: _There) -> Change:
    table = now or was
    assert table is not None, "in one of them"
    text = f"level {table.level} table {table.pa:#x}"
    before, after = _values(table.entry, was.pte if was else None, now.pte if now else None, there)
    return Change("+" if was is None else "-", "table", pid, table.va, table.entry,
                  table.level + 1, before, after, text if was else "", text if now else "")


def _leaf(pid: int, was: Optional[Mapping], now: Optional[Mapping], there: _There, rsw: Sequence[str]) -> Change:
    kind = "+" if was is None else "-" if now is None else "~"
    leaf = now or was
    assert leaf is not None, "in one of them"
    before, after = _values(leaf.pte_at, was.pte if was and was.pte_at == leaf.pte_at else None, now.pte if now else None, there)
    return Change(kind, "pte", pid, leaf.va, leaf.pte_at, leaf.level, before, after,
                  _target(was, rsw) if was else "", _target(now, rsw) if now else "")


def _values(at: Optional[int], was: Optional[int], now: Optional[int], there: _There) -> Tuple[Optional[int], Optional[int]]:
    """What the entry at `at` held before and after, where its table was there."""
    table = None if at is None else at & -PAGE
    before, after = (value if value is not None else EMPTY if table in tables else None
                     for value, tables in zip((was, now), there))
    return before, after


Key = TypeVar("Key", str, Tuple[str, int])


def _differing(was: Dict[Key, str], now: Dict[Key, str]) -> Iterator[Tuple[str, Key, str, str]]:
    """(kind of change, which, before, after) of things that are told in words."""
    for key in sorted(was.keys() | now.keys()):
        then, told = was.get(key, ""), now.get(key, "")
        if then != told:
            yield "+" if key not in was else "-" if key not in now else "~", key, then, told


def _rights(one: Attached) -> str:
    flags = sorted({m.flags[:6] for m in one.pages.values()})
    return f"{one.name} {' '.join(flags) or 'without a page'}" + ("" if one.is_complete else f", {len(one.pages)} of {one.n_pages} pages")


def _segment(one: Segment) -> str:
    said = (f"key {one.key:#x}" if one.key else "", f"{one.size} bytes" if one.size is not None else "",
            f"{one.n_attached} attached" if one.n_attached is not None else "", "removed" if one.removed else "")
    return ", ".join((one.name, *filter(None, said)))


def _essence(mapping: Mapping) -> Tuple[object, ...]:
    """What a kernel decides; the hardware sets A and D on its own."""
    return mapping.pa, mapping.level, mapping.flags[:6], soft_of(mapping.pte)


def _target(mapping: Mapping, rsw: Sequence[str]) -> str:
    return " ".join((f"{mapping.pa:#x}", mapping.flags, *soft_of(mapping.pte, rsw), mapping.region))


def _person(process: Process) -> str:
    parent = "no parent" if process.parent is None else f"child of {process.parent}"
    return f"{process.name or 'no name'}, {process.state}, {parent}"


def _shown(what: str, value: Union[int, str, None]) -> str:
    return "none" if value is None else hex(value) if isinstance(value, int) and what in ("sz", "root") else str(value)
