"""Connections to one host on which bodies are put: as little work a request as can be.

urllib3 takes 0.2 ms of processor time for one request, most of it to read the answer's headers as if they were a mail;
these lines take 0.02 ms, and with small files that is what counts. They speak plain HTTP/1.1: one request at a time a
line, kept open, TLS verified. Through a proxy, urllib3 does it (``Proxied``): that is rare, and not worth code of ours.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import ssl
import threading
import urllib.request
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, cast
from urllib.parse import unquote, urlsplit

import certifi

PIECE = 256 * 1024
"""The limit on a line's silence holds for each piece of a body: for the whole of one, a slow line would be taken for a
dead one."""

_TOGETHER = 64 * 1024
"""Up to this size head and body go out in one call, and mostly in one journey."""

_LONGEST_LINE = 65536
_NOT_IN_A_TARGET = re.compile(r"[^\x21-\x7e]")


class Answer(NamedTuple):
    """``headers`` by their names in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class Lines(Protocol):
    """Used by many threads at once. Raises OSError (or urllib3's HTTPError) when no whole answer came."""

    def put(
        self, target: str, headers: Mapping[str, str], body: "memoryview | bytes", alive: Callable[[], None]
    ) -> Answer:
        """``target``: path and query, quoted. ``alive`` is called with every piece, and may raise to break it off."""

    def close(self) -> None:
        """Cut off what is on its way."""


def lines_to(endpoint: str, most: int, timeout: float) -> Lines:
    """Directly, or through the proxy of the environment if one is set for this host."""
    parts = urlsplit(endpoint)
    proxy = urllib.request.getproxies().get(parts.scheme)
    trusted = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where()
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        return Proxied(endpoint, proxy, most, timeout, trusted)
    return Direct(endpoint, timeout, trusted)


class Direct:
    """As many lines as are in use at once."""

    def __init__(self, endpoint: str, timeout: float, trusted: str) -> None:
        parts = urlsplit(endpoint)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._named = parts.netloc.rpartition("@")[2]
        self._timeout = timeout
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            folder = os.path.isdir(trusted)
            self._tls = ssl.create_default_context(
                cafile=None if folder else trusted, capath=trusted if folder else None
            )
        self._idle: list[_Line] = []
        self._open: weakref.WeakSet[_Line] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False

    def put(
        self, target: str, headers: Mapping[str, str], body: "memoryview | bytes", alive: Callable[[], None]
    ) -> Answer:
        head = self._head(target, headers, len(body))
        line = self._line()
        try:
            answer = line.exchange(head, body, alive)
        except BaseException:
            line.close()
            raise
        if line.can_be_kept and not self._closed:
            self._idle.append(line)
        else:
            line.close()
        return answer

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for line in list(self._open):
                line.cut()
        while self._idle:
            self._idle.pop().close()

    def _head(self, target: str, headers: Mapping[str, str], length: int) -> bytes:
        lines = [f"PUT {target} HTTP/1.1\r\nHost: {self._named}\r\nContent-Length: {length}\r\n"]
        if _NOT_IN_A_TARGET.search(target):
            raise OSError("the address holds a character that no address may hold; look at the SAS")
        for name, value in headers.items():
            if "\n" in value or "\r" in value:
                raise OSError(f"header {name} holds a line break; look at the credentials")
            lines.append(f"{name}: {value}\r\n")
        lines.append("\r\n")
        return "".join(lines).encode("latin-1")

    def _line(self) -> "_Line":
        while self._idle:
            try:
                line = self._idle.pop()
            except IndexError:
                break
            if not line.is_dropped():
                return line
            line.close()
        plain = socket.create_connection((self._host, self._port), timeout=min(20.0, self._timeout))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made = plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self._host)
            made.settimeout(self._timeout)
        except BaseException:
            plain.close()
            raise
        line = _Line(made)
        with self._lock:
            if self._closed:
                line.close()
                raise ConnectionAbortedError("stopped")
            self._open.add(line)
        return line


