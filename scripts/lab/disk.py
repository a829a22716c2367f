"""Files put into a copy of an xv6 disk image: the format that kernel/fs.h of any xv6-riscv tree describes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from . import Trouble

_MAGIC = 0x10203040
_ROOT = 1  # inode of /
_DIRECTORY, _FILE = 1, 2
_INODE = struct.Struct("<hhhhI13I")  # type, major, minor, links, bytes, blocks
_ENTRY = struct.Struct("<H14s")
_DIRECT = 11  # block numbers that every tree's inode has before any that leads to others


class Image:
    """The bytes of a disk image. Raises Trouble when they are no file system of xv6's."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.block_size = next((size for size in (1024, 512, 2048, 4096) if len(data) >= 2 * size
                                and struct.unpack_from("<I", data, size)[0] == _MAGIC), 0)
        if not self.block_size:
            raise Trouble("the disk image is no file system of xv6's: it has no superblock")
        (_, self._n_blocks, _, self._n_inodes, _, _, self._inodes, self._bitmap) = struct.unpack_from(
            "<8I", data, self.block_size)
        root = self._inode(_ROOT)
        # The second entry tells how long the names are.
        dots = [(_ROOT, name.ljust(14, b"\0")) for name in (b".", b"..")]
        if root[0] != _DIRECTORY or [_ENTRY.unpack_from(self.data, self._block(root[5]) + at) for at in (0, _ENTRY.size)] != dots:
            raise Trouble("the disk image is no file system of xv6's: inode 1 is not its root directory")

    def add(self, name: str, content: bytes) -> None:
        """A new file in the root directory. Raises Trouble when it does not fit, or is there already."""
        if len(content) > _DIRECT * self.block_size:
            raise Trouble(f"{name} has {len(content)} bytes, and {_DIRECT * self.block_size} fit in the blocks of an inode")
        blocks = []
        for at in range(0, len(content), self.block_size):
            blocks.append(self._take_block())
            piece = content[at:at + self.block_size]
            self.data[self._block(blocks[-1]):self._block(blocks[-1]) + len(piece)] = piece
        number = next((n for n in range(_ROOT + 1, self._n_inodes) if self._inode(n)[0] == 0), None)
        if number is None:
            raise Trouble("the disk image has no free inode")
        self._put_inode(number, (_FILE, 0, 0, 1, len(content), *blocks, *[0] * (13 - len(blocks))))
        self._enter(name, number)

    def _enter(self, name: str, number: int) -> None:
        root = list(self._inode(_ROOT))
        wanted = name.encode().ljust(14, b"\0")
        entries = [self._block(root[5 + at // self.block_size]) + at % self.block_size
                   for at in range(0, min(root[4], _DIRECT * self.block_size), _ENTRY.size)]
        there = [_ENTRY.unpack_from(self.data, at) for at in entries]
        if any(inode and entry == wanted for inode, entry in there):
            raise Trouble(f"the disk image has a file {name} already")
        at = next((at for at, (inode, _) in zip(entries, there) if not inode), None)
        if at is None:
            index, offset = divmod(root[4], self.block_size)
            if index >= _DIRECT:
                raise Trouble("the disk image's root directory is full")
            if not offset:
                root[5 + index] = self._take_block()
            at = self._block(root[5 + index]) + offset
            root[4] += _ENTRY.size
            self._put_inode(_ROOT, tuple(root))
        _ENTRY.pack_into(self.data, at, number, wanted)

    def _block(self, number: int) -> int:
        if not 0 < number < self._n_blocks or (number + 1) * self.block_size > len(self.data):
            raise Trouble(f"the disk image is no file system of xv6's: it has no block {number}")
        return number * self.block_size

    def _take_block(self) -> int:
        """A free block, zeroed, and not free any more."""
        bits = self._bitmap * self.block_size
        for number in range(self._bitmap + 1, self._n_blocks):
            if not self.data[bits + number // 8] >> number % 8 & 1:
                self.data[bits + number // 8] |= 1 << number % 8
                at = self._block(number)
                self.data[at:at + self.block_size] = bytes(self.block_size)
                return number
        raise Trouble("the disk image has no free block")

    def _inode_at(self, number: int) -> int:
        per_block = self.block_size // _INODE.size
        return self._block(self._inodes + number // per_block) + number % per_block * _INODE.size

    def _inode(self, number: int) -> tuple[int, ...]:
        return _INODE.unpack_from(self.data, self._inode_at(number))

    def _put_inode(self, number: int, values: tuple[int, ...]) -> None:
        _INODE.pack_into(self.data, self._inode_at(number), *values)


def with_files(image: Path, files: Mapping[str, bytes], copy: Path) -> None:
    """Writes image with files added to copy. Raises Trouble as Image does."""
    try:
        changed = Image(image.read_bytes())
        for name, content in files.items():
            changed.add(name, content)
    except (struct.error, IndexError):
        raise Trouble("the disk image is no file system of xv6's: it leads beyond its end") from None
    copy.write_bytes(changed.data)
