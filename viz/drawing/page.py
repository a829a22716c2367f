"""The look that figures on a canvas share: heading, letters in badges, alarms, notes below."""
from __future__ import annotations

from collections.abc import Sequence

from . import style, words
from .canvas import Canvas, fitting_chars

MARGIN_PT = 12
WIDTH_PT = style.MAX_WIDTH_PT
BADGE_R = 6.2
ALARM_LINE_PT = 12
LINE_PT = 12            # of small text


def heading(canvas: Canvas, title: str, below: Sequence[str], width: float = WIDTH_PT) -> float:
    """The title and the lines below it, wrapped; returns the y where the figure begins."""
    y = MARGIN_PT + 8.0
    canvas.text(MARGIN_PT, y, title, style.TITLE_PT, bold=True)
    y += 4
    for line in wrapped(below, width - 2 * MARGIN_PT):
        y += LINE_PT
        canvas.text(MARGIN_PT, y, line, style.SMALL_PT, fill=style.QUIET)
    return y + 16


def wrapped(lines: Sequence[str], width: float, size: float = style.SMALL_PT) -> list[str]:
    return [part for line in lines for part in words.wrap(line, fitting_chars(width, size))]


def notes(canvas: Canvas, y: float, lines: Sequence[str], width: float = WIDTH_PT) -> float:
    """Small lines below a figure, from y, wrapped; returns the y below them."""
    with canvas.group(class_="notes"):
        for one in lines:
            wrong = one.startswith("! ")
            for line in wrapped([one], width - 2 * MARGIN_PT):
                canvas.text(MARGIN_PT, y + LINE_PT / 2, line, style.SMALL_PT, fill=style.ALARM if wrong else style.QUIET,
                            bold=wrong)
                y += LINE_PT
    return y


def badge(canvas: Canvas, x: float, y: float, letter: str) -> None:
    """F, filled, or S, hollow and dashed as its lines are."""
    if letter == "F":
        canvas.circle(x, y, BADGE_R, style.LINE["F"], style.LINE["F"], stroke_width=1.2)
        canvas.text(x, y, letter, 8, "middle", style.PAPER, bold=True)
    else:
        canvas.circle(x, y, BADGE_R, style.PAPER, style.LINE[letter], stroke_width=1.2, stroke_dasharray="2.6 1.3")
        canvas.text(x, y, letter, 8, "middle", style.LETTER[letter], bold=True)


def alarm_height(lines: Sequence[str]) -> float:
    return ALARM_LINE_PT * len(lines) + 4 if lines else 0


def alarm(canvas: Canvas, x: float, y: float, width: float, lines: Sequence[str], radius: float) -> None:
    """A dark band at the foot of a box with corners of that radius, what is wrong in white on it; `lines` are
    wrapped already."""
    r, height = radius, alarm_height(lines)
    canvas.path(f"M{x:.2f} {y:.2f}h{width:.2f}v{height - r:.2f}q0 {r} -{r} {r}h{2 * r - width:.2f}q-{r} 0 -{r} -{r}z",
                fill=style.ALARM)
    for i, line in enumerate(lines):
        canvas.text(x + 7, y + 2 + ALARM_LINE_PT * (i + 0.5), line, style.SMALL_PT, fill=style.PAPER, bold=True)


def alarm_lines(plain: Sequence[str], width: float, sign: str = "! ") -> list[str]:
    """Each of `plain` after a sign, wrapped to a band of `width`, what follows indented."""
    found = []
    for one in plain:
        parts = words.wrap(one, fitting_chars(width - 14, style.SMALL_PT) - len(sign))
        found += [sign + parts[0], *(" " * len(sign) + part for part in parts[1:])]
    return found


def rule(canvas: Canvas, y: float, width: float = WIDTH_PT) -> None:
    canvas.line(MARGIN_PT, y, width - MARGIN_PT, y, style.HAIRLINE, stroke_width=0.6)

