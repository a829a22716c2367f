"""What make vscode writes: done as VS Code does it, by a client of GDB's machine interface, on a real machine."""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import ROOT, Trouble, tools
from lab.editors import generated, vscode
from lab.kernels import building, tree
from lab.patience import Patience


def place(kernel: tree.Kernel, **how) -> vscode.Place:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    gdb = tools.gdb()
    return vscode.Place(**{"tree": ROOT, "sources": tree.OURS, "built": tree.ours(), "kernel": str(kernel.elf), "elf": kernel.elf,
                           "gdb": gdb, "version": vscode.gdb_version(gdb), "port": port, **how})


def written(folder: Path, one: vscode.Place) -> tuple[dict, dict]:
    """launch.json's first configuration, and the tasks by their labels, as they are read from the files."""
    generated.write(folder, vscode.files_of(one))
    launch, tasks = (json.loads((folder / name).read_text()) for name in ("launch.json", "tasks.json"))
    return launch["configurations"][0], {task["label"]: task for task in tasks["tasks"]}


class Mi:
    """A client of GDB/MI (GDB's manual, "The GDB/MI Interface")."""

    def __init__(self, configuration: dict) -> None:
        self.gdb = subprocess.Popen([configuration["miDebuggerPath"], "--interpreter=mi", *shlex.split(configuration["miDebuggerArgs"])],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        self._said = b""

    def until(self, pattern: str) -> str:
        """What GDB prints up to a line with the pattern."""
        patience, found = Patience(60, self.gdb.pid), []
        while True:
            line, newline, rest = self._said.partition(b"\n")
            if newline:
                self._said = rest
                found.append(line.decode())
                if re.search(pattern, found[-1]):
                    return "\n".join(found)
                continue
            assert not patience.is_over, f"no {pattern} in {found}"
            if select.select([self.gdb.stdout], [], [], patience.look_s)[0]:
                data = os.read(self.gdb.stdout.fileno(), 65536)
                assert data, f"GDB ended: {found}"
                self._said += data

    def tell(self, command: str) -> None:
        self.gdb.stdin.write(f"7{command}\n".encode())
        self.gdb.stdin.flush()

    def ask(self, command: str) -> str:
        self.tell(command)
        said = self.until(r"^7\^")
        assert not re.search(r"^7\^error", said, re.M), said
        return said

    def console(self, command: str) -> str:
        escaped = command.replace("\\", "\\\\").replace('"', '\\"')
        return "".join(json.loads(text) for text in re.findall(r'^~(".*")$', self.ask(f'-interpreter-exec console "{escaped}"'), re.M))

    def end(self) -> None:
        self.gdb.kill()
        self.gdb.wait()
        self.gdb.stdin.close()
        self.gdb.stdout.close()


@contextmanager
def task(one: dict, run: Path) -> Iterator[subprocess.Popen]:
    """A task in the background, from when its matcher says that it is ready."""
    process = subprocess.Popen([one["command"], *one["args"]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace", env={**os.environ, "SHRIMPY_RUN": str(run)})
    try:
        ends, = (matcher["background"]["endsPattern"] for matcher in one["problemMatcher"] if "background" in matcher)
        assert any(re.search(ends, line) for line in process.stdout), "it ended"
        yield process
    finally:
        process.terminate()
        process.communicate()


def qemu(run: Path) -> int:
    """The process id of the QEMU that a task has started."""
    note, = (json.loads(path.read_text()) for path in run.glob("*.json"))
    return int(Path(note["ram"]).with_name("qemu.pid").read_text())


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.limit(240)
def test_a_session_stops_in_fork_and_its_end_leaves_no_machine(kernel, tmp_path):
    configuration, tasks = written(tmp_path / ".vscode", place(kernel))
    with task(tasks[configuration["preLaunchTask"]], tmp_path / "run") as machine:
        pid = qemu(tmp_path / "run")
        mi = Mi(configuration)
        try:
            attach(mi, configuration)
            assert "pending" not in mi.ask(f'-break-insert -f "{tree.OURS}/kernel/proc.c:{line_in_fork()}"')
            mi.ask("-break-insert -f fork")
            mi.ask("-exec-continue")
            assert 'func="main"' in mi.until(r"^\*stopped")     # where cpptools goes on by itself
            mi.ask("-break-delete 1")
            in_fork(mi)
            assert re.search(r"^pass +fry-private", mi.console("shrimp-check"), re.M)
            assert "init" in mi.console("xv6-ps")
            mi.tell("kill")                                      # what cpptools sends at Stop; QEMU may end before it answers
            assert machine.wait() == 0
        finally:
            mi.end()
        assert not is_there(pid)


def line_in_fork() -> int:
    lines = (tree.OURS / "kernel/proc.c").read_text().splitlines()
    return next(n for n, text in enumerate(lines, 1) if "np = allocproc()" in text)


def attach(mi: Mi, configuration: dict) -> None:
    """What cpptools does with a configuration, up to the first stop."""
    mi.ask("-gdb-set mi-async on")
    for command in configuration["setupCommands"]:
        mi.console(command["text"])
    mi.ask(f"-environment-cd {configuration['cwd']}")
    mi.ask(f"-file-exec-and-symbols {configuration['program']}")
    assert "riscv:rv64" in mi.console("show architecture") and '"none"' in mi.console("show osabi")
    mi.ask("-break-insert main")
    mi.ask(f"-target-select remote {configuration['miDebuggerServerAddress']}")


def in_fork(mi: Mi) -> None:
    while 'func="fork"' not in (stop := (mi.ask("-exec-continue"), mi.until(r"^\*stopped"))[1]):
        assert 'reason="breakpoint-hit"' in stop
    mi.ask("-exec-next")
    assert 'func="fork"' in mi.until(r"^\*stopped")
    assert 'func="syscall"' in mi.ask("-stack-list-frames")
    assert 'name="' in mi.ask("-stack-list-variables --all-values")
    assert str(tree.OURS / "kernel/proc.c") in mi.ask("-stack-info-frame")
    mi.ask("-exec-continue --all")
    mi.ask("-exec-interrupt --all")
    mi.until(r"^\*stopped")


def run(one: dict, run: Path) -> int:
    """The status of a task that ends."""
    return subprocess.run([one["command"], *one["args"]], stdin=subprocess.DEVNULL, env={**os.environ, "SHRIMPY_RUN": str(run)}).returncode


def test_the_machine_ends_with_the_session_when_gdb_has_died(kernel, tmp_path):
    configuration, tasks = written(tmp_path / ".vscode", place(kernel))
    _, others = written(tmp_path / "other", place(kernel))
    with task(tasks[configuration["preLaunchTask"]], tmp_path / "run") as machine:
        pid = qemu(tmp_path / "run")
        mi = Mi(configuration)
        mi.ask(f"-target-select remote {configuration['miDebuggerServerAddress']}")
        mi.end()
        assert run(others[vscode.STOP], tmp_path / "run") == 0 and is_there(pid)
        for _ in ("it is there", "it has gone"):
            assert run(tasks[configuration["postDebugTask"]], tmp_path / "run") == 0
            assert not is_there(pid)
        machine.wait()


def test_a_machine_that_cannot_be_there_is_a_problem_of_the_severity_error(kernel, tmp_path):
    """Without one, VS Code would have GDB connect to what else listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        _, tasks = written(tmp_path / ".vscode", place(kernel, port=taken.getsockname()[1]))
        one = tasks[vscode.MACHINE]
        done = subprocess.run([one["command"], *one["args"]], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env={**os.environ, "SHRIMPY_RUN": str(tmp_path / "run")})
    [(matcher, found)] = problems(one, done.stderr)
    assert done.returncode == 1 and matcher["severity"] == "error"
    assert (Path(matcher["fileLocation"][1]) / found["file"]).is_file() and f"GDBPORT={one['args'][-1]}" in found["message"]


def problems(one: dict, said: str) -> list[tuple[dict, dict[str, str]]]:
    """What VS Code lists under Problems of what a task says: of each line by the first matcher that knows it."""
    found = []
    for line in said.splitlines():
        matches = ((matcher, re.search(matcher["pattern"]["regexp"], line)) for matcher in one["problemMatcher"])
        if one_match := next(((matcher, match) for matcher, match in matches if match), None):
            matcher, match = one_match
            found.append((matcher, {name: match[group] for name, group in matcher["pattern"].items() if isinstance(group, int)}))
    return found


# As GDB's own adapter is used

class Dap:
    """A client of the Debug Adapter Protocol ("Base protocol"), whose adapter is GDB as make vscode sets it up."""

    def __init__(self, adapter: Path) -> None:
        self.gdb = subprocess.Popen([adapter, "-i", "dap"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                    start_new_session=True)
        self._said = b""
        self._seen: list[dict] = []
        self._n = 0

    def send(self, command: str, **arguments: object) -> int:
        """Sends a request; its number."""
        self._n += 1
        content = json.dumps({"seq": self._n, "type": "request", "command": command, "arguments": arguments}).encode()
        self.gdb.stdin.write(b"Content-Length: %d\r\n\r\n" % len(content) + content)
        self.gdb.stdin.flush()
        return self._n

    def ask(self, command: str, **arguments: object) -> dict:
        return self.answer(self.send(command, **arguments))

    def answer(self, number: int) -> dict:
        """The body of what answers a request."""
        found = self._first(lambda one: one.get("request_seq") == number)
        assert found["success"], found
        return found.get("body") or {}

    def event(self, name: str) -> dict:
        return self._first(lambda one: one.get("event") == name).get("body") or {}

    def console(self, command: str) -> str:
        return self.ask("evaluate", expression=command, context="repl")["result"]

    def end(self) -> None:
        self.gdb.kill()
        self.gdb.communicate()

    def _first(self, wanted: Callable[[dict], bool]) -> dict:
        """Takes the first message that is wanted, of those that came and will come."""
        patience = Patience(60, self.gdb.pid)
        while (found := next((one for one in self._seen if wanted(one)), None)) is None:
            assert not patience.is_over, self._seen
            if select.select([self.gdb.stdout], [], [], patience.look_s)[0]:
                data = os.read(self.gdb.stdout.fileno(), 65536)
                assert data, f"GDB ended: {self._seen}"
                self._said += data
            while (head := re.match(rb"Content-Length: (\d+)\r\n\r\n", self._said)) and len(self._said) >= head.end() + int(head[1]):
                end = head.end() + int(head[1])
                self._seen.append(json.loads(self._said[head.end():end]))
                self._said = self._said[end:]
        self._seen.remove(found)
        return found


VS_CODES_OWN = {"name", "type", "request", "preLaunchTask", "postDebugTask"}


@pytest.mark.limit(240)
def test_gdbs_own_adapter_stops_in_fork_and_its_end_leaves_no_machine(kernel, tmp_path):
    one = place(kernel)
    if one.version < vscode.OLDEST_DAP:
        pytest.skip(f"GDB {one.version[0]}.{one.version[1]} is older than {vscode.OLDEST_DAP[0]}.{vscode.OLDEST_DAP[1]}")
    folder = tmp_path / ".vscode"
    _, tasks = written(folder, one)
    configuration = json.loads((folder / "launch.json").read_text())["configurations"][1]
    with task(tasks[configuration["preLaunchTask"]], tmp_path / "run") as machine:
        pid = qemu(tmp_path / "run")
        dap = Dap(folder / vscode.ADAPTER)
        try:
            begin(dap, configuration)
            in_fork_by_dap(dap)
            assert re.search(r"^pass +fry-private", dap.console("shrimp-check"), re.M)
            dap.ask("continue", threadId=1)
            dap.ask("pause", threadId=1)
            dap.event("stopped")
            dap.ask("disconnect")
            dap.gdb.wait()
        finally:
            dap.end()
        assert run(tasks[configuration["postDebugTask"]], tmp_path / "run") == 0
        machine.wait()
    assert not is_there(pid)


def begin(dap: Dap, configuration: dict) -> None:
    """What VS Code does with a configuration, up to the first stop."""
    assert configuration["request"] == "attach"
    dap.ask("initialize", clientID="vscode", adapterID=configuration["type"], linesStartAt1=True, columnsStartAt1=True, pathFormat="path")
    attached = dap.send("attach", **{name: value for name, value in configuration.items() if name not in VS_CODES_OWN})
    dap.event("initialized")
    set_there = dap.ask("setBreakpoints", source={"path": f"{tree.OURS}/kernel/proc.c"}, breakpoints=[{"line": line_in_fork()}])
    assert len(set_there["breakpoints"]) == 1
    dap.ask("setFunctionBreakpoints", breakpoints=[{"name": "fork"}])
    dap.ask("configurationDone")
    dap.answer(attached)
    dap.event("stopped")


def in_fork_by_dap(dap: Dap) -> None:
    dap.ask("continue", threadId=1)
    stopped = dap.event("stopped")
    assert "breakpoint" in stopped["reason"]
    hart = stopped["threadId"]
    top = dap.ask("stackTrace", threadId=hart)["stackFrames"]
    assert top[0]["name"] == "fork" and top[0]["source"]["path"] == f"{tree.OURS}/kernel/proc.c" and "syscall" in {one["name"] for one in top}
    dap.ask("next", threadId=hart)
    assert dap.event("stopped")["threadId"] == hart
    after = dap.ask("stackTrace", threadId=hart)["stackFrames"][0]
    assert after["name"] == "fork" and after["line"] != top[0]["line"]
    local = dap.ask("scopes", frameId=after["id"])["scopes"][0]
    assert {"p", "np"} <= {one["name"] for one in dap.ask("variables", variablesReference=local["variablesReference"])["variables"]}


# What is written

def test_gdbs_own_adapter_is_offered_where_gdb_has_it(kernel):
    new, old = (json.loads(vscode.files_of(place(kernel, version=version))["launch.json"])["configurations"]
                for version in ((16, 3), (13, 1)))
    assert [one["type"] for one in new] == ["cppdbg", "gdb-dap"] and [one["type"] for one in old] == ["cppdbg"]
    assert new[1]["request"] == "attach" and new[1]["target"] == new[0]["miDebuggerServerAddress"]


def test_a_session_begins_and_ends_with_the_machine(kernel):
    files = vscode.files_of(place(kernel, version=(16, 3)))
    tasks = json.loads(files["tasks.json"])
    labels = {one["label"]: one for one in tasks["tasks"]}
    for one in json.loads(files["launch.json"])["configurations"]:
        assert labels[one["preLaunchTask"]]["isBackground"] and one["postDebugTask"] in labels
    assert "${" not in files["launch.json"] + files["tasks.json"]     # nothing that VS Code must resolve, or ask for


# What cpptools knows in a cppdbg configuration whose request is launch ("CppdbgLaunchOptions" of its OptionsSchema.json, 2026).
CPPDBG = set("""program args targetArchitecture cwd setupCommands postRemoteConnectCommands customLaunchSetupCommands launchCompleteCommand
visualizerFile svdPath showDisplayString environment envFile additionalSOLibSearchPath MIMode miDebuggerPath miDebuggerArgs
miDebuggerServerAddress useExtendedRemote stopAtEntry debugServerPath debugServerArgs serverStarted filterStdout filterStderr
serverLaunchTimeout coreDumpPath externalConsole avoidWindowsConsoleRedirection sourceFileMap logging pipeTransport symbolLoadInfo
stopAtConnect hardwareBreakpoints unknownBreakpointHandling debuginfod variables deploySteps""".split())


def test_each_attribute_is_one_that_the_extension_knows(kernel):
    configuration = json.loads(vscode.files_of(place(kernel))["launch.json"])["configurations"][0]
    assert set(configuration) - VS_CODES_OWN - CPPDBG == set() and "targetArchitecture" not in configuration
    assert {name for one in configuration["setupCommands"] for name in one} <= {"text", "description", "ignoreFailures"}


def test_sources_of_a_copy_are_those_of_the_tree(kernel, tmp_path):
    text = vscode.files_of(place(kernel, built=tmp_path / "copy", sources=tmp_path / "my tree"))["launch.json"]
    assert f'set substitute-path "{tmp_path}/copy" "{tmp_path}/my tree"' in [
        one["text"] for one in json.loads(text)["configurations"][0]["setupCommands"]]


def test_the_line_that_check_names_is_a_problem_that_does_not_keep_f5_from_starting(kernel):
    tasks = json.loads(vscode.files_of(place(kernel))["tasks.json"])["tasks"]
    check, = (one for one in tasks if one["label"] == vscode.CHECK)
    line = next(line for line in (ROOT / "README.md").read_text().splitlines() if " written " in line)
    [(matcher, found)] = problems(check, line.removeprefix("    "))
    assert found["file"] == "kernel/proc.c" and found["line"].isdigit() and matcher["severity"] != "error"


def test_where_a_kernel_does_not_build_is_a_problem_whichever_task_says_it(kernel):
    told = building.not_built("my labs", "\n".join([
        "kernel/vm.c: In function 'walk':", "kernel/vm.c:12:7: error: unused variable 'a' [-Werror]",
        *"abcdefghij", "kernel/vm.c:3:10: fatal error: no.h: No such file or directory",
        "riscv64-ld: kernel/vm.o: in function `walk':", f"{tree.ours()}/kernel/vm.c:9: undefined reference to `missing'",
        "make: *** [Makefile:47] Error 1"]))
    for one in json.loads(vscode.files_of(place(kernel))["tasks.json"])["tasks"]:
        if one["label"] != vscode.STOP:
            said = problems(one, f"{Path(one['command']).name}: {told}")
            assert [(found["file"], found["line"], found["severity"]) for _, found in said] == [
                ("kernel/vm.c", "12", "error"), ("kernel/vm.c", "3", "error"), ("kernel/vm.c", "9", None)]


def test_a_file_that_somebody_changed_is_left(tmp_path):
    folder = tmp_path / ".vscode"
    assert generated.write(folder, {"a.json": "1\n", "b.json": "1\n"}) == [folder / "a.json", folder / "b.json"]
    assert generated.write(folder, {"a.json": "1\n", "b.json": "2\n"}) == [folder / "b.json"]
    (folder / "b.json").write_text("mine\n")
    with pytest.raises(Trouble, match="b.json is not as make vscode left it"):
        generated.write(folder, {"a.json": "2\n", "b.json": "2\n"})
    assert [(folder / name).read_text() for name in ("a.json", "b.json")] == ["1\n", "mine\n"]
    (folder / "b.json").unlink()
    assert generated.write(folder, {"a.json": "1\n", "b.json": "3\n"}) == [folder / "b.json"]


def test_a_file_that_was_there_is_left(tmp_path):
    (tmp_path / "a.json").write_text("mine\n")
    with pytest.raises(Trouble, match="a.json"):
        generated.write(tmp_path, {"a.json": "1\n"})
    with pytest.raises(Trouble, match="b.json"):
        (tmp_path / "b.json").symlink_to("/etc/passwd")
        generated.write(tmp_path, {"b.json": "1\n"})
    assert (tmp_path / "a.json").read_text() == "mine\n"


def test_the_container_runs_what_is_there():
    told = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert [words.split()[0] for words in told["postCreateCommand"].split(" && ")] == ["scripts/setup", "make"]
    assert told["customizations"]["vscode"]["extensions"] == ["ms-vscode.cpptools"]
