"""Which kernel and which disks a path names, built, and what they want of QEMU."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import re
import shlex
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shrimpy.kernel import macros
from shrimpy.memory.elf import ET_EXEC, Elf, ElfError, Header
from shrimpy.memory.readers import RAM_BASE

from .. import BUILD, ROOT, TREES, NotBuilt, Trouble, can_write, check_room, tools, typed
from ..tools import cross_prefix
from ..walls import sandbox
from . import building, compiled, copying, disk, qemuline
from .building import Unbuilt, first_error, makefile_in

OURS = ROOT / "xv6"
_BUILD_LIMIT_S = 600
_MOST_CPUS = 8  # QEMU's virt machine
_USUAL_CPUS = 3
_USUAL_RAM = 128 << 20
_MIB = range(8, 2048)  # of RAM, our kernel can have
_SSTC_QEMU = (7, 2)  # the first whose rv64 has the Sstc extension
_OPENSBI = re.compile(r"(opensbi|fw_(jump|dynamic|payload))[^/]*$")
_DEEPEST = 3  # below the folder that is named, an xv6 may be
_LONGEST_TEXT = 1 << 20  # characters
_LARGEST = 512 << 20  # bytes of a kernel's file or a disk; a file may have holes, so that it costs its owner nothing
_MOST_HOLES = 16 << 20  # bytes between a kernel's segments

# Control and status registers (RISC-V Privileged 2.2; Sstc 2.1).
_PMPADDR0 = 0x3b0
_STIMECMP = 0x14d


@dataclass(frozen=True)
class Kernel:
    """What a machine boots.

    disks          images, the file system's first; each machine gets copies
    disk_devices   how the machine has each, as words of -device; where there is none, the virtio slot of its number
    cpus           harts, unless somebody says otherwise
    qemu_options   what this kernel needs besides
    oldest_qemu    the first version of QEMU that has what it needs
    virtio_known   whether it is known which version of virtio-mmio the driver speaks; else modern is assumed
    prompt         the shell's; learnt when it boots where it is not known
    sources        the folder with the kernel's headers, where there is one
    unbuilt        what is an empty file on the disk, because it does not build
    notes          what was detected or done, for a person to read
    log            what its build said
    stranger       whether QEMU and GDB read it within the walls of the sandbox
    """

    name: str
    elf: Path
    disks: tuple[Path, ...]
    ram_bytes: int = _USUAL_RAM
    max_cpus: int = _MOST_CPUS
    cpus: int = _USUAL_CPUS
    qemu_options: tuple[str, ...] = ("-global", "virtio-mmio.force-legacy=false")
    oldest_qemu: tuple[int, int] = tools.OLDEST_QEMU
    virtio_known: bool = True
    notes: tuple[str, ...] = ()
    log: str = ""
    disk_devices: tuple[str, ...] = ()
    prompt: str = ""
    sources: Path | None = None
    unbuilt: tuple[Unbuilt, ...] = ()
    stranger: bool = False

    @property
    def walled(self) -> bool:
        """Whether there are to be walls around what reads it."""
        return self.stranger and sandbox.wanted()

    def has_program(self, name: str) -> bool | None:
        """Whether the first disk has a file of this name in its root directory; None when it cannot be read."""
        try:
            return name in disk.Image(self.disks[0].read_bytes()).names()
        except (Trouble, struct.error, IndexError):
            return None

    def with_other_virtio(self) -> Kernel:
        """The same with the other version of virtio-mmio: only source says for sure which one a driver speaks."""
        flip = {"virtio-mmio.force-legacy=false": "virtio-mmio.force-legacy=true",
                "virtio-mmio.force-legacy=true": "virtio-mmio.force-legacy=false"}
        options = tuple(flip.get(one, one) for one in self.qemu_options)
        note = "it found no disk; started with the other version, " + next(one for one in options if one in flip)
        return dataclasses.replace(self, qemu_options=options, virtio_known=True, notes=(*self.notes, note))


def prepare(path: str | None, stranger: bool = False) -> Kernel:
    """The kernel at path, built if it is a tree; our own when path is empty.

    path is a tree of xv6's or a kernel's ELF file. A tree that is not ours is built in a copy under build/trees/, so that
    nothing is added to it, and in a sandbox.
    stranger: links that lead out of the tree are not followed, which a person's own may.
    Raises NotBuilt when the tree does not build.
    """
    if not path or typed(path).resolve() in (OURS, ours()):
        return _build_here()
    where = typed(path)
    if not where.exists():
        raise Trouble(f"KERNEL={path}: no such file or folder")
    where = where.resolve()
    if where.is_file():
        return _from_elf(where)
    if (where / "bootasm.S").is_file():
        raise Trouble(f"KERNEL={path} is an xv6 for x86: expected xv6-riscv")
    try:
        return _from_tree(where, _makefiles_folder(where, path), stranger)
    except NotBuilt:
        check_room(TREES)
        raise


def memory() -> tuple[str, ...]:
    """The variable of our make for as many MiB of RAM as SHRIMPY_MEM says; none when it says nothing."""
    said = os.environ.get("SHRIMPY_MEM")
    if not said:
        return ()
    if not said.isdecimal() or int(said) not in _MIB:
        raise Trouble(f"MEM={said} is out of range: our kernel runs with {_MIB[0]} to {_MIB[-1]} MiB of memory")
    return (f"MEM={int(said)}",)


def ours() -> Path:
    """The folder that our kernel is built in: xv6/, or a copy of it where SHRIMPY_BUILD names another place, or where
    xv6/ cannot be written, as in a checkout of somebody else; a copy for each size of memory that SHRIMPY_MEM names."""
    if sized := memory():
        return BUILD / "variants" / sized[0] / "xv6"
    return BUILD / "xv6" if os.environ.get("SHRIMPY_BUILD") or not _can_build(OURS) else OURS


def _can_build(tree: Path) -> bool:
    """Whether this user can write the folders of a tree, and what others have built in it."""
    folders = (path for path in tree.rglob("*") if path.is_dir())
    return can_write(tree) and all(os.access(path, os.W_OK) for path in (*folders, *copying.products(tree)))


def _build_here() -> Kernel:
    """Our kernel, built where ours() says."""
    tree = ours()
    if tree != OURS:
        with lock(tree):
            copying.mirror(OURS, tree, stranger=False)
    return build_ours(tree)


def _makefiles_folder(tree: Path, said: str) -> Path:
    """The folder, in tree or below, from which it is made: the highest with a Makefile that starts QEMU, or with kernel/."""
    for folder in _folders(tree, _DEEPEST):
        makefile = makefile_in(folder)
        if makefile and ((folder / "kernel").is_dir() or "qemu" in _text(makefile)):
            return folder
    raise Trouble(f"KERNEL={said} is not an xv6 tree: it has no Makefile with a kernel/ beside it or a rule that starts QEMU, "
                  f"down to {_DEEPEST} folders deep")


def _text(path: Path) -> str:
    """What a text file begins with: nobody writes a longer one."""
    with path.open(errors="replace") as file:
        return file.read(_LONGEST_TEXT)


def _folders(top: Path, depth: int) -> Iterator[Path]:
    """top and the folders below it, the higher first."""
    level = [top]
    for _ in range(depth + 1):
        yield from level
        level = sorted(one for folder in level for one in _subfolders(folder))


def _subfolders(folder: Path) -> list[Path]:
    try:
        return [one for one in folder.iterdir() if one.is_dir() and not one.is_symlink() and not one.name.startswith(".")]
    except OSError:
        return []


def is_ours(elf: Path) -> bool:
    """Whether a kernel was built from our sources, which need no sandbox."""
    return any(place in elf.parents for place in (OURS, BUILD / "xv6", BUILD / "variants"))


def built_at(path: str) -> Path:
    """The kernel that make leaves where path is, if it was run there."""
    where = typed(path).resolve() if path else ours()
    where = ours() if where == OURS else where
    return where / _elf_below(where) if where.is_dir() else where


def booted_from(path: str) -> Path:
    """The kernel that prepare() has us boot."""
    where = typed(path).resolve() if path else OURS
    return built_at(path) if where.is_file() or where in (OURS, ours()) else copy_of(where) / _elf_below(where)


def _elf_below(tree: Path) -> Path:
    """Where in a tree its kernel is made, as the last build of it showed."""
    try:
        return Path(_memory_of(copy_of(tree)).read_text())
    except OSError:
        return Path("kernel/kernel")


def _memory_of(copy: Path) -> Path:
    return copy.with_name(copy.name + ".elf")


def build_ours(tree: Path, *variables: str, name: str = "the Shrimpy kernel") -> Kernel:
    """Builds our xv6/ or a variant of it where it stands. variables: NAME=value for make."""
    with lock(tree):
        variables = (*memory(), *variables)
        _, said = _make(tree, *variables)
        if said:
            check_room(tree)
            raise building.not_built(name, said)
    mib = next((int(one[4:]) for one in reversed(variables) if one.startswith("MEM=")), _USUAL_RAM >> 20)
    return Kernel(name, tree / "kernel/kernel", (tree / "fs.img",), ram_bytes=mib << 20, prompt="$ ", sources=tree / "kernel")


def clean_ours() -> None:
    """Removes what was built in xv6/."""
    _, said = _make(OURS, "clean")
    if said:
        raise Trouble(first_error(said))


def _from_elf(elf: Path) -> Kernel:
    try:
        file = _opened(elf)
    except ElfError as error:
        raise Trouble(f"KERNEL={error}") from None
    for image in (elf.parent / "fs.img", elf.parent.parent / "fs.img"):
        if image.is_file():
            break
    else:
        raise Trouble(f"KERNEL={elf}: no fs.img beside it or one folder up")
    tree = next((one for one in (image.parent, image.parent.parent) if makefile_in(one)), image.parent)
    line = _line_of(tree) if makefile_in(tree) else None
    drives = [(_inside(tree, tree, one.file), one.device) for one in line.drives] if line else []
    images = [(image, dict(drives).get(image)), *((file, device) for file, device in drives if file and file != image)]
    return _describe(tree, tree, elf, file, images, line, ["used as it is, not rebuilt"], str(elf))


def copy_of(source: Path) -> Path:
    """Where a tree is built that is not ours."""
    # make splits names at spaces.
    plain = re.sub(r"[^\w.+-]", "_", source.name)
    return TREES / f"{plain}-{hashlib.sha256(os.fsencode(source)).hexdigest()[:12]}"


def _from_tree(source: Path, folder: Path, stranger: bool) -> Kernel:
    sandbox.need(source.name)
    copy = copy_of(source)
    with lock(copy):
        building.take_stand_ins_away(copy)
        notes = copying.mirror(source, copy, stranger)
        if folder != source:
            notes.append(f"made in its folder {folder.relative_to(source)}")
        built = building.build(copy, copy / folder.relative_to(source), source.name)
        line = qemuline.read(built.qemu) if built.qemu else None
        elf, said = _elf_of(copy, built, line, source.name)
        try:
            file = _opened(elf)
        except ElfError as error:
            raise NotBuilt(f"{source.name}: {error}", built.log) from None
        if stranger and compiled.is_brought(elf, copy):
            raise NotBuilt(f"{source.name} does not build: its Makefile gives QEMU {elf.relative_to(copy)}, which was compiled elsewhere: "
                           "its debugging information names other folders than the tree's", built.log)
        images, made = _images(copy, built, line)
        notes += [*said, *made]
        notes += [f"{one.name} does not build: {one.why}; it is an empty file on the disk" for one in built.unbuilt]
        if built.instead:
            toolchain, lacks = built.instead
            notes.append(f"built with {toolchain.command}: {cross_prefix()}gcc has no {', '.join(one.name for one in lacks)} here")
        if built.passed:
            notes.append("the compiler rejects this tree; built with " + " ".join(f"-Wno-error={one}" for one in built.passed))
        kernel = _describe(copy, built.where, elf, file, images, line, notes, source.name)
        _memory_of(copy).write_text(str(elf.relative_to(copy)))
        return dataclasses.replace(kernel, log=built.log, unbuilt=built.unbuilt)


def discard(path: str) -> None:
    """Removes the copy that prepare() made of a tree."""
    copy = copy_of(typed(path).resolve())
    if not copy.is_dir():
        return
    with lock(copy):
        copying.remove(copy)
        building.forget(copy)
        _memory_of(copy).unlink(missing_ok=True)


# What a build of ours needs

@contextlib.contextmanager
def lock(tree: Path) -> Iterator[None]:
    """One build of a tree at a time."""
    folder = BUILD / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / hashlib.sha256(os.fsencode(tree)).hexdigest()[:12]).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _clean_environment() -> dict[str, str]:
    """Ours without what an outer make hands down: its KERNEL=... would set theirs."""
    return {name: value for name, value in os.environ.items()
            if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "KERNEL", "CPUS", "MEM", "GDBPORT",
                            "TARGET", "FRY", "SHRIMP", "PROGRAM", "READY", "CORE", "JSON", "OUT", "POINTS", "SANDBOX")}


def _make(tree: Path, *arguments: str) -> tuple[int, str]:
    """Runs make in a tree of ours. Status, and what it said when the status is not 0."""
    command = ["make", "-C", str(tree), "--no-print-directory", f"-j{sandbox.JOBS}", *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**_clean_environment(), "LC_ALL": "C"}, timeout=_BUILD_LIMIT_S, text=True, errors="replace")
    except FileNotFoundError:
        raise Trouble("make not found: run scripts/setup") from None
    except subprocess.TimeoutExpired:
        raise Trouble(f"make in {tree} took more than {_BUILD_LIMIT_S} s") from None
    return done.returncode, (done.stdout or "make failed") if done.returncode else ""


# What its make boots

def _elf_of(copy: Path, built: building.Built, line: qemuline.Line | None, name: str) -> tuple[Path, list[str]]:
    """The kernel's ELF file, which GDB needs, and what is to be said of it: QEMU may be given bytes that were made of one."""
    said = line.kernel if line else None
    if said is None and line and line.bios not in (None, "none", "default"):
        said = line.bios
    kernel = _inside(copy, built.where, said) if said else None
    if said and not kernel:
        raise NotBuilt(f"{name}: its Makefile boots {said}, which is no file of the tree", built.log)
    why = ""
    if kernel:
        try:
            _need_kernel(kernel)
            return kernel, []
        except ElfError as error:
            why = f" ({error})"
    found = sorted((path for path in copy.rglob("*") if path.is_file() and _is_kernel(path)), key=lambda path: (len(path.parts), path))
    if kernel:
        found = [path for path in found if kernel.read_bytes().rstrip(b"\0")[:1 << 16] in _flat(path)]
    usual = [path for path in found if path == built.where / "kernel/kernel"]
    if not found:
        raise NotBuilt(f"{name}: its build made no kernel that is an ELF file" + (f", of which {said}{why} could be made" if said else ""),
                       built.log)
    elf = (usual or found)[0]
    return elf, [f"its Makefile boots {said}; booted as {elf.relative_to(copy)}, of which that is made"] if kernel else []


