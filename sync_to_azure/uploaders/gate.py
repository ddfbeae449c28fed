"""How many requests that carry bytes are in flight at once, and what became of each."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from sync_to_azure.uploaders.concurrency import Concurrency

_log = logging.getLogger(__name__)

_REFUSED_FOR_LOAD = (429, 503)


class Gate(Protocol):
    """One for the threads of a crew; used by all of them at once. The limit may change while a job runs."""

    @property
    def limit(self) -> int:
        """At most so many in flight. So many threads are started as there is work; above it they end after what they
        have begun."""

    def begin_job(self) -> None:
        """Other files from now on, maybe after a pause."""

    def watch(self, has_no_work: Callable[[], bool]) -> None:
        """The crew calls it before anything else: while work waits, as many are in flight as the limit allows."""

    def answered(self, size: int, seconds: float, status: int) -> None:
        """A request with ``size`` bytes took so long, without the wait for ``cap-mbps``; ``status`` of HTTP, 0 where no
        answer came."""


class FixedGate:
    def __init__(self, limit: int) -> None:
        self.limit = limit

    def begin_job(self) -> None:
        pass

    def watch(self, has_no_work: Callable[[], bool]) -> None:
        pass

    def answered(self, size: int, seconds: float, status: int) -> None:
        pass


class AdaptiveGate:
    """Its limit follows what requests do. ``found`` and its ``lock`` are shared with the gates of other crews of the
    same session, and kept from one job to the next."""

    def __init__(
        self,
        found: Concurrency,
        lock: threading.Lock,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        self._found = found
        self._lock = lock
        self._clock = clock
        self._processor = processor
        self._has_no_work: Callable[[], bool] = lambda: False

    @property
    def limit(self) -> int:
        return self._found.limit

    def begin_job(self) -> None:
        with self._lock:
            self._found.begin_job()

    def watch(self, has_no_work: Callable[[], bool]) -> None:
        self._has_no_work = has_no_work

    def answered(self, size: int, seconds: float, status: int) -> None:
        with self._lock:
            before = self._found.limit
            now = self._clock()
            if status == 201:
                self._found.done(now, size, not self._has_no_work(), seconds, self._processor)
            elif status in _REFUSED_FOR_LOAD:
                self._found.refused(now, now - seconds)
            after = self._found.limit
        if after != before:
            _log.debug("%d requests at once instead of %d", after, before)


class Gates:
    """Makes the gates of a session's crews. ``concurrency``: None to find it."""

    def __init__(self, concurrency: int | None) -> None:
        self._fixed = concurrency
        self._found = Concurrency()
        self._lock = threading.Lock()

    def __call__(self) -> Gate:
        return AdaptiveGate(self._found, self._lock) if self._fixed is None else FixedGate(self._fixed)
