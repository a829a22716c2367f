"""The page of known mistakes is made from the zoo."""

from __future__ import annotations

import re

import handbook
import mistakes


def test_golden_page_of_known_mistakes(request):
    known = [*mistakes.all_mistakes(), *(mistakes.read(one) for one in sorted((mistakes.HERE / "further").glob("*.patch")))]
    made = handbook.markdown(known)
    if request.config.getoption("--golden"):
        handbook.PAGE.write_text(made, encoding="utf-8")
    assert made == handbook.PAGE.read_text(encoding="utf-8"), "docs/mistakes.md says otherwise: `make golden` writes it anew"
    assert made.count("\n| ") >= len(known)


def test_each_exercise_of_the_lesson_fails_as_the_lesson_says():
    exercises = (mistakes.ROOT / "docs/lesson.md").read_text(encoding="utf-8").split("\n### ")[1:]
    assert len(exercises) == 4
    for exercise in exercises:
        known = mistakes.read(mistakes.ROOT / re.findall(r"`(tests/zoo/[\w-]+\.patch)`", exercise)[0])
        failing = set(re.findall(r"(?m)^    FAIL ([\w-]+): ", exercise))
        must = {one.rule for one in known.fails}
        assert failing & must and failing <= must | known.also, known.name
        assert re.findall(r"(?m)^    make check KERNEL=exercise ONLY=\w+ WHY=0$", exercise) and re.findall(r"(?m)^    PASS: ", exercise)
