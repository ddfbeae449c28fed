"""The throw-away database beside the ledger: what a walk saw, what a listing shows, what a try sent or holds."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from sync_to_azure.transfer.ledger.ledger import Ledger
from sync_to_azure.transfer.ledger.run import Run
from sync_to_azure.transfer.ledger.migrations import SCRATCH_SCHEMA
from sync_to_azure.core.model import Blob, Entry, Kind, Sent

_BATCH = 2000


class ScratchTables:
    """Attached to the ledger's connection, so that its tables and the manifest can be joined. A million rows are never
    in memory: they are written in batches and read in pages."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._connection = ledger.connection
        self._attached = False

    def attach(self) -> None:
        if self._attached:
            return
        # A name that nobody has, and that is gone at once: nothing is left by a kill, and nothing of others removed.
        handle, name = tempfile.mkstemp(
            prefix=f".{self.ledger.path.name}.scratch-", dir=self.ledger.path.parent
        )
        os.close(handle)
        try:
            self._connection.execute("ATTACH DATABASE ? AS scratch", (name,))
            self._attached = True
            self._connection.execute("PRAGMA scratch.journal_mode = OFF")
            self._connection.execute("PRAGMA scratch.synchronous = OFF")
            self._connection.execute("PRAGMA scratch.cache_size = -48000")
            self._connection.executescript(SCRATCH_SCHEMA)
        finally:
            os.unlink(name)

    def close(self) -> None:
        if self._attached:
            self._attached = False
            with contextlib.suppress(Exception):
                self._connection.execute("DETACH DATABASE scratch")

    # What a walk saw

    def take_walk(self, entries: Iterable[Entry], renamed: dict[bytes, str]) -> None:
        """Fill ``seen``. ``renamed`` maps paths to blob names other than their own (the instrument's sheet)."""
        self.attach()
        connection = self._connection
        connection.execute("DELETE FROM scratch.seen")
        connection.execute("DELETE FROM scratch.folder")
        connection.execute("DROP INDEX IF EXISTS scratch.seen_blob")
        rows = (
            (
                entry.path,
                (
                    renamed.get(entry.path) or entry.blob or entry.path.decode()
                    if entry.kind is Kind.FILE
                    else None
                ),
                entry.kind.value,
                entry.size,
                entry.mtime_ns,
                entry.detail,
                entry.ctime_ns,
            )
            for entry in entries
        )
        self.insert("INSERT INTO scratch.seen VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute("CREATE INDEX scratch.seen_blob ON seen (blob)")
        connection.execute(
            "UPDATE scratch.seen SET kind = ?, detail = 'another file falls on the blob ' || blob WHERE kind = 'file'"
            " AND blob IN (SELECT blob FROM scratch.seen WHERE kind = 'file' GROUP BY blob HAVING count(*) > 1)",
            (Kind.NAME_CLASH.value,),
        )

    # What a listing shows

    def take_listing(self, blobs: Iterable[Blob], prefix: str) -> None:
        self.attach()
        self._connection.execute("DELETE FROM scratch.listing")
        self._connection.execute("DROP INDEX IF EXISTS scratch.listing_blob")
        cut = len(prefix)
        rows = (
            (
                blob.name[cut:],
                blob.size,
                blob.md5,
                blob.etag,
                int(blob.folder_stub),
                blob.nonce,
                int(blob.is_archived),
            )
            for blob in blobs
        )
        self.insert("INSERT INTO scratch.listing VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        self._connection.execute("CREATE INDEX scratch.listing_blob ON listing (blob)")

    def listed(self, blob: str) -> Blob | None:
        """One blob of the listing just taken (its name below DEST/RUN/), or None if it is not there."""
        row = self._connection.execute(
            "SELECT blob, size, md5, etag FROM scratch.listing WHERE blob = ? AND stub = 0", (blob,)
        ).fetchone()
        return None if row is None else Blob(*row)

    def correct_listing(self, blob: str, md5: bytes) -> None:
        """What was read back counts more than what the listing says."""
        with self.ledger.transaction() as connection:
            connection.execute("UPDATE scratch.listing SET md5 = ? WHERE blob = ?", (md5, blob))

    def hold(self, blobs: Iterable[tuple[str, str]]) -> None:
        self.attach()
        self.insert("INSERT OR REPLACE INTO scratch.hold VALUES (?, ?)", blobs)

    def held(self, code: str) -> tuple[int, list[str]]:
        self.attach()
        count = self._connection.execute(
            "SELECT count(*) FROM scratch.hold WHERE code = ?", (code,)
        ).fetchone()[0]
        rows = self._connection.execute(
            "SELECT blob FROM scratch.hold WHERE code = ? ORDER BY blob LIMIT 20", (code,)
        )
        return count, [row[0] for row in rows]

    def clear_try(self) -> None:
        """A new run: nothing sent, nothing held, nothing seen or listed."""
        self.attach()
        for table in ("sent", "hold", "seen", "folder", "listing"):
            self._connection.execute(f"DELETE FROM scratch.{table}")

    def sent(self, rows: Iterable[Sent]) -> None:
        """What an uploader says it sent, with the ETag that stood there before, so that a new one can be told."""
        self.insert(
            "INSERT OR REPLACE INTO scratch.sent (blob, evidence, md5, etag_before, etag, nonce, ctime_ns)"
            " VALUES (?1, ?2, ?3, (SELECT etag FROM scratch.listing WHERE blob = ?1), ?4, ?5, ?6)",
            (
                (sent.blob, int(sent.evidence), sent.md5, sent.etag, sent.nonce, sent.ctime_ns)
                for sent in rows
            ),
        )

    def insert(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
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
        with self.ledger.transaction() as connection:
            connection.executemany(statement, batch)

    def pages(self, query: str, run: Run) -> Iterator[tuple[Any, ...]]:
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
