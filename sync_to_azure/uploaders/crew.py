"""The threads and buffers of a session: readers of large files, and senders, which also read the small ones."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from sync_to_azure.uploaders.buffers import Buffers
from sync_to_azure.uploaders.gate import Gate
from sync_to_azure.uploaders.threads import Cores

Task = Callable[[], None]
"""Raises nothing, and returns soon when that for which it works has to stop; unless a share hangs."""

_LINGER = 2.0
"""Seconds that threads are waited for. One that hangs on a dead share cannot be ended: it is a daemon, and sends
nothing any more."""


class Crew:
    """Threads are started as there is work for them, and stay while the gate's limit allows so many. Used by several
    jobs and files at once, between ``join`` and ``leave``. One that hangs makes it *retired*: a session takes another
    crew from then on, and this one ends when its last user has left it."""

    def __init__(self, gate: Gate, readers: int) -> None:
        self.gate = gate
        self.cores = Cores()
        self.reading = threading.Semaphore(readers)
        self.buffers = Buffers(self.reading)
        self._most_readers = readers
        self._to_read: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._to_send: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._readers: list[threading.Thread] = []
        self._senders: list[threading.Thread] = []
        self._users = 0
        self._is_retired = False
        self._stop = threading.Event()
        gate.watch(self._to_send.empty)

    def read(self, task: Task) -> None:
        self._hand_out(task, self._to_read, self._readers, self._read, self._most_readers)

    def send(self, task: Task) -> None:
        self._hand_out(task, self._to_send, self._senders, self._send, self.gate.limit)

    def _hand_out(
        self,
        task: Task,
        tasks: "queue.SimpleQueue[Task | None]",
        threads: list[threading.Thread],
        work: Callable[[], None],
        most: int,
    ) -> None:
        with self._lock:
            is_open = not self._stop.is_set()
            if is_open:
                tasks.put(task)
                if len(threads) < most and not tasks.empty():
                    _start(work, threads)
        if not is_open:
            # Somebody may wait for its end, which comes at once.
            task()

    def _read(self) -> None:
        # A new thread has the cores of the one that started it.
        self.cores.apart()
        while (task := self._to_read.get()) is not None:
            task()

    def _send(self) -> None:
        self.cores.apart()
        while (task := self._to_send.get()) is not None:
            task()
            if len(self._senders) != self.gate.limit and self._is_one_too_many():
                return

    def _is_one_too_many(self) -> bool:
        """If the limit has shrunk, the calling thread is. If it has grown, another one starts where work waits."""
        with self._lock:
            if self._stop.is_set():
                return False
            count, limit = len(self._senders), self.gate.limit
            if count > limit:
                self._senders.remove(threading.current_thread())
                return True
            if count < limit and not self._to_send.empty():
                _start(self._send, self._senders)
            return False

    def join(self) -> None:
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
        self._end_if_left()

    def retire(self) -> None:
        """Its user calls it before it leaves."""
        self._is_retired = True

    def _end_if_left(self) -> None:
        with self._lock:
            is_over = self._is_retired and not self._users
        if is_over:
            self.close(0.0)

    def close(self, linger: float = _LINGER) -> None:
        """All that works for a user has to stop by now."""
        with self._lock:
            self._stop.set()
            threads = self._readers + self._senders
            # Behind all tasks: none is left without its end.
            for _ in threads:
                self._to_read.put(None)
                self._to_send.put(None)
        deadline = time.monotonic() + linger
        for thread in threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))


def _start(work: Callable[[], None], threads: list[threading.Thread]) -> None:
    thread = threading.Thread(target=work, daemon=True)
    threads.append(thread)
    thread.start()
