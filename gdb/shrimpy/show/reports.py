"""What the commands print, as text made of a Snapshot."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..memory import sv39
from ..snapshot import Frame, Hart, KernelTable, Mapping, Process, Snapshot
from ..snapshot.attached import Attached, attachments
from ..snapshot.changes import Change
from ..snapshot.frames import User
from ..snapshot.index import Index
from ..step.events import Pairing, Step
from .text import Painter, table

PAGE = 4096


def processes(snapshot: Snapshot, paint: Painter) -> str:
    """xv6-ps: a line per process, by pid."""
    on_hart = {h.pid: h.hart for h in snapshot.harts if h.pid is not None}
    rows = [[str(p.pid), _number(p.parent), p.state, _number(on_hart.get(p.pid)),
             p.name, str(pages(p.sz)), _hex(p.root), _page_at(p, snapshot.layout.fry),
             _page_at(p, snapshot.layout.shrimp)]
            for p in sorted(snapshot.processes, key=lambda p: p.pid)]
    return table(["PID", "PARENT", "STATE", "HART", "NAME", "PAGES", "ROOT", "FRY", "SHRIMP"],
                 rows, paint)


def tree(snapshot: Snapshot, paint: Painter) -> str:
    """xv6-tree: who is whose child, with each one's two frames."""
    layout = snapshot.layout
    return "\n".join(f"{lead}{p.pid} {p.name} {p.state}  FRY {_page_at(p, layout.fry)}"
                     f"  SHRIMP {_page_at(p, layout.shrimp)}" for lead, p in family(snapshot)) + "\n"


def family(snapshot: Snapshot) -> list[tuple[str, Process]]:
    """Every process, parents first, each with the branches that lead to it."""
    known = {p.pid for p in snapshot.processes}
    children: dict[int | None, list[Process]] = {}
    for p in sorted(snapshot.processes, key=lambda p: p.pid):
        parent = p.parent if p.parent in known and p.parent != p.pid else None
        children.setdefault(parent, []).append(p)
    found: list[tuple[str, Process]] = []
    shown: set[int] = set()

    def branch(p: Process, lead: str, last: bool, top: bool) -> None:
        if p.pid in shown:
            return
        shown.add(p.pid)
        found.append((lead + ("" if top else "└─ " if last else "├─ "), p))
        below = children.get(p.pid, [])
        for child in below:
            branch(child, lead + ("" if top else "   " if last else "│  "),
                   child is below[-1], False)

    for p in children.get(None, []):
        branch(p, "", True, True)
    for p in snapshot.processes:        # parents in a ring: noise, but shown
        branch(p, "", True, True)
    return found


def harts(snapshot: Snapshot, paint: Painter) -> str:
    """xv6-harts: where each hart is; * marks the selected one."""
    return table(["", "HART", "MODE", "PID", "NAME", "PC", "FUNCTION", "ROOT", "NOFF"],
                 [_hart(h, snapshot) for h in snapshot.harts], paint)


def _hart(hart: Hart, snapshot: Snapshot) -> list[str]:
    owner = snapshot.process(hart.pid) if hart.pid is not None else None
    return ["*" if hart.hart == snapshot.stop.hart else "", str(hart.hart),
            hart.privilege or "?", _number(hart.pid), owner.name if owner else "-",
            _hex(hart.pc), hart.function or "-", root_name(hart.satp, snapshot),
            _number(hart.interrupt_depth)]


def root_name(satp: int | None, snapshot: Snapshot) -> str:
    """Whose page table a satp holds (Privileged 4.1.11: MODE 8 is Sv39)."""
    if satp is None:
        return "?"
    if satp >> 60 != 8:
        return "bare" if satp >> 60 == 0 else f"{satp:#x}"
    root = sv39.root_of(satp)
    if root == snapshot.kernel_table.root:
        return "kernel"
    owner = next((p for p in snapshot.processes if p.root == root), None)
    return f"{root:#x} (pid {owner.pid})" if owner else f"{root:#x}"


def where(snapshot: Snapshot) -> str:
    """One line on the stop: hart, privilege, process, place."""
    stop = snapshot.stop
    modes = {"U": "user mode", "S": "supervisor mode", "M": "machine mode"}
    owner = snapshot.process(stop.pid) if stop.pid is not None else None
    parts = [f"hart {stop.hart}", modes.get(stop.privilege or "", "privilege unknown"),
             f"pid {owner.pid} ({owner.name})" if owner else "no process",
             f"pc {_hex(stop.pc)}" + (f" in {stop.function}" if stop.function else "")]
    if stop.line is not None:
        parts.append(f"{stop.file}:{stop.line}")
    return ", ".join(parts + (["panicked"] if stop.panicked else []))


