"""What is remembered of a run's sample sheet: since when it has been as it is, by our looks; which one was refused."""

from __future__ import annotations

import dataclasses
import json

from sync_to_azure.instruments.completion import Remembered
from sync_to_azure.transfer.ledger.ledger import Ledger
from sync_to_azure.transfer.ledger.run import Run
from sync_to_azure.core.reasons import Reason


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """A new sheet of a published run, by its MD5, and why it is not published; ``at`` in seconds since 1970."""

    md5: bytes
    reason: Reason
    at: float


class Sheets:
    """A row for each run with a sheet that is not published, or was refused; see ``0014_sheets``."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def remembered(self, run: Run) -> Remembered | None:
        row = self._ledger.connection.execute(
            "SELECT seen, since FROM sheet WHERE run_id = ?", (run.id,)
        ).fetchone()
        return None if row is None else Remembered(*row)

    def remember(self, run: Run, seen: Remembered) -> None:
        with self._ledger.transaction() as connection:
            connection.execute(
                "INSERT INTO sheet (run_id, seen, since) VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
                " SET seen = excluded.seen, since = excluded.since",
                (run.id, seen.digest, seen.since),
            )

    def forget(self, run: Run) -> None:
        """It is published."""
        if self.remembered(run) is not None:
            with self._ledger.transaction() as connection:
                connection.execute("DELETE FROM sheet WHERE run_id = ?", (run.id,))

    def refused(self, run: Run) -> Refusal | None:
        row = self._ledger.connection.execute(
            "SELECT refused, why, refused_at FROM sheet WHERE run_id = ? AND refused IS NOT NULL", (run.id,)
        ).fetchone()
        return None if row is None else Refusal(bytes(row[0]), Reason(*json.loads(row[1])), row[2])

    def refuse(self, run: Run, refusal: Refusal) -> None:
        why = json.dumps([refusal.reason.code, dict(refusal.reason.parameters)])
        with self._ledger.transaction() as connection:
            connection.execute(
                "INSERT INTO sheet (run_id, seen, since, refused, why, refused_at) VALUES (?1, '?', ?4, ?2, ?3, ?4)"
                " ON CONFLICT DO UPDATE SET refused = ?2, why = ?3, refused_at = ?4",
                (run.id, refusal.md5, why, refusal.at),
            )
