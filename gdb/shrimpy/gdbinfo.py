"""Fills a `DebugInfo` from the symbol tables that GDB has loaded.

Everything is looked up in the kernel's own objfile: a user program loaded
beside it has a `struct proc` or a `fork` of its own. Nothing here reads the
machine's memory or moves the user's scope, list position or frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gdb

from . import elf, macros
from .debuginfo import DebugInfo, Field, Range, Symbol, Type
from .kernel import WANTED, is_entry_bit, wanted_variables
from .sv39 import RSW

# Functions that xv6 trees have, one to a file whose types and macros matter.
_LANDMARKS = ("proc_pagetable", "fork", "kfork", "kalloc", "kvminit", "kinit", "main", "pipealloc",
              "filealloc", "exec", "kexec", "usertrap", "syscall", "virtio_disk_init")

_MAX_DEPTH = 8          # of structs inside structs


class NoKernel(Exception):
    """GDB has no symbols of an xv6 kernel."""


def kernel_objfile() -> gdb.Objfile:
    """The objfile that defines a table of processes and kalloc. Raises NoKernel."""
    for objfile in gdb.objfiles():
        has_table = any(objfile.lookup_global_symbol(name) or objfile.lookup_static_symbol(name)
                        for name in ("proc", "ptable"))
        if has_table and objfile.lookup_global_symbol("kalloc"):
            return objfile
    names = ", ".join(o.filename for o in gdb.objfiles() if o.filename)
    raise NoKernel("expected the debugging symbols of an xv6 kernel (proc, kalloc), found "
                   + (f"only {names}" if names else "no symbols")
                   + "; try: file PATH/kernel/kernel")


def collect(objfile: gdb.Objfile) -> tuple[DebugInfo, str | None]:
    """(what `kernel.WANTED` asks for as far as this kernel has it, where its
    macros came from: "macro", "memlayout.h" or None)."""
    return _Collector(objfile).collect()


def code(info: DebugInfo) -> tuple[int, bytes]:
    """(address, bytes) of the kernel's functions, from its file; no bytes
    when the file does not say."""
    if not info.functions:
        return 0, b""
    start = info.functions[0].address
    end = max(f.address + f.size for f in info.functions)
    try:
        data = Path(info.kernel).read_bytes()
        for segment in elf.Elf(data).segments:
            at = start - segment.vaddr
            if segment.is_load and 0 <= at < segment.file_size:
                first = segment.offset + at
                return start, data[first:first + min(end - start, segment.file_size - at)]
    except (OSError, elf.ElfError):
        pass
    return 0, b""


def alike(ours: bytes, there: bytes) -> bool:
    """Whether two pieces of code are one build's: all but a tenth, in lines of
    64 bytes, so that a patched instruction is no other kernel."""
    lines = range(0, len(ours), 64)
    return sum(ours[i:i + 64] != there[i:i + 64] for i in lines) * 10 <= len(lines)


class _Collector:
    def __init__(self, objfile: gdb.Objfile) -> None:
        self._objfile = objfile
        self._structs: dict[str, dict[str, Field]] = {}
        self._sizes: dict[str, int] = {}
        self._enums: dict[str, int] = {}
        self._blocks = list(self._landmark_blocks())

    def collect(self) -> tuple[DebugInfo, str | None]:
        functions, objects, labels = _elf_symbols(self._objfile.filename)
        places = {one.name: one for one in objects}
        symbols = {}
        for name in wanted_variables(objects):
            symbol = self._lookup(name)
            if symbol is None:
                continue
            if symbol.is_variable:
                symbols[name] = Symbol(int(symbol.value().address),
                                       self._type(symbol.type, name))
            elif symbol.addr_class == gdb.SYMBOL_LOC_UNRESOLVED and name in places:
                # The extern of a file that GDB has read before the one that defines it.
                symbols[name] = Symbol(places[name].address, self._type(
                    _completed(symbol.type, places[name].size), name))
        self._add_others(symbols, objects)
        for name, at in labels.items():
            symbols.setdefault(name, Symbol(at, Type("other")))
        for tag in WANTED.structs:
            found = self._lookup_type(f"struct {tag}")
            if found is not None:
                self._type(found, tag)
        for tag in WANTED.enums:
            found = self._lookup_type(f"enum {tag}")
            if found is not None:
                self._add_enumerators(found)
        for name in WANTED.enumerators:
            symbol = self._lookup(name)
            if symbol is not None and symbol.type.code == gdb.TYPE_CODE_ENUM:
                self._add_enumerators(symbol.type)
        values, origin = self._macros()
        info = DebugInfo(
            kernel=self._objfile.filename, symbols=symbols, structs=self._structs,
            struct_sizes=self._sizes, enums=self._enums, macros=values,
            functions=tuple(functions), objects=tuple(objects))
        return info, origin

    def _add_others(self, symbols: dict[str, Symbol], objects: list[Range]) -> None:
        """The other variables: what their types say is no address keeps no frame."""
        for one in objects:
            if one.size < 8 or one.name in symbols:
                continue
            symbol = self._defined(one.name)
            if symbol is not None and symbol.is_variable and symbol.addr_class == gdb.SYMBOL_LOC_STATIC \
                    and int(symbol.value().address) == one.address:     # not another file's of that name
                symbols[one.name] = Symbol(one.address, self._type(symbol.type, one.name))

    def _lookup(self, name: str) -> gdb.Symbol | None:
        """A global, or a static of any file, of the kernel."""
        found = self._defined(name)
        if found is not None and found.addr_class == gdb.SYMBOL_LOC_UNRESOLVED:
            # GDB has read a file that declares it and not yet the one that defines it.
            gdb.execute("maintenance expand-symtabs", to_string=True)
            found = self._defined(name)
        if found is not None:
            return found
        for block in self._blocks:          # enumerators live in a file's block
            found = gdb.lookup_symbol(name, block, gdb.SYMBOL_VAR_DOMAIN)[0]
            if found is not None and found.symtab is not None \
                    and found.symtab.objfile == self._objfile:
                return found
        return None

    def _defined(self, name: str) -> gdb.Symbol | None:
        return self._objfile.lookup_global_symbol(name) or self._objfile.lookup_static_symbol(name)

    def _landmark_blocks(self) -> Iterator[gdb.Block]:
        for name in _LANDMARKS:
            symbol = self._objfile.lookup_global_symbol(name) \
                or self._objfile.lookup_static_symbol(name)
            if symbol is not None and symbol.symtab is not None:
                yield symbol.symtab.static_block()

    def _lookup_type(self, name: str) -> gdb.Type | None:
        """A complete type of the kernel's, whatever else is loaded."""
        for block in self._blocks:
            try:
                found = gdb.lookup_type(name, block)
            except gdb.error:
                continue
            if found.objfile == self._objfile and found.sizeof:
                return found
        return None

    def _type(self, given: gdb.Type, variable: str, depth: int = 0) -> Type:
        """`given` as data; structs on the way by value are recorded. `variable`
        names a struct that has no tag."""
        real = given.strip_typedefs()
        code = real.code
        if code == gdb.TYPE_CODE_PTR:
            return Type("ptr", real.sizeof, element=self._pointee(real.target()))
        if code == gdb.TYPE_CODE_ARRAY:
            low, high = real.range()
            return Type("array", real.sizeof, count=max(high - low + 1, 0),
                        element=self._type(real.target(), variable, depth))
        if code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            key = real.tag or variable
            if key not in self._structs and depth < _MAX_DEPTH:
                self._structs[key] = {}
                self._sizes[key] = real.sizeof
                self._structs[key].update(self._fields(real, key, depth))
            return Type("struct", real.sizeof, name=key)
        if code == gdb.TYPE_CODE_ENUM:
            self._add_enumerators(real)
            return Type("enum", real.sizeof, name=real.tag or variable)
        return Type(_scalar_kind(real), real.sizeof)

    def _fields(self, struct: gdb.Type, key: str, depth: int) -> dict[str, Field]:
        fields = {}
        for member in struct.fields():
            if not hasattr(member, "bitpos") or member.bitsize:
                continue
            offset = member.bitpos // 8
            if member.name:
                kind = self._type(member.type, f"{key}.{member.name}", depth + 1)
                fields[member.name] = Field(offset, kind)
            else:                           # an anonymous struct or union: its
                inner = self._fields(       # members are this struct's (C11 6.7.2.1)
                    member.type.strip_typedefs(), key, depth + 1)
                for name, field in inner.items():
                    fields[name] = Field(offset + field.offset, field.type)
        return fields

    def _pointee(self, given: gdb.Type) -> Type:
        real = given.strip_typedefs()
        if real.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            if real.tag and real.sizeof and real.tag not in self._structs:
                self._type(real, real.tag)
            return Type("struct", real.sizeof, name=real.tag or "")
        if real.code == gdb.TYPE_CODE_PTR:
            return Type("ptr", real.sizeof)
        if real.code == gdb.TYPE_CODE_VOID:
            return Type("other")        # GDB says that it has one byte
        return Type(_scalar_kind(real), real.sizeof)

    def _add_enumerators(self, enum: gdb.Type) -> None:
        for member in enum.strip_typedefs().fields():
            self._enums.setdefault(member.name, member.enumval)

    def _macros(self) -> tuple[dict[str, int], str | None]:
        known = self._macro_information()
        values = {**_entry_bits(Path(self._objfile.filename).parent, known), **_values(known)}
        if "FRY" in values or "SHRIMP" in values:
            return values, "macro"
        beside = macros.from_headers(self._headers_folder(), ("FRY", "SHRIMP"))
        from_headers = _values(beside)
        origin = "memlayout.h" if "FRY" in from_headers or "SHRIMP" in from_headers else None
        return {**from_headers, **values}, origin

    def _headers_folder(self) -> Path:
        """Where memlayout.h is: beside the kernel, or with its sources, when
        they are of the same tree."""
        kernel = Path(self._objfile.filename)
        if (kernel.parent / "memlayout.h").is_file():
            return kernel.parent
        top = kernel.parents[min(2, len(kernel.parents) - 1)]
        for name in _LANDMARKS:
            symbol = self._objfile.lookup_global_symbol(name)
            source = Path(symbol.symtab.fullname()) if symbol is not None and symbol.symtab else None
            if source is not None and top in source.parents and (source.parent / "memlayout.h").is_file():
                return source.parent
        return kernel.parent

    def _macro_information(self) -> dict[str, macros.Macro]:
        """What -ggdb3 recorded, in the first file that knows TRAPFRAME."""
        known: dict[str, macros.Macro] = {}
        for name in _LANDMARKS:
            symbol = self._objfile.lookup_global_symbol(name)
            if symbol is None or symbol.type.code != gdb.TYPE_CODE_FUNC:
                continue
            # `info macros` takes a place, where an expression would be read in
            # the selected frame's scope.
            try:
                listed = gdb.execute(f"info macros *{int(symbol.value().address):#x}",
                                     to_string=True)
            except gdb.error:
                continue
            known.update(macros.parse(listed))
            if "FRY" in known:
                break
        return known


