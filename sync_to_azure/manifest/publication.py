"""A published run as the lake holds it: its documents, and its manifest against a listing. No ledger is needed.

A run may have a million files: manifest and listing lie in a throw-away database, unlinked as soon as it is open, so
that not even a kill leaves it behind.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sync_to_azure.core import bounded
from sync_to_azure.core.errors import BlobMissing, DocumentTooLarge, RunError, StateUnavailable
from sync_to_azure.core.model import Evidence
from sync_to_azure.core.names import is_ours, md5_line
from sync_to_azure.manifest import documents

if TYPE_CHECKING:
    from sync_to_azure.stores.store import Store

_BATCH = 2000
_MARKER = ".sync"
_SCHEMA = """
    CREATE TABLE file (
        blob TEXT PRIMARY KEY, target TEXT NOT NULL UNIQUE, sheet INTEGER NOT NULL, size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL, md5 BLOB NOT NULL, etag TEXT NOT NULL, evidence INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE listing (
        blob TEXT PRIMARY KEY, size INTEGER NOT NULL, md5 BLOB, etag TEXT NOT NULL, archived INTEGER NOT NULL
    ) WITHOUT ROWID;
"""


class NoManifest(RunError):
    """A run without a manifest that can be read: never published, or by another tool."""


@dataclasses.dataclass(frozen=True, slots=True)
class PublishedFile:
    """A line of the manifest and what the listing shows of its blob (``listed_etag`` is empty where it is missing;
    ``agrees``: size and MD5 are listed as they were published).

    ``blob``: below DEST/RUN/; ``target``: the path below the folder that holds the run, RUN/… for a file of the run and
    RUN.csv for the sheet of the sample sheet folder. ``evidence``: as the manifest says, to be believed where our key
    vouches for the receipt.
    """

    blob: str
    target: str
    size: int
    mtime_ns: int
    md5: bytes
    etag: str
    listed_etag: str
    archived: bool
    agrees: bool
    evidence: Evidence


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """``kind``: missing, size, md5 or rewritten (another ETag; size and MD5 are as published)."""

    blob: str
    kind: str
    detail: str
    etag: str


class Publication:
    """``read`` first, then ``take_listing``; closed when it is left. sqlite3.Error comes out as StateUnavailable."""

    def __init__(self, lake: "Store", base: str, folder: Path) -> None:
        self._lake = lake
        self.base = base
        self.run = base.rpartition("/")[2]
        self.receipt: Mapping[str, Any] | None = None
        self.receipt_sha256 = ""
        self.is_marked = False
        self.is_readable = False
        """The manifest was read to its end."""
        self.problems: list[tuple[str, str]] = []
        """(document, what is the matter with it): of the receipt, the marker and the checksums in the receipt."""
        self._folder = folder
        self._database = _throw_away(folder)

    def read(self) -> None:
        """Documents and manifest. Raises NoManifest if there is none, RunError if it cannot be believed."""
        with self._errors():
            self.problems.clear()
            self._database.execute("DELETE FROM file")
            self.is_marked = self._lake.exists(self.base + _MARKER)
            text = self._lake.get(self.base + ".json")
            if text is not None and documents.is_newer(text):
                raise RunError(
                    f"{self.base}.json was written by a newer version of sync_to_azure", "use that version"
                )
            self.receipt = documents.parse_receipt(text) if text is not None else None
            self.receipt_sha256 = hashlib.sha256(text or b"").hexdigest()
            listed, summed = hashlib.sha256(), hashlib.sha256()
            try:
                self._insert("INSERT INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._rows(listed))
            except BlobMissing:
                raise self._no_manifest() from None
            self._judge(text, listed.hexdigest(), summed)
            self.is_readable = True

    @property
    def is_continuous(self) -> bool:
        """A folder that is never done: it has no marker."""
        return self.receipt is not None and self.receipt.get("outcome") == "continuous"

    def _no_manifest(self) -> NoManifest:
        name = f"{self.base}.files.jsonl"
        if self.receipt is None and self.is_marked:
            return NoManifest(
                f"{name} is not there: the run was published by another tool, without a manifest"
            )
        if self.receipt is None:
            return NoManifest(f"{name} is not there: no run of this name is published")
        return NoManifest(f"{name} is not there, but its receipt is", "restore it (soft delete, versions)")

    def _rows(self, digest: "hashlib._Hash") -> Iterator[tuple[object, ...]]:
        name = f"{self.base}.files.jsonl"

        def lines() -> Iterator[bytes]:
            for line in self._lake.lines(name):
                digest.update(line + b"\n")
                yield line

        rows = documents.file_rows(lines(), 0)
        while True:
            try:
                row = next(rows, None)
            except ValueError as error:
                raise RunError(f"{name} {error}", "have the blob restored") from None
            if row is None:
                return
            sheet = row.origin == "sheet"
            # Of a continuous folder one file may stand in several places: it comes back as the lake has it.
            path = row.blob if self.is_continuous else row.path.decode()
            target = f"{self.run}.csv" if sheet else f"{self.run}/{path}"
            yield row.blob, target, int(sheet), row.size, row.mtime_ns, row.md5, row.etag, int(row.evidence)

    def _judge(self, receipt: bytes | None, listed: str, summed: "hashlib._Hash") -> None:
        """What is wrong with the documents themselves; RUN.md5 must say what RUN.files.jsonl says."""
        if not self.is_marked and not self.is_continuous:
            self.problems.append((f"{self.run}{_MARKER}", "is missing"))
        if self.receipt is None:
            what = "is missing" if receipt is None else "is no receipt"
            self.problems.append((f"{self.run}.json", what))
        expected = hashlib.sha256()
        for blob, md5 in self._database.execute("SELECT blob, md5 FROM file ORDER BY blob"):
            expected.update(md5_line(md5, f"{self.run}/{blob}").encode())
        try:
            for chunk in self._lake.read(self.base + ".md5", most=bounded.MOST_MANIFEST):
                summed.update(chunk)
        except BlobMissing:
            self.problems.append((f"{self.run}.md5", "is missing"))
        except DocumentTooLarge as error:
            self.problems.append((f"{self.run}.md5", f"has {error.size:,} bytes, far more than it can have"))
        else:
            if summed.digest() != expected.digest():
                self.problems.append((f"{self.run}.md5", f"does not say what {self.run}.files.jsonl says"))
        if self.receipt is None:
            return
        digests = self.receipt.get("sha256") or {}
        for suffix, found in ((".files.jsonl", listed), (".md5", summed.hexdigest())):
            known = any(name == self.run + suffix for name, _ in self.problems)
            if digests.get(self.run + suffix) != found and not known:
                self.problems.append((self.run + suffix, "does not have the checksum in its receipt"))

    def take_listing(self, moved: Callable[[int], None]) -> None:
        """Take a listing; ``moved`` is told how many blobs came so far."""

        def rows() -> Iterator[tuple[object, ...]]:
            cut = len(self.base) + 1
            sign = documents.ready(self.receipt or {})
            for number, blob in enumerate(self._lake.list(self.base + "/"), 1):
                if number % 1000 == 0:
                    moved(number)
                if not blob.folder_stub and (sign is None or blob.name[cut:] != sign[0]):
                    yield blob.name[cut:], blob.size, blob.md5, blob.etag, int(blob.is_archived)

        with self._errors():
            self._database.execute("DELETE FROM listing")
            self._insert("INSERT OR REPLACE INTO listing VALUES (?, ?, ?, ?, ?)", rows())

    def totals(self) -> tuple[int, int]:
        """Files and bytes of the manifest."""
        row = self._one("SELECT count(*), coalesce(sum(size), 0) FROM file")
        return int(row[0]), int(row[1])

    def archived(self) -> tuple[int, int]:
        """Files of the manifest whose blobs are archived, and their bytes."""
        row = self._one(
            "SELECT count(*), coalesce(sum(f.size), 0) FROM file f JOIN listing l ON l.blob = f.blob WHERE l.archived"
        )
        return int(row[0]), int(row[1])

    def extras(self) -> tuple[int, list[str]]:
        """Blobs below DEST/RUN/ not listed in any manifest: how many, and the first 20."""
        where = "FROM listing l WHERE NOT EXISTS (SELECT 1 FROM file f WHERE f.blob = l.blob)"
        count = int(self._one(f"SELECT count(*) {where}")[0])
        names = self._database.execute(f"SELECT l.blob {where} ORDER BY l.blob LIMIT 20").fetchall()
        return count, [str(name) for (name,) in names]

    def differences(self) -> Iterator[Difference]:
        """What the listing shows to be other than published, in order of blob names."""
        rows = self._database.execute(
            "SELECT f.blob, f.size, l.size, f.md5, l.md5, coalesce(l.etag, '') FROM file f LEFT JOIN listing l"
            " ON l.blob = f.blob WHERE l.blob IS NULL OR l.size <> f.size OR l.md5 IS NOT f.md5 OR l.etag <> f.etag"
            " ORDER BY f.blob"
        )
        for blob, size, listed_size, md5, listed_md5, etag in rows:
            if listed_size is None:
                yield Difference(blob, "missing", "is missing", "")
            elif listed_size != size:
                yield Difference(blob, "size", f"has {listed_size} bytes instead of {size}", etag)
            elif listed_md5 != md5:
                shown = listed_md5.hex() if listed_md5 else "none"
                yield Difference(blob, "md5", f"shows MD5 {shown} instead of {md5.hex()}", etag)
            else:
                yield Difference(
                    blob, "rewritten", "was written again since (another ETag); size and MD5 are right", etag
                )

    def files(self, after: str = "") -> Iterator[PublishedFile]:
        """The manifest in order of blob names, from behind the blob ``after``; a page at a time."""
        while True:
            page = self._database.execute(
                f"{_FILE} WHERE f.blob > ? ORDER BY f.blob LIMIT {_BATCH}", (after,)
            ).fetchall()
            yield from map(_file, page)
            if len(page) < _BATCH:
                return
            after = page[-1][0]

    def file(self, blob: str) -> PublishedFile | None:
        row = self._database.execute(f"{_FILE} WHERE f.blob = ?", (blob,)).fetchone()
        return None if row is None else _file(row)

    def _one(self, query: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._database.execute(query).fetchone()
        return row

    def _insert(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        batch: list[tuple[object, ...]] = []
        for row in rows:
            batch.append(row)
            if len(batch) >= _BATCH:
                self._write(statement, batch)
                batch.clear()
        self._write(statement, batch)

    def _write(self, statement: str, batch: list[tuple[object, ...]]) -> None:
        self._database.execute("BEGIN")
        self._database.executemany(statement, batch)
        self._database.execute("COMMIT")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise RunError(
                f"{self.base}.files.jsonl lists a file twice, so sync_to_azure did not write it",
                "have the blob restored",
            ) from None
        except sqlite3.Error as error:
            raise StateUnavailable(
                f"a throw-away database in {self._folder} cannot be written: {error}", "free some space there"
            ) from error

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "Publication":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_FILE = (
    "SELECT f.blob, f.target, f.size, f.mtime_ns, f.md5, f.etag, coalesce(l.etag, ''), coalesce(l.archived, 0),"
    " l.size IS f.size AND l.md5 IS f.md5, f.evidence FROM file f LEFT JOIN listing l ON l.blob = f.blob"
)


def _file(row: tuple[Any, ...]) -> PublishedFile:
    blob, target, size, mtime_ns, md5, etag, listed_etag, archived, agrees, evidence = row
    return PublishedFile(
        *(blob, target, size, mtime_ns, bytes(md5), etag, listed_etag),
        *(bool(archived), bool(agrees), Evidence(evidence)),
    )


def runs_in(lake: "Store", destination: str) -> set[str]:
    """Names of the runs that have a marker, or receipt and manifest without one, at the destination."""
    prefix = f"{destination}/" if destination else ""
    names = {name.removeprefix(prefix) for name in lake.list_level(prefix)}
    marked = {name.removesuffix(_MARKER) for name in names if name.endswith(_MARKER)}
    told = {name.removesuffix(".json") for name in names if name.endswith(".json")}
    return {
        run
        for run in marked | {run for run in told if f"{run}.files.jsonl" in names}
        if run and not is_ours(run)
    }


def _throw_away(folder: Path) -> sqlite3.Connection:
    try:
        handle, path = tempfile.mkstemp(prefix=".sync_to_azure-", dir=folder)
        os.close(handle)
        try:
            database = sqlite3.connect(path, isolation_level=None)
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            database.execute("PRAGMA cache_size = -32000")
            database.executescript(_SCHEMA)
        finally:
            os.unlink(path)
    except (OSError, sqlite3.Error) as error:
        raise StateUnavailable(
            f"a throw-away database cannot be made in {folder}: {error}", "free some space there"
        ) from error
    return database
