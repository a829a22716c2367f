"""Files put into a copy of an xv6 disk image. Its format is learnt from the image: courses add fields to inodes, and
make names longer."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import Trouble

_MAGIC = 0x10203040
_BLOCK_SIZES = (1024, 512, 2048, 4096)
_SUPERBLOCK = struct.Struct("<8I")  # magic, blocks, data blocks, inodes, log blocks, first of the log, the inodes, the bitmap
_ROOT = 1  # inode of /
_DIRECTORY, _FILE = 1, 2
_INODE_SIZES = (64, 128, 256, 512, 32)
_MOST_DIRECT = 11  # block numbers that every tree's inode has before any that leads to others
_NOT_XV6 = "the disk image is no file system of xv6's"


@dataclass(frozen=True)
class _Format:
    """Where things are, in bytes: inodes of this size, whose length and block numbers are there; entries of a directory,
    whose name begins there."""

    inode: int
    length: int
    blocks: int
    entry: int
    name: int

    @property
    def n_direct(self) -> int:
        return min(_MOST_DIRECT, (self.inode - self.blocks) // 4 - 1)


class Image:
    """The bytes of a disk image. Raises Trouble when they are no file system of xv6's."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.block_size = next((size for size in _BLOCK_SIZES if len(data) >= 2 * size
                                and struct.unpack_from("<I", data, size)[0] == _MAGIC), 0)
        if not self.block_size:
            raise Trouble(f"{_NOT_XV6}: it has no superblock")
        (_, self._n_blocks, self._n_data, self._n_inodes, _, _, self._inodes, self._bitmap) = _SUPERBLOCK.unpack_from(
            data, self.block_size)
        self._format = self._learn()

    # Files

    def names(self) -> dict[str, int]:
        """The files of the root directory, and their inodes."""
        return {self._name_at(at): inode for at in self._entries() if (inode := self._number_at(at))}

    def length(self, number: int) -> int:
        """Bytes of an inode's file."""
        return self._word(self._inode_at(number) + self._format.length)

    def is_file(self, number: int) -> bool:
        """Whether an inode is a plain file's."""
        return self._kind(number) == _FILE

    def start(self, name: str) -> bytes:
        """The first block of a file in the root directory; nothing where there is no such file."""
        number = self.names().get(name)
        block = self._word(self._inode_at(number) + self._format.blocks) if number else 0
        return bytes(self.data[self._block(block):][:self.block_size]) if block else b""

    def add(self, name: str, content: bytes) -> None:
        """A new file in the root directory; what has its name there goes. Raises Trouble when it does not fit."""
        most = self._format.n_direct * self.block_size
        if len(content) > most:
            raise Trouble(f"{name} has {len(content)} bytes, and {most} fit in the blocks of an inode")
        if name in self.names():
            self.remove(name)
        blocks = []
        for at in range(0, len(content), self.block_size):
            blocks.append(self._take_block())
            piece = content[at:at + self.block_size]
            self.data[self._block(blocks[-1]):self._block(blocks[-1]) + len(piece)] = piece
        number = next((n for n in range(_ROOT + 1, self._n_inodes) if self._kind(n) == 0), None)
        if number is None:
            raise Trouble("the disk image has no free inode")
        self._put_file(number, len(content), blocks)
        self._enter(name, number)

    def remove(self, name: str) -> None:
        """A file of one name in the root directory is gone, and its blocks are free; those beyond the direct ones stay taken."""
        at = next(at for at in self._entries() if self._number_at(at) and self._name_at(at) == name)
        number = self._number_at(at)
        form, start = self._format, self._inode_at(number)
        for index in range(form.n_direct):
            block = self._word(start + form.blocks + 4 * index)
            if block:
                self.data[self._bitmap * self.block_size + block // 8] &= ~(1 << block % 8)
        self.data[start:start + form.inode] = bytes(form.inode)
        self.data[at:at + form.entry] = bytes(form.entry)

    def grow(self, n_blocks: int) -> bool:
        """Whether the file system has n_blocks more: its bitmap must have room for them, and nothing may lie behind it."""
        if self._n_blocks + n_blocks > 8 * self.block_size or len(self.data) != self._n_blocks * self.block_size:
            return False
        self.data += bytes(n_blocks * self.block_size)
        self._n_blocks += n_blocks
        self._n_data += n_blocks
        struct.pack_into("<2I", self.data, self.block_size + 4, self._n_blocks, self._n_data)
        return True

    def n_free(self) -> int:
        """Blocks that nobody has."""
        return sum(1 for _ in self._free_blocks())

    def n_free_inodes(self) -> int:
        """Inodes that no file has."""
        return sum(self._kind(number) == 0 for number in range(_ROOT + 1, self._n_inodes))

    def _put_file(self, number: int, length: int, blocks: list[int]) -> None:
        """An inode like another file's: what its further fields mean (owner, mode, time) is not known."""
        form, start = self._format, self._inode_at(number)
        files = [one for one in self.names().values() if self._kind(one) == _FILE and self.length(one)]
        if files:
            like = self._inode_at(min(files, key=self.length))
            self.data[start:start + form.inode] = self.data[like:like + form.inode]
        else:
            self.data[start:start + form.inode] = struct.pack("<4h", _FILE, 0, 0, 1).ljust(form.inode, b"\0")
        struct.pack_into("<I", self.data, start + form.length, length)
        struct.pack_into(f"<{form.n_direct + 1}I", self.data, start + form.blocks,
                         *blocks, *[0] * (form.n_direct + 1 - len(blocks)))

    def _enter(self, name: str, number: int) -> None:
        form = self._format
        if len(name) > form.entry - form.name:
            raise Trouble(f"{name} is longer than the names of the disk image")
        at = next((at for at in self._entries() if not self._number_at(at)), None)
        if at is None:
            root = self._inode_at(_ROOT)
            length = self._word(root + form.length)
            index, offset = divmod(length, self.block_size)
            if index >= form.n_direct:
                raise Trouble("the disk image's root directory is full")
            if not offset:
                struct.pack_into("<I", self.data, root + form.blocks + 4 * index, self._take_block())
            at = self._block(self._word(root + form.blocks + 4 * index)) + offset
            struct.pack_into("<I", self.data, root + form.length, length + form.entry)
        self.data[at:at + form.entry] = number.to_bytes(form.name, "little") + name.encode().ljust(form.entry - form.name, b"\0")

    # The format

    def _learn(self) -> _Format:
        """That in which inode 1 is a directory with . and .., and the lengths of files agree with their blocks."""
        found = None
        for inode in _INODE_SIZES:
            for form in self._formats(inode):
                found = found or form
                if self._agrees(form):
                    return form
        if found is None:
            raise Trouble(f"{_NOT_XV6}: inode 1 is not its root directory")
        raise Trouble(f"the disk image has inodes of another format than a length and block numbers: inode 1, of {found.inode} "
                      f"bytes, is the root directory, and of other inodes the blocks are not as many as the length says")

    def _formats(self, inode: int) -> Iterator[_Format]:
        start = self._inodes * self.block_size + _ROOT * inode
        if start + inode > len(self.data) or struct.unpack_from("<h", self.data, start)[0] != _DIRECTORY:
            return
        for blocks in range(8, inode - 4, 4):
            entry = self._first_entries(self._word(start + blocks))
            if entry is None:
                continue
            for length in (blocks - 4, *range(8, blocks - 4, 4), *range(blocks + 4, inode, 4)):
                n_bytes = self._word(start + length)
                if n_bytes and n_bytes % entry[0] == 0 and n_bytes >= 2 * entry[0]:
                    yield _Format(inode, length, blocks, *entry)

    def _first_entries(self, number: int) -> tuple[int, int] | None:
        """The size of an entry and where its name begins, of a block that begins with . and .. of the root; else None."""
        if not 0 < number < self._n_blocks or (number + 1) * self.block_size > len(self.data):
            return None
        data = self.data[number * self.block_size:(number + 1) * self.block_size]
        for name in (2, 4):
            for size in (16, 32, 64, 128, 256):
                dots = [_ROOT.to_bytes(name, "little") + dot.ljust(size - name, b"\0") for dot in (b".", b"..")]
                if data.startswith(b"".join(dots)):
                    return size, name
        return None

    def _agrees(self, form: _Format) -> bool:
        per_block = self.block_size // form.inode
        files = 0
        for number in range(_ROOT, min(self._n_inodes, 64)):
            start = (self._inodes + number // per_block) * self.block_size + number % per_block * form.inode
            if start + form.inode > len(self.data):
                return False
            if struct.unpack_from("<h", self.data, start)[0] not in (_DIRECTORY, _FILE):
                continue
            files += 1
            n_blocks = min(form.n_direct, -(-self._word(start + form.length) // self.block_size))
            numbers = [self._word(start + form.blocks + 4 * index) for index in range(form.n_direct)]
            if any(not self._bitmap < one < self._n_blocks for one in numbers[:n_blocks]) or any(numbers[n_blocks:]):
                return False
        return files > 1 or form.length == form.blocks - 4

    # Places

    def _entries(self) -> Iterator[int]:
        """Where each entry of the root directory is, free ones too."""
        form, root = self._format, self._inode_at(_ROOT)
        for at in range(0, min(self._word(root + form.length), form.n_direct * self.block_size), form.entry):
            yield self._block(self._word(root + form.blocks + 4 * (at // self.block_size))) + at % self.block_size

    def _number_at(self, entry: int) -> int:
        return int.from_bytes(self.data[entry:entry + self._format.name], "little")

    def _name_at(self, entry: int) -> str:
        name = self.data[entry + self._format.name:entry + self._format.entry]
        return bytes(name).split(b"\0")[0].decode(errors="replace")

    def _kind(self, number: int) -> int:
        return struct.unpack_from("<h", self.data, self._inode_at(number))[0]

    def _word(self, at: int) -> int:
        return struct.unpack_from("<I", self.data, at)[0]

    def _block(self, number: int) -> int:
        if not 0 < number < self._n_blocks or (number + 1) * self.block_size > len(self.data):
            raise Trouble(f"{_NOT_XV6}: it has no block {number}")
        return number * self.block_size

    def _free_blocks(self) -> Iterator[int]:
        bits = self._bitmap * self.block_size
        for number in range(self._bitmap + 1, self._n_blocks):
            if not self.data[bits + number // 8] >> number % 8 & 1:
                yield number

    def _take_block(self) -> int:
        """A free block, zeroed, and not free any more."""
        number = next(self._free_blocks(), None)
        if number is None:
            raise Trouble("the disk image has no free block")
        self.data[self._bitmap * self.block_size + number // 8] |= 1 << number % 8
        at = self._block(number)
        self.data[at:at + self.block_size] = bytes(self.block_size)
        return number

    def _inode_at(self, number: int) -> int:
        per_block = self.block_size // self._format.inode
        return self._block(self._inodes + number // per_block) + number % per_block * self._format.inode


def with_files(image: Path, files: Mapping[str, bytes], copy: Path, needed: frozenset[str] = frozenset()) -> str | None:
    """Writes image with files added to copy, which has more blocks where image has too few, or else not image's largest file.

    needed: files that stay. What is to be said of it, or None. Raises Trouble as Image does.
    """
    try:
        changed = Image(image.read_bytes())
        said = _make_room(changed, files, needed)
        for name, content in files.items():
            changed.add(name, content)
    except (struct.error, IndexError):
        raise Trouble(f"{_NOT_XV6}: it leads beyond its end") from None
    copy.write_bytes(changed.data)
    return said


def _make_room(image: Image, files: Mapping[str, bytes], needed: frozenset[str]) -> str | None:
    wanted = sum(-(-len(content) // image.block_size) for content in files.values()) + 1  # and one for the directory
    missing = wanted - image.n_free()
    grown = missing > 0 and image.grow(missing)
    there = {name: image.length(number) for name, number in image.names().items() if name not in needed and image.is_file(number)}
    removed = []
    while there and (image.n_free() < wanted or image.n_free_inodes() < len(files)):
        largest = max(there, key=there.__getitem__)
        del there[largest]
        image.remove(largest)
        removed.append(largest)
    if removed:
        return f"its disk is full: in our copy our programs are in the place of {', '.join(removed)}"
    return f"its disk is full: our copy of it has {missing} blocks more, for our programs" if grown else None
