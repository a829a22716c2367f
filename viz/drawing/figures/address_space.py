"""The address space of one process: one column, its top address first.

What other processes use too is filled, and FRY and SHRIMP lead to their frames on the right.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional

from ..model import words
from ..model.frame_users import FrameUsers, Others, shared_words
from ..model.kit import PAGE, Index, Mapping, Process
from ..model.sharing import Member, SharedFrame, Sharing, has_pages, sharing
from ..scene import elements, style
from ..scene.cards import LINE_PT, ROW_PT, Cell, Grid, Row, Said, n_chars, plain, small, strong, width_pt
from ..scene.text import shorten, wrap
from . import Drawing

LIMIT = 36              # rows
GAP_PT = 40             # between the column and the frames
BOX_PT = 166            # of a region's box, where addresses leave room enough
FRAME_PT = width_pt(17) # of a frame's box, at least
RUNS_PT = width_pt(14)   # of what is said of several runs of frames
LETTER_PT = width_pt(2)
REMARK = {
    "trampoline": "the kernel's way in and out",
    "trapframe": "registers during a trap",
    "guard": "user accesses fault",
}


class Like(NamedTuple):
    """What the pages of one row have in common. flags: "RWXU", - for a clear bit."""
    region: str
    flags: str
    soft: tuple[str, ...]
    level: int
    others: Others


@dataclass(frozen=True)
class Stretch:
    """Mappings one after the other in virtual memory that are alike."""
    mappings: tuple[Mapping, ...]
    like: Like

    @property
    def first(self) -> Mapping:
        return self.mappings[0]

    @property
    def n_pages(self) -> int:
        return sum(m.n_pages for m in self.mappings)

    @property
    def va(self) -> int:
        return self.mappings[0].va

    @property
    def end(self) -> int:
        """The virtual address behind its last page."""
        return self.mappings[-1].va + self.mappings[-1].n_pages * PAGE

    @property
    def frame_runs(self) -> list[tuple[int, int]]:
        """(first physical address, pages) of frames that follow each other as the pages do."""
        runs: list[tuple[int, int]] = []
        for m in self.mappings:
            if runs and m.pa == runs[-1][0] + runs[-1][1] * PAGE:
                runs[-1] = (runs[-1][0], runs[-1][1] + m.n_pages)
            else:
                runs.append((m.pa, m.n_pages))
        return runs


@dataclass(frozen=True)
class Line:
    """A row of the column: pages [va, end), or what is not mapped, or what is left out."""
    va: int
    end: int
    kind: str                               # "mapped" "gap" "left out"
    stretches: tuple[Stretch, ...] = ()


def draw(index: Index, process: Process) -> Drawing:
    """The address space of `process`."""
    title = f"What is mapped where in {words.name(process)}"
    model = sharing(index) if has_pages(index) else None
    column = list(reversed(column_of(index, process)))
    member = model.members[process.slot] if model else None
    notes = [*_left_out(column), *_missing(process, member), *words.cautions(index)]
    wrong = list(dict.fromkeys([*(map(words.accusation, member.wrong) if member else ()),
                                *(f"{_name(s)} {s.va:#x}: {w}" for line in column for s in line.stretches
                                  for w in s.like.others.wrong)]))
    stop = words.stop_line(index)
    role = words.role(index, member) if member else words.state(index, process)
    about = f"{role}, size {_size(process.sz)}, root table {_hex(process.root)}"
    picture = _Picture(index, process, model, column)
    picture.draw(wrong, notes)
    return Drawing(title, _description(column, [stop, about, *notes], wrong),
                   picture.grid.finished(title, [about, stop]))


def column_of(index: Index, process: Process) -> list[Line]:
    """The rows by address, at most LIMIT: neighbouring pages that are alike are one, and what is not
    mapped between them; what does not fit is left out, and what is shared, special or wrong last."""
    users = FrameUsers(index)
    stretches = _joined((m, Like(m.region, m.flags[words.RWXU], index.soft(m.pte), m.level, users.others(process, m)))
                        for m in sorted(process.mappings, key=lambda m: m.va))
    ranks = sorted(range(len(stretches)), key=lambda i: _rank(stretches[i]))[:LIMIT]
    while True:
        column = _with_gaps(stretches, set(ranks), index.layout.maxva)
        if sum(map(_weight, column)) <= LIMIT:
            return column
        ranks.pop()


def _joined(mappings: Iterable[tuple[Mapping, Like]]) -> list[Stretch]:
    """Mappings by address, those that touch and are alike joined."""
    found: list[Stretch] = []
    for m, like in mappings:
        if found and found[-1].like == like and found[-1].end == m.va:
            found[-1] = Stretch((*found[-1].mappings, m), like)
        else:
            found.append(Stretch((m,), like))
    return found


def _weight(line: Line) -> float:
    """The height of a row, in rows of one line."""
    if line.kind != "mapped":
        return 1 + (line.kind == "left out") * LINE_PT / ROW_PT
    s = line.stretches[0]
    like = s.like
    n_below = max((like.region in REMARK or bool(words.letter_of(like.region))) + bool(like.others.shared) + len(like.others.wrong)
                  + bool(like.level) + bool(like.soft), s.n_pages > 1)
    return 1 + n_below * LINE_PT / ROW_PT


def _rank(stretch: Stretch) -> tuple[object, ...]:
    like = stretch.like
    special = like.region not in ("text", "data", "heap", "user", "other")
    return not words.letter_of(like.region), not like.others.wrong, not special, not like.others.shared, -stretch.n_pages, stretch.va


def _with_gaps(stretches: Sequence[Stretch], kept: set[int], end: int) -> list[Line]:
    """All of [0, end) as rows; neighbours that are not kept become one, with the gaps between them."""
    rows: list[tuple[str, list[Stretch]]] = []
    for i, s in enumerate(stretches):
        if i not in kept and rows and rows[-1][0] == "left out":
            rows[-1][1].append(s)
        else:
            rows.append(("mapped" if i in kept else "left out", [s]))
    column: list[Line] = []
    reached = 0
    for kind, found in rows:
        if found[0].va > reached:
            column.append(Line(reached, found[0].va, "gap"))
        column.append(Line(found[0].va, found[-1].end, kind, tuple(found)))
        reached = found[-1].end
    if reached < end:
        column.append(Line(reached, end, "gap"))
    return column


class _Picture:
    """One drawing while it is made."""

    def __init__(self, index: Index, process: Process, model: Optional[Sharing], column: Sequence[Line]) -> None:
        self.index, self.process, self.model, self.column = index, process, model, column
        self.grid = Grid()
        self.address_pt = width_pt(max([len(f"{line.end:#x}") for line in column] + [len("0x3ffffff000")]))
        mapped = [line.stretches[0] for line in column if line.kind == "mapped"]
        self.pa_pt = max([width_pt(len("0x80000000")), *(width_pt(len(f"{s.first.pa:#x}")) for s in mapped),
                          *(RUNS_PT for s in mapped if len(s.frame_runs) > 1)])
        self.flags_pt = width_pt(5)
        room = elements.CONTENT_PT - self.address_pt - self.flags_pt - self.pa_pt - GAP_PT
        self.box_pt = min(BOX_PT, room - FRAME_PT)
        self.frame_pt = room - self.box_pt
        self.right = self.address_pt + self.box_pt + self.flags_pt + self.pa_pt

    def draw(self, wrong: Sequence[str], notes: Sequence[str]) -> None:
        y = 0.0
        rows: list[Row] = []
        centres: dict[Stretch, float] = {}
        heads = (("addresses", self.address_pt), ("region, pages", self.box_pt), ("flags", self.flags_pt), ("frames", self.pa_pt))
        self.grid.row("heads", 0, -ROW_PT - 6, [Cell(width, small(head, style.QUIET), "end" if head == "addresses" else "start")
                                                for head, width in heads], "columns")
        self._address(self.column[0].end if self.column else 0, y)
        for line in self.column:
            row = self._row(line, y)
            if line.kind == "mapped" and words.letter_of(line.stretches[0].like.region):
                centres[line.stretches[0]] = y + row.height / 2
            rows.append(row)
            y += row.height
            self._address(line.va, y)
        bottom = self.grid.card("space", self.address_pt, 0, rows, f"address space of {words.name(self.process)}")
        below = self._frames(centres)
        bottom = max(bottom, below - 12)
        if wrong:
            width = self.frame_pt
            said = [wrap("! " + w, n_chars(width)) for w in wrong[:6]]
            if len(wrong) > 6:
                said.append([f"! and {len(wrong) - 6} more"])
            bottom = max(bottom, self.grid.card("wrong", self.right + GAP_PT, below, [
                Row(6 + len(one) * 12, [Cell(width, plain(one), fill=style.FILL_WRONG)]) for one in said], "wrong"))
        signs = [small("R W X U", bold=True) + small(" read, write, execute, user; without U not for user code (grey)")]
        if any(s.like.others.shared for line in self.column for s in line.stretches):
            signs.append(small("bold on yellow", bold=True) + small(" another process uses the frame too"))
            signs += [small(one) for one in words.refs_meaning(self.index)]
        self.grid.legend(0, bottom + 12, elements.CONTENT_PT, signs, notes)

    def _address(self, va: int, y: float) -> None:
        """An address beside the line between two rows."""
        self.grid.row(f"address-{va:#x}", 0, y - ROW_PT / 2, [Cell(self.address_pt, small(f"{va:#x}"), "end")])

    def _row(self, line: Line, y: float) -> Row:
        """A row of the column; what stands beside it, flags and frames, is drawn at y."""
        head, remark, fill, shared = _box(line)
        chars = n_chars(self.box_pt, style.SMALL_PT)
        below = [part for one in remark for part in wrap(one, chars)]
        said = head / small(below)
        height = ROW_PT + LINE_PT * len(below) + (4 if shared else 0)
        if line.kind != "mapped":
            return Row(height + (10 if len(self.column) <= LIMIT // 2 else 0), [Cell(self.box_pt, said, fill=fill)])
        s = line.stretches[0]
        runs = s.frame_runs
        where = f"{runs[0][0]:#x}" if len(runs) == 1 else f"{len(runs)} runs"
        more = "" if len(s.mappings) == 1 else "in a row" if len(runs) == 1 else f"from {min(runs)[0]:#x}"
        if more and not below:
            height += LINE_PT
        tip = _tip(self.index, s)
        self.grid.row(f"frames-{s.va:#x}", self.address_pt + self.box_pt, y, [
            Cell(self.flags_pt, plain(s.like.flags), "middle"), Cell(self.pa_pt, plain(where, bold=shared) / small(more))], tip, height)
        return Row(height, [Cell(self.box_pt, said, fill=fill, id=f"page-{s.va:#x}", tip=tip)])

    def _frames(self, centres: dict[Stretch, float]) -> float:
        """The frames of FRY and SHRIMP, and segments, with their users, each once; returns where there is room below them."""
        model = self.model
        if model is None:
            return ROW_PT
        free_y = 0.0
        ports: dict[tuple[int, str], float] = {}
        for stretch, centre in centres.items():
            frame, letter = model.frames.get(stretch.first.pa), words.letter_of(stretch.like.region)
            if frame is None or letter is None or not frame.worth_drawing:
                continue
            if (frame.pa, letter) not in ports:
                found, end = self._frame(model, frame, letter, free_y, centre)
                ports.update({(frame.pa, mark): y for mark, y in found.items()})
                free_y = end + 12
            if (frame.pa, letter) in ports:
                self._arrow(stretch, letter, frame, centre, ports[frame.pa, letter])
        return free_y or ROW_PT

    def _frame(self, model: Sharing, frame: SharedFrame, letter: str, free_y: float, centre: float) -> tuple[dict[str, float], float]:
        """A frame's box, its row of `letter` beside `centre` if there is room; where its rows are, and its lower edge."""
        chars = n_chars(self.frame_pt - LETTER_PT)
        near = {self.process.slot, *frame.users[:8]}
        said = [(mark, wrap(what, chars)) for mark, what in words.frame_words(model, frame, near)]
        title, refs = words.heading(self.index, frame)
        fill = style.FILL_WRONG if frame.is_wrong else style.FILL_ORPHAN if frame.creator_gone else style.FILL_FRAME
        rows = [Row(ROW_PT + (LINE_PT if refs else 0), [Cell(self.frame_pt, strong(title) / small(refs), fill=fill)])]
        middles, reached = {}, float(rows[0].height)
        for mark, part in said:
            height = 6 + 12 * len(part)
            rows.append(Row(height, [Cell(LETTER_PT, strong(mark, style.LETTER[mark]), "middle", fill),
                                     Cell(self.frame_pt - LETTER_PT, plain(part), fill=fill)]))
            middles[mark] = reached + height / 2
            reached += height
        y = max(free_y, centre - middles[letter])
        end = self.grid.card(f"frame-{frame.pa:#x}", self.right + GAP_PT, y, rows, title)
        return {mark: y + middle for mark, middle in middles.items()}, end

    def _arrow(self, stretch: Stretch, letter: str, frame: SharedFrame, centre: float, port: float) -> None:
        """From a row of the column to the row of the frame that says so."""
        x = self.right + GAP_PT
        middle = x - GAP_PT / 2
        points = [(self.right, centre), (middle, centre), (middle, port), (x, port)] if abs(centre - port) >= 1 \
            else [(self.right, centre), (x, port)]
        self.grid.line(points, f"{_name(stretch)} of {words.name(self.process)} is frame {frame.pa:#x}", style.LINE[letter],
                       style.DASH[letter], 1.5, f"edge-{letter}-{self.process.slot}"
                       + (f"-{stretch.va:#x}" if frame.segment else ""))


