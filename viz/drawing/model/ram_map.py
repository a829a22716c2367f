"""What each frame of RAM is for, as runs: the model of the RAM map."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Optional

from . import kit, words
from ..scene.text import shorten
from .frame_users import called
from .kit import PAGE, Frame, Index, User

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


def ram_map(index: Index) -> RamMap:
    """What every frame of RAM is for."""
    pieces = tuple(_joined(_pieces(index)))
    verdicts = kit.judgement(index).verdicts
    rules = {"L": ("frames-conserved",), "X": ("not-on-free-list", "orphan-alive", "table-private")}
    letters = {p.letter for p in pieces}
    wrong = frozenset(letter for letter, names in rules.items() if letter in letters
                      and any(v.rule in names and v.status == "fail" for v in verdicts))
    why = [v.why for letter in sorted(letters & rules.keys() - wrong) for v in verdicts
           if v.rule in rules[letter][:1] and v.status == "skipped"]
    return RamMap(pieces, wrong, tuple(dict.fromkeys(why)))


def _pieces(index: Index) -> Iterator[Piece]:
    """Runs in ascending order, without gaps."""
    layout = index.layout
    page = layout.page_size
    at, ram_end = layout.ram_base, layout.ram_end
    shown: list[tuple[int, int, str, Optional[Frame]]] = []      # [first, end), letter, its users
    kernel_end = -(-(layout.kernel_end or layout.ram_base) // page) * page
    if at < kernel_end:
        shown.append((at, min(kernel_end, ram_end), "I", None))
    shown += [(pa, pa + n_pages * page, "L", None) for pa, n_pages in index.snapshot.lost]
    for f in index.snapshot.frames:
        letter = "X" if index.is_free(f.pa, f.n_pages) else _letter(index, f.users)
        shown.append((f.pa, f.pa + f.n_pages * page, letter, f))
    for pa, n_pages in index.snapshot.free.runs:
        shown += [(a, b, "-", None) for a, b in _without(pa, pa + n_pages * page, index.frames(pa, n_pages))]
    for first, end, letter, frame in sorted(shown, key=lambda s: s[:3]):
        first, end = max(first, at), min(end, ram_end)
        if first >= end:
            continue
        if at < first:
            yield Piece(at, (first - at) // page, "?", None, PURPOSES["?"])
        yield Piece(first, (end - first) // page, letter, _pid(index, frame),
                    PURPOSES[letter] if frame is None else _who(index, frame, letter))
        at = end
    if at < ram_end:
        yield Piece(at, (ram_end - at) // page, "?", None, PURPOSES["?"])


def _without(first: int, end: int, frames: Iterable[Frame]) -> Iterator[tuple[int, int]]:
    """[first, end) less `frames`, which meet it and ascend."""
    for f in frames:
        if f.pa > first:
            yield first, f.pa
        first = f.pa + f.n_pages * PAGE
    if first < end:
        yield first, end


def _letter(index: Index, users: tuple[User, ...]) -> str:
    letters = {"U" if u.kind == "user" else _KINDS.get(u.kind, "O") for u in users}
    if len(letters) > 1:
        return "X" if letters != {"O", "T"} else "T"
    names = {index.shared(u.va) for u in users if u.kind == "user"}
    for name in ("SHRIMP", "FRY"):
        if name in names:
            return words.LETTER[name]
    return letters.pop() if letters else "?"


def _pid(index: Index, frame: Optional[Frame]) -> Optional[int]:
    """Whose frame it is: the only pid among its users, or that of the FRY."""
    if frame is None:
        return None
    owners = {u.pid for u in frame.users if u.kind == "user" and index.shared(u.va) == "FRY"} or {
        u.pid for u in frame.users}
    return owners.pop() if len(owners) == 1 else None


def _who(index: Index, frame: Frame, letter: str) -> str:
    told = [u.name or called(index, u) for u in frame.users[:_TOLD_USERS]]
    if len(frame.users) > _TOLD_USERS:
        told.append(f"{len(frame.users) - _TOLD_USERS} more")
    counts = index.snapshot.counts
    count = f"; {shorten(counts.name, 20)} {index.count(frame.pa)}" if counts else ""
    free = "free, and " if letter == "X" and index.is_free(frame.pa) else ""
    return free + ", ".join(told) + count


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
