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

from . import BUILD, ROOT, Trouble, can_write, check_room, printable, recipe, sandbox, tools, typed
from .tools import cross_prefix

OURS = ROOT / "xv6"
_COPIES = BUILD / "trees"
_RULES = Path(__file__).with_name("rules.mk")
_OWN_MAKEFILE = ".shrimpy.mk"
_BUILD_LIMIT_S = 600
_JOBS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_MOST_CPUS = 8  # QEMU's virt machine
_USUAL_CPUS = 3
_SSTC_QEMU = (7, 2)  # the first whose rv64 has the Sstc extension

# Control and status registers (RISC-V Privileged 2.2; Sstc 2.1).
_PMPADDR0 = 0x3b0
_STIMECMP = 0x14d

_PCI_CARDS = ("e1000", "e1000e", "ne2k_pci", "pcnet", "rtl8139", "virtio-net-pci", "vmxnet3")
_DEVICES = (*_PCI_CARDS, "virtio-net-device", "virtio-rng-device", "virtio-gpu-device", "virtio-keyboard-device",
            "virtio-mouse-device", "virtio-tablet-device")
_DEVICE_PROPERTY = r"(id|netdev|bus|addr|mac)=[\w.:-]+"
_MOST_RAM = 1 << 30

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
    log            what its build said
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
    log: str = ""

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


class NotBuilt(Trouble):
    """No kernel that boots comes of a tree. log: all that its build said."""

    def __init__(self, said: str, log: str = "") -> None:
        super().__init__(printable(said))
        self.log = log


