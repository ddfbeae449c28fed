"""Connections to one host on which bodies are put: http.client's, or urllib3's through the proxy of the environment.

What is added: a body goes out in pieces, with a sign of life for each (the limit on a line's silence holds for a piece;
for the whole of a body, a slow line would be taken for a dead one), and lines can be cut from another thread: all of
them, or those on which somebody's requests are.
urllib3 stands on http.client, and takes twice its processor time again for one request (0.15 ms more): with small files
that was half of all our work, so only a proxy is left to it.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import threading
import time
import urllib.request
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, cast
from urllib.parse import unquote, urlsplit

import certifi
import urllib3

PIECE = 256 * 1024
_IDLE = 60.0
"""Seconds after which a line is not used again: firewalls and load balancers (Azure's after 4 minutes) forget idle
lines without a word, and a request on such a line would wait for the whole of ``timeout``."""


class Answer(NamedTuple):
    """``headers`` by their names in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class Lines(Protocol):
    """Used by many threads at once."""

    def put(
        self,
        target: str,
        headers: Mapping[str, str],
        body: "memoryview | bytes",
        alive: Callable[[], None],
        of: object = None,
    ) -> Answer:
        """``target``: path and query, quoted. ``alive`` is called with every piece, and may raise to break it off.
        ``of``: whose request it is, for ``cut``. Raises OSError or urllib3's HTTPError when no whole answer came.
        """

    def cut(self, of: object) -> None:
        """Cut off the requests of one that are on their way. Its ``alive`` has to raise by now: what is about to be
        sent asks it."""

    def close(self) -> None:
        """Cut off all that is on its way."""


def lines_to(endpoint: str, most: int, timeout: float) -> Lines:
    """Directly, or through the proxy of the environment if one is set for this host."""
    parts = urlsplit(endpoint)
    proxy = urllib.request.getproxies().get(parts.scheme)
    trusted = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where()
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        return Proxied(endpoint, proxy, most, timeout, trusted)
    return Direct(endpoint, timeout, trusted)


class Direct:
    """http.client, with as many connections kept open as were in use at once."""

    def __init__(self, endpoint: str, timeout: float, trusted: str) -> None:
        parts = urlsplit(endpoint)
        self._timeout = timeout
        self._make: Callable[[], http.client.HTTPConnection]
        host, port, connect = parts.hostname or "", parts.port, min(20.0, timeout)
        if parts.scheme == "https":
            folder = os.path.isdir(trusted)
            tls = ssl.create_default_context(
                cafile=None if folder else trusted, capath=trusted if folder else None
            )
            self._make = lambda: http.client.HTTPSConnection(host, port, timeout=connect, context=tls)
        else:
            self._make = lambda: http.client.HTTPConnection(host, port, timeout=connect)
        self._idle: list[tuple[http.client.HTTPConnection, float]] = []
        self._in_use: dict[http.client.HTTPConnection, object] = {}
        self._closed = False

    def put(
        self,
        target: str,
        headers: Mapping[str, str],
        body: "memoryview | bytes",
        alive: Callable[[], None],
        of: object = None,
    ) -> Answer:
        alive()
        line = self._line()
        self._in_use[line] = of
        try:
            # Whoever cuts sees the line in use, or we see that it did.
            alive()
            with contextlib.suppress(BrokenPipeError):
                # Refused before all of it was read: the answer is there.
                line.request(
                    "PUT",
                    target,
                    body if len(body) <= PIECE else _pieces(body, alive),
                    {**headers, "Content-Length": str(len(body))},
                )
            answer = line.getresponse()
            content = answer.read()
        except http.client.HTTPException as error:
            line.close()
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        except BaseException:
            line.close()
            raise
        finally:
            del self._in_use[line]
        if line.sock is not None:
            self._idle.append((line, time.monotonic()))
        if self._closed:
            self._close_idle()
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, answer.reason, found, content)

    def _line(self) -> http.client.HTTPConnection:
        while True:
            try:
                line, since = self._idle.pop()
            except IndexError:
                break
            # What can be read while nothing is asked is the line's end.
            if time.monotonic() - since < _IDLE and not urllib3.util.wait_for_read(line.sock, timeout=0.0):
                return line
            line.close()
        line = self._make()
        line.connect()
        line.sock.settimeout(self._timeout)
        return line

    def cut(self, of: object) -> None:
        for line, owner in list(self._in_use.items()):
            if owner is of:
                _cut(line.sock)

    def close(self) -> None:
        self._closed = True
        self._close_idle()
        for line in list(self._in_use):
            _cut(line.sock)

    def _close_idle(self) -> None:
        while self._idle:
            with contextlib.suppress(IndexError):
                self._idle.pop()[0].close()


