"""How many requests that carry bytes are in flight at once, and what became of each."""

from __future__ import annotations

import threading
from typing import Protocol


class Gate(Protocol):
    """One for the threads of a session; used by all of them at once. The limit may change while a job runs."""

    @property
    def limit(self) -> int:
        """At most so many in flight. So many threads are started as there is work; they stay when it shrinks."""

    def enter(self, stop: threading.Event) -> bool:
        """Wait for a place, before a thread begins what it took; False if ``stop`` was set first. It holds the place
        over reading (of small files), sending and all tries of one call, and waits of these."""

    def leave(self) -> None:
        """The place is free again. Called once for each ``enter`` that gave one, whatever happened."""

    def answered(self, size: int, seconds: float, status: int) -> None:
        """A request with ``size`` bytes took so long, without the wait for ``cap-mbps``; ``status`` of HTTP, 0 where no
        answer came. May be called without a place: lists of blocks are sent by the readers of files."""


class FixedGate:
    """So many as there are threads: nobody waits."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def enter(self, stop: threading.Event) -> bool:
        return True

    def leave(self) -> None:
        pass

    def answered(self, size: int, seconds: float, status: int) -> None:
        pass
