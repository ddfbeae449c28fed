"""A folder behind counting_source.py, and a line to a server on which bytes are counted."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator

from embedded.mounted import MISSING, Mounted, can_mount


@contextlib.contextmanager
def mounted(folder: pathlib.Path, rate: float = 0.0) -> Iterator[tuple[pathlib.Path, Callable[[], int]]]:
    """(``folder`` as seen through FUSE, bytes read there so far); ``rate``: bytes a second at most, 0 for no limit."""
    with tempfile.TemporaryDirectory(prefix="mounted-") as name:
        point, count = pathlib.Path(name, "main"), pathlib.Path(name, "count")
        point.mkdir()
        if not can_mount():
            raise SystemExit(MISSING)
        program = pathlib.Path(__file__).with_name("counting_source.py")
        with contextlib.closing(Mounted(program, folder, point, count, rate)):
            yield point, lambda: int(struct.unpack("<q", count.read_bytes())[0])


class Relay:
    """A port of its own that passes all on to ``port``; ``sent`` is what came from clients."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._lock = threading.Lock()
        self.sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._upstream))
                for source, target, counts in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass_on, args=(source, target, counts), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        buffer = memoryview(bytearray(2**18))
        with contextlib.suppress(OSError):
            while size := source.recv_into(buffer):
                if counts:
                    with self._lock:
                        self.sent += size
                target.sendall(buffer[:size])
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
