"""A kernel's variables in a stopped machine's memory.

What memory holds is never trusted: reads are bounded by the types' sizes, and what cannot be right becomes a finding.
"""

from __future__ import annotations

from array import array
from functools import wraps
from typing import Any, Callable, Hashable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, TypeVar

from ..memory.readers import PAGE, Reader
from ..memory.sv39 import MAXVA, Finding
from ..words import findings as said
from .cnames import ALLOCATOR_WORDS, FREE_LISTS, FUNCTION_NAMES, lock_name
from .debuginfo import DebugInfo, Type

T = TypeVar("T")


def of_memory(method: Callable[..., T]) -> Callable[..., T]:
    """A method of Variables that makes something of memory, the debugging information and its arguments alone: it is asked again only
    where the reader does not remember what it gave, which nobody changes."""
    @wraps(method)
    def ask(self: "Variables", *args: Any) -> T:
        return self.reader.remembered(method.__qualname__, lambda: method(self, *args), args)
    return ask


class Place(NamedTuple):
    """A variable, or a part of one: "kmem[0].freelist" at an address."""

    path: str
    address: int
    type: Type


class Variables:
    """The kernel's constants and variables, by their C names.

    Nothing is read before it is asked for. Methods return plain data, add to `findings` what cannot be right, and raise
    only ReadError, for a source that fails inside RAM.
    """

    def __init__(self, reader: Reader, info: DebugInfo) -> None:
        self.reader = reader
        self.info = info
        self.findings: List[Finding] = []

    def constant(self, macro: str, default: int) -> int:
        """The value of a macro of this kernel, or `default`."""
        return self.info.macros.get(macro, default)

    def trampoline(self) -> int:
        """The virtual address of the trampoline page."""
        return self.info.macros.get("TRAMPOLINE", self.info.macros.get("MAXVA", MAXVA) - PAGE)

    def trapframe(self) -> int:
        """The virtual address of the trapframe page."""
        return self.info.macros.get("TRAPFRAME", self.trampoline() - PAGE)

    def image(self) -> Tuple[int, Optional[int]]:
        """[base, end) of the kernel's image; end is None when nothing says it."""
        end = self.info.symbol("end")
        return self.info.macros.get("KERNBASE", self.reader.ram[0]), end.address if end else None

    def function_names(self) -> Tuple[Tuple[str, str], ...]:
        """(usual name, this kernel's name) of each function it has."""
        def found() -> List[Tuple[str, str]]:
            known = {f.name for f in self.info.functions}
            return [(usual, next(n for n in names if n in known)) for usual, names in FUNCTION_NAMES.items() if not known.isdisjoint(names)]
        return tuple(self._learnt("function names", found))

    def value(self, name: str) -> Optional[int]:
        """The number in variable `name`, or None when there is no such."""
        symbol = self.info.symbol(name)
        if symbol is None or not symbol.type.size or symbol.type.size > 8:
            return None
        return self._number(symbol.address, symbol.type.size)

    @of_memory
    def next_pid(self) -> Optional[int]:
        """The pid that the next process gets, where the kernel counts them."""
        last = next((p for p in self._parts("slots") if p.path == "slots.lastpid"), None)
        if last is None:
            return self.value("nextpid")
        number = self._number(last.address, last.type.size)
        return None if number is None else number + 1

    @of_memory
    def panicked(self) -> bool:
        """Whether the kernel has panicked."""
        return bool(self.value("panicked"))

    @of_memory
    def root(self) -> Optional[int]:
        """The physical address of the kernel's root table, None before there is one."""
        return self.value("kernel_pagetable") or None

    @of_memory
    def locks(self) -> List[Tuple[str, bool, Optional[int]]]:
        """(name, held, hart) of each lock that guards what the rules read."""
        names = (*self._names(FREE_LISTS, ALLOCATOR_WORDS), "wait_lock", "pid_lock", "ftable")
        locks = [place for name in names
                 for place in self._parts(name)
                 if place.type.kind == "struct" and place.type.name == "spinlock"]
        return [(lock_name(place.path), *self.lock_at(place.address)) for place in locks]

    def data_words(self) -> Iterator[Tuple[int, Sequence[int]]]:
        """(address, words) of the kernel's variables, in pieces of 64 KiB."""
        base, end = self.image()
        etext = self.info.symbol("etext")
        start = (etext.address if etext else base) + 7 & -8
        stop = min(end or start, self.reader.ram[1])
        for at in range(max(start, self.reader.ram[0]), stop, 1 << 16):
            data = self._bytes(at, min(1 << 16, stop - at) & -8, "the kernel's data")
            if data:
                yield at, words_of(data)

    def words(self, pa: int, n: int) -> Sequence[int]:
        """The words of `n` bytes at `pa`; none where that is not RAM."""
        base, end = self.reader.ram
        return words_of(self.reader.read(pa, n & -8)) if base <= pa <= pa + n <= end else ()

    # Parts

    def _names(self, usual: Sequence[str], words: Sequence[str]) -> List[str]:
        """The variables of this kernel among `usual`, then others that have
        one of `words` in their names."""
        def found() -> List[str]:
            others = (n for n in sorted(self.info.symbols) if any(w in n.lower() for w in words))
            return [n for n in dict.fromkeys((*usual, *others)) if n in self.info.symbols]
        return self._learnt((*usual, "or", *words), found)

    def _parts(self, name: str) -> Sequence[Place]:
        """Variable `name`, and the fields and elements it has by value, two
        structs deep; of an array longer than a table of harts, only itself."""
        symbol = self.info.symbol(name)
        if symbol is None:
            return ()
        place = Place(name, symbol.address, symbol.type)
        return self._learnt(("parts of", name), lambda: list(self._parts_of(place, 3)))

    def _learnt(self, what: Hashable, find: Callable[[], List[T]]) -> List[T]:
        """What the debugging information alone says, found once."""
        known = self.info.learnt
        if what not in known:
            known[what] = find()
        return known[what]

    def _parts_of(self, place: Place, depth: int) -> Iterator[Place]:
        yield place
        t = place.type
        if depth and t.kind == "struct":
            for name, field in self.info.structs.get(t.name, {}).items():
                yield from self._parts_of(Place(f"{place.path}.{name}",
                                                 place.address + field.offset, field.type),
                                          depth - 1)
        elif depth and t.kind == "array" and t.element is not None and 0 < t.count <= 64:
            for i in range(t.count):
                yield from self._parts_of(Place(f"{place.path}[{i}]",
                                                 place.address + i * t.element.size, t.element),
                                          depth - 1)

    def lock_at(self, address: int, struct: str = "spinlock") -> Tuple[bool, Optional[int]]:
        """(held, by which hart) of a lock, a `struct`; None where it does not say."""
        locked = self.info.field(struct, "locked")
        holder = self.info.field(struct, "cpu")
        if locked is None or not self._number(address + locked.offset, locked.type.size):
            return False, None
        cpus = self.info.symbol("cpus")
        if holder is None or cpus is None or cpus.type.element is None:
            return True, None
        at = (self._number(address + holder.offset, 8) or 0) - cpus.address
        size = cpus.type.element.size
        whole = size and at % size == 0 and 0 <= at < size * cpus.type.count
        return True, at // size if whole else None

    def _enumerator(self, name: str, default: int) -> int:
        return self.info.enums.get(name, default)

    # Reading

    def _number(self, address: int, size: int) -> Optional[int]:
        data = self._bytes(address, size, f"{size} bytes")
        return int.from_bytes(data, "little") if data is not None else None

    def _bytes(self, address: int, n: int, what: str) -> Optional[bytes]:
        data = self._in_ram(address, n)
        if data is None:
            self._find("outside-ram", address, said.outside_ram(what, address, n))
        return data

    def _in_ram(self, address: int, n: int) -> Optional[bytes]:
        base, end = self.reader.ram
        return self.reader.read(address, n) if base <= address <= address + n <= end else None

    def _pointer(self, address: int) -> int:
        """The pointer in memory at an address that memory gave; 0 where that is outside RAM."""
        base, end = self.reader.ram
        return int.from_bytes(self.reader.read(address, 8), "little") if base <= address <= end - 8 else 0

    def _find(self, kind: str, at: Optional[int], text: str) -> None:
        self.findings.append(Finding(kind, at, text))
        self.reader.forget()        # whoever makes something of memory here would have to tell of it again


def word(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at:at + size], "little")


def words_of(data: bytes) -> array:
    words = array("Q")
    words.frombytes(data)
    return words
