"""Set-up asks the Python and the compilers that the commands then use, and nothing is decided before it has run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import ROOT, Trouble, tools
from shrimpy.kernel.macros import CROSS_PREFIXES

PYTHON = ROOT / "scripts/python"
PATH = os.environ["PATH"]
SHELLS = ("sh", "dirname", "readlink", "grep", "sort", "head", "uname", "id", "find", "env", "tr", "sed", "cat", "apt-cache")
GCC_PACKAGES = {"gcc-riscv64-unknown-elf", "binutils-riscv64-unknown-elf"}


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path_of(tmp_path: Path) -> Callable[..., str]:
    """path_of(name, ...): a PATH with the shell's own tools and these, and nothing else."""
    def make(*names: str) -> str:
        folder = tmp_path / "bin"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name in (*SHELLS, *names):
            if found := shutil.which(name, path=PATH):
                (folder / name).symlink_to(found)
            else:
                program(folder / name, "exit 0")
        return str(folder)
    return make


def run(*command: object, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in command], env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)


def missing(*groups: str, **environment: str) -> set[str]:
    """The packages that set-up finds missing; each is named once."""
    said = run(ROOT / "scripts/setup", "--list", *groups, **environment).stdout
    named = said.removeprefix("setup: missing:").split()
    assert len(set(named)) == len(named), named
    return set(named)