def mappings(title: str, entries: Iterable[Mapping], paint: Painter,
             rsw: Sequence[str] = sv39.RSW_NAMES) -> str:
    """xv6-vmmap: the mappings, neighbours that continue each other joined. rsw: the names of bits 8 and 9."""
    rows = [[f"{m.va:#x}", f"{m.va + n * PAGE:#x}", str(n), " ".join((m.flags, *sv39.soft_of(m.pte, rsw))), str(m.level),
             f"{m.pa:#x}", m.region] for m, n in runs(entries)]
    return title + "\n" + table(["FROM", "TO", "PAGES", "FLAGS", "LEVEL", "PHYSICAL", "REGION"],
                                rows, paint)


def segments(snapshot: Snapshot, paint: Painter) -> str:
    """xv6-shm: the segments of shared memory, and who has them attached where."""
    if not snapshot.segments:
        return "no segments of shared memory\n"
    attached = attachments(snapshot)
    rows = [[str(one.id), _known(one.key, "#x"), _known(one.size), _known(one.mode and one.mode & 0o777, "o"), _known(one.n_attached),
             "removed" if one.removed else "-", f"{one.frames[0][0]:#x}" if one.frames else "-",
             ", ".join(f"{each.process.pid}:{each.va:#x} {rights(each)}" for each in attached if each.segment is one) or "-"]
            for one in snapshot.segments]
    return table(["ID", "KEY", "BYTES", "MODE", "NATTCH", "STATUS", "FRAMES FROM", "ATTACHED"], rows, paint)


def rights(one: Attached) -> str:
    """R and W of an attachment's pages; "--" of one without a page."""
    return "/".join(sorted({m.flags[1:3] for m in one.pages.values()})) or "--"


def _known(number: int | None, how: str = "d") -> str:
    return "-" if number is None else format(number, how)


def runs(entries: Iterable[Mapping]) -> list[tuple[Mapping, int]]:
    """(first mapping, pages) of neighbours with equal flags, level and region
    and pa - va constant, by address."""
    found: list[tuple[Mapping, int]] = []
    for m in sorted(entries, key=lambda m: m.va):
        if found:
            first, n = found[-1]
            if m.va - first.va == n * PAGE == m.pa - first.pa and \
                    (m.flags, m.level, m.region, sv39.soft_of(m.pte)) == (
                        first.flags, first.level, first.region, sv39.soft_of(first.pte)):
                found[-1] = (first, n + m.n_pages)
                continue
        found.append((m, m.n_pages))
    return found


def walk(title: str, t: sv39.Translation, by_hand: str, paint: Painter) -> str:
    """xv6-walk: how an address translates, who may use it, and commands that
    read the same entries; `by_hand` is such a command up to the address."""
    vpn2, vpn1, vpn0, offset = sv39.indices(t.va)
    if not t.steps:
        return f"{title}\nVA {t.va:#x}: page fault: {t.fault}\n"
    lines = [title,
             f"VA {t.va:#x} = VPN[2] {vpn2} | VPN[1] {vpn1} | VPN[0] {vpn0} | offset {offset:#x}",
             f"   = {vpn2:09b} | {vpn1:09b} | {vpn0:09b} | {offset:012b}",
             table(["LEVEL", "INDEX", "ENTRY AT", "ENTRY", "MEANING"],
                   [[str(s.level), str(s.index), f"{s.pte_at:#x}", f"{s.pte:#018x}", s.text]
                    for s in t.steps], paint).rstrip("\n")]
    if t.fault is not None:
        lines.append(f"page fault: {t.fault}")
    elif t.pte is not None:
        lines.append(f"PA {t.pa:#x}")
        for who, user in (("user", True), ("kernel", False)):
            lines += [f"  {who:6} {kind:7} {access(t.pte, kind, user)}"
                      for kind in ("read", "write", "execute")]
    lines.append("by hand:")
    lines += [f"  {by_hand} {s.pte_at:#x}" for s in t.steps]
    if t.pa is not None:
        lines.append(f"  {by_hand} {t.pa & ~7:#x}")
    return "\n".join(lines) + "\n"


