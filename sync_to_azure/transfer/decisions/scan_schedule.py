"""Which published runs have their folders looked at in this pass, in which order, and how many of them. Pure.

A file that comes late changes the mtime of the folder that it comes into, and of no folder above. So a look compares
the mtimes of all folders of a run with those that its last walk saw; no file is looked at. Looks are frequent while
late files are likely (analysis on the instrument, base calls that are still being transferred), and rare later.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from typing import NamedTuple

from sync_to_azure.transfer.ledger import Run
from sync_to_azure.core.model import State

HOUR, DAY = 3600.0, 86400.0
SECONDS_A_PASS = 60.0
ENTRIES_A_PASS = 200_000
_EARLY = 300.0
"""Seconds by which a look may come early: passes that start every hour would else look every two hours."""


class Look(NamedTuple):
    """``entries``: how many folders of the run may be looked at; of a run that was never walked, its files."""

    run: Run
    entries: int


def interval(age: float, complete: bool) -> float:
    """Seconds between two looks at a run whose last news is ``age`` seconds old. 0: in every pass."""
    if not complete:
        return 0.0
    if age < 2 * DAY:
        return HOUR
    return DAY if age < 32 * DAY else 7 * DAY


def next_scan(run: Run, now: float) -> float | None:
    """When the folders of a run are due, in seconds since 1970: 0 for a run that is due at once, None for one of which
    nothing is looked at by this schedule (not published, without its folder, or walked by the next pass anyway).
    """
    if run.folder_mtime_ns is None or run.state not in (State.PUBLISHED, State.VERIFIED):
        return None
    if run.folders is None or run.scanned_at is None or run.scanned_at > now:
        # Published by an earlier version; or the clock went back.
        return 0.0
    news = max(run.published_at or run.verified_at or 0.0, run.folders_changed_at or 0.0)
    return run.scanned_at + interval(now - news, run.complete != 0)


def due(
    runs: Iterable[Run], now: float, only: str | None = None, entries: int = ENTRIES_A_PASS
) -> list[Look]:
    """The looks of a pass, the oldest first. What there is no room for comes first in the next pass: a run with more
    folders than are left is looked at in part. One that was never walked is walked whole, the first of a pass however
    large it is."""
    waiting = []
    for run in runs:
        at = next_scan(run, now)
        if at is not None and at - _EARLY <= now and (only is None or fnmatch.fnmatchcase(run.key, only)):
            waiting.append(run)
    # Both parts of a look that ran out of time count as one: what it began is ended first.
    waiting.sort(key=lambda run: (run.scan_cursor is None, run.scanned_at or 0.0, run.key))
    looks: list[Look] = []
    for run in waiting:
        if entries <= 0:
            break
        cost = max(run.files if run.folders is None else run.folders, 1)
        if cost > entries and run.folders is None and looks:
            break
        looks.append(Look(run, cost if run.folders is None else min(cost, entries)))
        entries -= cost
    return looks
