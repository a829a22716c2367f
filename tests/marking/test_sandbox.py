"""What a stranger's build can do to this machine: nothing."""

from __future__ import annotations

import os
import select
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import ROOT, Trouble
from lab.walls import cgroups, sandbox
from lab.walls.sandbox import Done, Limits


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The copy that a build may write; beside it somebody else's."""
    (tmp_path / "neighbour").mkdir()
    (tmp_path / "neighbour/proc.c").write_text("their solution\n")
    (tmp_path / "copy").mkdir()
    return tmp_path / "copy"


@pytest.fixture
def run(folder: Path) -> Callable[..., Done]:
    """run(script, ...): a shell's script in the sandbox."""
    def start(script: str, **limits: Any) -> Done:
        return sandbox.run(["sh", "-c", script], folder, limits=Limits(seconds=limits.pop("seconds", 20.0), **limits))
    return start


@pytest.fixture
def listener():
    """A server of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


# As it is: should it be possible, nothing changes.
SYSCTL = "cat /proc/sys/kernel/panic >/tmp/value && cat /tmp/value >/proc/sys/kernel/panic"
REACHES = {
    "another submission": "cat ../neighbour/proc.c",
    "a file of the system": "cat /etc/passwd",
    "a place beside the copy": "touch ../neighbour/mine && echo written",
    "the environment": "env | grep SECRET",
    "other processes": "kill -0 $PARENT && echo seen",
    "this machine's servers": "perl -e 'use Socket; socket(S, PF_INET, SOCK_STREAM, 0); "
                              "connect(S, sockaddr_in($ENV{PORT}, INADDR_LOOPBACK)) and print \"reached\"'",
}


def reach(folder: Path, script: str, port: int) -> Done:
    script = script.replace("$PARENT", str(os.getpid())).replace("$ENV{PORT}", str(port))
    return sandbox.run(["sh", "-c", script], folder, limits=Limits(seconds=20))


@pytest.mark.parametrize("what", REACHES)
def test_out_of_reach(folder, listener, monkeypatch, what):
    monkeypatch.setenv("SECRET", "SECRET")
    done = reach(folder, REACHES[what], listener)
    assert done.status != 0 or not done.output, done
    assert not (folder.parent / "neighbour/mine").exists()


@pytest.mark.parametrize("what", [one for one in REACHES if one != "the environment"])  # which is cleared all the same
def test_within_reach_without_the_sandbox(folder, listener, unsandboxed, what):
    done = reach(folder, REACHES[what], listener)
    assert done.status == 0, done


def test_only_the_copy_is_written_and_it_is_a_workplace(run, folder):
    done = run("for place in / /usr /etc /dev /proc/sys/kernel; do touch $place/mine && echo $place; done 2>/dev/null;"
               f"({SYSCTL}) 2>/dev/null && echo sysctl;"
               "echo 'int main(void) { return 0; }' >/tmp/a.c && cc -o a.out /tmp/a.c && ./a.out && touch made && echo works")
    assert done == Done(0, "works\n")
    status = (folder / "made").stat()
    assert status.st_uid == os.getuid()


def test_a_folder_that_is_only_read_is_not_written(folder):
    (folder / "there").touch()
    done = sandbox.run(["sh", "-c", "touch mine || ls"], folder, writable=False)
    assert "there" in done.output and not (folder / "mine").exists()
    done = sandbox.run(["sh", "-c", SYSCTL], folder, writable=False)
    assert done.status


@pytest.mark.parametrize("script,limits,said", [
    ("yes", {"output": 100_000}, "printed more than 97 KiB"),
    ("sleep 60", {"seconds": 1.0}, "took more than 1 s"),
    ("exec >/dev/null 2>&1; sleep 60", {"seconds": 1.0}, "took more than 1 s"),
    ("while :; do head -c 10000000 /dev/zero >file$((n += 1)); done", {"disk": 50 << 20}, "wrote more than 50 MiB"),
    ("while :; do : >file$((n += 1)); done", {"files": 500}, "made more than 500 files"),
    ("perl -e 'fork; fork; $x = \"a\" x 50_000_000; sleep 60'", {"memory": 120 << 20}, "used more than 120 MiB of memory"),
])
def test_limits(run, script, limits, said):
    done = run(script, **limits)
    assert done.overrun == said
    assert len(done.output) <= limits.get("output", 1 << 20)


def test_a_fork_bomb_is_bounded_and_nothing_of_it_is_left(run, folder):
    (folder / "bomb").write_text("#!/bin/sh\n./bomb & ./bomb & wait\nsleep 60\n")
    (folder / "bomb").chmod(0o755)
    start = time.monotonic()
    done = run("./bomb", seconds=300.0, processes=40)
    assert done.overrun == "ran more than 40 processes at a time"
    assert time.monotonic() - start < 100  # of a limit that is thrice as long
    assert not processes_in(folder)


@pytest.mark.parametrize("writable", [True, False])
def test_nobody_in_the_sandbox_makes_a_namespace_in_which_it_is_root(folder, writable):
    done = sandbox.run(["sh", "-c", "unshare -Ur id; unshare -U id; unshare -m id"], folder, writable=writable)
    assert "uid=" not in done.output and done.output.count("unshare failed") == 3, done


def test_without_the_filter_one_can(folder, monkeypatch):
    """What the filter protects from is there without it, unless this system allows it to nobody."""
    if subprocess.run(["unshare", "-U", "true"], user=1234, group=1234, extra_groups=[], cwd="/", capture_output=True).returncode:
        pytest.skip("this system lets nobody make user namespaces")
    monkeypatch.setattr(sandbox.seccomp, "program", lambda: b"")
    assert "uid=" in sandbox.run(["unshare", "-U", "id"], folder).output


def test_a_busy_host_s_time_is_counted_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "share", lambda: 0.01)
    assert sandbox.run(["sleep", "1"], tmp_path, limits=Limits(seconds=0.5), trusted=True).overrun is None


def test_what_a_build_leaves_in_the_background_ends_with_it(run, folder):
    done = run("sleep 60 >/dev/null 2>&1 & echo done")
    assert done == Done(0, "done\n")
    assert not processes_in(folder)


def processes_in(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if os.readlink(process).startswith(str(folder)):
                found.append((process.parent / "cmdline").read_text())
        except OSError:
            pass
    return found


def test_what_is_broken_off_while_it_starts_has_ended(folder, monkeypatch):
    started = []

    class Starting(subprocess.Popen):
        def __init__(self, *args: Any, **how: Any) -> None:
            super().__init__(*args, **how)
            started.append(self)

    inside = []
    pidfd_open = os.pidfd_open

    def broken_off(pid: int) -> Any:
        inside.append(pidfd_open(pid))
        raise KeyboardInterrupt
    monkeypatch.setattr(subprocess, "Popen", Starting)
    with monkeypatch.context() as context:
        context.setattr(os, "pidfd_open", broken_off)
        with pytest.raises(KeyboardInterrupt):
            sandbox.start(["sleep", "1000"], folder, memory=1 << 30)
    assert started and started[-1].returncode is not None
    [first] = inside
    assert select.select([first], [], [], 60.0)[0], "the first process of the sandbox outlives it"
    os.close(first)


def test_what_would_be_dangerous_to_open_is_gone_afterwards(run, folder):
    run("ln -s /etc/passwd out; ln -s ../neighbour up; echo a >file; ln -s file inside; mkfifo fifo; chmod 6755 file")
    assert sorted(path.name for path in folder.iterdir()) == ["file", "inside"]
    assert not (folder / "file").stat().st_mode & (stat.S_ISUID | stat.S_ISGID)


def test_as_a_user_who_is_not_root(tmp_path):
    """The walls are others then: a namespace of users."""
    if os.getuid():
        pytest.skip("every test here is run so")
    probe = subprocess.run(["bwrap", "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc", "true"],
                           user=1234, group=1234, extra_groups=[], capture_output=True, text=True, cwd="/")
    if probe.returncode:
        pytest.skip(f"here only root can: {probe.stderr.strip()}")     # as in a container whose /proc has parts that are masked
    place = tmp_path / "copy"
    place.mkdir()
    for folder in (place, *(one for one in place.parents if one.stat().st_uid == 0 and one != Path("/"))):
        folder.chmod(folder.stat().st_mode | 0o055)
    os.chown(place, 1234, 1234)
    program = ("import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from lab.walls import sandbox;"
               "print(sandbox.run(['sh', '-c', 'id -u; touch a; cat /etc/passwd; unshare -Ur true || echo fenced;"
               "b() { b | b & }; b; sleep 9'], Path(sys.argv[2]), limits=sandbox.Limits(seconds=3, processes=30)))")
    for part in ("scripts", "gdb"):         # this checkout may be where nobody else can look
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(["/usr/bin/python3", "-B", "-c", program, str(tmp_path / "scripts"), str(place)],
                          user=1234, group=1234, extra_groups=[], capture_output=True, text=True, cwd="/")
    assert done.stdout.startswith("Done(status=") and "1234" in done.stdout, done.stderr
    assert "fenced" in done.stdout and "root:" not in done.stdout
    # It is refused another process, or ended by whoever counts them.
    assert "Cannot fork" in done.stdout or "processes at a time" in done.stdout
    assert (place / "a").exists()


def test_without_bubblewrap_a_stranger_s_tree_is_refused_in_one_line(folder, monkeypatch, tmp_path):
    for name in ("sh", "env"):
        (tmp_path / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox.hindrance.cache_clear()
    try:
        with pytest.raises(Trouble, match=r"^copy .*: bubblewrap is not installed.*SANDBOX=none"):
            sandbox.run(["sh", "-c", "touch mine"], folder)
        assert not (folder / "mine").exists()
        monkeypatch.setenv("SHRIMPY_SANDBOX", "none")
        assert sandbox.run(["sh", "-c", ": >mine"], folder).status == 0
    finally:
        sandbox.hindrance.cache_clear()


def test_a_bubblewrap_that_cannot_work_here_is_told_from_one_that_is_not_there(folder, monkeypatch, tmp_path):
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    sandbox.hindrance.cache_clear()
    try:
        with pytest.raises(Trouble, match="does not work here: bwrap: No permissions to create new namespace; in a container"):
            sandbox.run(["true"], folder)
        restricted = tmp_path / "apparmor"
        restricted.write_text("1\n")
        monkeypatch.setattr(sandbox, "_APPARMOR", restricted)
        for is_root, told in ((False, "docs/install-ubuntu.md"), (True, "in a container")):
            sandbox.hindrance.cache_clear()
            monkeypatch.setattr(sandbox, "_is_root", lambda is_root=is_root: is_root)
            assert told in (sandbox.hindrance() or "")
    finally:
        sandbox.hindrance.cache_clear()


def test_another_word_for_the_sandbox_is_refused(folder, monkeypatch):
    monkeypatch.setenv("SHRIMPY_SANDBOX", "off")
    with pytest.raises(Trouble, match="SANDBOX=off: expected none"):
        sandbox.run(["true"], folder)


def test_what_is_first_on_path_here_need_not_be_there(tmp_path, monkeypatch):
    """A PATH of folders that the sandbox does not have, as of a home."""
    (tmp_path / "bwrap").symlink_to(shutil.which("bwrap") or pytest.skip("no bubblewrap"))
    before = sandbox.hindrance()
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox.hindrance.cache_clear()
    try:
        assert sandbox.hindrance() == before
    finally:
        sandbox.hindrance.cache_clear()


# Control groups: what is written where, on a made-up /sys/fs/cgroup

@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The group that ours is in, which gives its members limits."""
    parent = tmp_path / "user.slice"
    (parent / "ours.scope").mkdir(parents=True)
    (parent / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (parent / "cgroup.procs").write_text("")
    (tmp_path / "own").write_text("4:memory:/other\n0::/user.slice/ours.scope\n")
    monkeypatch.setattr(cgroups, "_ROOT", tmp_path)
    monkeypatch.setattr(cgroups, "_OWN", tmp_path / "own")
    return parent


def test_a_command_is_in_a_group_with_limits_where_one_can_be_made(groups, folder, monkeypatch):
    monkeypatch.setattr(cgroups.Group, "end", lambda self: None)
    assert sandbox.run(["echo", "ran"], folder, limits=Limits(memory=64 << 20, processes=7)).output == "ran\n"
    group, = groups.glob("shrimpy-*")
    told = {path.name: path.read_text().strip() for path in group.iterdir()}
    assert told == {"memory.max": str(64 << 20), "pids.max": "7", "memory.oom.group": "1", "memory.swap.max": "0", "cgroup.procs": "0"}


@pytest.mark.parametrize("name,text,said", [
    ("memory.events", "low 0\nmax 9\noom 1\noom_kill 1\n", "used more than 64 MiB of memory"),
    ("pids.events", "max 1\n", "ran more than 7 processes at a time"), ("pids.events", "max 0\n", None), ("pids.events", "?", None),
])
def test_what_a_group_was_too_small_for_is_told(groups, name, text, said):
    group = cgroups.make(64 << 20, 7)
    (group._place / name).write_text(text)
    assert group.overrun == said


@pytest.mark.parametrize("spoil", [
    lambda parent: (parent / "cgroup.subtree_control").write_text("cpu\n"), lambda parent: (parent / "cgroup.subtree_control").unlink(),
    lambda parent: (parent / "cgroup.procs").unlink(), lambda parent: (parent.parent / "own").write_text("4:memory:/\n"),
])
def test_where_no_group_can_be_made_there_is_none(groups, spoil):
    spoil(groups)
    assert cgroups.make(1, 1) is None and not list(groups.glob("shrimpy-*"))
