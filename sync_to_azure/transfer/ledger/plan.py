"""The plan of one run: what the walk saw becomes the manifest, and the manifest against the listing says what to do."""

from __future__ import annotations

from collections.abc import Iterator

from sync_to_azure.transfer.ledger.run import Run
from sync_to_azure.manifest.rows import ROW_COLUMNS, ROW_LENGTH, FileRow, file_row
from sync_to_azure.transfer.ledger.scratch_tables import ScratchTables
from sync_to_azure.core.model import FileToSend, Kind

DIFFERS = (
    "(l.blob IS NULL OR l.stub = 1 OR l.size <> f.size OR l.md5 IS NULL"
    " OR (f.md5 IS NOT NULL AND l.md5 <> f.md5))"
)
"""Is the blob ``l`` missing, or other than the file ``f``?"""


class Plan:
    """Questions about one run, answered in pages."""

    def __init__(self, scratch: ScratchTables) -> None:
        self._scratch = scratch
        self._ledger = scratch.ledger
        self._connection = scratch.ledger.connection

    def merge_walk(self, run: Run) -> None:
        """Make the unpublished part of the manifest what the walk saw, keeping MD5s of files that stood still."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "DELETE FROM file WHERE run_id = ? AND generation = 0 AND origin = 'run' AND NOT EXISTS ("
                " SELECT 1 FROM scratch.seen s WHERE s.blob = file.blob AND s.kind = 'file' AND s.path = file.path"
                " AND s.size = file.size AND s.mtime_ns = file.mtime_ns)",
                (run.id,),
            )
            connection.execute(
                "INSERT INTO file (run_id, blob, path, size, mtime_ns)"
                " SELECT ?, s.blob, s.path, s.size, s.mtime_ns FROM scratch.seen s WHERE s.kind = 'file'"
                " AND NOT EXISTS (SELECT 1 FROM file f WHERE f.run_id = ? AND f.blob = s.blob)",
                (run.id, run.id),
            )
            connection.execute("DELETE FROM uncarried WHERE run_id = ?", (run.id,))
            connection.execute(
                "INSERT OR REPLACE INTO uncarried SELECT ?, path, kind, size, detail FROM scratch.seen"
                " WHERE kind <> 'file'",
                (run.id,),
            )

    def published_that_differ(self, run: Run) -> Iterator[tuple[FileToSend, int, bytes]]:
        """Published files that the walk saw with another size or mtime: (as seen now, published size, MD5)."""
        query = (
            "SELECT f.blob, s.path, s.size, s.mtime_ns, f.size, f.md5 FROM file f"
            " JOIN scratch.seen s ON s.blob = f.blob"
            " WHERE f.run_id = ? AND s.kind = 'file' AND f.generation > 0 AND f.origin = 'run'"
            " AND (f.size <> s.size OR f.mtime_ns <> s.mtime_ns OR f.path <> s.path)"
        )
        for blob, path, size, mtime_ns, published_size, md5 in self._scratch.pages(query, run):
            yield FileToSend(path, blob, size, mtime_ns), published_size, md5

    def uncarried(self, run: Run, holding_up: bool) -> tuple[int, list[tuple[str, str, str]]]:
        """Count and the first 1,000 (path, kind, detail) of what is not carried."""
        kinds = [kind.value for kind in Kind if kind is not Kind.FILE and kind.holds_up is holding_up]
        marks = ", ".join("?" * len(kinds))
        where = f"FROM uncarried WHERE run_id = ? AND kind IN ({marks})"
        count = self._connection.execute(f"SELECT count(*) {where}", (run.id, *kinds)).fetchone()[0]
        rows = self._connection.execute(
            f"SELECT path, kind, detail {where} ORDER BY path LIMIT 1000", (run.id, *kinds)
        ).fetchall()
        return count, [
            (bytes(path).decode("utf-8", "backslashreplace"), kind, detail) for path, kind, detail in rows
        ]

    def uncarried_counts(self, run: Run) -> dict[str, int]:
        rows = self._connection.execute(
            "SELECT kind, count(*) FROM uncarried WHERE run_id = ? GROUP BY kind ORDER BY kind", (run.id,)
        )
        return {kind: count for kind, count in rows}

    def note_unreadable(self, run: Run, file: FileToSend, detail: str) -> None:
        """A file that turned out unreadable: out of the manifest (if unpublished), into what is not carried."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "DELETE FROM file WHERE run_id = ? AND blob = ? AND generation = 0", (run.id, file.blob)
            )
            connection.execute(
                "INSERT OR REPLACE INTO uncarried VALUES (?, ?, ?, ?, ?)",
                (run.id, file.path, Kind.UNREADABLE.value, file.size, detail),
            )

    _HASH_FIRST = (
        "FROM file f JOIN scratch.listing l ON l.blob = f.blob"
        " WHERE f.run_id = ? AND f.generation = 0 AND f.origin = 'run' AND f.md5 IS NULL AND l.size = f.size"
        " AND l.md5 IS NOT NULL AND l.stub = 0"
    )

    def to_hash_first(self, run: Run) -> Iterator[FileToSend]:
        """Unpublished files without MD5 of which a blob of the same size is there: the MD5 decides what is sent."""
        return self._files(self._HASH_FIRST, run)

    def foreign_blobs(self, run: Run, by_md5: bool) -> bool:
        """Is anything listed that is no file of this run, by size (and MD5)?"""
        same = "f.size = l.size" + (" AND f.md5 = l.md5" if by_md5 else "")
        row = self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM scratch.listing l WHERE l.stub = 0 AND NOT EXISTS"
            f" (SELECT 1 FROM file f WHERE f.run_id = ? AND f.blob = l.blob AND {same}))",
            (run.id,),
        ).fetchone()
        return bool(row[0])

    def to_hash_early(self, run: Run) -> Iterator[FileToSend]:
        """Of these, those that nothing holds."""
        return self._files(
            f"{self._HASH_FIRST} AND NOT EXISTS (SELECT 1 FROM scratch.hold h WHERE h.blob = f.blob)", run
        )

    # Missing or different; a published one only if its source was proved to match (marked ``heal``).
    _SEND = (
        "FROM file f LEFT JOIN scratch.listing l ON l.blob = f.blob LEFT JOIN scratch.hold h ON h.blob = f.blob"
        f" WHERE f.run_id = ? AND f.origin = 'run' AND {DIFFERS}"
        " AND CASE WHEN f.generation = 0 THEN h.blob IS NULL ELSE h.code = 'heal' END"
    )

    def to_send(self, run: Run) -> tuple[int, int]:
        """Files and bytes that ``each_to_send`` will yield."""
        row = self._connection.execute(
            f"SELECT count(*), coalesce(sum(f.size), 0) {self._SEND}", (run.id,)
        ).fetchone()
        return int(row[0]), int(row[1])

    def note_begun(self, run: Run) -> None:
        """Beside somebody else's blobs: where nothing stands before we send, what stands there afterwards is ours,
        also if we are cut off before the listing tells its ETag."""
        with self._ledger.transaction() as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO own SELECT f.run_id, f.blob, '' {self._SEND} AND l.blob IS NULL",
                (run.id,),
            )

    def each_to_send(self, run: Run) -> Iterator[FileToSend]:
        return self._files(self._SEND, run, "l.etag")

    # Of what an uploader says it sent: where a blob stands that was not there before.
    _SENT = (
        "FROM file f JOIN scratch.sent s ON s.blob = f.blob JOIN scratch.listing l ON l.blob = f.blob"
        " WHERE f.run_id = ?"
        " AND f.origin = 'run' AND l.stub = 0 AND l.nonce = s.nonce AND l.md5 IS NOT NULL"
    )

    def sent_with_other_bytes(self, run: Run) -> Iterator[FileToSend]:
        """Files whose MD5 is known, and whose blobs have another one."""
        return self._files(f"{self._SENT} AND f.md5 <> l.md5", run, "l.etag")

    def sent_and_not_hashed(self, run: Run) -> Iterator[FileToSend]:
        """Files that could not be hashed after they were sent, as they are not at the source any more as the walk saw
        them."""
        return self._files(f"{self._SENT} AND f.md5 IS NULL AND f.generation = 0", run, "l.etag")

    def to_send_without_md5(self, run: Run) -> Iterator[FileToSend]:
        return self._files(f"{self._SEND} AND f.md5 IS NULL", run)

    def without_md5(self, run: Run) -> Iterator[FileToSend]:
        return self._files("FROM file f WHERE f.run_id = ? AND f.md5 IS NULL", run)

    def unpublished_that_differ(self, run: Run) -> Iterator[str]:
        """Blobs that are there, that are not what the source holds, that are not of our writing (of a container that
        somebody else filled), and that nobody accepted to be replaced."""
        query = (
            f"SELECT f.blob FROM file f JOIN scratch.listing l ON l.blob = f.blob WHERE f.run_id = ?"
            f" AND f.generation = 0 AND f.origin = 'run' AND {DIFFERS} AND NOT EXISTS"
            " (SELECT 1 FROM own o WHERE o.run_id = f.run_id AND o.blob = f.blob AND o.etag IN (l.etag, ''))"
            " AND NOT EXISTS (SELECT 1 FROM changed c WHERE c.run_id = f.run_id AND c.blob = f.blob AND c.applied = 1)"
        )
        for (blob,) in self._scratch.pages(query, run):
            yield blob

    def is_own(self, run: Run, blob: str) -> bool:
        """Did we send it, beside somebody else's blobs?"""
        row = self._connection.execute(
            "SELECT 1 FROM own WHERE run_id = ? AND blob = ?", (run.id, blob)
        ).fetchone()
        return row is not None

    def published_gone_wrong(self, run: Run) -> Iterator[tuple[FileRow, FileToSend | None]]:
        """Published files whose blob is missing or different, and the file as the walk saw it (size as published)."""
        query = (
            f"SELECT {ROW_COLUMNS}, s.mtime_ns FROM file f LEFT JOIN scratch.listing l ON l.blob = f.blob"
            " LEFT JOIN scratch.seen s ON s.blob = f.blob AND s.kind = 'file' AND s.path = f.path AND s.size = f.size"
            f" WHERE f.run_id = ? AND f.generation > 0 AND {DIFFERS}"
        )
        for row in self._scratch.pages(query, run):
            published, mtime_ns = file_row(row[:ROW_LENGTH]), row[ROW_LENGTH]
            yield published, (
                None
                if mtime_ns is None
                else FileToSend(published.path, published.blob, published.size, mtime_ns)
            )

    def _files(self, tail: str, run: Run, etag: str = "NULL") -> Iterator[FileToSend]:
        for blob, path, size, mtime_ns, stands in self._scratch.pages(
            f"SELECT f.blob, f.path, f.size, f.mtime_ns, {etag} {tail}", run
        ):
            yield FileToSend(path, blob, size, mtime_ns, stands)
