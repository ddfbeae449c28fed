"""Looking into the ledger without a lock and without writing, also while a pass is at work.

What is asked of all runs at once is asked of the run table alone: with 10,000 runs of 100 files on record, nothing here
reads the million rows of the file table.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from sync_to_azure.core.errors import StateUnavailable
from sync_to_azure.events.outbox import Outbox
from sync_to_azure.transfer.ledger.announcing import source_of
from sync_to_azure.transfer.ledger.backlogs import Undelivered, undelivered
from sync_to_azure.transfer.ledger.audits import Audited, AuditFinding, all_audited, findings_of
from sync_to_azure.transfer.ledger.changes import Offer, offer_of
from sync_to_azure.transfer.ledger.migrations import MIGRATIONS
from sync_to_azure.transfer.ledger.run import RUN_COLUMNS, Flow, Run, run_of
from sync_to_azure.transfer.ledger.overrides import Override, all_current, override_history
from sync_to_azure.core.model import Evidence

_WAITS = 5.0
"""Seconds in which a writer that moves the file on is waited for."""


@dataclasses.dataclass(frozen=True, slots=True)
class Live:
    """How far the pass is that works now, or worked last and was cut off; times in seconds since 1970."""

    run_id: int | None
    step: str
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    updated: float


@dataclasses.dataclass(frozen=True, slots=True)
class LedgerEvent:
    at: float
    code: str
    parameters: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file that a person may accept: ``size`` and ``mtime_ns`` as the source has it, ``old_size`` as published."""

    blob: str
    size: int
    mtime_ns: int
    old_size: int | None


class LedgerReader:
    """Open with ``open_reading``; raises StateUnavailable where the file cannot be read."""

    def __init__(self, connection: sqlite3.Connection, path: Path, flow_id: int | None) -> None:
        self.connection = connection
        self.path = path
        self.flow_id = flow_id

    def __enter__(self) -> "LedgerReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def _rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        try:
            return self.connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise unreadable(self.path, error) from error

    def runs(self) -> list[Run]:
        """In order of names."""
        query = f"SELECT {RUN_COLUMNS} FROM run WHERE flow_id = ? ORDER BY key"
        return [run_of(row) for row in self._rows(query, self.flow_id)]

    def run(self, key: str) -> Run | None:
        rows = self._rows(f"SELECT {RUN_COLUMNS} FROM run WHERE flow_id = ? AND key = ?", self.flow_id, key)
        return run_of(rows[0]) if rows else None

    def names(self) -> list[str]:
        return [row[0] for row in self._rows("SELECT key FROM run WHERE flow_id = ?", self.flow_id)]

    def overrides(self) -> dict[str, Override]:
        """Those in force, by run; some may be of runs that are not there yet."""
        if self.flow_id is None:
            return {}
        return all_current(self.connection, self.flow_id)

    def override_history(self, key: str) -> list[Override]:
        return [] if self.flow_id is None else override_history(self.connection, self.flow_id, key)

    def audited(self) -> dict[str, Audited]:
        """What audits found, by run; some may be of runs that only the lake knows."""
        return all_audited(self.connection, self.flow_id)

    def undelivered(self, flow: Flow) -> list[Undelivered]:
        """Events that a consumer has not had yet, by consumer."""
        try:
            return undelivered(Outbox(self.connection, source_of(flow)))
        except sqlite3.Error as error:
            raise unreadable(self.path, error) from error

    def live(self) -> Live | None:
        rows = self._rows(
            "SELECT run_id, step, files_done, files_total, bytes_done, bytes_total, updated FROM progress"
            " WHERE flow_id = ?",
            self.flow_id,
        )
        return Live(*rows[0]) if rows else None

    def heartbeat(self) -> float | None:
        """When a pass last moved, in seconds since 1970."""
        rows = self._rows("SELECT heartbeat FROM flow WHERE id = ?", self.flow_id)
        return rows[0][0] if rows else None

    def left(self) -> tuple[int, int]:
        """How many files and links of the main folder itself the last pass left alone."""
        rows = self._rows("SELECT loose_files, links FROM flow WHERE id = ?", self.flow_id)
        return (rows[0][0], rows[0][1]) if rows else (0, 0)

    def to_read_back(self) -> tuple[int, int]:
        """Runs that are published and not removed, and the bytes of them that no request of our own proved."""
        rows = self._rows(
            "SELECT count(DISTINCT f.run_id), coalesce(sum(f.size), 0) FROM run r JOIN file f ON f.run_id = r.id"
            " WHERE r.flow_id = ? AND r.generation > 0 AND r.state NOT IN ('removed', 'gone') AND f.origin = 'run'"
            f" AND (f.etag_is_own = 0 OR f.evidence < {int(Evidence.VALIDATED)})",
            self.flow_id,
        )
        return int(rows[0][0]), int(rows[0][1])

    # One run

    def events(self, run: Run) -> list[LedgerEvent]:
        rows = self._rows("SELECT at, code, parameters FROM event WHERE run_id = ? ORDER BY id", run.id)
        return [LedgerEvent(at, code, json.loads(parameters)) for at, code, parameters in rows]

    def evidence(self, run: Run) -> dict[Evidence, tuple[int, int]]:
        """Files and bytes of the manifest by how they are proved; of this run's rows alone."""
        rows = self._rows(
            "SELECT evidence, count(*), sum(size) FROM file WHERE run_id = ? GROUP BY evidence", run.id
        )
        return {Evidence(evidence): (count, size) for evidence, count, size in rows}

    def unpublished(self, run: Run) -> int:
        query = "SELECT count(*) FROM file WHERE run_id = ? AND generation = 0"
        return int(self._rows(query, run.id)[0][0])

    def uncarried(self, run: Run) -> list[tuple[str, str, str]]:
        """(path, kind, detail), the first 1,000."""
        rows = self._rows(
            "SELECT path, kind, detail FROM uncarried WHERE run_id = ? ORDER BY path LIMIT 1000", run.id
        )
        return [
            (bytes(path).decode("utf-8", "backslashreplace"), kind, detail) for path, kind, detail in rows
        ]

    def findings(self, key: str) -> list[AuditFinding]:
        """What audits found to be wrong with one run, and nobody solved since."""
        return findings_of(self.connection, self.flow_id, key)

    def changed(self, run: Run) -> list[ChangedFile]:
        """What a person may accept, in order of names."""
        rows = self._rows(
            "SELECT c.blob, c.size, c.mtime_ns, coalesce(c.old_size, f.size) FROM changed c LEFT JOIN file f"
            " ON f.run_id = c.run_id AND f.blob = c.blob WHERE c.run_id = ? ORDER BY c.blob",
            run.id,
        )
        return [ChangedFile(*row) for row in rows]


