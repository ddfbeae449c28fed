"""The outbox: events beside the state whose changes they report, in one database, on the caller's connection.

``append`` works within the caller's transaction, so an event exists if and only if the change was committed. Readers
need no lock: consumers keep a cursor each, and rows go when every registered cursor has passed them. Where nobody is
registered, nothing is kept.

``source`` keeps flows apart that share a database: each has consumers of its own. Numbers grow by one over all of them;
they come from a row that a transaction holds until it ends, so they become visible in their order. The statements are
those that SQLite and PostgreSQL share; only the placeholder differs. No method begins or ends a transaction: whoever
calls one that writes has begun one.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from sync_to_azure.events.cloud_event import CloudEvent, data_of, subject_of
from sync_to_azure.events.run_events import Event

SCHEMA_1 = """
    CREATE TABLE outbox_epoch (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        epoch TEXT NOT NULL,
        last BIGINT NOT NULL
    );
    CREATE TABLE outbox_event (
        number BIGINT PRIMARY KEY,
        source TEXT NOT NULL,
        salt TEXT NOT NULL,
        type TEXT NOT NULL,
        version INTEGER NOT NULL,
        subject TEXT NOT NULL,
        at DOUBLE PRECISION NOT NULL,
        data TEXT NOT NULL
    );
    CREATE INDEX outbox_event_of_source ON outbox_event (source, number);
    CREATE TABLE outbox_consumer (
        source TEXT NOT NULL,
        name TEXT NOT NULL,
        passed BIGINT NOT NULL,
        types TEXT NOT NULL,
        registered_at DOUBLE PRECISION NOT NULL,
        expires_at DOUBLE PRECISION,
        failures INTEGER NOT NULL DEFAULT 0,
        failing_since DOUBLE PRECISION,
        next_try DOUBLE PRECISION,
        problem TEXT,
        PRIMARY KEY (source, name)
    );
