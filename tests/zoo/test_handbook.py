"""The page of known mistakes is made from the zoo."""

from __future__ import annotations

import handbook
import mistakes


def test_golden_page_of_known_mistakes(request):
    known = [*mistakes.all_mistakes(), *(mistakes.read(one) for one in sorted((mistakes.HERE / "further").glob("*.patch")))]
    made = handbook.markdown(known)
    if request.config.getoption("--golden"):
        handbook.PAGE.write_text(made, encoding="utf-8")
    assert made == handbook.PAGE.read_text(encoding="utf-8"), "docs/mistakes.md says otherwise: `make golden` writes it anew"
    assert made.count("\n| ") >= len(known)
