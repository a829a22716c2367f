"""Plugins of ours for QEMU's translator (TCG): built for the QEMU that is here, once, and what a machine is started with."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shrimpy.kernel import accesses, who
from shrimpy.kernel.cnames import FROM_USER
from shrimpy.memory import elf
from shrimpy.memory.readers import RAM_BASE

from .. import BUILD, ROOT, Trouble, check_room, tools
from ..kernels.tree import Kernel

WHO, LOCKS = "who", "locks"
_SOURCES = ROOT / "scripts" / "plugin"
_OPTIONS = ("-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra")
_COMPILERS = ("cc", "gcc", "clang")
_SPOKEN = (((9, 2), 4), ((9, 1), 3), ((9, 0), 2), ((0, 0), 1))  # the version of the API that a QEMU speaks, from which version on


@dataclass(frozen=True)
class Plugin:
    """One that a machine is started with.

    name       WHO or LOCKS
    file       what QEMU loads
    arguments  its own, without the file that it writes
    size       bytes of that file, most of which are never written
    """

    name: str
    file: Path
    arguments: str
    size: int


def who_wrote(kernel: Kernel) -> Plugin:
    """The plugin that notes the last store to each word of RAM. Raises Trouble where it cannot be built or loaded."""
    ram = range(RAM_BASE, RAM_BASE + kernel.ram_bytes)
    code = text(kernel.elf)
    return Plugin(WHO, built(WHO), f"ram={ram.start:x}-{ram.stop:x},text={code.start:x}-{code.stop:x}", who.size(kernel.ram_bytes))


def which_locks(kernel: Kernel) -> Plugin:
    """The plugin that notes which locks are held at each access to the kernel's variables. Raises Trouble as who_wrote(), and for a
    kernel whose locks are not those of xv6."""
    functions, objects = _loaded(kernel.elf).symbols()
    ranges = {one.name: f"{one.address:x}-{one.address + one.size:x}" for one in functions}
    missing = [name for name in ("acquire", "release", FROM_USER) if name not in ranges]
    if missing or not objects:
        raise Trouble(f"{kernel.name} has no function {missing[0]}()" if missing else f"{kernel.name} has no variables")
    code, data = text(kernel.elf), accesses.span(objects)
    skipped = [told for name, told in ranges.items() if name.split(".")[0] in accesses.UNNOTED]
    return Plugin(LOCKS, built(LOCKS), f"text={code.start:x}-{code.stop:x},data={data.start:x}-{data.stop:x},acquire={ranges['acquire']},"
                  f"release={ranges['release']},first={ranges[FROM_USER]},skip={':'.join(skipped)}", accesses.SIZE)


def asked(kernel: Kernel, names: Sequence[str] = ("WHO", "LOCKS")) -> Plugin | None:
    """The plugin that a person asks for: WHO=1 or LOCKS=1 in the environment. Raises Trouble."""
    makers = {"WHO": who_wrote, "LOCKS": which_locks}
    chosen = [makers[name] for name in names if os.environ.get(name, "") not in ("", "0")]
    if len(chosen) > 1:
        raise Trouble("WHO=1 cannot be combined with LOCKS=1: a machine runs with one plugin")
    return chosen[0](kernel) if chosen else None


def text(kernel: Path) -> range:
    """The addresses of a kernel's code: of its functions, or where it has no symbols of what can be executed."""
    file = _loaded(kernel)
    found = file.symbols()[0] or [elf.Range(one.vaddr, one.file_size, "") for one in file.segments if one.is_code]
    if not found:
        raise Trouble(f"{kernel} has no code")
    return accesses.span(found)


def _loaded(kernel: Path) -> elf.Elf:
    try:
        return elf.Elf.load(kernel)
    except (elf.ElfError, OSError) as error:
        raise Trouble(f"{kernel}: {error}") from None


@functools.cache
def built(name: str) -> Path:
    """The file of a plugin, for the QEMU that is here. Raises Trouble where QEMU has no plugins, or no compiler is here."""
    if not _has_plugins(tools.qemu()):
        raise Trouble(f"{tools.qemu()} was built without plugins")
    sources = sorted(_SOURCES.glob("*.h")) + [_SOURCES / f"{name}.c"]
    api = next(spoken for since, spoken in _SPOKEN if tools.qemu_version() >= since)
    told = hashlib.sha256(repr((_OPTIONS, api, os.uname().machine)).encode() + b"".join(one.read_bytes() for one in sources))
    done = BUILD / "plugins" / f"{name}-{told.hexdigest()[:16]}.so"
    if not done.is_file():
        _compile(_SOURCES / f"{name}.c", api, done)
    return done


def _has_plugins(qemu: str) -> bool:
    said = subprocess.run([qemu, "-help"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    return any(line.startswith("-plugin ") for line in said.splitlines())


def _compile(source: Path, api: int, done: Path) -> None:
    """Leaves the file complete, or none. Raises Trouble."""
    compiler = next((name for name in _COMPILERS if shutil.which(name)), None)
    if compiler is None:
        raise Trouble(f"no C compiler for this machine ({', '.join(_COMPILERS)}): run scripts/setup run")
    scratch = None
    try:
        done.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(prefix=".", suffix=".so", dir=done.parent)
        os.close(handle)
        ran = subprocess.run([compiler, *_OPTIONS, f"-DAPI={api}", str(source), "-o", scratch],
                             stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if ran.returncode:
            check_room(done.parent)
            raise Trouble(f"{source.name} could not be built: {(ran.stderr.strip().splitlines() or [compiler])[0]}")
        os.chmod(scratch, 0o755)
        os.rename(scratch, done)
    except OSError as error:
        raise Trouble(f"{done.parent} cannot be written ({error.strerror}): no plugin for QEMU could be built") from None
    finally:
        if scratch and os.path.exists(scratch):
            os.unlink(scratch)


def options(plugin: Plugin, folder: Path) -> list[str]:
    """What QEMU is given; makes the file that the plugin writes, in a machine's folder."""
    file = folder / plugin.name
    with file.open("wb") as new:
        new.truncate(plugin.size)
    file.chmod(0o666)  # within walls QEMU is another user
    path, wanted = (str(one).replace(",", ",,") for one in (plugin.file, file))
    return ["-plugin", f"{path},out={wanted},{plugin.arguments}"]
