"""Kernels that differ from ours on purpose: built in a copy of xv6/, under build/variants/."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .. import BUILD, Trouble
from .tree import OURS, Kernel, build_ours, lock, memory, prepare

_SOURCES = ("*.c", "*.h", "*.S", "*.ld", "*.mk", "Makefile", "README")


def build(name: str, patches: Sequence[Path] = (), variables: Sequence[str] = (), programs: Sequence[Path] = ()) -> Kernel:
    """Our kernel with patches applied, variables given to make, and further user programs on its disk.

    patches    unified diffs against the project's root (a/xv6/...)
    variables  NAME=value: the kernel is compiled with them, and the programs named here; the others are our kernel's
    programs   C files, each a program named like the file, and headers that they include

    The same inputs are built once, and what they leave alone once for all variants. Raises Trouble when a patch does not
    apply or the build fails.
    """
    inputs = [*_sources(), *patches, *programs]
    recipe = hashlib.sha256("\0".join((*memory(), *variables)).encode())
    for path in inputs:
        recipe.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    tree = BUILD / "variants" / f"{name}-{recipe.hexdigest()[:12]}"
    with lock(tree):
        if not (tree / "xv6/Makefile").exists():
            try:
                shutil.copytree(prepare(None).elf.parents[1], tree / "xv6", symlinks=True)
                if variables:
                    _forget_the_kernel(tree / "xv6/kernel")
                _apply(tree, patches)
                _add(tree, programs)
            except BaseException:
                shutil.rmtree(tree, ignore_errors=True)
                raise
    return build_ours(tree / "xv6", *variables, name=f"the {name} kernel")


def _sources() -> list[Path]:
    kept: list[Path] = []
    for pattern in _SOURCES:
        kept += OURS.rglob(pattern)
    return sorted(kept)


def _forget_the_kernel(folder: Path) -> None:
    for path in (*folder.glob("*.o"), folder / "kernel"):
        path.unlink()


def _add(tree: Path, programs: Sequence[Path]) -> None:
    names = []
    for path in programs:
        shutil.copy2(path, tree / "xv6/user" / path.name)
        if path.suffix == ".c":
            names.append(path.stem)
    if names:
        with (tree / "xv6/user/programs.mk").open("r+") as makefile:
            text = makefile.read()
            makefile.seek(0)
            makefile.write(_with_programs(text, names))


def _apply(tree: Path, patches: Sequence[Path]) -> None:
    for path in patches:
        done = subprocess.run(["patch", "-p1", "--batch", "--no-backup-if-mismatch", "-d", str(tree), "-i", str(path.resolve())],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Trouble(f"{path.name} does not apply: {' '.join(done.stdout.split())}")


def _with_programs(text: str, names: Sequence[str]) -> str:
    """programs.mk with further names in its list of programs."""
    head, found, tail = text.partition("UPROGS = ")
    if not found:
        raise Trouble("xv6/user/programs.mk has no line that begins UPROGS =")
    return f"{head}{found}{' '.join(names)} {tail}"
