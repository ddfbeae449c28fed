"""Reads a run's InterOp with Illumina's own library, in a process of its own: python -m …interop_reader HANDLE FOLDER.

The library is C++ and reads binary files that may be cut off or damaged: whatever it does to its process, the report
goes on. It takes paths only, and would follow links: HANDLE is the run folder, open; FOLDER, empty, gets the run's
layout, made of links to the files that were opened below that handle. Prints one JSON object: ``{"lanes": […],
"cycles": […]}`` (``quality.Quality``) or ``{"problem": "…"}``.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import resource
import sys
from typing import Any

from sync_to_azure.files.folder import Folder

_MOST_MEMORY = 8 * 2**30
_MOST_LANES = 16
_DESCRIBED = ("RunInfo.xml", "RunParameters.xml", "runParameters.xml")
"""What the library reads besides InterOp."""
_OF_A_CYCLE = re.compile(r"C[0-9]{1,4}\.1")
"""InterOp/C12.1: metrics of one cycle, as long as a run goes on."""


def main() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        link(Folder(int(sys.argv[1]), b"run"), sys.argv[2])
        found = read(sys.argv[2])
    except Exception as error:  # SWIG's exceptions have no root of their own but Exception
        first = (str(error).strip().splitlines() or [""])[0]
        found = {"problem": f"{type(error).__name__.replace('_', ' ')}: {first}"[:200]}
    print(json.dumps(found))
    return 0


def link(run: Folder, folder: str) -> list[int]:
    """Of what the library would open, all that are regular files and not reached by a link. The handles stay open: the
    links lead to them."""
    handles: list[int] = []
    names = list(_DESCRIBED)
    with run.folder(b"InterOp") as interop, interop.entries() as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    os.mkdir(os.path.join(folder, "InterOp"))
    names += [f"InterOp/{name}" for name, is_folder in found if not is_folder]
    for name in sorted(name for name, is_folder in found if is_folder and _OF_A_CYCLE.fullmatch(name)):
        with contextlib.suppress(OSError), run.folder(os.fsencode(f"InterOp/{name}")) as cycle:
            os.mkdir(os.path.join(folder, "InterOp", name))
            with cycle.entries() as entries:
                names += [f"InterOp/{name}/{entry.name}" for entry in entries]
    for name in names:
        try:
            handle, _ = run.file(os.fsencode(name))
        except OSError as error:
            if error.errno == errno.EMFILE:
                break
            continue
        handles.append(handle)
        os.symlink(f"/proc/self/fd/{handle}", os.path.join(folder, name))
    return handles


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
