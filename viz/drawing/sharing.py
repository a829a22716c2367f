"""Who shares which frame with whom: FRY and SHRIMP of every process, and what is wrong there.

A model of plain data between the snapshot and the figures that show sharing.
"""
from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Iterable, Optional

from .errors import VizError
from .snapshot_json import Mapping, Process, Snapshot, User

RIGHT_FLAGS = "VRW-U"       # of "VRWXUGAD"; G, A and D say nothing about sharing


@dataclass(frozen=True)
class Page:
    """FRY or SHRIMP of one process: where the page table says it is."""
    va: int
    pa: int
    mapping: Mapping


@dataclass(frozen=True)
class Member:
    """A process with its two pages; `wrong` holds a line for each thing amiss."""
    process: Process
    fry: Optional[Page]
    shrimp: Optional[Page]
    orphan: bool
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class SharedFrame:
    """A frame that is somebody's FRY or SHRIMP, and all its users. Lists hold slots."""
    pa: int
    fry_of: tuple[int, ...]
    shrimp_of: tuple[int, ...]
    creator_gone: bool
    count: Optional[int]
    wrong: tuple[str, ...]

    @property
    def users(self) -> tuple[int, ...]:
        return self.fry_of + self.shrimp_of

    @property
    def worth_drawing(self) -> bool:
        return len(self.users) > 1 or self.creator_gone or bool(self.wrong)


@dataclass(frozen=True)
class Sharing:
    members: dict[int, Member]          # by slot
    frames: dict[int, SharedFrame]      # by physical address


def sharing(snapshot: Snapshot) -> Sharing:
    """The FRY and SHRIMP pages of all processes. Raises VizError when the kernel has none."""
    layout = snapshot.layout
    for name, va in (("fry", layout.fry), ("shrimp", layout.shrimp)):
        if va is None:
            raise VizError(f"layout.{name}: expected an address, found null: no Shrimpy layout in "
                           f"{snapshot.kernel}; try `set shrimpy {name} ADDRESS` before the snapshot")
    pages = {p.slot: (_page(p, layout.fry, layout.page_size), _page(p, layout.shrimp, layout.page_size))
             for p in snapshot.processes}
    members = _members(snapshot, pages)
    return Sharing(members, _frames(snapshot, members))


def _page(process: Process, va: int, page_size: int) -> Optional[Page]:
    for m in process.mappings:
        if m.va <= va < m.va + m.n_pages * page_size:
            return Page(va, m.pa + (va - m.va), m)
    return None


def _members(snapshot: Snapshot, pages: dict) -> dict[int, Member]:
    by_pid = {p.pid: p for p in reversed(snapshot.processes)}
    owners: dict[int, list[int]] = {}
    for p in snapshot.processes:
        if pages[p.slot][0]:
            owners.setdefault(pages[p.slot][0].pa, []).append(p.pid)
    members = {}
    for p in snapshot.processes:
        fry, shrimp = pages[p.slot]
        parent = by_pid.get(p.parent) if p.parent is not None else None
        parent_fry = pages[parent.slot][0] if parent else None
        # init, whose own parent is null, adopts; a pid that is no longer there cannot have
        adopted = p.parent is not None and (parent is None or parent.parent is None)
        orphan = adopted and shrimp is not None and shrimp.pa not in owners
        wrong = []
        if fry is None and p.state != "USED":
            wrong.append("FRY is not mapped")
        if shrimp is None:
            if p.parent is not None and p.state != "USED":
                wrong.append("SHRIMP is not mapped")
        elif not orphan and not (parent_fry and parent_fry.pa == shrimp.pa):
            whose = " and ".join(f"pid {pid}'s" for pid in owners.get(shrimp.pa, [])) or "nobody's"
            wrong.append(f"SHRIMP is {whose} FRY, " +
                         (f"not pid {p.parent}'s" if p.parent is not None else "yet it has no parent"))
        for name, page in (("FRY", fry), ("SHRIMP", shrimp)):
            if page and page.mapping.flags[:5] != RIGHT_FLAGS:
                wrong.append(f"{name} flags {page.mapping.flags[:5]}, not {RIGHT_FLAGS}")
        members[p.slot] = Member(p, fry, shrimp, orphan, tuple(wrong))
    return members


