"""The one clock. Everything that asks for the time asks a Clock, so that tests can move it."""

from __future__ import annotations

import datetime
import time


class Clock:
    """Wall time in seconds since the epoch (UTC), monotonic time for durations, and sleeping."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def iso(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 with zone, whole seconds, e.g. 2026-11-22T10:00:00+00:00."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat(timespec="seconds")


def local_time(seconds: float) -> str:
    """Seconds since the epoch as a person reads it on this machine: 10:00 today, else with the date."""
    moment = datetime.datetime.fromtimestamp(seconds)
    if moment.date() == datetime.date.today():
        return moment.strftime("%H:%M")
    return moment.strftime("%Y-%m-%d %H:%M")
