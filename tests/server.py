"""A web server for tests, on a thread for each connection."""

from __future__ import annotations

import http.server


class Server(http.server.ThreadingHTTPServer):
    """The library's own holds a queue of five connections. With sixteen at once the kernel overflows, sends SYN cookies
    and then resets some of the connections: seen as ``ConnectionResetError`` in one of 300 on a busy machine.
    """

    request_queue_size = 128
    daemon_threads = True
