"""Of many files with one problem, five are logged and the others are counted: a line for each of thousands would bury
everything else in the log and in the mail."""

from __future__ import annotations

import logging
import threading

SHOWN = 5


class Few:
    """Several threads may use it. Call ``show`` for each file, and ``end`` when no more will come. ``rest`` is logged
    with ``arguments`` and the number of files that were not shown."""

    def __init__(self, log: logging.Logger, level: int, rest: str, *arguments: object) -> None:
        self._log, self._level, self._rest, self._arguments = log, level, rest, arguments
        self._lock = threading.Lock()
        self._count = 0

    def show(self, text: str, *arguments: object) -> None:
        if self.counted():
            self._log.log(self._level, text, *arguments)

    def counted(self) -> bool:
        """Count one. Is it among those to be shown?"""
        with self._lock:
            self._count += 1
            return self._count <= SHOWN

    def end(self) -> None:
        with self._lock:
            left, self._count = self._count - SHOWN, 0
        if left > 0:
            self._log.log(self._level, self._rest, *self._arguments, left)
