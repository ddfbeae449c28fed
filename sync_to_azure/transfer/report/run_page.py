"""What the page of one run shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sync_to_azure.transfer.views.records import Record
from sync_to_azure.transfer.views.sentences import sentence, zoned
from sync_to_azure.transfer.ledger.reader import LedgerReader
from sync_to_azure.transfer.report import charts
from sync_to_azure.transfer.report.charts import Axis, Chart
from sync_to_azure.transfer.report.lines import happened, line
from sync_to_azure.transfer.report.quality import LaneQuality, Quality
from sync_to_azure.transfer.report.run_source import About
from sync_to_azure.notify.redact import plain
from sync_to_azure.notify.terminal import human_size

_EVENTS, _NAMES = 200, 50


def values(
    ledger: LedgerReader, record: Record, page: str, about: About | None, names: bool
) -> dict[str, Any]:
    """What the template asks for."""
    run = record.run
    events = ledger.events(run)
    skipped = ledger.uncarried(run)
    kinds = Counter(kind for _, kind, _ in skipped)
    quality = (
        about.quality if about is not None else Quality(problem="its folder is not at the source any more")
    )
    return {
        "line": line(record, page, names),
        "answer": sentence([record], [record], True),
        "state": str(run.state),
        "state_words": record.state_words,
        "uploaded": uploaded(record),
        "evidence": [
            (evidence.label, f"{count:,}".replace(",", "\u202f"), human_size(size))
            for evidence, (count, size) in sorted(ledger.evidence(run).items(), reverse=True)
        ],
        "not_uploaded": [(kind, str(count)) for kind, count in sorted(kinds.items())],
        "not_uploaded_names": [plain(path) for path, _, _ in skipped[:_NAMES]] if names else [],
        "facts": facts(about) if about is not None else [],
        "no_facts": about.recognised if about is not None else "its folder is not at the source any more",
        "kept": about is not None and not about.there,
        "charts": [chart for chart in drawn(quality) if chart is not None],
        "lanes": [_lane(lane) for lane in quality.lanes],
        "no_quality": plain(quality.problem) or "InterOp holds no values",
        "history": [(zoned(event.at), happened(event, names)) for event in events[-_EVENTS:]],
        "history_left": max(len(events) - _EVENTS, 0),
    }


def uploaded(record: Record) -> list[tuple[str, str]]:
    run = record.run
    found = [("first seen", zoned(run.first_seen))]
    if run.files:
        found.append(("files", f"{run.files:,}".replace(",", "\u202f")))
        found.append(("size", human_size(run.bytes)))
    if run.published_at is not None:
        again = f", the {run.generation}. time" if run.generation > 1 else ""
        found.append(("published", zoned(run.published_at) + again))
    if run.first_published is not None and run.generation > 1:
        found.append(("first published", zoned(run.first_published)))
    if run.verified_at is not None:
        found.append(("verified last", zoned(run.verified_at)))
    if record.evidence is not None:
        found.append(("weakest evidence", record.evidence.label))
    if record.audited is not None and record.audited.listed_at is not None:
        found.append(("audited last", zoned(record.audited.listed_at)))
    if record.audited is not None and record.audited.read_at is not None:
        found.append(("read back by an audit", zoned(record.audited.read_at)))
    return found


_WORDS = {
    "run_id": "run",
    "number": "run number",
    "instrument": "instrument",
    "instrument_type": "type",
    "flowcell": "flow cell",
    "flowcell_type": "type of flow cell",
    "software_version": "version",
    "analysis_version": "version of analysis",
    "movies": "movies",
    "cells": "SMRT cells",
}


def facts(about: About) -> list[tuple[str, str]]:
    found = [("family", about.family)] if about.family else []
    found += [(_WORDS.get(key, key.replace("_", " ")), _value(value)) for key, value in about.facts.items()]
    if about.outcome:
        found.append(("how it ended", about.outcome))
    return [(plain(label), plain(value)) for label, value in found]


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(each, Mapping) and "cycles" in each for each in value):
            return (
                " + ".join(f"{each['cycles']}{' (index)' if each.get('index') else ''}" for each in value)
                + " cycles"
            )
        return ", ".join(_value(each) for each in value)
    return str(value)


def drawn(quality: Quality) -> list[Chart | None]:
    lanes = sorted({lane.lane for lane in quality.lanes})
    if len(lanes) < 2:
        return [by_cycle(quality)]  # one bar says less than its number in the table
    reads = [lane for lane in quality.lanes if not lane.index]
    axis = Axis("lane", [str(lane) for lane in lanes], [f"lane {lane}" for lane in lanes])
    first = {lane.lane: lane for lane in reversed(quality.lanes)}
    both = {
        "all": [first[lane].density_k for lane in lanes],
        "passing filter": [first[lane].density_pf_k for lane in lanes],
    }
    return [
        by_cycle(quality),
        charts.bars("yield", "Yield", "Gb", axis, {"yield": [_sum(reads, lane) for lane in lanes]}),
        charts.bars("density", "Cluster density", "k/mm²", axis, both),
    ]


def by_cycle(quality: Quality) -> Chart | None:
    if not quality.cycles:
        return None
    numbers = range(1, max(cycle for points in quality.cycles.values() for cycle, _ in points) + 1)
    axis = Axis("cycle", [str(number) for number in numbers], [f"cycle {number}" for number in numbers])
    series = {}
    for lane, points in sorted(quality.cycles.items()):
        known = dict(points)
        series[f"lane {lane}"] = [known.get(number) for number in numbers]
    return charts.lines(
        "q30", "Base calls of Q30 and more, by cycle", "%", axis, series, dots=False, zero=False
    )


def _sum(reads: Sequence[LaneQuality], lane: int) -> float | None:
    found = [each.yield_g for each in reads if each.lane == lane and each.yield_g is not None]
    return sum(found) if found else None


def _lane(lane: LaneQuality) -> tuple[str, ...]:
    name = f"lane {lane.lane}, read {lane.read}{' (index)' if lane.index else ''}"
    found = (lane.yield_g, lane.q30, lane.density_k, lane.pf, lane.reads_pf_m)
    return name, *("–" if value is None else f"{value:.1f}" for value in found)