def offer(files: list[ChangedFile]) -> Offer:
    return offer_of((file.blob, file.size, file.mtime_ns) for file in files)


def open_reading(path: Path, flow: Flow) -> LedgerReader | None:
    """None where there is no ledger yet, or nothing of this flow is in it."""
    if not os.path.lexists(path):
        return None
    connection = None
    try:
        connection = _connect(path)
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        applied = set()
        if "migration" in tables:
            applied = {row[0] for row in connection.execute("SELECT name FROM migration")}
        if not applied and not tables:
            connection.close()
            return None
        if applied != MIGRATIONS.keys():
            raise _of_another_version(path, applied)
        row = connection.execute("SELECT id FROM flow WHERE key = ?", (flow.key,)).fetchone()
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise unreadable(path, error) from error
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return LedgerReader(connection, path, None if row is None else int(row[0]))


def _connect(path: Path) -> sqlite3.Connection:
    """Read-only. Beside a ledger at rest, in a folder that we may not write, SQLite cannot make the files that readers
    share; nobody writes then, so it is read as a file that does not change."""
    name = quote(str(path))
    connection = sqlite3.connect(f"file:{name}?mode=ro", uri=True, isolation_level=None, timeout=_WAITS)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        return connection
    except sqlite3.OperationalError as error:
        connection.close()
        at_rest = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        if not at_rest or os.path.exists(f"{path}-wal") or not os.access(path, os.R_OK):
            raise
    return sqlite3.connect(f"file:{name}?immutable=1", uri=True, isolation_level=None)


def _of_another_version(path: Path, applied: set[str]) -> StateUnavailable:
    if not applied:
        return StateUnavailable(
            f"state file {path} is a database of another program", "name another state-file"
        )
    if applied - MIGRATIONS.keys():
        return StateUnavailable(
            f"state file {path} was written by a newer version of sync_to_azure",
            "use that version, or name another state-file",
        )
    return StateUnavailable(
        f"state file {path} was written by an older version of sync_to_azure",
        "the next pass brings it up to date",
    )


def unreadable(path: Path, error: sqlite3.Error) -> StateUnavailable:
    return StateUnavailable(
        f"state file {path} cannot be read: {error}",
        "run this as the user who runs the passes (sudo -u …), or name the right state-file",
    )
