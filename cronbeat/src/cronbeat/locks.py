"""Locks that end with their holders: flock on a file that is never removed.

The kernel lets a lock go when the last process that has the file open is gone, however it went; nothing has to be
tidied up after a crash or a reboot, and a number in a file can never be mistaken for a living process.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from cronbeat.errors import StateUnavailable

PAUSE = 0.1
"""Seconds between two tries; flock itself cannot wait for a limited time."""


class Lock:
    """Not inherited by children, unless its ``fileno()`` is passed on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateUnavailable(f"lock {path}: cannot be opened ({error.strerror})") from None

    def acquire(self, wait: float = 0.0) -> bool:
        """Whether it is ours, after at most ``wait`` seconds."""
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
            except OSError as error:
                raise StateUnavailable(f"lock {self.path}: cannot be taken ({error.strerror})") from None
            time.sleep(PAUSE)

    def fileno(self) -> int:
        return self._descriptor

    def release(self) -> None:
        """Also for children that still have the file open: they share this one lock."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)


def is_held(path: Path) -> bool:
    """Whether a living process holds a lock on this file. A file that is gone is held by nobody."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # nobody can know: a run must not be called lost for that
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
