"""When each run of a flow was first complete, sent, published and removed: the event table read once, for all runs."""

from __future__ import annotations

import dataclasses
import sqlite3

from sync_to_azure.transfer.ledger.reader import LedgerReader, unreadable


@dataclasses.dataclass(frozen=True, slots=True)
class Milestones:
    """Times in seconds since 1970, None where it was not seen. ``complete``: the first look that missed nothing but the
    quiet time; ``started``: the first byte sent; ``removed``: from the source, by us."""

    complete: float | None
    started: float | None
    published: float | None
    removed: float | None


_QUERY = """
    SELECT run_id,
        min(CASE WHEN code IN ('waiting:not-quiet-yet', 'ready', 'uploading') THEN at END),
        min(CASE WHEN code = 'uploading' THEN at END),
        min(CASE WHEN code = 'published' THEN at END),
        max(CASE WHEN code = 'removed' THEN at END)
    FROM event WHERE flow_id = ? AND run_id IS NOT NULL
        AND code IN ('waiting:not-quiet-yet', 'ready', 'uploading', 'published', 'removed')
    GROUP BY run_id
"""


def milestones(ledger: LedgerReader) -> dict[int, Milestones]:
    """By the run's id. Raises StateUnavailable."""
    try:
        rows = ledger.connection.execute(_QUERY, (ledger.flow_id,)).fetchall()
    except sqlite3.Error as error:
        raise unreadable(ledger.path, error) from error
    return {row[0]: Milestones(*row[1:]) for row in rows}
