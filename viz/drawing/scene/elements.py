"""The look that all figures share: heading, letters in badges, alarms, notes below."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from . import style
from .shapes import Band, Scene
from .text import fitting_chars, wrap

MARGIN_PT = 4
WIDTH_PT = style.MAX_WIDTH_PT
CONTENT_PT = WIDTH_PT - 2 * MARGIN_PT
BADGE_R = 6.2
ALARM_LINE_PT = 12
LINE_PT = 12            # of small text


def heading(scene: Scene, title: str, below: Sequence[str], width: float = WIDTH_PT) -> float:
    """The title and the lines below it, wrapped; returns the y where the figure begins."""
    y = MARGIN_PT + 8.0
    scene.text(MARGIN_PT, y, title, style.TITLE_PT, bold=True)
    y += 4
    for line in wrapped(below, width - 2 * MARGIN_PT):
        y += LINE_PT
        scene.text(MARGIN_PT, y, line, style.SMALL_PT, ink=style.QUIET)
    return y + 16


def wrapped(lines: Sequence[str], width: float, size: float = style.SMALL_PT) -> list[str]:
    return [part for line in lines for part in wrap(line, fitting_chars(width, size))]


def notes(scene: Scene, y: float, lines: Sequence[str], width: float = WIDTH_PT) -> float:
    """Small lines below a figure, from y, wrapped; returns the y below them."""
    with scene.group(kind="notes"):
        for one in lines:
            wrong = one.startswith("! ")
            for line in wrapped([one], width - 2 * MARGIN_PT):
                scene.text(MARGIN_PT, y + LINE_PT / 2, line, style.SMALL_PT, ink=style.ALARM if wrong else style.QUIET,
                            bold=wrong)
                y += LINE_PT
    return y


def badge(scene: Scene, x: float, y: float, letter: str) -> None:
    """F, filled, or hollow and as its lines are: S dashed, A, of what is attached, dotted."""
    if letter == "F":
        scene.disc(x, y, BADGE_R, style.LINE["F"], style.LINE["F"], stroke_width=1.2)
        scene.text(x, y, letter, style.SMALL_PT, "middle", style.PAPER, bold=True)
    else:
        scene.disc(x, y, BADGE_R, style.PAPER, style.LINE[letter], stroke_width=1.2, dash=(2.6, 1.3) if letter == "S" else (1.0, 1.2))
        scene.text(x, y, letter, style.SMALL_PT, "middle", style.LETTER[letter], bold=True)


def arrow_head(scene: Scene, x: float, y: float, ink: str) -> None:
    """Points to the right, its tip at (x, y)."""
    scene.line([(x - 9, y), (x, y)], ink, arrow=8.0)


def alarm_height(lines: Sequence[str]) -> float:
    return ALARM_LINE_PT * len(lines) + 4 if lines else 0


def alarm_band(lines: Sequence[str]) -> Optional[Band]:
    """The foot of a box that says what is wrong; None when nothing is."""
    return Band(alarm_height(lines), style.ALARM) if lines else None


def alarm(scene: Scene, x: float, y: float, lines: Sequence[str]) -> None:
    """What an alarm_band() says, in white; its upper left corner is (x, y), and `lines` are wrapped already."""
    for i, line in enumerate(lines):
        scene.text(x + 7, y + 2 + ALARM_LINE_PT * (i + 0.5), line, style.SMALL_PT, ink=style.PAPER, bold=True)


def alarm_lines(plain: Sequence[str], width: float, sign: str = "! ") -> list[str]:
    """Each of `plain` after a sign, wrapped to a band of `width`, what follows indented."""
    found = []
    for one in plain:
        parts = wrap(one, fitting_chars(width - 14, style.SMALL_PT) - len(sign))
        found += [sign + parts[0], *(" " * len(sign) + part for part in parts[1:])]
    return found


def rule(scene: Scene, y: float, width: float = WIDTH_PT) -> None:
    scene.line([(MARGIN_PT, y), (width - MARGIN_PT, y)], style.HAIRLINE, stroke_width=0.6)

