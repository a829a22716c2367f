"""One figure before it is rendered."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from .scene import Scene


@dataclass(frozen=True)
class Drawing:
    """One figure: its scene. title and description are for who cannot see it.

    A film has `html`, a page that stands alone, and `sheets`: given True, a scene for each sheet of A4, else one that
    is as long as need be. They are large, so they are made when asked for.
    """
    title: str
    description: str
    scene: Optional[Scene] = None
    html: Optional[Callable[[], str]] = None
    sheets: Optional[Callable[[bool], Sequence[Scene]]] = None
