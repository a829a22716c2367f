"""When fork maps the child's SHRIMP: before anybody may run the child, or it is a failure, whoever runs it then."""

from __future__ import annotations

import pytest

from lab.judging import checking, scenarios
from lab.kernels import tree

import trees

pytestmark = pytest.mark.limit(300)

NOT_YET = ("kernel/proc.c", r"sharefry\(p, np\) < 0 \|\| ", "")
IN_FORKRET = [("kernel/proc.c", r"static void forkret\(void\);\n", r"\g<0>static int sharefry(struct proc *, struct proc *);\n"),
              ("kernel/proc.c", r"(struct proc \*p = myproc\(\);\n  release\(&p->lock\);\n)",
               r"\1  if (p->parent && p->shrimp == 0)\n    sharefry(p->parent, p);\n")]
INLINED = ("kernel/proc.c", r"static struct proc \*allocproc", "static inline __attribute__((always_inline)) struct proc *allocproc")


def starts(then: str) -> trees.Edit:
    """What fork does where it starts the child."""
    return ("kernel/proc.c", r"  start\(np\);\n", then)


ORDERS = {
    "mapped-first": ([], True),
    "mapped-under-the-lock-that-made-it-runnable": ([NOT_YET, starts(
        "  acquire(&np->lock);\n  setrunnable(np);\n  sharefry(p, np);\n  release(&np->lock);\n")], True),
    "mapped-later": ([NOT_YET, starts("  start(np);\n  sharefry(p, np);\n")], False),
    "mapped-under-the-lock-again": ([NOT_YET, starts(
        "  start(np);\n  acquire(&np->lock);\n  sharefry(p, np);\n  release(&np->lock);\n")], False),
    "mapped-by-the-child": ([NOT_YET, *IN_FORKRET], False),
    "mapped-first-by-a-fork-without-allocproc": ([INLINED], True),
    "mapped-later-by-a-fork-without-allocproc": ([INLINED, NOT_YET, starts("  start(np);\n  sharefry(p, np);\n")], False),
}


_LONG = ("mapped-under-the-lock-again", "mapped-first-by-a-fork-without-allocproc")


@pytest.mark.parametrize("name", [pytest.param(one, marks=pytest.mark.soak) if one in _LONG else one for one in ORDERS])
def test_a_child_that_may_run_has_its_shrimp(lab, name):
    edits, right = ORDERS[name]
    report = checking.check(tree.prepare(str(trees.again(lab, edits))), 3, only=["fork"])
    found = {(one.verdict.rule, one.judgement.point) for one in report.failures}
    expected = set() if right else {("shrimp-pair", scenarios.POINTS["can-run"])}
    # What a kernel that is wrong does afterwards hangs on who ran first.
    assert found == expected or not right and expected == {one for one in found if one[1] == scenarios.POINTS["can-run"]}
    assert [one.hindrance for one in report.outcomes] == [None] and not report.outcomes[0].notes
