"""Keeps the cache folder small: runs and logs that are too old, and the oldest logs if all are too large."""

from __future__ import annotations

import contextlib
import time

from cronbeat.locks import is_held
from cronbeat.settings import Settings
from cronbeat.state import State


def prune(settings: Settings, state: State) -> None:
    """Where there is a webhook, no run is forgotten before it was told; logs go by age and size alone."""
    before = time.time() - settings.keep_days * 86400
    state.prune(before, keep_untold=settings.webhook is not None)
    living = state.living_logs()
    logs = []
    for path in state.place.logs.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process prunes too
            look = path.stat()
            logs.append((look.st_mtime, look.st_blocks * 512, path))
    total = sum(size for _, size, _ in logs)
    for changed, size, path in sorted(logs):
        if changed >= before and total <= settings.logs_size:
            break
        if path.name not in living and not is_held(path):
            path.unlink(missing_ok=True)
        total -= size
