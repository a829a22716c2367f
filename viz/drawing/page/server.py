"""Serves the page of a Board on 127.0.0.1, to who knows its address: a token is in it (HTML, 9.2 Server-sent events).

A page that a browser does not read, that goes away or comes twice costs its own thread and nothing else.
"""
from __future__ import annotations

import hmac
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .. import render
from ..figures import Drawing, address_space, family, fault, matrix, ram, table, walk
from ..model import documents
from ..model.errors import VizError
from ..model.kit import Index
from .board import Board
from .parts import Parts, change
from .sheet import FIGURES, html

_ALIVE_S = 15.0         # between two signs of life to a page that there is nothing to tell
_STUCK_S = 20.0         # after which a browser that takes nothing is let go
_LAST_S = 2.0           # for pages to take what was posted last
_MOST_PAGES = 16

_FIGURE = re.compile(rf"figure-(\d{{1,9}})-({'|'.join(FIGURES)})\.(svg|pdf|png|dot)(?:\?slot=(\d{{1,18}})&va=(\w{{1,20}})?)?")

Act = Callable[[], None]


def _drawn(index: Index, name: str, slot: int, va: str) -> Drawing:
    """slot: of the process that a figure of one is drawn of; va: the address that is walked. Raises VizError."""
    of_all: dict[str, Callable[[Index], Drawing]] = {"family": family.draw, "matrix": matrix.draw, "ram": ram.draw, "fault": fault.draw}
    if name in of_all:
        return of_all[name](index)
    process = next((p for p in index.processes if p.slot == slot), None)
    if process is None:
        raise VizError("the process was not there when this snapshot was taken")
    of_one = {"address-space": address_space.draw, "table": table.draw}
    return of_one[name](index, process) if name in of_one else walk.draw(index, [walk.address(index, process, va)])


def _is_ours(host: str) -> bool:
    """Whether a browser says that a page is of this host. A page of somebody else's, whose name leads to 127.0.0.1, has another name;
    where the port is forwarded (ssh -L, an editor) its number may be another."""
    return re.fullmatch(r"(127\.0\.0\.1|localhost)(:\d+)?", host) is not None


class Server(ThreadingHTTPServer):
    """A context manager: serves from a thread of its own until it is left.

    acts: by name, what a page may ask for; what they raise as OSError or ValueError is told to that page.
    """

    daemon_threads = True

    def __init__(self, board: Board, title: str, acts: Mapping[str, Act] = {}) -> None:
        self.board, self.title, self.acts = board, title, acts
        self.token = secrets.token_urlsafe(16)
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.board.close(_LAST_S)
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that went away is no news for the terminal."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _STUCK_S

    def do_GET(self) -> None:
        name = self._asked()
        board = self.server.board
        if name is not None and name[:1] in ("", "?"):      # VS Code's Simple Browser adds a query of its own
            self._answer("text/html", html(self.server.title, [], live=True).encode("utf-8"))
        elif name == "events":
            self._events()
        elif name == "film.html":
            tape, dots = board.tape()
            self._answer("text/html", html(self.server.title, tape, dots=dots).encode("utf-8"))
        elif one := _FIGURE.fullmatch(name or ""):
            self._figure(int(one[1]), one[2], one[3], int(one[4] or -1), one[5] or "shrimp")
        elif (one := re.fullmatch(r"snapshot-(\d{1,9})\.json", name or "")) and (document := board.snapshot(int(one[1]))):
            self._answer("application/json", document)
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def _figure(self, n: int, name: str, kind: str, slot: int, va: str) -> None:
        """A figure as a file, of the snapshot that was kept for state n."""
        document = self.server.board.snapshot(n)
        if document is None:
            return self._refuse(HTTPStatus.NOT_FOUND)
        try:
            index = documents.parse(document.decode("utf-8"))
            [data] = render.render(_drawn(index, name, slot, va), [kind])
        except VizError as error:
            return self._answer("text/plain", str(error).encode("utf-8"), HTTPStatus.UNPROCESSABLE_ENTITY)
        self._answer("application/octet-stream", data)

    def do_POST(self) -> None:
        act = self.server.acts.get(self._asked() or "")
        if act is None or not _is_ours(self.headers.get("Origin", "http://localhost").removeprefix("http://")):
            return self._refuse(HTTPStatus.NOT_FOUND)
        try:
            act()
            said = ""
        except (OSError, ValueError) as error:
            said = str(error)
        self._answer("text/plain", said.encode("utf-8"))

    def _asked(self) -> str | None:
        """What is asked for, after the token; None for who may not ask."""
        token, slash, name = self.path.removeprefix("/").partition("/")
        known = hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode("ascii"))
        return name if slash and known and _is_ours(self.headers.get("Host", "")) else None

    def _refuse(self, status: HTTPStatus) -> None:
        self.close_connection = True
        self._answer("text/plain", f"{status.phrase}\n".encode("ascii"), status)

    def _answer(self, kind: str, data: bytes, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._head(kind, status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _head(self, kind: str, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")

    def _events(self) -> None:
        """The newest state whole, and then what changed, as often as the browser takes it: states in between are left out."""
        self.close_connection = True
        board = self.server.board
        if board.n_pages >= _MOST_PAGES:
            return self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        self._head("text/event-stream", HTTPStatus.OK)
        self.end_headers()
        n = -1
        before: Parts | None = None
        with board:
            while not board.is_over or board.newest.n != n:
                state = board.after(n, _ALIVE_S)
                if state is None or not state.parts:
                    self.wfile.write(b": nothing new\n\n")
                    n = n if state is None else state.n
                    continue
                told = change(before or {}, state.parts, "").to_json(n=state.n, whole=before is None)
                self.wfile.write(f"data: {told}\n\n".encode("utf-8"))
                n, before = state.n, state.parts

    def log_message(self, *_: object) -> None:
        """The terminal is the machine's console."""
