"""Bytes at physical addresses: readers, ELF files, the Sv39 walk."""