def _is_kernel(path: Path) -> bool:
    with contextlib.suppress(OSError, ElfError):
        _need_kernel(path)
        return True
    return False


def _need_kernel(path: Path) -> None:
    """Raises ElfError unless a file begins as a kernel does that QEMU boots and GDB debugs; OSError."""
    with path.open("rb") as file:
        header = Header.of(file.read(64))
    header.need_riscv64()
    if header.type != ET_EXEC or header.entry < RAM_BASE:
        raise ElfError.of(f"a program (type {ET_EXEC}) that begins at {RAM_BASE:#x} or above", 16,
                          f"type {header.type}, entry {header.entry:#x}")


def _opened(elf: Path) -> Elf:
    """The file of a kernel. Raises ElfError for one that is not complete, not for RISC-V, or nothing of which is loaded."""
    if elf.stat().st_size > _LARGEST:
        raise ElfError(f"{elf}: expected at most {_LARGEST >> 20} MiB, found {elf.stat().st_size >> 20}")
    file = Elf.load(elf)
    if not any(one.file_size for one in file.segments if one.is_load):
        raise ElfError(f"{elf}: expected a segment that is loaded, found none")
    return file


def _flat(elf: Path) -> bytes:
    """What objcopy -O binary makes of it: its segments from the first address on, as far as the holes are not too large.
    Nothing where the file is broken."""
    try:
        file = Elf.load(elf)
    except ElfError:
        return b""
    image, room = bytearray(), _MOST_HOLES
    loads = sorted((one for one in file.segments if one.is_load and one.file_size), key=lambda one: one.paddr)
    for one in loads:
        hole = one.paddr - loads[0].paddr - len(image)
        room -= hole
        if room < 0:
            break
        image += bytes(hole) + file.bytes_of(one)
    return bytes(image)


