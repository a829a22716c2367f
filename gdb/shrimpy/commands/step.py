"""shrimp-step: a fork, page table by page table."""

from __future__ import annotations

import textwrap

import gdb

from .. import files
from ..live.session import session
from ..show import reports
from ..snapshot import Process
from ..step import current, film
from ..step.stepping import Stepping
from ..show.story import count
from .base import Arg, Bad, Command, Opt, painter, programs, width, with_pid
from .window import Window


class ShrimpStep(Command):
    """Step through a fork: stop at each thing that builds the child's memory.

    Without a fork under way it waits for the next one, of process PID, of a
    process called NAME, or of any; where the machine is stopped inside fork,
    it takes that one. Then each shrimp-step, or an empty line, runs to the next
    thing: a frame is allocated, a mapping made or removed, the user image
    copied, FRY and SHRIMP mapped, the child made RUNNABLE. The machine stays
    stopped there for you to look at.
    -every     each page of the user image is a step
    -life      goes on through the child's exec and exit and its parent's wait
    -finish    runs to the end, with a line for each step
    -record FILE    all of that, as a film file: viz draws it
    Ctrl-C, a breakpoint of yours, `continue`: the stepping is over, and nothing
    of it is left in the machine.
    """

    name = "shrimp-step"
    kind = gdb.COMMAND_RUNNING
    live = True
    repeats = True
    args = (Arg("PID|NAME", "who", optional=True),)
    opts = (Opt("-every"), Opt("-life"), Opt("-finish"), Opt("-record", "FILE"))

    def run(self, given):
        try:
            self._run(given)
        except Bad:             # a slip of the person's: what is under way goes on
            raise
        except BaseException:
            current.leave()
            raise
        finally:
            if current.current() is None:
                self.dont_repeat()

    def _run(self, given):
        stepping = current.current()
        who = wanted(given.get("PID|NAME"))
        if stepping is None:
            if "-record" in given:
                self._record(given["-record"], who, "-every" in given)
                return
            stepping = begin(who, "-every" in given, "-life" in given)
            show(stepping)
        else:
            parent = stepping.parent
            if "-record" in given or who is not None and who != parent.name \
                    and getattr(who, "pid", None) != parent.pid:
                raise Bad(f"the fork of pid {parent.pid} ({parent.name}) is being stepped through; "
                          "first, try: shrimp-step -finish")
            stepping.every |= "-every" in given
            stepping.life |= "-life" in given
            if "-finish" not in given:
                show_next(stepping)
        if "-finish" in given:
            finish(stepping)
        if stepping.over:
            current.leave()

    def _record(self, path, who, every):
        path = files.writable(path)
        stepping = begin(who, every, life=True)
        steps = [stepping.last, *finish(stepping)]
        cast = stepping.cast
        current.leave()
        film.write(path, film.film(steps, stepping.function, cast.parent, cast.child))
        gdb.write(f"{path}: {len(steps)} steps\n")


def wanted(word: str | None) -> Process | str | None:
    """The process with that pid; a name that some process or program has; None for any. Raises Bad."""
    if word is None:
        return None
    taken = session.snapshot(walk_free=False)
    if word.isdigit():
        return with_pid(int(word), taken)
    names = {p.name for p in taken.processes}
    if word not in names and word not in programs():
        raise Bad(f"no process and no program is called {word!r}; processes: {', '.join(sorted(names))}")
    return word


def begin(who: Process | str | None, every: bool, life: bool) -> Stepping:
    """A stepping at its first step."""
    stepping = current.start(who, every, life)
    of = "" if who is None else f" of {who!r}" if isinstance(who, str) else f" of pid {who.pid} ({who.name})"
    said = [f"waiting for {stepping.function}{of}: type a command such as ls in the machine's terminal; Ctrl-C here "
            "gives up"]
    if stepping.unseen:
        said.append(f"not functions of this kernel: {', '.join(stepping.unseen)}; what they would do shows at the next "
                    f"line of {stepping.function}")
    gdb.write("".join(textwrap.fill(text, width()) + "\n" for text in said))
    gdb.flush()
    stepping.begin()
    return stepping


def show(stepping: Stepping) -> None:
    if stepping.last is not None:
        gdb.write(reports.step(stepping.n_steps, stepping.last, painter(), width(), brief=Window.is_seen()))
    gdb.flush()


def show_next(stepping: Stepping) -> None:
    if stepping.advance() is not None:
        show(stepping)
    if stepping.over:
        gdb.write(ending(stepping) + "\n")


def finish(stepping: Stepping) -> list:
    """Runs to the end; the steps there were, a line printed for each."""
    steps = []
    paint = painter()
    while not stepping.over and (step := stepping.advance()) is not None:
        steps.append(step)
        if not stepping.over:
            gdb.write(f"{stepping.n_steps}  {paint('title', step.title)}\n")
            gdb.flush()
    show(stepping)
    gdb.write(ending(stepping) + "\n")
    return steps


def ending(stepping: Stepping) -> str:
    """One line on how it ended."""
    cast = stepping.cast
    counted = f"{count(stepping.n_steps, 'step')}, {count(len(cast.allocated), 'frame')} allocated"
    if cast.child is None or cast.failing:
        return f"end: {stepping.function} made no child; {counted}"
    if cast.ending:
        return f"end: pid {cast.child} is gone; {counted} by {stepping.function}"
    return f"end: pid {cast.child} can run; {counted}"


def register() -> None:
    ShrimpStep()
