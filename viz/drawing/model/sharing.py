"""Who shares which frame with whom: FRY and SHRIMP of every process, segments of shared memory, and what is wrong there.

A model of plain data between the snapshot and the figures that show sharing. What is wrong is
what the kit's rules say is wrong; what merely looks odd, where they hold back, is told as such.
"""
from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Optional

from . import kit
from .errors import VizError
from .kit import PAGE, Index, Mapping, Process, Segment, User


ATTACHED = "A"


@dataclass(frozen=True)
class Page:
    """FRY or SHRIMP of one process, or the first page of a segment that it has attached: where the page table says it is."""
    va: int
    pa: int
    mapping: Mapping


@dataclass(frozen=True)
class Accusation:
    """What the first verdict says of a page of a process, and how many more there are."""
    verdict: kit.Verdict
    n_more: int


@dataclass(frozen=True)
class Member:
    """A process with its two pages; `wrong` has one for each page that a verdict accuses, `wrong_pages`
    their letters F and S. attached: what it has of segments, the highest address first."""
    process: Process
    fry: Optional[Page]
    shrimp: Optional[Page]
    orphan: bool
    wrong: tuple[Accusation, ...]
    wrong_pages: frozenset[str]
    attached: tuple[Page, ...] = ()

    def page(self, row: str) -> Optional[Page]:
        """Of a row: F, S, or A with a number, an attachment; None where nothing is mapped."""
        if row.startswith(ATTACHED):
            n = int(row[len(ATTACHED):])
            return self.attached[n] if n < len(self.attached) else None
        return self.fry if row == "F" else self.shrimp

    @property
    def attached_rows(self) -> tuple[str, ...]:
        return tuple(f"{ATTACHED}{n}" for n in range(len(self.attached)))


class Odd(Enum):
    """What a frame of a sound kernel at rest does not show."""
    FREE = "free"               # on the free list
    OUTSIDE = "outside"         # of RAM
    FRY_OF_MANY = "fry-of-many"     # n processes
    FRY_OF_NONE = "fry-of-none"     # and no orphan's
    OTHER_USER = "other-user"   # user
    ACCUSED = "accused"         # verdict


@dataclass(frozen=True)
class Oddity:
    """One such thing, and of it what its kind has."""
    kind: Odd
    n: int = 0
    user: Optional[User] = None
    verdict: Optional[kit.Verdict] = None


@dataclass(frozen=True)
class SharedFrame:
    """A frame that is somebody's FRY or SHRIMP, and all its users; or the first of a segment's. Lists hold slots.

    is_wrong: whether a rule failed because of what is odd about it, or held back. attached_by: once for each attachment;
    read_only: of these, who may not write.
    """
    pa: int
    fry_of: tuple[int, ...]
    shrimp_of: tuple[int, ...]
    creator_gone: bool
    count: Optional[int]
    odd: tuple[Oddity, ...]
    is_wrong: bool
    segment: Optional[Segment] = None
    attached_by: tuple[int, ...] = ()
    read_only: frozenset[int] = frozenset()

    @property
    def users(self) -> tuple[int, ...]:
        return self.fry_of + self.shrimp_of + self.attached_by

    @property
    def worth_drawing(self) -> bool:
        return len(set(self.users)) > 1 or self.creator_gone or bool(self.odd) or bool(self.attached_by)

    @property
    def frames(self) -> tuple[int, ...]:
        """The addresses of all that the box stands for."""
        return _frames_of(self.segment) if self.segment else (self.pa,)


@dataclass(frozen=True)
class Sharing:
    members: dict[int, Member]          # by slot
    frames: dict[int, SharedFrame]      # by physical address
    held_back: int                      # verdicts that a later stop will tell
    elsewhere: int                      # that failed, but not about FRY or SHRIMP


def has_pages(index: Index) -> bool:
    """Whether the kernel has FRY and SHRIMP."""
    return index.layout.fry is not None and index.layout.shrimp is not None


def sharing(index: Index) -> Sharing:
    """The FRY and SHRIMP pages of all processes. Raises VizError when the kernel has none."""
    if not has_pages(index):
        missing = [n for n, va in (("FRY", index.layout.fry), ("SHRIMP", index.layout.shrimp)) if va is None]
        raise VizError(f"this kernel has no {' and no '.join(missing)}, so there is nothing that this figure could show; "
                       f"if it has such pages under other names, try: set shrimpy {missing[0].lower()} ADDRESS")
    return relations(index)


@lru_cache(maxsize=64)
def relations(index: Index) -> Sharing:
    """All processes, and FRY and SHRIMP as far as the kernel has them."""
    layout = index.layout
    judgement = kit.judgement(index)
    failures = [v for v in judgement.failures if v.va is not None and v.va in (layout.fry, layout.shrimp)]
    members = {}
    for p in index.processes:
        mine = [v for v in failures if v.pid == p.pid and v.about.kind != "frames"]
        fry, shrimp = (_page(index, p, va) for va in (layout.fry, layout.shrimp))
        members[p.slot] = Member(p, fry, shrimp, p.slot in judgement.orphans,
                                 _accused(mine),
                                 frozenset("F" if v.va == layout.fry else "S" for v in mine), attached(index, p))
    return Sharing(members, _frames(index, members, failures), judgement.n_held_back,
                   len(judgement.failures) - len(failures))


