"""An autograder's zip, run as the service runs it: below a root that is laid out like /autograder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import ROOT, Trouble
from lab.courses import assignments, barriers, laying, packing, service, shown
from lab.courses.assignments import ALL, Assignment
from lab.walls import sandbox

import trees

pytestmark = [pytest.mark.limit(300), pytest.mark.xdist_group("autograder")]
POINTS = "shrimp-pair 3\nfry-private 2\nruns 1\n"


def command(name: str, *words: object, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(ROOT / "scripts" / name), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={**os.environ, **environment})


# Laid over the tree

@pytest.fixture(scope="module")
def starter(tmp_path_factory) -> Path:
    return trees.imitate(tmp_path_factory.mktemp("course") / "starter", makefile=trees.LISTED)


def submission(folder: Path, **files: str | bytes) -> Path:
    """A submission: files by their paths, with __ for /."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_c", ".c")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def laid(starter: Path, folder: Path, tmp_path: Path, *lay: str) -> tuple[laying.Laid, Path]:
    tree = tmp_path / "tree"
    return laying.lay(folder, Assignment("", starter, lay=lay or assignments.LAID), tree), tree


def test_only_what_the_assignment_asks_for_is_taken(starter, tmp_path):
    folder = submission(tmp_path / "in", kernel__vm_c="mine", user__sh_c="mine", Makefile="all: evil", README="x")
    told, tree = laid(starter, folder, tmp_path)
    assert (tree / "kernel/vm.c").read_text() == (tree / "user/sh.c").read_text() == "mine"
    assert (tree / "Makefile").read_text() == (starter / "Makefile").read_text()
    assert (set(told.taken), set(told.others)) == ({"kernel/vm.c", "user/sh.c"}, {"Makefile", "README"})
    assert (tree / "kernel/proc.c").read_text() == (starter / "kernel/proc.c").read_text()


def test_the_tree_is_found_below_other_folders(starter, tmp_path):
    told, tree = laid(starter, submission(tmp_path / "in", a__lab__kernel__vm_c="mine", a__lab__old__kernel__vm_c="old"), tmp_path)
    assert told.taken == ("kernel/vm.c",) and (tree / "kernel/vm.c").read_text() == "mine"


def test_files_without_their_folders_go_where_the_tree_has_them(starter, tmp_path):
    told, tree = laid(starter, submission(tmp_path / "in", vm_c="mine", string_c="in both", nowhere_c="x"), tmp_path)
    assert told.taken == ("kernel/vm.c",) and (tree / "kernel/vm.c").read_text() == "mine"
    assert set(told.others) == {"string.c", "nowhere.c"}


def test_everything_is_taken_where_the_assignment_says_so(starter, tmp_path):
    told, tree = laid(starter, submission(tmp_path / "in", kernel__vm_c="mine", Makefile="mine"), tmp_path, ALL)
    assert (tree / "Makefile").read_text() == "mine" and set(told.taken) == {"kernel/vm.c", "Makefile"}


def test_links_and_pipes_are_not_taken(starter, tmp_path):
    folder = submission(tmp_path / "in", kernel__vm_c="mine")
    (folder / "kernel/proc.c").symlink_to("/etc/passwd")
    (folder / "user").symlink_to("/etc")
    os.mkfifo(folder / "kernel/trap.c")
    told, tree = laid(starter, folder, tmp_path)
    assert set(told.links) == {"kernel/proc.c", "kernel/trap.c", "user"} and told.taken == ("kernel/vm.c",)
    assert (tree / "kernel/proc.c").read_text() == (starter / "kernel/proc.c").read_text() and not (tree / "user").is_symlink()


def test_a_file_in_a_folders_place_is_not_taken(starter, tmp_path):
    told, tree = laid(starter, submission(tmp_path / "in", kernel__vm_c__x="a folder", kernel__proc_c="mine"), tmp_path)
    assert told.clashes == ("kernel/vm.c/x",) and told.taken == ("kernel/proc.c",)
    assert (tree / "kernel/vm.c").is_file()


def test_what_the_tree_links_to_is_not_written(starter, tmp_path):
    outside = tmp_path / "outside.c"
    outside.write_text("theirs")
    linked = trees.imitate(tmp_path / "linked")
    (linked / "kernel/linked.c").symlink_to(outside)
    told, tree = laid(linked, submission(tmp_path / "in", kernel__linked_c="mine"), tmp_path)
    assert outside.read_text() == "theirs" and (tree / "kernel/linked.c").read_text() == "mine" and told.taken


