"""What the first page shows. Pure but for the clock that it is given."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sync_to_azure.transfer.views.audit_text import brief
from sync_to_azure.transfer.views.records import Record, Records
from sync_to_azure.transfer.views.sentences import at_work, sentence, zoned
from sync_to_azure.transfer.ledger.milestones import Milestones
from sync_to_azure.core.model import State
from sync_to_azure.core.reasons import RunStatus
from sync_to_azure.transfer.report import charts
from sync_to_azure.transfer.report.charts import Axis, Chart
from sync_to_azure.transfer.report.history import DAY, Bucket, arrival, buckets
from sync_to_azure.transfer.report.lines import ASKING, line
from sync_to_azure.transfer.report.run_source import instrument
from sync_to_azure.notify.redact import plain
from sync_to_azure.notify.terminal import human_size, human_time

_MOST_CARDS, _FIRST_LINES, _MOST_LINES = 50, 20, 300
_UNITS = (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0))
_TIMES = (("days", DAY), ("h", 3600.0), ("min", 60.0), ("s", 1.0))


def recent(found: Records, now: float, days: int) -> list[Record]:
    """The newest first: what moved in the last ``days``, and what is not safe."""
    begin = now - days * DAY
    unsafe = {RunStatus.WAITING, RunStatus.HELD, *ASKING}
    chosen = [record for record in found.runs if moved(record) >= begin or record.status in unsafe]
    return sorted(chosen, key=lambda record: (-moved(record), record.run.key))


def moved(record: Record) -> float:
    """When it last became another for whoever waits for it; that a safe run left the source is no news."""
    if record.status is RunStatus.SAFE and record.run.published_at is not None:
        return record.run.published_at
    return max(record.since, record.run.first_seen)


def values(
    found: Records,
    shown: Sequence[Record],
    pages: Mapping[int, str],
    milestones: Mapping[int, Milestones],
    now: float,
    days: int,
    names: bool,
) -> dict[str, Any]:
    """What the template asks for. ``pages``: by the run's id."""
    lines = [line(record, pages.get(record.run.id, ""), names) for record in shown[:_MOST_LINES]]
    asking = [record for record in found.runs if record.status in ASKING]
    asking.sort(key=lambda record: (ASKING.index(record.status), -record.since))
    over_time = buckets(found.runs, milestones, now, days)
    return {
        "answer": sentence(found.runs, found.runs, False),
        "at_work": at_work(found, now),
        "elsewhere": [
            f"{plain(each.run)}, known only at the destination: {brief(each)}" for each in found.elsewhere
        ],
        "tiles": tiles(found, milestones, now, days),
        "asking": [line(record, pages.get(record.run.id, ""), names) for record in asking[:_MOST_CARDS]],
        "asking_left": max(len(asking) - _MOST_CARDS, 0),
        "lines": lines[:_FIRST_LINES],
        "more_lines": lines[_FIRST_LINES:],
        "lines_left": max(len(shown) - _MOST_LINES, 0),
        "charts": [chart for chart in drawn(over_time) if chart is not None],
        "instruments": instruments(found.runs),
    }


def tiles(
    found: Records, milestones: Mapping[int, Milestones], now: float, days: int
) -> list[tuple[str, str]]:
    counts = Counter(record.status for record in found.runs)
    safe = sum(record.run.bytes for record in found.runs if record.run.is_published)
    freed = sum(record.run.bytes for record in found.runs if record.run.state is State.REMOVED)
    waits = [
        arrived.wait
        for record in found.runs
        if (arrived := arrival(record, milestones.get(record.run.id))) is not None
        if arrived.wait is not None and arrived.at >= now - days * DAY
    ]
    last = max((record.run.published_at or 0.0 for record in found.runs), default=0.0)
    return [
        ("Runs that are safe", f"{counts[RunStatus.SAFE]} of {len(found.runs)}"),
        ("Waiting", str(counts[RunStatus.WAITING])),
        ("Need attention", str(counts[RunStatus.NEEDS_ATTENTION])),
        ("Retrying", str(counts[RunStatus.RETRYING])),
        ("Last published", zoned(last) if last else "–"),
        ("From complete to safe, median", human_time(statistics.median(waits)) if waits else "–"),
        ("Published, all time", human_size(safe)),
        ("Freed at the source", human_size(freed)),
    ]


def drawn(found: Sequence[Bucket]) -> list[Chart | None]:
    axis = Axis("when", [each.label for each in found], [each.name for each in found])
    unit, volumes = _scaled([each.bytes for each in found], _UNITS)
    freed_unit, freed = _scaled([each.freed for each in found], _UNITS)
    rate_unit, rates = _scaled([each.rate for each in found], _UNITS)
    both = [*(each.wait for each in found), *(each.longest for each in found)]
    wait_unit, waits = _scaled(both, _TIMES)
    return [
        charts.bars("volume", "Volume published", unit, axis, {"volume": volumes}),
        charts.lines(
            "rate", "Rate of one run, median, with all proofs", f"{rate_unit}/s", axis, {"rate": rates}
        ),
        charts.lines(
            "wait",
            "From complete to safe",
            wait_unit,
            axis,
            {"median": waits[: len(found)], "longest": waits[len(found) :]},
        ),
        charts.bars("freed", "Disk freed at the source", freed_unit, axis, {"freed": freed}),
    ]


def _scaled(
    found: Sequence[float | None], units: Sequence[tuple[str, float]]
) -> tuple[str, list[float | None]]:
    """In the largest unit of which the largest value has two."""
    most = max((value for value in found if value is not None), default=0.0)
    name, size = next(((name, size) for name, size in units if most >= 2 * size), units[-1])
    return name, [None if value is None else value / size for value in found]


def instruments(runs: Sequence[Record]) -> list[tuple[str, ...]]:
    """A row each; runs whose name tells none come last, together."""
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in runs:
        groups[instrument(record.run.key)].append(record)
    rows: list[tuple[str, ...]] = []
    for (family, serial), records in sorted(groups.items(), key=lambda item: (not item[0][0], item[0])):
        counts = Counter(record.status for record in records)
        rows.append(
            (
                plain(" ".join(part for part in (family, serial) if part)) or "not known from their names",
                str(len(records)),
                str(counts[RunStatus.SAFE]),
                str(counts[RunStatus.WAITING]),
                str(counts[RunStatus.NEEDS_ATTENTION] + counts[RunStatus.RETRYING]),
                human_size(sum(record.run.bytes for record in records if record.run.is_published)),
                human_size(sum(record.run.bytes for record in records if record.run.state is State.REMOVED)),
                zoned(max(record.run.first_seen for record in records)),
            )
        )
    return rows
