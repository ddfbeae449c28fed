"""What became of all runs over time: when each was complete, sent, safe and removed, counted by day, week or month.

Pure. Times in seconds since 1970.
"""

from __future__ import annotations

import dataclasses
import datetime
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

from sync_to_azure.transfer.views.records import Record
from sync_to_azure.transfer.ledger.milestones import Milestones

DAY = 86400.0
_MOST_DAYS, _MOST_WEEKS = 45, 400
"""Days of a report up to which it counts each day; up to which each week; above, each month."""


@dataclasses.dataclass(frozen=True, slots=True)
class Arrival:
    """One run that became safe at ``at``. ``rate``: bytes a second from the first byte sent to published, all tries and
    proofs in it; ``wait``: seconds from the look that first found it complete to published. None where not seen.
    """

    at: float
    bytes: int
    rate: float | None
    wait: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Bucket:
    """``label`` for an axis, ``name`` for a table."""

    label: str
    name: str
    runs: int
    bytes: int
    rate: float | None
    wait: float | None
    longest: float | None
    freed: int


def arrival(record: Record, found: Milestones | None) -> Arrival | None:
    run = record.run
    at = run.first_published
    if at is None or not run.is_published:
        return None
    rate = wait = None
    # A run that was read from the lake has a date that is older than what was seen here.
    if found is not None and found.published is not None:
        if found.started is not None and found.published > found.started:
            rate = run.bytes / (found.published - found.started)
        if found.complete is not None and found.published >= found.complete:
            wait = found.published - found.complete
    return Arrival(at, run.bytes, rate, wait)


def buckets(
    records: Iterable[Record], milestones: Mapping[int, Milestones], now: float, days: int
) -> list[Bucket]:
    """The last ``days``, oldest first; empty ones too."""
    label, name, begin = _calendar(days)
    order: dict[datetime.date, None] = {}
    first = _date(now - (days - 1) * DAY)
    for number in range((_date(now) - first).days + 1):
        order[begin(first + datetime.timedelta(days=number))] = None
    arrivals: dict[datetime.date, list[Arrival]] = {each: [] for each in order}
    freed: dict[datetime.date, int] = dict.fromkeys(order, 0)
    for record in records:
        found = milestones.get(record.run.id)
        arrived = arrival(record, found)
        if (
            arrived is not None
            and (day := begin(_date(arrived.at))) in arrivals
            and _date(arrived.at) >= first
        ):
            arrivals[day].append(arrived)
        if found is not None and found.removed is not None and _date(found.removed) >= first:
            day = begin(_date(found.removed))
            freed[day] = freed.get(day, 0) + record.run.bytes
    return [_bucket(label(day), name(day), arrivals[day], freed[day]) for day in order]


def _bucket(label: str, name: str, arrivals: Sequence[Arrival], freed: int) -> Bucket:
    rates = [each.rate for each in arrivals if each.rate is not None]
    waits = [each.wait for each in arrivals if each.wait is not None]
    return Bucket(
        label,
        name,
        len(arrivals),
        sum(each.bytes for each in arrivals),
        statistics.median(rates) if rates else None,
        statistics.median(waits) if waits else None,
        max(waits) if waits else None,
        freed,
    )


Text = Callable[[datetime.date], str]


def _calendar(days: int) -> tuple[Text, Text, Callable[[datetime.date], datetime.date]]:
    """How a bucket is called on an axis and in a table, and the day on which it begins."""
    if days <= _MOST_DAYS:
        return lambda day: f"{day:%d %b}", lambda day: f"{day:%Y-%m-%d}", lambda day: day
    if days <= _MOST_WEEKS:
        return (
            lambda day: f"{day:%d %b}",
            lambda day: f"week from {day:%Y-%m-%d}",
            lambda day: day - datetime.timedelta(days=day.weekday()),
        )
    return lambda day: f"{day:%b %y}", lambda day: f"{day:%Y-%m}", lambda day: day.replace(day=1)


def _date(seconds: float) -> datetime.date:
    """The day on this machine's clock; a time that no calendar holds counts as long ago."""
    try:
        return datetime.datetime.fromtimestamp(seconds).date()
    except (ValueError, OverflowError, OSError):
        return datetime.date.min
