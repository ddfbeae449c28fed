"""The log file: many processes append to it; it is turned over at 1 MB, and 5 old ones are kept."""

from __future__ import annotations

import logging
import logging.handlers
import os
from pathlib import Path

from cronbeat.locks import Lock

LARGEST = 1_000_000
KEPT = 5


class LogFileHandler(logging.handlers.WatchedFileHandler):
    """The standard rotating handler is for one process only; this one reopens what another has turned over."""

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk must not fill cron's mail with tracebacks, nor stop the task."""


def file_handler(path: Path) -> logging.Handler:
    """OSError if the file cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LARGEST:
        lock = Lock(path.with_name(path.name + ".lock"))
        if lock.acquire():
            try:
                _turn_over(path)
            finally:
                lock.release()
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
    handler = LogFileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(process)d %(message)s"))
    return handler


def _turn_over(path: Path) -> None:
    if not path.exists() or path.stat().st_size <= LARGEST:
        return
    for number in range(KEPT, 1, -1):
        older = path.with_name(f"{path.name}.{number - 1}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number}"))
    path.replace(path.with_name(path.name + ".1"))
