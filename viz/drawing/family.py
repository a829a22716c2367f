"""The family diagram: who shares what with whom.

Processes stand on the left as a family tree, the frames they share on the right; a line
runs from the letter F (FRY) or S (SHRIMP) of a process to the same letter at the frame.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from . import style, words
from .dot import quoted, text
from .drawing import Drawing
from .label import CELL_PAD_PT, cell, colored, graph, legend, lines, n_chars, node, two_ends, width_pt
from .sharing import Member, Page, Placed, SharedFrame, Sharing, family_order, select, sharing
from .snapshot_json import Snapshot

LIMIT = 8
TITLE = "Who shares what with whom"

INDENT_PT = 14
LEAST_BOX_CHARS = 44     # room for the legend, which is as wide as a process's box
FRAME_CHARS = 24        # of a line of text in a frame's box
TITLE_CHARS = 92        # of a line of the title


def draw(snapshot: Snapshot, pids: Optional[Sequence[int]] = None, heading: bool = True) -> Drawing:
    """The family diagram of `snapshot`, of the processes `pids` or of those with most to show.

    Raises VizError: no Shrimpy layout, a pid that is not there, more than LIMIT of them.
    """
    model = sharing(snapshot)
    slots = select(model, LIMIT, pids)
    placed = family_order(model, slots)
    drawn = set(slots)
    frames = [f for f in model.frames.values() if f.worth_drawing and drawn.intersection(f.users)]
    here = {f.pa for f in frames}
    columns = _columns(snapshot, model, placed, here)
    stop = words.stop_line(snapshot)
    notes = words.left_out(snapshot, model, drawn, here) + words.cautions(snapshot)
    body = [_process_node(snapshot, p, model.members[p.slot], here, columns) for p in placed]
    body += [_frame_node(snapshot, model, f, drawn, columns) for f in frames]
    body += [_legend_node(snapshot, notes, columns), *_edges(model, placed, here)]
    return Drawing(TITLE, words.description(snapshot, model, placed, frames, [stop, *notes]),
                   graph("family", TITLE, words.wrap(stop, TITLE_CHARS) if heading else None, body,
                         rankdir="LR", nodesep=0.12, ranksep=0.6))


_INK = {"F": style.LINE_FRY, "S": style.LINE_SHRIMP}
_DASH = {"F": "solid", "S": "dashed"}
_WEIGHT = {"F": 6, "S": 1}     # a frame stands beside its owner


_LABEL_PT = width_pt(len("SHRIMP"))
_ADDRESS_PT = width_pt(len("0x87654321"))
_LETTER_PT = width_pt(2)


@dataclass(frozen=True)
class _Columns:
    """Widths in points. Every box ends at one line; the deeper in the tree, the later it begins."""
    box: int            # of a process that is nobody's child
    frame: int          # of the text in a frame's box


def _columns(snapshot: Snapshot, model: Sharing, placed: Sequence[Placed], here: set[int]) -> _Columns:
    box = width_pt(LEAST_BOX_CHARS)
    for p in placed:
        m = model.members[p.slot]
        head = width_pt(len(words.name(m.process)) + len(words.role(snapshot, m))) + 2 * CELL_PAD_PT
        remarks = [words.page_words(m, page, letter, page is not None and page.pa in here)[1]
                   for letter, page in (("F", m.fry), ("S", m.shrimp))]
        row = _LABEL_PT + _ADDRESS_PT + width_pt(max(map(len, remarks))) + _LETTER_PT
        box = max(box, max(head, row) + INDENT_PT * p.depth)
    return _Columns(box, width_pt(FRAME_CHARS))


def _process_node(snapshot: Snapshot, place: Placed, member: Member, here: set[int],
                  columns: _Columns) -> str:
    width = columns.box - INDENT_PT * place.depth
    fill = style.FILL_WRONG if member.wrong else style.FILL_ORPHAN if member.orphan else style.FILL_PROCESS
    rows = [cell(two_ends(words.name(member.process), words.role(snapshot, member)), PORT="head", COLSPAN=4,
                 BGCOLOR=fill, WIDTH=width, CELLPADDING=0)]
    rows += [_page_row(place.slot, member, letter, page, here, width)
             for letter, page in (("F", member.fry), ("S", member.shrimp))]
    rows += [cell(lines(words.wrap("! " + w, n_chars(width))), COLSPAN=4, ALIGN="LEFT", BALIGN="LEFT",
                  BGCOLOR=style.FILL_WRONG) for w in member.wrong]
    if place.depth:
        rows[0] = cell("", BORDER=0, WIDTH=INDENT_PT * place.depth, CELLPADDING=0, ROWSPAN=len(rows)) + rows[0]
    return node(_process_id(place.slot), rows, f"process {words.name(member.process)}")


def _page_row(slot: int, member: Member, letter: str, page: Optional[Page], here: set[int],
              width: int) -> str:
    is_drawn = page is not None and page.pa in here
    address, remark = words.page_words(member, page, letter, is_drawn)
    tip = {"TOOLTIP": words.pte(page), "ID": f"{_process_id(slot)}-{letter}",
           "HREF": "#" + (_frame_id(page.pa) if is_drawn else _process_id(slot))} if page else {}
    rest = width - _LABEL_PT - _ADDRESS_PT
    label = cell(words.PAGE[letter], ALIGN="LEFT", SIDES="LTB", WIDTH=_LABEL_PT, BGCOLOR=style.PAPER,
                  PORT=f"{letter}-left")
    where = cell(address, ALIGN="LEFT", SIDES="TB", WIDTH=_ADDRESS_PT, BGCOLOR=style.PAPER, **tip)
    if not is_drawn:
        return label + where + cell(text(remark), ALIGN="LEFT", SIDES="TRB", COLSPAN=2, WIDTH=rest,
                                    BGCOLOR=style.PAPER)
    return (label + where
            + cell(text(remark), ALIGN="LEFT", SIDES="TB", WIDTH=rest - _LETTER_PT, BGCOLOR=style.PAPER)
            + cell(colored(letter, _INK[letter]), PORT=letter, WIDTH=_LETTER_PT, BGCOLOR=style.PAPER))


def _frame_node(snapshot: Snapshot, model: Sharing, frame: SharedFrame, drawn: set[int],
                columns: _Columns) -> str:
    fill = style.FILL_WRONG if frame.wrong else style.FILL_ORPHAN if frame.creator_gone else style.FILL_FRAME
    rows = [cell(two_ends(f"frame {frame.pa:#x}", words.refs(snapshot, frame)), COLSPAN=2, CELLPADDING=0,
                 WIDTH=_LETTER_PT + columns.frame)]
    rows += [cell(f"<B>{letter}</B>", SIDES="LTB", WIDTH=_LETTER_PT, VALIGN="TOP",
                  **({"PORT": letter} if letter in _INK else {}))
             + cell(lines(words.wrap(what, FRAME_CHARS)), SIDES="TRB", WIDTH=columns.frame, ALIGN="LEFT",
                   BALIGN="LEFT")
             for letter, what in words.frame_words(model, frame, drawn)]
    return node(_frame_id(frame.pa), rows, f"frame {frame.pa:#x}", BGCOLOR=fill)


def _legend_node(snapshot: Snapshot, notes: Sequence[str], columns: _Columns) -> str:
    layout = snapshot.layout
    return legend([
        f'{colored("F ───▶", style.LINE_FRY)} FRY {layout.fry:#x}, my page',
        f'{colored("S ╌╌╌▶", style.LINE_SHRIMP)} SHRIMP {layout.shrimp:#x}, my parent\'s FRY',
        f'{colored("· · ·▶", style.INK)} parent to child &#160; <B>!</B> wrong'], notes, columns.box)


def _process_id(slot: int) -> str:
    return f"process-{slot}"


def _frame_id(pa: int) -> str:
    return f"frame-{pa:#x}"


def _edges(model: Sharing, placed: list[Placed], here: set[int]) -> list[str]:
    column = [_process_id(p.slot) for p in placed] + ["legend"]
    lines = ["{ rank=same; " + " ".join(quoted(name) + ";" for name in column) + " }"]
    lines += [f"{quoted(a)} -> {quoted(b)} [style=invis, weight=100];" for a, b in zip(column, column[1:])]
    for p in placed:
        m = model.members[p.slot]
        if p.parent is not None:
            tip = f"{words.name(model.members[p.parent].process)} is the parent of {words.name(m.process)}"
            lines.append(f"{quoted(_process_id(p.parent))}:\"S-left\":w -> {quoted(_process_id(p.slot))}:head:w "
                         f"[style=dotted, tooltip={quoted(tip)}];")
        for letter, page in (("F", m.fry), ("S", m.shrimp)):
            if page and page.pa in here:
                tip = f"{words.PAGE[letter]} of {words.name(m.process)}, {words.pte(page)}"
                lines.append(f"{quoted(_process_id(p.slot))}:{letter}:e -> {quoted(_frame_id(page.pa))}:{letter}:w "
                             f'[color="{_INK[letter]}", style={_DASH[letter]}, penwidth=1.5, weight={_WEIGHT[letter]}, '
                             f'tooltip={quoted(tip)}];')
    return lines
