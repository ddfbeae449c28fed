"""A receiver of webhooks on loopback that keeps what it is sent, and answers as a test wants it."""

from __future__ import annotations

import http.server
import pathlib
import ssl
import threading
import typing

from tests.server import Server


class Receiver(Server):
    """``taken``: headers and body of each request. ``answers``: one a request, then 204. A status code; or ``hang``
    (a byte now and then, until the test ends), ``huge`` (200 and an endless body), ``headers`` (an endless head).
    """

    def __init__(self, certificate: tuple[pathlib.Path, pathlib.Path] | None = None) -> None:
        self.taken: list[tuple[typing.Any, bytes]] = []
        self.answers: list[int | str] = []
        self.location = ""
        self.ended = threading.Event()
        self.hung_up = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
            self.scheme = "https"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str = "/events") -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}{path}"

    def end(self) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: typing.Any, client_address: typing.Any) -> None:
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.headers, body))
        answer = self.server.answers.pop(0) if self.server.answers else 204
        if isinstance(answer, str):
            self._goes_on(answer)
            return
        self.send_response(answer)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _goes_on(self, how: str) -> None:
        piece = {"hang": b"H", "huge": b"x" * 2**16, "headers": b"X-Filler: " + b"x" * 2**15 + b"\r\n"}[how]
        if how == "huge":
            self.send_response(200)
            self.send_header("Content-Length", str(2**40))
            self.end_headers()
        elif how == "headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        try:
            while not self.server.ended.wait(0.05 if how == "hang" else 0):
                self.wfile.write(piece)
        except OSError:
            self.server.hung_up.set()

    def log_message(self, format: str, *arguments: object) -> None:
        pass