def _box(line: Line) -> tuple[Said, list[str], str, bool]:
    """Of a row: its first line, what is said below, its fill, whether another process shares it."""
    if line.kind == "gap":
        return small(_gap(line), style.QUIET), [], style.PAPER, False
    pages = sum(s.n_pages for s in line.stretches)
    if line.kind == "left out":
        return small(f"{words.count(len(line.stretches), 'row')} left out"), [words.count(pages, "page")], style.PAPER, False
    like = line.stretches[0].like
    remark = [REMARK[like.region]] if like.region in REMARK else []
    remark += [" ".join(like.soft)] if like.soft else []
    if like.level:
        remark.append(words.count(pages >> 9 * like.level, f"superpage of {_size(PAGE << 9 * like.level)}",
                                  f"superpages of {_size(PAGE << 9 * like.level)}"))
    letter = words.letter_of(like.region)
    if letter:
        others = shared_words(like.others)
        remark.append({"F": "my page", "S": "my parent's FRY"}.get(letter, "attached" if like.flags[1] == "W" else "attached, read only"))
        if not others:
            remark[-1] += ", not shared"
    elif like.others.shared:
        remark.append("also " + shared_words(like.others))
    remark += ["! " + w for w in like.others.wrong]
    shared = bool(like.others.shared)
    fill = style.FILL_WRONG if like.others.wrong else style.FILL_FRAME if shared else \
        style.PAPER if like.flags[3] == "U" else style.FILL_QUIET
    name = strong(words.region(like.region), style.LETTER[letter]) if letter else plain(shorten(like.region, 14))
    return name + plain(f"  {pages:,}" if pages > 1 else ""), remark, fill, shared


