"""xv6-vmmap, xv6-walk, xv6-rmap, xv6-frames, xv6-shm: addresses and frames."""

from __future__ import annotations

import re

import gdb

from ..live.session import core_path, session
from ..memory import sv39
from ..records import encode
from ..show import reports
from ..snapshot import KernelTable, Mapping, Process, Snapshot
from ..snapshot.attached import attachments
from .base import Arg, Bad, Command, Opt, number, painter, process, virtual, write_json

KERNEL = "kernel"
SATP = "satp"

# Where a process has its own: to show the kernel's for want of a PID would mislead.
_OF_A_PROCESS = re.compile(r"\b(text|data|guard|stack|heap|shrimp|fry|trapframe)\b", re.I)


class Xv6Vmmap(Command):
    """List what a process's page table maps, neighbours joined.

    Without PID it is the process that the selected hart runs; "kernel" is the
    kernel's own table, "satp" what the selected hart's satp has. FLAGS are the entry's: V R W X U G A D,
    and its bits for software by the kernel's own names.
    """

    name = "xv6-vmmap"
    args = (Arg("PID", "table", optional=True),)
    opts = (Opt("-json"),)

    def run(self, given):
        taken = session.snapshot()
        if _is_satp(given.get("PID"), taken):
            of, owner, title = _in_satp(taken), None, f"the table in satp of hart {taken.stop.hart}"
        else:
            owner, title = _owner(given.get("PID"), taken)
            of = taken.kernel_table if owner is None else owner
        if "-json" in given:
            write_json({"pid": None if owner is None else owner.pid,
                        "root": None if of.root is None else hex(of.root),
                        "mappings": [encode(m) for m in of.mappings],
                        "findings": [encode(f) for f in of.findings]})
            return
        gdb.write(reports.mappings(f"{title}, root {_hex(of.root)}", of.mappings, painter(), taken.layout.rsw))
        for finding in of.findings:
            gdb.write(f"! {finding.text}\n")


class Xv6Walk(Command):
    """Explain how a virtual address translates, table by table.

    VA is an expression or the name of a region: fry, shrimp, trapframe,
    trampoline, text, stack, heap. Without PID it is the process that the
    selected hart runs, or where none runs, and VA is of no user region, the
    kernel's own table, as with "kernel" for PID; "satp" is the table that the
    selected hart's satp has. Then come who may read, write
    and execute there, and plain GDB commands that do it by hand.
    """

    name = "xv6-walk"
    args = (Arg("VA", "va"), Arg("PID", "table", optional=True))
    opts = (Opt("-json"),)

    def run(self, given):
        taken = session.snapshot()
        if _is_satp(given.get("PID"), taken):
            owner, title, root = None, f"the table in satp of hart {taken.stop.hart}", sv39.root_of(taken.stop.satp)
        else:
            owner, title = _owner(given.get("PID"), taken, not _OF_A_PROCESS.search(given["VA"]))
            root = taken.kernel_table.root if owner is None else owner.root
        va = virtual(given["VA"], taken, owner)
        if root is None:
            raise Bad(f"{title} has no page table")
        with session.memory() as reader:
            found = sv39.translate(reader, root, va, taken.layout.rsw)
        if "-json" in given:
            write_json(walk_json(found, owner))
            return
        by_hand = "x/1gx" if core_path() else "monitor xp /1gx"
        gdb.write(reports.walk(f"{title}, root {root:#x}", found, by_hand, painter()))


class Xv6Rmap(Command):
    """List every user of the frame that holds a physical address."""

    name = "xv6-rmap"
    args = (Arg("PA", "pa"),)
    opts = (Opt("-json"),)

    def run(self, given):
        taken = session.snapshot()
        pa = number(given["PA"], "a physical address")
        if "-json" in given:
            write_json({"frame": hex(pa & -reports.PAGE), "users": reports.frame_users(pa, taken)})
        else:
            gdb.write(reports.rmap(pa, taken, painter()))


