"""The command line: `python3 viz FIGURE SNAPSHOT`."""
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, NoReturn, Optional

from . import film, gallery, output, page, render
from .figures import Drawing, address_space, diff, family, fault, matrix, ram, table, walk
from .film import document, strip
from .model import documents
from .model.errors import VizError
from .model.kit import Index, Process, __version__
from .page import feed
from .render import Drawable
from .scene import text

STATUS_ERROR = 2
PROG = "viz"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(STATUS_ERROR, f"{PROG}: {message}; try {self.prog} --help\n")


def _numbers(s: str, what: str = "numbers") -> list[int]:
    try:
        return [int(n, 0) for n in s.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected {what} such as 3,4,5, found {s!r}") from None


def _pids(s: str) -> list[int]:
    return _numbers(s, "pids")


def _figure(figures: argparse._SubParsersAction[_Parser], name: str, question: str, description: str,
            draw: Callable[[argparse.Namespace], list[tuple[str, Drawable]]],
            source: tuple[str, str] = ("SNAPSHOT", "a file of xv6-snapshot's"),
            suffixes: Sequence[str] = output.SUFFIXES, default: str = ".svg") -> argparse.ArgumentParser:
    """A figure's own command; `draw` gives (suffix to the file's name, drawing) of each that is wanted."""
    one = figures.add_parser(name, help=question, description=description)
    one.add_argument("snapshot", metavar=source[0], help=f"{source[1]}, or - for standard input")
    one.add_argument("-o", dest="outputs", metavar="OUT", action="append",
                     help=f"a file to write: {' '.join(suffixes)}; may be given again; default: {name}{default}")
    one.set_defaults(draw=draw, suffixes=suffixes, default=default)
    return one


def _arguments(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = _Parser(prog=PROG, description="Draws figures of a snapshot: JSON in; DOT, SVG, PDF, PNG out.",
                     epilog="python3 viz FIGURE --help says what it takes; python3 viz all SNAPSHOT -o FOLDER draws all of them.")
    parser.add_argument("--version", action="version", version=f"viz of Shrimpy {__version__}")
    figures = parser.add_subparsers(dest="figure", metavar="FIGURE", required=True)
    one = _figure(figures, "family", "who shares what with whom",
                  f"Draws who shares what with whom, at most {family.LIMIT} processes.",
                  lambda a: [("", family.draw(documents.snapshot(a.snapshot), a.pids))])
    one.add_argument("--pids", type=_pids, metavar="PID,...", help="draw these processes")
    many = _figure(figures, "matrix", "the same for many",
                   f"Draws processes and the frames that they share as a table, at most {matrix.LIMIT} processes.",
                   lambda a: [("", matrix.draw(documents.snapshot(a.snapshot), a.pids))])
    many.add_argument("--pids", type=_pids, metavar="PID,...", help="draw these processes")
    one = _figure(figures, "fault", "what is wrong",
                  f"Draws the entries and frames that break a rule, at most {fault.LIMIT}: found, expected, where to look.",
                  lambda a: [("", fault.draw(documents.snapshot(a.snapshot), documents.origins(a.origins) if a.origins else ()))])
    one.add_argument("--origins", metavar="FILE", help="the origins.json of the same check: where what is wrong was written")
    _figure(figures, "ram", "who owns each frame of RAM",
            "Draws all of RAM as a strip, and magnified the parts that are in use.",
            lambda a: [("", ram.draw(documents.snapshot(a.snapshot)))])
    one = _figure(figures, "film", "how a process is made, lives and ends",
                  "Shows a fork step by step: a page that stands alone (.html), or a strip of panels for paper.",
                  lambda a: [("", film.draw(document.load(a.snapshot), a.steps))],
                  ("FILM", "a file of shrimp-step -record's"), output.FILM_SUFFIXES, ".html")
    one.add_argument("--steps", type=_numbers, metavar="N,...",
                     help=f"the strip's steps, counted from 1; default: the {strip.N_PANELS} that tell most")
    _figure(figures, "page", "a page to click through",
            "Shows a snapshot, or a film step by step, as one page that stands alone: figures, page tables, walks, frames, the verdict.",
            lambda a: [("", page.draw(a.snapshot))], ("SNAPSHOT", "a file of xv6-snapshot's, or of shrimp-step -record's"),
            (".html",), ".html")
    _figure_of_processes(figures, "address-space", "what is mapped where in a process", address_space.draw)
    _figure_of_processes(figures, "table", "what a page table looks like", table.draw, kernel=table.draw_kernel)
    one = _figure(figures, "walk", "how addresses translate",
                  f"Draws how 1 to {walk.LIMIT} addresses translate, by default FRY and SHRIMP of the process that was running, "
                  "else of the youngest. With --va 3:fry --va 4:shrimp, who shares what.", _walk)
    one.add_argument("--va", dest="addresses", metavar="[PID:]VA", action="append",
                     help="an address or a region (fry, shrimp, text, stack, ...), of a process; may be given again")
    one.add_argument("--pid", dest="pids", type=_pids, metavar="PID", help="the process of addresses without one")
    one = _figure(figures, "diff", "what has changed between two snapshots",
                  "Draws what has changed between two snapshots of one run.", _diff)
    one.add_argument("after", metavar="AFTER", help="the later snapshot")
    told = figures.add_parser("serve", help="a page of what GDB tells",
                              description="Serves a page of what standard input tells, as shrimp-live does, and prints its address.")
    told.add_argument("--title", default="Shrimpy", help="what the page is called")
    every = figures.add_parser("all", help="all of them, and a page that shows them",
                               description="Draws every figure in every format into a folder, with an index.html.")
    every.add_argument("snapshot", metavar="SNAPSHOT", help="a file of xv6-snapshot's, or - for standard input")
    every.add_argument("-o", dest="folder", metavar="FOLDER", type=Path, default=Path("."), help="where to; default: here")
    every.add_argument("--film", metavar="FILM", help="a file of shrimp-step -record's: draws what its fork changed, and the film")
    every.add_argument("--pid", dest="pids", type=_pids, metavar="PID,...",
                       help="the processes that figures of one process are drawn of; default: who shares most")
    every.add_argument("--all", dest="every", action="store_true", help="draw those of every process")
    return parser.parse_args(argv)


def _diff(arguments: argparse.Namespace) -> list[tuple[str, Drawable]]:
    if arguments.snapshot == arguments.after == "-":
        raise VizError("expected two files, found standard input twice; it can be one of them only")
    before, after = map(documents.snapshot, (arguments.snapshot, arguments.after))
    return [("", diff.draw(before, after))]


def _walk(arguments: argparse.Namespace) -> list[tuple[str, Drawable]]:
    index = documents.snapshot(arguments.snapshot)
    process = chosen(index, arguments.pids, False)[0]
    known = [name for name in ("fry", "shrimp") if getattr(index.layout, name) is not None]
    wanted = []
    for said in arguments.addresses or known or [hex(m.va) for m in process.mappings[:1]]:
        pid, colon, va = said.rpartition(":")
        wanted.append(walk.address(index, chosen(index, _pids_of(pid), False)[0] if colon else process, va))
    return [("", walk.draw(index, wanted))]


def _pids_of(pid: str) -> list[int]:
    try:
        return _pids(pid)
    except argparse.ArgumentTypeError as e:
        raise VizError(f"--va: {e}") from None


def _figure_of_processes(figures: argparse._SubParsersAction[_Parser], name: str, question: str,
                         draw: Callable[[Index, Process], Drawing],
                         kernel: Optional[Callable[[Index], Drawing]] = None) -> argparse.ArgumentParser:
    """The command of a figure that is drawn of one process, or of several, a file for each; or of the kernel."""
    def each(arguments: argparse.Namespace) -> list[tuple[str, Drawable]]:
        index = documents.snapshot(arguments.snapshot)
        if kernel and arguments.kernel:
            return [("", kernel(index))]
        processes = chosen(index, arguments.pids, arguments.every)
        return [(f"-{p.pid}" if len(processes) > 1 else "", draw(index, p)) for p in processes]
    one = _figure(figures, name, question,
                  f"Draws {question}: of the one that was running, else of the youngest; or of several, "
                  f"into {name}-PID.svg and so on.", each)
    which = one.add_mutually_exclusive_group()
    which.add_argument("--pid", dest="pids", type=_pids, metavar="PID,...", help="draw these processes")
    which.add_argument("--all", dest="every", action="store_true", help="draw every process")
    if kernel:
        which.add_argument("--kernel", action="store_true", help="draw the kernel's own")
    return one


def chosen(index: Index, pids: Optional[Sequence[int]], every: bool) -> list[Process]:
    """The processes that a figure of one process is drawn of: `pids`, or all, or the one that was
    running at the stop, else the youngest. Raises VizError for a pid that is not there."""
    if not index.processes:
        raise VizError("processes: expected at least one, found none; stop later, and take the snapshot again")
    if every:
        return sorted(index.processes, key=lambda p: (p.pid, p.slot))
    if pids is None:
        return [index.process(index.snapshot.stop.pid) or max(index.processes, key=lambda p: p.pid)]
    found = [p for pid in dict.fromkeys(pids) for p in index.processes if p.pid == pid]
    missing = set(pids) - {p.pid for p in found}
    if missing:
        there = ", ".join(str(pid) for pid in sorted(p.pid for p in index.processes))
        raise VizError(f"expected a pid of the snapshot, found {min(missing)}; there are {there}")
    return found


def _draw_all(arguments: argparse.Namespace) -> int:
    """`viz all`; the files' names are printed, and what is not drawn is said."""
    index = documents.snapshot(arguments.snapshot)
    reel = document.load(arguments.film) if arguments.film else None
    processes = chosen(index, arguments.pids, arguments.every) if arguments.pids or arguments.every and index.processes \
        else gallery.telling_processes(index)
    done = gallery.render_each(gallery.figures(index, processes, reel))
    folder = output.folder(arguments.folder)
    sources = [(name, what) for name, what in ((arguments.snapshot, "the snapshot"), (arguments.film, "the recorded film"))
               if name and Path(name).resolve().parent == folder.resolve()]
    for one in done:
        if isinstance(one, gallery.Missing):
            print(f"{PROG}: {one.figure.stem}: not drawn: {text.printable(one.why)}", file=sys.stderr)
    shown = gallery.page(index, done, [(Path(name).name, what) for name, what in sources])
    files = [*(file for one in done if isinstance(one, gallery.Shown) for file in one.files),
             (gallery.INDEX, shown.encode("utf-8"))]
    before = gallery.linked(folder / gallery.INDEX)
    for name, data in files:
        output.write(folder / name, data)
        print(folder / name)
    for name in before - {name for name, _ in files}:   # of another kernel or family, and no page shows them any more
        (folder / name).unlink(missing_ok=True)
    return 0


def _draw_one(arguments: argparse.Namespace) -> int:
    """Any other figure. Nothing is written unless all of it can be drawn."""
    names = arguments.outputs or [arguments.figure + arguments.default]
    kinds = [output.kind(name, arguments.suffixes) for name in names]
    finished = []
    for suffix, drawing in arguments.draw(arguments):
        rendered = render.render(drawing, kinds)
        finished += [(_with_suffix(name, suffix), data) for name, data in zip(names, rendered)]
    for name, data in finished:
        output.write(name, data)
        print(name)
    return 0


def _with_suffix(name: str, suffix: str) -> str:
    path = Path(name)
    return str(path.with_name(f"{path.stem}{suffix}{path.suffix}")) if suffix else name


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line `argv`, and print the names of the files written; the exit status is 0, or 2
    after one line on stderr."""
    arguments = _arguments(argv)
    try:
        status = (feed.serve(arguments.title) if arguments.figure == "serve" else
                  _draw_all(arguments) if arguments.figure == "all" else _draw_one(arguments))
        sys.stdout.flush()
        return status
    except VizError as e:
        why = str(e)
    except OSError as e:
        why = f"{e.filename}: {e.strerror}" if e.filename else f"expected to write, found: {e.strerror or e}"
        # What could not be printed would be tried again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    print(f"{PROG}: {text.printable(why)}", file=sys.stderr)
    return STATUS_ERROR
