"""A whole page table as a tree of its tables: valid entries, those that are alike joined, the others counted."""
from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from ..model import words
from ..model.errors import VizError
from ..model.frame_users import FrameUsers, Others, shared_words
from ..model.kit import PAGE, Index, Mapping, Process, sv39
from ..model.page_tables import ENTRIES, Entry, PageTable
from ..scene import elements, style
from ..scene.cards import LINE_PT, ROW_PT, Cell, Grid, Row, n_chars, plain, small, strong, width_pt
from ..scene.text import shorten, wrap
from . import Drawing

LIMIT = 36              # rows of one line in the tallest column
INDEX_PT = width_pt(7)
POINTER_PT = 70         # what an upper table's entry says
LEAF_PT = 226
SUPERPAGE_PT = 150
ONE_LINE_PT = 190       # where flags, region and frame fit in a line
GAP_PT = 28
QUIET_PT = 16           # the height of what is not there
HEAD_PT = 30


@dataclass(frozen=True)
class Group:
    """Entries [first, last] of one table as a row. kind: "table" "leaf" "wrong" "invalid" "left out"."""
    first: int
    last: int
    kind: str
    entries: tuple[Entry, ...] = ()
    others: Others = Others((), ())

    @property
    def mapping(self) -> Mapping:
        """Of a leaf, or of the first of several that are alike."""
        found = self.entries[0].mapping
        assert found is not None
        return found

    @property
    def n_valid(self) -> int:
        return sum(e.n for e in self.entries)

    @property
    def n_pages(self) -> int:
        return sum(e.n << 9 * e.mapping.level for e in self.entries if e.mapping)


def draw(index: Index, process: Process) -> Drawing:
    """The page table of `process`."""
    return _draw(index, PageTable(index, process), words.name(process), process)


def draw_kernel(index: Index) -> Drawing:
    """The kernel's own page table. Raises VizError when it is not known."""
    if index.snapshot.kernel_table.root is None:
        raise VizError("kernel_table.root: expected a page table, found null; stop later, and take the snapshot again")
    return _draw(index, PageTable(index, index.snapshot.kernel_table), "the kernel", None)


def _draw(index: Index, table: PageTable, whose: str, process: Optional[Process]) -> Drawing:
    title = f"The page table of {whose}"
    users = FrameUsers(index)
    groups = {pa: _groups(table, pa, process, users) for pa in table.tables}
    shown, notes = _fit(table, groups)
    n_valid = sum(e.n for found in table.entries.values() for e in found)
    about = "no page table" if table.root is None else \
        f"root table {table.root:#x}; {words.count(len(table.tables), 'table')}, {words.count(n_valid, 'valid entry', 'valid entries')}"
    if not table.complete:
        notes.append("careful: there may be more entries, not all could be read or told")
    stop = words.stop_line(index)
    grid = Grid()
    bottom = _place(grid, table, shown, whose)
    grid.legend(0, bottom + 10, elements.CONTENT_PT, [
        small("an arrow goes from an entry to the table that it points to"),
        small("bold on yellow", bold=True) + small(" another process uses the frame too"),
        small("V R W X U", bold=True) + small(" valid, read, write, execute, user; A and D left out")],
        [*notes, *words.cautions(index)])
    return Drawing(title, _description(table, shown, [stop, about, *notes]),
                   grid.finished(title, [about, stop]))


def _groups(table: PageTable, pa: int, process: Optional[Process], users: FrameUsers) -> list[Group]:
    """The entries of one table as rows, invalid ones between them."""
    found: list[Group] = []
    reached = 0
    for e in table.entries[pa]:
        if e.index > reached:
            found.append(Group(reached, e.index - 1, "invalid"))
        kind = "leaf" if e.mapping else "table" if e.target in table.tables and not e.wrong else "wrong"
        others = users.others(process, e.mapping) if e.mapping and process else Others((), ())
        last = found[-1] if found else None
        if kind == "leaf" and last and last.kind == "leaf" and last.last == e.index - 1 \
                and _alike(last.entries[-1], e) and last.others == others:
            found[-1] = Group(last.first, e.index, kind, (*last.entries, e), others)
        else:
            found.append(Group(e.index, e.index + e.n - 1, kind, (e,), others))
        reached = e.index + e.n
    if reached < ENTRIES:
        found.append(Group(reached, ENTRIES - 1, "invalid"))
    return found


