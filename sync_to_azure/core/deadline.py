"""Calls over the network that end in time. A server that answers a byte a second never meets the timeout of a socket,
which counts from byte to byte; so connections are watched, and those of a call whose time is up are shut down. The call
then fails in its own thread, and nothing of it goes on behind our back.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
from collections.abc import Iterator
from typing import Any


class TooSlow(Exception):
    """The time of a call is up."""


class SocketHandle:
    """A second handle of a connection's socket, made before TLS takes the first one over; it outlives the connection's
    own, which may be closed before the last byte of an answer is read."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket: socket.socket | None = None
        self._socket = connection.dup()

    def shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def __del__(self) -> None:
        if self._socket is not None:
            self._socket.close()


class _Call:
    """``lines`` take part in it. The time begins again with each request: one that is answered in time may be followed
    by others. Once it was up, no further request is begun."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._lines: list[SocketHandle] = []
        self._timer: threading.Timer | None = None
        self.is_over = False

    def begin(self, line: SocketHandle | None = None) -> None:
        with self._lock:
            if self.is_over:
                raise TooSlow
            if line is not None and line not in self._lines:
                self._lines.append(line)
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(self._seconds, self._end)
            self._timer.daemon = True
            self._timer.start()

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            for line in self._lines:
                line.shut()

    def close(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._lines.clear()


_END = object()
_here = threading.local()
"""``call``: that of this thread."""


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Each request that this thread makes within, over watched connections, is answered in full in so many seconds.
    Raises TooSlow. Within another one, that one counts."""
    if getattr(_here, "call", None) is not None:
        yield
        return
    call = _here.call = _Call(seconds)
    try:
        call.begin()
        yield
    except Exception as error:
        if call.is_over:
            raise TooSlow from error
        raise
    finally:
        _here.call = None
        call.close()
    if call.is_over:
        # What was read may have been cut off.
        raise TooSlow


def each_within(seconds: float, items: Iterator[Any]) -> Iterator[Any]:
    """``within`` for each item that an iterator of answers yields, and not for what is done with it."""
    while True:
        with within(seconds):
            item = next(items, _END)
        if item is _END:
            return
        yield item


def watch(line: SocketHandle) -> None:
    """It takes part in the call of this thread from now on. Raises TooSlow if its time is up."""
    call: _Call | None = getattr(_here, "call", None)
    if call is not None:
        call.begin(line)


def watched(connection: socket.socket) -> SocketHandle:
    """A connection that was just made. Raises TooSlow, or OSError, and closes it then."""
    try:
        line = SocketHandle(connection)
        watch(line)
        return line
    except BaseException:
        connection.close()
        raise


def watch_session(session: Any) -> None:
    """All connections that this session of ``requests`` will make."""
    for adapter in session.adapters.values():
        adapter.poolmanager.pool_classes_by_scheme = _pools()
        # Called for each request; what it makes is kept by the adapter.
        adapter.proxy_manager_for = functools.partial(_proxy_manager, adapter.proxy_manager_for)


def _proxy_manager(make: Any, *arguments: Any, **options: Any) -> Any:
    manager = make(*arguments, **options)
    manager.pool_classes_by_scheme = _pools()
    return manager


@functools.cache
def _pools() -> dict[str, type]:
    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Http(_Watched, HTTPConnection):
        pass

    class Https(_Watched, HTTPSConnection):
        pass

    class HttpPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Https

    return {"http": HttpPool, "https": HttpsPool}


class _Watched:
    """Of a connection of urllib3."""

    _line: SocketHandle | None = None

    def _new_conn(self) -> socket.socket:
        connection: socket.socket = super()._new_conn()  # type: ignore[misc]
        self._line = watched(connection)
        return connection

    def putrequest(self, *arguments: Any, **options: Any) -> None:
        if self._line is not None:
            watch(self._line)
        super().putrequest(*arguments, **options)  # type: ignore[misc]