def test_a_foreign_python_that_is_first_on_path_is_not_used(tmp_path):
    program(tmp_path / "python3", "echo foreign")
    environment = {"PATH": f"{tmp_path}:{PATH}", "PYTHONHOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    done = run(PYTHON, "-c", "import sys; print(sys.executable)", **environment)
    assert (done.stdout, done.stderr) == ("/usr/bin/python3\n", "")
    for name in ("bench", "bench-kit", "check", "check-class", "core", "debug", "demo", "diagrams", "film", "launch"):
        done = run(ROOT / "scripts" / name, "--help", **environment)
        assert (done.returncode, done.stdout[:6]) == (0, "usage:"), done.stderr


def test_a_script_is_found_through_a_link_to_it(tmp_path):
    (tmp_path / "check").symlink_to(ROOT / "scripts/check")
    assert run(tmp_path / "check", "--help").returncode == 0


def test_modules_are_asked_of_the_python_that_runs_the_tests(tmp_path):
    """One on PATH that has every module does not count; one without a module does, when it is the one that is used."""
    program(tmp_path / "python3", "exit 0")
    without = program(tmp_path / "without", f'case $* in *pexpect*|*pytest*) exit 1 ;; *) exec {sys.executable} "$@" ;; esac')
    foreign = {"PATH": f"{tmp_path}:{PATH}"}
    assert missing("test", **foreign) == missing("test")
    assert {"python3-pexpect", "python3-pytest"} <= missing("test", SHRIMPY_PYTHON=str(without), **foreign)


def test_where_the_system_has_no_python_the_first_good_one_on_path_is_used(tmp_path):
    if not tools_can_hide():
        pytest.skip("bubblewrap cannot hide a file here")
    program(tmp_path / "python3", "echo 'pyenv: python3: command not found' >&2; exit 127")
    good = tmp_path / "good"
    good.mkdir()
    program(good / "python3", "echo good")
    hidden = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", "/dev/null", os.path.realpath("/usr/bin/python3"), "--"]
    done = run(*hidden, PYTHON, "-c", "pass", PATH=f"{tmp_path}:{good}:/usr/bin:/bin")
    assert (done.stdout, done.stderr) == ("good\n", "")
    done = run(*hidden, PYTHON, "-c", "pass", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "python3" in run(*hidden, ROOT / "scripts/setup", "--list", "run", PATH=f"{tmp_path}:/usr/bin:/bin").stdout.split()


def tools_can_hide() -> bool:
    return bool(shutil.which("bwrap")) and run("bwrap", "--dev-bind", "/", "/", "true").returncode == 0


def test_what_set_up_brings_is_what_the_tests_run_with(tmp_path):
    """Its Python is not there yet when make reads the Makefile."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(PYTHON, scripts)
    brought = tmp_path / "brought"
    program(scripts / "setup", f"printf '#!/bin/sh\\necho brought \"$@\"\\n' >{brought}; chmod +x {brought}")
    (tmp_path / "xv6").mkdir()
    (tmp_path / "xv6/Makefile").write_text("all:\n")
    done = subprocess.run(["make", "test"], cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={"PATH": PATH, "SHRIMPY_PYTHON": str(brought)})
    assert done.returncode == 0, done.stderr
    assert re.search(r"^brought -c .*pytest.* tests$", done.stdout, re.M), done.stdout


def test_a_toolchain_counts_with_its_binutils_only(path_of, monkeypatch):
    elf, linux = ([prefix + tool for tool in ("gcc", "as", "ld", "objcopy")] for prefix in CROSS_PREFIXES[:2])
    others = ("make", "gcc", "python3")
    for names, prefix in (((*elf, *linux), CROSS_PREFIXES[0]), ((elf[0], *linux), CROSS_PREFIXES[1]),
                          ((*elf, linux[0]), CROSS_PREFIXES[0]), ((elf[0], linux[2]), None)):
        path = path_of(*names, *others)
        assert not GCC_PACKAGES & missing("run", PATH=path) if prefix else GCC_PACKAGES <= missing("run", PATH=path)
        told = run("make", "-s", "-C", ROOT / "xv6", "-pn", "clean", PATH=path).stdout
        assert re.search(r"^TOOLPREFIX := ?(.*)$", told, re.M)[1] == (prefix or "")
        monkeypatch.setenv("PATH", path)
        if prefix:
            assert tools.cross_prefix() == prefix
        else:
            with pytest.raises(Trouble, match="no RISC-V GCC"):
                tools.cross_prefix()


def test_a_package_that_two_tools_come_in_is_named_once(path_of):
    assert "util-linux" in missing("run", "matrix", PATH=path_of("make"))


def test_a_gdb_of_the_plain_name_counts_when_it_knows_risc_v(path_of, tmp_path):
    path = path_of("make", "gcc", "python3")
    assert "gdb-multiarch" in missing("debug", PATH=path)
    for known, is_missing in (("i386", True), ("riscv:rv64", False)):
        program(Path(path) / "gdb", f"echo 'The target architecture is set to \"{known}\".'")
        assert ("gdb-multiarch" in missing("debug", PATH=path)) == is_missing


def test_a_gdb_without_python_says_so():
    """It takes a file of Python for one of its own commands, as here, and the first of them is Python's."""
    said = run(tools.gdb(), "-nx", "-batch", "-ex", "set script-extension off", "-ex", f"source {ROOT}/gdb/load.py").stderr
    assert re.search("Error (while executing Python code|occurred in Python)", said) and "Undefined command" not in said     # of GDB 13; of GDB 16


@pytest.mark.parametrize("system, qemu, chromium", [
    ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=22.04", "qemu-system-misc", "chromium-browser"),
    ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=24.04", "qemu-system-misc", "chromium-browser"),
    ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=25.04", "qemu-system-riscv", "chromium-browser"),
    ("ID=debian\nVERSION_ID=12", "qemu-system-misc", "chromium"), ("ID=debian\nVERSION_ID=13", "qemu-system-riscv", "chromium")])
def test_packages_have_the_names_of_the_release(tmp_path, system, qemu, chromium):
    """Before apt has any lists, so that only the release says."""
    if not tools_can_hide():
        pytest.skip("bubblewrap cannot put a file in another's place here")
    program(tmp_path / "apt-cache", "exit 100")
    (tmp_path / "os-release").write_text(f"{system}\n")
    asked = f"here={ROOT}/scripts; . $here/probe.sh; system_family; for debian in qemu-system-misc chromium gdb-multiarch; do package_name debian; done"
    said = run("bwrap", "--dev-bind", "/", "/", "--ro-bind", tmp_path / "os-release", os.path.realpath("/etc/os-release"), "--",
               "sh", "-c", asked, PATH=f"{tmp_path}:{PATH}").stdout.split()
    assert said == ["debian", qemu, chromium, "gdb-multiarch"]


def test_all_prefer_the_same_toolchains():
    assert CROSS_PREFIXES[0] == "riscv64-unknown-elf-"
    for name in ("xv6/Makefile", "scripts/tools.tsv"):
        said = [line for line in (ROOT / name).read_text().replace("\\\n", " ").splitlines() if "riscv64-none-elf-" in line]
        assert [tuple(re.findall(r"(riscv64-[a-z-]+-)(?:[+; ]|$)", line)) for line in said][:1] == [CROSS_PREFIXES], name


def test_set_up_that_is_done_does_nothing_and_says_nothing():
    done = run(ROOT / "scripts/setup")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
