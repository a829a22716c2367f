"""make diagrams: what it draws of which kernel, and where to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.kernels import variant
from lab.pictures import figures

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/foreign"))

import trees  # noqa: E402

OF_ONE = {"address-space", "walk", "table"}
pytestmark = pytest.mark.limit(300)


def diagrams(*words: str, **environment: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(["make", "diagrams", *words], cwd=ROOT, env={**clean, **environment}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)


def shown(folder: Path) -> set[str]:
    """The stems of the figures of a folder's page, once every file that it names is seen to be there."""
    page = (folder / "index.html").read_text()
    for name in re.findall(r'(?:href|src)="([^#"]+)"', page):
        assert (folder / name).stat().st_size, name
    return set(re.findall(r'<img src="([^"]+)\.svg"', page))


def processes(folder: Path) -> list[int]:
    return [one["pid"] for one in json.loads((folder / "snapshot.json").read_text())["processes"]]


def test_every_figure_of_every_process_is_drawn_into_the_folder_that_is_named(tmp_path):
    out = tmp_path / "a student's figures"
    done = diagrams("PID=all", f"OUT={out}")
    assert done.returncode == 0, done.stderr
    assert len(processes(out)) >= 6
    assert shown(out) == {"family", "matrix", "ram", "fault", "diff", "film-step",
                          *(f"{stem}-{pid}" for stem in OF_ONE for pid in processes(out))}
    drawn = re.findall(r"^drawn: (.+)$", done.stdout, re.M)
    assert {Path(name) for name in drawn} == set(out.iterdir()) - {out / "snapshot.json", out / "film.json"}


def test_of_a_tree_without_fry_what_can_be_drawn_is_and_what_not_is_said(tmp_path):
    out = tmp_path / "figures"
    done = diagrams(f"KERNEL={trees.plain(tmp_path / 'lab')}", f"OUT={out}")
    assert done.returncode == 0, done.stderr
    assert shown(out) >= OF_ONE | {"ram", "fault"}
    assert not {"family", "matrix"} & shown(out)
    for stem in ("family", "matrix"):
        assert re.search(rf"^{stem}: not drawn: this kernel has no FRY and no SHRIMP", done.stderr, re.M), done.stderr
    assert {"diff", "film-step"} <= shown(out)


def test_kernel_that_panics_is_drawn_as_it_is_then(tmp_path):
    out = tmp_path / "figures"
    kernel = variant.build("zoo-freed-twice", [ROOT / "tests/zoo/freed-twice.patch"])
    done = diagrams(f"KERNEL={kernel.elf}", f"OUT={out}")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^the kernel panicked: .*: drawn as it is then$", done.stderr, re.M), done.stderr
    assert json.loads((out / "snapshot.json").read_text())["stop"]["panicked"]
    assert "panicked" in (out / "index.html").read_text()
    assert shown(out) >= OF_ONE | {"family", "matrix", "ram", "fault"}


@pytest.mark.parametrize("words,said", [
    (["OUT=Makefile"], "OUT=Makefile: expected a folder, or a place for one: File exists"),
    (["OUT=Makefile/figures"], "OUT=Makefile/figures: expected a folder, or a place for one: Not a directory"),
])
def test_no_folder_is_told_before_anything_is_booted(words, said):
    done = diagrams(*words)
    assert done.returncode
    assert f"diagrams: {said}\n" in done.stderr and "booting" not in done.stderr


def test_figures_of_another_kernel_have_a_folder_of_their_own(tmp_path):
    one, other = (figures.folder_of(str(tmp_path / tree / "xv6")) for tree in ("one", "other"))
    assert len({one, other, figures.folder_of("")}) == 3
    assert one.parent == other.parent == figures.folder_of("") == figures.FOLDER
    assert figures.folder_of(str(tmp_path / "one" / "." / "xv6")) == one
