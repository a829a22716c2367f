"""What a variable, or a part of one, is called in C, by its address."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple, Union

from .debuginfo import DebugInfo, Symbol, Type

Path = Tuple[Union[str, int], ...]
"""A variable's name, then fields' names and elements' numbers: ("proc", 3, "state")."""


class Paths:
    """Of one kernel."""

    def __init__(self, info: DebugInfo) -> None:
        self._info = info
        self._symbols: Dict[str, Symbol] = {}
        for name, one in info.symbols.items():
            if one.type.kind not in ("other", "code"):
                self._symbols[name] = one
        self._known: Dict[int, Optional[Path]] = {}

    def at(self, address: int) -> Optional[Path]:
        """The innermost part that has the byte at an address; None where no variable is."""
        if address not in self._known:
            self._known[address] = self._find(address)
        return self._known[address]

    def _find(self, address: int) -> Optional[Path]:
        name = self._info.object_at(address)
        if name is None:
            return None
        symbol = self._symbols.get(name)
        if symbol is None or not 0 <= address - symbol.address < symbol.type.size:
            return (name,)      # nothing says what is in it, or it is another file's of that name
        return (name, *self._inside(symbol.type, address - symbol.address))

    def _inside(self, kind: Type, offset: int) -> List[Union[str, int]]:
        if kind.kind == "array" and kind.element is not None and kind.element.size:
            index, rest = divmod(offset, kind.element.size)
            return [index, *self._inside(kind.element, rest)]
        if kind.kind == "struct":
            for name, field in self._info.structs.get(kind.name, {}).items():
                if field.offset <= offset < field.offset + field.type.size:
                    return [name, *self._inside(field.type, offset - field.offset)]
        return []


def text(path: Path) -> str:
    """As C writes it."""
    return "".join(f"[{one}]" if isinstance(one, int) else f".{one}" if at else one for at, one in enumerate(path))


def alike(path: Path) -> Tuple[Union[str, None], ...]:
    """The same of all elements of an array: without their numbers."""
    return tuple(None if isinstance(one, int) else one for one in path)
