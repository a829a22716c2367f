"""What each frame of RAM is for, as runs: the model of the RAM map."""
from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from . import kit, words
from .frame_users import purpose
from .snapshot_json import Frame, Run, Snapshot, User

PURPOSES = {
    "I": "the kernel's image",
    "K": "kernel stack",
    "T": "page table",
    "R": "trapframe (registers)",
    "U": "user memory",
    "F": "FRY, not shared",
    "S": "FRY that is SHRIMP of others",
    "O": "other holders (pipes, drivers)",
    "X": "in use twice over",
    "L": "lost: neither free nor used",
    "?": "not known",
    "-": "free",
}
"""By letter. Every frame has exactly one."""

_KINDS = {"table": "T", "kernel-table": "T", "trapframe": "R", "kstack": "K"}
_TOLD_USERS = 8


@dataclass(frozen=True)
class Piece:
    """`n_frames` frames from `pa` that are for the same thing: letter, whose (a pid, or None), in words."""
    pa: int
    n_frames: int
    letter: str
    pid: Optional[int]
    tip: str


@dataclass(frozen=True)
class RamMap:
    """Pieces that cover all of RAM, ascending; wrong: the letters L and X as far as a rule failed because of them."""
    pieces: tuple[Piece, ...]
    wrong: frozenset[str]
    why_not_judged: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Frames by letter, those of PURPOSES that there are."""
        found = {letter: 0 for letter in PURPOSES}
        for piece in self.pieces:
            found[piece.letter] += piece.n_frames
        return {letter: n for letter, n in found.items() if n}


def ram_map(snapshot: Snapshot) -> RamMap:
    """What every frame of RAM is for."""
    pieces = tuple(_joined(_pieces(snapshot)))
    verdicts = kit.judgement(snapshot.text).verdicts
    rules = {"L": ("frames-conserved",), "X": ("not-on-free-list", "orphan-alive", "table-private")}
    letters = {p.letter for p in pieces}
    wrong = frozenset(letter for letter, names in rules.items() if letter in letters
                      and any(v.rule in names and v.status == "fail" for v in verdicts))
    why = [v.why for letter in sorted(letters & rules.keys() - wrong) for v in verdicts
           if v.rule in rules[letter][:1] and v.status == "skipped"]
    return RamMap(pieces, wrong, tuple(dict.fromkeys(why)))


def _pieces(snapshot: Snapshot) -> Iterator[Piece]:
    """Runs in ascending order, without gaps."""
    layout = snapshot.layout
    page = layout.page_size
    at, ram_end = layout.ram_base, layout.ram_end
    shown: list[tuple[int, int, str, Optional[Frame]]] = []      # [first, end), letter, its users
    kernel_end = -(-(layout.kernel_end or layout.ram_base) // page) * page
    if at < kernel_end:
        shown.append((at, min(kernel_end, ram_end), "I", None))
    shown += [(r.pa, r.pa + r.n_pages * page, "L", None) for r in snapshot.lost]
    free = sorted((r.pa, r.pa + r.n_pages * page) for r in snapshot.free.runs)
    frames = sorted(snapshot.frames, key=lambda f: f.pa)
    used = [(f.pa, f.pa + f.n_pages * page) for f in frames]
    for f, (first, end) in zip(frames, used):
        shown.append((first, end, "X" if _meets(free, first, end) else _letter(snapshot, f.users), f))
    for first, end in free:
        shown += [(a, b, "-", None) for a, b in _without(first, end, used)]
    for first, end, letter, frame in sorted(shown, key=lambda s: s[:3]):
        first, end = max(first, at), min(end, ram_end)
        if first >= end:
            continue
        if at < first:
            yield Piece(at, (first - at) // page, "?", None, PURPOSES["?"])
        yield Piece(first, (end - first) // page, letter, _pid(snapshot, frame),
                    PURPOSES[letter] if frame is None else _who(snapshot, frame, letter))
        at = end
    if at < ram_end:
        yield Piece(at, (ram_end - at) // page, "?", None, PURPOSES["?"])


def _meets(runs: list[tuple[int, int]], first: int, end: int) -> bool:
    i = bisect_left(runs, (end, 0)) - 1
    return i >= 0 and runs[i][1] > first


def _without(first: int, end: int, taken: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """[first, end) less the runs of `taken`, which ascend."""
    i = max(bisect_left(taken, (first, 0)) - 1, 0)
    for a, b in taken[i:]:
        if a >= end:
            break
        if b > first:
            if a > first:
                yield first, a
            first = b
    if first < end:
        yield first, end


def _letter(snapshot: Snapshot, users: tuple[User, ...]) -> str:
    letters = {"U" if u.kind == "user" else _KINDS.get(u.kind, "O") for u in users}
    if len(letters) > 1:
        return "X" if letters != {"O", "T"} else "T"
    vas = {u.va for u in users if u.kind == "user"}
    if snapshot.layout.shrimp in vas:
        return "S"
    if snapshot.layout.fry in vas:
        return "F"
    return letters.pop() if letters else "?"


def _pid(snapshot: Snapshot, frame: Optional[Frame]) -> Optional[int]:
    """Whose frame it is: the only pid among its users, or that of the FRY."""
    if frame is None:
        return None
    owners = {u.pid for u in frame.users if u.kind == "user" and u.va == snapshot.layout.fry} or {
        u.pid for u in frame.users}
    return owners.pop() if len(owners) == 1 else None


def _who(snapshot: Snapshot, frame: Frame, letter: str) -> str:
    names = {snapshot.layout.fry: "FRY", snapshot.layout.shrimp: "SHRIMP"}
    told = [f"{names.get(u.va, f'page {u.va:#x}')} of pid {u.pid}" if u.kind == "user" and u.va is not None else
            u.name or purpose(u) for u in frame.users[:_TOLD_USERS]]
    if len(frame.users) > _TOLD_USERS:
        told.append(f"{len(frame.users) - _TOLD_USERS} more")
    count = f"; {words.shorten(snapshot.counts.name, 20)} {snapshot.counts.values.get(frame.pa, 0)}" \
        if snapshot.counts else ""
    free = "free, and " if letter == "X" and _is_free(snapshot.free.runs, frame, snapshot.layout.page_size) else ""
    return free + ", ".join(told) + count


def _is_free(runs: tuple[Run, ...], frame: Frame, page: int) -> bool:
    return any(r.pa <= frame.pa < r.pa + r.n_pages * page for r in runs)


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Neighbours of one letter and one owner as one piece."""
    last: Optional[Piece] = None
    tips: list[str] = []
    for piece in pieces:
        if last is not None and (piece.letter, piece.pid) == (last.letter, last.pid):
            last = Piece(last.pa, last.n_frames + piece.n_frames, last.letter, last.pid, "")
        else:
            if last is not None:
                yield _told(last, tips)
            last, tips = piece, []
        tips.append(piece.tip)
    if last is not None:
        yield _told(last, tips)


def _told(piece: Piece, tips: list[str]) -> Piece:
    tips = list(dict.fromkeys(tips))
    more = f"; and {len(tips) - 4} more" if len(tips) > 4 else ""
    return Piece(piece.pa, piece.n_frames, piece.letter, piece.pid,
                 f"{piece.pa:#x}, {words.count(piece.n_frames, 'frame')}: {'; '.join(tips[:4])}{more}")
