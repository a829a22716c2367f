"""23.3.2.14 Unwinding Frames in Python."""

import gdb

class UnwindInfo:
    def add_saved_register(self, register: str, value: gdb.Value) -> None: ...

class Unwinder:
    name: str
    enabled: bool
    def __init__(self, name: str) -> None: ...

def register_unwinder(locus: gdb.Objfile | None, unwinder: Unwinder, replace: bool = ...) -> None: ...
