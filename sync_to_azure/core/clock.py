"""The one clock. Everything that asks for the time asks a Clock, so that tests can move it."""

from __future__ import annotations

import datetime
import time
from typing import Protocol


class Clock:
    """Wall time in seconds since the epoch (UTC), monotonic time for durations, and sleeping."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        """As ``monotonic``, but the time that the machine sleeps counts as well."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


_EARLIEST_NS, _LATEST_NS = -(2**63), 2**63 - 1


class Times(Protocol):
    """What is used of ``os.stat_result``."""

    @property
    def st_mode(self) -> int: ...

    @property
    def st_size(self) -> int: ...

    @property
    def st_mtime_ns(self) -> int: ...

    @property
    def st_ctime_ns(self) -> int: ...


def mtime_ns(status: Times) -> int:
    """The modification time in ns since 1970, held within 64 bits (1677 to 2262): file systems hold later ones (ext4 up
    to 2446, tmpfs anything), and a clock that is far off writes them; SQLite cannot. Compare only what came from here.
    """
    return _held(status.st_mtime_ns)


def ctime_ns(status: Times) -> int:
    """When the file was changed last in any way, held as ``mtime_ns``: a share tells what its server believes."""
    return _held(status.st_ctime_ns)


def _held(nanoseconds: int) -> int:
    return max(_EARLIEST_NS, min(nanoseconds, _LATEST_NS))


def iso(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 with zone, whole seconds, e.g. 2026-11-22T10:00:00+00:00."""
    # Three times as fast as datetime's isoformat, which `status --json` of ten thousand runs would show.
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))


def local_time(seconds: float) -> str:
    """Seconds since the epoch as a person reads it on this machine: 10:00 CET today, else with the date."""
    try:
        moment = datetime.datetime.fromtimestamp(seconds).astimezone()
    except (ValueError, OverflowError, OSError):
        # A quiet time of a million days, say.
        return f"{seconds:.0f} s after 1970"
    if moment.date() == datetime.date.today():
        return moment.strftime("%H:%M %Z")
    return moment.strftime("%Y-%m-%d %H:%M %Z")
