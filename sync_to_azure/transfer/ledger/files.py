"""The files of one run: the manifest in the ledger, joined with what a walk saw and what a listing shows.

All are tables, because a run may have a million files: ``file`` is kept; ``seen``, ``listing``, ``sent`` and ``hold``
lie in a throw-away database beside the ledger. A file row with generation 0 is not yet published; generation n > 0
came with the n-th publishing and is frozen: only its mtime, evidence and ETag may still change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sync_to_azure.transfer.ledger.changes import Changes
from sync_to_azure.transfer.ledger.ledger import Ledger
from sync_to_azure.transfer.ledger.plan import DIFFERS, Plan
from sync_to_azure.transfer.ledger.read_backs import ReadBacks
from sync_to_azure.manifest.rows import ROW_COLUMNS, FileRow, Verdict, file_row
from sync_to_azure.transfer.ledger.run import Run
from sync_to_azure.transfer.ledger.scratch_tables import ScratchTables
from sync_to_azure.core.model import Evidence, FileToSend

__all__ = ["FileRow", "Files", "Verdict"]


class Files:
    """Opened beside a ledger for the length of a pass; ``close`` removes the throw-away database. Its own are the rows
    of the manifest. What a walk, a listing and a try say is in ``scratch``; ``plan`` says what is to be done about it,
    ``changes`` what an operator may accept, ``read_backs`` what has to be read back."""

    def __init__(self, ledger: Ledger) -> None:
        self.scratch = ScratchTables(ledger)
        self.plan = Plan(self.scratch)
        self.changes = Changes(self.scratch)
        self.read_backs = ReadBacks(self.scratch)
        self._ledger = ledger
        self._connection = ledger.connection

    def close(self) -> None:
        self.scratch.close()

    # Hashes, verdict

    def set_md5s(self, run: Run, rows: Iterable[tuple[FileToSend, bytes, int | None]]) -> None:
        """With the ctime in ns that each file had just before it was read."""
        with self._ledger.transaction() as connection:
            connection.executemany(
                "UPDATE file SET md5 = ?, ctime_ns = ? WHERE run_id = ? AND blob = ? AND size = ? AND mtime_ns = ?"
                " AND md5 IS NULL",
                [
                    (md5, ctime_ns, run.id, file.blob, file.size, file.mtime_ns)
                    for file, md5, ctime_ns in rows
                ],
            )

    def learn_md5s(self, run: Run) -> None:
        """Take over the MD5s that an uploader computed from the very bytes that it sent."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE file SET md5 = s.md5, ctime_ns = s.ctime_ns FROM scratch.sent s WHERE file.run_id = ?"
                " AND s.blob = file.blob AND file.md5 IS NULL AND s.md5 IS NOT NULL",
                (run.id,),
            )

    def doubt_md5s(self, run: Run) -> None:
        """After a try that did not end well: a file that was sent and whose blob shows another MD5 than ours is hashed
        anew. It may have been rewritten under the same size and time."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE file SET md5 = NULL FROM scratch.listing l WHERE file.run_id = ? AND l.blob = file.blob"
                " AND file.generation = 0 AND file.origin = 'run' AND file.evidence = 0 AND l.size = file.size"
                " AND l.md5 <> file.md5",
                (run.id,),
            )

    def set_ctimes(self, run: Run, rows: Iterable[tuple[FileToSend, int | None]]) -> None:
        """Published files that were hashed again and found the same, and the ctime that each had just before."""
        with self._ledger.transaction() as connection:
            connection.executemany(
                "UPDATE file SET ctime_ns = ? WHERE run_id = ? AND blob = ? AND size = ? AND mtime_ns = ?",
                [(ctime_ns, run.id, file.blob, file.size, file.mtime_ns) for file, ctime_ns in rows],
            )

    def doubt_ctimes(self, run: Run) -> None:
        """Every file is hashed again before it is removed."""
        with self._ledger.transaction() as connection:
            connection.execute("UPDATE file SET ctime_ns = NULL WHERE run_id = ?", (run.id,))

    def set_mtimes(self, run: Run, files: Iterable[tuple[FileToSend, int | None]]) -> None:
        """Published files that were only touched: hashed again and found the same. Where one came under another path
        (the instrument's sheet, laid down as its blob is called), the row keeps the manifest's: it is frozen.
        """
        with self._ledger.transaction() as connection:
            connection.executemany(
                "UPDATE file SET mtime_ns = ?, ctime_ns = ? WHERE run_id = ? AND blob = ?",
                [(file.mtime_ns, ctime_ns, run.id, file.blob) for file, ctime_ns in files],
            )

    def verdict(self, run: Run) -> Verdict:
        """Compare, and write down the evidence: kept where the ETag still stands, what the uploader could promise
        where the blob has the ETag that it was given for it in this try (of AzCopy: the nonce of its job), ``listed``
        under any other ETag, none where the blob does not match.
        """
        differs = DIFFERS.replace("f.", "file.")
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE file SET evidence = 0, etag_is_own = 0 WHERE run_id = ? AND evidence > 0 AND NOT EXISTS ("
                f" SELECT 1 FROM scratch.listing l WHERE l.blob = file.blob AND NOT {differs})",
                (run.id,),
            )
            connection.execute(
                "UPDATE file SET etag = l.etag,"
                f" evidence = CASE WHEN {_SENT_BY_US} AND (s.md5 IS NULL OR s.md5 = file.md5)"
                f"  THEN s.evidence ELSE {int(Evidence.LISTED)} END,"
                " etag_is_own = coalesce(s.etag = l.etag AND (s.md5 IS NULL OR s.md5 = file.md5)"
                f"  AND s.evidence >= {int(Evidence.VALIDATED)}, 0),"
                f" adopted = CASE WHEN {_SENT_BY_US} THEN 0 ELSE adopted END"
                " FROM scratch.listing l LEFT JOIN scratch.sent s ON s.blob = l.blob"
                " WHERE file.run_id = ? AND l.blob = file.blob AND file.md5 IS NOT NULL"
                f" AND (file.evidence = 0 OR file.etag IS NOT l.etag) AND NOT {differs}",
                (run.id,),
            )
            if run.foreign_blobs:
                # Ours, whatever stands in it: beside somebody else's blobs, these may be sent anew.
                connection.execute(
                    "INSERT OR REPLACE INTO own SELECT ?, l.blob, l.etag FROM scratch.sent s JOIN scratch.listing l"
                    f" ON l.blob = s.blob WHERE {_SENT_BY_US}",
                    (run.id,),
                )
            # Used up: a later ETag, or another run's file of the same name, is not what was sent here.
            connection.execute("DELETE FROM scratch.sent")
        total = self._connection.execute(
            "SELECT count(*), coalesce(sum(size), 0), sum(evidence > 0 AND md5 IS NOT NULL), min(evidence) FROM file"
            " WHERE run_id = ?",
            (run.id,),
        ).fetchone()
        wrong = self._connection.execute(
            "SELECT f.blob, CASE WHEN f.md5 IS NULL THEN 'not hashed' WHEN l.blob IS NULL THEN 'missing'"
            "  WHEN l.size <> f.size THEN 'size ' || l.size || ' instead of ' || f.size"
            "  WHEN l.md5 IS NULL THEN 'no MD5' ELSE 'another MD5' END"
            " FROM file f LEFT JOIN scratch.listing l ON l.blob = f.blob WHERE f.run_id = ?"
            " AND (f.evidence = 0 OR f.md5 IS NULL) ORDER BY f.blob LIMIT 20",
            (run.id,),
        ).fetchall()
        extras = self._connection.execute(
            "SELECT count(*) FROM scratch.listing l WHERE l.stub = 0 AND NOT EXISTS"
            " (SELECT 1 FROM file f WHERE f.run_id = ? AND f.blob = l.blob)",
            (run.id,),
        ).fetchone()[0]
        files, verified = int(total[0]), int(total[2] or 0)
        return Verdict(
            files=files,
            bytes=int(total[1]),
            verified=verified,
            wrong=tuple(f"{blob} ({what})" for blob, what in wrong),
            wrong_count=files - verified,
            extras=int(extras),
            weakest=Evidence(int(total[3] or 0)),
        )

    def proved(self, run: Run) -> tuple[int, int]:
        """Files and bytes that are at the destination, as far as is known."""
        row = self._connection.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM file WHERE run_id = ? AND evidence > 0 AND md5 IS NOT NULL",
            (run.id,),
        ).fetchone()
        return int(row[0]), int(row[1])

    def set_evidence(self, run: Run, blob: str, etag: str, evidence: Evidence) -> None:
        """After a request of our own that named exactly this ETag (reading it back)."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE file SET evidence = ?, etag = ?, etag_is_own = 1, adopted = 0 WHERE run_id = ? AND blob = ?",
                (int(evidence), etag, run.id, blob),
            )

    # The manifest as a whole

    def put(self, run: Run, rows: Iterable[FileRow], adopted: bool = False) -> None:
        """Insert rows, replacing those of the same blob. ``adopted``: they come from the published manifest."""
        self.scratch.insert(
            "INSERT OR REPLACE INTO file (run_id, blob, path, origin, size, mtime_ns, md5, evidence, etag, generation,"
            " etag_is_own, ctime_ns, adopted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    run.id,
                    r.blob,
                    r.path,
                    r.origin,
                    r.size,
                    r.mtime_ns,
                    r.md5,
                    int(r.evidence),
                    r.etag,
                    r.generation,
                    int(r.etag_is_own),
                    r.ctime_ns,
                    int(adopted),
                )
                for r in rows
            ),
        )

    def get(self, run: Run, blob: str) -> FileRow | None:
        row = self._connection.execute(
            f"SELECT {ROW_COLUMNS} FROM file f WHERE run_id = ? AND blob = ?", (run.id, blob)
        ).fetchone()
        return file_row(row) if row else None

    def rows(self, run: Run) -> Iterator[FileRow]:
        """The whole manifest in order of blob names, a page at a time."""
        query = f"SELECT {ROW_COLUMNS} FROM file f WHERE run_id = ?"
        return map(file_row, self.scratch.pages(query, run))

    def freeze(self, run: Run, generation: int) -> None:
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE file SET generation = ? WHERE run_id = ? AND generation = 0", (generation, run.id)
            )

    def unpublished(self, run: Run) -> int:
        row = self._connection.execute(
            "SELECT count(*) FROM file WHERE run_id = ? AND generation = 0", (run.id,)
        ).fetchone()
        return int(row[0])

    def forget(self, run: Run) -> None:
        """Drop the rows of a run whose manifest stands in the lake (removed, or to be read anew)."""
        with self._ledger.transaction() as connection:
            connection.execute("DELETE FROM file WHERE run_id = ?", (run.id,))
            connection.execute("DELETE FROM uncarried WHERE run_id = ?", (run.id,))


# The ETag that our own request was answered with; of AzCopy, which does not report it, the nonce of its job.
_SENT_BY_US = (
    "s.blob IS NOT NULL AND CASE WHEN s.etag IS NOT NULL THEN l.etag = s.etag"
    " WHEN s.nonce IS NOT NULL THEN l.nonce IS s.nonce ELSE l.etag IS NOT s.etag_before END"
)
