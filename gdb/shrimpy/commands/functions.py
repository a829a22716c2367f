"""$proc and $phys, and how GDB prints the kernel's own types."""

from __future__ import annotations

from collections.abc import Callable

import gdb
import gdb.printing

from ..kernel import gdbinfo, rsw_names
from ..live.session import session
from ..memory import sv39
from .base import KNOWN_ERRORS, Bad, one_line, with_pid


class _Function(gdb.Function):
    """A convenience function whose errors are one line."""

    name = ""
    usage = ""
    value: Callable[..., object]        # of the arguments; Bad and TypeError for wrong ones

    def __init__(self) -> None:
        super().__init__(self.name)

    def invoke(self, *arguments: gdb.Value) -> object:
        try:
            return self.value(*arguments)
        except TypeError:
            raise gdb.GdbError(f"${self.name}: expected {self.usage}") from None
        except KNOWN_ERRORS as error:
            raise gdb.GdbError(f"${self.name}: {one_line(error)}") from None


class Proc(_Function):
    """The struct proc with a pid: $proc(3).name, $proc(3).sz.

In the kernel it is a pointer into proc[]: the whole struct is print *$proc(3).
In user mode, where GDB cannot read the kernel's memory, it is a copy of the
struct: print $proc(3).
"""

    name = "proc"
    usage = "$proc(PID)"

    def value(self, pid: gdb.Value) -> gdb.Value:
        taken = session.snapshot()
        found = with_pid(int(pid), taken)
        kind = gdbinfo.process_type(session.debuginfo()[0])
        if taken.stop.privilege != "U":
            return gdb.Value(found.proc).cast(kind.pointer())
        with session.memory() as reader:
            return gdb.Value(reader.read(found.proc, kind.sizeof), kind)


class Phys(_Function):
    """The physical address that a process's page table gives a virtual one:
$phys(3, FRY), $phys(3, 0x1000).
"""

    name = "phys"
    usage = "$phys(PID, VA)"

    def value(self, pid: gdb.Value, va: gdb.Value) -> int:
        found = with_pid(int(pid), session.snapshot())
        if found.root is None:
            raise Bad(f"pid {found.pid} has no page table")
        with session.memory() as reader:
            translation = sv39.translate(reader, found.root, int(va) & (1 << 64) - 1)
        if translation.pa is None:
            raise Bad(f"pid {found.pid}, {int(va):#x}: {translation.fault}")
        return translation.pa


class _Pte:
    """pte_t: the number, and what it says."""

    def __init__(self, value: gdb.Value) -> None:
        self._value = value

    def to_string(self) -> str:
        pte = int(self._value) & (1 << 64) - 1
        return f"{pte:#x} ({sv39.describe(pte, 0, rsw_names(session.debuginfo()[0]))})" if pte else "0"


class _Pagetable:
    """pagetable_t: where the table is, and how much of it is in use."""

    def __init__(self, value: gdb.Value) -> None:
        self._value = value

    def to_string(self) -> str:
        root = int(self._value) & (1 << 64) - 1
        if not root:
            return "0"
        try:
            reader = session.quiet_reader(session.debuginfo()[0])
            page = reader.page(root) if reader else None
        except KNOWN_ERRORS:
            page = None
        if page is None:
            return f"{root:#x}"
        valid = sum(1 for _, pte in sv39.entries(page) if pte & sv39.V)
        return f"{root:#x} ({valid} valid, {512 - valid} invalid)"


class _Proc:
    """struct proc: who it is, then the fields as ever."""

    def __init__(self, value: gdb.Value) -> None:
        self._value = value

    def to_string(self) -> str:
        pid, name = int(self._value["pid"]), self._value["name"].string("latin-1")
        return f"pid {pid} {name!r} {self._value['state']}"

    def children(self):
        for member in self._value.type.fields():
            yield member.name, self._value[member.name]


class _Printers(gdb.printing.PrettyPrinter):
    """By the name that the source uses: a typedef's, or the struct's tag."""

    def __call__(self, value: gdb.Value) -> object | None:
        named = value.type.unqualified().name
        if named == "pte_t":
            return _Pte(value)
        if named == "pagetable_t":
            return _Pagetable(value)
        real = value.type.strip_typedefs()
        if real.code == gdb.TYPE_CODE_STRUCT and real.tag == "proc" \
                and {"pid", "name", "state"} <= set(real.keys()):
            return _Proc(value)
        return None


def register() -> None:
    Proc()
    Phys()
    gdb.printing.register_pretty_printer(None, _Printers("shrimpy"), replace=True)