def _images(copy: Path, built: building.Built, line: qemuline.Line | None) -> tuple[list[tuple[Path, str | None]], list[str]]:
    """Its disks, each with its device, the file system's first; and what is to be said of them."""
    notes: list[str] = []
    found: list[tuple[Path, str | None]] = []
    for drive in line.drives if line else ():
        image = _inside(copy, built.where, drive.file)
        if not image and building.make(copy, built.where, drive.file):
            image = _inside(copy, built.where, drive.file)
        if not image and (place := _place(copy, built.where, drive.file)) and place.parent.is_dir() and not place.exists():
            place.write_bytes(bytes(_EMPTY_DISK))
            notes.append(f"nothing in it makes {drive.file}: an empty disk of {_EMPTY_DISK >> 20} MiB is there")
            image = place
        if image:
            found.append((building.raw(copy, image), drive.device))
        else:
            notes.append(f"without its disk {drive.file}, which is no file of the tree")
    if not found:
        image = next((one for one in (built.where / "fs.img", *sorted(copy.rglob("fs.img"))) if one.is_file()), None)
        found = [(image, None)] if image else []
    found.sort(key=lambda one: not _is_file_system(one[0]))
    notes += [f"its Makefile gives it the further disk {image.relative_to(copy)}, made in the sandbox" for image, _ in found[1:]]
    return found, notes


