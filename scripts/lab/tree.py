"""Which kernel and which disks a path names, built, and what they want of QEMU."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import BUILD, ROOT, Trouble, tools

OURS = ROOT / "xv6"
_BUILD_LIMIT_S = 600
_MOST_CPUS = 8  # QEMU's virt machine
_USUAL_CPUS = 3
_SSTC_QEMU = (7, 2)  # the first whose rv64 has the Sstc extension

# Control and status registers (RISC-V Privileged 2.2; Sstc 2.1).
_PMPADDR0 = 0x3b0
_STIMECMP = 0x14d

_PCI_CARDS = ("e1000", "e1000e", "ne2k_pci", "pcnet", "rtl8139", "virtio-net-pci", "vmxnet3")

# What a student's own slip earns from any compiler; other warnings may be news to an old tree.
_SLIPS = frozenset(("format", "implicit-function-declaration", "implicit-int", "incompatible-pointer-types",
                    "int-conversion", "return-type", "unused-function", "unused-variable"))


@dataclass(frozen=True)
class Kernel:
    """What a machine boots.

    disks          images, in the order of the virtio slots; each machine gets copies
    cpus           harts, unless somebody says otherwise
    qemu_options   what this kernel needs besides
    oldest_qemu    the first version of QEMU that has what it needs
    virtio_known   whether it is known which version of virtio-mmio the driver speaks; else modern is assumed
    notes          what was found out or done about it, for a person to read
    """

    name: str
    elf: Path
    disks: tuple[Path, ...]
    ram_bytes: int = 128 << 20
    max_cpus: int = _MOST_CPUS
    cpus: int = _USUAL_CPUS
    qemu_options: tuple[str, ...] = ("-global", "virtio-mmio.force-legacy=false")
    oldest_qemu: tuple[int, int] = tools.OLDEST_QEMU
    virtio_known: bool = True
    notes: tuple[str, ...] = ()

    def has_program(self, name: str) -> bool:
        """Whether the first disk has a directory entry of this name (struct dirent: 2 bytes, 14 of name)."""
        return bool(self.disks) and name.encode().ljust(14, b"\0") in self.disks[0].read_bytes()

    def with_other_virtio(self) -> Kernel:
        """The same with the other version of virtio-mmio: only source says for sure which one a driver speaks."""
        flip = {"virtio-mmio.force-legacy=false": "virtio-mmio.force-legacy=true",
                "virtio-mmio.force-legacy=true": "virtio-mmio.force-legacy=false"}
        options = tuple(flip.get(one, one) for one in self.qemu_options)
        note = "it found no disk; started with the other version, " + next(one for one in options if one in flip)
        return dataclasses.replace(self, qemu_options=options, virtio_known=True, notes=(*self.notes, note))


def prepare(path: str | None) -> Kernel:
    """The kernel at path, built if it is a tree; our own when path is empty.

    path is a tree of xv6's shape or a kernel's ELF file. A tree that is not ours is built in a copy under
    build/trees/, so that nothing is added to it.
    """
    if not path or Path(path).expanduser().resolve() == OURS:
        return build_ours(OURS)
    where = Path(path).expanduser()
    if not where.exists():
        raise Trouble(f"KERNEL={path}: no such file or folder")
    where = where.resolve()
    if where.is_file():
        return _from_elf(where)
    if (where / "bootasm.S").is_file():
        raise Trouble(f"KERNEL={path} is an xv6 for the x86: this is for xv6-riscv")
    if not (where / "Makefile").is_file() or not (where / "kernel").is_dir():
        raise Trouble(f"KERNEL={path} is not an xv6 tree: it has no Makefile and kernel/")
    return _from_tree(where)


def built_at(path: str) -> Path:
    """The kernel that make leaves where path is, if it was run there."""
    where = Path(path).expanduser().resolve() if path else OURS
    return where / "kernel/kernel" if where.is_dir() else where


def booted_from(path: str) -> Path:
    """The kernel that prepare() has us boot."""
    where = Path(path).expanduser().resolve() if path else OURS
    return built_at(path) if where.is_file() or where == OURS else _copy_of(where) / "kernel/kernel"


def build_ours(tree: Path, *variables: str, name: str = "the Shrimpy kernel") -> Kernel:
    """Builds our xv6/ or a variant of it where it stands. variables: NAME=value for make."""
    with lock(tree):
        _, said = _make(tree, *variables)
        if said:
            raise _not_built(name, said)
    return Kernel(name, tree / "kernel/kernel", (tree / "fs.img",))


def _from_elf(elf: Path) -> Kernel:
    if elf.read_bytes()[:4] != b"\x7fELF":
        raise Trouble(f"KERNEL={elf} is not an ELF file")
    if _machine_of(elf) != 243:
        raise Trouble(f"KERNEL={elf} is not for RISC-V")
    for image in (elf.parent / "fs.img", elf.parent.parent / "fs.img"):
        if image.is_file():
            break
    else:
        raise Trouble(f"KERNEL={elf}: no fs.img beside it or one folder up")
    tree = image.parent
    if (tree / "Makefile").is_file():
        return _describe(tree, elf, [image], ["used as it is, not rebuilt"])
    return _describe(None, elf, [image], ["used as it is, not rebuilt"])


def _copy_of(source: Path) -> Path:
    # make splits names at spaces.
    plain = re.sub(r"[^\w.+-]", "_", source.name)
    return BUILD / "trees" / f"{plain}-{hashlib.sha256(os.fsencode(source)).hexdigest()[:12]}"


def _from_tree(source: Path) -> Kernel:
    copy = _copy_of(source)
    with lock(copy):
        _mirror(source, copy)
        notes = _build_foreign(copy, source.name)
        images = [copy / "fs.img"]
        return _describe(copy, copy / "kernel/kernel", images, notes, name=source.name)


# Building

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
            if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "KERNEL", "CPUS", "GDBPORT",
                            "TARGET", "FRY", "SHRIMP", "PROGRAM", "READY", "CORE", "JSON")}


def _make(tree: Path, *arguments: str, jobs: int = os.cpu_count() or 1,
          flags: Sequence[str] = ()) -> tuple[int, str]:
    """Runs make in tree, with flags added to every compile. Status, and what it said when the status is not 0."""
    command = ["make", "-C", str(tree), "--no-print-directory", f"-j{jobs}", *arguments]
    try:
        with _compilers_with(flags) as folder:
            environment = {**_clean_environment(), "LC_ALL": "C", "PATH": f"{folder}:{os.environ.get('PATH', '')}"}
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  env=environment, timeout=_BUILD_LIMIT_S, text=True, errors="replace")
    except FileNotFoundError:
        raise Trouble("make not found: run scripts/setup") from None
    except subprocess.TimeoutExpired:
        raise Trouble(f"make in {tree} took more than {_BUILD_LIMIT_S} s") from None
    return done.returncode, (done.stdout or "make failed") if done.returncode else ""


_ERRORS = (r":\s(fatal\s)?error:", r"undefined reference|multiple definition|No rule to make|not found|cannot find|No such file",
           r"\berror\b")


def _not_built(name: str, said: str) -> Trouble:
    lines = [line for line in said.splitlines() if line.strip()]
    first = next((line for kind in _ERRORS for line in lines if re.search(kind, line, re.I)), lines[-1])
    return Trouble(f"{name} does not build: {first}\n" + "\n".join("  | " + line for line in lines[-12:]))


def cross_prefix() -> str:
    for prefix in ("riscv64-linux-gnu-", "riscv64-unknown-elf-", "riscv64-elf-", "riscv64-unknown-linux-gnu-"):
        if shutil.which(prefix + "gcc"):
            return prefix
    raise Trouble("no RISC-V GCC found: run scripts/setup")


def _build_foreign(copy: Path, name: str) -> list[str]:
    """Builds kernel/kernel and fs.img in copy. Errors that are only a newer compiler's warnings are let pass."""
    note = copy / ".let-pass"  # for the next time, when what needed it is built already
    passed = note.read_text().split() if note.is_file() else []
    prefix, jobs = cross_prefix(), os.cpu_count() or 1
    while True:
        flags = [f"-Wno-error={warning}" for warning in passed]
        status, said = _make(copy, f"TOOLPREFIX={prefix}", "kernel/kernel", "fs.img", jobs=jobs, flags=flags)
        if not status:
            break
        # A compiler stops at the first file it rejects, so names come one by one.
        names = set(re.findall(r"\berror: .*\[-W(?:error=)?([a-z0-9+-]+)=?[0-9]*\]", said)) - _SLIPS - set(passed)
        if not names and jobs == 1:
            raise _not_built(name, said)
        if not names:
            jobs = 1  # some Makefiles are only fit for that
        passed += sorted(names)
    if not passed:
        return []
    note.write_text("\n".join(passed))
    return ["the compiler rejects this tree; built with " + " ".join(flags)]


