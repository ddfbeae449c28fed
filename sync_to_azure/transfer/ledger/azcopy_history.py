"""AzCopy's jobs of each run: how each ended, and when the last credential that AzCopy was given for it expires.

A job is on record before AzCopy starts, so that a kill leaves it there. Its nonce is in the metadata of the blobs that
it uploaded, so a listing shows jobs that a lost ledger forgot.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from sync_to_azure.transfer.ledger.ledger import Ledger
from sync_to_azure.transfer.ledger.run import Run

_BEGUN, _ENDED, _CUT_OFF = "begun", "ended", "cut off"
_RECEIPT = "receipt"


class AzCopyHistory:
    """Times in seconds since 1970. One job of a flow runs at a time, and only while its pass waits for it: whoever asks
    finds a job that is still ``begun`` only if that pass was killed."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._connection = ledger.connection

    def begin(self, run: Run, nonce: str, expires: float, token_life: float) -> None:
        """``expires``: when the credential that AzCopy is given does; ``token_life``: seconds for which a token is
        valid that AzCopy may request at any time while it runs, 0 if it cannot. On disk when this returns."""
        self._connection.execute("PRAGMA synchronous = FULL")
        try:
            with self._ledger.transaction() as connection:
                connection.execute(
                    "INSERT INTO azcopy_job VALUES (?, ?, ?, ?, ?)",
                    (run.id, nonce, expires, token_life, _BEGUN),
                )
        finally:
            self._connection.execute("PRAGMA synchronous = NORMAL")

    def end(self, run: Run, nonce: str, now: float) -> None:
        """It reported its end, or never started."""
        self._close(_ENDED, now, "run_id = ? AND nonce = ?", run.id, nonce)

    def _close(self, outcome: str, now: float, where: str, *parameters: object) -> None:
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE azcopy_job SET outcome = ?,"
                " expires = CASE WHEN token_life > 0 THEN max(expires, ? + token_life) ELSE expires END"
                f" WHERE {where}",
                (outcome, now, *parameters),
            )

    def _close_interrupted(self, run: Run, now: float) -> None:
        found = self._connection.execute(
            "SELECT 1 FROM azcopy_job WHERE run_id = ? AND outcome = ?", (run.id, _BEGUN)
        ).fetchone()
        if found:
            self._close(_CUT_OFF, now, "run_id = ? AND outcome = ?", run.id, _BEGUN)

    def was_cut_off(self, run: Run, now: float) -> bool:
        """Did a job of this run not report its end? A request of it may still be on its way."""
        self._close_interrupted(run, now)
        found = self._connection.execute(
            "SELECT 1 FROM azcopy_job WHERE run_id = ? AND outcome = ?", (run.id, _CUT_OFF)
        )
        return found.fetchone() is not None

    def expiry(self, run: Run, now: float) -> float:
        """When every credential that AzCopy was given for this run has expired; 0 if AzCopy uploaded nothing of it."""
        self._close_interrupted(run, now)
        return expiry(self._connection, run)

    def unknown(self, run: Run, nonces: Collection[str]) -> set[str]:
        """Of the nonces that a listing shows, those of jobs that are not on record here."""
        known = {
            nonce
            for (nonce,) in self._connection.execute(
                "SELECT nonce FROM azcopy_job WHERE run_id = ?", (run.id,)
            )
        }
        return set(nonces) - known

    def note_unknown(self, run: Run, nonces: Collection[str], expires: float) -> None:
        """Jobs of which nothing is known but that they were: as if each had been cut off just now."""
        self._put(run, nonces, expires, _CUT_OFF)

    def note_receipt(self, run: Run, expires: float) -> None:
        """What the receipt says of the jobs of this run, after the ledger was lost."""
        self._put(run, [_RECEIPT], expires, _ENDED)

    def _put(self, run: Run, nonces: Collection[str], expires: float, outcome: str) -> None:
        with self._ledger.transaction() as connection:
            connection.executemany(
                "INSERT INTO azcopy_job VALUES (?, ?, ?, 0, ?) ON CONFLICT DO UPDATE"
                " SET expires = max(expires, excluded.expires)",
                [(run.id, nonce, expires, outcome) for nonce in nonces],
            )


def expiry(connection: sqlite3.Connection, run: Run) -> float:
    """As above, for who only reads."""
    row = connection.execute(
        "SELECT coalesce(max(expires), 0) FROM azcopy_job WHERE run_id = ?", (run.id,)
    ).fetchone()
    return float(row[0])