_EMPTY_DISK = 16 << 20


def _is_file_system(image: Path) -> bool:
    with image.open("rb") as file:
        start = file.read(8192 + 4)
    return any(start[at:at + 4] == struct.pack("<I", 0x10203040) for at in (1024, 512, 2048, 4096))


# Finding out what a kernel needs

def _describe(tree: Path, where: Path, elf: Path, file: Elf, images: list[tuple[Path, str | None]],
              line: qemuline.Line | None, notes: list[str], name: str) -> Kernel:
    """where: the folder that names in line are below. file: what elf has."""
    if not images and not (line and not line.drives):
        raise NotBuilt(f"{name}: its build made no disk")
    for path, _ in images:
        if path.stat().st_size > _LARGEST:
            raise NotBuilt(f"{name}: its disk {path.name} has {path.stat().st_size >> 20} MiB: expected at most {_LARGEST >> 20}")
    options: list[str] = []
    sources = _sources_of(tree, elf)
    cpu, bios = (line.cpu, line.bios) if line else (None, None)
    image = _inside(tree, where, bios) if bios else None
    if bios and not image and _OPENSBI.search(bios):
        notes = [*notes, f"its Makefile starts QEMU with -bios {bios}; started with QEMU's own OpenSBI"]
        bios = "default"
    if bios and bios != "none" and image != elf:
        if not image and bios != "default":
            raise NotBuilt(f"{name}: its Makefile starts QEMU with -bios {bios}, which is no file of the tree")
        options += ["-bios", str(image or bios)]
    elif not cpu and not _writes(file, _PMPADDR0):
        notes = [*notes, "it sets up no PMP; started with -cpu rv64,pmp=false"]
        cpu = "rv64,pmp=false"
    if cpu:
        if not re.fullmatch(r"[\w.,=-]+", cpu):
            raise NotBuilt(f"{name}: its Makefile starts QEMU with -cpu {cpu}")
        options += ["-cpu", cpu]
    legacy = _speaks_legacy_virtio(sources, line)
    if legacy:
        notes = [*notes, "it speaks legacy virtio-mmio; started with force-legacy=true"]
    options += ["-global", f"virtio-mmio.force-legacy={'true' if legacy else 'false'}"]
    if line:
        options += line.options
        if line.options:
            notes = [*notes, "its Makefile adds " + " ".join(line.options)]
        notes = [*notes, *(f"its Makefile also gives QEMU {one}, which is left out" for one in line.left_out)]
    ram_bytes, said = _ram(line, sources, name)
    most = _ncpu(sources)
    oldest = _SSTC_QEMU if _writes(file, _STIMECMP) else tools.OLDEST_QEMU
    devices = tuple(device or f"virtio-blk-device,bus=virtio-mmio-bus.{number}" for number, (_, device) in enumerate(images))
    return Kernel(name, elf, tuple(image for image, _ in images), ram_bytes, most, _usual_cpus(line, most), tuple(options),
                  oldest, legacy is not None, (*notes, *said), disk_devices=devices, sources=sources, stranger=not is_ours(elf))


