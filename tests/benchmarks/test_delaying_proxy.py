"""The benchmarks' delaying proxy: it holds what it passes, loses nothing, and does not make connections wait for each
other."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from benchmarks.delaying import NO_COMPILER, DelayingProxy

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason=NO_COMPILER)

MEBIBYTE = 1024 * 1024


@contextlib.contextmanager
def echo() -> Iterator[int]:
    """A port that sends back what comes, and its end."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(MEBIBYTE):
                connection.sendall(data)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def timed(connection: socket.socket) -> float:
    started = time.monotonic()
    connection.sendall(b"x")
    assert connection.recv(1) == b"x"
    return time.monotonic() - started


def test_a_round_trip_takes_as_long_as_was_asked_for() -> None:
    with echo() as port, DelayingProxy(port, 0.020) as proxy, connect(proxy.port) as connection:
        first = timed(connection)
        later = [timed(connection) for _ in range(20)]
    assert first >= 0.040, "a handshake's round trip"
    assert min(later) >= 0.020
    # The best, as this machine may be busy.
    assert min(later) < 0.030


def test_without_a_delay_it_passes_at_once() -> None:
    with echo() as port, DelayingProxy(port, 0.0) as proxy, connect(proxy.port) as connection:
        assert min(timed(connection) for _ in range(20)) < 0.010


def test_connections_do_not_wait_for_each_other() -> None:
    """50 round trips of 100 ms each are one, and not five seconds."""
    with echo() as port, DelayingProxy(port, 0.1) as proxy, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(proxy.port)) for _ in range(50)]
        for connection in connections:
            timed(connection)
        started = time.monotonic()
        for connection in connections:
            connection.sendall(b"x")
        for connection in connections:
            assert connection.recv(1) == b"x"
        assert time.monotonic() - started < 2.5


def test_many_bytes_arrive_whole_in_their_order_and_then_the_end() -> None:
    sent = os.urandom(32 * MEBIBYTE)
    received = bytearray()
    with echo() as port, DelayingProxy(port, 0.005) as proxy, connect(proxy.port) as connection:

        def send() -> None:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        while data := connection.recv(MEBIBYTE):
            received += data
        sender.join()
    assert received == sent
    assert proxy.connections == 1
    assert proxy.cpu > 0.0


def test_a_connection_that_is_cut_is_cut_on_the_other_side() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with server, DelayingProxy(server.getsockname()[1], 0.005) as proxy:
        connection = connect(proxy.port)
        other, _ = server.accept()
        other.settimeout(60)
        connection.sendall(b"x")
        assert other.recv(1) == b"x"
        # A reset, as a process that is killed may leave.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
        with contextlib.suppress(ConnectionResetError):
            assert other.recv(1) == b""
        other.close()
        with connect(proxy.port) as again:
            answer, _ = server.accept()
            with answer:
                again.sendall(b"y")
                assert answer.recv(1) == b"y"
