"""The files of one run: the manifest in the ledger, joined with what a walk saw and what a listing shows.

All are tables, because a run may have a million files: ``file`` is kept; ``seen``, ``listing``, ``sent`` and ``hold``
lie in a throw-away database beside the ledger. A file row with generation 0 is not yet published; generation n > 0
came with the n-th publishing and is frozen: only its mtime, evidence and ETag may still change.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sync_to_azure.ledger.ledger import Ledger, Run
from sync_to_azure.ledger.migrations import WORK_SCHEMA
from sync_to_azure.model import Blob, Entry, Evidence, FileToSend, Kind, Sent

_BATCH = 2000


@dataclasses.dataclass(frozen=True, slots=True)
class FileRow:
    """One line of the manifest. ``blob`` is the name below DEST/RUN/; ``origin`` is ``run`` or ``sheet``."""

    blob: str
    path: bytes
    origin: str
    size: int
    mtime_ns: int
    md5: bytes
    evidence: Evidence
    etag: str
    generation: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """Manifest against listing, for one run. ``wrong`` holds up to 20 blob names with what is the matter."""

    files: int
    bytes: int
    verified: int
    wrong: tuple[str, ...]
    wrong_count: int
    extras: int
    weakest: Evidence

    @property
    def is_verified(self) -> bool:
        return self.wrong_count == 0


class Files:
    """Opened beside a ledger for the length of a pass; ``close`` removes the throw-away database."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._connection = ledger.connection
        self._work_path = Path(f"{ledger.path}.{ledger.flow.key}.work")
        self._attached = False

    def prepare(self) -> None:
        """Open the throw-away database now (it cannot be attached inside a transaction)."""
        self._attach()

    def _attach(self) -> None:
        if self._attached:
            return
        self._remove_work()
        os.close(os.open(self._work_path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        self._connection.execute("ATTACH DATABASE ? AS work", (str(self._work_path),))
        self._attached = True
        self._connection.execute("PRAGMA work.journal_mode = OFF")
        self._connection.execute("PRAGMA work.synchronous = OFF")
        self._connection.execute("PRAGMA work.cache_size = -48000")
        self._connection.executescript(WORK_SCHEMA)

    def close(self) -> None:
        if self._attached:
            self._attached = False
            with contextlib.suppress(Exception):
                self._connection.execute("DETACH DATABASE work")
        self._remove_work()

    def _remove_work(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._work_path)

    # What a walk saw

    def take_walk(self, entries: Iterable[Entry], renamed: dict[bytes, str]) -> None:
        """Fill ``seen``. ``renamed`` maps paths to blob names other than their own (the instrument's sheet)."""
        self._attach()
        connection = self._connection
        connection.execute("DELETE FROM work.seen")
        connection.execute("DROP INDEX IF EXISTS work.seen_blob")
        rows = (
            (
                entry.path,
                renamed.get(entry.path) or entry.path.decode() if entry.kind is Kind.FILE else None,
                entry.kind.value,
                entry.size,
                entry.mtime_ns,
                entry.detail,
            )
            for entry in entries
        )
        self._insert("INSERT INTO work.seen VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.execute("CREATE INDEX work.seen_blob ON seen (blob)")
        connection.execute(
            "UPDATE work.seen SET kind = ?, detail = 'another file falls on the blob ' || blob WHERE kind = 'file' AND"
            " blob IN (SELECT blob FROM work.seen WHERE kind = 'file' GROUP BY blob HAVING count(*) > 1)",
            (Kind.NAME_CLASH.value,),
        )

    def _insert(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """In batches, a transaction each: the rows come from disk or network, no lock is held while they do. What
        came before an error is kept."""
        batch: list[tuple[object, ...]] = []
        try:
            for row in rows:
                batch.append(row)
                if len(batch) >= _BATCH:
                    self._write(statement, batch)
                    batch = []
        finally:
            if batch:
                self._write(statement, batch)

    def _write(self, statement: str, batch: list[tuple[object, ...]]) -> None:
        with self._ledger.transaction() as connection:
            connection.executemany(statement, batch)

    def merge_walk(self, run: Run) -> None:
        """Make the unpublished part of the manifest what the walk saw, keeping MD5s of files that stood still."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "DELETE FROM file WHERE run_id = ? AND generation = 0 AND origin = 'run' AND NOT EXISTS ("
                " SELECT 1 FROM work.seen s WHERE s.blob = file.blob AND s.kind = 'file' AND s.path = file.path"
                " AND s.size = file.size AND s.mtime_ns = file.mtime_ns)",
                (run.id,),
            )
            connection.execute(
                "INSERT INTO file (run_id, blob, path, size, mtime_ns)"
                " SELECT ?, s.blob, s.path, s.size, s.mtime_ns FROM work.seen s WHERE s.kind = 'file'"
                " AND NOT EXISTS (SELECT 1 FROM file f WHERE f.run_id = ? AND f.blob = s.blob)",
                (run.id, run.id),
            )
            connection.execute("DELETE FROM uncarried WHERE run_id = ?", (run.id,))
            connection.execute(
                "INSERT OR REPLACE INTO uncarried SELECT ?, path, kind, size, detail FROM work.seen WHERE kind <> 'file'",
                (run.id,),
            )

    def published_that_differ(self, run: Run) -> Iterator[tuple[FileToSend, int, bytes]]:
        """Published files that the walk saw with another size or mtime: (as seen now, published size, MD5)."""
        query = (
            "SELECT f.blob, s.path, s.size, s.mtime_ns, f.size, f.md5 FROM file f JOIN work.seen s ON s.blob = f.blob"
            " WHERE f.run_id = ? AND s.kind = 'file' AND f.generation > 0 AND f.origin = 'run'"
            " AND (f.size <> s.size OR f.mtime_ns <> s.mtime_ns OR f.path <> s.path)"
        )
        for blob, path, size, mtime_ns, published_size, md5 in self._pages(query, run):
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

    # What a listing shows

    def take_listing(self, blobs: Iterable[Blob], prefix: str) -> None:
        self._attach()
        self._connection.execute("DELETE FROM work.listing")
        self._connection.execute("DROP INDEX IF EXISTS work.listing_blob")
        cut = len(prefix)
        rows = ((blob.name[cut:], blob.size, blob.md5, blob.etag, int(blob.folder_stub)) for blob in blobs)
        self._insert("INSERT INTO work.listing VALUES (?, ?, ?, ?, ?)", rows)
        self._connection.execute("CREATE INDEX work.listing_blob ON listing (blob)")

    def hold(self, blobs: Iterable[tuple[str, str]]) -> None:
        self._attach()
        self._insert("INSERT OR REPLACE INTO work.hold VALUES (?, ?)", blobs)

    def held(self, code: str) -> tuple[int, list[str]]:
        self._attach()
        count = self._connection.execute("SELECT count(*) FROM work.hold WHERE code = ?", (code,)).fetchone()[
            0
        ]
        rows = self._connection.execute(
            "SELECT blob FROM work.hold WHERE code = ? ORDER BY blob LIMIT 20", (code,)
        )
        return count, [row[0] for row in rows]

    def clear_try(self) -> None:
        """A new run: nothing sent, nothing held, nothing seen or listed."""
        self._attach()
        for table in ("sent", "hold", "seen", "listing"):
            self._connection.execute(f"DELETE FROM work.{table}")

    def sent(self, rows: Iterable[Sent]) -> None:
        """What an uploader says it sent, with the ETag that stood there before, so that a new one can be told."""
        self._insert(
            "INSERT OR REPLACE INTO work.sent VALUES (?1, ?2, ?3, (SELECT etag FROM work.listing WHERE blob = ?1))",
            ((sent.blob, int(sent.evidence), sent.md5) for sent in rows),
        )

    # Plan

    _DIFFERS = "(l.blob IS NULL OR l.stub = 1 OR l.size <> f.size OR l.md5 IS NULL OR (f.md5 IS NOT NULL AND l.md5 <> f.md5))"

    def to_hash_first(self, run: Run) -> Iterator[FileToSend]:
        """Unpublished files without MD5 of which a blob of the same size is there: the MD5 decides what is sent."""
        return self._files(
            "FROM file f JOIN work.listing l ON l.blob = f.blob"
            " WHERE f.run_id = ? AND f.generation = 0 AND f.origin = 'run' AND f.md5 IS NULL AND l.size = f.size"
            " AND l.md5 IS NOT NULL AND l.stub = 0",
            run,
        )

    # Missing or different; a published one only if its source was proved to match (marked ``heal``).
    _SEND = (
        "FROM file f LEFT JOIN work.listing l ON l.blob = f.blob LEFT JOIN work.hold h ON h.blob = f.blob"
        f" WHERE f.run_id = ? AND f.origin = 'run' AND {_DIFFERS}"
        " AND CASE WHEN f.generation = 0 THEN h.blob IS NULL ELSE h.code = 'heal' END"
    )

    def to_send(self, run: Run) -> tuple[int, int]:
        """Files and bytes that ``each_to_send`` will yield."""
        row = self._connection.execute(
            f"SELECT count(*), coalesce(sum(f.size), 0) {self._SEND}", (run.id,)
        ).fetchone()
        return int(row[0]), int(row[1])

    def each_to_send(self, run: Run) -> Iterator[FileToSend]:
        return self._files(self._SEND, run)

    def without_md5(self, run: Run) -> Iterator[FileToSend]:
        return self._files("FROM file f WHERE f.run_id = ? AND f.md5 IS NULL", run)

    def count_without_md5(self, run: Run) -> tuple[int, int]:
        row = self._connection.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM file WHERE run_id = ? AND md5 IS NULL", (run.id,)
        ).fetchone()
        return int(row[0]), int(row[1])

    def unpublished_that_differ(self, run: Run) -> Iterator[str]:
        """Blobs that are there and are not what the source holds (of a container that somebody else filled)."""
        query = (
            f"SELECT f.blob FROM file f JOIN work.listing l ON l.blob = f.blob WHERE f.run_id = ?"
            f" AND f.generation = 0 AND f.origin = 'run' AND {self._DIFFERS}"
        )
        for (blob,) in self._pages(query, run):
            yield blob

    def published_gone_wrong(self, run: Run) -> Iterator[tuple[FileRow, FileToSend | None]]:
        """Published files whose blob is missing or different, and the file as the walk saw it (size as published)."""
        query = (
            "SELECT f.blob, f.path, f.origin, f.size, f.mtime_ns, f.md5, f.evidence, coalesce(f.etag, ''), f.generation,"
            " s.mtime_ns FROM file f LEFT JOIN work.listing l ON l.blob = f.blob"
            " LEFT JOIN work.seen s ON s.blob = f.blob AND s.kind = 'file' AND s.path = f.path AND s.size = f.size"
            f" WHERE f.run_id = ? AND f.generation > 0 AND {self._DIFFERS}"
        )
        for row in self._pages(query, run):
            published = _file_row(row[:9])
            seen = (
                None if row[9] is None else FileToSend(published.path, published.blob, published.size, row[9])
            )
            yield published, seen

    def _files(self, tail: str, run: Run) -> Iterator[FileToSend]:
        for blob, path, size, mtime_ns in self._pages(
            f"SELECT f.blob, f.path, f.size, f.mtime_ns {tail}", run
        ):
            yield FileToSend(path, blob, size, mtime_ns)

    def _pages(self, query: str, run: Run) -> Iterator[tuple[Any, ...]]:
        """In order of blob names (the first column), a page at a time: no cursor stays open while rows are written."""
        last = ""
        while True:
            page = self._connection.execute(
                f"{query} AND f.blob > ? ORDER BY f.blob LIMIT {_BATCH}", (run.id, last)
            ).fetchall()
            yield from page
            if len(page) < _BATCH:
                return
            last = page[-1][0]

    # Hashes, verdict

    def set_md5s(self, run: Run, rows: Iterable[tuple[FileToSend, bytes]]) -> None:
        with self._ledger.transaction() as connection:
            connection.executemany(
                "UPDATE file SET md5 = ? WHERE run_id = ? AND blob = ? AND size = ? AND mtime_ns = ? AND md5 IS NULL",
                [(md5, run.id, file.blob, file.size, file.mtime_ns) for file, md5 in rows],
            )

    def set_mtimes(self, run: Run, files: Iterable[FileToSend]) -> None:
        """Published files that were only touched: hashed again and found the same."""
        with self._ledger.transaction() as connection:
            connection.executemany(
                "UPDATE file SET mtime_ns = ? WHERE run_id = ? AND blob = ?",
                [(file.mtime_ns, run.id, file.blob) for file in files],
            )

    def verdict(self, run: Run) -> Verdict:
        """Compare, and write down the evidence: kept where the ETag still stands, what the uploader could promise
        where it sent the blob in this try, ``listed`` where another ETag appeared, none where it does not match.
        """
        differs = self._DIFFERS.replace("f.", "file.")
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE file SET evidence = 0 WHERE run_id = ? AND evidence > 0 AND NOT EXISTS ("
                f" SELECT 1 FROM work.listing l WHERE l.blob = file.blob AND NOT {differs})",
                (run.id,),
            )
            connection.execute(
                "UPDATE file SET etag = l.etag, evidence = CASE"
                " WHEN s.blob IS NOT NULL AND l.etag IS NOT s.etag_before AND (s.md5 IS NULL OR s.md5 = file.md5)"
                f"  THEN s.evidence ELSE {int(Evidence.LISTED)} END"
                " FROM work.listing l LEFT JOIN work.sent s ON s.blob = l.blob"
                " WHERE file.run_id = ? AND l.blob = file.blob AND file.md5 IS NOT NULL"
                f" AND (file.evidence = 0 OR file.etag IS NOT l.etag) AND NOT {differs}",
                (run.id,),
            )
        total = self._connection.execute(
            "SELECT count(*), coalesce(sum(size), 0), sum(evidence > 0), min(evidence) FROM file WHERE run_id = ?",
            (run.id,),
        ).fetchone()
        wrong = self._connection.execute(
            "SELECT f.blob, CASE WHEN f.md5 IS NULL THEN 'not hashed' WHEN l.blob IS NULL THEN 'missing'"
            "  WHEN l.size <> f.size THEN 'size ' || l.size || ' instead of ' || f.size"
            "  WHEN l.md5 IS NULL THEN 'no MD5' ELSE 'another MD5' END"
            " FROM file f LEFT JOIN work.listing l ON l.blob = f.blob WHERE f.run_id = ? AND f.evidence = 0"
            " ORDER BY f.blob LIMIT 20",
            (run.id,),
        ).fetchall()
        extras = self._connection.execute(
            "SELECT count(*) FROM work.listing l WHERE l.stub = 0 AND NOT EXISTS"
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

    def set_evidence(self, run: Run, blob: str, etag: str, evidence: Evidence) -> None:
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE file SET evidence = ?, etag = ? WHERE run_id = ? AND blob = ?",
                (int(evidence), etag, run.id, blob),
            )

    # The manifest as a whole

    def put(self, run: Run, rows: Iterable[FileRow]) -> None:
        """Insert rows, replacing those of the same blob."""
        self._insert(
            "INSERT OR REPLACE INTO file (run_id, blob, path, origin, size, mtime_ns, md5, evidence, etag, generation)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                )
                for r in rows
            ),
        )

    def get(self, run: Run, blob: str) -> FileRow | None:
        row = self._connection.execute(
            f"SELECT {_ROW_COLUMNS} FROM file f WHERE run_id = ? AND blob = ?", (run.id, blob)
        ).fetchone()
        return _file_row(row) if row else None

    def rows(self, run: Run) -> Iterator[FileRow]:
        """The whole manifest in order of blob names, a page at a time."""
        query = f"SELECT {_ROW_COLUMNS} FROM file f WHERE run_id = ?"
        return map(_file_row, self._pages(query, run))

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

    # Before removal

    def not_as_published(self, run: Run) -> list[tuple[str, str]]:
        """What the walk saw that is not exactly a published file (up to 20): (path, what)."""
        rows = self._connection.execute(
            "SELECT s.path, CASE WHEN f.blob IS NULL THEN s.kind || ', not in the manifest'"
            "  ELSE 'size or time changed' END FROM work.seen s LEFT JOIN file f ON f.run_id = ? AND f.blob = s.blob"
            " AND f.generation > 0 AND f.origin = 'run' AND f.path = s.path WHERE s.kind <> ?"
            " AND (f.blob IS NULL OR f.size <> s.size OR f.mtime_ns <> s.mtime_ns) LIMIT 20",
            (run.id, Kind.EMPTY_FOLDER.value),
        ).fetchall()
        return [(bytes(path).decode("utf-8", "backslashreplace"), what) for path, what in rows]


_ROW_COLUMNS = "f.blob, path, origin, size, mtime_ns, md5, evidence, coalesce(etag, ''), generation"


def _file_row(row: tuple[Any, ...]) -> FileRow:
    blob, path, origin, size, mtime_ns, md5, evidence, etag, generation = row
    return FileRow(blob, path, origin, size, mtime_ns, md5 or b"", Evidence(evidence), etag, generation)
