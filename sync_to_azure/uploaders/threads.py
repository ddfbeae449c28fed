"""What the threads of the native uploader share: the cores that they run on, and the blocks of a file under way."""

from __future__ import annotations

import contextlib
import os
import random
import threading

from sync_to_azure.core.errors import SyncError


class Cores:
    """Threads that carry small files share one core. Python runs one of them at a time anyway; on several cores they
    hand its lock to and fro with each of the dozen system calls a file, which doubled wall and processor time (20,000
    files of 10 KB: 10 s instead of 5). Hashing of large buffers needs no lock, and has all cores."""

    def __init__(self) -> None:
        self._all = os.sched_getaffinity(0)
        self._here = threading.local()
        self.choose()

    def choose(self) -> None:
        """Which one it is, for a new job: who else is busy has changed."""
        self._one = {random.choice(sorted(self._all))}

    def together(self) -> None:
        """The calling thread, from now on."""
        self._use(self._one)

    def apart(self) -> None:
        self._use(self._all)

    def _use(self, cores: set[int]) -> None:
        if getattr(self._here, "cores", None) is not cores:
            self._here.cores = cores
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, cores)


class Parts:
    """The blocks of one file that are on their way."""

    def __init__(self) -> None:
        self.error: SyncError | None = None
        self._open = 0
        self._changed = threading.Condition()

    def begin(self) -> None:
        with self._changed:
            self._open += 1

    def end(self, error: SyncError | None) -> None:
        with self._changed:
            self._open -= 1
            self.error = self.error or error
            self._changed.notify_all()

    def wait(self) -> None:
        """Until all have ended: they do so at once where they have to stop, and their calls were cut off."""
        with self._changed:
            while self._open:
                self._changed.wait()