@contextlib.contextmanager
def _compilers_with(flags: Sequence[str]) -> Iterator[str]:
    """A folder for the front of PATH, in which the compilers add flags: a Makefile need not ask for any."""
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as folder:
        for name in ("cc", "gcc", cross_prefix() + "gcc") if flags else ():
            if compiler := shutil.which(name):
                script = Path(folder, name)
                script.write_text(f'#!/bin/sh\nexec {shlex.quote(compiler)} "$@" {shlex.join(flags)}\n')
                script.chmod(0o755)
        yield folder


def _walk(source: Path) -> Iterator[Path]:
    """The files of a tree, as paths below it. What a link points to is a file or folder like any; .git is left out."""
    seen = set()
    for folder, subfolders, files in os.walk(source, followlinks=True):
        where = os.path.realpath(folder)
        if where in seen:
            subfolders[:] = []
            continue
        seen.add(where)
        subfolders[:] = sorted(name for name in subfolders if name != ".git")
        yield from (path.relative_to(source) for path in (Path(folder, name) for name in files) if path.is_file())


def _mirror(source: Path, copy: Path) -> None:
    """Makes copy hold what source holds, built files of the last time kept while they cannot be stale."""
    manifest = copy.parent / f"{copy.name}.json"
    now = {}
    for path in _walk(source):
        status = (source / path).stat()
        now[str(path)] = [status.st_size, status.st_mtime_ns]
    try:
        before = json.loads(manifest.read_text()) if copy.is_dir() else {}
    except (OSError, ValueError):
        before = {}
    changed = [name for name, status in now.items() if before.get(name) != status]
    # make compares times: a file that went, or came back older, would not be rebuilt.
    stale = not before or any(name not in now or now[name][1] < status[1] for name, status in before.items())
    if stale:
        shutil.rmtree(copy, ignore_errors=True)
        changed = list(now)
    manifest.unlink(missing_ok=True)
    for name in changed:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).unlink(missing_ok=True)
        try:
            shutil.copy2(source / name, copy / name)
        except OSError as error:
            raise Trouble(f"{source / name} cannot be read: {error.strerror}") from None
        (copy / name).chmod((copy / name).stat().st_mode | stat.S_IWUSR)
    manifest.write_text(json.dumps(now))


