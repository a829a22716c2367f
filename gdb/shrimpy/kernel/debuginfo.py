"""What one kernel's debugging information says, as plain data.

`DebugInfo` holds only names that `kernel.WANTED` asks for. It goes to JSON and
back, so that a RAM image can be looked at where there is no GDB.
"""

from __future__ import annotations

import bisect
import dataclasses
import json
from typing import Any, Dict, List, Optional, Tuple

from ..memory.elf import Range
from ..records import decode, encode, record
from ..words import findings as said


@record
class Type:
    """A C type, as far as reading memory needs it.

    kind: "int" "uint" "char" "enum" "ptr" "array" "struct" (unions too)
    "code", or "other". An array has `count` elements of type `element`; a
    pointer's `element` is what it points to, one level deep, or None.
    `name` is the struct's or enum's key in DebugInfo: its tag, or for one
    without a tag the name of the variable, "kmem", or of the field, "kmem.list".
    """

    kind: str
    size: int = 0               # bytes
    name: str = ""
    count: int = 0
    element: Optional["Type"] = None


@record
class Field:
    """A member of a struct: `offset` in bytes from its start."""

    offset: int
    type: Type


@record
class Symbol:
    """A variable: where it is and what it is. `address` is physical (xv6's
    kernel is identity-mapped)."""

    address: int
    type: Type


