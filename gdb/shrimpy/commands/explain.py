"""shrimp-explain: what a rule means."""

from __future__ import annotations

import gdb

from .. import words
from ..rules import RULES
from ..show import text
from .base import Arg, Command, width


_LIST = "".join(f"      {rule.id:18}  {rule.statement}\n" for rule in RULES)


class ShrimpExplain(Command):
    __doc__ = f"""Explain a rule: what it means, what usually breaks it, how to look further.

    RULE is one of
{_LIST}    Without RULE the rules are listed. docs/rules.md has all of them.
    """

    name = "shrimp-explain"
    kind = gdb.COMMAND_SUPPORT
    args = (Arg("RULE", "word", optional=True, choices=tuple(rule.id for rule in RULES)),)

    def run(self, given):
        if "RULE" in given:
            gdb.write(text.indented(words.explain.plain(given["RULE"]), width()))
        else:
            gdb.write(text.table(["RULE", ""], [[rule.id, rule.statement] for rule in RULES], width=width()))


def register() -> None:
    ShrimpExplain()