# Finding out what a kernel needs

def _describe(tree: Path | None, elf: Path, images: list[Path], notes: list[str], name: str | None = None) -> Kernel:
    for product in (elf, *images):
        if not product.is_file():
            raise Trouble(f"{name or elf}: the build made no {product.name}")
    theirs = _their_qemu_options(tree) if tree else None
    options: list[str] = []
    ram_bytes = _ram_bytes(tree, theirs)
    cpu, bios = (_after(theirs or [], option)[-1:] for option in ("-cpu", "-bios"))
    if bios and bios != ["none"]:
        options += ["-bios", str(tree / bios[0]) if (tree / bios[0]).is_file() else bios[0]]
    elif not cpu and not _writes(elf, _PMPADDR0):
        notes = [*notes, "it sets up no PMP; started with -cpu rv64,pmp=false"]
        cpu = ["rv64,pmp=false"]
    if cpu:
        options += ["-cpu", cpu[0]]
    legacy = _speaks_legacy_virtio(tree, theirs)
    if legacy:
        notes = [*notes, "it speaks legacy virtio-mmio; started with force-legacy=true"]
    options += ["-global", f"virtio-mmio.force-legacy={'true' if legacy else 'false'}"]
    if theirs:
        extra_options, extra_images = _extra_devices(theirs, tree)
        options += extra_options
        images = [*images, *extra_images]
        if extra_options:
            notes = [*notes, "its Makefile adds " + " ".join(extra_options)]
    most = _ncpu(tree)
    oldest = _SSTC_QEMU if _writes(elf, _STIMECMP) else tools.OLDEST_QEMU
    return Kernel(name or str(elf), elf, tuple(images), ram_bytes, most, _usual_cpus(theirs, most), tuple(options),
                  oldest, legacy is not None, tuple(notes))


