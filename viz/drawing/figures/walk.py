"""How addresses translate: the fields of each, the entries they pick, the frame they end in.

Columns stand below the fields that index them. Addresses of one process share a band and
the tables that they share; frames stand on the right, each once, so that who ends in the
same frame is seen to.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ..model import words
from ..model.errors import VizError
from ..model.frame_users import FrameUsers, pids
from ..model.kit import Index, Process, sv39
from ..model.page_tables import PageTable
from ..scene import style
from ..scene.cards import LINE_PT, ROW_PT, Cell, Grid, Row, Said, n_chars, plain, small, strong
from ..scene.shapes import Point, Scene
from . import Drawing
from ..scene.text import wrap

LIMIT = 3
TABLE_PT = 106
INDEX_PT = 27
STEP_PT = 7             # between the lines of two addresses
HEAD_PT = 30
FIELD_PT = 30
LEVELS = (2, 1, 0)
FIELDS = ("VPN[2]", "VPN[1]", "VPN[0]", "offset")
_INKS = ((style.LINE_FRY, "solid"), (style.LINE_SHRIMP, "dashed"), (style.LINE_THIRD, "dotted"))


@dataclass(frozen=True)
class Address:
    """A virtual address of one process, and what a person calls it."""
    process: Process
    va: int
    name: str


@dataclass(frozen=True)
class Walk:
    """An address with its translation; letter tells it from others in the figure, ink and dash its lines."""
    address: Address
    letter: str
    ink: str
    dash: str
    table: PageTable
    result: sv39.Translation

    @property
    def n_offset_bits(self) -> int:
        return 12 + 9 * (self.result.level or 0)

    @property
    def frame(self) -> Optional[int]:
        """The physical address that its page, or superpage, starts at."""
        r = self.result
        return None if r.pa is None or r.level is None else r.pa & -sv39.span(r.level)


def address(index: Index, process: Process, said: str) -> Address:
    """What `said` means in `process`: a number, or a region. Raises VizError."""
    layout = index.layout
    places = {name: getattr(layout, name) for name in ("fry", "shrimp", "trapframe", "trampoline")}
    for m in sorted(process.mappings, key=lambda m: -m.va):
        if places.get(m.region) is None:
            places[m.region] = m.va
    name = said.lower()
    if name in places:
        if places[name] is None:
            raise VizError(f"{said}: expected a region of the snapshot, found none known; try an address")
        return Address(process, places[name], words.region(name))
    try:
        va = int(said, 0)
    except ValueError:
        there = ", ".join(sorted(name for name, va in places.items() if va is not None))
        raise VizError(f"expected an address or a region, found {said!r}; pid {process.pid} has {there}") from None
    if va != sv39.canonical(va):
        raise VizError(f"expected an Sv39 address, whose bits 63 to 39 equal bit 38, found {said}; "
                       f"user addresses are below {layout.maxva:#x}")
    leaf = index.leaf(process, va)
    return Address(process, va, words.region(leaf.region) if leaf else "")


def draw(index: Index, addresses: Sequence[Address]) -> Drawing:
    """How `addresses` translate. Raises VizError: more than LIMIT, a process without a page table."""
    if not 1 <= len(addresses) <= LIMIT:
        raise VizError(f"expected 1 to {LIMIT} addresses, found {len(addresses)}; draw the others in a figure of their own")
    walks = _walks(index, addresses)
    picture = _Picture(index, walks)
    stop = words.stop_line(index)
    title = _title(walks)
    cautions = words.cautions(index)
    return Drawing(title, _description(index, walks, [stop, *cautions]),
                   picture.scene(title, [stop], cautions))


def _walks(index: Index, addresses: Sequence[Address]) -> list[Walk]:
    walks = []
    tables: dict[int, PageTable] = {}
    for i, a in enumerate(addresses):
        if a.process.root is None:
            raise VizError(f"pid {a.process.pid}: expected a page table, found none ({a.process.state}); try another pid")
        table = tables.setdefault(a.process.slot, PageTable(index, a.process))
        letter = words.LETTER.get(a.name, "ABC"[i])
        ink, dash = _INKS["FS".index(letter) if letter in "FS" else i]
        walks.append(Walk(a, letter, ink, dash, table, table.translate(a.va)))
    return walks


def _title(walks: Sequence[Walk]) -> str:
    named = [w.address.name or hex(w.address.va) for w in walks]
    owners = [w.address.process for w in walks]
    verb = "translate" if len(walks) > 1 else "translates"
    if len({p.slot for p in owners}) == 1:
        return f"How {_and(named)} {verb} in {words.name(owners[0])}"
    return f"How {_and([f'{name} of {p.pid}' for name, p in zip(named, owners)])} {verb}"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


@dataclass(frozen=True)
class _Leaf:
    """Where a walk leaves its last entry: for a frame, or for the reason why there is none."""
    walk: Walk
    at: Point
    field_top: float
    field_bottom: float


class _Picture:
    """One drawing while it is made. Columns 0 to 2 are the tables of levels 2 to 0, column 3 the frames."""

    def __init__(self, index: Index, walks: Sequence[Walk]) -> None:
        self.index, self.walks = index, walks
        self.grid = Grid()
        self.bands: dict[int, list[Walk]] = {}
        for w in walks:
            self.bands.setdefault(w.address.process.slot, []).append(w)
        self.fields: list[float] = []       # where those of each band begin
        self.n_lines = max(map(len, self.bands.values()))
        self.gap = 20 + STEP_PT * (self.n_lines - 1)

    def scene(self, title: str, below_title: Sequence[str], notes: Sequence[str]) -> Scene:
        y, leaves, bars = 0.0, [], []
        for slot, walks in self.bands.items():
            top, y, found = self._band(slot, walks, y)
            bars.append(top)
            leaves += found
            y += 16
        y = max(y, self._ends(leaves, bars) + 10)
        inks = dict.fromkeys((w.letter, w.dash, w.ink) for w in self.walks)
        letters = Said()
        for letter, dash, ink in inks:
            letters += small(f"{letter} {_DASH_SIGN[dash]} ", ink, bold=True)
        signs = [letters + small("a field picks the entry; the offset, the byte in the frame (yellow: shared)"),
                 small("───▶ ", bold=True) + small("an entry's PPN: where the next table is, or the frame"),
                 small("entry ", bold=True) + small("index, flags, value, and its physical address = table + 8 × index")]
        self.grid.legend(4, y, self._left(3) + TABLE_PT - 4, signs, notes)
        return self.grid.finished(title, below_title)

    def _left(self, column: int) -> float:
        return self.gap + column * (TABLE_PT + self.gap)

    def _line_x(self, column: int, i: int, n: int) -> float:
        """Where the line of the i-th of n addresses of a band goes down, left of a column."""
        return self._left(column) - 10 - STEP_PT * (n - 1 - i)

    def _band(self, slot: int, walks: Sequence[Walk], y: float) -> tuple[tuple[float, float], float, list[_Leaf]]:
        """The tables of one process; returns the space of its fields, its lower edge, and where its walks end."""
        process = walks[0].address.process
        began = y
        x = self._left(0) - 10
        for i, w in enumerate(walks):
            called = f"{w.address.name} " if w.address.name else ""
            self.grid.row(f"address-{slot}-{i}", x, y, [Cell(
                500, strong(f"{w.letter} ", w.ink) + plain(called) + strong(f"{w.address.va:#x}") + plain(f" of {words.name(process)}"))])
            y += LINE_PT + 3
        y += 6
        spans = []
        for i, w in enumerate(walks):
            spans.append((y, y + FIELD_PT))
            if not i:
                self.fields.append(y)
            self._fields(slot, i, len(walks), w, y)
            y += FIELD_PT + 5
        ended = y
        satp = 8 << 60 | walks[0].result.root >> 12
        y = self.grid.card(f"satp-{slot}", self._left(0), y + 8, [Row(HEAD_PT, [
            Cell(TABLE_PT, plain("satp, Sv39") / small(f"{satp:#x}"), fill=style.FILL_QUIET)])], "satp")
        bottom, found = self._tables(slot, walks, spans, y + 14)
        return (began, ended), bottom, found

    def _fields(self, slot: int, i: int, n: int, w: Walk, y: float) -> None:
        values = sv39.indices(w.address.va)
        level = w.result.level or 0
        for column in range(3 - level + 1):
            x = self._line_x(column, i, n) - 5
            last = column == 3 - level
            right = self._left(3 if last else column) + TABLE_PT
            bits = w.n_offset_bits if last else 9
            value = w.address.va & (1 << bits) - 1 if last else values[column]
            shown = f"{value:#x}" if last else str(value)
            head = f"{FIELDS[3] if last else FIELDS[column]} = {shown}"
            said = strong(f"{w.letter} ", w.ink) + strong(head)
            self.grid.card(f"field-{slot}-{i}-{column}", x, y, [Row(FIELD_PT, [
                Cell(right - x, said / small(f"{value:0{bits}b}"), "middle")])], f"{w.letter}: {head}")

    def _tables(self, slot: int, walks: Sequence[Walk], spans: Sequence[Point],
                top: float) -> tuple[float, list[_Leaf]]:
        """All tables of a band, column by column; see _band."""
        placed: dict[tuple[int, int], dict[int, float]] = {}    # (level, table) -> entry -> its middle
        heads: dict[tuple[int, int], float] = {}
        free = {level: top for level in LEVELS}
        leaves: list[_Leaf] = []
        drawn: set[tuple[object, int]] = set()
        for depth, level in enumerate(LEVELS):
            def above(w: Walk) -> float:
                """Where its entry in the column before stands: tables keep that order, so that no two lines cross."""
                before = w.result.steps[depth - 1]
                return placed[before.level, before.table][before.index] if depth else 0
            for w in sorted((w for w in walks if len(w.result.steps) > depth), key=above):
                table = w.result.steps[depth].table
                if (level, table) not in placed:
                    picks = {o.result.steps[depth].index for o in walks
                             if len(o.result.steps) > depth and o.result.steps[depth].table == table}
                    heads[level, table] = free[level] + HEAD_PT / 2
                    placed[level, table], end = self._table(slot, w, depth, sorted(picks), free[level])
                    free[level] = end + 12
            for w in walks:
                if len(w.result.steps) == depth + 1 and depth < 2:      # its way leads through the columns to the right
                    for below in LEVELS[depth + 1:]:
                        free[below] = max(free[below], placed[level, w.result.steps[depth].table][w.result.steps[depth].index] + 12)
        for i, w in enumerate(walks):
            for depth, s in enumerate(w.result.steps):
                y = placed[s.level, s.table][s.index]
                x, apart = self._line_x(depth, i, len(walks)), 6 * (i - (len(walks) - 1) / 2)
                self.grid.line([(x, spans[i][1]), (x, y + apart), (self._left(depth), y + apart)],
                               f"{FIELDS[depth]} of {w.letter} picks entry {s.index} of table {s.table:#x}", w.ink, w.dash)
                right = self._left(depth) + TABLE_PT
                if depth == 0 and ("satp", slot) not in drawn:
                    drawn.add(("satp", slot))
                    middle = self._left(0) + TABLE_PT / 2
                    self.grid.line([(middle, top - 14), (middle, top)], f"satp's PPN is the root table {s.table:#x}", width=1.5)
                if depth + 1 < len(w.result.steps):
                    following = w.result.steps[depth + 1]
                    key = (s.pte_at, following.table)
                    if key not in drawn:
                        drawn.add(key)
                        turn, head = right + 6, heads[following.level, following.table]
                        self.grid.line([(right, y), (turn, y), (turn, head), (self._left(depth + 1), head)],
                                       f"entry {s.index} points to table {following.table:#x}", width=1.5)
                else:
                    leaves.append(_Leaf(w, (right, y), *spans[i]))
        return max(free.values()), leaves

    def _table(self, slot: int, w: Walk, depth: int, picks: Sequence[int], y: float) -> tuple[dict[int, float], float]:
        """An excerpt of a table: the entries that are picked, the others counted."""
        step = w.result.steps[depth]
        whose = self._others(w, step.table)
        rows = [Row(HEAD_PT + LINE_PT * bool(whose), [Cell(
            TABLE_PT, strong(f"L{step.level} table") / small(f"{step.table:#x}") / small(whose and "! " + whose),
            fill=style.FILL_WRONG if whose else style.FILL_QUIET)])]
        middles, reached, end = {}, 0, y + rows[0].height
        for index in [*picks, 512]:
            if index > reached:
                rows.append(Row(ROW_PT, [Cell(TABLE_PT, small(_between(w.table, step.table, reached, index), style.QUIET), "middle")]))
                end += ROW_PT
            reached = index + 1
            if index == 512:
                break
            picked = next(o.result.steps[depth] for o in self.walks if len(o.result.steps) > depth
                          and o.table is w.table and (o.result.steps[depth].table, o.result.steps[depth].index) == (step.table, index))
            fill = style.FILL_PATH if picked.pte & sv39.V and not self._fails_at(picked, depth) else style.FILL_WRONG
            value = [f"{picked.pte:#x}"] if w.table.known(picked.pte_at) else []
            soft = " ".join(self.index.soft(picked.pte))
            below = [*([soft] if soft else []), *value, f"at {picked.pte_at:#x}"]
            height = ROW_PT + LINE_PT * len(below)
            name = f"entry-{slot}-{picked.level}-{picked.pte_at:#x}"
            tip = f"entry {index} at {picked.pte_at:#x} = {picked.pte:#x}: {picked.text}"
            rows.append(Row(height, [Cell(INDEX_PT, strong(str(index)), "middle", fill), Cell(
                TABLE_PT - INDEX_PT, plain(sv39.flags_of(picked.pte)) / small(below), fill=fill, id=name, tip=tip)]))
            middles[index] = end + height / 2
            end += height
        self.grid.card(f"table-{slot}-{step.level}-{step.table:#x}", self._left(depth), y, rows,
                       f"level {step.level} table {step.table:#x} of {words.name(w.address.process)}")
        return middles, end

    def _fails_at(self, step: sv39.Step, depth: int) -> bool:
        return any(w.result.fault and len(w.result.steps) == depth + 1 and w.result.steps[depth] == step for w in self.walks)

    def _others(self, w: Walk, table: int) -> str:
        """Which other process has this table too, which no kernel should let be."""
        found = {u.pid for u in self.index.users(table) if u.kind == "table" and u.pid is not None} - {w.address.process.pid}
        listed = f"also of {pids(sorted(found))}"
        return "" if not found else listed if len(listed) <= n_chars(TABLE_PT, style.SMALL_PT) - 2 else f"also of {len(found)} others"

    def _ends(self, leaves: Sequence[_Leaf], bars: Sequence[Point]) -> float:
        """The frames, each once, between the fields of the bands; returns where they end."""
        ends: dict[object, tuple[Optional[int], list[_Leaf]]] = {}
        for leaf in leaves:
            frame = leaf.walk.frame
            ends.setdefault(leaf if frame is None else (frame, leaf.walk.result.level), (frame, []))[1].append(leaf)
        order = sorted(ends.values(), key=lambda end: sum(f.at[1] for f in end[1]) / len(end[1]))
        free = bars[0][1] + 10
        for i, (frame, found) in enumerate(order):
            rows = self._fault(found[0]) if frame is None else self._frame(frame, found)
            height = sum(r.height for r in rows)
            y = max(free, min(f.at[1] for f in found) - HEAD_PT / 2)
            for start, stop in bars[1:]:
                if y < stop and y + height > start:
                    y = max(free, start - height - 4) if start - height - 4 >= free else stop + 10
            self._reach(found, rows, f"end-{i}", y)
            free = y + height + 14
        return free - 14

    def _reach(self, found: Sequence[_Leaf], rows: Sequence[Row], name: str, y: float) -> None:
        """A box of column 3 at `y`, and the lines to it."""
        x = self._left(3)
        self.grid.card(name, x, y, rows, "frame" if found[0].walk.frame is not None else "page fault")
        head = y + rows[0].height / 2
        for i, leaf in enumerate(found):
            w = leaf.walk
            turn = x - self.gap + 3.5
            good = w.frame is not None
            self.grid.line([leaf.at, (turn, leaf.at[1]), (turn, head), (x, head)],
                           f"the entry points to frame {w.frame:#x}" if good else w.result.fault or "",
                           dash="solid" if good else "dotted", width=1.5)
            if not good:
                continue
            band = self.bands[w.address.process.slot]
            at = self._line_x(3, band.index(w), len(band))
            target = y + rows[0].height + sum(r.height for r in rows[1:1 + i]) + rows[1 + i].height / 2
            start = leaf.field_bottom if target > leaf.field_bottom else leaf.field_top
            if any(min(start, target) < top < max(start, target) for top in self.fields if top != leaf.field_top):
                continue        # not through the fields of another process; the letter says it
            self.grid.line([(at, start), (at, target), (x, target)], f"the offset of {w.letter}", w.ink, w.dash)

    def _frame(self, frame: int, found: Sequence[_Leaf]) -> list[Row]:
        level = found[0].walk.result.level
        what = f"superpage, {sv39.span(level) >> 20} MiB" if level else "frame"
        users = FrameUsers(self.index).at(frame)
        fill = style.FILL_FRAME if sum(map(len, users.values())) > 1 else style.FILL_PATH
        rows = [Row(HEAD_PT, [Cell(TABLE_PT, plain(what) / strong(f"{frame:#x}"), fill=fill)])]
        for leaf in found:
            o = leaf.walk
            whose = strong(o.letter) + plain(f" of {o.address.process.pid}: PA")
            rows.append(Row(HEAD_PT, [Cell(TABLE_PT, whose / strong(f"{o.result.pa:#x}"), fill=fill)]))
        chars = n_chars(TABLE_PT, style.SMALL_PT)
        said = [part for how, found_pids in users.items() for part in wrap(f"{how} of {pids(found_pids)}", chars)]
        if said:
            rows.append(Row(8 + LINE_PT * len(said), [Cell(TABLE_PT, small(said))]))
        return rows

    def _fault(self, leaf: _Leaf) -> list[Row]:
        said = wrap(leaf.walk.result.fault or "", n_chars(TABLE_PT, style.SMALL_PT))
        return [Row(HEAD_PT + LINE_PT * len(said), [Cell(TABLE_PT, strong("! page fault") / small(said), fill=style.FILL_WRONG)])]


_DASH_SIGN = {"solid": "───▶", "dashed": "╌╌╌▶", "dotted": "···▶"}


def _between(table: PageTable, pa: int, first: int, end: int) -> str:
    """Entries [first, end) of a table, counted."""
    n_valid = sum(e.n for e in table.entries[pa] if first <= e.index < end)
    span = f"{first}" if end == first + 1 else f"{first}–{end - 1}"
    if n_valid == end - first:
        return f"{span}: valid" if n_valid == 1 else f"{span}: all valid"
    return f"{span}: {n_valid} valid" if n_valid else f"{span}: invalid"


def _description(index: Index, walks: Sequence[Walk], around: Sequence[str]) -> str:
    """The figure in sentences."""
    said = words.as_sentences(around)
    for w in walks:
        a = w.address
        vpn = sv39.indices(a.va)
        said.append(f"{w.letter}: {a.name + ' ' if a.name else ''}{a.va:#x} in {words.name(a.process)}, VPN[2] {vpn[0]}, "
                    f"VPN[1] {vpn[1]}, VPN[0] {vpn[2]}, offset {vpn[3]:#x}, root table {w.table.root:#x}.")
        said += [f"Level {s.level}: entry {s.index} at {s.pte_at:#x} = {s.pte:#x}, {s.text}." for s in w.result.steps]
        if w.result.fault:
            said.append(f"Page fault: {w.result.fault}.")
        else:
            used = "".join(f", {how} of {pids(found)}" for how, found in FrameUsers(index).at(w.frame or 0).items())
            said.append(f"Physical address {w.result.pa:#x}{used}.")
    for pa in sorted({w.frame for w in walks if w.frame is not None}):
        met = [w for w in walks if w.frame == pa]
        if len(met) > 1:
            said.append(f"{_and([f'{w.letter} of {w.address.process.pid}' for w in met])} end in one frame, {pa:#x}.")
    return " ".join(said)