class _Line:
    """One connection. An error leaves it unusable."""

    def __init__(self, made: socket.socket) -> None:
        self._socket = made
        self._reader = made.makefile("rb")
        self._look = select.poll()
        self._look.register(made, select.POLLIN)
        self.can_be_kept = True

    def is_dropped(self) -> bool:
        """Nothing may come in while nothing is asked: it is the end, or an answer to nobody's question."""
        return bool(self._look.poll(0))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._reader.close()
            self._socket.close()

    def cut(self) -> None:
        """From another thread: whoever waits here is woken."""
        _cut(self._socket)

    def exchange(self, head: bytes, body: "memoryview | bytes", alive: Callable[[], None]) -> Answer:
        try:
            self._send(head, body, alive)
        except ConnectionError as error:
            # It may have refused before it had read all of it.
            self.can_be_kept = False
            try:
                return self._answer()
            except OSError:
                raise error from None
        return self._answer()

    def _send(self, head: bytes, body: "memoryview | bytes", alive: Callable[[], None]) -> None:
        alive()
        if len(body) <= _TOGETHER:
            self._socket.sendall(head + body)
            return
        self._socket.sendall(head)
        view = memoryview(body)
        for start in range(0, len(view), PIECE):
            alive()
            self._socket.sendall(view[start : start + PIECE])

    def _answer(self) -> Answer:
        status = 100
        while status < 200:
            version, _, rest = self._text().partition(" ")
            code, _, reason = rest.partition(" ")
            if not version.startswith("HTTP/1.") or not code.isdecimal() or len(code) != 3:
                raise ConnectionError("this is no answer of HTTP")
            status = int(code)
            headers: dict[str, str] = {}
            while text := self._text():
                name, _, value = text.partition(":")
                headers[name.lower()] = value.strip()
        if version == "HTTP/1.0" or headers.get("connection", "").lower() == "close":
            self.can_be_kept = False
        return Answer(status, reason, headers, self._body(status, headers))

    def _text(self) -> str:
        line = self._reader.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise ConnectionError("the connection ended within an answer" if line else "no answer came")
        return line.rstrip(b"\r\n").decode("latin-1")

    def _body(self, status: int, headers: Mapping[str, str]) -> bytes:
        if status in (204, 304):
            return b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        length = headers.get("content-length")
        if length is None:
            self.can_be_kept = False
            return self._reader.read(_LONGEST_LINE)
        if not length.isdecimal():
            raise ConnectionError("an answer of no length")
        return self._exactly(int(length))

    def _chunks(self) -> Iterator[bytes]:
        while True:
            try:
                size = int(self._text().partition(";")[0], 16)
            except ValueError:
                raise ConnectionError("an answer of no length") from None
            if not size:
                break
            yield self._exactly(size)
            self._text()
        while self._text():
            pass

    def _exactly(self, size: int) -> bytes:
        found = self._reader.read(size)
        if len(found) < size:
            raise ConnectionError("the connection ended within an answer")
        return found


class Proxied:
    """urllib3, which knows how to ask a proxy."""

    def __init__(self, endpoint: str, proxy: str, most: int, timeout: float, trusted: str) -> None:
        import urllib3

        parts = urlsplit(endpoint)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        about = urlsplit(proxy)
        login = f"{unquote(about.username or '')}:{unquote(about.password or '')}"
        trust: dict[str, Any] = {"ca_cert_dir" if os.path.isdir(trusted) else "ca_certs": trusted}
        self._pool = urllib3.ProxyManager(
            proxy,
            proxy_headers=urllib3.make_headers(proxy_basic_auth=login) if about.username else None,
            num_pools=2,
            maxsize=most,
            block=True,
            timeout=urllib3.Timeout(connect=min(20.0, timeout), read=timeout),
            **trust,
        )
        self._pool.pool_classes_by_scheme = {
            scheme: type(
                kind.__name__, (kind,), {"ConnectionCls": _noted(cast(Any, kind).ConnectionCls, self._open)}
            )
            for scheme, kind in self._pool.pool_classes_by_scheme.items()
        }

    def put(
        self, target: str, headers: Mapping[str, str], body: "memoryview | bytes", alive: Callable[[], None]
    ) -> Answer:
        def pieces() -> Iterator[memoryview]:
            view = memoryview(body)
            for start in range(0, len(view), PIECE):
                alive()
                yield view[start : start + PIECE]

        answer = self._pool.request(
            "PUT",
            self._base + target,
            body=cast(Any, pieces()),
            headers={**headers, "Content-Length": str(len(body))},
            retries=False,
            redirect=False,
        )
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, answer.reason or "", found, answer.data)

    def close(self) -> None:
        self._pool.clear()
        for connection in list(self._open):
            _cut(connection.sock)


def _noted(kind: Any, opened: "weakref.WeakSet[Any]") -> Any:
    def connect(self: Any) -> None:
        opened.add(self)
        kind.connect(self)

    return type(kind.__name__, (kind,), {"connect": connect})


def _cut(line: Any) -> None:
    """The plain socket's own ``shutdown``: that of a TLS socket first forgets its TLS, and a thread that is sending
    would send its next piece, token and all, in the clear."""
    with contextlib.suppress(OSError, TypeError):
        socket.socket.shutdown(line, socket.SHUT_RDWR)
