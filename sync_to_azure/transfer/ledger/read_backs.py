"""Which files of a run have to be read back, and which of those cannot be: their blobs are archived.

By the manifest and the listing just taken. Adopted rows came from the published manifest, after the ledger was lost or
another machine published: what is published of them is read back for a removal (or by an audit), never to publish.
"""

from __future__ import annotations

from collections.abc import Iterator

from sync_to_azure.transfer.ledger.scratch_tables import ScratchTables
from sync_to_azure.manifest.rows import ROW_COLUMNS, FileRow, file_row
from sync_to_azure.transfer.ledger.run import Run
from sync_to_azure.core.model import Evidence

_ARCHIVED = "EXISTS (SELECT 1 FROM scratch.listing l WHERE l.blob = f.blob AND l.archived)"


def to_publish(least: Evidence) -> str:
    """Proved, but more weakly than ``least``. What has to be hashed again comes later."""
    return (
        f"f.evidence BETWEEN 1 AND {int(least) - 1} AND f.md5 IS NOT NULL"
        " AND NOT (f.adopted AND f.generation > 0)"
    )


TO_REMOVE = (
    f"f.evidence > 0 AND (f.evidence < {int(Evidence.VALIDATED)} OR f.etag_is_own = 0) AND f.md5 IS NOT NULL"
    " AND f.origin = 'run'"
)
"""Proved, but by no request of our own for the ETag that is listed."""


class ReadBacks:
    """``which``: ``to_publish(…)`` or ``TO_REMOVE``."""

    def __init__(self, scratch: ScratchTables) -> None:
        self._scratch = scratch
        self._ledger = scratch.ledger
        self._connection = scratch.ledger.connection

    def to_read_back(self, run: Run, which: str) -> tuple[int, int]:
        """Files and bytes."""
        return self._counted(run, f"{which} AND NOT {_ARCHIVED}")

    def each_to_read_back(self, run: Run, which: str) -> Iterator[FileRow]:
        query = f"SELECT {ROW_COLUMNS} FROM file f WHERE run_id = ? AND {which} AND NOT {_ARCHIVED}"
        return map(file_row, self._scratch.pages(query, run))

    def archived(self, run: Run, which: str) -> tuple[int, int, list[str]]:
        """Files and bytes that cannot be read back, and up to 20 of them."""
        count, size = self._counted(run, f"{which} AND {_ARCHIVED}")
        if not count:
            return 0, 0, []
        rows = self._connection.execute(
            f"SELECT f.blob FROM file f WHERE run_id = ? AND {which} AND {_ARCHIVED} ORDER BY f.blob LIMIT 20",
            (run.id,),
        )
        return count, size, [str(blob) for (blob,) in rows]

    def _counted(self, run: Run, where: str) -> tuple[int, int]:
        self._scratch.attach()
        row = self._connection.execute(
            f"SELECT count(*), coalesce(sum(size), 0) FROM file f WHERE run_id = ? AND {where}", (run.id,)
        ).fetchone()
        return int(row[0]), int(row[1])
