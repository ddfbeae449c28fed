"""A service, or a proxy before it, that says back what it was told: the whole request, with all its headers."""

from __future__ import annotations

import base64
import http.client
import http.server
import threading
import types
import typing
import urllib.parse
from xml.sax.saxutils import escape

from embedded.azurite import Azurite
from sync_to_azure.core.names import CLAIMS_FOLDER
from tests.server import Server


class Echo:
    """Answers every request (with ``upstream``, a port: every PUT, or all whose path holds ``only``; the others are
    forwarded there) with ``status`` and the request itself, in reason, headers and body. ``code``: of the error; None
    for an answer without one. ``said``: what it was told: did the secret come by?"""

    def __init__(
        self, status: int, code: str | None = "", upstream: int | None = None, only: str | None = None
    ) -> None:
        self.status, self.code, self.upstream, self.only = status, code, upstream, only
        self.said: list[str] = []
        self._server = Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"echo": self}))

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/{Azurite.account}"

    def __enter__(self) -> Echo:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    echo: Echo
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.echo.upstream is not None and not self._is_answered():
                self._forward(self.echo.upstream, body)
                return
        except OSError:
            return
        told = self.requestline + "\n" + str(self.headers)
        for value in self.headers.values():
            if value.startswith("Basic "):
                told += base64.b64decode(value.removeprefix("Basic ")).decode("utf-8", "replace") + "\n"
        told += urllib.parse.unquote(told)
        self.echo.said.append(told)
        one_line = " ".join(told.split())
        code = "AuthenticationFailed" if self.echo.code == "" else self.echo.code
        text = f"<Error><Code>{code}</Code><Message>{escape(told)}</Message></Error>" if code else told
        content = text.encode("utf-8", "replace")
        self.send_response_only(self.echo.status, one_line[:2000].encode("ascii", "replace").decode())
        if code:
            self.send_header("x-ms-error-code", code)
        self.send_header("x-echo", one_line[:2000].encode("ascii", "replace").decode())
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _is_answered(self) -> bool:
        if self.echo.only is not None:
            return self.echo.only in self.path
        # The claim comes before all that an uploader sends; refused, nothing else would be asked.
        return self.command not in ("GET", "HEAD") and CLAIMS_FOLDER not in self.path

    def _forward(self, port: int, body: bytes) -> None:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        line.request(self.command, self.path, body=body or None, headers=dict(self.headers))
        answer = line.getresponse()
        content = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "keep-alive", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        if length is not None:
            self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content)
        line.close()

    def log_message(self, format: str, *args: typing.Any) -> None:
        """Quiet."""

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_CONNECT = answer
