"""make matrix: what it says when it cannot, its table and status, and that nothing of it stays."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab import ROOT, Trouble, cli
from lab.upkeep import roots


@pytest.fixture
def matrix():
    """scripts/matrix as a module."""
    loader = importlib.machinery.SourceFileLoader("matrix", str(ROOT / "scripts/matrix"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("matrix", loader))
    loader.exec_module(module)
    return module


class Fake:
    """A root whose commands end as `statuses` says, by the last word of the command."""

    foreign = True

    def __init__(self, **statuses: int) -> None:
        self.statuses: dict[str, int] = statuses
        self.ran: list[str] = []

    def __call__(self, suite: str, log: Path) -> Fake:
        return self

    @contextlib.contextmanager
    def copy(self, foreign: bool):
        yield self

    def run(self, command, said) -> int:
        self.ran.append(command[-1].rpartition("/")[2])
        return self.statuses.get(self.ran[-1], 0)

    def versions(self) -> tuple[str, ...]:
        return "7.2", "13.1", "12.2", "3.11"


@pytest.mark.parametrize("arguments, statuses, status, results", [
    ([], {}, 0, ["ok"] * 16),
    (["--root", "trixie", "--step", "check,setup"], {}, 0, ["ok", "ok"]),
    (["--root", "trixie", "--step", "autograder"], {"test_container.py": 1}, 1, ["ok", "status"]),
    (["--root", "bookworm"], {"check": 1}, 1, ["ok", "ok", "status", *["ok"] * 5]),
    (["--root", "bookworm"], {"setup": 1}, 1, ["status", *["not"] * 7]),
])
def test_each_step_of_each_root_is_a_line_and_the_status_is_0_if_all_are_well(
        matrix, monkeypatch, capsys, tmp_path, arguments, statuses, status, results):
    monkeypatch.setattr(matrix, "LOGS", tmp_path)
    monkeypatch.setattr(roots, "Base", Fake(**statuses))
    monkeypatch.setattr(roots, "check_possible", lambda: None)
    monkeypatch.setattr(sys, "argv", ["matrix", *arguments])
    assert matrix.main() == status
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[7] for row in rows] == results
    assert rows[0][1:5] == ["7.2", "13.1", "12.2", "3.11+"] and rows[0][5] == "setup"


@pytest.mark.parametrize("words", [["--root", "sid"], ["--step", "setup,tset"]])
def test_a_word_that_is_none_is_one_line(words):
    done = subprocess.run([ROOT / "scripts/matrix", *words], capture_output=True, text=True, timeout=600)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert repr(words[1].split(",")[-1]) in done.stderr


def test_a_word_that_is_none_is_refused_before_anything_is_installed(tmp_path):
    """make matrix with a set-up that only notes what it was asked for."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("matrix", "python", "lab"):
        (tmp_path / "scripts" / name).symlink_to(ROOT / "scripts" / name)
    (tmp_path / "scripts/setup").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n')
    (tmp_path / "scripts/setup").chmod(0o755)
    done = subprocess.run(["make", "matrix", "STEP=tset"], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode and "'tset'" in done.stderr
    assert (tmp_path / "asked").read_text().splitlines() == ["run"]


def test_a_dry_run_says_what_would_be_run():
    done = subprocess.run([ROOT / "scripts/matrix", "--root", "trixie", "--step", "check", "--dry-run"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "trixie: setup, check\n")


def test_what_is_missing_is_one_line_and_the_way_to_get_it(monkeypatch):
    monkeypatch.setattr(roots, "_which", lambda name: None if name == "debootstrap" else "/usr/bin/" + name)
    with pytest.raises(Trouble, match="^expected debootstrap here, found none; try: scripts/setup matrix$"):
        roots.check_possible()


def test_set_up_names_it_when_asked_only(tmp_path):
    def missing(*words: str) -> str:
        done = subprocess.run([shutil.which("sh") or "sh", ROOT / "scripts/setup", "--list", *words], capture_output=True, text=True,
                              env={**os.environ, "PATH": str(tmp_path)}, timeout=600)
        return done.stdout
    for name in ("dirname", "uname", "cat", "grep", "tr", "sort", "head", "sed", "env", "id", "readlink"):
        (tmp_path / name).symlink_to(shutil.which(name))
    assert "uidmap" in missing("matrix") and "uidmap" not in missing()


def test_where_packages_come_from_is_what_apt_says(monkeypatch):
    said = {"apt-get": ["Debian Debian-Security http://one/security/", "Debian Debian http://one/debian/"],
            "apt-config": ['Acquire::Check-Date "false";', 'Acquire::http::Proxy-Auto-Detect "/bin/x";', 'Dir "/";',
                           'Acquire::https::CAInfo "/ca";']}
    monkeypatch.setattr(roots, "_apt", lambda *command: said[command[0]] if command[1] != "shell" else
                        ["found='http://proxy:1/'"] if "::http::" in command[3] else [])
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert roots._mirror() == ["http://one/debian/"]
    assert roots._proxies() == {"http_proxy": "http://proxy:1/"}
    assert roots._apt_configuration().splitlines() == [
        'Acquire::http::Proxy "http://proxy:1/";', 'Acquire::Check-Date "false";', 'Acquire::https::CAInfo "/ca";']
    monkeypatch.setattr(roots, "_apt", lambda *command: [])
    assert (roots._mirror(), roots._proxies(), roots._apt_configuration()) == ([], {}, "")


@pytest.fixture
def possible():
    """Where roots cannot be had, nothing of them can be tried."""
    alone = subprocess.run(roots._alone("true"), stdin=subprocess.DEVNULL, capture_output=True) if roots._which("setpriv") else None
    if alone is None or alone.returncode:
        pytest.skip("no namespaces here")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_it_ends_no_process_and_no_mount_stays(possible, number, tmp_path):
    ours = (f"import sys; sys.path[:0] = [{str(ROOT / 'scripts')!r}]\n"
            "from lab import cli\nfrom lab.upkeep import roots\n"
            "cli.run(lambda: roots.run(roots._alone('sh', '-c', "
            f"'mount -t tmpfs none {tmp_path}; (setsid sh -c \"echo ready; exec sleep 1000\") & wait'), sys.stdout.buffer))")
    read_end, write_end = os.pipe()
    with subprocess.Popen([sys.executable, "-c", ours], stdout=write_end, stdin=subprocess.DEVNULL) as process:
        os.close(write_end)
        with open(read_end, "rb") as said:
            assert said.readline() == b"ready\n"
            process.send_signal(number)
            # Until nobody who has it open lives; the test's own limit bounds the wait.
            said.read()
        assert process.wait() == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


def test_the_status_of_what_ran_is_told(possible, tmp_path):
    with (tmp_path / "log").open("wb") as log:
        assert roots.run(roots._alone("sh", "-c", "echo said; exit 3"), log) == 3
    assert (tmp_path / "log").read_text() == "said\n"


def test_a_refusal_is_trouble_and_not_a_failure(matrix, monkeypatch, capsys):
    def refuse() -> None:
        raise Trouble("no namespaces")
    monkeypatch.setattr(roots, "check_possible", refuse)
    monkeypatch.setattr(sys, "argv", ["matrix"])
    with pytest.raises(SystemExit) as ended:
        cli.run(matrix.main, trouble_status=2)
    assert ended.value.code == 2 and capsys.readouterr().err == "matrix: no namespaces\n"
