"""A web server for tests, on a thread for each connection; and a port without one."""

from __future__ import annotations

import collections.abc
import contextlib
import http.server
import socket


class Server(http.server.ThreadingHTTPServer):
    """The library's own holds a queue of five connections. With sixteen at once the kernel overflows, sends SYN cookies
    and then resets some of the connections: seen as ``ConnectionResetError`` in one of 300 on a busy machine.
    """

    request_queue_size = 128
    daemon_threads = True


@contextlib.contextmanager
def nobody_listens() -> collections.abc.Iterator[int]:
    """A port at which connections are refused. It stays ours, so that no other test's server can get it; but one that
    is started within may take it (it sets SO_REUSEADDR, as all servers do)."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
