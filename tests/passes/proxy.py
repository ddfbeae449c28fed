"""A forwarding proxy on loopback: it sees every request to the storage, and can fail, hold or follow one by an action.

Azurite signs neither Host nor port, so plain forwarding keeps every signature right.
"""

from __future__ import annotations

import collections.abc
import http.client
import http.server
import threading
import types
import typing
import urllib.parse

from embedded.azurite import Azurite

Action = collections.abc.Callable[[str, str], object]
"""Called with method and unquoted path with query; an int is answered as that status instead of forwarding."""


class Proxy:
    """``before`` runs before a request is forwarded, ``after`` when it was done and before it is answered."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.before: Action = lambda method, path: None
        self.after: Action = lambda method, path: None
        self.seen: list[tuple[str, str]] = []
        self.hold = threading.Event()
        self.date: str | None = None
        """What answers say of the service's clock, instead of its own word."""
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{Azurite.account}"

    def reset(self) -> None:
        self.before = self.after = lambda method, path: None
        self.seen.clear()

    def wait_for_release(self) -> None:
        """For an action that holds a request back; all are released at the end of the test."""
        self.hold.wait(120)

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def _forward(self) -> None:
        try:
            body = self._body()
            path = urllib.parse.unquote(self.path)
            self.proxy.seen.append((self.command, path))
            status = self.proxy.before(self.command, path)
            if isinstance(status, int):
                self._answer(status, {"x-ms-error-code": "ServerBusy"}, b"")
                return
            line = http.client.HTTPConnection("127.0.0.1", self.proxy.upstream, timeout=60)
            line.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("transfer-encoding", "expect", "content-length"):
                    line.putheader(name, value)
            if body or self.command in ("PUT", "POST"):
                line.putheader("Content-Length", str(len(body)))
            line.endheaders(body)
            answer = line.getresponse()
            content = answer.read()
            self.proxy.after(self.command, path)
            self._answer(answer.status, dict(answer.getheaders()), content)
            line.close()
        except OSError:
            self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        head = self.command == "HEAD"
        if self.proxy.date is not None:
            headers = {name: value for name, value in headers.items() if name.lower() != "date"}
            headers["Date"] = self.proxy.date
        for name, value in headers.items():
            lower = name.lower()
            if lower in ("transfer-encoding", "connection", "keep-alive") or (
                lower == "content-length" and not head
            ):
                continue
            self.send_header(name, value)
        if not head:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not head:
            self.wfile.write(content)

    def log_message(self, format: str, *args: typing.Any) -> None:
        """Quiet."""

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _forward
