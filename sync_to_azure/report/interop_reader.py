"""Reads a run's InterOp with Illumina's own library, in a process of its own: python -m …interop_reader RUN.

The library is C++ and reads binary files that may be cut off or damaged: whatever it does to its process, the report
goes on. Prints one JSON object: ``{"lanes": […], "cycles": […]}`` (``quality.Quality``) or ``{"problem": "…"}``.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
from typing import Any

_MOST_MEMORY = 8 * 2**30
_MOST_LANES = 16


def main() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        found = read(os.fsdecode(sys.argv[1]))
    except Exception as error:  # SWIG's exceptions have no root of their own but Exception
        first = (str(error).strip().splitlines() or [""])[0]
        found = {"problem": f"{type(error).__name__.replace('_', ' ')}: {first}"[:200]}
    print(json.dumps(found))
    return 0


def read(run: str) -> dict[str, Any]:
    import interop

    rows = interop.summary(run, level="Lane")
    lanes = [] if rows is None else [_lane(dict(zip(rows.dtype.names or (), row))) for row in rows]
    return {"lanes": lanes, "cycles": _q30_by_cycle(run)}


def _lane(row: dict[str, Any]) -> dict[str, Any]:
    """Densities in thousands of clusters a square millimetre, as Illumina's own viewer has them."""
    return {
        "lane": int(row["Lane"]),
        "read": int(row["ReadNumber"]),
        # The library gives the character: N is 78, Y is 89.
        "index": int(row["IsIndex"]) == ord("Y"),
        "yield_g": _number(row, "Yield G"),
        "q30": _number(row, "% >= Q30"),
        "density_k": _number(row, "Density", 1000),
        "density_pf_k": _number(row, "Density Pf", 1000),
        "pf": _number(row, "% Pf"),
        "reads_pf_m": _number(row, "Reads Pf", 10**6),
    }


def _number(row: dict[str, Any], name: str, divisor: float = 1) -> float | None:
    value = float(row.get(name, math.nan))
    return round(value / divisor, 3) if math.isfinite(value) else None


def _q30_by_cycle(run: str) -> list[dict[str, Any]]:
    """For each lane: percent of base calls of Q30 and more, by cycle; empty without QMetrics."""
    from interop import py_interop_plot as plot
    from interop import py_interop_run as parts
    from interop import py_interop_run_metrics as metrics

    wanted = parts.uchar_vector(parts.MetricCount, 0)
    metrics.list_metrics_to_load("Q30Percent", wanted)
    loaded = metrics.run_metrics()
    loaded.read(run, wanted)
    if loaded.empty():
        return []
    layout = loaded.run_info().flowcell()
    series = []
    for lane in range(1, min(int(layout.lane_count()), _MOST_LANES) + 1):
        options = plot.filter_options(layout.naming_method())
        options.lane(lane)
        data = plot.candle_stick_plot_data()
        plot.plot_by_cycle(loaded, "Q30Percent", options, data)
        points = []
        for number in range(data.size()):
            line = data.at(number)
            points += [(int(line.at(at).x()), float(line.at(at).y())) for at in range(line.size())]
        good = [[cycle, round(value, 2)] for cycle, value in sorted(points) if math.isfinite(value)]
        if good:
            series.append({"lane": lane, "q30": good})
    return series


if __name__ == "__main__":
    sys.exit(main())