def access(pte: int, kind: str, user: bool) -> str:
    """"yes", or "no: " and why."""
    why = sv39.refusal(pte, kind, user)
    return "yes" if why is None else f"no: {why}"


def image_frames(snapshot: Snapshot) -> list[Frame]:
    """The frames of the kernel's image that processes map, such as the trampoline's, with every user: "kernel-image",
    "kernel-map" for each mapping in the kernel's own table, and the processes' mappings."""
    base, end = snapshot.layout.kernel_base, snapshot.layout.kernel_end
    if base is None or end is None:
        return []
    users: dict[int, list[User]] = {}
    for p in snapshot.processes:
        for m in p.mappings:
            for pa, va in _frames_within(m, base, end):
                users.setdefault(pa, []).append(User("user", p.pid, va))
    kernels = [(pa, va) for m in snapshot.kernel_table.mappings for pa, va in _frames_within(m, base, end) if pa in users]
    return [Frame(pa, 1, (User("kernel-image"), *(User("kernel-map", None, va) for at, va in kernels if at == pa), *theirs))
            for pa, theirs in sorted(users.items())]


def _frames_within(m: Mapping, base: int, end: int) -> Iterator[tuple[int, int]]:
    """(frame, virtual address) of the frames of a mapping that are in [base, end)."""
    first, past = max(m.pa, base & -PAGE), min(m.pa + m.n_pages * PAGE, end)
    return ((pa, m.va + pa - m.pa) for pa in range(first, past, PAGE))


def frame_users(pa: int, snapshot: Snapshot) -> list[dict[str, Any]]:
    """Every user of the frame that `pa` is in; a frame without one says what
    it is: "free" "kernel-image" "lost" "outside-ram" "unknown"."""
    frame = pa & -PAGE
    layout = snapshot.layout
    for f in (*snapshot.frames, *image_frames(snapshot)):
        if f.pa <= frame < f.pa + f.n_pages * PAGE:
            return [{"kind": u.kind, "pid": u.pid,
                     "va": None if u.va is None else hex(u.va + frame - f.pa),
                     "name": u.name} for u in f.users]
    kind = "unknown"
    if not layout.ram_base <= frame < layout.ram_end:
        kind = "outside-ram"
    elif layout.kernel_base is not None and layout.kernel_end is not None \
            and layout.kernel_base <= frame < layout.kernel_end:
        kind = "kernel-image"
    else:
        index = Index(snapshot)
        kind = "free" if index.is_free(frame) else "lost" if index.is_lost(frame) else kind
    return [{"kind": kind, "pid": None, "va": None, "name": None}]


def rmap(pa: int, snapshot: Snapshot, paint: Painter) -> str:
    """xv6-rmap: the users of a frame, and the kernel's own count of them."""
    users = frame_users(pa, snapshot)
    layout = snapshot.layout
    if not layout.ram_base <= pa < layout.ram_end:
        return (f"{pa:#x} is outside RAM, [{layout.ram_base:#x}, {layout.ram_end:#x}); "
                "for a virtual address, try: xv6-rmap $phys(PID, VA)\n")
    counts = snapshot.counts
    counted = f", {counts.name} says {dict(counts.values).get(pa & -PAGE, 0)}" if counts else ""
    rows: list[list[str]] = []
    for user in users:
        owner = snapshot.process(user["pid"])
        table_of = snapshot.kernel_table if user["kind"] == "kernel-map" else owner
        rows.append([user["kind"], _number(user["pid"]), owner.name if owner else "-",
                     user["va"] or "-", region_at(table_of, user["va"]) or user["name"] or "-"])
    return f"frame {pa & -PAGE:#x}{counted}\n" + \
        table(["KIND", "PID", "NAME", "VA", "WHAT"], rows, paint)


def region_at(owner: Process | KernelTable | None, va: str | None) -> str | None:
    if owner is None or va is None:
        return None
    at = int(va, 16)
    return next((m.region for m in owner.mappings
                 if m.va <= at < m.va + m.n_pages * PAGE), None)


