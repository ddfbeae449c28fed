"""Connections to one host on which bodies are put: urllib3's pool, directly or through the proxy of the environment.

What is added: a body goes out in pieces, with a sign of life for each (the limit on a line's silence holds for a piece;
for the whole of a body, a slow line would be taken for a dead one), and all lines can be cut from another thread.
"""

from __future__ import annotations

import contextlib
import os
import socket
import urllib.request
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import unquote, urlsplit

import certifi
import urllib3

PIECE = 256 * 1024


class Answer(NamedTuple):
    """``headers`` by their names in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


def lines_to(endpoint: str, most: int, timeout: float) -> "Lines":
    """Directly, or through the proxy of the environment if one is set for this host."""
    parts = urlsplit(endpoint)
    proxy = urllib.request.getproxies().get(parts.scheme)
    trusted = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where()
    if proxy and urllib.request.proxy_bypass(parts.hostname or ""):
        proxy = None
    return Lines(endpoint, proxy, most, timeout, trusted)


class Lines:
    """Used by many threads at once. ``put`` raises OSError or urllib3's HTTPError when no whole answer came."""

    def __init__(self, endpoint: str, proxy: str | None, most: int, timeout: float, trusted: str) -> None:
        parts = urlsplit(endpoint)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        common: dict[str, Any] = {
            "num_pools": 2,
            "maxsize": most,
            "block": True,
            "timeout": urllib3.Timeout(connect=min(20.0, timeout), read=timeout),
            "ca_cert_dir" if os.path.isdir(trusted) else "ca_certs": trusted,
        }
        self._pool = _through(proxy, common) if proxy else urllib3.PoolManager(**common)
        self._pool.pool_classes_by_scheme = {
            scheme: type(
                kind.__name__, (kind,), {"ConnectionCls": _noted(cast(Any, kind).ConnectionCls, self._open)}
            )
            for scheme, kind in self._pool.pool_classes_by_scheme.items()
        }

    def put(
        self, target: str, headers: Mapping[str, str], body: "memoryview | bytes", alive: Callable[[], None]
    ) -> Answer:
        """``target``: path and query, quoted. ``alive`` is called with every piece, and may raise to break it off."""

        def pieces() -> Iterator[memoryview]:
            view = memoryview(body)
            for start in range(0, len(view), PIECE):
                alive()
                yield view[start : start + PIECE]

        alive()
        answer = self._pool.request(
            "PUT",
            self._base + target,
            body=cast(Any, body if len(body) <= PIECE else pieces()),
            headers={**headers, "Content-Length": str(len(body))},
            retries=False,
            redirect=False,
        )
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, answer.reason or "", found, answer.data)

    def close(self) -> None:
        """Cut off what is on its way."""
        self._pool.clear()
        for connection in list(self._open):
            _cut(connection.sock)


def _through(proxy: str, common: Mapping[str, Any]) -> urllib3.ProxyManager:
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    about = urlsplit(proxy)
    login = f"{unquote(about.username or '')}:{unquote(about.password or '')}"
    headers = urllib3.make_headers(proxy_basic_auth=login) if about.username else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **common)


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
