"""What a kernel is, by its debugging information and its memory."""

from .allocator import FreeWalk
from .cnames import (
    FUNCTION_NAMES, WANTED, guard_of, is_entry_bit, rsw_names, wanted_variables)
from .data import Kernel
from .slots import Proc

__all__ = ["FUNCTION_NAMES", "FreeWalk", "Kernel", "Proc", "WANTED", "guard_of", "is_entry_bit", "rsw_names", "wanted_variables"]
