"""A checkout, a kernel and a build folder may be anywhere and belong to anybody: it works, or one line says why not."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import ROOT, cli
from lab.machines import debugger

SOMEBODY = 0x6f000000 + os.getpid()  # no user of any system, and of another run
NAME = "a b ünï"
pytestmark = pytest.mark.limit(300)


def run(*words: object, cwd: Path = ROOT, without: tuple[str, ...] = (),
        **environment: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name not in without}
    return subprocess.run([str(word) for word in words], cwd=cwd, env={**clean, **environment}, stdin=subprocess.DEVNULL,
                          capture_output=True, encoding="utf-8", errors="surrogateescape")


def told(done: subprocess.CompletedProcess) -> str:
    """The one line that a command left on standard error, make's own aside."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1 and "Traceback" not in done.stderr, done.stderr
    return lines[0]


def build_folder(**environment: str) -> str:
    done = run(ROOT / "scripts/python", "-c", "import lab; print(lab.BUILD)", cwd=ROOT / "scripts",
               without=("SHRIMPY_BUILD", "XDG_CACHE_HOME"), **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Whose the checkout is

@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that other users can reach, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="shrimpy-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def theirs(public: Path) -> Iterator[tuple[Path, list[str]]]:
    """Somebody else's checkout, which can only be read, and what stands before a command of a user who has no home."""
    checkout = public / NAME / "checkout"
    for name in subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z", "Makefile", "scripts", "gdb", "viz", "xv6"],
                               cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    folders = [checkout, *(path for path in checkout.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    user = ["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups", "--"] if os.getuid() == 0 else []
    yield checkout, user
    for path in folders:
        path.chmod(0o755)


def test_a_checkout_of_somebody_else_builds_for_each_user_elsewhere(theirs):
    """Its path has a space and letters beyond ASCII, the user has no home, the locale is C."""
    checkout, user = theirs
    where = without_home(["-C", checkout], user)
    done = run(*where, "demo", cwd=Path("/"))
    assert done.returncode == 0, done.stderr
    assert re.search(r"^PASS: \d+", done.stdout, re.M)
    drawn = Path(re.search(r"^drawn: (.+\.svg)$", done.stdout, re.M)[1])
    build = drawn.parents[1]
    try:
        status = build.parent.stat()
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (SOMEBODY if user else os.getuid(), 0o700)
        assert (build / "xv6/kernel/kernel").is_file()
        assert not (checkout / "build").exists() and not (checkout / "xv6/kernel/kernel").exists()
        assert run(*where, "clean", cwd=Path("/")).returncode == 0
        assert not list(build.iterdir())
    finally:
        shutil.rmtree(build.parent if user else build, ignore_errors=True)


def without_home(words: list[object], user: list[str]) -> list[object]:
    return [*user, "env", "-u", "HOME", "-u", "XDG_CACHE_HOME", "-u", "TMPDIR", "-u", "SHRIMPY_BUILD", "-u", "SHRIMPY_MEM", "LC_ALL=C", "make", *words]


def test_the_build_folder_is_in_the_checkout_or_where_it_was_named(tmp_path):
    assert build_folder() == str(ROOT / "build")
    assert build_folder(SHRIMPY_BUILD=str(tmp_path / NAME)) == str(tmp_path / NAME)
    assert build_folder(SHRIMPY_BUILD="named") == str(ROOT / "scripts/named")
    assert not (tmp_path / NAME).exists()


def test_where_the_checkout_cannot_be_written_the_build_folder_is_in_the_cache(theirs, public):
    checkout, user = theirs
    for name in ("cache", "home"):
        (public / name).mkdir()
        (public / name).chmod(0o777)

    def folder(**environment: str) -> Path:
        done = run(*user, checkout / "scripts/python", "-c", "import lab; print(lab.BUILD)", cwd=checkout / "scripts",
                   without=("SHRIMPY_BUILD", "XDG_CACHE_HOME"), **environment)
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip())
    home = str(public / "home")
    assert folder(XDG_CACHE_HOME=str(public / "cache"), HOME=home).parent == public / "cache/shrimpy"
    assert folder(HOME=home).parent == public / "home/.cache/shrimpy"
    assert folder(HOME=home) == folder(HOME=home, XDG_CACHE_HOME="relative")
    assert folder(HOME="/nonexistent", TMPDIR=home).parent == public / "home" / f"shrimpy-{SOMEBODY if user else os.getuid()}"


def test_a_folder_of_another_user_among_temporary_files_is_not_used(theirs, public):
    checkout, user = theirs
    if not user:
        pytest.skip("it takes another user")
    trap = public / f"shrimpy-{SOMEBODY}"
    trap.mkdir()
    trap.chmod(0o777)
    public.chmod(0o777)
    done = run(*user, checkout / "scripts/build", HOME="/nonexistent", TMPDIR=str(public), without=("SHRIMPY_BUILD", "XDG_CACHE_HOME"))
    assert done.returncode == 1
    assert str(checkout / "build") in told(done)
    assert not list(trap.iterdir())


def test_a_tree_that_names_its_folder_builds_though_ours_has_spaces(tmp_path):
    """Its make splits what it reads at spaces."""
    sys.path.append(str(ROOT / "tests/foreign"))
    import trees
    theirs = trees.imitate(tmp_path / "theirs", programs="init sh", tiny=True)
    rules = theirs / "Makefile"
    rules.write_text(rules.read_text().replace("-I.", "-I$(CURDIR)"))
    done = run(ROOT / "scripts/python", "-c", "import sys; from lab.kernels import tree; print(tree.prepare(sys.argv[1]).elf)", theirs,
               cwd=ROOT / "scripts", SHRIMPY_BUILD=str(tmp_path / NAME), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert tmp_path / "cache/shrimpy" in Path(done.stdout.strip()).parents


# What the system refuses

@pytest.fixture
def full(tmp_path) -> tuple[Path, list[str]]:
    """A folder on a disk of 2 MB, and what stands before a command that is to see it."""
    folder = tmp_path / "full"
    folder.mkdir()
    hidden = ["bwrap", "--dev-bind", "/", "/", "--size", str(2 << 20), "--tmpfs", str(folder), "--"]
    if run(*hidden, "true").returncode:
        pytest.skip("bubblewrap cannot mount a small disk here")
    return folder, hidden


def test_a_full_disk_is_one_line_and_no_verdict(full):
    folder, hidden = full
    done = run(*hidden, "make", "check", "PROGRAM=zombie", SHRIMPY_BUILD=str(folder / "build"))
    assert done.returncode == 2
    assert done.stderr.startswith("check: ") and "No space left on device" in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_not_the_fault_of_whoever_handed_in(full, kernel, tmp_path):
    """Room for the copy of the sources, and not for what is built."""
    tree = tmp_path / "hand-in"
    shutil.copytree(kernel.elf.parents[1], tree, ignore=shutil.ignore_patterns("*.o", "*.d", "_*", "stripped", "fs.img"))
    folder, hidden = full
    done = run(*hidden, "make", "check", f"KERNEL={tree}", f"OUT={tmp_path / 'marks'}", SHRIMPY_BUILD=str(folder / "build"))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "No space left on device" in told(done)
    assert not (tmp_path / "marks").exists()


def test_a_screen_that_cannot_be_written_is_one_line():
    with open("/dev/full", "w") as screen:
        done = subprocess.run([ROOT / "scripts/check", "--core", "nosuch"], stdout=screen, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        done = subprocess.run([ROOT / "scripts/python", "-c", "from lab import cli; cli.run(lambda: print('said') or 0, 2)"],
                              cwd=ROOT / "scripts", stdout=screen, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr


def test_figures_that_cannot_be_written_or_named_are_one_line(tmp_path):
    snapshot = ROOT / "docs/gallery/snapshot.json"
    with open("/dev/full", "w") as screen:
        done = subprocess.run([ROOT / "scripts/python", ROOT / "viz", "ram", snapshot, "-o", tmp_path / "ram.svg"], stdout=screen,
                              stderr=subprocess.PIPE, text=True, timeout=600)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    done = run(ROOT / "scripts/python", ROOT / "viz", "ram", snapshot, "-o", "/dev/full/ram.svg")
    assert done.returncode == 2 and told(done).startswith("viz: /dev/full/ram.svg")


@pytest.mark.parametrize("name", ["build", "check", "check-class", "core", "debug", "demo", "diagrams", "film", "launch", "bench",
                                  "bench-kit"])
def test_every_command_tells_in_one_line_what_the_system_refuses(name, tmp_path):
    """Its build folder is to be where a file is."""
    (tmp_path / "file").write_text("")
    (tmp_path / "class/one/kernel").mkdir(parents=True)
    words = {"check-class": [tmp_path / "class"], "debug": ["--core", tmp_path / "file"]}.get(name, [])
    done = run(ROOT / "scripts" / name, *words, SHRIMPY_BUILD=str(tmp_path / "file"), SHRIMPY_RUN=str(tmp_path))
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr
    if name != "check-class":  # which goes on to the next submission
        assert f"{tmp_path}/file" in told(done)


def test_what_the_system_refuses_names_the_place_and_the_way_out():
    assert cli.refused(FileNotFoundError(2, "No such file or directory", "/x")) == "/x: No such file or directory"
    assert "TMPDIR" in cli.refused(OSError(28, "No space left on device"))
    assert cli.refused(OSError("expected a socket")) == "expected a socket"


# How it is called

@pytest.fixture
def odd(kernel, tmp_path) -> Path:
    """Our kernel, built, in a folder whose name has a space and letters beyond ASCII."""
    shutil.copytree(kernel.elf.parents[1], tmp_path / NAME / "xv6")
    return tmp_path / NAME / "xv6/kernel/kernel"


def test_a_kernel_in_a_folder_of_any_name_under_a_locale_without_letters(odd, tmp_path):
    done = run("make", "check", f"KERNEL={odd}", "PROGRAM=zombie", "JSON=1", LC_ALL="C")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kernel"] == str(odd)


def test_programs_in_a_folder_of_any_name(odd, machine, kernel, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    figure = odd.parent / "family.svg"
    booted = machine(1)
    said = debugger.checked(odd, ["xv6-user 2", "xv6-user 1", "xv6-break main 2", "xv6-catch ls",
                                  f"shrimp-draw -o {shlex.quote(str(figure))}", "info breakpoints"], target=booted.gdb_target)
    assert f"symbols of {odd.parents[1]}/user/_sh for pid 2 (sh)" in said
    assert "in main of pid 2 (sh)" in said and "at the first instruction of ls" in said
    assert figure.is_file()


def test_a_kernel_whose_name_is_not_utf8_is_one_line(odd):
    name = odd.parents[2] / os.fsdecode(b"\xfc")
    odd.parents[1].rename(name)
    done = run("make", "check", f"KERNEL={name}/kernel/kernel", "PROGRAM=zombie")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert re.search(r"^check: .*expected a name in UTF-8", done.stderr, re.M), done.stderr


