"""What has changed between two snapshots of one run: rows of before and after, process by process."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import NamedTuple, Optional

from ..model import words
from ..model.errors import VizError
from ..model.frame_users import FrameUsers, Others, shared_words
from ..model.kit import PAGE, Index, Layout, Mapping, Process, changes
from ..scene import elements, style
from ..scene.cards import LINE_PT, ROW_PT, Cell, Grid, Row, Said, n_chars, plain, small, strong, width_pt
from ..scene.text import shorten, wrap
from . import Drawing

LIMIT = 36              # rows
SIGN_PT = width_pt(2)
REGION_PT = width_pt(12)
MACHINE = "the machine"
FILL = {"+": style.FILL_ADDED, "-": style.FILL_GONE, "~": style.FILL_PATH, "": style.PAPER}
WORD = {"+": "appeared", "-": "went", "~": "changed", "": "as it was"}


@dataclass(frozen=True)
class Line:
    """A row. sign: "+" "-" "~", or "" for what is only there to be oriented by. where: an address, or what
    has changed; pages 0 where it is no mapping. shared: who else uses the frame, after it or before it went."""
    sign: str
    where: str
    what: str
    before: str
    after: str
    tip: str = ""
    shared: str = ""
    pages: int = 0
    va: int = -1

    @property
    def interest(self) -> tuple[object, ...]:
        return not self.sign, self.pages > 0 and not self.shared and self.what not in ("FRY", "SHRIMP"), -self.pages, self.va


@dataclass(frozen=True)
class Section:
    """The rows of one process, or of the machine."""
    title: str
    sign: str
    lines: tuple[Line, ...]
    n_left_out: int = 0


def draw(before: Index, after: Index) -> Drawing:
    """What the kit's comparison of the two finds, as a figure. Raises VizError for two different machines."""
    kernels = [one.snapshot.kernel for one in (before, after)]
    if kernels[0] != kernels[1]:
        raise VizError(f"expected two snapshots of one kernel, found {kernels[0]} and {kernels[1]}")
    if _machine(before.layout) != _machine(after.layout):
        raise VizError("layout: expected two snapshots of one machine, found two layouts; take both in one run")
    title = "What has changed"
    sections, notes = _fit(_sections(before, after))
    stops = [f"before: {words.stop_line(before)}", f"after: {words.stop_line(after)}"]
    if not sections:
        notes.append("nothing has changed in processes, page tables or free frames")
    notes += [f"{when}: {note}" for when, one in (("before", before), ("after", after)) for note in words.cautions(one)]
    grid = Grid()
    bottom = _place(grid, sections)
    signs = Said()
    for sign in "+-~":
        signs += small(sign, bold=True) + small(f" {WORD[sign]}   ")
    grid.legend(0, bottom + 8, elements.CONTENT_PT, [
        signs + small("without a sign: as it was, before and after what changed"),
        small("a second line, on yellow: who else uses the frame")], notes)
    return Drawing(title, _description(sections, [*stops, *notes]),
                   grid.finished(title, stops))


def _machine(layout: Layout) -> Layout:
    """What two snapshots of one run have in common: not from where FRY's address came."""
    return replace(layout, fry_from=None, nproc=None)


def _sections(before: Index, after: Index) -> list[Section]:
    users = FrameUsers(before), FrameUsers(after)
    by_pid: dict[Optional[int], list[changes.Change]] = {}
    for c in changes.between(before.snapshot, after.snapshot):
        by_pid.setdefault(c.pid, []).append(c)
    made = []
    for pid, found in by_pid.items():
        if pid is None:
            continue
        was, now = before.process(pid), after.process(pid)
        sign = "~" if was and now else "+" if now else "-"
        one, person = (after, now) if now else (before, was)
        assert person is not None
        title = words.name(person) + (f", {words.state(one, person)}"
                                      + (f", child of {person.parent}" if person.parent is not None else ", no parent"))
        fields = [] if sign != "~" else [Line(c.kind, c.what, "", c.before, c.after) for c in found
                                         if c.what not in ("pte", "table")]
        made.append(Section(title, sign, (*fields, *_tables(was, now), *_mappings(was, now, found, users))))
    machine = by_pid.get(None, ())
    if machine:
        made.append(Section(MACHINE, "~", tuple(Line(c.kind, _NAMES.get(c.what, c.what), "", c.before, c.after)
                                                      for c in machine)))
    return made


_NAMES = {"free": "free list"}


