"""Exact points within a pass: a ``sitecustomize`` in its interpreter listens to Python's own audit events, and at the
wanted one waits until the harness has done what it wanted to do there (which may be to kill the process).

The product has no switch for this. An event comes before its operation.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import pathlib
import socket
import threading

from tests.warm_start import LISTENER

Action = collections.abc.Callable[[int], object]
"""Called with the process id of the pass, which waits meanwhile."""

COUNTED = "open os.scandir os.rename os.remove os.rmdir http.client.send subprocess.Popen sqlite3.connect"
"""Events that a point of any kind counts."""

_LISTENER = """
import os, socket, sys, threading, time

place = os.environ["FAULT_POINTS"]
wanted = []
for line in filter(None, os.environ.get("FAULT_AT", "").split("\\n")):
    identity, event, fragment, number = line.split("|")
    wanted.append([identity, event.split(), fragment, int(number)])
lock = threading.Lock()
shift = float(os.environ.get("FAULT_CLOCK") or 0)


def say(identity):
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(place)
        line.sendall(f"{identity} {os.getpid()}".encode())
        line.recv(1)


def listen(name, arguments):
    for each in wanted:
        if name in each[1] and (not each[2] or any(each[2] in text(argument) for argument in arguments)):
            with lock:
                each[3] -= 1
                reached = each[3] == 0
            if reached:
                say(each[0])


def text(value):
    if isinstance(value, (bytes, bytearray)):
        return bytes(value[:2000]).decode("latin-1")
    if isinstance(value, (list, tuple)):
        return " ".join(map(text, value))
    return value if isinstance(value, str) else ""


if wanted:
    sys.addaudithook(listen)
if shift:
    real, told = time.time, []

    def shifted():
        if not told:
            told.append(1)
            say("clock")
        return real() + shift

    time.time = shifted
"""


@dataclasses.dataclass
class _Point:
    event: str
    fragment: str
    number: int
    action: Action


class Points:
    """Listens on a socket below ``folder``. ``environment`` is what a pass is started with."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder / "points"
        self._folder.mkdir()
        (self._folder / "sitecustomize.py").write_text(_LISTENER, encoding="utf-8")
        self._points: dict[str, _Point] = {}
        self.clock = 0.0
        self.clock_was_read = False
        self._socket = socket.socket(socket.AF_UNIX)
        # A path of a socket holds 107 bytes.
        self._address = str(self._folder / "s")
        self._socket.bind(self._address)
        self._socket.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    @contextlib.contextmanager
    def at(
        self, event: str, fragment: str, action: Action, number: int = 1
    ) -> collections.abc.Iterator[None]:
        """At the ``number``-th ``event`` (or one of several, parted by spaces) with ``fragment`` in an argument."""
        identity = f"p{id(action)}"
        self._points[identity] = _Point(event, fragment, number, action)
        try:
            yield
        finally:
            del self._points[identity]

    def environment(self) -> dict[str, str]:
        at = [f"{key}|{each.event}|{each.fragment}|{each.number}" for key, each in self._points.items()]
        if not at and not self.clock:
            return {}
        return {
            LISTENER: str(self._folder),
            "FAULT_POINTS": self._address,
            "FAULT_AT": "\n".join(at),
            "FAULT_CLOCK": str(self.clock),
        }

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._socket.accept()
                threading.Thread(target=self._reached, args=(line,), daemon=True).start()

    def _reached(self, line: socket.socket) -> None:
        with line, contextlib.suppress(OSError):
            identity, _, process = line.recv(200).decode().partition(" ")
            if identity == "clock":
                self.clock_was_read = True
            elif point := self._points.get(identity):
                point.action(int(process))
            line.sendall(b"1")

    def close(self) -> None:
        self._socket.close()
