"""`reverify-after`: which published runs get a thorough look in this pass, because nobody looked at them for so long.

A few in each pass, so that a pass stays short and in time each run has its turn. Pure.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping

from sync_to_azure.transfer.ledger import Run
from sync_to_azure.core.model import State

RUNS_A_PASS = 5
FILES_A_PASS = 200_000
"""A look walks and lists: so many files cost about a minute. One run is looked at, however large it is."""

_AT_REST = (State.PUBLISHED, State.REMOVED, State.GONE)
"""What is flagged or failing is looked at in every pass anyway, and must not take the turn of others."""


def _is_at_rest(run: Run) -> bool:
    return run.state in _AT_REST or (run.reason is not None and run.reason.code == "continuous")


def due(
    runs: Iterable[Run], audited: Mapping[str, float], now: float, days: float, only: str | None
) -> frozenset[str]:
    """Keys of the runs whose last verdict, or good listing by an audit (``audited``, seconds since 1970), is longer ago
    than ``days``; the oldest first, as many as a pass has room for. 0 days: none."""
    if days <= 0:
        return frozenset()
    looked = {
        run.key: max(run.verified_at or 0.0, run.published_at or 0.0, audited.get(run.key, 0.0))
        for run in runs
        if run.is_published and _is_at_rest(run) and (only is None or fnmatch.fnmatchcase(run.key, only))
    }
    old = sorted((at, key) for key, at in looked.items() if at < now - days * 86400)
    files = {run.key: run.files for run in runs}
    chosen: list[str] = []
    total = 0
    for _, key in old[:RUNS_A_PASS]:
        total += files[key]
        if chosen and total > FILES_A_PASS:
            break
        chosen.append(key)
    return frozenset(chosen)