def _tables(was: Optional[Process], now: Optional[Process]) -> list[Line]:
    """The tables that a process has got, and those that it has lost."""
    old, new = ({t.pa for t in p.tables} if p else set() for p in (was, now))
    made = []
    for sign, found in (("-", sorted(old - new)), ("+", sorted(new - old))):
        if found:
            listed = ", ".join(f"{pa:#x}" for pa in found[:2]) + (" …" if len(found) > 2 else "")
            made.append(Line(sign, words.count(len(found), "table"), "", listed if sign == "-" else "",
                             listed if sign == "+" else "", ", ".join(f"{pa:#x}" for pa in found[:64])))
    return made


def _mappings(was: Optional[Process], now: Optional[Process], changed: Sequence[changes.Change],
              users: tuple[FrameUsers, FrameUsers]) -> list[Line]:
    """Leaves by address: those that changed, neighbours that are alike joined, and one before and after each."""
    old, new = ({m.va: m for m in p.mappings} if p else {} for p in (was, now))
    if now is None:         # its process tells of all of them
        return _joined([_Leaf("-", m, None) for m in sorted(old.values(), key=lambda m: m.va)], was, now, users)
    signs = {c.va: c.kind for c in changed if c.what == "pte"}
    if was is None:
        signs = dict.fromkeys(new, "+")
    order = sorted(old.keys() | new.keys())
    near = set()
    for i, va in enumerate(order):
        if va in signs:
            near.update(order[max(i - 1, 0):i + 2])
    return _joined([_Leaf(signs.get(va, ""), old.get(va), new.get(va)) for va in order if va in near], was, now, users)


class _Leaf(NamedTuple):
    """An entry before and after: one of them, or both."""
    sign: str
    before: Optional[Mapping]
    after: Optional[Mapping]

    @property
    def latest(self) -> Mapping:
        found = self.after or self.before
        assert found is not None
        return found


def _joined(rows: Sequence[_Leaf], was: Optional[Process], now: Optional[Process],
            users: tuple[FrameUsers, FrameUsers]) -> list[Line]:
    index = users[1].index
    soft = index.soft
    groups: list[tuple[tuple[object, ...], Others, list[_Leaf]]] = []
    for row in rows:
        sign, a, b = row
        m = row.latest
        others = users[1].others(now, b) if b and now else users[0].others(was, m) if was else Others((), ())
        key = (sign, m.region, m.level, a and (a.flags[:5], soft(a.pte)), b and (b.flags[:5], soft(b.pte)), others)
        last = groups[-1][2][-1].latest if groups else None
        if last and groups[-1][0] == key and last.va + last.n_pages * PAGE == m.va:
            groups[-1][2].append(row)
        else:
            groups.append((key, others, [row]))
    made = []
    for _, others, found in groups:
        first = found[0].latest
        n = sum(row.latest.n_pages for row in found)
        tip = "; ".join(f"{when} PTE at {m.pte_at:#x} = {m.pte:#x}" for when, m in zip(("before", "after"), found[0][1:]) if m)
        shared = ", ".join([*filter(None, [shared_words(others)]), *("! " + w for w in others.wrong)])
        made.append(Line(found[0].sign, f"{first.va:#x}", words.region(first.region),
                         _frames(index, [row.before for row in found if row.before]),
                         _frames(index, [row.after for row in found if row.after]),
                         f"{first.va:#x}: {tip}", shared, n, first.va))
    return made


def _frames(index: Index, mappings: Sequence[Mapping]) -> str:
    if not mappings:
        return ""
    runs = 1 + sum(b.pa != a.pa + a.n_pages * PAGE for a, b in zip(mappings, mappings[1:]))
    where = f"{mappings[0].pa:#x}" if runs == 1 else f"{runs} runs of frames"
    return f"{words.flags(index, mappings[0], words.RWXU)} {where}"


