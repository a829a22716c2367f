"""What GDB reads of a kernel's file, for who looks at its memory without GDB."""

from __future__ import annotations

from typing import NamedTuple

from shrimpy.kernel.debuginfo import DebugInfo

from .. import Trouble
from . import debugger


class Known(NamedTuple):
    """Of a kernel: its debugging information, where its two pages are (virtual addresses, or None), and who says so."""

    info: DebugInfo
    fry: int | None
    shrimp: int | None
    fry_from: str | None


def known(gdb: debugger.Session) -> Known:
    """What a GDB that has the kernel's file knows of it. Raises Trouble where it cannot be read."""
    path = gdb.folder / "known"
    said = gdb.ask(
        "python from shrimpy.live import parameters; from shrimpy.live.session import session",
        "python info, origin = session.debuginfo(); fry, shrimp, origin = parameters.addresses(info, origin)",
        f"python with open({str(path)!r}, 'w') as file: file.write(f'{{fry or 0}} {{shrimp or 0}} {{origin or \"\"}}\\n' + info.to_json())")
    if not path.is_file():
        raise Trouble(f"the kernel's debugging information cannot be read: {(said.strip().splitlines() or ['GDB said nothing'])[-1]}")
    first, _, text = path.read_text().partition("\n")
    fry, shrimp, origin = first.split(" ", 2)
    return Known(DebugInfo.from_json(text), int(fry) or None, int(shrimp) or None, origin or None)
