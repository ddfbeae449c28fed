"""Before removal: each entry that the last walk saw, beside its row of the published manifest and that row's blob."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator

from sync_to_azure.files.folder import Place
from sync_to_azure.manifest.rows import ROW_COLUMNS, ROW_LENGTH, FileRow, file_row
from sync_to_azure.transfer.ledger.run import Run
from sync_to_azure.core.model import Blob, Entry, FileToSend, Kind

_PAGE = 2000

ADOPTED = "adopted"
"""Event: its manifest, or a part of it, came from the lake instead of our own reading."""

CARRIED_EARLY = "carried ahead"
"""Event: files of it were hashed, and sent, while it was written."""

READ_AGAIN = "reading all of it once more"
"""Event: from here on, a file that was read once more before its removal is not read again."""
_THIS_TIME = (READ_AGAIN, "removing:moved-aside", "put-back")
_AT_LEAST_ONCE = (READ_AGAIN, ADOPTED, CARRIED_EARLY)


def entries_with_blobs(
    connection: sqlite3.Connection, run: Run
) -> Iterator[tuple[Entry, FileRow | None, Blob | None]]:
    """In order of paths, a page at a time: no cursor stays open, a million entries are never in memory."""
    connection.execute("CREATE INDEX IF NOT EXISTS scratch.seen_path ON seen (path)")
    last = b""
    while True:
        page = connection.execute(
            "SELECT s.path, s.kind, s.size, s.mtime_ns, s.detail, s.ctime_ns,"
            f" {ROW_COLUMNS},"
            " l.blob, l.size, l.md5, l.etag, l.stub"
            " FROM scratch.seen s LEFT JOIN file f ON f.run_id = ? AND f.blob = s.blob AND f.path = s.path"
            "  AND f.origin = 'run' LEFT JOIN scratch.listing l ON l.blob = f.blob"
            f" WHERE s.path > ? ORDER BY s.path LIMIT {_PAGE}",
            (run.id, last),
        ).fetchall()
        for row in page:
            entry = Entry(bytes(row[0]), Kind(row[1]), *row[2:6])
            published = file_row(row[6 : 6 + ROW_LENGTH]) if row[6] is not None else None
            name, size, md5, etag, stub = row[6 + ROW_LENGTH :]
            stands = published is not None and name is not None
            blob = Blob(name, size, md5, etag, folder_stub=bool(stub)) if stands else None
            yield entry, published, blob
        if len(page) < _PAGE:
            return
        last = bytes(page[-1][0])


def happened(connection: sqlite3.Connection, run: Run, code: str) -> bool:
    query = "SELECT EXISTS (SELECT 1 FROM event WHERE run_id = ? AND code = ?)"
    return bool(connection.execute(query, (run.id, code)).fetchone()[0])


def reads_again(connection: sqlite3.Connection, run: Run, each_time: bool) -> bool:
    """Was it begun to read all of the run once more: in this removal (``each_time``), which may have been interrupted,
    or ever since its files were last hashed by others, or while they were written?"""
    codes = _THIS_TIME if each_time else _AT_LEAST_ONCE
    marks = ", ".join("?" * len(codes))
    row = connection.execute(
        f"SELECT code FROM event WHERE run_id = ? AND code IN ({marks}) ORDER BY id DESC LIMIT 1",
        (run.id, *codes),
    ).fetchone()
    return row is not None and row[0] == READ_AGAIN


_CHANGED_SINCE = (
    "FROM scratch.seen s JOIN file f ON f.run_id = ? AND f.blob = s.blob AND f.path = s.path AND f.origin = 'run'"
    " WHERE s.kind = 'file' AND s.size = f.size AND s.mtime_ns = f.mtime_ns AND f.ctime_ns IS NOT s.ctime_ns"
)


def changed_since(connection: sqlite3.Connection, run: Run) -> tuple[int, int]:
    """Files and bytes whose size and mtime are as published, and whose ctime is not that of their hash, or unknown."""
    row = connection.execute(f"SELECT count(*), coalesce(sum(s.size), 0) {_CHANGED_SINCE}", (run.id,))
    count, size = row.fetchone()
    return int(count), int(size)


def each_changed_since(connection: sqlite3.Connection, run: Run) -> Iterator[tuple[FileToSend, bytes]]:
    """Each, with the MD5 that was published. In pages: rows may be written meanwhile."""
    last = ""
    while True:
        page = connection.execute(
            f"SELECT f.blob, f.path, f.size, f.mtime_ns, f.md5 {_CHANGED_SINCE} AND f.blob > ? ORDER BY f.blob"
            f" LIMIT {_PAGE}",
            (run.id, last),
        ).fetchall()
        for blob, path, size, mtime_ns, md5 in page:
            yield FileToSend(bytes(path), blob, size, mtime_ns), md5 or b""
        if len(page) < _PAGE:
            return
        last = page[-1][0]


def uncarried_but(
    connection: sqlite3.Connection, run: Run, kinds: Collection[Kind]
) -> tuple[int, Iterator[bytes]]:
    """What was not carried when the run was looked at last, but for these kinds: how many, and their paths."""
    marks = ", ".join("?" * len(kinds))
    where = f"FROM uncarried WHERE run_id = ? AND kind NOT IN ({marks})"
    parameters = (run.id, *(kind.value for kind in kinds))
    count = int(connection.execute(f"SELECT count(*) {where}", parameters).fetchone()[0])
    return count, (
        bytes(path) for (path,) in connection.execute(f"SELECT path {where} ORDER BY path", parameters)
    )


def still_there(root: Place, paths: Iterator[bytes]) -> str:
    """The first of the paths below ``root`` that is there (or cannot be looked at), as text; or an empty string."""
    path = b""
    try:
        with root.open() as folder:
            for path in paths:
                try:
                    folder.stat(path)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                break
            else:
                return ""
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError:
        path = path or next(paths, b"")
    return path.decode("utf-8", "backslashreplace")