def _their_qemu_options(tree: Path) -> list[str] | None:
    """What the tree's own Makefile gives QEMU, or None when it does not say (in QEMUOPTS)."""
    told = subprocess.run(
        ["make", "-s", "-C", str(tree), "--no-print-directory", f"TOOLPREFIX={cross_prefix()}",
         "--eval=shrimpy-says:;@printf '%s\\n' 'shrimpy:$(QEMUOPTS)'", "shrimpy-says"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=_clean_environment())
    for line in told.stdout.splitlines():
        if line.startswith("shrimpy:") and line != "shrimpy:":
            return shlex.split(line[len("shrimpy:"):])
    return None


def _after(options: list[str], name: str) -> list[str]:
    return [value for option, value in zip(options, options[1:]) if option == name]


def _ram_bytes(tree: Path | None, theirs: list[str] | None) -> int:
    for size in _after(theirs or [], "-m"):
        if match := re.fullmatch(r"(?:size=)?(\d+)([MG]?)", size, re.I):
            return int(match[1]) << (30 if match[2].upper() == "G" else 20)
    return 128 << 20


def _ncpu(tree: Path | None) -> int:
    if tree:
        header = tree / "kernel/param.h"
        text = header.read_text(errors="replace") if header.is_file() else ""
        if match := re.search(r"^\s*#\s*define\s+NCPU\s+\(?(\d+)", text, re.M):
            return min(int(match[1]), _MOST_CPUS)
    return _MOST_CPUS


def _usual_cpus(theirs: list[str] | None, most: int) -> int:
    said = [int(value) for value in _after(theirs or [], "-smp") if value.isdigit()]
    return max(1, min(said[-1] if said else _USUAL_CPUS, most))


def _extra_devices(theirs: list[str], tree: Path) -> tuple[list[str], list[Path]]:
    """Devices beyond the first disk: network cards as they are, further disks' images.

    Ports forwarded from the host and packet dumps are left out: they would collide or litter.
    """
    kept: list[str] = []
    images: list[Path] = []
    for option, value in zip(theirs, theirs[1:]):
        if option == "-netdev":
            kept += [option, ",".join(part for part in value.split(",") if not part.startswith("hostfwd="))]
        elif option == "-device" and not value.startswith("virtio-blk"):
            # Its boot ROM is a package of its own, and nobody boots from it.
            rom = ",romfile=" if value.split(",")[0] in _PCI_CARDS and "romfile" not in value else ""
            kept += [option, value + rom]
        elif option == "-drive" and (match := re.search(r"file=([^,]+)", value)):
            image = tree / match[1]
            if image.name != "fs.img" and image.is_file():
                images.append(image)
    return kept, images


def _speaks_legacy_virtio(tree: Path | None, theirs: list[str] | None) -> bool | None:
    """Whether the disk driver wants version 1 of virtio-mmio (virtio 1.1, 4.2.4), QEMU's default until told."""
    driver = tree / "kernel/virtio_disk.c" if tree else None
    if driver and driver.is_file():
        text = driver.read_text(errors="replace")
        if match := re.search(r"MMIO_VERSION\s*\)\s*!=\s*([12])", text):
            return match[1] == "1"
    if theirs is not None:
        return not any("force-legacy=false" in value for value in theirs)
    return None


def _machine_of(elf: Path) -> int:
    return struct.unpack_from("<H", elf.read_bytes()[:64], 18)[0]


def _writes(elf: Path, register: int) -> bool:
    """Whether any instruction writes that control and status register: csrrw or csrrwi, rd x0."""
    data = elf.read_bytes()
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for index in range(count):
        kind, flags, start, _, _, length = struct.unpack_from("<IIQQQQ", data, offset + index * size)
        if kind != 1 or not flags & 1:  # PT_LOAD, PF_X
            continue
        segment = data[start:start + length]
        for where in range(0, len(segment) - 3, 2):
            if segment[where + 3] != register >> 4:  # most are passed by here
                continue
            word, = struct.unpack_from("<I", segment, where)
            if word & 0xfff03fff == register << 20 | 0x1073:  # without rs1 and the bit that tells csrrwi from csrrw
                return True
    return False
