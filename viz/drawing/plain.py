"""A figure in words: what stands in for one that dot could not lay out in time."""
from __future__ import annotations

import re
from dataclasses import replace

from . import page, style
from .canvas import Canvas
from .drawing import Drawing
from .page import LINE_PT, MARGIN_PT


def in_words(drawing: Drawing, why: str) -> Drawing:
    """The description of `drawing`, a line for each of its sentences, below a line that says why."""
    canvas = Canvas()
    y = page.heading(canvas, drawing.title, [f"In words only: {why}"])
    for sentence in re.split(r"(?<=\.) (?=[A-Z])", drawing.description):
        for line in page.wrapped([sentence], page.WIDTH_PT - 2 * MARGIN_PT):
            canvas.text(MARGIN_PT, y, line, style.SMALL_PT)
            y += LINE_PT
        y += 3
    return replace(drawing, svg=canvas.svg(page.WIDTH_PT, y + MARGIN_PT))
