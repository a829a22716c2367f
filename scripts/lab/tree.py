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
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import BUILD, ROOT, Trouble

OURS = ROOT / "xv6"
_BUILD_LIMIT_S = 600
_MOST_CPUS = 8  # QEMU's virt machine


@dataclass(frozen=True)
class Kernel:
    """What a machine boots.

    disks          images, in the order of the virtio slots; each machine gets copies
    qemu_options   what this kernel needs besides
    virtio_known   whether it is known which version of virtio-mmio the driver speaks; else modern is assumed
    notes          what was found out or done about it, for a person to read
    """

    name: str
    elf: Path
    disks: tuple[Path, ...]
    ram_bytes: int = 128 << 20
    max_cpus: int = _MOST_CPUS
    qemu_options: tuple[str, ...] = ("-global", "virtio-mmio.force-legacy=false")
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
    if not (where / "Makefile").is_file() or not (where / "kernel").is_dir():
        raise Trouble(f"KERNEL={path} is not an xv6 tree: it has no Makefile and kernel/")
    return _from_tree(where)


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


def _from_tree(source: Path) -> Kernel:
    copy = BUILD / "trees" / f"{source.name}-{hashlib.sha256(os.fsencode(source)).hexdigest()[:12]}"
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
            if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "KERNEL", "CPUS", "GDBPORT")}


def _make(tree: Path, *arguments: str) -> tuple[int, str]:
    """Runs make in tree. Status, and what it said when the status is not 0."""
    command = ["make", "-C", str(tree), "--no-print-directory", f"-j{os.cpu_count() or 1}", *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=_clean_environment(), timeout=_BUILD_LIMIT_S, text=True, errors="replace")
    except FileNotFoundError:
        raise Trouble("make not found: run scripts/setup") from None
    except subprocess.TimeoutExpired:
        raise Trouble(f"make in {tree} took more than {_BUILD_LIMIT_S} s") from None
    return done.returncode, (done.stdout or "make failed") if done.returncode else ""


def _not_built(name: str, said: str) -> Trouble:
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror\b|undefined reference|No rule to make", line, re.I)]
    first = errors[0] if errors else lines[-1]
    return Trouble(f"{name} does not build: {first}\n" + "\n".join("  | " + line for line in lines[-12:]))


def _cross_prefix() -> str:
    for prefix in ("riscv64-linux-gnu-", "riscv64-unknown-elf-", "riscv64-elf-", "riscv64-unknown-linux-gnu-"):
        if shutil.which(prefix + "gcc"):
            return prefix
    raise Trouble("no RISC-V GCC found: run scripts/setup")


def _build_foreign(copy: Path, name: str) -> list[str]:
    """Builds kernel/kernel and fs.img in copy. Errors that are only a newer compiler's warnings are let pass."""
    targets = ["kernel/kernel", "fs.img"]
    prefix = _cross_prefix()
    status, said = _make(copy, f"TOOLPREFIX={prefix}", *targets)
    if not status:
        return []
    passed: list[str] = []
    # A compiler stops at the first file it rejects, so names come one by one.
    while status:
        names = sorted(set(re.findall(r"\[-Werror=([a-z0-9+-]+)=?\]", said)) - set(passed))
        if not names:
            raise _not_built(name, said)
        passed += names
        quiet = " ".join(f"-Wno-error={warning}" for warning in passed)
        status, said = _make(copy, f"TOOLPREFIX={prefix}", f"CC={prefix}gcc {quiet}", *targets)
    return [f"the compiler rejects this tree; built with {quiet}"]


def _mirror(source: Path, copy: Path) -> None:
    """Makes copy hold what source holds, built files of the last time kept while they cannot be stale."""
    manifest = copy.parent / f"{copy.name}.json"
    now = {}
    for folder, subfolders, files in os.walk(source):
        subfolders[:] = [name for name in subfolders if name != ".git"]
        for name in files:
            path = Path(folder, name)
            status = path.lstat()
            now[str(path.relative_to(source))] = [status.st_size, status.st_mtime_ns]
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
        shutil.copy2(source / name, copy / name, follow_symlinks=False)
    manifest.write_text(json.dumps(now))


# Finding out what a kernel needs

def _describe(tree: Path | None, elf: Path, images: list[Path], notes: list[str], name: str | None = None) -> Kernel:
    for product in (elf, *images):
        if not product.is_file():
            raise Trouble(f"{name or elf}: the build made no {product.name}")
    theirs = _their_qemu_options(tree) if tree else None
    options: list[str] = []
    ram_bytes = _ram_bytes(tree, theirs)
    if not _sets_up_pmp(elf):
        notes = [*notes, "it sets up no PMP; started with -cpu rv64,pmp=false"]
        options += ["-cpu", "rv64,pmp=false"]
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
    return Kernel(name or str(elf), elf, tuple(images), ram_bytes, _ncpu(tree), tuple(options),
                  legacy is not None, tuple(notes))


def _their_qemu_options(tree: Path) -> list[str] | None:
    """What the tree's own Makefile gives QEMU, or None when it does not say (in QEMUOPTS)."""
    told = subprocess.run(
        ["make", "-s", "-C", str(tree), "--no-print-directory", f"TOOLPREFIX={_cross_prefix()}",
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
        if match := re.search(r"^\s*#\s*define\s+NCPU\s+(\d+)", text, re.M):
            return min(int(match[1]), _MOST_CPUS)
    return _MOST_CPUS


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
            kept += [option, value]
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


def _sets_up_pmp(elf: Path) -> bool:
    """Whether any instruction writes pmpaddr0, CSR 0x3b0 (RISC-V Privileged 3.7.1): csrrw or csrrwi, rd x0."""
    data = elf.read_bytes()
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for index in range(count):
        kind, flags, start, _, _, length = struct.unpack_from("<IIQQQQ", data, offset + index * size)
        if kind != 1 or not flags & 1:  # PT_LOAD, PF_X
            continue
        segment = data[start:start + length]
        for where in range(0, len(segment) - 3, 2):
            if segment[where + 3] != 0x3b:  # most are passed by here
                continue
            word, = struct.unpack_from("<I", segment, where)
            if word & 0xfff03fff == 0x3b001073:  # without rs1 and the bit that tells csrrwi from csrrw
                return True
    return False
