"""What is remembered of a run's sample sheet: since when it has been as it is, by our looks; which one was refused."""

from __future__ import annotations

from sync_to_azure.completion import Remembered
from sync_to_azure.ledger.ledger import Ledger
from sync_to_azure.ledger.run import Run


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
