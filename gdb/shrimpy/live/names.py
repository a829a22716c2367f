"""The layout's addresses as names in GDB's expressions, wherever the machine
stands: FRY, which a kernel's macro information says only in files that include
its header, and $FRY.

They are set when a kernel is loaded and when a parameter is; nothing happens
at a stop.
"""

from __future__ import annotations

import re

import gdb

from ..kernel import gdbinfo
from . import parameters
from .session import session

NAMES = ("FRY", "SHRIMP", "TRAPFRAME", "TRAMPOLINE", "MAXVA", "KERNBASE", "PHYSTOP")

_OURS = re.compile(r"0x[0-9a-f]+L")  # how our macros look, also those of a kit that was loaded before


def refresh() -> None:
    """Makes the names mean what the loaded kernel and the parameters say."""
    values = _values()
    there = _user_macros()
    for name in NAMES:
        value = values.get(name)
        gdb.set_convenience_variable(name, value)
        if name in there and not _OURS.fullmatch(there[name]):
            continue                # a person's own
        if value is not None and not _is_symbol(name):
            gdb.execute(f"macro define {name} {value:#x}L", to_string=True)
        elif name in there:
            gdb.execute(f"macro undef {name}", to_string=True)


def _values() -> dict[str, int]:
    """What is known of each name: nothing where there is no kernel."""
    try:
        info, origin = session.debuginfo()
    except gdbinfo.NoKernel:
        found, macros = (parameters.fry.address, parameters.shrimp.address), {}
    else:
        found, macros = parameters.addresses(info, origin)[:2], info.macros
    known = {name: macros.get(name) for name in NAMES}
    known.update(zip(("FRY", "SHRIMP"), found))
    return {name: value for name, value in known.items() if value is not None}


def _user_macros() -> dict[str, str]:
    """What `macro define` has defined, ours included: name -> body."""
    return dict(re.findall(r"^macro define (\w+) (.*)$", gdb.execute("macro list", to_string=True), re.M))


def _is_symbol(name: str) -> bool:
    """Whether the kernel has a variable or an enumerator of that name, which a macro would hide."""
    try:
        kernel = gdbinfo.kernel_objfile()
    except gdbinfo.NoKernel:
        return False
    return (kernel.lookup_global_symbol(name) or kernel.lookup_static_symbol(name)) is not None


def _on_objfiles(event: object) -> None:
    """A kernel has come, or gone; a program's symbols change nothing."""
    try:
        kernel = gdbinfo.kernel_objfile()
    except gdbinfo.NoKernel:
        kernel = None
    if kernel is None or getattr(event, "new_objfile", kernel) == kernel:
        _refresh_quietly()


def _refresh_quietly() -> None:
    try:
        refresh()
    except (gdb.GdbError, gdb.error):
        pass                        # every command says what is wrong


def register() -> None:
    """Names what is loaded already, and what will be."""
    gdb.events.new_objfile.connect(_on_objfiles)
    gdb.events.clear_objfiles.connect(_on_objfiles)
    parameters.when_set(refresh)
    _refresh_quietly()
