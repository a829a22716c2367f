"""23.3.2.7 Writing a Pretty-Printer."""

from collections.abc import Iterable

import gdb

class PrettyPrinter:
    name: str
    enabled: bool
    def __init__(self, name: str, subprinters: Iterable[object] | None = ...) -> None: ...
    def __call__(self, value: gdb.Value) -> object | None: ...

def register_pretty_printer(obj: gdb.Objfile | None, printer: PrettyPrinter, replace: bool = ...) -> None: ...
