"""A run's output: a file of limited size that keeps its beginning and its end, and the last lines in memory."""

from __future__ import annotations

import collections
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from cronbeat.redact import plain

LINES = 5
LONGEST = 500
"""Characters of a line that is told."""


class Tail:
    """The last lines of a stream of bytes; of a line that was overwritten by carriage returns, what stood last."""

    def __init__(self) -> None:
        self._lines: collections.deque[bytes] = collections.deque(maxlen=LINES)
        self._rest = b""

    def write(self, data: bytes) -> None:
        *whole, rest = (self._rest + data).split(b"\n")
        self._lines += [line for each in whole if (line := _last_written(each)).strip()]
        if len(rest) > 16 * LONGEST:
            # Its beginning, which is told: cut at the left, a secret would be told without the name that gives it away.
            rest = _last_written(rest)[: 16 * LONGEST]
        self._rest = rest

    def text(self, redact: Callable[[str], str] = lambda text: text) -> str:
        """At most five lines, made harmless; redacted while they are whole."""
        last = _last_written(self._rest)
        lines = [*self._lines, last] if last.strip() else list(self._lines)
        texts = (redact(plain(line.decode("utf-8", "backslashreplace"))) for line in lines[-LINES:])
        return "\n".join(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…" for text in texts)


def _last_written(line: bytes) -> bytes:
    return line.rstrip(b"\r").rpartition(b"\r")[2]


class RunLog:
    """At most ``limit`` bytes on the disk. Above that, the first half stays, and the second half is a ring.

    The file is locked as long as this object is open: that is how others know that the run lives.
    ``broken``: why nothing is written any more; a full disk is no reason to stop a task.
    """

    def __init__(self, path: Path, limit: int) -> None:
        """OSError if there can be no such file."""
        self.path = path
        self.tail = Tail()
        self.broken = ""
        self._half = max(limit // 2, 1)
        self._total = 0
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def write(self, data: bytes) -> None:
        self.tail.write(data)
        if self.broken:
            return
        try:
            while data:
                data = data[self._write_some(data) :]
        except OSError as error:
            self.broken = error.strerror or str(error)

    def _write_some(self, data: bytes) -> int:
        place, end = self._total, self._half
        if self._total >= self._half:
            place, end = self._half + self._total % self._half, 2 * self._half
        written = os.pwrite(self._file, data[: end - place], place)
        self._total += written
        return written

    def give_up(self) -> None:
        """Give its room back to a full disk: how a run ended is worth more than what it wrote."""
        try:
            os.ftruncate(self._file, 0)
        except OSError as error:
            self.broken = error.strerror or str(error)
        else:
            self.broken = "given up to make room"

    def close(self) -> None:
        """Put the ring in order, with a line where something was left out; then let the lock go."""
        try:
            if self._total > 2 * self._half and not self.broken:
                ring = os.pread(self._file, self._half, self._half)
                seam = self._total % self._half
                note = b"\n[cronbeat: %d bytes left out]\n" % (self._total - 2 * self._half)
                ordered = (note + ring[seam:] + ring[:seam])[: len(note) + self._half]
                os.pwrite(self._file, ordered, self._half)
        except OSError as error:
            self.broken = error.strerror or str(error)
        finally:
            os.close(self._file)
