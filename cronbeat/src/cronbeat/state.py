"""The database: runs, tasks that are watched, alarms, messages on their way. Safe under concurrent processes.

Times are seconds since 1970 (UTC); durations are measured with a clock that nobody sets.
A run's ``message`` is the message that told it: NULL until it is in one, and it is never in two.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cronbeat.errors import StateUnavailable
from cronbeat.judge import Watched
from cronbeat.locks import Lock, is_held
from cronbeat.place import Place
from cronbeat.tasks import TasksFile

VERSION = 1
WAIT = 20.0
"""Seconds to wait for another process's transaction; each lasts milliseconds."""
LOST = "its process is gone without a word (killed, a reboot, a full disk)"
SCHEMA = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,      -- in the environment of its processes, and in the ping
    file TEXT NOT NULL,
    task TEXT NOT NULL,
    started REAL NOT NULL,
    duration REAL,                 -- s; unknown for a lost run
    outcome TEXT NOT NULL,         -- running ok failed timeout interrupted skipped lost
    code INTEGER,                  -- what `run` exited with
    reason TEXT,
    memory INTEGER,                -- KiB, of the largest process
    tail TEXT NOT NULL DEFAULT '', -- the last lines, of a run that did not succeed
    log TEXT,                      -- name in the folder of logs; locked while the run lives
    lock TEXT,
    timeout REAL,                  -- s
    message TEXT REFERENCES messages(id)
);
CREATE INDEX runs_of_task ON runs (file, task, id);
CREATE INDEX runs_untold ON runs (id) WHERE message IS NULL;
CREATE TABLE tasks (
    file TEXT NOT NULL,
    name TEXT NOT NULL,
    place INTEGER NOT NULL,        -- its place in the file
    expected_every REAL,           -- s
    longest REAL,                  -- s
    first_seen REAL NOT NULL,
    last_success REAL,             -- the end of the last run that succeeded
    PRIMARY KEY (file, name)
);
CREATE TABLE alarms (
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    since REAL NOT NULL,
    told REAL NOT NULL,
    PRIMARY KEY (subject, kind)
);
CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,       -- the same in every try, so that a receiver can tell a repeated one
    kind TEXT NOT NULL,            -- summary check
    created REAL NOT NULL,
    content TEXT NOT NULL,         -- JSON
    tries INTEGER NOT NULL DEFAULT 0,
    delivered REAL                 -- set after a 2xx, never before
);
CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    id: str
    kind: str
    content: Mapping[str, Any]
    tries: int