def frame_totals(snapshot: Snapshot) -> dict[str, int]:
    """Frames of RAM by what uses them; a frame with users of several kinds
    counts under the first. "shared": those with more than one user."""
    layout = snapshot.layout
    totals: Counter[str] = Counter()
    for frame in snapshot.frames:
        totals[frame.users[0].kind if frame.users else "unknown"] += frame.n_pages
    totals["free"] = snapshot.free.count
    totals["lost"] = sum(n for _, n in snapshot.lost)
    if layout.kernel_base is not None and layout.kernel_end is not None:
        totals["kernel-image"] = pages(layout.kernel_end - layout.kernel_base)
    totals["ram"] = (layout.ram_end - layout.ram_base) // PAGE
    return dict(sorted(totals.items()))


def shared(snapshot: Snapshot) -> list[Frame]:
    """Frames that more than one process maps, or one at several addresses; the trampoline's, too."""
    return [f for f in (*image_frames(snapshot), *snapshot.frames) if sum(u.kind == "user" for u in f.users) > 1]


def frames(snapshot: Snapshot, paint: Painter) -> str:
    """xv6-frames: RAM by use, and the frames that processes share."""
    out = table(["FRAMES", "USE"], [[str(n), kind] for kind, n in
                                    frame_totals(snapshot).items()], paint)
    if not snapshot.free.complete:
        out += f"the free list could not be followed to its end: {snapshot.free.why}\n"
    rows = []
    for frame in shared(snapshot):
        users = ", ".join(f"{u.pid}:{region_at(snapshot.process(u.pid), hex(u.va)) or hex(u.va)}"
                          for u in frame.users if u.kind == "user" and u.va is not None)
        rows.append([f"{frame.pa:#x}", users])
    if rows:
        out += "\n" + table(["SHARED FRAME", "BY (PID:REGION)"], rows, paint)
    return out


def differences(found: list[Change], paint: Painter) -> str:
    """xv6-diff: a line per change."""
    if not found:
        return "nothing changed\n"
    rows = [[c.kind, c.what, _number(c.pid), _hex(c.va), c.before or "-", c.after or "-"]
            for c in found]
    return table(["", "WHAT", "PID", "VA", "BEFORE", "AFTER"], rows, paint)


def step(number: int, told: Step, paint: Painter, width: int = 96, brief: bool = False) -> str:
    """shrimp-step: what happened, where, why it matters, and what it changed.
    brief: the rest is shown elsewhere."""
    at = told.at
    lines = [paint("title", f"{number}  {told.title}")]
    place = f"{at.file}:{at.line}" if at.file else at.function or ""
    path = " > ".join(told.path)
    lines.append("   " + paint("dim", f"{place}  {path}".strip()))
    if at.source and not brief:
        lines.append(f"   | {at.source}")
    lines += textwrap.wrap(told.caption, max(width, 40), initial_indent="   ", subsequent_indent="   ")
    if brief:
        return "\n".join(lines) + "\n"
    lines += ["   " + change(c) for c in told.changes]
    if told.more_changes:
        lines.append(f"   and {told.more_changes} more such entries")
    lines.append("   " + pairing(told.pairing, paint))
    return "\n".join(lines) + "\n"


def change(c: Change) -> str:
    """One change: whose, which entry at which address, from what to what."""
    words = [c.kind, f"pid {c.pid}" if c.pid is not None else "", c.what]
    if c.va is not None:
        words.append(f"{c.va:#x}")
    text = " ".join(w for w in words if w)
    if c.pte_at is not None:
        text += (f": entry at {c.pte_at:#x} (level {c.level}) {entry(c.pte_before)} -> {entry(c.pte_after)}")
    then = " -> ".join(said for said in (c.before, c.after) if said)
    return f"{text}{',' if c.pte_at is not None else ':'} {then}"


def pairing(told: Pairing, paint: Painter) -> str:
    """The state of the pairing in one line."""
    role = {"holds": "good", "broken": "bad", "pending": "warn"}.get(told.state, "dim")
    return f"{paint(role, 'pairing ' + told.state)}: {told.text}"


def entry(value: int | None) -> str:
    """What a page table entry held, in words."""
    return "no table" if value is None else f"{value:#x}"


def pages(size: int) -> int:
    return (size + PAGE - 1) // PAGE


def _page_at(process: Process, va: int | None) -> str:
    found = next((m for m in process.mappings if m.va == va), None) if va is not None else None
    return f"{found.pa:#x}" if found else "-"


def _hex(value: int | None) -> str:
    return "-" if value is None else f"{value:#x}"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)
