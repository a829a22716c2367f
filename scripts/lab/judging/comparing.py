"""What there is after an operation, compared with what the model says: tables, counts, and every word of each page."""

from __future__ import annotations

import array
from typing import NamedTuple

from shrimpy.kernel import Proc
from shrimpy.memory import sv39
from shrimpy.memory.readers import PAGE
from shrimpy.memory.riscv import signed
from shrimpy.spec import AT_ONCE, FORKS, INIT, ORDER, SEGMENT_PAGES, SEGMENTS, Cell, Differs, Do, Op, Page

from .family import NONCES, SEGMENT_KEY, Differing, Family
from .player import Letter, Said

_FLAGS = sv39.V | sv39.R | sv39.W | sv39.X | sv39.U
_EXACTLY = sv39.V | sv39.R | sv39.W | sv39.U
_POSITIVE = int.from_bytes((b"\xff" * 7 + b"\x7f") * (PAGE // 8), "little")    # of a page's words what makes none negative


class _Touch(NamedTuple):
    """What a process is told: to load a word from each of some pages of its own, and what it stores in each, at which word."""

    letter: Letter
    cells: list[Cell]
    stamps: list[tuple[int, int]]


class _Read(NamedTuple):
    """The words of a page that are there, and those that the model says; cells: who has it, and where."""

    cells: list[Cell]
    page: Page
    found: array.array[int]
    expected: array.array[int]


class Comparison:
    """What a family's memory is compared by."""

    def __init__(self, family: Family) -> None:
        self._family, self._handout, self._dice = family, family.handout, family.dice
        self._player, self._ram, self._places, self._model = family.player, family.ram, family.places, family.model
        self._pids, self._slots, self._frames = family.pids, family.slots, family.frames
        self._structs, self._attached = family.structs, family.attached
        self._was: dict[Cell, int] = {}     # where each page was when it was last compared

    def compare(self) -> None:
        there = self._family.await_all()
        frames = self.compare_tables(there)
        self._compare_crowds(there, frames)
        self._compare_counts()
        self._compare_contents(frames)
        self._touch(frames)
        self._compare_contents(frames)

    def compare_tables(self, there: dict[int, Proc]) -> dict[Cell, int]:
        """Where each page is: mapped, with the right to read and to write, and one frame where it is one page."""
        model = self._model
        frames: dict[Cell, int] = {}
        for number, process in sorted(there.items(), reverse=True):     # first what has come last
            for cell in model.cells(number):
                leaf = self._ram.leaf(process.root, self._family.place(cell)) or self._family.touched(cell, process)
                if leaf is None:
                    continue
                if leaf[1] & _FLAGS != _EXACTLY & (-1 if model.may_write(cell) else ~sv39.W):
                    raise Differing(Differs.FLAGS, cell, seen=leaf[1] & 0xff)
                frames[cell] = leaf[0] & -PAGE
        self._compare_detached(there)
        for cells in list(model.pages().values()):
            mine = [one for one in cells if one in frames]
            for one in mine[1:]:
                if frames[one] != frames[mine[0]]:
                    accused = self._accused(mine[0], one, frames)
                    other = mine[0] if accused == one else one
                    self._family.differs(Differing(Differs.NOT_SHARED, accused, other=other, seen=frames[accused], expected=frames[other]))
        for number in there:
            fry = frames.get(Cell(number, "FRY"))
            if fry is not None and self._frames.setdefault(number, fry) != fry:
                was, self._frames[number] = self._frames[number], fry
                self._family.differs(Differing(Differs.MOVED, Cell(number, "FRY"), seen=fry, expected=was))
        owners: dict[int, Cell] = {}
        of_page = {cell: page for page, cells in model.pages().items() for cell in cells}
        for cell, frame in frames.items():
            other = owners.setdefault(frame, cell)
            if of_page[other] != of_page[cell]:
                accused = self._accused(other, cell, frames)
                its = other if accused == cell else cell
                of_orphan = its.page == "SHRIMP" and self._model.beyond(its) == "orphan"    # of the handout it may be nobody's
                raise Differing(Differs.SHARED, accused, "orphan" if of_orphan else None, other=its, seen=frame)
        if Cell(0, "SHRIMP") in frames:
            self._compare_with_parent(there[0], frames[Cell(0, "SHRIMP")])
        self._was = frames
        return frames

    def _compare_detached(self, there: dict[int, Proc]) -> None:
        """What the last operation has detached is not mapped any more, but by another attachment."""
        detached, self._family.detached = self._family.detached, []
        for cell in detached:
            place = self._family.place(cell)
            leaf = self._ram.leaf(there[cell.process].root, place)
            if leaf and place not in map(self._family.place, self._model.cells(cell.process)):
                raise Differing(Differs.MAPPED, cell, SEGMENTS, seen=leaf[0] & -PAGE)

    def _compare_counts(self) -> None:
        """What the kernel counts of the attachments of each segment; of a count that may be of something else there is no
        opinion. A segment that was removed has no key: it is known by its struct."""
        model = self._model
        if not model.segments:
            return
        by_key = {SEGMENT_KEY + number: number for number in model.segments}
        there = {one.address: one for one in self._player.view.segments() if one.counted and "att" in one.counted}
        self._structs.update((by_key[one.key], at) for at, one in there.items() if one.key in by_key)
        for number in model.segments:
            one = there.get(self._structs.get(number, 0))
            if one is not None and one.n_attached != (expected := model.n_attached(number)):
                raise Differing(Differs.MISCOUNTED, Cell(self._family.done[-1].actor, segment=number), SEGMENTS, seen=one.n_attached,
                               expected=expected)

    def _compare_with_parent(self, process: Proc, frame: int) -> None:
        """The first process's parent is the shell, which is not played."""
        parent = next((one for one in self._player.view.processes() if one.address == process.parent), None)
        wanted = self._ram.leaf(parent.root, self._places["FRY"]) if parent else None
        if wanted and wanted[0] & -PAGE != frame:
            raise Differing(Differs.NOT_SHARED, Cell(0, "SHRIMP"), seen=frame, expected=wanted[0] & -PAGE)

    def _accused(self, one: Cell, other: Cell, frames: dict[Cell, int]) -> Cell:
        """Of two that should be as they are not, the one that has just come, or has moved, or that the model is less sure of, or the
        younger."""
        last = self._family.done[-1] if self._family.done else None
        for cell in (other, one):
            if last and last.do in FORKS and cell.process == last.n:
                return cell
        for cell in (other, one):
            if self._was.get(cell, frames[cell]) != frames[cell]:
                return cell
        for cell in (other, one):
            if self._model.beyond(cell):
                return cell
        return max(one, other, key=_by_number)

    def _compare_crowds(self, there: dict[int, Proc], frames: dict[Cell, int]) -> None:
        crowds = {there[number].address: number for number in there if self._model.processes[number].crowd}
        taken = set(frames.values())
        if self._model.forsaken and not self._handout:
            taken.add(self._compare_forsaken(frames))
        elif not crowds and not self._model.forsaken:
            return
        everyone = {one.address: one for one in self._player.view.processes()}
        for one in self._family.relatives(list(everyone.values())):
            if one.pid not in self._pids.values():
                self._compare_one_of_many(one, everyone, crowds, taken)

    def _compare_one_of_many(self, one: Proc, everyone: dict[int, Proc], crowds: dict[int, int], taken: set[int]) -> None:
        fry, shrimp = (self._ram.leaf(one.root, self._places[page]) for page in ORDER)
        number, wanted, beyond = self._page_of_many(one, everyone, crowds)
        at_touch = any(one.beyond == AT_ONCE for one in self._family.noted)     # nobody tells these to touch theirs
        if at_touch and (fry is None or shrimp is None) or not wanted and not beyond:
            return
        cell = Cell(number, "FRY")
        if wanted and (shrimp is None or shrimp[0] & -PAGE != wanted):
            raise Differing(Differs.CROWD, cell, beyond, pid=one.pid, seen=shrimp[0] & -PAGE if shrimp else 0, expected=wanted)
        if fry is None or fry[0] & -PAGE in taken:
            raise Differing(Differs.CROWD, cell, pid=one.pid, seen=fry[0] & -PAGE if fry else 0)
        for page, leaf in zip(ORDER, (fry, shrimp)):
            if leaf and leaf[1] & _FLAGS != _EXACTLY:
                raise Differing(Differs.FLAGS, Cell(number, page), pid=one.pid, seen=leaf[1] & 0xff)
        taken.add(fry[0] & -PAGE)
        self._compare_untouched(cell, one.pid, fry[0] & -PAGE)

    def _compare_forsaken(self, frames: dict[Cell, int]) -> int:
        """The frame of the page whose owner has gone and that a crowd still has: nobody's FRY, and with all that was in it."""
        left = self._model.forsaken_by
        assert left is not None, "somebody has left them"
        cell, frame = Cell(left.number, "FRY"), self._frames[left.number]
        if other := next((one for one, its in frames.items() if its == frame and one.page == "FRY"), None):
            raise Differing(Differs.SHARED, other, "orphan", other=cell, seen=frame)
        found = array.array("Q", self._ram.read(frame, PAGE))
        for at, word in enumerate(found if left.fry.known else ()):
            if word != left.fry.words.get(at, 0):
                raise Differing(Differs.CONTENT, cell, "orphan", index=at, seen=word, expected=left.fry.words.get(at, 0), written=True)
        return frame

    def _page_of_many(self, one: Proc, everyone: dict[int, Proc], crowds: dict[int, int]) -> tuple[int, int, str | None]:
        """Of one of a crowd, of a chain or of the orphans that a crowd has become: (the number of the process that forked it, or its
        elders; the frame that SHRIMP is to be in, 0 where there is no opinion; why that goes beyond the handout)."""
        parent = everyone[one.parent]
        left = self._model.forsaken_by
        if left and parent.pid == self._pids[INIT]:
            return left.number, 0 if self._handout else self._frames.get(left.number, 0), "orphan"
        wanted = self._ram.leaf(parent.root, self._places["FRY"])
        while one.parent not in crowds:
            one = everyone[one.parent]
        return crowds[one.parent], wanted[0] & -PAGE if wanted else 0, None

    def _compare_untouched(self, cell: Cell, pid: int, frame: int) -> None:
        """Nobody has written to the page of one that only stands still."""
        found = self._ram.read(frame, PAGE)
        if found != bytes(PAGE):
            words = array.array("Q", found)
            at = next(at for at, word in enumerate(words) if word)
            self._family.differs(Differing(Differs.CROWD, cell, "zeroed", pid=pid, index=at, seen=words[at], expected=0))

    def _compare_contents(self, frames: dict[Cell, int]) -> None:
        """The whole of each page, as far as the model knows it."""
        wrong: list[_Read] = []
        for cells in self._model.pages().values():
            cell = next((one for one in cells if one in frames), None)
            page = None if cell is None else self._model.page(cell)
            if cell is None or page is None:
                continue
            found = array.array("Q", self._ram.read(frames[cell], PAGE))
            expected = array.array("Q", bytes(PAGE) if page.known else found)
            for at, word in page.words.items():
                expected[at] = word
            if found != expected:
                wrong.append(_Read(cells, page, found, expected))
        for one in wrong:
            self._different_word(one, wrong)

    def _different_word(self, read: _Read, wrong: list[_Read]) -> None:
        """Raises Differing for the first that does; where only the handout counts, the model takes a new page as it is. wrong: all pages
        that differ, another of which may have what should be here."""
        page, seen, expected = read.page, read.found, read.expected
        differ = [at for at in range(PAGE // 8) if seen[at] != expected[at]]
        at = next((one for one in differ if one in page.words), differ[0])
        went = next((self._first(one.cells) for one in wrong if page.words.get(at) == one.found[at] != one.expected[at]), None)
        error = Differing(Differs.CONTENT, self._first(read.cells), other=went, index=at, seen=seen[at], expected=expected[at],
                          written=at in page.words)
        if not (self._handout and self._family._beyond(error)):
            raise error
        self._family.note(error)
        page.known = False
        if at in page.words:
            page.words.clear()

    def _first(self, cells: list[Cell]) -> Cell:
        """Of those that have one page, the one that is told: the surest."""
        return min(cells, key=lambda one: (self._model.beyond(one) or "", _by_number(one)))

    def _touch(self, frames: dict[Cell, int]) -> None:
        """The host fills each frame, and writes a word into it; each process loads it from each of its pages, and stores one of its own."""
        at = self._dice.choice((1, 0, PAGE // 8 - 1, *[self._dice.randrange(NONCES, PAGE // 8)] * 3))  # most often what kernels use
        for cells in self._model.pages().values():
            cell = next((one for one in cells if one in frames), None)
            if cell is not None and not self._player.typed:
                self._fill(cell, frames[cell])
                value = self._dice.getrandbits(63)
                self._ram.set_word(frames[cell] + 8 * at, value)
                self._model.write(cell, at, value)
        touched = [one for number in self._slots if number != 1 and self._model.is_alive(number)
                   for one in self._touches(number, frames, at)]

        def alive() -> None:
            for number in dict.fromkeys(one.cells[0].process for one in touched):
                self._family.still_there(Op(number, Do.LOAD))
        said = self._player.tell_all([one.letter for one in touched], alive=alive)
        for one, seen in zip(touched, said):
            self._stamped(one, at, seen)

    def _touches(self, number: int, frames: dict[Cell, int], at: int) -> list[_Touch]:
        """What a process is told to load and to store: from its two pages, and from each segment that it has attached."""
        model, slot = self._model, self._slots[number]
        place, stamp = self._family.stamps_of(number), self._new_stamp(2)
        cells = [one for one in model.cells(number) if one.segment is None]
        if any(one not in frames for one in cells):
            return []
        letter = Letter(slot, "u", at if len(cells) > 1 else ~at, place, stamp)
        touches = [_Touch(letter, cells, [(place, stamp), (place + 1, stamp + 1)])]
        for had in model.processes[number].attached:
            base, stamp = self._attached[had.number], self._new_stamp(SEGMENT_PAGES)
            cells = [one for one in model.cells(number) if one.segment is not None and one.attachment == had.number]
            letter = Letter(slot, "U", base + 8 * at, had.writable and base + 8 * place, stamp)
            touches.append(_Touch(letter, cells, [(place, stamp + n) for n in range(SEGMENT_PAGES)] if had.writable else []))
        return touches

    def _new_stamp(self, n: int) -> int:
        self._family.counter += n
        return 0x57a3000000000000 + self._family.counter

    def _fill(self, cell: Cell, frame: int) -> None:
        """Whatever becomes of a word of a page shows, once each has something in it. It has been seen to be zero."""
        page = self._model.page(cell)
        if page is None or page.words or not page.known:
            return
        words = array.array("Q", (self._dice.getrandbits(8 * PAGE) & _POSITIVE).to_bytes(PAGE, "little"))
        page.words.update(enumerate(words))
        self._ram.set_words(frame, words)

    def _stamped(self, touch: _Touch, at: int, seen: Said) -> None:
        """What a process has loaded from word `at` of each page; then it has stored its own."""
        for n, cell in enumerate(touch.cells):
            expected = self._model.word_at(cell, at)
            if expected is not None and seen[n] != signed(expected, 64):
                raise Differing(Differs.SEEN, cell, expected=expected, seen=seen[n])
            if touch.stamps:
                self._model.write(cell, *touch.stamps[n])


def _by_number(cell: Cell) -> tuple[int, str]:
    return (cell.process, cell.page)
