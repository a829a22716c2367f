"""Fills a `DebugInfo` from the symbol tables that GDB has loaded.

Everything is looked up in the kernel's own objfile: a user program loaded
beside it has a `struct proc` or a `fork` of its own. Nothing here reads the
machine's memory or moves the user's scope, list position or frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import gdb

from . import elf, macros
from .debuginfo import DebugInfo, Field, Symbol, Type
from .kernel import WANTED

# Functions that every xv6 has, one to a file whose headers and types matter.
_LANDMARKS = ("kalloc", "kinit", "allocproc", "mappages", "main", "pipealloc",
              "filealloc", "exec", "kexec", "usertrap", "syscall")


class NoKernel(Exception):
    """GDB has no symbols of an xv6 kernel."""


def kernel_objfile() -> gdb.Objfile:
    """The objfile that defines proc[] and kalloc. Raises NoKernel."""
    for objfile in gdb.objfiles():
        if objfile.is_valid() and objfile.lookup_global_symbol("proc") \
                and objfile.lookup_global_symbol("kalloc"):
            return objfile
    named = ", ".join(o.filename for o in gdb.objfiles() if o.filename)
    raise NoKernel("expected the symbols of an xv6 kernel (proc, kalloc); found "
                   + (f"only {named}" if named else "none")
                   + "; try: file path/to/kernel/kernel, built with -g")


def collect(objfile: gdb.Objfile) -> DebugInfo:
    """What `kernel.WANTED` asks for, as far as this kernel has it."""
    return _Collector(objfile).collect()