def _frames(snapshot: Snapshot, members: dict[int, Member]) -> dict[int, SharedFrame]:
    fry_of: dict[int, list[int]] = {}
    shrimp_of: dict[int, list[int]] = {}
    for slot, m in members.items():
        for page, users in ((m.fry, fry_of), (m.shrimp, shrimp_of)):
            if page:
                users.setdefault(page.pa, []).append(slot)
    layout = snapshot.layout
    others = _other_users(snapshot)
    runs = sorted((r.pa, r.pa + r.n_pages * layout.page_size) for r in snapshot.free.runs)
    frames = {}
    for pa in sorted(set(fry_of) | set(shrimp_of)):
        wrong = []
        i = bisect_right(runs, (pa, 1 << 64))
        if i and pa < runs[i - 1][1]:
            wrong.append("on the free list, yet mapped")
        if not layout.ram_base <= pa < layout.ram_end:
            wrong.append("outside RAM")
        if len(fry_of.get(pa, ())) > 1:
            wrong.append(f"FRY of {len(fry_of[pa])} processes")
        creator_gone = pa not in fry_of and all(members[slot].orphan for slot in shrimp_of[pa])
        if pa not in fry_of and not creator_gone:
            wrong.append("FRY of nobody")
        wrong += [f"also {_describe(u)}" for u in others.get(pa, ())]
        frames[pa] = SharedFrame(pa, tuple(fry_of.get(pa, ())), tuple(shrimp_of.get(pa, ())), creator_gone,
                                 snapshot.counts.values.get(pa, 0) if snapshot.counts else None,
                                 tuple(wrong))
    return frames


def _other_users(snapshot: Snapshot) -> dict[int, list[User]]:
    """By physical address, the users of each frame that are neither FRY nor SHRIMP."""
    ours = (snapshot.layout.fry, snapshot.layout.shrimp)
    return {f.pa: [u for u in f.users if not (u.kind == "user" and u.va in ours)]
            for f in snapshot.frames}


def _describe(user: User) -> str:
    what = {"user": "user memory", "table": "a page table", "kstack": "a kernel stack",
            "kernel-table": "a table of the kernel"}.get(user.kind, user.kind)
    of = f" of pid {user.pid}" if user.pid is not None else ""
    at = f" at {user.va:#x}" if user.kind == "user" and user.va is not None else ""
    return what + of + at


def select(model: Sharing, limit: int, pids: Optional[Iterable[int]] = None) -> list[int]:
    """The slots to draw, at most `limit`: those of `pids`, or those with most to show.

    Something wrong comes first, then who shares with most others, then the lower pid.
    Raises VizError for a pid that is not there, and for too many.
    """
    if pids is not None:
        wanted = sorted(set(pids))
        there = {m.process.pid for m in model.members.values()}
        missing = [pid for pid in wanted if pid not in there]
        if missing:
            raise VizError(f"--pids: expected pids of the snapshot, found {missing[0]}; "
                           f"there are {', '.join(map(str, sorted(there))) or 'none'}")
        chosen = [slot for slot, m in model.members.items() if m.process.pid in wanted]
        if len(chosen) > limit:
            raise VizError(f"--pids: expected at most {limit} processes, found {len(chosen)}; "
                           "name fewer")
        return chosen
    partners: dict[int, set[int]] = {slot: set() for slot in model.members}
    amiss = {slot for slot, m in model.members.items() if m.wrong}
    for frame in model.frames.values():
        for slot in frame.users:
            partners[slot].update(frame.users)
        if frame.wrong:
            amiss.update(frame.users)

    def rank(slot: int) -> tuple:
        return (slot not in amiss, -len(partners[slot]), model.members[slot].process.pid, slot)
    return sorted(model.members, key=rank)[:limit]


@dataclass(frozen=True)
class Placed:
    """A process's place in the family tree; parent is a slot, or None when it is not drawn."""
    slot: int
    depth: int
    parent: Optional[int]


def family_order(model: Sharing, slots: Iterable[int]) -> list[Placed]:
    """`slots` as a family tree is read: each process right above its children.

    Of the children, those with the shallowest families come first, adopted ones last: that
    keeps lines short.
    Parents that form a circle in a broken kernel are cut open at the lowest pid.
    """
    slot_of = {model.members[s].process.pid: s for s in sorted(slots, reverse=True)}
    chosen = sorted(slots, key=lambda s: (model.members[s].process.pid, s))
    parent = {s: slot_of.get(model.members[s].process.parent) for s in chosen}
    for s in chosen:
        seen, up = {s}, parent[s]
        while up is not None and up not in seen:
            seen.add(up)
            up = parent[up]
        if up == s:
            parent[s] = None
    children: dict[Optional[int], list[int]] = {}
    for s in chosen:
        children.setdefault(parent[s], []).append(s)

    def height(s: int) -> int:
        return 1 + max((height(c) for c in children.get(s, ())), default=0)

    placed = []

    def place(s: int, depth: int) -> None:
        placed.append(Placed(s, depth, parent[s]))
        for c in sorted(children.get(s, ()), key=lambda c: (model.members[c].orphan, height(c))):
            place(c, depth + 1)
    for root in children.get(None, ()):
        place(root, 0)
    return placed