def _values(known: dict[str, macros.Macro]) -> dict[str, int]:
    found = {name: macros.value(name, known) for name in WANTED.macros}
    return {name: value for name, value in found.items() if value is not None}


def _entry_bits(sources: Path, known: dict[str, macros.Macro]) -> dict[str, int]:
    """The macros that are bits for software of a page table entry, also those that only a source file has."""
    there = {**macros.written_in(sources), **known}
    bits = {name: macros.value(name, there) for name in there if is_entry_bit(name)}
    return {name: bit for name, bit in bits.items() if bit in [1 << one for one in RSW]}


def _elf_symbols(path: str) -> tuple[list[Range], list[Range], dict[str, int]]:
    """(functions, objects, the wanted labels' addresses). Not by evaluating
    &end: the function where the machine is stopped may have an `end` of its own."""
    try:
        file = elf.Elf(Path(path).read_bytes())
        return *file.symbols(), file.addresses(WANTED.labels)
    except (OSError, elf.ElfError):
        return [], [], {}


def _completed(given: gdb.Type, size: int) -> gdb.Type:
    """A declared type; of an array without its length, with what makes it `size` bytes."""
    real = given.strip_typedefs()
    if real.code != gdb.TYPE_CODE_ARRAY or real.sizeof or not real.target().sizeof:
        return real
    return real.target().array(size // real.target().sizeof - 1)


def _scalar_kind(real: gdb.Type) -> str:
    if real.code == gdb.TYPE_CODE_FUNC:
        return "code"
    if real.code == gdb.TYPE_CODE_BOOL:
        return "uint"
    if real.code not in (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_CHAR):
        return "other"
    if real.unqualified().name == "char":
        return "char"
    return "int" if int(gdb.Value(-1).cast(real)) < 0 else "uint"