class State:
    """Open for one process. Every failure of the database comes out as StateUnavailable."""

    def __init__(self, place: Place) -> None:
        self.place = place
        with self._told():
            # Made here, so that nobody else may read it; the files beside it take its mode.
            os.close(os.open(place.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._database = sqlite3.connect(place.database, timeout=WAIT, isolation_level=None)
            self._database.row_factory = sqlite3.Row
            self._database.execute("PRAGMA foreign_keys = ON")
            if self._version() != VERSION:
                self._make()

    def _version(self) -> int:
        return int(self._database.execute("PRAGMA user_version").fetchone()[0])

    def _make(self) -> None:
        """The change to WAL does not wait for others by itself: one process at a time."""
        lock = Lock(self.place.own_lock("cronbeat.sqlite"))
        if not lock.acquire(WAIT):
            raise StateUnavailable("another process is making the database and does not end")
        try:
            if self._version() == 0:
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.executescript(
                    f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;"
                )
            elif self._version() != VERSION:
                raise StateUnavailable(
                    f"{self.place.database} was written by a newer cronbeat",
                    "use that one, or move the file away",
                )
        finally:
            lock.release()

    def close(self) -> None:
        self._database.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StateUnavailable(f"{self.place.database}: {error}") from None
        except sqlite3.DatabaseError as error:
            raise StateUnavailable(
                f"{self.place.database}: {error}", "if it is damaged, move it away: a new one is made"
            ) from None
        except OSError as error:
            raise StateUnavailable(f"{self.place.database}: {error.strerror}") from None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, on the disk when it ends. Reads inside see nobody else's later writes."""
        with self._told():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with self._told():
            return self._database.execute(statement, values).fetchall()

    # --- runs ---

    def begin(self, uid: str, file: str, task: str, now: float, **more: object) -> None:
        """A run begins; its log is locked already, or the next look would call it lost."""
        columns = {"uid": uid, "file": file, "task": task, "started": now, "outcome": "running"} | more
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        with self.transaction() as database:
            database.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", tuple(columns.values()))

    def end(self, uid: str, now: float, **columns: object) -> None:
        """A run ended: ``outcome``, ``code``, ``duration``, …"""
        changes = ", ".join(f"{name} = ?" for name in columns)
        with self.transaction() as database:
            database.execute(f"UPDATE runs SET {changes} WHERE uid = ?", (*columns.values(), uid))
            if columns["outcome"] == "ok":
                database.execute(
                    "UPDATE tasks SET last_success = ?"
                    " WHERE (file, name) IN (SELECT file, task FROM runs WHERE uid = ?)",
                    (now, uid),
                )

    def find_lost(self) -> int:
        """Record the runs whose process is gone (killed, reboot) as lost; returns how many."""
        found = 0
        for row in self.rows("SELECT uid, log FROM runs WHERE outcome = 'running'"):
            if row["log"] and is_held(self.place.logs / row["log"]):
                continue
            with self.transaction() as database:
                # It may have ended between the two looks.
                found += database.execute(
                    "UPDATE runs SET outcome = 'lost', reason = ? WHERE uid = ? AND outcome = 'running'",
                    (LOST, row["uid"]),
                ).rowcount
        return found

    def lost_holder(self, lock: str) -> sqlite3.Row | None:
        """The newest run with this lock, if it is lost: commands of it may be left that hold the lock."""
        newest = self.rows(
            "SELECT * FROM runs WHERE lock = ? AND outcome != 'skipped' ORDER BY id DESC LIMIT 1", lock
        )
        return newest[0] if newest and newest[0]["outcome"] == "lost" else None

    # --- tasks ---

    def register(self, file: TasksFile, now: float) -> None:
        """Remember the tasks of a file, so that `list` and `check` know those that never ran."""
        with self.transaction() as database:
            for place, task in enumerate(file.tasks.values()):
                database.execute(
                    "INSERT INTO tasks (file, name, place, expected_every, longest, first_seen)"
                    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (file, name) DO UPDATE SET"
                    " place = excluded.place, longest = excluded.longest,"
                    # The time that a new promise allows begins with it.
                    " first_seen = CASE WHEN expected_every IS NULL AND excluded.expected_every IS NOT NULL"
                    " THEN excluded.first_seen ELSE first_seen END,"
                    " expected_every = excluded.expected_every",
                    (file.path, task.name, place, task.expected_every, task.longest, now),
                )
            known = database.execute("SELECT name FROM tasks WHERE file = ?", (file.path,)).fetchall()
            for (name,) in known:
                if name not in file.tasks and name not in file.problems:
                    database.execute("DELETE FROM tasks WHERE file = ? AND name = ?", (file.path, name))

    def forget(self, file: str) -> int:
        with self.transaction() as database:
            return database.execute("DELETE FROM tasks WHERE file = ?", (file,)).rowcount

    def files(self) -> list[str]:
        return [row["file"] for row in self.rows("SELECT DISTINCT file FROM tasks ORDER BY file")]

    def clock_went_back(self, now: float) -> bool:
        """Times in the future become now: else a task could stay away for as long as the clock was wrong.

        A minute ahead is no clock that was set: a run that began or ended since ``now`` was asked for."""
        ahead = now + 60
        with self.transaction() as database:
            changed = 0
            for table, column in (("tasks", "first_seen"), ("tasks", "last_success"), ("alarms", "told")):
                statement = f"UPDATE {table} SET {column} = ? WHERE {column} > ?"
                changed += database.execute(statement, (now, ahead)).rowcount
            changed += database.execute(
                "UPDATE runs SET started = ? WHERE started > ? AND outcome = 'running'", (now, ahead)
            ).rowcount
        return changed > 0

    def watched(self) -> list[Watched]:
        found = []
        for row in self.rows("SELECT * FROM tasks ORDER BY file, place, name"):
            key = (row["file"], row["name"])
            running = self.rows(
                "SELECT min(started), max(started) FROM runs WHERE file = ? AND task = ? AND outcome = 'running'",
                *key,
            )[0]
            last = self.rows(
                "SELECT * FROM runs WHERE file = ? AND task = ? AND outcome NOT IN ('running', 'skipped')"
                " ORDER BY id DESC LIMIT 1",
                *key,
            )
            found.append(
                Watched(
                    row["file"],
                    row["name"],
                    row["expected_every"],
                    row["longest"],
                    row["first_seen"],
                    row["last_success"],
                    running[0],
                    running[1] or (last[0]["started"] if last else None),
                    dict(last[0]) if last else None,
                )
            )
        return found

    # --- messages ---

    def add_message(self, database: sqlite3.Connection, content: Mapping[str, Any]) -> None:
        """Inside a transaction: what the message tells is marked as told in the same one."""
        database.execute(
            "INSERT INTO messages (id, kind, created, content) VALUES (?, ?, ?, ?)",
            (content["id"], content["kind"], content["created"], json.dumps(content)),
        )

    def waiting(self) -> list[Message]:
        """Messages that no receiver has confirmed, the oldest first."""
        rows = self.rows("SELECT * FROM messages WHERE delivered IS NULL ORDER BY number")
        return [Message(row["id"], row["kind"], json.loads(row["content"]), row["tries"]) for row in rows]

    def tried(self, message: str, delivered: float | None) -> None:
        with self.transaction() as database:
            database.execute(
                "UPDATE messages SET tries = tries + 1, delivered = coalesce(?, delivered) WHERE id = ?",
                (delivered, message),
            )

    def note(self, key: str) -> str | None:
        found = self.rows("SELECT value FROM notes WHERE key = ?", key)
        return found[0]["value"] if found else None

    def set_note(self, key: str, value: str) -> None:
        with self.transaction() as database:
            database.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (key, value))

    # --- pruning ---

    def prune(self, before: float, keep_untold: bool) -> None:
        """Delete runs that began ``before``, and messages that were delivered.

        With ``keep_untold``, nothing that was not yet delivered. A task's newest run always stays.
        """
        where = (
            "started < ? AND outcome != 'running'"
            " AND id NOT IN (SELECT max(id) FROM runs WHERE outcome != 'skipped' GROUP BY file, task)"
        )
        if keep_untold:
            where += " AND message IN (SELECT id FROM messages WHERE delivered IS NOT NULL)"
        with self.transaction() as database:
            database.execute(f"DELETE FROM runs WHERE {where}", (before,))
            database.execute(
                "DELETE FROM messages WHERE delivered IS NOT NULL AND created < ?"
                " AND id NOT IN (SELECT message FROM runs WHERE message IS NOT NULL)",
                (before,),
            )

    def living_logs(self) -> set[str]:
        return {row["log"] for row in self.rows("SELECT log FROM runs WHERE outcome = 'running'")}


def mark_told(database: sqlite3.Connection, runs: Iterable[int], message: str) -> None:
    database.executemany("UPDATE runs SET message = ? WHERE id = ?", [(message, run) for run in runs])