def prepare(path: str | None, stranger: bool = False) -> Kernel:
    """The kernel at path, built if it is a tree; our own when path is empty.

    path is a tree of xv6's shape or a kernel's ELF file. A tree that is not ours is built in a copy under
    build/trees/, so that nothing is added to it, and in a sandbox.
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
        raise Trouble(f"KERNEL={path} is an xv6 for the x86: this is for xv6-riscv")
    if not (where / "Makefile").is_file() or not (where / "kernel").is_dir():
        raise Trouble(f"KERNEL={path} is not an xv6 tree: it has no Makefile and kernel/")
    try:
        return _from_tree(where, stranger)
    except NotBuilt:
        check_room(BUILD)
        raise


def ours() -> Path:
    """The folder that our kernel is built in: xv6/, or a copy of it where SHRIMPY_BUILD names another place, or where
    xv6/ cannot be written, as in a checkout of somebody else."""
    return BUILD / "xv6" if os.environ.get("SHRIMPY_BUILD") or not _can_build(OURS) else OURS


def _can_build(tree: Path) -> bool:
    """Whether this user can write the folders of a tree, and what others have built in it."""
    return can_write(tree) and all(os.access(path, os.W_OK) for path in tree.rglob("*")
                                   if path.is_dir() or _is_product(path, tree))


def _build_here() -> Kernel:
    """Our kernel, built where ours() says."""
    tree = ours()
    if tree != OURS:
        with lock(tree):
            _mirror(OURS, tree, stranger=False)
    return build_ours(tree)


def is_ours(elf: Path) -> bool:
    """Whether a kernel was built from our sources, which need no sandbox."""
    return any(place in elf.parents for place in (OURS, BUILD / "xv6", BUILD / "variants"))


def built_at(path: str) -> Path:
    """The kernel that make leaves where path is, if it was run there."""
    where = typed(path).resolve() if path else ours()
    where = ours() if where == OURS else where
    return where / "kernel/kernel" if where.is_dir() else where


def booted_from(path: str) -> Path:
    """The kernel that prepare() has us boot."""
    where = typed(path).resolve() if path else OURS
    return built_at(path) if where.is_file() or where in (OURS, ours()) else _copy_of(where) / "kernel/kernel"


def build_ours(tree: Path, *variables: str, name: str = "the Shrimpy kernel") -> Kernel:
    """Builds our xv6/ or a variant of it where it stands. variables: NAME=value for make."""
    with lock(tree):
        _, said = _make(tree, *variables)
        if said:
            check_room(tree)
            raise _not_built(name, said)
    return Kernel(name, tree / "kernel/kernel", (tree / "fs.img",))


def clean_ours() -> None:
    """Removes what was built in xv6/."""
    _, said = _make(OURS, "clean")
    if said:
        raise Trouble(first_error(said))


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
    return _COPIES / f"{plain}-{hashlib.sha256(os.fsencode(source)).hexdigest()[:12]}"


def _from_tree(source: Path, stranger: bool) -> Kernel:
    sandbox.need(source.name)
    copy = _copy_of(source)
    with lock(copy):
        changed, notes = _mirror(source, copy, stranger)
        said, log = _build_foreign(copy, source.name, changed)
        images = [copy / "fs.img"]
        kernel = _describe(copy, copy / "kernel/kernel", images, [*notes, *said], name=source.name)
        return dataclasses.replace(kernel, log=log)


def discard(path: str) -> None:
    """Removes the copy that prepare() made of a tree."""
    copy = _copy_of(typed(path).resolve())
    if not copy.is_dir():
        return
    with lock(copy):
        shutil.rmtree(copy, ignore_errors=True)
        for suffix in (".json", ".built"):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)


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
                            "TARGET", "FRY", "SHRIMP", "PROGRAM", "READY", "CORE", "JSON", "OUT", "POINTS", "SANDBOX")}


def _make(tree: Path, *arguments: str) -> tuple[int, str]:
    """Runs make in a tree of ours. Status, and what it said when the status is not 0."""
    command = ["make", "-C", str(tree), "--no-print-directory", f"-j{_JOBS}", *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**_clean_environment(), "LC_ALL": "C"}, timeout=_BUILD_LIMIT_S, text=True, errors="replace")
    except FileNotFoundError:
        raise Trouble("make not found: run scripts/setup") from None
    except subprocess.TimeoutExpired:
        raise Trouble(f"make in {tree} took more than {_BUILD_LIMIT_S} s") from None
    return done.returncode, (done.stdout or "make failed") if done.returncode else ""


_ERRORS = (r":\s(fatal\s)?error:", r"undefined reference|multiple definition|No rule to make|not found|cannot find|No such file",
           r"\berror\b")


def _lines(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.strip()] or ["make said nothing"]


def first_error(said: str) -> str:
    """The line of what a build said that tells why it failed."""
    lines = _lines(said)
    return next((line for kind in _ERRORS for line in lines if re.search(kind, line, re.I)), lines[-1])


def _not_built(name: str, said: str, overrun: str | None = None) -> NotBuilt:
    first = f"its build {overrun}" if overrun else first_error(said)
    return NotBuilt(f"{name} does not build: {first}\n" + "\n".join("  | " + line for line in _lines(said)[-12:]), said)


def _build_foreign(copy: Path, name: str, changed: bool) -> tuple[list[str], str]:
    """Builds a copy by our rules, or else by its own Makefile; changed: its sources are others than the last time.

    What is to be said of it, and all that the build said.
    """
    memory = copy.with_name(copy.name + ".built")
    try:
        last = json.loads(memory.read_text())
    except (OSError, ValueError):
        last = {"passed": [], "why": ""}
    passed, why = last["passed"], "" if changed else last["why"]
    memory.unlink(missing_ok=True)
    if not why:
        done, why = _build_by_our_rules(copy, passed)
    if why:
        if not last["why"] or changed:
            _remove_products(copy)
        done = _build(copy, "Makefile", passed)
        if done.status or done.overrun:
            raise _not_built(name, done.output, done.overrun)
    memory.write_text(json.dumps({"passed": passed, "why": why}))
    notes = [f"built by its own Makefile, in the sandbox: our rules do not build it: {why}"] if why else []
    if passed:
        notes.append("the compiler rejects this tree; built with " + " ".join(f"-Wno-error={one}" for one in passed))
    return notes, done.output


def _build_by_our_rules(copy: Path, passed: list[str]) -> tuple[sandbox.Done | None, str]:
    """How the build ended, and why it is not good, or nothing."""
    try:
        text = recipe.read(copy).makefile(_RULES, _OWN_MAKEFILE)
    except recipe.Unreadable as unreadable:
        return None, f"they do not understand its Makefile ({unreadable})"
    own = copy / _OWN_MAKEFILE
    if not own.is_file() or own.read_text() != text:
        _remove_products(copy)
        own.write_text(text)
    done = _build(copy, _OWN_MAKEFILE, passed, _RULES)
    return done, done.overrun or (first_error(done.output) if done.status else "")


def _build(copy: Path, makefile: str, passed: list[str], *readonly: Path) -> sandbox.Done:
    """Builds kernel/kernel and fs.img in the sandbox. Errors that are only a newer compiler's warnings are let pass.

    passed: their names, known from the last time, when what needed it may be built already; those found are added
    """
    prefix, jobs = cross_prefix(), _JOBS
    while True:
        with _compilers_with([f"-Wno-error={warning}" for warning in passed]) as folder:
            done = sandbox.run(["make", "--no-print-directory", f"-j{jobs}", "-f", makefile, f"TOOLPREFIX={prefix}",
                                f"CC={prefix}gcc", f"LD={prefix}ld", "kernel/kernel", "fs.img"], copy,
                               environment={"PATH": f"{folder}:{sandbox.tool_path()}"}, readonly=[Path(folder), *readonly])
        if not done.status or done.overrun:
            return done
        # A compiler stops at the first file it rejects, so names come one by one.
        names = set(re.findall(r"\berror: .*\[-W(?:error=)?([a-z0-9+-]+)=?[0-9]*\]", done.output)) - _SLIPS - set(passed)
        if not names and jobs == 1:
            return done
        if not names:
            jobs = 1  # some Makefiles are only fit for that
        passed += sorted(names)


@contextlib.contextmanager
def _compilers_with(flags: Sequence[str]) -> Iterator[str]:
    """A folder for the front of PATH, in which the compilers add flags: a Makefile need not ask for any."""
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as folder:
        os.chmod(folder, 0o755)  # for whoever builds
        for name in ("cc", "gcc", cross_prefix() + "gcc") if flags else ():
            if compiler := shutil.which(name):
                script = Path(folder, name)
                script.write_text(f'#!/bin/sh\nexec {shlex.quote(compiler)} "$@" {shlex.join(flags)}\n')
                script.chmod(0o755)
        yield folder


def _walk(source: Path, stranger: bool) -> Iterator[tuple[Path, bool]]:
    """The files of a tree, as paths below it, and whether each may be read.

    What a link points to is a file or folder like any, but not of a stranger when it leads out of the tree; .git is
    left out, and what a build makes.
    """
    top = os.path.realpath(source)
    seen = set()
    for folder, subfolders, files in os.walk(source, followlinks=True):
        where = os.path.realpath(folder)
        if where in seen:
            subfolders[:] = []
            continue
        if stranger and where != top and not where.startswith(top + os.sep):
            subfolders[:] = []
            yield Path(folder).relative_to(source), False
            continue
        seen.add(where)
        subfolders[:] = sorted(name for name in subfolders if name != ".git")
        for name in sorted(files):
            path = Path(folder, name)
            if path.is_file() and not _is_product(path, source):
                outside = stranger and not os.path.realpath(path).startswith(top + os.sep)
                yield path.relative_to(source), not outside


def _is_product(path: Path, tree: Path) -> bool:
    """Whether a build makes this file: what lies there may be of another compiler, or not of these sources at all."""
    name = path.relative_to(tree).as_posix()
    if path.suffix in (".o", ".d"):
        return any(path.with_suffix(suffix).is_file() for suffix in (".c", ".S", ".pl"))
    return name in ("kernel/kernel", "mkfs/mkfs", "fs.img", _OWN_MAKEFILE) or name.startswith("user/_")


def _remove_products(copy: Path) -> None:
    for path in [path for path in copy.rglob("*") if path.is_file() or path.is_symlink()]:
        if _is_product(path, copy):
            path.unlink()


def _mirror(source: Path, copy: Path, stranger: bool) -> tuple[bool, list[str]]:
    """Makes copy hold what source holds, built files of the last time kept while they cannot be stale.

    Whether anything changed since the last time, and what is to be said.
    """
    manifest = copy.with_name(copy.name + ".json")
    now, refused = {}, []
    n_bytes = 0
    for path, readable in _walk(source, stranger):
        if not readable:
            refused.append(str(path))
            continue
        status = (source / path).stat()
        now[str(path)] = [status.st_size, status.st_mtime_ns]
        n_bytes += status.st_size
        if stranger and (n_bytes > sandbox.LIMITS.disk // 2 or len(now) > sandbox.LIMITS.files // 2):
            raise NotBuilt(f"{source.name} is not built: it is larger than {sandbox.LIMITS.disk >> 21} MiB or "
                           f"{sandbox.LIMITS.files // 2} files")
    try:
        before = json.loads(manifest.read_text()) if copy.is_dir() else {}
    except (OSError, ValueError):
        before = {}
    changed = [name for name, status in now.items() if before.get(name) != status]
    # make compares times: a file that went, or came back older, would not be rebuilt.
    stale = not before or any(name not in now or now[name][1] < status[1] for name, status in before.items())
    if stale or stranger:
        shutil.rmtree(copy, ignore_errors=True)
        changed = list(now)
    manifest.unlink(missing_ok=True)
    for name in changed:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).unlink(missing_ok=True)
        try:
            shutil.copy2(source / name, copy / name)
        except PermissionError as error:
            raise Trouble(f"{source / name} cannot be copied to {copy}: {error.strerror}") from None
        (copy / name).chmod((copy / name).stat().st_mode & 0o755 | stat.S_IRUSR | stat.S_IWUSR)
    manifest.write_text(json.dumps(now))
    notes = [f"left out, for it leads out of the tree: {', '.join(refused)}"] if refused else []
    return bool(changed), notes


# Finding out what a kernel needs

def _describe(tree: Path | None, elf: Path, images: list[Path], notes: list[str], name: str | None = None) -> Kernel:
    for product in (elf, *images):
        if not product.is_file():
            raise NotBuilt(f"{name or elf}: the build made no {product.name}")
    theirs = _their_qemu_options(tree) if tree else None
    options: list[str] = []
    ram_bytes = _ram_bytes(tree, theirs)
    cpu, bios = (_after(theirs or [], option)[-1:] for option in ("-cpu", "-bios"))
    if bios and bios != ["none"]:
        image = _inside(tree, bios[0])
        if not image and bios[0] != "default":
            raise NotBuilt(f"{name or elf}: its Makefile starts QEMU with -bios {bios[0]}, which is no file of the tree")
        options += ["-bios", str(image or bios[0])]
    elif not cpu and not _writes(elf, _PMPADDR0):
        notes = [*notes, "it sets up no PMP; started with -cpu rv64,pmp=false"]
        cpu = ["rv64,pmp=false"]
    if cpu:
        if not re.fullmatch(r"[\w.,=-]+", cpu[0]):
            raise NotBuilt(f"{name or elf}: its Makefile starts QEMU with -cpu {cpu[0]}")
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
    told = sandbox.run(["make", "-s", "--no-print-directory", f"TOOLPREFIX={cross_prefix()}",
                        "--eval=shrimpy-says:;@printf '%s\\n' 'shrimpy:$(QEMUOPTS)'", "shrimpy-says"], tree, writable=_COPIES in tree.parents)
    for line in told.output.splitlines():
        if line.startswith("shrimpy:") and line != "shrimpy:":
            with contextlib.suppress(ValueError):
                return shlex.split(line[len("shrimpy:"):])
    return None


def _after(options: list[str], name: str) -> list[str]:
    return [value for option, value in zip(options, options[1:]) if option == name]


def _ram_bytes(tree: Path | None, theirs: list[str] | None) -> int:
    for size in _after(theirs or [], "-m"):
        if match := re.fullmatch(r"(?:size=)?(\d+)([MG]?)", size, re.I):
            n_bytes = int(match[1]) << (30 if match[2].upper() == "G" else 20)
            if not 1 << 20 <= n_bytes <= _MOST_RAM:
                raise NotBuilt(f"its Makefile gives QEMU {size} of memory: expected 1 MiB to {_MOST_RAM >> 20} MiB")
            return n_bytes
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
    """Devices beyond the first disk: network cards, further disks' images.

    A network reaches nobody: no ports of this host, no files, no commands (QEMU's -netdev user can give all three).
    Only options that name nothing of this machine are let through.
    """
    kept: list[str] = []
    images: list[Path] = []
    for option, value in zip(theirs, theirs[1:]):
        words = value.split(",")
        named = dict(word.partition("=")[::2] for word in words[1:])
        if option == "-netdev" and words[0] == "user" and re.fullmatch(r"\w+", named.get("id", "")):
            kept += [option, f"user,id={named['id']},restrict=on"]
        elif option == "-device" and words[0] in _DEVICES and all(re.fullmatch(_DEVICE_PROPERTY, word) for word in words[1:]):
            # Its boot ROM is a package of its own, and nobody boots from it.
            kept += [option, value + (",romfile=" if words[0] in _PCI_CARDS else "")]
        elif option == "-drive" and (match := re.search(r"file=([^,]+)", value)):
            image = _inside(tree, match[1])
            if image and image.name != "fs.img":
                images.append(image)
    return kept, images


def _inside(tree: Path, name: str) -> Path | None:
    """A file of the tree by its name there; None when there is none, or when it leads out of the tree."""
    path = (tree / name).resolve()
    return path if tree.resolve() in path.parents and path.is_file() else None


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