def _fit(sections: list[Section]) -> tuple[list[Section], list[str]]:
    """At most LIMIT rows: what only orients goes first, then what is least of interest, counted."""
    if sum(1 + len(s.lines) for s in sections) > LIMIT:
        sections = [Section(s.title, s.sign, tuple(line for line in s.lines if line.sign)) for s in sections]
    notes = []
    if len(sections) > LIMIT // 4:
        machine = [s for s in sections if s.title == MACHINE]
        processes = [s for s in sections if s.title != MACHINE]
        gone = processes[LIMIT // 4 - len(machine):]
        notes.append(f"left out: {words.count(len(gone), 'process', 'processes')} with "
                     f"{words.count(sum(len(s.lines) for s in gone), 'changed row')}")
        sections = processes[:LIMIT // 4 - len(machine)] + machine
    most = LIMIT    # rows to a process
    while most > 1 and sum(_weight(_shortened(s, most)) for s in sections) > LIMIT:
        most -= 1
    return [_shortened(s, most) for s in sections], notes


def _weight(section: Section) -> float:
    """The height of a section, in rows of one line."""
    return 1.5 + len(section.lines) + sum(bool(line.shared) for line in section.lines) * LINE_PT / ROW_PT \
        + (section.n_left_out > 0)


def _shortened(section: Section, n_rows: int) -> Section:
    """The `n_rows` most telling rows of a section, in their order."""
    if len(section.lines) <= n_rows:
        return section
    kept = sorted(nsmallest(n_rows, range(len(section.lines)), key=lambda i: section.lines[i].interest))
    return Section(section.title, section.sign, tuple(section.lines[i] for i in kept), len(section.lines) - n_rows)


def _place(grid: Grid, sections: Sequence[Section]) -> float:
    address_pt = width_pt(max([len("0x3ffffff000"), *(len(line.where) for s in sections for line in s.lines if line.pages)]))
    rest = elements.CONTENT_PT - SIGN_PT - address_pt - REGION_PT
    has_before = any(line.before for s in sections for line in s.lines)     # else nothing would stand in that column
    value_pt = rest // 2 if has_before else rest
    y = 0.0
    heads = [(SIGN_PT, ""), (address_pt, "address"), (REGION_PT, "region, pages"), *([(value_pt, "before")] if has_before else []),
             (value_pt, "after")]
    if sections:
        y = grid.row("heads", 0, y, [Cell(w, small(h, style.QUIET)) for w, h in heads], "columns")
    whole = sum(w for w, _ in heads)
    for i, s in enumerate(sections):
        rows = [Row(20, [Cell(SIGN_PT, strong(s.sign), "middle", FILL[s.sign]),
                         Cell(whole - SIGN_PT, strong(s.title), fill=FILL[s.sign])])]
        rows += [_row(f"row-{i}-{k}", line, address_pt, value_pt, has_before) for k, line in enumerate(s.lines)]
        if s.n_left_out:
            rows.append(Row(ROW_PT, [Cell(whole, small(f"{words.count(s.n_left_out, 'row')} more, left out", style.QUIET))]))
        y = grid.card(f"section-{i}", 0, y, rows, s.title) + 10
    return y


def _row(name: str, line: Line, address_pt: int, value_pt: int, has_before: bool) -> Row:
    ink = style.INK if line.sign else style.QUIET
    yellow = (style.FILL_WRONG if "! " in line.shared else style.FILL_FRAME) if line.shared and line.sign else None

    def said(s: str, shared: str = "") -> Said:
        return plain(wrap(s, n_chars(value_pt)), ink) / small(wrap(shared, n_chars(value_pt, style.SMALL_PT)), ink)
    before, after = said(line.before, "" if line.after else line.shared), said(line.after, line.shared if line.after else "")
    n_lines = max(len(before.lines), len(after.lines), 1)
    pages = f" {line.pages:,}" if line.pages > 1 else ""
    called = shorten(line.what, 12 - len(pages)) + pages
    id_, tip = (name, line.tip) if line.tip else (None, None)
    if line.pages:
        middle = [Cell(address_pt, small(line.where, ink), id=id_, tip=tip),
                  Cell(REGION_PT, plain(called, ink, bold=line.what in words.LETTER and bool(line.sign)), divided=True)]
    else:
        middle = [Cell(address_pt + REGION_PT, plain(line.where), id=id_, tip=tip, divided=True)]
    return Row(ROW_PT + LINE_PT * (n_lines - 1), [
        Cell(SIGN_PT, strong(line.sign), "middle", FILL[line.sign]), *middle,
        *([Cell(value_pt, before, fill=None if line.after else yellow, divided=True)] if has_before else []),
        Cell(value_pt, after, fill=yellow if line.after else None)])


def _description(sections: Sequence[Section], around: Sequence[str]) -> str:
    """The figure in sentences."""
    said = words.as_sentences(around)
    for s in sections:
        parts = []
        for line in s.lines:
            pages = f", {words.count(line.pages, 'page')}" if line.pages else ""
            then = " to ".join(filter(None, [line.before, line.after])) if line.sign == "~" else line.after or line.before
            parts.append(" ".join(filter(None, [line.what, line.where])) + f"{pages} {WORD[line.sign]}: {then}"
                         + (f", {line.shared}" if line.shared else ""))
        left_out = [f"{words.count(s.n_left_out, 'row')} left out"] if s.n_left_out else []
        said.append(f"{s.title} {WORD[s.sign]}" + (": " + "; ".join(parts + left_out) if parts or left_out else "") + ".")
    return " ".join(said)
