"""Where a kernel does other than the specification says, as data."""

from __future__ import annotations

import enum
from typing import Optional, Tuple

from ..records import many, one, record, word
from .model import AT_ONCE, Cell, Op


class Differs(str, enum.Enum):
    """What differs. Beside each, what of a Divergence it has besides."""

    PANICKED = "panicked"           # text
    HANGS = "hangs"                 # cell.process, where it is one that does
    DIED = "died"                   # cell.process
    LIVES = "lives"                 # cell.process, or seen: the pid of one that should not be there
    PARENT = "wrong-parent"         # cell.process, seen: the pid of its parent
    ANSWER = "wrong-answer"         # cell.process, seen, expected
    STATUS = "wrong-status"         # cell.process, which waited; seen and expected: what its child exited with
    SEEN = "seen-by-user"           # cell: what user code reads there is not what was written; seen, expected
    SATP = "other-tables"           # a hart that runs cell.process walks the table seen, its struct proc names expected
    MISSING = "not-mapped"          # cell
    FLAGS = "wrong-flags"           # cell, seen: the entry's low byte
    NOT_SHARED = "not-shared"       # cell and other, one page, are in the frames seen and expected
    SHARED = "shared"               # cell and other, two pages, are in one frame, seen
    MAPPED = "still-mapped"         # cell, which was detached; seen: the frame
    MISCOUNTED = "miscounted"       # of cell.segment the kernel counts seen attachments, and there are expected
    MOVED = "moved"                 # cell: its frame was expected, and is seen
    CONTENT = "wrong-content"       # cell: its word `index` is seen, expected; written: whether anybody has written it
    CROWD = "crowd"                 # a child (pid) of cell.process that only stands still has not its FRY, or not one of its own;
                                    # index: a word of that is seen, and not zero
    LEAK = "leak"                   # seen: frames that each repetition loses


@record
class Divergence:
    """What differs after the last of ops, which the kernel was told one by one.

    beyond: of BEYOND, when only a promise beyond the handout is broken. expected, seen: what a word, an answer, an entry's
    low byte, a frame's physical address, a pid or a number is and should be, signed as the machine has it.
    """

    what: Differs = word(*(each.value for each in Differs))
    ops: Tuple[Op, ...] = many(Op)
    cell: Optional[Cell] = one(Cell, default=None)
    beyond: Optional[str] = None
    other: Optional[Cell] = one(Cell, default=None)
    expected: Optional[int] = None
    seen: Optional[int] = None
    index: Optional[int] = None
    written: bool = False
    pid: Optional[int] = None
    text: str = ""


@record
class Played:
    """What came of playing: how much was, what differed first, and what goes only beyond the handout, where no more counts.
    left_out: sequences that could not be played, because a process ended where all memory was taken."""

    n_sequences: int
    n_ops: int
    divergence: Optional[Divergence] = one(Divergence, default=None)
    noted: Tuple[Divergence, ...] = many(Divergence)
    left_out: int = 0

    def then(self, later: Played) -> Played:
        """Both, where nothing differed the first time."""
        new = [one for one in later.noted if (one.what, one.beyond) not in [(each.what, each.beyond) for each in self.noted]]
        return Played(self.n_sequences + later.n_sequences, self.n_ops + later.n_ops, later.divergence, (*self.noted, *new),
                      self.left_out + later.left_out)

    @property
    def differences(self) -> Tuple[Divergence, ...]:
        """All of them."""
        return self.noted + ((self.divergence,) if self.divergence else ())

    @property
    def at_touch(self) -> bool:
        """Whether this kernel maps the two pages when they are touched, and not before."""
        return any(one.beyond == AT_ONCE for one in self.differences)
