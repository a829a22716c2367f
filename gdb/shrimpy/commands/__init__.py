"""The commands, and what else GDB is told of."""

from __future__ import annotations

import importlib

from ..live import names, trapframes

_MODULES = ("check", "explain", "draw", "processes", "memory", "changes", "step", "programs",
            "functions", "travel", "why", "help", "window", "live")


def register() -> None:
    """Makes every command, function and printer known to GDB."""
    for name in _MODULES:
        importlib.import_module(f"{__name__}.{name}").register()
    names.register()
    trapframes.register()
