"""Of a continuous folder: which files of the walk that was just taken (``work.seen``) are not carried yet, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sync_to_azure.transfer.ledger.ledger import Ledger
from sync_to_azure.transfer.ledger.run import Run
from sync_to_azure.core.model import FileToSend, Kind

_PAGE = 2000
# A published blob that may never become another is compared at any age: nobody waits with telling.
_COMPARED = (
    "EXISTS (SELECT 1 FROM file f WHERE f.run_id = :run AND f.blob = seen.blob AND f.generation > 0"
    " AND is_frozen(f.blob))"
)
_STILL_SINCE = "(SELECT t.since FROM stability t WHERE t.run_id = :run AND t.blob = seen.blob)"


class Deferrals:
    """``Still`` must have noted the walk before."""

    def __init__(self, ledger: Ledger, run: Run, is_frozen: Callable[[str], bool]) -> None:
        self._ledger, self._run = ledger, run
        self._connection = ledger.connection
        self._connection.create_function("is_frozen", 1, is_frozen, deterministic=True)

    def written_after(self, moment: float, now: float, why: str) -> None:
        """Let wait what was written after ``moment``. A time that lies in the future says nothing: of such a file our
        own looks count."""
        self._wait(
            f"mtime_ns > :moment_ns AND NOT (mtime_ns > :now_ns AND {_STILL_SINCE} <= :moment)",
            why,
            {"moment": moment, "moment_ns": _ns(moment), "now_ns": _ns(now)},
        )

    def moved_after(self, moment: float, why: str) -> None:
        """Let wait what our own looks saw as it is only after ``moment``."""
        self._wait(f"{_STILL_SINCE} > :moment", why, {"moment": moment})

    def wait(self, blobs: Iterable[tuple[str, str]]) -> None:
        """(blob, why)"""
        with self._ledger.transaction() as connection:
            connection.executemany(
                "UPDATE scratch.seen SET kind = ?, detail = ? WHERE blob = ? AND kind = ?",
                [(Kind.WAITING.value, why, blob, Kind.FILE.value) for blob, why in blobs],
            )

    def _wait(self, where: str, why: str, values: dict[str, object]) -> None:
        with self._ledger.transaction() as connection:
            connection.execute(
                f"UPDATE scratch.seen SET kind = :waits, detail = :why WHERE kind = :file AND {where}"
                f" AND NOT {_COMPARED}",
                {
                    "run": self._run.id,
                    "waits": Kind.WAITING.value,
                    "file": Kind.FILE.value,
                    "why": why,
                    **values,
                },
            )

    def unproved(self) -> Iterator[tuple[FileToSend, float]]:
        """Files that would be carried now and are not proved yet, and since when each stands as it does."""
        query = (
            "SELECT seen.blob, seen.path, seen.size, seen.mtime_ns,"
            " coalesce((SELECT t.since FROM stability t WHERE t.run_id = ?1 AND t.blob = seen.blob), 0)"
            " FROM scratch.seen WHERE seen.kind = 'file' AND seen.blob > ?2 AND NOT EXISTS (SELECT 1 FROM file f"
            " WHERE f.run_id = ?1 AND f.blob = seen.blob AND (f.generation > 0 OR f.evidence > 0)"
            f" AND f.size = seen.size AND f.mtime_ns = seen.mtime_ns) ORDER BY seen.blob LIMIT {_PAGE}"
        )
        last = ""
        while True:
            page = self._connection.execute(query, (self._run.id, last)).fetchall()
            for blob, path, size, mtime_ns, since in page:
                yield FileToSend(bytes(path), blob, size, mtime_ns), since
            if len(page) < _PAGE:
                return
            last = page[-1][0]

    def files(self) -> Iterator[tuple[bytes, int, int]]:
        """(path, size, mtime in ns) of what is carried."""
        rows = self._connection.execute("SELECT path, size, mtime_ns FROM scratch.seen WHERE kind = 'file'")
        return ((bytes(path), size, mtime_ns) for path, size, mtime_ns in rows)

    def carries(self, blob: str) -> bool:
        """Is it among what is carried?"""
        row = self._connection.execute(
            "SELECT 1 FROM scratch.seen WHERE blob = ? AND kind = 'file' LIMIT 1", (blob,)
        ).fetchone()
        return row is not None

    def renew(self, blobs: Iterable[str]) -> None:
        """Published files that may become others, and have: unpublished, as the walk saw them. Until the next
        publishing only the lake knows what they were: ``remote_state_current`` is taken back first."""
        with self._ledger.transaction() as connection:
            connection.executemany(
                "UPDATE file SET generation = 0, md5 = NULL, evidence = 0, etag = NULL, etag_is_own = 0,"
                " path = s.path, size = s.size, mtime_ns = s.mtime_ns FROM scratch.seen s"
                " WHERE file.run_id = ? AND file.blob = ? AND s.blob = file.blob AND s.kind = 'file'",
                [(self._run.id, blob) for blob in blobs],
            )


def _ns(seconds: float) -> int:
    return max(-(2**63), min(int(seconds * 1e9), 2**63 - 1))
