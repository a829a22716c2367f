"""What a walk or the kernel's data show that cannot be right, in words."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

Ram = Tuple[int, int]


def root_outside(root: int) -> str:
    return f"the root table {root:#x} is not a frame of RAM"


def more(n: int) -> str:
    return f"{n} more of such findings"


def truncated() -> str:
    return "more tables or pages than this RAM can hold: the walk stopped here"


def table_unreadable(pa: int, error: object) -> str:
    return f"table {pa:#x}: {error}"


def reserved_bits(pte: int) -> str:
    return f"entry {pte:#x} has bits of 63 to 54 set"


def pointer_at_level_0(pte: int) -> str:
    return f"entry {pte:#x} points to a table, but level 0 holds only leaves"


def write_without_read(pte: int) -> str:
    return f"entry {pte:#x} has W without R, which is reserved"


def misaligned_superpage(pa: int, size: int) -> str:
    return f"a superpage at {pa:#x} that is not aligned to its size {size:#x}"


def leaf_outside(pa: int, ram: Ram) -> str:
    return f"maps frame {pa:#x}, RAM is [{ram[0]:#x}, {ram[1]:#x})"


def pointer_flags(pte: int) -> str:
    return f"entry {pte:#x} points to a table and has U, A or D, which are reserved there"


def table_outside(pa: int, ram: Ram) -> str:
    return f"points to a table at {pa:#x}, RAM is [{ram[0]:#x}, {ram[1]:#x})"


def table_repeated(pa: int, first: Optional[int]) -> str:
    """first: the entry that led there before, or None for the root."""
    return f"points to table {pa:#x}, and {'it is the root' if first is None else f'the entry at {first:#x} does too'}"


def node_outside(name: str, n: int, node: int, bounds: Ram) -> str:
    return f"{name}: node {n} is {node:#x}, not a frame of [{bounds[0]:#x}, {bounds[1]:#x})"


def node_twice(name: str, n: int, node: int) -> str:
    return f"{name}: after {n} nodes frame {node:#x} comes again: it was freed twice, or the list is a loop"


def node_unreadable(name: str, error: object) -> str:
    return f"{name}: {error}"


def outside_ram(what: str, address: int, n: int) -> str:
    return f"{what}: [{address:#x}, {address + n:#x}) is outside RAM: is this the kernel that runs?"


def no_process_type() -> str:
    return "no type of this kernel is like a struct proc"


def processes_unseen(n_found: int, n_tables: int) -> str:
    more_of_them = f"; {n_found} were found, and {n_tables} page tables are of others" if n_found else ""
    return ("this kernel has no array of processes, and no pointer whose type is known leads from its variables to "
            f"{'all of them' if n_found else 'one'}{more_of_them}")


def stripped(file: str, wanted: str) -> str:
    return f"{file} is stripped: it has no symbols, so {wanted} is not known; link it without -s, and do not strip it"


def split_debug_information(objects: Sequence[str], most: int, wanted: str) -> str:
    return (f"the debugging information of {_some(objects, most)} is in .dwo files that are not where they were made, so "
            f"{wanted} is not known; build without -gsplit-dwarf, or where the kernel is used")


def no_debug_information(objects: Sequence[str], most: int, file: str, how: str, wanted: str) -> str:
    """how: "-g1", "no -g", or "both"."""
    said = {"-g1": "with -g1, which leaves types out", "no -g": "without -g"}.get(how, "without -g, or with -g1")
    return (f"{_some(objects, most)} of {file} {'was' if len(objects) == 1 else 'were'} compiled {said}, so {wanted} is not "
            "known; build with CFLAGS += -ggdb")


def _some(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