def _sources_of(tree: Path, elf: Path) -> Path | None:
    """The folder with the kernel's headers: beside it, or else where the tree has them."""
    if (elf.parent / "param.h").is_file() or (elf.parent / "memlayout.h").is_file():
        return elf.parent
    found = sorted(tree.rglob("memlayout.h"), key=lambda path: (len(path.parts), path))
    return found[0].parent if found else elf.parent if any(elf.parent.glob("*.c")) else None


def _line_of(tree: Path) -> qemuline.Line | None:
    """What the Makefile of a tree that is not built gives QEMU: as its `make qemu` would, or as QEMUOPTS says."""
    copied = TREES in tree.parents
    prefix = f"TOOLPREFIX={cross_prefix()}"
    dry = building.run_make(tree, tree, "-n", prefix, "qemu", writable=copied)
    words = building.told_by_text(dry.output)
    if words is None and not dry.overrun:
        told = building.run_make(tree, tree, "-s", prefix, "--eval=shrimpy-says:;@printf '%s\\n' 'shrimpy:$(QEMUOPTS)'",
                                 "shrimpy-says", writable=copied)
        for line in told.output.splitlines():
            if line.startswith("shrimpy:") and line != "shrimpy:":
                with contextlib.suppress(ValueError):
                    words = tuple(shlex.split(line[len("shrimpy:"):]))
    return qemuline.read(words) if words else None