@pytest.mark.parametrize("files", [{}, {"report.pdf": b"%PDF\0\xff"}, {"Makefile": b"all:"}])
def test_nothing_that_belongs_to_the_tree_is_unusable(starter, tmp_path, files):
    with pytest.raises(laying.Unusable, match="expected kernel/ or user/, found"):
        laid(starter, submission(tmp_path / "in", **files), tmp_path)


def test_more_than_a_tree_can_be_is_unusable(starter, tmp_path):
    folder = submission(tmp_path / "in", kernel__vm_c="mine")
    with (folder / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(laying.Unusable, match="sources only"):
        laid(starter, folder, tmp_path)


# What the course says

def test_a_course_has_assignments_by_their_titles(starter, tmp_path):
    (tmp_path / "points").write_text(POINTS)
    (tmp_path / "course.ini").write_text(f"[DEFAULT]\nstarter = {starter}\nprofile = handout\n[Lab 1]\npoints = points\n"
                                         "[Lab 2: more]\nlay = kernel\nonly = family, exec\n")
    one, two = assignments.read(tmp_path / "course.ini")
    assert (one.points, one.lay, two.lay, two.only) == (tmp_path / "points", ("kernel", "user"), ("kernel",), ("family", "exec"))
    assert [each.check().profile for each in (one, two)] == ["handout", "handout"]
    assert assignments.titled([one, two], " lab 2: More ") is two and assignments.titled([one], "any") is one
    with pytest.raises(Trouble, match="'Lab 3'; there are Lab 1, Lab 2: more"):
        assignments.titled([one, two], "Lab 3")


@pytest.mark.parametrize("how, said", [
    ({"profile": "kind"}, "PROFILE=kind"), ({"only": ("nosuch",)}, "ONLY=nosuch"), ({"lay": ("../x",)}, "LAY=../x"),
    ({"points": Path("/nowhere")}, "POINTS=/nowhere"), ({"starter": Path("/nowhere")}, "expected an xv6 tree")])
def test_what_could_not_be_marked_is_refused(starter, how, said):
    with pytest.raises(Trouble, match=said):
        Assignment(**{"title": "", "starter": starter, **how}).check()


@pytest.mark.parametrize("text, said", [
    ("", "a section for each"), ("[Lab 1]\n", "starter = FOLDER"), ("[Lab 1]\nstarter = x\nstarters = y\n", "has 'starters'"),
    ("starter = x\n", "COURSE="), ("[Lab 1]\n[Lab 1]\n", "COURSE=")])
def test_a_course_that_cannot_be_read_is_refused(tmp_path, text, said):
    (tmp_path / "course.ini").write_text(text)
    with pytest.raises(Trouble, match=said):
        assignments.read(tmp_path / "course.ini")


def test_what_is_refused_is_one_line_and_no_zip(tmp_path):
    done = command("autograder", tmp_path / "a.zip", "--starter", "/nowhere")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and not list(tmp_path.iterdir())


# As the service runs it

@pytest.fixture(scope="module")
def packed(starter, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("zip")
    (folder / "points").write_text(POINTS)
    one = Assignment("Lab 1", starter, folder / "points", "handout", only=("family",))
    free = Assignment("Lab 2", starter, lay=(ALL,))
    return packing.pack([one, free], str(folder / "autograder.zip"), limit_s=200)


@pytest.fixture
def root(packed, tmp_path) -> Path:
    """/autograder, as the service lays it out."""
    tmp_path.chmod(0o755)
    with zipfile.ZipFile(packed) as made:
        for entry in made.infolist():
            path = Path(made.extract(entry, tmp_path / "source"))
            path.chmod(entry.external_attr >> 16)
    (tmp_path / "submission").mkdir()
    title(tmp_path, "Lab 1")
    return tmp_path


def title(root: Path, said: str) -> None:
    (root / "submission_metadata.json").write_text(json.dumps({"assignment": {"title": said, "id": 1}, "users": []}))


def marked(root: Path, **environment: str) -> dict:
    """What is in results.json after run_autograder, which must have ended well."""
    done = subprocess.run([root / "source/run_autograder", "--root", str(root)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return json.loads((root / "results/results.json").read_text())


def test_the_same_course_is_the_same_zip(starter, packed, tmp_path):
    with zipfile.ZipFile(packed) as made:
        names = set(made.namelist())
    assert {"setup.sh", "run_autograder", "course.json", "assignments/1/tree/Makefile", "assignments/1/points", "shrimpy/LICENSE"} <= names
    assert not [name for name in names if name.startswith(("shrimpy/tests", "shrimpy/docs", "shrimpy/build")) or name.endswith(".pyc")]
    again, = (packing.pack([Assignment("", starter)], str(tmp_path / name)).read_bytes() for name in ["a.zip"])
    assert again == packing.pack([Assignment("", starter)], str(tmp_path / "b.zip")).read_bytes()


def test_marks_are_those_of_make_check_each_time(root, starter, tmp_path):
    wrong = trees.imitate(root / "wrong", makefile=trees.LISTED, patches=["zoo/two-frames.patch"])
    subprocess.run(["cp", "-r", wrong / "kernel", root / "submission"], check=True)
    told = marked(root)
    assert command("check", "--kernel", wrong, "--out", root / "marks", "--only", "family", "--profile", "handout",
                   "--points", root / "source/assignments/1/points").returncode == 1
    same = json.loads((root / "marks/results.json").read_text())
    scores = [[(one["name"], one["score"], one["max_score"], one["status"]) for one in each["tests"]] for each in (told, same)]
    assert scores[0] == scores[1] and told["score"] == same["score"] == 3
    assert told["output_format"] == "html" and "data:image/png;base64," in told["output"] and "SHRIMP is not" in told["output"]


def test_binary_files_do_not_build(root):
    submission(root / "submission", kernel__proc_c=bytes(range(256)) * 64)
    told = marked(root)
    assert (told["score"], told["extra_data"]["status"]) == (0, "does not build") and len(told["tests"]) > 2


def test_a_makefile_without_end_is_ended_in_time(root):
    course = json.loads((root / "source/course.json").read_text())
    (root / "source/course.json").write_text(json.dumps({**course, "limit_s": 6}))
    title(root, "Lab 2")
    submission(root / "submission", kernel__vm_c="", Makefile="$(shell while :; do :; done)\n")
    told = marked(root)
    assert "took more than" in told["output"] and told["extra_data"]["status"] == "not checked"


def test_what_cannot_be_marked_is_told_in_json(root):
    assert "found nothing" in marked(root)["output"]
    title(root, "Lab 3")
    assert "there are Lab 1, Lab 2" in marked(root)["output"]
    (root / "submission_metadata.json").write_text("nonsense")
    assert "has the title" in marked(root)["output"]
    (root / "source/course.json").write_text("nonsense")
    assert "make the autograder anew" in marked(root)["output"]
    (root / "source/shrimpy/scripts/lab/cli.py").write_text("nonsense !\n")
    assert "could not be started" in marked(root)["output"]


# The walls that a container allows

@pytest.fixture
def no_bubblewrap(monkeypatch):
    monkeypatch.setattr(sandbox, "hindrance", lambda: "not here")


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that other users can reach, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="shrimpy-test-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def test_without_bubblewrap_the_check_is_another_users(root, public, no_bubblewrap, monkeypatch):
    if os.getuid():
        pytest.skip("only root can be another user")
    public.chmod(0o755)
    root = root.rename(public / "root")
    monkeypatch.setattr(barriers, "ROOT", root / "source/shrimpy")
    ran = []
    monkeypatch.setattr(service, "_check", lambda one, tree, out, walls, limit_s: ran.append(
        subprocess.run([*walls.words, "sh", "-c", 'id -u; touch "$0" && touch "$1"', tree.parent / "mine", root / "results/theirs"],
                       capture_output=True, text=True)))
    submission(root / "submission", kernel__vm_c="mine")
    service.mark(root)
    assert ran[0].stdout.strip() == "65534" and ran[0].returncode and "results/theirs" in ran[0].stderr
    assert "another user: not here" in barriers.found(root / "source/assignments/1/tree").note


def test_without_any_walls_it_is_said(no_bubblewrap, tmp_path, monkeypatch):
    monkeypatch.setattr(barriers.shutil, "which", lambda name: None)
    walls = barriers.found(tmp_path)
    assert (walls.words, walls.note, walls.user) == ((), "SANDBOX=none: not here", None)


# As it is shown

def test_a_strangers_words_are_no_html(tmp_path):
    told = {"score": 0, "tests": [], "extra_data": {"status": "panics", "line": "panic: <script>", "causes": [{"text": "<b>&"}]}}
    (tmp_path / "console.log").write_text("<img src=x>")
    output = shown.marked(told, tmp_path, ["<i>"])["output"]
    assert not {"<script>", "<b>&", "<img", "<i>"} & {*output.replace("<b>panics</b>", "").split("\n")} and "&lt;script&gt;" in output
    assert "<img" not in output and "&lt;i&gt;" in output


def test_a_figure_that_is_too_large_is_named(tmp_path):
    (tmp_path / "fault.png").write_bytes(bytes(3 << 20))
    told = {"score": 0, "tests": [], "extra_data": {"status": "fail", "line": "", "causes": []}}
    assert "fault.png is too large" in shown.marked(told, tmp_path, [])["output"]
