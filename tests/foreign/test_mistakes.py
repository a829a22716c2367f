"""The zoo's mistakes in trees that are not ours: found by the same rules, in the same processes, as in our kernel."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.judging import checking, scenarios, tracing
from lab.kernels import tree

import trees

sys.path.append(str(trees.ROOT / "tests/zoo"))
import mistakes  # noqa: E402


class Anyhow(mistakes.End):
    """A scenario may end in any way: where nobody notices a frame that is freed twice, what breaks first is luck."""

    def is_met_by(self, scenario: str, hindrance: checking.Hindrance) -> bool:
        return True


ANYHOW = Anyhow("panicked", "*", "", False)


@dataclass(frozen=True)
class Differs:
    """What of a mistake's header is not so in this kind of tree, and why. fails: instead of the header's; also: more."""

    why: str
    fails: tuple[mistakes.Expected, ...] | None = None
    also: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Style:
    """A kind of tree. checked: whether its allocator panics at a frame that is freed twice."""

    make: Callable[..., Path]
    checked: bool = True
    differs: dict[str, Differs] = field(default_factory=dict)

    def expects(self, mistake: mistakes.Mistake) -> mistakes.Mistake:
        difference = self.differs.get(mistake.name, Differs(""))
        fails = mistake.fails if difference.fails is None else difference.fails
        ends = mistake.ends
        if not self.checked and ends:
            ends = (*(end for end in ends if "frame is free" not in end.line), ANYHOW)
        return dataclasses.replace(mistake, fails=fails, also=mistake.also | difference.also, ends=ends)


def unchecked(folder: Path, **how: object) -> Path:
    return trees.imitate(folder, trees.UNCHECKED, makefile=trees.LISTED, opt="-O2", **how)


STYLES = {
    "O2-unchecked": Style(unchecked, checked=False, differs={
        "freed-twice": Differs("kdup does not look whether the frame is free", fails=(
            mistakes.Expected("not-on-free-list", "parent", "FRY", "family"),), also=frozenset(("frames-conserved",))),
        "fry-copied": Differs("a page that is freed twice leads the free list into itself", also=frozenset(("free-list-sound",))),
        "kept-in-a-table": Differs("nobody reads the table, so with -O2 there is none", fails=(
            mistakes.Expected("frames-conserved", "frame", "-", "family"),)),
        "kinit-one-too-many": Differs("what is freed is filled, here the kernel's own page table", also=frozenset(("frame-in-ram",))),
    }),
    "2020": Style(trees.of_2020_with_fry, differs={
        "exec-renews": Differs("exec maps all that it maps W X, so this FRY, too", also=frozenset(("fry-flags", "no-user-supervisor"))),
        "fork-without-memory-half-made": Differs("without a state for the unborn the slot is a free one", fails=(
            mistakes.Expected("frames-conserved", "frame", "-", "memory"),), also=frozenset(("count-matches",))),
        "kept-in-a-table": Differs("nobody reads the table, so with -O there is none", fails=(
            mistakes.Expected("frames-conserved", "frame", "-", "family"),)),
    }),
}


def examine(style: Style, mistake: mistakes.Mistake, folder: Path) -> mistakes.Finding:
    """Builds a tree with the mistake in folder and gives it to make check's scenarios; the built copy goes."""
    kernel = tree.prepare(str(style.make(folder, patches=[f"zoo/{mistake.patch.name}"])))
    try:
        return mistakes.compare(mistake, checking.check(kernel, 3, only=scenarios.NAMES))
    finally:
        tree.discard(str(folder))


@pytest.mark.limit(300)
@pytest.mark.parametrize("style,name", [
    pytest.param("O2-unchecked", "runs-too-early", id="O2-unchecked-runs-too-early"),
    pytest.param("2020", "no-memory-leaks", id="2020-no-memory-leaks"),
])
def test_the_mistake_is_found_in_a_tree_that_is_not_ours(tmp_path, style, name):
    mistake = STYLES[style].expects(mistakes.read(mistakes.HERE / f"{name}.patch"))
    finding = examine(STYLES[style], mistake, tmp_path / "lab")
    assert (finding.missed, finding.wrong) == ((), ())


@pytest.mark.soak
@pytest.mark.limit(7200)
@pytest.mark.parametrize("style", STYLES)
def test_every_mistake_is_found_in_trees_that_are_not_ours(tmp_path, style):
    known = [STYLES[style].expects(one) for one in mistakes.all_mistakes()]
    assert STYLES[style].differs.keys() <= {one.name for one in known}
    found = {one.name: examine(STYLES[style], one, tmp_path / one.name) for one in known}
    assert mistakes.tell(known, found) == 0, f"the table above says what was missed in the {style} trees"


def test_the_line_that_wrote_it_is_told_of_a_tree_without_fry(tmp_path):
    folder = trees.plain(tmp_path / "tree", [("kernel/proc.c", r"  if \(p->trapframe\)\n    kfree\(p->trapframe\);\n", "")])
    told = tracing.trace(checking.check(tree.prepare(str(folder)), 3, only=("family",)))
    assert [one.place.function for each in told.traces.values() for one in each.origins[:1]] == ["freeproc"], told.traces
