"""Runs, events, what was told, and how far a pass is: the small tables, one transaction a step."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from sync_to_azure.events.outbox import Outbox
from sync_to_azure.events.run_events import Event
from sync_to_azure.transfer.ledger import announcing
from sync_to_azure.transfer.ledger.migrations import migrate, refuse_others
from sync_to_azure.transfer.ledger.run import RUN_COLUMNS, SETTABLE, Flow, Run, run_of
from sync_to_azure.core.model import Progress, State
from sync_to_azure.core.reasons import Reason

_WAL_TRIES = 200
"""Ten seconds."""
_REMOTE = "remote_state_current"
"""The column that says whether the ledger knows what is published of a run."""


class Ledger:
    """Open with ``Ledger.open``; every method is one transaction. sqlite3.Error goes to the caller, which knows
    whether a damaged file can be moved aside."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, flow: Flow, flow_id: int, identity: str
    ) -> None:
        self.identity = identity
        """Random, made with the flow's row: by it receipts and claims tell this flow from all others."""
        self.connection = connection
        self.path = path
        self.flow = flow
        self.flow_id = flow_id
        self.outbox = Outbox(connection, announcing.source_of(flow))
        self.names_allowed = False
        """May events name files, which may name samples?"""
        self.is_copy = False
        self.may_write: Callable[[], None] = lambda: None
        """Called before each transaction: a pass whose lock was lost writes nothing more here."""

    @classmethod
    def open(cls, path: Path, flow: Flow) -> "Ledger":
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, timeout=30.0)
        try:
            refuse_others(connection, str(path))
            _to_wal(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            return cls._opened(connection, path, flow)
        except BaseException:
            connection.close()
            raise

    @classmethod
    def open_copy(cls, path: Path, flow: Flow) -> "Ledger":
        """For a dry run: the ledger as it is now, in a file that nobody else sees and that is gone when it is closed or
        its process ends. Whoever works with the ledger itself waits for nothing."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.dry-run-", dir=path.parent)
        os.close(handle)
        connection = sqlite3.connect(name, isolation_level=None)
        try:
            if path.exists():
                address = f"file:{quote(str(path))}?mode=ro"
                with contextlib.closing(sqlite3.connect(address, uri=True, timeout=30.0)) as ledger:
                    refuse_others(ledger, str(path))
                    ledger.backup(connection)
            # In memory, as no file of that name is there to be journalled beside.
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("PRAGMA synchronous = OFF")
            os.unlink(name)
            copy = cls._opened(connection, Path(name), flow)
            copy.is_copy = True
            return copy
        except BaseException:
            connection.close()
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name + suffix)
            raise

    @classmethod
    def _opened(cls, connection: sqlite3.Connection, path: Path, flow: Flow) -> "Ledger":
        connection.execute("PRAGMA cache_size = -16000")
        migrate(connection, str(path))
        row = connection.execute("SELECT id FROM flow WHERE key = ?", (flow.key,)).fetchone()
        if row is None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "INSERT OR IGNORE INTO flow (key, main_folder, endpoint, container, destination)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    flow.key,
                    *map(storable, (flow.main_folder, flow.endpoint, flow.container, flow.destination)),
                ),
            )
            connection.execute("COMMIT")
            row = connection.execute("SELECT id FROM flow WHERE key = ?", (flow.key,)).fetchone()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "UPDATE flow SET identity = ? WHERE id = ? AND identity IS NULL", (os.urandom(16).hex(), row[0])
        )
        connection.execute("COMMIT")
        [identity] = connection.execute("SELECT identity FROM flow WHERE id = ?", row).fetchone()
        return cls(connection, path, flow, int(row[0]), str(identity))

    def close(self) -> None:
        self.connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        self.may_write()
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            # A commit can fail too (a full disk): it must not leave the transaction open for the next step.
            self.connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")
            raise

    # Runs

    def runs(self) -> dict[str, Run]:
        rows = self.connection.execute(f"SELECT {RUN_COLUMNS} FROM run WHERE flow_id = ?", (self.flow_id,))
        return {run.key: run for run in map(run_of, rows)}

    def add_run(self, key: str, state: State, now: float) -> Run:
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO run (flow_id, key, state, since, first_seen) VALUES (?, ?, ?, ?, ?)",
                (self.flow_id, key, state, now, now),
            )
            row = connection.execute(
                f"SELECT {RUN_COLUMNS} FROM run WHERE flow_id = ? AND key = ?", (self.flow_id, key)
            ).fetchone()
        return run_of(row)

    def set_state(
        self,
        run: Run,
        state: State,
        reason: Reason | None,
        now: float,
        event: str | None = None,
        announced_event: Event | None = None,
        **columns: object,
    ) -> bool:
        """Move a run on; True if state or reason's code are new. ``columns`` are set in the same transaction, and an
        event is appended when the state changes (or ``event`` names one). For programs ``announced_event`` goes into
        the outbox; what needs attention from now on, or is removed, goes there by itself."""
        news = run.state is not state or (run.reason and run.reason.code) != (reason and reason.code)
        same = not news and run.reason == reason and not columns and event is None
        if same:
            return False
        with self.transaction() as connection:
            since = now if run.state is not state else run.since
            for each in (
                announced_event,
                announcing.of_state(self.flow, run, state, reason, self.names_allowed),
            ):
                if each is not None:
                    self.outbox.append(each, now)
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
                self.append(connection, run.id, now, code, parameters)
        run.state, run.reason, run.since = state, reason, since
        return news

    def set(self, run: Run, **columns: object) -> None:
        if _REMOTE in columns:
            raise ValueError(f"{_REMOTE} is set by publishing and adopting alone")
        with self.transaction() as connection:
            self._set_columns(connection, run, columns)

    # Does the ledger know what is published of a run? While it does not, the destination is asked first.

    @contextlib.contextmanager
    def publishing(self, run: Run) -> Iterator[Mapping[str, object]]:
        """Around all that writes published documents. Given are the columns that end the doubt, for the transaction
        that puts the publication on record: a block that was cut off, or failed, leaves the ledger in doubt, and the
        next pass reads what is there before it writes anything."""
        self.doubt_remote(run)
        yield {_REMOTE: 1}

    def doubt_remote(self, run: Run) -> None:
        """From now on the destination is asked what is published of the run."""
        self._set_remote(run, False)

    def trust_remote(self, run: Run) -> None:
        """The destination was asked, or written, and the ledger holds what is published there."""
        self._set_remote(run, True)

    def _set_remote(self, run: Run, is_known: bool) -> None:
        with self.transaction() as connection:
            self._set_columns(connection, run, {_REMOTE: int(is_known)})

    def note_asked(
        self, run: Run, *, is_known: bool, event: Event | None = None, now: float = 0.0, **columns: object
    ) -> None:
        """The destination was asked what is published of the run: ``columns`` say it, and ``event`` goes into the
        outbox, if there is one. ``is_known``: nothing of it has to be written again."""
        with self.transaction() as connection:
            self._set_columns(connection, run, columns | {_REMOTE: int(is_known)})
            if event is not None:
                self.outbox.append(event, now)

    def _set_columns(self, connection: sqlite3.Connection, run: Run, columns: Mapping[str, object]) -> None:
        if not columns:
            return
        if not columns.keys() <= SETTABLE:
            raise ValueError(f"not columns of a run: {sorted(columns.keys() - SETTABLE)}")
        assignments = ", ".join(f"{name} = ?" for name in columns)
        connection.execute(f"UPDATE run SET {assignments} WHERE id = ?", (*columns.values(), run.id))
        for name, value in columns.items():
            setattr(run, name, value)

    # Events, what was told, mail

    def append_event(self, run: Run | None, now: float, code: str, parameters: Mapping[str, object]) -> None:
        with self.transaction() as connection:
            self.append(connection, run.id if run else None, now, code, parameters)

    def append(
        self,
        connection: sqlite3.Connection,
        run_id: int | None,
        now: float,
        code: str,
        parameters: Mapping[str, object],
    ) -> None:
        """An event, within the caller's transaction."""
        connection.execute(
            "INSERT INTO event (flow_id, run_id, at, code, parameters) VALUES (?, ?, ?, ?, ?)",
            (self.flow_id, run_id, now, code, json.dumps(dict(parameters))),
        )

    def report_once(self, key: str, now: float) -> bool:
        """True the first time for this key."""
        with self.transaction() as connection:
            done = connection.execute(
                "INSERT OR IGNORE INTO reported (flow_id, key, at) VALUES (?, ?, ?)", (self.flow_id, key, now)
            )
            return done.rowcount == 1

    def clear_reported(self, key: str) -> None:
        """Forget that this was told: if it comes again, it is news again."""
        found = self.connection.execute(
            "SELECT 1 FROM reported WHERE flow_id = ? AND key = ?", (self.flow_id, key)
        )
        if found.fetchone():
            with self.transaction() as connection:
                connection.execute("DELETE FROM reported WHERE flow_id = ? AND key = ?", (self.flow_id, key))

    def clear_reported_run(self, key: str) -> None:
        """Forget all that was told or mailed of a run (told: ``code:RUN…``, mailed: ``mail:RUN:code``)."""
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT key FROM reported WHERE flow_id = ?", (self.flow_id,)
            ).fetchall()
            for (told,) in rows:
                rest = told.partition(":")[2]
                if rest == key or rest.startswith(f"{key}:"):
                    connection.execute(
                        "DELETE FROM reported WHERE flow_id = ? AND key = ?", (self.flow_id, told)
                    )

    def mailed(self) -> dict[str, float]:
        """Trouble keys and when each was last mailed."""
        rows = self.connection.execute(
            "SELECT substr(key, 6), at FROM reported WHERE flow_id = ? AND key >= 'mail:' AND key < 'mail;'",
            (self.flow_id,),
        )
        return {str(key): float(at) for key, at in rows}

    def note_mailed(self, keys: tuple[str, ...], now: float, open_problem: bool) -> None:
        with self.transaction() as connection:
            if not open_problem:
                connection.execute(
                    "DELETE FROM reported WHERE flow_id = ? AND key >= 'mail:' AND key < 'mail;'",
                    (self.flow_id,),
                )
            connection.executemany(
                "INSERT OR REPLACE INTO reported (flow_id, key, at) VALUES (?, ?, ?)",
                [(self.flow_id, f"mail:{key}", now) for key in keys],
            )
            connection.execute(
                "UPDATE flow SET problem_mailed = ? WHERE id = ?", (int(open_problem), self.flow_id)
            )

    def problem_is_open(self) -> bool:
        row = self.connection.execute(
            "SELECT problem_mailed FROM flow WHERE id = ?", (self.flow_id,)
        ).fetchone()
        return bool(row[0])

    def has_published(self) -> bool:
        """Has this flow ever published a run, as far as the ledger knows?"""
        row = self.connection.execute(
            "SELECT EXISTS (SELECT 1 FROM run WHERE flow_id = ? AND generation > 0)", (self.flow_id,)
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

    def note_left(self, files: int, links: int) -> None:
        """How many files and links of the main folder itself the last pass left alone."""
        columns = (files, links)
        row = self.connection.execute("SELECT loose_files, links FROM flow WHERE id = ?", (self.flow_id,))
        if row.fetchone() != columns:
            with self.transaction() as connection:
                connection.execute(
                    "UPDATE flow SET loose_files = ?, links = ? WHERE id = ?", (*columns, self.flow_id)
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


def _to_wal(connection: sqlite3.Connection) -> None:
    """The first switch needs the file alone, and SQLite does not wait for that: another flow's first pass has it."""
    for attempt in range(_WAL_TRIES):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or attempt == _WAL_TRIES - 1:
                raise
            time.sleep(0.05)


def storable(text: str) -> str:
    """SQLite takes no surrogates, which stand for the bytes of a folder's name that is not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
