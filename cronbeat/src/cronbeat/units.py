"""Durations and sizes as people write and read them, and times of day. Pure."""

from __future__ import annotations

import datetime
import math
import re

SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def duration(value: object) -> float:
    """Seconds of ``90``, ``"90s"``, ``"15m"``, ``"2h"``, ``"1d"``, ``"1w"``. ValueError, also if not above 0."""
    return _quantity(value, SECONDS, "a duration such as 90s, 15m, 2h or 1d")


def size(value: object) -> int:
    """Bytes of ``5000``, ``"64K"``, ``"1M"``, ``"2G"``. ValueError, also if not above 0."""
    return int(_quantity(value, BYTES, "a size such as 64K, 1M or 2G"))


def _quantity(value: object, units: dict[str, int], what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"is not {what}")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(value).strip().lower())
    if match is None or match[2] not in units:
        raise ValueError(f"is not {what}")
    number = float(match[1]) * units[match[2]]
    if not 0 < number < 1e12 or not math.isfinite(number):
        raise ValueError("must be above 0 and not absurdly large")
    return number


def spoken(seconds: float) -> str:
    """``0.4 s``, ``59 s``, ``3 min 20 s``, ``2 h 5 min``, ``4 d 3 h``."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for large, large_name, small, small_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= large:
            rest = whole % large // small
            return f"{whole // large} {large_name}" + (f" {rest} {small_name}" if rest else "")
    return f"{whole} s"


def moment(epoch: float) -> str:
    """Local time with its offset, to the second: ``2026-11-22T15:04:05+01:00``."""
    return datetime.datetime.fromtimestamp(epoch).astimezone().isoformat(timespec="seconds")


def megabytes(kibibytes: int) -> str:
    return f"{kibibytes / 1024:.0f} MiB"