class Xv6Frames(Command):
    """Count the frames of RAM by use, and list those that processes share."""

    name = "xv6-frames"
    opts = (Opt("-json"),)

    def run(self, given):
        taken = session.snapshot()
        if "-json" in given:
            write_json({"totals": reports.frame_totals(taken),
                        "shared": [encode(f) for f in reports.shared(taken)]})
        else:
            gdb.write(reports.frames(taken, painter()))


class Xv6Shm(Command):
    """List the segments of shared memory (System V's), and who has them attached where.

    NATTCH is the kernel's count; ATTACHED is what the page tables say: PID:ADDRESS and the rights, "--" where the kernel
    keeps an attachment of which no page is mapped.
    """

    name = "xv6-shm"
    opts = (Opt("-json"),)

    def run(self, given):
        taken = session.snapshot()
        if "-json" in given:
            attached = attachments(taken)
            write_json([{**encode(one), "attached": [
                {"pid": each.process.pid, "va": hex(each.va), "rights": reports.rights(each), "pages": len(each.pages)}
                for each in attached if each.segment is one]} for one in taken.segments])
        else:
            gdb.write(reports.segments(taken, painter()))


def walk_json(found: sv39.Translation, owner: Process | None) -> dict[str, object]:
    may = None
    if found.pte is not None:
        may = {who: {kind: sv39.refusal(found.pte, kind, user) is None
                     for kind in ("read", "write", "execute")}
               for who, user in (("user", True), ("kernel", False))}
    return {"pid": None if owner is None else owner.pid, "va": hex(found.va),
            "root": hex(found.root),
            "steps": [{"level": s.level, "index": s.index, "pte_at": hex(s.pte_at),
                       "pte": hex(s.pte), "text": s.text} for s in found.steps],
            "pa": None if found.pa is None else hex(found.pa),
            "fault": found.fault, "may": may}


def _is_satp(word: str | None, taken: Snapshot) -> bool:
    """Whether the table in the selected hart's satp is meant: it is named, or the hart
    is in user mode and nothing says which process it runs."""
    return word == SATP or word is None and taken.stop.privilege == "U" and taken.stop.pid is None


def _in_satp(taken: Snapshot) -> KernelTable:
    """What the table in the selected hart's satp maps. Raises Bad where there is no paging."""
    root = sv39.root_of(taken.stop.satp)
    if root is None:
        raise Bad(f"hart {taken.stop.hart} has no Sv39 table in satp")
    if root == taken.kernel_table.root:
        return taken.kernel_table
    with session.memory() as reader:
        found = sv39.walk(reader, root)
    known = next((p for p in taken.processes if p.root == root), None)
    at = ((taken.layout.trampoline, "trampoline"), (taken.layout.trapframe, "trapframe"))
    regions = {m.va: m.region for m in known.mappings} if known else {va: name for va, name in at if va is not None}
    mappings = tuple(Mapping(leaf.va, leaf.pa, leaf.level, leaf.n_pages, sv39.FLAGS[leaf.pte & 0xFF], leaf.pte, leaf.pte_at,
                             regions.get(leaf.va, "other")) for leaf in found.leaves)
    return KernelTable(root, tuple(found.tables), mappings, tuple(found.findings))


def _owner(word: str | None, taken: Snapshot,
           fall_back: bool = False) -> tuple[Process | None, str]:
    """(the process meant, or None for the kernel; a title). fall_back: the
    kernel when no process runs here and none was named."""
    if word == KERNEL or (word is None and fall_back and taken.stop.pid is None):
        return None, "the kernel's table"
    owner = process(word, taken)
    return owner, f"pid {owner.pid} ({owner.name})"


def _hex(value: int | None) -> str:
    return "none" if value is None else hex(value)


def register() -> None:
    Xv6Vmmap()
    Xv6Walk()
    Xv6Rmap()
    Xv6Frames()
    Xv6Shm()
