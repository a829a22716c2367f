"""`set shrimpy ...` and `show shrimpy ...`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import gdb

from .. import __version__
from ..kernel.debuginfo import DebugInfo


class _Set(gdb.Command):
    """Settings of the Shrimpy kit."""

    def __init__(self) -> None:
        super().__init__("set shrimpy", gdb.COMMAND_DATA, prefix=True)


class _Show(gdb.Command):
    """Show the settings of the Shrimpy kit."""

    def __init__(self) -> None:
        super().__init__("show shrimpy", gdb.COMMAND_DATA, prefix=True)

    def invoke(self, _argument: str, from_tty: bool) -> None:
        for name in ("fry", "shrimp", "reader", "version"):
            gdb.execute(f"show shrimpy {name}", from_tty)


class _Address(gdb.Parameter):
    """A virtual address, or auto."""

    def __init__(self, name: str) -> None:
        self.set_doc = f"Set the virtual address of {name.upper()}: an expression, or auto."
        self.show_doc = f"Show the virtual address of {name.upper()}."
        self.__doc__ = ("auto: from the kernel's macro information, or else from the memlayout.h "
                        f"beside it.\nSHRIMPY_{name.upper()} in the environment sets it at the start.")
        super().__init__(f"shrimpy {name}", gdb.COMMAND_DATA, gdb.PARAM_STRING)
        self.value = "auto"
        self.address: int | None = None
        self._title = name.upper()
        self._complaint: str | None = None
        if said := os.environ.get(f"SHRIMPY_{self._title}"):
            try:
                gdb.execute(f"set shrimpy {name} {said}")
            except gdb.error as error:
                self._complaint = f"SHRIMPY_{self._title}: {error}"

    def chosen(self) -> int | None:
        """The address, None for auto. Raises gdb.GdbError for one that the
        environment has and that is none, until another is set."""
        if self._complaint:
            raise gdb.GdbError(self._complaint)
        return self.address

    def get_set_string(self) -> str:
        text = (self.value or "auto").strip()
        try:
            address = None if text == "auto" else int(gdb.parse_and_eval(text))
        except (gdb.error, ValueError) as error:
            self.value = "auto" if self.address is None else hex(self.address)
            raise gdb.GdbError(f"expected an address or auto, found {text!r}: {error}") from None
        if address is not None and (address % 4096 or not 0 < address < 1 << 38):
            self.value = "auto" if self.address is None else hex(self.address)
            raise gdb.GdbError(f"expected the address of a page below 1 << 38, found {address:#x}")
        self.address, self._complaint = address, None
        self.value = "auto" if address is None else hex(address)
        if _hook is not None:
            _hook()
        return ""

    def get_show_string(self, value: str) -> str:
        if value == "auto":
            return f"{self._title} is where the kernel's headers say (auto)."
        return f"{self._title} is at {value}."


class _Reader(gdb.Parameter):
    """auto: the file that QEMU shares its RAM through, where there is one;
    remote: always through the gdb stub."""

    set_doc = "Set how the live machine's memory is read."
    show_doc = "Show how the live machine's memory is read."

    def __init__(self) -> None:
        super().__init__("shrimpy reader", gdb.COMMAND_DATA, gdb.PARAM_ENUM,
                         ["auto", "remote"])
        self.value = "auto"

    def get_set_string(self) -> str:
        return ""

    def get_show_string(self, value: str) -> str:
        return f"The machine's memory is read by: {value}."


class _ShowVersion(gdb.Command):
    """Show the version of the Shrimpy kit."""

    def __init__(self) -> None:
        super().__init__("show shrimpy version", gdb.COMMAND_DATA)

    def invoke(self, _argument: str, from_tty: bool) -> None:
        gdb.write(f"Shrimpy {__version__}, from {Path(__file__).resolve().parents[3]}\n")


_hook: Callable[[], None] | None = None


def when_set(hook: Callable[[], None]) -> None:
    """Calls hook whenever one of the addresses has been set."""
    global _hook
    _hook = hook


_Set()
_Show()
_ShowVersion()
fry = _Address("fry")
shrimp = _Address("shrimp")
reader = _Reader()


def addresses(info: DebugInfo, origin: str | None) -> tuple[int | None, int | None, str | None]:
    """(FRY, SHRIMP, where FRY came from): the parameters, else `info`'s macros,
    which came from `origin`."""
    chosen = fry.chosen(), shrimp.chosen()
    if chosen != (None, None):
        origin = "parameter"
    found = [info.macros.get(name) if at is None else at for at, name in zip(chosen, ("FRY", "SHRIMP"))]
    return found[0], found[1], origin
