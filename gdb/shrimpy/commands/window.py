"""The window "shrimpy" of GDB's TUI, and the layout that has it beside the source."""

from __future__ import annotations

import gdb

from ..live.session import session
from ..show import window
from ..show.text import Painter
from ..step import current
from .base import KNOWN_ERRORS, one_line, speakable

_LAYOUT = "tui new-layout shrimpy {-horizontal src 4 shrimpy 3} 3 status 0 cmd 2"


class Window:
    """One window. GDB makes it when a layout shows it, and closes it when none
    does any more: only in between is anything done at a prompt."""

    _open: list[Window] = []

    def __init__(self, tui: gdb.TuiWindow) -> None:
        self._tui = tui
        self._top = 0
        self._drawn: tuple | None = None
        tui.title = "shrimpy"
        Window._open.append(self)
        gdb.events.before_prompt.connect(self._at_prompt)

    @staticmethod
    def is_seen() -> bool:
        """Whether there is such a window, and `tui disable` does not hide it."""
        return any(one._tui.is_valid() for one in Window._open)

    def close(self) -> None:
        Window._open.remove(self)
        gdb.events.before_prompt.disconnect(self._at_prompt)

    def render(self) -> None:
        if not self._tui.is_valid():
            return
        # A line as wide as the window would be followed by an empty one.
        width, height = self._tui.width - 1, self._tui.height
        lines = _lines(width, height)
        self._top = max(0, min(self._top, len(lines) - height))
        painter = Painter(bool(gdb.parameter("style enabled")))
        text = speakable(window.view(lines, width, height, self._top, painter))
        try:
            self._tui.write(text, True)
        except TypeError:       # GDB 10
            self._tui.erase()
            self._tui.write(text)
        self._drawn = _state()

    def vscroll(self, lines: int) -> None:
        self._top += lines
        self.render()

    def hscroll(self, _columns: int) -> None:
        pass

    def _at_prompt(self) -> None:
        if self._drawn != _state():
            self._top = 0
            self.render()


def _state() -> tuple:
    """What says whether there is something new to draw."""
    stepping = current.at_step()
    return session.moves(), stepping.n_steps if stepping is not None else None, gdb.selected_thread()


def _lines(width: int, height: int) -> list[window.Line]:
    stepping = current.at_step()
    try:
        if stepping is not None and stepping.last is not None and stepping.last.snapshot is not None:
            return window.content(stepping.last.snapshot, stepping.last, stepping.cast, width, height)
        return window.content(session.snapshot(walk_free=False), None, None, width, height)
    except KNOWN_ERRORS as error:
        return window.wrapped("warn", one_line(error), width)


def register() -> None:
    make = getattr(gdb, "register_window_type", None)
    if make is None:            # a GDB without the TUI
        return
    make("shrimpy", Window)
    try:
        gdb.execute(_LAYOUT, to_string=True)
    except gdb.error as error:  # loaded a second time
        if "already" not in str(error):
            raise
