"""Text before it is drawn: how wide it is, broken into lines, and made safe for what it is written into."""
from __future__ import annotations

import textwrap
from functools import lru_cache
from html import escape

from . import style


def text_width(n_chars: float, size: float = style.FONT_PT) -> float:
    """The width of `n_chars` characters."""
    return n_chars * style.CHAR_PT * size / style.FONT_PT


def fitting_chars(width: float, size: float = style.FONT_PT) -> int:
    """How many characters `width` holds."""
    return int(width / (style.CHAR_PT * size / style.FONT_PT))


def wrap(line: str, n_chars: int) -> list[str]:
    return list(_wrapped(line, n_chars))


@lru_cache(maxsize=4096)    # a page says the same again and again
def _wrapped(line: str, n_chars: int) -> tuple[str, ...]:
    return tuple(textwrap.wrap(line, n_chars, break_on_hyphens=False) or [""])


def shorten(s: str, n_chars: int) -> str:
    return s if len(s) <= n_chars else s[:n_chars - 1] + "…"


def printable(s: str) -> str:
    """`s` with what XML or a terminal could choke on replaced, one character for one."""
    return s if s.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in s)


def in_html(s: str) -> str:
    """`s` as text of HTML, or as the value of an attribute in double quotes."""
    return escape(printable(s))


def in_dot(s: str) -> str:
    """`s` as text inside an HTML-like label of DOT, its backslashes replaced by the sign for set minus, which looks
    the same.

    dot 2.43 substitutes \\N, \\G and others even in HTML-like text, and a doubled backslash
    stops it only in some places.
    """
    return in_html(s).replace("\\", "\u2216")


def quoted(s: str) -> str:
    """`s` in double quotes, as the value of an attribute of DOT or of an HTML-like label."""
    return f'"{in_dot(s)}"'
