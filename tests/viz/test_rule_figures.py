"""The figure of each rule's page: its machine breaks that rule, and is drawn so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]

from rule_figures import BROKEN, OF_TWO, drawing_of     # noqa: E402
from drawing.figures import fault                       # noqa: E402
from shrimpy.rules import FAIL, RULES, evaluate         # noqa: E402


def test_each_rule_that_a_snapshot_can_break_is_broken():
    assert list(BROKEN) == [rule.id for rule in RULES if rule.id != "specification"]


@pytest.mark.parametrize("rule", BROKEN)
def test_it_is_broken_and_drawn(rule):
    one = BROKEN[rule]()
    failed = [v for v in evaluate(one.after, one.before, one.known) if v.status == FAIL]
    assert rule in {v.rule for v in failed}
    assert one.before is None or not [v for v in evaluate(one.before) if v.status == FAIL]
    assert (drawing_of(rule).title == fault.TITLE) == (rule not in OF_TWO)
