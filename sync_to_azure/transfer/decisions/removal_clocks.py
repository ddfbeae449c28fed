"""Two clocks before a removal, ours and the service's: can they be believed, how old is a proof? Pure."""

from __future__ import annotations

import dataclasses
import math

from sync_to_azure.notify.terminal import human_time

MOST_APART = 300.0
"""Seconds by which our clock and the service's may differ; while they differ by more, nothing is removed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Instant:
    """``boot``: seconds by CLOCK_BOOTTIME, which counts the time that the machine sleeps; ``service``: the service's
    date in its last answer, in seconds since 1970, or None if it told none."""

    boot: float
    service: float | None


def problem(ours: float, service: float | None) -> str:
    """Why nothing may be removed by these two clocks, or an empty string. Both in seconds since 1970."""
    if service is None:
        return "the service's answers have no time"
    if abs(ours - service) <= MOST_APART:
        return ""
    which = "ahead of" if ours > service else "behind"
    return f"this machine's clock is {human_time(abs(ours - service))} {which} the service's"


def earlier(ours: float, service: float | None) -> float:
    """The time that what waits for a time goes by."""
    return ours if service is None else min(ours, service)


def age(proved: Instant, asked: Instant, boot: float) -> float:
    """Seconds since ``proved``, of which ``asked`` was told later by the service: the larger of what our machine
    counted and what the service did (a virtual machine that is paused counts nothing). ``boot``: now."""
    if proved.service is None or asked.service is None:
        return math.inf
    return max(boot - proved.boot, asked.service - proved.service + boot - asked.boot)