def _accused(failures: Iterable[kit.Verdict]) -> tuple[Accusation, ...]:
    """For each page the first verdict that failed, and how many more there are."""
    by_page: dict[Optional[int], list[kit.Verdict]] = {}
    for v in failures:
        by_page.setdefault(v.va, []).append(v)
    return tuple(Accusation(first, len(more)) for first, *more in by_page.values())


def _frames_of(segment: Segment) -> tuple[int, ...]:
    return tuple(pa + PAGE * i for pa, n in segment.frames for i in range(n))


def attached(index: Index, process: Process) -> tuple[Page, ...]:
    """The first page of each attachment."""
    firsts = {f"shm:{one.id}": one.frames[0][0] for one in index.snapshot.segments if one.frames}
    return tuple(Page(m.va + firsts[m.region] - m.pa, firsts[m.region], m)
                 for m in sorted(process.mappings, key=lambda m: -m.va)
                 if m.region in firsts and m.pa <= firsts[m.region] < m.pa + m.n_pages * PAGE)


def _page(index: Index, process: Process, va: Optional[int]) -> Optional[Page]:
    leaf = index.leaf(process, va)
    return None if leaf is None or va is None else Page(va, leaf.pa + va - leaf.va, leaf)


def _frames(index: Index, members: dict[int, Member],
            failures: Iterable[kit.Verdict]) -> dict[int, SharedFrame]:
    fry_of: dict[int, list[int]] = {}
    shrimp_of: dict[int, list[int]] = {}
    for slot, m in members.items():
        for page, users in ((m.fry, fry_of), (m.shrimp, shrimp_of)):
            if page:
                users.setdefault(page.pa, []).append(slot)
    accused = {page.pa for m in members.values() for letter in m.wrong_pages
               for page in [m.page(letter)] if page}
    told: dict[int, kit.Verdict] = {}
    for v in failures:
        if v.about.kind == "frames" and v.about.pa is not None:
            told.setdefault(v.about.pa, v)
    frames = {}
    for pa in sorted(set(fry_of) | set(shrimp_of)):
        creator_gone = pa not in fry_of and all(members[slot].orphan for slot in shrimp_of[pa])
        odd = _oddities(index, pa, len(fry_of.get(pa, ())), creator_gone, told.get(pa))
        frames[pa] = SharedFrame(pa, tuple(fry_of.get(pa, ())), tuple(shrimp_of.get(pa, ())), creator_gone,
                                 index.count(pa), odd, bool(odd) and (pa in accused or pa in told))
    for segment in index.snapshot.segments:
        if segment.frames and segment.frames[0][0] not in frames:
            one = _of_segment(index, members, segment)
            frames[one.pa] = one
    return frames


def _of_segment(index: Index, members: dict[int, Member], segment: Segment) -> SharedFrame:
    pa = segment.frames[0][0]
    mine = [(slot, page) for slot, m in members.items() for page in m.attached if page.pa == pa]
    odd = [Oddity(Odd.FREE)] if any(index.is_free(one) for one in _frames_of(segment)) else []
    odd += [Oddity(Odd.OTHER_USER, user=u) for one in _frames_of(segment) for u in index.users(one)
            if u.kind not in ("user", "segment")]
    return SharedFrame(pa, (), (), segment.removed, index.count(pa), tuple(dict.fromkeys(odd)), bool(odd), segment,
                       tuple(slot for slot, _ in mine), frozenset(slot for slot, page in mine if "W" not in page.mapping.flags))


def _oddities(index: Index, pa: int, n_fry: int, creator_gone: bool, verdict: Optional[kit.Verdict]) -> tuple[Oddity, ...]:
    """n_fry: of how many processes the frame is FRY; verdict: one that is about it."""
    layout = index.layout
    found = [Oddity(Odd.FREE)] if index.is_free(pa) else []
    found += [] if layout.ram_base <= pa < layout.ram_end else [Oddity(Odd.OUTSIDE)]
    found += [Oddity(Odd.FRY_OF_MANY, n_fry)] if n_fry > 1 else []
    found += [Oddity(Odd.FRY_OF_NONE)] if not n_fry and not creator_gone else []
    found += [Oddity(Odd.OTHER_USER, user=u) for u in index.users(pa) if u.kind != "user" or not index.shared(u.va)]
    return tuple(found + ([Oddity(Odd.ACCUSED, verdict=verdict)] if verdict else []))


def expected_frames(model: Sharing, slots: Collection[int]) -> set[int]:
    """The frames that processes of `slots` should have at SHRIMP and do not, where a rule says so; their owners
    are of `slots` too."""
    by_pid: dict[Optional[int], Member] = {m.process.pid: m for m in model.members.values()}
    parents = [by_pid.get(m.process.parent) for slot in slots for m in [model.members[slot]] if "S" in m.wrong_pages]
    return {parent.fry.pa for parent in parents if parent and parent.fry and parent.process.slot in slots}


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
    by_pid = {m.process.pid: slot for slot, m in model.members.items()}
    amiss |= {by_pid[m.process.parent] for m in model.members.values()     # whose FRY it should be
              if "S" in m.wrong_pages and m.process.parent in by_pid}
    for frame in model.frames.values():
        for slot in frame.users:
            partners[slot].update(frame.users)
        if frame.odd:
            amiss.update(frame.users)

    def rank(slot: int) -> tuple[object, ...]:
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
    slot_of: dict[Optional[int], int] = {model.members[s].process.pid: s for s in sorted(slots, reverse=True)}
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
