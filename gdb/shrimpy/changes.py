"""What differs between two snapshots of one run."""

from __future__ import annotations

from .records import record
from .snapshot import Mapping, Process, Snapshot


@record
class Change:
    """One difference. kind: "+" appeared, "-" went, "~" became different;
    what: "process" "state" "parent" "sz" "table" "mapping" "free" "hart";
    pid and va where they apply; before and after as words for people."""

    kind: str
    what: str
    pid: int | None = None
    va: int | None = None
    before: str = ""
    after: str = ""


def between(before: Snapshot, after: Snapshot) -> list[Change]:
    """Every difference in processes, their page tables and the free lists,
    processes by pid, mappings by address."""
    old = {p.pid: p for p in before.processes}
    new = {p.pid: p for p in after.processes}
    found: list[Change] = []
    for pid in sorted(old.keys() | new.keys()):
        if pid not in new:
            found.append(Change("-", "process", pid, before=_person(old[pid])))
        elif pid not in old:
            found.append(Change("+", "process", pid, after=_person(new[pid])))
            found += _mappings(pid, (), new[pid].mappings)
        else:
            found += _process(old[pid], new[pid])
    if before.free.count != after.free.count:
        found.append(Change("~", "free", before=f"{before.free.count} frames",
                            after=f"{after.free.count} frames"))
    return found


def _process(old: Process, new: Process) -> list[Change]:
    found = []
    for what, was, now in (("name", old.name or None, new.name or None), ("state", old.state, new.state),
                           ("parent", old.parent, new.parent), ("sz", old.sz, new.sz),
                           ("root", old.root, new.root)):
        if was != now:
            show = hex if what in ("sz", "root") else str
            found.append(Change("~", what, new.pid, before=_shown(was, show),
                                after=_shown(now, show)))
    was_tables = {t.pa: t for t in old.tables}
    now_tables = {t.pa: t for t in new.tables}
    for pa in sorted(was_tables.keys() ^ now_tables.keys()):
        table = was_tables.get(pa) or now_tables[pa]
        text = f"level {table.level} table {pa:#x}"
        gone = pa in was_tables
        found.append(Change("-" if gone else "+", "table", new.pid, table.va,
                            before=text if gone else "", after="" if gone else text))
    return found + _mappings(new.pid, old.mappings, new.mappings)


def _mappings(pid: int, old: tuple[Mapping, ...], new: tuple[Mapping, ...]) -> list[Change]:
    was = {m.va: m for m in old}
    now = {m.va: m for m in new}
    found = []
    for va in sorted(was.keys() | now.keys()):
        if va not in now:
            found.append(Change("-", "mapping", pid, va, before=_target(was[va])))
        elif va not in was:
            found.append(Change("+", "mapping", pid, va, after=_target(now[va])))
        elif _essence(was[va]) != _essence(now[va]):
            found.append(Change("~", "mapping", pid, va, _target(was[va]), _target(now[va])))
    return found


def _essence(mapping: Mapping) -> tuple:
    """What a kernel decides; the hardware sets A and D on its own."""
    return mapping.pa, mapping.level, mapping.flags[:6]


def _target(mapping: Mapping) -> str:
    return f"{mapping.pa:#x} {mapping.flags} {mapping.region}"


def _person(process: Process) -> str:
    parent = "no parent" if process.parent is None else f"child of {process.parent}"
    return f"{process.name or 'no name'}, {process.state}, {parent}"


def _shown(value: object, show: object) -> str:
    return "none" if value is None else show(value)
