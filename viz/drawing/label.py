"""How every figure that dot lays out is built: tables of cells, the heading, the legend.

Markup is text for dot's HTML-like labels, already escaped; all else is plain.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from . import style, words
from .dot import quoted, text

CELL_PAD_PT = 8         # what a cell adds to its text, borders included


def width_pt(n_chars: int) -> int:
    """The width of a cell that holds `n_chars` characters."""
    return CELL_PAD_PT + ceil(style.CHAR_PT * n_chars)


def n_chars(width: int, size_pt: float = style.FONT_PT) -> int:
    """How many characters of `size_pt` a cell of `width` points holds."""
    return int((width - CELL_PAD_PT) / (style.CHAR_PT * size_pt / style.FONT_PT))


def cell(markup: str, **attributes: object) -> str:
    """A table cell."""
    settings = "".join(f" {key}={quoted(str(value))}" for key, value in attributes.items())
    return f"<TD{settings}>{markup}</TD>"


def lines(plain: Sequence[str]) -> str:
    """Lines of text, flush left in a cell with BALIGN="LEFT"."""
    return "".join(f'{text(line)}<BR ALIGN="LEFT"/>' for line in plain)


def colored(s: str, color: str) -> str:
    return f'<FONT COLOR="{color}"><B>{text(s)}</B></FONT>'


def node(name: str, rows: Sequence[str], tip: str, place: Mapping[str, str]) -> str:
    """A node that is a table; each of `rows` is the cells of one row. `place`: attributes of the node."""
    places = "".join(f", {key}={quoted(value)}" for key, value in place.items())
    table = "".join(f"<TR>{row}</TR>" for row in rows)
    return (f"{quoted(name)} [id={quoted(name)}, tooltip={quoted(tip)}{places}, label=<"
            f'<TABLE BORDER="0" CELLBORDER="1" CELLSPACING="0" CELLPADDING="3" COLOR="{style.QUIET}">{table}</TABLE>>];')


def small(markup: str, color: str = style.INK) -> str:
    return f'<FONT POINT-SIZE="{style.SMALL_PT}" COLOR="{color}">{markup}</FONT>'


def legend_lines(signs: Sequence[str], notes: Sequence[str], width: int) -> list[str]:
    """A line of markup for each of `signs`, then `notes`, wrapped to `width` points."""
    return [f'{line}<BR ALIGN="LEFT"/>' for line in [
        *signs, *(text(line) for note in notes for line in words.wrap(note, n_chars(width, style.SMALL_PT)))]]


def graph(name: str, title: str, below_title: Sequence[str], body: Sequence[str], **attributes: object) -> str:
    """The whole in DOT: `title` and lines below it at the top left, then the statements of `body`."""
    heading = (f'<B><FONT POINT-SIZE="{style.TITLE_PT}">{text(title)}</FONT></B><BR ALIGN="LEFT"/>'
               f'<FONT POINT-SIZE="4"> </FONT><BR ALIGN="LEFT"/>{small(lines(below_title), style.QUIET)}'
               f'<FONT POINT-SIZE="{style.FONT_PT}"> </FONT><BR ALIGN="LEFT"/>')
    settings = "".join(f"{key}={quoted(str(value))}, " for key, value in attributes.items())
    return "\n".join([
        f"digraph {quoted(name)} {{",
        f'graph [{settings}bgcolor="{style.PAPER}", pad=0.1, '
        f'fontname="{style.FONT}", fontsize={style.FONT_PT}, tooltip={quoted(title)}, '
        f"labelloc=t, labeljust=l, label=<{heading}>];",
        f'node [shape=plain, fontname="{style.FONT}", fontsize={style.FONT_PT}];',
        f'edge [fontname="{style.FONT}", arrowsize=0.7];',
        *body,
        "}",
    ]) + "\n"
