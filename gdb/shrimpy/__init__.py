"""Shrimpy: the page tables of a stopped xv6, read from physical memory.

Only the modules that say so import `gdb`; the rest run anywhere.
"""

__version__ = "1.0.0"   # of the whole: the kernel, the kit, the figures, the commands. CHANGELOG.md says what is new