def _ram(line: qemuline.Line | None, sources: Path | None, name: str) -> tuple[int, list[str]]:
    """Bytes of RAM, and what is to be said of them: what it is given, or of more than we give what it uses."""
    given = line.ram_bytes if line and line.ram_bytes is not None else _USUAL_RAM
    if given < 1 << 20:
        raise NotBuilt(f"{name}: its Makefile gives QEMU {given} bytes of memory: expected 1 MiB or more")
    if given <= qemuline.MOST_RAM:
        return given, []
    used = _ram_used(sources)
    if used and used > qemuline.MOST_RAM:
        raise NotBuilt(f"{name}: its kernel uses {used >> 20} MiB of memory: expected at most {qemuline.MOST_RAM >> 20} MiB")
    size = used or qemuline.MOST_RAM
    why = f"its kernel uses {size >> 20}" if used else "no PHYSTOP says what its kernel uses"
    return size, [f"its Makefile gives QEMU {given >> 20} MiB of memory; {why}; started with {size >> 20} MiB"]


def _ram_used(sources: Path | None) -> int | None:
    """Bytes from KERNBASE to PHYSTOP, by its headers."""
    known = macros.written_in(sources) if sources else {}
    base, stop = (macros.value(name, known) for name in ("KERNBASE", "PHYSTOP"))
    return stop - base if base is not None and stop is not None and stop > base else None


def _ncpu(sources: Path | None) -> int:
    header = sources / "param.h" if sources else None
    if header and header.is_file():
        if match := re.search(r"^\s*#\s*define\s+NCPU\s+\(?(\d+)", _text(header), re.M):
            return max(1, min(int(match[1]), _MOST_CPUS))
    return _MOST_CPUS


def _usual_cpus(line: qemuline.Line | None, most: int) -> int:
    return max(1, min(line.cpus if line and line.cpus else _USUAL_CPUS, most))


def _place(tree: Path, where: Path, name: str) -> Path | None:
    """Where name, said in where, is in the tree; None when it leads out of it."""
    path = (where / name).resolve()
    return path if tree.resolve() in path.parents else None


def _inside(tree: Path, where: Path, name: str) -> Path | None:
    """A file of the tree by its name in where; None when there is none, or when it leads out of the tree."""
    path = _place(tree, where, name)
    return path if path and path.is_file() else None


def _speaks_legacy_virtio(sources: Path | None, line: qemuline.Line | None) -> bool | None:
    """Whether the disk driver wants version 1 of virtio-mmio (virtio 1.1, 4.2.4), QEMU's default until told."""
    for driver in filter(Path.is_file, sorted(sources.glob("**/virtio*.c")) if sources else ()):
        if match := re.search(r"MMIO_VERSION\s*\)\s*!=\s*([12])", _text(driver)):
            return match[1] == "1"
    return None if line is None else not line.modern_virtio


def _writes(file: Elf, register: int) -> bool:
    """Whether any instruction writes that control and status register: csrrw or csrrwi, rd x0."""
    # The fields rs1, and the bit that tells csrrwi from csrrw, are any.
    low = register << 4 & 0xf0
    form = re.compile(rb"\x73[\x10\x50\x90\xd0][\x%02x-\x%02x]\x%02x" % (low, low | 0xf, register >> 4))
    return any(found.start() % 2 == 0 for one in file.segments if one.is_code for found in form.finditer(file.bytes_of(one)))
