"""`list`: every task that is known, how it went last, when it is due."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Sequence
from typing import Any

from cronbeat import check, judge, units
from cronbeat.judge import Watched
from cronbeat.place import prepare
from cronbeat.settings import Settings
from cronbeat.state import State

HEADINGS = ("task", "last start", "took", "memory", "outcome", "due by", "", "file")

logger = logging.getLogger("cronbeat")


def show(settings: Settings, paths: Sequence[str], as_json: bool) -> int:
    for notice in settings.notices:
        logger.warning("%s", notice)
    state = State(prepare(settings.cache))
    try:
        now = time.time()
        state.find_lost()
        broken = check.look(state, [*settings.tasks, *paths], now)
        rows = [row(task, now) for task in state.watched()]
        for problem in broken:
            if problem.kind in ("file", "task"):
                logger.warning("%s %s", problem.subject.rpartition("\t")[2], problem.text)
    finally:
        state.close()
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    elif rows:
        sys.stdout.write(table([HEADINGS, *(_cells(each) for each in rows)]))
    else:
        sys.stdout.write("no task is known yet; try: cronbeat list TASKS.json\n")
    return 0


def row(task: Watched, now: float) -> dict[str, Any]:
    """Times in seconds since 1970, durations in seconds, memory in KiB; None: unknown."""
    last = task.last or {}
    return {
        "task": task.name,
        "file": task.file,
        "started": task.started,
        "running_since": task.running_since,
        "duration": last.get("duration"),
        "memory": last.get("memory"),
        "outcome": last.get("outcome"),
        "code": last.get("code"),
        "reason": last.get("reason"),
        "log": last.get("log"),
        "last_success": task.last_success,
        "due": judge.due(task),
        "problems": [problem.text for problem in judge.problems(task, now)],
    }


def _cells(each: dict[str, Any]) -> tuple[str, ...]:
    outcome = each["outcome"] or ("never run" if each["started"] is None else "")
    if each["outcome"] == "failed":
        outcome += f" ({each['code']})"
    if each["running_since"] is not None:
        outcome = "running" + (f", before: {outcome}" if each["outcome"] else "")
    return (
        each["task"],
        units.moment(each["started"]) if each["started"] else "",
        units.spoken(each["duration"]) if each["duration"] is not None else "",
        units.megabytes(each["memory"]) if each["memory"] else "",
        outcome,
        units.moment(each["due"]) if each["due"] else "",
        "LATE" if each["problems"] else "",
        each["file"],
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)
