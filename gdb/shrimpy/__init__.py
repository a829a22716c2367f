"""Shrimpy: the page tables of a stopped xv6, read from physical memory.

Only the modules that say so import `gdb`; the rest run anywhere.
"""
