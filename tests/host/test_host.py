"""Pieces of the kernel, mkfs and the disk's checker on the host, under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from lab import ROOT

HERE = Path(__file__).resolve().parent
REPORTED = 99       # the exit status after a sanitizer's report
FLAGS = ["-g", "-O1", "-std=gnu11", "-Wall", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
         f"-I{ROOT / 'xv6'}", f"-I{ROOT / 'tests/kernel/programs'}"]
KERNEL = ["-fno-builtin", "-Wno-unused-function", "-Wno-attributes", "-no-pie"]
END = ["-mcmodel=large", "-Wl,--defsym,host_end=0x200000003000"]
ENVIRONMENT = {"ASAN_OPTIONS": f"exitcode={REPORTED}:detect_leaks=0", "UBSAN_OPTIONS": f"exitcode={REPORTED}"}
SEEDS = [1, 2]


def build(source: Path, to: Path, *more: str) -> Path:
    done = subprocess.run(["gcc", *FLAGS, *more, "-o", to, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return to


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace", env=ENVIRONMENT)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("piece, more", [("kalloc", END), ("string", []), ("path", [])])
def test_piece_of_the_kernel_does_what_its_model_does(tmp_path, piece, more, seed):
    program = build(HERE / f"{piece}.c", tmp_path / piece, *KERNEL, *more)
    done = run(program, str(seed))
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"


@pytest.fixture(scope="module")
def mkfs(tmp_path_factory) -> Path:
    return build(ROOT / "xv6/mkfs/mkfs.c", tmp_path_factory.mktemp("mkfs") / "mkfs")


def test_mkfs_and_the_checker_agree_on_what_is_whole(mkfs, tmp_path):
    files = [tmp_path / f"file{n}" for n in range(8)]
    for n, file in enumerate(files):
        file.write_bytes(bytes(n * 37_000))
    made, checked = run(mkfs, tmp_path / "fs.img", *files), run(mkfs, "-c", tmp_path / "fs.img")
    assert (made.returncode, made.stderr, checked.returncode, checked.stdout) == (0, "", 0, "")


def corrupt(data: bytearray, chance: random.Random) -> None:
    """A few words anywhere in the superblock, the log's header, the inodes, the bitmap or a directory."""
    first_data = 46
    for _ in range(chance.choice((1, 1, 2, 8, 100))):
        block = chance.choice((1, 2, 2, *range(33, 48), chance.randrange(first_data, 200)))
        at = block * 1024 + 4 * chance.randrange(chance.choice((8, 64, 256)))
        value = chance.choice((0, 1, 2, 33, 199, 200, 1999, 2000, 2001, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
                               chance.getrandbits(32), chance.getrandbits(11)))
        data[at:at + 4] = value.to_bytes(4, "little")


def check_corrupted(mkfs, kernel, tmp_path, seed, n):
    chance = random.Random(seed)
    whole = kernel.disks[0].read_bytes()
    image = tmp_path / "fs.img"
    found = 0
    for number in range(n):
        data = bytearray(whole)
        corrupt(data, chance)
        if chance.random() < 0.05:
            del data[chance.randrange(len(data)):]
        image.write_bytes(data)
        done = run(mkfs, "-c", image)
        said = done.stdout + done.stderr
        assert done.returncode in (0, 1), f"image {number} of seed {seed}: {said[-2000:]}"
        assert done.returncode == bool(said), f"image {number} of seed {seed}"
        found += done.returncode
    assert found > n // 2


@pytest.mark.parametrize("seed", [1])
def test_checker_says_what_is_wrong_with_any_image(mkfs, kernel, tmp_path, seed):
    check_corrupted(mkfs, kernel, tmp_path, seed, 50)


@pytest.mark.soak
@pytest.mark.limit(900)
@pytest.mark.parametrize("seed", [2])
def test_checker_says_what_is_wrong_with_thousands_of_images(mkfs, kernel, tmp_path, seed):
    check_corrupted(mkfs, kernel, tmp_path, seed, 5000)
