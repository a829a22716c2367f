"""Fills a `DebugInfo` from the symbol tables that GDB has loaded.

Everything is looked up in the kernel's own objfile: a user program loaded
beside it has a `struct proc` or a `fork` of its own. Nothing here reads the
machine's memory or moves the user's scope, list position or frame.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import gdb

from ..memory import elf
from ..memory.readers import PAGE, RAM_BASE
from ..memory.sv39 import RSW
from . import macros
from .cnames import WANTED, is_entry_bit, wanted_variables
from ..memory.elf import Range
from .debuginfo import DebugInfo, Field, Symbol, Type
from .processes import shape, table

# Functions that xv6 trees have, one to a file whose types and macros matter.
_LANDMARKS = ("proc_pagetable", "fork", "kfork", "kalloc", "kvminit", "kinit", "main", "pipealloc",
              "filealloc", "exec", "kexec", "usertrap", "syscall", "virtio_disk_init")

_MAX_DEPTH = 8          # of structs inside structs


class NoKernel(Exception):
    """GDB has no symbols of an xv6 kernel."""


def kernel_objfile() -> gdb.Objfile:
    """The objfile that is a kernel, by what its file has: entered from user mode and
    linked where RAM is, whether or not it has debugging information. Raises NoKernel."""
    for objfile in gdb.objfiles():
        if objfile.filename and _is_kernel(objfile.filename):
            return objfile
    names = ", ".join(o.filename for o in gdb.objfiles() if o.filename)
    raise NoKernel("expected the debugging symbols of an xv6 kernel, found "
                   + (f"only {names}" if names else "no symbols")
                   + "; try: file PATH/kernel/kernel")


def _is_kernel(path: str) -> bool:
    """Whether an ELF file is a kernel for QEMU's virt machine: it is loaded where RAM
    begins. User programs are linked at 0."""
    try:
        key = (path, os.stat(path).st_mtime_ns)
    except OSError:
        return False
    if key not in _KERNELS:
        try:
            loads = [s for s in elf.Elf(Path(path).read_bytes()).segments if s.is_load]
        except (OSError, elf.ElfError):
            loads = []
        _KERNELS[key] = any(s.paddr >= RAM_BASE for s in loads)
    return _KERNELS[key]


_KERNELS: dict[tuple[str, int], bool] = {}


def collect(objfile: gdb.Objfile) -> tuple[DebugInfo, str | None]:
    """(what `kernel.WANTED` asks for as far as this kernel has it, where its
    macros came from: "macro", "memlayout.h" or None). Of a kernel without an array
    of processes, every variable, and every struct that pointers lead to."""
    info, origin = _Collector(objfile).collect()
    kind = shape(info)
    if kind is None or table(info, kind) is None:
        info, origin = _Collector(objfile, everything=True).collect()
    return info, origin


def process_type(info: DebugInfo) -> gdb.Type:
    """The type of this kernel's processes. Raises NoKernel when no type is like one."""
    kind = shape(info)
    if kind is None:
        raise NoKernel(info.undescribed_why("struct proc") or f"no type of {info.kernel} is like a struct proc")
    return _Collector(kernel_objfile()).type_of(kind.struct)


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
    def __init__(self, objfile: gdb.Objfile, everything: bool = False) -> None:
        self._objfile = objfile
        self._everything = everything
        self._pointees: list[tuple[gdb.Type, str]] = []     # structs that are yet to be recorded
        self._structs: dict[str, dict[str, Field]] = {}
        self._sizes: dict[str, int] = {}
        self._enums: dict[str, int] = {}
        self._enumerators: dict[str, tuple[str, ...]] = {}
        self._blocks = list(self._landmark_blocks())

    def collect(self) -> tuple[DebugInfo, str | None]:
        functions, objects, labels = _elf_symbols(self._objfile.filename)
        places = {one.name: one for one in objects}
        symbols = {}
        names = tuple(dict.fromkeys((*wanted_variables(objects), *(places if self._everything else ()))))
        for name in names:
            symbol = self._lookup(name)
            if symbol is None:
                pass
            elif symbol.is_variable:
                symbols[name] = Symbol(int(symbol.value().address),
                                       self._type(symbol.type, name))
            elif symbol.addr_class == gdb.SYMBOL_LOC_UNRESOLVED and name in places:
                # The extern of a file that GDB has read before the one that defines it.
                symbols[name] = Symbol(places[name].address, self._type(
                    _completed(symbol.type, places[name].size), name))
        self._add_others(symbols, objects)
        for name in names:
            # With -g1 GDB takes every variable for an int.
            if name in places and (name not in symbols or places[name].size not in (0, symbols[name].type.size)):
                symbols[name] = Symbol(places[name].address, self._by_size(places[name]))
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
        while self._pointees:
            self._type(*self._pointees.pop())
        values, origin = self._macros()
        nothing_said = any(symbol.type.kind == "other" and name in places for name, symbol in symbols.items())
        info = DebugInfo(
            kernel=self._objfile.filename, symbols=symbols, structs=self._structs,
            struct_sizes=self._sizes, enums=self._enums, enumerators=self._enumerators, macros=values,
            functions=tuple(functions), objects=tuple(objects),
            undescribed=self._undescribed(functions) if nothing_said or not symbols or self._everything else ())
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

    def _by_size(self, place: Range) -> Type:
        """The type of a variable of which only the symbol table tells: what it must be
        in xv6, where the other files say what that is; else no more than its size."""
        tag, is_pointer = _KNOWN.get(place.name, ("", False))
        found = self._lookup_type(f"struct {tag}") if tag else None
        if found is not None and is_pointer and place.size == 8:
            return self._type(found.pointer(), tag)
        if found is not None and not is_pointer and place.size and place.size % found.sizeof == 0:
            return self._type(found.array(place.size // found.sizeof - 1), tag)
        return Type("other", place.size)

    def _undescribed(self, functions: list[Range]) -> tuple[tuple[str, str], ...]:
        """(object file, why) of each that has no debugging information, or not enough."""
        path = self._objfile.filename
        if not functions:
            return ((Path(path).name, "stripped"),)
        files: dict[str, list[int]] = {}    # functions, those that GDB has a symbol for, those with a type
        for function in functions:
            symbol = self._defined(function.name)
            # The first line may be another file's, from which something was inlined there.
            symtab = gdb.find_pc_line(function.address).symtab if symbol is None else symbol.symtab
            if symtab is None:
                continue
            counts = files.setdefault(Path(symtab.filename).name, [0, 0, 0])
            counts[0] += 1
            if symbol is not None:
                counts[1] += 1
                counts[2] += _says_something(symbol.type) or counts[1] == 1 and _types_a_variable(symtab)
        try:
            sources = [name for name in elf.Elf(Path(path).read_bytes()).files() if name.endswith(_SOURCES)]
        except (OSError, elf.ElfError):
            sources = []
        found = {_object(name): "no -g" for name in sources if Path(name).name not in files}
        for name, (n, named, typed) in files.items():
            if name.endswith(_SOURCES) and not named:
                found[_object(name)] = "no dwo"
            elif name.endswith(_SOURCES) and not typed and n > 1:
                found[_object(name)] = "-g1"
        return tuple(sorted(found.items()))

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

    def type_of(self, struct: str) -> gdb.Type:
        """The struct, or what a typedef calls so."""
        found = self._lookup_type(f"struct {struct}") or self._lookup_type(struct)
        if found is None:
            raise NoKernel(f"no struct {struct} in {self._objfile.filename}")
        return found

    def _type(self, given: gdb.Type, variable: str, depth: int = 0) -> Type:
        """`given` as data; structs on the way by value are recorded. `variable`
        names a struct that has no tag."""
        real = given.strip_typedefs()
        code = real.code
        if code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION) and given.code == gdb.TYPE_CODE_TYPEDEF:
            variable = given.unqualified().name or variable
        if code == gdb.TYPE_CODE_PTR:
            return Type("ptr", real.sizeof, element=self._pointee(real.target()))
        if code == gdb.TYPE_CODE_ARRAY:
            low, high = real.range()
            return Type("array", real.sizeof, count=max(high - low + 1, 0),
                        element=self._type(real.target(), variable, depth))
        if code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            key = real.tag or variable
            while self._sizes.get(key, real.sizeof) != real.sizeof:
                key += "'"          # a variable without a tag that is called as another's tag
            if key not in self._structs and depth < _MAX_DEPTH:
                self._structs[key] = {}
                self._sizes[key] = real.sizeof
                self._structs[key].update(self._fields(real, key, depth))
            return Type("struct", real.sizeof, name=key)
        if code == gdb.TYPE_CODE_ENUM:
            self._add_enumerators(real)
            self._enumerators[real.tag or variable] = tuple(member.name or "" for member in real.fields())
            return Type("enum", real.sizeof, name=real.tag or variable)
        return Type(_scalar_kind(real), real.sizeof)

    def _fields(self, struct: gdb.Type, key: str, depth: int) -> dict[str, Field]:
        fields = {}
        for member in struct.fields():
            if not hasattr(member, "bitpos") or member.bitsize:
                continue
            offset = member.bitpos // 8
            if member.name and not member.is_base_class:
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
            name = real.tag or (given.unqualified().name if given.code == gdb.TYPE_CODE_TYPEDEF else "") or ""
            if name and name not in self._structs and real.sizeof:
                self._pointees.append((real, name))
            return Type("struct", real.sizeof, name=name)
        if real.code == gdb.TYPE_CODE_PTR:
            return Type("ptr", real.sizeof)
        if real.code == gdb.TYPE_CODE_VOID:
            return Type("other")        # GDB says that it has one byte
        return Type(_scalar_kind(real), real.sizeof)

    def _add_enumerators(self, enum: gdb.Type) -> None:
        for member in enum.strip_typedefs().fields():
            self._enums.setdefault(member.name or "", member.enumval)

    def _macros(self) -> tuple[dict[str, int], str | None]:
        known = self._macro_information()
        folder = self._headers_folder()
        told = _values(known)
        values = {**_places(folder, known), **_entry_bits(Path(self._objfile.filename).parent, known), **told}
        if "FRY" in told or "SHRIMP" in told:
            return values, "macro"
        beside = macros.from_headers(folder, ("FRY", "SHRIMP"))
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
            known.update(macros.listed(listed))
            if "FRY" in known:
                break
        return known


def _values(known: dict[str, macros.Macro]) -> dict[str, int]:
    found = {name: macros.value(name, known) for name in WANTED.macros}
    return {name: value for name, value in found.items() if value is not None}


def _places(folder: Path, known: dict[str, macros.Macro]) -> dict[str, int]:
    """The macros of memlayout.h that are the address of a page."""
    try:
        names = macros.parse((folder / "memlayout.h").read_text(errors="replace"))
    except OSError:
        return {}
    there = {**macros.written_in(folder), **known}
    values = {name: macros.value(name, there) for name in names}
    return {name: value for name, value in values.items() if value and value % PAGE == 0}


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


_KNOWN = {"proc": ("proc", False), "cpus": ("cpu", False), "initproc": ("proc", True)}
"""Variables of xv6: the tag of the struct that they are, or point to."""

_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".C")


def _object(source: str) -> str:
    return Path(source).stem + ".o"


def _says_something(function: gdb.Type) -> bool:
    """Whether a function's type has more than -g1 leaves: a result, or parameters."""
    return function.code == gdb.TYPE_CODE_FUNC and (
        function.target().code != gdb.TYPE_CODE_VOID or bool(function.fields()))


def _types_a_variable(file: gdb.Symtab) -> bool:
    """Whether the types of a file's variables are described, by one that is more than the int that GDB takes each for with -g1."""
    return any(one.is_variable and one.type.strip_typedefs().code in (gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_PTR)
               for block in (file.global_block(), file.static_block()) for one in block)


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