def _gap(line: Line) -> str:
    """What a row that maps nothing says: Sv39 has no addresses between its halves (Privileged 4.4.1)."""
    if line.va < 1 << 63 < line.end:
        return "no Sv39 addresses"
    return f"{_size(line.end - line.va)} not mapped"


def _tip(index: Index, stretch: Stretch) -> str:
    """Of a row's pages: where they are mapped to, and the entry that says so, or the first and the last."""
    first, last = stretch.mappings[0], stretch.mappings[-1]
    if len(stretch.mappings) == 1:
        size = f", {words.count(first.n_pages, 'page')}" if first.n_pages > 1 else ""
        return f"{first.va:#x} to {first.pa:#x}, {words.flags(index, first)}{size}: {words.entry(first)}"
    return (f"{stretch.va:#x} to {stretch.end:#x}, {words.count(stretch.n_pages, 'page')}: "
            f"the first to {first.pa:#x}, {words.flags(index, first)}, {words.entry(first)}; "
            f"the last to {last.pa:#x}, {words.flags(index, last)}, {words.entry(last)}")


def _name(stretch: Stretch) -> str:
    return words.region(stretch.like.region)


def _size(n_bytes: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB")):
        if n_bytes >= unit:
            # rounded down: all but 32 KiB of 256 GiB is not 256 GiB
            return f"{n_bytes * 100 // unit / 100:.2f}".rstrip("0").rstrip(".") + f" {name}"
    return f"{n_bytes >> 10} KiB" if not n_bytes % 1024 else f"{n_bytes} bytes"


def _hex(value: Optional[int]) -> str:
    return "none" if value is None else f"{value:#x}"


def _left_out(column: Sequence[Line]) -> list[str]:
    folded = [s for line in column if line.kind == "left out" for s in line.stretches]
    if not folded:
        return []
    shared = sum(bool(s.like.others.shared) for s in folded)
    return [f"left out: {words.count(len(folded), 'row')} of {words.count(sum(s.n_pages for s in folded), 'page')}"
            + (f", {shared} of them shared" if shared else "")]


def _missing(process: Process, member: Optional[Member]) -> list[str]:
    """Why there is less than a reader may look for."""
    if process.root is None:
        return ["this process has no page table"]
    if not process.mappings:
        return ["its page table maps nothing"]
    if member is None:
        return ["FRY and SHRIMP are not known in this kernel"]
    return ["no SHRIMP: it has no parent"] if member.shrimp is None and process.parent is None else []


def _description(column: Sequence[Line], around: Sequence[str], wrong: Sequence[str]) -> str:
    """The figure in sentences."""
    said = words.as_sentences(around)
    for line in column:
        span = f"{line.va:#x} to {line.end:#x}"
        pages = words.count(sum(s.n_pages for s in line.stretches), "page")
        if line.kind == "gap":
            said.append(f"{span}: {_gap(line)}.")
        elif line.kind == "left out":
            said.append(f"{span}: {words.count(len(line.stretches), 'row')} left out, {pages}.")
        else:
            s = line.stretches[0]
            runs = s.frame_runs
            where = f"frame {runs[0][0]:#x}" if s.n_pages == 1 else \
                f"frames from {runs[0][0]:#x}" if len(runs) == 1 else f"{len(runs)} runs of frames"
            shared = shared_words(s.like.others)
            said.append(f"{span}: {_name(s)}, {pages}, {' '.join((s.like.flags, *s.like.soft))}, {where}"
                        + (f", also {shared}" if shared else "") + ".")
    said += [f"Wrong: {w}." for w in wrong]
    return " ".join(said)
