"""shrimp-live: the machine as a page that is drawn again at each stop."""

from __future__ import annotations

import gdb

from ..live import page
from ..live.session import session
from ..records import encode
from ..snapshot import Snapshot
from ..step import current
from .base import KNOWN_ERRORS, Bad, Command, Opt, one_line

_page: page.Page | None = None


class ShrimpLive(Command):
    """Show the machine on a page that is drawn again at each stop and step.

    Prints the page's address, which is of this host only: the family, the
    matrix, RAM, page tables, walks, the users of a frame, the verdict, and
    with shrimp-step what the step was. Typed again it prints the address
    again; -off ends it. While no page is open, a stop costs nothing.
    """

    name = "shrimp-live"
    opts = (Opt("-off"),)

    def run(self, given):
        global _page
        if "-off" in given:
            if _page is None:
                raise Bad("expected a page to end, found none; try: shrimp-live")
            _page.close()
            _page = None
            return
        if _page is None or not _page.is_open:
            kernel = session.debuginfo()[0].kernel
            try:
                _page = page.Page("Shrimpy: " + "/".join(kernel.split("/")[-3:]), _state, _told)
            except page.Broken as error:
                raise Bad(str(error)) from None
        gdb.write(f"the machine is shown at {_page.url}\n")


def _state() -> tuple[object, ...]:
    """What says whether there is something new to tell."""
    stepping = current.at_step()
    return session.moves(), stepping.n_steps if stepping is not None else None, gdb.selected_thread()


def _told() -> dict[str, object]:
    """The machine as it stands, and the step that led there."""
    stepping = current.at_step()
    step = stepping.last if stepping is not None else None
    try:
        taken = step.snapshot if step is not None and step.snapshot is not None else _taken()
    except KNOWN_ERRORS as error:
        return {"says": one_line(error)}
    return {"snapshot": taken.to_data(), "step": None if step is None else {**encode(step), "snapshot": None}}


def _taken() -> Snapshot:
    """Through the stub the free list would cost a packet for each frame: then it is left out."""
    taken = session.known()
    if taken is None:
        taken = session.snapshot(walk_free=False)
        if taken.source != "remote":
            taken = session.snapshot()
    return taken


def register() -> None:
    ShrimpLive()
