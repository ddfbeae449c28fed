"""The folders of each run as its last walk saw them: paths below the run, and mtimes. A run can have 100,000: they are
written in batches and read in pages."""

from __future__ import annotations

from collections.abc import Iterator

from sync_to_azure.transfer.ledger.ledger import Ledger
from sync_to_azure.transfer.ledger.run import Run

_BATCH = 2000
_JUST_NOW = 2.0
"""Seconds. Times of some file systems are no finer: a file may come into a folder after it was read without changing
the mtime."""
_UNKNOWN = -(2**63)


class Folders:
    """``note`` is called by a walk into the throw-away database, ``keep`` when the run is at rest after it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._batch: list[tuple[bytes, int]] = []

    def note(self, path: bytes, mtime_ns: int, now: float) -> None:
        """The mtime of a folder, asked before it was read."""
        recent = abs(now - mtime_ns / 1e9) < _JUST_NOW
        self._batch.append((path, _UNKNOWN if recent else mtime_ns))
        if len(self._batch) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        batch, self._batch = self._batch, []
        if batch:
            with self._ledger.transaction() as connection:
                connection.executemany("INSERT OR REPLACE INTO scratch.folder VALUES (?, ?)", batch)

    def keep(self, run: Run, now: float) -> None:
        """What the walk of this pass saw is what later looks are compared with."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "DELETE FROM folder WHERE run_id = ? AND NOT EXISTS (SELECT 1 FROM scratch.folder w"
                " WHERE w.path = folder.path AND w.mtime_ns = folder.mtime_ns)",
                (run.id,),
            )
            connection.execute(
                "INSERT OR IGNORE INTO folder SELECT ?, path, mtime_ns FROM scratch.folder", (run.id,)
            )
            [count] = connection.execute("SELECT count(*) FROM folder WHERE run_id = ?", (run.id,)).fetchone()
        self._ledger.set(run, folders=count, scanned_at=now, scan_cursor=None)

    def known(self, run: Run) -> Iterator[tuple[bytes, int]]:
        """(path, mtime in ns) in order of paths, from where an earlier look ended."""
        last = run.scan_cursor or b""
        while True:
            page = self._ledger.connection.execute(
                "SELECT path, mtime_ns FROM folder WHERE run_id = ? AND path > ? ORDER BY path LIMIT ?",
                (run.id, last, _BATCH),
            ).fetchall()
            yield from page
            if len(page) < _BATCH:
                return
            last = page[-1][0]

    def forget(self, run: Run) -> None:
        """Its source is gone."""
        if run.folders is not None:
            self._ledger.set(run, folders=None, scan_cursor=None)
            with self._ledger.transaction() as connection:
                connection.execute("DELETE FROM folder WHERE run_id = ?", (run.id,))
