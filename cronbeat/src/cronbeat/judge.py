"""Whether a task is well: decided from what is known of it and the time, and from nothing else. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from cronbeat import units


@dataclasses.dataclass(frozen=True, slots=True)
class Watched:
    """What is known of one task. ``running_since``: the oldest run that lives; ``started``: the newest run, if any;
    ``last``: the newest run that ended, skipped ones aside. Times in seconds since 1970."""

    file: str
    name: str
    expected_every: float | None
    longest: float | None
    first_seen: float
    last_success: float | None
    running_since: float | None
    started: float | None
    last: Mapping[str, Any] | None

    @property
    def subject(self) -> str:
        return f"{self.file}\t{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """``subject``: ``file`` or ``file<tab>task``. With ``kind`` (late, long, file, task) it is one alarm."""

    subject: str
    kind: str
    text: str


def due(task: Watched) -> float | None:
    """When the next success is expected at the latest; None where nothing is."""
    if task.expected_every is None:
        return None
    return max(task.last_success or 0, task.first_seen) + task.expected_every


def problems(task: Watched, now: float) -> list[Problem]:
    found = []
    subject = task.subject
    by = due(task)
    if by is not None and now > by and task.expected_every is not None:
        found.append(
            Problem(
                subject, "late", f"{_absence(task, now)} (expected every {units.spoken(task.expected_every)})"
            )
        )
    if (
        task.running_since is not None
        and task.longest is not None
        and now - task.running_since > task.longest
    ):
        text = f"has been running for {units.spoken(now - task.running_since)}"
        found.append(Problem(subject, "long", f"{text} (at most {units.spoken(task.longest)} expected)"))
    return found


def _absence(task: Watched, now: float) -> str:
    if task.started is None:
        return f"was never started in the {units.spoken(now - task.first_seen)} since it is watched"
    if task.last_success is None:
        text = f"has not succeeded in the {units.spoken(now - task.first_seen)} since it is watched"
    else:
        text = f"has not succeeded for {units.spoken(now - task.last_success)}"
    if task.running_since is not None:
        return f"{text}; it is running since {units.moment(task.running_since)}"
    if task.last and task.last["outcome"] != "ok":
        return f"{text}; last run {units.moment(task.last['started'])}: {task.last['outcome']}, {task.last['reason']}"
    return f"{text}; last started {units.moment(task.started)}"
