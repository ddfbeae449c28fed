"""Files that stand at the destination as other than at the source, until a person accepts them: what exactly was told,
what was accepted, and what stood there before, so that an acceptance can be taken back.

A row of ``changed`` is one file as the source has it now (size -1: it is not there any more; -2: it
is being looked at again). ``applied``: its file row
was made unpublished, because a person accepted it; ``old_…`` is what the row was, ``snapshot`` where the old bytes are.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator

from sync_to_azure.transfer.ledger.scratch_tables import ScratchTables
from sync_to_azure.transfer.ledger.run import Run
from sync_to_azure.core.model import FileToSend

GONE, DOUBTED = -1, -2


@dataclasses.dataclass(frozen=True, slots=True)
class Offer:
    """What a person is asked to accept: how many files, of how many bytes now, and a digest of all of it."""

    count: int
    bytes: int
    digest: str
    gone: int


@dataclasses.dataclass(frozen=True, slots=True)
class Replaced:
    """A blob before it was replaced."""

    blob: str
    size: int | None
    md5: bytes | None
    snapshot: str | None


def offer_of(rows: Iterable[tuple[str, int, int]]) -> Offer:
    """Of (blob, size, mtime in ns), in order of blob names."""
    digest = hashlib.sha256()
    count = total = gone = 0
    for blob, size, mtime_ns in rows:
        digest.update(f"{blob}\0{size}\0{mtime_ns}\n".encode("utf-8", "backslashreplace"))
        count += 1
        total += max(size, 0)
        gone += size == GONE
    return Offer(count, total, digest.hexdigest(), gone)


# Accepted, and not published yet: only the ledger knows what it was before.
_PENDING = (
    "changed.applied = 1 AND EXISTS (SELECT 1 FROM file f WHERE f.run_id = changed.run_id AND f.blob = changed.blob"
    " AND f.generation = 0)"
)


class Changes:
    """Questions about what changed, and the steps of an acceptance in the ledger; each is one transaction."""

    def __init__(self, scratch: ScratchTables) -> None:
        self._scratch = scratch
        self._ledger = scratch.ledger
        self._connection = scratch.ledger.connection

    def begin_offer(self, run: Run) -> None:
        """A comparison begins: what was told before is doubted, unless it is accepted and under way. Snapshots stay on
        record, so that an interrupted keeping is not begun anew with every pass."""
        with self._ledger.transaction() as connection:
            connection.execute(
                f"UPDATE changed SET size = {DOUBTED} WHERE run_id = ? AND NOT ({_PENDING})", (run.id,)
            )

    def offer(self, run: Run, files: Iterable[FileToSend]) -> None:
        """Put down files that the source holds other than published."""
        self._scratch.insert(
            "INSERT INTO changed (run_id, blob, path, size, mtime_ns) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET path = excluded.path, size = excluded.size, mtime_ns = excluded.mtime_ns,"
            # What was kept for an earlier acceptance is not what stands there now.
            " snapshot = CASE applied WHEN 1 THEN NULL ELSE snapshot END, applied = 0",
            ((run.id, file.blob, file.path, file.size, file.mtime_ns) for file in files),
        )

    def end_offer(self, run: Run) -> None:
        """The comparison is done: what is still doubted is no difference any more."""
        with self._ledger.transaction() as connection:
            connection.execute(f"DELETE FROM changed WHERE run_id = ? AND size = {DOUBTED}", (run.id,))

    def offer_held(self, run: Run, code: str, others: Iterable[FileToSend]) -> None:
        """The same of blobs that another writer published: those held under ``code``, and what is no row yet."""
        with self._ledger.transaction() as connection:
            kept = connection.execute(
                "SELECT snapshot, run_id, blob FROM changed WHERE run_id = ? AND snapshot IS NOT NULL",
                (run.id,),
            ).fetchall()
            connection.execute("DELETE FROM changed WHERE run_id = ?", (run.id,))
            old = "old_size, old_md5, old_etag"
            connection.execute(
                f"INSERT INTO changed (run_id, blob, path, size, mtime_ns, {old})"
                " SELECT f.run_id, f.blob, f.path, f.size, f.mtime_ns, l.size, l.md5, l.etag FROM scratch.hold h"
                " JOIN file f ON f.run_id = ? AND f.blob = h.blob LEFT JOIN scratch.listing l ON l.blob = h.blob"
                " WHERE h.code = ?",
                (run.id, code),
            )
            connection.executemany(
                f"INSERT OR REPLACE INTO changed (run_id, blob, path, size, mtime_ns, {old})"
                " SELECT ?1, ?2, ?3, ?4, ?5, max(l.size), max(l.md5), max(l.etag) FROM scratch.listing l"
                " WHERE l.blob = ?2",
                ((run.id, file.blob, file.path, file.size, file.mtime_ns) for file in others),
            )
            connection.executemany("UPDATE changed SET snapshot = ? WHERE run_id = ? AND blob = ?", kept)

    def offered(self, run: Run) -> Offer:
        rows = self._connection.execute(
            "SELECT blob, size, mtime_ns FROM changed WHERE run_id = ? ORDER BY blob", (run.id,)
        )
        return offer_of(rows)

    def note_moved(self, run: Run) -> list[str]:
        """Accepted files, not published yet, that the walk saw as others than accepted (or not at all): the table now
        says what is there. Returns up to 20 names."""
        same = "s.blob = changed.blob AND s.kind = 'file'"
        where = (
            f"run_id = ? AND {_PENDING} AND NOT EXISTS (SELECT 1 FROM scratch.seen s WHERE {same}"
            " AND s.path = changed.path AND s.size = changed.size AND s.mtime_ns = changed.mtime_ns)"
        )
        found = self._connection.execute(
            f"SELECT blob FROM changed WHERE {where} ORDER BY blob LIMIT 20", (run.id,)
        ).fetchall()
        if found:
            with self._ledger.transaction() as connection:
                connection.execute(
                    "UPDATE changed SET"
                    f" size = coalesce((SELECT s.size FROM scratch.seen s WHERE {same}), {GONE}),"
                    f" mtime_ns = coalesce((SELECT s.mtime_ns FROM scratch.seen s WHERE {same}), 0),"
                    f" path = coalesce((SELECT s.path FROM scratch.seen s WHERE {same}), path) WHERE {where}",
                    (run.id,),
                )
        return [blob for (blob,) in found]

    def pending(self, run: Run) -> int:
        """How many files are accepted and not published yet."""
        row = self._connection.execute(
            f"SELECT count(*) FROM changed WHERE run_id = ? AND {_PENDING}", (run.id,)
        ).fetchone()
        return int(row[0])

    def without_snapshot(self, run: Run) -> Iterator[str]:
        query = "SELECT f.blob FROM changed f WHERE f.run_id = ? AND f.applied = 0 AND f.snapshot IS NULL"
        for (blob,) in self._scratch.pages(query, run):
            yield blob

    def set_snapshot(self, run: Run, blob: str, snapshot: str) -> None:
        """``snapshot`` is empty where there is no blob to keep."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE changed SET snapshot = ? WHERE run_id = ? AND blob = ?", (snapshot, run.id, blob)
            )

    def apply(self, run: Run) -> None:
        """What is accepted becomes an unpublished part of the manifest; what it was is kept."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE changed SET old_path = f.path, old_size = f.size, old_mtime_ns = f.mtime_ns, old_md5 = f.md5,"
                " old_evidence = f.evidence, old_etag = f.etag, old_generation = f.generation FROM file f"
                " WHERE changed.run_id = ? AND changed.applied = 0 AND f.run_id = changed.run_id"
                " AND f.blob = changed.blob AND f.generation > 0",
                (run.id,),
            )
            connection.execute("UPDATE changed SET applied = 1 WHERE run_id = ?", (run.id,))
            connection.execute(
                "UPDATE file SET path = c.path, size = c.size, mtime_ns = c.mtime_ns, md5 = NULL, evidence = 0,"
                " etag = NULL, etag_is_own = 0, generation = 0 FROM changed c"
                " WHERE file.run_id = ? AND c.run_id = file.run_id"
                " AND c.blob = file.blob AND file.generation > 0",
                (run.id,),
            )

    def take_back(self, run: Run) -> None:
        """The rows are what they were; whether the blobs are, the next verdict says."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE file SET path = c.old_path, size = c.old_size, mtime_ns = c.old_mtime_ns, md5 = c.old_md5,"
                " evidence = c.old_evidence, etag = c.old_etag, generation = c.old_generation, ctime_ns = NULL"
                " FROM changed c"
                " WHERE file.run_id = ? AND c.run_id = file.run_id AND c.blob = file.blob AND c.applied = 1"
                " AND c.old_generation > 0 AND file.generation = 0",
                (run.id,),
            )
            connection.execute("DELETE FROM changed WHERE run_id = ?", (run.id,))

    def replaced(self, run: Run) -> list[Replaced]:
        """Up to 1,000 blobs that an acceptance replaced (or is about to), for the receipt."""
        rows = self._connection.execute(
            "SELECT blob, old_size, old_md5, snapshot FROM changed WHERE run_id = ? AND applied = 1 ORDER BY blob"
            " LIMIT 1000",
            (run.id,),
        )
        return [Replaced(*row) for row in rows]

    def forget_changes(self, run: Run) -> None:
        if self._connection.execute("SELECT 1 FROM changed WHERE run_id = ? LIMIT 1", (run.id,)).fetchone():
            with self._ledger.transaction() as connection:
                connection.execute("DELETE FROM changed WHERE run_id = ?", (run.id,))
