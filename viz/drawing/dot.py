"""What is written for Graphviz: text escaped for its labels and attributes."""
from __future__ import annotations

from html import escape


def printable(s: str) -> str:
    """`s` with what XML or a terminal could choke on replaced, one character for one."""
    return "".join(c if c.isprintable() else "\ufffd" for c in s)


def _plain(s: str) -> str:
    """`s` printable, its backslashes replaced by the sign for set minus, which looks the same.

    dot 2.43 substitutes \\N, \\G and others even in HTML-like text, and a doubled backslash
    stops it only in some places.
    """
    return printable(s).replace("\\", "\u2216")


def text(s: str) -> str:
    """`s` as text inside an HTML-like label."""
    return escape(_plain(s))


def quoted(s: str) -> str:
    """`s` in double quotes, as the value of an attribute of DOT or of an HTML-like label."""
    return f'"{text(s)}"'


def shorten(s: str, n_chars: int) -> str:
    return s if len(s) <= n_chars else s[:n_chars - 1] + "…"
