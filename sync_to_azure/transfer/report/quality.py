"""What InterOp says of a run: yield, Q30 and density, by lane, read and cycle; or why nothing is known."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sync_to_azure.files.folder import Folder, is_gone_or_replaced

LIMIT = 120.0
"""Seconds for one run: hundreds of megabytes over a share."""


@dataclasses.dataclass(frozen=True, slots=True)
class LaneQuality:
    """One read of one lane. ``yield_g`` in 10⁹ bases, ``q30`` and ``pf`` in percent, densities in 1,000 clusters a mm²,
    ``reads_pf_m`` in millions; None where InterOp does not say."""

    lane: int
    read: int
    index: bool
    yield_g: float | None
    q30: float | None
    density_k: float | None
    density_pf_k: float | None
    pf: float | None
    reads_pf_m: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Quality:
    """``cycles``: for each lane, percent of Q30 and more by cycle. ``problem``: why there is nothing, in words."""

    lanes: tuple[LaneQuality, ...] = ()
    cycles: Mapping[int, tuple[tuple[int, float], ...]] = dataclasses.field(default_factory=dict)
    problem: str = ""


def read(run: Folder) -> Quality:
    """Of a run folder; never raises for what it finds there."""
    try:
        with run.folder(b"InterOp") as folder, folder.entries() as entries:
            if next(entries, None) is None:
                return Quality(problem="its InterOp folder is empty")
    except OSError as error:
        if is_gone_or_replaced(error):
            return Quality(problem="it has no InterOp folder")
        return Quality(problem=f"its InterOp folder cannot be read: {error.strerror}")
    try:
        with tempfile.TemporaryDirectory(prefix="sync_to_azure-interop-") as links:
            return _read_apart(run, links)
    except OSError as error:
        return Quality(problem=f"its InterOp cannot be read: {error.strerror}")


def _read_apart(run: Folder, links: str) -> Quality:
    """In another process. Raises OSError."""
    command = [sys.executable, "-m", "sync_to_azure.transfer.report.interop_reader", str(run.handle), links]
    project = str(Path(__file__).parents[3])
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": project,
        "OPENBLAS_NUM_THREADS": "1",
    }
    try:
        done = subprocess.run(
            command,
            env=environment,
            pass_fds=[run.handle],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Quality(problem=f"its InterOp could not be read in {LIMIT:g} s")
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return Quality(problem="its InterOp cannot be read: Illumina's library ended without an answer")
    if "problem" in found:
        return Quality(problem=f"its InterOp cannot be read: {found['problem']}")
    quality = parsed(found)
    quality = dataclasses.replace(quality, lanes=tuple(filter(_says_something, quality.lanes)))
    if not quality.lanes and not quality.cycles:
        return Quality(problem="its InterOp holds nothing that Illumina's library can read")
    return quality


def _says_something(lane: LaneQuality) -> bool:
    """Of metrics that are cut off the library gives lanes of nothing but zeros."""
    return any((lane.yield_g, lane.q30, lane.density_k, lane.reads_pf_m))


def parsed(values: Mapping[str, Any]) -> Quality:
    """From JSON, of the reader or as it was kept. Raises ValueError for what is neither."""
    try:
        lanes = tuple(LaneQuality(**each) for each in values["lanes"])
        cycles = {
            int(each["lane"]): tuple((int(cycle), float(value)) for cycle, value in each["q30"])
            for each in values["cycles"]
        }
        return Quality(lanes, cycles, str(values.get("problem", "")))
    except (KeyError, TypeError) as error:
        raise ValueError(f"no quality: {error}") from error


def unparsed(quality: Quality) -> dict[str, Any]:
    return {
        "lanes": [dataclasses.asdict(lane) for lane in quality.lanes],
        "cycles": [{"lane": lane, "q30": points} for lane, points in quality.cycles.items()],
        "problem": quality.problem,
    }
