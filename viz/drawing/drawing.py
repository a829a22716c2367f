"""A figure before it is rendered."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Optional


@dataclass(frozen=True)
class Drawing:
    """One figure: `dot` for Graphviz to lay out, or `svg` that is laid out already, or both: then `dot` is
    the same as a plain graph, for those who want to edit it.

    title and description are for who cannot see it.
    A film has `html`, a page that stands alone, and `sheets`: given True, SVG of each sheet of A4,
    else of one that is as long as need be. They are large, so they are made when asked for.
    """
    title: str
    description: str
    dot: Optional[str] = None
    svg: Optional[str] = None
    html: Optional[Callable[[], str]] = None
    sheets: Optional[Callable[[bool], Sequence[str]]] = None
