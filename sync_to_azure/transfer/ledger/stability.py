"""Since when each file of a run that goes on stands as it does: size, mtime and ctime, by looks of ours."""

from __future__ import annotations

from collections.abc import Iterator

from sync_to_azure.transfer.ledger.ledger import Ledger
from sync_to_azure.transfer.ledger.run import Run

_PAGE = 2000


class Stability:
    """Works on the walk that was just taken (``work.seen``)."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def note(self, run: Run, now: float) -> None:
        """Files that stand as they did keep their time; all others stand since now, and so do those of a clock that
        went back.

        What is not known to stand as it did since its MD5 was computed may have been written to under the same size and
        mtime, or only touched: its MD5 is forgotten first. The evidence stays: it is of the blob, whose MD5 the listing
        tells, and counts only while the file's new MD5 is that one.
        """
        same = "s.kind = 'file' AND s.size = t.size AND s.mtime_ns = t.mtime_ns AND s.ctime_ns = t.ctime_ns"
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE file SET md5 = NULL WHERE run_id = ?1 AND generation = 0 AND origin = 'run'"
                " AND md5 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM stability t JOIN scratch.seen s ON s.blob = t.blob"
                f" WHERE t.run_id = ?1 AND t.blob = file.blob AND {same})",
                (run.id,),
            )
            connection.execute(
                "DELETE FROM stability AS t WHERE run_id = ?1 AND (since > ?2 OR NOT EXISTS (SELECT 1 FROM"
                f" scratch.seen s WHERE s.blob = t.blob AND {same}))",
                (run.id, now),
            )
            connection.execute(
                "INSERT INTO stability (run_id, blob, size, mtime_ns, ctime_ns, since)"
                " SELECT ?1, s.blob, s.size, s.mtime_ns, s.ctime_ns, ?2 FROM scratch.seen s WHERE s.kind = 'file'"
                " AND NOT EXISTS (SELECT 1 FROM stability t WHERE t.run_id = ?1 AND t.blob = s.blob)",
                (run.id, now),
            )

    def since(self, run: Run) -> Iterator[tuple[str, float]]:
        """(blob, seconds since 1970) of each file, in pages: rows may be written meanwhile."""
        last = ""
        while True:
            page = self._ledger.connection.execute(
                f"SELECT blob, since FROM stability WHERE run_id = ? AND blob > ? ORDER BY blob LIMIT {_PAGE}",
                (run.id, last),
            ).fetchall()
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1][0]

    def knows(self, run: Run) -> bool:
        return bool(
            self._ledger.connection.execute(
                "SELECT EXISTS (SELECT 1 FROM stability WHERE run_id = ?)", (run.id,)
            ).fetchone()[0]
        )

    def forget(self, run: Run) -> None:
        with self._ledger.transaction() as connection:
            connection.execute("DELETE FROM stability WHERE run_id = ?", (run.id,))