def _pieces(body: "memoryview | bytes", alive: Callable[[], None]) -> Iterator[memoryview]:
    view = memoryview(body)
    for start in range(0, len(view), PIECE):
        alive()
        yield view[start : start + PIECE]


class Proxied:
    """urllib3, which knows how to ask a proxy."""

    def __init__(self, endpoint: str, proxy: str, most: int, timeout: float, trusted: str) -> None:
        parts = urlsplit(endpoint)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self._here = threading.local()
        self._used = time.monotonic()
        self._in_use: dict[Any, object] = {}
        common: dict[str, Any] = {
            "num_pools": 2,
            "maxsize": most,
            "block": True,
            "timeout": urllib3.Timeout(connect=min(20.0, timeout), read=timeout),
            "ca_cert_dir" if os.path.isdir(trusted) else "ca_certs": trusted,
        }
        self._pool = _through(proxy, common)
        self._pool.pool_classes_by_scheme = {
            scheme: type(
                kind.__name__, (kind,), {"ConnectionCls": _noted(cast(Any, kind).ConnectionCls, self._note)}
            )
            for scheme, kind in self._pool.pool_classes_by_scheme.items()
        }

    def put(
        self,
        target: str,
        headers: Mapping[str, str],
        body: "memoryview | bytes",
        alive: Callable[[], None],
        of: object = None,
    ) -> Answer:
        alive()
        self._here.request, self._here.line = (alive, of), None
        now = time.monotonic()
        if now - self._used > _IDLE:
            self._pool.clear()
        self._used = now
        try:
            answer = self._pool.request(
                "PUT",
                self._base + target,
                body=cast(Any, body if len(body) <= PIECE else _pieces(body, alive)),
                headers={**headers, "Content-Length": str(len(body))},
                retries=False,
                redirect=False,
            )
        finally:
            self._in_use.pop(self._here.line, None)
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, answer.reason or "", found, answer.data)

    def _note(self, line: Any) -> None:
        """It is about to connect, or to send."""
        alive, of = self._here.request
        self._open.add(line)
        self._here.line = line
        self._in_use[line] = of
        alive()

    def cut(self, of: object) -> None:
        for line, owner in list(self._in_use.items()):
            if owner is of:
                _cut(line.sock)

    def close(self) -> None:
        self._pool.clear()
        for connection in list(self._open):
            _cut(connection.sock)


def _through(proxy: str, common: Mapping[str, Any]) -> urllib3.ProxyManager:
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    about = urlsplit(proxy)
    login = f"{unquote(about.username or '')}:{unquote(about.password or '')}"
    headers = urllib3.make_headers(proxy_basic_auth=login) if about.username else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **common)


def _noted(kind: Any, note: Callable[[Any], None]) -> Any:
    def connect(self: Any) -> None:
        note(self)
        kind.connect(self)

    def putrequest(self: Any, *given: Any, **named: Any) -> None:
        note(self)
        kind.putrequest(self, *given, **named)

    return type(kind.__name__, (kind,), {"connect": connect, "putrequest": putrequest})


def _cut(line: Any) -> None:
    """The plain socket's own ``shutdown``: that of a TLS socket first forgets its TLS, and a thread that is sending
    would send its next piece, token and all, in the clear."""
    with contextlib.suppress(OSError, TypeError):
        socket.socket.shutdown(line, socket.SHUT_RDWR)
