"""The figures of a snapshot, one module each; a figure's draw() returns a Drawing."""
from __future__ import annotations

from dataclasses import dataclass

from ..scene.shapes import Scene


@dataclass(frozen=True)
class Drawing:
    """One figure before it is rendered: its scene. title and description are for who cannot see it."""
    title: str
    description: str
    scene: Scene
