"""Runs, events, what was told, and how far a pass is: the small tables, one transaction a step."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sync_to_azure.errors import StateUnavailable
from sync_to_azure.ledger.migrations import migrate
from sync_to_azure.model import Progress, State
from sync_to_azure.reasons import Reason

_SQLITE_HEADER = b"SQLite format 3\0"


@dataclasses.dataclass(frozen=True, slots=True)
class Flow:
    """What ledger rows and the lock are keyed by, together."""

    main_folder: str
    endpoint: str
    container: str
    destination: str

    @property
    def key(self) -> str:
        facts = json.dumps([self.main_folder, self.endpoint, self.container, self.destination])
        return hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclasses.dataclass(slots=True)
class Run:
    """A row of the run table; field names are column names. Times in seconds since 1970, mtimes in ns."""

    id: int
    key: str
    profile: str
    state: State
    reason: Reason | None
    since: float
    first_seen: float
    folder_mtime_ns: int | None
    fingerprint: str | None
    quiet_since: float | None
    generation: int
    lake_known: bool
    taken_over: bool
    rows_kept: bool
    files: int
    bytes: int
    published_at: float | None
    first_published: float | None
    sheet_size: int | None
    sheet_mtime_ns: int | None
    sheet_state: str | None

    @property
    def is_published(self) -> bool:
        return self.generation > 0


_RUN_COLUMNS = (
    "id, key, profile, state, reason_code, reason_parameters, since, first_seen, folder_mtime_ns, fingerprint,"
    " quiet_since, generation, lake_known, taken_over, rows_kept, files, bytes, published_at, first_published,"
    " sheet_size, sheet_mtime_ns, sheet_state"
)
_SETTABLE = frozenset(field.name for field in dataclasses.fields(Run)) - {
    "id",
    "key",
    "state",
    "reason",
    "since",
}


def _run(row: tuple[Any, ...]) -> Run:
    values: dict[str, Any] = dict(zip(_RUN_COLUMNS.replace(" ", "").split(","), row))
    code, parameters = values.pop("reason_code"), values.pop("reason_parameters")
    values["reason"] = Reason(code, json.loads(parameters or "{}")) if code else None
    values["state"] = State(values["state"])
    for name in ("lake_known", "taken_over", "rows_kept"):
        values[name] = bool(values[name])
    return Run(**values)


class Ledger:
    """Open with ``Ledger.open``; every method is one transaction. sqlite3.Error goes to the caller, which knows
    whether a damaged file can be moved aside."""

    def __init__(self, connection: sqlite3.Connection, path: Path, flow: Flow, flow_id: int) -> None:
        self.connection = connection
        self.path = path
        self.flow = flow
        self.flow_id = flow_id
        self._rehearsing = False

    @classmethod
    def open(cls, path: Path, flow: Flow) -> "Ledger":
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, timeout=30.0)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA cache_size = -16000")
            migrate(connection, str(path))
            row = connection.execute("SELECT id FROM flow WHERE key = ?", (flow.key,)).fetchone()
            if row is None:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(
                    "INSERT INTO flow (key, main_folder, endpoint, container, destination) VALUES (?, ?, ?, ?, ?)",
                    (flow.key, flow.main_folder, flow.endpoint, flow.container, flow.destination),
                )
                connection.execute("COMMIT")
                row = connection.execute("SELECT id FROM flow WHERE key = ?", (flow.key,)).fetchone()
        except BaseException:
            connection.close()
            raise
        return cls(connection, path, flow, int(row[0]))

    def close(self) -> None:
        self.connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        begin, commit, back = ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
        if self._rehearsing:
            begin, commit, back = ("SAVEPOINT step", "RELEASE step", "ROLLBACK TO step")
        self.connection.execute(begin)
        try:
            yield self.connection
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.connection.execute(back)
            raise
        self.connection.execute(commit)

    @contextlib.contextmanager
    def rehearsal(self, prepare: Callable[[], None]) -> Iterator[None]:
        """A dry run: all steps work on the ledger as always, and at the end nothing of it stays."""
        prepare()
        self.connection.execute("BEGIN IMMEDIATE")
        self._rehearsing = True
        try:
            yield
        finally:
            self._rehearsing = False
            self.connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def earnest(self) -> Iterator[None]:
        yield

    # Runs

    def runs(self) -> dict[str, Run]:
        rows = self.connection.execute(f"SELECT {_RUN_COLUMNS} FROM run WHERE flow_id = ?", (self.flow_id,))
        return {run.key: run for run in map(_run, rows)}

    def add_run(self, key: str, state: State, now: float) -> Run:
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO run (flow_id, key, state, since, first_seen) VALUES (?, ?, ?, ?, ?)",
                (self.flow_id, key, state, now, now),
            )
            row = connection.execute(
                f"SELECT {_RUN_COLUMNS} FROM run WHERE flow_id = ? AND key = ?", (self.flow_id, key)
            ).fetchone()
        return _run(row)

    def set_state(
        self,
        run: Run,
        state: State,
        reason: Reason | None,
        now: float,
        event: str | None = None,
        **columns: object,
    ) -> bool:
        """Move a run on; True if state or reason's code are new. ``columns`` are set in the same transaction, and an
        event is appended when the state changes (or ``event`` names one)."""
        news = run.state is not state or (run.reason and run.reason.code) != (reason and reason.code)
        same = not news and run.reason == reason and not columns and event is None
        if same:
            return False
        with self.transaction() as connection:
            since = now if run.state is not state else run.since
            connection.execute(
                "UPDATE run SET state = ?, reason_code = ?, reason_parameters = ?, since = ? WHERE id = ?",
                (
                    state,
                    reason and reason.code,
                    reason and json.dumps(dict(reason.parameters)),
                    since,
                    run.id,
                ),
            )
            self._set_columns(connection, run, columns)
            if news or event:
                parameters = dict(reason.parameters) if reason else {}
                code = event or (f"{state}:{reason.code}" if reason else str(state))
                self._append(connection, run.id, now, code, parameters)
        run.state, run.reason, run.since = state, reason, since
        return news

    def set(self, run: Run, **columns: object) -> None:
        with self.transaction() as connection:
            self._set_columns(connection, run, columns)

    def _set_columns(self, connection: sqlite3.Connection, run: Run, columns: Mapping[str, object]) -> None:
        if not columns:
            return
        if not columns.keys() <= _SETTABLE:
            raise ValueError(f"not columns of a run: {sorted(columns.keys() - _SETTABLE)}")
        assignments = ", ".join(f"{name} = ?" for name in columns)
        connection.execute(f"UPDATE run SET {assignments} WHERE id = ?", (*columns.values(), run.id))
        for name, value in columns.items():
            setattr(run, name, value)

    # Events, what was told, mail

    def append_event(self, run: Run | None, now: float, code: str, parameters: Mapping[str, object]) -> None:
        with self.transaction() as connection:
            self._append(connection, run.id if run else None, now, code, parameters)

    def _append(
        self,
        connection: sqlite3.Connection,
        run_id: int | None,
        now: float,
        code: str,
        parameters: Mapping[str, object],
    ) -> None:
        connection.execute(
            "INSERT INTO event (flow_id, run_id, at, code, parameters) VALUES (?, ?, ?, ?, ?)",
            (self.flow_id, run_id, now, code, json.dumps(dict(parameters))),
        )

    def tell_once(self, key: str, now: float) -> bool:
        """True the first time for this key."""
        with self.transaction() as connection:
            done = connection.execute(
                "INSERT OR IGNORE INTO told (flow_id, key, at) VALUES (?, ?, ?)", (self.flow_id, key, now)
            )
            return done.rowcount == 1

    def untell(self, key: str) -> None:
        """Forget that this was told: if it comes again, it is news again."""
        found = self.connection.execute(
            "SELECT 1 FROM told WHERE flow_id = ? AND key = ?", (self.flow_id, key)
        )
        if found.fetchone():
            with self.transaction() as connection:
                connection.execute("DELETE FROM told WHERE flow_id = ? AND key = ?", (self.flow_id, key))

    def mailed(self) -> dict[str, float]:
        """Trouble keys and when each was last mailed."""
        rows = self.connection.execute(
            "SELECT substr(key, 6), at FROM told WHERE flow_id = ? AND key >= 'mail:' AND key < 'mail;'",
            (self.flow_id,),
        )
        return {str(key): float(at) for key, at in rows}

    def note_mailed(self, keys: tuple[str, ...], now: float, open_trouble: bool) -> None:
        with self.transaction() as connection:
            if not open_trouble:
                connection.execute(
                    "DELETE FROM told WHERE flow_id = ? AND key >= 'mail:' AND key < 'mail;'", (self.flow_id,)
                )
            connection.executemany(
                "INSERT OR REPLACE INTO told (flow_id, key, at) VALUES (?, ?, ?)",
                [(self.flow_id, f"mail:{key}", now) for key in keys],
            )
            connection.execute(
                "UPDATE flow SET trouble_mailed = ? WHERE id = ?", (int(open_trouble), self.flow_id)
            )

    def trouble_is_open(self) -> bool:
        row = self.connection.execute(
            "SELECT trouble_mailed FROM flow WHERE id = ?", (self.flow_id,)
        ).fetchone()
        return bool(row[0])

    # Mount, heartbeat, progress

    def mount(self) -> tuple[str, str] | None:
        row = self.connection.execute(
            "SELECT mount_kind, mount_source FROM flow WHERE id = ?", (self.flow_id,)
        ).fetchone()
        return (str(row[0]), str(row[1])) if row[0] is not None else None

    def set_mount(self, kind: str, source: str) -> None:
        with self.transaction() as connection:
            connection.execute(
                "UPDATE flow SET mount_kind = ?, mount_source = ? WHERE id = ?", (kind, source, self.flow_id)
            )

    def heartbeat(self) -> float | None:
        row = self.connection.execute("SELECT heartbeat FROM flow WHERE id = ?", (self.flow_id,)).fetchone()
        return float(row[0]) if row[0] is not None else None

    def beat(self, now: float, run: Run | None = None, progress: Progress | None = None) -> None:
        """A sign of life: written where something moved, not by a timer, so that a hung pass looks hung."""
        with self.transaction() as connection:
            connection.execute("UPDATE flow SET heartbeat = ? WHERE id = ?", (now, self.flow_id))
            if progress is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        self.flow_id,
                        run.id if run else None,
                        progress.step,
                        progress.files_done,
                        progress.files_total,
                        progress.bytes_done,
                        progress.bytes_total,
                        now,
                    ),
                )

    def end_progress(self) -> None:
        with self.transaction() as connection:
            connection.execute("DELETE FROM progress WHERE flow_id = ?", (self.flow_id,))


def ledger_path(state_file: Path | None, flow: Flow, state_folder: Path) -> tuple[Path, str]:
    """Where the ledger lies, and a word if the file named is the predecessor's JSON, which is left alone."""
    if state_file is None:
        return state_folder / f"{flow.key}.sqlite", ""
    try:
        with open(state_file, "rb") as handle:
            head = handle.read(256)
    except IsADirectoryError:
        raise StateUnavailable(f"state file {state_file} is a folder", "name a file") from None
    except FileNotFoundError:
        return state_file, ""
    except OSError as error:
        raise StateUnavailable(f"state file {state_file} cannot be read: {error.strerror}") from error
    if head.lstrip()[:1] in (b"{", b"["):
        own = state_file.with_name(state_file.name + ".sqlite")
        return own, f"{state_file} is the state of the tool before this one; it is left alone, ours is {own}"
    return state_file, ""


def is_damaged(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def move_aside(path: Path, now: float) -> Path:
    """Rename a damaged ledger (with its WAL) so that a new one can be built; nothing is deleted."""
    target = path.with_name(f"{path.name}.damaged-{int(now)}")
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{suffix}", f"{target}{suffix}")
    os.rename(path, target)
    return target
