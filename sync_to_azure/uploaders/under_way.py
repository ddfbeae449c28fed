"""One job, or one single file, that is under way: whether it has to stop, and what has moved."""

from __future__ import annotations

import threading
import time

from sync_to_azure.core.errors import UploadFailed
from sync_to_azure.uploaders.gate import Gate


class UnderWay:
    """Shared by all threads that work for it. ``gate``: that of the crew which does."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.stop = threading.Event()
        self._lock = threading.Lock()
        self._bytes = 0
        self._signs = 0
        self._in_hand = 0
        self._seen = 0
        self._seen_at = time.monotonic()

    @property
    def bytes(self) -> int:
        """That are through."""
        return self._bytes

    def moved(self, size: int) -> None:
        """0: a sign of life."""
        with self._lock:
            self._bytes += size
            self._signs += 1

    def alive(self) -> None:
        """A sign of life. Raises UploadFailed if it has to stop."""
        self.go_on()
        self.moved(0)

    def go_on(self) -> None:
        if self.stop.is_set():
            raise UploadFailed("stopped")

    def took(self) -> None:
        """A thread began with a file of it."""
        with self._lock:
            self._in_hand += 1
            self._signs += 1

    def put_down(self) -> None:
        with self._lock:
            self._in_hand -= 1

    def raise_if_still(self, longest: float) -> None:
        """Nothing moved for ``longest`` seconds, though each call has its own limit: a share that hangs while it is
        read. What waits for its turn behind the work of others may wait."""
        now = time.monotonic()
        if self._signs != self._seen or not self._in_hand:
            self._seen, self._seen_at = self._signs, now
        elif now - self._seen_at > longest:
            raise UploadFailed(f"nothing moved for {longest:g} s", "check the share and the network")
