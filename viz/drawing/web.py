"""What is written for a browser."""
from __future__ import annotations

from html import escape

from .dot import printable


def text(s: str) -> str:
    """`s` as text of HTML, or as the value of an attribute in double quotes."""
    return escape(printable(s))