@record
class DebugInfo:
    """One kernel's symbols, layouts, enumerators and macros.

    structs: name -> {field name -> Field}; struct_sizes: name -> bytes.
    enums: enumerator -> value, of every wanted enum, in one name space as in C; enumerators: enum -> the names of its own.
    macros: name -> value, only those that evaluate to a number.
    functions, objects: every function and data object of the ELF symbol table,
    by address (elf.symbols reads them). undescribed: (object file, why) of what has
    no debugging information: "no -g", "-g1" (no types), "no dwo" (it is in a file that is not
    there), "stripped" (not even symbols).
    """

    kernel: str = ""            # path of the kernel's ELF file
    symbols: Dict[str, Symbol] = dataclasses.field(default_factory=dict)
    structs: Dict[str, Dict[str, Field]] = dataclasses.field(default_factory=dict)
    struct_sizes: Dict[str, int] = dataclasses.field(default_factory=dict)
    enums: Dict[str, int] = dataclasses.field(default_factory=dict)
    macros: Dict[str, int] = dataclasses.field(default_factory=dict)
    functions: Tuple[Range, ...] = ()
    objects: Tuple[Range, ...] = ()
    undescribed: Tuple[Tuple[str, str], ...] = ()
    enumerators: Dict[str, Tuple[str, ...]] = dataclasses.field(default_factory=dict)
    learnt: Dict[Any, Any] = dataclasses.field(default_factory=dict, init=False, repr=False, compare=False)
    # of the functions' code: `stacks` by address, `panic` which function it is; of the variables: `variables`, their parts
    _function_starts: List[int] = dataclasses.field(init=False, repr=False, compare=False)
    _object_starts: List[int] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("function", "object"):
            ordered = tuple(sorted(getattr(self, name + "s"), key=lambda r: (r.address, r.name)))
            object.__setattr__(self, name + "s", ordered)
            object.__setattr__(self, f"_{name}_starts", [r.address for r in ordered])

    def symbol(self, *names: str) -> Optional[Symbol]:
        """The first of `names` that this kernel defines, or None."""
        return next((self.symbols[n] for n in names if n in self.symbols), None)

    def field(self, struct: str, *names: str) -> Optional[Field]:
        """The first field of `struct` among `names`, or None."""
        fields = self.structs.get(struct, {})
        return next((fields[n] for n in names if n in fields), None)

    def function_at(self, pc: int) -> Optional[str]:
        """The name of the function that address `pc` is in, or None."""
        return _name_at(self.functions, self._function_starts, pc)

    def function_range(self, pc: int) -> Optional[Range]:
        """The function that address `pc` is in, or None."""
        return _range_at(self.functions, self._function_starts, pc)

    def object_at(self, pa: int) -> Optional[str]:
        """The name of the variable that address `pa` is in, or None."""
        return _name_at(self.objects, self._object_starts, pa)

    def undescribed_why(self, wanted: str) -> Optional[str]:
        """That debugging information which would say what `wanted` is is missing, where,
        and how to have it; None when nothing is missing."""
        if not self.undescribed:
            return None
        file = self.kernel.rsplit("/", 1)[-1]
        reasons = {why for _, why in self.undescribed}
        if "stripped" in reasons:
            return said.stripped(file, wanted)
        objects = sorted((name for name, _ in self.undescribed), key=lambda name: ("proc.o", "kalloc.o", name).index(name))
        if "no dwo" in reasons:
            return said.split_debug_information(objects, _MOST_OBJECTS, wanted)
        how = reasons.pop() if len(reasons) == 1 else "both"
        return said.no_debug_information(objects, _MOST_OBJECTS, file, how, wanted)

    def has_function(self, *names: str) -> Optional[str]:
        """The first of `names` that this kernel has as a function, or None."""
        known = {f.name for f in self.functions}
        return next((n for n in names if n in known), None)

    def to_json(self) -> str:
        """The same as text: keys sorted, so that equal infos give equal text."""
        return json.dumps({
            "schema": "shrimpy-debuginfo", "version": 1, "kernel": self.kernel,
            "symbols": {n: {"address": hex(s.address), "type": _type_out(s.type)}
                        for n, s in sorted(self.symbols.items())},
            "structs": {n: {"size": self.struct_sizes.get(n, 0),
                            "fields": {m: {"offset": f.offset, "type": _type_out(f.type)}
                                       for m, f in sorted(fields.items())}}
                        for n, fields in sorted(self.structs.items())},
            "enums": dict(sorted(self.enums.items())),
            "macros": {n: hex(v) for n, v in sorted(self.macros.items())},
            "functions": [encode(f) for f in self.functions],
            "objects": [encode(o) for o in self.objects],
            "undescribed": [list(one) for one in self.undescribed],
            "enumerators": {name: list(own) for name, own in sorted(self.enumerators.items())},
        }, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "DebugInfo":
        """The info that `to_json` wrote. Raises ValueError on anything else."""
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("schema") != "shrimpy-debuginfo":
            raise ValueError("not a shrimpy-debuginfo file")
        if data.get("version") != 1:
            raise ValueError(f"shrimpy-debuginfo version {data.get('version')}, expected 1")
        try:
            structs = data["structs"]
            return cls(
                kernel=data["kernel"],
                symbols={n: Symbol(int(s["address"], 16), _type_in(s["type"]))
                         for n, s in data["symbols"].items()},
                structs={n: {m: Field(f["offset"], _type_in(f["type"]))
                             for m, f in s["fields"].items()} for n, s in structs.items()},
                struct_sizes={n: s["size"] for n, s in structs.items()},
                enums=data["enums"],
                macros={n: int(v, 16) for n, v in data["macros"].items()},
                functions=tuple(decode(Range, f) for f in data["functions"]),
                objects=tuple(decode(Range, o) for o in data["objects"]),
                undescribed=tuple((name, why) for name, why in data.get("undescribed", ())),
                enumerators={name: tuple(own) for name, own in data.get("enumerators", {}).items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"shrimpy-debuginfo: {error!r}") from error


_MOST_OBJECTS = 3       # that are named


def _name_at(ranges: Tuple[Range, ...], starts: List[int], where: int) -> Optional[str]:
    found = _range_at(ranges, starts, where)
    return None if found is None else found.name


def _range_at(ranges: Tuple[Range, ...], starts: List[int], where: int) -> Optional[Range]:
    """The last range that starts at or below `where`, if it reaches that far."""
    i = bisect.bisect_right(starts, where) - 1
    if i < 0 or where >= ranges[i].address + max(ranges[i].size, 1):
        return None
    return ranges[i]


def _type_out(t: Type) -> Dict[str, Any]:
    out: Dict[str, Any] = {"kind": t.kind, "size": t.size}
    if t.name:
        out["name"] = t.name
    if t.kind == "array":
        out["count"] = t.count
    if t.element is not None:
        out["element"] = _type_out(t.element)
    return out


def _type_in(data: Dict[str, Any]) -> Type:
    element = data.get("element")
    return Type(data["kind"], data["size"], data.get("name", ""), data.get("count", 0),
                _type_in(element) if element is not None else None)
