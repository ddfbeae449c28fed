"""Faults that tests make: a network that stalls or refuses, a disk that is full, an AzCopy that misbehaves."""

from __future__ import annotations

import collections.abc
import contextlib
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
import typing
import urllib.parse

from embedded.azurite import Azurite

SIGNATURE = re.compile(rb"sig=(?!-?REDACTED|\*\*\*)[A-Za-z0-9%+/=_-]{8,}", re.IGNORECASE)


class Proxy:
    """Forwards to a port of the loopback until told otherwise.

    ``on_request`` gets the first line of each request as it passes, before it is forwarded. ``refusing`` ends all
    lines and takes no new ones. ``rate``: bytes a second towards the server, all lines together. ``drip``: seconds
    between two bytes of what the server says.
    """

    def __init__(self, port: int, on_request: collections.abc.Callable[[str], None] | None = None) -> None:
        self._target = port
        self.on_request = on_request
        self.refusing = False
        self.rate: float | None = None
        self.drip: float | None = None
        self.said = threading.Event()
        """Something came from the server."""
        self.go_on = threading.Event()
        """Drip no more."""
        self.requests: list[str] = []
        self._gate = threading.Lock()
        self._lines: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/{Azurite.account}"

    def refuse(self) -> None:
        self.refusing = True
        for line in self._lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refusing:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                self._lines += [client, server]
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=self._down, args=(server, client), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if re.match(rb"(PUT|GET|HEAD|POST|DELETE) /", data):
                    request = urllib.parse.unquote(data.split(b"\r\n", 1)[0].decode("latin-1"))
                    self.requests.append(request)
                    if self.on_request is not None:
                        self.on_request(request)
                if self.refusing:
                    break
                if self.rate is not None:
                    with self._gate:
                        time.sleep(len(data) / self.rate)
                server.sendall(data)
        self._hang_up(client, server)

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                self.said.set()
                if self.drip is None:
                    client.sendall(data)
                    continue
                for byte in data:
                    client.sendall(bytes([byte]))
                    self.go_on.wait(self.drip or 0)
        self._hang_up(client, server)

    def _hang_up(self, *lines: socket.socket) -> None:
        for line in lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def close(self) -> None:
        self.go_on.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.refuse()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def small_disk(folder: pathlib.Path, kilobytes: int) -> collections.abc.Iterator[pathlib.Path]:
    """A file system of so many KiB at ``folder``."""
    folder.mkdir(exist_ok=True)
    options = f"size={kilobytes}k,mode=0777"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def broken_file(path: pathlib.Path) -> collections.abc.Iterator[None]:
    """Until the end, reading ``path`` answers EIO, as a share whose disk fails: nothing is mapped at address 0."""
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    path.touch()
    subprocess.run(["mount", "--bind", f"/proc/{sleeper.pid}/mem", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)
        sleeper.kill()
        sleeper.wait()


AZCOPY_FAILS = (
    """echo '{"MessageType":"EndOfJob","MessageContent":"{\\"JobStatus\\":\\"Failed\\"}"}'; exit 1"""
)
"""For a stand-in of AzCopy that sends nothing and reports its end: one that does not is not started again."""


def stand_in(path: pathlib.Path, body: str) -> pathlib.Path:
    """A program at ``path`` that runs ``body`` in sh."""
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def azcopy_that(path: pathlib.Path, real: pathlib.Path, before: str = ":", after: str = ":") -> pathlib.Path:
    """The real AzCopy, with something done ``before`` it copies, or ``after`` it has copied."""
    return stand_in(
        path,
        f'[ "$1" = copy ] || exec {shlex.quote(str(real))} "$@"\n{before}\n'
        f'{shlex.quote(str(real))} "$@"; code=$?\n{after}\nexit $code',
    )


def write_run(
    main_folder: pathlib.Path, name: str, files: int = 3, size: int = 1000, complete: bool = True
) -> pathlib.Path:
    """A run of ``files`` files whose bytes nobody else has, and RTAComplete.txt."""
    folder = main_folder / name
    (folder / "Data").mkdir(parents=True)
    for number in range(files):
        (folder / "Data" / f"{number}.bcl").write_bytes(os.urandom(size))
    if complete:
        (folder / "RTAComplete.txt").write_text("done\n", encoding="utf-8")
    return folder


def blobs(container: typing.Any) -> set[str]:
    return set(container.list_blob_names())


def told(outcome: typing.Any, code: int, *words: str) -> None:
    """It ended with ``code``; each of ``words`` was said; no traceback came out, and no signature."""
    assert outcome.returncode == code, outcome.output
    for word in words:
        assert word in outcome.output, outcome.output
    assert "Traceback" not in outcome.output and "internal error" not in outcome.output, outcome.output
    assert not SIGNATURE.search(outcome.output.encode()), outcome.output


def assert_no_secret(
    folder: pathlib.Path, outcome: typing.Any, secrets: collections.abc.Iterable[str], but: tuple[str, ...]
) -> None:
    """None of ``secrets``, nor any signature of a SAS, in the output or in a file below ``folder``; files whose names
    are in ``but`` (where a secret was given to us) are left out."""
    wanted = [secret.encode() for secret in secrets]
    places = {"output": outcome.output.encode()}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name not in but and path.suffix != ".cfg":
            places[str(path)] = path.read_bytes()
    for place, content in places.items():
        for secret in wanted:
            assert secret not in content, f"{secret!r} in {place}"
        assert not SIGNATURE.search(content), f"{SIGNATURE.search(content)} in {place}"
