"""A line to the storage on which every request is seen and may be spoilt: refused, reset, cut, changed, sent twice.

Azurite signs neither Host nor port, so plain forwarding keeps every signature right.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import http.client
import http.server
import io
import socket
import struct
import threading
import time
import types
import typing
import urllib.parse

from embedded.azurite import Azurite
from tests.server import Server


@dataclasses.dataclass
class Request:
    """``path`` is unquoted and with its query, ``raw`` as it came; ``body`` may be changed before it goes on."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    raw: str = ""

    @property
    def kind(self) -> str:
        query = urllib.parse.urlsplit(self.path).query
        for comp in ("blocklist", "block", "list"):
            if f"comp={comp}" in query.split("&"):
                return f"{self.method} {comp}"
        return f"{self.method} blob"

    @property
    def blob(self) -> str:
        """Its name in the container; empty for what asks for the container."""
        return self.path.split("?")[0].removeprefix(f"/{Azurite.account}/").partition("/")[2]

    @property
    def writes(self) -> bool:
        """Does a blob stand, or stand anew, when this is through?"""
        return self.kind in ("PUT blob", "PUT blocklist") and bool(self.blob)


@dataclasses.dataclass
class Answer:
    """Instead of the storage's. ``headers`` as well as the code."""

    status: int
    code: str = ""
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


CUT = "cut before it is forwarded"
LOSE = "forwarded, and the answer lost"
HALF = "forwarded, and half of the answer's head"
HALF_BODY = "forwarded, and half of the answer's body"
TWICE = "forwarded twice"
DRIP = "forwarded, and the answer comes byte by byte"
RESET = "half of the body read, and the line reset"
Act = collections.abc.Callable[[Request], "Answer | str | None"]
"""It may also wait, which holds the request back."""


def forward(port: int, request: Request) -> tuple[int, dict[str, str], bytes]:
    """To the storage: status, headers and body of its answer. Raises OSError."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    line.putrequest(request.method, request.raw, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers.items():
        if name.lower() not in ("expect", "content-length", "transfer-encoding"):
            line.putheader(name, value)
    if request.body or request.method in ("PUT", "POST"):
        line.putheader("Content-Length", str(len(request.body)))
    try:
        line.endheaders(request.body)
        answer = line.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    except http.client.HTTPException as error:
        # The storage was stopped while it answered.
        raise ConnectionResetError(str(error)) from error
    finally:
        line.close()


class Line:
    """``act`` looks at each request before it is forwarded, ``head`` before its body is read (RESET or None), and
    ``change`` at each answer's body, which it may change."""

    def __init__(self, upstream: int, handler: "type[LineHandler] | None" = None) -> None:
        self.upstream = upstream
        self.act: Act = lambda request: None
        self.head: Act = lambda request: None
        self.change: collections.abc.Callable[[Request, int, bytes], bytes] = (
            lambda request, status, content: content
        )
        self.headers: collections.abc.Callable[[Request, dict[str, str]], None] = (
            lambda request, headers: None
        )
        """May change the headers of an answer."""
        self.forwarding: collections.abc.Callable[[Request], None] = lambda request: None
        self.seen: list[Request] = []
        self.answered: list[tuple[str, int]] = []
        self.released = threading.Event()
        self.bytes_a_second: float | None = None
        self.drip = 1.0
        """Seconds between two bytes of an answer that drips."""
        self._handler = type("Handler", (handler or LineHandler,), {"wire": self})
        self._placeholder: socket.socket | None = None
        self._port = 0
        self._listen()

    def _listen(self) -> None:
        self._server = Server(("127.0.0.1", self._port), self._handler)
        # Small, so that a slow reader is felt at the other end.
        self._server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
        self._port = self._server.server_port

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}/{Azurite.account}"

    def kinds(self) -> list[str]:
        return [request.kind for request in list(self.seen)]

    def refuse(self) -> None:
        """Take no connections from now on. The port stays ours: bound, but nobody listens."""
        self._server.shutdown()
        self._server.server_close()
        self._placeholder = socket.socket()
        self._placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._placeholder.bind(("127.0.0.1", self._port))

    def accept(self) -> None:
        if self._placeholder is not None:
            self._listen()
            self._placeholder.close()
            self._placeholder = None
            self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> typing.Self:
        self._serve()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.released.set()
        if self._placeholder is not None:
            self._placeholder.close()
        else:
            self._server.shutdown()
            self._server.server_close()


class LineHandler(http.server.BaseHTTPRequestHandler):
    wire: Line
    protocol_version = "HTTP/1.1"
    rbufsize = 65536

    def _forward(self) -> None:
        try:
            request = Request(
                self.command, urllib.parse.unquote(self.path), dict(self.headers.items()), b"", self.path
            )
            if self.wire.head(request) == RESET:
                self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)
                self._reset()
                return
            request.body = self._body()
            if len(request.body) < int(self.headers.get("Content-Length") or 0):
                raise ConnectionResetError("whoever sent it is gone")
            self.wire.seen.append(request)
            what = self.wire.act(request)
            if isinstance(what, Answer):
                self.say(what.status, {"x-ms-error-code": what.code} | what.headers, b"")
            elif what == CUT:
                self._end()
            else:
                self._answer(request, what)
        except OSError:
            self.close_connection = True

    def _answer(self, request: Request, what: str | None) -> None:
        self.wire.forwarding(request)
        status, headers, content = self.upstream(request)
        if what == TWICE:
            status, headers, content = self.upstream(request)
        self.wire.answered.append((request.kind, status))
        content = self.wire.change(request, status, content)
        self.wire.headers(request, headers)
        if what == LOSE:
            self._end()
        elif what == HALF:
            self.wfile.write(b"HTTP/1.1 201 Crea")
            self._end()
        elif what == DRIP:
            self._drip(status, headers, content)
        elif what == HALF_BODY:
            self.say(status, headers, content, len(content) // 2)
            self._end()
        else:
            self.say(status, headers, content)

    def _drip(self, status: int, headers: dict[str, str], content: bytes) -> None:
        """Until all is said or whoever asked is gone."""
        whole, line = io.BytesIO(), self.wfile
        self.wfile = whole
        self.say(status, headers, content)
        self.wfile = line
        for byte in whole.getvalue():
            if self.wire.released.wait(self.wire.drip):
                break
            self.wfile.write(bytes([byte]))
        self._end()

    def upstream(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        return forward(self.wire.upstream, request)

    def _end(self) -> None:
        self.close_connection = True

    def _reset(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        left = int(self.headers.get("Content-Length") or 0)
        parts = []
        while left and (part := self.rfile.read(min(left, 65536))):
            parts.append(part)
            left -= len(part)
            if self.wire.bytes_a_second:
                time.sleep(len(part) / self.wire.bytes_a_second)
        return b"".join(parts)

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def say(self, status: int, headers: dict[str, str], content: bytes, so_many: int | None = None) -> None:
        """``so_many``: only this many bytes of the body are sent, though all were promised."""
        self.send_response_only(status)
        head = self.command == "HEAD"
        for name, value in headers.items():
            lower = name.lower()
            if lower in ("transfer-encoding", "connection", "keep-alive"):
                continue
            if lower != "content-length" or head:
                self.send_header(name, value)
        if not head:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not head:
            self.wfile.write(content[:so_many])

    def log_message(self, format: str, *args: typing.Any) -> None:
        """Quiet."""

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _forward
