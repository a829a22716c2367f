#!/usr/bin/python3
"""Draws figures of a snapshot: JSON in; DOT, SVG, PDF, PNG out."""
from __future__ import annotations

import argparse
import sys
from typing import NoReturn, Optional, Sequence

from drawing import dot, family, output, snapshot_json
from drawing.errors import VizError

STATUS_ERROR = 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(STATUS_ERROR, f"shrimpyviz: {message}; try {self.prog} --help\n")


def _pids(s: str) -> list[int]:
    try:
        return [int(pid) for pid in s.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected pids such as 3,4,5, found {s!r}") from None


def _arguments(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = _Parser(prog="shrimpyviz", description=__doc__)
    figures = parser.add_subparsers(dest="figure", metavar="FIGURE", required=True)
    one = figures.add_parser("family", help="who shares what with whom",
                             description="Draws who shares what with whom, "
                                         f"at most {family.LIMIT} processes.")
    one.add_argument("snapshot", metavar="SNAPSHOT", help="snapshot JSON, or - for standard input")
    one.add_argument("-o", dest="outputs", metavar="OUT", action="append", required=True,
                     help="a file to write: .dot .svg .pdf .png; may be given again")
    one.add_argument("--pids", type=_pids, metavar="PID,...", help="draw these processes")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line `argv`; the exit status is 0, or 2 after one line on stderr."""
    arguments = _arguments(argv)
    try:
        kinds = [output.kind(name) for name in arguments.outputs]
        drawing = family.draw(snapshot_json.load(arguments.snapshot), arguments.pids)
        figures = [dot.render(drawing, kind) for kind in kinds]
        for name, figure in zip(arguments.outputs, figures):
            output.write(name, figure)
    except VizError as e:
        print(f"shrimpyviz: {dot.printable(str(e))}", file=sys.stderr)
        return STATUS_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main())