"""
"""Never edited: a later schema is a further step."""


class _Cursor(Protocol):
    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...


class Connection(Protocol):
    """What sqlite3's and psycopg's connections share."""

    def execute(self, statement: str, parameters: Sequence[Any] = ..., /) -> _Cursor: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Consumer:
    """``passed``: the number of the last event that it has had. ``types``: those that it wants, empty for all.
    ``expires_at``: when it counts as gone, None for never. ``failures``: attempts since the last success."""

    name: str
    passed: int
    types: tuple[str, ...]
    registered_at: float
    expires_at: float | None
    failures: int
    failing_since: float | None
    next_try: float | None
    problem: str | None

    def wants(self, event_type: str) -> bool:
        return not self.types or event_type in self.types


@dataclasses.dataclass(frozen=True, slots=True)
class Backlog:
    """What a consumer has not had yet: how many events, and when the oldest of them happened."""

    count: int
    oldest: float | None


class Outbox:
    """Of one source in one database."""

    def __init__(self, connection: Connection, source: str, placeholder: str = "?") -> None:
        self.source = source
        self._connection = connection
        self._placeholder = placeholder

    def _do(self, statement: str, *parameters: object) -> _Cursor:
        return self._connection.execute(statement.replace("?", self._placeholder), parameters)

    # Writing events

    def append(self, event: Event, now: float) -> None:
        """Within the caller's transaction. Kept only where a consumer of this source is registered."""
        if self._do("SELECT 1 FROM outbox_consumer WHERE source = ?", self.source).fetchone() is None:
            return
        self._do("UPDATE outbox_epoch SET last = last + 1")
        [number] = self._do("SELECT last FROM outbox_epoch").fetchone()
        self._do(
            "INSERT INTO outbox_event (number, source, salt, type, version, subject, at, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            number,
            self.source,
            # A ledger that was set back gives a number again, and never an id.
            secrets.token_hex(4),
            str(event.type),
            event.version,
            subject_of(event),
            now,
            json.dumps(data_of(event)),
        )

    # Consumers

    def register(
        self, name: str, now: float, types: Iterable[str] = (), expires_at: float | None = None
    ) -> bool:
        """True if it is new: then it gets what happens from now on. Of one that is known, types and expiry are set."""
        self._do(
            "INSERT INTO outbox_epoch (one, epoch, last) VALUES (1, ?, 0) ON CONFLICT (one) DO NOTHING",
            secrets.token_hex(8),
        )
        is_new = self.consumer(name) is None
        [last] = self._do("SELECT last FROM outbox_epoch").fetchone()
        self._do(
            "INSERT INTO outbox_consumer (source, name, passed, types, registered_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (source, name) DO UPDATE SET types = excluded.types, expires_at = excluded.expires_at",
            self.source,
            name,
            last,
            ",".join(sorted(types)),
            now,
            expires_at,
        )
        return is_new

    def forget(self, name: str) -> bool:
        """True if it was registered. What it alone had still to read goes."""
        known = self.consumer(name) is not None
        self._do("DELETE FROM outbox_consumer WHERE source = ? AND name = ?", self.source, name)
        self._prune()
        return known

    def forget_expired(self, now: float) -> None:
        self._do("DELETE FROM outbox_consumer WHERE source = ? AND expires_at <= ?", self.source, now)
        self._prune()

    def consumers(self) -> list[Consumer]:
        rows = self._do(
            "SELECT name, passed, types, registered_at, expires_at, failures, failing_since, next_try, problem"
            " FROM outbox_consumer WHERE source = ? ORDER BY name",
            self.source,
        ).fetchall()
        return [Consumer(row[0], row[1], tuple(filter(None, row[2].split(","))), *row[3:]) for row in rows]

    def consumer(self, name: str) -> Consumer | None:
        return next((each for each in self.consumers() if each.name == name), None)

    def backlog(self, consumer: Consumer) -> Backlog:
        rows = self._do(
            "SELECT type, count(*), min(at) FROM outbox_event WHERE source = ? AND number > ? GROUP BY type",
            self.source,
            consumer.passed,
        ).fetchall()
        wanted = [(count, at) for kind, count, at in rows if consumer.wants(kind)]
        return Backlog(sum(count for count, _ in wanted), min((at for _, at in wanted), default=None))

    # Reading

    def read(self, after: int, limit: int) -> list[CloudEvent]:
        """The next events after a number, oldest first, at most ``limit``."""
        rows = self._do(
            "SELECT number, salt, type, version, subject, at, data, epoch FROM outbox_event, outbox_epoch"
            " WHERE source = ? AND number > ? ORDER BY number LIMIT ?",
            self.source,
            after,
            limit,
        ).fetchall()
        return [self._event(*row) for row in rows]

    def latest(self, limit: int) -> list[CloudEvent]:
        """The last ones that are kept, oldest first."""
        rows = self._do(
            "SELECT number, salt, type, version, subject, at, data, epoch FROM outbox_event, outbox_epoch"
            " WHERE source = ? ORDER BY number DESC LIMIT ?",
            self.source,
            limit,
        ).fetchall()
        return [self._event(*row) for row in reversed(rows)]

    def _event(
        self, number: int, salt: str, kind: str, version: int, subject: str, at: float, data: str, epoch: str
    ) -> CloudEvent:
        identity = f"{epoch}-{number}-{salt}"
        return CloudEvent(identity, self.source, kind, version, subject, at, epoch, number, json.loads(data))

    # Progress of a consumer

    def acknowledge(self, name: str, number: int) -> None:
        """It has had everything up to this one; never backwards."""
        self._do(
            "UPDATE outbox_consumer SET passed = ?, failures = 0, failing_since = NULL, next_try = NULL,"
            " problem = NULL WHERE source = ? AND name = ? AND passed < ?",
            number,
            self.source,
            name,
            number,
        )
        self._prune()

    def failed(self, name: str, now: float, next_try: float, problem: str) -> None:
        self._do(
            "UPDATE outbox_consumer SET failures = failures + 1, failing_since = coalesce(failing_since, ?),"
            " next_try = ?, problem = ? WHERE source = ? AND name = ?",
            now,
            next_try,
            problem,
            self.source,
            name,
        )

    def let_go(self, name: str, before: float) -> None:
        """For a consumer that only keeps events for some time: it has had what happened before then."""
        [number] = self._do(
            "SELECT max(number) FROM outbox_event WHERE source = ? AND at < ?", self.source, before
        ).fetchone()
        if number is not None:
            self.acknowledge(name, number)

    def _prune(self) -> None:
        self._do(
            "DELETE FROM outbox_event WHERE source = ? AND number <= (SELECT coalesce(min(passed),"
            " (SELECT max(last) FROM outbox_epoch)) FROM outbox_consumer WHERE source = ?)",
            self.source,
            self.source,
        )
