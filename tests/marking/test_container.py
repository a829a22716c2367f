"""What services run, as they run it: an autograder's zip in a bare Debian, by a root who may do what Docker allows; GitHub's
workflow; Classroom 50's script. `make matrix STEP=autograder` runs this, in a root that has a bare Debian beside it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from lab import ROOT
from lab.upkeep import roots
from lab.walls import seccomp

import trees

pytestmark = [pytest.mark.soak, pytest.mark.limit(1800),
              pytest.mark.skipif(not roots.BARE.is_dir(), reason=f"no bare Debian at {roots.BARE}: make matrix STEP=autograder has one")]

POINTS = "shrimp-pair 3\nfry-private 2\nexec-keeps 1\nruns 1\n"
ONLY = "family,exec"
# Docker's defaults ("Runtime privilege and Linux capabilities"); its filter denies new namespaces, as ours does.
_RIGHTS = ("chown", "dac_override", "fowner", "fsetid", "kill", "mknod", "net_bind_service", "net_raw", "setfcap", "setgid", "setpcap",
           "setuid", "sys_chroot", "audit_write")
_ENVIRONMENT = {"HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


_AND_WHAT_RUNS = """
/autograder/run_autograder
status=$?
left=600
while running=$(grep -hE '^(qemu|gdb|make|python)' /proc/[0-9]*/comm) && [ $left -gt 0 ]; do sleep 0.1; left=$((left - 1)); done
echo status $status $running
"""


class Container:
    """A bare Debian with the service's folders. A command in it has processes of its own, which end with it."""

    def __init__(self, folder: Path) -> None:
        subprocess.run(["cp", "-a", roots.BARE, folder], check=True)
        self.folder, self.place = folder, folder / "autograder"
        self.place.mkdir()

    def run(self, *command: str, privileged: bool = False, at: str = "/autograder") -> subprocess.CompletedProcess[str]:
        """privileged: as docker run --privileged; at: the folder in it."""
        rights = ["ALL"] if privileged else [f"CAP_{name.upper()}" for name in _RIGHTS]
        with open(os.memfd_create("filter"), "w+b") as told:
            told.write(seccomp.program())
            told.seek(0)
            walls = ["bwrap", "--bind", str(self.folder), "/", "--dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys",
                     "--bind", "/var/cache/apt/archives", "/var/cache/apt/archives", "--unshare-pid", "--die-with-parent",
                     *(word for name in ("/etc/resolv.conf", "/etc/hosts") for word in ("--ro-bind", name, name)),
                     *(["--seccomp", str(told.fileno())] if not privileged else []), "--cap-drop", "ALL",
                     *(word for name in rights for word in ("--cap-add", name)), "--clearenv",
                     *(word for pair in _ENVIRONMENT.items() for word in ("--setenv", *pair)), "--chdir", at]
            return subprocess.run([*walls, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, errors="replace", pass_fds=[told.fileno()])

    def hand_in(self, title: str, submit: Callable[[Path], object]) -> None:
        """A new submission, and no results."""
        for name in ("submission", "results"):
            shutil.rmtree(self.place / name, ignore_errors=True)
            (self.place / name).mkdir()
        (self.place / "submission_metadata.json").write_text(json.dumps({"assignment": {"title": title, "id": 1}, "users": []}))
        submit(self.place / "submission")

    def marked(self, privileged: bool = False) -> dict:
        """results.json of a run that leaves none of our programs running; those that were killed may still be ending."""
        done = self.run("sh", "-c", _AND_WHAT_RUNS, privileged=privileged)
        told = done.stdout.rpartition("status ")[2].split()
        assert told == ["0"], done.stdout
        return valid(json.loads((self.place / "results/results.json").read_text(), parse_constant=pytest.fail))


def valid(told: dict) -> dict:
    """It, if the service takes it ("Output format")."""
    assert isinstance(told["score"], (int, float)) and told["score"] >= 0
    assert isinstance(told["output"], str) and told["output_format"] == "html" and told["visibility"] == "visible"
    for one in told["tests"]:
        assert isinstance(one["name"], str) and isinstance(one["output"], str) and one["status"] in ("passed", "failed")
        assert 0 <= one["score"] <= one["max_score"]
    assert not told["tests"] or told["score"] == sum(one["score"] for one in told["tests"])
    return told


def marks(told: dict) -> tuple:
    """What a student is given."""
    return told["score"], told["extra_data"]["status"], [(one["name"], one["score"], one["max_score"], one["status"]) for one in told["tests"]]


@pytest.fixture(scope="module")
def starter(tmp_path_factory) -> Path:
    return trees.imitate(tmp_path_factory.mktemp("course") / "starter", makefile=trees.LISTED, patches=["zoo/two-frames.patch"])


@pytest.fixture(scope="module")
def course(starter) -> Path:
    """The course's folder: course.ini with two assignments, and autograder.zip."""
    folder = starter.parent
    (folder / "points").write_text(POINTS)
    (folder / "course.ini").write_text(f"[DEFAULT]\nstarter = starter\nprofile = handout\npoints = points\n[Lab 1]\nonly = {ONLY}\n"
                                       "[All of it]\nlay = .\nonly = family\n")
    subprocess.run(["make", "-C", str(ROOT), "autograder", f"COURSE={folder / 'course.ini'}", f"OUT={folder / 'autograder.zip'}"], check=True)
    return folder


@pytest.fixture(scope="module")
def container(course, tmp_path_factory) -> Container:
    """Where the service has unpacked the zip, run setup.sh, and put run_autograder in its place."""
    made = Container(tmp_path_factory.mktemp("container") / "root")
    with zipfile.ZipFile(course / "autograder.zip") as packed:
        packed.extractall(made.place / "source")    # without the rights of files, as some unpack
    done = made.run("sh", "source/setup.sh")
    assert done.returncode == 0, done.stdout
    shutil.copy(made.place / "source/run_autograder", made.place)
    (made.place / "run_autograder").chmod(0o755)
    return made


class HandIn(NamedTuple):
    """submit writes it; status is what comes of it; title: of the assignment; honest: which hand-in has the same marks."""

    submit: Callable[[Path], object]
    status: str
    title: str = "Lab 1"
    honest: str = ""


def kernel_with(*patches: str) -> Callable[[Path], object]:
    def submit(folder: Path) -> None:
        tree = trees.imitate(folder / "tree", makefile=trees.LISTED, patches=patches)
        for name in ("kernel", "user"):
            (tree / name).rename(folder / name)
        shutil.rmtree(tree)
    return submit


def whole_with(makefile: str) -> Callable[[Path], object]:
    def submit(folder: Path) -> None:
        tree = trees.imitate(folder / "tree", makefile=trees.LISTED)
        (tree / "Makefile").write_text(makefile + (tree / "Makefile").read_text())
    return submit


def strange_names(folder: Path) -> None:
    kernel_with()(folder)
    for name in (b"\xff\xfe.c", b"a\nb.h", b"\x1b[31m", "ü".encode()):
        (folder / "kernel" / os.fsdecode(name)).write_text("")
        (folder / os.fsdecode(name)).write_text("")


def huge(folder: Path) -> None:
    (folder / "kernel").mkdir()
    with (folder / "kernel/proc.c").open("wb") as file:
        file.truncate(1 << 40)


def binary(folder: Path) -> None:
    (folder / "kernel").mkdir()
    (folder / "kernel/proc.c").write_bytes(bytes(range(256)) * 64)


_FORGED = r"""
X := $(shell (echo '{"score": 1000, "tests": []}' >/autograder/results/results.json; rm -rf /autograder/submission /autograder/source; \
 echo runs 1000 >>/autograder/source/assignments/2/points; mv /autograder/results /autograder/r; touch /autograder/owned; \
 ln -s /etc/shadow kernel/shadow.h; setsid sleep 100000 &) >/dev/null 2>&1)
"""
_KILLS = "X := $(shell perl -e 'kill 9, -1')\n"
_MISTAKES = {"panics": "zoo/not-unmapped.patch", "wrong": "zoo/two-frames.patch"}
HAND_INS = {
    "empty": HandIn(lambda folder: None, "not checked"),
    "report": HandIn(lambda folder: (folder / "report.pdf").write_bytes(b"%PDF\0\xff"), "not checked"),
    "huge": HandIn(huge, "not checked"),
    "no-such-lab": HandIn(kernel_with(), "not checked", "Lab 9"),
    "binary": HandIn(binary, "does not build"),
    "good": HandIn(kernel_with(), "pass"),
    "strange": HandIn(strange_names, "pass", honest="good"),
    "wrong": HandIn(kernel_with(_MISTAKES["wrong"]), "fail"),
    "panics": HandIn(kernel_with(_MISTAKES["panics"]), "panics"),
    "whole": HandIn(whole_with(""), "pass", "All of it"),
    "forged": HandIn(whole_with(_FORGED), "pass", "All of it", honest="whole"),
}


def contents(folder: Path) -> str:
    """A digest of all that is in a folder, but for what Python compiles."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            with path.open("rb") as file:
                whole.update(os.fsencode(path) + b"\0" + file.read(1 << 20))   # of what is huge, its beginning
    return whole.hexdigest()


@pytest.fixture(scope="module")
def given(container) -> dict[str, tuple]:
    """The marks of hand-ins, when they have been marked."""
    return {}


@pytest.mark.parametrize("name", HAND_INS)
def test_a_hand_in_has_its_marks_and_the_same_again(container, given, name):
    one = HAND_INS[name]
    container.hand_in(one.title, one.submit)
    before = contents(container.place / "source"), contents(container.place / "submission")
    told = container.marked()
    given[name] = marks(told)
    assert told["extra_data"]["status"] == one.status, told["output"]
    assert ("as another user" in told["output"]) == bool(told["tests"])
    assert (contents(container.place / "source"), contents(container.place / "submission")) == before
    assert not (container.place / "owned").exists() and container.place.joinpath("results").is_dir()
    assert marks(container.marked()) == given[name]
    if one.honest:
        assert given[name] == given[one.honest]


@pytest.mark.parametrize("name", ["good", "wrong", "panics"])
def test_marks_are_those_of_make_check(course, container, given, tmp_path, name):
    shutil.copytree(course / "starter", tmp_path / "tree")
    (tmp_path / "in").mkdir()
    HAND_INS[name].submit(tmp_path / "in")
    shutil.copytree(tmp_path / "in", tmp_path / "tree", dirs_exist_ok=True)
    subprocess.run(["make", "-C", str(ROOT), "check", f"KERNEL={tmp_path / 'tree'}", f"OUT={tmp_path / 'marks'}", "PROFILE=handout",
                    f"POINTS={course / 'points'}", f"ONLY={ONLY}"])
    assert marks(json.loads((tmp_path / "marks/results.json").read_text())) == given[name]


@pytest.mark.parametrize("name", ["good", "wrong", "forged"])
def test_where_bubblewrap_works_it_is_the_walls_and_the_marks_are_the_same(container, given, name):
    container.hand_in(HAND_INS[name].title, HAND_INS[name].submit)
    told = container.marked(privileged=True)
    assert "SANDBOX=none" not in told["output"] and marks(told) == given[name]


def test_a_submission_that_kills_all_it_can_harms_itself_only(container):
    container.hand_in("All of it", whole_with(_KILLS))
    told = container.marked()
    assert told["score"] == 0 and told["extra_data"]["status"] in ("not checked", "does not build")


# Other services

@pytest.fixture(scope="module")
def wrong(container) -> Path:
    """The container's /course with a student's repository and the kit, as GitHub's workflow has them checked out."""
    folder = container.folder / "course"
    folder.mkdir()
    trees.imitate(folder / "hand-in", makefile=trees.LISTED, patches=[_MISTAKES["wrong"]])
    shutil.copytree(container.place / "source/shrimpy", folder / "shrimpy")
    return folder


def test_githubs_workflow_annotates_the_line_that_is_wrong(container, wrong):
    text = (ROOT / "scripts/course/github.yml").read_text()
    steps = re.findall(r"^ +(?:- working-directory: (\S+)\n +|- )run: (.*)$", text, re.M)
    assert [place for place, _ in steps] == ["", "", "hand-in"]
    done = [container.run("sh", "-ec", line, privileged=True, at=f"/course/{place}") for place, line in steps]
    assert [one.returncode for one in done] == [0, 0, 1], done[-1].stdout
    annotated = re.search(r"^::error file=kernel/proc\.c,line=(\d+),title=shrimp-pair::", done[-1].stdout, re.M)
    assert annotated, done[-1].stdout
    assert "np->shrimp = " in (wrong / "hand-in/kernel/proc.c").read_text().splitlines()[int(annotated[1]) - 1]
    assert (wrong / "marks/results.json").is_file() and (wrong / "marks/fault.png").is_file()


def test_classroom_50s_script_leaves_its_result(container, wrong):
    text = (ROOT / "docs/courses.md").read_text()
    script = "".join(line[4:] for line in re.search(r"^    import subprocess, sys\n(?:    .*\n)+", text, re.M)[0].splitlines(True))
    opt = container.folder / "opt/shrimpy"
    shutil.copytree(wrong / "shrimpy", opt)
    done = container.run("python3", "-c", script, privileged=True, at="/course/hand-in")
    assert done.returncode == 0, done.stdout
    told = json.loads((wrong / "hand-in/result.json").read_text())
    assert told["schema"] == "classroom50/result/v1" and 0 < told["score"] < told["max-score"]