def _alike(a: Entry, b: Entry) -> bool:
    return bool(a.mapping and b.mapping and a.n == b.n == 1 and a.mapping.region == b.mapping.region
                and (a.mapping.flags[:5], a.soft) == (b.mapping.flags[:5], b.soft) and a.wrong == b.wrong)


def _weight(groups: Sequence[Group]) -> float:
    """The height of a table, in rows of one line; its head and the space below are as high as two."""
    n_lines = sum((g.n_pages > 1) + any(bool(e.soft) for e in g.entries[:1]) + bool(g.others.shared) + len(g.others.wrong)
                  for g in groups)
    return 2 + len(groups) + n_lines * LINE_PT / ROW_PT


def _fit(table: PageTable, groups: dict[int, list[Group]]) -> tuple[dict[int, list[Group]], list[str]]:
    """The tables to draw, with few enough rows in each column; what goes is counted in the notes."""
    shown = dict(groups)
    notes = []
    for level in (0, 1, 2):     # a table that is drawn keeps the entry that leads to it, so the leaves' come first
        column = [pa for pa in shown if table.tables[pa].level == level]
        if sum(_weight(shown[pa]) for pa in column) <= LIMIT:
            continue
        for pa in column:
            shown[pa] = _scattered(shown[pa])
        if sum(_weight(shown[pa]) for pa in column) <= LIMIT:
            continue
        order = sorted(column, key=lambda pa: (min(_interest(g, shown) for g in shown[pa]), pa))
        kept, gone = order[:LIMIT // 6], order[LIMIT // 6:]
        for pa in gone:
            del shown[pa]
        room = max(LIMIT // len(kept), 3)
        while room > 3 and sum(_weight(_folded(shown[pa], room, shown)) for pa in kept) > LIMIT:
            room -= 1
        for pa in kept:
            shown[pa] = _folded(shown[pa], room, shown)
        if gone:
            n_entries = sum(e.n for pa in gone for e in table.entries[pa])
            notes.append(f"left out: {words.count(len(gone), f'level {level} table')} with "
                         f"{words.count(n_entries, 'valid entry', 'valid entries')}")
    reached = {table.root}
    for pa in sorted(shown, key=lambda pa: -table.tables[pa].level):
        if pa in reached:
            reached.update(e.target for g in shown[pa] if g.kind == "table" for e in g.entries)
    unreached = [pa for pa in shown if pa not in reached]
    if unreached:
        notes.append(f"left out: {words.count(len(unreached), 'table')} below those")
    return {pa: found for pa, found in shown.items() if pa in reached}, notes


def _scattered(groups: list[Group]) -> list[Group]:
    """Leaves that are alike but for the invalid entries between them, as one row."""
    found: list[Group] = []
    for g in groups:
        before = found[-2] if len(found) > 1 and found[-1].kind == "invalid" else None
        if before and g.kind == before.kind == "leaf" and g.others == before.others and _alike(before.entries[-1], g.entries[0]):
            found[-2:] = [Group(before.first, g.last, "leaf", before.entries + g.entries, g.others)]
        else:
            found.append(g)
    return found


def _interest(g: Group, shown: Collection[int]) -> tuple[object, ...]:
    """Sorts rows by how much they have to say: the way to what is drawn, FRY and SHRIMP, what is wrong or shared."""
    region = g.mapping.region if g.kind == "leaf" else ""
    leads = g.kind == "table" and g.entries[0].target in shown
    return not leads, region not in words.REGION, not (g.kind == "wrong" or g.others.wrong), not g.others.shared, \
        region in ("", "heap", "user", "other"), -g.n_pages, g.first


def _folded(groups: list[Group], room: int, shown: Collection[int]) -> list[Group]:
    """At most `room` rows, FRY and SHRIMP among them: the most telling ones stay, each stretch of others
    becomes one that counts them."""
    room = max(room, 1 + 2 * sum(g.kind == "leaf" and g.mapping.region in words.REGION for g in groups))
    if len(groups) <= room:
        return groups
    ranks = sorted((i for i, g in enumerate(groups) if g.kind != "invalid"), key=lambda i: _interest(groups[i], shown))
    made: list[Group] = []
    for n_kept in range(min(room, len(ranks)), -1, -1):
        kept = set(ranks[:n_kept])
        made = []
        for i, g in enumerate(groups):
            if i in kept or not made or made[-1].kind not in ("left out", "invalid"):
                made.append(g if i in kept or g.kind == "invalid" else Group(g.first, g.last, "left out", g.entries))
            else:
                last = made[-1]
                kind = "left out" if last.entries or g.entries else "invalid"
                made[-1] = Group(last.first, g.last, kind, last.entries + g.entries)
        if len(made) <= room:
            break
    return made


def _place(grid: Grid, table: PageTable, shown: dict[int, list[Group]], whose: str) -> float:
    """Draws the tables as a tree from left to right; returns its lower edge."""
    free = {2: 0.0, 1: 0.0, 0: 0.0}
    width = {level: INDEX_PT + (SUPERPAGE_PT if any(g.kind == "leaf" for pa, found in shown.items()
                                                    if table.tables[pa].level == level for g in found) else POINTER_PT)
             for level in (2, 1)}
    x = {2: 0, 1: width[2] + GAP_PT, 0: width[2] + width[1] + 2 * GAP_PT}
    width[0] = min(INDEX_PT + LEAF_PT, elements.CONTENT_PT - x[0])
    middles: dict[int, float] = {}      # by an entry's address
    heads: dict[int, float] = {}        # by a table's
    for pa in sorted(shown, key=lambda pa: (-table.tables[pa].level, table.tables[pa].va)):
        t = table.tables[pa]
        y = free[t.level]
        name = f"table-{pa:#x}"
        covers = f"from {t.va:#x}" if t.level < 2 else "root"
        named = strong(f"L{t.level} table")
        head = named + plain(f" {pa:#x}") / small(covers) if width[t.level] >= SUPERPAGE_PT else named / small(f"{pa:#x}")
        rows = [Row(HEAD_PT, [Cell(width[t.level], head, fill=style.FILL_QUIET)])]
        at = y + HEAD_PT
        for g in shown[pa]:
            row = _row(g, width[t.level])
            for e in g.entries:
                middles[e.pte_at] = at + row.height / 2
            rows.append(row)
            at += row.height
        grid.card(name, x[t.level], y, rows, f"level {t.level} table {pa:#x} of {whose}, {covers}")
        free[t.level] = at + 12
        heads[pa] = y + HEAD_PT / 2
    _lines_between(grid, table, [pa for pa in heads if table.tables[pa].entry in middles], middles, heads,
                   {level: (x[level], x[level] + width[level]) for level in x})
    return max(free.values()) - 12


def _lines_between(grid: Grid, table: PageTable, children: Sequence[int], middles: dict[int, float],
                   heads: dict[int, float], columns: dict[int, tuple[float, float]]) -> None:
    """Lines from entries to tables; those that go down turn the earlier the lower, those that go up the later."""
    for level in (1, 0):
        right, x = columns[level + 1][1], columns[level][0]
        those = [pa for pa in children if table.tables[pa].level == level]
        up = [pa for pa in those if heads[pa] < middles[table.tables[pa].entry or 0]]
        down = [pa for pa in those if pa not in up]
        step = (GAP_PT - 14) / max(len(those), 3)
        turns = {pa: right + 5 + step * i for i, pa in enumerate(up)}
        turns.update({pa: x - 10 - step * i for i, pa in enumerate(down)})
        for pa in those:
            entry, head, turn = table.tables[pa].entry or 0, heads[pa], turns[pa]
            grid.line([(right, middles[entry]), (turn, middles[entry]), (turn, head), (x, head)],
                      f"entry {(entry & PAGE - 1) >> 3} at {entry:#x} points to table {pa:#x}")


def _row(g: Group, width: int) -> Row:
    span = f"{g.first}" if g.first == g.last else f"{g.first}–{g.last}"
    is_quiet = g.kind in ("invalid", "left out")
    index = Cell(INDEX_PT, small(span, style.QUIET if is_quiet else style.INK, bold=not is_quiet), "middle")
    rest = width - INDEX_PT
    if g.kind == "invalid":
        n = g.last - g.first + 1
        return Row(QUIET_PT, [index, Cell(rest, small(
            f"{n} invalid" if rest < 100 else words.count(n, "invalid entry", "invalid entries"), style.QUIET))])
    if g.kind == "left out":
        return Row(QUIET_PT, [index, Cell(rest, small(f"{g.n_valid} left out", style.QUIET))])
    e = g.entries[0]
    name = f"entry-{e.pte_at:#x}"
    value = f" = {e.pte:#x}" if e.pte is not None else ""
    if g.kind == "table":
        flags = sv39.flags_of(e.pte)[:5] if e.pte is not None else "V----"
        return Row(ROW_PT, [index, Cell(rest, plain(flags), id=name, tip=f"PTE at {e.pte_at:#x}{value}: table {e.target:#x}")])
    if g.kind == "wrong":
        said = wrap("! " + (e.wrong[0] if e.wrong else f"points to {e.target:#x}"), n_chars(rest, style.SMALL_PT))
        return Row(7 + LINE_PT * len(said), [
            replace(index, fill=style.FILL_WRONG),
            Cell(rest, small(said), fill=style.FILL_WRONG, id=name, tip=f"PTE at {e.pte_at:#x}{value}")])
    m = g.mapping
    shared = shared_words(g.others)
    wrong = [*g.others.wrong, *(w for one in g.entries[:1] for w in one.wrong)]
    called = words.REGION.get(m.region, shorten(m.region, 12))
    runs = _n_runs(g.entries)
    where = f"{e.target:#x}" if runs == 1 else f"{runs} runs of frames"
    one_line = runs == 1 and rest >= ONE_LINE_PT
    head = f"{m.flags[:5]}  {called}" + (f"  {where}" if one_line else "")
    below = [" ".join(e.soft)] if e.soft else []
    below += [] if one_line else [where]
    if g.n_valid > 1 and m.level:
        below.append(f"{g.n_valid} superpages of {sv39.span(m.level) >> 20} MiB")
    elif m.level:
        below.append(f"superpage of {sv39.span(m.level) >> 20} MiB")
    elif g.n_pages > 1:
        below.append(words.count(g.n_pages, "page"))
    between = g.last - g.first + 1 - g.n_valid
    below += ([f"{between} invalid between"] if between else []) + ([shared] if shared else []) + ["! " + w for w in wrong]
    below = [part for one in below for part in wrap(one, n_chars(rest, style.SMALL_PT))]
    fill = style.FILL_WRONG if wrong else style.FILL_FRAME if shared else None
    last = g.entries[-1]
    tip = f"{m.va:#x} to {e.target:#x}, {' '.join((m.flags, *e.soft))}: PTE at {e.pte_at:#x}{value}" + (
        f"; the last at {last.pte_at:#x}" if last is not e else "")
    return Row(ROW_PT + LINE_PT * len(below), [
        replace(index, fill=fill), Cell(rest, plain(head, bold=bool(shared)) / small(below), fill=fill, id=name, tip=tip)])


def _n_runs(entries: Sequence[Entry]) -> int:
    """How many runs of frames that follow each other."""
    n = 1
    for a, b in zip(entries, entries[1:]):
        n += b.target != a.target + a.n * sv39.span(a.mapping.level if a.mapping else 0)
    return n


def _description(table: PageTable, shown: dict[int, list[Group]], around: Sequence[str]) -> str:
    """The figure in sentences."""
    said = words.as_sentences(around)
    for pa in sorted(shown, key=lambda pa: (-table.tables[pa].level, table.tables[pa].va)):
        t = table.tables[pa]
        parts = []
        for g in shown[pa]:
            span = f"{g.first}" if g.first == g.last else f"{g.first} to {g.last}"
            if g.kind in ("invalid", "left out"):
                parts.append(f"{span} {g.kind}")
            elif g.kind == "leaf":
                m = g.mapping
                shared = shared_words(g.others)
                runs = _n_runs(g.entries)
                parts.append(f"{span} {words.region(m.region)} {' '.join((m.flags[:5], *g.entries[0].soft))}, "
                             + (f"from {g.entries[0].target:#x}" if runs == 1 else f"in {runs} runs of frames")
                             + (f", also {shared}" if shared else "") + "".join(f", wrong: {w}" for w in g.others.wrong))
            else:
                parts.append(f"{span} to table {g.entries[0].target:#x}" + "".join(f", wrong: {w}" for w in g.entries[0].wrong))
        said.append(f"Level {t.level} table {pa:#x}: {'; '.join(parts)}.")
    return " ".join(said)
