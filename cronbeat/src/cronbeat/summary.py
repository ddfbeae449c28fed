"""What is told of runs: one entry a task, however many runs; the counts leave none out. Pure."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from cronbeat import units

BAD = ("failed", "timeout", "interrupted", "lost")
SHOWN = 10
"""Failures of one task that are listed singly, the newest; all are counted."""
WORDS = {
    "ok": "succeeded",
    "failed": "failed",
    "timeout": "timed out",
    "interrupted": "interrupted",
    "lost": "lost",
    "skipped": "skipped, as their lock was held",
}


def message(kind: str, title: str, tone: str, entries: list[dict[str, Any]], now: float) -> dict[str, Any]:
    """What all formats are made of. ``id`` is the same in every try; ``tone``: good, warning, attention."""
    return {
        "id": uuid.uuid4().hex,
        "kind": kind,
        "host": socket.gethostname(),
        "created": now,
        "title": title,
        "tone": tone,
        "entries": entries,
    }


def of_runs(runs: Sequence[Mapping[str, Any]], now: float) -> dict[str, Any]:
    """``runs``: rows of runs that ended, the oldest first, at least one."""
    tasks: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for run in runs:
        tasks.setdefault((run["file"], run["task"]), []).append(run)
    entries = [_entry(file, task, of_task) for (file, task), of_task in tasks.items()]
    order = {"attention": 0, "warning": 1, "good": 2}
    entries.sort(key=lambda entry: order[entry["tone"]])
    bad = sum(run["outcome"] in BAD for run in runs)
    title = f"{socket.gethostname()}: {_counted(len(runs), 'run')}, " + (
        f"{bad} not well" if bad else "all well"
    )
    return message("summary", title, entries[0]["tone"], entries, now)


def _entry(file: str, task: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts = {outcome: sum(run["outcome"] == outcome for run in runs) for outcome in WORDS}
    bad = [run for run in runs if run["outcome"] in BAD]
    real = [run for run in runs if run["outcome"] != "skipped"]
    text = ", ".join(f"{count} {WORDS[outcome]}" for outcome, count in counts.items() if count)
    longest = max((run["duration"] or 0 for run in runs), default=0)
    memory = max((run["memory"] or 0 for run in runs), default=0)
    if real:
        text += f"; at most {units.spoken(longest)}, {units.megabytes(memory)}"
    lines = []
    if bad:
        lines = [f"{units.moment(bad[-1]['started'])}: {bad[-1]['reason']}", *bad[-1]["tail"].splitlines()]
    tone = "good"
    if bad:
        tone = "attention" if real[-1]["outcome"] != "ok" else "warning"  # warning: it went well again since
    return {
        "task": task,
        "file": file,
        "tone": tone,
        "text": text,
        "lines": lines,
        "counts": {outcome: count for outcome, count in counts.items() if count},
        "longest": longest,
        "memory": memory,
        "failures": [
            {key: run[key] for key in ("uid", "started", "duration", "outcome", "code", "reason", "tail")}
            for run in bad[-SHOWN:]
        ],
    }


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
